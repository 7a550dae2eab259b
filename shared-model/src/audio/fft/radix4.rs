//! Transforms by Stockham's algorithm with four points at once (Van Loan, "Computational Frameworks for
//! the Fast Fourier Transform", 1992, section 1.7), four complex numbers in a vector.

use std::array::from_fn;
use std::f64::consts::TAU;

use super::Complex;

/// Numbers of a vector register.
const WIDTH: usize = 4;

/// Four complex numbers.
#[derive(Clone, Copy, Default)]
struct Lanes {
    re: [f32; WIDTH],
    im: [f32; WIDTH],
}

impl Lanes {
    fn new(of: impl Fn(usize) -> (f64, f64)) -> Self {
        Self {
            re: from_fn(|lane| of(lane).0 as f32),
            im: from_fn(|lane| of(lane).1 as f32),
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] + other.re[lane]),
            im: from_fn(|lane| self.im[lane] + other.im[lane]),
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self {
            re: from_fn(|lane| self.re[lane] - other.re[lane]),
            im: from_fn(|lane| self.im[lane] - other.im[lane]),
        }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] * other.re[i] - self.im[i] * other.im[i]),
            im: from_fn(|i| self.re[i] * other.im[i] + self.im[i] * other.re[i]),
        }
    }

    /// Times `-i`.
    #[inline(always)]
    fn turned(self) -> Self {
        Self {
            re: self.im,
            im: self.re.map(|value| -value),
        }
    }
}

/// The transform of four points by themselves.
#[inline(always)]
fn butterfly([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    let (even, even_difference) = (a.plus(c), a.minus(c));
    let (odd, odd_difference) = (b.plus(d), b.minus(d).turned());
    [
        even.plus(odd),
        even_difference.plus(odd_difference),
        even.minus(odd),
        even_difference.minus(odd_difference),
    ]
}

/// `exp(-i turns)` with turns in parts of a circle.
fn root(turns: f64) -> (f64, f64) {
    let (sin, cos) = (-TAU * turns).sin_cos();
    (cos, sin)
}

/// The plan of transforms of one size: of half as many complex numbers, pairs of samples, whose spectrum
/// is then taken apart.
#[derive(Clone)]
pub(crate) struct RealFft {
    size: usize,
    /// Factors of the first stage, three for each vector of its points.
    first: Vec<[Lanes; 3]>,
    /// Of each later stage of four points, three for each point.
    later: Vec<Vec<[Lanes; 3]>>,
    /// Of taking the spectrum apart.
    last: Vec<Lanes>,
}

/// Buffers of a transform.
#[derive(Clone)]
pub(crate) struct Scratch {
    points: Vec<Lanes>,
    next: Vec<Lanes>,
    spectrum: Vec<Complex<f32>>,
}

impl RealFft {
    /// `size`: a power of two, 32 or more.
    pub(crate) fn new(size: usize) -> Self {
        let half = size / 2;
        let factors = |points: usize, of_lane: &dyn Fn(usize) -> usize| {
            from_fn(|power| {
                Lanes::new(|lane| root(((power + 1) * of_lane(lane)) as f64 / points as f64))
            })
        };
        let first =
            (0..half / (4 * WIDTH)).map(|group| factors(half, &|lane| WIDTH * group + lane));
        let mut later = Vec::new();
        let mut points = half / 4;
        while points >= 4 {
            later.push((0..points / 4).map(|p| factors(points, &|_| p)).collect());
            points /= 4;
        }
        let last = (0..half / WIDTH)
            .map(|group| Lanes::new(|lane| root((WIDTH * group + lane) as f64 / size as f64)));
        Self {
            size,
            first: first.collect(),
            later,
            last: last.collect(),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn scratch(&self) -> Scratch {
        let lanes = vec![Lanes::default(); self.size / 2 / WIDTH];
        Scratch {
            points: lanes.clone(),
            next: lanes,
            spectrum: vec![Complex::default(); self.size / 2 + 1],
        }
    }

    /// `[size]` samples, which are not kept, to `[size / 2 + 1]` values.
    pub(crate) fn transform<'s>(
        &self,
        samples: &mut [f32],
        scratch: &'s mut Scratch,
    ) -> &'s [Complex<f32>] {
        let Scratch {
            points,
            next,
            spectrum,
        } = scratch;
        let groups = samples.as_chunks::<{ 2 * WIDTH }>().0;
        for (point, group) in points.iter_mut().zip(groups) {
            point.re = from_fn(|lane| group[2 * lane]);
            point.im = from_fn(|lane| group[2 * lane + 1]);
        }
        self.first_stage(points, next);
        let (mut from, mut to) = (next, points);
        let mut stride = 1;
        for factors in &self.later {
            stage(factors, stride, from, to);
            (from, to) = (to, from);
            stride *= 4;
        }
        if 2 * stride == from.len() {
            for at in 0..stride {
                let (a, b) = (from[at], from[at + stride]);
                (to[at], to[at + stride]) = (a.plus(b), a.minus(b));
            }
            (from, to) = (to, from);
        }
        let _ = to;
        self.take_apart(from, spectrum);
        spectrum
    }

    /// Neighbours in a vector are neighbouring points here, and different outputs of one point in the
    /// stages that follow.
    fn first_stage(&self, from: &[Lanes], to: &mut [Lanes]) {
        let quarter = from.len() / 4;
        for ((p, factors), to) in (0..quarter)
            .zip(&self.first)
            .zip(to.chunks_exact_mut(WIDTH))
        {
            let [a, b, c, d] = butterfly(from_fn(|k| from[p + k * quarter]));
            let turned = [
                a,
                b.times(factors[0]),
                c.times(factors[1]),
                d.times(factors[2]),
            ];
            for (lane, to) in to.iter_mut().enumerate() {
                to.re = turned.map(|output| output.re[lane]);
                to.im = turned.map(|output| output.im[lane]);
            }
        }
    }

    /// The spectrum of pairs `(even, odd)` as complex numbers is `E + iO`: both are told apart by their
    /// symmetry, and the result is `E + root * O`.
    fn take_apart(&self, points: &[Lanes], spectrum: &mut [Complex<f32>]) {
        let count = points.len();
        for (group, root) in self.last.iter().enumerate() {
            let z = points[group];
            let (above, below) = (points[(count - group) % count], points[count - 1 - group]);
            let mirrored = |at_zero: f32, v: [f32; WIDTH]| [at_zero, v[3], v[2], v[1]];
            let conjugate = Lanes {
                re: mirrored(above.re[0], below.re),
                im: mirrored(above.im[0], below.im).map(|value| -value),
            };
            let odd = z.minus(conjugate).turned().times(*root);
            let sum = z.plus(conjugate).plus(odd);
            for lane in 0..WIDTH {
                spectrum[WIDTH * group + lane] =
                    Complex::new(0.5 * sum.re[lane], 0.5 * sum.im[lane]);
            }
        }
        let zero = points[0];
        spectrum[self.size / 2] = Complex::new(zero.re[0] - zero.im[0], 0.0);
    }
}

/// A stage in which each point is `stride` vectors.
fn stage(factors: &[[Lanes; 3]], stride: usize, from: &[Lanes], to: &mut [Lanes]) {
    let quarter = from.len() / 4;
    for ((p, factors), to) in (0..).zip(factors).zip(to.chunks_exact_mut(4 * stride)) {
        for q in 0..stride {
            let [a, b, c, d] = butterfly(from_fn(|k| from[p * stride + q + k * quarter]));
            to[q] = a;
            to[q + stride] = b.times(factors[0]);
            to[q + 2 * stride] = c.times(factors[1]);
            to[q + 3 * stride] = d.times(factors[2]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_fourier_transform_by_its_definition() {
        for size in [32, 64, 128, 256, 512, 1024] {
            let samples: Vec<f32> = (0..size)
                .map(|i| ((i * i % 97) as f32 * 0.7).sin())
                .collect();
            let fft = RealFft::new(size);
            let mut scratch = fft.scratch();
            let found = fft.transform(&mut samples.clone(), &mut scratch).to_vec();
            assert_eq!((fft.size(), found.len()), (size, size / 2 + 1));
            for (k, found) in found.iter().enumerate() {
                let mut expected = (0.0, 0.0);
                for (index, sample) in samples.iter().enumerate() {
                    let (cos, sin) = root((index * k % size) as f64 / size as f64);
                    expected.0 += f64::from(*sample) * cos;
                    expected.1 += f64::from(*sample) * sin;
                }
                let off = (f64::from(found.re) - expected.0).abs()
                    + (f64::from(found.im) - expected.1).abs();
                assert!(off < 1e-4, "size {size}, bin {k}: {found} for {expected:?}");
            }
        }
    }

    #[test]
    fn it_agrees_with_the_planned_transform() {
        let samples: Vec<f32> = (0..512).map(|i| (i as f32 * 0.37).cos() * 0.1).collect();
        let (own, planned) = (RealFft::new(512), super::super::planned::RealFft::new(512));
        let (mut own_scratch, mut planned_scratch) = (own.scratch(), planned.scratch());
        let own = own.transform(&mut samples.clone(), &mut own_scratch);
        let planned = planned.transform(&mut samples.clone(), &mut planned_scratch);
        for (a, b) in own.iter().zip(planned) {
            assert!((a - b).norm() < 1e-5, "{a} {b}");
        }
    }
}

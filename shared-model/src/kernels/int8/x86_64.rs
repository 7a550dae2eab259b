//! The sums with the widest vectors that the processor has.

#![allow(
    unsafe_code,
    reason = "intrinsics; the caller has checked lengths, the processor is asked first"
)]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
    _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_madd_epi16, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::{COLUMNS, ROWS, Sums};

/// `None` on processors without AVX2. `left` has `ROWS` rows of `2 * pairs` values, `panel` has
/// `2 * COLUMNS * pairs`.
pub(super) fn products(left: &[i16], panel: &[i8], pairs: usize) -> Option<Sums> {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor was just asked.
        return Some(unsafe { by_512(left, panel, pairs) });
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        return Some(unsafe { by_256(left, panel, pairs) });
    }
    None
}

/// Two neighbours of a row as one number.
///
/// # Safety
/// `at` and the value after it are in the slice.
#[inline(always)]
unsafe fn pair(left: &[i16], at: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { left.as_ptr().add(at).cast::<i32>().read_unaligned() }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn by_512(left: &[i16], panel: &[i8], pairs: usize) -> Sums {
    let mut sums = [_mm512_setzero_si512(); ROWS];
    for d in 0..pairs {
        // SAFETY: the panel has 32 values for each pair of depths, each row two.
        unsafe {
            let right = panel.as_ptr().add(d * 2 * COLUMNS).cast::<__m256i>();
            let right = _mm512_cvtepi8_epi16(_mm256_loadu_si256(right));
            for (r, sum) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_epi32(pair(left, 2 * (r * pairs + d)));
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(left, right));
            }
        }
    }
    let mut out = [[0; COLUMNS]; ROWS];
    for (out, sum) in out.iter_mut().zip(sums) {
        // SAFETY: a row of sums has 64 bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), sum) };
    }
    out
}

#[target_feature(enable = "avx2")]
fn by_256(left: &[i16], panel: &[i8], pairs: usize) -> Sums {
    const AT_ONCE: usize = 4;
    let mut out = [[0; COLUMNS]; ROWS];
    for first in (0..ROWS).step_by(AT_ONCE) {
        let mut sums = [[_mm256_setzero_si256(); 2]; AT_ONCE];
        for d in 0..pairs {
            // SAFETY: the panel has 32 values for each pair of depths, each row two.
            unsafe {
                let right = panel.as_ptr().add(d * 2 * COLUMNS).cast::<__m128i>();
                let right = [
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(right)),
                    _mm256_cvtepi8_epi16(_mm_loadu_si128(right.add(1))),
                ];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = _mm256_set1_epi32(pair(left, 2 * ((first + r) * pairs + d)));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(left, right));
                    }
                }
            }
        }
        for (out, sums) in out[first..].iter_mut().zip(sums) {
            // SAFETY: a row of sums has two times 32 bytes.
            unsafe {
                _mm256_storeu_si256(out.as_mut_ptr().cast(), sums[0]);
                _mm256_storeu_si256(out.as_mut_ptr().add(8).cast(), sums[1]);
            }
        }
    }
    out
}

/// Compares every variant that this processor has.
#[cfg(test)]
pub(super) fn check(left: &[i16], panel: &[i8], pairs: usize, expected: &Sums) {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked.
        let sums = unsafe { by_256(left, panel, pairs) };
        assert_eq!(sums, *expected);
    }
    if is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor was just asked.
        let sums = unsafe { by_512(left, panel, pairs) };
        assert_eq!(sums, *expected);
    }
}

//! Where a frame is: the rates at which positions turn, and rotary positions.

use std::{cell::OnceCell, sync::Arc};

use burn::prelude::*;

#[cfg(feature = "gpu")]
use super::adapter::Handle;
use super::host;

/// Angle in radians by which each of `pairs` pairs of channels turns from a frame to the next
/// (Vaswani et al. 2017, section 3.5; base 10000, as in rotary positions, Su et al. 2021, equation
/// 15).
pub fn turn_rates(pairs: usize) -> Vec<f64> {
    let rate = |pair| 10000f64.powf(-(pair as f64) / pairs as f64);
    (0..pairs).map(rate).collect()
}

/// Cosines and sines of rotary positions, `[time, d_head / 2]` each.
#[derive(Debug)]
pub(crate) struct Angles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

impl Angles {
    fn new(time: usize, half: usize) -> Self {
        let rates = turn_rates(half);
        let turns = (0..time).flat_map(|frame| {
            rates.iter().map(move |rate| {
                let (sin, cos) = (frame as f64 * rate).sin_cos();
                (cos as f32, sin as f32)
            })
        });
        let (cos, sin) = turns.unzip();
        Self { cos, sin }
    }
}

/// Tables of rotary positions, made once a forward pass. The pairs that turn together are the
/// channels `i` and `i + d_head / 2`.
pub(crate) struct RotaryTables {
    angles: Arc<Angles>,
    device: Device,
    /// `[1, time, 1, d_head]` each: cosines, and sines with the first half negated. Made when the
    /// first layer asks for them.
    tables: OnceCell<[Tensor<4>; 2]>,
    #[cfg(feature = "gpu")]
    on_adapter: OnceCell<Handle>,
}

impl RotaryTables {
    pub(crate) fn new(time: usize, d_head: usize, device: &Device) -> Self {
        Self {
            angles: Arc::new(Angles::new(time, d_head / 2)),
            device: device.clone(),
            tables: OnceCell::new(),
            #[cfg(feature = "gpu")]
            on_adapter: OnceCell::new(),
        }
    }

    /// The angles as kernels of a graphics adapter read them, made by `upload` the first time.
    #[cfg(feature = "gpu")]
    pub(crate) fn on_adapter(&self, upload: impl FnOnce(&Angles) -> Handle) -> &Handle {
        self.on_adapter.get_or_init(|| upload(&self.angles))
    }

    fn table(&self, values: &[f32], first_sign: f32, d_head: usize) -> Tensor<4> {
        let half = (d_head / 2).max(1);
        let rows = values.chunks_exact(half).flat_map(|row| {
            let first = row.iter().map(move |value| first_sign * value);
            first.chain(row.iter().copied())
        });
        let values: Vec<f32> = rows.collect();
        let time = values.len() / d_head.max(1);
        host::tensor(values, [1, time, 1, d_head], &self.device)
    }

    #[cfg(feature = "cpu")]
    pub(crate) fn angles(&self) -> Arc<Angles> {
        self.angles.clone()
    }

    /// Turns each pair of channels by its frame's angle: `[batch, time, heads, d_head]` to the same.
    pub(crate) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let d_head = x.dims()[3];
        let half = d_head / 2;
        let [cos, signed_sin] = self.tables.get_or_init(|| {
            let Angles { cos, sin } = &*self.angles;
            [self.table(cos, 1.0, d_head), self.table(sin, -1.0, d_head)]
        });
        let swapped = Tensor::cat(
            vec![
                x.clone().narrow(3, half, half),
                x.clone().narrow(3, 0, half),
            ],
            3,
        );
        x * cos.clone() + swapped * signed_sin.clone()
    }
}

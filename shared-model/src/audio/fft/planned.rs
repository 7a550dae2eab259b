//! Transforms by the crate `realfft`.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use super::Complex;

/// The plan of transforms of one size.
#[derive(Clone)]
pub(crate) struct RealFft {
    plan: Arc<dyn RealToComplex<f32>>,
}

/// Buffers of a transform.
#[derive(Clone)]
pub(crate) struct Scratch {
    spectrum: Vec<Complex<f32>>,
    more: Vec<Complex<f32>>,
}

impl RealFft {
    /// `size`: a power of two, 32 or more.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            plan: RealFftPlanner::new().plan_fft_forward(size),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.plan.len()
    }

    pub(crate) fn scratch(&self) -> Scratch {
        Scratch {
            spectrum: self.plan.make_output_vec(),
            more: self.plan.make_scratch_vec(),
        }
    }

    /// `[size]` samples, which are not kept, to `[size / 2 + 1]` values.
    pub(crate) fn transform<'s>(
        &self,
        samples: &mut [f32],
        scratch: &'s mut Scratch,
    ) -> &'s [Complex<f32>] {
        let Scratch { spectrum, more } = scratch;
        // The lengths are the plan's own: it cannot fail.
        let _ = self.plan.process_with_scratch(samples, spectrum, more);
        spectrum
    }
}

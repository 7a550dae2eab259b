//! A known-answer test of the device: a tiny fixed network on a fixed signal, compared with the
//! log-probabilities that the native CPU gave.

use burn::prelude::*;
use shared_model::{
    features::FeatureConfig,
    model::{CtcModel, ModelConfig},
    recognizer::{Decoder, RecognizeError, Recognizer},
    tokens::Tokens,
};

/// Largest difference of a log-probability at which a device is trusted.
pub const TOLERANCE: f32 = 1e-3;

/// f32, little-endian, `[num_frames, vocab_size]`; written by the test of this module.
const EXPECTED: &[u8] = include_bytes!("self_test.f32");

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfTestError {
    #[error(transparent)]
    Weights(#[from] shared_model::weights::WeightError),
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    #[error("its self-test gave {found} values, {expected} were expected")]
    Length { found: usize, expected: usize },
    #[error("its self-test was wrong by {0:.4}")]
    Wrong(f32),
}

/// Every kind of layer, small enough to run in a moment: 2 blocks of width 32.
fn config() -> ModelConfig {
    ModelConfig {
        d_model: 32,
        n_layers: 2,
        n_heads: 2,
        d_ffn: 64,
        conv_kernel: 7,
        dropout: 0.0,
        ..ModelConfig::default()
    }
}

/// Half a second of noise that swells; from integers, so that it is the same everywhere.
fn samples() -> Vec<f32> {
    let mut state: u32 = 1;
    (0..8_000)
        .map(|index: u16| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 16) as f32 / 32_768.0 - 1.0;
            noise * f32::from(index) / 16_000.0
        })
        .collect()
}

async fn log_probs(device: &Device) -> Result<Vec<f32>, SelfTestError> {
    let model = CtcModel::init(&config(), 1, device)?;
    let recognizer = Recognizer::from_model(
        model,
        &FeatureConfig::default(),
        Tokens::characters(),
        Decoder::Greedy,
        device,
    )?;
    Ok(recognizer.log_probs(&samples()).await?)
}

/// Runs the test; the largest difference to the stored answer, or why the device is refused.
pub async fn run(device: &Device) -> Result<f32, SelfTestError> {
    let found = log_probs(device).await?;
    let expected: Vec<f32> = EXPECTED
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    if found.len() != expected.len() {
        return Err(SelfTestError::Length {
            found: found.len(),
            expected: expected.len(),
        });
    }
    // `max` would drop a NaN.
    let error = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(
            0.0,
            |largest, error| {
                if error <= largest { largest } else { error }
            },
        );
    if error <= TOLERANCE {
        Ok(error)
    } else {
        Err(SelfTestError::Wrong(error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
        }
    }

    /// A changed network changes the answer: then run this once with `FLEDGE_WRITE_SELF_TEST=1`
    /// and look at what changed.
    #[test]
    fn the_stored_answer_is_the_native_one() {
        let device = Device::flex();
        if std::env::var_os("FLEDGE_WRITE_SELF_TEST").is_some() {
            let bytes: Vec<u8> = block_on(log_probs(&device))
                .unwrap()
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
            let path = std::path::Path::new(&package).join("src/self_test.f32");
            std::fs::write(path, bytes).unwrap();
            return;
        }
        let error = block_on(run(&device)).unwrap();
        assert!(error < 1e-4, "{error}");
    }
}

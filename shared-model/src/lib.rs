//! Fledge's one definition of features, network, decoding and metrics.
//!
//! The pipeline, with shapes:
//!
//! ```text
//! samples [num_samples] at 16 kHz
//!   -> features   [time, n_mels]              log-mel, 10 ms hop           (features)
//!   -> encoder    [batch, time', d_model]     subsampled 4x or 8x          (encoder)
//!   -> logits     [batch, time', vocab]       CTC head, blank id 0         (model)
//!   -> hypothesis tokens with frames          greedy or prefix beam        (decode)
//!   -> words      text, start, end, confidence                             (recognizer)
//! ```
//!
//! The crate compiles natively and to WebAssembly. It takes bytes and gives bytes: it reads no
//! file, starts no thread, reads no clock, prints nothing and never chooses a device.

pub mod audio;
#[cfg(feature = "audio-file")]
pub mod audio_file;
pub mod bundle;
pub mod decode;
pub(crate) mod encoder;
pub mod features;
pub mod kernels;
pub mod metrics;
pub mod model;
pub(crate) mod network;
pub(crate) mod nn;
pub mod recognizer;
pub mod tokens;
pub mod weights;

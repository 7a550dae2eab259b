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

#![warn(missing_docs, clippy::missing_errors_doc)]

pub mod audio;
/// The words of a file, whose format its bytes tell:
///
/// ```
/// use std::io::Cursor;
///
/// use burn::prelude::Device;
/// use shared_model::{
///     audio::SAMPLE_RATE_HZ,
///     audio_file::{Stretch, decode},
///     bundle::read_model,
///     metrics::word_errors,
///     recognizer::{Decoder, Recognizer},
/// };
///
/// # let folder = std::fs::read_dir("../www/models/quick-medium")?;
/// # let files = folder.map(|entry| {
/// #     let entry = entry?;
/// #     let name = entry.file_name().to_string_lossy().into_owned();
/// #     Ok((name, std::fs::read(entry.path())?))
/// # }).collect::<std::io::Result<shared_model::bundle::Files>>()?;
/// // `files`: the model folder's, by name (see `bundle`).
/// let recognizer = Recognizer::new(&read_model(&files)?, Decoder::Greedy, &Device::flex())?;
///
/// let bytes = std::fs::read("../www/samples/seven-two-nine-four.wav")?;
/// let whole = Stretch {
///     offset_secs: 0.0,
///     duration_secs: None,
///     rate_hz: Some(SAMPLE_RATE_HZ),
///     max_secs: 3600.0,
/// };
/// let audio = decode(&mut Cursor::new(bytes), &whole)?;
/// let transcript = pollster::block_on(recognizer.transcribe(&audio.samples))?;
/// assert!(word_errors("seven two nine four", &transcript.text).errors() <= 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
pub mod phrases;
pub mod recognizer;
pub mod tokens;
pub mod weights;

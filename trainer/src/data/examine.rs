//! Whether audio can be used: the one verdict of `check` and `prepare`, which is that of everything
//! that decodes it later.

use shared_model::audio::SAMPLE_RATE_HZ;

use super::audio_file::{AudioFileError, AudioInfo, AudioPlace, FileBlocks, read_info};

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The structure only, decoding where that does not tell the length: damage inside is not seen.
    Headers,
    /// Everything that would be used is decoded.
    Decode,
}

/// A stretch of a file that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// What the header says of the whole file.
    pub info: AudioInfo,
    /// How much of the stretch is there, seconds.
    pub length_secs: f64,
    /// What decoding found worth saying, each in a sentence with the file's name.
    pub notices: Vec<String>,
}

/// Looks at `duration_secs` (absent: all) from `offset_secs` on.
///
/// # Errors
/// As [`super::decode_16k`], as far as the depth shows it.
pub fn examine<'a>(
    place: impl Into<AudioPlace<'a>>,
    offset_secs: f64,
    duration_secs: Option<f64>,
    depth: Depth,
) -> Result<Examined, AudioFileError> {
    let place = place.into();
    if depth == Depth::Headers {
        let info = read_info(place)?;
        if let Some(there) = info.duration_secs.filter(|there| *there > offset_secs) {
            let rest = there - offset_secs;
            return Ok(Examined {
                info,
                length_secs: duration_secs.map_or(rest, |wanted| wanted.min(rest)),
                notices: vec![],
            });
        }
    }
    let mut blocks = FileBlocks::open_stretch(place, offset_secs, duration_secs)?;
    let mut num_samples = 0;
    while let Some(block) = blocks.next_block()? {
        num_samples += block.len();
    }
    Ok(Examined {
        info: blocks.info().clone(),
        length_secs: num_samples as f64 / f64::from(SAMPLE_RATE_HZ),
        notices: blocks.notices().collect(),
    })
}

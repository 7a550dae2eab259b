//! Decoding block by block, in memory that does not grow with the file.

use super::mono::{Flow, MonoStream, stretch};
use super::notice::{AudioNotice, Notices};
use super::{AudioFileError, AudioInfo, AudioSource, Block, Decoder, Stretch, open};

/// Up to here a stretch is reached by decoding from the start.
const SEEK_FROM_SECS: f64 = 4.0;

/// A stretch of a file as a row of blocks: mono, at the rate that was asked for.
///
/// ```
/// # use shared_model::audio_file::{AudioBlocks, AudioFileError, Stretch};
/// # fn loudest(file: std::fs::File) -> Result<f32, AudioFileError> {
/// let whole = Stretch {
///     offset_secs: 0.0,
///     duration_secs: None,
///     rate_hz: Some(16_000),
///     max_secs: 24.0 * 3600.0,
/// };
/// let mut blocks = AudioBlocks::open(file, &whole)?;
/// let mut loudest = 0.0_f32;
/// while let Some(block) = blocks.next_block()? {
///     loudest = block.iter().fold(loudest, |most, sample| most.max(sample.abs()));
/// }
/// # Ok(loudest)
/// # }
/// ```
pub struct AudioBlocks<'s> {
    info: AudioInfo,
    decoder: Box<dyn Decoder + 's>,
    mono: MonoStream,
    notices: Notices,
    block: Block,
    out: Vec<f32>,
    /// Seconds of the stretch that the header promises.
    expected_secs: Option<f64>,
    offset_secs: f64,
    is_done: bool,
}

impl<'s> AudioBlocks<'s> {
    /// Opens a file and goes to the beginning of the stretch.
    ///
    /// # Errors
    /// As [`super::decode`], as far as the structure of the file can tell.
    pub fn open(source: impl AudioSource + 's, wanted: &Stretch) -> Result<Self, AudioFileError> {
        let mut decoder = open(Box::new(source))?;
        let info = decoder.info();
        let rate_hz = info.sample_rate_hz;
        let (first, frames) = stretch(rate_hz, wanted.offset_secs, wanted.duration_secs);
        let offset_secs = wanted.offset_secs.max(0.0);
        if let Some(length_secs) = info.duration_secs
            && first as f64 >= (length_secs * f64::from(rate_hz)).round()
        {
            return Err(AudioFileError::OffsetPastEnd {
                offset_secs,
                length_secs,
            });
        }
        let position = if offset_secs > SEEK_FROM_SECS {
            decoder.skip_to(offset_secs)?.min(first)
        } else {
            0
        };
        let cut = (first - position, frames);
        let target = (wanted.rate_hz, wanted.max_secs);
        let mono = MonoStream::new(rate_hz, info.channels, position, cut, target)?;
        let expected_secs = info.duration_secs.map(|secs| {
            let rest = secs - offset_secs;
            wanted.duration_secs.map_or(rest, |most| rest.min(most))
        });
        if expected_secs.is_some_and(|secs| secs > wanted.max_secs * (1.0 + 1e-7)) {
            return Err(mono.too_long());
        }
        Ok(Self {
            info,
            decoder,
            mono,
            notices: Notices::default(),
            block: Block::default(),
            out: Vec::new(),
            expected_secs,
            offset_secs,
            is_done: false,
        })
    }

    /// What the header says of the whole file.
    pub fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// The rate of the blocks.
    pub fn sample_rate_hz(&self) -> u32 {
        self.mono.rate_hz()
    }

    /// How long the stretch will be, in seconds; absent where only decoding can tell.
    pub fn expected_secs(&self) -> Option<f64> {
        self.expected_secs
    }

    /// Room for all samples of the stretch.
    pub(super) fn expected_samples(&self) -> Option<usize> {
        let secs = self.expected_secs?;
        Some((secs * f64::from(self.sample_rate_hz())) as usize + 4096)
    }

    /// What was found worth saying so far.
    pub fn notices(&self) -> &[AudioNotice] {
        self.notices.as_slice()
    }

    /// The next samples, never none; absent at the end.
    ///
    /// # Errors
    /// As [`super::decode`]. After an error there are no more blocks.
    pub fn next_block(&mut self) -> Result<Option<&[f32]>, AudioFileError> {
        self.out.clear();
        while !self.is_done && self.out.is_empty() {
            if let Err(error) = self.advance() {
                self.is_done = true;
                return Err(error);
            }
        }
        Ok((!self.out.is_empty()).then_some(self.out.as_slice()))
    }

    fn advance(&mut self) -> Result<(), AudioFileError> {
        let (out, notices) = (&mut self.out, &mut self.notices);
        let is_more = self.decoder.next(&mut self.block, notices)?;
        let is_enough = is_more && self.mono.push(&self.block, out, notices)? == Flow::Enough;
        if is_more && !is_enough {
            return Ok(());
        }
        self.mono.finish(out, notices)?;
        self.is_done = true;
        if self.mono.taken_secs() > 0.0 {
            return Ok(());
        }
        Err(match self.mono.seen_secs() {
            0.0 => AudioFileError::NoSamples,
            length_secs => AudioFileError::OffsetPastEnd {
                offset_secs: self.offset_secs,
                length_secs,
            },
        })
    }
}

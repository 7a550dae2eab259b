//! What is worth saying of audio that was decoded all the same.

use std::fmt;

/// Something about a decoded file that its user should know; the words continue a sentence that
/// begins with the file's name. Times are seconds from the file's beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AudioNotice {
    /// Bytes that make no sense; silence stands in their place.
    Damaged {
        /// Where they are.
        at_secs: f64,
        /// How much is silent.
        lost_secs: f64,
    },
    /// The file ends before its header says.
    CutShort {
        /// What is there.
        got_secs: f64,
        /// What the header promises.
        expected_secs: f64,
    },
    /// The channels are each other's negative: their mean would be near silence.
    ChannelsCancel {
        /// From where on.
        at_secs: f64,
        /// The channel that is taken instead of the mean, from 0 on.
        channel: usize,
    },
}

impl fmt::Display for AudioNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { at_secs, lost_secs } => write!(
                f,
                "is damaged at {at_secs:.2} s: {lost_secs:.2} seconds are silence"
            ),
            Self::CutShort {
                got_secs,
                expected_secs,
            } => write!(
                f,
                "is cut short: {got_secs:.2} of {expected_secs:.2} seconds are there"
            ),
            Self::ChannelsCancel { at_secs, channel } => write!(
                f,
                "has channels that cancel each other from {at_secs:.2} s on: channel {} is taken",
                channel + 1
            ),
        }
    }
}

/// More than these are added to the last.
const MAX_NOTICES: usize = 20;
/// Damaged moments this near to each other are one.
const MOMENT_SECS: f64 = 0.25;

/// The notices of one file, few enough to be read.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<AudioNotice>);

impl Notices {
    pub fn as_slice(&self) -> &[AudioNotice] {
        &self.0
    }

    pub fn push(&mut self, notice: AudioNotice) {
        if self.0.len() < MAX_NOTICES {
            self.0.push(notice);
        }
    }

    pub fn damaged(&mut self, at_secs: f64, lost_secs: f64) {
        let is_full = self.0.len() == MAX_NOTICES;
        if let Some(AudioNotice::Damaged {
            at_secs: last,
            lost_secs: lost,
        }) = self.0.last_mut()
            && (is_full || at_secs <= *last + *lost + MOMENT_SECS)
        {
            *lost += lost_secs;
            return;
        }
        self.push(AudioNotice::Damaged { at_secs, lost_secs });
    }
}

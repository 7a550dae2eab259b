//! The decoder that the command line asks for, shared by all worker threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared_model::bundle::{LM_FILE, LoadedModel};
use shared_model::decode::lm::NgramLm;
use shared_model::decode::{BeamConfig, BeamDecoder, BoostList, DecodeError, MAX_BOOST_BYTES};
use shared_model::phrases::PhraseDecoder;
use shared_model::recognizer::Decoder;
use shared_model::tokens::{Tokens, normalize_text};

use crate::exit_status::{ExitStatus, HasExitStatus};

/// Greatest language model or word list read.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// A language model or word list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecoderFileError {
    /// It cannot be read or unpacked.
    #[error("{path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is over the limit.
    #[error("{path} is {bytes} bytes, more than the limit of {MAX_FILE_BYTES}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is over the limit once unpacked.
    #[error("{path} unpacks to more than the limit of {max_bytes} bytes")]
    UnpacksTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        max_bytes: u64,
    },
    /// It is no language model, or no list of boosted phrases.
    #[error("{path}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A word list or a list of phrases is not UTF-8.
    #[error("{path}: not UTF-8 text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A word list is empty once it is normalised.
    #[error("{path} holds no word")]
    NoWords {
        /// The file.
        path: PathBuf,
    },
}

impl HasExitStatus for DecoderFileError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::UnpacksTooLarge { .. }
            | Self::Content { .. }
            | Self::NotText { .. }
            | Self::NoWords { .. } => ExitStatus::Data,
        }
    }
}

/// Settings as given; what is left out comes from the model folder, then from the defaults.
#[derive(Debug, Clone, Default)]
pub struct DecoderSettings {
    /// In place of [`BeamConfig::beam`].
    pub beam: Option<usize>,
    /// In place of [`BeamConfig::lm_weight`].
    pub lm_weight: Option<f32>,
    /// In place of [`BeamConfig::word_bonus`].
    pub word_bonus: Option<f32>,
    /// In place of [`BeamConfig::unknown_word_bonus`].
    pub unknown_word_bonus: Option<f32>,
    /// In place of [`BeamConfig::blank_penalty`].
    pub blank_penalty: Option<f32>,
    /// In place of [`BeamConfig::token_min_log_prob`].
    pub token_min_log_prob: Option<f32>,
    /// In place of [`BeamConfig::score_margin`].
    pub score_margin: Option<f32>,
    /// ARPA or binary; without one the model folder's own.
    pub lm: Option<PathBuf>,
    /// Not even the model folder's own.
    pub no_lm: bool,
    /// Over letters, even where network and language model know phones.
    pub no_phones: bool,
    /// One word a line; what follows a tab is ignored.
    pub words: Option<PathBuf>,
    /// Phrases that are likelier, one a line, and behind ` :` a weight.
    pub boost: Option<PathBuf>,
    /// Of phrases without a weight of their own, in place of [`BoostList::DEFAULT_WEIGHT`].
    pub boost_weight: Option<f32>,
}

impl DecoderSettings {
    /// The folder's settings of a search, or the default ones, with what was given in their place.
    fn applied_to(&self, stored: &Option<BeamConfig>) -> BeamConfig {
        let mut config = stored.clone().unwrap_or_default();
        let set = |value: &mut f32, given: Option<f32>| *value = given.unwrap_or(*value);
        config.beam = self.beam.unwrap_or(config.beam);
        set(&mut config.lm_weight, self.lm_weight);
        set(&mut config.word_bonus, self.word_bonus);
        set(&mut config.unknown_word_bonus, self.unknown_word_bonus);
        set(&mut config.blank_penalty, self.blank_penalty);
        set(&mut config.token_min_log_prob, self.token_min_log_prob);
        set(&mut config.score_margin, self.score_margin);
        config
    }
}

/// The decoder that words are written by.
pub enum DecoderChoice {
    /// The best token of each frame.
    Greedy,
    /// Prefix beam search.
    Beam {
        /// Its settings.
        config: BeamConfig,
        /// The only words that may be written, if they are limited.
        words: Option<Vec<String>>,
        /// The language model, if one takes part.
        lm: Option<Arc<NgramLm>>,
        /// File name of the language model, for reports.
        lm_name: Option<String>,
        /// Phrases that are likelier.
        boosts: Option<BoostList>,
        /// Over phones, with the language model's words alone.
        by_phones: bool,
    },
    /// Nothing but the phrases of a list.
    Phrases(PhraseDecoder),
}

impl DecoderChoice {
    /// Beam search with the given settings for this model.
    ///
    /// # Errors
    /// A language model or word list that cannot be read or used.
    pub fn beam(
        loaded: &LoadedModel,
        settings: &DecoderSettings,
    ) -> Result<Self, DecoderFileError> {
        let words = settings.words.as_deref().map(read_words).transpose()?;
        let lm = match (&settings.lm, &loaded.lm) {
            (Some(path), _) => {
                let name = path.file_name().unwrap_or_default();
                Some((read_lm(path)?, name.to_string_lossy().into_owned()))
            }
            (None, Some(stored)) if !settings.no_lm => {
                let lm = NgramLm::from_bytes(stored);
                let lm = lm.map_err(|source| DecoderFileError::Content {
                    path: LM_FILE.into(),
                    source,
                })?;
                Some((lm, LM_FILE.to_owned()))
            }
            _ => None,
        };
        let (lm, lm_name) = lm.unzip();
        let weight = settings.boost_weight.unwrap_or(BoostList::DEFAULT_WEIGHT);
        let boosts = settings.boost.as_deref();
        let has_phones = |lm: &NgramLm| words.is_none() && loaded.reads_phones_with(lm);
        let by_phones = !settings.no_phones && lm.as_ref().is_some_and(has_phones);
        Ok(Self::Beam {
            config: settings.applied_to(match by_phones {
                true => &loaded.phone_beam,
                false => &loaded.beam,
            }),
            by_phones,
            words,
            lm: lm.map(Arc::new),
            lm_name,
            boosts: boosts.map(|path| read_boosts(path, weight)).transpose()?,
        })
    }

    /// `greedy`, `beam` or `phrases`, as reports call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Beam { .. } => "beam",
            Self::Phrases(_) => "phrases",
        }
    }

    /// File name of the language model, if one takes part.
    pub fn lm_name(&self) -> Option<&str> {
        match self {
            Self::Greedy | Self::Phrases(_) => None,
            Self::Beam { lm_name, .. } => lm_name.as_deref(),
        }
    }

    /// A decoder of its own for each thread.
    ///
    /// # Errors
    /// Settings out of their ranges, or words that the tokens cannot spell.
    pub fn build(&self, tokens: &Tokens) -> Result<Decoder, DecodeError> {
        match self {
            Self::Greedy => Ok(Decoder::Greedy),
            Self::Phrases(phrases) => Ok(Decoder::Phrases(phrases.clone())),
            Self::Beam {
                config,
                words,
                lm,
                boosts,
                by_phones,
                ..
            } => {
                let (config, words) = (config.clone(), words.as_deref());
                let beam = match lm {
                    Some(lm) if *by_phones => BeamDecoder::of_phones(config, lm.clone())?,
                    _ => BeamDecoder::new(tokens, config, words, lm.clone())?,
                };
                Ok(Decoder::Beam(match boosts {
                    Some(boosts) => beam.boosting(boosts)?,
                    None => beam,
                }))
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, DecoderFileError> {
    let failed = |source| DecoderFileError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(DecoderFileError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    let content = std::fs::read(path).map_err(failed)?;
    if content.starts_with(&[0x1f, 0x8b]) {
        return inflate(path, &content, MAX_FILE_BYTES);
    }
    Ok(content)
}

/// Language models and word lists are often kept compressed.
fn inflate(path: &Path, compressed: &[u8], max_bytes: u64) -> Result<Vec<u8>, DecoderFileError> {
    use std::io::Read;
    let mut content = Vec::new();
    let unpacked = flate2::read::MultiGzDecoder::new(compressed);
    // One more byte than allowed tells what is too long from what just fits.
    unpacked
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|source| DecoderFileError::Read {
            path: path.to_owned(),
            source,
        })?;
    if content.len() as u64 > max_bytes {
        return Err(DecoderFileError::UnpacksTooLarge {
            path: path.to_owned(),
            max_bytes,
        });
    }
    Ok(content)
}

/// A language model in any of its forms, compressed or not.
///
/// # Errors
/// A file that cannot be read, is over 2 GiB, or is no language model.
pub fn read_lm(path: &Path) -> Result<NgramLm, DecoderFileError> {
    NgramLm::from_bytes(&read_file(path)?).map_err(|source| DecoderFileError::Content {
        path: path.to_owned(),
        source,
    })
}

fn read_boosts(path: &Path, weight: f32) -> Result<BoostList, DecoderFileError> {
    let bytes = read_file(path)?;
    if bytes.len() > MAX_BOOST_BYTES {
        return Err(DecoderFileError::UnpacksTooLarge {
            path: path.to_owned(),
            max_bytes: MAX_BOOST_BYTES as u64,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| DecoderFileError::NotText {
        path: path.to_owned(),
    })?;
    BoostList::parse(&text, weight).map_err(|source| DecoderFileError::Content {
        path: path.to_owned(),
        source,
    })
}

fn read_words(path: &Path) -> Result<Vec<String>, DecoderFileError> {
    let text = String::from_utf8(read_file(path)?).map_err(|_| DecoderFileError::NotText {
        path: path.to_owned(),
    })?;
    let mut words: Vec<String> = text
        .lines()
        .filter_map(|line| line.split('\t').next())
        .map(normalize_text)
        .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        return Err(DecoderFileError::NoWords {
            path: path.to_owned(),
        });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn a_word_list_may_have_counts_and_be_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt.gz");
        let file = std::fs::File::create(&path).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(b"two\t7\nOne\t9\n\none\t1\n").unwrap();
        gzip.finish().unwrap();
        assert_eq!(read_words(&path).unwrap(), ["one", "two"]);
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_and_not_cut() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"two\none\n").unwrap();
        let packed = gzip.finish().unwrap();
        let path = Path::new("words.txt.gz");
        assert_eq!(inflate(path, &packed, 8).unwrap(), b"two\none\n");
        assert!(matches!(
            inflate(path, &packed, 7),
            Err(DecoderFileError::UnpacksTooLarge { max_bytes: 7, .. })
        ));
        // Several members in one file are one text.
        let twice = [packed.clone(), packed].concat();
        assert_eq!(inflate(path, &twice, 16).unwrap().len(), 16);
        assert!(inflate(path, &twice, 15).is_err());
    }

    #[test]
    fn an_empty_word_list_and_a_missing_file_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.txt");
        let error = read_words(&path).unwrap_err();
        assert!(crate::fault::error_line(&error).contains("words.txt: No such file"));
        std::fs::write(&path, "\n \n").unwrap();
        assert!(matches!(
            read_words(&path),
            Err(DecoderFileError::NoWords { .. })
        ));
    }
}

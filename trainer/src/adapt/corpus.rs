//! The sets of an adaptation: spoken, drawn from other speech, and written as manifests. A set whose
//! manifest is there is not made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{RngExt, SeedableRng};
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::decode::lm::NgramLm;
use shared_model::phrases::PhraseDecoder;
use shared_model::tokens::Tokens;

use super::AdaptError;
use super::amounts::{Amounts, HELD_SPEECH_SECS_PER_PHRASE, SPEECH_SECS_PER_PHRASE};
use super::other_speech::OtherSpeech;
use super::speak::{Clip, clips};
use super::texts::{other_texts, phrase_texts, sentences};
use super::voices::{Cast, Voice};
use crate::data::{
    AugmentRng, ManifestLine, Utterance, background, decode_16k, read_manifest, rounded, wav_bytes,
};
use crate::evaluate::PhraseFile;
use crate::files::write_atomically;
use crate::parallel::{Task, run_all};

/// Where the sets are.
#[derive(Debug, Clone)]
pub struct Corpus {
    folder: PathBuf,
}

/// Other speech: what people say that is no phrase.
pub enum General {
    /// Given as a manifest.
    Speech(OtherSpeech),
    /// Spoken: sentences of a language model.
    Text(Box<NgramLm>),
}

/// What a corpus is made of.
pub struct Ingredients<'a> {
    /// The list.
    pub file: &'a PhraseFile,
    /// Which texts are phrases of it.
    pub decoder: &'a PhraseDecoder,
    /// What texts must be spelled with.
    pub tokens: &'a Tokens,
    /// Other speech.
    pub general: &'a General,
    /// Who speaks in which set.
    pub cast: &'a Cast,
    /// How much of each kind.
    pub amounts: Amounts,
    /// Every draw follows from it.
    pub seed: u64,
    /// Threads that speak.
    pub threads: usize,
    /// Set from outside to stop before the next clip.
    pub stop: &'a AtomicBool,
    /// Gets a sentence for people now and then.
    pub tell: &'a dyn Fn(String),
}

/// A clip's line before it is spoken.
struct Line {
    file: String,
    text: String,
    speaker: String,
    id: String,
    secs: f64,
}

impl Corpus {
    /// The sets in a folder, which need not exist.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The manifest of a set.
    pub fn manifest(&self, set: &str) -> PathBuf {
        self.folder.join(format!("{set}.jsonl"))
    }

    /// The utterances of a set; none of one that there was nothing for.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn utterances(&self, set: &str) -> Result<Vec<Utterance>, AdaptError> {
        let path = self.manifest(set);
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(read_manifest(&path)?)
    }

    /// Puts sets together in one manifest.
    ///
    /// # Errors
    /// Manifests that cannot be read or written.
    pub fn join(&self, sets: &[&str], name: &str) -> Result<(), AdaptError> {
        let mut all = String::new();
        for path in sets.iter().map(|set| self.manifest(set)) {
            if path.exists() {
                all.push_str(&fs::read_to_string(&path).map_err(AdaptError::file(&path))?);
            }
        }
        let path = self.manifest(name);
        write_atomically(&path, all.as_bytes()).map_err(AdaptError::file(&path))
    }

    /// Makes what is not there yet: `phrases`, `others`, `general` and `background` to learn from,
    /// and `dev-phrases`, `dev-others`, `dev-general`, `test-...` by held-out voices.
    ///
    /// # Errors
    /// A list that nothing can be said of, voices that do not speak, files, or a stop.
    pub fn make(&self, of: &Ingredients<'_>) -> Result<(), AdaptError> {
        fs::create_dir_all(&self.folder).map_err(AdaptError::file(&self.folder))?;
        let Amounts {
            phrases,
            others,
            sentences,
            held_phrases,
            held_others,
            held_sentences,
            ..
        } = of.amounts;
        let cast = of.cast;
        self.part(of, "", 0, &cast.train, [phrases, others, sentences])?;
        let held = [held_phrases, held_others, held_sentences];
        self.part(of, "dev-", 1, &cast.dev, held)?;
        self.part(of, "test-", 2, &cast.test, held)?;
        self.backgrounds(of)
    }

    fn part(
        &self,
        of: &Ingredients<'_>,
        prefix: &str,
        number: u64,
        voices: &[Voice],
        [phrases, others, general]: [usize; 3],
    ) -> Result<(), AdaptError> {
        let mut rng = AugmentRng::seed_from_u64(of.seed.wrapping_mul(3).wrapping_add(number));
        let phrases = phrase_texts(&of.file.list, of.decoder, phrases, &mut rng);
        if phrases.is_empty() {
            return Err(AdaptError::NothingToSay {
                path: of.file.path.clone(),
            });
        }
        let general_set = format!("{prefix}general");
        let sentences = match of.general {
            General::Text(lm) => sentences(lm, of.tokens, general, &mut rng),
            General::Speech(speech) => {
                let secs = match number {
                    0 => SPEECH_SECS_PER_PHRASE * of.amounts.phrases as f64,
                    _ => HELD_SPEECH_SECS_PER_PHRASE * of.amounts.held_phrases as f64,
                };
                speech.write(number as usize, secs, &self.manifest(&general_set))?
            }
        };
        let others = other_texts(&phrases, &sentences, of.decoder, others, &mut rng);
        for (set, texts) in [
            ("phrases", &phrases),
            ("others", &others),
            ("general", &sentences),
        ] {
            let set = format!("{prefix}{set}");
            let clips = clips(&set, texts, voices, &mut rng);
            self.spoken(of, &set, clips)?;
        }
        Ok(())
    }

    /// Speaks a set, unless its manifest is there.
    fn spoken(&self, of: &Ingredients<'_>, set: &str, clips: Vec<Clip>) -> Result<(), AdaptError> {
        if self.manifest(set).exists() || clips.is_empty() {
            return Ok(());
        }
        (of.tell)(format!("speaking {} clips: {set}", clips.len()));
        let (folder, stop) = (&self.folder, of.stop);
        let speak = move |clip: &Clip| {
            if stop.load(Ordering::SeqCst) {
                return Err(AdaptError::Stopped);
            }
            Ok(Line {
                secs: clip.speak(folder)?,
                file: clip.file_name(),
                text: clip.text.written.clone(),
                speaker: clip.voice.speaker(),
                id: clip.id.clone(),
            })
        };
        let tasks = clips.chunks(16).map(|some| {
            let task = move || some.iter().map(speak).collect();
            Box::new(task) as Task<'_, Result<Vec<Line>, AdaptError>>
        });
        let lines: Vec<Vec<Line>> = run_all(of.threads, tasks.collect())
            .into_iter()
            .collect::<Result<_, _>>()?;
        self.write(set, &lines.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Noise and babble that nobody speaks in: step 1 learns from it what the teacher writes there,
    /// which is next to nothing.
    fn backgrounds(&self, of: &Ingredients<'_>) -> Result<(), AdaptError> {
        const SECS: f64 = 5.0;
        let set = "background";
        if self.manifest(set).exists() {
            return Ok(());
        }
        let mut rng = AugmentRng::seed_from_u64(of.seed ^ 0x6261_636b);
        let others = self.utterances("others")?;
        let mut lines = Vec::new();
        for index in 0..of.amounts.backgrounds.max(1) {
            let mut clip = |rng: &mut AugmentRng| {
                let other = others.get(rng.random_range(0..others.len().max(1)))?;
                decode_16k(other.audio(), other.offset_secs, None).ok()
            };
            let mut sound = background(
                (SECS * f64::from(SAMPLE_RATE_HZ)) as usize,
                &mut rng,
                &mut clip,
            );
            let peak = sound.iter().fold(1e-3_f32, |peak, s| peak.max(s.abs()));
            let level = rng.random_range(0.01..0.3_f32);
            sound.iter_mut().for_each(|s| *s *= level / peak);
            let id = format!("{set}-{index:05}");
            let file = format!("{id}.wav");
            let path = self.folder.join(&file);
            write_atomically(&path, &wav_bytes(&sound)).map_err(AdaptError::file(&path))?;
            lines.push(Line {
                file,
                text: String::new(),
                speaker: "nobody".to_owned(),
                id,
                secs: SECS,
            });
        }
        self.write(set, &lines)
    }

    fn write(&self, set: &str, lines: &[Line]) -> Result<(), AdaptError> {
        let path = self.manifest(set);
        let lines = lines.iter().map(|line| ManifestLine {
            audio_filepath: line.file.clone(),
            member: None,
            duration: rounded(line.secs),
            offset: None,
            text: line.text.clone(),
            confidence: None,
            speaker: Some(&line.speaker),
            id: &line.id,
        });
        write_manifest(&path, lines)
    }
}

/// Writes lines of a manifest, all or none.
pub(super) fn write_manifest<'a>(
    path: &Path,
    lines: impl Iterator<Item = ManifestLine<'a>>,
) -> Result<(), AdaptError> {
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(&line).map_err(std::io::Error::other);
        text.push_str(&line.map_err(AdaptError::file(path))?);
        text.push('\n');
    }
    write_atomically(path, text.as_bytes()).map_err(AdaptError::file(path))
}

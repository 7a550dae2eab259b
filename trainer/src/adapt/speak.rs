//! A text, a voice and a manner of speaking to a file of audio.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::RngExt;
use rand::seq::IndexedRandom;
use shared_model::audio::SAMPLE_RATE_HZ;

use super::AdaptError;
use super::texts::Text;
use super::voices::{Engine, Voice};
use crate::data::{AugmentRng, decode_16k, read_info, wav_bytes};
use crate::files::partial_path;

/// Everything about a clip that is to be spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Names it, and its file.
    pub id: String,
    /// What is said.
    pub text: Text,
    /// Who says it.
    pub voice: Voice,
    accent: Option<String>,
    /// 1 is the voice's own.
    tempo: f32,
    /// 1 is the voice's own.
    pitch: f32,
    /// Silence before and behind, seconds.
    silence_secs: [f32; 2],
}

const TEMPO: std::ops::Range<f32> = 0.8..1.25;
const PITCH: std::ops::Range<f32> = 0.82..1.2;
const SILENCE_SECS: std::ops::Range<f32> = 0.0..0.4;
/// espeak-ng's words a minute at a tempo of 1, and its pitch at 1, of 99.
const ESPEAK_WORDS: f32 = 160.0;
const ESPEAK_PITCH: f32 = 48.0;
/// Mean pitch of flite's voices, Hz; others keep theirs.
const FLITE_PITCH_HZ: [(&str, f32); 4] = [
    ("slt", 180.0),
    ("rms", 100.0),
    ("awb", 120.0),
    ("kal16", 105.0),
];
/// Highest sample of a clip.
const PEAK: f32 = 0.5;

/// One clip for each text, by voices that are drawn: half of the time one of flite where there are
/// both, because its voices are few and the better ones.
pub fn clips(set: &str, texts: &[Text], voices: &[Voice], rng: &mut AugmentRng) -> Vec<Clip> {
    let of = |engine| voices.iter().filter(move |voice| voice.engine == engine);
    let engines = [of(Engine::EspeakNg).collect(), of(Engine::Flite).collect()];
    let engines: Vec<Vec<&Voice>> = engines
        .into_iter()
        .filter(|e: &Vec<&Voice>| !e.is_empty())
        .collect();
    let mut clips = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let voice = engines
            .choose(rng)
            .and_then(|voices| voices.choose(rng).copied());
        let Some(voice) = voice else { break };
        clips.push(Clip {
            id: format!("{set}-{index:05}"),
            text: text.clone(),
            accent: voice.accents.choose(rng).cloned(),
            voice: voice.clone(),
            tempo: rng.random_range(TEMPO),
            pitch: rng.random_range(PITCH),
            silence_secs: [
                rng.random_range(SILENCE_SECS),
                rng.random_range(SILENCE_SECS),
            ],
        });
    }
    clips
}

impl Clip {
    /// Its file.
    pub fn file_name(&self) -> String {
        format!("{}.wav", self.id)
    }

    /// Speaks into `folder`, unless it has been done; the clip's length, seconds.
    ///
    /// # Errors
    /// The voice does not speak, or its file cannot be written.
    pub fn speak(&self, folder: &Path) -> Result<f64, AdaptError> {
        let path = folder.join(self.file_name());
        if let Ok(info) = read_info(&path)
            && let Some(secs) = info.duration_secs
        {
            return Ok(secs);
        }
        let raw = folder.join(format!("{}.spoken.wav", self.id));
        self.run(&raw)?;
        let mut samples = decode_16k(&raw, 0.0, None)?;
        let peak = samples.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
        samples.iter_mut().for_each(|s| *s *= PEAK / peak.max(1e-3));
        let [before, behind] = self
            .silence_secs
            .map(|secs| (secs * SAMPLE_RATE_HZ as f32) as usize);
        let mut padded = vec![0.0; before];
        padded.extend(samples);
        padded.resize(padded.len() + behind, 0.0);
        // Not flushed to the disk: what is lost is spoken again.
        let partial = partial_path(&path);
        fs::write(&partial, wav_bytes(&padded)).map_err(AdaptError::file(&partial))?;
        fs::rename(&partial, &path).map_err(AdaptError::file(&path))?;
        fs::remove_file(&raw).map_err(AdaptError::file(&raw))?;
        Ok(padded.len() as f64 / f64::from(SAMPLE_RATE_HZ))
    }

    fn run(&self, out: &Path) -> Result<(), AdaptError> {
        let mut command = self.command(out);
        let failed = |reason: String| AdaptError::Speak {
            program: self.voice.engine.program(),
            voice: self.voice.name.clone(),
            text: self.text.spoken.clone(),
            reason,
        };
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said
                .lines()
                .next()
                .unwrap_or("it gave no reason")
                .to_owned();
            return Err(failed(format!("{} ({said})", output.status)));
        }
        Ok(())
    }

    /// No shell is between: a text is one argument, whatever it holds. It begins with a letter, as
    /// every phrase does, and so is no option.
    fn command(&self, out: &Path) -> Command {
        let voice = &self.voice;
        let mut command = Command::new(voice.engine.program());
        match voice.engine {
            Engine::EspeakNg => {
                let accent = self.accent.as_deref().unwrap_or("en");
                let words = (ESPEAK_WORDS * self.tempo).round();
                let pitch = (ESPEAK_PITCH * self.pitch).round().min(99.0);
                command.args(["-v", &format!("{accent}+{}", voice.name)]);
                command.args(["-s", &words.to_string(), "-p", &pitch.to_string(), "-w"]);
                command.arg(out).arg(&self.text.spoken);
            }
            Engine::Flite => {
                command.args(["-voice", &voice.name]);
                command.args([
                    "--setf",
                    &format!("duration_stretch={:.2}", 1.0 / self.tempo),
                ]);
                let known = FLITE_PITCH_HZ.iter().find(|(name, _)| *name == voice.name);
                if let Some((_, hz)) = known {
                    let hz = hz * self.pitch;
                    command.args(["--setf", &format!("int_f0_target_mean={hz:.0}")]);
                }
                command.args(["-t", &self.text.spoken, "-o"]).arg(out);
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;

    use super::*;

    fn voice(engine: Engine, name: &str) -> Voice {
        Voice {
            engine,
            name: name.to_owned(),
            accents: Vec::new(),
        }
    }

    fn text(text: &str) -> Text {
        Text {
            written: text.to_owned(),
            spoken: text.to_owned(),
        }
    }

    #[test]
    fn half_of_the_clips_are_the_few_better_voices() {
        let mut voices = vec![voice(Engine::Flite, "slt")];
        voices.extend((0..50).map(|index| voice(Engine::EspeakNg, &index.to_string())));
        let texts = vec![text("stop"); 1000];
        let clips = clips("train", &texts, &voices, &mut AugmentRng::seed_from_u64(1));
        let by_flite = clips
            .iter()
            .filter(|clip| clip.voice.engine == Engine::Flite);
        assert!((430..570).contains(&by_flite.count()));
        assert_eq!(clips[999].file_name(), "train-00999.wav");
    }

    #[test]
    fn a_text_is_one_argument_whatever_it_holds() {
        for engine in [Engine::EspeakNg, Engine::Flite] {
            let texts = [text("stop; rm -r \"$HOME\" `x`")];
            let voices = [voice(engine, "slt")];
            let clips = clips("x", &texts, &voices, &mut AugmentRng::seed_from_u64(1));
            let command = clips[0].command(Path::new("out.wav"));
            assert!(
                command
                    .get_args()
                    .any(|argument| argument == "stop; rm -r \"$HOME\" `x`")
            );
        }
    }

    #[test]
    fn a_clip_that_is_there_is_not_spoken_again() {
        let folder = tempfile::tempdir().unwrap();
        let voices = [voice(Engine::Flite, "no such voice, no such program")];
        let clips = clips(
            "x",
            &[text("stop")],
            &voices,
            &mut AugmentRng::seed_from_u64(1),
        );
        let path = folder.path().join(clips[0].file_name());
        fs::write(&path, wav_bytes(&[0.1; 8000])).unwrap();
        assert_eq!(clips[0].speak(folder.path()).unwrap(), 0.5);
    }
}

//! Speech of other people, given as manifests: what students must not forget, and not take for a
//! phrase.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::AdaptError;
use super::corpus::write_manifest;
use super::texts::Text;
use crate::data::{AugmentRng, ManifestLine, Utterance, read_manifest, relative_path, rounded};

/// Utterances of three sets: to learn from, to tune with, to test with.
pub struct OtherSpeech {
    parts: [Vec<Utterance>; 3],
}

/// Of the utterances, those that each held-out set may have.
const HELD_OUT_SHARE: f64 = 0.1;
/// Longer ones are left out, as training does.
const MAX_SECS: f64 = 17.0;

impl OtherSpeech {
    /// Reads manifests and holds out whole speakers where there are several, else utterances.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn read(manifests: &[PathBuf], seed: u64) -> Result<Self, AdaptError> {
        let mut all = Vec::new();
        for path in manifests {
            all.extend(read_manifest(path)?);
        }
        all.retain(|utterance| {
            (0.3..=MAX_SECS).contains(&utterance.duration_secs) && !utterance.text.is_empty()
        });
        let total = all.len();
        let mut speakers: BTreeMap<String, Vec<Utterance>> = BTreeMap::new();
        for (index, utterance) in all.into_iter().enumerate() {
            // Who is not named is somebody else every time.
            let speaker = utterance.speaker.clone();
            let speaker = speaker.unwrap_or_else(|| format!("{index}: {}", utterance.id));
            speakers.entry(speaker).or_default().push(utterance);
        }
        let mut speakers: Vec<Vec<Utterance>> = speakers.into_values().collect();
        if speakers.len() < 3 {
            let alone = speakers
                .into_iter()
                .flatten()
                .map(|utterance| vec![utterance]);
            speakers = alone.collect();
        }
        speakers.shuffle(&mut AugmentRng::seed_from_u64(seed));
        let mut parts = [vec![], vec![], vec![]];
        let most = (total as f64 * HELD_OUT_SHARE).ceil() as usize;
        for speaker in speakers {
            let held = [1, 2].into_iter().find(|&part: &usize| {
                parts[part].is_empty() || parts[part].len() + speaker.len() <= most
            });
            // The first speaker teaches: there may be no more.
            let part = if parts[0].is_empty() {
                0
            } else {
                held.unwrap_or(0)
            };
            parts[part].extend(speaker);
        }
        let mut rng = AugmentRng::seed_from_u64(seed ^ 1);
        parts.iter_mut().for_each(|part| part.shuffle(&mut rng));
        Ok(Self { parts })
    }

    /// Writes a manifest of up to `secs` of a part, unless it is there, and gives all its texts.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub fn write(&self, part: usize, secs: f64, path: &Path) -> Result<Vec<Text>, AdaptError> {
        let mut left = secs;
        let chosen = self.parts[part].iter().take_while(|utterance| {
            let fits = left > 0.0;
            left -= utterance.duration_secs;
            fits
        });
        let chosen: Vec<&Utterance> = chosen.collect();
        if !path.exists() && !chosen.is_empty() {
            let folder = path.parent().unwrap_or(Path::new("."));
            let lines = chosen.iter().filter_map(|utterance| {
                Some(ManifestLine {
                    audio_filepath: relative_path(folder, &utterance.audio_path)?,
                    member: utterance.member.as_deref(),
                    duration: rounded(utterance.duration_secs),
                    offset: (utterance.offset_secs > 0.0).then(|| rounded(utterance.offset_secs)),
                    text: utterance.text.clone(),
                    confidence: utterance.confidence,
                    speaker: utterance.speaker.as_deref(),
                    id: &utterance.id,
                })
            });
            write_manifest(path, lines)?;
        }
        let text = |utterance: &&Utterance| Text {
            written: utterance.text.clone(),
            spoken: utterance.text.clone(),
        };
        Ok(chosen.iter().map(text).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    fn manifest(folder: &Path, lines: usize, speakers: usize) -> PathBuf {
        let line = |index: usize| {
            let speaker = index % speakers;
            format!(
                "{{\"audio_filepath\": \"{index}.wav\", \"duration\": 2.0, \"text\": \"a b\", \"speaker\": \"{speaker}\"}}\n"
            )
        };
        let path = folder.join("m.jsonl");
        std::fs::write(&path, (0..lines).map(line).collect::<String>()).unwrap();
        path
    }

    #[test]
    fn speakers_are_in_one_part_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = manifest(folder.path(), 200, 20);
        let speech = OtherSpeech::read(&[path], 1).unwrap();
        let speakers = |part: usize| -> HashSet<String> {
            let of = speech.parts[part].iter();
            of.filter_map(|utterance| utterance.speaker.clone())
                .collect()
        };
        assert_eq!(
            [0, 1, 2].map(|part| speech.parts[part].len()),
            [160, 20, 20]
        );
        assert!(speakers(0).is_disjoint(&speakers(1)) && speakers(1).is_disjoint(&speakers(2)));
    }

    #[test]
    fn one_speaker_is_split_by_utterance_and_a_set_is_as_long_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = manifest(folder.path(), 50, 1);
        let speech = OtherSpeech::read(&[path], 1).unwrap();
        assert_eq!([0, 1, 2].map(|part| speech.parts[part].len()), [40, 5, 5]);
        let out = folder.path().join("general.jsonl");
        let texts = speech.write(0, 21.0, &out).unwrap();
        assert_eq!(texts.len(), 11);
        assert_eq!(read_manifest(&out).unwrap().len(), 11);
    }
}

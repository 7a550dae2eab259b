//! Tar files of a corpus: their manifest, and themselves from a manifest.

use std::io::Write;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{PrepareOptions, PrepareReport, WrittenManifest};
use crate::data::audio_file::{MAX_MEMBER_BYTES, is_audio_name};
use crate::data::manifest::{visit_manifest, visit_shard};
use crate::data::manifest_line::{ManifestLine, relative_path, rounded};
use crate::data::shards::{ShardError, ShardWriter, is_shards, tar_files};
use crate::data::{DataError, Examined, Utterance, decode_16k, examine, wav_bytes};
use crate::fault::error_line;
use crate::files::{read_limited, write_atomically};
use crate::parallel::{Task, run_all};

/// Utterances that are looked at before some of them are written.
const AT_ONCE: usize = 1024;
/// Utterances of one piece of work.
const PER_TASK: usize = 32;
/// Of a file, an utterance without an offset is all but this: then the file is taken as it is.
const CUT_FROM_SECS: f64 = 1.0;
/// Of the order in which utterances are written: manifests are often sorted by speaker.
const ORDER_SEED: u64 = 0x7368_6172_6473;

/// An utterance with its text as written.
type Spoken = (Utterance, String);

/// Makes the manifest of tar files, or tar files and their manifest of a manifest.
pub(super) fn prepare(
    source: &Path,
    out: &Path,
    options: &PrepareOptions,
) -> Result<PrepareReport, DataError> {
    if is_shards(source) {
        return describe(source, out, options);
    }
    if source.is_dir() {
        let folder = source.to_owned();
        return Err(ShardError::NoShards { folder }.into());
    }
    write(source, out, options)
}

/// Lines of a manifest that is being made.
#[derive(Default)]
struct Made {
    lines: Vec<u8>,
    utterances: usize,
    audio_seconds: f64,
    problems: Vec<String>,
}

impl Made {
    fn line(&mut self, line: &ManifestLine<'_>) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.lines, line)?;
        self.utterances += 1;
        self.audio_seconds += line.duration;
        writeln!(self.lines)
    }

    fn finish(self, path: &Path) -> Result<PrepareReport, DataError> {
        let mut manifests = vec![];
        if self.utterances > 0 {
            write_atomically(path, &self.lines).map_err(failed(path))?;
            manifests.push(WrittenManifest {
                path: path.to_owned(),
                utterances: self.utterances,
                audio_seconds: self.audio_seconds,
            });
        }
        Ok(PrepareReport {
            manifests,
            problems: self.problems,
        })
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    move |source| DataError::Write {
        path: path.to_owned(),
        source,
    }
}

/// The manifest of tar files, which stay where they are. Of one that is damaged it has what comes before.
fn describe(
    source: &Path,
    out: &Path,
    options: &PrepareOptions,
) -> Result<PrepareReport, DataError> {
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let path = out.join("all.jsonl");
    let shards = tar_files(source).map_err(|error| ShardError::Read {
        shard: source.to_owned(),
        source: error,
    })?;
    let mut made = Made::default();
    for shard in shards {
        let Some(name) = relative_path(out, &shard) else {
            let reason = "its name is not UTF-8 text, as a manifest is: rename it";
            made.problems.push(format!("{}: {reason}", shard.display()));
            continue;
        };
        let mut spoken: Vec<Spoken> = vec![];
        let scanned = visit_shard(&shard, |utterance, text| {
            spoken.push((utterance, text.to_owned()));
        });
        if let Err(error) = scanned {
            made.problems.push(error_line(&error));
        }
        for ((utterance, text), verdict) in spoken.iter().zip(verdicts(&spoken, options)) {
            let found = match verdict {
                Ok(found) => found,
                Err(problem) => {
                    made.problems.push(problem);
                    continue;
                }
            };
            let line = ManifestLine {
                audio_filepath: name.clone(),
                member: utterance.member.as_deref(),
                duration: duration_secs(utterance, &found),
                offset: (utterance.offset_secs > 0.0).then_some(utterance.offset_secs),
                text: text.clone(),
                confidence: utterance.confidence,
                speaker: utterance.speaker.as_deref(),
                id: &utterance.id,
            };
            made.line(&line).map_err(failed(&path))?;
        }
    }
    made.finish(&path)
}

/// Tar files of the utterances of a manifest, in an order that mixes them, and their manifest.
fn write(source: &Path, out: &Path, options: &PrepareOptions) -> Result<PrepareReport, DataError> {
    let mut spoken: Vec<Spoken> = vec![];
    visit_manifest(source, |utterance, text| {
        spoken.push((utterance, text.to_owned()));
    })?;
    std::fs::create_dir_all(out).map_err(failed(out))?;
    spoken.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(ORDER_SEED));
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let path = out.join(format!("{stem}.jsonl"));
    let mut writer = ShardWriter::new(out, &stem, options.shard_bytes);
    let mut made = Made::default();
    for some in spoken.chunks(AT_ONCE) {
        for ((utterance, text), verdict) in some.iter().zip(verdicts(some, options)) {
            let stored = verdict.and_then(|found| Ok((stored(utterance)?, found)));
            match stored {
                Ok(((audio, extension), found)) => {
                    let audio = (&audio[..], extension.as_str());
                    append(&mut made, &mut writer, (utterance, text), &found, audio)
                        .map_err(failed(out))?;
                }
                Err(problem) => made.problems.push(problem),
            }
        }
    }
    writer.close().map_err(failed(out))?;
    made.finish(&path)
}

/// Writes an utterance behind the last one, with a `.json` of what is said of it.
fn append(
    made: &mut Made,
    writer: &mut ShardWriter,
    (utterance, text): (&Utterance, &str),
    found: &Examined,
    (audio, extension): (&[u8], &str),
) -> std::io::Result<()> {
    let key = format!("{:09}", made.utterances);
    let duration = duration_secs(utterance, found);
    let described = serde_json::json!({
        "duration": duration,
        "text": text,
        "speaker": utterance.speaker,
        "confidence": utterance.confidence,
        "id": utterance.id,
    });
    let described = serde_json::to_vec(&described)?;
    let members = [
        (format!("{key}.{extension}"), audio),
        (format!("{key}.json"), &described[..]),
    ];
    let written = writer.append(&members)?;
    let Some(written) = written.first() else {
        return Ok(());
    };
    made.line(&ManifestLine {
        audio_filepath: written.shard.clone(),
        member: Some(&written.member),
        duration,
        offset: None,
        text: text.to_owned(),
        confidence: utterance.confidence,
        speaker: utterance.speaker.as_deref(),
        id: &utterance.id,
    })
}

/// As stated, or as found.
fn duration_secs(utterance: &Utterance, found: &Examined) -> f64 {
    match utterance.duration_secs {
        0.0 => rounded(found.length_secs),
        stated => stated,
    }
}

/// The audio of an utterance as it is to be stored, with an extension: its file as it is, or what it is
/// of a longer one as 16-bit WAV at 16 kHz.
fn stored(utterance: &Utterance) -> Result<(Vec<u8>, String), String> {
    let problem = |reason: String| format!("{}: {reason}", utterance.audio().name().display());
    let stated = utterance.duration_secs;
    let is_whole = || {
        let info = crate::data::read_info(utterance.audio()).ok()?;
        let file_secs = info.duration_secs?;
        Some(stated == 0.0 || file_secs - stated < CUT_FROM_SECS)
    };
    let path = &utterance.audio_path;
    let can_be_taken = utterance.member.is_none() && utterance.offset_secs == 0.0;
    if can_be_taken && is_audio_name(path) && is_whole().unwrap_or(false) {
        let bytes = read_limited(path, MAX_MEMBER_BYTES);
        let bytes = bytes.map_err(|error| problem(error.to_string()))?;
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        return Ok((bytes, extension.to_lowercase()));
    }
    let duration = (stated > 0.0).then_some(stated);
    let samples = decode_16k(utterance.audio(), utterance.offset_secs, duration);
    let samples = samples.map_err(|error| error_line(&error))?;
    Ok((wav_bytes(&samples), "wav".to_owned()))
}

/// Verdicts on the audio of utterances, in their order.
fn verdicts(
    spoken: &[Spoken],
    options: &PrepareOptions,
) -> impl Iterator<Item = Result<Examined, String>> {
    let depth = options.depth;
    let look = move |(utterance, _): &Spoken| {
        let duration = (utterance.duration_secs > 0.0).then_some(utterance.duration_secs);
        let verdict = examine(utterance.audio(), utterance.offset_secs, duration, depth);
        verdict.map_err(|error| error_line(&error))
    };
    let tasks = spoken.chunks(PER_TASK).map(|some| {
        let task = move || some.iter().map(look).collect::<Vec<_>>();
        Box::new(task) as Task<'_, Vec<Result<Examined, String>>>
    });
    run_all(options.threads, tasks.collect())
        .into_iter()
        .flatten()
}

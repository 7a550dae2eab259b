//! A manifest that grows, and how far it is: a stop at any moment loses a chunk at most.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{LabelError, LabelOptions, LabelReport, Labeller};
use crate::data::Utterance;
use crate::evaluate::DecoderChoice;
use crate::files::{partial_path, read_limited, write_atomically};

const MAX_STATE_BYTES: u64 = 64 << 20;

/// Lines that were written, of utterances that were heard.
pub(super) struct Progress {
    out: PathBuf,
    lines: File,
    state: State,
    /// Of all lines so far.
    pub report: LabelReport,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    /// SHA-256 of what is labelled with what.
    task: String,
    /// Utterances that were heard.
    done: usize,
    /// Length of their lines.
    bytes: u64,
    report: LabelReport,
}

impl Progress {
    /// Goes on where an earlier call of the same task stopped, or begins.
    pub fn open(out: &Path, task: String) -> Result<Self, LabelError> {
        let path = state_path(out);
        let partial = partial_path(out);
        let failed = |source| LabelError::Write {
            path: partial.clone(),
            source,
        };
        let known = read_limited(&path, MAX_STATE_BYTES)
            .ok()
            .filter(|_| partial.is_file());
        let state = match known {
            None => State {
                task,
                ..State::default()
            },
            Some(bytes) => serde_json::from_slice(&bytes)
                .ok()
                .filter(|state: &State| state.task == task)
                .ok_or(LabelError::OtherProgress { path })?,
        };
        let mut lines = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&partial)
            .map_err(failed)?;
        // What follows was written by a chunk that did not end.
        lines.set_len(state.bytes).map_err(failed)?;
        io::Seek::seek(&mut lines, io::SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            out: out.to_owned(),
            lines,
            report: state.report.clone(),
            state,
        })
    }

    /// Utterances that were heard.
    pub fn done(&self) -> usize {
        self.state.done
    }

    /// Writes the lines of the next `heard` utterances.
    pub fn append(&mut self, heard: usize, lines: &[u8]) -> Result<(), LabelError> {
        let write = |file: &mut File| {
            file.write_all(lines)?;
            file.sync_data()
        };
        write(&mut self.lines).map_err(|source| LabelError::Write {
            path: partial_path(&self.out),
            source,
        })?;
        self.state.done += heard;
        self.state.bytes += lines.len() as u64;
        self.state.report = self.report.clone();
        let path = state_path(&self.out);
        let state = serde_json::to_vec(&self.state).map_err(LabelError::json)?;
        write_atomically(&path, &state).map_err(|source| LabelError::Write { path, source })
    }

    /// Gives the manifest its name.
    pub fn finish(self) -> Result<LabelReport, LabelError> {
        let named = fs::rename(partial_path(&self.out), &self.out);
        named.map_err(|source| LabelError::Write {
            path: self.out.clone(),
            source,
        })?;
        // Without its lines the state means nothing.
        let _ = fs::remove_file(state_path(&self.out));
        Ok(self.report)
    }
}

fn state_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".progress.json");
    out.with_file_name(name)
}

/// SHA-256 of the audio, the model, its decoder and the options.
pub(super) fn digest(
    labeller: &Labeller<'_>,
    utterances: &[Utterance],
    options: LabelOptions,
) -> Result<String, LabelError> {
    let mut hash = Sha256::new();
    let json = |value: serde_json::Result<Vec<u8>>| value.map_err(LabelError::json);
    hash.update(json(serde_json::to_vec(&options))?);
    match labeller {
        Labeller::Own { model, decoder, .. } => {
            hash.update(json(serde_json::to_vec(&model.manifest))?);
            hash.update(decoder.name());
            if let DecoderChoice::Beam {
                config,
                words,
                lm_name,
                boosts,
                by_phones,
                ..
            } = decoder
            {
                if *by_phones {
                    hash.update("phones");
                }
                hash.update(json(serde_json::to_vec(&(config, words, lm_name)))?);
                if let Some(boosts) = boosts {
                    hash.update(json(serde_json::to_vec(boosts))?);
                }
            }
        }
        Labeller::Onnx(recognizer) => hash.update(recognizer.described()),
    }
    for utterance in utterances {
        let path = utterance.audio_path.as_os_str().as_encoded_bytes();
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        if let Some(member) = &utterance.member {
            hash.update(member.name.as_bytes());
            hash.update(member.start_byte.to_le_bytes());
        }
        hash.update(utterance.offset_secs.to_le_bytes());
        hash.update(utterance.duration_secs.to_le_bytes());
    }
    Ok(format!("{:x}", hash.finalize()))
}

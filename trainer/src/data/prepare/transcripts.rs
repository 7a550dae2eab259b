//! What other recognisers wrote: subtitles, CTM and JSON beside the audio.

use std::path::{Path, PathBuf};

use super::{Entry, Found, audio_of, ctm, extension_of, files_below, subtitles, transcript_json};
use crate::data::pieces::Piece;
use crate::files::read_limited;

/// A longer file of transcripts is refused.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Utterances made of timed words are at most so long.
pub(super) const MAX_PIECE_SECS: f64 = 15.0;

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    for path in files_below(source, &mut found) {
        let read: fn(&File<'_>, &str, &mut Found) = match extension_of(&path).as_str() {
            "srt" | "vtt" => subtitles::add,
            "ctm" => ctm::add,
            "json" => transcript_json::add_document,
            "jsonl" => transcript_json::add_lines,
            _ => continue,
        };
        match read_limited(&path, MAX_FILE_BYTES).map(String::from_utf8) {
            Ok(Ok(text)) => {
                let file = File {
                    path: &path,
                    source,
                };
                read(&file, text.trim_start_matches('\u{feff}'), &mut found);
            }
            Ok(Err(_)) => found.problem(&path, "is not UTF-8 text"),
            Err(error) => found.problem(&path, error),
        }
    }
    found
}

/// A file of transcripts below the folder that is prepared.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    source: &'a Path,
}

impl File<'_> {
    /// The audio file of the same name beside it; `talk.en.vtt` may belong to `talk.mp3`.
    pub(super) fn audio_beside(&self) -> Option<PathBuf> {
        let stem = self.path.with_extension("");
        audio_of(&stem).or_else(|| audio_of(&stem.with_extension("")))
    }

    /// The audio file that a transcript names, with or without extension.
    pub(super) fn audio_named(&self, name: &str) -> Option<PathBuf> {
        let beside = self.path.parent().unwrap_or(self.source);
        [beside, self.source].iter().find_map(|folder| {
            let path = folder.join(name);
            if path.is_file() {
                Some(path)
            } else {
                audio_of(&path)
            }
        })
    }

    /// Adds a stretch of `audio_path`; one without a finite end reaches to the end of the file.
    pub(super) fn add(
        &self,
        audio_path: &Path,
        speaker: Option<String>,
        piece: Piece,
        found: &mut Found,
    ) {
        let centis = |secs: f64| (secs * 100.0).round() as u64;
        let end_secs = Some(piece.end_secs).filter(|secs| secs.is_finite());
        let stem = audio_path.strip_prefix(self.source).unwrap_or(audio_path);
        let mut id = format!(
            "{}-{:07}",
            stem.with_extension("").display(),
            centis(piece.start_secs)
        );
        if let Some(end) = end_secs {
            id += &format!("-{:07}", centis(end));
        }
        found.add(
            "all",
            Entry {
                id,
                audio_path: audio_path.to_owned(),
                segment: Some((piece.start_secs, end_secs)),
                text: piece.text,
                speaker,
                confidence: piece.confidence,
            },
        );
    }
}

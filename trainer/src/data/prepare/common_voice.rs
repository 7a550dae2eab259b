//! Common Voice: tab-separated tables with a header line, clips in `clips/`.

use std::path::Path;

use super::{Entry, Found, lines_of};

pub(super) fn find(source: &Path) -> Found {
    let mut found = Found::default();
    let official = ["train", "dev", "test"];
    let has = |split: &str| source.join(format!("{split}.tsv")).is_file();
    let splits: Vec<&str> = if official.into_iter().any(has) {
        official.into_iter().filter(|split| has(split)).collect()
    } else if has("validated") {
        vec!["validated"]
    } else {
        found.problem(
            source,
            "has no train.tsv, dev.tsv, test.tsv or validated.tsv",
        );
        return found;
    };
    for split in splits {
        let path = source.join(format!("{split}.tsv"));
        let lines = lines_of(&path, &mut found);
        let header: Vec<&str> = lines
            .first()
            .map(|line| line.trim_start_matches('\u{feff}').split('\t').collect())
            .unwrap_or_default();
        let column = |name: &str| header.iter().position(|column| *column == name);
        let (Some(clip), Some(sentence)) = (column("path"), column("sentence")) else {
            found.problem(&path, "has no columns path and sentence");
            continue;
        };
        let client = column("client_id");
        for (number, line) in lines.iter().enumerate().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let (Some(clip), Some(text)) = (cells.get(clip), cells.get(sentence)) else {
                if !line.trim().is_empty() {
                    found.problem(&path, format!("line {} is too short", number + 1));
                }
                continue;
            };
            let clip = if clip.contains('.') {
                (*clip).to_owned()
            } else {
                format!("{clip}.mp3")
            };
            found.add(
                split,
                Entry {
                    confidence: None,
                    id: clip
                        .rsplit_once('.')
                        .map_or(clip.as_str(), |(s, _)| s)
                        .to_owned(),
                    audio_path: source.join("clips").join(&clip),
                    segment: None,
                    text: unquote(text),
                    speaker: client
                        .and_then(|client| cells.get(client))
                        .map(|id| id.chars().take(16).collect()),
                },
            );
        }
    }
    found
}

/// A cell in quotes with doubled quotes inside, as some releases have them.
fn unquote(cell: &str) -> String {
    match cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => cell.to_owned(),
    }
}

//! The line that an error gets is its sentence and those of its sources. An error that displays what
//! it also has as its source would say it twice.

use std::fs;
use std::path::{Path, PathBuf};

use tests::repository;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The part of `text` up to the bracket that closes the one that it begins with.
fn bracketed(text: &str) -> &str {
    let (mut depth, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '(' | '{' if !is_quoted => depth += 1,
            ')' | '}' if !is_quoted => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

/// Errors whose `#[error(...)]` shows a field that thiserror makes the source: one that is called
/// `source`, or that is marked `#[source]` or `#[from]`.
fn double(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("#[error(") {
        let format = bracketed(&text[at + "#[error".len()..]);
        let after = &text[at + "#[error".len() + format.len() + 1..];
        let opening = after.find(['(', '{', ',', ';']).unwrap_or(after.len());
        let has_fields = after[opening..].starts_with(['(', '{']);
        let fields = if has_fields {
            bracketed(&after[opening..])
        } else {
            ""
        };
        let is_named = fields.starts_with('{');
        let mut sources: Vec<&str> = Vec::new();
        if is_named && fields.contains("source:") {
            sources.push("source");
        }
        for mark in ["#[source]", "#[from]"] {
            let Some((_, marked)) = fields.split_once(mark) else {
                continue;
            };
            let name = marked.trim_start().trim_start_matches("pub ");
            sources.push(if is_named {
                name.split(':').next().unwrap()
            } else {
                "0"
            });
        }
        let shows = |field: &str| {
            format.contains(&format!("{{{field}}}")) || format.contains(&format!("{{{field}:"))
        };
        if sources.iter().any(|field| shows(field)) {
            let line = text[..at].lines().count() + 1;
            found.push(format!("line {line}: {format}"));
        }
    }
    found
}

#[test]
fn no_error_both_displays_and_chains_its_source() {
    let mut files = Vec::new();
    for package in ["shared-model", "trainer", "web"] {
        rust_files(&repository().join(package).join("src"), &mut files);
    }
    let mut errors = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        errors += text.matches("#[error(").count();
        assert_eq!(double(&text), Vec::<String>::new(), "{}", path.display());
    }
    assert!(errors > 100, "only {errors} errors were looked at");
}

#[test]
fn each_way_to_say_a_cause_twice_is_seen() {
    for twice in [
        "#[error(\"{path}: {source}\")] Read { path: PathBuf, source: io::Error },",
        "#[error(\"a (b): {0}\")] Audio(#[from] AudioError),",
        "#[error(\"{problem}\")] struct E { #[source] problem: Problem }",
        "#[error(\"x {0:?}\")]\n    Other(#[source] Box<dyn Error>),",
    ] {
        assert_eq!(double(twice).len(), 1, "{twice}");
    }
    for once in [
        "#[error(\"{path}\")] Read { path: PathBuf, source: io::Error },",
        "#[error(transparent)] Audio(#[from] AudioError),",
        "#[error(\"cannot be read: {0}\")] Read(io::Error),",
        "#[error(\"{name}: {reason}\")] Invalid { name: String, reason: String },",
        "#[error(\"empty\")] Empty, #[error(\"{0}\")] Recipe(String),",
    ] {
        assert_eq!(double(once), Vec::<String>::new(), "{once}");
    }
}

//! The documents are held to the repository: links, paths, commands and flags that they name exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tests::{fledge, repository, text};

/// Folders that are built or fetched, and the one that Git keeps.
const NOT_OURS: [&str; 5] = ["target", "dist", "runs", "node_modules", ".git"];
/// What a path of this repository that stands in a text begins with.
const TOP_FOLDERS: [&str; 9] = [
    "docs/",
    "recipes/",
    "scripts/",
    "shared-model/",
    "studies/",
    "tests/",
    "trainer/",
    "web/",
    "www/",
];

/// A Markdown file, taken apart.
struct Document {
    path: PathBuf,
    /// Lines outside of fenced code.
    prose: Vec<String>,
    /// Commands of `sh` blocks, one an entry: continued lines are joined, comments left out.
    shell: Vec<String>,
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let (mut prose, mut shell) = (Vec::new(), Vec::<String>::new());
        let mut fence: Option<String> = None;
        let mut continues = false;
        for line in text.lines() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                fence = match fence {
                    Some(_) => None,
                    None => Some(language.to_owned()),
                };
                continues = false;
            } else if fence.as_deref() == Some("sh") {
                let command = line.split(" #").next().unwrap().trim();
                let part = command.trim_end_matches('\\');
                match shell.last_mut() {
                    Some(last) if continues => last.push_str(&format!(" {}", part.trim())),
                    _ => shell.push(part.to_owned()),
                }
                continues = command.ends_with('\\');
            } else if fence.is_none() {
                prose.push(line.to_owned());
            }
        }
        assert!(fence.is_none(), "{}: a code block is open", path.display());
        Self { path, prose, shell }
    }

    /// What stands between backticks, even over a line's end.
    fn code_spans(&self) -> Vec<String> {
        let text = self.prose.join("\n");
        let spans = text.split('`').skip(1).step_by(2);
        spans.map(|span| span.replace('\n', " ")).collect()
    }

    fn link_targets(&self) -> Vec<String> {
        let text = self.prose.join("\n");
        let targets = text.split("](").skip(1);
        targets
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target.to_owned())
            .collect()
    }

    /// What a link after `#` may name: headings as GitHub writes them.
    fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter(|line| line.starts_with('#'));
        headings
            .map(|heading| heading.trim_start_matches('#').trim().to_lowercase())
            .map(|heading| {
                let kept = heading
                    .chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }
}

fn documents() -> Vec<Document> {
    let mut folders = vec![repository()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(Document::read(path));
            }
        }
    }
    assert!(
        found.len() > 10,
        "only {} documents were found",
        found.len()
    );
    found
}

/// Fails with every fault of every document at once.
#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_link_in_the_docs_leads_somewhere() {
    let mut faults = Vec::new();
    let documents = documents();
    let anchors_of = |path: &Path| {
        let path = path.canonicalize().ok()?;
        let same = |document: &&Document| document.path.canonicalize().unwrap() == path;
        documents.iter().find(same).map(Document::anchors)
    };
    let mut links = 0;
    for document in &documents {
        for target in document.link_targets() {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => document.path.clone(),
                file => document.path.parent().unwrap().join(file),
            };
            let leads_somewhere = path.exists()
                && (anchor.is_empty()
                    || anchors_of(&path).is_some_and(|all| all.iter().any(|one| one == anchor)));
            if !leads_somewhere {
                faults.push(format!("{}: {target}", document.path.display()));
            }
        }
    }
    assert!(links > 30, "only {links} links were found");
    assert_none(&faults);
}

#[test]
fn every_path_in_the_docs_exists() {
    let mut faults = Vec::new();
    let mut paths = 0;
    for document in documents() {
        let code = document
            .code_spans()
            .into_iter()
            .chain(document.shell.clone());
        for word in code.flat_map(|code| {
            let words = code.split_whitespace().map(str::to_owned);
            words.collect::<Vec<_>>()
        }) {
            let word = word.trim_matches(|c| "'\"();,".contains(c));
            // Of a list, the first: the others count from its folder.
            let (word, _) = word.split_once(',').unwrap_or((word, ""));
            let names_a_path = TOP_FOLDERS.iter().any(|top| word.starts_with(top));
            let is_a_pattern = word.contains(|c: char| "*{}$<>=".contains(c) || c.is_uppercase());
            let is_built = word.split('/').any(|part| NOT_OURS.contains(&part));
            if !names_a_path || is_built || is_a_pattern && !word.ends_with("README.md") {
                continue;
            }
            paths += 1;
            if !repository().join(word).exists() {
                faults.push(format!("{}: {word}", document.path.display()));
            }
        }
    }
    assert!(paths > 50, "only {paths} paths were found");
    assert_none(&faults);
}

/// The help of `fledge COMMAND`, or of `fledge bench COMMAND` and the like; empty if there is no such command.
struct Help(BTreeMap<String, String>);

impl Help {
    fn of(&mut self, command: &[&str]) -> &str {
        self.0.entry(command.join(" ")).or_insert_with(|| {
            let finished = fledge(command.iter().chain(&["--help"]));
            match finished.code {
                Some(0) => finished.stdout,
                _ => String::new(),
            }
        })
    }
}

/// What is called and with which flags, of each `fledge` in a line of shell.
fn calls(line: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let starts = words
        .iter()
        .enumerate()
        .filter(|(_, word)| **word == "fledge");
    starts
        .map(|(at, _)| {
            let arguments: Vec<&str> = words[at + 1..]
                .iter()
                .copied()
                .take_while(|word| !matches!(*word, "|" | "&&" | ">" | "fledge" | "..."))
                .collect();
            let names = arguments
                .iter()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                .take_while(|word| !word.starts_with('-'));
            let depth = match arguments.first() {
                Some(&("bench" | "mpi")) => 2,
                _ => 1,
            };
            let command = names.copied().take(depth).collect();
            let flags = arguments
                .iter()
                .filter(|word| word.starts_with("--"))
                .map(|word| word.split('=').next().unwrap().trim_end_matches(';'))
                .collect();
            (command, flags)
        })
        .collect()
}

#[test]
fn every_command_and_flag_in_the_docs_exists() {
    let mut help = Help(BTreeMap::new());
    let mut faults = Vec::new();
    let mut checked = 0;
    for document in documents() {
        let lines: Vec<String> = [document.code_spans(), document.shell.clone()].concat();
        for (command, flags) in lines.iter().flat_map(|line| calls(line)) {
            if command.is_empty() {
                continue;
            }
            checked += 1;
            let place = document.path.display();
            let text = help.of(&command);
            if text.is_empty() {
                faults.push(format!(
                    "{place}: no command `fledge {}`",
                    command.join(" ")
                ));
            }
            for flag in flags {
                let known = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                if !text.is_empty() && !known.into_iter().any(|word| word == flag) {
                    faults.push(format!(
                        "{place}: `fledge {}` has no {flag}",
                        command.join(" ")
                    ));
                }
            }
        }
    }
    assert!(checked > 50, "only {checked} calls were found");
    assert_none(&faults);
}

/// The parts of a recipe that have keys.
const SECTIONS: [&str; 13] = [
    "augment",
    "checkpoint",
    "compute",
    "data",
    "distill",
    "export",
    "features",
    "finetune",
    "student",
    "teach",
    "teacher",
    "tokens",
    "validation",
];

/// `KEY=VALUE` as `--set` takes it: after `--set` in shell, and `section.key` or `section.key = value`
/// between backticks.
fn settings(document: &Document) -> Vec<String> {
    let mut settings = vec![];
    for line in &document.shell {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pairs = words.windows(2).filter(|pair| pair[0] == "--set");
        settings.extend(pairs.map(|pair| pair[1].to_owned()));
    }
    for span in document.code_spans() {
        let (key, value) = span.split_once('=').unwrap_or((&span, ""));
        let key = key.trim().trim_start_matches("--set ");
        let is_path = key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c));
        let section = key.split_once('.').map(|(section, _)| section);
        let is_file = [".rs", ".md", ".toml", ".bin", ".txt"]
            .iter()
            .any(|end| key.ends_with(end));
        if is_path && !is_file && section.is_some_and(|name| SECTIONS.contains(&name)) {
            settings.push(format!("{key}={}", value.trim().trim_matches('"')));
        }
    }
    settings
}

#[test]
fn every_recipe_key_in_the_docs_exists() {
    let recipe = repository().join("recipes/english.toml");
    let mut faults = Vec::new();
    let mut checked = 0;
    for document in documents() {
        // It tells of old keys by the names that they had.
        if document.path.ends_with("CHANGELOG.md") {
            continue;
        }
        for setting in settings(&document) {
            checked += 1;
            let stderr = fledge(["inspect", text(&recipe), "--set", &setting]).stderr;
            // A value may be a stand-in (`...`); the key has to be known, by its newest name.
            if stderr.contains("unknown key") || stderr.contains("is now") {
                faults.push(format!("{}: {setting}: {stderr}", document.path.display()));
            }
        }
    }
    assert!(checked > 20, "only {checked} settings were found");
    assert_none(&faults);
}

#[test]
fn the_readme_lists_every_command() {
    let overview = fledge(["--help"]).stdout;
    let (_, commands) = overview.split_once("Commands:\n").unwrap();
    let readme = Document::read(repository().join("README.md")).code_spans();
    let mut listed = 0;
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let command = line.split_whitespace().next().unwrap();
        if command != "help" {
            listed += 1;
            let call = format!("fledge {command}");
            assert!(readme.contains(&call), "README.md does not list `{call}`");
        }
    }
    assert!(listed > 10, "{overview}");
}

//! Folders of a crate depend on each other in one direction: no folder imports from one that
//! imports from it, directly or through others.
//!
//! In each folder the files, the folders with all that lies in them, and the folder's own `mod.rs`
//! are looked at side by side; so a folder may not use what its parent's `mod.rs` defines where that
//! `mod.rs` uses the folder. What counts is every path into the crate, in `use` items or in code,
//! outside `#[cfg(test)]`, and it counts where the thing is defined: a re-export (`pub use`) is a
//! signpost and no import, unless its file uses the name itself. Files of one folder may use each
//! other: a circle needs a folder in it. Binaries are crates of their own.

mod imports;
mod tree;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use imports::Path;
use tests::repository;
use tree::{Import, SourceTree};

/// One folder's steps from what lies in it to what lies in it, each with the imports behind it.
type Steps = BTreeMap<(Path, Path), Vec<Import>>;

/// Circles with a folder in them, as their imports.
fn circles(tree: &SourceTree) -> Vec<Vec<Import>> {
    let mut by_folder: BTreeMap<Path, Steps> = BTreeMap::new();
    for import in tree.imports() {
        let shared = shared_folder(&import.from, &import.to);
        // Names what lies in the shared folder, or that folder for its own file.
        let within = |module: &Path| module[..module.len().min(shared.len() + 1)].to_vec();
        let step = (within(&import.from), within(&import.to));
        let steps = by_folder.entry(shared).or_default();
        steps.entry(step).or_default().push(import);
    }
    let mut found = vec![];
    for (folder, steps) in &by_folder {
        let mut seen = BTreeSet::new();
        for (start, _) in steps.keys() {
            if start == folder || !tree.is_folder(start) || seen.contains(start) {
                continue;
            }
            if let Some(circle) = shortest_circle(start, steps) {
                seen.extend(circle.iter().map(|(from, _)| from.clone()));
                found.push(circle.iter().flat_map(|step| steps[step].clone()).collect());
            }
        }
    }
    found
}

fn shared_folder(a: &[String], b: &[String]) -> Path {
    let shared = a.iter().zip(b).take_while(|(a, b)| a == b);
    shared.map(|(segment, _)| segment.clone()).collect()
}

/// The shortest way from `start` back to it, breadth first.
fn shortest_circle(start: &Path, steps: &Steps) -> Option<Vec<(Path, Path)>> {
    let mut ways = VecDeque::from([vec![]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let end = way.last().map_or(start, |(_, to): &(Path, Path)| to);
        for step in steps.keys().filter(|(from, _)| from == end) {
            let longer = [&way[..], std::slice::from_ref(step)].concat();
            if step.1 == *start {
                return Some(longer);
            }
            if seen.insert(&step.1) {
                ways.push_back(longer);
            }
        }
    }
    None
}

fn told(circles: &[Vec<Import>]) -> String {
    let mut text = String::new();
    for (number, circle) in (1..).zip(circles) {
        text += &format!("circle {number}:\n");
        for import in circle {
            text += &format!(
                "  {} imports crate::{}\n",
                import.file,
                import.path.join("::")
            );
        }
    }
    text
}

#[test]
fn no_folder_imports_from_one_that_imports_from_it() {
    let mut found = vec![];
    for crate_name in ["shared-model", "trainer", "web"] {
        let tree = SourceTree::read(&repository().join(crate_name).join("src")).unwrap();
        assert!(
            tree.imports().len() > 100,
            "{crate_name}: its imports are found at all"
        );
        found.extend(circles(&tree));
    }
    assert!(found.is_empty(), "{}", told(&found));
}

/// A crate of files by name below `src`, without `.rs`; `lib` and `mod` as usual.
fn tree_of(files: &[(&str, &str)]) -> SourceTree {
    let texts = files.iter().map(|(name, text)| {
        let mut module: Path = name.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        (module, ((*name).to_owned(), (*text).to_owned()))
    });
    SourceTree::from_texts(texts.collect()).unwrap()
}

/// What the first circle of a crate of `files` is told as, without its title.
fn first_circle(files: &[(&str, &str)]) -> Vec<String> {
    let circles = circles(&tree_of(files));
    let lines = told(&circles[..circles.len().min(1)]);
    lines
        .lines()
        .skip(1)
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn a_circle_of_three_folders_is_found_and_told_by_its_files() {
    let found = first_circle(&[
        ("lib", "mod a; mod b; mod c;"),
        ("a/mod", "mod inner;"),
        (
            "a/inner",
            "use crate::b::{deep::Thing as Other, Unrelated};",
        ),
        ("b/mod", "pub mod deep; pub struct Unrelated;"),
        (
            "b/deep",
            "pub struct Thing; fn f() -> u8 { vec![crate::c::number()][0] }",
        ),
        ("c/mod", "mod file; pub fn number() -> u8 { 1 }"),
        ("c/file", "use super::super::a::inner::Much;"),
    ]);
    let expected = [
        "a/inner imports crate::b::Unrelated",
        "a/inner imports crate::b::deep::Thing",
        "b/deep imports crate::c::number",
        "c/file imports crate::a::inner::Much",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_folder_and_the_file_above_it_are_a_circle() {
    let child = ("a/child/mod", "mod more; use crate::a::Error;");
    let more = ("a/child/more", "");
    let uses = (
        "a/mod",
        "mod child; pub enum Error {} fn f() { child::work(); }",
    );
    let found = first_circle(&[("lib", "mod a;"), uses, child, more]);
    let expected = [
        "a/child/mod imports crate::a::Error",
        "a/mod imports crate::a::child::work",
    ];
    assert_eq!(found, expected);
    let hands_on = ("a/mod", "mod child; pub use child::work; pub enum Error {}");
    assert!(first_circle(&[("lib", "mod a;"), hands_on, child, more]).is_empty());
}

#[test]
fn an_import_counts_where_the_thing_is_defined() {
    // `top` hands on what `low` defines: who asks it for that depends on `low` alone.
    let files = [
        ("lib", "mod top; mod low; mod middle;"),
        (
            "top/mod",
            "mod part; pub use crate::low::kind::Kind; use crate::middle;",
        ),
        ("top/part", ""),
        ("middle/mod", "mod part; use crate::top::Kind;"),
        ("middle/part", ""),
        ("low/mod", "pub mod kind;"),
        ("low/kind", "pub struct Kind;"),
    ];
    assert!(first_circle(&files).is_empty());
    let mut defined_above = files;
    defined_above[1].1 = "mod part; pub struct Kind; use crate::middle;";
    assert_eq!(
        first_circle(&defined_above),
        [
            "middle/mod imports crate::top::Kind",
            "top/mod imports crate::middle"
        ]
    );
}

#[test]
fn tests_comments_strings_and_files_of_one_folder_make_no_circle() {
    let found = first_circle(&[
        ("lib", "mod a; mod b; use a::one;"),
        (
            "a/mod",
            "mod one; mod two; #[cfg(test)] mod checks; #[cfg(all(test, unix))] use crate::b::X;
             /// Not [`crate::b::X`].
             const TEXT: &str = \"crate::b::X\"; // crate::b::X
             #[cfg(test)] mod tests { use crate::b::X; }",
        ),
        ("a/one", "use super::two;"),
        ("a/two", "use super::one;"),
        ("a/checks", "use crate::b::X;"),
        ("b/mod", "mod part; pub struct X; use crate::a;"),
        ("b/part", "#[cfg(not(test))] use crate::a::one;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

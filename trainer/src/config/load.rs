//! Reading a recipe: TOML, overrides, paths, types, limits.

use std::path::{Path, PathBuf};

use toml::de::DeTable;
use toml::{Table, Value};

use super::schema::{PATH_KEYS, Source, check_table, locate, pattern};
use super::{Recipe, RecipeError, TokenKind, overrides};
use crate::files::read_limited;

const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// Texts that a recipe may do without: an empty one (`--set data.dev=`) takes it away.
const OPTIONAL_TEXT_KEYS: [&str; 10] = [
    "data.dev",
    "teacher.from",
    "teacher.init_from",
    "teacher.onnx",
    "student.*.init_from",
    "student.*.cut_from",
    "student.*.exit_of",
    "distill.answers",
    "tokens.file",
    "tokens.pronunciations",
];

impl Recipe {
    /// Reads a recipe file, applies `overrides` (`a.b=c`, in order), resolves paths and checks
    /// every value. Paths in the file are relative to its folder, paths in overrides to the
    /// current folder; all are absolute in the result.
    ///
    /// # Errors
    /// Names the file and line (or the override), the key and what is wrong with it.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let read_error = |reason| RecipeError::Read {
            path: path.to_owned(),
            reason,
        };
        let bytes = read_limited(path, MAX_RECIPE_BYTES).map_err(read_error)?;
        let text = String::from_utf8(bytes).map_err(|_| RecipeError::Syntax {
            place: path.display().to_string(),
            reason: "it is not UTF-8 text".to_owned(),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &path.display().to_string(), folder, overrides)
    }

    /// As [`Self::load`], from text. `name` is what messages call it; its relative paths count
    /// from `folder`.
    ///
    /// # Errors
    /// As [`Self::load`], except for what reading the file can give.
    pub fn parse(
        text: &str,
        name: &str,
        folder: &Path,
        overrides: &[String],
    ) -> Result<Self, RecipeError> {
        let source = Source {
            name,
            text,
            has_lines: true,
        };
        let syntax = |error: toml::de::Error| RecipeError::Syntax {
            place: source.place(error.span().map_or(0, |span| span.start)),
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        };
        let document = DeTable::parse(text).map_err(syntax)?;
        check_table(document.get_ref(), pattern(), "", &source)?;
        let mut table: Table = toml::from_str(text).map_err(syntax)?;
        for key in PATH_KEYS {
            resolve_paths(&mut table, &split(key), folder);
        }
        let mut set_keys = Vec::new();
        for given in overrides {
            let keys = overrides::apply(&mut table, given)?;
            for key in PATH_KEYS {
                resolve_override_paths(&mut table, &split(key), &keys);
            }
            set_keys.push((keys.join("."), given.as_str()));
        }
        for key in OPTIONAL_TEXT_KEYS {
            remove_empty(&mut table, &split(key));
        }

        let place_of = |key: &str| {
            let set = set_keys.iter().rev().find(|(set, _)| key.starts_with(set));
            if let Some((_, given)) = set {
                return format!("--set {given}");
            }
            match locate(document.get_ref(), &split(key)) {
                Some(byte) => source.place(byte),
                None => source.name.to_owned(),
            }
        };
        let states = |keys: &[&str]| value_at(&table, keys).is_some();
        let explicit = Explicit {
            teacher: ModelKeys::read(&states, &["teacher"]),
            students: (0..value_at(&table, &["student"])
                .and_then(Value::as_array)
                .map_or(0, Vec::len))
                .map(|i| ModelKeys::read(&states, &["student", &i.to_string()]))
                .collect(),
        };
        let mut recipe: Recipe = table.try_into().map_err(|error: toml::de::Error| {
            let (message, key) = split_error(&error);
            RecipeError::Value {
                place: place_of(&key),
                reason: if key.is_empty() {
                    message
                } else {
                    format!("`{key}`: {message}")
                },
            }
        })?;
        recipe.adopt_tokens();
        recipe.derive_model_inputs(&explicit);
        recipe
            .validate()
            .map_err(|(key, reason)| RecipeError::Invalid {
                place: place_of(&key),
                key,
                reason,
            })?;
        Ok(recipe)
    }

    /// What the text of a recipe and `overrides` state, with paths as they are written and without
    /// any default. Keys and types are checked as by [`Self::parse`], values are not.
    pub(crate) fn stated(text: &str, overrides: &[String]) -> Result<Table, RecipeError> {
        let mut table: Table = toml::from_str(text).map_err(|error| RecipeError::Syntax {
            place: "the recipe".to_owned(),
            reason: error.message().to_owned(),
        })?;
        for given in overrides {
            overrides::apply(&mut table, given)?;
        }
        Ok(table)
    }

    /// The recipe as TOML, every value stated; loading it gives the same recipe.
    ///
    /// # Errors
    /// A value that TOML cannot write.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string_pretty(self).map_err(RecipeError::Write)
    }

    /// The tokens of a teacher in an ONNX file are the `tokens.txt` beside it, unless told.
    fn adopt_tokens(&mut self) {
        if let (Some(onnx), None) = (&self.teacher.onnx, &self.tokens.file) {
            self.tokens.file = Some(onnx.with_file_name("tokens.txt"));
        }
    }

    /// Mel bands and vocabulary of the networks follow from `[features]` and `[tokens]` where the
    /// recipe does not state them.
    fn derive_model_inputs(&mut self, explicit: &Explicit) {
        let vocab_size = match (self.tokens.kind, &self.tokens.file) {
            (_, Some(_)) => None,
            (TokenKind::Characters, None) => Some(CHARACTER_PIECES),
            (TokenKind::Bpe, None) => Some(self.tokens.size),
        };
        let n_mels = self.features.n_mels;
        let students = self.students.iter_mut().map(|s| &mut s.model);
        let stated = std::iter::once(&explicit.teacher).chain(&explicit.students);
        for (model, stated) in std::iter::once(&mut self.teacher.model)
            .chain(students)
            .zip(stated)
        {
            if !stated.n_mels {
                model.n_mels = n_mels;
            }
            if let (false, Some(size)) = (stated.vocab_size, vocab_size) {
                model.vocab_size = size;
            }
        }
    }
}

/// Blank, word mark, apostrophe and a-z.
pub(super) const CHARACTER_PIECES: usize = 29;

/// Which model inputs the recipe states.
struct Explicit {
    teacher: ModelKeys,
    students: Vec<ModelKeys>,
}

struct ModelKeys {
    n_mels: bool,
    vocab_size: bool,
}

impl ModelKeys {
    fn read(states: &dyn Fn(&[&str]) -> bool, network: &[&str]) -> Self {
        let stated = |key| states(&[network, &["model", key]].concat());
        Self {
            n_mels: stated("n_mels"),
            vocab_size: stated("vocab_size"),
        }
    }
}

fn split(key: &str) -> Vec<&str> {
    key.split('.').filter(|part| !part.is_empty()).collect()
}

fn value_at<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| match value {
            Value::Table(table) => table.get(*key),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
}

/// Removes the value at `keys` if it is an empty text.
fn remove_empty(table: &mut Table, keys: &[&str]) {
    let Some((first, rest)) = keys.split_first() else {
        return;
    };
    match table.get_mut(*first) {
        Some(Value::Table(child)) => remove_empty(child, rest),
        Some(Value::Array(items)) => {
            for child in items.iter_mut().filter_map(Value::as_table_mut) {
                remove_empty(child, rest.get(1..).unwrap_or_default());
            }
        }
        Some(Value::String(path)) if path.is_empty() => {
            table.remove(*first);
        }
        _ => {}
    }
}

/// Makes the path values under `keys` (`*`: every key, or every table of a list) absolute.
fn resolve_paths(table: &mut Table, keys: &[&str], folder: &Path) {
    let Some((first, rest)) = keys.split_first() else {
        return;
    };
    let matching: Vec<&mut Value> = if *first == "*" {
        table.iter_mut().map(|(_, value)| value).collect()
    } else {
        table.get_mut(*first).into_iter().collect()
    };
    for value in matching {
        match value {
            Value::Table(child) => resolve_paths(child, rest, folder),
            // A list of tables: `*` stands for each.
            Value::Array(items) if rest.first() == Some(&"*") => {
                for child in items.iter_mut().filter_map(Value::as_table_mut) {
                    resolve_paths(child, &rest[1..], folder);
                }
            }
            other => resolve_value(other, folder),
        }
    }
}

/// As [`resolve_paths`] for what an override at `set` changed, relative to the current folder.
fn resolve_override_paths(table: &mut Table, keys: &[&str], set: &[String]) {
    let related = keys
        .iter()
        .zip(set)
        .all(|(pattern, key)| *pattern == "*" || pattern == key);
    if !related {
        return;
    }
    // Paths set earlier are absolute already, so a second pass over neighbours changes nothing.
    resolve_paths(table, keys, Path::new(""));
}

fn resolve_value(value: &mut Value, folder: &Path) {
    match value {
        Value::String(path) if path.is_empty() => {}
        Value::String(path) => *path = absolute(&folder.join(&*path)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| resolve_value(item, folder)),
        _ => {}
    }
}

/// The file's real path where it exists, else the path made absolute.
fn absolute(path: &Path) -> String {
    let full: PathBuf = path
        .canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned());
    full.display().to_string()
}

/// serde's message and the dotted key it is about.
fn split_error(error: &toml::de::Error) -> (String, String) {
    let shown = error.to_string();
    let key = shown
        .lines()
        .find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'))
        .unwrap_or_default();
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    (message, key.to_owned())
}

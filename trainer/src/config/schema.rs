//! Which keys a recipe may have, taken from the types themselves: a recipe in which everything is
//! set, written as TOML, is the pattern that others are compared with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use shared_model::{features::FeatureConfig, model::ModelConfig};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{
    AugmentConfig, CheckpointConfig, DataConfig, DistillConfig, ExportConfig, OptimConfig, Paths,
    Recipe, RecipeError, StudentConfig, TeacherConfig, TokenConfig,
};

/// In the pattern, stands for any key.
const ANY_KEY: &str = "*";

/// Keys whose values are paths.
pub(super) const PATH_KEYS: [&str; 7] = [
    "data.train",
    "data.dev",
    "data.test.*",
    "tokens.file",
    "teacher.from",
    "teacher.init_from",
    "student.*.init_from",
];

/// Every key of a recipe with a value of its kind.
pub(super) fn pattern() -> &'static Table {
    static PATTERN: OnceLock<Table> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let path = || PathBuf::from("path");
        let some = Some(1.0);
        let optim = OptimConfig {
            intermediate_ctc_layers: vec![1],
            ..OptimConfig::default()
        };
        let full = Recipe {
            name: String::new(),
            seed: 0,
            data: DataConfig {
                train: Paths::Many(vec![path()]),
                dev: Some(path()),
                dev_share: 0.5,
                test: BTreeMap::from([(ANY_KEY.to_owned(), path())]),
                min_seconds: 1.0,
                max_seconds: 1.0,
                batch_seconds: 1.0,
                limit: 0,
                cache_mib: 0,
            },
            augment: AugmentConfig::default(),
            features: FeatureConfig::default(),
            tokens: TokenConfig {
                file: Some(path()),
                ..TokenConfig::default()
            },
            teacher: TeacherConfig {
                model: ModelConfig::default(),
                optim: optim.clone(),
                from: Some(path()),
                init_from: Some(path()),
            },
            students: vec![StudentConfig {
                name: String::new(),
                model: ModelConfig::default(),
                init: Default::default(),
                init_from: Some(path()),
                cut_from: Some(String::new()),
                finetune: Some(optim.clone()),
            }],
            distill: DistillConfig {
                optim: optim.clone(),
                clip: some,
                mse: some,
                kl: some,
                ctc: some,
                feature: some,
                temperature: some,
                ..DistillConfig::default()
            },
            finetune: optim,
            checkpoint: CheckpointConfig::default(),
            export: ExportConfig {
                data: vec![String::new()],
                limits: vec![String::new()],
                ..ExportConfig::default()
            },
        };
        Table::try_from(full).expect("a recipe made of plain values serialises")
    })
}

/// The pattern's value at a path of keys; a number or a name selects an element of an array.
pub(super) fn pattern_at(keys: &[String]) -> Option<&'static Value> {
    let mut found: Option<&Value> = None;
    for key in keys {
        found = match found {
            None => pattern().get(key),
            Some(Value::Table(table)) => table.get(key).or_else(|| table.get(ANY_KEY)),
            Some(Value::Array(items)) => items.first(),
            Some(_) => None,
        };
        found?;
    }
    found
}

/// Text with the means to say in which line a byte lies.
pub(super) struct Source<'a> {
    /// What messages call it: the file's path, or `--set key=value`.
    pub name: &'a str,
    pub text: &'a str,
    /// Whether a line number helps.
    pub has_lines: bool,
}

impl Source<'_> {
    pub fn place(&self, byte: usize) -> String {
        if !self.has_lines {
            return self.name.to_owned();
        }
        let before = self.text.get(..byte).unwrap_or(self.text);
        format!("{} line {}", self.name, before.matches('\n').count() + 1)
    }
}

/// Compares a parsed table with the pattern: unknown keys and wrong kinds are errors.
pub(super) fn check_table(
    table: &DeTable<'_>,
    pattern: &Table,
    prefix: &str,
    source: &Source<'_>,
) -> Result<(), RecipeError> {
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        let full = join_key(prefix, name);
        let Some(expected) = pattern.get(name).or_else(|| pattern.get(ANY_KEY)) else {
            return Err(unknown_key(
                source.place(key.span().start),
                &full,
                name,
                pattern,
            ));
        };
        check_value(value, expected, &full, source)?;
    }
    Ok(())
}

/// Compares one parsed value with the pattern's.
pub(super) fn check_value(
    value: &Spanned<DeValue<'_>>,
    expected: &Value,
    key: &str,
    source: &Source<'_>,
) -> Result<(), RecipeError> {
    let wrong = || RecipeError::WrongType {
        place: source.place(value.span().start),
        key: key.to_owned(),
        found: kind_of(value.get_ref()),
        expected: expected_kind(expected, key),
    };
    match (value.get_ref(), expected) {
        (DeValue::Table(table), Value::Table(pattern)) => check_table(table, pattern, key, source),
        (DeValue::Array(items), Value::Array(pattern)) => {
            if let Some(expected) = pattern.first() {
                for (index, item) in items.iter().enumerate() {
                    check_value(item, expected, &format!("{key}.{index}"), source)?;
                }
            }
            Ok(())
        }
        (DeValue::String(_), Value::Array(_)) if key == "data.train" => Ok(()),
        (DeValue::String(_), Value::String(_))
        | (DeValue::Integer(_), Value::Integer(_) | Value::Float(_))
        | (DeValue::Float(_), Value::Float(_))
        | (DeValue::Boolean(_), Value::Boolean(_)) => Ok(()),
        _ => Err(wrong()),
    }
}

/// The error for a key that `pattern` does not have.
pub(super) fn unknown_key(place: String, key: &str, name: &str, pattern: &Table) -> RecipeError {
    let nearest = pattern
        .keys()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min();
    let hint = match nearest {
        Some((distance, known)) if distance <= 1 + name.chars().count() / 3 => {
            format!(": did you mean `{known}`?")
        }
        _ => {
            let known: Vec<&str> = pattern.keys().map(String::as_str).collect();
            format!(": known keys here are {}", known.join(", "))
        }
    };
    RecipeError::UnknownKey {
        place,
        key: key.to_owned(),
        hint,
    }
}

pub(super) fn join_key(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expected_kind(expected: &Value, key: &str) -> String {
    match expected {
        Value::String(_) => "text in quotes".to_owned(),
        Value::Integer(_) => "a whole number".to_owned(),
        Value::Float(_) => "a number".to_owned(),
        Value::Boolean(_) => "true or false".to_owned(),
        Value::Datetime(_) => "a date or time".to_owned(),
        Value::Array(_) if key == "data.train" => "a path or a list of paths".to_owned(),
        Value::Array(items) => match items.first() {
            Some(Value::Table(_)) => format!("a list of tables, each headed [[{key}]]"),
            Some(Value::String(_)) => "a list of texts".to_owned(),
            _ => "a list of numbers".to_owned(),
        },
        Value::Table(_) => format!("a table, headed [{key}]"),
    }
}

/// Locates a dotted key of a parsed document: the byte where its value, or the nearest table above
/// it, begins.
pub(super) fn locate(table: &DeTable<'_>, keys: &[&str]) -> Option<usize> {
    let (first, rest) = keys.split_first()?;
    let value = table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == *first)
        .map(|(_, value)| value)?;
    locate_in(value, rest)
}

fn locate_in(value: &Spanned<DeValue<'_>>, keys: &[&str]) -> Option<usize> {
    let here = Some(value.span().start);
    let Some((first, rest)) = keys.split_first() else {
        return here;
    };
    match value.get_ref() {
        DeValue::Table(table) => locate(table, keys).or(here),
        DeValue::Array(items) => first
            .parse::<usize>()
            .ok()
            .and_then(|index| items.get(index))
            .and_then(|item| locate_in(item, rest))
            .or(here),
        _ => here,
    }
}

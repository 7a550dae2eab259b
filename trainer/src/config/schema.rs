//! Which keys a recipe may have, taken from the types themselves.

use std::sync::OnceLock;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Recipe, RecipeError, moved};

/// In the pattern, stands for any key.
pub(super) const ANY_KEY: &str = "*";

/// Keys whose values are paths.
pub(super) const PATH_KEYS: [&str; 10] = [
    "data.train",
    "data.dev",
    "data.test.*",
    "tokens.file",
    "tokens.pronunciations",
    "teacher.from",
    "teacher.init_from",
    "teacher.onnx",
    "student.*.init_from",
    "distill.answers",
];

/// Whether the value of a key, written with or without the `*` of a student, is a path.
pub(super) fn is_path_key(key: &str) -> bool {
    PATH_KEYS
        .iter()
        .any(|path| *path == key || path.replace("student.*", "student") == key)
}

/// Whether the keys, with the name or the number of a student among them, lead to a path.
pub(crate) fn leads_to_path(keys: &[String]) -> bool {
    PATH_KEYS.iter().any(|path| {
        let parts: Vec<&str> = path.split('.').collect();
        let mut pairs = parts.iter().zip(keys);
        parts.len() == keys.len() && pairs.all(|(part, key)| *part == ANY_KEY || part == key)
    })
}

/// The JSON schema of a recipe, with the documentation of its types.
pub(super) fn recipe_schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| schemars::schema_for!(Recipe).to_value())
}

/// What a part of a schema stands for: a reference is followed, and what may be absent is looked
/// at as if it were there.
pub(super) fn resolve<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return resolve(root, &root["$defs"][name]);
    }
    let choices = schema["anyOf"].as_array();
    let mut choices = choices.into_iter().flatten();
    match choices.clone().any(|choice| choice["type"] == "null") {
        true => choices
            .find(|choice| choice["type"] != "null")
            .map_or(schema, |choice| resolve(root, choice)),
        false => schema,
    }
}

/// The type of a value that may be absent or not.
pub(super) fn type_of(target: &Json) -> Option<&str> {
    match &target["type"] {
        Json::Array(types) => types
            .iter()
            .filter_map(Json::as_str)
            .find(|name| *name != "null"),
        other => other.as_str(),
    }
}

/// Every key of a recipe with a value of its kind.
pub(super) fn pattern() -> &'static Table {
    static PATTERN: OnceLock<Table> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let root = recipe_schema();
        match pattern_of(root, root) {
            Value::Table(table) => table,
            _ => Table::new(),
        }
    })
}

fn pattern_of(root: &Json, schema: &Json) -> Value {
    let target = resolve(root, schema);
    if let Some(properties) = target["properties"].as_object() {
        let entries = properties.iter();
        let entries = entries.map(|(key, schema)| (key.clone(), pattern_of(root, schema)));
        return Value::Table(entries.collect());
    }
    if target["additionalProperties"].is_object() {
        let any = pattern_of(root, &target["additionalProperties"]);
        return Value::Table(Table::from_iter([(ANY_KEY.to_owned(), any)]));
    }
    if let Some(choices) = target["anyOf"].as_array() {
        // One or several: the list says more.
        return choices
            .last()
            .map_or(Value::Array(vec![]), |choice| pattern_of(root, choice));
    }
    match type_of(target) {
        Some("integer") => Value::Integer(0),
        Some("number") => Value::Float(0.0),
        Some("boolean") => Value::Boolean(false),
        Some("array") => Value::Array(vec![pattern_of(root, &target["items"])]),
        _ => Value::String(String::new()),
    }
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
        check_moved(key.span().start, value, &full, source)?;
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

/// Refuses a key that has moved, naming the new one; of a table that has, its first key is named.
fn check_moved(
    byte: usize,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    source: &Source<'_>,
) -> Result<(), RecipeError> {
    let Some(new_key) = moved::new_name(key) else {
        return Ok(());
    };
    if let DeValue::Table(table) = value.get_ref() {
        for (name, value) in table.iter() {
            let key = join_key(key, name.get_ref());
            check_moved(name.span().start, value, &key, source)?;
        }
        // A table of today may have the name that a value once had.
        if pattern_at(&key.split('.').map(str::to_owned).collect::<Vec<_>>()).is_some() {
            return Ok(());
        }
    }
    Err(RecipeError::Moved {
        place: source.place(byte),
        key: key.to_owned(),
        new_key,
    })
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

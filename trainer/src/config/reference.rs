//! The reference of a recipe's keys, made from the types and their documentation.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::schema::{ANY_KEY, is_path_key, join_key, recipe_schema, resolve, type_of};

const INTRODUCTION: &str = "\
# Recipes

A recipe is a TOML file that says everything about a run. Paths in it are relative to its folder.
`--set a.b=c` changes any key (`--set student.small.init=random` that of one student), with paths
relative to the current folder. A key that no recipe has is an error with a suggestion.

A run keeps its recipe: what changes the result cannot change between two starts of one run. Free
are `[checkpoint]`, `[export]`, `[data.test]` and `data.cache_mb`.

`fledge recipe-reference` makes this page from the types of the program.
";

/// What the end of a key says about its unit.
const UNITS: [(&str, &str); 10] = [
    ("_seconds", "seconds"),
    ("_hz", "Hz"),
    ("_db", "dB"),
    ("_mb", "MB"),
    ("_frames", "frames of 10 ms"),
    ("_bands", "mel bands"),
    ("n_mels", "mel bands"),
    ("_share", "share, 0 to 1"),
    ("epochs", "epochs"),
    ("_steps", "optimiser steps"),
];

/// Every key of a recipe with its type, unit, default and meaning, as Markdown: `docs/recipes.md`.
pub fn recipe_reference() -> String {
    let mut page = Page {
        root: recipe_schema(),
        text: INTRODUCTION.to_owned(),
        known: BTreeMap::new(),
    };
    page.table(page.root, "", "At the top");
    page.text
}

struct Page<'a> {
    root: &'a Value,
    text: String,
    /// Titles of the tables that are described, by their type.
    known: BTreeMap<String, String>,
}

impl<'a> Page<'a> {
    fn table(&mut self, property: &'a Value, prefix: &str, title: &str) {
        let target = resolve(self.root, property);
        let _ = write!(self.text, "\n## {title}\n");
        if !prefix.is_empty() {
            let meaning = one_line(property).or_else(|| one_line(target));
            let _ = write!(self.text, "\n{}\n", meaning.unwrap_or_default());
        }
        if let Some(name) = type_name(property) {
            if let Some(known) = self.known.get(name) {
                let _ = write!(self.text, "\nIts keys are those of {known}.\n");
                return;
            }
            self.known.insert(name.to_owned(), title.to_owned());
        }
        let (mut rows, mut tables) = (String::new(), vec![]);
        let owner = target;
        for (name, property) in target["properties"].as_object().into_iter().flatten() {
            let key = join_key(prefix, name);
            let target = resolve(self.root, property);
            let item = resolve(self.root, &target["items"]);
            if target["properties"].is_object() {
                tables.push((property, key.clone(), format!("`[{key}]`")));
            } else if item["properties"].is_object() {
                tables.push((&target["items"], key.clone(), format!("`[[{key}]]`")));
            } else {
                let required = requires(owner, name);
                rows.push_str(&self.row(name, &key, property, required));
            }
        }
        if !rows.is_empty() {
            self.text
                .push_str("\n| key | type | unit | default | meaning |\n");
            self.text.push_str("| --- | --- | --- | --- | --- |\n");
            self.text.push_str(&rows);
        }
        for (property, key, title) in tables {
            self.table(property, &key, &title);
        }
    }

    fn row(&self, name: &str, key: &str, property: &Value, required: bool) -> String {
        let target = resolve(self.root, property);
        let is_map = target["additionalProperties"].is_object();
        let shown = if is_map {
            format!("{name}.NAME")
        } else {
            name.to_owned()
        };
        let unit = UNITS.iter().find(|(end, _)| name.ends_with(end));
        let mut meaning = one_line(property).unwrap_or_default();
        for (value, of_value) in choices(target) {
            let _ = write!(meaning, " `{value}`: {of_value}");
        }
        format!(
            "| `{shown}` | {} | {} | {} | {} |\n",
            self.kind(key, target),
            unit.map_or("", |(_, unit)| unit),
            default(property, required),
            meaning.trim().replace('|', "\\|")
        )
    }

    fn kind(&self, key: &str, target: &Value) -> String {
        if target["additionalProperties"].is_object() {
            return self.kind(&join_key(key, ANY_KEY), &target["additionalProperties"]);
        }
        if target["anyOf"].is_array() {
            return "path, or list of paths".to_owned();
        }
        let of_choices: Vec<String> = choices(target)
            .map(|(value, _)| format!("`{value}`"))
            .collect();
        if !of_choices.is_empty() {
            return format!("one of {}", of_choices.join(", "));
        }
        match type_of(target) {
            Some("string") if is_path_key(key) => "path".to_owned(),
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("array") => {
                let item = resolve(self.root, &target["items"]);
                let count = target["maxItems"].as_u64();
                let count = count.map_or(String::new(), |count| format!("{count} "));
                format!("list of {count}{}s", self.kind(key, item))
            }
            _ => String::new(),
        }
    }
}

/// Whether a table cannot do without a key.
fn requires(table: &Value, key: &str) -> bool {
    let required = table["required"].as_array();
    required.is_some_and(|required| required.iter().any(|name| name == key))
}

/// The name of a table's type, which several tables may share.
fn type_name(property: &Value) -> Option<&str> {
    property["$ref"].as_str().or_else(|| {
        let mut choices = property["anyOf"].as_array()?.iter();
        choices.find_map(|choice| choice["$ref"].as_str())
    })
}

/// The texts that a choice allows, with their meanings.
fn choices(target: &Value) -> impl Iterator<Item = (&str, String)> {
    let plain = target["enum"].as_array().into_iter().flatten();
    let plain = plain.filter_map(|value| Some((value.as_str()?, String::new())));
    let documented = target["oneOf"].as_array().into_iter().flatten();
    let documented = documented.filter_map(|choice| {
        Some((
            choice["const"].as_str()?,
            one_line(choice).unwrap_or_default(),
        ))
    });
    plain.chain(documented)
}

fn one_line(value: &Value) -> Option<String> {
    let text = value["description"].as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A default as TOML writes it; `f32` in as many digits as it needs.
fn default(property: &Value, required: bool) -> String {
    if required {
        return "(required)".to_owned();
    }
    let number = |value: &Value| match value.as_f64() {
        Some(float) if !value.is_u64() && !value.is_i64() => {
            if property["format"] == "float" || property["items"]["format"] == "float" {
                format!("{:?}", float as f32)
            } else {
                format!("{float:?}")
            }
        }
        _ => value.to_string(),
    };
    match property.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => format!("`\"{text}\"`"),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(number).collect();
            format!("`[{}]`", items.join(", "))
        }
        Some(Value::Object(_)) => String::new(),
        Some(value) => format!("`{}`", number(value)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_in_docs_is_the_reference_of_this_program() {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        let path = Path::new(&package).join("../docs/recipes.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page == recipe_reference(),
            "run `fledge recipe-reference > docs/recipes.md`"
        );
    }

    #[test]
    fn every_key_has_a_meaning() {
        for line in recipe_reference().lines().filter(|l| l.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 5, "{line}");
            assert!(!cells[1].trim().is_empty(), "no type: {line}");
            assert!(cells[4].trim().len() > 3, "no meaning: {line}");
        }
    }
}

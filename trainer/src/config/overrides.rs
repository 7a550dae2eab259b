//! `--set a.b=c`: one value of a recipe, changed from the command line.

use toml::de::DeTable;
use toml::{Table, Value};

use super::schema::{Source, check_value, join_key, pattern, pattern_at, unknown_key};
use super::{RecipeError, moved};

/// Puts `given` (`key.path=value`) into `recipe` and returns the key path it set. In a list of
/// tables a number or the table's `name` selects the element, and `*` every element.
pub(super) fn apply(recipe: &mut Table, given: &str) -> Result<Vec<String>, RecipeError> {
    let fail = |reason: String| RecipeError::Override {
        given: given.to_owned(),
        reason,
    };
    let Some((key, raw)) = given.split_once('=') else {
        return Err(fail("expected key=value".to_owned()));
    };
    let keys: Vec<String> = key.trim().split('.').map(|k| k.trim().to_owned()).collect();
    if keys.iter().any(String::is_empty) {
        return Err(fail(format!("`{key}` is not a dotted key")));
    }
    check_keys(&keys, given)?;
    let expected = pattern_at(&keys).ok_or_else(|| fail(format!("no such key `{key}`")))?;
    let value = parse_value(raw.trim(), expected, key.trim(), given)?;
    insert(recipe, &keys, value).map_err(fail)?;
    Ok(keys)
}

/// Refuses a key path that no recipe has, naming the first wrong part.
fn check_keys(keys: &[String], given: &str) -> Result<(), RecipeError> {
    let place = || format!("--set {given}");
    let key = keys.join(".");
    // A table of today may have the name that a value once had.
    let raw = given
        .split_once('=')
        .map_or("", |(_, raw)| raw.trim_start());
    let is_table = raw.starts_with('{') && matches!(pattern_at(keys), Some(Value::Table(_)));
    if let Some(new_key) = moved::new_name(&key)
        && !is_table
    {
        return Err(RecipeError::Moved {
            place: place(),
            key,
            new_key,
        });
    }
    let mut so_far = String::new();
    for end in 1..=keys.len() {
        let name = &keys[end - 1];
        so_far = join_key(&so_far, name);
        if pattern_at(&keys[..end]).is_some() {
            continue;
        }
        let place = place();
        return Err(match pattern_at(&keys[..end - 1]) {
            None => unknown_key(place, &so_far, name, pattern()),
            Some(Value::Table(table)) => unknown_key(place, &so_far, name, table),
            Some(_) => RecipeError::UnknownKey {
                place,
                key: so_far,
                hint: format!(": `{}` is a single value", keys[..end - 1].join(".")),
            },
        });
    }
    Ok(())
}

/// Reads the right-hand side as TOML of the expected kind; a bare word is text.
fn parse_value(raw: &str, expected: &Value, key: &str, given: &str) -> Result<Value, RecipeError> {
    let document = format!("value = {raw}");
    let name = format!("--set {given}");
    let wants_text = matches!(expected, Value::String(_));
    if let Ok(parsed) = DeTable::parse(&document)
        && let Some(value) = parsed.get_ref().get("value")
        && parsed.get_ref().len() == 1
    {
        if wants_text && !value.get_ref().is_str() {
            return Ok(Value::String(raw.to_owned()));
        }
        let source = Source {
            name: &name,
            text: &document,
            has_lines: false,
        };
        check_value(value, expected, key, &source)?;
        let table: Table = toml::from_str(&document).map_err(|e| RecipeError::Override {
            given: given.to_owned(),
            reason: e.message().to_owned(),
        })?;
        if let Some(value) = table.into_iter().next().map(|(_, value)| value) {
            return Ok(value);
        }
    }
    if raw.starts_with(['[', '{', '"', '\'']) {
        return Err(RecipeError::Override {
            given: given.to_owned(),
            reason: format!("`{raw}` is not a valid TOML value"),
        });
    }
    match expected {
        Value::String(_) => Ok(Value::String(raw.to_owned())),
        Value::Array(_) if key == "data.train" => Ok(Value::String(raw.to_owned())),
        other => Err(RecipeError::Override {
            given: given.to_owned(),
            reason: format!("expected {}, found `{raw}`", describe(other)),
        }),
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list such as [1, 2]",
        Value::Table(_) => "a table such as {key = value}",
    }
}

fn insert(table: &mut Table, keys: &[String], value: Value) -> Result<(), String> {
    let Some((first, rest)) = keys.split_first() else {
        return Ok(());
    };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Ok(());
    }
    let child = table
        .entry(first.clone())
        .or_insert_with(|| Value::Table(Table::new()));
    match child {
        Value::Table(child) => insert(child, rest, value),
        Value::Array(items) => insert_into_array(items, first, rest, value),
        _ => Err(format!("`{first}` is a single value")),
    }
}

fn insert_into_array(
    items: &mut [Value],
    array_key: &str,
    keys: &[String],
    value: Value,
) -> Result<(), String> {
    let Some((selector, rest)) = keys.split_first() else {
        return Ok(());
    };
    if selector == "*" && !rest.is_empty() {
        for item in items.iter_mut().filter_map(Value::as_table_mut) {
            insert(item, rest, value.clone())?;
        }
        return Ok(());
    }
    let names: Vec<String> = items
        .iter()
        .map(|item| {
            item.get("name")
                .and_then(Value::as_str)
                .unwrap_or("unnamed")
                .to_owned()
        })
        .collect();
    let index = names
        .iter()
        .position(|name| name == selector)
        .or_else(|| selector.parse().ok().filter(|&index| index < items.len()))
        .ok_or_else(|| {
            format!(
                "`{array_key}` has no element `{selector}`: there are {} ({})",
                items.len(),
                names.join(", ")
            )
        })?;
    match &mut items[index] {
        slot if rest.is_empty() => {
            *slot = value;
            Ok(())
        }
        Value::Table(table) => insert(table, rest, value),
        _ => Err(format!("`{array_key}.{selector}` is a single value")),
    }
}

//! In what two recipes differ.

use std::collections::{BTreeMap, BTreeSet};

/// Keys that may change between two starts of one run: they do not decide what is learned. Whatever
/// is not here is compared, so that a new key is.
const FREE_KEYS: [&str; 6] = [
    "checkpoint",
    "export",
    "data.test",
    "data.cache_mb",
    "distill.answers",
    "distill.answers_mb",
];

/// Whether a dotted key may change between two starts of one run.
pub(crate) fn is_free(key: &str) -> bool {
    FREE_KEYS
        .iter()
        .any(|free| key == *free || key.starts_with(&format!("{free}.")))
}

/// What differs between two resolved recipes, in words; `None` if nothing does that matters.
pub(super) fn difference(old: &str, new: &str) -> Result<Option<String>, toml::de::Error> {
    let flat = |text: &str| -> Result<BTreeMap<String, String>, toml::de::Error> {
        let table: toml::Table = toml::from_str(text)?;
        let mut values = BTreeMap::new();
        flatten("", &toml::Value::Table(table), &mut values);
        Ok(values)
    };
    let (old, new) = (flat(old)?, flat(new)?);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changed = keys
        .into_iter()
        .filter(|key| !is_free(key) && old.get(*key) != new.get(*key));
    let Some(first) = changed.next() else {
        return Ok(None);
    };
    let value = |values: &BTreeMap<String, String>| {
        values.get(first).map_or("not set".into(), Clone::clone)
    };
    let mut text = format!("{first} was {} and is now {}", value(&old), value(&new));
    let more = changed.count();
    if more > 0 {
        text.push_str(&format!(" ({more} more differences)"));
    }
    Ok(Some(text))
}

/// Puts the values of a table into `values` by their dotted keys, which begin with `key`.
pub(crate) fn flatten(key: &str, value: &toml::Value, values: &mut BTreeMap<String, String>) {
    let join = |part: &str| match key {
        "" => part.to_string(),
        _ => format!("{key}.{part}"),
    };
    match value {
        toml::Value::Table(table) => {
            for (part, value) in table {
                flatten(&join(part), value, values);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&join(&index.to_string()), value, values);
            }
        }
        other => {
            values.insert(key.to_string(), other.to_string());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_and_the_others_counted() {
        let old = "a = 1\n[data.test]\nx = 1\n[[student]]\nname = \"s\"\n[student.model]\nd = 4\n";
        assert_eq!(difference(old, old), Ok(None));
        let free = old.replace("x = 1", "y = 2");
        assert_eq!(difference(old, &free), Ok(None));
        let new = old.replace("d = 4", "d = 8");
        let text = "student.0.model.d was 4 and is now 8";
        assert_eq!(difference(old, &new), Ok(Some(text.into())));
        let new = new.replace("a = 1\n", "");
        let text = "a was 1 and is now not set (1 more differences)";
        assert_eq!(difference(old, &new), Ok(Some(text.into())));
        assert!(difference("[", old).is_err());
    }
}

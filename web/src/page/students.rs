//! The students on offer and the families that they come in.

use std::rc::Rc;

use super::fetch;
use crate::{
    catalog::{Catalog, ModelSummary, Role},
    lm_choice::LanguageModels,
};

pub struct Student {
    /// Absolute URL of the model folder.
    pub url: String,
    pub group: String,
    pub role: Role,
    /// Their addresses are absolute.
    pub lms: LanguageModels,
    /// The text of its manifest.
    pub manifest: String,
    pub summary: ModelSummary,
}

impl Student {
    pub fn name(&self) -> &str {
        &self.summary.name
    }

    pub fn is_teacher(&self) -> bool {
        self.role == Role::Teacher
    }
}

/// Reads the catalog; what of it cannot be read is left out and named.
pub async fn fetch_students() -> Result<(Vec<Rc<Student>>, Vec<String>), String> {
    let words = |error| super::dom::words_of(&error);
    let url = fetch::resolve("models/catalog.json").map_err(words)?;
    let catalog: Catalog = fetch::json(&url).await?;
    let (mut students, mut unreadable) = (Vec::new(), Vec::new());
    for entry in catalog.models {
        let at = |path: &str| fetch::resolve(&format!("models/{path}")).map_err(words);
        let mut lms = LanguageModels {
            small: entry.lm,
            large: entry.large_lm,
        };
        for file in [&mut lms.small, &mut lms.large].into_iter().flatten() {
            file.url = at(&file.url)?;
        }
        match crate::json::read(&entry.manifest) {
            Ok(summary) => students.push(Rc::new(Student {
                url: at(&entry.path)?,
                group: entry.group,
                role: entry.role,
                lms,
                manifest: entry.manifest,
                summary,
            })),
            Err(error) => unreadable.push(format!("{}: {error}", entry.path)),
        }
    }
    Ok((students, unreadable))
}

/// The groups, in the order of the catalog.
pub fn families(students: &[Rc<Student>]) -> Vec<String> {
    let mut families: Vec<String> = Vec::new();
    for student in students {
        if !families.contains(&student.group) {
            families.push(student.group.clone());
        }
    }
    families
}

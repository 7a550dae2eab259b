//! `README.md`: the model card.

use serde::{Deserialize, Serialize};

/// What a card says besides what manifest and configuration know.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CardInfo {
    pub name: String,
    pub description: String,
    pub license: String,
    pub language: String,
    /// Data sets with licence and hours, one line each.
    pub data: Vec<String>,
    /// How it was trained, paragraphs.
    pub method: Vec<String>,
    pub limits: Vec<String>,
}

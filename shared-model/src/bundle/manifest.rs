//! `manifest.json`: what a page needs to know before it downloads anything.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    pub name: String,
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// One measured error rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Name of the test set.
    pub set: String,
    /// `greedy` or `beam`.
    pub decoder: String,
    /// Language model file, if one was used.
    pub lm: Option<String>,
    /// Fractions, of the precision named below.
    pub wer: f64,
    pub wer_low: f64,
    pub wer_high: f64,
    pub cer: f64,
    pub words: usize,
    pub utterances: usize,
    pub precision: super::Precision,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u64,
    pub name: String,
    /// One line for people.
    pub description: String,
    pub precision: super::Precision,
    pub parameters: u64,
    /// Every file but this one.
    pub files: Vec<FileEntry>,
    pub evaluations: Vec<Evaluation>,
    /// SPDX expression or words on the weights' licence.
    pub license: String,
}

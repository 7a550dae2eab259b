//! `manifest.json`: what a page needs to know before it downloads anything.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    BundleError, Precision,
    hash::sha256_hex,
    limits::{MAX_MANIFEST_BYTES, max_bytes},
    read::check_version,
};

/// The manifest.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Features, architecture and decoder settings.
pub const CONFIG_FILE: &str = "config.json";
/// The vocabulary.
pub const TOKENS_FILE: &str = "tokens.txt";
/// The model card.
pub const CARD_FILE: &str = "README.md";
/// The language model beside the network, if the folder has one.
pub const LM_FILE: &str = "lm.bin";

const MAX_FILES: usize = 32;
const MAX_EVALUATIONS: usize = 1000;
const MAX_TEXT_CHARS: usize = 4000;
/// The manifest's last entry: SHA-256 of the file's bytes with these 64 digits replaced by zeros.
const SEAL_KEY: &str = "\"manifest_sha256\": \"";
const SEAL_DIGITS: usize = 64;

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Without a folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, lower-case hexadecimal.
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
    /// Word error rate, a fraction as all rates here.
    pub wer: f64,
    /// Lower end of its 95 % interval.
    pub wer_low: f64,
    /// Upper end of its 95 % interval.
    pub wer_high: f64,
    /// Character error rate.
    pub cer: f64,
    /// Words of the references.
    pub words: usize,
    /// Utterances of the set.
    pub utterances: usize,
    /// Of the weights that were measured.
    pub precision: Precision,
}

/// What `manifest.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the folder; this build reads up to [`super::FORMAT_VERSION`].
    pub format_version: u64,
    /// Of the model.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Of the stored weights.
    pub precision: Precision,
    /// Trainable parameters.
    pub parameters: u64,
    /// Every file but this one.
    pub files: Vec<FileEntry>,
    /// What was measured with these weights.
    pub evaluations: Vec<Evaluation>,
    /// SPDX expression or words on the weights' licence.
    pub license: String,
}

#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

impl Manifest {
    /// Reads and checks `manifest.json` alone: limits, names, figures and its own digest.
    ///
    /// # Errors
    /// If it is over its size, no manifest, of a newer format, holds a name or figure that cannot
    /// be, or was changed after it was sealed.
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(BundleError::TooLarge {
                file: MANIFEST_FILE.into(),
                bytes: bytes.len() as u64,
                limit: MAX_MANIFEST_BYTES,
            });
        }
        let version: Version = serde_json::from_slice(bytes).map_err(malformed)?;
        check_version(MANIFEST_FILE, version.format_version)?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        manifest.validate()?;
        check_seal(bytes)?;
        Ok(manifest)
    }

    /// The sealed text of `manifest.json`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        self.validate()?;
        let text = serde_json::to_string_pretty(self).map_err(malformed)?;
        let body = text.trim_end_matches('}').trim_end();
        let zeros = "0".repeat(SEAL_DIGITS);
        let mut bytes = format!("{body},\n  {SEAL_KEY}{zeros}\"\n}}\n").into_bytes();
        let start = seal_start(&bytes).ok_or_else(|| content("a text holds the digest's key"))?;
        let digest = sha256_hex(&bytes);
        bytes[start..start + SEAL_DIGITS].copy_from_slice(digest.as_bytes());
        Ok(bytes)
    }

    /// The entry of the file called `name`, if it is listed.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }

    /// What tells these weights from others: the first digits of their SHA-256.
    pub fn weights_id(&self) -> String {
        let weights = self.file(self.precision.file_name());
        let digest = weights.map_or("", |file| file.sha256.as_str());
        digest.chars().take(12).collect()
    }

    /// The files that [`super::read_model`] needs besides the manifest itself: configuration,
    /// tokens and weights. What a page has to download.
    pub fn needed_files(&self) -> Vec<&FileEntry> {
        self.needed_names()
            .into_iter()
            .filter_map(|name| self.file(name))
            .collect()
    }

    fn needed_names(&self) -> [&'static str; 3] {
        [CONFIG_FILE, TOKENS_FILE, self.precision.file_name()]
    }

    fn validate(&self) -> Result<(), BundleError> {
        if self.name.trim().is_empty() {
            return Err(content("the model has no name"));
        }
        for text in [&self.name, &self.description, &self.license] {
            check_text(text)?;
        }
        if self.files.len() > MAX_FILES {
            return Err(content(&format!(
                "{} files are listed, at most {MAX_FILES} are allowed",
                self.files.len()
            )));
        }
        let mut names = BTreeSet::new();
        for file in &self.files {
            file.validate()?;
            if !names.insert(file.name.as_str()) {
                return Err(content(&format!("{} is listed twice", file.name)));
            }
        }
        for needed in self.needed_names() {
            if !names.contains(needed) {
                return Err(content(&format!("{needed} is not listed")));
            }
        }
        if self.evaluations.len() > MAX_EVALUATIONS {
            return Err(content(&format!(
                "{} evaluations are listed, at most {MAX_EVALUATIONS} are allowed",
                self.evaluations.len()
            )));
        }
        self.evaluations.iter().try_for_each(Evaluation::validate)
    }
}

impl FileEntry {
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        }
    }

    fn validate(&self) -> Result<(), BundleError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if self.name.is_empty()
            || self.name.len() > 100
            || self.name.starts_with('.')
            || !self.name.chars().all(is_plain)
            || self.name == MANIFEST_FILE
        {
            return Err(content(&format!(
                "{:?} is not the name of a file in a model folder",
                self.name.chars().take(100).collect::<String>()
            )));
        }
        let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if self.sha256.len() != SEAL_DIGITS || !self.sha256.bytes().all(is_digit) {
            return Err(content(&format!(
                "the SHA-256 of {} is not 64 lower-case hexadecimal digits",
                self.name
            )));
        }
        let limit = max_bytes(&self.name);
        if self.bytes > limit {
            return Err(BundleError::TooLarge {
                file: self.name.clone(),
                bytes: self.bytes,
                limit,
            });
        }
        Ok(())
    }
}

impl Evaluation {
    fn validate(&self) -> Result<(), BundleError> {
        check_text(&self.set)?;
        check_text(&self.decoder)?;
        check_text(self.lm.as_deref().unwrap_or_default())?;
        let rates = [self.wer, self.wer_low, self.wer_high, self.cer];
        if rates.iter().any(|rate| !rate.is_finite() || *rate < 0.0) {
            return Err(content(&format!(
                "an error rate of the evaluation on {:?} is negative or not finite",
                self.set
            )));
        }
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), BundleError> {
    let length = text.chars().count();
    if length > MAX_TEXT_CHARS {
        return Err(content(&format!(
            "a text has {length} characters, at most {MAX_TEXT_CHARS} are allowed"
        )));
    }
    Ok(())
}

fn check_seal(bytes: &[u8]) -> Result<(), BundleError> {
    let start = seal_start(bytes).ok_or_else(|| content("manifest_sha256 is missing"))?;
    let mut zeroed = bytes.to_vec();
    let digits = &mut zeroed[start..start + SEAL_DIGITS];
    let expected = String::from_utf8_lossy(digits).into_owned();
    digits.fill(b'0');
    let found = sha256_hex(&zeroed);
    if found != expected {
        return Err(BundleError::Hash {
            file: MANIFEST_FILE.into(),
            found,
            expected,
        });
    }
    Ok(())
}

/// Where the digits of the manifest's own digest begin; `None` if there is no one place for them.
fn seal_start(bytes: &[u8]) -> Option<usize> {
    let key = SEAL_KEY.as_bytes();
    let is_key = |place: &usize| bytes[*place..].starts_with(key);
    let mut places = (0..bytes.len()).filter(is_key);
    let start = places.next()? + key.len();
    let is_whole = bytes.get(start + SEAL_DIGITS) == Some(&b'"');
    (is_whole && places.next().is_none()).then_some(start)
}

fn content(reason: &str) -> BundleError {
    BundleError::Content {
        file: MANIFEST_FILE.into(),
        reason: reason.into(),
    }
}

fn malformed(error: serde_json::Error) -> BundleError {
    BundleError::Json {
        file: MANIFEST_FILE,
        what: "manifest",
        error,
    }
}

//! Reading and checking a model folder.

use std::sync::Arc;

use super::{
    BundleError, CardInfo, Files, Manifest,
    config::ConfigFile,
    hash::sha256_hex,
    limits::max_bytes,
    manifest::{CONFIG_FILE, LM_FILE, MANIFEST_FILE, TOKENS_FILE},
    shapes::weight_shapes,
    tensor_file,
};
use crate::{
    decode::{BeamConfig, BeamDecoder, Calibrations, DecodeError, lm::NgramLm},
    features::FeatureConfig,
    model::ModelConfig,
    tokens::Tokens,
    weights::{Int8Weights, Weights},
};

/// Newest `config.json` format this build reads and the one it writes.
pub const FORMAT_VERSION: u64 = 1;

/// A checked model folder, ready to become a network.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    /// What the network listens to.
    pub features: FeatureConfig,
    /// The architecture.
    pub model: ModelConfig,
    /// The vocabulary.
    pub tokens: Tokens,
    /// Expanded to f32.
    pub weights: Weights,
    /// Matrices that are int8 in the file, as they are.
    pub int8: Int8Weights,
    /// What `manifest.json` says.
    pub manifest: Manifest,
    /// Settings of the beam search tuned for this model, if the folder has them.
    pub beam: Option<BeamConfig>,
    /// The same of the search over phones.
    pub phone_beam: Option<BeamConfig>,
    /// What makes probabilities of words' confidences, if the folder has it.
    pub calibrations: Calibrations,
    /// The folder's own language model as its file holds it, if it was given.
    pub lm: Option<Vec<u8>>,
    /// What the card says beyond the manifest.
    pub card: CardInfo,
}

impl LoadedModel {
    /// Whether words with this language model are found by their phones: the network hears them, and
    /// the language model knows how its words sound.
    pub fn reads_phones_with(&self, lm: &NgramLm) -> bool {
        self.model.phone_head && lm.has_pronunciations()
    }

    /// The beam search with a language model and the folder's settings: over phones if it can be, else
    /// over letters.
    ///
    /// # Errors
    /// Settings out of their ranges, or a language model of which no word can be written.
    pub fn beam_search(&self, lm: Arc<NgramLm>) -> Result<BeamDecoder, DecodeError> {
        if self.reads_phones_with(&lm) {
            let config = self.phone_beam.clone().unwrap_or_default();
            return BeamDecoder::of_phones(config, lm);
        }
        let config = self.beam.clone().unwrap_or_default();
        BeamDecoder::new(&self.tokens, config, None, Some(lm))
    }
}

/// Checks sizes, hashes, shapes and values of everything; never panics on any bytes.
///
/// Needs `manifest.json` and the files of [`Manifest::needed_files`]; other files that the
/// manifest lists are checked if they are there, and files it does not list are ignored.
///
/// # Errors
/// The first thing that is wrong, with the file that has it.
pub fn read_model(files: &Files) -> Result<LoadedModel, BundleError> {
    let manifest = Manifest::from_json(required(files, MANIFEST_FILE)?)?;
    let weights_file = manifest.precision.file_name();
    for needed in [CONFIG_FILE, TOKENS_FILE, weights_file] {
        required(files, needed)?;
    }
    check_files(files, &manifest)?;

    let config = ConfigFile::from_json(required(files, CONFIG_FILE)?)?;
    let tokens_txt = required(files, TOKENS_FILE)?;
    let tokens = Tokens::from_txt(tokens_txt)?;
    config.check(tokens_txt, &tokens)?;
    let num_parameters = config.architecture.num_parameters() as u64;
    if manifest.parameters != num_parameters {
        return Err(BundleError::Content {
            file: MANIFEST_FILE.into(),
            reason: format!(
                "it says {} parameters, the architecture has {num_parameters}",
                manifest.parameters
            ),
        });
    }
    let (weights, int8) = tensor_file::read(
        required(files, weights_file)?,
        manifest.precision,
        &weight_shapes(&config.architecture),
    )?;
    Ok(LoadedModel {
        features: config.features,
        model: config.architecture,
        tokens,
        weights,
        int8,
        lm: manifest
            .file(LM_FILE)
            .and_then(|entry| files.get(&entry.name))
            .cloned(),
        manifest,
        beam: config.beam,
        phone_beam: config.phone_beam,
        calibrations: config.confidence,
        card: config.card,
    })
}

pub(super) fn check_version(file: &str, found: u64) -> Result<(), BundleError> {
    if found == 0 || found > FORMAT_VERSION {
        return Err(BundleError::Version {
            file: file.into(),
            found,
            supported: FORMAT_VERSION,
        });
    }
    Ok(())
}

pub(super) fn required<'a>(files: &'a Files, name: &str) -> Result<&'a [u8], BundleError> {
    let file = files
        .get(name)
        .ok_or_else(|| BundleError::MissingFile { file: name.into() })?;
    Ok(file)
}

/// Sizes first: a file that is too large is not even hashed.
fn check_files(files: &Files, manifest: &Manifest) -> Result<(), BundleError> {
    for entry in &manifest.files {
        let Some(bytes) = files.get(&entry.name) else {
            continue;
        };
        let found = bytes.len() as u64;
        let limit = max_bytes(&entry.name);
        if found > limit {
            return Err(BundleError::TooLarge {
                file: entry.name.clone(),
                bytes: found,
                limit,
            });
        }
        if found != entry.bytes {
            return Err(BundleError::Size {
                file: entry.name.clone(),
                found,
                expected: entry.bytes,
            });
        }
        let found = sha256_hex(bytes);
        if found != entry.sha256 {
            return Err(BundleError::Hash {
                file: entry.name.clone(),
                found,
                expected: entry.sha256.clone(),
            });
        }
    }
    Ok(())
}

//! Writing a model folder.

use super::{
    BundleError, CardInfo, Evaluation, FORMAT_VERSION, FileEntry, Files, Manifest, Precision, card,
    config::ConfigFile,
    limits::max_bytes,
    manifest::{CARD_FILE, CONFIG_FILE, LM_FILE, MANIFEST_FILE, TOKENS_FILE},
    read::{read_model, required},
    shapes::weight_shapes,
    tensor_file,
};
use crate::{
    decode::{BeamConfig, Calibrations},
    features::FeatureConfig,
    model::ModelConfig,
    tokens::Tokens,
    weights::{WeightError, Weights},
};

/// Everything a model folder is made of.
pub struct ModelParts<'a> {
    /// What the network listens to.
    pub features: &'a FeatureConfig,
    /// The architecture.
    pub model: &'a ModelConfig,
    /// The vocabulary.
    pub tokens: &'a Tokens,
    /// By name, in f32.
    pub weights: &'a Weights,
    /// Decoder settings tuned for the model.
    pub beam: Option<&'a BeamConfig>,
    /// How the weights are to be stored.
    pub precision: Precision,
    /// What was measured with the weights as stored.
    pub evaluations: &'a [Evaluation],
    /// What the card says beyond all that.
    pub card: &'a CardInfo,
}

/// The files of the folder; reading them back gives the same model (int8: the quantised one). The
/// same parts give the same bytes.
///
/// # Errors
/// If parts do not agree (weights and architecture, vocabulary and classes), or a file would be one
/// that [`read_model`] refuses.
pub fn write_model(parts: &ModelParts<'_>) -> Result<Files, BundleError> {
    let tokens_txt = parts.tokens.to_txt().into_bytes();
    let config = ConfigFile::new(
        parts.features,
        parts.model,
        parts.beam,
        parts.card,
        &tokens_txt,
    );
    config.check(&tokens_txt, parts.tokens)?;
    check_shapes(parts.model, parts.weights)?;
    let weights_file = parts.precision.file_name();
    let files = Files::from([
        (CONFIG_FILE.into(), config.to_json()?),
        (TOKENS_FILE.into(), tokens_txt),
        (
            weights_file.into(),
            tensor_file::write(parts.weights, parts.precision)?,
        ),
    ]);
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: parts.card.name.clone(),
        description: parts.card.description.clone(),
        precision: parts.precision,
        parameters: parts.model.num_parameters() as u64,
        files: Vec::new(),
        evaluations: parts.evaluations.to_vec(),
        license: parts.card.license.clone(),
    };
    describe(files, manifest, parts.card, parts.features, parts.model)
}

/// The same folder with these evaluations instead of its own: manifest and card are written anew,
/// everything else keeps its bytes.
///
/// # Errors
/// If the folder cannot be read, or an evaluation holds what a manifest may not.
pub fn with_evaluations(files: &Files, evaluations: &[Evaluation]) -> Result<Files, BundleError> {
    let loaded = read_model(files)?;
    let kept = described_files(files, &loaded.manifest)?;
    let manifest = Manifest {
        evaluations: evaluations.to_vec(),
        ..loaded.manifest
    };
    describe(
        kept,
        manifest,
        &loaded.card,
        &loaded.features,
        &loaded.model,
    )
}

/// What a folder gets that belongs to decoding; what is none stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct TunedDecoder<'a> {
    /// Settings of the beam search over letters.
    pub beam: Option<&'a BeamConfig>,
    /// Settings of the one over phones.
    pub phone_beam: Option<&'a BeamConfig>,
    /// The language model, in its binary form.
    pub lm: Option<&'a [u8]>,
}

/// The same folder with other decoder settings or another language model beside the network; manifest
/// and card are written anew. Words by other settings have other confidences, so that the calibration
/// of those is dropped.
///
/// # Errors
/// If the folder cannot be read, or the language model is over its limit.
pub fn with_decoder(files: &Files, tuned: &TunedDecoder<'_>) -> Result<Files, BundleError> {
    let change = |config: &mut ConfigFile| {
        if let Some(beam) = tuned.beam {
            config.beam = Some(beam.clone());
            config.confidence.lm = None;
        }
        if let Some(beam) = tuned.phone_beam {
            config.phone_beam = Some(beam.clone());
            config.confidence.phones = None;
        }
    };
    with_config(files, change, tuned.lm)
}

/// The same folder with these calibrations of words' confidences; manifest and card are written
/// anew.
///
/// # Errors
/// If the folder cannot be read.
pub fn with_calibrations(files: &Files, calibrations: &Calibrations) -> Result<Files, BundleError> {
    with_config(files, |config| config.confidence = *calibrations, None)
}

/// The same folder with its configuration changed and, if one is given, a language model.
fn with_config(
    files: &Files,
    change: impl FnOnce(&mut ConfigFile),
    lm: Option<&[u8]>,
) -> Result<Files, BundleError> {
    let loaded = read_model(files)?;
    let mut kept = described_files(files, &loaded.manifest)?;
    let mut config = ConfigFile::from_json(required(files, CONFIG_FILE)?)?;
    change(&mut config);
    kept.insert(CONFIG_FILE.into(), config.to_json()?);
    if let Some(lm) = lm {
        kept.insert(LM_FILE.into(), lm.to_vec());
    }
    describe(
        kept,
        loaded.manifest,
        &loaded.card,
        &loaded.features,
        &loaded.model,
    )
}

/// What the manifest lists, without the card.
fn described_files(files: &Files, manifest: &Manifest) -> Result<Files, BundleError> {
    let entries = manifest
        .files
        .iter()
        .filter(|entry| entry.name != CARD_FILE);
    entries
        .map(|entry| Ok((entry.name.clone(), required(files, &entry.name)?.to_vec())))
        .collect()
}

/// Adds card and manifest to the other files.
fn describe(
    mut files: Files,
    mut manifest: Manifest,
    info: &CardInfo,
    features: &FeatureConfig,
    model: &ModelConfig,
) -> Result<Files, BundleError> {
    let entries = |files: &Files| files.iter().map(|(n, b)| FileEntry::of(n, b)).collect();
    manifest.files = entries(&files);
    let card = card::card(info, &manifest, features, model);
    files.insert(CARD_FILE.into(), card.into_bytes());
    manifest.files = entries(&files);
    files.insert(MANIFEST_FILE.into(), manifest.to_json()?);
    // What cannot be read back must not be written.
    for (name, bytes) in &files {
        let (bytes, limit) = (bytes.len() as u64, max_bytes(name));
        if bytes > limit {
            return Err(BundleError::TooLarge {
                file: name.clone(),
                bytes,
                limit,
            });
        }
    }
    Ok(files)
}

fn check_shapes(model: &ModelConfig, weights: &Weights) -> Result<(), BundleError> {
    let expected = weight_shapes(model);
    for (name, shape) in &expected {
        let weight = weights
            .get(name)
            .ok_or_else(|| WeightError::Missing { name: name.clone() })?;
        if weight.shape != *shape {
            return Err(WeightError::Shape {
                name: name.clone(),
                found: weight.shape.clone(),
                expected: shape.clone(),
            }
            .into());
        }
    }
    match weights.keys().find(|name| !expected.contains_key(*name)) {
        Some(name) => Err(WeightError::Unknown { name: name.clone() }.into()),
        None => Ok(()),
    }
}

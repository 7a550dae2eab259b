//! The folders that other people's programs open: the ONNX file and what they want beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use shared_model::audio::SAMPLE_RATE_HZ;
use shared_model::bundle::{
    CARD_FILE, Files, LoadedModel, ModelParts, Precision, TOKENS_FILE, TunedDecoder, read_model,
    with_decoder, write_model,
};
use shared_model::decode::lm::NgramLm;
use shared_model::decode::{WORD_MARK, written_piece};
use shared_model::tokens::{BLANK_ID, Tokens};

use super::{GRAPH_FILE, OnnxError, WAVEFORM_SUBSAMPLING, card, from_features, from_waveform};
use crate::decoding_graph::decoding_graph;
use crate::files::{write_folder_atomically, write_synced};

/// The programs that a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Audience {
    /// sherpa-onnx, which computes features itself: Python, C, phones, browsers
    Sherpa,
    /// transformers.js and others that take a waveform; sherpa-onnx reads its file, too
    TransformersJs,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sherpa, Self::TransformersJs];

    /// Ends the name of the folder.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Sherpa => "sherpa",
            Self::TransformersJs => "transformers-js",
        }
    }
}

/// The file of weights in a folder for sherpa-onnx.
const SHERPA_MODEL: &str = "model.onnx";

/// The file of weights in a folder for transformers.js, and what transformers.js calls its precision:
/// it looks for the file that belongs to a precision.
pub(super) fn waveform_file(precision: Precision) -> (&'static str, &'static str) {
    match precision {
        Precision::Int8 => ("onnx/model_quantized.onnx", "q8"),
        Precision::F32 | Precision::F16 => ("onnx/model.onnx", "fp32"),
    }
}

/// The model with its weights stored as f32 or int8. A model that has them so keeps its very integers.
///
/// # Errors
/// [`OnnxError::Precision`] for f16.
pub fn in_precision(model: &LoadedModel, precision: Precision) -> Result<LoadedModel, OnnxError> {
    if precision == Precision::F16 {
        return Err(OnnxError::Precision(precision));
    }
    if model.manifest.precision == precision {
        return Ok(model.clone());
    }
    Ok(read_model(&stored_as(model, precision)?)?)
}

/// A model folder of the same model in another precision. Its error rates were measured in the old one
/// and are left out.
///
/// # Errors
/// A weight that is too large for f16.
pub fn stored_as(model: &LoadedModel, precision: Precision) -> Result<Files, OnnxError> {
    let evaluations = match model.manifest.precision == precision {
        true => model.manifest.evaluations.as_slice(),
        false => &[],
    };
    let files = write_model(&ModelParts {
        features: &model.features,
        model: &model.model,
        tokens: &model.tokens,
        weights: &model.weights,
        beam: model.beam.as_ref(),
        precision,
        evaluations,
        card: &model.card,
    })?;
    let tuned = TunedDecoder {
        phone_beam: model.phone_beam.as_ref(),
        ..TunedDecoder::default()
    };
    Ok(with_decoder(&files, &tuned)?)
}

/// The files of a folder by their path in it. `model` holds its weights as they are to be stored, see
/// [`in_precision`]; `name` is the folder's in the commands of its card. A folder for sherpa-onnx gets
/// `lm` as a decoding graph, with the model's own settings of the beam search.
///
/// # Errors
/// A model that these programs cannot run, or that no graph can be made for.
pub fn files(
    model: &LoadedModel,
    audience: Audience,
    name: &str,
    lm: Option<&NgramLm>,
) -> Result<Files, OnnxError> {
    let (file, bytes) = match audience {
        Audience::Sherpa => (SHERPA_MODEL, from_features(model)?),
        Audience::TransformersJs => (
            waveform_file(model.manifest.precision).0,
            from_waveform(model)?,
        ),
    };
    let mut texts = vec![
        (TOKENS_FILE, model.tokens.to_txt()),
        (CARD_FILE, card::card(model, audience, name, lm.is_some())),
    ];
    if audience == Audience::TransformersJs {
        texts.extend(json_files(model));
    }
    let texts = texts
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.into_bytes()));
    let mut files: Files = texts.collect();
    files.insert(file.to_owned(), bytes);
    if let Some(lm) = lm {
        let beam = model.beam.clone().unwrap_or_default();
        files.insert(
            GRAPH_FILE.to_owned(),
            decoding_graph(&model.tokens, lm, &beam)?,
        );
    }
    Ok(files)
}

/// Configurations as Hugging Face's libraries write them for `Wav2Vec2ForCTC`.
fn json_files(model: &LoadedModel) -> Vec<(&'static str, String)> {
    let (_, precision) = waveform_file(model.manifest.precision);
    let config = json!({
        "architectures": ["Wav2Vec2ForCTC"],
        "model_type": "wav2vec2",
        "vocab_size": model.model.vocab_size,
        "pad_token_id": BLANK_ID,
        // Samples of a frame: what times of words are computed from.
        "inputs_to_logits_ratio": SAMPLE_RATE_HZ as usize / 100 * WAVEFORM_SUBSAMPLING,
        "transformers.js_config": { "dtype": precision },
    });
    let preprocessor = json!({
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE_HZ,
        "padding_value": 0.0,
        "do_normalize": false,
        "return_attention_mask": false,
    });
    let tokenizer_config = json!({
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "clean_up_tokenization_spaces": false,
    });
    let files = [
        ("config.json", config),
        ("preprocessor_config.json", preprocessor),
        ("tokenizer.json", tokenizer(&model.tokens)),
        ("tokenizer_config.json", tokenizer_config),
    ];
    files
        .map(|(name, value)| (name, format!("{value:#}\n")))
        .into()
}

/// `tokenizer.json`. The blank is no special token: those are removed before equal neighbours are
/// made one, and of a doubled letter one would be left.
fn tokenizer(tokens: &Tokens) -> Value {
    let pieces = (0..tokens.len() as u32).filter_map(|id| Some((id, tokens.piece(id)?)));
    let vocabulary: BTreeMap<&str, u32> = pieces.clone().map(|(id, piece)| (piece, id)).collect();
    let unwritten = pieces.filter(|&(id, _)| id != BLANK_ID && written_piece(tokens, id).is_none());
    let special: Vec<Value> = unwritten
        .map(|(id, piece)| {
            json!({
                "id": id,
                "content": piece,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": true,
            })
        })
        .collect();
    let blank = tokens.piece(BLANK_ID);
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
        "normalizer": null,
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {
            "type": "CTC",
            "pad_token": blank,
            "word_delimiter_token": WORD_MARK.to_string(),
            "cleanup": true,
        },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": blank },
    })
}

/// Writes a folder whole or not at all. One that is there is replaced, if everything in it is what such
/// a folder holds.
///
/// # Errors
/// A folder that holds something else, and what the system says.
pub fn write(folder: &Path, files: &Files) -> Result<(), OnnxError> {
    let error = |source| OnnxError::Folder {
        folder: folder.to_owned(),
        source,
    };
    if let Some(other) = first_other(folder, Path::new("")).map_err(error)? {
        let folder = folder.to_owned();
        return Err(OnnxError::NotOurs { folder, other });
    }
    write_folder_atomically(folder, |partial| {
        for (name, content) in files {
            let path = partial.join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            write_synced(&path, content)?;
        }
        Ok(())
    })
    .map_err(error)
}

/// Everything that some folder of ours may hold.
const NAMES: [&str; 11] = [
    SHERPA_MODEL,
    TOKENS_FILE,
    CARD_FILE,
    GRAPH_FILE,
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "onnx/model.onnx",
    "onnx/model_quantized.onnx",
    "onnx",
];

/// The first file below a folder that none of ours has, or nothing where there is no folder.
fn first_other(folder: &Path, below: &Path) -> std::io::Result<Option<String>> {
    let entries = match std::fs::read_dir(folder.join(below)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let is_ours = NAMES.iter().any(|name| Path::new(name) == path);
        let is_folder = entry.file_type()?.is_dir();
        if !is_ours || is_folder != (path == Path::new("onnx")) {
            return Ok(Some(path.display().to_string()));
        }
        if is_folder && let Some(other) = first_other(folder, &path)? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep/small-transformers-js");
        let files: Files = [("README.md", "card"), ("onnx/model.onnx", "weights")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into();
        write(&folder, &files).unwrap();
        write(&folder, &files).unwrap();
        assert_eq!(
            std::fs::read(folder.join("onnx/model.onnx")).unwrap(),
            b"weights"
        );
        std::fs::write(folder.join("onnx/thesis.txt"), "years of work").unwrap();
        let error = write(&folder, &files).unwrap_err().to_string();
        assert!(error.contains("onnx/thesis.txt"), "{error}");
        assert!(folder.join("onnx/thesis.txt").exists());
    }

    #[test]
    fn the_blank_is_an_ordinary_token_and_unwritten_pieces_are_special() {
        let tokens = Tokens::from_txt("<blk> 0\n<unk> 1\n▁ 2\na 3\n".as_bytes()).unwrap();
        let tokenizer = tokenizer(&tokens);
        assert_eq!(tokenizer["model"]["vocab"]["<blk>"], 0);
        assert_eq!(tokenizer["model"]["vocab"]["a"], 3);
        let special = tokenizer["added_tokens"].as_array().unwrap();
        assert_eq!(special.len(), 1);
        assert_eq!(special[0]["content"], "<unk>");
    }
}

//! `README.md`: the model card, a YAML head for machines and a body for people.
//!
//! Every figure comes from the manifest; the card computes and rounds, it never adds one.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Evaluation, Manifest, Precision};
use crate::{features::FeatureConfig, model::ModelConfig};

/// What a card says besides what manifest and configuration know.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CardInfo {
    /// Of the model.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// SPDX expression or words on the weights' licence.
    pub license: String,
    /// Code of the language that it writes, `en`.
    pub language: String,
    /// Data sets with licence and hours, one line each.
    pub data: Vec<String>,
    /// How it was trained, paragraphs.
    pub method: Vec<String>,
    /// What it is not good at, one line each.
    pub limits: Vec<String>,
}

/// The card's text.
pub(super) fn card(
    info: &CardInfo,
    manifest: &Manifest,
    features: &FeatureConfig,
    model: &ModelConfig,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(&mut text, info, manifest);
    let _ = write_body(&mut text, info, manifest, features, model);
    text
}

fn write_head(out: &mut String, info: &CardInfo, manifest: &Manifest) -> std::fmt::Result {
    writeln!(out, "---")?;
    writeln!(out, "license: {}", yaml_string(&info.license))?;
    writeln!(out, "language: {}", yaml_string(&info.language))?;
    writeln!(out, "library_name: fledge")?;
    writeln!(out, "pipeline_tag: automatic-speech-recognition")?;
    writeln!(out, "tags:")?;
    for tag in ["automatic-speech-recognition", "ctc", "conformer"] {
        writeln!(out, "- {tag}")?;
    }
    if !info.data.is_empty() {
        writeln!(out, "datasets:")?;
        for line in &info.data {
            writeln!(out, "- {}", yaml_string(line))?;
        }
    }
    writeln!(out, "metrics:\n- wer")?;
    if !manifest.evaluations.is_empty() {
        writeln!(out, "model-index:")?;
        writeln!(out, "- name: {}", yaml_string(&info.name))?;
        writeln!(out, "  results:")?;
        for evaluation in &manifest.evaluations {
            writeln!(out, "  - task:")?;
            writeln!(out, "      type: automatic-speech-recognition")?;
            writeln!(out, "      name: Automatic Speech Recognition")?;
            writeln!(out, "    dataset:")?;
            writeln!(out, "      name: {}", yaml_string(&evaluation.set))?;
            writeln!(out, "      type: {}", yaml_string(&evaluation.set))?;
            writeln!(out, "    metrics:")?;
            writeln!(out, "    - type: wer")?;
            let label = format!(
                "WER, {}, {}",
                decoder_label(evaluation),
                evaluation.precision
            );
            writeln!(out, "      name: {}", yaml_string(&label))?;
            writeln!(out, "      value: {}", percent(evaluation.wer))?;
        }
    }
    writeln!(out, "---")
}

fn write_body(
    out: &mut String,
    card: &CardInfo,
    manifest: &Manifest,
    features: &FeatureConfig,
    model: &ModelConfig,
) -> std::fmt::Result {
    writeln!(
        out,
        "\n# {}\n\n{}\n",
        one_line(&card.name),
        card.description
    )?;
    writeln!(out, "## Size\n")?;
    writeln!(out, "| | |\n| --- | --- |")?;
    writeln!(out, "| parameters | {} |", grouped(manifest.parameters))?;
    if let Some(weights) = manifest.file(manifest.precision.file_name()) {
        writeln!(
            out,
            "| weights | `{}`, {} bytes, {} |",
            weights.name,
            grouped(weights.bytes),
            precision_words(manifest.precision)
        )?;
    }
    writeln!(
        out,
        "| encoder | {} Conformer blocks, width {}, {} heads, feed-forward {}, kernel {} |",
        model.n_layers, model.d_model, model.n_heads, model.d_ffn, model.conv_kernel
    )?;
    writeln!(
        out,
        "| input | 16 kHz mono, {} mel bands every 10 ms, reduced {} times in time |",
        features.n_mels, model.subsampling_factor
    )?;
    writeln!(
        out,
        "| output | {} classes, CTC, blank 0{} |\n",
        model.vocab_size,
        if model.phone_head {
            "; and phones: 41 classes, blank 0"
        } else {
            ""
        }
    )?;
    write_list(out, "Data", &card.data, "- ")?;
    write_list(out, "Method", &card.method, "\n")?;
    write_evaluations(out, &manifest.evaluations)?;
    write_list(out, "Limits", &card.limits, "- ")?;
    writeln!(out, "## Licence\n\n{}", card.license)
}

fn write_list(out: &mut String, title: &str, lines: &[String], bullet: &str) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "## {title}\n")?;
    for (index, line) in lines.iter().enumerate() {
        let bullet = if index == 0 {
            bullet.trim_start_matches('\n')
        } else {
            bullet
        };
        writeln!(out, "{bullet}{line}")?;
    }
    writeln!(out)
}

fn write_evaluations(out: &mut String, evaluations: &[Evaluation]) -> std::fmt::Result {
    writeln!(out, "## Word error rate\n")?;
    if evaluations.is_empty() {
        return writeln!(out, "Not measured.\n");
    }
    writeln!(
        out,
        "| test set | decoder | precision | WER % | 95 % interval | CER % | words | utterances |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for evaluation in evaluations {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} to {} | {} | {} | {} |",
            table_cell(&evaluation.set),
            table_cell(&decoder_label(evaluation)),
            evaluation.precision,
            percent(evaluation.wer),
            percent(evaluation.wer_low),
            percent(evaluation.wer_high),
            percent(evaluation.cer),
            evaluation.words,
            evaluation.utterances
        )?;
    }
    writeln!(
        out,
        "\nWER: substitutions, deletions and insertions over reference words, both texts normalised \
         (lower case, letters and apostrophes). Interval: bootstrap over utterances.\n"
    )
}

fn decoder_label(evaluation: &Evaluation) -> String {
    match &evaluation.lm {
        Some(lm) => format!("{} with {lm}", evaluation.decoder),
        None => evaluation.decoder.clone(),
    }
}

fn precision_words(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "32-bit floats",
        Precision::F16 => "16-bit floats (vectors 32-bit)",
        Precision::Int8 => "8-bit integers, one scale per output channel (vectors 32-bit floats)",
    }
}

/// A rate as percent with two decimals.
fn percent(rate: f64) -> String {
    format!("{:.2}", rate * 100.0)
}

/// `18600192` as `18,600,192`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn table_cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// A double-quoted scalar. JSON strings are YAML strings, so no text can break out of its line.
fn yaml_string(text: &str) -> String {
    serde_json::Value::String(one_line(text)).to_string()
}

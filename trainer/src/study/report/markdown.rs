//! `report.md`.

use super::{plots::Plot, results::Results, tables::findings};
use crate::report::Table;

pub(super) fn page(results: &Results, tables: &[Table], plots: &[Plot]) -> String {
    let mut text = format!("# {}\n", results.title);
    for note in &results.notes {
        text += &format!("\n{note}\n");
    }
    if !results.missing.is_empty() {
        text += &format!(
            "\n**Not finished:** {} cells have no record yet: {}.\n",
            results.missing.len(),
            results.missing.join(", ")
        );
    }
    let findings = findings(results);
    if !findings.is_empty() {
        text += "\n## What the tests show\n\n";
        text += "The best of ours against each baseline:\n\n";
        for finding in findings {
            text += &format!("- {finding}\n");
        }
    }
    for plot in plots {
        text += &format!("\n![{}]({})\n\n{}\n", plot.title, plot.file, plot.note);
    }
    for table in tables {
        text += &format!(
            "\n## {}\n\n{}\n\n{}",
            table.title,
            table.note,
            table.to_markdown()
        );
    }
    text += "\n## Where the figures come from\n\n";
    for sentence in origins(results) {
        text += &format!("- {sentence}\n");
    }
    text
}

/// How every figure can be made again.
pub(super) fn origins(results: &Results) -> Vec<String> {
    let mut sentences = vec![
        format!(
            "Every figure is one of results.json, which `fledge study study.toml --collect` makes from the records in cells/ ({} bootstrap samples).",
            results.resamples
        ),
        "A record names the recipe of its cell, its fingerprint, costs by phase and network, and the errors of every utterance.".to_owned(),
    ];
    for machine in &results.recorded_on {
        sentences.push(format!(
            "Cells ran with fledge {} on {} ({}, {} threads; {} {}).",
            machine.fledge,
            machine.processor,
            machine.device,
            machine.cores,
            machine.os,
            machine.arch
        ));
    }
    for arm in &results.arms {
        for (seed, epochs) in &arm.computed_epochs {
            sentences.push(format!(
                "{}, seed {seed}: {epochs} epochs follow from measured costs.",
                arm.label
            ));
        }
    }
    for counted in &results.counted_as {
        sentences.push(format!(
            "{} took {:.2} times as much processor time as its epochs take in {}, whose machine was faster or less busy: tables and plots count it as those.",
            counted.cell, counted.measured_over_counted, counted.epochs_of
        ));
    }
    sentences
}

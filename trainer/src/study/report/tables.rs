//! The tables of a report, as text.

use std::collections::BTreeSet;

use shared_model::metrics::Interval;

use super::results::{ArmResult, NetworkResult, Results, Score, Side};
use crate::report::{Table, format_count, format_duration};

/// All tables that have rows.
pub(super) fn tables(results: &Results) -> Vec<Table> {
    let all = [
        pooled(results),
        by_test(results),
        comparisons(results),
        costs(results),
        by_student(results),
        speed_ups(results),
        test_sets(results),
    ];
    all.into_iter()
        .filter(|table| !table.rows.is_empty())
        .collect()
}

pub(super) fn percent(rate: f64) -> String {
    format!("{:.2}", 100.0 * rate)
}

pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}

fn interval(of: Interval) -> String {
    format!("{} to {}", percent(of.low), percent(of.high))
}

fn optional<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// One row a network, network by network, so that arms stand under each other.
fn network_rows(
    results: &Results,
    row: impl Fn(&ArmResult, &NetworkResult) -> Vec<String>,
) -> Vec<Vec<String>> {
    let mut rows = vec![];
    for name in network_names(results) {
        for arm in &results.arms {
            let network = arm.networks.iter().find(|network| network.name == name);
            rows.extend(network.map(|network| row(arm, network)));
        }
    }
    rows
}

/// In the order in which arms have them.
pub(super) fn network_names(results: &Results) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let networks = results.arms.iter().flat_map(|arm| &arm.networks);
    networks
        .map(|network| network.name.as_str())
        .filter(|name| seen.insert(*name))
        .collect()
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Teacher => "teacher",
        Side::Ours => "ours",
        Side::Baseline => "baseline",
        Side::Paper => "published",
    }
}

fn pooled(results: &Results) -> Table {
    let by_seed = |score: &Score| {
        let rates: Vec<String> = score.wer_by_seed.iter().map(|&wer| percent(wer)).collect();
        rates.join(" / ")
    };
    Table {
        title: "Word error rate, all tests together".to_owned(),
        note: "In %, greedy, f32 weights, errors of all seeds over words of all seeds. Intervals are 95 % \
               bootstrap intervals over utterances and over speakers; they say nothing about other seeds, \
               for which the last two columns stand."
            .to_owned(),
        header: strings([
            "network",
            "arm",
            "side",
            "parameters",
            "WER",
            "by utterance",
            "by speaker",
            "by seed",
            "SD",
            "CER",
            "CTC loss",
        ]),
        words: 3,
        rows: network_rows(results, |arm, network| {
            let score = &network.pooled;
            vec![
                network.name.clone(),
                arm.label.clone(),
                side(arm.side).to_owned(),
                format_count(network.parameters),
                percent(score.wer),
                interval(score.by_utterance),
                optional(score.by_speaker, interval),
                by_seed(score),
                optional(score.seed_deviation, percent),
                percent(score.cer),
                optional(score.ctc_loss, |loss| format!("{loss:.3}")),
            ]
        }),
    }
}

fn by_test(results: &Results) -> Table {
    let mut header = strings(["network", "arm"]);
    header.extend(results.tests.iter().map(|test| test.name.clone()));
    Table {
        title: "Word error rate by test".to_owned(),
        note: "In %, with 95 % intervals over utterances.".to_owned(),
        header,
        words: 2,
        rows: network_rows(results, |arm, network| {
            let mut row = vec![network.name.clone(), arm.label.clone()];
            row.extend(results.tests.iter().map(|test| {
                let score = network.tests.iter().find(|(name, _)| *name == test.name);
                optional(score, |(_, score)| {
                    format!("{} ({})", percent(score.wer), interval(score.by_utterance))
                })
            }));
            row
        }),
    }
}

fn comparisons(results: &Results) -> Table {
    let points = |difference: f64| format!("{:+.2}", 100.0 * difference);
    let rows = results.comparisons.iter().map(|comparison| {
        let by_seed: Vec<String> = comparison.by_seed.iter().map(|&d| points(d)).collect();
        let test = &comparison.by_utterance;
        vec![
            comparison.network.clone(),
            label_of(results, &comparison.ours).to_owned(),
            label_of(results, &comparison.baseline).to_owned(),
            points(test.difference),
            format!(
                "{} to {}",
                points(test.interval.low),
                points(test.interval.high)
            ),
            p_value(test.p_value),
            p_value(comparison.adjusted_p),
            optional(comparison.by_speaker, |test| p_value(test.p_value)),
            by_seed.join(" / "),
        ]
    });
    Table {
        title: "Ours against the baselines".to_owned(),
        note: "Points of WER on all tests together, ours less the baseline: below 0, ours is better. Paired \
               bootstrap over utterances and over speakers, seeds together, two-sided; adjusted: by Holm for \
               all rows."
            .to_owned(),
        header: strings([
            "network",
            "ours",
            "baseline",
            "difference",
            "95 % interval",
            "p",
            "p adjusted",
            "p by speaker",
            "by seed",
        ]),
        words: 3,
        rows: rows.collect(),
    }
}

/// What an arm is called.
pub(super) fn label_of<'a>(results: &'a Results, name: &'a str) -> &'a str {
    let arm = results.arms.iter().find(|arm| arm.name == name);
    arm.map_or(name, |arm| &arm.label)
}

fn costs(results: &Results) -> Table {
    let phases: BTreeSet<_> = results
        .arms
        .iter()
        .flat_map(|arm| arm.costs.phases.iter().map(|(phase, _)| *phase))
        .collect();
    let mut header = strings(["arm", "students", "shared teacher", "starts"]);
    header.extend(phases.iter().map(|phase| phase.as_str().to_owned()));
    header.extend(strings([
        "training in all",
        "of it teacher's passes",
        "validation",
        "on the wall",
    ]));
    let secs = |secs: f64| match secs {
        0.0 => "-".to_owned(),
        secs => format_duration(secs),
    };
    let rows = results.arms.iter().map(|arm| {
        let costs = &arm.costs;
        let mut row = vec![arm.label.clone(), arm.networks.len().to_string()];
        row.extend([secs(costs.shared_teacher), secs(costs.starts)]);
        row.extend(phases.iter().map(|phase| {
            let own = costs.phases.iter().find(|(of, _)| of == phase);
            secs(own.map_or(0.0, |(_, cpu_secs)| *cpu_secs))
        }));
        row.extend([
            secs(costs.training),
            secs(costs.teacher_passes),
            secs(costs.validation),
            secs(costs.wall_secs),
        ]);
        row
    });
    Table {
        title: "What it cost, whole".to_owned(),
        note: "Processor time (the last column: time on the wall), mean over seeds, all networks of an arm \
               together. A shared teacher is counted in full for each arm that uses it."
            .to_owned(),
        header,
        words: 1,
        rows: rows.collect(),
    }
}

fn by_student(results: &Results) -> Table {
    let mut rows = vec![];
    for arm in results.arms.iter().filter(|arm| arm.side != Side::Teacher) {
        for student in &arm.costs.students {
            rows.push(vec![
                arm.label.clone(),
                student.name.clone(),
                format_duration(student.own),
                format_duration(arm.costs.shared),
                format_duration(student.attributed),
            ]);
        }
    }
    Table {
        title: "What it cost, by student".to_owned(),
        note: "Processor time of training, mean over seeds. What only one student needed is its own: one more \
               like it costs as much again. The rest (the teacher's training and passes, a network that has students as exits, data, checkpoints) is \
               shared, and divided equally among the students that used it."
            .to_owned(),
        header: strings(["arm", "student", "its own", "shared by all", "with its part of it"]),
        words: 2,
        rows,
    }
}

fn speed_ups(results: &Results) -> Table {
    let times = |ratio: f64| format!("{ratio:.2}");
    let mut rows = vec![];
    for speed_up in &results.speed_ups {
        for network in &speed_up.networks {
            rows.push(vec![
                label_of(results, &speed_up.arm).to_owned(),
                network.network.clone(),
                percent(network.target_wer),
                format!("{} of {}", network.reached, network.seeds),
                optional(network.last_phase, times),
                optional(network.in_full, times),
                optional(speed_up.whole, times),
                optional(speed_up.break_even, |students| students.to_string()),
                optional(speed_up.break_even_at_equal_wer, |students| {
                    students.to_string()
                }),
            ]);
        }
    }
    let reference = results.reference.as_deref().unwrap_or_default();
    Table {
        title: "How much sooner as good as training alone".to_owned(),
        note: format!(
            "Training of \"{}\" until its final WER on the development set, over training of the arm until the \
             same WER. The paper's way counts the last phase alone (-: reached before it, or not with every \
             seed); in full, everything that a student needed, with its part of what is shared; whole family: \
             all students together until the last of them is as good. Break-even: the least number of students \
             with which the arm costs no more, both run to their ends, and at equal WER.",
            label_of(results, reference)
        ),
        header: strings([
            "arm",
            "network",
            "WER to reach",
            "reached",
            "the paper's way",
            "in full",
            "whole family",
            "break-even",
            "at equal WER",
        ]),
        words: 2,
        rows,
    }
}

fn test_sets(results: &Results) -> Table {
    let rows = results.tests.iter().map(|test| {
        vec![
            test.name.clone(),
            test.utterances.to_string(),
            format_count(test.words),
            test.speakers.to_string(),
        ]
    });
    Table {
        title: "Tests".to_owned(),
        note: "Read once a cell, after training.".to_owned(),
        header: strings(["test", "utterances", "words", "speakers"]),
        words: 1,
        rows: rows.collect(),
    }
}

/// What the comparisons show, one sentence a network and baseline.
pub(super) fn findings(results: &Results) -> Vec<String> {
    let mut findings = vec![];
    for network in network_names(results) {
        let baselines: BTreeSet<&str> = results
            .comparisons
            .iter()
            .filter(|comparison| comparison.network == network)
            .map(|comparison| comparison.baseline.as_str())
            .collect();
        let in_order = results
            .arms
            .iter()
            .filter(|arm| baselines.contains(arm.name.as_str()));
        findings.extend(in_order.filter_map(|baseline| finding(results, network, baseline)));
    }
    findings
}

/// The best of ours against a baseline.
fn finding(results: &Results, network: &str, baseline: &ArmResult) -> Option<String> {
    let best = results
        .comparisons
        .iter()
        .filter(|c| c.network == network && c.baseline == baseline.name)
        .min_by(|a, b| {
            a.by_utterance
                .difference
                .total_cmp(&b.by_utterance.difference)
        })?;
    let difference = best.by_utterance.difference;
    let verdict = match (best.by_utterance.p_value < 0.05, difference < 0.0) {
        (true, true) => "is better than",
        (true, false) => "is worse than",
        (false, _) => "cannot be told from",
    };
    Some(format!(
        "{network}: {} {verdict} {} ({:+.2} points of WER, p = {}, adjusted {})",
        label_of(results, &best.ours),
        baseline.label,
        100.0 * difference,
        p_value(best.by_utterance.p_value),
        p_value(best.adjusted_p)
    ))
}

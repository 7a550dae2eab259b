//! The plots of a report.

use super::super::StudyError;
use super::{
    results::{ArmResult, Results, Side},
    tables::{label_of, network_names},
};
use crate::report::{Chart, Line, Point, Series};

/// Students that the plot of costs goes up to.
const MOST_STUDENTS: usize = 6;

/// A picture with what it shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plot {
    pub file: String,
    pub title: String,
    pub note: String,
    pub svg: String,
}

/// Every plot that has something to show.
pub(super) fn plots(results: &Results) -> Result<Vec<Plot>, StudyError> {
    let mut plots = vec![];
    plots.extend(by_size(results)?);
    plots.extend(by_cost(results)?);
    for network in network_names(results) {
        plots.extend(dev_curves(results, network)?);
    }
    plots.extend(by_students(results)?);
    plots.extend(speed_ups(results)?);
    Ok(plots)
}

/// Ours with lines, what it is compared with dashed.
fn line(side: Side) -> Line {
    match side {
        Side::Ours => Line::Solid,
        Side::Baseline | Side::Paper => Line::Dashed,
        Side::Teacher => Line::None,
    }
}

/// Draws `chart`; nothing where it has no point.
fn plot(file: &str, chart: &Chart<'_>, note: &str) -> Result<Option<Plot>, StudyError> {
    if chart.series.iter().all(|series| series.points.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Plot {
        file: file.to_owned(),
        title: chart.title.to_owned(),
        note: note.to_owned(),
        svg: chart.draw()?,
    }))
}

fn by_size(results: &Results) -> Result<Option<Plot>, StudyError> {
    let arms = results.arms.len();
    let series = results.arms.iter().enumerate().map(|(look, arm)| {
        // Arms have networks of the same sizes: beside each other their intervals can be seen.
        let aside = (look as f64 - (arms as f64 - 1.0) / 2.0) * 0.012;
        let points = arm.networks.iter().map(|network| {
            let score = &network.pooled;
            Point {
                x: (network.parameters as f64).log10() + aside,
                y: 100.0 * score.wer,
                interval: Some((
                    100.0 * score.by_utterance.low,
                    100.0 * score.by_utterance.high,
                )),
            }
        });
        series(arm, look, points.collect())
    });
    let chart = Chart {
        title: "Word error rate by size",
        x_label: "parameters (logarithmic)",
        y_label: "WER on all tests, %",
        series: series.collect(),
        x_text: &|x| parameters(10f64.powf(x)),
    };
    let note = "All tests and seeds together, with 95 % intervals over utterances. Arms of the same size stand \
                beside each other.";
    plot("wer-by-size.svg", &chart, note)
}

/// One point an arm that has all sizes: the question of equal compute in one picture.
fn by_cost(results: &Results) -> Result<Option<Plot>, StudyError> {
    let (unit, secs) = unit_of(results);
    let arms = results.arms.iter().enumerate();
    let students = arms.filter(|(_, arm)| arm.side != Side::Teacher);
    let sizes = students.clone().map(|(_, arm)| arm.networks.len()).max();
    let sizes = sizes.unwrap_or(0);
    let whole = students.filter(|(_, arm)| arm.networks.len() == sizes);
    let series = whole.map(|(look, arm)| {
        let wer: f64 = arm.networks.iter().map(|network| network.pooled.wer).sum();
        let point = Point {
            x: arm.costs.training / secs,
            y: 100.0 * wer / sizes as f64,
            interval: None,
        };
        Series {
            is_hollow: arm.side != Side::Ours,
            line: Line::None,
            ..series(arm, look, vec![point])
        }
    });
    let chart = Chart {
        title: "What all students cost, and how well they hear",
        x_label: &format!("processor {unit} of the whole arm"),
        y_label: "mean WER of its students, %",
        series: series.collect(),
        x_text: &|x| number(x),
    };
    let note = "Nearer to the lower left corner is better. All tests together, mean over sizes and seeds; a shared \
                teacher is counted in full. Hollow: what ours are compared with.";
    plot("wer-by-cost.svg", &chart, note)
}

fn series(arm: &ArmResult, look: usize, points: Vec<Point>) -> Series {
    Series {
        label: arm.label.clone(),
        look,
        line: line(arm.side),
        is_hollow: arm.side == Side::Teacher,
        points,
    }
}

fn parameters(count: f64) -> String {
    match count {
        count if count >= 1e6 => format!("{:.1} M", count / 1e6),
        count => format!("{:.0} k", count / 1e3),
    }
}

fn dev_curves(results: &Results, network: &str) -> Result<Option<Plot>, StudyError> {
    let (unit, secs) = unit_of(results);
    let arms = results.arms.iter().enumerate();
    let arms = arms.filter(|(_, arm)| arm.side != Side::Teacher);
    let series = arms.filter_map(|(look, arm)| {
        let curve = arm.curves.iter().find(|curve| curve.network == network)?;
        let points = curve.points.iter().map(|point| Point {
            x: point.whole_cpu_secs / secs,
            y: (100.0 * point.wer).min(100.0),
            interval: None,
        });
        Some(series(arm, look, points.collect()))
    });
    let chart = Chart {
        title: &format!("{network}: development set"),
        x_label: &format!("processor {unit} of the whole arm"),
        y_label: "WER, %",
        series: series.collect(),
        x_text: &|x| number(x),
    };
    let note = format!(
        "{network} on the development set against what its whole arm had spent until then: shared teacher and \
         all students. Mean over seeds; rates above 100 % are drawn at 100 %."
    );
    plot(&format!("dev-{network}.svg"), &chart, &note)
}

fn by_students(results: &Results) -> Result<Option<Plot>, StudyError> {
    let (unit, secs) = unit_of(results);
    let arms = results.arms.iter().enumerate();
    let arms = arms.filter(|(_, arm)| arm.side != Side::Teacher);
    let series = arms.map(|(look, arm)| {
        let costs = &arm.costs;
        let own: f64 = costs.students.iter().map(|student| student.own).sum();
        let mean = own / costs.students.len().max(1) as f64;
        let points = (1..=MOST_STUDENTS).map(|students| Point {
            x: students as f64,
            y: (costs.shared + mean * students as f64) / secs,
            interval: None,
        });
        series(arm, look, points.collect())
    });
    let chart = Chart {
        title: "Cost by number of students",
        x_label: "students",
        y_label: &format!("processor {unit}"),
        series: series.collect(),
        x_text: &|x| number(x),
    };
    let note = "Training of so many students like the mean of an arm's: what is shared once, and each one's own. \
                The slope is the cost of one more.";
    plot("cost-by-students.svg", &chart, note)
}

fn speed_ups(results: &Results) -> Result<Option<Plot>, StudyError> {
    let names = network_names(results);
    let place = |network: &str| names.iter().position(|name| *name == network);
    let mut series = vec![];
    let count = results.speed_ups.len() as f64;
    for (index, speed_up) in results.speed_ups.iter().enumerate() {
        let look = results.arms.iter().position(|arm| arm.name == speed_up.arm);
        let aside = (index as f64 - (count - 1.0) / 2.0) * 0.06;
        for (how, is_hollow) in [("in full", false), ("the paper's way", true)] {
            let points = speed_up.networks.iter().filter_map(|network| {
                let ratio = if is_hollow {
                    network.last_phase
                } else {
                    network.in_full
                };
                Some(Point {
                    x: place(&network.network)? as f64 + aside,
                    y: ratio?,
                    interval: None,
                })
            });
            series.push(Series {
                label: format!("{}, {how}", label_of(results, &speed_up.arm)),
                look: look.unwrap_or(index),
                line: Line::None,
                is_hollow,
                points: points.collect(),
            });
        }
    }
    series.retain(|series| !series.points.is_empty());
    let chart = Chart {
        title: "Sooner as good as training alone",
        x_label: "network",
        y_label: "times as fast",
        series,
        x_text: &|x| {
            let is_whole = (x - x.round()).abs() < 1e-6 && x >= 0.0;
            let name = names.get(x.round() as usize).filter(|_| is_whole);
            name.map_or_else(String::new, |name| (*name).to_owned())
        },
    };
    let note = "Cost of training alone until its final WER on the development set, over the cost of the arm until \
                the same WER: below 1, training alone is faster. The paper's way counts fine-tuning alone.";
    plot("speed-up.svg", &chart, note)
}

/// Seconds, minutes or hours, whichever suits the costs, with its seconds.
fn unit_of(results: &Results) -> (&'static str, f64) {
    let costs = results.arms.iter().map(|arm| arm.costs.training);
    match costs.max_by(f64::total_cmp).unwrap_or(0.0) {
        most if most >= 2.0 * 3600.0 => ("hours", 3600.0),
        most if most >= 120.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    }
}

fn number(value: f64) -> String {
    match value {
        value if value.fract().abs() < 1e-9 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

//! Word error rates on the development set against what was spent until then.

use super::super::DevPoint;
use super::{
    collect::{FinishedArm, FinishedCell},
    costs::{Spent, before},
    results::{Curve, CurvePoint},
};
use crate::config::Phase;

/// The curves of an arm, mean over seeds.
pub(super) fn curves(arm: &FinishedArm<'_>) -> Vec<Curve> {
    let networks = arm.networks.iter().enumerate();
    networks
        .map(|(index, network)| {
            let by_seed: Vec<Vec<CurvePoint>> = arm
                .cells
                .iter()
                .map(|cell| cell_curve(cell, &arm.networks, index))
                .collect();
            Curve {
                network: network.clone(),
                points: mean_points(&by_seed),
            }
        })
        .collect()
}

/// The measurements of one network of a cell, without those of averaged weights.
pub(super) fn cell_curve(
    cell: &FinishedCell<'_>,
    students: &[String],
    network: usize,
) -> Vec<CurvePoint> {
    let Some(record) = cell.record.network(&students[network]) else {
        return vec![];
    };
    let points = record.dev.iter().filter(|point| !point.is_average);
    points
        .map(|point| {
            let (spent, phase) = spent_until(cell, students, point);
            CurvePoint {
                phase: point.phase,
                epoch: point.epoch,
                whole_cpu_secs: spent.total(),
                attributed_cpu_secs: spent.attributed(network),
                phase_cpu_secs: phase.attributed(network),
                wer: point.wer,
            }
        })
        .collect()
}

/// Training until a measurement: in all, and of its phase.
pub(super) fn spent_until(
    cell: &FinishedCell<'_>,
    students: &[String],
    point: &DevPoint,
) -> (Spent, Spent) {
    let mut all = before(cell, students);
    let mut phase = Spent::none(students.len());
    for (of, costs) in &cell.record.costs {
        if *of < point.phase {
            all.add(cell.record, costs, 1.0, students);
        } else if *of == point.phase {
            let share = point.phase_cpu_secs / costs.training.cpu_secs.max(f64::MIN_POSITIVE);
            all.add(cell.record, costs, share.min(1.0), students);
            phase.add(cell.record, costs, share.min(1.0), students);
        }
    }
    (all, phase)
}

/// Means of the measurements that every seed has.
fn mean_points(by_seed: &[Vec<CurvePoint>]) -> Vec<CurvePoint> {
    let Some((first, others)) = by_seed.split_first() else {
        return vec![];
    };
    let key = |point: &CurvePoint| -> (Phase, usize) { (point.phase, point.epoch) };
    let mut means = vec![];
    for point in first {
        let same = others.iter().map(|points| {
            let mut points = points.iter();
            points.find(|other| key(other) == key(point))
        });
        let Some(mut same) = same.collect::<Option<Vec<&CurvePoint>>>() else {
            continue;
        };
        same.push(point);
        let mean = |of: fn(&CurvePoint) -> f64| {
            same.iter().map(|point| of(point)).sum::<f64>() / same.len() as f64
        };
        means.push(CurvePoint {
            whole_cpu_secs: mean(|point| point.whole_cpu_secs),
            attributed_cpu_secs: mean(|point| point.attributed_cpu_secs),
            phase_cpu_secs: mean(|point| point.phase_cpu_secs),
            wer: mean(|point| point.wer),
            ..*point
        });
    }
    means
}

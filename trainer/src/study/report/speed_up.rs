//! How much sooner arms are as good as the reference, counted both ways: the paper's, which counts
//! the last phase alone, and in full.

use super::super::DevPoint;
use super::{
    collect::{FinishedArm, FinishedCell},
    costs::{Spent, spent},
    curves::spent_until,
    results::{NetworkSpeedUp, Side, SpeedUp},
    scores::mean,
};

/// Numbers of students that a break-even is looked for among.
const MOST_STUDENTS: usize = 1000;

/// Arms against the reference, where it has finished cells.
pub(super) fn speed_ups(arms: &[FinishedArm<'_>], reference: Option<&str>) -> Vec<SpeedUp> {
    let Some(reference) = arms.iter().find(|arm| Some(arm.name.as_str()) == reference) else {
        return vec![];
    };
    arms.iter()
        .filter(|arm| arm.name != reference.name && arm.side != Side::Teacher)
        .map(|arm| speed_up(arm, reference))
        .filter(|speed_up| !speed_up.networks.is_empty())
        .collect()
}

/// A network of an arm against the reference's, with one seed.
struct Race {
    target_wer: f64,
    /// Of the reference until it was that good.
    reference: Reached,
    /// Of the arm.
    own: Option<Reached>,
}

/// What was spent until a network was good enough.
struct Reached {
    all: Spent,
    phase: Spent,
    /// Whether that was in the last phase.
    is_last: bool,
    student: usize,
}

fn speed_up(arm: &FinishedArm<'_>, reference: &FinishedArm<'_>) -> SpeedUp {
    let pairs: Vec<(&FinishedCell<'_>, &FinishedCell<'_>)> = arm
        .cells
        .iter()
        .filter_map(|own| {
            let same = reference.cells.iter().find(|cell| cell.seed == own.seed);
            Some((own, same?))
        })
        .collect();
    let shared: Vec<&String> = arm
        .networks
        .iter()
        .filter(|network| reference.networks.contains(network))
        .collect();
    let races: Vec<(&String, Vec<Race>)> = shared
        .into_iter()
        .map(|network| {
            let pairs = pairs.iter();
            let races = pairs.filter_map(|(own, other)| race(arm, own, reference, other, network));
            (network, races.collect())
        })
        .collect();
    let races: Vec<(&String, Vec<Race>)> =
        races.into_iter().filter(|(_, r)| !r.is_empty()).collect();
    SpeedUp {
        arm: arm.name.clone(),
        whole: whole(&races),
        break_even: break_even(&pairs, arm, reference),
        break_even_at_equal_wer: break_even_at_equal_wer(&races),
        networks: races
            .iter()
            .map(|(network, races)| network_speed_up(network, races))
            .collect(),
    }
}

fn race(
    arm: &FinishedArm<'_>,
    own: &FinishedCell<'_>,
    reference: &FinishedArm<'_>,
    other: &FinishedCell<'_>,
    network: &str,
) -> Option<Race> {
    // Exits of another network are not measured while they are trained.
    own.record.network(network)?.dev.first()?;
    // What a network ends with is its best epoch or its averaged weights.
    let points = &other.record.network(network)?.dev;
    let last = points.iter().map(|point| point.phase).max()?;
    let finals = points.iter().filter(|point| point.phase == last);
    let target_wer = finals.map(|point| point.wer).min_by(f64::total_cmp)?;
    Some(Race {
        target_wer,
        reference: reached(reference, other, network, target_wer)?,
        own: reached(arm, own, network, target_wer),
    })
}

/// The first measurement that is as good as the target.
fn reached(
    arm: &FinishedArm<'_>,
    cell: &FinishedCell<'_>,
    network: &str,
    target_wer: f64,
) -> Option<Reached> {
    let student = arm.networks.iter().position(|name| name == network)?;
    let points: &[DevPoint] = &cell.record.network(network)?.dev;
    let last = points.iter().map(|point| point.phase).max()?;
    let point = points.iter().find(|point| point.wer <= target_wer)?;
    let (all, phase) = spent_until(cell, &arm.networks, point);
    Some(Reached {
        all,
        phase,
        is_last: point.phase == last,
        student,
    })
}

impl Reached {
    fn in_full(&self) -> f64 {
        self.all.attributed(self.student)
    }
}

fn network_speed_up(network: &str, races: &[Race]) -> NetworkSpeedUp {
    let targets: Vec<f64> = races.iter().map(|race| race.target_wer).collect();
    let reached: Vec<(&Race, &Reached)> = races
        .iter()
        .filter_map(|race| Some((race, race.own.as_ref()?)))
        .collect();
    let in_full: Vec<f64> = reached
        .iter()
        .map(|(race, own)| race.reference.in_full() / own.in_full())
        .collect();
    let last_phase: Option<Vec<f64>> = reached
        .iter()
        .map(|(race, own)| {
            let spent = own.phase.attributed(own.student);
            own.is_last.then(|| race.reference.in_full() / spent)
        })
        .collect();
    NetworkSpeedUp {
        network: network.to_owned(),
        target_wer: mean(&targets).unwrap_or(0.0),
        reached: reached.len(),
        seeds: races.len(),
        last_phase: last_phase.and_then(|ratios| mean(&ratios)),
        in_full: mean(&in_full),
    }
}

/// Whole cost of the reference over that of the arm until the last network is as good.
fn whole(races: &[(&String, Vec<Race>)]) -> Option<f64> {
    let seeds = races.first()?.1.len();
    let latest = |seed: usize, of: &dyn Fn(&Race) -> Option<f64>| -> Option<f64> {
        let costs = races.iter().map(|(_, races)| of(races.get(seed)?));
        let costs: Vec<f64> = costs.collect::<Option<_>>()?;
        costs.into_iter().max_by(f64::total_cmp)
    };
    let ratios: Option<Vec<f64>> = (0..seeds)
        .map(|seed| {
            let reference = latest(seed, &|race| Some(race.reference.all.total()))?;
            let own = latest(seed, &|race| Some(race.own.as_ref()?.all.total()))?;
            Some(reference / own)
        })
        .collect();
    mean(&ratios?)
}

/// The least number of students with which the arm costs no more than the reference.
fn break_even(
    pairs: &[(&FinishedCell<'_>, &FinishedCell<'_>)],
    arm: &FinishedArm<'_>,
    reference: &FinishedArm<'_>,
) -> Option<usize> {
    if pairs.is_empty() {
        return None;
    }
    least_students(|students| {
        pairs.iter().fold((0.0, 0.0), |sum, (own, other)| {
            let own = spent(own, &arm.networks).of_students(students);
            let other = spent(other, &reference.networks).of_students(students);
            (sum.0 + own, sum.1 + other)
        })
    })
}

/// As [`break_even`], every network trained until it is as good as the reference's.
fn break_even_at_equal_wer(races: &[(&String, Vec<Race>)]) -> Option<usize> {
    let all = races.iter().flat_map(|(_, races)| races);
    let pairs = all.map(|race| Some((race.own.as_ref()?, &race.reference)));
    let pairs: Vec<(&Reached, &Reached)> = pairs.collect::<Option<_>>()?;
    if pairs.is_empty() {
        return None;
    }
    // Each stands for a family of students like itself.
    let cost =
        |of: &Reached, students: usize| of.all.shared + of.all.own[of.student] * students as f64;
    least_students(|students| {
        pairs.iter().fold((0.0, 0.0), |sum, (own, other)| {
            (sum.0 + cost(own, students), sum.1 + cost(other, students))
        })
    })
}

/// - `costs`: of the arm and of the reference, by number of students.
fn least_students(costs: impl Fn(usize) -> (f64, f64)) -> Option<usize> {
    (1..=MOST_STUDENTS).find(|&students| {
        let (own, reference) = costs(students);
        own <= reference
    })
}

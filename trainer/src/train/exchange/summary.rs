//! What all processes say of a step before it is made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    cluster::{ClusterError, Team},
    train::network_trainer::StepSummary,
};

/// Numbers by their bits: they arrive as they were.
#[derive(Serialize, Deserialize)]
struct Sent {
    is_finite: bool,
    squares: Vec<u32>,
    losses: Vec<(String, u64)>,
}

/// What all processes say of the steps of several networks, from this one's part of it; and how long
/// each has computed, from `busy` of this one.
pub(in crate::train) fn together(
    team: Team<'_>,
    own: Vec<StepSummary>,
    busy: Duration,
) -> Result<(Vec<StepSummary>, Vec<Duration>), ClusterError> {
    let sent = own.iter().map(|summary| Sent {
        is_finite: summary.is_finite,
        squares: summary.squares.iter().map(|v| v.to_bits()).collect(),
        losses: summary
            .losses
            .iter()
            .map(|(name, value)| (name.clone(), value.to_bits()))
            .collect(),
    });
    let sent = (sent.collect::<Vec<_>>(), busy.as_nanos() as u64);
    let all = team.gather(sent)?;
    let mut merged: Vec<StepSummary> = own.iter().map(|_| StepSummary::default()).collect();
    let mut busy = vec![];
    for (of_process, nanos) in all {
        busy.push(Duration::from_nanos(nanos));
        for (merged, sent) in merged.iter_mut().zip(of_process) {
            merged.is_finite &= sent.is_finite;
            // Each square is its owner's; those of others are 0.
            let squares = sent.squares.into_iter().map(f32::from_bits);
            merged.squares.resize(squares.len(), 0.0);
            for (merged, square) in merged.squares.iter_mut().zip(squares) {
                *merged += square;
            }
            for (name, bits) in sent.losses {
                let value = f64::from_bits(bits);
                match merged.losses.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, sum)) => *sum += value,
                    None => merged.losses.push((name, value)),
                }
            }
        }
    }
    Ok((merged, busy))
}

//! What process 0 alone reads and writes: the others need no file of the run.

use shared_model::weights::{Weights, read_safetensors, write_safetensors};

use crate::{
    cluster::{ClusterError, Team},
    train::{
        TrainError,
        checkpoint::{NetworkTensors, PhaseState},
    },
};

fn unreadable(reason: impl ToString) -> ClusterError {
    ClusterError::Message {
        rank: 0,
        reason: reason.to_string(),
    }
}

/// Several texts as one.
fn packed(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = vec![];
    for part in parts {
        all.extend((part.len() as u64).to_le_bytes());
        all.extend(part);
    }
    all
}

fn unpacked(mut all: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
    let cut = || unreadable("it ends too soon");
    let mut parts = vec![];
    while !all.is_empty() {
        let (length, rest) = all.split_first_chunk().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(unreadable)?;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        parts.push(part.to_vec());
        all = rest;
    }
    Ok(parts)
}

fn bytes_of(weights: &Weights) -> Result<Vec<u8>, ClusterError> {
    write_safetensors(weights).map_err(unreadable)
}

/// Weights that process 0 has read; `read` is called there alone.
pub(in crate::train) fn weights_from_first(
    team: Team<'_>,
    read: impl FnOnce() -> Result<Weights, TrainError>,
) -> Result<Weights, TrainError> {
    let all = phase_from_first(team, || Ok(Some(vec![read()?])))?;
    let first = all.and_then(|weights| weights.into_iter().next());
    Ok(first.ok_or_else(|| unreadable("there are no weights"))?)
}

/// Weights of a finished phase, if process 0 has them; `read` is called there alone.
pub(in crate::train) fn phase_from_first(
    team: Team<'_>,
    read: impl FnOnce() -> Result<Option<Vec<Weights>>, TrainError>,
) -> Result<Option<Vec<Weights>>, TrainError> {
    if team.link().is_none() {
        return read();
    }
    let mut own = vec![];
    if team.is_first()
        && let Some(all) = read()?
    {
        // The mark tells no weights from no phase.
        let weights = all.iter().map(bytes_of);
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        own = [vec![1], packed(&weights)].concat();
    }
    let first = team.from_first(own)?;
    let Some((_, weights)) = first.split_first() else {
        return Ok(None);
    };
    let weights = unpacked(weights)?.into_iter();
    let weights = weights.map(|bytes| read_safetensors(&bytes).map_err(unreadable));
    Ok(Some(weights.collect::<Result<_, _>>()?))
}

/// The checkpoint to go on from, if process 0 has one; `read` is called there alone.
pub(in crate::train) fn checkpoint_from_first(
    team: Team<'_>,
    read: impl FnOnce() -> Result<Option<(PhaseState, Vec<NetworkTensors>)>, TrainError>,
) -> Result<Option<(PhaseState, Vec<NetworkTensors>)>, TrainError> {
    if team.link().is_none() {
        return read();
    }
    let mut own = vec![];
    if team.is_first()
        && let Some((state, tensors)) = read()?
    {
        let mut parts = vec![serde_json::to_vec(&state).map_err(unreadable)?];
        for tensors in &tensors {
            let kinds = [&tensors.weights, &tensors.optimizer, &tensors.average];
            for kind in kinds {
                parts.push(bytes_of(kind)?);
            }
        }
        own = packed(&parts);
    }
    let parts = unpacked(&team.from_first(own)?)?;
    let Some((state, tensors)) = parts.split_first() else {
        return Ok(None);
    };
    let state: PhaseState = serde_json::from_slice(state).map_err(unreadable)?;
    let read = |bytes: &[u8]| read_safetensors(bytes).map_err(unreadable);
    let tensors = tensors.chunks_exact(3).map(|kinds| {
        Ok(NetworkTensors {
            weights: read(&kinds[0])?,
            optimizer: read(&kinds[1])?,
            average: read(&kinds[2])?,
        })
    });
    let tensors = tensors.collect::<Result<_, ClusterError>>()?;
    Ok(Some((state, tensors)))
}

/// The state of an optimiser of which each process keeps a part.
pub(in crate::train) fn one_state(team: Team<'_>, own: Weights) -> Result<Weights, ClusterError> {
    if team.link().is_none() {
        return Ok(own);
    }
    let mut whole = Weights::new();
    for bytes in team.gather_bytes(bytes_of(&own)?)? {
        whole.extend(read_safetensors(&bytes).map_err(unreadable)?);
    }
    Ok(whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_apart_as_they_were_and_half_of_them_is_an_error() {
        let parts = vec![vec![1, 2, 3], vec![], vec![9; 300]];
        let all = packed(&parts);
        assert_eq!(unpacked(&all).unwrap(), parts);
        assert!(unpacked(&all[..all.len() - 1]).is_err());
        assert!(unpacked(&all[..3]).is_err());
        assert!(unpacked(&[]).unwrap().is_empty());
    }
}

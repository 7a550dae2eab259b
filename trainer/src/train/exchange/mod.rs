//! A step that several processes make together.
//!
//! Each process computes its shards of every batch and adds their gradients up into whole nodes of the
//! sum's tree. Every weight has an owner, a process that gets the nodes of its gradient from all,
//! adds them up, updates the weight and keeps its optimiser's state. Then the owners give the new
//! weights to all: nobody's copy can drift.

mod first;
mod flat;
mod owners;
mod rows;
mod summary;
mod whole;

use std::ops::Range;

pub(super) use first::{checkpoint_from_first, one_state, phase_from_first, weights_from_first};
pub(super) use flat::{Flat, flat};
pub(super) use rows::Rows;
pub(super) use summary::together;
pub(super) use whole::{all_batch_stats, whole_batch};

use burn::{optim::GradientsParams, prelude::*};

use super::{network::TrainableNetwork, sum_tree};
use crate::{
    cluster::{ClusterError, Link, Team},
    data::Share,
    parallel::{Task, run_all},
};
use owners::Owners;

/// Who has what in a phase.
pub(super) struct Exchange {
    rank: usize,
    /// Nodes of the sum's tree that each process adds up for itself.
    nodes: Vec<Vec<Range<usize>>>,
    owners: Owners,
}

/// The gradients of a network's step, by this process's nodes.
pub(super) struct NodeSums {
    /// Index of the network in its phase.
    pub network: usize,
    pub nodes: Vec<Flat>,
}

impl Exchange {
    /// - `networks`: of the phase.
    pub fn new<'a>(
        team: Team<'_>,
        shards: usize,
        networks: impl Iterator<Item = &'a TrainableNetwork>,
    ) -> Self {
        let size = team.size();
        let nodes = (0..size).map(|rank| {
            let share = Share::of(rank, size, shards);
            sum_tree::nodes(share.shards, &share.own)
        });
        Self {
            rank: team.rank(),
            nodes: nodes.collect(),
            owners: Owners::new(networks, size),
        }
    }

    /// This process's nodes.
    pub fn own_nodes(&self) -> &[Range<usize>] {
        &self.nodes[self.rank]
    }

    /// Names of the weights of a network that this process updates.
    pub fn owned_names(&self, network: usize) -> impl Iterator<Item = &str> {
        self.owners.names(network, self.rank)
    }

    /// The sum over all shards of the gradients of this process's weights, in the order of `ready`, by
    /// at most `threads` threads.
    pub fn sum(
        &self,
        link: &dyn Link,
        ready: &[NodeSums],
        threads: usize,
    ) -> Result<Vec<Flat>, ClusterError> {
        let size = self.nodes.len();
        let mut send = vec![];
        let mut send_counts = vec![];
        for owner in 0..size {
            let before = send.len();
            for sums in ready {
                for node in &sums.nodes {
                    self.put(&mut send, sums.network, node, owner);
                }
            }
            send_counts.push(send.len() - before);
        }
        let of_node = ready.iter().map(|sums| self.block_len(sums.network));
        let of_node: usize = of_node.sum();
        let receive_counts = self.nodes.iter().map(|nodes| nodes.len() * of_node);
        let receive_counts: Vec<usize> = receive_counts.collect();
        let received = link.exchange(&send, &send_counts, &receive_counts)?;
        Ok(self.add(&received, ready, threads))
    }

    /// Appends what `owner` gets of a node: each tensor behind a 1, or zeros behind a 0 where there is
    /// no gradient.
    fn put(&self, send: &mut Vec<f32>, network: usize, node: &Flat, owner: usize) {
        for (tensor, len) in self.owners.tensors(network, owner) {
            match &node[tensor] {
                Some(values) => {
                    send.push(1.0);
                    send.extend_from_slice(values);
                }
                None => send.resize(send.len() + 1 + len, 0.0),
            }
        }
    }

    /// Numbers of a node of a network for this process.
    fn block_len(&self, network: usize) -> usize {
        let own = self.owners.tensors(network, self.rank);
        own.map(|(_, len)| 1 + len).sum()
    }

    /// Adds up what came from all processes.
    fn add(&self, received: &[f32], ready: &[NodeSums], threads: usize) -> Vec<Flat> {
        let mut rest = received;
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at(count);
            rest = after;
            taken
        };
        // By network and tensor: the values at each node.
        type AtNodes<'a> = Vec<(&'a Range<usize>, Option<&'a [f32]>)>;
        let mut found: Vec<Vec<AtNodes<'_>>> = ready
            .iter()
            .map(|sums| vec![vec![]; self.owners.count(sums.network)])
            .collect();
        for nodes in &self.nodes {
            for (sums, found) in ready.iter().zip(&mut found) {
                for node in nodes {
                    for (tensor, len) in self.owners.tensors(sums.network, self.rank) {
                        let is_there = take(1)[0] != 0.0;
                        let values = take(len);
                        found[tensor].push((node, is_there.then_some(values)));
                    }
                }
            }
        }
        let shards = self.nodes.iter().flatten().map(|node| node.end).max();
        let whole = 0..shards.unwrap_or(0);
        let tensors = found.iter().flatten().map(|at_nodes| {
            let whole = whole.clone();
            let task = move || {
                let mut known = |node: &Range<usize>| -> sum_tree::Known<Vec<f32>> {
                    let at = at_nodes.iter().find(|(other, _)| *other == node)?;
                    Some(at.1.map(<[f32]>::to_vec))
                };
                sum_tree::sum(whole, &mut known, &mut added)
            };
            Box::new(task) as Task<'_, _>
        });
        let mut sums = run_all(threads, tensors.collect()).into_iter();
        found
            .iter()
            .map(|of_network| sums.by_ref().take(of_network.len()).collect())
            .collect()
    }

    /// Puts the weights that their owners have updated into every process's networks, those of
    /// `ready`.
    pub fn share_weights(
        &self,
        link: &dyn Link,
        ready: &[usize],
        mut networks: Vec<&mut TrainableNetwork>,
    ) -> Result<(), ClusterError> {
        let mut own = vec![];
        for (&index, network) in ready.iter().zip(&networks) {
            let values = flat::values(network);
            for (tensor, _) in self.owners.tensors(index, self.rank) {
                own.extend_from_slice(&values[tensor]);
            }
        }
        let counts = (0..self.nodes.len()).map(|owner| -> usize {
            let of_network = ready.iter().flat_map(|&n| self.owners.tensors(n, owner));
            of_network.map(|(_, len)| len).sum()
        });
        let all = link.gather_numbers(&own, &counts.collect::<Vec<_>>())?;
        let mut rest = &all[..];
        let mut values: Vec<Flat> = ready
            .iter()
            .map(|&network| vec![None; self.owners.count(network)])
            .collect();
        for owner in 0..self.nodes.len() {
            for (&network, values) in ready.iter().zip(&mut values) {
                for (tensor, len) in self.owners.tensors(network, owner) {
                    let (of_tensor, after) = rest.split_at(len);
                    rest = after;
                    values[tensor] = Some(of_tensor.to_vec());
                }
            }
        }
        for (network, values) in networks.iter_mut().zip(values) {
            flat::replace(network, values);
        }
        Ok(())
    }
}

fn added(mut a: Vec<f32>, b: Vec<f32>) -> Vec<f32> {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

/// Gradients that came flat, on `device` (without autodiff).
pub(super) fn gradients(
    network: &TrainableNetwork,
    flat: Flat,
    device: &Device,
) -> GradientsParams {
    flat::gradients(network, flat, device)
}

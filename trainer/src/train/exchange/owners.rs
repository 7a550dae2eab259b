//! Which process updates which weights.

use std::cmp::Reverse;

use burn::{module::Param, prelude::*};
use shared_model::weights::{NamedVisitor, visit_named};

use crate::train::network::TrainableNetwork;

/// The owner of each tensor of each network: whole tensors, the largest first, each to the process that
/// has least so far. All processes come to the same.
pub(super) struct Owners {
    /// By network, in the order of its parameters.
    networks: Vec<Vec<Owned>>,
}

struct Owned {
    name: String,
    len: usize,
    owner: usize,
}

impl Owners {
    pub fn new<'a>(networks: impl Iterator<Item = &'a TrainableNetwork>, processes: usize) -> Self {
        let networks = networks.map(|network| {
            let mut tensors = Tensors(vec![]);
            visit_named(network, &mut tensors);
            tensors.0
        });
        let mut networks: Vec<Vec<Owned>> = networks.collect();
        let mut all: Vec<&mut Owned> = networks.iter_mut().flatten().collect();
        all.sort_by_key(|tensor| Reverse(tensor.len));
        let mut loads = vec![0; processes];
        for tensor in all {
            let least = loads.iter_mut().enumerate().min_by_key(|(_, load)| **load);
            if let Some((process, load)) = least {
                tensor.owner = process;
                *load += tensor.len;
            }
        }
        Self { networks }
    }

    /// Tensors of a network.
    pub fn count(&self, network: usize) -> usize {
        self.networks[network].len()
    }

    /// The tensors of a network that are `process`'s: their places among its parameters, and lengths.
    pub fn tensors(
        &self,
        network: usize,
        process: usize,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        let tensors = self.networks[network].iter().enumerate();
        tensors
            .filter(move |(_, tensor)| tensor.owner == process)
            .map(|(place, tensor)| (place, tensor.len))
    }

    /// Their names.
    pub fn names(&self, network: usize, process: usize) -> impl Iterator<Item = &str> {
        let own = self.networks[network].iter();
        own.filter(move |tensor| tensor.owner == process)
            .map(|tensor| tensor.name.as_str())
    }
}

struct Tensors(Vec<Owned>);

impl NamedVisitor for Tensors {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        self.0.push(Owned {
            name: name.to_owned(),
            len: param.val().dims().iter().product(),
            owner: 0,
        });
    }
}

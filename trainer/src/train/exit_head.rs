//! Heads of exits: what the network of the first blocks spells with, where it does not share the last
//! block's head.

use std::collections::BTreeMap;

use burn::{
    module::{Module, Param},
    prelude::*,
    tensor::module,
};
use shared_model::weights::{WeightError, WeightTensor, Weights};

use super::initial::cut;
use crate::config::BlockChoice;

/// The head's names among a network's weights.
const HEAD: [&str; 2] = ["head.weight", "head.bias"];
/// What the names of a phone head begin with, which only the last block has.
const PHONE_HEAD: &str = "phone_head.";
/// What those of an exit begin with, before its depth.
const EXIT: &str = "exit.";

/// The CTC head of the network of the first `depth` blocks.
#[derive(Module, Debug)]
pub(super) struct ExitHead {
    pub depth: usize,
    /// `[d_model, vocab]`
    head: Param<Tensor<2>>,
    /// `[vocab]`
    bias: Param<Tensor<1>>,
}

impl ExitHead {
    /// A copy of the head in a network's weights.
    ///
    /// - `device`: with autodiff.
    pub fn copied(depth: usize, weights: &Weights, device: &Device) -> Result<Self, WeightError> {
        Self::from_names(depth, HEAD.map(str::to_owned), weights, device)
    }

    /// The head that [`Self::add_to`] has put into a network's weights.
    pub fn saved(depth: usize, weights: &Weights, device: &Device) -> Result<Self, WeightError> {
        Self::from_names(depth, names(depth), weights, device)
    }

    fn from_names(
        depth: usize,
        [head, bias]: [String; 2],
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let [head, bias] = [take(weights, head)?, take(weights, bias)?];
        let data = |tensor: WeightTensor| TensorData::new(tensor.data, tensor.shape);
        Ok(Self {
            depth,
            head: Param::from_tensor(Tensor::from_data(data(head), device)),
            bias: Param::from_tensor(Tensor::from_data(data(bias), device)),
        })
    }

    /// `[batch, time', d_model]` to logits `[batch, time', vocab]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        module::linear(hidden, self.head.val(), Some(self.bias.val()))
    }

    /// Puts its values among the weights of its network.
    pub fn add_to(&self, weights: &mut Weights) {
        let [head, bias] = names(self.depth);
        weights.insert(head, values(self.head.val()));
        weights.insert(bias, values(self.bias.val()));
    }
}

fn names(depth: usize) -> [String; 2] {
    HEAD.map(|name| format!("{EXIT}{depth}.{name}"))
}

fn take(weights: &Weights, name: String) -> Result<WeightTensor, WeightError> {
    let found = weights.get(&name).cloned();
    found.ok_or(WeightError::Missing { name })
}

fn values<const D: usize>(tensor: Tensor<D>) -> WeightTensor {
    WeightTensor {
        shape: tensor.dims().to_vec(),
        data: tensor.into_data().iter::<f32>().collect(),
    }
}

/// Heads of exits by their depth, each under the names that a network's own head has.
pub(super) type ExitHeads = BTreeMap<usize, Weights>;

/// Takes the heads of exits out of a network's weights.
pub(super) fn take_exit_heads(weights: &mut Weights) -> ExitHeads {
    let mut heads = ExitHeads::new();
    let of_exits = weights.extract_if(.., |name, _| name.starts_with(EXIT));
    for (name, weight) in of_exits {
        let rest = name[EXIT.len()..].split_once('.');
        let depth = rest.and_then(|(depth, own)| Some((depth.parse().ok()?, own)));
        if let Some((depth, own)) = depth {
            let head: &mut Weights = heads.entry(depth).or_default();
            head.insert(own.to_owned(), weight);
        }
    }
    heads
}

/// The network of the first `depth` of `n_layers` blocks, with the head that it has for itself.
pub(super) fn first_blocks(
    whole: &Weights,
    n_layers: usize,
    depth: usize,
    heads: &ExitHeads,
) -> Result<Weights, WeightError> {
    let mut weights = cut(whole, n_layers, depth, BlockChoice::First)?;
    weights.retain(|name, _| !name.starts_with(PHONE_HEAD));
    weights.extend(heads.get(&depth).cloned().unwrap_or_default());
    Ok(weights)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_head_goes_among_the_weights_and_comes_out_under_the_name_of_a_head() {
        let device = Device::flex();
        let tensor = |shape: &[usize], data: &[f32]| WeightTensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        let own = Weights::from([
            (
                "head.weight".into(),
                tensor(&[2, 3], &[1., 2., 3., 4., 5., 6.]),
            ),
            ("head.bias".into(), tensor(&[3], &[10., 20., 30.])),
            ("exits_are_not_this".into(), tensor(&[1], &[7.])),
        ]);
        let mut weights = own.clone();
        for depth in [1, 12] {
            ExitHead::copied(depth, &own, &device)
                .unwrap()
                .add_to(&mut weights);
        }
        assert_eq!(weights.len(), 7);
        let saved = ExitHead::saved(12, &weights, &device).unwrap();
        let hidden = Tensor::from_data(TensorData::new(vec![1., 1., 0., 2.], [1, 2, 2]), &device);
        let logits: Vec<f32> = saved.logits(hidden).into_data().iter().collect();
        assert_eq!(logits, [15., 27., 39., 18., 30., 42.]);
        let heads = take_exit_heads(&mut weights);
        assert_eq!(weights, own);
        assert!(heads.keys().eq([&1, &12]));
        assert_eq!(heads[&12]["head.bias"], own["head.bias"]);
        assert!(ExitHead::saved(1, &weights, &device).is_err());
    }
}

//! What the axes of each weight are made of.

use shared_model::model::ModelConfig;

/// What the values along an axis of a weight belong to.
#[derive(Clone, Copy)]
pub(super) enum Channels {
    /// Mel bands or classes: as many in both networks.
    Fixed,
    /// Taps of a depthwise kernel.
    Taps,
    /// The encoder's width.
    Model,
    /// The feed-forward modules' width.
    FeedForward,
    /// Heads of attention, each with channels that turn in pairs.
    Heads,
}

/// An axis of a weight: copies of some channels one after the other.
pub(super) type Axis = (usize, Channels);

/// The axes of a weight by its name.
pub(super) fn axes(name: &str) -> Vec<Axis> {
    use Channels::{FeedForward, Fixed, Heads, Model, Taps};
    let layers = [
        ("conv_a.weight", vec![(3, Fixed), (1, Model)]),
        ("conv_b.weight", vec![(3, Model), (1, Model)]),
        ("conv_c.weight", vec![(3, Model), (1, Model)]),
        ("up.weight", vec![(1, Model), (1, FeedForward)]),
        ("up.bias", vec![(1, FeedForward)]),
        ("down.weight", vec![(1, FeedForward), (1, Model)]),
        ("qkv.weight", vec![(1, Model), (3, Heads)]),
        ("qkv.bias", vec![(3, Heads)]),
        ("attention.out.weight", vec![(1, Heads), (1, Model)]),
        ("gate.weight", vec![(1, Model), (2, Model)]),
        ("gate.bias", vec![(2, Model)]),
        ("depthwise.weight", vec![(1, Taps), (1, Model)]),
        ("conv.out.weight", vec![(1, Model), (1, Model)]),
        ("head.weight", vec![(1, Model), (1, Fixed)]),
        ("head.bias", vec![(1, Fixed)]),
        ("corpus_mean", vec![(1, Fixed)]),
        ("corpus_std", vec![(1, Fixed)]),
    ];
    let layer = layers.into_iter().find(|(end, _)| name.ends_with(end));
    // Every other weight is a norm's or a bias over the encoder's width.
    layer.map_or_else(|| vec![(1, Model)], |(_, axes)| axes)
}

/// The part of a network that has the channels of a weight to itself.
pub(super) fn module_of(name: &str, channels: Channels) -> &str {
    let part = match channels {
        Channels::FeedForward => name.rsplit_once(".up.").or(name.rsplit_once(".down.")),
        Channels::Heads => name.rsplit_once(".qkv.").or(name.rsplit_once(".out.")),
        _ => None,
    };
    part.map_or("", |(module, _)| module)
}

/// Whether the encoder's channels are taken two by two.
pub(super) fn pairs(from: &ModelConfig, to: &ModelConfig) -> bool {
    to.d_model.is_multiple_of(2) && from.d_model.is_multiple_of(2)
}

//! What is computed row by row: norms, and the depthwise convolution with its norm.

use super::launch::Launch;
use crate::nn::{
    adapter::{Handle, Primitive, primitive, uploaded},
    branch::{NormPair, Pair, RunningNorm},
};

/// By what rows are normalised.
pub(super) enum RowNorm<'a> {
    Layer(&'a NormPair, f64),
    Batch(&'a NormPair, RunningNorm),
    None,
}

/// What is normalised.
pub(super) enum Source<'a> {
    Rows,
    /// The sum with a table `[time, channels]`.
    WithTable(&'a Handle, &'a Handle),
    /// The convolution with one kernel a channel, `[taps, channels]`; SiLU after the norm.
    Depthwise(&'a Pair, &'a Handle),
}

/// `norm(source(x))`, `[batch, time, channels]`.
pub(super) fn rows(
    x: &Primitive,
    shape: [usize; 3],
    source: Source<'_>,
    norm: RowNorm<'_>,
) -> Primitive {
    let [batch, time, width] = shape;
    let launch = Launch::new(include_str!("rows/main.wgsl"), x).count("WIDTH", width);
    let launch = match source {
        Source::Rows => launch.part(include_str!("rows/plain.wgsl")),
        Source::WithTable(table, frames) => launch
            .part(include_str!("rows/with_table.wgsl"))
            .buffer("table", "f32", table)
            .buffer("frames", "u32", frames),
        Source::Depthwise((weight, bias), frames) => launch
            .part(include_str!("rows/depthwise.wgsl"))
            .count("TAPS", weight.dims()[0])
            .floats("weight", &primitive(weight))
            .floats("bias", &primitive(bias))
            .buffer("frames", "u32", frames),
    };
    let launch = match norm {
        RowNorm::None => launch.part(include_str!("rows/no_norm.wgsl")),
        RowNorm::Layer(pair, epsilon) => scaled(launch, pair)
            .part(include_str!("rows/layer_norm.wgsl"))
            .number("EPSILON", epsilon),
        RowNorm::Batch(pair, RunningNorm { mean, inverse_std }) => {
            let running = mean
                .iter()
                .chain(&inverse_std)
                .map(|value| value.to_ne_bytes());
            let running = uploaded(&x.client, running);
            scaled(launch, pair)
                .part(include_str!("rows/batch_norm.wgsl"))
                .buffer("running", "f32", &running)
        }
    };
    launch.run(shape, [batch * time, 1, 1])
}

fn scaled(launch: Launch, (gamma, beta): &NormPair) -> Launch {
    let launch = launch.floats("gamma", &primitive(gamma));
    launch.floats("beta", &primitive(beta))
}

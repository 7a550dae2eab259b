//! Parts of the network as few kernels of our own on graphics adapters, in WGSL, forwards only.
//!
//! A student's layers are so small that launching a kernel takes longer than what it computes. In
//! burn's operations a block is some 140 launches; here it is 11. Their text does not depend on the
//! length of an utterance, so that nothing is compiled while somebody waits. burn's operations are the
//! definition, with which tests compare these.

mod affine;
mod attention;
mod launch;
mod rows;

use burn::prelude::*;
use cubecl::client::Client;

use self::{
    affine::{Finish, Load, affine},
    attention::{MAX_D_HEAD, attend},
    launch::{Launch, is_plain},
    rows::{RowNorm, Source, rows},
};

use super::{
    adapter::{ALONE, Handle, Primitive, primitive, tensor, uploaded},
    branch::{
        AffineWeights, AttentionOptions, ConvolutionOptions, ConvolutionWeights,
        FeedForwardOptions, NormPair, Pair, RunningNorm,
    },
    mask::FrameMask,
    positions::Angles,
};
use crate::{kernels::operations::Operations, weights::WeightError};

/// Rows, `batch * time`, up to which a launch counts for more than what it computes: a window of half a
/// minute. Of larger batches, which a trainer has, nothing was measured: burn composes them.
const MAX_ROWS: usize = 1024;

/// Whether the kernels are to compute what follows from `x`, `[batch, time, channels]`.
#[inline(always)]
pub(crate) fn takes(x: &Tensor<3>, operations: Operations) -> bool {
    ALONE || (operations != Operations::Composed && is_small(x) && is_plain(x))
}

fn is_small(x: &Tensor<3>) -> bool {
    let [batch, time, channels] = x.dims();
    // The front end has up to eight times as many frames as the blocks.
    batch * time <= 8 * MAX_ROWS && channels > 0
}

/// As [`takes`], with a weight that may be trained.
#[inline(always)]
pub(crate) fn takes_with(x: &Tensor<3>, weight: &Tensor<1>, operations: Operations) -> bool {
    ALONE || (takes(x, operations) && is_plain(weight))
}

/// Whether heads of `d_head` channels fit.
#[inline(always)]
pub(crate) fn takes_heads(d_head: usize) -> bool {
    ALONE || d_head <= MAX_D_HEAD
}

/// # Errors
/// [`WeightError::Config`] for heads that are wider than what a workgroup shares.
pub(crate) fn check_heads(d_head: usize) -> Result<(), WeightError> {
    if d_head <= MAX_D_HEAD {
        return Ok(());
    }
    Err(WeightError::Config(format!(
        "d_model / n_heads is {d_head}: on WebGPU at most {MAX_D_HEAD} are computed; choose the CPU"
    )))
}

/// What the kernels of one pass read about the frames that `mask` tells of, on the device of `x`:
/// `[batch, time, lengths...]`.
fn frames<'a>(mask: &'a FrameMask, x: &Primitive) -> &'a Handle {
    mask.on_adapter(|mask| {
        let (lengths, time) = (mask.lengths(), mask.time());
        let head = [lengths.len(), time].into_iter();
        let lengths = lengths.iter().map(|&length| length.min(time));
        let words = head
            .chain(lengths)
            .map(|count| (count as u32).to_ne_bytes());
        uploaded(&x.client, words)
    })
}

/// Cosine and sine of each frame and pair.
fn uploaded_angles(angles: &Angles, client: &Client) -> Handle {
    let pairs = angles.cos.iter().zip(&angles.sin);
    let values = pairs.flat_map(|(cos, sin)| [cos.to_ne_bytes(), sin.to_ne_bytes()]);
    uploaded(client, values)
}

/// Features `[batch, time, n_mels]` normalised by the statistics of each utterance; padded frames,
/// which may hold anything, become zero.
pub(crate) fn normalize(x: &Tensor<3>, mask: &FrameMask, epsilon: f64) -> Tensor<3> {
    let [batch, time, bands] = x.dims();
    let x = primitive(x);
    let launch = Launch::new(include_str!("normalize.wgsl"), &x)
        .count("BANDS", bands)
        .number("EPSILON", epsilon)
        .buffer("frames", "u32", frames(mask, &x));
    tensor(launch.run([batch, time, bands], [bands, batch, 1]))
}

/// GELU of the strided convolution of `x`, whose frames `mask` tells of, to the frames of `next`. The
/// first window starts `left` frames before an utterance.
pub(crate) fn conv_gelu(
    x: &Tensor<3>,
    conv: Pair,
    left: usize,
    [mask, next]: [&FrameMask; 2],
) -> Tensor<3> {
    let [batch, _, channels] = x.dims();
    let x = primitive(x);
    let load = Load::Windows {
        frames_in: frames(mask, &x),
        channels,
        left,
    };
    let out = [batch, next.time()];
    tensor(affine(&x, conv, load, Finish::Gelu, frames(next, &x), out))
}

/// `x + share * down(silu(up(norm(x))))`.
pub(crate) fn feed_forward(
    x: &Tensor<3>,
    norm: NormPair,
    up: AffineWeights,
    down: AffineWeights,
    options: &FeedForwardOptions<'_>,
) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let x = primitive(x);
    let (frames, shape) = (frames(options.pass.mask, &x), [batch, time]);
    let load = Load::Normed(&norm, options.epsilon);
    let raised = affine(&x, up.pair, load, Finish::Silu, frames, shape);
    let finish = Finish::Residual(&x, options.scale);
    tensor(affine(
        &raised,
        down.pair,
        Load::Rows,
        finish,
        frames,
        shape,
    ))
}

/// `x + out(attend(qkv(norm(x))))`.
pub(crate) fn attention(
    x: &Tensor<3>,
    norm: NormPair,
    qkv: AffineWeights,
    out: AffineWeights,
    options: &AttentionOptions<'_>,
) -> Tensor<3> {
    let [batch, time, width] = x.dims();
    let x = primitive(x);
    let (frames, shape) = (frames(options.pass.mask, &x), [batch, time]);
    let load = Load::Normed(&norm, options.epsilon);
    let qkv = affine(&x, qkv.pair, load, Finish::Plain, frames, shape);
    let angles = options
        .pass
        .rotary
        .map(|rotary| rotary.on_adapter(|angles| uploaded_angles(angles, &x.client)));
    let attended = attend(&qkv, frames, angles, [batch, time, width], options.n_heads);
    let finish = Finish::Residual(&x, 1.0);
    tensor(affine(
        &attended,
        out.pair,
        Load::Rows,
        finish,
        frames,
        shape,
    ))
}

/// `x + out(silu(norm(depthwise(glu(gate(norm_in(x)))))))`.
pub(crate) fn convolution(
    x: &Tensor<3>,
    weights: ConvolutionWeights,
    options: ConvolutionOptions<'_>,
) -> Tensor<3> {
    let shape = x.dims();
    let [batch, time, _] = shape;
    let x = primitive(x);
    let frames = frames(options.pass.mask, &x);
    let load = Load::Normed(&weights.norm_in, options.epsilon);
    let gated = affine(
        &x,
        weights.gate.pair,
        load,
        Finish::Glu,
        frames,
        [batch, time],
    );
    let norm = row_norm(&weights.norm, options.running, options.epsilon);
    let mixed = rows(
        &gated,
        shape,
        Source::Depthwise(&weights.depthwise, frames),
        norm,
    );
    let finish = Finish::Residual(&x, 1.0);
    tensor(affine(
        &mixed,
        weights.out.pair,
        Load::Rows,
        finish,
        frames,
        [batch, time],
    ))
}

/// Layer norm, or batch norm in evaluation.
pub(crate) fn norm(
    x: &Tensor<3>,
    weights: NormPair,
    running: Option<RunningNorm>,
    epsilon: f64,
) -> Tensor<3> {
    let norm = row_norm(&weights, running, epsilon);
    tensor(rows(&primitive(x), x.dims(), Source::Rows, norm))
}

fn row_norm(weights: &NormPair, running: Option<RunningNorm>, epsilon: f64) -> RowNorm<'_> {
    match running {
        Some(running) => RowNorm::Batch(weights, running),
        None => RowNorm::Layer(weights, epsilon),
    }
}

/// `x * weight + bias`.
pub(crate) fn linear(x: &Tensor<3>, map: Pair, mask: &FrameMask) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let x = primitive(x);
    let frames = frames(mask, &x);
    tensor(affine(
        &x,
        map,
        Load::Rows,
        Finish::Plain,
        frames,
        [batch, time],
    ))
}

/// Adds `table`, `[time, channels]`, to each utterance.
pub(crate) fn add_to_each(x: &Tensor<3>, table: &[f32], mask: &FrameMask) -> Tensor<3> {
    let shape = x.dims();
    let x = primitive(x);
    let table = uploaded(&x.client, table.iter().map(|value| value.to_ne_bytes()));
    let source = Source::WithTable(&table, frames(mask, &x));
    tensor(rows(&x, shape, source, RowNorm::None))
}

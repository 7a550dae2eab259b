//! Affine maps with what comes before and after them.

use super::launch::Launch;
use crate::nn::{
    adapter::{Handle, Primitive, primitive},
    branch::{NormPair, Pair},
};

/// Rows and columns of the result that a workgroup computes.
const TILE: [usize; 2] = [16, 64];

/// What a map is applied to.
pub(super) enum Load<'a> {
    Rows,
    /// Rows after layer norm.
    Normed(&'a NormPair, f64),
    /// Three frames of `channels`, every second frame; the first begins `left` frames before the
    /// utterance. `frames_in`: of the input.
    Windows {
        frames_in: &'a Handle,
        channels: usize,
        left: usize,
    },
}

/// What follows a map.
pub(super) enum Finish<'a> {
    Plain,
    Silu,
    Gelu,
    /// Halves the number of columns, and zeroes padded frames.
    Glu,
    /// The input of the branch plus a share of it.
    Residual(&'a Primitive, f64),
}

/// `finish(map(load(x)))`, `[batch, time, d_out]`; `frames`: of the result.
pub(super) fn affine(
    x: &Primitive,
    (weight, bias): Pair,
    load: Load<'_>,
    finish: Finish<'_>,
    frames: &Handle,
    [batch, time]: [usize; 2],
) -> Primitive {
    let [d_in, columns] = weight.dims();
    let panels = if matches!(finish, Finish::Glu) { 2 } else { 1 };
    let d_out = columns / panels;
    let mut launch = Launch::new(include_str!("affine/main.wgsl"), x)
        .count("D_IN", d_in)
        .count("D_OUT", d_out)
        .count("PANELS", panels)
        .buffer("frames", "u32", frames)
        .floats("bias", &primitive(&bias));
    let weight = primitive(&weight).handle;
    launch = if d_out.is_multiple_of(4) {
        let launch = launch.part(include_str!("affine/weights_by_four.wgsl"));
        launch.buffer("weight", "vec4f", &weight)
    } else {
        let launch = launch.part(include_str!("affine/weights.wgsl"));
        launch.buffer("weight", "f32", &weight)
    };
    launch = loading(launch, load);
    launch = finishing(launch, &finish);
    let groups = [d_out.div_ceil(TILE[1]), (batch * time).div_ceil(TILE[0]), 1];
    launch.run([batch, time, d_out], groups)
}

fn loading(launch: Launch, load: Load<'_>) -> Launch {
    match load {
        Load::Rows => launch.part(include_str!("affine/load_rows.wgsl")),
        Load::Normed((gamma, beta), epsilon) => launch
            .part(include_str!("affine/load_normed.wgsl"))
            .number("EPSILON", epsilon)
            .floats("gamma", &primitive(gamma))
            .floats("beta", &primitive(beta)),
        Load::Windows {
            frames_in,
            channels,
            left,
        } => launch
            .part(include_str!("affine/load_windows.wgsl"))
            .count("CHANNELS", channels)
            .count("LEFT", left)
            .buffer("frames_in", "u32", frames_in),
    }
}

fn finishing(launch: Launch, finish: &Finish<'_>) -> Launch {
    match finish {
        Finish::Plain => launch.part(include_str!("affine/finish_plain.wgsl")),
        Finish::Silu => launch.part(include_str!("affine/finish_silu.wgsl")),
        Finish::Gelu => launch.part(include_str!("affine/finish_gelu.wgsl")),
        Finish::Glu => launch.part(include_str!("affine/finish_glu.wgsl")),
        Finish::Residual(x, share) => launch
            .part(include_str!("affine/finish_residual.wgsl"))
            .number("SHARE", *share)
            .floats("residual", x),
    }
}

//! Attention between the maps before and after it.

use super::launch::{Launch, SHARED_BYTES};
use crate::nn::adapter::{Handle, Primitive};

/// Channels of the widest head that fits: a query and a key with room for the rest.
pub(super) const MAX_D_HEAD: usize = 1024;

/// Queries of a workgroup, and keys that it reads at once.
fn tile(d_head: usize) -> [usize; 2] {
    // Scores and sums of the largest tile take less than what is left.
    let rows = (SHARED_BYTES / size_of::<f32>() - 512) / d_head;
    let queries = (rows / 4).clamp(1, 8);
    [queries, (rows - queries).clamp(1, 32)]
}

/// Heads of `[batch, time, 3 * heads * d_head]`, attended: `[batch, time, heads * d_head]`. `angles`:
/// cosine and sine of each frame and pair.
pub(super) fn attend(
    qkv: &Primitive,
    frames: &Handle,
    angles: Option<&Handle>,
    [batch, time, width]: [usize; 3],
    n_heads: usize,
) -> Primitive {
    let d_head = width / n_heads;
    let [queries, keys] = tile(d_head);
    let launch = Launch::new(include_str!("attention/main.wgsl"), qkv)
        .count("HEADS", n_heads)
        .count("D_HEAD", d_head)
        .count("QUERIES", queries)
        .count("KEYS", keys)
        .number("SCALE", (d_head as f64).powf(-0.5))
        .buffer("frames", "u32", frames);
    let launch = match angles {
        Some(angles) => launch
            .part(include_str!("attention/turned.wgsl"))
            .buffer("angles", "f32", angles),
        None => launch.part(include_str!("attention/not_turned.wgsl")),
    };
    launch.run(
        [batch, time, width],
        [time.div_ceil(queries), n_heads, batch],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_fits_into_what_a_workgroup_shares() {
        for d_head in 1..=MAX_D_HEAD {
            let [queries, keys] = tile(d_head);
            assert!(queries <= 64, "an invocation has the softmax of a query");
            let values = (queries + keys) * d_head + queries * keys + 3 * queries + 1;
            assert!(values * size_of::<f32>() <= SHARED_BYTES, "{d_head}");
        }
    }
}

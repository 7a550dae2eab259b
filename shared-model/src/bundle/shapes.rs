//! Every weight of an architecture with its shape, known before anything is allocated. A test
//! holds this list against the network itself.

use std::collections::BTreeMap;

use crate::{
    model::{ModelConfig, NormKind},
    tokens::NUM_PHONE_TOKENS,
};

pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// `config` must be valid.
pub(super) fn weight_shapes(config: &ModelConfig) -> Shapes {
    let ModelConfig {
        n_mels,
        vocab_size,
        d_model,
        d_ffn,
        conv_kernel,
        norm,
        ..
    } = *config;
    let mut shapes = Shapes::new();
    shapes.insert("corpus_mean".into(), vec![n_mels]);
    shapes.insert("corpus_std".into(), vec![n_mels]);

    linear(&mut shapes, "frontend.conv_a", 3 * n_mels, d_model);
    linear(&mut shapes, "frontend.conv_b", 3 * d_model, d_model);
    if config.subsampling_factor == 8 {
        linear(&mut shapes, "frontend.conv_c", 3 * d_model, d_model);
    }
    add_norm(&mut shapes, "frontend.norm", d_model, norm);

    for index in 0..config.n_layers {
        let part = |name: &str| format!("encoder.blocks.{index}.{name}");
        for ffn in ["ffn1", "ffn2"] {
            add_norm(
                &mut shapes,
                &part(&format!("{ffn}.norm")),
                d_model,
                NormKind::Layer,
            );
            linear(&mut shapes, &part(&format!("{ffn}.up")), d_model, d_ffn);
            linear(&mut shapes, &part(&format!("{ffn}.down")), d_ffn, d_model);
        }
        add_norm(
            &mut shapes,
            &part("attention.norm"),
            d_model,
            NormKind::Layer,
        );
        linear(&mut shapes, &part("attention.qkv"), d_model, 3 * d_model);
        linear(&mut shapes, &part("attention.out"), d_model, d_model);
        add_norm(&mut shapes, &part("conv.norm_in"), d_model, NormKind::Layer);
        linear(&mut shapes, &part("conv.gate"), d_model, 2 * d_model);
        linear(&mut shapes, &part("conv.depthwise"), conv_kernel, d_model);
        add_norm(&mut shapes, &part("conv.norm"), d_model, norm);
        linear(&mut shapes, &part("conv.out"), d_model, d_model);
        add_norm(&mut shapes, &part("norm"), d_model, NormKind::Layer);
    }
    linear(&mut shapes, "head", d_model, vocab_size);
    if config.phone_head {
        linear(&mut shapes, "phone_head", d_model, NUM_PHONE_TOKENS);
    }
    shapes
}

fn linear(shapes: &mut Shapes, name: &str, d_in: usize, d_out: usize) {
    shapes.insert(format!("{name}.weight"), vec![d_in, d_out]);
    shapes.insert(format!("{name}.bias"), vec![d_out]);
}

fn add_norm(shapes: &mut Shapes, name: &str, channels: usize, kind: NormKind) {
    for part in ["weight", "bias"] {
        shapes.insert(format!("{name}.{part}"), vec![channels]);
    }
    if kind == NormKind::Batch {
        for part in ["running_mean", "running_var"] {
            shapes.insert(format!("{name}.{part}"), vec![channels]);
        }
    }
}

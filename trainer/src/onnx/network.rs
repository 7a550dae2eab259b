//! The network: from features to log-probabilities.

use shared_model::model::{
    ModelConfig, NORM_EPSILON, NORMALIZATION_EPSILON, NormKind, Normalization, Positions,
    turn_rates,
};
use shared_model::weights::WeightError;

use super::graph::{Graph, Value};
use super::weights::StoredWeights;
use super::wire::{Attribute, ElementType};

/// Taps of the front end's convolutions.
const TAPS: usize = 3;

/// Frames between two of their outputs.
const STRIDE: i64 = 2;

/// Added to attention scores of padded frames. Finite, so that an utterance without a frame gives no
/// NaN.
const PADDED_KEY_SCORE: f32 = -1e9;

/// Frames that are counted together where angles are computed, see [`turns`].
const FRAMES_TOGETHER: i64 = 64;

/// Frames of a batch.
#[derive(Clone, Copy)]
pub(super) struct Frames<'g> {
    /// `[batch, time, channels]`
    pub x: Value<'g>,
    /// Real frames of each utterance, int64 `[batch]`; without them nothing is padded.
    pub lengths: Option<Value<'g>>,
}

/// What every part of the network needs.
struct Builder<'g, 'w> {
    g: &'g Graph,
    weights: StoredWeights<'w>,
    config: &'w ModelConfig,
}

type Built<T> = Result<T, WeightError>;

/// Which frames are real.
#[derive(Clone, Copy)]
struct Mask<'g> {
    /// f32 `[batch, time, 1]`, 1 where real; `None` if all are.
    real: Option<Value<'g>>,
}

impl<'g> Mask<'g> {
    fn of(frames: Frames<'g>) -> Self {
        let real = frames.lengths.map(|lengths| {
            let g = frames.x.graph();
            let number = g.range(frames.x.size(1)).unsqueeze(0);
            let is_real = number.with("Less", lengths.unsqueeze(1));
            is_real.to(ElementType::Float).unsqueeze(2)
        });
        Self { real }
    }

    /// The same shape with zeros in padded frames.
    fn zero_padding(self, x: Value<'g>) -> Value<'g> {
        self.real.map_or(x, |real| x * real)
    }

    /// Added to scores `[batch, heads, query, key]`: f32 `[batch, 1, 1, key]`.
    fn key_scores(self) -> Option<Value<'g>> {
        self.real.map(|real| {
            let g = real.graph();
            let padded = g.float(1.0) - real;
            (padded * g.float(PADDED_KEY_SCORE))
                .transpose(&[0, 2, 1])
                .unsqueeze(1)
        })
    }
}

/// What attention needs besides its input.
struct Attention<'g> {
    key_scores: Option<Value<'g>>,
    /// Cosines and sines of rotary positions, f32 `[time, d_head]` each, the first half of the sines
    /// negated.
    rotary: Option<[Value<'g>; 2]>,
}

/// Features `[batch, time, n_mels]` to natural-log probabilities `[batch, time', vocab]`. Padded frames
/// of the features may hold anything.
///
/// # Errors
/// A weight that the configuration has is missing.
pub(super) fn log_probs<'g>(
    g: &'g Graph,
    weights: StoredWeights<'_>,
    config: &ModelConfig,
    features: Frames<'g>,
) -> Built<Frames<'g>> {
    let builder = Builder { g, weights, config };
    let features = builder.normalized(builder.lengthened(features));
    let frames = builder.front_end(features)?;
    let mask = Mask::of(frames);
    let (x, rotary) = builder.positions(frames.x);
    let attention = Attention {
        key_scores: mask.key_scores(),
        rotary,
    };
    let mut x = x;
    for index in 0..config.n_layers {
        x = builder.block(&format!("encoder.blocks.{index}"), x, mask, &attention)?;
    }
    let logits = builder.linear("head", x, None)?;
    Ok(Frames {
        x: logits.log_softmax(),
        lengths: frames.lengths,
    })
}

/// The same frames, each `times` times: for programs that count on a certain frame rate. CTC takes
/// repeated frames for one token.
pub(super) fn repeated<'g>(frames: Frames<'g>, times: usize) -> Frames<'g> {
    if times == 1 {
        return frames;
    }
    let g = frames.x.graph();
    let together = g.concat(&vec![frames.x.unsqueeze(2); times], 2);
    let shape = g.concat(&[g.ints(&[0, -1]), frames.x.size(2).unsqueeze(0)], 0);
    Frames {
        x: together.with("Reshape", shape),
        lengths: frames.lengths.map(|lengths| lengths * g.int(times as i64)),
    }
}

impl<'g> Builder<'g, '_> {
    /// With zeros after them, if the features are too short for an encoder frame.
    fn lengthened(&self, features: Frames<'g>) -> Frames<'g> {
        let enough = |frames: &usize| self.config.encoder_length(*frames) > 0;
        let shortest = (1..).find(enough).unwrap_or(1);
        if shortest == 1 {
            return features;
        }
        let g = self.g;
        let missing = g.int(shortest as i64) - features.x.size(1);
        let missing = missing.with("Max", g.int(0)).unsqueeze(0);
        let more = g.concat(&[g.ints(&[0, 0, 0, 0]), missing, g.ints(&[0])], 0);
        Frames {
            x: features.x.with("Pad", more),
            ..features
        }
    }

    /// Zero in padded frames; mean 0 and variance 1 of each band over the real ones, if configured.
    fn normalized(&self, features: Frames<'g>) -> Frames<'g> {
        let g = self.g;
        let mask = Mask::of(features);
        // A padded frame may hold NaN, which no product removes.
        let x = mask.real.map_or(features.x, |real| {
            let is_real = real.with("Greater", g.float(0.5));
            g.select(is_real, features.x, g.float(0.0))
        });
        let x = match self.config.normalization {
            Normalization::None => x,
            Normalization::Utterance => {
                let mean = |x: Value<'g>| match features.lengths {
                    None => x.mean(1),
                    Some(lengths) => {
                        let count = lengths.with("Max", g.int(1)).to(ElementType::Float);
                        x.sum(1) / count.reshape(&[-1, 1, 1])
                    }
                };
                let centred = mask.zero_padding(x - mean(x));
                let variance = mean(centred * centred);
                centred / (variance + g.float(NORMALIZATION_EPSILON as f32)).apply("Sqrt")
            }
        };
        Frames { x, ..features }
    }

    /// Convolutions of stride 2, each with GELU; a norm after the first.
    fn front_end(&self, features: Frames<'g>) -> Built<Frames<'g>> {
        let mut frames = features;
        for (index, (is_padded, name)) in self.config.paddings().zip(["a", "b", "c"]).enumerate() {
            let part = format!("frontend.conv_{name}");
            if index > 0 {
                frames.x = Mask::of(frames).zero_padding(frames.x);
            }
            let kernel = self
                .weights
                .kernel(self.g, &format!("{part}.weight"), TAPS)?;
            let bias = self.vector(&format!("{part}.bias"))?;
            let padding = i64::from(is_padded);
            let attributes = [
                Attribute::Ints("kernel_shape", &[TAPS as i64]),
                Attribute::Ints("strides", &[STRIDE]),
                Attribute::Ints("pads", &[padding; 2]),
            ];
            let y = self.over_time(frames.x, |x| {
                self.g.operator("Conv", &[x, kernel, bias], &attributes)
            });
            frames = Frames {
                x: self.gelu(y),
                // The division rounds towards zero: no frames give none without padding, too.
                lengths: frames.lengths.map(|lengths| {
                    let more = self.g.int(if is_padded { 1 } else { -1 });
                    (lengths + more) / self.g.int(STRIDE)
                }),
            };
            if index == 0 {
                frames.x = self.norm("frontend.norm", frames.x, self.config.norm)?;
            }
        }
        Ok(frames)
    }

    /// A convolution of `[batch, time, channels]`, which ONNX takes as `[batch, channels, time]`.
    fn over_time(&self, x: Value<'g>, convolution: impl Fn(Value<'g>) -> Value<'g>) -> Value<'g> {
        convolution(x.transpose(&[0, 2, 1])).transpose(&[0, 2, 1])
    }

    /// Positions added to `[batch, time, d_model]`, or what attention turns its channels by.
    fn positions(&self, x: Value<'g>) -> (Value<'g>, Option<[Value<'g>; 2]>) {
        let (g, time) = (self.g, x.size(1));
        let d_model = self.config.d_model;
        match self.config.positions {
            Positions::None => (x, None),
            Positions::Sinusoid => {
                let [cos, sin] = turns(g, time, d_model / 2);
                let pairs = g.concat(&[sin.unsqueeze(2), cos.unsqueeze(2)], 2);
                (x + pairs.reshape(&[0, -1]), None)
            }
            Positions::Rotary => {
                let [cos, sin] = turns(g, time, d_model / self.config.n_heads / 2);
                let cos = g.concat(&[cos, cos], 1);
                let sin = g.concat(&[sin.apply("Neg"), sin], 1);
                (x, Some([cos, sin]))
            }
        }
    }

    /// A Conformer block, `[batch, time, d_model]` to the same shape.
    fn block(
        &self,
        part: &str,
        x: Value<'g>,
        mask: Mask<'g>,
        attention: &Attention<'g>,
    ) -> Built<Value<'g>> {
        let x = self.feed_forward(&format!("{part}.ffn1"), x)?;
        let x = self.attention(&format!("{part}.attention"), x, attention)?;
        let x = self.convolution(&format!("{part}.conv"), x, mask)?;
        let x = self.feed_forward(&format!("{part}.ffn2"), x)?;
        self.norm(&format!("{part}.norm"), x, NormKind::Layer)
    }

    fn feed_forward(&self, part: &str, x: Value<'g>) -> Built<Value<'g>> {
        let y = self.norm(&format!("{part}.norm"), x, NormKind::Layer)?;
        let y = self.silu(self.linear(&format!("{part}.up"), y, None)?);
        // Two branches a block, each with half a residual step.
        let halves = vec![0.5; self.config.d_model];
        Ok(x + self.linear(&format!("{part}.down"), y, Some(&halves))?)
    }

    fn attention(&self, part: &str, x: Value<'g>, with: &Attention<'g>) -> Built<Value<'g>> {
        let (d_model, heads) = (self.config.d_model, self.config.n_heads);
        let d_head = d_model / heads;
        // The scale of the scores, in the weights of the queries.
        let mut factors = vec![1.0; 3 * d_model];
        factors[..d_model].fill((d_head as f64).powf(-0.5) as f32);
        let y = self.norm(&format!("{part}.norm"), x, NormKind::Layer)?;
        let y = self.linear(&format!("{part}.qkv"), y, Some(&factors))?;
        let y = y
            .reshape(&[0, 0, 3 * heads as i64, d_head as i64])
            .transpose(&[0, 2, 1, 3]);
        let [qk, v] = y.split([2 * heads, heads], 1); // [batch, heads, time, d_head]
        let qk = match with.rotary {
            None => qk,
            Some([cos, sin]) => {
                let [first, second] = qk.split([d_head / 2, d_head / 2], 3);
                qk * cos + self.g.concat(&[second, first], 3) * sin
            }
        };
        let [q, k] = qk.split([heads, heads], 1);
        let scores = q.matmul(k.transpose(&[0, 1, 3, 2]));
        let scores = with.key_scores.map_or(scores, |padded| scores + padded);
        let y = scores.softmax().matmul(v);
        let y = y.transpose(&[0, 2, 1, 3]).reshape(&[0, 0, d_model as i64]);
        Ok(x + self.linear(&format!("{part}.out"), y, None)?)
    }

    fn convolution(&self, part: &str, x: Value<'g>, mask: Mask<'g>) -> Built<Value<'g>> {
        let d_model = self.config.d_model;
        let y = self.norm(&format!("{part}.norm_in"), x, NormKind::Layer)?;
        let y = self.linear(&format!("{part}.gate"), y, None)?;
        let [open, gate] = y.split([d_model, d_model], 2);
        let y = mask.zero_padding(open * gate.apply("Sigmoid"));
        let taps = self.config.conv_kernel;
        let kernel = self
            .weights
            .kernel(self.g, &format!("{part}.depthwise.weight"), taps)?;
        let bias = self.vector(&format!("{part}.depthwise.bias"))?;
        let attributes = [
            Attribute::Ints("kernel_shape", &[taps as i64]),
            Attribute::Int("group", d_model as i64),
            Attribute::Ints("pads", &[(taps / 2) as i64; 2]),
        ];
        let y = self.over_time(y, |y| {
            self.g.operator("Conv", &[y, kernel, bias], &attributes)
        });
        let y = self.silu(self.norm(&format!("{part}.norm"), y, self.config.norm)?);
        Ok(x + self.linear(&format!("{part}.out"), y, None)?)
    }

    fn vector(&self, name: &str) -> Built<Value<'g>> {
        self.weights.vector(self.g, name, None)
    }

    /// `[.., d_in]` to `[.., d_out]`, each channel multiplied by its factor.
    fn linear(&self, part: &str, x: Value<'g>, factors: Option<&[f32]>) -> Built<Value<'g>> {
        let matrix = self
            .weights
            .matrix(self.g, &format!("{part}.weight"), factors)?;
        let bias = self
            .weights
            .vector(self.g, &format!("{part}.bias"), factors)?;
        Ok(x.matmul(matrix) + bias)
    }

    fn norm(&self, part: &str, x: Value<'g>, kind: NormKind) -> Built<Value<'g>> {
        let names = ["weight", "bias"].map(|name| format!("{part}.{name}"));
        match kind {
            NormKind::Layer => {
                let [weight, bias] = [self.vector(&names[0])?, self.vector(&names[1])?];
                let attributes = [
                    Attribute::Int("axis", -1),
                    Attribute::Float("epsilon", NORM_EPSILON as f32),
                ];
                Ok(self
                    .g
                    .operator("LayerNormalization", &[x, weight, bias], &attributes))
            }
            NormKind::Batch => {
                let (scale, shift) = self.running_norm(part)?;
                let channels = [scale.len()];
                Ok(x * self.g.floats(&names[0], &channels, &scale)
                    + self.g.floats(&names[1], &channels, &shift))
            }
        }
    }

    /// A batch norm with its running statistics as a scale and a shift of each channel.
    fn running_norm(&self, part: &str) -> Built<(Vec<f32>, Vec<f32>)> {
        let [weight, bias, mean, variance] = {
            let values = |name: &str| self.weights.values(&format!("{part}.{name}"));
            [
                values("weight")?,
                values("bias")?,
                values("running_mean")?,
                values("running_var")?,
            ]
        };
        let scale = weight.iter().zip(variance);
        let scale: Vec<f32> = scale
            .map(|(w, v)| (f64::from(*w) / (f64::from(*v) + NORM_EPSILON).sqrt()) as f32)
            .collect();
        let shift = bias
            .iter()
            .zip(mean)
            .zip(&scale)
            .map(|((b, m), s)| b - m * s)
            .collect();
        Ok((scale, shift))
    }

    fn silu(&self, x: Value<'g>) -> Value<'g> {
        x * x.apply("Sigmoid")
    }

    /// Exact: `x * (1 + erf(x / sqrt(2))) / 2`.
    fn gelu(&self, x: Value<'g>) -> Value<'g> {
        let g = self.g;
        let erf = (x / g.float(std::f32::consts::SQRT_2)).apply("Erf");
        x * (erf + g.float(1.0)) * g.float(0.5)
    }
}

/// Cosines and sines of each frame's angles, f32 `[time, pairs]` each.
///
/// Angles of late frames are hundreds of turns, of which f32 keeps too few digits. So frames are
/// counted in groups, whose angles begin from rates without whole turns, and within their group:
/// `cos(a + b) = cos a cos b - sin a sin b`. A minute of frames is exact to 4e-6 so, ten to 5e-5.
pub(super) fn turns<'g>(g: &'g Graph, time: Value<'g>, pairs: usize) -> [Value<'g>; 2] {
    let rates = turn_rates(pairs);
    let turn = std::f64::consts::TAU;
    let of_group = rates.iter().map(|rate| {
        let angle = rate * FRAMES_TOGETHER as f64;
        (angle - (angle / turn).round() * turn) as f32
    });
    let (of_group, of_frame): (Vec<f32>, Vec<f32>) =
        of_group.zip(rates.iter().map(|&rate| rate as f32)).unzip();
    let together = g.int(FRAMES_TOGETHER);
    let frame = g.range(time);
    let group = frame / together;
    let parts = [
        ("turn.group", group, of_group),
        ("turn.frame", frame - group * together, of_frame),
    ];
    let [[cos_a, sin_a], [cos_b, sin_b]] = parts.map(|(name, count, rates)| {
        let rates = g.floats(name, &[1, pairs], &rates);
        let angle = count.to(ElementType::Float).unsqueeze(1) * rates;
        [angle.apply("Cos"), angle.apply("Sin")]
    });
    [cos_a * cos_b - sin_a * sin_b, sin_a * cos_b + cos_a * sin_b]
}

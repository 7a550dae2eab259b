//! The network again, in plain loops over f64 for one utterance in evaluation, written from the
//! equations and not from the tensor code.

use super::*;

/// `[time][channels]`
type Frames = Vec<Vec<f64>>;

pub(super) struct Reference<'a> {
    pub config: &'a ModelConfig,
    pub weights: &'a Weights,
}

impl Reference<'_> {
    fn get(&self, name: &str) -> Vec<f64> {
        self.weights[name]
            .data
            .iter()
            .map(|&v| f64::from(v))
            .collect()
    }

    /// Also of a head, on what [`Self::encode`] gives.
    pub(super) fn linear(&self, name: &str, x: &Frames) -> Frames {
        let weight = self.get(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        let d_out = bias.len();
        x.iter()
            .map(|frame| {
                (0..d_out)
                    .map(|o| {
                        let products = frame
                            .iter()
                            .enumerate()
                            .map(|(i, v)| v * weight[i * d_out + o]);
                        bias[o] + products.sum::<f64>()
                    })
                    .collect()
            })
            .collect()
    }

    fn norm(&self, name: &str, x: &Frames) -> Frames {
        let gamma = self.get(&format!("{name}.weight"));
        let beta = self.get(&format!("{name}.bias"));
        let running = self
            .weights
            .contains_key(&format!("{name}.running_mean"))
            .then(|| {
                (
                    self.get(&format!("{name}.running_mean")),
                    self.get(&format!("{name}.running_var")),
                )
            });
        x.iter()
            .map(|frame| {
                let count = frame.len() as f64;
                let mean = frame.iter().sum::<f64>() / count;
                let variance = frame.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
                frame
                    .iter()
                    .enumerate()
                    .map(|(c, v)| {
                        let (mean, variance) = match &running {
                            Some((means, variances)) => (means[c], variances[c]),
                            None => (mean, variance),
                        };
                        (v - mean) / (variance + 1e-5).sqrt() * gamma[c] + beta[c]
                    })
                    .collect()
            })
            .collect()
    }

    /// Kernel 3, stride 2: `y[t] = b + sum_j w[j] x[2t + j - padding]`.
    fn strided_conv(&self, name: &str, x: &Frames, padding: usize) -> Frames {
        let weight = self.get(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        let (c_in, c_out) = (x[0].len(), bias.len());
        let out_time = (x.len() + 2 * padding - 3) / 2 + 1;
        (0..out_time)
            .map(|t| {
                let mut y = bias.clone();
                for j in 0..3 {
                    let Some(frame) = (2 * t + j).checked_sub(padding).and_then(|at| x.get(at))
                    else {
                        continue;
                    };
                    for (i, v) in frame.iter().enumerate() {
                        for (o, y) in y.iter_mut().enumerate() {
                            *y += v * weight[(j * c_in + i) * c_out + o];
                        }
                    }
                }
                y.into_iter().map(gelu).collect()
            })
            .collect()
    }

    fn feed_forward(&self, name: &str, x: &Frames) -> Frames {
        let x = self.norm(&format!("{name}.norm"), x);
        let x = self.linear(&format!("{name}.up"), &x);
        self.linear(&format!("{name}.down"), &map(&x, |v| v * sigmoid(v)))
    }

    fn attention(&self, name: &str, x: &Frames) -> Frames {
        let d = self.config.d_model;
        let d_head = d / self.config.n_heads;
        let qkv = self.linear(
            &format!("{name}.qkv"),
            &self.norm(&format!("{name}.norm"), x),
        );
        let turn = |frame: usize, v: &[f64]| -> Vec<f64> {
            if self.config.positions != Positions::Rotary {
                return v.to_vec();
            }
            let half = d_head / 2;
            let mut turned = vec![0.0; d_head];
            for i in 0..half {
                let angle = frame as f64 / 10000f64.powf(2.0 * i as f64 / d_head as f64);
                turned[i] = v[i] * angle.cos() - v[i + half] * angle.sin();
                turned[i + half] = v[i] * angle.sin() + v[i + half] * angle.cos();
            }
            turned
        };
        let mut attended = vec![vec![0.0; d]; x.len()];
        for head in 0..self.config.n_heads {
            let at = |part: usize| part * d + head * d_head..part * d + (head + 1) * d_head;
            for query in 0..x.len() {
                let q = turn(query, &qkv[query][at(0)]);
                let scores: Vec<f64> = (0..x.len())
                    .map(|key| {
                        let k = turn(key, &qkv[key][at(1)]);
                        q.iter().zip(&k).map(|(a, b)| a * b).sum::<f64>() / (d_head as f64).sqrt()
                    })
                    .collect();
                let total: f64 = scores.iter().map(|s| s.exp()).sum();
                for (key, score) in scores.iter().enumerate() {
                    for (c, v) in qkv[key][at(2)].iter().enumerate() {
                        attended[query][head * d_head + c] += score.exp() / total * v;
                    }
                }
            }
        }
        self.linear(&format!("{name}.out"), &attended)
    }

    fn conv(&self, name: &str, x: &Frames) -> Frames {
        let d = self.config.d_model;
        let x = self.linear(
            &format!("{name}.gate"),
            &self.norm(&format!("{name}.norm_in"), x),
        );
        let gated: Frames = x
            .iter()
            .map(|f| (0..d).map(|c| f[c] * sigmoid(f[d + c])).collect())
            .collect();
        let weight = self.get(&format!("{name}.depthwise.weight"));
        let bias = self.get(&format!("{name}.depthwise.bias"));
        let kernel = self.config.conv_kernel;
        let filtered: Frames = (0..gated.len())
            .map(|t| {
                (0..d)
                    .map(|c| {
                        let taps = (0..kernel).filter_map(|j| {
                            let frame = gated.get((t + j).checked_sub(kernel / 2)?)?;
                            Some(weight[j * d + c] * frame[c])
                        });
                        bias[c] + taps.sum::<f64>()
                    })
                    .collect()
            })
            .collect();
        let x = self.norm(&format!("{name}.norm"), &filtered);
        self.linear(&format!("{name}.out"), &map(&x, |v| v * sigmoid(v)))
    }

    /// `[time][n_mels]` to logits `[time'][vocab]`.
    pub(super) fn encode(&self, features: &Frames) -> Frames {
        let mut x = features.clone();
        if self.config.normalization == Normalization::Utterance {
            let count = x.len() as f64;
            for band in 0..self.config.n_mels {
                let mean = x.iter().map(|f| f[band]).sum::<f64>() / count;
                let variance = x.iter().map(|f| (f[band] - mean).powi(2)).sum::<f64>() / count;
                for frame in &mut x {
                    frame[band] = (frame[band] - mean) / (variance + NORMALIZATION_EPSILON).sqrt();
                }
            }
        }
        let second = usize::from(self.config.subsampling_padding == SubsamplingPadding::Same);
        x = self.strided_conv("frontend.conv_a", &x, 1);
        x = self.norm("frontend.norm", &x);
        x = self.strided_conv("frontend.conv_b", &x, second);
        if self.config.subsampling_factor == 8 {
            x = self.strided_conv("frontend.conv_c", &x, 1);
        }
        if self.config.positions == Positions::Sinusoid {
            for (t, frame) in x.iter_mut().enumerate() {
                let d = frame.len();
                for (c, v) in frame.iter_mut().enumerate() {
                    let angle = t as f64 / 10000f64.powf((c / 2 * 2) as f64 / d as f64);
                    *v += if c % 2 == 0 { angle.sin() } else { angle.cos() };
                }
            }
        }
        for block in 0..self.config.n_layers {
            let name = format!("encoder.blocks.{block}");
            x = add(&x, &self.feed_forward(&format!("{name}.ffn1"), &x), 0.5);
            x = add(&x, &self.attention(&format!("{name}.attention"), &x), 1.0);
            x = add(&x, &self.conv(&format!("{name}.conv"), &x), 1.0);
            x = add(&x, &self.feed_forward(&format!("{name}.ffn2"), &x), 0.5);
            x = self.norm(&format!("{name}.norm"), &x);
        }
        x
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `x * Phi(x)`; the error function by its Taylor series, which converges everywhere.
fn gelu(x: f64) -> f64 {
    let z = x / 2f64.sqrt();
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= -z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 * x * (1.0 + 2.0 / std::f64::consts::PI.sqrt() * sum)
}

fn map(x: &Frames, f: impl Fn(f64) -> f64) -> Frames {
    x.iter()
        .map(|frame| frame.iter().map(|&v| f(v)).collect())
        .collect()
}

fn add(x: &Frames, y: &Frames, factor: f64) -> Frames {
    x.iter()
        .zip(y)
        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| x + factor * y).collect())
        .collect()
}

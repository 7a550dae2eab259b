//! What a forward pass computes, counted from the configuration.

use super::ModelConfig;
use crate::tokens::NUM_PHONE_TOKENS;

/// Matrix multiplications of `[rows, depth]` by `[depth, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Of the left factor.
    pub rows: usize,
    /// Columns of the left factor, rows of the right.
    pub depth: usize,
    /// Of the right factor.
    pub columns: usize,
    /// How many of them.
    pub count: usize,
}

impl Product {
    /// Multiply-adds of all of them.
    pub fn multiply_adds(&self) -> u64 {
        [self.depth, self.columns, self.count]
            .iter()
            .fold(self.rows as u64, |product, &n| product * n as u64)
    }
}

impl ModelConfig {
    /// The matrix multiplications of a forward pass over `utterances` of `feature_frames` each:
    /// strided convolutions as windows of three frames, linear maps, attention.
    pub fn products(&self, utterances: usize, feature_frames: usize) -> Vec<Product> {
        let Self {
            n_mels,
            vocab_size,
            d_model,
            n_layers,
            n_heads,
            d_ffn,
            ..
        } = *self;
        let lengths = self.conv_lengths(feature_frames);
        let mut products = vec![];
        for (index, &length) in lengths.iter().enumerate() {
            products.push(Product {
                rows: utterances * length,
                depth: 3 * if index == 0 { n_mels } else { d_model },
                columns: d_model,
                count: 1,
            });
        }
        let time = lengths.last().copied().unwrap_or(0);
        let linear = |depth, columns, count| Product {
            rows: utterances * time,
            depth,
            columns,
            count,
        };
        let d_head = d_model / n_heads;
        let attention = |depth, columns| Product {
            rows: time,
            depth,
            columns,
            count: n_layers * utterances * n_heads,
        };
        products.extend([
            linear(d_model, d_ffn, 2 * n_layers),
            linear(d_ffn, d_model, 2 * n_layers),
            linear(d_model, 3 * d_model, n_layers),
            attention(d_head, time),
            attention(time, d_head),
            // Of attention and of the convolution module.
            linear(d_model, d_model, 2 * n_layers),
            linear(d_model, 2 * d_model, n_layers),
            linear(d_model, vocab_size, 1),
        ]);
        if self.phone_head {
            products.push(linear(d_model, NUM_PHONE_TOKENS, 1));
        }
        products
    }

    /// Multiply-adds of a forward pass: its matrix multiplications and depthwise convolutions.
    pub fn multiply_adds(&self, utterances: usize, feature_frames: usize) -> u64 {
        let products = self.products(utterances, feature_frames);
        let depthwise = Product {
            rows: utterances * self.encoder_length(feature_frames),
            depth: self.conv_kernel,
            columns: self.d_model,
            count: self.n_layers,
        };
        products.iter().map(Product::multiply_adds).sum::<u64>() + depthwise.multiply_adds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiply_adds_can_be_counted_by_hand() {
        let config = ModelConfig {
            n_mels: 8,
            vocab_size: 5,
            subsampling_factor: 4,
            d_model: 6,
            n_layers: 2,
            n_heads: 3,
            d_ffn: 10,
            conv_kernel: 7,
            ..ModelConfig::default()
        };
        // 16 feature frames, 8 after the first convolution, 4 encoder frames.
        let front_end = 8 * (24 * 6) + 4 * (18 * 6);
        let feed_forward = 2 * 4 * (6 * 10 + 10 * 6);
        let attention = 4 * (6 * 18) + 2 * (4 * 4 * 6) + 4 * (6 * 6);
        let convolution = 4 * (6 * 12) + 4 * (7 * 6) + 4 * (6 * 6);
        let head = 4 * (6 * 5);
        let one = front_end + 2 * (feed_forward + attention + convolution) + head;
        assert_eq!(config.multiply_adds(1, 16), one);
        assert_eq!(config.multiply_adds(3, 16), 3 * one);
        let with_phones = ModelConfig {
            phone_head: true,
            ..config
        };
        assert_eq!(with_phones.multiply_adds(1, 16), one + 4 * (6 * 41));
    }
}

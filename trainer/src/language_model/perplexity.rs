//! How well a model predicts a text.

use std::path::Path;

use serde::Serialize;
use shared_model::decode::lm::NgramLm;

use super::LmError;
use super::text::TextReader;

/// The sums behind a perplexity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perplexity {
    /// Lines with words.
    pub sentences: usize,
    /// Unknown ones included.
    pub words: usize,
    /// Words that the model does not know, each time they occur.
    pub unknown_words: usize,
    /// Per word and sentence end, `<unk>` standing for every unknown word.
    pub perplexity: f64,
    /// As `perplexity`, of the words that the model knows and the sentence ends alone: what models
    /// of different vocabularies are compared by.
    pub perplexity_known: f64,
}

/// Perplexity of a text, one sentence a line, plain or gzip-compressed.
///
/// # Errors
/// As [`TextReader`], or a text without words.
pub fn perplexity(lm: &NgramLm, path: &Path) -> Result<Perplexity, LmError> {
    let mut reader = TextReader::open(path)?;
    let (mut sentences, mut words, mut unknown_words) = (0usize, 0usize, 0usize);
    let (mut ln_prob, mut ln_prob_unknown) = (0.0, 0.0);
    while let Some(sentence) = reader.next_sentence()? {
        let mut state = lm.start();
        for word in sentence.split_ascii_whitespace() {
            let (word_ln_prob, next) = lm.score(&state, word);
            ln_prob += f64::from(word_ln_prob);
            if !lm.knows(word) {
                unknown_words += 1;
                ln_prob_unknown += f64::from(word_ln_prob);
            }
            words += 1;
            state = next;
        }
        ln_prob += f64::from(lm.end(&state));
        sentences += 1;
    }
    if words == 0 {
        return Err(LmError::NoWords {
            path: path.to_owned(),
        });
    }
    let per_event = |ln_prob: f64, events: usize| (-ln_prob / events as f64).exp();
    Ok(Perplexity {
        sentences,
        words,
        unknown_words,
        perplexity: per_event(ln_prob, words + sentences),
        perplexity_known: per_event(ln_prob - ln_prob_unknown, words + sentences - unknown_words),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::estimate::tests::corpus;
    use super::super::estimate::{EstimateConfig, estimate};
    use super::*;

    #[test]
    fn perplexity_is_the_inverse_geometric_mean_of_the_probabilities() {
        let lm = estimate(&corpus(&["a b", "a b", "a c"]), &EstimateConfig::new(2))
            .unwrap()
            .to_lm()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "A b\n\nzebra\n").unwrap();
        let found = perplexity(&lm, &path).unwrap();
        assert_eq!(
            (found.sentences, found.words, found.unknown_words),
            (2, 3, 1)
        );
        // By hand, as in the test of the estimate: a b </s>, and <unk> </s> of which the second
        // has no history.
        let (known, unknown) = (0.6 * (1.3 / 3.0) * 0.65 * 0.3, 0.5 * 0.1);
        let expected = f64::powf(known * unknown, -1.0 / 5.0);
        assert!((found.perplexity - expected).abs() < 1e-4, "{found:?}");
        let expected = f64::powf(known, -1.0 / 4.0);
        assert!(
            (found.perplexity_known - expected).abs() < 1e-4,
            "{found:?}"
        );
        std::fs::write(&path, "\n").unwrap();
        assert!(perplexity(&lm, &path).is_err());
    }
}

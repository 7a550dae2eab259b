use serde::Serialize;
use shared_model::metrics::PairedDifference;

/// How two systems compare. Rates are fractions.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Words of the references.
    pub words: usize,
    /// Utterances.
    pub utterances: usize,
    /// The first file's system.
    pub first: SystemRate,
    /// The second file's.
    pub second: SystemRate,
    /// First less second, drawing utterances.
    pub by_utterance: PairedDifference,
    /// First less second, drawing speakers; `None` where fewer than two are known.
    pub by_speaker: Option<PairedDifference>,
    /// Utterances with fewer errors in the first, in the second, and as many in both.
    pub wins: Wins,
    /// Words of the references that the first alone has right, the second alone, and neither.
    pub words_right: WordsRight,
    /// Every speaker that is known, the first system's greatest lead first.
    pub speakers: Vec<SpeakerRates>,
    /// Utterances with other numbers of errors, the greatest difference first.
    pub differing: Vec<DifferingUtterance>,
}

/// A system's word error rate.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SystemRate {
    /// Words wrong over words of the references.
    pub wer: f64,
    /// Lower end of its 95 % interval, drawing utterances.
    pub wer_low: f64,
    /// Upper end.
    pub wer_high: f64,
}

/// Utterances by who has fewer errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wins {
    /// The first.
    pub first: usize,
    /// The second.
    pub second: usize,
    /// Neither.
    pub equal: usize,
}

/// Words of the references by who has them right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WordsRight {
    /// The first alone.
    pub first_only: usize,
    /// The second alone.
    pub second_only: usize,
    /// Neither.
    pub neither: usize,
    /// Words that the first alone has right, most frequent first.
    pub first_gains: Vec<(String, usize)>,
    /// Words that the second alone has right, most frequent first.
    pub second_gains: Vec<(String, usize)>,
}

/// Both systems on one speaker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeakerRates {
    /// As the files name them.
    pub speaker: String,
    /// Words of the references.
    pub words: usize,
    /// Error rate of the first.
    pub first: f64,
    /// Error rate of the second.
    pub second: f64,
}

/// An utterance on which the systems differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DifferingUtterance {
    /// Audio file and offset.
    pub utterance: String,
    /// Errors of the first.
    pub first_errors: usize,
    /// Errors of the second.
    pub second_errors: usize,
    /// Reference and both hypotheses, aligned.
    pub columns: Vec<Column>,
}

/// A word of the reference with what the systems wrote for it; nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Of the reference.
    pub reference: Option<String>,
    /// Of the first.
    pub first: Option<String>,
    /// Of the second.
    pub second: Option<String>,
}

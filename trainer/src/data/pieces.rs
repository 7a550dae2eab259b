//! Timed words to utterances that training can take: cut at pauses.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

/// A longer pause ends an utterance.
const PAUSE_SECS: f64 = 0.6;
/// Kept of the silence before and after an utterance, but never more than half of a pause.
const MARGIN_SECS: f64 = 0.3;

/// A word with its place in a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedWord {
    /// As it was written.
    pub text: String,
    /// Its beginning.
    pub start_secs: f64,
    /// Its end.
    pub end_secs: f64,
    /// How sure the recogniser was, 0 to 1, where it says.
    pub confidence: Option<f32>,
}

/// A stretch of a recording with what is said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its beginning, with some of the silence before the first word.
    pub start_secs: f64,
    /// Its end, with some of the silence after the last word.
    pub end_secs: f64,
    /// The words joined by spaces.
    pub text: String,
    /// Mean over the words that have one.
    pub confidence: Option<f32>,
}

/// Cuts at every pause of [`PAUSE_SECS`], then whatever is longer than `max_secs` at its longest
/// pause, again and again; a single word is never cut.
///
/// - `words`: in the order of their beginnings; one that ends before it begins has no length.
/// - `audio_secs`: length of the recording, where it is known; nothing reaches beyond it.
pub fn pieces(words: &[TimedWord], max_secs: f64, audio_secs: Option<f64>) -> Vec<Piece> {
    let mut ends = vec![];
    let mut from = 0;
    for at in 1..=words.len() {
        if at == words.len() || pause(words, at) >= PAUSE_SECS {
            shorten(words, from, at, max_secs, &mut ends);
            from = at;
        }
    }
    let mut from = 0;
    let mut pieces = Vec::with_capacity(ends.len());
    for end in ends {
        pieces.push(piece(words, from, end, audio_secs));
        from = end;
    }
    pieces
}

/// Silence before word `at`.
fn pause(words: &[TimedWord], at: usize) -> f64 {
    words[at].start_secs - words[at - 1].end_secs
}

/// Ends of the parts of `words[from..to]`, each at most `max_secs` long.
fn shorten(words: &[TimedWord], from: usize, to: usize, max_secs: f64, ends: &mut Vec<usize>) {
    // Not by recursion: a recording may be one word a second for days.
    let mut open = vec![(from, to)];
    while let Some((from, to)) = open.pop() {
        let secs = words[to - 1].end_secs - words[from].start_secs;
        if secs <= max_secs || to - from < 2 {
            ends.push(to);
            continue;
        }
        // Of equal pauses the one nearest to the middle.
        let middle = words[from].start_secs + secs / 2.0;
        let from_middle = |at: usize| (words[at].start_secs - middle).abs();
        let longest = (from + 1..to).max_by(|&a, &b| {
            pause(words, a)
                .total_cmp(&pause(words, b))
                .then(from_middle(b).total_cmp(&from_middle(a)))
        });
        let at = longest.unwrap_or(to);
        open.push((at, to));
        open.push((from, at));
    }
}

fn piece(words: &[TimedWord], from: usize, to: usize, audio_secs: Option<f64>) -> Piece {
    let said = &words[from..to];
    let first = said.first().map_or(0.0, |word| word.start_secs);
    let last = said.last().map_or(0.0, |word| word.end_secs).max(first);
    let before = match from {
        0 => first,
        at => pause(words, at).max(0.0) / 2.0,
    };
    let after = match (words.get(to), audio_secs) {
        (Some(_), _) => pause(words, to).max(0.0) / 2.0,
        (None, Some(end)) => (end - last).max(0.0),
        (None, None) => 0.0,
    };
    let confidences: Vec<f32> = said.iter().filter_map(|word| word.confidence).collect();
    let texts: Vec<&str> = said.iter().map(|word| word.text.as_str()).collect();
    Piece {
        start_secs: first - before.min(MARGIN_SECS),
        end_secs: last + after.min(MARGIN_SECS),
        text: texts.join(" "),
        confidence: (!confidences.is_empty())
            .then(|| confidences.iter().sum::<f32>() / confidences.len() as f32),
    }
}

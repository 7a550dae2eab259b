//! The ARPA text format, as SRILM and KenLM write it.

use std::fmt::Write;

use super::{MAX_NGRAMS, MAX_ORDER, NgramLm, NgramTable, ROOT};
use crate::decode::DecodeError;

/// Least bytes of an n-gram's line: a digit, a tab, a letter and a line end.
const MIN_LINE_BYTES: usize = 4;
/// Longest part of a line quoted in an error.
const QUOTED_CHARS: usize = 60;
const LN_10: f64 = std::f64::consts::LN_10;

pub(super) fn parse(bytes: &[u8]) -> Result<NgramTable, DecodeError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let reason = "it is gzip-compressed: unpack it first".to_string();
        return Err(DecodeError::LanguageModel(reason));
    }
    let mut lines = Lines::new(bytes);
    lines.skip_header()?;
    let counts = lines.counts()?;
    let mut table = NgramTable::new(counts.len())?;
    for order in 1..=counts.len() {
        // An order without n-grams needs no section.
        if counts[order - 1] == 0 && !lines.is_next(&format!("\\{order}-grams:"))? {
            continue;
        }
        lines.expect(&format!("\\{order}-grams:"))?;
        while let Some(line) = lines.ngram_line()? {
            let pushed = push_ngram(&mut table, order, line);
            pushed.map_err(|reason| lines.error(reason))?;
        }
        let (found, declared) = (table.len(order), counts[order - 1]);
        if found != declared {
            let reason = format!(
                "the {order}-gram section ends after {found} n-grams, \\data\\ says {declared}"
            );
            return Err(lines.error(reason));
        }
    }
    lines.expect("\\end\\")?;
    Ok(table)
}

/// One line: base-10 log-probability, `order` words, and a back-off that may be left out.
fn push_ngram(table: &mut NgramTable, order: usize, line: &str) -> Result<(), String> {
    let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
    let log10_prob = match fields.next() {
        Some("-inf") => -99.0,
        field => number(field.unwrap_or_default(), line)?,
    };
    let mut ids = [0; MAX_ORDER];
    let mut unigram = None;
    for slot in ids.iter_mut().take(order) {
        let word = fields
            .next()
            .ok_or_else(|| format!("\"{}\" has fewer than {order} words", quoted(line)))?;
        if order == 1 {
            unigram = Some(word);
        } else {
            *slot = table
                .word_id(word)
                .ok_or_else(|| format!("word \"{}\" is not a 1-gram", quoted(word)))?;
        }
    }
    let log10_backoff = fields.next().map_or(Ok(0.0), |field| number(field, line))?;
    if fields.next().is_some() {
        return Err(format!("\"{}\" has more than {order} words", quoted(line)));
    }
    let (ln_prob, ln_backoff) = (ln(log10_prob), ln(log10_backoff));
    match unigram {
        Some(word) => table.try_push_word(word, ln_prob, ln_backoff).map(|_| ()),
        None => table.try_push(&ids[..order], ln_prob, ln_backoff),
    }
}

fn ln(log10: f64) -> f32 {
    (log10 * LN_10) as f32
}

fn number(field: &str, line: &str) -> Result<f64, String> {
    let parsed = field.parse::<f64>().ok().filter(|value| value.is_finite());
    parsed.ok_or_else(|| format!("\"{}\": \"{}\" is no number", quoted(line), quoted(field)))
}

fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTED_CHARS).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

struct Lines<'a> {
    rest: &'a [u8],
    /// Of the line read last, from 1.
    number: usize,
    num_bytes: usize,
    /// A section's name that ended the section before.
    pending: Option<&'a str>,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            number: 0,
            num_bytes: bytes.len(),
            pending: None,
        }
    }

    fn error(&self, reason: String) -> DecodeError {
        let line = self.number;
        DecodeError::ArpaLine { line, reason }
    }

    fn next_raw(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.number += 1;
        Some(line.trim_ascii())
    }

    /// The next line that is not blank.
    fn next_line(&mut self) -> Result<Option<&'a str>, DecodeError> {
        if let Some(line) = self.pending.take() {
            return Ok(Some(line));
        }
        while let Some(line) = self.next_raw() {
            if !line.is_empty() {
                let text = str::from_utf8(line);
                let text = text.map_err(|_| self.error("it is not UTF-8 text".to_string()))?;
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn skip_header(&mut self) -> Result<(), DecodeError> {
        while let Some(line) = self.next_raw() {
            if line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) == b"\\data\\" {
                return Ok(());
            }
        }
        let reason = "no \\data\\ line: it is not an ARPA file".to_string();
        Err(DecodeError::LanguageModel(reason))
    }

    fn expect(&mut self, name: &str) -> Result<(), DecodeError> {
        match self.next_line()? {
            Some(line) if line == name => Ok(()),
            Some(line) => {
                let found = quoted(line);
                Err(self.error(format!("expected \"{name}\", found \"{found}\"")))
            }
            None => Err(self.error(format!("the file ends before \"{name}\""))),
        }
    }

    /// Whether the next line that is not blank is this section's name; it is still to come.
    fn is_next(&mut self, name: &str) -> Result<bool, DecodeError> {
        self.pending = self.next_line()?;
        Ok(self.pending == Some(name))
    }

    /// The lines `ngram ORDER=COUNT` under `\data\`.
    fn counts(&mut self) -> Result<Vec<usize>, DecodeError> {
        let mut counts = Vec::new();
        while let Some(line) = self.next_line()? {
            if line.starts_with('\\') {
                self.pending = Some(line);
                break;
            }
            let order = counts.len() + 1;
            let count = line
                .strip_prefix("ngram")
                .and_then(|rest| rest.split_once('='))
                .filter(|(given, _)| given.trim().parse() == Ok(order))
                .and_then(|(_, count)| count.trim().parse::<usize>().ok())
                .ok_or_else(|| {
                    let found = quoted(line);
                    self.error(format!(
                        "expected \"ngram {order}=COUNT\", found \"{found}\""
                    ))
                })?;
            if order > MAX_ORDER {
                return Err(self.error(format!("orders above {MAX_ORDER} are not supported")));
            }
            if count > MAX_NGRAMS || count > self.num_bytes / MIN_LINE_BYTES {
                let bytes = self.num_bytes;
                let reason = format!("{count} n-grams cannot be in a file of {bytes} bytes");
                return Err(self.error(reason));
            }
            counts.push(count);
        }
        if counts.is_empty() {
            return Err(self.error("\\data\\ declares no n-grams".to_string()));
        }
        if let Some(order) =
            (1..counts.len()).find(|&order| counts[order - 1] == 0 && counts[order] > 0)
        {
            let higher = order + 1;
            return Err(self.error(format!(
                "\\data\\ declares {higher}-grams but no {order}-grams, which they begin with"
            )));
        }
        Ok(counts)
    }

    /// The next line of a section; `None` where the next one begins. Lines of n-grams begin with
    /// a number, so a word that begins with a backslash is no end.
    fn ngram_line(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.next_line()? {
            Some(line) if line.starts_with('\\') => {
                self.pending = Some(line);
                Ok(None)
            }
            Some(line) => Ok(Some(line)),
            None => Err(self.error("the file ends before \"\\end\\\"".to_string())),
        }
    }
}

pub(super) fn write(lm: &NgramLm) -> String {
    let counts = lm.num_ngrams();
    let mut text = String::from("\\data\\\n");
    for (index, count) in counts.iter().enumerate() {
        let _ = writeln!(text, "ngram {}={count}", index + 1);
    }
    let mut parents = vec![ROOT; lm.node_words.len()];
    for parent in 0..lm.ln_backoffs.len() as u32 {
        for child in lm.children(parent) {
            parents[child as usize] = parent;
        }
    }
    let mut first = 1;
    for (index, count) in counts.iter().enumerate() {
        let order = index + 1;
        let _ = writeln!(text, "\n\\{order}-grams:");
        for node in first..first + count {
            let _ = write!(text, "{}\t", log10(lm.ln_probs[node]));
            let mut words = Vec::with_capacity(order);
            let mut at = node;
            while at != ROOT as usize {
                words.push(&*lm.words[lm.node_words[at] as usize]);
                at = parents[at] as usize;
            }
            words.reverse();
            text.push_str(&words.join(" "));
            if order < counts.len() {
                let _ = write!(text, "\t{}", log10(lm.ln_backoffs[node]));
            }
            text.push('\n');
        }
        first += count;
    }
    text.push_str("\n\\end\\\n");
    text
}

/// Base-10 logarithm; the sum removes the sign of a negative zero.
fn log10(ln: f32) -> f32 {
    (f64::from(ln) / LN_10) as f32 + 0.0
}

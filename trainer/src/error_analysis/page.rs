//! The analysis as a page that needs nothing else.

use super::{AlignedWords, ErroneousUtterance, ErrorAnalysis};
use crate::report::format_count;
use crate::report::html::{self, escape, section};

/// Rows of a table on the page.
const MOST_ROWS: usize = 40;
/// Utterances on the page: one of some ten thousand would be too long to open.
const MOST_UTTERANCES: usize = 1_000;

const STYLE: &str = "\
:root{--gone:light-dark(#b3261e,#ff9d94);--new:light-dark(#00639b,#7cc4ff)}\
article{border-top:1px solid var(--line);padding:.75rem 0}\
article h3{font-size:.9rem;margin:0 0 .25rem;overflow-wrap:anywhere}\
.said{margin:0;line-height:1.9;overflow-wrap:anywhere}\
.said del{color:var(--gone)}.said ins{color:var(--new);text-decoration:none;font-weight:600}";

impl ErrorAnalysis {
    /// One HTML page: the tables, and the aligned differences of each utterance with errors.
    pub fn to_html(&self, title: &str) -> String {
        let mut body = format!(
            "<h1>{}</h1>\n<p>{} of {} words are wrong or too many in {} utterances ({:.2} %).</p>\n",
            escape(title),
            format_count(self.words.errors()),
            format_count(self.words.reference_len),
            format_count(self.utterances),
            100.0 * self.words.rate()
        );
        for table in self.tables(MOST_ROWS) {
            body += &section(&table);
        }
        body += "<h2>Utterances</h2>\n<p class=\"note\">The most errors first. <span class=\"said\">\
                 <del>Struck out</del></span>: said and not written. <span class=\"said\"><ins>Bold</ins>\
                 </span>: written and not said.</p>\n";
        for utterance in self.erroneous.iter().take(MOST_UTTERANCES) {
            body += &article(utterance);
        }
        let left_out = self.erroneous.len().saturating_sub(MOST_UTTERANCES);
        if left_out > 0 {
            body += &format!(
                "<p class=\"note\">{} more have fewer errors.</p>\n",
                format_count(left_out)
            );
        }
        html::page(title, STYLE, &body)
    }
}

fn article(utterance: &ErroneousUtterance) -> String {
    let counts = &utterance.words;
    let speaker = utterance.speaker.as_ref();
    let speaker = speaker.map_or(String::new(), |speaker| format!(", {}", escape(speaker)));
    let words: Vec<String> = utterance.columns.iter().map(word).collect();
    format!(
        "<article><h3>{} errors in {} words: {}{speaker}</h3>\n<p class=\"said\">{}</p></article>\n",
        counts.errors(),
        counts.reference_len,
        escape(&utterance.utterance),
        words.join(" ")
    )
}

/// What was said and not written is struck out, what was written and not said stands out.
fn word(column: &AlignedWords) -> String {
    if column.is_right() {
        return column.reference.as_deref().map(escape).unwrap_or_default();
    }
    let marked = |word: &Option<String>, tag: &str| {
        let word = word.as_deref();
        word.map(|word| format!("<{tag}>{}</{tag}>", escape(word)))
    };
    let gone = marked(&column.reference, "del");
    let new = marked(&column.hypothesis, "ins");
    let both: Vec<String> = gone.into_iter().chain(new).collect();
    both.join(" ")
}

//! The analysis as tables.

use shared_model::metrics::ErrorCounts;

use super::{Confusion, Confusions, ErrorAnalysis, Frequency, SpeakerErrors, WordClass};
use crate::report::{Table, format_count};

impl ErrorAnalysis {
    /// Every table that has rows, each of at most `most_rows`.
    pub(crate) fn tables(&self, most_rows: usize) -> Vec<Table> {
        let [words, characters] = [
            ("Words", &self.word_confusions),
            ("Characters", &self.character_confusions),
        ]
        .map(|(items, confusions)| confusion_tables(items, confusions, most_rows));
        let mut tables = vec![
            kinds(self),
            classes(
                "By how often the texts hold a word",
                "times in the texts",
                &self.by_text_count,
            ),
            classes(
                "By a word's rank in the language model",
                "rank",
                &self.by_lm_rank,
            ),
            classes("By a word's length", "letters", &self.by_length),
            speakers(&self.speakers, most_rows),
        ];
        tables.extend(words);
        tables.extend(characters);
        tables.retain(|table| !table.rows.is_empty());
        tables
    }
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1}", 100.0 * part as f64 / whole as f64),
    }
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn kinds(analysis: &ErrorAnalysis) -> Table {
    let row = |name: &str, counts: &ErrorCounts| {
        let kinds = [counts.substitutions, counts.deletions, counts.insertions];
        let mut row = vec![name.to_owned(), format_count(counts.reference_len)];
        row.push(percent(counts.errors(), counts.reference_len));
        row.extend(kinds.map(|kind| percent(kind, counts.reference_len)));
        row
    };
    Table {
        title: "Errors by kind".to_owned(),
        note: "In % of what was said.".to_owned(),
        header: strings(["", "said", "errors", "substituted", "deleted", "inserted"]),
        words: 1,
        rows: vec![
            row("words", &analysis.words),
            row("characters", &analysis.characters),
        ],
    }
}

fn classes(title: &str, header: &str, classes: &[WordClass]) -> Table {
    let words: usize = classes.iter().map(|class| class.words).sum();
    let wrong: usize = classes.iter().map(WordClass::wrong).sum();
    let rows = classes.iter().map(|class| {
        vec![
            class.class.clone(),
            percent(class.words, words),
            percent(class.wrong(), class.words),
            percent(class.deleted, class.words),
            percent(class.wrong(), wrong),
        ]
    });
    Table {
        title: title.to_owned(),
        note: "In %; wrong: written as another word or left out. Inserted words are in no class."
            .to_owned(),
        header: strings([
            header,
            "of the words",
            "wrong",
            "of it left out",
            "of the wrong words",
        ]),
        words: 1,
        rows: rows.collect(),
    }
}

fn speakers(speakers: &[SpeakerErrors], most_rows: usize) -> Table {
    let rows = speakers.iter().take(most_rows).map(|speaker| {
        let counts = &speaker.words;
        let kinds = [counts.substitutions, counts.deletions, counts.insertions];
        let mut row = vec![speaker.speaker.clone(), format_count(counts.reference_len)];
        row.push(format!("{:.1}", 100.0 * speaker.wer));
        row.extend(kinds.map(|kind| percent(kind, counts.reference_len)));
        row
    });
    Table {
        title: "By speaker".to_owned(),
        note: shown(
            "In % of the words said, the highest rate first",
            most_rows,
            speakers.len(),
        ),
        header: strings([
            "speaker",
            "words",
            "errors",
            "substituted",
            "deleted",
            "inserted",
        ]),
        words: 1,
        rows: rows.collect(),
    }
}

/// A sentence, and how much of a long table is shown.
fn shown(sentence: &str, most_rows: usize, rows: usize) -> String {
    if rows > most_rows {
        format!("{sentence}; the first {most_rows} of {rows}.")
    } else {
        format!("{sentence}.")
    }
}

fn confusion_tables(items: &str, confusions: &Confusions, most_rows: usize) -> [Table; 3] {
    let table = |kind: &str, header: Vec<String>, rows: Vec<Vec<String>>, of: usize| Table {
        title: format!("{items} {kind}"),
        note: shown("The most frequent first", most_rows, of),
        words: header.len() - 2,
        header,
        rows,
    };
    let substituted = |one: &Confusion| {
        let names = [&one.reference, &one.hypothesis].map(|item| visible(item));
        [&names[..], &[one.count, one.of].map(format_count)].concat()
    };
    let frequency = |one: &Frequency| {
        [
            &[visible(&one.item)][..],
            &[one.count, one.of].map(format_count),
        ]
        .concat()
    };
    let first = |of: &[Frequency]| of.iter().take(most_rows).map(frequency).collect();
    let header = |last: &str| strings(["item", last, "times said"]);
    [
        table(
            "taken for others",
            strings(["said", "written", "times", "times said"]),
            confusions
                .substituted
                .iter()
                .take(most_rows)
                .map(substituted)
                .collect(),
            confusions.substituted.len(),
        ),
        table(
            "left out",
            header("left out"),
            first(&confusions.deleted),
            confusions.deleted.len(),
        ),
        table(
            "put in",
            header("put in"),
            first(&confusions.inserted),
            confusions.inserted.len(),
        ),
    ]
}

/// A space shows what it is.
fn visible(item: &str) -> String {
    match item {
        " " => "(space)".to_owned(),
        item => item.to_owned(),
    }
}

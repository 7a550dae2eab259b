#![allow(clippy::unwrap_used)]
use super::*;

fn heard(text: &str, pred_text: &str, speaker: Option<&str>) -> Hypothesis {
    Hypothesis {
        audio_filepath: format!("{text}.wav"),
        offset: 0.0,
        duration: 1.0,
        text: text.to_owned(),
        pred_text: pred_text.to_owned(),
        speaker: speaker.map(str::to_owned),
    }
}

/// Three sentences: one word taken for another, one left out, one put in, one taken for another.
fn three() -> [Hypothesis; 3] {
    [
        heard("the cat sat", "the cat sat", Some("anna")),
        heard("the cat sat", "a cat", Some("bert")),
        heard("a dog", "big a hog", Some("bert")),
    ]
}

fn classes(classes: &[WordClass]) -> Vec<(&str, usize, usize, usize)> {
    classes
        .iter()
        .map(|class| (&*class.class, class.words, class.substituted, class.deleted))
        .collect()
}

#[test]
fn errors_are_told_apart_by_kind_speaker_and_word_as_by_hand() {
    let analysis = analyse_errors(&three(), &Vocabulary::default());
    let counts = |reference_len, insertions, deletions, substitutions| ErrorCounts {
        reference_len,
        insertions,
        deletions,
        substitutions,
    };
    assert_eq!(analysis.words, counts(8, 1, 1, 2));
    let speakers: Vec<_> = analysis
        .speakers
        .iter()
        .map(|s| (s.speaker.as_str(), s.words))
        .collect();
    assert_eq!(
        speakers,
        [("bert", counts(5, 1, 1, 2)), ("anna", counts(3, 0, 0, 0))]
    );
    assert_eq!(analysis.speakers[0].wer, 0.8);
    let confusions = &analysis.word_confusions;
    let taken: Vec<_> = confusions
        .substituted
        .iter()
        .map(|c| (&*c.reference, &*c.hypothesis, c.count, c.of))
        .collect();
    assert_eq!(taken, [("dog", "hog", 1, 1), ("the", "a", 1, 2)]);
    assert_eq!(
        (&*confusions.deleted[0].item, confusions.deleted[0].of),
        ("sat", 2)
    );
    assert_eq!(
        (&*confusions.inserted[0].item, confusions.inserted[0].of),
        ("big", 0)
    );
    let first = &analysis.erroneous[0];
    assert_eq!((analysis.erroneous.len(), first.words.errors()), (2, 2));
}

#[test]
fn characters_are_aligned_over_the_whole_utterance() {
    let analysis = analyse_errors(
        &[heard("a lot", "alot", None), heard("cat", "hat", None)],
        &Vocabulary::default(),
    );
    let confusions = &analysis.character_confusions;
    assert_eq!(
        (&*confusions.deleted[0].item, confusions.deleted[0].count),
        (" ", 1)
    );
    let taken = &confusions.substituted[0];
    // c once, a twice and t twice were said.
    assert_eq!(
        (&*taken.reference, &*taken.hypothesis, taken.of),
        ("c", "h", 1)
    );
    assert_eq!(
        (
            analysis.characters.reference_len,
            analysis.characters.errors()
        ),
        (8, 2)
    );
    assert!(analysis.speakers.is_empty());
}

#[test]
fn words_fall_into_the_classes_of_text_language_model_and_length() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, "the the the\nThe the the dog!\n").unwrap();
    let manifest = folder.path().join("train.jsonl");
    std::fs::write(
        &manifest,
        "{\"audio_filepath\":\"a.wav\",\"text\":\"cat\"}\n",
    )
    .unwrap();
    let mut vocabulary = Vocabulary::default();
    vocabulary.add_text(&text).unwrap();
    vocabulary.add_manifest(&manifest).unwrap();
    let arpa = "\\data\\\nngram 1=5\n\\1-grams:\n-99 <s>\n-1 </s>\n-1 THE\n-2 cat\n-3 a\n\\end\\";
    vocabulary.set_lm(&shared_model::decode::lm::NgramLm::from_arpa(arpa.as_bytes()).unwrap());
    let analysis = analyse_errors(&three(), &vocabulary);
    // the 6 times; dog and cat once; sat and a never.
    assert_eq!(
        classes(&analysis.by_text_count),
        [("0", 3, 0, 1), ("1 to 5", 3, 1, 0), ("6 to 50", 2, 1, 0)]
    );
    assert_eq!(
        classes(&analysis.by_lm_rank),
        [("the 100 most frequent", 5, 1, 0), ("unknown", 3, 1, 1)]
    );
    assert_eq!(
        classes(&analysis.by_length),
        [("1 or 2", 1, 0, 0), ("3 or 4", 7, 2, 1)]
    );
    let without = analyse_errors(&three(), &Vocabulary::default());
    assert!(without.by_text_count.is_empty() && without.by_lm_rank.is_empty());
}

#[test]
fn tables_are_cut_and_say_so() {
    let analysis = analyse_errors(&three(), &Vocabulary::default());
    let find = |tables: &[crate::report::Table], title: &str| {
        let table = tables.iter().find(|table| table.title == title);
        table.map(|table| (table.rows.clone(), table.note.clone()))
    };
    let (rows, note) = find(&analysis.tables(1), "Words taken for others").unwrap();
    assert_eq!(rows, [["dog", "hog", "1", "1"]]);
    assert!(note.ends_with("the first 1 of 2."), "{note}");
    let (rows, note) = find(&analysis.tables(9), "Errors by kind").unwrap();
    assert_eq!(rows[0], ["words", "8", "50.0", "25.0", "12.5", "12.5"]);
    assert_eq!(note, "In % of what was said.");
    assert_eq!(
        find(
            &analysis.tables(9),
            "By a word's rank in the language model"
        ),
        None
    );
}

#[test]
fn the_page_marks_what_differs_and_no_text_of_the_file_becomes_markup() {
    let mut evil = heard("a b", "a c", Some("<script>"));
    evil.audio_filepath = "<b>&.wav".to_owned();
    let page = analyse_errors(&[evil], &Vocabulary::default()).to_html("Errors of <x>");
    assert!(
        page.contains("<p class=\"said\">a <del>b</del> <ins>c</ins></p>"),
        "{page}"
    );
    assert!(page.contains("&lt;b&gt;&amp;.wav, &lt;script&gt;") && !page.contains("<script"));
    assert!(page.contains("<title>Errors of &lt;x&gt;</title>"));
    for needed in [
        "color-scheme:light dark",
        "width=device-width",
        "1 of 2 words",
    ] {
        assert!(page.contains(needed), "{needed}");
    }
}

use super::*;

/// Tokens of two frames each, with the given log-probabilities.
fn hypothesis(ids: &[u32], log_probs: &[f32]) -> Hypothesis {
    let tokens = ids
        .iter()
        .zip(log_probs)
        .enumerate()
        .map(|(index, (&id, &log_prob))| TokenSpan {
            id,
            start_frame: 3 * index,
            end_frame: 3 * index + 2,
            log_prob,
        })
        .collect();
    Hypothesis {
        tokens,
        score: 0.0,
        words: None,
    }
}

fn texts(words: &[Word]) -> String {
    let texts: Vec<_> = words.iter().map(|w| w.text.as_str()).collect();
    texts.join(" ")
}

#[test]
fn characters_are_grouped_at_the_space() {
    let tokens = Tokens::characters();
    let ids = tokens.encode("go on").unwrap();
    let found = words(
        &hypothesis(&ids, &[-0.1, -0.3, -9.0, -0.2, -0.2]),
        &tokens,
        0.04,
        1.0,
    );
    assert_eq!(texts(&found), "go on");
    // Frames 0..5 and 9..14 of 40 ms after 1 s.
    assert!((found[0].start_secs - 1.0).abs() < 1e-6);
    assert!((found[0].end_secs - 1.2).abs() < 1e-6);
    assert!((found[1].start_secs - 1.36).abs() < 1e-6);
    assert!((found[1].end_secs - 1.56).abs() < 1e-6);
    assert!((found[0].confidence - (-0.2f32).exp()).abs() < 1e-6);
    assert!((found[1].confidence - (-0.2f32).exp()).abs() < 1e-6);
}

#[test]
fn pieces_with_a_leading_mark_begin_words() {
    let pieces = ["▁he", "llo", "▁", "w", "▁you"].map(String::from).to_vec();
    let tokens = Tokens::from_pieces(pieces).unwrap();
    let ids = [1, 2, 3, 4, 5, 2];
    let found = words(&hypothesis(&ids, &[-0.5; 6]), &tokens, 0.08, 0.0);
    assert_eq!(texts(&found), "hello w youllo");
    assert_eq!(texts(&found), tokens.decode(&ids));
    assert!((found[1].start_secs - 9.0 * 0.08).abs() < 1e-6, "without ▁");
}

#[test]
fn spaces_at_the_ends_and_in_a_row_make_no_empty_words() {
    let tokens = Tokens::characters();
    let space = tokens.encode("a b").unwrap()[1];
    let letter = tokens.encode("a").unwrap()[0];
    let ids = [space, space, letter, space, space, letter, space];
    let found = words(&hypothesis(&ids, &[-0.5; 7]), &tokens, 0.04, 0.0);
    assert_eq!(texts(&found), "a a");
    assert!(words(&hypothesis(&[space], &[0.0]), &tokens, 0.04, 0.0).is_empty());
    assert!(words(&Hypothesis::default(), &tokens, 0.04, 0.0).is_empty());
}

#[test]
fn phones_have_the_texts_that_they_were_taken_for_and_their_own_times_and_posteriors() {
    let tokens = crate::tokens::phone_tokens();
    let ids = tokens.encode("tu ʧiz").unwrap();
    let mut heard = hypothesis(&ids, &[-0.1, -0.3, -9.0, -0.25, -1.25, -0.3]);
    heard.words = Some(vec!["two".into(), "cheese".into()]);
    let found = evident_words(&heard, &tokens, 0.04, 0.0);
    let (words, evidence): (Vec<Word>, Vec<WordEvidence>) = found.into_iter().unzip();
    assert_eq!(texts(&words), "two cheese");
    assert_eq!((evidence[0].num_tokens, evidence[1].num_tokens), (2, 3));
    assert!((evidence[1].mean_ln_posterior + 0.6).abs() < 1e-6);
    // Frames 9 to 17.
    assert!((words[1].start_secs - 0.36).abs() < 1e-6);
    assert!((words[1].end_secs - 0.68).abs() < 1e-6);
}

#[test]
fn a_words_evidence_is_of_its_own_tokens() {
    let tokens = Tokens::characters();
    let ids = tokens.encode("go on").unwrap();
    let heard = hypothesis(&ids, &[-0.1, -0.3, -9.0, -0.25, -1.25]);
    let found = evident_words(&heard, &tokens, 0.04, 0.0);
    let evidence = |mean_ln_posterior, least_ln_posterior| WordEvidence {
        mean_ln_posterior,
        least_ln_posterior,
        num_tokens: 2,
    };
    assert_eq!(found[0].1, evidence(-0.2, -0.3));
    assert_eq!(found[1].1, evidence(-0.75, -1.25));
}

#[test]
fn confidence_stays_between_zero_and_one() {
    let tokens = Tokens::characters();
    let ids = tokens.encode("a").unwrap();
    for (log_prob, expected) in [(0.5, 1.0), (f32::NEG_INFINITY, 0.0), (f32::NAN, 0.0)] {
        let found = words(&hypothesis(&ids, &[log_prob]), &tokens, 0.04, 0.0);
        assert_eq!(found[0].confidence, expected);
    }
}

#[test]
fn ids_that_write_nothing_are_left_out() {
    let pieces = ["a", "<unk>", "b"].map(String::from).to_vec();
    let tokens = Tokens::from_pieces(pieces).unwrap();
    let ids = [0, 2, 1, 2, 3, 60_000];
    let found = words(&hypothesis(&ids, &[-0.5; 6]), &tokens, 1.0, 0.0);
    assert_eq!(texts(&found), "ab");
    assert_eq!(texts(&found), tokens.decode(&ids));
    assert_eq!((found[0].start_secs, found[0].end_secs), (6.0, 14.0));
}

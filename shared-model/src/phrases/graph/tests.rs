#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{super::grammar::SlotValue, *};

fn source(text: &str) -> Source {
    Source::read(text).unwrap()
}

fn graph(text: &str) -> PhraseGraph {
    PhraseGraph::new(&source(text), &Tokens::characters()).unwrap()
}

fn error(text: &str) -> String {
    let graph =
        Source::read(text).and_then(|source| PhraseGraph::new(&source, &Tokens::characters()));
    graph.unwrap_err().to_string()
}

/// Every text of at most `most` characters that a graph accepts, by a search of its own.
fn accepted(graph: &PhraseGraph, tokens: &Tokens, most: usize) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    let mut open = vec![(PhraseGraph::START, String::new())];
    while let Some((state, text)) = open.pop() {
        if graph.is_final(state) {
            texts.insert(text.replace('▁', " ").trim().to_owned());
        }
        for arc in graph.arcs(state) {
            let longer = text.clone() + tokens.piece(graph.token(arc)).unwrap();
            if longer.chars().count() <= most {
                open.push((graph.target(arc), longer));
            }
        }
    }
    texts
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_graph_accepts_the_phrases_and_nothing_else() {
    let graph = graph("turn [the] (light|lamp) (on|off)\nstop+\n(go | run {fast})* home\n");
    let expected = set(&[
        "home",
        "go home",
        "run home",
        "go go home",
        "go run home",
        "run go home",
        "run run home",
        "stop",
        "stop stop",
        "turn light on",
        "turn light off",
        "turn lamp on",
        "turn lamp off",
    ]);
    assert_eq!(
        accepted(&graph, &Tokens::characters(), 12)
            .difference(&expected)
            .count(),
        0
    );
    let found = accepted(&graph, &Tokens::characters(), 14);
    assert!(expected.is_subset(&found), "{found:?}");
    assert_eq!(
        accepted(&graph, &Tokens::characters(), 18)
            .iter()
            .filter(|t| t.starts_with("turn the"))
            .count(),
        4
    );
}

#[test]
fn beginnings_and_ends_are_shared() {
    // t-u-r-n-▁, o, n or f-f: two words apart only in their ends.
    let graph = graph("turn on\nturn off\n");
    assert_eq!((graph.num_states(), graph.num_arcs()), (9, 9));
    // Different beginnings with one end.
    let graph = self::graph("red light\nbed light\n");
    assert_eq!((graph.num_states(), graph.num_arcs()), (10, 10));
}

#[test]
fn any_segmentation_into_pieces_is_accepted() {
    let pieces = ["▁", "▁o", "o", "n", "on", "▁on", "e", "ne", "▁t"];
    let tokens = Tokens::from_pieces(pieces.map(String::from).to_vec()).unwrap();
    let graph = PhraseGraph::new(&source("one on\n"), &tokens).unwrap();
    let mut ways = BTreeSet::new();
    let mut open = vec![(PhraseGraph::START, String::new())];
    while let Some((state, text)) = open.pop() {
        if graph.is_final(state) {
            ways.insert(text.clone());
        }
        for arc in graph.arcs(state) {
            let piece = tokens.piece(graph.token(arc)).unwrap();
            open.push((graph.target(arc), format!("{text} {piece}")));
        }
    }
    // "▁one": ▁ o n e, ▁ on e, ▁ o ne, ▁o n e, ▁o ne, ▁on e; "▁on": ▁ o n, ▁ on, ▁o n, ▁on.
    assert_eq!(ways.len(), 6 * 4, "{ways:?}");
    let joined: BTreeSet<String> = ways.iter().map(|way| way.replace(' ', "")).collect();
    assert_eq!(joined, set(&["▁one▁on"]));
}

#[test]
fn slots_and_tags_come_back() {
    let graph = graph(
        "<colour> = (red | crimson) {red} | blue\n\
         make it <colour:colour> {paint} [now]\n\
         set timer <number:minutes> minutes [and <number:seconds> seconds]\n\
         dial <digits>\n",
    );
    let meaning = |text: &str| graph.meaning(&text.split(' ').collect::<Vec<_>>());
    let painted = meaning("make it crimson now").unwrap();
    assert_eq!(painted.phrase, "make it {colour} now");
    assert_eq!(
        painted.slots,
        [("colour".to_owned(), SlotValue::Text("red".to_owned()))]
    );
    assert_eq!((painted.tags, painted.index), (vec!["paint".to_owned()], 0));
    let timer = meaning("set timer twenty minutes and five seconds").unwrap();
    let number = |name: &str, value| (name.to_owned(), SlotValue::Number(value));
    assert_eq!(timer.slots, [number("minutes", 20), number("seconds", 5)]);
    let dialled = meaning("dial oh one two").unwrap();
    assert_eq!(
        dialled.slots,
        [("digits".to_owned(), SlotValue::Text("012".to_owned()))]
    );
    assert_eq!(meaning("make it green"), None);
    assert_eq!(meaning("set timer"), None);
}

#[test]
fn a_rule_may_use_itself_at_its_end_and_nowhere_else() {
    let graph = graph("<list> = <item> [and <list>]\n<item> = tea | milk\nbuy <list>\n");
    for text in ["buy tea", "buy tea and milk", "buy milk and milk and tea"] {
        assert!(
            graph
                .meaning(&text.split(' ').collect::<Vec<_>>())
                .is_some(),
            "{text}"
        );
    }
    assert!(accepted(&graph, &Tokens::characters(), 20).contains("buy milk and tea"));
    for (text, place) in [
        (
            "<a> = x <a> y | z\n<a>\n",
            "line 1, column 9: <a> uses itself before its end",
        ),
        ("<a> = <a> x | z\n<a>\n", "line 1, column 7"),
        ("<a> = (x <a>)* y\n<a>\n", "line 1, column 10"),
        ("<a> = x <b> y\n<b> = z | <a>\n<a>\n", "line 2, column 11"),
        ("<a> = x [<a:s>]\n<a>\n", "line 1, column 10"),
    ] {
        let found = error(text);
        assert!(
            found.starts_with(place) && found.contains("uses itself"),
            "{text}: {found}"
        );
    }
    let found = error("<a> = x <a>\n<a>\n");
    assert!(
        found.starts_with("no phrase of the list ever ends"),
        "{found}"
    );
}

#[test]
fn what_the_model_cannot_write_is_named_with_its_place() {
    assert_eq!(
        error("go\nturn-on now\n"),
        "line 2, column 1: the model cannot write '-' of \"turn-on\"; it writes ' a-z"
    );
    assert!(
        error("go <nummer:n> steps\n")
            .contains("line 1, column 4: there is no rule <nummer>: did you mean <number>?")
    );
    assert!(error("go <colour>\n").contains("built in are <number>"));
    assert!(
        error("go\n[please] [now]\n")
            .starts_with("line 2, column 1: this phrase is said by saying nothing")
    );
    // Capitals are written small.
    assert!(graph("Turn ON\n").meaning(&["turn", "on"]).is_some());
}

#[test]
fn a_grammar_of_a_million_arcs_is_refused_in_words_before_it_is_built() {
    let mut text = String::from("<a> = one | two | three | four\n");
    for (rule, below) in ["b", "c", "d", "e", "f", "g", "h", "i", "j"]
        .iter()
        .zip("abcdefghi".chars())
    {
        text.push_str(&format!(
            "<{rule}> = <{below}> <{below}> <{below}> <{below}>\n"
        ));
    }
    text.push_str("<j>\n");
    let started = std::time::Instant::now();
    let found = error(&text);
    assert!(
        found.contains("letters, with every rule written out") && found.contains("limit of 500000"),
        "{found}"
    );
    assert!(started.elapsed().as_secs_f32() < 1.0);
    // Small as it is written, large once it is deterministic: the tenth word from the end decides.
    let word = "(a|b)";
    let found = error(&format!("{word}* a{}\n", format!(" {word}").repeat(20)));
    assert!(found.contains("states once they are merged"), "{found}");
}

#[test]
fn ten_thousand_phrases_fit_into_two_megabytes() {
    let mut state = 7u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % below
    };
    let syllables = [
        "ba", "den", "ki", "lor", "mus", "na", "per", "sti", "to", "wen",
    ];
    let mut texts = BTreeSet::new();
    while texts.len() < 10_000 {
        let mut word = || -> String { (0..=random(3)).map(|_| syllables[random(10)]).collect() };
        texts.insert(format!("{} {} {}", word(), word(), word()));
    }
    let list: String = texts.iter().map(|text| text.clone() + "\n").collect();
    let graph = graph(&list);
    assert!(graph.bytes() < 2_000_000, "{} bytes", graph.bytes());
    assert_eq!(accepted(&graph, &Tokens::characters(), 40), texts);
}

/// A small expression and every text of it, with repetitions up to twice.
fn expression() -> impl Strategy<Value = (String, BTreeSet<String>)> {
    let word = prop::sample::select(vec!["a", "b", "ab", "ba"]);
    let leaf = word.prop_map(|word| (word.to_owned(), set(&[word])));
    leaf.prop_recursive(3, 12, 3, |inner| {
        let part = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            part.clone().prop_map(|parts| {
                let texts = parts
                    .iter()
                    .fold(set(&[""]), |before, (_, after)| joined(&before, after));
                (
                    parts
                        .iter()
                        .map(|(text, _)| text.as_str())
                        .collect::<Vec<_>>()
                        .join(" "),
                    texts,
                )
            }),
            part.prop_map(|parts| {
                let text = parts
                    .iter()
                    .map(|(text, _)| text.as_str())
                    .collect::<Vec<_>>()
                    .join("|");
                (
                    format!("({text})"),
                    parts.into_iter().flat_map(|(_, texts)| texts).collect(),
                )
            }),
            inner.clone().prop_map(|(text, mut texts)| {
                texts.insert(String::new());
                (format!("[{text}]"), texts)
            }),
            inner.prop_map(|(text, texts)| {
                let mut all = joined(&texts, &texts);
                all.extend(texts);
                (format!("({text})+"), all)
            }),
        ]
    })
}

fn joined(before: &BTreeSet<String>, after: &BTreeSet<String>) -> BTreeSet<String> {
    let pairs = before
        .iter()
        .flat_map(|a| after.iter().map(move |b| format!("{a} {b}")));
    pairs.map(|text| text.trim().to_owned()).collect()
}

proptest! {
    #[test]
    fn a_graph_accepts_exactly_what_its_expression_writes_out((text, texts) in expression()) {
        // One word more, so that no phrase is empty.
        let graph = PhraseGraph::new(&source(&format!("go {text}\n")), &Tokens::characters()).unwrap();
        let is_repetition = text.contains('+');
        let expected: BTreeSet<String> = joined(&set(&["go"]), &texts);
        for text in &expected {
            let words: Vec<&str> = text.split(' ').collect();
            prop_assert!(graph.meaning(&words).is_some(), "{text}");
        }
        let most = 12;
        let found = accepted(&graph, &Tokens::characters(), most);
        for text in expected.iter().filter(|text| text.chars().count() <= most) {
            prop_assert!(found.contains(text), "{text} of {text:?}");
        }
        for text in &found {
            // Repetitions beyond two are not written out, but the network of words has them.
            let words: Vec<&str> = text.split(' ').collect();
            prop_assert!(graph.meaning(&words).is_some(), "{text}");
            prop_assert!(expected.contains(text) || is_repetition, "{text}");
        }
    }

    #[test]
    fn no_smaller_automaton_accepts_the_same(texts in prop::collection::btree_set("[ab]{1,4}", 1..12)) {
        let list = texts.iter().map(|text| text.clone() + "\n").collect::<String>();
        let graph = PhraseGraph::new(&source(&list), &Tokens::characters()).unwrap();
        prop_assert_eq!(&accepted(&graph, &Tokens::characters(), 9), &texts);
        // As many states as there are different sets of what may follow (Myhill and Nerode).
        let mut beginnings = BTreeSet::from([String::new()]);
        for text in &texts {
            beginnings.extend((0..=text.len()).map(|end| text[..end].to_owned()));
        }
        let rests: BTreeSet<Vec<&str>> = beginnings
            .iter()
            .map(|start| texts.iter().filter_map(|text| text.strip_prefix(start.as_str())).collect())
            .collect();
        prop_assert_eq!(graph.num_states(), rests.len());
    }
}

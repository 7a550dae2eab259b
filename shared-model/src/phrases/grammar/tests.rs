#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    Source::read(text).unwrap_err().to_string()
}

#[test]
fn both_forms_give_the_same_phrases_and_places() {
    let list = Source::read(
        "# lights\n<lamp> = light | lamp\n\nturn [the] <lamp:which> (on|off)  # said often\nstop{halt}\n",
    );
    let grammar = Source::read(
        "#JSGF V1.0 UTF-8 en;\n/* lights */ grammar lights;\n<lamp> = light | lamp;\n\
         public <command> = turn [the] <lamp:which> (on|off) // said often\n | stop {halt};\n",
    );
    let (list, grammar) = (list.unwrap(), grammar.unwrap());
    let shown = |source: &Source| -> Vec<String> {
        let bodies = source
            .phrases
            .iter()
            .map(|phrase| format!("{:?}", phrase.body));
        let without_places = bodies.map(|body| {
            let parts = body
                .split("Place {")
                .map(|part| part.split_once('}').map_or(part, |p| p.1));
            parts.collect::<String>()
        });
        without_places.collect()
    };
    assert_eq!(list.phrases.len(), 2);
    let drop_head = |texts: Vec<String>| -> Vec<String> {
        texts.iter().map(|text| text.replace(' ', "")).collect()
    };
    assert_eq!(drop_head(shown(&list)), drop_head(shown(&grammar)));
    assert_eq!(list.phrases[0].at, Place { line: 4, column: 1 });
    assert_eq!(grammar.phrases[1].at, Place { line: 5, column: 4 });
    assert_eq!(list.rules.len(), 1);
    assert_eq!(
        grammar.rules.len(),
        2,
        "the public rule may be used by others"
    );
}

#[test]
fn errors_say_where_and_what() {
    for (text, expected) in [
        ("", "the list holds no phrase"),
        ("# nothing\n<a> = b\n", "the list holds no phrase"),
        (
            "go\nturn (on",
            "line 2, column 6: \"(\" is never closed: \")\" is missing before the end at line 2, column 9",
        ),
        (
            "turn [on)",
            "line 1, column 6: \"[\" is never closed: \"]\" is missing before \")\"",
        ),
        (
            "turn on)",
            "line 1, column 8: \")\" closes nothing that was opened",
        ),
        (
            "go {x",
            "line 1, column 4: \"{\" is never closed with \"}\"",
        ),
        (
            "go <x",
            "line 1, column 4: \"<\" is never closed with \">\"",
        ),
        ("go <a b>", "line 1, column 4: a rule's name in <>"),
        (
            "go <a:b:c>",
            "line 1, column 4: <a:b:c>: expected <rule> or <rule:slot>",
        ),
        (
            "set timer 15 minutes",
            "line 1, column 11: \"15\" has digits, and the model writes what is said: write \"fifteen\"",
        ),
        ("go |", "line 1, column 5: expected a word"),
        ("| go", "line 1, column 1: expected a word"),
        ("* go", "line 1, column 1: \"*\" stands behind a word"),
        ("a = b", "line 1, column 3: \"=\" has no place here"),
        ("go;", "line 1, column 3: \";\" has no place here"),
        (
            "<a> = x\n<a> = y\ngo",
            "line 2, column 1: <a> was said to be something else at line 1, column 1",
        ),
        (
            "#JSGF V1.0\ngrammar x;",
            "line 1, column 1: the first line of a grammar is",
        ),
        (
            "#JSGF V1.0;\n<x> = a;",
            "line 2, column 1: expected \"grammar NAME;\"",
        ),
        (
            "#JSGF V1.0;\ngrammar g;\nimport <a.b>;",
            "line 3, column 1: imports are not understood",
        ),
        (
            "#JSGF V1.0;\ngrammar g;\npublic <x> = /2/ a | b;",
            "line 3, column 14: weights",
        ),
        (
            "#JSGF V1.0;\ngrammar g;\npublic <x> = a",
            "line 3, column 15: expected \";\" at the rule's end, found the end",
        ),
        (
            "#JSGF V1.0;\ngrammar g;\n/* x",
            "line 3, column 1: this comment is never closed",
        ),
        (
            "#JSGF V1.0;\ngrammar g;\npublic <x> = \"a",
            "line 3, column 14: this quotation mark is never closed",
        ),
    ] {
        let found = error(text);
        assert!(found.starts_with(expected), "{text:?}: {found}");
    }
    let deep = "(".repeat(65) + "a" + &")".repeat(65);
    assert!(error(&deep).contains("64 deep at most"));
    assert!(error(&("a".to_owned() + &"*".repeat(9))).contains("more than 8"));
    assert!(error(&"a ".repeat(5 << 20)).contains("more than the limit"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "(#JSGF V1.0;\ngrammar g;\n)?[a-c1<>:(){}|*+;=/#\\[\\]\" \n@]{0,60}") {
        let _ = Source::read(&text);
    }

    #[test]
    fn no_characters_panic(text in any::<String>()) {
        let _ = Source::read(&text);
    }
}

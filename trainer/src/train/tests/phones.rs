//! Networks with a second head for phones.

use std::sync::Arc;

use shared_model::tokens::Pronunciations;

use super::{method::Eight, *};
use crate::data::PhoneSpelling;

const ARPABET: [&str; 6] = ["AA", "B", "CH", "D", "EY", "F"];

/// A lexicon in which each of these words sounds like its letters from the last to the first.
fn spelling<'a>(words: impl Iterator<Item = &'a str>) -> Option<Arc<PhoneSpelling>> {
    let line = |word: &str| {
        let letters = word.bytes().rev();
        let phones = letters.map(|letter| ARPABET[usize::from(letter - b'a') % ARPABET.len()]);
        format!("{word} {}\n", phones.collect::<Vec<_>>().join(" "))
    };
    let lexicon: String = words.map(line).collect();
    let lexicon = Pronunciations::from_text(&lexicon).unwrap();
    Some(Arc::new(PhoneSpelling::new(&Tokens::characters(), lexicon)))
}

/// For [`ToySource`]: all words of three to five letters from a to c.
fn of_toys() -> Option<Arc<PhoneSpelling>> {
    let mut words = vec![String::new()];
    let mut all = vec![];
    for letters in 1..=5 {
        let longer = |word: &String| ['a', 'b', 'c'].map(|letter| format!("{word}{letter}"));
        words = words.iter().flat_map(longer).collect();
        if letters >= 3 {
            all.extend(words.clone());
        }
    }
    spelling(all.iter().map(String::as_str))
}

const LEXICON: &str = "tokens.pronunciations=lexicon.txt";
const TEACHER_HEAD: &str = "teacher.model.phone_head=true";

#[test]
fn phones_are_learned_by_heart_beside_letters() {
    let recipe = recipe(&[
        LEXICON,
        TEACHER_HEAD,
        "student=[]",
        "teacher.model.d_model=32",
        "teacher.model.d_ffn=64",
        "teacher.model.dropout=0.0",
        "teach.epochs=60",
        "teach.optim.warmup_steps=20",
        "validation.every_epochs=60",
    ]);
    let tokens = Tokens::characters();
    let words: Vec<String> = Eight::batch()
        .targets
        .iter()
        .map(|target| tokens.decode(target))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let work = |c: &mut RunContext<'_>| {
        c.phones = spelling(words.iter().map(String::as_str));
        teach(c).unwrap()
    };
    let (teacher, events) = with_source(folder.path(), &recipe, &mut Eight, None, work);
    assert_eq!(teacher.weights["phone_head.weight"].shape, [32, 41]);
    let rates = events.iter().filter_map(|event| match event {
        TrainEvent::Validation { wer, cer, per, .. } => Some((*wer, *cer, *per)),
        _ => None,
    });
    let rates: Vec<_> = rates.collect();
    assert_eq!(rates.last(), Some(&(0.0, 0.0, Some(0.0))), "{rates:?}");
}

#[test]
fn shards_of_a_batch_give_the_phones_of_the_whole() {
    let train = |shards: usize| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(&[
            LEXICON,
            TEACHER_HEAD,
            &format!("compute.shards={shards}"),
            "teacher.model.dropout=0.0",
            "teach.epochs=1",
            "teach.ctc.consistency_weight=0.2",
        ]);
        let (teacher, events) = with_context(folder.path(), &recipe, None, |c| {
            c.phones = of_toys();
            teach(c).unwrap()
        });
        let terms = ["phone_ctc", "phone_consistency"];
        let terms = terms.map(|term| losses(&events, &format!("teacher/{term}")));
        (teacher.weights, terms.concat())
    };
    let (whole, whole_losses) = train(1);
    assert_eq!(whole_losses.len(), 10);
    let (sharded, sharded_losses) = train(2);
    for (a, b) in whole_losses.iter().zip(&sharded_losses) {
        assert!((a - b).abs() < 1e-5, "{whole_losses:?} {sharded_losses:?}");
    }
    for (name, weight) in &whole {
        for (a, b) in weight.data.iter().zip(&sharded[name].data) {
            assert!((a - b).abs() < 2e-4, "{name}: {a} {b}");
        }
    }
}

#[test]
fn students_learn_phones_from_a_teacher_and_alone_and_stops_change_nothing() {
    let recipe = recipe(&[
        LEXICON,
        TEACHER_HEAD,
        "student.0.model.phone_head=true",
        "student.1.model.phone_head=true",
    ]);
    let whole = |c: &mut RunContext<'_>| {
        c.phones = of_toys();
        run(c)
    };
    let straight = tempfile::tempdir().unwrap();
    let (want, events) = with_context(straight.path(), &recipe, None, whole);
    let want = want.unwrap();
    for term in ["narrow/phone_kl", "narrow/phone_ctc", "teacher/phone_ctc"] {
        let values = losses(&events, term);
        assert!(values.last() < values.first(), "{term}: {values:?}");
    }
    // Cut from a student with a phone head, and asked for without one.
    let has_phones = |s: &TrainedNetwork| s.weights.contains_key("phone_head.weight");
    let found: Vec<bool> = want.students.iter().map(has_phones).collect();
    assert_eq!(found, [true, true, false]);
    assert!(losses(&events, "cut/phone_ctc").is_empty());

    let stopped = tempfile::tempdir().unwrap();
    let mut interruptions = 0;
    let got = loop {
        match with_context(stopped.path(), &recipe, Some(4), whole).0 {
            Ok(family) => break family,
            Err(TrainError::Interrupted { .. }) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(interruptions < 40);
    };
    assert!(interruptions >= 3, "{interruptions}");
    for (a, b) in got.students.iter().zip(&want.students) {
        assert_eq!(bits(&a.weights), bits(&b.weights), "{}", a.name);
    }
}

#[test]
fn words_without_a_pronunciation_count_for_letters_alone() {
    let train = |phones: Option<Arc<PhoneSpelling>>| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(&[LEXICON, TEACHER_HEAD, "teach.epochs=1"]);
        let (teacher, events) = with_context(folder.path(), &recipe, None, |c| {
            c.phones = phones;
            teach(c).unwrap()
        });
        (teacher, events)
    };
    let (_, events) = train(spelling(["other"].into_iter()));
    assert_eq!(losses(&events, "teacher/phone_ctc"), [0.0; 5]);
    assert!(
        losses(&events, "teacher/ctc")
            .iter()
            .all(|loss| *loss > 0.0)
    );
    let (_, events) = train(of_toys());
    assert!(
        losses(&events, "teacher/phone_ctc")
            .iter()
            .all(|loss| *loss > 0.0)
    );
    // Without pronunciations nothing is said of phones.
    let (_, events) = train(None);
    assert!(losses(&events, "teacher/phone_ctc").is_empty());
}

#[test]
fn a_network_may_begin_with_one_that_has_another_number_of_heads() {
    let still = |head: bool| {
        recipe(&[
            LEXICON,
            &format!("teacher.model.phone_head={head}"),
            "student=[]",
            "teach.epochs=1",
            "teach.optim.learning_rate=1e-30",
        ])
    };
    let begin = |recipe: &Recipe, from: Option<&TrainedNetwork>| {
        let folder = tempfile::tempdir().unwrap();
        with_context(folder.path(), recipe, None, |c| {
            c.phones = of_toys();
            let start = from.map(|from| (TEACHER.into(), as_model(from)));
            c.starts.extend(start);
            teach(c).unwrap()
        })
    };
    let says = |events: &[TrainEvent]| {
        let random = |event: &TrainEvent| match event {
            TrainEvent::Notice { message } => message.contains("phone head of random weights"),
            _ => false,
        };
        events.iter().any(random)
    };
    // A rate of next to nothing moves what was zero by next to nothing.
    let alike = |a: &Weights, b: &Weights, names: &Weights| {
        for name in names.keys() {
            let (a, b) = (&a[name].data, &b[name].data);
            let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-20;
            assert!(
                a.len() == b.len() && a.iter().zip(b).all(is_close),
                "{name}"
            );
        }
    };
    let (plain, _) = begin(&still(false), None);
    let (phones, events) = begin(&still(true), Some(&plain));
    assert!(says(&events));
    alike(&phones.weights, &plain.weights, &plain.weights);
    assert_eq!(phones.weights.len(), plain.weights.len() + 2);
    let (again, events) = begin(&still(true), Some(&phones));
    assert!(!says(&events));
    alike(&again.weights, &phones.weights, &phones.weights);
    let (dropped, events) = begin(&still(false), Some(&phones));
    assert!(!says(&events));
    assert_eq!(dropped.weights.len(), plain.weights.len());
    alike(&dropped.weights, &plain.weights, &plain.weights);
}

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::*;

const SMALL: &str = r#"
name = "t"
[data]
train = "train.jsonl"
[data.test]
one = "sub/test.jsonl"
[teacher.model]
d_model = 64
[[student]]
name = "small"
[student.model]
d_model = 32
[[student]]
name = "tiny"
cut_from = "small"
[student.model]
d_model = 32
n_layers = 2
"#;

fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, RecipeError> {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(text, "r.toml", Path::new("/recipes"), &overrides)
}

fn message(text: &str, overrides: &[&str]) -> String {
    parse(text, overrides).unwrap_err().to_string()
}

fn shipped(name: &str) -> Recipe {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let path = Path::new(&package).join(format!("../recipes/{name}.toml"));
    Recipe::load(&path, &[]).unwrap()
}

#[test]
fn the_shipped_recipes_load_and_survive_being_saved() {
    for name in ["quick", "paper", "english", "browser-sizes", "smallest"] {
        let recipe = shipped(name);
        assert_eq!(recipe.name, name);
        assert_eq!(recipe.students.len(), 3);
        let text = recipe.to_toml().unwrap();
        let again = Recipe::parse(&text, "saved", Path::new("/elsewhere"), &[]).unwrap();
        assert_eq!(recipe, again);
    }
}

#[test]
fn the_paper_recipe_has_the_papers_parameter_counts() {
    let recipe = shipped("paper");
    assert_eq!(recipe.teacher.model.num_parameters(), 18_600_192);
    let counts: Vec<usize> = recipe
        .students
        .iter()
        .map(|s| s.model.num_parameters())
        .collect();
    assert_eq!(counts, [9_462_528, 6_416_640, 3_370_752]);
    for student in &recipe.students {
        assert_eq!(recipe.step_one_source(student).name, "blocks6");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
    let text = SMALL.replace("d_model = 64", "d_modle = 64");
    assert_eq!(
        message(&text, &[]),
        "r.toml line 8: unknown key `teacher.model.d_modle`: did you mean `d_model`?"
    );
    let text = SMALL.replace("[data.test]", "[dta.test]");
    assert_eq!(
        message(&text, &[]),
        "r.toml line 5: unknown key `dta`: did you mean `data`?"
    );
    assert_eq!(
        message(SMALL, &["teach.epoch=3"]),
        "--set teach.epoch=3: unknown key `teach.epoch`: did you mean `epochs`?"
    );
    assert!(message(SMALL, &["zzzzzz=3"]).contains("known keys here are augment, checkpoint"));
}

#[test]
fn every_key_that_moved_names_the_new_one_which_exists() {
    for (old, new) in moved::moved_keys() {
        let (old, new) = (old.replace('*', "small"), new.replace('*', "small"));
        let keys: Vec<String> = new.split('.').map(str::to_owned).collect();
        assert!(schema::pattern_at(&keys).is_some(), "{new}");
        let set = format!("{old}=1");
        assert_eq!(
            message(SMALL, &[&set]),
            format!("--set {set}: `{old}` is now `{new}`")
        );
        // In a file, below the header of its table.
        let (table, key) = old.rsplit_once('.').unwrap();
        if table.starts_with("student") || table == "teacher" {
            continue;
        }
        let header = format!("[{table}]\n");
        let begun = SMALL
            .split_once(&header)
            .map_or(SMALL, |(before, _)| before);
        let after = SMALL[begun.len()..].trim_start_matches(&header);
        let text = format!("{begun}{header}{key} = 1\n{after}");
        let line = begun.lines().count() + 2;
        assert_eq!(
            message(&text, &[]),
            format!("r.toml line {line}: `{old}` is now `{new}`")
        );
    }
    let text = SMALL.replace(
        "cut_from = \"small\"",
        "cut_from = \"small\"\nfinetune = { learning_rate = 1.0 }",
    );
    assert_eq!(
        message(&text, &[]),
        "r.toml line 16: `student.1.finetune.learning_rate` is now `student.1.finetune.optim.learning_rate`"
    );
}

#[test]
fn a_table_may_have_the_name_of_a_value_that_moved() {
    let text = format!("{SMALL}[distill.ctc]\nintermediate_weight = 0.25\n");
    let weight = |recipe: Recipe| recipe.distill.ctc.intermediate_weight;
    assert_eq!(weight(parse(&text, &[]).unwrap()), 0.25);
    let set = "distill.ctc={intermediate_weight=0.5}";
    assert_eq!(weight(parse(SMALL, &[set]).unwrap()), 0.5);
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_both_kinds() {
    let text = SMALL.replace("d_model = 64", "d_model = \"wide\"");
    assert_eq!(
        message(&text, &[]),
        "r.toml line 8: `teacher.model.d_model` is text, expected a whole number"
    );
    assert_eq!(
        message(SMALL, &["augment.speeds=0.9"]),
        "--set augment.speeds=0.9: `augment.speeds` is a number, expected a list of numbers"
    );
    assert_eq!(
        message(SMALL, &["teach.epochs=many"]),
        "--set teach.epochs=many: expected a whole number, found `many`"
    );
    let text = SMALL.replace("d_model = 64", "d_model = -64");
    assert!(
        message(&text, &[]).starts_with("r.toml line 8: `teacher.model.d_model`: invalid value")
    );
    assert!(message(SMALL, &["teach.optim.schedule=fast"]).starts_with(
        "--set teach.optim.schedule=fast: `teach.optim.schedule`: unknown variant `fast`"
    ));
}

#[test]
fn broken_toml_gives_one_line_with_its_place() {
    let text = message("name = \"x\"\nseed = = 3\n", &[]);
    assert!(text.starts_with("r.toml line 2: not valid TOML"), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert!(message("", &[]).contains("missing field `name`"));
}

#[test]
fn overrides_reach_tables_lists_and_named_students() {
    let recipe = parse(
        SMALL,
        &[
            "teach.epochs=3",
            "augment.speeds=[1.0]",
            "student.0.model.n_layers=5",
            "student.tiny.model.n_layers=1",
            "distill.loss.preset=faithful",
            "name=123",
            "finetune.optim.learning_rate=1",
            "student.small.finetune.epochs=2",
            "distill.loss.kl=0.25",
        ],
    )
    .unwrap();
    assert_eq!(recipe.teach.epochs, 3);
    assert_eq!(recipe.augment.speeds, [1.0]);
    assert_eq!(recipe.students[0].model.n_layers, 5);
    assert_eq!(recipe.students[1].model.n_layers, 1);
    assert_eq!(recipe.distill.loss.preset, Preset::Faithful);
    assert_eq!(recipe.name, "123");
    assert_eq!(recipe.finetune.optim.learning_rate, 1.0);
    assert_eq!(recipe.students[0].finetune.as_ref().unwrap().epochs, 2);
    assert_eq!(recipe.distill.loss.resolved().kl, 0.25);
    assert_eq!(recipe.distill.loss.resolved().clip, 1.0);
    assert!(message(SMALL, &["student.huge.model.n_layers=1"]).contains("no element `huge`"));
    assert!(message(SMALL, &["nothing"]).contains("expected key=value"));
}

#[test]
fn paths_count_from_the_file_and_overrides_from_the_current_folder() {
    let recipe = parse(SMALL, &["data.dev=dev.jsonl"]).unwrap();
    assert_eq!(
        recipe.data.train.as_slice(),
        [Path::new("/recipes/train.jsonl")]
    );
    assert_eq!(
        recipe.data.test["one"],
        Path::new("/recipes/sub/test.jsonl")
    );
    let here = std::env::current_dir().unwrap();
    assert_eq!(recipe.data.dev.unwrap(), here.join("dev.jsonl"));
    let recipe = parse(SMALL, &["data.train=[\"a\", \"/b\"]"]).unwrap();
    assert_eq!(
        recipe.data.train.as_slice(),
        [here.join("a"), Path::new("/b").to_owned()]
    );
}

#[test]
fn starts_are_paths_of_the_teacher_and_of_each_student() {
    let text = SMALL.replace(
        "[teacher.model]",
        "[teacher]\ninit_from = \"old\"\n[teacher.model]",
    );
    let text = text.replacen(
        "[student.model]",
        "init_from = \"../older\"\n[student.model]",
        1,
    );
    let recipe = parse(&text, &[]).unwrap();
    assert_eq!(
        recipe.teacher.init_from.as_deref(),
        Some(Path::new("/recipes/old"))
    );
    let start = |recipe: &Recipe| recipe.students[0].init_from.clone();
    assert_eq!(start(&recipe), Some("/recipes/../older".into()));
    let here = std::env::current_dir().unwrap();
    let elsewhere = parse(&text, &["student.small.init_from=there"]).unwrap();
    assert_eq!(start(&elsewhere), Some(here.join("there")));
    assert_eq!(
        start(&parse(&text, &["student.small.init_from="]).unwrap()),
        None
    );
    for (set, expected) in [
        ("teacher.from=a", "contradicts teacher.from"),
        ("student.small.init=teacher-blocks", "contradicts init"),
        ("student.tiny.init_from=a", "contradicts cut_from"),
    ] {
        let text = message(&text, &[set]);
        assert!(text.contains(expected), "{set}: {text}");
    }
}

#[test]
fn an_empty_path_takes_an_optional_file_away() {
    let with_dev = SMALL.replace("[data]", "[data]\ndev = \"dev.jsonl\"");
    assert!(parse(&with_dev, &[]).unwrap().data.dev.is_some());
    assert_eq!(parse(&with_dev, &["data.dev="]).unwrap().data.dev, None);
    let without_file = with_dev.replace("dev.jsonl", "");
    assert_eq!(parse(&without_file, &[]).unwrap().data.dev, None);
}

#[test]
fn values_outside_their_limits_are_refused_with_their_place() {
    for (set, expected) in [
        ("teach.epochs=0", "`teach.epochs` is 0"),
        ("augment.noise_share=1.5", "`augment.noise_share` is 1.5"),
        (
            "finetune.optim.learning_rate=nan",
            "`finetune.optim.learning_rate` is NaN",
        ),
        ("student.0.name=a/b", "is not a usable file name"),
        ("student.0.name=tiny", "is taken"),
        ("student.1.cut_from=none", "no student of this recipe"),
        ("student.1.model.d_model=64", "needs the same width"),
        ("student.1.model.n_layers=9", "needs fewer layers"),
        (
            "student.0.model.subsampling_padding=paper",
            "must be the teacher's",
        ),
        (
            "student.0.channels=important",
            "set init = \"teacher-blocks\"",
        ),
        ("student.0.blocks=last", "blocks of another network"),
        ("student.0.prune_share=0.2", "random weights"),
        ("student.1.prune_share=1.0", "`student.1.prune_share` is 1"),
        ("distill.loss.kl_spike_frames=101", "expected 0 to 100"),
        ("distill.loss.feature_layers=0", "expected 1 to 64"),
        (
            "finetune.ctc.intermediate_kl_weight=0.5",
            "set ctc.intermediate_weight above 0",
        ),
        ("teacher.model.vocab_size=77", "leave it out"),
        ("data.min_seconds=30", "must be below data.max_seconds"),
        ("tokens.size=10", "expected 64 to 256"),
        (
            "distill.loss.temperature=0",
            "`distill.loss.temperature` is 0",
        ),
    ] {
        let text = message(SMALL, &[set]);
        assert!(text.contains(expected), "{set}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn networks_take_bands_and_vocabulary_from_features_and_tokens() {
    let recipe = parse(
        SMALL,
        &["features.n_mels=40", "tokens.kind=bpe", "tokens.size=100"],
    )
    .unwrap();
    assert_eq!(recipe.teacher.model.n_mels, 40);
    assert_eq!(recipe.students[1].model.vocab_size, 100);
    assert_eq!(
        parse(SMALL, &[]).unwrap().teacher.model.vocab_size,
        load::CHARACTER_PIECES
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", set in "\\PC{0,40}") {
        let _ = parse(&text, &[&set]);
    }

    #[test]
    fn no_edit_of_a_recipe_makes_the_parser_panic(
        at in 0..SMALL.len(), cut in 0usize..20, insert in "[a-z0-9=\\[\\]\\.\" \\n{},-]{0,8}",
        key in "(data|teacher|student|augment|distill)\\.(0|1|small|model|optim|ctc|loss|train|test|speeds)(\\.[a-z_]{1,9})?",
        value in "[-0-9a-z\\[\\]{}=,. \"]{0,12}",
    ) {
        let end = (at + cut).min(SMALL.len());
        let text = format!("{}{}{}", &SMALL[..at], insert, &SMALL[end..]);
        let set = format!("{key}={value}");
        for result in [parse(&text, &[]), parse(SMALL, &[&set])] {
            if let Err(error) = result {
                prop_assert_eq!(error.to_string().trim().lines().count(), 1);
            }
        }
    }
}

#[test]
fn the_paper_recipe_takes_audio_as_it_is_and_clips_as_the_paper_does() {
    let recipe = shipped("paper");
    assert!(!recipe.features.level_gain);
    let clips = |optim: &OptimConfig| (optim.clip_norm, optim.clip_value);
    assert_eq!(clips(&recipe.distill.optim), (0.0, 1.0));
    assert_eq!(clips(&recipe.finetune.optim), (1.0, 0.0));
    assert!(shipped("quick").features.level_gain);
}

#[test]
fn gradients_are_clipped_in_one_way() {
    let text = message(SMALL, &["finetune.optim.clip_value=1.0"]);
    assert!(text.contains("finetune.optim.clip_norm"), "{text}");
    parse(
        SMALL,
        &[
            "finetune.optim.clip_value=1.0",
            "finetune.optim.clip_norm=0.0",
        ],
    )
    .unwrap();
}

#[test]
fn step_one_may_have_two_views_where_it_has_transcripts() {
    let with_views = "distill.ctc.consistency_weight=0.2";
    parse(SMALL, &[with_views]).unwrap();
    let text = message(SMALL, &[with_views, "distill.loss.ctc=0.0"]);
    assert!(text.contains("distill.loss.ctc"), "{text}");
}

#[test]
fn a_student_wider_than_its_teacher_cannot_start_from_its_blocks() {
    let from_blocks = "student.0.init=teacher-blocks";
    parse(SMALL, &[from_blocks]).unwrap();
    for (wider, name) in [
        ("student.0.model.d_model=128", "d_model"),
        ("student.0.model.d_ffn=2048", "d_ffn"),
    ] {
        let text = message(SMALL, &[from_blocks, wider]);
        assert!(
            text.contains(name) && text.contains("student.0.init"),
            "{text}"
        );
    }
}

/// Each names what contradicts it.
#[test]
fn combinations_that_make_no_sense_are_refused_in_words() {
    for (sets, expected) in [
        (
            &["distill.epochs=0", "finetune.epochs=0"][..],
            "would stay as random as it begins",
        ),
        (
            &["distill.loss.kl_spike_frames=2", "distill.loss.kl=0.0"],
            "set distill.loss.kl above 0",
        ),
        (
            &[
                "distill.loss.kl_spike_frames=2",
                "distill.loss.kl_blank_weight=0.1",
            ],
            "contradicts distill.loss.kl_blank_weight",
        ),
        (
            &["distill.loss.feature_layers=2", "distill.loss.feature=0.0"],
            "set distill.loss.feature above 0",
        ),
        (
            &["student.1.distill={epochs=2}"],
            "contradicts cut_from and exit_of",
        ),
        (
            &["student.1.cut_from=", "student.1.exit_of=small"],
            "needs ctc.intermediate_weight above 0 where \"small\"",
        ),
        (
            &["student.1.exit_of=small"],
            "`student.1.cut_from` contradicts exit_of",
        ),
        (
            &[
                "student.1.cut_from=",
                "student.1.exit_of=small",
                "finetune.ctc.intermediate_weight=0.3",
                "student.1.finetune={epochs=2}",
            ],
            "`student.1.finetune` contradicts exit_of",
        ),
        (
            &[
                "student.0.distill={epochs=2, ctc={consistency_weight=0.2}}",
                "distill.loss.ctc=0.0",
            ],
            "`student.0.distill.ctc.consistency_weight`",
        ),
        (
            &["student.0.model.phone_head=true"],
            "`student.0.model.phone_head` needs to know how words are pronounced",
        ),
        (
            &["finetune.ctc.phone_weight=1.5"],
            "`finetune.ctc.phone_weight` is 1.5: expected 0 to 1",
        ),
        (
            &[
                "tokens.pronunciations=lexicon.txt",
                "student.1.cut_from=",
                "student.1.exit_of=small",
                "finetune.ctc.intermediate_weight=0.3",
                "student.1.model.phone_head=true",
            ],
            "`student.1.model.phone_head` contradicts exit_of",
        ),
    ] {
        let text = message(SMALL, sets);
        assert!(text.contains(expected), "{sets:?}: {text}");
    }
    for learnt in [
        &["tokens.pronunciations=lexicon.txt"][..],
        &[
            "distill.ctc.phone_weight=0.0",
            "finetune.ctc.phone_weight=0.0",
        ],
    ] {
        let sets = [&["student.0.model.phone_head=true"], learnt].concat();
        assert!(parse(SMALL, &sets).is_ok(), "{learnt:?}");
    }
    let nested = [
        "student.1.cut_from=",
        "student.1.exit_of=small",
        "finetune.ctc.intermediate_weight=0.3",
    ];
    let recipe = parse(SMALL, &nested).unwrap();
    let exits = recipe.exits_of("small").map(|exit| &exit.name);
    assert!(exits.eq([&recipe.students[1].name]));
    assert_eq!(recipe.whole_students().count(), 1);
}

#[test]
fn a_star_sets_a_key_of_every_student() {
    let recipe = parse(SMALL, &["student.*.model.dropout=0.25"]).unwrap();
    assert!(recipe.students.iter().all(|s| s.model.dropout == 0.25));
    assert!(recipe.students.len() > 1);
}

#[test]
fn a_teacher_is_needed_by_those_that_start_from_it_or_learn_from_it() {
    let needs = |sets: &[&str]| parse(SMALL, sets).unwrap().needs_teacher();
    assert!(needs(&[]));
    assert!(!needs(&["distill.epochs=0"]));
    assert!(needs(&[
        "distill.epochs=0",
        "student.0.init=teacher-blocks"
    ]));
    assert!(needs(&["distill.epochs=0", "student.0.distill={epochs=1}"]));
    assert!(needs(&["distill.epochs=0", "student=[]"]));
}

#![allow(clippy::unwrap_used)]

mod report;

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;
use crate::{
    config::Phase,
    costs::{Cost, PhaseCosts},
};

const STUDY: &str = r#"
name = "pair"
seeds = [1, 2]
base = "BASE"

[overrides]
compute.shards = 1
data.dev = "dev.jsonl"

[[teacher]]
name = "big"
[teacher.overrides]
teach.epochs = 12
teacher.model.d_ffn = 48

[[arm]]
name = "long"
role = "baseline"
equal_compute = { of = "two-steps", rate = "short", epochs = "teach.epochs" }
[arm.overrides]
student = []

[[arm]]
name = "short"
role = "baseline"
[arm.overrides]
teach.epochs = 4
student = []

[[arm]]
name = "two-steps"
role = "ours"
teacher = "big"
sizes = ["small", "tiny"]
[arm.overrides]
student.small.init = "random"
distill.epochs = 8

[[arm]]
name = "longer"
role = "ours"
start = "two-steps"
teacher = "big"
seeds = [2]
[arm.overrides]
distill.epochs = 1
"#;

fn base() -> String {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    recipes.join("smallest.toml").display().to_string()
}

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = text.replace("BASE", &base());
    fs::write(folder.path().join("study.toml"), text).unwrap();
    folder
}

fn open(folder: &TempDir) -> Result<Study, StudyError> {
    Study::open(&folder.path().join("study.toml"), None)
}

fn record(study: &Study, index: usize, costs: &[(Phase, f64)]) -> Record {
    let recipe = study.cell_recipe(index).unwrap();
    let costs = costs.iter().map(|&(phase, cpu_secs)| {
        let training = Cost {
            wall_secs: cpu_secs / 2.0,
            cpu_secs,
        };
        let validation = Cost {
            wall_secs: 1.0,
            cpu_secs: 1.0,
        };
        let costs = PhaseCosts {
            training,
            validation,
            ..PhaseCosts::default()
        };
        (phase, costs)
    });
    Record {
        cell: study.cells[index].id.clone(),
        seed: study.cells[index].seed,
        fingerprint: recipe.fingerprint,
        recipe: recipe.stated,
        budget: recipe.budget,
        environment: RecordedOn {
            fledge: "0".into(),
            device: "cpu".into(),
            os: "linux".into(),
            arch: "x86_64".into(),
            processor: "one".into(),
            cores: 2,
        },
        training_audio_secs: 60.0,
        manifests_sha256: vec![],
        costs: costs.collect(),
        tests_sha256: [("starter".to_owned(), String::new())].into(),
        networks: vec![],
    }
}

fn store(study: &Study, id: &str, costs: &[(Phase, f64)]) {
    let index = study.find(id).unwrap();
    let record = record(study, index, costs);
    record.write(&study.record_path(index)).unwrap();
}

#[test]
fn cells_stand_behind_those_that_they_need_seed_by_seed() {
    let study = open(&folder(STUDY)).unwrap();
    let ids: Vec<&str> = study.cells.iter().map(|cell| cell.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "teacher-big.seed1",
            "two-steps.seed1",
            "short.seed1",
            "long.seed1",
            "teacher-big.seed2",
            "two-steps.seed2",
            "short.seed2",
            "long.seed2",
            "longer.seed2",
        ]
    );
    assert_eq!(study.cells[3].costs_of, [0, 1, 2]);
    assert_eq!(study.cells[8].weights_of, [4, 5]);
}

#[test]
fn the_recipe_of_a_cell_has_what_study_teacher_and_arm_say() {
    let study = open(&folder(STUDY)).unwrap();
    let recipe = study.cell_recipe(1).unwrap().recipe;
    let names: Vec<&str> = recipe.students.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["small", "tiny"]);
    assert_eq!((recipe.seed, recipe.distill.epochs), (1, 8));
    assert_eq!(recipe.teacher.model.d_ffn, 48);
    // A path of the study file counts from its folder; its teacher is that of the same seed.
    assert_eq!(recipe.data.dev, Some(study.folder().join("dev.jsonl")));
    assert_eq!(recipe.teacher.from, Some(study.model_folder(0, "teacher")));
    let longer = study.cell_recipe(8).unwrap().recipe;
    let starts: Vec<_> = longer
        .students
        .iter()
        .map(|s| s.init_from.clone())
        .collect();
    assert_eq!(starts[1], Some(study.model_folder(5, "small")));
}

#[test]
fn a_fingerprint_follows_what_is_learned_and_not_where_it_lies() {
    let prints = |text: &str| {
        let folder = folder(text);
        let study = open(&folder).unwrap();
        let prints = (0..3).map(|i| study.cell_recipe(i).unwrap().fingerprint);
        prints.collect::<Vec<_>>()
    };
    let original = prints(STUDY);
    assert_eq!(original, prints(STUDY));
    assert_eq!(original, prints(&STUDY.replace("\"pair\"", "\"other\"")));
    let teacher = prints(&STUDY.replace("teach.epochs = 12", "teach.epochs = 13"));
    assert!(original[0] != teacher[0] && original[1] != teacher[1] && original[2] == teacher[2]);
    let arm = prints(&STUDY.replace("distill.epochs = 8", "distill.epochs = 9"));
    assert!(original[0] == arm[0] && original[1] != arm[1] && original[2] == arm[2]);
    let size = prints(&STUDY.replace("[\"small\", \"tiny\"]", "[\"small\"]"));
    assert!(original[0] == size[0] && original[1] != size[1]);
}

#[test]
fn equal_compute_gets_the_epochs_that_cost_no_less_than_all_of_the_other_arm() {
    let folder = folder(STUDY);
    let study = open(&folder).unwrap();
    let Ok(CellState::Waiting(missing)) = study.state(3) else {
        panic!("its epochs follow from costs");
    };
    assert_eq!(missing, "short.seed1, teacher-big.seed1, two-steps.seed1");
    store(&study, "teacher-big.seed1", &[(Phase::Teach, 100.0)]);
    store(
        &study,
        "two-steps.seed1",
        &[(Phase::Distill, 150.0), (Phase::Finetune, 52.0)],
    );
    // 4 epochs: 5 s each.
    store(&study, "short.seed1", &[(Phase::Teach, 20.0)]);
    let cell = study.cell_recipe(3).unwrap();
    let budget = cell.budget.unwrap();
    assert_eq!((budget.cpu_secs, budget.cpu_secs_per_epoch), (302.0, 5.0));
    assert_eq!(budget.fixed_cpu_secs, 0.0);
    assert_eq!((budget.epochs, cell.recipe.teach.epochs), (61, 61));
    assert_eq!(budget.equal_to, ["teacher-big.seed1", "two-steps.seed1"]);
}

#[test]
fn a_record_counts_until_the_study_asks_for_something_else() {
    let folder = folder(STUDY);
    let study = open(&folder).unwrap();
    store(&study, "two-steps.seed1", &[(Phase::Distill, 10.0)]);
    assert!(matches!(study.state(1), Ok(CellState::Done(_))));
    assert!(matches!(study.state(0), Ok(CellState::ToRun)));
    let path = folder.path().join("study.toml");
    let text = fs::read_to_string(&path).unwrap();
    let more_tests = text.clone() + "\n[tests]\nstarter = \"a.jsonl\"\nother = \"b.jsonl\"\n";
    fs::write(&path, more_tests).unwrap();
    let study = open(&folder).unwrap();
    assert!(matches!(study.state(1), Ok(CellState::Unmeasured(_))));
    fs::write(
        &path,
        text.replace("distill.epochs = 8", "distill.epochs = 9"),
    )
    .unwrap();
    let study = open(&folder).unwrap();
    assert!(matches!(study.state(1), Ok(CellState::Outdated)));
    assert!(study.valid_record(1).unwrap().is_none());
    fs::write(folder.path().join("cells/two-steps.seed1.json"), "{}").unwrap();
    assert!(matches!(study.state(1), Err(StudyError::Content { .. })));
}

#[test]
fn estimates_come_from_records_and_say_so() {
    let folder = folder(STUDY);
    let study = open(&folder).unwrap();
    let basis = |study: &Study| -> Vec<Basis> {
        let estimates = study.estimates().unwrap().into_iter();
        estimates.map(|estimate| estimate.basis).collect()
    };
    assert_eq!(
        basis(&study)[..4],
        [
            Basis::DefaultRate,
            Basis::DefaultRate,
            Basis::DefaultRate,
            Basis::Budget
        ]
    );
    store(&study, "teacher-big.seed1", &[(Phase::Teach, 100.0)]);
    let found = basis(&study);
    assert_eq!(found[0], Basis::Measured);
    assert_eq!(found[1], Basis::Rate);
    assert_eq!(found[4], Basis::OtherSeed);
    let estimates = study.estimates().unwrap();
    // Validation is a part of the cost.
    assert_eq!(estimates[4].cpu_secs, Some(101.0));
    let sum = estimates[0].cpu_secs.unwrap() + estimates[1].cpu_secs.unwrap();
    assert_eq!(estimates[3].cpu_secs, Some(sum));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let message = |from: &str, to: &str| {
        assert!(STUDY.contains(from), "{from}");
        let folder = folder(&STUDY.replacen(from, to, 1));
        crate::fault::error_line(&open(&folder).unwrap_err())
    };
    for (from, to, wanted) in [
        (
            "distill.epochs = 8",
            "distill.epoch = 8",
            "arm \"two-steps\": --set distill.epoch=8: unknown key `distill.epoch`: did you mean `epochs`?",
        ),
        (
            "distill.epochs = 8",
            "distill.epochs = \"x\"",
            "`distill.epochs` is text, expected a whole number",
        ),
        (
            "seeds = [2]",
            "seeds = [3]",
            "arm \"longer\": seed 3 is none of the study's",
        ),
        (
            "\"tiny\"]",
            "\"minute\"]",
            "the recipe has no student \"minute\" (it has medium, small, tiny)",
        ),
        (
            "teacher = \"big\"",
            "teacher = \"huge\"",
            "teacher \"huge\" is no [[teacher]]",
        ),
        (
            "start = \"two-steps\"",
            "start = \"none\"",
            "arm \"longer\": \"none\" is no arm",
        ),
        (
            "start = \"two-steps\"",
            "start = \"longer\"",
            "arm \"longer\": it needs itself",
        ),
        (
            "compute.shards = 1",
            "compute.fused = true",
            "state it under [overrides]",
        ),
        (
            "name = \"long\"",
            "name = \"Long arm\"",
            "a name has 1 to 60 of a-z, 0-9, - and _",
        ),
        (
            "role = \"ours\"",
            "role = \"mine\"",
            "line 32: unknown variant `mine`",
        ),
        (
            "name = \"long\"",
            "name = \"short\"",
            "arm: short is there twice",
        ),
    ] {
        let message = message(from, to);
        assert!(message.contains(wanted), "{wanted:?} is not in {message:?}");
    }
}

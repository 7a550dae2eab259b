//! Results of records whose figures were computed by hand.

use shared_model::metrics::ErrorCounts;

use super::super::report::{Results, Side};
use super::*;
use crate::costs::NetworkCosts;

const STUDY: &str = r#"
name = "by-hand"
seeds = [1, 2]
base = "BASE"
overrides = { compute.shards = 1 }

[tests]
words = "none.jsonl"

[[teacher]]
name = "big"

[[arm]]
name = "alone"
label = "each alone"
role = "baseline"
sizes = ["small", "tiny"]
seeds = [1]

[[arm]]
name = "two-steps"
role = "ours"
teacher = "big"
sizes = ["small", "tiny"]
"#;

fn phase(cpu_secs: f64, networks: &[(&str, f64)]) -> PhaseCosts {
    let cost = |cpu_secs| Cost {
        wall_secs: cpu_secs,
        cpu_secs,
    };
    let networks = networks.iter().map(|(name, own)| {
        let costs = NetworkCosts {
            training: cost(*own),
            ..NetworkCosts::default()
        };
        ((*name).to_owned(), costs)
    });
    PhaseCosts {
        training: cost(cpu_secs),
        validation: cost(1.0),
        networks: networks.collect(),
        ..PhaseCosts::default()
    }
}

fn network(name: &str, errors: [usize; 2], dev: &[(Phase, usize, f64, f64)]) -> NetworkRecord {
    let words = ErrorCounts {
        reference_len: 10,
        substitutions: errors.iter().sum(),
        ..ErrorCounts::default()
    };
    let test = TestRecord {
        words,
        characters: words,
        ctc_loss: Some(1.5),
        errors: errors.to_vec(),
    };
    NetworkRecord {
        name: name.into(),
        parameters: 1000,
        n_layers: 1,
        d_model: 8,
        dev: dev
            .iter()
            .map(|&(phase, epoch, phase_cpu_secs, wer)| DevPoint {
                phase,
                epoch,
                is_average: false,
                loss: None,
                wer,
                cer: wer,
                phase_cpu_secs,
                network_cpu_secs: 0.0,
            })
            .collect(),
        tests: [("words".to_owned(), test)].into(),
    }
}

/// Stores the records of seed 1, and of no other.
fn store_all(study: &Study) {
    let known = KnownTest {
        utterances: [("a", 4), ("b", 6)]
            .map(|(id, words)| KnownUtterance {
                id: id.into(),
                speaker: Some(format!("speaker-{id}")),
                words,
            })
            .to_vec(),
    };
    record::write_json(&study.test_path("words"), &known).unwrap();
    let store = |id: &str, costs: Vec<(Phase, PhaseCosts)>, networks: Vec<NetworkRecord>| {
        let index = study.find(id).unwrap();
        let mut record = record(study, index, &[]);
        record.costs = costs.into_iter().collect();
        record.networks = networks;
        record.tests_sha256 = [("words".to_owned(), known.sha256())].into();
        record.write(&study.record_path(index)).unwrap();
    };
    let tuned = Phase::Finetune;
    let teacher = phase(60.0, &[("teacher", 55.0)]);
    store(
        "teacher-big.seed1",
        vec![(Phase::Teach, teacher)],
        vec![network("teacher", [0, 1], &[])],
    );
    let dev = |wers: [f64; 4]| {
        let points = wers.into_iter().enumerate();
        points
            .map(|(epoch, wer)| (tuned, epoch + 1, 25.0 * (epoch + 1) as f64, wer))
            .collect::<Vec<_>>()
    };
    store(
        "alone.seed1",
        vec![(tuned, phase(100.0, &[("small", 50.0), ("tiny", 30.0)]))],
        vec![
            network("small", [1, 1], &dev([0.5, 0.4, 0.3, 0.2])),
            network("tiny", [2, 1], &dev([0.6, 0.5, 0.4, 0.3])),
        ],
    );
    let dev = |wers: [f64; 3]| {
        [
            (Phase::Distill, 2, 40.0, wers[0]),
            (tuned, 1, 10.0, wers[1]),
            (tuned, 2, 20.0, wers[2]),
        ]
    };
    store(
        "two-steps.seed1",
        vec![
            (
                Phase::Distill,
                phase(40.0, &[("small", 16.0), ("tiny", 8.0)]),
            ),
            (tuned, phase(20.0, &[("small", 10.0), ("tiny", 6.0)])),
        ],
        vec![
            network("small", [0, 1], &dev([0.35, 0.2, 0.15])),
            network("tiny", [2, 1], &dev([0.55, 0.35, 0.3])),
        ],
    );
}

fn results() -> (TempDir, Study, Results) {
    let folder = folder(STUDY);
    let study = open(&folder).unwrap();
    store_all(&study);
    let results = study.results().unwrap();
    (folder, study, results)
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-9, "{got} is not {want}");
}

#[test]
fn error_rates_and_differences_are_those_of_the_records() {
    let (_folder, _study, results) = results();
    assert_eq!(results.missing, ["teacher-big.seed2", "two-steps.seed2"]);
    assert_eq!(results.reference.as_deref(), Some("alone"));
    let sides: Vec<Side> = results.arms.iter().map(|arm| arm.side).collect();
    assert_eq!(sides, [Side::Teacher, Side::Baseline, Side::Ours]);
    close(results.arms[1].networks[0].pooled.wer, 0.2);
    close(results.arms[2].networks[0].pooled.wer, 0.1);
    assert_eq!(results.tests[0].speakers, 2);
    let small = &results.comparisons[0];
    assert_eq!(
        (small.network.as_str(), small.baseline.as_str()),
        ("small", "alone")
    );
    close(small.by_utterance.difference, -0.1);
    close(small.by_seed[0], -0.1);
    // Equal errors in every utterance.
    close(results.comparisons[1].by_utterance.p_value, 1.0);
}

#[test]
fn costs_are_whole_and_by_student_and_add_up() {
    let (_folder, _study, results) = results();
    let costs = &results.arms[2].costs;
    close(costs.shared_teacher, 60.0);
    close(costs.training, 120.0);
    close(costs.validation, 3.0);
    // The teacher's 60, 16 of step 1 and 4 of step 2.
    close(costs.shared, 80.0);
    let students: Vec<f64> = costs.students.iter().map(|s| s.attributed).collect();
    close(students[0], 26.0 + 40.0);
    close(students[1], 14.0 + 40.0);
}

#[test]
fn a_cell_of_a_slower_machine_costs_what_its_epochs_cost_in_another() {
    let counted = "\n[costs_as]\n\"two-steps.seed2\" = \"two-steps.seed1\"\n";
    let folder = folder(&format!("{STUDY}{counted}"));
    let study = open(&folder).unwrap();
    store_all(&study);
    let copy = |from: &str, to: &str| -> Record {
        let record = study.valid_record(study.find(from).unwrap());
        let index = study.find(to).unwrap();
        Record {
            cell: to.into(),
            seed: 2,
            fingerprint: study.cell_recipe(index).unwrap().fingerprint,
            ..record.unwrap().unwrap()
        }
    };
    let write = |record: &Record| {
        let index = study.find(&record.cell).unwrap();
        record.write(&study.record_path(index)).unwrap();
    };
    write(&copy("teacher-big.seed1", "teacher-big.seed2"));
    // Three times 40 s for two epochs of step 1; 80 s for four of step 2, where two took 20 s.
    let mut slow = copy("two-steps.seed1", "two-steps.seed2");
    slow.costs = [
        (
            Phase::Distill,
            phase(120.0, &[("small", 48.0), ("tiny", 24.0)]),
        ),
        (
            Phase::Finetune,
            phase(80.0, &[("small", 40.0), ("tiny", 24.0)]),
        ),
    ]
    .into();
    for network in &mut slow.networks {
        network.dev[0].phase_cpu_secs = 120.0;
        network.dev.last_mut().unwrap().epoch = 4;
        network.dev.last_mut().unwrap().phase_cpu_secs = 80.0;
    }
    write(&slow);

    let results = study.results().unwrap();
    let [counted] = results.counted_as.as_slice() else {
        panic!("one cell is counted as another");
    };
    assert_eq!(
        (counted.cell.as_str(), counted.epochs_of.as_str()),
        ("two-steps.seed2", "two-steps.seed1")
    );
    close(counted.measured_over_counted, 200.0 / 80.0);
    let costs = &results.arms[2].costs;
    // 60 of each teacher, 40 of each step 1, 20 and 40 of step 2.
    close(costs.training, (120.0 + 140.0) / 2.0);
    close(costs.validation, (3.0 + 1.0 + 1.0 / 3.0 + 0.5) / 2.0);
    close(costs.students[0].own, (26.0 + 16.0 + 20.0) / 2.0);
    let index = study.find("two-steps.seed2").unwrap();
    let record = study.valid_record(index).unwrap().unwrap();
    let dev = &record.networks[0].dev;
    close(dev[0].phase_cpu_secs, 40.0);
    close(dev.last().unwrap().phase_cpu_secs, 40.0);
    // What was measured stays in the record.
    assert_eq!(Record::read(&study.record_path(index)).unwrap(), Some(slow));
}

#[test]
fn costs_that_cannot_be_counted_are_refused_in_words() {
    let refused = |counted: &str| {
        let folder = folder(&format!("{STUDY}\n[costs_as]\n{counted}"));
        let results = open(&folder).and_then(|study| {
            store_all(&study);
            study.results()
        });
        results.unwrap_err().to_string()
    };
    assert!(refused("\"two-steps.seed9\" = \"two-steps.seed1\"").contains("two-steps.seed9"));
    assert!(refused("\"two-steps.seed1\" = \"nothing\"").contains("nothing"));
    let chain =
        refused("\"two-steps.seed1\" = \"two-steps.seed2\"\n\"two-steps.seed2\" = \"alone.seed1\"");
    assert!(chain.contains("counted as another's"), "{chain}");
    let missing = refused("\"two-steps.seed1\" = \"two-steps.seed2\"");
    assert!(missing.contains("no record yet"), "{missing}");
    let other_phase = refused("\"two-steps.seed1\" = \"alone.seed1\"");
    assert!(
        other_phase.contains("no epoch of phase distill"),
        "{other_phase}"
    );
}

#[test]
fn a_network_with_exits_is_shared_by_them() {
    let (_folder, study, _results) = results();
    let index = study.find("alone.seed1").unwrap();
    let mut record = study.valid_record(index).unwrap().unwrap();
    // As if "tiny" were the first blocks of "small".
    record
        .recipe
        .insert("student.1.exit_of".into(), "\"small\"".into());
    let costs = record.costs.get_mut(&Phase::Finetune).unwrap();
    costs.networks.remove("tiny");
    record.networks[1].dev.clear();
    record.write(&study.record_path(index)).unwrap();
    let results = study.results().unwrap();
    let costs = &results.arms[1].costs;
    close(costs.shared, 100.0);
    let students: Vec<f64> = costs.students.iter().map(|s| s.attributed).collect();
    assert_eq!(students, [50.0, 50.0]);
}

#[test]
fn speed_ups_are_counted_both_ways() {
    let (_folder, _study, results) = results();
    let [speed_up] = results.speed_ups.as_slice() else {
        panic!("one arm beside the reference");
    };
    let [small, tiny] = speed_up.networks.as_slice() else {
        panic!("two networks");
    };
    // Alone: 50 + 20 / 2. Reached after half of step 2: 16 + 5 of its own, 60 + 16 + 2 shared.
    close(small.target_wer, 0.2);
    close(small.in_full.unwrap(), 60.0 / (21.0 + 78.0 / 2.0));
    close(small.last_phase.unwrap(), 60.0 / (5.0 + 2.0 / 2.0));
    // Reached at the end.
    close(tiny.in_full.unwrap(), 40.0 / 54.0);
    close(tiny.last_phase.unwrap(), 40.0 / 8.0);
    close(speed_up.whole.unwrap(), 100.0 / 120.0);
    // 80 + 20 k against 20 + 40 k.
    assert_eq!(speed_up.break_even, Some(3));
    // 158 + 35 k against 40 + 80 k.
    assert_eq!(speed_up.break_even_at_equal_wer, Some(3));
}

#[test]
fn the_same_records_give_the_same_bytes_and_pages_say_what_is_missing() {
    let (folder, study, _results) = results();
    let read = || -> Vec<(String, Vec<u8>)> {
        let report = study.report().unwrap();
        let files = report.files.iter();
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        files
            .map(|path| (name(path), fs::read(path).unwrap()))
            .collect()
    };
    let first = read();
    assert_eq!(first, read());
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for page in ["report.md", "report.html"] {
        assert!(
            text(page).contains("teacher-big.seed2, two-steps.seed2"),
            "{page}"
        );
        assert!(text(page).contains("each alone"), "{page}");
    }
    // Figures of the pages come from results.json and nothing else.
    let mut computed = serde_json::to_string_pretty(&study.results().unwrap()).unwrap();
    computed.push('\n');
    assert_eq!(text("results.json"), computed);
    assert!(serde_json::from_str::<Results>(&computed).is_ok());
}

#[test]
fn records_of_other_utterances_are_refused() {
    let (folder, study, _results) = results();
    let path = folder.path().join("tests/words.json");
    let changed = fs::read_to_string(&path).unwrap().replace("\"a\"", "\"c\"");
    fs::write(&path, changed).unwrap();
    assert!(matches!(study.results(), Err(StudyError::OtherTest { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(study.results(), Err(StudyError::Content { .. })));
}

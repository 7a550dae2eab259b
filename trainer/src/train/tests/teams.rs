//! Several processes give what one gives.

use super::*;
use crate::cluster::threads::team_of;

/// A recipe of five shards: batches of four utterances never fill them.
fn five_shards(overrides: &[&str]) -> Recipe {
    let mut all = vec!["compute.shards=5", "validation.every_epochs=2"];
    all.extend(overrides);
    recipe(&all)
}

type Ended = (Result<TrainedFamily, TrainError>, Vec<TrainEvent>);

/// A whole run by `size` processes; what each ends with.
fn run_by(size: usize, folder: &Path, recipe: &Recipe, stop_after: Option<usize>) -> Vec<Ended> {
    team_of(size, |team| {
        // Process 0 is told to stop, the others hear of it from there.
        let stop_after = stop_after.filter(|_| team.is_first());
        let mut source = ToySource::new();
        with_team(team, folder, recipe, &mut source, stop_after, run)
    })
}

fn all_bits(family: &TrainedFamily) -> Vec<Vec<(String, Vec<u32>)>> {
    let networks = family.teacher.iter().chain(&family.students);
    networks.map(|network| bits(&network.weights)).collect()
}

/// What is told of validations: error rates and losses.
fn validations(events: &[TrainEvent]) -> Vec<(String, u64, u64)> {
    let of_event = |event: &TrainEvent| match event {
        TrainEvent::Validation {
            network, loss, wer, ..
        } => Some((network.clone(), loss.to_bits(), wer.to_bits())),
        _ => None,
    };
    events.iter().filter_map(of_event).collect()
}

#[test]
fn any_number_of_processes_ends_bit_for_bit_like_one() {
    for overrides in [
        &["teach.optim.accumulate=2", "distill.loss.clip=0"][..],
        &[
            "distill.loss.clip=0",
            "teach.optim.rule=muon",
            "distill.optim.rule=muon",
            "distill.ctc.consistency_weight=0.2",
            "student.wide.prune_share=0.5",
        ],
        // What compares the utterances of a whole batch, of two views and one.
        &[
            "distill.loss.clip=0.5",
            "distill.ctc.consistency_weight=0.2",
            "distill.optim.accumulate=2",
        ],
        &["distill.loss.preset=faithful"],
        // Whose statistics are a whole batch's: all networks, and some of those of a phase.
        &[
            "distill.loss.clip=0.5",
            "teacher.model.norm=batch",
            "student.wide.model.norm=batch",
            "student.cut.model.norm=batch",
            "student.narrow.model.norm=batch",
            "finetune.optim.accumulate=3",
        ],
        &[
            "distill.loss.clip=0.5",
            "distill.ctc.consistency_weight=0.2",
            "student.narrow.model.norm=batch",
            "teach.optim.rule=muon",
        ],
    ] {
        let recipe = five_shards(overrides);
        let folder = tempfile::tempdir().unwrap();
        let (want, told) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
        for size in [2, 3, 5] {
            let folder = tempfile::tempdir().unwrap();
            let ended = run_by(size, folder.path(), &recipe, None);
            for (rank, (family, _)) in ended.iter().enumerate() {
                let family = family.as_ref().unwrap();
                assert!(
                    all_bits(family) == all_bits(&want),
                    "process {rank} of {size}"
                );
            }
            assert_eq!(validations(&ended[0].1), validations(&told));
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_processes() {
    let recipe = five_shards(&[
        "distill.loss.clip=0.5",
        "teach.optim.rule=muon",
        "student.narrow.model.norm=batch",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (want, _) = with_context(folder.path(), &recipe, None, |c| run(c).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut stops = 0;
    for size in [2, 1, 4, 3].into_iter().cycle() {
        let ended = run_by(size, folder.path(), &recipe, Some(7));
        assert!(stops < 40);
        if let Ok(family) = &ended[0].0 {
            assert!(all_bits(family) == all_bits(&want));
            break;
        }
        for (result, _) in ended {
            assert!(
                matches!(result, Err(TrainError::Interrupted { .. })),
                "{result:?}"
            );
        }
        stops += 1;
    }
    assert!(stops >= 4, "{stops}");
    let run = RunFolder::open(folder.path(), &recipe, "", false).unwrap();
    let costs = run.costs().unwrap();
    assert!(costs[&Phase::Teach].networks["teacher"].training.cpu_secs > 0.0);
}

#[test]
fn what_processes_cannot_share_is_refused_in_words() {
    let refused = |size: usize, overrides: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let ended = run_by(size, folder.path(), &five_shards(overrides), None);
        let errors = ended.into_iter().map(|(result, _)| result.unwrap_err());
        let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        errors[0].clone()
    };
    let error = refused(6, &["distill.loss.clip=0"]);
    assert!(
        error.contains("at most 5") && error.contains("compute.shards = 6"),
        "{error}"
    );
}

#[test]
fn networks_that_only_one_process_computes_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = five_shards(&["teacher.model.norm=batch", "student=[]"]);
    let warned = |size: usize| -> Vec<String> {
        let ended = run_by(size, folder.path(), &recipe, None);
        let messages = ended[0].1.iter().filter_map(|event| match event {
            TrainEvent::Warning { message } if message.contains("batch norms") => {
                Some(message.clone())
            }
            _ => None,
        });
        messages.collect()
    };
    let warnings = warned(2);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("each of teacher is computed by one process"));
}

#[test]
fn small_shards_are_warned_of_once_a_phase_and_times_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = five_shards(&["distill.loss.clip=0", "student=[]"]);
    let ended = run_by(2, folder.path(), &recipe, None);
    let warnings = ended[0].1.iter().filter_map(|event| match event {
        TrainEvent::Warning { message } if message.contains("utterances") => Some(message),
        _ => None,
    });
    let warnings: Vec<&String> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // Four utterances in five shards.
    assert!(warnings[0].contains("0.8 utterances") && warnings[0].contains("10 times"));
    let is_told = |event: &TrainEvent| match event {
        TrainEvent::Step { team, .. } => Some(team.is_some_and(|times| times.compute_ms > 0.0)),
        _ => None,
    };
    assert!(ended[0].1.iter().filter_map(is_told).all(|told| told));
}

//! Runs that stop and go on, and what they cost.

use super::*;

#[test]
fn stopped_and_continued_runs_end_bit_for_bit_like_straight_ones() {
    let mut recipe = recipe(&["validation.every_epochs=2", "teach.optim.accumulate=2"]);
    // An epoch with batches of two kinds.
    recipe.students[1].finetune = Some(TrainingConfig {
        gentle_epochs: 1,
        ..recipe.finetune.clone()
    });
    let straight = tempfile::tempdir().unwrap();
    let (want, _) = with_context(straight.path(), &recipe, None, |c| run(c).unwrap());

    let stopped = tempfile::tempdir().unwrap();
    let mut interruptions = 0;
    let got = loop {
        let (result, _) = with_context(stopped.path(), &recipe, Some(2), run);
        match result {
            Ok(family) => break family,
            Err(TrainError::Interrupted { .. }) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(interruptions < 40);
    };
    assert!(interruptions >= 5, "{interruptions}");
    let of_teacher = |family: &TrainedFamily| bits(&family.teacher.as_ref().unwrap().weights);
    assert_eq!(of_teacher(&got), of_teacher(&want));
    for (a, b) in got.students.iter().zip(&want.students) {
        assert_eq!(bits(&a.weights), bits(&b.weights), "{}", a.name);
    }
}

#[test]
fn costs_are_kept_over_stops_and_validation_stays_apart() {
    let recipe = recipe(&["student=[]"]);
    let folder = tempfile::tempdir().unwrap();
    let costs = |folder: &Path| {
        let run = RunFolder::open(folder, &recipe, "", false).unwrap();
        run.costs().unwrap().remove(&Phase::Teach)
    };
    let of_teacher = |costs: &PhaseCosts| {
        let teacher = costs.networks.get(TEACHER);
        teacher.map(|teacher| teacher.training).unwrap_or_default()
    };
    assert_eq!(costs(folder.path()), None);
    let mut so_far = PhaseCosts::default();
    let mut stops = 0;
    loop {
        let (result, _) = with_context(folder.path(), &recipe, Some(3), teach);
        let now = costs(folder.path()).unwrap();
        for (before, now) in [
            (so_far.training, now.training),
            (of_teacher(&so_far), of_teacher(&now)),
        ] {
            assert!(now.wall_secs > before.wall_secs, "{before:?} {now:?}");
            assert!(now.cpu_secs > before.cpu_secs, "{before:?} {now:?}");
        }
        assert!(now.validation.wall_secs >= so_far.validation.wall_secs);
        so_far = now;
        match result {
            Ok(_) => break,
            Err(TrainError::Interrupted { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stops >= 4, "{stops}");
    // A part of the whole, and none of it twice.
    let own = so_far.networks["teacher"];
    assert!(so_far.validation.cpu_secs >= own.validation.cpu_secs);
    assert!(own.validation.cpu_secs > 0.0);
    assert!(so_far.training.cpu_secs >= own.training.cpu_secs);
    assert_eq!(so_far.teacher_cpu_secs, 0.0);
}

#[test]
fn the_teachers_pass_and_each_student_have_costs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = with_context(folder.path(), &recipe(&[]), None, |c| run(c).unwrap());
    let told = events.iter().filter_map(|event| match event {
        TrainEvent::Finished { phase, costs } => Some((phase.as_str(), costs)),
        _ => None,
    });
    let told: BTreeMap<&str, &PhaseCosts> = told.collect();
    let names = |phase: &str| told[phase].networks.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names("teach"), ["teacher"]);
    assert_eq!(names("distill"), ["narrow", "wide"]);
    assert_eq!(names("finetune"), ["cut", "narrow", "wide"]);
    assert!(told["distill"].teacher_cpu_secs > 0.0);
    assert_eq!(told["finetune"].teacher_cpu_secs, 0.0);
    let of = |name: &str| told["distill"].networks[name].training.cpu_secs;
    assert!(of("wide") > of("narrow"));
}

#[test]
fn work_after_the_last_checkpoint_is_done_again_the_same_way() {
    // A killed process leaves some checkpoint and nothing else: take the newer ones away.
    let recipe = recipe(&["checkpoint.keep_last=100", "student=[]"]);
    let folder = tempfile::tempdir().unwrap();
    let (want, _) = with_context(folder.path(), &recipe, None, |c| teach(c).unwrap());
    let checkpoints = folder.path().join("checkpoints/teach");
    let mut all: Vec<_> = std::fs::read_dir(&checkpoints)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    all.sort();
    assert!(all.len() >= 6, "{all:?}");
    for newer in &all[2..] {
        std::fs::remove_dir_all(newer).unwrap();
    }
    std::fs::remove_dir_all(folder.path().join("weights")).unwrap();
    let (got, _) = with_context(folder.path(), &recipe, None, |c| teach(c).unwrap());
    assert_eq!(bits(&got.weights), bits(&want.weights));
}

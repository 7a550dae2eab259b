//! Being killed at any moment costs time and nothing else.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tests::{fledge, fledge_command, repository, text, weight_files};

fn teach(run: &Path) -> Vec<String> {
    let recipe = repository().join("recipes/quick.toml");
    let mut arguments = vec!["teach".to_owned(), text(&recipe).to_owned()];
    arguments.extend(["--run", text(run), "--device", "cpu"].map(str::to_owned));
    for set in [
        "data.limit=60",
        "data.batch_seconds=20",
        "teach.epochs=3",
        "teach.optim.warmup_steps=4",
        "teacher.model.n_layers=1",
        "teacher.model.d_model=32",
        "teacher.model.d_ffn=64",
        // Wider than this teacher: its blocks are no start for them.
        "student.medium.init=random",
        "student.small.init=random",
        "student.tiny.init=random",
        "checkpoint.every_steps=2",
        "validation.every_epochs=1",
    ] {
        arguments.extend(["--set".to_owned(), set.to_owned()]);
    }
    arguments
}

/// The finished teacher's weights, byte for byte.
fn weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    weight_files(run, &["weights"])
}

#[test]
fn five_kills_and_a_resume_give_the_weights_of_no_kill() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let killed = folder.path().join("killed");
    let begun = std::time::Instant::now();
    fledge(teach(&whole)).assert_done();
    let whole_time = begun.elapsed();

    // Moments spread by a fixed generator over the length of an undisturbed run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..5 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let share = (state >> 40) as f64 / f64::from(1 << 24);
        let mut child = fledge_command(teach(&killed))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole_time.mul_f64(0.6 * share) + Duration::from_millis(20));
        // SIGKILL on Unix; an already finished run is the last moment there is.
        let _ = child.kill();
        child.wait().unwrap();
    }
    fledge(teach(&killed)).assert_done();

    let expected = weights(&whole);
    assert!(!expected.is_empty());
    let found = weights(&killed);
    assert_eq!(
        expected.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        found.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    for ((name, expected), (_, found)) in expected.iter().zip(&found) {
        assert!(expected == found, "{name} differs after the kills");
    }
}

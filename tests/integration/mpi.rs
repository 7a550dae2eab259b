//! Several processes under Open MPI and MPICH train what one trains, and end together.
//!
//! The threads of `trainer`'s own tests try more numbers and recipes; here it is the library, the
//! launchers, and ends of every kind. `scripts/install-test-tools.sh` installs both MPIs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tests::{Finished, fledge, fledge_command, fledge_path, repository, text, weight_files};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(300);

/// An MPI of Debian's: launcher and compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mpi {
    mpirun: &'static str,
    mpicc: &'static str,
    options: &'static [&'static str],
    rank: &'static str,
}

const OPEN_MPI: Mpi = Mpi {
    mpirun: "mpirun.openmpi",
    mpicc: "mpicc.openmpi",
    options: &["--oversubscribe", "--bind-to", "none"],
    rank: "OMPI_COMM_WORLD_RANK",
};
const MPICH: Mpi = Mpi {
    mpirun: "mpirun.mpich",
    mpicc: "mpicc.mpich",
    options: &[],
    rank: "PMI_RANK",
};

impl Mpi {
    /// The library for this MPI, built once.
    fn library(self) -> PathBuf {
        static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path();
        let library = folder.join(self.mpicc).join("libfledge_mpi.so");
        static BUILDING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _building = BUILDING.lock().unwrap();
        if !library.exists() {
            let out = text(&library);
            let built = fledge(["mpi", "build", "--mpicc", self.mpicc, "--out", out]);
            assert_eq!(
                built.code,
                Some(0),
                "scripts/install-test-tools.sh installs what is missing: {built:#?}"
            );
        }
        library
    }

    /// `fledge` as `processes` processes.
    fn command(self, processes: usize, arguments: &[String]) -> Command {
        let mut command = Command::new(self.mpirun);
        command
            .args(self.options)
            .args(["-n", &processes.to_string()])
            .arg(fledge_path())
            .args(arguments)
            .env("FLEDGE_MPI_LIBRARY", self.library())
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    fn run(self, processes: usize, arguments: &[String]) -> Finished {
        self.command(processes, arguments).output().unwrap().into()
    }
}

const RECIPE: &str = r#"
name = "together"
[data]
limit = 30
batch_seconds = 12
[teacher.model]
n_layers = 2
d_model = 32
d_ffn = 32
n_heads = 2
[[student]]
name = "large"
init = "teacher-blocks"
[student.model]
n_layers = 2
d_model = 32
d_ffn = 32
n_heads = 2
[[student]]
name = "narrow"
[student.model]
n_layers = 1
d_model = 16
d_ffn = 16
n_heads = 2
subsampling_factor = 8
[[student]]
name = "cut"
cut_from = "large"
[student.model]
n_layers = 1
d_model = 32
d_ffn = 32
n_heads = 2
[teach]
epochs = 2
[teach.optim]
rule = "muon"
accumulate = 2
warmup_steps = 2
[distill]
epochs = 1
[finetune]
epochs = 1
[compute]
shards = 4
[checkpoint]
every_steps = 1
"#;

/// `fledge run` of the recipe into `run`, with more settings.
fn arguments(run: &Path, settings: &[&str]) -> Vec<String> {
    let folder = run.parent().unwrap();
    let recipe = folder.join("recipe.toml");
    fs::write(&recipe, RECIPE).unwrap();
    let manifest = repository().join("trainer/corpus/train.jsonl");
    let data = format!("data.train={}", text(&manifest));
    let fixed = ["run", text(&recipe), "--run", text(run), "--device", "cpu"];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    for setting in [data.as_str()].iter().chain(settings) {
        all.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    all
}

/// Every file of weights below a run folder, with its bytes.
fn weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    weight_files(run, &["weights", "models"])
}

#[track_caller]
fn assert_same(run: &Path, want: &[(String, Vec<u8>)]) {
    let found = weights(run);
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(want));
    for ((name, found), (_, want)) in found.iter().zip(want) {
        assert!(found == want, "{name} differs");
    }
}

/// What one process without any MPI makes of the recipe.
fn alone() -> &'static [(String, Vec<u8>)] {
    static ALONE: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    ALONE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("alone");
        fledge(arguments(&run, &[])).assert_done();
        let all = weights(&run);
        // Teacher, two students of step 1, three of step 2, four models.
        assert_eq!(all.len(), 10, "{all:?}");
        all
    })
}

#[test]
fn one_to_four_processes_of_both_mpis_give_the_weights_of_one_bit_for_bit() {
    for (mpi, processes) in [
        (OPEN_MPI, 1),
        (OPEN_MPI, 2),
        (OPEN_MPI, 3),
        (OPEN_MPI, 4),
        (MPICH, 2),
        (MPICH, 4),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("together");
        let finished = mpi.run(processes, &arguments(&run, &[]));
        assert_eq!(finished.code, Some(0), "{mpi:?} {processes} {finished:#?}");
        assert_same(&run, alone());
        if processes > 1 {
            // Process 0 alone tells, with the times of a batch.
            let told = |text: &str| finished.stderr.matches(text).count();
            assert_eq!(told("teach: done"), 1, "{finished:#?}");
            assert!(told("a batch: compute") > 0, "{finished:#?}");
        }
    }
}

#[test]
fn batch_norms_a_contrastive_loss_and_shards_of_tar_files_are_shared_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = repository().join("trainer/corpus/train.jsonl");
    let shards = folder.path().join("shards");
    let [manifest, out] = [&manifest, &shards].map(|path| text(path));
    fledge([
        "prepare",
        "shards",
        manifest,
        "--out",
        out,
        "--shard-mb",
        "2",
    ])
    .assert_done();
    let data = format!("data.train={}", text(&shards.join("train.jsonl")));
    let settings = [
        data.as_str(),
        "data.window_mb=4",
        "data.cache_mb=0",
        "distill.loss.clip=1.0",
        "teacher.model.norm=batch",
        "student.large.model.norm=batch",
        "student.cut.model.norm=batch",
    ];
    let run = folder.path().join("alone");
    fledge(arguments(&run, &settings)).assert_done();
    let want = weights(&run);
    assert_eq!(want.len(), 10);
    for (mpi, processes) in [(OPEN_MPI, 1), (OPEN_MPI, 2), (MPICH, 3), (OPEN_MPI, 4)] {
        let run = folder.path().join(format!("{processes}"));
        let finished = mpi.run(processes, &arguments(&run, &settings));
        assert_eq!(finished.code, Some(0), "{mpi:?} {processes} {finished:#?}");
        assert_same(&run, &want);
        let warned = finished.stderr.matches("batch norms need whole batches");
        assert_eq!(warned.count() > 0, processes > 1, "{finished:#?}");
    }
}

/// Waits for `happened`.
#[track_caller]
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Names of whole checkpoints of the teacher.
fn checkpoints(run: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(run.join("checkpoints/teach"));
    let entries = entries.into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("step-") && !name.contains("partial"))
        .collect()
}

/// A long run, which has written a checkpoint since it was started here.
fn under_way(mpi: Mpi, processes: usize, run: &Path) -> Child {
    let before = checkpoints(run);
    let mut child = mpi
        .command(processes, &arguments(run, LONG))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("a checkpoint", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before");
        !checkpoints(run).is_subset(&before)
    });
    child
}

const LONG: &[&str] = &["teach.epochs=60"];

fn finished(mut child: Child) -> Finished {
    wait_for("the end of all processes", || {
        child.try_wait().unwrap().is_some()
    });
    child.wait_with_output().unwrap().into()
}

fn signal(kind: &str, process: u32) {
    let killed = Command::new("kill")
        .args([kind, &process.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

/// The process of a run that has this rank.
fn process_of(mpi: Mpi, run: &Path, rank: usize) -> u32 {
    let has = |file: PathBuf, wanted: &str| {
        let content = fs::read(file).unwrap_or_default();
        content
            .split(|&byte| byte == 0)
            .any(|part| part == wanted.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut found = processes.filter_map(|entry| {
        let folder = entry.path();
        let number: u32 = entry.file_name().to_string_lossy().parse().ok()?;
        let is_it = has(folder.join("cmdline"), text(run))
            && has(folder.join("environ"), &format!("{}={rank}", mpi.rank));
        is_it.then_some(number)
    });
    found.next().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_ends_all_others_with_an_error() {
    for mpi in [OPEN_MPI, MPICH] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("killed");
        let child = under_way(mpi, 3, &run);
        signal("-KILL", process_of(mpi, &run, 2));
        let killed = finished(child);
        assert_ne!(killed.code, Some(0), "{killed:#?}");
        let told = (killed.stdout + &killed.stderr).to_lowercase();
        assert!(told.contains("kill"), "{told}");
        wait_for("the other processes", || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            !all.map(|entry| fs::read(entry.path().join("cmdline")).unwrap_or_default())
                .any(|line| String::from_utf8_lossy(&line).contains(text(&run)))
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_saves_and_another_number_of_processes_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    fledge(arguments(&whole, LONG)).assert_done();
    let want = weights(&whole);

    let run = folder.path().join("signalled");
    let mut child = under_way(OPEN_MPI, 2, &run);
    signal("-USR1", child.id());
    wait_for("the end after SIGUSR1", || {
        child.try_wait().unwrap().is_some()
    });
    let stopped: Finished = child.wait_with_output().unwrap().into();
    assert_eq!(stopped.code, Some(130), "{stopped:#?}");
    assert_eq!(stopped.error_lines().len(), 1, "{stopped:#?}");
    assert!(stopped.error_lines()[0].contains("stopped as asked"));

    // One process is enough to tell; then a process without any MPI ends it.
    let child = under_way(MPICH, 4, &run);
    signal("-USR1", process_of(MPICH, &run, 3));
    let stopped = finished(child);
    assert_ne!(stopped.code, Some(0), "{stopped:#?}");
    assert!(stopped.stderr.contains("stopped as asked"), "{stopped:#?}");
    fledge(arguments(&run, LONG)).assert_done();
    assert_same(&run, &want);
}

#[test]
fn processes_that_cannot_be_joined_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("refused");
    let without = OPEN_MPI
        .command(2, &arguments(&run, &[]))
        .env("FLEDGE_MPI_LIBRARY", folder.path().join("none.so"))
        .output()
        .unwrap();
    let without = Finished::from(without);
    assert_eq!(without.code, Some(2), "{without:#?}");
    assert_eq!(without.error_lines().len(), 1, "{without:#?}");
    let told = without.error_lines()[0].to_owned();
    assert!(
        told.contains("fledge mpi build") && told.contains("2 processes"),
        "{told}"
    );

    // Launcher and library of two MPIs: each process would believe to be alone.
    let other = MPICH
        .command(2, &arguments(&run, &[]))
        .env("FLEDGE_MPI_LIBRARY", OPEN_MPI.library())
        .output()
        .unwrap();
    let other = Finished::from(other);
    assert_ne!(other.code, Some(0), "{other:#?}");
    assert!(other.stderr.contains("another MPI"), "{other:#?}");

    let crowded = OPEN_MPI.run(5, &arguments(&run, &[]));
    assert_eq!(crowded.code, Some(2), "{crowded:#?}");
    assert!(crowded.stderr.contains("at most 4"), "{crowded:#?}");
    assert!(!run.join("models").exists());

    // One process needs no library.
    let one = OPEN_MPI
        .command(1, &["devices".to_owned()])
        .env_remove("FLEDGE_MPI_LIBRARY")
        .output()
        .unwrap();
    assert!(one.status.success(), "{one:?}");
}

#[test]
fn a_process_that_hangs_ends_all_when_the_others_lose_patience() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("hanging");
    let mut arguments = arguments(&run, LONG);
    arguments.extend(["--mpi-timeout", "2"].map(str::to_owned));
    let child = OPEN_MPI
        .command(2, &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("a checkpoint", || run.join("checkpoints/teach").exists());
    signal("-STOP", process_of(OPEN_MPI, &run, 1));
    let ended = finished(child);
    assert_ne!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("has waited 2 s"), "{ended:#?}");
}

#[test]
fn a_library_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.so");
    fs::write(&file, "no library").unwrap();
    let refused = fledge_command(arguments(&folder.path().join("run"), &[]))
        .env("FLEDGE_MPI_LIBRARY", &file)
        .env("PMI_SIZE", "2")
        .env("PMI_RANK", "0")
        .output()
        .unwrap();
    Finished::from(refused).assert_refused(2, "text.so cannot be used");
}

//! What the integration tests share: running the built `fledge`, a tiny model folder, audio files.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its input must fail loudly"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use burn::prelude::Device;
use shared_model::bundle::{CardInfo, ModelParts, Precision, write_model};
use shared_model::features::FeatureConfig;
use shared_model::model::{CtcModel, ModelConfig};
use shared_model::tokens::Tokens;

/// The root of the repository.
pub fn repository() -> PathBuf {
    // Asked when the test runs: a clone elsewhere that shares the target folder may have built it.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).parent().unwrap().to_owned()
}

/// The built program, beside the running test in the target folder.
pub fn fledge_path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let name = format!("fledge{}", std::env::consts::EXE_SUFFIX);
    let found = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no {name} near {}: build it first with `cargo build --release -p trainer`",
            test.display()
        )
    })
}

/// A finished run of the program.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Lines of standard error that report an error.
    pub fn error_lines(&self) -> Vec<&str> {
        let is_error = |line: &&str| line.starts_with("error");
        self.stderr.lines().filter(is_error).collect()
    }

    /// One clear line and nothing else, the given exit code, no panic.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, mentions: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:#?}");
        let errors = self.error_lines();
        assert_eq!(errors.len(), 1, "{self:#?}");
        assert!(
            errors[0].contains(mentions),
            "no {mentions:?} in {errors:?}"
        );
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        assert!(!self.stderr.contains("this is a bug"), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
    }

    #[track_caller]
    pub fn assert_done(&self) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert!(self.error_lines().is_empty(), "{self:#?}");
    }

    /// The JSON objects of standard output, one a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// `fledge` with the given arguments, without anything inherited from the environment that would
/// change what it prints.
pub fn fledge_command<I, A>(arguments: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(fledge_path());
    command
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null());
    command
}

pub fn fledge<I, A>(arguments: I) -> Finished
where
    I: IntoIterator<Item = A>,
    A: AsRef<std::ffi::OsStr>,
{
    fledge_command(arguments).output().unwrap().into()
}

/// Every file of weights in these folders of a run and below them: its name in the run, and its bytes.
pub fn weight_files(run: &Path, folders: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![];
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| run.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "safetensors") {
                let name = path.strip_prefix(run).unwrap().to_string_lossy().into();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The text of a path, for argument lists.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A network that computes in milliseconds.
pub fn tiny_config() -> ModelConfig {
    ModelConfig {
        d_model: 16,
        n_layers: 1,
        n_heads: 2,
        d_ffn: 32,
        conv_kernel: 5,
        dropout: 0.0,
        ..ModelConfig::default()
    }
}

/// Writes a model folder with fresh weights.
pub fn write_tiny_model(folder: &Path, precision: Precision) {
    let config = tiny_config();
    let model = CtcModel::init(&config, 3, &Device::flex()).unwrap();
    let card = CardInfo {
        name: "tiny".to_owned(),
        description: "untrained".to_owned(),
        license: "CC0-1.0".to_owned(),
        language: "en".to_owned(),
        ..CardInfo::default()
    };
    let files = write_model(&ModelParts {
        features: &FeatureConfig::default(),
        model: &config,
        tokens: &Tokens::characters(),
        weights: &model.weights(),
        beam: None,
        precision,
        evaluations: &[],
        card: &card,
    })
    .unwrap();
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Integer PCM samples as a RIFF/WAVE file. `frames`: one value in `[-1, 1]` per moment, the same
/// on every channel.
pub fn wav_bytes(frames: &[f32], rate_hz: u32, channels: u16, bits: u16) -> Vec<u8> {
    let bytes_per_sample = bits / 8;
    let scale = ((1_i64 << (bits - 1)) - 1) as f64;
    let mut data = Vec::new();
    for &value in frames {
        let quantised = (f64::from(value) * scale).round() as i32;
        for _ in 0..channels {
            data.extend_from_slice(&quantised.to_le_bytes()[..usize::from(bytes_per_sample)]);
        }
    }
    let mut out = Vec::new();
    let mut chunk = |bytes: &[u8]| out.extend_from_slice(bytes);
    chunk(b"RIFF");
    chunk(&(36 + data.len() as u32).to_le_bytes());
    chunk(b"WAVEfmt ");
    chunk(&16_u32.to_le_bytes());
    chunk(&1_u16.to_le_bytes());
    chunk(&channels.to_le_bytes());
    chunk(&rate_hz.to_le_bytes());
    chunk(&(rate_hz * u32::from(channels) * u32::from(bytes_per_sample)).to_le_bytes());
    chunk(&(channels * bytes_per_sample).to_le_bytes());
    chunk(&bits.to_le_bytes());
    chunk(b"data");
    chunk(&(data.len() as u32).to_le_bytes());
    chunk(&data);
    out
}

/// Samples of the page's clip "seven two nine four", 16 kHz.
pub fn speech() -> Vec<f32> {
    let path = repository().join("www/samples/seven-two-nine-four.wav");
    let bytes = std::fs::read(&path).unwrap();
    let start = 8 + bytes.windows(4).position(|w| w == b"data").unwrap();
    bytes[start..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0)
        .collect()
}

/// A tone that moves, for audio whose words do not matter.
pub fn sweep(num_samples: usize, rate_hz: u32) -> Vec<f32> {
    (0..num_samples)
        .map(|i| {
            let secs = i as f32 / rate_hz as f32;
            0.3 * (secs * std::f32::consts::TAU * (200.0 + 300.0 * (secs * 0.7).sin())).sin()
        })
        .collect()
}

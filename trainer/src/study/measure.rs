//! From a trained cell to its record.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
    sync::atomic::AtomicBool,
};

use serde::Deserialize;
use shared_model::{
    bundle::{LoadedModel, sha256_hex},
    metrics::ErrorCounts,
    model::ModelConfig,
};

use super::{
    CellRecipe, DevPoint, NetworkRecord, Record, RecordedOn, Study, StudyError, TestRecord,
    test_sets::TestSet,
};
use crate::{
    config::{Phase, Recipe},
    device::OpenDevice,
    evaluate::{DecoderChoice, Outcome, evaluate},
    event::AVERAGE,
    model_folder,
    session::TrainedRun,
};

/// What is needed beside the trained run.
pub(super) struct Measurement<'a> {
    pub study: &'a Study,
    pub index: usize,
    pub stop: &'a AtomicBool,
    /// Is told what has been measured.
    pub tell: &'a mut dyn FnMut(String),
}

impl Measurement<'_> {
    /// Measures the networks of a cell from their model folders, on the CPU.
    ///
    /// # Errors
    /// Tests, models or logs that cannot be read, or a stop.
    pub fn record(
        &mut self,
        cell: CellRecipe,
        run: &TrainedRun,
        device: &OpenDevice,
        names: &[String],
    ) -> Result<Record, StudyError> {
        let study = self.study;
        let tests = study.read_tests(&cell.recipe)?;
        let curves = dev_curves(&run.folder.path().join("metrics.jsonl"))?;
        let mut networks = vec![];
        for name in names {
            let folder = study.model_folder(self.index, name);
            let loaded = model_folder::read(&folder).map_err(|source| StudyError::Model {
                cell: study.cells[self.index].id.clone(),
                source: Box::new(source),
            })?;
            let ModelConfig {
                n_layers, d_model, ..
            } = loaded.model;
            networks.push(NetworkRecord {
                name: name.clone(),
                parameters: loaded.model.num_parameters(),
                n_layers,
                d_model,
                dev: curves.get(name).cloned().unwrap_or_default(),
                tests: self.measure(name, &loaded, &tests)?,
            });
        }
        let costs = run.folder.costs().map_err(|source| StudyError::Folder {
            cell: study.cells[self.index].id.clone(),
            source: Box::new(source),
        })?;
        Ok(Record {
            cell: study.cells[self.index].id.clone(),
            seed: study.cells[self.index].seed,
            fingerprint: cell.fingerprint,
            recipe: cell.stated,
            budget: cell.budget,
            environment: RecordedOn::capture(device),
            training_audio_secs: run.training_secs,
            manifests_sha256: manifest_hashes(&cell.recipe)?,
            costs,
            tests_sha256: tests.into_iter().map(|t| (t.name, t.sha256)).collect(),
            networks,
        })
    }

    fn measure(
        &mut self,
        network: &str,
        loaded: &LoadedModel,
        tests: &[TestSet],
    ) -> Result<BTreeMap<String, TestRecord>, StudyError> {
        let device = OpenDevice::cpu("error rates of studies are the CPU's");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut records = BTreeMap::new();
        for test in tests {
            let cell = &self.study.cells[self.index].id;
            let evaluated = evaluate(
                loaded,
                &test.utterances,
                &DecoderChoice::Greedy,
                &device,
                threads,
                self.stop,
                &|_, _| {},
            )
            .map_err(|source| StudyError::Evaluate {
                cell: cell.clone(),
                network: network.into(),
                test: test.name.clone(),
                source: Box::new(source),
            })?;
            if let Some(first) = evaluated.broken.first() {
                return Err(StudyError::BrokenAudio {
                    test: test.name.clone(),
                    broken: evaluated.broken.len(),
                    first: first.reason.clone(),
                });
            }
            let record = TestRecord::of(&evaluated.outcomes);
            (self.tell)(format!(
                "{cell}: {network} has a WER of {:.2} % on {}",
                100.0 * record.words.rate(),
                test.name
            ));
            records.insert(test.name.clone(), record);
        }
        Ok(records)
    }
}

impl TestRecord {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut record = Self {
            words: ErrorCounts::default(),
            characters: ErrorCounts::default(),
            ctc_loss: None,
            errors: vec![],
        };
        let mut losses = vec![];
        for outcome in outcomes {
            record.words.add(&outcome.word_errors);
            record.characters.add(&outcome.character_errors);
            record.errors.push(outcome.word_errors.errors());
            losses.extend(outcome.ctc_loss.filter(|loss| loss.is_finite()));
        }
        let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        record.ctc_loss = (!losses.is_empty()).then_some(mean);
        record
    }
}

impl RecordedOn {
    fn capture(device: &OpenDevice) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        });
        Self {
            fledge: env!("CARGO_PKG_VERSION").into(),
            device: device.name.clone(),
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            processor: name.unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
        }
    }
}

fn manifest_hashes(recipe: &Recipe) -> Result<Vec<String>, StudyError> {
    let manifests = recipe.data.train.as_slice().iter().chain(&recipe.data.dev);
    manifests
        .map(|path| {
            let bytes = std::fs::read(path).map_err(|source| StudyError::Io {
                path: path.clone(),
                source,
            })?;
            Ok(sha256_hex(&bytes))
        })
        .collect()
}

/// The part of a validation event that curves are drawn from.
#[derive(Deserialize)]
struct ValidationLine {
    phase: Phase,
    network: String,
    epoch: usize,
    loss: Option<f64>,
    wer: f64,
    cer: f64,
    training_cpu_secs: f64,
    network_cpu_secs: f64,
}

/// Measurements on the development set by network, from the log of a run.
fn dev_curves(log: &Path) -> Result<BTreeMap<String, Vec<DevPoint>>, StudyError> {
    let failed = |source: io::Error| StudyError::Io {
        path: log.into(),
        source,
    };
    let mut curves: BTreeMap<String, Vec<DevPoint>> = BTreeMap::new();
    for line in BufReader::new(File::open(log).map_err(failed)?).lines() {
        let line = line.map_err(failed)?;
        if !line.contains("\"event\":\"validation\"") {
            continue;
        }
        let line: ValidationLine =
            serde_json::from_str(&line).map_err(|error| StudyError::Content {
                path: log.into(),
                reason: error.to_string(),
            })?;
        let (name, is_average) = match line.network.strip_suffix(AVERAGE) {
            Some(name) => (name, true),
            None => (line.network.as_str(), false),
        };
        let point = DevPoint {
            phase: line.phase,
            epoch: line.epoch,
            is_average,
            loss: line.loss,
            wer: line.wer,
            cer: line.cer,
            phase_cpu_secs: line.training_cpu_secs,
            network_cpu_secs: line.network_cpu_secs,
        };
        let key = |point: &DevPoint| (point.phase, point.epoch, point.is_average);
        let curve = curves.entry(name.to_owned()).or_default();
        // A run that was killed behind a measurement makes it again.
        curve.retain(|old| key(old) != key(&point));
        curve.push(point);
    }
    Ok(curves)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_measurement_that_was_made_twice_counts_once_and_averages_stand_apart() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("metrics.jsonl");
        let line = |network: &str, epoch: usize, loss: &str, wer: f64| {
            format!(
                "{{\"unix_secs\":1.0,\"event\":\"validation\",\"phase\":\"distill\",\"network\":\"{network}\",\
                 \"step\":3,\"epoch\":{epoch},\"loss\":{loss},\"wer\":{wer},\"cer\":0.1,\"blank_share\":0.5,\
                 \"samples\":[],\"is_best\":true,\"training_cpu_secs\":9.5,\"network_cpu_secs\":4.5}}\n"
            )
        };
        let text = [
            line("small", 1, "2.0", 0.5),
            "{\"unix_secs\":1.0,\"event\":\"notice\",\"message\":\"killed\"}\n".to_owned(),
            line("small", 1, "2.0", 0.5),
            line("small", 2, "null", 0.25),
            line("small/average", 2, "1.0", 0.125),
            line("tiny", 1, "1.0", 0.75),
        ];
        std::fs::write(&log, text.concat()).unwrap();
        let curves = dev_curves(&log).unwrap();
        let small: Vec<_> = curves["small"]
            .iter()
            .map(|point| (point.epoch, point.is_average, point.wer))
            .collect();
        assert_eq!(small, [(1, false, 0.5), (2, false, 0.25), (2, true, 0.125)]);
        assert_eq!(curves["small"][1].loss, None);
        assert_eq!(curves["tiny"][0].phase_cpu_secs, 9.5);
        assert_eq!(curves["tiny"][0].network_cpu_secs, 4.5);
    }
}

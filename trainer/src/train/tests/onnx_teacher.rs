//! Students of a teacher in an ONNX file.

use std::sync::Arc;

use super::method::fresh_teacher;
use super::*;
use crate::onnx;
use crate::onnx_network::{FrameRate, OnnxNetwork, OnnxNetworkError};

/// Posteriors alone, of features without masks: what a file can teach.
const POSTERIORS: [&str; 7] = [
    "student.0.init=random",
    "distill.unmasked_teacher=true",
    "distill.loss.kl=1.0",
    "distill.loss.mse=0.1",
    "distill.loss.feature=0.0",
    "distill.epochs=2",
    "finetune.epochs=0",
];

fn every(subsampling_factor: usize) -> FrameRate {
    FrameRate {
        subsampling_factor,
        offset: 0,
    }
}

fn file_of(teacher: &TrainedNetwork, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("teacher.onnx");
    std::fs::write(&path, onnx::from_features(&as_model(teacher)).unwrap()).unwrap();
    path
}

/// Step 1 with the file of `teacher`, and with `teacher` itself.
fn both_ways(teacher_keys: &[&str]) -> [Vec<TrainedNetwork>; 2] {
    let recipe = recipe(&[&POSTERIORS[..], teacher_keys].concat());
    let teacher = fresh_teacher(&recipe);
    let folder = tempfile::tempdir().unwrap();
    let file = OnnxNetwork::read(&file_of(&teacher, folder.path()), N_MELS, every(4)).unwrap();
    let file = Arc::new(file);
    let of_file = with_context(&folder.path().join("a"), &recipe, None, |context| {
        context.onnx_teacher = Some(file);
        distill(context, None).unwrap()
    });
    let of_folder = with_context(&folder.path().join("b"), &recipe, None, |context| {
        distill(context, Some(&teacher)).unwrap()
    });
    [of_file.0, of_folder.0]
}

/// The greatest difference of two weights of the same name; the corpus's statistics, which a file
/// does not tell, left out.
fn difference(a: &TrainedNetwork, b: &TrainedNetwork) -> f32 {
    let mut most = 0.0_f32;
    for (name, weight) in a
        .weights
        .iter()
        .filter(|(name, _)| !name.contains("corpus"))
    {
        let pairs = weight.data.iter().zip(&b.weights[name].data);
        most = pairs.map(|(a, b)| (a - b).abs()).fold(most, f32::max);
    }
    most
}

#[test]
fn a_file_teaches_as_the_network_that_it_was_made_from() {
    for keys in [&[][..], &["teacher.model.subsampling_factor=8"]] {
        let [of_file, of_folder] = both_ways(keys);
        for (a, b) in of_file.iter().zip(&of_folder) {
            assert_eq!(a.name, b.name);
            assert!(
                difference(a, b) < 1e-4,
                "{} {keys:?}: {}",
                a.name,
                difference(a, b)
            );
        }
        let start = random_weights(&of_file[0].config, 1).unwrap();
        let moved = TrainedNetwork {
            weights: start,
            ..of_file[0].clone()
        };
        assert!(difference(&of_file[0], &moved) > 1e-2);
    }
}

#[test]
fn a_file_that_cannot_teach_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher.onnx");
    let read = |path: &Path, factor| {
        OnnxNetwork::read(path, N_MELS, every(factor))
            .err()
            .unwrap()
    };
    assert!(matches!(read(&path, 4), OnnxNetworkError::Read { .. }));
    std::fs::write(&path, b"not a network").unwrap();
    assert!(matches!(read(&path, 4), OnnxNetworkError::Load { .. }));
    let teacher = fresh_teacher(&recipe(&[]));
    let good = file_of(&teacher, folder.path());
    let error = read(&good, 2);
    assert!(
        error.to_string().contains("not the 80 that one in 2"),
        "{error}"
    );
    // Other mel bands than the file was made for.
    let error = OnnxNetwork::read(&good, 5, every(4)).err().unwrap();
    assert!(matches!(error, OnnxNetworkError::Shape { .. }), "{error}");
    let waveform = onnx::from_waveform(&as_model(&teacher)).unwrap();
    std::fs::write(&path, waveform).unwrap();
    assert!(read(&path, 4).to_string().contains("1 inputs"));
}

#[test]
fn rows_of_a_padded_batch_are_those_of_each_alone_and_blank_follows() {
    let teacher = fresh_teacher(&recipe(&[]));
    let folder = tempfile::tempdir().unwrap();
    let file = OnnxNetwork::read(&file_of(&teacher, folder.path()), N_MELS, every(4)).unwrap();
    let row = |frames: usize, seed: usize| -> Vec<f32> {
        let value = |i| ((i + seed) as f32 * 0.37).sin();
        (0..frames * N_MELS).map(value).collect()
    };
    let (long, short) = (row(40, 0), row(17, 5));
    let mut batch = long.clone();
    batch.extend(&short);
    batch.resize(2 * 40 * N_MELS, 0.0);
    let together = file.log_probs(batch, &[40, 17], 12);
    let alone = file.log_probs(short, &[17], 0);
    let vocab = file.vocab_size();
    assert_eq!((together.time, together.lengths[1]), (12, alone.lengths[0]));
    let of_row = &together.values[12 * vocab..];
    let real = alone.lengths[0] * vocab;
    let worst = of_row[..real]
        .iter()
        .zip(&alone.values)
        .map(|(a, b)| (a - b).abs());
    assert!(worst.fold(0.0, f32::max) < 1e-4);
    for frame in of_row[real..].chunks(vocab) {
        assert!(frame[0] == 0.0 && frame[1..].iter().all(|value| *value < -20.0));
    }
    assert!(file.failure().is_none());
    // Features of other bands: the pass fails, is told, and gives nothing but blanks.
    let failed = file.log_probs(vec![0.0; 40 * 3], &[40], 10);
    assert_eq!(failed.lengths, [0]);
    assert!(file.failure().is_some());
}

#[test]
fn what_a_file_cannot_give_is_refused_in_the_recipe() {
    let refused = |sets: &[&str]| {
        let keys = [&POSTERIORS[..], &["teacher.onnx=t/teacher.onnx"], sets].concat();
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Recipe::parse(RECIPE, "toy", Path::new("/none"), &keys)
    };
    let adopted = refused(&[]).unwrap();
    assert!(adopted.tokens.file.unwrap().ends_with("t/tokens.txt"));
    for (set, sentence) in [
        ("distill.loss.feature=0.5", "posteriors alone"),
        ("distill.loss.clip=1.0", "posteriors alone"),
        ("distill.unmasked_teacher=false", "must be true"),
        ("distill.answers=kept", "leave it out"),
        ("student.0.init=teacher-blocks", "none to start from"),
        ("teacher.from=folder", "name one of them"),
        ("teacher.onnx_first_frame=101", "100"),
    ] {
        let error = refused(&[set]).unwrap_err().to_string();
        assert!(error.contains(sentence), "{set}: {error}");
    }
}

//! What a frozen teacher has answered, kept on disk for other runs over the same batches.
//!
//! An answer is found by a hash of everything that it depends on: the teacher's weights, and the
//! features, masks and lengths of the shard as it is computed. So it is exact to the bit, or absent.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use burn::prelude::*;
use sha2::{Digest, Sha256};
use shared_model::{
    model::CtcModel,
    weights::{WeightTensor, Weights, read_safetensors, write_safetensors},
};

use super::{
    TrainError,
    shard::Shard,
    teacher::{TeacherOutput, TeacherQuestion},
};
use crate::files::partial_path;

const EXTENSION: &str = "safetensors";
const LOGITS: &str = "logits";
const PHONE_LOGITS: &str = "phone_logits";
const HIDDEN: &str = "hidden.";

/// Answers of one teacher in a folder. Nothing in it is ever needed: it may be deleted at any time.
pub(crate) struct AnswerCache {
    folder: PathBuf,
    /// Hash of the teacher.
    teacher: Sha256,
    subsampling_factor: usize,
    limit_bytes: u64,
    bytes: AtomicU64,
    found: AtomicUsize,
    asked: AtomicUsize,
}

impl AnswerCache {
    /// Answers of `teacher` in `folder`, which is made if it is not there. At `limit_bytes` no more
    /// are kept.
    ///
    /// # Errors
    /// A folder that cannot be made or read.
    pub fn open(folder: &Path, limit_bytes: u64, teacher: &CtcModel) -> Result<Self, TrainError> {
        let failed = |source| TrainError::Answers {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut bytes = 0;
        for entry in fs::read_dir(folder).map_err(failed)? {
            bytes += entry
                .and_then(|entry| entry.metadata())
                .map_err(failed)?
                .len();
        }
        let mut hash = Sha256::new();
        for (name, weight) in teacher.weights() {
            hash.update(name.as_bytes());
            hash.update(bytes_of(&weight.data));
        }
        hash.update(format!("{:?}", (teacher.config(), teacher.operations())));
        Ok(Self {
            folder: folder.to_owned(),
            teacher: hash,
            subsampling_factor: teacher.config().subsampling_factor,
            limit_bytes,
            bytes: AtomicU64::new(bytes),
            found: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        })
    }

    /// The answer to a shard: the kept one, or what `compute` gives, which is kept if there is room. A
    /// file that cannot be read or written costs a computation and nothing else.
    pub(super) fn answer(
        &self,
        shard: &Shard,
        question: TeacherQuestion,
        device: &Device,
        compute: impl FnOnce() -> TeacherOutput,
    ) -> TeacherOutput {
        let path = self.path_of(shard, question);
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = self.read(&path, shard, device) {
            self.found.fetch_add(1, Ordering::Relaxed);
            return answer;
        }
        let answer = compute();
        if self.bytes.load(Ordering::Relaxed) < self.limit_bytes
            && let Ok(written) = write(&path, &answer)
        {
            self.bytes.fetch_add(written, Ordering::Relaxed);
        }
        answer
    }

    /// Answers that were found, and all that were asked for.
    pub fn found(&self) -> (usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (read(&self.found), read(&self.asked))
    }

    fn path_of(&self, shard: &Shard, question: TeacherQuestion) -> PathBuf {
        let mut hash = self.teacher.clone();
        hash.update(format!("{question:?}"));
        shard.digest(&mut hash);
        let name: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(name).with_extension(EXTENSION)
    }

    fn read(&self, path: &Path, shard: &Shard, device: &Device) -> Option<TeacherOutput> {
        let weights = read_safetensors(&fs::read(path).ok()?).ok()?;
        let tensor = |name: &str| -> Option<Tensor<3>> {
            let weight = weights.get(name)?;
            let shape: [usize; 3] = weight.shape.as_slice().try_into().ok()?;
            let data = TensorData::new(weight.data.clone(), shape);
            Some(Tensor::from_data(data, device))
        };
        let logits = tensor(LOGITS)?;
        let hidden = (0..).map_while(|block| tensor(&format!("{HIDDEN}{block}")));
        let hidden: Vec<Tensor<3>> = hidden.collect();
        let lengths = weights.get("lengths")?.data.iter().map(|&l| l as usize);
        let lengths: Vec<usize> = lengths.collect();
        let fits = lengths.len() == shard.lengths.len() && !hidden.is_empty();
        fits.then_some(TeacherOutput {
            logits,
            phone_logits: tensor(PHONE_LOGITS),
            hidden,
            lengths,
            subsampling_factor: self.subsampling_factor,
        })
    }
}

/// Writes an answer; gives its bytes. Half a file never has the name of a whole one.
fn write(path: &Path, answer: &TeacherOutput) -> io::Result<u64> {
    let tensor = |tensor: &Tensor<3>| WeightTensor {
        shape: tensor.dims().to_vec(),
        data: tensor.to_data().iter::<f32>().collect(),
    };
    let mut weights = Weights::from_iter([(LOGITS.to_owned(), tensor(&answer.logits))]);
    if let Some(logits) = &answer.phone_logits {
        weights.insert(PHONE_LOGITS.to_owned(), tensor(logits));
    }
    for (block, hidden) in answer.hidden.iter().enumerate() {
        weights.insert(format!("{HIDDEN}{block}"), tensor(hidden));
    }
    let lengths: Vec<f32> = answer.lengths.iter().map(|&length| length as f32).collect();
    let lengths = WeightTensor {
        shape: vec![lengths.len()],
        data: lengths,
    };
    weights.insert("lengths".to_owned(), lengths);
    let content = write_safetensors(&weights).map_err(io::Error::other)?;
    let partial = partial_path(path);
    fs::write(&partial, &content)?;
    fs::rename(&partial, path)?;
    Ok(content.len() as u64)
}

pub(super) fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

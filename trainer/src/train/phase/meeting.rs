//! Where the utterance means of a batch come together that several processes share.

use burn::prelude::*;

use crate::{
    cluster::{ClusterError, Link},
    device::read_back,
    train::{
        contrast::{Means, Meeting, WholeMeans},
        exchange::Rows,
        shard::Shard,
    },
};

/// The processes that share the shards of a batch.
pub(super) struct Together<'a> {
    pub link: &'a dyn Link,
    /// Of the batch.
    pub rows: &'a Rows,
    /// Without autodiff.
    pub device: &'a Device,
}

impl Meeting for Together<'_> {
    type Failure = ClusterError;

    fn whole(&self, own: &[&Means], _shards: &[Shard]) -> Result<Option<WholeMeans>, ClusterError> {
        let numbers = |tensor: Tensor<2>| -> Vec<f32> {
            read_back(tensor).try_into_vec().unwrap_or_default()
        };
        // The students' of a process, then the teacher's.
        let students = own
            .iter()
            .map(|means| numbers(means.student.clone().inner()));
        let teachers = own.iter().map(|means| numbers(means.teacher.clone()));
        let sent = students.chain(teachers).flatten();
        let sent: Vec<u8> = sent.flat_map(f32::to_le_bytes).collect();
        let (mut students, mut teachers) = (vec![], vec![]);
        for bytes in self.link.gather(&sent)? {
            let words = bytes.as_chunks().0.iter();
            let values: Vec<f32> = words.map(|&word| f32::from_le_bytes(word)).collect();
            let (student, teacher) = values.split_at(values.len() / 2);
            students.extend_from_slice(student);
            teachers.extend_from_slice(teacher);
        }
        let targets = self.rows.targets_by_shard();
        if targets.is_empty() {
            return Ok(None);
        }
        let tensor = |values: Vec<f32>| {
            let shape = [targets.len(), values.len() / targets.len()];
            Tensor::from_data(TensorData::new(values, shape), self.device)
        };
        Ok(Some(WholeMeans {
            student: tensor(students),
            teacher: tensor(teachers),
            own: self.rows.own.clone(),
            targets,
        }))
    }
}

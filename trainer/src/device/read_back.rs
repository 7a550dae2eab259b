//! Tensors brought to the host, counted: on a graphics card each waits for all work before it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use burn::prelude::Tensor;
use burn::tensor::TensorData;

/// What a thread has brought to the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadBacks {
    /// How many tensors.
    pub count: usize,
    /// Time on the wall, the work that had to be waited for included.
    pub wall: Duration,
}

thread_local! {
    static READ_BACKS: Cell<ReadBacks> = const {
        Cell::new(ReadBacks { count: 0, wall: Duration::ZERO })
    };
}

/// The values of a tensor of any shape.
pub fn read_back<const D: usize>(tensor: Tensor<D>) -> TensorData {
    let started = Instant::now();
    let data = tensor.into_data();
    READ_BACKS.with(|so_far| {
        let before = so_far.get();
        so_far.set(ReadBacks {
            count: before.count + 1,
            wall: before.wall + started.elapsed(),
        });
    });
    data
}

/// What this thread has read since the last call, which begins a new count.
pub fn take_read_backs() -> ReadBacks {
    READ_BACKS.with(Cell::take)
}

#[cfg(test)]
mod tests {
    use burn::prelude::Device;

    use super::*;

    #[test]
    fn each_read_of_this_thread_is_counted_once() {
        take_read_backs();
        let tensor = Tensor::<1>::from_data([1.0, 2.0], &Device::flex());
        for _ in 0..3 {
            let values: Vec<f32> = read_back(tensor.clone()).iter::<f32>().collect();
            assert_eq!(values, [1.0, 2.0]);
        }
        std::thread::spawn(move || read_back(tensor))
            .join()
            .expect("it reads");
        assert_eq!(take_read_backs().count, 3);
        assert_eq!(take_read_backs(), ReadBacks::default());
    }
}

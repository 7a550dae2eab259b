//! What the machine can do: matrix multiplications alone.

use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

use burn::prelude::*;
use serde::Serialize;
use shared_model::model::Product;

use crate::{
    clock::thread_time,
    parallel::{Task, run_all},
};

/// The machine's own rates, `f32`, square matrices of [`SIDE`].
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// That this process may use.
    pub cores: usize,
    /// One core alone.
    pub matmul_gflop_per_sec_one_core: f64,
    /// Every core with its own matrices at the same time.
    pub matmul_gflop_per_sec_all_cores: f64,
}

const SIDE: usize = 512;
const REPEATS: usize = 40;

impl Machine {
    pub(super) fn measure() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cores,
            matmul_gflop_per_sec_one_core: rate(1),
            matmul_gflop_per_sec_all_cores: rate(cores),
        }
    }
}

/// Operations a second, 1e9, of `threads` threads together; the best of the repeats.
fn rate(threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let work = || {
        let (a, b) = (matrix(SIDE, SIDE), matrix(SIDE, SIDE));
        let mut rounds = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            barrier.wait();
            let started = Instant::now();
            let product = a.clone().matmul(b.clone());
            rounds.push(started.elapsed());
            drop(product);
        }
        rounds
    };
    // As many threads as tasks: each has one, and meets the others at the barrier.
    let tasks = (0..threads).map(|_| Box::new(work) as Task<'_, _>);
    let rounds: Vec<Vec<Duration>> = run_all(threads, tasks.collect());
    let slowest = (0..REPEATS).filter_map(|round| rounds.iter().map(|own| own[round]).max());
    let best = slowest.min().unwrap_or(Duration::MAX);
    (threads * 2 * SIDE.pow(3)) as f64 / best.as_secs_f64() * 1e-9
}

fn matrix(rows: usize, columns: usize) -> Tensor<2> {
    let values = (0..rows * columns).map(|i| (i % 17) as f32 * 0.1 - 0.8);
    let data = TensorData::new(values.collect::<Vec<f32>>(), [rows, columns]);
    Tensor::from_data(data, &Device::flex())
}

/// Processor time of a product and of its two gradients, `count` times each, from the best of some.
pub(super) fn replay(product: Product) -> Duration {
    let Product {
        rows,
        depth,
        columns,
        count,
    } = product;
    let (a, b) = (matrix(rows, depth), matrix(depth, columns));
    let gradient = matrix(rows, columns);
    let least = (0..5)
        .map(|_| {
            let started = thread_time();
            let results = (
                a.clone().matmul(b.clone()),
                gradient.clone().matmul(b.clone().transpose()),
                a.clone().transpose().matmul(gradient.clone()),
            );
            let spent = thread_time() - started;
            drop(results);
            spent
        })
        .min();
    least.unwrap_or_default() * count as u32
}

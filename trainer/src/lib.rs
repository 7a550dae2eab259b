//! Fledge's native trainer.
//!
//! One CTC teacher is trained, then several students are distilled from it at once: step 1 (EncRL)
//! teaches representations with one frozen teacher pass per batch, step 2 fine-tunes each student
//! with CTC. Method: Hannan et al., Interspeech 2025 (arXiv 2505.16991).

pub mod bench;
pub mod cli;
mod clock;
pub mod config;
pub mod costs;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod event;
pub mod export;
mod fault;
mod files;
pub mod language_model;
pub mod loss;
pub mod model_folder;
mod parallel;
pub mod report;
pub mod run_folder;
pub mod serve;
mod tensor_file;
pub mod train;

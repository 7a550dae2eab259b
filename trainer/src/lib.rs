//! Fledge's native trainer.
//!
//! One CTC teacher is trained, then several students are distilled from it at once: step 1 (EncRL)
//! teaches representations with one frozen teacher pass per batch, step 2 fine-tunes each student
//! with CTC. Method: Hannan et al., Interspeech 2025 (arXiv 2505.16991).

mod block_on;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod event;
pub mod export;
mod fault;
pub mod language_model;
pub mod loss;
pub mod model_folder;
pub mod recipe_data;
pub mod report;
pub mod run_folder;
pub mod serve;
pub mod train;

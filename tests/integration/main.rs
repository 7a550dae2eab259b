//! One binary for all integration tests: burn is linked once.
//!
//! - `adapt`: a list of phrases to students that hear it, in the smallest way
//! - `bad_input`: every unusable input gets one clear line, a code and no panic
//! - `cli`: help, usage errors, output formats
//! - `crash`: kill -9 at any moment, then the same weights
//! - `docs`: links, paths, commands and flags of the documents exist
//! - `error_sentences`: an error displays its cause or has it as its source, never both
//! - `folder_circles`: folders of a crate import in one direction
//! - `gpu_parity`: training on a graphics adapter equals the CPU
//! - `hard_input`: unusual but valid audio is transcribed
//! - `inputs`: pipes, standard input, what is refused before the work, one verdict in all commands
//! - `language_model`: n-gram models from text, the beam search tuned with them
//! - `mpi`: several processes under Open MPI and MPICH train what one trains
//! - `music_and_noise`: the shipped students write no word of them
//! - `pipeline`: a whole recipe on a slice of the starter corpus
//! - `published_figures`: tables and plots of the documents say what the models' cards say
//! - `real_speech`: a whole run on files of every format
//! - `serve`: the file server
//! - `shipped_models`: the students of the page measure what their cards say
//! - `study`: a study from its file to its report, and two systems compared

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its input must fail loudly"
)]

mod adapt;
mod bad_input;
mod cli;
mod crash;
mod docs;
mod error_sentences;
mod folder_circles;
#[cfg(feature = "gpu")]
mod gpu_parity;
mod hard_input;
mod inputs;
mod language_model;
mod mpi;
mod music_and_noise;
mod phrases;
mod pipeline;
mod published_figures;
mod real_speech;
mod serve;
mod shards;
mod shipped_models;
mod study;

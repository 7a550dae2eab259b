//! Fledge's native trainer.
//!
//! One CTC teacher is trained, then several students are distilled from it at once: step 1 (EncRL)
//! teaches representations with one frozen teacher pass per batch, step 2 fine-tunes each student
//! with CTC. Method: Hannan et al., Interspeech 2025 (arXiv 2505.16991).
//!
//! # Train on a manifest
//!
//! ```
//! use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};
//! use trainer::{
//!     cluster::Team,
//!     config::Recipe,
//!     data::{RecipeData, recipe_examples, recipe_tokens, recipe_utterances},
//!     device::OpenDevice,
//!     run_folder::RunFolder,
//!     train::{self, RunContext},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = r#"
//!     name = "least"
//!     [data]
//!     train = "corpus/train.jsonl"
//!     limit = 4
//!     [teacher.model]
//!     d_model = 8
//!     n_layers = 1
//!     n_heads = 2
//!     d_ffn = 8
//!     [teach]
//!     epochs = 1
//! "#;
//! let recipe = Recipe::parse(text, "the text", Path::new(""), &[])?;
//! let utterances = recipe_utterances(&recipe)?;
//! let tokens = recipe_tokens(&recipe, &utterances)?;
//! let examples = recipe_examples(&recipe, &tokens, utterances)?;
//! let mut source = RecipeData::new(&recipe, &tokens, examples)?;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let run = RunFolder::open(folder, &recipe, text, false)?;
//! let teacher = train::teach(&mut RunContext {
//!     recipe: &recipe,
//!     folder: &run,
//!     tokens: &tokens,
//!     phones: None,
//!     source: &mut source,
//!     device: OpenDevice::cpu("no other is asked for").device,
//!     is_gpu: false,
//!     pretrained_teacher: None,
//!     onnx_teacher: None,
//!     starts: BTreeMap::new(),
//!     team: Team::alone(),
//!     stop: &AtomicBool::new(false),
//!     events: &mut |event| println!("{event:?}"),
//! })?;
//! assert_eq!(teacher.config.d_model, 8);
//! # Ok(())
//! # }
//! ```
//!
//! # Evaluate a model folder
//!
//! ```
//! use std::{path::Path, sync::atomic::AtomicBool};
//! use trainer::{
//!     data::read_manifest,
//!     device::OpenDevice,
//!     evaluate::{DecoderChoice, EvaluationReport, evaluate},
//!     model_folder,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = model_folder::read(Path::new("../www/models/quick-tiny"))?;
//! let utterances = read_manifest(Path::new("corpus/test.jsonl"))?;
//! let device = OpenDevice::cpu("no other is asked for");
//! let decoder = DecoderChoice::Greedy;
//! let stop = AtomicBool::new(false);
//! let evaluated = evaluate(&model, &utterances, &decoder, &device, 1, &stop, &|_, _| {})?;
//! let report = EvaluationReport::new(&evaluated, &model.manifest, &decoder, &device.name);
//! println!("{:.2} % of {} words are wrong", 100.0 * report.wer, report.words);
//! assert_eq!(report.words, 437);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs, clippy::missing_errors_doc)]

pub mod adapt;
pub mod bench;
pub mod cli;
mod clock;
pub mod cluster;
pub mod compare;
pub mod config;
pub mod costs;
pub mod data;
pub mod decoding_graph;
pub mod device;
pub mod error_analysis;
pub mod evaluate;
pub mod event;
pub mod exit_status;
pub mod export;
mod fault;
mod files;
pub mod label;
pub mod language_model;
pub mod loss;
pub mod model_folder;
pub mod onnx;
pub mod onnx_network;
mod parallel;
pub mod plan;
mod protobuf;
pub mod record;
pub mod report;
pub mod run_folder;
pub mod serve;
pub mod session;
pub mod study;
mod tensor_file;
pub mod train;

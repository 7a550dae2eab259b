//! What a run hands to its phases.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use burn::prelude::Device;
use shared_model::{bundle::LoadedModel, tokens::Tokens};

use crate::{
    cluster::Team,
    config::Recipe,
    data::{BatchSource, PhoneSpelling},
    event::TrainEvent,
    onnx_network::OnnxNetwork,
    run_folder::RunFolder,
};

/// Everything that training needs from outside.
pub struct RunContext<'a> {
    /// What is to be done.
    pub recipe: &'a Recipe,
    /// Where checkpoints and finished phases are kept.
    pub folder: &'a RunFolder,
    /// What transcripts are spelled with.
    pub tokens: &'a Tokens,
    /// What phone heads learn to spell with; without it they learn nothing.
    pub phones: Option<Arc<PhoneSpelling>>,
    /// Where batches come from.
    pub source: &'a mut dyn BatchSource,
    /// Without autodiff.
    pub device: Device,
    /// Whether `device` is a graphics card, which gets one stream of work instead of threads.
    pub is_gpu: bool,
    /// The model that `teacher.from` names.
    pub pretrained_teacher: Option<LoadedModel>,
    /// The file that `teacher.onnx` names.
    pub onnx_teacher: Option<Arc<OnnxNetwork>>,
    /// The models that `init_from` names, by the name of the network that starts from it.
    pub starts: BTreeMap<String, LoadedModel>,
    /// The processes that train together.
    pub team: Team<'a>,
    /// Set from outside to save and stop after the step under way.
    pub stop: &'a AtomicBool,
    /// Is told what happens.
    pub events: &'a mut dyn FnMut(TrainEvent),
}

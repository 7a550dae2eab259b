//! Manifests and audio files to batches of features.

pub mod audio_file;
mod augment;
mod bucket;
mod cache;
mod check;
mod dataset;
mod deal;
mod epoch_plan;
mod error;
mod examine;
mod loader;
mod manifest;
mod manifest_line;
mod phones;
mod pieces;
mod pipeline;
pub mod prepare;
mod priority;
mod quarantine;
mod read_ahead;
mod recipe_data;
mod shard_order;
#[cfg(test)]
mod shard_tests;
mod shards;
mod source;
mod wav;
mod word_pieces;

pub use audio_file::{
    AudioFileError, AudioInfo, AudioPlace, Member, decode_16k, decode_file, read_info,
};
pub(crate) use augment::background;
pub use augment::{AugmentRng, SpecMask, spec_augment};
pub use bucket::{plan_epoch, plan_sorted, plan_windows};
pub use check::{CheckOptions, CheckReport, check_manifest};
pub use dataset::{Dropped, Example, Filter, TrainingData, load_training_data, read_all};
pub use deal::{DealtBatch, Share, deal};
pub use epoch_plan::EpochPlan;
pub use error::DataError;
pub use examine::{Depth, Examined, examine};
pub use loader::{EvaluationBatches, Loader};
pub use manifest::read_manifest;
pub(crate) use manifest::visit_manifest;
pub(crate) use manifest_line::{ManifestLine, relative_path, rounded};
pub use phones::{PhoneCoverage, PhoneSpelling, read_pronunciations};
pub use pieces::{Piece, TimedWord, pieces};
pub use pipeline::{Augmentation, Pipeline, PipelineOptions};
pub use quarantine::{Quarantine, QuarantineEntry};
pub use recipe_data::{
    RecipeData, phone_coverage, recipe_examples, recipe_phones, recipe_tokens, recipe_utterances,
};
pub use shards::ShardError;
pub use source::{BatchSource, Batches, TrainingAudio, Turn};
pub(crate) use wav::wav_bytes;
pub use word_pieces::{build_tokens, read_tokens};

/// One utterance of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The manifest's name for it, or its file's stem.
    pub id: String,
    /// File that holds it, as the manifest resolves it.
    pub audio_path: std::path::PathBuf,
    /// Which of it, if it is a tar file.
    pub member: Option<Box<Member>>,
    /// Seconds into the file.
    pub offset_secs: f64,
    /// 0 where neither the manifest nor the file's header says.
    pub duration_secs: f64,
    /// Normalised; empty for audio without a transcript.
    pub text: String,
    /// Who speaks, where the manifest says.
    pub speaker: Option<String>,
    /// How sure a recogniser was of the text, 0 to 1, where the manifest says.
    pub confidence: Option<f32>,
}

impl Utterance {
    /// Where its audio is.
    pub fn audio(&self) -> AudioPlace<'_> {
        AudioPlace::new(&self.audio_path, self.member.as_deref())
    }
}

/// A padded batch on the host.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, time, n_mels]`, row-major, zero after each length.
    pub features: Vec<f32>,
    /// What training hides of each row.
    pub masks: Vec<SpecMask>,
    /// Rows of an utterance, one after the other: the same audio under other masks.
    pub views: usize,
    /// Frames of a row, padding included.
    pub time: usize,
    /// Values of a frame.
    pub n_mels: usize,
    /// Valid frames per row.
    pub lengths: Vec<usize>,
    /// Token ids per row (empty: no transcript).
    pub targets: Vec<Vec<u32>>,
    /// The shard of each row; empty where nobody has dealt the batch yet.
    pub shards: Vec<usize>,
    /// Of each row's utterance among those that the batch was planned with, whoever has them; empty
    /// where nobody has dealt the batch yet.
    pub places: Vec<usize>,
    /// [`Utterance::id`] of each row.
    pub utterance_ids: Vec<String>,
    /// Audio in the batch, seconds, without padding.
    pub audio_secs: f64,
}

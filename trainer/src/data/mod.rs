//! Manifests and audio files to batches of features.

/// One utterance of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The manifest's name for it, or its file's stem.
    pub id: String,
    pub audio_path: std::path::PathBuf,
    /// Seconds into the file.
    pub offset_secs: f64,
    pub duration_secs: f64,
    /// Normalised; empty for audio without a transcript.
    pub text: String,
    pub speaker: Option<String>,
}

/// A padded batch on the host.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, time, n_mels]`, row-major, zero after each length.
    pub features: Vec<f32>,
    pub time: usize,
    pub n_mels: usize,
    /// Valid frames per utterance.
    pub lengths: Vec<usize>,
    /// Token ids per utterance (empty: no transcript).
    pub targets: Vec<Vec<u32>>,
    pub utterance_ids: Vec<String>,
    /// Audio in the batch, seconds, without padding.
    pub audio_secs: f64,
}

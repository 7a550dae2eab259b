//! In builds without the feature `onnx`: no file can be run.

/// Never made.
pub(super) enum Engine {}

/// What a file says of a batch.
pub(super) struct Output {
    /// `[batch, time, vocab]`
    pub shape: [usize; 3],
    /// Row-major.
    pub log_probs: Vec<f32>,
    /// Real frames of each row.
    pub lengths: Option<Vec<i32>>,
}

impl Engine {
    /// # Errors
    /// Always.
    pub fn load(_: Vec<u8>) -> Result<Self, String> {
        Err(
            "this program was built without the engine for it; build one that has it with \
             `cargo build --release -p trainer --features onnx`"
                .to_owned(),
        )
    }

    pub fn num_inputs(&self) -> usize {
        match *self {}
    }

    /// # Errors
    /// Never: there is no engine.
    pub fn run(&self, _: Vec<f32>, _: [usize; 3], _: Vec<i32>) -> Result<Output, String> {
        match *self {}
    }
}

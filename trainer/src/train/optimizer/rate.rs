/// Length of a step.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct StepRate {
    pub learning_rate: f64,
    /// Factor of the gradients.
    pub scale: f64,
    /// Greatest size of a gradient's values (0: any); they are clipped before they are scaled.
    pub clip_value: f64,
}

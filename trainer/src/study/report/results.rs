//! What a report says, as `results.json` has it: every figure of tables and plots is one of these.

use serde::{Deserialize, Serialize};
use shared_model::metrics::{Interval, PairedDifference};

use super::super::{CountedAs, RecordedOn};
use crate::config::Phase;

/// Everything that a report shows. Rates are fractions, costs are processor seconds where nothing
/// else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The study's name.
    pub study: String,
    /// Its title.
    pub title: String,
    /// Paragraphs of the study file.
    pub notes: Vec<String>,
    /// Bootstrap samples behind every interval and p-value.
    pub resamples: usize,
    /// The arm that stands for training alone.
    pub reference: Option<String>,
    /// What error rates are measured on.
    pub tests: Vec<TestSummary>,
    /// Ids of cells without a record.
    pub missing: Vec<String>,
    /// The machines that cells ran on.
    pub recorded_on: Vec<RecordedOn>,
    /// Cells whose costs are those of as many epochs of another.
    pub counted_as: Vec<CountedAs>,
    /// Shared teachers and arms that have a finished cell, in the order of the study file.
    pub arms: Vec<ArmResult>,
    /// Ours against every baseline, by network.
    pub comparisons: Vec<ArmComparison>,
    /// Arms against the reference's error rates on the development set.
    pub speed_ups: Vec<SpeedUp>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestSummary {
    /// Its name.
    pub name: String,
    /// Utterances.
    pub utterances: usize,
    /// Words of the references.
    pub words: usize,
    /// Who speaks; an utterance without a name counts as one.
    pub speakers: usize,
}

/// On which side an arm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// A shared teacher.
    Teacher,
    /// Tested against every baseline.
    Ours,
    /// What ours is tested against.
    Baseline,
    /// A published form.
    Paper,
}

/// An arm, or a shared teacher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    /// Its name.
    pub name: String,
    /// What reports call it.
    pub label: String,
    /// On which side it stands.
    pub side: Side,
    /// Seeds with a record.
    pub seeds: Vec<u64>,
    /// Epochs by phase, where they follow from a budget: seed and epochs.
    pub computed_epochs: Vec<(u64, i64)>,
    /// Its networks.
    pub networks: Vec<NetworkResult>,
    /// Mean over seeds.
    pub costs: ArmCosts,
    /// Mean over seeds, by network.
    pub curves: Vec<Curve>,
}

/// A network of an arm, all seeds together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkResult {
    /// Its name.
    pub name: String,
    /// Its size.
    pub parameters: usize,
    /// Its blocks.
    pub n_layers: usize,
    /// Their width.
    pub d_model: usize,
    /// By test.
    pub tests: Vec<(String, Score)>,
    /// All tests together.
    pub pooled: Score,
}

/// A network on a test, errors of all seeds over words of all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Words wrong over words of the references.
    pub wer: f64,
    /// 95 %, drawing utterances.
    pub by_utterance: Interval,
    /// 95 %, drawing speakers; `None` where there is one.
    pub by_speaker: Option<Interval>,
    /// With each seed.
    pub wer_by_seed: Vec<f64>,
    /// Standard deviation over seeds; `None` with one.
    pub seed_deviation: Option<f64>,
    /// Characters wrong over characters of the references.
    pub cer: f64,
    /// CTC loss per label, nats, mean over seeds; pooled: over tests as well.
    pub ctc_loss: Option<f64>,
}

/// What an arm has cost, mean over seeds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmCosts {
    /// Training of the shared teacher.
    pub shared_teacher: f64,
    /// Training of the arms that its students started from.
    pub starts: f64,
    /// Its own training by phase.
    pub phases: Vec<(Phase, f64)>,
    /// Of it, passes of the frozen teacher.
    pub teacher_passes: f64,
    /// Training of all of these.
    pub training: f64,
    /// Measurements on the development set, beside training.
    pub validation: f64,
    /// Seconds on the wall for training and validation.
    pub wall_secs: f64,
    /// Of training, what no student has alone.
    pub shared: f64,
    /// Of training, what each student has alone, with an equal part of `shared`.
    pub students: Vec<StudentCost>,
}

/// What a student has cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudentCost {
    /// Its name.
    pub name: String,
    /// Its own passes and optimiser.
    pub own: f64,
    /// That and its part of what is shared.
    pub attributed: f64,
}

/// Word error rates of a network on the development set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The network.
    pub network: String,
    /// In the order of training.
    pub points: Vec<CurvePoint>,
}

/// A measurement on the development set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Under way.
    pub phase: Phase,
    /// The one that has ended, 1-based.
    pub epoch: usize,
    /// Training of the whole arm until then, teacher and all students.
    pub whole_cpu_secs: f64,
    /// The part of this student.
    pub attributed_cpu_secs: f64,
    /// Of the phase, the part of this student.
    pub phase_cpu_secs: f64,
    /// Word error rate.
    pub wer: f64,
}

/// One of ours against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmComparison {
    /// The network.
    pub network: String,
    /// The arm of ours.
    pub ours: String,
    /// The baseline.
    pub baseline: String,
    /// Both have these.
    pub seeds: Vec<u64>,
    /// Ours less the baseline, drawing utterances.
    pub by_utterance: PairedDifference,
    /// Likewise, drawing speakers.
    pub by_speaker: Option<PairedDifference>,
    /// The p-value by utterance, adjusted for all comparisons of the report (Holm).
    pub adjusted_p: f64,
    /// Difference with each seed.
    pub by_seed: Vec<f64>,
}

/// What an arm needs to reach the reference's error rate on the development set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeedUp {
    /// The arm.
    pub arm: String,
    /// By network.
    pub networks: Vec<NetworkSpeedUp>,
    /// Cost of the reference over that of the arm until every network is as good, everything
    /// counted; `None` where one never is.
    pub whole: Option<f64>,
    /// The least number of students with which the arm costs no more than the reference, everything
    /// counted, both run to their ends; `None` where there is none.
    pub break_even: Option<usize>,
    /// Likewise, the arm run until every network is as good as the reference's.
    pub break_even_at_equal_wer: Option<usize>,
}

/// What a network needs to reach the reference's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpeedUp {
    /// Its name.
    pub network: String,
    /// Error rate of the reference, mean over seeds.
    pub target_wer: f64,
    /// Seeds with which it is reached, of those that both have.
    pub reached: usize,
    /// Seeds that both have.
    pub seeds: usize,
    /// The paper's way: training of the reference over the last phase alone; `None` where it is
    /// not reached, or before that phase.
    pub last_phase: Option<f64>,
    /// In full: cost of the reference over that of the arm, with the parts of what is shared.
    pub in_full: Option<f64>,
}

//! What can be wrong with a study.

use std::{io, path::PathBuf};

use crate::{
    config::RecipeError,
    data::DataError,
    evaluate::EvaluateError,
    exit_status::{ExitStatus, HasExitStatus},
    export::ExportError,
    model_folder::ModelFolderError,
    report::ChartError,
    run_folder::RunFolderError,
    session::SessionError,
};

/// A study that cannot be used, or a cell that cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The study file cannot be read.
    #[error("cannot read study {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The study file is not TOML, or has keys that no study has.
    #[error("{path} line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Parts of the study file contradict each other.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and with which part.
        reason: String,
    },
    /// Base recipe and overrides of a part of the study make no recipe.
    #[error("{part}")]
    Recipe {
        /// The arm or the teacher.
        part: String,
        /// What is wrong.
        source: Box<RecipeError>,
    },
    /// No cell has this id or number.
    #[error("the study has no cell {wanted}: `--list-cells` prints the {cells} that it has")]
    NoCell {
        /// As asked for.
        wanted: String,
        /// How many there are.
        cells: usize,
    },
    /// A file of the study cannot be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the study is not what this program writes.
    #[error("{path} is not what fledge writes there: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Cells would be compared over different utterances.
    #[error(
        "test {test} has other utterances than those in {path}, which cells were measured on: restore its manifest, or delete the study's folders cells and tests and begin again"
    )]
    OtherTest {
        /// Its name.
        test: String,
        /// What the study keeps of it.
        path: PathBuf,
    },
    /// A test manifest cannot be read.
    #[error("test {test}")]
    Test {
        /// Its name.
        test: String,
        /// What is wrong with it.
        source: Box<DataError>,
    },
    /// Every cell has to be measured on every utterance.
    #[error("test {test}: {broken} utterances cannot be read; the first: {first}")]
    BrokenAudio {
        /// Its name.
        test: String,
        /// How many.
        broken: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// A network cannot be measured.
    #[error("cell {cell}: {network} on test {test}")]
    Evaluate {
        /// Its id.
        cell: String,
        /// Its name.
        network: String,
        /// Its name.
        test: String,
        /// What stopped it.
        source: Box<EvaluateError>,
    },
    /// The training of a cell failed or was stopped.
    #[error("cell {cell}")]
    Session {
        /// Its id.
        cell: String,
        /// What ended it.
        source: Box<SessionError>,
    },
    /// The run folder of a cell cannot be used.
    #[error("cell {cell}")]
    Folder {
        /// Its id.
        cell: String,
        /// What is wrong with it.
        source: Box<RunFolderError>,
    },
    /// The models of a cell cannot be written or read.
    #[error("cell {cell}")]
    Export {
        /// Its id.
        cell: String,
        /// What is wrong with them.
        source: Box<ExportError>,
    },
    /// A model of a cell cannot be read back.
    #[error("cell {cell}")]
    Model {
        /// Its id.
        cell: String,
        /// What is wrong with it.
        source: Box<ModelFolderError>,
    },
    /// The number of epochs follows from costs that are not there.
    #[error(
        "cell {cell} gets the compute of cells that have not run: {missing}; run the cell without --dry-run, which runs them first"
    )]
    NoCosts {
        /// Its id.
        cell: String,
        /// Ids of those without a record.
        missing: String,
    },
    /// There is nothing to report.
    #[error("no cell of the study has a record yet: run `fledge study` without --collect")]
    NothingToReport,
    /// A plot cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// Ctrl-C while waiting for a cell that another process runs.
    #[error("stopped by Ctrl-C")]
    Stopped,
}

impl HasExitStatus for StudyError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Read { .. }
            | Self::Syntax { .. }
            | Self::Invalid { .. }
            | Self::NoCell { .. }
            | Self::NoCosts { .. } => ExitStatus::Usage,
            Self::Recipe { source, .. } => source.exit_status(),
            Self::Content { .. }
            | Self::OtherTest { .. }
            | Self::BrokenAudio { .. }
            | Self::NothingToReport => ExitStatus::Data,
            Self::Test { source, .. } => source.exit_status(),
            Self::Evaluate { source, .. } => source.exit_status(),
            Self::Session { source, .. } => source.exit_status(),
            Self::Folder { source, .. } => source.exit_status(),
            Self::Export { source, .. } => source.exit_status(),
            Self::Model { source, .. } => source.exit_status(),
            Self::Chart(source) => source.exit_status(),
            Self::Io { .. } => ExitStatus::Failed,
            Self::Stopped => ExitStatus::Interrupted,
        }
    }
}

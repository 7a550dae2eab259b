use std::io;
use std::path::PathBuf;

use crate::config::RecipeError;
use crate::data::{AudioFileError, DataError};
use crate::evaluate::{DecoderFileError, EvaluateError, PhraseFileError};
use crate::exit_status::{ExitStatus, HasExitStatus};
use crate::export::ExportError;
use crate::model_folder::ModelFolderError;
use crate::session::SessionError;
use crate::train::TrainError;

/// What stands between a list of phrases and adapted students.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// Nothing on this machine speaks.
    #[error(
        "no voice is installed to speak the phrases: `sudo apt-get install espeak-ng flite` on Debian and Ubuntu, or any package of espeak-ng or flite elsewhere, on the PATH"
    )]
    NoVoices,
    /// The list cannot be used.
    #[error(transparent)]
    Phrases(#[from] PhraseFileError),
    /// No sentence of the list ends.
    #[error(
        "{path}: no sentence can be made of the list: each of its rules uses itself without an end"
    )]
    NothingToSay {
        /// The list.
        path: PathBuf,
    },
    /// A model folder cannot be used.
    #[error(transparent)]
    Model(#[from] ModelFolderError),
    /// Two of the models have the same name, or one the teacher's.
    #[error("--from: two model folders are called {name}: the adapted ones are named after them")]
    SameName {
        /// Of both.
        name: String,
    },
    /// Students and teacher must hear and spell the same.
    #[error(
        "{folder} has other {what} than {teacher}, its teacher: name one that fits with --teacher"
    )]
    Unlike {
        /// Of the student.
        folder: PathBuf,
        /// Of the teacher.
        teacher: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// No teacher is named and none lies beside the students.
    #[error("there is no teacher at {looked_for}: name a model folder with --teacher")]
    NoTeacher {
        /// Where it was looked for.
        looked_for: PathBuf,
    },
    /// Neither other speech nor a text for it.
    #[error(
        "nothing says what other people say: give speech with --speech MANIFEST, or a language model with --lm (none is named in {looked_in})"
    )]
    NoGeneralSpeech {
        /// The catalogue beside the first student.
        looked_in: PathBuf,
    },
    /// A language model cannot be used.
    #[error(transparent)]
    Lm(#[from] DecoderFileError),
    /// The folder belongs to something else.
    #[error("{path} is not empty and holds no adaptation: choose another folder with --run")]
    NotAnAdaptation {
        /// The folder.
        path: PathBuf,
    },
    /// What is asked for is not what was begun.
    #[error(
        "{path} was begun with another {what}: choose another folder with --run, or begin anew with --fresh"
    )]
    OtherPlan {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A voice does not speak.
    #[error("{program} could not speak \"{text}\" with the voice {voice}: {reason}")]
    Speak {
        /// The program.
        program: &'static str,
        /// As it calls it.
        voice: String,
        /// What was to be said.
        text: String,
        /// What it or the system says.
        reason: String,
    },
    /// What a voice wrote is no audio.
    #[error(transparent)]
    Audio(#[from] AudioFileError),
    /// A file cannot be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A manifest or a recording cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folder of recordings has none.
    #[error("{folder} has no recording that can be used: {reason}")]
    NoRecordings {
        /// The folder.
        folder: PathBuf,
        /// Of the first that cannot.
        reason: String,
    },
    /// The recipe in the folder was edited into one that is none.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A network cannot be built.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Training stopped.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A model folder cannot be made.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Phrases cannot be heard.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Ctrl-C while something else than training was under way.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

impl AdaptError {
    /// For a file or folder that cannot be read or written.
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl HasExitStatus for AdaptError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NoVoices | Self::Speak { .. } | Self::File { .. } => ExitStatus::Failed,
            Self::SameName { .. }
            | Self::Unlike { .. }
            | Self::NoTeacher { .. }
            | Self::NoGeneralSpeech { .. }
            | Self::NotAnAdaptation { .. }
            | Self::OtherPlan { .. } => ExitStatus::Usage,
            Self::NothingToSay { .. } | Self::NoRecordings { .. } => ExitStatus::Data,
            Self::Phrases(error) => error.exit_status(),
            Self::Model(error) => error.exit_status(),
            Self::Lm(error) => error.exit_status(),
            Self::Audio(error) => error.exit_status(),
            Self::Data(error) => error.exit_status(),
            Self::Recipe(error) => error.exit_status(),
            Self::Train(error) => error.exit_status(),
            Self::Session(error) => error.exit_status(),
            Self::Export(error) => error.exit_status(),
            Self::Evaluate(error) => error.exit_status(),
            Self::Stopped => ExitStatus::Interrupted,
        }
    }
}

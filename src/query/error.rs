//! Why a query has no answer.

use std::path::PathBuf;
use std::time::Duration;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is not understood.
    #[error("{}", .0.strip_backtrace())]
    Question(DataFusionError),
    /// Its statements are too many or too long.
    #[error(
        "the statements have more than {} words and signs, or {} bytes",
        crate::limits::QUERY_TOKENS_MAX,
        crate::limits::QUERY_BYTES_MAX
    )]
    TooLong,
    /// There is none.
    #[error("there is no statement")]
    Nothing,
    /// There are several.
    #[error("one statement is answered at a time")]
    Several,
    /// It fails while it runs.
    #[error("{}", .0.strip_backtrace())]
    Engine(#[from] DataFusionError),
    /// It would change a setting that is not its own.
    #[error("{setting} cannot be set here; datafusion.execution.time_zone and datafusion.explain.* can")]
    Setting {
        /// The setting.
        setting: String,
    },
    /// It would change something.
    #[error("{what} is refused: facts are read here and changed by their feeds, and a code by nobody's hand")]
    ReadOnly {
        /// The statement.
        what: String,
    },
    /// It names a file outside of the folders that are open to it.
    #[error("{path} is not in a folder that is open to queries (--files DIR opens one)")]
    Outside {
        /// As it was written.
        path: String,
    },
    /// A folder that is to be opened to queries is not there.
    #[error("{}: {cause}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A file of changes or refused rows is not there.
    #[error("{}: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Its rows are of single people, who are not shown to who asks.
    #[error("rows of single people do not leave: group them, and each group of {least} people or more is shown")]
    Alone {
        /// How many people a group has at the least.
        least: usize,
    },
    /// Whom its rows are of cannot be told, and who asks sees groups only.
    #[error(
        "{what} cannot be asked for here, where only groups of people are shown; a join with groups often says the same"
    )]
    Untold {
        /// What is asked for.
        what: String,
    },
    /// The door that was asked says no.
    #[error("{said}")]
    Remote {
        /// What it says.
        said: String,
    },
    /// It took too long.
    #[error("the query took longer than {} s and was ended", .limit.as_secs_f64())]
    TookLong {
        /// How long it may take.
        limit: Duration,
    },
    /// It was told to stop.
    #[error("the query was ended")]
    Cancelled,
}

impl QueryError {
    /// What went wrong while a question was planned: mostly that is the question.
    pub(super) fn of_question(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) | DataFusionError::IoError(_) | DataFusionError::External(_) => {
                Self::Engine(error)
            }
            _ => Self::Question(error),
        }
    }

    /// Whether what was asked is wrong, rather than that something failed while it was answered.
    #[must_use]
    pub const fn is_of_words(&self) -> bool {
        !matches!(self, Self::Engine(_) | Self::Remote { .. } | Self::TookLong { .. } | Self::Cancelled)
    }
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> Self {
        Self::Engine(error.into())
    }
}

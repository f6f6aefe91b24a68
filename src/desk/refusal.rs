//! Why somebody has no answer.

use datafusion::error::DataFusionError;
use tokio::task::JoinError;

use crate::access::Denied;
use crate::query::QueryError;

/// Why somebody has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of thing is in the way.
    pub kind: Kind,
    /// In words.
    pub message: String,
}

/// Kinds of what is in the way of an answer; each door has its own codes for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody knows who asks.
    Unknown,
    /// Who asks may not.
    Forbidden,
    /// What is asked is wrong.
    Wrong,
    /// It takes more memory, or comes faster, than it may.
    Exhausted,
    /// It takes longer than it may.
    TookLong,
    /// Who asked has ended it.
    Cancelled,
    /// There is nobody to answer now.
    Unavailable,
    /// The answer fails.
    Failed,
}

impl Refusal {
    /// A refusal in these words.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let kind = match denied {
            Denied::Unknown => Kind::Unknown,
            Denied::TooFast => Kind::Exhausted,
        };
        Self::new(kind, denied.to_string())
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        let kind = match error {
            QueryError::TookLong { .. } => Kind::TookLong,
            QueryError::Cancelled => Kind::Cancelled,
            QueryError::ReadOnly { .. }
            | QueryError::Outside { .. }
            | QueryError::Setting { .. }
            | QueryError::Alone { .. }
            | QueryError::Untold { .. } => Kind::Forbidden,
            QueryError::Engine(error) if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
                Kind::Exhausted
            }
            error if error.is_of_words() => Kind::Wrong,
            _ => Kind::Failed,
        };
        Self::new(kind, message)
    }
}

/// A task that has no answer.
impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        Self::new(Kind::Failed, error.to_string())
    }
}

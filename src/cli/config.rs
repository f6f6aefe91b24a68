//! What was typed, and what it means: the rule set resolved, the instant fixed, the threads there.

use std::time::SystemTime;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Failure;
use super::args::Question;
use crate::model::Timestamp;
use crate::rules::{Catalog, Program};

/// A question, resolved.
pub(super) struct Setting {
    /// The rules.
    pub(super) program: Program,
    /// T.
    pub(super) as_of: Timestamp,
    /// The threads.
    pub(super) pool: ThreadPool,
}

impl Setting {
    /// Resolves a question.
    ///
    /// # Errors
    /// A rule set that there is not or that has errors; a cache that is no directory; threads that the system does not give.
    pub(super) fn new(question: &Question) -> Result<Self, Failure> {
        let as_of = question.as_of.unwrap_or_else(now);
        if let Some(cache) = question.cache.as_ref().filter(|cache| cache.exists() && !cache.is_dir()) {
            return Err(Failure::Usage(format!("{} is no directory: --cache wants one of its own", cache.display())));
        }
        Ok(Self { program: program(&question.rules, as_of)?, as_of, pool: pool(question.threads)? })
    }
}

/// The rule sets that there are without a file.
///
/// # Errors
/// One of them is wrong.
pub(super) fn shipped() -> Result<Catalog, Failure> {
    Catalog::shipped().map_err(|errors| Failure::Usage(errors.to_string()))
}

/// The rule set of a name or file.
///
/// # Errors
/// One that there is not or that has errors.
pub(super) fn program(rules: &str, as_of: Timestamp) -> Result<Program, Failure> {
    shipped()?.resolve(rules, as_of).map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))
}

/// The threads asked for, or as many as there are processors.
///
/// # Errors
/// Threads that the system does not give.
pub(super) fn pool(threads: Option<u16>) -> Result<ThreadPool, Failure> {
    let builder = ThreadPoolBuilder::new().num_threads(threads.map_or(0, usize::from));
    builder.build().map_err(|error| Failure::Job(error.into()))
}

/// The bytes of a file that was named.
///
/// # Errors
/// A file that cannot be read.
#[cfg(feature = "flight")]
pub(super) fn read(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// The token in a file that was named.
///
/// # Errors
/// A file that cannot be read, or has none.
#[cfg(feature = "live")]
pub(super) fn token(file: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "{}: there is no token in it", file.display());
    Ok(token.to_owned())
}

/// The present instant.
pub(super) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line's default for --as-of; the engine is told the instant"
    )]
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

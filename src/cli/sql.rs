//! `sanma sql`: questions to facts, codes and history.

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::answer::{Shape, write_answer};
use super::asked::SqlArgs;
#[cfg(feature = "flight")]
use super::config;
use super::{Failure, progress, prompt, say, snapshot};
#[cfg(feature = "flight")]
use crate::flight::Remote;
use crate::limits::SIGNAL_MILLIS_MAX;
use crate::query::{Folders, Limits, QueryError, Session, Threads};

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Cancelled => Self::Interrupted,
            error if error.is_of_words() => Self::Usage(error.to_string()),
            // Its words say already what it comes of.
            error => Self::Job(anyhow::Error::msg(error.to_string())),
        }
    }
}

/// Somebody who asks.
pub(super) struct Asker {
    door: Door,
    /// How long a query may take.
    time: Option<Duration>,
}

/// Where questions are answered.
enum Door {
    /// In this process, each on so many threads.
    Here(Session, usize),
    /// Elsewhere, over a line that threads of its own look after.
    #[cfg(feature = "flight")]
    There(Remote, Threads),
}

/// Answers what was typed, or all that is typed next.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &SqlArgs, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let shape = args.format.map_or(Shape::Table, Shape::from);
    if shape.is_binary() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage("standard output is a terminal; send it to a file".to_owned()));
    }
    // What is wrong with a question is said before anything is loaded for it.
    let statements = questions(args)?.map(|questions| all_of(&questions)).transpose()?;
    if shape.is_binary() && statements.as_ref().is_none_or(|statements| statements.len() != 1) {
        return Err(Failure::Usage("a file of this format holds one answer; ask one question".to_owned()));
    }
    let asker = asker(args)?;
    let Some(statements) = statements else { return prompt::run(&asker, shape, out) };
    for statement in statements {
        let took = asker.answer(&statement, shape, out, usize::MAX)?;
        if args.timing {
            say(&format!("-- time: {:.6} s", took.as_secs_f64()));
        }
    }
    Ok(())
}

fn all_of(questions: &[String]) -> Result<Vec<String>, QueryError> {
    let mut all = Vec::new();
    for question in questions {
        all.extend(statements(question)?);
    }
    Ok(all)
}

/// The statements of a text as they were typed, all of which are statements.
///
/// # Errors
/// One that is none.
pub(super) fn statements(text: &str) -> Result<Vec<String>, QueryError> {
    Session::statements(text)?;
    Session::split(text)
}

/// The questions that were typed; `None` if somebody is there to type them.
fn questions(args: &SqlArgs) -> Result<Option<Vec<String>>, Failure> {
    let mut questions = args.command.clone();
    for file in &args.file {
        let text = fs::read_to_string(file);
        questions.push(text.map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?);
    }
    if questions.is_empty() {
        if std::io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        questions.push(text);
    }
    Ok(Some(questions))
}

/// Who answers.
fn asker(args: &SqlArgs) -> Result<Asker, Failure> {
    let time = args.time_limit.map(|seconds| Duration::from_secs(seconds.get()));
    #[cfg(feature = "flight")]
    if let Some(address) = &args.connect {
        return connected(args, address, time);
    }
    let files = Folders::new(&args.files)?;
    let threads = snapshot::threads(args.asked.threads);
    let memory_bytes = snapshot::megabytes(args.memory_mb);
    let limits = Limits { memory_bytes, threads, time, files, least_group: None };
    let snapshot = snapshot::load(&args.asked)?;
    Ok(Asker { door: Door::Here(Session::new(&Arc::new(snapshot), limits)?, threads), time })
}

/// Somebody who asks elsewhere.
#[cfg(feature = "flight")]
fn connected(args: &SqlArgs, address: &str, time: Option<Duration>) -> Result<Asker, Failure> {
    let token = args.token_file.as_deref().map(config::token).transpose();
    let token = token.map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let authority = args.authority.as_deref().map(config::read).transpose()?;
    let line = Threads::new(1)?;
    let remote = Remote::connect(address, token.as_deref(), authority.as_deref());
    let remote = line.block_on(remote).map_err(|error| Failure::Job(error.into()))?;
    Ok(Asker { door: Door::There(remote, line), time })
}

impl Asker {
    /// Answers a statement, with `rows_max` rows at the most where people read it. Gives how long it took.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn answer(
        &self,
        statement: &str,
        shape: Shape,
        out: &mut (dyn Write + Send),
        rows_max: usize,
    ) -> Result<Duration, Failure> {
        let begun = progress::clock();
        let answer = async {
            let answer = match &self.door {
                Door::Here(session, _) => session.ask(Session::statement(statement)?).await?,
                #[cfg(feature = "flight")]
                Door::There(remote, _) => remote.ask(statement.to_string()).await?,
            };
            write_answer(answer, shape, out, rows_max).await?;
            Ok(out.flush()?)
        };
        let (watch, mut ended) = Watch::new(begun, self.time);
        let answer_or_end = async {
            tokio::select! {
                done = answer => done,
                Ok(why) = &mut ended => Err(why.into()),
            }
        };
        let done = match &self.door {
            Door::Here(_, threads) => Threads::new(*threads)?.block_on(answer_or_end),
            #[cfg(feature = "flight")]
            Door::There(_, line) => line.block_on(answer_or_end),
        };
        drop(watch);
        done.map(|()| begun.elapsed())
    }

    /// What may be typed.
    pub(super) fn words(&self) -> Vec<String> {
        match &self.door {
            Door::Here(session, _) => session.words(),
            #[cfg(feature = "flight")]
            Door::There(..) => Vec::new(),
        }
    }
}

/// Waits for a reason to end a query: Ctrl-C, or its time. A thread does, since all those of the runtime may be in the middle of a
/// long step.
struct Watch {
    over: Arc<AtomicBool>,
}

impl Watch {
    /// A watch, and where it says why.
    fn new(begun: Instant, limit: Option<Duration>) -> (Self, oneshot::Receiver<QueryError>) {
        let (sender, receiver) = oneshot::channel();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if progress::interrupted() {
                    let _ = sender.send(QueryError::Cancelled);
                    return;
                }
                if let Some(limit) = limit.filter(|&limit| begun.elapsed() > limit) {
                    let _ = sender.send(QueryError::TookLong { limit });
                    return;
                }
                std::thread::sleep(Duration::from_millis(SIGNAL_MILLIS_MAX));
            }
        });
        (Self { over }, receiver)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

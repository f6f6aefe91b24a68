//! `sanma sql`: questions to facts, codes and history.

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion::sql::parser::Statement;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::answer::{Shape, write_answer};
use super::args::{Question, SqlArgs};
use super::config::{self, Setting};
use super::progress::{self, Progress};
use super::run::check_is_store;
use super::{Failure, prompt, say};
use crate::cache::{self, Ready};
use crate::limits::{QUERY_STACK_BYTES, SIGNAL_MILLIS_MAX};
use crate::query::{Folders, Limits, Origins, QueryError, Session, Snapshot};
use crate::rules::Catalog;
use crate::run::stand::{self, Stood};

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
    /// There as long as somebody asks.
    runtime: Option<Runtime>,
    session: Session,
}

impl Drop for Asker {
    /// A query that was ended may be in the middle of a long step: nobody waits for it.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
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
    let statements = questions(args)?.map(|questions| statements(&questions)).transpose()?;
    if shape.is_binary() && statements.as_ref().is_none_or(|statements| statements.len() != 1) {
        return Err(Failure::Usage("a file of this format holds one answer; ask one question".to_owned()));
    }
    // The files of a store's copy are there as long as anybody asks.
    let (asker, _copy) = asker(args)?;
    let Some(statements) = statements else { return prompt::run(&asker, shape, out) };
    for statement in statements {
        let took = asker.answer(statement, shape, out, usize::MAX)?;
        if args.timing {
            say(&format!("-- time: {:.6} s", took.as_secs_f64()));
        }
    }
    Ok(())
}

fn statements(questions: &[String]) -> Result<Vec<Statement>, QueryError> {
    let mut statements = Vec::new();
    for question in questions {
        statements.extend(Session::statements(question)?);
    }
    Ok(statements)
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

/// Loads what is asked of.
fn asker(args: &SqlArgs) -> Result<(Asker, Option<tempfile::TempDir>), Failure> {
    let files = Folders::new(&args.files)?;
    let threads = args.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from);
    let memory_bytes = usize::try_from(args.memory_mb.get()).unwrap_or(usize::MAX).saturating_mul(1_000_000);
    let time = args.time_limit.map(|seconds| Duration::from_secs(seconds.get()));
    let limits = Limits { memory_bytes, threads, time, files };
    let progress = Progress::new(args.quiet);
    let catalog = Catalog::shipped().map_err(|errors| Failure::Usage(errors.to_string()))?;
    let (snapshot, copy) = match (&args.data, &args.store) {
        (Some(data), _) => (of_data(args, data, catalog, &progress)?, None),
        (None, Some(store)) => {
            let (snapshot, copy) = of_store(args, store, catalog, &progress)?;
            (snapshot, Some(copy))
        }
        (None, None) => return Err(Failure::Usage("name --data or --store".to_owned())),
    };
    progress.finish();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_stack_size(QUERY_STACK_BYTES)
        .build()?;
    let session = Session::new(&Arc::new(snapshot), limits)?;
    Ok((Asker { runtime: Some(runtime), session }, copy))
}

fn of_data(args: &SqlArgs, data: &Path, catalog: Catalog, progress: &Progress) -> Result<Snapshot, Failure> {
    let question = Question {
        data: data.to_owned(),
        cache: args.cache.clone(),
        rules: args.rules.clone().unwrap_or_default(),
        as_of: args.as_of,
        threads: args.threads,
    };
    let Setting { program, as_of, pool } = Setting::new(&question)?;
    let loaded = pool.install(|| {
        let (ready, cache) = cache::load(&question.data, question.cache.as_deref(), progress)?;
        let Ready { mut facts, rejections, sources, mut warnings, .. } = ready;
        let kept = cache.map_or(Ok(()), |cache| cache.keep(&mut facts, &progress::interrupted));
        warnings.extend(kept.err().map(|error| error.to_string()));
        Ok::<_, Failure>((facts, rejections, sources, warnings))
    });
    let (facts, rejections, sources, mut warnings) = loaded?;
    if !rejections.is_empty() {
        warnings.push(format!("{} invalid rows are left out; they are in the table rejections", rejections.len()));
    }
    for warning in warnings.iter().filter(|_| !args.quiet) {
        say(&format!("warning: {warning}"));
    }
    let origins = Origins { rejections, sources, changes: args.changes.clone(), ..Origins::default() };
    Ok(Snapshot::new(facts, origins, (Arc::new(program), catalog), as_of, Arc::new(pool)))
}

fn of_store(
    args: &SqlArgs,
    store: &Path,
    catalog: Catalog,
    progress: &Progress,
) -> Result<(Snapshot, tempfile::TempDir), Failure> {
    check_is_store(store)?;
    let pool = config::pool(args.threads)?;
    let Stood { facts, program, as_of, position, changes, rejections, copy } =
        pool.install(|| stand::stand(store, progress))?;
    if !args.quiet {
        say(&format!("position {} at {}", position.0, as_of.to_rfc3339()));
    }
    let changes = changes.into_iter().chain(args.changes.iter().cloned()).collect();
    let refused = rejections.into_iter().collect();
    let origins = Origins { refused, changes, from: Some(as_of), ..Origins::default() };
    Ok((Snapshot::new(facts, origins, (program, catalog), as_of, Arc::new(pool)), copy))
}

impl Asker {
    /// Answers a statement, with `rows_max` rows at the most where people read it. Gives how long it took.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn answer(
        &self,
        statement: Statement,
        shape: Shape,
        out: &mut (dyn Write + Send),
        rows_max: usize,
    ) -> Result<Duration, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the command line measures; a query is told when to end")]
        let begun = Instant::now();
        let answer = async {
            let answer = self.session.ask(statement).await?;
            write_answer(answer, shape, out, rows_max).await?;
            Ok(out.flush()?)
        };
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        let (watch, mut ended) = Watch::new(begun, self.session.time_limit());
        let done = runtime.block_on(async {
            tokio::select! {
                done = answer => done,
                Ok(why) = &mut ended => Err(why.into()),
            }
        });
        drop(watch);
        done.map(|()| begun.elapsed())
    }

    /// What may be typed.
    pub(super) fn words(&self) -> Vec<String> {
        self.session.words()
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

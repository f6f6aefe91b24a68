//! Questions from elsewhere: who asks, what they may see, what they asked, and how it ended.
//!
//! The one idea: a desk stands between [`query`](crate::query) and the doors, which are protocols. Who asks is known by a token; the
//! role says what is seen: an operator and an official all, an analyst groups of people by their pseudonyms. Each question has a
//! session of its own over the facts that stand when it comes, and is recorded before it is looked at.
//!
//! Invariants: nothing here changes a fact; a question sees one snapshot, whatever comes meanwhile; whatever becomes of a
//! question, and of who asked it, its turn, its threads and its memory are given back when its time is over.
//!
//! Cost: the threads on which questions are looked at, and those of each question, which are its own.

mod live;
mod published;
mod refusal;

use std::io;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement;
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Sleep;

use crate::access::{Access, Admitted, ListenError, Role};
use crate::model::Timestamp;
#[cfg(feature = "postgres")]
use crate::query::Catalog;
use crate::query::{Answer, Description, Limits, PseudonymKey, Queries, Query, QueryError, Session, Threads};

pub use live::{Files, Live};
pub use published::{Published, Shown, Source};
pub use refusal::{Kind, Refusal};

/// What a desk is told.
#[derive(Debug)]
pub struct Setting {
    /// Who may ask.
    pub access: Arc<Access>,
    /// What is asked of.
    pub source: Arc<dyn Source>,
    /// What each query may use.
    pub limits: Limits,
    /// How many queries run at once; others wait.
    pub at_once: usize,
    /// How many people a group has at the least that an analyst sees.
    pub least_group: NonZeroUsize,
    /// What hashes tokens for analysts.
    pub key: PseudonymKey,
    /// Where questions are recorded.
    pub queries: Arc<Queries>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// A certificate, and its key: PEM.
#[derive(Clone)]
pub struct Certified {
    /// The chain of certificates.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Why a door does not open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key is none.
    #[error("the certificate or its key is not understood: {why}")]
    Certificate {
        /// What is wrong with it.
        why: String,
    },
}

/// What somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// As it was typed, and as it is recorded; of a copy, what it is a copy of.
    pub text: String,
    /// What it is asked of.
    pub of: Of,
}

/// What a question is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Facts.
    Facts,
    /// The catalog of tables, in Postgres's words.
    #[cfg(feature = "postgres")]
    Catalog,
}

/// Where questions are taken and answered.
#[derive(Debug)]
pub struct Desk {
    setting: Setting,
    turns: Arc<Semaphore>,
    /// Turns of those who ask what a statement would give.
    looks: Semaphore,
    /// Threads of each question.
    threads: usize,
    /// Where sessions are opened and words are read, beside the doors' lines.
    plans: Threads,
    /// Made when a tool first looks into it, and kept: numbers of tables are of one catalog.
    #[cfg(feature = "postgres")]
    catalog: OnceLock<Arc<Catalog>>,
}

impl Desk {
    /// A desk. Each question is answered on so many threads of its own.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(setting: Setting, threads: usize) -> io::Result<Self> {
        let turns = Arc::new(Semaphore::new(setting.at_once));
        let (looks, plans) = (Semaphore::new(setting.at_once), Threads::new(1)?);
        Ok(Self {
            setting,
            turns,
            looks,
            threads,
            plans,
            #[cfg(feature = "postgres")]
            catalog: OnceLock::new(),
        })
    }

    /// Who may ask.
    pub(crate) fn access(&self) -> &Access {
        &self.setting.access
    }

    /// Lets somebody in who says who they are.
    ///
    /// # Errors
    /// Nobody knows them, they come too fast, or questions are not for them.
    pub(crate) fn admit(&self, token: Option<&str>) -> Result<Arc<Admitted>, Refusal> {
        let admitted = self.setting.access.admit(token)?;
        if matches!(admitted.role, Role::Analyst | Role::Official | Role::Operator) {
            Ok(Arc::new(admitted))
        } else {
            Err(Refusal::new(Kind::Forbidden, "questions are not for your role"))
        }
    }

    /// Does something where there is room for what nests, and for what takes a while.
    ///
    /// # Errors
    /// It panics.
    pub(crate) async fn apart<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        Ok(self.plans.handle().spawn_blocking(what).await?)
    }

    /// A session for who asks, over what stands now. Cost: for the first analyst of a snapshot, a hash a person.
    async fn session(&self, who: Arc<Admitted>) -> Result<Session, Refusal> {
        let shown = self.setting.source.now().await?;
        let (key, least) = (self.setting.key.clone(), self.setting.least_group);
        let (mut limits, queries) = (self.setting.limits.clone(), Arc::clone(&self.setting.queries));
        let open = move || {
            let is_analyst = who.role == Role::Analyst;
            let snapshot = if is_analyst {
                limits.least_group = Some(least);
                shown.by_pseudonym(&key)
            } else {
                &shown.all
            };
            let session = Session::new(snapshot, limits)?;
            session.add_queries(queries.told()?, who.name.as_deref().filter(|_| is_analyst))?;
            Ok::<_, QueryError>(session)
        };
        Ok(self.apart(open).await??)
    }

    /// The statement of a question, and where it is asked.
    async fn asked(&self, who: Arc<Admitted>, question: Question) -> Result<(Session, Statement), Refusal> {
        match question.of {
            Of::Facts => {
                let statement = self.apart(move || Session::statement(&question.text)).await??;
                Ok((self.session(who).await?, statement))
            }
            #[cfg(feature = "postgres")]
            Of::Catalog => {
                let statement = self.apart(move || Catalog::statement(&question.text)).await??;
                Ok((self.catalog(who).await?.session(), Statement::Statement(Box::new(statement))))
            }
        }
    }

    /// What a statement would give; with values of `given` types, if who asks says of what types values will be.
    ///
    /// # Errors
    /// What the question is wrong in.
    pub(crate) async fn describe(
        self: &Arc<Self>,
        who: Arc<Admitted>,
        question: &Question,
        given: Option<Vec<Option<DataType>>>,
    ) -> Result<Description, Refusal> {
        let described = self.described(Arc::clone(&who), question.clone(), given).await;
        if let Err(why) = &described {
            self.refused(who, &question.text, &why.message).await?;
        }
        described
    }

    async fn described(
        &self,
        who: Arc<Admitted>,
        question: Question,
        given: Option<Vec<Option<DataType>>>,
    ) -> Result<Description, Refusal> {
        let turn = self.looks.acquire().await;
        let _turn = turn.map_err(|_| Refusal::new(Kind::Unavailable, "the door closes"))?;
        let mut limit = self.limit();
        let described = async {
            let (session, statement) = self.asked(who, question).await?;
            // What takes long to plan keeps nobody waiting but who asks.
            let threads = threads(1)?;
            let described = Ending(threads.handle().spawn(async move { session.describe(statement, given).await }));
            Ok(described.await??)
        };
        self.in_time(&mut limit, described).await
    }

    /// Records what was asked, where nothing comes of it.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub(crate) async fn refused(self: &Arc<Self>, who: Arc<Admitted>, text: &str, why: &str) -> Result<(), Refusal> {
        self.under_way(who, text).await?.ended = Some(why.to_owned());
        Ok(())
    }

    /// Records that something is asked.
    async fn under_way(self: &Arc<Self>, who: Arc<Admitted>, text: &str) -> Result<UnderWay, Refusal> {
        let (desk, text) = (Arc::clone(self), text.to_owned());
        let asked = move || {
            let Setting { queries, now, .. } = &desk.setting;
            let query = queries.asked(now(), who.name.as_deref(), who.role.name(), &text)?;
            Ok::<_, QueryError>(UnderWay { desk, query, rows: 0, ended: Some(ENDED_BY_WHO_ASKED.to_owned()) })
        };
        Ok(self.apart(asked).await??)
    }

    /// Names and columns of all tables.
    ///
    /// # Errors
    /// A snapshot whose files are gone.
    pub(crate) async fn tables(&self, who: Arc<Admitted>) -> Result<Vec<(String, String, SchemaRef)>, Refusal> {
        Ok(self.session(who).await?.tables().await?)
    }

    /// Answers a statement, on the door's own threads, so that its time is seen to end. Dropping the answer ends the query; so does its
    /// time, whether anybody takes the rows or not.
    ///
    /// # Errors
    /// What the question is wrong in; what cannot be recorded is not answered.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        who: Arc<Admitted>,
        question: Question,
        values: Vec<ScalarValue>,
    ) -> Result<Rows, Refusal> {
        let said = values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
        let said = if values.is_empty() { question.text.clone() } else { format!("{} -- with {said}", question.text) };
        let is_analyst = who.role == Role::Analyst;
        let mut under_way = self.under_way(Arc::clone(&who), &said).await?;
        let begun = self.begin(who, question, values).await;
        let Begun { answer, limit, turn, threads } =
            begun.inspect_err(|why| under_way.ended = Some(why.message.clone()))?;
        let Answer { schema, batches } = answer.plain();
        let (sender, receiver) = mpsc::channel(1);
        let ended = Arc::new(OnceLock::new());
        let giving = Giving { batches, limit, under_way, is_analyst, _turn: turn, _threads: threads };
        tokio::spawn(giving.give(sender, Arc::clone(&ended)));
        Ok(Rows { schema, receiver, ended })
    }

    async fn begin(&self, who: Arc<Admitted>, question: Question, values: Vec<ScalarValue>) -> Result<Begun, Refusal> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Refusal::new(Kind::Unavailable, "the door closes"))?;
        let mut limit = self.limit();
        let asked = async {
            let (session, statement) = self.asked(who, question).await?;
            let threads = threads(self.threads)?;
            let asked = Ending(threads.handle().spawn(async move { session.ask_with(statement, values).await }));
            Ok((asked.await??, threads))
        };
        let (answer, threads) = self.in_time(&mut limit, asked).await?;
        Ok(Begun { answer, limit, turn, threads })
    }

    /// What somebody waits for, if it comes before their time is over.
    async fn in_time<T>(
        &self,
        limit: &mut Limit,
        what: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            done = what => done,
            () = over(limit) => Err(self.took_long()),
        }
    }

    fn limit(&self) -> Limit {
        self.setting.limits.time.map(|limit| Box::pin(tokio::time::sleep(limit)))
    }

    fn took_long(&self) -> Refusal {
        QueryError::TookLong { limit: self.setting.limits.time.unwrap_or_default() }.into()
    }
}

#[cfg(feature = "postgres")]
impl Desk {
    /// Waits until no question is under way.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.setting.at_once).unwrap_or(u32::MAX);
        drop(self.turns.acquire_many(all).await);
    }

    /// The catalog that who asks sees, which is the same for all.
    async fn catalog(&self, who: Arc<Admitted>) -> Result<Arc<Catalog>, Refusal> {
        if let Some(catalog) = self.catalog.get() {
            return Ok(Arc::clone(catalog));
        }
        let tables = self.tables(who).await?;
        let made = Arc::new(Catalog::new(&tables, self.setting.limits.clone())?);
        Ok(Arc::clone(self.catalog.get_or_init(|| made)))
    }
}

/// Threads of a question.
fn threads(count: usize) -> Result<Threads, Refusal> {
    Threads::new(count).map_err(|error| Refusal::new(Kind::Unavailable, error.to_string()))
}

/// When a time is over, if ever.
type Limit = Option<Pin<Box<Sleep>>>;

/// Waits until a time is over; for ever if there is none.
async fn over(limit: &mut Limit) {
    match limit {
        Some(limit) => limit.as_mut().await,
        None => std::future::pending().await,
    }
}

/// A task that ends with whoever waits for it.
struct Ending<T>(JoinHandle<T>);

impl<T> Future for Ending<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a question ends that nobody waits for.
const ENDED_BY_WHO_ASKED: &str = "ended by who asked";
/// How a question ends that the engine itself fails at, or that is under way when the doors close.
const BROKE_OFF: &str = "the answer broke off: the door was closed, or the server is at fault";

/// An answer that has begun.
struct Begun {
    answer: Answer,
    limit: Limit,
    turn: OwnedSemaphorePermit,
    threads: Threads,
}

/// A question that is being answered. However that ends, it is recorded.
struct UnderWay {
    desk: Arc<Desk>,
    query: Query,
    rows: u64,
    /// Why it ends, if not with all rows.
    ended: Option<String>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Setting { queries, now, .. } = &self.desk.setting;
        // The question is recorded; if its end cannot be, it looks like one under way.
        let _ = queries.ended(self.query, now(), self.rows, self.ended.as_deref());
    }
}

/// An answer that is given out, with all that it holds.
struct Giving {
    batches: SendableRecordBatchStream,
    limit: Limit,
    under_way: UnderWay,
    is_analyst: bool,
    _turn: OwnedSemaphorePermit,
    _threads: Threads,
}

impl Giving {
    /// Hands rows on until they end, their time is over or nobody takes them. How they end is said before `sender` is dropped.
    async fn give(mut self, sender: mpsc::Sender<RecordBatch>, said: Arc<OnceLock<Result<(), Refusal>>>) {
        self.under_way.ended = Some(BROKE_OFF.to_owned());
        let all = Self::all(&mut self.batches, &mut self.under_way.rows, self.is_analyst, &sender);
        let ended = tokio::select! {
            ended = AssertUnwindSafe(all).catch_unwind() => {
                ended.unwrap_or_else(|_| Err(Refusal::new(Kind::Failed, BROKE_OFF)))
            }
            () = over(&mut self.limit) => Err(self.under_way.desk.took_long()),
            () = sender.closed() => Err(Refusal::new(Kind::Cancelled, ENDED_BY_WHO_ASKED)),
        };
        self.under_way.ended = ended.as_ref().err().map(|why| why.message.clone());
        // The record has its end before who asked hears of it.
        drop(self);
        let _ = said.set(ended);
    }

    async fn all(
        batches: &mut SendableRecordBatchStream,
        rows: &mut u64,
        is_analyst: bool,
        sender: &mpsc::Sender<RecordBatch>,
    ) -> Result<(), Refusal> {
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| failed(error, is_analyst))?;
            let of_batch = batch.num_rows() as u64;
            if sender.send(batch).await.is_ok() {
                *rows += of_batch;
            }
        }
        Ok(())
    }
}

/// Why a query fails on its way. What a value is wrong in names the value, and an analyst sees nobody's.
fn failed(error: DataFusionError, is_analyst: bool) -> Refusal {
    let is_of_values = !matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
    if is_analyst && is_of_values {
        return Refusal::new(Kind::Failed, "the question fails on some row, and rows are not shown");
    }
    QueryError::from(error).into()
}

/// The rows of an answer.
pub(crate) struct Rows {
    /// Columns.
    pub(crate) schema: SchemaRef,
    receiver: mpsc::Receiver<RecordBatch>,
    /// How they end: nothing is said of an answer that broke off.
    ended: Arc<OnceLock<Result<(), Refusal>>>,
}

impl Rows {
    /// The rows, as they come.
    pub(crate) fn batches(self) -> impl Stream<Item = Result<RecordBatch, Refusal>> + Send {
        stream::unfold(Some(self), |rows| async {
            let mut rows = rows?;
            match rows.receiver.recv().await {
                Some(batch) => Some((Ok(batch), Some(rows))),
                None => match rows.ended.get().cloned() {
                    Some(ended) => ended.err().map(|why| (Err(why), None)),
                    None => Some((Err(Refusal::new(Kind::Failed, BROKE_OFF)), None)),
                },
            }
        })
    }
}

//! Who asks, and what they may see; what they asked, and how it ended.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement;
use futures::{Stream, StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Sleep;
use tonic::{Request, Status};

use crate::access::{Access, Admitted, Denied, Role, bearer};
use crate::model::Timestamp;
use crate::query::{Answer, Description, Limits, PseudonymKey, Queries, Query, QueryError, Session, Snapshot, Threads};

/// The facts that questions are asked of now.
#[derive(Debug)]
pub struct Published(RwLock<Arc<Shown>>);

/// A snapshot, as each role sees it.
#[derive(Debug)]
struct Shown {
    all: Arc<Snapshot>,
    /// Made when an analyst first asks.
    by_pseudonym: OnceLock<Arc<Snapshot>>,
}

impl Shown {
    fn of(all: Arc<Snapshot>) -> Arc<Self> {
        Arc::new(Self { all, by_pseudonym: OnceLock::new() })
    }
}

impl Published {
    /// These facts.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(RwLock::new(Shown::of(snapshot)))
    }

    /// Other facts from now on. Questions under way go on with those that they began with.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Shown::of(snapshot);
    }

    fn now(&self) -> Arc<Shown> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a desk is told.
#[derive(Debug)]
pub struct Setting {
    /// Who may ask.
    pub access: Access,
    /// What is asked of.
    pub published: Arc<Published>,
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

/// Where questions are taken and answered.
#[derive(Debug)]
pub struct Desk {
    setting: Setting,
    turns: Arc<Semaphore>,
    /// Threads of each question.
    threads: usize,
    /// Where questions are looked at before they are answered.
    runtime: Handle,
}

impl Desk {
    /// A desk. Questions are looked at on `runtime`, and answered on so many threads of their own.
    #[must_use]
    pub fn new(setting: Setting, threads: usize, runtime: Handle) -> Self {
        let turns = Arc::new(Semaphore::new(setting.at_once));
        Self { setting, turns, threads, runtime }
    }

    /// Lets a request in that says who asks: by a bearer token, or by a token as a password, as tools with a form for those do.
    pub(super) fn admit(&self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get("authorization").and_then(|given| given.to_str().ok());
        let token = given.and_then(token_in);
        let admitted = self.setting.access.admit(token.as_deref()).map_err(|denied| match denied {
            Denied::Unknown => Status::unauthenticated(denied.to_string()),
            Denied::TooFast => Status::resource_exhausted(denied.to_string()),
        })?;
        if !matches!(admitted.role, Role::Analyst | Role::Official | Role::Operator) {
            return Err(Status::permission_denied("questions are not for your role"));
        }
        request.extensions_mut().insert(Arc::new(admitted));
        if let Some(token) = token {
            request.extensions_mut().insert(Token(token));
        }
        Ok(request)
    }

    /// A session for who asks, over what is published now. Cost: for the first analyst of a snapshot, a hash a person.
    async fn session(&self, who: Arc<Admitted>) -> Result<Session, Status> {
        let shown = self.setting.published.now();
        let (key, least) = (self.setting.key.clone(), self.setting.least_group);
        let (mut limits, queries) = (self.setting.limits.clone(), Arc::clone(&self.setting.queries));
        let open = move || {
            let is_analyst = who.role == Role::Analyst;
            let snapshot = if is_analyst {
                limits.least_group = Some(least);
                shown.by_pseudonym.get_or_init(|| Arc::new(shown.all.pseudonymous(&key)))
            } else {
                &shown.all
            };
            let session = Session::new(snapshot, limits)?;
            session.add_queries(queries.path(), who.name.as_deref().filter(|_| is_analyst))?;
            Ok(session)
        };
        let opened = self.runtime.spawn_blocking(open).await;
        opened.map_err(|error| gone(&error))?.map_err(status)
    }

    /// What a statement would give.
    ///
    /// # Errors
    /// What the question is wrong in.
    pub(super) async fn describe(self: &Arc<Self>, who: Arc<Admitted>, text: &str) -> Result<Description, Status> {
        let described = self.described(Arc::clone(&who), text).await;
        if let Err(why) = &described {
            // What was asked is recorded also where nothing comes of it.
            self.under_way(who, text).await?.ended = Some(why.message().to_owned());
        }
        described
    }

    async fn described(&self, who: Arc<Admitted>, text: &str) -> Result<Description, Status> {
        let statement = statement(text)?;
        let session = self.session(who).await?;
        let described = self.runtime.spawn(async move { session.describe(statement).await }).await;
        described.map_err(|error| gone(&error))?.map_err(status)
    }

    /// Records that something is asked.
    async fn under_way(self: &Arc<Self>, who: Arc<Admitted>, text: &str) -> Result<UnderWay, Status> {
        let (desk, text) = (Arc::clone(self), text.to_owned());
        let asked = move || {
            let Setting { queries, now, .. } = &desk.setting;
            let query = queries.asked(now(), who.name.as_deref(), who.role.name(), &text)?;
            Ok(UnderWay { desk, query, rows: 0, ended: Some("ended by who asked".to_owned()) })
        };
        self.runtime.spawn_blocking(asked).await.map_err(|error| gone(&error))?.map_err(status)
    }

    /// Names and columns of all tables.
    ///
    /// # Errors
    /// A snapshot whose files are gone.
    pub(super) async fn tables(&self, who: Arc<Admitted>) -> Result<Vec<(String, String, SchemaRef)>, Status> {
        self.session(who).await?.tables().await.map_err(status)
    }

    /// Answers a statement. Dropping the answer ends the query.
    ///
    /// # Errors
    /// What the question is wrong in; what cannot be recorded is not answered.
    pub(super) async fn answer(
        self: Arc<Self>,
        who: Arc<Admitted>,
        text: String,
        values: Vec<ScalarValue>,
    ) -> Result<Rows, Status> {
        let said = values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
        let said = if values.is_empty() { text.clone() } else { format!("{text} -- with {said}") };
        let is_analyst = who.role == Role::Analyst;
        let mut under_way = self.under_way(Arc::clone(&who), &said).await?;
        let begun = self.begin(who, &text, values).await;
        let begun = begun.inspect_err(|why| under_way.ended = Some(why.message().to_owned()))?;
        let Begun { answer, limit, turn, threads } = begun;
        let Answer { schema, batches } = answer.plain();
        Ok(Rows { schema, batches, limit, under_way, is_analyst, _turn: turn, _threads: threads })
    }

    async fn begin(&self, who: Arc<Admitted>, text: &str, values: Vec<ScalarValue>) -> Result<Begun, Status> {
        let statement = statement(text)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the door closes"))?;
        let session = self.session(who).await?;
        let mut limit = self.setting.limits.time.map(|limit| Box::pin(tokio::time::sleep(limit)));
        let threads = Threads::new(self.threads).map_err(|error| Status::unavailable(error.to_string()))?;
        let asked = Ending(threads.handle().spawn(async move { session.ask_with(statement, values).await }));
        let begun = tokio::select! {
            begun = asked => begun,
            () = over(&mut limit) => return Err(self.took_long()),
        };
        let answer = begun.map_err(|error| gone(&error))?.map_err(status)?;
        Ok(Begun { answer, limit, turn, threads })
    }

    fn took_long(&self) -> Status {
        status(QueryError::TookLong { limit: self.setting.limits.time.unwrap_or_default() })
    }
}

/// An answer that has begun.
struct Begun {
    answer: Answer,
    /// When its time is over.
    limit: Option<Pin<Box<Sleep>>>,
    turn: OwnedSemaphorePermit,
    threads: Threads,
}

/// A token that was given, to be given back where a tool wants that.
#[derive(Clone)]
pub(super) struct Token(pub(super) String);

/// How a user and a password are written: some drivers leave the padding out.
const PAIR: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The token in an `Authorization`: a bearer's, or the password of whatever user.
fn token_in(given: &str) -> Option<String> {
    if let Some(token) = bearer(given) {
        return Some(token.to_owned());
    }
    let (scheme, pair) = given.split_once(' ')?;
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| PAIR.decode(pair.trim()).ok())??;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

fn statement(text: &str) -> Result<Statement, Status> {
    let mut statements = Session::statements(text).map_err(status)?;
    match statements.pop() {
        Some(statement) if statements.is_empty() => Ok(statement),
        Some(_) => Err(Status::invalid_argument("one statement is answered at a time")),
        None => Err(Status::invalid_argument("there is no statement")),
    }
}

/// An error as who asks reads it.
fn status(error: QueryError) -> Status {
    let message = error.to_string();
    match error {
        QueryError::TookLong { .. } => Status::deadline_exceeded(message),
        QueryError::Cancelled => Status::cancelled(message),
        QueryError::ReadOnly { .. }
        | QueryError::Outside { .. }
        | QueryError::Setting { .. }
        | QueryError::Alone { .. }
        | QueryError::Untold { .. } => Status::permission_denied(message),
        QueryError::Engine(error) if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
            Status::resource_exhausted(message)
        }
        error if error.is_of_words() => Status::invalid_argument(message),
        _ => Status::internal(message),
    }
}

/// A task that has no answer.
fn gone(error: &JoinError) -> Status {
    Status::internal(error.to_string())
}

/// Waits until a time is over; for ever if there is none.
async fn over(limit: &mut Option<Pin<Box<Sleep>>>) {
    match limit {
        Some(limit) => limit.as_mut().await,
        None => std::future::pending().await,
    }
}

/// A task that ends with whoever waits for it.
struct Ending<T>(JoinHandle<T>);

impl<T> Future for Ending<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
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

/// The rows of an answer.
pub(super) struct Rows {
    pub(super) schema: SchemaRef,
    batches: SendableRecordBatchStream,
    limit: Option<Pin<Box<Sleep>>>,
    under_way: UnderWay,
    is_analyst: bool,
    _turn: OwnedSemaphorePermit,
    _threads: Threads,
}

impl Rows {
    /// Why a query fails on its way. What a value is wrong in names the value, and an analyst sees nobody's.
    fn failed(&self, error: DataFusionError) -> Status {
        let is_of_values = !matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
        if self.is_analyst && is_of_values {
            return Status::internal("the question fails on some row, and rows are not shown");
        }
        status(error.into())
    }

    /// The rows, as they come.
    pub(super) fn batches(self) -> impl Stream<Item = Result<RecordBatch, Status>> + Send {
        stream::unfold(Some(self), |rows| async {
            let mut rows = rows?;
            let next = tokio::select! {
                next = rows.batches.next() => next.map(|next| next.map_err(|error| rows.failed(error))),
                () = over(&mut rows.limit) => Some(Err(rows.under_way.desk.took_long())),
            };
            match next {
                Some(Ok(batch)) => {
                    rows.under_way.rows += batch.num_rows() as u64;
                    Some((Ok(batch), Some(rows)))
                }
                Some(Err(why)) => {
                    rows.under_way.ended = Some(why.message().to_owned());
                    Some((Err(why), None))
                }
                None => {
                    rows.under_way.ended = None;
                    None
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_a_bearers_or_as_a_password() {
        assert_eq!(token_in("Bearer  tok ").as_deref(), Some("tok"));
        assert_eq!(token_in("basic YW5hOnRvOms=").as_deref(), Some("to:k"));
        assert_eq!(token_in("Basic YW5hOnRvOms").as_deref(), Some("to:k"));
        assert!(
            ["", "tok", "Basic", "Basic ?", "Basic YW5h", "Digest tok"].iter().all(|given| token_in(given).is_none())
        );
    }
}

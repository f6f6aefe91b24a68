//! A connection: who is at its other end, what they say and what they are told.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::DataType;
use arrow_pg::datatypes::df::deserialize_parameters;
use arrow_pg::datatypes::{arrow_schema_to_pg_fields, into_pg_type};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use futures::{Sink, SinkExt as _};
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::copy::send_copy_out_response;
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_execution_response, send_query_response, send_ready_for_query,
};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, PgWireServerHandlers,
    PidSecretKeyGenerator as _, RandomPidSecretKeyGenerator, Type,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::extendedquery::Execute;
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::watch;

use super::rows::{self, Told};
use super::said;
use super::words::{self, Act};
use crate::access::Admitted;
use crate::desk::{Desk, Of, Question, Rows};
use crate::limits::ROWS_AT_ONCE_MAX;
use crate::query::{Description, POSTGRES_VERSION};

/// How a line is known to who wants to end what is asked on it: a number, and a secret.
type Key = (i32, Bytes);

/// All lines on which somebody is let in.
#[derive(Default)]
pub(super) struct Lines {
    keys: RandomPidSecretKeyGenerator,
    open: Mutex<HashMap<Key, watch::Sender<()>>>,
}

/// A connection.
pub(super) struct Line {
    desk: Arc<Desk>,
    lines: Arc<Lines>,
    wants_tls: bool,
    /// What whoever is let in has said who they are by; nothing where nobody is asked.
    token: OnceLock<Option<String>>,
    key: OnceLock<Key>,
    /// Tells what is under way on this line to end.
    end: watch::Sender<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            self.lines.open.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }
}

impl Line {
    pub(super) fn new(desk: Arc<Desk>, lines: Arc<Lines>, wants_tls: bool) -> Self {
        Self { desk, lines, wants_tls, token: OnceLock::new(), key: OnceLock::new(), end: watch::Sender::new(()) }
    }

    /// Whether somebody is let in.
    pub(super) fn is_let_in(&self) -> bool {
        self.token.get().is_some()
    }

    /// Who is at the other end; each question is one at their pace.
    fn who(&self) -> PgWireResult<Arc<Admitted>> {
        let nobody = || said("FATAL", "28000", "nobody is let in yet");
        let token = self.token.get().ok_or_else(nobody)?;
        Ok(self.desk.admit(token.as_deref())?)
    }

    /// Lets somebody in.
    async fn welcome<C>(&self, client: &mut C, token: Option<String>) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // Somebody for whom questions are not is told so at once, and let go.
        if let Err(refusal) = self.desk.admit(token.as_deref()) {
            return Err(said("FATAL", "28P01", refusal.message));
        }
        let _ = self.token.set(token);
        let (number, secret) = self.lines.keys.generate(client);
        let key = self.key.get_or_init(|| (number, secret.to_bytes()));
        self.lines.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), self.end.clone());
        client.set_pid_and_secret_key(number, secret);
        let mut told = DefaultServerParameterProvider::default();
        POSTGRES_VERSION.clone_into(&mut told.server_version);
        "UTC".clone_into(&mut told.time_zone);
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        finish_authentication(client, &told).await
    }

    /// What the statements of a text want.
    async fn acts(&self, text: String) -> PgWireResult<Vec<Act>> {
        self.desk.apart(move || words::acts(&text)).await?
    }

    async fn rows(&self, question: Question, values: Vec<ScalarValue>, told: &mut Told) -> PgWireResult<Rows> {
        let who = self.who()?;
        tokio::select! {
            rows = self.desk.answer(who, question, values) => Ok(rows?),
            _ = told.changed() => Err(rows::ended()),
        }
    }

    async fn respond(
        &self,
        status: TransactionStatus,
        act: Act,
        values: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Response> {
        let mut told = self.end.subscribe();
        if status == TransactionStatus::Error && !matches!(act, Act::End(_) | Act::Back) {
            return Err(said("ERROR", "25P02", "the transaction has failed; ROLLBACK ends it"));
        }
        Ok(match act {
            Act::Answer(question) => {
                let rows = self.rows(question, values, &mut told).await?;
                Response::Query(rows::answer(rows, format, told)?)
            }
            Act::Copy(question, form) => {
                let rows = self.rows(question, values, &mut told).await?;
                Response::CopyOut(rows::copied(rows, form, told).await?)
            }
            Act::Show { name, value } => Response::Query(rows::shown(&name, &value)?),
            Act::Begin => Response::TransactionStart(Tag::new("BEGIN")),
            Act::End(_) if status == TransactionStatus::Error => Response::TransactionEnd(Tag::new("ROLLBACK")),
            Act::End(words) => Response::TransactionEnd(Tag::new(words)),
            Act::Back => Response::TransactionStart(Tag::new("ROLLBACK")),
            Act::Agree(words) => Response::Execution(Tag::new(words)),
        })
    }
}

#[async_trait]
impl StartupHandler for Line {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                if self.wants_tls && !client.is_secure() {
                    return Err(said("FATAL", "28000", "this door wants TLS: sslmode=verify-full"));
                }
                if self.desk.access().is_open() {
                    return self.welcome(client, None).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(given) => {
                self.welcome(client, Some(given.into_password()?.password)).await
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl CancelHandler for Line {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes());
        if let Some(end) = self.lines.open.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            end.send_replace(());
        }
    }
}

#[async_trait]
impl SimpleQueryHandler for Line {
    /// Each statement is answered before the next begins: all of them at once would wait for each other's turns.
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let acts = self.acts(query.query).await?;
        if acts.is_empty() {
            client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for act in acts {
            let response = self.respond(client.transaction_status(), act, Vec::new(), &Format::UnifiedText).await?;
            send(client, response, true).await?;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Prepared { act, .. } = self.prepared(query).await?.ok_or_else(one_at_a_time)?;
        let format = Format::UnifiedText;
        Ok(vec![self.respond(client.transaction_status(), act, Vec::new(), &format).await?])
    }
}

/// Sends an answer as its rows come, after what its columns are if those are to be told.
async fn send<C>(client: &mut C, response: Response, with_columns: bool) -> PgWireResult<()>
where
    C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let status = client.transaction_status();
    match response {
        Response::Query(rows) => send_query_response(client, rows, with_columns).await,
        Response::CopyOut(rows) => send_copy_out_response(client, rows).await,
        Response::Execution(tag) => send_execution_response(client, tag).await,
        Response::TransactionStart(tag) => {
            client.set_transaction_status(TransactionStatus::Transaction);
            send_execution_response(client, tag).await
        }
        Response::TransactionEnd(tag) => {
            client.set_transaction_status(status.to_idle_state());
            send_execution_response(client, tag).await
        }
        other => Err(said("ERROR", "0A000", format!("{other:?} is no answer here"))),
    }
}

/// A statement that is asked more than once, or with values.
#[derive(Clone)]
pub(super) struct Prepared {
    act: Act,
    /// Of a question.
    description: Option<Description>,
}

fn one_at_a_time() -> PgWireError {
    said("ERROR", "42601", "one statement is prepared at a time")
}

impl Line {
    /// A statement, looked at; `None` if there is none.
    async fn prepared(&self, text: &str) -> PgWireResult<Option<Prepared>> {
        let mut acts = self.acts(text.to_owned()).await?;
        let Some(act) = acts.pop() else { return Ok(None) };
        if !acts.is_empty() {
            return Err(one_at_a_time());
        }
        let description = match &act {
            Act::Answer(question) | Act::Copy(question, _) => Some(self.desk.describe(self.who()?, question).await?),
            _ => None,
        };
        Ok(Some(Prepared { act, description }))
    }
}

#[async_trait]
impl QueryParser for Line {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, _: &C, text: &str, _: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        self.prepared(text).await
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        let of = |kind: &Option<_>| kind.as_ref().map_or(Ok(Type::TEXT), into_pg_type);
        prepared.description.iter().flat_map(|description| &description.parameters).map(of).collect()
    }

    fn get_result_schema(&self, prepared: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        match (&prepared.act, &prepared.description) {
            (Act::Answer(_), Some(Description { schema, .. })) => {
                arrow_schema_to_pg_fields(schema, format.unwrap_or(&Format::UnifiedText), None)
            }
            (Act::Show { name, .. }, _) => Ok(rows::shown_field(name)),
            _ => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ExtendedQueryHandler for Speaking {
    type Statement = Prepared;
    type QueryParser = Line;

    fn query_parser(&self) -> Arc<Line> {
        Arc::clone(&self.0)
    }

    /// Rows are sent as they come if all are wanted; of pgwire's own they would all be in memory first.
    async fn on_execute<C>(&self, client: &mut C, mut message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let portal = match client.portal_store().get_portal(message.name.as_deref().unwrap_or(DEFAULT_NAME)) {
            Some(Entry::Value(portal)) if message.max_rows <= 0 => portal,
            _ => {
                message.max_rows = message.max_rows.min(ROWS_AT_ONCE_MAX);
                return self._on_execute(client, message).await;
            }
        };
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let begun = std::mem::replace(&mut *portal.state().lock().await, PortalExecutionState::Finished);
        let response = match begun {
            PortalExecutionState::Initial => ExtendedQueryHandler::do_query(self, client, &portal, 0).await?,
            PortalExecutionState::Suspended(rest) => Response::Query(rest),
            PortalExecutionState::Finished => Response::Execution(Tag::new("SELECT").with_rows(0)),
        };
        // Columns are told when a statement is described.
        send(client, response, false).await?;
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let Prepared { act, description } = portal.statement.statement.clone();
        let kinds = description.map(|description| description.parameters).unwrap_or_default();
        let of_catalog = matches!(&act, Act::Answer(Question { of: Of::Catalog, .. }));
        let values = values(portal, &kinds, of_catalog)?;
        self.0.respond(client.transaction_status(), act, values, &portal.result_column_format).await
    }
}

/// The values of a statement's parameters.
fn values(portal: &Portal<Prepared>, kinds: &[Option<DataType>], of_catalog: bool) -> PgWireResult<Vec<ScalarValue>> {
    if portal.parameter_len() != kinds.len() {
        let (given, wanted) = (portal.parameter_len(), kinds.len());
        return Err(said("ERROR", "08P01", format!("{given} values are given for {wanted} parameters")));
    }
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let text = DataType::Utf8;
    // A type that the client names is the client's; a parameter of which nobody says anything is a text.
    let named = |at: usize| portal.statement.parameter_types.get(at).is_some_and(Option::is_some);
    let open = |at: usize| kinds[at].is_none() && !named(at);
    let known = kinds.iter().enumerate().map(|(at, kind)| kind.as_ref().or(open(at).then_some(&text)));
    let ParamValues::List(values) = deserialize_parameters(portal, &known.collect::<Vec<_>>())? else {
        return Err(said("ERROR", "08P01", "values have numbers here"));
    };
    let values = values.into_iter().map(|value| value.value).enumerate();
    Ok(values.map(|(at, value)| if of_catalog && open(at) { array(value) } else { value }).collect())
}

/// Several texts, if that is how a text reads: where a client leaves the type of a value to the server, Postgres sees from
/// `= ANY($1)` that it is an array, and DataFusion does not.
fn array(value: ScalarValue) -> ScalarValue {
    let ScalarValue::Utf8(Some(text)) = &value else { return value };
    let Some(inside) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return value };
    let texts = inside.split(',').map(|text| ScalarValue::from(text.trim().trim_matches('"')));
    ScalarValue::List(ScalarValue::new_list(&texts.collect::<Vec<_>>(), &DataType::Utf8, true))
}

/// A line that takes questions with values: pgwire wants the parser of statements apart.
pub(super) struct Speaking(Arc<Line>);

/// A line as the protocol speaks to it.
pub(super) struct Speaks(pub(super) Arc<Line>);

impl PgWireServerHandlers for Speaks {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.0)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(Speaking(Arc::clone(&self.0)))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.0)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.0)
    }
}

//! A connection: who is at its other end, what they say and what they are told.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::{Sink, SinkExt as _, StreamExt as _};
use pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::portal::Format;
use pgwire::api::query::{SimpleQueryHandler, send_execution_response, send_query_response, send_ready_for_query};
use pgwire::api::results::{CopyEncoder, QueryResponse, Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{
    ClientInfo, ClientPortalStore, PgWireConnectionState, PidSecretKeyGenerator as _, RandomPidSecretKeyGenerator,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::watch;

use super::prepared::Prepared;
use super::rows::{self, Copied, Told};
use super::said;
use super::words::{self, Act};
use crate::access::Admitted;
use crate::desk::{Desk, Question, Rows};
use crate::limits::QUERY_BYTES_MAX;
use crate::query::POSTGRES_VERSION;

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
    pub(super) desk: Arc<Desk>,
    lines: Arc<Lines>,
    wants_tls: bool,
    /// Who is let in.
    guest: watch::Sender<Option<Guest>>,
    key: OnceLock<Key>,
    /// Tells what is under way on this line to end.
    end: watch::Sender<()>,
}

/// Somebody who is let in.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) who: Arc<Admitted>,
    /// What they have said who they are by; nothing where nobody is asked.
    token: Option<String>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            self.lines.open.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }
}

/// What a statement is answered with.
pub(super) enum Reply {
    Rows(QueryResponse),
    Copied(Copied),
    Done(Tag),
    /// Done, and in a transaction from then on.
    Within(Tag),
    /// Done, and in no transaction from then on.
    Without(Tag),
}

impl Line {
    pub(super) fn new(desk: Arc<Desk>, lines: Arc<Lines>, wants_tls: bool) -> Self {
        let (guest, key) = (watch::Sender::new(None), OnceLock::new());
        Self { desk, lines, wants_tls, guest, key, end: watch::Sender::new(()) }
    }

    /// Whether somebody is let in.
    pub(super) fn is_let_in(&self) -> bool {
        self.guest.borrow().is_some()
    }

    /// Waits until somebody is let in.
    pub(super) async fn let_in(&self) {
        drop(self.guest.subscribe().wait_for(Option::is_some).await);
    }

    pub(super) fn guest(&self) -> PgWireResult<Guest> {
        let nobody = || said("FATAL", "28000", "nobody is let in yet");
        self.guest.borrow().clone().ok_or_else(nobody)
    }

    /// Lets somebody in.
    async fn welcome<C>(&self, client: &mut C, token: Option<String>) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // Somebody for whom questions are not is told so at once, and let go.
        let who = self.desk.admit(token.as_deref()).map_err(|refusal| fatal(refusal.into()))?;
        let (number, secret) = self.lines.keys.generate(client);
        let key = self.key.get_or_init(|| (number, secret.to_bytes()));
        self.lines.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), self.end.clone());
        client.set_pid_and_secret_key(number, secret);
        self.guest.send_replace(Some(Guest { who, token }));
        let mut told = DefaultServerParameterProvider::default();
        POSTGRES_VERSION.clone_into(&mut told.server_version);
        "UTC".clone_into(&mut told.time_zone);
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        finish_authentication(client, &told).await
    }

    /// What the statements of a text want. A text that wants nothing that is known is recorded.
    pub(super) async fn acts(&self, text: String) -> PgWireResult<Vec<Act>> {
        let Guest { who, .. } = self.guest()?;
        let looked_at = text.clone();
        let acts = self.desk.apart(move || words::acts(&looked_at)).await?;
        if let Err(why) = &acts {
            let mut text = text;
            text.truncate(text.floor_char_boundary(QUERY_BYTES_MAX));
            self.desk.refused(who, &text, &message(why)).await?;
        }
        acts
    }

    async fn rows(&self, question: Question, values: Vec<ScalarValue>, told: &mut Told) -> PgWireResult<Rows> {
        // Each question is one at the pace of who asks.
        let who = self.desk.admit(self.guest()?.token.as_deref())?;
        tokio::select! {
            rows = self.desk.answer(who, question, values) => Ok(rows?),
            _ = told.changed() => Err(rows::ended()),
        }
    }

    /// Answers a statement; its rows as they were described, if they were.
    pub(super) async fn reply(
        &self,
        status: TransactionStatus,
        Prepared { act, description }: Prepared,
        values: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Reply> {
        let mut told = self.end.subscribe();
        match (status, &act) {
            (_, Act::End(_)) | (TransactionStatus::Error, Act::Back) => {}
            (TransactionStatus::Error, _) => {
                return Err(said("ERROR", "25P02", "the transaction has failed; ROLLBACK ends it"));
            }
            (TransactionStatus::Idle, Act::Back | Act::Within(_)) => {
                return Err(said("ERROR", "25P01", "there is no transaction"));
            }
            _ => {}
        }
        Ok(match act {
            Act::Answer(question) => {
                let described = description.map(|description| description.schema);
                let rows = self.rows(question, values, &mut told).await?;
                Reply::Rows(rows::answer(rows, described.as_deref(), format, told)?)
            }
            Act::Copy(question, form) => {
                let rows = self.rows(question, values, &mut told).await?;
                Reply::Copied(rows::copied(rows, form, told).await?)
            }
            Act::Show { name, value } => Reply::Rows(rows::shown(name, value)?),
            Act::Begin => Reply::Within(Tag::new("BEGIN")),
            Act::End(_) if status == TransactionStatus::Error => Reply::Without(Tag::new("ROLLBACK")),
            Act::End(words) => Reply::Without(Tag::new(words)),
            Act::Back => Reply::Within(Tag::new("ROLLBACK")),
            Act::Agree(words) | Act::Within(words) => Reply::Done(Tag::new(words)),
        })
    }
}

/// What an error says.
pub(super) fn message(error: &PgWireError) -> String {
    match error {
        PgWireError::UserError(said) => said.message.clone(),
        error => error.to_string(),
    }
}

/// The same error, after which the line ends.
fn fatal(error: PgWireError) -> PgWireError {
    match error {
        PgWireError::UserError(mut said) => {
            "FATAL".clone_into(&mut said.severity);
            PgWireError::UserError(said)
        }
        error => error,
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
            let prepared = Prepared { act, description: None };
            let reply = self.reply(client.transaction_status(), prepared, Vec::new(), &Format::UnifiedText).await?;
            send(client, reply).await?;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        let status = client.transaction_status();
        send_ready_for_query(client, status).await
    }

    /// Never called: [`Self::on_query`] answers.
    async fn do_query<C>(&self, _: &mut C, _: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(PgWireError::NotReadyForQuery)
    }
}

/// Sends all of an answer, rows after what their columns are.
pub(super) async fn send<C>(client: &mut C, reply: Reply) -> PgWireResult<()>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore,
    C::Error: Debug,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match reply {
        Reply::Rows(rows) => send_query_response(client, rows, true).await,
        Reply::Copied(copied) => send_copied(client, copied).await,
        Reply::Done(tag) => send_execution_response(client, tag).await,
        Reply::Within(tag) => {
            client.set_transaction_status(TransactionStatus::Transaction);
            send_execution_response(client, tag).await
        }
        Reply::Without(tag) => {
            client.set_transaction_status(TransactionStatus::Idle);
            // What is left of answers ends with the transaction.
            client.portal_store().clear_portals();
            send_execution_response(client, tag).await
        }
    }
}

/// Sends a copy. pgwire's own tells a failure by a message that only clients may send.
async fn send_copied<C>(client: &mut C, Copied { is_binary, columns, before, mut rows }: Copied) -> PgWireResult<()>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let form = i16::from(is_binary);
    let count = i16::try_from(columns).map_err(|_| said("ERROR", "54011", "there are too many columns"))?;
    let begin = CopyOutResponse::new(i8::from(is_binary), count, vec![form; columns]);
    client.feed(PgWireBackendMessage::CopyOutResponse(begin)).await?;
    if let Some(before) = before {
        client.feed(PgWireBackendMessage::CopyData(before)).await?;
    }
    let mut sent = 0;
    while let Some(row) = rows.next().await {
        client.feed(PgWireBackendMessage::CopyData(row?)).await?;
        sent += 1;
    }
    if is_binary {
        client.feed(PgWireBackendMessage::CopyData(CopyEncoder::finish_copy_binary())).await?;
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    let tag = Tag::new("COPY").with_rows(sent);
    Ok(client.feed(PgWireBackendMessage::CommandComplete(tag.into())).await?)
}

//! Statements that are asked more than once, or with values.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use arrow_pg::datatypes::df::deserialize_parameters;
use arrow_pg::datatypes::into_pg_type;
use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use futures::{Sink, SinkExt as _};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{ExtendedQueryHandler, send_partial_query_response, send_ready_for_query};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{Execute, Sync as SyncMessage};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};

use super::line::{Line, Reply, message, send};
use super::words::Act;
use super::{rows, said};
use crate::desk::Of;
use crate::query::Description;

/// A statement that is asked more than once, or with values.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) act: Act,
    /// Of a question that has been looked at.
    pub(super) description: Option<Description>,
}

impl Line {
    /// A statement, looked at; `None` if there is none.
    async fn prepared(&self, text: &str, types: &[Option<Type>]) -> PgWireResult<Option<Prepared>> {
        let mut acts = self.acts(text.to_owned()).await?;
        let Some(act) = acts.pop() else { return Ok(None) };
        if !acts.is_empty() {
            return Err(said("ERROR", "42601", "one statement is prepared at a time"));
        }
        let description = match &act {
            Act::Answer(question) | Act::Copy(question, _) => {
                let given = types.iter().map(|kind| kind.as_ref().and_then(told_type)).collect();
                Some(self.desk.describe(self.guest()?.who, question, Some(given)).await?)
            }
            _ => None,
        };
        Ok(Some(Prepared { act, description }))
    }
}

#[async_trait]
impl QueryParser for Line {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, _: &C, text: &str, types: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        self.prepared(text, types).await
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        let of = |kind: &Option<_>| kind.as_ref().map_or(Ok(Type::TEXT), into_pg_type);
        prepared.description.iter().flat_map(|description| &description.parameters).map(of).collect()
    }

    fn get_result_schema(&self, prepared: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        match (&prepared.act, &prepared.description) {
            (Act::Answer(_), Some(Description { schema, .. })) => {
                rows::fields(schema, format.unwrap_or(&Format::UnifiedText))
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

    /// Rows are sent as they come; of pgwire's own a portion would all be in memory first.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                let nothing = PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new());
                return Ok(client.feed(nothing).await?);
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        client.set_state(PgWireConnectionState::QueryInProgress);
        let begun = std::mem::replace(&mut *portal.state().lock().await, PortalExecutionState::Finished);
        let reply = match begun {
            PortalExecutionState::Initial => {
                let prepared = portal.statement.statement.clone();
                let values = self.values(&portal, &prepared).await?;
                self.0.reply(client.transaction_status(), prepared, values, &portal.result_column_format).await?
            }
            PortalExecutionState::Suspended(rest) => Reply::Rows(rest),
            PortalExecutionState::Finished => Reply::Done(Tag::new("SELECT").with_rows(0)),
        };
        match reply {
            Reply::Rows(mut rows) => {
                // Their columns were told when the statement was described. No limit is written as nought, and by some as less.
                let most = usize::try_from(message.max_rows).unwrap_or(0);
                if send_partial_query_response(client, &mut rows, most).await? {
                    *portal.state().lock().await = PortalExecutionState::Suspended(rows);
                }
            }
            other => send(client, other).await?,
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    /// Outside of a transaction nothing is left of an answer: it would keep its turn.
    async fn on_sync<C>(&self, client: &mut C, _: SyncMessage) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let status = client.transaction_status();
        if status == TransactionStatus::Idle {
            client.portal_store().clear_portals();
        } else {
            client.portal_store().rm_portal(DEFAULT_NAME);
        }
        send_ready_for_query(client, status).await
    }

    /// Never called: [`Self::on_execute`] answers.
    async fn do_query<C>(&self, _: &mut C, _: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        Err(PgWireError::NotReadyForQuery)
    }
}

impl Speaking {
    /// The values of a statement's parameters. A question whose values are not understood is recorded.
    async fn values(&self, portal: &Portal<Prepared>, prepared: &Prepared) -> PgWireResult<Vec<ScalarValue>> {
        let (Act::Answer(question) | Act::Copy(question, _)) = &prepared.act else { return Ok(Vec::new()) };
        let kinds = prepared.description.as_ref().map_or(&[][..], |description| &description.parameters);
        let values = values(portal, kinds, question.of == Of::Catalog);
        if let Err(why) = &values {
            self.0.desk.refused(self.0.guest()?.who, &question.text, &message(why)).await?;
        }
        values
    }
}

/// The values of a statement's parameters.
fn values(portal: &Portal<Prepared>, kinds: &[Option<DataType>], of_catalog: bool) -> PgWireResult<Vec<ScalarValue>> {
    let count = portal.parameter_len();
    if count != kinds.len() {
        return Err(said("ERROR", "08P01", format!("{count} values are given for {} parameters", kinds.len())));
    }
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    rows::fits(&portal.parameter_format, count)?;
    // A value of which nobody says anything is a text.
    let text = DataType::Utf8;
    let known: Vec<_> = kinds.iter().map(|kind| Some(kind.as_ref().unwrap_or(&text))).collect();
    let ParamValues::List(values) = deserialize_parameters(portal, &known)? else {
        return Err(said("ERROR", "08P01", "values have numbers here"));
    };
    let values = values.into_iter().map(|value| value.value).zip(kinds);
    Ok(values.map(|(value, kind)| if of_catalog && kind.is_none() { array(value) } else { value }).collect())
}

/// The type of a value that a client says is of a type; `None` if what it says leaves that open.
fn told_type(kind: &Type) -> Option<DataType> {
    let list = |kind| DataType::List(Arc::new(Field::new_list_field(kind, true)));
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::TEXT | Type::VARCHAR => DataType::Utf8,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => list(DataType::Utf8),
        Type::INT4_ARRAY => list(DataType::Int32),
        Type::INT8_ARRAY => list(DataType::Int64),
        _ => return None,
    })
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
pub(super) struct Speaking(pub(super) Arc<Line>);

//! Flight SQL's calls, each handed to the desk.
//!
//! Source: Arrow's `FlightSql.proto`. What it has for changes, transactions and Substrait is not there: the answer is `UNIMPLEMENTED`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandPreparedStatementQuery, CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, SchemaAsIpc,
    Ticket,
};
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use prost::bytes::Bytes;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::metadata;
use super::token::{Token, who};
use crate::access::Admitted;
use crate::desk::{Desk, Of, Question};
use crate::limits::STATEMENTS_PREPARED_MAX;
use crate::query::{CATALOG, SCHEMA};

type Flow<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Data = Flow<arrow_flight::FlightData>;
type Answered = Result<Response<Data>, Status>;

/// The calls.
pub(super) struct Service {
    desk: Arc<Desk>,
    prepared: Mutex<Prepared>,
}

/// Statements that somebody wants to ask more than once, by their handle.
#[derive(Default)]
struct Prepared {
    last: u64,
    statements: BTreeMap<u64, Statement>,
}

#[derive(Clone)]
struct Statement {
    who: Arc<Admitted>,
    text: String,
    values: Vec<ScalarValue>,
}

impl Service {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, prepared: Mutex::default() }
    }

    fn prepared(&self) -> MutexGuard<'_, Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A statement that who asks has prepared.
    fn statement(&self, handle: &Bytes, who: &Admitted) -> Result<(u64, Statement), Status> {
        let number = handle.as_ref().try_into().map(u64::from_be_bytes).ok();
        let found = number.and_then(|number| Some((number, self.prepared().statements.get(&number)?.clone())));
        let found = found.filter(|(_, statement)| *statement.who == *who);
        found.ok_or_else(|| Status::not_found("there is no such statement, or no longer"))
    }

    async fn answered(&self, who: Arc<Admitted>, text: String, values: Vec<ScalarValue>) -> Answered {
        let rows = self.desk.answer(who, of_facts(text), values).await?;
        let schema = Arc::clone(&rows.schema);
        let batches = rows.batches().map_err(|refusal| FlightError::Tonic(Box::new(refusal.into())));
        Ok(data(schema, batches))
    }
}

fn of_facts(text: String) -> Question {
    Question { text, of: Of::Facts }
}

/// Where an answer of some columns is fetched: here, with a ticket that is a command.
fn info(
    schema: &Schema,
    command: &impl ProstMessageExt,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(command.as_any().encode_to_vec()));
    let info = FlightInfo::new().try_with_schema(schema).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Response::new(info.with_endpoint(endpoint).with_descriptor(request.into_inner())))
}

/// Batches as an answer.
fn data(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Response<Data> {
    let data = FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(Status::from);
    Response::new(data.boxed())
}

/// One batch as an answer.
fn batch(schema: SchemaRef, batch: Result<RecordBatch, FlightError>) -> Response<Data> {
    data(schema, stream::once(async { batch }))
}

fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let message = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into();
    let IpcMessage(bytes) = message.map_err(|error: arrow::error::ArrowError| Status::internal(error.to_string()))?;
    Ok(bytes)
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Flow<HandshakeResponse>>, Status> {
        let token = request.extensions().get::<Token>().map(|Token(token)| token.clone()).unwrap_or_default();
        let said = HandshakeResponse { protocol_version: 0, payload: Bytes::from(token.clone()) };
        let mut response = Response::new(stream::iter([Ok(said)]).boxed());
        if let Ok(value) = MetadataValue::try_from(format!("Bearer {token}")) {
            response.metadata_mut().insert("authorization", value);
        }
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let described = self.desk.describe(who(&request)?, &of_facts(query.query.clone()), None).await?;
        let ticket = TicketStatementQuery { statement_handle: query.query.into() };
        info(&described.schema, &ticket, request)
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> Answered {
        let text = String::from_utf8(ticket.statement_handle.into());
        let text = text.map_err(|_| Status::invalid_argument("a ticket of somebody else's"))?;
        self.answered(who(&request)?, text, Vec::new()).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let who = who(&request)?;
        let described = self.desk.describe(Arc::clone(&who), &of_facts(query.query.clone()), None).await?;
        let parameters = (1..).zip(described.parameters);
        let parameters =
            parameters.map(|(number, kind)| Field::new(format!("${number}"), kind.unwrap_or(DataType::Utf8), true));
        let parameters = Schema::new(parameters.collect::<Vec<_>>());
        let prepared = &mut *self.prepared();
        prepared.last += 1;
        prepared.statements.insert(prepared.last, Statement { who, text: query.query, values: Vec::new() });
        if prepared.statements.len() > STATEMENTS_PREPARED_MAX {
            // Whoever forgot to close theirs, and did so longest ago.
            prepared.statements.pop_first();
        }
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Bytes::copy_from_slice(&prepared.last.to_be_bytes()),
            dataset_schema: schema_bytes(&described.schema)?,
            parameter_schema: schema_bytes(&parameters)?,
        })
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let (number, _) = self.statement(&query.prepared_statement_handle, &*who(&request)?)?;
        let data = request.into_inner().map_err(|status| FlightError::Tonic(Box::new(status)));
        let batches: Vec<RecordBatch> = FlightRecordBatchStream::new_from_flight_data(data).try_collect().await?;
        let one_row = || Status::invalid_argument("parameters are one row");
        let mut rows = batches.iter().filter(|batch| batch.num_rows() > 0);
        let row = rows.next().filter(|row| row.num_rows() == 1).ok_or_else(one_row)?;
        if rows.next().is_some() {
            return Err(one_row());
        }
        let values = row.columns().iter().map(|column| ScalarValue::try_from_array(column, 0));
        let values =
            values.collect::<Result<Vec<_>, _>>().map_err(|error| Status::invalid_argument(error.to_string()))?;
        if let Some(statement) = self.prepared().statements.get_mut(&number) {
            statement.values = values;
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let who = who(&request)?;
        let (_, statement) = self.statement(&query.prepared_statement_handle, &who)?;
        let described = self.desk.describe(who, &of_facts(statement.text), None).await?;
        info(&described.schema, &query, request)
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Answered {
        let who = who(&request)?;
        let (_, Statement { text, values, .. }) = self.statement(&query.prepared_statement_handle, &who)?;
        self.answered(who, text, values).await
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let (number, _) = self.statement(&query.prepared_statement_handle, &*who(&request)?)?;
        self.prepared().statements.remove(&number);
        Ok(())
    }

    /// A statement that its sender takes for one that changes something: if it is none, nothing is changed.
    async fn do_put_statement_update(
        &self,
        query: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.desk.describe(who(&request)?, &of_facts(query.query.clone()), None).await?;
        Err(Status::permission_denied("nothing can be changed here; ask for rows"))
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _: Request<Ticket>) -> Answered {
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        Ok(batch(builder.schema(), builder.build()))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _: Request<Ticket>) -> Answered {
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        Ok(batch(builder.schema(), builder.build()))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        info(&query.clone().into_builder().schema(), &query, request)
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> Answered {
        let tables = self.desk.tables(who(&request)?).await?;
        let mut builder = query.into_builder();
        for (schema, table, columns) in tables {
            builder.append(CATALOG, schema, table, metadata::TABLE, &columns).map_err(Status::from)?;
        }
        Ok(batch(builder.schema(), builder.build()))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        info(&query.into_builder().schema(), &query, request)
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, _: Request<Ticket>) -> Answered {
        let mut builder = query.into_builder();
        builder.append(metadata::TABLE);
        Ok(batch(builder.schema(), builder.build()))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        info(&query.clone().into_builder(metadata::about()?).schema(), &query, request)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _: Request<Ticket>) -> Answered {
        let builder = query.into_builder(metadata::about()?);
        Ok(batch(builder.schema(), builder.build()))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

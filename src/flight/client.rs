//! The other side: a question sent to a door, and its rows.

use std::sync::Arc;

use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::causes;
use crate::query::{Answer, QueryError};

/// A door that is asked.
#[derive(Debug)]
pub struct Remote {
    client: FlightSqlServiceClient<Channel>,
}

/// Why a door is not reached.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {cause}")]
pub struct RemoteError {
    /// Where it should be.
    pub address: String,
    /// Why it is not reached.
    pub cause: String,
}

impl Remote {
    /// Connects to `grpc://HOST:PORT`, or with TLS to `grpc+tls://HOST:PORT`, whose certificate `authority` has signed (PEM).
    ///
    /// # Errors
    /// An address that is none; a door that is not there.
    pub async fn connect(address: &str, token: Option<&str>, authority: Option<&[u8]>) -> Result<Self, RemoteError> {
        let failed = |cause: String| RemoteError { address: address.to_owned(), cause };
        let no_address = || failed("write grpc://HOST:PORT, or grpc+tls://HOST:PORT with --authority".to_owned());
        let (scheme, place) = address.split_once("://").ok_or_else(no_address)?;
        let url = match (scheme, authority) {
            ("grpc" | "grpc+tcp" | "http", None) => format!("http://{place}"),
            ("grpc+tls" | "https", Some(_)) => format!("https://{place}"),
            _ => return Err(no_address()),
        };
        let mut endpoint = Endpoint::from_shared(url).map_err(|error| failed(causes(&error)))?;
        if let Some(authority) = authority {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
            endpoint = endpoint.tls_config(tls).map_err(|error| failed(causes(&error)))?;
        }
        let channel = endpoint.connect().await.map_err(|error| failed(causes(&error)))?;
        let mut client = FlightSqlServiceClient::new(channel);
        if let Some(token) = token {
            client.set_token(token.to_owned());
        }
        Ok(Self { client })
    }

    /// Asks. Dropping the answer, or the wait for it, ends the query there.
    ///
    /// # Errors
    /// What the door says.
    pub async fn ask(&self, statement: String) -> Result<Answer, QueryError> {
        let nothing = |what: &str| QueryError::Remote { said: format!("the door gives no {what}") };
        let mut client = self.client.clone();
        let FlightInfo { endpoint, .. } = client.execute(statement, None).await.map_err(of_flight)?;
        let ticket = endpoint.into_iter().next().and_then(|endpoint| endpoint.ticket);
        let ticket = ticket.ok_or_else(|| nothing("ticket"))?;
        let mut batches = client.do_get(ticket).await.map_err(of_flight)?;
        // The columns come before the first rows.
        let first = batches.next().await.transpose().map_err(of_flight)?;
        let schema = match (&first, batches.schema()) {
            (Some(first), _) => first.schema(),
            (None, Some(schema)) => Arc::clone(schema),
            (None, None) => return Err(nothing("columns")),
        };
        let rest = batches.map_err(|error| DataFusionError::External(Box::new(of_flight(error))));
        let all = stream::iter(first.map(Ok)).chain(rest);
        let batches = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), all));
        Ok(Answer { schema, batches })
    }
}

/// What a door said.
fn of_flight(error: FlightError) -> QueryError {
    let said = match error {
        FlightError::Tonic(status) => status.message().to_owned(),
        error => error.to_string(),
    };
    QueryError::Remote { said }
}

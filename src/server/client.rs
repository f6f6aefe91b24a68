//! The other end: who asks a run over HTTP.

use std::io;

use axum::body::Bytes;
use axum::http::{Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use crate::limits::ANSWER_BYTES_MAX;

/// A run that is asked.
#[derive(Debug)]
pub struct Remote {
    address: String,
    token: Option<String>,
    line: Runtime,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody answers there, or nothing that is understood.
    #[error("{address}: {cause}")]
    Line {
        /// Where.
        address: String,
        /// Why.
        cause: String,
    },
    /// The run says no.
    #[error("the run says no: {why}")]
    Refused {
        /// Why.
        why: String,
    },
}

impl Remote {
    /// Whoever listens at `http://HOST:PORT`. Nothing is asked yet.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(address: &str, token: Option<&str>) -> io::Result<Self> {
        let line = Builder::new_current_thread().enable_all().build()?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { address, token: token.map(str::to_owned), line })
    }

    /// Puts the text of a rule set in force, or only asks what that would change. Gives what the run answers.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn put_rules(&self, text: String, dry_run: bool) -> Result<Map<String, Value>, RemoteError> {
        let path = if dry_run { "/v1/rules?dry_run=true" } else { "/v1/rules" };
        self.line.block_on(self.ask(Method::PUT, path, text.into()))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Map<String, Value>, RemoteError> {
        let failed = |cause: String| RemoteError::Line { address: self.address.clone(), cause };
        let url: Uri = format!("{}{path}", self.address).parse().map_err(|_| failed(NO_ADDRESS.to_owned()))?;
        if url.scheme_str() != Some("http") || url.authority().is_none() {
            return Err(failed(NO_ADDRESS.to_owned()));
        }
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer =
            client.request(request).await.map_err(|error| failed(format!("{:#}", anyhow::Error::from(error))))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => failed(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")),
            None => failed(error.to_string()),
        })?;
        let told: Result<Map<String, Value>, _> = serde_json::from_slice(&body.to_bytes());
        match told {
            Ok(told) if status.is_success() => Ok(told),
            Ok(told) => {
                let why = told.get("error").and_then(Value::as_str).map_or_else(|| status.to_string(), str::to_owned);
                Err(RemoteError::Refused { why })
            }
            Err(_) => Err(failed(format!("no run of sanma answers there ({status})"))),
        }
    }
}

const NO_ADDRESS: &str = "write http://HOST:PORT";

//! Refusals, each as a line of JSON with its status.

use axum::extract::rejection::{BytesRejection, FailedToBufferBody, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::link::Silence;

/// What was asked is not done, and nothing has changed.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    pub(super) fn conflict(why: &str) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    pub(super) fn not_found(why: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    pub(super) fn not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path has other methods")
    }
}

impl From<Silence> for Refusal {
    fn from(silence: Silence) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, silence.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, json(&json!({ "error": self.why }))).into_response();
        let more = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        response.headers_mut().extend(more.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

impl From<BytesRejection> for Refusal {
    fn from(refused: BytesRejection) -> Self {
        match refused {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                let most = crate::limits::REQUEST_BYTES_MAX;
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {most} bytes; send it in parts"))
            }
            refused => Self::bad(refused.body_text()),
        }
    }
}

impl From<QueryRejection> for Refusal {
    fn from(refused: QueryRejection) -> Self {
        Self::bad(refused.body_text())
    }
}

/// Whether a kind of answer is among those that `Accept` names.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let mut kinds = accept.flat_map(|accept| accept.split(','));
    kinds.any(|named| named.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind))
}

/// A JSON answer.
pub(super) fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

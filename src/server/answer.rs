//! Refusals, each as a line of JSON with its status; and which kind of answer is liked best.

use std::cmp::Ordering;

use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection, QueryRejection};
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

impl From<PathRejection> for Refusal {
    fn from(refused: PathRejection) -> Self {
        Self::bad(refused.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(refused: QueryRejection) -> Self {
        Self::bad(refused.body_text())
    }
}

/// Which of several kinds of answer `Accept` likes best, by its place: of those that it likes as well the one that it names itself,
/// and the first. None if it likes none of them; the first if it is not there.
pub(super) fn preferred(headers: &HeaderMap, kinds: &[&str]) -> Option<usize> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let ranges: Vec<(&str, f32)> = accept.flat_map(|accept| accept.split(',')).filter_map(range).collect();
    if ranges.is_empty() {
        return Some(0);
    }
    let liking = |kind: &str| {
        let all_of = format!("{}/*", kind.split('/').next().unwrap_or_default());
        // What is named more exactly counts, whatever else includes it.
        let as_named = |name: &str| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(name)).map(|(_, q)| *q);
        let exactly = as_named(kind);
        let liked = exactly.or_else(|| as_named(&all_of)).or_else(|| as_named("*/*")).unwrap_or(0.0);
        (liked, exactly.is_some())
    };
    let liked = kinds.iter().map(|kind| liking(kind)).enumerate().filter(|(_, (liked, _))| *liked > 0.0);
    liked.rev().max_by(|(_, one), (_, other)| one.partial_cmp(other).unwrap_or(Ordering::Equal)).map(|(place, _)| place)
}

/// What a part of `Accept` names, and how much that is liked.
fn range(part: &str) -> Option<(&str, f32)> {
    let mut pieces = part.split(';').map(str::trim);
    let range = pieces.next().filter(|range| !range.is_empty())?;
    let q = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
    Some((range, q.map_or(1.0, |q| q.parse().unwrap_or(0.0))))
}

/// A JSON answer.
pub(super) fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_liked_best_is_answered() {
        let kinds = ["application/json", "text/plain", "text/csv"];
        for (accept, expected) in [
            ("", Some(0)),
            ("*/*", Some(0)),
            ("text/plain", Some(1)),
            ("Text/Plain; charset=utf-8", Some(1)),
            ("application/json, text/plain, */*", Some(0)),
            ("text/csv, */*", Some(2)),
            ("text/*", Some(1)),
            ("text/*;q=0.5, text/csv", Some(2)),
            ("text/plain;q=0.5, text/csv;q=0.4, */*;q=0.1", Some(1)),
            ("application/json;q=0, */*", Some(1)),
            ("application/json;q=0", None),
            ("image/png", None),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(preferred(&headers, &kinds), expected, "{accept}");
        }
    }
}

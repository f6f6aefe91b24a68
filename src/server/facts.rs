//! What is sent: messages, rows of a table, ticks, rules.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use twox_hash::XxHash3_64;

use super::Shared;
use super::answer::{self, Refusal};
use crate::engine::Offset;
use crate::ingest::feed::{self, Event, SourceName};
use crate::limits::STREAM_ROW_BYTES;
use crate::model::{Table, Timestamp};
use crate::run::{NotTaken, Receipt, Request, Say};

/// What a body of Arrow calls itself.
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
/// Longest key of a request that may be sent again.
const KEY_BYTES_MAX: usize = 64;

/// `POST /v1/messages`: NDJSON, as in a feed.
pub(super) async fn messages(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body?;
    check_type(&headers)?;
    say(&shared, &headers, body, |source, body| Ok((feed::decode(source, feed::lines(body, 1)), body.len()))).await
}

/// `POST /v1/facts/{table}`: NDJSON, a row a line, or an Arrow IPC stream; each is put in the place of the one with its id.
pub(super) async fn rows(
    State(shared): State<Arc<Shared>>,
    table: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (Path(table), body) = (table?, body?);
    let table = Table::parse(&table).ok_or_else(|| Refusal::not_found("there is no such table"))?;
    if kind_of(&headers).as_deref() == Some(ARROW_STREAM) {
        let decode = move |source: SourceName<'_>, body: &[u8]| {
            let batch = feed::decode_stream(source, table, body).map_err(|error| Refusal::bad(error.to_string()))?;
            // What was packed is longer than it came.
            let names = [&batch.persons, &batch.places, &batch.labels];
            let names = names.map(|names| (0..names.len()).map(|index| names.get(index).len()).sum::<usize>());
            let bytes = names.iter().sum::<usize>() + batch.messages * STREAM_ROW_BYTES;
            Ok((vec![Event::Facts(batch)], bytes))
        };
        return say(&shared, &headers, body, decode).await;
    }
    check_type(&headers)?;
    let decode = move |source: SourceName<'_>, body: &[u8]| {
        let events = feed::decode_rows(source, table, feed::lines(body, 1)).map(Event::Facts).into_iter().collect();
        Ok((events, body.len()))
    };
    say(&shared, &headers, body, decode).await
}

/// What a body calls itself, in small letters.
fn kind_of(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Messages are text, whatever it calls itself.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = kind_of(headers);
    let kind = kind.as_deref().unwrap_or("application/x-ndjson");
    // The last one is what curl says when it is told nothing.
    let known = ["application/x-ndjson", "application/json", "text/plain", "application/x-www-form-urlencoded"];
    if known.contains(&kind) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("{kind} is not taken: send application/x-ndjson, or rows of a table as {ARROW_STREAM}"),
    ))
}

/// The name under which messages count once, however often they are sent; with what tells others under the same name apart.
fn key_of(headers: &HeaderMap, body: &[u8]) -> Result<Option<Offset>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    let key = key.ok_or_else(|| Refusal::bad("an Idempotency-Key has 1 to 64 printable characters"))?;
    let (bytes, lines) = (body.len() as u64, feed::lines(body, 1).count() as u64);
    let stamp = Some(XxHash3_64::oneshot(body));
    Ok(Some(Offset { bytes, lines, stamp, ..Offset::begin(&format!("http:{key}")) }))
}

async fn say(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: Bytes,
    decode: impl FnOnce(SourceName<'_>, &[u8]) -> Result<(Vec<Event>, usize), Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let key = key_of(headers, &body)?;
    let (tell, told) = oneshot::channel();
    let request = move || {
        let name = key.as_ref().map_or("http", |key| &key.source);
        let (events, bytes) = decode(SourceName { number: 0, name }, &body)?;
        let reply = Box::new(move |answer| drop(tell.send(answer)));
        Ok::<_, Refusal>(Request::Say(Say { events, bytes, key, reply }))
    };
    shared.link.ask(request).await?;
    match shared.link.answer(told).await? {
        Ok(receipt) => Ok(answer_of(&receipt)),
        Err(NotTaken::Reused) => {
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "this Idempotency-Key was given to another body"))
        }
        Err(NotTaken::TooMuchRefused) => {
            let why = "so much of it would be refused that nothing was taken; send it in parts";
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
    }
}

fn answer_of(receipt: &Receipt) -> Response {
    let lines = receipt.refused.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let refused: Vec<Value> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    answer::json(&json!({
        "position": receipt.position.0,
        "as_of": receipt.as_of.to_rfc3339(),
        "taken": receipt.taken,
        "refused": refused,
        "changes": receipt.changes,
        "repeated": receipt.is_repeated,
    }))
}

#[derive(Deserialize)]
struct Tick {
    as_of: String,
}

/// `POST /v1/tick`: moves time, where feeds do.
pub(super) async fn tick(
    State(shared): State<Arc<Shared>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body?;
    if !shared.ticks {
        return Err(Refusal::conflict("time moves by the clock on the wall; run with --clock feed"));
    }
    let tick: Option<Tick> = serde_json::from_slice(&body).ok();
    let at = tick.and_then(|tick| Timestamp::parse_rfc3339(&tick.as_of));
    let at = at.ok_or_else(|| Refusal::bad("a tick is {\"as_of\": \"2020-02-12T12:00:00+08:00\"}"))?;
    let decode = move |_: SourceName<'_>, _: &[u8]| Ok((vec![Event::Tick(at)], 0));
    say(&shared, &HeaderMap::new(), body, decode).await
}

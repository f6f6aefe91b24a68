//! What a run looks like from outside: numbers for Prometheus, whether it is ready, and what can be asked.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::answer::Refusal;
use crate::evaluate::Codes;
use crate::limits::SUBSCRIBERS_MAX;
use crate::link::Meters;
use crate::model::{ClosedEnum as _, Table};
use crate::run::{Heard, Seen, Stage};

/// `GET /readyz`.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, Refusal> {
    shared.link.is_ready()?;
    Ok("ready\n")
}

/// A value of a label.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// `GET /v1/openapi.json`: what can be asked, and what is answered.
pub(super) async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

/// `GET /metrics`: Prometheus' text format.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let seen = shared.link.view().await?;
    let Seen { view, told: progress } = &*seen;
    let colours = view.codes().map(Codes::by_colour).unwrap_or_default();
    let rows = Table::ALL.map(|table| (table, view.rows_of(table)));
    let mut text = String::new();
    let mut tell = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    tell("sanma_position", "counter", "Position of the last record.", &one(progress.position.0));
    let seconds = u64::try_from(progress.as_of.0 / 1_000_000).unwrap_or(0);
    tell("sanma_as_of_seconds", "gauge", "T, in seconds since 1970.", &one(seconds));
    tell("sanma_changes_total", "counter", "Changes told since the start.", &one(progress.changes));
    tell("sanma_refused_total", "counter", "Rows and messages refused since the store began.", &one(progress.refused));
    let Meters { sources, stages } = shared.link.meters();
    let of_sources = |value: fn(&Heard) -> u64| {
        let sources = sources.iter();
        sources.map(|(name, heard)| (format!("{{source={}}}", quoted(name)), value(heard))).collect::<Vec<_>>()
    };
    let (heard, behind) = (of_sources(|heard| heard.messages), of_sources(|heard| heard.behind));
    tell("sanma_messages_total", "counter", "Messages by source since the start, those refused included.", &heard);
    let help = "Bytes of a source that are known to be there and have not been read.";
    tell("sanma_source_behind_bytes", "gauge", help, &behind);
    let stages = Stage::ALL.iter().zip(stages);
    let stages: Vec<_> = stages
        .map(|(stage, time)| {
            (format!("{{stage=\"{}\"}}", stage.name()), u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        })
        .collect();
    tell("sanma_writer_microseconds_total", "counter", "Time of the writer by stage since the start.", &stages);
    let help = "People whose code was worked out since the start, each time it was.";
    tell("sanma_evaluated_total", "counter", help, &one(progress.evaluated));
    let waiting = shared.link.waiting() as u64;
    tell("sanma_requests_waiting", "gauge", "Requests that wait for the writer.", &one(waiting));
    let following = SUBSCRIBERS_MAX.saturating_sub(shared.subscribers.available_permits()) as u64;
    tell("sanma_subscribers", "gauge", "Who follow the changes.", &one(following));
    let codes: Vec<_> =
        colours.iter().map(|(colour, &people)| (format!("{{colour=\"{}\"}}", colour.name()), people)).collect();
    tell("sanma_codes", "gauge", "People by colour.", &codes);
    let rows: Vec<_> =
        rows.iter().map(|(table, rows)| (format!("{{table=\"{}\"}}", table.name()), *rows as u64)).collect();
    tell("sanma_rows", "gauge", "Rows by table.", &rows);
    let answers = shared.answers.iter().enumerate().skip(1);
    let answers: Vec<_> =
        answers.map(|(class, count)| (format!("{{status=\"{class}xx\"}}"), count.load(Ordering::Relaxed))).collect();
    tell("sanma_http_answers_total", "counter", "Answers by status.", &answers);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

//! What stands: codes.

use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::array::RecordBatch;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rayon::prelude::*;
use serde_json::json;

use super::Shared;
use super::answer::{self, Refusal};
use crate::engine::View;
use crate::model::schema::codes_schema;
use crate::model::{ClosedEnum as _, PersonId, Timestamp};
use crate::sinks::{self, OutputFormat};

/// Forms of everybody's codes, by what `Accept` names.
const FORMS: [(&str, OutputFormat); 4] = [
    ("application/x-ndjson", OutputFormat::Ndjson),
    ("application/vnd.apache.arrow.file", OutputFormat::Arrow),
    ("application/vnd.apache.parquet", OutputFormat::Parquet),
    ("text/csv", OutputFormat::Csv),
];

/// `GET /v1/codes/{person}`.
pub(super) async fn person(
    State(shared): State<Arc<Shared>>,
    person: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let Path(person) = person?;
    let seen = shared.link.view().await?;
    let found = code_of(&seen.view, &person).ok_or_else(|| Refusal::not_found("nobody of that name has a code"))?;
    Ok(answer::json(&found))
}

fn code_of(view: &View, token: &str) -> Option<serde_json::Value> {
    let (program, codes) = (view.program()?, view.codes()?);
    let code = codes.of(PersonId(view.facts().names.persons.find(token)?))?;
    Some(json!({
        "person": token,
        "colour": code.colour.name(),
        "reasons": program.names(code.reasons).collect::<Vec<_>>(),
        "excused": program.names(code.excused).collect::<Vec<_>>(),
        "valid_until": code.valid_until.finite().map(Timestamp::to_rfc3339),
        "as_of": view.as_of().to_rfc3339(),
        "position": view.position().0,
    }))
}

/// `GET /v1/codes`: everybody, with the position in a header.
pub(super) async fn everybody(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let kinds = FORMS.map(|(kind, _)| kind);
    let (kind, format) = answer::preferred(&headers, &kinds)
        .map(|place| FORMS[place])
        .ok_or_else(|| Refusal::new(StatusCode::NOT_ACCEPTABLE, format!("codes come as {}", kinds.join(", "))))?;
    let seen = shared.link.view().await?;
    let view = &seen.view;
    let position = [("sanma-position", view.position().0.to_string()), ("sanma-as-of", view.as_of().to_rfc3339())];
    let pool = Arc::clone(&shared.pool);
    let written = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let batches = pool.install(|| columns_of(&seen.view));
        let batches: Vec<_> = batches.iter().map(|batch| || batch.clone()).collect();
        sinks::write_batches(&mut bytes, FilePath::new("codes"), format, &codes_schema(), &batches, &|| false)
            .map(|()| bytes)
    });
    let failed = |why: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let bytes = written.await.map_err(|why| failed(why.to_string()))?.map_err(|why| failed(why.to_string()))?;
    Ok(([(header::CONTENT_TYPE, kind)], position, bytes).into_response())
}

fn columns_of(view: &View) -> Vec<RecordBatch> {
    let (Some(program), Some(codes)) = (view.program(), view.codes()) else { return Vec::new() };
    let mut facts = view.facts().clone();
    facts.names.persons.sort();
    sinks::code_batches(&facts, program, codes).par_iter().map(|batch| batch()).collect()
}

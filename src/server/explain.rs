//! Why somebody has the code they have.
//!
//! The one idea: the page is made of the few rows around the person, out of a view.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::Shared;
use super::answer::{self, Refusal};
use crate::access::Role;
use crate::engine::View;
use crate::explain::{self, Audience, Explanation, Language};
use crate::model::PersonId;
use crate::spelt::Spelt;

/// What is asked of a page.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) struct Asked {
    /// Whom it is for; the person concerned if left out.
    audience: Option<String>,
    /// The language of text; Chinese if left out.
    lang: Option<String>,
}

/// `GET /v1/explain/{person}`: JSON, or the page as text for who accepts `text/plain`.
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Extension(role): Extension<Role>,
    person: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (Path(person), Query(asked)) = (person?, asked?);
    let audience = match asked.audience.as_deref() {
        None | Some("person") => Audience::Person,
        Some("official") if role == Role::App => {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "your role is told what the person concerned may see"));
        }
        Some("official") => Audience::Official,
        Some(other) => return Err(Refusal::bad(format!("{other} is no audience; person and official are"))),
    };
    let language = match asked.lang.as_deref() {
        None | Some("zh") => Language::Zh,
        Some("en") => Language::En,
        Some(other) => return Err(Refusal::bad(format!("{other} is no language; zh and en are"))),
    };
    let none = || Refusal::not_found("nobody of that name has a code");
    let seen = shared.link.view().await?;
    let view = &seen.view;
    let head = [("sanma-position", view.position().0.to_string()), ("sanma-as-of", view.as_of().to_rfc3339())];
    let page = tokio::task::spawn_blocking(move || page(&seen.view, &person, audience)).await;
    let failed = |why: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let page = page.map_err(|why| failed(why.to_string()))?.ok_or_else(none)?;
    if answer::preferred(&headers, &["application/json", "text/plain"]) == Some(1) {
        return Ok((head, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], page.text(language)).into_response());
    }
    let page = serde_json::to_value(&page).map_err(|why| failed(why.to_string()))?;
    Ok((head, answer::json(&page)).into_response())
}

/// The page of a person, if there is such a one and they have a code.
fn page(view: &View, token: &str, audience: Audience) -> Option<Explanation> {
    let names = &view.facts().names;
    let person = PersonId(names.persons.find(token)?);
    explain::explain(&view.around(person)?, view.program()?, person, view.as_of(), audience, &Spelt(names))
}

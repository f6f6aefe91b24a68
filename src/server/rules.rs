//! The rules in force, others that come into force, and what these would change.
//!
//! The one idea: who wants to see first what rules would change is told by a what-if over a view, while the run goes on.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::Shared;
use super::answer::{self, Refusal};
use crate::engine::View;
use crate::link::Silence;
use crate::rules::{Catalog, Program, RuleSet};
use crate::run::{Receipt, Request};
use crate::whatif::{self, Candidate, Whatif};

/// `GET /v1/rules`: the text in force.
pub(super) async fn in_force(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let seen = shared.link.view().await?;
    let rules = seen.view.rules().ok_or_else(|| Refusal::not_found("no rules are in force"))?;
    Ok(([(header::CONTENT_TYPE, "application/toml")], rules.text.clone()).into_response())
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// How rules are to come into force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Not at all: what they would change is told.
    #[serde(default)]
    dry_run: bool,
}

/// `PUT /v1/rules`: TOML of a rule set, or `{"name": ...}` of one that is shipped.
pub(super) async fn enact(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (Query(Asked { dry_run }), body) = (asked?, body?);
    let text = std::str::from_utf8(&body).map_err(|_| Refusal::bad("rules are text"))?;
    let rules = if text.trim_start().starts_with('{') {
        let named: Named = serde_json::from_str(text).map_err(|error| Refusal::bad(error.to_string()))?;
        let catalog = Catalog::shipped().map_err(|error| Refusal::bad(error.to_string()))?;
        if !catalog.names().contains(&named.name) {
            return Err(Refusal::bad("a name is one of a set that is shipped; of others send the text"));
        }
        let as_of = shared.link.progress().as_of;
        catalog.find(&named.name, as_of).map_err(|error| Refusal::bad(format!("{error:#}")))?
    } else {
        RuleSet::parse("rules.toml", text).map_err(|error| Refusal::bad(format!("{error:#}")))?
    };
    if dry_run {
        return try_out(&shared, rules.program).await;
    }
    let name = rules.program.name.clone();
    let (tell, told) = oneshot::channel();
    let reply = Box::new(move |receipt| drop(tell.send(receipt)));
    shared.link.ask(move || Ok::<_, Silence>(Request::Enact(Box::new(rules), reply))).await?;
    let receipt: Receipt = shared.link.answer(told).await?;
    Ok(answer::json(&json!({
        "position": receipt.position.0,
        "as_of": receipt.as_of.to_rfc3339(),
        "rules": name,
        "changes": receipt.changes,
    })))
}

/// What rules would change if they came into force now.
async fn try_out(shared: &Arc<Shared>, candidate: Program) -> Result<Response, Refusal> {
    // One at a time: each works through everybody.
    let _turn = shared.looks.lock().await;
    let seen = shared.link.view().await?;
    let (reasons, pool) = (shared.reasons, Arc::clone(&shared.pool));
    let counted = tokio::task::spawn_blocking(move || {
        let head = json!({
            "position": seen.view.position().0,
            "as_of": seen.view.as_of().to_rfc3339(),
            "rules": candidate.name,
            "dry_run": true,
        });
        let Value::Object(mut told) = head else { return None };
        told.extend(pool.install(|| counts(&seen.view, &candidate, reasons))?);
        Some(told)
    });
    let failed = |why: tokio::task::JoinError| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
    let told = counted.await.map_err(failed)?.ok_or(Silence::Unready)?;
    Ok(answer::json(&told.into()))
}

/// Changes by transition, rule and district. None before the first record.
fn counts(view: &View, candidate: &Program, reasons: bool) -> Option<Map<String, Value>> {
    let (facts, codes) = (view.facts_view().indexed(), view.codes()?);
    let listings = facts.risk_areas().clone();
    let whatif = Whatif::of_codes(facts, view.program()?, view.as_of(), codes.clone(), reasons);
    let (_, outcome) = whatif.outcome(&Candidate { program: candidate, listings: &listings });
    let mut told = outcome.tally.fields();
    told.insert("by_district".to_owned(), whatif::districts_json(&outcome.by_district));
    Some(told)
}

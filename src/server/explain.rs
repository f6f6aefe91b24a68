//! Why somebody has the code they have.
//!
//! The one idea: the writer is asked for the few rows around the person and their names only; the page is made of them outside
//! of its time.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::Shared;
use super::answer::{self, Refusal};
use crate::access::Role;
use crate::engine::City;
use crate::explain::{self, Audience, Explanation, Language, Names, Words};
use crate::gazetteer;
use crate::journal::Position;
use crate::model::facts::Tables;
use crate::model::{LabelId, PersonId, PlaceId, Region, Timestamp};
use crate::rules::Program;

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
    Path(person): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(asked) = asked?;
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
    let rows = shared.look(move |city| Rows::around(city, &person)).await?.ok_or_else(none)?;
    let head = [("sanma-position", rows.position.0.to_string()), ("sanma-as-of", rows.as_of.to_rfc3339())];
    let page = tokio::task::spawn_blocking(move || rows.page(audience)).await;
    let failed = |why: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let page = page.map_err(|why| failed(why.to_string()))?.ok_or_else(none)?;
    if answer::accepts(&headers, "text/plain") {
        return Ok((head, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], page.text(language)).into_response());
    }
    let page = serde_json::to_value(&page).map_err(|why| failed(why.to_string()))?;
    Ok((head, answer::json(&page)).into_response())
}

/// What a page is made of.
struct Rows {
    person: PersonId,
    tables: Tables,
    program: Arc<Program>,
    position: Position,
    as_of: Timestamp,
    spelt: Spelt,
}

impl Rows {
    fn around(city: &City, token: &str) -> Option<Self> {
        let names = &city.facts().names;
        let person = PersonId(names.persons.find(token)?);
        let (tables, program) = (city.around(person)?, Arc::clone(city.program()?));
        let Tables { contacts, stays, cases, quarantines, whitelist, .. } = &tables;
        let persons = contacts.person_a.iter().chain(&contacts.person_b).chain(&stays.person);
        let persons = persons.chain(&cases.person).chain(&quarantines.person).copied().chain([person]);
        let spelt = Spelt {
            persons: persons.map(|person| (person, names.person(person).to_owned())).collect(),
            places: stays.place.iter().flatten().map(|&place| (place, names.place(place).to_owned())).collect(),
            labels: whitelist.reason.iter().map(|&label| (label, names.label(label).to_owned())).collect(),
        };
        Some(Self { person, tables, program, position: city.position(), as_of: city.as_of(), spelt })
    }

    fn page(&self, audience: Audience) -> Option<Explanation> {
        explain::explain(&self.tables, &self.program, self.person, self.as_of, audience, &self.spelt)
    }
}

/// The names in some rows.
struct Spelt {
    persons: HashMap<PersonId, String>,
    places: HashMap<PlaceId, String>,
    labels: HashMap<LabelId, String>,
}

impl Names for Spelt {
    fn person(&self, person: PersonId) -> &str {
        self.persons.get(&person).map_or("", String::as_str)
    }

    fn place(&self, place: PlaceId) -> &str {
        self.places.get(&place).map_or("", String::as_str)
    }

    fn label(&self, label: LabelId) -> &str {
        self.labels.get(&label).map_or("", String::as_str)
    }

    fn region(&self, region: Region) -> Words {
        let [zh, en] = gazetteer::with_code(region);
        Words { zh, en }
    }
}

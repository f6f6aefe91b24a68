//! Declarations over the limit of modifications, as rejections.

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::evaluate;
use crate::facts::Facts;
use crate::model::facts::TableColumns as _;
use crate::model::{Admission, ClosedEnum as _, Reason, Region, Rejection, Symptom, Table, Timestamp};
use crate::rules::Program;

/// Declarations over the limit at an instant. `sources` names the files that rows came from; a row of a file that it does not
/// name has no source.
#[must_use]
pub fn refused_declarations(facts: &Facts, program: &Program, as_of: Timestamp, sources: &[String]) -> Vec<Rejection> {
    let rejection = |row: usize| {
        let declaration = facts.declarations.row(row);
        Rejection {
            table: Some(Table::Declarations),
            id: Some(declaration.id),
            reason: Reason::ModificationLimit,
            column: None,
            row: declaration_json(facts, row).to_string(),
            source: sources.get(declaration.origin.source as usize).cloned().unwrap_or_default(),
            offset: u64::from(declaration.origin.offset),
        }
    };
    evaluate::refused_declarations(facts, program, as_of).into_par_iter().map(rejection).collect()
}

/// A declaration as it came, by the contract's columns.
fn declaration_json(facts: &Facts, row: usize) -> Value {
    let declaration = facts.declarations.row(row);
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("id", declaration.id.into());
    put("person", facts.names.person(declaration.person).into());
    put("declared_at", declaration.declared_at.to_rfc3339().into());
    put("doc_type", declaration.doc_type.name().into());
    put("residence", declaration.residence.code().into());
    put("came_from", declaration.came_from.map(Region::code).into());
    put("arrived_at", declaration.arrived_at.map(Timestamp::to_rfc3339).into());
    for &symptom in Symptom::ALL {
        put(symptom.name(), declaration.symptoms.contains(symptom).into());
    }
    for &admission in Admission::ALL {
        put(admission.name(), declaration.admissions.contains(admission).into());
    }
    put("enterprise", declaration.enterprise.map(|label| json!(facts.names.label(label))).into());
    Value::Object(object)
}

//! Rules and listings that are not in force, written in a line.
//!
//! The one idea: the words are those of `sanma whatif`: `list CODE=LEVEL`, `delist CODE`, `rules NAME`, with semicolons between them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, plan_err};

use super::codes::colours;
use super::functions::region_codes;
use super::snapshot::Snapshot;
use super::tables::texts;
use crate::diff::{Change, State};
use crate::evaluate::Codes;
use crate::facts::Facts;
use crate::model::facts::RiskAreas;
use crate::model::published::ReasonLists;
use crate::model::{ClosedEnum as _, Level, Region};
use crate::rules::Program;
use crate::sinks;
use crate::whatif::{self, Edit, Whatif};

/// Rules and listings that might be put in force.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    program: Arc<Program>,
    listings: RiskAreas,
}

impl Candidate {
    /// Reads a candidate. Only rule sets with a name are known here, no file is opened.
    ///
    /// # Errors
    /// A word that is none of ours; a region that is not listed; rules that there are not.
    pub(super) fn parse(text: &str, snapshot: &Snapshot) -> Result<Self> {
        let (mut edit, mut program) = (Edit::default(), None);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (word, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            let rest = rest.trim();
            match word {
                "list" => {
                    let pair = rest
                        .split_once('=')
                        .map(|(code, level)| (Region::parse(code.trim()), Level::parse(level.trim())));
                    let Some((Some(region), Some(level))) = pair else {
                        return plan_err!("{part:?}: write list 330106=high; levels are {}", Level::NAMES.join(", "));
                    };
                    edit.list.push((region, level));
                }
                "delist" => match Region::parse(rest) {
                    Some(region) => edit.delist.push(region),
                    None => return plan_err!("{part:?}: write delist 330106"),
                },
                "rules" => {
                    if !snapshot.catalog.names().iter().any(|name| name == rest) {
                        return plan_err!("{rest:?} is no rule set; known are {}", snapshot.catalog.names().join(", "));
                    }
                    match snapshot.catalog.resolve(rest, snapshot.as_of) {
                        Ok(found) => program = Some(Arc::new(found)),
                        Err(error) => return plan_err!("{error}"),
                    }
                }
                _ => return plan_err!("{part:?}: list CODE=LEVEL, delist CODE and rules NAME are known"),
            }
        }
        if edit.is_empty() && program.is_none() {
            return plan_err!("nothing is asked: write list CODE=LEVEL, delist CODE or rules NAME");
        }
        let listings = match edit.apply(snapshot.facts.risk_areas(), snapshot.as_of) {
            Ok(listings) => listings,
            Err(error) => return plan_err!("{error}"),
        };
        Ok(Self { program: program.unwrap_or_else(|| Arc::clone(&snapshot.program)), listings })
    }

    /// A row for each person whose colour would be another, by `schema`. Cost: a recompute, and walks over both sets of codes.
    ///
    /// # Errors
    /// Columns that are not those of the schema.
    pub(super) fn changes(&self, snapshot: &Snapshot, schema: &SchemaRef) -> Result<RecordBatch> {
        let (facts, codes) = (snapshot.whole().clone(), Codes::clone(snapshot.codes()));
        snapshot.compute(|| self.changes_of(snapshot, facts, codes, schema))
    }

    fn changes_of(&self, snapshot: &Snapshot, facts: Facts, codes: Codes, schema: &SchemaRef) -> Result<RecordBatch> {
        let whatif = Whatif::of_codes(facts, &snapshot.program, snapshot.as_of, codes, false);
        let candidate = whatif::Candidate { program: &self.program, listings: &self.listings };
        let (whatif, outcome) = whatif.outcome(&candidate);
        let mut lists = ReasonLists::default();
        let changes = whatif.changes(&candidate, &outcome, &mut lists);
        let colour = |state: State| state.map(|(colour, _)| colour);
        let district = |change: &Change<'_>| whatif.district(&self.program, snapshot.person(change.person)?);
        let columns: Vec<ArrayRef> = vec![
            texts(changes.iter().map(|change| Some(change.person))),
            colours(changes.iter().map(|change| colour(change.before)))?,
            colours(changes.iter().map(|change| colour(change.after)))?,
            sinks::text_lists(changes.iter().map(|change| change.gained(&lists).map(String::as_str))),
            sinks::text_lists(changes.iter().map(|change| change.lost(&lists).map(String::as_str))),
            region_codes(changes.iter().map(district)),
        ];
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

//! What questions are asked of: facts that stand still, the rules and the instant, and whatever a question has once needed.
//!
//! Invariant: nothing that a query can see of a snapshot ever changes; what is computed late is a function of what is there.
//!
//! Cost: columns are shared with whoever made the snapshot, not copied.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use rayon::ThreadPool;
use rayon::prelude::*;
use tempfile::TempDir;

use super::columns::kept;
use super::filter::short;
use super::index::{self, Extremes, Inverted};
use super::names::Views;
use super::pseudonyms::PseudonymKey;
use crate::evaluate::{self, Codes};
use crate::facts::Facts;
use crate::intern::Tokens;
use crate::limits::QUERY_INSTANTS_KEPT_MAX;
use crate::model::{PersonId, PlaceId, Rejection, Table, Timestamp};
use crate::rules::{Catalog, Program};
use crate::sinks;

/// Where facts come from, besides their rows.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Rows that were refused.
    pub rejections: Vec<Rejection>,
    /// Files of rows that were refused: NDJSON.
    pub refused: Vec<PathBuf>,
    /// Names of the files that declarations came from, by their origin; empty if that is not known.
    pub sources: Vec<String>,
    /// Files of changes told earlier: Parquet, or NDJSON.
    pub changes: Vec<PathBuf>,
    /// The first instant of which codes can be asked: facts that only mattered earlier may have been forgotten. `None` if all are
    /// there.
    pub from: Option<Timestamp>,
    /// The folder of those files, if it is to go when nobody asks any more.
    pub folder: Option<Arc<TempDir>>,
}

/// Facts, rules and an instant.
pub struct Snapshot {
    pub(super) facts: Facts,
    pub(super) program: Arc<Program>,
    pub(super) catalog: Catalog,
    pub(super) as_of: Timestamp,
    pub(super) origins: Origins,
    pub(super) views: Views,
    /// What tokens of people are hashed with, if they are.
    pub(super) key: Option<PseudonymKey>,
    pool: Arc<ThreadPool>,
    codes: OnceLock<Arc<Codes>>,
    /// Codes at other instants, the last few that were asked for.
    codes_at: DashMap<Timestamp, Arc<Codes>>,
    standing: OnceLock<Arc<[u32]>>,
    rejections: OnceLock<Vec<Rejection>>,
    by_place: OnceLock<Inverted>,
    by_region: OnceLock<Inverted>,
    zones: DashMap<(Table, usize), Arc<[Extremes]>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} at {})", self.program.name, self.as_of.to_rfc3339())
    }
}

impl Snapshot {
    /// Facts as they stand, under rules, at an instant. Codes are computed on `pool` when they are first asked for.
    #[must_use]
    pub fn new(
        mut facts: Facts,
        origins: Origins,
        (program, catalog): (Arc<Program>, Catalog),
        as_of: Timestamp,
        pool: Arc<ThreadPool>,
    ) -> Self {
        facts.share();
        Self {
            facts,
            program,
            catalog,
            as_of,
            origins,
            views: Views::default(),
            key: None,
            pool,
            codes: OnceLock::new(),
            codes_at: DashMap::new(),
            standing: OnceLock::new(),
            rejections: OnceLock::new(),
            by_place: OnceLock::new(),
            by_region: OnceLock::new(),
            zones: DashMap::new(),
        }
    }

    /// The same with people by their pseudonyms, in which nobody's token is any more. Cost: a hash a person and their names once more;
    /// all else is shared.
    ///
    /// # Panics
    /// If two people have one pseudonym.
    #[must_use]
    pub fn pseudonymous(&self, key: &PseudonymKey) -> Self {
        let mut facts = self.facts.clone();
        let tokens = &self.facts.names.persons;
        let shown: Vec<String> =
            self.compute(|| (0..tokens.len()).into_par_iter().map(|person| key.of(tokens.get(person))).collect());
        let mut persons = Tokens::default();
        for (person, pseudonym) in shown.iter().enumerate() {
            assert_eq!(persons.intern(pseudonym) as usize, person, "two people have one pseudonym");
        }
        persons.sort();
        facts.names.persons = persons;
        let Origins { changes, from, folder, .. } = self.origins.clone();
        let origins = Origins { changes, from, folder, ..Origins::default() };
        let rules = (Arc::clone(&self.program), self.catalog.clone());
        let snapshot = Self::new(facts, origins, rules, self.as_of, Arc::clone(&self.pool));
        // Codes are by number, and people keep theirs.
        let _ = snapshot.codes.set(Arc::clone(self.codes()));
        Self { key: Some(key.clone()), ..snapshot }
    }

    /// T.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// The rules in force.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Does what wants many threads on the snapshot's own.
    pub(super) fn compute<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Everybody's code. Cost: a recompute, once.
    pub(super) fn codes(&self) -> &Arc<Codes> {
        self.codes.get_or_init(|| self.recompute(self.as_of))
    }

    fn recompute(&self, at: Timestamp) -> Arc<Codes> {
        Arc::new(self.compute(|| evaluate::recompute(&self.facts, &self.program, at)))
    }

    /// Everybody's code at another instant. Cost: a recompute, unless it is one of the last few that were asked for.
    pub(super) fn codes_at(&self, at: Timestamp) -> Arc<Codes> {
        if at == self.as_of {
            return Arc::clone(self.codes());
        }
        if let Some(codes) = self.codes_at.get(&at) {
            return Arc::clone(&codes);
        }
        let codes = self.recompute(at);
        if self.codes_at.len() >= QUERY_INSTANTS_KEPT_MAX {
            self.codes_at.clear();
        }
        self.codes_at.insert(at, Arc::clone(&codes));
        codes
    }

    /// Rows of the declarations that stand, ascending.
    pub(super) fn standing(&self) -> &Arc<[u32]> {
        self.standing.get_or_init(|| {
            let people = short(self.facts.people);
            let row = |person| evaluate::standing_declaration(&self.facts, &self.program, PersonId(person), self.as_of);
            let mut rows: Vec<u32> = self.compute(|| (0..people).into_par_iter().filter_map(row).map(short).collect());
            // Those of people whose rows have moved are behind all others.
            rows.sort_unstable();
            rows.into()
        })
    }

    /// Rows refused, and declarations over the limit of modifications.
    pub(super) fn rejections(&self) -> &[Rejection] {
        self.rejections.get_or_init(|| {
            let Origins { rejections, sources, .. } = &self.origins;
            let refused = self.compute(|| sinks::refused_declarations(&self.facts, &self.program, self.as_of, sources));
            rejections.iter().cloned().chain(refused).collect()
        })
    }

    /// Stays by place.
    pub(super) fn by_place(&self) -> &Inverted {
        self.by_place.get_or_init(|| {
            let place = |row: usize| self.facts.stays.place[row].map(PlaceId::index);
            self.by_stays(self.facts.names.places.len(), place)
        })
    }

    /// Stays by the number of their region.
    pub(super) fn by_region(&self) -> &Inverted {
        self.by_region
            .get_or_init(|| self.by_stays(self.facts.regions.len(), |row| Some(self.facts.stay_region[row].index())))
    }

    fn by_stays(&self, bound: usize, key: impl Fn(usize) -> Option<usize>) -> Inverted {
        let facts = &self.facts;
        Inverted::new(bound, facts.stays.id.len(), |row| key(row).filter(|_| facts.stands(Table::Stays, row)))
    }

    /// The least and greatest instants in the zones of a column; none of a column without instants.
    pub(super) fn zones(&self, table: Table, column: usize) -> Option<Arc<[Extremes]>> {
        if let Some(zones) = self.zones.get(&(table, column)) {
            return Some(Arc::clone(&zones));
        }
        let zones: Arc<[Extremes]> = self.compute(|| index::zones(kept(table)[column], &self.facts))?.into();
        self.zones.insert((table, column), Arc::clone(&zones));
        Some(zones)
    }

    /// The person of a token.
    pub(super) fn person(&self, token: &str) -> Option<PersonId> {
        self.facts.names.persons.find(token).map(PersonId)
    }
}

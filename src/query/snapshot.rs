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
use super::index::{self, Extremes, Indexes};
use super::names::Views;
use super::pseudonyms::{PseudonymKey, Pseudonyms};
use crate::evaluate::{self, Codes};
use crate::facts::{Facts, FactsView};
use crate::limits::QUERY_INSTANTS_KEPT_MAX;
use crate::model::{PersonId, PlaceId, RegionId, Rejection, Table, Timestamp};
use crate::rules::{Catalog, Program};
use crate::sinks;

/// Where facts come from, besides their rows.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Rows that were refused.
    pub rejections: Vec<Rejection>,
    /// Files of rows that were refused: NDJSON.
    pub refused: Vec<ToldIn>,
    /// Names of the files that declarations came from, by their origin; empty if that is not known.
    pub sources: Vec<String>,
    /// Files of changes told earlier: Parquet, or NDJSON.
    pub changes: Vec<ToldIn>,
    /// The first instant of which codes can be asked: facts that only mattered earlier may have been forgotten. `None` if all are
    /// there.
    pub from: Option<Timestamp>,
    /// The folder of those files, if it is to go when nobody asks any more.
    pub folder: Option<Arc<TempDir>>,
}

/// A file of what has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldIn {
    /// The file.
    pub path: PathBuf,
    /// Bytes of it that belong to the snapshot, whole lines of NDJSON; all if left out.
    pub bytes: Option<u64>,
}

impl From<PathBuf> for ToldIn {
    fn from(path: PathBuf) -> Self {
        Self { path, bytes: None }
    }
}

/// What snapshots have in common that are views of one run: names and columns of its start that never change, and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Kin {
    views: Views,
    indexes: Arc<Indexes>,
}

/// Facts, rules and an instant.
pub struct Snapshot {
    pub(super) facts: Facts,
    /// What the facts are of, if they change elsewhere.
    view: Option<FactsView>,
    /// Such facts as an evaluation of everybody wants them.
    whole: OnceLock<Facts>,
    pub(super) program: Arc<Program>,
    pub(super) catalog: Catalog,
    pub(super) as_of: Timestamp,
    pub(super) origins: Origins,
    /// What tokens of people are hashed with, if they are.
    pub(super) key: Option<PseudonymKey>,
    pool: Arc<ThreadPool>,
    codes: OnceLock<Arc<Codes>>,
    /// Codes at other instants, the last few that were asked for.
    codes_at: DashMap<Timestamp, Arc<Codes>>,
    standing: OnceLock<Arc<[u32]>>,
    rejections: OnceLock<Vec<Rejection>>,
    kin: Kin,
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
            view: None,
            whole: OnceLock::new(),
            program,
            catalog,
            as_of,
            origins,
            key: None,
            pool,
            codes: OnceLock::new(),
            codes_at: DashMap::new(),
            standing: OnceLock::new(),
            rejections: OnceLock::new(),
            kin: Kin::default(),
        }
    }

    /// Facts that change elsewhere, as of one position, with everybody's code there; `kin` is that of all positions.
    #[must_use]
    pub fn of_view(
        kin: &Kin,
        (view, codes): (&FactsView, &Codes),
        origins: Origins,
        rules: (Arc<Program>, Catalog),
        as_of: Timestamp,
        pool: Arc<ThreadPool>,
    ) -> Self {
        let snapshot = Self::new(view.facts().clone(), origins, rules, as_of, pool);
        Self { view: Some(view.clone()), codes: Arc::new(codes.clone()).into(), kin: kin.clone(), ..snapshot }
    }

    /// The same with people by their pseudonyms, in which nobody's token is any more. `known` is of snapshots in which people had the
    /// same numbers. Cost: what [`Pseudonyms`] costs; all else is shared.
    ///
    /// # Panics
    /// If two people have one pseudonym.
    #[must_use]
    pub fn pseudonymous(&self, key: &PseudonymKey, known: &Pseudonyms) -> Self {
        let mut facts = self.facts.clone();
        facts.names.persons = known.of(&self.facts.names.persons, key, &self.pool);
        let Origins { changes, from, folder, .. } = self.origins.clone();
        let origins = Origins { changes, from, folder, ..Origins::default() };
        let rules = (Arc::clone(&self.program), self.catalog.clone());
        let snapshot = Self::new(facts, origins, rules, self.as_of, Arc::clone(&self.pool));
        // Codes are by number, and people keep theirs.
        let codes = Arc::clone(self.codes()).into();
        let views = self.kin.views.with_persons(known.texts());
        let kin = Kin { views, indexes: Arc::clone(&self.kin.indexes) };
        Self {
            key: Some(key.clone()),
            view: self.view.as_ref().map(|view| view.named(&snapshot.facts.names)),
            codes,
            kin,
            ..snapshot
        }
    }

    /// Names as Arrow's views.
    pub(super) const fn views(&self) -> &Views {
        &self.kin.views
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

    /// Does what wants many threads on the snapshot's own. It waits for no lock and for nothing that is made once: whoever makes that may
    /// want these very threads.
    pub(super) fn compute<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Everybody's code. Cost: a recompute, once.
    pub(super) fn codes(&self) -> &Arc<Codes> {
        self.codes.get_or_init(|| self.recompute(self.as_of))
    }

    fn recompute(&self, at: Timestamp) -> Arc<Codes> {
        let facts = self.whole();
        Arc::new(self.compute(|| evaluate::recompute(facts, &self.program, at)))
    }

    /// The facts with all that an evaluation of everybody reads. Cost: once, of facts that change elsewhere, the indexes that follow
    /// them only where they are needed.
    pub(super) fn whole(&self) -> &Facts {
        let Some(view) = &self.view else { return &self.facts };
        self.whole.get_or_init(|| {
            self.compute(|| {
                let mut facts = view.indexed();
                facts.names.persons.sort();
                facts
            })
        })
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

    /// Stays at some places, whose numbers ascend; none if they are more than `most`. Rows that do not stand are counted as well.
    pub(super) fn stays_at(&self, places: &[usize], most: usize) -> Option<Vec<u32>> {
        let place = |place: &Option<PlaceId>| place.map(PlaceId::index);
        self.standing_stays(index::rows_with(&self.kin.indexes.by_place, &self.facts.stays.place, place, places, most))
    }

    /// The same in regions of some numbers.
    pub(super) fn stays_in(&self, numbers: &[usize], most: usize) -> Option<Vec<u32>> {
        let number = |region: &RegionId| Some(region.index());
        self.standing_stays(index::rows_with(
            &self.kin.indexes.by_region,
            &self.facts.stay_region,
            number,
            numbers,
            most,
        ))
    }

    fn standing_stays(&self, rows: Option<Vec<u32>>) -> Option<Vec<u32>> {
        let mut rows = rows?;
        rows.retain(|&row| self.facts.stands(Table::Stays, row as usize));
        Some(rows)
    }

    /// The least and greatest instants in the zones of a column; none of a column without instants.
    pub(super) fn zones(&self, table: Table, column: usize) -> Option<Vec<Extremes>> {
        index::zones(&self.kin.indexes, (table, column), kept(table)[column], &self.facts, &self.pool)
    }

    /// The person of a token.
    pub(super) fn person(&self, token: &str) -> Option<PersonId> {
        self.facts.names.persons.find(token).map(PersonId)
    }
}

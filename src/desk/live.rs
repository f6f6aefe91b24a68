//! Questions of a run that goes on.
//!
//! The one idea: a question is asked of a view, with all that had been told when it came; a snapshot of it is made once, for all who
//! ask before more is told.
//!
//! Cost: to the run, a view; to who asks, what a snapshot keeps besides the facts, as far as the question wants it.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rayon::ThreadPool;
use tokio::sync::Mutex;

use super::{Kind, Refusal, Shown, Source};
use crate::link::{Link, Silence};
use crate::query::{Kin, Origins, Pseudonyms, Snapshot, ToldIn};
use crate::rules::Catalog;
use crate::run::Seen;

/// What stands in a run.
#[derive(Debug)]
pub struct Live {
    link: Arc<Link>,
    files: Files,
    catalog: Catalog,
    pool: Arc<ThreadPool>,
    last: Mutex<Option<(Arc<Seen>, Arc<Shown>)>>,
    kin: Kin,
    pseudonyms: Arc<Pseudonyms>,
}

/// Where a run tells what.
#[derive(Clone, Debug)]
pub struct Files {
    /// The file of changes, if they are told in one.
    pub changes: Option<PathBuf>,
    /// The file of refused messages.
    pub rejections: PathBuf,
}

impl Live {
    /// What stands in a run. What a question wants computed of everybody is computed on `pool`.
    #[must_use]
    pub fn new(link: Arc<Link>, files: Files, catalog: Catalog, pool: Arc<ThreadPool>) -> Self {
        Self { link, files, catalog, pool, last: Mutex::default(), kin: Kin::default(), pseudonyms: Arc::default() }
    }

    fn snapshot(&self, Seen { view, told }: &Seen) -> Option<Snapshot> {
        let Files { changes, rejections } = self.files.clone();
        let so_far = |path, bytes| ToldIn { path, bytes: Some(bytes) };
        let origins = Origins {
            changes: changes.map(|path| so_far(path, told.changes_bytes)).into_iter().collect(),
            refused: vec![so_far(rejections, told.rejections_bytes)],
            from: Some(view.as_of()),
            ..Origins::default()
        };
        let rules = (Arc::clone(view.program()?), self.catalog.clone());
        let facts = (view.facts_view(), view.codes()?);
        Some(Snapshot::of_view(&self.kin, facts, origins, rules, view.as_of(), Arc::clone(&self.pool)))
    }
}

#[async_trait]
impl Source for Live {
    async fn now(&self) -> Result<Arc<Shown>, Refusal> {
        let seen = self.link.view().await?;
        let mut last = self.last.lock().await;
        if let Some((_, shown)) = last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, &seen)) {
            return Ok(Arc::clone(shown));
        }
        // Before its first record a store has no rules, and nobody a code.
        let shown = Shown::of(self.snapshot(&seen).ok_or(Silence::Unready)?, Arc::clone(&self.pseudonyms));
        *last = Some((seen, Arc::clone(&shown)));
        Ok(shown)
    }
}

impl From<Silence> for Refusal {
    fn from(silence: Silence) -> Self {
        Self::new(Kind::Unavailable, silence.to_string())
    }
}

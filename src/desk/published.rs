//! The facts that questions are asked of.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::query::{PseudonymKey, Snapshot};

/// The facts that questions are asked of now.
#[derive(Debug)]
pub struct Published(RwLock<Arc<Shown>>);

/// A snapshot, as each role sees it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) all: Arc<Snapshot>,
    /// Made when an analyst first asks.
    by_pseudonym: OnceLock<Arc<Snapshot>>,
}

impl Shown {
    fn of(all: Arc<Snapshot>) -> Arc<Self> {
        Arc::new(Self { all, by_pseudonym: OnceLock::new() })
    }

    /// The snapshot without tokens. Cost: for whoever is first to ask, a hash a person.
    pub(super) fn by_pseudonym(&self, key: &PseudonymKey) -> &Arc<Snapshot> {
        self.by_pseudonym.get_or_init(|| Arc::new(self.all.pseudonymous(key)))
    }
}

impl Published {
    /// These facts.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(RwLock::new(Shown::of(snapshot)))
    }

    /// Other facts from now on. Questions under way go on with those that they began with.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Shown::of(snapshot);
    }

    pub(super) fn now(&self) -> Arc<Shown> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

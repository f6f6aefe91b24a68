//! The facts that questions are asked of.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use async_trait::async_trait;

use super::Refusal;
use crate::query::{PseudonymKey, Pseudonyms, Snapshot};

/// Where the facts are that questions are asked of.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync {
    /// What stands now. Questions under way go on with what they began with.
    ///
    /// # Errors
    /// Nothing can be asked of it now.
    async fn now(&self) -> Result<Arc<Shown>, Refusal>;
}

/// A snapshot, as each role sees it.
#[derive(Debug)]
pub struct Shown {
    pub(super) all: Arc<Snapshot>,
    /// Made when an analyst first asks.
    by_pseudonym: OnceLock<Arc<Snapshot>>,
    pseudonyms: Arc<Pseudonyms>,
}

impl Shown {
    pub(super) fn of(all: Snapshot, pseudonyms: Arc<Pseudonyms>) -> Arc<Self> {
        Arc::new(Self { all: Arc::new(all), by_pseudonym: OnceLock::new(), pseudonyms })
    }

    /// The snapshot without tokens. Cost: for whoever is first to ask, a hash of each person that no snapshot before had.
    pub(super) fn by_pseudonym(&self, key: &PseudonymKey) -> &Arc<Snapshot> {
        self.by_pseudonym.get_or_init(|| Arc::new(self.all.pseudonymous(key, &self.pseudonyms)))
    }
}

/// Facts that are published whole, each time anew.
#[derive(Debug)]
pub struct Published(RwLock<Arc<Shown>>);

impl Published {
    /// These facts.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self(RwLock::new(Shown::of(snapshot, Arc::default())))
    }

    /// Other facts from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Shown::of(snapshot, Arc::default());
    }
}

#[async_trait]
impl Source for Published {
    async fn now(&self) -> Result<Arc<Shown>, Refusal> {
        Ok(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

//! What joins a run to those on sockets: requests to its one writer, and what the writer has told.
//!
//! The one idea: whoever only reads has a [`View`](crate::engine::View) and asks the writer for nothing but that, and for that only if more
//! has been told since the last one; so that many readers cost the writer no more than one.
//!
//! Invariant: a view holds all that had been told when it was asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::Instant;

use crate::limits::{REQUESTS_PENDING_MAX, VIEW_MILLIS_MIN};
use crate::run::{Heard, Progress, Request, Seen, Stage};

/// The link to a run.
#[derive(Debug)]
pub struct Link {
    requests: Sender<Request>,
    is_ready: AtomicBool,
    progress: watch::Sender<Progress>,
    over: watch::Sender<bool>,
    kept: Mutex<Kept>,
    meters: std::sync::Mutex<Meters>,
}

/// What a run counts of itself.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// What each source has told since the start, and what is left of it.
    pub sources: BTreeMap<String, Heard>,
    /// How long the run has been at each stage of its work, in their order.
    pub stages: [Duration; Stage::ALL.len()],
}

/// The view that was taken last.
#[derive(Debug, Default)]
struct Kept {
    last: Option<Arc<Seen>>,
    /// When the next one may be taken.
    next: Option<Instant>,
}

/// Why the run does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// The store is being read.
    #[error("the store is not ready; try again")]
    Unready,
    /// The run has ended. Whether what was asked has been done is not known, unless nothing was.
    #[error("the run has ended before it answered")]
    Over,
}

impl Link {
    /// A link, and where the run takes what is asked. Nothing is handed on before [`Self::ready`].
    #[must_use]
    pub fn new() -> (Arc<Self>, Receiver<Request>) {
        let (requests, asked) = crossbeam_channel::bounded(REQUESTS_PENDING_MAX);
        let ((progress, _), (over, _)) = (watch::channel(Progress::default()), watch::channel(false));
        let link = Self {
            requests,
            is_ready: AtomicBool::new(false),
            progress,
            over,
            kept: Mutex::default(),
            meters: std::sync::Mutex::default(),
        };
        (Arc::new(link), asked)
    }

    /// The store stands; from now on all is answered.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Release);
    }

    /// The run has ended: nothing more is handed on, and whoever waits for an answer is told so.
    pub fn close(&self) {
        self.over.send_replace(true);
    }

    /// Whether the run answers.
    ///
    /// # Errors
    /// It does not.
    pub fn is_ready(&self) -> Result<(), Silence> {
        if *self.over.borrow() {
            return Err(Silence::Over);
        }
        if self.is_ready.load(Ordering::Acquire) { Ok(()) } else { Err(Silence::Unready) }
    }

    /// The run has come so far.
    pub fn told(&self, progress: &Progress) {
        self.progress.send_if_modified(|known| {
            let is_new = known != progress;
            *known = *progress;
            is_new
        });
    }

    /// A source has told something.
    pub fn heard(&self, source: &str, heard: Heard) {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if !meters.sources.contains_key(source) {
            meters.sources.insert(source.to_owned(), Heard::default());
        }
        if let Some(known) = meters.sources.get_mut(source) {
            *known = Heard { messages: known.messages + heard.messages, behind: heard.behind };
        }
    }

    /// The run has been at a stage for so long.
    pub fn passed(&self, stage: Stage, time: Duration) {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).stages[stage as usize] += time;
    }

    /// What the run has counted of itself.
    #[must_use]
    pub fn meters(&self) -> Meters {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the run has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// How far the run comes.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Number of requests that wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.requests.len()
    }

    /// Hands a request to the writer, behind those that wait. It is made where it may take a while.
    ///
    /// # Errors
    /// The run does not answer; what the request cannot be made for.
    pub async fn ask<E: From<Silence> + Send + 'static>(
        &self,
        request: impl FnOnce() -> Result<Request, E> + Send + 'static,
    ) -> Result<(), E> {
        self.is_ready()?;
        let requests = self.requests.clone();
        let send = move || requests.send(request()?).map_err(|_| Silence::Over.into());
        tokio::task::spawn_blocking(send).await.unwrap_or_else(|_| Err(Silence::Over.into()))
    }

    /// What the run answers to a request that was handed on.
    ///
    /// # Errors
    /// It has ended before it did.
    pub async fn answer<T>(&self, told: oneshot::Receiver<T>) -> Result<T, Silence> {
        let mut over = self.over.subscribe();
        tokio::select! {
            // What was answered in the end counts.
            biased;
            answer = told => answer.map_err(|_| Silence::Over),
            _ = over.wait_for(|&over| over) => Err(Silence::Over),
        }
    }

    /// What stands, all that has been told by now included. The writer is asked if more has been told since it was last.
    ///
    /// # Errors
    /// The run does not answer.
    pub async fn view(&self) -> Result<Arc<Seen>, Silence> {
        let told = self.progress().position;
        let mut kept = self.kept.lock().await;
        if let Some(seen) = kept.last.as_ref().filter(|seen| seen.view.position() >= told) {
            return Ok(Arc::clone(seen));
        }
        // Each view has the writer copy what it changes next, so they are not taken one right after the other.
        if let Some(next) = kept.next {
            tokio::time::sleep_until(next).await;
        }
        kept.next = Some(Instant::now() + Duration::from_millis(VIEW_MILLIS_MIN));
        let (tell, told) = oneshot::channel();
        self.ask(move || Ok(Request::View(Box::new(move |seen| drop(tell.send(seen)))))).await?;
        let seen = Arc::new(self.answer(told).await?);
        kept.last = Some(Arc::clone(&seen));
        Ok(seen)
    }
}

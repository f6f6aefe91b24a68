//! Those who come to a run from elsewhere, and where they come in: HTTP, and the doors of SQL.

use std::sync::Arc;

use crossbeam_channel::Receiver;
#[cfg(feature = "flight")]
use rayon::ThreadPool;

use super::args::ClockArg;
#[cfg(feature = "flight")]
use super::config;
#[cfg(feature = "flight")]
use super::doors::{Doors, Prepared};
use super::run::Outputs;
#[cfg(feature = "flight")]
use super::settings::DeskPlan;
use super::settings::Plan;
use super::{Failure, say};
use crate::access::ListenError;
#[cfg(feature = "flight")]
use crate::desk::{Files, Live};
pub(super) use crate::link::Link;
use crate::priority;
use crate::run::{REJECTIONS, Request};
use crate::server::{Server, Setting};

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Open { .. } => Self::Usage(error.to_string()),
            ListenError::Io { .. } => Self::Job(error.into()),
        }
    }
}

/// Where they come in.
pub(super) struct Outside {
    /// What joins them to the run.
    pub(super) link: Arc<Link>,
    /// What they ask of it.
    pub(super) requests: Receiver<Request>,
    server: Option<Server>,
    #[cfg(feature = "flight")]
    doors: Option<Doors>,
}

impl Outside {
    /// Listens, if that is wanted.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn open(plan: &Plan, to: &Outputs, clock: ClockArg) -> Result<Option<Self>, Failure> {
        let address = plan.listen();
        #[cfg(feature = "flight")]
        let is_wanted = address.is_some() || plan.desk.is_some();
        #[cfg(not(feature = "flight"))]
        let is_wanted = address.is_some();
        if !is_wanted {
            return Ok(None);
        }
        let (link, requests) = Link::new();
        let rejections = to.store.join(REJECTIONS);
        // Of its own: what is worked out for who asks keeps no fact waiting.
        let pool = Arc::new(priority::pool(plan.args.threads).map_err(|error| Failure::Job(error.into()))?);
        let setting = || Setting {
            access: Arc::clone(&plan.access),
            link: Arc::clone(&link),
            changes: to.changes.clone(),
            rejections: rejections.clone(),
            ticks: clock == ClockArg::Feed,
            reasons: plan.args.reasons,
            pool: Arc::clone(&pool),
        };
        let server = address.map(|address| Server::listen(address, setting())).transpose()?;
        if let Some(server) = &server {
            say(&format!("listening on http://{}", server.address()));
        }
        #[cfg(feature = "flight")]
        let doors = match &plan.desk {
            Some(desk) => {
                let files = Files { changes: to.changes.clone(), rejections };
                Some(doors(
                    desk,
                    plan,
                    Live::new(Arc::clone(&link), files, config::shipped()?, Arc::clone(&pool)),
                    &pool,
                )?)
            }
            None => None,
        };
        Ok(Some(Self {
            link,
            requests,
            server,
            #[cfg(feature = "flight")]
            doors,
        }))
    }

    /// Whoever still waits for the run is told that it has ended, at all doors at once.
    pub(super) fn close(self) {
        self.link.close();
        std::thread::scope(|scope| {
            if let Some(server) = self.server {
                scope.spawn(|| server.stop());
            }
            #[cfg(feature = "flight")]
            if let Some(doors) = self.doors {
                doors.close();
            }
        });
    }
}

#[cfg(feature = "flight")]
fn doors(desk: &DeskPlan, plan: &Plan, live: Live, pool: &ThreadPool) -> Result<Doors, Failure> {
    let prepared = Prepared::new(desk, Arc::clone(&plan.access))?;
    Doors::open(prepared, Arc::new(live), pool.current_num_threads())
}

//! A run to which nobody comes from elsewhere, as `outside.rs` has it.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::Failure;
use super::args::ClockArg;
use super::run::Outputs;
use super::settings::Plan;
use crate::run::{Heard, Progress, Request, Stage};

/// Nobody.
pub(super) enum Link {}

impl Link {
    pub(super) const fn ready(&self) {
        match *self {}
    }

    pub(super) const fn told(&self, _: &Progress) {
        match *self {}
    }

    pub(super) const fn heard(&self, _: &str, _: Heard) {
        match *self {}
    }

    pub(super) const fn passed(&self, _: Stage, _: Duration) {
        match *self {}
    }
}

/// Nowhere.
pub(super) struct Outside {
    pub(super) link: Arc<Link>,
    pub(super) requests: Receiver<Request>,
}

impl Outside {
    #[expect(clippy::unnecessary_wraps, reason = "where somebody comes from elsewhere it may fail")]
    pub(super) const fn open(_: &Plan, _: &Outputs, _: ClockArg) -> Result<Option<Self>, Failure> {
        Ok(None)
    }

    pub(super) fn close(self) {
        match *self.link {}
    }
}

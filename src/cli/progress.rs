//! What a person sees while a job runs: bars on a terminal, a line a phase otherwise, nothing if quiet. Also the clock of
//! the phases, and the flag that Ctrl-C raises.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::ingest::Observer;
use crate::nightly::{Phase, Watcher};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and SIGTERM) lets a job end in order; a second one ends the process at once.
///
/// Under `nohup` nothing is caught: the handler would take the hang-up that the operator wants ignored.
pub(super) fn catch_interrupts() {
    if hang_up_is_ignored() {
        return;
    }
    let caught = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(super::EXIT_INTERRUPTED.into());
        }
    });
    // Without a handler the system's own applies: the process ends, and temporary files may stay.
    drop(caught);
}

fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Signal 1 is bit 0.
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

/// Whether Ctrl-C has been pressed.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Takes it that Ctrl-C was meant for what has ended by now.
#[cfg(feature = "sql")]
pub(super) fn forget_interrupt() {
    INTERRUPTED.store(false, Ordering::SeqCst);
}

/// The present instant of a clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "the command line measures; the engine does not look at a clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// Tells how long ago it was asked last.
#[derive(Debug)]
pub(super) struct Stopwatch(Mutex<Option<Instant>>);

impl Stopwatch {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn pass(&self) -> Duration {
        let now = clock();
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        last.map_or(Duration::ZERO, |last| now - last)
    }
}

/// Watches a job for a person.
pub(super) struct Progress {
    shown: Shown,
    bar: ProgressBar,
    phases: Mutex<Vec<(Phase, Instant)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    Lines,
    Bars,
}

impl Progress {
    /// A watcher that shows what fits standard error, or nothing.
    pub(super) fn new(quiet: bool) -> Self {
        let shown = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Bars,
            (false, false) => Shown::Lines,
        };
        Self { shown, bar: ProgressBar::hidden(), phases: Mutex::default() }
    }

    fn say(&self, line: &str) {
        match self.shown {
            Shown::Nothing => {}
            Shown::Lines => super::say(line),
            Shown::Bars => self.bar.set_message(line.to_owned()),
        }
    }

    /// The phases so far and how long each took; the last one until now. Clears the bar.
    pub(super) fn finish(&self) -> Vec<(Phase, Duration)> {
        self.bar.finish_and_clear();
        let now = clock();
        let begun = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = begun.iter().skip(1).map(|&(_, instant)| instant).chain([now]);
        begun.iter().zip(ends).map(|(&(phase, begin), end)| (phase, end - begin)).collect()
    }
}

impl Observer for Progress {
    fn begin(&self, bytes: u64) {
        if self.shown == Shown::Bars {
            let template = "{msg:12} {wide_bar} {bytes}/{total_bytes} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            self.bar.set_length(bytes);
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn interrupted(&self) -> bool {
        interrupted()
    }
}

impl Watcher for Progress {
    fn phase(&self, phase: Phase) {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).push((phase, clock()));
        self.say(match phase {
            Phase::Load => "loading",
            Phase::Recompute => "recomputing",
            Phase::Summary => "counting",
            Phase::Write => "writing",
            Phase::Cache => "keeping",
        });
    }
}

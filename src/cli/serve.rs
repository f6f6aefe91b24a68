//! `sanma serve`: a door for those who ask in SQL from elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::asked::{AskedArgs, ServeArgs};
use super::doors::{Doors, Prepared};
use super::settings::ServePlan;
use super::{Failure, progress, say, snapshot};
use crate::desk::Published;
use crate::limits::SIGNAL_MILLIS_MAX;

/// Answers until Ctrl-C.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let ServePlan { args, access, desk, refresh } = ServePlan::new(args)?;
    // What is wrong with an address is said before anything is loaded.
    let prepared = Prepared::new(&desk, access)?;
    let published = Arc::new(Published::new(snapshot::load(&args.asked)?));
    let threads = snapshot::threads(args.asked.threads);
    let doors = Doors::open(prepared, Arc::<Published>::clone(&published), threads)?;
    follow(&args.asked, refresh, &published);
    doors.close();
    Ok(())
}

/// Publishes what a store has come to, now and then, until Ctrl-C.
fn follow(args: &AskedArgs, refresh: Duration, published: &Published) {
    let pause = Duration::from_millis(SIGNAL_MILLIS_MAX);
    let mut known = args.store.as_deref().map(touched);
    let mut waited = Duration::ZERO;
    while !progress::interrupted() {
        std::thread::sleep(pause);
        waited += pause;
        let Some(store) = args.store.as_deref().filter(|_| waited >= refresh) else { continue };
        waited = Duration::ZERO;
        let now = touched(store);
        if known.as_ref() == Some(&now) {
            continue;
        }
        match snapshot::load(&AskedArgs { quiet: true, ..args.clone() }) {
            Ok(snapshot) => {
                published.publish(snapshot);
                known = Some(now);
            }
            Err(_) if progress::interrupted() => {}
            // What was published stays; the next look may be luckier.
            Err(Failure::Usage(why) | Failure::Strict(why)) => say(&format!("warning: {why}")),
            Err(Failure::Job(error)) => say(&format!("warning: {error:#}")),
            Err(Failure::Interrupted | Failure::BrokenPipe | Failure::Told) => {}
        }
    }
}

/// The files of a store's journal, with their lengths and when they were written.
fn touched(store: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let files = fs::read_dir(store.join("journal")).into_iter().flatten().flatten();
    let mut touched: Vec<_> = files
        .filter_map(|file| {
            let about = file.metadata().ok()?;
            Some((file.path(), about.len(), about.modified().ok()))
        })
        .collect();
    touched.sort();
    touched
}

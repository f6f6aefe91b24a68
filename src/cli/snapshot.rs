//! What is asked of in SQL, loaded.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Question;
use super::asked::AskedArgs;
use super::config::{self, Setting};
use super::progress::{self, Progress};
use super::run::check_is_store;
use super::{Failure, say};
use crate::cache::{self, Ready};
use crate::query::{Origins, Snapshot, ToldIn};
use crate::rules::Catalog;
use crate::run::stand::{self, Stood};

/// Threads that were asked for, or as many as there are processors.
pub(super) fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from)
}

/// Megabytes in bytes.
pub(super) fn megabytes(count: NonZeroU64) -> usize {
    usize::try_from(count.get()).unwrap_or(usize::MAX).saturating_mul(1_000_000)
}

/// Loads a directory or a store, as it stands.
///
/// # Errors
/// [`Failure`].
pub(super) fn load(args: &AskedArgs) -> Result<Snapshot, Failure> {
    if let Some(file) = args.changes.iter().find(|file| !file.is_file()) {
        return Err(Failure::Usage(format!("{}: no file", file.display())));
    }
    let progress = Progress::new(args.quiet);
    let catalog = config::shipped()?;
    let snapshot = match (&args.data, &args.store) {
        (Some(data), _) => of_data(args, data, catalog, &progress),
        (None, Some(store)) => of_store(args, store, catalog, &progress),
        (None, None) => Err(Failure::Usage("name --data or --store".to_owned())),
    };
    progress.finish();
    snapshot
}

fn told_in(files: &[PathBuf]) -> impl Iterator<Item = ToldIn> {
    files.iter().cloned().map(ToldIn::from)
}

fn of_data(args: &AskedArgs, data: &Path, catalog: Catalog, progress: &Progress) -> Result<Snapshot, Failure> {
    let question = Question {
        data: data.to_owned(),
        cache: args.cache.clone(),
        rules: args.rules.clone().unwrap_or_default(),
        as_of: args.as_of,
        threads: args.threads,
    };
    let Setting { program, as_of, pool } = Setting::new(&question)?;
    let loaded = pool.install(|| {
        let (ready, cache) = cache::load(&question.data, question.cache.as_deref(), progress)?;
        let Ready { mut facts, rejections, sources, mut warnings, .. } = ready;
        let kept = cache.map_or(Ok(()), |cache| cache.keep(&mut facts, &progress::interrupted));
        warnings.extend(kept.err().map(|error| error.to_string()));
        Ok::<_, Failure>((facts, rejections, sources, warnings))
    });
    let (facts, rejections, sources, mut warnings) = loaded?;
    if !rejections.is_empty() {
        warnings.push(format!("{} invalid rows are left out; they are in the table rejections", rejections.len()));
    }
    for warning in warnings.iter().filter(|_| !args.quiet) {
        say(&format!("warning: {warning}"));
    }
    let origins = Origins { rejections, sources, changes: told_in(&args.changes).collect(), ..Origins::default() };
    Ok(Snapshot::new(facts, origins, (Arc::new(program), catalog), as_of, Arc::new(pool)))
}

fn of_store(args: &AskedArgs, store: &Path, catalog: Catalog, progress: &Progress) -> Result<Snapshot, Failure> {
    check_is_store(store)?;
    let pool = config::pool(args.threads)?;
    let Stood { facts, program, as_of, position, changes, rejections, copy } =
        pool.install(|| stand::stand(store, progress))?;
    if !args.quiet {
        say(&format!("position {} at {}", position.0, as_of.to_rfc3339()));
    }
    let changes = changes.map(ToldIn::from).into_iter().chain(told_in(&args.changes)).collect();
    let refused = rejections.map(ToldIn::from).into_iter().collect();
    let origins = Origins { refused, changes, from: Some(as_of), folder: Some(Arc::new(copy)), ..Origins::default() };
    Ok(Snapshot::new(facts, origins, (program, catalog), as_of, Arc::new(pool)))
}

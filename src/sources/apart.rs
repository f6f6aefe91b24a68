//! That sources are apart from each other, and from what a run writes.

use std::path::{Path, PathBuf};

use super::SourceError;
use crate::model::Table;

/// Checks that nothing is in two sources, and that no folder which is watched holds what the run writes. `outputs` are files that
/// may not be there yet.
///
/// # Errors
/// [`SourceError`]: the first that is.
pub fn check_apart(feeds: &[PathBuf], watch: &[PathBuf], outputs: &[PathBuf]) -> Result<(), SourceError> {
    let watched: Vec<PathBuf> = watch.iter().map(|dir| whole(dir)).collect();
    let name = |path: &Path| path.display().to_string();
    for (place, dir) in watched.iter().enumerate() {
        let feeds = feeds.iter().map(|feed| whole(feed)).filter(|feed| feed.parent().is_some_and(|of| takes(dir, of)));
        let others = watched.iter().enumerate().filter(|(other, of)| *other != place && takes(dir, of));
        if let Some(twice) = feeds.chain(others.map(|(_, other)| other.clone())).next() {
            return Err(SourceError::Twice { name: name(&twice), other: name(dir) });
        }
        let outputs = outputs.iter().map(|output| whole(output));
        if let Some(own) = outputs.into_iter().find(|output| output.parent().is_some_and(|of| takes(dir, of))) {
            return Err(SourceError::Own { name: name(dir), path: name(&own) });
        }
    }
    Ok(())
}

/// Whether what is in a folder is taken by whoever watches another one.
fn takes(watched: &Path, dir: &Path) -> bool {
    let Ok(inside) = dir.strip_prefix(watched) else { return false };
    let first = inside.components().next();
    first.is_none_or(|first| first.as_os_str().to_str().is_some_and(|first| Table::parse(first).is_some()))
}

/// The whole path of what may not be there yet.
fn whole(path: &Path) -> PathBuf {
    let above = || Some(whole(path.parent()?).join(path.file_name()?));
    let start = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    start.canonicalize().ok().or_else(above).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_twice_and_nothing_that_the_run_writes() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for name in ["in/tests/day", "in/store", "other"] {
            std::fs::create_dir_all(at(name)).expect("room");
        }
        std::os::unix::fs::symlink(at("in"), at("link")).expect("a link");
        let check = |feeds: &[&str], watch: &[&str], outputs: &[&str]| {
            let of = |names: &[&str]| names.iter().map(|name| at(name)).collect::<Vec<_>>();
            check_apart(&of(feeds), &of(watch), &of(outputs)).is_ok()
        };
        assert!(check(&["feed.ndjson", "other/feed.ndjson"], &["in", "other/new"], &["in/store/new.ndjson", "x/y/z"]));
        assert!(!check(&["in/feed.ndjson"], &["in"], &[]));
        assert!(!check(&["in/tests/day/feed.ndjson"], &["link"], &[]));
        assert!(!check(&[], &["in", "link"], &[]));
        assert!(!check(&[], &["in", "in/tests"], &[]));
        assert!(!check(&[], &["in"], &["in/new.ndjson"]));
        assert!(!check(&[], &["link"], &["in/tests/new.ndjson"]));
    }
}

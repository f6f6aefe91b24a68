//! What a cache keeps beside columns: by what the data's files are known, and what their load said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ingest::SourceFile;
use crate::model::{ClosedEnum as _, Reason, Rejection, Table};

/// By what a file of the data is known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Stamp {
    /// Name, relative to the data directory.
    pub(super) name: String,
    /// Its table's name.
    table: String,
    bytes: u64,
    modified_ns: i64,
    changed_ns: i64,
}

impl Stamp {
    /// The stamp of a file as it is now; of one that is not there, one that is no file's.
    pub(super) fn of(file: &SourceFile) -> Self {
        let (bytes, modified_ns, changed_ns) = times(&file.path).unwrap_or((u64::MAX, i64::MIN, i64::MIN));
        Self { name: file.name.clone(), table: file.table.name().to_owned(), bytes, modified_ns, changed_ns }
    }

    /// Whether the file is another one by now.
    pub(super) fn has_moved(&self, path: &Path) -> bool {
        times(path) != Some((self.bytes, self.modified_ns, self.changed_ns))
    }
}

/// Size, time of modification and time of change of a file.
#[cfg(unix)]
fn times(path: &Path) -> Option<(u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let ns = |seconds: i64, ns: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns);
    let meta = fs::metadata(path).ok()?;
    Some((meta.len(), ns(meta.mtime(), meta.mtime_nsec()), ns(meta.ctime(), meta.ctime_nsec())))
}

/// Size and time of modification of a file.
#[cfg(not(unix))]
fn times(path: &Path) -> Option<(u64, i64, i64)> {
    let meta = fs::metadata(path).ok()?;
    let since = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((meta.len(), i64::try_from(since.as_nanos()).ok()?, 0))
}

/// What a load said, but for what it says of a directory's other entries.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) rejections: Vec<Rejection>,
    pub(super) duplicates: BTreeMap<Table, u64>,
    pub(super) warnings: Vec<String>,
}

/// [`Said`] in words.
#[derive(Debug, Deserialize, Serialize)]
struct Spelt {
    rejections: Vec<SpeltRejection>,
    duplicates: BTreeMap<String, u64>,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SpeltRejection {
    table: Option<String>,
    id: Option<u64>,
    reason: String,
    column: Option<String>,
    row: String,
    source: String,
    offset: u64,
}

impl Said {
    /// As JSON.
    ///
    /// # Errors
    /// What the encoder said.
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let spell = |rejection: &Rejection| SpeltRejection {
            table: rejection.table.map(|table| table.name().to_owned()),
            id: rejection.id,
            reason: rejection.reason.name().to_owned(),
            column: rejection.column.map(str::to_owned),
            row: rejection.row.clone(),
            source: rejection.source.clone(),
            offset: rejection.offset,
        };
        let duplicates = self.duplicates.iter().map(|(table, &rows)| (table.name().to_owned(), rows));
        serde_json::to_vec(&Spelt {
            rejections: self.rejections.iter().map(spell).collect(),
            duplicates: duplicates.collect(),
            warnings: self.warnings.clone(),
        })
    }

    /// What JSON says; `None` if that is something else.
    pub(super) fn of_json(json: &[u8]) -> Option<Self> {
        let spelt: Spelt = serde_json::from_slice(json).ok()?;
        let rejection = |spelt: SpeltRejection| {
            // A file's row is of its file's table.
            let table = Table::parse(&spelt.table?)?;
            let column = |name: String| Some(table.columns().iter().find(|column| column.name == name)?.name);
            Some(Rejection {
                table: Some(table),
                id: spelt.id,
                reason: Reason::parse(&spelt.reason)?,
                column: match spelt.column {
                    Some(name) => Some(column(name)?),
                    None => None,
                },
                row: spelt.row,
                source: spelt.source,
                offset: spelt.offset,
            })
        };
        let duplicates = spelt.duplicates.into_iter().map(|(table, rows)| Some((Table::parse(&table)?, rows)));
        Some(Self {
            rejections: spelt.rejections.into_iter().map(rejection).collect::<Option<_>>()?,
            duplicates: duplicates.collect::<Option<_>>()?,
            warnings: spelt.warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_said_again() {
        let rejection = |id, column| Rejection {
            table: Some(Table::Stays),
            id,
            reason: Reason::Interval,
            column,
            row: "{\"id\":1,\"place\":\"三\\u0000\"}".to_owned(),
            source: "stays/a.csv".to_owned(),
            offset: u64::MAX,
        };
        let said = Said {
            rejections: vec![rejection(Some(u64::MAX), Some("left_at")), rejection(None, None)],
            duplicates: BTreeMap::from([(Table::Tests, 3)]),
            warnings: vec!["odd".to_owned()],
        };
        let again = Said::of_json(&said.to_json().expect("JSON")).expect("what was said");
        assert_eq!(again.rejections, said.rejections);
        assert_eq!((again.duplicates, again.warnings), (said.duplicates, said.warnings));
        assert!(Said::of_json(b"{}").is_none());
    }
}

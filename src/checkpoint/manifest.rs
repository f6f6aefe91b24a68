//! What a checkpoint says of itself.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use std::hash::Hasher as _;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::{CheckpointError, io_error};
use crate::engine::Standing;
use crate::model::Table;

/// Version of the form.
pub(super) const VERSION: u16 = 1;
/// The manifest's name, which no load takes for a table.
pub(super) const MANIFEST: &str = "_checkpoint.json";

/// A checkpoint's files, and what its position says besides facts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u16,
    pub(super) standing: Standing,
    pub(super) files: Vec<TableFile>,
}

/// A file of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableFile {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Of all bytes, in hexadecimal digits.
    pub(super) xxh3: String,
}

/// Looked at before the rest, which may be of another form.
#[derive(Deserialize)]
struct Versioned {
    version: u16,
}

impl Manifest {
    pub(super) const fn new(standing: Standing, files: Vec<TableFile>) -> Self {
        Self { version: VERSION, standing, files }
    }

    /// One line of JSON, and its checksum.
    pub(super) fn encode(&self) -> String {
        let line = self.line();
        format!("{line}\n{}\n", seal(&line))
    }

    /// What tells it apart from any other: of other facts the files' checksums differ.
    pub(super) fn digest(&self) -> String {
        seal(&self.line())
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }

    pub(super) fn read(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join(MANIFEST);
        let damaged = |detail: &str| CheckpointError::Damaged { path: path.clone(), detail: detail.to_owned() };
        let text = fs::read(&path).map_err(io_error(&path))?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged("it is no text"))?;
        let (line, checksum) = text.split_once('\n').ok_or_else(|| damaged("it is cut short"))?;
        if checksum.trim_end() != seal(line) {
            return Err(damaged("its checksum is another one"));
        }
        let Versioned { version } = serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
        if version != VERSION {
            return Err(CheckpointError::Version { path, found: version });
        }
        serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))
    }

    /// Whether the files are what was written. Cost: a read of them, side by side.
    pub(super) fn check_files(&self, dir: &Path) -> Result<(), CheckpointError> {
        self.files.par_iter().try_for_each(|said| {
            let path = dir.join(&said.name);
            let damaged = |detail: String| CheckpointError::Damaged { path: path.clone(), detail };
            let file = File::open(&path).map_err(io_error(&path))?;
            let bytes = file.metadata().map_err(io_error(&path))?.len();
            if bytes != said.bytes {
                return Err(damaged(format!("it has {bytes} bytes, not {}", said.bytes)));
            }
            let mut hasher = XxHash3_64::new();
            let mut reader = BufReader::with_capacity(1 << 20, file);
            loop {
                let read = reader.fill_buf().map_err(io_error(&path))?;
                if read.is_empty() {
                    break;
                }
                hasher.write(read);
                let length = read.len();
                reader.consume(length);
            }
            if checksum_text(hasher.finish()) == said.xxh3 {
                Ok(())
            } else {
                Err(damaged("its checksum is another one".to_owned()))
            }
        })
    }
}

/// The checksum of the manifest's line.
fn seal(line: &str) -> String {
    checksum_text(XxHash3_64::oneshot(line.as_bytes()))
}

pub(super) fn checksum_text(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// Name of a table's file.
pub(super) fn file_name(table: Table) -> String {
    format!("{}.parquet", table.name())
}

//! Which files of a data directory hold which table.
//!
//! The one idea: a table is `<table>.<format>` or a folder `<table>/` of such files; their order is by path, so that
//! "the last row wins" has one meaning on every machine.

use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::error::{IngestError, Place};
use crate::model::Table;

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
    /// Comma separated values with a header.
    Csv(Compression),
    /// One JSON object a line.
    Ndjson(Compression),
}

/// How a text file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Format {
    /// The format that a file's name says, with the name's stem, or `None`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<(&str, Self)> {
        let (inner, compression) = match name.rsplit_once('.') {
            Some((inner, "gz")) => (inner, Compression::Gzip),
            Some((inner, "zst")) => (inner, Compression::Zstd),
            _ => (name, Compression::Plain),
        };
        let (stem, extension) = inner.rsplit_once('.')?;
        let format = match (extension, compression) {
            ("parquet", Compression::Plain) => Self::Parquet,
            ("arrow", Compression::Plain) => Self::Arrow,
            ("csv", _) => Self::Csv(compression),
            ("ndjson", _) => Self::Ndjson(compression),
            _ => return None,
        };
        Some((stem, format))
    }
}

/// One file of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its table.
    pub table: Table,
    /// Where it is.
    pub path: PathBuf,
    /// Path relative to the data directory, `/` between parts: the name under which rejections speak of it.
    pub name: String,
    /// Its format.
    pub format: Format,
}

/// The files of a data directory, ordered by table and name, and what looked odd.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Files to read.
    pub files: Vec<SourceFile>,
    /// Entries that look like a table but are none, in words.
    pub warnings: Vec<String>,
}

impl Layout {
    /// A digest of the files' tables, names and content: equal for equal data, wherever they are. Cost: a read of all files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn fingerprint(&self) -> Result<String, IngestError> {
        let digest = |file: &SourceFile| -> io::Result<u64> {
            let mut hasher = XxHash3_64::new();
            hasher.write(format!("{}\0{}\0", file.table.name(), file.name).as_bytes());
            let mut reader = File::open(&file.path).map(|opened| BufReader::with_capacity(1 << 20, opened))?;
            loop {
                let read = reader.fill_buf()?;
                if read.is_empty() {
                    return Ok(hasher.finish());
                }
                hasher.write(read);
                let length = read.len();
                reader.consume(length);
            }
        };
        let digest = |file: &SourceFile| {
            digest(file).map_err(|cause| IngestError::Io { path: file.path.clone(), place: Place::Whole, cause })
        };
        let digests: Vec<u64> = self.files.par_iter().map(digest).collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digests.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(format!("{:016x}", XxHash3_64::oneshot(&bytes)))
    }
}

/// Finds the tables of `dir`.
///
/// # Errors
/// If a directory cannot be listed or is named as a file, a table is given twice, or a table's folder holds a file of unknown
/// format.
pub fn discover(dir: &Path) -> Result<Layout, IngestError> {
    let mut layout = Layout::default();
    let mut owner: Vec<(Table, PathBuf)> = Vec::new();
    for (name, path) in entries(dir)? {
        let is_folder = path.is_dir();
        if is_folder && Format::of_name(&name).is_some_and(|(stem, _)| Table::parse(stem).is_some()) {
            // Some writers leave a folder under a file's name; it must not be passed over as if it held nothing.
            return Err(IngestError::FolderNamedAsFile { path });
        }
        let parsed = if is_folder { None } else { Format::of_name(&name) };
        let stem = if is_folder { name.as_str() } else { parsed.map_or(name.as_str(), |(stem, _)| stem) };
        let Some(table) = Table::parse(stem).filter(|_| is_folder || parsed.is_some()) else {
            layout.warnings.extend(oddity(&name, stem, parsed.is_some() || is_folder));
            continue;
        };
        if let Some((_, first)) = owner.iter().find(|(owned, _)| *owned == table) {
            return Err(IngestError::TwoSources { table, first: first.clone(), second: path });
        }
        owner.push((table, path.clone()));
        match parsed {
            Some((_, format)) => layout.files.push(SourceFile { table, path, name, format }),
            None => collect_folder(table, &path, &name, &mut layout.files)?,
        }
    }
    layout.files.sort_by(|left, right| (left.table, &left.name).cmp(&(right.table, &right.name)));
    Ok(layout)
}

fn collect_folder(table: Table, dir: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), IngestError> {
    for (name, path) in entries(dir)? {
        let full = format!("{prefix}/{name}");
        if path.is_dir() {
            collect_folder(table, &path, &full, files)?;
        } else if let Some((_, format)) = Format::of_name(&name) {
            files.push(SourceFile { table, path, name: full, format });
        } else {
            return Err(IngestError::UnknownFormat { path });
        }
    }
    Ok(())
}

/// Names and paths in a directory, without those that begin with `.` or `_`, which writers use for what is not data yet.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, IngestError> {
    let failed = |cause| IngestError::Directory { path: dir.to_owned(), cause };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// A warning about an entry that is probably a table misspelt or in a format that is not read.
fn oddity(name: &str, stem: &str, readable: bool) -> Option<String> {
    let stem = stem.split('.').next().unwrap_or(stem);
    let near = Table::ALL.into_iter().find(|table| strsim::damerau_levenshtein(table.name(), stem) <= 2)?;
    Some(if readable {
        format!("{name} is ignored: no table has that name (did you mean `{}`?)", near.name())
    } else {
        format!("{name} is ignored: a table is .parquet, .arrow, .csv or .ndjson (the last two also .gz or .zst)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(dir: &Path, names: &[&str]) {
        for name in names {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("inside dir")).expect("folder");
            fs::write(path, "").expect("file");
        }
    }

    #[test]
    fn files_and_folders_are_found_in_order() {
        let dir = tempfile::tempdir().expect("temporary directory");
        touch(
            dir.path(),
            &[
                "tests.ndjson.zst",
                "contacts/b.parquet",
                "contacts/a.csv.gz",
                "contacts/deep/c.arrow",
                "cases.csv",
                "README.md",
                "contact.csv",
                ".cases.parquet",
            ],
        );
        let layout = discover(dir.path()).expect("a readable layout");
        let names: Vec<&str> = layout.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["cases.csv", "contacts/a.csv.gz", "contacts/b.parquet", "contacts/deep/c.arrow", "tests.ndjson.zst"]
        );
        assert_eq!(layout.files[1].format, Format::Csv(Compression::Gzip));
        assert_eq!(layout.warnings, ["contact.csv is ignored: no table has that name (did you mean `contacts`?)"]);
    }

    #[test]
    fn a_table_given_twice_or_in_an_unknown_format_is_an_error() {
        let dir = tempfile::tempdir().expect("temporary directory");
        touch(dir.path(), &["cases.csv", "cases.parquet"]);
        assert!(matches!(discover(dir.path()), Err(IngestError::TwoSources { table: Table::Cases, .. })));
        let dir = tempfile::tempdir().expect("temporary directory");
        touch(dir.path(), &["cases/part.xlsx"]);
        assert!(matches!(discover(dir.path()), Err(IngestError::UnknownFormat { .. })));
        assert!(matches!(discover(&dir.path().join("none")), Err(IngestError::Directory { .. })));
    }
}

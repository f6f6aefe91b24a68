//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use serde::Serialize;
use tempfile::NamedTempFile;

/// Why an output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file system refused.
    #[error("cannot write {}: {cause}", .path.display())]
    Io {
        /// The output.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The directory for outputs cannot be made.
    #[error("cannot make the directory {}: {cause}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// An encoder refused.
    #[error("cannot encode {}: {detail}", .path.display())]
    Encode {
        /// The output.
        path: PathBuf,
        /// What the encoder said.
        detail: String,
    },
}

impl SinkError {
    /// What a Parquet encoder said of an output. What the system said to the encoder is told as such.
    pub(crate) fn of_parquet(path: &Path, error: ParquetError) -> Self {
        let path = path.to_owned();
        match error {
            ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
                Ok(cause) => Self::Io { path, cause: *cause },
                Err(cause) => Self::Encode { path, detail: cause.to_string() },
            },
            error => Self::Encode { path, detail: error.to_string() },
        }
    }
}

/// An output that is complete and on disk, under a temporary name in its final directory. Dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Writes an output through `write` and syncs it.
    ///
    /// # Errors
    /// What `write` said, or the system's refusal; nothing is left behind.
    pub fn write(
        target: &Path,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<(), SinkError>,
    ) -> Result<Self, SinkError> {
        let failed = |cause| SinkError::Io { path: target.to_owned(), cause };
        if target.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        let dir = target.parent().unwrap_or(Path::new("."));
        let mut file = temporary(dir, &target.file_name().unwrap_or_default().to_string_lossy())?;
        let mut buffered = BufWriter::with_capacity(1 << 20, file.as_file_mut());
        write(&mut buffered)?;
        buffered.flush().map_err(failed)?;
        drop(buffered);
        Self::of(file, target.to_owned())
    }

    /// Writes a line of JSON and syncs it.
    ///
    /// # Errors
    /// The system's refusal; nothing is left behind.
    pub fn json(target: &Path, value: &impl Serialize) -> Result<Self, SinkError> {
        Self::write(target, |file| {
            let written = serde_json::to_writer(&mut *file, value).map_err(std::io::Error::from);
            let written = written.and_then(|()| writeln!(file));
            written.map_err(|cause| SinkError::Io { path: target.to_owned(), cause })
        })
    }

    /// An output that has been written under a temporary name; syncs it.
    pub(super) fn of(file: NamedTempFile, target: PathBuf) -> Result<Self, SinkError> {
        file.as_file().sync_all().map_err(|cause| SinkError::Io { path: target.clone(), cause })?;
        Ok(Self { file, target })
    }
}

/// A file under a temporary name that begins with `.` and the name.
pub(super) fn temporary(dir: &Path, name: &str) -> Result<NamedTempFile, SinkError> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any file that the operator's programs make: their umask decides.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(dir).map_err(|cause| SinkError::Io { path: dir.join(name), cause })
}

/// Gives all outputs their final names, in order, and syncs their directories.
///
/// # Errors
/// The first refusal; outputs renamed before it stay, later ones are removed.
pub fn commit(outputs: Vec<Staged>) -> Result<(), SinkError> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    for Staged { file, target } in outputs {
        file.persist(&target).map_err(|refused| SinkError::Io { path: target.clone(), cause: refused.error })?;
        let dir = target.parent().unwrap_or(Path::new(".")).to_owned();
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    for dir in dirs {
        let opened = File::open(&dir).and_then(|dir| dir.sync_all());
        opened.map_err(|cause| SinkError::Io { path: dir, cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_and_a_good_one_replaces() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let target = dir.path().join("codes.csv");
        fs::write(&target, "old").expect("old output");
        let failed =
            Staged::write(&target, |_| Err(SinkError::Encode { path: PathBuf::from("x"), detail: "no".into() }));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("listing").count(), 1);
        let good = Staged::write(&target, |file| {
            file.write_all(b"new").map_err(|cause| SinkError::Io { path: PathBuf::from("x"), cause })
        });
        assert_eq!(fs::read_to_string(&target).expect("still old"), "old");
        commit(vec![good.expect("staged")]).expect("committed");
        assert_eq!(fs::read_to_string(&target).expect("new"), "new");
        assert_eq!(fs::read_dir(dir.path()).expect("listing").count(), 1);
    }
}

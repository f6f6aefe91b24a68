//! Where a journal's files are: what it needs of a disk, and the disk.
//!
//! The one idea: files and the names of files become durable apart from each other, so they are synced apart; whoever wants to
//! know what a crash leaves of either puts a [`super::Disk`] in the place of a [`Folder`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::JournalError;

/// Held by the process that has the journal open.
const LOCK: &str = "journal.lock";

/// Named files in one folder.
pub trait Storage: Send + Sync {
    /// An open file.
    type File: StorageFile;

    /// Names of all files, in no order.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn names(&self) -> Result<Vec<String>, JournalError>;

    /// A whole file.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn read(&self, name: &str) -> Result<Vec<u8>, JournalError>;

    /// Opens a file that is there.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn open(&self, name: &str) -> Result<Self::File, JournalError>;

    /// Makes a file that is not there.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn create(&self, name: &str) -> Result<Self::File, JournalError>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn remove(&self, name: &str) -> Result<(), JournalError>;

    /// Makes the names durable: files made are found after a crash, files removed are not.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn sync_names(&self) -> Result<(), JournalError>;
}

/// A file of a [`Storage`].
pub trait StorageFile: Send + Sync {
    /// Writes at an offset.
    ///
    /// # Errors
    /// [`JournalError::Io`]; some of the bytes may have been written.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> Result<(), JournalError>;

    /// Cuts the file.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn truncate(&mut self, bytes: u64) -> Result<(), JournalError>;

    /// Makes the file's content durable.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was written since the last success may or may not be durable, whatever a later try says.
    fn sync(&mut self) -> Result<(), JournalError>;
}

/// A folder of the file system, held by this process alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let file = path.display().to_string();
    |cause| JournalError::Io { file, cause }
}

impl Folder {
    /// Takes a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`JournalError::Locked`] if another process has it; what the system says.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io_error(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { folder: path.display().to_string() }),
            Err(TryLockError::Error(cause)) => Err(io_error(&lock_path)(cause)),
        }
    }

    fn file(&self, name: &str, options: &mut OpenOptions) -> Result<FolderFile, JournalError> {
        let path = self.path.join(name);
        let file = options.write(true).open(&path).map_err(io_error(&path))?;
        Ok(FolderFile { file, path })
    }
}

impl Storage for Folder {
    type File = FolderFile;

    fn names(&self) -> Result<Vec<String>, JournalError> {
        let entries = fs::read_dir(&self.path).map_err(io_error(&self.path))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<_, _>>().map_err(io_error(&self.path))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, JournalError> {
        let path = self.path.join(name);
        fs::read(&path).map_err(io_error(&path))
    }

    fn open(&self, name: &str) -> Result<FolderFile, JournalError> {
        self.file(name, &mut OpenOptions::new())
    }

    fn create(&self, name: &str) -> Result<FolderFile, JournalError> {
        self.file(name, OpenOptions::new().create_new(true))
    }

    fn remove(&self, name: &str) -> Result<(), JournalError> {
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(io_error(&path))
    }

    fn sync_names(&self) -> Result<(), JournalError> {
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io_error(&self.path))
    }
}

/// A file of a [`Folder`].
#[derive(Debug)]
pub struct FolderFile {
    file: File,
    path: PathBuf,
}

impl StorageFile for FolderFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> Result<(), JournalError> {
        self.file.write_all_at(bytes, offset).map_err(io_error(&self.path))
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), JournalError> {
        self.file.set_len(bytes).map_err(io_error(&self.path))
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(io_error(&self.path))
    }
}

//! What can be wrong with a file as a whole. A wrong row is not an error but a [`crate::model::Rejection`].

use std::fmt;
use std::path::PathBuf;

use crate::model::Table;

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole: its header, footer or schema.
    Whole,
    /// A Parquet row group, from 0.
    RowGroup(usize),
    /// An Arrow record batch, from 0.
    Batch(usize),
    /// A line of text, from 1.
    Line(u64),
    /// A row, from 0.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::RowGroup(number) => write!(f, ", row group {number}"),
            Self::Batch(number) => write!(f, ", record batch {number}"),
            Self::Line(number) => write!(f, ", line {number}"),
            Self::Row(number) => write!(f, ", row {number}"),
        }
    }
}

fn column_of(column: Option<&str>) -> String {
    column.map_or_else(String::new, |name| format!(", column `{name}`"))
}

/// Why facts cannot be loaded. Nothing of the load is kept.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The data directory cannot be read.
    #[error("cannot read the data directory {}: {cause}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// One table is given twice.
    #[error("table {} is given twice: {} and {}; keep one, or put both into a folder {}/", .table.name(), .first.display(), .second.display(), .table.name())]
    TwoSources {
        /// The table.
        table: Table,
        /// One of the two.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A folder has the name of a table's file.
    #[error("{} is a directory; a folder of a table's files has the table's name and no ending", .path.display())]
    FolderNamedAsFile {
        /// The folder.
        path: PathBuf,
    },
    /// A file in a table's folder has a name that says no known format.
    #[error("{}: unknown format; a table is .parquet, .arrow, .csv or .ndjson, the last two also .gz or .zst", .path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}{place}: {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Where reading failed.
        place: Place,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file's bytes are not what its format wants.
    #[error("{}{place}{}: corrupt: {detail}", .path.display(), column_of(.column.as_deref()))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// The column at fault, if only one is.
        column: Option<String>,
        /// What the decoder said.
        detail: String,
    },
    /// A column that may not be null is missing.
    #[error("{}{place}: column `{column}` is missing; the file has {}", .path.display(), .found.join(", "))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// Where the columns are named.
        place: Place,
        /// The missing column.
        column: &'static str,
        /// The columns there are.
        found: Vec<String>,
    },
    /// A column is there twice.
    #[error("{}{place}: column `{column}` is there twice", .path.display())]
    ColumnTwice {
        /// The file.
        path: PathBuf,
        /// Where the columns are named.
        place: Place,
        /// The column.
        column: &'static str,
    },
    /// A column is of a type that the contract does not take.
    #[error("{}{place}, column `{column}`: type {found} where {expected} is wanted", .path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// The column.
        column: &'static str,
        /// The type wanted.
        expected: String,
        /// The type found.
        found: String,
    },
    /// A table or file has more rows than row numbers can count.
    #[error("{what} has more than {} rows", crate::limits::TABLE_ROWS_MAX)]
    TooManyRows {
        /// Table or file.
        what: String,
    },
    /// The observer asked to stop.
    #[error("interrupted")]
    Interrupted,
}

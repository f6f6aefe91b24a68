//! What was typed to ask in SQL, or to let others ask.

#[cfg(feature = "flight")]
use std::net::SocketAddr;
use std::num::NonZeroU64;
#[cfg(feature = "flight")]
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::instant;
use crate::model::Timestamp;

/// What is asked of in SQL.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct AskedArgs {
    /// Directory of facts, as of `sanma recompute`
    #[arg(long, value_name = "DIR", requires = "rules")]
    pub(super) data: Option<PathBuf>,
    /// A store, as it stands; also one that a run has, of which a copy is asked
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Directory in which the facts are kept ready for the next time, as of `sanma recompute`
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(super) cache: Option<PathBuf>,
    /// A jurisdiction, a set's name or a file; a store has its own
    #[arg(long, value_name = "NAME|FILE", requires = "data")]
    pub(super) rules: Option<String>,
    /// The instant of the codes; now if left out; a store has its own
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "data")]
    pub(super) as_of: Option<Timestamp>,
    /// Files of changes (Parquet or NDJSON) that the table `changes` has; of a store, besides its own
    #[arg(long, value_name = "FILE")]
    pub(super) changes: Vec<PathBuf>,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Print answers and errors only
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// What was typed after `sanma serve`.
#[cfg(feature = "flight")]
#[derive(Args, Clone, Debug)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("facts").required(true).args(["data", "store"]))]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) asked: AskedArgs,
    /// File of settings; sanma.toml if that is there and this is left out. What is typed goes before what the file says
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address of Arrow Flight SQL, 127.0.0.1:8621 if left out; port 0 is any that is free
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Address of a second door, which speaks Postgres's protocol, for psql and its like; there is none if this is left out
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "ADDR")]
    pub(super) postgres: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) desk: DeskArgs,
    /// How often a store is looked at for more, in seconds; 60 if left out
    #[arg(long, value_name = "S", conflicts_with = "data")]
    pub(super) refresh: Option<NonZeroU64>,
}

/// What was typed of questions from elsewhere.
#[cfg(feature = "flight")]
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[group(skip)]
pub(super) struct DeskArgs {
    /// Directory of what has been asked in SQL, and of the key of pseudonyms; made if it is not there. If left out, `desk` in the store
    /// of a run, and sanma-desk for `sanma serve`
    #[arg(long, value_name = "DIR")]
    pub(super) desk: Option<PathBuf>,
    /// How many people a group has at the least that an analyst sees; 5 if left out
    #[arg(long, value_name = "PEOPLE")]
    pub(super) least_group: Option<NonZeroUsize>,
    /// Certificate for TLS of those who ask in SQL, PEM; plain text if left out
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) certificate: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) key: Option<PathBuf>,
    /// Memory that a query may hold besides the facts, 2000 if left out; what does not fit goes to disk, where that can be done
    #[arg(long, value_name = "MB")]
    pub(super) memory_mb: Option<NonZeroU64>,
    /// Seconds after which a query is ended; 300 if left out
    #[arg(long, value_name = "S")]
    pub(super) time_limit: Option<NonZeroU64>,
    /// How many queries run at once, 4 if left out; others wait
    #[arg(long, value_name = "N")]
    pub(super) at_once: Option<NonZeroUsize>,
}

/// What was typed after `sanma sql`.
#[derive(Args, Debug)]
#[group(skip)]
#[cfg_attr(feature = "flight", command(group = clap::ArgGroup::new("facts").required(true).args(["data", "store", "connect"])))]
#[cfg_attr(not(feature = "flight"), command(group = clap::ArgGroup::new("facts").required(true).args(["data", "store"])))]
pub(super) struct SqlArgs {
    #[command(flatten)]
    pub(super) asked: AskedArgs,
    /// A `sanma serve`, or another door of Arrow Flight SQL: grpc://HOST:PORT, with TLS grpc+tls://HOST:PORT
    #[cfg(feature = "flight")]
    #[arg(long, value_name = "URL", conflicts_with_all = ["files", "changes", "threads", "memory_mb"])]
    pub(super) connect: Option<String>,
    /// File that holds the token by which that door knows who asks
    #[cfg(feature = "flight")]
    #[arg(long, value_name = "FILE", requires = "connect", conflicts_with_all = ["data", "store"])]
    pub(super) token_file: Option<PathBuf>,
    /// File of certificates, PEM, by which that door is known
    #[cfg(feature = "flight")]
    #[arg(long, value_name = "FILE", requires = "connect", conflicts_with_all = ["data", "store"])]
    pub(super) authority: Option<PathBuf>,
    /// Statements; without any, and without --file, they are read from a prompt or from standard input
    #[arg(long, short, value_name = "SQL", allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
    /// Files of statements, after those of --command
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: Vec<PathBuf>,
    /// Format of the answers; table if left out
    #[arg(long, value_enum)]
    pub(super) format: Option<AnswerArg>,
    /// Folders in which `read_parquet` may read and `COPY TO` may write
    #[arg(long, value_name = "DIR")]
    pub(super) files: Vec<PathBuf>,
    /// Memory that a query may hold besides the facts; what does not fit goes to disk, where that can be done
    #[arg(long, value_name = "MB", default_value = "2000")]
    pub(super) memory_mb: NonZeroU64,
    /// Seconds after which a query is ended
    #[arg(long, value_name = "S")]
    pub(super) time_limit: Option<NonZeroU64>,
    /// Tell how long each statement took, on standard error
    #[arg(long)]
    pub(super) timing: bool,
}

/// Formats of an answer.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AnswerArg {
    /// A table for people
    Table,
    /// Comma separated values
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Apache Parquet
    Parquet,
    /// Arrow IPC file
    Arrow,
}

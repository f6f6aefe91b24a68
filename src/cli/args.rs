//! What was typed: the command line's grammar and nothing else.

#[cfg(feature = "live")]
use std::net::SocketAddr;
#[cfg(feature = "observe")]
use std::num::NonZeroU32;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

#[cfg(feature = "sql")]
use super::asked::SqlArgs;
#[cfg(feature = "flight")]
use super::asked::{DeskArgs, ServeArgs};
#[cfg(feature = "observe")]
use super::log::LogArgs;
use super::rules::RulesCommand;
use crate::generate::DAYS_DEFAULT;
use crate::limits::{GENERATED_DAYS_MAX, GENERATED_PEOPLE_MAX};
use crate::model::{ClosedEnum as _, Level, Region, Timestamp};
use crate::rules::UTC_OFFSET_DEFAULT;
use crate::sinks::OutputFormat;

/// The store of who names none.
pub(super) const STORE: &str = "sanma-data";

/// The exit codes, told at the end of `--help`.
const EXIT_CODES: &str = "Exit codes:
  0    done
  1    facts cannot be read, outputs cannot be written, a person has no code
  2    what was typed is wrong: an option, a rule set
  3    --strict, and there are invalid rows
  130  interrupted";

/// The health-code engine: recomputes every code from facts and rules, and says why.
#[derive(Debug, Parser)]
#[command(name = "sanma", version, about, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Load every fact, recompute every code, write codes, changes and rejections
    Recompute(RecomputeArgs),
    /// Say what changed between two files of codes
    Diff(DiffArgs),
    /// Say why a person has the code they have
    Explain(ExplainArgs),
    /// Say who would change under other rules or listings, before anyone signs them
    Whatif(WhatifArgs),
    /// Follow feeds of facts: journal them, and tell each changed code
    Run(RunArgs),
    /// Replay a store and compare its codes with those of a full recompute
    Verify(VerifyArgs),
    /// Look at a store's journal: list, verify, dump, compact
    Journal {
        /// What to do
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Copy a store, also one that is in use, to a folder that is not there yet
    Backup {
        /// The store
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
        /// The folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Make a store of a backup
    Restore {
        /// The backup
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The store, which is not there yet
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
    /// Look at the settings of a run: check, example
    Config {
        /// What to do
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Ask in SQL: of facts, codes and changes
    #[cfg(feature = "sql")]
    Sql(SqlArgs),
    /// Let others ask in SQL, by Arrow Flight SQL
    #[cfg(feature = "flight")]
    Serve(ServeArgs),
    /// Measure: how long a run takes to answer facts that come at a given rate
    #[cfg(feature = "observe")]
    Bench {
        /// What is measured
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Make a city that nobody lives in, of any size, as Parquet
    Generate(GenerateArgs),
    /// Look at rule sets: list, show, check, diff
    Rules {
        /// What to do
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which facts, under which rules, when.
#[derive(Args, Debug)]
pub(super) struct Question {
    /// Directory of facts: <table>.parquet|arrow|csv|ndjson (the last two also .gz or .zst), or folders of such files
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Directory in which the facts are kept ready for the next run, as they are in memory: if the files of --data are then
    /// as they were, none is read. Made if it is not there; as large as the facts in memory; damage is noticed and repaired
    #[arg(long, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// A jurisdiction (huzhou: its set in force at --as-of), a set's name (huzhou-2020-02-16) or a file
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) rules: String,
    /// The instant of the codes: 2020-02-18T00:00:00+08:00, or 2020-02-18 for its midnight at +08:00; now if left out
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(super) as_of: Option<Timestamp>,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
}

/// What was typed after `sanma recompute`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that was typed")]
#[derive(Args, Debug)]
pub(super) struct RecomputeArgs {
    /// Which facts, rules and instant.
    #[command(flatten)]
    pub(super) question: Question,
    /// Directory for codes, changes and rejections
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Codes of an earlier run (a file or its directory): write what changed since then
    #[arg(long, value_name = "CODES")]
    pub(super) previous: Option<PathBuf>,
    /// Format of the outputs
    #[arg(long, value_enum, default_value = "parquet")]
    pub(super) format: FormatArg,
    /// Count a change of reasons alone as a change
    #[arg(long, requires = "previous")]
    pub(super) reasons: bool,
    /// Make an invalid row an error: rejections are written, codes are not
    #[arg(long)]
    pub(super) strict: bool,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(super) json: bool,
    /// Print errors only
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// What was typed after `sanma diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// Codes before: a file of codes in any format, or its directory
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// Codes after
    #[arg(value_name = "AFTER")]
    pub(super) after: PathBuf,
    /// Directory for changes; without it they are counted only
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Format of the changes
    #[arg(long, value_enum, default_value = "parquet")]
    pub(super) format: FormatArg,
    /// The instant of the codes after, told in each of the changes; now if left out
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "out")]
    pub(super) as_of: Option<Timestamp>,
    /// Count a change of reasons alone as a change
    #[arg(long)]
    pub(super) reasons: bool,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(super) json: bool,
}

/// What was typed after `sanma explain`.
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// Which facts, rules and instant.
    #[command(flatten)]
    pub(super) question: Question,
    /// The person's token
    #[arg(value_name = "PERSON")]
    pub(super) person: String,
    /// For whom: the person (nobody else is named) or the official who reviews an appeal (with evidence)
    #[arg(long, value_enum, default_value = "person")]
    pub(super) audience: AudienceArg,
    /// Language
    #[arg(long, value_enum, default_value = "en")]
    pub(super) lang: LangArg,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What was typed after `sanma whatif`.
#[derive(Args, Debug)]
#[group(id = "candidates", required = true, multiple = true, args = ["against", "list", "delist", "risk_areas"])]
pub(super) struct WhatifArgs {
    /// Which facts, rules and instant.
    #[command(flatten)]
    pub(super) question: Question,
    /// Rules that might be put in force, named as --rules are; several are candidates of their own
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) against: Vec<String>,
    /// List a region at a level (key, high, elevated, medium, lower, low) from the instant on, as 330106=high
    #[arg(long, value_name = "CODE=LEVEL", value_parser = listing)]
    pub(super) list: Vec<(Region, Level)>,
    /// End the listings of a region that hold at the instant
    #[arg(long, value_name = "CODE", value_parser = region)]
    pub(super) delist: Vec<Region>,
    /// A table of listings in any format, in the place of the data's; several are candidates of their own
    #[arg(long, value_name = "FILE")]
    pub(super) risk_areas: Vec<PathBuf>,
    /// Directory for the changes of each candidate, changes-1 and so on; without it they are counted only
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Format of the changes
    #[arg(long, value_enum, default_value = "parquet")]
    pub(super) format: FormatArg,
    /// Count a change of reasons alone as a change
    #[arg(long)]
    pub(super) reasons: bool,
    /// Print one JSON object instead of the summary
    #[arg(long)]
    pub(super) json: bool,
}

/// What moves time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClockArg {
    /// The clock on the wall
    Wall,
    /// Messages `{"as_of": "..."}` in the feeds
    Feed,
}

/// Which store, and the facts that it began from.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// Directory of the journal, the changes and the rejections; made if it is not there
    #[arg(long, value_name = "DIR", default_value = STORE)]
    pub(super) store: PathBuf,
    /// Directory of facts from before the store began, as of `sanma recompute`; wanted at its first start only
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
}

/// What was typed after `sanma run`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct RunArgs {
    /// File of settings; sanma.toml if that is there and this is left out. What is typed goes before what the file says
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Directory of the journal, the changes and the rejections; made if it is not there; sanma-data if left out
    #[arg(long, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Directory of facts from before the store began, as of `sanma recompute`; wanted at its first start only
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// A jurisdiction, a set's name or a file. A new store begins with hangzhou; a store that there is keeps its rules if this
    /// is left out, and recomputes everybody under these if they are others
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) rules: Option<String>,
    /// What moves time; wall if left out
    #[arg(long, value_enum)]
    pub(super) clock: Option<ClockArg>,
    /// With --clock feed, the instant at which a new store begins, or to which time is moved first
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(super) as_of: Option<Timestamp>,
    /// File of changes, or - for standard output, where only what changes from now on is told; <store>/changes.ndjson if left out
    #[arg(long, value_name = "FILE")]
    pub(super) changes: Option<PathBuf>,
    /// Tell changes as Parquet files in this directory as well: each appears whole, with whole positions
    #[arg(long, value_name = "DIR")]
    pub(super) parquet: Option<PathBuf>,
    /// With --changes -, tell again what changed after this position
    #[arg(long, value_name = "POSITION", requires = "changes")]
    pub(super) from: Option<u64>,
    /// Count a change of reasons alone as a change
    #[arg(long)]
    pub(super) reasons: bool,
    /// Bytes of a file of the journal, 64 MB if left out; a checkpoint is made of four at the least, and they are dropped
    #[arg(long, value_name = "BYTES")]
    pub(super) segment_bytes: Option<NonZeroU64>,
    /// Directory for everybody's code when the run ends
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Format of those codes
    #[arg(long, value_enum, default_value = "parquet", requires = "out")]
    pub(super) format: FormatArg,
    /// Print one JSON object about the run on standard error instead of lines
    #[arg(long)]
    pub(super) json: bool,
    /// Serve HTTP on this address until Ctrl-C, or off; port 0 is any that is free. If left out, 127.0.0.1:8620 unless there is a feed
    #[cfg(feature = "live")]
    #[arg(long, value_name = "ADDR|off")]
    pub(super) listen: Option<Listen>,
    /// Let others ask what stands in SQL, by Arrow Flight SQL on this address, until Ctrl-C; nobody if left out
    #[cfg(feature = "flight")]
    #[arg(long, value_name = "ADDR|off")]
    pub(super) sql: Option<Listen>,
    /// The same by Postgres's protocol, for psql and its like
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "ADDR|off")]
    pub(super) postgres: Option<Listen>,
    #[cfg(feature = "flight")]
    #[command(flatten)]
    pub(super) desk: DeskArgs,
    #[cfg(feature = "observe")]
    #[command(flatten)]
    pub(super) log: LogArgs,
    /// Directory that is watched, until Ctrl-C, for files of messages (NDJSON) and of rows of a table (in any format, named as the table
    /// is or in a directory so named); may be given more than once
    #[arg(long, value_name = "DIR")]
    pub(super) watch: Vec<PathBuf>,
    /// Files of messages (NDJSON), one after the other; - is standard input, which is also read if none is named, nothing is
    /// watched and HTTP is not served
    #[arg(value_name = "FEED")]
    pub(super) feeds: Vec<PathBuf>,
}

/// Where HTTP is served.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    /// Nowhere.
    Off,
    /// On an address.
    At(SocketAddr),
}

#[cfg(feature = "live")]
impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| "write an address and a port, such as 127.0.0.1:8620, or off".to_owned())
    }
}

/// What was typed after `sanma config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether a file of settings is right, and what a run would do by it
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = "sanma.toml")]
        file: PathBuf,
    },
    /// Print a file of settings with every key, what it does, and what it is if left out
    Example,
}

/// What was typed after `sanma verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The store.
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// What was typed after `sanma journal`.
#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// List the checkpoint and the files of the journal; also while a run has the store
    Ls {
        /// The store
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
    /// Read the checkpoint and all of the journal, and check every checksum and every record
    Verify {
        /// The store
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
    },
    /// Print what the journal says as messages of a feed, each with its position
    Dump {
        /// The store
        #[arg(long, value_name = "DIR", default_value = STORE)]
        store: PathBuf,
        /// The first position; where the journal begins if left out
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
    },
    /// Make a checkpoint of all there is, and drop the journal behind it
    Compact {
        /// The store.
        #[command(flatten)]
        store: StoreArgs,
        /// File of changes, which has to be told all of them first; the one that was told last if left out
        #[arg(long, value_name = "FILE")]
        changes: Option<PathBuf>,
        /// Directory of Parquet files of changes, which has to be told all of them first as well
        #[arg(long, value_name = "DIR")]
        parquet: Option<PathBuf>,
    },
}

/// What is measured.
#[cfg(feature = "observe")]
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Send messages to a run over facts, each lot when it is due, and tell how long the answers took, by kind of fact
    Run(BenchRunArgs),
}

/// What was typed after `sanma bench run`.
#[cfg(feature = "observe")]
#[derive(Args, Clone, Debug)]
pub(super) struct BenchRunArgs {
    /// Directory of facts that the run begins with, as `sanma generate` makes it
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// The instant of the run, by which all facts have come
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub(super) as_of: Timestamp,
    /// A jurisdiction, a set's name or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "hangzhou")]
    pub(super) rules: String,
    /// Messages a second
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(super) rate: NonZeroU32,
    /// Messages that are sent together, as one request: they are due at one instant, and answered at one
    #[arg(long, value_name = "N", default_value = "10")]
    pub(super) lot: NonZeroU32,
    /// Seconds that count
    #[arg(long, value_name = "S", default_value_t = 15)]
    pub(super) seconds: u32,
    /// Seconds before them
    #[arg(long, value_name = "S", default_value_t = 3)]
    pub(super) warm_up: u32,
    /// What messages are drawn by
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Directory in which the store is made, and removed: its disk is a part of what is measured; the system's one for temporary files
    /// if left out
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// What was typed after `sanma generate`.
#[derive(Args, Debug)]
pub(super) struct GenerateArgs {
    /// How many people live there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(GENERATED_PEOPLE_MAX)))]
    pub(super) people: u32,
    /// Another number is another city; the same number gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(super) seed: u64,
    /// Directory for the tables: new, empty, or of a city that is to be replaced
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Days of facts, up to 24 February 2020
    #[arg(long, value_name = "D", default_value_t = DAYS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(GENERATED_DAYS_MAX)))]
    pub(super) days: u32,
    /// Put bad rows of every kind among the good ones, one in a thousand, and ids given twice
    #[arg(long)]
    pub(super) dirt: bool,
    /// Threads to use; as many as there are processors if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Print errors only
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Formats of outputs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum FormatArg {
    /// Apache Parquet
    #[default]
    Parquet,
    /// Comma separated values
    Csv,
    /// One JSON object a line
    Ndjson,
    /// Arrow IPC file
    Arrow,
}

impl From<FormatArg> for OutputFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Csv => Self::Csv,
            FormatArg::Ndjson => Self::Ndjson,
            FormatArg::Arrow => Self::Arrow,
        }
    }
}

/// Audiences of an explanation.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AudienceArg {
    /// The person with the code
    Person,
    /// The official who reviews an appeal
    Official,
}

/// Languages of an explanation.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LangArg {
    /// 中文
    Zh,
    /// English
    En,
}

/// An instant as typed.
///
/// # Errors
/// A sentence on how to write one.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_typed(text, UTC_OFFSET_DEFAULT)
        .ok_or_else(|| "write 2020-02-18T00:00:00+08:00, or 2020-02-18 for its midnight at +08:00".to_owned())
}

/// A region as typed.
///
/// # Errors
/// A sentence on what a code is.
fn region(text: &str) -> Result<Region, String> {
    Region::parse(text).ok_or_else(|| {
        "a region is a division code of 6 or 9 digits (330106, 330106109) or a country's below 1000 (392)".to_owned()
    })
}

/// A region and its level as typed.
///
/// # Errors
/// A sentence on how to write them.
fn listing(text: &str) -> Result<(Region, Level), String> {
    let (code, level) = text.split_once('=').ok_or("write a region and a level: 330106=high")?;
    let level =
        Level::parse(level).ok_or_else(|| format!("{level:?} is no level; levels are {}", Level::NAMES.join(", ")))?;
    Ok((region(code)?, level))
}

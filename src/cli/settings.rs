//! `sanma.toml` and `sanma config`: the settings of a run in a file.
//!
//! The one idea: a setting is a flag that stands in a file. The file is read into the flags that were not typed, so that a run knows
//! flags only. Who may call has no flag.

use std::io::Write;
#[cfg(feature = "flight")]
use std::net::SocketAddr;
#[cfg(feature = "flight")]
use std::num::NonZeroUsize;
use std::num::{NonZeroU16, NonZeroU64};
use std::path::{Path, PathBuf};
#[cfg(feature = "live")]
use std::sync::Arc;
#[cfg(feature = "flight")]
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

#[cfg(feature = "live")]
use super::args::Listen;
#[cfg(feature = "flight")]
use super::args::STORE;
use super::args::{ClockArg, ConfigCommand, RunArgs, instant};
#[cfg(feature = "flight")]
use super::asked::{DeskArgs, ServeArgs};
#[cfg(feature = "observe")]
use super::log::{Filter, LogFormat};
use super::{Failure, say};
#[cfg(feature = "live")]
use crate::access::Access;
use crate::model::Timestamp;

/// The file that is read if it is there and none is named.
const FILE: &str = "sanma.toml";
/// People in a group, queries at once, memory and time of each, and looks at a store, where nothing is said of them.
#[cfg(feature = "flight")]
const LEAST_GROUP_DEFAULT: NonZeroUsize = NonZeroUsize::new(5).expect("not zero");
#[cfg(feature = "flight")]
const AT_ONCE_DEFAULT: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
#[cfg(feature = "flight")]
const MEMORY_MB_DEFAULT: NonZeroU64 = NonZeroU64::new(2000).expect("not zero");
#[cfg(feature = "flight")]
const TIME_LIMIT_SECONDS_DEFAULT: u64 = 300;
#[cfg(feature = "flight")]
const REFRESH_SECONDS_DEFAULT: u64 = 60;
/// Every key with what it does.
const EXAMPLE: &str = include_str!("sanma.toml");

/// What a file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    store: Option<PathBuf>,
    clock: Option<ClockArg>,
    segment_bytes: Option<NonZeroU64>,
    reasons: bool,
    feeds: Vec<PathBuf>,
    watch: Vec<PathBuf>,
    rules: Option<String>,
    data: Option<PathBuf>,
    #[serde(deserialize_with = "typed_instant")]
    as_of: Option<Timestamp>,
    changes: Option<PathBuf>,
    parquet: Option<PathBuf>,
    threads: Option<NonZeroU16>,
    #[cfg(feature = "live")]
    http: Http,
    #[cfg(feature = "flight")]
    sql: Sql,
    #[cfg(feature = "observe")]
    log: Log,
}

/// What a file says of the log.
#[cfg(feature = "observe")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    filter: Option<Filter>,
    format: Option<LogFormat>,
}

/// What a file says of questions in SQL.
#[cfg(feature = "flight")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sql {
    listen: Option<SocketAddr>,
    #[cfg(feature = "postgres")]
    postgres: Option<SocketAddr>,
    desk: Option<PathBuf>,
    least_group: Option<NonZeroUsize>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    memory_mb: Option<NonZeroU64>,
    time_limit: Option<NonZeroU64>,
    at_once: Option<NonZeroUsize>,
    refresh: Option<NonZeroU64>,
}

/// What a file says of HTTP.
#[cfg(feature = "live")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    #[serde(deserialize_with = "typed_listen")]
    listen: Option<Listen>,
    requests_per_second: Option<std::num::NonZeroU32>,
    callers: Vec<crate::access::Caller>,
}

fn typed_instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    instant(&String::deserialize(from)?).map(Some).map_err(de::Error::custom)
}

#[cfg(feature = "live")]
fn typed_listen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Listen>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(de::Error::custom)
}

/// What a run is to do: what was typed, and else what a file says.
#[derive(Debug)]
pub(super) struct Plan {
    /// Flags.
    pub(super) args: RunArgs,
    /// Who may call.
    #[cfg(feature = "live")]
    pub(super) access: Arc<Access>,
    /// How questions in SQL are taken, if they are.
    #[cfg(feature = "flight")]
    pub(super) desk: Option<DeskPlan>,
}

impl Plan {
    /// Reads the file that is named, or the one that is there.
    ///
    /// # Errors
    /// [`Failure::Usage`]: a file that cannot be read, or says what there is not.
    pub(super) fn new(args: &RunArgs) -> Result<Self, Failure> {
        let settings = Settings::find(args.config.as_deref())?;
        #[cfg(feature = "live")]
        let (settings, access) = settings.access()?;
        #[cfg(feature = "flight")]
        let mut settings = settings;
        #[cfg(feature = "flight")]
        let sql = std::mem::take(&mut settings.sql);
        let args = settings.under(args.clone());
        Ok(Self {
            #[cfg(feature = "flight")]
            desk: sql.of_run(&args)?,
            args,
            #[cfg(feature = "live")]
            access,
        })
    }

    /// Whether HTTP is served.
    #[cfg(not(feature = "live"))]
    pub(super) const fn serves_http(&self) -> bool {
        false
    }

    /// Whether HTTP is served.
    #[cfg(feature = "live")]
    pub(super) fn serves_http(&self) -> bool {
        self.listen().is_some()
    }

    /// Where HTTP is served, if anywhere: without a feed, also if nothing is said of it.
    #[cfg(feature = "live")]
    pub(super) fn listen(&self) -> Option<std::net::SocketAddr> {
        match self.args.listen {
            Some(Listen::At(address)) => Some(address),
            Some(Listen::Off) => None,
            None => {
                let is_followed = !self.args.feeds.is_empty() || self.args.watch.is_empty() && is_fed();
                (!is_followed).then_some(crate::server::ADDRESS_DEFAULT)
            }
        }
    }
}

/// Where those who ask in SQL come.
#[cfg(feature = "flight")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addresses {
    /// By Arrow Flight SQL.
    pub(super) flight: Option<SocketAddr>,
    /// By Postgres's protocol.
    #[cfg(feature = "postgres")]
    pub(super) postgres: Option<SocketAddr>,
}

#[cfg(feature = "flight")]
impl Addresses {
    pub(super) fn all(self) -> impl Iterator<Item = SocketAddr> {
        #[cfg(feature = "postgres")]
        let more = self.postgres;
        #[cfg(not(feature = "postgres"))]
        let more = None;
        self.flight.into_iter().chain(more)
    }
}

/// How questions from elsewhere are taken: what was typed, and else what a file says, and else what is usual.
#[cfg(feature = "flight")]
#[derive(Debug)]
pub(super) struct DeskPlan {
    /// Where it listens.
    pub(super) at: Addresses,
    /// Where it keeps what it is asked.
    pub(super) dir: PathBuf,
    /// How many people a group has at the least that an analyst sees.
    pub(super) least_group: NonZeroUsize,
    /// How many queries run at once.
    pub(super) at_once: NonZeroUsize,
    /// Memory of each.
    pub(super) memory_mb: NonZeroU64,
    /// Time of each.
    pub(super) time: Duration,
    /// Files of a certificate and of its key.
    pub(super) certified: Option<[PathBuf; 2]>,
}

#[cfg(feature = "flight")]
fn seconds(typed: Option<NonZeroU64>, set: Option<NonZeroU64>, usual: u64) -> Duration {
    Duration::from_secs(typed.or(set).map_or(usual, NonZeroU64::get))
}

#[cfg(feature = "flight")]
impl Sql {
    /// How questions are taken at some addresses; in a folder, if none is named.
    fn desk(&self, typed: &DeskArgs, at: Addresses, usual: impl FnOnce() -> PathBuf) -> Result<DeskPlan, Failure> {
        let either = |typed: &Option<PathBuf>, set: &Option<PathBuf>| typed.clone().or_else(|| set.clone());
        let certified = match (either(&typed.certificate, &self.certificate), either(&typed.key, &self.key)) {
            (Some(certificate), Some(key)) => Some([certificate, key]),
            (None, None) => None,
            _ => return Err(Failure::Usage("a certificate wants its key, and a key its certificate".to_owned())),
        };
        Ok(DeskPlan {
            at,
            dir: either(&typed.desk, &self.desk).unwrap_or_else(usual),
            least_group: typed.least_group.or(self.least_group).unwrap_or(LEAST_GROUP_DEFAULT),
            at_once: typed.at_once.or(self.at_once).unwrap_or(AT_ONCE_DEFAULT),
            memory_mb: typed.memory_mb.or(self.memory_mb).unwrap_or(MEMORY_MB_DEFAULT),
            time: seconds(typed.time_limit, self.time_limit, TIME_LIMIT_SECONDS_DEFAULT),
            certified,
        })
    }

    /// How questions of a run are taken, if an address is named.
    fn of_run(&self, args: &RunArgs) -> Result<Option<DeskPlan>, Failure> {
        let named = |typed: Option<Listen>, set: Option<SocketAddr>| match typed {
            Some(Listen::Off) => None,
            Some(Listen::At(address)) => Some(address),
            None => set,
        };
        let at = Addresses {
            flight: named(args.sql, self.listen),
            #[cfg(feature = "postgres")]
            postgres: named(args.postgres, self.postgres),
        };
        if at != Addresses::default() {
            let usual = || args.store.as_deref().unwrap_or(Path::new(STORE)).join("desk");
            return self.desk(&args.desk, at, usual).map(Some);
        }
        if args.desk != DeskArgs::default() {
            return Err(Failure::Usage("nobody asks in SQL: name an address, --sql 127.0.0.1:8621".to_owned()));
        }
        Ok(None)
    }
}

/// What a door for questions is to do: what was typed, and else what a file says, and else what is usual.
#[cfg(feature = "flight")]
#[derive(Debug)]
pub(super) struct ServePlan {
    /// Flags.
    pub(super) args: ServeArgs,
    /// Who may call.
    pub(super) access: Arc<Access>,
    /// How questions are taken.
    pub(super) desk: DeskPlan,
    /// How often a store is looked at.
    pub(super) refresh: Duration,
}

#[cfg(feature = "flight")]
impl ServePlan {
    /// Reads the file that is named, or the one that is there.
    ///
    /// # Errors
    /// As of [`Plan::new`]; a certificate without a key.
    pub(super) fn new(args: &ServeArgs) -> Result<Self, Failure> {
        let (Settings { sql, .. }, access) = Settings::find(args.config.as_deref())?.access()?;
        let at = Addresses {
            flight: args.listen.or(sql.listen).or(Some(crate::flight::ADDRESS_DEFAULT)),
            #[cfg(feature = "postgres")]
            postgres: args.postgres.or(sql.postgres),
        };
        Ok(Self {
            args: args.clone(),
            access,
            desk: sql.desk(&args.desk, at, || PathBuf::from("sanma-desk"))?,
            refresh: seconds(args.refresh, sql.refresh, REFRESH_SECONDS_DEFAULT),
        })
    }
}

/// Whether standard input is something that ends: a pipe or a file, and no terminal or `/dev/null`.
#[cfg(feature = "live")]
fn is_fed() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileTypeExt as _;

    let kind = std::io::stdin().as_fd().try_clone_to_owned().and_then(|own| std::fs::File::from(own).metadata());
    kind.is_ok_and(|kind| {
        let kind = kind.file_type();
        kind.is_fifo() || kind.is_file() || kind.is_socket()
    })
}

impl Settings {
    /// What the file says that is named, or the one that is there.
    fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let file = named.or_else(|| Some(Path::new(FILE)).filter(|file| file.exists()));
        if let (None, Some(file)) = (named, file) {
            say(&format!("settings are those of {}", file.display()));
        }
        file.map_or_else(|| Ok(Self::default()), read)
    }

    /// Takes out who may call.
    #[cfg(feature = "live")]
    fn access(mut self) -> Result<(Self, Arc<Access>), Failure> {
        let callers = std::mem::take(&mut self.http.callers);
        let access = Access::new(callers, self.http.requests_per_second);
        access.map(|access| (self, Arc::new(access))).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// What was typed, and else what is set.
    fn under(self, mut args: RunArgs) -> RunArgs {
        args.store = args.store.or(self.store);
        args.clock = args.clock.or(self.clock);
        args.segment_bytes = args.segment_bytes.or(self.segment_bytes);
        args.reasons |= self.reasons;
        args.rules = args.rules.or(self.rules);
        args.data = args.data.or(self.data);
        args.as_of = args.as_of.or(self.as_of);
        args.changes = args.changes.or(self.changes);
        args.parquet = args.parquet.or(self.parquet);
        args.threads = args.threads.or(self.threads.map(NonZeroU16::get));
        if args.feeds.is_empty() {
            args.feeds = self.feeds;
        }
        if args.watch.is_empty() {
            args.watch = self.watch;
        }
        #[cfg(feature = "observe")]
        {
            args.log.log = args.log.log.or(self.log.filter);
            args.log.log_format = args.log.log_format.or(self.log.format);
        }
        #[cfg(feature = "live")]
        {
            args.listen = args.listen.or(self.http.listen);
        }
        args
    }
}

fn read(file: &Path) -> Result<Settings, Failure> {
    let failed = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|cause| failed(cause.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.to_string()))
}

/// Does what was typed after `sanma config`.
///
/// # Errors
/// A file that is wrong.
pub(super) fn run(command: &ConfigCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        ConfigCommand::Example => write!(out, "{EXAMPLE}")?,
        ConfigCommand::Check { file } => {
            let plan = Plan::new(&RunArgs { config: Some(file.clone()), ..RunArgs::default() })?;
            super::run::check(&plan)?;
            writeln!(out, "{} is right", file.display())?;
        }
    }
    Ok(())
}

//! `sanma.toml` and `sanma config`: the settings of a run in a file.
//!
//! The one idea: a setting is a flag that stands in a file. The file is read into the flags that were not typed, so that a run knows
//! flags only. Who may call has no flag.

use std::io::Write;
use std::num::{NonZeroU16, NonZeroU64};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};

#[cfg(feature = "live")]
use super::args::Listen;
use super::args::{ClockArg, ConfigCommand, RunArgs, instant};
use super::{Failure, say};
use crate::model::Timestamp;
#[cfg(feature = "live")]
use crate::server::Access;

/// The file that is read if it is there and none is named.
const FILE: &str = "sanma.toml";
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
    rules: Option<String>,
    data: Option<PathBuf>,
    #[serde(deserialize_with = "typed_instant")]
    as_of: Option<Timestamp>,
    changes: Option<PathBuf>,
    threads: Option<NonZeroU16>,
    #[cfg(feature = "live")]
    http: Http,
}

/// What a file says of HTTP.
#[cfg(feature = "live")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    #[serde(deserialize_with = "typed_listen")]
    listen: Option<Listen>,
    requests_per_second: Option<std::num::NonZeroU32>,
    callers: Vec<crate::server::Caller>,
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
    pub(super) access: Access,
}

impl Plan {
    /// Reads the file that is named, or the one that is there.
    ///
    /// # Errors
    /// [`Failure::Usage`]: a file that cannot be read, or says what there is not.
    pub(super) fn new(args: &RunArgs) -> Result<Self, Failure> {
        let file = args.config.as_deref().or_else(|| Some(Path::new(FILE)).filter(|file| file.exists()));
        if let (None, Some(file)) = (&args.config, file) {
            say(&format!("settings are those of {}", file.display()));
        }
        let settings = file.map_or_else(|| Ok(Settings::default()), read)?;
        #[cfg(feature = "live")]
        let (settings, access) = settings.access()?;
        Ok(Self {
            args: settings.under(args.clone()),
            #[cfg(feature = "live")]
            access,
        })
    }

    /// Where HTTP is served, if anywhere: without a feed, also if nothing is said of it.
    #[cfg(feature = "live")]
    pub(super) fn listen(&self) -> Option<std::net::SocketAddr> {
        match self.args.listen {
            Some(Listen::At(address)) => Some(address),
            Some(Listen::Off) => None,
            None => (self.args.feeds.is_empty() && !is_fed()).then_some(crate::server::ADDRESS_DEFAULT),
        }
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
    /// Takes out who may call.
    #[cfg(feature = "live")]
    fn access(mut self) -> Result<(Self, Access), Failure> {
        let callers = std::mem::take(&mut self.http.callers);
        let access = Access::new(callers, self.http.requests_per_second);
        access.map(|access| (self, access)).map_err(|error| Failure::Usage(error.to_string()))
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
        args.threads = args.threads.or(self.threads.map(NonZeroU16::get));
        if args.feeds.is_empty() {
            args.feeds = self.feeds;
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

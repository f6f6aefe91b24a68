//! `--log`: what a run tells of itself while it goes on, on standard error, a line an event.
//!
//! Persons' tokens are in no event: who reads a log need not be who may see codes.

use std::io;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer, de};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// What is told if nothing is said of it.
const FILTER_DEFAULT: &str = "warn";

/// What was typed of the log.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LogArgs {
    /// Which events are told on standard error: a level (error, warn, info, debug, trace), or levels by part of the program as
    /// `warn,sanma::server=debug`; warn if left out
    #[arg(long, value_name = "FILTER")]
    pub(super) log: Option<Filter>,
    /// How: a line of text or an object of JSON each; text if left out
    #[arg(long, value_enum)]
    pub(super) log_format: Option<LogFormat>,
}

/// Which events are told.
#[derive(Clone, Debug)]
pub(super) struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; write a level, as info, or levels by part, as warn,sanma=debug");
        EnvFilter::builder().parse(text).map_err(|error| wrong(&error.to_string()))?;
        // A word that is no level would be taken for a part of the program, of which everything is told.
        let level = |part: &str| part.rsplit('=').next().unwrap_or_default().trim().parse::<LevelFilter>();
        match text.split(',').find(|part| level(part).is_err()) {
            Some(part) => Err(wrong(&format!("{part} says no level"))),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// How events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// Lines of text
    Text,
    /// Lines of JSON
    Json,
}

/// Tells events from now on, for as long as the process lives.
pub(super) fn begin(args: &LogArgs) {
    let filter = args.log.as_ref().map_or(FILTER_DEFAULT, |Filter(text)| text);
    // Others tell what they are given, statements and headers among it.
    let is_ours = |event: &Metadata<'_>| *event.level() <= Level::WARN || event.target().starts_with("sanma");
    let log = tracing_subscriber::registry().with(EnvFilter::new(filter)).with(filter_fn(is_ours));
    let lines = fmt::layer().with_writer(io::stderr);
    // One that has begun goes on: there is one a process.
    let _ = match args.log_format.unwrap_or(LogFormat::Text) {
        LogFormat::Text => log.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).try_init(),
    };
}

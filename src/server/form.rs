//! How changes are told to a subscriber: as events, as lines, or as an Arrow stream.
//!
//! Invariant: an event's id is the position of which it is the last, so that whoever comes back with it misses nothing.

use std::collections::HashSet;
use std::io;

use arrow::ipc::writer::StreamWriter;

use crate::model::Region;
use crate::model::schema::changes_schema;
use crate::sinks::{self, Told};

/// Which changes are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Only those to this colour.
    pub(super) colour: Option<String>,
    /// Only those of who lives there.
    pub(super) region: Option<Region>,
}

/// In what the changes go out.
pub(super) enum Carrier {
    /// Server-sent events.
    Events,
    /// Lines.
    Lines,
    /// An Arrow stream.
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Carrier {
    /// What they are called.
    pub(super) const NAMES: [&str; 3] =
        ["text/event-stream", "application/x-ndjson", "application/vnd.apache.arrow.stream"];
    /// Place of lines among them.
    pub(super) const LINES: usize = 1;
    /// Place of an Arrow stream among them.
    pub(super) const ARROW: usize = 2;

    /// A stream of the schema of `changes`.
    ///
    /// # Errors
    /// What the writer says.
    pub(super) fn arrow() -> io::Result<Self> {
        let writer = StreamWriter::try_new(Vec::new(), &changes_schema()).map_err(io::Error::other)?;
        Ok(Self::Arrow(Box::new(writer)))
    }

    /// What it is called.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Events => Self::NAMES[0],
            Self::Lines => Self::NAMES[Self::LINES],
            Self::Arrow(_) => Self::NAMES[Self::ARROW],
        }
    }
}

/// How lines are told.
pub(super) struct Form {
    pub(super) carrier: Carrier,
    pub(super) is_debezium: bool,
    pub(super) wanted: Wanted,
    /// The last line, as an event: its id is told with it once it is known to be the last of its position.
    pub(super) last: Option<(u64, Vec<u8>)>,
}

/// Lines, and what they say.
pub(super) type Lines<'a> = Vec<(&'a [u8], Told<'a>)>;

/// Lines of changes.
pub(super) fn parse(lines: &[u8]) -> Lines<'_> {
    let each = lines.split_inclusive(|&byte| byte == b'\n');
    each.filter_map(|line| Some((line, Told::parse(line)?))).collect()
}

impl Form {
    /// Tells lines, but for changes of persons who live elsewhere. At the end of what has been told so far positions are whole.
    ///
    /// # Errors
    /// What the writer of Arrow says.
    pub(super) fn tell(&mut self, lines: Lines<'_>, elsewhere: &HashSet<String>, is_end: bool) -> io::Result<Vec<u8>> {
        let Self { carrier, is_debezium, wanted, last } = self;
        let is_asked = |told: &Told<'_>| {
            let colour = wanted.colour.as_deref();
            colour.is_none_or(|colour| told.after.as_deref() == Some(colour)) && !elsewhere.contains(&*told.person)
        };
        let said = |line: &[u8], told: &Told<'_>| {
            if *is_debezium { told.debezium().to_string().into_bytes() } else { line.trim_ascii_end().to_vec() }
        };
        match carrier {
            Carrier::Arrow(writer) => {
                let told: Vec<Told<'_>> = lines.into_iter().map(|(_, told)| told).filter(is_asked).collect();
                if !told.is_empty() {
                    writer.write(&sinks::told_batch(&told)).map_err(io::Error::other)?;
                }
                Ok(std::mem::take(writer.get_mut()))
            }
            Carrier::Lines => {
                let asked = lines.into_iter().filter(|(_, told)| is_asked(told));
                Ok(asked.flat_map(|(line, told)| [said(line, &told), b"\n".to_vec()]).flatten().collect())
            }
            Carrier::Events => {
                let mut out = Vec::new();
                for (line, told) in lines {
                    pass_on(last, Some(told.position), &mut out);
                    let event =
                        if is_asked(&told) { [b"data: ", &*said(line, &told), b"\n"].concat() } else { Vec::new() };
                    *last = Some((told.position, event));
                }
                if is_end {
                    pass_on(last, None, &mut out);
                }
                Ok(out)
            }
        }
    }

    /// What follows the last change of all.
    ///
    /// # Errors
    /// What the writer of Arrow says.
    pub(super) fn end(&mut self) -> io::Result<Vec<u8>> {
        let Carrier::Arrow(writer) = &mut self.carrier else { return Ok(Vec::new()) };
        writer.finish().map_err(io::Error::other)?;
        Ok(std::mem::take(writer.get_mut()))
    }
}

/// Tells the last line, now that the position of the next one is known.
fn pass_on(last: &mut Option<(u64, Vec<u8>)>, next: Option<u64>, out: &mut Vec<u8>) {
    let Some((position, event)) = last.take() else { return };
    out.extend_from_slice(&event);
    let is_last = next != Some(position);
    if is_last || !event.is_empty() {
        if is_last {
            out.extend_from_slice(format!("id: {position}\n").as_bytes());
        }
        out.push(b'\n');
    }
}

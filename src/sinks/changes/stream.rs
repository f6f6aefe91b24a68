//! Changes as lines on standard output, which cannot say what arrived.

use std::io::Write;
use std::path::Path;

use super::{Changed, Sink};
use crate::model::Timestamp;
use crate::sinks::staged::SinkError;

/// Lines that go somewhere and are not seen again.
pub struct Stream<'a> {
    out: &'a mut (dyn Write + Send),
    told: u64,
}

const NAME: &str = "standard output";

impl<'a> Stream<'a> {
    /// Tells what changes after a position.
    pub fn new(out: &'a mut (dyn Write + Send), after: u64) -> Self {
        Self { out, told: after }
    }
}

impl Sink for Stream<'_> {
    fn name(&self) -> &Path {
        Path::new(NAME)
    }

    fn told(&self) -> u64 {
        self.told
    }

    fn tell(&mut self, changed: &Changed<'_>) -> Result<(), SinkError> {
        self.told = changed.position;
        changed.write_lines(&mut self.out, Path::new(NAME))
    }

    fn flush(&mut self, _: Timestamp) -> Result<(), SinkError> {
        self.out.flush().map_err(|cause| SinkError::Io { path: NAME.into(), cause })
    }

    fn secure(&mut self, _: u64) -> Result<(), SinkError> {
        self.out.flush().map_err(|cause| SinkError::Io { path: NAME.into(), cause })
    }
}

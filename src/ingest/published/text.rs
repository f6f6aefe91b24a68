//! Published codes from CSV and NDJSON.

use std::path::Path;

use arrow::array::StringBuilder;
use serde::Deserialize;

use super::{Block, Piece, corrupt};
use crate::ingest::error::{IngestError, Place};
use crate::ingest::layout::Compression;
use crate::ingest::split::{self, CsvRecords, Lines};
use crate::limits::TEXT_BLOCK_ROWS_MAX;
use crate::model::published::ListId;
use crate::model::{ClosedEnum as _, Colour};

/// The rows of a block that is being read.
#[derive(Default)]
struct Rows {
    piece: Piece,
    /// Line of the first row.
    line: u64,
    persons: StringBuilder,
    colours: Vec<Colour>,
    reasons: Vec<ListId>,
}

impl Rows {
    fn push<'a>(
        &mut self,
        line: u64,
        person: &str,
        colour: &str,
        reasons: impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        if self.colours.is_empty() {
            self.line = line;
        }
        self.persons.append_value(person);
        self.colours.push(Colour::parse(colour).ok_or_else(|| format!("{colour:?} is no colour"))?);
        self.reasons.push(self.piece.lists.number(reasons.map(str::to_owned).collect()));
        if self.colours.len() == TEXT_BLOCK_ROWS_MAX {
            self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) {
        self.piece.blocks.push(Block {
            place: Place::Line(self.line),
            persons: self.persons.finish(),
            colours: std::mem::take(&mut self.colours),
            reasons: std::mem::take(&mut self.reasons),
        });
    }

    fn finish(mut self) -> Piece {
        self.flush();
        self.piece
    }
}

pub(super) fn read_csv(path: &Path, packed: Compression) -> Result<Piece, IngestError> {
    let mut records = CsvRecords::new(split::open(path, packed)?);
    let (line, header) = records.next(path)?.unwrap_or_default();
    let field = |name: &'static str| {
        let found = header.iter().position(|field| field == name.as_bytes());
        found.ok_or_else(|| corrupt(path, Place::Line(line.max(1)), format!("column `{name}` is missing")))
    };
    let (person, colour, reasons) = (field("person")?, field("colour")?, field("reasons")?);
    let mut rows = Rows::default();
    while let Some((line, record)) = records.next(path)? {
        let at = |detail: String| corrupt(path, Place::Line(line), detail);
        if record.len() != header.len() {
            return Err(at(format!("{} fields where the header has {}", record.len(), header.len())));
        }
        let text = |field: usize| str::from_utf8(&record[field]).map_err(|error| at(error.to_string()));
        let items = text(reasons)?.split(';').filter(|item| !item.is_empty());
        rows.push(line, text(person)?, text(colour)?, items).map_err(at)?;
    }
    Ok(rows.finish())
}

pub(super) fn read_ndjson(path: &Path, packed: Compression) -> Result<Piece, IngestError> {
    #[derive(Deserialize)]
    struct Line {
        person: String,
        colour: String,
        reasons: Vec<String>,
    }
    let mut lines = Lines::new(split::open(path, packed)?);
    let mut rows = Rows::default();
    while let Some((line, text)) = lines.next(path)? {
        let at = |detail: String| corrupt(path, Place::Line(line), detail);
        let record: Line = serde_json::from_slice(&text).map_err(|error| at(error.to_string()))?;
        rows.push(line, &record.person, &record.colour, record.reasons.iter().map(String::as_str)).map_err(at)?;
    }
    Ok(rows.finish())
}

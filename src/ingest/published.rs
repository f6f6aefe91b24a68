//! Codes published earlier, read back to be compared.
//!
//! The one idea: only `person`, `colour` and `reasons` matter to a diff; tokens go into one arena, lists of reasons are
//! numbered, and the whole is put in the order of the persons' bytes if it is not already.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray as _, RecordBatch, RecordBatchReader};
use arrow::datatypes::DataType;
use arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use super::error::{IngestError, Place};
use super::guard::guarded;
use super::layout::{Compression, Format};
use super::split::{self, CsvRecords, Lines};
use crate::limits::DECODE_ROWS_MAX;
use crate::model::published::{Entry, ListId, ReasonLists};
use crate::model::{ClosedEnum as _, Colour};

/// Codes read from a file.
#[derive(Debug, Default)]
pub struct Published {
    tokens: String,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    begin: usize,
    end: usize,
    colour: Colour,
    reasons: ListId,
}

impl Published {
    /// Reads a `codes` file of any output format (text may be packed), or the one in a directory; its lists of reasons go to
    /// `lists`.
    ///
    /// # Errors
    /// If there is no such file, or it is not a file of codes.
    pub fn read(path: &Path, lists: &mut ReasonLists) -> Result<Self, IngestError> {
        let path = if path.is_dir() { find_codes(path)? } else { path.to_owned() };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut published = Self::default();
        match Format::of_name(&name) {
            Some((_, Format::Parquet)) => published.read_parquet(&path, lists)?,
            Some((_, Format::Arrow)) => published.read_arrow(&path, lists)?,
            Some((_, Format::Csv(compression))) => published.read_csv(&path, compression, lists)?,
            Some((_, Format::Ndjson(compression))) => published.read_ndjson(&path, compression, lists)?,
            None => return Err(IngestError::UnknownFormat { path }),
        }
        published.sort();
        let person = |row: &Row| &published.tokens[row.begin..row.end];
        let mut pairs = published.rows.iter().zip(published.rows.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(row, next)| person(row) == person(next)) {
            let detail = format!("person {:?} is there twice", person(twice));
            return Err(IngestError::Corrupt { path, place: Place::Whole, column: Some("person".into()), detail });
        }
        Ok(published)
    }

    /// The entries, in the order of the persons' bytes.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let entry =
            |row: &Row| Entry { person: &self.tokens[row.begin..row.end], colour: row.colour, reasons: row.reasons };
        self.rows.iter().map(entry).collect()
    }

    fn push(&mut self, person: &str, colour: &str, reasons: ListId) -> Result<(), String> {
        let colour = Colour::parse(colour).ok_or_else(|| format!("{colour:?} is no colour"))?;
        let begin = self.tokens.len();
        self.tokens.push_str(person);
        self.rows.push(Row { begin, end: self.tokens.len(), colour, reasons });
        Ok(())
    }

    fn sort(&mut self) {
        let Self { tokens, rows } = self;
        let person = |row: &Row| &tokens.as_bytes()[row.begin..row.end];
        if !rows.is_sorted_by(|left, right| person(left) <= person(right)) {
            rows.sort_by(|left, right| person(left).cmp(person(right)));
        }
    }

    fn read_parquet(&mut self, path: &Path, lists: &mut ReasonLists) -> Result<(), IngestError> {
        let file = open(path)?;
        let reader =
            guarded(|| ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(DECODE_ROWS_MAX).build());
        self.read_batches(path, reader.map_err(|detail| corrupt(path, Place::Whole, &detail))?, lists)
    }

    fn read_arrow(&mut self, path: &Path, lists: &mut ReasonLists) -> Result<(), IngestError> {
        let file = open(path)?;
        let reader = guarded(|| FileReader::try_new(BufReader::new(file), None));
        self.read_batches(path, reader.map_err(|detail| corrupt(path, Place::Whole, &detail))?, lists)
    }

    fn read_batches(
        &mut self,
        path: &Path,
        mut reader: impl RecordBatchReader,
        lists: &mut ReasonLists,
    ) -> Result<(), IngestError> {
        for number in 0.. {
            let at = |detail: String| corrupt(path, Place::Batch(number), &detail);
            let Some(batch) = guarded(|| reader.next().transpose()).map_err(at)? else { break };
            self.read_batch(&batch, lists).map_err(at)?;
        }
        Ok(())
    }

    fn read_batch(&mut self, batch: &RecordBatch, lists: &mut ReasonLists) -> Result<(), String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"));
        let text = |name: &str| {
            let array = column(name)?;
            array.as_string_opt::<i32>().ok_or_else(|| format!("column `{name}` is {}, not Utf8", array.data_type()))
        };
        let (persons, colours) = (text("person")?, text("colour")?);
        let reasons = column("reasons")?;
        let DataType::List(_) = reasons.data_type() else {
            return Err(format!("column `reasons` is {}, not List<Utf8>", reasons.data_type()));
        };
        let reasons = reasons.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let list = reasons.value(row);
            let list = list.as_string_opt::<i32>().ok_or("column `reasons` holds no Utf8")?;
            if persons.is_null(row) || colours.is_null(row) {
                return Err(format!("row {row} has no person or no colour"));
            }
            let list = lists.number(list.iter().flatten().map(str::to_owned).collect());
            self.push(persons.value(row), colours.value(row), list)?;
        }
        Ok(())
    }

    fn read_csv(&mut self, path: &Path, packed: Compression, lists: &mut ReasonLists) -> Result<(), IngestError> {
        let mut records = CsvRecords::new(split::open(path, packed)?);
        let (line, header) = records.next(path)?.unwrap_or_default();
        let field = |name: &'static str| {
            let found = header.iter().position(|field| field == name.as_bytes());
            found.ok_or_else(|| corrupt(path, Place::Line(line.max(1)), &format!("column `{name}` is missing")))
        };
        let (person, colour, reasons) = (field("person")?, field("colour")?, field("reasons")?);
        while let Some((line, record)) = records.next(path)? {
            let at = |detail: String| corrupt(path, Place::Line(line), &detail);
            if record.len() != header.len() {
                return Err(at(format!("{} fields where the header has {}", record.len(), header.len())));
            }
            let text = |field: usize| str::from_utf8(&record[field]).map_err(|error| at(error.to_string()));
            let items = text(reasons)?.split(';').filter(|item| !item.is_empty()).map(str::to_owned);
            let list = lists.number(items.collect());
            self.push(text(person)?, text(colour)?, list).map_err(at)?;
        }
        Ok(())
    }

    fn read_ndjson(&mut self, path: &Path, packed: Compression, lists: &mut ReasonLists) -> Result<(), IngestError> {
        #[derive(Deserialize)]
        struct Line {
            person: String,
            colour: String,
            reasons: Vec<String>,
        }
        let mut lines = Lines::new(split::open(path, packed)?);
        while let Some((line, text)) = lines.next(path)? {
            let at = |detail: String| corrupt(path, Place::Line(line), &detail);
            let record: Line = serde_json::from_slice(&text).map_err(|error| at(error.to_string()))?;
            let list = lists.number(record.reasons);
            self.push(&record.person, &record.colour, list).map_err(at)?;
        }
        Ok(())
    }
}

fn corrupt(path: &Path, place: Place, detail: &dyn std::fmt::Display) -> IngestError {
    IngestError::Corrupt { path: path.to_owned(), place, column: None, detail: detail.to_string() }
}

fn open(path: &Path) -> Result<File, IngestError> {
    File::open(path).map_err(|cause| IngestError::Io { path: path.to_owned(), place: Place::Whole, cause })
}

fn find_codes(dir: &Path) -> Result<PathBuf, IngestError> {
    let names = ["codes.parquet", "codes.arrow", "codes.csv", "codes.ndjson"];
    names.iter().map(|name| dir.join(name)).find(|path| path.is_file()).ok_or_else(|| IngestError::Io {
        path: dir.join(names[0]),
        place: Place::Whole,
        cause: std::io::ErrorKind::NotFound.into(),
    })
}

//! Text files to records with their lines: unpacking, where a record ends, and what a file broken off looks like.
//!
//! The one idea: the CSV reader sees the bytes through a [`Meter`], which knows what the reader does not tell: on which line a
//! record begins whatever the line ends are, that a record grows beyond all bounds, and, by a mark that it adds after
//! the end of the file, that a quote was never closed (the reader would take the rest of the file for one field).
//!
//! Memory is bounded by [`TEXT_LINE_BYTES_MAX`] a record.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;
use flate2::read::MultiGzDecoder;

use super::error::{IngestError, Place};
use super::layout::Compression;
use crate::limits::TEXT_LINE_BYTES_MAX;

/// Unpacks; gives the reader past a byte order mark.
pub(super) fn open(path: &Path, compression: Compression) -> Result<Box<dyn BufRead + Send>, IngestError> {
    let failed = |cause| IngestError::Io { path: path.to_owned(), place: Place::Whole, cause };
    let mut packed = BufReader::new(File::open(path).map_err(failed)?);
    if compression != Compression::Plain && packed.fill_buf().map_err(failed)?.is_empty() {
        // No packer leaves nothing, and not every unpacker minds.
        return Err(corrupt(path, Place::Whole, "the file is empty"));
    }
    let unpacked: Box<dyn Read + Send> = match compression {
        Compression::Plain => Box::new(packed),
        Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(failed)?),
    };
    let mut reader = BufReader::with_capacity(1 << 18, unpacked);
    let begin = reader.fill_buf().map_err(|cause| io_error(path, 1, cause))?;
    if begin.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
    }
    Ok(Box::new(reader))
}

fn corrupt(path: &Path, place: Place, detail: impl Into<String>) -> IngestError {
    IngestError::Corrupt { path: path.to_owned(), place, column: None, detail: detail.into() }
}

/// Whether an I/O error is of what was read, as unpackers say it, and not of the system.
pub(super) fn is_damage(cause: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(cause.kind(), InvalidData | InvalidInput | UnexpectedEof | Other)
}

/// Errors of decompression arrive as I/O errors; both say where the text broke off.
fn io_error(path: &Path, line: u64, cause: io::Error) -> IngestError {
    let place = Place::Line(line);
    if is_damage(&cause) {
        return corrupt(path, place, cause.to_string());
    }
    IngestError::Io { path: path.to_owned(), place, cause }
}

/// The mark after the end of a CSV file, on a line of its own.
const END: &[u8] = b"\0the end\0";

/// What stands between a text and its CSV reader.
struct Meter {
    inner: Box<dyn BufRead + Send>,
    /// Bytes that may still be read for the present record.
    left: usize,
    /// Bytes of the text so far; all of them once `tail` is there.
    bytes: u64,
    /// What is left of the mark, once the text has ended.
    tail: Option<&'static [u8]>,
    /// The line feeds read and not yet passed, each with the begin of the run of line ends that it closes.
    feeds: VecDeque<(u64, u64)>,
    /// Where the present run of line ends began.
    run: Option<u64>,
}

impl Meter {
    const TAIL: &'static [u8] = b"\n\0the end\0\n";

    fn new(inner: Box<dyn BufRead + Send>) -> Self {
        Self { inner, left: TEXT_LINE_BYTES_MAX, bytes: 0, tail: None, feeds: VecDeque::new(), run: None }
    }

    fn count(&mut self, read: &[u8]) {
        for at in memchr::memchr2_iter(b'\n', b'\r', read) {
            let place = self.bytes + at as u64;
            let goes_on = if at > 0 { matches!(read[at - 1], b'\n' | b'\r') } else { self.run.is_some() };
            let begin = self.run.filter(|_| goes_on).unwrap_or(place);
            self.run = Some(begin);
            if read[at] == b'\n' {
                self.feeds.push_back((begin, place));
            }
        }
        if !matches!(read.last(), Some(b'\n' | b'\r')) {
            self.run = None;
        }
        self.bytes += read.len() as u64;
    }

    /// How many lines end before the record that the reader begins to look for at `byte`; each is told once.
    fn pass(&mut self, byte: u64) -> u64 {
        let mut passed = 0;
        while self.feeds.front().is_some_and(|&(begin, place)| place < byte || begin <= byte) {
            self.feeds.pop_front();
            passed += 1;
        }
        passed
    }
}

impl Read for Meter {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(tail) = &mut self.tail {
            return tail.read(into);
        }
        if self.left == 0 {
            let detail = format!("a record of more than {TEXT_LINE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        let room = into.len().min(self.left);
        let read = self.inner.read(&mut into[..room])?;
        self.left -= read;
        if read == 0 && room > 0 {
            self.tail = Some(Self::TAIL);
            return self.read(into);
        }
        self.count(&into[..read]);
        Ok(read)
    }
}

/// The records of a CSV file, the header first.
pub(super) struct CsvRecords {
    reader: csv::Reader<Meter>,
    /// Lines that end before the present record.
    lines: u64,
}

impl CsvRecords {
    pub(super) fn new(text: Box<dyn BufRead + Send>) -> Self {
        let reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(Meter::new(text));
        Self { reader, lines: 0 }
    }

    /// The next record and the line on which it begins.
    pub(super) fn next(&mut self, path: &Path) -> Result<Option<(u64, ByteRecord)>, IngestError> {
        let mut record = ByteRecord::new();
        let begin = self.reader.position().byte();
        self.reader.get_mut().left = TEXT_LINE_BYTES_MAX;
        let more = self.reader.read_byte_record(&mut record);
        self.lines += self.reader.get_mut().pass(begin);
        let line = self.lines + 1;
        let more = more.map_err(|cause| csv_error(path, line, cause))?;
        let read_all = self.reader.get_ref().tail.is_some_and(<[u8]>::is_empty)
            && self.reader.position().byte() > self.reader.get_ref().bytes + 1;
        if !more || (read_all && record.len() == 1 && record.get(0) == Some(END)) {
            return Ok(None);
        }
        if read_all {
            return Err(corrupt(path, Place::Line(line), "a quote in the record that begins here is never closed"));
        }
        Ok(Some((line, record)))
    }
}

fn csv_error(path: &Path, line: u64, cause: csv::Error) -> IngestError {
    match cause.into_kind() {
        csv::ErrorKind::Io(cause) => io_error(path, line, cause),
        kind => corrupt(path, Place::Line(line), format!("{kind:?}")),
    }
}

/// The lines of an NDJSON file that are not blank.
pub(super) struct Lines {
    text: Box<dyn BufRead + Send>,
    line: u64,
}

impl Lines {
    pub(super) const fn new(text: Box<dyn BufRead + Send>) -> Self {
        Self { text, line: 0 }
    }

    /// The next line that is not blank, and its number.
    pub(super) fn next(&mut self, path: &Path) -> Result<Option<(u64, Vec<u8>)>, IngestError> {
        loop {
            let mut line = Vec::new();
            self.line += 1;
            let mut limited = self.text.by_ref().take(TEXT_LINE_BYTES_MAX as u64);
            let read = limited.read_until(b'\n', &mut line).map_err(|cause| io_error(path, self.line, cause))?;
            if read == 0 {
                return Ok(None);
            }
            if read == TEXT_LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                let detail = format!("a line of more than {TEXT_LINE_BYTES_MAX} bytes");
                return Err(corrupt(path, Place::Line(self.line), detail));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.line, line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Vec<(u64, String)>, String> {
        let mut records = CsvRecords::new(Box::new(io::Cursor::new(text.as_bytes().to_vec())));
        let mut found = Vec::new();
        while let Some((line, record)) = records.next(Path::new("x.csv")).map_err(|error| error.to_string())? {
            let fields: Vec<_> = record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            found.push((line, fields.join("|")));
        }
        Ok(found)
    }

    fn assert_records(text: &str, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(line, record)| (line, record.to_owned())).collect();
        assert_eq!(records(text), Ok(expected), "{text:?}");
    }

    #[test]
    fn a_record_begins_on_its_line_whatever_the_line_ends() {
        assert_records("a,b\n1,2\n3,4\n", &[(1, "a|b"), (2, "1|2"), (3, "3|4")]);
        assert_records("a,b\r\n1,2\r\n3,4", &[(1, "a|b"), (2, "1|2"), (3, "3|4")]);
        assert_records("a\n1\r\n\r\n\n2\n\"3\n3\"\r\n4\n", &[(1, "a"), (2, "1"), (5, "2"), (6, "3\n3"), (8, "4")]);
        assert_records("\n\na\n\"\n\"\n\n5", &[(3, "a"), (4, "\n"), (7, "5")]);
        assert_records("", &[]);
        assert_records("\n", &[]);
        assert_records("a", &[(1, "a")]);
        assert_records("\"a\"", &[(1, "a")]);
        assert_records("a,\n\"\"", &[(1, "a|"), (2, "")]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_line() {
        for (text, line) in
            [("a\n\"", 2), ("a\n\"b\nc\n", 2), ("\"", 1), ("a,b\n1,2\n3,\"4\n5,6\n", 3), ("a\n\"b\"\"", 2)]
        {
            let told = records(text).expect_err("an open quote");
            assert!(told.contains(&format!("line {line}: ")) && told.contains("never closed"), "{text:?}: {told}");
        }
    }

    #[test]
    fn the_mark_in_a_text_is_a_text() {
        let end = String::from_utf8(END.to_vec()).expect("ASCII");
        assert_records(&format!("{end}\n{end}\n"), &[(1, &end), (2, &end)]);
        assert_records(&end, &[(1, &end)]);
    }
}

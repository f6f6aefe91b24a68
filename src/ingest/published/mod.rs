//! Codes published earlier, read back to be compared.
//!
//! The one idea: a file is cut into pieces that know nothing of each other (row groups, runs of batches; a text is one), read
//! side by side; tokens stay in the arrays that the decoder made, lists of reasons are numbered, a piece by itself.
//!
//! Invariant: the rows are in the order of the persons' bytes, each person once. A file of another order (a spreadsheet has its own)
//! is sorted; one that holds a person twice says two things of them and is refused.
//!
//! Cost: decoding `person`, `colour` and `reasons`, and one comparison of tokens a row; a sort where that finds another order.
//! Memory is the tokens and 9 bytes a row.

mod columnar;
mod text;

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::StringArray;
use rayon::prelude::*;

use super::error::{IngestError, Place};
use super::layout::Format;
use crate::limits::DECODE_ROWS_MAX;
use crate::model::Colour;
use crate::model::published::{Entry, ListId, ReasonLists, Rows};

/// Codes read from a file.
#[derive(Debug, Default)]
pub struct Published {
    pieces: Vec<Piece>,
}

/// What one task has read.
#[derive(Debug, Default)]
struct Piece {
    blocks: Vec<Block>,
    /// The lists that `reasons` in the blocks number.
    lists: ReasonLists,
}

/// Some rows, all columns of one length.
#[derive(Debug)]
struct Block {
    /// Where they stand in the file.
    place: Place,
    persons: StringArray,
    colours: Vec<Colour>,
    reasons: Vec<ListId>,
}

impl Block {
    fn person(&self, row: usize) -> &str {
        self.persons.value(row)
    }
}

impl Published {
    /// Reads a `codes` file of any output format (text may be packed), or the one in a directory.
    ///
    /// # Errors
    /// If there is no such file, it is not a file of codes, or a person is in it twice.
    pub fn read(path: &Path) -> Result<Self, IngestError> {
        let path = if path.is_dir() { find_codes(path)? } else { path.to_owned() };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pieces = match Format::of_name(&name) {
            Some((_, Format::Parquet)) => columnar::read_parquet(&path)?,
            Some((_, Format::Arrow)) => columnar::read_arrow(&path)?,
            Some((_, Format::Csv(packed))) => vec![text::read_csv(&path, packed)?],
            Some((_, Format::Ndjson(packed))) => vec![text::read_ndjson(&path, packed)?],
            None => return Err(IngestError::UnknownFormat { path }),
        };
        let mut published = Self { pieces };
        if !published.is_in_order() {
            published = published.sorted(&path)?;
        }
        Ok(published)
    }

    /// The entries; their lists of reasons go to `lists`.
    #[must_use]
    pub fn entries(&self, lists: &mut ReasonLists) -> Entries<'_> {
        let numbers = self.pieces.iter().map(|piece| lists.absorb(&piece.lists)).collect();
        let mut ends = Vec::new();
        for (block, _) in self.blocks() {
            ends.push(ends.last().unwrap_or(&0) + block.colours.len());
        }
        Entries { blocks: self.blocks().collect(), ends, numbers }
    }

    /// All blocks in order, with the numbers of their pieces.
    fn blocks(&self) -> impl Iterator<Item = (&Block, usize)> {
        let pieces = self.pieces.iter().enumerate();
        pieces.flat_map(|(number, piece)| piece.blocks.iter().map(move |block| (block, number)))
    }

    /// Whether each person stands after the one before.
    fn is_in_order(&self) -> bool {
        let blocks: Vec<&Block> =
            self.blocks().map(|(block, _)| block).filter(|block| !block.colours.is_empty()).collect();
        let is_wrong = |number: usize| {
            let block = blocks[number];
            let last_of = |block: &Block| block.colours.len() - 1;
            let before = number.checked_sub(1).map(|before| blocks[before]);
            let seam = before.map(|before| (before.person(last_of(before)), block.person(0)));
            let inside = (0..last_of(block)).map(|row| (block.person(row), block.person(row + 1)));
            seam.into_iter().chain(inside).any(|(left, right)| left >= right)
        };
        !(0..blocks.len()).into_par_iter().any(is_wrong)
    }

    /// The same rows in order, in one piece.
    fn sorted(&self, path: &Path) -> Result<Self, IngestError> {
        let mut lists = ReasonLists::default();
        let numbers: Vec<Vec<ListId>> = self.pieces.iter().map(|piece| lists.absorb(&piece.lists)).collect();
        let mut rows: Vec<(&str, Colour, ListId, Place)> = Vec::new();
        for (block, piece) in self.blocks() {
            let reasons = block.reasons.iter().map(|list| numbers[piece][list.index()]);
            let values = (0..block.colours.len()).zip(reasons);
            rows.extend(values.map(|(row, reasons)| (block.person(row), block.colours[row], reasons, block.place)));
        }
        rows.par_sort_by_key(|&(person, ..)| person);
        if let Some(pair) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (person, _, _, place) = pair[1];
            let (column, detail) = (Some("person".to_owned()), format!("person {person:?} is there twice"));
            return Err(IngestError::Corrupt { path: path.to_owned(), place, column, detail });
        }
        let block = |rows: &[(&str, Colour, ListId, Place)]| Block {
            place: Place::Whole,
            persons: StringArray::from_iter_values(rows.iter().map(|(person, ..)| person)),
            colours: rows.iter().map(|&(_, colour, ..)| colour).collect(),
            reasons: rows.iter().map(|&(_, _, reasons, _)| reasons).collect(),
        };
        let blocks = rows.chunks(DECODE_ROWS_MAX).map(block).collect();
        Ok(Self { pieces: vec![Piece { blocks, lists }] })
    }
}

/// The rows of a file, with lists of reasons numbered as those of another.
pub struct Entries<'a> {
    /// The blocks, with the number of the piece of each.
    blocks: Vec<(&'a Block, usize)>,
    /// The end of each block, in rows.
    ends: Vec<usize>,
    /// The numbers of a piece's lists, by piece.
    numbers: Vec<Vec<ListId>>,
}

impl Entries<'_> {
    /// The block that holds a row, and the row that it begins with.
    fn block_of(&self, row: usize) -> (usize, usize) {
        let block = self.ends.partition_point(|&end| end <= row);
        (block, block.checked_sub(1).map_or(0, |before| self.ends[before]))
    }
}

impl Rows for Entries<'_> {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn person(&self, row: usize) -> &str {
        let (block, begin) = self.block_of(row);
        self.blocks[block].0.person(row - begin)
    }

    fn walk(&self, rows: Range<usize>) -> impl Iterator<Item = Entry<'_>> {
        let (first, mut begin) = self.block_of(rows.start);
        let touched = self.blocks[first..].iter().map_while(move |&(block, piece)| {
            let of_block =
                rows.start.max(begin) - begin..rows.end.min(begin + block.colours.len()).saturating_sub(begin);
            begin += block.colours.len();
            (!of_block.is_empty() || block.colours.is_empty()).then_some((block, piece, of_block))
        });
        touched.flat_map(move |(block, piece, rows)| {
            let numbers = &self.numbers[piece];
            rows.map(move |row| Entry {
                person: block.person(row),
                colour: block.colours[row],
                reasons: numbers[block.reasons[row].index()],
            })
        })
    }
}

fn corrupt(path: &Path, place: Place, detail: impl Into<String>) -> IngestError {
    IngestError::Corrupt { path: path.to_owned(), place, column: None, detail: detail.into() }
}

fn find_codes(dir: &Path) -> Result<PathBuf, IngestError> {
    let names = ["codes.parquet", "codes.arrow", "codes.csv", "codes.ndjson"];
    names.iter().map(|name| dir.join(name)).find(|path| path.is_file()).ok_or_else(|| IngestError::Io {
        path: dir.join(names[0]),
        place: Place::Whole,
        cause: std::io::ErrorKind::NotFound.into(),
    })
}

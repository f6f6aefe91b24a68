//! Worlds, and dirt, as data directories: `declarations.parquet`, `stays.csv.gz`, `cases/part-0.ndjson`, ...
//!
//! The one idea: a [`Shape`] says per table whether it is one file or a folder of several, and of which formats; everything
//! else a format leaves free (order of rows and columns, column types, spellings, row groups, compression, columns that
//! nobody knows, null columns left out) is drawn from its seed. [`Written`] says where each row ended up.
//!
//! Invariant: whatever the shape, the files say the same facts.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use sanma::model::Table;

use super::World;
use super::cells::Cell;
use super::columnar;
use super::dirt::{Dirt, DirtyRow};
use super::draw::Draw;
use super::text;

/// How a text file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// Gzip, now and then of two members.
    Gzip,
    /// Zstandard, now and then of two frames.
    Zstd,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Arrow IPC file.
    Arrow,
    /// CSV with a header.
    Csv(Packing),
    /// A JSON object a line.
    Ndjson(Packing),
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 8] = [
        Self::Parquet,
        Self::Arrow,
        Self::Csv(Packing::Plain),
        Self::Csv(Packing::Gzip),
        Self::Csv(Packing::Zstd),
        Self::Ndjson(Packing::Plain),
        Self::Ndjson(Packing::Gzip),
        Self::Ndjson(Packing::Zstd),
    ];

    /// Ending of file names.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Csv(Packing::Plain) => "csv",
            Self::Csv(Packing::Gzip) => "csv.gz",
            Self::Csv(Packing::Zstd) => "csv.zst",
            Self::Ndjson(Packing::Plain) => "ndjson",
            Self::Ndjson(Packing::Gzip) => "ndjson.gz",
            Self::Ndjson(Packing::Zstd) => "ndjson.zst",
        }
    }
}

/// Where a table's rows lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In one file beside the others.
    File(Format),
    /// In a folder of the table's name, in a file of each of these formats.
    Folder(Vec<Format>),
}

/// How a world is laid out on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Chooses what the formats leave free.
    pub seed: u64,
    /// By table, in the contract's order.
    pub layouts: [Layout; 11],
    /// Whether formats use their freedom; if not, files hold exactly the contract's columns, types and order.
    pub varied: bool,
}

impl Shape {
    /// Everything drawn: formats too.
    pub fn random(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 6);
        let layouts = Table::ALL.map(|_| {
            if draw.chance(60) {
                return Layout::File(draw.pick(&Format::ALL));
            }
            let files = draw.range(1, 4);
            Layout::Folder((0..files).map(|_| draw.pick(&Format::ALL)).collect())
        });
        Self { seed, layouts, varied: true }
    }

    /// One file of this format a table, with what the format leaves free drawn.
    pub fn varied(format: Format, seed: u64) -> Self {
        Self { seed, layouts: Table::ALL.map(|_| Layout::File(format)), varied: true }
    }

    /// One file of this format a table, exactly as the contract has it.
    pub fn plain(format: Format) -> Self {
        Self { seed: 0, layouts: Table::ALL.map(|_| Layout::File(format)), varied: false }
    }
}

/// Which row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOf {
    /// The world's row of that id.
    World(u64),
    /// The dirt of that index in the list given.
    Dirt(usize),
}

/// Where a row was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Table.
    pub table: Table,
    /// Which row.
    pub row: RowOf,
    /// File, relative to the directory, `/` between its parts.
    pub source: String,
    /// Row (columnar files, from 0) or line (text, from 1) where the row begins.
    pub offset: u64,
}

/// What a row to be written holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// A value a column, in the contract's order.
    Cells(Vec<Cell>),
    /// A line of NDJSON as it is.
    Line(Vec<u8>),
    /// A CSV record with so many fields more or fewer.
    Fields(isize),
}

/// A column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The column of that index in the contract.
    Column(usize),
    /// A column that the contract does not know.
    Extra(&'static str),
}

/// One file's worth of rows.
pub struct Sheet<'a> {
    /// Table.
    pub table: Table,
    /// Columns in the file's order.
    pub slots: Vec<Slot>,
    /// Rows in the file's order.
    pub rows: Vec<&'a Content>,
    /// See [`Shape::varied`].
    pub varied: bool,
}

/// Writes the world under `dir`, which exists, and says where each row went. Every table is written, empty ones too.
pub fn write(world: &World, dir: &Path, shape: &Shape) -> Vec<Written> {
    write_with_dirt(world, &[], dir, shape)
}

/// As [`write`], with invalid rows strewn among the valid ones. Dirt that the file drawn for it cannot say is left out, and
/// missing from the answer.
pub fn write_with_dirt(world: &World, dirt: &[Dirt], dir: &Path, shape: &Shape) -> Vec<Written> {
    let mut draw = Draw::new(shape.seed, 7);
    let mut written = Vec::new();
    for (table, layout) in Table::ALL.into_iter().zip(&shape.layouts) {
        let files: Vec<_> = match layout {
            Layout::File(format) => vec![(format!("{}.{}", table.name(), format.extension()), *format)],
            Layout::Folder(formats) => {
                fs::create_dir_all(dir.join(table.name())).expect("a folder can be made");
                let name = |part, format: Format| format!("{}/part-{part}.{}", table.name(), format.extension());
                formats.iter().enumerate().map(|(part, &format)| (name(part, format), format)).collect()
            }
        };
        let mut dealt: Vec<Vec<(RowOf, Content)>> = vec![Vec::new(); files.len()];
        for cells in world.cells(table) {
            let Cell::Int(id) = cells[0] else { unreachable!("an id is an integer") };
            let row = RowOf::World(u64::try_from(id).expect("a valid row"));
            dealt[draw.below(files.len())].push((row, Content::Cells(cells)));
        }
        for (index, dirt) in dirt.iter().enumerate().filter(|(_, dirt)| dirt.table == table) {
            let file = draw.below(files.len());
            if can_say(files[file].1, dirt, &dealt[file], shape.varied) {
                dealt[file].push((RowOf::Dirt(index), content(dirt)));
            }
        }
        for ((source, format), mut rows) in files.into_iter().zip(dealt) {
            if shape.varied {
                draw.shuffle(&mut rows);
            }
            let sheet = sheet(table, &rows, shape.varied, &mut draw);
            let offsets = write_file(&dir.join(&source), format, &sheet, &mut draw);
            let places = rows.iter().zip(offsets);
            written.extend(places.map(|(&(row, _), offset)| Written { table, row, source: source.clone(), offset }));
        }
    }
    written
}

fn content(dirt: &Dirt) -> Content {
    match &dirt.row {
        DirtyRow::Cells(cells) => Content::Cells(cells.clone()),
        DirtyRow::NdjsonLine(line) => Content::Line(line.clone()),
        DirtyRow::CsvFields(more) => Content::Fields(*more),
    }
}

/// Whether a file of that format can say the dirt beside the rows that it has already.
fn can_say(format: Format, dirt: &Dirt, rows: &[(RowOf, Content)], varied: bool) -> bool {
    match format {
        Format::Csv(_) => dirt.in_csv(),
        Format::Ndjson(_) => dirt.in_ndjson(),
        Format::Parquet | Format::Arrow if !dirt.in_columns() => false,
        Format::Parquet | Format::Arrow => {
            let candidate = content(dirt);
            let all: Vec<_> = rows.iter().map(|(_, content)| content).chain([&candidate]).collect();
            columnar::has_types(dirt.table, &all, varied)
        }
    }
}

fn sheet<'a>(table: Table, rows: &'a [(RowOf, Content)], varied: bool, draw: &mut Draw) -> Sheet<'a> {
    let rows: Vec<_> = rows.iter().map(|(_, content)| content).collect();
    let mut slots: Vec<_> = (0..table.columns().len()).map(Slot::Column).collect();
    if varied {
        let all_null =
            |index: usize| rows.iter().all(|row| !matches!(row, Content::Cells(cells) if cells[index] != Cell::Null));
        slots.retain(|slot| match *slot {
            Slot::Column(index) => !(table.columns()[index].nullable && all_null(index) && draw.chance(70)),
            Slot::Extra(_) => true,
        });
        slots.extend(["note", "persons", "tags"].into_iter().filter(|_| draw.chance(25)).map(Slot::Extra));
        draw.shuffle(&mut slots);
    }
    Sheet { table, slots, rows, varied }
}

/// Writes one file and says where each row of the sheet begins.
fn write_file(path: &Path, format: Format, sheet: &Sheet<'_>, draw: &mut Draw) -> Vec<u64> {
    match format {
        Format::Parquet => columnar::write_parquet(path, sheet, draw),
        Format::Arrow => columnar::write_arrow(path, sheet, draw),
        Format::Csv(packing) => {
            let (bytes, lines) = text::csv(sheet, draw);
            write_packed(path, &bytes, packing, sheet.varied, draw);
            lines
        }
        Format::Ndjson(packing) => {
            let (bytes, lines) = text::ndjson(sheet, draw);
            write_packed(path, &bytes, packing, sheet.varied, draw);
            lines
        }
    }
}

fn write_packed(path: &Path, bytes: &[u8], packing: Packing, varied: bool, draw: &mut Draw) {
    let mut file = File::create(path).expect("a file can be made");
    // Two members or frames one after the other are one stream to every tool, but not to every careless reader.
    let cut = if varied && draw.chance(40) { draw.below(bytes.len() + 1) } else { bytes.len() };
    let (head, tail) = bytes.split_at(cut);
    for part in [head, tail].into_iter().filter(|part| !part.is_empty() || cut == bytes.len() && bytes.is_empty()) {
        match packing {
            Packing::Plain => file.write_all(part).expect("room on the disk"),
            Packing::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
                encoder.write_all(part).expect("room on the disk");
                encoder.finish().expect("room on the disk");
            }
            Packing::Zstd => {
                file.write_all(&zstd::encode_all(part, 1).expect("bytes compress")).expect("room on the disk");
            }
        }
    }
}

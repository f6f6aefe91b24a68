//! Checks of the file writers and of the dirt: what was written is there, where it is said to be, and says what it should.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, TimeUnit};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use sanma::model::{ClosedEnum as _, Reason, Region, Table};
use tempfile::TempDir;

use super::World;
use super::cells::Cell;
use super::dirt::{Dirt, DirtyRow, dirt, valid_row};
use super::files::{Format, Layout, Packing, RowOf, Shape, Written, write, write_with_dirt};
use super::read::{Record, batches, records};
use super::valid::first_fault;

fn empty_dir() -> TempDir {
    tempfile::tempdir().expect("room on the disk")
}

/// Every file that was written, by source.
fn read_all(dir: &TempDir, written: &[Written]) -> BTreeMap<String, Vec<Record>> {
    let files: BTreeSet<_> = written.iter().map(|row| (row.source.clone(), row.table)).collect();
    files.into_iter().map(|(source, table)| (source.clone(), records(&dir.path().join(source), table))).collect()
}

fn record<'a>(files: &'a BTreeMap<String, Vec<Record>>, row: &Written) -> Option<&'a [Cell]> {
    let found = files[&row.source].iter().find(|(offset, _)| *offset == row.offset);
    found.unwrap_or_else(|| panic!("nothing at {}:{}", row.source, row.offset)).1.as_deref()
}

fn assert_says(world: &World, dir: &TempDir, written: &[Written], what: &str) {
    assert_eq!(written.len(), world.tables.rows(), "{what}");
    let files = read_all(dir, written);
    assert_eq!(files.values().map(Vec::len).sum::<usize>(), written.len(), "{what}");
    for table in Table::ALL {
        for cells in world.cells(table) {
            let of = |row: &&Written| matches!(row.row, RowOf::World(id) if Cell::Int(id.into()) == cells[0]);
            let row = written.iter().filter(|row| row.table == table).find(of).expect("every row is written");
            assert_eq!(record(&files, row), Some(cells.as_slice()), "{what}: {}:{}", row.source, row.offset);
        }
    }
}

#[test]
fn files_of_any_shape_say_the_world() {
    for seed in 0..25 {
        let (world, dir) = (World::random(seed), empty_dir());
        let written = write(&world, dir.path(), &Shape::random(seed));
        assert_says(&world, &dir, &written, &format!("seed {seed}"));
    }
}

#[test]
fn files_of_any_format_say_the_world() {
    for (seed, format) in (0..).zip(Format::ALL) {
        for shape in [Shape::plain(format), Shape::varied(format, seed), Shape::varied(format, seed + 100)] {
            let (world, dir) = (World::random(seed), empty_dir());
            let written = write(&world, dir.path(), &shape);
            assert_says(&world, &dir, &written, &format!("{format:?} {seed}"));
            for table in Table::ALL {
                let name = format!("{}.{}", table.name(), format.extension());
                assert!(dir.path().join(&name).is_file(), "{name} is written, with rows or without");
            }
        }
    }
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let bytes = |dir: &TempDir, written: &[Written]| {
        let sources: BTreeSet<_> = written.iter().map(|row| row.source.clone()).collect();
        sources
            .into_iter()
            .map(|source| (std::fs::read(dir.path().join(&source)).expect("written"), source))
            .collect::<Vec<_>>()
    };
    for seed in 0..5 {
        let (one, other) = (empty_dir(), empty_dir());
        let [first, second] = [&one, &other].map(|dir| write(&World::random(seed), dir.path(), &Shape::random(seed)));
        assert_eq!(first, second);
        assert!(bytes(&one, &first) == bytes(&other, &second), "seed {seed}");
    }
}

#[test]
fn plain_files_have_the_contracts_schema() {
    for format in [Format::Parquet, Format::Arrow] {
        let (world, dir) = (World::random(3), empty_dir());
        write(&world, dir.path(), &Shape::plain(format));
        for table in Table::ALL {
            let batches = batches(&dir.path().join(format!("{}.{}", table.name(), format.extension())));
            for batch in &batches {
                assert_eq!(batch.schema().fields(), table.schema().fields(), "{format:?} {}", table.name());
            }
            assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), world.cells(table).len());
        }
    }
}

/// A name for each freedom that a columnar file takes.
fn freedoms(path: &std::path::Path, table: Table) -> Vec<String> {
    let mut found = Vec::new();
    let Some(batch) = batches(path).into_iter().next() else { return found };
    for field in batch.schema().fields() {
        match field.data_type() {
            DataType::Timestamp(unit, zone) => {
                found.extend([format!("{unit:?}"), format!("zone {zone:?}")]);
            }
            DataType::Dictionary(key, _) => found.push(format!("dictionary of {key}")),
            DataType::List(_) => found.push("a list that nobody knows".to_owned()),
            other => found.push(other.to_string()),
        }
    }
    if table.columns().iter().any(|column| batch.column_by_name(column.name).is_none()) {
        found.push("a null column left out".to_owned());
    }
    found
}

#[test]
fn columnar_files_take_every_freedom() {
    let mut found = BTreeSet::new();
    for seed in 0..12 {
        for format in [Format::Parquet, Format::Arrow] {
            let (world, dir) = (World::random(seed), empty_dir());
            let written = write(&world, dir.path(), &Shape::varied(format, seed));
            for (source, table) in written.iter().map(|row| (&row.source, row.table)).collect::<BTreeSet<_>>() {
                let path = dir.path().join(source);
                found.extend(freedoms(&path, table));
                if format == Format::Parquet {
                    let file = std::fs::File::open(&path).expect("written");
                    let groups = SerializedFileReader::new(file).expect("Parquet").num_row_groups();
                    found.extend((groups > 1).then(|| "several row groups".to_owned()));
                }
            }
        }
    }
    let types =
        ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Utf8", "LargeUtf8", "Utf8View"];
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let others = [
        "zone Some(\"UTC\")",
        "zone Some(\"+08:00\")",
        "dictionary of Int8",
        "dictionary of UInt16",
        "dictionary of Int32",
        "a list that nobody knows",
        "a null column left out",
        "several row groups",
    ];
    let wanted = types.into_iter().chain(others).map(str::to_owned).chain(units.map(|unit| format!("{unit:?}")));
    for freedom in wanted {
        assert!(found.contains(&freedom), "no file has {freedom}: {found:?}");
    }
}

#[test]
fn shapes_draw_every_layout() {
    let layouts: Vec<_> = (0..50).flat_map(|seed| Shape::random(seed).layouts).collect();
    for format in Format::ALL {
        assert!(layouts.contains(&Layout::File(format)), "{format:?}");
    }
    let mixed = |layout: &Layout| {
        let Layout::Folder(files) = layout else { return false };
        files.contains(&Format::Parquet) && files.contains(&Format::Ndjson(Packing::Zstd))
    };
    assert!(layouts.iter().any(mixed));
}

#[test]
fn dirt_is_of_every_kind() {
    assert_eq!(dirt(1), dirt(1));
    for table in Table::ALL {
        assert_eq!(first_fault(table, &valid_row(table, 1)), None, "{}", table.name());
        let of: Vec<_> = dirt(1).into_iter().filter(|dirt| dirt.table == table).collect();
        let ids: BTreeSet<_> = of.iter().filter_map(|dirt| dirt.id).collect();
        assert_eq!(ids.len(), of.iter().filter(|dirt| dirt.id.is_some()).count(), "ids of dirt are unique");
        for reason in [Reason::Malformed, Reason::Type, Reason::Null] {
            assert!(of.iter().any(|dirt| dirt.reason == reason), "{} {reason:?}", table.name());
        }
        for column in table.columns() {
            assert!(of.iter().any(|dirt| dirt.column == Some(column.name)), "{}.{}", table.name(), column.name);
        }
    }
    let reasons: BTreeSet<_> = dirt(1).iter().map(|dirt| dirt.reason).collect();
    // The limit of modifications is a matter of rules, not of rows.
    let rows = Reason::ALL.iter().copied().filter(|&reason| reason != Reason::ModificationLimit).collect();
    assert_eq!(reasons, rows);
}

#[test]
fn dirt_has_the_reason_that_the_contract_gives() {
    for dirt in (0..20).flat_map(dirt) {
        let DirtyRow::Cells(cells) = &dirt.row else { continue };
        assert_eq!(first_fault(dirt.table, cells), Some((dirt.reason, dirt.column)), "{dirt:?}");
    }
}

fn assert_rejected(dirt: &Dirt, found: Option<&[Cell]>, at: &Written) {
    let Some(cells) = found else {
        assert_eq!((dirt.reason, dirt.id), (Reason::Malformed, None), "{at:?}: {dirt:?}");
        return;
    };
    assert_eq!(first_fault(dirt.table, cells), Some((dirt.reason, dirt.column)), "{at:?}: {dirt:?} read as {cells:?}");
    let id = if let Cell::Int(id) = cells[0] { u64::try_from(id).ok() } else { None };
    assert_eq!(id, dirt.id, "{at:?}: {dirt:?}");
}

#[test]
fn dirt_says_the_same_in_every_format() {
    let mut said: BTreeMap<(Format, Reason), usize> = BTreeMap::new();
    for (seed, format) in (0..).zip(Format::ALL) {
        for shape in [Shape::plain(format), Shape::varied(format, seed), Shape::varied(format, seed + 50)] {
            let (world, dirt, dir) = (World::random(seed), dirt(seed), empty_dir());
            let written = write_with_dirt(&world, &dirt, dir.path(), &shape);
            let files = read_all(&dir, &written);
            assert_eq!(files.values().map(Vec::len).sum::<usize>(), written.len(), "{format:?}");
            for row in &written {
                match row.row {
                    RowOf::Dirt(index) => {
                        assert_rejected(&dirt[index], record(&files, row), row);
                        *said.entry((format, dirt[index].reason)).or_default() += 1;
                    }
                    RowOf::World(_) => {
                        let cells = record(&files, row).expect("a valid row is a record");
                        assert_eq!(first_fault(row.table, cells), None, "{row:?}");
                    }
                }
            }
        }
    }
    for format in Format::ALL {
        for &reason in Reason::ALL.iter().filter(|&&reason| reason != Reason::ModificationLimit) {
            let lines = matches!(format, Format::Csv(_) | Format::Ndjson(_));
            let wanted = lines || reason != Reason::Malformed;
            assert_eq!(said.contains_key(&(format, reason)), wanted, "{format:?} {reason:?}");
        }
    }
}

#[test]
fn dirt_spoils_codes_at_the_very_edges() {
    let codes = dirt(0).into_iter().filter(|dirt| dirt.reason == Reason::Region).count();
    assert!(codes >= 7 * 4, "four tables have regions");
    assert!(Region::new(829_999).is_some() && Region::new(830_000).is_none());
}

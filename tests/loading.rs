//! Files to facts to files: whatever the format, the order and the split, the same facts give the same bytes; what is
//! refused is all there; and the diff leads from one state to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sanma::evaluate::recompute;
use sanma::explain;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Loaded, Observer, Unobserved};
use sanma::intern::Tokens;
use sanma::model::facts::TableColumns as _;
use sanma::model::{ClosedEnum as _, Code, Reason, Rejection, Table, Timestamp};
use sanma::nightly::{self, Job, JobError, Report, Watcher};
use sanma::rules::{Catalog, Program};
use sanma::sinks::OutputFormat;
use serde_json::Value;
use tempfile::TempDir;

use crate::agreement::facts_of;
use crate::outputs::{self, FORMATS, Record};
use crate::worlds::cells::{self, Cell, with_table};
use crate::worlds::dirt::{Dirt, DirtyRow, dirt};
use crate::worlds::draw::Draw;
use crate::worlds::files::{Format, Layout, RowOf, Shape, Written, write, write_with_dirt};
use crate::worlds::{World, rules};

/// Nobody watches.
pub struct Nobody;

impl Observer for Nobody {}
impl Watcher for Nobody {}

pub fn empty_dir() -> TempDir {
    tempfile::tempdir().expect("room on the disk")
}

/// A job with nothing special about it.
pub fn job<'a>(data: &'a Path, program: &'a Program, as_of: Timestamp, out: &'a Path) -> Job<'a> {
    Job {
        data,
        cache: None,
        program,
        as_of,
        out,
        previous: None,
        format: OutputFormat::Ndjson,
        reasons: false,
        strict: false,
    }
}

pub fn run(job: &Job<'_>) -> Result<Report, JobError> {
    nightly::run(job, &Nobody)
}

fn texts(tokens: &Tokens) -> Vec<String> {
    (0..tokens.len()).map(|index| tokens.get(index).to_owned()).collect()
}

/// Every row by table and id, tokens spelt out.
type Rows = BTreeMap<(Table, String), Vec<Cell>>;

fn rows_of_world(world: &World) -> Rows {
    let of = |table| world.cells(table).into_iter().map(move |row| ((table, row[0].to_string()), row));
    Table::ALL.into_iter().flat_map(of).collect()
}

fn rows_of_load(loaded: &Loaded) -> Rows {
    let [persons, places, labels] = [&loaded.persons, &loaded.places, &loaded.labels].map(texts);
    let tokens = cells::Tokens { persons: &persons, places: &places, labels: &labels };
    let mut rows = Rows::new();
    for table in Table::ALL {
        for row in cells::cells(&loaded.tables, table, tokens) {
            let key = (table, row[0].to_string());
            assert!(rows.insert(key, row).is_none(), "an id is loaded once");
        }
    }
    rows
}

type Codes = BTreeMap<String, Code>;

fn codes_of(facts: &Facts, program: &Program, at: Timestamp) -> Codes {
    recompute(facts, program, at).iter().map(|(person, code)| (facts.names.person(person).to_owned(), code)).collect()
}

fn facts_of_load(loaded: Loaded) -> Facts {
    let names = Names { persons: loaded.persons, places: loaded.places, labels: loaded.labels };
    Facts::new(loaded.tables, names)
}

fn assert_same_codes(world: &World, loaded: Loaded, seed: u64, what: &str) {
    let (facts, program) = (facts_of_load(loaded), rules::random(seed));
    for at in world.sample_instants(seed, 2) {
        assert_eq!(codes_of(&facts, &program, at), codes_of(&facts_of(world), &program, at), "{what}");
    }
}

fn shapes(seed: u64) -> Vec<Shape> {
    let format = Format::ALL[usize::try_from(seed).expect("small") % Format::ALL.len()];
    vec![Shape::random(seed), Shape::random(seed + 1000), Shape::varied(format, seed), Shape::plain(format)]
}

#[test]
fn files_of_any_shape_load_to_the_world() {
    for seed in 0..48 {
        let world = World::random(seed);
        for shape in shapes(seed) {
            let dir = empty_dir();
            let written = write(&world, dir.path(), &shape);
            let loaded = ingest::load(dir.path(), &Unobserved).expect("files as the contract has them");
            let what = format!("seed {seed} {shape:?}");
            assert_eq!(loaded.rejections, [], "{what}");
            assert!(loaded.duplicates.is_empty(), "{what}: {:?}", loaded.duplicates);
            let unknown = |warning: &String| warning.contains("unknown columns are ignored: ");
            assert!(loaded.warnings.iter().all(unknown), "{what}: {:?}", loaded.warnings);
            assert_eq!(rows_of_load(&loaded), rows_of_world(&world), "{what}");
            assert_origins(&loaded, &written, &what);
            assert_same_codes(&world, loaded, seed, &what);
        }
    }
}

/// Declarations know where they came from.
fn assert_origins(loaded: &Loaded, written: &[Written], what: &str) {
    let declared = written.iter().filter(|row| row.table == Table::Declarations);
    let expected: BTreeSet<_> = declared
        .map(|row| match row.row {
            RowOf::World(id) => (id, row.source.as_str(), row.offset),
            RowOf::Dirt(_) => unreachable!("no dirt"),
        })
        .collect();
    let declarations = loaded.tables.declarations.rows();
    let found = declarations
        .map(|row| (row.id, loaded.sources[row.origin.source as usize].as_str(), u64::from(row.origin.offset)));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{what}");
}

#[test]
fn order_split_and_format_do_not_change_a_byte() {
    for seed in 0..10 {
        let (world, program) = (World::random(seed), rules::random(seed));
        let instants = world.sample_instants(seed, 2);
        let [Some(&first), Some(&last)] = [instants.first(), instants.last()] else { continue };
        let format = FORMATS[usize::try_from(seed % 4).expect("small")];
        let mut expected: Option<Vec<Vec<u8>>> = None;
        for (arrival, shape) in (0..).zip(shapes(seed).into_iter().chain(shapes(seed + 5))) {
            let (data, before, after) = (empty_dir(), empty_dir(), empty_dir());
            write(&world.shuffled(arrival), data.path(), &shape);
            let earlier = Job { format, ..job(data.path(), &program, first, before.path()) };
            run(&earlier).expect("a run");
            let previous = Some(before.path());
            let later = Job { previous, format, reasons: true, ..job(data.path(), &program, last, after.path()) };
            run(&later).expect("a run");
            let bytes = |dir: &TempDir, output| {
                std::fs::read(dir.path().join(format!("{output}.{}", format.extension()))).expect("an output")
            };
            let found = vec![bytes(&before, "codes"), bytes(&after, "codes"), bytes(&after, "changes")];
            match &expected {
                None => expected = Some(found),
                Some(expected) => assert!(*expected == found, "seed {seed} {format:?} {shape:?}"),
            }
        }
    }
}

/// Whether JSON says what a cell says, as far as text, numbers and truth values go.
fn says(value: Option<&Value>, cell: &Cell) -> bool {
    let value = value.unwrap_or(&Value::Null);
    let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match cell {
        Cell::Null => value.is_null() || said.is_empty() || said == "NaN",
        Cell::Instant(at) => Timestamp::parse_rfc3339(&said) == Some(*at),
        Cell::Float(number) => said.parse() == Ok(*number),
        Cell::Odd(odd) => {
            let spelt = odd.to_string();
            value == odd || said == spelt
        }
        cell => said == cell.to_string(),
    }
}

fn assert_legible(rejection: &Rejection, dirt: &Dirt, what: &str) {
    let row: Value = serde_json::from_str(&rejection.row).unwrap_or_else(|_| panic!("{what}: {rejection:?}"));
    match &dirt.row {
        DirtyRow::Cells(cells) => {
            for (column, cell) in dirt.table.columns().iter().zip(cells) {
                // What no number of ours holds is only there as text.
                let huge = matches!(cell, Cell::Int(value) if *value > i128::from(u64::MAX));
                let said = says(row.get(column.name), cell) || huge && rejection.row.contains(&cell.to_string());
                assert!(said, "{what}: {} is not {cell:?}: {rejection:?}", column.name);
            }
        }
        DirtyRow::NdjsonLine(line) => {
            let text = String::from_utf8_lossy(line).into_owned();
            assert_eq!(row.as_str(), Some(text.as_str()), "{what}: {rejection:?}");
        }
        DirtyRow::CsvFields(_) => assert!(row.is_array(), "{what}: {rejection:?}"),
    }
}

/// Every dirty row that was written is refused once, as its dirt says.
fn assert_refused(rejections: &[Rejection], dirt: &[Dirt], written: &[Written], what: &str) {
    let place = |rejection: &Rejection| (rejection.table, rejection.source.clone(), rejection.offset);
    assert!(rejections.is_sorted_by_key(place), "{what}: rejections are in order");
    let mut found: BTreeMap<_, _> = rejections.iter().map(|rejection| (place(rejection), rejection)).collect();
    assert_eq!(found.len(), rejections.len(), "{what}: a row is refused once");
    for row in written {
        let RowOf::Dirt(index) = row.row else { continue };
        let (dirt, key) = (&dirt[index], (Some(row.table), row.source.clone(), row.offset));
        let rejection = found.remove(&key).unwrap_or_else(|| panic!("{what}: {dirt:?} at {key:?} is not refused"));
        assert_eq!((rejection.reason, rejection.id), (dirt.reason, dirt.id), "{what}: {dirt:?} {rejection:?}");
        if dirt.column.is_some() {
            assert_eq!(rejection.column, dirt.column, "{what}: {dirt:?}");
        }
        assert_legible(rejection, dirt, what);
    }
    assert!(found.is_empty(), "{what}: refused without reason: {found:?}");
}

#[test]
fn dirt_is_refused_and_touches_nothing() {
    for seed in 0..24 {
        let (world, dirt) = (World::random(seed), dirt(seed));
        for shape in shapes(seed) {
            let dir = empty_dir();
            let written = write_with_dirt(&world, &dirt, dir.path(), &shape);
            let loaded = ingest::load(dir.path(), &Unobserved).expect("dirt is no error");
            let what = format!("seed {seed} {shape:?}");
            assert_refused(&loaded.rejections, &dirt, &written, &what);
            assert_eq!(rows_of_load(&loaded), rows_of_world(&world), "{what}");
            assert_same_codes(&world, loaded, seed, &what);
        }
    }
}

/// A world with the ids of another's rows and other rows behind them.
fn same_ids(world: &World) -> World {
    let mut other = world.clone();
    for table in Table::ALL {
        with_table!(mut other.tables, table, columns => if columns.len() > 1 { columns.id.base_mut().rotate_left(1) });
    }
    other
}

fn duplicates(world: &World) -> BTreeMap<Table, u64> {
    let count = |table| (table, world.cells(table).len() as u64);
    Table::ALL.into_iter().map(count).filter(|(_, rows)| *rows > 0).collect()
}

#[test]
fn of_one_id_the_last_row_in_order_wins_in_one_file() {
    for (seed, format) in (0..24).zip(Format::ALL.into_iter().cycle()) {
        let (world, dir) = (World::random(seed), empty_dir());
        let later = same_ids(&world);
        let mut both = world.clone();
        for table in Table::ALL {
            with_table!(mut both.tables, table, columns => {
                let rows = columns.len();
                let once = 0..u32::try_from(rows).expect("a small world");
                columns.permute(&once.clone().chain(once).collect::<Vec<_>>());
                columns.id.base_mut()[rows..].rotate_left(usize::from(rows > 1));
            });
        }
        write(&both, dir.path(), &Shape::plain(format));
        let loaded = ingest::load(dir.path(), &Unobserved).expect("a load");
        assert_eq!(rows_of_load(&loaded), rows_of_world(&later), "seed {seed} {format:?}");
        assert_eq!(loaded.duplicates, duplicates(&world), "seed {seed} {format:?}");
    }
}

/// Moves the files of a directory written with one file a table into folders of another, under this name.
fn move_into_folders(from: &Path, to: &Path, part: &str, format: Format) {
    for table in Table::ALL {
        let folder = to.join(table.name());
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = from.join(format!("{}.{}", table.name(), format.extension()));
        std::fs::rename(file, folder.join(format!("{part}.{}", format.extension()))).expect("moved");
    }
}

#[test]
fn of_one_id_the_last_file_wins_and_an_invalid_row_never() {
    for seed in 0..24 {
        let draw = &mut Draw::new(seed, 77);
        let [first, second, third] = [(); 3].map(|()| draw.pick(&Format::ALL));
        let (world, dir) = (World::random(seed), empty_dir());
        let later = same_ids(&world);
        for (part, world, format) in [("a", &world, first), ("b", &later, second)] {
            let staging = empty_dir();
            write(world, staging.path(), &Shape::varied(format, seed));
            move_into_folders(staging.path(), dir.path(), part, format);
        }
        // Invalid rows under ids of valid ones, in the last file of all.
        let (nothing, staging) = (world.with_rows(&[]), empty_dir());
        let dirt: Vec<Dirt> = dirt(seed).into_iter().filter_map(|dirt| with_id_of(dirt, &world, draw)).collect();
        let mut written = write_with_dirt(&nothing, &dirt, staging.path(), &Shape::varied(third, seed));
        move_into_folders(staging.path(), dir.path(), "c", third);
        for row in &mut written {
            row.source = format!("{}/c.{}", row.table.name(), third.extension());
        }
        let loaded = ingest::load(dir.path(), &Unobserved).expect("a load");
        let what = format!("seed {seed} {first:?} {second:?} {third:?}");
        assert_eq!(rows_of_load(&loaded), rows_of_world(&later), "{what}");
        assert_eq!(loaded.duplicates, duplicates(&world), "{what}");
        assert_refused(&loaded.rejections, &dirt, &written, &what);
    }
}

/// Dirt under the id of one of the world's rows; `None` where dirt has no id, or the table no row.
pub fn with_id_of(mut dirt: Dirt, world: &World, draw: &mut Draw) -> Option<Dirt> {
    let rows = world.cells(dirt.table);
    let DirtyRow::Cells(cells) = &mut dirt.row else { return None };
    if dirt.id.is_none() || rows.is_empty() {
        return None;
    }
    let Cell::Int(id) = rows[draw.below(rows.len())][0] else { unreachable!("an id is an integer") };
    cells[0] = Cell::Int(id);
    dirt.id = u64::try_from(id).ok();
    Some(dirt)
}

#[test]
fn modifications_over_the_limit_are_in_rejections() {
    let mut seen = 0;
    for seed in 0..40 {
        let (world, program) = (World::random(seed), rules::random(seed));
        let (data, dirt) = (empty_dir(), dirt(seed));
        let written = write_with_dirt(&world, &dirt, data.path(), &Shape::random(seed));
        for at in world.sample_instants(seed, 2) {
            let (out, format) = (empty_dir(), FORMATS[usize::try_from(seed % 4).expect("small")]);
            let report = run(&Job { format, ..job(data.path(), &program, at, out.path()) }).expect("a run");
            let rejections = outputs::read(out.path(), "rejections", format);
            assert_eq!(report.rejections.values().sum::<u64>(), rejections.len() as u64, "seed {seed}");
            let (limit, invalid): (Vec<_>, Vec<_>) =
                rejections.iter().partition(|row| row["reason"] == Reason::ModificationLimit.name());
            let dirty = written.iter().filter(|row| matches!(row.row, RowOf::Dirt(_))).count();
            assert_eq!(invalid.len(), dirty, "seed {seed}");
            let mut expected = explain::refused_declarations(&world.tables, &program, at);
            expected.sort_unstable();
            let mut found: Vec<_> = limit.iter().map(|row| row["id"].as_u64().expect("an id")).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "seed {seed}");
            for row in &limit {
                assert_is_declaration(&world, &written, row);
            }
            seen += limit.len();
        }
    }
    assert!(seen > 20, "only {seen} refused modifications in all worlds");
}

/// A refused modification is told with where it stands and what it says.
fn assert_is_declaration(world: &World, written: &[Written], rejection: &Record) {
    let id = rejection["id"].as_u64().expect("an id");
    let place = written.iter().find(|row| row.table == Table::Declarations && row.row == RowOf::World(id));
    let place = place.expect("it was written");
    assert_eq!(
        (rejection["source"].as_str(), rejection["offset"].as_u64()),
        (Some(&*place.source), Some(place.offset))
    );
    let row: Value = serde_json::from_str(outputs::text(rejection, "row")).expect("JSON");
    let cells = rows_of_world(world).remove(&(Table::Declarations, id.to_string())).expect("a declaration");
    for (column, cell) in Table::Declarations.columns().iter().zip(&cells) {
        assert!(says(row.get(column.name), cell), "{} is not {cell}: {row}", column.name);
    }
}

#[test]
fn applying_the_diff_to_before_gives_after() {
    for seed in 0..40 {
        let world = World::random(seed);
        let draw = &mut Draw::new(seed, 78);
        let [before_rules, after_rules] = rule_pair(seed, draw);
        let instants = world.sample_instants(seed, 6);
        let [earlier, later] = [(); 2].map(|()| draw.pick(&instants));
        let [before_format, after_format] = [(); 2].map(|()| draw.pick(&FORMATS));
        // The later night has lost some rows and so may have lost persons; the earlier one others.
        let [before_world, after_world] = [(); 2].map(|()| {
            let rows: Vec<_> = world.rows().into_iter().filter(|_| draw.chance(85)).collect();
            world.with_rows(&rows)
        });
        let [before_data, after_data, before_out, after_out] = [(); 4].map(|()| empty_dir());
        write(&before_world, before_data.path(), &Shape::random(seed));
        write(&after_world, after_data.path(), &Shape::random(seed + 1));
        let first = job(before_data.path(), &before_rules, earlier, before_out.path());
        run(&Job { format: before_format, ..first }).expect("a run");
        let before = outputs::state(&outputs::read(before_out.path(), "codes", before_format));
        for reasons in [false, true] {
            let previous = published(before_out.path(), before_format, draw);
            let second = job(after_data.path(), &after_rules, later, after_out.path());
            let second = Job { previous: Some(&previous), format: after_format, reasons, ..second };
            let report = run(&second).expect("a run");
            let after = outputs::state(&outputs::read(after_out.path(), "codes", after_format));
            let changes = outputs::read(after_out.path(), "changes", after_format);
            let what = format!("seed {seed} {before_format:?} {after_format:?} reasons {reasons}");
            assert_eq!(report.changes.expect("compared").changes, changes.len() as u64, "{what}");
            let mut applied = before.clone();
            outputs::apply(&mut applied, &changes);
            if reasons {
                assert_eq!(applied, after, "{what}");
            } else {
                let colours = |state: &outputs::State| {
                    state.iter().map(|(person, (colour, _))| (person.clone(), colour.clone())).collect::<Vec<_>>()
                };
                assert_eq!(colours(&applied), colours(&after), "{what}");
                assert!(changes.iter().all(|change| change["before"] != change["after"]), "{what}");
            }
            for change in &changes {
                assert_eq!(change["position"].as_u64(), Some(0), "{what}");
                assert_eq!(change["as_of"].as_str(), Some(&*later.to_rfc3339()), "{what}");
            }
        }
    }
}

/// Codes are named by their file or by the directory that holds them.
fn published(out: &Path, format: OutputFormat, draw: &mut Draw) -> PathBuf {
    if draw.chance(50) { out.to_owned() } else { out.join(format!("codes.{}", format.extension())) }
}

/// The same rules twice, two random sets, or two of the shipped ones.
pub fn rule_pair(seed: u64, draw: &mut Draw) -> [Program; 2] {
    match draw.below(3) {
        0 => [(); 2].map(|()| rules::random(seed)),
        1 => [rules::random(seed), rules::random(seed + 1)],
        _ => {
            let catalog = Catalog::shipped().expect("the shipped rule sets are good");
            [(); 2].map(|()| catalog.sets()[draw.below(catalog.sets().len())].program.clone())
        }
    }
}

#[test]
fn a_table_that_is_not_there_is_empty() {
    let (world, dir) = (World::random(11), empty_dir());
    let mut shape = Shape::plain(Format::Parquet);
    shape.layouts[0] = Layout::Folder(vec![]);
    write(&world.with_rows(&[]), dir.path(), &shape);
    for table in [Table::Cases, Table::Reviews] {
        std::fs::remove_file(dir.path().join(format!("{}.parquet", table.name()))).expect("removed");
    }
    let loaded = ingest::load(dir.path(), &Unobserved).expect("a load");
    assert_eq!((loaded.tables.rows(), loaded.persons.len()), (0, 0));
    assert_eq!(recompute(&facts_of_load(loaded), &rules::random(1), Timestamp(0)).iter().count(), 0);
}

//! Tables and a manifest into a folder that appears whole.

use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{BatchCoalescer, filter_record_batch};
use arrow::datatypes::UInt64Type;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::manifest::{MANIFEST, Manifest, TableFile, checksum_text, file_name};
use super::{CHECKPOINTS, Checkpoint, CheckpointError, UNFINISHED, io_error};
use crate::engine::Standing;
use crate::limits::{CHECKPOINT_BATCH_ROWS, CHECKPOINT_GROUP_ROWS};
use crate::model::Table;
use crate::model::facts::Tables;
use crate::sinks::{RowNames, SinkError, table_batch, table_ids, table_properties};

/// Somebody does not want it any more.
pub(super) struct Interrupted;

/// Rows of one set of tables.
pub(super) struct Part<'a> {
    pub(super) tables: &'a Tables,
    pub(super) names: RowNames<'a>,
    /// Numbers of the rows in their table.
    pub(super) rows: Vec<u32>,
}

impl<'a> Part<'a> {
    /// All rows of a table.
    pub(super) fn all(table: Table, tables: &'a Tables, names: RowNames<'a>) -> Self {
        let rows = u32::try_from(table_ids(table, tables).len()).expect("rows are numbered by 32 bits");
        Self { tables, names, rows: (0..rows).collect() }
    }
}

/// Where the last word about a row is: in which part, in which row of its table; nowhere if the row was deleted.
pub(super) type Place = Option<(u32, u32)>;

/// What a table's file is made of.
pub(super) struct Rows<'a> {
    /// The file before.
    pub(super) base: Option<PathBuf>,
    /// Ids of its rows that do not stand any more.
    pub(super) gone: Option<&'a HashMap<u64, Place>>,
    /// Rows to be added.
    pub(super) parts: Vec<Part<'a>>,
}

/// Makes a checkpoint. `rows` says what each table is made of; tables are made side by side, as far as the pool goes.
pub(super) fn write<'a>(
    store: &Path,
    standing: Standing,
    rows: &(impl Fn(Table) -> Rows<'a> + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Checkpoint, CheckpointError> {
    let all = store.join(CHECKPOINTS);
    let name = format!("{:020}", standing.position.0);
    let (unfinished, dir) = (all.join(format!("{UNFINISHED}{name}")), all.join(&name));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io_error(&unfinished))?;
    }
    fs::create_dir_all(&unfinished).map_err(io_error(&unfinished))?;
    let filled = fill(&unfinished, standing, rows, interrupted);
    let kept = filled.and_then(|manifest| {
        fs::rename(&unfinished, &dir).map_err(io_error(&dir))?;
        sync_folder(&all)?;
        sync_folder(store)?;
        Ok(manifest)
    });
    if kept.is_err() {
        // The error is what matters; what is left here is removed when the store is opened.
        drop(fs::remove_dir_all(&unfinished));
    }
    Ok(Checkpoint { dir, manifest: kept? })
}

fn fill<'a>(
    dir: &Path,
    standing: Standing,
    rows: &(impl Fn(Table) -> Rows<'a> + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Manifest, CheckpointError> {
    let files: Vec<Result<TableFile, CheckpointError>> =
        Table::ALL.par_iter().map(|&table| write_table(dir, table, &rows(table), interrupted)).collect();
    let mut files: Vec<TableFile> = files.into_iter().collect::<Result<_, _>>()?;
    for file in files.iter().filter(|file| file.rows == 0) {
        let path = dir.join(&file.name);
        fs::remove_file(&path).map_err(io_error(&path))?;
    }
    files.retain(|file| file.rows > 0);
    let manifest = Manifest::new(standing, files);
    let path = dir.join(MANIFEST);
    let mut file = File::create_new(&path).map_err(io_error(&path))?;
    let written = file.write_all(manifest.encode().as_bytes()).and_then(|()| file.sync_all());
    written.map_err(io_error(&path))?;
    sync_folder(dir)?;
    Ok(manifest)
}

fn sync_folder(dir: &Path) -> Result<(), CheckpointError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(io_error(dir))
}

/// A file that is counted and summed up while it is written.
struct Summed {
    file: BufWriter<File>,
    hasher: XxHash3_64,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.write(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn write_table(
    dir: &Path,
    table: Table,
    rows: &Rows<'_>,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<TableFile, CheckpointError> {
    let name = file_name(table);
    let path = dir.join(&name);
    let refused = |error| SinkError::of_parquet(&path, error);
    let file = BufWriter::with_capacity(1 << 20, File::create_new(&path).map_err(io_error(&path))?);
    let out = Summed { file, hasher: XxHash3_64::new(), bytes: 0 };
    let properties = table_properties(table, CHECKPOINT_GROUP_ROWS);
    let mut writer = ArrowWriter::try_new(out, table.schema(), Some(properties)).map_err(refused)?;
    let mut count = 0;
    let mut add = |batch: &RecordBatch| {
        if interrupted() {
            return Err(CheckpointError::Interrupted);
        }
        count += batch.num_rows() as u64;
        writer.write(batch).map_err(|error| refused(error).into())
    };
    if let Some(base) = &rows.base {
        let damaged = |detail: String| CheckpointError::Damaged { path: base.clone(), detail };
        let of_reader = |error: ParquetError| damaged(error.to_string());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(base).map_err(io_error(base))?);
        let reader = reader.and_then(|reader| reader.with_batch_size(CHECKPOINT_BATCH_ROWS).build());
        for batch in reader.map_err(of_reader)? {
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            add(&without(batch, rows.gone).map_err(|error| damaged(error.to_string()))?)?;
        }
    }
    // A part may be a single row, which a writer takes as slowly as a thousand.
    let mut gathered = BatchCoalescer::new(table.schema(), CHECKPOINT_BATCH_ROWS);
    let own = |error: ArrowError| refused(ParquetError::from(error));
    for part in &rows.parts {
        for chunk in part.rows.chunks(CHECKPOINT_BATCH_ROWS) {
            gathered.push_batch(table_batch(table, part.tables, part.names, chunk)).map_err(own)?;
            while let Some(batch) = gathered.next_completed_batch() {
                add(&batch)?;
            }
        }
    }
    gathered.finish_buffered_batch().map_err(own)?;
    while let Some(batch) = gathered.next_completed_batch() {
        add(&batch)?;
    }
    let Summed { file, hasher, bytes } = writer.into_inner().map_err(refused)?;
    let synced = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    synced.map_err(io_error(&path))?;
    Ok(TableFile { name, rows: count, bytes, xxh3: checksum_text(hasher.finish()) })
}

/// The rows whose ids are not among those.
fn without(batch: RecordBatch, gone: Option<&HashMap<u64, Place>>) -> Result<RecordBatch, ArrowError> {
    let Some(gone) = gone.filter(|gone| !gone.is_empty()) else { return Ok(batch) };
    let ids = batch.column(0).as_primitive_opt::<UInt64Type>();
    let ids = ids.ok_or_else(|| ArrowError::SchemaError("its first column is no id".to_owned()))?;
    let stands: BooleanArray = ids.values().iter().map(|id| Some(!gone.contains_key(id))).collect();
    if stands.true_count() == batch.num_rows() {
        return Ok(batch);
    }
    filter_record_batch(&batch, &stands)
}

//! Tables and a manifest into a folder that appears whole.

use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::manifest::{MANIFEST, Manifest, TableFile, checksum_text, file_name};
use super::{CHECKPOINTS, Checkpoint, CheckpointError, UNFINISHED, io_error};
use crate::engine::Standing;
use crate::facts::Facts;
use crate::limits::{CHECKPOINT_BATCH_ROWS, CHECKPOINT_GROUP_ROWS};
use crate::model::Table;
use crate::sinks::{RowNames, SinkError, table_batch, table_properties};

/// Makes a checkpoint. Tables are made side by side, as far as the pool goes.
pub(super) fn write(
    store: &Path,
    standing: Standing,
    facts: &Facts,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Checkpoint, CheckpointError> {
    let all = store.join(CHECKPOINTS);
    let name = format!("{:020}", standing.position.0);
    let (unfinished, dir) = (all.join(format!("{UNFINISHED}{name}")), all.join(&name));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(io_error(&unfinished))?;
    }
    fs::create_dir_all(&unfinished).map_err(io_error(&unfinished))?;
    let filled = fill(&unfinished, standing, facts, interrupted);
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
    Ok(Checkpoint { dir, manifest: Arc::new(kept?) })
}

fn fill(
    dir: &Path,
    standing: Standing,
    facts: &Facts,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Manifest, CheckpointError> {
    // Columns are shared, so that this copies none.
    let (tables, names) = facts.clone().into_tables();
    let names = RowNames { persons: &names.persons, places: &names.places, labels: &names.labels };
    let write = |&table: &Table| {
        let batch = |rows: &[u32]| table_batch(table, &tables, names, rows);
        write_table(dir, table, facts, &batch, interrupted)
    };
    let files: Vec<Result<TableFile, CheckpointError>> = Table::ALL.par_iter().map(write).collect();
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
    facts: &Facts,
    batch: &impl Fn(&[u32]) -> RecordBatch,
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
    let short = |row| u32::try_from(row).expect("rows are numbered by 32 bits");
    for zone in facts.ids_of(table).zones(CHECKPOINT_BATCH_ROWS) {
        if interrupted() {
            return Err(CheckpointError::Interrupted);
        }
        let rows = facts.standing(table, zone.clone()).unwrap_or_else(|| zone.map(short).collect());
        count += rows.len() as u64;
        writer.write(&batch(&rows)).map_err(refused)?;
    }
    let Summed { file, hasher, bytes } = writer.into_inner().map_err(refused)?;
    let synced = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    synced.map_err(io_error(&path))?;
    Ok(TableFile { name, rows: count, bytes, xxh3: checksum_text(hasher.finish()) })
}

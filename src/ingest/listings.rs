//! A table of listings by itself: a list that is not the data's.

use std::path::Path;

use super::cells::Interners;
use super::layout::{Format, SourceFile};
use super::{IngestError, Loaded, Observer, Sources, load_table};
use crate::model::Table;
use crate::model::facts::RiskAreas;

/// Reads a `risk_areas` table of any format and name. Gives only that table, with what was refused of it.
///
/// # Errors
/// As [`super::load`].
pub fn load_listings(path: &Path, observer: &dyn Observer) -> Result<Loaded, IngestError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((_, format)) = Format::of_name(&name) else {
        return Err(IngestError::UnknownFormat { path: path.to_owned() });
    };
    let files = [SourceFile { table: Table::RiskAreas, path: path.to_owned(), name: name.clone(), format }];
    let sources = Sources { interners: Interners::default(), observer };
    let mut loaded = Loaded { sources: vec![name], ..Loaded::default() };
    // No column of the table is a token: there is nothing to number.
    load_table::<RiskAreas>(&files, &sources)?(&mut loaded);
    Ok(loaded)
}

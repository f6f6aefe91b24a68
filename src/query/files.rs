//! `read_parquet('file or folder')`: files of Parquet inside the folders that are open to queries.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use url::Url;

use super::guard::Folders;

/// The function.
#[derive(Debug)]
pub(super) struct ReadParquet(pub(super) Folders);

impl TableFunctionImpl for ReadParquet {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(ScalarValue::Utf8(Some(path)) | ScalarValue::Utf8View(Some(path)), _)] = args.exprs() else {
            return plan_err!("read_parquet('file or folder') takes one text");
        };
        let real = self.0.inside(path).map_err(|error| DataFusionError::Plan(error.to_string()))?;
        let files = files(&real)?;
        let Some(first) = files.first() else { return plan_err!("{path}: no file of Parquet there") };
        let schema_of = |file: &PathBuf| -> Result<SchemaRef> {
            Ok(Arc::clone(ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.schema()))
        };
        let schema = schema_of(first)?;
        for file in &files {
            if schema_of(file)?.fields() != schema.fields() {
                return plan_err!("{path}: {} has other columns than {}", file.display(), first.display());
            }
        }
        Ok(Arc::new(table_of(&files, Arc::new(ParquetFormat::default()), schema)?))
    }
}

/// The rows of some files, whose real paths these are.
///
/// # Errors
/// A path that cannot be told.
pub(super) fn table_of(files: &[PathBuf], format: Arc<dyn FileFormat>, schema: SchemaRef) -> Result<ListingTable> {
    let url = |file: &PathBuf| ListingTableUrl::parse(url_of(file)?);
    let urls = files.iter().map(url).collect::<Result<_>>()?;
    let options = ListingOptions::new(format).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema);
    ListingTable::try_new(config)
}

/// A path as a URL: DataFusion takes stars and brackets of a plain path for patterns, and `%20` for a space.
///
/// # Errors
/// A path that is not absolute.
pub(super) fn url_of(path: &Path) -> Result<String> {
    let no_url = |()| DataFusionError::Plan(format!("{}: no absolute path", path.display()));
    Ok(Url::from_file_path(path).map_err(no_url)?.into())
}

/// A file, or the files of Parquet in a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        // A link in it may lead out of it.
        if path.extension().is_some_and(|extension| extension == "parquet") && !path.is_symlink() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

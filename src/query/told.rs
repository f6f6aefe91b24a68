//! Files that grow while they are read: lines of NDJSON up to a byte.
//!
//! The one idea: what a file held when a snapshot was made is a number of bytes, and they never change; what comes behind them is not
//! looked at.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::listing::{ListingTableUrl, PartitionedFile};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, JsonSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::object_store::ObjectMeta;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use super::files::url_of;
use super::scan;
use crate::limits::QUERY_TOLD_BYTES;

/// The first bytes of a file, whole lines.
#[derive(Debug)]
pub(super) struct Lines {
    url: ListingTableUrl,
    bytes: u64,
    schema: SchemaRef,
}

impl Lines {
    /// So many bytes of a file, whose real path this is.
    ///
    /// # Errors
    /// A path that cannot be told.
    pub(super) fn new(file: &Path, bytes: u64, schema: SchemaRef) -> Result<Self> {
        Ok(Self { url: ListingTableUrl::parse(url_of(file)?)?, bytes, schema })
    }

    /// Parts of about the same length, each of whole lines: DataFusion begins one with the first line that begins in it.
    fn parts(&self, wanted: usize) -> Vec<FileGroup> {
        let parts = self.bytes.div_ceil(QUERY_TOLD_BYTES).clamp(1, wanted.max(1) as u64);
        let bound = |part: u64| i64::try_from(self.bytes * part / parts).unwrap_or(i64::MAX);
        let whole = PartitionedFile::new(String::new(), self.bytes);
        let meta = ObjectMeta { location: self.url.prefix().clone(), ..whole.object_meta };
        let file = || PartitionedFile::new_from_meta(meta.clone());
        let part = |part| FileGroup::new(vec![file().with_range(bound(part), bound(part + 1))]);
        (0..parts).map(part).collect()
    }
}

#[async_trait]
impl TableProvider for Lines {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.bytes == 0 {
            return Ok(Arc::new(EmptyExec::new(scan::projected(&self.schema, projection)?.1)));
        }
        let source = Arc::new(JsonSource::new(Arc::clone(&self.schema)));
        let scan = FileScanConfigBuilder::new(self.url.object_store(), source)
            .with_file_groups(self.parts(state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use arrow::array::{AsArray as _, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
    use datafusion::execution::context::{SessionConfig, SessionContext};

    use super::*;

    #[test]
    fn lines_are_read_up_to_a_byte_and_each_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().canonicalize().expect("a real path").join("of 100%.ndjson");
        let (mut text, mut ends) = (String::new(), vec![0]);
        for number in 0..100u64 {
            writeln!(
                text,
                "{{\"number\":{number},\"text\":\"{}\"}}",
                "x".repeat(usize::try_from(number).expect("few"))
            )
            .expect("memory");
            ends.push(text.len());
        }
        std::fs::write(&file, format!("{text}{{\"number\":")).expect("written");
        let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::UInt64, false)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for (parts, lines) in [1, 2, 7].into_iter().flat_map(|parts| [0, 1, 2, 50, 99, 100].map(|lines| (parts, lines)))
        {
            let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(parts));
            let table = Lines::new(&file, ends[lines] as u64, Arc::clone(&schema)).expect("a table");
            context.register_table("told", Arc::new(table)).expect("a name");
            let read = runtime.block_on(async { context.sql("SELECT number FROM told").await?.collect().await });
            let numbers = |batch: &RecordBatch| batch.column(0).as_primitive::<UInt64Type>().values().to_vec();
            let mut read: Vec<u64> = read.expect("lines").iter().flat_map(numbers).collect();
            read.sort_unstable();
            assert_eq!(read, (0..lines as u64).collect::<Vec<_>>(), "{parts} parts");
        }
    }
}

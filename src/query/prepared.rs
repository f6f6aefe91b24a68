//! Small tables, made whole when they are first asked for.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

type Make = Arc<dyn Fn() -> Result<RecordBatch> + Send + Sync>;

/// A table that is made when it is first scanned.
pub(super) struct Prepared {
    schema: SchemaRef,
    make: Make,
    made: OnceCell<RecordBatch>,
}

impl Prepared {
    pub(super) fn new(schema: SchemaRef, make: impl Fn() -> Result<RecordBatch> + Send + Sync + 'static) -> Self {
        Self { schema, make: Arc::new(make), made: OnceCell::new() }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Does what takes long where no other query waits for it.
///
/// # Errors
/// The work's own; a panic in it.
pub(super) async fn apart<R: Send + 'static>(work: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    tokio::task::spawn_blocking(work).await.map_err(|error| DataFusionError::External(Box::new(error)))?
}

#[async_trait]
impl TableProvider for Prepared {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let make = Arc::clone(&self.make);
        let whole = self.made.get_or_try_init(|| apart(move || make())).await?;
        let batch = whole.slice(0, whole.num_rows().min(limit.unwrap_or(usize::MAX)));
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(&self.schema), projection.cloned())?)
    }
}

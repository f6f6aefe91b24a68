//! A scan as DataFusion runs it: one plan for everything that gives rows in parts.
//!
//! The one idea: a [`Source`] has decided what it reads when the plan is made, so that the plan can say it (`EXPLAIN`) and count it
//! (statistics); running it is an iterator a partition.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, SendableRecordBatchStream,
};

/// Batches, one after the other.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Rows that are found in parts.
pub(super) trait Source: fmt::Debug + Send + Sync {
    /// What is read, by which index, and what it is held against: a line of `EXPLAIN`.
    fn describe(&self) -> String;
    /// Columns of the batches.
    fn schema(&self) -> SchemaRef;
    /// How many parts.
    fn partitions(&self) -> usize;
    /// How many rows all parts have, if that is known; else at most how many.
    fn rows(&self) -> Precision<usize>;
    /// The rows of a part.
    fn batches(self: Arc<Self>, partition: usize, batch_rows: usize) -> Batches;
}

/// Reads a [`Source`].
#[derive(Debug)]
pub(super) struct ScanExec {
    source: Arc<dyn Source>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ScanExec {
    /// A plan that reads a source, of each part `limit` rows at most.
    pub(super) fn new(source: Arc<dyn Source>, limit: Option<usize>) -> Arc<Self> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(source.schema()),
            Partitioning::UnknownPartitioning(source.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Arc::new(Self { source, limit, properties: properties.into(), metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if kind != DisplayFormatType::TreeRender {
            write!(f, "ScanExec: ")?;
        }
        write!(f, "{}", self.source.describe())?;
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        let batches = Arc::clone(&self.source).batches(partition, batch_rows);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut left = self.limit.unwrap_or(usize::MAX);
        let counted = batches
            .map(move |batch| {
                let batch = batch?;
                let rows = batch.num_rows().min(left);
                left -= rows;
                metrics.record_output(rows);
                Ok((batch.slice(0, rows), left))
            })
            .scan(false, |done, batch: Result<(RecordBatch, usize)>| {
                if std::mem::replace(done, matches!(batch, Ok((_, 0)) | Err(_))) {
                    return None;
                }
                Some(batch.map(|(batch, _)| batch))
            });
        let stream = futures::stream::iter(counted);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let schema = self.schema();
        let rows = match args.partition() {
            None => self.source.rows(),
            Some(_) => Precision::Absent,
        };
        let column_statistics = schema.fields().iter().map(|field| {
            let null_count = if field.is_nullable() { Precision::Absent } else { Precision::Exact(0) };
            ColumnStatistics { null_count, ..ColumnStatistics::new_unknown() }
        });
        let statistics = Statistics {
            num_rows: rows,
            total_byte_size: Precision::Absent,
            column_statistics: column_statistics.collect(),
        };
        // With a limit, parts of few rows give fewer than it: how many there are in all is not known.
        Ok(Arc::new(match self.limit {
            Some(_) => statistics.with_fetch(self.limit, 0, self.source.partitions())?.to_inexact(),
            None => statistics,
        }))
    }
}

/// What a scan says of the conditions that it is offered: it decides those that are `taken`, wholly, and none of the others.
pub(super) fn pushed_down(filters: &[&Expr], taken: impl Fn(&Expr) -> bool) -> Vec<TableProviderFilterPushDown> {
    let says = |filter: &&Expr| {
        if taken(filter) { TableProviderFilterPushDown::Exact } else { TableProviderFilterPushDown::Unsupported }
    };
    filters.iter().map(says).collect()
}

/// The columns that are asked for, all if none are named, and their schema.
///
/// # Errors
/// A column that there is not.
pub(super) fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<(Vec<usize>, SchemaRef)> {
    let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
    let schema = Arc::new(schema.project(&columns)?);
    Ok((columns, schema))
}

/// A batch, also one of no columns.
///
/// # Errors
/// Columns that are not those of the schema.
pub(super) fn batch(schema: SchemaRef, columns: Vec<arrow::array::ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

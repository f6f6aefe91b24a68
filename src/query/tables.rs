//! The smaller tables: regions, rules, refused rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;

use super::columns::with_views;
use super::functions::region_codes;
use super::prepared::Prepared;
use super::snapshot::Snapshot;
use crate::gazetteer;
use crate::model::schema::rejections_schema;
use crate::model::{ClosedEnum as _, Level, Region, RegionId};
use crate::rules::{Program, Release, Rule};
use crate::sinks;

/// A field of a table, of texts as views.
pub(super) fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8View, nullable)
}

/// Texts as views.
pub(super) fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

/// Every region in the lists, in facts or in listings: code, names, the region that holds it, its level now.
pub(super) fn regions(snapshot: Arc<Snapshot>) -> Prepared {
    let fields = vec![
        Field::new("code", DataType::UInt32, false),
        text("name_zh", true),
        text("name_en", true),
        Field::new("parent", DataType::UInt32, true),
        text("level", true),
    ];
    let schema = Arc::new(Schema::new(fields));
    Prepared::new(Arc::clone(&schema), move || regions_batch(&snapshot, &schema))
}

fn regions_batch(snapshot: &Snapshot, schema: &SchemaRef) -> Result<RecordBatch> {
    let known = &snapshot.facts.regions;
    let count = u32::try_from(known.len()).expect("there are fewer than 2^32 regions");
    let met = (0..count).map(|number| known.code(RegionId::from_index(number)));
    let mut all: Vec<Region> = gazetteer::regions().chain(met).chain(known.listings().region.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    let level = |region: &Region| known.level_at(*region, snapshot.as_of).map(Level::name);
    let columns = vec![
        region_codes(all.iter().copied().map(Some)),
        texts(all.iter().map(|&region| gazetteer::name_zh(region))),
        texts(all.iter().map(|&region| gazetteer::name_en(region))),
        region_codes(all.iter().map(|region| region.parent())),
        texts(all.iter().map(level)),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The rules in force, in their order.
pub(super) fn rules(snapshot: Arc<Snapshot>) -> Prepared {
    let number = |name: &str| Field::new(name, DataType::UInt32, true);
    let fields = vec![
        text("rule_set", false),
        text("version", false),
        Field::new("number", DataType::UInt32, false),
        text("id", false),
        text("colour", false),
        text("cause", false),
        text("title_zh", false),
        text("title_en", false),
        text("advice_zh", false),
        text("advice_en", false),
        text("cite", false),
        number("days"),
        number("clean_days"),
        number("negative_tests"),
        Field::new("excusable", DataType::Boolean, false),
    ];
    let schema = Arc::new(Schema::new(fields));
    Prepared::new(Arc::clone(&schema), move || rules_batch(&snapshot.program, &schema))
}

fn rules_batch(program: &Program, schema: &SchemaRef) -> Result<RecordBatch> {
    let rules = || program.rules.iter();
    let of_each = |text: &dyn Fn(&Rule) -> String| texts(rules().map(|rule| Some(text(rule))));
    let release = |part: fn(Release) -> u32| -> ArrayRef {
        Arc::new(rules().map(|rule| rule.cause.release().map(part)).collect::<UInt32Array>())
    };
    let excusable = program.numbered().map(|(id, _)| Some(program.excuses.contains(id)));
    let columns: Vec<ArrayRef> = vec![
        of_each(&|_| program.name.clone()),
        of_each(&|_| program.version.clone()),
        Arc::new(UInt32Array::from_iter_values(program.numbered().map(|(id, _)| u32::from(id.0)))),
        of_each(&|rule| rule.id.clone()),
        of_each(&|rule| rule.colour.name().to_owned()),
        of_each(&|rule| rule.cause.name().to_owned()),
        of_each(&|rule| rule.title.zh.clone()),
        of_each(&|rule| rule.title.en.clone()),
        of_each(&|rule| rule.advice.zh.clone()),
        of_each(&|rule| rule.advice.en.clone()),
        of_each(&|rule| rule.cite.clone()),
        release(|release| release.days),
        release(|release| release.clean_days),
        release(|release| release.negative_tests),
        Arc::new(excusable.collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Rows that were refused, and declarations over the limit of modifications.
pub(super) fn rejections(snapshot: Arc<Snapshot>) -> Prepared {
    let schema = with_views(&rejections_schema());
    Prepared::new(Arc::clone(&schema), move || {
        let built = sinks::rejection_batches(snapshot.rejections());
        let batches = built.iter().map(|build| with_types(&build(), &schema)).collect::<Result<Vec<_>>>()?;
        Ok(concat_batches(&schema, &batches)?)
    })
}

/// A batch with its columns cast to a schema's types.
///
/// # Errors
/// Types that cannot be cast.
pub(crate) fn with_types(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns =
        columns.map(|(field, column)| arrow::compute::cast(column, field.data_type())).collect::<Result<_, _>>()?;
    let count = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &count)?)
}

/// A schema without views, which fewer programs read.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())))
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<FieldRef>>()))
}

fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => {
            let kind = plain_type(item.data_type());
            DataType::List(Arc::new(Field::clone(item).with_data_type(kind)))
        }
        kind => kind.clone(),
    }
}

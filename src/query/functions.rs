//! Functions that analysts call in SQL: levels, places and names of regions, local days, working days.
//!
//! The one idea: a question has few different regions, however many rows, so what is looked up for one is remembered for a batch.
//!
//! Invariant: what a function says of a level is what the rules see at the snapshot's instant.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, Int64Array, StringViewBuilder, UInt32Array,
};
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt32Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use hashbrown::HashMap;

use super::filter::is_within;
use super::snapshot::Snapshot;
use crate::gazetteer;
use crate::model::schema::instant_type;
use crate::model::{ClosedEnum as _, Region, Timestamp};
use crate::workdays;

/// Name of the function that scans take as a condition.
pub(super) const REGION_WITHIN: &str = "region_within";

const SECTION: DocSection = DocSection { include: true, label: "sanma", description: None };

/// The functions of a snapshot.
pub(super) fn all(snapshot: &Arc<Snapshot>) -> Vec<ScalarUDF> {
    let functions = [
        Function {
            name: "region_level",
            takes: vec![DataType::UInt32],
            gives: DataType::Utf8View,
            doc: (
                "The level of risk of a region at the instant of the codes: the nearest listed division decides; null if none is listed.",
                "region_level(code)",
                &["A division code or a country's number."],
            ),
            call: |snapshot, given| Ok(region_level(snapshot, given)),
        },
        Function {
            name: REGION_WITHIN,
            takes: vec![DataType::UInt32, DataType::UInt32],
            gives: DataType::Boolean,
            doc: (
                "Whether a region is another one, or inside it.",
                "region_within(code, ancestor)",
                &["The region.", "The region that may hold it."],
            ),
            call: |_, given| Ok(region_within(given)),
        },
        Function {
            name: "region_name",
            takes: vec![DataType::UInt32, DataType::Utf8View],
            gives: DataType::Utf8View,
            doc: (
                "The name of a region with those that hold it, largest first; null for a code in no list.",
                "region_name(code, lang)",
                &["The region.", "'zh' or 'en'."],
            ),
            call: |_, given| region_name(given),
        },
        Function {
            name: "local_day",
            takes: vec![instant_type()],
            gives: DataType::Date32,
            doc: (
                "The calendar day that an instant is in, on the clock of the rules in force.",
                "local_day(ts)",
                &["An instant."],
            ),
            call: |snapshot, given| Ok(local_day(snapshot, given)),
        },
        Function {
            name: "working_days",
            takes: vec![instant_type(), instant_type()],
            gives: DataType::Int64,
            doc: (
                "The working days after the day of one instant, up to that of another: weekdays, but for China's holidays and \
                 shifted workdays of 2020 to 2023.",
                "working_days(since, until)",
                &["An instant.", "A later instant."],
            ),
            call: |snapshot, given| Ok(working_days(snapshot, given)),
        },
    ];
    functions.into_iter().map(|function| ScalarUDF::new_from_impl(Bound::new(function, snapshot))).collect()
}

/// Days since 1970 that can be written as a date; what lies beyond has none.
const SHOWN_DAYS: std::ops::RangeInclusive<i32> = -95_000_000..=95_000_000;

type Call = fn(&Snapshot, &[ArrayRef]) -> Result<ArrayRef>;

/// What a function is.
struct Function {
    name: &'static str,
    takes: Vec<DataType>,
    gives: DataType,
    /// What it gives, how it is called, what each argument is.
    doc: (&'static str, &'static str, &'static [&'static str]),
    call: Call,
}

/// A function of a snapshot.
struct Bound {
    name: &'static str,
    signature: Signature,
    takes: Vec<DataType>,
    gives: DataType,
    doc: Documentation,
    call: Call,
    snapshot: Arc<Snapshot>,
}

impl Bound {
    fn new(function: Function, snapshot: &Arc<Snapshot>) -> Self {
        let Function { name, takes, gives, doc: (description, syntax, arguments), call } = function;
        let mut doc = Documentation::builder(SECTION, description, syntax);
        let named = syntax.trim_end_matches(')').split(['(', ',']).skip(1).map(str::trim);
        for (name, what) in named.zip(arguments) {
            doc = doc.with_argument(name, *what);
        }
        // A snapshot stands still, so that of a literal the answer is one too.
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name, signature, takes, gives, doc: doc.build(), call, snapshot: Arc::clone(snapshot) }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.name, self.snapshot)
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.snapshot, &other.snapshot)
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        Arc::as_ptr(&self.snapshot).hash(state);
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let fits = given.len() == self.takes.len()
            && given.iter().zip(&self.takes).all(|(given, taken)| can_cast_types(given, taken));
        if fits { Ok(self.takes.clone()) } else { plan_err!("it is called as {}", self.doc.syntax_example) }
    }

    fn return_type(&self, _takes: &[DataType]) -> Result<DataType> {
        Ok(self.gives.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let answer = (self.call)(&self.snapshot, &arrays)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?));
        }
        Ok(ColumnarValue::Array(answer))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.doc)
    }
}

fn regions(array: &ArrayRef) -> impl Iterator<Item = Option<u32>> + '_ {
    array.as_primitive::<UInt32Type>().iter()
}

/// A text for each region, looked up once a region.
fn texts(codes: &ArrayRef, look_up: impl Fn(Region) -> Option<String>) -> ArrayRef {
    let mut known: HashMap<u32, Option<String>> = HashMap::new();
    let mut texts = StringViewBuilder::with_capacity(codes.len());
    for code in regions(codes) {
        let text = code.and_then(|code| known.entry(code).or_insert_with(|| look_up(Region::new(code)?)).as_deref());
        texts.append_option(text);
    }
    Arc::new(texts.finish())
}

fn region_level(snapshot: &Snapshot, arrays: &[ArrayRef]) -> ArrayRef {
    let level = |region| snapshot.facts.regions.level_at(region, snapshot.as_of).map(|level| level.name().to_owned());
    texts(&arrays[0], level)
}

fn region_within(arrays: &[ArrayRef]) -> ArrayRef {
    let within = |(region, ancestor): (Option<u32>, Option<u32>)| {
        let (region, ancestor) = (region?, ancestor?);
        Some(Region::new(region).zip(Region::new(ancestor)).is_some_and(|(region, above)| is_within(region, above)))
    };
    Arc::new(regions(&arrays[0]).zip(regions(&arrays[1])).map(within).collect::<BooleanArray>())
}

fn region_name(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let languages = arrays[1].as_string_view();
    let mut known: HashMap<(u32, bool), Option<String>> = HashMap::new();
    let mut texts = StringViewBuilder::with_capacity(languages.len());
    for (code, language) in regions(&arrays[0]).zip(languages) {
        let (Some(code), Some(language)) = (code, language) else {
            texts.append_null();
            continue;
        };
        let name: fn(Region) -> Option<String> = match language {
            "zh" => gazetteer::name_zh,
            "en" => gazetteer::name_en,
            other => return exec_err!("region_name: {other:?} is no language; 'zh' and 'en' are"),
        };
        let look_up = || name(Region::new(code)?);
        texts.append_option(known.entry((code, language == "zh")).or_insert_with(look_up).as_deref());
    }
    Ok(Arc::new(texts.finish()))
}

fn instants(array: &ArrayRef) -> impl Iterator<Item = Option<Timestamp>> + '_ {
    array.as_primitive::<TimestampMicrosecondType>().iter().map(|at| at.map(Timestamp))
}

fn local_day(snapshot: &Snapshot, arrays: &[ArrayRef]) -> ArrayRef {
    let offset = snapshot.program.utc_offset;
    let day = |at: Timestamp| i32::try_from(at.local_day(offset).0).ok().filter(|day| SHOWN_DAYS.contains(day));
    Arc::new(instants(&arrays[0]).map(|at| at.and_then(day)).collect::<Date32Array>())
}

fn working_days(snapshot: &Snapshot, arrays: &[ArrayRef]) -> ArrayRef {
    let offset = snapshot.program.utc_offset;
    let days = |(since, until): (Option<Timestamp>, Option<Timestamp>)| {
        Some(workdays::between(since?.local_day(offset), until?.local_day(offset)))
    };
    Arc::new(instants(&arrays[0]).zip(instants(&arrays[1])).map(days).collect::<Int64Array>())
}

/// A column of codes of regions.
pub(super) fn region_codes(codes: impl Iterator<Item = Option<Region>>) -> ArrayRef {
    Arc::new(codes.map(|region| region.map(Region::code)).collect::<UInt32Array>())
}

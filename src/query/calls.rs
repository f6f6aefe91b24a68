//! Tables that are asked for with arguments: `explain`, `codes_at`, `whatif`, `contacts_of`.
//!
//! The one idea: each answers by the engine's own code, so that SQL says nothing that `sanma explain`, `recompute` and `whatif` would not.
//!
//! Cost: a call is computed while its query is planned, also for `EXPLAIN`: a recompute for `codes_at` and `whatif`.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt8Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

use super::candidate::Candidate;
use super::codes::{self, CodeTable};
use super::columns::{array, kept, schema};
use super::prepared::Prepared;
use super::rows::Rows;
use super::snapshot::Snapshot;
use super::tables::{text, texts};
use super::trace::contacts_of;
use crate::explain::{self, Audience, LocalInstant, RuleReport};
use crate::limits::QUERY_DEGREE_MAX;
use crate::model::schema::{instant_type, text_list};
use crate::model::{ClosedEnum as _, PersonId, Table, Timestamp};
use crate::sinks;
use crate::spelt::Spelt;

type Call = fn(&Arc<Snapshot>, &[Argument]) -> Result<Arc<dyn TableProvider>>;

/// A function that gives a table, of a snapshot.
pub(super) struct Function {
    snapshot: Arc<Snapshot>,
    usage: &'static str,
    call: Call,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.usage)
    }
}

/// What is given to a call.
#[derive(Debug)]
enum Argument {
    Text(String),
    Number(i64),
}

/// The functions, with their names.
pub(super) fn all(snapshot: &Arc<Snapshot>) -> Vec<(&'static str, Arc<Function>)> {
    let calls: [(&str, &str, Call); 4] = [
        ("explain", "explain('token')", explain),
        ("codes_at", "codes_at('instant')", codes_at),
        ("whatif", "whatif('list 330106=high; delist 330102; rules huzhou-2020-02-21')", whatif),
        ("contacts_of", "contacts_of('token', degree)", contacts),
    ];
    let function = |(name, usage, call)| (name, Arc::new(Function { snapshot: Arc::clone(snapshot), usage, call }));
    calls.map(function).into()
}

impl TableFunctionImpl for Function {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let given = args.exprs().iter().map(argument).collect::<Option<Vec<_>>>();
        let Some(given) = given else { return plan_err!("{} takes literals", self.usage) };
        match (self.call)(&self.snapshot, &given) {
            Err(error) => plan_err!("{}: {}", self.usage, error.strip_backtrace()),
            called => called,
        }
    }
}

fn argument(expr: &Expr) -> Option<Argument> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(Argument::Text(text.clone()))
        }
        ScalarValue::Int64(Some(number)) => Some(Argument::Number(*number)),
        _ => None,
    }
}

fn codes_at(snapshot: &Arc<Snapshot>, given: &[Argument]) -> Result<Arc<dyn TableProvider>> {
    let [Argument::Text(text)] = given else { return plan_err!("one text is wanted") };
    let Some(at) = Timestamp::parse_typed(text, snapshot.program.utc_offset) else {
        return plan_err!("{text:?} is no instant; write 2020-02-18T00:00:00+08:00, or 2020-02-18 for its midnight");
    };
    if let Some(from) = snapshot.origins.from.filter(|&from| at < from) {
        return plan_err!("facts that only mattered before {} may be forgotten", from.to_rfc3339());
    }
    Ok(Arc::new(CodeTable::new(Arc::clone(snapshot), at)))
}

/// One row for each person whose code would be another.
fn whatif(snapshot: &Arc<Snapshot>, given: &[Argument]) -> Result<Arc<dyn TableProvider>> {
    let [Argument::Text(candidate)] = given else { return plan_err!("one text is wanted") };
    let candidate = Candidate::parse(candidate, snapshot)?;
    let fields = vec![
        text("person", false),
        text("before", true),
        text("after", true),
        Field::new("gained", text_list(), false),
        Field::new("lost", text_list(), false),
        Field::new("district", DataType::UInt32, true),
    ];
    let (schema, snapshot) = (Arc::new(Schema::new(fields)), Arc::clone(snapshot));
    Ok(Arc::new(Prepared::new(Arc::clone(&schema), move || candidate.changes(&snapshot, &schema))))
}

/// Each contact by which a person is so many contacts away, and those nearer.
fn contacts(snapshot: &Arc<Snapshot>, given: &[Argument]) -> Result<Arc<dyn TableProvider>> {
    let (token, degree) = match given {
        [Argument::Text(token)] => (token, 1),
        [Argument::Text(token), Argument::Number(degree)] => (token, *degree),
        _ => return plan_err!("a text is wanted, and a number"),
    };
    if !(1..=QUERY_DEGREE_MAX).contains(&degree) {
        return plan_err!("the degree is from 1 to {QUERY_DEGREE_MAX}");
    }
    let facts = schema(Table::Contacts);
    let mut fields = vec![Field::new("degree", DataType::UInt8, false), text("person", false), text("via", true)];
    let of_contact: Vec<usize> = ["id", "started_at", "duration_s", "setting"].map(|name| column(&facts, name)).into();
    fields.extend(of_contact.iter().map(|&column| facts.field(column).clone()));
    let (schema, snapshot, token) = (Arc::new(Schema::new(fields)), Arc::clone(snapshot), token.clone());
    Ok(Arc::new(Prepared::new(Arc::clone(&schema), move || {
        let trace = |person| contacts_of(&snapshot.facts, person, degree, snapshot.as_of);
        let met = snapshot.person(&token).map_or_else(Vec::new, trace);
        let via: UInt32Array = met.iter().map(|met| met.via.map(|person| person.0)).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt8Array::from_iter_values(met.iter().map(|met| met.degree))),
            codes::persons(&snapshot, met.iter().map(|met| met.person))?,
            snapshot.views().persons(&snapshot.facts, &via)?,
        ];
        let rows: Vec<u32> = met.iter().map(|met| met.row).collect();
        for &column in &of_contact {
            let kept = kept(Table::Contacts)[column];
            columns.push(array(kept, &snapshot.facts, snapshot.views(), &Rows::List(&rows))?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    })))
}

fn column(schema: &SchemaRef, name: &str) -> usize {
    schema.index_of(name).expect("a column of the contract")
}

/// One row for each rule that is active for a person; one of nulls where none is.
fn explain(snapshot: &Arc<Snapshot>, given: &[Argument]) -> Result<Arc<dyn TableProvider>> {
    let [Argument::Text(token)] = given else { return plan_err!("one text is wanted") };
    let instant = |name: &str| Field::new(name, instant_type(), true);
    let list = |name: &str| Field::new(name, text_list(), false);
    let fields = vec![
        text("person", false),
        text("colour", false),
        instant("valid_until"),
        instant("green_at"),
        text("rule", true),
        text("rule_colour", true),
        text("title_zh", true),
        text("title_en", true),
        text("cite", true),
        Field::new("excused", DataType::Boolean, true),
        instant("trigger_at"),
        instant("release_at"),
        instant("attainable_at"),
        list("because_zh"),
        list("because_en"),
        text("evidence", true),
    ];
    let (schema, snapshot, token) = (Arc::new(Schema::new(fields)), Arc::clone(snapshot), token.clone());
    Ok(Arc::new(Prepared::new(Arc::clone(&schema), move || {
        match snapshot.person(&token).and_then(|person| page(&snapshot, person)) {
            Some(page) => explanation(&page, &schema),
            None => Ok(RecordBatch::new_empty(Arc::clone(&schema))),
        }
    })))
}

fn page(snapshot: &Snapshot, person: PersonId) -> Option<explain::Explanation> {
    let tables = snapshot.facts.around(person, snapshot.program.looks_through_others());
    let names = Spelt(&snapshot.facts.names);
    explain::explain(&tables, &snapshot.program, person, snapshot.as_of, Audience::Official, &names)
}

fn explanation(page: &explain::Explanation, schema: &SchemaRef) -> Result<RecordBatch> {
    // A person for whom no rule is active still has a row.
    let rules: Vec<Option<&RuleReport>> =
        if page.rules.is_empty() { vec![None] } else { page.rules.iter().map(Some).collect() };
    let rules = || rules.iter().copied();
    let of_each = |text: &dyn Fn(&RuleReport) -> String| texts(rules().map(|rule| rule.map(text)));
    let of_page = |at: Option<LocalInstant>| instants(rules().map(|_| at));
    let evidence = |rule: &RuleReport| serde_json::to_string(&rule.evidence).unwrap_or_default();
    let columns: Vec<ArrayRef> = vec![
        texts(rules().map(|_| Some(&page.person))),
        texts(rules().map(|_| Some(page.colour.name()))),
        of_page(page.valid_until),
        of_page(page.green.earliest),
        of_each(&|rule| rule.id.clone()),
        of_each(&|rule| rule.colour.name().to_owned()),
        of_each(&|rule| rule.title.zh.clone()),
        of_each(&|rule| rule.title.en.clone()),
        of_each(&|rule| rule.cite.clone()),
        Arc::new(rules().map(|rule| rule.map(|rule| rule.excused)).collect::<BooleanArray>()),
        instants(rules().map(|rule| rule?.trigger)),
        instants(rules().map(|rule| rule?.earliest_release)),
        instants(rules().map(|rule| rule?.attainable_release)),
        sinks::text_lists(
            rules().map(|rule| rule.into_iter().flat_map(|rule| &rule.because).map(|words| words.zh.as_str())),
        ),
        sinks::text_lists(
            rules().map(|rule| rule.into_iter().flat_map(|rule| &rule.because).map(|words| words.en.as_str())),
        ),
        of_each(&evidence),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn instants(values: impl Iterator<Item = Option<LocalInstant>>) -> ArrayRef {
    sinks::instants(values.map(|at| at.map_or(Timestamp::NEVER, |local| local.at)))
}

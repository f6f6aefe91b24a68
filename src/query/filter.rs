//! Conditions that a scan decides itself, on columns as they are kept.
//!
//! The one idea: a conjunct of SQL's `WHERE` becomes a [`Condition`] if its meaning there is exactly the same: tests of a column
//! each, of which one must hold. What is none stays with DataFusion. A value of a column is compared as it lies in memory, before
//! any text is made of it.
//!
//! Invariant: a condition holds for a row exactly where the expression is true, so null is never let through but by `IS NULL`.

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use hashbrown::HashSet;

use super::columns::Kept;
use super::functions::REGION_WITHIN;
use super::rows::Rows;
use crate::facts::Facts;
use crate::limits::QUERY_ALTERNATIVES_MAX;
use crate::model::{LabelId, Optional, PersonId, PlaceId, Region, Timestamp};

/// Tests of which one must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition(pub(super) Vec<Test>);

/// A test of one column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    /// The column, by its place in the table.
    pub(super) column: usize,
    /// What its value must be.
    pub(super) wanted: Wanted,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// A number, or an instant's microseconds, within bounds.
    Between(RangeInclusive<i128>),
    /// One of some ids, codes of regions, or numbers of names.
    Among(Arc<HashSet<u32>>),
    /// A region inside another one.
    Within(Region),
    /// A flag that is set, or is not.
    Flag(bool),
    /// Null, or not null.
    Null(bool),
}

/// What turns a literal into what a column keeps.
pub(super) trait Lookup {
    /// The column's place, by its name.
    fn column(&self, name: &str) -> Option<usize>;
    /// The numbers under which a text is kept in a column; none if the column holds no texts.
    fn codes_of(&self, column: usize, text: &str) -> Option<Vec<u32>>;
    /// What kind of values a column has.
    fn kind(&self, column: usize) -> Kind;
}

/// Kinds of values that tests tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers and instants.
    Number,
    /// Codes of regions: numbers too.
    Region,
    /// Texts that have numbers.
    Text,
    /// Flags.
    Flag,
    /// None that a test is made of.
    Other,
}

/// The condition that an expression is, if it is one, of few alternatives.
pub(super) fn condition_of(expr: &Expr, table: &dyn Lookup) -> Option<Condition> {
    let condition = any_of(expr, table)?;
    (1..=QUERY_ALTERNATIVES_MAX).contains(&condition.0.len()).then_some(condition)
}

fn any_of(expr: &Expr, table: &dyn Lookup) -> Option<Condition> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let mut tests = any_of(left, table)?.0;
            for test in any_of(right, table)?.0 {
                add(&mut tests, test);
            }
            Some(Condition(tests))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let column = column_of(expr, table)?;
            let mut tests = Vec::new();
            let mut codes = HashSet::new();
            for item in list {
                match comparison(column, Operator::Eq, literal(item)?, table)? {
                    Test { wanted: Wanted::Among(more), .. } => codes.extend(more.iter().copied()),
                    test if tests.len() < QUERY_ALTERNATIVES_MAX => tests.push(test),
                    _ => return None,
                }
            }
            if tests.is_empty() {
                tests.push(Test { column, wanted: Wanted::Among(Arc::new(codes)) });
            }
            Some(Condition(tests))
        }
        expr => Some(Condition(vec![test_of(expr, table)?])),
    }
}

/// Adds an alternative; one that only widens another's choice is put to that.
fn add(tests: &mut Vec<Test>, test: Test) {
    if let Wanted::Among(more) = &test.wanted {
        let same = tests.iter_mut().find(|other| other.column == test.column);
        if let Some(Test { wanted: Wanted::Among(codes), .. }) = same {
            *codes = Arc::new(codes.union(more).copied().collect());
            return;
        }
    }
    tests.push(test);
}

fn column_of(expr: &Expr, table: &dyn Lookup) -> Option<usize> {
    match expr {
        Expr::Column(column) => table.column(&column.name),
        _ => None,
    }
}

fn test_of(expr: &Expr, table: &dyn Lookup) -> Option<Test> {
    let flag = |expr: &Expr, wanted: bool| {
        let column = column_of(expr, table).filter(|&column| table.kind(column) == Kind::Flag)?;
        Some(Test { column, wanted: Wanted::Flag(wanted) })
    };
    match expr {
        Expr::Column(_) => flag(expr, true),
        Expr::Not(inner) => flag(inner, false),
        Expr::IsNull(inner) => Some(Test { column: column_of(inner, table)?, wanted: Wanted::Null(true) }),
        Expr::IsNotNull(inner) => Some(Test { column: column_of(inner, table)?, wanted: Wanted::Null(false) }),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column_of(left, table), literal(right)) {
            (Some(column), Some(value)) => comparison(column, *op, value, table),
            _ => comparison(column_of(right, table)?, op.swap()?, literal(left)?, table),
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let column = column_of(expr, table)?;
            let lower = comparison(column, Operator::GtEq, literal(low)?, table)?;
            let upper = comparison(column, Operator::LtEq, literal(high)?, table)?;
            both(lower, &upper)
        }
        Expr::ScalarFunction(call) if call.name() == REGION_WITHIN => {
            let [region, ancestor] = &*call.args else { return None };
            let column = column_of(region, table).filter(|&column| table.kind(column) == Kind::Region)?;
            let ancestor = u32::try_from(number(literal(ancestor)?)?).ok().and_then(Region::new)?;
            Some(Test { column, wanted: Wanted::Within(ancestor) })
        }
        _ => None,
    }
}

const fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// A number or an instant, as a number.
fn number(value: &ScalarValue) -> Option<i128> {
    match *value {
        ScalarValue::Int8(Some(value)) => Some(value.into()),
        ScalarValue::Int16(Some(value)) => Some(value.into()),
        ScalarValue::Int32(Some(value)) => Some(value.into()),
        ScalarValue::Int64(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => Some(value.into()),
        ScalarValue::UInt8(Some(value)) => Some(value.into()),
        ScalarValue::UInt16(Some(value)) => Some(value.into()),
        ScalarValue::UInt32(Some(value)) => Some(value.into()),
        ScalarValue::UInt64(Some(value)) => Some(value.into()),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text)
        }
        _ => None,
    }
}

fn comparison(column: usize, op: Operator, value: &ScalarValue, table: &dyn Lookup) -> Option<Test> {
    let test = |wanted| Some(Test { column, wanted });
    match table.kind(column) {
        Kind::Text if op == Operator::Eq => {
            test(Wanted::Among(Arc::new(table.codes_of(column, text(value)?)?.into_iter().collect())))
        }
        Kind::Region if op == Operator::Eq => {
            // A number that is no region's is none's.
            test(Wanted::Among(Arc::new(u32::try_from(number(value)?).into_iter().collect())))
        }
        Kind::Number | Kind::Region => {
            let value = number(value)?;
            let (lower, upper) = (i128::from(i64::MIN), i128::from(u64::MAX));
            test(Wanted::Between(match op {
                Operator::Eq => value..=value,
                Operator::Lt => lower..=value - 1,
                Operator::LtEq => lower..=value,
                Operator::Gt => value + 1..=upper,
                Operator::GtEq => value..=upper,
                _ => return None,
            }))
        }
        Kind::Flag if op == Operator::Eq => match value {
            ScalarValue::Boolean(Some(flag)) => test(Wanted::Flag(*flag)),
            _ => None,
        },
        _ => None,
    }
}

/// A test that holds where both of two on one column do.
fn both(one: Test, other: &Test) -> Option<Test> {
    match (one.wanted, &other.wanted) {
        (Wanted::Between(left), Wanted::Between(right)) => {
            let bounds = *left.start().max(right.start())..=*left.end().min(right.end());
            Some(Test { column: one.column, wanted: Wanted::Between(bounds) })
        }
        _ => None,
    }
}

impl Condition {
    /// Leaves only the rows, ascending, for which the condition holds.
    pub(super) fn retain(&self, kept: &[Kept], facts: &Facts, rows: &mut Vec<u32>) {
        if let [test] = &*self.0 {
            return test.retain(kept[test.column], facts, rows);
        }
        let mut found = Vec::new();
        for test in &self.0 {
            let mut rows = rows.clone();
            test.retain(kept[test.column], facts, &mut rows);
            found.append(&mut rows);
        }
        found.sort_unstable();
        found.dedup();
        *rows = found;
    }
}

impl Wanted {
    /// In words, for a column of this name.
    pub(super) fn describe(&self, column: &str, kept: Kept) -> String {
        let shown = |bound: i128| match (kept, i64::try_from(bound)) {
            (Kept::Instant(_) | Kept::End(_) | Kept::MaybeInstant(_), Ok(micros)) => Timestamp(micros).to_rfc3339(),
            _ => bound.to_string(),
        };
        match self {
            Self::Between(bounds) => {
                let (start, end) = (*bounds.start(), *bounds.end());
                match (start == i128::from(i64::MIN), end == i128::from(u64::MAX)) {
                    _ if start == end => format!("{column} = {}", shown(start)),
                    (true, _) => format!("{column} <= {}", shown(end)),
                    (_, true) => format!("{column} >= {}", shown(start)),
                    _ => format!("{column} from {} to {}", shown(start), shown(end)),
                }
            }
            Self::Among(codes) => format!("{column} one of {}", codes.len()),
            Self::Within(region) => format!("{column} within {}", region.code()),
            Self::Flag(true) => column.to_owned(),
            Self::Flag(false) => format!("not {column}"),
            Self::Null(true) => format!("{column} null"),
            Self::Null(false) => format!("{column} not null"),
        }
    }
}

impl Test {
    /// Leaves only the rows for which the test holds. Cost: one value a row.
    pub(super) fn retain(&self, kept: Kept, facts: &Facts, rows: &mut Vec<u32>) {
        macro_rules! keep {
            ($column:expr, $holds:expr) => {{
                let (column, holds) = ($column, $holds);
                rows.retain(|&row| holds(&column[row as usize]));
            }};
        }
        macro_rules! by_code {
            ($column:expr, $code:expr) => {
                match &self.wanted {
                    Wanted::Among(codes) if codes.len() == 1 => {
                        let only = codes.iter().next().copied().unwrap_or_default();
                        keep!($column, |value| $code(value) == Some(only))
                    }
                    Wanted::Among(codes) => {
                        keep!($column, |value| $code(value).is_some_and(|code| codes.contains(&code)))
                    }
                    Wanted::Null(null) => keep!($column, |value| $code(value).is_none() == *null),
                    Wanted::Within(ancestor) => keep!($column, |value| {
                        $code(value).and_then(Region::new).is_some_and(|region| is_within(region, *ancestor))
                    }),
                    Wanted::Between(bounds) => {
                        keep!($column, |value| $code(value).is_some_and(|code| bounds.contains(&code.into())))
                    }
                    Wanted::Flag(_) => rows.clear(),
                }
            };
        }
        macro_rules! by_number {
            ($column:expr, $type:ty, $number:expr) => {
                match &self.wanted {
                    Wanted::Between(bounds) => {
                        // Out of the type's range, a bound excludes nothing, or everything.
                        let lower = <$type>::try_from((*bounds.start()).max(<$type>::MIN.into()));
                        let upper = <$type>::try_from((*bounds.end()).min(<$type>::MAX.into()));
                        let (Ok(lower), Ok(upper)) = (lower, upper) else { return rows.clear() };
                        keep!($column, |value| $number(value).is_some_and(|value| lower <= value && value <= upper))
                    }
                    Wanted::Null(null) => keep!($column, |value| $number(value).is_none() == *null),
                    _ => rows.clear(),
                }
            };
        }
        match kept {
            Kept::Id(column) => by_number!(column(facts), u64, |&id: &u64| Some(id)),
            Kept::Count(column) => by_number!(column(facts), u32, |&count: &u32| Some(count)),
            Kept::Instant(column) => by_number!(column(facts), i64, |at: &Timestamp| Some(at.0)),
            Kept::End(column) => {
                by_number!(column(facts), i64, |at: &Timestamp| at.finite().map(|at| at.0));
            }
            Kept::MaybeInstant(column) => {
                by_number!(column(facts), i64, |at: &Optional<Timestamp>| at.get().map(|at| at.0));
            }
            Kept::Seat(column) => by_number!(column(facts), u16, |seat: &Optional<u16>| seat.get()),
            Kept::Person(column) => {
                by_code!(column(facts), |person: &PersonId| Some(person.0));
            }
            Kept::Place(column) => {
                by_code!(column(facts), |place: &Option<PlaceId>| place.map(|place| short(place.index())));
            }
            Kept::Label(column) => by_code!(column(facts), |label: &LabelId| Some(short(label.index()))),
            Kept::MaybeLabel(column) => {
                by_code!(column(facts), |label: &Option<LabelId>| label.map(|label| short(label.index())));
            }
            Kept::Region(column) => by_code!(column(facts), |region: &Region| Some(region.code())),
            Kept::MaybeRegion(column) => by_code!(column(facts), |region: &Option<Region>| region.map(Region::code)),
            Kept::Name(column, names) => {
                let codes = column(facts, &Rows::List(rows));
                let mut codes = codes.iter().map(|&code| Some(code).filter(|&code| usize::from(code) < names.len()));
                let mut next = || codes.next().flatten().map(u32::from);
                match &self.wanted {
                    Wanted::Among(wanted) => rows.retain(|_| next().is_some_and(|code| wanted.contains(&code))),
                    Wanted::Null(null) => rows.retain(|_| next().is_none() == *null),
                    _ => rows.clear(),
                }
            }
            Kept::Symptom(column, flag) => self.retain_flags(rows, |row| column(facts)[row].contains(flag)),
            Kept::Admission(column, flag) => self.retain_flags(rows, |row| column(facts)[row].contains(flag)),
            Kept::Temperature(column) => match self.wanted {
                Wanted::Null(null) => keep!(column(facts), |degrees: &f64| degrees.is_nan() == null),
                _ => rows.clear(),
            },
        }
    }

    fn retain_flags(&self, rows: &mut Vec<u32>, is_set: impl Fn(usize) -> bool) {
        match self.wanted {
            Wanted::Flag(wanted) => rows.retain(|&row| is_set(row as usize) == wanted),
            Wanted::Null(false) => {}
            _ => rows.clear(),
        }
    }
}

/// An index of a token or a row.
pub(super) fn short(index: usize) -> u32 {
    u32::try_from(index).expect("ids and rows are numbered by 32 bits")
}

/// Whether a region is another one or inside it.
pub(super) fn is_within(region: Region, ancestor: Region) -> bool {
    std::iter::successors(Some(region), |region| region.parent()).any(|region| region == ancestor)
}

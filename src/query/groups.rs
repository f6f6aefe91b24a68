//! What leaves to those who may see groups and nobody in particular: rows behind which at least k people stand.
//!
//! The one idea: a plan is rewritten so that each relation carries, besides its columns, the people that its rows are of: of a table
//! the person; of a group the people in it (`people`); of a join those of both sides. At the end, and wherever rows are ordered,
//! cut off or looked at from other rows, those of too few people are left out.
//!
//! Invariants: a row leaves only if at least k people of a table are in it, and of no other table of people fewer than k but not
//! nobody; a plan of which that cannot be told is refused. Nothing else about the answer changes.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Distinct, Filter, Join, Limit, Projection, Sort, SubqueryAlias, TableScan, Union, Unnest, Window,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};

use super::QueryError;
use super::people::people;

/// Columns that say who a row is of.
const PEOPLE: [&str; 3] = ["person", "person_a", "person_b"];
/// What columns are called that a plan carries besides its own.
const CARRIED: &str = "__people_";
/// Tables of people, each row of which names whom it is of; also what tables are called that are asked for with arguments.
const OF_PEOPLE: [&str; 13] = [
    "declarations",
    "standing_declarations",
    "checkins",
    "cases",
    "quarantines",
    "contacts",
    "stays",
    "tests",
    "whitelist",
    "findings",
    "reviews",
    "codes",
    "changes",
];
/// Aggregates that give what single rows hold.
const ROW_BY_ROW: [&str; 5] = ["array_agg", "string_agg", "first_value", "last_value", "nth_value"];
/// Functions that give such tables.
const FUNCTIONS: [&str; 2] = ["codes_at", "whatif"];
/// Tables in which nobody is.
const OF_NOBODY: [&str; 4] = ["regions", "rules", "risk_areas", "queries"];
/// Functions that give such tables.
const FUNCTIONS_OF_NOBODY: [&str; 2] = ["generate_series", "range"];

/// A column that a plan carries besides its own.
#[derive(Clone, Debug)]
struct Carried {
    column: Column,
    /// Whether it is the people of a group, rather than one person.
    is_group: bool,
}

/// A plan, and the people that it carries.
type Carrying = (LogicalPlan, Vec<Carried>);

/// A plan whose rows leave, with fewer than `least` people behind none of them.
///
/// # Errors
/// [`QueryError::Alone`], [`QueryError::Untold`].
pub(super) fn of_many(plan: LogicalPlan, least: usize) -> Result<LogicalPlan, QueryError> {
    if matches!(plan, LogicalPlan::DescribeTable(_)) {
        return Ok(plan);
    }
    let visible: Vec<Column> = plan.schema().columns();
    let mut rewrite = Rewrite { least, carried: 0 };
    let (plan, carried) = rewrite.carrying(plan)?;
    if carried.is_empty() {
        return Ok(plan);
    }
    if least > 1 && carried.iter().any(|carried| !carried.is_group) {
        return Err(QueryError::Alone { least });
    }
    let plan = rewrite.only_many(plan, &carried)?;
    let columns = visible.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

struct Rewrite {
    least: usize,
    /// Columns named so far.
    carried: usize,
}

impl Rewrite {
    fn name(&mut self) -> String {
        self.carried += 1;
        format!("{CARRIED}{}", self.carried)
    }

    fn carrying(&mut self, plan: LogicalPlan) -> Result<Carrying, QueryError> {
        check_subqueries(&plan)?;
        if plan.schema().fields().iter().any(|field| field.name().starts_with(CARRIED)) {
            return Err(untold(CARRIED));
        }
        Ok(match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan)?,
            // Tokens of the file of changes become pseudonyms right above it: whom rows are of is known from there on.
            LogicalPlan::Projection(projection) if is_scan_of(&projection.input, "changes") => {
                self.leaf(LogicalPlan::Projection(projection), "changes")?
            }
            LogicalPlan::Projection(Projection { mut expr, input, .. }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                expr.extend(columns(&carried));
                (LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?), carried)
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                (LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?), carried)
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
                let (input, mut carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                for carried in &mut carried {
                    carried.column.relation = Some(alias.clone());
                }
                (LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias)?), carried)
            }
            LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
                let input = self.carrying(Arc::unwrap_or_clone(input))?;
                self.group(input, group_expr, aggr_expr)?
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let visible = input.schema().columns().into_iter().map(Expr::Column).collect();
                let input = self.carrying(Arc::unwrap_or_clone(input))?;
                self.group(input, visible, Vec::new())?
            }
            LogicalPlan::Join(join) => self.join(join)?,
            LogicalPlan::Union(union) => self.union(union)?,
            LogicalPlan::Sort(Sort { expr, input, fetch }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                let input = Arc::new(self.only_many(input, &carried)?);
                (LogicalPlan::Sort(Sort { expr, input, fetch }), carried)
            }
            LogicalPlan::Limit(Limit { skip, fetch, input }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                // What is ordered has been sifted before.
                let input =
                    if matches!(input, LogicalPlan::Sort(_)) { input } else { self.only_many(input, &carried)? };
                (LogicalPlan::Limit(Limit { skip, fetch, input: Arc::new(input) }), carried)
            }
            LogicalPlan::Window(Window { input, window_expr, .. }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                // Of rows of single people a window would give one's values to another.
                if carried.iter().any(|carried| !carried.is_group) {
                    return Err(untold("a window over rows of single people"));
                }
                let input = self.only_many(input, &carried)?;
                (LogicalPlan::Window(Window::try_new(window_expr, Arc::new(input))?), carried)
            }
            LogicalPlan::Unnest(Unnest { input, exec_columns, options, .. }) => {
                let (input, carried) = self.carrying(Arc::unwrap_or_clone(input))?;
                if carried.iter().any(|carried| carried.is_group) {
                    return Err(untold("unnest of a group"));
                }
                let unnested = LogicalPlanBuilder::from(input).unnest_columns_with_options(exec_columns, options)?;
                (unnested.build()?, carried)
            }
            plan @ (LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_)) => (plan, Vec::new()),
            other => return Err(untold(kind(&other))),
        })
    }

    fn scan(&mut self, scan: TableScan) -> Result<Carrying, QueryError> {
        let name = scan.table_name.table();
        let is_catalog = scan.table_name.schema() == Some("information_schema");
        // A table that is called for has its function's name with brackets.
        let called = name.strip_suffix("()").unwrap_or_default();
        if is_catalog || OF_NOBODY.contains(&name) || FUNCTIONS_OF_NOBODY.contains(&called) {
            return Ok((LogicalPlan::TableScan(scan), Vec::new()));
        }
        if !OF_PEOPLE.contains(&name) && !FUNCTIONS.contains(&called) {
            return Err(untold(name));
        }
        let name = name.to_owned();
        self.leaf(LogicalPlan::TableScan(scan), &name)
    }

    /// Rows that name whom they are of.
    fn leaf(&mut self, plan: LogicalPlan, table: &str) -> Result<Carrying, QueryError> {
        let mut expr: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let persons: Vec<Expr> = expr.iter().filter(|expr| is_person(expr)).cloned().collect();
        let mut carried = Vec::new();
        for person in persons {
            let name = self.name();
            carried.push(Carried { column: Column::from_name(&name), is_group: false });
            expr.push(person.alias(name));
        }
        if carried.is_empty() {
            return Err(untold(table));
        }
        Ok((LogicalPlan::Projection(Projection::try_new(expr, Arc::new(plan))?), carried))
    }

    /// Groups rows: people of groups are in the group of the groups.
    fn group(
        &mut self,
        (input, carried): Carrying,
        groups: Vec<Expr>,
        mut aggregates: Vec<Expr>,
    ) -> Result<Carrying, QueryError> {
        if !carried.is_empty() {
            check_aggregates(&aggregates)?;
        }
        let mut of_groups = Vec::new();
        for carried in carried {
            let name = self.name();
            aggregates.push(people(self.least).call(vec![Expr::Column(carried.column)]).alias(&name));
            of_groups.push(Carried { column: Column::from_name(name), is_group: true });
        }
        Ok((LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggregates)?), of_groups))
    }

    fn join(&mut self, join: Join) -> Result<Carrying, QueryError> {
        let Join { left, right, on, filter, join_type, join_constraint, null_equality, null_aware, .. } = join;
        if !matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) {
            return Err(untold(&format!("a {join_type} join")));
        }
        let (left, mut carried) = self.carrying(Arc::unwrap_or_clone(left))?;
        let (right, more) = self.carrying(Arc::unwrap_or_clone(right))?;
        carried.extend(more);
        let (left, right) = (Arc::new(left), Arc::new(right));
        let join = Join::try_new(left, right, on, filter, join_type, join_constraint, null_equality, null_aware)?;
        Ok((LogicalPlan::Join(join), carried))
    }

    /// Rows one below the other: the people of all of them have to lie below each other too.
    fn union(&mut self, union: Union) -> Result<Carrying, QueryError> {
        let mut parts = Vec::with_capacity(union.inputs.len());
        for input in union.inputs {
            let visible = input.schema().columns();
            parts.push((visible, self.carrying(Arc::unwrap_or_clone(input))?));
        }
        let most = parts.iter().map(|(_, (_, carried))| carried.len()).max().unwrap_or(0);
        let mut names = Vec::with_capacity(most);
        for _ in 0..most {
            names.push(self.name());
        }
        let of_groups = parts.iter().flat_map(|(_, (_, carried))| carried).filter(|carried| carried.is_group).count();
        let all: usize = parts.iter().map(|(_, (_, carried))| carried.len()).sum();
        let is_alike = parts.iter().all(|(_, (_, carried))| carried.is_empty() == (most == 0));
        if !is_alike || (of_groups != 0 && of_groups != all) {
            return Err(untold("a UNION of groups with what are none"));
        }
        let mut inputs = Vec::with_capacity(parts.len());
        for (visible, (plan, carried)) in parts {
            let people = names.iter().enumerate().map(|(at, name)| {
                // Who has fewer says the last of them once more.
                let carried = &carried[at.min(carried.len() - 1)];
                Expr::Column(carried.column.clone()).alias(name)
            });
            let expr = visible.into_iter().map(Expr::Column).chain(people).collect();
            inputs.push(Arc::new(LogicalPlan::Projection(Projection::try_new(expr, Arc::new(plan))?)));
        }
        let carried = names.iter().map(|name| Carried { column: Column::from_name(name), is_group: of_groups != 0 });
        Ok((LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?), carried.collect()))
    }

    /// The rows behind which enough people stand, once they are groups.
    fn only_many(&self, plan: LogicalPlan, carried: &[Carried]) -> Result<LogicalPlan, QueryError> {
        let Ok(least) = u64::try_from(self.least) else { return Err(QueryError::Alone { least: self.least }) };
        let count = |carried: &Carried| array_length(Expr::Column(carried.column.clone()));
        let enough = |carried: &Carried| count(carried).gt_eq(lit(least));
        // An outer join may find nobody: then the others stand behind the row alone.
        let nobody = |carried: &Carried| count(carried).is_null().or(count(carried).eq(lit(0u64)));
        let of_groups = || carried.iter().filter(|carried| carried.is_group);
        let any = of_groups().map(enough).reduce(Expr::or);
        let each = of_groups().map(|carried| nobody(carried).or(enough(carried))).reduce(Expr::and);
        match any.zip(each) {
            Some((any, each)) => Ok(LogicalPlan::Filter(Filter::try_new(any.and(each), Arc::new(plan))?)),
            None => Ok(plan),
        }
    }
}

fn columns(carried: &[Carried]) -> impl Iterator<Item = Expr> {
    carried.iter().map(|carried| Expr::Column(carried.column.clone()))
}

fn is_person(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if PEOPLE.contains(&column.name.as_str()))
}

fn is_scan_of(plan: &LogicalPlan, table: &str) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.table_name.table() == table)
}

/// A group says something of all that are in it; these say what each of its rows holds.
fn check_aggregates(aggregates: &[Expr]) -> Result<(), QueryError> {
    let mut found = None;
    for aggregate in aggregates {
        aggregate.apply(|expr| {
            if let Expr::AggregateFunction(function) = expr {
                found = ROW_BY_ROW.iter().find(|&&name| name == function.func.name()).or(found);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    found.map_or(Ok(()), |name| Err(untold(name)))
}

/// What a subquery tells of people would leave by a row of something else.
fn check_subqueries(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut is_there = false;
    plan.apply_expressions(|expr| {
        is_there |= expr.exists(|expr| {
            Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
        })?;
        Ok(if is_there { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if is_there { Err(untold("a subquery in an expression")) } else { Ok(()) }
}

fn untold(what: &str) -> QueryError {
    QueryError::Untold { what: what.to_owned() }
}

/// What a plan is, in a word.
fn kind(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => "EXPLAIN",
        LogicalPlan::RecursiveQuery(_) => "a recursive query",
        LogicalPlan::Subquery(_) => "a lateral join",
        LogicalPlan::Distinct(_) => "DISTINCT ON",
        LogicalPlan::Statement(_) => "PREPARE, EXECUTE or SET",
        LogicalPlan::Copy(_) => "COPY",
        _ => "this",
    }
}

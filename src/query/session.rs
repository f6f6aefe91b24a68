//! Questions asked of a snapshot.
//!
//! The one idea: a session is DataFusion's context with the snapshot's tables and functions in it, a pool of memory of its own, and
//! nothing that writes.
//!
//! Invariants: every statement is looked at by [`guard`](super::guard) before it runs; all statements of a session see one snapshot.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::dialect::dialect_from_str;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};
use futures::StreamExt as _;

use super::codes::CodeTable;
use super::columns::with_views;
use super::facts::{FactTable, Of};
use super::files::{ReadParquet, table_of};
use super::guard::{self, Folders};
use super::snapshot::{Snapshot, ToldIn};
use super::tables::{plain, with_types};
use super::told::Lines;
use super::{QueryError, calls, functions, groups, queries, tables};
use crate::limits::{QUERY_BATCHES_PENDING_MAX, QUERY_BYTES_MAX, QUERY_TOKENS_MAX};
use crate::model::Table;
use crate::model::schema::{changes_schema, rejections_schema};

/// Largest consumers of memory that an error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");
/// Of the memory, one in so much at the most is kept for the merges of one sort.
const SORT_SHARE: usize = 16;
/// The dialect of statements.
const DIALECT: &str = "generic";

/// The catalog of all tables.
pub const CATALOG: &str = "sanma";
/// Its schema.
pub const SCHEMA: &str = "public";

/// What a session may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes that its queries may hold; what sorts, joins and groups need beyond that goes to disk.
    pub memory_bytes: usize,
    /// Threads of one query.
    pub threads: usize,
    /// How long one query may take; for ever if there is no limit.
    pub time: Option<Duration>,
    /// Folders whose files may be read and written.
    pub files: Folders,
    /// If only groups of people are shown, how many are in one at the least.
    pub least_group: Option<NonZeroUsize>,
}

/// What a statement would give.
#[derive(Clone, Debug)]
pub struct Description {
    /// Columns of its answer.
    pub schema: SchemaRef,
    /// Types of its parameters, `$1` first; `None` where it does not say.
    pub parameters: Vec<Option<DataType>>,
}

/// A way to ask.
pub struct Session {
    pub(super) context: SessionContext,
    pub(super) limits: Limits,
}

/// What a statement gives.
pub struct Answer {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows, as they come.
    pub batches: SendableRecordBatchStream,
}

impl Answer {
    /// The same without views, which fewer programs read.
    #[must_use]
    pub fn plain(self) -> Self {
        let schema = plain(&self.schema);
        let of = Arc::clone(&schema);
        let batches = self.batches.map(move |batch| with_types(&batch?, &of));
        Self { batches: Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), batches)), schema }
    }
}

impl Session {
    /// A session over a snapshot.
    ///
    /// # Errors
    /// Files of changes or refused rows that cannot be read.
    pub fn new(snapshot: &Arc<Snapshot>, limits: Limits) -> Result<Self, QueryError> {
        let session = Self::without_tables(limits)?;
        session.register(snapshot)?;
        Ok(session)
    }

    /// A session that knows DataFusion's functions only.
    pub(super) fn without_tables(limits: Limits) -> Result<Self, QueryError> {
        let pool = TrackConsumersPool::new(FairSpillPool::new(limits.memory_bytes), CONSUMERS_NAMED);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        let mut config = SessionConfig::new().with_target_partitions(limits.threads).with_information_schema(true);
        config = config.with_default_catalog_and_schema(CATALOG, SCHEMA);
        config.options_mut().sql_parser.dialect = DIALECT.parse()?;
        config.options_mut().execution.time_zone = Some("+00:00".to_owned());
        // What a sort keeps to merge with has to fit into what there is.
        let kept = &mut config.options_mut().execution.sort_spill_reservation_bytes;
        *kept = (*kept).min(limits.memory_bytes / SORT_SHARE);
        let context = SessionContext::new_with_config_rt(config, runtime);
        Ok(Self { context, limits })
    }

    fn register(&self, snapshot: &Arc<Snapshot>) -> Result<(), QueryError> {
        let context = &self.context;
        let add = |name: &str, table: Arc<dyn TableProvider>| context.register_table(name, table).map(|_| ());
        for table in Table::ALL {
            add(table.name(), Arc::new(FactTable::new(Arc::clone(snapshot), table, Of::All)))?;
        }
        let standing = FactTable::new(Arc::clone(snapshot), Table::Declarations, Of::Standing);
        add("standing_declarations", Arc::new(standing))?;
        add("codes", Arc::new(CodeTable::new(Arc::clone(snapshot), snapshot.as_of)))?;
        add("regions", Arc::new(tables::regions(Arc::clone(snapshot))))?;
        add("rules", Arc::new(tables::rules(Arc::clone(snapshot))))?;
        let told = self.files("changes", &snapshot.origins.changes, &with_views(&changes_schema()))?;
        let told = match (told, &snapshot.key) {
            (Some(told), Some(key)) => Some(told.with_column("person", key.function().call(vec![col("person")]))?),
            (told, _) => told,
        };
        add("changes", told.map_or_else(|| empty(&changes_schema()), DataFrame::into_view))?;
        let refused = self.frame("rejections", Arc::new(tables::rejections(Arc::clone(snapshot))))?;
        let refused = match self.files("rejections", &snapshot.origins.refused, &with_views(&rejections_schema()))? {
            Some(earlier) => earlier.union(refused)?,
            None => refused,
        };
        add("rejections", refused.into_view())?;
        for function in functions::all(snapshot) {
            context.register_udf(function);
        }
        for (name, function) in calls::all(snapshot) {
            context.register_udtf(name, function);
        }
        context.register_udtf("read_parquet", Arc::new(ReadParquet(self.limits.files.clone())));
        Ok(())
    }

    /// The rows of a table, under a name by which plans know it.
    fn frame(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<DataFrame, QueryError> {
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.build()?;
        Ok(DataFrame::new(self.context.state(), plan))
    }

    /// The rows of files of outputs: Parquet, or else NDJSON. `None` if there is no file.
    fn files(&self, name: &str, files: &[ToldIn], schema: &SchemaRef) -> Result<Option<DataFrame>, QueryError> {
        let mut all: Option<DataFrame> = None;
        for ToldIn { path, bytes } in files {
            let failed = |cause| QueryError::File { file: path.clone(), cause };
            let real = path.canonicalize().map_err(failed)?;
            let there = real.metadata().map_err(failed)?;
            if !there.is_file() {
                return Err(failed(std::io::Error::other("no file")));
            }
            if bytes.is_some_and(|bytes| bytes > there.len()) {
                return Err(failed(std::io::Error::other("it is shorter than what was told in it")));
            }
            let table: Arc<dyn TableProvider> =
                if bytes.is_none() && path.extension().is_some_and(|extension| extension == "parquet") {
                    Arc::new(table_of(&[real], Arc::new(ParquetFormat::default()), Arc::clone(schema))?)
                } else {
                    Arc::new(Lines::new(&real, bytes.unwrap_or(there.len()), Arc::clone(schema))?)
                };
            let rows = self.frame(name, table)?;
            all = Some(match all {
                Some(all) => all.union(rows)?,
                None => rows,
            });
        }
        Ok(all)
    }

    /// The statements in a text.
    ///
    /// # Errors
    /// A text that is not SQL, or too long.
    ///
    /// # Panics
    /// Never: the dialect is one that there is.
    pub fn statements(text: &str) -> Result<Vec<Statement>, QueryError> {
        words(text)?;
        let dialect = dialect_from_str(DIALECT).expect("the dialect is one that there is");
        Ok(DFParser::parse_sql_with_dialect(text, &*dialect).map_err(QueryError::Question)?.into())
    }

    /// The one statement in a text.
    ///
    /// # Errors
    /// As of [`Self::statements`]; none, or several.
    pub fn statement(text: &str) -> Result<Statement, QueryError> {
        only(Self::statements(text)?)
    }

    /// The statements in a text, each as it was typed, without what ends it.
    ///
    /// # Errors
    /// A text that is too long, or ends within a word.
    pub fn split(text: &str) -> Result<Vec<String>, QueryError> {
        let words = words(text)?;
        let statements = words.split(|(token, _)| *token == Token::SemiColon);
        let typed = |words: &[(Token, Range<usize>)]| {
            let mut words = words.iter().filter(|(token, _)| !matches!(token, Token::Whitespace(_)));
            let first = words.next()?;
            let last = words.next_back().unwrap_or(first);
            Some(text[first.1.start..last.1.end].to_owned())
        };
        Ok(statements.filter_map(typed).collect())
    }

    /// Adds the table `queries`: what has been asked, as [`Queries`](super::Queries) says; by one caller if one is named.
    ///
    /// # Errors
    /// A file that is not there.
    pub fn add_queries(&self, told: ToldIn, caller: Option<&str>) -> Result<(), QueryError> {
        let Some(lines) = self.files("queries", &[told], &queries::lines_schema())? else {
            return Ok(());
        };
        let mut told = queries::table(lines)?;
        if let Some(caller) = caller {
            told = told.filter(col("caller").eq(lit(caller)))?;
        }
        self.context.register_table("queries", told.into_view())?;
        Ok(())
    }

    /// What a statement would give; with values of `given` types, if who asks says of what types values will be. Nothing is answered.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn describe(
        &self,
        statement: Statement,
        given: Option<Vec<Option<DataType>>>,
    ) -> Result<Description, QueryError> {
        let (context, limits) = (self.context.clone(), self.limits.clone());
        let described = SpawnedTask::spawn(async move {
            let plan = logical(&context, statement, None, &limits).await?;
            let known = plan.get_parameter_types()?;
            let of = |number: usize| {
                let known = known.get(&format!("${number}")).cloned().flatten();
                parameter(known, given.iter().flatten().nth(number - 1).cloned().flatten())
            };
            let parameters: Vec<_> = (1..=known.len()).map(of).collect();
            let schema = match given {
                Some(_) => typed(&context, plan, &parameters)?,
                None => plain(plan.schema().as_arrow()),
            };
            Ok::<_, QueryError>(Description { schema, parameters })
        });
        described.await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    /// Begins to answer a statement without parameters, as [`Self::ask_with`] does.
    ///
    /// # Errors
    /// [`QueryError`]; nothing has been done then.
    pub async fn ask(&self, statement: Statement) -> Result<Answer, QueryError> {
        self.ask_with(statement, Vec::new()).await
    }

    /// Begins to answer a statement with values for its parameters. Dropping the answer, or the wait for it, ends the query.
    ///
    /// Planning, and each step of a query, may take long: both are done by tasks of their own, so that whoever waits can stop waiting.
    ///
    /// # Errors
    /// [`QueryError`]; nothing has been done then.
    pub async fn ask_with(&self, statement: Statement, values: Vec<ScalarValue>) -> Result<Answer, QueryError> {
        let (context, limits) = (self.context.clone(), self.limits.clone());
        let planned = SpawnedTask::spawn(async move { physical(&context, statement, values, &limits).await });
        let planned = planned.await.map_err(|error| DataFusionError::External(Box::new(error)))??;
        let mut batches = execute_stream(planned, self.context.task_ctx())?;
        let schema = batches.schema();
        let mut rows = RecordBatchReceiverStream::builder(Arc::clone(&schema), QUERY_BATCHES_PENDING_MAX);
        let sender = rows.tx();
        rows.spawn(async move {
            while let Some(batch) = batches.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(Answer { schema, batches: rows.build() })
    }

    /// How long one query may take.
    #[must_use]
    pub const fn time_limit(&self) -> Option<Duration> {
        self.limits.time
    }

    /// All tables: schema, name, columns.
    ///
    /// # Errors
    /// None that is known; DataFusion's catalogs may have some.
    pub async fn tables(&self) -> Result<Vec<(String, String, SchemaRef)>, QueryError> {
        let mut found = Vec::new();
        let Some(catalog) = self.context.catalog(CATALOG) else { return Ok(found) };
        for schema in catalog.schema_names() {
            let Some(provider) = catalog.schema(&schema) else { continue };
            for name in provider.table_names() {
                if let Some(table) = provider.table(&name).await? {
                    found.push((schema.clone(), name, plain(&table.schema())));
                }
            }
        }
        found.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        Ok(found)
    }

    /// Names of tables, and of functions, that a person may type.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let state = self.context.state();
        let tables = self.context.catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        let tables = tables.map_or_else(Vec::new, |schema| schema.table_names());
        let functions = state.scalar_functions().keys().chain(state.aggregate_functions().keys());
        let functions = functions.chain(state.window_functions().keys()).chain(state.table_functions().keys());
        let mut words: Vec<String> = tables.into_iter().chain(functions.cloned()).collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

/// The columns of an answer as they come out, with values of these types; as they are written where values of no type would fit.
fn typed(
    context: &SessionContext,
    plan: LogicalPlan,
    parameters: &[Option<DataType>],
) -> Result<SchemaRef, QueryError> {
    let asked = QueryError::of_question;
    if parameters.is_empty() {
        return Ok(plain(context.state().optimize(&plan).map_err(asked)?.schema().as_arrow()));
    }
    let nothing = parameters.iter().map(|kind| ScalarValue::try_from(kind.as_ref().unwrap_or(&DataType::Utf8)));
    let nothing = nothing.collect::<Result<Vec<_>, _>>()?;
    let written = plain(plan.schema().as_arrow());
    let plan = plan.with_param_values(nothing).and_then(|plan| context.state().optimize(&plan));
    Ok(plan.map_or(written, |plan| plain(plan.schema().as_arrow())))
}

/// The one of several that is all of them.
pub(super) fn only<T>(mut statements: Vec<T>) -> Result<T, QueryError> {
    match statements.pop() {
        Some(statement) if statements.is_empty() => Ok(statement),
        Some(_) => Err(QueryError::Several),
        None => Err(QueryError::Nothing),
    }
}

/// The type of a parameter: as the statement says, unless who gives a value gives one that would be cut off.
fn parameter(known: Option<DataType>, given: Option<DataType>) -> Option<DataType> {
    match (known.filter(|known| *known != DataType::Null), given) {
        (Some(known), Some(given)) if known.is_integer() && given.is_numeric() && !given.is_integer() => Some(given),
        (Some(known), _) => Some(known),
        (None, given) => given,
    }
}

/// The words and signs of a text, and which bytes of it they are.
///
/// # Errors
/// A text that has too many, ends within a word, or wants a sample of a table, which DataFusion would answer as if nothing were said.
pub(crate) fn words(text: &str) -> Result<Vec<(Token, Range<usize>)>, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::TooLong);
    }
    let dialect = dialect_from_str(DIALECT).expect("the dialect is one that there is");
    let wrong = |error: TokenizerError| QueryError::Question(DataFusionError::SQL(Box::new(error.into()), None));
    let tokens = Tokenizer::new(&*dialect, text).tokenize_with_location().map_err(wrong)?;
    let words = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    if words.clone().count() > QUERY_TOKENS_MAX {
        return Err(QueryError::TooLong);
    }
    if words.clone().any(|token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::TABLESAMPLE)) {
        return Err(QueryError::Question(DataFusionError::NotImplemented("TABLESAMPLE is not known".to_owned())));
    }
    // Places are told in lines and characters of lines, in the order of the text.
    let (mut place, mut bytes) = (Location::new(1, 1), text.char_indices());
    let mut byte_of = |wanted: Location| {
        while place < wanted {
            match bytes.next() {
                Some((_, '\n')) => place = Location::new(place.line + 1, 1),
                Some(_) => place.column += 1,
                None => break,
            }
        }
        bytes.offset()
    };
    let ranged = |TokenWithSpan { token, span }| (token, byte_of(span.start)..byte_of(span.end));
    Ok(tokens.into_iter().map(ranged).collect())
}

/// The plan of a statement, which has been looked at.
async fn logical(
    context: &SessionContext,
    statement: Statement,
    values: Option<Vec<ScalarValue>>,
    limits: &Limits,
) -> Result<LogicalPlan, QueryError> {
    let asked = QueryError::of_question;
    let mut plan = context.state().statement_to_plan(statement).await.map_err(asked)?;
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        let (given, wanted) = (values.len(), plan.get_parameter_types()?.len());
        if given > wanted {
            let why = format!("{given} values are given for {wanted} parameters");
            return Err(QueryError::Question(DataFusionError::Plan(why)));
        }
        plan = plan.with_param_values(values).map_err(asked)?;
    }
    let plan = guard::checked(plan, &limits.files)?;
    match limits.least_group {
        Some(least) => groups::of_many(plan, least.get()),
        None => Ok(plan),
    }
}

/// How a statement is answered.
async fn physical(
    context: &SessionContext,
    statement: Statement,
    values: Vec<ScalarValue>,
    limits: &Limits,
) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let asked = QueryError::of_question;
    let plan = logical(context, statement, Some(values), limits).await?;
    let frame = context.execute_logical_plan(plan).await.map_err(asked)?;
    frame.create_physical_plan().await.map_err(asked)
}

fn empty(schema: &SchemaRef) -> Arc<dyn TableProvider> {
    Arc::new(EmptyTable::new(with_views(schema)))
}

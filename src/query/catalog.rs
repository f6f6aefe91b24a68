//! The catalog of tables, for tools that speak to Postgres: `pg_catalog` and `information_schema`.
//!
//! The one idea: what a tool asks about tables is no question about people, and is answered beside the facts: by a session that knows
//! what tables there are and has no rows of them. So no role sees more of it than another.
//!
//! Invariant: a table of facts that is asked for here is an error, never an answer without rows.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session as Planning, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarUDF, Signature, SimpleScalarUDF, TableType, TypeSignature, Volatility,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement, Value, visit_expressions_mut};
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::session::{CATALOG, Session, only, words};
use super::{Limits, QueryError};

/// The version of Postgres whose words are understood. Its major part is what the catalog has.
pub const POSTGRES_VERSION: &str = concat!("16.6 (sanma ", env!("CARGO_PKG_VERSION"), ")");

/// Columns of `pg_type` that are of functions.
const OF_FUNCTIONS: [&str; 7] =
    ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze"];

/// Reads Postgres's words into such as DataFusion understands.
static WORDS: LazyLock<PostgresCompatibilityParser> = LazyLock::new(PostgresCompatibilityParser::new);

/// What tables there are.
pub struct Catalog(Session);

impl Catalog {
    /// A catalog of tables: schema, name and columns of each.
    ///
    /// # Errors
    /// None that is known; those of DataFusion.
    pub fn new(tables: &[(String, String, SchemaRef)], limits: Limits) -> Result<Self, QueryError> {
        let session = Session::without_tables(limits)?;
        // Those of this schema are tables that DataFusion makes itself.
        for (_, name, columns) in tables.iter().filter(|(schema, ..)| schema != "information_schema") {
            session.context.register_table(name, Arc::new(Named(Arc::clone(columns))))?;
        }
        setup_pg_catalog(&session.context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
        for (name, value) in [
            ("version", ScalarValue::from(format!("PostgreSQL {POSTGRES_VERSION}"))),
            ("pg_my_temp_schema", ScalarValue::from(0_i32)),
            // Asked for types of extensions, of which there are none.
            ("to_regtype", ScalarValue::Int32(None)),
            ("pg_advisory_unlock_all", ScalarValue::Utf8(None)),
            ("pg_function_is_visible", ScalarValue::from(true)),
            ("pg_type_is_visible", ScalarValue::from(true)),
            ("col_description", ScalarValue::Utf8(None)),
            ("obj_description", ScalarValue::Utf8(None)),
            ("shobj_description", ScalarValue::Utf8(None)),
        ] {
            session.context.register_udf(constant(name, value));
        }
        Ok(Self(session))
    }

    /// The one statement in a text of Postgres's words. Wants a stack for what nests.
    ///
    /// # Errors
    /// A text that is none, too long, or several.
    pub fn statement(text: &str) -> Result<Statement, QueryError> {
        words(text)?;
        let wrong = |error| QueryError::Question(DataFusionError::SQL(Box::new(error), None));
        let mut statement = only(WORDS.parse(text).map_err(wrong)?)?;
        name_functions(&mut statement);
        Ok(statement)
    }

    /// A way to ask, which keeps what it is told to itself.
    #[must_use]
    pub fn session(&self) -> Session {
        let Session { context, limits } = &self.0;
        Session { context: SessionContext::new_with_state(context.state()), limits: limits.clone() }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Catalog")
    }
}

/// A function that gives the same for whatever it is given.
fn constant(name: &str, value: ScalarValue) -> ScalarUDF {
    let takes = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
    let (takes, gives) = (Signature::one_of(takes, Volatility::Stable), value.data_type());
    let told = Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone())));
    SimpleScalarUDF::new_with_signature(name, takes, gives, told).into()
}

/// Says "no function" by name where a statement says it by number: columns that are of functions hold their names here.
fn name_functions(statement: &mut Statement) {
    let is_of_functions = |expr: &SqlExpr| {
        let name = match expr {
            SqlExpr::Identifier(name) => Some(name),
            SqlExpr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        name.is_some_and(|name| OF_FUNCTIONS.contains(&name.value.as_str()))
    };
    let _ = visit_expressions_mut(statement, |expr| {
        if let SqlExpr::BinaryOp { left, right, .. } = expr
            && is_of_functions(left)
            && let SqlExpr::Value(value) = &mut **right
            && matches!(&value.value, Value::Number(number, _) if number == "0")
        {
            value.value = Value::SingleQuotedString("-".to_owned());
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A table that is named, and whose rows are elsewhere.
#[derive(Debug)]
struct Named(SchemaRef);

#[async_trait]
impl TableProvider for Named {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Planning,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::NotImplemented("facts and the catalog are not asked in one statement".to_owned()))
    }
}

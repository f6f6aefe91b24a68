//! What a query may not do: change anything, raise its limits, or reach files outside of the folders that it was given.
//!
//! The one idea: a plan is looked at before it is run, all of it. "Nobody paints" holds for SQL as well: there is no statement that
//! writes a table.

use std::path::{Path, PathBuf};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, Statement};

use super::QueryError;
use super::files::url_of;

/// Folders in which files may be read and written.
#[derive(Clone, Debug, Default)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// These folders, and what is in them.
    ///
    /// # Errors
    /// One that is not there.
    pub fn new(folders: &[PathBuf]) -> Result<Self, QueryError> {
        let real = |folder: &PathBuf| {
            folder.canonicalize().map_err(|cause| QueryError::Folder { folder: folder.clone(), cause })
        };
        Ok(Self(folders.iter().map(real).collect::<Result<_, _>>()?))
    }

    /// The real path of a file, or of one that is to be, if it is in one of the folders. A relative path is of the first folder.
    ///
    /// # Errors
    /// A path outside, or that there is not.
    pub(super) fn inside(&self, path: &str) -> Result<PathBuf, QueryError> {
        let outside = || QueryError::Outside { path: path.to_owned() };
        let path = Path::new(path.strip_prefix("file://").unwrap_or(path));
        let path = self.0.first().ok_or_else(outside)?.join(path);
        let real = match (path.canonicalize(), path.parent(), path.file_name()) {
            (Ok(real), _, _) => real,
            // A file that is to be made: its folder has to be there.
            (Err(_), Some(parent), Some(name)) => parent.canonicalize().map_err(|_| outside())?.join(name),
            _ => return Err(outside()),
        };
        if !self.0.iter().any(|folder| real.starts_with(folder)) {
            return Err(outside());
        }
        // A pipe would be waited for, or replaced.
        if real.exists() && !real.is_file() && !real.is_dir() {
            return Err(QueryError::File { file: real, cause: std::io::Error::other("neither a file nor a folder") });
        }
        Ok(real)
    }
}

/// Settings that a question may change: how it is read and explained, not what it may use.
const SETTINGS: [&str; 2] = ["datafusion.explain.", "datafusion.execution.time_zone"];

/// The plan, if it changes nothing and writes inside of the folders only; then under the real path that was looked at.
///
/// # Errors
/// [`QueryError::ReadOnly`], [`QueryError::Setting`], [`QueryError::Outside`], [`QueryError::File`].
pub(super) fn checked(mut plan: LogicalPlan, folders: &Folders) -> Result<LogicalPlan, QueryError> {
    if let LogicalPlan::Copy(copy) = &mut plan {
        copy.output_url = url_of(&folders.inside(&copy.output_url)?)?;
        check(&copy.input)?;
        return Ok(plan);
    }
    check(&plan)?;
    Ok(plan)
}

fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        refused = refusal(node).err();
        Ok::<_, DataFusionError>(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refused.map_or(Ok(()), Err)
}

fn refusal(node: &LogicalPlan) -> Result<(), QueryError> {
    let read_only = |what: &str| Err(QueryError::ReadOnly { what: what.to_owned() });
    match node {
        LogicalPlan::Dml(dml) => read_only(&dml.op.to_string()),
        LogicalPlan::Ddl(ddl) => read_only(ddl.name()),
        LogicalPlan::Copy(_) => read_only("COPY inside of another statement"),
        LogicalPlan::Statement(Statement::Prepare(_) | Statement::Execute(_) | Statement::Deallocate(_)) => Ok(()),
        LogicalPlan::Statement(Statement::SetVariable(set)) => {
            let may = SETTINGS.iter().any(|setting| set.variable.starts_with(setting));
            if may { Ok(()) } else { Err(QueryError::Setting { setting: set.variable.clone() }) }
        }
        LogicalPlan::Statement(statement) => read_only(statement.name()),
        _ => Ok(()),
    }
}

//! What a query may not do: change anything, or reach files outside of the folders that it was given.
//!
//! The one idea: a plan is looked at before it is run, all of it; what is not known to be harmless is refused. `nobody paints` holds
//! for SQL as well: there is no statement that writes a table.

use std::path::{Path, PathBuf};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{LogicalPlan, Statement};

use super::QueryError;

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
        if self.0.iter().any(|folder| real.starts_with(folder)) { Ok(real) } else { Err(outside()) }
    }
}

/// Refuses a plan that changes something, or writes outside of the folders.
///
/// # Errors
/// [`QueryError::ReadOnly`], [`QueryError::Outside`].
pub(super) fn check(plan: &LogicalPlan, folders: &Folders) -> Result<(), QueryError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        refused = refusal(node, folders).err();
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    refused.map_or(Ok(()), Err)
}

fn refusal(node: &LogicalPlan, folders: &Folders) -> Result<(), QueryError> {
    let read_only = |what: &str| Err(QueryError::ReadOnly { what: what.to_owned() });
    match node {
        LogicalPlan::Dml(dml) => read_only(&dml.op.to_string()),
        LogicalPlan::Ddl(ddl) => read_only(ddl.name()),
        LogicalPlan::Copy(copy) => folders.inside(&copy.output_url).map(|_| ()),
        LogicalPlan::Statement(Statement::Prepare(_) | Statement::Execute(_) | Statement::Deallocate(_)) => Ok(()),
        // Limits are not the asker's to set.
        LogicalPlan::Statement(Statement::SetVariable(set)) if !set.variable.starts_with("datafusion.runtime") => {
            Ok(())
        }
        LogicalPlan::Statement(statement) => read_only(statement.name()),
        _ => Ok(()),
    }
}

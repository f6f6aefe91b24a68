//! Outputs to files: batches of rows in four formats, each file whole or not at all.
//!
//! The one idea: an output is written beside its final name and synced; only when all outputs of a run stand are they renamed,
//! the codes last, so that whoever sees tonight's codes can trust that the rest is there.
//!
//! Invariant: a run that fails or is interrupted before its outputs stand leaves the final names as they were, and no file
//! of its own. (Only the system can fail the renames that follow; those before the failure stay.)

mod appended;
mod batches;
pub mod changes;
mod destination;
mod format;
mod parquet;
mod refused;
mod staged;
mod tables;
mod told;

pub use appended::{Appended, Mark, begin_after, whole_lines};
pub use batches::{change_batches, code_batches, instants, rejection_batches, text_lists};
pub use destination::Destination;
pub use format::{OutputFormat, write_batches};
pub use parquet::{RowGroup, write_row_groups};
pub use refused::refused_declarations;
pub use staged::{SinkError, Staged, commit};
pub use tables::{RowNames, table_batch, table_ids, table_properties};
pub use told::{Told, told_batch};

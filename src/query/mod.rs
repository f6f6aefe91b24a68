//! Questions in SQL: DataFusion over facts, codes and history.
//!
//! The one idea: a question is asked of a [`Snapshot`], facts that stand still with their rules and instant. Its tables give
//! what the engine keeps, without a copy where Arrow keeps it alike, and find rows by the engine's indexes; codes, reasons and
//! what-ifs are computed by the engine's own code.
//!
//! Invariants: a query changes nothing, and reaches no file outside of the folders that it was given; all of a query sees one snapshot;
//! it runs on threads and memory of its own.
//!
//! | file | holds |
//! |---|---|
//! | `snapshot` | facts, rules, instant, and what a question once needed |
//! | `columns`, `rows`, `names` | facts to Arrow |
//! | `filter`, `index` | conditions that a scan decides, and what finds rows |
//! | `scan` | a scan as DataFusion runs it |
//! | `facts`, `codes`, `tables`, `prepared` | the tables |
//! | `functions`, `calls`, `candidate`, `trace`, `files` | the functions |
//! | `told` | files that grow while they are read |
//! | `guard` | what is refused |
//! | `catalog` | tables as tools look for them that speak to Postgres |
//! | `queries` | what has been asked, and by whom |
//! | `pseudonyms`, `people`, `groups` | what leaves to those who may see groups only |
//! | `session`, `threads` | all of that in one place to ask |

mod calls;
mod candidate;
#[cfg(feature = "postgres")]
mod catalog;
mod codes;
mod columns;
mod error;
mod facts;
mod files;
mod filter;
mod functions;
mod groups;
mod guard;
mod index;
mod names;
mod people;
mod prepared;
mod pseudonyms;
mod queries;
mod rows;
mod scan;
mod session;
mod snapshot;
mod tables;
mod threads;
mod told;
mod trace;

#[cfg(feature = "postgres")]
pub use catalog::{Catalog, POSTGRES_VERSION};
pub use error::QueryError;
pub use guard::Folders;
pub use pseudonyms::{PseudonymKey, Pseudonyms};
pub use queries::{Queries, Query};
#[cfg(feature = "postgres")]
pub(crate) use session::words;
pub use session::{Answer, CATALOG, Description, Limits, SCHEMA, Session};
pub use snapshot::{Kin, Origins, Snapshot, ToldIn};
#[cfg(feature = "postgres")]
pub(crate) use tables::with_types;
pub use threads::Threads;

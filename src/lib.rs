//! sanma: the health-code engine.
pub mod cli;
pub mod diff;
pub mod evaluate;
pub mod explain;
pub mod facts;
pub mod generate;
pub mod ingest;
pub mod intern;
pub mod limits;
pub mod model;
pub mod nightly;
pub mod rules;
pub mod sinks;

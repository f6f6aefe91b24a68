//! sanma: the health-code engine.
pub mod cli;
pub mod explain;
pub mod limits;
pub mod model;
pub mod rules;

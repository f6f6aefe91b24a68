//! The one integration binary: each test module on a line.
#![expect(unreachable_pub, reason = "a test binary has no outside; `pub` says what a module offers the others")]

mod agreement;
mod bad_input;
mod cache;
mod checkpoint;
mod city;
mod cli;
mod compare;
mod feed;
#[cfg(feature = "flight")]
mod flight;
mod follow;
#[cfg(feature = "live")]
mod forms;
mod golden;
#[cfg(feature = "flight")]
mod live_sql;
mod loading;
#[cfg(feature = "live")]
mod openapi;
#[cfg(feature = "live")]
mod openapi_schema;
mod outputs;
#[cfg(feature = "postgres")]
mod postgres;
mod retention;
mod run;
#[cfg(feature = "live")]
mod server;
#[cfg(feature = "live")]
mod sources;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql")]
mod sql_files;
#[cfg(feature = "sql")]
mod sql_groups;
mod tidy;
mod whatif;
mod worlds;

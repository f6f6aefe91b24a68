//! sanma (三码, "the three codes"): the engine behind a health code.
//!
//! A colour is a pure function of the set of facts, the rule set and an instant. This page is the map of the house; each
//! folder's own page says how it keeps its part of that promise.
//!
//! # One way through
//!
//! ```text
//!                                   rules: TOML -> checked Program
//!                                               |
//!  files -> ingest -> facts ---------------> evaluate -> diff -> sinks -> files
//!             |                                 =
//!             |            |
//!             |            +-- cache: the same columns, next night
//!             |            +-- query: the same columns as tables of SQL, and what evaluate, explain and whatif say of them
//!             +------- the same rows -------> explain -> a page for a person
//!
//!  sources -> ingest::feed -> journal -> facts that change -> evaluate::Current -> changes -> sinks -> a file that grows
//!                              |                engine: the same step for what arrives and for what is replayed
//!                              +-- checkpoint: a view as a data directory, and as columns; the journal behind it goes
//!
//!  nightly wires the first row, run the second; compare and whatif are shorter ones; generate makes the files; cli talks to
//!  these, explain and rules.
//! ```
//!
//! | folder | holds | may use | invariant |
//! |---|---|---|---|
//! | [`model`] | ids, instants, tables, schemas, codes, rejections | `limits` | no I/O, no locks |
//! | [`intern`] | tokens to dense ids | `limits`, `model` | equal tokens, equal ids; no output depends on an id |
//! | [`journal`] | what the engine was told, durably, by position | `limits` | what was acknowledged is replayed, in order and once |
//! | [`gazetteer`] | names of regions | `model` | a code without a name is nothing wrong |
//! | [`rules`] | TOML, checks with line and column, [`rules::Program`] | `model` | a `Program` is immutable and checked |
//! | [`ingest`] | Parquet, Arrow, CSV, NDJSON and feeds to rows; codes published earlier | `model`, `intern` | knows no rule; a row is kept or rejected, never lost |
//! | [`facts`] | columns in the order of persons, indexes; [`facts::LiveFacts`] puts rows in and out | `model`, `intern` | after any changes what is read is as if built anew |
//! | [`columns`] | columns of facts as files that are mapped | `model`, `facts` | what is used is what was written |
//! | [`cache`] | facts kept ready from one run to the next | `columns`, `model`, `ingest`, `facts` | a doubt is a rebuild |
//! | [`evaluate`] | the kernels, for everybody and for whom a change touches | `model`, `rules`, `facts` | pure; the same codes at any number of threads, and however they were reached |
//! | [`diff`] | two states compared | `model`, `rules`, `facts`, `evaluate` | before + diff = after |
//! | [`checkpoint`] | facts on the disk at a position: tables that last, columns to start from | `columns`, `engine`, `facts`, `ingest`, `journal`, `sinks` | whole or not at all; what is used is what was written |
//! | [`engine`] | the step: journal, facts, evaluate, changes | `diff`, `evaluate`, `facts`, `ingest`, `journal`, `rules` | codes at a position are a function of the journal up to it |
//! | [`sinks`] | outputs in four formats, and where changes go while a run goes on | the above | whole or not at all |
//! | [`sources`] | where messages come from: files, standard input, watched folders | `engine`, `ingest`, `model` | in order; refused or told, never passed over |
//! | [`explain`] | the slow, readable evaluator, and its pages | `model`, `rules` | shares no code with `evaluate` |
//! | [`generate`] | a believable city of any size, from a seed | `model`, `sinks` | the same bytes for a seed; holds no facts |
//! | [`compare`] | two published files, and what changed | `diff`, `ingest`, `sinks` | nothing is written before both are read |
//! | [`whatif`] | rules and listings not in force, and what they would change | `diff`, `evaluate`, `facts`, `gazetteer`, `rules` | as a full run over edited tables says |
//! | [`spelt`] | the names of facts and regions, for a page | `explain`, `facts`, `gazetteer` | nothing is looked up elsewhere |
//! | `workdays` | which days are worked on | `model` | a day that no list names is a weekday or not |
//! | `query` | questions in SQL (feature `sql`) | `evaluate`, `explain`, `facts`, `sinks`, `whatif` and what they use | changes nothing; a question sees one snapshot |
//! | `access` | who may ask, by tokens; for `server` and `desk` | nothing | where nobody is named, nobody comes from elsewhere |
//! | `priority` | threads that give way | nothing | what is not a question is not kept waiting by one |
//! | `link` | what joins a run to those on sockets | `run` | a view holds all that had been told when it was asked for |
//! | `desk` | questions from elsewhere: who asks, sees and asked what (feature `flight`) | `access`, `link`, `model`, `query`, `rules`, `run` | what is answered is recorded |
//! | `flight` | Arrow Flight SQL, a door to `desk` | `access`, `desk`, `query` | knows no fact |
//! | `postgres` | Postgres's protocol, a door to `desk` (feature `postgres`) | `access`, `desk`, `query` | knows no fact |
//! | [`nightly`] | the job on one screen | all above but `explain` and `generate` | nothing is written before all is read |
//! | [`run`] | the live run on one screen | all above but `cache`, `diff`, `explain`, `generate`, `nightly` | a message counts once, a change is told once |
//! | `server` | HTTP for a run: facts in, changes, codes and reasons out | `access`, `engine`, `evaluate`, `explain`, `ingest`, `link`, `rules`, `run`, `sinks`, `spelt`, `whatif` | changes nothing by itself; an answer is given when it is durable and told |
//! | [`cli`] | arguments, progress, summaries | anything | nobody imports it; only here are clocks read |
//!
//! `tests/tidy.rs` enforces the third column. [`limits`] holds every bound.
//!
//! # Two evaluators, one meaning
//!
//! [`evaluate`] is fast: people are dense ids, everything a rule reads is a range of a column, what few people have sits behind
//! one bit a person, and health reports are two machine words. [`explain`] is slow and follows the contract's sentences over
//! plain rows. The tests in `tests/agreement.rs` demand that they agree on random worlds dense in boundary cases, to the
//! instant of the next change.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | as of, T | the instant for which codes are computed |
//! | code | colour, reasons, excused rules and `valid_until` of one person at T |
//! | checkpoint | all facts at a position, on the disk; the journal begins after it |
//! | dirt | whom changes of facts may concern |
//! | exposure | the end of an overlap with an infectious person; first degree with a case, second with an exposed person |
//! | fact | a row of one of the eleven tables |
//! | flip | a person whose code differs from the one before |
//! | level | of risk, of a region; the nearest listed division decides |
//! | position | number of a record in the journal, from 1; what a change says it is of |
//! | release | when a cause with a trigger ends: days, clean days, negative tests |
//! | retention, R | days after which a trigger, an exposure or a report no longer counts |
//! | standing declaration | the last accepted one; without it a person has no code |
//! | trigger | the instant from which a cause counts |
//! | view | a city as it stood at a position, for those who read while it goes on |
//! | volatile | of a person: time alone may change the code otherwise than by one end of a rule |
//! | snapshot | facts that stand still, with their rules and instant, of which questions are asked |
//! | window | when a case (or an exposed person) infects |

#[cfg(feature = "live")]
pub mod access;
pub mod cache;
pub mod checkpoint;
pub mod cli;
pub mod columns;
pub mod compare;
#[cfg(feature = "flight")]
pub mod desk;
pub mod diff;
pub mod engine;
pub mod evaluate;
pub mod explain;
pub mod facts;
#[cfg(feature = "flight")]
pub mod flight;
pub mod gazetteer;
pub mod generate;
pub mod ingest;
pub mod intern;
pub mod journal;
pub mod limits;
#[cfg(feature = "live")]
pub mod link;
pub mod model;
pub mod nightly;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "live", feature = "sql"))]
pub mod priority;
#[cfg(feature = "sql")]
pub mod query;
pub mod rules;
pub mod run;
#[cfg(feature = "live")]
pub mod server;
pub mod sinks;
pub mod sources;
pub mod spelt;
pub mod whatif;
#[cfg(feature = "sql")]
pub mod workdays;

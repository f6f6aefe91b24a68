//! Says why: the slow, readable evaluator of one person, and the page that it writes for people.
//!
//! The one idea: the contract's sentences, one after the other, over plain rows. [`dossier()`] keeps the rows that can matter
//! for a person, `subject` lays them out, the cause files (`status`, `health`, `contact`, `area`) each answer "what speaks
//! for this rule at T" with `sighting`s, [`verdict`] makes a code of the answers, and `moments` lists every instant at which an
//! answer can change. [`report`] makes the page for people: `because` in words that name nobody, `evidence` in rows,
//! `forecast` with what is missing and the way to green; `text` prints it.
//!
//! Invariant: `explain` shares no code with `evaluate`, in either direction: the property tests compare the two, and a
//! mistake made in a shared function would be made twice and seen never.
//! Invariant: nothing here reads a clock, a file or the published codes.
//!
//! Cost: a pass over the facts for the dossier, then what the person's own history costs: milliseconds for one person,
//! far too much for a population.

mod area;
mod because;
mod contact;
pub mod dossier;
mod evidence;
#[cfg(test)]
mod fixture;
mod forecast;
mod health;
mod moments;
pub mod report;
mod sighting;
mod status;
mod subject;
mod text;
pub mod verdict;

pub use dossier::dossier;
pub use evidence::Evidence;
pub use forecast::{Awaited, Missing};
pub use report::{Audience, Excuse, Explanation, Green, LocalInstant, Names, RuleReport, RuleSet, Words, explain};
pub use text::Language;
pub use verdict::{State, code_at, refused_declarations, state_at};

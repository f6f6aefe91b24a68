//! The kernels: from facts and a rule set to every person's code at an instant.
//!
//! The one idea: evaluation is stratified. Levels of regions, who has met a case and exposures that a second degree builds on are
//! computed once for all (`strata`); whom no rule can concern is sifted out by passes over columns (`sift`); then each person left
//! is evaluated from ranges of columns (`person`). A code's `valid_until` is
//! arithmetic for nearly everybody, because with no fact in the future each rule flips at most once; the few for whom it is
//! not (facts known that lie ahead, windows that move) are marked volatile and looked at instant by instant (`horizon`).
//!
//! Invariants: `evaluate` never reads a clock, a file or published codes; same facts, program and instant give the same codes
//! at any number of threads.
//!
//! | file | holds |
//! |---|---|
//! | `full` | everybody, in parallel ranges |
//! | `delta` | those alone whom a change of facts, or time, may concern |
//! | `strata` | what is computed once for all |
//! | `sift` | whom the rules can concern at all |
//! | `moment` | the instant, and what follows from it |
//! | `person` | one person's state: the causes put together |
//! | `area`, `exposure`, `health`, `release` | the causes that need more than a few lines |
//! | `horizon` | the next change of a volatile person |

mod area;
mod delta;
mod exposure;
mod full;
mod health;
mod horizon;
mod moment;
mod person;
mod release;
mod retention;
mod sift;
mod strata;

pub use delta::{Current, Flip};
pub use full::{Codes, recompute, refused_declarations, standing_declaration};
pub use retention::over;

//! How far back rules look.

use crate::facts::Over;
use crate::model::Timestamp;
use crate::rules::{Cause, Program};

/// What no code can come of any more at an instant or later: triggers, exposures and reports count for `retention_days`, and a
/// recovered case for its convalescence.
#[must_use]
pub fn over(program: &Program, at: Timestamp) -> Over {
    let (offset, days) = (program.utc_offset, program.retention_days);
    let convalescence = program.rules.iter().filter_map(|rule| match rule.cause {
        Cause::Case { convalescence_days, .. } => Some(convalescence_days),
        _ => None,
    });
    let reported = at.local_day(offset).plus(1 - i64::from(days)).starts_at(offset);
    Over::new(at.minus_days(days), reported, at.minus_days(convalescence.max().unwrap_or(0)))
}

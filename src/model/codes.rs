//! A person's code at an instant.

use super::enums::Colour;
use super::ids::RuleMask;
use super::time::Timestamp;

/// What the engine says of a person who has a standing declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The colour.
    pub colour: Colour,
    /// Active rules that are not excused.
    pub reasons: RuleMask,
    /// Active rules that the white list excuses.
    pub excused: RuleMask,
    /// The next instant at which colour, reasons or excused differ if no further fact arrives; `NEVER` if they never do.
    pub valid_until: Timestamp,
}

impl Code {
    /// Nothing is active, and nothing known will be.
    pub const PLAIN: Self = Self {
        colour: Colour::Green,
        reasons: RuleMask::EMPTY,
        excused: RuleMask::EMPTY,
        valid_until: Timestamp::NEVER,
    };
}

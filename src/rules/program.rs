//! A checked rule set, ready to be evaluated.
//!
//! The one idea: whatever a kernel needs to know of a rule is resolved here (ids to numbers, days to counts, names to sets), so
//! that evaluation never looks at text.
//!
//! Invariant: a [`Program`] is immutable, and already checked: at most 64 rules, `through` names a degree-1 contact rule,
//! days and clean days are at most `retention_days`, which is at most 60.

use crate::model::{
    Admission, CaseKind, Colour, EnumSet, Level, QuarantineKind, RuleId, RuleMask, Setting, Symptom, Timestamp,
    UtcOffset,
};

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bilingual {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// A rule set.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Unique name, such as `huzhou-2020-02-21`.
    pub name: String,
    /// City that it is of, such as `huzhou`.
    pub jurisdiction: Option<String>,
    /// From when it holds; a jurisdiction's set in force is the one with the latest such instant.
    pub effective_from: Option<Timestamp>,
    /// Title.
    pub title: Bilingual,
    /// The notice that it is written from.
    pub source: String,
    /// Clock by which days are counted.
    pub utc_offset: UtcOffset,
    /// How often a declaration may be modified.
    pub max_modifications: u32,
    /// R: days after which a trigger, an exposure or a health report no longer counts; at most 60.
    pub retention_days: u32,
    /// Temperature in degrees Celsius from which a report counts as fever.
    pub fever_celsius: f64,
    /// Rules that the white list excuses.
    pub excuses: RuleMask,
    /// The rules, in order; a [`RuleId`] is an index here.
    pub rules: Vec<Rule>,
    /// Hexadecimal digest of the rule file's text: the rule set's version.
    pub version: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Name, unique in its set.
    pub id: String,
    /// Red or yellow.
    pub colour: Colour,
    /// Title for people.
    pub title: Bilingual,
    /// What to do.
    pub advice: Bilingual,
    /// Clause of the notice.
    pub cite: String,
    /// When it is active.
    pub cause: Cause,
}

/// When a cause with a trigger ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// N: days after the trigger.
    pub days: u32,
    /// K: consecutive clean days wanted after the trigger's day; 0 for none.
    pub clean_days: u32,
    /// n: distinct days with a negative test wanted after the trigger; 0 for none.
    pub negative_tests: u32,
}

impl Release {
    /// Days after a trigger past which it cannot hold a rule active any more, with `retention_days` of retention.
    #[must_use]
    pub const fn days_max(&self, retention_days: u32) -> u32 {
        let days_alone = self.clean_days == 0 && self.negative_tests == 0;
        if days_alone && self.days < retention_days { self.days } else { retention_days }
    }
}

/// What makes a rule active, with its parameters; SPEC 2 gives the meaning of each.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// The person is a case.
    Case {
        /// Kinds that count.
        kinds: EnumSet<CaseKind>,
        /// C: days after recovery.
        convalescence_days: u32,
    },
    /// The person is in quarantine.
    Quarantine {
        /// Kinds that count.
        kinds: EnumSet<QuarantineKind>,
        /// Observation at home that began before this does not count.
        ignore_home_started_before: Option<Timestamp>,
    },
    /// Contact of the first degree.
    Contact(ContactRule),
    /// Contact of the second degree.
    SecondContact {
        /// The first-degree rule whose exposures count.
        through: RuleId,
        /// M: least length of the overlap in minutes.
        min_minutes: u32,
        /// Settings that count; `None` for all.
        settings: Option<EnumSet<Setting>>,
        /// Release.
        release: Release,
    },
    /// A stay in an area of risk.
    Area {
        /// Levels that count.
        levels: EnumSet<Level>,
        /// M: least length of the stay in minutes.
        min_minutes: u32,
        /// Whether `came_from` of the standing declaration counts as a stay.
        declared: bool,
        /// Whether `residence` of the standing declaration counts while it is at such a level.
        residence: bool,
        /// Release.
        release: Release,
    },
    /// Something admitted in the standing declaration.
    Declared {
        /// Flags that count.
        any: EnumSet<Admission>,
        /// Release.
        release: Release,
    },
    /// Symptoms in a health report.
    Symptoms {
        /// Symptoms that count.
        any: EnumSet<Symptom>,
        /// Release.
        release: Release,
    },
    /// A positive test.
    Test {
        /// Release.
        release: Release,
    },
    /// No negative test within so many days.
    Untested {
        /// N.
        days: u32,
    },
    /// No health report within so many local days.
    Unreported {
        /// N.
        days: u32,
    },
    /// A false declaration found.
    Finding,
}

impl Cause {
    /// Its name, as in rule files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Case { .. } => "case",
            Self::Quarantine { .. } => "quarantine",
            Self::Contact(_) | Self::SecondContact { .. } => "contact",
            Self::Area { .. } => "area",
            Self::Declared { .. } => "declared",
            Self::Symptoms { .. } => "symptoms",
            Self::Test { .. } => "test",
            Self::Untested { .. } => "untested",
            Self::Unreported { .. } => "unreported",
            Self::Finding => "finding",
        }
    }

    /// The release of a cause with a trigger; `None` for the others.
    #[must_use]
    pub const fn release(&self) -> Option<Release> {
        match self {
            Self::Contact(contact) => Some(contact.release),
            Self::SecondContact { release, .. }
            | Self::Area { release, .. }
            | Self::Declared { release, .. }
            | Self::Symptoms { release, .. }
            | Self::Test { release } => Some(*release),
            Self::Case { .. }
            | Self::Quarantine { .. }
            | Self::Untested { .. }
            | Self::Unreported { .. }
            | Self::Finding => None,
        }
    }
}

/// Parameters of a first-degree contact rule.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactRule {
    /// Kinds of case that infect.
    pub of: EnumSet<CaseKind>,
    /// Whether contacts count.
    pub via_contact: bool,
    /// Whether stays in one place count.
    pub via_place: bool,
    /// Days before onset from which a case infects.
    pub infectious_days_before_onset: u32,
    /// M: least length of the overlap in minutes.
    pub min_minutes: u32,
    /// Settings of contacts that count; `None` for all.
    pub settings: Option<EnumSet<Setting>>,
    /// k: rows of seats either side that count, where both are known.
    pub rows: Option<u16>,
    /// Release.
    pub release: Release,
}

impl Program {
    /// The rule with this number. Panics if it is of another rule set.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[usize::from(id.0)]
    }

    /// The rules with their numbers, in order.
    pub fn numbered(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..).map(RuleId).zip(&self.rules)
    }

    /// The ids of the rules in `mask`, in rule order.
    pub fn names(&self, mask: RuleMask) -> impl Iterator<Item = &str> {
        mask.iter().map(|rule| self.rule(rule).id.as_str())
    }

    /// Whether a rule counts contacts of the second degree.
    #[must_use]
    pub fn looks_through_others(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.cause, Cause::SecondContact { .. }))
    }

    /// The colour that these unexcused active rules give.
    #[must_use]
    pub fn colour(&self, reasons: RuleMask) -> Colour {
        reasons.iter().map(|rule| self.rule(rule).colour).max().unwrap_or(Colour::Green)
    }
}

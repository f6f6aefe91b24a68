//! The causes and their parameters, as SPEC 2's table lists them.
//!
//! The one idea: one reader a cause asks its section for exactly that cause's keys; a key that nobody asked for is an
//! error, and [`CAUSES`] knows which cause it would have belonged to.

use super::check::{Outline, named_rule};
use super::error::RuleErrorKind;
use super::program::{Cause, ContactRule, Release};
use super::syntax::{Errors, Section, Value};
use crate::model::{RuleId, UtcOffset};

/// What a cause is read against.
pub(super) struct Context<'a> {
    pub(super) utc_offset: UtcOffset,
    /// R, or its upper bound where the file's own is an error.
    pub(super) retention_days: u32,
    pub(super) outlines: &'a [Outline<'a>],
}

/// The causes and the keys of each, the source of hints.
const CAUSES: [(&str, &[&str]); 10] = [
    ("case", &["kinds", "convalescence_days"]),
    ("quarantine", &["kinds", "ignore_home_started_before"]),
    (
        "contact",
        &[
            "degree",
            "of",
            "via",
            "infectious_days_before_onset",
            "min_minutes",
            "settings",
            "rows",
            "through",
            "release",
        ],
    ),
    ("area", &["levels", "min_minutes", "declared", "residence", "release"]),
    ("declared", &["any", "release"]),
    ("symptoms", &["any", "release"]),
    ("test", &["release"]),
    ("untested", &["days"]),
    ("unreported", &["days"]),
    ("finding", &[]),
];
const FIRST_DEGREE_KEYS: [&str; 4] = ["of", "via", "infectious_days_before_onset", "rows"];
const SECOND_DEGREE_KEYS: [&str; 1] = ["through"];
const VIA: [&str; 2] = ["contact", "place"];

/// Reads `cause` and its parameters, the last of a rule's keys, and finishes the rule's section.
pub(super) fn read(mut section: Section<'_>, name: &str, context: &Context<'_>, errors: &mut Errors) -> Cause {
    let known = CAUSES.map(|(cause, _)| cause);
    let word = section.required("cause", errors).and_then(|value| value.word(&known, errors));
    let cause = match word {
        Some("case") => Cause::Case {
            kinds: section.words("kinds", errors),
            convalescence_days: section.count("convalescence_days", errors),
        },
        Some("quarantine") => Cause::Quarantine {
            kinds: section.words("kinds", errors),
            ignore_home_started_before: section
                .optional("ignore_home_started_before")
                .and_then(|value| value.instant(context.utc_offset, errors)),
        },
        Some("contact") => contact(&mut section, name, context, errors),
        Some("area") => area(&mut section, name, context, errors),
        Some("declared") => {
            Cause::Declared { any: section.words("any", errors), release: release(&mut section, name, context, errors) }
        }
        Some("symptoms") => {
            Cause::Symptoms { any: section.words("any", errors), release: release(&mut section, name, context, errors) }
        }
        Some("test") => Cause::Test { release: release(&mut section, name, context, errors) },
        Some("untested") => Cause::Untested { days: required_days(&mut section, context, errors) },
        Some("unreported") => Cause::Unreported { days: required_days(&mut section, context, errors) },
        Some("finding") => Cause::Finding,
        _ => {
            // Which keys belong here depends on the cause, so every cause's may pass; only strangers are reported.
            for (_, keys) in &CAUSES {
                section.tolerate(keys);
            }
            Cause::Finding
        }
    };
    section.finish(|key| elsewhere(key, word), errors);
    cause
}

/// Which causes a key belongs to, if it is a key at all.
fn elsewhere(key: &str, cause: Option<&str>) -> Option<String> {
    let causes = CAUSES.iter().filter(|(_, keys)| keys.contains(&key)).map(|(name, _)| format!("`{name}`"));
    let causes = causes.collect::<Vec<_>>().join(", ");
    if causes.is_empty() {
        return None;
    }
    Some(format!("it belongs to cause {causes}, this rule's cause is `{}`", cause.unwrap_or_default()))
}

fn contact(section: &mut Section<'_>, name: &str, context: &Context<'_>, errors: &mut Errors) -> Cause {
    let degree_value = section.required("degree", errors);
    let degree = degree_value.and_then(|value| value.count(u32::MAX, errors));
    let min_minutes = section.count("min_minutes", errors);
    let settings = section.optional("settings").map(|value| value.words(errors));
    let release = release(section, name, context, errors);
    match degree {
        Some(1) => {
            other_degree(section, &SECOND_DEGREE_KEYS, 1, errors);
            let via = section.required("via", errors).map(|value| value.word_list(&VIA, errors)).unwrap_or_default();
            Cause::Contact(ContactRule {
                of: section.words("of", errors),
                via_contact: via.contains(&"contact"),
                via_place: via.contains(&"place"),
                infectious_days_before_onset: section.count("infectious_days_before_onset", errors),
                min_minutes,
                settings,
                rows: section.optional("rows").and_then(|value| rows(value, errors)),
                release,
            })
        }
        Some(2) => {
            other_degree(section, &FIRST_DEGREE_KEYS, 2, errors);
            let through = section.required("through", errors).and_then(|value| through(value, context, errors));
            Cause::SecondContact { through: through.unwrap_or(RuleId(0)), min_minutes, settings, release }
        }
        _ => {
            if let Some((value, found)) = degree_value.zip(degree) {
                errors.add(value.span(), RuleErrorKind::Degree { found });
            }
            section.tolerate(&FIRST_DEGREE_KEYS);
            section.tolerate(&SECOND_DEGREE_KEYS);
            Cause::Finding
        }
    }
}

/// Reports the keys that only the other degree has.
fn other_degree(section: &mut Section<'_>, keys: &[&'static str], found: u32, errors: &mut Errors) {
    for &key in keys {
        if let Some(span) = section.key_span(key) {
            errors.add(span, RuleErrorKind::OtherDegree { key, belongs: 3 - found, found });
            section.tolerate(&[key]);
        }
    }
}

fn rows(value: Value<'_>, errors: &mut Errors) -> Option<u16> {
    value.count(u32::from(u16::MAX), errors).and_then(|rows| u16::try_from(rows).ok())
}

fn through(value: Value<'_>, context: &Context<'_>, errors: &mut Errors) -> Option<RuleId> {
    let rule = named_rule("through", value, context.outlines, errors)?;
    let outline = &context.outlines[usize::from(rule.0)];
    if !outline.first_degree {
        let id = outline.id.unwrap_or_default().to_owned();
        errors.add(value.span(), RuleErrorKind::NotFirstDegree { id });
    }
    Some(rule)
}

fn area(section: &mut Section<'_>, name: &str, context: &Context<'_>, errors: &mut Errors) -> Cause {
    Cause::Area {
        levels: section.words("levels", errors),
        min_minutes: section.count_or("min_minutes", 0, errors),
        declared: section.required("declared", errors).and_then(|value| value.flag(errors)).unwrap_or_default(),
        residence: section.optional("residence").and_then(|value| value.flag(errors)).unwrap_or_default(),
        release: release(section, name, context, errors),
    }
}

fn release(section: &mut Section<'_>, name: &str, context: &Context<'_>, errors: &mut Errors) -> Release {
    let value = section.required("release", errors);
    let Some(mut release) = value.and_then(|value| value.section(format!("`release` of {name}"), errors)) else {
        return Release::default();
    };
    let read = Release {
        days: required_days(&mut release, context, errors),
        clean_days: release.optional("clean_days").map_or(0, |value| days("clean_days", value, context, errors)),
        negative_tests: release.count_or("negative_tests", 0, errors),
    };
    release.finish(|_| None, errors);
    read
}

fn required_days(section: &mut Section<'_>, context: &Context<'_>, errors: &mut Errors) -> u32 {
    section.required("days", errors).map_or(0, |value| days("days", value, context, errors))
}

/// Days that may not reach beyond the retention.
fn days(key: &'static str, value: Value<'_>, context: &Context<'_>, errors: &mut Errors) -> u32 {
    let found = value.count(u32::MAX, errors).unwrap_or_default();
    let retention_days = context.retention_days;
    if found > retention_days {
        let hint = "what is older than the retention no longer counts, so the rule could never be kept";
        errors.add_with_hint(value.span(), RuleErrorKind::OverRetention { key, found, retention_days }, hint);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Admission, CaseKind, ClosedEnum as _, Level, QuarantineKind, Setting, Symptom};

    #[test]
    fn the_page_for_writers_names_every_cause_key_and_word() {
        let page = include_str!("../../docs/rules/README.md");
        let words =
            [CaseKind::NAMES, QuarantineKind::NAMES, Setting::NAMES, Level::NAMES, Symptom::NAMES, Admission::NAMES];
        let keys = CAUSES.iter().flat_map(|(cause, keys)| std::iter::once(cause).chain(*keys));
        for word in keys.chain(words.into_iter().flatten()).chain(&VIA) {
            assert!(page.contains(&format!("`{word}`")) || page.contains(&format!("`{word} = ")), "{word}");
        }
    }
}

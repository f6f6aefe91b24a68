//! A rule set as flat lists of `key = value`, spelt as in a rule file.
//!
//! The one idea: whatever compares or lists rule sets works on these lists, so a new parameter is added in one place
//! and no comparison can forget it. Cost: a few dozen short strings a rule; for people, not for kernels.

use super::document::offset;
use super::program::{Bilingual, Cause, Program, Release, Rule};
use crate::model::{ClosedEnum, EnumSet, Timestamp};

/// A key, dotted where it stands in a table, and its value in TOML's spelling; an absent key is not listed.
pub type Field = (&'static str, String);

/// The fields of the header.
#[must_use]
pub fn header(program: &Program) -> Vec<Field> {
    let mut fields = vec![("name", quoted(&program.name))];
    fields.extend(program.jurisdiction.as_deref().map(|name| ("jurisdiction", quoted(name))));
    fields.extend(program.effective_from.map(|from| ("effective_from", instant(program, from))));
    fields.extend(bilingual(["title.zh", "title.en"], &program.title));
    fields.extend([
        ("source", quoted(&program.source)),
        ("utc_offset", quoted(&offset(program.utc_offset.0))),
        ("max_modifications", program.max_modifications.to_string()),
        ("retention_days", program.retention_days.to_string()),
        ("fever_celsius", program.fever_celsius.to_string()),
        ("whitelist.excuses", list(program.names(program.excuses))),
    ]);
    fields
}

/// The fields of a rule of `program`, its id left out.
#[must_use]
pub fn rule(program: &Program, rule: &Rule) -> Vec<Field> {
    let mut fields = vec![("colour", quoted(rule.colour.name())), ("cite", quoted(&rule.cite))];
    fields.extend(cause(program, &rule.cause));
    fields.extend(bilingual(["title.zh", "title.en"], &rule.title));
    fields.extend(bilingual(["advice.zh", "advice.en"], &rule.advice));
    fields
}

fn cause(program: &Program, cause: &Cause) -> Vec<Field> {
    let named = |name: &str| ("cause", quoted(name));
    match cause {
        Cause::Case { kinds, convalescence_days } => {
            vec![named("case"), ("kinds", words(*kinds)), ("convalescence_days", convalescence_days.to_string())]
        }
        Cause::Quarantine { kinds, ignore_home_started_before } => {
            let mut fields = vec![named("quarantine"), ("kinds", words(*kinds))];
            fields.extend(ignore_home_started_before.map(|at| ("ignore_home_started_before", instant(program, at))));
            fields
        }
        Cause::Contact(rule) => {
            let via = [("contact", rule.via_contact), ("place", rule.via_place)];
            let via = via.into_iter().filter(|&(_, counts)| counts).map(|(name, _)| name);
            let mut fields = vec![
                named("contact"),
                ("degree", 1.to_string()),
                ("of", words(rule.of)),
                ("via", list(via)),
                ("infectious_days_before_onset", rule.infectious_days_before_onset.to_string()),
                ("min_minutes", rule.min_minutes.to_string()),
            ];
            fields.extend(rule.settings.map(|settings| ("settings", words(settings))));
            fields.extend(rule.rows.map(|rows| ("rows", rows.to_string())));
            fields.extend(release(rule.release));
            fields
        }
        Cause::SecondContact { through, min_minutes, settings, release: ends } => {
            let mut fields = vec![
                named("contact"),
                ("degree", 2.to_string()),
                ("through", quoted(&program.rule(*through).id)),
                ("min_minutes", min_minutes.to_string()),
            ];
            fields.extend(settings.map(|settings| ("settings", words(settings))));
            fields.extend(release(*ends));
            fields
        }
        Cause::Area { levels, min_minutes, declared, residence, release: ends } => {
            let mut fields = vec![
                named("area"),
                ("levels", words(*levels)),
                ("min_minutes", min_minutes.to_string()),
                ("declared", declared.to_string()),
                ("residence", residence.to_string()),
            ];
            fields.extend(release(*ends));
            fields
        }
        Cause::Declared { any, release: ends } => with_release(vec![named("declared"), ("any", words(*any))], *ends),
        Cause::Symptoms { any, release: ends } => with_release(vec![named("symptoms"), ("any", words(*any))], *ends),
        Cause::Test { release: ends } => with_release(vec![named("test")], *ends),
        Cause::Untested { days } => vec![named("untested"), ("days", days.to_string())],
        Cause::Unreported { days } => vec![named("unreported"), ("days", days.to_string())],
        Cause::Finding => vec![named("finding")],
    }
}

fn with_release(mut fields: Vec<Field>, ends: Release) -> Vec<Field> {
    fields.extend(release(ends));
    fields
}

fn release(release: Release) -> [Field; 3] {
    [
        ("release.days", release.days.to_string()),
        ("release.clean_days", release.clean_days.to_string()),
        ("release.negative_tests", release.negative_tests.to_string()),
    ]
}

fn bilingual([zh, en]: [&'static str; 2], text: &Bilingual) -> [Field; 2] {
    [(zh, quoted(&text.zh)), (en, quoted(&text.en))]
}

fn instant(program: &Program, at: Timestamp) -> String {
    at.to_rfc3339_at(program.utc_offset)
}

fn words<E: ClosedEnum>(set: EnumSet<E>) -> String {
    list(set.iter().map(E::name))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let escape = format!("\\u{:04X}", u32::from(letter));
                quoted.push_str(&escape);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Catalog;

    /// The lists are a rule file: read again, they give the same program.
    #[test]
    fn fields_are_a_rule_file() {
        for set in Catalog::shipped().expect("the shipped sets are right").sets() {
            let line = |(key, value): &Field| format!("{key} = {value}\n");
            let mut text = header(&set.program).iter().map(line).collect::<String>();
            for each in &set.program.rules {
                text.extend([line(&("[[rule]]\nid", quoted(&each.id)))]);
                text.extend(rule(&set.program, each).iter().map(line));
            }
            let again = Program::parse("fields.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(Program { version: set.program.version.clone(), ..again }, set.program);
        }
    }
}

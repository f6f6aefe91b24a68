//! A rule set written as the TOML of SPEC 2, for round trips through the rule parser.
//!
//! The one idea: two spellings of one set. The full one writes every key; the terse one leaves out what equals its default.
//! `version` is a digest of the text and so no part of it: compare sets with it set aside.

use std::fmt::Write as _;

use sanma::model::{ClosedEnum, EnumSet, UtcOffset};
use sanma::rules::{Bilingual, Cause, Program, Release, Rule};

use super::draw::LOCAL;
use super::rules::cause_name;

/// Every key written.
pub fn to_toml(program: &Program) -> String {
    write(program, false)
}

/// Keys that equal their defaults left out.
pub fn to_terse_toml(program: &Program) -> String {
    write(program, true)
}

fn write(program: &Program, terse: bool) -> String {
    let mut out = String::new();
    line(&mut out, "name", quoted(&program.name));
    if let Some(jurisdiction) = &program.jurisdiction {
        line(&mut out, "jurisdiction", quoted(jurisdiction));
    }
    if let Some(from) = program.effective_from {
        line(&mut out, "effective_from", from.to_rfc3339_at(LOCAL));
    }
    line(&mut out, "title", bilingual(&program.title));
    line(&mut out, "source", quoted(&program.source));
    if !terse || program.utc_offset != LOCAL {
        line(&mut out, "utc_offset", quoted(&offset(program.utc_offset)));
    }
    if !terse || program.max_modifications != 1 {
        line(&mut out, "max_modifications", program.max_modifications);
    }
    line(&mut out, "retention_days", program.retention_days);
    if !terse || program.fever_celsius.to_bits() != 37.3_f64.to_bits() {
        line(&mut out, "fever_celsius", format!("{:?}", program.fever_celsius));
    }
    let excuses: Vec<_> = program.names(program.excuses).collect();
    if !terse || !excuses.is_empty() {
        out.push_str("\n[whitelist]\n");
        line(&mut out, "excuses", list(&excuses));
    }
    for rule in &program.rules {
        out.push_str("\n[[rule]]\n");
        write_rule(&mut out, program, rule, terse);
    }
    out
}

fn write_rule(out: &mut String, program: &Program, rule: &Rule, terse: bool) {
    line(out, "id", quoted(&rule.id));
    line(out, "colour", quoted(rule.colour.name()));
    line(out, "title", bilingual(&rule.title));
    line(out, "advice", bilingual(&rule.advice));
    line(out, "cite", quoted(&rule.cite));
    line(out, "cause", quoted(cause_name(&rule.cause)));
    write_cause(out, program, &rule.cause, terse);
    if let Some(release) = release_of(&rule.cause) {
        line(out, "release", release_table(release, terse));
    }
}

fn write_cause(out: &mut String, program: &Program, cause: &Cause, terse: bool) {
    match cause {
        Cause::Case { kinds, convalescence_days } => {
            line(out, "kinds", words(*kinds));
            line(out, "convalescence_days", convalescence_days);
        }
        Cause::Quarantine { kinds, ignore_home_started_before } => {
            line(out, "kinds", words(*kinds));
            if let Some(before) = ignore_home_started_before {
                line(out, "ignore_home_started_before", quoted(&before.to_rfc3339_at(LOCAL)));
            }
        }
        Cause::Contact(rule) => {
            let via: Vec<_> = [("contact", rule.via_contact), ("place", rule.via_place)]
                .into_iter()
                .filter_map(|(name, counts)| counts.then_some(name))
                .collect();
            line(out, "degree", 1);
            line(out, "of", words(rule.of));
            line(out, "via", list(&via));
            line(out, "infectious_days_before_onset", rule.infectious_days_before_onset);
            line(out, "min_minutes", rule.min_minutes);
            if let Some(settings) = rule.settings {
                line(out, "settings", words(settings));
            }
            if let Some(rows) = rule.rows {
                line(out, "rows", rows);
            }
        }
        Cause::SecondContact { through, min_minutes, settings, .. } => {
            line(out, "degree", 2);
            line(out, "through", quoted(&program.rule(*through).id));
            line(out, "min_minutes", min_minutes);
            if let Some(settings) = settings {
                line(out, "settings", words(*settings));
            }
        }
        Cause::Area { levels, min_minutes, declared, residence, .. } => {
            line(out, "levels", words(*levels));
            if !terse || *min_minutes != 0 {
                line(out, "min_minutes", min_minutes);
            }
            line(out, "declared", declared);
            if !terse || *residence {
                line(out, "residence", residence);
            }
        }
        Cause::Declared { any, .. } => line(out, "any", words(*any)),
        Cause::Symptoms { any, .. } => line(out, "any", words(*any)),
        Cause::Untested { days } | Cause::Unreported { days } => line(out, "days", days.to_string()),
        Cause::Test { .. } | Cause::Finding => {}
    }
}

fn release_of(cause: &Cause) -> Option<Release> {
    match cause {
        Cause::Contact(rule) => Some(rule.release),
        Cause::SecondContact { release, .. }
        | Cause::Area { release, .. }
        | Cause::Declared { release, .. }
        | Cause::Symptoms { release, .. }
        | Cause::Test { release } => Some(*release),
        _ => None,
    }
}

fn release_table(release: Release, terse: bool) -> String {
    let mut table = format!("{{ days = {}", release.days);
    for (key, count) in [("clean_days", release.clean_days), ("negative_tests", release.negative_tests)] {
        if !terse || count != 0 {
            write!(table, ", {key} = {count}").expect("a string takes all");
        }
    }
    table.push_str(" }");
    table
}

fn line(out: &mut String, key: &str, value: impl std::fmt::Display) {
    writeln!(out, "{key} = {value}").expect("a string takes all");
}

fn bilingual(text: &Bilingual) -> String {
    format!("{{ zh = {}, en = {} }}", quoted(&text.zh), quoted(&text.en))
}

fn words<E: ClosedEnum>(set: EnumSet<E>) -> String {
    list(&set.iter().map(ClosedEnum::name).collect::<Vec<_>>())
}

fn list(items: &[&str]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => write!(out, "\\u{:04X}", u32::from(letter)).expect("a string takes all"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn offset(offset: UtcOffset) -> String {
    let (sign, minutes) = (if offset.0 < 0 { '-' } else { '+' }, offset.0.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

//! `sanma rules`: look at rule sets, check one's own, compare two.
//!
//! The one idea: everything printed is made from the checked `Program`, except `show --toml`, which is the file itself.
//!
//! Invariant: nothing here decides a colour, and nothing is printed but through the writer that is passed.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

#[cfg(feature = "live")]
use super::apply;
use crate::model::{ClosedEnum as _, Timestamp};
use crate::rules::document::{markdown, parameters};
use crate::rules::fields::{self, Field};
use crate::rules::words::{condition, release};
use crate::rules::{Catalog, Program, ResolveError, Rule, RuleSet};

/// What was typed after `sanma rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List the shipped rule sets
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one rule set in plain words
    Show {
        /// A jurisdiction (huzhou), a set's name (huzhou-2020-02-16) or a file
        #[arg(value_name = "NAME|FILE")]
        rules: String,
        /// When
        #[command(flatten)]
        at: At,
        /// Print the page of Markdown
        #[arg(long, conflicts_with = "toml")]
        markdown: bool,
        /// Print the rule file itself
        #[arg(long)]
        toml: bool,
    },
    /// Check rule files and tell all of their errors
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Tell what differs between two rule sets
    Diff {
        /// The one: a jurisdiction, a set's name or a file
        #[arg(value_name = "NAME|FILE")]
        before: String,
        /// The other
        #[arg(value_name = "NAME|FILE")]
        after: String,
        /// When
        #[command(flatten)]
        at: At,
    },
    /// Put a rule set in force in a run, or see first what that would change
    #[cfg(feature = "live")]
    Apply(ApplyArgs),
}

/// What was typed after `sanma rules apply`.
#[cfg(feature = "live")]
#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// A jurisdiction (huzhou: its set in force at the run's instant), a set's name (huzhou-2020-02-16) or a file
    #[arg(value_name = "NAME|FILE")]
    pub(super) rules: String,
    /// Only tell what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The run
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8620")]
    pub(super) connect: String,
    /// File that holds the token by which the run knows who asks
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Print what the run answers as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The instant at which a jurisdiction's name is resolved.
#[derive(Args, Debug)]
pub struct At {
    /// Instant at which a jurisdiction's set is looked up: 2020-02-20 or 2020-02-20T08:00:00+08:00; now if left out
    #[arg(long, value_name = "INSTANT", value_parser = super::args::instant)]
    as_of: Option<Timestamp>,
}

/// Does what was typed; `styled` is for a terminal with colour. `false` means that a checked file has errors, which are
/// printed already.
///
/// # Errors
/// A rule set that cannot be resolved, and whatever `out` refuses.
pub fn run(command: &RulesCommand, now: Timestamp, styled: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let catalog = Catalog::shipped().context("a shipped rule set is wrong")?;
    let find = |request: &str, at: &At| catalog.find(request, at.as_of.unwrap_or(now));
    match command {
        RulesCommand::List { json: true } => list_json(&catalog, out)?,
        RulesCommand::List { json: false } => list(&catalog, out)?,
        RulesCommand::Show { rules, at, markdown: true, .. } => {
            write!(out, "{}", markdown(&find(rules, at)?.program))?;
        }
        RulesCommand::Show { rules, at, toml: true, .. } => write!(out, "{}", find(rules, at)?.text)?,
        RulesCommand::Show { rules, at, .. } => show(&find(rules, at)?, out)?,
        RulesCommand::Check { files } => return check(files, styled, out),
        #[cfg(feature = "live")]
        RulesCommand::Apply(args) => apply::apply(args, &catalog, now, out)?,
        RulesCommand::Diff { before, after, at } => {
            diff(&find(before, at)?.program, &find(after, at)?.program, out)?;
        }
    }
    Ok(true)
}

fn in_force_from(program: &Program) -> Option<String> {
    program.effective_from.map(|from| from.to_rfc3339_at(program.utc_offset))
}

fn list(catalog: &Catalog, out: &mut dyn Write) -> std::io::Result<()> {
    let row = |set: &RuleSet| {
        let program = &set.program;
        [
            program.name.clone(),
            program.jurisdiction.clone().unwrap_or_default(),
            in_force_from(program).unwrap_or_else(|| "always".to_owned()),
            program.rules.len().to_string(),
            format!("{} {}", program.title.zh, program.title.en),
        ]
    };
    let mut rows = vec![["NAME", "JURISDICTION", "IN FORCE FROM", "RULES", "TITLE"].map(str::to_owned)];
    rows.extend(catalog.sets().iter().map(row));
    // The title is last and not padded, so its wide characters move nothing.
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2), width(3)];
    for [name, jurisdiction, from, rules, title] in &rows {
        let [w0, w1, w2, w3] = widths;
        writeln!(out, "{name:w0$}  {jurisdiction:w1$}  {from:w2$}  {rules:>w3$}  {title}")?;
    }
    Ok(())
}

fn list_json(catalog: &Catalog, out: &mut dyn Write) -> anyhow::Result<()> {
    let entry = |set: &RuleSet| {
        let program = &set.program;
        json!({
            "name": program.name,
            "jurisdiction": program.jurisdiction,
            "effective_from": in_force_from(program),
            "title": { "zh": program.title.zh, "en": program.title.en },
            "source": program.source,
            "version": program.version,
            "rules": program.rules.iter().map(|rule| json!({
                "id": rule.id,
                "colour": rule.colour.name(),
                "cite": rule.cite,
                "title": { "zh": rule.title.zh, "en": rule.title.en },
            })).collect::<Vec<_>>(),
        })
    };
    serde_json::to_writer_pretty(&mut *out, &catalog.sets().iter().map(entry).collect::<Vec<_>>())?;
    writeln!(out)?;
    Ok(())
}

fn show(set: &RuleSet, out: &mut dyn Write) -> std::io::Result<()> {
    let program = &set.program;
    writeln!(out, "{}: {}\n{}\n", program.name, program.title.en, program.title.zh)?;
    let mut facts =
        vec![("file", set.path.clone()), ("version", program.version.clone()), ("source", program.source.clone())];
    facts.extend(parameters(program));
    for (name, value) in facts {
        writeln!(out, "{name}: {value}")?;
    }
    for rule in &program.rules {
        let Rule { id, cite, title, advice, cause, .. } = rule;
        let (when, until) = (condition(program, cause), release(cause));
        writeln!(out, "\n{id} ({}, {cite}): {} {}", rule.colour.name(), title.en, title.zh)?;
        for (name, text) in [("active for whoever", &when), ("until", &until), ("advice", advice)] {
            writeln!(out, "  {name}\n    {}\n    {}", text.en, text.zh)?;
        }
    }
    Ok(())
}

fn check(files: &[PathBuf], styled: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let (mut wrong_files, mut errors_all) = (0, 0);
    for file in files {
        match RuleSet::read(file) {
            Ok(RuleSet { program, path, .. }) => {
                let rules = program.rules.len();
                writeln!(out, "{path}: good ({}, {rules} {})", program.name, plural(rules, "rule", "rules"))?;
                continue;
            }
            Err(ResolveError::Invalid(errors)) => {
                errors_all += errors.errors.len();
                writeln!(out, "{}\n", errors.render(styled))?;
            }
            Err(error) => {
                errors_all += 1;
                writeln!(out, "error: {:#}\n", anyhow::Error::from(error))?;
            }
        }
        wrong_files += 1;
    }
    if wrong_files > 0 {
        let (errors, of) = (plural(errors_all, "error", "errors"), plural(files.len(), "file", "files"));
        writeln!(out, "{errors_all} {errors} in {wrong_files} of {} {of}", files.len())?;
    }
    Ok(wrong_files == 0)
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn diff(before: &Program, after: &Program, out: &mut dyn Write) -> std::io::Result<()> {
    let by_id = |program: &Program, id: &str| program.rules.iter().find(|rule| rule.id == id).cloned();
    writeln!(out, "{} ({}) -> {} ({})", before.name, before.version, after.name, after.version)?;
    let mut differs = changes("", &fields::header(before), &fields::header(after), out)?;
    for rule in &before.rules {
        let Some(other) = by_id(after, &rule.id) else {
            writeln!(out, "- rule {} ({}, {}): {}", rule.id, rule.colour.name(), rule.cite, rule.title.en)?;
            differs = true;
            continue;
        };
        let heading = format!("rule {}", rule.id);
        differs |= changes(&heading, &fields::rule(before, rule), &fields::rule(after, &other), out)?;
    }
    for rule in after.rules.iter().filter(|rule| by_id(before, &rule.id).is_none()) {
        writeln!(out, "+ rule {} ({}, {}): {}", rule.id, rule.colour.name(), rule.cite, rule.title.en)?;
        for (key, value) in fields::rule(after, rule) {
            writeln!(out, "    {key}: {value}")?;
        }
        differs = true;
    }
    let order = |program: &Program, other: &Program| {
        let shared = program.rules.iter().filter(|rule| by_id(other, &rule.id).is_some());
        shared.map(|rule| rule.id.clone()).collect::<Vec<_>>().join(", ")
    };
    let (order_before, order_after) = (order(before, after), order(after, before));
    if order_before != order_after {
        writeln!(out, "order of rules: {order_before} -> {order_after}")?;
        differs = true;
    }
    if !differs {
        writeln!(out, "no difference in meaning or words")?;
    }
    Ok(())
}

/// Writes the fields that differ, under `heading` unless that is empty; whether there are any.
fn changes(heading: &str, before: &[Field], after: &[Field], out: &mut dyn Write) -> std::io::Result<bool> {
    let value = |fields: &[Field], key: &str| fields.iter().find(|field| field.0 == key).map(|field| field.1.clone());
    let added = after.iter().filter(|(key, _)| value(before, key).is_none());
    let changed = before
        .iter()
        .chain(added)
        .map(|&(key, _)| (key, value(before, key), value(after, key)))
        .filter(|(_, before, after)| before != after)
        .collect::<Vec<_>>();
    if !heading.is_empty() && !changed.is_empty() {
        writeln!(out, "{heading}")?;
    }
    for (key, before, after) in &changed {
        let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        writeln!(out, "  {key}: {} -> {}", shown(before), shown(after))?;
    }
    Ok(!changed.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(subcommand)]
        command: RulesCommand,
    }

    /// What is printed for what was typed, on 2020-02-20.
    fn ran(words: &[&str]) -> anyhow::Result<(bool, String)> {
        let typed = Typed::try_parse_from(std::iter::once(&"rules").chain(words))?;
        let now = Timestamp::parse_rfc3339("2020-02-20T00:00:00Z").expect("RFC 3339");
        let mut out = Vec::new();
        let well = run(&typed.command, now, false, &mut out)?;
        Ok((well, String::from_utf8(out)?))
    }

    #[test]
    fn every_shipped_set_is_listed() {
        let (well, table) = ran(&["list"]).expect("ran");
        assert!(well);
        assert_eq!(table.lines().count(), 5);
        assert!(table.contains("huzhou-2020-02-16    huzhou        2020-02-16T00:00:00+08:00      8  "), "{table}");
        let (_, text) = ran(&["list", "--json"]).expect("ran");
        let sets = serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        assert_eq!(sets[0]["name"], "hangzhou-2020-02-11");
        assert_eq!(sets[3]["rules"][1]["cite"], "Z-R2");
    }

    #[test]
    fn a_set_is_shown_in_words_as_a_page_and_as_its_file() {
        let (_, words) = ran(&["show", "huzhou"]).expect("ran");
        assert!(words.starts_with("huzhou-2020-02-16: "), "{words}");
        assert!(words.contains("\ncontact (red, Z-R2): Contact with a confirmed case"), "{words}");
        let (_, later) = ran(&["show", "huzhou", "--as-of", "2020-02-21"]).expect("ran");
        assert!(later.starts_with("huzhou-2020-02-21: "), "{later}");
        let (_, page) = ran(&["show", "huzhou", "--markdown"]).expect("ran");
        assert!(page.starts_with("# Huzhou health code"), "{page}");
        let (_, text) = ran(&["show", "hangzhou-2020-02-11", "--toml"]).expect("ran");
        assert_eq!(text, include_str!("../../datasets/rules/hangzhou-2020-02-11.toml"));
        assert!(ran(&["show", "huzhou", "--toml", "--markdown"]).is_err());
        assert!(ran(&["show", "suzhou"]).is_err());
    }

    #[test]
    fn all_errors_of_all_files_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = include_str!("../../datasets/rules/hangzhou-2020-02-11.toml");
        let paths = ["good", "two", "one"].map(|name| folder.path().join(name).display().to_string());
        std::fs::write(&paths[0], good).expect("written");
        let two = good.replace("days = 7", "days = 31").replace("clean_days = 3 ", "cleandays = 3 ");
        std::fs::write(&paths[1], two).expect("written");
        std::fs::write(&paths[2], "name = ").expect("written");
        let missing = folder.path().join("missing").display().to_string();
        let (well, told) = ran(&["check", &paths[0], &paths[1], &paths[2], &missing]).expect("ran");
        assert!(!well);
        assert!(told.contains("good: good (hangzhou-2020-02-11, 5 rules)"), "{told}");
        for part in ["`days` is 31", "`clean_days` is 31", "did you mean `clean_days`?", "not TOML", "missing: No such"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(told.ends_with("\n5 errors in 3 of 4 files\n"), "{told}");
        assert!(ran(&["check", &paths[0]]).expect("ran").0);
    }

    #[test]
    fn the_order_of_rules_is_a_difference() {
        let text = include_str!("../../datasets/rules/hangzhou-2020-02-11.toml");
        let before = Program::parse("", text).expect("good");
        let mut after = before.clone();
        after.rules.swap(0, 1);
        let mut out = Vec::new();
        diff(&before, &after, &mut out).expect("written");
        let told = String::from_utf8(out).expect("text");
        assert!(told.ends_with(
            "order of rules: false-declaration, patient, contact, area-key, symptoms \
             -> patient, false-declaration, contact, area-key, symptoms\n"
        ));
    }

    #[test]
    fn a_diff_names_what_changed_and_nothing_else() {
        let (_, told) = ran(&["diff", "huzhou-2020-02-16", "huzhou-2020-02-21"]).expect("ran");
        assert!(told.contains("\nrule contact\n  infectious_days_before_onset: 0 -> 2\n"), "{told}");
        assert!(
            told.contains("\n  effective_from: 2020-02-16T00:00:00+08:00 -> 2020-02-21T00:00:00+08:00\n"),
            "{told}"
        );
        assert_eq!(told.matches("\nrule ").count(), 1, "{told}");
        let (_, same) = ran(&["diff", "huzhou", "huzhou-2020-02-16"]).expect("ran");
        assert!(same.ends_with("no difference in meaning or words\n"), "{same}");
        let (_, cities) = ran(&["diff", "huzhou", "hangzhou"]).expect("ran");
        for part in ["- rule quarantine", "+ rule false-declaration", "  release.clean_days: 0 -> 14"] {
            assert!(cities.contains(part), "{part}: {cities}");
        }
    }
}

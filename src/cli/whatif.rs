//! `sanma whatif`: candidates for rules and listings, and who would change under each.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::args::WhatifArgs;
use super::config::{self, Setting};
use super::progress::Progress;
use super::summary::{SUMMARY_ROWS_MAX, grouped, print_changes, print_served, served_json};
use super::{Failure, peak_rss_bytes, progress, say};
use crate::cache::{self, Ready, Served};
use crate::diff::{Tally, Transition};
use crate::gazetteer;
use crate::ingest;
use crate::model::facts::RiskAreas;
use crate::model::published::ReasonLists;
use crate::model::{ClosedEnum as _, Colour, Region, Rejection};
use crate::nightly::{Phase, Watcher as _};
use crate::rules::Program;
use crate::sinks::{self, Destination, Staged};
use crate::whatif::{self, Candidate, Edit, Whatif};

/// A candidate, and how to speak of it.
struct Named<'a> {
    program: &'a Program,
    listings: &'a RiskAreas,
    /// The rule set.
    rules: String,
    /// What is done to the listings, a line each; none if they are the data's.
    edits: Vec<String>,
}

/// What a candidate would change, without anything of a person.
struct Told {
    rules: String,
    edits: Vec<String>,
    tally: Tally,
    by_district: BTreeMap<Region, BTreeMap<Transition, u64>>,
    took: Duration,
    output: Option<PathBuf>,
}

/// Computes and prints what each candidate would change.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &WhatifArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let setting = Setting::new(&args.question)?;
    let against = args.against.iter().map(|rules| config::program(rules, setting.as_of));
    let against: Vec<Program> = against.collect::<Result<_, _>>()?;
    let progress = Progress::new(args.json);
    let told = setting.pool.install(|| ask(args, &setting, &against, &progress));
    let phases = progress.finish();
    let (base, told) = told?;
    let run = Run { setting: &setting, base: &base, told: &told, phases: &phases };
    if args.json {
        writeln!(out, "{}", run.json())?;
    } else {
        for warning in &base.warnings {
            say(&format!("warning: {warning}"));
        }
        run.print(out)?;
    }
    Ok(out.flush()?)
}

/// What is in force.
struct Base {
    colours: BTreeMap<Colour, u64>,
    warnings: Vec<String>,
    cache: Option<Served>,
}

fn ask(
    args: &WhatifArgs,
    setting: &Setting,
    against: &[Program],
    progress: &Progress,
) -> Result<(Base, Vec<Told>), Failure> {
    progress.phase(Phase::Load);
    let (ready, cache) = cache::load(&args.question.data, args.question.cache.as_deref(), progress)?;
    let Ready { facts, rejections, mut warnings, .. } = ready;
    warnings.extend(invalid_rows(&rejections, &args.question.data.display().to_string()));
    let listings = facts.risk_areas().clone();
    let edit = Edit { list: args.list.clone(), delist: args.delist.clone() };
    let edited = edit.apply(&listings, setting.as_of).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut lists = Vec::new();
    for path in &args.risk_areas {
        let loaded = ingest::load_listings(path, progress)?;
        warnings.extend(invalid_rows(&loaded.rejections, &path.display().to_string()));
        lists.push((loaded.tables.risk_areas, path.display().to_string()));
    }

    progress.phase(Phase::Recompute);
    let mut whatif = Whatif::new(facts, &setting.program, setting.as_of, args.reasons);
    let served = cache.as_ref().map(|cache| cache.served().clone());
    let mut base = Base { colours: whatif.codes().by_colour(), warnings, cache: served };
    let destination = args.out.as_deref().map(|dir| Destination { dir, format: args.format.into() });
    destination.map_or(Ok(()), |destination| destination.make())?;
    let (mut told, mut staged) = (Vec::new(), Vec::new());
    for named in candidates(setting, against, &edit, &edited, &lists) {
        if progress::interrupted() {
            return Err(Failure::Interrupted);
        }
        let (next, answer) = tell(whatif, named, told.len() + 1, destination, &mut staged)?;
        whatif = next;
        told.push(answer);
    }
    sinks::commit(staged)?;
    if let Some(cache) = cache {
        progress.phase(Phase::Cache);
        let kept = cache.keep(&mut whatif.into_facts().listing(listings), &progress::interrupted);
        base.warnings.extend(kept.err().map(|error| error.to_string()));
    }
    Ok((base, told))
}

fn invalid_rows(rejections: &[Rejection], source: &str) -> Option<String> {
    let first = rejections.first()?;
    let (rows, reason) = (rejections.len(), first.reason.name());
    Some(format!(
        "{source}: {rows} invalid rows are left out, the first at {} in {}: {reason}",
        first.offset, first.source
    ))
}

/// The candidates: each rule set with the data's listings as edited, unless that is what is in force, and with each list.
fn candidates<'a>(
    setting: &'a Setting,
    against: &'a [Program],
    edit: &Edit,
    edited: &'a RiskAreas,
    lists: &'a [(RiskAreas, String)],
) -> Vec<Named<'a>> {
    let programs: Vec<&Program> = if against.is_empty() { vec![&setting.program] } else { against.iter().collect() };
    let mut found = Vec::new();
    for program in programs {
        let rules = format!("{} {}", program.name, program.version);
        if !against.is_empty() || !edit.is_empty() {
            found.push(Named { program, listings: edited, rules: rules.clone(), edits: describe(edit) });
        }
        for (listings, file) in lists {
            let edits = vec![format!("{} listings of {file}", grouped(listings.region.len() as u64))];
            found.push(Named { program, listings, rules: rules.clone(), edits });
        }
    }
    found
}

fn describe(edit: &Edit) -> Vec<String> {
    let named = |region: Region| match gazetteer::name_zh(region) {
        Some(name) => format!("{} {name}", region.code()),
        None => region.code().to_string(),
    };
    let delisted = edit.delist.iter().map(|&region| format!("{} delisted", named(region)));
    let listed = edit.list.iter().map(|&(region, level)| format!("{} listed {}", named(region), level.name()));
    delisted.chain(listed).collect()
}

/// Looks at one candidate.
fn tell<'a>(
    whatif: Whatif<'a>,
    named: Named<'_>,
    number: usize,
    destination: Option<Destination<'_>>,
    staged: &mut Vec<Staged>,
) -> Result<(Whatif<'a>, Told), Failure> {
    let begun = progress::clock();
    let candidate = Candidate { program: named.program, listings: named.listings };
    let (whatif, outcome) = whatif.outcome(&candidate);
    let took = begun.elapsed();
    let mut output = None;
    if let Some(destination) = destination {
        let mut lists = ReasonLists::default();
        let changes = whatif.changes(&candidate, &outcome, &mut lists);
        let name = format!("changes-{number}");
        let as_of = whatif.as_of();
        staged.push(destination.stage_changes(&name, &changes, &lists, as_of, &progress::interrupted)?);
        output = Some(destination.path_of(&name));
    }
    let (tally, by_district) = (outcome.tally, outcome.by_district);
    Ok((whatif, Told { rules: named.rules, edits: named.edits, tally, by_district, took, output }))
}

struct Run<'a> {
    setting: &'a Setting,
    base: &'a Base,
    told: &'a [Told],
    phases: &'a [(Phase, Duration)],
}

impl Run<'_> {
    fn seconds(&self, wanted: Phase) -> f64 {
        self.phases.iter().filter(|(phase, _)| *phase == wanted).map(|(_, took)| took.as_secs_f64()).sum()
    }

    fn json(&self) -> Value {
        let codes: Map<String, Value> =
            self.base.colours.iter().map(|(colour, &count)| (colour.name().to_owned(), count.into())).collect();
        let mut summary = json!({
            "as_of": self.setting.as_of.to_rfc3339(),
            "rules": {"name": self.setting.program.name, "version": self.setting.program.version},
            "people": self.base.colours.values().sum::<u64>(),
            "codes": codes,
            "candidates": self.told.iter().map(Told::json).collect::<Vec<_>>(),
            "phases_s": {"load": self.seconds(Phase::Load), "recompute": self.seconds(Phase::Recompute)},
            "threads": self.setting.pool.current_num_threads(),
            "peak_rss_bytes": peak_rss_bytes(),
            "warnings": self.base.warnings,
        });
        if let Some(object) = summary.as_object_mut() {
            object.extend(self.base.cache.as_ref().map(|served| ("cache".to_owned(), served_json(served))));
        }
        summary
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let program = &self.setting.program;
        let as_of = self.setting.as_of.to_rfc3339_at(program.utc_offset);
        writeln!(out, "{} at {as_of} (rules {} {})", program.title.en, program.name, program.version)?;
        writeln!(out)?;
        for (colour, &count) in &self.base.colours {
            writeln!(out, "{:>12} {}", grouped(count), colour.name())?;
        }
        for (number, told) in (1..).zip(self.told) {
            writeln!(out, "\nwhat if {number}: rules {}", told.rules)?;
            told.print(out)?;
        }
        writeln!(out)?;
        print_served(out, self.base.cache.as_ref())?;
        let (load, recompute) = (self.seconds(Phase::Load), self.seconds(Phase::Recompute));
        let (threads, memory) = (self.setting.pool.current_num_threads(), grouped(peak_rss_bytes() / 1_000_000));
        writeln!(out, "load {load:.3} s, recompute {recompute:.3} s; {threads} threads; peak memory {memory} MB")
    }
}

impl Told {
    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("rules".to_owned(), self.rules.clone().into());
        object.insert("listings".to_owned(), self.edits.clone().into());
        object.extend(self.tally.fields());
        object.insert("by_district".to_owned(), whatif::districts_json(&self.by_district));
        object.insert("seconds".to_owned(), self.took.as_secs_f64().into());
        object.insert("output".to_owned(), self.output.as_ref().map(|path| path.display().to_string()).into());
        object.into()
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        for edit in self.edits.iter().take(SUMMARY_ROWS_MAX) {
            writeln!(out, "{:>12} {edit}", "")?;
        }
        if self.edits.len() > SUMMARY_ROWS_MAX {
            writeln!(out, "{:>12} and {} more", "", self.edits.len() - SUMMARY_ROWS_MAX)?;
        }
        print_changes(out, &self.tally)?;
        self.print_districts(out)?;
        if let Some(path) = &self.output {
            writeln!(out, "\nwrote {}", path.display())?;
        }
        Ok(())
    }

    /// Where those live who change, and what their colour becomes; the districts with most, and the rest in one row.
    fn print_districts(&self, out: &mut dyn Write) -> std::io::Result<()> {
        if self.by_district.is_empty() {
            return Ok(());
        }
        let becomes = |transitions: &BTreeMap<Transition, u64>| -> [u64; 4] {
            let to = [Some(Colour::Green), Some(Colour::Yellow), Some(Colour::Red), None];
            to.map(|colour| transitions.iter().filter(|((_, after), _)| *after == colour).map(|(_, count)| count).sum())
        };
        let districts = self.by_district.iter().map(|(district, transitions)| (*district, becomes(transitions)));
        let mut districts: Vec<(Region, [u64; 4])> = districts.collect();
        districts.sort_by_key(|(district, counts)| (Reverse(counts.iter().sum::<u64>()), *district));
        let rest = districts.split_off(districts.len().min(SUMMARY_ROWS_MAX));
        writeln!(out, "\nby district  {:>12} {:>12} {:>12} {:>12}", "to green", "to yellow", "to red", "to none")?;
        let mut row = |head: &str, counts: [u64; 4], name: &str| {
            let [green, yellow, red, none] = counts.map(grouped);
            writeln!(out, "{head:>11}  {green:>12} {yellow:>12} {red:>12} {none:>12}  {name}")
        };
        for (district, counts) in &districts {
            let name = gazetteer::name_zh(*district).unwrap_or_default();
            row(&district.code().to_string(), *counts, &name)?;
        }
        if !rest.is_empty() {
            let sum = |to: usize| rest.iter().map(|(_, counts)| counts[to]).sum();
            row(&format!("{} more", rest.len()), [0, 1, 2, 3].map(sum), "")?;
        }
        Ok(())
    }
}

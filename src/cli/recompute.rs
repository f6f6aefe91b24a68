//! `sanma recompute`: the nightly job and its summary.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::args::RecomputeArgs;
use super::config::Setting;
use super::progress::Progress;
use super::summary::{SUMMARY_ROWS_MAX, grouped, print_changes, print_served, rows, served_json};
use super::{Failure, peak_rss_bytes, say};
use crate::gazetteer;
use crate::model::{ClosedEnum as _, Colour, Reason, Table};
use crate::nightly::{self, Job, JobError, Phase, Report};

/// Runs the job and prints what it did.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &RecomputeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let setting = Setting::new(&args.question)?;
    let job = Job {
        data: &args.question.data,
        cache: args.question.cache.as_deref(),
        program: &setting.program,
        as_of: setting.as_of,
        out: &args.out,
        previous: args.previous.as_deref(),
        format: args.format.into(),
        reasons: args.reasons,
        strict: args.strict,
    };
    let progress = Progress::new(args.quiet || args.json);
    let done = setting.pool.install(|| nightly::run(&job, &progress));
    let phases = progress.finish();
    let report = match done {
        Err(JobError::Strict { rows, .. }) if args.json => {
            let object = json!({"error": "strict", "rejections": rows});
            writeln!(out, "{object}")?;
            out.flush()?;
            done?
        }
        done => done?,
    };
    for warning in &report.warnings {
        if !args.quiet {
            say(&format!("warning: {warning}"));
        }
    }
    let run = Run { setting: &setting, report: &report, phases: &phases };
    if args.json {
        serde_json::to_writer(&mut *out, &run.json()).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if !args.quiet {
        run.print(out)?;
    }
    Ok(out.flush()?)
}

struct Run<'a> {
    setting: &'a Setting,
    report: &'a Report,
    phases: &'a [(Phase, Duration)],
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Load => "load",
        Phase::Recompute => "recompute",
        Phase::Summary => "summary",
        Phase::Write => "write",
        Phase::Cache => "cache",
    }
}

impl Run<'_> {
    fn facts(&self) -> u64 {
        self.report.facts.values().sum()
    }

    fn people(&self) -> u64 {
        self.report.colours.values().sum()
    }

    fn rejected(&self) -> u64 {
        self.report.rejections.values().sum()
    }

    /// Rows read: kept, replaced by a later one of the same id, or refused as invalid.
    fn rows_read(&self) -> u64 {
        let refused = self.report.rejections.iter().filter(|((_, reason), _)| *reason != Reason::ModificationLimit);
        self.facts() + self.report.duplicates.values().sum::<u64>() + refused.map(|(_, count)| count).sum::<u64>()
    }

    fn seconds(&self) -> f64 {
        self.phases.iter().map(|(_, took)| took.as_secs_f64()).sum()
    }

    fn json(&self) -> Value {
        let report = self.report;
        let colours = |counts: &BTreeMap<Colour, u64>| -> Map<String, Value> {
            Colour::ALL
                .iter()
                .map(|colour| (colour.name().to_owned(), counts.get(colour).copied().unwrap_or(0).into()))
                .collect()
        };
        let by_district = report.by_district.iter();
        let by_district: Map<String, Value> =
            by_district.map(|(district, counts)| (district.code().to_string(), colours(counts).into())).collect();
        let mut by_reason: Map<String, Value> = Map::new();
        for ((_, reason), count) in &report.rejections {
            let entry = by_reason.entry(reason.name()).or_insert(0.into());
            *entry = (entry.as_u64().unwrap_or(0) + count).into();
        }
        let tables = |counts: &BTreeMap<Table, u64>| -> Map<String, Value> {
            counts.iter().map(|(table, &count)| (table.name().to_owned(), count.into())).collect()
        };
        let phases: Map<String, Value> = self
            .phases
            .iter()
            .map(|(phase, took)| (phase_name(*phase).to_owned(), took.as_secs_f64().into()))
            .collect();
        let mut summary = json!({
            "as_of": self.setting.as_of.to_rfc3339(),
            "rules": {"name": self.setting.program.name, "version": self.setting.program.version},
            "people": self.people(),
            "codes": colours(&report.colours),
            "by_rule": report.by_rule.iter().map(|(rule, count)| (rule.clone(), Value::from(*count))).collect::<Map<_, _>>(),
            "by_district": by_district,
            "rejections": self.rejected(),
            "rejections_by_reason": by_reason,
            "duplicates": tables(&report.duplicates),
            "facts": self.facts(),
            "facts_by_table": tables(&report.facts),
            "phases_s": phases,
            "threads": self.setting.pool.current_num_threads(),
            "peak_rss_bytes": peak_rss_bytes(),
            "warnings": report.warnings,
            "outputs": report.outputs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        });
        if let Some(object) = summary.as_object_mut() {
            object.extend(report.changes.clone().unwrap_or_default().fields());
            object.extend(report.cache.as_ref().map(|served| ("cache".to_owned(), served_json(served))));
        }
        summary
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let (report, program) = (self.report, &self.setting.program);
        let as_of = self.setting.as_of.to_rfc3339_at(program.utc_offset);
        writeln!(out, "{} at {as_of} (rules {} {})", program.title.en, program.name, program.version)?;
        writeln!(out)?;
        writeln!(out, "{:>12} people with a code", grouped(self.people()))?;
        for colour in Colour::ALL {
            let count = report.colours.get(colour).copied().unwrap_or(0);
            writeln!(out, "{:>12} {}", grouped(count), colour.name())?;
        }
        let rules = report.by_rule.iter().filter(|(_, count)| *count > 0);
        rows(out, "by rule", rules.map(|(rule, count)| (rule.clone(), *count)))?;
        self.print_districts(out)?;
        if let Some(tally) = &report.changes {
            print_changes(out, tally)?;
        }
        let refusals = report.rejections.iter();
        rows(
            out,
            "refused rows",
            refusals.map(|((table, reason), &count)| {
                let table = table.map_or("no table", Table::name);
                (format!("{table}: {}", reason.name()), count)
            }),
        )?;
        let duplicates = report.duplicates.iter();
        rows(out, "replaced by a later row", duplicates.map(|(table, &count)| (table.name().to_owned(), count)))?;
        writeln!(out)?;
        for path in &report.outputs {
            writeln!(out, "wrote {}", path.display())?;
        }
        print_served(out, report.cache.as_ref())?;
        let phases: Vec<String> = self
            .phases
            .iter()
            .map(|(phase, took)| format!("{} {:.3} s", phase_name(*phase), took.as_secs_f64()))
            .collect();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate for people to read"
        )]
        let rate = (self.rows_read() as f64 / self.seconds().max(1e-9)) as u64;
        writeln!(
            out,
            "{}; {} facts, {} facts/s; {} threads; peak memory {} MB",
            phases.join(", "),
            grouped(self.facts()),
            grouped(rate),
            self.setting.pool.current_num_threads(),
            grouped(peak_rss_bytes() / 1_000_000),
        )
    }

    fn print_districts(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut districts: Vec<_> = self.report.by_district.iter().collect();
        districts.sort_by_key(|(district, counts)| (std::cmp::Reverse(counts.values().sum::<u64>()), **district));
        if districts.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nby district  {:>12} {:>12} {:>12}", "green", "yellow", "red")?;
        for (district, counts) in districts.iter().take(SUMMARY_ROWS_MAX) {
            let count = |colour| grouped(counts.get(&colour).copied().unwrap_or(0));
            let (green, yellow, red) = (count(Colour::Green), count(Colour::Yellow), count(Colour::Red));
            let name = gazetteer::name_zh(**district).unwrap_or_default();
            writeln!(out, "{:>11}  {green:>12} {yellow:>12} {red:>12}  {name}", district.code())?;
        }
        if districts.len() > SUMMARY_ROWS_MAX {
            writeln!(out, "{:>11}  and {} more", "", districts.len() - SUMMARY_ROWS_MAX)?;
        }
        Ok(())
    }
}

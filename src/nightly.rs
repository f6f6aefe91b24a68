//! The nightly job on one screen: load, recompute, compare, write, keep.
//!
//! The one idea: the stages are named in order in [`run`] and know nothing of each other; what the job wants is a [`Job`],
//! what it did is a [`Report`], and who watches is told where it stands.
//!
//! Invariants: nothing is written before every fact is read; outputs appear whole or not at all; the clock is the caller's.

use std::collections::BTreeMap;
use std::iter::zip;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::cache::{self, Ready, Served};
use crate::diff::{self, Change, Fresh, Tally};
use crate::evaluate::{self, Codes};
use crate::facts::Facts;
use crate::ingest::{IngestError, Observer, Published};
use crate::model::published::ReasonLists;
use crate::model::schema::{codes_schema, rejections_schema};
use crate::model::{ClosedEnum, Code, Colour, Reason, Region, RegionId, Rejection, Table, Timestamp};
use crate::rules::Program;
use crate::sinks::{self, Destination, OutputFormat, SinkError, Staged};

/// What a nightly job is asked to do.
#[derive(Debug)]
pub struct Job<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// Where facts are kept ready from one run to the next, if anywhere; made if it is not there.
    pub cache: Option<&'a Path>,
    /// The rules.
    pub program: &'a Program,
    /// T.
    pub as_of: Timestamp,
    /// Where outputs go; made if it is not there.
    pub out: &'a Path,
    /// Codes published earlier, to be compared with.
    pub previous: Option<&'a Path>,
    /// Format of the outputs.
    pub format: OutputFormat,
    /// Whether changes of reasons alone are changes.
    pub reasons: bool,
    /// Whether an invalid row is an error.
    pub strict: bool,
}

impl<'a> Job<'a> {
    const fn destination(&self) -> Destination<'a> {
        Destination { dir: self.out, format: self.format }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Files to indexed facts.
    Load,
    /// Facts to codes.
    Recompute,
    /// Codes to counts, and declarations that were refused at T.
    Summary,
    /// Codes to changes and files.
    Write,
    /// Facts to the cache.
    Cache,
}

/// Who watches a job.
pub trait Watcher: Observer {
    /// A phase begins; the one before it is over.
    fn phase(&self, _phase: Phase) {}
}

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Facts or earlier codes cannot be read.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// An output cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// There are invalid rows, and the job is strict. They have been written to `rejections`; codes have not been touched.
    #[error("{rows} invalid rows, and --strict allows none; they are in {}", .file.display())]
    Strict {
        /// How many.
        rows: usize,
        /// The file of rejections.
        file: PathBuf,
    },
}

impl JobError {
    /// Whether the job ended because it was told to.
    #[must_use]
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Ingest(IngestError::Interrupted) => true,
            Self::Sink(SinkError::Io { cause, .. }) => cause.kind() == std::io::ErrorKind::Interrupted,
            _ => false,
        }
    }
}

/// What a job did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Persons with a code, by colour.
    pub colours: BTreeMap<Colour, u64>,
    /// Persons for whom a rule is active and not excused, in rule order.
    pub by_rule: Vec<(String, u64)>,
    /// Persons with a code, by county (or city, province) of residence and colour.
    pub by_district: BTreeMap<Region, BTreeMap<Colour, u64>>,
    /// What changed, if there were earlier codes to compare with.
    pub changes: Option<Tally>,
    /// Rejections by table and reason.
    pub rejections: BTreeMap<(Option<Table>, Reason), u64>,
    /// Rows replaced by a later one of the same id.
    pub duplicates: BTreeMap<Table, u64>,
    /// Rows in the tables.
    pub facts: BTreeMap<Table, u64>,
    /// What looked odd.
    pub warnings: Vec<String>,
    /// Files written.
    pub outputs: Vec<PathBuf>,
    /// How the cache served, if there was to be one.
    pub cache: Option<Served>,
}

/// Runs a job.
///
/// # Errors
/// [`JobError`]; outputs of an earlier run are then as they were (but for `rejections` of a strict job).
pub fn run(job: &Job<'_>, watcher: &dyn Watcher) -> Result<Report, JobError> {
    watcher.phase(Phase::Load);
    let mut lists = ReasonLists::default();
    let published = job.previous.map(Published::read).transpose()?;
    let mut report = Report::default();
    let (Ready { mut facts, mut rejections, duplicates, sources, warnings }, cache) =
        cache::load(job.data, job.cache, watcher)?;
    if sources.is_empty() {
        report.warnings.push(format!("{} holds no table at all", job.data.display()));
    }
    report.warnings.extend(warnings);
    report.duplicates = duplicates;
    refuse_invalid(job, watcher, &rejections)?;

    watcher.phase(Phase::Recompute);
    let codes = evaluate::recompute(&facts, job.program, job.as_of);

    watcher.phase(Phase::Summary);
    rejections.extend(sinks::refused_declarations(&facts, job.program, job.as_of, &sources));
    rejections.par_sort_by(|left, right| place_of(left).cmp(&place_of(right)));
    summarise(&facts, job, &codes, &rejections, &mut report);
    if watcher.interrupted() {
        return Err(IngestError::Interrupted.into());
    }

    watcher.phase(Phase::Write);
    job.destination().make()?;
    let states = published
        .as_ref()
        .map(|published| (published.entries(&mut lists), Fresh::new(&facts, job.program, &codes, &mut lists)));
    let changes = states.as_ref().map(|(before, after)| diff::changes(before, after, job.reasons, &lists));
    report.changes = changes.as_ref().map(|changes| Tally::of(changes, &lists));
    write(job, watcher, &facts, &codes, changes.as_deref(), &lists, &rejections, &mut report)?;
    drop(changes);
    drop(states);

    if let Some(cache) = cache {
        watcher.phase(Phase::Cache);
        report.cache = Some(cache.served().clone());
        // The outputs stand: what goes wrong from here on costs the next run time, and nothing else.
        let kept = cache.keep(&mut facts, &|| watcher.interrupted());
        report.warnings.extend(kept.err().map(|error| error.to_string()));
    }
    Ok(report)
}

/// A total order, so that rejections of one place stand in one order, too.
fn place_of(rejection: &Rejection) -> (Option<Table>, &str, u64, Reason, Option<u64>, &str) {
    (rejection.table, &rejection.source, rejection.offset, rejection.reason, rejection.id, &rejection.row)
}

fn refuse_invalid(job: &Job<'_>, watcher: &dyn Watcher, rejections: &[Rejection]) -> Result<(), JobError> {
    if !job.strict || rejections.is_empty() {
        return Ok(());
    }
    job.destination().make()?;
    let file = job.destination().path_of("rejections");
    sinks::commit(vec![stage_rejections(job, watcher, rejections)?])?;
    Err(JobError::Strict { rows: rejections.len(), file })
}

fn summarise(facts: &Facts, job: &Job<'_>, codes: &Codes, rejections: &[Rejection], report: &mut Report) {
    report.facts = Table::ALL.into_iter().map(|table| (table, facts.rows_of(table) as u64)).collect();
    let (rules, regions) = (job.program.rules.len(), facts.regions.len());
    // Boxed: the pool hands them from one code to the next, and a pointer stays in a register.
    let empty = || Box::new(Counts { rules: vec![0; rules], regions: vec![[0; COLOURS]; regions] });
    let count = |mut counts: Box<Counts>, (person, code)| {
        let standing = evaluate::standing_declaration(facts, job.program, person, job.as_of);
        counts.add(code, standing.map(|row| facts.residence[row]));
        counts
    };
    let unite = |mut one: Box<Counts>, other: Box<Counts>| {
        one.absorb(&other);
        one
    };
    let counts = codes.par_iter().fold(empty, count).reduce(empty, unite);
    report.colours = codes.by_colour();
    report.by_rule = job.program.rules.iter().map(|rule| rule.id.clone()).zip(counts.rules).collect();
    for (number, colours) in (0..).map(RegionId::from_index).zip(counts.regions) {
        for (&colour, people) in Colour::ALL.iter().zip(colours).filter(|&(_, people)| people > 0) {
            let district = facts.regions.code(number).district();
            *report.by_district.entry(district).or_default().entry(colour).or_default() += people;
        }
    }
    for rejection in rejections {
        *report.rejections.entry((rejection.table, rejection.reason)).or_default() += 1;
    }
}

const COLOURS: usize = Colour::ALL.len();

/// Codes counted; one a thread, so that counting shares nothing.
struct Counts {
    rules: Vec<u64>,
    regions: Vec<[u64; COLOURS]>,
}

impl Counts {
    fn add(&mut self, code: Code, residence: Option<RegionId>) {
        for rule in code.reasons.iter() {
            self.rules[usize::from(rule.0)] += 1;
        }
        if let Some(region) = residence {
            self.regions[region.index()][code.colour as usize] += 1;
        }
    }

    fn absorb(&mut self, other: &Self) {
        let add = |mine: &mut [u64], theirs: &[u64]| zip(mine, theirs).for_each(|(mine, theirs)| *mine += theirs);
        add(&mut self.rules, &other.rules);
        zip(&mut self.regions, &other.regions).for_each(|(mine, theirs)| add(mine, theirs));
    }
}

/// Warnings about outputs of earlier runs that this run leaves beside its own.
fn stale_outputs(job: &Job<'_>, compared: bool) -> Vec<String> {
    let mut stale = Vec::new();
    for format in [OutputFormat::Parquet, OutputFormat::Csv, OutputFormat::Ndjson, OutputFormat::Arrow] {
        for output in ["codes", "changes", "rejections"] {
            let written = format == job.format && (output != "changes" || compared);
            let path = Destination { dir: job.out, format }.path_of(output);
            if !written && path.exists() {
                stale.push(format!("{} is of an earlier run", path.display()));
            }
        }
    }
    stale
}

fn stage_rejections(job: &Job<'_>, watcher: &dyn Watcher, rejections: &[Rejection]) -> Result<Staged, SinkError> {
    let batches = sinks::rejection_batches(rejections);
    job.destination().stage("rejections", &rejections_schema(), &batches, &|| watcher.interrupted())
}

#[expect(clippy::too_many_arguments, reason = "the last stage takes what every stage before it made")]
fn write(
    job: &Job<'_>,
    watcher: &dyn Watcher,
    facts: &Facts,
    codes: &Codes,
    changes: Option<&[Change<'_>]>,
    lists: &ReasonLists,
    rejections: &[Rejection],
    report: &mut Report,
) -> Result<(), SinkError> {
    let interrupted = || watcher.interrupted();
    let mut staged = vec![stage_rejections(job, watcher, rejections)?];
    report.outputs.push(job.destination().path_of("rejections"));
    if let Some(changes) = changes {
        staged.push(job.destination().stage_changes("changes", changes, lists, job.as_of, &interrupted)?);
        report.outputs.push(job.destination().path_of("changes"));
    }
    report.warnings.extend(stale_outputs(job, changes.is_some()));
    let batches = sinks::code_batches(facts, job.program, codes);
    staged.push(job.destination().stage("codes", &codes_schema(), &batches, &interrupted)?);
    report.outputs.push(job.destination().path_of("codes"));
    sinks::commit(staged)
}

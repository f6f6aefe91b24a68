//! `sanma diff`: what changed between two published files.

use std::io::Write;

use serde_json::Value;

use super::args::DiffArgs;
use super::summary::{grouped, print_changes};
use super::{Failure, config, peak_rss_bytes, progress};
use crate::compare::{self, Compared, Comparison};
use crate::sinks::Destination;

/// Compares and prints what changed.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &DiffArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let as_of = args.as_of.unwrap_or_else(config::now);
    let destination = args.out.as_deref().map(|dir| Destination { dir, format: args.format.into() });
    let comparison = Comparison {
        before: &args.before,
        after: &args.after,
        reasons: args.reasons,
        out: destination.map(|destination| (destination, as_of)),
    };
    let pool = config::pool(args.threads)?;
    let begun = progress::clock();
    let compared = pool.install(|| compare::run(&comparison, &progress::interrupted))?;
    let seconds = begun.elapsed().as_secs_f64();
    if args.json {
        let mut object = compared.tally.fields();
        object.insert("before".to_owned(), compared.before.into());
        object.insert("after".to_owned(), compared.after.into());
        object.insert("seconds".to_owned(), seconds.into());
        object.insert("threads".to_owned(), pool.current_num_threads().into());
        object.insert("peak_rss_bytes".to_owned(), peak_rss_bytes().into());
        let outputs: Vec<String> = compared.output.iter().map(|path| path.display().to_string()).collect();
        object.insert("outputs".to_owned(), outputs.into());
        writeln!(out, "{}", Value::Object(object))?;
    } else {
        print(out, &compared)?;
        let (threads, memory) = (pool.current_num_threads(), grouped(peak_rss_bytes() / 1_000_000));
        writeln!(out, "\n{seconds:.3} s; {threads} threads; peak memory {memory} MB")?;
    }
    Ok(out.flush()?)
}

fn print(out: &mut dyn Write, compared: &Compared) -> std::io::Result<()> {
    writeln!(out, "{:>12} people with a code before", grouped(compared.before))?;
    writeln!(out, "{:>12} people with a code after", grouped(compared.after))?;
    print_changes(out, &compared.tally)?;
    if let Some(path) = &compared.output {
        writeln!(out, "\nwrote {}", path.display())?;
    }
    Ok(())
}

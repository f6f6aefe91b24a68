//! `sanma generate`: a city, and a summary of it.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::GenerateArgs;
use super::summary::grouped;
use super::{Failure, config, peak_rss_bytes, progress};
use crate::generate::{self, Order, Watcher};
use crate::model::Table;

/// Makes the city and says what is in it.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(args: &GenerateArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let order = Order { people: args.people, seed: args.seed, days: args.days, dirt: args.dirt };
    let pool = config::pool(args.threads)?;
    let begun = progress::clock();
    let watcher = Bar::new(args.quiet);
    let made = pool.install(|| generate::generate(&order, &args.out, &watcher));
    watcher.bar.finish_and_clear();
    let report = made?;
    if args.quiet {
        return Ok(());
    }
    for (table, &rows) in &report.rows {
        writeln!(out, "{:>14} {}", grouped(rows), table.name())?;
    }
    writeln!(
        out,
        "\n{} people, {} of them infected ({} elsewhere) in {} days; at {}:",
        grouped(args.people.into()),
        grouped(report.infections),
        grouped(report.imported),
        args.days,
        report.as_of_text
    )?;
    writeln!(
        out,
        "sanma recompute --data {} --rules hangzhou --as-of {} --out codes",
        args.out.display(),
        report.as_of_text
    )?;
    writeln!(
        out,
        "{:.1} s; {} threads; peak memory {} MB",
        begun.elapsed().as_secs_f64(),
        pool.current_num_threads(),
        grouped(peak_rss_bytes() / 1_000_000)
    )?;
    Ok(out.flush()?)
}

/// Shows a bar on a terminal, a line a step otherwise.
struct Bar {
    bar: ProgressBar,
    lines: bool,
}

impl Bar {
    fn new(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), lines: !quiet && !std::io::stderr().is_terminal() }.shown(quiet)
    }

    fn shown(self, quiet: bool) -> Self {
        if !quiet && !self.lines {
            if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {percent}% {elapsed} (left {eta})") {
                self.bar.set_style(style);
            }
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
        self
    }
}

impl Watcher for Bar {
    fn begin(&self, work: u64) {
        self.bar.set_length(work);
    }

    fn step(&self, table: Option<Table>) {
        let name = table.map_or("epidemic", Table::name);
        if self.lines {
            super::say(name);
        } else {
            self.bar.set_message(name);
        }
    }

    fn advance(&self, work: u64) {
        self.bar.inc(work);
    }

    fn interrupted(&self) -> bool {
        progress::interrupted()
    }
}

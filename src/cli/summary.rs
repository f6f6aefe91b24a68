//! What summaries have in common: numbers in groups, lists with a title, changes.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::cache::Served;
use crate::diff::{Tally, Transition, colour_name};

/// Rows of a long list in a summary; the JSON has all.
pub(super) const SUMMARY_ROWS_MAX: usize = 12;

/// A number with thin groups of three digits: `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A list of counts under a title; nothing if it is empty.
///
/// # Errors
/// What the output said.
pub(super) fn rows(out: &mut dyn Write, title: &str, rows: impl Iterator<Item = (String, u64)>) -> std::io::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        writeln!(out, "\n{title}")?;
    }
    for (name, count) in rows {
        writeln!(out, "{:>12} {name}", grouped(count))?;
    }
    Ok(())
}

/// Changes by transition, then by rule.
///
/// # Errors
/// What the output said.
pub(super) fn print_changes(out: &mut dyn Write, tally: &Tally) -> std::io::Result<()> {
    if tally.changes == 0 {
        return writeln!(out, "\nno changes");
    }
    let arrow = |(before, after): &Transition| format!("{} -> {}", colour_name(*before), colour_name(*after));
    rows(out, "changes", tally.transitions.iter().map(|(transition, &count)| (arrow(transition), count)))?;
    let mut by_rule: BTreeMap<&String, [u64; 2]> = BTreeMap::new();
    for (side, counts) in [&tally.gained, &tally.lost].into_iter().enumerate() {
        for (rule, &count) in counts {
            by_rule.entry(rule).or_default()[side] = count;
        }
    }
    if !by_rule.is_empty() {
        writeln!(out, "\n{:>12} {:>12}", "gained", "lost")?;
    }
    for (rule, [gained, lost]) in by_rule {
        writeln!(out, "{:>12} {:>12} {rule}", grouped(gained), grouped(lost))?;
    }
    Ok(())
}

/// What the cache did, if there was to be one.
///
/// # Errors
/// What the output said.
pub(super) fn print_served(out: &mut dyn Write, served: Option<&Served>) -> std::io::Result<()> {
    let Some(Served { files_reused, files_read, rebuilt }) = served else { return Ok(()) };
    let why = rebuilt.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    writeln!(out, "cache: {files_reused} files reused, {files_read} read{why}")
}

/// What the cache did.
pub(super) fn served_json(served: &Served) -> Value {
    json!({"files_reused": served.files_reused, "files_read": served.files_read, "rebuilt": served.rebuilt})
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1 000");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}

//! A rule set as a page of Markdown.
//!
//! The one idea: the page is generated from the checked rules and committed, and a test holds the two equal, so the page
//! that people read is always the rules that decide.

use std::fmt::Write as _;

use super::program::{Bilingual, Program, Rule};
use super::words::{condition, release};
use crate::model::ClosedEnum as _;

/// The page, with a line break at its end.
#[must_use]
pub fn markdown(program: &Program) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = head(&mut page, program);
    let _ = table(&mut page, program);
    for rule in &program.rules {
        let _ = section(&mut page, program, rule);
    }
    page
}

fn head(page: &mut String, program: &Program) -> std::fmt::Result {
    writeln!(page, "# {}\n\n{}\n", line(&program.title.en), line(&program.title.zh))?;
    writeln!(
        page,
        "Generated from the rule set `{}`, version `{}`. Source: {}.\n",
        program.name,
        program.version,
        line(&program.source)
    )?;
    writeln!(page, "| | |\n|---|---|")?;
    for (name, value) in parameters(program) {
        writeln!(page, "| {name} | {} |", cell(&value))?;
    }
    writeln!(page)
}

/// The header's parameters with their values, as the page and `rules show` list them.
#[must_use]
pub(crate) fn parameters(program: &Program) -> Vec<(&'static str, String)> {
    let excused = program.names(program.excuses).collect::<Vec<_>>().join(", ");
    vec![
        ("jurisdiction", program.jurisdiction.clone().unwrap_or_else(|| "none".to_owned())),
        (
            "in force from",
            program.effective_from.map_or_else(|| "always".to_owned(), |from| from.to_rfc3339_at(program.utc_offset)),
        ),
        ("days are counted at UTC", offset(program.utc_offset.0)),
        ("modifications of a declaration", program.max_modifications.to_string()),
        ("days after which a fact no longer counts", program.retention_days.to_string()),
        ("fever from", format!("{} °C", program.fever_celsius)),
        ("rules that the white list excuses", if excused.is_empty() { "none".to_owned() } else { excused }),
    ]
}

/// `+08:00`
pub(crate) fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn table(page: &mut String, program: &Program) -> std::fmt::Result {
    writeln!(page, "A code is red if a red rule is active, else yellow if a yellow one is, else green.\n")?;
    writeln!(page, "| rule | colour | clause | active for whoever | until |\n|---|---|---|---|---|")?;
    for rule in &program.rules {
        let (when, until) = (condition(program, &rule.cause), release(&rule.cause));
        let (colour, cite) = (rule.colour.name(), cell(&rule.cite));
        writeln!(page, "| `{}` | {colour} | {cite} | {} | {} |", rule.id, cell(&when.en), cell(&until.en))?;
    }
    Ok(())
}

fn section(page: &mut String, program: &Program, rule: &Rule) -> std::fmt::Result {
    writeln!(page, "\n## `{}`: {}\n", rule.id, line(&rule.title.en))?;
    writeln!(page, "| | English | 中文 |\n|---|---|---|")?;
    let (when, until) = (condition(program, &rule.cause), release(&rule.cause));
    for (name, text) in [("title", &rule.title), ("active for", &when), ("until", &until), ("advice", &rule.advice)] {
        let Bilingual { zh, en } = text;
        writeln!(page, "| {name} | {} | {} |", cell(en), cell(zh))?;
    }
    Ok(())
}

/// A text of a rule file on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as the content of a table's cell.
fn cell(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Catalog;

    /// `SANMA_BLESS=1 cargo test --lib rules` writes the pages anew.
    #[test]
    fn the_committed_pages_are_the_generated_ones() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
        let bless = std::env::var_os("SANMA_BLESS").is_some();
        for set in Catalog::shipped().expect("the shipped sets are right").sets() {
            let path = folder.join(format!("{}.md", set.program.name));
            let page = markdown(&set.program);
            if bless {
                std::fs::create_dir_all(&folder).expect("a folder");
                std::fs::write(&path, &page).expect("written");
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == page, "{} is stale: run SANMA_BLESS=1 cargo test --lib rules", path.display());
        }
    }

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(cell("a | b\n c\\"), "a \\| b c\\\\");
        assert_eq!((offset(28_800), offset(-12_600)), ("+08:00".to_owned(), "-03:30".to_owned()));
    }
}

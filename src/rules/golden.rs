//! Tests that the golden cases of `tests/golden` are well formed: whoever writes one learns of a slip without the engine.
//!
//! The one idea: a case is data about rules and facts, so everything but the colours themselves can be checked here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Catalog, Program, UTC_OFFSET_DEFAULT};
use crate::model::{ClosedEnum as _, Colour, ColumnType, RuleId, Table, Timestamp};

/// The clauses of the notices that decide a colour, and the readings.
const DECIDING: &[&str] = &[
    "H-5a",
    "H-5b",
    "H-5c",
    "H-5d",
    "H-6",
    "H-10",
    "H-11",
    "H-rel",
    "Z-R1",
    "Z-R2",
    "Z-R3",
    "Z-R4",
    "Z-R5",
    "Z-Y1",
    "Z-Y2",
    "Z-G",
    "Z-lvl",
    "Z-obs",
    "Z-red",
    "Z-yel",
    "Z-init",
    "Z-rel",
    "Z-hand",
    "Z-false",
    "reading-onset-0",
    "reading-onset-2",
    "reading-rows",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    clause: String,
    says: String,
    rules: String,
    #[serde(default)]
    facts: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    title: String,
    as_of: String,
    #[serde(default)]
    facts: String,
    expect: BTreeMap<String, String>,
    #[serde(default)]
    valid_until: BTreeMap<String, String>,
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder of golden cases");
    let mut files = entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn every_deciding_clause_has_golden_cases() {
    let files = golden_files();
    for clause in DECIDING {
        let name = format!("{clause}.toml");
        assert!(files.iter().any(|path| path.ends_with(&name)), "tests/golden/{name} is missing");
    }
}

#[test]
fn golden_cases_are_well_formed() {
    let catalog = Catalog::shipped().expect("the shipped sets are right");
    for path in golden_files() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let golden: Golden = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let shown = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(!golden.says.is_empty() && !golden.case.is_empty(), "{shown}");
        assert!(shown.starts_with(golden.clause.split(':').next().unwrap_or_default()), "{shown}: {}", golden.clause);
        let program =
            catalog.resolve(&golden.rules, Timestamp::NEVER).unwrap_or_else(|error| panic!("{shown}: {error}"));
        for case in &golden.case {
            let shown = format!("{shown}, {}", case.title);
            assert!(Timestamp::parse_rfc3339(&case.as_of).is_some(), "{shown}: {}", case.as_of);
            golden
                .facts
                .lines()
                .chain(case.facts.lines())
                .filter(|line| !line.is_empty())
                .for_each(|line| fact(&shown, line));
            for (person, code) in &case.expect {
                expectation(&shown, &program, code);
                assert!(!person.is_empty(), "{shown}");
            }
            for (person, until) in &case.valid_until {
                assert!(case.expect.contains_key(person), "{shown}: {person}");
                let exact = Timestamp::parse_rfc3339(until);
                assert!(
                    until == "never" || exact > Timestamp::parse_typed(&case.as_of, UTC_OFFSET_DEFAULT),
                    "{shown}: {until}"
                );
            }
        }
    }
}

/// A fact names a table, has all columns that may not be null, and no others than the table's.
fn fact(shown: &str, line: &str) {
    let fact: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{shown}: {error}: {line}"));
    let table = fact["table"].as_str().and_then(Table::parse).unwrap_or_else(|| panic!("{shown}: no table: {line}"));
    let row = fact["row"].as_object().unwrap_or_else(|| panic!("{shown}: no row: {line}"));
    for column in table.columns() {
        let value = row.get(column.name).filter(|value| !value.is_null());
        assert!(value.is_some() || column.nullable, "{shown}: {} is missing: {line}", column.name);
        let (Some(value), ColumnType::Timestamp) = (value, column.kind) else { continue };
        assert!(value.as_str().and_then(Timestamp::parse_rfc3339).is_some(), "{shown}: {value}: {line}");
    }
    for key in row.keys() {
        assert!(table.columns().iter().any(|column| column.name == key), "{shown}: unknown column {key}: {line}");
    }
}

/// `none`, or a colour, `: reasons` where it is not green, ` (excused)`; the colour is the one that the reasons give.
fn expectation(shown: &str, program: &Program, code: &str) {
    if code == "none" {
        return;
    }
    let (code, excused) = code.strip_suffix(')').and_then(|code| code.split_once(" (")).unwrap_or((code, ""));
    let (colour, reasons) = code.split_once(": ").unwrap_or((code, ""));
    let numbers = |list: &str| {
        let ids = list.split(", ").filter(|id| !id.is_empty());
        ids.map(|id| {
            let found = program.numbered().find(|(_, rule)| rule.id == id).map(|(number, _)| number);
            found.unwrap_or_else(|| panic!("{shown}: no rule `{id}`"))
        })
        .collect::<Vec<RuleId>>()
    };
    let (reasons, excused) = (numbers(reasons), numbers(excused));
    assert!(reasons.is_sorted() && excused.is_sorted(), "{shown}: {code}: ids stand in rule order");
    assert!(excused.iter().all(|&rule| program.excuses.contains(rule)), "{shown}: {code}: not excused by the list");
    let given = reasons.iter().map(|&rule| program.rule(rule).colour).max().unwrap_or(Colour::Green);
    assert_eq!(Colour::parse(colour), Some(given), "{shown}: {code}");
}

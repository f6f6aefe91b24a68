//! The golden cases: facts as files, an instant, and the codes that the clause gives, by kernels and by `explain`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sanma::evaluate::recompute;
use sanma::explain;
use sanma::facts::{Facts, Names};
use sanma::ingest::{self, Unobserved};
use sanma::model::{ClosedEnum as _, Code, PersonId, Timestamp};
use sanma::rules::{Catalog, Program};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rules: String,
    #[serde(default)]
    facts: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    title: String,
    as_of: String,
    #[serde(default)]
    facts: String,
    expect: BTreeMap<String, String>,
    #[serde(default)]
    valid_until: BTreeMap<String, String>,
}

/// As a golden file spells a code: `colour`, `: reasons` unless green, ` (excused)` if any; `none` for no code.
fn spelt(program: &Program, code: Option<Code>) -> String {
    let Some(code) = code else { return "none".to_owned() };
    let names = |mask| program.names(mask).collect::<Vec<_>>().join(", ");
    let reasons = if code.reasons.is_empty() { String::new() } else { format!(": {}", names(code.reasons)) };
    let excused = if code.excused.is_empty() { String::new() } else { format!(" ({})", names(code.excused)) };
    format!("{}{reasons}{excused}", code.colour.name())
}

/// What differs from the expected, in words.
fn differences(program: &Program, golden: &Golden, case: &Case) -> Vec<String> {
    let mut by_table: BTreeMap<String, String> = BTreeMap::new();
    for line in golden.facts.lines().chain(case.facts.lines()).filter(|line| !line.is_empty()) {
        let fact: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let rows = by_table.entry(fact["table"].as_str().expect("a table").to_owned()).or_default();
        rows.push_str(&fact["row"].to_string());
        rows.push('\n');
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (table, rows) in &by_table {
        std::fs::write(folder.path().join(format!("{table}.ndjson")), rows).expect("written");
    }
    let loaded = ingest::load(folder.path(), &Unobserved).expect("loaded");
    assert!(loaded.rejections.is_empty(), "{}: {:?}", case.title, loaded.rejections);
    let ids = (0u32..).take(loaded.persons.len()).map(PersonId);
    let ids = ids.map(|id| (loaded.persons.get(id.index()).to_owned(), id)).collect::<BTreeMap<_, _>>();
    let tables = loaded.tables.clone();
    let names = Names { persons: loaded.persons, places: loaded.places, labels: loaded.labels };
    let facts = Facts::new(loaded.tables, names);
    let at = Timestamp::parse_rfc3339(&case.as_of).expect("an instant");
    let codes = recompute(&facts, program, at);
    let mut wrong = Vec::new();
    for (person, expected) in &case.expect {
        let fast = ids.get(person).and_then(|&id| codes.of(id));
        let slow = ids.get(person).and_then(|&id| explain::code_at(&tables, program, id, at));
        for (who, code) in [("kernels", fast), ("explain", slow)] {
            let found = spelt(program, code);
            if found != *expected {
                wrong.push(format!("{}: {person} is {found} by {who}, expected {expected}", case.title));
            }
            let Some(until) = case.valid_until.get(person) else { continue };
            let expected = Timestamp::parse_rfc3339(until).unwrap_or(Timestamp::NEVER);
            let found = code.map_or(Timestamp::NEVER, |code| code.valid_until);
            if found != expected {
                let found = found.to_rfc3339_at(program.utc_offset);
                wrong.push(format!("{}: {person} is valid until {found} by {who}, expected {until}", case.title));
            }
        }
    }
    wrong
}

#[test]
fn golden_cases_hold() {
    let catalog = Catalog::shipped().expect("the shipped sets are right");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder of golden cases");
    let mut files = entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<PathBuf>>();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let (mut cases, mut wrong) = (0, Vec::new());
    for path in files {
        let golden: Golden = toml::from_str(&std::fs::read_to_string(&path).expect("readable")).expect("TOML");
        let program = catalog.resolve(&golden.rules, Timestamp::NEVER).expect("a rule set");
        for case in &golden.case {
            cases += 1;
            let found = differences(&program, &golden, case);
            wrong.extend(found.into_iter().map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} golden cases:\n{}", wrong.len(), wrong.join("\n"));
}

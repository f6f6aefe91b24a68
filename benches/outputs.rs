//! Outputs of a million people: codes written, read back and compared.

use std::path::{Path, PathBuf};

use sanma::compare::{self, Comparison};
use sanma::evaluate::{self, Codes};
use sanma::facts::{Facts, Names};
use sanma::intern::Tokens;
use sanma::model::facts::{Declaration, Declarations, TableColumns as _, Tables};
use sanma::model::schema::codes_schema;
use sanma::model::time::MICROS_PER_MINUTE;
use sanma::model::{DocType, EnumSet, Origin, PersonId, Region, Symptom, Timestamp};
use sanma::rules::Program;
use sanma::sinks::{self, OutputFormat};

/// Microseconds.
const HOUR: i64 = 60 * MICROS_PER_MINUTE;
const PEOPLE: u32 = 1_000_000;

struct Night {
    facts: Facts,
    program: Program,
    codes: Codes,
}

/// The codes of people who have declared in the fortnight before, a tenth of them with a fever, under tokens in no order.
fn night(hours_before: i64) -> Night {
    let (program, at) = crate::program("huzhou");
    let tokens: Vec<String> = (0..PEOPLE)
        .map(|person| format!("{:016x}", u64::from(person).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(23)))
        .collect();
    let mut declarations = Declarations::default();
    for person in 0..PEOPLE {
        declarations.push(Declaration {
            id: person.into(),
            person: PersonId(person),
            declared_at: Timestamp(at.0 - HOUR * i64::from(person % 336)),
            doc_type: DocType::ResidentId,
            residence: Region::new(330_106).expect("a region"),
            came_from: None,
            arrived_at: None,
            symptoms: if person % 10 == 3 { EnumSet::from_iter([Symptom::Fever]) } else { EnumSet::default() },
            admissions: EnumSet::default(),
            enterprise: None,
            origin: Origin::default(),
        });
    }
    let persons = Tokens::from_distinct(tokens.iter().map(String::as_str));
    let facts = Facts::new(Tables { declarations, ..Tables::default() }, Names { persons, ..Names::default() });
    let codes = evaluate::recompute(&facts, &program, Timestamp(at.0 - HOUR * hours_before));
    Night { facts, program, codes }
}

fn written(night: &Night, format: OutputFormat) -> Vec<u8> {
    let mut out = Vec::new();
    let batches = sinks::code_batches(&night.facts, &night.program, &night.codes);
    sinks::write_batches(&mut out, "codes".as_ref(), format, &codes_schema(), &batches, &|| false).expect("written");
    out
}

#[divan::bench(name = "write/people=1m", args = ["parquet", "arrow", "csv", "ndjson"], sample_count = 10)]
fn write(bencher: divan::Bencher<'_, '_>, format: &str) {
    let night = night(0);
    let format = format_of(format);
    bencher.bench(|| written(&night, format));
}

fn format_of(name: &str) -> OutputFormat {
    let all = [OutputFormat::Parquet, OutputFormat::Arrow, OutputFormat::Csv, OutputFormat::Ndjson];
    all.into_iter().find(|format| format.extension() == name).expect("a format")
}

#[divan::bench(name = "diff/people=1m", args = ["parquet", "arrow", "csv", "ndjson"], sample_count = 10)]
fn diff(bencher: divan::Bencher<'_, '_>, format: &str) {
    let dir = tempfile::tempdir().expect("room on the disk");
    let file = |name: &str, hours_before: i64| -> PathBuf {
        let path = dir.path().join(format!("{name}.{format}"));
        std::fs::write(&path, written(&night(hours_before), format_of(format))).expect("room on the disk");
        path
    };
    let (before, after) = (file("before", 24), file("after", 0));
    bencher.bench(|| compared(&before, &after));
}

fn compared(before: &Path, after: &Path) -> u64 {
    let comparison = Comparison { before, after, reasons: true, out: None };
    compare::run(&comparison, &|| false).expect("two files of codes").tally.changes
}

//! CSV and NDJSON.
//!
//! The one idea: bytes are built in memory and lines counted on the way, so that a row's place is known even where a quoted
//! text holds a line break. The freedom taken: time zones and fractions of instants, order of keys, nulls spelt or
//! left out, line ends, quotes, spaces.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use sanma::model::{Timestamp, UtcOffset};
use serde_json::Value;

use super::cells::Cell;
use super::draw::{Draw, LOCAL};
use super::files::{Content, Sheet, Slot};

/// The file's bytes, and the line on which each row begins.
pub fn csv(sheet: &Sheet<'_>, draw: &mut Draw) -> (Vec<u8>, Vec<u64>) {
    let mut builder = WriterBuilder::new();
    builder.flexible(true);
    if sheet.varied {
        builder.terminator(draw.pick(&[Terminator::Any(b'\n'), Terminator::CRLF]));
        builder.quote_style(draw.pick(&[QuoteStyle::Necessary, QuoteStyle::Always]));
    }
    let mut writer = builder.from_writer(Vec::new());
    let names = sheet.slots.iter().map(|slot| match *slot {
        Slot::Column(index) => sheet.table.columns()[index].name,
        Slot::Extra(name) => name,
    });
    writer.write_record(names).expect("a vector takes all");
    let mut lines = Vec::new();
    for row in &sheet.rows {
        writer.flush().expect("a vector takes all");
        lines.push(lines_in(writer.get_ref()) + 1);
        let record: Vec<String> = match row {
            Content::Cells(cells) => {
                sheet.slots.iter().map(|slot| csv_field(cells, *slot, sheet.varied, draw)).collect()
            }
            Content::Fields(more) => {
                let count = sheet.slots.len().checked_add_signed(*more).expect("a field or more");
                (0..count).map(|number| number.to_string()).collect()
            }
            Content::Line(_) => unreachable!("no CSV"),
        };
        writer.write_record(&record).expect("a vector takes all");
    }
    let mut bytes = writer.into_inner().expect("a vector takes all");
    drop_last_line_end(&mut bytes, sheet, draw);
    (bytes, lines)
}

fn csv_field(cells: &[Cell], slot: Slot, varied: bool, draw: &mut Draw) -> String {
    let Slot::Column(index) = slot else { return draw.pick(&["", "3", "a, \"b\""]).to_owned() };
    match &cells[index] {
        Cell::Null => String::new(),
        Cell::Instant(at) => spell(*at, varied, draw),
        Cell::Odd(Value::String(text)) => text.clone(),
        // `Display` of floats, integers and truth values is what CSV wants; only instants and nulls differ.
        cell => cell.to_string(),
    }
}

/// The file's bytes, and the line on which each row stands.
pub fn ndjson(sheet: &Sheet<'_>, draw: &mut Draw) -> (Vec<u8>, Vec<u64>) {
    let line_end: &[u8] = if sheet.varied && draw.chance(20) { b"\r\n" } else { b"\n" };
    let mut bytes = Vec::new();
    let mut lines = Vec::new();
    for row in &sheet.rows {
        lines.push(lines_in(&bytes) + 1);
        match row {
            Content::Cells(cells) => bytes.extend_from_slice(object(sheet, cells, draw).as_bytes()),
            Content::Line(line) => bytes.extend_from_slice(line),
            Content::Fields(_) => unreachable!("no NDJSON"),
        }
        bytes.extend_from_slice(line_end);
    }
    drop_last_line_end(&mut bytes, sheet, draw);
    (bytes, lines)
}

fn object(sheet: &Sheet<'_>, cells: &[Cell], draw: &mut Draw) -> String {
    let mut slots = sheet.slots.clone();
    if sheet.varied && draw.chance(30) {
        draw.shuffle(&mut slots);
    }
    let mut fields = Vec::new();
    for slot in slots {
        let space = if sheet.varied && draw.chance(20) { " " } else { "" };
        let (name, value) = match slot {
            Slot::Extra(name) => {
                (name, draw.pick(&["null", "3", "[1, {\"a\": \"}\"}]", "\"a, \\\"b\\\"\""]).to_owned())
            }
            Slot::Column(index) => {
                if sheet.varied && cells[index] == Cell::Null && draw.chance(50) {
                    continue;
                }
                (sheet.table.columns()[index].name, json(&cells[index], sheet.varied, draw))
            }
        };
        fields.push(format!("{space}\"{name}\":{space}{value}"));
    }
    format!("{{{}}}", fields.join(","))
}

fn json(cell: &Cell, varied: bool, draw: &mut Draw) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Text(text) => Value::from(text.as_str()).to_string(),
        Cell::Instant(at) => Value::from(spell(*at, varied, draw)).to_string(),
        Cell::Odd(value) => value.to_string(),
        Cell::Int(_) | Cell::Float(_) | Cell::Bool(_) => cell.to_string(),
    }
}

/// One of the ways in which RFC 3339 spells an instant.
fn spell(at: Timestamp, varied: bool, draw: &mut Draw) -> String {
    if !varied {
        return at.to_rfc3339();
    }
    let text = at.to_rfc3339_at(draw.pick(&[UtcOffset::UTC, LOCAL, UtcOffset(-12_600)]));
    if text.contains('.') || draw.chance(70) {
        return text;
    }
    // Seconds are exact: a fraction of zeros says the same.
    let (seconds, zone) = text.split_at("2020-02-18T00:00:00".len());
    format!("{seconds}{}{zone}", draw.pick(&[".0", ".000", ".000000", ".000000000"]))
}

/// Line feeds so far: one less than the number of the line that is next to begin.
pub fn lines_in(bytes: &[u8]) -> u64 {
    bytes.split(|&byte| byte == b'\n').count() as u64 - 1
}

fn drop_last_line_end(bytes: &mut Vec<u8>, sheet: &Sheet<'_>, draw: &mut Draw) {
    if sheet.varied && draw.chance(20) {
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
    }
}

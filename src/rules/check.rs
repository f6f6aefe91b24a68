//! Checks a rule file and compiles it: text in, a [`Program`] or all of its errors out.
//!
//! The one idea: two readings. The first notes every rule's id and whether it is a first-degree contact rule, so that
//! `excuses` and `through` may name a rule that stands later; the second reads everything and builds the rules.
//!
//! Invariant: a `Program` comes out only of a file without a single error.

use std::ops::Range;

use toml::de::DeTable;

use super::cause::{self, Context};
use super::error::{RuleErrorKind, RuleErrors, near_miss};
use super::program::{Bilingual, Program, Rule};
use super::syntax::{Errors, Section, Value, listed};
use crate::limits::{KEY_BYTES_MAX, RETENTION_DAYS_MAX, RULES_MAX};
use crate::model::{ClosedEnum as _, Colour, RuleId, RuleMask, UtcOffset};

/// The clock of a rule set that names none, and of an instant that is typed without an offset.
pub const UTC_OFFSET_DEFAULT: UtcOffset = UtcOffset(8 * 3600);
const MAX_MODIFICATIONS_DEFAULT: u32 = 1;
const FEVER_CELSIUS_DEFAULT: f64 = 37.3;

/// What the first reading notes of a rule.
pub(super) struct Outline<'d> {
    /// Its id, where it has one.
    pub(super) id: Option<&'d str>,
    /// Whether a second-degree rule may name it. A contact rule whose degree is itself an error passes: one error is enough.
    pub(super) first_degree: bool,
}

impl Program {
    /// Reads and checks a rule file's text; `path` is what errors call it.
    ///
    /// # Errors
    /// All that is wrong with the text, at once; if it is not TOML, only that.
    pub fn parse(path: &str, text: &str) -> Result<Self, RuleErrors> {
        let mut errors = Errors::default();
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        if !syntax_errors.is_empty() {
            // What the parser recovered may lack what the text holds, so checking it would invent errors. After the first
            // error of a line the parser is out of step for the rest of it.
            let mut line_told = None;
            for error in syntax_errors {
                let span = error.span().unwrap_or(0..0);
                let line_start = text[..text.floor_char_boundary(span.start)].rfind('\n');
                if line_told.replace(line_start) != Some(line_start) {
                    errors.add(span, RuleErrorKind::Syntax { message: error.message().to_owned() });
                }
            }
            return Err(gathered(path, text, errors));
        }
        let program = rule_set(document.get_ref(), version(text), &mut errors);
        let errors = gathered(path, text, errors);
        if errors.errors.is_empty() { Ok(program) } else { Err(errors) }
    }
}

fn gathered(path: &str, text: &str, errors: Errors) -> RuleErrors {
    RuleErrors { path: path.to_owned(), text: text.to_owned(), errors: errors.into_sorted() }
}

/// 64-bit FNV-1a of the text, in hexadecimal: it tells one version of a file from another and secures nothing.
fn version(text: &str) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let digest = text.bytes().fold(BASIS, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{digest:016x}")
}

fn rule_set(document: &DeTable<'_>, version: String, errors: &mut Errors) -> Program {
    // The document's own span is empty; a key missing at the top is reported at the first line.
    let mut top = Section::new(document, 0..0, "the rule set".to_owned());
    let name_value = top.required("name", errors);
    let name = name_value.and_then(|value| value.text(errors)).unwrap_or_default();
    if let Some(value) = name_value.filter(|_| name.is_empty()) {
        errors.add(value.span(), RuleErrorKind::Empty { key: "name" });
    }
    let jurisdiction = top.optional("jurisdiction").and_then(|value| value.text(errors)).map(str::to_owned);
    let utc_offset = top.optional("utc_offset").map_or(UTC_OFFSET_DEFAULT, |value| utc_offset(value, errors));
    let retention_days =
        top.required("retention_days", errors).map_or(RETENTION_DAYS_MAX, |days| retention(days, errors));
    let rule_tables = top.optional("rule").map(|value| rule_tables(value, errors)).unwrap_or_default();
    let outlines = rule_tables.iter().map(outline).collect::<Vec<_>>();
    let context = Context { utc_offset, retention_days, outlines: &outlines };
    let program = Program {
        name: name.to_owned(),
        jurisdiction,
        effective_from: top.optional("effective_from").and_then(|value| value.instant(utc_offset, errors)),
        title: bilingual(&mut top, "title", "the rule set", errors),
        source: top.text("source", errors),
        utc_offset,
        max_modifications: max_modifications(&mut top, errors),
        retention_days,
        fever_celsius: top
            .optional("fever_celsius")
            .and_then(|value| value.number(errors))
            .unwrap_or(FEVER_CELSIUS_DEFAULT),
        excuses: top.optional("whitelist").map_or(RuleMask::EMPTY, |value| whitelist(value, &outlines, errors)),
        rules: rules(rule_tables, &context, errors),
        version,
    };
    top.finish(|_| None, errors);
    program
}

/// One below the greatest count, so that 1 + `max_modifications` is a count too.
fn max_modifications(top: &mut Section<'_>, errors: &mut Errors) -> u32 {
    top.optional("max_modifications")
        .and_then(|value| value.count(u32::MAX - 1, errors))
        .unwrap_or(MAX_MODIFICATIONS_DEFAULT)
}

fn retention(value: Value<'_>, errors: &mut Errors) -> u32 {
    match value.count(u32::MAX, errors) {
        Some(found) if found > RETENTION_DAYS_MAX => {
            let hint = "the days of a health record fit one machine word of 64 bits";
            errors.add_with_hint(value.span(), RuleErrorKind::Retention { found }, hint);
            RETENTION_DAYS_MAX
        }
        found => found.unwrap_or(RETENTION_DAYS_MAX),
    }
}

/// `+08:00`: sign, two digits of hours below 24, two digits of minutes below 60.
fn utc_offset(value: Value<'_>, errors: &mut Errors) -> UtcOffset {
    let Some(text) = value.text(errors) else { return UTC_OFFSET_DEFAULT };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let seconds = match *text.as_bytes() {
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => (|| {
            let (hours, minutes) = (digit(h1)? * 10 + digit(h0)?, digit(m1)? * 10 + digit(m0)?);
            let seconds = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            Some(if sign == b'-' { -seconds } else { seconds })
        })(),
        _ => None,
    };
    seconds.map_or_else(
        || {
            errors.add_with_hint(value.span(), RuleErrorKind::UtcOffset { found: text.to_owned() }, "write \"+08:00\"");
            UTC_OFFSET_DEFAULT
        },
        UtcOffset,
    )
}

/// A required table of a text in Chinese and the same in English.
fn bilingual(section: &mut Section<'_>, key: &'static str, of: &str, errors: &mut Errors) -> Bilingual {
    let name = format!("`{key}` of {of}");
    let Some(mut texts) = section.required(key, errors).and_then(|value| value.section(name, errors)) else {
        return Bilingual { zh: String::new(), en: String::new() };
    };
    let both = Bilingual { zh: texts.text("zh", errors), en: texts.text("en", errors) };
    texts.finish(|_| None, errors);
    both
}

fn whitelist(value: Value<'_>, outlines: &[Outline<'_>], errors: &mut Errors) -> RuleMask {
    let mut mask = RuleMask::EMPTY;
    let Some(mut section) = value.section("`[whitelist]`".to_owned(), errors) else { return mask };
    let ids = section.required("excuses", errors).and_then(|value| value.items(errors)).unwrap_or_default();
    for id in ids {
        if let Some(rule) = named_rule("excuses", id, outlines, errors) {
            mask.insert(rule);
        }
    }
    section.finish(|_| None, errors);
    mask
}

/// The rule that `value` names, or an error. Rules past the 64th are an error of their own and are not found again here.
pub(super) fn named_rule(
    key: &'static str,
    value: Value<'_>,
    outlines: &[Outline<'_>],
    errors: &mut Errors,
) -> Option<RuleId> {
    let id = value.text(errors)?;
    let Some(index) = outlines.iter().position(|outline| outline.id == Some(id)) else {
        let known = outlines.iter().filter_map(|outline| outline.id).collect::<Vec<_>>();
        let hint = match near_miss(id, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "the set has no rules".to_owned(),
            None => format!("the set's rules: {}", listed(&known)),
        };
        errors.add_with_hint(value.span(), RuleErrorKind::UnknownRule { key, id: id.to_owned() }, hint);
        return None;
    };
    u8::try_from(index).ok().filter(|&number| usize::from(number) < RULES_MAX).map(RuleId)
}

/// The `[[rule]]` tables, with the span of each header.
fn rule_tables<'d>(value: Value<'d>, errors: &mut Errors) -> Vec<(&'d DeTable<'d>, Range<usize>)> {
    let mut tables = Vec::new();
    for item in value.items(errors).unwrap_or_default() {
        if let Some(table) = item.table(errors) {
            tables.push((table, item.span()));
        }
    }
    if let Some((_, span)) = tables.get(RULES_MAX) {
        errors.add(span.clone(), RuleErrorKind::TooManyRules { found: tables.len() });
    }
    tables
}

fn outline<'d>((table, _): &(&'d DeTable<'d>, Range<usize>)) -> Outline<'d> {
    let text = |key| table.get(key).and_then(|value| value.get_ref().as_str());
    let degree = table.get("degree").and_then(|value| value.get_ref().as_integer());
    let second = degree.is_some_and(|degree| u32::from_str_radix(degree.as_str(), degree.radix()) == Ok(2));
    Outline { id: text("id"), first_degree: text("cause") == Some("contact") && !second }
}

fn rules(tables: Vec<(&DeTable<'_>, Range<usize>)>, context: &Context<'_>, errors: &mut Errors) -> Vec<Rule> {
    tables
        .into_iter()
        .enumerate()
        .map(|(number, (table, span))| {
            let name = match context.outlines[number].id {
                Some(id) if !id.is_empty() => format!("rule `{id}`"),
                _ => format!("rule {}", number + 1),
            };
            rule(Section::new(table, span, name.clone()), &name, number, context, errors)
        })
        .collect()
}

fn rule(mut section: Section<'_>, name: &str, number: usize, context: &Context<'_>, errors: &mut Errors) -> Rule {
    let id = rule_id(&mut section, number, context.outlines, errors);
    let colour = section
        .required("colour", errors)
        .and_then(|value| value.word(&["red", "yellow"], errors))
        .and_then(Colour::parse)
        .unwrap_or(Colour::Red);
    let title = bilingual(&mut section, "title", name, errors);
    let advice = bilingual(&mut section, "advice", name, errors);
    let cite = section.text("cite", errors);
    let cause = cause::read(section, name, context, errors);
    Rule { id, colour, title, advice, cite, cause }
}

fn rule_id(section: &mut Section<'_>, number: usize, outlines: &[Outline<'_>], errors: &mut Errors) -> String {
    let Some(value) = section.required("id", errors) else { return String::new() };
    let Some(id) = value.text(errors) else { return String::new() };
    let refused = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, ',' | ';');
    if id.is_empty() || id.len() > KEY_BYTES_MAX || id.contains(refused) {
        errors.add(value.span(), RuleErrorKind::RuleId { found: id.to_owned() });
    }
    if let Some(first) = outlines[..number].iter().position(|outline| outline.id == Some(id)) {
        let hint = format!("rule {} of the file has this id already", first + 1);
        errors.add_with_hint(value.span(), RuleErrorKind::DuplicateRule { id: id.to_owned() }, hint);
    }
    id.to_owned()
}

#[cfg(test)]
mod tests;

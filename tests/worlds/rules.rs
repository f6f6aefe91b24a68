//! Random checked rule sets, built as structs.
//!
//! The one idea: parameters come from the same short lists as the worlds' instants ([`super::draw`]), so that releases,
//! lengths and windows fall exactly on facts. `ignore_home_started_before` is the midnight of one of the notice days, on which
//! worlds crowd too.
//!
//! Invariant: a set is what the rule parser would accept: sets of words are not empty, `settings` comes with `via` contact,
//! `rows` with `via` place, days and clean days are at most R.

use sanma::model::{
    Admission, CaseKind, ClosedEnum, Colour, EnumSet, Level, QuarantineKind, RuleId, RuleMask, Setting, Symptom,
};
use sanma::rules::{Bilingual, Cause, ContactRule, Program, Release, Rule};

use super::draw::{DAYS, Draw, LOCAL, MINUTES, NOTICE_DAYS, OFFSETS, RETENTIONS, ROWS};

pub use super::rule_text::{to_terse_toml, to_toml};

/// The rule set of a seed: 1 to 12 rules of any cause. A second-degree rule may stand before the one it goes through.
pub fn random(seed: u64) -> Program {
    let mut draw = Draw::new(seed, 4);
    let retention_days = draw.pick(&RETENTIONS);
    let count = draw.range(1, 12);
    let mut rules: Vec<_> = (0..count).map(|number| rule(number, retention_days, &mut draw)).collect();
    let first_degree: Vec<_> = (0..)
        .map(RuleId)
        .zip(&rules)
        .filter(|(_, rule)| matches!(rule.cause, Cause::Contact(_)))
        .map(|(id, _)| id)
        .collect();
    for rule in &mut rules {
        if let Cause::SecondContact { through, .. } = &mut rule.cause {
            if first_degree.is_empty() {
                rule.cause = Cause::Test { release: release(retention_days, &mut draw) };
            } else {
                *through = draw.pick(&first_degree);
            }
        }
    }
    let effective_from = draw.chance(50).then(|| draw.pick(&NOTICE_DAYS).starts_at(LOCAL));
    Program {
        name: format!("random-{seed}"),
        jurisdiction: draw.chance(50).then(|| draw.pick(&["huzhou", "hangzhou"]).to_owned()),
        effective_from,
        title: text("random rules", &mut draw),
        source: "none".to_owned(),
        utc_offset: if draw.chance(85) { LOCAL } else { draw.pick(&OFFSETS[1..]) },
        max_modifications: draw.pick(&[0, 1, 1, 1, 2]),
        retention_days,
        fever_celsius: draw.pick(&[37.3, 37.3, 37.3, 38.0, 37.299_999]),
        excuses: RuleMask(if draw.chance(70) { draw.next() & ((1 << count) - 1) } else { 0 }),
        rules,
        version: format!("{seed:016x}"),
    }
}

/// The smallest rule set found by leaving out rules for which `fails` is still true. `fails(&program)` must be true of the set
/// given. Print what is left with [`to_terse_toml`].
pub fn minimise(mut program: Program, mut fails: impl FnMut(&Program) -> bool) -> Program {
    assert!(fails(&program), "there is nothing to minimise");
    // A rule goes only once no second-degree rule goes through it, so passes are repeated until none goes.
    loop {
        let smaller = program.numbered().filter_map(|(id, _)| without(&program, id)).find(&mut fails);
        let Some(smaller) = smaller else { return program };
        program = smaller;
    }
}

/// The set without this rule, numbers closed up; `None` if a second-degree rule goes through it.
fn without(program: &Program, dropped: RuleId) -> Option<Program> {
    let closed_up = |rule: RuleId| RuleId(rule.0 - u8::from(rule > dropped));
    let mut smaller = program.clone();
    smaller.rules.remove(usize::from(dropped.0));
    for rule in &mut smaller.rules {
        if let Cause::SecondContact { through, .. } = &mut rule.cause {
            if *through == dropped {
                return None;
            }
            *through = closed_up(*through);
        }
    }
    smaller.excuses = RuleMask::EMPTY;
    for rule in program.excuses.iter().filter(|&rule| rule != dropped) {
        smaller.excuses.insert(closed_up(rule));
    }
    Some(smaller)
}

fn rule(number: u32, retention_days: u32, draw: &mut Draw) -> Rule {
    let cause = cause(retention_days, draw);
    Rule {
        id: format!("r{number}-{}", cause_name(&cause)),
        colour: draw.pick(&[Colour::Red, Colour::Yellow]),
        title: text("title", draw),
        advice: text("advice", draw),
        cite: format!("X-{number}"),
        cause,
    }
}

/// How the rule file names the cause.
pub fn cause_name(cause: &Cause) -> &'static str {
    match cause {
        Cause::Case { .. } => "case",
        Cause::Quarantine { .. } => "quarantine",
        Cause::Contact(_) | Cause::SecondContact { .. } => "contact",
        Cause::Area { .. } => "area",
        Cause::Declared { .. } => "declared",
        Cause::Symptoms { .. } => "symptoms",
        Cause::Test { .. } => "test",
        Cause::Untested { .. } => "untested",
        Cause::Unreported { .. } => "unreported",
        Cause::Finding => "finding",
    }
}

fn cause(retention_days: u32, draw: &mut Draw) -> Cause {
    match draw.below(16) {
        0 => Cause::Case { kinds: some(draw), convalescence_days: draw.pick(&DAYS) },
        1 => Cause::Quarantine {
            kinds: some(draw),
            ignore_home_started_before: draw.chance(50).then(|| draw.pick(&NOTICE_DAYS).starts_at(LOCAL)),
        },
        2..=4 => Cause::Contact(contact(retention_days, draw)),
        5 | 6 => Cause::SecondContact {
            // Put right once all rules are drawn.
            through: RuleId(0),
            min_minutes: draw.pick(&MINUTES),
            settings: settings(draw),
            release: release(retention_days, draw),
        },
        7 | 8 => Cause::Area {
            levels: some(draw),
            min_minutes: draw.pick(&MINUTES),
            declared: draw.chance(50),
            residence: draw.chance(40),
            release: release(retention_days, draw),
        },
        9 => Cause::Declared { any: some::<Admission>(draw), release: release(retention_days, draw) },
        10 | 11 => Cause::Symptoms { any: some::<Symptom>(draw), release: release(retention_days, draw) },
        12 => Cause::Test { release: release(retention_days, draw) },
        13 => Cause::Untested { days: days(retention_days, draw) },
        14 => Cause::Unreported { days: days(retention_days, draw) },
        _ => Cause::Finding,
    }
}

fn contact(retention_days: u32, draw: &mut Draw) -> ContactRule {
    let (via_contact, via_place) = draw.pick(&[(true, true), (true, false), (false, true)]);
    ContactRule {
        of: some(draw),
        via_contact,
        via_place,
        infectious_days_before_onset: draw.pick(&DAYS),
        min_minutes: draw.pick(&MINUTES),
        settings: if via_contact { settings(draw) } else { None },
        rows: (via_place && draw.chance(50)).then(|| draw.pick(&ROWS)),
        release: release(retention_days, draw),
    }
}

fn release(retention_days: u32, draw: &mut Draw) -> Release {
    Release {
        days: days(retention_days, draw),
        clean_days: if draw.chance(40) { days(retention_days, draw) } else { 0 },
        negative_tests: if draw.chance(30) { draw.range(1, 3) } else { 0 },
    }
}

/// Days that a rule may name, R itself among them.
fn days(retention_days: u32, draw: &mut Draw) -> u32 {
    if draw.chance(8) { retention_days } else { draw.pick(&DAYS).min(retention_days) }
}

fn some<E: ClosedEnum>(draw: &mut Draw) -> EnumSet<E> {
    draw.some_of(E::ALL).into_iter().collect()
}

fn settings(draw: &mut Draw) -> Option<EnumSet<Setting>> {
    draw.chance(30).then(|| some(draw))
}

/// A text in both languages, now and then one that has to be escaped.
fn text(en: &str, draw: &mut Draw) -> Bilingual {
    let en = if draw.chance(20) { format!("{en} \"quoted\" \\ and\ttab\nline é") } else { en.to_owned() };
    Bilingual { zh: "规则：“红”".to_owned(), en }
}

/// The sets that a rule's words stand for, to see in tests that every word is drawn.
pub fn words(cause: &Cause) -> Vec<&'static str> {
    fn names<E: ClosedEnum>(set: EnumSet<E>) -> Vec<&'static str> {
        set.iter().map(ClosedEnum::name).collect()
    }
    match cause {
        Cause::Case { kinds, .. } => names::<CaseKind>(*kinds),
        Cause::Quarantine { kinds, .. } => names::<QuarantineKind>(*kinds),
        Cause::Contact(rule) => [names(rule.of), rule.settings.map(names).unwrap_or_default()].concat(),
        Cause::SecondContact { settings, .. } => settings.map(names).unwrap_or_default(),
        Cause::Area { levels, .. } => names::<Level>(*levels),
        Cause::Declared { any, .. } => names(*any),
        Cause::Symptoms { any, .. } => names(*any),
        _ => Vec::new(),
    }
}

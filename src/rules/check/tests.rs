//! What a rule file may say, and what the checker answers where it says something else.

use super::*;
use crate::model::{CaseKind, Level, QuarantineKind, Setting, Symptom, Timestamp};
use crate::rules::{Cause, ContactRule, Release};

/// One rule of every cause, nothing left out that has a default.
const GOOD: &str = r#"name = "all"
jurisdiction = "somewhere"
effective_from = 2020-02-16
title = { zh = "全", en = "All" }
source = "a test"
utc_offset = "-03:30"
max_modifications = 2
retention_days = 21
fever_celsius = 37

[whitelist]
excuses = ["area", "second"]

[[rule]]
id = "second"
colour = "yellow"
title = { zh = "二", en = "two" }
advice = { zh = "二", en = "two" }
cite = "1"
cause = "contact"
degree = 2
through = "first"
min_minutes = 15
settings = ["household"]
release = { days = 7, clean_days = 7, negative_tests = 2 }

[[rule]]
id = "first"
colour = "red"
title = { zh = "一", en = "one" }
advice = { zh = "一", en = "one" }
cite = "2"
cause = "contact"
degree = 1
of = ["confirmed"]
via = ["place"]
infectious_days_before_onset = 2
min_minutes = 5
rows = 3
release = { days = 14 }

[[rule]]
id = "case"
colour = "red"
title = { zh = "例", en = "case" }
advice = { zh = "例", en = "case" }
cite = "3"
cause = "case"
kinds = ["suspected", "confirmed"]
convalescence_days = 14

[[rule]]
id = "quarantine"
colour = "red"
title = { zh = "隔", en = "quarantine" }
advice = { zh = "隔", en = "quarantine" }
cite = "4"
cause = "quarantine"
kinds = ["home"]
ignore_home_started_before = "2020-02-16T00:00:00+08:00"

[[rule]]
id = "area"
colour = "yellow"
title = { zh = "区", en = "area" }
advice = { zh = "区", en = "area" }
cite = "5"
cause = "area"
levels = ["high", "key"]
min_minutes = 240
declared = true
residence = true
release = { days = 14 }

[[rule]]
id = "symptoms"
colour = "yellow"
title = { zh = "症", en = "symptoms" }
advice = { zh = "症", en = "symptoms" }
cite = "6"
cause = "symptoms"
any = ["fever"]
release = { days = 3, clean_days = 3 }

[[rule]]
id = "untested"
colour = "yellow"
title = { zh = "检", en = "untested" }
advice = { zh = "检", en = "untested" }
cite = "7"
cause = "untested"
days = 21
"#;

fn good() -> Program {
    Program::parse("good.toml", GOOD).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `GOOD` with one text in the place of another that stands there once.
fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(GOOD.to_owned(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, new)
    })
}

fn errors(text: &str) -> RuleErrors {
    Program::parse("bad.toml", text).expect_err("the text is bad")
}

/// `line:column message`, for every error.
fn listing(errors: &RuleErrors) -> Vec<String> {
    let line = |error| {
        let (line, column) = errors.position(error);
        format!("{line}:{column} {}", error.kind)
    };
    errors.errors.iter().map(line).collect()
}

#[test]
fn the_header_is_read() {
    let program = good();
    assert_eq!((program.name.as_str(), program.jurisdiction.as_deref()), ("all", Some("somewhere")));
    assert_eq!(program.utc_offset, UtcOffset(-12_600));
    assert_eq!(program.effective_from, Timestamp::parse_rfc3339("2020-02-16T03:30:00Z"));
    assert_eq!((program.max_modifications, program.retention_days), (2, 21));
    assert!((program.fever_celsius - 37.0).abs() < f64::EPSILON);
    assert_eq!(program.names(program.excuses).collect::<Vec<_>>(), ["second", "area"]);
    assert_eq!(program.version.len(), 16);
    assert_ne!(program.version, Program::parse("", &format!("{GOOD}\n")).expect("good").version);
}

#[test]
fn causes_are_read_with_their_parameters() {
    let program = good();
    let cause = |number: usize| program.rules[number].cause.clone();
    let set = |words: &[CaseKind]| words.iter().copied().collect();
    assert_eq!(
        cause(0),
        Cause::SecondContact {
            through: RuleId(1),
            min_minutes: 15,
            settings: Some([Setting::Household].into_iter().collect()),
            release: Release { days: 7, clean_days: 7, negative_tests: 2 },
        }
    );
    assert_eq!(
        cause(1),
        Cause::Contact(ContactRule {
            of: set(&[CaseKind::Confirmed]),
            via_contact: false,
            via_place: true,
            infectious_days_before_onset: 2,
            min_minutes: 5,
            settings: None,
            rows: Some(3),
            release: Release { days: 14, clean_days: 0, negative_tests: 0 },
        })
    );
    assert_eq!(
        cause(2),
        Cause::Case { kinds: set(&[CaseKind::Suspected, CaseKind::Confirmed]), convalescence_days: 14 }
    );
    assert_eq!(
        cause(3),
        Cause::Quarantine {
            kinds: [QuarantineKind::Home].into_iter().collect(),
            ignore_home_started_before: Timestamp::parse_rfc3339("2020-02-15T16:00:00Z"),
        }
    );
    assert_eq!(
        cause(4),
        Cause::Area {
            levels: [Level::Key, Level::High].into_iter().collect(),
            min_minutes: 240,
            declared: true,
            residence: true,
            release: Release { days: 14, clean_days: 0, negative_tests: 0 },
        }
    );
    assert_eq!(
        cause(5),
        Cause::Symptoms {
            any: [Symptom::Fever].into_iter().collect(),
            release: Release { days: 3, clean_days: 3, negative_tests: 0 },
        }
    );
    assert_eq!(cause(6), Cause::Untested { days: 21 });
}

#[test]
fn what_has_a_default_may_be_left_out() {
    let text = "name = 'small'\ntitle.zh = '小'\ntitle.en = 'small'\nsource = ''\nretention_days = 0\n";
    let program = Program::parse("small.toml", text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((program.utc_offset, program.max_modifications), (UtcOffset(28_800), 1));
    assert!((program.fever_celsius - 37.3).abs() < f64::EPSILON);
    assert!(program.jurisdiction.is_none() && program.effective_from.is_none());
    assert!(program.rules.is_empty() && program.excuses.is_empty());
}

#[test]
fn instants_may_be_dates_local_or_exact_bare_or_quoted() {
    for spelling in [
        "2020-02-16",
        "\"2020-02-16\"",
        "2020-02-16T00:00:00",
        "2020-02-16 00:00:00",
        "2020-02-16T00:00",
        "2020-02-16T03:30:00Z",
        "2020-02-16T00:00:00-03:30",
        "\"2020-02-16T03:30:00Z\"",
    ] {
        let text = edited(&[("effective_from = 2020-02-16", &format!("effective_from = {spelling}"))]);
        let program = Program::parse("", &text).unwrap_or_else(|errors| panic!("{spelling}: {errors}"));
        assert_eq!(program.effective_from, Timestamp::parse_rfc3339("2020-02-16T03:30:00Z"), "{spelling}");
    }
}

/// Old text, new text, and every error that this makes.
const BAD: &[(&str, &str, &[&str])] = &[
    ("name = \"all\"", "name = all", &["1:8 not TOML: string values must be quoted, expected literal string"]),
    ("name = \"all\"", "name = \"\"", &["1:8 `name` may not be empty"]),
    ("name = \"all\"\n", "", &["1:1 the rule set lacks `name`"]),
    ("source = \"a test\"", "source = 7", &["5:10 `source` must be a string, found a whole number"]),
    (
        "source = \"a test\"",
        "sauce = \"a test\"",
        &["1:1 the rule set lacks `source`", "5:1 unknown key `sauce` in the rule set"],
    ),
    ("title = { zh = \"全\", en = \"All\" }", "title = \"All\"", &["4:9 `title` must be a table, found a string"]),
    (
        "zh = \"全\", en",
        "zh = \"全\", fr",
        &["4:9 `title` of the rule set lacks `en`", "4:21 unknown key `fr` in `title` of the rule set"],
    ),
    ("2020-02-16\n", "2020-02-30\n", &["3:18 not TOML: invalid date, expected day between 01 and 29"]),
    ("2020-02-16\n", "\"soon\"\n", &["3:18 `effective_from` must be a date, or a date and a time, found `soon`"]),
    ("2020-02-16\n", "07:30:00\n", &["3:18 `effective_from` must be a date, or a date and a time, found `07:30:00`"]),
    ("2020-02-16\n", "true\n", &["3:18 `effective_from` must be a date, or a date and a time, found true or false"]),
    ("\"-03:30\"", "\"8\"", &["6:14 `utc_offset` must be hours and minutes east of UTC, found `8`"]),
    ("\"-03:30\"", "\"+08:60\"", &["6:14 `utc_offset` must be hours and minutes east of UTC, found `+08:60`"]),
    ("\"-03:30\"", "\"+24:00\"", &["6:14 `utc_offset` must be hours and minutes east of UTC, found `+24:00`"]),
    ("max_modifications = 2", "max_modifications = -1", &["7:21 `max_modifications` may not be negative, found -1"]),
    (
        "max_modifications = 2",
        "max_modifications = 4294967295",
        &["7:21 `max_modifications` may be at most 4294967294, found 4294967295"],
    ),
    ("retention_days = 21", "retention_days = 61", &["8:18 `retention_days` may be at most 60, found 61"]),
    (
        "retention_days = 21",
        "retention_days = 20.5",
        &["8:18 `retention_days` must be a whole number, found a number with a fraction"],
    ),
    ("retention_days = 21", "retention_days = 20", &["92:8 `days` is 21, over the rule set's `retention_days` of 20"]),
    ("fever_celsius = 37", "fever_celsius = nan", &["9:17 `fever_celsius` must be a finite number, found nan"]),
    (
        "fever_celsius = 37",
        "fever_celsius = \"37\"",
        &["9:17 `fever_celsius` must be a decimal number, found a string"],
    ),
    ("[whitelist]", "[whitelist]\nreason = 1", &["12:1 unknown key `reason` in `[whitelist]`"]),
    ("excuses = [\"area\", \"second\"]", "", &["11:1 `[whitelist]` lacks `excuses`"]),
    ("[\"area\", \"second\"]", "[\"aria\", \"second\"]", &["12:12 `excuses` names the unknown rule `aria`"]),
    ("[\"area\", \"second\"]", "\"area\"", &["12:11 `excuses` must be a list, found a string"]),
    (
        "id = \"untested\"",
        "id = \"\"",
        &["86:6 a rule's id has 1 to 64 bytes and no whitespace, control character, `,` or `;`, found ``"],
    ),
    (
        "id = \"untested\"",
        "id = \"a b\"",
        &["86:6 a rule's id has 1 to 64 bytes and no whitespace, control character, `,` or `;`, found `a b`"],
    ),
    ("id = \"untested\"", "id = \"case\"", &["86:6 a second rule `case`"]),
    ("id = \"untested\"\n", "", &["85:1 rule 7 lacks `id`"]),
    (
        "colour = \"yellow\"\ntitle = { zh = \"检\"",
        "colour = \"green\"\ntitle = { zh = \"检\"",
        &["87:10 unknown word `green` for `colour`"],
    ),
    ("cite = \"7\"\n", "", &["85:1 rule `untested` lacks `cite`"]),
    (
        "advice = { zh = \"检\", en",
        "advice = { zh = \"检\", fr",
        &["89:10 `advice` of rule `untested` lacks `en`", "89:22 unknown key `fr` in `advice` of rule `untested`"],
    ),
    ("cause = \"untested\"", "cause = \"untestd\"", &["91:9 unknown word `untestd` for `cause`"]),
    (
        "cause = \"untested\"\n",
        "colou = 1\n",
        &["85:1 rule `untested` lacks `cause`", "91:1 unknown key `colou` in rule `untested`"],
    ),
    (
        "cause = \"untested\"\ndays = 21\n",
        "cause = \"untested\"\ndays = 0xffffffff\nlevels = []\n",
        &[
            "92:8 `days` is 4294967295, over the rule set's `retention_days` of 21",
            "93:1 unknown key `levels` in rule `untested`",
        ],
    ),
    ("any = [\"fever\"]", "any = []", &["82:7 `any` may not be empty"]),
    (
        "any = [\"fever\"]",
        "any = [\"fevr\", 1]",
        &["82:8 unknown word `fevr` for `any`", "82:16 `any` must be a string, found a whole number"],
    ),
    ("clean_days = 3", "clean_days = 22", &["83:36 `clean_days` is 22, over the rule set's `retention_days` of 21"]),
    ("release = { days = 3, clean_days = 3 }", "", &["75:1 rule `symptoms` lacks `release`"]),
    (
        "release = { days = 3, clean_days = 3 }",
        "release = { clean_days = 3 }",
        &["83:11 `release` of rule `symptoms` lacks `days`"],
    ),
    (
        "release = { days = 3, clean_days = 3 }",
        "release = { days = 3, tests = 3 }",
        &["83:23 unknown key `tests` in `release` of rule `symptoms`"],
    ),
    ("levels = [\"high\", \"key\"]", "levels = [\"hihg\", \"key\"]", &["69:11 unknown word `hihg` for `levels`"]),
    ("declared = true\n", "", &["62:1 rule `area` lacks `declared`"]),
    ("residence = true", "residence = 1", &["72:13 `residence` must be true or false, found a whole number"]),
    ("kinds = [\"home\"]", "kinds = []", &["59:9 `kinds` may not be empty"]),
    (
        "convalescence_days = 14",
        "convalescence_days = 99999999999999999999999999999999999999999",
        &["50:22 `convalescence_days` may be at most 4294967295, found 99999999999999999999999999999999999999999"],
    ),
    ("via = [\"place\"]\n", "", &["27:1 rule `first` lacks `via`"]),
    ("via = [\"place\"]", "via = [\"plane\"]", &["36:8 unknown word `plane` for `via`"]),
    ("min_minutes = 5\n", "", &["27:1 rule `first` lacks `min_minutes`"]),
    ("rows = 3", "rows = 65536", &["39:8 `rows` may be at most 65535, found 65536"]),
    (
        "rows = 3",
        "through = \"first\"",
        &["39:1 `through` belongs to a contact rule of degree 2, this one is of degree 1"],
    ),
    ("degree = 1", "degree = 3", &["34:10 `degree` must be 1 or 2, found 3"]),
    ("degree = 1\n", "", &["27:1 rule `first` lacks `degree`"]),
    ("through = \"first\"", "through = \"frist\"", &["22:11 `through` names the unknown rule `frist`"]),
    (
        "through = \"first\"",
        "through = \"case\"",
        &["22:11 `through` names `case`, which is not a contact rule of degree 1"],
    ),
    (
        "through = \"first\"",
        "through = \"second\"",
        &["22:11 `through` names `second`, which is not a contact rule of degree 1"],
    ),
    (
        "through = \"first\"\n",
        "rows = 3\n",
        &[
            "14:1 rule `second` lacks `through`",
            "22:1 `rows` belongs to a contact rule of degree 1, this one is of degree 2",
        ],
    ),
    ("negative_tests = 2", "negative_tests = -2", &["25:56 `negative_tests` may not be negative, found -2"]),
    ("settings = [\"household\"]", "settings = [\"house\"]", &["24:13 unknown word `house` for `settings`"]),
    ("name = \"all\"", "name = \"all\"\nname = \"all\"", &["2:1 not TOML: duplicate key"]),
];

#[test]
fn every_bad_text_is_told_with_line_and_column() {
    let mut told_otherwise = Vec::new();
    for (old, new, expected) in BAD {
        let found = listing(&errors(&edited(&[(old, new)])));
        if found != *expected {
            told_otherwise.push(format!("{old:?} -> {new:?}: {found:#?}"));
        }
    }
    assert!(told_otherwise.is_empty(), "{}", told_otherwise.join("\n"));
}

#[test]
fn near_misses_and_strangers_get_a_hint() {
    for (old, new, hint) in [
        ("source = \"a test\"", "sourse = \"a test\"", "did you mean `source`?"),
        ("cause = \"untested\"", "cause = \"untestd\"", "did you mean `untested`?"),
        ("id = \"untested\"\ncolour", "id = \"untested\"\ncolor", "did you mean `colour`?"),
        ("through = \"first\"", "through = \"frist\"", "did you mean `first`?"),
        ("[\"high\", \"key\"]", "[\"High\"]", "did you mean `high`?"),
        ("any = [\"fever\"]", "any = [\"x\"]", "known words: `fever`, `dyspnea`, `respiratory`"),
        ("cite = \"7\"", "cite = \"7\"\nrows = 3", "it belongs to cause `contact`, this rule's cause is `untested`"),
    ] {
        let errors = errors(&edited(&[(old, new)]));
        assert!(errors.errors.iter().any(|error| error.hint.as_deref() == Some(hint)), "{hint}: {errors:#?}");
    }
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_text() {
    let text = edited(&[
        ("retention_days = 21", "retention_days = 20"),
        ("any = [\"fever\"]", "any = [\"cough\"]"),
        ("through = \"first\"", "through = \"case\""),
        ("declared = true\n", ""),
        ("source = \"a test\"", "source = []"),
    ]);
    assert_eq!(
        listing(&errors(&text)),
        [
            "5:10 `source` must be a string, found a list",
            "22:11 `through` names `case`, which is not a contact rule of degree 1",
            "62:1 rule `area` lacks `declared`",
            "81:8 unknown word `cough` for `any`",
            "91:8 `days` is 21, over the rule set's `retention_days` of 20",
        ]
    );
}

#[test]
fn syntax_errors_come_at_once_one_a_line() {
    let errors = errors("name = all x\nsource = 'a'\ntitle = \nretention_days = 1 1\n");
    assert_eq!(
        listing(&errors),
        [
            "1:8 not TOML: string values must be quoted, expected literal string",
            "3:9 not TOML: string values must be quoted, expected literal string",
            "4:18 not TOML: string values must be quoted, expected literal string",
        ]
    );
}

#[test]
fn at_most_64_rules_are_taken() {
    let rule = |number: usize| {
        format!(
            "[[rule]]\nid = \"r{number}\"\ncolour = \"red\"\ncite = \"\"\ncause = \"finding\"\n\
             title = {{ zh = \"\", en = \"\" }}\nadvice = {{ zh = \"\", en = \"\" }}\n"
        )
    };
    let head = "name = 'many'\ntitle = { zh = '', en = '' }\nsource = ''\nretention_days = 1\n";
    let text = |rules: usize| {
        format!("{head}whitelist.excuses = ['r{}']\n{}", rules - 1, (0..rules).map(rule).collect::<String>())
    };
    let program = Program::parse("", &text(64)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(program.names(program.excuses).collect::<Vec<_>>(), ["r63"]);
    assert_eq!(listing(&errors(&text(66))), ["454:1 66 rules, at most 64 are allowed"]);
}

#[test]
fn errors_are_shown_with_carets() {
    let text = edited(&[("colour = \"yellow\"\ntitle = { zh = \"检\"", "colou = \"yellow\"\ntitle = { zh = \"检\"")]);
    assert_eq!(
        errors(&text).to_string(),
        "\
error: rule `untested` lacks `colour`
  --> bad.toml:85:1
   |
85 | [[rule]]
   | ^^^^^^^^

error: unknown key `colou` in rule `untested`
  --> bad.toml:87:1
   |
87 | colou = \"yellow\"
   | ^^^^^
   |
   = help: did you mean `colour`?"
    );
    assert!(errors(&text).render(true).contains("\u{1b}["));
}

#[test]
fn spellings_of_one_value_agree() {
    for (old, new) in [
        ("retention_days = 21", "retention_days = 2_1"),
        ("retention_days = 21", "retention_days = +21"),
        ("retention_days = 21", "retention_days = 0x15"),
        ("fever_celsius = 37", "fever_celsius = 3_7.0"),
        ("degree = 2", "degree = 0b10"),
        ("release = { days = 3, clean_days = 3 }", "release.days = 3\nrelease.clean_days = 3"),
        ("[whitelist]\nexcuses", "whitelist.excuses"),
    ] {
        let program = Program::parse("", &edited(&[(old, new)])).unwrap_or_else(|errors| panic!("{new}: {errors}"));
        assert_eq!(Program { version: good().version, ..program }, good(), "{new}");
    }
}

#[test]
fn lines_and_columns_are_right_after_a_byte_order_mark_and_with_crlf() {
    let text = edited(&[("retention_days = 21", "retention_days = 61")]);
    assert_eq!(listing(&errors(&text.replace('\n', "\r\n")))[0], "8:18 `retention_days` may be at most 60, found 61");
    let marked = errors(&format!("\u{feff}{text}"));
    assert_eq!(listing(&marked)[0], "8:18 `retention_days` may be at most 60, found 61");
    assert!(Program::parse("", &format!("\u{feff}{GOOD}")).is_ok());
}

#[test]
fn no_text_panics() {
    for (cut, letter) in GOOD.char_indices() {
        let without = format!("{}{}", &GOOD[..cut], &GOOD[cut + letter.len_utf8()..]);
        for text in [&GOOD[..cut], &without] {
            if let Err(errors) = Program::parse("cut.toml", text) {
                assert!(!errors.to_string().is_empty());
            }
        }
    }
    for text in ["", "\u{feff}", "rule = 1", "rule = [1]", "[rule]", "name = \"全\u{0}\"", "\r\n\r\nx", "= "] {
        assert!(!errors(text).to_string().is_empty(), "{text:?}");
    }
}

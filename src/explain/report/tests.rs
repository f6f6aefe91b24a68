//! Pages: what they foresee, what they say, and what they never say.

use std::collections::HashSet;

use super::*;
use crate::explain::fixture::{Dice, ME, World, contact_rule, days, program, region, set, t};
use crate::explain::{Awaited, Language, code_at};
use crate::model::facts::TableColumns as _;
use crate::model::{CaseKind, Level, Outcome, QuarantineKind, Setting, Symptom};
use crate::rules::{Cause, Release};

const THEM: u32 = 1;
const THIRD: u32 = 2;

/// Tokens that cannot be mistaken for anything else on a page.
struct Tokens {
    people: Vec<String>,
    places: Vec<String>,
}

impl Tokens {
    fn new() -> Self {
        let tokens = |kind: &str| (0..10).map(|index| format!("<{kind} {index}>")).collect();
        Self { people: tokens("person"), places: tokens("place") }
    }
}

impl Names for Tokens {
    fn person(&self, person: PersonId) -> &str {
        &self.people[person.index()]
    }

    fn place(&self, place: PlaceId) -> &str {
        &self.places[place.index()]
    }

    fn label(&self, _: LabelId) -> &'static str {
        "medical staff"
    }
}

fn page(world: &World, program: &Program, at: &str, audience: Audience) -> Explanation {
    explain(&world.facts, program, PersonId(ME), t(at), audience, &Tokens::new()).expect("a standing declaration")
}

fn for_me(world: &World, program: &Program, at: &str) -> Explanation {
    page(world, program, at, Audience::Person)
}

fn instant(local: Option<LocalInstant>) -> Option<Timestamp> {
    local.map(|local| local.at)
}

/// Contact with a confirmed case on the 15th, ended 11:30; two clean days and a test wanted besides 5 days.
fn contact_world() -> (Program, World) {
    let mut rule = contact_rule();
    rule.release = Release { days: 5, clean_days: 2, negative_tests: 1 };
    let mut world = World::new();
    world.case(THEM, "02-16", |case| case.isolated_at = t("02-16 09:00"));
    world.contact(THEM, ME, "02-15 10:00", 90, Setting::Transport);
    (program([Cause::Contact(rule)]), world)
}

#[test]
fn a_page_says_what_is_missing() {
    let (program, mut world) = contact_world();
    world.checkin(ME, "02-17 08:00", |_| ());
    let page = for_me(&world, &program, "02-18 08:00");
    let rule = &page.rules[0];
    assert_eq!(instant(rule.trigger), Some(t("02-15 11:30")));
    let missing = Missing { days_left: 3, clean_days: 1, negative_tests: 1, ..Missing::default() };
    assert_eq!(rule.missing, missing);
    // Without another report it is held until it is forgotten.
    assert_eq!(instant(rule.earliest_release), Some(t("02-15 11:30").plus_days(30)));
    assert_eq!(instant(rule.attainable_release), Some(t("02-20 11:30")));
    assert_eq!(instant(page.green.if_nothing_happens), Some(t("02-15 11:30").plus_days(30)));
    assert_eq!(instant(page.green.earliest), Some(t("02-20 11:30")));
    assert_eq!(page.valid_until, page.green.if_nothing_happens);
}

#[test]
fn a_symptom_today_begins_the_count_again_tomorrow() {
    let (program, mut world) = contact_world();
    world.checkin(ME, "02-17 08:00", |_| ());
    world.checkin(ME, "02-20 08:00", |row| row.symptoms = set([Symptom::Fever]));
    let page = for_me(&world, &program, "02-20 12:00");
    assert_eq!(page.rules[0].missing.clean_days, 2);
    assert_eq!(instant(page.green.earliest), Some(t("02-22")), "at the first report of the second clean day");
}

#[test]
fn what_is_wanted_today_can_be_had_today() {
    let program = program([Cause::Unreported { days: 2 }, Cause::Untested { days: 3 }]);
    let page = for_me(&World::new(), &program, "02-18 08:00");
    assert_eq!(page.green.if_nothing_happens, None);
    assert_eq!(instant(page.green.earliest), Some(t("02-18 08:00")));
    assert_eq!((page.rules[0].missing.reports, page.rules[1].missing.negative_tests), (1, 1));
    assert_eq!(page.rules[0].trigger, None);
}

#[test]
fn what_others_have_to_record_is_awaited() {
    let cause = Cause::Case { kinds: set([CaseKind::Confirmed]), convalescence_days: 14 };
    let program = program([cause, Cause::Finding]);
    let mut world = World::new();
    world.case(ME, "02-16", |_| ());
    world.finding(ME, "02-17", None);
    let page = for_me(&world, &program, "02-18");
    assert_eq!(page.green, Green { if_nothing_happens: None, earliest: None });
    assert_eq!(page.rules[0].missing.awaits, Some(Awaited::Outcome));
    assert_eq!(page.rules[1].missing.awaits, Some(Awaited::Lifting));
    // Once it is recorded the page counts down.
    world.facts.cases.outcome[0] = Some(Outcome::Recovered).into();
    world.facts.cases.outcome_at[0] = t("02-17 12:00");
    let page = for_me(&world, &program, "02-18");
    assert_eq!((page.rules[0].missing.awaits, page.rules[0].missing.days_left), (None, 14));
    assert_eq!(instant(page.rules[0].earliest_release), Some(t("03-02 12:00")));
}

#[test]
fn an_open_stay_awaits_departure_and_all_its_days() {
    let cause =
        Cause::Area { levels: set([Level::Key]), min_minutes: 0, declared: false, residence: true, release: days(7) };
    let program = program([cause]);
    let mut world = World::new();
    world.listing(420_100, Level::Key, "01-20", None);
    world.stay(ME, "02-10", None, |stay| stay.region = region(420_100));
    let page = for_me(&world, &program, "02-18");
    assert_eq!((page.rules[0].missing.awaits, page.rules[0].missing.days_left), (Some(Awaited::Departure), 7));
    assert_eq!(page.rules[0].because[0].en, "staying in 420100 (key area)");
    let tables = |page: Explanation| page.rules[0].evidence.iter().map(|row| row.table).collect::<Vec<_>>();
    assert_eq!(tables(self::page(&world, &program, "02-18", Audience::Official)), ["stays", "risk_areas"]);
    world.listing(330_100, Level::Key, "02-11", None);
    world.facts.stays.left_at[0] = t("02-12");
    assert_eq!(for_me(&world, &program, "02-18").rules[0].missing.awaits, Some(Awaited::Delisting));
}

#[test]
fn an_excused_rule_stays_on_the_page() {
    let (program, mut world) = contact_world();
    world.whitelist(ME, "02-01", Some("03-01"));
    let page = page(&world, &program, "02-18", Audience::Official);
    assert_eq!((page.colour, page.reasons.len(), page.excused.as_slice()), (Colour::Green, 0, &["r0".to_owned()][..]));
    assert!(page.rules[0].excused);
    assert_eq!(page.whitelist[0].reason, "medical staff");
    assert!(page.rules[0].evidence.iter().any(|row| row.table == "whitelist"));
    assert_eq!(instant(page.green.earliest), Some(t("02-18")));
}

#[test]
fn officials_see_the_rows_as_far_as_the_case() {
    let first = contact_rule();
    let second = Cause::SecondContact { through: RuleId(1), min_minutes: 0, settings: None, release: days(7) };
    let program = program([second, Cause::Contact(first)]);
    let mut world = World::new();
    world.case(THIRD, "02-10", |_| ());
    world.contact(THEM, THIRD, "02-11 08:00", 60, Setting::Work);
    world.contact(ME, THEM, "02-12 09:00", 60, Setting::Household);
    world.quarantine(THEM, QuarantineKind::Home, "02-12 09:30", None);
    let page = page(&world, &program, "02-13", Audience::Official);
    let evidence = &page.rules[0].evidence;
    let rows: Vec<_> = evidence.iter().map(|row| (row.table, row.person.as_deref().unwrap_or("me"))).collect();
    let expected = [
        ("contacts", "<person 1>"),
        ("quarantines", "<person 1>"),
        ("contacts", "<person 2>"),
        ("cases", "<person 2>"),
    ];
    assert_eq!(rows, expected);
    assert_eq!(for_me(&world, &program, "02-13").rules[0].evidence, []);
}

#[test]
fn json_is_an_object_with_local_instants() {
    let (program, world) = contact_world();
    let json = serde_json::to_value(page(&world, &program, "02-18 08:00", Audience::Official)).expect("JSON");
    assert_eq!(json["as_of"], "2020-02-18T08:00:00+08:00");
    assert_eq!(json["rule_set"]["name"], "test");
    assert_eq!(json["colour"], "red");
    assert_eq!(json["rules"][0]["title"]["en"], "title 0");
    let contact = &json["rules"][0]["evidence"][0];
    assert_eq!((&contact["table"], &contact["person"]), (&"contacts".into(), &"<person 1>".into()));
    assert_eq!(contact["instants"]["ended_at"], "2020-02-15T11:30:00+08:00");
    assert_eq!(contact["details"]["setting"], "transport");
    let json = serde_json::to_value(for_me(&world, &program, "02-18 08:00")).expect("JSON");
    assert_eq!(json["rules"][0].get("evidence"), None);
}

#[test]
fn the_text_reads_in_both_languages() {
    let (program, mut world) = contact_world();
    world.checkin(ME, "02-17 08:00", |_| ());
    let page = for_me(&world, &program, "02-18 08:00");
    let english = "\
Your health code is RED (2020-02-18 08:00)
Unless something new is recorded it stays as it is until 2020-03-16 11:30
Rules: test (0)

1. title 0 (RED; clause clause 0)
   Because: contact with a confirmed case, 3 days ago, in transport
   Counts from: 2020-02-15 11:30
   What to do: advice 0
   Still wanted: 3 days, 1 healthy day of check-in running, 1 negative test
   Ends at the earliest: 2020-02-20 11:30

Green at the earliest (healthy every day from today, tests as wanted negative): 2020-02-20 11:30
If nothing more is recorded: 2020-03-16 11:30
If something here is wrong, ask for a review: facts are corrected, and the colour follows them.
";
    assert_eq!(page.text(Language::En), english);
    let chinese = "\
您的健康码：红码（2020-02-18 08:00）
如无新情况，保持到 2020-03-16 11:30
规则：test (0)

1. title 0（中）（红码；依据 clause 0）
   原因：3 天前在交通途中接触过一名确诊患者
   起算：2020-02-15 11:30
   请：advice 0（中）
   还差：3 天、1 个连续健康打卡日、1 次阴性检测（不同日）
   最早解除：2020-02-20 11:30

最早转绿（从今天起每天健康打卡、所需检测均为阴性）：2020-02-20 11:30
若没有任何新记录：2020-03-16 11:30
如认为有误，可申请复核：更正事实，颜色随之改变。
";
    assert_eq!(page.text(Language::Zh), chinese);
}

#[test]
fn a_page_for_the_person_names_nobody_else() {
    let tokens = Tokens::new();
    let mut said = HashSet::new();
    for seed in 0..25 {
        let mut dice = Dice(seed);
        let (program, world) = (dice.program(), dice.world(6, 15));
        for person in (0..6).map(PersonId) {
            let at = dice.instant();
            let Some(page) = explain(&world.facts, &program, person, at, Audience::Person, &tokens) else { continue };
            let json = serde_json::to_string(&page).expect("JSON");
            let all = [json, page.text(Language::Zh), page.text(Language::En)].concat();
            for other in (0..6).map(PersonId).filter(|&other| other != person) {
                assert!(!all.contains(tokens.person(other)), "seed {seed}: {all}");
            }
            let own: HashSet<_> =
                world.facts.stays.rows().filter(|stay| stay.person == person).filter_map(|stay| stay.place).collect();
            for place in (0..4).map(PlaceId::from_index).filter(|place| !own.contains(place)) {
                assert!(!all.contains(tokens.place(place)), "seed {seed}: {all}");
            }
            assert!(!all.contains("evidence"), "seed {seed}: {all}");
            said.extend(page.rules.into_iter().flat_map(|rule| rule.because).map(|words| words.en[..9].to_owned()));
        }
    }
    for kind in ["contact w", "in one pl", "staying i", "a stay in", "living in", "tested po", "reported ", "declared "]
    {
        assert!(said.contains(kind), "the worlds never led to: {kind}");
    }
}

#[test]
fn a_page_agrees_with_the_verdict_and_with_itself() {
    let mut later = 0;
    for seed in 0..15 {
        let mut dice = Dice(seed);
        let (program, world) = (dice.program(), dice.world(5, 12));
        for person in (0..5).map(PersonId) {
            let at = dice.instant();
            let code = code_at(&world.facts, &program, person, at);
            let page = explain(&world.facts, &program, person, at, Audience::Official, &Tokens::new());
            let (Some(code), Some(page)) = (code, page) else { continue };
            assert_eq!((page.colour, instant(page.valid_until)), (code.colour, code.valid_until.finite()));
            assert!(page.reasons.iter().eq(program.names(code.reasons)));
            assert!(page.excused.iter().eq(program.names(code.excused)));
            let (certain, best) = (page.green.if_nothing_happens, page.green.earliest);
            assert!(
                instant(best).is_some_and(|best| instant(certain).is_none_or(|certain| best <= certain))
                    || certain.is_none()
            );
            assert_eq!(code.colour == Colour::Green, instant(certain) == Some(at));
            let green_at = |at: Timestamp| code_at(&world.facts, &program, person, at).expect("still declared").colour;
            assert!(instant(certain).is_none_or(|certain| green_at(certain) == Colour::Green));
            for rule in &page.rules {
                let ends = instant(rule.earliest_release).unwrap_or(Timestamp::NEVER);
                assert!(
                    ends >= code.valid_until && instant(rule.attainable_release).unwrap_or(Timestamp::NEVER) <= ends
                );
                later += u32::from(rule.attainable_release != rule.earliest_release);
            }
        }
    }
    assert!(later > 15, "the best future is never better: {later}");
}

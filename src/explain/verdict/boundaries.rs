//! The contract's sentences at their boundaries, from both sides.

use super::*;
use crate::explain::fixture::{ME, NEVER, World, all, before, contact_rule, days, program, region, set, t};
use crate::model::{Admission, CaseKind, Level, Outcome, QuarantineKind, Setting, Symptom, TestResult};
use crate::rules::{ContactRule, Release};

const THEM: u32 = 1;
const THIRD: u32 = 2;

fn contact(change: impl FnOnce(&mut ContactRule)) -> Program {
    let mut rule = contact_rule();
    change(&mut rule);
    program([Cause::Contact(rule)])
}

fn test_rule(release: Release) -> Program {
    program([Cause::Test { release }])
}

fn area(min_minutes: u32, declared: bool, residence: bool) -> Program {
    program([Cause::Area { levels: set([Level::Key]), min_minutes, declared, residence, release: days(14) }])
}

/// Every morning a clean check-in, from `first` to `last` of February.
fn clean_mornings(world: &mut World, first: u32, last: u32) {
    for day in first..=last {
        world.checkin(ME, &format!("02-{day:02} 08:00"), |_| ());
    }
}

#[test]
fn the_last_accepted_declaration_stands() {
    let program = program([Cause::Declared { any: all::<Admission>(), release: days(14) }]);
    let mut world = World::default();
    assert_eq!(state_at(&world.facts, &program, PersonId(ME), t("02-09")), None);
    let admits = |row: &mut Declaration| row.admissions = all();
    world.declare(ME, "02-01", |_| ());
    let third = world.declare(ME, "02-12", |_| ());
    world.declare(ME, "02-10", admits);
    assert_eq!(state_at(&world.facts, &program, PersonId(ME), before(t("02-01"))), None);
    // The third in time is refused, so the second stands for its days.
    world.assert_active(&program, t("02-10"), t("02-24"));
    assert_eq!(refused_declarations(&world.facts, &program, before(t("02-12"))), [0; 0]);
    assert_eq!(refused_declarations(&world.facts, &program, t("02-12")), [third]);
    // Of two at one instant the greater id is later.
    let fourth = world.declare(ME, "02-10", |_| ());
    assert!(world.is_active(&program, t("02-10")));
    assert_eq!(refused_declarations(&world.facts, &program, t("02-10")), [fourth]);
}

#[test]
fn a_superseded_declaration_has_no_effect_at_all() {
    let symptoms = program([Cause::Symptoms { any: all(), release: days(9) }]);
    let mut world = World::default();
    world.declare(ME, "02-01", |row| row.symptoms = all());
    world.declare(ME, "02-03", |_| ());
    assert!(world.is_active(&symptoms, before(t("02-03"))) && !world.is_active(&symptoms, t("02-03")));
    let unreported = program([Cause::Unreported { days: 4 }]);
    assert_eq!(world.code(&unreported, t("02-03")).valid_until, t("02-07"));
}

#[test]
fn symptoms_are_the_latest_report_with_one() {
    let program = program([Cause::Symptoms { any: set([Symptom::Fever]), release: days(3) }]);
    let mut world = World::new();
    world.checkin(ME, "02-10 09:00", |row| row.temperature_c = 37.3);
    world.checkin(ME, "02-11 09:00", |row| row.symptoms = set([Symptom::Dyspnea]));
    world.checkin(ME, "02-11 10:00", |row| row.temperature_c = 37.29);
    world.assert_active(&program, t("02-10 09:00"), t("02-13 09:00"));
}

#[test]
fn reports_are_forgotten_at_a_midnight() {
    let release = Release { days: 60, clean_days: 0, negative_tests: 0 };
    let mut program = program([Cause::Symptoms { any: all(), release }]);
    program.retention_days = 5;
    let mut world = World::new();
    world.checkin(ME, "02-10 09:00", |row| row.symptoms = all());
    // The trigger itself would count until 09:00 on the 15th.
    world.assert_active(&program, t("02-10 09:00"), t("02-15 00:00"));
}

#[test]
fn a_release_waits_for_consecutive_clean_days_after_the_day_of_the_trigger() {
    let program = test_rule(Release { days: 3, clean_days: 3, negative_tests: 0 });
    let mut world = World::new();
    world.test(ME, "02-10 12:00", "02-10 18:00", TestResult::Positive);
    clean_mornings(&mut world, 10, 12);
    // The 10th is the trigger's day; the 13th is made symptomatic later in the day; the run is the 14th to the 16th.
    clean_mornings(&mut world, 13, 16);
    world.checkin(ME, "02-13 07:00", |row| row.symptoms = set([Symptom::Respiratory]));
    world.assert_active(&program, t("02-10 18:00"), t("02-16 08:00"));
}

#[test]
fn a_symptom_later_in_the_day_spoils_the_day() {
    let program = test_rule(Release { days: 1, clean_days: 2, negative_tests: 0 });
    let mut world = World::new();
    world.test(ME, "02-10 12:00", "02-10 12:00", TestResult::Positive);
    clean_mornings(&mut world, 11, 12);
    world.checkin(ME, "02-12 20:00", |row| row.temperature_c = 38.0);
    world.assert_active(&program, t("02-10 12:00"), t("02-12 08:00"));
    world.assert_active(&program, t("02-12 20:00"), t("02-10 12:00").plus_days(30));
}

#[test]
fn a_release_that_waits_for_clean_days_ends_with_retention() {
    let program = test_rule(Release { days: 3, clean_days: 3, negative_tests: 0 });
    let mut world = World::new();
    world.test(ME, "02-10 12:00", "02-10 18:00", TestResult::Positive);
    world.assert_active(&program, t("02-10 18:00"), t("02-10 12:00").plus_days(30));
}

#[test]
fn a_release_waits_for_negative_tests_on_distinct_days() {
    let program = test_rule(Release { days: 1, clean_days: 0, negative_tests: 2 });
    let mut world = World::new();
    world.test(ME, "02-10 12:00", "02-10 12:00", TestResult::Positive);
    // Not after the trigger; then two on one day; then one more, known the day after.
    world.test(ME, "02-10 12:00", "02-11 12:00", TestResult::Negative);
    world.test(ME, "02-13 00:00", "02-13 09:00", TestResult::Negative);
    world.test(ME, "02-13 23:59", "02-14 09:00", TestResult::Negative);
    world.test(ME, "02-14 00:00", "02-15 10:00", TestResult::Negative);
    world.assert_active(&program, t("02-10 12:00"), t("02-15 10:00"));
}

#[test]
fn the_level_is_that_of_the_nearest_listing() {
    let program = area(0, false, false);
    let mut world = World::new();
    world.listing(330_000, Level::Key, "02-01", None);
    world.listing(330_106, Level::Low, "02-10", Some("02-12"));
    world.stay(ME, "02-09", Some("02-09 12:00"), |stay| stay.region = region(330_106_109));
    world.assert_active(&program, t("02-09"), t("02-10"));
    world.assert_active(&program, t("02-12"), t("02-09 12:00").plus_days(14));
    // Of several listings of one region the highest level decides.
    world.listing(330_106, Level::Key, "02-11", Some("02-12"));
    world.assert_active(&program, t("02-11"), t("02-09 12:00").plus_days(14));
}

#[test]
fn a_case_infects_until_isolated_whenever_that_is_known() {
    let program = contact(|_| ());
    let mut world = World::new();
    world.case(THEM, "02-10", |case| {
        (case.onset_at, case.isolated_at) = (Some(t("02-06")), t("02-08 12:00"));
    });
    world.contact(ME, THEM, "02-03 23:00", 60, Setting::Work);
    assert!(!world.is_active(&program, t("02-10")), "a contact that ends as the window begins");
    world.contact(THEM, ME, "02-08 12:00", 60, Setting::Work);
    assert!(!world.is_active(&program, t("02-10")), "a contact that begins as the window ends");
    world.contact(THEM, ME, "02-08 11:00", 120, Setting::Work);
    // Known with the report; the exposure is the end of the overlap.
    world.assert_active(&program, t("02-10"), t("02-22 12:00"));
}

#[test]
fn a_window_may_end_after_t_and_may_be_empty() {
    let program = contact(|rule| rule.infectious_days_before_onset = 0);
    let mut world = World::new();
    world.case(THEM, "02-10", |case| case.isolated_at = t("02-10"));
    world.contact(ME, THEM, "02-09", 4 * 24 * 60, Setting::Household);
    assert!(!world.is_active(&program, t("02-20")), "isolated as it is reported: nobody was exposed");
    world.case(THEM, "02-11", |case| (case.outcome, case.outcome_at) = (Some(Outcome::Died), t("02-12")));
    world.assert_active(&program, t("02-13"), t("02-26"));
}

#[test]
fn a_contact_counts_once_it_has_ended() {
    let program = contact(|_| ());
    let mut world = World::new();
    world.case(THEM, "02-10", |_| ());
    world.contact(ME, THEM, "02-12 10:00", 90, Setting::Work);
    world.assert_active(&program, t("02-12 11:30"), t("02-26 11:30"));
}

#[test]
fn an_overlap_lasts_at_least_the_minutes() {
    let mut world = World::new();
    world.case(THEM, "02-10", |case| case.isolated_at = t("02-12 10:30"));
    world.contact(ME, THEM, "02-12 10:00", 90, Setting::Work);
    assert!(world.is_active(&contact(|rule| rule.min_minutes = 30), t("02-13")));
    assert!(!world.is_active(&contact(|rule| rule.min_minutes = 31), t("02-13")));
}

#[test]
fn kinds_and_settings_filter() {
    let mut world = World::new();
    world.case(THEM, "02-10", |case| case.kind = CaseKind::Suspected);
    world.contact(ME, THEM, "02-12 10:00", 90, Setting::Work);
    assert!(!world.is_active(&contact(|rule| rule.of = set([CaseKind::Confirmed])), t("02-13")));
    assert!(world.is_active(&contact(|rule| rule.of = set([CaseKind::Suspected])), t("02-13")));
    assert!(!world.is_active(&contact(|rule| rule.settings = Some(set([Setting::School]))), t("02-13")));
    assert!(world.is_active(&contact(|rule| rule.settings = Some(set([Setting::Work]))), t("02-13")));
    assert!(!world.is_active(&contact(|rule| rule.via_contact = false), t("02-13")));
}

#[test]
fn a_case_ruled_out_exposes_nobody_from_then_on() {
    let program = contact(|_| ());
    let mut world = World::new();
    world.case(THEM, "02-10", |case| (case.outcome, case.outcome_at) = (Some(Outcome::RuledOut), t("02-15")));
    world.contact(ME, THEM, "02-12 10:00", 90, Setting::Work);
    world.assert_active(&program, t("02-12 11:30"), t("02-15"));
    // A second case of the same person is a window of its own.
    world.case(THEM, "02-15 12:00", |_| ());
    world.contact(ME, THEM, "02-16", 60, Setting::Work);
    world.assert_active(&program, t("02-16 01:00"), t("03-01 01:00"));
}

#[test]
fn a_shared_place_counts_once_both_have_left() {
    let program = contact(|rule| rule.rows = Some(3));
    let mut world = World::new();
    world.case(THEM, "02-10", |_| ());
    world.seat(ME, "02-11 08:00", Some("02-11 10:00"), Some(5));
    world.seat(THEM, "02-11 09:00", Some("02-11 12:00"), Some(9));
    assert!(!world.is_active(&program, t("02-12")), "four rows apart");
    world.seat(THEM, "02-11 09:00", Some("02-11 13:00"), Some(8));
    world.assert_active(&program, t("02-11 13:00"), t("02-25 10:00"));
    // Nobody meets themselves, an open stay does not count, and a row that is not known parts nobody.
    world.case(ME, "02-01", |_| ());
    world.seat(THIRD, "02-11 09:00", None, None);
    world.case(THIRD, "02-10", |_| ());
    world.assert_active(&program, t("02-11 13:00"), t("02-25 10:00"));
    world.seat(THIRD, "02-11 09:00", Some("02-11 09:30"), None);
    world.assert_active(&program, t("02-11 10:00"), t("02-25 10:00"));
}

#[test]
fn places_touch_when_stays_do_not() {
    let program = contact(|_| ());
    let mut world = World::new();
    world.case(THEM, "02-10", |_| ());
    world.seat(ME, "02-11 08:00", Some("02-11 10:00"), None);
    world.seat(THEM, "02-11 10:00", Some("02-11 12:00"), None);
    assert!(!world.is_active(&program, t("02-12")), "one leaves as the other enters");
    assert!(!world.is_active(&contact(|rule| rule.via_place = false), t("02-12")));
}

#[test]
fn an_exposure_counts_while_younger_than_retention() {
    let release = Release { days: 14, clean_days: 1, negative_tests: 0 };
    let mut program = contact(|rule| rule.release = release);
    program.retention_days = 20;
    let mut world = World::new();
    world.case(THEM, "02-10", |_| ());
    world.contact(ME, THEM, "02-12 10:00", 60, Setting::Work);
    world.assert_active(&program, t("02-12 11:00"), t("02-12 11:00").plus_days(20));
}

fn second_degree(change: impl FnOnce(&mut ContactRule)) -> Program {
    let mut first = contact_rule();
    first.release = days(5);
    change(&mut first);
    let second = Cause::SecondContact { through: RuleId(1), min_minutes: 0, settings: None, release: days(7) };
    program([second, Cause::Contact(first)])
}

#[test]
fn a_second_degree_begins_with_the_first_exposure_of_the_other() {
    let program = second_degree(|_| ());
    let mut world = World::new();
    world.case(THIRD, "02-10", |_| ());
    world.contact(THEM, THIRD, "02-11 08:00", 120, Setting::Work);
    world.contact(ME, THEM, "02-11 09:00", 60, Setting::Work);
    assert!(!world.is_active(&program, t("02-12")), "ends as the other's exposure does");
    world.contact(ME, THEM, "02-11 09:00", 61, Setting::Work);
    world.assert_active(&program, t("02-11 10:01"), t("02-18 10:01"));
}

#[test]
fn a_second_degree_ends_days_after_the_last_exposure_of_the_other() {
    let program = second_degree(|_| ());
    let mut world = World::new();
    world.case(THIRD, "02-10", |_| ());
    world.contact(THEM, THIRD, "02-11 08:00", 60, Setting::Work);
    world.contact(ME, THEM, "02-16 09:00", 60, Setting::Work);
    assert!(!world.is_active(&program, t("02-16 10:00")), "begins as the window ends");
    world.contact(ME, THEM, "02-16 08:59", 60, Setting::Work);
    world.assert_active(&program, t("02-16 09:59"), t("02-23 09:00"));
    // A later exposure lengthens the window, also for a contact long over.
    world.contact(THEM, THIRD, "02-14 08:00", 60, Setting::Work);
    world.assert_active(&program, t("02-16 09:59"), t("02-23 10:00"));
}

#[test]
fn a_quarantine_of_the_other_ends_the_second_degree() {
    let program = second_degree(|_| ());
    let mut world = World::new();
    world.case(THIRD, "02-10", |_| ());
    world.contact(THEM, THIRD, "02-11 08:00", 60, Setting::Work);
    world.contact(ME, THEM, "02-12 09:00", 60, Setting::Work);
    world.quarantine(THEM, QuarantineKind::Home, "02-11 08:59", Some("02-11 08:59"));
    assert!(world.is_active(&program, t("02-13")), "a quarantine before the first exposure");
    world.quarantine(THEM, QuarantineKind::Home, "02-12 09:30", None);
    world.assert_active(&program, t("02-12 10:00"), t("02-19 09:30"));
    world.contact(ME, THEM, "02-12 09:40", 10, Setting::Work);
    world.assert_active(&program, t("02-12 10:00"), t("02-19 09:30"));
    world.quarantine(THEM, QuarantineKind::Centralised, "02-11 09:00", None);
    assert!(!world.is_active(&program, t("02-13")), "one that begins with the first exposure empties the window");
}

#[test]
fn a_second_degree_sees_exposures_in_places_and_forgets_with_them() {
    let mut program = second_degree(|rule| rule.release = days(9));
    program.retention_days = 6;
    let mut world = World::new();
    world.case(THIRD, "02-10", |_| ());
    world.seat(THEM, "02-11 08:00", Some("02-11 10:00"), None);
    world.seat(THIRD, "02-11 09:00", Some("02-11 10:00"), None);
    world.contact(ME, THEM, "02-13 09:00", 60, Setting::Work);
    // 7 days of its own release, but the other's exposure counts no longer from the 17th.
    world.assert_active(&program, t("02-13 10:00"), t("02-17 10:00"));
}

#[test]
fn a_stay_in_an_area_counts_from_its_minutes() {
    let mut world = World::new();
    world.listing(420_000, Level::Key, "01-20", None);
    world.stay(ME, "02-10 08:00", Some("02-12"), |stay| stay.region = region(420_100));
    world.assert_active(&area(0, false, false), t("02-10 08:00"), t("02-26"));
    world.assert_active(&area(60, false, false), t("02-10 09:00"), t("02-26"));
    assert!(!world.is_active(&area(41 * 60, false, false), t("02-13")));
}

#[test]
fn an_empty_stay_counts_where_no_minutes_are_asked() {
    let mut world = World::new();
    world.listing(420_100, Level::Key, "01-20", None);
    world.stay(ME, "02-10", Some("02-10"), |stay| stay.region = region(420_100));
    world.assert_active(&area(0, false, false), t("02-10"), t("02-24"));
    assert!(!world.is_active(&area(1, false, false), t("02-10")));
}

#[test]
fn an_open_stay_holds_on() {
    let mut world = World::new();
    world.listing(420_100, Level::Key, "01-20", Some("05-01"));
    world.stay(ME, "02-10", None, |stay| stay.region = region(420_100));
    world.assert_active(&area(30, false, false), t("02-10 00:30"), t("05-01"));
}

#[test]
fn a_declared_origin_counts_from_the_arrival() {
    let mut world = World::default();
    world.listing(420_100, Level::Key, "01-20", None);
    world.declare(ME, "02-10", |row| row.came_from = Some(region(420_100)));
    assert_eq!(world.code(&area(600, true, false), t("02-10")).valid_until, t("02-24"));
    assert!(!world.is_active(&area(600, false, true), t("02-10")));
    world.declare(ME, "02-12", |row| {
        (row.came_from, row.arrived_at) = (Some(region(420_100)), Some(t("02-13")));
    });
    assert!(!world.is_active(&area(600, true, false), t("02-12")), "declared before the arrival");
    world.assert_active(&area(600, true, false), t("02-13"), t("02-27"));
}

#[test]
fn a_residence_counts_while_it_is_listed() {
    let mut world = World::default();
    world.listing(330_100, Level::Key, "02-10", Some("02-12"));
    world.declare(ME, "02-01", |_| ());
    world.assert_active(&area(0, false, true), t("02-10"), t("02-12"));
}

#[test]
fn a_case_holds_until_its_outcome_and_through_convalescence() {
    let program = program([Cause::Case { kinds: set([CaseKind::Confirmed]), convalescence_days: 14 }]);
    let mut world = World::new();
    world.case(ME, "02-02", |case| case.kind = CaseKind::Suspected);
    world.case(ME, "02-05", |case| (case.outcome, case.outcome_at) = (Some(Outcome::RuledOut), t("02-07")));
    world.assert_active(&program, t("02-05"), t("02-07"));
    world.case(ME, "02-10", |case| (case.outcome, case.outcome_at) = (Some(Outcome::Recovered), t("02-20")));
    world.assert_active(&program, t("02-10"), t("03-05"));
}

#[test]
fn a_quarantine_holds_unless_it_began_at_home_long_ago() {
    let cause = |ignored| Cause::Quarantine { kinds: all(), ignore_home_started_before: ignored };
    let mut world = World::new();
    world.quarantine(ME, QuarantineKind::Home, "02-10", Some("02-12"));
    world.assert_active(&program([cause(None)]), t("02-10"), t("02-12"));
    world.assert_active(&program([cause(Some(t("02-10")))]), t("02-10"), t("02-12"));
    assert!(!world.is_active(&program([cause(Some(t("02-10 00:01")))]), t("02-10")));
    world.quarantine(ME, QuarantineKind::Centralised, "02-09", None);
    world.assert_active(&program([cause(Some(t("02-10 00:01")))]), t("02-09"), NEVER);
}

#[test]
fn a_positive_test_counts_from_its_sample_once_known() {
    let program = test_rule(days(5));
    let mut world = World::new();
    world.test(ME, "02-10", "02-12", TestResult::Positive);
    world.assert_active(&program, t("02-12"), t("02-15"));
}

#[test]
fn untested_without_a_recent_negative_test() {
    let program = program([Cause::Untested { days: 3 }]);
    let mut world = World::new();
    world.test(ME, "02-10 08:00", "02-11 08:00", TestResult::Negative);
    world.test(ME, "02-20", "02-20", TestResult::Positive);
    assert_eq!(world.code(&program, t("02-01")).valid_until, t("02-11 08:00"));
    world.assert_active(&program, t("02-13 08:00"), NEVER);
}

#[test]
fn unreported_without_a_report_of_late() {
    let program = program([Cause::Unreported { days: 2 }]);
    let mut world = World::new();
    world.checkin(ME, "02-10 23:59", |row| row.symptoms = all());
    world.checkin(ME, "02-20 00:00", |_| ());
    world.assert_active(&program, t("02-12"), t("02-20 00:00"));
}

#[test]
fn findings_and_the_white_list() {
    let program = program([Cause::Finding]);
    let mut world = World::new();
    world.finding(ME, "02-10", Some("02-12"));
    world.assert_active(&program, t("02-10"), t("02-12"));
    world.whitelist(ME, "02-01", Some("02-11"));
    let state = world.state(&program, t("02-10"));
    assert_eq!((state.colour, state.reasons.0, state.excused.0), (Colour::Green, 0, 1));
    world.assert_active(&program, t("02-11"), t("02-12"));
}

#[test]
fn the_worst_unexcused_rule_gives_the_colour() {
    let mut program = program([Cause::Finding, Cause::Unreported { days: 2 }]);
    program.rules[1].colour = Colour::Yellow;
    let mut world = World::new();
    world.finding(ME, "02-10", None);
    assert_eq!(world.state(&program, before(t("02-10"))).colour, Colour::Yellow);
    assert_eq!(world.state(&program, t("02-10")).colour, Colour::Red);
    world.whitelist(ME, "02-11", None);
    assert_eq!(world.code(&program, t("02-10")).valid_until, t("02-11"));
    assert_eq!(world.state(&program, t("02-11")).colour, Colour::Yellow);
}

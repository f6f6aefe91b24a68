//! Declarations: nearly everybody makes one after the code has opened, a few change it once, fewer try a third time.
//!
//! The one idea: who declares when is a shuffle of the people, so the rows come in the order of time and each person's own
//! time can be found again from their place in it.

use super::calendar::{DAY, Seconds};
use super::cells::Cells;
use super::city::{City, in_zhejiang, profile};
use super::epidemic::Epidemic;
use super::random::Purpose;
use super::tables::{CONCEALERS, Health, enterprise};
use crate::model::DocType;

/// Of a million people so many declare, change that once, and try a third time.
const FIRST: u32 = 950_000;
const SECOND: u32 = 42_000;
const THIRD: u32 = 6_000;
/// Declared symptoms other than patients', in millionths.
const COLDS: u32 = 36_000;

/// First halves, second halves and trades of firms' names.
const NAMES: &[&str] = &[
    "云", "海", "华", "东", "金", "宏", "天", "恒", "新", "信", "瑞", "盛", "泰", "德", "嘉", "永", "远", "安", "博",
    "创", "启", "明", "正", "中", "联", "方", "西湖", "钱江", "之江", "吴山", "富春", "临江",
];
const TRADES: &[&str] = &[
    "科技",
    "电子",
    "纺织",
    "服饰",
    "食品",
    "机械",
    "物流",
    "建设",
    "贸易",
    "医药",
    "餐饮",
    "信息技术",
    "化工",
    "家具",
    "包装",
    "物业服务",
];

/// The name of a firm.
pub(super) fn firm_name(city: &City, firm: u32) -> String {
    let mut draws = city.draws(Purpose::Label, firm.into());
    let (first, second, trade) = (draws.pick(NAMES), draws.pick(NAMES), draws.pick(TRADES));
    format!("杭州{first}{second}{trade}有限公司")
}

/// Rows of first, second and third declarations.
fn rounds(city: &City) -> [u64; 3] {
    [FIRST, SECOND, THIRD].map(|share| city.share(share).max(1).into())
}

/// Rows of the table.
pub(super) fn rows(city: &City) -> u64 {
    rounds(city).iter().sum()
}

/// When the person at a place of the shuffle declares first: many on the first days.
fn first_time(city: &City, place: u32) -> Seconds {
    let opens = city.calendar.code_opens();
    let share = i64::from(place) * 1_000_000 / i64::from(city.share(FIRST).max(1));
    let curved = (share * 4 + share * share / 1_000_000 * 6) / 10;
    opens + (city.calendar.end() - opens - 1) * curved / 1_000_000
}

/// Writes a declaration, but for its id.
pub(super) fn write(city: &City, epidemic: &Epidemic, row: u64, out: &mut Cells) {
    let [first, second, _] = rounds(city);
    let mut draws = city.draws(Purpose::Declaration, row);
    let (round, number) = if row < first {
        (0, row)
    } else if row < first + second {
        (1, row - first)
    } else {
        (2, row - first - second)
    };
    // Those who change theirs are spread over all who declare.
    let place = if round == 0 { number } else { number * (first / second.max(1)).max(1) };
    let place = u32::try_from(place.min(first - 1)).unwrap_or(0);
    let person = city.declare.apply(place);
    let mut at = first_time(city, place);
    for later in 0..round {
        let again = city.draws(Purpose::Declare, u64::from(place) << 8 | later).seconds(60, 6 * DAY);
        at = (at + again).min(city.calendar.end() - 3 + i64::try_from(later).unwrap_or(0));
    }
    let traveller = city.traveller(person);
    let from_hubei = city.profile.apply(person);
    let from_hubei = Some(from_hubei).filter(|&place| place < city.share(profile::HUBEI.end));
    let conceals = from_hubei.is_some_and(|place| place.is_multiple_of(CONCEALERS));
    // Who has been here for long says nothing of it.
    let told = traveller.filter(|traveller| !conceals && at - traveller.arrived < 14 * DAY);
    let health = Health::of(epidemic, person, at, COLDS, &mut draws);
    let street = city.street(person).code;
    out.token(city.token(person));
    out.instant(city.calendar.at(at));
    out.choice(match draws.below(1000) {
        0..970 => DocType::ResidentId,
        970..982 => DocType::Passport,
        982..990 => DocType::HkMacauPermit,
        990..996 => DocType::TaiwanPermit,
        _ => DocType::Other,
    });
    out.uint(if draws.chance(800_000) { street } else { street / 1000 }.into());
    out.uint_if(told.map(|traveller| traveller.origin.into()));
    out.instant_if(told.filter(|told| told.arrived <= at).map(|told| city.calendar.at(told.arrived)));
    out.flag(health.fever);
    out.flag(health.dyspnea);
    out.flag(health.respiratory);
    out.flag(draws.chance(600));
    let key_area = told.is_some_and(|told| from_hubei.is_some() && !in_zhejiang(told.origin)) && draws.chance(850_000);
    out.flag(key_area || draws.chance(300));
    enterprise(city, person, 500_000, out);
}

//! Which regions are listed at which level, and when.

use super::calendar::{Calendar, DAY, HOUR, Seconds};
use super::city::{City, in_zhejiang};
use super::divisions::{COUNTRIES, HUBEI};
use super::random::Purpose;
use crate::model::Level;

/// The city most hit outside Hubei, in the same province.
const WENZHOU: u32 = 3303;
/// Of the city's people, in millionths, about so many live in a street at the level.
const STREETS_HIGH: u64 = 4_000;
const STREETS_MEDIUM: u64 = 9_000;

/// A listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub(super) region: u32,
    pub(super) level: Level,
    pub(super) listed: Seconds,
    pub(super) delisted: Option<Seconds>,
}

/// All listings, in the order of regions.
pub(super) fn listings(city: &City) -> Vec<Listing> {
    let closing = -3 * DAY + 10 * HOUR;
    let mut list = vec![Listing { region: HUBEI, level: Level::Key, listed: closing, delisted: None }];
    for &county in &city.divisions.hubei {
        // Its counties are listed again by themselves: a level of a county comes before its province's.
        if city.draws(Purpose::Listing, county.into()).chance(300_000) {
            list.push(Listing { region: county, level: Level::Key, listed: closing + DAY, delisted: None });
        }
    }
    for &county in &city.divisions.zhejiang {
        list.extend(of_county(city, county));
    }
    for county in city.divisions.counties_elsewhere() {
        if city.draws(Purpose::Listing, u64::from(county) << 8).chance(250_000) {
            list.extend(of_county(city, county));
        }
    }
    streets(city, &mut list);
    for &country in &COUNTRIES[..3] {
        let listed = (city.calendar.end() - 3 * DAY).max(0);
        list.push(Listing { region: country, level: Level::Elevated, listed, delisted: None });
    }
    list.sort_by_key(|listing| (listing.region, listing.listed));
    list
}

fn some_time(calendar: Calendar, draws: &mut super::random::Draws) -> Seconds {
    draws.seconds(-DAY, (calendar.end() - 2 * DAY).max(DAY)) / HOUR * HOUR
}

/// A county's listing, and often the milder one that followed.
fn of_county(city: &City, county: u32) -> Vec<Listing> {
    let mut draws = city.draws(Purpose::Listing, county.into());
    let share = draws.below(100);
    let level = match (county / 100 == WENZHOU, in_zhejiang(county)) {
        (true, _) => {
            if share < 60 {
                Level::High
            } else {
                Level::Elevated
            }
        }
        (false, true) => match share {
            0..5 => Level::Elevated,
            5..14 => Level::Medium,
            14..50 => Level::Lower,
            _ => Level::Low,
        },
        (false, false) => match share {
            0..2 => Level::High,
            2..8 => Level::Medium,
            _ => Level::Low,
        },
    };
    let listed = some_time(city.calendar, &mut draws);
    let delisted = listed + draws.seconds(5 * DAY, 20 * DAY);
    if delisted >= city.calendar.end() {
        return vec![Listing { region: county, level, listed, delisted: None }];
    }
    let milder = if level > Level::Medium { Level::Medium } else { Level::Low };
    vec![
        Listing { region: county, level, listed, delisted: Some(delisted) },
        Listing { region: county, level: milder, listed: delisted, delisted: None },
    ]
}

/// Small streets of the city that were listed, as long as few people live there.
fn streets(city: &City, list: &mut Vec<Listing>) {
    let mut draws = city.draws(Purpose::Listing, 0);
    for (level, share) in [(Level::High, STREETS_HIGH), (Level::Medium, STREETS_MEDIUM)] {
        let mut left = u64::from(city.people) * share / 1_000_000;
        for _ in 0..64 {
            let street = draws.pick(&city.streets);
            let people = u64::from(street.people.end - street.people.start);
            if people <= left && list.iter().all(|listing| listing.region != street.code) {
                left -= people;
                let listed = some_time(city.calendar, &mut draws);
                list.push(Listing { region: street.code, level, listed, delisted: None });
            }
        }
    }
}

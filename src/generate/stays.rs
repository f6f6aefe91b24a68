//! The stays of the city, each a function of its number: one in ten in a place (a venue, a carriage, an aircraft), the others
//! in a region only.
//!
//! Invariant: nobody is in the city before they arrived, and in no place while isolated or in quarantine, unless a draw fails
//! over and over.

use super::calendar::{DAY, HOUR, MINUTE, Seconds};
use super::city::City;
use super::contacts::{Daily, DayRow};
use super::divisions::COUNTRIES;
use super::random::{Draws, Purpose};
use super::withdrawn::Withdrawn;

/// One row in so many is in a place.
const PLACE_EVERY: u64 = 10;
/// Draws for a person before anybody is taken.
const ATTEMPTS: u32 = 8;
/// People of a county for each venue in it.
const PEOPLE_PER_VENUE: u32 = 200;
/// Visits to the first venues of a county: so many of the first share the first place in Zipf's law.
const VENUES_PER_LEVEL: u32 = 4000;
/// Passengers that a carriage has on average.
const CARRIAGE_PASSENGERS: u64 = 30;
const CARRIAGES: u32 = 8;
const AIRCRAFT_PASSENGERS: u64 = 90;
/// Rows of seats.
const CARRIAGE_ROWS: u32 = 17;
const AIRCRAFT_ROWS: u32 = 30;
/// Of a million stays in a place, those in trains and those in aircraft.
const TRAIN_SHARE: u64 = 220_000;
const FLIGHT_SHARE: u64 = 30_000;
/// The county of the railway station, and of the airport.
const STATION: u32 = 330_104;
const AIRPORT: u32 = 330_109;

const VENUES: &[&str] = &["market", "mall", "restaurant", "hospital", "cinema", "gym", "hotel", "hall"];

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The venue of a rank in a county.
    Venue { county: u32, rank: u32 },
    /// A carriage of a train of a day.
    Carriage { train: u32, day: u32, carriage: u32 },
    /// An aircraft of a day.
    Aircraft { flight: u32, day: u32 },
}

impl Place {
    /// The place's token: `market-330106-17`, `G7349-20200120-05`, `CA1702-20200120`.
    pub(super) fn token(self, city: &City) -> String {
        match self {
            Self::Venue { county, rank } => {
                let kind = *city.draws(Purpose::Venue, u64::from(county) << 32 | u64::from(rank)).pick(VENUES);
                format!("{kind}-{county}-{}", rank + 1)
            }
            Self::Carriage { train, day, carriage } => {
                let letter = ["G", "G", "D", "K"][train as usize % 4];
                format!("{letter}{}-{}-{:02}", 7301 + train, city.calendar.date(day), carriage + 1)
            }
            Self::Aircraft { flight, day } => {
                let airline = ["CA", "MU", "CZ", "JD"][flight as usize % 4];
                format!("{airline}{}-{}", 1701 + flight, city.calendar.date(day))
            }
        }
    }
}

/// A stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) person: u32,
    pub(super) region: u32,
    pub(super) place: Option<Place>,
    pub(super) entered: Seconds,
    pub(super) left: Option<Seconds>,
    pub(super) row: Option<u16>,
}

/// Rows of stays: four a person in 30 days.
pub(super) fn daily(city: &City) -> Daily {
    Daily::new(u64::from(city.people) * 4, city.calendar)
}

/// Rows of a day that are in a place.
pub(super) fn place_rows(city: &City, day: u64) -> impl Iterator<Item = u64> + Clone {
    let rows = daily(city).of_day(day);
    (rows.start.next_multiple_of(PLACE_EVERY)..rows.end).step_by(usize::try_from(PLACE_EVERY).unwrap_or(1))
}

/// The stay of a row.
pub(super) fn visit(city: &City, withdrawn: &Withdrawn, row: u64) -> Visit {
    let place = daily(city).locate(row);
    let mut draws = city.draws(Purpose::Stay, row);
    if row.is_multiple_of(PLACE_EVERY) {
        visit_of_place(city, withdrawn, place, &mut draws)
    } else {
        visit_of_region(city, place, &mut draws)
    }
}

fn visit_of_place(city: &City, withdrawn: &Withdrawn, place: DayRow, draws: &mut Draws) -> Visit {
    let share = draws.below(1_000_000);
    let day = u32::try_from(place.day).unwrap_or(u32::MAX);
    let mut visit = if share < TRAIN_SHARE {
        in_train(city, place, draws)
    } else if share < TRAIN_SHARE + FLIGHT_SHARE {
        in_aircraft(city, place, draws)
    } else {
        let entered = place.instant(7, 21, draws);
        let left = entered + draws.length(&[(0, 5 * MINUTE), (500_000, 40 * MINUTE), (1_000_000, 4 * HOUR)]);
        Visit { person: 0, region: 0, place: None, entered, left: Some(left), row: None }
    };
    for _ in 0..ATTEMPTS {
        visit.person = city.anybody(draws);
        if !withdrawn.is_out(visit.person, visit.entered, false) && !city.is_away(visit.person, visit.entered) {
            break;
        }
    }
    if visit.place.is_none() {
        let local = draws.chance(700_000);
        let county = if local { city.county(visit.person) } else { city.county(city.anybody(draws)) };
        let county = &city.counties[county];
        let venues = (county.people / PEOPLE_PER_VENUE).max(3);
        let rank = draws.rank(venues, (venues / VENUES_PER_LEVEL).max(1));
        (visit.region, visit.place) = (county.code, Some(Place::Venue { county: county.code, rank }));
    }
    debug_assert!(day < city.calendar.days());
    visit
}

/// A ride in a carriage: the train's hours are the same every day.
fn in_train(city: &City, place: DayRow, draws: &mut Draws) -> Visit {
    let trains =
        (place.rows / PLACE_EVERY * TRAIN_SHARE / 1_000_000).div_ceil(CARRIAGE_PASSENGERS * u64::from(CARRIAGES));
    let train = draws.below_u32(u32::try_from(trains).unwrap_or(u32::MAX).max(1));
    let mut timetable = city.draws(Purpose::Vehicle, u64::from(train));
    let day = i64::try_from(place.day).unwrap_or(0);
    let leaves = day * DAY + timetable.seconds(6 * HOUR, 20 * HOUR);
    let length = timetable.seconds(40 * MINUTE, 4 * HOUR);
    // Some get on or off on the way.
    let entered = leaves + if draws.chance(300_000) { draws.seconds(0, length / 2) } else { 0 };
    let left = leaves + length - if draws.chance(300_000) { draws.seconds(0, length / 3) } else { 0 };
    // No seat is on record in sleepers.
    let row = (train % 4 != 3).then(|| 1 + draws.below_u32(CARRIAGE_ROWS));
    let carriage = draws.below_u32(CARRIAGES);
    Visit {
        person: 0,
        region: STATION,
        place: Some(Place::Carriage { train, day: u32::try_from(place.day).unwrap_or(0), carriage }),
        entered,
        left: Some(left),
        row: row.and_then(|row| u16::try_from(row).ok()),
    }
}

fn in_aircraft(city: &City, place: DayRow, draws: &mut Draws) -> Visit {
    let flights = (place.rows / PLACE_EVERY * FLIGHT_SHARE / 1_000_000).div_ceil(AIRCRAFT_PASSENGERS);
    let flight = draws.below_u32(u32::try_from(flights).unwrap_or(u32::MAX).max(1));
    let mut timetable = city.draws(Purpose::Vehicle, 1 << 32 | u64::from(flight));
    let day = i64::try_from(place.day).unwrap_or(0);
    let entered = day * DAY + timetable.seconds(6 * HOUR, 20 * HOUR);
    let left = entered + timetable.seconds(70 * MINUTE, 3 * HOUR);
    let row = 1 + draws.below_u32(AIRCRAFT_ROWS);
    let place = Place::Aircraft { flight, day: u32::try_from(place.day).unwrap_or(0) };
    Visit { person: 0, region: AIRPORT, place: Some(place), entered, left: Some(left), row: u16::try_from(row).ok() }
}

fn visit_of_region(city: &City, place: DayRow, draws: &mut Draws) -> Visit {
    let person = draws.below_u32(city.people);
    let entered = place.instant(0, 23, draws);
    let mut length = draws.length(&[(0, 10 * MINUTE), (500_000, 6 * HOUR), (900_000, 16 * HOUR), (1_000_000, 3 * DAY)]);
    let region = match city.traveller(person) {
        Some(traveller) if entered < traveller.arrived => {
            length = length.min(traveller.arrived - entered);
            traveller.origin
        }
        _ => match draws.below(1000) {
            0..560 => city.street(person).code,
            560..800 => city.firm_street(city.firm(person).0),
            800..960 => city.street(city.anybody(draws)).code,
            960..999 => city.trip(draws),
            _ => *draws.pick(COUNTRIES),
        },
    };
    let left = entered + length;
    // A stay that has not ended is open, or its end is not known yet.
    let open = left >= city.calendar.end() || draws.chance(2_000) && entered > city.calendar.end() - 2 * DAY;
    Visit { person, region, place: None, entered, left: (!open).then_some(left), row: None }
}

/// Where somebody was before they came to the city.
pub(super) fn before_arrival(city: &City, person: u32) -> Visit {
    let traveller = city.traveller(person);
    let (region, left) = traveller.map_or((city.street(person).code, 0), |found| (found.origin, found.arrived));
    Visit { person, region, place: None, entered: left - 20 * DAY, left: Some(left), row: None }
}

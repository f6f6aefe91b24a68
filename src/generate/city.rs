//! Who lives in the city: people by number, where they live, with whom, what they do and where they came from.
//!
//! The one idea: people are numbered street by street and household by household, so a neighbourhood is a range of numbers;
//! firms and other groups that cut across the city are runs of a shuffle. All but the households' borders (a bit a person)
//! is computed when asked for.
//!
//! Invariant: every answer is a function of the order (people, seed, days) alone.

use std::ops::Range;

use super::Order;
use super::calendar::{Calendar, DAY, Seconds};
use super::divisions::{COUNTRIES, Divisions, ZHEJIANG};
use super::random::{Draws, Permutation, Purpose, hex, keyed, mix};

/// Persons of one word of the households' borders: no household crosses it.
const BLOCK: u32 = u64::BITS;
/// Share of households, in millionths and summed up, by size from one person (census of 2020, rounded).
const HOUSEHOLD_SIZES: &[u32] = &[254_000, 551_000, 761_000, 892_000, 955_000, 985_000, 1_000_000];
/// People of a block of firms or schools: the largest of them.
const FIRMS_LOG2: u32 = 12;
const SCHOOLS_LOG2: u32 = 13;
/// People who meet on the way, as log2.
const COMMUTE_LOG2: u32 = 5;

/// What a person does by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Works in a firm.
    Worker,
    /// Goes to school.
    Pupil,
    /// Is at home.
    Home,
}

/// Someone who came to the city from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traveller {
    /// Region they were in before.
    pub(super) origin: u32,
    /// When they arrived.
    pub(super) arrived: Seconds,
}

/// A street with its people.
#[derive(Clone, Debug)]
pub(super) struct Street {
    /// Nine digits.
    pub(super) code: u32,
    /// Numbers of its people.
    pub(super) people: Range<u32>,
}

/// A county with its people.
#[derive(Clone, Debug)]
pub(super) struct County {
    /// Six digits.
    pub(super) code: u32,
    /// How many people.
    pub(super) people: u32,
}

/// Shares of the people, in millionths of the places of the profile's shuffle: who came from where, who reports daily.
pub(super) mod profile {
    use std::ops::Range;

    /// Came from Hubei.
    pub(in super::super) const HUBEI: Range<u32> = 0..55_000;
    /// Came from other cities of Zhejiang.
    pub(in super::super) const ZHEJIANG: Range<u32> = 55_000..85_000;
    /// Came from other provinces.
    pub(in super::super) const PROVINCES: Range<u32> = 85_000..148_000;
    /// Came from abroad.
    pub(in super::super) const ABROAD: Range<u32> = 148_000..149_000;
    /// Report their health every day: most of those who came, and some others.
    pub(in super::super) const DAILY: Range<u32> = 37_000..87_000;
}

/// The city.
#[derive(Debug)]
pub(super) struct City {
    pub(super) seed: u64,
    pub(super) people: u32,
    pub(super) calendar: Calendar,
    pub(super) divisions: Divisions,
    pub(super) streets: Vec<Street>,
    pub(super) counties: Vec<County>,
    /// Who came from where: shares of its places are in [`profile`].
    pub(super) profile: Permutation,
    /// Who declares when.
    pub(super) declare: Permutation,
    /// Firms are runs of it.
    work: Permutation,
    /// Its first tenth goes out most; people next to each other in it meet on the way.
    lively: Permutation,
    /// A bit a person: the first of a household.
    households: Vec<u64>,
}

impl City {
    /// Builds the city. Cost: a bit a person.
    pub(super) fn new(order: &Order) -> Self {
        let (seed, people) = (order.seed, order.people);
        let divisions = Divisions::new(seed);
        let streets = settle(&divisions, people);
        let shuffle = |purpose| Permutation::new(seed, purpose, people);
        Self {
            seed,
            people,
            calendar: Calendar::new(order.days),
            counties: counties_of(&streets),
            streets,
            divisions,
            profile: shuffle(Purpose::Profile),
            declare: shuffle(Purpose::Declare),
            work: shuffle(Purpose::Workplace),
            lively: shuffle(Purpose::Lively),
            households: (0..people.div_ceil(BLOCK)).map(|block| house(seed, block)).collect(),
        }
    }

    /// Draws for the thing numbered `key`.
    pub(super) const fn draws(&self, purpose: Purpose, key: u64) -> Draws {
        Draws::new(self.seed, purpose, key)
    }

    /// The token of a person: unique, because a mix is a bijection.
    pub(super) fn token(&self, person: u32) -> [u8; 16] {
        hex(mix(mix(u64::from(person) ^ keyed(self.seed, Purpose::Token, 0)).wrapping_add(self.seed)))
    }

    /// So many millionths of the people, counted by their places in a shuffle.
    pub(super) fn share(&self, millionths: u32) -> u32 {
        u32::try_from(u64::from(self.people) * u64::from(millionths) / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Places of the profile that belong to a share.
    pub(super) fn places(&self, share: &Range<u32>) -> Range<u32> {
        self.share(share.start)..self.share(share.end)
    }

    /// The street a person lives in.
    pub(super) fn street(&self, person: u32) -> &Street {
        let next = self.streets.partition_point(|street| street.people.start <= person);
        &self.streets[next.saturating_sub(1)]
    }

    /// The county a person lives in, as an index.
    pub(super) fn county(&self, person: u32) -> usize {
        let code = self.street(person).code / 1000;
        self.counties.iter().position(|county| county.code == code).unwrap_or(0)
    }

    /// The people a person lives with, the person among them.
    pub(super) fn household(&self, person: u32) -> Range<u32> {
        let (block, place) = (person / BLOCK, person % BLOCK);
        let borders = self.households[block as usize];
        let up_to = borders & (u64::MAX >> (BLOCK - 1 - place));
        let first = block * BLOCK + (BLOCK - 1 - up_to.leading_zeros().min(BLOCK - 1));
        let after = borders & !(u64::MAX >> (BLOCK - 1 - place));
        first..(block * BLOCK + after.trailing_zeros()).min(self.people)
    }

    /// What a person does: the first two of a household mostly work, the others mostly go to school.
    pub(super) fn role(&self, person: u32) -> Role {
        let place = person - self.household(person).start;
        let share = self.draws(Purpose::Role, u64::from(person)).below(100);
        match (place, share) {
            (0, 0..72) | (1, 0..66) | (2.., 55..75) => Role::Worker,
            (2.., 0..55) => Role::Pupil,
            _ => Role::Home,
        }
    }

    /// The firm of a person: the first place of its run, which names it, and its length.
    pub(super) fn firm(&self, person: u32) -> (u32, u32) {
        run_of(self.seed, Purpose::Workplace, FIRMS_LOG2, self.work.apply(person), 2)
    }

    /// The street where a firm is.
    pub(super) fn firm_street(&self, firm: u32) -> u32 {
        let person = self.draws(Purpose::Street, u64::from(firm) << 32).below_u32(self.people);
        self.street(person).code
    }

    /// Someone else of the firm, or `None` if the draw meets nobody who works.
    pub(super) fn colleague(&self, person: u32, draws: &mut Draws) -> Option<u32> {
        let (first, size) = self.firm(person);
        let other = first + draws.below_u32(size.min(self.people - first));
        Some(self.work.undo(other)).filter(|&other| self.role(other) == Role::Worker)
    }

    /// Someone else of the school, or `None` if the draw meets nobody of school age. Schools take in their neighbourhood.
    pub(super) fn schoolmate(&self, person: u32, draws: &mut Draws) -> Option<u32> {
        let (first, size) = run_of(self.seed, Purpose::School, SCHOOLS_LOG2, person, 9);
        let other = first + draws.below_u32(size.min(self.people - first));
        Some(other).filter(|&other| self.role(other) == Role::Pupil)
    }

    /// Someone who takes the same way.
    pub(super) fn fellow_traveller(&self, person: u32, draws: &mut Draws) -> u32 {
        let first = self.lively.apply(person) >> COMMUTE_LOG2 << COMMUTE_LOG2;
        self.lively.undo(first + draws.below_u32((self.people - first).min(1 << COMMUTE_LOG2)))
    }

    /// Anybody; those who go out most more often than others.
    pub(super) fn anybody(&self, draws: &mut Draws) -> u32 {
        if draws.chance(300_000) {
            self.lively.undo(draws.below_u32(self.people.div_ceil(10)))
        } else {
            draws.below_u32(self.people)
        }
    }

    /// Someone of the neighbourhood.
    pub(super) fn neighbour(&self, person: u32, draws: &mut Draws) -> u32 {
        let span = 1000.min(self.people);
        let first = person.saturating_sub(span / 2).min(self.people - span);
        first + draws.below_u32(span)
    }

    /// Where a person came from, if from elsewhere.
    pub(super) fn traveller(&self, person: u32) -> Option<Traveller> {
        self.traveller_at(self.profile.apply(person))
    }

    /// As [`Self::traveller`], for the person at a place of the profile.
    pub(super) fn traveller_at(&self, place: u32) -> Option<Traveller> {
        if place >= self.share(profile::ABROAD.end) {
            return None;
        }
        let mut draws = self.draws(Purpose::Traveller, u64::from(place));
        let origin = if place < self.share(profile::HUBEI.end) {
            *draws.pick(&self.divisions.hubei)
        } else if place < self.share(profile::ZHEJIANG.end) {
            *draws.pick(&self.divisions.zhejiang)
        } else if place < self.share(profile::PROVINCES.end) {
            self.divisions.elsewhere(&mut draws)
        } else {
            *draws.pick(COUNTRIES)
        };
        // All arrive before the end, some before the first day.
        let latest = self.calendar.end() - DAY / 4;
        Some(Traveller { origin, arrived: draws.seconds(-5 * DAY, latest) })
    }

    /// Whether a person has not arrived yet.
    pub(super) fn is_away(&self, person: u32, at: Seconds) -> bool {
        self.traveller(person).is_some_and(|traveller| at < traveller.arrived)
    }

    /// A county outside the city, near ones most often.
    pub(super) fn trip(&self, draws: &mut Draws) -> u32 {
        if draws.chance(750_000) { *draws.pick(&self.divisions.zhejiang) } else { self.divisions.elsewhere(draws) }
    }
}

/// Whether a county is in the city's province.
pub(super) const fn in_zhejiang(county: u32) -> bool {
    county / 10_000 == ZHEJIANG / 10_000
}

/// The run that holds `place`, where blocks of `1 << most` places are cut in halves, and these again, down to `1 << least`
/// places: one piece in ten stays whole at each size, so sizes are skewed as those of firms are.
fn run_of(seed: u64, purpose: Purpose, most: u32, place: u32, least: u32) -> (u32, u32) {
    let is_whole = |log2: &u32| {
        let piece = u64::from(*log2) << 32 | u64::from(place >> log2);
        Draws::new(seed, purpose, piece).chance(100_000)
    };
    let log2 = (least + 1..=most).rev().find(is_whole).unwrap_or(least);
    (place >> log2 << log2, 1 << log2)
}

/// The borders of the households of a block.
fn house(seed: u64, block: u32) -> u64 {
    let mut draws = Draws::new(seed, Purpose::Household, u64::from(block));
    let (mut borders, mut place) = (0, 0);
    while place < BLOCK {
        borders |= 1 << place;
        let share = draws.below_u32(1_000_000);
        let larger = HOUSEHOLD_SIZES.iter().filter(|&&below| below <= share).count();
        place += 1 + u32::try_from(larger).unwrap_or(0);
    }
    borders
}

/// Gives each street a range of people by its weight; borders are those of blocks, so that households stay whole.
fn settle(divisions: &Divisions, people: u32) -> Vec<Street> {
    let sum: u64 = divisions.streets.iter().map(|street| street.weight).sum();
    let mut before = 0;
    let mut first = 0;
    let mut streets = Vec::with_capacity(divisions.streets.len());
    for street in &divisions.streets {
        before += street.weight;
        let end = u128::from(people) * u128::from(before) / u128::from(sum.max(1));
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        let end = if before == sum { people } else { end / BLOCK * BLOCK };
        if end > first {
            streets.push(Street { code: street.code, people: first..end });
            first = end;
        }
    }
    streets
}

fn counties_of(streets: &[Street]) -> Vec<County> {
    let mut counties: Vec<County> = Vec::new();
    for street in streets {
        let code = street.code / 1000;
        match counties.last_mut().filter(|county| county.code == code) {
            Some(county) => county.people += street.people.end - street.people.start,
            None => counties.push(County { code, people: street.people.end - street.people.start }),
        }
    }
    counties
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn city(people: u32) -> City {
        City::new(&Order { people, seed: 5, days: 30, dirt: false })
    }

    #[test]
    fn everybody_has_a_street_a_household_and_a_token_of_their_own() {
        for people in [1, 2, 63, 64, 65, 5000] {
            let city = city(people);
            assert_eq!(city.streets.last().map(|street| street.people.end), Some(people));
            let tokens: HashSet<_> = (0..people).map(|person| city.token(person)).collect();
            assert_eq!(tokens.len(), people as usize);
            for person in 0..people {
                let home = city.household(person);
                assert!(home.contains(&person) && home.len() <= 7, "{person} in {home:?}");
                assert_eq!(city.household(home.start), home);
                assert!(city.street(person).people.contains(&person));
            }
        }
    }

    #[test]
    fn households_and_roles_have_believable_sizes() {
        let city = city(20_000);
        let homes = (0..20_000).filter(|&person| city.household(person).start == person).count();
        assert!((6500..8500).contains(&homes), "{homes}");
        let workers = (0..20_000).filter(|&person| city.role(person) == Role::Worker).count();
        let pupils = (0..20_000).filter(|&person| city.role(person) == Role::Pupil).count();
        assert!((9000..13_000).contains(&workers) && (2500..6500).contains(&pupils), "{workers} {pupils}");
    }

    #[test]
    fn colleagues_share_a_firm_and_firms_are_skewed() {
        let city = city(20_000);
        let mut draws = city.draws(Purpose::Label, 0);
        let mut sizes = HashSet::new();
        for person in 0..2000 {
            let firm = city.firm(person);
            sizes.insert(firm.1);
            if let Some(other) = city.colleague(person, &mut draws) {
                assert_eq!(city.firm(other), firm);
            }
        }
        assert!(sizes.len() >= 4, "{sizes:?}");
    }
}

//! Levels of regions: who is listed when, and the level of every region at an instant.
//!
//! The one idea: the regions that persons' facts name are few (some 46,000 codes exist), so each has a dense number; at an
//! instant the level of every number is computed once, and a stay's level is one lookup.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::{Bitmap, LiveFacts};
use crate::model::facts::{RiskAreas, TableColumns as _};
use crate::model::flat::Visitor;
use crate::model::{EnumSet, Flat, Level, PersonId, Region, RegionId, Timestamp};

/// The regions named in facts about persons, and the listings.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    codes: Flat<Region>,
    numbers: HashMap<Region, RegionId>,
    /// Listings in the order of their region, then of their begin.
    listings: RiskAreas,
    listed: HashMap<Region, std::ops::Range<usize>>,
}

impl Regions {
    /// Indexes listings; regions are numbered as they are met by [`Self::number`].
    #[must_use]
    pub fn new(mut listings: RiskAreas) -> Self {
        let mut order: Vec<u32> = (0u32..).take(listings.len()).collect();
        order.par_sort_unstable_by_key(|&row| {
            let area = listings.row(row as usize);
            (area.region, area.listed_at, area.id)
        });
        listings.permute(&order);
        Self { listed: listed(&listings), listings, ..Self::default() }
    }

    /// Shows its columns to a visitor, and indexes them anew in case they have been replaced.
    pub(super) fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
        self.listings.visit(visitor)?;
        visitor.column("codes", &mut self.codes)?;
        self.listed = listed(&self.listings);
        self.numbers = self.codes.iter().copied().zip((0..).map(RegionId::from_index)).collect();
        Ok(())
    }

    /// The same regions under other listings; their numbers stay.
    #[must_use]
    pub fn relisted(self, listings: RiskAreas) -> Self {
        Self { codes: self.codes, numbers: self.numbers, ..Self::new(listings) }
    }

    /// The number of a region, a new one if it is met for the first time.
    ///
    /// # Panics
    /// Never: there are fewer valid codes than numbers.
    pub fn number(&mut self, region: Region) -> RegionId {
        *self.numbers.entry(region).or_insert_with(|| {
            self.codes.push(region);
            RegionId::from_index(u32::try_from(self.codes.len() - 1).expect("there are fewer than 2^32 regions"))
        })
    }

    /// The number of a region, if it has one.
    #[must_use]
    pub fn number_of(&self, region: Region) -> Option<RegionId> {
        self.numbers.get(&region).copied()
    }

    /// The region with a number.
    #[must_use]
    pub fn code(&self, id: RegionId) -> Region {
        self.codes[id.index()]
    }

    /// How many regions are numbered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The listings of one region and of those that hold it, nearest first.
    pub fn listings_above(&self, region: Region) -> impl Iterator<Item = std::ops::Range<usize>> {
        std::iter::successors(Some(region), |region| region.parent())
            .filter_map(|region| self.listed.get(&region).cloned())
    }

    /// All listings, by region.
    #[must_use]
    pub const fn listings(&self) -> &RiskAreas {
        &self.listings
    }

    /// All listings, by region.
    #[must_use]
    pub fn into_listings(self) -> RiskAreas {
        self.listings
    }

    /// The level of a region at an instant. Cost: its and its parents' listings.
    #[must_use]
    pub fn level_at(&self, region: Region, at: Timestamp) -> Option<Level> {
        let highest = |rows: std::ops::Range<usize>| {
            rows.filter(|&row| self.listings.listed_at[row] <= at && at < self.listings.delisted_at[row])
                .map(|row| self.listings.level[row])
                .max()
        };
        self.listings_above(region).find_map(highest)
    }

    /// Whether a region is at one of these levels at an instant, or may be later.
    #[must_use]
    pub fn may_reach(&self, region: Region, levels: EnumSet<Level>, at: Timestamp) -> bool {
        let listings = &self.listings;
        let counts = |row: usize| listings.delisted_at[row] > at && levels.contains(listings.level[row]);
        self.listings_above(region).flatten().any(counts)
    }

    /// Whether the level of a region may differ after an instant from that at it.
    #[must_use]
    pub fn may_change_after(&self, region: Region, at: Timestamp) -> bool {
        self.listings_above(region).flatten().any(|row| {
            let ends = self.listings.delisted_at[row];
            self.listings.listed_at[row] > at || (ends > at && !ends.is_never())
        })
    }
}

impl LiveFacts {
    /// Whoever lives in, came from or stayed in one of some regions, ascending.
    ///
    /// Cost: 8 bytes a declaration and 4 a stay, in the order of persons.
    ///
    /// # Panics
    /// Never: ids of persons are 32-bit, which their interner sees to.
    #[must_use]
    pub fn people_of_regions(&self, regions: &Bitmap) -> Vec<PersonId> {
        let facts = self.facts();
        let within = |region: RegionId| regions.contains(region.index());
        let is_of = |person: &PersonId| {
            let mut stays = facts.stays_of.range(person.index());
            let mut declarations = facts.declarations_of.range(person.index());
            stays.any(|row| within(facts.stay_region[row]))
                || declarations.any(|row| within(facts.residence[row]) || facts.came_from[row].is_some_and(within))
        };
        let people = u32::try_from(facts.people).expect("person ids are 32-bit");
        (0..people).into_par_iter().map(PersonId).filter(is_of).collect()
    }
}

/// The range of rows of each region, in listings that are in the order of regions.
fn listed(listings: &RiskAreas) -> HashMap<Region, std::ops::Range<usize>> {
    let mut listed: HashMap<Region, std::ops::Range<usize>> = HashMap::new();
    for (row, &region) in listings.region.iter().enumerate() {
        listed.entry(region).or_insert(row..row).end = row + 1;
    }
    listed
}

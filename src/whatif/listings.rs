//! Listings as they would be after regions are listed and delisted.

use std::fmt;

use crate::model::facts::{RiskArea, RiskAreas, TableColumns as _};
use crate::model::{ClosedEnum as _, Level, Region, Timestamp};

/// What is to be changed of the listings.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Regions listed, at a level each.
    pub list: Vec<(Region, Level)>,
    /// Regions delisted.
    pub delist: Vec<Region>,
}

/// A region to be delisted that is not listed.
#[derive(Debug, PartialEq, Eq)]
pub struct NotListed {
    /// The region.
    pub region: Region,
    /// The nearest region above it that is listed, and its level.
    pub above: Option<(Region, Level)>,
    /// Regions in it that are listed, a few.
    pub below: Vec<Region>,
}

/// How many regions an error names.
const NAMED_MAX: usize = 3;

impl fmt::Display for NotListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not listed at that instant", self.region.code())?;
        if let Some((region, level)) = self.above {
            write!(f, "; {} above it is listed {}", region.code(), level.name())?;
        }
        if !self.below.is_empty() {
            let codes: Vec<String> = self.below.iter().map(|region| region.code().to_string()).collect();
            write!(f, "; in it is listed {}", codes.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotListed {}

impl Edit {
    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty() && self.delist.is_empty()
    }

    /// The listings after the edit at an instant: what holds there of the regions delisted ends there, then the regions listed
    /// begin there, with open end. Cost: a pass over the listings.
    ///
    /// # Errors
    /// The first region delisted of which no listing holds.
    pub fn apply(&self, listings: &RiskAreas, at: Timestamp) -> Result<RiskAreas, NotListed> {
        let holds = |row: usize| listings.listed_at[row] <= at && at < listings.delisted_at[row];
        let held: Vec<usize> = (0..listings.len()).filter(|&row| holds(row)).collect();
        let mut edited = listings.clone();
        for &region in &self.delist {
            let rows: Vec<usize> = held.iter().copied().filter(|&row| listings.region[row] == region).collect();
            if rows.is_empty() {
                return Err(not_listed(region, listings, &held));
            }
            for row in rows {
                edited.delisted_at[row] = at;
            }
        }
        let mut id = listings.id.iter().max().copied().unwrap_or(0);
        for &(region, level) in &self.list {
            id = id.wrapping_add(1);
            edited.push(RiskArea { id, region, level, listed_at: at, delisted_at: Timestamp::NEVER });
        }
        Ok(edited)
    }
}

fn not_listed(region: Region, listings: &RiskAreas, held: &[usize]) -> NotListed {
    let above = |region: Region| std::iter::successors(region.parent(), |region| region.parent());
    let level = |wanted: Region| {
        held.iter().filter(|&&row| listings.region[row] == wanted).map(|&row| listings.level[row]).max()
    };
    let mut below: Vec<Region> =
        held.iter().map(|&row| listings.region[row]).filter(|&held| above(held).any(|above| above == region)).collect();
    below.sort_unstable();
    below.dedup();
    below.truncate(NAMED_MAX);
    NotListed { region, above: above(region).find_map(|above| Some((above, level(above)?))), below }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: u32) -> Region {
        Region::new(code).expect("a region")
    }

    fn listings(rows: &[(u32, Level, i64, i64)]) -> RiskAreas {
        let mut listings = RiskAreas::default();
        for (id, &(code, level, from, to)) in (1..).zip(rows) {
            let (listed_at, delisted_at) = (Timestamp(from), Timestamp(to));
            listings.push(RiskArea { id, region: region(code), level, listed_at, delisted_at });
        }
        listings
    }

    #[test]
    fn what_holds_is_delisted_and_the_rest_is_left() {
        let never = Timestamp::NEVER.0;
        let before = listings(&[
            (330_106, Level::High, 0, 10),
            (330_106, Level::High, 10, 20),
            (330_106, Level::Low, 5, never),
            (330_106, Level::Key, 15, never),
            (330_100, Level::Low, 0, never),
        ]);
        let edit = Edit { list: vec![(region(330_106), Level::Medium)], delist: vec![region(330_106)] };
        let after = edit.apply(&before, Timestamp(10)).expect("listed");
        let ends: Vec<i64> = after.delisted_at.iter().map(|end| end.0).collect();
        assert_eq!(ends, [10, 10, 10, never, never, never]);
        let added = RiskArea {
            id: 6,
            region: region(330_106),
            level: Level::Medium,
            listed_at: Timestamp(10),
            delisted_at: Timestamp::NEVER,
        };
        assert_eq!(after.row(5), added);
    }

    #[test]
    fn a_region_that_is_not_listed_is_told_with_those_around_it() {
        let before = listings(&[
            (330_100, Level::Low, 0, 10),
            (330_100, Level::High, 0, 10),
            (330_106_109, Level::Key, 0, 10),
            (330_107, Level::Key, 0, 10),
            (330_106, Level::Key, 0, 5),
        ]);
        let refused = |code| {
            let edit = Edit { delist: vec![region(code)], ..Edit::default() };
            edit.apply(&before, Timestamp(5)).expect_err("not listed").to_string()
        };
        let around = "330106 is not listed at that instant; 330100 above it is listed high; in it is listed 330106109";
        assert_eq!(refused(330_106), around);
        assert_eq!(refused(330_000), "330000 is not listed at that instant; in it is listed 330100, 330107, 330106109");
        assert_eq!(refused(392), "392 is not listed at that instant");
    }
}

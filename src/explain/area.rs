//! Areas of risk: the level of a region, and what ties the person to one.
//!
//! The one idea: a region without a listing of its own takes that of what holds it, so the walk goes up until it meets one.
//!
//! Invariant: a level is that at T, not that at the time of the stay.

use super::sighting::{Proof, Sighting};
use super::subject::Subject;
use crate::model::facts::RiskArea;
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, Level, Region, Timestamp};

/// What an area rule asks for, besides its release.
#[derive(Clone, Copy)]
pub(super) struct AreaQuestion {
    pub(super) levels: EnumSet<Level>,
    pub(super) min_minutes: u32,
    pub(super) declared: bool,
    pub(super) residence: bool,
}

impl Subject<'_> {
    /// The level of a region at T; `None` where neither it nor what holds it is listed.
    pub(super) fn level_at(&self, region: Region, at: Timestamp) -> Option<Level> {
        self.listings_at(region, at).into_iter().map(|area| area.level).max()
    }

    /// The listings that decide it: those of the region, or else of the nearest that holds it and has any.
    pub(super) fn listings_at(&self, region: Region, at: Timestamp) -> Vec<RiskArea> {
        let upwards = std::iter::successors(Some(region), |region| region.parent());
        let mut listings = upwards.map(|region| {
            let listed = self.risk_areas.iter().filter(|area| area.region == region);
            listed.filter(|area| area.listed_at <= at && at < area.delisted_at).copied().collect::<Vec<_>>()
        });
        listings.find(|listings| !listings.is_empty()).unwrap_or_default()
    }

    /// The stays, real and declared, in regions that are of such a level at T.
    pub(super) fn areas(&self, asked: AreaQuestion, at: Timestamp) -> Vec<Sighting> {
        let wanted = |region| self.level_at(region, at).filter(|&level| asked.levels.contains(level));
        let mut sightings = Vec::new();
        for stay in self.stays.iter().filter(|stay| stay.entered_at <= at) {
            let until = stay.left_at.min(at);
            let long_enough = until.micros_since(stay.entered_at) >= i64::from(asked.min_minutes) * MICROS_PER_MINUTE;
            if long_enough && let Some(level) = wanted(stay.region) {
                sightings.push(Sighting { trigger: until, proof: Proof::Visited { stay: *stay, level } });
            }
        }
        let Some(declaration) = self.standing(at) else { return sightings };
        let arrived_at = declaration.arrived_at.unwrap_or(declaration.declared_at);
        if asked.declared
            && arrived_at <= at
            && let Some(level) = declaration.came_from.and_then(wanted)
        {
            sightings.push(Sighting { trigger: arrived_at, proof: Proof::CameFrom { declaration, level } });
        }
        if asked.residence
            && let Some(level) = wanted(declaration.residence)
        {
            sightings.push(Sighting { trigger: at, proof: Proof::Resides { declaration, level } });
        }
        sightings
    }
}

//! The divisions of `datasets/divisions.csv`, as far as the generator needs them: streets of Hangzhou with weights, counties
//! of everywhere else.

use super::random::{Draws, Purpose};

const DIVISIONS: &str = include_str!("../../datasets/divisions.csv");

/// Province with the key area.
pub(super) const HUBEI: u32 = 420_000;
/// Province of the city.
pub(super) const ZHEJIANG: u32 = 330_000;
const HANGZHOU: u32 = 330_100;

/// Counties of Hangzhou with their people in tens of thousands (2019, rounded).
const COUNTY_WEIGHTS: &[(u32, u32)] = &[
    (330_102, 35),
    (330_103, 53),
    (330_104, 112),
    (330_105, 60),
    (330_106, 90),
    (330_108, 45),
    (330_109, 175),
    (330_110, 170),
    (330_111, 75),
    (330_112, 60),
    (330_122, 42),
    (330_127, 35),
    (330_182, 44),
];

/// Where those who came to the city live when they are at home, by province, with weights.
const HOME_PROVINCES: &[(u32, u32)] = &[
    (340_000, 22),
    (410_000, 14),
    (320_000, 12),
    (360_000, 12),
    (520_000, 8),
    (510_000, 6),
    (310_000, 6),
    (430_000, 5),
    (350_000, 4),
    (370_000, 4),
    (440_000, 3),
    (500_000, 2),
    (110_000, 2),
];

/// Countries from which people came back.
pub(super) const COUNTRIES: &[u32] = &[410, 392, 380, 764, 840, 826, 250, 364];

/// A street of the city.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreetWeight {
    /// Nine digits.
    pub(super) code: u32,
    /// Share of the city's people, in parts of the sum.
    pub(super) weight: u64,
}

/// What the generator knows of the country.
#[derive(Clone, Debug)]
pub(super) struct Divisions {
    /// Streets of Hangzhou, by code.
    pub(super) streets: Vec<StreetWeight>,
    /// Counties of Zhejiang outside Hangzhou.
    pub(super) zhejiang: Vec<u32>,
    /// Counties of Hubei.
    pub(super) hubei: Vec<u32>,
    /// Counties of other provinces, with the weights of the provinces summed up.
    provinces: Vec<(u32, Vec<u32>)>,
}

impl Divisions {
    /// Reads the list that is built in; `seed` decides how big streets are inside their county.
    pub(super) fn new(seed: u64) -> Self {
        let mut streets = Vec::new();
        let mut counties = Vec::new();
        for line in DIVISIONS.lines() {
            let mut fields = line.split(',');
            let Some(code) = fields.next().and_then(|code| code.parse::<u32>().ok()) else { continue };
            let name = fields.next().unwrap_or_default();
            if code / 100_000 == HANGZHOU / 100 {
                streets.push((code, name));
            } else if code < 1_000_000 && code % 100 != 0 && code / 100 != HANGZHOU / 100 {
                counties.push(code);
            }
        }
        let of = |province: u32| counties.iter().copied().filter(|code| code / 10_000 == province / 10_000).collect();
        let mut sum = 0;
        let provinces = HOME_PROVINCES.iter().map(|&(province, weight)| {
            sum += weight;
            (sum, of(province))
        });
        let provinces = provinces.collect();
        Self { streets: weigh(seed, &streets), zhejiang: of(ZHEJIANG), hubei: of(HUBEI), provinces }
    }

    /// A county of another province.
    pub(super) fn elsewhere(&self, draws: &mut Draws) -> u32 {
        let sum = self.provinces.last().map_or(0, |&(sum, _)| sum);
        let place = draws.below_u32(sum);
        let next = self.provinces.partition_point(|&(sum, _)| sum <= place);
        *draws.pick(&self.provinces[next].1)
    }

    /// Counties of other provinces that people of the city come from.
    pub(super) fn counties_elsewhere(&self) -> impl Iterator<Item = u32> {
        self.provinces.iter().flat_map(|(_, counties)| counties.iter().copied())
    }
}

/// Shares each county's people out over its streets: a street (街道) weighs more than a town, a town more than a township.
fn weigh(seed: u64, streets: &[(u32, &str)]) -> Vec<StreetWeight> {
    let raw = |code: u32, name: &str| {
        let kind = if name.ends_with("街道") { 6 } else { 3 };
        kind * (2 + Draws::new(seed, Purpose::Street, u64::from(code)).below(7))
    };
    let sum_of = |county: u32| -> u64 {
        streets.iter().filter(|(code, _)| code / 1000 == county).map(|&(code, name)| raw(code, name)).sum()
    };
    let mut weighed = Vec::with_capacity(streets.len());
    for &(county, people) in COUNTY_WEIGHTS {
        let sum = sum_of(county).max(1);
        for &(code, name) in streets.iter().filter(|(code, _)| code / 1000 == county) {
            weighed.push(StreetWeight { code, weight: u64::from(people) * 1_000_000 * raw(code, name) / sum });
        }
    }
    weighed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_the_city_and_the_country() {
        let divisions = Divisions::new(1);
        assert!(divisions.streets.len() > 150, "{}", divisions.streets.len());
        assert!(divisions.streets.iter().any(|street| street.code == 330_106_109));
        assert!(divisions.streets.iter().all(|street| street.weight > 0));
        assert!(divisions.zhejiang.contains(&330_302) && !divisions.zhejiang.contains(&330_106));
        assert!(divisions.hubei.len() > 90);
        let mut draws = Draws::new(1, Purpose::Street, 0);
        assert!((0..1000).map(|_| divisions.elsewhere(&mut draws)).all(|code| !(420_000..430_000).contains(&code)));
    }
}

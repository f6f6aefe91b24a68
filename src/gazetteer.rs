//! Names of regions: the divisions of China as of October 2019 and the countries of ISO 3166-1.
//!
//! The one idea: the two shipped lists are part of the program, and are parsed when a name is first asked for. Codes change
//! over the years, so a code without a name is nothing wrong.
//!
//! Cost: parsing takes some 10 ms, once; a name is a hash look-up a level.

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::model::Region;

static DIVISIONS: &str = include_str!("../datasets/divisions.csv");
static COUNTRIES: &str = include_str!("../datasets/countries.csv");

struct Name {
    zh: String,
    en: Option<String>,
}

static NAMES: LazyLock<HashMap<Region, Name>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    let mut each = |text: &'static str, zh: usize, en: Option<usize>| {
        for record in csv::Reader::from_reader(text.as_bytes()).records().filter_map(Result::ok) {
            let region = record.get(0).and_then(Region::parse);
            let (Some(region), Some(zh)) = (region, record.get(zh)) else { continue };
            let en = en.and_then(|column| record.get(column)).map(str::to_owned);
            names.insert(region, Name { zh: zh.to_owned(), en });
        }
    };
    each(DIVISIONS, 1, None);
    each(COUNTRIES, 2, Some(3));
    names
});

/// The Chinese name of a region with those of the divisions that hold it, largest first; `None` for a code in no list.
#[must_use]
pub fn name_zh(region: Region) -> Option<String> {
    let own = NAMES.get(&region)?;
    let mut path = vec![own.zh.as_str()];
    let above = std::iter::successors(region.parent(), |region| region.parent());
    // "City proper" and "counties under the province" stand between a county and its city or province, and say nothing.
    let says_something =
        |name: &&str| !matches!(*name, "市辖区" | "县" | "省直辖县级行政区划" | "自治区直辖县级行政区划");
    path.extend(above.filter_map(|region| NAMES.get(&region)).map(|name| name.zh.as_str()).filter(says_something));
    path.reverse();
    Some(path.concat())
}

/// Every region in the lists, in no order.
pub fn regions() -> impl Iterator<Item = Region> {
    NAMES.keys().copied()
}

/// The English name of a region: a country's own, else the Chinese one.
#[must_use]
pub fn name_en(region: Region) -> Option<String> {
    NAMES.get(&region).and_then(|name| name.en.clone()).or_else(|| name_zh(region))
}

/// A region's Chinese and English names, each with its code; the code alone if it is in no list.
#[must_use]
pub fn with_code(region: Region) -> [String; 2] {
    [name_zh(region), name_en(region)].map(|name| match name {
        Some(name) => format!("{name} ({})", region.code()),
        None => region.code().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_from_large_to_small() {
        let named = |code| Region::new(code).and_then(name_zh);
        assert_eq!(named(330_106).as_deref(), Some("浙江省杭州市西湖区"));
        assert_eq!(named(110_101).as_deref(), Some("北京市东城区"));
        assert_eq!(named(420_000).as_deref(), Some("湖北省"));
        assert_eq!(Region::new(392).and_then(name_en).as_deref(), Some("Japan"));
        assert_eq!(named(330_199), None, "a code in no list is valid and has no name");
    }
}

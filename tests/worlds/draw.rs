//! Chance, and the grid of instants, days and minutes that worlds and rules share.
//!
//! The one idea: boundary cases arise by collision. Worlds and rules draw their numbers from the same short lists, so that
//! a release falls exactly on a fact and a contact lasts exactly as long as a rule demands, far more often than by luck.
//!
//! Invariant: nothing here reads a clock or the machine's randomness: a seed is all there is.

use sanma::model::time::{MICROS_PER_DAY, MICROS_PER_MINUTE};
use sanma::model::{LocalDay, Timestamp, UtcOffset};

/// The clock of the worlds' local days.
pub const LOCAL: UtcOffset = UtcOffset(8 * 3600);
/// Days of which rules and worlds speak.
pub const DAYS: [u32; 7] = [0, 1, 2, 3, 5, 7, 14];
/// Retentions R of rule sets.
pub const RETENTIONS: [u32; 9] = [3, 4, 5, 7, 8, 14, 15, 21, 60];
/// Clocks by which rule sets count days: mostly the first.
pub const OFFSETS: [UtcOffset; 4] = [LOCAL, UtcOffset::UTC, UtcOffset(19_800), UtcOffset(-10_800)];
/// Minutes that a contact or a stay may have to last.
pub const MINUTES: [u32; 5] = [0, 1, 10, 15, 60];
/// Rows of seats apart.
pub const ROWS: [u16; 4] = [0, 1, 3, 4];
/// 2020-01-01 on the local calendar.
pub const JANUARY: LocalDay = LocalDay(18_262);
/// 2020-03-31 on the local calendar, the last day of any world.
pub const MARCH_ENDS: LocalDay = LocalDay(18_262 + 90);
/// Local days at whose midnight a notice might come into force: every world of 20 days or more holds one.
pub const NOTICE_DAYS: [LocalDay; 6] =
    [LocalDay(18_275), LocalDay(18_290), LocalDay(18_304), LocalDay(18_308), LocalDay(18_313), LocalDay(18_325)];

/// A splitmix64 stream.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// The stream of a seed. `salt` keeps streams for different purposes apart.
    pub fn new(seed: u64, salt: u64) -> Self {
        let mut draw = Self { state: seed ^ salt.wrapping_mul(0xD6E8_FEB8_6659_FD93) };
        draw.next();
        draw
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing lies below 0");
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// A number in `lower..=upper`.
    pub fn range(&mut self, lower: u32, upper: u32) -> u32 {
        lower + u32::try_from(self.below((upper - lower) as usize + 1)).expect("within u32")
    }

    /// True in so many of a hundred draws.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `values`.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// `values`, each kept with even odds, but at least one.
    pub fn some_of<T: Copy>(&mut self, values: &[T]) -> Vec<T> {
        let certain = self.below(values.len());
        values.iter().enumerate().filter(|&(index, _)| index == certain || self.chance(50)).map(|(_, &v)| v).collect()
    }

    /// Puts `values` into random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// The days of one world, with a few instants on which its facts crowd.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// First local day.
    pub first: LocalDay,
    /// Number of local days.
    pub days: u32,
    /// Where facts crowd.
    anchors: Vec<Timestamp>,
}

impl Calendar {
    /// 20 to 35 days within January to March 2020.
    pub fn random(draw: &mut Draw) -> Self {
        let days = draw.range(20, 35);
        let latest = u32::try_from(MARCH_ENDS.0 + 1 - JANUARY.0).expect("a few months") - days;
        let first = JANUARY.plus(i64::from(draw.range(0, latest)));
        let mut calendar = Self { first, days, anchors: Vec::new() };
        let notices = NOTICE_DAYS.into_iter().filter(|&day| first <= day && day < calendar.end());
        let mut anchors: Vec<_> = notices.map(|day| day.starts_at(LOCAL)).collect();
        for _ in 0..draw.range(2, 4) {
            let quarter = MICROS_PER_DAY / 4 * i64::from(draw.range(0, 3));
            anchors.push(calendar.midnight(draw).plus_micros(quarter));
        }
        calendar.anchors = anchors;
        calendar
    }

    /// The first local day after the world.
    pub fn end(&self) -> LocalDay {
        self.first.plus(i64::from(self.days))
    }

    /// A local midnight.
    pub fn midnight(&self, draw: &mut Draw) -> Timestamp {
        self.first.plus(i64::from(draw.range(0, self.days - 1))).starts_at(LOCAL)
    }

    /// An instant on which facts crowd.
    pub fn anchor(&self, draw: &mut Draw) -> Timestamp {
        draw.pick(&self.anchors)
    }

    /// Any instant of the world, mostly one on which others lie too, or next to one.
    pub fn instant(&self, draw: &mut Draw) -> Timestamp {
        let at = match draw.below(12) {
            0..=3 => self.anchor(draw),
            4 => next_to(self.anchor(draw), draw),
            5 | 6 => self.anchor(draw).plus_days(draw.pick(&DAYS)),
            7 => self.anchor(draw).plus_micros(i64::from(draw.pick(&MINUTES)) * MICROS_PER_MINUTE),
            8 => self.midnight(draw),
            9 => next_to(self.midnight(draw), draw),
            _ => self.midnight(draw).plus_micros(MICROS_PER_DAY / 4 * i64::from(draw.range(0, 3))),
        };
        if at < self.end().starts_at(LOCAL) { at } else { self.anchor(draw) }
    }

    /// An end for an interval that starts at `start`: open, empty, some minutes or days later, or another instant of the world.
    pub fn end_after(&self, start: Timestamp, draw: &mut Draw) -> Timestamp {
        match draw.below(10) {
            0 | 1 => Timestamp::NEVER,
            2 => start,
            3 | 4 => start.plus_micros(i64::from(draw.pick(&MINUTES)) * MICROS_PER_MINUTE),
            5 | 6 => start.plus_days(draw.pick(&DAYS)),
            _ => self.instant(draw).max(start),
        }
    }
}

/// The microsecond before, or after.
pub fn next_to(at: Timestamp, draw: &mut Draw) -> Timestamp {
    Timestamp(if draw.chance(50) { at.0 - 1 } else { at.0 + 1 })
}

/// `at` itself, or a microsecond to either side.
pub fn at_or_next_to(at: Timestamp, draw: &mut Draw) -> Timestamp {
    if draw.chance(60) { at } else { next_to(at, draw) }
}

/// `at`, moved by so many microseconds either way.
pub fn shift(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp(at.0.saturating_add(micros))
}

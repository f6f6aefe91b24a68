//! Randomness without state: a draw is a function of the seed, what it is for, and which one it is.
//!
//! The one idea: every row has draws of its own, keyed by its number, so that any thread can make any row at any time and
//! nothing has to be remembered. Groups (households, firms, who declares when) are permutations that can be walked both ways.
//!
//! Invariants: integers only, so that a seed gives the same bytes on every machine; a permutation of `0..n` is a bijection;
//! equal keys give equal draws. Not fit for secrets: tokens look opaque, nothing more.

/// What a stream of draws is for: streams of different purposes share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(super) enum Purpose {
    Token = 1,
    Household,
    Role,
    Workplace,
    School,
    Profile,
    Lively,
    Declare,
    Traveller,
    Contact,
    Stay,
    Vehicle,
    Venue,
    Street,
    Seeds,
    Course,
    Transmission,
    PlaceTransmission,
    Tracing,
    Suspects,
    Declaration,
    Checkin,
    Test,
    Listing,
    Quarantine,
    Whitelist,
    Finding,
    Review,
    Label,
    Dirt,
    Message,
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A bijection of 64-bit numbers whose results look unrelated (the finaliser of `SplitMix64`).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// One number for a seed, a purpose and a key.
pub(super) const fn keyed(seed: u64, purpose: Purpose, key: u64) -> u64 {
    let stream = mix(seed.wrapping_add(GOLDEN)) ^ mix((purpose as u64).wrapping_mul(GOLDEN));
    mix(stream.wrapping_add(mix(key.wrapping_add(GOLDEN))))
}

/// A distribution of lengths in seconds, as points (share below, in millionths; length) joined by straight lines.
pub(super) type Quantiles = [(u32, i64)];

/// Draws of one key, one after another.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    state: u64,
}

impl Draws {
    pub(super) const fn new(seed: u64, purpose: Purpose, key: u64) -> Self {
        Self { state: keyed(seed, purpose, key) }
    }

    pub(super) const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// As [`Self::below`], for numbers of people, streets and such.
    #[expect(clippy::cast_possible_truncation, reason = "below a bound of 32 bits")]
    pub(super) const fn below_u32(&mut self, bound: u32) -> u32 {
        self.below(bound as u64) as u32
    }

    /// A length in `from..to` seconds.
    pub(super) fn seconds(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(0);
        from + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// True in so many of a million draws.
    pub(super) const fn chance(&mut self, millionths: u32) -> bool {
        self.below(1_000_000) < millionths as u64
    }

    /// One of a list; the list is not empty.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let place = self.below(list.len() as u64);
        &list[usize::try_from(place).unwrap_or(0)]
    }

    /// A rank in `0..ranks`, the first ones most often: about as 1 / (rank + `level`) says (Zipf's law, flattened at its top).
    pub(super) const fn rank(&mut self, ranks: u32, level: u32) -> u32 {
        let top = ranks as u64 + level as u64;
        let octaves = (64 - (top / level as u64).leading_zeros()) as u64;
        loop {
            // An octave, then a place in it: each octave holds as much as the next, which is what 1 / rank means.
            let octave = self.below(octaves);
            let low = (level as u64) << octave;
            let place = low + self.below(low);
            if place < top {
                #[expect(clippy::cast_possible_truncation, reason = "below a bound of 32 bits")]
                return (place - level as u64) as u32;
            }
        }
    }

    /// A length out of a distribution.
    pub(super) fn length(&mut self, quantiles: &Quantiles) -> i64 {
        let share = i64::try_from(self.below(1_000_000)).unwrap_or(0);
        let next = quantiles.partition_point(|&(below, _)| i64::from(below) <= share).clamp(1, quantiles.len() - 1);
        let ((from, short), (to, long)) = (quantiles[next - 1], quantiles[next]);
        short + (long - short) * (share - i64::from(from)) / i64::from(to - from).max(1)
    }
}

/// A shuffle of `0..size` that takes no memory and can be undone.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    size: u32,
    mask: u64,
    shift: u32,
    rounds: [(u64, u64); 4],
    inverses: [u64; 4],
}

impl Permutation {
    /// A shuffle of `0..size` (`size` is not 0).
    pub(super) fn new(seed: u64, purpose: Purpose, size: u32) -> Self {
        assert!(size > 0, "nothing to shuffle");
        let bits = (u64::BITS - u64::from(size - 1).leading_zeros()).max(1);
        let mut draws = Draws::new(seed, purpose, u64::from(size));
        let rounds = std::array::from_fn(|_| (draws.bits() | 1, draws.bits()));
        let inverses = rounds.map(|(factor, _)| inverse_of_odd(factor));
        Self { size, mask: (1 << bits) - 1, shift: bits.div_ceil(2), rounds, inverses }
    }

    /// Where `index` goes.
    pub(super) const fn apply(&self, index: u32) -> u32 {
        let mut place = index as u64;
        loop {
            let mut round = 0;
            while round < 4 {
                let (factor, term) = self.rounds[round];
                place = place.wrapping_mul(factor).wrapping_add(term) & self.mask;
                place ^= place >> self.shift;
                round += 1;
            }
            // The rounds shuffle the next power of two; walking on from places outside keeps it a shuffle of `0..size`.
            if place < self.size as u64 {
                #[expect(clippy::cast_possible_truncation, reason = "below a size of 32 bits")]
                return place as u32;
            }
        }
    }

    /// Who went to `place`.
    pub(super) const fn undo(&self, place: u32) -> u32 {
        let mut index = place as u64;
        loop {
            let mut round = 4;
            while round > 0 {
                round -= 1;
                // Of a shift by at least half the bits a second one is the inverse.
                index ^= index >> self.shift;
                index = index.wrapping_sub(self.rounds[round].1).wrapping_mul(self.inverses[round]) & self.mask;
            }
            if index < self.size as u64 {
                #[expect(clippy::cast_possible_truncation, reason = "below a size of 32 bits")]
                return index as u32;
            }
        }
    }
}

/// The number that undoes a multiplication by an odd one modulo 2^64: Newton's steps, each doubling the bits that are right.
const fn inverse_of_odd(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// A number as 16 hexadecimal digits.
pub(super) fn hex(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 16];
    for (pair, byte) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_is_a_bijection_and_can_be_undone() {
        for size in [1, 2, 3, 63, 64, 65, 1000, 20_000] {
            let shuffle = Permutation::new(7, Purpose::Declare, size);
            let mut seen = vec![false; size as usize];
            for index in 0..size {
                let place = shuffle.apply(index);
                assert!(!std::mem::replace(&mut seen[place as usize], true), "{size}: {place} twice");
                assert_eq!(shuffle.undo(place), index);
            }
        }
    }

    #[test]
    fn a_permutation_shuffles() {
        let shuffle = Permutation::new(7, Purpose::Declare, 100_000);
        let neighbours = (1..100_000).filter(|&index| shuffle.apply(index).abs_diff(shuffle.apply(index - 1)) < 100);
        assert!(neighbours.count() < 400);
        let low = (0..1000).filter(|&index| shuffle.apply(index) < 50_000).count();
        assert!((400..600).contains(&low), "{low}");
    }

    #[test]
    fn draws_follow_their_distributions() {
        let mut draws = Draws::new(1, Purpose::Label, 0);
        assert!((0..1000).all(|_| draws.below(7) < 7));
        assert!((0..1000).all(|_| (3..9).contains(&draws.seconds(3, 9))));
        let hits = (0..100_000).filter(|_| draws.chance(30_000)).count();
        assert!((2700..3300).contains(&hits), "{hits}");
        let ranks: Vec<u32> = (0..100_000).map(|_| draws.rank(1000, 1)).collect();
        let of = |rank| ranks.iter().filter(|&&found| found == rank).count();
        assert!(ranks.iter().all(|&rank| rank < 1000));
        assert!(of(0) > 5 * of(15) && of(0) < 30 * of(15), "{} {}", of(0), of(15));
        let lengths: Vec<i64> = (0..10_000).map(|_| draws.length(&[(0, 0), (500_000, 10), (1_000_000, 100)])).collect();
        let short = lengths.iter().filter(|&&length| length < 10).count();
        assert!((4800..5200).contains(&short), "{short}");
        assert!(lengths.iter().all(|length| (0..100).contains(length)));
    }

    #[test]
    fn numbers_are_spelt_in_hexadecimal() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
    }
}

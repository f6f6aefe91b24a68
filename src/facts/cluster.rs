//! Rows brought near each other before they are put in order.
//!
//! The one idea: to order a large table by gathering its rows at random is to miss the caches, and the map of pages with them,
//! once a value. So rows first go to clusters, each the rows of a run of keys: that is one pass a column which reads in
//! order and writes at the ends of some hundred runs. What is left to be ordered, within a cluster, fits the nearer
//! caches, and clusters are ordered side by side.
//!
//! Cost: a pass over the keys to count, a pass a column, and two passes over the keys of each cluster.

use std::ops::Range;

use rayon::prelude::*;

use super::group::Offsets;

/// Most clusters, as a power of two: each has a page and a line of its own under way while a column is spread.
const CLUSTERS_MAX_LOG2: u32 = 9;

/// How many rows each run of keys has.
pub(super) struct Clusters {
    /// Keys are below this.
    bound: usize,
    /// A cluster holds 2 to this of them.
    shift: u32,
    /// Where the rows of each cluster begin, and at the end how many there are.
    begins: Vec<u32>,
}

impl Clusters {
    /// Counts the rows of each cluster.
    ///
    /// # Panics
    /// If a key is not below `bound`, or there are 2^32 rows.
    pub(super) fn new(bound: usize, keys: impl Iterator<Item = usize>) -> Self {
        let shift = (usize::BITS - bound.leading_zeros()).saturating_sub(CLUSTERS_MAX_LOG2);
        let mut begins = vec![0u32; (bound >> shift) + 2];
        let mut rows = 0usize;
        for key in keys {
            assert!(key < bound, "a key out of range");
            begins[(key >> shift) + 1] += 1;
            rows += 1;
        }
        assert!(u32::try_from(rows).is_ok(), "rows are numbered by 32 bits");
        for cluster in 1..begins.len() {
            begins[cluster] += begins[cluster - 1];
        }
        Self { bound, shift, begins }
    }

    /// The cluster of a key.
    #[expect(clippy::cast_possible_truncation, reason = "there are at most 2^9 clusters")]
    pub(super) fn of(&self, key: usize) -> u16 {
        (key >> self.shift) as u16
    }

    /// Where the rows of each cluster begin, and at the end how many there are.
    pub(super) fn begins(&self) -> &[u32] {
        &self.begins
    }

    /// The values of rows, by cluster. Rows of one cluster keep their order.
    pub(super) fn spread<T: Copy>(&self, rows: impl Iterator<Item = (usize, T)>, nothing: T) -> Vec<T> {
        let mut next = self.begins.clone();
        let mut spread = vec![nothing; self.rows()];
        for (key, value) in rows {
            let slot = &mut next[key >> self.shift];
            spread[*slot as usize] = value;
            *slot += 1;
        }
        spread
    }

    fn rows(&self) -> usize {
        self.begins.last().map_or(0, |&rows| rows as usize)
    }

    /// The pieces of a column that are its clusters.
    pub(super) fn pieces<'a, T>(&self, mut column: &'a mut [T]) -> Vec<&'a mut [T]> {
        let mut pieces = Vec::with_capacity(self.begins.len());
        for pair in self.begins.windows(2) {
            let piece;
            (piece, column) = column.split_at_mut((pair[1] - pair[0]) as usize);
            pieces.push(piece);
        }
        pieces
    }

    /// Orders rows that are clustered: the ranges of the keys, and for each cluster, with what it is given, its rows in the order of
    /// keys; `sort` puts rows of one key in order. Clusters are done side by side.
    pub(super) fn order<G: Send>(
        &self,
        key: impl Fn(u32) -> usize + Sync,
        sort: impl Fn(&mut [u32]) + Sync,
        given: Vec<G>,
        take: impl Fn(G, Range<u32>, &[u32]) + Sync,
    ) -> Offsets {
        let mut begins = vec![0u32; self.bound + 1];
        begins[self.bound] = self.begins[self.begins.len() - 1];
        let keys = begins[..self.bound].chunks_mut(1 << self.shift);
        let ranges = self.begins.windows(2).map(|pair| pair[0]..pair[1]);
        let clusters: Vec<_> = keys.zip(ranges).zip(given).enumerate().collect();
        clusters.into_par_iter().for_each(|(cluster, ((begins, rows), given))| {
            let base = cluster << self.shift;
            let order = order_cluster(begins, rows.clone(), |row| key(row) - base);
            let (mut order, ends) = (order, begins[1..].iter().copied().chain([rows.end]));
            for (&begin, end) in begins.iter().zip(ends).filter(|&(&begin, end)| end > begin + 1) {
                sort(&mut order[(begin - rows.start) as usize..(end - rows.start) as usize]);
            }
            take(given, rows, &order);
        });
        Offsets::new(begins)
    }
}

/// Counts the keys of a cluster's rows into `begins`, which becomes where each begins; gives the rows in the order of keys.
fn order_cluster(begins: &mut [u32], rows: Range<u32>, key: impl Fn(u32) -> usize) -> Vec<u32> {
    for row in rows.clone() {
        begins[key(row)] += 1;
    }
    let mut next = rows.start;
    for begin in &mut *begins {
        next += std::mem::replace(begin, next);
    }
    let mut order = vec![0; rows.len()];
    for row in rows.clone() {
        let slot = &mut begins[key(row)];
        order[(*slot - rows.start) as usize] = row;
        *slot += 1;
    }
    // Each begin has moved to where the next one was.
    let last = begins.len() - 1;
    begins.copy_within(..last, 1);
    begins[0] = rows.start;
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of keys as a plain stable sort orders them.
    fn check(bound: usize, keys: &[usize]) {
        let clusters = Clusters::new(bound, keys.iter().copied());
        let rows = clusters.spread(keys.iter().copied().zip(0u32..), u32::MAX);
        let clustered: Vec<usize> = rows.iter().map(|&row| keys[row as usize]).collect();
        let mut order = vec![0; keys.len()];
        let take = |piece: &mut [u32], _, found: &[u32]| piece.copy_from_slice(found);
        let given = clusters.pieces(&mut order);
        let offsets = clusters.order(|row| clustered[row as usize], |_| {}, given, take);
        let found: Vec<u32> = order.iter().map(|&place| rows[place as usize]).collect();
        let mut expected: Vec<u32> = (0u32..).take(keys.len()).collect();
        expected.sort_by_key(|&row| keys[row as usize]);
        assert_eq!(found, expected, "{bound}");
        for key in 0..bound {
            assert!(offsets.range(key).all(|place| keys[found[place] as usize] == key), "{bound}, {key}");
            assert_eq!(offsets.range(key).len(), keys.iter().filter(|&&other| other == key).count(), "{bound}, {key}");
        }
    }

    #[test]
    fn clusters_then_keys_are_a_stable_sort() {
        for bound in [1, 2, 511, 512, 513, 1023, 1024, 1025, 3000] {
            let keys = |rows: usize| (0..rows).map(|row| row.wrapping_mul(2_654_435_761) % 65_521 % bound);
            for rows in [0, 1, 2, 5000] {
                check(bound, &keys(rows).collect::<Vec<_>>());
            }
            check(bound, &[bound - 1; 3]);
        }
        check(0, &[]);
    }

    #[test]
    fn rows_of_one_key_are_sorted_as_told() {
        let keys = [1, 0, 1, 1];
        let clusters = Clusters::new(2, keys.iter().copied());
        let clustered: Vec<usize> = clusters.spread(keys.iter().map(|&key| (key, key)), 0);
        let mut order = vec![0; 4];
        let given = clusters.pieces(&mut order);
        let take = |piece: &mut [u32], _, found: &[u32]| piece.copy_from_slice(found);
        let offsets = clusters.order(|row| clustered[row as usize], <[u32]>::reverse, given, take);
        let of = |key: usize| order[offsets.range(key)].iter().map(|&row| clustered[row as usize]).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![0], vec![1; 3]));
        assert!(order[1..].is_sorted_by(|left, right| left > right), "{order:?}");
    }
}

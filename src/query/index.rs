//! From a place or a region to the stays there, and from a span of time to the rows that may lie in it.
//!
//! The one idea: what no rule needs is indexed when a question first needs it, and kept as long as the snapshot.
//!
//! Cost: an inverted index is a counting sort, 4 bytes a row and a key; zones are one pass over a column.

use rayon::prelude::*;

use super::columns::Kept;
use super::filter::short;
use crate::facts::Facts;
use crate::limits::QUERY_ZONE_ROWS;

/// The rows of every key.
#[derive(Debug, Default)]
pub(super) struct Inverted {
    begins: Vec<u32>,
    rows: Vec<u32>,
}

impl Inverted {
    /// The rows of `bound` keys, of which each of so many rows has one or none.
    ///
    /// # Panics
    /// If rows are over 32 bits, which a table's are not.
    pub(super) fn new(bound: usize, rows: usize, key_of: impl Fn(usize) -> Option<usize>) -> Self {
        let mut begins = vec![0u32; bound + 1];
        for key in (0..rows).filter_map(&key_of) {
            begins[key + 1] += 1;
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        let (mut next, mut found) = (begins.clone(), vec![0; sum as usize]);
        for row in 0..rows {
            if let Some(key) = key_of(row) {
                found[next[key] as usize] = short(row);
                next[key] += 1;
            }
        }
        Self { begins, rows: found }
    }

    /// The rows of a key, ascending.
    pub(super) fn rows(&self, key: usize) -> &[u32] {
        match self.begins.get(key..key + 2) {
            Some(&[begin, end]) => &self.rows[begin as usize..end as usize],
            _ => &[],
        }
    }
}

/// The least and the greatest instant of some rows; the other way round if there is none.
pub(super) type Extremes = (i64, i64);

/// The least and the greatest instant of each [`QUERY_ZONE_ROWS`] rows of a column; none of a column without instants.
pub(super) fn zones(kept: Kept, facts: &Facts) -> Option<Vec<Extremes>> {
    macro_rules! zones {
        ($column:expr, $instant:expr) => {{
            let zone = |zone: &[_]| {
                let instants = zone.iter().filter_map($instant);
                instants.fold((i64::MAX, i64::MIN), |(least, greatest), at| (least.min(at), greatest.max(at)))
            };
            let column = $column;
            Some(column.zones(QUERY_ZONE_ROWS).into_par_iter().map(|rows| zone(&column[rows])).collect())
        }};
    }
    match kept {
        Kept::Instant(column) => zones!(column(facts), |at: &crate::model::Timestamp| Some(at.0)),
        Kept::End(column) => zones!(column(facts), |at: &crate::model::Timestamp| at.finite().map(|at| at.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_key() {
        let keys = [Some(2), None, Some(0), Some(2)];
        let inverted = Inverted::new(3, keys.len(), |row| keys[row]);
        let rows: Vec<&[u32]> = (0..4).map(|key| inverted.rows(key)).collect();
        assert_eq!(rows, [&[2][..], &[], &[0, 3], &[]]);
        assert_eq!(Inverted::new(0, 0, |_| None).rows(0), &[] as &[u32]);
    }
}

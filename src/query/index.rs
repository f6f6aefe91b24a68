//! From a place or a region to the stays there, and from a span of time to the rows that may lie in it.
//!
//! The one idea: what no rule needs is indexed when a question first needs it, and only the part of a column that does not change any
//! more ([`Chunked::base`]), for all snapshots that have it; what lies behind it is looked through.
//!
//! Cost: an inverted index is a counting sort, 4 bytes a row and a key; zones are one pass over a column.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::Buffer;
use dashmap::DashMap;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::columns::Kept;
use super::filter::short;
use crate::facts::Facts;
use crate::limits::QUERY_ZONE_ROWS;
use crate::model::flat::Element;
use crate::model::{Chunked, Table, Timestamp};

/// Something that was made of the base of a column, once, and is made anew of another one.
#[derive(Debug)]
pub(super) struct OfBase<T: ?Sized>(Mutex<Option<(Buffer, Arc<T>)>>);

impl<T: ?Sized> Default for OfBase<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized> OfBase<T> {
    /// What was made. Whoever else wants it while it is made waits, and makes nothing.
    fn get<E: Element>(&self, column: &Chunked<E>, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        // It is kept with what was made of it, so that its memory is nobody else's.
        let base = column.base().part(0..column.base().len());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of_base = |(of, _): &&(Buffer, Arc<T>)| (of.as_ptr(), of.len()) == (base.as_ptr(), base.len());
        if let Some((_, found)) = known.as_ref().filter(is_of_base) {
            return Arc::clone(found);
        }
        Arc::clone(&known.insert((base, make())).1)
    }
}

/// What is known of columns that snapshots share.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) by_place: OfBase<Inverted>,
    pub(super) by_region: OfBase<Inverted>,
    zones: DashMap<(Table, usize), Arc<OfBase<[Extremes]>>>,
}

/// Rows that have one of some keys, which ascend; none if they are more than `most`. A row may be one that does not stand.
pub(super) fn rows_with<E: Element>(
    index: &OfBase<Inverted>,
    column: &Chunked<E>,
    key_of: impl Fn(&E) -> Option<usize>,
    keys: &[usize],
    most: usize,
) -> Option<Vec<u32>> {
    let inverted = index.get(column, || Arc::new(Inverted::new(column.base().iter().map(&key_of))));
    let in_base = || keys.iter().map(|&key| inverted.rows(key));
    if in_base().map(<[u32]>::len).sum::<usize>() > most {
        return None;
    }
    let mut rows: Vec<u32> = in_base().flatten().copied().collect();
    for (begin, values) in column.pieces().skip(1) {
        let is_wanted = |value: &E| key_of(value).is_some_and(|key| keys.binary_search(&key).is_ok());
        rows.extend((short(begin)..).zip(values).filter(|(_, value)| is_wanted(value)).map(|(row, _)| row));
    }
    (rows.len() <= most).then_some(rows)
}

/// The rows of every key.
#[derive(Debug, Default)]
pub(super) struct Inverted {
    begins: Vec<u32>,
    rows: Vec<u32>,
}

impl Inverted {
    /// The rows of each key, of which a row has one or none.
    ///
    /// # Panics
    /// If rows are over 32 bits, which a table's are not.
    pub(super) fn new(keys: impl Iterator<Item = Option<usize>> + Clone) -> Self {
        let bound = keys.clone().flatten().max().map_or(0, |greatest| greatest + 1);
        let mut begins = vec![0u32; bound + 1];
        for key in keys.clone().flatten() {
            begins[key + 1] += 1;
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        let (mut next, mut found) = (begins.clone(), vec![0; sum as usize]);
        for (row, key) in keys.enumerate() {
            if let Some(key) = key {
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
pub(super) fn zones(
    indexes: &Indexes,
    (table, column): (Table, usize),
    kept: Kept,
    facts: &Facts,
    pool: &ThreadPool,
) -> Option<Vec<Extremes>> {
    let known = || Arc::clone(&indexes.zones.entry((table, column)).or_default());
    match kept {
        Kept::Instant(column) => Some(extremes(&known(), column(facts), |at| Some(at.0), pool)),
        Kept::End(column) => Some(extremes(&known(), column(facts), |at| at.finite().map(|at| at.0), pool)),
        _ => None,
    }
}

fn extremes(
    known: &OfBase<[Extremes]>,
    column: &Chunked<Timestamp>,
    instant: impl Fn(&Timestamp) -> Option<i64> + Sync,
    pool: &ThreadPool,
) -> Vec<Extremes> {
    let zones = column.zones(QUERY_ZONE_ROWS);
    let (in_base, behind) = zones.split_at(column.base().len().div_ceil(QUERY_ZONE_ROWS));
    let zone = |rows: &std::ops::Range<usize>| {
        let instants = column[rows.clone()].iter().filter_map(&instant);
        instants.fold((i64::MAX, i64::MIN), |(least, greatest), at| (least.min(at), greatest.max(at)))
    };
    let all =
        |zones: &[std::ops::Range<usize>]| -> Vec<Extremes> { pool.install(|| zones.par_iter().map(zone).collect()) };
    let mut found = known.get(column, || all(in_base).into()).to_vec();
    found.extend(all(behind));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_key() {
        let inverted = Inverted::new([Some(2), None, Some(0), Some(2)].into_iter());
        let rows: Vec<&[u32]> = (0..4).map(|key| inverted.rows(key)).collect();
        assert_eq!(rows, [&[2][..], &[], &[0, 3], &[]]);
        assert_eq!(Inverted::new(std::iter::empty()).rows(0), &[] as &[u32]);
    }
}

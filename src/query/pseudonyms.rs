//! Tokens of people as those see them who may know that two rows are of one person, and not of whom.
//!
//! The one idea: what leaves is a keyed hash (HMAC-SHA-256, RFC 2104): alike for one person in all tables and on all days, and of
//! no use without the key to find out whom it names, also for who knows how tokens are made.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray as _, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rayon::ThreadPool;
use rayon::prelude::*;
use sha2::Sha256;

use super::names::Texts;
use crate::intern::Tokens;

/// Bytes of the hash that are shown, as twice as many hexadecimal digits: among ten million people two are alike with a probability of
/// 10^-25.
const SHOWN_BYTES: usize = 16;

/// What hashes are keyed with.
#[derive(Clone)]
pub struct PseudonymKey(Hmac<Sha256>);

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

impl PseudonymKey {
    /// A key out of a secret of any length.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// What is shown of a token.
    #[must_use]
    pub fn of(&self, token: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(token.as_bytes());
        let hash = mac.finalize().into_bytes();
        hash.iter().take(SHOWN_BYTES).flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
    }

    /// This as a function of SQL; it is not registered, so that nobody can try tokens with it.
    pub(super) fn function(&self) -> ScalarUDF {
        let key = self.clone();
        let of_column = move |given: &[ColumnarValue]| -> Result<ColumnarValue> {
            let columns = ColumnarValue::values_to_arrays(given)?;
            let tokens = arrow::compute::cast(&columns[0], &DataType::Utf8View)?;
            let shown = tokens.as_string_view().iter().map(|token| token.map(|token| key.of(token)));
            let shown: ArrayRef = Arc::new(shown.collect::<StringViewArray>());
            Ok(ColumnarValue::Array(shown))
        };
        create_udf(
            "pseudonym",
            vec![DataType::Utf8View],
            DataType::Utf8View,
            Volatility::Immutable,
            Arc::new(of_column),
        )
    }
}

/// The pseudonyms of the people of snapshots in which they have the same numbers, so that each is made once.
#[derive(Debug, Default)]
pub struct Pseudonyms {
    known: Mutex<Tokens>,
    texts: Arc<Texts>,
}

impl Pseudonyms {
    /// Those of these people, by the same numbers. Cost: a hash of each that no call before had, and a merge of those with the others, on
    /// `pool`; nothing there waits for who else is asked.
    ///
    /// # Panics
    /// If two people have one pseudonym.
    pub(super) fn of(&self, people: &Tokens, key: &PseudonymKey, pool: &ThreadPool) -> Tokens {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A snapshot of before the last one may have fewer people.
        let mut none = Tokens::default();
        let shown = if known.len() <= people.len() { &mut *known } else { &mut none };
        let new = shown.len()..people.len();
        let hashed = || new.clone().into_par_iter().map(|person| key.of(people.get(person))).collect();
        let more: Vec<String> = pool.install(hashed);
        for (person, pseudonym) in new.zip(&more) {
            assert_eq!(shown.intern(pseudonym) as usize, person, "two people have one pseudonym");
        }
        pool.install(|| shown.sort());
        shown.share();
        shown.clone()
    }

    /// The same as Arrow's views.
    pub(super) fn texts(&self) -> Arc<Texts> {
        Arc::clone(&self.texts)
    }
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_begin_of_an_hmac() {
        // RFC 4231, test case 2.
        let key = PseudonymKey::new(b"Jefe");
        assert_eq!(key.of("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7");
    }
}

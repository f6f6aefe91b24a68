//! Every bound of the engine, in one place, with the relations between them asserted.

/// Most rules in a rule set: they fit one machine word.
pub const RULES_MAX: usize = 64;
/// Most days of retention: the days of a health record fit one machine word.
pub const RETENTION_DAYS_MAX: u32 = 60;
/// Longest person or place token in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// How many days ahead a person's best future is played through: past that only what ends by itself is foreseen.
pub const FORECAST_DAYS_MAX: u32 = 366;

const _: () = assert!(RULES_MAX <= u64::BITS as usize);
const _: () = assert!(RETENTION_DAYS_MAX < u64::BITS);
const _: () = assert!(FORECAST_DAYS_MAX > 2 * RETENTION_DAYS_MAX);

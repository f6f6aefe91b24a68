//! Instants and local days: 64-bit microseconds since 1970-01-01T00:00Z and whole days at a fixed offset.
//!
//! The one idea: [`Timestamp::NEVER`] (`i64::MAX`) stands for an open end, so that every comparison of half-open
//! intervals is a plain integer comparison, and all arithmetic saturates towards it.
//!
//! Invariant: nothing here reads a clock.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// Microseconds in 24 hours, the "day" that is added to instants.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The open end of an interval, later than every other instant.
    pub const NEVER: Self = Self(i64::MAX);
    /// Earlier than or equal to every other instant.
    pub const EARLIEST: Self = Self(i64::MIN);

    /// The instant `days` times 24 hours later. Saturates at [`Self::NEVER`].
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        self.plus_micros(days as i64 * MICROS_PER_DAY)
    }

    /// The instant `days` times 24 hours earlier; `NEVER` stays `NEVER`. Saturates at [`Self::EARLIEST`].
    #[must_use]
    pub const fn minus_days(self, days: u32) -> Self {
        if self.0 == i64::MAX { self } else { Self(self.0.saturating_sub(days as i64 * MICROS_PER_DAY)) }
    }

    /// The instant `micros` microseconds later (`micros` is not negative). Saturates at [`Self::NEVER`].
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`, negative if `self` is the earlier one. Saturates.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether this is an open end.
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == i64::MAX
    }

    /// `None` for [`Self::NEVER`], else the instant.
    #[must_use]
    pub const fn finite(self) -> Option<Self> {
        if self.is_never() { None } else { Some(self) }
    }

    /// Parses an RFC 3339 timestamp as a fact must spell it: date, `T`, time with seconds, offset or `Z`.
    /// Digits beyond the microsecond are dropped. `None` if the text is anything else.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        Some(Self(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()))
    }

    /// Parses an instant as people type it: RFC 3339 with or without seconds, or (at local midnight or local time in
    /// `offset`) a bare date or a date and time without offset. `None` if the text is anything else.
    #[must_use]
    pub fn parse_typed(text: &str, offset: UtcOffset) -> Option<Self> {
        let text = text.trim();
        if let Some(exact) = Self::parse_rfc3339(text) {
            return Some(exact);
        }
        for format in ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%d %H:%M%:z", "%Y-%m-%d %H:%M:%S%.f%:z"] {
            let zoned = text.strip_suffix(['Z', 'z']).map(|bare| format!("{bare}+00:00"));
            if let Ok(instant) = DateTime::parse_from_str(zoned.as_deref().unwrap_or(text), format) {
                return Some(Self(instant.timestamp_micros()));
            }
        }
        let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
            .into_iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN)))?;
        Some(Self(local.and_utc().timestamp_micros() - offset.micros()))
    }

    /// RFC 3339 in UTC, to the second where that is exact, else to the microsecond: `2020-02-17T16:00:00Z`. An instant
    /// outside the years that RFC 3339 can spell is given as its number of microseconds.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_rfc3339_at(UtcOffset::UTC)
    }

    /// As [`Self::to_rfc3339`], but on the clock of `offset`: `2020-02-18T00:00:00+08:00`.
    #[must_use]
    pub fn to_rfc3339_at(self, offset: UtcOffset) -> String {
        use chrono::Datelike as _;
        let format = if self.0 % MICROS_PER_SECOND == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
        let zoned = chrono::FixedOffset::east_opt(offset.0)
            .zip(DateTime::from_timestamp_micros(self.0))
            .map(|(zone, instant)| instant.with_timezone(&zone))
            .filter(|instant| (0..=9999).contains(&instant.year()));
        zoned.map_or_else(|| self.0.to_string(), |instant| instant.to_rfc3339_opts(format, true))
    }

    /// The local calendar day that holds this instant.
    #[must_use]
    pub const fn local_day(self, offset: UtcOffset) -> LocalDay {
        LocalDay(self.0.saturating_add(offset.micros()).div_euclid(MICROS_PER_DAY))
    }
}

/// Seconds east of UTC, for a place without daylight saving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UtcOffset(pub i32);

impl UtcOffset {
    /// UTC itself.
    pub const UTC: Self = Self(0);

    /// The offset in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0 as i64 * MICROS_PER_SECOND
    }
}

/// A whole local calendar day: days since 1970-01-01 on the local calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(pub i64);

impl LocalDay {
    /// The instant of local midnight with which the day begins. Saturates.
    #[must_use]
    pub const fn starts_at(self, offset: UtcOffset) -> Timestamp {
        Timestamp(self.0.saturating_mul(MICROS_PER_DAY).saturating_sub(offset.micros()))
    }

    /// The day `days` later, or earlier where negative.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANGZHOU: UtcOffset = UtcOffset(8 * 3600);

    #[test]
    fn spellings_of_one_instant_agree() {
        let midnight = Timestamp::parse_rfc3339("2020-02-18T00:00:00+08:00").expect("RFC 3339");
        for text in
            ["2020-02-17T16:00:00Z", "2020-02-18T00:00+08:00", "2020-02-17T16:00Z", "2020-02-18", "2020-02-18 00:00"]
        {
            assert_eq!(Timestamp::parse_typed(text, HANGZHOU), Some(midnight), "{text}");
        }
        assert_eq!(midnight.to_rfc3339(), "2020-02-17T16:00:00Z");
        assert_eq!(midnight.to_rfc3339_at(HANGZHOU), "2020-02-18T00:00:00+08:00");
        assert_eq!(Timestamp(midnight.0 + 1).to_rfc3339(), "2020-02-17T16:00:00.000001Z");
    }

    #[test]
    fn facts_spell_instants_strictly() {
        for text in ["", "2020-02-18", "2020-02-18T00:00:00", "2020-02-30T00:00:00Z", "yesterday", "1581955200"] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_local_day_begins_at_local_midnight() {
        let midnight = Timestamp::parse_rfc3339("2020-02-18T00:00:00+08:00").expect("RFC 3339");
        let day = midnight.local_day(HANGZHOU);
        assert_eq!(day.starts_at(HANGZHOU), midnight);
        assert_eq!(Timestamp(midnight.0 - 1).local_day(HANGZHOU), day.plus(-1));
        assert_eq!(Timestamp(-1).local_day(UtcOffset::UTC), LocalDay(-1));
    }

    #[test]
    fn arithmetic_saturates_at_never() {
        assert_eq!(Timestamp::NEVER.plus_days(1), Timestamp::NEVER);
        assert_eq!(Timestamp::NEVER.minus_days(1), Timestamp::NEVER);
        assert_eq!(Timestamp(i64::MAX - 1).plus_days(1), Timestamp::NEVER);
        assert_eq!(Timestamp::NEVER.to_rfc3339(), i64::MAX.to_string());
    }
}

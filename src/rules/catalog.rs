//! The shipped rule sets, and what `--rules` means.
//!
//! The one idea: a name is resolved in a fixed order (a jurisdiction at an instant, a set's name, a file), so that the same
//! words and the same instant always give the same set, whatever lies in the working directory.
//!
//! Invariant: nothing here reads a clock; a file is read only if no shipped set answers to the name.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use super::error::{RuleErrors, near_miss};
use super::program::Program;
use crate::model::{Timestamp, UtcOffset};

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        &[$((
            concat!("datasets/rules/", $name, ".toml"),
            include_str!(concat!("../../datasets/rules/", $name, ".toml")),
        )),+]
    };
}

/// Path and text of every shipped set.
const SHIPPED: &[(&str, &str)] =
    shipped!["hangzhou-2020-02-11", "hangzhou-2020-02-21", "huzhou-2020-02-16", "huzhou-2020-02-21"];

/// A rule set with the text that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// The checked rules.
    pub program: Program,
    /// The file's text.
    pub text: Cow<'static, str>,
    /// The file's path, in the repository for a shipped set.
    pub path: String,
}

/// Rule sets that can be asked for by name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sets: Vec<RuleSet>,
}

/// Why no rule set answers to a request.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Neither a jurisdiction, a set's name nor a file.
    #[error("no rule set is called `{name}`{}; known are {}", Meant(near.as_deref()), known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// A known name that is near.
        near: Option<String>,
        /// Jurisdictions and sets.
        known: Vec<String>,
    },
    /// The jurisdiction is known, but none of its sets holds yet.
    #[error(
        "no rule set of `{jurisdiction}` is in force at {}; the earliest is {earliest}, from {}",
        as_of.to_rfc3339_at(*utc_offset),
        effective_from.to_rfc3339_at(*utc_offset)
    )]
    NotYet {
        /// The jurisdiction.
        jurisdiction: String,
        /// The instant asked for.
        as_of: Timestamp,
        /// Its first set.
        earliest: String,
        /// From when that set holds.
        effective_from: Timestamp,
        /// That set's clock.
        utc_offset: UtcOffset,
    },
    /// The file cannot be read.
    #[error("cannot read the rule file {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a rule set.
    #[error("{headline}\n{0}", headline = headline(.0))]
    Invalid(RuleErrors),
}

struct Meant<'a>(Option<&'a str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, ", did you mean `{name}`?"))
    }
}

/// `3 errors in the rule file x.toml`
fn headline(errors: &RuleErrors) -> String {
    let plural = if errors.errors.len() == 1 { "" } else { "s" };
    format!("{} error{plural} in the rule file {}", errors.errors.len(), errors.path)
}

impl RuleSet {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ResolveError::Unreadable`] or [`ResolveError::Invalid`].
    pub fn read(path: &Path) -> Result<Self, ResolveError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ResolveError::Unreadable { path: shown.clone(), source })?;
        Self::parse(&shown, &text).map_err(ResolveError::Invalid)
    }

    /// Checks the text of a rule set, which errors name by a path.
    ///
    /// # Errors
    /// [`RuleErrors`].
    pub fn parse(path: &str, text: &str) -> Result<Self, RuleErrors> {
        let program = Program::parse(path, text)?;
        Ok(Self { program, text: Cow::Owned(text.to_owned()), path: path.to_owned() })
    }
}

impl Catalog {
    /// The shipped sets.
    ///
    /// # Errors
    /// Never in a tested build: the shipped files are checked by its tests.
    pub fn shipped() -> Result<Self, RuleErrors> {
        let read = |&(path, text): &(&str, &'static str)| {
            let program = Program::parse(path, text)?;
            Ok(RuleSet { program, text: Cow::Borrowed(text), path: path.to_owned() })
        };
        Ok(Self { sets: SHIPPED.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// All sets, by jurisdiction and date.
    #[must_use]
    pub fn sets(&self) -> &[RuleSet] {
        &self.sets
    }

    /// The rules that `request` means at `as_of`: see [`Self::find`].
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn resolve(&self, request: &str, as_of: Timestamp) -> Result<Program, ResolveError> {
        self.find(request, as_of).map(|set| set.program)
    }

    /// The set that `request` means: of the jurisdiction so called the one with the latest `effective_from` not after
    /// `as_of` (one without it has always held); else the set so called; else the file there.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub fn find(&self, request: &str, as_of: Timestamp) -> Result<RuleSet, ResolveError> {
        if let Some(set) = self.in_force(request, as_of)? {
            return Ok(set.clone());
        }
        if let Some(set) = self.sets.iter().find(|set| set.program.name == request) {
            return Ok(set.clone());
        }
        let path = Path::new(request);
        let like_a_path =
            request.contains(['/', '\\']) || path.extension().is_some_and(|extension| extension == "toml");
        if like_a_path || path.exists() {
            return RuleSet::read(path);
        }
        let known = self.names();
        let near = near_miss(request, known.iter().map(String::as_str)).map(str::to_owned);
        Err(ResolveError::Unknown { name: request.to_owned(), near, known })
    }

    /// The set of a jurisdiction that holds at `as_of`; `None` if there is no such jurisdiction.
    fn in_force(&self, jurisdiction: &str, as_of: Timestamp) -> Result<Option<&RuleSet>, ResolveError> {
        let from = |set: &RuleSet| set.program.effective_from.unwrap_or(Timestamp::EARLIEST);
        let of_it = || self.sets.iter().filter(|set| set.program.jurisdiction.as_deref() == Some(jurisdiction));
        let Some(earliest) = of_it().min_by_key(|set| from(set)) else { return Ok(None) };
        let latest = of_it().filter(|set| from(set) <= as_of).max_by_key(|set| from(set));
        latest.map(Some).ok_or_else(|| ResolveError::NotYet {
            jurisdiction: jurisdiction.to_owned(),
            as_of,
            earliest: earliest.program.name.clone(),
            effective_from: from(earliest),
            utc_offset: earliest.program.utc_offset,
        })
    }

    /// What can be asked for by name: jurisdictions, then sets.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.sets.iter().filter_map(|set| set.program.jurisdiction.clone()).collect::<Vec<_>>();
        names.dedup();
        names.extend(self.sets.iter().map(|set| set.program.name.clone()));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("RFC 3339")
    }

    fn resolved(request: &str, as_of: &str) -> Result<String, String> {
        let catalog = Catalog::shipped().map_err(|errors| errors.to_string())?;
        catalog.resolve(request, at(as_of)).map(|program| program.name).map_err(|error| error.to_string())
    }

    #[test]
    fn every_shipped_set_is_right_and_called_as_its_file() {
        let catalog = Catalog::shipped().unwrap_or_else(|errors| panic!("{errors}"));
        for set in catalog.sets() {
            let stem = Path::new(&set.path).file_stem().and_then(|stem| stem.to_str());
            assert_eq!(stem, Some(set.program.name.as_str()));
            let dated = format!(
                "{}-{}",
                set.program.jurisdiction.as_deref().expect("a jurisdiction"),
                &set.program.effective_from.expect("a date").to_rfc3339_at(set.program.utc_offset)[..10]
            );
            assert_eq!(dated, set.program.name);
        }
    }

    #[test]
    fn a_jurisdiction_is_the_latest_of_its_sets_in_force() {
        for (request, as_of, expected) in [
            ("huzhou", "2020-02-16T00:00:00+08:00", "huzhou-2020-02-16"),
            ("huzhou", "2020-02-20T23:59:59+08:00", "huzhou-2020-02-16"),
            ("huzhou", "2020-02-21T00:00:00+08:00", "huzhou-2020-02-21"),
            ("hangzhou", "2020-02-11T00:00:00+08:00", "hangzhou-2020-02-11"),
            ("hangzhou", "2030-01-01T00:00:00Z", "hangzhou-2020-02-21"),
            // An exact name is that set, in force or not.
            ("huzhou-2020-02-21", "2019-01-01T00:00:00Z", "huzhou-2020-02-21"),
        ] {
            assert_eq!(resolved(request, as_of).as_deref(), Ok(expected), "{request} at {as_of}");
        }
    }

    #[test]
    fn what_cannot_be_resolved_says_why() {
        for (request, expected) in [
            (
                "huzhou",
                "no rule set of `huzhou` is in force at 2020-02-01T00:00:00+08:00; \
                 the earliest is huzhou-2020-02-16, from 2020-02-16T00:00:00+08:00",
            ),
            (
                "huzou",
                "no rule set is called `huzou`, did you mean `huzhou`?; known are hangzhou, huzhou, \
                 hangzhou-2020-02-11, hangzhou-2020-02-21, huzhou-2020-02-16, huzhou-2020-02-21",
            ),
            ("nowhere/rules.toml", "cannot read the rule file nowhere/rules.toml"),
        ] {
            assert_eq!(resolved(request, "2020-02-01T00:00:00+08:00").as_ref().map_err(String::as_str), Err(expected));
        }
    }

    #[test]
    fn a_file_is_read_and_its_errors_are_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mine.toml");
        let shown = path.display().to_string();
        std::fs::write(&path, SHIPPED[0].1.replace("retention_days = 30", "retention_days = 61")).expect("written");
        let error = resolved(&shown, "2020-02-01T00:00:00+08:00").expect_err("61 days are too many");
        assert!(error.starts_with(&format!("1 error in the rule file {shown}")), "{error}");
        assert!(error.contains("at most 60, found 61"), "{error}");
        std::fs::write(&path, SHIPPED[0].1).expect("written");
        assert_eq!(resolved(&shown, "2020-02-01T00:00:00+08:00").as_deref(), Ok("hangzhou-2020-02-11"));
    }
}

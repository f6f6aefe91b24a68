//! The page that says why: colour, rules, what each rests on, what is missing, when it ends.
//!
//! The one idea: the page is made for its reader. What the person concerned may not see is never put into a page for the
//! person, so no later step can let it out; a page for an official has the rows besides.
//!
//! Invariant: a page for [`Audience::Person`] names no other person, no row, and no place but the person's own.
//! Cost: a verdict, and one more look ahead per rule and per coming change.

use serde::{Serialize, Serializer};

use super::because::because;
use super::dossier::dossier;
use super::evidence::{Evidence, evidence_of};
use super::forecast::Missing;
use super::sighting::{Sighting, latest};
use super::subject::Subject;
use crate::model::facts::Tables;
use crate::model::{ClosedEnum, Colour, LabelId, PersonId, PlaceId, Region, RuleId, RuleMask, Timestamp, UtcOffset};
use crate::rules::{Bilingual, Program};

/// What a page calls things: the tokens and texts that ids stand for.
pub trait Names {
    /// Token of a person.
    fn person(&self, person: PersonId) -> &str;
    /// Token of a place.
    fn place(&self, place: PlaceId) -> &str;
    /// Text of a label.
    fn label(&self, label: LabelId) -> &str;
    /// Name of a region in Chinese and English; its code unless somebody knows better.
    fn region(&self, region: Region) -> Words {
        Words { zh: region.code().to_string(), en: region.code().to_string() }
    }
}

/// Who reads the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// The person concerned.
    Person,
    /// An official, who may see the rows.
    Official,
}

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Words {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl From<&Bilingual> for Words {
    fn from(text: &Bilingual) -> Self {
        Self { zh: text.zh.clone(), en: text.en.clone() }
    }
}

/// An instant on the rule set's local clock; RFC 3339 with that offset in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalInstant {
    /// The instant.
    pub at: Timestamp,
    /// The clock.
    pub offset: UtcOffset,
}

impl Serialize for LocalInstant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.at.to_rfc3339_at(self.offset))
    }
}

/// Why a person's code is what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Token of the person.
    pub person: String,
    /// T.
    pub as_of: LocalInstant,
    /// Whom the page is for.
    pub audience: Audience,
    /// The rule set.
    pub rule_set: RuleSet,
    /// The colour.
    #[serde(serialize_with = "by_name")]
    pub colour: Colour,
    /// The first instant at which colour, reasons or excused differ if no further fact arrives; null if never.
    pub valid_until: Option<LocalInstant>,
    /// Ids of the active rules that are not excused, in rule order.
    pub reasons: Vec<String>,
    /// Ids of the active rules that the white list excuses, in rule order.
    pub excused: Vec<String>,
    /// The person's entries of the white list that hold.
    pub whitelist: Vec<Excuse>,
    /// Every active rule, in rule order.
    pub rules: Vec<RuleReport>,
    /// When the code is green.
    pub green: Green,
}

/// Which rule set the page was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSet {
    /// Its name.
    pub name: String,
    /// Digest of its text.
    pub version: String,
}

/// An entry of the white list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excuse {
    /// Why the person is on it.
    pub reason: String,
    /// Begin.
    pub from_at: LocalInstant,
    /// End, null if open.
    pub until_at: Option<LocalInstant>,
}

/// An active rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleReport {
    /// Id of the rule.
    pub id: String,
    /// The rule's colour.
    #[serde(serialize_with = "by_name")]
    pub colour: Colour,
    /// Title.
    pub title: Words,
    /// Clause of the notice.
    pub cite: String,
    /// What to do.
    pub advice: Words,
    /// Whether the white list excuses it.
    pub excused: bool,
    /// The instant from which it counts; null where something is missing rather than there.
    pub trigger: Option<LocalInstant>,
    /// What it rests on, latest first, in words that name nobody.
    pub because: Vec<Words>,
    /// When it ceases to be active if no further fact arrives; null if never.
    pub earliest_release: Option<LocalInstant>,
    /// When it ceases to be active with a healthy report every day and a negative test wherever one is wanted; null if that
    /// does not end it.
    pub attainable_release: Option<LocalInstant>,
    /// What is still missing.
    pub missing: Missing,
    /// The rows, for officials only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// When the code is green; the page's own instant if it is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Green {
    /// If no further fact arrives; null if never.
    pub if_nothing_happens: Option<LocalInstant>,
    /// With a healthy report every day from now and a negative test wherever one is wanted; null if that does not do.
    pub earliest: Option<LocalInstant>,
}

/// Why the code of `person` is what it is at the instant `at`, in words and instants that `audience` may see. `None` without a
/// standing declaration.
#[must_use]
pub fn explain(
    facts: &Tables,
    program: &Program,
    person: PersonId,
    at: Timestamp,
    audience: Audience,
    names: &dyn Names,
) -> Option<Explanation> {
    let subject = Subject::new(&dossier(facts, program, person), program, person);
    let code = subject.code(at)?;
    let page = Page { subject: &subject, ideal: subject.with_ideal_future(at), at, audience, names };
    let mut active = code.reasons;
    code.excused.iter().for_each(|rule| active.insert(rule));
    Some(Explanation {
        person: names.person(person).into(),
        as_of: page.local(at),
        audience,
        rule_set: RuleSet { name: program.name.clone(), version: program.version.clone() },
        colour: code.colour,
        valid_until: page.local_or_null(Some(code.valid_until)),
        reasons: program.names(code.reasons).map(str::to_owned).collect(),
        excused: program.names(code.excused).map(str::to_owned).collect(),
        whitelist: page.whitelist(),
        rules: active.iter().map(|rule| page.rule(rule, code.excused)).collect(),
        green: page.green(),
    })
}

/// What every part of a page looks at.
struct Page<'a> {
    subject: &'a Subject<'a>,
    /// The same person with the best future that lies in the person's own hands.
    ideal: Subject<'a>,
    at: Timestamp,
    audience: Audience,
    names: &'a dyn Names,
}

impl Page<'_> {
    fn local(&self, at: Timestamp) -> LocalInstant {
        LocalInstant { at, offset: self.subject.program.utc_offset }
    }

    fn local_or_null(&self, at: Option<Timestamp>) -> Option<LocalInstant> {
        at.and_then(Timestamp::finite).map(|at| self.local(at))
    }

    fn rule(&self, id: RuleId, excused: RuleMask) -> RuleReport {
        let (subject, at) = (self.subject, self.at);
        let rule = subject.program.rule(id);
        let sightings = self.proofs(id);
        let excused = excused.contains(id);
        let evidence = match self.audience {
            Audience::Person => Vec::new(),
            Audience::Official => evidence_of(subject, id, &sightings, excused, at, self.names),
        };
        RuleReport {
            id: rule.id.clone(),
            colour: rule.colour,
            title: (&rule.title).into(),
            cite: rule.cite.clone(),
            advice: (&rule.advice).into(),
            excused,
            trigger: self.local_or_null(latest(&sightings)),
            because: self.because(&sightings),
            earliest_release: self.local_or_null(subject.next_change_of(id, at, Timestamp::NEVER)),
            attainable_release: self.local_or_null(self.ideal.release_from(id, at)),
            missing: subject.missing(id, &sightings, at),
            evidence,
        }
    }

    /// What speaks for a rule that is active, latest first.
    fn proofs(&self, rule: RuleId) -> Vec<Sighting> {
        let mut sightings = self.subject.sightings(rule, self.at);
        sightings.sort_by_key(|sighting| std::cmp::Reverse(sighting.trigger));
        sightings
    }

    /// Each thing once: a day at work is one thing, however many contacts it was.
    fn because(&self, sightings: &[Sighting]) -> Vec<Words> {
        let mut said: Vec<Words> = Vec::new();
        for sighting in sightings {
            let words = because(self.subject, sighting, self.at, self.names);
            if !said.contains(&words) {
                said.push(words);
            }
        }
        said
    }

    fn whitelist(&self) -> Vec<Excuse> {
        let holding =
            self.subject.whitelist.iter().filter(|entry| entry.from_at <= self.at && self.at < entry.until_at);
        holding
            .map(|entry| Excuse {
                reason: self.names.label(entry.reason).into(),
                from_at: self.local(entry.from_at),
                until_at: self.local_or_null(Some(entry.until_at)),
            })
            .collect()
    }

    fn green(&self) -> Green {
        let if_nothing_happens = self.subject.first_green(self.at);
        // A healthy report never does harm, so the ideal is the later one only where the search for it was cut short.
        let ideal = self.ideal.first_green(self.at);
        let earliest = ideal.into_iter().chain(if_nothing_happens).min();
        Green { if_nothing_happens: self.local_or_null(if_nothing_happens), earliest: self.local_or_null(earliest) }
    }
}

fn by_name<E: ClosedEnum, S: Serializer>(value: &E, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.name())
}

#[cfg(test)]
mod tests;

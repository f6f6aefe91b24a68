//! `sanma explain`: why a person has the code they have.

use std::io::Write;

use super::args::{AudienceArg, ExplainArgs, LangArg};
use super::config::Setting;
use super::progress::Progress;
use super::{Failure, say};
use crate::explain::{self, Audience, Language, Names, Words};
use crate::facts;
use crate::gazetteer;
use crate::ingest::{self, Loaded};
use crate::model::{LabelId, PersonId, PlaceId, Region};
use crate::nightly::JobError;

/// Loads the facts and prints the explanation.
///
/// # Errors
/// [`Failure`]; also if the person is not known or has no code.
pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let setting = Setting::new(&args.question)?;
    let progress = Progress::new(true);
    let loaded = setting.pool.install(|| ingest::load(&args.question.data, &progress)).map_err(JobError::from)?;
    let Loaded { tables, persons, places, labels, rejections, warnings, .. } = loaded;
    for warning in &warnings {
        say(&format!("warning: {warning}"));
    }
    if !rejections.is_empty() {
        say(&format!("warning: {} invalid rows are left out; recompute lists them", rejections.len()));
    }
    let unknown = || {
        let message = format!("nobody is called {:?} in {}", args.person, args.question.data.display());
        Failure::Job(anyhow::Error::msg(message))
    };
    let person = persons.find(&args.person).map(PersonId).ok_or_else(unknown)?;
    let audience = match args.audience {
        AudienceArg::Person => Audience::Person,
        AudienceArg::Official => Audience::Official,
    };
    let names = Known(facts::Names { persons, places, labels });
    let page = explain::explain(&tables, &setting.program, person, setting.as_of, audience, &names);
    let Some(page) = page else {
        let as_of = setting.as_of.to_rfc3339_at(setting.program.utc_offset);
        let message = format!("{:?} has no code at {as_of}: no declaration by then", args.person);
        return Err(Failure::Job(anyhow::Error::msg(message)));
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &page).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let language = match args.lang {
            LangArg::Zh => Language::Zh,
            LangArg::En => Language::En,
        };
        write!(out, "{}", page.text(language))?;
    }
    Ok(out.flush()?)
}

/// The names of the facts, with those of regions.
struct Known(facts::Names);

impl Names for Known {
    fn person(&self, person: PersonId) -> &str {
        self.0.person(person)
    }

    fn place(&self, place: PlaceId) -> &str {
        self.0.place(place)
    }

    fn label(&self, label: LabelId) -> &str {
        self.0.label(label)
    }

    fn region(&self, region: Region) -> Words {
        let with_code = |name: Option<String>| match name {
            Some(name) => format!("{name} ({})", region.code()),
            None => region.code().to_string(),
        };
        Words { zh: with_code(gazetteer::name_zh(region)), en: with_code(gazetteer::name_en(region)) }
    }
}

//! `sanma explain`: why a person has the code they have.

use std::io::Write;

use super::args::{AudienceArg, ExplainArgs, LangArg, Question};
use super::config::Setting;
use super::progress::Progress;
use super::{Failure, say};
use crate::cache::{self, Ready};
use crate::explain::{self, Audience, Language};
use crate::facts;
use crate::ingest::{self, IngestError, Loaded};
use crate::model::PersonId;
use crate::model::facts::Tables;
use crate::nightly::JobError;
use crate::spelt::Spelt;

/// Loads the facts and prints the explanation.
///
/// # Errors
/// [`Failure`]; also if the person is not known or has no code.
pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let setting = Setting::new(&args.question)?;
    let progress = Progress::new(true);
    let Known { tables, names } = setting.pool.install(|| load(&args.question, &progress)).map_err(JobError::from)?;
    let unknown = || {
        let message = format!("nobody is called {:?} in {}", args.person, args.question.data.display());
        Failure::Job(anyhow::Error::msg(message))
    };
    let person = names.persons.find(&args.person).map(PersonId).ok_or_else(unknown)?;
    let audience = match args.audience {
        AudienceArg::Person => Audience::Person,
        AudienceArg::Official => Audience::Official,
    };
    let names = Spelt(&names);
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

/// All facts, as far as an explanation looks at them.
struct Known {
    tables: Tables,
    names: facts::Names,
}

/// Loads the facts, through the cache if one is named; says what looked odd.
fn load(question: &Question, progress: &Progress) -> Result<Known, IngestError> {
    let (known, rejected, warnings) = if question.cache.is_none() {
        // An explanation walks over tables as they come: nothing is put in order for it.
        let Loaded { tables, persons, places, labels, rejections, warnings, .. } =
            ingest::load(&question.data, progress)?;
        (Known { tables, names: facts::Names { persons, places, labels } }, rejections.len(), warnings)
    } else {
        let (ready, cache) = cache::load(&question.data, question.cache.as_deref(), progress)?;
        let Ready { mut facts, rejections, mut warnings, .. } = ready;
        let kept = cache.map_or(Ok(()), |cache| cache.keep(&mut facts, &|| false));
        warnings.extend(kept.err().map(|error| error.to_string()));
        let (tables, names) = facts.into_tables();
        (Known { tables, names }, rejections.len(), warnings)
    };
    for warning in &warnings {
        say(&format!("warning: {warning}"));
    }
    if rejected > 0 {
        say(&format!("warning: {rejected} invalid rows are left out; recompute lists them"));
    }
    Ok(known)
}

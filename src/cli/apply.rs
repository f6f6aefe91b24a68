//! `sanma rules apply`: puts rules in force in a run that goes on, or tells what they would change.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::config;
use super::rules::ApplyArgs;
use super::summary::{grouped, rows};
use crate::model::Timestamp;
use crate::rules::Catalog;
use crate::server::Remote;

/// Sends a rule set to a run, and prints what it answers. What has a name the run finds itself, as of its own instant.
///
/// # Errors
/// A file that cannot be read; a [`RemoteError`](crate::server::RemoteError); whatever `out` refuses.
pub(super) fn apply(args: &ApplyArgs, catalog: &Catalog, now: Timestamp, out: &mut dyn Write) -> anyhow::Result<()> {
    let rules = if catalog.names().contains(&args.rules) {
        json!({"name": args.rules}).to_string()
    } else {
        catalog.find(&args.rules, now)?.text.into_owned()
    };
    let token = args.token_file.as_deref().map(config::token).transpose()?;
    let told = Remote::new(&args.connect, token.as_deref())?.put_rules(rules, args.dry_run)?;
    if args.json {
        return Ok(writeln!(out, "{}", Value::from(told))?);
    }
    let text = |name: &str| match told.get(name) {
        Some(Value::String(text)) => text.clone(),
        value => value.map_or_else(String::new, Value::to_string),
    };
    let changes = grouped(told.get("changes").and_then(Value::as_u64).unwrap_or(0));
    let (rules, position, as_of) = (text("rules"), text("position"), text("as_of"));
    if !args.dry_run {
        writeln!(out, "{rules} is in force from position {position} at {as_of}: {changes} changes")?;
        return Ok(());
    }
    writeln!(out, "{rules} is not in force; at position {position} at {as_of} there would be {changes} changes")?;
    for (field, title) in [("transitions", "changes"), ("gained", "rules gained"), ("lost", "rules lost")] {
        let counts = told.get(field).and_then(Value::as_object).into_iter().flatten();
        let row = |(name, count): (&String, &Value)| Some((name.replace("->", " -> "), count.as_u64()?));
        rows(out, title, counts.filter_map(row))?;
    }
    print_districts(&told, out)
}

/// Where those live who would change, the most first.
fn print_districts(told: &Map<String, Value>, out: &mut dyn Write) -> anyhow::Result<()> {
    let districts = told.get("by_district").and_then(Value::as_object).into_iter().flatten();
    let mut districts: Vec<(String, u64)> = districts
        .filter_map(|(code, district)| {
            let name = district["name"].as_str().unwrap_or_default();
            Some((format!("{code} {name}"), district["changes"].as_u64()?))
        })
        .collect();
    districts.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
    Ok(rows(out, "by district", districts.into_iter())?)
}

//! The description of the API holds for every answer that a test of HTTP gets: its path, method, status, type and form are there.
//! And every path that is served is described.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::openapi_schema::faults;
use crate::server::Answer;

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../src/server/openapi.json")).expect("JSON"));

fn paths() -> impl Iterator<Item = (&'static String, &'static Value)> {
    DESCRIPTION["paths"].as_object().expect("paths").iter()
}

/// What is said at a pointer, references followed.
fn at(mut pointer: String) -> (String, &'static Value) {
    loop {
        let found = DESCRIPTION.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
        match found["$ref"].as_str() {
            Some(other) => other.strip_prefix('#').expect("of this document").clone_into(&mut pointer),
            None => return (pointer, found),
        }
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The path of the description that a request's path is of.
fn template_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or(path);
    let is_of = |template: &str| {
        let (parts, names) = (path.split('/'), template.split('/'));
        let alike = |(part, name): (&str, &str)| part == name || name.starts_with('{') && !part.is_empty();
        path.split('/').count() == names.clone().count() && parts.zip(names).all(alike)
    };
    // A path that is named is not one of a person.
    let mut found: Vec<&'static str> = paths().map(|(template, _)| &**template).filter(|path| is_of(path)).collect();
    found.sort_by_key(|template| template.contains('{'));
    found.first().copied()
}

/// Asserts that a value is of the schema at a pointer.
fn assert_valid(pointer: &str, value: &Value, what: &str) {
    let schema = DESCRIPTION.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
    let faults = faults(&DESCRIPTION, schema, value);
    assert!(faults.is_empty(), "{what}: {} is not what {pointer} says: {value}", faults.join("; "));
}

/// Asserts that an answer is one that the description has for the request.
pub fn assert_described(method: &str, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {}", answer.status);
    let Some(template) = template_of(path) else {
        assert!([401, 403, 404].contains(&answer.status), "{what}: a path that is not described");
        return;
    };
    let operation = format!("/paths/{}/{}", escaped(template), method.to_ascii_lowercase());
    if DESCRIPTION.pointer(&operation).is_none() {
        assert!([401, 403, 405].contains(&answer.status), "{what}: a method that is not described");
        return;
    }
    let status = format!("{operation}/responses/{}", answer.status);
    assert!(DESCRIPTION.pointer(&status).is_some(), "{what}: a status that is not described: {}", shown(answer));
    let (pointer, response) = at(status);
    let Some(content) = response.get("content") else {
        assert!(answer.body.is_empty(), "{what}: a body that is not described: {}", shown(answer));
        return;
    };
    let kind = answer.headers.get("content-type").map_or("", String::as_str);
    let kinds = content.as_object().expect("types");
    assert!(kinds.contains_key(kind), "{what}: {kind:?} is not described: {}", shown(answer));
    for (name, _) in response["headers"].as_object().into_iter().flatten() {
        let (_, header) = at(format!("{pointer}/headers/{}", escaped(name)));
        let is_wanted = header["required"] == true;
        assert!(!is_wanted || answer.headers.contains_key(&name.to_ascii_lowercase()), "{what}: no {name}");
    }
    let media = format!("{pointer}/content/{}", escaped(kind));
    match kind {
        "application/json" => assert_valid(&format!("{media}/schema"), &answer.json(), &what),
        "application/x-ndjson" => {
            for line in answer.text().lines() {
                let line: Value = serde_json::from_str(line).expect("a line of JSON");
                assert_valid(&format!("{media}/x-line-schema"), &line, &what);
            }
        }
        "text/event-stream" => {
            for line in answer.text().lines().filter_map(|line| line.strip_prefix("data: ")) {
                let line: Value = serde_json::from_str(line).expect("JSON in an event");
                assert_valid(&format!("{media}/x-line-schema"), &line, &what);
            }
        }
        _ => {}
    }
}

fn shown(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned()
}

#[test]
fn every_path_that_is_served_is_described_and_no_other() {
    let source = include_str!("../src/server/mod.rs");
    let served: BTreeSet<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let described: BTreeSet<&str> = paths().map(|(path, _)| &**path).collect();
    assert_eq!(served, described);
    assert_eq!(DESCRIPTION["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// That an answer is held against the description means that a wrong one is found.
#[test]
fn an_answer_that_is_not_described_is_found() {
    let answer = |status, kind: &str, body: &str| Answer {
        status,
        headers: [("content-type".to_owned(), kind.to_owned())].into(),
        body: body.as_bytes().to_vec(),
    };
    let (json, code) = ("application/json", r#"{"error": "why"}"#);
    assert_described("GET", "/v1/codes/lin", &answer(404, json, code));
    for (method, path, wrong) in [
        ("GET", "/v1/codes/lin", answer(404, json, r#"{"fault": "why"}"#)),
        ("GET", "/v1/codes/lin", answer(404, "text/plain", "why")),
        ("GET", "/v1/codes/lin", answer(418, json, code)),
        ("GET", "/v1/nothing", answer(200, json, "{}")),
        ("DELETE", "/v1/codes/lin", answer(200, json, "{}")),
    ] {
        let found = std::panic::catch_unwind(|| assert_described(method, path, &wrong));
        assert!(found.is_err(), "{method} {path} {}", wrong.status);
    }
}

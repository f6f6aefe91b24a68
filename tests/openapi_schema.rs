//! JSON Schema, as much of it as the description of the API uses. A keyword that is not known here is a failure, so that nothing is
//! taken for checked that is not.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// Says what of a value is not as a schema of a document wants it.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { document, found: &mut found }.value(schema, value, "$");
    found
}

struct Check<'a> {
    document: &'a Value,
    found: &'a mut Vec<String>,
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    let found = type_of(value);
    found == wanted || wanted == "number" && found == "integer"
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => Some(text.chars().count() as u64),
        Value::Array(items) => Some(items.len() as u64),
        Value::Object(entries) => Some(entries.len() as u64),
        _ => None,
    }
}

impl Check<'_> {
    fn fault(&mut self, is_right: bool, at: &str, why: &str) {
        if !is_right {
            self.found.push(format!("{at}: {why}"));
        }
    }

    fn is_right(&self, schema: &Value, value: &Value) -> bool {
        faults(self.document, schema, value).is_empty()
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let schema = match schema {
            Value::Bool(anything) => return self.fault(*anything, at, "nothing may be here"),
            Value::Object(schema) => schema,
            other => panic!("no schema: {other}"),
        };
        for (keyword, wanted) in schema {
            self.keyword(schema, (keyword, wanted), value, at);
        }
    }

    fn keyword(&mut self, schema: &Map<String, Value>, (keyword, wanted): (&str, &Value), value: &Value, at: &str) {
        let number = || wanted.as_f64().expect("a number");
        let count = || wanted.as_u64().expect("a count");
        let list = || wanted.as_array().expect("a list");
        match keyword {
            // Formats say what a number fits in, which its bounds do as well.
            "description" | "examples" | "default" | "format" | "title" | "contentMediaType" => {}
            "$ref" => {
                let pointer = wanted.as_str().and_then(|name| name.strip_prefix('#')).expect("of this document");
                let other = self.document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
                self.value(&other.clone(), value, at);
            }
            "type" => {
                let names: Vec<&Value> = wanted.as_array().map_or_else(|| vec![wanted], |names| names.iter().collect());
                let is_one = names.iter().any(|name| is_of_type(value, name.as_str().expect("a type")));
                self.fault(is_one, at, &format!("{} is not {wanted}", type_of(value)));
            }
            "const" => self.fault(value == wanted, at, &format!("{value} is not {wanted}")),
            "enum" => self.fault(list().contains(value), at, &format!("{value} is not one of {wanted}")),
            "oneOf" => {
                let right = list().iter().filter(|one| self.is_right(one, value)).count();
                self.fault(right == 1, at, &format!("{value} is {right} of the forms there are"));
            }
            "anyOf" => {
                let is_any = list().iter().any(|one| self.is_right(one, value));
                self.fault(is_any, at, &format!("{value} is of no form there is"));
            }
            "minimum" => self.fault(value.as_f64().is_none_or(|found| found >= number()), at, "it is too small"),
            "maximum" => self.fault(value.as_f64().is_none_or(|found| found <= number()), at, "it is too large"),
            "minLength" | "minItems" | "minProperties" => {
                self.fault(length(value).is_none_or(|found| found >= count()), at, "it is too short");
            }
            "maxLength" | "maxItems" | "maxProperties" => {
                self.fault(length(value).is_none_or(|found| found <= count()), at, "it is too long");
            }
            "uniqueItems" => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                let twice = items.iter().enumerate().any(|(place, item)| items[..place].contains(item));
                self.fault(!twice, at, "an item is there twice");
            }
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().expect("a pattern")).expect("a pattern");
                let is_match = value.as_str().is_none_or(|text| pattern.is_match(text));
                self.fault(is_match, at, &format!("{value} does not match {wanted}"));
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(wanted, item, &format!("{at}[{place}]"));
                }
            }
            "required" => {
                if let Value::Object(found) = value {
                    for name in list().iter().map(|name| name.as_str().expect("a name")) {
                        self.fault(found.contains_key(name), at, &format!("no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("properties") {
                    if let Some(found) = value.get(name) {
                        self.value(schema, found, &format!("{at}.{name}"));
                    }
                }
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(Map::keys) {
                    self.value(wanted, &Value::from(name.as_str()), &format!("{at}.{name}"));
                }
            }
            "additionalProperties" => {
                for (name, found) in value.as_object().into_iter().flatten() {
                    if schema.get("properties").is_none_or(|known| known.get(name).is_none()) {
                        self.value(wanted, found, &format!("{at}.{name}"));
                    }
                }
            }
            other => panic!("`{other}` is not checked here"),
        }
    }
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let document = serde_json::json!({
        "colour": {"enum": ["green", "red"]},
        "code": {
            "type": "object",
            "required": ["person"],
            "properties": {"person": {"type": "string", "minLength": 1, "pattern": "^p"}, "colour": {"$ref": "#/colour"}},
            "additionalProperties": {"type": ["integer", "null"], "maximum": 5}
        }
    });
    let is_right = |text: &str| {
        let value = serde_json::from_str(text).expect("JSON");
        faults(&document, &document["code"], &value).is_empty()
    };
    for text in [r#"{"person": "p"}"#, r#"{"person": "p", "colour": "red", "more": 5, "no": null}"#] {
        assert!(is_right(text), "{text}");
    }
    for text in [
        "[]",
        "{}",
        r#"{"person": ""}"#,
        r#"{"person": "q"}"#,
        r#"{"person": "p", "colour": "blue"}"#,
        r#"{"person": "p", "more": 6}"#,
        r#"{"person": "p", "more": 1.5}"#,
        r#"{"person": "p", "more": "5"}"#,
    ] {
        assert!(!is_right(text), "{text}");
    }
}

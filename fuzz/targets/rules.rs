//! Any text as a rule file: it is a rule set within the engine's bounds, or it has errors that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sanma::limits::{RETENTION_DAYS_MAX, RULES_MAX};
use sanma::rules::Program;
use sanma::rules::document::markdown;

fuzz_target!(|text: &str| {
    match Program::parse("rules.toml", text) {
        Ok(program) => {
            assert!(program.rules.len() <= RULES_MAX && program.retention_days <= RETENTION_DAYS_MAX);
            assert!(program.excuses.iter().all(|rule| usize::from(rule.0) < program.rules.len()));
            assert!(!markdown(&program).is_empty());
            assert_eq!(Program::parse("again.toml", text).as_ref(), Ok(&program), "the path is no part of the rules");
        }
        Err(errors) => {
            assert!(!errors.errors.is_empty());
            assert!(errors.errors.is_sorted_by_key(|error| error.span.start), "errors are in the order of the text");
            for error in &errors.errors {
                assert!(text.get(error.span.clone()).is_some(), "{:?} is no part of the text", error.span);
            }
            assert!(!errors.render(false).is_empty() && !errors.render(true).is_empty());
        }
    }
});

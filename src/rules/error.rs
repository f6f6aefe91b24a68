//! What can be wrong with a rule file, and how it is shown.
//!
//! The one idea: an error is typed facts and a span of bytes; line, column, words and carets are made when somebody looks.
//!
//! Invariant: [`RuleErrors`] holds at least one error, in the order of the text, so that a file is put right in one go.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::limits::{KEY_BYTES_MAX, RETENTION_DAYS_MAX, RULES_MAX};

/// All that is wrong with one rule file.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleErrors {
    /// The file's path, or the name that it goes by.
    pub path: String,
    /// Its text, for the carets.
    pub text: String,
    /// The errors, in the order of the text.
    pub errors: Vec<RuleError>,
}

/// One error in a rule file.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleError {
    /// The bytes that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub kind: RuleErrorKind,
    /// What may have been meant, or what to do.
    pub hint: Option<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleErrorKind {
    /// The file is not TOML.
    #[error("not TOML: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key that means nothing there.
    #[error("unknown key `{key}` in {section}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        section: String,
    },
    /// A key of the other degree's contact rule.
    #[error("`{key}` belongs to a contact rule of degree {belongs}, this one is of degree {found}")]
    OtherDegree {
        /// The key.
        key: &'static str,
        /// The degree that has it.
        belongs: u32,
        /// The rule's degree.
        found: u32,
    },
    /// A key that must be there is not.
    #[error("{section} lacks `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// Where it is wanted.
        section: String,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, found {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// A word that is not in the list.
    #[error("unknown word `{word}` for `{key}`")]
    UnknownWord {
        /// The key.
        key: &'static str,
        /// The word.
        word: String,
    },
    /// A list that may not be empty.
    #[error("`{key}` may not be empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A count below 0.
    #[error("`{key}` may not be negative, found {found}")]
    Negative {
        /// The key.
        key: &'static str,
        /// The number as written.
        found: String,
    },
    /// A number over what its key can hold.
    #[error("`{key}` may be at most {most}, found {found}")]
    TooLarge {
        /// The key.
        key: &'static str,
        /// The number as written.
        found: String,
        /// The greatest allowed.
        most: u32,
    },
    /// Infinity, or not a number.
    #[error("`{key}` must be a finite number, found {found}")]
    NotFinite {
        /// The key.
        key: &'static str,
        /// The number as written.
        found: String,
    },
    /// More retention than a health record holds.
    #[error("`retention_days` may be at most {RETENTION_DAYS_MAX}, found {found}")]
    Retention {
        /// The days asked for.
        found: u32,
    },
    /// Days that reach beyond the retention.
    #[error("`{key}` is {found}, over the rule set's `retention_days` of {retention_days}")]
    OverRetention {
        /// The key.
        key: &'static str,
        /// Its days.
        found: u32,
        /// R of the rule set.
        retention_days: u32,
    },
    /// A degree other than 1 or 2.
    #[error("`degree` must be 1 or 2, found {found}")]
    Degree {
        /// The number.
        found: u32,
    },
    /// An offset that is not one.
    #[error("`utc_offset` must be hours and minutes east of UTC, found `{found}`")]
    UtcOffset {
        /// The text.
        found: String,
    },
    /// An instant that is not one.
    #[error("`{key}` must be a date, or a date and a time, found `{found}`")]
    Instant {
        /// The key.
        key: &'static str,
        /// The text.
        found: String,
    },
    /// A rule's id that could not be written in a list of reasons.
    #[error(
        "a rule's id has 1 to {KEY_BYTES_MAX} bytes and no whitespace, control character, `,` or `;`, found `{found}`"
    )]
    RuleId {
        /// The text.
        found: String,
    },
    /// Two rules of one id.
    #[error("a second rule `{id}`")]
    DuplicateRule {
        /// The id.
        id: String,
    },
    /// More rules than a mask holds.
    #[error("{found} rules, at most {RULES_MAX} are allowed")]
    TooManyRules {
        /// How many.
        found: usize,
    },
    /// An id that no rule of the set has.
    #[error("`{key}` names the unknown rule `{id}`")]
    UnknownRule {
        /// The key.
        key: &'static str,
        /// The id.
        id: String,
    },
    /// A `through` that names a rule of another sort.
    #[error("`through` names `{id}`, which is not a contact rule of degree 1")]
    NotFirstDegree {
        /// The id.
        id: String,
    },
}

impl RuleErrors {
    /// Line and column of an error, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self, error: &RuleError) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(error.span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// All errors, each with path, line, column, the line itself, carets and hint; `styled` for a terminal with colour.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut page = String::new();
        for error in &self.errors {
            if !page.is_empty() {
                page.push_str("\n\n");
            }
            let span = self.caret_span(&error.span);
            let snippet = Snippet::source(self.text.as_str())
                .path(self.path.as_str())
                .annotation(AnnotationKind::Primary.span(span));
            let group = Level::ERROR.primary_title(error.kind.to_string()).element(snippet);
            let help = error.hint.as_deref().map(|hint| Level::HELP.message(hint));
            page.push_str(&renderer.render(&[group.elements(help)]));
        }
        page
    }

    /// The span on the first line that it touches, on borders of characters: a caret never runs over several lines.
    fn caret_span(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let line_end = self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |length| start + length);
        start..self.text.ceil_char_boundary(span.end).clamp(start, line_end)
    }
}

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for RuleErrors {}

/// Of `known`, the word that `found` is most likely a slip of, if one is near.
#[must_use]
pub(crate) fn near_miss<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Below this likeness two short words are different words: `kind` and `kinds` score 0.97, `days` and `rows` 0.50.
    const LIKENESS_MIN: f64 = 0.8;
    let folded = found.to_lowercase().replace([' ', '-'], "_");
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&folded, &word.replace('-', "_")), word))
        .filter(|&(likeness, _)| likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

//! The prompt of `sanma sql`: history, completion, statements over several lines, commands that begin with `\`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, TokenizerError};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper as Assistant};

use super::answer::Shape;
use super::asked::AnswerArg;
use super::sql::Asker;
use super::{Failure, progress, say, sql};
use crate::limits::PROMPT_ROWS_MAX;

const HELP: &str = r"statements end with ;  Ctrl-C ends a query, Ctrl-D the prompt
  \d          tables
  \d TABLE    columns of a table
  \df         sanma's own functions
  \timing     tell how long statements take, or no longer
  \x          a column a line, or a table again
  \format F   table, csv, json or ndjson
  \i FILE     statements in a file
  \q          ends the prompt";

/// Words that statements are made of, for completion.
const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COUNT",
    "CROSS",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN ANALYZE",
    "EXTRACT",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP BY",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS NOT NULL",
    "IS NULL",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "QUALIFY",
    "RIGHT",
    "ROWS",
    "SELECT",
    "SHOW TABLES",
    "THEN",
    "TRUE",
    "UNION ALL",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

struct Prompt<'a> {
    asker: &'a Asker,
    shape: Shape,
    /// The shape that `\x` goes back to.
    usual: Shape,
    timing: bool,
}

/// Answers what is typed until the end of it.
///
/// # Errors
/// A terminal that cannot be read; a standard output that cannot be written.
pub(super) fn run(asker: &Asker, shape: Shape, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let failed = |error: ReadlineError| Failure::Job(error.into());
    let mut editor: Editor<Typist, FileHistory> = Editor::new().map_err(failed)?;
    let mut words: Vec<String> = asker.words();
    words.extend(KEYWORDS.iter().map(|&word| word.to_owned()));
    editor.set_helper(Some(Typist { words }));
    let history = history();
    if let Some(path) = &history {
        // The first time there is none.
        let _ = editor.load_history(path);
    }
    writeln!(out, "\\? tells what can be typed")?;
    out.flush()?;
    let mut prompt = Prompt { asker, shape, usual: shape, timing: false };
    let mut is_unkept = false;
    loop {
        let typed = match editor.readline("sanma> ") {
            Ok(typed) => typed,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        };
        let _ = editor.add_history_entry(typed.trim());
        if let Some(path) = history.as_ref().filter(|_| !is_unkept) {
            let kept = path.parent().map_or(Ok(()), fs::create_dir_all).map(|()| editor.append_history(path));
            is_unkept = !matches!(kept, Ok(Ok(())));
            if is_unkept {
                say(&format!("warning: {}: what is typed cannot be kept", path.display()));
            }
        }
        match prompt.take(typed.trim(), out) {
            Ok(true) | Err(Failure::Told) => {}
            Ok(false) => break,
            Err(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
            Err(Failure::Interrupted) => say("ended"),
            Err(Failure::Usage(why) | Failure::Strict(why)) => say(&why),
            Err(Failure::Job(error)) => say(&format!("{error:#}")),
        }
        out.flush()?;
        progress::forget_interrupt();
    }
    Ok(())
}

/// The file of what was typed before.
fn history() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    variable("SANMA_HISTORY").or_else(|| Some(state()?.join("sanma/history")))
}

impl Prompt<'_> {
    /// Answers something typed. Gives whether the prompt goes on.
    fn take(&mut self, typed: &str, out: &mut (dyn Write + Send)) -> Result<bool, Failure> {
        let Some(command) = typed.strip_prefix('\\') else {
            self.answer(typed, out)?;
            return Ok(true);
        };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim().trim_end_matches(';');
        match word.trim_end_matches(';') {
            "q" => return Ok(false),
            "?" | "h" | "help" => writeln!(out, "{HELP}")?,
            "d" | "dt" if rest.is_empty() => {
                let tables = "SELECT table_name AS \"table\" FROM information_schema.tables \
                              WHERE table_schema = 'public' ORDER BY table_name";
                self.answer(tables, out)?;
            }
            "d" => self.answer(&format!("DESCRIBE {rest}"), out)?,
            "df" => {
                let functions = "SELECT DISTINCT routine_name AS function, syntax_example AS usage, description \
                                 FROM information_schema.routines WHERE routine_name IN \
                                 ('region_level', 'region_within', 'region_name', 'local_day', 'working_days') \
                                 UNION ALL VALUES \
                                 ('codes_at', 'codes_at(''instant'')', 'Everybody''s code at another instant.'), \
                                 ('contacts_of', 'contacts_of(''token'', degree)', 'The contacts that lead to those so near.'), \
                                 ('explain', 'explain(''token'')', 'The rules that are active for a person, and why.'), \
                                 ('read_parquet', 'read_parquet(''file'')', 'A file in a folder that --files opens.'), \
                                 ('whatif', 'whatif(''list 330106=high'')', 'Who would have another colour.') \
                                 ORDER BY 1";
                self.answer(functions, out)?;
            }
            "timing" => {
                self.timing = !self.timing;
                writeln!(out, "timing is {}", if self.timing { "on" } else { "off" })?;
            }
            "x" => self.shape = if self.shape == Shape::Expanded { self.usual } else { Shape::Expanded },
            "format" => match <AnswerArg as clap::ValueEnum>::from_str(rest, true).map(Shape::from) {
                Ok(shape) if !shape.is_binary() => (self.shape, self.usual) = (shape, shape),
                _ => return Err(Failure::Usage(format!("{rest:?}: table, csv, json and ndjson can be shown here"))),
            },
            "i" => {
                let text = fs::read_to_string(rest).map_err(|error| Failure::Usage(format!("{rest}: {error}")))?;
                self.answer(&text, out)?;
            }
            other => return Err(Failure::Usage(format!("\\{other} is not known; \\? tells what is"))),
        }
        Ok(true)
    }

    fn answer(&self, typed: &str, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        for statement in sql::statements(typed)? {
            let took = self.asker.answer(&statement, self.shape, out, PROMPT_ROWS_MAX)?;
            if self.timing {
                writeln!(out, "{:.3} s", took.as_secs_f64())?;
            }
        }
        Ok(())
    }
}

/// Whether what is typed is all of a statement or a command.
fn is_complete(typed: &str) -> bool {
    let typed = typed.trim();
    if typed.is_empty() || typed.starts_with('\\') {
        return true;
    }
    match Tokenizer::new(&GenericDialect {}, typed).tokenize() {
        Ok(tokens) => {
            let last = tokens.iter().rev().find(|token| !matches!(token, Token::Whitespace(_)));
            last.is_none_or(|token| *token == Token::SemiColon)
        }
        // A quote or a comment that is open goes on; what is wrong otherwise is told when it is asked.
        Err(TokenizerError { message, .. }) => {
            !["Unterminated", "EOF"].iter().any(|open| message.contains(open)) && typed.ends_with(';')
        }
    }
}

/// Helps whoever types.
struct Typist {
    words: Vec<String>,
}

impl Completer for Typist {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let begin = line[..at]
            .rfind(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let typed = line[begin..at].to_lowercase();
        if typed.is_empty() {
            return Ok((begin, Vec::new()));
        }
        let fits = |word: &&String| word.to_lowercase().starts_with(&typed);
        Ok((begin, self.words.iter().filter(fits).cloned().collect()))
    }
}

impl Validator for Typist {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Typist {
    type Hint = String;
}

impl Highlighter for Typist {}

impl Assistant for Typist {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_outside_of_quotes() {
        for whole in ["", "SELECT 1;", "SELECT ';' ; ", "\\d", "SELECT 1; -- one", "SELECT $;"] {
            assert!(is_complete(whole), "{whole}");
        }
        for open in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT", "/* ;", "SELECT \";"] {
            assert!(!is_complete(open), "{open}");
        }
    }
}

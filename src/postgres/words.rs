//! What a statement is: a question about facts, one about the catalog, or a word between a client and the door.
//!
//! The one idea: clients of Postgres say much on their own before their users say anything. What sets up a connection is agreed to
//! where it changes nothing here, and refused where it would mean something that does not happen.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CloseCursor, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Expr, Ident, ObjectName,
    Query, Set, Statement, Value, ValueWithSpan, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use pgwire::api::results::CopyTextOptions;
use pgwire::error::PgWireResult;

use super::rows::{Csv, Form};
use super::said;
use crate::desk::{Of, Question, Refusal};
use crate::query::{Catalog, POSTGRES_VERSION, Session, words};

/// What a statement wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Rows.
    Answer(Question),
    /// Rows as a file.
    Copy(Question, Form),
    /// The value of a setting.
    Show {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: &'static str,
    },
    /// Begin of a transaction.
    Begin,
    /// End of a transaction, in these words.
    End(&'static str),
    /// Back to a place within a transaction, before what failed in it.
    Back,
    /// Nothing, but within a transaction: to be agreed to in these words.
    Within(&'static str),
    /// Nothing: to be agreed to in these words.
    Agree(&'static str),
}

/// Settings that clients make for themselves, and that mean nothing where nothing is changed.
const AGREED: [&str; 17] = [
    "application_name",
    "bytea_output",
    "client_min_messages",
    "datestyle",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "intervalstyle",
    "jit",
    "lock_timeout",
    "quote_all_identifiers",
    "row_security",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "transaction_read_only",
];
/// Settings that clients ask for, and their values.
const SHOWN: [(&str, &str); 15] = [
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO, YMD"),
    ("default_transaction_read_only", "on"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "off"),
    ("max_identifier_length", "63"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", POSTGRES_VERSION),
    ("standard_conforming_strings", "on"),
    ("timezone", "UTC"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
];
/// Names of the one time zone that instants are told in.
const UTC: [&str; 6] = ["utc", "etc/utc", "z", "gmt", "0", "default"];
/// Functions without tables that are asked of the catalog; besides them all whose names begin with `pg_` or `has_`.
const OF_CATALOG: [&str; 8] = [
    "version",
    "current_database",
    "current_catalog",
    "current_schema",
    "current_schemas",
    "current_user",
    "session_user",
    "format_type",
];

/// What the statements of a text want, in their order. Wants a stack for what nests.
///
/// # Errors
/// A text that is too long; a setting that cannot be made.
pub(super) fn acts(text: &str) -> PgWireResult<Vec<Act>> {
    Session::split(text).map_err(Refusal::from)?.into_iter().map(act).collect()
}

fn act(text: String) -> PgWireResult<Act> {
    let of_facts = |text| Ok(Act::Answer(Question { text, of: Of::Facts }));
    // What Postgres would not understand may be DataFusion's; it is recorded and refused if it is nobody's.
    let Ok(statement) = Catalog::statement(&text) else { return of_facts(text) };
    Ok(match statement {
        Statement::StartTransaction { .. } => Act::Begin,
        Statement::Commit { .. } => Act::End("COMMIT"),
        Statement::Rollback { savepoint: None, .. } => Act::End("ROLLBACK"),
        Statement::Rollback { .. } => Act::Back,
        Statement::Savepoint { .. } => Act::Within("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => Act::Within("RELEASE"),
        Statement::Close { cursor: CloseCursor::All } => Act::Agree("CLOSE CURSOR ALL"),
        Statement::UNLISTEN { .. } => Act::Agree("UNLISTEN"),
        Statement::Discard { .. } => Act::Agree("DISCARD ALL"),
        Statement::Reset(_) => Act::Agree("RESET"),
        Statement::Set(set) if !is_of_facts(&set) => {
            agree(&set)?;
            Act::Agree("SET")
        }
        Statement::ShowVariable { variable } => match shown(&variable) {
            Some((name, value)) => Act::Show { name, value },
            None => return of_facts(text),
        },
        Statement::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. } => {
            let of = of(&source, &text);
            let text = match source {
                CopySource::Query(_) => between_brackets(&text)?,
                CopySource::Table { table_name, columns } => selected(&table_name, &columns),
            };
            Act::Copy(Question { text, of }, form(options, legacy_options)?)
        }
        statement => Act::Answer(Question { of: of(&statement, &text), text }),
    })
}

/// Whether a setting is one of the engine's.
fn is_of_facts(set: &Set) -> bool {
    matches!(set, Set::SingleAssignment { variable, .. } if variable.to_string().starts_with("datafusion."))
}

fn agree(set: &Set) -> PgWireResult<()> {
    let text = |value: &Expr| match value {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => text.to_lowercase(),
        other => other.to_string().to_lowercase(),
    };
    let is_utc = |value: &Expr| UTC.contains(&text(value).as_str());
    let only_if = |is: bool, why: &str| if is { Ok(()) } else { Err(said("ERROR", "22023", why)) };
    let encoding = |is_utf8| only_if(is_utf8, "texts are UTF-8 here");
    let zone = |is_utc| only_if(is_utc, "instants are told in UTC here; AT TIME ZONE tells one in another zone");
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = variable.to_string().to_lowercase();
            match name.as_str() {
                "timezone" => zone(values.iter().all(is_utc)),
                "client_encoding" | "names" => encoding(values.iter().map(text).all(|name| name.contains("utf"))),
                name if AGREED.contains(&name) => Ok(()),
                name => Err(said("ERROR", "42704", format!("{name} cannot be set here"))),
            }
        }
        Set::SetTimeZone { value, .. } => zone(is_utc(value)),
        Set::SetNames { charset_name, .. } => encoding(charset_name.value.to_lowercase().contains("utf")),
        Set::SetTransaction { .. } | Set::SetNamesDefault {} => Ok(()),
        other => Err(said("ERROR", "42704", format!("{other} cannot be set here"))),
    }
}

/// A setting that is asked for, and its value.
fn shown(variable: &[Ident]) -> Option<(&'static str, &'static str)> {
    let said = variable.iter().map(|word| word.value.to_lowercase()).collect::<Vec<_>>().join(" ");
    let name = match said.as_str() {
        "transaction isolation level" => "transaction_isolation",
        "time zone" => "timezone",
        name => name,
    };
    SHOWN.iter().find(|(known, _)| *known == name).copied()
}

/// Whether a statement asks what tables there are, or what is in them.
///
/// What some clients ask is read as something else, without a table, that can be answered: then its text still names the catalog.
fn of(statement: &impl Visit, text: &str) -> Of {
    let mut names = Names::default();
    let _ = statement.visit(&mut names);
    // What a statement names itself is no table.
    names.tables.retain(|table| !names.own.contains(table));
    let of_catalog = |name: &String| name.starts_with("pg_") || name.starts_with("information_schema.");
    let is_of_catalog = if names.tables.is_empty() {
        let of_catalog =
            |name: &String| of_catalog(name) || name.starts_with("has_") || OF_CATALOG.contains(&name.as_str());
        let names_it = |(token, _): &(Token, _)| matches!(token, Token::Word(word) if word.value == "pg_catalog");
        names.functions.iter().any(of_catalog) || words(text).is_ok_and(|words| words.iter().any(names_it))
    } else {
        names.tables.iter().any(of_catalog)
    };
    if is_of_catalog { Of::Catalog } else { Of::Facts }
}

/// What a statement names, in small letters.
#[derive(Default)]
struct Names {
    tables: Vec<String>,
    /// Tables that it makes itself.
    own: Vec<String>,
    functions: Vec<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let own = query.with.iter().flat_map(|with| &with.cte_tables);
        self.own.extend(own.map(|table| table.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, table: &ObjectName) -> ControlFlow<()> {
        self.tables.push(plain(table));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.functions.push(plain(&function.name));
        }
        ControlFlow::Continue(())
    }
}

/// A name in small letters, without quotes and without the schema that all are in.
fn plain(name: &ObjectName) -> String {
    let parts = name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase());
    let parts: Vec<String> = parts.collect();
    parts.join(".").trim_start_matches("public.").to_owned()
}

/// The question that stands between the first bracket and the one that closes it.
fn between_brackets(text: &str) -> PgWireResult<String> {
    let (mut depth, mut begin, mut end) = (0_usize, 0, text.len());
    for (token, bytes) in words(text).map_err(Refusal::from)? {
        match token {
            Token::LParen => {
                depth += 1;
                if depth == 1 {
                    begin = bytes.end;
                }
            }
            Token::RParen if depth == 1 => {
                end = bytes.start;
                break;
            }
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(text[begin..end].trim().to_owned())
}

fn selected(table: &ObjectName, columns: &[Ident]) -> String {
    let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    format!("SELECT {columns} FROM {table}")
}

/// How `COPY` is to give rows.
fn form(options: Vec<CopyOption>, legacy_options: Vec<CopyLegacyOption>) -> PgWireResult<Form> {
    let unknown = |option: String| said("ERROR", "0A000", format!("COPY TO STDOUT knows no {option}"));
    let (mut format, mut header) = ("text".to_owned(), false);
    let (mut delimiter, mut null, mut quote, mut escape) = (None, None, None, None);
    for option in options {
        match option {
            CopyOption::Format(name) => format = name.value.to_lowercase(),
            CopyOption::Delimiter(sign) => delimiter = Some(sign),
            CopyOption::Null(text) => null = Some(text),
            CopyOption::Header(is_wanted) => header = is_wanted,
            CopyOption::Quote(sign) => quote = Some(sign),
            CopyOption::Escape(sign) => escape = Some(sign),
            other => return Err(unknown(other.to_string())),
        }
    }
    // As they were written before there were options in brackets, and as psql's users still write them.
    for option in legacy_options {
        match option {
            CopyLegacyOption::Binary => "binary".clone_into(&mut format),
            CopyLegacyOption::Delimiter(sign) => delimiter = Some(sign),
            CopyLegacyOption::Null(text) => null = Some(text),
            CopyLegacyOption::Header => header = true,
            CopyLegacyOption::Csv(of_csv) => {
                "csv".clone_into(&mut format);
                for option in of_csv {
                    match option {
                        CopyLegacyCsvOption::Header => header = true,
                        CopyLegacyCsvOption::Quote(sign) => quote = Some(sign),
                        CopyLegacyCsvOption::Escape(sign) => escape = Some(sign),
                        other => return Err(unknown(other.to_string())),
                    }
                }
            }
            other => return Err(unknown(other.to_string())),
        }
    }
    let ends_a_line = |sign: &char| matches!(sign, '\n' | '\r');
    let escapes = |sign: &char| *sign == '\\';
    let line_end = [delimiter, quote, escape].into_iter().flatten().find(ends_a_line);
    if let Some(sign) = line_end.or_else(|| [delimiter, quote].into_iter().flatten().find(escapes)) {
        return Err(unknown(format!("{sign:?} between values")));
    }
    match format.as_str() {
        "binary" => Ok(Form::Binary),
        "text" if header => Err(unknown("header of lines of text; FORMAT csv has one".to_owned())),
        "text" => {
            let mut options = CopyTextOptions::default();
            if let Some(sign) = delimiter {
                if sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '.' {
                    return Err(unknown(format!("{sign:?} between values")));
                }
                options.delimiter = sign.to_string().into();
            }
            if let Some(text) = null {
                options.null_string = text.into();
            }
            Ok(Form::Text(options))
        }
        "csv" => {
            let (delimiter, quote) = (delimiter.unwrap_or(','), quote.unwrap_or('"'));
            let null = null.unwrap_or_default();
            if delimiter == quote || null.contains([delimiter, quote]) {
                return Err(unknown("sign that stands for two things".to_owned()));
            }
            // A quote is its own escape if nothing is said of it.
            Ok(Form::Csv(Csv { delimiter, quote, escape: escape.unwrap_or(quote), null, header }))
        }
        other => Err(unknown(format!("format {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Vec<Act> {
        acts(text).expect(text)
    }

    fn question(text: &str, of: Of) -> Act {
        Act::Answer(Question { text: text.to_owned(), of })
    }

    #[test]
    fn statements_stay_as_they_were_typed() {
        let text = "select  1 ;; -- one; two\n SELECT '三;''码' != $$;$$ /* ; */ ;\n\tSELECT \"a;b\"\r\nFROM x;";
        let typed = ["select  1", "SELECT '三;''码' != $$;$$", "SELECT \"a;b\"\r\nFROM x"];
        assert_eq!(Session::split(text).expect("words"), typed);
        assert_eq!(wanted(text), typed.map(|text| question(text, Of::Facts)));
        assert!(Session::split("SELECT 'open").is_err());
        assert!(wanted(" ;\n-- nothing").is_empty());
    }

    #[test]
    fn what_there_is_is_asked_of_the_catalog_and_all_else_of_facts() {
        for of_catalog in [
            "SELECT relname FROM pg_class",
            "SELECT c.relname FROM pg_catalog.pg_class AS c WHERE EXISTS (SELECT 1 FROM codes)",
            "WITH t AS (SELECT oid FROM pg_class) SELECT count(*) FROM t",
            "SELECT * FROM INFORMATION_SCHEMA.tables",
            "SELECT current_schema(), pg_backend_pid()",
            "select pg_catalog.version()",
            // Asked by `\\d`, and read as something without a table.
            "SELECT pol.polname, pol.polpermissive,\n  CASE WHEN pol.polroles = '{0}' THEN NULL ELSE \
             pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END,\n  \
             pg_catalog.pg_get_expr(pol.polqual, pol.polrelid),\n  pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid),\n  \
             CASE pol.polcmd\n    WHEN 'r' THEN 'SELECT'\n    WHEN 'a' THEN 'INSERT'\n    WHEN 'w' THEN 'UPDATE'\n    WHEN 'd' THEN 'DELETE'\n    \
             END AS cmd\nFROM pg_catalog.pg_policy pol\nWHERE pol.polrelid = '16384' ORDER BY 1",
        ] {
            assert_eq!(wanted(of_catalog), [question(of_catalog, Of::Catalog)], "{of_catalog}");
        }
        for of_facts in [
            "SELECT count(*) AS pg_class FROM codes",
            "SELECT region_name('330500') AS version",
            "WITH pg_x AS (SELECT * FROM codes) SELECT count(*) FROM pg_x",
            "SELECT * FROM codes WHERE person = 'pg_class'",
            "DELETE FROM codes",
            "SELECT person FORM codes",
            "SET datafusion.execution.time_zone = '+08:00'",
            "SHOW datafusion.execution.time_zone",
            "DECLARE c CURSOR FOR SELECT 1",
        ] {
            assert_eq!(wanted(of_facts), [question(of_facts, Of::Facts)], "{of_facts}");
        }
    }

    #[test]
    fn words_between_a_client_and_the_door_are_agreed_to_or_refused() {
        let agreed = "BEGIN; START TRANSACTION READ ONLY; SET search_path TO public; SET SESSION TIME ZONE 'utc'; SAVEPOINT a; ROLLBACK TO SAVEPOINT a; RELEASE a; \
                      COMMIT; ROLLBACK; DISCARD ALL; CLOSE ALL; UNLISTEN *; RESET ALL";
        assert_eq!(
            wanted(agreed),
            [
                Act::Begin,
                Act::Begin,
                Act::Agree("SET"),
                Act::Agree("SET"),
                Act::Within("SAVEPOINT"),
                Act::Back,
                Act::Within("RELEASE"),
                Act::End("COMMIT"),
                Act::End("ROLLBACK"),
                Act::Agree("DISCARD ALL"),
                Act::Agree("CLOSE CURSOR ALL"),
                Act::Agree("UNLISTEN"),
                Act::Agree("RESET")
            ]
        );
        let isolation = Act::Show { name: "transaction_isolation", value: "read committed" };
        assert_eq!(wanted("SHOW TRANSACTION ISOLATION LEVEL"), [isolation]);
        for refused in
            ["SET ROLE operator", "SET TimeZone TO 'Asia/Shanghai'", "SET work_mem = 1", "SET SESSION AUTHORIZATION a"]
        {
            assert!(acts(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn copy_gives_the_rows_of_a_question_in_a_form() {
        let inner = "SELECT (1), ')' FROM codes";
        let asked = || Question { text: inner.to_owned(), of: Of::Facts };
        let csv = |header| Form::Csv(Csv { delimiter: ',', quote: '"', escape: '"', null: String::new(), header });
        for (how, form) in [
            ("", Form::Text(CopyTextOptions::default())),
            ("(FORMAT binary)", Form::Binary),
            ("WITH BINARY", Form::Binary),
            ("WITH (FORMAT csv, HEADER true)", csv(true)),
            ("CSV HEADER", csv(true)),
            ("csv", csv(false)),
        ] {
            let text = format!("COPY ( {inner} ) TO STDOUT {how}");
            assert_eq!(wanted(&text), [Act::Copy(asked(), form)], "{text}");
        }
        let catalog = Question { text: "SELECT relname FROM pg_class".to_owned(), of: Of::Catalog };
        assert_eq!(wanted("COPY (SELECT relname FROM pg_class) TO STDOUT BINARY"), [Act::Copy(catalog, Form::Binary)]);
        let whole = Question { text: "SELECT person, colour FROM codes".to_owned(), of: Of::Facts };
        assert_eq!(
            wanted("COPY codes (person, colour) TO STDOUT"),
            [Act::Copy(whole, Form::Text(CopyTextOptions::default()))]
        );
        for refused in [
            "(FORMAT json)",
            "(HEADER)",
            "(DELIMITER 'n')",
            "(FORMAT csv, DELIMITER '\"')",
            "(FORMAT csv, FORCE_QUOTE (person))",
        ] {
            assert!(acts(&format!("COPY codes TO STDOUT {refused}")).is_err(), "{refused}");
        }
    }
}

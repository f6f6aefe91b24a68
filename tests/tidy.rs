//! The house rules that can be a test: who may import whom, what every file opens with, how long it may be, words that stay
//! out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and single files of `src/`, and which of the others each may name. `lib.rs` draws the same picture.
const MAY_USE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("model", &["limits"]),
    ("intern", &["limits", "model"]),
    ("journal", &["limits"]),
    ("gazetteer", &["model"]),
    ("rules", &["limits", "model"]),
    ("ingest", &["intern", "limits", "model"]),
    ("facts", &["intern", "model"]),
    ("columns", &["facts", "model"]),
    ("cache", &["columns", "facts", "ingest", "model"]),
    ("evaluate", &["facts", "limits", "model", "rules"]),
    ("diff", &["evaluate", "facts", "limits", "model", "rules"]),
    ("engine", &["diff", "evaluate", "facts", "ingest", "journal", "limits", "model", "rules"]),
    ("checkpoint", &["columns", "engine", "facts", "ingest", "journal", "limits", "model", "priority", "sinks"]),
    ("sinks", &["diff", "evaluate", "facts", "intern", "limits", "model", "rules"]),
    ("explain", &["limits", "model", "rules"]),
    ("generate", &["limits", "model", "sinks"]),
    ("compare", &["diff", "ingest", "model", "sinks"]),
    ("whatif", &["diff", "evaluate", "facts", "gazetteer", "limits", "model", "rules"]),
    (
        "run",
        &[
            "checkpoint",
            "columns",
            "engine",
            "evaluate",
            "facts",
            "ingest",
            "journal",
            "limits",
            "model",
            "rules",
            "sinks",
            "sources",
        ],
    ),
    ("sources", &["engine", "ingest", "limits", "model"]),
    (
        "server",
        &[
            "access", "engine", "evaluate", "explain", "ingest", "journal", "limits", "link", "model", "rules", "run",
            "sinks", "spelt", "whatif",
        ],
    ),
    ("access", &[]),
    ("priority", &[]),
    ("link", &["limits", "run"]),
    ("desk", &["access", "link", "model", "query", "rules", "run"]),
    ("flight", &["access", "desk", "limits", "query"]),
    ("postgres", &["access", "desk", "limits", "query"]),
    ("spelt", &["explain", "facts", "gazetteer", "model"]),
    ("workdays", &["model"]),
    (
        "query",
        &[
            "diff",
            "evaluate",
            "explain",
            "facts",
            "gazetteer",
            "intern",
            "limits",
            "model",
            "priority",
            "rules",
            "sinks",
            "spelt",
            "whatif",
            "workdays",
        ],
    ),
    ("nightly", &["cache", "diff", "evaluate", "facts", "ingest", "model", "rules", "sinks"]),
];

/// Longest file before its tests.
const LINES_MAX: usize = 600;
/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 140;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder or file of `src/` that a path is in, and its text before its tests.
fn house() -> Vec<(String, PathBuf, String)> {
    let src = top().join("src");
    let inside = |path: &Path| {
        let relative = path.strip_prefix(&src).expect("inside src");
        let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    let before_tests = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    sources(&src)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            (inside(&path), path, before_tests(text))
        })
        .collect()
}

/// The folders that a text names as `crate::folder`, also in grouped imports.
fn named(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(|&letter| letter.is_alphanumeric() || letter == '_').collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        // The items of the group itself, not those of groups inside it.
        let (mut depth, mut begins_item) = (1, true);
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins_item = true,
                letter if begins_item && depth == 1 && !letter.is_whitespace() => {
                    found.insert(word(&group[at..]));
                    begins_item = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn folders_use_only_those_that_the_table_allows() {
    let mut wrong = Vec::new();
    for (folder, path, text) in house() {
        let is_test = path.ends_with("tests.rs");
        if is_test || ["cli", "lib", "main"].contains(&folder.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == folder) else {
            wrong.push(format!("{}: `{folder}` is not in the table", path.display()));
            continue;
        };
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for other in named(&code) {
            if other != folder && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}: `{folder}` may not use `{other}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn explain_and_evaluate_share_nothing() {
    let uses = |folder: &str| MAY_USE.iter().find(|(name, _)| *name == folder).expect("in the table").1;
    assert!(!uses("explain").contains(&"evaluate") && !uses("explain").contains(&"facts"));
    assert!(!uses("evaluate").contains(&"explain"));
}

#[test]
fn files_open_with_what_they_hold_and_end_in_time() {
    let mut wrong = Vec::new();
    let tests = sources(&top().join("tests")).into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("readable");
        (path, text)
    });
    for (path, text) in house().into_iter().map(|(_, path, text)| (path, text)).chain(tests) {
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not open with `//!`", path.display()));
        }
        if text.lines().count() > LINES_MAX {
            wrong.push(format!("{}: {} lines, at most {LINES_MAX}", path.display(), text.lines().count()));
        }
        // Rows of a table in a page and texts of an error cannot be broken.
        let broken = |line: &str| !line.starts_with("//! |") && !line.trim_start().starts_with("#[error(");
        let lines = text.lines().enumerate().filter(|(_, line)| broken(line));
        let long = lines.filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX);
        wrong.extend(long.map(|(line, _)| format!("{}:{}: too long", path.display(), line + 1)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_that_promise_nothing_stay_out() {
    // Split, so that this list does not find itself.
    let banned =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["Man", "ager"], ["Hel", "per"], ["todo", "!("], ["ut", "ils"]]
            .map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for path in sources(&top().join("src")) {
        let text = fs::read_to_string(&path).expect("readable");
        // What another crate calls its own is not ours to name.
        let ours = text.lines().enumerate().filter(|(_, line)| !line.starts_with("use rustyline::"));
        for (number, line) in ours {
            for word in banned.iter().filter(|&word| line.contains(word.as_str())) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_on_data_names_every_column_and_reason() {
    use sanma::model::{ClosedEnum as _, Reason, Table};
    let page = fs::read_to_string(top().join("docs/data.md")).expect("readable");
    let named = |word: &str| page.contains(&format!("`{word}`"));
    for table in Table::ALL {
        let columns = table.columns().iter().map(|column| column.name);
        let missing: Vec<&str> = columns.chain([table.name()]).filter(|word| !named(word)).collect();
        assert!(missing.is_empty(), "docs/data.md does not name {missing:?} of {}", table.name());
    }
    let missing: Vec<&&str> = Reason::NAMES.iter().filter(|reason| !named(reason)).collect();
    assert!(missing.is_empty(), "docs/data.md does not name {missing:?}");
}

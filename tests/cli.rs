//! The `sanma` command as people and scripts meet it: real data, exit codes, files whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sanma::explain;
use sanma::ingest::{self, Unobserved};
use sanma::model::{ClosedEnum as _, PersonId, Reason, Timestamp};
use sanma::rules::Catalog;
use sanma::sinks::OutputFormat;
use serde_json::Value;

use crate::loading::empty_dir;
use crate::outputs::{self, FORMATS};
use crate::worlds::World;
use crate::worlds::dirt::dirt;
use crate::worlds::files::{Format, Packing, Shape, write_with_dirt};

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");
/// When the shipped epidemic has every colour in both cities.
const EPIDEMIC_AT: &str = "2020-02-18T00:00+08:00";
const SCHOOL_AT: &str = "2020-02-15T00:00+08:00";

fn epidemic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou")
}

/// The measured contacts of a school, which are not shipped.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn school() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/primaryschool");
    if !path.is_dir() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn recompute(data: &Path, rules: &str, at: &str, out: &Path) -> Command {
    let mut command = Command::new(SANMA);
    command.args(["recompute", "--rules", rules, "--as-of", at, "--data"]).arg(data).arg("--out").arg(out);
    command
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).expect("UTF-8")
}

/// Runs a command and demands an exit code; what is not expected is printed.
#[track_caller]
fn exits(command: &mut Command, code: i32) -> Output {
    let output = command.output().expect("the command runs");
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}{}", stdout(&output), stderr(&output));
    output
}

#[track_caller]
fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Every file of a directory with its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (entry.file_name().into_string().expect("UTF-8"), fs::read(entry.path()).expect("readable"))
    };
    fs::read_dir(dir).expect("a directory").map(entry).collect()
}

fn json(command: &mut Command) -> Value {
    let output = exits(command.arg("--json"), 0);
    assert_eq!(stdout(&output).lines().count(), 1, "one object on one line");
    serde_json::from_str(stdout(&output)).expect("JSON")
}

/// Codes by colour, as the JSON summary has them.
fn colours(summary: &Value) -> [u64; 3] {
    ["green", "yellow", "red"].map(|colour| summary["codes"][colour].as_u64().expect("a count"))
}

#[test]
fn the_shipped_epidemic_has_every_colour_in_both_cities() {
    for rules in ["huzhou", "hangzhou"] {
        let out = empty_dir();
        let summary = json(&mut recompute(&epidemic(), rules, EPIDEMIC_AT, out.path()));
        let colours = colours(&summary);
        assert!(colours.iter().all(|&count| count > 0), "{rules}: {colours:?}");
        assert_eq!(summary["people"].as_u64(), Some(colours.iter().sum()));
        let codes = outputs::read(out.path(), "codes", OutputFormat::Parquet);
        assert_eq!(codes.len() as u64, colours.iter().sum::<u64>());
        assert_eq!((summary["changes"].as_u64(), summary["facts"].as_u64() > Some(100_000)), (Some(0), true));
        let rejections = outputs::read(out.path(), "rejections", OutputFormat::Parquet);
        assert_eq!(summary["rejections"].as_u64(), Some(rejections.len() as u64));
        for phase in ["load", "recompute", "summary", "write"] {
            assert!(summary["phases_s"][phase].as_f64().is_some_and(|seconds| seconds > 0.0), "{summary}");
        }
        assert!(summary["threads"].as_u64() > Some(0) && summary["peak_rss_bytes"].as_u64() > Some(1 << 20));
        assert_eq!(summary["as_of"], "2020-02-17T16:00:00Z");
        assert_explained(&epidemic(), rules, EPIDEMIC_AT, &codes, 6);
    }
}

/// The shipped sets count a contact of any length, and nearly everybody with a fever has met a case for the 20 seconds of one
/// sighting: nobody is left to be yellow. Where a contact has to last a minute, the school has every colour.
#[test]
fn the_school_is_coloured_by_measured_contacts() {
    let Some(school) = school() else { return };
    let shown = |rules: &str| {
        let out = empty_dir();
        let summary = json(&mut recompute(&school, rules, SCHOOL_AT, out.path()));
        println!("{rules}: green, yellow, red {:?}", colours(&summary));
        let codes = outputs::read(out.path(), "codes", OutputFormat::Parquet);
        assert_explained(&school, rules, SCHOOL_AT, &codes, 12);
        colours(&summary)
    };
    for set in Catalog::shipped().expect("good sets").sets() {
        let [green, _, red] = shown(&set.program.name);
        assert!(green > 30 && red > 100, "{}", set.program.name);
        let dir = empty_dir();
        let path = dir.path().join("rules.toml");
        fs::write(&path, set.text.replace("min_minutes = 0", "min_minutes = 1")).expect("written");
        assert!(shown(&path.display().to_string()).iter().all(|&count| count > 0), "{}", set.program.name);
    }
}

/// A sample of the published codes is what the slow evaluator says, some of each colour.
fn assert_explained(data: &Path, rules: &str, at: &str, codes: &[outputs::Record], of_each: usize) {
    let at = Timestamp::parse_typed(at, sanma::model::UtcOffset::UTC).expect("an instant");
    let program = Catalog::shipped().expect("good sets").resolve(rules, at).expect("a shipped set");
    let loaded = ingest::load(data, &Unobserved).expect("good data");
    for colour in ["green", "yellow", "red"] {
        let of_colour: Vec<_> = codes.iter().filter(|row| row["colour"] == colour).collect();
        for row in of_colour.iter().step_by((of_colour.len() / of_each).max(1)).take(of_each) {
            let person = loaded.persons.find(outputs::text(row, "person")).map(PersonId).expect("a known person");
            let slow = explain::code_at(&loaded.tables, &program, person, at).expect("a code");
            let names = |mask| program.names(mask).map(str::to_owned).collect::<BTreeSet<_>>();
            let until = slow.valid_until.finite().map(Timestamp::to_rfc3339);
            assert_eq!(row["colour"], slow.colour.name(), "{row:?}");
            assert_eq!(outputs::set(row, "reasons"), names(slow.reasons), "{row:?}");
            assert_eq!(outputs::set(row, "excused"), names(slow.excused), "{row:?}");
            assert_eq!(row["valid_until"].as_str(), until.as_deref(), "{row:?}");
        }
    }
}

#[test]
fn the_summary_says_what_was_done() {
    let out = empty_dir();
    let output = exits(recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path()).args(["--threads", "2"]), 0);
    let said = stdout(&output);
    assert_parts(said, &[" at 2020-02-18T00:00:00+08:00 (rules huzhou-2020-02-16 ", "people with a code", " green"]);
    assert_parts(said, &["by rule", "by district", "wrote ", "codes.parquet", "rejections.parquet"]);
    assert_parts(said, &["load ", "recompute ", "write ", "facts/s; 2 threads; peak memory "]);
    assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), ["loading", "recomputing", "counting", "writing"]);
    assert!(!said.contains("\nchanges\n"), "{said}");
    let output = exits(recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path()).arg("--quiet"), 0);
    assert_eq!((stdout(&output), stderr(&output)), ("", ""));
}

#[test]
fn formats_and_threads_say_the_same() {
    let [mut codes, mut rejections] = [const { Vec::new() }; 2];
    for format in FORMATS {
        let [one, two] = [(); 2].map(|()| empty_dir());
        for (out, threads) in [(&one, "1"), (&two, "2")] {
            let mut command = recompute(&epidemic(), "hangzhou", EPIDEMIC_AT, out.path());
            exits(command.args(["--quiet", "--threads", threads, "--format", format.extension()]), 0);
        }
        assert!(contents(one.path()) == contents(two.path()), "{format:?}: one thread and two");
        codes.push(outputs::read(one.path(), "codes", format));
        rejections.push(outputs::read(one.path(), "rejections", format));
    }
    assert!(codes[0].len() > 1000 && codes.iter().all(|rows| *rows == codes[0]));
    assert!(rejections.iter().all(|rows| *rows == rejections[0]));
}

#[test]
fn the_changes_since_last_night_lead_to_tonight() {
    let nights = ["2020-02-16", "2020-02-18", "2020-02-22"];
    let outs = nights.map(|_| empty_dir());
    let mut formats = FORMATS.into_iter().cycle();
    let mut previous: Option<(PathBuf, outputs::State)> = None;
    for (night, out) in nights.into_iter().zip(&outs) {
        let format = formats.next().expect("endless");
        let mut command = recompute(&epidemic(), "huzhou", night, out.path());
        command.args(["--format", format.extension()]);
        if let Some((path, _)) = &previous {
            command.arg("--previous").arg(path).arg("--reasons");
        }
        let summary = json(&mut command);
        let after = outputs::state(&outputs::read(out.path(), "codes", format));
        if let Some((_, mut state)) = previous {
            let changes = outputs::read(out.path(), "changes", format);
            assert!(!changes.is_empty(), "{night}: nothing has changed");
            assert_eq!(summary["changes"].as_u64(), Some(changes.len() as u64));
            let transitions = summary["transitions"].as_object().expect("an object").values();
            assert_eq!(transitions.map(|count| count.as_u64().expect("a count")).sum::<u64>(), changes.len() as u64);
            outputs::apply(&mut state, &changes);
            assert!(state == after, "{night}: the changes lead elsewhere");
        }
        previous = Some((out.path().to_owned(), after));
    }
}

fn dirty_data() -> tempfile::TempDir {
    let data = empty_dir();
    let written =
        write_with_dirt(&World::random(5), &dirt(5), data.path(), &Shape::plain(Format::Ndjson(Packing::Plain)));
    assert!(written.len() > 100);
    data
}

#[test]
fn strict_refuses_and_says_where_the_rows_are() {
    let (data, out) = (dirty_data(), empty_dir());
    let at = "2020-03-01";
    exits(recompute(data.path(), "huzhou", at, out.path()).args(["--format", "csv"]), 0);
    let lenient = contents(out.path());
    let mut command = recompute(data.path(), "huzhou", "2020-03-05", out.path());
    let output = exits(command.args(["--format", "csv", "--strict"]), 3);
    assert_parts(stderr(&output), &["invalid rows", "--strict", "rejections.csv"]);
    let strict = contents(out.path());
    assert_eq!(strict.keys().collect::<Vec<_>>(), ["codes.csv", "rejections.csv"]);
    assert!(strict["codes.csv"] == lenient["codes.csv"], "codes are touched");
    let rejections = outputs::read(out.path(), "rejections", OutputFormat::Csv);
    assert!(rejections.len() > 100 && rejections.iter().all(|row| row["reason"] != Reason::ModificationLimit.name()));
    // A clean night is none the worse for being strict.
    exits(recompute(&epidemic(), "huzhou", EPIDEMIC_AT, empty_dir().path()).arg("--strict"), 0);
}

#[test]
fn what_is_typed_wrong_is_told_with_exit_code_2() {
    let out = empty_dir();
    for wrong in [
        vec!["--threads", "0"],
        vec!["--threads", "many"],
        vec!["--format", "xlsx"],
        vec!["--as-off", "2020-02-18"],
        vec!["--reasons"],
        vec!["extra"],
    ] {
        let output = exits(recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path()).args(&wrong), 2);
        assert_parts(stderr(&output), &["error: ", wrong[0]]);
    }
    for wrong in [&["recompute"][..], &["recmpute"], &[], &["rules", "shw"], &["completions", "cmd"]] {
        exits(Command::new(SANMA).args(wrong), 2);
    }
    let output = exits(&mut recompute(&epidemic(), "huzhou", "yesterday", out.path()), 2);
    assert_parts(stderr(&output), &["yesterday", "2020-02-18T00:00:00+08:00"]);
    let output = exits(&mut recompute(&epidemic(), "huzhuo", EPIDEMIC_AT, out.path()), 2);
    assert_parts(stderr(&output), &["huzhuo", "did you mean `huzhou`"]);
    let output = exits(&mut recompute(&epidemic(), "huzhou", "2019-01-01", out.path()), 2);
    assert_parts(stderr(&output), &["huzhou"]);
    assert!(contents(out.path()).is_empty(), "nothing is written");
    let output = exits(&mut recompute(&out.path().join("none"), "huzhou", EPIDEMIC_AT, out.path()), 1);
    assert_parts(stderr(&output), &["sanma: ", "none"]);
    for right in ["--help", "--version"] {
        exits(Command::new(SANMA).arg(right), 0);
    }
}

#[test]
fn a_wrong_rule_file_is_told_with_all_its_errors_and_carets() {
    let (dir, out) = (empty_dir(), empty_dir());
    let good = include_str!("../datasets/rules/hangzhou-2020-02-11.toml");
    let path = dir.path().join("rules.toml");
    let wrong = good.replace("days = 7", "days = 31").replace("clean_days = 3 ", "cleandays = 3 ");
    assert_ne!(wrong, good);
    fs::write(&path, wrong).expect("written");
    let path = path.display().to_string();
    for output in [
        exits(&mut recompute(&epidemic(), &path, EPIDEMIC_AT, out.path()), 2),
        exits(Command::new(SANMA).args(["rules", "check", &path]), 2),
    ] {
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_parts(&said, &["`days` is 31", "did you mean `clean_days`?", "^", "rules.toml:"]);
    }
    assert!(contents(out.path()).is_empty(), "nothing is written");
    fs::write(&path, good).expect("written");
    assert_parts(stdout(&exits(Command::new(SANMA).args(["rules", "check", &path]), 0)), &["good"]);
    exits(&mut recompute(&epidemic(), &path, EPIDEMIC_AT, out.path()), 0);
    exits(Command::new(SANMA).args(["rules", "check", "nowhere.toml"]), 2);
}

#[test]
fn rule_sets_are_listed_shown_and_compared() {
    let said = |args: &[&str]| stdout(&exits(Command::new(SANMA).arg("rules").args(args), 0)).to_owned();
    assert_parts(&said(&["list"]), &["hangzhou-2020-02-11", "huzhou-2020-02-21"]);
    assert_eq!(
        serde_json::from_str::<Value>(&said(&["list", "--json"])).expect("JSON").as_array().map(Vec::len),
        Some(4)
    );
    assert_parts(&said(&["show", "huzhou-2020-02-16"]), &["Z-R2", "until"]);
    assert_parts(&said(&["show", "huzhou", "--as-of", "2020-02-20", "--markdown"]), &["# Huzhou health code"]);
    assert_parts(&said(&["diff", "huzhou-2020-02-16", "huzhou-2020-02-21"]), &["infectious_days_before_onset: 0 -> 2"]);
    exits(Command::new(SANMA).args(["rules", "show", "suzhou"]), 2);
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let output = exits(Command::new(SANMA).args(["completions", shell]), 0);
        assert_parts(stdout(&output), &["recompute", "as-of"]);
        let script = empty_dir();
        let path = script.path().join("sanma");
        fs::write(&path, &output.stdout).expect("written");
        match Command::new(shell).arg("-n").arg(&path).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {}", stderr(&checked)),
            Err(_) => println!("skipped: no {shell} to check its completions"),
        }
    }
}

#[test]
fn nobody_reading_is_no_error() {
    let out = empty_dir();
    let mut commands = vec![recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path())];
    for args in [&["rules", "list"][..], &["rules", "show", "huzhou"], &["completions", "bash"], &["--help"]] {
        let mut command = Command::new(SANMA);
        command.args(args);
        commands.push(command);
    }
    for mut command in commands {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("the command runs");
        assert!(output.status.success(), "{command:?}: {:?} {}", output.status, stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{command:?}: {}", stderr(&output));
    }
    assert_eq!(contents(out.path()).len(), 2, "the outputs are there all the same");
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_printed_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is full");
    let output = exits(Command::new(SANMA).args(["rules", "list"]).stdout(full), 1);
    assert_parts(stderr(&output), &["sanma: ", "No space left"]);
}

/// Every output of a night, in one directory.
fn night(out: &Path, night: &str) -> BTreeMap<String, Vec<u8>> {
    exits(recompute(&epidemic(), "huzhou", night, out).args(["--quiet", "--previous"]).arg(out), 0);
    contents(out)
}

fn first_nights(out: &Path) -> BTreeMap<String, Vec<u8>> {
    exits(recompute(&epidemic(), "huzhou", "2020-02-16", out).arg("--quiet"), 0);
    let before = night(out, "2020-02-17");
    assert_eq!(before.keys().collect::<Vec<_>>(), ["changes.parquet", "codes.parquet", "rejections.parquet"]);
    before
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_outputs_and_nothing_else() {
    let out = empty_dir();
    let before = first_nights(out.path());
    for format in FORMATS {
        for blocks in ["0", "1", "8"] {
            let mut command = recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path());
            command.args(["--quiet", "--format", format.extension()]);
            let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
            let mut limited = Command::new("sh");
            limited.args(["-c", &script, SANMA]).args(command.get_args());
            let output = exits(&mut limited, 1);
            assert_parts(stderr(&output), &["sanma: cannot ", &format!(".{}: ", format.extension())]);
            assert_parts(stderr(&output), &["File too large"]);
            assert!(contents(out.path()) == before, "{format:?} {blocks}: {:?}", contents(out.path()).keys());
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_file_system_leaves_the_old_outputs_and_nothing_else() {
    let out = empty_dir();
    // The file system is mounted in a name space of the shell's own and goes with it.
    let script = "mount -t tmpfs -o size=$1 tmpfs \"$2\" || exit 77; cd \"$2\"; shift 2; echo old > codes.ndjson
        \"$@\"; echo \"exit $?\"; ls -A; cat codes.ndjson";
    for size in ["8k", "64k"] {
        let mut command = recompute(&epidemic(), "huzhou", EPIDEMIC_AT, out.path());
        command.args(["--quiet", "--format", "ndjson"]);
        let mut mounted = Command::new("unshare");
        mounted.args(["-m", "sh", "-c", script, "sh", size]).arg(out.path()).arg(SANMA).args(command.get_args());
        let Ok(output) = mounted.output() else { return println!("skipped: no unshare") };
        if output.status.code() == Some(77) || !stdout(&output).contains("exit ") {
            return println!("skipped: no file system can be mounted here: {}", stderr(&output));
        }
        assert_eq!(stdout(&output), "exit 1\ncodes.ndjson\nold\n", "{size}: {}", stderr(&output));
        assert_parts(stderr(&output), &["sanma: cannot write ", "codes.ndjson: ", "No space left"]);
    }
}

/// The epidemic with its contacts many times over, so that a run takes a while.
fn long_epidemic(copies: usize) -> tempfile::TempDir {
    let data = empty_dir();
    for entry in fs::read_dir(epidemic()).expect("the epidemic") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        if name == "contacts.parquet" {
            fs::create_dir(data.path().join("contacts")).expect("a folder");
            for copy in 0..copies {
                fs::copy(&path, data.path().join(format!("contacts/{copy}.parquet"))).expect("copied");
            }
        } else {
            fs::copy(&path, data.path().join(name)).expect("copied");
        }
    }
    data
}

#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "signals are sent at fractions of the time that a run takes")]
#[test]
fn an_interrupted_run_leaves_nothing_half_written() {
    use std::os::unix::process::ExitStatusExt as _;
    let (data, out) = (long_epidemic(4), empty_dir());
    let before = first_nights(out.path());
    let (mut interrupted, mut began) = (0, std::time::Instant::now());
    let mut command = recompute(data.path(), "huzhou", EPIDEMIC_AT, out.path());
    command.arg("--quiet");
    exits(&mut command, 0);
    let took = began.elapsed();
    let after = contents(out.path());
    for step in 0..70 {
        // On a busy machine runs differ in length, and all signals of a round may come too early or too late.
        if step >= 14 && interrupted > 0 {
            break;
        }
        for (name, bytes) in &before {
            fs::write(out.path().join(name), bytes).expect("written");
        }
        began = std::time::Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
        std::thread::sleep(took * (step % 14) / 12);
        let signal = if step % 2 == 0 { "-INT" } else { "-TERM" };
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).output().expect("kill");
        let output = child.wait_with_output().expect("the command ends");
        assert!(began.elapsed() < took * 4 + Duration::from_secs(10), "it ends soon");
        let found = contents(out.path());
        if output.status.success() {
            assert!(found == after, "{step}: {killed:?} {:?}", found.keys());
        } else {
            // Before the handler is there, the signal itself ends the process.
            assert!(output.status.code() == Some(130) || output.status.signal().is_some(), "{:?}", output.status);
            assert!(found == before, "{step}: {:?}", found.keys());
            interrupted += u32::from(output.status.code() == Some(130));
            assert!(output.status.code().is_none() || stderr(&output).contains("interrupted"), "{}", stderr(&output));
        }
    }
    println!("{interrupted} runs were interrupted in the middle");
    assert!(interrupted > 0, "no run was interrupted in the middle");
}

//! Facts kept from run to run: whatever happened to the data or to the cache in between, a run with a cache says and writes
//! what a run without one does; and a cache is used when it can be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use sanma::cache::Served;
use sanma::ingest::Observer;
use sanma::model::Timestamp;
use sanma::nightly::{self, Job, Phase, Report, Watcher};
use sanma::rules::Program;
use sanma::sinks::OutputFormat;
use serde_json::{Value, json};
use tempfile::TempDir;
use twox_hash::XxHash3_64;

use crate::loading::{empty_dir, job, run};
use crate::outputs;
use crate::worlds::dirt::dirt;
use crate::worlds::draw::Draw;
use crate::worlds::files::{Shape, write_with_dirt};
use crate::worlds::{World, rules};

/// Data, rules and an instant, and a cache beside them.
struct Scene {
    data: TempDir,
    cache: TempDir,
    program: Program,
    as_of: Timestamp,
}

/// What a run says, but for the cache, and the bytes it writes.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    report: String,
    outputs: BTreeMap<String, Vec<u8>>,
}

fn fill(dir: &Path, seed: u64, shape: u64) {
    write_with_dirt(&World::random(seed), &dirt(seed), dir, &Shape::random(shape));
}

impl Scene {
    fn new(seed: u64) -> Option<Self> {
        let (data, world) = (empty_dir(), World::random(seed));
        fill(data.path(), seed, seed);
        let as_of = *world.sample_instants(seed, 1).first()?;
        Some(Self { data, cache: empty_dir(), program: rules::random(seed), as_of })
    }

    fn job<'a>(&'a self, out: &'a TempDir, cached: bool) -> Job<'a> {
        let cache = cached.then(|| self.cache.path());
        Job { cache, ..job(self.data.path(), &self.program, self.as_of, out.path()) }
    }

    /// What a run without a cache says.
    fn plain(&self) -> Told {
        let out = empty_dir();
        told(&mut run(&self.job(&out, false)).expect("a run"), &out).0
    }

    /// What a run with the cache says, what it says of the cache, and its warnings about it.
    fn cached(&self) -> (Told, Served, Vec<String>) {
        let out = empty_dir();
        let (told, served, warnings) = told(&mut run(&self.job(&out, true)).expect("a run"), &out);
        (told, served.expect("there is a cache"), warnings)
    }

    /// The cache is used, and what it gives is right.
    fn assert_warm(&self, what: &str) {
        let (told, served, warnings) = self.cached();
        assert_eq!((served.files_read, served.rebuilt, warnings), (0, None, vec![]), "{what}");
        assert_eq!(told, self.plain(), "{what}");
    }
}

fn told(report: &mut Report, out: &TempDir) -> (Told, Option<Served>, Vec<String>) {
    let served = report.cache.take();
    report.outputs.clear();
    let of_cache = |warning: &String| warning.contains("the cache ");
    let (warnings, rest) = std::mem::take(&mut report.warnings).into_iter().partition(of_cache);
    report.warnings = rest;
    let outputs = files_of(out.path()).into_iter().map(|path| {
        let bytes = fs::read(&path).expect("readable");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), bytes)
    });
    (Told { outputs: outputs.collect(), report: format!("{report:?}") }, served, warnings)
}

/// Every file of a directory and of those in it, in order.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files_of(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Does something to the data; says whether that was anything.
fn edit(data: &Path, seed: u64, draw: &mut Draw) -> bool {
    let files = files_of(data);
    let file = &files[draw.below(files.len())];
    let other = empty_dir();
    // The same layout, so the same names, and other rows.
    fill(other.path(), seed + 500, seed);
    let others = files_of(other.path());
    match draw.below(6) {
        0 => return false,
        1 => {
            let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(draw.next() >> 2);
            fs::File::options().append(true).open(file).and_then(|file| file.set_modified(modified)).expect("touched");
        }
        2 => fs::remove_file(file).expect("removed"),
        3 => {
            let from = &others[draw.below(others.len())];
            let to = data.join(from.strip_prefix(other.path()).expect("inside"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(from, to).expect("copied");
        }
        4 => {
            // A file more in a folder, whose ids are those of other files' rows.
            let inside = |path: &&PathBuf| path.parent() != Some(data);
            let Some(file) = files.iter().find(inside) else { return false };
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            fs::copy(file, file.with_file_name(format!("z{}{name}", draw.below(1000)))).expect("copied");
        }
        _ => {
            let alike = |other: &&PathBuf| {
                let ending = |path: &Path| path.to_string_lossy().split_once('.').map(|(_, ending)| ending.to_owned());
                *other != file && other.parent() == file.parent() && ending(other) == ending(file)
            };
            let in_folder = file.parent() != Some(data);
            let Some(second) = files.iter().find(alike).filter(|_| in_folder) else { return false };
            let aside = data.join(".aside");
            fs::rename(file, &aside).expect("moved");
            fs::rename(second, file).expect("moved");
            fs::rename(&aside, second).expect("moved");
        }
    }
    true
}

#[test]
fn a_run_with_a_cache_is_a_run_without_whatever_happened_to_the_data() {
    let (mut warm, mut changed) = (0, 0);
    for seed in 0..24 {
        let Some(scene) = Scene::new(seed) else { continue };
        let draw = &mut Draw::new(seed, 91);
        let (told, served, warnings) = scene.cached();
        let files = files_of(scene.data.path()).len();
        assert_eq!(told, scene.plain(), "seed {seed}");
        let none = Served { files_reused: 0, files_read: files, rebuilt: Some("there was none".to_owned()) };
        assert_eq!((served, warnings), (none, vec![]), "seed {seed}");
        scene.assert_warm(&format!("seed {seed}"));
        for step in 0..5 {
            if files_of(scene.data.path()).is_empty() {
                break;
            }
            let is_other = edit(scene.data.path(), seed, draw);
            let (what, plain, (told, served, warnings)) =
                (format!("seed {seed} {step}"), scene.plain(), scene.cached());
            assert_eq!(told, plain, "{what}");
            assert_eq!((served.rebuilt.is_some(), warnings), (is_other, vec![]), "{what}");
            assert_eq!(served.files_reused + served.files_read, files_of(scene.data.path()).len(), "{what}");
            if is_other { changed += 1 } else { warm += 1 }
        }
    }
    assert!(warm > 10 && changed > 40, "{warm} nights without a change, {changed} with one");
}

/// Does damage to a file of a cache.
fn damage(file: &Path, draw: &mut Draw) -> String {
    let mut bytes = fs::read(file).expect("readable");
    let kind = draw.below(if bytes.is_empty() { 1 } else { 5 });
    match kind {
        0 => {
            fs::remove_file(file).expect("removed");
            return format!("{} is missing", file.display());
        }
        1 => bytes.truncate(draw.below(bytes.len())),
        2 => {
            let at = draw.below(bytes.len());
            bytes[at] ^= 1 << draw.below(8);
        }
        3 => bytes.push(0),
        _ => bytes.fill(0xA5),
    }
    fs::write(file, &bytes).expect("written");
    format!("{}: damage {kind}", file.display())
}

fn is_lock(path: &Path) -> bool {
    path.ends_with("_sanma.lock")
}

#[test]
fn a_damaged_cache_is_noticed_and_repaired() {
    for seed in [3, 8] {
        let scene = Scene::new(seed).expect("a world with an instant");
        let (expected, draw) = (scene.plain(), &mut Draw::new(seed, 92));
        scene.cached();
        let files: Vec<PathBuf> = files_of(scene.cache.path()).into_iter().filter(|path| !is_lock(path)).collect();
        assert!(files.len() > 50, "{} files", files.len());
        let manifest = scene.cache.path().join("_sanma.json");
        // A run writes its outputs through to the disk, which costs more than all else here: not every file is tried.
        let tried: Vec<&PathBuf> = files.iter().filter(|_| draw.chance(15)).chain([&manifest; 6]).collect();
        for file in tried {
            let what = damage(file, draw);
            let (told, served, warnings) = scene.cached();
            assert_eq!(told, expected, "{what}");
            let told_of = warnings.len() == 1 && warnings[0].contains("is not used") && served.files_reused == 0;
            assert!(told_of && served.rebuilt.is_some_and(|why| why.contains("is damaged")), "{what}: {warnings:?}");
            // Temporary and outdated files are gone.
            assert_eq!(files_of(scene.cache.path()).len(), files.len() + 1, "{what}");
            let (told, served, warnings) = scene.cached();
            assert_eq!((told, served.rebuilt, warnings), (expected.clone(), None, vec![]), "{what}");
        }
    }
}

/// Something done to a manifest.
type Change = fn(&mut Value);

#[test]
fn a_cache_of_another_version_or_of_odd_columns_is_not_used() {
    let scene = Scene::new(5).expect("a world with an instant");
    let expected = scene.plain();
    let manifest = scene.cache.path().join("_sanma.json");
    let changes: [(Change, &str); 5] = [
        (|value| value["version"] = 1_000_000.into(), "another version"),
        (|value| value["engine"] = "0.0.0".into(), "another version"),
        (|value| value["columns"]["stays.person"] = value["columns"]["tests.person"].clone(), "damaged"),
        (|value| value["columns"]["stays.person"]["value_bytes"] = 8.into(), "damaged"),
        (|value| value["columns"] = json!({}), "damaged"),
    ];
    for (change, why) in changes {
        scene.cached();
        scene.assert_warm(why);
        let text = fs::read_to_string(&manifest).expect("a manifest");
        let mut value: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        change(&mut value);
        let line = value.to_string();
        let sum = XxHash3_64::oneshot(line.as_bytes());
        fs::write(&manifest, format!("{line}\n{sum:016x}\n")).expect("written");
        let (told, served, warnings) = scene.cached();
        assert_eq!(told, expected, "{why}");
        assert!(warnings.len() == 1 && served.rebuilt.is_some_and(|told| told.contains(why)), "{why}: {warnings:?}");
        scene.assert_warm(why);
    }
}

#[test]
fn runs_at_once_do_not_break_each_other() {
    let scenes: Vec<Scene> = [1, 2].into_iter().filter_map(Scene::new).collect();
    let expected: Vec<Told> = scenes.iter().map(Scene::plain).collect();
    // Data of two kinds that want one directory: each run finds the other's cache, or one half replaced.
    let shared = empty_dir();
    std::thread::scope(|scope| {
        for (number, (scene, expected)) in scenes.iter().zip(&expected).cycle().take(4).enumerate() {
            let shared = shared.path();
            scope.spawn(move || {
                for round in 0..12 {
                    let out = empty_dir();
                    let job = Job { cache: Some(shared), ..scene.job(&out, false) };
                    let (told, _, _) = told(&mut run(&job).expect("a run"), &out);
                    assert_eq!(told, *expected, "run {number}, round {round}");
                }
            });
        }
    });
    let temporary = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "tmp");
    assert!(!files_of(shared.path()).iter().any(temporary));
}

/// Does something when a phase begins; says that it wants to stop from then on, if so.
struct At<'a> {
    phase: Phase,
    act: &'a (dyn Fn() + Sync),
    stops: bool,
    reached: AtomicBool,
}

impl Observer for At<'_> {
    fn interrupted(&self) -> bool {
        self.stops && self.reached.load(Ordering::SeqCst)
    }
}

impl Watcher for At<'_> {
    fn phase(&self, phase: Phase) {
        if phase == self.phase {
            (self.act)();
            self.reached.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_run_that_is_stopped_while_it_keeps_leaves_its_outputs_and_no_cache() {
    let scene = Scene::new(4).expect("a world with an instant");
    let (expected, out) = (scene.plain(), empty_dir());
    let at = At { phase: Phase::Cache, act: &|| (), stops: true, reached: AtomicBool::new(false) };
    let mut report = nightly::run(&scene.job(&out, true), &at).expect("the outputs stand");
    let (told, _, warnings) = told(&mut report, &out);
    assert_eq!((told, warnings), (expected, vec!["the cache is not written: interrupted".to_owned()]));
    assert!(files_of(scene.cache.path()).iter().all(|path| is_lock(path)));
    scene.cached();
    scene.assert_warm("afterwards");
}

#[test]
fn data_that_change_while_they_are_read_are_not_kept() {
    let scene = Scene::new(6).expect("a world with an instant");
    let (expected, out) = (scene.plain(), empty_dir());
    let file = files_of(scene.data.path()).remove(0);
    let touch = || fs::write(&file, fs::read(&file).expect("readable")).expect("written");
    let at = At { phase: Phase::Recompute, act: &touch, stops: false, reached: AtomicBool::new(false) };
    let mut report = nightly::run(&scene.job(&out, true), &at).expect("a run");
    let (told, _, warnings) = told(&mut report, &out);
    assert_eq!(told, expected);
    assert!(warnings.len() == 1 && warnings[0].contains("changed while it was read"), "{warnings:?}");
    assert!(!scene.cache.path().join("_sanma.json").exists());
    assert_eq!(scene.cached().1.rebuilt.as_deref(), Some("there was none"));
    scene.assert_warm("afterwards");
}

#[test]
fn a_cache_in_the_data_directory_is_no_table() {
    for inside in [".", "kept", "a/deep/one"] {
        let scene = Scene::new(9).expect("a world with an instant");
        let (expected, cache) = (scene.plain(), scene.data.path().join(inside));
        for round in 0..2 {
            let out = empty_dir();
            let job = Job { cache: Some(&cache), ..scene.job(&out, false) };
            let (told, served, warnings) = told(&mut run(&job).expect("a run"), &out);
            assert_eq!((told, warnings), (expected.clone(), vec![]), "{inside} {round}");
            assert_eq!(served.expect("a cache").rebuilt.is_none(), round == 1, "{inside} {round}");
        }
    }
}

const SANMA: &str = env!("CARGO_BIN_EXE_sanma");

fn epidemic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/covasim-huzhou")
}

/// What a command prints, which must end with this code: standard output and error.
#[track_caller]
fn prints(args: &[&str], out: Option<&Path>, cache: Option<&Path>, code: i32) -> (String, String) {
    let mut command = Command::new(SANMA);
    command.args(args).args(["--rules", "huzhou", "--as-of", "2020-02-18", "--data"]).arg(epidemic());
    for (option, dir) in [("--out", out), ("--cache", cache)] {
        if let Some(dir) = dir {
            command.arg(option).arg(dir);
        }
    }
    let output = command.output().expect("the command runs");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{stdout}{stderr}");
    (stdout, stderr)
}

/// A summary without times and the cache.
fn timeless(mut summary: Value) -> Value {
    for key in ["cache", "phases_s", "peak_rss_bytes", "seconds"] {
        summary.as_object_mut().expect("an object").remove(key);
    }
    for candidate in summary["candidates"].as_array_mut().into_iter().flatten() {
        candidate.as_object_mut().expect("an object").remove("seconds");
    }
    summary
}

#[test]
fn commands_with_a_cache_say_what_they_say_without() {
    let (cache, out) = (empty_dir(), empty_dir());
    let summaries: [(&[&str], Option<&Path>); 2] =
        [(&["recompute", "--json"], Some(out.path())), (&["whatif", "--json", "--list", "330502=high"], None)];
    for (args, out) in summaries {
        let json = |cache| serde_json::from_str::<Value>(&prints(args, out, cache, 0).0).expect("JSON");
        let plain = json(None);
        assert!(plain.get("cache").is_none());
        fs::remove_dir_all(cache.path()).expect("removed");
        for (round, reused) in [(0, 0), (1, 11)] {
            let summary = json(Some(cache.path()));
            let why = if round == 0 { "there was none".into() } else { Value::Null };
            let served = json!({"files_reused": reused, "files_read": 11 - reused, "rebuilt": why});
            assert_eq!(summary["cache"], served, "{args:?} {round}");
            assert!(summary["phases_s"]["load"].as_f64() > Some(0.0));
            assert_eq!(timeless(summary), timeless(plain.clone()), "{args:?} {round}");
        }
    }
    let (said, _) = prints(&["recompute"], Some(out.path()), Some(cache.path()), 0);
    assert!(said.contains("\ncache: 11 files reused, 0 read\n") && said.contains(", cache 0."), "{said}");

    let codes = outputs::read(out.path(), "codes", OutputFormat::Parquet);
    let asked = ["green", "yellow", "red"].map(|colour| codes.iter().find(|row| row["colour"] == colour).expect("one"));
    for (person, how) in asked.iter().flat_map(|row| [(row, "person"), (row, "official")]) {
        let args = ["explain", outputs::text(person, "person"), "--audience", how];
        let plain = prints(&args, None, None, 0);
        assert_eq!(prints(&args, None, Some(cache.path()), 0), plain, "{args:?}");
        let cold = empty_dir();
        assert_eq!(prints(&args, None, Some(cold.path()), 0), plain, "{args:?}");
        assert!(cold.path().join("_sanma.json").exists());
    }
}

#[test]
fn a_cache_that_cannot_be_there_is_told() {
    let (dir, out) = (empty_dir(), empty_dir());
    let file = dir.path().join("file");
    fs::write(&file, "mine").expect("written");
    let (_, said) = prints(&["recompute"], Some(out.path()), Some(&file), 2);
    assert!(said.contains("file is no directory: --cache wants one of its own"), "{said}");
    assert!(files_of(out.path()).is_empty());
    // Nothing can be made beneath a file, whoever asks.
    let (_, said) = prints(&["recompute"], Some(out.path()), Some(&file.join("cache")), 0);
    assert!(said.contains("warning: the cache is not written: "), "{said}");
    assert_eq!((files_of(out.path()).len(), fs::read_to_string(&file).expect("text")), (2, "mine".to_owned()));
}

//! What the store promises, tried on a directory as processes leave it behind: torn, altered, full, shared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::storing::Storing;
use crate::value::Value;

/// A result of a node: its key, and its value.
type Result = (Version, Value);

fn key(number: u64) -> Version {
    Version::of_bytes(&number.to_le_bytes())
}

fn names(node: &str) -> Arc<StepNames> {
    Arc::new(StepNames { node: node.to_owned(), ..StepNames::default() })
}

fn made(node: &str) -> Made {
    Made { names: names(node), code: key(0), values: Arc::new([]), files: Arc::new([]), format: None }
}

fn frame(number: u64) -> DataFrame {
    let rows: Vec<f64> = (0..200).map(|it| (it * number) as f64 / 3.0).collect();
    let names: Vec<String> = (0..200).map(|it| format!("row {it} of {number}")).collect();
    df!("a" => rows, "b" => names).unwrap()
}

/// Frames, numbers and texts.
fn results() -> Vec<Result> {
    (0..12)
        .map(|it| match it % 3 {
            0 => (key(it), Value::new(frame(it))),
            1 => (key(it), Value::new(it as f64 / 7.0)),
            _ => (key(it), Value::new(format!("text {it}"))),
        })
        .collect()
}

fn open(directory: &Path) -> Store {
    let mut store = Store::new();
    store.open(directory, "image").unwrap();
    store
}

fn write(store: &mut Store, results: &[Result]) {
    for (number, (key, value)) in results.iter().enumerate() {
        let computed = Arc::new(Computed::new(value.clone(), Version::of_bytes(&key.0)));
        store.insert(*key, &computed, &made(&format!("n{number}")), 1_000.0);
    }
    store.settle();
}

/// How many results a store has, each of which is what was written.
fn read(store: &mut Store, results: &[Result]) -> usize {
    let mut right = 0;
    for (key, value) in results {
        let Found::Known(known) = store.find(key, value.ops()) else { continue };
        assert_eq!(Some(known.version), value.version());
        let Some(computed) = store.load(key, value.ops(), &names("n")) else { continue };
        assert_eq!(computed.value.version(), value.version());
        right += 1;
    }
    right
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() { open.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files.sort();
    files
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count.max(1)
    }
}

#[test]
fn another_process_finds_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let results = results();
    write(&mut open(directory.path()), &results);
    let mut store = open(directory.path());
    assert_eq!(read(&mut store, &results), results.len());
    assert_eq!(store.take_warnings(), Vec::<String>::new());
    // Compiled with something else, nothing of it counts.
    let mut other = Store::new();
    other.open(directory.path(), "another image").unwrap();
    assert_eq!(read(&mut other, &results), 0);
}

#[test]
fn two_stores_of_one_directory_see_each_others_results() {
    let directory = tempfile::tempdir().unwrap();
    let results = results();
    let (mut one, mut other) = (open(directory.path()), open(directory.path()));
    write(&mut one, &results[..6]);
    write(&mut other, &results[6..]);
    one.begin();
    other.begin();
    for store in [&mut one, &mut other] {
        let mut known = 0;
        for (key, value) in &results {
            known += usize::from(!matches!(store.find(key, value.ops()), Found::Nothing));
        }
        assert_eq!(known, results.len());
    }
}

#[test]
fn files_are_read_only_and_of_the_same_content_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let value = Value::new(frame(5));
    write(&mut open(directory.path()), &[(key(1), value.clone()), (key(2), value)]);
    let values: Vec<PathBuf> = files(directory.path())
        .into_iter()
        .filter(|it| it.extension().is_some_and(|it| it == "arrow"))
        .collect();
    assert_eq!(values.len(), 1);
    assert_eq!(fs::metadata(&values[0]).unwrap().permissions().mode() & 0o777, 0o444);
    let read = IpcReader::new(fs::File::open(&values[0]).unwrap()).finish().unwrap();
    assert!(read.equals(&frame(5)));
}

#[test]
fn whatever_bytes_are_altered_a_value_is_right_or_missing_and_the_next_run_mends_it() {
    let results = results();
    for seed in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        write(&mut open(directory.path()), &results);
        let mut random = Random(seed);
        for path in files(directory.path()) {
            let mut bytes = fs::read(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            match random.below(4) {
                0 => bytes.truncate(random.below(bytes.len())),
                1 => bytes.extend_from_slice(b"more"),
                _ => {
                    for _ in 0..=random.below(3) {
                        let at = random.below(bytes.len());
                        bytes[at] ^= 1 << random.below(8);
                    }
                }
            }
            fs::write(&path, bytes).unwrap();
        }
        let mut store = open(directory.path());
        assert!(read(&mut store, &results) < results.len(), "seed {seed}: nothing was altered");
        write(&mut store, &results);
        let mut next = open(directory.path());
        assert_eq!(read(&mut next, &results), results.len(), "seed {seed}");
    }
}

#[test]
fn half_a_line_costs_that_line_alone() {
    let directory = tempfile::tempdir().unwrap();
    let results = results();
    write(&mut open(directory.path()), &results[..4]);
    let ledger = directory.path().join("store-1/ledger");
    let text = fs::read(&ledger).unwrap();
    fs::write(&ledger, &text[..text.len() - 20]).unwrap();
    let mut store = open(directory.path());
    assert_eq!(read(&mut store, &results), 3);
    write(&mut store, &results[4..]);
    let mut next = open(directory.path());
    assert_eq!(read(&mut next, &results), results.len() - 1);
    assert!(next.take_warnings()[0].starts_with("1 line of the store's ledger"));
}

#[test]
fn a_disk_that_takes_nothing_is_told_once_and_changes_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let results = results();
    let mut store = open(directory.path());
    // A file in the place of the directory: what a full disk is to whoever writes, for root too.
    fs::remove_dir(directory.path().join("store-1/values")).unwrap();
    fs::write(directory.path().join("store-1/values"), "").unwrap();
    write(&mut store, &results);
    write(&mut store, &results);
    let warnings = store.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("results are no longer written"), "{warnings:?}");
    for (key, value) in &results {
        assert!(matches!(store.find(key, value.ops()), Found::Here(_)));
    }
    // And where not even the directory can be made, there is an error to be told.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Store::new().open(&file, "image").is_err());
}

#[test]
fn what_is_sooner_computed_than_read_is_known_and_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let large =
        Value::new(DataFrame::new(1 << 18, vec![Column::new("a".into(), vec![0.5; 1 << 18])]).unwrap());
    for (number, milliseconds) in [(1, 0.001), (2, 1.0), (3, 500.0)] {
        let computed = Arc::new(Computed::new(large.clone(), key(0)));
        store.insert(key(number), &computed, &made("n"), milliseconds);
    }
    store.settle();
    let mut next = open(directory.path());
    let mut has = |number| {
        assert!(matches!(next.find(&key(number), large.ops()), Found::Known(_)));
        next.load(&key(number), large.ops(), &names("n")).is_some()
    };
    assert_eq!([has(1), has(2), has(3)], [false, false, true]);
}

#[test]
fn a_large_frame_is_read_from_its_file_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let rows: Vec<f64> = (0..9_000_000).map(|it| f64::from(it) / 3.0).collect();
    let results = vec![(key(1), Value::new(df!("a" => rows).unwrap()))];
    write(&mut open(directory.path()), &results);
    let is_frame = |it: &PathBuf| it.extension().is_some_and(|it| it == "arrow");
    let path = files(directory.path()).into_iter().find(is_frame).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > LARGE);
    assert_eq!(read(&mut open(directory.path()), &results), 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(read(&mut open(directory.path()), &results), 0);
    assert!(!path.exists());
}

#[test]
fn the_disk_budget_evicts_what_was_not_used_for_longest() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let values: Vec<Result> = (1..=4).map(|it| (key(it), Value::new(frame(it)))).collect();
    for (number, result) in values.iter().enumerate() {
        write(&mut store, std::slice::from_ref(result));
        let newest = files(&directory.path().join("store-1/values"));
        let newest = newest.iter().max_by_key(|it| fs::metadata(it).unwrap().modified().unwrap()).unwrap();
        let time =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + number as u64);
        fs::File::open(newest).unwrap().set_modified(time).unwrap();
    }
    let one = store.report(&[]).disk.unwrap() / 4;
    store.limit(None, Some(2 * one + one / 2));
    let mut next = open(directory.path());
    let mut there = Vec::new();
    for (number, (key, value)) in values.iter().enumerate() {
        if next.load(key, value.ops(), &names("n")).is_some() {
            there.push(number);
        }
    }
    assert_eq!(there, [2, 3]);
    assert_eq!(next.take_warnings(), Vec::<String>::new(), "what was evicted is not damaged");
}

#[test]
fn what_is_cleared_is_gone_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let results = results();
    let mut store = open(directory.path());
    write(&mut store, &results);
    store.clear(&["n0".to_owned(), "n1".to_owned()], &[]).unwrap();
    assert!(matches!(store.find(&results[0].0, results[0].1.ops()), Found::Nothing));
    assert_eq!(read(&mut open(directory.path()), &results), results.len() - 2);
    store.clear(&[], &[]).unwrap();
    assert_eq!(read(&mut open(directory.path()), &results), 0);
    assert_eq!(files(&directory.path().join("store-1/values")), Vec::<PathBuf>::new());
}

#[test]
fn memory_beyond_the_budget_goes_once_it_is_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let large = |seed: f64| Value::new(Series::new("a".into(), vec![seed; 100_000]));
    let values: Vec<Result> = (1..=5).map(|it| (key(it), large(it as f64))).collect();
    store.pin(&["n1".to_owned()]);
    write(&mut store, &values);
    store.limit(Some(1_700_000), None);
    let here: Vec<bool> =
        values.iter().map(|(key, value)| matches!(store.find(key, value.ops()), Found::Here(_))).collect();
    assert_eq!(here, [false, true, false, false, false], "n1 is pinned; of the others there is one at most");
    assert_eq!(read(&mut open(directory.path()), &values), 5);
}

// Types of the user's.

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Model {
    name: String,
    weights: Vec<(f64, Option<i64>)>,
    by_shop: BTreeMap<String, Vec<f64>>,
    kind: Kind,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum Kind {
    Plain,
    Named { size: u64 },
    Of(String, i128),
}

/// Forgets a field on its way.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Lossy {
    #[serde(skip)]
    gone: i64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
}

fn stored<T: Serialize + serde::de::DeserializeOwned + PartialEq + Send + Sync + 'static>(
    value: T,
) -> (bool, Store) {
    let ops: &'static Ops = Box::leak(Box::new(Ops {
        storing: Some(Storing::compared::<T>()),
        // Else it would be announced to the worker that another test of this process serves.
        from_image: true,
        ..Ops::opaque(std::any::TypeId::of::<T>(), std::any::type_name::<T>())
    }));
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let value = Value::from_data(Arc::new(value), ops);
    let computed = Arc::new(Computed::new(value.clone(), key(9)));
    store.insert(key(1), &computed, &made("model"), 1_000.0);
    store.settle();
    let mut next = open(directory.path());
    let read = next.load(&key(1), ops, &names("model"));
    let same = read.is_some_and(|it| it.value.get::<T>() == value.get::<T>() && it.version == key(9));
    (same, store)
}

#[test]
fn types_of_the_users_come_back_equal_or_stay_in_memory() {
    let model = Model {
        name: "m".to_owned(),
        weights: vec![(0.1, Some(1)), (f64::INFINITY, None), (-0.0, Some(i64::MIN))],
        by_shop: BTreeMap::from([("a".to_owned(), vec![1.0 / 3.0])]),
        kind: Kind::Named { size: u64::MAX },
    };
    assert!(stored(model.clone()).0);
    assert!(stored(Model { kind: Kind::Of("x".to_owned(), i128::MIN), ..model.clone() }).0);
    assert!(stored(vec![Kind::Plain]).0);
    assert!(stored((1u8, "two".to_owned(), [3.5f32; 3])).0);
    assert!(stored(vec![Untagged::Number(1.5), Untagged::Text("t".to_owned())]).0);
    assert!(stored(BTreeMap::from([((1, 2), "pair".to_owned())])).0);
    // What is lost on the way is noticed when it is written, and said.
    let (same, store) = stored(Lossy { gone: 3 });
    assert!(!same);
    let why = store.disk.as_ref().unwrap().shared.unstorable();
    assert!(why["model"].contains("not equal"), "{why:?}");
    // A NaN is not equal to itself, so nobody can say that it came back.
    assert!(!stored(Model { weights: vec![(f64::NAN, None)], ..model }).0);
}

#[test]
fn a_ledger_that_has_grown_long_is_written_anew_and_keeps_values_and_the_newest_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    write(&mut store, &results());
    let light = Value::new(1i64);
    for number in 100..150_000 {
        let computed = Arc::new(Computed::new(light.clone(), key(0)));
        store.insert(key(number), &computed, &made("n"), 0.0);
    }
    store.settle();
    let ledger = directory.path().join("store-1/ledger");
    let before = fs::metadata(&ledger).unwrap().len();
    let mut next = open(directory.path());
    assert!(fs::metadata(&ledger).unwrap().len() < before / 2);
    assert_eq!(read(&mut next, &results()), results().len());
    assert!(matches!(next.find(&key(149_999), light.ops()), Found::Known(_)));
    assert!(matches!(next.find(&key(100), light.ops()), Found::Nothing));
    assert_eq!(next.take_warnings(), Vec::<String>::new());
}

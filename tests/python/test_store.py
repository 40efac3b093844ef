"""Results outlive the worker, the kernel and the machine: what is computed again after each of their ends."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time

import pytest
from brooklet_client import Kernel

FLOW = """
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Model { pub name: String, pub weights: Vec<f64>, pub by_shop: BTreeMap<String, (i64, Option<f64>)> }

#[derive(Debug)]
pub struct Opaque(pub i64);

pub fn slow(x: i64) -> i64 { RAN!(slow); std::thread::sleep(std::time::Duration::from_millis(300)); x + 1 }
pub fn table(slow: i64) -> PolarsResult<DataFrame> { RAN!(table); df!("n" => (0..slow * 1000).collect::<Vec<i64>>(), "s" => (0..slow * 1000).map(|i| format!("row {i}")).collect::<Vec<_>>()) }
pub fn model(table: &DataFrame) -> Model {
    RAN!(model);
    Model { name: "m".into(), weights: vec![table.height() as f64 / 3.0, -0.0], by_shop: BTreeMap::from([("a".to_string(), (1, Some(0.1)))]) }
}
pub fn total(table: &DataFrame) -> PolarsResult<i64> { RAN!(total); Ok(table.column("n")?.as_materialized_series().sum::<i64>()?) }
pub fn opaque(total: i64) -> Opaque { RAN!(opaque); Opaque(total) }
pub fn answer(opaque: &Opaque, model: &Model) -> String { RAN!(answer); format!("{} {}", opaque.0, model.weights[0]) }
pub fn overflow(slow: i64) -> i64 { fn deep(n: i64) -> i64 { let large = [n; 4096]; std::hint::black_box(&large)[7] + deep(n + 1) } deep(slow) }
pub fn leave(slow: i64) -> i64 { std::process::exit(slow as i32) }
pub fn crash(total: i64) -> i64 { RAN!(crash); unsafe { std::ptr::null::<i64>().read_volatile() + total } }
"""
ANSWER = '"1999000 666.6666666666666"'


def value(reply):
    """What a cell of one name shows, without the line that says how long it took."""
    return reply.text.splitlines()[-1]


@pytest.fixture
def start(tmp_path):
    kernels = []

    def start():
        kernel = Kernel(tmp_path)
        kernels.append(kernel)
        if not (tmp_path / "flow.rs").exists():
            kernel.write("flow.rs", FLOW)
        kernel.ok("%watch flow.rs")
        kernel.ok("%input x=1")
        return kernel

    yield start
    for kernel in kernels:
        kernel.close()


def test_after_a_restart_of_the_kernel_nothing_is_computed_again(start, tmp_path):
    kernel = start()
    first = kernel.ok("(answer, model, total)")
    assert sorted(first.ran) == ["answer", "model", "opaque", "slow", "table", "total"]
    kernel.close()
    kernel = start()
    again = kernel.ok("(answer, model, total)")
    assert again.ran == []
    assert again.text.splitlines()[-3:] == first.text.splitlines()[-3:]
    assert kernel.ok("answer").text == ANSWER
    assert value(kernel.ok("table.height()")) == "2000"
    # Of the notebook's directory nothing is to be committed.
    assert (tmp_path / ".brooklet" / ".gitignore").read_text() == "*\n"


def test_another_input_and_an_edit_run_what_they_affect_and_going_back_runs_nothing(start):
    kernel = start()
    kernel.ok("answer")
    kernel.close()
    kernel = start()
    kernel.ok("%input x=2")
    assert "slow" in kernel.ok("answer").ran
    kernel.ok("%input x=1")
    assert kernel.ok("answer").ran == []
    kernel.write("flow.rs", FLOW.replace('format!("{} {}"', 'format!("{}, {}"'))
    # `opaque` is in no file, so it is computed again for whoever takes it; what is sooner computed than read may be.
    edited = kernel.ok("answer")
    assert value(edited) == ANSWER.replace(" ", ", ")
    assert {"answer", "opaque"} <= set(edited.ran) and "slow" not in edited.ran


def test_a_crash_costs_the_running_node_and_nothing_else(start):
    kernel = start()
    before = value(kernel.ok("total"))
    error = kernel.fails("crash")
    assert "`crash`" in str(error)
    # What no disk can keep is named.
    kernel.ok("opaque")
    assert "lost with the old one: `opaque`" in str(kernel.fails("crash"))
    assert kernel.ok("(slow, total)").ran in ([], ["total"], ["table", "total"])
    assert value(kernel.ok("total")) == before
    # Also what was computed a moment before the crash, in the same run.
    kernel.ok("%input x=3")
    kernel.fails("crash")
    assert "slow" not in kernel.ok("total").ran
    for x, end in enumerate(["overflow", "leave"], 4):
        kernel.ok(f"%input x={x}")
        kernel.fails(end)
        assert kernel.ok("slow").ran == [], end


def test_cache_tells_what_is_kept_and_clears_it(start):
    kernel = start()
    kernel.ok("answer")
    told = kernel.ok("%cache").text
    rows = {line.split()[0]: line for line in told.splitlines() if line.strip()}
    assert "in memory only: its type is not `Serialize + DeserializeOwned + PartialEq`" in rows["opaque"]
    assert "in memory only" not in rows["model"]
    assert "disk:" in told
    kernel.ok("%cache pin table")
    assert "pinned" in kernel.ok("%cache").text
    kernel.ok("%cache clear slow")
    assert kernel.ok("slow").ran == ["slow"]
    assert kernel.ok("answer").ran == []
    kernel.ok("%cache clear")
    assert len(kernel.ok("answer").ran) == 6
    assert "did you mean `clear`" in str(kernel.fails("%cache claer"))


def test_a_directory_that_cannot_be_used_is_told_once(tmp_path):
    (tmp_path / ".brooklet").write_text("in the way")
    kernel = Kernel(tmp_path)
    try:
        kernel.write("flow.rs", FLOW)
        kernel.ok("%watch flow.rs")
        kernel.ok("%input x=1")
        first = kernel.ok("answer")
        assert value(first) == ANSWER
        assert first.stderr.count("results are kept in memory alone") == 1
        assert "in memory alone" not in kernel.ok("answer").stderr
        assert kernel.ok("answer").ran == []
    finally:
        kernel.close()


def right(x):
    """What `answer` is for an input."""
    rows = (x + 1) * 1000
    return f'"{rows * (rows - 1) // 2} {repr(rows / 3).removesuffix(".0")}"'


def killed_at_random(process, chance, within):
    """Kills a process at some moment to come, if it is still there."""

    def kill():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    killer = threading.Timer(chance.random() * within, kill)
    killer.start()
    return killer


# More than once each, so that what one left behind is met by the next.
@pytest.mark.parametrize("seed", range(4))
def test_workers_that_are_killed_at_any_moment_leave_no_wrong_value(start, seed):
    kernel = start()
    chance = random.Random(seed)
    seen = set()
    for _ in range(50):
        x = chance.randrange(1, 9)
        kernel.ok(f"%input x={x}")
        if chance.random() < 0.3:
            kernel.ok("%cache clear table")
        killer = killed_at_random(kernel.worker().pid, chance, 0.5)
        kernel.execute("answer")
        killer.join()
        seen.add(x)
        assert value(kernel.ok("answer")) == right(x)
    kernel.close()
    kernel = start()
    for x in seen:
        kernel.ok(f"%input x={x}")
        again = kernel.ok("answer")
        assert value(again) == right(x)
        assert "slow" not in again.ran


def test_kernels_that_are_killed_at_any_moment_leave_no_wrong_value(start):
    chance = random.Random(7)
    for _ in range(50):
        kernel = start()
        x = chance.randrange(1, 9)
        kernel.ok(f"%input x={x}")
        kernel.start("answer")
        killed_at_random(kernel.pid, chance, 0.6).join()
        kernel.client.stop_channels()
        kernel.assert_no_process_left()
    kernel = start()
    for x in range(1, 9):
        kernel.ok(f"%input x={x}")
        first = kernel.ok("answer")
        assert value(first) == right(x)
        assert kernel.ok("answer").ran == []
    assert "counts for nothing" not in first.stderr


KINDS = """
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Kind { Empty, One(f64), Named { text: String, more: Option<Box<Kind>> } }
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Wrapped(pub Vec<Kind>, pub (i8, char), pub HashMap<String, Vec<Option<f32>>>);
type Day = chrono::NaiveDate;

fn wait() { std::thread::sleep(std::time::Duration::from_millis(3)) }
fn cast(frame: DataFrame, dtype: DataType) -> PolarsResult<DataFrame> { frame.lazy().select([col("n").cast(dtype)]).collect() }
fn numbers() -> DataFrame { wait(); df!("n" => [Some(1i64), None, Some(100)]).unwrap() }

pub fn integers() -> PolarsResult<DataFrame> { let n = numbers(); Ok(df!("i64" => n.column("n")?.as_materialized_series().clone(), "i32" => [1i32, -2, 3], "u32" => [1u32, 2, 3], "u64" => [u64::MAX, 0, 1])?) }
pub fn floats() -> PolarsResult<DataFrame> { wait(); df!("f64" => [f64::NAN, -0.0, f64::INFINITY], "f32" => [f32::MIN_POSITIVE, 0.1, f32::NEG_INFINITY]) }
pub fn texts() -> PolarsResult<DataFrame> { wait(); df!("s" => [Some("a"), None, Some("a longer text than twelve bytes")], "b" => [true, false, true]) }
pub fn empty() -> PolarsResult<DataFrame> { wait(); df!("e" => Vec::<f64>::new(), "t" => Vec::<String>::new()) }
pub fn dates() -> PolarsResult<DataFrame> { cast(numbers(), DataType::Date) }
pub fn times() -> PolarsResult<DataFrame> { cast(numbers(), DataType::Datetime(TimeUnit::Microseconds, None)) }
pub fn durations() -> PolarsResult<DataFrame> { cast(numbers(), DataType::Duration(TimeUnit::Nanoseconds)) }
pub fn lists() -> PolarsResult<DataFrame> { wait(); df!("l" => [Series::new("".into(), [1i64, 2]), Series::new("".into(), Vec::<i64>::new())]) }
pub fn structs() -> PolarsResult<DataFrame> { wait(); Ok(StructChunked::from_series("st".into(), 2, [Series::new("a".into(), [1i64, 2]), Series::new("b".into(), ["x", "y"])].iter())?.into_series().into_frame()) }
pub fn categories() -> PolarsResult<DataFrame> { wait(); df!("n" => ["a", "b", "a"])?.lazy().select([col("n").cast(DataType::from_categories(Categories::global()))]).collect() }
pub fn series() -> Series { wait(); Series::new("s".into(), [Some(0.1), None, Some(f64::NAN)]) }
pub fn not_a_number() -> f64 { wait(); f64::NAN }
pub fn wide() -> i128 { wait(); i128::MIN }
pub fn pair() -> (i64, String, Option<f64>) { wait(); (1, "two".into(), None) }
pub fn maybe() -> Option<String> { wait(); Some("x".into()) }
pub fn nested() -> Vec<Vec<Option<f64>>> { wait(); vec![vec![Some(0.1), None], vec![]] }
pub fn sorted() -> BTreeMap<String, Vec<i64>> { wait(); BTreeMap::from([("a".into(), vec![1, 2]), ("b".into(), vec![])]) }
pub fn hashed() -> HashMap<i64, String> { wait(); HashMap::from([(1, "one".into()), (-2, "two".into())]) }
pub fn set() -> BTreeSet<char> { wait(); BTreeSet::from(['b', 'a']) }
pub fn day() -> Day { wait(); Day::from_ymd_opt(2024, 2, 29).unwrap() }
pub fn place() -> PathBuf { wait(); PathBuf::from("data/x.csv") }
pub fn kind() -> Kind { wait(); Kind::Named { text: "t".into(), more: Some(Box::new(Kind::One(0.1))) } }
pub fn wrapped() -> Wrapped { wait(); Wrapped(vec![Kind::Empty, Kind::One(-0.0)], (-1, 'x'), HashMap::from([("k".into(), vec![None, Some(0.1f32)])])) }
"""


def test_a_store_is_read_by_the_next_kernel_whatever_the_type(tmp_path):
    names = re.findall(r"pub fn (\w+)\(\) ->", KINDS)
    assert len(names) == 23
    shown = []
    for _ in range(2):
        kernel = Kernel(tmp_path)
        try:
            kernel.write("flow.rs", KINDS)
            kernel.ok("%watch flow.rs")
            shown.append(kernel.run(*names))
            kernel.ok("%runs")
        finally:
            kernel.close()
    assert shown[0] == shown[1]
    lines = (tmp_path / ".brooklet" / "runs" / "runs.jsonl").read_text().splitlines()
    first, second = (json.loads(line)["nodes"] for line in lines)
    assert {it["state"] for it in first} == {"ran"}
    assert {it["node"]: it["state"] for it in second} == dict.fromkeys(names, "reused")
    assert {it["node"]: it["version"] for it in first} == {it["node"]: it["version"] for it in second}


def test_two_kernels_and_a_program_share_one_directory_for_a_minute(start, tmp_path):
    tour = pathlib.Path(os.environ["BROOKLET"]).parent / "examples" / "tour"
    one, other = start(), start()
    text = (tmp_path / "flow.rs").read_text()
    ends = time.monotonic() + 60
    errors, rounds = [], {"one": 0, "other": 0, "program": 0}

    def guarded(name, loop):
        try:
            while time.monotonic() < ends and not errors:
                loop()
                rounds[name] += 1
        except BaseException as error:  # told by the test, not by the thread
            errors.append((name, error))

    def of_kernel(kernel, seed):
        chance = random.Random(seed)

        def loop():
            x = chance.randrange(1, 5)
            kernel.ok(f"%input x={x}")
            if chance.random() < 0.2:
                # Both watch the file; what it says stays the same.
                draft = tmp_path / f"{seed}.draft"
                draft.write_text(f"{text}// {chance.random()}\n")
                draft.replace(tmp_path / "flow.rs")
            if chance.random() < 0.1:
                kernel.ok("%cache clear")
            assert value(kernel.ok("answer")) == right(x)

        return loop

    printed = set()

    def program():
        done = subprocess.run([tour, tmp_path / ".brooklet"], cwd=tmp_path, capture_output=True, text=True, check=True)
        printed.add(done.stdout)
        assert done.stderr == ""

    loops = {"one": of_kernel(one, 1), "other": of_kernel(other, 2), "program": program}
    threads = [threading.Thread(target=guarded, args=it) for it in loops.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(printed) == 1 and min(rounds.values()) > 10, rounds
    one.ok("%runs")
    records = [json.loads(line) for line in (tmp_path / ".brooklet" / "runs" / "runs.jsonl").read_text().splitlines()]
    assert sum(it["by"]["kind"] == "program" for it in records) == 2 * rounds["program"]
    assert {it["outcome"] for it in records} == {"done"}


def test_two_kernels_share_one_store(start):
    one, other = start(), start()
    one.ok("answer")
    deadline = time.monotonic() + 20
    while (seen := other.ok("answer")).ran and time.monotonic() < deadline:
        other.ok("%cache clear")
        one.ok("answer")
    assert value(seen) == ANSWER
    errors = []

    def loop(kernel, seed):
        chance = random.Random(seed)
        try:
            for _ in range(12):
                x = chance.randrange(1, 5)
                rows = (x + 1) * 1000
                kernel.ok(f"%input x={x}")
                assert value(kernel.ok("total")) == str(rows * (rows - 1) // 2)
        except BaseException as error:  # told by the test, not by the thread
            errors.append(error)

    threads = [threading.Thread(target=loop, args=it) for it in ((one, 1), (other, 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []

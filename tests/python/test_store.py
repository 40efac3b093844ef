"""Results outlive the worker, the kernel and the machine: what is computed again after each of their ends."""

import os
import random
import signal
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


def test_workers_that_are_killed_at_any_moment_leave_no_wrong_value(start):
    kernel = start()
    chance = random.Random(5)
    expected = {}

    def right(x):
        rows = (x + 1) * 1000
        return f'"{rows * (rows - 1) // 2} {repr(rows / 3).removesuffix(".0")}"'

    for _ in range(25):
        x = chance.randrange(1, 6)
        kernel.ok(f"%input x={x}")
        worker = kernel.worker()
        killer = threading.Timer(chance.random() * 0.5, lambda: os.kill(worker.pid, signal.SIGKILL) if worker.is_running() else None)
        killer.start()
        kernel.execute("answer")
        killer.join()
        expected[x] = right(x)
        assert value(kernel.ok("answer")) == expected[x]
    kernel.close()
    kernel = start()
    for x, text in expected.items():
        kernel.ok(f"%input x={x}")
        again = kernel.ok("answer")
        assert (again.ran, value(again)) == ([], text)


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

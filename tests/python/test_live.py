"""Displays that follow the files: marked when a save makes them stale, and with live mode made anew without a key."""

import json
import time

import pytest

FLOW = """
fn scale(x: i64) -> i64 { x * 10 }
pub fn base(x: i64) -> i64 { scale(x) }
pub fn total(base: i64) -> i64 { base + 1 }
pub fn other(x: i64) -> i64 { x - 1 }
"""


@pytest.fixture
def live(fresh):
    fresh.write("flow.rs", FLOW)
    fresh.ok("%watch flow.rs")
    fresh.ok("%input x=2")
    return fresh


def save(kernel, old, new):
    """A save by an editor: the file is there whole or not at all."""
    path = kernel.directory / "flow.rs"
    text = path.read_text()
    assert text.count(old) == 1
    draft = path.with_suffix(".draft")
    draft.write_text(text.replace(old, new))
    draft.replace(path)


def runs(kernel):
    lines = (kernel.directory / ".brooklet" / "runs" / "runs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_save_marks_what_it_makes_stale_and_an_undo_takes_the_mark_back(live):
    live.ok("total")
    live.ok("other")
    live.ok("let y = total;")
    save(live, "x * 10", "x * 100")
    assert live.shown(lambda it: it.startswith("[stale") and it.endswith("21"), "`total` is marked") == "[stale: `base` changed]\n21"
    live.shown(lambda it: it == "[stale: `base` changed]", "so is the Rust cell that used it")
    assert [it["data"]["text/plain"] for it in live.displays.values()].count("1") == 1, "`other` is as it was"
    save(live, "x * 100", "x * 10")
    live.shown(lambda it: it == "21", "the mark is gone")
    live.shown(lambda it: it == "", "here too")
    # Nothing was run for that.
    assert live.ok("%runs").text.count("\n") == 3


def test_saves_that_follow_each_other_and_cells_between_hide_no_mark(live):
    live.ok("total")
    # The second comes while the first is compiled, and a cell while the second is.
    save(live, "x * 10", "x * 11")
    save(live, "x * 11", "x * 12")
    live.ok("%help")
    live.shown(lambda it: it == "[stale: `base` changed]\n21", "it is marked")


def test_a_save_during_a_cell_is_marked_when_the_cell_has_ended(live):
    live.write("flow.rs", f"{FLOW}pub fn slow(x: i64) -> i64 {{ std::thread::sleep(std::time::Duration::from_millis(1500)); x }}\n")
    live.ok("total")
    request = live.start("slow")
    live.wait_until(lambda: live.worker().is_running(), "the cell runs")
    save(live, "x * 10", "x * 100")
    live.finish(request, "slow")
    live.shown(lambda it: it == "[stale: `base` changed]\n21", "it is marked")


def test_what_a_cell_changes_itself_marks_nothing(live):
    live.ok("%%transform extra\nuse brooklet::prelude::*;\npub fn plus(total: i64) -> i64 { total + 1 }")
    live.ok("plus")
    live.ok("%%transform extra\nuse brooklet::prelude::*;\npub fn plus(total: i64) -> i64 { total + 2 }")
    live.ok("%input x=3")
    assert live.ok("plus").text == "33"
    live.ok("other")
    save(live, "x - 1", "x - 2")
    live.shown(lambda it: it == "[stale: `other` changed]\n2", "a save is followed")
    live.ok("%help")
    assert not any(it["data"]["text/plain"].startswith("[stale: `plus`") for it in live.displays.values())


def test_with_live_mode_a_save_is_enough(live):
    live.ok("%live on")
    live.ok("%dag")
    live.ok("%run total base")
    live.ok("%run total --as json")
    live.ok("other")
    save(live, "x * 10", "x * 100")
    live.shown(lambda it: "201" in it and "200" in it and "shape" in it, "the frame is made anew")
    live.shown(lambda it: json.loads(it) == {"total": 201} if it.startswith("{") else False, "so is the JSON")
    live.shown(lambda it: "total: i64 = 201" in it and "other: i64" in it, "and the picture of all")
    assert [it["data"]["text/plain"] for it in live.displays.values()].count("1") == 1
    told = live.ok("%live").text
    assert "live mode is on" in told and "displays of cells 4, 5, 6, 7" in told
    assert "last live run" in told and "2 computed nodes" in told
    # A cell finds what was computed.
    assert [it["state"] for it in runs(live)[-1]["nodes"] if it["node"] == "total"] in (["reused"], ["ran"])
    live.ok("total")
    assert {it["node"]: it["state"] for it in runs(live)[-1]["nodes"]} == {"x": "given", "base": "reused", "total": "reused"}


def test_another_input_is_followed_too(live):
    live.ok("%live on")
    live.ok("total")
    live.ok("%input x=3")
    assert live.shown(lambda it: it == "31", "`total` follows the input") == "31"


def test_a_failure_keeps_the_old_value_in_sight_and_is_mended_by_the_next_save(live):
    live.ok("%live on")
    live.ok("total")
    save(live, "base + 1", "base + ")
    live.shown(lambda it: it.startswith("[failed") and it.endswith("21"), "what does not compile is told")
    save(live, "base + ", "(if base > 0 { panic!(\"too much\") } else { base }) + 2")
    told = live.shown(lambda it: "too much" in it, "what panics is told")
    assert told.startswith("[failed, this is the last value: ") and told.endswith("\n21")
    save(live, "(if base > 0 { panic!(\"too much\") } else { base }) + 2", "base + 3")
    assert live.shown(lambda it: it == "23", "it is well again") == "23"


def test_expensive_nodes_are_run_by_cells_alone(live):
    save(live, "pub fn base", "#[tag(expensive = \"true\")]\npub fn base")
    live.ok("%live on")
    live.ok("total")
    save(live, "x * 10", "x * 100")
    told = live.shown(lambda it: it.startswith("[stale"), "it is marked, not run")
    assert told == "[stale: `base` is tagged `expensive`: run the cell to compute it]\n21"
    assert live.ok("total").text == "201"
    save(live, "base + 1", "base + 2")
    assert live.shown(lambda it: it == "202", "what is not expensive is run") == "202"


def test_many_saves_are_one_run_and_a_rerun_cell_shows_once(live):
    live.ok("%live on")
    live.ok("total")
    live.ok("total")
    for factor in range(11, 21):
        save(live, f"x * {factor - 1}", f"x * {factor}")
        time.sleep(0.1)
    live.shown(lambda it: it == "41", "the last save is shown")
    live.ok("%runs")
    assert len([it for it in runs(live) if it["targets"] == ["total"]]) == 3, "two cells and one live run"


def test_a_cell_wins_over_a_live_run(live):
    steps = "".join(f"pub fn s{i}(s{i - 1}: i64) -> i64 {{ std::thread::sleep(std::time::Duration::from_millis(300)); s{i - 1} + 1 }}\n" for i in range(1, 30))
    live.write("flow.rs", f"{FLOW}pub fn s0(base: i64) -> i64 {{ base }}\n{steps}")
    live.ok("%live on")
    live.ok("%run s29", timeout=60)
    save(live, "x * 10", "x * 100")
    live.shown(lambda it: "▶ s" in it, "a step of the live run is under way")
    assert live.ok("other").text == "1"
    live.ok("%runs")
    assert [it["outcome"] for it in runs(live)][:3] == ["done", "interrupted", "done"]
    assert live.shown(lambda it: it == "229", "the live run goes on after it") == "229"


def test_a_node_that_fails_is_tried_once_for_each_content(live):
    live.ok("%live on")
    live.ok("total")
    save(live, "base + 1", "{ assert!(base < 0, \"never\"); base }")
    live.shown(lambda it: "never" in it, "it fails")
    for _ in range(3):
        live.ok("%help")
    (live.directory / "beside.txt").write_text("a file that nobody watches")
    live.ok("%runs")
    assert [it["by"]["kind"] for it in runs(live)].count("live") == 1
    live.ok("%input x=3")
    live.wait_until(lambda: [it["by"]["kind"] for it in runs(live)].count("live") == 2, "another input is another try")


def test_an_interrupt_while_a_cell_waits_is_that_cells(live):
    live.write("flow.rs", f"{FLOW}pub fn slow(base: i64) -> i64 {{ std::thread::sleep(std::time::Duration::from_secs(4)); base }}\n")
    live.ok("%live on")
    live.ok("let kept = 5i64;")
    live.ok("%run slow", timeout=60)
    save(live, "x * 10", "x * 100")
    live.shown(lambda it: "▶ slow" in it, "the live run is at work")
    request = live.start("other")
    reply = live.finish(request, "other", presses=[0.3])
    assert reply.error.name == "Interrupted" and "waited for a live run" in reply.error.value
    # It was asked to end, and nobody died.
    assert live.ok("kept + 1").text.endswith("6")
    assert live.ok("other").text == "1"


def test_a_worker_that_dies_in_a_live_run_is_told_by_the_next_cell(live):
    live.ok("let kept = 5i64;")
    live.ok("%live on")
    live.ok("total")
    save(live, "base + 1", "{ std::process::exit(base as i32); }")
    live.shown(lambda it: it.startswith("[failed"), "it failed")
    told = live.ok("%help").stderr
    assert "in a live run" in told and "`kept`" in told


def test_a_notebook_that_ends_in_a_live_run_keeps_its_displays(live):
    live.write("flow.rs", f"{FLOW}pub fn slow(base: i64) -> i64 {{ std::thread::sleep(std::time::Duration::from_secs(2)); base }}\n")
    live.ok("%live on")
    live.ok("%run slow", timeout=60)
    live.ok("total")
    save(live, "x * 10", "x * 100")
    live.shown(lambda it: "▶ slow" in it, "the live run is at work")
    before = len(live.displays)
    live.manager.shutdown_kernel(now=False)
    assert not any("killed" in it["data"]["text/plain"] for it in live.displays.values()) and len(live.displays) == before


def test_live_is_read_and_mistakes_are_told(live):
    assert "live mode is off" in live.ok("%live").text
    assert "live mode is on" in live.ok("%live on").text
    assert "takes on or off, not `maybe`" in str(live.fails("%live maybe"))
    assert "live mode is off" in live.ok("%live off").text

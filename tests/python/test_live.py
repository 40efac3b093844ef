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


def test_with_live_mode_a_save_is_enough(live):
    live.ok("%live on")
    live.ok("%run total base")
    live.ok("%run total --as json")
    live.ok("other")
    live.ok("%dag")
    save(live, "x * 10", "x * 100")
    live.shown(lambda it: "201" in it and "200" in it and "shape" in it, "the frame is made anew")
    live.shown(lambda it: json.loads(it) == {"total": 201} if it.startswith("{") else False, "so is the JSON")
    live.shown(lambda it: "total: i64 = 201" in it, "and the picture")
    assert [it["data"]["text/plain"] for it in live.displays.values()].count("1") == 1
    told = live.ok("%live").text
    assert "live mode is on" in told and "displays of cells 4, 5, 6 and 7" in told.replace("6, 7", "6 and 7")
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


def test_live_is_read_and_mistakes_are_told(live):
    assert "live mode is off" in live.ok("%live").text
    assert "live mode is on" in live.ok("%live on").text
    assert "takes on or off, not `maybe`" in str(live.fails("%live maybe"))
    assert "live mode is off" in live.ok("%live off").text

"""What a run leaves behind: its record, why each node ran, how two runs differ, and one of them once more."""

import json
import re
import subprocess

import pytest
from brooklet_client import Kernel

FLOW = """
pub const WINDOW: i64 = 3;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weights { pub first: f64 }

fn deep(x: f64) -> f64 { x * 2.0 }
fn rolling_mean(x: f64) -> f64 { deep(x) / WINDOW as f64 }

pub fn sales(path: String) -> PolarsResult<DataFrame> { RAN!(sales); CsvReadOptions::default().try_into_reader_with_file_path(Some(path.into()))?.finish() }
pub fn spend(sales: &DataFrame) -> PolarsResult<f64> { RAN!(spend); Ok(sales.column("spend")?.as_materialized_series().sum::<f64>()?) }
pub fn average(spend: f64) -> f64 { RAN!(average); rolling_mean(spend) }
pub fn weights(average: f64) -> Weights { RAN!(weights); Weights { first: average } }
pub fn report(weights: &Weights) -> String { RAN!(report); format!("{:.2}", weights.first) }
"""
TAGGED = FLOW.replace("pub fn sales", "#[cache(file(path))]\npub fn sales")


@pytest.fixture
def start(tmp_path):
    kernels = []

    def start(flow=TAGGED):
        kernel = Kernel(tmp_path)
        kernels.append(kernel)
        if not (tmp_path / "flow.rs").exists():
            kernel.write("flow.rs", flow)
            (tmp_path / "sales.csv").write_text("spend,shop\n1.5,a\n2.5,b\n")
        kernel.ok("%watch flow.rs")
        kernel.ok("%input path=sales.csv")
        return kernel

    yield start
    for kernel in kernels:
        kernel.close()


def line_of(text, start):
    """The number of the line that begins so."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))


def records(directory):
    lines = (directory / ".brooklet" / "runs" / "runs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def ids(kernel):
    """The ids of all runs, the newest first."""
    return [line.split()[0] for line in kernel.ok("%runs 100").text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("old", "new", "node", "says"),
    [
        ("deep(x) / WINDOW", "deep(x) + WINDOW", "average", "because `rolling_mean` changed (flow.rs:{}), which it calls"),
        ("WINDOW: i64 = 3", "WINDOW: i64 = 4", "average", "because `WINDOW` changed (flow.rs:{}), which it reaches by `rolling_mean`"),
        ("pub first: f64 }", "pub first: f64 , }", "report", "reused"),
        ("rolling_mean(spend) }", "rolling_mean(spend) + 1.0 }", "average", "because its own code changed (flow.rs:{})"),
        ('{:.2}"', '{:.3}"', "report", "because its own code changed (flow.rs:{})"),
    ],
)
@pytest.mark.parametrize("restart", ["", "worker", "kernel"])
def test_why_names_the_helper_the_const_and_the_place(start, old, new, node, says, restart):
    kernel = start()
    kernel.ok("report")
    text = (kernel.directory / "flow.rs").read_text()
    assert text.count(old) == 1
    edited = text.replace(old, new)
    (kernel.directory / "flow.rs").write_text(edited)
    if restart == "worker":
        kernel.ok("%restart")
    elif restart == "kernel":
        kernel.close()
        kernel = start()
    kernel.ok("report")
    at = next(number for number, line in enumerate(edited.splitlines(), 1) if new in line)
    if node == "average" and "own code" in says:
        at = line_of(edited, "pub fn average")
    assert says.format(at) in kernel.ok(f"%why {node}").text


def test_why_names_the_type_the_file_and_the_column(start, tmp_path):
    kernel = start()
    kernel.ok("report")
    text = (tmp_path / "flow.rs").read_text()
    (tmp_path / "flow.rs").write_text(text.replace("pub struct Weights { pub first: f64 }", "pub struct Weights { pub first: f64, #[serde(default)] pub second: u8 }").replace("Weights { first: average }", "Weights { first: average, second: 1 }"))
    kernel.ok("report")
    why = kernel.ok("%why report").text
    assert f"the type `Weights` changed (flow.rs:{line_of(text, 'pub struct')}), which it uses" in why
    (tmp_path / "sales.csv").write_text("spend,shop\n1.5,c\n2.5,b\n")
    assert kernel.ok("report").ran == ["sales", "spend"]
    assert "because the file `sales.csv` changed" in kernel.ok("%why sales").text
    assert "because the value of `sales` changed, in column `shop`. Its value came out the same" in kernel.ok("%why spend").text


def test_a_file_that_is_edited_makes_its_readers_stale_and_only_if_it_is_tagged(start, tmp_path):
    kernel = start()
    assert kernel.ok("spend").text.endswith("4.0")
    assert kernel.ok("spend").ran == []
    (tmp_path / "sales.csv").write_text("spend,shop\n2.5,a\n2.5,b\n")
    assert kernel.ok("spend").text.endswith("5.0")
    # Touched, not changed.
    (tmp_path / "sales.csv").write_text("spend,shop\n2.5,a\n2.5,b\n")
    assert kernel.ok("spend").ran == []
    kernel.close()
    (tmp_path / "sales.csv").write_text("spend,shop\n1.5,a\n2.5,b\n")
    kernel = start()
    again = kernel.ok("spend")
    assert again.ran == [] and again.text.endswith("4.0"), "that content was read before"


def test_a_record_says_all_of_a_run(start, tmp_path):
    kernel = start()
    subprocess.run("git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm first", shell=True, cwd=tmp_path, check=True)
    kernel.ok("%config region=us")
    kernel.ok("%run report --override average=7.5")
    assert len(ids(kernel)) == 1
    (tmp_path / "new.txt").write_text("x")
    kernel.ok("%run report weights")
    assert len(ids(kernel)) == 2
    first, second = records(tmp_path)
    assert first["targets"] == ["report"] and first["outcome"] == "done" and first["by"]["kind"] == "notebook"
    assert first["config"] == {"region": "us"} and first["overrides"]["average"]["literal"] == "7.5"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["began"])
    assert [it["state"] for it in first["nodes"]] == ["given", "ran", "ran"]
    states = {it["node"]: it["state"] for it in second["nodes"]}
    assert states == {"path": "given", "sales": "ran", "spend": "ran", "average": "ran", "weights": "ran", "report": "ran"}
    assert all(len(it["version"]) == 32 for it in second["nodes"])
    assert all(len(it["code"]) == 32 for it in second["nodes"] if it["node"] != "path")
    assert second["files"].keys() == {"sales.csv"} and second["inputs"]["path"]["literal"] == "sales.csv"
    assert second["results"]["report"] == {"value": "2.67"} and second["results"]["weights"] == {"first": 8 / 3}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert first["git"] == {"commit": commit, "dirty": False} and second["git"] == {"commit": commit, "dirty": True}
    assert second["toolchain"].startswith("rustc 1.") and len(second["lock"]) == 32 and second["brooklet"]
    runs = tmp_path / ".brooklet" / "runs"
    assert (runs / "sources" / f"{second['sources'][0]['hash']}.rs").read_text() == (tmp_path / "flow.rs").read_text()
    shape = {it["name"]: it for it in json.loads((runs / "graphs" / f"{second['graph']}.json").read_text())}
    assert shape["report"]["required"] == ["weights"] and shape["path"]["kind"] == "input"


def test_runs_are_listed_and_shown_with_their_picture(start, tmp_path):
    kernel = start()
    assert "nothing was run here yet" in kernel.ok("%runs").text
    kernel.ok("%run report")
    kernel.fails("%run nothing_of_the_kind")
    kernel.write("flow.rs", TAGGED.replace("format!", "if weights.first > 0.0 { panic!(\"no\") } format!"))
    kernel.fails("%run report")
    listed = kernel.ok("%runs").text.splitlines()
    assert len(listed) == 3
    assert "failed" in listed[1] and "done" in listed[2] and "5 of 6" in listed[2]
    good = listed[2].split()[0]
    shown = kernel.ok(f"%runs show {good[:6]}")
    assert "result report" in shown.text and "2.67" in shown.text
    assert "<svg" in shown.html and "average" in shown.html
    assert "no" in kernel.ok("%runs show").text
    for wrong, says in [("show zzz", "names no run"), ("show last~9", "not so many"), ("shwo", "did you mean `show`"), ("repeat", "which run")]:
        assert says in str(kernel.fails(f"%runs {wrong}")), wrong


def test_two_runs_are_compared(start, tmp_path):
    kernel = start()
    kernel.ok("report")
    kernel.ok("%config region=us")
    text = (tmp_path / "flow.rs").read_text()
    (tmp_path / "flow.rs").write_text(text.replace("x * 2.0", "x * 3.0"))
    (tmp_path / "sales.csv").write_text("spend,shop\n3.5,a\n2.5,b\n")
    kernel.ok("(average, report)")
    kernel.ok("%run average report")
    told = kernel.ok("%runs diff last~2 last").text
    assert "config   region: not set → us" in told
    assert "file     sales.csv held something else" in told
    assert f"`average`: `deep` changed (flow.rs:{line_of(text, 'fn deep')}), which it reaches by `rolling_mean`" in told
    assert re.search(r"values   .*`average`.* came out otherwise; 1 value the same", told), told
    assert re.search(r"report +2\.67 +6\.00", told), told
    kernel.ok("%run average report")
    assert "the same went in, and the same came out" in kernel.ok("%runs diff").text


def test_a_run_is_repeated_or_what_is_missing_is_named(start, tmp_path):
    kernel = start()
    kernel.ok("%config region=us")
    kernel.ok("%run report --input path=sales.csv")
    first = ids(kernel)[0]
    kernel.ok("%config region=uk")
    kernel.ok("%input path=other.csv")
    again = kernel.ok(f"%runs repeat {first}")
    assert again.result == '"2.67"' and f"the same as {first}: 6 values, all of them found and none computed again" in again.stderr
    assert records(tmp_path)[-1]["config"] == {"region": "us"}
    again = kernel.ok(f"%runs repeat {first} --all")
    assert again.ran == ["sales", "spend", "average", "weights", "report"]
    assert f"the same as {first}: 6 values\n" in again.stderr and records(tmp_path)[-1]["recompute"] == "all"
    # What the notebook has set is as before.
    assert "uk" in kernel.ok("%config").text and "other.csv" in kernel.ok("%input").text
    (tmp_path / "sales.csv").write_text("spend,shop\n5.5,a\n2.5,b\n")
    assert f"not the same as {first}: `sales.csv` held other data then" in kernel.ok(f"%runs repeat {first}").stderr
    text = (tmp_path / "flow.rs").read_text()
    (tmp_path / "flow.rs").write_text(text.replace("x * 2.0", "x * 3.0"))
    error = str(kernel.fails(f"%runs repeat {first}", "CannotRepeat"))
    assert f"`average`: `deep` changed (flow.rs:{line_of(text, 'fn deep')}), which it reaches by `rolling_mean`" in error
    assert "region=uk" in kernel.ok("%config").text.replace(" ", "=") or "uk" in kernel.ok("%config").text
    (tmp_path / "flow.rs").write_text(text)
    (tmp_path / "sales.csv").write_text("spend,shop\n1.5,a\n2.5,b\n")
    assert "the same as" in kernel.ok(f"%runs repeat {first}").stderr


def test_repeating_says_what_is_so(start, tmp_path):
    kernel = start()
    kernel.ok("%run report nothing --input nothing=3")
    first = ids(kernel)[0]
    # An input that nothing takes is on record with the others.
    assert "the same as" in kernel.ok(f"%runs repeat {first}").stderr
    kernel.ok("%input path=other.csv")
    kernel.ok(f"%runs repeat {first}")
    # What came of other inputs is not shown as if it were of these.
    assert "stale" in kernel.ok("%nodes").text
    # Records that cannot be written do not make a run its own witness.
    runs = tmp_path / ".brooklet" / "runs" / "runs.jsonl"
    runs.rename(runs.with_name("runs-1.jsonl"))
    runs.mkdir()
    kernel.ok("%cache clear")
    (tmp_path / "sales.csv").write_text("spend,shop\n7.5,a\n2.5,b\n")
    assert f"not the same as {first}" in kernel.ok(f"%runs repeat {first}").stderr


def test_runs_of_many_nodes_are_compared_by_cause_and_at_once(tmp_path):
    kernel = Kernel(tmp_path)
    try:
        many = "".join(f"pub fn n{i}(n{i - 1}: i64) -> i64 {{ helper(n{i - 1}) }}\n" for i in range(1, 400))
        flow = f"fn helper(x: i64) -> i64 {{ x + 1 }}\npub fn n0() -> i64 {{ 0 }}\n{many}"
        kernel.write("flow.rs", flow)
        kernel.ok("%watch flow.rs")
        kernel.ok("n399")
        first = ids(kernel)[0]
        kernel.write("flow.rs", flow.replace("x + 1", "x + 2"))
        kernel.ok("n399")
        told = kernel.ok("%runs diff")
        assert "`n8` and 391 more: `helper` changed (flow.rs:2), which it calls" in told.text
        assert told.text.count("helper") == 1
        error = str(kernel.fails(f"%runs repeat {first}", "CannotRepeat"))
        assert error.count("helper") == 1
        kernel.ok("%runs clear")
        assert "nothing was run here yet" in kernel.ok("%runs").text
    finally:
        kernel.close()


def test_why_is_about_the_code_that_ran_and_not_about_what_was_saved_since(start, tmp_path):
    kernel = start()
    kernel.ok("report")
    text = (tmp_path / "flow.rs").read_text()
    (tmp_path / "flow.rs").write_text(text.replace("x * 2.0", "x * 3.0"))
    kernel.ok("report")
    (tmp_path / "flow.rs").write_text("// moved\n" + text.replace("x * 2.0", "x * 3.0").replace("= 3;", "= 4;"))
    why = kernel.ok("%why average").text
    assert f"because `deep` changed (flow.rs:{line_of(text, 'fn deep')}), which it reaches by `rolling_mean`." in why
    assert "WINDOW" not in why and "Its code has changed since" in why


def test_what_cannot_be_recomputed_or_cached_is_told_before_anything_runs(start):
    kernel = start()
    kernel.ok("report")
    assert "is an input" in str(kernel.fails("%run report --recompute path"))
    assert "this run does not compute `report`" in kernel.ok("%run spend --recompute report").stderr
    kernel.write("flow.rs", FLOW.replace("pub fn report(", "#[cache(file(weights))]\npub fn report(").replace("pub fn average(", "#[cache(format = \"parquet\")]\npub fn average("))
    error = str(kernel.fails("report", "cache-type-mismatch"))
    assert "`weights` is a `Weights`, which names no file" in error and "`average` is a `f64`, and only frames" in error


def test_a_run_that_ends_the_worker_is_on_record(start, tmp_path):
    kernel = start()
    kernel.write("flow.rs", TAGGED.replace("rolling_mean(spend) }", "std::process::exit(spend as i32) }"))
    kernel.fails("report")
    ids(kernel)
    last = records(tmp_path)[-1]
    assert last["outcome"] == "died" and "exit" in last["problems"][-1] + last["problems"][0]
    assert {it["node"]: it["state"] for it in last["nodes"]}["spend"] == "ran"


def test_what_is_to_be_computed_again_is(start):
    kernel = start()
    kernel.ok("report")
    assert kernel.ok("%run report --recompute spend").ran == ["spend"]
    assert "because the run was to compute it again" in kernel.ok("%why spend").text
    assert kernel.ok("%run report --recompute spend weights").ran == ["spend", "weights"]
    assert kernel.ok("%run report --all").ran == ["sales", "spend", "average", "weights", "report"]
    assert "did you mean `spend`" in str(kernel.fails("%run report --recompute spned"))
    assert "needs names of nodes" in str(kernel.fails("%run report --recompute"))


@pytest.mark.parametrize(
    ("behaviour", "runs"),
    [("recompute", ["average"]), ("disable", ["average", "weights", "report"]), ("ignore", [])],
)
def test_cache_attributes_have_their_meaning_and_take_effect_without_compiling(start, tmp_path, behaviour, runs):
    kernel = start()
    kernel.ok("report")
    compiled = len(list(tmp_path.parent.glob("**/libtransforms*")))
    text = (tmp_path / "flow.rs").read_text()
    (tmp_path / "flow.rs").write_text(text.replace("pub fn average", f"#[cache({behaviour})]\npub fn average"))
    # Ignored, it has another version for those that take it, once.
    kernel.ok("report")
    again = kernel.ok("report")
    assert again.ran == runs and again.result == '"2.67"'
    kernel.close()
    kernel = start()
    again = kernel.ok("report")
    # What it takes was sooner computed than read, so it is in no file.
    assert [it for it in again.ran if it != "spend"] == runs and again.result == '"2.67"'
    assert len(list(tmp_path.parent.glob("**/libtransforms*"))) == compiled


def test_records_that_cannot_be_written_are_told_once(tmp_path):
    (tmp_path / ".brooklet").mkdir()
    (tmp_path / ".brooklet" / "runs").write_text("in the way")
    kernel = Kernel(tmp_path)
    try:
        kernel.write("flow.rs", "pub fn a() -> i64 { 1 }")
        kernel.ok("%watch flow.rs")
        told = "".join(kernel.ok(cell).stderr for cell in ["a", "%runs", "a", "%runs", "a"])
        assert told.count("runs are not recorded") == 1
    finally:
        kernel.close()

"""The graph language in a notebook: attributes, configuration, tags, schemas. Hamilton's cases are named T.."""

import json
import os
import pathlib
import re
import shutil

from conftest import REPOSITORY

LANGUAGE = REPOSITORY / "notebooks" / "language" / "language.rs"
INPUTS = "%input net=100.0 y=5 scale=10"

VARIANTS = """
#[config(when(region = "us"))] pub fn rate__us() -> f64 { RAN!(us); 0.0 }
#[config(when(region = "uk"))] pub fn rate__uk() -> f64 { RAN!(uk); 0.2 }
pub fn gross(net: f64, rate: f64) -> f64 { RAN!(gross); net * (1.0 + rate) }
"""


def language(notebook):
    shutil.copy(LANGUAGE, notebook.directory / "language.rs")
    notebook.ok("%watch language.rs")
    notebook.ok(INPUTS)


def compiled(notebook):
    """The libraries that were built so far: one for each compile."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "brooklet"
    cache = pathlib.Path(os.environ.get("BROOKLET_CACHE") or cache)
    return len(list(cache.glob(f"sessions/{notebook.pid}-*/generations/*.so")))


def test_every_attribute_gives_the_numbers_that_a_program_gives(notebook):
    language(notebook)
    notebook.ok("%config region=uk")
    values = notebook.run(
        "gross", "p1", "p2", "p3", "total", "spread", "per_signup", "small_product", "small_sum", "large_product", "large_sum"
    )
    assert values == {
        "gross": 120.0, "p1": 15, "p2": 25, "p3": 75, "total": 32, "spread": 0.3, "per_signup": [10.0, 5.0],
        "small_product": [10], "small_sum": [12], "large_product": [100], "large_sum": [102],
    }


def test_another_configuration_is_another_graph_and_no_compile(notebook):
    notebook.watch(VARIANTS)
    notebook.ok("%input net=100.0")
    error = notebook.fails("%run gross", "no-variant")
    assert 'there are "us", "uk"' in error.value and "`%config region=us`" in error.traceback
    assert re.search(r"flow\.rs:\d+", error.traceback)
    shown = notebook.ok("%config region=us")
    assert "changed" in shown.text or "rate" in shown.text
    assert notebook.run("gross") == {"gross": 100.0}
    before = compiled(notebook)
    notebook.ok("%config region=uk")
    reply = notebook.ok("%run gross")
    assert reply.ran == ["uk", "gross"] and "120" in reply.text
    notebook.ok("%config region=us")
    assert notebook.ok("%run gross").ran == []
    error = notebook.fails("%config region=fr\n%run gross", "no-variant")
    assert 'region = "fr"' in error.value
    assert compiled(notebook) == before > 0


def test_a_configured_value_replaces_its_node_and_is_an_input(notebook):
    notebook.watch(VARIANTS)
    notebook.ok("%input net=100.0\n%config rate=0.5")
    reply = notebook.ok("%run gross")
    assert reply.ran == ["gross"] and "150" in reply.text
    nodes = {it["name"]: it["kind"] for it in json.loads(notebook.ok("%nodes --as json").text)}
    assert nodes == {"gross": "transform", "net": "input", "rate": "input"}
    notebook.fails("%run gross --input rate=0.1", "input-is-configured")
    notebook.fails("%input rate=0.1", "UsageError")
    assert "did you mean `region`" in notebook.ok("%config regoin=us").stderr


def test_two_variants_at_once_are_told_with_both_places(notebook):
    notebook.write("two.rs", '#[config(when(a = 1))] pub fn x__1() -> i64 { 1 }\n#[config(when_not(b = 2))] pub fn x__2() -> i64 { 2 }')
    notebook.ok("%config a=1")
    error = notebook.fails("%watch two.rs", "ambiguous-variant")
    assert "two variants of `x` match a = 1, b (not configured)" in error.value
    assert "two.rs:3:" in error.traceback and " 2 │" in error.traceback
    notebook.ok("%config b=2")
    assert notebook.run("x") == {"x": 1}


def test_a_default_that_changes_compiles_nothing_and_runs_what_needs_it(notebook):
    flow = "#[defaults(k = {k})]\npub fn a(x: i64, k: i64) -> i64 {{ RAN!(a); x + k }} pub fn b(a: i64) -> i64 {{ RAN!(b); a }} pub fn c(x: i64) -> i64 {{ RAN!(c); x }}"
    notebook.watch(flow.format(k=3))
    notebook.ok("%input x=1")
    assert notebook.run("b", "c") == {"b": 4, "c": 1}
    before = compiled(notebook)
    notebook.write("flow.rs", flow.format(k=10))
    reply = notebook.ok("%run b c --as json")
    assert (reply.json, reply.ran) == ({"b": 11, "c": 1}, ["a", "b"])
    assert notebook.ok("%run b --input k=3").ran == []
    notebook.write("flow.rs", flow.format(k='"x"'))
    error = notebook.fails("%run b", "bad-literal")
    assert "in an attribute of `a`" in error.value
    assert compiled(notebook) == before > 0


def test_a_source_runs_once_for_all_its_parts(notebook):
    notebook.watch("""
    #[extract_columns(a, b as c)] pub fn base() -> PolarsResult<DataFrame> { RAN!(base); df!("a" => [1i64, 2, 3], "b" => [4i64, 5, 6]) }
    #[unpack(low, high)] pub fn ends(a: &Series) -> (i64, String) { RAN!(ends); (a.min().unwrap().unwrap(), "z".to_owned()) }
    #[extract_columns(zz)] pub fn short() -> PolarsResult<DataFrame> { df!("only" => [1i64]) }
    """)
    reply = notebook.ok("%run a c low high --as json")
    assert reply.json == {"a": [1, 2, 3], "c": [4, 5, 6], "low": 1, "high": "z"}
    assert reply.ran == ["base", "ends"]
    error = notebook.fails("%run zz", "Error")
    assert "there is no column `zz`; the frame has `only`" in error.value


def test_parts_and_groups_have_values_in_cells(notebook):
    language(notebook)
    notebook.ok("%config region=us")
    assert notebook.ok('format!("{} {} {:?}", total, spend.len(), signups.sum::<i64>().unwrap())').result == '"32 2 5"'


def test_types_of_parts_and_groups_are_compared(notebook):
    notebook.write("bad.rs", "#[extract_columns(a)] pub fn n() -> i64 { 1 }")
    error = notebook.fails("%watch bad.rs", "edge-type-mismatch")
    assert "edge n → a: expected `DataFrame`, found `i64`" in error.value
    notebook.write("bad.rs", '#[inject(xs = [a, b])] pub fn s(xs: &[i64]) -> i64 { 1 }\npub fn a() -> i64 { 1 }\npub fn b() -> f64 { 1.0 }')
    error = notebook.fails("%run s", "edge-type-mismatch")
    assert "edge b → s: expected `i64`, found `f64`" in error.value
    notebook.write("bad.rs", "#[inject(x = [a])] pub fn s(x: i64) -> i64 { 1 }\npub fn a() -> i64 { 1 }")
    error = notebook.fails("%run s")
    assert "a group of nodes cannot feed a parameter of type `i64`" in error.traceback and "bad.rs:2" in error.traceback
    notebook.write("bad.rs", "#[inject(x = [a])] pub fn s(x: std::collections::HashMap<String, i64>) -> i64 { 1 }\npub fn a() -> i64 { 1 }")
    assert "a list of nodes" in notebook.fails("%run s", "edge-type-mismatch").value
    notebook.write("bad.rs", "pub struct P; #[unpack(x, y)] pub fn s() -> (P, i64) { (P, 1) }\n")
    assert "is not `Clone`" in notebook.fails("%run y").traceback


def test_tags_filter_and_schemas_warn(notebook):
    language(notebook)
    names = lambda options: re.findall(r"^(\w+) ", notebook.ok(f"%nodes {options}").text, re.MULTILINE)[1:]
    assert names("--tag unit") == ["spend"]
    assert names("--tag stage=[weekly,daily] --tag owner=ds") == ["recent"]
    notebook.fails("%nodes --tag stage=[]", "UsageError")
    shown = notebook.ok("%dag daily --schema")
    assert "sign ups" in shown.html and "sign ups" in shown.text
    notebook.watch('#[schema(a: i64, b: str)] pub fn frame() -> PolarsResult<DataFrame> { df!("a" => [1.5], "c" => ["x"]) }', "s.rs")
    warned = notebook.ok("%run frame").stderr
    assert "warning: `frame` is not as its schema says: column `a` is `f64`, declared as `i64`; column `b` is missing" in warned


def test_a_later_file_overrides_when_it_may(notebook):
    notebook.write("one.rs", "pub fn b(a: i64) -> i64 { a + 1 }\npub fn c(b: i64) -> i64 { b + 1 }")
    notebook.write("two.rs", "pub fn c(b: i64) -> i64 { b + 13 }")
    error = notebook.fails("%watch one.rs two.rs", "duplicate-node")
    assert "one.rs" in error.traceback and "two.rs" in error.traceback
    notebook.ok("%watch --allow-overrides")
    assert notebook.run("c", options="--override b=1") == {"c": 14}  # T25
    assert notebook.run("c", options="--input a=1") == {"c": 15}


def test_targets_may_be_plain_inputs(notebook):
    notebook.watch("pub fn d(a: i64) -> i64 { a + 3 }")
    assert notebook.run("d", "e", options="--input a=1 --input e=10") == {"d": 4, "e": 10}  # T26

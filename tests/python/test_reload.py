"""The loop: edit a file, execute a cell, see what the new code says, and nothing stale."""

import pathlib
import re

from conftest import REPOSITORY

HELLO = REPOSITORY / "notebooks" / "hello" / "hello.rs"
INPUTS = "%input spend=[10,10,20,40,40,50] signups=[1,10,50,100,200,400]"

def chain(**bodies):
    """Four nodes in a diamond, each saying when it runs."""
    body = {"a": "x + 1", "b": "a * 2", "c": "a * 3", "d": "b + c"} | bodies
    parameters = {"a": "x: i64", "b": "a: i64", "c": "a: i64", "d": "b: i64, c: i64"}
    return "\n".join(f"pub fn {n}({parameters[n]}) -> i64 {{ RAN!({n}); {body[n]} }}" for n in "abcd") + "\n"


def hello(notebook):
    notebook.write("hello.rs", HELLO.read_text(), prelude=False)
    notebook.ok("%watch hello.rs")
    notebook.ok(INPUTS)


# The numbers of Hamilton's hello_world, to the last digit (reference T03, T04).

T03 = {
    "avg_3wk_spend": [None, None, 13.333333333333334, 23.333333333333332, 33.333333333333336, 43.333333333333336],
    "spend_per_signup": [10.0, 1.0, 0.4, 0.4, 0.2, 0.125],
    "spend_zero_mean_unit_variance": [
        -1.0644053746097524, -1.0644053746097524, -0.4838206248226147,
        0.6773488747516607, 0.6773488747516607, 1.2579336245387984,
    ],
}
T04 = {"spend_mean": 28.333333333333332, "spend_std_dev": 17.224014243685083}


def test_hello_world_series_are_right_to_the_last_digit(notebook):
    hello(notebook)
    assert notebook.run(*T03, "spend", "signups") == {
        **T03, "spend": [10, 10, 20, 40, 40, 50], "signups": [1, 10, 50, 100, 200, 400],
    }


def test_hello_world_scalars_are_right_to_the_last_digit(notebook):
    hello(notebook)
    values = notebook.run(*T04, "spend_zero_mean")
    assert {it: values[it] for it in T04} == T04
    assert values["spend_zero_mean"] == [it - T04["spend_mean"] for it in (10, 10, 20, 40, 40, 50)]


def test_several_series_make_one_frame_with_a_column_for_each(notebook):
    hello(notebook)
    reply = notebook.ok("%run avg_3wk_spend spend_per_signup spend_mean")
    frame = [it["text/html"] for it in reply.bundles() if "<table" in it["text/html"]]
    assert len(frame) == 1
    assert all(name in frame[0] for name in ("avg_3wk_spend", "spend_per_signup", "spend_mean"))
    assert "shape: (6, 3)" in reply.result


def test_a_bare_name_and_a_tuple_show_values_with_no_compilation(notebook):
    hello(notebook)
    assert notebook.ok("spend_mean").result == "28.333333333333332"
    reply = notebook.ok("(spend_mean, spend_std_dev)")
    assert "shape: (1, 2)" in reply.result and "28.333333" in reply.result and "17.224014" in reply.result
    assert not notebook.processes("cells"), "a bare name started evcxr"


def test_the_picture_is_drawn_and_lights_up(notebook):
    hello(notebook)
    reply = notebook.ok("%dag")
    assert "brooklet-dag" in reply.html and "<svg" in reply.html
    assert all(name in reply.html and name in reply.text for name in [*T03, *T04, "spend", "signups"])
    reply = notebook.ok("%run spend_per_signup")
    picture = [it for it in reply.outputs if "brooklet-dag" in it["content"]["data"].get("text/html", "")]
    assert len(picture) == 1 and picture[0]["content"]["transient"]["display_id"]


def test_two_pictures_share_no_id(notebook):
    hello(notebook)
    first, second = (set(re.findall(r'\bid="([^"]+)"', notebook.ok("%dag").html)) for _ in range(2))
    assert first.isdisjoint(second)


def test_nodes_are_listed_sorted_with_all_that_is_known(notebook):
    hello(notebook)
    nodes = notebook.ok("%nodes --as json").json
    assert [it["name"] for it in nodes] == sorted([*T03, *T04, "spend_zero_mean", "spend", "signups"])
    by_name = {it["name"]: it for it in nodes}
    assert set(by_name["spend_mean"]) >= {"name", "kind", "type", "file", "line", "doc", "tags", "required", "optional"}
    mean = by_name["spend_mean"]
    assert (mean["kind"], mean["type"], mean["file"], mean["doc"]) == ("transform", "f64", "hello.rs", "Average spend.")
    lines = HELLO.read_text().splitlines()
    assert lines[mean["line"] - 1].startswith("pub fn spend_mean")
    assert (mean["required"], mean["optional"]) == (["spend"], [])
    assert by_name["spend"]["kind"] == "input" and by_name["spend"]["type"] == "Series"
    assert notebook.ok("%dag --as json").json == nodes


def test_what_is_given_is_shown_before_a_run_takes_it(notebook):
    notebook.watch("pub fn sum(a: i64, b: Option<i64>, c: Option<i64>) -> i64 { a + b.unwrap_or(0) + c.unwrap_or(0) }")
    notebook.ok("%input a=12 b=null")
    assert "◆ a: i64 = 12\n" in notebook.ok("%dag").text
    assert "◇ b?: i64\n" in notebook.ok("%dag").text
    rows = {it.split()[0]: it.split()[-1] for it in notebook.ok("%nodes").text.splitlines()}
    assert (rows["a"], rows["b"], rows["c"]) == ("given", "input", "input")


# Reuse


def test_nothing_runs_twice_and_an_edit_runs_what_depends_on_it(notebook):
    notebook.watch(chain())
    notebook.ok("%input x=1")
    first = notebook.ok("%run d")
    assert sorted(first.ran) == ["a", "b", "c", "d"] and first.ran[0] == "a" and first.ran[-1] == "d"
    assert notebook.ok("%run d").ran == []
    assert notebook.ok("%run b c").ran == []
    notebook.write("flow.rs", chain(c="a * 30"))
    reply = notebook.ok("%run d")
    assert reply.ran == ["c", "d"] and reply.result == "64"


def test_only_what_is_asked_for_runs(notebook):
    notebook.watch(chain())
    assert notebook.ok("%run b --input x=5").ran == ["a", "b"]
    assert notebook.run("c", options="--input x=5") == {"c": 18}


def test_comments_docs_and_layout_run_nothing(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=10")
    text = chain().replace("pub fn b", "/// Twice.\n// really\npub fn b").replace(" { ", " {\n    ")
    notebook.write("flow.rs", text)
    assert notebook.ok("%run d --input x=10").ran == []
    assert "Twice." in notebook.ok("%nodes --as json").json[1]["doc"]


def test_a_new_value_that_equals_the_old_stops_the_wave(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=20")
    notebook.write("flow.rs", chain(a="1 + x"))
    assert notebook.ok("%run d --input x=20").ran == ["a"]


def test_going_back_to_an_earlier_text_runs_nothing(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=30")
    notebook.write("flow.rs", chain(b="a * 200"))
    assert notebook.ok("%run d --input x=30").ran == ["b", "d"]
    notebook.write("flow.rs", chain())
    reply = notebook.ok("%run d --input x=30")
    assert reply.ran == [] and reply.result == "155"


def test_helpers_consts_types_and_macros_count_as_code(notebook):
    def flow(step="1", rate="2", extra="", suffix='"!"'):
        return f"""
            const RATE: i64 = {rate};
            fn helper(x: i64) -> i64 {{ inner(x) }}
            fn inner(x: i64) -> i64 {{ x + {step} }}
            #[derive(Debug, Clone, PartialEq)] pub struct Point {{ pub x: i64 }}
            impl Point {{ fn moved(&self) -> i64 {{ self.x {extra} }} }}
            macro_rules! tail {{ () => {{ {suffix} }} }}
            pub fn with_helper(k: i64) -> i64 {{ RAN!(with_helper); helper(k) }}
            pub fn with_const(k: i64) -> i64 {{ RAN!(with_const); k * RATE }}
            pub fn with_type(k: i64) -> i64 {{ RAN!(with_type); Point {{ x: k }}.moved() }}
            pub fn with_macro(k: i64) -> String {{ RAN!(with_macro); format!("{{k}}{{}}", tail!()) }}
            pub fn with_nothing(k: i64) -> i64 {{ RAN!(with_nothing); k }}
        """

    everything = ["with_const", "with_helper", "with_macro", "with_nothing", "with_type"]
    run = "%run " + " ".join(everything) + " --as json --input k=7"
    notebook.watch(flow())
    assert sorted(notebook.ok(run).ran) == everything
    for change, node, value in [
        ({"step": "10"}, "with_helper", 17), ({"rate": "5"}, "with_const", 35),
        ({"extra": "+ 100"}, "with_type", 107), ({"suffix": '"?"'}, "with_macro", "7?"),
    ]:
        notebook.write("flow.rs", flow(**change))
        reply = notebook.ok(run)
        assert reply.json[node] == value
        assert node in reply.ran and "with_nothing" not in reply.ran


def test_a_renamed_node_is_removed_and_added(notebook):
    notebook.watch(chain())
    notebook.write("flow.rs", chain().replace("pub fn b(", "pub fn bb(").replace("(b: i64,", "(bb: i64,").replace("{ RAN!(d); b +", "{ RAN!(d); bb +"))
    changed = notebook.ok("%diff").text
    assert "bb" in changed
    notebook.fails("%run b --input x=1", "unknown-target")


def test_why_explains_a_run_and_a_reuse(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=40")
    notebook.write("flow.rs", chain(c="a * 31"))
    notebook.ok("%run d --input x=40")
    assert "code" in notebook.ok("%why c").text
    assert "`c`" in notebook.ok("%why d").text
    assert "reused" in notebook.ok("%why b").text


def test_inputs_accumulate_and_a_run_can_replace_them(notebook):
    notebook.watch("pub fn total(p: i64, q: i64) -> i64 { p + q }\n")
    notebook.ok("%input p=1")
    notebook.ok("%input q=2")
    assert notebook.run("total") == {"total": 3}
    assert notebook.run("total", options="--input q=20 --input p=10") == {"total": 30}
    assert notebook.run("total") == {"total": 3}


def test_an_override_takes_the_place_of_a_node_and_its_inputs(notebook):
    notebook.watch(chain())
    reply = notebook.ok("%run d --override b=100 --override c=11 --as json")
    assert reply.json == {"d": 111} and reply.ran == ["d"]


def test_values_survive_as_json_exactly(notebook):
    notebook.watch("""
        pub fn whole(n: i64) -> i64 { n }
        pub fn big(n: i64) -> u64 { u64::MAX - n as u64 }
        pub fn not_a_number(n: i64) -> f64 { 0.0 / (n - n) as f64 }
        pub fn infinite(n: i64) -> Vec<f64> { vec![1.0 / (n - n) as f64, -1.0 / (n - n) as f64, 0.1] }
        pub fn nothing(n: i64) -> Option<i64> { (n < 100).then_some(n) }
        pub fn frame(n: i64) -> PolarsResult<DataFrame> { df!("a" => [Some(n), None], "b" => ["x", "é\\"<"]) }
    """)
    values = notebook.run("whole", "big", "not_a_number", "infinite", "nothing", "frame", options="--input n=9007199254740993")
    assert values == {
        "whole": 9007199254740993, "big": 2**64 - 1 - 9007199254740993, "not_a_number": "NaN",
        "infinite": ["inf", "-inf", 0.1], "nothing": None,
        "frame": {"a": [9007199254740993, None], "b": ["x", "é\"<"]},
    }


def test_literals_take_the_type_of_the_parameter(notebook):
    notebook.write("data.csv", "a,b\n1,x\n2,y\n", prelude=False)
    notebook.watch("""
        pub fn text(s: &str) -> String { s.to_uppercase() }
        pub fn maybe(m: Option<i64>) -> i64 { m.unwrap_or(-1) }
        pub fn sum(v: &Series) -> PolarsResult<f64> { Ok(v.cast(&DataType::Float64)?.sum::<f64>()?) }
        pub fn rows(table: &DataFrame) -> usize { table.height() }
        pub fn lazy_rows(table2: LazyFrame) -> PolarsResult<usize> { Ok(table2.collect()?.height()) }
        pub fn flag(on: bool) -> bool { !on }
    """)
    values = notebook.run(
        "text", "maybe", "sum", "rows", "lazy_rows", "flag",
        options="--input s=us --input v=[1,null,2.5] --input table=data.csv --input table2=data.csv --input on=true",
    )
    assert values == {"text": "US", "maybe": -1, "sum": 3.5, "rows": 2, "lazy_rows": 2, "flag": False}


# Compile errors


def test_a_compile_error_stands_at_the_users_line_and_values_are_kept(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=50")
    text = chain(b='"no"')
    notebook.write("flow.rs", text)
    error = notebook.fails("%run d --input x=50", "E0308")
    line = 1 + next(i for i, it in enumerate(text.splitlines(), 1) if "pub fn b" in it)
    assert f"flow.rs:{line}:" in error.traceback and "expected `i64`, found `&str`" in error.traceback
    notebook.write("flow.rs", chain())
    assert notebook.ok("%run d --input x=50").ran == []


def test_every_cell_fails_while_the_code_does_not_compile(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=60")
    notebook.write("flow.rs", chain(b="missing_name"))
    for cell in ("%run c --input x=60", "c", "%run a --input x=60"):
        assert "missing_name" in notebook.fails(cell, "E0425").traceback


def test_graph_problems_are_told_all_at_once_with_compile_errors(notebook):
    notebook.watch(chain())
    notebook.write("flow.rs", """
        pub fn a(b: i64) -> i64 { b }
        pub fn b(a: i64) -> i64 { a }
        pub fn c<T>(x: T) -> i64 { 1 }
        pub fn s(s: i64) -> i64 { s }
        pub fn e(x: i64) -> i64 { "text" }
    """)
    error = notebook.fails("%run e --input x=1")
    for part in ("cycle", "generic-fn", "self-dependency", "E0308", "flow.rs:"):
        assert part in error.traceback, f"{part} is not in\n{error.traceback}"


def test_a_type_mismatch_names_both_ends(notebook):
    notebook.write("flow.rs", "pub fn orders(n: i64) -> i64 { n }\npub fn revenue(orders: f64) -> f64 { orders }\n")
    notebook.execute("%watch flow.rs")
    error = notebook.fails("%run revenue --input n=1", "edge-type-mismatch")
    assert "`f64`" in error.traceback and "`i64`" in error.traceback
    assert "flow.rs:3" in error.traceback and " 2 │ pub fn orders" in error.traceback


def test_unknown_targets_and_missing_inputs_are_listed_with_a_hint(notebook):
    notebook.watch(chain())
    error = notebook.fails("%run dd", "unknown-target")
    assert "dd" in error.value
    error = notebook.fails("%check d", "missing-input")
    assert "`x`" in error.traceback and "`a`" in error.traceback


def test_two_files_may_not_define_one_node_unless_allowed(notebook):
    notebook.write("one.rs", "pub fn v(x: i64) -> i64 { x }\n")
    notebook.write("two.rs", "pub fn v(x: i64) -> i64 { x * 10 }\n")
    error = notebook.fails("%watch one.rs two.rs\n%run v --input x=4", "duplicate-node")
    assert "one.rs:2" in error.traceback and "two.rs:2" in error.traceback
    notebook.ok("%unwatch")
    notebook.ok("%watch --allow-overrides one.rs two.rs")
    assert notebook.run("v", options="--input x=4") == {"v": 40}


def test_attributes_of_later_are_refused_and_never_ignored(notebook):
    notebook.write("flow.rs", "#[check_output(range(0, 1))]\npub fn v(window: i64) -> i64 { window }\n")
    notebook.execute("%watch flow.rs")
    assert "flow.rs:2" in notebook.fails("%run v --input window=1", "not-yet-supported").traceback


# Cells that are files


def test_a_transform_cell_defines_nodes(notebook):
    notebook.ok("%%transform mine\npub fn ten(x: i64) -> i64 { x * 10 }")
    assert notebook.run("ten", options="--input x=4") == {"ten": 40}
    notebook.ok("%%transform mine\npub fn ten(x: i64) -> i64 { x * 100 }")
    assert notebook.run("ten", options="--input x=4") == {"ten": 400}


def test_source_shows_the_code_of_a_node(notebook):
    notebook.watch(chain())
    assert "a * 2" in notebook.ok("%source b").text


def test_graph_forms_for_other_tools(notebook):
    notebook.watch(chain())
    assert notebook.ok("%dag --as dot").text.startswith("digraph")
    assert "-->" in notebook.ok("%dag --as mermaid").text
    notebook.ok("%dag -o out.svg")
    assert "<svg" in (notebook.directory / "out.svg").read_text()


def test_a_save_while_a_cell_runs_does_not_disturb_it(notebook):
    notebook.watch("""
        pub fn slow(x: i64) -> i64 {
            println!("started");
            while !std::path::Path::new("go").exists() { std::thread::yield_now(); }
            x
        }
        pub fn after(slow: i64) -> i64 { slow + 1 }
    """)
    request = notebook.start("%run after --as json --input x=70")
    text = (notebook.directory / "flow.rs").read_text()

    def save_when_started(message):
        if message["header"]["msg_type"] == "stream" and "started" in message["content"]["text"]:
            notebook.write("flow.rs", text.replace("slow + 1", "slow + 2"), prelude=False)
            (notebook.directory / "go").touch()

    assert notebook.finish(request, "%run after --as json --input x=70", on_message=save_when_started).json == {"after": 71}
    assert notebook.run("after", options="--input x=70") == {"after": 72}


def test_a_hundred_edits_are_each_seen_at_once(notebook):
    for number in range(100):
        notebook.write("count.rs", f"pub fn count() -> i64 {{ {number} }}\n")
        if number == 0:
            notebook.ok("%watch count.rs")
        assert notebook.run("count") == {"count": number}


def test_a_save_is_compiled_before_anybody_asks(notebook):
    notebook.watch(chain())
    notebook.ok("%run d --input x=80")
    notebook.write("flow.rs", chain(d="b - c"))
    notebook.wait_until(lambda: any("rustc" in it.name() for it in notebook.processes()), "the compiler starts")
    notebook.wait_until(lambda: not any("rustc" in it.name() for it in notebook.processes()), "the compiler ends")
    reply = notebook.ok("%run d --input x=80")
    assert reply.result == "-81" and reply.ran == ["d"]


def test_a_directory_is_watched_with_the_files_that_come(notebook):
    notebook.write("more/one.rs", "pub fn one(x: i64) -> i64 { x }\n")
    notebook.ok("%watch more")
    assert notebook.run("one", options="--input x=4") == {"one": 4}
    notebook.write("more/two.rs", "pub fn two(one: i64) -> i64 { one + 1 }\n")
    assert notebook.run("two", options="--input x=4") == {"two": 5}
    (notebook.directory / "more" / "two.rs").unlink()
    notebook.fails("%run two --input x=4", "unknown-target")


def test_a_file_may_use_another(notebook):
    notebook.write("base.rs", "pub(crate) fn helper(x: i64) -> i64 { x * 2 }\npub struct Size { pub n: i64 }\n")
    notebook.write("flow.rs", "use super::base::{Size, helper};\npub fn size(x: i64) -> Size { RAN!(size); Size { n: helper(x) } }\npub fn n(size: &Size) -> i64 { size.n }\n")
    notebook.ok("%watch base.rs flow.rs")
    assert notebook.run("n", options="--input x=4") == {"n": 8}
    notebook.write("base.rs", "pub(crate) fn helper(x: i64) -> i64 { x * 3 }\npub struct Size { pub n: i64 }\n")
    reply = notebook.ok("%run n --as json --input x=4")
    assert reply.json == {"n": 12} and reply.ran == ["size"]


def test_values_are_shown_in_html_and_in_text(notebook):
    notebook.watch("""
        #[derive(Debug)] pub struct Shape { pub sides: u8, pub name: &'static str }
        pub fn frame(k: i64) -> PolarsResult<DataFrame> { df!("number" => [Some(k), None], "<b>" => ["<i>x</i>", "y"]) }
        pub fn series(k: i64) -> Series { Series::new("s".into(), [k, k + 1, k + 2]) }
        pub fn lazy(frame: LazyFrame) -> LazyFrame { frame.filter(col("number").gt(lit(100))) }
        pub fn scalar(k: i64) -> f64 { k as f64 / 3.0 }
        pub fn shape(k: i64) -> Shape { Shape { sides: k as u8, name: "<hex>" } }
        pub fn never(k: i64) -> LazyFrame { let f: LazyFrame = df!("a" => [k]).unwrap().lazy(); f.map(|_| panic!("collected"), Default::default(), None, None) }
    """)
    notebook.ok("%input k=6")
    frame = notebook.ok("frame")
    assert "<table" in frame.html and "null" in frame.html and "&lt;i&gt;x&lt;/i&gt;" in frame.html
    assert "<i>x</i>" not in frame.html and "shape: (2, 2)" in frame.result
    series = notebook.ok("series")
    assert "<table" in series.html and "shape: (3,)" in series.result and "i64" in series.html
    lazy = notebook.ok("lazy")
    assert "not collected" in lazy.html and "number" in lazy.html and "FILTER" in lazy.html + lazy.text
    assert notebook.ok("scalar").result == "2.0"
    shape = notebook.ok("shape")
    assert "Shape" in shape.result and "&lt;hex&gt;" in shape.html and "<hex>" not in shape.html
    assert "not collected" in notebook.ok("never").html


def test_parts_of_the_graph_can_be_chosen(notebook):
    notebook.watch(chain())

    def drawn(arguments):
        return set(re.findall(r'^\s*n\d+ \[label="(\w)\b', notebook.ok(f"%dag {arguments} --as dot").text, re.MULTILINE))

    assert drawn("b") == {"x", "a", "b"}
    assert drawn("a --down 1") >= {"a", "b", "c"} and "d" not in drawn("a --down 1")
    assert drawn("d --up 1") == {"b", "c", "d"}
    assert drawn("--path x b") == {"x", "a", "b"}
    assert "x" not in drawn("--hide-inputs")
    assert notebook.ok("%dag --lr").html != notebook.ok("%dag --tb").html


def test_config_is_kept_and_shown(notebook):
    notebook.ok("%config region=us")
    notebook.ok("%config scale=2")
    shown = notebook.ok("%config").text
    assert "region" in shown and "us" in shown and "scale" in shown


def test_help_names_every_magic(notebook):
    payload = notebook.ok("%help").content["payload"]
    text = payload[0]["data"]["text/plain"]
    for magic in "watch unwatch config input run dag nodes source check why diff time restart help transform".split():
        assert f"%{magic}" in text, magic
    assert "--override" in notebook.ok("%help run").content["payload"][0]["data"]["text/plain"]


def test_polars_runs_as_it_does_in_python(notebook):
    notebook.watch(
        "pub fn streams() -> String { std::env::var(\"POLARS_AUTO_STREAMING\").unwrap_or_default() }\n"
        "pub fn squares() -> PolarsResult<DataFrame> { df!(\"a\" => (0..100_000i64).collect::<Vec<_>>())?.lazy()"
        ".select([(col(\"a\") * col(\"a\")).sum()]).collect() }\n"
    )
    assert notebook.ok("streams").text == '"1"'
    assert notebook.ok("%run squares --as json").json == {"squares": {"a": [333328333350000]}}
    # The executable's allocator serves the image as well: it gives back what is free while nothing runs.
    threads = pathlib.Path(f"/proc/{notebook.worker().pid}/task").glob("*/comm")
    assert "jemalloc_bg_thd" in [it.read_text().strip() for it in threads]

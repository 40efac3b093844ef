"""Rust cells: evcxr on the image, with nodes as names (issue 2 point 6)."""

import threading
import uuid

import psutil
import pytest

FLOW = """
/// A pair of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair { pub left: i64, pub right: i64 }
impl Pair { pub fn sum(&self) -> i64 { self.left + self.right } }
pub struct Opaque { pub hidden: i64 }

pub fn spend(n: i64) -> Series { RAN!(spend); Series::new("spend".into(), [n, n * 2, n * 3]) }
pub fn orders(spend: &Series) -> PolarsResult<DataFrame> { RAN!(orders); df!("spend" => spend, "kind" => ["a", "b", "a"]) }
pub fn lazy_orders(orders: &DataFrame) -> LazyFrame { orders.clone().lazy() }
pub fn spend_mean(spend: &Series) -> f64 { RAN!(spend_mean); spend.mean().unwrap_or(f64::NAN) }
pub fn pair(n: i64) -> Pair { Pair { left: n, right: 1 } }
pub fn opaque(n: i64) -> Opaque { Opaque { hidden: n } }
pub fn name(n: i64) -> String { format!("n{n}") }
pub fn words(n: i64) -> Vec<String> { (0..n).map(|it| it.to_string()).collect() }
pub fn sum(n: i64) -> i64 { n }
pub fn broken(n: i64) -> Result<i64, String> { Err(format!("no {n}")) }
"""


@pytest.fixture
def flow(notebook):
    notebook.watch(FLOW)
    notebook.ok("%input n=10")
    return notebook


# Plain Rust


def test_expressions_have_values(notebook):
    assert notebook.ok("1 + 1").result == "2"
    assert notebook.ok('"a".to_owned() + "b"').result == '"ab"'
    assert not [it for it in notebook.ok("let unit = ();").outputs if it["type"] == "execute_result"]


def test_variables_functions_and_types_persist(notebook):
    notebook.ok("let x = vec![1, 2, 3];\nfn double(x: i32) -> i32 { x * 2 }\n#[derive(Debug)] struct P { a: i32 }")
    assert notebook.ok("x.iter().map(|it| double(*it)).sum::<i32>()").result == "12"
    assert notebook.ok("P { a: x[0] }").result == "P { a: 1 }"


def test_polars_and_the_prelude_are_there_without_dep(notebook):
    notebook.ok("use brooklet::prelude::*;")
    reply = notebook.ok('let d = df!("a" => [1i64, 2], "b" => ["x", "y"])?;\nd')
    assert "<table" in reply.html and "shape: (2, 2)" in reply.result
    assert notebook.ok("d.height()").result == "2"


def test_prints_come_before_the_value(notebook):
    reply = notebook.ok('println!("one");\nprint!("two");\neprintln!("three");\n3')
    assert (reply.stdout, reply.stderr, reply.result) == ("one\ntwo", "three\n", "3")


def test_strange_prints_do_not_hang_a_cell(notebook):
    assert notebook.ok('use std::io::Write;\nstd::io::stdout().write_all(b"a\\xffb").unwrap();').stdout == "a\ufffdb"
    assert notebook.ok('print!("{}", "m".repeat(1 << 20));').stdout == "m" * (1 << 20)
    assert notebook.ok('print!("no newline"); std::io::stdout().flush().unwrap();').stdout == "no newline"
    reply = notebook.ok('println!("EVCXR_EXECUTION_COMPLETE");\nprintln!("EVCXR_BEGIN");\n5')
    assert reply.result == "5" and "EVCXR_EXECUTION_COMPLETE" in reply.stdout


# Errors


@pytest.mark.parametrize("code, name, text", [
    ('panic!("boom {}", 1 + 1)', "Panic", "boom 2"),
    ('let v: Vec<i32> = Vec::new();\nv[3]', "Panic", "index out of bounds"),
    ('"x1".parse::<i64>()?', "Error", "invalid digit"),
    ("let y: i32 = \"text\";", "E0308", "mismatched types"),
    ("no_such_name + 1", "E0425", "no_such_name"),
])
def test_an_error_is_one_clear_message_and_the_next_cell_works(notebook, code, name, text):
    notebook.ok("let kept = 41;")
    error = notebook.fails(code, name)
    assert text in error.value + error.traceback
    assert "EVCXR" not in error.traceback
    assert notebook.ok("kept + 1").result == "42"
    assert notebook.ok("1 + 1").result == "2"


def test_the_chain_of_an_error_is_shown(notebook):
    notebook.ok("""
        #[derive(Debug)] struct Outer(std::num::ParseIntError);
        impl std::fmt::Display for Outer { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "outer failed") } }
        impl std::error::Error for Outer { fn source(&self) -> Option<&(dyn std::error::Error + 'static)> { Some(&self.0) } }
        fn outer() -> Result<i64, Outer> { "z".parse().map_err(Outer) }
    """)
    error = notebook.fails("outer()?", "Error")
    assert "outer failed" in error.value and "invalid digit" in error.traceback


def test_abort_and_stack_overflow_lose_variables_and_say_so(notebook):
    for code in ("std::process::abort()", "fn deep(n: u64) -> u64 { 1 + deep(std::hint::black_box(n)) }\ndeep(1)"):
        notebook.ok("let lost_one = 7;")
        error = notebook.fails(code, "WorkerDied")
        assert "lost_one" in error.traceback
        assert notebook.ok("1 + 1").result == "2"
        notebook.fails("lost_one")
        assert notebook.ok("2 + 2").result == "4"


# Nodes in cells


def test_a_node_is_its_value_and_is_computed_when_needed(flow):
    reply = flow.ok("spend_mean + 1.0 + n as f64")
    assert reply.result == "31.0"
    assert flow.ok("spend_mean * 2.0").ran == []


@pytest.mark.parametrize("code, result", [
    ("spend.max::<i64>()?.unwrap_or(0) as f64 / spend_mean", "1.5"),
    ('format!("{spend_mean} {:.1} {name}", spend_mean)', '"20 20.0 n10"'),
    ("(0..2).map(|it| it as f64 + spend_mean).sum::<f64>()", "41.0"),
    ("vec![spend.len(), orders.height()]", "[3, 3]"),
    ("{ let spend = 5; spend + 1 }", "6"),
    ("pair.sum() + pair.left", "21"),
    ("Pair { left: 1, right: 2 }.sum()", "3"),
    ("*pair == Pair { left: 10, right: 1 }", "true"),
    ("words.len() + words[0].len()", "11"),
    ("name.clone() + &name", '"n10n10"'),
    ("if spend_mean > 1.0 { sum } else { 0 }", "10"),
    ("(&spend * 2).sum::<i64>()?", "120"),
    ("match pair { Pair { left, .. } => left }", "10"),
    ('df!("s" => spend, "m" => [spend_mean; 3])?.width()', "2"),
    ('lazy_orders.clone().filter(col("kind").eq(lit("a"))).collect()?.height()', "2"),
    ("assert_eq!(spend_mean, 20.0);\nspend_mean as i64", "20"),
    ("[1, 2].iter().sum::<i64>() + sum", "13"),
])
def test_nodes_follow_rusts_own_rules(flow, code, result):
    assert flow.ok(code).result == result


def test_a_variable_from_a_node_persists(flow):
    flow.ok("let m = spend_mean + 1.0;")
    assert flow.ok("m + spend_mean").result == "41.0"


def test_a_variable_of_the_same_name_wins_and_the_cell_says_so(flow):
    flow.ok("let sum = 3i64;")
    reply = flow.ok("sum + 1")
    assert reply.result == "4" and "`sum`" in reply.stderr + reply.stdout + reply.text
    flow.ok("%restart")


def test_a_tuple_with_an_expression_is_rust(flow):
    assert flow.ok("(spend_mean, 1 + 1)").result == "(20.0, 2)"


def test_a_value_that_cannot_be_printed_shows_its_type(flow):
    assert "Opaque" in flow.ok("opaque").result
    assert flow.ok("opaque.hidden + 0").result == "10"


def test_a_node_that_fails_fails_the_cell(flow):
    error = flow.fails("broken + 1", "Error")
    assert "no 10" in error.value and "`broken`" in error.value
    assert flow.ok("sum + 1").result == "11"


def test_a_cell_sees_edits(flow):
    assert flow.ok("sum + 100").result == "110"
    flow.write("flow.rs", FLOW.replace("pub fn sum(n: i64) -> i64 { n }", "pub fn sum(n: i64) -> i64 { n * 2 }"))
    assert flow.ok("sum + 100").result == "120"
    flow.write("flow.rs", FLOW.replace("pub left: i64, pub right: i64", "pub left: i64, pub right: i64, pub third: u8").replace("right: 1 }", "right: 1, third: 7 }"))
    assert flow.ok("pair.third as i64 + pair.sum()").result == "18"


def test_magics_may_stand_above_rust(flow):
    assert flow.ok("%input n=20\nspend_mean + 0.5").result == "40.5"


def compilers_of(kernel, code):
    """Distinct rustc processes for the cell's own crate while a cell is executed."""
    seen, ended = set(), threading.Event()

    def look():
        while not ended.is_set():
            for process in kernel.processes():
                try:
                    # rustup's proxy becomes the compiler in the same process, so the number tells them apart.
                    # A linker has the compiler's name between its fork and its exec.
                    if process.name() == "rustc" and "ctx" in process.cmdline() and process.ppid() not in seen:
                        seen.add(process.pid)
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    reply = kernel.execute(code)
    ended.set()
    watcher.join()
    return reply, len(seen)


@pytest.mark.parametrize("code", ["sum + 2", "pair", "spend_mean + 0.1", 'let k = "7".parse::<i64>()?;', "orders.clone()"])
def test_a_cell_that_compiles_is_one_build(flow, code):
    flow.ok("sum + 1")
    reply, compilers = compilers_of(flow, code + " // " + uuid.uuid4().hex)
    assert reply.status == "ok" and compilers == (0 if code == "pair" else 1)


def test_other_crates_can_be_added(notebook):
    # `itoa` is in the image's lock file, so this asks nothing new of the registry.
    notebook.ok(':dep itoa = "1"', timeout=300)
    assert notebook.ok('itoa::Buffer::new().format(128u64).to_owned()').result == '"128"'


def test_evcxrs_commands_work_and_cannot_end_the_kernel(notebook):
    notebook.ok("let seen = 5u8;")
    assert "seen" in notebook.ok(":vars").text
    notebook.execute(":quit")
    assert notebook.ok("1 + 2").result == "3"


# Completion and inspection through evcxr


def test_rust_is_completed_and_inspected(notebook):
    notebook.ok("let numbers = vec![1, 2];")
    # rust-analyzer may still be reading polars in the background; until then there is nothing to offer.
    notebook.wait_until(lambda: "is_empty" in notebook.complete("numbers.is_em")["matches"], "the analysis")
    found = notebook.complete("/* 🦀 */ numbers.is_em")
    assert (found["cursor_start"], found["cursor_end"]) == (len("/* 🦀 */ numbers."), len("/* 🦀 */ numbers.is_em"))
    assert notebook.inspect("let v: Vec<i32> = Vec::new();", 8)["found"]


# Asking the person at the notebook


def question(notebook, code):
    """Starts a cell that asks; the request and what it asks."""
    request = notebook.start(code, allow_stdin=True)
    message = notebook.client.get_stdin_msg(timeout=120)
    assert message["header"]["msg_type"] == "input_request" and message["parent_header"]["msg_id"] == request
    return request, message["content"]


def test_a_cell_can_ask(notebook):
    code = 'let name = input("your name? ")?;\nname.len()'
    request, content = question(notebook, code)
    assert content == {"prompt": "your name? ", "password": False}
    notebook.client.input("ada 🦀")
    assert notebook.finish(request, code).result == "8"


def test_asking_fails_where_nobody_can_answer(notebook):
    error = notebook.fails('input("name? ")?', "Error")
    assert error.value and notebook.ok("1 + 1").result == "2"


def test_an_interrupt_ends_the_wait_for_an_answer(notebook):
    notebook.ok("let kept_while_asking = 3;")
    code = 'input("name? ")?'
    request, _ = question(notebook, code)
    notebook.interrupt()
    assert notebook.finish(request, code).status == "error"
    assert notebook.ok("kept_while_asking + 1").result == "4"


# Interrupts


def test_an_interrupt_while_a_cell_compiles_keeps_variables(notebook):
    notebook.ok("let here = 9;")
    big = "\n".join(f"fn f{i}(x: u64) -> String {{ (0..x).map(|it| format!(\"{{it:?}}\")).collect::<Vec<_>>().join(\"{i}\") }}" for i in range(400))
    request = notebook.start(big)
    notebook.wait_until(lambda: any("rustc" in it.name() for it in notebook.processes()), "the compiler starts")
    notebook.interrupt()
    reply = notebook.finish(request, big)
    assert reply.error.name == "Interrupted"
    assert notebook.ok("here + 1").result == "10"


def test_two_interrupts_end_a_cell_that_loops(notebook):
    request = notebook.start('println!("go"); loop { std::hint::black_box(1); }')

    def stop(message):
        if message["header"]["msg_type"] == "stream":
            notebook.interrupt()
            notebook.interrupt()

    reply = notebook.finish(request, on_message=stop, code='println!("go"); loop { std::hint::black_box(1); }')
    assert reply.error.name == "Interrupted"
    assert notebook.ok("1 + 1").result == "2"

"""Values across generations: what may live on does, and what may not is made anew.

A `TypeId` does not see that a field's type changed, let alone through an alias. Reading an old value by a
new layout is undefined behaviour, so each way in which a type can change behind its name has a test here.
Each case has a first and a second text of one file. `make` makes a value of a user's type, `report` reads it.
"""

import re

import pytest

# Shared by all cases: the nodes. `make`'s own text is the same in both versions.
NODES = """
pub fn make(n: i64) -> Foo { RAN!(make); Foo { v: n as _ } }
pub fn report(make: &Foo) -> i64 { RAN!(report); make.v as i64 }
"""

# name -> (first text, second text, first value, second value), with n = 300.
CASES = {
    "a field's type": (
        "pub struct Foo { pub v: u8 }" + NODES, "pub struct Foo { pub v: u64 }" + NODES, 44, 300,
    ),
    "a type alias": (
        "type V = u8; pub struct Foo { pub v: V }" + NODES, "type V = u64; pub struct Foo { pub v: V }" + NODES, 44, 300,
    ),
    "a use under another name": (
        "use std::primitive::u8 as V; pub struct Foo { pub v: V }" + NODES,
        "use std::primitive::u64 as V; pub struct Foo { pub v: V }" + NODES, 44, 300,
    ),
    "an associated type": (
        "trait Has { type V; } struct M; impl Has for M { type V = u8; }\n"
        "pub struct Foo { pub v: <M as Has>::V }" + NODES,
        "trait Has { type V; } struct M; impl Has for M { type V = u64; }\n"
        "pub struct Foo { pub v: <M as Has>::V }" + NODES, 44, 300,
    ),
    "a struct made by a macro": (
        "macro_rules! define { ($t:ty) => { pub struct Foo { pub v: $t } } } define!(u8);" + NODES,
        "macro_rules! define { ($t:ty) => { pub struct Foo { pub v: $t } } } define!(u64);" + NODES, 44, 300,
    ),
    "the macro that makes it": (
        "macro_rules! define { () => { pub struct Foo { pub v: u8 } } } define!();" + NODES,
        "macro_rules! define { () => { pub struct Foo { pub v: u64 } } } define!();" + NODES, 44, 300,
    ),
    "an array's length from a const": tuple(
        f"""
        const N: usize = {n};
        pub struct Foo {{ pub v: [i64; N] }}
        pub fn make(n: i64) -> Foo {{ RAN!(make); Foo {{ v: [n; N] }} }}
        pub fn report(make: &Foo) -> i64 {{ RAN!(report); make.v.iter().sum() }}
        """ for n in (2, 5)
    ) + (600, 1500),
    "an array's length from a const fn": tuple(
        f"""
        const fn size() -> usize {{ {n} }}
        pub struct Foo {{ pub v: [i64; size()] }}
        pub fn make(n: i64) -> Foo {{ RAN!(make); Foo {{ v: [n; size()] }} }}
        pub fn report(make: &Foo) -> i64 {{ RAN!(report); make.v.iter().sum() }}
        """ for n in (2, 5)
    ) + (600, 1500),
    "a struct inside a function": tuple(
        f"""
        pub struct Foo(Box<dyn std::any::Any + Send + Sync>);
        fn local(n: i64, seen: Option<&Foo>) -> (Option<Foo>, i64) {{
            struct Local {{ v: {t} }}
            match seen {{
                None => (Some(Foo(Box::new(Local {{ v: n as _ }}))), 0),
                Some(foo) => (None, foo.0.downcast_ref::<Local>().map_or(-1, |it| it.v as i64)),
            }}
        }}
        pub fn make(n: i64) -> Foo {{ RAN!(make); local(n, None).0.unwrap() }}
        pub fn report(make: &Foo) -> i64 {{ RAN!(report); local(0, Some(make)).1 }}
        """ for t in ("u8", "u64")
    ) + (44, 300),
    "a trait that gains a method": tuple(
        f"""
        pub trait Shape: Send + Sync {{ {method} fn area(&self) -> i64; }}
        struct Square(i64);
        impl Shape for Square {{ fn area(&self) -> i64 {{ self.0 }} }}
        pub type Foo = Box<dyn Shape>;
        pub fn make(n: i64) -> Foo {{ RAN!(make); Box::new(Square(n)) }}
        pub fn report(make: &Foo) -> i64 {{ RAN!(report); make.area() {plus} }}
        """ for method, plus in (("", ""), ("fn first(&self) -> i64 { -1 } fn second(&self) -> i64 { -2 }", "+ make.first()"))
    ) + (300, 299),
    "a type inside a container": (
        "pub struct Item { pub v: u8 }\npub fn make(n: i64) -> Vec<Option<Item>> { RAN!(make); vec![None, Some(Item { v: n as _ })] }\n"
        "pub fn report(make: &Vec<Option<Item>>) -> i64 { RAN!(report); make.iter().flatten().map(|it| it.v as i64).sum() }",
        "pub struct Item { pub v: u64 }\npub fn make(n: i64) -> Vec<Option<Item>> { RAN!(make); vec![None, Some(Item { v: n as _ })] }\n"
        "pub fn report(make: &Vec<Option<Item>>) -> i64 { RAN!(report); make.iter().flatten().map(|it| it.v as i64).sum() }",
        44, 300,
    ),
    "an enum's order": (
        "#[derive(Clone, Copy)] pub enum Foo { A(i64), B(i64) }\npub fn make(n: i64) -> Foo { RAN!(make); Foo::A(n) }\n"
        "pub fn report(make: &Foo) -> i64 { RAN!(report); match make { Foo::A(v) => *v, Foo::B(v) => -v } }",
        "#[derive(Clone, Copy)] pub enum Foo { B(i64), A(i64) }\npub fn make(n: i64) -> Foo { RAN!(make); Foo::A(n) }\n"
        "pub fn report(make: &Foo) -> i64 { RAN!(report); match make { Foo::A(v) => *v, Foo::B(v) => -v } }",
        300, 300,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_value_is_made_anew_when_its_type_changes_by(notebook, name):
    first, second, before, after = CASES[name]
    notebook.watch(first)
    notebook.ok("%input n=300")
    assert notebook.run("report") == {"report": before}
    notebook.write("flow.rs", second)
    reply = notebook.ok("%run report --as json")
    assert reply.json == {"report": after}
    assert reply.ran == ["make", "report"]
    # And back: the value of the first generation is not taken for one of the third unless it truly is.
    notebook.write("flow.rs", first)
    assert notebook.run("report") == {"report": before}


def test_the_type_may_be_in_another_file(notebook):
    notebook.write("types.rs", "pub type V = u8;\n")
    notebook.write("flow.rs", "use super::types::V;\npub struct Foo { pub v: V }\n" + NODES)
    notebook.ok("%watch types.rs flow.rs")
    assert notebook.run("report", options="--input n=300") == {"report": 44}
    notebook.write("types.rs", "pub type V = u64;\n")
    assert notebook.run("report", options="--input n=300") == {"report": 300}


def test_values_of_image_types_survive_a_change_of_types(notebook):
    flow = """
        pub struct Foo {{ pub v: {t} }}
        pub fn numbers(n: i64) -> Series {{ RAN!(numbers); Series::new("n".into(), [n, n + 1]) }}
        pub fn frame(numbers: &Series) -> PolarsResult<DataFrame> {{ RAN!(frame); df!("a" => numbers) }}
        pub fn names(n: i64) -> Vec<String> {{ RAN!(names); vec![n.to_string()] }}
        pub fn mean(frame: &DataFrame) -> f64 {{ RAN!(mean); frame.height() as f64 }}
        pub fn foo(n: i64) -> Foo {{ RAN!(foo); Foo {{ v: n as _ }} }}
        pub fn seen(foo: &Foo, mean: f64, names: &[String]) -> f64 {{ RAN!(seen); foo.v as f64 + mean + names.len() as f64 }}
    """
    notebook.watch(flow.format(t="u8"))
    notebook.ok("%input n=2")
    assert len(notebook.ok("%run seen").ran) == 6
    notebook.write("flow.rs", flow.format(t="u32"))
    reply = notebook.ok("%run seen")
    assert reply.ran[0] == "foo" and set(reply.ran) <= {"foo", "seen"}, reply.ran


def test_an_edit_of_a_body_keeps_values_of_user_types(notebook):
    flow = "pub struct Foo { pub v: u64 }" + NODES
    notebook.watch(flow)
    assert notebook.run("report", options="--input n=8") == {"report": 8}
    notebook.write("flow.rs", flow.replace("make.v as i64", "make.v as i64 + 1"))
    reply = notebook.ok("%run report --as json --input n=8")
    assert reply.json == {"report": 9} and reply.ran == ["report"]


def test_values_that_point_into_an_old_library_stay_readable(notebook):
    flow = """
        pub type Call = Box<dyn Fn(i64) -> i64 + Send + Sync>;
        pub fn text() -> &'static str {{ RAN!(text); "text of the first generation" }}
        pub fn call(n: i64) -> Call {{ RAN!(call); Box::new(move |it| it * n) }}
        pub fn pointer() -> fn(i64) -> i64 {{ RAN!(pointer); twice }}
        fn twice(x: i64) -> i64 {{ x * 2 }}
        pub fn seen(text: &&'static str, call: &Call, pointer: &fn(i64) -> i64) -> String {{
            format!("{{text}} {{}} {{}} {number}", call(10), pointer(10))
        }}
    """
    notebook.watch(flow.format(number=0))
    notebook.ok("%input n=3")
    for number in range(12):
        notebook.write("flow.rs", flow.format(number=number))
        reply = notebook.ok("%run seen --as json")
        assert reply.json == {"seen": f"text of the first generation 30 20 {number}"}
        assert sorted(reply.ran) == ([] if number else ["call", "pointer", "text"])


def test_a_library_is_neither_unloaded_nor_overwritten(notebook):
    def loaded():
        maps = open(f"/proc/{notebook.worker().pid}/maps").read()
        return set(re.findall(r"\S*generation\S*\.so", maps))

    for number in range(4):
        notebook.write("flow.rs", f"pub fn v() -> i64 {{ {number} }}\n")
        if number == 0:
            notebook.ok("%watch flow.rs")
            notebook.ok("%run v")
            before = loaded()
            assert before
        assert notebook.run("v") == {"v": number}
    assert loaded() >= before and len(loaded()) == len(before) + 3
    assert "(deleted)" not in "".join(loaded())


def test_there_is_one_polars_in_the_worker(notebook):
    notebook.watch("pub fn s() -> Series { Series::new(\"s\".into(), [1i64]) }\n")
    notebook.ok("%run s")
    # A generation that carried its own polars would be megabytes large.
    import os

    maps = open(f"/proc/{notebook.worker().pid}/maps").read()
    generations = set(re.findall(r"/\S*generation\S*\.so", maps))
    assert generations and all(os.path.getsize(it) < 2_000_000 for it in generations)

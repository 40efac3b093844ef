"""Transforms in a Cargo package: its dependencies are in the image, its modules mean what they mean there."""

import re

MANIFEST = """
[package]
name = "shop"
version = "0.1.0"
edition = "2021"
[features]
default = ["loud"]
loud = []
[dependencies]
brooklet = "0.1"
polars = "0.55"
either = "1"
words = { package = "unicode-segmentation", version = "1" }
util = { path = "util" }
"""
FILES = {
    "shop/Cargo.toml": MANIFEST,
    "shop/src/lib.rs": "mod types;\npub mod transforms { pub mod sales; }\npub struct Rooted;\n",
    "shop/src/types.rs": "#[derive(Clone, Debug)]\npub struct Order { pub net: i64 }\npub fn helper(x: i64) -> i64 { x * 2 }\n",
    "shop/src/transforms/sales.rs": """
use crate::types::{helper, Order};
use either::Either;
use words::UnicodeSegmentation;

pub fn order(net: i64) -> Order { Order { net: if cfg!(feature = "loud") { helper(net) } else { 0 } } }
pub fn total(order: &Order) -> i64 { Either::<i64, i64>::Left(order.net).left().unwrap() + util::one() }
pub fn count(text: &str) -> usize { text.graphemes(true).count() }
""",
    "shop/util/Cargo.toml": '[package]\nname = "util"\nversion = "0.1.0"\nedition = "2021"\n',
    "shop/util/src/lib.rs": "pub fn one() -> i64 { 1 }\n",
}
# A build of the image: the package's crates, and brooklet once more.
LONG = 1500


def shop(notebook):
    for name, text in FILES.items():
        notebook.write(name, text, prelude=False)


def test_a_package_from_its_first_image_to_other_dependencies(fresh):
    shop(fresh)
    reply = fresh.ok("%watch shop/src/transforms/sales.rs", LONG)
    assert "the image for `shop` adds" in reply.stderr
    assert "3 nodes, 2 inputs" in reply.text
    fresh.ok("%input net=20 text=a\u0301bc")
    assert fresh.run("total", "count") == {"total": 41, "count": 3}
    worker = fresh.worker().pid

    # Another module of the package is code like any other: what uses it runs again.
    fresh.write("shop/src/types.rs", FILES["shop/src/types.rs"].replace("x * 2", "x * 3"), prelude=False)
    assert fresh.run("total") == {"total": 61}
    assert fresh.worker().pid == worker

    # A cell names the package's types, and its crates.
    assert fresh.ok("either::Either::<i64, i64>::Right(total).right().unwrap() + 1", LONG).result == "62"

    # What the crate root holds is not there, and that is said in our words too.
    text = FILES["shop/src/transforms/sales.rs"]
    fresh.write("shop/src/transforms/sales.rs", "use crate::Rooted;\n" + text, prelude=False)
    error = fresh.fails("%run total", "crate-root-item")
    assert "sales.rs:1" in error.value and "`crate::module::Item`" in error.traceback

    # Other dependencies are another image and another worker; values are computed again.
    fresh.write("shop/src/transforms/sales.rs", text.replace("util::one()", "util::one() + smallvec::SmallVec::<[i64; 2]>::from([1, 1]).len() as i64"), prelude=False)
    fresh.fails("%run total")
    fresh.write("shop/Cargo.toml", MANIFEST + 'smallvec = "1"\n', prelude=False)
    reply = fresh.ok("%run total --as json", LONG)
    assert reply.json == {"total": 63}
    assert "the dependencies are others now" in reply.stderr
    assert fresh.worker().pid != worker

    # And back again: that image is built.
    fresh.write("shop/src/transforms/sales.rs", text, prelude=False)
    fresh.write("shop/Cargo.toml", MANIFEST, prelude=False)
    assert fresh.run("total") == {"total": 61}


def test_a_whole_package_and_what_is_wrong_with_one(fresh):
    shop(fresh)
    fresh.write("shop/src/lib.rs", "mod types;\nmod transforms { pub mod sales; }\npub fn flow() { brooklet::flow!(transforms::sales); }\n", prelude=False)
    reply = fresh.ok("%watch shop", LONG)
    assert "3 nodes, 2 inputs" in reply.text
    error = fresh.fails("%watch other", "UsageError")
    fresh.write("other/Cargo.toml", '[package]\nname = "other"\nversion = "0.1.0"\n', prelude=False)
    fresh.write("other/src/lib.rs", "pub mod a;", prelude=False)
    fresh.write("other/src/a.rs", "pub fn a() -> i64 { 1 }", prelude=False)
    error = fresh.fails("%watch other", "UsageError")
    assert "one image holds the dependencies of one package" in error.value
    fresh.write("shop/Cargo.toml", MANIFEST.replace("either = ", "either = = "), prelude=False)
    error = fresh.fails("%run total --input net=1", "BuildError")
    assert "cargo does not understand" in error.value and re.search(r"Cargo\.toml", error.traceback)
    fresh.write("shop/Cargo.toml", MANIFEST.replace('polars = "0.55"', 'polars = "0.50"'), prelude=False)
    error = fresh.fails("%run total --input net=1", "BuildError")
    assert "depends on polars" in error.value and 'polars = "0.55"' in error.traceback
    fresh.write("shop/Cargo.toml", MANIFEST, prelude=False)
    assert fresh.run("total", options="--input net=1") == {"total": 3}

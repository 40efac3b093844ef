"""Runs one pipeline in Brooklet and in Hamilton with Python's polars, by turns, and prints the ratio, node by node.

    python3 benches/pipeline.py [--rows N] [--turns N] [--environment NAME=VALUE]… [--without-store] [--json]

Both stay alive and warm, read the same Parquet file and do the same operations, each as its users write them. The
hard part is to have both compute everything in every turn, and the same: a rate that is another one in each turn
goes into the first node, a node that Brooklet reuses ends the bench, and so does a checksum that differs.

`--environment` is for the kernel and its worker alone: settings of an allocator, `LD_PRELOAD`. The Python
environment of the kernel's side is the one of the tests (`cargo test` makes it), Hamilton's is made here, once; both
it and the data are in the cache. Medians; a ratio above 1 says that Brooklet is faster. Nodes that do not need each
other run side by side in Brooklet and one after the other in Hamilton: `by_shop` and `by_customer` share the cores,
so each looks slower than it is, and the sum of nodes may be more than the run.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

# Goes on in the environment of the tests, as `measure.py` does.
from measure import CACHE, Kernel, executable, median

# Remove the environment for a newer polars; change a line here and it is made anew.
REQUIREMENTS = ["sf-hamilton==1.90.*", "polars"]
ENVIRONMENT = CACHE / "pipeline-venv"
DATA = CACHE / "pipeline-data"
NODES = ["sales", "kept", "by_shop", "by_customer", "joined", "ordered", "trend", "revenue", "excess", "checksum"]
# The first cell may have to build the image.
PATIENCE = 3600
# Sums of floats depend on the order of rows, and after a join there is none.
TOLERANCE = 1e-9

GENERATOR = '''
import sys

import numpy
import polars as pl

path, rows = sys.argv[1], int(sys.argv[2])
random = numpy.random.default_rng(7)
shops = pl.Series([f"shop {it:03}" for it in range(300)])
# No two sales are at one moment: the order after sorting is the same for whoever sorts.
moments = 1_700_000_000_000 + 1_000 * random.permutation(rows)
pl.DataFrame(
    {
        "customer": random.integers(0, 500_000, rows),
        "shop": shops.gather(random.integers(0, len(shops), rows)),
        "at": pl.Series(moments).cast(pl.Datetime("ms")),
        "price": random.gamma(2.0, 30.0, rows).round(2),
        "discount": random.uniform(0.0, 0.3, rows),
        "quantity": random.integers(1, 10, rows),
    }
).write_parquet(path)
'''

TRANSFORMS = """
use brooklet::prelude::*;

pub fn sales(path: &str, rate: f64) -> PolarsResult<DataFrame> {
    LazyFrame::scan_parquet(path.into(), ScanArgsParquet::default())?
        .with_columns([col("price") * lit(rate)])
        .collect()
}

pub fn kept(sales: &DataFrame) -> PolarsResult<DataFrame> {
    sales.clone().lazy().filter(col("quantity").gt(lit(1)).and(col("price").gt(lit(10.0)))).collect()
}

pub fn by_shop(kept: &DataFrame) -> PolarsResult<DataFrame> {
    kept.clone()
        .lazy()
        .group_by([col("shop")])
        .agg([
            (col("price") * col("quantity")).sum().alias("turnover"),
            col("discount").mean().alias("mean_discount"),
            len().alias("sales"),
        ])
        .collect()
}

pub fn by_customer(kept: &DataFrame) -> PolarsResult<DataFrame> {
    kept.clone()
        .lazy()
        .group_by([col("customer")])
        .agg([
            col("price").sum().alias("spent"),
            col("price").max().alias("dearest"),
            len().alias("visits"),
        ])
        .collect()
}

pub fn joined(kept: &DataFrame, by_customer: &DataFrame) -> PolarsResult<DataFrame> {
    let on = [col("customer")];
    kept.clone()
        .lazy()
        .join(by_customer.clone().lazy(), &on, &on, JoinArgs::new(JoinType::Left))
        .collect()
}

pub fn ordered(joined: &DataFrame) -> PolarsResult<DataFrame> {
    joined.sort(["at"], SortMultipleOptions::default())
}

pub fn trend(ordered: &DataFrame) -> PolarsResult<Series> {
    let window = RollingOptionsFixedWindow { window_size: 100, min_periods: 100, ..Default::default() };
    column(ordered, "price")?.rolling_mean(window)
}

pub fn revenue(ordered: &DataFrame) -> PolarsResult<Series> {
    let gross = (column(ordered, "price")? * column(ordered, "quantity")?)?;
    &gross - &(&gross * column(ordered, "discount")?)?
}

pub fn excess(revenue: &Series, trend: &Series) -> PolarsResult<Series> {
    &(revenue - trend)? / trend
}

pub fn checksum(
    by_shop: &DataFrame,
    ordered: &DataFrame,
    trend: &Series,
    revenue: &Series,
    excess: &Series,
) -> PolarsResult<DataFrame> {
    df!(
        "rows" => [ordered.height() as i64],
        "shops" => [by_shop.height() as i64],
        "sales" => [column(by_shop, "sales")?.sum::<i64>()?],
        "turnover" => [column(by_shop, "turnover")?.sum::<f64>()?],
        "mean_discount" => [column(by_shop, "mean_discount")?.sum::<f64>()?],
        "visits" => [column(ordered, "visits")?.cast(&DataType::Int64)?.sum::<i64>()?],
        "spent" => [column(ordered, "spent")?.sum::<f64>()?],
        "dearest" => [column(ordered, "dearest")?.sum::<f64>()?],
        "nulls" => [trend.null_count() as i64],
        "trend" => [trend.sum::<f64>()?],
        "revenue" => [revenue.sum::<f64>()?],
        "excess" => [excess.sum::<f64>()?],
    )
}

fn column<'a>(frame: &'a DataFrame, name: &str) -> PolarsResult<&'a Series> {
    Ok(frame.column(name)?.as_materialized_series())
}
"""

FUNCTIONS = '''
import polars as pl


def sales(path: str, rate: float) -> pl.DataFrame:
    return pl.scan_parquet(path).with_columns(pl.col("price") * rate).collect()


def kept(sales: pl.DataFrame) -> pl.DataFrame:
    return sales.lazy().filter((pl.col("quantity") > 1) & (pl.col("price") > 10.0)).collect()


def by_shop(kept: pl.DataFrame) -> pl.DataFrame:
    return (
        kept.lazy()
        .group_by("shop")
        .agg(
            (pl.col("price") * pl.col("quantity")).sum().alias("turnover"),
            pl.col("discount").mean().alias("mean_discount"),
            pl.len().alias("sales"),
        )
        .collect()
    )


def by_customer(kept: pl.DataFrame) -> pl.DataFrame:
    return (
        kept.lazy()
        .group_by("customer")
        .agg(
            pl.col("price").sum().alias("spent"),
            pl.col("price").max().alias("dearest"),
            pl.len().alias("visits"),
        )
        .collect()
    )


def joined(kept: pl.DataFrame, by_customer: pl.DataFrame) -> pl.DataFrame:
    return kept.lazy().join(by_customer.lazy(), on="customer", how="left").collect()


def ordered(joined: pl.DataFrame) -> pl.DataFrame:
    return joined.sort("at")


def trend(ordered: pl.DataFrame) -> pl.Series:
    return ordered["price"].rolling_mean(100)


def revenue(ordered: pl.DataFrame) -> pl.Series:
    gross = ordered["price"] * ordered["quantity"]
    return gross - gross * ordered["discount"]


def excess(revenue: pl.Series, trend: pl.Series) -> pl.Series:
    return (revenue - trend) / trend


def checksum(
    by_shop: pl.DataFrame, ordered: pl.DataFrame, trend: pl.Series, revenue: pl.Series, excess: pl.Series
) -> dict:
    return {
        "rows": ordered.height,
        "shops": by_shop.height,
        "sales": by_shop["sales"].sum(),
        "turnover": by_shop["turnover"].sum(),
        "mean_discount": by_shop["mean_discount"].sum(),
        "visits": ordered["visits"].cast(pl.Int64).sum(),
        "spent": ordered["spent"].sum(),
        "dearest": ordered["dearest"].sum(),
        "nulls": trend.null_count(),
        "trend": trend.sum(),
        "revenue": revenue.sum(),
        "excess": excess.sum(),
    }
'''

# Runs the functions for each line of inputs, and answers a line: what it took, node by node, and the checksum.
DRIVER = '''
import importlib.metadata
import json
import sys
import time

from hamilton import driver, lifecycle

import functions


class Clock(lifecycle.NodeExecutionHook):
    def run_before_node_execution(self, **_):
        self.before = time.perf_counter()

    def run_after_node_execution(self, *, node_name, **_):
        self.seconds[node_name] = time.perf_counter() - self.before


clock = Clock()
flow = driver.Builder().with_modules(functions).with_adapters(clock).build()
print(json.dumps({it: importlib.metadata.version(it) for it in ("sf-hamilton", "polars")}), flush=True)
for line in sys.stdin:
    clock.seconds = {}
    before = time.perf_counter()
    values = flow.execute(["checksum"], inputs=json.loads(line))
    seconds = time.perf_counter() - before
    print(json.dumps({"seconds": seconds, "nodes": clock.seconds, "checksum": values["checksum"]}), flush=True)
'''


@dataclass
class Turn:
    """What one run of the pipeline took, in seconds, and what came out."""

    seconds: float
    nodes: dict
    checksum: dict
    # What telling values from others took, which Brooklet has in no node's time; summed over threads.
    hashing: float = 0.0


class Brooklet:
    """A kernel that watches the pipeline; a turn is a cell, as long as a client waits for it."""

    def __init__(self, directory, data, environment, stores=True):
        (directory / "pipeline.rs").write_text(TRANSFORMS)
        if not stores:
            (directory / ".brooklet").write_text("in the place of the store")
        self.kernel = Kernel(directory, environment=environment)
        self.kernel.ok("%watch pipeline.rs", PATIENCE)
        self.kernel.ok(f"%input path={json.dumps(str(data))}")

    def turn(self, rate):
        before = time.perf_counter()
        reply = self.kernel.ok(f"%input rate={rate!r}\n%run checksum --as json", PATIENCE)
        seconds = time.perf_counter() - before
        checksum = {name: value for name, [value] in reply.json["checksum"].items()}
        nodes, hashing = self.times()
        return Turn(seconds, nodes, checksum, hashing)

    def times(self):
        """Each node's own time, and what hashing took; every node must have been computed."""
        text = self.kernel.ok("%time").text
        rows = re.findall(r"^(\w+) .*?([\d.]+ m?s)\b.*?(\w+)$", text, re.MULTILINE)
        nodes = {name: in_seconds(took) for name, took, state in rows if name in NODES and state == "done"}
        assert set(nodes) == set(NODES), f"not computed anew: {set(NODES) - set(nodes)}\n{text}"
        hashing = re.search(r"([\d.]+ m?s) of it to tell values from others", text)
        return nodes, in_seconds(hashing[1]) if hashing else 0.0

    def close(self):
        self.kernel.close()


class Hamilton:
    """A process with a driver; a turn is `execute`, as long as the process itself says that it takes."""

    def __init__(self, directory, data):
        (directory / "functions.py").write_text(FUNCTIONS)
        (directory / "drive.py").write_text(DRIVER)
        self.data = str(data)
        self.process = subprocess.Popen(
            [ENVIRONMENT / "bin" / "python", "drive.py"],
            cwd=directory,
            env={**os.environ, "HAMILTON_TELEMETRY_ENABLED": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions = self.answer()

    def turn(self, rate):
        print(json.dumps({"path": self.data, "rate": rate}), file=self.process.stdin, flush=True)
        return Turn(**self.answer())

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"Hamilton's process ended with {self.process.wait()}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def in_seconds(text):
    number, unit = text.split()
    return float(number) / (1e3 if unit == "ms" else 1)


def python():
    """The interpreter of Hamilton's environment, which is made if it is not there as it should be."""
    path, made = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    # Written last, so an environment that was left half made is made again.
    if not made.exists() or made.read_text() != wanted:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        say(f"making {ENVIRONMENT}")
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([path, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        made.write_text(wanted)
    return path


def parquet(rows):
    """The file with so many sales, which is made if it is not there."""
    path = DATA / f"sales-{rows}.parquet"
    if not path.exists():
        say(f"making {path}")
        DATA.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        subprocess.run([python(), "-c", GENERATOR, part, str(rows)], check=True)
        part.rename(path)
    return path


def say(text):
    """Tells how far it is, apart from what is measured."""
    print(text, file=sys.stderr, flush=True)


def assert_same(ours, theirs):
    assert set(ours) == set(theirs), f"{set(ours)} and {set(theirs)} were added up"
    for name, value in ours.items():
        assert math.isclose(value, theirs[name], rel_tol=TOLERANCE), f"{name}: {value} is not {theirs[name]}"


def by_turns(brooklet, hamilton, turns):
    """The turns of both; the first of each warms up and is not counted."""
    counted = []
    for number in range(turns + 1):
        # Exact in binary and in decimal, so both read the same number.
        rate = 1 + number / 64
        # Whoever goes first finds the caches as the other has left them, so they change places.
        order = [brooklet, hamilton] if number % 2 else [hamilton, brooklet]
        taken = {it: it.turn(rate) for it in order}
        ours, theirs = taken[brooklet], taken[hamilton]
        assert_same(ours.checksum, theirs.checksum)
        say(f"turn {number}: Brooklet {ours.seconds:.2f} s, Hamilton {theirs.seconds:.2f} s" + ("" if number else ", warming up"))
        if number:
            counted.append((ours, theirs))
    return counted


def compared(ours, theirs):
    """Medians of both in seconds, and how many times as fast we are."""
    ours, theirs = median(ours), median(theirs)
    # Tenths of milliseconds are the least that `%time` tells.
    return {"brooklet": ours, "hamilton": theirs, "ratio": theirs / ours if ours else None}


def result(counted):
    def pairs(value):
        return compared([value(it) for it, _ in counted], [value(it) for _, it in counted])

    return {
        "nodes": {name: pairs(lambda it, name=name: it.nodes[name]) for name in NODES},
        "sum of nodes": pairs(lambda it: sum(it.nodes.values())),
        "run": pairs(lambda it: it.seconds),
        "hashing": median([it.hashing for it, _ in counted]),
    }


def table(found):
    def row(name, it):
        ratio = f"{it['ratio']:.2f} ×" if it["ratio"] else "–"
        return f"| {name} | {it['brooklet'] * 1e3:.0f} ms | {it['hamilton'] * 1e3:.0f} ms | {ratio} |"

    lines = ["| node | Brooklet | Hamilton | Hamilton / Brooklet |", "|---|---|---|---|"]
    lines += [row(f"`{name}`", it) for name, it in found["nodes"].items()]
    lines += [row("sum of nodes", found["sum of nodes"]), row("the whole run", found["run"])]
    return "\n".join(lines)


def setting(text):
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--turns", type=int, default=7, help="of each, after one that warms up")
    parser.add_argument("--environment", type=setting, action="append", default=[], metavar="NAME=VALUE", help="for the kernel alone; may be repeated")
    parser.add_argument("--without-store", action="store_true", help="results are kept in memory alone")
    parser.add_argument("--json", action="store_true", help="print numbers, in seconds")
    options = parser.parse_args()
    if options.rows < 1 or options.turns < 1:
        parser.error("there must be a row and a turn")
    if not pathlib.Path(executable()).exists():
        parser.error(f"{executable()} is not there: `cargo build --release` makes it, and $BROOKLET may name another")
    environment = dict(options.environment)
    python()
    data = parquet(options.rows)
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run([executable(), "install", "--prefix", directory / "prefix"], check=True, capture_output=True)
        os.environ["JUPYTER_PATH"] = str(directory / "prefix" / "share" / "jupyter")
        hamilton = stack.enter_context(contextlib.closing(Hamilton(directory, data)))
        brooklet = stack.enter_context(contextlib.closing(Brooklet(directory, data, environment, not options.without_store)))
        found = result(by_turns(brooklet, hamilton, options.turns))
    about = {"rows": options.rows, "turns": options.turns, "cores": os.cpu_count(), "machine": platform.machine(), "environment": environment, "versions": hamilton.versions}
    if options.json:
        print(json.dumps({**about, **found}, indent=2))
        return
    versions = ", ".join(f"{name} {version}" for name, version in hamilton.versions.items())
    print(table(found))
    print(f"\nBrooklet: {found['hashing'] * 1e3:.0f} ms on top to tell values from others, summed over threads")
    print(f"{options.rows:,} rows, {options.turns} turns; {versions}; {os.cpu_count()} cores, {platform.system()} {platform.machine()}")
    if environment:
        print("the kernel with " + " ".join(f"{name}={value}" for name, value in environment.items()))


if __name__ == "__main__":
    main()

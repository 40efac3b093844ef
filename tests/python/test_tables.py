"""Tables as people look at them: more rows, the first rows, what the columns hold."""

import re

import pytest

FLOW = """
pub fn sales(rows: i64) -> DataFrame {
    let day = |it: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1 + (it % 31) as u32).unwrap();
    df![
        "n" => (0..rows).collect::<Vec<_>>(),
        "x" => (0..rows).map(|it| if it % 4 == 0 { None } else { Some(it as f64 / 8.0) }).collect::<Vec<_>>(),
        "shop" => (0..rows).map(|it| if it % 4 == 0 { "north" } else { "south" }).collect::<Vec<_>>(),
        "open" => (0..rows).map(|it| it % 10 != 0).collect::<Vec<_>>(),
        "day" => (0..rows).map(day).collect::<Vec<_>>(),
    ].unwrap()
}

pub fn plan(sales: &DataFrame) -> LazyFrame { sales.clone().lazy().filter(col("n").gt(lit(4))) }
pub fn broken(sales: &DataFrame) -> LazyFrame { sales.clone().lazy().filter(col("nothing").gt(lit(4))) }
pub fn n(sales: &DataFrame) -> Series { sales.column("n").unwrap().as_materialized_series().clone() }
pub fn x(sales: &DataFrame) -> Series { sales.column("x").unwrap().as_materialized_series().clone() }
pub fn words() -> std::collections::BTreeMap<String, i64> { Default::default() }
"""


@pytest.fixture
def tables(fresh):
    fresh.write("flow.rs", FLOW)
    fresh.ok("%watch flow.rs")
    fresh.ok("%input rows=100")
    return fresh


def html(cell):
    """The last table that a cell shows."""
    return cell.bundles()[-1]["text/html"]


def rows(page):
    """The first cell of each row below the headings; a gap is a dot."""
    body = page[page.index("<tbody>"):page.index("</tbody>")]
    return [re.sub("<[^>]*>", "", row.split("</td>")[0]) for row in body.split("</tr>")[:-1]]


def test_headings_tell_how_values_are_distributed(tables):
    page = html(tables.ok("sales"))
    assert 'title="0 to 99 · mean 49.5"' in page
    assert 'title="2 distinct · south 75 % · north 25 %">' in page and ">south 75 %<" in page
    assert 'title="90 true, 10 false">' in page and ">90 % true<" in page
    assert 'title="2024-01-01 to 2024-01-31"' in page
    assert page.count("<svg") == 3
    tables.ok("%input rows=12")
    assert "bk-dist\"" not in html(tables.ok("sales")), "all of it is in sight"


def test_as_many_rows_as_asked_for(tables):
    assert rows(html(tables.ok("%run sales --rows 6"))) == ["0", "1", "2", "3", "⋮", "98", "99"]
    assert rows(html(tables.ok("%run n x --rows 3"))) == ["0", "1", "⋮", "99"], "several make one frame"
    assert rows(html(tables.ok("%run sales --rows 5000"))) == [str(it) for it in range(100)]
    assert "without `--as`" in tables.fails("%run sales --rows 5 --as json").value
    assert "whole number" in tables.fails("%run sales --rows many").value


def test_the_first_rows_of_frames_series_and_plans(tables):
    assert rows(html(tables.ok("%head sales 3"))) == ["0", "1", "2", "⋮"]
    assert rows(html(tables.ok("%head sales"))) == [str(it) for it in range(10)] + ["⋮"]
    series = tables.ok("%head n 2")
    assert rows(html(series)) == ["0", "1", "⋮"] and "shape: (2,)" in series.text
    plan = tables.ok("%head plan 2")
    assert rows(html(plan)) == ["5", "6"] and "shape: (2, 5)" in plan.text
    assert "95 rows" in html(tables.ok(f"%head plan {1 << 32}")), "more than polars can count is all there is"
    assert "`broken` cannot be collected" in tables.fails("%head broken").value
    assert "has no rows" in tables.fails("%head words").value
    assert "a whole number of rows, not `few`" in tables.fails("%head sales few").value
    assert "a node and a number" in tables.fails("%head sales 3 4").value
    assert rows(html(tables.ok("%head sales 3 --input rows=2"))) == ["0", "1"]


def test_what_columns_hold(tables):
    told = tables.ok("%describe sales").text.splitlines()
    assert told[-6].split("  ")[0] == "column"
    line = {it.split()[0]: it.split()[1:] for it in told[-5:]}
    assert line["n"] == ["i64", "100", "0", "100", "49.5", "29.0115", "0", "24.75", "49.5", "74.25", "99"]
    assert line["x"][:4] == ["f64", "75", "25", "75"]
    assert line["shop"] == ["str", "100", "0", "2", "north", "south"]
    assert line["day"] == ["date", "100", "0", "31", "2024-01-01", "2024-01-31"]
    assert line["open"] == ["bool", "100", "0", "2", "0.9", "false", "true"]
    assert [it for it in tables.ok("%describe plan").text.splitlines() if it.startswith("n ")][0].split()[2] == "95"
    both = tables.ok("%describe n x").text
    assert "n:\n" in both and "x:\n" in both


def test_more_rows_follow_the_files(tables):
    tables.ok("%live on")
    tables.ok("%head n 2")
    path = tables.directory / "flow.rs"
    draft = path.with_suffix(".draft")
    draft.write_text(path.read_text().replace('"n" => (0..rows)', '"n" => (7..rows + 7)'))
    draft.replace(path)
    tables.shown(lambda it: "\t7\n" in it and "\t8\n" in it, "the first rows are made anew")

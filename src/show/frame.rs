//! Tables of frames and series.
//!
//! A table answers three questions at a glance: what are the columns, how complete are they, and what do
//! values look like at both ends. So: name, type and a bar of present values per column; ten rows from the
//! head, five from the tail; numbers aligned by their decimal point.

use std::fmt::Write as _;

use brooklet_graph::wire::MimeBundle;
use polars::prelude::*;

use super::html::{bytes, caption, escape, grouped, page, shortened};

const HEAD: usize = 10;
const TAIL: usize = 5;
/// More columns are named in the caption only.
const COLUMNS: usize = 40;
/// Characters of a text cell; more stand in its tooltip.
const CELL: usize = 60;
const TOOLTIP: usize = 400;
/// Notebooks stay small: beyond this, tooltips go first, then columns.
const SIZE: usize = 190_000;

pub(super) fn frame(frame: &DataFrame, node: &str) -> MimeBundle {
    let shape = format!(
        "{} row{} × {} column{}",
        grouped(frame.height()),
        plural(frame.height()),
        grouped(frame.width()),
        plural(frame.width())
    );
    let size = bytes(frame.estimated_size());
    let columns: Vec<&Series> = frame.columns().iter().map(Column::as_materialized_series).collect();
    let html = fit(&columns, |shown| {
        let hidden = columns.len() - shown;
        let more = if hidden > 0 {
            format!("{hidden} more column{} not shown", plural(hidden))
        } else {
            String::new()
        };
        caption(&[&shape, &size, node, &more])
    });
    MimeBundle::text(frame.to_string()).with("text/html", html)
}

pub(super) fn series(series: &Series, node: &str) -> MimeBundle {
    let shape = format!("{} value{}", grouped(series.len()), plural(series.len()));
    let node = if series.name() == node { "" } else { node };
    let size = bytes(series.estimated_size());
    let html = fit(&[series], |_| caption(&[&shape, &size, node]));
    MimeBundle::text(format!("{series}")).with("text/html", html)
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// The largest form that stays within the limit of size.
fn fit(columns: &[&Series], caption: impl Fn(usize) -> String) -> String {
    let mut shown = columns.len().min(COLUMNS);
    let mut tooltips = true;
    loop {
        let html = page(&format!("{}{}", table(&columns[..shown], tooltips), caption(shown)));
        if html.len() <= SIZE || shown <= 1 {
            return html;
        }
        if tooltips {
            tooltips = false;
        } else {
            shown = shown.div_ceil(2);
        }
    }
}

/// The rows that are shown; `None` is the gap.
fn rows(height: usize) -> Vec<Option<usize>> {
    if height <= HEAD + TAIL + 1 {
        return (0..height).map(Some).collect();
    }
    (0..HEAD).map(Some).chain([None]).chain((height - TAIL..height).map(Some)).collect()
}

fn table(columns: &[&Series], tooltips: bool) -> String {
    let rows = rows(columns.first().map_or(0, |it| it.len()));
    let views: Vec<ColumnCells> = columns.iter().map(|it| ColumnCells::new(it, &rows, tooltips)).collect();
    let mut html = String::from(
        "<div class=\"bk-scroll\" style=\"overflow-x:auto\"><table class=\"bk-table\" \
         style=\"border-collapse:collapse\"><thead><tr>",
    );
    for (series, view) in columns.iter().zip(&views) {
        let _ = write!(html, "<th{}>{}</th>", view.align, header(series));
    }
    html.push_str("</tr></thead><tbody>");
    for (at, row) in rows.iter().enumerate() {
        html.push_str(if row.is_some() { "<tr>" } else { "<tr class=\"bk-gap\">" });
        for view in &views {
            match row {
                Some(_) => html.push_str(&view.cells[at]),
                None => {
                    let _ = write!(html, "<td{}>⋮</td>", view.align);
                }
            }
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

/// Name, type, and the share of values that are present.
fn header(series: &Series) -> String {
    let (nulls, length) = (series.null_count(), series.len());
    let share = if length == 0 { 0.0 } else { 100.0 * (length - nulls) as f64 / length as f64 };
    let title = match nulls {
        0 => "no nulls".to_owned(),
        _ => format!("{} of {} null ({:.1} %)", grouped(nulls), grouped(length), 100.0 - share),
    };
    format!(
        "{}<div class=\"bk-type\" style=\"font-weight:normal\">{}</div>\
         <div class=\"bk-bar\" title=\"{title}\"><div style=\"width:{share:.1}%\"></div></div>",
        escape(&shortened(series.name(), CELL)),
        escape(&series.dtype().to_string()),
    )
}

struct ColumnCells {
    /// The attribute that aligns all cells of the column.
    align: &'static str,
    /// One `<td>` a row, empty for the gap.
    cells: Vec<String>,
}

impl ColumnCells {
    fn new(series: &Series, rows: &[Option<usize>], tooltips: bool) -> ColumnCells {
        let is_number = series.dtype().is_primitive_numeric() || series.dtype().is_decimal();
        let align = if is_number { " style=\"text-align:right\"" } else { " style=\"text-align:left\"" };
        let values: Vec<Option<AnyValue<'_>>> =
            rows.iter().map(|row| row.and_then(|row| series.get(row).ok())).collect();
        let decimals = decimals(&values);
        let cells = values
            .iter()
            .map(|value| match value {
                None => String::new(),
                Some(AnyValue::Null) => {
                    format!("<td{align}><span class=\"bk-none\" style=\"font-style:italic\">null</span></td>")
                }
                Some(value) => {
                    let (short, full) = cell(value, decimals);
                    let title = match full {
                        Some(full) if tooltips => {
                            format!(" title=\"{}\"", escape(&shortened(&full, TOOLTIP)))
                        }
                        _ => String::new(),
                    };
                    format!("<td{align}{title}>{}</td>", escape(&short))
                }
            })
            .collect();
        ColumnCells { align, cells }
    }
}

fn float(value: &AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Float64(it) => Some(*it),
        AnyValue::Float32(it) => it.to_string().parse().ok(),
        _ => None,
    }
}

/// Digits after the point for a column of floats: as many as its values need, four at most (two
/// beside large ones), so that the points stand below each other.
fn decimals(values: &[Option<AnyValue<'_>>]) -> usize {
    let is_large = values.iter().flatten().filter_map(float).any(|it| it.is_finite() && it.abs() >= 1e5);
    let needed = |value: f64| value.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    values
        .iter()
        .flatten()
        .filter_map(float)
        .filter(|it| is_plain(*it))
        .map(needed)
        .max()
        .unwrap_or(0)
        .clamp(1, if is_large { 2 } else { 4 })
}

/// Whether four decimals tell the value well enough.
fn is_plain(value: f64) -> bool {
    value == 0.0 || (1e-3..1e12).contains(&value.abs())
}

/// The text of a cell, and the whole value where the text is not all of it.
fn cell(value: &AnyValue<'_>, decimals: usize) -> (String, Option<String>) {
    if let Some(value) = float(value) {
        if !value.is_finite() {
            return (value.to_string(), None);
        }
        let exact = value.to_string();
        let short = if is_plain(value) { format!("{value:.decimals$}") } else { format!("{value:.4e}") };
        let same = short.parse() == Ok(value);
        return (short, (!same).then_some(exact));
    }
    let text = match value.get_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let one_line = text.replace(['\n', '\r'], "⏎").replace('\t', " ");
    let short = shortened(&one_line, CELL);
    let whole = (short != text).then_some(text);
    (short, whole)
}

//! Tables of frames and series.
//!
//! A table answers four questions at a glance: what are the columns, how complete are they, how are their values
//! distributed, and what do they look like at both ends. So: name, type, a small distribution and a bar of present
//! values per column; ten rows from the head, five from the tail unless told otherwise; numbers aligned by their
//! decimal point.

use std::fmt::Write as _;

use brooklet_graph::wire::MimeBundle;
use polars::prelude::*;

use super::cell::{CELL, cell, decimals};
use super::distribution::{distribution, note, spacing};
use super::html::{bytes, caption, escape, grouped, page, shortened};

/// How many rows of both ends are shown.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    head: usize,
    tail: usize,
}

impl Ends {
    const USUAL: Ends = Ends { head: 10, tail: 5 };

    /// So many rows in all, as far as a notebook bears them.
    pub(super) fn of(rows: usize) -> Ends {
        let rows = rows.min(ROWS);
        Ends { head: rows - rows / 3, tail: rows / 3 }
    }

    /// The first rows.
    pub(super) fn head(rows: usize) -> Ends {
        Ends { head: rows.min(ROWS), tail: 0 }
    }

    pub(super) fn rows(self) -> usize {
        self.head + self.tail
    }
}

/// More rows are not shown at once.
const ROWS: usize = 1_000;
/// A table with more rows has a height of its own, and scrolls.
const TALL: usize = 40;
/// More columns are named in the caption only.
const COLUMNS: usize = 40;
/// Characters of a tooltip.
const TOOLTIP: usize = 400;
/// Notebooks stay small: beyond this, tooltips go first, then rows that were asked for, then columns.
const SIZE: usize = 190_000;

pub(super) fn frame(frame: &DataFrame, node: &str) -> MimeBundle {
    frame_ends(frame, node, Ends::USUAL)
}

/// With so many rows of both ends.
pub(super) fn frame_ends(frame: &DataFrame, node: &str, ends: Ends) -> MimeBundle {
    let shape = format!(
        "{} row{} × {} column{}",
        grouped(frame.height()),
        plural(frame.height()),
        grouped(frame.width()),
        plural(frame.width())
    );
    let size = bytes(frame.estimated_size());
    let columns: Vec<&Series> = frame.columns().iter().map(Column::as_materialized_series).collect();
    let html = fit(&columns, ends, |fitted| {
        let hidden = columns.len() - fitted.columns;
        let more = if hidden > 0 {
            format!("{hidden} more column{} not shown", plural(hidden))
        } else {
            String::new()
        };
        caption(&[&shape, &size, node, &more, &fitted.rows, &fitted.note])
    });
    MimeBundle::text(text(frame, ends)).with("text/html", html)
}

/// As polars writes it, which shows ten rows unless all fit.
fn text(frame: &DataFrame, ends: Ends) -> String {
    match ends.tail {
        0 => frame.head(Some(ends.head)).to_string(),
        _ => frame.to_string(),
    }
}

pub(super) fn series(series: &Series, node: &str) -> MimeBundle {
    series_ends(series, node, Ends::USUAL)
}

/// With so many values of both ends.
pub(super) fn series_ends(series: &Series, node: &str, ends: Ends) -> MimeBundle {
    let shape = format!("{} value{}", grouped(series.len()), plural(series.len()));
    let node = if series.name() == node { "" } else { node };
    let size = bytes(series.estimated_size());
    let html = fit(&[series], ends, |fitted| caption(&[&shape, &size, node, &fitted.rows, &fitted.note]));
    let text = if ends.tail == 0 { format!("{}", series.head(Some(ends.head))) } else { format!("{series}") };
    MimeBundle::text(text).with("text/html", html)
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// What became of a table so that it stays within the limit of size.
struct Fitted {
    columns: usize,
    /// Said where fewer rows are shown than were asked for.
    rows: String,
    /// Said where the distributions are those of a part of the rows.
    note: String,
}

/// The largest form that stays within the limit of size.
fn fit(columns: &[&Series], asked: Ends, caption: impl Fn(&Fitted) -> String) -> String {
    let height = columns.first().map_or(0, |it| it.len());
    let mut shown = columns.len().min(COLUMNS);
    let mut ends = asked;
    let mut tooltips = true;
    let is_whole = height <= asked.rows() + 1;
    // Where every value can be seen there is nothing to sum up.
    let spacing = if is_whole { 1 } else { spacing(height, shown) };
    let distributions: Vec<String> = match is_whole {
        true => vec![String::new(); shown],
        false => columns[..shown].iter().map(|it| distribution(it, spacing)).collect(),
    };
    loop {
        let rows = if ends.rows() < asked.rows() {
            format!("{} rows shown: more would be too large", grouped(ends.rows()))
        } else {
            String::new()
        };
        let told = Fitted { columns: shown, rows, note: note(spacing) };
        let html =
            page(&format!("{}{}", table(&columns[..shown], &distributions, ends, tooltips), caption(&told)));
        if html.len() <= SIZE || shown <= 1 && ends.rows() <= Ends::USUAL.rows() {
            return html;
        }
        if tooltips {
            tooltips = false;
        } else if ends.rows() > Ends::USUAL.rows() {
            ends = Ends { head: ends.head.div_ceil(2), tail: ends.tail / 2 };
        } else {
            shown = shown.div_ceil(2);
        }
    }
}

/// The rows that are shown; `None` is the gap.
fn rows(height: usize, ends: Ends) -> Vec<Option<usize>> {
    if height <= ends.rows() + 1 {
        return (0..height).map(Some).collect();
    }
    (0..ends.head).map(Some).chain([None]).chain((height - ends.tail..height).map(Some)).collect()
}

fn table(columns: &[&Series], distributions: &[String], ends: Ends, tooltips: bool) -> String {
    let rows = rows(columns.first().map_or(0, |it| it.len()), ends);
    let views: Vec<ColumnCells> = columns.iter().map(|it| ColumnCells::new(it, &rows, tooltips)).collect();
    let (tall, scrolls) = match rows.len() > TALL {
        true => (" bk-tall", "overflow:auto;max-height:32em"),
        false => ("", "overflow-x:auto"),
    };
    let mut html = format!(
        "<div class=\"bk-scroll{tall}\" style=\"{scrolls}\"><table class=\"bk-table\" \
         style=\"border-collapse:collapse\"><thead><tr>"
    );
    for ((series, view), distribution) in columns.iter().zip(&views).zip(distributions) {
        let _ = write!(html, "<th{}>{}</th>", view.align, header(series, distribution));
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

/// Name, type, distribution, and the share of values that are present.
fn header(series: &Series, distribution: &str) -> String {
    let (nulls, length) = (series.null_count(), series.len());
    let share = if length == 0 { 0.0 } else { 100.0 * (length - nulls) as f64 / length as f64 };
    let title = match nulls {
        0 => "no nulls".to_owned(),
        _ => format!("{} of {} null ({:.1} %)", grouped(nulls), grouped(length), 100.0 - share),
    };
    format!(
        "{}<div class=\"bk-type\" style=\"font-weight:normal\">{}</div>{distribution}\
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

//! Several values in one output: a frame where they line up, else a dictionary, or exact JSON.

use std::any::Any;

use brooklet_graph::wire::{MimeBundle, Show};
use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::*;
use serde_json::{Map, Value as Json};

use super::Render;
use super::describe::describe;
use super::frame::{Ends, frame_ends, series_ends};
use super::html::{escape, page};
use crate::value::{ColumnView, Value};

/// Shows the targets of a run as asked.
///
/// # Errors
/// Says why the values cannot be shown so.
pub fn combine(values: &[(String, Value)], show: Show) -> Result<MimeBundle, String> {
    match (show, values) {
        (Show::Nothing, _) | (_, []) => Ok(MimeBundle::default()),
        (Show::Json, _) => json(values),
        (Show::Dict, _) => Ok(dict(values)),
        (Show::Auto, [(name, value)]) => Ok(value.render(name)),
        (Show::Auto, _) => Ok(match frame_of(values) {
            Ok(frame) => frame.render(),
            Err(_) => dict(values),
        }),
        (Show::Frame, [(name, value)]) if value.get::<DataFrame>().is_some() => Ok(value.render(name)),
        (Show::Frame, _) => Ok(frame_of(values)?.render()),
        (Show::Rows { rows }, _) => {
            let ends = Ends::of(rows);
            if values.len() > 1
                && let Ok(frame) = frame_of(values)
            {
                return Ok(frame_ends(&frame, "", ends));
            }
            each(values, |name, value| Ok(with_ends(&table_of(name, value)?, name, ends)))
        }
        (Show::Head { rows }, _) => each(values, |name, value| {
            let ends = Ends::head(rows);
            let table = match value.get::<LazyFrame>() {
                // The plan is collected as far as it is looked at.
                Some(plan) => Table::Frame(collected(name, plan.clone().limit(ends.rows() as IdxSize))?),
                None => table_of(name, value)?,
            };
            Ok(with_ends(&table, name, ends))
        }),
        (Show::Describe, _) => each(values, |name, value| {
            Ok(match table_of(name, value)? {
                Table::Frame(frame) => describe(&frame, name),
                Table::Series(series) => describe(&series.into_frame(), name),
            })
        }),
    }
}

/// What has rows.
enum Table {
    Frame(DataFrame),
    Series(Series),
}

/// A value that has rows; a plan is collected.
fn table_of(name: &str, value: &Value) -> Result<Table, String> {
    if let Some(frame) = value.get::<DataFrame>() {
        return Ok(Table::Frame(frame.clone()));
    }
    if let Some(plan) = value.get::<LazyFrame>() {
        return Ok(Table::Frame(collected(name, plan.clone())?));
    }
    match value.column(name) {
        Some(view) => Ok(Table::Series(view.series)),
        None => Err(format!("`{name}` is a `{}`, which has no rows", value.type_name())),
    }
}

fn collected(name: &str, plan: LazyFrame) -> Result<DataFrame, String> {
    plan.collect().map_err(|error| format!("`{name}` cannot be collected: {error}"))
}

fn with_ends(table: &Table, name: &str, ends: Ends) -> MimeBundle {
    match table {
        Table::Frame(frame) => frame_ends(frame, name, ends),
        Table::Series(series) => series_ends(series, name, ends),
    }
}

/// One value by itself, several below their names.
fn each(
    values: &[(String, Value)],
    show: impl Fn(&str, &Value) -> Result<MimeBundle, String>,
) -> Result<MimeBundle, String> {
    if let [(name, value)] = values {
        return show(name, value);
    }
    let bundles = values.iter().map(|(name, value)| Ok((name.clone(), show(name, value)?)));
    Ok(entries(bundles.collect::<Result<Vec<_>, String>>()?.into_iter()))
}

/// `{"target": value}`, as JSON and as text.
///
/// # Errors
/// Names the target that has no JSON form.
pub fn json(values: &[(String, Value)]) -> Result<MimeBundle, String> {
    let object = values
        .iter()
        .map(|(name, value)| match value.json() {
            Ok(json) => Ok((name.clone(), json)),
            Err(problem) => Err(format!("`{name}`: {problem}")),
        })
        .collect::<Result<Map<_, _>, String>>()?;
    let object = Json::Object(object);
    Ok(MimeBundle::text(object.to_string()).with("application/json", object))
}

/// One column a value, named by its node; scalars repeat.
///
/// # Errors
/// If a value is no column, or the columns are not of one length.
pub fn frame_of(values: &[(String, Value)]) -> Result<DataFrame, String> {
    let views = values
        .iter()
        .map(|(name, value)| {
            value.column(name).ok_or_else(|| format!("`{name}` is a `{}`, not a column", value.type_name()))
        })
        .collect::<Result<Vec<ColumnView>, String>>()?;
    let height = match views.iter().find(|it| !it.is_scalar) {
        Some(view) => view.series.len(),
        None => 1,
    };
    let mut columns = Vec::with_capacity(views.len());
    for view in views {
        columns.push(if view.is_scalar && height != 1 {
            Column::from(view.series.new_from_index(0, height))
        } else if view.series.len() == height {
            Column::from(view.series)
        } else {
            return Err(format!(
                "the columns are not of one length: `{}` has {} values, others {height}",
                view.series.name(),
                view.series.len()
            ));
        });
    }
    DataFrame::new(height, columns).map_err(|it| it.to_string())
}

fn dict(values: &[(String, Value)]) -> MimeBundle {
    entries(values.iter().map(|(name, value)| (name.clone(), value.render(""))))
}

/// Named bundles below each other.
fn entries(entries: impl Iterator<Item = (String, MimeBundle)>) -> MimeBundle {
    let mut text = String::new();
    let mut html = String::from("<dl class=\"bk-dict\">");
    for (name, bundle) in entries {
        let plain = bundle.plain();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&name);
        text.push_str(if plain.contains('\n') { ":\n" } else { ": " });
        text.push_str(plain);
        let inner = match bundle.data.get("text/html").and_then(Json::as_str) {
            Some(inner) => inner.replace(super::html::STYLE, ""),
            None => format!("<pre class=\"bk-text\">{}</pre>", escape(plain)),
        };
        html.push_str(&format!("<dt>{}</dt><dd>{inner}</dd>", escape(&name)));
    }
    html.push_str("</dl>");
    MimeBundle::text(text).with("text/html", page(&html))
}

/// A list of tables.
pub(super) fn list_of<T: Render>(items: &[T]) -> MimeBundle {
    const SHOWN: usize = 10;
    let mut bundles: Vec<_> =
        items.iter().take(SHOWN).enumerate().map(|(at, it)| (format!("[{at}]"), it.render())).collect();
    if items.len() > SHOWN {
        bundles.push(("…".to_owned(), MimeBundle::text(format!("{} more", items.len() - SHOWN))));
    }
    if bundles.is_empty() {
        return super::scalar::text_block("[]", "Vec", "");
    }
    entries(bundles.into_iter())
}

pub(super) fn maybe<T: Render>(value: &Option<T>, node: &str) -> MimeBundle {
    match value {
        Some(it) => it.render_node(node),
        None => super::scalar::text_block("None", "Option", node),
    }
}

/// A scalar of std, an option of one, or a list of them, as a column.
pub(super) fn column_of_any(value: &dyn Any, name: &str) -> Option<ColumnView> {
    let name: PlSmallStr = name.into();
    macro_rules! look_for {
        ($($type:ty => $column:ty),* $(,)?) => {$(
            if let Some(it) = value.downcast_ref::<$type>() {
                let it = <$column>::try_from(it.clone()).ok()?;
                return Some(ColumnView { series: Series::new(name, [it]), is_scalar: true });
            }
            if let Some(it) = value.downcast_ref::<Option<$type>>() {
                let it = it.clone().map(<$column>::try_from).transpose().ok()?;
                return Some(ColumnView { series: Series::new(name, [it]), is_scalar: true });
            }
            if let Some(it) = value.downcast_ref::<Vec<$type>>() {
                let it = it.iter().cloned().map(<$column>::try_from).collect::<Result<Vec<_>, _>>().ok()?;
                return Some(ColumnView { series: Series::new(name, it), is_scalar: false });
            }
            if let Some(it) = value.downcast_ref::<Vec<Option<$type>>>() {
                let it = it
                    .iter()
                    .map(|it| it.clone().map(<$column>::try_from).transpose())
                    .collect::<Result<Vec<_>, _>>()
                    .ok()?;
                return Some(ColumnView { series: Series::new(name, it), is_scalar: false });
            }
        )*};
    }
    look_for! {
        f64 => f64, i64 => i64, bool => bool, String => String, i32 => i32, u32 => u32, u64 => u64, f32 => f32,
        usize => u64, isize => i64, i8 => i32, i16 => i32, u8 => u32, u16 => u32, i128 => i64, u128 => u64,
        char => String, NaiveDate => NaiveDate, NaiveDateTime => NaiveDateTime,
    }
    None
}

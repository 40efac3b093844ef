//! One value as short text: digits that tell enough, one line, and where that is not all of it the whole.

use polars::prelude::*;

use super::html::shortened;

/// Characters of a text cell; more stand in its tooltip.
pub(super) const CELL: usize = 60;

fn float(value: &AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Float64(it) => Some(*it),
        AnyValue::Float32(it) => it.to_string().parse().ok(),
        _ => None,
    }
}

/// Digits after the point for a column of floats: as many as its values need, four at most (two
/// beside large ones), so that the points stand below each other.
pub(super) fn decimals(values: &[Option<AnyValue<'_>>]) -> usize {
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

/// A number by itself, with four decimals at most.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        value.to_string()
    } else if is_plain(value) {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.4e}")
    }
}

/// A value by itself, on one short line.
pub(super) fn short(value: &AnyValue<'_>) -> String {
    float(value).map_or_else(|| cell(value, 0).0, number)
}

/// The text of a cell, and the whole value where the text is not all of it.
pub(super) fn cell(value: &AnyValue<'_>, decimals: usize) -> (String, Option<String>) {
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

//! Every attribute that shapes a graph, each in the smallest use that shows it.
//!
//! The file is an ordinary module: its unit tests run with `cargo test`, a program takes it by `flow!`, and a
//! notebook by `%watch language/language.rs`.

#![allow(non_snake_case, reason = "a suffix tells variants apart")]

use std::collections::HashMap;

use brooklet::prelude::*;

// Names: a node is called as its function, unless it says otherwise.

/// The rate of value added tax.
#[node(name = "rate")]
#[config(when(region = "us"))]
pub fn rate_us() -> f64 {
    0.0
}

#[config(when_in(region = ["uk", "ie"]))]
pub fn rate__isles() -> f64 {
    0.2
}

#[config(otherwise)]
pub fn rate__elsewhere(region: Option<&str>) -> f64 {
    if region.is_some() { 0.19 } else { 0.0 }
}

pub fn gross(net: f64, rate: f64) -> f64 {
    net * (1.0 + rate)
}

#[node(skip)]
pub fn weight(part: f64, whole: f64) -> f64 {
    part / whole
}

// Defaults: a value for what nothing provides.

/// Sum of the last `window` values.
#[defaults(window = 3)]
#[tag(owner = "ds", stage = ["daily", "review"])]
pub fn recent(values: &[i64], window: usize) -> i64 {
    values.iter().rev().take(window).sum()
}

// Parameterize: one function, several nodes.

/// {output_name}: ten times {x}, and y.
#[parameterize(
    p1(x = value(1)),
    p2(x = value(2), doc = "The second."),
    p3(x = source(base))
)]
pub fn scaled(x: i64, y: i64) -> i64 {
    x * 10 + y
}

pub fn base() -> i64 {
    7
}

// Inject: several nodes into one parameter.

#[inject(nums = [base, value(10), p1])]
pub fn total(nums: &[i64]) -> i64 {
    nums.iter().sum()
}

#[inject(rates = {home = rate, away = value(0.5)})]
pub fn spread(rates: HashMap<String, f64>) -> f64 {
    rates["away"] - rates["home"]
}

// Parts: columns, fields, items.

/// Spend and signups by day.
#[extract_columns(spend, "sign ups" as signups, clicks("Clicks, none known."), fill_with = 0)]
#[schema(spend: i64, "sign ups": i64)]
#[tag_outputs(spend(unit = "EUR"))]
pub fn daily(scale: i64) -> PolarsResult<DataFrame> {
    df!("spend" => [scale, 2 * scale], "sign ups" => [1i64, 4])
}

pub fn per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> {
    spend.cast(&DataType::Float64)? / signups.cast(&DataType::Float64)?
}

pub struct Split {
    pub train: Vec<i64>,
    pub test: Vec<i64>,
}

#[extract_fields]
pub fn split(values: &[i64]) -> Split {
    let (train, test) = values.split_at(values.len() / 2);
    Split { train: train.to_vec(), test: test.to_vec() }
}

pub fn trained_on(train: &[i64], test: &[i64]) -> String {
    format!("{} of {}", train.len(), train.len() + test.len())
}

#[unpack(low, _, high)]
pub fn bounds(values: &[i64]) -> Result<(i64, String, i64), String> {
    match (values.iter().min(), values.iter().max()) {
        (Some(low), Some(high)) => Ok((*low, format!("{low} to {high}"), *high)),
        _ => Err("there are no values".to_owned()),
    }
}

pub fn width(low: i64, high: i64) -> i64 {
    high - low
}

/// Columns of one function under two settings.
#[parameterize(
    small(k = value(10), extract_columns(product as small_product, sum as small_sum)),
    large(k = value(100), extract_columns(product as large_product, sum as large_sum))
)]
pub fn combined(k: i64) -> PolarsResult<DataFrame> {
    df!("product" => [k], "sum" => [2 + k])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_called_as_they_are() {
        assert_eq!(gross(100.0, rate__isles()), 120.0);
        assert_eq!(recent(&[1, 2, 3, 4], 3), 9);
        assert_eq!(scaled(2, 5), 25);
        assert_eq!(split(&[1, 2, 3]).test, [2, 3]);
    }
}

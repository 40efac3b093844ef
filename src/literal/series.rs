//! A list as a series: one type for all its items, found by looking at them.

use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::*;

use super::{Item, Literal};

/// A series named as its input.
pub(super) fn from_literal(literal: &Literal, name: &str) -> Result<Series, String> {
    match &literal.item {
        Some(Item::List(items)) => from_items(name, items),
        None if literal.raw.starts_with('[') => {
            Err("the list is not complete, or holds text without quotes".to_owned())
        }
        _ => Err("a series is written as a list".to_owned()),
    }
}

/// All ints: i64; any float: f64; bools; strings; dates; dates and times. Nulls anywhere.
pub(super) fn from_items(name: &str, items: &[Item]) -> Result<Series, String> {
    let name: PlSmallStr = name.into();
    let mut kinds = items.iter().filter(|it| **it != Item::Null).map(kind).collect::<Vec<_>>();
    kinds.sort();
    kinds.dedup();
    Ok(match kinds[..] {
        [] => Series::full_null(name, items.len(), &DataType::Null),
        [Kind::Bool] => collect(items, |it| if let Item::Bool(it) = it { Some(*it) } else { None })
            .map(|it: Vec<Option<bool>>| Series::new(name, it))?,
        [Kind::Integer] => {
            let values: Vec<Option<i64>> = collect(items, |it| match it {
                Item::Integer(it) => i64::try_from(*it).ok(),
                _ => None,
            })?;
            Series::new(name, values)
        }
        [Kind::Float] | [Kind::Integer, Kind::Float] => {
            let values: Vec<Option<f64>> = collect(items, |it| match it {
                Item::Float(it) => Some(*it),
                Item::Integer(it) => exact_f64(*it),
                _ => None,
            })?;
            Series::new(name, values)
        }
        [Kind::Text] => {
            let values: Vec<Option<String>> =
                collect(items, |it| if let Item::String(it) = it { Some(it.clone()) } else { None })?;
            Series::new(name, values)
        }
        [Kind::Date] => {
            let values: Vec<Option<NaiveDate>> =
                collect(items, |it| if let Item::Date(it) = it { Some(*it) } else { None })?;
            Series::new(name, values)
        }
        [Kind::DateTime] | [Kind::Date, Kind::DateTime] => {
            let values: Vec<Option<NaiveDateTime>> = collect(items, |it| match it {
                Item::DateTime(it) => Some(*it),
                Item::Date(it) => it.and_hms_opt(0, 0, 0),
                _ => None,
            })?;
            DatetimeChunked::from_naive_datetime_options(name, values, TimeUnit::Microseconds).into_series()
        }
        [Kind::Nested, ..] => return Err("lists and tables inside a series are not understood".to_owned()),
        _ => return Err(format!("its items are of several kinds: {}", words(&kinds))),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Nested,
    Bool,
    Integer,
    Float,
    Text,
    Date,
    DateTime,
}

fn kind(item: &Item) -> Kind {
    match item {
        Item::Bool(_) => Kind::Bool,
        Item::Integer(_) => Kind::Integer,
        Item::Float(_) => Kind::Float,
        Item::String(_) => Kind::Text,
        Item::Date(_) => Kind::Date,
        Item::DateTime(_) => Kind::DateTime,
        Item::Null | Item::List(_) | Item::Table(_) => Kind::Nested,
    }
}

fn words(kinds: &[Kind]) -> String {
    let word = |kind: &Kind| match kind {
        Kind::Nested => "lists",
        Kind::Bool => "bools",
        Kind::Integer => "whole numbers",
        Kind::Float => "numbers",
        Kind::Text => "strings",
        Kind::Date => "dates",
        Kind::DateTime => "dates with times",
    };
    kinds.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Converts every item that is not null; an item that `convert` refuses does not fit the type.
fn collect<T>(items: &[Item], convert: impl Fn(&Item) -> Option<T>) -> Result<Vec<Option<T>>, String> {
    items
        .iter()
        .map(|it| match it {
            Item::Null => Ok(None),
            other => match (convert(other), other) {
                (Some(value), _) => Ok(Some(value)),
                (None, Item::Integer(value)) => Err(format!("{value} does not fit exactly in 64 bits")),
                (None, other) => Err(format!("{other:?} does not fit its neighbours")),
            },
        })
        .collect()
}

fn exact_f64(value: i128) -> Option<f64> {
    let float = value as f64;
    (float as i128 == value && value.unsigned_abs() < 1 << 100).then_some(float)
}

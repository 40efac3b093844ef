//! A result in a few numbers, so that two runs can be held side by side.

use brooklet_graph::wire::Numbers;
use polars::prelude::*;
use serde_json::Value as Json;

use crate::content::f64_json;
use crate::panics;
use crate::value::Value;

/// More values than that are not summed up: it would be felt.
const MOST: usize = 4_000_000;
/// A file of at most so many bytes is looked into.
const SMALL: u64 = 64 << 10;
/// A text that is longer tells nothing at a glance.
const LONGEST: usize = 80;
/// So many numbers are taken from one value.
const ENOUGH: usize = 64;

/// `value` for a scalar; `rows`, and of each numeric column `column.mean`, `.min`, `.max`, `.nulls` for series and
/// frames; the fields of what has a JSON form, by their path. Nothing for what has no numbers, or too many. `stored` is
/// the length of the file that holds the value: what could be written there, can be written as JSON, and is as small.
pub fn numbers(value: &Value, stored: Option<u64>) -> Numbers {
    let mut numbers = Numbers::new();
    if let Some(series) = value.get::<Series>() {
        numbers.insert("rows".to_owned(), series.len().into());
        of_column(&series.clone().into_column(), "", &mut numbers);
    } else if let Some(column) = value.get::<Column>() {
        numbers.insert("rows".to_owned(), column.len().into());
        of_column(column, "", &mut numbers);
    } else if let Some(frame) = value.get::<DataFrame>() {
        numbers.insert("rows".to_owned(), frame.height().into());
        numbers.insert("columns".to_owned(), frame.width().into());
        let numeric: Vec<&Column> = frame.columns().iter().filter(|it| is_numeric(it)).collect();
        if frame.height() * numeric.len() <= MOST {
            numeric.iter().for_each(|it| of_column(it, &format!("{}.", it.name()), &mut numbers));
        }
    } else if (is_small(value) || stored.is_some_and(|it| it <= SMALL))
        && let Ok(Ok(json)) = panics::catch(|| value.json())
    {
        of_json(&json, "", &mut numbers);
    }
    numbers
}

/// A scalar, or a short text.
fn is_small(value: &Value) -> bool {
    let ops = value.ops();
    match value.get::<String>() {
        Some(text) => text.len() <= LONGEST,
        None => ops.from_image && ops.json.is_some() && !ops.name.contains(['<', '[', '(']),
    }
}

fn is_numeric(column: &Column) -> bool {
    column.dtype().is_primitive_numeric() || column.dtype().is_bool()
}

fn of_column(column: &Column, prefix: &str, numbers: &mut Numbers) {
    if !is_numeric(column) || column.len() > MOST || numbers.len() >= ENOUGH {
        return;
    }
    let Ok(floats) = column.as_materialized_series().cast(&DataType::Float64) else { return };
    let mut add = |name: &str, number: Option<f64>| {
        if let Some(number) = number {
            numbers.insert(format!("{prefix}{name}"), f64_json(number));
        }
    };
    add("mean", floats.mean());
    add("min", floats.min().ok().flatten());
    add("max", floats.max().ok().flatten());
    numbers.insert(format!("{prefix}nulls"), column.null_count().into());
}

fn of_json(json: &Json, path: &str, numbers: &mut Numbers) {
    if numbers.len() >= ENOUGH {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match json {
        Json::Object(fields) => fields.iter().for_each(|(name, it)| of_json(it, &below(name), numbers)),
        Json::Array(items) if path.is_empty() => drop(numbers.insert("items".to_owned(), items.len().into())),
        Json::Array(items) => drop(numbers.insert(below("items"), items.len().into())),
        Json::Null => {}
        // Text is a number only where it stands for one; a short one tells results apart all the same.
        Json::String(text) if text.len() > LONGEST => {}
        scalar => {
            let name = if path.is_empty() { "value" } else { path };
            numbers.insert(name.to_owned(), scalar.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Value) -> String {
        serde_json::to_string(&numbers(&value, Some(100))).unwrap()
    }

    #[test]
    fn each_kind_of_value_has_its_numbers() {
        assert_eq!(text(Value::new(0.1f64 + 0.2)), r#"{"value":0.30000000000000004}"#);
        assert_eq!(text(Value::new(f64::NAN)), r#"{"value":"NaN"}"#);
        assert_eq!(text(Value::new(vec![1i64, 2])), r#"{"items":2}"#);
        let series = Series::new("s".into(), [Some(1i64), None, Some(4)]);
        assert_eq!(text(Value::new(series)), r#"{"max":4.0,"mean":2.5,"min":1.0,"nulls":1,"rows":3}"#);
        let frame = df!["n" => [1.5, 2.5], "s" => ["a", "b"]].unwrap();
        let told = r#"{"columns":2,"n.max":2.5,"n.mean":2.0,"n.min":1.5,"n.nulls":0,"rows":2}"#;
        assert_eq!(text(Value::new(frame)), told);
        assert_eq!(text(Value::new(None::<f64>)), "{}");
        assert!(numbers(&Value::new(vec![0.5; 1 << 20]), None).is_empty());
        assert!(numbers(&Value::new(vec![0.5; 1 << 20]), Some(8 << 20)).is_empty());
        assert_eq!(
            text(Value::new(Series::new_empty("e".into(), &DataType::Float64))),
            r#"{"nulls":0,"rows":0}"#
        );
    }
}

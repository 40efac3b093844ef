//! Series and frames: versions by column, JSON by value.

use polars::prelude::*;
use serde_json::{Map, Value as Json};

use super::{Content, f32_json, f64_json, integer_json, memory, tag};
use crate::version::{Encoder, Version};

impl Content for Series {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::SERIES);
        match memory::version_of(self) {
            Some(version) => encoder.bytes(&version.0),
            None => encoder.opaque(),
        }
    }

    fn json(&self) -> Json {
        (0..self.len()).map(|row| self.get(row).map_or(Json::Null, |it| any_json(&it))).collect()
    }
}

impl Content for Column {
    fn encode(&self, encoder: &mut Encoder) {
        self.as_materialized_series().encode(encoder);
    }

    fn json(&self) -> Json {
        self.as_materialized_series().json()
    }
}

impl Content for DataFrame {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::FRAME);
        encoder.length(self.height());
        encoder.length(self.width());
        for version in column_versions(self) {
            match version {
                Some(version) => encoder.bytes(&version.0),
                None => encoder.opaque(),
            }
        }
    }

    fn json(&self) -> Json {
        self.columns().iter().map(|it| (it.name().to_string(), it.json())).collect::<Map<_, _>>().into()
    }
}

/// The columns of a frame with their versions, which were found when it was hashed.
pub fn columns_of(frame: &DataFrame) -> Option<std::sync::Arc<[(String, Version)]>> {
    let version = |it: &Column| Some((it.name().to_string(), column_version(it)?));
    frame.columns().iter().map(version).collect()
}

/// Columns of large frames are hashed side by side, if there are any that were not hashed before.
fn column_versions(frame: &DataFrame) -> Vec<Option<Version>> {
    const LARGE: usize = 1 << 20;
    let columns = frame.columns();
    let unknown: Vec<&Column> =
        columns.iter().filter(|it| !memory::knows(it.as_materialized_series())).collect();
    if unknown.len() > 1 && frame.height() * unknown.len() >= LARGE {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = unknown.len().div_ceil(threads);
        std::thread::scope(|scope| {
            for part in unknown.chunks(share) {
                // What they find is remembered.
                scope.spawn(move || {
                    part.iter().for_each(|it| {
                        let _ = column_version(it);
                    });
                });
            }
        });
    }
    columns.iter().map(column_version).collect()
}

fn column_version(column: &Column) -> Option<Version> {
    memory::version_of(column.as_materialized_series())
}

fn any_json(value: &AnyValue<'_>) -> Json {
    match value {
        AnyValue::Null => Json::Null,
        AnyValue::Boolean(it) => (*it).into(),
        AnyValue::UInt8(it) => (*it).into(),
        AnyValue::UInt16(it) => (*it).into(),
        AnyValue::UInt32(it) => (*it).into(),
        AnyValue::UInt64(it) => (*it).into(),
        AnyValue::UInt128(it) => integer_json(i128::try_from(*it).ok(), it),
        AnyValue::Int8(it) => (*it).into(),
        AnyValue::Int16(it) => (*it).into(),
        AnyValue::Int32(it) => (*it).into(),
        AnyValue::Int64(it) => (*it).into(),
        AnyValue::Int128(it) => integer_json(Some(*it), it),
        AnyValue::Float32(it) => f32_json(*it),
        AnyValue::Float64(it) => f64_json(*it),
        AnyValue::Datetime(it, unit, zone) => datetime_json(*it, *unit, *zone),
        AnyValue::DatetimeOwned(it, unit, zone) => datetime_json(*it, *unit, zone.as_deref()),
        AnyValue::Duration(it, unit) => duration_iso(*it, *unit).into(),
        AnyValue::List(inner) => inner.json(),
        AnyValue::Binary(bytes) => hex(bytes).into(),
        AnyValue::BinaryOwned(bytes) => hex(bytes).into(),
        other => match other.get_str() {
            Some(text) => text.into(),
            None => other.to_string().into(), // dates are ISO 8601 in polars' own text
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn ticks_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => 1_000_000_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
    }
}

/// ISO 8601; with a time zone the moment in UTC, marked `Z`.
fn datetime_json(ticks: i64, unit: TimeUnit, zone: Option<&TimeZone>) -> Json {
    let per_second = ticks_per_second(unit);
    let nanoseconds = ticks.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let Some(moment) = chrono::DateTime::from_timestamp(ticks.div_euclid(per_second), nanoseconds as u32)
    else {
        return integer_json(Some(i128::from(ticks)), &ticks);
    };
    format!("{:?}{}", moment.naive_utc(), if zone.is_some() { "Z" } else { "" }).into()
}

/// `PT90.5S`
fn duration_iso(ticks: i64, unit: TimeUnit) -> String {
    let per_second = ticks_per_second(unit).unsigned_abs();
    let (seconds, rest) = (ticks.unsigned_abs() / per_second, ticks.unsigned_abs() % per_second);
    let sign = if ticks < 0 { "-" } else { "" };
    let digits = per_second.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}PT{seconds}S"),
        fraction => format!("{sign}PT{seconds}.{fraction}S"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::version;

    #[test]
    fn chunks_do_not_show() {
        let whole = Series::new("a".into(), [Some(1i64), None, Some(3)]);
        let mut parts = Series::new("a".into(), [Some(1i64), None]);
        parts.append(&Series::new("a".into(), [3i64])).unwrap();
        assert_eq!(parts.n_chunks(), 2);
        assert_eq!(version(&whole), version(&parts));
    }

    #[test]
    fn what_lies_below_a_null_does_not_show() {
        let values = Series::new("a".into(), [1i64, 2]);
        let mask = BooleanChunked::new("".into(), [true, false]);
        let masked = values.zip_with(&mask, &Series::full_null("a".into(), 2, &DataType::Int64)).unwrap();
        assert_eq!(version(&masked), version(&Series::new("a".into(), [Some(1i64), None])));
    }

    #[test]
    fn a_scalar_column_is_its_values() {
        let scalar = Column::new_scalar("a".into(), Scalar::from(7i64), 3);
        assert_eq!(version(&scalar), version(&Column::new("a".into(), [7i64, 7, 7])));
    }

    #[test]
    fn name_type_values_and_nulls_show() {
        let base = Series::new("a".into(), [1i64, 2]);
        for other in [
            Series::new("b".into(), [1i64, 2]),
            Series::new("a".into(), [1i32, 2]),
            Series::new("a".into(), [1i64, 3]),
            Series::new("a".into(), [Some(1i64), None]),
            Series::new("a".into(), [1i64, 2, 0]),
            Series::new("a".into(), ["1", "2"]),
        ] {
            assert_ne!(version(&base), version(&other), "{other}");
        }
        assert_ne!(
            version(&Series::new("a".into(), [Some(0i64), None])),
            version(&Series::new("a".into(), [None, Some(0i64)]))
        );
    }

    #[test]
    fn categories_are_their_text() {
        let text = Series::new("a".into(), ["x", "y", "x"]);
        let categories = Categories::global();
        let dtype = DataType::from_categories(categories);
        let one = text.cast(&dtype).unwrap();
        assert_eq!(version(&one), version(&text.cast(&dtype).unwrap()));
        assert_eq!(one.json().to_string(), r#"["x","y","x"]"#);
    }

    #[test]
    fn lists_have_versions_and_json() {
        let list =
            Series::new("l".into(), [Series::new("".into(), [1i64, 2]), Series::new("".into(), [3i64])]);
        let other =
            Series::new("l".into(), [Series::new("".into(), [1i64]), Series::new("".into(), [2i64, 3])]);
        assert_ne!(version(&list), version(&other));
        assert_eq!(list.json().to_string(), "[[1,2],[3]]");
    }

    #[test]
    fn json_of_a_frame() {
        let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
        let frame = df![
            "n" => [Some(1i64), None],
            "x" => [f64::NAN, 0.1],
            "s" => ["a", "b"],
            "d" => [day, day],
            "t" => [day.and_hms_milli_opt(1, 2, 3, 500).unwrap(), day.and_hms_opt(0, 0, 0).unwrap()],
            "p" => [chrono::Duration::milliseconds(90_500), chrono::Duration::seconds(-1)],
        ]
        .unwrap();
        assert_eq!(
            frame.json().to_string(),
            r#"{"n":[1,null],"x":["NaN",0.1],"s":["a","b"],"d":["2024-02-29","2024-02-29"],"#.to_owned()
                + r#""t":["2024-02-29T01:02:03.500","2024-02-29T00:00:00"],"p":["PT90.5S","-PT1S"]}"#
        );
    }
}

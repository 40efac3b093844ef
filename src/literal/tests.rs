use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::*;
use serde::Deserialize;

use super::{Item, Literal, LiteralContext, decode};
use crate::glue::TypeInfo;

fn read<T: Clone + 'static>(raw: &str) -> Result<T, String> {
    let context = LiteralContext::new("x", Path::new("base"));
    match decode(raw, TypeInfo::of::<T>(), None, &context) {
        Ok(value) => Ok(value.get::<T>().unwrap().clone()),
        Err(failure) => Err(failure.message),
    }
}

fn series(raw: &str) -> Series {
    read(raw).unwrap()
}

#[track_caller]
fn refused<T: Clone + Debug + 'static>(raw: &str, message: &str) {
    let found = read::<T>(raw).unwrap_err();
    assert!(found.contains(message), "{found}");
}

#[test]
fn text_is_raw() {
    for (raw, text) in [
        ("us", "us"),
        ("3", "3"),
        ("data/x.csv", "data/x.csv"),
        ("\"a b\"", "a b"),
        ("'c'", "c"),
        ("true", "true"),
        ("2024-01-01", "2024-01-01"),
        ("[1, 2]", "[1, 2]"),
        ("\"\"", ""),
        (r#""tab\t""#, "tab\t"),
    ] {
        assert_eq!(read::<String>(raw).as_deref(), Ok(text));
    }
    assert_eq!(read::<Option<String>>("null"), Ok(None));
    assert_eq!(read::<Option<String>>("3"), Ok(Some("3".into())));
    assert_eq!(read::<char>("'a'"), Ok('a'));
}

#[test]
fn numbers_are_exact_or_refused() {
    assert_eq!(read("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(read("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(read("170141183460469231731687303715884105727"), Ok(i128::MAX));
    assert_eq!(read("1_000"), Ok(1000i32));
    assert_eq!(read("0xff"), Ok(255u8));
    assert_eq!(read("3"), Ok(3.0f64));
    assert_eq!(read("0.1"), Ok(0.1f64));
    assert_eq!(read("1e3"), Ok(1e3f64));
    assert_eq!(read("-inf"), Ok(f64::NEG_INFINITY));
    assert!(read::<f64>("nan").unwrap().is_nan());
    assert_eq!(read("100000000000000000000000"), Ok(1e23f64));
    refused::<i64>("9223372036854775808", "`x` needs `i64`, but `9223372036854775808` is a whole number");
    refused::<u8>("256", "expected u8");
    refused::<u64>("-1", "expected u64");
    refused::<i64>("1.5", "expected i64");
    refused::<i64>("many", "`many` is text");
    refused::<f64>("true", "expected f64");
    refused::<bool>("1", "expected a boolean");
    refused::<i64>("null", "is null");
}

#[test]
fn a_literal_that_is_nested_too_deeply_is_refused_as_that() {
    for open in ["[", "{a=", "{a:"] {
        let raw = open.repeat(50_000);
        refused::<i64>(&raw, "is text: its lists and tables are nested more than 64 deep");
        refused::<Series>(&raw, "nested more than 64 deep");
        refused::<DataFrame>(&raw, "nested more than 64 deep");
        assert_eq!(read::<String>(&raw).as_deref(), Ok(raw.as_str()));
    }
}

#[test]
fn dates_are_dates() {
    let day = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let noon = day.and_hms_opt(12, 0, 0).unwrap();
    assert_eq!(read("2024-02-29"), Ok(day));
    assert_eq!(read("2024-02-29T12:00:00"), Ok(noon));
    assert_eq!(read("2024-02-29 12:00:00"), Ok(noon));
    assert_eq!(read("2024-02-29"), Ok(day.and_hms_opt(0, 0, 0).unwrap()));
    assert_eq!(read("[2024-02-29, null]"), Ok(vec![Some(day), None]));
    assert_eq!(read::<Option<NaiveDateTime>>("null"), Ok(None));
    refused::<NaiveDate>("2023-02-29", "needs `NaiveDate`");
}

#[test]
fn lists_become_series() {
    for (raw, dtype, text) in [
        ("[1, 2, null]", DataType::Int64, r#"[1,2,null]"#),
        ("[1, 2.5]", DataType::Float64, r#"[1.0,2.5]"#),
        ("[nan, inf]", DataType::Float64, r#"["NaN","inf"]"#),
        ("[true, false]", DataType::Boolean, r#"[true,false]"#),
        ("[\"a\", 'b', null]", DataType::String, r#"["a","b",null]"#),
        ("[2024-01-01, null]", DataType::Date, r#"["2024-01-01",null]"#),
        (
            "[2024-01-01T00:00:00.000001, 2024-01-02]",
            DataType::Datetime(TimeUnit::Microseconds, None),
            r#"["2024-01-01T00:00:00.000001","2024-01-02T00:00:00"]"#,
        ),
        ("[]", DataType::Null, "[]"),
        ("[null, null]", DataType::Null, "[null,null]"),
        ("[1, 2, ]", DataType::Int64, "[1,2]"),
    ] {
        let series = series(raw);
        assert_eq!(series.name().as_str(), "x");
        assert_eq!(series.dtype(), &dtype, "{raw}");
        assert_eq!(crate::content::Content::json(&series).to_string(), text);
    }
    refused::<Series>("[1, \"a\"]", "several kinds: whole numbers, strings");
    refused::<Series>("[us, uk]", "text without quotes");
    refused::<Series>("[9223372036854775808]", "does not fit exactly");
    refused::<Series>("[9007199254740993, 0.5]", "does not fit exactly");
    refused::<Series>("[[1], [2]]", "not understood");
    refused::<Series>("3", "written as a list");
}

#[test]
fn other_types_come_by_serde() {
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct Model {
        name: String,
        rate: f64,
        #[serde(default)]
        limits: Vec<i64>,
        kind: Kind,
    }
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    enum Kind {
        Plain,
        Fancy { size: u8 },
        Pair(i64, String),
    }
    let model = |raw: &str| Literal::new(raw).deserialize::<Model>();
    let expected = Model { name: "m".into(), rate: 1.0, limits: vec![1], kind: Kind::Plain };
    assert_eq!(model(r#"{name = "m", rate = 1, limits = [1], kind = "Plain"}"#), Ok(expected.clone()));
    assert_eq!(model(r#"{"name": "m", "rate": 1.0, "limits": [1], "kind": "Plain"}"#), Ok(expected));
    assert_eq!(model(r#"{name="m", rate=2, kind={Fancy={size=3}}}"#).unwrap().kind, Kind::Fancy { size: 3 });
    assert_eq!(model(r#"{name="m", rate=2, kind={Pair=[3,"a"]}}"#).unwrap().kind, Kind::Pair(3, "a".into()));
    assert!(model("{name = 3, rate = 1, kind = 'Plain'}").unwrap_err().contains("expected a string"));
    assert_eq!(Literal::new("Plain").deserialize::<Kind>(), Ok(Kind::Plain));
    assert_eq!(Literal::new("{a = 1, b = 2}").deserialize::<BTreeMap<String, u8>>().unwrap().len(), 2);
    assert_eq!(read("[[1, 2], []]"), Ok(vec![vec![1i64, 2], vec![]]));
    assert_eq!(read("[1, null]"), Ok(vec![Some(1.0f64), None]));
}

#[test]
fn what_cannot_be_read_says_so() {
    struct Opaque;
    let context = LiteralContext::new("x", Path::new(""));
    let failure = decode("1", TypeInfo::of::<Opaque>(), None, &context).unwrap_err();
    assert_eq!(failure.kind, "bad-literal");
    assert!(failure.message.contains("cannot be read from a literal"), "{}", failure.message);
    assert!(failure.hint.unwrap().contains("serde::Deserialize"));
    assert_ne!(TypeId::of::<Opaque>(), TypeId::of::<()>());
}

#[test]
fn text_that_is_no_value() {
    for raw in ["us", "a b", "data/x.csv", "[1, 2", "1,2", "{a = }", "007", "1__0", "\"open", "[1] x", ""] {
        assert_eq!(Literal::new(raw).item, None, "{raw}");
    }
    assert_eq!(Literal::new(" [ ] ").item, Some(Item::List(vec![])));
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    assert_eq!(Literal::new(&deep).item, None);
}

#[test]
fn paths_become_frames() {
    let directory = std::env::temp_dir().join(format!("brooklet-literal-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let mut frame = df!["day" => ["2024-01-01", "2024-01-02"], "n" => [Some(1i64), None]].unwrap();
    std::fs::write(directory.join("a.csv"), "day,n\n2024-01-01,1\n2024-01-02,\n").unwrap();
    ParquetWriter::new(std::fs::File::create(directory.join("a.parquet")).unwrap())
        .finish(&mut frame)
        .unwrap();
    IpcWriter::new(std::fs::File::create(directory.join("a.arrow")).unwrap()).finish(&mut frame).unwrap();
    std::fs::write(directory.join("a.json"), r#"[{"day":"2024-01-01","n":1},{"day":"2024-01-02","n":null}]"#)
        .unwrap();
    std::fs::write(
        directory.join("a.ndjson"),
        "{\"day\":\"2024-01-01\",\"n\":1}\n{\"day\":\"2024-01-02\",\"n\":null}\n",
    )
    .unwrap();
    let context = LiteralContext::new("x", &directory);
    for file in ["a.csv", "a.parquet", "a.arrow", "a.json", "a.ndjson"] {
        let eager = decode(file, TypeInfo::of::<DataFrame>(), None, &context).unwrap();
        let lazy = decode(file, TypeInfo::of::<LazyFrame>(), None, &context).unwrap();
        let eager = eager.get::<DataFrame>().unwrap();
        assert_eq!(eager.shape(), (2, 2), "{file}");
        let expected = if file == "a.csv" { DataType::Date } else { DataType::String };
        assert_eq!(eager.column("day").unwrap().dtype(), &expected, "{file}");
        assert!(lazy.get::<LazyFrame>().unwrap().clone().collect().unwrap().equals_missing(eager), "{file}");
    }
    for file in ["gone.csv", "x.txt"] {
        let failure = decode(file, TypeInfo::of::<DataFrame>(), None, &context).unwrap_err();
        assert!(failure.message.contains(file), "{}", failure.message);
    }
    let written =
        decode("{a = [1, 2], b = ['x', null]}", TypeInfo::of::<DataFrame>(), None, &context).unwrap();
    assert_eq!(written.get::<DataFrame>().unwrap().shape(), (2, 2));
    std::fs::remove_dir_all(directory).unwrap();
}

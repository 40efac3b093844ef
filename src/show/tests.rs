use brooklet_graph::wire::{MimeBundle, Show};
use polars::prelude::*;

use super::{Render, combine, html};
use crate::value::Value;

fn page(bundle: &MimeBundle) -> &str {
    let html = bundle.data["text/html"].as_str().unwrap();
    assert!(html.len() < 200_000, "{}", html.len());
    for tag in ["div", "table", "tr", "td", "th", "pre", "dl", "dd", "span", "thead", "tbody"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    html
}

fn body(bundle: &MimeBundle) -> String {
    page(bundle).replace(super::html::STYLE, "")
}

#[test]
fn a_small_frame() {
    let frame =
        df!["name" => [Some("a<b>"), None], "n" => [1i64, 20], "x" => [0.5, 13.333333333333334]].unwrap();
    let bundle = frame.render_node("report");
    let html = body(&bundle);
    assert!(html.contains("a&lt;b&gt;") && !html.contains("a<b>"));
    assert!(html.contains("font-style:italic\">null<"), "{html}");
    assert!(html.contains("<td style=\"text-align:right\">20</td>"), "{html}");
    assert!(html.contains("title=\"13.333333333333334\">13.3333</td>"), "{html}");
    assert!(html.contains(">0.5000</td>"), "{html}");
    assert!(html.contains("title=\"1 of 2 null (50.0 %)\""), "{html}");
    assert!(html.contains("2 rows × 3 columns · "), "{html}");
    assert!(html.contains(" · report</div>"), "{html}");
    assert!(!html.contains('⋮'));
    assert!(bundle.plain().starts_with("shape: (2, 3)"));
}

#[test]
fn a_long_frame_shows_head_and_tail() {
    let frame = df!["i" => (0..1234i64).collect::<Vec<_>>()].unwrap();
    let html = body(&frame.render());
    assert_eq!(html.matches("<tr").count(), 1 + 10 + 1 + 5);
    assert!(
        html.contains('⋮')
            && html.contains(">9</td>")
            && !html.contains(">10</td>")
            && html.contains(">1229</td>")
    );
    assert!(html.contains("1,234 rows × 1 column · 9.9 kB"), "{html}");
    let just_short = df!["i" => (0..16i64).collect::<Vec<_>>()].unwrap();
    assert!(!body(&just_short.render()).contains('⋮'));
}

#[test]
fn a_wide_frame_stays_small() {
    let text = "é<&>\"'".repeat(200);
    let columns: Vec<Column> =
        (0..300).map(|at| Column::new(format!("c{at}").into(), vec![text.as_str(); 100])).collect();
    let frame = DataFrame::new(100, columns).unwrap();
    let html = body(&frame.render());
    assert!(html.contains("more columns not shown"), "{}", &html[html.len() - 300..]);
    assert!(html.contains("100 rows × 300 columns"));
}

#[test]
fn empty_things_are_shown() {
    assert!(body(&DataFrame::empty().render()).contains("0 rows × 0 columns"));
    assert!(body(&Series::new_empty("a".into(), &DataType::Float64).render()).contains("0 values"));
    assert!(body(&df!["a" => [f64::NAN], "b" => [1e300], "c" => [1e-9]].unwrap().render()).contains("NaN"));
}

#[test]
fn every_type_of_column_is_shown() {
    let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
    let frame = df![
        "d" => [day], "t" => [day.and_hms_opt(1, 2, 3).unwrap()], "p" => [chrono::Duration::seconds(61)],
        "b" => [true], "l" => [Series::new("".into(), [1i64, 2])], "i" => [1i32], "u" => [1u32], "f" => [1.5f32],
    ]
    .unwrap();
    let html = body(&frame.render());
    for text in ["2024-02-29", "01:02:03", "1m 1s", "true", "[1, 2]", "1.5"] {
        assert!(html.contains(text), "{text} in {html}");
    }
}

#[test]
fn a_lazy_frame_is_not_collected() {
    let frame = df!["a" => [1i64]].unwrap().lazy().with_column((col("a") / lit(0)).alias("q"));
    let bundle = frame.render_node("lazy");
    let html = body(&bundle);
    assert!(html.contains("<details>") && html.contains("not collected · lazy"), "{html}");
    assert!(bundle.plain().contains("  a: i64") && bundle.plain().contains("plan:"), "{}", bundle.plain());
    let broken = df!["a" => [1i64]].unwrap().lazy().select([col("gone")]);
    assert!(broken.render().plain().contains("gone"));
}

#[test]
fn scalars_read_as_rust() {
    for (value, text) in [
        (Value::new(28.333333333333332), "28.333333333333332"),
        (Value::new(3i64), "3"),
        (Value::new("a\"b".to_owned()), "\"a\\\"b\""),
        (Value::new("two\nlines".to_owned()), "two\nlines"),
        (Value::new(Some(1.5)), "Some(1.5)"),
        (Value::new(vec![1i64]), "[1]"),
    ] {
        assert_eq!(value.render("x").plain(), text);
        page(&value.render("x"));
    }
    assert!(Value::new(()).render("x").data.is_empty());
    assert_eq!(Value::new(1.0f64 / 3.0).summary().shape, "0.3333");
    assert_eq!(Value::new(3i64).summary().shape, "3");
    assert_eq!(Value::new(df!["a" => [1]].unwrap()).summary().shape, "1 × 1");
    assert_eq!(Value::new(Series::new("a".into(), [1i64])).summary().shape, "1 × i64");
}

fn named(values: Vec<(&str, Value)>) -> Vec<(String, Value)> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn targets_of_one_length_make_a_frame() {
    let values = named(vec![
        ("a", Value::new(Series::new("other".into(), [1i64, 2]))),
        ("mean", Value::new(1.5)),
        ("v", Value::new(vec![true, false])),
        ("day", Value::new(chrono::NaiveDate::from_ymd_opt(2024, 1, 1))),
    ]);
    let bundle = combine(&values, Show::Auto).unwrap();
    assert!(bundle.plain().starts_with("shape: (2, 4)"), "{}", bundle.plain());
    assert!(body(&bundle).contains("<th style=\"text-align:right\">mean<"));
    let scalars = named(vec![("a", Value::new(1i64)), ("b", Value::new("x".to_owned()))]);
    assert!(combine(&scalars, Show::Auto).unwrap().plain().starts_with("shape: (1, 2)"));
    assert!(combine(&scalars, Show::Dict).unwrap().plain().starts_with("a: 1\nb: \"x\""));
}

#[test]
fn other_targets_make_a_dict() {
    let values = named(vec![
        ("a", Value::new(Series::new("a".into(), [1i64, 2]))),
        ("b", Value::new(Series::new("b".into(), [1i64, 2, 3]))),
        ("f", Value::new(df!["x" => [1]].unwrap())),
    ]);
    let bundle = combine(&values, Show::Auto).unwrap();
    let html = page(&bundle);
    assert_eq!(html.matches("<style>").count(), 1);
    assert_eq!(html.matches("<dt>").count(), 3);
    assert!(bundle.plain().starts_with("a:\nshape: (2,)"), "{}", bundle.plain());
    let problem = combine(&values[..2], Show::Frame).unwrap_err();
    assert!(problem.contains("`b` has 3 values"), "{problem}");
    assert!(combine(&values, Show::Frame).unwrap_err().contains("`f` is a `DataFrame`"));
    assert!(combine(&values[2..], Show::Frame).is_ok());
}

#[test]
fn json_is_the_same_as_text() {
    let values = named(vec![
        ("z", Value::new(Series::new("z".into(), [Some(1i64), None]))),
        ("a", Value::new(f64::NAN)),
        ("f", Value::new(df!["x" => [0.1]].unwrap())),
    ]);
    let bundle = combine(&values, Show::Json).unwrap();
    assert_eq!(bundle.plain(), r#"{"z":[1,null],"a":"NaN","f":{"x":[0.1]}}"#);
    assert_eq!(bundle.data["application/json"].to_string(), bundle.plain());
    let lazy = named(vec![("l", Value::new(DataFrame::empty().lazy()))]);
    assert!(combine(&lazy, Show::Json).unwrap_err().starts_with("`l`"));
}

#[test]
fn html_of_the_user_is_left_alone() {
    let bundle = html("<b>a &amp; b</b>");
    assert_eq!(bundle.plain(), "a & b");
    assert_eq!(bundle.render(), bundle);
}

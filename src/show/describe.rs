//! `%describe`: what the columns of a table hold, one row a column.

use brooklet_graph::wire::MimeBundle;
use polars::prelude::*;

use super::cell::{number, short};
use super::count;
use super::html::{caption, escape, grouped, page, shortened};

/// Everything that is told about one column.
const HEADINGS: [&str; 12] =
    ["column", "type", "values", "nulls", "distinct", "mean", "std", "min", "25 %", "50 %", "75 %", "max"];

/// Characters of the least and the largest text.
const TEXT: usize = 24;
/// Characters of a column's name and of its type.
const NAME: usize = 60;
/// More columns are counted in the caption only: notebooks stay small.
const COLUMNS: usize = 200;

/// Count, nulls, distinct values, mean, deviation (of the sample) and quantiles (linear between two values) of each
/// column. What a type does not have is left empty.
pub(super) fn describe(frame: &DataFrame, node: &str) -> MimeBundle {
    let rows: Vec<[String; 12]> =
        frame.columns().iter().take(COLUMNS).map(|it| of_column(it.as_materialized_series())).collect();
    let (height, width) = (count(frame.height(), "row"), count(frame.width(), "column"));
    let more = match frame.width() - rows.len() {
        0 => String::new(),
        hidden => format!("{} not shown", count(hidden, "more column")),
    };
    let html = page(&format!("{}{}", table(&rows), caption(&[&height, &width, node, &more])));
    MimeBundle::text(text(&rows)).with("text/html", html)
}

fn of_column(series: &Series) -> [String; 12] {
    let dtype = series.dtype();
    let is_numeric = dtype.is_primitive_numeric() || dtype.is_decimal();
    let nulls = series.null_count();
    let distinct = match dtype.is_nested() || dtype.is_object() {
        true => String::new(),
        false => series.n_unique().map_or(String::new(), |it| grouped(it - usize::from(nulls > 0))),
    };
    let floats = match is_numeric || dtype.is_bool() {
        true => series.cast(&DataType::Float64).ok(),
        false => None,
    };
    let of_floats = |take: &dyn Fn(&Float64Chunked) -> Option<f64>| {
        let value = floats.as_ref().and_then(|it| take(it.f64().ok()?));
        value.map(number).unwrap_or_default()
    };
    let quantile = |part: f64| match is_numeric {
        true => of_floats(&|it| it.quantile(part, QuantileMethod::Linear).ok().flatten()),
        false => String::new(),
    };
    let (least, most) = ends(series);
    [
        shortened(&series.name().replace(['\n', '\r'], "⏎"), NAME),
        shortened(&dtype.to_string(), NAME),
        grouped(series.len() - nulls),
        grouped(nulls),
        distinct,
        of_floats(&|it| it.mean()),
        if is_numeric { of_floats(&|it| it.std(1)) } else { String::new() },
        least,
        quantile(0.25),
        quantile(0.5),
        quantile(0.75),
        most,
    ]
}

/// The least and the largest, of what has an order.
fn ends(series: &Series) -> (String, String) {
    let none = (String::new(), String::new());
    let ordered = match series.dtype() {
        DataType::Categorical(..) | DataType::Enum(..) => series.cast(&DataType::String),
        dtype if dtype.is_nested() || dtype.is_object() || dtype.is_null() => return none,
        DataType::Binary => return none,
        _ => Ok(series.clone()),
    };
    let Ok(ordered) = ordered else { return none };
    let (Ok(least), Ok(most)) = (ordered.min_reduce(), ordered.max_reduce()) else { return none };
    if least.is_null() {
        return none;
    }
    let text = |value: Scalar| shortened(&short(value.value()), TEXT);
    (text(least), text(most))
}

fn table(rows: &[[String; 12]]) -> String {
    let align = |at: usize| if at < 2 { "left" } else { "right" };
    let row = |cells: &[String; 12]| {
        let cells = cells.iter().enumerate();
        let cells =
            cells.map(|(at, it)| format!("<td style=\"text-align:{}\">{}</td>", align(at), escape(it)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let headings = HEADINGS.iter().enumerate();
    let headings: String =
        headings.map(|(at, it)| format!("<th style=\"text-align:{}\">{it}</th>", align(at))).collect();
    format!(
        "<div class=\"bk-scroll\" style=\"overflow-x:auto\"><table class=\"bk-table\" \
         style=\"border-collapse:collapse\"><thead><tr>{headings}</tr></thead><tbody>{}</tbody></table></div>",
        rows.iter().map(row).collect::<String>()
    )
}

/// One line a column, and one for the headings.
fn text(rows: &[[String; 12]]) -> String {
    let length = |text: &str| text.chars().count();
    let width = |at: usize| rows.iter().map(|row| length(&row[at])).fold(length(HEADINGS[at]), usize::max);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let line = |cells: [&str; 12]| {
        let cells = cells.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, &width))| match at {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(|row| line(std::array::from_fn(|at| row[at].as_str())));
    std::iter::once(line(HEADINGS)).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_wide_frame_the_first_columns_are_told() {
        let name = |at: usize| format!("{}{at}", "é<&>\n".repeat(40));
        let columns = (0..1_000).map(|at| Column::new(name(at).as_str().into(), [1.5])).collect();
        let bundle = describe(&DataFrame::new(1, columns).unwrap(), "");
        let html = bundle.data["text/html"].as_str().unwrap();
        assert!(html.len() < 200_000, "{}", html.len());
        assert!(html.contains("1 row · 1,000 columns · 800 more columns not shown"));
        assert_eq!(bundle.plain().lines().count(), 201);
    }

    #[test]
    fn every_column_has_a_row() {
        let frame = df![
            "n" => [Some(1i64), Some(2), None, Some(4)],
            "x" => [0.5, 1.5, 2.5, 3.5],
            "s" => ["b", "a", "a", "c"],
            "t" => [true, false, true, true],
            "l" => [Series::new("".into(), [1i64]), Series::new("".into(), [2i64]), Series::new("".into(), [3i64]),
                    Series::new("".into(), [4i64])],
        ]
        .unwrap();
        let bundle = describe(&frame, "node");
        let plain: Vec<Vec<&str>> =
            bundle.plain().lines().map(|it| it.split_whitespace().collect()).collect();
        assert_eq!(plain[1], ["n", "i64", "3", "1", "3", "2.3333", "1.5275", "1", "1.5", "2", "3", "4"]);
        assert_eq!(plain[2], ["x", "f64", "4", "0", "4", "2", "1.291", "0.5", "1.25", "2", "2.75", "3.5"]);
        assert_eq!(plain[3], ["s", "str", "4", "0", "3", "a", "c"]);
        assert_eq!(plain[4], ["t", "bool", "4", "0", "2", "0.75", "false", "true"]);
        assert_eq!(plain[5], ["l", "list[i64]", "4", "0"]);
        let lines: Vec<&str> = bundle.plain().lines().collect();
        let last = lines[0].find("values").unwrap() + "values".len();
        assert!(lines[2..].iter().all(|it| it[..last].ends_with("  4")), "{}", bundle.plain());
        assert!(bundle.data["text/html"].as_str().unwrap().contains("4 rows · 5 columns · node"));
    }
}

//! What the values of a column are like, in the height of a line: a histogram of numbers and times, the most frequent
//! of texts, the share of `true`.
//!
//! Of long columns evenly spaced rows are looked at, so that a table of any length is shown at once.

use std::collections::HashMap;
use std::fmt::Write as _;

use polars::prelude::*;

use super::cell::{number, short};
use super::html::{escape, grouped, shortened};

/// So many values of one table are looked at, all its columns together.
const BUDGET: usize = 400_000;
const BINS: usize = 20;
/// Of a histogram, in pixels.
const HEIGHT: f64 = 16.0;
/// Characters of a text in the header, and in its tooltip.
const SHORT: usize = 14;
const LONG: usize = 40;
/// So many texts stand in the tooltip.
const FREQUENT: usize = 5;

/// One row in so many is looked at, in a table of so many rows and columns.
pub(super) fn spacing(rows: usize, columns: usize) -> usize {
    rows.div_ceil((BUDGET / columns.max(1)).max(1)).max(1)
}

/// What a caption says about it; nothing where every row is looked at.
pub(super) fn note(spacing: usize) -> String {
    match spacing {
        1 => String::new(),
        _ => format!("distributions of 1 row in {}", grouped(spacing)),
    }
}

/// The HTML that stands in the header. It holds nothing but its place for types whose values have neither order nor
/// names, and without values.
pub(super) fn distribution(series: &Series, spacing: usize) -> String {
    let Some((picture, words)) = look(series, spacing) else {
        return "<div class=\"bk-dist\"></div>".to_owned();
    };
    let rows = if spacing > 1 { format!("1 row in {}: ", grouped(spacing)) } else { String::new() };
    format!("<div class=\"bk-dist\" title=\"{}\">{picture}</div>", escape(&format!("{rows}{words}")))
}

/// A picture, and the same in words.
fn look(series: &Series, spacing: usize) -> Option<(String, String)> {
    let sample = if spacing > 1 { series.gather_every(spacing, 0).ok()? } else { series.clone() };
    let sample = sample.drop_nulls();
    if sample.is_empty() {
        return None;
    }
    match sample.dtype() {
        DataType::Boolean => share(&sample),
        DataType::String | DataType::Categorical(..) | DataType::Enum(..) => frequent(&sample),
        dtype if dtype.is_primitive_numeric() || dtype.is_temporal() || dtype.is_decimal() => {
            histogram(&sample)
        }
        _ => None,
    }
}

fn share(sample: &Series) -> Option<(String, String)> {
    let is_true = sample.bool().ok()?.sum()? as usize;
    let words = format!("{} true, {} false", grouped(is_true), grouped(sample.len() - is_true));
    Some((line(&format!("{} true", percent(is_true, sample.len()))), words))
}

fn frequent(sample: &Series) -> Option<(String, String)> {
    let texts = sample.cast(&DataType::String).ok()?;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for text in texts.str().ok()?.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let distinct = counts.len();
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    let order = |a: &(&str, usize), b: &(&str, usize)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
    if distinct > FREQUENT {
        counts.select_nth_unstable_by(FREQUENT, order);
        counts.truncate(FREQUENT);
    }
    counts.sort_unstable_by(order);
    let (first, most) = *counts.first()?;
    if most == 1 && distinct > 1 {
        return Some((line("all distinct"), format!("{} distinct values", grouped(distinct))));
    }
    let mut words = format!("{} distinct", grouped(distinct));
    for (text, count) in counts {
        let _ = write!(words, " · {} {}", shortened(text, LONG), percent(count, sample.len()));
    }
    let text = shortened(&first.replace(['\n', '\r', '\t'], " "), SHORT);
    Some((line(&format!("{text} {}", percent(most, sample.len()))), words))
}

fn histogram(sample: &Series) -> Option<(String, String)> {
    let finite = match sample.dtype().is_float() {
        true => sample.filter(&sample.is_finite().ok()?).ok()?,
        false => sample.clone(),
    };
    let others = match sample.len() - finite.len() {
        0 => String::new(),
        some => format!(" · {} not finite", grouped(some)),
    };
    let (least, most) = (finite.min_reduce().ok()?.into_value(), finite.max_reduce().ok()?.into_value());
    if matches!(least, AnyValue::Null) {
        return None;
    }
    let (least, most) = (short(&least), short(&most));
    let physical = match finite.dtype().is_temporal() {
        true => finite.to_physical_repr().into_owned(),
        false => finite.clone(),
    };
    let floats = physical.cast(&DataType::Float64).ok()?;
    let floats = floats.f64().ok()?;
    let counts = counts(floats);
    let mean = match finite.dtype().is_temporal() {
        true => String::new(),
        false => floats
            .mean()
            .filter(|it| it.is_finite())
            .map_or(String::new(), |it| format!(" · mean {}", number(it))),
    };
    let words = match least == most {
        true => format!("always {least}{others}"),
        false => format!("{least} to {most}{mean}{others}"),
    };
    Some((bars(&counts), words))
}

/// How many values lie in each of equal parts between the least and the largest.
fn counts(values: &Float64Chunked) -> [usize; BINS] {
    // Half of each: the distance between the ends of all floats is no float.
    let least = values.min().unwrap_or_default() * 0.5;
    let width = values.max().unwrap_or_default() * 0.5 - least;
    let mut counts = [0; BINS];
    for value in values.iter().flatten() {
        let at = if width > 0.0 { (value * 0.5 - least) / width * BINS as f64 } else { BINS as f64 / 2.0 };
        counts[(at as usize).min(BINS - 1)] += 1;
    }
    counts
}

/// One outline of all bars; what is there at all can be seen.
fn bars(counts: &[usize; BINS]) -> String {
    let most = counts.iter().copied().max().unwrap_or_default().max(1) as f64;
    let mut path = format!("M0 {HEIGHT}");
    let mut last = HEIGHT;
    for (at, &count) in counts.iter().enumerate() {
        let top = match count {
            0 => HEIGHT,
            _ => HEIGHT - (HEIGHT * count as f64 / most).round().max(1.0),
        };
        if top != last {
            let _ = write!(path, "V{top}");
            last = top;
        }
        let _ = write!(path, "H{}", at + 1);
    }
    format!(
        "<svg width=\"64\" height=\"{HEIGHT}\" viewBox=\"0 0 {BINS} {HEIGHT}\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><path fill=\"#8ab4e8\" d=\"{path}V{HEIGHT}Z\"/></svg>"
    )
}

fn line(text: &str) -> String {
    format!("<span style=\"font-weight:normal\">{}</span>", escape(text))
}

fn percent(part: usize, whole: usize) -> String {
    match 100.0 * part as f64 / whole as f64 {
        share if share > 0.0 && share < 1.0 => "<1 %".to_owned(),
        share if share > 99.0 && share < 100.0 => ">99 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(series: &Series) -> String {
        look(series, 1).map(|it| it.1).unwrap_or_default()
    }

    #[test]
    fn each_kind_of_column_is_summed_up() {
        let name = PlSmallStr::from("s");
        assert_eq!(words(&Series::new(name.clone(), [Some(1i64), None, Some(4)])), "1 to 4 · mean 2.5");
        assert_eq!(
            words(&Series::new(name.clone(), [0.5, f64::NAN, f64::INFINITY, 1.5])),
            "0.5 to 1.5 · mean 1 · 2 not finite"
        );
        assert_eq!(words(&Series::new(name.clone(), [7u32, 7])), "always 7");
        assert_eq!(words(&Series::new(name.clone(), [true, false, true, true])), "3 true, 1 false");
        assert_eq!(
            words(&Series::new(name.clone(), ["b", "a", "a", "c<"])),
            "3 distinct · a 50 % · b 25 % · c< 25 %"
        );
        assert_eq!(words(&Series::new(name.clone(), ["x", "y"])), "2 distinct values");
        let days = [1, 31].map(|day| chrono::NaiveDate::from_ymd_opt(2024, 1, day).unwrap());
        assert_eq!(words(&Series::new(name.clone(), days)), "2024-01-01 to 2024-01-31");
        let kinds = Series::new(name.clone(), ["u", "v", "u"])
            .cast(&DataType::from_categories(Categories::global()))
            .unwrap();
        assert_eq!(words(&kinds), "2 distinct · u 67 % · v 33 %");
        assert_eq!(words(&Series::new(name.clone(), [None::<f64>])), "");
        assert_eq!(words(&Series::new(name.clone(), [f64::NAN])), "");
        assert_eq!(words(&Series::new(name, [Series::new("".into(), [1i64])])), "");
    }

    #[test]
    fn every_value_is_counted_once_whatever_its_size() {
        for values in [
            vec![0.0, 1.0, 2.0, 19.9, 20.0],
            vec![f64::MIN, f64::MAX],
            vec![5.0; 3],
            vec![5e-324, 0.0],
            vec![-1.0, -1.0 + f64::EPSILON],
        ] {
            let column = Float64Chunked::from_vec("x".into(), values.clone());
            assert_eq!(counts(&column).iter().sum::<usize>(), values.len(), "{values:?}");
        }
        let even = Float64Chunked::from_vec("x".into(), (0..200).map(f64::from).collect());
        assert_eq!(counts(&even), [10; BINS]);
    }

    #[test]
    fn a_long_column_is_looked_at_in_some_of_its_rows() {
        assert_eq!((spacing(1_000, 5), spacing(0, 0)), (1, 1));
        assert_eq!(spacing(10_000_000, 40), 1_000);
        let long = Series::new("n".into(), (0..1_000i64).collect::<Vec<_>>());
        let html = distribution(&long, 100);
        assert!(html.contains("title=\"1 row in 100: 0 to 900 · mean 450\""), "{html}");
        assert_eq!(note(1_000), "distributions of 1 row in 1,000");
    }
}

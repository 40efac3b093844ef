//! Generic functions of polars that transform files use all the time, instantiated here once.
//!
//! A generation links to instances that the image has and compiles all others itself. `&spend / 2.0` alone
//! is some three hundred functions: the operator for each numeric type, and the arrays behind it. Nothing
//! calls this; that it is compiled is its effect.

use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::*;

use super::{Arg as _, Outcome, Return as _, Slots, Ty};

/// The glue of the types that most functions take and give.
pub fn glue(slots: &Slots<'_>) -> Vec<Outcome> {
    fn some<T>() -> T {
        panic!("this is compiled for its types and never called")
    }
    let mut outcomes = Vec::new();
    macro_rules! takes {
        ($($ty:ty),* $(,)?) => {$(
            outcomes.extend((&&&&Ty::<$ty>::new()).arg(slots, 0).take().err().map(Err));
        )*};
    }
    macro_rules! gives {
        ($($ty:ty),* $(,)?) => {$(
            outcomes.push((&&&&&Ty::<$ty>::new()).ret(slots).finish(some::<$ty>()));
            outcomes.push((&&&&&Ty::<PolarsResult<$ty>>::new()).ret(slots).finish(some::<PolarsResult<$ty>>()));
            outcomes.push((&&&&&Ty::<Result<$ty, String>>::new()).ret(slots).finish(some::<Result<$ty, String>>()));
        )*};
    }
    takes![
        &Series,
        &DataFrame,
        &LazyFrame,
        &Column,
        &String,
        &f64,
        &i64,
        &Vec<f64>,
        &Vec<String>,
        &NaiveDate,
        &str,
        &[f64],
        Series,
        DataFrame,
        LazyFrame,
        String,
        f64,
        i64,
        i32,
        u32,
        u64,
        usize,
        bool,
        NaiveDate,
        NaiveDateTime,
        Vec<f64>,
        Vec<String>,
        Option<&Series>,
        Option<&f64>,
        Option<&str>,
        Option<f64>,
        Option<i64>,
        Option<String>,
        Option<bool>,
        Option<usize>,
    ];
    gives![
        Series,
        DataFrame,
        LazyFrame,
        Column,
        String,
        f64,
        i64,
        i32,
        u32,
        u64,
        usize,
        bool,
        NaiveDate,
        Vec<f64>,
        Vec<String>,
        Option<f64>,
    ];
    outcomes
}

/// A series and a scalar.
pub fn arithmetic(series: &Series, float: f64, long: i64, int: i32) -> Vec<Series> {
    let own = || series.clone();
    macro_rules! with {
        ($($n:expr),*) => {
            vec![$(
                series + $n, series - $n, series * $n, series / $n, series % $n, own() + $n, own() - $n, own() * $n,
                own() / $n,
            )*]
        };
    }
    with![float, long, int]
}

/// What makes series and columns from lists.
pub fn construction(name: PlSmallStr) -> Vec<Column> {
    macro_rules! lists {
        ($($value:expr),*) => {
            vec![$(
                Series::new(name.clone(), vec![$value]).into(),
                Series::new(name.clone(), vec![Some($value)]).into(),
                Column::new(name.clone(), vec![$value]),
                Column::new(name.clone(), [$value]),
            )*]
        };
    }
    lists![1.0f64, 1i64, 1i32, 1u32, true, String::new(), ""]
}

/// What makes expressions from values and names.
pub fn expressions() -> Vec<Expr> {
    vec![
        col("a"),
        lit(1.0f64),
        lit(1i64),
        lit(1i32),
        lit(true),
        lit("a"),
        lit(String::new()),
        col("a").alias("b"),
    ]
}

/// Lazy and eager frames by lists of expressions and of names, of the lengths that people write.
pub fn frames(frame: &DataFrame) -> PolarsResult<Vec<LazyFrame>> {
    let lazy = || frame.clone().lazy();
    let mut frames = vec![
        lazy().select(expressions()),
        lazy().with_columns(expressions()),
        lazy().group_by(expressions()).agg(expressions()),
        lazy().left_join(lazy(), col("a"), col("a")),
        lazy().inner_join(lazy(), col("a"), col("a")),
        lazy().join(lazy(), [col("a")], [col("a")], JoinArgs::new(JoinType::Left)),
        lazy().join(lazy(), [col("a"), col("b")], [col("a"), col("b")], JoinArgs::new(JoinType::Left)),
    ];
    macro_rules! lengths {
        ($([$($item:tt)*])*) => {$(
            frames.push(lazy().select([$(col($item)),*]));
            frames.push(lazy().with_columns([$(col($item)),*]));
            frames.push(lazy().group_by([col("a")]).agg([$(col($item)),*]));
            frames.push(lazy().group_by_stable([col("a")]).agg([$(col($item)),*]));
            frames.push(lazy().sort([$($item),*], SortMultipleOptions::default()));
            frames.push(frame.select([$($item),*])?.lazy());
            frames.push(frame.sort([$($item),*], SortMultipleOptions::default())?.lazy());
        )*};
    }
    lengths!(["a"] ["a" "b"] ["a" "b" "c"] ["a" "b" "c" "d"] ["a" "b" "c" "d" "e"] ["a" "b" "c" "d" "e" "f"]);
    Ok(frames)
}

/// Numbers out of series.
pub fn aggregates(series: &Series) -> PolarsResult<bool> {
    let floats: [Option<f64>; 4] = [series.max()?, series.min()?, Some(series.sum()?), series.f64()?.get(0)];
    let integers: [Option<i64>; 4] =
        [series.max()?, series.min()?, Some(series.sum()?), series.i64()?.get(0)];
    Ok(floats[0] == floats[1] && integers[0] == integers[1])
}

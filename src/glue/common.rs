//! Generic functions of polars that transform files use all the time, instantiated here once.
//!
//! A generation links to instances that the image has and compiles all others itself. `&spend / 2.0` alone
//! is some three hundred functions: the operator for each numeric type, and the arrays behind it. Nothing
//! calls this; that it is compiled is its effect.

use polars::prelude::*;

/// A series and a scalar.
pub fn arithmetic(series: &Series) -> Vec<Series> {
    macro_rules! with {
        ($($number:expr),*) => {
            vec![$(
                series + $number, series - $number, series * $number, series / $number, series % $number,
                series.clone() + $number, series.clone() - $number, series.clone() * $number, series.clone() / $number,
            )*]
        };
    }
    with![1.0f64, 1i64, 1i32]
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

//! Where the money goes: from the daily export to spend by channel, by month, and against the budget.
//!
//! The export is what marketing gets every morning, and it is not clean: some days have no row at all,
//! and within a row a null can mean "this channel was off" or "nobody reported". Everything that decides
//! what a null means is in this file, once, with its reason.
//!
//! Amounts are whole euros and stay integers until something is divided.

use brooklet::prelude::*;

const CHANNELS: [&str; 5] = ["search", "social", "email", "tv", "affiliates"];

/// One row for every day from the first to the last, in order; days that the export lacks hold nulls.
///
/// Rolling windows count rows, so a missing day would quietly make a week of eight days.
pub fn calendar(daily: &DataFrame) -> PolarsResult<DataFrame> {
    let mut days = daily.clone();
    days.try_apply("day", dates)?;
    let days = days.sort(["day"], SortMultipleOptions::default())?;
    let filled = days.upsample([] as [&str; 0], "day", Duration::parse("1d"))?;
    // `upsample` is a join, and a join promises no order.
    filled.sort(["day"], SortMultipleOptions::default())
}

/// How many days the export lacks.
pub fn missing_days(daily: &DataFrame, calendar: &DataFrame) -> usize {
    calendar.height() - daily.height()
}

/// The dates of the calendar.
pub fn day(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "day")
}

/// The campaign that was running, null on ordinary days.
pub fn campaign(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "campaign")
}

/// Spend on search advertisements.
pub fn search(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "search")
}

/// Spend on social networks.
pub fn social(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "social")
}

/// Spend on e-mail; none at the weekend.
pub fn email(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "email")
}

/// Spend on television; null where nothing was booked, which is most of the time.
pub fn tv(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "tv")
}

/// Paid to affiliates; null where the network lost the invoice.
pub fn affiliates(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "affiliates")
}

/// Spend over all channels, by day.
///
/// A null in one channel counts as nothing spent. A day without a row is not a day of no spend: it stays
/// null. Search runs every day, so it tells the two apart.
pub fn spend(
    search: &Series,
    social: &Series,
    email: &Series,
    tv: &Series,
    affiliates: &Series,
) -> PolarsResult<Series> {
    let mut total = or_zero(search)?;
    for channel in [social, email, tv, affiliates] {
        total = (&total + &or_zero(channel)?)?;
    }
    let unknown = Series::full_null("spend".into(), total.len(), total.dtype());
    Ok(total.zip_with(&search.is_not_null(), &unknown)?.with_name("spend".into()))
}

/// Total, days in use and share of the whole for each channel, the most expensive first.
pub fn channel_totals(
    search: &Series,
    social: &Series,
    email: &Series,
    tv: &Series,
    affiliates: &Series,
) -> PolarsResult<DataFrame> {
    let mut totals = Vec::new();
    let mut days = Vec::new();
    for channel in [search, social, email, tv, affiliates] {
        totals.push(channel.sum::<i64>()?);
        days.push(or_zero(channel)?.i64()?.iter().filter(|spent| *spent != Some(0)).count() as i64);
    }
    let all = totals.iter().sum::<i64>();
    let share = totals.iter().map(|&total| total as f64 / all as f64).collect::<Vec<_>>();
    df!("channel" => CHANNELS, "total" => totals, "days" => days, "share" => share)?
        .sort(["total"], SortMultipleOptions::default().with_order_descending(true))
}

/// The channel that took the most money.
pub fn top_channel(channel_totals: &DataFrame) -> PolarsResult<String> {
    let names = column(channel_totals, "channel")?;
    Ok(names.str()?.get(0).unwrap_or("none").to_owned())
}

/// Spend and signups by month.
pub fn monthly(day: &Series, spend: &Series, signups: &Series) -> PolarsResult<DataFrame> {
    df!("month" => day, "spend" => spend, "signups" => signups)?
        .lazy()
        .with_column(col("month").dt().truncate(lit("1mo")))
        .group_by([col("month")])
        .agg([col("spend").sum(), col("signups").sum()])
        .sort(["month"], SortMultipleOptions::default())
        .collect()
}

/// What the board allowed for each month, read from its own file.
///
/// A loader is an ordinary transform that takes a path. What it reads can change without the graph
/// knowing, so prefer an input that is a file (`daily` is one) where the data moves.
pub fn budget(budget_path: &str) -> PolarsResult<DataFrame> {
    let mut budget = CsvReadOptions::default()
        .with_has_header(true)
        .try_into_reader_with_file_path(Some(budget_path.into()))?
        .finish()?;
    budget.try_apply("month", dates)?;
    Ok(budget)
}

/// Spend beside its budget, by month; `used` is the part of the budget that was spent.
///
/// A left join: a month without a budget must be seen, not lost.
pub fn budget_review(monthly: &DataFrame, budget: &DataFrame) -> PolarsResult<DataFrame> {
    monthly
        .clone()
        .lazy()
        .left_join(budget.clone().lazy(), col("month"), col("month"))
        .with_columns([
            (col("spend") - col("budget")).alias("over"),
            // Expressions divide like Rust: integer by integer is an integer, and every month would be
            // 0 or 1. (In Python the same text divides exactly.)
            (col("spend").cast(DataType::Float64) / col("budget").cast(DataType::Float64)).alias("used"),
        ])
        .sort(["month"], SortMultipleOptions::default())
        .collect()
}

/// In how many months more was spent than allowed.
pub fn months_over_budget(budget_review: &DataFrame) -> PolarsResult<usize> {
    let over = column(budget_review, "over")?;
    Ok(over.i64()?.iter().flatten().filter(|&over| over > 0).count())
}

/// The quarterly review as a plan: nothing is computed until somebody collects it.
///
/// The parameter asks for a `LazyFrame`, and `budget_review` holds a `DataFrame`: that edge fits, because
/// making a frame lazy costs nothing.
pub fn quarterly_plan(budget_review: LazyFrame) -> LazyFrame {
    budget_review
        .group_by([col("month").dt().truncate(lit("1q")).alias("quarter")])
        .agg([
            col("spend").sum(),
            col("budget").sum(),
            col("signups").sum(),
            col("over").max().alias("worst"),
        ])
        .sort(["quarter"], SortMultipleOptions::default())
}

/// The quarterly review, computed.
pub fn quarters(quarterly_plan: LazyFrame) -> PolarsResult<DataFrame> {
    quarterly_plan.collect()
}

fn column(frame: &DataFrame, name: &str) -> PolarsResult<Series> {
    Ok(frame.column(name)?.as_materialized_series().clone())
}

/// Text as dates.
///
/// A CSV has no dates, only text that looks like them, and some readers convert it and some do not. polars
/// makes a null of what it cannot convert; a null already means something else here, so that is an error.
fn dates(column: &Series) -> PolarsResult<Series> {
    if column.dtype() == &DataType::Date {
        return Ok(column.clone());
    }
    let dates = column.str()?.as_date(Some("%Y-%m-%d"), true)?.into_series();
    polars_ensure!(
        dates.null_count() == column.null_count(),
        ComputeError: "`{}` holds something that is not a date", column.name()
    );
    Ok(dates)
}

fn or_zero(series: &Series) -> PolarsResult<Series> {
    series.fill_null(FillNullStrategy::Zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_day_becomes_a_row_of_nulls() -> PolarsResult<()> {
        let daily = df!("day" => ["2024-05-03", "2024-05-01"], "search" => [7i64, 5])?;
        let calendar = calendar(&daily)?;
        assert_eq!(missing_days(&daily, &calendar), 1);
        assert_eq!(search(&calendar)?.i64()?.to_vec(), [Some(5), None, Some(7)]);
        Ok(())
    }

    #[test]
    fn a_day_that_is_no_date_is_an_error() -> PolarsResult<()> {
        let daily = df!("day" => ["2024-05-01", "yesterday"])?;
        assert!(calendar(&daily).is_err());
        Ok(())
    }

    #[test]
    fn a_channel_that_was_off_spent_nothing_but_a_lost_day_is_unknown() -> PolarsResult<()> {
        let search = Series::new("search".into(), [Some(5i64), None]);
        let off = Series::new("off".into(), [None::<i64>, None]);
        let total = spend(&search, &off, &off, &off, &off)?;
        assert_eq!(total.i64()?.to_vec(), [Some(5), None]);
        Ok(())
    }

    #[test]
    fn a_month_without_a_budget_stays_in_the_review() -> PolarsResult<()> {
        let month = Series::new("month".into(), [19_700i32, 19_731]).cast(&DataType::Date)?;
        let monthly = df!("month" => &month, "spend" => [90i64, 10], "signups" => [1i64, 1])?;
        let budget = df!("month" => month.head(Some(1)), "budget" => [60i64])?;
        let review = budget_review(&monthly, &budget)?;
        assert_eq!(column(&review, "used")?.f64()?.to_vec(), [Some(1.5), None]);
        assert_eq!(months_over_budget(&review)?, 1);
        Ok(())
    }
}

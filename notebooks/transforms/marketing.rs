//! What the money brings: signups, the cost of one, customers won and lost, and what the campaigns did.
//!
//! Fed by `channels.rs`: `spend`, `day`, `campaign` and `calendar` are nodes of that file, and a parameter
//! of that name is all it takes to use them here.
//!
//! A rolling window with a hole in it gives null. A low number would look like news.

use brooklet::prelude::*;

/// New customers by day.
pub fn signups(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "signups")
}

/// Customers lost by day; null while the late figures are not in.
pub fn churned(calendar: &DataFrame) -> PolarsResult<Series> {
    column(calendar, "churned")
}

/// Spend of the last seven days.
pub fn weekly_spend(spend: &Series) -> PolarsResult<Series> {
    spend.rolling_sum(window(7))
}

/// Signups of the last seven days.
pub fn weekly_signups(signups: &Series) -> PolarsResult<Series> {
    signups.rolling_sum(window(7))
}

/// What one new customer cost, over the last seven days.
///
/// Weeks, not days: money spent on a Saturday brings signups on Monday. Both sums are integers, and an
/// integer divided by an integer loses its cents, so both are cast first.
pub fn acquisition_cost(weekly_spend: &Series, weekly_signups: &Series) -> PolarsResult<Series> {
    weekly_spend.cast(&DataType::Float64)? / weekly_signups.cast(&DataType::Float64)?
}

/// Mean spend of the last three weeks, the slow curve behind the daily one.
pub fn avg_3wk_spend(spend: &Series) -> PolarsResult<Series> {
    spend.rolling_mean(window(21))
}

/// What one signup cost on the day itself. Noisy; see `acquisition_cost`.
pub fn spend_per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> {
    spend.cast(&DataType::Float64)? / signups.cast(&DataType::Float64)?
}

/// Mean spend of a day.
pub fn spend_mean(spend: &Series) -> f64 {
    spend.mean().unwrap_or(f64::NAN)
}

/// Sample standard deviation of a day's spend.
pub fn spend_std_dev(spend: &Series) -> f64 {
    spend.std(1).unwrap_or(f64::NAN)
}

/// Spend with its mean taken off.
///
/// `&Series - f64` keeps the type of the series: on integers it would cut the mean to a whole number
/// first, and every result would be off by the same fraction. Hence the cast.
pub fn spend_zero_mean(spend: &Series, spend_mean: f64) -> PolarsResult<Series> {
    Ok(spend.cast(&DataType::Float64)? - spend_mean)
}

/// Spend in standard deviations from its mean.
pub fn spend_zero_mean_unit_variance(spend_zero_mean: &Series, spend_std_dev: f64) -> Series {
    spend_zero_mean / spend_std_dev
}

/// Days whose spend is unusually far from the mean: more than `spike_limit` standard deviations, or 2.
///
/// The parameter is an `Option`, so the input may be left out.
pub fn unusual_days(
    day: &Series,
    spend: &Series,
    campaign: &Series,
    spend_zero_mean_unit_variance: &Series,
    spike_limit: Option<f64>,
) -> PolarsResult<DataFrame> {
    df!("day" => day, "spend" => spend, "campaign" => campaign, "deviations" => spend_zero_mean_unit_variance)?
        .lazy()
        .filter(col("deviations").abs().gt(lit(spike_limit.unwrap_or(2.0))))
        .sort(["deviations"], SortMultipleOptions::default().with_order_descending(true))
        .collect()
}

/// Customers at the end of each day.
///
/// A figure that is not in counts as no change, so the last days read a little high until it is.
pub fn customers(signups: &Series, churned: &Series, opening_customers: i64) -> PolarsResult<Series> {
    let change = (&or_zero(signups)? - &or_zero(churned)?)?;
    Ok((cum_sum(&change, false)? + opening_customers).with_name("customers".into()))
}

/// The part of the customers that left, by day.
///
/// About one in eighty: as integers this would be 0 every single day.
pub fn churn_rate(churned: &Series, customers: &Series) -> PolarsResult<Series> {
    churned.cast(&DataType::Float64)? / customers.cast(&DataType::Float64)?
}

/// Mean spend and signups by day of the week, 1 for Monday to 7 for Sunday.
pub fn weekday_profile(day: &Series, spend: &Series, signups: &Series) -> PolarsResult<DataFrame> {
    df!("weekday" => day, "spend" => spend, "signups" => signups)?
        .lazy()
        .with_column(col("weekday").dt().weekday())
        .group_by([col("weekday")])
        .agg([col("spend").mean(), col("signups").mean()])
        .sort(["weekday"], SortMultipleOptions::default())
        .collect()
}

/// The day of the week on which most people sign up.
pub fn busiest_weekday(weekday_profile: &DataFrame) -> PolarsResult<String> {
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let best =
        weekday_profile.sort(["signups"], SortMultipleOptions::default().with_order_descending(true))?;
    let number = column(&best, "weekday")?.get(0)?.try_extract::<usize>()?;
    Ok(NAMES.get(number.wrapping_sub(1)).copied().unwrap_or("none").to_owned())
}

/// Length, spend and yield of every campaign.
pub fn campaigns(
    day: &Series,
    campaign: &Series,
    spend: &Series,
    signups: &Series,
) -> PolarsResult<DataFrame> {
    df!("campaign" => campaign, "day" => day, "spend" => spend, "signups" => signups)?
        .lazy()
        .filter(col("campaign").is_not_null())
        .group_by([col("campaign")])
        .agg([
            col("day").min().alias("first"),
            col("day").max().alias("last"),
            col("spend").sum(),
            col("signups").sum(),
        ])
        .with_column(
            (col("spend").cast(DataType::Float64) / col("signups").cast(DataType::Float64)).alias("cost"),
        )
        .sort(["first"], SortMultipleOptions::default())
        .collect()
}

/// Signups a day with and without a campaign.
///
/// A type of our own: anything that is `Send + Sync` can be the value of a node, and what can be printed
/// with `{:?}` is shown so.
#[derive(Debug, Clone)]
pub struct Lift {
    pub during: f64,
    pub otherwise: f64,
}

impl Lift {
    /// How many times as many signups a day of a campaign brings.
    pub fn factor(&self) -> f64 {
        self.during / self.otherwise
    }
}

/// What a campaign does to signups. Crude: the shop also grew, and later campaigns profit from that.
pub fn campaign_lift(campaign: &Series, signups: &Series) -> PolarsResult<Lift> {
    let mean =
        |mask: &BooleanChunked| -> PolarsResult<f64> { Ok(signups.filter(mask)?.mean().unwrap_or(f64::NAN)) };
    Ok(Lift { during: mean(&campaign.is_not_null())?, otherwise: mean(&campaign.is_null())? })
}

/// The figures of the first page, one a row.
pub fn summary(
    spend: &Series,
    signups: &Series,
    churned: &Series,
    acquisition_cost: &Series,
    customers: &Series,
    campaign_lift: &Lift,
) -> PolarsResult<DataFrame> {
    let last = |series: &Series| {
        series.cast(&DataType::Float64)?.get(series.len().saturating_sub(1))?.try_extract::<f64>()
    };
    df!(
        "figure" => ["spend", "signups", "churned", "customers", "acquisition cost", "campaign lift"],
        "value" => [
            spend.sum::<f64>()?,
            signups.sum::<f64>()?,
            churned.sum::<f64>()?,
            last(customers)?,
            last(acquisition_cost)?,
            campaign_lift.factor(),
        ],
    )
}

/// The paragraph for the board.
pub fn report(
    customers: &Series,
    top_channel: &str,
    busiest_weekday: &str,
    months_over_budget: usize,
    missing_days: usize,
    campaign_lift: &Lift,
) -> PolarsResult<String> {
    let now = customers.max::<i64>()?.unwrap_or(0);
    Ok(format!(
        "At best we had {now} customers. Most money went to {top_channel}, most people signed up on a \
         {busiest_weekday}, and a campaign multiplied signups by {:.2}. The budget was exceeded in \
         {months_over_budget} months. {missing_days} days are missing from the data.",
        campaign_lift.factor()
    ))
}

/// A window that is null unless every one of its rows is known.
fn window(rows: usize) -> RollingOptionsFixedWindow {
    RollingOptionsFixedWindow { window_size: rows, min_periods: rows, ..Default::default() }
}

fn column(frame: &DataFrame, name: &str) -> PolarsResult<Series> {
    Ok(frame.column(name)?.as_materialized_series().clone())
}

fn or_zero(series: &Series) -> PolarsResult<Series> {
    series.fill_null(FillNullStrategy::Zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_with_a_hole_is_null() -> PolarsResult<()> {
        let days = (1..=9).map(|day| if day == 1 { None } else { Some(day) }).collect::<Vec<Option<i64>>>();
        let sums = weekly_signups(&Series::new("signups".into(), days))?;
        assert_eq!(sums.i64()?.to_vec()[5..], [None, None, Some(35), Some(42)]);
        Ok(())
    }

    #[test]
    fn a_signup_costs_cents_too() -> PolarsResult<()> {
        let cost = acquisition_cost(&integers([30, 10]), &integers([4, 4]))?;
        assert_eq!(cost.f64()?.to_vec(), [Some(7.5), Some(2.5)]);
        Ok(())
    }

    #[test]
    fn the_mean_is_taken_off_whole() -> PolarsResult<()> {
        let spend = integers([1, 2]);
        assert_eq!(spend_zero_mean(&spend, spend_mean(&spend))?.f64()?.to_vec(), [Some(-0.5), Some(0.5)]);
        Ok(())
    }

    #[test]
    fn customers_start_where_the_books_were_opened() -> PolarsResult<()> {
        let churned = Series::new("churned".into(), [Some(1i64), None]);
        let customers = customers(&integers([5, 5]), &churned, 100)?;
        assert_eq!(customers.i64()?.to_vec(), [Some(104), Some(109)]);
        Ok(())
    }

    #[test]
    fn the_lift_compares_days_of_campaigns_with_the_others() -> PolarsResult<()> {
        let campaign = Series::new("campaign".into(), [Some("spring"), None, None]);
        let signups = Series::new("signups".into(), [30i64, 10, 20]);
        assert_eq!(campaign_lift(&campaign, &signups)?.factor(), 2.0);
        Ok(())
    }

    fn integers(values: [i64; 2]) -> Series {
        Series::new("".into(), values)
    }
}

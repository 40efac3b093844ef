//! The smallest useful dataflow: six transforms over two inputs, `spend` and `signups`.
//!
//! Each `pub fn` is a node; each parameter names the node or input that it is fed from. Nothing here
//! knows of the kernel: the file compiles, and its functions can be tested, like any other module.

use brooklet::prelude::*;

/// Rolling three-week mean of spend; null until three weeks are known.
pub fn avg_3wk_spend(spend: &Series) -> PolarsResult<Series> {
    rolling_mean(spend, 3)
}

/// Cost of one signup.
///
/// Both inputs hold integers, and in polars an integer divided by an integer is an integer: without the
/// casts, 20 / 50 would be 0.
pub fn spend_per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> {
    spend.cast(&DataType::Float64)? / signups.cast(&DataType::Float64)?
}

/// Average spend.
pub fn spend_mean(spend: &Series) -> f64 {
    spend.mean().unwrap_or(f64::NAN)
}

/// Spend with its average taken off.
///
/// The cast matters here too: an integer series minus 28.33 first turns 28.33 into 28.
pub fn spend_zero_mean(spend: &Series, spend_mean: f64) -> PolarsResult<Series> {
    Ok(spend.cast(&DataType::Float64)? - spend_mean)
}

/// Sample standard deviation of spend.
pub fn spend_std_dev(spend: &Series) -> f64 {
    spend.std(1).unwrap_or(f64::NAN)
}

/// Spend with mean 0 and standard deviation 1.
pub fn spend_zero_mean_unit_variance(spend_zero_mean: &Series, spend_std_dev: f64) -> Series {
    spend_zero_mean / spend_std_dev
}

fn rolling_mean(series: &Series, window: usize) -> PolarsResult<Series> {
    let options =
        RollingOptionsFixedWindow { window_size: window, min_periods: window, ..Default::default() };
    series.rolling_mean(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signup_costs_a_fraction() -> PolarsResult<()> {
        let cost = spend_per_signup(&spend(), &signups())?;
        assert_eq!(cost.f64()?.to_vec(), [10.0, 1.0, 0.4, 0.4, 0.2, 0.125].map(Some));
        Ok(())
    }

    #[test]
    fn the_rolling_mean_waits_for_three_weeks() -> PolarsResult<()> {
        let mean = avg_3wk_spend(&spend())?;
        let expected = [
            None,
            None,
            Some(13.333333333333334),
            Some(23.333333333333332),
            Some(33.333333333333336),
            Some(43.333333333333336),
        ];
        assert_eq!(mean.f64()?.to_vec(), expected);
        Ok(())
    }

    #[test]
    fn spend_is_standardised_to_the_last_digit() -> PolarsResult<()> {
        let (mean, deviation) = (spend_mean(&spend()), spend_std_dev(&spend()));
        assert_eq!((mean, deviation), (28.333333333333332, 17.224014243685083));
        let standardised = spend_zero_mean_unit_variance(&spend_zero_mean(&spend(), mean)?, deviation);
        let expected = [
            -1.0644053746097524,
            -1.0644053746097524,
            -0.4838206248226147,
            0.6773488747516607,
            0.6773488747516607,
            1.2579336245387984,
        ];
        assert_eq!(standardised.f64()?.to_vec(), expected.map(Some));
        Ok(())
    }

    fn spend() -> Series {
        Series::new("spend".into(), [10i64, 10, 20, 40, 40, 50])
    }

    fn signups() -> Series {
        Series::new("signups".into(), [1i64, 10, 50, 100, 200, 400])
    }
}

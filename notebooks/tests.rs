//! The tour's transforms as an ordinary program: the same files, and no kernel.
//!
//! That they compile here is the point; their own unit tests run along. The figures below are what the
//! notebook shows for the checked-in data, so a change of either is noticed.

#![allow(dead_code)]

#[path = "transforms/channels.rs"]
mod channels;
#[path = "hello/hello.rs"]
mod hello;
#[path = "transforms/marketing.rs"]
mod marketing;

use brooklet::prelude::*;

#[test]
fn the_figures_of_the_tour() -> PolarsResult<()> {
    let daily = read("daily.csv")?;
    let calendar = channels::calendar(&daily)?;
    assert_eq!((calendar.height(), channels::missing_days(&daily, &calendar)), (1012, 12));

    let spend = channels::spend(
        &channels::search(&calendar)?,
        &channels::social(&calendar)?,
        &channels::email(&calendar)?,
        &channels::tv(&calendar)?,
        &channels::affiliates(&calendar)?,
    )?;
    assert_eq!((spend.sum::<i64>()?, spend.null_count()), (1_585_422, 12));
    assert_eq!(marketing::spend_mean(&spend), 1585.422);

    let (day, signups) = (channels::day(&calendar)?, marketing::signups(&calendar)?);
    let monthly = channels::monthly(&day, &spend, &signups)?;
    let review = channels::budget_review(&monthly, &channels::budget(&path("budget.csv"))?)?;
    assert_eq!((review.height(), channels::months_over_budget(&review)?), (34, 16));
    assert_eq!(channels::quarters(channels::quarterly_plan(review.lazy()))?.height(), 12);

    let customers = marketing::customers(&signups, &marketing::churned(&calendar)?, 2400)?;
    assert_eq!(customers.max::<i64>()?, Some(7202));
    let profile = marketing::weekday_profile(&day, &spend, &signups)?;
    assert_eq!(marketing::busiest_weekday(&profile)?, "Tuesday");
    let campaigns = marketing::campaigns(&day, &channels::campaign(&calendar)?, &spend, &signups)?;
    assert_eq!(campaigns.height(), 5);
    Ok(())
}

fn read(name: &str) -> PolarsResult<DataFrame> {
    CsvReadOptions::default().try_into_reader_with_file_path(Some(path(name).into()))?.finish()
}

fn path(name: &str) -> String {
    format!("{}/notebooks/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

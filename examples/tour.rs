//! The tour's transforms as a plain program: the same files as in the notebook, and no kernel.
//!
//! `cargo run --release --example tour` prints figures that `notebooks/tour.ipynb` shows. With a directory behind
//! (`-- .brooklet`) results are kept there, and each run is recorded.

#[path = "../notebooks/transforms"]
mod transforms {
    pub mod channels;
    pub mod marketing;
}

use std::error::Error;

use brooklet::{Driver, Request, flow};

fn main() -> Result<(), Box<dyn Error>> {
    let notebooks = concat!(env!("CARGO_MANIFEST_DIR"), "/notebooks");
    let flow = flow!(transforms::{channels, marketing});
    let mut builder = Driver::builder(flow).base(notebooks);
    if let Some(directory) = std::env::args_os().nth(1) {
        builder = builder.cache_dir(&directory).record_runs(&directory);
    }
    let mut driver = builder.build()?;

    // The inputs of the notebook; text is read as the type that its consumers take.
    let request = |targets: &[&str]| {
        Request::of(targets.iter().copied())
            .input_literal("daily", "data/daily.csv")
            .input("budget_path", format!("{notebooks}/data/budget.csv"))
            .input("opening_customers", 2400i64)
    };
    let results = driver.run(&request(&["report", "spend_mean", "months_over_budget"]))?;
    println!("{}", results.get::<String>("report")?);
    println!("spend_mean = {}", results.get::<f64>("spend_mean")?);
    println!("months_over_budget = {}", results.get::<usize>("months_over_budget")?);

    let frame = driver.run(&request(&["day", "spend", "signups"]))?.frame()?;
    println!("{}", frame.head(Some(3)));
    Ok(())
}

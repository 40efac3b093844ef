//! The tour's transforms as an ordinary program: the same files, and no kernel.
//!
//! That they compile here is the point; their own unit tests run along. The figures below are what the
//! notebook shows for the checked-in data, so a change of either is noticed.

#![allow(dead_code)]

#[path = "transforms/channels.rs"]
mod channels;
#[path = "hello/hello.rs"]
mod hello;
#[path = "language/language.rs"]
mod language;
#[path = "transforms/marketing.rs"]
mod marketing;

use brooklet::graph::wire::Event;
use brooklet::prelude::*;
use brooklet::{Builder, Driver, Request, flow};

/// The language file under a region, driven as a program drives it.
fn language(region: &str) -> Driver {
    builder().config("region", region).build().unwrap_or_else(|error| panic!("{error}"))
}

fn builder() -> Builder {
    Driver::builder(flow!(language))
}

fn request(targets: &[&str]) -> Request {
    Request::of(targets.iter().copied())
        .input("net", 100.0)
        .input("y", 5i64)
        .input("scale", 10i64)
        .input("values", vec![3i64, 9, 4, 8])
}

#[test]
fn variants_follow_the_configuration() {
    for (region, gross) in [("us", 100.0), ("uk", 120.0), ("ie", 120.0), ("de", 119.0)] {
        let results = language(region).run(&request(&["gross"])).unwrap();
        assert_eq!(results.get::<f64>("gross"), Ok(&gross), "{region}");
    }
    let results = builder().build().unwrap().run(&request(&["gross"])).unwrap();
    assert_eq!(results.get::<f64>("gross"), Ok(&100.0));
    let mut driver = builder().config("rate", 0.5).build().unwrap();
    assert_eq!(driver.run(&request(&["gross"])).unwrap().get::<f64>("gross"), Ok(&150.0));
    assert!(!driver.graph().nodes["rate"].tags.contains_key("owner"));
}

#[test]
fn each_attribute_makes_its_nodes() {
    let targets = [
        "recent",
        "p1",
        "p2",
        "p3",
        "total",
        "spread",
        "trained_on",
        "train",
        "low",
        "width",
        "small_product",
        "large_sum",
        "clicks",
    ];
    let results = language("uk").run(&request(&targets)).unwrap();
    assert_eq!(results.get::<i64>("recent"), Ok(&21));
    let scaled: Vec<i64> = ["p1", "p2", "p3"].iter().map(|it| *results.get::<i64>(it).unwrap()).collect();
    assert_eq!(scaled, [15, 25, 75]);
    assert_eq!(results.get::<i64>("total"), Ok(&(7 + 10 + 15)));
    assert_eq!(results.get::<f64>("spread"), Ok(&0.3));
    assert_eq!(results.get::<String>("trained_on").unwrap(), "2 of 4");
    assert_eq!(results.get::<Vec<i64>>("train").unwrap(), &[3, 9]);
    assert_eq!((results.get::<i64>("low"), results.get::<i64>("width")), (Ok(&3), Ok(&6)));
    let first = |name: &str| results.get::<Series>(name).unwrap().i64().unwrap().get(0);
    assert_eq!((first("small_product"), first("large_sum")), (Some(10), Some(102)));
    let clicks = results.get::<Series>("clicks").unwrap();
    assert_eq!((clicks.name().as_str(), clicks.len(), clicks.sum::<i64>().unwrap()), ("clicks", 2, 0));
    assert!(results.get::<f64>("recent").unwrap_err().to_string().contains("holds a `i64`, not a `f64`"));
}

#[test]
fn results_are_a_frame_or_a_map() -> Result<(), Box<dyn std::error::Error>> {
    let results = language("us").run(&request(&["spend", "per_signup", "base"]))?;
    let frame = results.frame()?;
    let names: Vec<&str> = frame.get_column_names().iter().map(|it| it.as_str()).collect();
    assert_eq!((names, frame.height()), (vec!["spend", "per_signup", "base"], 2));
    assert_eq!(results.json()?["per_signup"], serde_json::json!([10.0, 5.0]));
    assert_eq!(results.map().keys().copied().collect::<Vec<_>>(), ["base", "per_signup", "spend"]);
    assert_eq!(results.warnings, Vec::<String>::new());
    Ok(())
}

/// Which nodes ran and which were reused.
fn events(driver: &mut Driver, request: &Request) -> String {
    let mut words = Vec::new();
    let observe = &mut |event| match event {
        Event::DidRun { node, .. } => words.push(format!("+{node}")),
        Event::DidReuse { node, .. } => words.push(format!(".{node}")),
        _ => {}
    };
    driver.run_observed(request, observe).unwrap_or_else(|error| panic!("{error}"));
    words.sort();
    words.join(" ")
}

#[test]
fn a_source_runs_once_whatever_parts_are_asked_for() {
    let mut driver = language("us");
    assert_eq!(
        events(&mut driver, &request(&["train", "test", "trained_on"])),
        "+split +test +train +trained_on"
    );
    assert_eq!(events(&mut driver, &request(&["per_signup", "spend"])), "+daily +per_signup +signups +spend");
    assert_eq!(events(&mut driver, &request(&["signups"])), ".daily .signups");
}

#[test]
fn a_default_counts_as_the_value_that_it_is() {
    let mut driver = language("us");
    assert_eq!(events(&mut driver, &request(&["recent"])), "+recent");
    assert_eq!(events(&mut driver, &request(&["recent"]).input("window", 3usize)), ".recent");
    assert_eq!(events(&mut driver, &request(&["recent"]).input_literal("window", "2")), "+recent");
    assert_eq!(events(&mut driver, &request(&["recent"])), ".recent");
}

#[test]
fn what_only_an_overridden_node_needs_is_neither_run_nor_required() {
    let mut driver = language("us");
    let request = Request::of(["width"]).override_with("low", 1i64).override_literal("high", "11");
    assert_eq!(events(&mut driver, &request), "+width");
    assert_eq!(driver.run(&request).unwrap().get::<i64>("width"), Ok(&10));
}

#[test]
fn all_problems_are_told_before_anything_runs() {
    let mut driver = language("us");
    let error =
        driver.run(&Request::of(["recent", "nope", "total"]).input_literal("window", "x")).unwrap_err();
    let codes: Vec<&str> = error.diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["unknown-target", "missing-input", "missing-input"]);
    assert!(error.to_string().contains("notebooks/language/language.rs:"), "{error}");
    let error = driver.validate(&request(&["recent"]).input_literal("window", "x")).unwrap_err();
    assert_eq!(error.failures[0].kind, "bad-literal");
    let error = driver.run(&request(&["gross"]).input_literal("region", "uk")).unwrap_err();
    assert_eq!(error.diagnostics[0].code, "input-is-configured");
    let error = driver.run(&request(&["low"]).input("values", Vec::<i64>::new())).unwrap_err();
    assert_eq!(error.failures[0].message, "there are no values");
}

#[test]
fn the_graph_answers_questions() {
    let driver = language("us");
    assert_eq!(driver.upstream_of(&["width"]), ["values", "bounds", "low", "high", "width"]);
    assert_eq!(driver.downstream_of(&["scale"]).len(), 6);
    assert_eq!(driver.path_between("values", "width"), ["values", "bounds", "low", "high", "width"]);
    assert_eq!(driver.path_between("width", "values"), Vec::<String>::new());
    let named = |filter: &[(&str, Option<&[&str]>)]| {
        let filter = filter.iter().map(|(tag, values)| {
            ((*tag).to_owned(), values.map(|it| it.iter().map(|it| (*it).to_owned()).collect()))
        });
        driver.nodes(&filter.collect()).map(|it| it.iter().map(|it| it.name.clone()).collect::<Vec<_>>())
    };
    assert_eq!(named(&[("unit", None)]), Ok(vec!["spend".to_owned()]));
    assert_eq!(
        named(&[("stage", Some(&["weekly", "daily"])), ("owner", Some(&["ds"]))]),
        Ok(vec!["recent".to_owned()])
    );
    assert!(named(&[("unit", Some(&[]))]).is_err());
}

#[test]
fn the_example_prints_the_figures_of_the_notebook() {
    let directory = std::env::current_exe().expect("this program has a path");
    let example = directory.ancestors().nth(2).expect("cargo's directory").join("examples/tour");
    let output = std::process::Command::new(&example).output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo test --workspace` builds it", example.display()));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for figure in [
        "At best we had 7202 customers.",
        "spend_mean = 1585.422\n",
        "months_over_budget = 16\n",
        "shape: (3, 3)",
    ] {
        assert!(printed.contains(figure), "{figure} is not in\n{printed}");
    }
}

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

/// The language file, with results and records in a directory.
fn kept(directory: &std::path::Path) -> Driver {
    builder().config("region", "us").cache_dir(directory).record_runs(directory).build().unwrap()
}

#[test]
fn a_program_finds_what_it_computed_before_and_records_its_runs() {
    let directory = tempfile::tempdir().unwrap();
    let ran = |request: &Request| {
        let mut ran = 0;
        let mut driver = kept(directory.path());
        let results = driver.run_observed(request, &mut |it| {
            ran += usize::from(matches!(it, Event::DidRun { .. }));
        });
        (ran, *results.unwrap().get::<f64>("gross").unwrap())
    };
    assert_eq!(ran(&request(&["gross"])), (2, 100.0));
    assert_eq!(ran(&request(&["gross"])), (0, 100.0));
    // With `rate`, which is sooner computed than read.
    assert_eq!(ran(&request(&["gross"]).recompute("gross")), (2, 100.0));
    assert_eq!(ran(&request(&["gross"]).recompute_all()), (2, 100.0));
    let text = std::fs::read_to_string(directory.path().join("runs/runs.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(records.len(), 4);
    let first = &records[0];
    assert_eq!(first["by"]["kind"], "program");
    assert_eq!((&first["outcome"], &first["targets"][0]), (&"done".into(), &"gross".into()));
    assert_eq!(first["config"]["region"], "\"us\"");
    assert_eq!(first["results"]["gross"]["value"], 100.0);
    let states = |record: &serde_json::Value| -> Vec<String> {
        let nodes = record["nodes"].as_array().unwrap();
        let mut states: Vec<String> =
            nodes.iter().map(|it| format!("{} {}", it["node"], it["state"]).replace('"', "")).collect();
        states.sort();
        states
    };
    assert_eq!(states(first), ["gross ran", "net given", "rate ran"]);
    assert_eq!(states(&records[1]), ["gross reused", "net given", "rate reused"]);
    assert_eq!(states(&records[2]), ["gross unchanged", "net given", "rate unchanged"]);
    assert!(first["toolchain"].as_str().unwrap().starts_with("rustc 1."), "{}", first["toolchain"]);
    let source = first["sources"][0]["hash"].as_str().unwrap();
    assert!(directory.path().join(format!("runs/sources/{source}.rs")).is_file());
}

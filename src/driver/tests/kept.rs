//! Results that outlive the driver: what runs in the next one.

use std::path::Path;

use super::*;

/// A driver as the next process has it.
fn next(directory: &Path, nodes: &[(&str, &str, &[&str])]) -> Driver {
    let mut driver = Driver::new();
    driver.open_store(directory, "image").unwrap();
    driver.commit(graph(nodes), &table().functions, "types").unwrap();
    driver
}

#[test]
fn nothing_is_computed_twice_in_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let first = run(&mut next(directory.path(), TOTAL), &["report"], &[("a", "1")]);
    assert_eq!(first.0, "<a +total +report");
    let mut driver = next(directory.path(), TOTAL);
    let (events, report) = run(&mut driver, &["report"], &[("a", "1")]);
    assert_eq!(events, "<a .total .report");
    assert_eq!(report.values[0].1.get(), Some(&"2".to_owned()));
    // In memory now.
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a .total .report");
    assert_eq!(run(&mut driver, &["report"], &[("a", "2")]).0, "<a +total +report");
}

#[test]
fn a_value_that_is_only_known_is_computed_when_something_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    run(&mut next(directory.path(), TOTAL), &["report"], &[("a", "1")]);
    // Other code of `report`: it runs, and for that `total`, which nobody asked for before, has to run too.
    let edited: &[(&str, &str, &[&str])] = &[("total", "v1", &["a"]), ("report", "v2", &["total"])];
    let mut driver = next(directory.path(), edited);
    let (events, report) = run(&mut driver, &["report"], &[("a", "1")]);
    assert_eq!(events, "<a .total =total +report");
    assert_eq!(report.values[0].1.get(), Some(&"2".to_owned()));
}

#[test]
fn an_opaque_value_is_computed_again_and_what_depends_on_it_is_not() {
    let nodes: &[(&str, &str, &[&str])] = &[("model", "v1", &["a"]), ("predict", "v1", &["model"])];
    let directory = tempfile::tempdir().unwrap();
    run(&mut next(directory.path(), nodes), &["predict"], &[("a", "3")]);
    let mut driver = next(directory.path(), nodes);
    assert_eq!(run(&mut driver, &["predict"], &[("a", "3")]).0, "<a .model .predict");
    let (events, report) = run(&mut driver, &["model", "predict"], &[("a", "3")]);
    assert_eq!(events, "<a .model .predict =model");
    assert_eq!(report.values[0].1.get::<functions::Model>().map(|it| it.0), Some(3));
}

#[test]
fn a_failure_is_not_kept() {
    let nodes: &[(&str, &str, &[&str])] = &[("fails", "v1", &["a"])];
    let directory = tempfile::tempdir().unwrap();
    run(&mut next(directory.path(), nodes), &["fails"], &[("a", "-1")]);
    assert_eq!(run(&mut next(directory.path(), nodes), &["fails"], &[("a", "-1")]).0, "<a !fails");
}

#[test]
fn what_a_program_gives_and_cannot_be_told_apart_is_found_by_nobody_else() {
    let nodes: &[(&str, &str, &[&str])] = &[("predict", "v1", &["model"])];
    let directory = tempfile::tempdir().unwrap();
    let run_with = |model: i64| {
        let request = Request::of(["predict"]).input("model", functions::Model(model));
        let mut ran = 0;
        let report = next(directory.path(), nodes).execute(&request, &mut |it| {
            ran += usize::from(matches!(it, Event::DidRun { .. }));
        });
        (report.values[0].1.get::<i64>().copied(), ran)
    };
    assert_eq!(run_with(1), (Some(1), 1));
    assert_eq!(run_with(2), (Some(2), 1));
}

#[test]
fn without_room_in_memory_values_are_computed_or_read_again_and_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let mut driver =
        next(directory.path(), &[("scaled", "v1", &["spend", "factor?"]), ("mean", "v1", &["scaled"])]);
    driver.store().limit(Some(0), None);
    let spend = format!("[{}]", (0..500).map(|it| it.to_string()).collect::<Vec<_>>().join(","));
    let mut expected = None;
    for _ in 0..3 {
        let (events, report) = run(&mut driver, &["scaled"], &[("spend", &spend), ("factor", "2.0")]);
        assert!(report.failures.is_empty());
        let version = report.values[0].1.version();
        assert_eq!(version, *expected.get_or_insert(version), "{events}");
    }
}

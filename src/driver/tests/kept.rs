//! Results that outlive the driver: what runs in the next one.

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
    assert_eq!(events, "<a .total =total =report");
    assert_eq!(report.values[0].1.get(), Some(&"2".to_owned()));
    // What went in the time before is known, though another process had it.
    let told = "`report` ran because its code changed. Its value came out the same, so what depends on it is not stale.";
    assert_eq!(why(&driver, "report"), told);
    let (events, _) = run(&mut driver, &["report"], &[("a", "2")]);
    assert_eq!(events, "<a +total +report");
    drop(driver);
    let mut driver = next(directory.path(), edited);
    run(&mut driver, &["report"], &[("a", "3")]);
    assert_eq!(why(&driver, "total"), "`total` ran because the input `a` changed.");
    assert_eq!(why(&driver, "report"), "`report` ran because the value of `total` changed.");
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

#[test]
fn all_that_takes_a_value_which_is_only_known_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let flow = |code: &'static str| -> Vec<(&'static str, &'static str, &'static [&'static str])> {
        vec![
            ("model", "v1", &["a"]),
            ("predict", code, &["model"]),
            ("total", "v1", &["predict"]),
            ("report", "v1", &["total"]),
        ]
    };
    run(&mut next(directory.path(), &flow("v1")), &["report"], &[("a", "3")]);
    // Two edited takers, of which one is a twin of the other.
    let mut graph = graph(&flow("v2"));
    let mut twin = graph.nodes["predict"].clone();
    twin.name = "twin".to_owned();
    graph.nodes.insert("twin".to_owned(), twin);
    let mut other = graph.nodes["predict"].clone();
    other.name = "other".to_owned();
    other.fingerprint = "predict v3".to_owned();
    graph.nodes.insert("other".to_owned(), other);
    let mut driver = next(directory.path(), &[]);
    driver.commit(graph, &table().functions, "types").unwrap();
    let (events, report) = run(&mut driver, &["predict", "twin", "other", "report"], &[("a", "3")]);
    assert!(report.failures.is_empty(), "{events}: {:?}", report.failures);
    let values: Vec<Option<&i64>> = report.values[..3].iter().map(|it| it.1.get()).collect();
    assert_eq!(values, [Some(&3); 3], "{events}");
    assert_eq!(events.matches("model").count(), 2, "known, then computed once: {events}");
    let one_of_two = |sign: &str| {
        ["twin", "predict"]
            .iter()
            .filter(|it| events.split(' ').any(|word| word == format!("{sign}{it}")))
            .count()
    };
    assert_eq!((one_of_two("+"), one_of_two(".")), (1, 1), "{events}");
}

#[test]
fn a_node_that_is_computed_after_all_and_fails_takes_along_all_that_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = |code: &'static str| -> Vec<(&'static str, &'static str, &'static [&'static str])> {
        vec![("total", "v1", &["a"]), ("report", code, &["total"]), ("wants_text", "v1", &["report"])]
    };
    run(&mut next(directory.path(), &nodes("v1")), &["wants_text"], &[("a", "1")]);
    // The same fingerprint, and a function that fails: as a node does that reads a file which is gone.
    let mut failing = graph(&nodes("v2"));
    failing.nodes["total"].function = "t::panics".to_owned();
    let mut driver = next(directory.path(), &[]);
    driver.commit(failing, &table().functions, "types").unwrap();
    let (events, report) = run(&mut driver, &["wants_text"], &[("a", "1")]);
    assert_eq!(events, "<a .total !total -report(total) -wants_text(total)");
    assert_eq!(report.failures.len(), 1);
}

#[test]
fn what_is_cleared_by_a_new_name_is_cleared() {
    let directory = tempfile::tempdir().unwrap();
    run(&mut next(directory.path(), TOTAL), &["total"], &[("a", "1")]);
    let mut renamed = graph(&[("total", "v1", &["a"])]);
    let mut node = renamed.nodes.shift_remove("total").unwrap();
    node.name = "sum".to_owned();
    renamed.nodes.insert("sum".to_owned(), node);
    let mut driver = next(directory.path(), &[]);
    driver.commit(renamed, &table().functions, "types").unwrap();
    assert_eq!(run(&mut driver, &["sum"], &[("a", "1")]).0, "<a .sum");
    driver.clear_results(&["sum".to_owned()]).unwrap();
    assert_eq!(run(&mut driver, &["sum"], &[("a", "1")]).0, "<a =sum");
}

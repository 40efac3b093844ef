//! `#[cache]` and what a run has computed again: Hamilton's meanings, and files by their content.

use std::fs;

use brooklet_graph::graph::{Behaviour, StoredAs};
use brooklet_graph::wire::Recompute;

use super::*;

const CHAIN: &[(&str, &str, &[&str])] =
    &[("total", "v1", &["a"]), ("report", "v1", &["total"]), ("wants_text", "v1", &["report"])];

/// A graph in which some nodes have a behaviour.
fn behaving(nodes: &[(&str, &str, &[&str])], behaviours: &[(&str, Behaviour)]) -> Driver {
    let mut driver = Driver::new();
    behave(&mut driver, nodes, behaviours);
    driver
}

fn behave(driver: &mut Driver, nodes: &[(&str, &str, &[&str])], behaviours: &[(&str, Behaviour)]) {
    let mut graph = graph(nodes);
    for (name, behaviour) in behaviours {
        graph.nodes[*name].caching.behaviour = *behaviour;
    }
    driver.commit(graph, &table().functions, "types").unwrap();
}

fn ends(driver: &mut Driver, a: &str) -> String {
    let (events, report) = run(driver, &["wants_text"], &[("a", a)]);
    assert!(report.failures.is_empty(), "{events}");
    events
}

/// The cases of Hamilton's integration tests: A, B(A), C(B), request C.
#[test]
fn the_cases_of_hamilton_hold() {
    let mut driver = driver(CHAIN);
    assert_eq!(ends(&mut driver, "1"), "<a +total +report +wants_text");
    assert_eq!(ends(&mut driver, "1"), "<a .total .report .wants_text");
    let edited = [("total", "v2", &["a"][..]), CHAIN[1], CHAIN[2]];
    commit(&mut driver, &edited);
    assert_eq!(ends(&mut driver, "1"), "<a =total .report .wants_text");
    commit(&mut driver, CHAIN);
    assert_eq!(ends(&mut driver, "1"), "<a .total .report .wants_text");
    let (events, _) = run_with(&mut driver, &["wants_text"], &[("a", "1")], &[("total", "2")]);
    assert_eq!(events, "<total .report .wants_text");
    let again = |nodes: &[&str]| {
        let mut request = Request::of(["wants_text"]).input_literal("a", "1");
        for node in nodes {
            request = request.recompute(node);
        }
        request
    };
    assert_eq!(execute(&mut driver, &again(&["total"])).0, "<a =total .report .wants_text");
    let told = "`total` ran because the run was to compute it again. Its value came out the same, so what depends on it is not \
                stale.";
    assert_eq!(why(&driver, "total"), told);
    assert_eq!(execute(&mut driver, &again(&["report", "total"])).0, "<a =total =report .wants_text");
    let all = Request { recompute: Recompute::All, ..again(&[]) };
    assert_eq!(execute(&mut driver, &all).0, "<a =total =report =wants_text");
    let (events, report) = execute(&mut driver, &again(&["totla"]));
    assert_eq!((events.as_str(), report.failures[0].kind.as_str()), ("", "unknown-target"));
}

#[test]
fn a_node_that_is_recomputed_runs_each_time_and_its_takers_if_it_differs() {
    let mut driver = behaving(CHAIN, &[("total", Behaviour::Recompute)]);
    assert_eq!(ends(&mut driver, "1"), "<a +total +report +wants_text");
    assert_eq!(ends(&mut driver, "1"), "<a =total .report .wants_text");
    assert!(
        why(&driver, "total").starts_with("`total` ran because `#[cache(recompute)]` has it run each time.")
    );
    assert_eq!(ends(&mut driver, "2"), "<a +total +report =wants_text");
}

#[test]
fn of_a_disabled_node_nothing_is_kept_and_all_that_takes_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut driver = behaving(CHAIN, &[("report", Behaviour::Disable)]);
    driver.open_store(directory.path(), "image").unwrap();
    assert_eq!(ends(&mut driver, "1"), "<a +total +report +wants_text");
    assert_eq!(ends(&mut driver, "1"), "<a .total =report =wants_text");
    let kept = driver.kept_report();
    assert_eq!((kept.results_on_disk, kept.values), (1, 1), "`total` alone");
    let note = |node: &str| kept.nodes.iter().find(|it| it.node == node).map(|it| it.only_in_memory.clone());
    assert_eq!(note("report").as_deref(), Some("never kept: `#[cache(disable)]`"));
    // Taken back, it is as any other.
    commit(&mut driver, CHAIN);
    assert_eq!(ends(&mut driver, "1"), "<a .total =report =wants_text");
    assert_eq!(ends(&mut driver, "1"), "<a .total .report .wants_text");
}

#[test]
fn an_ignored_node_runs_only_for_what_runs_and_counts_for_nothing() {
    let mut driver = behaving(CHAIN, &[("total", Behaviour::Ignore)]);
    assert_eq!(ends(&mut driver, "1"), "<a +total +report +wants_text");
    assert_eq!(ends(&mut driver, "1"), "<a .report .wants_text -total(nothing that ran takes it)");
    // Another value of it is none of its takers' business.
    assert_eq!(ends(&mut driver, "5"), "<a .report .wants_text -total(nothing that ran takes it)");
    let edited = [CHAIN[0], ("report", "v2", &["total"][..]), CHAIN[2]];
    behave(&mut driver, &edited, &[("total", Behaviour::Ignore)]);
    assert_eq!(ends(&mut driver, "5"), "<a +total +report =wants_text");
    let (events, report) = run(&mut driver, &["total"], &[("a", "7")]);
    assert_eq!((events.as_str(), report.values[0].1.get()), ("<a +total", Some(&8i64)));
    // A result from before it was ignored is not its value.
    let directory = tempfile::tempdir().unwrap();
    let mut driver = behaving(CHAIN, &[]);
    driver.open_store(directory.path(), "image").unwrap();
    ends(&mut driver, "1");
    behave(&mut driver, CHAIN, &[("total", Behaviour::Ignore)]);
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a =total");
}

#[test]
fn what_takes_different_ignored_nodes_is_different() {
    // Two nodes of one function, each fed by an ignored node of its own.
    let mut graph = graph(&[("total", "v1", &["a"]), ("report", "v1", &["total"])]);
    let mut other = graph.nodes["total"].clone();
    (other.name, other.fingerprint) = ("other".to_owned(), "total v2".to_owned());
    other.dependencies[0].name = "b".to_owned();
    graph.nodes.shift_insert(0, "b".to_owned(), node("b", NodeKind::Input, "", "", &[]));
    graph.nodes.insert("other".to_owned(), other);
    let mut second = graph.nodes["report"].clone();
    second.name = "second".to_owned();
    second.dependencies[0].name = "other".to_owned();
    graph.nodes.insert("second".to_owned(), second);
    for name in ["total", "other"] {
        graph.nodes[name].caching.behaviour = Behaviour::Ignore;
    }
    let mut driver = Driver::new();
    driver.commit(graph, &table().functions, "types").unwrap();
    let (events, report) = run(&mut driver, &["report", "second"], &[("a", "1"), ("b", "10")]);
    let values: Vec<Option<&String>> = report.values.iter().map(|it| it.1.get()).collect();
    assert_eq!(values, [Some(&"2".to_owned()), Some(&"11".to_owned())], "{events}");
}

#[test]
fn what_is_computed_again_lends_its_value_to_no_other_node() {
    let mut graph = graph(&[("total", "v1", &["a"])]);
    for name in ["twin", "third"] {
        let mut twin = graph.nodes["total"].clone();
        twin.name = name.to_owned();
        graph.nodes.insert(name.to_owned(), twin);
    }
    graph.nodes["total"].caching.behaviour = Behaviour::Ignore;
    let mut taker = graph.nodes["total"].clone();
    taker.caching.behaviour = Behaviour::Reuse;
    (taker.name, taker.fingerprint) = ("taker".to_owned(), "taker".to_owned());
    taker.dependencies[0].name = "twin".to_owned();
    graph.nodes.insert("taker".to_owned(), taker);
    let mut driver = Driver::new();
    driver.commit(graph, &table().functions, "types").unwrap();
    for a in [1, 5, 7] {
        let request =
            Request::of(["total", "third", "taker"]).input_literal("a", &a.to_string()).recompute("total");
        let (events, report) = execute(&mut driver, &request);
        let values: Vec<Option<&i64>> = report.values.iter().map(|it| it.1.get()).collect();
        assert_eq!(values, [Some(&(a + 1)), Some(&(a + 1)), Some(&(a + 2))], "{events}");
    }
}

#[test]
fn what_is_held_back_is_found_and_never_computed() {
    let mut driver = driver(CHAIN);
    let held = |a: &str| {
        let request = Request::of(["wants_text"]).input_literal("a", a);
        Request { hold: vec!["report".to_owned()], ..request }
    };
    let (events, report) = execute(&mut driver, &held("1"));
    let because = "it would have to be computed, and is held back in this run";
    assert_eq!(events, format!("<a +total -report({because}) -wants_text(report)"));
    assert_eq!((report.failures[0].kind.as_str(), report.failures[0].node.as_str()), ("Held", "report"));
    ends(&mut driver, "1");
    let edited = [("total", "v2", &["a"][..]), CHAIN[1], CHAIN[2]];
    commit(&mut driver, &edited);
    assert_eq!(execute(&mut driver, &held("1")).0, "<a =total .report .wants_text");
}

/// `lines` reads the file that `location` names, and `lines_there` the one that a node names.
fn reading(base: &Path) -> Driver {
    let mut graph =
        graph(&[("lines", "v1", &["location"]), ("place", "v1", &["a"]), ("lines_there", "v1", &["place"])]);
    graph.nodes["lines"].caching.files = vec![0];
    graph.nodes["lines_there"].caching.files = vec![0];
    let mut driver = Driver::new();
    driver.set_base(base);
    driver.commit(graph, &table().functions, "types").unwrap();
    driver
}

#[test]
fn what_is_in_a_file_counts_and_not_when_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.txt");
    fs::write(&path, "a\nb\n").unwrap();
    let location = path.to_string_lossy().into_owned();
    let mut driver = reading(directory.path());
    let read = |driver: &mut Driver| {
        let (events, report) = run(driver, &["lines"], &[("location", &location)]);
        (events, report.values[0].1.get::<usize>().copied())
    };
    assert_eq!(read(&mut driver), ("<location +lines".to_owned(), Some(2)));
    assert_eq!(read(&mut driver), ("<location .lines".to_owned(), Some(2)));
    fs::write(&path, "a\nc\n").unwrap();
    assert_eq!(read(&mut driver), ("<location =lines".to_owned(), Some(2)));
    let told = format!("`lines` ran because the file `{location}` changed. Its value came out the same");
    assert!(why(&driver, "lines").starts_with(&told), "{}", why(&driver, "lines"));
    fs::write(&path, "a\nb\n").unwrap();
    assert_eq!(read(&mut driver), ("<location .lines".to_owned(), Some(2)));
    fs::write(&path, "a\nb\nc\n").unwrap();
    assert_eq!(read(&mut driver), ("<location +lines".to_owned(), Some(3)));
    let (_, report) = run(&mut driver, &["lines"], &[("location", &location)]);
    assert_eq!(report.files.keys().collect::<Vec<_>>(), [&location]);
}

#[test]
fn a_file_that_a_node_names_is_looked_at_also_if_its_name_is_only_on_record() {
    let (directory, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let read = |a: &str| {
        let mut driver = reading(directory.path());
        driver.open_store(store.path(), "image").unwrap();
        run(&mut driver, &["lines_there"], &[("a", a)]).0
    };
    fs::write(directory.path().join("data-1.txt"), "").unwrap();
    assert_eq!(read("1"), "<a +place +lines_there");
    // The name was sooner computed than read, so it is computed to look at the file.
    let again = read("1");
    assert!(again == "<a .place =place .lines_there" || again == "<a .place .lines_there", "{again}");
    fs::write(directory.path().join("data-1.txt"), "x").unwrap();
    let edited = read("1");
    assert!(
        edited.ends_with("=lines_there"),
        "the file is another, though it is read from elsewhere: {edited}"
    );
}

#[test]
fn what_is_nowhere_here_is_read_each_time_and_its_takers_only_if_it_differs() {
    let directory = tempfile::tempdir().unwrap();
    let mut driver = reading(directory.path());
    let (events, report) = run(&mut driver, &["lines_there"], &[("a", "1")]);
    assert_eq!(events, "<a +place +lines_there");
    assert!(report.warnings[0].1.contains("`data-1.txt` is nowhere here"), "{:?}", report.warnings);
    assert_eq!(run(&mut driver, &["lines_there"], &[("a", "1")]).0, "<a .place =lines_there");
    fs::write(directory.path().join("data-1.txt"), "").unwrap();
    assert_eq!(run(&mut driver, &["lines_there"], &[("a", "1")]).0, "<a .place =lines_there");
    assert_eq!(run(&mut driver, &["lines_there"], &[("a", "1")]).0, "<a .place .lines_there");
    let (events, report) = run(&mut driver, &["lines"], &[("location", "")]);
    assert_eq!((events.as_str(), report.failures.len()), ("<location !lines", 1));
    assert!(why(&driver, "lines").contains("ran and failed"));
}

#[test]
fn a_plan_whose_file_changes_before_it_is_collected_leaves_no_value_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.csv");
    fs::write(&path, "n\n1\n").unwrap();
    let mut driver = Driver::new();
    driver.set_base(directory.path());
    driver.commit(graph(&[("rows", "v1", &["plan"])]), &table().functions, "types").unwrap();
    let request = Request::of(["rows"]).input_literal("plan", "data.csv");
    let read = |driver: &mut Driver, change: bool| {
        let mut words = Vec::new();
        let report = driver.execute(&request, &mut |event| match event {
            Event::WillRun { .. } if change => fs::write(&path, "n\n1\n2\n").unwrap(),
            Event::DidRun { node, .. } => words.push(format!("+{node}")),
            Event::DidReuse { node, .. } => words.push(format!(".{node}")),
            _ => {}
        });
        (words.join(" "), report.values[0].1.get::<usize>().copied(), report.warnings.len())
    };
    // It reads what is there now, and that is said.
    assert_eq!(read(&mut driver, true), ("+rows".to_owned(), Some(2), 1));
    fs::write(&path, "n\n1\n").unwrap();
    assert_eq!(read(&mut driver, false), ("+rows".to_owned(), Some(1), 0));
    assert_eq!(read(&mut driver, false), (".rows".to_owned(), Some(1), 0));
}

#[test]
fn why_tells_what_was_given_skipped_or_ignored() {
    let mut driver = behaving(CHAIN, &[("total", Behaviour::Ignore)]);
    ends(&mut driver, "1");
    ends(&mut driver, "2");
    assert_eq!(why(&driver, "total"), "`total` was not run: nothing that ran takes it.");
    // Its own value tells whether it is another one, though it counts for nothing.
    assert_eq!(run(&mut driver, &["total"], &[("a", "2")]).0, "<a +total");
    let mut driver = behaving(CHAIN, &[]);
    ends(&mut driver, "1");
    run_with(&mut driver, &["wants_text"], &[("a", "1")], &[("report", "text")]);
    ends(&mut driver, "1");
    let told = "`report` was reused: it was given the time before; now its code and the value of `total` are what they were in an \
                earlier run.";
    assert_eq!(why(&driver, "report"), told);
    let mut driver = self::driver(&[
        ("fails", "v1", &["a"]),
        ("both", "v1", &["fails", "panics"]),
        ("panics", "v1", &["a"]),
    ]);
    run(&mut driver, &["both"], &[("a", "-1")]);
    assert!(why(&driver, "both").starts_with("`both` was not run: `"), "{}", why(&driver, "both"));
}

#[test]
fn what_cache_says_is_held_against_the_types() {
    let mut graph = graph(TOTAL);
    graph.nodes["report"].caching.files = vec![0];
    graph.nodes["total"].caching.format = Some(StoredAs::Parquet);
    let mut driver = Driver::new();
    let error = driver.commit(graph, &table().functions, "types").unwrap_err();
    let CommitError::Edges(mismatches) = error else { panic!("{error:?}") };
    let told: Vec<(&str, &str, &str)> =
        mismatches.iter().map(|it| (it.from.as_str(), it.to.as_str(), it.found.as_str())).collect();
    assert_eq!(told, [("total", "total", "i64"), ("total", "report", "i64")]);
    assert!(mismatches.iter().all(|it| it.in_cache));
}

#[test]
fn why_names_the_columns_that_differ() {
    let mut driver = driver(&[("table", "v1", &["a"]), ("height", "v1", &["table"])]);
    run(&mut driver, &["height"], &[("a", "1")]);
    run(&mut driver, &["height"], &[("a", "2")]);
    let told = "`height` ran because the value of `table` changed, in column `moves`. Its value came out the same, so what depends \
                on it is not stale.";
    assert_eq!(why(&driver, "height"), told);
}

#[test]
fn a_frame_is_kept_in_the_format_that_its_node_names() {
    let directory = tempfile::tempdir().unwrap();
    let nodes: &[(&str, &str, &[&str])] = &[("table", "v1", &["a"])];
    let next = || {
        let mut graph = graph(nodes);
        graph.nodes["table"].caching.format = Some(StoredAs::Parquet);
        let mut driver = Driver::new();
        driver.open_store(directory.path(), "image").unwrap();
        driver.commit(graph, &table().functions, "types").unwrap();
        driver
    };
    let first = run(&mut next(), &["table"], &[("a", "1")]).1;
    let files: Vec<String> = fs::read_dir(directory.path().join("store-1/values"))
        .unwrap()
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(files.len() == 1 && files[0].ends_with(".parquet"), "{files:?}");
    let (events, second) = run(&mut next(), &["table"], &[("a", "1")]);
    assert_eq!(events, "<a .table");
    assert_eq!(second.values[0].1.version(), first.values[0].1.version());
}

#[test]
fn a_value_that_was_shown_and_went_for_lack_of_room_is_told() {
    let nodes: &[(&str, &str, &[&str])] = &[("table", "v1", &["a"])];
    let mut driver = driver(nodes);
    driver.store().limit(Some(1), None);
    assert_eq!(run(&mut driver, &["table"], &[("a", "1")]).1.warnings, []);
    let (events, report) = run(&mut driver, &["table"], &[("a", "1")]);
    assert_eq!(events, "<a =table");
    assert!(
        report.warnings[0].1.starts_with("`table` was computed again: there was no room"),
        "{:?}",
        report.warnings
    );
    driver.store().pin(&["table".to_owned()]);
    run(&mut driver, &["table"], &[("a", "1")]);
    let (events, report) = run(&mut driver, &["table"], &[("a", "1")]);
    assert_eq!((events.as_str(), report.warnings.len()), ("<a .table", 0));
}

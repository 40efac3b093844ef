//! What ran and what did not: asserted on events, with hand-written tables of functions.

#![allow(clippy::needless_borrow, reason = "the number of `&` chooses the implementation")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Dependency, Graph, Literals, Node, NodeKind};
use brooklet_graph::wire::Event;
use polars::prelude::*;

use super::{CommitError, Driver, Report, Request};
use crate::glue::Table;

mod caching;
mod kept;

mod functions {
    use super::*;

    pub struct Model(pub i64);

    pub fn total(a: i64) -> i64 {
        a + 1
    }
    pub fn report(total: &i64) -> String {
        format!("{total}")
    }
    pub fn scaled(spend: &Series, factor: Option<&f64>) -> PolarsResult<Series> {
        Ok(spend.cast(&DataType::Float64)? * *factor.unwrap_or(&1.0))
    }
    pub fn mean(spend: &Series) -> f64 {
        spend.mean().unwrap_or(f64::NAN)
    }
    pub fn fails(a: i64) -> Result<i64, String> {
        if a < 0 { Err("negative".to_owned()) } else { Ok(a) }
    }
    pub fn panics(a: i64) -> i64 {
        let list: Vec<i64> = Vec::new();
        list[a as usize]
    }
    pub fn both(fails: i64, panics: i64) -> i64 {
        fails + panics
    }
    pub fn model(a: i64) -> Model {
        Model(a)
    }
    pub fn predict(model: &Model) -> i64 {
        model.0
    }
    pub fn plan(spend: &Series) -> LazyFrame {
        spend.clone().into_frame().lazy()
    }
    pub fn rows(plan: LazyFrame) -> PolarsResult<usize> {
        Ok(plan.collect()?.height())
    }
    pub fn wants_text(total: &str) -> usize {
        total.len()
    }
    pub fn slow(a: i64) -> i64 {
        MEETING.fetch_add(1, Ordering::SeqCst);
        let start = Instant::now();
        while MEETING.load(Ordering::SeqCst) < 2 && start.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        a
    }
    pub fn slower(a: i64) -> i64 {
        slow(a)
    }
    pub fn meet(slow: i64, slower: i64) -> i64 {
        slow + slower
    }
    pub fn recurse(a: i64) -> i64 {
        let large = [a; 1000];
        if a == 0 { 0 } else { std::hint::black_box(&large)[999].min(1) + recurse(a - 1) }
    }
    pub fn lines(location: &Path) -> Result<usize, String> {
        Ok(std::fs::read_to_string(location).map_err(|it| it.to_string())?.lines().count())
    }
    pub fn place(a: i64) -> String {
        format!("data-{a}.txt")
    }
    pub fn lines_there(place: &str) -> usize {
        std::fs::read_to_string(place).map_or(0, |it| it.lines().count())
    }
    pub fn table(a: i64) -> PolarsResult<DataFrame> {
        df!["fixed" => [1i64, 2], "moves" => [a, a]]
    }
    pub fn height(table: &DataFrame) -> usize {
        table.height()
    }
    pub static MEETING: AtomicUsize = AtomicUsize::new(0);
}

macro_rules! table {
    ($($function:ident $returns:ident $arity:literal [$($parameter:ident $at:tt),*];)*) => {{
        use crate::glue::*;
        let mut table = Table::new();
        $(
            fn $function(s: &Slots<'_>) -> Outcome {
                let f = super::tests::functions::$function;
                let slots = ($((&&&&$parameter(f)).arg(s, $at),)*);
                let r = (&&&&&$returns(f)).ret(s);
                s.ready()?;
                table!(@call r f slots $($at)*)
            }
            table.add(concat!("t::", stringify!($function)), $arity, $function);
        )*
        table
    }};
    (@call $r:ident $f:ident $slots:ident 0) => { $r.finish($f($slots.0.take()?)) };
    (@call $r:ident $f:ident $slots:ident 0 1) => { $r.finish($f($slots.0.take()?, $slots.1.take()?)) };
}

fn table() -> Table {
    table! {
        total r1 1 [p1_0 0];
        report r1 1 [p1_0 0];
        scaled r2 2 [p2_0 0, p2_1 1];
        mean r1 1 [p1_0 0];
        fails r1 1 [p1_0 0];
        panics r1 1 [p1_0 0];
        both r2 2 [p2_0 0, p2_1 1];
        model r1 1 [p1_0 0];
        predict r1 1 [p1_0 0];
        plan r1 1 [p1_0 0];
        rows r1 1 [p1_0 0];
        wants_text r1 1 [p1_0 0];
        slow r1 1 [p1_0 0];
        slower r1 1 [p1_0 0];
        meet r2 2 [p2_0 0, p2_1 1];
        recurse r1 1 [p1_0 0];
        lines r1 1 [p1_0 0];
        place r1 1 [p1_0 0];
        lines_there r1 1 [p1_0 0];
        table r1 1 [p1_0 0];
        height r1 1 [p1_0 0];
    }
}

fn node(name: &str, kind: NodeKind, function: &str, fingerprint: &str, takes: &[&str]) -> Node {
    let dependencies = takes
        .iter()
        .enumerate()
        .map(|(parameter, it)| Dependency {
            name: it.trim_end_matches('?').to_owned(),
            parameter,
            optional: it.ends_with('?'),
            ty: String::new(),
            ..Dependency::default()
        })
        .collect();
    Node {
        name: name.to_owned(),
        kind,
        ty: String::new(),
        file: String::new(),
        line: 0,
        doc: String::new(),
        tags: BTreeMap::new(),
        dependencies,
        fingerprint: fingerprint.to_owned(),
        function: function.to_owned(),
        origin: function.to_owned(),
        ..Node::default()
    }
}

/// `("total", "v1", &["a"])`: node, fingerprint, parameters. Names without a function are inputs.
fn graph(nodes: &[(&str, &str, &[&str])]) -> Graph {
    let mut graph = Graph::default();
    for (_, _, takes) in nodes {
        for name in takes.iter().map(|it| it.trim_end_matches('?')) {
            if nodes.iter().all(|(other, ..)| *other != name) {
                graph.nodes.insert(name.to_owned(), node(name, NodeKind::Input, "", "", &[]));
            }
        }
    }
    for (name, fingerprint, takes) in nodes {
        let function = format!("t::{name}");
        let fingerprint = format!("{name} {fingerprint}");
        graph.nodes.insert(name.to_string(), node(name, NodeKind::Transform, &function, &fingerprint, takes));
    }
    graph
}

fn literals(pairs: &[(&str, &str)]) -> Literals {
    pairs.iter().map(|(name, raw)| (name.to_string(), raw.to_string())).collect()
}

/// Runs and tells the events as short words: `+x` ran, `=x` ran to the same value, `.x` reused, `<x` given,
/// `!x` failed, `-x` skipped.
fn run(driver: &mut Driver, targets: &[&str], inputs: &[(&str, &str)]) -> (String, Report) {
    run_with(driver, targets, inputs, &[])
}

fn run_with(
    driver: &mut Driver,
    targets: &[&str],
    inputs: &[(&str, &str)],
    overrides: &[(&str, &str)],
) -> (String, Report) {
    let request = Request {
        targets: targets.iter().map(ToString::to_string).collect(),
        inputs: literals(inputs),
        overrides: literals(overrides),
        ..Request::default()
    };
    execute(driver, &request)
}

fn execute(driver: &mut Driver, request: &Request) -> (String, Report) {
    let mut words = Vec::new();
    let report = driver.execute(request, &mut |event| match event {
        Event::DidRun { node, changed: true, .. } => words.push(format!("+{node}")),
        Event::DidRun { node, changed: false, .. } => words.push(format!("={node}")),
        Event::DidReuse { node, .. } => words.push(format!(".{node}")),
        Event::DidTake { node, .. } => words.push(format!("<{node}")),
        Event::DidFail { node, .. } => words.push(format!("!{node}")),
        Event::DidSkip { node, because } => words.push(format!("-{node}({because})")),
        Event::WillPlan { .. } | Event::WillRun { .. } | Event::DidWarn { .. } => {}
    });
    (words.join(" "), report)
}

fn driver(nodes: &[(&str, &str, &[&str])]) -> Driver {
    let mut driver = Driver::new();
    driver.commit(graph(nodes), &table().functions, "types").unwrap();
    driver
}

fn commit(driver: &mut Driver, nodes: &[(&str, &str, &[&str])]) {
    driver.commit(graph(nodes), &table().functions, "types").unwrap();
}

/// Why a node ran, as somebody says it who has no sources.
fn why(driver: &Driver, node: &str) -> String {
    driver.why(node).text(|_, _| "its code changed".to_owned())
}

const TOTAL: &[(&str, &str, &[&str])] = &[("total", "v1", &["a"]), ("report", "v1", &["total"])];

#[test]
fn nothing_runs_twice() {
    let mut driver = driver(TOTAL);
    let (events, report) = run(&mut driver, &["report"], &[("a", "1")]);
    assert_eq!(events, "<a +total +report");
    assert_eq!(report.values[0].1.get(), Some(&"2".to_owned()));
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a .total .report");
    assert_eq!(run(&mut driver, &["report"], &[("a", "2")]).0, "<a +total +report");
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a .total .report");
    assert_eq!(run(&mut driver, &["a"], &[("a", "1")]).0, "<a");
}

#[test]
fn an_edit_that_does_not_change_the_output_stops_there() {
    let mut driver = driver(TOTAL);
    run(&mut driver, &["report"], &[("a", "1")]);
    commit(&mut driver, &[("total", "v2", &["a"]), ("report", "v1", &["total"])]);
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a =total .report");
    assert_eq!(
        why(&driver, "total"),
        "`total` ran because its code changed. Its value came out the same, so what depends on it is not stale."
    );
    assert_eq!(
        why(&driver, "report"),
        "`report` was reused: its code and the value of `total` are the same as when it ran."
    );
}

#[test]
fn an_undone_edit_runs_nothing_however_long_ago_it_was() {
    let v = |version: &'static str| -> Vec<(&'static str, &'static str, &'static [&'static str])> {
        vec![("total", version, &["a"])]
    };
    let mut driver = driver(&v("v1"));
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a +total");
    commit(&mut driver, &v("v2"));
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a =total");
    commit(&mut driver, &v("v3"));
    commit(&mut driver, &v("v3")); // the same graph again is no revision
    commit(&mut driver, &v("v1"));
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a .total");
    commit(&mut driver, &v("v4"));
    commit(&mut driver, &v("v5"));
    commit(&mut driver, &v("v6"));
    commit(&mut driver, &v("v1"));
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a .total");
}

#[test]
fn a_node_that_did_not_change_keeps_its_value_over_many_revisions() {
    let mut driver = driver(TOTAL);
    run(&mut driver, &["total"], &[("a", "1")]);
    for version in ["2", "3", "4", "5", "6"] {
        commit(&mut driver, &[("total", "v1", &["a"]), ("report", version, &["total"])]);
    }
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a .total +report");
}

#[test]
fn only_what_is_needed_runs() {
    let mut driver =
        driver(&[("total", "v1", &["a"]), ("report", "v1", &["total"]), ("mean", "v1", &["spend"])]);
    let (events, report) = run(&mut driver, &["mean"], &[("spend", "[1, 2]"), ("unknown", "3")]);
    assert_eq!(events, "<spend +mean");
    assert_eq!(report.unused_inputs, ["unknown"]);
}

#[test]
fn missing_inputs_and_unknown_targets_are_told_together() {
    let mut driver = driver(&[("total", "v1", &["a"]), ("fails", "v1", &["a"]), ("mean", "v1", &["spend"])]);
    let (events, report) = run(&mut driver, &["fails", "total", "gone", "mean"], &[("spend", "3")]);
    // Nothing ran, and what is missing is told of every node that would have needed it.
    assert_eq!(events, "!a !spend -total(a) -fails(a) -mean(spend)");
    let told: Vec<_> = report.failures.iter().map(|it| (it.kind.as_str(), it.node.as_str())).collect();
    assert_eq!(told, [("unknown-target", "gone"), ("missing-input", "a"), ("bad-literal", "spend")]);
    assert_eq!(report.failures[1].message, "`a` has no value; needed by `total`, `fails`");
    let check = Request { targets: vec!["total".into()], ..Request::default() };
    assert_eq!(driver.check(&check).len(), 1);
}

#[test]
fn optional_inputs_may_be_absent() {
    let mut driver = driver(&[("scaled", "v1", &["spend", "factor?"])]);
    let (events, report) = run(&mut driver, &["scaled"], &[("spend", "[1, 2]")]);
    assert_eq!(events, "<spend +scaled");
    assert_eq!(report.values[0].1.json().unwrap().to_string(), "[1.0,2.0]");
    assert_eq!(
        run(&mut driver, &["scaled"], &[("spend", "[1, 2]"), ("factor", "2")]).0,
        "<spend <factor +scaled"
    );
    assert_eq!(why(&driver, "scaled"), "`scaled` ran because the input `factor` was given.");
    assert_eq!(run(&mut driver, &["scaled"], &[("spend", "[1, 2]")]).0, "<spend .scaled");
}

#[test]
fn a_failure_is_told_once_and_the_rest_goes_on() {
    let nodes: &[(&str, &str, &[&str])] = &[
        ("fails", "v1", &["a"]),
        ("panics", "v1", &["a"]),
        ("both", "v1", &["fails", "panics"]),
        ("total", "v1", &["b"]),
        ("report", "v1", &["total"]),
    ];
    let mut driver = driver(nodes);
    let (events, report) = run(&mut driver, &["both", "report"], &[("a", "-1"), ("b", "1")]);
    let mut words: Vec<_> = events.split(' ').collect();
    words.sort_unstable();
    assert_eq!(words, ["!fails", "!panics", "+report", "+total", "-both(fails)", "<a", "<b"]);
    assert_eq!(report.values.len(), 1);
    let mut failures = report.failures;
    failures.sort_by(|a, b| a.node.cmp(&b.node));
    assert_eq!((failures[0].kind.as_str(), failures[0].message.as_str()), ("Error", "negative"));
    assert_eq!(failures[1].kind, "Panic");
    assert!(failures[1].message.contains("index out of bounds"));
    assert!(failures[1].chain[0].contains("driver/tests.rs:"), "{:?}", failures[1].chain);
    assert_eq!(
        why(&driver, "fails"),
        "`fails` ran and failed; a failure is not kept, so it runs again each time."
    );
    assert_eq!(run(&mut driver, &["fails"], &[("a", "1")]).0, "<a +fails");
    assert_eq!(why(&driver, "fails"), "`fails` ran because the input `a` changed.");
}

#[test]
fn overrides_take_the_place_of_nodes() {
    let mut driver = driver(TOTAL);
    let (events, report) = run_with(&mut driver, &["report"], &[], &[("total", "41")]);
    assert_eq!(events, "<total +report");
    assert_eq!(report.values[0].1.get(), Some(&"41".to_owned()));
    assert_eq!(run_with(&mut driver, &["report"], &[("a", "40")], &[]).0, "<a =total .report");
    let (_, report) = run_with(&mut driver, &["report"], &[], &[("gone", "1")]);
    assert!(report.failures.iter().any(|it| it.message.contains("`gone` to override")));
}

#[test]
fn edges_that_do_not_fit_are_refused_all_at_once() {
    let mut driver = driver(TOTAL);
    let nodes: &[(&str, &str, &[&str])] = &[
        ("total", "v1", &["a"]),
        ("wants_text", "v1", &["total"]),
        ("mean", "v1", &["total"]),
        ("predict", "v1", &["a"]),
        ("model", "v1", &["a"]),
    ];
    let error = driver.commit(graph(nodes), &table().functions, "types").unwrap_err();
    let CommitError::Edges(mismatches) = error else { panic!("{error:?}") };
    let told: Vec<_> = mismatches
        .iter()
        .map(|it| {
            (
                it.from.as_str(),
                it.to.as_str(),
                it.expected.as_str(),
                it.found.as_str(),
                it.other_consumer.clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("a", "predict", "Model", "i64", Some(("total".to_owned(), 0))),
            ("total", "wants_text", "String", "i64", None),
            ("total", "mean", "Series", "i64", None),
        ]
    );
    // The graph before is still in force.
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a +total +report");
    let missing = driver.commit(graph(&[("gone", "v1", &[])]), &table().functions, "types").unwrap_err();
    assert_eq!(missing, CommitError::MissingFunctions(vec!["gone".to_owned()]));
}

#[test]
fn values_of_user_types_are_dropped_when_types_may_have_changed() {
    let nodes: &[(&str, &str, &[&str])] = &[("model", "v1", &["a"]), ("predict", "v1", &["model"])];
    let mut driver = driver(nodes);
    run(&mut driver, &["predict"], &[("a", "1")]);
    assert!(driver.commit(graph(nodes), &table().functions, "types").unwrap().dropped.is_empty());
    assert_eq!(run(&mut driver, &["predict"], &[("a", "1")]).0, "<a .model .predict");
    let commit = driver.commit(graph(nodes), &table().functions, "others").unwrap();
    assert_eq!(commit.dropped, ["model"]);
    assert_eq!(commit.types["model"], "Model");
    assert_eq!(run(&mut driver, &["predict"], &[("a", "1")]).0, "<a =model .predict");
    assert_eq!(
        why(&driver, "model"),
        "`model` ran because its value was no longer kept. Its value came out the same, so what depends on it is not stale."
    );
}

#[test]
fn a_lazy_frame_is_known_by_its_key() {
    let mut driver = driver(&[("plan", "v1", &["spend"]), ("rows", "v1", &["plan"])]);
    let (events, report) = run(&mut driver, &["rows"], &[("spend", "[1, 2]")]);
    assert_eq!(events, "<spend +plan +rows");
    assert_eq!(report.values[0].1.get(), Some(&2usize));
    assert_eq!(run(&mut driver, &["rows"], &[("spend", "[1, 2]")]).0, "<spend .plan .rows");
    commit(&mut driver, &[("plan", "v2", &["spend"]), ("rows", "v1", &["plan"])]);
    assert_eq!(run(&mut driver, &["rows"], &[("spend", "[1, 2]")]).0, "<spend +plan =rows");
}

#[test]
fn ready_steps_run_at_the_same_time() {
    let nodes: &[(&str, &str, &[&str])] =
        &[("slow", "v1", &["a"]), ("slower", "v1", &["a"]), ("meet", "v1", &["slow", "slower"])];
    let mut driver = driver(nodes);
    let start = Instant::now();
    let (_, report) = run(&mut driver, &["meet"], &[("a", "1")]);
    assert_eq!(report.values[0].1.get(), Some(&2i64));
    assert!(start.elapsed() < Duration::from_secs(15), "the steps waited for each other");
}

#[test]
fn an_interrupt_ends_the_run_before_the_next_step() {
    let mut driver = driver(TOTAL);
    let flag = driver.interrupt_flag();
    let request =
        Request { targets: vec!["report".into()], inputs: literals(&[("a", "1")]), ..Request::default() };
    let mut words = Vec::new();
    let report = driver.execute(&request, &mut |event| match event {
        Event::DidRun { node, .. } => {
            flag.store(true, Ordering::Relaxed);
            words.push(node);
        }
        Event::DidSkip { node, because } => words.push(format!("{node} {because}")),
        _ => {}
    });
    assert!(report.interrupted && report.values.is_empty());
    assert_eq!(words, ["total", "report interrupted"]);
    flag.store(false, Ordering::Relaxed);
    assert_eq!(run(&mut driver, &["report"], &[("a", "1")]).0, "<a .total +report");
}

#[test]
fn a_file_is_read_again_when_it_changes() {
    let path = std::env::temp_dir().join(format!("brooklet-driver-{}.csv", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let mut driver = driver(&[("plan", "v1", &["spend"])]);
    // `rows` takes a lazy frame: as an input it is a file.
    commit(&mut driver, &[("rows", "v1", &["plan"])]);
    let raw = path.display().to_string();
    write("a\n1\n");
    assert_eq!(run(&mut driver, &["rows"], &[("plan", &raw)]).0, "<plan +rows");
    assert_eq!(run(&mut driver, &["rows"], &[("plan", &raw)]).0, "<plan .rows");
    write("a\n1\n2\n");
    assert_eq!(run(&mut driver, &["rows"], &[("plan", &raw)]).0, "<plan +rows");
    std::fs::remove_file(&path).unwrap();
    let (_, report) = run(&mut driver, &["rows"], &[("plan", &raw)]);
    assert!(report.failures[0].message.contains("there is no file"), "{}", report.failures[0].message);
}

#[test]
fn the_same_code_in_another_module_is_other_code() {
    let mut one = graph(&[("total", "same", &["a"])]);
    let mut driver = Driver::new();
    driver.commit(one.clone(), &table().functions, "").unwrap();
    run(&mut driver, &["total"], &[("a", "1")]);
    let mut functions = table().functions;
    functions.iter_mut().find(|it| it.path == "t::total").unwrap().path = "other::total";
    one.nodes["total"].function = "other::total".to_owned();
    one.nodes["total"].origin = "other::total".to_owned();
    driver.commit(one, &functions, "").unwrap();
    assert_eq!(run(&mut driver, &["total"], &[("a", "1")]).0, "<a =total");
}

#[test]
fn a_long_chain_costs_little_per_node() {
    const LENGTH: usize = 5_000;
    let mut graph = Graph::default();
    graph.nodes.insert("n0".to_owned(), node("n0", NodeKind::Input, "", "", &[]));
    for at in 1..=LENGTH {
        let name = format!("n{at}");
        let before = format!("n{}", at - 1);
        graph.nodes.insert(name.clone(), node(&name, NodeKind::Transform, "t::total", "v", &[&before]));
    }
    let mut driver = Driver::new();
    driver.commit(graph, &table().functions, "").unwrap();
    let request = Request {
        targets: vec![format!("n{LENGTH}")],
        inputs: literals(&[("n0", "0")]),
        ..Request::default()
    };
    for what in ["ran", "reused"] {
        let start = Instant::now();
        let report = driver.execute(&request, &mut |_| {});
        let per_node = start.elapsed().as_secs_f64() * 1e6 / LENGTH as f64;
        println!("{what}: {per_node:.2} µs per node");
        assert_eq!(report.values[0].1.get(), Some(&(LENGTH as i64)));
    }
}

#[test]
fn deep_recursion_fits_on_a_step_thread() {
    // Two ready steps go to the pool, whose stack is larger than a test's.
    let nodes: &[(&str, &str, &[&str])] = &[("recurse", "v1", &["a"]), ("total", "v1", &["a"])];
    let mut driver = driver(nodes);
    let (_, report) = run(&mut driver, &["recurse", "total"], &[("a", "500")]);
    assert_eq!(report.values.len(), 2);
}

#[test]
fn why_tells_the_last_time_not_the_time_before() {
    let mut driver = driver(TOTAL);
    assert_eq!(why(&driver, "total"), "`total` has not been run yet.");
    assert_eq!(why(&driver, "a"), "`a` is an input; no run has taken its value yet.");
    assert_eq!(why(&driver, "gone"), "There is no node `gone`.");
    run(&mut driver, &["report"], &[("a", "1")]);
    assert_eq!(why(&driver, "total"), "`total` ran because there was no value for it yet.");
    run(&mut driver, &["report"], &[("a", "2")]);
    assert_eq!(why(&driver, "total"), "`total` ran because the input `a` changed.");
    assert_eq!(why(&driver, "report"), "`report` ran because the value of `total` changed.");
    run(&mut driver, &["report"], &[("a", "2")]);
    assert_eq!(
        why(&driver, "total"),
        "`total` was reused: its code and the value of `a` are the same as when it ran."
    );
    run(&mut driver, &["report"], &[("a", "1")]);
    assert_eq!(
        why(&driver, "total"),
        "`total` was reused: since the last run the input `a` changed; now its code and the value of `a` are what they were in an \
         earlier run."
    );
    assert_eq!(why(&driver, "a"), "`a` was given: its value comes from an input or an override.");
    commit(&mut driver, &[("total", "v2", &["a"]), ("report", "v1", &["total"])]);
    assert!(
        why(&driver, "total").ends_with("Its code has changed since; it will run when it is next needed.")
    );
}

//! What the driver adds to each node: a chain of 5,000 functions that add one, as values and not as work.
//!
//! `cargo bench -p brooklet --bench chain` prints the median time per node of a run in which every node runs
//! (each run gives the chain another input), and of one in which every node is reused; then the same with a store.
#![expect(clippy::needless_borrow, reason = "the borrows choose between traits, as in generated shims")]

use std::time::Instant;

use brooklet::driver::{Driver, Request};
use brooklet::glue::*;
use brooklet_graph::graph::{Dependency, Graph, Node, NodeKind};

const NODES: usize = 5_000;
const RUNS: usize = 31;

fn add_one(value: i64) -> i64 {
    value + 1
}

fn shim(s: &Slots<'_>) -> Outcome {
    let f = add_one;
    let a0 = (&&&&p1_0(f)).arg(s, 0);
    let r = (&&&&&r1(f)).ret(s);
    s.ready()?;
    r.finish(f(a0.take()?))
}

fn main() {
    let mut table = Table::new();
    table.add("chain::add_one", 1, shim);
    println!("chain of {NODES} nodes, median of {RUNS} runs");
    let mut driver = Driver::new();
    driver.commit(chain(), &table.functions, "").expect("the chain fits");
    measure("per node", &mut driver);
    let directory = tempfile::tempdir().expect("a directory");
    let mut driver = Driver::new();
    driver.open_store(directory.path(), "bench").expect("a store");
    driver.commit(chain(), &table.functions, "").expect("the chain fits");
    measure("with a store on the disk", &mut driver);
}

fn measure(what: &str, driver: &mut Driver) {
    let target = name(NODES);
    let mut run = |start: usize| {
        let mut request = Request { targets: vec![target.clone()], ..Request::default() };
        request.inputs.insert(name(0), start.to_string());
        let mut events = 0;
        let before = Instant::now();
        let report = driver.execute(&request, &mut |_| events += 1);
        let time = before.elapsed();
        assert_eq!(report.values[0].1.get::<i64>(), Some(&((start + NODES) as i64)));
        assert!(events >= NODES);
        time.as_secs_f64() * 1e6 / NODES as f64
    };
    let fresh = median((0..RUNS).map(&mut run).collect());
    let reused = median((0..RUNS).map(|_| run(RUNS - 1)).collect());
    println!("{what}: {fresh:.2} µs when it runs, {reused:.2} µs when it is reused");
}

fn name(index: usize) -> String {
    format!("n{index}")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// An input and `NODES` transforms, each with a fingerprint of its own.
fn chain() -> Graph {
    let mut graph = Graph::default();
    for index in 0..=NODES {
        let is_input = index == 0;
        let dependency = Dependency {
            name: name(index.saturating_sub(1)),
            parameter: 0,
            optional: false,
            ty: "i64".to_owned(),
            ..Dependency::default()
        };
        let node = Node {
            name: name(index),
            kind: if is_input { NodeKind::Input } else { NodeKind::Transform },
            ty: "i64".to_owned(),
            file: String::new(),
            line: 0,
            doc: String::new(),
            tags: Default::default(),
            dependencies: if is_input { Vec::new() } else { vec![dependency] },
            fingerprint: if is_input { String::new() } else { format!("{index:016x}") },
            function: if is_input { String::new() } else { "chain::add_one".to_owned() },
            ..Node::default()
        };
        graph.nodes.insert(node.name.clone(), node);
    }
    graph
}

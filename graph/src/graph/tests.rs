//! From source text to graph, and questions to it.

use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::{Diagnostic, render};
use crate::parse::parse;
use crate::source::{SourceFile, Sources};

fn built(texts: &[&str], allow_overrides: bool) -> (Graph, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let name = ["a", "b", "c"][index];
        let path = format!("{name}.rs");
        sources.push(SourceFile { absolute: format!("/t/{path}"), path, text: (*text).to_owned() });
        modules.push(vec![name.to_owned()]);
    }
    let parsed = parse(&sources, &modules);
    assert_eq!(parsed.diagnostics, []);
    let (graph, diagnostics) =
        build(&parsed.files, &sources, &Options { allow_overrides, ..Options::default() });
    (graph, diagnostics, sources)
}

#[track_caller]
fn graph(text: &str) -> Graph {
    let (graph, diagnostics, sources) = built(&[text], false);
    assert!(diagnostics.is_empty(), "{}", render(&diagnostics, &sources, false));
    graph
}

fn problems(texts: &[&str]) -> String {
    let (_, diagnostics, sources) = built(texts, false);
    render(&diagnostics, &sources, false)
}

fn order(graph: &Graph) -> String {
    graph.nodes.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

const MARKETING: &str = "
use brooklet::prelude::*;
/// Rolling mean.
pub fn avg(spend: &Series) -> PolarsResult<Series> { rolling(spend, 3) }
pub fn per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> { spend / signups }
pub fn report(avg: &Series, scale: Option<&f64>, per_signup: &Series) -> String { x }
pub fn mean(_spend: &Series) -> f64 { 1.0 }
fn rolling(s: &Series, n: usize) -> PolarsResult<Series> { x }
";

#[test]
fn names_are_edges_and_unknown_names_are_inputs() {
    let graph = graph(MARKETING);
    assert_eq!(order(&graph), "spend avg signups per_signup scale report mean");
    let avg = &graph.nodes["avg"];
    assert_eq!((avg.kind, avg.ty.as_str(), avg.line), (NodeKind::Transform, "Series", 4));
    assert_eq!(
        (avg.doc.as_str(), avg.file.as_str(), avg.function.as_str()),
        ("Rolling mean.", "a.rs", "a::avg")
    );
    let spend = &graph.nodes["spend"];
    assert_eq!((spend.kind, spend.ty.as_str(), spend.file.as_str()), (NodeKind::Input, "Series", ""));
    assert_eq!(graph.nodes["scale"].ty, "f64");
    let optional: Vec<bool> = graph.nodes["report"].dependencies.iter().map(|it| it.optional).collect();
    assert_eq!(optional, [false, true, false]);
    assert_eq!(graph.nodes["mean"].dependencies[0].name, "spend");
}

#[test]
fn walks() {
    let graph = graph(MARKETING);
    assert_eq!(graph.upstream_of(&["report"]).join(" "), "spend avg signups per_signup scale report");
    assert_eq!(graph.upstream_of(&["avg", "nothing"]).join(" "), "spend avg");
    assert_eq!(graph.downstream_of(&["signups"]).join(" "), "signups per_signup report");
    assert_eq!(graph.path_between("spend", "report").join(" "), "spend avg per_signup report");
    assert_eq!(graph.path_between("report", "spend").join(" "), "");
    assert_eq!(graph.dependents("spend").join(" "), "avg mean per_signup");
    let (required, optional) = graph.required_inputs(&["report"]);
    assert_eq!((required.join(" "), optional.join(" ")), ("spend signups".to_owned(), "scale".to_owned()));
    assert_eq!(graph.required_inputs(&["scale"]).0, ["scale"]);
}

#[test]
fn the_order_is_topological_and_ties_keep_the_declaration() {
    let graph = graph(
        "pub fn c(b: i64) -> i64 { 1 } pub fn z() -> i64 { 1 } pub fn b(a: i64) -> i64 { 1 } pub fn a() -> i64 { 1 }",
    );
    assert_eq!(order(&graph), "z a b c");
}

#[test]
fn types_are_shown_without_their_wrapping() {
    let graph = graph(
        "pub fn a(x: &'static str, y: Option<&Vec<u8>>) -> Result<Vec<(i64, f64)>, std::io::Error> { 1 }\n\
         pub fn b() -> polars::PolarsResult<HashMap<String, f64>> { 1 }\n\
         pub fn c() -> Option<i64> { 1 } pub fn d() { } pub fn e() -> Box<dyn Fn(f64) -> Result<f64, E> + Send> { 1 }",
    );
    let ty = |name: &str| graph.nodes[name].ty.as_str();
    assert_eq!(
        [ty("a"), ty("b"), ty("c"), ty("d")],
        ["Vec<(i64, f64)>", "HashMap<String, f64>", "Option<i64>", "()"]
    );
    assert_eq!([ty("e"), ty("x"), ty("y")], ["Box<dyn Fn(f64) -> Result<f64, E> + Send>", "str", "Vec<u8>"]);
}

#[test]
fn a_name_defined_twice() {
    insta::assert_snapshot!(problems(&["pub fn a() -> i64 { 1 }\n\npub fn a() -> f64 { 1.0 }", "pub fn a() {}"]), @"
        error[duplicate-node]: two functions make the node `a`
           ╭─[ a.rs:3:8 ]
           │
         1 │ pub fn a() -> i64 { 1 }
           │        ┬
           │        ╰── first defined here
           │
         3 │ pub fn a() -> f64 { 1.0 }
           │        ┬
           │        ╰── defined again here
        ───╯
        hint: rename one of them

        error[duplicate-node]: two functions make the node `a`
           ╭─[ b.rs:1:8 ]
           │
         1 │ pub fn a() {}
           │        ┬
           │        ╰── defined again here
           │
           ├─[ a.rs:1:8 ]
           │
         1 │ pub fn a() -> i64 { 1 }
           │        ┬
           │        ╰── first defined here
        ───╯
        hint: rename one of them, or let the later file win with `%watch --allow-overrides`
        ");
}

#[test]
fn a_later_file_may_override() {
    let (graph, diagnostics, _) = built(
        &["pub fn a() -> i64 { 1 } pub fn b(a: i64) -> i64 { a }", "pub fn a(x: f64) -> f64 { x }"],
        true,
    );
    assert_eq!(diagnostics, []);
    assert_eq!(graph.nodes["a"].function, "b::a");
    assert_eq!(order(&graph), "x a b");
    let (_, diagnostics, _) = built(&["pub fn a() {} pub fn a() {}"], true);
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn a_node_that_needs_itself() {
    insta::assert_snapshot!(problems(&["pub fn total(total: i64) -> i64 { total }"]), @"
        error[self-dependency]: `total` needs itself
           ╭─[ a.rs:1:14 ]
           │
         1 │ pub fn total(total: i64) -> i64 { total }
           │        ┬──── ┬────
           │        │     ╰────── this parameter names its own node
           │        │
           │        ╰──────────── `total` is defined here
        ───╯
        hint: name the node or input that it takes, or rename the function
        ");
}

#[test]
fn a_loop_is_named_whole() {
    insta::assert_snapshot!(problems(&["pub fn a(c: i64) -> i64 { c }\npub fn b(a: i64, x: i64) -> i64 { a }", "pub fn c(b: i64) -> i64 { b }"]), @"
        error[cycle]: nodes need each other: `a` -> `b` -> `c` -> `a`
           ╭─[ a.rs:1:10 ]
           │
         1 │ pub fn a(c: i64) -> i64 { c }
           │          ┬
           │          ╰── `a` needs `c`
         2 │ pub fn b(a: i64, x: i64) -> i64 { a }
           │          ┬
           │          ╰── `b` needs `a`
           │
           ├─[ b.rs:1:10 ]
           │
         1 │ pub fn c(b: i64) -> i64 { b }
           │          ┬
           │          ╰── `c` needs `b`
        ───╯
        hint: let a parameter, or a `source(..)`, name an input instead, or split a function in two
        ");
}

#[test]
fn all_problems_at_once_and_the_rest_stands() {
    let text = "pub fn a(b: i64) {} pub fn b(a: i64) {} pub fn c(c: i64) {} pub fn d(a: i64) {} pub fn e(x: i64) {} pub fn e() {}
        pub fn f(g: i64, h: i64) {} pub fn g(f: i64) {} pub fn h(f: i64) {} pub fn i(e: i64) {}";
    let (graph, diagnostics, _) = built(&[text], false);
    let codes: Vec<&str> = diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["cycle", "self-dependency", "duplicate-node", "cycle"]);
    assert!(diagnostics[3].message.contains("`f` -> `g` -> `f`"), "{}", diagnostics[3].message);
    assert!(diagnostics[3].hints[0].contains("`h`"), "{:?}", diagnostics[3].hints);
    // What needs a faulty node is left out as well; nothing of it turns into an input.
    assert_eq!(order(&graph), "x e i");
}

#[test]
fn a_long_chain_is_no_trouble() {
    let text: String =
        (0..3000).rev().map(|it| format!("pub fn n{}(n{it}: i64) -> i64 {{ 1 }}\n", it + 1)).collect();
    let graph = graph(&text);
    assert_eq!(graph.upstream_of(&["n3000"]).len(), 3001);
    assert_eq!(graph.nodes.get_index(1).map(|it| it.0.as_str()), Some("n1"));
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

fn checked(targets: &[&str], inputs: &[&str], overrides: &[&str]) -> String {
    let (graph, _, sources) = built(&[MARKETING], false);
    let targets: Vec<String> = targets.iter().map(|it| (*it).to_owned()).collect();
    render(&check_targets(&graph, &targets, &set(inputs), &set(overrides)), &sources, false)
}

#[test]
fn targets_that_can_run() {
    assert_eq!(checked(&["avg", "mean"], &["spend"], &[]), "");
    assert_eq!(checked(&["report"], &["spend", "signups"], &[]), "");
    // What only an overridden node needs is not asked for.
    assert_eq!(checked(&["report"], &["spend"], &["per_signup"]), "");
    assert_eq!(checked(&["report"], &[], &["avg", "per_signup"]), "");
    assert_eq!(checked(&["spend"], &["spend"], &[]), "");
}

#[test]
fn targets_that_cannot_run() {
    insta::assert_snapshot!(checked(&["report", "avgg", "men", "qqqqqq"], &["signup"], &["no"]), @"
        error[unknown-target]: there is no node `avgg`
        hint: did you mean `avg`?

        error[unknown-target]: there is no node `men`
        hint: did you mean `mean`?

        error[unknown-target]: there is no node `qqqqqq`
        hint: `%nodes` lists all nodes

        error[unknown-target]: there is nothing to override: no node is named `no`
        hint: `%nodes` lists all nodes

        error[missing-input]: input `spend` has no value; needed by `avg`, `per_signup`
           ╭─[ a.rs:4:12 ]
           │
         4 │ pub fn avg(spend: &Series) -> PolarsResult<Series> { rolling(spend, 3) }
           │            ┬────
           │            ╰────── `avg` takes it as `&Series`
         5 │ pub fn per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> { spend / signups }
           │                   ┬────
           │                   ╰────── `per_signup` takes it as `&Series`
        ───╯
        hint: give it a value: `%input spend=..`

        error[missing-input]: input `signups` has no value; needed by `per_signup`
           ╭─[ a.rs:5:35 ]
           │
         5 │ pub fn per_signup(spend: &Series, signups: &Series) -> PolarsResult<Series> { spend / signups }
           │                                   ┬──────
           │                                   ╰──────── `per_signup` takes it as `&Series`
        ───╯
        hint: did you mean `signups` when you gave `signup`?
        hint: give it a value: `%input signups=..`
        ");
}

#[test]
fn names_that_are_near() {
    let near =
        |name: &str| similar(name, ["spend", "spend_mean", "signups", "avg", "x"].into_iter()).join(" ");
    assert_eq!(near("spned"), "spend");
    assert_eq!(near("Spend"), "spend");
    assert_eq!(near("spendmean"), "spend_mean");
    assert_eq!(near("signup"), "signups");
    assert_eq!(near("something_else"), "");
    assert_eq!(near(""), "x");
}

#[test]
fn what_changed() {
    let old = graph(
        "/// A.\npub fn a(x: i64) -> i64 { 1 }\n/// B.\npub fn b(a: i64) -> i64 { a }\npub fn c() -> i64 { 1 }\npub fn same() {}",
    );
    let new = graph(
        "pub fn same() {}\n/// A.\npub fn a(x: i64) -> i64 { 2 }\n/// Better.\npub fn b(a: i64) -> i64 { a }\npub fn d(y: i64) -> i64 { 1 }",
    );
    let change = diff(&old, &new);
    assert_eq!(change.added, ["y", "d"]);
    assert_eq!(change.changed, ["a"]);
    assert_eq!(change.removed, ["c"]);
    assert_eq!(change.docs_only, ["b"]);
    assert!(diff(&new, &new).is_empty());
    // Fed from elsewhere.
    let one = graph("pub fn a(x: i64) -> i64 { x }");
    let two = graph("pub fn a(y: i64) -> i64 { y }");
    assert_eq!(one.nodes["a"].fingerprint, two.nodes["a"].fingerprint);
    assert_eq!(diff(&one, &two).changed, ["a"]);
}

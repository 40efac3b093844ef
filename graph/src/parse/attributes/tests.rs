//! Attributes and what becomes of them: specs, nodes, diagnostics.

use crate::diagnostic::render;
use crate::graph::{Graph, Literals, NodeKind, Options, PartOf, Place, build, check_targets};
use crate::parse::parse;
use crate::source::{SourceFile, Sources};
use crate::spec::{Behaviour, Caching, StoredAs};

fn sources(texts: &[&str]) -> (Sources, Vec<Vec<String>>) {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for (file, text) in texts.iter().enumerate() {
        let path = format!("f{file}.rs");
        sources.push(SourceFile { absolute: format!("/t/{path}"), path, text: (*text).to_owned() });
        modules.push(vec![format!("f{file}")]);
    }
    (sources, modules)
}

fn config(pairs: &[(&str, &str)]) -> Literals {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The graph, and the problems as code and marked text.
fn graph_with(texts: &[&str], pairs: &[(&str, &str)]) -> (Graph, Vec<(String, String)>) {
    let (sources, modules) = sources(texts);
    let parsed = parse(&sources, &modules);
    let options = Options { config: config(pairs), ..Options::default() };
    let (graph, mut problems) = build(&parsed.files, &sources, &options);
    problems.extend(parsed.diagnostics);
    let marked = |it: &crate::diagnostic::Diagnostic| {
        it.labels.first().map_or("", |it| sources.text(it.span)).to_owned()
    };
    (graph, problems.iter().map(|it| (it.code.clone(), marked(it))).collect())
}

#[track_caller]
fn graph(text: &str) -> Graph {
    let (graph, problems) = graph_with(&[text], &[]);
    assert_eq!(problems, [], "{text}");
    graph
}

/// The one problem of a text: its code and what it points at.
#[track_caller]
fn refused(text: &str, code: &str, marked: &str) {
    let problems = graph_with(&[text], &[]).1;
    assert_eq!(problems, [(code.to_owned(), marked.to_owned())], "{text}");
}

/// The message and hints of the one problem of a text.
#[track_caller]
fn told(text: &str) -> String {
    let (sources, modules) = sources(&[text]);
    let problems = parse(&sources, &modules).diagnostics;
    assert_eq!(problems.len(), 1, "{problems:?}");
    let rendered = render(&problems, &sources, false);
    rendered
        .lines()
        .filter(|it| it.starts_with("error") || it.starts_with("hint"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A node's line: what goes into it, in order.
fn line(graph: &Graph, name: &str) -> String {
    let node = &graph.nodes[name];
    let mut takes: Vec<(usize, Place, String)> = Vec::new();
    for it in &node.dependencies {
        let default = it.default.as_ref().map_or(String::new(), |it| format!("={it}"));
        takes.push((
            it.parameter,
            it.place.clone(),
            format!("{}{}{default}", it.name, if it.optional { "?" } else { "" }),
        ));
    }
    takes.extend(
        node.fixed.iter().map(|it| (it.parameter, it.place.clone(), format!("{}={}", it.name, it.literal))),
    );
    takes.sort();
    let key = |place: &Place| match place {
        Place::Entry(_, key) => format!("{key}:"),
        _ => String::new(),
    };
    let takes: Vec<String> = takes.iter().map(|it| format!("{}{}", key(&it.1), it.2)).collect();
    let part = match &node.part {
        Some(PartOf::Column { column, fill }) => {
            format!("[{column}{}]", fill.as_ref().map_or(String::new(), |it| format!(" or {it}")))
        }
        Some(PartOf::Field(field)) => format!(".{field}"),
        None => String::new(),
    };
    format!("{name}({}){part}: {}", takes.join(", "), node.ty)
}

fn transforms(graph: &Graph) -> String {
    let mut names: Vec<&str> =
        graph.nodes.values().filter(|it| it.kind == NodeKind::Transform).map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn names_of_nodes() {
    let names = |text: &str| transforms(&graph(text));
    assert_eq!(names("#[node(name = \"rate\")] pub fn other() -> i64 { 1 }"), "rate");
    assert_eq!(names("pub fn rate__us() -> i64 { 1 } #[node(skip)] pub fn helper() {}"), "rate");
    assert_eq!(names("pub fn r#type() -> i64 { 1 } pub fn __x() {} pub fn a__b__c() {}"), "__x a__b type");
    assert_eq!(line(&graph("pub fn a(_b: i64, r#type: i64) {}"), "a"), "a(b, type): ()");
    refused("#[node(name = \"avg spend\")] pub fn a() {}", "bad-node-name", "\"avg spend\"");
    refused("#[node(nmae = \"x\")] pub fn a() {}", "unknown-attribute-key", "nmae");
    refused("#[node] pub fn a() {}", "attribute-syntax", "#[node]");
}

const VARIANTS: &str = "#[config(when(region = \"us\"))] pub fn rate__us() -> f64 { 1.0 }
    #[config(when_in(region = [\"uk\", \"ie\"]))] pub fn rate__uk() -> f64 { 2.0 }
    pub fn total(rate: f64) -> f64 { rate }";

#[test]
fn arguments_are_nested_so_deep_that_they_can_be_sent() {
    let nested = |depth: usize| {
        let (open, close) = ("all(when(b = 1), ".repeat(depth), ")".repeat(depth));
        format!("#[config({open}when(a = 1){close})] pub fn f() -> f64 {{ 1.0 }}")
    };
    refused(&nested(32), "attribute-syntax", "(");
    let (sources, modules) = sources(&[&nested(31)]);
    let parsed = parse(&sources, &modules);
    assert_eq!(parsed.diagnostics, []);
    let sent = serde_json::to_string(&parsed.files).expect("specs can be sent");
    let read: Vec<std::sync::Arc<crate::spec::FileSpec>> = serde_json::from_str(&sent).expect("and read");
    assert_eq!(read, parsed.files);
}

#[test]
fn a_variant_is_chosen_by_the_configuration() {
    for (region, function) in [("us", "f0::rate__us"), ("uk", "f0::rate__uk"), ("\"ie\"", "f0::rate__uk")] {
        let (graph, problems) = graph_with(&[VARIANTS], &[("region", region)]);
        assert_eq!((problems, graph.nodes["rate"].function.as_str()), (vec![], function));
    }
    let (graph, problems) = graph_with(&[VARIANTS], &[("region", "fr")]);
    assert_eq!(problems, []);
    assert_eq!(graph.nodes["rate"].kind, NodeKind::Input);
    let told =
        check_targets(&graph, &["total".to_owned()], &["region".to_owned()].into(), &Default::default());
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].code, "no-variant");
    assert_eq!(
        told[0].message,
        "no variant of `rate` matches region = \"fr\"; there are \"us\", \"uk\", \"ie\""
    );
    let graph = graph_with(&[VARIANTS], &[]).0;
    let told = check_targets(&graph, &["rate".to_owned()], &Default::default(), &Default::default());
    assert!(told[0].message.contains("region (not configured)"), "{}", told[0].message);
    assert!(told[0].hints[0].contains("`%config region=us`"), "{:?}", told[0].hints);
}

#[test]
fn otherwise_is_there_where_nothing_else_is() {
    let text = format!("{VARIANTS} #[config(otherwise)] pub fn rate__other() -> f64 {{ 0.0 }}");
    for (pairs, function) in [
        (&[("region", "us")][..], "f0::rate__us"),
        (&[("region", "fr")], "f0::rate__other"),
        (&[], "f0::rate__other"),
    ] {
        let (graph, problems) = graph_with(&[&text], pairs);
        assert_eq!((problems, graph.nodes["rate"].function.as_str()), (vec![], function));
    }
}

#[test]
fn all_conditions_must_hold_and_two_variants_are_one_too_many() {
    let text = "#[config(when(a = 1))] #[config(when(b = 2))] pub fn x__1() {}";
    assert_eq!(transforms(&graph_with(&[text], &[("a", "1"), ("b", "3")]).0), "");
    assert_eq!(transforms(&graph_with(&[text], &[("a", "1"), ("b", "2")]).0), "x");
    let text = "#[config(any(when(a = 1), not(when_not(b = 2))))] pub fn x__1() {}
        #[config(when_not_in(c = [5, 6]))] pub fn x__2() {}";
    assert_eq!(graph_with(&[text], &[("b", "2"), ("c", "5")]).1, []);
    let (graph, problems) = graph_with(&[text], &[("b", "2")]);
    assert_eq!(problems, [("ambiguous-variant".to_owned(), "x__2".to_owned())]);
    assert_eq!(transforms(&graph), "x");
}

#[test]
fn a_configured_name_replaces_the_node() {
    let (graph, problems) = graph_with(&[VARIANTS], &[("rate", "3.5")]);
    assert_eq!((problems, transforms(&graph)), (vec![], "total".to_owned()));
    assert_eq!(graph.nodes["rate"].kind, NodeKind::Input);
    assert!(graph.absent.is_empty());
}

#[test]
fn defaults_make_a_parameter_optional() {
    let graph = graph("#[defaults(window = 3, of = [1, 2.5], name = \"a\\\"b\", on = true, low = -1)]
        pub fn avg(spend: &Series, window: i64, of: Vec<f64>, name: &str, on: bool, low: i64) {} pub fn w(window: i64) {}");
    assert_eq!(
        line(&graph, "avg"),
        "avg(spend, window?=3, of?=[1, 2.5], name?=\"a\\\"b\", on?=true, low?=-1): ()"
    );
    let told = check_targets(
        &graph,
        &["avg".to_owned(), "w".to_owned()],
        &["spend".to_owned()].into(),
        &Default::default(),
    );
    assert_eq!(told[0].message, "input `window` has no value; needed by `w`");
    refused("#[defaults(windw = 3)] pub fn a(window: i64) {}", "unknown-parameter", "windw");
    refused("#[defaults(window = other)] pub fn a(window: i64) {}", "attribute-syntax", "other");
    refused("#[defaults(window = 3i64)] pub fn a(window: i64) {}", "attribute-syntax", "3i64");
    refused(
        "#[defaults(a = 1)] #[defaults(b = 1)] pub fn f(a: i64, b: i64) {}",
        "repeated-attribute",
        "#[defaults(b = 1)]",
    );
    refused("#[defaults(a = 1, a = 2)] pub fn f(a: i64) {}", "repeated-attribute", "a");
    refused("#[defaults(a = 1)] #[inject(a = value(2))] pub fn f(a: i64) {}", "conflicting-attributes", "1");
}

#[test]
fn parameterize_makes_a_node_of_each_entry() {
    let graph = graph(
        "/// {output_name} from {x}.
        #[parameterize(p1(x = value(1)), p2(x = value(2), doc = \"second\"), p3(x = source(base)))]
        pub fn p(x: i64, y: i64) -> i64 { x * 10 + y } pub fn base() -> i64 { 7 }",
    );
    assert_eq!(transforms(&graph), "base p1 p2 p3");
    assert_eq!(line(&graph, "p1"), "p1(x=1, y): i64");
    assert_eq!(line(&graph, "p3"), "p3(base, y): i64");
    let docs: Vec<&str> = ["p1", "p2", "p3"].iter().map(|it| graph.nodes[*it].doc.as_str()).collect();
    assert_eq!(docs, ["p1 from 1.", "second", "p3 from base."]);
    assert!(graph.nodes.values().filter(|it| it.name.starts_with('p')).all(|it| it.function == "f0::p"));
    refused("#[parameterize(a(zz = value(1)))] pub fn p(x: i64) {}", "unknown-parameter", "zz");
    refused("#[parameterize(a(x = 1))] pub fn p(x: i64) {}", "attribute-syntax", "1");
    refused("#[parameterize(a(x = base))] pub fn p(x: i64) {}", "attribute-syntax", "base");
    refused(
        "#[parameterize(a(x = value(1)), a(x = value(2)))] pub fn p(x: i64) {}",
        "repeated-attribute",
        "a",
    );
    refused("#[parameterize(a(x = source(a)))] pub fn p(x: i64) {}", "self-dependency", "a");
    refused("#[parameterize(a(x = value(1)))] pub fn p(x: i64) {} pub fn a() {}", "duplicate-node", "a");
    let told = told("#[parameterize(a(x = 1))] pub fn p(x: i64) {}");
    assert!(told.contains("write a literal as `value(1)`"), "{told}");
}

#[test]
fn inject_feeds_several_into_one() {
    let graph = graph(
        "#[inject(nums = [a, value(10), b, 3])] pub fn s(nums: &[i64]) -> i64 { 0 }
        #[inject(rates = {us = us_rate, uk = value(2.0)})] pub fn m(rates: HashMap<String, f64>) {}
        #[inject(x = source(a))] pub fn one(x: i64) {} #[inject(n = [1, 2])] pub fn l(n: Vec<i64>) {}",
    );
    assert_eq!(line(&graph, "s"), "s(a, nums=10, b, nums=3): i64");
    assert_eq!(graph.nodes["s"].function, "f0::s[0]");
    assert_eq!(line(&graph, "m"), "m(us:us_rate, uk:rates=2.0): ()");
    assert_eq!(line(&graph, "one"), "one(a): ()");
    assert_eq!(line(&graph, "l"), "l(n=1, n=2): ()");
    assert_eq!((graph.nodes["a"].ty.as_str(), graph.nodes["us_rate"].ty.as_str()), ("i64", "f64"));
    refused("#[inject(x = [a, [b]])] pub fn s(x: &[i64]) {}", "attribute-syntax", "[b]");
    refused("#[inject(x = a)] pub fn s(x: i64) {}", "attribute-syntax", "a");
}

#[test]
fn columns_are_nodes_beside_their_frame() {
    let graph = graph(
        "/// Daily figures. More.
        #[extract_columns(spend, \"sign ups\" as signups, \"n\" as count(\"How many.\"), fill_with = 0.0)]
        #[tag(owner = \"ds\")] #[tag_outputs(spend(pii = \"no\"), daily(raw = \"yes\"))]
        pub fn daily(path: &str) -> PolarsResult<DataFrame> { x }",
    );
    assert_eq!(line(&graph, "daily"), "daily(path): DataFrame");
    assert_eq!(line(&graph, "spend"), "spend(daily)[spend or 0.0]: Series");
    assert_eq!(line(&graph, "signups"), "signups(daily)[sign ups or 0.0]: Series");
    assert_eq!(graph.nodes["count"].doc, "How many.");
    assert_eq!(graph.nodes["spend"].doc, "Column `spend` of `daily`: Daily figures. More.");
    let tags = |name: &str| graph.nodes[name].tags.keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        (tags("daily"), tags("spend"), tags("signups")),
        ("raw".into(), "owner pii".into(), "owner".into())
    );
    refused("#[extract_columns(a, a)] pub fn f() -> DataFrame { x }", "repeated-attribute", "a");
    refused("#[extract_columns()] pub fn f() -> DataFrame { x }", "attribute-syntax", "#[extract_columns()]");
    refused(
        "#[extract_columns(a)] #[unpack(b)] pub fn f() -> DataFrame { x }",
        "conflicting-attributes",
        "#[unpack(b)]",
    );
    refused(
        "#[tag_outputs(b(x = \"y\"))] pub fn f() {}",
        "unknown-attribute-key",
        "#[tag_outputs(b(x = \"y\"))]",
    );
}

#[test]
fn fields_are_those_of_the_struct() {
    let split = "pub struct Split { pub train: DataFrame, pub test: Vec<Option<f64>>, seed: u64 }";
    let both = graph(&format!("#[extract_fields] pub fn split() -> Result<Split, E> {{ x }} {split}"));
    assert_eq!(line(&both, "train"), "train(split).train: DataFrame");
    assert_eq!(line(&both, "test"), "test(split).test: Vec<Option<f64>>");
    assert_eq!(both.nodes["train"].function, "f0::split.train");
    let one = graph(&format!("#[extract_fields(train as learn)] pub fn split() -> m::Split {{ x }} {split}"));
    assert_eq!(transforms(&one), "learn split");
    let (graph, problems) = graph_with(&["#[extract_fields] pub fn split() -> Split { x }", split], &[]);
    assert_eq!((problems, transforms(&graph)), (vec![], "split test train".to_owned()));
    refused(&format!("#[extract_fields(seed)] pub fn s() -> Split {{ x }} {split}"), "unknown-field", "seed");
    refused("#[extract_fields] pub fn s() -> Elsewhere { x }", "unknown-field", "#[extract_fields]");
}

#[test]
fn a_tuple_is_unpacked_by_position() {
    let graph = graph(
        "#[unpack(train, _, rest)] pub fn split() -> PolarsResult<(DataFrame, i64, Vec<(i64, f64)>)> { x }",
    );
    assert_eq!(line(&graph, "train"), "train(split).0: DataFrame");
    assert_eq!(line(&graph, "rest"), "rest(split).2: Vec<(i64, f64)>");
    refused("#[unpack(a, b, c)] pub fn f() -> (i64, i64) { x }", "too-many-parts", "#[unpack(a, b, c)]");
}

#[test]
fn parts_of_parameterized_functions_are_named_in_each_entry() {
    let graph = graph("#[parameterize(a(k = value(1), extract_columns(x as x_a)), b(k = value(2), extract_columns(x as x_b)))]
        pub fn f(k: i64) -> DataFrame { x }");
    assert_eq!(transforms(&graph), "a b x_a x_b");
    assert_eq!(line(&graph, "x_b"), "x_b(b)[x]: Series");
    refused(
        "#[parameterize(a(k = value(1)), b(k = value(2)))] #[extract_columns(x)] pub fn f(k: i64) -> DataFrame { x }",
        "conflicting-attributes",
        "#[extract_columns(x)]",
    );
}

#[test]
fn tags_and_schemas() {
    let graph = graph(
        "#[tag(owner = \"ds\", team.region = [\"us\", \"uk\"])] #[tag(x = \"y\")]
        #[schema(a: i64, \"b c\": str, d: list<f64>)] pub fn f() -> DataFrame { x }",
    );
    let node = &graph.nodes["f"];
    assert_eq!(node.tags["team.region"], ["us", "uk"]);
    let schema: Vec<String> = node.schema.iter().map(|it| format!("{}: {}", it.name, it.ty)).collect();
    assert_eq!(schema, ["a: i64", "b c: str", "d: list<f64>"]);
    refused("#[tag(module = \"x\")] pub fn f() {}", "reserved-tag", "module");
    refused("#[tag(gdpr.kind = \"x\")] pub fn f() {}", "reserved-tag", "gdpr.kind");
    refused("#[tag(a = 3)] pub fn f() {}", "attribute-syntax", "3");
    refused("#[tag(a = [\"x\", \"x\"])] pub fn f() {}", "attribute-syntax", "[\"x\", \"x\"]");
    refused("#[schema(a: Int)] pub fn f() -> DataFrame { x }", "attribute-syntax", "Int");
}

#[test]
fn the_order_of_attributes_means_nothing() {
    let attributes = [
        "#[tag(owner = \"ds\")]",
        "#[config(when(a = 1))]",
        "#[defaults(k = 2)]",
        "#[extract_columns(x)]",
        "#[schema(x: i64)]",
        "#[node(name = \"g\")]",
    ];
    let build = |order: &[&str]| {
        let text = format!("{} pub fn f(k: i64) -> DataFrame {{ x }}", order.join(" "));
        let mut graph = graph_with(&[&text], &[("a", "1")]).0;
        // Only where things stand may differ.
        for node in graph.nodes.values_mut() {
            (node.span, node.type_span) = Default::default();
            for it in &mut node.dependencies {
                (it.span, it.default_span) = Default::default();
            }
        }
        graph
    };
    let first = build(&attributes);
    assert_eq!(transforms(&first), "g x");
    for turn in 1..attributes.len() {
        let mut order = attributes;
        order.rotate_left(turn);
        assert_eq!(build(&order), first);
    }
}

#[test]
fn attributes_are_no_code() {
    let parsed = |text: &str| {
        let (sources, modules) = sources(&[text]);
        let parsed = parse(&sources, &modules);
        (parsed.files[0].functions[0].fingerprint.clone(), parsed.type_key)
    };
    let first = parsed("#[defaults(k = 1)] #[tag(a = \"b\")] pub fn f(k: i64) -> i64 { k }");
    assert_eq!(parsed("#[defaults(k = 2)] pub fn f(k: i64) -> i64 { k }"), first);
    assert_ne!(parsed("#[defaults(k = 1)] pub fn f(k: i64) -> i64 { k + 1 }").0, first.0);
}

#[test]
fn cache_says_what_becomes_of_results() {
    let caching = |arguments: &str| {
        let text = format!("#[cache({arguments})]\npub fn f(a: i64, place: &Path) -> DataFrame {{ df![] }}");
        graph(&text).nodes["f"].caching.clone()
    };
    let behaves = |behaviour| Caching { behaviour, ..Caching::default() };
    assert_eq!(caching("recompute"), behaves(Behaviour::Recompute));
    assert_eq!(caching("disable"), behaves(Behaviour::Disable));
    assert_eq!(caching("ignore"), behaves(Behaviour::Ignore));
    assert_eq!(
        caching("format = \"arrow\""),
        Caching { format: Some(StoredAs::Arrow), ..Caching::default() }
    );
    let all = Caching { behaviour: Behaviour::Recompute, format: Some(StoredAs::Parquet), files: vec![0, 1] };
    assert_eq!(caching("file(place, a), recompute, format = \"parquet\""), all);
    // Of a frame that is taken apart only the whole.
    let parts = graph("#[cache(recompute)]\n#[extract_columns(a)]\npub fn f() -> DataFrame { df![] }");
    assert_eq!(parts.nodes["f"].caching.behaviour, Behaviour::Recompute);
    assert!(parts.nodes["a"].caching.is_usual());
    let ignored = graph("#[cache(ignore)]\n#[extract_columns(a)]\npub fn f() -> DataFrame { df![] }");
    assert_eq!(ignored.nodes["a"].caching.behaviour, Behaviour::Ignore);
    let several = graph(
        "#[cache(disable)]\n#[parameterize(x(a = value(1)), y(a = value(2)))]\npub fn f(a: i64) -> i64 { a }",
    );
    assert!(["x", "y"].iter().all(|it| several.nodes[*it].caching.behaviour == Behaviour::Disable));
}

#[test]
fn mistakes_in_cache_are_told_at_their_words() {
    let f = |attributes: &str| format!("{attributes}\npub fn f(a: i64) -> i64 {{ a }}");
    for (attribute, code, marked) in [
        ("#[cache]", "attribute-syntax", "#[cache]"),
        ("#[cache()]", "attribute-syntax", "#[cache()]"),
        ("#[cache(never)]", "attribute-syntax", "never"),
        ("#[cache(recompute = true)]", "attribute-syntax", "recompute = true"),
        ("#[cache(format = \"csv\")]", "attribute-syntax", "\"csv\""),
        ("#[cache(format)]", "attribute-syntax", "format"),
        ("#[cache(file)]", "attribute-syntax", "file"),
        ("#[cache(file(\"a\"))]", "attribute-syntax", "\"a\""),
        ("#[cache(file(b))]", "unknown-parameter", "b"),
        ("#[cache(file(a, a))]", "repeated-attribute", "a"),
        ("#[cache(recompute, recompute)]", "repeated-attribute", "recompute"),
        ("#[cache(recompute, ignore)]", "conflicting-attributes", "ignore"),
        ("#[cache(disable, file(a))]", "conflicting-attributes", "#[cache(disable, file(a))]"),
    ] {
        refused(&f(attribute), code, marked);
    }
    refused(&f("#[cache(ignore)]\n#[cache(recompute)]"), "repeated-attribute", "#[cache(recompute)]");
    let hint = told(&f("#[cache(never)]"));
    assert!(hint.contains("`recompute`, `disable`, `ignore`, `format = \"..\"` or `file(..)`"), "{hint}");
}

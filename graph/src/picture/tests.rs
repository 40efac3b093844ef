//! What every picture must hold, on graphs made for it.

use std::time::{Duration, Instant};

use crate::graph::{Change, Dependency, Graph, Node, NodeKind};
use crate::source::{SourceFile, Sources};
use crate::wire::{Event, Failure, Summary};

use super::*;

/// A graph from lines such as `a.rs mean: f64 <- spend, weights?`; what no line declares is an input.
pub(super) fn graph(text: &str) -> Graph {
    let mut graph = Graph::default();
    let mut line_number = 0;
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty()) {
        line_number += 1;
        let (head, needs) = line.split_once("<-").unwrap_or((line, ""));
        let (place, ty) = head.split_once(':').expect("file name: type");
        let (file, name) = place.trim().split_once(' ').expect("file name: type");
        let mut dependencies = Vec::new();
        for (parameter, need) in needs.split(',').map(str::trim).filter(|it| !it.is_empty()).enumerate() {
            let name = need.trim_end_matches('?').to_owned();
            if !graph.nodes.contains_key(&name) {
                graph.nodes.insert(name.clone(), node(&name, "Series", "", 0, NodeKind::Input));
            }
            dependencies.push(Dependency {
                name,
                parameter,
                optional: need.ends_with('?'),
                ty: "&Series".to_owned(),
                ..Dependency::default()
            });
        }
        let mut new = node(name, ty.trim(), file, line_number, NodeKind::Transform);
        new.dependencies = dependencies;
        graph.nodes.insert(name.to_owned(), new);
    }
    graph
}

fn node(name: &str, ty: &str, file: &str, line: u32, kind: NodeKind) -> Node {
    Node {
        name: name.to_owned(),
        kind,
        ty: ty.to_owned(),
        file: file.to_owned(),
        line,
        doc: String::new(),
        tags: Default::default(),
        dependencies: Vec::new(),
        fingerprint: String::new(),
        function: String::new(),
        ..Node::default()
    }
}

fn marketing() -> Graph {
    graph(
        "m.rs avg_3wk_spend: Series <- spend
         m.rs spend_per_signup: Series <- spend, signups
         m.rs spend_mean: f64 <- spend
         m.rs spend_zero_mean: Series <- spend, spend_mean
         m.rs spend_std_dev: f64 <- spend
         m.rs spend_zero_mean_unit_variance: Series <- spend_zero_mean, spend_std_dev, weights?",
    )
}

fn all(graph: &Graph) -> View {
    View::of(graph, &Selection::default())
}

fn names(view: &View) -> Vec<&str> {
    view.nodes.iter().map(|it| it.name.as_str()).collect()
}

fn chosen(graph: &Graph, selection: Selection) -> Vec<String> {
    View::of(graph, &selection).nodes.into_iter().map(|it| it.name).collect()
}

fn targets(names: &[&str]) -> Selection {
    Selection { targets: names.iter().map(|it| (*it).to_owned()).collect(), ..Selection::default() }
}

#[test]
fn without_a_selection_everything_is_drawn_in_the_order_of_the_graph() {
    let graph = marketing();
    assert_eq!(names(&all(&graph)), graph.nodes.keys().collect::<Vec<_>>());
    assert_eq!(all(&graph).edges.len(), 10);
}

#[test]
fn targets_bring_all_that_they_need() {
    let picked = chosen(&marketing(), targets(&["spend_zero_mean"]));
    assert_eq!(picked, ["spend", "spend_mean", "spend_zero_mean"]);
    let view = View::of(&marketing(), &targets(&["spend_zero_mean"]));
    assert_eq!(view.nodes.iter().filter(|it| it.is_target).count(), 1);
}

#[test]
fn up_and_down_count_edges() {
    let graph = marketing();
    let up = Selection { up: Some(1), ..targets(&["spend_zero_mean_unit_variance"]) };
    assert_eq!(chosen(&graph, up).len(), 4);
    let down = Selection { down: Some(1), ..targets(&["spend_mean"]) };
    assert_eq!(chosen(&graph, down), ["spend_mean", "spend_zero_mean"]);
    let both = Selection { up: Some(1), down: Some(2), ..targets(&["spend_mean"]) };
    assert_eq!(
        chosen(&graph, both),
        ["spend", "spend_mean", "spend_zero_mean", "spend_zero_mean_unit_variance"]
    );
}

#[test]
fn around_follows_edges_both_ways() {
    let around = |hops| Selection { around: Some(("signups".to_owned(), hops)), ..Selection::default() };
    assert_eq!(chosen(&marketing(), around(0)), ["signups"]);
    assert_eq!(chosen(&marketing(), around(1)), ["signups", "spend_per_signup"]);
    assert_eq!(chosen(&marketing(), around(2)), ["spend", "signups", "spend_per_signup"]);
}

#[test]
fn a_path_is_the_same_from_either_end() {
    let path =
        |a: &str, b: &str| Selection { path: Some((a.to_owned(), b.to_owned())), ..Selection::default() };
    let there = chosen(&marketing(), path("spend_mean", "spend_zero_mean_unit_variance"));
    assert_eq!(there, ["spend_mean", "spend_zero_mean", "spend_zero_mean_unit_variance"]);
    assert_eq!(there, chosen(&marketing(), path("spend_zero_mean_unit_variance", "spend_mean")));
    // No way leads from one to the other: both ends are shown, unconnected.
    assert_eq!(chosen(&marketing(), path("signups", "spend_mean")), ["signups", "spend_mean"]);
}

#[test]
fn unknown_names_are_ignored() {
    assert!(chosen(&marketing(), targets(&["spand"])).is_empty());
    assert_eq!(chosen(&marketing(), targets(&["spand", "spend_mean"])), ["spend", "spend_mean"]);
}

#[test]
fn hidden_inputs_take_their_edges_with_them() {
    let view = View::of(&marketing(), &Selection { hide_inputs: true, ..Selection::default() });
    assert!(view.nodes.iter().all(|it| it.kind == Kind::Transform));
    assert_eq!(view.edges.len(), 3);
}

#[test]
fn a_collapsed_file_is_one_box_with_each_edge_once() {
    let graph = graph(
        "dir/a.rs one: i64 <- x
         dir/a.rs two: i64 <- x
         b.rs three: i64 <- one, two",
    );
    let view = View::of(&graph, &Selection { collapse: vec!["a.rs".to_owned()], ..Selection::default() });
    assert_eq!(names(&view), ["x", "a.rs", "three"]);
    assert_eq!(view.edges, [(0, 1), (1, 2)].map(|(from, to)| ViewEdge { from, to, optional: false }));
    assert_eq!(view.nodes[1].ty, "2 nodes");
}

#[test]
fn files_that_need_each_other_can_both_be_collapsed() {
    let graph = graph(
        "a.rs one: i64
         b.rs two: i64 <- one
         a.rs three: i64 <- two",
    );
    let collapse = vec!["a.rs".to_owned(), "b.rs".to_owned()];
    let view = View::of(&graph, &Selection { collapse, ..Selection::default() });
    assert_eq!(view.edges.len(), 2);
    assert_eq!(Arrangement::of(&view).routes.len(), 2);
    assert!(text(&view).contains("a.rs"));
}

#[test]
fn events_bring_states_and_a_collapsed_file_shows_the_worst() {
    let graph = marketing();
    let mut view = all(&graph);
    let summary = |shape: &str| Summary { ty: "Series".to_owned(), shape: shape.to_owned() };
    view.apply(&view.places(), &Event::WillPlan { nodes: vec!["spend".to_owned(), "spend_mean".to_owned()] });
    view.apply(&view.places(), &Event::DidTake { node: "spend".to_owned(), summary: summary("6 × i64") });
    view.apply(&view.places(), &Event::WillRun { node: "spend_mean".to_owned() });
    assert_eq!(view.nodes[0].state, State::Taken);
    assert_eq!(view.nodes[0].shape, "6 × i64");
    let mean = view.nodes.iter().find(|it| it.name == "spend_mean").expect("is drawn");
    assert_eq!(mean.state, State::Running);

    let collapse = vec!["m.rs".to_owned()];
    let mut view = View::of(&graph, &Selection { collapse, ..Selection::default() });
    let done = |node: &str| Event::DidRun {
        node: node.to_owned(),
        hashing: 0.0,
        milliseconds: 2.0,
        changed: true,
        summary: summary("6 × f64"),
    };
    view.apply(&view.places(), &done("spend_mean"));
    view.apply(&view.places(), &done("spend_std_dev"));
    let file = |view: &View| view.nodes.iter().find(|it| it.name == "m.rs").expect("is drawn").state.clone();
    assert_eq!(file(&view), State::Done { milliseconds: 4.0, changed: true });
    let failure = Failure {
        kind: "Error".to_owned(),
        node: "spend_zero_mean".to_owned(),
        message: "boom".to_owned(),
        chain: Vec::new(),
        hint: None,
        place: None,
    };
    view.apply(&view.places(), &Event::DidFail { node: "spend_zero_mean".to_owned(), failure });
    assert_eq!(file(&view), State::Failed { message: "boom".to_owned() });
}

#[test]
fn a_change_marks_nodes_and_names_the_removed() {
    let mut view = all(&marketing());
    let change = Change {
        added: vec!["spend_mean".to_owned()],
        changed: vec!["spend_zero_mean".to_owned()],
        removed: vec!["old_one".to_owned()],
        ..Change::default()
    };
    view.mark_change(&change);
    let html = svg(&view, "p");
    assert!(html.contains("1 added") && html.contains("1 changed") && html.contains("removed: old_one"));
    let lines = text(&view);
    assert!(lines.contains("spend_mean: f64  [added]") && lines.ends_with("removed: old_one\n"), "{lines}");
}

#[test]
fn the_text_tree_shows_each_subtree_once() {
    let mut view = View::of(&marketing(), &targets(&["spend_zero_mean_unit_variance"]));
    view.set_all(|it| {
        (it == "spend_mean").then_some((State::Done { milliseconds: 1.24, changed: true }, None))
    });
    assert_eq!(
        text(&view),
        "\
○ spend_zero_mean_unit_variance: Series
├─ ○ spend_zero_mean: Series
│  ├─ ◇ spend: Series
│  └─ ✓ spend_mean: f64  1.2 ms
│     └─ ◇ spend: Series
├─ ○ spend_std_dev: f64
│  └─ ◇ spend: Series
└─ ◇ weights?: Series
"
    );
    let repeated = graph(
        "a.rs one: i64 <- x
         a.rs two: i64 <- one
         a.rs three: i64 <- one, two",
    );
    assert!(text(&all(&repeated)).contains("└─ ○ two: i64\n   └─ ○ one: i64  (above)\n"));
}

#[test]
fn a_very_deep_tree_is_cut_into_trees_and_stays_small() {
    let view = all(&chain(800));
    let text = text(&view);
    assert!(text.len() < 200_000, "{}", text.len());
    assert!((0..800).all(|it| text.contains(&format!("n{it}:"))), "every node is there");
}

#[test]
fn an_empty_view_is_drawn_in_every_format() {
    let view = View::default();
    assert!(svg(&view, "p").contains("Nothing to draw"));
    assert!(text(&view).contains("Nothing to draw"));
    assert!(dot(&view).starts_with("digraph") && mermaid(&view).starts_with("flowchart"));
    assert_eq!(json(&Graph::default()), serde_json::json!([]));
}

#[test]
fn one_node_and_lone_nodes_are_drawn() {
    assert!(svg(&all(&graph("a.rs one: i64")), "p").contains(">one<"));
    let many: String = (0..40).map(|it| format!("a.rs n{it}: i64\n")).collect();
    let arrangement = Arrangement::of(&all(&graph(&many)));
    assert!(arrangement.width < 1200.0, "lone nodes fill rows, not one long column");
    assert_apart(&arrangement);
}

#[test]
fn the_same_view_gives_the_same_picture() {
    let view = all(&random(60, 3));
    assert_eq!(svg(&view, "p"), svg(&view, "p"));
    assert_eq!(svg(&view, "p"), svg(&all(&random(60, 3)), "p"));
}

#[test]
fn boxes_never_overlap_and_stay_on_the_grid() {
    for seed in 0..40 {
        for orientation in [Orientation::Lr, Orientation::Tb] {
            let view = View { orientation, ..all(&random(8 + seed * 3, seed)) };
            let arrangement = Arrangement::of(&view);
            assert_apart(&arrangement);
            assert_eq!(arrangement.routes.len(), view.edges.len());
            assert!(arrangement.routes.iter().all(|it| !it.head.is_empty()), "the grid was not needed");
        }
    }
}

#[test]
fn hulls_cover_only_their_own_boxes() {
    let mut with_hulls = 0;
    for seed in 0..30 {
        let view = all(&random(24, seed));
        let arrangement = Arrangement::of(&view);
        with_hulls += usize::from(!arrangement.hulls.is_empty());
        let files = view.files();
        if files.len() > 1 {
            assert_eq!(arrangement.hulls.is_empty(), arrangement.has_stripes);
        }
        for hull in &arrangement.hulls {
            for (node, rect) in view.nodes.iter().zip(&arrangement.boxes) {
                let is_own = node.file == files[hull.file] || node.kind == Kind::Input;
                assert!(is_own || !overlap(rect, &hull.rect), "{} is in {}", node.name, files[hull.file]);
            }
        }
    }
    assert!(with_hulls > 0);
}

#[test]
fn a_run_moves_no_box() {
    let mut view = all(&marketing());
    let arrangement = Arrangement::of(&view);
    let before = svg_in_place(&view, &arrangement, "p");
    let summary = Summary { ty: "Series".to_owned(), shape: "1 000 000 × f64".to_owned() };
    view.set_all(|it| {
        (it == "spend_mean").then_some((State::Done { milliseconds: 1234.5, changed: true }, Some(&summary)))
    });
    assert!(arrangement.fits(&view));
    let after = svg_in_place(&view, &arrangement, "p");
    let places = |html: &str| -> Vec<String> {
        html.split("translate(")
            .skip(1)
            .map(|it| it.split(')').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(places(&before), places(&after));
}

#[test]
fn an_arrangement_of_another_graph_is_not_used() {
    let arrangement = Arrangement::of(&all(&graph("a.rs one: i64")));
    let html = svg_in_place(&all(&marketing()), &arrangement, "p");
    assert!(html.contains("data-node=\"spend_per_signup\""));
}

#[test]
fn the_html_is_scoped_escaped_and_without_scripts() {
    let mut graph = marketing();
    graph.nodes["spend_mean"].ty = "Vec<&'static str>".to_owned();
    graph.nodes["spend_mean"].doc = "a < b && \"c\" <script>alert(1)</script>".to_owned();
    let mut view = all(&graph);
    let mut sources = Sources::default();
    sources.push(SourceFile { path: "m.rs".to_owned(), absolute: "/x/m.rs".to_owned(), text: String::new() });
    view.locate(&sources, |file| Some(format!("notebooks/{}", file.path)));
    view.notice = "old <b>".to_owned();
    let html = svg(&view, "run-7");
    assert!(
        !html.contains("<script")
            && !html.contains("<b>")
            && html.contains("Vec&lt;&amp;&#39;static str&gt;")
    );
    assert!(html.contains("data-commandlinker-args=\"{&quot;path&quot;:&quot;notebooks/m.rs&quot;}\""));
    for id in html.split(" id=\"").skip(1) {
        assert!(id.starts_with("run-7"), "{}", &id[..20]);
    }
    for reference in html.split("href=\"#").skip(1) {
        assert!(reference.starts_with("run-7-"));
    }
    assert!(html.starts_with("<div class=\"brooklet-dag\" id=\"run-7\"><style>#run-7{"));
    assert!(html.contains("role=\"img\"") && html.contains("<desc id=\"run-7-d\">"));
}

#[test]
fn a_strange_prefix_is_made_safe() {
    assert!(svg(&all(&marketing()), "7\"><x").contains("id=\"b7x\""));
    assert!(svg(&all(&marketing()), "").contains("id=\"b\""));
}

#[test]
fn large_pictures_light_direct_neighbours_only() {
    let html = svg(&all(&chain(200)), "p");
    let end = html.find("data-node=\"n100\"").expect("is drawn");
    let class = html[..end].rsplit("class=\"").next().unwrap_or_default();
    assert_eq!(class.matches(" _").count(), 3, "itself, the one before, the one after: {class}");
}

#[test]
fn dot_and_mermaid_hold_every_node_and_edge() {
    let view = all(&marketing());
    let dot = dot(&view);
    assert_eq!(dot.matches(" -> ").count(), 10);
    assert!(dot.contains("n0 [label=\"spend\\nSeries\", style=\"rounded,filled,dashed\"];"), "{dot}");
    let mermaid = mermaid(&view);
    assert_eq!(mermaid.matches("-->").count() + mermaid.matches("-.->").count(), 10);
    assert!(mermaid.contains("([\"spend<br/>Series\"])"), "{mermaid}");
    let mut view = view;
    view.nodes[0].ty = "Vec<\"a\">".to_owned();
    assert!(super::mermaid(&view).contains("Vec#lt;#quot;a#quot;#gt;"));
}

#[test]
fn the_json_list_is_sorted_and_separates_optional_dependencies() {
    let list = json(&marketing());
    let list = list.as_array().expect("a list");
    let names: Vec<&str> = list.iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.is_sorted() && names.len() == 9);
    let last = &list[list.len() - 2];
    assert_eq!(last["name"], "spend_zero_mean_unit_variance");
    assert_eq!(last["required"], serde_json::json!(["spend_zero_mean", "spend_std_dev"]));
    assert_eq!(last["optional"], serde_json::json!(["weights"]));
    assert_eq!(last["kind"], "transform");
    let view = View::of(&marketing(), &targets(&["spend_mean"]));
    assert_eq!(json_of(&marketing(), &view).as_array().map(Vec::len), Some(2));
}

#[test]
fn large_graphs_are_drawn_in_time_and_size() {
    for (name, graph) in [
        ("diamonds 40", diamonds(40)),
        ("diamonds 500", diamonds(166)),
        ("random 500", random(500, 1)),
        ("wide 500", wide(500)),
        ("chain 500", chain(500)),
    ] {
        let mut view = all(&graph);
        for node in &mut view.nodes {
            node.state = State::Done { milliseconds: 12.0, changed: true };
            node.shape = "1 096 × f64".to_owned();
        }
        let start = Instant::now();
        let arrangement = Arrangement::of(&view);
        let arranged = start.elapsed();
        let html = svg_in_place(&view, &arrangement, "p1");
        let took = start.elapsed();
        println!(
            "{name}: {} nodes, {} edges, {arranged:?} + {:?}, {} kB",
            view.nodes.len(),
            view.edges.len(),
            took - arranged,
            html.len() / 1000
        );
        assert!(took < Duration::from_secs(2), "{name}: {took:?}");
        assert!(html.len() < 300_000, "{name}: {} bytes", html.len());
        assert_apart(&arrangement);
    }
}

fn assert_apart(arrangement: &Arrangement) {
    let boxes = &arrangement.boxes;
    for (index, a) in boxes.iter().enumerate() {
        assert!(a.x >= 0.0 && a.y >= 0.0 && a.x + a.width <= arrangement.width, "{a:?} is in the picture");
        assert_eq!((a.y * 2.0).fract(), 0.0, "{a:?}");
        for b in &boxes[index + 1..] {
            assert!(!overlap(a, b), "{a:?} and {b:?}");
        }
    }
}

fn overlap(a: &super::arrange::Rect, b: &super::arrange::Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

fn chain(count: usize) -> Graph {
    let line = |it: usize| match it {
        0 => "a.rs n0: i64\n".to_owned(),
        _ => format!("a.rs n{it}: i64 <- n{}\n", it - 1),
    };
    graph(&(0..count).map(line).collect::<String>())
}

/// `count` diamonds in a row, three nodes each.
fn diamonds(count: usize) -> Graph {
    let mut lines = String::from("a.rs d0: i64\n");
    for it in 0..count {
        lines += &format!(
            "a.rs l{it}: i64 <- d{it}\na.rs r{it}: i64 <- d{it}\na.rs d{}: i64 <- l{it}, r{it}\n",
            it + 1
        );
    }
    graph(&lines)
}

/// Every node needs the same three.
fn wide(count: usize) -> Graph {
    let rest = (3..count).map(|it| format!("a.rs n{it}: i64 <- n0, n1, n2\n"));
    graph(&("a.rs n0: i64\na.rs n1: i64\na.rs n2: i64\n".to_owned() + &rest.collect::<String>()))
}

const ENDING: &str = "spend_per_signup_by_week";

fn length(node: usize) -> usize {
    4 + node * 7 % 20
}

/// A graph such as people write: most nodes need one to three of the latest few.
fn random(count: usize, seed: usize) -> Graph {
    let mut state = seed as u64 + 1;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below.max(1)
    };
    let mut lines = String::new();
    for it in 0..count {
        let file = if next(100) * count / 100 > it { "a.rs" } else { "b.rs" };
        let mut needs: Vec<usize> =
            (0..next(4)).map(|_| it.saturating_sub(1 + next(12))).filter(|need| *need != it).collect();
        needs.sort_unstable();
        needs.dedup();
        let needs: Vec<String> =
            needs.iter().map(|&need| format!("n{need}_{}", &ENDING[..length(need)])).collect();
        lines += &format!("{file} n{it}_{}: Series <- {}\n", &ENDING[..length(it)], needs.join(", "));
    }
    graph(&lines)
}

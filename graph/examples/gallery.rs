//! Pictures to look at: `cargo run --release -p brooklet-graph --example gallery -- DIRECTORY`.

use std::path::Path;

use brooklet_graph::graph::{Change, Dependency, Graph, Node, NodeKind};
use brooklet_graph::picture::{self, Column, Orientation, Selection, State, View};
use brooklet_graph::source::{SourceFile, Sources};
use brooklet_graph::wire::Summary;

const JP_LIGHT: &str = "--jp-layout-color0:#fff;--jp-layout-color1:#fff;--jp-layout-color2:#eee;--jp-layout-color4:#757575;--jp-content-font-color1:rgba(0,0,0,.87);--jp-content-font-color2:rgba(0,0,0,.54);--jp-content-font-color3:rgba(0,0,0,.38);--jp-border-color1:#bdbdbd;--jp-brand-color1:#1976d2;--jp-success-color1:#388e3c;--jp-warn-color1:#f57c00;--jp-error-color1:#d32f2f;--jp-info-color1:#0097a7;--jp-ui-font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;--jp-code-font-family:Menlo,Consolas,'DejaVu Sans Mono',monospace;background:#fff";
const JP_DARK: &str = "--jp-layout-color0:#111;--jp-layout-color1:#212121;--jp-layout-color2:#424242;--jp-layout-color4:#757575;--jp-content-font-color1:#fff;--jp-content-font-color2:rgba(255,255,255,.7);--jp-content-font-color3:rgba(255,255,255,.5);--jp-border-color1:#616161;--jp-brand-color1:#2196f3;--jp-success-color1:#4caf50;--jp-warn-color1:#ff9800;--jp-error-color1:#f44336;--jp-info-color1:#00bcd4;--jp-ui-font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;--jp-code-font-family:Menlo,Consolas,'DejaVu Sans Mono',monospace;background:#111;color:#fff";

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "/tmp/picture".to_owned());
    let directory = Path::new(&directory);
    let page = |name: &str, views: &[View]| {
        let all: Vec<String> =
            views.iter().enumerate().map(|(index, view)| picture::svg(view, &format!("p{index}"))).collect();
        for (theme, style) in [("light", JP_LIGHT), ("dark", JP_DARK), ("plain", "")] {
            let html = format!(
                "<!doctype html><meta charset=utf-8><meta name=color-scheme content=\"light dark\"><body style=\"{style};margin:16px\">{}",
                all.join("<hr style='border:0;margin:12px'>").as_str()
            );
            std::fs::write(directory.join(format!("{name}-{theme}.html")), html)
                .expect("the directory is writable");
        }
        println!("{name}: {:?} bytes", all.iter().map(String::len).collect::<Vec<_>>());
    };

    page("12", &[idle(HELLO), done(HELLO)]);
    page("28", &[done(TOUR)]);
    page("28idle", &[idle(TOUR)]);
    page("28lr", &[View { orientation: Orientation::Lr, ..done(TOUR) }]);
    page("28tb", &[View { orientation: Orientation::Tb, ..done(TOUR) }]);
    page("states", &[states()]);
    page("run", &[running(TOUR)]);
    page("60", &[idle(&sixty())]);
    page("extras", &[collapsed(), schema(), lone(), changed(), notice()]);
    println!("{}", picture::text(&done(HELLO)));
    println!("{}", picture::text(&running(TOUR)));
    println!("{}", picture::mermaid(&idle(HELLO)));
}

const HELLO: &str = "\
t/marketing.rs avg_3wk_spend: Series <- spend
t/marketing.rs acquisition_cost: Series <- spend, signups
t/marketing.rs spend_mean: f64 <- spend
t/marketing.rs spend_zero_mean: Series <- spend, spend_mean
t/marketing.rs spend_std_dev: f64 <- spend
t/marketing.rs spend_zero_mean_unit_variance: Series <- spend_zero_mean, spend_std_dev
t/marketing.rs signups_total: i64 <- signups
t/marketing.rs cost_ratio: Series <- acquisition_cost, spend_mean, baseline?
t/marketing.rs overview: DataFrame <- avg_3wk_spend, cost_ratio, spend_zero_mean_unit_variance, signups_total
";

const TOUR: &str = "\
transforms/marketing.rs daily: DataFrame <- data_path
transforms/marketing.rs spend_search: Series <- daily
transforms/marketing.rs spend_social: Series <- daily
transforms/marketing.rs spend_mail: Series <- daily
transforms/marketing.rs signups: Series <- daily
transforms/marketing.rs spend: Series <- spend_search, spend_social, spend_mail
transforms/marketing.rs avg_3wk_spend: Series <- spend, window?
transforms/marketing.rs spend_per_signup: Series <- spend, signups
transforms/marketing.rs spend_mean: f64 <- spend
transforms/marketing.rs spend_std_dev: f64 <- spend
transforms/marketing.rs spend_zero_mean: Series <- spend, spend_mean
transforms/marketing.rs spend_normalised: Series <- spend_zero_mean, spend_std_dev
transforms/marketing.rs by_channel: DataFrame <- daily
transforms/marketing.rs channel_share: DataFrame <- by_channel, spend
transforms/retention.rs churn: DataFrame <- churn_path
transforms/retention.rs churn_rate: Series <- churn
transforms/retention.rs retained: Series <- churn_rate, signups
transforms/retention.rs lifetime_days: f64 <- churn_rate
transforms/retention.rs margin_per_customer: f64 <- lifetime_days, margin
transforms/retention.rs payback: Series <- spend_per_signup, margin_per_customer
transforms/retention.rs is_profitable: Series <- payback, threshold
transforms/retention.rs joined: DataFrame <- daily, churn
transforms/retention.rs weekly: DataFrame <- joined
transforms/retention.rs summary: DataFrame <- weekly, spend_per_signup, retained, is_profitable
";

fn sixty() -> String {
    let mut state = 11u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below.max(1)
    };
    let words =
        ["orders", "revenue", "clean", "weekly", "by_region", "rolling", "ratio", "share", "total", "mean"];
    let mut names: Vec<String> = Vec::new();
    let mut out = String::new();
    for it in 0..54 {
        let name = format!("{}_{}_{it}", words[next(10)], words[next(10)]);
        let file = ["flow/load.rs", "flow/features.rs", "flow/report.rs"][it / 18];
        let mut needs: Vec<String> = (0..1 + next(3))
            .filter_map(|_| names.len().checked_sub(1 + next(14)))
            .map(|it| names[it].clone())
            .collect();
        needs.sort();
        needs.dedup();
        if it % 9 == 0 {
            needs.push(format!("path_{it}"));
        }
        out += &format!(
            "{file} {name}: {} <- {}\n",
            ["Series", "DataFrame", "f64", "LazyFrame"][next(4)],
            needs.join(", ")
        );
        names.push(name);
    }
    out
}

fn idle(text: &str) -> View {
    let mut view = View::of(&graph(text), &Selection::default());
    locate(&mut view);
    view
}

fn done(text: &str) -> View {
    let mut view = idle(text);
    let last = view.nodes.len() - 1;
    view.nodes[last].is_target = true;
    for (index, node) in view.nodes.iter_mut().enumerate() {
        let (state, value) = finished(index, &node.ty, node.line == 0);
        node.state = state;
        node.shape = value;
    }
    view
}

fn finished(index: usize, ty: &str, is_input: bool) -> (State, String) {
    let value = match ty {
        "DataFrame" => "1 096 × 7".to_owned(),
        "f64" => "26.67".to_owned(),
        "String" => "data/daily.csv".to_owned(),
        _ => "1 096 × f64".to_owned(),
    };
    let state = match () {
        () if is_input => State::Taken,
        () if index % 5 == 3 => State::Reused,
        () if index % 7 == 4 => State::Done { milliseconds: 0.3, changed: false },
        () => State::Done { milliseconds: 0.37 * (index * index) as f64 + 0.2, changed: true },
    };
    (state, value)
}

fn running(text: &str) -> View {
    let mut view = done(text);
    let count = view.nodes.len();
    for (index, node) in view.nodes.iter_mut().enumerate() {
        if node.line == 0 {
            continue;
        }
        if index > count / 2 {
            node.shape.clear();
            node.state = if index <= count / 2 + 2 { State::Running } else { State::Waiting };
        }
    }
    view
}

fn states() -> View {
    let mut view = done(HELLO);
    let set = |view: &mut View, name: &str, state: State| view.set(name, state, None);
    set(&mut view, "acquisition_cost", State::Failed { message: "division by zero in row 3".to_owned() });
    set(&mut view, "cost_ratio", State::Skipped);
    set(&mut view, "overview", State::Skipped);
    set(&mut view, "spend_zero_mean", State::Running);
    set(&mut view, "spend_zero_mean_unit_variance", State::Waiting);
    set(&mut view, "avg_3wk_spend", State::Stale);
    set(&mut view, "signups_total", State::Idle);
    for node in &mut view.nodes {
        if matches!(node.state, State::Idle | State::Skipped | State::Running | State::Waiting) {
            node.shape.clear();
        }
    }
    view
}

fn collapsed() -> View {
    let collapse = vec!["retention.rs".to_owned()];
    let mut view = View::of(&graph(TOUR), &Selection { collapse, ..Selection::default() });
    locate(&mut view);
    let summary = Summary { ty: "Series".into(), shape: "6 × i64".into() };
    for name in ["daily", "churn"] {
        view.set(name, State::Done { milliseconds: 12.0, changed: true }, Some(&summary));
    }
    view
}

fn schema() -> View {
    let mut view =
        done("a.rs daily: DataFrame <- path\na.rs weekly: DataFrame <- daily\na.rs spend: Series <- daily\n");
    view.schema = true;
    let column = |name: &str, ty: &str| Column { name: name.to_owned(), ty: ty.to_owned() };
    view.nodes[1].columns = vec![
        column("date", "date"),
        column("channel", "str"),
        column("spend", "i64"),
        column("signups", "i64"),
    ];
    view.nodes[2].columns = (0..14).map(|it| column(&format!("column_{it}"), "f64")).collect();
    view
}

fn lone() -> View {
    let lines: String = (0..11).map(|it| format!("a.rs constant_{it}: f64\n")).collect();
    idle(&(lines + "a.rs two: f64 <- one\na.rs three: f64 <- two\n"))
}

fn changed() -> View {
    let mut view = done(HELLO);
    view.mark_change(&Change {
        added: vec!["spend_std_dev".to_owned(), "spend_zero_mean_unit_variance".to_owned()],
        changed: vec!["cost_ratio".to_owned()],
        removed: vec!["spend_median".to_owned()],
        ..Change::default()
    });
    view
}

fn notice() -> View {
    let mut view = done("a.rs one: f64 <- x\na.rs two: f64 <- one\n");
    view.mark_stale("This picture is of older code: a.rs has changed since.");
    view
}

fn locate(view: &mut View) {
    let mut sources = Sources::default();
    for path in view.files().iter().map(|it| (*it).to_owned()).collect::<Vec<_>>() {
        sources.push(SourceFile { absolute: format!("/home/u/{path}"), path, text: String::new() });
    }
    view.locate(&sources, |file| Some(format!("notebooks/{}", file.path)));
}

fn graph(text: &str) -> Graph {
    let mut graph = Graph::default();
    for (number, line) in text.lines().enumerate() {
        let (head, needs) = line.split_once("<-").unwrap_or((line, ""));
        let (place, ty) = head.split_once(':').expect("file name: type");
        let (file, name) = place.trim().split_once(' ').expect("file name: type");
        let mut dependencies = Vec::new();
        for (parameter, need) in needs.split(',').map(str::trim).filter(|it| !it.is_empty()).enumerate() {
            let input = need.trim_end_matches('?');
            if !graph.nodes.contains_key(input) {
                let ty = if input.contains("path") { "String" } else { "Series" };
                graph.nodes.insert(input.to_owned(), node(input, ty, "", 0, NodeKind::Input));
            }
            dependencies.push(Dependency {
                name: input.to_owned(),
                parameter,
                optional: need.ends_with('?'),
                ty: String::new(),
                span: Default::default(),
            });
        }
        let mut new = node(name, ty.trim(), file, number as u32 + 4, NodeKind::Transform);
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
        doc: format!("What {name} is."),
        tags: Default::default(),
        dependencies: Vec::new(),
        fingerprint: String::new(),
        function: String::new(),
        span: Default::default(),
        type_span: Default::default(),
    }
}

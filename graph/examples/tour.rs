use brooklet_graph::{graph, parse, picture::{self, Selection, View, State}, source::{SourceFile, Sources}};
fn main() {
    let mut sources = Sources::default();
    let mut modules = vec![];
    for name in ["channels", "marketing"] {
        let absolute = format!("/work/main/notebooks/transforms/{name}.rs");
        sources.push(SourceFile { path: format!("transforms/{name}.rs"), text: std::fs::read_to_string(&absolute).unwrap(), absolute });
        modules.push(vec![name.to_owned()]);
    }
    let parsed = parse::parse(&sources, &modules);
    let (graph, d) = graph::build(&parsed.files, &sources, false);
    println!("{} nodes, {} diagnostics", graph.nodes.len(), d.len());
    let mut views = vec![];
    let mut all = View::of(&graph, &Selection::default());
    views.push(all.clone());
    for (i, n) in all.nodes.iter_mut().enumerate() { n.state = State::Done { milliseconds: 0.3 * i as f64, changed: true }; n.shape = match n.ty.as_str() { "f64" => "26.67".into(), "DataFrame" => "1 096 × 9".into(), "Series" => "1 096 × f64".into(), _ => "".into() }; }
    views.push(all);
    views.push(View::of(&graph, &Selection { targets: vec!["summary".into()], ..Selection::default() }));
    views.push(View::of(&graph, &Selection { hide_inputs: true, ..Selection::default() }));
    views.push(View::of(&graph, &Selection { around: Some(("spend".into(), 1)), ..Selection::default() }));
    let style = std::fs::read_to_string("/tmp/picture/12-light.html").unwrap();
    let style = style.split("style=\"").nth(1).unwrap().split('"').next().unwrap();
    let all: Vec<String> = views.iter().enumerate().map(|(i, v)| picture::svg(v, &format!("p{i}"))).collect();
    std::fs::write("/tmp/picture/tour-light.html", format!("<!doctype html><meta charset=utf-8><body style=\"{style};margin:16px\">{}", all.join("<hr>"))).unwrap();
    println!("{:?}", all.iter().map(String::len).collect::<Vec<_>>());
    println!("{}", picture::text(&views[2]));
}

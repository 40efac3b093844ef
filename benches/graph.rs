//! From text to graph: 5,000 functions of ten lines in 50 files, all at once, and after an edit of one file.
//!
//! `cargo bench --bench graph`. Lexing alone is measured in the same run, as the bound below which no parser gets.

use std::time::Instant;

use brooklet_graph::graph::{Options, build};
use brooklet_graph::parse::{self, Cache, Included};
use brooklet_graph::source::{SourceFile, Sources};

const FILES: usize = 50;
const FUNCTIONS: usize = 100;
const RUNS: usize = 15;

fn main() {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for file in 0..FILES {
        let name = format!("f{file}");
        let text = text(file, 0);
        sources.push(SourceFile { path: format!("{name}.rs"), absolute: format!("/b/{name}.rs"), text });
        modules.push(vec![name]);
    }
    let options = Options::default();
    let included = Included::new();
    let graph_of = |sources: &Sources, cache: &mut Cache| {
        let before = Instant::now();
        let parsed = parse::parse_cached(cache, sources, &modules, &included);
        let parsing = before.elapsed();
        let (graph, problems) = build(&parsed.files, sources, &options);
        assert_eq!(
            (graph.nodes.len(), problems.len(), parsed.diagnostics.len()),
            (FILES * FUNCTIONS + 2, 0, 0)
        );
        (before.elapsed().as_secs_f64() * 1e3, parsing.as_secs_f64() * 1e3)
    };
    let whole = median((0..RUNS).map(|_| graph_of(&sources, &mut Cache::default())).collect());
    let mut cache = Cache::default();
    graph_of(&sources, &mut cache);
    let mut edited = sources.clone();
    let edits = (0..RUNS).map(|run| {
        edited.files[run % FILES].text = text(run % FILES, run + 1);
        graph_of(&edited, &mut cache)
    });
    let edit = median(edits.collect());
    let bytes: usize = sources.files.iter().map(|it| it.text.len()).sum();
    println!("{} functions in {FILES} files, {} kB, median of {RUNS} runs", FILES * FUNCTIONS, bytes / 1000);
    println!("all at once:            {:.1} ms, of which parsing {:.1} ms", whole.0, whole.1);
    println!("after an edit of one:   {:.1} ms, of which parsing {:.1} ms", edit.0, edit.1);
    println!("ratio: {:.3}", edit.0 / whole.0);
}

/// A file of the chain; `edit` changes the body of its first function.
fn text(file: usize, edit: usize) -> String {
    let mut text = String::from("use brooklet::prelude::*;\n\nconst SCALE: f64 = 1.5;\n\n");
    for index in file * FUNCTIONS..(file + 1) * FUNCTIONS {
        let before = index.checked_sub(1).map_or("start".to_owned(), |it| format!("n{it}"));
        let edit = if index == file * FUNCTIONS { edit } else { 0 };
        text.push_str(&format!(
            "/// Node {index} of the chain, scaled and shifted.\n\
             pub fn n{index}({before}: &Series, window: Option<&i64>) -> PolarsResult<Series> {{\n    \
                 let window = window.copied().unwrap_or(3);\n    \
                 let scaled = {before} * SCALE;\n    \
                 let shifted = scaled.shift(window);\n    \
                 let sum = (&scaled + &shifted)?;\n    \
                 let limit = sum.max::<f64>()?.unwrap_or(0.0) + {edit}.0;\n    \
                 polars_ensure!(limit >= 0.0, ComputeError: \"node {index} fell below zero\");\n    \
                 Ok(helper_{file}(&sum, limit))\n}}\n\n"
        ));
    }
    text.push_str(&format!("fn helper_{file}(series: &Series, limit: f64) -> Series {{ series / limit }}\n"));
    text
}

fn median(mut values: Vec<(f64, f64)>) -> (f64, f64) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values[values.len() / 2]
}

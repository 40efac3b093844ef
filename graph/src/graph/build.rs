//! Specs to graph: names become edges, and everything that is wrong is told at once.
//!
//! A parameter is fed by the node of its name; where there is none, it is an input. A function with a fault
//! is left out together with what needs it, so that the graph is always acyclic and no node of it waits for
//! something that a diagnostic was raised for.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::topology::Topology;
use super::{Dependency, Graph, Node, NodeKind};
use crate::diagnostic::{Diagnostic, sort};
use crate::source::{Sources, Span};
use crate::spec::{FileSpec, FnSpec, ParamSpec};

/// Builds the graph of some files. With `allow_overrides` a node of a later file takes the place of one of an
/// earlier file.
pub fn build(files: &[FileSpec], sources: &Sources, allow_overrides: bool) -> (Graph, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let functions = distinct(files, allow_overrides, &mut diagnostics);
    let mut faulty: BTreeSet<&str> = BTreeSet::new();
    for function in functions.values() {
        for param in function.params.iter().filter(|it| it.name == function.name) {
            faulty.insert(&function.name);
            diagnostics.push(needs_itself(function, param));
        }
    }
    for knot in knots(&functions) {
        diagnostics.push(cycle(&functions, &knot));
        faulty.extend(knot.members.iter().map(|it| functions[*it].name.as_str()));
    }
    let graph = assemble(&functions, &faulty, sources);
    sort(&mut diagnostics);
    (graph, diagnostics)
}

type Functions<'a> = IndexMap<&'a str, &'a FnSpec>;

/// One function for each name.
fn distinct<'a>(
    files: &'a [FileSpec],
    allow_overrides: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Functions<'a> {
    let mut functions = Functions::new();
    for function in files.iter().flat_map(|it| &it.functions) {
        let Some(first) = functions.get_mut(function.name.as_str()) else {
            functions.insert(&function.name, function);
            continue;
        };
        let same_file = first.name_span.file == function.name_span.file;
        if allow_overrides && !same_file {
            *first = function;
            continue;
        }
        let hint = if same_file {
            "rename one of them"
        } else {
            "rename one of them, or let the later file win with `%watch --allow-overrides`"
        };
        diagnostics.push(
            Diagnostic::error("duplicate-node", format!("two functions make the node `{}`", function.name))
                .at(function.name_span, "defined again here")
                .at(first.name_span, "first defined here")
                .hint(hint),
        );
    }
    functions
}

fn needs_itself(function: &FnSpec, param: &ParamSpec) -> Diagnostic {
    Diagnostic::error("self-dependency", format!("`{}` needs itself", function.name))
        .at(param.name_span, "this parameter names its own node")
        .at(function.name_span, format!("`{}` is defined here", function.name))
        .hint("rename the parameter after the node or input that it takes, or rename the function")
}

/// Functions that all need each other, and one loop among them.
struct Knot {
    members: Vec<usize>,
    /// In the direction of the data.
    path: Vec<usize>,
}

fn edges(functions: &Functions<'_>) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    for (to, function) in functions.values().enumerate() {
        let from = function.params.iter().filter_map(|it| functions.get_index_of(it.name.as_str()));
        edges.extend(from.filter(|from| *from != to).map(|from| (from, to)));
    }
    edges
}

fn knots(functions: &Functions<'_>) -> Vec<Knot> {
    let topology = Topology::new(functions.len(), edges(functions));
    let knots = topology.knots().into_iter();
    knots.map(|members| Knot { path: topology.loop_through(members[0], &members), members }).collect()
}

fn cycle(functions: &Functions<'_>, knot: &Knot) -> Diagnostic {
    let names: Vec<&str> = knot.path.iter().map(|it| functions[*it].name.as_str()).collect();
    let shown: Vec<String> = names.iter().chain(names.first()).map(|it| format!("`{it}`")).collect();
    let mut diagnostic = Diagnostic::error("cycle", format!("nodes need each other: {}", shown.join(" -> ")));
    for (position, index) in knot.path.iter().enumerate() {
        let function = functions[*index];
        let before = names[(position + names.len() - 1) % names.len()];
        if let Some(param) = function.params.iter().find(|it| it.name == before) {
            diagnostic = diagnostic.at(param.name_span, format!("`{}` needs `{before}`", function.name));
        }
    }
    let others: Vec<String> = knot
        .members
        .iter()
        .filter(|it| !knot.path.contains(it))
        .map(|it| format!("`{}`", functions[*it].name))
        .collect();
    if !others.is_empty() {
        diagnostic = diagnostic.hint(format!("{} are caught in loops with these too", others.join(", ")));
    }
    diagnostic.hint("rename a parameter after an input, or split a function in two")
}

/// The nodes that are sound, and the inputs that they ask for, in topological order.
fn assemble(functions: &Functions<'_>, faulty: &BTreeSet<&str>, sources: &Sources) -> Graph {
    let sound = without_dependents(functions, faulty);
    // Inputs stand just before their first consumer; rank: declaration of the function, then the parameter.
    let mut inputs: IndexMap<&str, (usize, usize)> = IndexMap::new();
    for (position, function) in sound.iter().enumerate() {
        for (index, param) in function.params.iter().enumerate() {
            if !functions.contains_key(param.name.as_str()) {
                inputs.entry(&param.name).or_insert((position, index));
            }
        }
    }
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rank = Vec::new();
    for (position, function) in sound.iter().enumerate() {
        numbers.insert(&function.name, rank.len());
        rank.push((position, 1, 0));
    }
    for (name, (position, index)) in &inputs {
        numbers.insert(name, rank.len());
        rank.push((*position, 0, *index));
    }
    let mut edges = Vec::new();
    for (to, function) in sound.iter().enumerate() {
        edges.extend(
            function.params.iter().filter_map(|it| numbers.get(it.name.as_str())).map(|from| (*from, to)),
        );
    }
    let order = Topology::new(rank.len(), edges).order(&rank);
    let lines = Lines::new(sources);
    let mut graph = Graph::default();
    for number in order {
        let node = match sound.get(number) {
            Some(function) => transform(function, sources, &lines),
            None => {
                let (position, index) = inputs[number - sound.len()];
                input(&sound[position].params[index])
            }
        };
        graph.nodes.insert(node.name.clone(), node);
    }
    graph
}

/// The functions that neither are faulty nor need one that is.
fn without_dependents<'a>(functions: &Functions<'a>, faulty: &BTreeSet<&str>) -> Vec<&'a FnSpec> {
    let mut lost: BTreeSet<&str> = faulty.clone();
    loop {
        let before = lost.len();
        for function in functions.values() {
            if function.params.iter().any(|it| lost.contains(it.name.as_str())) {
                lost.insert(&function.name);
            }
        }
        if lost.len() == before {
            break;
        }
    }
    functions.values().copied().filter(|it| !lost.contains(it.name.as_str())).collect()
}

fn transform(function: &FnSpec, sources: &Sources, lines: &Lines) -> Node {
    let dependency = |(parameter, param): (usize, &ParamSpec)| Dependency {
        name: param.name.clone(),
        parameter,
        optional: param.optional,
        ty: param.ty.clone(),
        span: param.name_span,
    };
    Node {
        name: function.name.clone(),
        kind: NodeKind::Transform,
        ty: held_type(&function.output).to_owned(),
        file: sources.file(function.name_span.file).map(|it| it.path.clone()).unwrap_or_default(),
        line: lines.line(function.name_span),
        doc: function.doc.clone(),
        tags: function.tags.clone(),
        dependencies: function.params.iter().enumerate().map(dependency).collect(),
        fingerprint: function.fingerprint.clone(),
        function: function.path.clone(),
        span: function.name_span,
        type_span: function.output_span,
    }
}

/// Where each file's lines end; counting them anew for every function would cost more than all the rest.
struct Lines {
    ends: Vec<Vec<u32>>,
}

impl Lines {
    fn new(sources: &Sources) -> Lines {
        let ends = |text: &str| {
            let bytes = text.bytes().enumerate();
            bytes.filter(|it| it.1 == b'\n').map(|it| it.0 as u32).collect()
        };
        Lines { ends: sources.files.iter().map(|it| ends(&it.text)).collect() }
    }

    /// The line of a span's start, counted from 1.
    fn line(&self, span: Span) -> u32 {
        let ends = self.ends.get(span.file as usize);
        ends.map_or(1, |it| it.partition_point(|end| *end < span.start) as u32 + 1)
    }
}

fn input(consumer: &ParamSpec) -> Node {
    Node {
        name: consumer.name.clone(),
        kind: NodeKind::Input,
        ty: base_type(&consumer.ty).to_owned(),
        file: String::new(),
        line: 0,
        doc: String::new(),
        tags: BTreeMap::new(),
        dependencies: Vec::new(),
        fingerprint: String::new(),
        function: String::new(),
        span: consumer.name_span,
        type_span: consumer.ty_span,
    }
}

/// `Series` for `PolarsResult<Series>`: what the node holds, for people.
fn held_type(output: &str) -> &str {
    let Some((head, arguments)) = output.split_once('<') else { return output };
    let name = head.rsplit("::").next().unwrap_or(head);
    if !name.ends_with("Result") || name.contains(['&', '(', ' ']) {
        return output;
    }
    let Some(arguments) = arguments.strip_suffix('>') else { return output };
    first_argument(arguments)
}

/// The text before the first comma that is not inside brackets.
fn first_argument(arguments: &str) -> &str {
    let mut depth = 0i32;
    let mut previous = ' ';
    for (at, c) in arguments.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if previous == '-' => {}
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => return arguments[..at].trim(),
            _ => {}
        }
        previous = c;
    }
    arguments.trim()
}

/// A parameter's type without `&` and `Option`.
fn base_type(ty: &str) -> &str {
    let mut ty = ty.trim();
    loop {
        if let Some(rest) = ty.strip_prefix('&') {
            ty = rest.trim_start();
            if ty.starts_with('\'') {
                ty = ty.split_once(' ').map_or(ty, |it| it.1);
            }
            continue;
        }
        let option = ty.split_once('<').filter(|it| it.0.rsplit("::").next() == Some("Option"));
        match option.and_then(|it| it.1.strip_suffix('>')) {
            Some(inner) => ty = inner.trim(),
            None => return ty,
        }
    }
}

//! Specs to graph: names become edges, and everything that is wrong is told at once.
//!
//! A parameter is fed by the node of its name; where there is none, it is an input. A function with a fault
//! is left out together with what needs it, so that the graph is always acyclic and no node of it waits for
//! something that a diagnostic was raised for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use rustc_hash::FxBuildHasher;

use super::expand::{Expanded, Need, Planned, expand};
use super::topology::Topology;
use super::{Behaviour, Caching, Dependency, Graph, Literals, Node, NodeKind, PartOf};
use crate::diagnostic::{Diagnostic, sort};
use crate::key::Key;
use crate::parallel::in_parallel;
use crate::source::Sources;
use crate::spec::FileSpec;

/// What besides the files makes a graph.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A node of a later file takes the place of one of an earlier file.
    pub allow_overrides: bool,
    /// Raw literals by key: they choose variants, replace nodes of their name, and are inputs.
    pub config: Literals,
}

/// Builds the graph of some files.
pub fn build(files: &[Arc<FileSpec>], sources: &Sources, options: &Options) -> (Graph, Vec<Diagnostic>) {
    let Expanded { nodes, absent, mut diagnostics } = expand(files, &options.config, options.allow_overrides);
    let nodes = distinct(nodes, options.allow_overrides, &mut diagnostics);
    let mut faulty: BTreeSet<&str> = BTreeSet::new();
    for node in nodes.values() {
        for need in node.needs.iter().filter(|it| it.name == node.name) {
            faulty.insert(node.name);
            diagnostics.push(needs_itself(node, need));
        }
    }
    let feeders = feeders(&nodes);
    for knot in knots(&nodes, &feeders) {
        diagnostics.push(cycle(&nodes, &knot));
        faulty.extend(knot.members.iter().map(|it| nodes[*it].name));
    }
    let graph = Graph { absent, ..assemble(&nodes, &feeders, &faulty, sources) };
    sort(&mut diagnostics);
    (graph, diagnostics)
}

type Nodes<'a> = IndexMap<&'a str, Planned<'a>, FxBuildHasher>;

/// One node for each name.
fn distinct<'a>(
    all: Vec<Planned<'a>>,
    allow_overrides: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Nodes<'a> {
    let mut nodes = Nodes::with_capacity_and_hasher(all.len(), FxBuildHasher);
    for node in all {
        let mut first = match nodes.entry(node.name) {
            Entry::Vacant(free) => {
                free.insert(node);
                continue;
            }
            Entry::Occupied(taken) => taken,
        };
        let first = first.get_mut();
        let same_file = first.span.file == node.span.file;
        if allow_overrides && !same_file {
            *first = node;
            continue;
        }
        let hint = if same_file {
            "rename one of them"
        } else {
            "rename one of them, or let the later file win with `%watch --allow-overrides`"
        };
        let message = match first.function.name_span == node.function.name_span {
            true => format!("one function makes the node `{}` twice", node.name),
            false => format!("two functions make the node `{}`", node.name),
        };
        diagnostics.push(
            Diagnostic::error("duplicate-node", message)
                .at(node.span, "defined again here")
                .at(first.span, "first defined here")
                .hint(hint),
        );
    }
    nodes
}

fn needs_itself(node: &Planned<'_>, need: &Need<'_>) -> Diagnostic {
    Diagnostic::error("self-dependency", format!("`{}` needs itself", node.name))
        .at(need.span, "this parameter names its own node")
        .at(node.span, format!("`{}` is defined here", node.name))
        .hint("name the node or input that it takes, or rename the function")
}

/// Nodes that all need each other, and one loop among them.
struct Knot {
    members: Vec<usize>,
    /// In the direction of the data.
    path: Vec<usize>,
}

/// By node and need: the number of the node that feeds it, if it is none that an input feeds.
type Feeders = Vec<Vec<Option<usize>>>;

fn feeders(nodes: &Nodes<'_>) -> Feeders {
    let of_node = |it: &Planned<'_>| it.needs.iter().map(|need| nodes.get_index_of(need.name)).collect();
    nodes.values().map(of_node).collect()
}

fn knots(nodes: &Nodes<'_>, feeders: &Feeders) -> Vec<Knot> {
    let edges =
        feeders.iter().enumerate().flat_map(|(to, from)| from.iter().flatten().map(move |it| (*it, to)));
    let topology = Topology::new(nodes.len(), edges.filter(|it| it.0 != it.1));
    let knots = topology.knots().into_iter();
    knots.map(|members| Knot { path: topology.loop_through(members[0], &members), members }).collect()
}

fn cycle(nodes: &Nodes<'_>, knot: &Knot) -> Diagnostic {
    let names: Vec<&str> = knot.path.iter().map(|it| nodes[*it].name).collect();
    let shown: Vec<String> = names.iter().chain(names.first()).map(|it| format!("`{it}`")).collect();
    let mut diagnostic = Diagnostic::error("cycle", format!("nodes need each other: {}", shown.join(" -> ")));
    for (position, index) in knot.path.iter().enumerate() {
        let node = &nodes[*index];
        let before = names[(position + names.len() - 1) % names.len()];
        if let Some(need) = node.needs.iter().find(|it| it.name == before) {
            diagnostic = diagnostic.at(need.span, format!("`{}` needs `{before}`", node.name));
        }
    }
    let others: Vec<String> = knot
        .members
        .iter()
        .filter(|it| !knot.path.contains(it))
        .map(|it| format!("`{}`", nodes[*it].name))
        .collect();
    if !others.is_empty() {
        diagnostic = diagnostic.hint(format!("{} are caught in loops with these too", others.join(", ")));
    }
    diagnostic.hint("let a parameter, or a `source(..)`, name an input instead, or split a function in two")
}

/// Nodes that one thread makes at a time.
const CHUNK: usize = 512;

/// The nodes that are sound, and the inputs that they ask for, in topological order.
fn assemble(nodes: &Nodes<'_>, feeders: &Feeders, faulty: &BTreeSet<&str>, sources: &Sources) -> Graph {
    let sound = without_dependents(nodes, faulty);
    // Inputs stand just before their first consumer; rank: declaration of the node, then the need.
    let mut inputs: IndexMap<&str, (usize, usize), FxBuildHasher> = IndexMap::default();
    let mut positions = vec![None; nodes.len()];
    let mut rank: Vec<(usize, usize, usize)> = (0..sound.len()).map(|it| (it, 1, 0)).collect();
    let mut edges = Vec::new();
    for (position, number) in sound.iter().enumerate() {
        positions[*number] = Some(position);
    }
    for (position, number) in sound.iter().enumerate() {
        for (index, need) in nodes[*number].needs.iter().enumerate() {
            let from = match feeders[*number][index] {
                Some(from) => positions[from],
                None => {
                    let input = inputs.entry(need.name);
                    let number = sound.len() + input.index();
                    input.or_insert((position, index));
                    Some(number)
                }
            };
            edges.extend(from.map(|from| (from, position)));
        }
    }
    rank.extend(inputs.values().map(|(position, index)| (*position, 0, *index)));
    let order = Topology::new(rank.len(), edges).order(&rank);
    let node = |number: &usize| match sound.get(*number) {
        Some(node) => transform(&nodes[*node], sources),
        None => {
            let (position, index) = inputs[*number - sound.len()];
            input(&nodes[sound[position]].needs[index])
        }
    };
    // Most of the time goes into allocating; a small graph is done before a thread has started.
    let chunks: Vec<&[usize]> = order.chunks(CHUNK).collect();
    let nodes = match chunks.as_slice() {
        [] | [_] => vec![order.iter().map(node).collect()],
        _ => in_parallel(chunks.len(), |it| chunks[it].iter().map(node).collect::<Vec<Node>>()),
    };
    let mut graph = Graph::default();
    graph.nodes.reserve(order.len());
    graph.nodes.extend(nodes.into_iter().flatten().map(|it| (it.name.clone(), it)));
    graph
}

/// The nodes that neither are faulty nor need one that is, by number.
fn without_dependents<'a>(nodes: &'a Nodes<'_>, faulty: &BTreeSet<&'a str>) -> Vec<usize> {
    let mut lost: BTreeSet<&str> = faulty.clone();
    loop {
        let before = lost.len();
        if before > 0 {
            for node in nodes.values() {
                if node.needs.iter().any(|it| lost.contains(it.name)) {
                    lost.insert(node.name);
                }
            }
        }
        if lost.len() == before {
            break;
        }
    }
    (0..nodes.len()).filter(|it| !lost.contains(nodes[*it].name)).collect()
}

fn transform(node: &Planned<'_>, sources: &Sources) -> Node {
    let dependency = |need: &Need<'_>| Dependency {
        name: need.name.to_owned(),
        parameter: need.parameter,
        place: need.place.clone(),
        optional: need.optional,
        default: need.default.as_ref().map(|it| it.raw.clone()),
        default_span: need.default.as_ref().map(|it| it.span).unwrap_or_default(),
        ty: need.ty.to_owned(),
        span: need.span,
    };
    // A part's code is what it takes out; of what, is in the version of what it needs.
    let fingerprint = match &node.part {
        // A column is named after its node.
        Some(PartOf::Column { column, fill }) => Key::new("column 1")
            .text(column)
            .optional(fill.as_ref().map(String::as_bytes))
            .text(node.name)
            .finish_hex(),
        Some(PartOf::Field(field)) => Key::new("field 1").text(field).finish_hex(),
        None => node.function.fingerprint.clone(),
    };
    Node {
        name: node.name.to_owned(),
        kind: NodeKind::Transform,
        ty: node.ty.to_owned(),
        file: sources.file(node.span.file).map(|it| it.path.clone()).unwrap_or_default(),
        line: line(node, sources),
        doc: node.doc.clone().into_owned(),
        tags: node.tags.clone().into_owned(),
        dependencies: node.needs.iter().map(dependency).collect(),
        fixed: node.fixed.clone(),
        part: node.part.clone(),
        schema: node.schema.to_vec(),
        // Parts are taken out again at no cost; what counts for nothing as a whole does so in parts.
        caching: match (&node.part, node.function.shape.caching.behaviour) {
            (None, _) => node.function.shape.caching.clone(),
            (Some(_), Behaviour::Ignore) => Caching { behaviour: Behaviour::Ignore, ..Caching::default() },
            (Some(_), _) => Caching::default(),
        },
        fingerprint,
        function: node.shim.clone().into_owned(),
        origin: node.function.path.clone(),
        span: node.span,
        type_span: node.function.output_span,
    }
}

/// The line where the node is named, counted from 1: the function's, or near it.
fn line(node: &Planned<'_>, sources: &Sources) -> u32 {
    let (function, at) = (node.function.name_span, node.span);
    let text = sources.file(at.file).map_or("", |it| &it.text);
    let lines = |from: u32, to: u32| {
        let between = text.get(from as usize..to as usize).unwrap_or_default();
        between.bytes().filter(|it| *it == b'\n').count() as u32
    };
    // Attributes stand above the name.
    node.function.line + lines(function.start, at.start) - lines(at.start, function.start)
}

fn input(need: &Need<'_>) -> Node {
    Node {
        name: need.name.to_owned(),
        kind: NodeKind::Input,
        ty: base_type(need.item_ty).to_owned(),
        file: String::new(),
        line: 0,
        doc: String::new(),
        tags: BTreeMap::new(),
        dependencies: Vec::new(),
        fixed: Vec::new(),
        part: None,
        schema: Vec::new(),
        caching: Caching::default(),
        fingerprint: String::new(),
        function: String::new(),
        origin: String::new(),
        span: need.span,
        type_span: need.ty_span,
    }
}

/// `f64` for `&[f64]`, `Vec<f64>` and `HashMap<String, f64>`: what goes into a group, for people.
pub(super) fn element_type(ty: &str) -> &str {
    let base = base_type(ty);
    if let Some(inner) = base.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return inner.trim();
    }
    let Some(arguments) = base.split_once('<').and_then(|it| it.1.strip_suffix('>')) else {
        return base;
    };
    split_arguments(arguments).pop().unwrap_or_default()
}

/// The items of a tuple as written; nothing for another type.
pub(super) fn tuple_items(ty: &str) -> Vec<&str> {
    let inner = ty.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
    inner.map_or_else(Vec::new, split_arguments)
}

fn split_arguments(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let first = first_argument(rest);
        let start = rest.find(first).unwrap_or(0);
        items.push(first);
        rest = rest[start + first.len()..].trim_start().strip_prefix(',').unwrap_or_default();
    }
    items
}

/// `Series` for `PolarsResult<Series>`: what the node holds, for people.
pub(crate) fn held_type(output: &str) -> &str {
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

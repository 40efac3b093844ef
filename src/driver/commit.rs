//! A graph joined to its functions: names become numbers, and every edge is compared.
//!
//! The types are rustc's, told by the shims, so the comparison is exact where any reading of source text
//! would guess. It is done on the graph in force, which no compiler has seen as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use brooklet_graph::graph::{Graph, Node, NodeKind};
use brooklet_graph::wire::EdgeMismatch;

use super::CommitError;
use crate::executor::StepNames;
use crate::glue::{Function, ParamInfo, TypeInfo};
use crate::value::Decode;
use crate::version::Version;

/// What a node's code hashes to: one part of its key.
pub(super) type Code = Version;

/// A graph that is ready to run.
#[derive(Default)]
pub(super) struct Committed {
    pub graph: Graph,
    /// In the order of the graph, which is topological.
    pub nodes: Vec<Ready>,
}

/// One node, with everything looked up.
pub(super) struct Ready {
    pub names: Arc<StepNames>,
    pub code: Code,
    /// `None` for an input.
    pub function: Option<Function>,
    /// By parameter: the node that feeds it.
    pub feeds: Vec<Feed>,
    /// What the node holds, and how a literal in its place is read. `None` for an input that nothing takes.
    pub holds: Option<(TypeInfo, Option<Decode>)>,
    /// Nodes that take this one.
    pub dependents: Vec<usize>,
}

#[derive(Clone, Copy)]
pub(super) struct Feed {
    pub index: usize,
    pub optional: bool,
}

impl Committed {
    pub fn new(graph: Graph, functions: &[Function]) -> Result<Committed, CommitError> {
        let by_path: HashMap<&str, &Function> = functions.iter().map(|it| (it.path, it)).collect();
        let missing: Vec<String> = graph
            .nodes
            .values()
            .filter(|node| node.kind == NodeKind::Transform)
            .filter(|node| by_path.get(node.function.as_str()).is_none_or(|it| !has_all_params(node, it)))
            .map(|node| node.name.clone())
            .collect();
        if !missing.is_empty() {
            return Err(CommitError::MissingFunctions(missing));
        }
        let functions: Vec<Option<&Function>> =
            graph.nodes.values().map(|node| by_path.get(node.function.as_str()).copied()).collect();
        let consumers = consumers(&graph, &functions);
        let mut mismatches = Vec::new();
        let mut nodes = Vec::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.values().enumerate() {
            let (holds, mut wrong) = match functions[index] {
                Some(function) => compare_transform(node, function, &consumers[index]),
                None => compare_input(node, &consumers[index]),
            };
            mismatches.append(&mut wrong);
            nodes.push(Ready {
                names: Arc::new(names(node)),
                code: code(node, functions[index]),
                function: functions[index].cloned(),
                feeds: feeds(node, &graph),
                holds,
                dependents: consumers[index].iter().map(|it| it.index).collect(),
            });
        }
        if mismatches.is_empty() {
            Ok(Committed { graph, nodes })
        } else {
            Err(CommitError::Edges(mismatches))
        }
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.graph.nodes.get_index_of(name)
    }

    pub fn name(&self, index: usize) -> &str {
        &self.nodes[index].names.node
    }

    /// The short name of what each node holds.
    pub fn types(&self) -> BTreeMap<String, String> {
        let short = |it: &Ready| it.holds.as_ref().map_or_else(String::new, |(ty, _)| ty.short());
        self.nodes.iter().map(|it| (it.names.node.clone(), short(it))).collect()
    }
}

/// One parameter that takes a node.
struct Consumer<'a> {
    index: usize,
    name: &'a str,
    parameter: usize,
    takes: &'a ParamInfo,
}

fn has_all_params(node: &Node, function: &Function) -> bool {
    node.dependencies.len() == function.params.len()
        && node.dependencies.iter().all(|it| it.parameter < function.params.len())
}

fn consumers<'a>(graph: &'a Graph, functions: &[Option<&'a Function>]) -> Vec<Vec<Consumer<'a>>> {
    let mut consumers: Vec<Vec<Consumer<'a>>> = graph.nodes.iter().map(|_| Vec::new()).collect();
    for (index, node) in graph.nodes.values().enumerate() {
        let Some(function) = functions[index] else { continue };
        for dependency in &node.dependencies {
            if let Some(from) = graph.nodes.get_index_of(&dependency.name) {
                let takes = &function.params[dependency.parameter];
                consumers[from].push(Consumer {
                    index,
                    name: &node.name,
                    parameter: dependency.parameter,
                    takes,
                });
            }
        }
    }
    consumers
}

fn names(node: &Node) -> StepNames {
    let mut parameters = vec![String::new(); node.dependencies.len()];
    for dependency in &node.dependencies {
        dependency.name.clone_into(&mut parameters[dependency.parameter]);
    }
    StepNames { node: node.name.clone(), parameters }
}

fn feeds(node: &Node, graph: &Graph) -> Vec<Feed> {
    let mut dependencies: Vec<_> = node.dependencies.iter().collect();
    dependencies.sort_by_key(|it| it.parameter);
    dependencies
        .into_iter()
        .filter_map(|it| Some(Feed { index: graph.nodes.get_index_of(&it.name)?, optional: it.optional }))
        .collect()
}

/// Fingerprints reach helpers by name, and a name means something else in another module. So the module
/// belongs to the code; the function's own name does not.
fn code(node: &Node, function: Option<&Function>) -> Code {
    let module = node.function.rsplit_once("::").map_or("", |(module, _)| module);
    let holds = function.map_or("", |it| it.output.name);
    Version::of_bytes(format!("{module}\0{}\0{holds}", node.fingerprint).as_bytes())
}

type Compared = (Option<(TypeInfo, Option<Decode>)>, Vec<EdgeMismatch>);

/// Every consumer must accept what the function gives.
fn compare_transform(node: &Node, function: &Function, consumers: &[Consumer<'_>]) -> Compared {
    let found = function.output_type();
    let mismatches = consumers
        .iter()
        .filter(|it| !it.takes.accepts.iter().any(|accepted| accepted.id == found.id))
        .map(|it| EdgeMismatch {
            from: node.name.clone(),
            to: it.name.to_owned(),
            parameter: it.parameter,
            expected: it.takes.accepts[0].short(),
            found: found.short(),
            other_consumer: None,
        })
        .collect();
    let decode =
        consumers.iter().filter(|it| it.takes.accepts[0].id == found.id).find_map(|it| it.takes.decode);
    (Some((found, decode)), mismatches)
}

/// All consumers must accept one type: the first in the order of the first consumer that all accept.
fn compare_input(node: &Node, consumers: &[Consumer<'_>]) -> Compared {
    let Some(first) = consumers.first() else { return (None, Vec::new()) };
    let accepts =
        |it: &Consumer<'_>, ty: TypeInfo| it.takes.accepts.iter().any(|accepted| accepted.id == ty.id);
    let common = first.takes.accepts.iter().copied().find(|ty| consumers.iter().all(|it| accepts(it, *ty)));
    if let Some(ty) = common {
        let same_type = consumers.iter().filter(|it| it.takes.accepts[0].id == ty.id);
        let decode = same_type.into_iter().find_map(|it| it.takes.decode);
        return (Some((ty, decode)), Vec::new());
    }
    let mismatches: Vec<EdgeMismatch> = consumers[1..]
        .iter()
        .filter(|it| !first.takes.accepts.iter().any(|ty| accepts(it, *ty)))
        .map(|it| EdgeMismatch {
            from: node.name.clone(),
            to: it.name.to_owned(),
            parameter: it.parameter,
            expected: it.takes.accepts[0].short(),
            found: first.takes.accepts[0].short(),
            other_consumer: Some((first.name.to_owned(), first.parameter)),
        })
        .collect();
    (None, mismatches)
}

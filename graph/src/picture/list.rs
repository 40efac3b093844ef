//! The graph as a list for machines: `%dag --as json`, `%nodes --as json`.

use serde_json::{Value, json as object};

use crate::graph::{Graph, Node};

use super::view::{Kind, View};

/// All nodes of the graph, sorted by name. `required` and `optional` are direct dependencies, in the order of
/// the parameters.
pub fn json(graph: &Graph) -> Value {
    list(graph.nodes.values().collect())
}

/// As [`json`], only the nodes that a view shows; those inside a collapsed file among them.
pub fn json_of(graph: &Graph, view: &View) -> Value {
    let names = view.nodes.iter().flat_map(|it| match it.kind {
        Kind::File => it.members.iter().map(|it| it.name.as_str()).collect(),
        Kind::Transform | Kind::Input => vec![it.name.as_str()],
    });
    list(names.filter_map(|it| graph.nodes.get(it)).collect())
}

fn list(mut nodes: Vec<&Node>) -> Value {
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes.into_iter().map(entry).collect()
}

fn entry(node: &Node) -> Value {
    let names = |optional: bool| -> Vec<&str> {
        node.dependencies.iter().filter(|it| it.optional == optional).map(|it| it.name.as_str()).collect()
    };
    object!({
        "name": node.name,
        "kind": node.kind,
        "type": node.ty,
        "file": node.file,
        "line": node.line,
        "doc": node.doc,
        "tags": node.tags,
        "required": names(false),
        "optional": names(true),
    })
}

//! What changed between two graphs.
//!
//! This is the heart of the notebook experience: everything after a save depends on it being right,
//! and on it being small. It is a pure function of two graphs; it knows nothing of caches or values.
//!
//! Guiding rule: when in doubt, report *changed*. A node run needlessly costs time; a node not run is a lie.

use serde::{Deserialize, Serialize};

use super::{Graph, Node};

/// Names of nodes, each list in the order of the graph that has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub added: Vec<String>,
    /// Another code, or fed from elsewhere.
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// Same code; only documentation or tags differ.
    pub docs_only: Vec<String>,
}

impl Change {
    /// Whether nothing has to be drawn or run anew.
    pub fn is_empty(&self) -> bool {
        self == &Change::default()
    }
}

/// Compares two graphs by node name and code fingerprint.
///
/// A renamed transform is one removed node and one added node. We do not guess renames: a wrong
/// guess would show an old value under a new name, and recomputing once is cheap.
pub fn diff(old: &Graph, new: &Graph) -> Change {
    let mut change = Change::default();
    for (name, node) in &new.nodes {
        match old.nodes.get(name) {
            None => change.added.push(name.clone()),
            Some(before) if differs(before, node) => change.changed.push(name.clone()),
            Some(before)
                if before.doc != node.doc || before.tags != node.tags || before.schema != node.schema =>
            {
                change.docs_only.push(name.clone());
            }
            Some(_) => {}
        }
    }
    change.removed = old.nodes.keys().filter(|it| !new.nodes.contains_key(*it)).cloned().collect();
    change
}

fn differs(old: &Node, new: &Node) -> bool {
    let fed = |it: &Node| -> Vec<_> {
        let one = |it: &super::Dependency| {
            (it.name.clone(), it.parameter, it.place.clone(), it.optional, it.default.clone())
        };
        it.dependencies.iter().map(one).collect()
    };
    let fixed = |it: &Node| -> Vec<_> {
        it.fixed.iter().map(|it| (it.parameter, it.place.clone(), it.literal.clone())).collect()
    };
    old.kind != new.kind
        || old.fingerprint != new.fingerprint
        || old.ty != new.ty
        || old.part != new.part
        || fed(old) != fed(new)
        || fixed(old) != fixed(new)
}

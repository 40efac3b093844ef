//! Questions about a graph: what a node needs, what needs it, and what is missing.
//!
//! Nodes are kept in topological order, so every walk is one pass over them, forwards or backwards. Answers
//! are in that order too.

use std::collections::{BTreeMap, BTreeSet};

use super::{Absent, Dependency, Graph, Node, NodeKind};
use crate::diagnostic::{Diagnostic, sort};

/// Which tags a node must have: with any of some values, or at all.
pub type TagFilter = BTreeMap<String, Option<Vec<String>>>;

impl Graph {
    /// The nodes that have every one of the tags, in the order of the graph.
    ///
    /// # Errors
    /// If a tag is to have one of no values: nothing could.
    pub fn with_tags(&self, filter: &TagFilter) -> Result<Vec<&Node>, String> {
        if let Some((tag, _)) = filter.iter().find(|it| it.1.as_ref().is_some_and(Vec::is_empty)) {
            return Err(format!(
                "the tag `{tag}` is to have one of no values; leave the list out to ask for the tag"
            ));
        }
        let has = |node: &Node, (tag, wanted): (&String, &Option<Vec<String>>)| match (
            node.tags.get(tag),
            wanted,
        ) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(values), Some(wanted)) => wanted.iter().any(|it| values.contains(it)),
        };
        Ok(self.nodes.values().filter(|node| filter.iter().all(|it| has(node, it))).collect())
    }

    /// The targets and all that they need.
    pub fn upstream_of(&self, targets: &[&str]) -> Vec<String> {
        self.needed(targets, &BTreeSet::new())
    }

    /// The targets and all that they need, if nothing has to be computed behind the nodes in `given`.
    pub fn needed(&self, targets: &[&str], given: &BTreeSet<String>) -> Vec<String> {
        let mut wanted: BTreeSet<&str> = targets.iter().copied().collect();
        let mut found = Vec::new();
        for (name, node) in self.nodes.iter().rev() {
            if wanted.contains(name.as_str()) {
                found.push(name.clone());
                if !given.contains(name) {
                    wanted.extend(node.dependencies.iter().map(|it| it.name.as_str()));
                }
            }
        }
        found.reverse();
        found
    }

    /// The named nodes and all that need them.
    pub fn downstream_of(&self, names: &[&str]) -> Vec<String> {
        let mut reached: BTreeSet<&str> =
            names.iter().copied().filter(|it| self.nodes.contains_key(*it)).collect();
        for (name, node) in &self.nodes {
            if node.dependencies.iter().any(|it| reached.contains(it.name.as_str())) {
                reached.insert(name);
            }
        }
        self.nodes.keys().filter(|it| reached.contains(it.as_str())).cloned().collect()
    }

    /// All nodes on any way from one node to another, both included; nothing if there is no way.
    pub fn path_between(&self, from: &str, to: &str) -> Vec<String> {
        let upstream: BTreeSet<String> = self.upstream_of(&[to]).into_iter().collect();
        if !upstream.contains(from) {
            return Vec::new();
        }
        self.downstream_of(&[from]).into_iter().filter(|it| upstream.contains(it)).collect()
    }

    /// The nodes that need a node directly.
    pub fn dependents(&self, name: &str) -> Vec<String> {
        self.consumers(name).map(|(node, _)| node.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The parameters that a node feeds.
    pub fn consumers<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a Node, &'a Dependency)> {
        let name = name.to_owned();
        self.nodes.values().flat_map(move |node| {
            let name = name.clone();
            node.dependencies.iter().filter(move |it| it.name == name).map(move |it| (node, it))
        })
    }

    /// The inputs that the targets need: those that must be given, and those that may be left out.
    pub fn required_inputs(&self, targets: &[&str]) -> (Vec<String>, Vec<String>) {
        self.inputs_of(targets, &BTreeSet::new())
    }

    fn inputs_of(&self, targets: &[&str], given: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
        let needed = self.needed(targets, given);
        let mut required: BTreeSet<&str> = targets.iter().copied().collect();
        for node in needed.iter().filter(|it| !given.contains(*it)).filter_map(|it| self.nodes.get(it)) {
            required.extend(node.dependencies.iter().filter(|it| !it.optional).map(|it| it.name.as_str()));
        }
        let is_input = |it: &String| self.nodes.get(it).is_some_and(|it| it.kind == NodeKind::Input);
        needed.into_iter().filter(is_input).partition(|it| required.contains(it.as_str()))
    }
}

/// What stands in the way of computing some targets: unknown names, and inputs without a value. `inputs` and
/// `overrides` are the names that values are given for.
pub fn check_targets(
    graph: &Graph,
    targets: &[String],
    inputs: &BTreeSet<String>,
    overrides: &BTreeSet<String>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for name in targets.iter().filter(|it| !graph.nodes.contains_key(*it) && !inputs.contains(*it)) {
        diagnostics.push(match graph.absent.get(name) {
            Some(absent) => no_variant(absent, &[]),
            None => unknown(graph, name, "there is no node"),
        });
    }
    for name in overrides.iter().filter(|it| !graph.nodes.contains_key(*it)) {
        diagnostics.push(unknown(graph, name, "there is nothing to override: no node is named"));
    }
    let given: BTreeSet<String> = inputs.union(overrides).cloned().collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let (required, _) = graph.inputs_of(&targets, &given);
    let needed: BTreeSet<String> = graph.needed(&targets, &given).into_iter().collect();
    for name in required.iter().filter(|it| !given.contains(*it)) {
        diagnostics.push(missing(graph, name, &needed, &given));
    }
    sort(&mut diagnostics);
    diagnostics
}

fn unknown(graph: &Graph, name: &str, message: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("unknown-target", format!("{message} `{name}`"));
    let near = similar(name, graph.nodes.keys().map(String::as_str));
    if !near.is_empty() {
        let near: Vec<String> = near.iter().map(|it| format!("`{it}`")).collect();
        diagnostic = diagnostic.hint(format!("did you mean {}?", near.join(" or ")));
    } else if graph.nodes.is_empty() {
        diagnostic = diagnostic.hint("no file is watched yet: `%watch PATH`");
    } else {
        diagnostic = diagnostic.hint("`%nodes` lists all nodes");
    }
    diagnostic
}

fn missing(graph: &Graph, name: &str, needed: &BTreeSet<String>, given: &BTreeSet<String>) -> Diagnostic {
    let consumers: Vec<(&Node, &Dependency)> = graph
        .consumers(name)
        .filter(|(node, it)| !it.optional && needed.contains(&node.name) && !given.contains(&node.name))
        .collect();
    if let Some(absent) = graph.absent.get(name) {
        return no_variant(absent, &consumers);
    }
    let names: BTreeMap<&str, ()> = consumers.iter().map(|it| (it.0.name.as_str(), ())).collect();
    let names: Vec<String> = names.keys().map(|it| format!("`{it}`")).collect();
    let message = match names.is_empty() {
        true => format!("input `{name}` has no value"),
        false => format!("input `{name}` has no value; needed by {}", names.join(", ")),
    };
    let mut diagnostic = Diagnostic::error("missing-input", message);
    // A few places are enough; the message has all names.
    for (node, dependency) in consumers.iter().take(3) {
        diagnostic =
            diagnostic.at(dependency.span, format!("`{}` takes it as `{}`", node.name, dependency.ty));
    }
    let near: Vec<String> = similar(name, given.iter().map(String::as_str));
    if let Some(near) = near.first().filter(|it| !graph.nodes.contains_key(*it)) {
        diagnostic = diagnostic.hint(format!("did you mean `{name}` when you gave `{near}`?"));
    }
    diagnostic.hint(format!("give it a value: `%input {name}=..`"))
}

/// A node is needed, and no variant of it is there.
fn no_variant(absent: &Absent, consumers: &[(&Node, &Dependency)]) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("no-variant", absent.message.clone());
    for (span, wants) in &absent.variants {
        diagnostic = diagnostic.at(*span, wants.clone());
    }
    for (node, dependency) in consumers.iter().take(3) {
        diagnostic = diagnostic.at(dependency.span, format!("`{}` needs it", node.name));
    }
    diagnostic.hint(absent.hint.clone())
}

/// The names nearest to a misspelt one, at most three, nearest first.
pub fn similar<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|it| distance(name, it, limit).map(|distance| (distance, it)))
        .filter(|(_, it)| *it != name)
        .collect();
    near.sort();
    near.into_iter().take(3).map(|it| it.1.to_owned()).collect()
}

/// How many insertions, deletions, substitutions and swaps of neighbours lead from one word to another,
/// without regard to case; `None` if more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().filter(|it| *it <= limit)
}

//! `%config` and `%input`: raw literals that accumulate until they are taken back.
//!
//! Literals stay raw text. What they mean is decided where the consuming parameter's type is known, so a
//! wrong literal is told by the run that needs it, or by `%check`.

use brooklet_graph::graph::{Graph, Literals, NodeKind, consulted_keys, diff, possible_nodes};

use super::Execution;
use super::errors::{self, Result};
use super::grammar::Call;
use super::text::{self, Table};
use crate::engine::Stream;
use crate::reload::Revision;

/// Sets values; an empty one takes the name back. Returns the names that changed.
fn set(values: &mut Literals, pairs: Vec<(String, String)>) -> Vec<String> {
    let mut changed = Vec::new();
    for (name, value) in pairs {
        let is_change = if value.is_empty() {
            values.remove(&name).is_some()
        } else {
            values.insert(name.clone(), value.clone()).as_ref() != Some(&value)
        };
        if is_change {
            changed.push(name);
        }
    }
    changed
}

/// Names that stand in both; a name is one or the other.
fn in_both<'a>(pairs: &'a [(String, String)], other: &Literals) -> Option<&'a str> {
    pairs.iter().find(|it| !it.1.is_empty() && other.contains_key(&it.0)).map(|it| it.0.as_str())
}

impl Execution<'_> {
    /// `%config k=v …`
    pub(super) fn config(&self, call: &Call) -> Result<()> {
        let pairs = call.pairs().map_err(|it| errors::usage(&it))?;
        if pairs.is_empty() {
            let config = self.shared.knowledge().config.clone();
            if config.is_empty() {
                self.show("no configuration is set", None);
                return Ok(());
            }
            let mut table = Table::new(&["name", "value"]);
            for (name, value) in config {
                table.row(vec![name, shortened(&value)]);
            }
            self.show(table.plain(), Some(table.html("")));
            return Ok(());
        }
        let mut knowledge = self.shared.knowledge();
        if let Some(name) = in_both(&pairs, &knowledge.inputs) {
            let error = call.error(format!("`{name}` is an input; take it back with `%input {name}=` first"));
            return Err(errors::usage(&error));
        }
        let given: Vec<String> = pairs.iter().filter(|it| !it.1.is_empty()).map(|it| it.0.clone()).collect();
        let changed = set(&mut knowledge.config, pairs);
        stale(&mut knowledge, &changed);
        let (config, before) = (knowledge.config.clone(), knowledge.revision.clone());
        drop(knowledge);
        self.shared.reloader.configure(config);
        if self.shared.watched().is_empty() {
            return Ok(());
        }
        let revision = self.revision()?;
        for warning in unread(&given, &revision) {
            self.output.stream(Stream::Stderr, &format!("warning: {warning}\n"));
        }
        // The picture is news only where the shape of the graph is another one.
        match before.map(|it| diff(&it.graph, &revision.graph)) {
            Some(change) if change.is_empty() => Ok(()),
            _ => self.draw_change(),
        }
    }

    /// `%input k=v …`
    pub(super) fn input(&self, call: &Call) -> Result<()> {
        let pairs = call.pairs().map_err(|it| errors::usage(&it))?;
        if pairs.is_empty() {
            return self.show_inputs();
        }
        let mut knowledge = self.shared.knowledge();
        if let Some(name) = in_both(&pairs, &knowledge.config) {
            let error =
                call.error(format!("`{name}` is configured; take it back with `%config {name}=` first"));
            return Err(errors::usage(&error));
        }
        let given: Vec<String> = pairs.iter().filter(|it| !it.1.is_empty()).map(|it| it.0.clone()).collect();
        let changed = set(&mut knowledge.inputs, pairs);
        stale(&mut knowledge, &changed);
        drop(knowledge);
        // While the files do not compile nobody knows what they will take.
        let Ok(revision) = self.revision() else { return Ok(()) };
        for warning in warnings(&given, &revision.graph) {
            self.output.stream(Stream::Stderr, &format!("warning: {warning}\n"));
        }
        Ok(())
    }

    fn show_inputs(&self) -> Result<()> {
        let graph = self.revision().map(|it| it.graph.clone());
        let (inputs, config) = {
            let knowledge = self.shared.knowledge();
            (knowledge.inputs.clone(), knowledge.config.clone())
        };
        // Inputs can be looked at also while the files do not compile; then their types are not known.
        let table = table(&inputs, &config, graph.as_ref().unwrap_or(&Graph::default()));
        if table.is_empty() {
            self.show("no inputs are given, and the graph has none", None);
        } else {
            self.show(table.plain(), Some(table.html("")));
        }
        graph.map(drop)
    }
}

fn stale(knowledge: &mut super::Knowledge, changed: &[String]) {
    if let Some(revision) = knowledge.revision.clone() {
        knowledge.mirror.stale(changed, &revision.graph);
    }
}

/// Configured names that neither a condition asks for nor a node takes or is replaced by.
fn unread(given: &[String], revision: &Revision) -> Vec<String> {
    let known = consulted_keys(&revision.parsed.files);
    let nodes = || revision.graph.nodes.keys().map(String::as_str);
    // A configured node that nothing takes is in the graph no more, but its function is.
    let possible = possible_nodes(&revision.parsed.files);
    let is_known = |it: &str| known.contains(it) || nodes().any(|name| name == it) || possible.contains(it);
    let odd = given.iter().filter(|it| !is_known(it));
    odd.map(|name| {
        let near = text::did_you_mean(name, known.iter().map(String::as_str).chain(nodes()));
        format!("nothing reads `{name}`{near}")
    })
    .collect()
}

/// What is odd about names that were given.
fn warnings(given: &[String], graph: &Graph) -> Vec<String> {
    if graph.nodes.is_empty() {
        return Vec::new();
    }
    let inputs = || graph.nodes.values().filter(|it| it.kind == NodeKind::Input).map(|it| it.name.as_str());
    given
        .iter()
        .filter_map(|name| match graph.nodes.get(name) {
            Some(node) if node.kind == NodeKind::Transform => Some(format!(
                "`{name}` is computed by a transform, so the input is not used; `--override {name}=…` of %run takes its \
                 place"
            )),
            Some(_) => None,
            None => Some(format!("nothing takes `{name}`{}", text::did_you_mean(name, inputs()))),
        })
        .collect()
}

/// Given inputs and those that the graph still lacks.
fn table(inputs: &Literals, config: &Literals, graph: &Graph) -> Table {
    let mut table = Table::new(&["input", "value", "type", "taken by"]);
    let takers = |name: &str| {
        let is_taker = |it: &&brooklet_graph::graph::Node| it.dependencies.iter().any(|it| it.name == name);
        let names: Vec<&str> = graph.nodes.values().filter(is_taker).map(|it| it.name.as_str()).collect();
        if names.len() > 4 {
            format!("{} and {} more", names[..3].join(", "), names.len() - 3)
        } else {
            names.join(", ")
        }
    };
    for (name, value) in inputs {
        let node = graph.nodes.get(name);
        let ty = node.map(|it| it.ty.clone()).unwrap_or_default();
        let takers = match node.map(|it| it.kind) {
            Some(NodeKind::Input) => takers(name),
            Some(NodeKind::Transform) => "(not used: a transform computes it)".to_owned(),
            None => "(nothing)".to_owned(),
        };
        table.row(vec![name.clone(), shortened(value), ty, takers]);
    }
    let is_open = |name: &str| !inputs.contains_key(name) && !config.contains_key(name);
    for node in graph.nodes.values().filter(|it| it.kind == NodeKind::Input && is_open(&it.name)) {
        let mut edges =
            graph.nodes.values().flat_map(|it| &it.dependencies).filter(|it| it.name == node.name);
        let missing = if edges.all(|it| it.optional) { "(none: optional)" } else { "(missing)" };
        table.row(vec![node.name.clone(), missing.to_owned(), node.ty.clone(), takers(&node.name)]);
    }
    table
}

/// A literal on one line of a table.
fn shortened(literal: &str) -> String {
    const LONGEST: usize = 60;
    let line = literal.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{graph, node};

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_accumulate_and_are_taken_back_by_an_empty_one() {
        let mut values = Literals::new();
        assert_eq!(set(&mut values, pairs(&[("a", "1"), ("b", "2")])), ["a", "b"]);
        assert_eq!(set(&mut values, pairs(&[("b", "2"), ("c", "3")])), ["c"]);
        assert_eq!(set(&mut values, pairs(&[("a", ""), ("x", "")])), ["a"]);
        assert_eq!(values.keys().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_name_is_an_input_or_configured() {
        let config: Literals = pairs(&[("region", "us")]).into_iter().collect();
        assert_eq!(in_both(&pairs(&[("a", "1"), ("region", "eu")]), &config), Some("region"));
        assert_eq!(in_both(&pairs(&[("region", "")]), &config), None);
    }

    #[test]
    fn inputs_that_nothing_takes_are_told_with_the_nearest_name() {
        let graph = graph(vec![node("spend", &[]), node("total", &["spend"])]);
        let names = ["spned", "total", "spend"].map(str::to_owned);
        let warnings = warnings(&names, &graph);
        assert_eq!(warnings[0], "nothing takes `spned`, did you mean `spend`?");
        assert!(warnings[1].starts_with("`total` is computed by a transform"));
        assert_eq!(warnings.len(), 2);
    }

    #[test]
    fn the_table_shows_given_unused_and_missing_inputs() {
        let graph = graph(vec![node("spend", &[]), node("fx", &[]), node("total", &["spend", "fx"])]);
        let inputs = pairs(&[("spend", "[1,\n 2]"), ("odd", "1")]).into_iter().collect();
        let plain = table(&inputs, &Literals::new(), &graph).plain();
        assert_eq!(
            plain,
            "input  value      type    taken by\n\
             odd    1                  (nothing)\n\
             spend  [1, 2]     Series  total\n\
             fx     (missing)  Series  total"
        );
    }
}

//! `%nodes`, `%source` and `%check`: what the graph is made of.

use std::sync::Arc;

use brooklet_graph::graph::{Literals, Node, NodeKind, TagFilter, check_targets};
use brooklet_graph::picture::{self, Selection, State, View};
use brooklet_graph::wire::MimeBundle;

use super::errors::{self, Result};
use super::grammar::Call;
use super::link::is_fresh;
use super::run::{configured, given_nodes, names};
use super::text::{self, Table};
use super::words::unquote;
use super::{Execution, Shared};
use crate::engine::CellError;
use crate::highlight;
use crate::reload::Revision;

/// So many nodes are listed for people; `--as json` lists all.
const ROWS: usize = 1000;

/// The text of a node's function with its documentation; `None` for an input.
pub fn source_of<'a>(revision: &'a Revision, node: &Node) -> Option<&'a str> {
    let functions = revision.parsed.files.iter().flat_map(|it| &it.functions);
    let function = functions.into_iter().find(|it| !node.origin.is_empty() && it.path == node.origin)?;
    Some(revision.sources.text(function.span))
}

impl Execution<'_> {
    /// The node of that name, or an error that says which are near.
    pub(super) fn node<'a>(&self, revision: &'a Revision, name: &str) -> Result<&'a Node> {
        let graph = &revision.graph;
        if graph.nodes.is_empty() {
            return Err(self.nothing_watched());
        }
        graph.nodes.get(name).ok_or_else(|| {
            let near = text::did_you_mean(name, graph.nodes.keys().map(String::as_str));
            errors::hinted(
                "unknown-target",
                format!("there is no node `{name}`{near}"),
                "`%nodes` lists them",
            )
        })
    }

    /// `%nodes [--tag k=v] [--as json]`
    pub(super) fn nodes(&self, call: &Call) -> Result<()> {
        let revision = self.revision()?;
        let mut chosen: Vec<&Node> = revision.graph.nodes.values().collect();
        // One after the other, because a tag may be asked for twice.
        for it in call.values("--tag") {
            let with = revision.graph.with_tags(&TagFilter::from([tag(&it)]));
            let with = with.map_err(|it| errors::usage(&call.error(it)))?;
            chosen.retain(|node| with.iter().any(|it| it.name == node.name));
        }
        if call.value("--as").is_some() {
            let mut view = View::of(&revision.graph, &Selection::default());
            view.nodes.retain(|it| chosen.iter().any(|node| node.name == it.name));
            let json = picture::json_of(&revision.graph, &view);
            let plain = serde_json::to_string_pretty(&json).unwrap_or_default();
            self.output.display(&MimeBundle::text(plain).with("application/json", json), None);
            return Ok(());
        }
        if revision.graph.nodes.is_empty() {
            return Err(self.nothing_watched());
        }
        if chosen.is_empty() {
            self.show("no node has these tags", None);
            return Ok(());
        }
        let knowledge = self.shared.knowledge();
        let mut table = Table::new(&["node", "type", "place", "value", "documentation"]);
        for node in chosen {
            let seen = knowledge.mirror.nodes.get(&node.name);
            let given = || (node.kind == NodeKind::Input).then(|| knowledge.given(&node.name)).flatten();
            let value = match seen.map(|it| (it.summary.shape.as_str(), &it.state)) {
                None | Some((_, State::Idle)) => given().map_or(String::new(), |_| "given".to_owned()),
                Some(("", state)) if is_fresh(state) => "kept".to_owned(),
                Some(("", state)) => state.word().to_owned(),
                Some((shape, state)) if is_fresh(state) => shape.to_owned(),
                Some((shape, state)) => format!("{shape} ({})", state.word()),
            };
            let place = self.shared.place(node);
            let place = if place.is_empty() { "input".to_owned() } else { place };
            let doc = node.doc.lines().next().unwrap_or_default().to_owned();
            table.row(vec![node.name.clone(), node.ty.clone(), place, value, doc]);
        }
        drop(knowledge);
        let table = table.cut(ROWS);
        self.show(table.plain(), Some(table.html("")));
        Ok(())
    }

    /// `%source NODE`
    pub(super) fn source(&self, call: &Call) -> Result<()> {
        let revision = self.revision()?;
        let node = self.node(&revision, &call.texts()[0])?;
        let Some(source) = source_of(&revision, node) else {
            let takers = revision.graph.dependents(&node.name);
            return Err(errors::hinted(
                "NoSource",
                format!("`{}` is an input, so it has no code; taken by {}", node.name, text::list(&takers)),
                &format!("%input {}=…", node.name),
            ));
        };
        let place = self.shared.place(node);
        self.show(format!("// {place}\n{source}"), Some(source_html(&place, source)));
        Ok(())
    }

    /// `%check TARGET…`
    pub(super) fn check(&self, call: &Call) -> Result<()> {
        let usage = |it| errors::usage(&it);
        let inputs = call.option_pairs("--input").map_err(usage)?.into_iter().collect();
        let overrides = call.option_pairs("--override").map_err(usage)?.into_iter().collect();
        let revision = self.revision()?;
        let graph = &revision.graph;
        if graph.nodes.is_empty() {
            return Err(self.nothing_watched());
        }
        let mut targets = call.texts();
        if targets.is_empty() {
            targets = graph
                .nodes
                .values()
                .filter(|it| it.kind == NodeKind::Transform)
                .map(|it| it.name.clone())
                .collect();
        }
        let of_run: Literals = inputs;
        let inputs = self.literals(&of_run);
        let mut diagnostics = check_targets(graph, &targets, &names(&inputs), &names(&overrides));
        diagnostics.extend(given_nodes(&revision, &of_run));
        diagnostics.extend(configured(&self.shared.knowledge().config, &of_run));
        let known = errors::problems(&diagnostics, &revision.sources, &[]);
        // Of unknown targets the worker could say nothing that is not said already.
        let targets: Vec<String> = targets.into_iter().filter(|it| graph.nodes.contains_key(it)).collect();
        let failures = self
            .shared
            .ask(&revision, "it checked the targets", |worker| worker.check(&targets, &inputs, &overrides))?;
        let told: Vec<_> =
            failures.into_iter().filter(|it| known.is_none() || it.kind != "missing-input").collect();
        let failed = (!told.is_empty()).then(|| errors::failures(&told, graph, &revision.sources));
        match (known, failed) {
            (Some(first), Some(second)) => Err(joined(first, second)),
            (Some(error), None) | (None, Some(error)) => Err(error),
            (None, None) => {
                let names: Vec<&str> = targets.iter().map(String::as_str).collect();
                let needed = graph.upstream_of(&names);
                let inputs = needed
                    .iter()
                    .filter(|it| graph.nodes.get(*it).is_some_and(|it| it.kind == NodeKind::Input));
                let inputs = inputs.count();
                let line = format!(
                    "{} can run: {} and {} are needed, no problem found",
                    text::list(&targets),
                    text::count(needed.len() - inputs, "node"),
                    text::count(inputs, "input"),
                );
                self.show(line, None);
                Ok(())
            }
        }
    }
}

impl Shared {
    /// File and line of a node; empty for an input.
    pub fn place(&self, node: &Node) -> String {
        if node.file.is_empty() {
            String::new()
        } else {
            format!("{}:{}", self.shown_path(&node.file), node.line)
        }
    }
}

fn joined(mut first: CellError, second: CellError) -> CellError {
    first.traceback.push(String::new());
    first.traceback.extend(second.traceback);
    first
}

/// `owner`, `owner=ds`, `region=[us, "uk"]`: a tag, and which values are asked for.
fn tag(text: &str) -> (String, Option<Vec<String>>) {
    let Some((key, value)) = text.split_once('=') else { return (text.to_owned(), None) };
    let values = match value.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(list) if list.trim().is_empty() => Vec::new(),
        Some(list) => list.split(',').map(|it| unquote(it.trim())).collect(),
        None => vec![unquote(value)],
    };
    (key.to_owned(), Some(values))
}

/// Code with its colours; line numbers as in the file, so that errors can be found.
pub fn source_html(place: &str, source: &str) -> String {
    let colour = |class: &str, theme: &str, fallback: &str| {
        format!(".brooklet-source .h-{class}{{color:var(--jp-mirror-editor-{theme}-color,{fallback})}}")
    };
    let style = [
        colour("k", "keyword", "#8250df"),
        colour("s", "string", "#0a7d33"),
        colour("n", "number", "#0969da"),
        colour("c", "comment", "#6e7781"),
        colour("t", "variable-2", "#0969da"),
        colour("m", "meta", "#b35900"),
    ]
    .concat();
    format!(
        "<style>{style}.brooklet-source{{text-align:left}}</style><div class=\"brooklet-source\"><div \
         style=\"opacity:.7\">{}</div><pre>{}</pre></div>",
        brooklet_graph::html::escape(place),
        highlight::rust(source)
    )
}

/// For tests and `%diff`: the sources of all nodes by name.
pub fn source_by_name(revision: &Arc<Revision>, name: &str) -> Option<String> {
    revision.graph.nodes.get(name).and_then(|node| source_of(revision, node)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{graph, node};

    #[test]
    fn tags_must_all_be_there() {
        let mut tagged = node("total", &["spend"]);
        tagged.tags.insert("owner".into(), vec!["ds".into(), "web".into()]);
        let graph = graph(vec![node("spend", &[]), tagged]);
        let find =
            |tags: &[&str]| graph.with_tags(&tags.iter().map(|it| tag(it)).collect()).map(|it| it.len());
        assert_eq!(find(&[]), Ok(2));
        assert_eq!(find(&["owner=\"web\""]), Ok(1));
        assert_eq!(find(&["owner"]), Ok(1));
        assert_eq!(find(&["owner=[ml, ds]"]), Ok(1));
        assert_eq!(find(&["owner=ds", "pii=no"]), Ok(0));
        assert!(find(&["owner=[]"]).is_err());
    }

    #[test]
    fn highlighted_code_is_escaped() {
        assert!(source_html("a.rs:1", "fn a() -> Vec<f64> {}").contains("&lt;"));
    }
}

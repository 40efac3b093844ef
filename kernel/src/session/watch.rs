//! `%watch` and `%unwatch`: which files make the graph.

use std::sync::Arc;

use brooklet_graph::graph::{Change, Graph, NodeKind, diff};
use brooklet_graph::picture::Selection;
use brooklet_graph::wire::MimeBundle;

use super::Execution;
use super::difference;
use super::display::{draw, fresh_id};
use super::errors::{self, Result};
use super::grammar::Call;
use super::text;
use crate::reload::Revision;

impl Execution<'_> {
    /// `%watch PATH…`
    pub(super) fn watch(&self, call: &Call) -> Result<()> {
        let paths = call.texts();
        if paths.is_empty() && !call.flag("--allow-overrides") {
            let watched = self.shared.watched();
            if watched.is_empty() {
                return Err(errors::usage(
                    &call.error("nothing is watched yet: %watch needs a file or a directory"),
                ));
            }
            self.show(format!("watching {}", watched.join(", ")), None);
            return Ok(());
        }
        let watched = self.shared.reloader.watch(&paths, call.flag("--allow-overrides"));
        watched.map_err(|it| errors::usage(&call.error(it)))?;
        self.draw_change()
    }

    /// `%unwatch PATH…`
    pub(super) fn unwatch(&self, call: &Call) -> Result<()> {
        let names: Vec<String> = call.texts().into_iter().map(|it| self.watched_name(it)).collect();
        let removed = self.shared.reloader.unwatch(&names);
        let removed = removed.map_err(|it| errors::usage(&call.error(it)))?;
        let removed: Vec<String> = removed.iter().map(|it| self.shared.shown_path(it)).collect();
        if removed.is_empty() {
            self.show("nothing is watched", None);
            return Ok(());
        }
        if self.shared.reloader.watched().is_empty() {
            self.show(format!("no longer watching {}; nothing is watched now", removed.join(", ")), None);
            return Ok(());
        }
        self.draw_change()
    }

    /// A cell's transform may be named as the cell names it, or as the list of what is watched shows it.
    fn watched_name(&self, name: String) -> String {
        let module = name.strip_prefix("%%transform ").unwrap_or(&name);
        let module = module.strip_suffix(".rs").unwrap_or(module);
        match self.shared.knowledge().transforms.get(module) {
            Some(path) => path.to_string_lossy().into_owned(),
            None => name,
        }
    }

    /// Draws the graph as it is now and says what that changed. Commits it too, so that edges which do not
    /// fit are told now and not by the first run.
    pub(super) fn draw_change(&self) -> Result<()> {
        let before = self.shared.knowledge().revision.clone();
        let revision = self.revision()?;
        if !revision.graph.nodes.is_empty() {
            self.shared.commit(&revision)?;
        }
        // Against nothing at all everything would be new, which is no news.
        let before = before.filter(|it| !it.graph.nodes.is_empty());
        let change = before.map(|it| diff(&it.graph, &revision.graph)).unwrap_or_default();
        self.draw_graph(&revision, &change);
        self.shared.live.acknowledge(&revision);
        Ok(())
    }

    fn draw_graph(&self, revision: &Arc<Revision>, change: &Change) {
        let mut view = self.view(revision, &Selection::default());
        view.mark_change(change);
        let id = fresh_id("dag");
        let line = line(&revision.graph, &self.shared.watched(), change);
        let picture = draw(&view, &id);
        let html = picture.data.get("text/html").and_then(|it| it.as_str()).unwrap_or_default();
        let html =
            format!("{html}<div class=\"brooklet-note\">{}</div>", brooklet_graph::html::escape(&line));
        let plain = format!("{}\n{line}", picture.plain().trim_end());
        self.output.display(&MimeBundle::text(plain.trim_start()).with("text/html", html), Some(&id));
    }
}

/// What is watched, how much that is, and what is new.
fn line(graph: &Graph, watched: &[String], change: &Change) -> String {
    let inputs = graph.nodes.values().filter(|it| it.kind == NodeKind::Input).count();
    let transforms = graph.nodes.len() - inputs;
    let mut line = format!(
        "watching {}: {}, {}",
        watched.join(", "),
        text::count(transforms, "node"),
        text::count(inputs, "input")
    );
    let change = difference::sentence(change);
    if !change.is_empty() {
        line = format!("{line} · {change}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{graph, node};

    #[test]
    fn the_line_below_the_graph_counts_and_names_what_changed() {
        let graph = graph(vec![node("spend", &[]), node("total", &["spend"])]);
        let watched = ["a.rs".to_owned()];
        assert_eq!(line(&graph, &watched, &Change::default()), "watching a.rs: 1 node, 1 input");
        let change = Change { added: vec!["total".into()], ..Change::default() };
        assert_eq!(line(&graph, &watched, &change), "watching a.rs: 1 node, 1 input · added `total`");
    }
}

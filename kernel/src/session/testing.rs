//! What the session's unit tests share: graphs by hand, and an output that remembers.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use brooklet_graph::graph::{Dependency, Graph, Node, NodeKind};
use brooklet_graph::wire::MimeBundle;

use crate::engine::{Output, Stream};

/// A transform that takes the named nodes; an input if it takes none.
pub fn node(name: &str, needs: &[&str]) -> Node {
    let is_input = needs.is_empty();
    let dependency = |(parameter, name): (usize, &&str)| Dependency {
        name: (*name).to_owned(),
        parameter,
        optional: false,
        ty: "&Series".to_owned(),
        ..Dependency::default()
    };
    Node {
        name: name.to_owned(),
        kind: if is_input { NodeKind::Input } else { NodeKind::Transform },
        ty: "Series".to_owned(),
        file: if is_input { String::new() } else { "t.rs".to_owned() },
        line: if is_input { 0 } else { 3 },
        doc: String::new(),
        tags: BTreeMap::new(),
        dependencies: needs.iter().enumerate().map(dependency).collect(),
        fingerprint: if is_input { String::new() } else { format!("f-{name}") },
        function: if is_input { String::new() } else { format!("t::{name}") },
        ..Node::default()
    }
}

/// A graph of nodes in topological order.
pub fn graph(nodes: Vec<Node>) -> Graph {
    Graph { nodes: nodes.into_iter().map(|it| (it.name.clone(), it)).collect(), ..Graph::default() }
}

/// Keeps what is shown.
#[derive(Default)]
pub struct Recorder {
    shown: Mutex<Vec<(&'static str, MimeBundle)>>,
    changed: Condvar,
}

impl Recorder {
    fn push(&self, kind: &'static str, bundle: MimeBundle) {
        self.shown.lock().unwrap().push((kind, bundle));
        self.changed.notify_all();
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.shown.lock().unwrap().iter().map(|it| it.0).collect()
    }

    pub fn last(&self) -> MimeBundle {
        self.shown.lock().unwrap().last().map(|it| it.1.clone()).unwrap_or_default()
    }

    /// Waits until so many things were shown.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let shown = self.shown.lock().unwrap();
        let limit = Duration::from_secs(20);
        let (shown, _) = self.changed.wait_timeout_while(shown, limit, |it| it.len() < count).unwrap();
        assert!(shown.len() >= count, "only {} shown", shown.len());
    }
}

impl Output for Recorder {
    fn stream(&self, stream: Stream, text: &str) {
        self.push(if stream == Stream::Stdout { "stdout" } else { "stderr" }, MimeBundle::text(text));
    }

    fn display(&self, bundle: &MimeBundle, _display_id: Option<&str>) {
        self.push("display", bundle.clone());
    }

    fn update(&self, bundle: &MimeBundle, _display_id: &str) {
        self.push("update", bundle.clone());
    }

    fn result(&self, bundle: &MimeBundle) {
        self.push("result", bundle.clone());
    }

    fn clear(&self, _wait: bool) {
        self.push("clear", MimeBundle::default());
    }

    fn page(&self, text: &str) {
        self.push("page", MimeBundle::text(text));
    }

    fn input(&self, _prompt: &str, _password: bool) -> Result<String, String> {
        Err("nobody is there".to_owned())
    }
}

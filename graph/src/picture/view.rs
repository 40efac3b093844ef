//! What a picture shows, as plain data, before any format.
//!
//! A [`View`] is made once per request from the graph and a [`Selection`], and then updated in place while
//! a run goes on. It holds copies of what it shows, so it can outlive the graph it was made from: an old
//! picture is redrawn with a notice when its graph is gone.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::graph::{Change, Graph, NodeKind};
use crate::source::{SourceFile, Sources};
use crate::wire::{Event, Summary};

use super::select;

/// What of a graph is drawn, and how: the arguments of `%dag`.
///
/// The parts of the graph that `targets`, `around` and `path` name are united; when none of them is given,
/// everything is drawn. Names that the graph does not have are ignored: whoever parsed the request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The nodes asked for, marked as such. Without `up` and `down`, all that they need is drawn too.
    pub targets: Vec<String>,
    /// How many edges to follow upstream from the targets.
    pub up: Option<usize>,
    /// How many edges to follow downstream from the targets.
    pub down: Option<usize>,
    /// A node and a number of edges: everything that near, whichever way the edges point.
    pub around: Option<(String, usize)>,
    /// Two nodes: all that lies on any way from one to the other, in either direction.
    pub path: Option<(String, String)>,
    /// Leaves inputs out.
    pub hide_inputs: bool,
    /// Files, by display path or file name, that are drawn as one box each.
    pub collapse: Vec<String>,
    /// Shows the columns of frames where they are known.
    pub schema: bool,
    /// Which way the edges run.
    pub orientation: Orientation,
}

/// Which way the edges run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// Whichever fits a notebook's column better.
    #[default]
    Auto,
    /// Left to right.
    Lr,
    /// Top to bottom.
    Tb,
}

/// A picture before any format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// In topological order, ties in the order of declaration; only collapsed files that need each other
    /// break it. Edges point into this list.
    pub nodes: Vec<ViewNode>,
    /// In the order of their consumers, then of the parameters. No edge occurs twice.
    pub edges: Vec<ViewEdge>,
    /// Which way the edges run.
    pub orientation: Orientation,
    /// Whether [`ViewNode::columns`] are drawn.
    pub schema: bool,
    /// Names of nodes that the last change took away; told below the picture.
    pub removed: Vec<String>,
    /// One sentence above the picture, such as why it no longer holds; empty for none.
    pub notice: String,
}

/// One box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewNode {
    /// The node's name; for a collapsed file its file name.
    pub name: String,
    /// The type as written, for people; for a collapsed file how many nodes are in it.
    pub ty: String,
    /// What the box stands for.
    pub kind: Kind,
    /// Display path of the file; empty for an input.
    pub file: String,
    /// 1-based line of the function's name; 0 for an input or a collapsed file.
    pub line: u32,
    /// The file's absolute path; empty until [`View::locate`].
    pub absolute: String,
    /// The path by which the frontend opens the file; empty: a click does nothing.
    pub open: String,
    /// The doc comment; shown when the mouse rests on the box.
    pub doc: String,
    /// How the node stands in the current run.
    pub state: State,
    /// The value in a few words, `6 × i64` or a scalar; empty before a run.
    pub shape: String,
    /// What the last change did to the node.
    pub change: Edit,
    /// Whether the node's value was asked for.
    pub is_target: bool,
    /// The columns of a frame where they are known.
    pub columns: Vec<Column>,
    /// The nodes inside a collapsed file; empty for every other box.
    pub members: Vec<Member>,
}

/// What a box stands for; each is drawn in its own outline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    #[default]
    Transform,
    /// A value that the caller supplies.
    Input,
    /// A whole file, drawn as one box.
    File,
}

/// How a node stands in the current run.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// Not part of any run yet.
    #[default]
    Idle,
    /// Planned, and not yet its turn.
    Waiting,
    /// Its function is being called.
    Running,
    /// Its function was called and gave a value.
    Done {
        /// How long the call took.
        milliseconds: f64,
        /// False where the new value equals the old one.
        changed: bool,
    },
    /// The kept value was taken.
    Reused,
    /// The value was given: an input or an override.
    Taken,
    /// The function gave an error or panicked, or the value could not be taken.
    Failed {
        /// The error in one sentence; its first line is shown in the box.
        message: String,
    },
    /// Not run, because something upstream failed or the run was interrupted.
    Skipped,
    /// The value shown is of older code or older inputs.
    Stale,
}

/// What the last change of the source did to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edit {
    /// Nothing, or nothing but its documentation.
    #[default]
    None,
    /// It was not there before.
    Added,
    /// Its code, or what it is fed from, is another.
    Changed,
}

/// One column of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its data type, `i64`.
    pub ty: String,
}

/// One node inside a collapsed file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// The node's name.
    pub name: String,
    /// How it stands in the current run; the box shows the state that most wants to be seen.
    pub state: State,
}

/// One arrow: what `from` holds is a parameter of `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewEdge {
    /// Index into [`View::nodes`].
    pub from: usize,
    /// Index into [`View::nodes`].
    pub to: usize,
    /// The parameter is an `Option`; drawn dashed.
    pub optional: bool,
}

impl View {
    /// Takes what the selection asks for out of the graph.
    pub fn of(graph: &Graph, selection: &Selection) -> View {
        select::view(graph, selection)
    }

    /// Fills in where the files are. `open` gives the path by which the frontend opens a file, if it can.
    pub fn locate(&mut self, sources: &Sources, open: impl Fn(&SourceFile) -> Option<String>) {
        for node in &mut self.nodes {
            if let Some(file) = sources.files.iter().find(|it| !node.file.is_empty() && it.path == node.file)
            {
                node.absolute = file.absolute.clone();
                node.open = open(file).unwrap_or_default();
            }
        }
    }

    /// Marks what a change of the source added and changed.
    pub fn mark_change(&mut self, change: &Change) {
        for node in &mut self.nodes {
            let is_in = |names: &[String]| match node.members.as_slice() {
                [] => names.contains(&node.name),
                members => members.iter().any(|it| names.contains(&it.name)),
            };
            // A collapsed file is new only if all of it is: one new function in it is a change of the file.
            let all_added =
                !node.members.is_empty() && node.members.iter().all(|it| change.added.contains(&it.name));
            let (added, changed) = (is_in(&change.added), is_in(&change.changed));
            node.change = match (added, changed) {
                (true, _) if node.members.is_empty() || all_added => Edit::Added,
                (true, _) | (_, true) => Edit::Changed,
                _ => Edit::None,
            };
        }
        self.removed.clone_from(&change.removed);
    }

    /// Brings the picture up to date with something the driver did.
    pub fn apply(&mut self, places: &Places, event: &Event) {
        match event {
            Event::WillPlan { nodes } => {
                for name in nodes {
                    self.set(places, name, State::Waiting, None);
                }
            }
            Event::WillRun { node } => self.set(places, node, State::Running, None),
            Event::DidRun { node, milliseconds, changed, summary, .. } => {
                let state = State::Done { milliseconds: *milliseconds, changed: *changed };
                self.set(places, node, state, Some(summary));
            }
            Event::DidReuse { node, summary } => self.set(places, node, State::Reused, Some(summary)),
            Event::DidTake { node, summary } => self.set(places, node, State::Taken, Some(summary)),
            Event::DidFail { node, failure } => {
                self.set(places, node, State::Failed { message: failure.message.clone() }, None);
            }
            Event::DidSkip { node, .. } => self.set(places, node, State::Skipped, None),
            Event::DidWarn { .. } => {}
        }
    }

    /// Sets the state of one node, wherever it is drawn. An unknown name changes nothing: the picture may
    /// show a part of the graph only.
    fn set(&mut self, places: &Places, name: &str, state: State, summary: Option<&Summary>) {
        if let Some((node, member)) = places.of.get(name) {
            self.nodes[*node].set(*member, state, summary);
        }
    }

    /// Sets the states of all nodes that `seen` knows.
    pub fn set_all<'a>(&mut self, seen: impl Fn(&str) -> Option<(State, Option<&'a Summary>)>) {
        for node in &mut self.nodes {
            if node.members.is_empty()
                && let Some((state, summary)) = seen(&node.name)
            {
                node.set(None, state, summary);
            }
            for member in 0..node.members.len() {
                if let Some((state, summary)) = seen(&node.members[member].name) {
                    node.set(Some(member), state, summary);
                }
            }
        }
    }

    /// Where each node is drawn, for [`View::apply`]. It holds as long as no box comes or goes.
    pub fn places(&self) -> Places {
        let mut of = HashMap::with_capacity_and_hasher(self.nodes.len(), FxBuildHasher);
        for (index, node) in self.nodes.iter().enumerate() {
            if node.members.is_empty() {
                of.insert(node.name.clone(), (index, None));
            }
            let members = node.members.iter().enumerate();
            of.extend(members.map(|(at, member)| (member.name.clone(), (index, Some(at)))));
        }
        Places { of }
    }

    /// Marks every value that came from a run as stale, and says why above the picture.
    pub fn mark_stale(&mut self, notice: impl Into<String>) {
        for node in &mut self.nodes {
            for state in node.members.iter_mut().map(|it| &mut it.state).chain([&mut node.state]) {
                if matches!(state, State::Done { .. } | State::Reused | State::Taken) {
                    *state = State::Stale;
                }
            }
        }
        self.notice = notice.into();
    }

    /// Display paths of the files in the picture, in order of first appearance.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for node in &self.nodes {
            if !node.file.is_empty() && !files.contains(&node.file.as_str()) {
                files.push(&node.file);
            }
        }
        files
    }
}

impl ViewNode {
    /// Sets the state of the node, or of one inside a collapsed file.
    fn set(&mut self, member: Option<usize>, state: State, summary: Option<&Summary>) {
        if let Some(member) = member {
            self.members[member].state = state;
            self.state = State::of_all(self.members.iter().map(|it| &it.state));
            return;
        }
        // What a node that has no value held before is not its value now.
        if matches!(state, State::Failed { .. } | State::Skipped) {
            self.shape.clear();
        }
        self.state = state;
        if let Some(summary) = summary {
            self.shape.clone_from(&summary.shape);
            if self.ty.is_empty() {
                self.ty.clone_from(&summary.ty);
            }
        }
    }
}

/// Where each node of a view is drawn: which box, and which member of it if the box is a file.
#[derive(Clone, Debug, Default)]
pub struct Places {
    of: HashMap<String, (usize, Option<usize>), FxBuildHasher>,
}

impl State {
    /// The one word that people read.
    pub fn word(&self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Waiting => "waiting",
            State::Running => "running",
            State::Done { changed: true, .. } => "done",
            State::Done { changed: false, .. } => "unchanged",
            State::Reused => "reused",
            State::Taken => "given",
            State::Failed { .. } => "failed",
            State::Skipped => "skipped",
            State::Stale => "stale",
        }
    }

    /// The state of a box that stands for many nodes: the one that most wants to be seen. Times add up.
    fn of_all<'a>(states: impl Iterator<Item = &'a State>) -> State {
        let rank = |state: &State| match state {
            State::Failed { .. } => 9,
            State::Running => 8,
            State::Waiting => 7,
            State::Skipped => 6,
            State::Stale => 5,
            State::Done { changed: true, .. } => 4,
            State::Done { changed: false, .. } => 3,
            State::Reused => 2,
            State::Taken => 1,
            State::Idle => 0,
        };
        let mut total = 0.0;
        let mut first = &State::Idle;
        for state in states {
            if let State::Done { milliseconds, .. } = state {
                total += milliseconds;
            }
            if rank(state) > rank(first) {
                first = state;
            }
        }
        match first {
            State::Done { changed, .. } => State::Done { milliseconds: total, changed: *changed },
            other => other.clone(),
        }
    }
}

impl From<NodeKind> for Kind {
    fn from(kind: NodeKind) -> Kind {
        match kind {
            NodeKind::Transform => Kind::Transform,
            NodeKind::Input => Kind::Input,
        }
    }
}

//! What one record holds.

use std::collections::BTreeMap;

use brooklet_graph::wire::{Event, Numbers, Recompute};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// One run. Fields that are empty are left out, and those that a later release adds are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Eight hexadecimal digits; a beginning of them is enough to name the run.
    pub id: String,
    /// When it began, ISO 8601 in UTC with milliseconds.
    pub began: String,
    /// From the first step to the last, on the clock.
    pub milliseconds: f64,
    pub by: By,
    pub outcome: Outcome,
    /// What failed, `node: message`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    pub targets: Vec<String>,
    /// Literals by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Given>,
    /// What took the place of nodes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, Given>,
    /// What was computed again though its result was kept.
    #[serde(skip_serializing_if = "is_nothing")]
    pub recompute: Recompute,
    /// Files that parameters named, each with the version of its content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// In the order in which they ended.
    pub nodes: Vec<Node>,
    /// The values of the targets in numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, Numbers>,
    /// The transform files as they were.
    pub sources: Vec<Source>,
    /// The graph's shape: `graphs/HASH.json`.
    pub graph: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// Hash of the lock file that dependencies come from; for a program of the program itself.
    pub lock: String,
    /// What `rustc -V` says.
    pub toolchain: String,
    /// The version of Brooklet.
    pub brooklet: String,
}

fn is_nothing(recompute: &Recompute) -> bool {
    *recompute == Recompute::Nothing
}

/// Who ran it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct By {
    /// `notebook` or `program`.
    pub kind: String,
    /// The notebook's or the program's name, as far as it is known.
    pub name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    #[default]
    Done,
    Failed,
    Interrupted,
    /// The process that computed ended.
    Died,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Interrupted => "interrupted",
            Outcome::Died => "died",
        }
    }
}

/// A value that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// As it was written; absent for a value that a program gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<String>,
    /// Its data version; absent where nothing took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What became of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    pub node: String,
    pub state: State,
    /// What it took, if it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// The data version of its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its code's fingerprint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The value in a few words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shape: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ran,
    /// It ran, and its value was the same as before.
    Unchanged,
    Reused,
    Given,
    Failed,
    #[default]
    Skipped,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Ran => "ran",
            State::Unchanged => "unchanged",
            State::Reused => "reused",
            State::Given => "given",
            State::Failed => "failed",
            State::Skipped => "skipped",
        }
    }

    pub fn has_run(self) -> bool {
        matches!(self, State::Ran | State::Unchanged)
    }
}

/// A transform file as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    pub path: String,
    /// The path of its module, `marketing`.
    pub module: String,
    /// Its text is `sources/HASH.rs`.
    pub hash: String,
}

/// Where a repository stood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Git {
    pub commit: String,
    /// Something differed from the commit, be it a file that git does not know.
    pub dirty: bool,
}

/// A moment as records have it, `2026-11-26T23:16:04.123Z`.
pub fn stamp(moment: std::time::SystemTime) -> String {
    DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Record {
    /// When it began, by the clock here: `11-26 23:16:04`.
    pub fn local_time(&self) -> String {
        match DateTime::parse_from_rfc3339(&self.began) {
            Ok(moment) => moment.with_timezone(&Local).format("%m-%d %H:%M:%S").to_string(),
            Err(_) => self.began.clone(),
        }
    }

    /// A record of a run that begins, with an id that no other has.
    pub fn begin(moment: std::time::SystemTime) -> Record {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Record { id: id[..8].to_owned(), began: stamp(moment), ..Record::default() }
    }

    /// Takes in what happened to a node. What was known and is computed after all counts as computed.
    pub fn note(&mut self, event: &Event) {
        let node = match event {
            // It begins anew: what failed fails again.
            Event::WillPlan { .. } => return self.problems.clear(),
            Event::WillRun { .. } | Event::DidWarn { .. } => return,
            Event::DidRun { node, milliseconds, changed, summary, .. } => Node {
                node: node.clone(),
                state: if *changed { State::Ran } else { State::Unchanged },
                milliseconds: Some((milliseconds * 1e4).round() / 1e4),
                shape: summary.shape.clone(),
                ..Node::default()
            },
            Event::DidReuse { node, summary } | Event::DidTake { node, summary } => Node {
                node: node.clone(),
                state: if matches!(event, Event::DidReuse { .. }) { State::Reused } else { State::Given },
                shape: summary.shape.clone(),
                ..Node::default()
            },
            Event::DidFail { node, failure } => {
                self.problems.push(format!("{node}: {}", failure.message));
                Node { node: node.clone(), state: State::Failed, ..Node::default() }
            }
            Event::DidSkip { node, .. } => Node { node: node.clone(), ..Node::default() },
        };
        self.nodes.push(node);
    }

    /// After the last event: of what was told twice the last counts, but for a node that was reused after it ran; and
    /// each node gets its code and its version.
    pub fn settle(&mut self, graph: &brooklet_graph::graph::Graph, versions: &BTreeMap<String, String>) {
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        for (index, it) in self.nodes.iter().enumerate() {
            let ran = last.get(&it.node).is_some_and(|at| self.nodes[*at].state.has_run());
            if !(ran && it.state == State::Reused) {
                last.insert(it.node.clone(), index);
            }
        }
        let mut index = 0;
        self.nodes.retain(|it| {
            index += 1;
            last[&it.node] == index - 1
        });
        for it in &mut self.nodes {
            it.version = versions.get(&it.node).cloned();
            let code = graph.nodes.get(&it.node).map_or("", |it| &it.fingerprint);
            it.code = code.chars().take(32).collect();
        }
        for (name, given) in self.inputs.iter_mut().chain(&mut self.overrides) {
            given.version = versions.get(name).cloned();
        }
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|it| it.node == name)
    }

    /// How many nodes ran.
    pub fn ran(&self) -> usize {
        self.nodes.iter().filter(|it| it.state.has_run()).count()
    }
}

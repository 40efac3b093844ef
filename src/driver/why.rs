//! Why a node ran or was reused: the parts of its key, compared with those of the time before.

use std::sync::Arc;

use brooklet_graph::graph::NodeKind;

use super::Driver;
use super::commit::Code;
use crate::executor::StepNames;
use crate::version::Version;

/// What happened to a node last.
pub(super) struct Record {
    pub how: How,
    /// Where its value is kept; `None` for given values and failures.
    pub key: Option<Version>,
    pub milliseconds: f64,
    pub now: Parts,
    /// The time before, if its key was another one.
    pub before: Option<Parts>,
    pub before_failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Ran,
    Reused,
    Taken,
    Failed,
}

/// What a key is made of, and the value that came of it.
pub(super) struct Parts {
    pub code: Code,
    /// By value that went in; `None` where it was absent.
    pub dependencies: Box<[Option<Version>]>,
    pub names: Arc<StepNames>,
    pub version: Version,
}

impl Driver {
    /// One or two sentences on what happened to a node last, and why.
    pub fn why(&self, name: &str) -> String {
        let Some(index) = self.committed.find(name) else { return format!("There is no node `{name}`.") };
        let node = &self.committed.nodes[index];
        let Some(record) = &self.records[index] else {
            return match self.committed.graph.nodes[index].kind {
                NodeKind::Input => format!("`{name}` is an input; no run has taken its value yet."),
                NodeKind::Transform => format!("`{name}` has not been run yet."),
            };
        };
        let mut text = self.what_happened(name, record);
        if record.how != How::Taken && record.now.code != node.code {
            text.push_str(" Its code has changed since; it will run when it is next needed.");
        } else if record.how != How::Taken && !self.is_kept(index, record) {
            text.push_str(" Its value is no longer kept; it will run when it is next needed.");
        }
        text
    }

    /// Whether the value need not be computed again.
    fn is_kept(&self, index: usize, record: &Record) -> bool {
        match (record.key, &self.committed.nodes[index].call) {
            (Some(key), Some(call)) => self.store.knows(&key, call.output),
            _ => true,
        }
    }

    fn what_happened(&self, name: &str, record: &Record) -> String {
        match record.how {
            How::Taken => format!("`{name}` was given: its value comes from an input or an override."),
            How::Failed => {
                format!("`{name}` ran and failed; a failure is not kept, so it runs again each time.")
            }
            How::Ran => match &record.before {
                None => format!("`{name}` ran because there was no value for it yet."),
                Some(before) => {
                    let changes = self.changes(before, &record.now);
                    let outcome = if before.version == record.now.version {
                        " Its value came out the same, so what depends on it is not stale."
                    } else {
                        ""
                    };
                    match changes.as_slice() {
                        [] if record.before_failed => {
                            format!("`{name}` ran because it failed the time before.")
                        }
                        [] => format!("`{name}` ran because its value was no longer kept.{outcome}"),
                        some => format!("`{name}` ran because {}.{outcome}", list(some)),
                    }
                }
            },
            How::Reused => {
                let changes =
                    record.before.as_ref().map(|it| self.changes(it, &record.now)).unwrap_or_default();
                let inputs: Vec<String> = record.now.names.feeds.iter().map(|it| format!("`{it}`")).collect();
                let key = match inputs.as_slice() {
                    [] => "its code is".to_owned(),
                    some => format!("its code and the {} of {} are", values(some.len()), list(some)),
                };
                if changes.is_empty() {
                    format!("`{name}` was reused: {key} the same as when it ran.")
                } else {
                    format!(
                        "`{name}` was reused: {}, and {key} the same as in an earlier run.",
                        list(&changes)
                    )
                }
            }
        }
    }

    /// The parts in which two keys differ, as clauses.
    fn changes(&self, before: &Parts, now: &Parts) -> Vec<String> {
        let mut changes = Vec::new();
        if before.code != now.code {
            changes.push("its code changed".to_owned());
        }
        if before.names.feeds != now.names.feeds {
            changes.push("it takes other parameters".to_owned());
            return changes;
        }
        for (at, name) in now.names.feeds.iter().enumerate() {
            let (before, now) = (before.dependencies.get(at).copied(), now.dependencies.get(at).copied());
            let is_input = self.committed.graph.nodes.get(name).is_some_and(|it| it.kind == NodeKind::Input);
            let what =
                if is_input { format!("the input `{name}`") } else { format!("the value of `{name}`") };
            match (before.flatten(), now.flatten()) {
                (Some(before), Some(now)) if before != now => changes.push(format!("{what} changed")),
                (None, Some(_)) => changes.push(format!("{what} was given")),
                (Some(_), None) => changes.push(format!("{what} was taken away")),
                _ => {}
            }
        }
        changes
    }
}

fn values(count: usize) -> &'static str {
    if count == 1 { "value" } else { "values" }
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

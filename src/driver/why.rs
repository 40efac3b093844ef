//! Why a node ran or was reused: the parts of its key, compared with those of the time before.

use std::sync::Arc;

use brooklet_graph::graph::{Behaviour, NodeKind};
use brooklet_graph::wire::{Change, Why};

use super::Driver;
use crate::content;
use crate::executor::Computed;
use crate::store::Made;
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
    pub before_how: Option<How>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Ran { cause: Cause },
    Reused,
    Taken,
    Failed,
}

/// Why a node ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There was no result of its key.
    Stale,
    /// The run asked for it.
    Asked,
    /// Its attribute says so.
    Always(Behaviour),
}

/// What a key is made of, and the value that came of it.
pub(super) struct Parts {
    pub made: Made,
    pub version: Version,
    /// Of a frame: its columns with their versions.
    pub columns: Option<Columns>,
}

type Columns = Arc<[(String, Version)]>;

impl Parts {
    pub fn of(made: Made, computed: &Computed) -> Parts {
        Parts { made, version: computed.version, columns: computed.value.get().and_then(content::columns_of) }
    }
}

impl Driver {
    /// What happened to a node last, and why.
    pub fn why(&self, name: &str) -> Why {
        let Some(index) = self.committed.find(name) else {
            return Why::said(format!("There is no node `{name}`."));
        };
        let node = &self.committed.nodes[index];
        let Some(record) = &self.records[index] else {
            if let Some(because) = &self.skipped[index] {
                return Why::said(format!("`{name}` was not run: {because}."));
            }
            return Why::said(match self.committed.graph.nodes[index].kind {
                NodeKind::Input => format!("`{name}` is an input; no run has taken its value yet."),
                NodeKind::Transform => format!("`{name}` has not been run yet."),
            });
        };
        if let Some(because) = &self.skipped[index] {
            return Why::said(format!("`{name}` was not run: {because}."));
        }
        let mut why = self.what_happened(name, record);
        if record.how != How::Taken && record.now.made.code != node.code {
            why.after.push_str(" Its code has changed since; it will run when it is next needed.");
        } else if record.how != How::Taken && !self.is_kept(index, record) {
            why.after.push_str(" Its value is no longer kept; it will run when it is next needed.");
        }
        why
    }

    /// Whether the value need not be computed again.
    fn is_kept(&self, index: usize, record: &Record) -> bool {
        match (record.key, &self.committed.nodes[index].call) {
            (Some(key), Some(call)) => self.store.knows(&key, call.output),
            _ => true,
        }
    }

    fn what_happened(&self, name: &str, record: &Record) -> Why {
        match record.how {
            How::Taken => {
                Why::said(format!("`{name}` was given: its value comes from an input or an override."))
            }
            How::Failed => Why::said(format!(
                "`{name}` ran and failed; a failure is not kept, so it runs again each time."
            )),
            How::Ran { cause } => self.why_it_ran(name, record, cause),
            How::Reused => {
                let before = record.before.as_ref().filter(|_| record.before_how != Some(How::Taken));
                let changes = before.map(|it| self.changes(it, &record.now)).unwrap_or_default();
                let inputs: Vec<String> =
                    record.now.made.names.feeds.iter().map(|it| format!("`{it}`")).collect();
                let key = match inputs.as_slice() {
                    [] => "its code is".to_owned(),
                    some => format!("its code and the {} of {} are", values(some.len()), list(some)),
                };
                if record.before_how == Some(How::Taken) {
                    Why::said(format!(
                        "`{name}` was reused: it was given the time before; now {key} what they were in an earlier run."
                    ))
                } else if changes.is_empty() {
                    Why::said(format!("`{name}` was reused: {key} the same as when it ran."))
                } else {
                    let after = format!("; now {key} what they were in an earlier run.");
                    Why { before: format!("`{name}` was reused: since the last run "), changes, after }
                }
            }
        }
    }

    fn why_it_ran(&self, name: &str, record: &Record, cause: Cause) -> Why {
        let before = format!("`{name}` ran because ");
        let is_same = record.before.as_ref().is_some_and(|it| it.version == record.now.version);
        let outcome = match cause {
            Cause::Always(Behaviour::Disable | Behaviour::Ignore) => "",
            _ if is_same => " Its value came out the same, so what depends on it is not stale.",
            _ => "",
        };
        let plain = |because: &str| Why::said(format!("{before}{because}.{outcome}"));
        match cause {
            Cause::Asked => return plain("the run was to compute it again"),
            Cause::Always(Behaviour::Ignore) => {
                return plain("its value is taken, and `#[cache(ignore)]` keeps none");
            }
            Cause::Always(behaviour) => {
                return plain(&format!("`#[cache({})]` has it run each time", behaviour.word()));
            }
            Cause::Stale => {}
        }
        if record.before_how == Some(How::Taken) {
            return plain("it was given the time before");
        }
        let Some(earlier) = &record.before else { return plain("there was no value for it yet") };
        let changes = self.changes(earlier, &record.now);
        match changes.as_slice() {
            [] if record.before_how == Some(How::Failed) => plain("it failed the time before"),
            [] => plain("its value was no longer kept"),
            _ => Why { before, changes, after: format!(".{outcome}") },
        }
    }

    /// The parts in which two keys differ.
    fn changes(&self, before: &Parts, now: &Parts) -> Vec<Change> {
        let said = |text: String| Change::Said(text);
        let mut changes = Vec::new();
        if before.made.code != now.made.code {
            let (old, new) = (&before.made.names, &now.made.names);
            changes.push(match old.fingerprint == new.fingerprint {
                true => said("its module or the type of its value changed".to_owned()),
                false => Change::Code { before: old.fingerprint.clone(), now: new.fingerprint.clone() },
            });
        }
        if before.made.names.feeds != now.made.names.feeds {
            changes.push(said("it takes other parameters".to_owned()));
            return changes;
        }
        for (at, name) in now.made.names.feeds.iter().enumerate() {
            let version = |it: &Parts| it.made.values.get(at).copied().flatten();
            let is_input = self.committed.graph.nodes.get(name).is_some_and(|it| it.kind == NodeKind::Input);
            let what =
                if is_input { format!("the input `{name}`") } else { format!("the value of `{name}`") };
            match (version(before), version(now)) {
                (Some(before), Some(now)) if before != now => {
                    let columns = self.columns_between(name, before, now);
                    changes.push(said(format!("{what} changed{columns}")));
                }
                (None, Some(_)) => changes.push(said(format!("{what} was given"))),
                (Some(_), None) => changes.push(said(format!("{what} was taken away"))),
                _ => {}
            }
        }
        if before.made.files != now.made.files {
            changes.extend(file_changes(&before.made.files, &now.made.files).map(Change::Said));
        }
        changes
    }

    /// In which columns two values of a node differ, where both were frames: `, in column `spend``.
    fn columns_between(&self, name: &str, before: Version, now: Version) -> String {
        let record = self.committed.find(name).and_then(|it| self.records[it].as_ref());
        let known = |version: Version| {
            let parts = [record.map(|it| &it.now), record.and_then(|it| it.before.as_ref())];
            parts.into_iter().flatten().find(|it| it.version == version)?.columns.clone()
        };
        let (Some(old), Some(new)) = (known(before), known(now)) else { return String::new() };
        let find = |columns: &Columns, name: &str| columns.iter().find(|it| it.0 == name).map(|it| it.1);
        let names = |columns: &Columns, is_meant: &dyn Fn(&(String, Version)) -> bool| -> Vec<String> {
            columns.iter().filter(|it| is_meant(it)).map(|it| format!("`{}`", it.0)).collect()
        };
        let changed = names(&new, &|it| find(&old, &it.0).is_some_and(|old| old != it.1));
        let added = names(&new, &|it| find(&old, &it.0).is_none());
        let removed = names(&old, &|it| find(&new, &it.0).is_none());
        let kept = new.len() - changed.len() - added.len();
        let mut parts = Vec::new();
        if !changed.is_empty() && (kept > 0 || changed.len() == 1) {
            parts.push(format!("in {} {}", columns(changed.len()), list(&changed)));
        } else if !changed.is_empty() {
            parts.push("in all columns".to_owned());
        }
        if !added.is_empty() {
            parts.push(format!("by the new {} {}", columns(added.len()), list(&added)));
        }
        if !removed.is_empty() {
            parts.push(format!("by the loss of {} {}", columns(removed.len()), list(&removed)));
        }
        if parts.is_empty() {
            return ", in the order of its columns".to_owned();
        }
        format!(", {}", parts.join(", "))
    }
}

fn file_changes(before: &[(String, Version)], now: &[(String, Version)]) -> impl Iterator<Item = String> {
    let find = |files: &[(String, Version)], path: &str| files.iter().find(|it| it.0 == path).map(|it| it.1);
    let changed = now.iter().filter_map(|(path, version)| match find(before, path) {
        Some(old) if old == *version => None,
        Some(_) => Some(format!("the file `{path}` changed")),
        None => Some(format!("it reads the file `{path}` now")),
    });
    changed.collect::<Vec<_>>().into_iter()
}

fn values(count: usize) -> &'static str {
    if count == 1 { "value" } else { "values" }
}

fn columns(count: usize) -> &'static str {
    if count == 1 { "column" } else { "columns" }
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

//! What is noted of each node while a run goes on, for `why` and for the next run.

use std::sync::Arc;

use brooklet_graph::graph::Behaviour;
use brooklet_graph::wire::Recompute;

use super::Running;
use crate::driver::why::{Cause, How, Parts, Record};
use crate::executor::Computed;
use crate::store::Made;
use crate::version::Version;

impl Running<'_> {
    /// What a node's value is made of in this run.
    pub(super) fn made_of(&self, index: usize) -> Made {
        let node = &self.driver.committed.nodes[index];
        Made {
            names: node.names.clone(),
            code: node.code,
            values: (0..node.feeds.len()).map(|at| self.version_of(index, at)).collect(),
            files: self.files.get(&index).cloned().unwrap_or_default(),
            format: None,
        }
    }

    /// What is known of the node from an earlier process, if this one has nothing of it yet.
    pub(super) fn before(&self, index: usize) -> Option<Record> {
        if self.driver.records[index].is_some() {
            return None;
        }
        let names = &self.driver.committed.nodes[index].names;
        let (made, version, milliseconds) = self.driver.store.last_of(&names.node)?;
        let is_same = made.names.function == names.function;
        let record = Record {
            how: How::Reused,
            key: None,
            milliseconds,
            now: Parts { made, version, columns: None },
            before: None,
            before_how: None,
        };
        is_same.then_some(record)
    }

    /// Why a node runs whatever is kept of it.
    pub(super) fn cause(&self, index: usize, behaviour: Behaviour) -> Cause {
        let is_asked = match &self.request.recompute {
            Recompute::Nothing => false,
            Recompute::Nodes(nodes) => nodes.iter().any(|it| it == self.driver.committed.name(index)),
            Recompute::All => true,
        };
        match behaviour {
            Behaviour::Reuse if is_asked => Cause::Asked,
            Behaviour::Reuse => Cause::Stale,
            other => Cause::Always(other),
        }
    }

    /// Notes that a node failed. The last value's version stays, so that the next success can say whether it is another
    /// one.
    pub(super) fn note_failure(&mut self, index: usize, milliseconds: f64) {
        let before = self.before(index);
        let last = self.driver.records[index].as_ref().or(before.as_ref()).map(|it| it.now.version);
        let version = last.unwrap_or(Version([0; 16]));
        let now = Parts { made: self.made_of(index), version, columns: None };
        self.note(index, How::Failed, None, now, milliseconds, before);
    }

    /// Notes a value that was given or need not be computed.
    pub(super) fn record(
        &mut self,
        index: usize,
        how: How,
        key: Option<Version>,
        computed: Option<&Computed>,
        version: Version,
        milliseconds: f64,
    ) {
        if let Some(record) = &mut self.driver.records[index]
            && record.now.version == version
            && record.key == key
            && (record.how == How::Taken) == (how == How::Taken)
        {
            self.driver.skipped[index] = None;
            record.how = how;
            record.before = None; // the time before was the same
            return;
        }
        let mut made = self.made_of(index);
        if how == How::Taken {
            made.values = Arc::default();
        }
        let now = match computed {
            Some(computed) => Parts::of(made, computed),
            None => Parts { made, version, columns: None },
        };
        let before = self.before(index);
        self.note(index, how, key, now, milliseconds, before);
    }

    /// Notes what happened, for `why`; whether the value is another one than before.
    pub(super) fn note(
        &mut self,
        index: usize,
        how: How,
        key: Option<Version>,
        now: Parts,
        milliseconds: f64,
        earlier: Option<Record>,
    ) -> bool {
        let record = &mut self.driver.records[index];
        let before = record.take().or(earlier);
        let changed = before.as_ref().is_none_or(|it| it.now.version != now.version);
        let before_how = before.as_ref().map(|it| it.how);
        self.driver.skipped[index] = None;
        // A reuse takes no time, but how long the step takes is still worth knowing.
        let milliseconds = match (&before, how) {
            (Some(before), How::Reused) => before.milliseconds,
            _ => milliseconds,
        };
        *record = Some(Record { how, key, milliseconds, now, before: before.map(|it| it.now), before_how });
        changed
    }
}

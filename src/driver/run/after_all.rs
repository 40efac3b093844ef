//! Values that are only on record, and are read or computed after all because something that runs takes them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use brooklet_graph::graph::Behaviour;

use super::{Running, State};
use crate::driver::given::Target;
use crate::version::Version;

impl Running<'_> {
    /// Gets the values that a node takes, where they can be had without running anything; whether all are there.
    pub(super) fn has_values(&mut self, index: usize) -> bool {
        let feeds: Vec<usize> =
            self.driver.committed.nodes[index].feeds.iter().filter_map(|it| it.from).collect();
        // Each of them, also after one that is not there.
        let missing = feeds.into_iter().filter(|it| !self.obtain(*it)).count();
        missing == 0
    }

    /// Reads a value that is only known. False if it is not there.
    pub(super) fn obtain(&mut self, index: usize) -> bool {
        let key = match &self.states[index] {
            State::Has(_) | State::Absent => return true,
            State::Known { key, .. } => key,
            // It is computed after all, or that has failed.
            _ => return false,
        };
        let node = &self.driver.committed.nodes[index];
        let Some(call) = &node.call else { return true };
        // A result from before it was to be ignored is not what is asked for.
        if node.caching.behaviour == Behaviour::Ignore {
            return false;
        }
        match self.driver.store.load(key, call.output, &node.names) {
            Some(computed) => {
                self.states[index] = State::Has(computed);
                true
            }
            None => false,
        }
    }

    /// Puts a node aside until the values are computed that it takes and nobody has.
    pub(super) fn park(&mut self, index: usize, key: Version) {
        self.states[index] = State::Waiting(0);
        let twins = self.twins_of(index, &key);
        self.ready.extend(twins.into_iter().map(Reverse));
        let feeds = self.driver.committed.nodes[index].feeds.iter().filter_map(|it| it.from).collect();
        self.wait_for(index, feeds);
    }

    /// Has those of the values computed that nobody has; then the node's turn comes again.
    pub(super) fn wait_for(&mut self, index: usize, feeds: Vec<usize>) {
        let has_failed = feeds.iter().any(|it| matches!(self.states[*it], State::Failed { .. }));
        let missing: BTreeSet<usize> = feeds.into_iter().filter(|it| self.is_to_come(*it)).collect();
        if has_failed || missing.is_empty() {
            return self.ready.push(Reverse(index));
        }
        self.lacking.insert(index, missing.len());
        for from in missing {
            self.parked.entry(from).or_default().push(index);
            self.compute_after_all(from);
        }
    }

    /// Whether a node has no value yet and will have one: it is known, or is being computed after all.
    fn is_to_come(&self, index: usize) -> bool {
        match self.states[index] {
            State::Known { .. } => true,
            State::Waiting(_) | State::Running { .. } => self.expected.contains_key(&index),
            _ => false,
        }
    }

    /// The version on record of a node that is being computed after all.
    pub(super) fn expected_of(&self, from: Option<usize>) -> Option<Version> {
        let from = from?;
        match self.states[from] {
            State::Waiting(_) | State::Running { .. } => self.expected.get(&from).copied(),
            _ => None,
        }
    }

    /// Other nodes that will have the value of this one; none if it runs for itself alone, as what is computed again does.
    pub(super) fn twins_of(&mut self, index: usize, key: &Version) -> Vec<usize> {
        match self.twins.get(key) {
            Some((owner, _)) if *owner == index => self.twins.remove(key).map(|it| it.1).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Queues a node that was known.
    fn compute_after_all(&mut self, index: usize) {
        let State::Known { key, known } = &self.states[index] else { return };
        let key = *key;
        self.expected.insert(index, known.version);
        self.states[index] = State::Waiting(0);
        self.twins.entry(key).or_insert((index, Vec::new()));
        self.to_run.push_back((index, key));
    }

    /// At the end: the values of targets that are only known. Whether any must be computed.
    pub(super) fn wants_targets(&mut self) -> bool {
        let targets: Vec<usize> = self
            .targets
            .iter()
            .filter_map(|it| if let Target::Node(index) = it { Some(*index) } else { None })
            .collect();
        for index in targets {
            if !self.obtain(index) {
                self.compute_after_all(index);
            }
        }
        !self.to_run.is_empty()
    }
}

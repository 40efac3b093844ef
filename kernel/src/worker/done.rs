//! What the worker says when a run is over: how it ended at once, and what its record needs soon after.

use std::time::Duration;

use brooklet_graph::wire::{FromWorker, Outcome, RunFacts};
use crossbeam_channel::Receiver;

/// How long the record of a run waits for what the worker says of it.
const FACTS_GRACE: Duration = Duration::from_secs(10);

/// What a worker says at the end of a run.
pub struct Done {
    pub outcome: Outcome,
    /// Given inputs that nothing uses.
    pub unused_inputs: Vec<String>,
    /// Comes soon after.
    pub facts: Option<Facts>,
}

/// What a run leaves for its record, when it has come.
pub struct Facts(Receiver<FromWorker>);

impl Facts {
    pub(super) fn new(from: Receiver<FromWorker>) -> Facts {
        Facts(from)
    }

    /// Waits for them; nothing if the worker ends, or has something else to do for long.
    pub fn wait(self) -> RunFacts {
        match self.0.recv_timeout(FACTS_GRACE) {
            Ok(FromWorker::Facts { facts, .. }) => facts,
            _ => RunFacts::default(),
        }
    }
}

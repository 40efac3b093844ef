//! What the worker keeps of results: where, what is asked of it, and that it is written before the worker ends.

use std::path::Path;
use std::time::Duration;

use brooklet_graph::wire::{CacheOrder, CacheReport, FromWorker, ToWorker};

use super::client::{Key, Worker};
use super::death::Death;

/// How long the end of a worker waits for what it still writes.
const SETTLE_GRACE: Duration = Duration::from_secs(2);

impl Worker {
    /// Has results kept in a directory too. `identity` says what the code is compiled with.
    pub fn keep_results(&self, directory: &Path, identity: &str) {
        let directory = directory.to_string_lossy().into_owned();
        self.send(ToWorker::Store { directory, identity: identity.to_owned() });
    }

    /// Waits until what was computed is on the disk, if that is soon.
    pub fn settle(&self) {
        let request = self.number();
        let answer = self.call(Key::Request(request));
        self.send(ToWorker::Cache { request, order: CacheOrder::Nothing });
        let _ = self.answer(&answer, Some(SETTLE_GRACE));
    }

    /// What is kept, after something was done to it.
    pub fn cache(&self, order: &CacheOrder) -> Result<Result<CacheReport, String>, Death> {
        let request = self.number();
        let answer = self.call(Key::Request(request));
        self.send(ToWorker::Cache { request, order: order.clone() });
        match self.answer(&answer, None)? {
            FromWorker::Cache { answer, .. } => Ok(answer),
            other => Err(self.confused(&other)),
        }
    }
}

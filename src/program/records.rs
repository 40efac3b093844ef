//! The record of one run of a program, from what it was asked to what came of it.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use brooklet_graph::graph::{Graph, Literals};
use brooklet_graph::wire::Event;
use brooklet_records::{Given, Outcome, Record};

use crate::driver::{Report, Request};
use crate::show;
use crate::version::Version;

/// A run that goes on.
pub struct Running {
    record: Record,
    started: Instant,
}

impl Running {
    /// `request` has the configuration among its inputs.
    pub fn begin(config: &Literals, request: &Request) -> Running {
        let mut record = Record::begin(SystemTime::now());
        record.targets.clone_from(&request.targets);
        record.config.clone_from(config);
        record.recompute = request.recompute.clone();
        let given = |literals: &Literals, values: &mut dyn Iterator<Item = &String>| {
            let mut all: BTreeMap<String, Given> = literals
                .iter()
                .filter(|it| !config.contains_key(it.0))
                .map(|(name, it)| (name.clone(), Given { literal: Some(it.clone()), version: None }))
                .collect();
            all.extend(values.map(|it| (it.clone(), Given::default())));
            all
        };
        record.inputs = given(&request.inputs, &mut request.values.keys());
        record.overrides = given(&request.overrides, &mut request.value_overrides.keys());
        Running { record, started: Instant::now() }
    }

    pub fn note(&mut self, event: &Event) {
        self.record.note(event);
    }

    /// The record of a run that is over. `stored` gives the length of the file that holds a node's value.
    pub fn end(self, graph: &Graph, report: &Report, stored: impl Fn(&str) -> Option<u64>) -> Record {
        let Running { mut record, started } = self;
        record.milliseconds = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        record.outcome = match (report.interrupted, report.failures.is_empty()) {
            (true, _) => Outcome::Interrupted,
            (false, true) => Outcome::Done,
            (false, false) => Outcome::Failed,
        };
        let hex = |(name, version): (&String, &Version)| (name.clone(), version.hex());
        record.settle(graph, &report.versions.iter().map(|it| hex((&it.0, &it.1))).collect());
        record.files = report.files.iter().map(hex).collect();
        record.results = report
            .values
            .iter()
            .map(|(name, value)| (name.clone(), show::numbers(value, stored(name))))
            .collect();
        record
    }
}

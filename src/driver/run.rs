//! One run: from targets to values, with an event for everything that happens.
//!
//! The loop settles whatever needs no call (given, reused, skipped), then starts what must run. A single
//! step with nothing beside it runs here, on the caller's thread; so does a step that took no time last
//! time. Only work worth a thread switch goes to the pool.

mod after_all;
mod noting;
mod reading;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use brooklet_graph::graph::Behaviour;
use brooklet_graph::wire::{Event, Failure};

use super::commit::{Call, Feed, Ready, Shape};
use super::given::{Prepared, Target, WrittenValues};
use super::part::schema_difference;
use super::why::{Cause, How, Parts};
use super::{Driver, Report, Request, unique};
use polars::prelude::LazyFrame;

use crate::executor::{self, Computed, Pool, Step, StepResult};
use crate::glue::Argument;
use crate::store::{Found, Known, Made};
use crate::version::{Encoder, Version};

/// The kind of failure of a node that a run must not compute.
const HELD: &str = "Held";
/// How often a run begins anew because a value that was computed again is another one than the one on record. Functions
/// that give another value each time would go on for ever.
const RESTARTS: usize = 3;
/// Steps that took less last time are not worth another thread.
const QUICK_MILLISECONDS: f64 = 0.05;

/// One node's place in a run.
enum State {
    /// How many of its dependencies are still to come.
    Waiting(usize),
    Running {
        key: Version,
    },
    Has(Arc<Computed>),
    /// It need not run; its value is on the disk, or is computed after all if something that runs takes it.
    Known {
        key: Version,
        known: Known,
    },
    /// An input without a value that nobody insists on.
    Absent,
    /// The failed node to blame.
    Failed {
        because: usize,
    },
    Interrupted,
}

impl Driver {
    /// Runs what the targets need and have no value for, and reports. Failures do not stop what does not depend
    /// on them.
    pub fn execute(&mut self, request: &Request, events: &mut dyn FnMut(Event)) -> Report {
        let mut prepared = self.prepare(request);
        let mut report = Report { unused_inputs: prepared.unused_inputs.clone(), ..Report::default() };
        if !prepared.failures.is_empty() {
            self.blame(&prepared, events);
            report.failures = prepared.failures;
            return report;
        }
        self.store.begin();
        self.files.asked.clear();
        for attempt in 1..=RESTARTS {
            let mut run = Running::new(self, prepared.clone(), request, events, &mut report);
            run.announce();
            run.go();
            run.say_what_was_spared();
            let (states, targets, differs) = (run.states, run.targets, run.differs);
            // What was to be computed again is: once is enough.
            for (again, state) in prepared.again.iter_mut().zip(&states) {
                *again &= !matches!(state, State::Has(_));
            }
            if !differs.is_empty() && attempt < RESTARTS && !report.interrupted {
                // What failed fails again.
                report.failures.clear();
                report.warnings.clear();
                continue;
            }
            let mixed = self.downstream_of_all(&differs);
            for index in (0..mixed.len()).filter(|it| mixed[*it]) {
                let because = "it may be of an earlier value".to_owned();
                events(Event::DidSkip { node: self.committed.name(index).to_owned(), because });
            }
            let mut asked_for = Vec::new();
            for target in targets {
                match target {
                    Target::Plain(name, value) => report.values.push((name, value)),
                    Target::Node(index) => {
                        let State::Has(computed) = &states[index] else { continue };
                        if mixed[index] {
                            report.failures.push(Failure {
                                kind: "Unsteady".to_owned(),
                                node: self.committed.name(index).to_owned(),
                                message: "what it depends on gives another value each time it runs"
                                    .to_owned(),
                                ..Failure::default()
                            });
                            continue;
                        }
                        report.values.push((self.committed.name(index).to_owned(), computed.value.clone()));
                        if let Some(record) = &self.records[index]
                            && let Some(key) = record.key
                        {
                            let made = self.made(index, record.now.made.clone());
                            asked_for.push((key, computed.value.ops(), made));
                        }
                    }
                }
            }
            self.store.end(&asked_for);
            report.versions = self.versions(&states);
            break;
        }
        for message in self.store.take_warnings() {
            report.warnings.push((String::new(), message.clone()));
            events(Event::DidWarn { node: String::new(), message });
        }
        report.files = std::mem::take(&mut self.files.asked);
        report
    }

    /// What a result was made of, with how it is to be written.
    fn made(&self, index: usize, made: Made) -> Made {
        Made { format: self.committed.format(index), ..made }
    }

    fn versions(&self, states: &[State]) -> Vec<(String, Version)> {
        let of_state = |(index, state): (usize, &State)| {
            let version = match state {
                State::Has(computed) => computed.version,
                State::Known { known, .. } => known.version,
                _ => return None,
            };
            let node = &self.committed.nodes[index];
            let tells = !matches!(node.caching.behaviour, Behaviour::Disable | Behaviour::Ignore);
            tells.then(|| (node.names.node.clone(), version))
        };
        states.iter().enumerate().filter_map(of_state).collect()
    }

    /// By node: whether it depends on one of these.
    fn downstream_of_all(&self, nodes: &[usize]) -> Vec<bool> {
        let mut below = vec![false; self.committed.nodes.len()];
        if !nodes.is_empty() {
            for (index, node) in self.committed.nodes.iter().enumerate() {
                below[index] =
                    node.feeds.iter().filter_map(|it| it.from).any(|it| below[it] || nodes.contains(&it));
            }
        }
        below
    }

    /// Says of a run that cannot start which nodes cannot be had: values of theirs from before are not current.
    fn blame(&self, prepared: &Prepared, events: &mut dyn FnMut(Event)) {
        let mut blamed: Vec<Option<usize>> = vec![None; prepared.needed.len()];
        for failure in &prepared.failures {
            if let Some(index) = self.committed.find(&failure.node).filter(|it| prepared.needed[*it]) {
                blamed[index] = Some(index);
                events(Event::DidFail { node: failure.node.clone(), failure: failure.clone() });
            }
        }
        for (index, node) in self.committed.graph.nodes.values().enumerate() {
            if !prepared.needed[index] || blamed[index].is_some() || prepared.given[index].is_some() {
                continue;
            }
            let feeds = node.dependencies.iter().filter_map(|it| self.committed.find(&it.name));
            if let Some(because) = feeds.filter_map(|it| blamed[it]).next() {
                blamed[index] = Some(because);
                let because = self.committed.name(because).to_owned();
                events(Event::DidSkip { node: node.name.clone(), because });
            }
        }
    }
}

struct Running<'a> {
    driver: &'a mut Driver,
    states: Vec<State>,
    needed: Vec<bool>,
    given: Vec<Option<Arc<Computed>>>,
    /// Literals of attributes by node and feed.
    written: WrittenValues,
    targets: Vec<Target>,
    /// Nodes whose dependencies are all settled, first in the order of the graph first.
    ready: BinaryHeap<Reverse<usize>>,
    /// Nodes that must run, with their keys.
    to_run: VecDeque<(usize, Version)>,
    in_flight: usize,
    /// By key of what runs or is to run: the node that does, and others that will have the same value.
    twins: HashMap<Version, (usize, Vec<usize>)>,
    /// By node that was known and is computed after all: what waits for its value.
    parked: HashMap<usize, Vec<usize>>,
    /// By parked node: how many values it waits for.
    lacking: HashMap<usize, usize>,
    /// The version on record of each node that is computed after all.
    expected: HashMap<usize, Version>,
    /// Nodes that were computed after all and have another value: what was reused by the old one may not be current.
    differs: Vec<usize>,
    /// By node: whether it runs though its result is kept.
    again: Vec<bool>,
    /// By node: whether its key holds what no other run can have, so that nobody could find its result.
    is_fleeting: Vec<bool>,
    /// By node: whether its version is one that no other run can have.
    is_unique: Vec<bool>,
    /// By node: a path that its parameters name and that is nowhere here.
    unseen: HashMap<usize, String>,
    /// By node: the files that its parameters name, as they are.
    files: HashMap<usize, Arc<[(String, Version)]>>,
    request: &'a Request,
    events: &'a mut dyn FnMut(Event),
    report: &'a mut Report,
}

impl<'a> Running<'a> {
    fn new(
        driver: &'a mut Driver,
        prepared: Prepared,
        request: &'a Request,
        events: &'a mut dyn FnMut(Event),
        report: &'a mut Report,
    ) -> Running<'a> {
        let Prepared { targets, needed, again, given, written, .. } = prepared;
        let mut ready = BinaryHeap::new();
        let mut states = Vec::with_capacity(needed.len());
        for (index, node) in driver.committed.nodes.iter().enumerate() {
            let waits = if given[index].is_some() {
                0
            } else {
                node.feeds.iter().filter(|it| it.from.is_some()).count()
            };
            if needed[index] && waits == 0 {
                ready.push(Reverse(index));
            }
            states.push(State::Waiting(waits));
        }
        Running {
            driver,
            states,
            needed,
            given,
            written,
            targets,
            ready,
            to_run: VecDeque::new(),
            in_flight: 0,
            twins: HashMap::new(),
            parked: HashMap::new(),
            lacking: HashMap::new(),
            expected: HashMap::new(),
            differs: Vec::new(),
            is_fleeting: vec![false; again.len()],
            is_unique: vec![false; again.len()],
            unseen: HashMap::new(),
            again,
            files: HashMap::new(),
            request,
            events,
            report,
        }
    }

    /// The order of everything that will be looked at; an absent optional input is nothing to look at.
    fn announce(&mut self) {
        let nodes = &self.driver.committed.nodes;
        let shown = |index: &usize| {
            self.needed[*index] && (nodes[*index].call.is_some() || self.given[*index].is_some())
        };
        let names = (0..nodes.len()).filter(shown).map(|it| nodes[it].names.node.clone()).collect();
        (self.events)(Event::WillPlan { nodes: names });
    }

    fn go(&mut self) {
        loop {
            while let Some(Reverse(index)) = self.ready.pop() {
                self.settle(index);
            }
            if self.to_run.is_empty() && self.in_flight == 0 && !self.wants_targets() {
                return;
            }
            if self.driver.interrupt.load(Ordering::Relaxed) {
                return self.stop();
            }
            match self.to_run.pop_front() {
                None => self.wait(),
                Some((index, key)) if self.is_held(index) => self.hold_back(index, &key),
                Some((index, key)) if !self.has_values(index) => self.park(index, key),
                Some((index, key)) if self.is_alone() || self.is_quick(index) => {
                    let step = self.start(index, key);
                    self.finish(executor::run(step));
                }
                Some((index, key)) => self.hand_over(index, key),
            }
        }
    }

    fn is_held(&self, index: usize) -> bool {
        !self.request.hold.is_empty()
            && self.request.hold.iter().any(|it| it == self.driver.committed.name(index))
    }

    /// Ends a node that would have to be computed, and must not be.
    fn hold_back(&mut self, index: usize, key: &Version) {
        let twins = self.twins_of(index, key);
        self.to_run.extend(twins.into_iter().map(|it| (it, *key)));
        let node = self.name(index);
        let message = "it would have to be computed, and is held back in this run".to_owned();
        (self.events)(Event::DidSkip { node: node.clone(), because: message.clone() });
        self.driver.skipped[index] = Some(message.clone());
        self.report.failures.push(Failure { kind: HELD.to_owned(), node, message, ..Failure::default() });
        self.complete(index, State::Failed { because: index });
    }

    /// Nothing runs, and nothing else is to run: what waits, waits for the step just taken.
    fn is_alone(&self) -> bool {
        self.in_flight == 0 && self.to_run.is_empty()
    }

    fn is_quick(&self, index: usize) -> bool {
        self.driver.records[index].as_ref().is_some_and(|it| it.milliseconds < QUICK_MILLISECONDS)
    }

    /// Gives a step to the pool, or waits for a free thread. No more steps than threads are handed over, so
    /// that an interrupt finds the others not yet started.
    fn hand_over(&mut self, index: usize, key: Version) {
        let pool = self.driver.pool.get_or_insert_default();
        if self.in_flight >= pool.threads() {
            self.to_run.push_front((index, key));
            return self.wait();
        }
        let step = self.start(index, key);
        self.driver.pool.get_or_insert_with(Pool::new).submit(step);
        self.in_flight += 1;
    }

    fn wait(&mut self) {
        if let Some(result) = self.driver.pool.as_ref().and_then(Pool::wait) {
            self.in_flight -= 1;
            self.finish(result);
        }
    }

    /// Gives a node its value without a call, or queues it.
    fn settle(&mut self, index: usize) {
        if let Some(computed) = self.given[index].take() {
            let (node, summary) = (self.name(index), computed.summary.clone());
            (self.events)(Event::DidTake { node, summary });
            self.record(index, How::Taken, None, Some(&computed), computed.version, 0.0);
            return self.complete(index, State::Has(computed));
        }
        let node = &self.driver.committed.nodes[index];
        if node.call.is_none() {
            return self.complete(index, State::Absent);
        }
        for feed in &node.feeds {
            if let Some(State::Failed { because }) = feed.from.map(|it| &self.states[it]) {
                return self.skip(index, *because);
            }
        }
        let behaviour = node.caching.behaviour;
        if behaviour == Behaviour::Ignore && !self.again[index] && !self.expected.contains_key(&index) {
            // It runs if something takes its value, and not before.
            let version = ignored(&node.names.node);
            let known = Known { version, summary: Default::default(), milliseconds: 0.0 };
            return self.complete(index, State::Known { key: version, known });
        }
        if !node.caching.files.is_empty() {
            match self.look_at_files(index) {
                Ok(true) => {}
                Ok(false) => return,
                Err(message) => return self.fail(index, message),
            }
        }
        let node = &self.driver.committed.nodes[index];
        let Some(call) = &node.call else { return };
        let takes_unique = |it: &Feed| it.from.is_some_and(|it| self.is_unique[it]);
        self.is_fleeting[index] = behaviour == Behaviour::Disable
            || self.unseen.contains_key(&index)
            || node.feeds.iter().any(takes_unique);
        let key = self.key(index, node, call);
        let output = call.output;
        if self.again[index] || matches!(behaviour, Behaviour::Disable | Behaviour::Ignore) {
            return self.to_run.push_back((index, key));
        }
        match self.driver.store.find(&key, output) {
            Found::Here(computed) => self.reuse(index, key, computed),
            Found::Known(known) if !self.expected.contains_key(&index) => {
                let (node, summary) = (self.name(index), known.summary.clone());
                (self.events)(Event::DidReuse { node, summary });
                self.record(index, How::Reused, Some(key), None, known.version, known.milliseconds);
                self.complete(index, State::Known { key, known });
            }
            // Another node has the same code and the same values: one of the two runs.
            Found::Known(_) | Found::Nothing => match self.twins.get_mut(&key) {
                Some((_, twins)) => twins.push(index),
                None => {
                    self.twins.insert(key, (index, Vec::new()));
                    self.to_run.push_back((index, key));
                }
            },
        }
    }

    fn reuse(&mut self, index: usize, key: Version, computed: Arc<Computed>) {
        if self.driver.committed.format(index).is_some() {
            let made = self.driver.made(index, self.made_of(index));
            self.driver.store.write_in_format(&key, &computed, &made);
        }
        let (node, summary) = (self.name(index), computed.summary.clone());
        (self.events)(Event::DidReuse { node, summary });
        self.record(index, How::Reused, Some(key), Some(&computed), computed.version, 0.0);
        self.complete(index, State::Has(computed));
    }

    /// The version of what goes in at a feed.
    fn version_of(&self, index: usize, at: usize) -> Option<Version> {
        let feed = &self.driver.committed.nodes[index].feeds[at];
        match feed.from.map(|it| &self.states[it]) {
            Some(State::Has(computed)) => Some(computed.version),
            Some(State::Known { known, .. }) => Some(known.version),
            _ => self.expected_of(feed.from).or_else(|| self.written.get(&(index, at)).map(|it| it.version)),
        }
    }

    /// What goes in at a feed: the node's value, or the literal that stands there.
    fn fed(&self, index: usize, at: usize) -> Option<&Arc<Computed>> {
        let feed = &self.driver.committed.nodes[index].feeds[at];
        match feed.from.map(|it| &self.states[it]) {
            Some(State::Has(computed)) => Some(computed),
            _ => self.written.get(&(index, at)),
        }
    }

    /// Ends a node that cannot be run.
    fn fail(&mut self, index: usize, message: String) {
        let node = self.name(index);
        let failure = Failure { kind: "Error".to_owned(), node: node.clone(), message, ..Failure::default() };
        self.note_failure(index, 0.0);
        (self.events)(Event::DidFail { node, failure: failure.clone() });
        self.report.failures.push(failure);
        self.complete(index, State::Failed { because: index });
    }

    /// Of nodes whose results are ignored: those that nothing took.
    fn say_what_was_spared(&mut self) {
        for (index, node) in self.driver.committed.nodes.iter().enumerate() {
            let is_ignored = node.caching.behaviour == Behaviour::Ignore;
            if is_ignored && matches!(self.states[index], State::Known { .. }) {
                let because = "nothing that ran takes it".to_owned();
                self.driver.skipped[index] = Some(because.clone());
                (self.events)(Event::DidSkip { node: node.names.node.clone(), because });
            }
        }
    }

    /// The node's code and the versions of all that goes in. A literal counts as the value that it is, so that
    /// giving a default's value changes nothing.
    fn key(&self, index: usize, node: &Ready, call: &Call) -> Version {
        let mut encoding = Vec::with_capacity(16 + 17 * node.feeds.len());
        encoding.extend_from_slice(&node.code.0);
        let mut at = 0;
        for shape in &call.params {
            let (tag, count) = match shape {
                Shape::One => (None, 1),
                Shape::List(count) => (Some(2), *count),
                Shape::Map(count) => (Some(3), *count),
            };
            if let Some(tag) = tag {
                encoding.push(tag);
                encoding.extend_from_slice(&(count as u64).to_le_bytes());
            }
            for at in at..at + count {
                if tag == Some(3) {
                    let key = &node.feeds[at].key;
                    encoding.extend_from_slice(&(key.len() as u64).to_le_bytes());
                    encoding.extend_from_slice(key.as_bytes());
                }
                match self.version_of(index, at) {
                    Some(version) => {
                        encoding.push(1);
                        encoding.extend_from_slice(&version.0);
                    }
                    None => encoding.push(0),
                }
            }
            at += count;
        }
        if let Some(files) = self.files.get(&index) {
            encoding.push(4);
            for (_, version) in files.iter() {
                encoding.extend_from_slice(&version.0);
            }
        }
        if self.unseen.contains_key(&index) {
            encoding.extend_from_slice(&unique().0);
        }
        Version::of_bytes(&encoding)
    }

    /// The arguments of a call, in the order of the parameters.
    fn arguments(&self, index: usize, node: &Ready, call: &Call) -> Vec<Argument> {
        let mut at = 0;
        let mut arguments = Vec::with_capacity(call.params.len());
        for shape in &call.params {
            match shape {
                Shape::One => {
                    arguments.push(Argument::One(self.fed(index, at).map(|it| it.value.clone())));
                    at += 1;
                }
                Shape::List(count) | Shape::Map(count) => {
                    let member =
                        |at: usize| Some((node.feeds[at].key.clone(), self.fed(index, at)?.value.clone()));
                    arguments.push(Argument::Many((at..at + count).filter_map(member).collect()));
                    at += count;
                }
            }
        }
        arguments
    }

    fn start(&mut self, index: usize, key: Version) -> Step {
        let node = &self.driver.committed.nodes[index];
        let call = node.call.as_ref().expect("only calls are queued to run");
        let step = Step {
            index,
            work: call.work.clone(),
            arguments: self.arguments(index, node, call),
            output: call.output,
            derived_version: Version::of_bytes(&key.0),
            names: node.names.clone(),
        };
        (self.events)(Event::WillRun { node: node.names.node.clone() });
        self.states[index] = State::Running { key };
        step
    }

    fn finish(&mut self, result: StepResult) {
        let StepResult { index, milliseconds, hashing, outcome } = result;
        let State::Running { key } = self.states[index] else { return };
        match outcome {
            Ok(mut computed) => {
                let node = &self.driver.committed.nodes[index];
                let (name, behaviour) = (node.names.node.clone(), node.caching.behaviour);
                let own_version = computed.version;
                let is_derived = own_version == Version::of_bytes(&key.0);
                self.is_unique[index] =
                    behaviour == Behaviour::Disable || (self.is_fleeting[index] && is_derived);
                match behaviour {
                    Behaviour::Ignore => (computed.version, self.is_unique[index]) = (ignored(&name), false),
                    Behaviour::Disable => computed.version = unique(),
                    Behaviour::Reuse | Behaviour::Recompute => {}
                }
                let files = self.files_of(index);
                let stayed = self.stayed(&files);
                if !stayed {
                    self.warn(index, format!("a file changed while `{name}` read it; its value is not kept"));
                }
                if let Some(path) = self.unseen.get(&index) {
                    let message = format!(
                        "`{path}` is nowhere here, so what is in it is not known, and the value of `{name}` is not kept"
                    );
                    self.warn(index, message);
                }
                if computed.value.type_id() == std::any::TypeId::of::<LazyFrame>() {
                    computed.reads = files;
                }
                let computed = Arc::new(computed);
                let is_kept = stayed && behaviour != Behaviour::Ignore && !self.is_fleeting[index];
                let before = self.before(index);
                let made = self.made_of(index);
                if is_kept {
                    let made = self.driver.made(index, made.clone());
                    self.driver.store.insert(key, &computed, &made, milliseconds);
                    if self.cause(index, behaviour) == Cause::Stale {
                        self.driver.store.tell_if_crowded_out(&key, &name);
                    }
                }
                let how = How::Ran { cause: self.cause(index, behaviour) };
                let now = Parts { version: own_version, ..Parts::of(made, &computed) };
                let changed = self.note(index, how, is_kept.then_some(key), now, milliseconds, before);
                let (node, summary) = (self.name(index), computed.summary.clone());
                (self.events)(Event::DidRun { node, milliseconds, hashing, changed, summary });
                self.hold_against_schema(index, &computed);
                self.complete(index, State::Has(computed.clone()));
                let output = self.driver.committed.nodes[index].call.as_ref().map(|it| it.output.type_id);
                for twin in self.twins_of(index, &key) {
                    // The key holds the type's name; two types of one name are two all the same.
                    let call = self.driver.committed.nodes[twin].call.as_ref();
                    match call.map(|it| it.output.type_id) == output {
                        true => self.reuse(twin, key, computed.clone()),
                        false => self.to_run.push_back((twin, key)),
                    }
                }
            }
            Err(failure) => {
                self.note_failure(index, milliseconds);
                let event = Event::DidFail { node: self.name(index), failure: failure.clone() };
                (self.events)(event);
                self.report.failures.push(failure);
                self.complete(index, State::Failed { because: index });
                // A failure is not kept: each fails, or not, by its own name.
                let twins = self.twins_of(index, &key);
                self.to_run.extend(twins.into_iter().map(|it| (it, key)));
            }
        }
    }

    /// A frame that is not as declared is a warning: the value is what it is.
    fn hold_against_schema(&mut self, index: usize, computed: &Computed) {
        let (name, node) = (self.name(index), &self.driver.committed.graph.nodes[index]);
        if node.schema.is_empty() {
            return;
        }
        if let Some(difference) = schema_difference(&computed.value, &node.schema) {
            let message = format!("`{name}` is not as its schema says: {difference}");
            self.report.warnings.push((name.clone(), message.clone()));
            (self.events)(Event::DidWarn { node: name, message });
        }
    }

    fn skip(&mut self, index: usize, because: usize) {
        let because_name = self.name(because);
        self.driver.skipped[index] = Some(format!("`{because_name}`, which it needs, failed"));
        let event = Event::DidSkip { node: self.name(index), because: because_name };
        (self.events)(event);
        self.complete(index, State::Failed { because });
    }

    /// Settles a node and readies the nodes that waited for it alone.
    fn complete(&mut self, index: usize, state: State) {
        self.states[index] = state;
        if let Some(expected) = self.expected.get(&index) {
            // Its dependents were told when it was known; now those go on that take the value itself.
            if matches!(&self.states[index], State::Has(it) if it.version != *expected) {
                self.differs.push(index);
            }
            for waiting in self.parked.remove(&index).unwrap_or_default() {
                if let Some(lacking) = self.lacking.get_mut(&waiting) {
                    *lacking -= 1;
                    if *lacking == 0 {
                        self.lacking.remove(&waiting);
                        self.ready.push(Reverse(waiting));
                    }
                }
            }
            return;
        }
        for dependent in &self.driver.committed.nodes[index].dependents {
            if let State::Waiting(count) = &mut self.states[*dependent]
                && self.needed[*dependent]
                && *count > 0
            {
                *count -= 1;
                if *count == 0 {
                    self.ready.push(Reverse(*dependent));
                }
            }
        }
    }

    /// Ends the run at a flag: running steps finish, all others are skipped.
    fn stop(&mut self) {
        self.report.interrupted = true;
        while self.in_flight > 0 {
            self.wait();
        }
        for index in 0..self.states.len() {
            if self.needed[index] && matches!(self.states[index], State::Waiting(_)) {
                self.states[index] = State::Interrupted;
                self.driver.skipped[index] = Some("the run was interrupted".to_owned());
                if self.driver.committed.nodes[index].call.is_some() {
                    let event = Event::DidSkip { node: self.name(index), because: "interrupted".to_owned() };
                    (self.events)(event);
                }
            }
        }
    }

    fn name(&self, index: usize) -> String {
        self.driver.committed.nodes[index].names.node.clone()
    }
}

/// The version by which a node goes into keys whose value counts for nothing: its name, and not its value.
fn ignored(node: &str) -> Version {
    let mut encoder = Encoder::new();
    encoder.text("ignored");
    encoder.text(node);
    encoder.finish().expect("text can be seen")
}

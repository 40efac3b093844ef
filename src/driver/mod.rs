//! The driver: holds a graph, its functions and all values; plans, runs and reuses.
//!
//! This is the one implementation of planning and running, for notebooks and for programs. Which nodes must
//! run is known only while running, because a node whose new value equals its old one stops the wave. So
//! there is no plan of work, only an order: each step is looked up by its key when its turn comes.
//!
//! The key of a node is its code and the data versions of what it takes. Nothing is ever marked stale:
//! a changed node simply has another key, and an undone change has the old one.

mod commit;
mod given;
mod part;
mod run;
mod why;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use brooklet_graph::graph::{Graph, Literals};
use brooklet_graph::source::Sources;
use brooklet_graph::wire::{EdgeMismatch, Failure};

use commit::{Code, Committed};
use given::Given;
use why::Record;

pub use part::Column;

use crate::executor::{Computed, Pool};
use crate::glue::Function;
use crate::value::Value;
use crate::version::Version;

/// Holds everything that a program or a notebook has computed.
pub struct Driver {
    committed: Committed,
    /// By cache key. Present: what the last three revisions of the graph may ask for again.
    store: HashMap<Version, Stored>,
    /// The code of the last three graphs, the present one last.
    revisions: VecDeque<HashSet<Code>>,
    type_key: String,
    /// What happened to each node last, in the order of the graph.
    records: Vec<Option<Record>>,
    /// The last literal of each input and override, decoded.
    given: HashMap<String, Given>,
    pool: Option<Pool>,
    interrupt: Arc<AtomicBool>,
    base: PathBuf,
    /// What a program configured; in a notebook the kernel gives it with each run.
    config: Literals,
    /// For places in messages; a notebook's are the kernel's.
    sources: Sources,
}

struct Stored {
    computed: Arc<Computed>,
    code: Code,
}

/// How many revisions of the graph keep their values: an edit can be undone twice without running anything.
const REVISIONS: usize = 3;

/// What a run is to do.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub targets: Vec<String>,
    /// Raw literals by input.
    pub inputs: Literals,
    /// Raw literals that take the place of nodes.
    pub overrides: Literals,
    /// Values of a program, for inputs.
    pub values: BTreeMap<String, GivenValue>,
    /// Values of a program in the place of nodes.
    pub value_overrides: BTreeMap<String, GivenValue>,
}

/// A value that a program gives. What cannot be told apart by its content is told apart by having been given
/// anew.
#[derive(Clone, Debug)]
pub struct GivenValue {
    pub(crate) value: Value,
    number: u64,
}

impl GivenValue {
    pub fn new<T: std::any::Any + Send + Sync>(value: T) -> GivenValue {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        GivenValue { value: Value::new(value), number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    fn computed(&self) -> Computed {
        Computed::new(self.value.clone(), Version::of_bytes(format!("given {}", self.number).as_bytes()))
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The targets that have a value, in the order asked for.
    pub values: Vec<(String, Value)>,
    /// Everything that failed.
    pub failures: Vec<Failure>,
    /// Given inputs that no node takes.
    pub unused_inputs: Vec<String>,
    /// Nodes whose values are not as declared, and what differs.
    pub warnings: Vec<(String, String)>,
    pub interrupted: bool,
}

/// What became of a commit.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The short name of what each node holds.
    pub types: BTreeMap<String, String>,
    /// Nodes whose values were dropped because types of the user may have changed.
    pub dropped: Vec<String>,
}

/// Why a graph cannot be taken into force. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// The functions of these nodes are not in the generation.
    MissingFunctions(Vec<String>),
    Edges(Vec<EdgeMismatch>),
}

impl Driver {
    /// A driver with an empty graph. Paths in literals are relative to the current directory.
    pub fn new() -> Driver {
        Driver {
            committed: Committed::default(),
            store: HashMap::new(),
            revisions: VecDeque::new(),
            type_key: String::new(),
            records: Vec::new(),
            given: HashMap::new(),
            pool: None,
            interrupt: Arc::default(),
            base: PathBuf::from("."),
            config: Literals::new(),
            sources: Sources::default(),
        }
    }

    pub(crate) fn set_config(&mut self, config: Literals) {
        self.config = config;
    }

    pub(crate) fn config(&self) -> &Literals {
        &self.config
    }

    pub(crate) fn set_sources(&mut self, sources: Sources) {
        self.sources = sources;
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What relative paths in literals are relative to.
    pub fn set_base(&mut self, base: impl Into<PathBuf>) {
        self.base = base.into();
    }

    /// A flag that ends a run before its next step. Whoever sets it clears it.
    pub fn interrupt_flag(&self) -> Arc<AtomicBool> {
        self.interrupt.clone()
    }

    /// The graph in force.
    pub fn graph(&self) -> &Graph {
        &self.committed.graph
    }

    /// Takes a graph into force if its functions are there and every edge fits.
    ///
    /// Values stay, those of user types only as long as `type_key` is the same.
    ///
    /// # Errors
    /// Lists everything that does not fit; nothing has changed then.
    pub fn commit(
        &mut self,
        graph: Graph,
        functions: &[Function],
        type_key: &str,
    ) -> Result<Commit, CommitError> {
        let committed = Committed::new(graph, functions)?;
        let mut dropped = Vec::new();
        if self.type_key != type_key {
            dropped = self.drop_user_values();
            type_key.clone_into(&mut self.type_key);
        }
        self.records = self.records_for(&committed);
        let codes: HashSet<Code> = committed.nodes.iter().map(|it| it.code).collect();
        if self.revisions.back() != Some(&codes) {
            self.revisions.push_back(codes);
            if self.revisions.len() > REVISIONS {
                self.revisions.pop_front();
            }
            let revisions = &self.revisions;
            self.store.retain(|_, it| revisions.iter().any(|codes| codes.contains(&it.code)));
        }
        let types = committed.types();
        self.committed = committed;
        Ok(Commit { types, dropped })
    }

    /// Drops every value whose type may have changed its meaning; the nodes that held one, sorted.
    fn drop_user_values(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        for (record, name) in self.records.iter().zip(self.committed.graph.nodes.keys()) {
            let stored = record.as_ref().and_then(|it| self.store.get(&it.key?));
            if stored.is_some_and(|it| !it.computed.value.ops().from_image) {
                dropped.push(name.clone());
            }
        }
        dropped.sort();
        self.store.retain(|_, it| it.computed.value.ops().from_image);
        self.given.retain(|_, it| it.computed.value.ops().from_image);
        dropped
    }

    /// Records move with their node's name.
    fn records_for(&mut self, next: &Committed) -> Vec<Option<Record>> {
        let mut records = std::mem::take(&mut self.records);
        next.graph
            .nodes
            .keys()
            .map(|name| {
                let before = self.committed.graph.nodes.get_index_of(name)?;
                records.get_mut(before)?.take()
            })
            .collect()
    }

    /// How many values are kept.
    pub fn kept(&self) -> usize {
        self.store.len()
    }
}

impl Default for Driver {
    fn default() -> Driver {
        Driver::new()
    }
}

#[cfg(test)]
mod tests;

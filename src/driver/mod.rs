//! The driver: holds a graph, its functions and all values; plans, runs and reuses.
//!
//! This is the one implementation of planning and running, for notebooks and for programs. Which nodes must
//! run is known only while running, because a node whose new value equals its old one stops the wave. So
//! there is no plan of work, only an order: each step is looked up by its key when its turn comes.
//!
//! The key of a node is its code and the data versions of what it takes. Nothing is ever marked stale:
//! a changed node simply has another key, and an undone change has the old one.

mod commit;
mod files;
mod given;
mod part;
mod run;
mod why;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use brooklet_graph::graph::{Graph, Literals};
use brooklet_graph::source::Sources;
use brooklet_graph::wire::{CacheReport, EdgeMismatch, Failure, Recompute};

use commit::Committed;
use files::Files;
use given::Given;
use why::Record;

pub use part::Column;

use crate::executor::{Computed, Pool};
use crate::glue::Function;
use crate::recorder::Recorder;
use crate::store::{Asked, Store};
use crate::value::Value;
use crate::version::{Encoder, Version};

/// Holds everything that a program or a notebook has computed.
pub struct Driver {
    committed: Committed,
    /// By key.
    store: Store,
    type_key: String,
    /// What happened to each node last, in the order of the graph.
    records: Vec<Option<Record>>,
    /// By node: why it was not run last, if it was not.
    skipped: Vec<Option<String>>,
    /// The last literal of each input and override, decoded.
    given: HashMap<String, Given>,
    files: Files,
    pool: Option<Pool>,
    interrupt: Arc<AtomicBool>,
    base: PathBuf,
    /// What a program configured; in a notebook the kernel gives it with each run.
    config: Literals,
    /// For places in messages; a notebook's are the kernel's.
    sources: Sources,
    /// Of a program that asked for records.
    recorder: Option<Recorder>,
}

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
    /// What is computed again though its result is kept.
    pub recompute: Recompute,
    /// Nodes that are not to be computed, only found.
    pub hold: Vec<String>,
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
        let mut encoder = Encoder::new();
        encoder.text("given");
        // What this process gave is no other's: nothing on disk may be found by it.
        encoder.bytes(&process().to_le_bytes());
        encoder.bytes(&self.number.to_le_bytes());
        Computed::new(self.value.clone(), encoder.finish().expect("numbers can be seen"))
    }
}

/// A number that no other process has.
fn process() -> u64 {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    *PROCESS.get_or_init(|| RandomState::new().build_hasher().finish())
}

/// A version that no other value has, in this process or any other.
fn unique() -> Version {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut encoder = Encoder::new();
    encoder.text("unique");
    encoder.bytes(&process().to_le_bytes());
    encoder.bytes(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    encoder.finish().expect("numbers can be seen")
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
    /// The version of each node that has a value, and can be told by it.
    pub versions: Vec<(String, Version)>,
    /// Files that parameters named.
    pub files: BTreeMap<String, Version>,
}

/// What became of a commit.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The short name of what each node holds.
    pub types: BTreeMap<String, String>,
    /// Nodes whose values were dropped because types of the user may have changed.
    pub dropped: Vec<String>,
    /// Nodes whose values cannot be stored.
    pub only_in_memory: Vec<String>,
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
            store: Store::new(),
            type_key: String::new(),
            records: Vec::new(),
            skipped: Vec::new(),
            given: HashMap::new(),
            files: Files::default(),
            pool: None,
            interrupt: Arc::default(),
            base: PathBuf::from("."),
            config: Literals::new(),
            sources: Sources::default(),
            recorder: None,
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

    pub(crate) fn set_recorder(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
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
            self.store.set_type_key(type_key);
        }
        self.records = self.records_for(&committed);
        self.skipped = vec![None; committed.nodes.len()];
        let types = committed.types();
        let is_opaque = |it: &&commit::Ready| it.call.as_ref().is_some_and(|it| it.output.storing.is_none());
        let only_in_memory =
            committed.nodes.iter().filter(is_opaque).map(|it| it.names.node.clone()).collect();
        self.committed = committed;
        Ok(Commit { types, dropped, only_in_memory })
    }

    /// Drops every value whose type may have changed its meaning; the nodes that held one, sorted.
    fn drop_user_values(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        for (record, name) in self.records.iter().zip(self.committed.graph.nodes.keys()) {
            let key = record.as_ref().and_then(|it| it.key);
            if key.is_some_and(|it| self.store.holds_user_type(&it)) {
                dropped.push(name.clone());
            }
        }
        dropped.sort();
        self.store.drop_user_values();
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

    /// The version that a node's value had last.
    pub fn version_of(&self, node: &str) -> Option<Version> {
        let record = self.records.get(self.committed.find(node)?)?.as_ref()?;
        Some(record.now.version)
    }

    /// The length of the file that holds a node's last value, if there is one.
    pub fn stored_bytes(&self, node: &str) -> Option<u64> {
        let index = self.committed.find(node)?;
        let key = self.records[index].as_ref()?.key?;
        self.store.stored_bytes(&key, self.committed.nodes[index].call.as_ref()?.output)
    }

    /// How many values are kept in memory.
    pub fn kept(&self) -> usize {
        self.store.values()
    }

    /// Keeps results in a `.brooklet` directory too, from now on. `identity` says what the functions were compiled
    /// with: results of another identity are not found.
    ///
    /// # Errors
    /// If the directory cannot be used; values are then kept in memory alone.
    pub fn open_store(&mut self, directory: &Path, identity: &str) -> std::io::Result<()> {
        self.store.open(directory, identity)
    }

    /// The store, for questions and orders of the person whose results they are.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Forgets results of some nodes, or all.
    ///
    /// # Errors
    /// If the ledger cannot be written anew.
    pub fn clear_results(&mut self, nodes: &[String]) -> std::io::Result<()> {
        let mut keys = Vec::new();
        for index in nodes.iter().filter_map(|it| self.committed.find(it)) {
            let key = self.records[index].as_ref().and_then(|it| it.key);
            keys.extend(key.zip(self.committed.nodes[index].call.as_ref().map(|it| it.output)));
        }
        self.store.clear(nodes, &keys)
    }

    /// What is kept of the present graph, and of everything.
    pub fn kept_report(&mut self) -> CacheReport {
        let nodes: Vec<_> = self
            .committed
            .nodes
            .iter()
            .zip(&self.records)
            .map(|(node, record)| {
                let key = record.as_ref().and_then(|it| it.key);
                let ops = node.call.as_ref().map(|it| it.output);
                Asked { node: node.names.node.clone(), key, ops, caching: node.caching.behaviour }
            })
            .collect();
        self.store.report(&nodes)
    }
}

impl Default for Driver {
    fn default() -> Driver {
        Driver::new()
    }
}

#[cfg(test)]
mod tests;

//! What was computed, by key: in memory within a budget, and on a disk that outlives the process.
//!
//! A result has two keys. In memory it is the driver's: code and what went in. On the disk what the code was compiled
//! with is added: the image or the program, and for a type of the user's all definitions of types. For every result there
//! is a line on the disk, so that its version is known in the next session; for those that took longer to compute than
//! to read, the value too. So a run after a restart computes keys from lines, and reads the values of its targets alone;
//! a value that is not there and is needed after all is computed, see `driver::run`.

mod disk;
mod entry;
mod memory;
mod writer;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use brooklet_graph::graph::Behaviour;
use brooklet_graph::wire::{CacheReport, KeptNode, Summary};

use crate::executor::{Computed, StepNames};
use crate::storing::{Format, Read};
use crate::value::{Ops, Value};
use crate::version::{Encoder, Version};
use entry::{Entry, Hex, Origin};
use memory::Memory;
use writer::{Job, Writer};

/// To find, open, check and decode a file costs so much, however small it is.
const READ_MILLISECONDS: f64 = 0.1;
/// Beyond that reading goes at so many bytes a millisecond: a disk that has the file in no cache.
const READ_BYTES: f64 = 1e6;
/// A value that was asked for is written however soon it was computed, if it has at most so many bytes.
const SMALL: usize = 1 << 20;
/// A file that is larger is not held in memory beside what is read from it.
const LARGE: u64 = 64 << 20;
/// Values of this size are written however little memory there is.
const MIDDLING: usize = 256 << 20;
/// Of the machine's memory, as much as one part in so many.
const SHARE: usize = 4;
/// So long it is waited for a value that is just being written.
const MOMENT: Duration = Duration::from_millis(50);
/// So many values that were asked for are told if they have to be computed again.
const MOST_SHOWN: usize = 10_000;
/// What all values on the disk may take.
const DISK_BUDGET: u64 = 10 << 30;

/// All results that are kept.
pub struct Store {
    memory: Memory,
    disk: Option<Writer>,
    compiled: Compiled,
    /// Results of this run that are sooner computed than read.
    light: Vec<Light>,
    pinned: BTreeSet<String>,
    /// Keys of values that somebody asked for, and those of them that had to go for lack of room.
    shown: HashSet<Version>,
    evicted: HashSet<Version>,
    /// Nodes whose values were computed again for lack of room.
    crowded_out: BTreeSet<String>,
    hits: Hits,
    /// Told at the next occasion.
    warnings: Vec<String>,
}

/// A node that a report is asked of, with what it was found by last.
pub struct Asked {
    pub node: String,
    pub key: Option<Version>,
    pub ops: Option<&'static Ops>,
    pub caching: Behaviour,
}

/// How often a key was found, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    pub memory: u64,
    pub disk: u64,
}

/// What is known of a key.
pub enum Found {
    Here(Arc<Computed>),
    /// The version is known; the value is on the disk, or nowhere.
    Known(Known),
    Nothing,
}

/// A result without its value.
#[derive(Clone, Debug)]
pub struct Known {
    pub version: Version,
    pub summary: Summary,
    pub milliseconds: f64,
}

impl Store {
    /// A store in memory alone, with a quarter of the machine's.
    pub fn new() -> Store {
        Store {
            memory: Memory::new(machine_memory() / SHARE),
            disk: None,
            compiled: Compiled::default(),
            light: Vec::new(),
            pinned: BTreeSet::new(),
            shown: HashSet::new(),
            evicted: HashSet::new(),
            crowded_out: BTreeSet::new(),
            hits: Hits::default(),
            warnings: Vec::new(),
        }
    }

    /// Uses a `.brooklet` directory from now on. `identity` says what the code was compiled with.
    ///
    /// # Errors
    /// As the system says; the store goes on in memory alone.
    pub fn open(&mut self, directory: &Path, identity: &str) -> io::Result<()> {
        self.compiled.identity = identity.into();
        self.disk = Some(Writer::start(directory, DISK_BUDGET)?);
        Ok(())
    }

    pub fn set_type_key(&mut self, type_key: &str) {
        self.compiled.type_key = type_key.into();
    }

    /// Looks at what others wrote since the last run.
    pub fn begin(&mut self) {
        // While something of ours is being written, what was added is mostly that.
        if let Some(writer) = self.disk.as_ref().filter(|it| !it.is_busy()) {
            writer.shared.disk().refresh();
        }
    }

    /// What is known of a key whose value would be of this type.
    pub fn find(&mut self, key: &Version, ops: &Ops) -> Found {
        if let Some(computed) = self.memory.get(key).filter(|it| it.value.type_id() == ops.type_id) {
            self.hits.memory += 1;
            return Found::Here(computed.clone());
        }
        let Some(writer) = &self.disk else { return Found::Nothing };
        let key = self.disk_key(key, ops);
        match writer.shared.disk().get(&key) {
            Some(entry) => {
                self.hits.disk += 1;
                Found::Known(Known {
                    version: entry.version,
                    summary: entry.summary(),
                    milliseconds: entry.milliseconds,
                })
            }
            None => Found::Nothing,
        }
    }

    /// What the last result of a node was made of, and its version, as far as the ledger knows: from the time before this
    /// process.
    pub fn last_of(&self, node: &str) -> Option<(Made, Version, f64)> {
        let disk = self.disk.as_ref()?.shared.disk();
        let entry = disk.last_of(node)?;
        Some((Made::of(entry, entry.origin.as_ref()?), entry.version, entry.milliseconds))
    }

    /// Gets a value that [`find`](Store::find) knows. `None`: it is not there (any more), or was damaged, which is told.
    pub fn load(
        &mut self,
        key: &Version,
        ops: &'static Ops,
        names: &Arc<StepNames>,
    ) -> Option<Arc<Computed>> {
        if let Some(computed) = self.memory.get(key).filter(|it| it.value.type_id() == ops.type_id) {
            return Some(computed.clone());
        }
        let writer = self.disk.as_ref()?;
        let disk_key = self.disk_key(key, ops);
        let entry = writer.shared.disk().get(&disk_key).cloned()?;
        let file = entry.file?;
        let storing = ops.storing?.in_format(file.format)?;
        let files = writer.shared.disk().files.clone();
        type Load = Box<dyn FnOnce() -> Result<Read, String>>;
        let load = match storing.load_file.filter(|_| file.bytes > LARGE) {
            // Frames have a version, by which it shows if the file was altered after it was looked through.
            Some(load) => files.verified(&file).map(|it| -> Load { Box::new(move || load(it)) }),
            None => files.read(&file).map(|it| -> Load { Box::new(move || (storing.load)(&it)) }),
        };
        let load = match load {
            Ok(load) => load,
            Err(error) => {
                writer.shared.disk().lose(&disk_key);
                // What was evicted is not damaged.
                if error.kind() != io::ErrorKind::NotFound {
                    self.damaged(&names.node, &error.to_string());
                }
                return None;
            }
        };
        let read = || -> Result<Computed, String> {
            let value = Value::from_data(load()?, ops);
            value.belongs_to(&names.node);
            // A type that has no version of its own was compared when it was written.
            let computed = Computed::new(value, entry.version);
            if computed.version == entry.version {
                return Ok(computed);
            }
            files.remove(&file);
            Err("it is another value than the one that was written".to_owned())
        };
        match crate::panics::catch(read).unwrap_or_else(|panic| Err(panic.message)) {
            Ok(computed) => {
                let computed = Arc::new(computed);
                self.evicted.remove(key);
                self.memory.insert(*key, computed.clone(), names, entry.milliseconds);
                Some(computed)
            }
            Err(why) => {
                writer.shared.disk().lose(&disk_key);
                self.damaged(&names.node, &why);
                None
            }
        }
    }

    fn damaged(&self, node: &str, why: &str) {
        if let Some(writer) = &self.disk {
            writer.shared.warn(format!("the stored value of `{node}` cannot be used: {why}"));
        }
    }

    /// Keeps a result. It is written behind the run's back.
    pub fn insert(&mut self, key: Version, computed: &Arc<Computed>, made: &Made, milliseconds: f64) {
        self.memory.insert(key, computed.clone(), &made.names, milliseconds);
        let Some(writer) = self.disk.as_ref().filter(|it| !it.shared.is_off()) else { return };
        let light = Light { key, computed: computed.clone(), made: made.clone(), milliseconds };
        if milliseconds < READ_MILLISECONDS && made.format.is_none() {
            return self.light.push(light);
        }
        let bytes = self.memory.peek(&key).map_or(0, memory::Kept::bytes);
        // Who names a format wants the file, however soon the value is computed.
        let is_worth_it = milliseconds >= read_milliseconds(bytes) || made.format.is_some();
        if is_worth_it && self.may_be_written(writer, &light, bytes) {
            writer.hand_over(self.value_job(&light));
        } else {
            // At once: what took its time is not to be forgotten with a run that ends badly.
            writer.hand_over(Job::Lines(vec![light], self.compiled.clone()));
        }
    }

    /// Says with the next warnings that a value had to be computed again for lack of room, if it had.
    pub fn tell_if_crowded_out(&mut self, key: &Version, node: &str) {
        if self.evicted.remove(key) {
            self.crowded_out.insert(node.to_owned());
        }
    }

    /// Writes a kept value in the format that its node names, unless that was done.
    pub fn write_in_format(&self, key: &Version, computed: &Arc<Computed>, made: &Made) {
        let Some(writer) = self.disk.as_ref().filter(|it| !it.shared.is_off()) else { return };
        // What was tried in vain is not tried at each run.
        if writer.shared.unstorable().contains_key(&made.names.node) {
            return;
        }
        let disk_key = self.disk_key(key, computed.value.ops());
        let file = writer.shared.disk().get(&disk_key).and_then(|it| it.file);
        let kept = self.memory.peek(key);
        if file.is_none_or(|it| Some(it.format) != made.format)
            && let Some(kept) = kept
        {
            let light = Light {
                key: *key,
                computed: computed.clone(),
                made: made.clone(),
                milliseconds: kept.milliseconds,
            };
            if self.may_be_written(writer, &light, kept.bytes()) {
                writer.hand_over(self.value_job(&light));
            }
        }
    }

    fn value_job(&self, light: &Light) -> Job {
        Job::Value(light.entry(&self.compiled), light.computed.value.clone(), light.made.format)
    }

    /// Whether a value can and should be written. Not one that would take half of the memory once more. And not one of
    /// a type of the user's whose line stands there without a file: that it was tried and did not come to its end may
    /// be what its `Serialize` does to the process.
    fn may_be_written(&self, writer: &Writer, light: &Light, bytes: usize) -> bool {
        let ops = light.computed.value.ops();
        let was_tried = || {
            let key = self.compiled.disk_key(&light.key, ops);
            writer.shared.disk().get(&key).is_some_and(|it| it.file.is_none())
        };
        ops.storing.is_some()
            && bytes <= self.memory.budget.max(MIDDLING) / 2
            && (ops.from_image || !was_tried())
    }

    /// A run is over: what it asked for is written too, and what is too much goes.
    pub fn end(&mut self, targets: &[(Version, &'static Ops, Made)]) {
        self.write_lines();
        for (key, ops, made) in targets {
            if self.shown.len() >= MOST_SHOWN {
                self.shown.clear();
            }
            self.shown.insert(*key);
            let Some(kept) = self.memory.peek(key) else { continue };
            let disk_key = self.disk_key(key, ops);
            let Some(writer) = self.disk.as_ref().filter(|it| !it.shared.is_off()) else { break };
            let is_written = writer.shared.disk().get(&disk_key).is_some_and(|it| it.file.is_some());
            if !is_written && kept.bytes() <= SMALL {
                let light = Light {
                    key: *key,
                    computed: kept.computed.clone(),
                    made: made.clone(),
                    milliseconds: kept.milliseconds,
                };
                if self.may_be_written(writer, &light, kept.bytes()) {
                    writer.hand_over(self.value_job(&light));
                }
            }
        }
        self.sweep();
    }

    fn write_lines(&mut self) {
        let light = std::mem::take(&mut self.light);
        if let Some(writer) = &self.disk
            && !light.is_empty()
        {
            writer.hand_over(Job::Lines(light, self.compiled.clone()));
        }
    }

    /// Drops values that were not used for longest, if there is more than the budget allows. With a disk only those go
    /// that are there, or are soon computed again.
    fn sweep(&mut self) {
        let (disk, pinned) = (self.disk.as_ref(), &self.pinned);
        let may_go = |key: &Version, kept: &memory::Kept| {
            let is_known = || match disk {
                Some(writer) if !writer.shared.is_off() => {
                    let key = self.compiled.disk_key(key, kept.computed.value.ops());
                    let has_file = writer.shared.disk().get(&key).is_some_and(|it| it.file.is_some());
                    has_file || kept.milliseconds < read_milliseconds(kept.bytes())
                }
                _ => true,
            };
            !pinned.contains(kept.node()) && is_known()
        };
        let gone = self.memory.sweep(may_go);
        self.evicted.extend(gone.into_iter().filter(|it| self.shown.contains(it)));
    }

    fn disk_key(&self, key: &Version, ops: &Ops) -> Version {
        self.compiled.disk_key(key, ops)
    }

    /// Whether a value is in memory or its version is known.
    pub fn knows(&self, key: &Version, ops: &Ops) -> bool {
        self.memory.peek(key).is_some()
            || self.disk.as_ref().is_some_and(|it| it.shared.disk().get(&self.disk_key(key, ops)).is_some())
    }

    /// The length of the file that holds a result, if there is one. Right after a result was computed it is waited for a
    /// moment.
    pub fn stored_bytes(&self, key: &Version, ops: &Ops) -> Option<u64> {
        let writer = self.disk.as_ref()?;
        writer.settle_within(MOMENT);
        let key = self.disk_key(key, ops);
        writer.shared.disk().get(&key)?.file.map(|it| it.bytes)
    }

    /// Whether the value in memory is of a type of the user's.
    pub fn holds_user_type(&self, key: &Version) -> bool {
        self.memory.peek(key).is_some_and(|it| !it.computed.value.ops().from_image)
    }

    /// Drops every value of a type of the user's from memory.
    pub fn drop_user_values(&mut self) {
        self.evicted.clear();
        self.memory.retain(|it| it.computed.value.ops().from_image);
    }

    /// What went wrong on the disk since the last time.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        let crowded_out: Vec<String> =
            std::mem::take(&mut self.crowded_out).iter().map(|it| format!("`{it}`")).collect();
        if !crowded_out.is_empty() {
            warnings.push(format!(
                "{} {} computed again: there was no room in memory for the value, at most {:.0} MB (`%cache limit \
                 memory=…` sets it, `%cache pin` keeps a value whatever it takes)",
                crowded_out.join(", "),
                if crowded_out.len() == 1 { "was" } else { "were" },
                self.memory.budget as f64 / 1e6,
            ));
        }
        warnings.extend(self.disk.iter().flat_map(|it| it.shared.take_warnings()));
        warnings
    }

    /// Has something told with the next run.
    pub fn warn(&mut self, message: String) {
        self.warnings.push(message);
    }

    /// Waits until everything is on the disk.
    pub fn settle(&mut self) {
        self.write_lines();
        if let Some(writer) = &self.disk {
            writer.settle();
        }
    }

    /// How many values are in memory.
    pub fn values(&self) -> usize {
        self.memory.len()
    }

    pub fn pin(&mut self, nodes: &[String]) {
        self.pinned.extend(nodes.iter().cloned());
    }

    pub fn unpin(&mut self, nodes: &[String]) {
        self.pinned.retain(|it| !nodes.contains(it));
    }

    /// Sets what values may take, in bytes.
    pub fn limit(&mut self, memory: Option<u64>, disk: Option<u64>) {
        if let Some(memory) = memory {
            self.memory.budget = usize::try_from(memory).unwrap_or(usize::MAX);
            self.sweep();
        }
        if let (Some(budget), Some(writer)) = (disk, &self.disk) {
            writer.shared.budget.store(budget, Ordering::Relaxed);
            let files = writer.shared.disk().files.clone();
            files.evict(budget);
        }
    }

    /// Forgets results of some nodes, or all. `keys` are what the nodes were found by last: a result bears the name of
    /// the node that it was computed for first.
    ///
    /// # Errors
    /// If the ledger cannot be written anew.
    pub fn clear(&mut self, nodes: &[String], keys: &[(Version, &'static Ops)]) -> io::Result<()> {
        self.settle();
        // What is forgotten on purpose is not missed.
        self.evicted.clear();
        let is_meant = |node: &str| nodes.is_empty() || nodes.iter().any(|it| it == node);
        self.memory.retain(|it| !is_meant(it.node()));
        keys.iter().for_each(|it| drop(self.memory.remove(&it.0)));
        let keys: BTreeSet<Version> = keys.iter().map(|it| self.disk_key(&it.0, it.1)).collect();
        match &self.disk {
            Some(writer) => {
                writer.shared.disk().clear(|it| is_meant(&it.node) || keys.contains(&it.key)).map(drop)
            }
            None => Ok(()),
        }
    }

    /// What is kept, where, and how large it is; of nodes with what they were found by last.
    pub fn report(&mut self, nodes: &[Asked]) -> CacheReport {
        self.settle();
        let mut kept = Vec::new();
        for Asked { node, key, ops, caching } in nodes {
            if matches!(caching, Behaviour::Disable | Behaviour::Ignore) {
                let only_in_memory = format!("never kept: `#[cache({})]`", caching.word());
                kept.push(KeptNode { node: node.clone(), only_in_memory, ..KeptNode::default() });
                continue;
            }
            let (Some(key), Some(ops)) = (key, ops) else { continue };
            let in_memory = self.memory.peek(key).map(|it| it.bytes() as u64);
            let disk_key = self.disk_key(key, ops);
            let on_disk = self.disk.as_ref().and_then(|it| it.shared.disk().get(&disk_key).cloned());
            kept.push(KeptNode {
                node: node.clone(),
                memory: in_memory,
                disk: on_disk.as_ref().and_then(|it| it.file).map(|it| it.bytes),
                milliseconds: self
                    .memory
                    .peek(key)
                    .map(|it| it.milliseconds)
                    .or(on_disk.map(|it| it.milliseconds)),
                is_pinned: self.pinned.contains(node),
                only_in_memory: self.only_in_memory(node, ops),
            });
        }
        let disk = self.disk.as_ref();
        CacheReport {
            nodes: kept,
            values: self.memory.len() as u64,
            memory: self.memory.bytes() as u64,
            memory_budget: self.memory.budget as u64,
            disk: disk.map(|it| it.shared.disk().files.bytes()),
            disk_budget: disk.map_or(0, |it| it.shared.budget.load(Ordering::Relaxed)),
            results_on_disk: disk.map_or(0, |it| it.shared.disk().entries().count() as u64),
            hits_in_memory: self.hits.memory,
            hits_on_disk: self.hits.disk,
        }
    }

    /// Why a node's value stays in memory; empty if they do not.
    fn only_in_memory(&self, node: &str, ops: &Ops) -> String {
        if ops.storing.is_none() {
            return if ops.from_image {
                "it is a plan or cannot be told apart by its content".to_owned()
            } else {
                "its type is not `Serialize + DeserializeOwned + PartialEq`".to_owned()
            };
        }
        let unstorable: BTreeMap<String, String> =
            self.disk.as_ref().map(|it| it.shared.unstorable()).unwrap_or_default();
        unstorable.get(node).cloned().unwrap_or_default()
    }
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

/// What the code was compiled with.
#[derive(Clone, Default)]
struct Compiled {
    /// The image or the program.
    identity: Arc<str>,
    /// Hash of all definitions of the user's types.
    type_key: Arc<str>,
}

impl Compiled {
    /// The key on disk: a value of the image's types means the same under all definitions of the user's.
    fn disk_key(&self, key: &Version, ops: &Ops) -> Version {
        let mut encoder = Encoder::new();
        encoder.text("brooklet result 1");
        encoder.text(&self.identity);
        encoder.text(if ops.from_image { "" } else { &self.type_key });
        encoder.text(ops.name);
        encoder.bytes(&key.0);
        encoder.finish().expect("text can be seen")
    }
}

/// What a result was made of.
#[derive(Clone)]
pub struct Made {
    pub names: Arc<StepNames>,
    /// What of the code counts, with its module and its type.
    pub code: Version,
    /// By value that went in.
    pub values: Arc<[Option<Version>]>,
    /// Files that parameters named, each with the version of its content.
    pub files: Arc<[(String, Version)]>,
    /// How its node wants it to be written.
    pub format: Option<Format>,
}

impl Made {
    fn origin(&self) -> Origin {
        let names = &self.names;
        let values = names.feeds.iter().zip(self.values.iter());
        Origin {
            function: names.function.clone(),
            code: self.code,
            fingerprint: names.fingerprint.clone(),
            values: values.map(|(name, version)| (name.clone(), version.map(Hex))).collect(),
            files: self.files.iter().map(|(path, version)| (path.clone(), Hex(*version))).collect(),
        }
    }

    fn of(entry: &Entry, origin: &Origin) -> Made {
        let names = StepNames {
            node: entry.node.clone(),
            feeds: origin.values.iter().map(|it| it.0.clone()).collect(),
            function: origin.function.clone(),
            fingerprint: origin.fingerprint.clone(),
            ..StepNames::default()
        };
        Made {
            names: Arc::new(names),
            code: origin.code,
            values: origin.values.iter().map(|it| it.1.map(|it| it.0)).collect(),
            files: origin.files.iter().map(|(path, version)| (path.clone(), version.0)).collect(),
            format: None,
        }
    }
}

/// A result on its way to the ledger: what a run hands over must cost it next to nothing.
struct Light {
    key: Version,
    computed: Arc<Computed>,
    made: Made,
    milliseconds: f64,
}

impl Light {
    fn entry(&self, compiled: &Compiled) -> Entry {
        Entry {
            key: compiled.disk_key(&self.key, self.computed.value.ops()),
            version: self.computed.version,
            node: self.made.names.node.clone(),
            ty: self.computed.summary.ty.clone(),
            shape: self.computed.summary.shape.clone(),
            milliseconds: self.milliseconds,
            origin: Some(Box::new(self.made.origin())),
            file: None,
        }
    }
}

/// What it takes to read a value of so many bytes.
fn read_milliseconds(bytes: usize) -> f64 {
    READ_MILLISECONDS + bytes as f64 / READ_BYTES
}

/// The memory that this process may use: the machine's, or less where a control group says so.
fn machine_memory() -> usize {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|it| {
        let line = it.lines().find(|it| it.starts_with("MemTotal:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|it| it * 1024)
    });
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = limits.iter().filter_map(|it| read(it)?.trim().parse::<usize>().ok()).min();
    total.unwrap_or(4 << 30).min(group.unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;

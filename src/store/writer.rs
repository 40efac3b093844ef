//! Writes results on a thread of its own, so that no run waits for the disk.
//!
//! What goes wrong here costs a value on the disk and nothing else: it is told once, and the store goes on without. A
//! process that dies of a fault in user code first lets this thread finish, see `hold`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::disk::Disk;
use super::entry::{Entry, FileOf};
use super::{Compiled, Light};
use crate::foreign;
use crate::hold;
use crate::panics;
use crate::storing::{Format, Storing};
use crate::value::Value;
use crate::version::Version;

/// So many bytes are written between two looks at the budget.
const LOOK: u64 = 64 << 20;
/// As the thread that runs nodes: a value that could be made can be written.
const STACK: usize = 64 << 20;
/// So long it is waited for what is being written, when somebody asks what is kept.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where code of the user's is announced that runs on this thread.
const LANE: &str = "store";

/// What is to be written.
pub enum Job {
    /// A value, and what is known of it.
    Value(Entry, Value, Option<Format>),
    /// Results whose values are not written.
    Lines(Vec<Light>, Compiled),
    /// Answers when all before it is done.
    Settle(Sender<()>),
}

/// What the writing thread and the driver share.
pub struct Shared {
    disk: Mutex<Disk>,
    notes: Mutex<Notes>,
    /// Nothing is written any more: no room, no right.
    is_off: AtomicBool,
    pub budget: AtomicU64,
    /// What is handed over and not done.
    pending: AtomicUsize,
}

#[derive(Default)]
struct Notes {
    /// Told at the next occasion.
    warnings: Vec<String>,
    /// Nodes whose values stay in memory, and why.
    unstorable: BTreeMap<String, String>,
}

impl Shared {
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn warn(&self, message: String) {
        self.notes().warnings.push(message);
    }

    /// What went wrong since the last time.
    pub fn take_warnings(&self) -> Vec<String> {
        let damaged = std::mem::take(&mut self.disk().damaged);
        let mut warnings = std::mem::take(&mut self.notes().warnings);
        if damaged > 0 {
            warnings.push(format!(
                "{damaged} {} of the store's ledger were not as written, and count for nothing",
                if damaged == 1 { "line" } else { "lines" }
            ));
        }
        warnings
    }

    /// Nodes whose values stay in memory, with the reason.
    pub fn unstorable(&self) -> BTreeMap<String, String> {
        self.notes().unstorable.clone()
    }

    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    /// No more is written; what was written can be read.
    fn turn_off(&self, error: &std::io::Error) {
        if !self.is_off.swap(true, Ordering::Relaxed) {
            self.warn(format!("results are no longer written to the store: {error}"));
        }
    }

    fn cannot_store(&self, node: &str, why: String) {
        self.notes().unstorable.insert(node.to_owned(), why);
    }
}

/// The thread, until it is dropped: then all that was handed over is written first.
pub struct Writer {
    pub shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// # Errors
    /// If the directory cannot be used, or no thread started.
    pub fn start(directory: &Path, budget: u64) -> std::io::Result<Writer> {
        let disk = Disk::open(directory)?;
        let shared = Arc::new(Shared {
            disk: Mutex::new(disk),
            notes: Mutex::default(),
            is_off: AtomicBool::new(false),
            budget: AtomicU64::new(budget),
            pending: AtomicUsize::new(0),
        });
        let (jobs, queue) = unbounded();
        let of_thread = shared.clone();
        let thread = thread::Builder::new()
            .name("brooklet-store".to_owned())
            .stack_size(STACK)
            .spawn(move || work(&of_thread, &queue))?;
        Ok(Writer { shared, jobs: Some(jobs), thread: Some(thread) })
    }

    pub fn hand_over(&self, job: Job) {
        hold::more();
        self.shared.pending.fetch_add(1, Ordering::SeqCst);
        if self.jobs.as_ref().is_none_or(|it| it.send(job).is_err()) {
            self.shared.pending.fetch_sub(1, Ordering::SeqCst);
            hold::less();
        }
    }

    /// Whether anything is still to be written.
    pub fn is_busy(&self) -> bool {
        self.shared.pending.load(Ordering::SeqCst) > 0
    }

    /// Waits until all that was handed over is written.
    pub fn settle(&self) {
        self.settle_within(PATIENCE);
    }

    /// As `settle`, and goes on without if it takes longer.
    pub fn settle_within(&self, patience: Duration) {
        if !self.is_busy() {
            return;
        }
        let (done, wait) = crossbeam_channel::bounded(1);
        self.hand_over(Job::Settle(done));
        let _ = wait.recv_timeout(patience);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Shared, queue: &Receiver<Job>) {
    hold::this_thread_writes();
    // What others wrote counts too, and what was left behind.
    let mut written = LOOK;
    for job in queue {
        let mut settled = None;
        match job {
            Job::Settle(done) => settled = Some(done),
            _ if shared.is_off() => {}
            Job::Lines(lines, compiled) => note(shared, lines.iter().map(|it| it.entry(&compiled)).collect()),
            Job::Value(entry, value, format) => written += write(shared, entry, &value, format),
        }
        if written >= LOOK {
            written = 0;
            let budget = shared.budget.load(Ordering::Relaxed);
            let files = shared.disk().files.clone();
            files.evict(budget);
        }
        shared.pending.fetch_sub(1, Ordering::SeqCst);
        hold::less();
        // Last: whoever waited finds a writer that is no longer busy.
        if let Some(done) = settled {
            let _ = done.send(());
        }
    }
}

/// Adds entries to the ledger.
fn note(shared: &Shared, entries: Vec<Entry>) {
    let lines: String = entries.iter().map(Entry::line).collect();
    let files = shared.disk().files.clone();
    match files.append(&lines) {
        Ok(()) => {
            let mut disk = shared.disk();
            disk.skip(lines.len() as u64 + 1);
            entries.into_iter().for_each(|it| disk.learn(it));
        }
        Err(error) => shared.turn_off(&error),
    }
}

/// Writes a value and its entry; the bytes written.
fn write(shared: &Shared, entry: Entry, value: &Value, format: Option<Format>) -> u64 {
    let Some(usual) = value.ops().storing else { return 0 };
    let Some(storing) = usual.in_format(format.unwrap_or(usual.format)) else {
        let why =
            format!("`{}` cannot be written as {}", value.type_name(), format.map_or("", Format::extension));
        shared.cannot_store(&entry.node, why);
        note(shared, vec![entry]);
        return 0;
    };
    if !value.ops().from_image {
        // Before: should code of the user's end the process, the line says that it was tried.
        note(shared, vec![entry.clone()]);
    }
    let bytes = match panics::catch(|| bytes_of(&storing, value, entry.version)) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => {
            shared.cannot_store(&entry.node, why);
            note(shared, vec![entry]);
            return 0;
        }
        Err(panic) => {
            foreign::take_fault();
            shared.cannot_store(&entry.node, format!("a panic while it was written: {}", panic.message));
            note(shared, vec![entry]);
            return 0;
        }
    };
    let file = FileOf { format: storing.format, bytes: bytes.len() as u64, hash: Version::of_bytes(&bytes) };
    // Not under the lock: a run looks up keys meanwhile.
    let files = shared.disk().files.clone();
    match files.write(&file, &bytes) {
        Ok(()) => note(shared, vec![Entry { file: Some(file), ..entry }]),
        Err(error) => shared.turn_off(&error),
    }
    file.bytes
}

/// The value's bytes, if they are the value: they are read back and compared, by the version where the type has one.
fn bytes_of(storing: &Storing, value: &Value, version: Version) -> Result<Vec<u8>, String> {
    let bytes = value.foreign_in(LANE, "stored", storing.save)?;
    let read = value.foreign_in(LANE, "read back", |_| (storing.load)(&bytes))?;
    let again = Value::from_data(read, value.ops());
    let is_same = match storing.equal {
        Some(equal) => value.foreign_in(LANE, "compared", |it| equal(it, &**again.data())),
        None => again.version() == Some(version),
    };
    if is_same { Ok(bytes) } else { Err("what is read back is not equal to what was written".to_owned()) }
}

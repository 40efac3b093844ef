//! Writes the record of each run, behind its back: what git says takes longer than most runs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_records::{Book, By, Git, Record, Source, git_state, hash};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::locked;
use crate::build::image::{Toolchain, source_directory};
use crate::reload::Revision;
use crate::worker::Facts;

/// Git that takes longer is asked less often.
const SLOW: Duration = Duration::from_millis(200);
/// So long it is waited for records that are being written.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run that is over.
pub struct Finished {
    pub record: Record,
    pub revision: Arc<Revision>,
    /// Absent if the worker ended.
    pub facts: Option<Facts>,
}

enum Job {
    /// A run begins: where the repository stands now is where it stood.
    Begin,
    Run(Box<Finished>),
    /// Answers when all before it is written.
    Settle(Sender<()>),
}

/// The records of one notebook.
pub struct Recorder {
    pub book: Book,
    jobs: Sender<Job>,
    /// The last record, as it was written or was to be.
    last: Arc<Mutex<Option<Record>>>,
    /// Why records are not written, until it is told.
    problem: Arc<Mutex<Option<String>>>,
}

impl Recorder {
    /// `store` is the `.brooklet` directory, `base` the notebook's. The thread ends with this.
    pub fn start(store: &Path, base: &Path) -> Recorder {
        let (jobs, queue) = unbounded();
        let (problem, last) = (Arc::default(), Arc::default());
        let writer = Writer {
            book: Book::at(store),
            base: base.to_owned(),
            last: Arc::clone(&last),
            problem: Arc::clone(&problem),
        };
        let started = thread::Builder::new().name("records".into()).spawn(move || writer.work(&queue));
        if let Err(error) = started {
            *locked(&problem) = Some(error.to_string());
        }
        Recorder { book: Book::at(store), jobs, last, problem }
    }

    /// A run begins.
    pub fn begin(&self) {
        let _ = self.jobs.send(Job::Begin);
    }

    pub fn hand_over(&self, finished: Finished) {
        let _ = self.jobs.send(Job::Run(Box::new(finished)));
    }

    /// Waits until all that was handed over is written; false if that takes too long.
    pub fn settle(&self) -> bool {
        let (done, wait) = bounded(1);
        self.jobs.send(Job::Settle(done)).is_ok() && wait.recv_timeout(PATIENCE).is_ok()
    }

    /// The record of the last run, after `settle`.
    pub fn last(&self) -> Option<Record> {
        locked(&self.last).clone()
    }

    /// Why records are not written, the first time that it is asked.
    pub fn take_problem(&self) -> Option<String> {
        locked(&self.problem).take()
    }
}

struct Writer {
    book: Book,
    base: PathBuf,
    last: Arc<Mutex<Option<Record>>>,
    problem: Arc<Mutex<Option<String>>>,
}

impl Writer {
    fn work(self, queue: &Receiver<Job>) {
        let (mut has_failed, mut git) = (false, Repository::default());
        for job in queue {
            match job {
                Job::Begin => git.look(&self.base),
                Job::Settle(done) => drop(done.send(())),
                Job::Run(finished) => {
                    if let Err(error) = self.write(*finished, git.state.clone())
                        && !std::mem::replace(&mut has_failed, true)
                    {
                        *locked(&self.problem) = Some(error.to_string());
                    }
                }
            }
        }
    }

    fn write(&self, finished: Finished, git: Option<Git>) -> std::io::Result<()> {
        let Finished { mut record, revision, facts } = finished;
        let facts = facts.map(Facts::wait).unwrap_or_default();
        record.settle(&revision.graph, &facts.versions);
        record.results = facts.numbers;
        record.files = facts.files;
        record.by = By { name: notebook(), ..record.by };
        for (file, module) in revision.sources.files.iter().zip(&revision.modules) {
            let hash = self.book.keep_source(&file.text)?;
            record.sources.push(Source { path: file.path.clone(), module: module.join("::"), hash });
        }
        record.graph = self.book.keep_graph(&revision.graph)?;
        record.git = git;
        let lock = lock_file(&revision, &self.base);
        record.lock = fs::read(lock).map(|it| hash(&it)).unwrap_or_default();
        record.toolchain = Toolchain::find()
            .map(|it| it.version.lines().next().unwrap_or_default().to_owned())
            .unwrap_or_default();
        record.brooklet = env!("CARGO_PKG_VERSION").to_owned();
        *locked(&self.last) = Some(record.clone());
        self.book.add(&record)
    }
}

/// Where the repository stands. To ask takes a hundredth of a second, or seconds where there is much to look at; then it is
/// not asked at each run.
#[derive(Default)]
struct Repository {
    state: Option<Git>,
    /// Until then the last answer is good enough.
    rests: Option<Instant>,
}

impl Repository {
    fn look(&mut self, directory: &Path) {
        let start = Instant::now();
        if self.rests.is_none_or(|it| it <= start) {
            self.state = git_state(directory);
            let took = start.elapsed();
            self.rests = (took > SLOW).then(|| Instant::now() + took * 10);
        }
    }
}

/// The lock file that dependencies come from: the package's, or Brooklet's own.
fn lock_file(revision: &Revision, base: &Path) -> PathBuf {
    let package = revision.sources.package.as_ref().map(|it| base.join(&it.directory));
    let directories = package.as_deref().into_iter().flat_map(Path::ancestors);
    let own = directories.map(|it| it.join("Cargo.lock")).find(|it| it.is_file());
    own.unwrap_or_else(|| source_directory().join("Cargo.lock"))
}

/// The notebook's file name, where the frontend says it.
fn notebook() -> String {
    let path = env::var_os("JPY_SESSION_NAME").map(PathBuf::from).unwrap_or_default();
    path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}

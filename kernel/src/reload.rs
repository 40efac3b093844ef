//! From a save to a generation that is ready to be committed.
//!
//! This is quite tricky, because three things go on at once: files change, the compiler runs, and cells ask
//! for the current state. The guiding rules: what counts is the *content* of the watched files, never an
//! event about them, so every question starts by reading them; the compiler works on one content at a time
//! and is killed as soon as that content is no longer wanted; and a candidate that does not parse, build or
//! compile never touches the last good revision.

mod files;
mod package;
mod pipeline;
mod reading;
mod walk;
mod watcher;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::Duration;

use brooklet_graph::diagnostic::Diagnostic;
use brooklet_graph::graph::{Graph, Literals, Options};
use brooklet_graph::parse::Parsed;
use brooklet_graph::source::Sources;
use crossbeam_channel::{Sender, unbounded};

use crate::build::BuildError;
use crate::build::generation::{Compiler, Message};
use crate::build::image::Image;
use crate::build::package::PackageSpec;
use files::{Snapshot, WatchSet};

/// Name of the crate that a generation is: cells say `transforms::marketing::Split`.
pub const CRATE: &str = "transforms";

/// One accepted content of the watched files: parsed, without graph errors, compiled.
#[derive(Debug)]
pub struct Revision {
    /// Counts accepted contents.
    pub number: u64,
    pub sources: Sources,
    /// Module path of each file in the generated crate.
    pub modules: Vec<Vec<String>>,
    pub parsed: Parsed,
    /// What besides the files made the graph.
    pub options: Options,
    pub graph: Graph,
    pub warnings: Vec<Diagnostic>,
    /// Number of the library; the same for a content that comes back.
    pub generation: u64,
    /// Empty if the files hold no function.
    pub library: PathBuf,
    pub type_key: String,
    /// What the image must hold beside Brooklet's own.
    pub package: Option<Arc<PackageSpec>>,
}

/// Why the current content gives no revision. All of it at once.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
    /// What rustc says.
    pub compiler: Vec<Message>,
    /// The compiler was stopped on demand.
    pub interrupted: bool,
    /// The image or the compiler itself failed.
    pub build: Option<Box<BuildError>>,
}

/// Keeps the watched files compiled.
pub struct Reloader {
    shared: Arc<Shared>,
    watcher: watcher::Watcher,
}

/// How the image is had; called on the pipeline's thread, may take minutes the first time.
pub type ImageSource = Box<dyn Fn(Option<&Arc<PackageSpec>>) -> Result<Arc<Image>, BuildError> + Send + Sync>;

/// What has become of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Something was saved.
    Saved,
    /// What they hold was compiled, or cannot be.
    Processed,
}

/// Hears of the files, on threads of the reloader; must return soon.
pub type Hearer = Box<dyn Fn(News) + Send + Sync>;

/// Shows a line to whoever is at the notebook.
pub type Note = Box<dyn Fn(&str) + Send + Sync>;

struct Shared {
    /// Directory against which paths are read and shown: the notebook's.
    base: PathBuf,
    /// Of this kernel alone.
    session_directory: PathBuf,
    image: ImageSource,
    /// Tells the user something that is no problem.
    note: Note,
    compiler: Compiler,
    state: Mutex<State>,
    /// Signalled when a content has been processed.
    processed: Condvar,
    /// Wakes the pipeline; closed to end it.
    wake: Mutex<Option<Sender<()>>>,
    hearer: OnceLock<Hearer>,
}

#[derive(Default)]
struct State {
    watch_set: WatchSet,
    /// Absolute paths of other files that the watched ones included when they were last parsed.
    includes: Vec<String>,
    /// Other files that rustc read and that no syntax shows.
    found: BTreeSet<PathBuf>,
    /// The content being worked on.
    working: Option<String>,
    /// The last content worked on and what came of it.
    candidate: Option<(String, Result<Arc<Revision>, Problems>)>,
    /// The last good revision.
    committed: Option<Arc<Revision>>,
    /// Bumped by `interrupt`: waiting calls return.
    interrupts: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }

    fn wake(&self) {
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(|it| it.into_inner()) {
            let _ = wake.send(());
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (watch_set, includes) = {
            let state = self.state();
            let found = state.found.iter().filter_map(|it| it.to_str().map(str::to_owned));
            let includes: BTreeSet<String> = state.includes.iter().cloned().chain(found).collect();
            (state.watch_set.clone(), Vec::from_iter(includes))
        };
        files::read(&watch_set, &includes, &self.base)
    }

    fn tell(&self, news: News) {
        if let Some(hearer) = self.hearer.get() {
            hearer(news);
        }
    }

    /// Something was saved: what is being compiled may be of no use any more.
    fn saved(&self) {
        let now = self.snapshot().hash;
        let is_news = {
            let state = self.state();
            if state.working.as_ref().is_some_and(|it| *it != now) {
                self.compiler.kill();
            }
            let newest = state.working.as_ref().or(state.candidate.as_ref().map(|it| &it.0));
            newest != Some(&now)
        };
        if is_news {
            self.tell(News::Saved);
        }
        self.wake();
    }
}

impl Reloader {
    /// Starts with nothing watched. Paths are relative to `base`; all that is made goes to `session_directory`.
    pub fn new(image: ImageSource, note: Note, session_directory: PathBuf, base: PathBuf) -> Reloader {
        let (wake, woken) = unbounded();
        let shared = Arc::new(Shared {
            base,
            session_directory,
            image,
            note,
            compiler: Compiler::default(),
            state: Mutex::default(),
            processed: Condvar::new(),
            wake: Mutex::new(Some(wake)),
            hearer: OnceLock::new(),
        });
        let pipeline = pipeline::Pipeline::new(shared.clone());
        // Woken by saves and by questions; ends when `wake` is closed. rustc is started here, so it dies
        // with this thread.
        thread::Builder::new()
            .name("reload".into())
            .spawn(move || pipeline.run(&woken))
            .expect("a thread can be started");
        let saved = Arc::downgrade(&shared);
        let watcher = watcher::Watcher::new(move || match saved.upgrade() {
            Some(shared) => {
                shared.saved();
                true
            }
            None => false,
        });
        Reloader { shared, watcher }
    }

    /// Adds files and directories, and names the files that are watched now.
    ///
    /// # Errors
    /// If a path is not there or holds no Rust; nothing is added then.
    pub fn watch(&self, paths: &[String], allow_overrides: bool) -> Result<Vec<String>, String> {
        let mut state = self.shared.state();
        let mut watch_set = state.watch_set.clone();
        watch_set.allow_overrides |= allow_overrides;
        for path in paths {
            watch_set.add(path, &self.shared.base)?;
        }
        state.watch_set = watch_set.clone();
        drop(state);
        self.watcher.follow(&watch_set);
        self.shared.wake();
        Ok(files::read(&watch_set, &[], &self.shared.base)
            .sources
            .files
            .into_iter()
            .map(|it| it.path)
            .collect())
    }

    /// Removes paths as they were given to `watch`; all of them if none is named. Returns what was removed.
    ///
    /// # Errors
    /// If a path is not watched; nothing is removed then.
    pub fn unwatch(&self, paths: &[String]) -> Result<Vec<String>, String> {
        let mut state = self.shared.state();
        let mut watch_set = state.watch_set.clone();
        let removed = watch_set.remove(paths, &self.shared.base)?;
        state.watch_set = watch_set.clone();
        drop(state);
        self.watcher.follow(&watch_set);
        self.shared.wake();
        Ok(removed)
    }

    /// Sets the configuration by which variants are chosen. Compiles nothing: all of them are in the library.
    pub fn configure(&self, config: Literals) {
        self.shared.state().watch_set.config = config;
        self.shared.wake();
    }

    /// What is watched, as it was given.
    pub fn watched(&self) -> Vec<String> {
        self.shared.state().watch_set.given()
    }

    /// The revision of the files as they are now: reads them, and waits for the compiler if need be.
    ///
    /// # Errors
    /// All that is wrong with the files; the last good revision is untouched.
    pub fn current(&self) -> Result<Arc<Revision>, Problems> {
        let mut interrupts = None;
        loop {
            let snapshot = self.shared.snapshot();
            let mut state = self.shared.state();
            let before = *interrupts.get_or_insert(state.interrupts);
            loop {
                if state.interrupts != before {
                    return Err(Problems {
                        interrupted: true,
                        sources: snapshot.sources,
                        ..Problems::default()
                    });
                }
                if let Some((hash, result)) = &state.candidate
                    && *hash == snapshot.hash
                {
                    // A library that somebody removed is compiled again.
                    if result.as_ref().is_ok_and(|it| it.library.is_absolute() && !it.library.exists()) {
                        state.candidate = None;
                        continue;
                    }
                    let result = result.clone();
                    // That the image or the compiler could not be used says nothing of the files: the next
                    // question tries again.
                    if result.as_ref().is_err_and(|it| it.build.is_some()) {
                        state.candidate = None;
                    }
                    return result;
                }
                match &state.working {
                    Some(hash) if *hash == snapshot.hash => {}
                    Some(_) => self.shared.compiler.kill(),
                    None => {}
                }
                if state.working.as_ref() != Some(&snapshot.hash) {
                    self.shared.wake();
                }
                let working = state.working.clone();
                state = self.shared.processed.wait(state).unwrap_or_else(|it| it.into_inner());
                // A file may have changed meanwhile: then this content will never be processed.
                if working.is_some() || state.candidate.as_ref().is_none_or(|it| it.0 != snapshot.hash) {
                    break;
                }
            }
        }
    }

    /// Has somebody told of all news from now on.
    pub fn listen(&self, hearer: Hearer) {
        let _ = self.shared.hearer.set(hearer);
    }

    /// What came of the last content that was processed; waits for nothing.
    pub fn outcome(&self) -> Option<Result<Arc<Revision>, Problems>> {
        self.shared.state().candidate.as_ref().map(|it| it.1.clone())
    }

    /// The last revision that was accepted, whatever the files hold now.
    pub fn latest(&self) -> Option<Arc<Revision>> {
        self.shared.state().committed.clone()
    }

    /// Stops the compiler, and whoever waits for it. The next question compiles again.
    pub fn interrupt(&self) {
        let mut state = self.shared.state();
        state.interrupts += 1;
        self.shared.compiler.kill();
        drop(state);
        self.shared.processed.notify_all();
    }

    /// Ends all compiling for good, and waits a moment until nothing is written any more.
    pub fn close(&self) {
        const MOMENT: Duration = Duration::from_millis(500);
        self.shared.compiler.close();
        let mut state = self.shared.state();
        state.interrupts += 1;
        self.shared.processed.notify_all();
        let waited = self.shared.processed.wait_timeout_while(state, MOMENT, |it| it.working.is_some());
        drop(waited.unwrap_or_else(|it| it.into_inner()));
    }

    /// Where cells find the generation in force (`-L crate=`).
    pub fn generation_directory(&self) -> PathBuf {
        self.shared.session_directory.join("current")
    }

    /// Makes a revision's library the only one in `generation_directory`.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub fn publish(&self, revision: &Revision) -> Result<(), BuildError> {
        let directory = self.generation_directory();
        publish(&directory, &revision.library)
            .map_err(|error| BuildError::new(format!("cannot write {}: {error}", directory.display())))
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.shared.wake.lock().unwrap_or_else(|it| it.into_inner()).take();
        self.shared.compiler.kill();
    }
}

fn publish(directory: &Path, library: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    match library.file_name() {
        Some(name) => fs::hard_link(library, directory.join(name))
            .or_else(|_| fs::copy(library, directory.join(name)).map(drop)),
        None => Ok(()),
    }
}

//! The notebook experience: what happens between a cell's text and what appears below it.
//!
//! A session ties together the watched files (`reload`), the process that owns the values (`worker`) and
//! the one that compiles Rust cells (`cells`). Each of them may fail or die at any time; the session turns
//! whatever happens into one clear answer and goes on.
//!
//! Guiding rules: nothing stale is ever shown as fresh, so every cell starts by reading the watched files;
//! and a cell is understood as a whole before any of it is done.
//!
//! A new magic: its declaration in `magics`, its arm in `Execution::magic`, and a method in the file of its
//! group.

mod grammar;
mod magics;
mod words;

mod dag;
mod help;
mod history;
mod nodes;
mod process;
mod run;
mod rust;
mod transform;
mod values;
mod watch;

mod cache;
mod changes;
mod complete;
mod context;
mod inspect;

mod difference;
mod display;
mod errors;
mod image;
mod interrupts;
mod link;
mod live;
mod records;
mod runs;
mod screen;
#[cfg(test)]
mod testing;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use brooklet_graph::graph::Literals;
use brooklet_graph::parse::cell as rust_cell;
use brooklet_graph::wire::MimeBundle;
use brooklet_records::Record;

use crate::build::cache::{cache_directory, checked_cache_directory};
use crate::cells::Cells;
use crate::engine::{Cell, CellError, Completeness, Completions, Engine, Outcome, Output, Stream};
use crate::executable;
use crate::lease::{self, Lease};
use crate::reload::{News, Reloader, Revision};
use display::{Mirror, Painter};
use errors::Result;
use grammar::Call;
use image::ImageHolder;
use interrupts::{Action, Interrupts};
use link::Link;
use live::{Live, Wake};
use records::Recorder;
use run::{LastRun, Tally};
use screen::Screen;

/// The directories of all sessions, in the cache.
const SESSIONS: &str = "sessions";
/// How the file of a `%%transform` cell is called.
const TRANSFORM: &str = "%%transform ";

/// What a session is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The notebook's directory: what relative paths count from.
    pub directory: PathBuf,
    /// Whether displays follow the files; not where they are written down once and for all.
    pub follow: bool,
}

/// One notebook's engine.
pub struct Session {
    shared: Arc<Shared>,
}

/// Everything that is reached from several threads. Each lock is held for a moment only, and never two at
/// once.
struct Shared {
    base: PathBuf,
    /// Removed with everything in it at the end.
    directory: Arc<Lease>,
    screen: Arc<Screen>,
    image: Arc<ImageHolder>,
    reloader: Reloader,
    interrupts: Arc<Interrupts>,
    link: Mutex<Link>,
    cells: Mutex<Option<Arc<Cells>>>,
    knowledge: Mutex<Knowledge>,
    /// The live picture of the present run.
    painter: Mutex<Option<Painter>>,
    /// What the present run did, node by node.
    tally: Mutex<Tally>,
    /// Held while a cell is executed, or nodes run by themselves.
    turn: Mutex<()>,
    live: Live,
    /// The record of the present run.
    record: Mutex<Record>,
    recorder: Recorder,
}

/// What the session knows, for the executing cell and for questions meanwhile.
#[derive(Default)]
struct Knowledge {
    /// The revision in force: the last one committed.
    revision: Option<Arc<Revision>>,
    mirror: Mirror,
    /// rustc's names of what nodes hold.
    types: BTreeMap<String, String>,
    /// Nodes whose values are gone with the worker.
    only_in_memory: Vec<String>,
    config: Literals,
    inputs: Literals,
    last_run: Option<LastRun>,
    /// The revision whose warnings were shown.
    warned: u64,
    /// Transform modules that cells made, by name, with their files.
    transforms: BTreeMap<String, PathBuf>,
    /// What `%%transform` wrote where, so that it replaces nothing that others wrote.
    written: BTreeMap<PathBuf, String>,
}

impl Knowledge {
    /// The literal that the next run gives an input.
    fn given(&self, name: &str) -> Option<&str> {
        let literal = self.inputs.get(name).or_else(|| self.config.get(name))?;
        Some(literal.trim()).filter(|it| *it != "null")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|it| it.into_inner())
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Link> {
        locked(&self.link)
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        locked(&self.knowledge)
    }

    fn painter(&self) -> MutexGuard<'_, Option<Painter>> {
        locked(&self.painter)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        locked(&self.tally)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }

    /// Where `%%transform` cells are kept.
    fn transforms_directory(&self) -> PathBuf {
        self.directory.path().join("transforms")
    }

    /// Makes again what is gone of the session's directory and nobody else makes again: somebody may tidy the
    /// cache at any time.
    fn mend_directory(&self) -> Result<()> {
        let directory = self.directory.path();
        let failed = |error: io::Error| {
            errors::hinted(
                "FileError",
                format!("the session's directory {} cannot be made again: {error}", directory.display()),
                "see that there is room and that the directory can be written, or restart the kernel",
            )
        };
        let is_gone = !self.directory.is_there();
        if is_gone {
            let cache = checked_cache_directory().map_err(|it| errors::build(&it))?;
            lease::private_directory(&cache.join(SESSIONS)).map_err(failed)?;
        }
        // Makes the directory as well.
        executable::keep_in(&self.directory).map_err(failed)?;
        if is_gone {
            let transforms = self.transforms_directory();
            fs::create_dir_all(&transforms).map_err(failed)?;
            let written = self.knowledge().written.clone();
            for (path, text) in written.iter().filter(|it| it.0.starts_with(&transforms) && !it.0.exists()) {
                fs::write(path, text).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// A path as the user knows it: relative to the notebook, and a module of a cell by its magic.
    fn shown_path(&self, path: &str) -> String {
        let path = Path::new(path);
        if let Ok(inside) = path.strip_prefix(self.transforms_directory()) {
            return format!("{TRANSFORM}{}", inside.display());
        }
        path.strip_prefix(&self.base).unwrap_or(path).display().to_string()
    }

    /// What is watched, for people.
    fn watched(&self) -> Vec<String> {
        self.reloader.watched().iter().map(|it| self.shown_path(it)).collect()
    }

    /// An error without the paths of files that the user never made.
    fn tidied(&self, error: CellError) -> CellError {
        let prefix = format!("{}/", self.transforms_directory().display());
        let tidy =
            |text: String| if text.contains(&prefix) { text.replace(&prefix, TRANSFORM) } else { text };
        CellError {
            name: error.name,
            value: tidy(error.value),
            traceback: error.traceback.into_iter().map(tidy).collect(),
        }
    }

    /// The newest graph that was accepted, for questions that must not wait.
    fn newest(&self) -> Option<Arc<Revision>> {
        self.reloader.latest().or_else(|| self.knowledge().revision.clone())
    }
}

impl Session {
    /// A session with nothing watched. Starts no process.
    ///
    /// # Errors
    /// If the session's directory cannot be made.
    pub fn start(options: Options) -> io::Result<Arc<dyn Engine>> {
        let sessions = cache_directory().join(SESSIONS);
        lease::private_directory(&sessions)?;
        lease::sweep(&sessions, "");
        let directory = Arc::new(Lease::take(&sessions, "")?);
        executable::keep_in(&directory)?;
        let base = fs::canonicalize(&options.directory)?;
        let screen = Arc::new(Screen::default());
        let image = ImageHolder::new(screen.clone());
        let source = image.clone();
        let teller = screen.clone();
        let reloader = Reloader::new(
            Box::new(move |package| source.get_in_background(package)),
            Box::new(move |text| teller.stream(Stream::Stderr, &format!("note: {text}\n"))),
            directory.path().to_owned(),
            base.clone(),
        );
        let recorder = Recorder::start(&base.join(link::STORE), &base);
        let (wake, woken) = crossbeam_channel::unbounded();
        let live = Live::new(wake);
        let shared = Arc::new(Shared {
            base,
            directory,
            screen,
            image,
            reloader,
            interrupts: Arc::default(),
            link: Mutex::default(),
            cells: Mutex::default(),
            knowledge: Mutex::default(),
            painter: Mutex::default(),
            tally: Mutex::default(),
            turn: Mutex::default(),
            live,
            record: Mutex::default(),
            recorder,
        });
        if !options.follow {
            return Ok(Arc::new(Session { shared }));
        }
        live::start(&shared, woken);
        let listener = Arc::downgrade(&shared);
        shared.reloader.listen(Box::new(move |news| {
            let Some(shared) = listener.upgrade() else { return };
            match news {
                News::Saved => shared.saved(),
                News::Processed => shared.live.wake(Wake::Ready),
            }
        }));
        Ok(Arc::new(Session { shared }))
    }
}

impl Engine for Session {
    fn execute(&self, cell: &Cell, output: Arc<dyn Output>) -> Outcome {
        let Some(_turn) = self.shared.take_turn(&*output) else {
            return Outcome::Failure(errors::interrupted("stopped while it waited for a live run to end"));
        };
        let key = if cell.id.is_empty() { &cell.code } else { &cell.id };
        self.shared.live.forget_cell(key);
        self.shared.screen.begin(output.clone());
        for text in self.shared.live.take_owed() {
            output.stream(Stream::Stderr, &format!("{text}\n"));
        }
        let phase = self.shared.interrupts.begin();
        let execution =
            Execution { shared: &self.shared, output, count: cell.execution_count, cell: key.clone() };
        let done = self.shared.mend_directory().and_then(|()| execution.cell(&cell.code));
        let outcome = match done {
            Ok(()) => {
                let value = |it: &(String, String)| (it.0.clone(), execution.expression(&it.1));
                Outcome::Success { user_expressions: cell.user_expressions.iter().map(value).collect() }
            }
            Err(error) => Outcome::Failure(self.shared.tidied(error)),
        };
        self.shared.screen.end();
        drop(phase);
        self.shared.live.wake(Wake::Ready);
        outcome
    }

    fn complete(&self, code: &str, position: usize) -> Completions {
        complete::complete(&self.shared, code, position)
    }

    fn inspect(&self, code: &str, position: usize, detail: u8) -> Option<MimeBundle> {
        inspect::inspect(&self.shared, code, position, detail)
    }

    fn completeness(&self, code: &str) -> Completeness {
        if grammar::is_open(code) {
            return Completeness::Incomplete { indent: "    ".to_owned() };
        }
        match rust_cell::completeness(code) {
            rust_cell::Completeness::Complete => Completeness::Complete,
            rust_cell::Completeness::Incomplete { indent } => Completeness::Incomplete { indent },
            rust_cell::Completeness::Invalid => Completeness::Invalid,
        }
    }

    fn interrupt(&self) {
        if self.shared.interrupt_live_run() {
            return;
        }
        match self.shared.interrupts.press() {
            Action::Nothing => {}
            Action::KillCompiler => {
                self.shared.reloader.interrupt();
                self.shared.image.interrupt();
            }
            Action::KillCellCompiler => {
                if let Some(cells) = &*locked(&self.shared.cells) {
                    cells.interrupt_compile();
                }
            }
            Action::AskWorker { cell } => self.shared.ask_worker_to_stop(cell),
            Action::KillWorker => self.shared.kill_worker(),
        }
    }

    fn shutdown(&self) {
        self.shared.live.close();
        self.shared.settle_results();
        self.shared.recorder.settle();
        self.shared.interrupts.close();
        self.shared.reloader.close();
        self.shared.image.interrupt();
        let cells = locked(&self.shared.cells).take();
        if let Some(cells) = cells {
            cells.close();
        }
        self.shared.kill_worker();
        self.shared.forget_worker();
        self.shared.directory.end();
    }

    fn children(&self) -> Vec<u32> {
        let worker = self.shared.link().worker.as_ref().map(|it| it.pid());
        let cells = locked(&self.shared.cells).as_ref().and_then(|it| it.child());
        worker.into_iter().chain(cells).collect()
    }

    fn banner(&self) -> String {
        format!(
            "Brooklet {}: Rust functions as a dataflow\n%watch FILE.rs draws its graph, %run NODE runs it, %help explains",
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// One cell while it is executed. The groups of magics add their methods in their own files.
struct Execution<'a> {
    shared: &'a Arc<Shared>,
    output: Arc<dyn Output>,
    /// The number beside the cell.
    count: u64,
    /// Which cell it is.
    cell: String,
}

impl Execution<'_> {
    /// Executes a cell, or the part of one that `%time` times.
    fn cell(&self, code: &str) -> Result<()> {
        let cell = grammar::parse(code).map_err(|it| errors::usage(&it))?;
        self.magics(&cell.magics, &cell.body)
    }

    fn magics(&self, calls: &[Call], body: &str) -> Result<()> {
        let mut left = calls;
        while let Some((call, rest)) = left.split_first() {
            match call.magic.name {
                "time" if call.magic.kind == magics::Kind::Cell => return self.timed(|| self.cell(body)),
                "time" if !call.rest.is_empty() => self.timed(|| self.cell(&call.rest))?,
                "time" if !rest.is_empty() || !body.trim().is_empty() => {
                    return self.timed(|| self.magics(rest, body));
                }
                "transform" => {
                    let _paused = self.shared.live.pause();
                    return self.transform(call, body);
                }
                _ => self.magic(call)?,
            }
            left = rest;
        }
        self.code(body)
    }

    fn magic(&self, call: &Call) -> Result<()> {
        match call.magic.name {
            // What these change is told by themselves.
            "watch" | "unwatch" | "config" => {
                let _paused = self.shared.live.pause();
                match call.magic.name {
                    "watch" => self.watch(call),
                    "unwatch" => self.unwatch(call),
                    _ => self.config(call),
                }
            }
            "input" => self.input(call),
            "run" => self.run(call),
            "head" => self.head(call),
            "describe" => self.describe(call),
            "dag" => self.dag(call),
            "nodes" => self.nodes(call),
            "source" => self.source(call),
            "check" => self.check(call),
            "cache" => self.cache(call),
            "runs" => self.runs(call),
            "live" => self.live(call),
            "why" => self.why(call),
            "diff" => self.diff(call),
            "time" => self.last_times(),
            "restart" => self.restart(),
            "help" => self.help(call),
            other => Err(errors::hinted(
                "NotYetSupported",
                format!("`%{other}` is not yet available in this version"),
                "`%help` lists what is",
            )),
        }
    }

    /// The revision of the watched files as they are now, with its warnings shown once.
    fn revision(&self) -> Result<Arc<Revision>> {
        let revision = self.shared.revision()?;
        let is_new = {
            let mut knowledge = self.shared.knowledge();
            std::mem::replace(&mut knowledge.warned, revision.number) != revision.number
        };
        if is_new && !revision.warnings.is_empty() {
            let text = brooklet_graph::diagnostic::render(&revision.warnings, &revision.sources, true);
            self.output.stream(Stream::Stderr, &format!("{}\n", text.trim_end()));
        }
        Ok(revision)
    }

    /// Shows text as a display of its own; HTML beside it where there is any.
    fn show(&self, plain: impl Into<String>, html: Option<String>) {
        let bundle = MimeBundle::text(plain);
        let bundle = match html {
            Some(html) => bundle.with("text/html", html),
            None => bundle,
        };
        self.output.display(&bundle, None);
    }

    /// The value of a user expression: the name of a node, nothing else.
    fn expression(&self, expression: &str) -> std::result::Result<MimeBundle, CellError> {
        let name = expression.trim();
        let is_node = self.shared.newest().is_some_and(|it| it.graph.nodes.contains_key(name));
        if !is_node {
            return Err(errors::plain(
                "NotANode",
                format!("a user expression must be the name of a node, and `{name}` is not"),
            ));
        }
        self.value_of(name)
    }
}

//! `brooklet run`: executes a notebook with no Jupyter at all.
//!
//! It is the second frontend beside the Jupyter sockets and uses the same [`Engine`], so what it shows is
//! what a notebook shows. Everything is printed as it comes; at the end there is the executed notebook and
//! one HTML page, also when a cell failed or a signal ended the run, because then they are wanted most.

mod ansi;
mod notebook;
mod page;
mod recorder;

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use crossbeam_channel::Receiver;

use crate::engine::{Cell, CellError, Engine, Outcome};
use crate::signals::{self, Caught, SIGHUP, SIGINT, SIGTERM};
use notebook::{CellKind, Notebook};
use recorder::Recorder;

/// How long a cell may take to notice that a signal has ended the run.
const CELL_END: Duration = Duration::from_secs(3);
/// How long the engine may take to end, once no cell is executed any more.
const SHUTDOWN_END: Duration = Duration::from_secs(1);
/// Parsers recurse, as deep as a cell is nested.
const STACK: usize = 64 << 20;

/// What to run, and where the results go.
pub struct Options {
    pub notebook: PathBuf,
    /// `target/<stem>` under the current directory where not given.
    pub output_directory: Option<PathBuf>,
    /// Goes on after a cell that failed.
    pub allow_errors: bool,
}

/// Runs the notebook; `start` makes the engine, once the notebook is known to be readable.
pub fn run(options: &Options, start: impl FnOnce() -> Result<Arc<dyn Engine>, String>) -> ExitCode {
    match try_run(options, start) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code says whether all cells did what they should, or which signal ended them.
fn try_run(
    options: &Options,
    start: impl FnOnce() -> Result<Arc<dyn Engine>, String>,
) -> Result<ExitCode, String> {
    let notebook = Notebook::read(&options.notebook)?;
    let path = std::path::absolute(&options.notebook).map_err(|error| error.to_string())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let output_directory =
        options.output_directory.clone().unwrap_or_else(|| Path::new("target").join(&stem));
    let output_directory = std::path::absolute(output_directory).map_err(|error| error.to_string())?;
    // Paths in a notebook are relative to it, as they are under Jupyter.
    if let Some(directory) = path.parent() {
        std::env::set_current_dir(directory)
            .map_err(|error| format!("cannot enter {}: {error}", directory.display()))?;
    }

    let refused = |error: std::io::Error| format!("the run cannot start: {error}");
    // Before the engine makes files, which from then on must not be left behind.
    let caught = Caught::new(&[SIGTERM, SIGHUP, SIGINT]).map_err(refused)?;
    let engine = start()?;
    let (sender, events) = crossbeam_channel::unbounded();
    let run = Run { engine: engine.clone(), ended: Arc::default() };
    let (cells, allow_errors, executed) = (run.clone(), options.allow_errors, sender.clone());
    // Executor thread: its one event is the last thing it does. Signals thread: one for each signal.
    let execute = move || {
        let done = catch_unwind(AssertUnwindSafe(|| cells.execute(notebook, allow_errors)));
        let _ = executed.send(Event::Executed(done));
    };
    let started = caught
        .tell(move |signal| drop(sender.send(Event::Signal(signal))))
        .and_then(|()| thread::Builder::new().name("executor".into()).stack_size(STACK).spawn(execute));
    if let Err(error) = started {
        engine.shutdown();
        return Err(refused(error));
    }
    let (done, signal) = run.wait(&events);
    let Some(Executed { mut notebook, failures }) = done else {
        tell_end(signal, ", in a cell that went on all the same: nothing is written");
        return Ok(exit_code(signal, false));
    };

    notebook.set_language(kernelspec_metadata(), language());
    let file_name = path.file_name().unwrap_or_default();
    let executed = output_directory.join(file_name);
    let html = output_directory.join(format!("{stem}.html"));
    std::fs::create_dir_all(&output_directory)
        .map_err(|error| format!("cannot make {}: {error}", output_directory.display()))?;
    write(&executed, &notebook.text())?;
    write(&html, &page::render(&notebook, &stem))?;
    // The terminal may be gone, which is no reason to panic.
    let _ = writeln!(std::io::stdout(), "\nwrote {}\n      {}", executed.display(), html.display());
    for CellFailure { heading, problem } in &failures {
        let file = options.notebook.display();
        let _ = writeln!(std::io::stderr(), "{file}: cell {heading} failed: {problem}");
    }
    tell_end(signal, "");
    Ok(exit_code(signal, failures.is_empty() || options.allow_errors))
}

fn tell_end(signal: Option<i32>, more: &str) {
    if let Some(signal) = signal {
        let _ = writeln!(std::io::stderr(), "error: ended by {}{more}", signals::name(signal));
    }
}

fn exit_code(signal: Option<i32>, is_good: bool) -> ExitCode {
    match signal {
        Some(signal) => ExitCode::from(signals::exit_code(signal)),
        None if is_good => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

/// Everything that a run waits for.
enum Event {
    /// No cell will be executed any more; or executing them panicked.
    Executed(thread::Result<Executed>),
    /// The system asks this process to end.
    Signal(i32),
}

/// What executing leaves.
struct Executed {
    notebook: Notebook,
    failures: Vec<CellFailure>,
}

struct CellFailure {
    heading: String,
    problem: String,
}

/// An engine that executes a notebook, and may be ended while it does.
#[derive(Clone)]
struct Run {
    engine: Arc<dyn Engine>,
    /// Set by a signal: the running cell is the last, whatever becomes of it.
    ended: Arc<AtomicBool>,
}

impl Run {
    /// Waits until all is executed, or ended by a signal, and shuts the engine down.
    ///
    /// There is nothing executed if a cell goes on in spite of that.
    fn wait(&self, events: &Receiver<Event>) -> (Option<Executed>, Option<i32>) {
        let first = events.recv().expect("the executor always says that it is done");
        let signal = match first {
            Event::Executed(done) => {
                self.engine.shutdown();
                return (Some(unwound(done)), None);
            }
            Event::Signal(signal) => signal,
        };
        self.ended.store(true, Ordering::SeqCst);
        // On a thread of its own, because whatever the engine waits for, a signal ends the process.
        let engine = self.engine.clone();
        let (sender, shut) = crossbeam_channel::bounded(1);
        let shutdown = move || {
            engine.shutdown();
            let _ = sender.send(());
        };
        if let Err(error) = thread::Builder::new().name("shutdown".into()).spawn(shutdown) {
            tracing::error!(%error, "the engine was not shut down");
        }
        let deadline = Instant::now() + CELL_END;
        let mut done = None;
        while done.is_none() {
            match events.recv_deadline(deadline) {
                Ok(Event::Executed(executed)) => done = Some(unwound(executed)),
                Ok(Event::Signal(_)) => {}
                Err(_) => break,
            }
        }
        // Again, for what the last cell may have begun meanwhile.
        if shut.recv_deadline(deadline.max(Instant::now() + SHUTDOWN_END)).is_ok() {
            self.engine.shutdown();
        }
        (done, Some(signal))
    }

    fn execute(&self, mut notebook: Notebook, allow_errors: bool) -> Executed {
        notebook.clear();
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let recorder = Recorder::new(notebook.len(), colour);
        let mut failures = Vec::new();
        let mut executed = Vec::new();
        for cell in 0..notebook.len() {
            if self.has_ended() {
                break;
            }
            let code = notebook.source(cell);
            if notebook.kind(cell) != CellKind::Code || code.trim().is_empty() {
                continue;
            }
            let execution_count = executed.len() as u64 + 1;
            let heading = format!("[{execution_count}] {}", first_line(&code));
            recorder.heading(&heading);
            let started = now();
            let request = Cell { code, execution_count, ..Cell::default() };
            let outcome = self.engine.execute(&request, recorder.cell(cell));
            notebook.set_times(cell, &started, &now());
            executed.push(cell);
            let Outcome::Failure(error) = outcome else {
                recorder.end(cell, None);
                continue;
            };
            recorder.end(cell, Some(&error));
            if self.has_ended() || !notebook.has_tag(cell, "raises-exception") {
                failures.push(CellFailure { heading, problem: one_line(&error) });
                if !allow_errors {
                    break;
                }
            }
        }
        // Collected at the end, because any cell may have replaced a display of an earlier one.
        for (index, cell) in executed.into_iter().enumerate() {
            let execution_count = index as u64 + 1;
            notebook.set_results(cell, Some(execution_count), recorder.outputs(cell, execution_count));
        }
        Executed { notebook, failures }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// What was executed; a panic goes on from here.
fn unwound(done: thread::Result<Executed>) -> Executed {
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// What names a cell: its first line that is not empty.
fn first_line(code: &str) -> String {
    const LONGEST: usize = 100;
    let line = code.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn one_line(error: &CellError) -> String {
    format!("{}: {}", error.name, error.value.lines().next().unwrap_or_default())
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn kernelspec_metadata() -> serde_json::Value {
    use crate::command_line::kernelspec::{DISPLAY_NAME, NAME};
    serde_json::json!({"name": NAME, "display_name": DISPLAY_NAME, "language": "rust"})
}

fn language() -> serde_json::Value {
    serde_json::json!({
        "name": "rust", "file_extension": ".rs", "mimetype": "text/x-rustsrc", "codemirror_mode": "rust",
        "pygments_lexer": "rust", "nbconvert_exporter": "script",
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Completeness, Completions, Output, Stream};
    use brooklet_graph::wire::MimeBundle;
    use serde_json::json;
    use std::sync::{Condvar, Mutex};

    /// A toy engine: `fail` fails, `wait` waits for the shutdown and fails then, anything else prints itself
    /// and gives its length.
    #[derive(Default)]
    struct Toy {
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Default)]
    struct State {
        waits: bool,
        is_shut: bool,
    }

    impl Toy {
        fn until_it_waits(&self) {
            drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !state.waits).unwrap());
        }

        fn wait(&self) {
            let mut state = self.state.lock().unwrap();
            state.waits = true;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| !state.is_shut).unwrap());
        }
    }

    impl Engine for Toy {
        fn execute(&self, cell: &Cell, output: Arc<dyn Output>) -> Outcome {
            output.stream(Stream::Stdout, &cell.code);
            if cell.code == "wait" {
                self.wait();
            }
            if ["fail", "wait"].contains(&cell.code.as_str()) {
                let traceback = vec!["boom at line 1".to_owned()];
                return Outcome::Failure(CellError { name: "Panic".into(), value: "boom".into(), traceback });
            }
            output.result(&MimeBundle::text(cell.code.len().to_string()));
            Outcome::success()
        }
        fn complete(&self, _: &str, _: usize) -> Completions {
            Completions::default()
        }
        fn inspect(&self, _: &str, _: usize, _: u8) -> Option<MimeBundle> {
            None
        }
        fn completeness(&self, _: &str) -> Completeness {
            Completeness::Complete
        }
        fn interrupt(&self) {}
        fn shutdown(&self) {
            self.state.lock().unwrap().is_shut = true;
            self.changed.notify_all();
        }
        fn children(&self) -> Vec<u32> {
            Vec::new()
        }
        fn banner(&self) -> String {
            String::new()
        }
    }

    fn notebook(cells: &[(&str, &[&str])]) -> Notebook {
        let cells: Vec<_> = cells
            .iter()
            .map(|(code, tags)| {
                json!({"cell_type": "code", "metadata": {"tags": tags}, "source": code, "outputs": [],
                       "execution_count": null})
            })
            .collect();
        let document = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells});
        Notebook::parse(&document.to_string()).unwrap()
    }

    fn counts(notebook: &Notebook) -> Vec<Option<u64>> {
        (0..notebook.len()).map(|it| notebook.execution_count(it)).collect()
    }

    fn run_of(toy: &Arc<Toy>) -> Run {
        Run { engine: toy.clone(), ended: Arc::default() }
    }

    fn execute(notebook: Notebook, allow_errors: bool) -> (Notebook, Vec<CellFailure>) {
        let Executed { notebook, failures } = run_of(&Arc::default()).execute(notebook, allow_errors);
        (notebook, failures)
    }

    #[test]
    fn cells_are_counted_and_empty_ones_are_left_out() {
        let (notebook, failures) = execute(notebook(&[("ab", &[]), ("  ", &[]), ("abc", &[])]), false);
        assert!(failures.is_empty());
        assert_eq!(counts(&notebook), [Some(1), None, Some(2)]);
        assert_eq!(notebook.outputs(2)[1]["data"]["text/plain"], "3");
    }

    #[test]
    fn a_failed_cell_is_named_and_ends_the_run() {
        let (notebook, failures) = execute(notebook(&[("ab", &[]), ("fail", &[]), ("abc", &[])]), false);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].heading.as_str(), failures[0].problem.as_str()), ("[2] fail", "Panic: boom"));
        assert_eq!(counts(&notebook), [Some(1), Some(2), None]);
        assert_eq!(notebook.outputs(1)[1]["ename"], "Panic");
    }

    #[test]
    fn expected_errors_and_allowed_errors_do_not_end_the_run() {
        let (tagged, failures) = execute(notebook(&[("fail", &["raises-exception"]), ("abc", &[])]), false);
        assert!(failures.is_empty());
        assert_eq!(counts(&tagged), [Some(1), Some(2)]);
        let (allowed, failures) = execute(notebook(&[("fail", &[]), ("abc", &[])]), true);
        assert_eq!(failures.len(), 1);
        assert_eq!(counts(&allowed), [Some(1), Some(2)]);
    }

    #[test]
    fn a_signal_ends_the_running_cell_and_all_after_it_whatever_is_allowed() {
        let toy = Arc::<Toy>::default();
        let run = run_of(&toy);
        let (sender, events) = crossbeam_channel::unbounded();
        let (executed, cells) = (sender.clone(), run.clone());
        let notebook = notebook(&[("ab", &[]), ("wait", &["raises-exception"]), ("abc", &[])]);
        let executor = thread::spawn(move || {
            let _ = executed.send(Event::Executed(Ok(cells.execute(notebook, true))));
        });
        toy.until_it_waits();
        let _ = sender.send(Event::Signal(SIGTERM));
        let (done, signal) = run.wait(&events);
        executor.join().unwrap();
        let Executed { notebook, failures } = done.expect("the cell ends with the engine");
        assert_eq!((signal, failures.len()), (Some(SIGTERM), 1));
        assert_eq!(counts(&notebook), [Some(1), Some(2), None]);
        assert_eq!(notebook.outputs(0)[1]["data"]["text/plain"], "2");
    }

    #[test]
    fn the_engine_is_shut_down_also_when_nothing_goes_wrong() {
        let toy = Arc::<Toy>::default();
        let run = run_of(&toy);
        let (sender, events) = crossbeam_channel::unbounded();
        let done = run.execute(notebook(&[("ab", &[])]), false);
        let _ = sender.send(Event::Executed(Ok(done)));
        let (done, signal) = run.wait(&events);
        assert!(done.is_some() && signal.is_none() && toy.state.lock().unwrap().is_shut);
    }

    #[test]
    fn a_long_first_line_is_cut() {
        assert_eq!(first_line("\n  %run a  \nb"), "%run a");
        assert_eq!(first_line(&"é".repeat(200)).chars().count(), 100);
    }
}

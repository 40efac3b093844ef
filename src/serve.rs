//! The worker's side of the conversation with the kernel.
//!
//! Four threads: one reads messages and does at once what must not wait (an interrupt, a question for a sign of
//! life, the kernel's death); one runs everything, steps and cells alike, on a large stack; one flushes what user
//! code prints; one drops values of user types (`foreign`). The run thread alone owns the driver and the cells'
//! variables, which may hold types that must not change threads.
//!
//! Order is promised: events of a run before its `Done`; and everything printed by a run or a cell is in the
//! pipes, followed by a mark, before `Done` or `CellDone` is sent. And that a node runs is in the socket before
//! its function is called, since the function may end the process.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use brooklet_graph::wire::{
    self, CacheOrder, CacheReport, Event, Failure, FromWorker, MimeBundle, Numbers, Outcome, Refusal, Run,
    RunFacts, Show, ToWorker, Why,
};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::cell;
use crate::driver::{CommitError, Driver, Request};
use crate::foreign;
use crate::glue::Table;
use crate::hold;
use crate::loader::{self, CellVariables};
use crate::panics::{self, Panic};
use crate::show;
use crate::value::Value;
use crate::version::Version;

/// Deep recursion in a cell or a transform should work where it works in a program.
const RUN_STACK: usize = 64 << 20;
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// The exit code for a link that takes nothing any more. What code of the user's did to it cannot be mended.
const LINK_LOST: i32 = 74;

/// Serves the kernel at the other end of a socket until it says `Shutdown` or goes away; the exit code.
pub fn serve(fd: RawFd) -> i32 {
    match start(loader::adopt_socket(fd), loader::exit_now) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("brooklet worker: {error}");
            1
        }
    }
}

/// `end` ends the process with an exit code.
fn start(mut socket: UnixStream, end: fn(i32) -> !) -> io::Result<i32> {
    wire::send(&mut socket, &FromWorker::Hello { version: wire::VERSION })?;
    match wire::receive::<ToWorker>(&mut socket)? {
        Some(ToWorker::Hello { version }) if version == wire::VERSION => {}
        Some(ToWorker::Hello { version }) => {
            return Err(io::Error::other(format!(
                "the kernel speaks version {version}, I speak {}",
                wire::VERSION
            )));
        }
        _ => return Err(io::Error::other("the first message was not `Hello`")),
    }
    let driver = Driver::new();
    let interrupt = driver.interrupt_flag();
    let (messages_tx, messages) = unbounded();
    let reading = socket.try_clone()?;
    let answers =
        Arc::new(Answers { pending: Mutex::new((socket, Vec::new())), end, process: std::process::id() });
    // For the life of the process: the thread that drops values ends with it.
    foreign::observe(Box::leak(Box::new(Foreign(answers.clone()))))?;
    let noting = answers.clone();
    spawn("brooklet-read", 0, move || read(reading, &messages_tx, &interrupt, &noting))?;
    spawn("brooklet-flush", 0, flush_regularly)?;
    let running = spawn("brooklet-run", RUN_STACK, move || Worker::new(driver, answers).run(&messages))?;
    Ok(i32::from(running.join().is_err()))
}

fn spawn(
    name: &str,
    stack: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.to_owned());
    let builder = if stack > 0 { builder.stack_size(stack) } else { builder };
    builder.spawn(run)
}

fn read(mut socket: UnixStream, messages: &Sender<ToWorker>, interrupt: &AtomicBool, answers: &Answers) {
    loop {
        match wire::receive::<ToWorker>(&mut socket) {
            Ok(Some(ToWorker::Interrupt)) => {
                interrupt.store(true, Ordering::Relaxed);
                answers.send(&FromWorker::InterruptNoted);
            }
            Ok(Some(ToWorker::Ping)) => answers.send(&FromWorker::Pong),
            // The run thread stands in the question, so the answer cannot go through its queue.
            Ok(Some(ToWorker::Answer { text })) => cell::answer(text),
            Ok(Some(message)) => {
                match &message {
                    // An interrupt that came before belongs to what ran before. Cleared here and not where
                    // the run starts, so that an interrupt that comes after it is not lost.
                    ToWorker::Run(_) => interrupt.store(false, Ordering::Relaxed),
                    ToWorker::Shutdown => interrupt.store(true, Ordering::Relaxed),
                    _ => {}
                }
                if messages.send(message).is_err() {
                    return;
                }
            }
            // Without a kernel there is nobody to work for, whatever is running.
            Ok(None) | Err(_) => (answers.end)(0),
        }
    }
}

/// What goes to the kernel.
struct Answers {
    /// The socket, and frames that may wait for the next one.
    pending: Mutex<(UnixStream, Vec<u8>)>,
    end: fn(i32) -> !,
    /// Whose answers these are.
    process: u32,
}

/// Announces foreign code to the kernel.
struct Foreign(Arc<Answers>);

impl foreign::Observer for Foreign {
    fn doing(&self, lane: &str, what: &str) {
        self.0.send(&FromWorker::Doing { lane: lane.to_owned(), what: what.to_owned() });
    }

    fn warn(&self, node: &str, message: &str) {
        let event = Event::DidWarn { node: node.to_owned(), message: message.to_owned() };
        self.0.send(&FromWorker::Event { request: 0, event });
    }
}

impl Answers {
    /// Sends a message. Events that say what is over in no time wait for the next message, because a run may
    /// have thousands of them; everything else is in the socket when this returns.
    fn send(&self, message: &FromWorker) {
        const ENOUGH: usize = 1 << 16;
        const SHORT: f64 = 1.0;
        // Code of the user's may fork, and the child comes back to here with all of our descriptors. Only the
        // process that the kernel started speaks; and the child must not wait for a lock that it inherited.
        if std::process::id() != self.process {
            (self.end)(0);
        }
        // Written down before the lock is taken: a sign of life must not wait for a large answer.
        let mut frame = Vec::new();
        if let Err(error) = wire::send(&mut frame, message) {
            let instead = in_place_of(message, &error);
            // Small, so it can be written.
            let _ = instead.map(|it| wire::send(&mut frame, &it));
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let (socket, frames) = &mut *pending;
        frames.append(&mut frame);
        let may_wait = match message {
            FromWorker::Event { event: Event::DidRun { milliseconds, .. }, .. } => *milliseconds < SHORT,
            FromWorker::Event { event: Event::DidReuse { .. } | Event::DidTake { .. }, .. } => true,
            FromWorker::Doing { what, .. } => what.is_empty(),
            _ => false,
        };
        if may_wait && frames.len() < ENOUGH {
            return;
        }
        if let Err(error) = socket.write_all(frames) {
            // When the kernel is gone, the reading thread ends the process as well.
            eprintln!("the link to the kernel is broken: {error}");
            (self.end)(if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { LINK_LOST });
        }
        frames.clear();
    }
}

/// What is said where an answer cannot be: somebody waits for it.
fn in_place_of(answer: &FromWorker, error: &io::Error) -> Option<FromWorker> {
    let message = format!("the answer cannot be passed on: {error}");
    match answer {
        FromWorker::Facts { request, .. } => {
            Some(FromWorker::Facts { request: *request, facts: RunFacts::default() })
        }
        FromWorker::Done { request, unused_inputs, .. } => Some(FromWorker::Done {
            request: *request,
            outcome: Outcome::Failed { failures: vec![failure("TooLarge", &message)] },
            unused_inputs: unused_inputs.clone(),
        }),
        FromWorker::Display { .. } => Some(FromWorker::Display { bundle: MimeBundle::text(message) }),
        FromWorker::CellValue { request, .. } => {
            Some(FromWorker::CellValue { request: *request, bundle: MimeBundle::text(message) })
        }
        _ => None,
    }
}

/// `print!` without a newline stays in std's buffer; people expect to see it.
fn flush_regularly() {
    loop {
        thread::sleep(FLUSH_EVERY);
        let _ = io::stdout().flush();
    }
}

/// Tells the readers of both pipes that all output of a request has come.
fn mark_output(request: u64) {
    let mark = format!("\x1ebrooklet:{request}\x1e\n");
    let mut out = io::stdout().lock();
    let _ = out.write_all(mark.as_bytes());
    let _ = out.flush();
    let mut err = io::stderr().lock();
    let _ = err.write_all(mark.as_bytes());
    let _ = err.flush();
}

struct Worker {
    driver: Driver,
    /// By path: a library is loaded once.
    generations: HashMap<String, Table>,
    variables: CellVariables,
    /// Of values that were asked for, by version.
    numbers: HashMap<Version, Numbers>,
    answers: Arc<Answers>,
}

impl Worker {
    fn new(mut driver: Driver, answers: Arc<Answers>) -> Worker {
        if let Ok(directory) = std::env::current_dir() {
            driver.set_base(directory);
        }
        Worker {
            driver,
            generations: HashMap::new(),
            variables: CellVariables::none(),
            numbers: HashMap::new(),
            answers,
        }
    }

    fn run(mut self, messages: &Receiver<ToWorker>) {
        let answers = self.answers.clone();
        cell::set_output(Arc::new(move |message| answers.send(&message)));
        for message in messages {
            match message {
                ToWorker::Commit { generation, library, type_key, graph } => {
                    let answer = panics::catch(|| self.commit(generation, &library, &type_key, graph));
                    self.answer(answer.unwrap_or_else(|panic| FromWorker::Refused {
                        generation,
                        problem: Refusal::Load { message: ours(&panic) },
                    }));
                }
                ToWorker::Run(run) => self.run_targets(run),
                ToWorker::Check { request, targets, inputs, overrides } => {
                    let wanted = Request { targets, inputs, overrides, ..Request::default() };
                    let problems = panics::catch(|| self.driver.check(&wanted));
                    let problems = problems.unwrap_or_else(|panic| vec![failure("Panic", &ours(&panic))]);
                    self.answer(FromWorker::Checked { request, problems });
                }
                ToWorker::Why { request, node } => {
                    let answer = panics::catch(|| self.driver.why(&node));
                    let answer = answer.unwrap_or_else(|panic| Why::said(ours(&panic)));
                    self.answer(FromWorker::Why { request, answer });
                }
                ToWorker::Store { directory, identity } => self.open_store(&directory, &identity),
                ToWorker::Cache { request, order } => {
                    let answer = panics::catch(|| self.cache(order));
                    let answer = answer.unwrap_or_else(|panic| Err(ours(&panic)));
                    self.answer(FromWorker::Cache { request, answer });
                }
                ToWorker::Cell { request, library, function, nonce } => {
                    self.run_cell(request, &library, &function, nonce);
                }
                // The store itself belongs to code that may be gone; its memory is the price.
                ToWorker::ForgetCells => self.variables = CellVariables::none(),
                ToWorker::Shutdown => break,
                ToWorker::Hello { .. } | ToWorker::Interrupt | ToWorker::Answer { .. } | ToWorker::Ping => {}
            }
        }
    }

    fn open_store(&mut self, directory: &str, identity: &str) {
        hold::hold_faults();
        let opened = panics::catch(|| self.driver.open_store(Path::new(directory), identity));
        let problem = match opened {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => ours(&panic),
        };
        self.driver.store().warn(format!("results are kept in memory alone: {directory}: {problem}"));
    }

    fn cache(&mut self, order: CacheOrder) -> Result<CacheReport, String> {
        let store = self.driver.store();
        match order {
            CacheOrder::Nothing => {}
            CacheOrder::Clear { nodes } => {
                self.driver.clear_results(&nodes).map_err(|it| it.to_string())?;
            }
            CacheOrder::Pin { nodes } => store.pin(&nodes),
            CacheOrder::Unpin { nodes } => store.unpin(&nodes),
            CacheOrder::Limit { memory, disk } => store.limit(memory, disk),
        }
        Ok(self.driver.kept_report())
    }

    fn answer(&self, answer: FromWorker) {
        self.answers.send(&answer);
    }

    fn commit(
        &mut self,
        generation: u64,
        library: &str,
        type_key: &str,
        graph: brooklet_graph::graph::Graph,
    ) -> FromWorker {
        let refused = |problem| FromWorker::Refused { generation, problem };
        if !library.is_empty() && !self.generations.contains_key(library) {
            match loader::load_generation(library) {
                Ok(table) => drop(self.generations.insert(library.to_owned(), table)),
                Err(message) => return refused(Refusal::Load { message }),
            }
        }
        let functions = self.generations.get(library).map_or(&[][..], |it| &it.functions);
        match self.driver.commit(graph, functions, type_key) {
            Ok(commit) => FromWorker::Committed {
                generation,
                types: commit.types,
                dropped: commit.dropped,
                only_in_memory: commit.only_in_memory,
            },
            Err(CommitError::Edges(mismatches)) => refused(Refusal::Edges { mismatches }),
            Err(CommitError::MissingFunctions(names)) => {
                let message = format!("generation {generation} does not hold {}", names.join(", "));
                refused(Refusal::Load { message })
            }
        }
    }

    fn run_targets(&mut self, run: Run) {
        let Run { request, targets, show, inputs, overrides, recompute, hold } = run;
        let answers = self.answers.clone();
        let mut events = move |event| answers.send(&FromWorker::Event { request, event });
        let wanted = Request { targets, inputs, overrides, recompute, hold, ..Request::default() };
        let report = panics::catch(|| self.driver.execute(&wanted, &mut events));
        let (values, versions, files) = match &report {
            Ok(report) => (report.values.clone(), report.versions.clone(), report.files.clone()),
            Err(_) => Default::default(),
        };
        let (outcome, unused_inputs) = match report {
            Err(panic) => (Outcome::Failed { failures: vec![failure("Panic", &ours(&panic))] }, Vec::new()),
            Ok(report) if report.interrupted => (Outcome::Interrupted, report.unused_inputs),
            Ok(report) if !report.failures.is_empty() => {
                (Outcome::Failed { failures: report.failures }, report.unused_inputs)
            }
            Ok(report) => {
                let outcome = shown(&report.values, show);
                if show == Show::Nothing {
                    cell::set_values(report.values);
                }
                (outcome, report.unused_inputs)
            }
        };
        mark_output(request);
        self.answer(FromWorker::Done { request, outcome, unused_inputs });
        let hex = |(name, version): (&String, &Version)| (name.clone(), version.hex());
        let facts = RunFacts {
            versions: versions.iter().map(|it| hex((&it.0, &it.1))).collect(),
            // A cell is about to use the values; it is not kept waiting.
            numbers: if show == Show::Nothing { BTreeMap::new() } else { self.numbers(&values) },
            files: files.iter().map(hex).collect(),
        };
        self.answer(FromWorker::Facts { request, facts });
    }

    /// The values of targets in numbers; of each version once.
    fn numbers(&mut self, values: &[(String, Value)]) -> BTreeMap<String, Numbers> {
        const MANY: usize = 1000;
        let mut all = BTreeMap::new();
        for (name, value) in values {
            let version = self.driver.version_of(name);
            let known = version.and_then(|it| self.numbers.get(&it).cloned());
            let numbers = known.unwrap_or_else(|| {
                let stored = self.driver.stored_bytes(name);
                panics::catch(|| show::numbers(value, stored)).unwrap_or_default()
            });
            if let Some(version) = version.filter(|_| !numbers.is_empty()) {
                if self.numbers.len() >= MANY {
                    self.numbers.clear();
                }
                self.numbers.insert(version, numbers.clone());
            }
            all.insert(name.clone(), numbers);
        }
        all
    }

    fn run_cell(&mut self, request: u64, library: &str, function: &str, nonce: u64) {
        let failure = match loader::load_cell(library, function) {
            Err(message) => Some(failure("Load", &message)),
            Ok(cell) => {
                self.answer(FromWorker::CellBegan { request });
                cell::set_request(Some(request), nonce);
                cell::take_raised();
                let ((), panic) = panics::watch(|| cell.run(&mut self.variables));
                cell::set_request(None, 0);
                let raised = cell::take_raised();
                panic
                    .map(|it| Failure { chain: place(&it), ..failure("Panic", &it.message) })
                    .or_else(|| raised.map(|it| Failure { chain: it.chain, ..failure("Error", &it.message) }))
            }
        };
        mark_output(request);
        self.answer(FromWorker::CellDone { request, failure });
    }
}

/// Renders the targets. A user's `Debug` may panic, which is a failure of the run.
fn shown(values: &[(String, Value)], show: Show) -> Outcome {
    foreign::take_fault();
    let failed = |kind, message: &str| Outcome::Failed { failures: vec![failure(kind, message)] };
    match panics::catch(|| show::combine(values, show)) {
        Ok(Ok(bundle)) => Outcome::Shown { bundle },
        Ok(Err(message)) => failed("TypeMismatch", &message),
        Err(panic) => {
            let during = foreign::take_fault().unwrap_or_else(|| "the values were shown".to_owned());
            let message = format!("{} (while {during})", panic.message);
            Outcome::Failed { failures: vec![Failure { chain: place(&panic), ..failure("Panic", &message) }] }
        }
    }
}

fn place(panic: &Panic) -> Vec<String> {
    if panic.place.is_empty() { Vec::new() } else { vec![panic.place.clone()] }
}

/// A panic of our own code.
fn ours(panic: &Panic) -> String {
    format!("this is a bug in Brooklet {}: {} at {}", env!("CARGO_PKG_VERSION"), panic.message, panic.place)
}

fn failure(kind: &str, message: &str) -> Failure {
    Failure {
        kind: kind.to_owned(),
        node: String::new(),
        message: message.to_owned(),
        chain: Vec::new(),
        hint: None,
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_says_hello_runs_and_shuts_down() {
        let (mut kernel, worker) = UnixStream::pair().unwrap();
        let thread = thread::spawn(move || {
            start(worker, |_| {
                loop {
                    thread::park()
                }
            })
            .unwrap()
        });
        let receive = |kernel: &mut UnixStream| wire::receive::<FromWorker>(kernel).unwrap().unwrap();
        assert!(matches!(receive(&mut kernel), FromWorker::Hello { version: wire::VERSION }));
        wire::send(&mut kernel, &ToWorker::Hello { version: wire::VERSION }).unwrap();
        wire::send(
            &mut kernel,
            &ToWorker::Run(Run { request: 1, targets: vec!["x".into()], ..Run::default() }),
        )
        .unwrap();
        match receive(&mut kernel) {
            FromWorker::Done { request: 1, outcome: Outcome::Failed { failures }, .. } => {
                assert_eq!(failures[0].kind, "unknown-target");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(receive(&mut kernel), FromWorker::Facts { request: 1, .. }));
        let graph = brooklet_graph::graph::Graph::default();
        let commit =
            ToWorker::Commit { generation: 1, library: "/nowhere.so".into(), type_key: String::new(), graph };
        wire::send(&mut kernel, &commit).unwrap();
        match receive(&mut kernel) {
            FromWorker::Refused { generation: 1, problem: Refusal::Load { message } } => {
                assert!(message.contains("/nowhere.so"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        wire::send(&mut kernel, &ToWorker::Shutdown).unwrap();
        assert_eq!(thread.join().unwrap(), 0);
    }
}

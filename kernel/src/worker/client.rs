//! Starts a worker and speaks with it.
//!
//! Threads: `worker-reader` reads the protocol's socket and hands answers to the waiting call, everything
//! else to the [`Listener`]; `worker-stdout` and `worker-stderr` read the pipes. All three end when the
//! worker does. Calls block; at most one of each kind is under way, because the session executes one cell
//! at a time. `interrupt` and `kill` may be called from any thread meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use brooklet_graph::graph::{Graph, Literals};
use brooklet_graph::wire::{
    self, Event, Failure, FromWorker, MimeBundle, Outcome, Refusal, Run, ToWorker, VERSION,
};
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::entry::PROTOCOL_FD;
use super::output::{self, Marks, Piece};
use crate::build::BuildError;
use crate::build::image::Image;
use crate::engine::Stream;
use crate::{executable, os};

/// How long a finished call waits for output that user code may have diverted.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);
/// How long an interrupt waits to be noted.
const INTERRUPT_GRACE: Duration = Duration::from_millis(300);
/// How many bytes of stderr are kept to explain a death.
const LAST_WORDS: usize = 4000;

/// Who wants to know what happens in the worker. Called from the reader threads; must not block for long.
pub trait Listener: Send + Sync {
    fn event(&self, request: u64, event: Event);
    /// Something shown while code runs.
    fn display(&self, bundle: MimeBundle);
    /// The value of a Rust cell.
    fn value(&self, request: u64, bundle: MimeBundle);
    fn output(&self, stream: Stream, text: &str);
    /// Asks the person at the frontend; called on a thread of its own, may wait for as long as it takes.
    fn ask(&self, prompt: &str, password: bool) -> Result<String, String>;
}

/// The end of a worker, as it is told to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// `was killed by signal 6 (SIGABRT)`; reads after "the worker".
    pub description: String,
    /// The last that it printed to stderr, where the runtime says why.
    pub last_words: String,
}

/// A generation that took over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// rustc's name of what each node holds.
    pub types: BTreeMap<String, String>,
    /// Nodes whose values were dropped because their types may have changed.
    pub dropped: Vec<String>,
}

/// The end of a Rust cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellReply {
    pub failure: Option<Failure>,
    /// Lines that evcxr's generated code printed for evcxr.
    pub control_lines: Vec<String>,
}

/// A running worker. Dropping it kills it.
pub struct Worker {
    pid: u32,
    shared: Arc<Shared>,
    next_request: AtomicU64,
}

struct Shared {
    to_worker: Mutex<UnixStream>,
    /// Waiting calls by request number; commits wait under their generation's negative.
    answers: Mutex<BTreeMap<Key, Sender<FromWorker>>>,
    marks: Arc<Marks>,
    in_cell: AtomicBool,
    control_lines: Mutex<Vec<String>>,
    /// The end of what the present call printed to stderr.
    last_words: Mutex<VecDeque<u8>>,
    child: Mutex<Child>,
    /// Set once, when the socket has ended and the process was waited for.
    status: Mutex<Option<ExitStatus>>,
    /// Set when this kernel asked for the death.
    wanted: AtomicBool,
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Hello,
    Commit(u64),
    Request(u64),
    Interrupt,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|it| it.into_inner())
}

impl Worker {
    /// Starts a worker with the image; relative paths in user code count from `base`.
    ///
    /// # Errors
    /// If the process cannot be started, or the image in it does not answer.
    pub fn start(image: &Image, base: &Path, listener: Arc<dyn Listener>) -> Result<Worker, BuildError> {
        let failed = |error: io::Error| BuildError::new(format!("the worker cannot be started: {error}"));
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(executable::path().map_err(failed)?);
        let mut search = vec![image.std_directory.clone()];
        search.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
        command
            .arg("worker")
            .arg(&image.library)
            .current_dir(base)
            .env("LD_LIBRARY_PATH", std::env::join_paths(search).unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        os::pass_fd(&mut command, theirs.into(), PROTOCOL_FD);
        os::lead_group(&mut command);
        let mut child = command.spawn().map_err(failed)?;
        // The command holds the worker's end of the socket: while it is open here, no end would be seen.
        drop(command);
        let pid = child.id();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let from_worker = ours.try_clone().map_err(failed)?;
        let shared = Arc::new(Shared {
            to_worker: Mutex::new(ours),
            answers: Mutex::default(),
            marks: Arc::default(),
            in_cell: AtomicBool::new(false),
            control_lines: Mutex::default(),
            last_words: Mutex::default(),
            child: Mutex::new(child),
            status: Mutex::default(),
            wanted: AtomicBool::new(false),
        });
        let hello = shared.expect(Key::Hello);
        shared.clone().spawn_pipe_reader("worker-stdout", 0, Stream::Stdout, stdout, listener.clone());
        shared.clone().spawn_pipe_reader("worker-stderr", 1, Stream::Stderr, stderr, listener.clone());
        shared.clone().spawn_socket_reader(from_worker, listener);
        let worker = Worker { pid, shared, next_request: AtomicU64::new(1) };
        let greeted = worker.send(&ToWorker::Hello { version: VERSION }).and_then(|()| worker.answer(&hello));
        match greeted {
            Ok(FromWorker::Hello { version: VERSION }) => Ok(worker),
            Ok(other) => Err(BuildError::new(format!("kernel and worker do not agree: {other:?}"))),
            Err(death) => Err(BuildError {
                message: format!("the worker {}", death.description),
                output: death.last_words,
                hint: Some("`brooklet doctor` checks the image".to_owned()),
            }),
        }
    }

    /// Makes a generation the one in force.
    pub fn commit(
        &self,
        generation: u64,
        library: &Path,
        type_key: &str,
        graph: &Graph,
    ) -> Result<Result<Committed, Refusal>, Death> {
        let answer = self.shared.expect(Key::Commit(generation));
        self.send(&ToWorker::Commit {
            generation,
            library: library.to_string_lossy().into_owned(),
            type_key: type_key.to_owned(),
            graph: graph.clone(),
        })?;
        match self.answer(&answer)? {
            FromWorker::Committed { types, dropped, .. } => Ok(Ok(Committed { types, dropped })),
            FromWorker::Refused { problem, .. } => Ok(Err(problem)),
            other => Err(self.confused(&other)),
        }
    }

    /// Runs what the targets need. Returns with all output delivered to the listener. The second part of
    /// the answer names given inputs that nothing uses.
    pub fn run(&self, run: Run) -> Result<(Outcome, Vec<String>), Death> {
        let request = self.number();
        locked(&self.shared.last_words).clear();
        let answer = self.shared.expect(Key::Request(request));
        self.send(&ToWorker::Run(Run { request, ..run }))?;
        match self.answer(&answer)? {
            FromWorker::Done { outcome, unused_inputs, .. } => {
                self.shared.marks.wait(request, OUTPUT_GRACE);
                Ok((outcome, unused_inputs))
            }
            other => Err(self.confused(&other)),
        }
    }

    /// What `run` would find wrong.
    pub fn check(
        &self,
        targets: &[String],
        inputs: &Literals,
        overrides: &Literals,
    ) -> Result<Vec<Failure>, Death> {
        let request = self.number();
        let answer = self.shared.expect(Key::Request(request));
        let (targets, inputs, overrides) = (targets.to_vec(), inputs.clone(), overrides.clone());
        self.send(&ToWorker::Check { request, targets, inputs, overrides })?;
        match self.answer(&answer)? {
            FromWorker::Checked { problems, .. } => Ok(problems),
            other => Err(self.confused(&other)),
        }
    }

    /// Why a node ran or was reused last.
    pub fn why(&self, node: &str) -> Result<String, Death> {
        let request = self.number();
        let answer = self.shared.expect(Key::Request(request));
        self.send(&ToWorker::Why { request, node: node.to_owned() })?;
        match self.answer(&answer)? {
            FromWorker::Why { text, .. } => Ok(text),
            other => Err(self.confused(&other)),
        }
    }

    /// Runs one function of a cell's library. Returns with all output delivered.
    pub fn cell(&self, library: &Path, function: &str) -> Result<CellReply, Death> {
        let request = self.number();
        let answer = self.shared.expect(Key::Request(request));
        locked(&self.shared.control_lines).clear();
        locked(&self.shared.last_words).clear();
        self.shared.in_cell.store(true, Ordering::SeqCst);
        let library = library.to_string_lossy().into_owned();
        let done = self
            .send(&ToWorker::Cell { request, library, function: function.to_owned() })
            .and_then(|()| self.answer(&answer));
        if done.is_ok() {
            self.shared.marks.wait(request, OUTPUT_GRACE);
        }
        self.shared.in_cell.store(false, Ordering::SeqCst);
        match done? {
            FromWorker::CellDone { failure, .. } => {
                let control_lines = std::mem::take(&mut *locked(&self.shared.control_lines));
                Ok(CellReply { failure, control_lines })
            }
            other => Err(self.confused(&other)),
        }
    }

    /// Drops the variables that cells keep.
    pub fn forget_cells(&self) {
        let _ = self.send(&ToWorker::ForgetCells);
    }

    /// Asks the driver to stop before the next step. Returns when it has noted that, or when it does not
    /// answer in time.
    pub fn interrupt(&self) {
        let noted = self.shared.expect(Key::Interrupt);
        let _ = self.send(&ToWorker::Interrupt);
        let _ = noted.recv_timeout(INTERRUPT_GRACE);
    }

    /// Kills the worker and all that it started. Waiting calls answer with a `Death`.
    pub fn kill(&self) {
        self.shared.wanted.store(true, Ordering::SeqCst);
        os::kill_group(self.pid);
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process still runs.
    pub fn is_alive(&self) -> bool {
        locked(&self.shared.status).is_none()
    }

    fn number(&self) -> u64 {
        self.next_request.fetch_add(1, Ordering::SeqCst)
    }

    fn send(&self, message: &ToWorker) -> Result<(), Death> {
        wire::send(&mut *locked(&self.shared.to_worker), message).map_err(|_| self.death())
    }

    fn answer(&self, from: &Receiver<FromWorker>) -> Result<FromWorker, Death> {
        from.recv().map_err(|_| self.death())
    }

    /// An answer that fits no question means that the two sides differ: there is no going on.
    fn confused(&self, answer: &FromWorker) -> Death {
        self.kill();
        Death { description: format!("answered out of turn: {answer:?}"), last_words: String::new() }
    }

    /// Tells how the worker ended. Called when its socket has: the process is gone or going.
    fn death(&self) -> Death {
        os::kill_group(self.pid);
        self.shared.marks.wait(u64::MAX, OUTPUT_GRACE);
        let status = self.shared.reap();
        let wanted = self.shared.wanted.load(Ordering::SeqCst);
        Death {
            description: describe(status, wanted),
            last_words: {
                let bytes: Vec<u8> = locked(&self.shared.last_words).iter().copied().collect();
                String::from_utf8_lossy(&bytes).trim().to_owned()
            },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.wanted.store(true, Ordering::SeqCst);
        let _ = locked(&self.shared.to_worker).shutdown(Shutdown::Both);
        os::kill_group(self.pid);
        self.shared.reap();
    }
}

impl Shared {
    fn expect(&self, key: Key) -> Receiver<FromWorker> {
        let (sender, receiver) = unbounded();
        locked(&self.answers).insert(key, sender);
        receiver
    }

    fn reap(&self) -> Option<ExitStatus> {
        let mut status = locked(&self.status);
        if status.is_none() {
            *status = locked(&self.child).wait().ok();
        }
        *status
    }

    fn spawn_pipe_reader(
        self: Arc<Shared>,
        name: &str,
        index: usize,
        stream: Stream,
        from: impl io::Read + Send + 'static,
        listener: Arc<dyn Listener>,
    ) {
        let read = move || {
            let marks = self.marks.clone();
            // Only fd 1 carries control lines.
            let in_cell = || index == 0 && self.in_cell.load(Ordering::SeqCst);
            output::read(from, index, &marks, &in_cell, &|piece| match piece {
                Piece::Text(text) => {
                    if index == 1 {
                        let mut last_words = locked(&self.last_words);
                        last_words.extend(text.bytes());
                        let over = last_words.len().saturating_sub(LAST_WORDS);
                        last_words.drain(..over);
                    }
                    listener.output(stream, &text);
                }
                Piece::Control(line) => locked(&self.control_lines).push(line),
                Piece::Content { mime, text } => {
                    let bundle = MimeBundle::default().with("text/plain", "").with(&mime, text);
                    listener.display(bundle);
                }
                Piece::Mark(_) => {}
            });
        };
        thread::Builder::new().name(name.to_owned()).spawn(read).expect("a thread can be started");
    }

    /// Puts a question of user code to the frontend, without holding up the reader.
    fn spawn_question(self: Arc<Shared>, listener: Arc<dyn Listener>, prompt: String, password: bool) {
        let wait = move || {
            let text = listener.ask(&prompt, password);
            // An answer to a worker that is gone is nobody's.
            let _ = wire::send(&mut *locked(&self.to_worker), &ToWorker::Answer { text });
        };
        thread::Builder::new().name("question".into()).spawn(wait).expect("a thread can be started");
    }

    fn spawn_socket_reader(self: Arc<Shared>, mut from: UnixStream, listener: Arc<dyn Listener>) {
        let read = move || {
            // A message that cannot be read ends the conversation like a closed socket.
            while let Ok(Some(message)) = wire::receive::<FromWorker>(&mut from) {
                let key = match &message {
                    FromWorker::Event { .. }
                    | FromWorker::Display { .. }
                    | FromWorker::Ask { .. }
                    | FromWorker::CellValue { .. } => None,
                    FromWorker::Hello { .. } => Some(Key::Hello),
                    FromWorker::InterruptNoted => Some(Key::Interrupt),
                    FromWorker::Committed { generation, .. } | FromWorker::Refused { generation, .. } => {
                        Some(Key::Commit(*generation))
                    }
                    FromWorker::Done { request, .. }
                    | FromWorker::Checked { request, .. }
                    | FromWorker::Why { request, .. }
                    | FromWorker::CellDone { request, .. } => Some(Key::Request(*request)),
                };
                match (key, message) {
                    (None, FromWorker::Event { request, event }) => listener.event(request, event),
                    (None, FromWorker::Display { bundle }) => listener.display(bundle),
                    (None, FromWorker::CellValue { request, bundle }) => listener.value(request, bundle),
                    (None, FromWorker::Ask { prompt, password }) => {
                        self.clone().spawn_question(listener.clone(), prompt, password);
                    }
                    (None, _) => {}
                    (Some(key), message) => {
                        if let Some(waiting) = locked(&self.answers).remove(&key) {
                            let _ = waiting.send(message);
                        }
                    }
                }
            }
            let _ = from.shutdown(Shutdown::Both);
            os::kill_group(locked(&self.child).id());
            self.reap();
            // Dropping the senders wakes every waiting call.
            locked(&self.answers).clear();
        };
        thread::Builder::new().name("worker-reader".into()).spawn(read).expect("a thread can be started");
    }
}

fn describe(status: Option<ExitStatus>, wanted: bool) -> String {
    let Some(status) = status else { return "is gone".to_owned() };
    match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) if wanted => "was stopped".to_owned(),
        (Some(signal), _) => format!("was killed by signal {signal} ({})", signal_name(signal)),
        (None, Some(code)) => format!("ended by itself with exit code {code}"),
        (None, None) => "is gone".to_owned(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT: `abort()`, a failed allocation or a stack overflow",
        libc::SIGSEGV => "SIGSEGV: memory that is not its own, or a stack overflow",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL: `kill -9`, or the system was out of memory",
        libc::SIGTERM => "SIGTERM",
        _ => "see `man 7 signal`",
    }
}

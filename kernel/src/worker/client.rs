//! Starts a worker and speaks with it.
//!
//! Threads: `worker-reader` reads the protocol's socket and hands answers to the waiting call, everything
//! else to the [`Listener`]; `worker-writer` writes to it, so that no call waits for a worker that does not read;
//! `worker-stdout` and `worker-stderr` read the pipes; `worker-end` waits for the process. All of them end when
//! the process does, whoever may still hold the other ends of its descriptors. Calls block; at most one of each
//! kind is under way, because the session executes one cell at a time. `interrupt` and `kill` may be called from
//! any thread meanwhile.
//!
//! Guiding rule: no call waits for what cannot come. While one waits, the worker is asked for signs of life; one
//! that gives none, or speaks nonsense, is ended and the call is told why.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Graph, Literals};
use brooklet_graph::wire::{
    self, Event, Failure, FromWorker, MimeBundle, Refusal, Run, ToWorker, VERSION, Why,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::death::{Death, describe};
use super::done::{Done, Facts};
use super::entry::PROTOCOL_FD;
use super::environment;
use super::output::{self, Marks, Piece};
use crate::build::image::Image;
use crate::engine::Stream;
use crate::{executable, os};

/// How long a finished call waits for output that user code may have diverted.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);
/// How long an interrupt waits to be noted.
const INTERRUPT_GRACE: Duration = Duration::from_millis(300);
/// How many bytes of stderr are kept to explain a death.
const LAST_WORDS: usize = 4000;
/// Between two questions for a sign of life.
const TICK: Duration = Duration::from_millis(250);
/// A tick that takes longer than this says that the machine is busy, and nothing of the worker.
const LATE_TICK: Duration = Duration::from_millis(400);
/// So many ticks without any sign: the worker cannot be heard.
const SILENT_TICKS: u32 = 7;
/// How often in one call a worker that was stopped by a signal is resumed.
const RESUMES: u32 = 5;
/// How long loading the image may take until the worker says hello.
const FIRST_WORD: Duration = Duration::from_secs(120);
/// How long what is quick by nature may take.
const QUICK: Duration = Duration::from_secs(20);
/// How long a process that was killed, or has closed its link, may take to be gone.
const END_GRACE: Duration = Duration::from_secs(2);
/// In the worker's environment, and in that of all forks of it: which worker it is.
const TAG: &str = "BROOKLET_WORKER";

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

/// A generation that took over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// rustc's name of what each node holds.
    pub types: BTreeMap<String, String>,
    /// Nodes whose values were dropped because their types may have changed.
    pub dropped: Vec<String>,
    /// Nodes whose values are gone with the worker.
    pub only_in_memory: Vec<String>,
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
    shared: Arc<Shared>,
    next_request: AtomicU64,
}

struct Shared {
    pid: u32,
    tag: String,
    to_worker: Sender<ToWorker>,
    socket: UnixStream,
    answers: Mutex<Answers>,
    listener: Arc<dyn Listener>,
    /// Anything was heard since this was last looked at.
    heard: AtomicBool,
    /// Code of the user's has begun to run for the present call.
    begun: AtomicBool,
    /// What code of the user's does that is no step, by lane.
    doing: Mutex<BTreeMap<String, String>>,
    marks: Arc<Marks>,
    /// Of the running cell; 0 if none runs.
    nonce: AtomicU64,
    control_lines: Mutex<Vec<String>>,
    /// The end of what the present call printed to stderr.
    last_words: Mutex<VecDeque<u8>>,
    /// How the process ended; set once, by the thread that waits for it.
    end: Mutex<Option<ExitStatus>>,
    ended: Condvar,
    /// Set when this kernel asked for the death.
    wanted: AtomicBool,
    /// Why this kernel ended a worker that nobody wanted to end.
    reason: Mutex<Option<String>>,
}

#[derive(Default)]
struct Answers {
    /// Waiting calls.
    waiting: BTreeMap<Key, Sender<FromWorker>>,
    /// Nothing will come any more.
    is_over: bool,
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Hello,
    Commit(u64),
    Request(u64),
    Facts(u64),
    Interrupt,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|it| it.into_inner())
}

impl Worker {
    /// Starts a worker with the image; relative paths in user code count from `base`. `is_stopped` is asked now
    /// and then whether it is still wanted.
    ///
    /// # Errors
    /// If the process cannot be started, or the image in it does not answer.
    pub fn start(
        image: &Image,
        base: &Path,
        listener: Arc<dyn Listener>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Worker, Death> {
        let failed = |error: io::Error| Death::of(format!("cannot be started: {error}"));
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let (alive_rx, alive_tx) = io::pipe().map_err(failed)?;
        let mut command = Command::new(executable::path().map_err(failed)?);
        let mut search = vec![image.std_directory.clone()];
        search.extend(std::env::var_os("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths));
        let tag = uuid::Uuid::new_v4().to_string();
        command
            .arg("worker")
            .arg(&image.library)
            .current_dir(base)
            .env("LD_LIBRARY_PATH", std::env::join_paths(search).unwrap_or_default())
            .env(TAG, &tag)
            .envs(environment::settings())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        os::lead_group(&mut command);
        os::pass_fd(&mut command, theirs.into(), PROTOCOL_FD);
        let mut child = command.spawn().map_err(failed)?;
        // The command holds the worker's end of the socket: while it is open here, no end would be seen.
        drop(command);
        let pid = child.id();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let from_worker = ours.try_clone().map_err(failed)?;
        let writing = ours.try_clone().map_err(failed)?;
        let (to_worker, messages) = unbounded();
        let shared = Arc::new(Shared {
            pid,
            tag,
            to_worker,
            socket: ours,
            answers: Mutex::default(),
            listener,
            heard: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            doing: Mutex::default(),
            marks: Arc::default(),
            nonce: AtomicU64::new(0),
            control_lines: Mutex::default(),
            last_words: Mutex::default(),
            end: Mutex::default(),
            ended: Condvar::new(),
            wanted: AtomicBool::new(false),
            reason: Mutex::default(),
        });
        let hello = shared.expect(Key::Hello);
        let alive = alive_rx.try_clone().map_err(failed)?;
        shared.clone().spawn_pipe_reader("worker-stdout", 0, Stream::Stdout, stdout, alive);
        shared.clone().spawn_pipe_reader("worker-stderr", 1, Stream::Stderr, stderr, alive_rx);
        shared.clone().spawn_socket_reader(from_worker);
        spawn("worker-writer", move || write(writing, &messages));
        spawn("worker-end", {
            let shared = shared.clone();
            move || shared.wait_for_end(child, alive_tx)
        });
        let worker = Worker { shared, next_request: AtomicU64::new(1) };
        worker.send(ToWorker::Hello { version: VERSION });
        match worker.first_word(&hello, is_stopped)? {
            FromWorker::Hello { version: VERSION } => Ok(worker),
            other => Err(Death::of(format!("does not agree with the kernel: {other:?}"))),
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
        let answer = self.call(Key::Commit(generation));
        self.send(ToWorker::Commit {
            generation,
            library: library.to_string_lossy().into_owned(),
            type_key: type_key.to_owned(),
            graph: graph.clone(),
        });
        match self.answer(&answer, Some(QUICK))? {
            FromWorker::Committed { types, dropped, only_in_memory, .. } => {
                Ok(Ok(Committed { types, dropped, only_in_memory }))
            }
            FromWorker::Refused { problem, .. } => Ok(Err(problem)),
            other => Err(self.confused(&other)),
        }
    }

    /// Runs what the targets need. Returns with all output delivered to the listener.
    pub fn run(&self, run: Run) -> Result<Done, Death> {
        let request = self.number();
        let answer = self.call(Key::Request(request));
        let facts = Facts::new(self.shared.expect(Key::Facts(request)));
        self.send(ToWorker::Run(Run { request, ..run }));
        match self.answer(&answer, None)? {
            FromWorker::Done { outcome, unused_inputs, .. } => {
                self.shared.marks.wait(request, OUTPUT_GRACE);
                Ok(Done { outcome, unused_inputs, facts: Some(facts) })
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
        let answer = self.call(Key::Request(request));
        let (targets, inputs, overrides) = (targets.to_vec(), inputs.clone(), overrides.clone());
        self.send(ToWorker::Check { request, targets, inputs, overrides });
        match self.answer(&answer, None)? {
            FromWorker::Checked { problems, .. } => Ok(problems),
            other => Err(self.confused(&other)),
        }
    }

    /// Why a node ran or was reused last.
    pub fn why(&self, node: &str) -> Result<Why, Death> {
        let request = self.number();
        let answer = self.call(Key::Request(request));
        self.send(ToWorker::Why { request, node: node.to_owned() });
        match self.answer(&answer, Some(QUICK))? {
            FromWorker::Why { answer, .. } => Ok(answer),
            other => Err(self.confused(&other)),
        }
    }

    /// Runs one function of a cell's library. Returns with all output delivered.
    pub fn cell(&self, library: &Path, function: &str) -> Result<CellReply, Death> {
        let request = self.number();
        let answer = self.call(Key::Request(request));
        locked(&self.shared.control_lines).clear();
        // Never 0, which means that no cell runs.
        let nonce = (uuid::Uuid::new_v4().as_u128() as u64).max(1);
        self.shared.nonce.store(nonce, Ordering::SeqCst);
        let library = library.to_string_lossy().into_owned();
        self.send(ToWorker::Cell { request, library, function: function.to_owned(), nonce });
        let done = self.answer(&answer, None);
        if done.is_ok() {
            self.shared.marks.wait(request, OUTPUT_GRACE);
        }
        self.shared.nonce.store(0, Ordering::SeqCst);
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
        self.send(ToWorker::ForgetCells);
    }

    /// Asks the driver to stop before the next step. Returns when it has noted that, or when it does not
    /// answer in time.
    pub fn interrupt(&self) {
        let noted = self.shared.expect(Key::Interrupt);
        self.send(ToWorker::Interrupt);
        if matches!(noted.recv_timeout(INTERRUPT_GRACE), Err(RecvTimeoutError::Timeout)) {
            self.shared.resume();
        }
    }

    /// Kills the worker and all that it started. Waiting calls answer with a `Death`.
    pub fn kill(&self) {
        self.shared.wanted.store(true, Ordering::SeqCst);
        self.shared.kill();
    }

    pub fn pid(&self) -> u32 {
        self.shared.pid
    }

    /// Whether the process still runs.
    pub fn is_alive(&self) -> bool {
        locked(&self.shared.end).is_none()
    }

    /// How a worker ended that is not alive, for whoever finds that out later.
    pub fn death(&self) -> Death {
        self.shared.kill();
        self.shared.marks.wait(u64::MAX, OUTPUT_GRACE);
        let status = self.shared.wait(END_GRACE);
        let wanted = self.shared.wanted.load(Ordering::SeqCst);
        let reason = locked(&self.shared.reason).clone();
        let words: Vec<u8> = locked(&self.shared.last_words).iter().copied().collect();
        let doing: Vec<String> = locked(&self.shared.doing).values().cloned().collect();
        Death {
            description: reason.unwrap_or_else(|| describe(status, wanted)),
            last_words: String::from_utf8_lossy(&words).trim().to_owned(),
            had_begun: self.shared.begun.load(Ordering::SeqCst),
            doing: doing.join(" and "),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.next_request.fetch_add(1, Ordering::SeqCst)
    }

    /// A new call, of which nothing is known yet.
    pub(super) fn call(&self, key: Key) -> Receiver<FromWorker> {
        locked(&self.shared.last_words).clear();
        self.shared.begun.store(false, Ordering::SeqCst);
        self.shared.expect(key)
    }

    pub(super) fn send(&self, message: ToWorker) {
        // A worker that is gone takes nothing, and its end is told by the answers.
        let _ = self.shared.to_worker.send(message);
    }

    fn first_word(
        &self,
        from: &Receiver<FromWorker>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<FromWorker, Death> {
        let started = Instant::now();
        loop {
            match from.recv_timeout(TICK) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
                Err(RecvTimeoutError::Timeout) if is_stopped() => {
                    self.kill();
                    return Err(self.death());
                }
                Err(RecvTimeoutError::Timeout) if started.elapsed() > FIRST_WORD => {
                    let seconds = FIRST_WORD.as_secs();
                    return Err(self.give_up(format!("did not say a word in {seconds} s and was ended")));
                }
                Err(RecvTimeoutError::Timeout) => drop(self.shared.resume()),
            }
        }
    }

    /// Waits for an answer as long as the worker shows that it lives, and at most for the time.
    pub(super) fn answer(
        &self,
        from: &Receiver<FromWorker>,
        at_most: Option<Duration>,
    ) -> Result<FromWorker, Death> {
        let started = Instant::now();
        let (mut silent, mut resumed) = (0, 0);
        loop {
            let tick = Instant::now();
            match from.recv_timeout(TICK) {
                Ok(message) => {
                    locked(&self.shared.doing).remove("run");
                    return Ok(message);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.shared.heard.swap(false, Ordering::SeqCst) {
                silent = 0;
            } else if tick.elapsed() < LATE_TICK {
                silent += 1;
            }
            if let Some(seconds) = at_most.filter(|it| started.elapsed() > *it).map(|it| it.as_secs()) {
                return Err(self.give_up(format!("did not answer in {seconds} s and was ended")));
            }
            if self.shared.resume() {
                resumed += 1;
                silent = 0;
                if resumed > RESUMES {
                    return Err(
                        self.give_up("was stopped by a signal again and again, and was ended".to_owned())
                    );
                }
                let note = "note: the worker was stopped by a signal; it goes on\n";
                self.shared.listener.output(Stream::Stderr, note);
            }
            if silent > SILENT_TICKS {
                return Err(self.give_up(
                    "could not be heard for two seconds and was ended (did code close its descriptors?)"
                        .to_owned(),
                ));
            }
            self.send(ToWorker::Ping);
        }
    }

    fn give_up(&self, reason: String) -> Death {
        self.shared.end_because(reason);
        self.death()
    }

    /// An answer that fits no question means that the two sides differ: there is no going on.
    pub(super) fn confused(&self, answer: &FromWorker) -> Death {
        self.give_up(format!("answered out of turn: {answer:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        self.shared.wait(END_GRACE);
    }
}

/// Writes what is to be said until nobody says anything any more, or nobody listens.
fn write(mut socket: UnixStream, messages: &Receiver<ToWorker>) {
    for message in messages {
        if let Err(error) = wire::send(&mut socket, &message) {
            tracing::debug!("the worker does not listen: {error}");
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The socket, noting whenever a good part of a message comes. A sign of life is shorter: where somebody else has
/// written into the link, each one would seem to be a part of a message that never ends.
struct Heard {
    from: UnixStream,
    shared: Arc<Shared>,
}

impl io::Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const GOOD_PART: usize = 1024;
        let count = self.from.read(buffer)?;
        if count >= GOOD_PART {
            self.shared.heard.store(true, Ordering::SeqCst);
        }
        Ok(count)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread can be started");
}

impl Shared {
    fn expect(&self, key: Key) -> Receiver<FromWorker> {
        let (sender, receiver) = unbounded();
        let mut answers = locked(&self.answers);
        if !answers.is_over {
            answers.waiting.insert(key, sender);
        }
        receiver
    }

    /// Kills the whole group, unless the process was reaped: then its number may be somebody else's.
    fn kill(&self) {
        let end = locked(&self.end);
        if end.is_none() {
            os::kill_group(self.pid);
        }
    }

    /// Lets a process that a signal has stopped go on; whether there was need.
    fn resume(&self) -> bool {
        let end = locked(&self.end);
        end.is_none() && os::resume_if_stopped(self.pid)
    }

    fn end_because(&self, reason: String) {
        if locked(&self.end).is_none() {
            locked(&self.reason).get_or_insert(reason);
            self.kill();
        }
    }

    fn wait(&self, at_most: Duration) -> Option<ExitStatus> {
        let end = locked(&self.end);
        let waited = self.ended.wait_timeout_while(end, at_most, |it| it.is_none());
        *waited.unwrap_or_else(|it| it.into_inner()).0
    }

    /// Waits for the process, whoever may hold its descriptors, and ends what is left of it.
    fn wait_for_end(&self, mut child: Child, alive: io::PipeWriter) {
        os::wait_for_exit(self.pid);
        // Before it is reaped: until then the number is its own.
        os::kill_group(self.pid);
        let mut end = locked(&self.end);
        *end = child.wait().ok().or(Some(ExitStatus::from_raw(0)));
        drop(end);
        self.kill_forks();
        // What it said before is still read; from forks and daemons that hold its descriptors nothing is.
        let _ = self.socket.shutdown(Shutdown::Both);
        drop(alive);
        self.ended.notify_all();
    }

    /// Kills forks of the worker that have left its group: they hold all of its memory, and nobody knows of them.
    /// Other programs that it started and that have left the group were meant to outlive it.
    fn kill_forks(&self) {
        let tag = format!("{TAG}={}", self.tag);
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let is_worker = read("cmdline").split(|it| *it == 0).nth(1) == Some(b"worker");
            if is_worker && read("environ").split(|it| *it == 0).any(|it| it == tag.as_bytes()) {
                os::kill_process(pid);
            }
        }
    }

    fn spawn_pipe_reader(
        self: Arc<Shared>,
        name: &str,
        index: usize,
        stream: Stream,
        from: impl io::Read + AsFd + Send + 'static,
        alive: io::PipeReader,
    ) {
        let read = move || {
            let marks = self.marks.clone();
            let listener = &self.listener;
            // Only fd 1 carries control lines.
            let nonce = || if index == 0 { self.nonce.load(Ordering::SeqCst) } else { 0 };
            output::read(from, alive, index, &marks, &nonce, &|piece| match piece {
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
        spawn(name, read);
    }

    /// Puts a question of user code to the frontend, without holding up the reader.
    fn spawn_question(self: Arc<Shared>, prompt: String, password: bool) {
        let wait = move || {
            let text = self.listener.ask(&prompt, password);
            // An answer to a worker that is gone is nobody's.
            let _ = self.to_worker.send(ToWorker::Answer { text });
        };
        spawn("question", wait);
    }

    fn spawn_socket_reader(self: Arc<Shared>, from: UnixStream) {
        let read = move || {
            // A large message takes a while to come: its parts are signs of life as well.
            let mut from = Heard { from, shared: self.clone() };
            let nonsense = loop {
                match wire::receive::<FromWorker>(&mut from) {
                    Ok(Some(message)) => {
                        self.heard.store(true, Ordering::SeqCst);
                        self.clone().take(message);
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            match nonsense {
                // A message that breaks off with the process is no nonsense.
                Some(error) if self.wait(Duration::from_millis(100)).is_none() => self.end_because(format!(
                    "spoke nonsense on its link to the kernel and was ended ({error}; did code write to its \
                     descriptors?)"
                )),
                _ if self.wait(END_GRACE).is_none() => {
                    self.end_because("has closed its link to the kernel and was ended".to_owned());
                }
                _ => {}
            }
            self.wait(END_GRACE);
            // Dropping the senders wakes every waiting call.
            let mut answers = locked(&self.answers);
            answers.is_over = true;
            answers.waiting.clear();
        };
        spawn("worker-reader", read);
    }

    fn take(self: Arc<Shared>, message: FromWorker) {
        let key = match &message {
            FromWorker::Event { .. }
            | FromWorker::Display { .. }
            | FromWorker::Ask { .. }
            | FromWorker::CellBegan { .. }
            | FromWorker::Doing { .. }
            | FromWorker::Pong
            | FromWorker::CellValue { .. } => None,
            FromWorker::Hello { .. } => Some(Key::Hello),
            FromWorker::InterruptNoted => Some(Key::Interrupt),
            FromWorker::Facts { request, .. } => Some(Key::Facts(*request)),
            FromWorker::Committed { generation, .. } | FromWorker::Refused { generation, .. } => {
                Some(Key::Commit(*generation))
            }
            FromWorker::Done { request, .. }
            | FromWorker::Checked { request, .. }
            | FromWorker::Why { request, .. }
            | FromWorker::Cache { request, .. }
            | FromWorker::CellDone { request, .. } => Some(Key::Request(*request)),
        };
        match (key, message) {
            (None, FromWorker::Event { request, event }) => {
                if matches!(event, Event::WillRun { .. }) {
                    self.begun.store(true, Ordering::SeqCst);
                }
                self.listener.event(request, event);
            }
            (None, FromWorker::CellBegan { .. }) => self.begun.store(true, Ordering::SeqCst),
            (None, FromWorker::Doing { lane, what }) => {
                let mut doing = locked(&self.doing);
                if what.is_empty() { drop(doing.remove(&lane)) } else { drop(doing.insert(lane, what)) }
            }
            (None, FromWorker::Display { bundle }) => self.listener.display(bundle),
            (None, FromWorker::CellValue { request, bundle }) => self.listener.value(request, bundle),
            (None, FromWorker::Ask { prompt, password }) => self.spawn_question(prompt, password),
            (None, _) => {}
            (Some(key), message) => {
                if let Some(waiting) = locked(&self.answers).waiting.remove(&key) {
                    let _ = waiting.send(message);
                }
            }
        }
    }
}

//! The kernel's handle on Rust cells: starts the cells process on first need, asks it, survives it.
//!
//! Three things may happen at any moment: an interrupt, the death of the cells process, the death of the
//! worker. Each must leave evcxr and the worker agreed on which variables exist. So an interrupted cell is
//! not only stopped by killing its compiler: until evcxr has answered for it, the worker is not given
//! anything to run. And evcxr starts over with no variables whenever the worker does.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::parse::cell::CellScope;
use brooklet_graph::source::Sources;
use brooklet_graph::wire::MimeBundle;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select};

use super::process::{Process, Relay, locked};
use super::protocol::{Answer, Ask, LoadAndRun, Lost, Outcome, Ran, Variable};
use super::scope::Scope;
use super::{
    CellCode, CellsConfig, CellsError, CellsReply, Host, Notice, commands, completions, diagnostics,
};
use crate::engine::Completions;

/// By this evcxr drops what the cell would have defined, and believes nothing else.
const PANIC_NOTIFICATION: &str = "EVCXR_PANIC_NOTIFICATION";
/// How long an interrupted cell may take to stop before the user gets the prompt back.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A process that died this soon after it got a cell was dying already: the cell is tried once more.
const STILLBORN: Duration = Duration::from_secs(1);
/// Between two tries to ask a process that is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(40);
/// How long an interrupted cell may go on in rust-analyzer before its process is given up, if somebody waits.
const GIVE_UP: Duration = Duration::from_secs(30);
/// How long a process may take to start, with all that evcxr tries out.
const START: Duration = Duration::from_secs(180);
/// How long the end of a process that is starting is waited for.
const CLOSE: Duration = Duration::from_secs(1);
/// How often somebody who waits looks whether a signal has stopped the process.
const TICK: Duration = Duration::from_millis(250);

/// Rust cells. One at a time is evaluated; everything else may be called from any thread at any time.
pub struct Cells {
    shared: Arc<Shared>,
}

struct Shared {
    config: CellsConfig,
    host: Arc<dyn Host>,
    state: Mutex<State>,
    changed: Condvar,
    /// The last question that had no answer in time.
    late: Mutex<Option<(Ask, Receiver<Answer>)>>,
}

#[derive(Default)]
struct State {
    slot: Slot,
    /// The process that is starting.
    starting: Option<Arc<Process>>,
    /// Nothing is started any more.
    is_closed: bool,
    phase: Phase,
    /// The evaluation has had the worker run something.
    has_run: bool,
    /// Tells the running `evaluate` of an interrupt.
    interrupt_tx: Option<Sender<()>>,
    /// An interrupted evaluation that evcxr has not answered for: whatever it wants run is not run.
    abandoned: Option<(u64, Instant)>,
    /// As of the last answer.
    variables: Vec<Variable>,
    /// Variables that a death of the worker in a cell took, until somebody is told.
    died_with_worker: Vec<String>,
    /// What the next cell must be told.
    notices: Vec<Notice>,
    scope: Arc<Scope>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Starting,
    Ready(Arc<Process>),
    Failed(String),
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// evcxr works; nothing runs in the worker.
    Compiling,
    /// The worker runs the cell.
    Running,
}

impl Cells {
    /// Starts nothing yet.
    pub fn new(config: CellsConfig, host: Arc<dyn Host>) -> Cells {
        let shared =
            Shared { config, host, state: Mutex::default(), changed: Condvar::new(), late: Mutex::default() };
        Cells { shared: Arc::new(shared) }
    }

    /// Starts the cells process in the background, so that the first cell need not wait for it.
    pub fn warm_up(&self) {
        self.shared.begin();
    }

    /// Says what the transforms are now: from the next cell on.
    pub fn set_scope(&self, cell_scope: &CellScope, sources: &Sources, modules: &[Vec<String>]) {
        locked(&self.shared.state).scope = Arc::new(Scope::of(cell_scope, sources, modules));
    }

    /// Compiles a cell and has the worker run it.
    ///
    /// Returns when the worker is done with it, as `Ok` too if it panicked there. `notice` is called from
    /// this thread only.
    ///
    /// # Errors
    /// See [`CellsError`].
    pub fn evaluate(&self, cell: CellCode<'_>, notice: &dyn Fn(&Notice)) -> Result<CellsReply, CellsError> {
        let (interrupt_tx, interrupt_rx) = bounded(1);
        {
            let mut state = locked(&self.shared.state);
            state.phase = Phase::Compiling;
            state.has_run = false;
            let untold = std::mem::take(&mut state.died_with_worker);
            state.lose(untold, "the worker died");
            state.interrupt_tx = Some(interrupt_tx);
        }
        let started = Instant::now();
        let mut result = self.shared.evaluate(cell, &interrupt_rx, notice);
        if matches!(result, Err(CellsError::Crashed { .. }))
            && started.elapsed() < STILLBORN
            && !locked(&self.shared.state).has_run
        {
            result = self.shared.evaluate(cell, &interrupt_rx, notice);
        }
        if matches!(result, Err(CellsError::Compiler { is_spoilt: true, .. }))
            && !locked(&self.shared.state).has_run
        {
            // cargo found half of what it had written before: nothing can be built on that, but beside it.
            self.kill();
            result = self.shared.evaluate(cell, &interrupt_rx, notice);
        }
        let notices = {
            let mut state = locked(&self.shared.state);
            state.phase = Phase::Idle;
            state.interrupt_tx = None;
            std::mem::take(&mut state.notices)
        };
        notices.iter().for_each(notice);
        result
    }

    /// Completes a name in unfinished code, or gives nothing within the time.
    pub fn complete(&self, code: &str, position: usize, timeout: Duration) -> Completions {
        let position = completions::floor(code, position);
        let nothing = Completions { items: Vec::new(), start: position, end: position };
        let Some((process, scope, variables)) = self.idle_process() else { return nothing };
        let code = commands::blanked(code, position);
        let bindings = completions::bindings(&code, &scope, &variables);
        let shift = bindings.len();
        let question = Ask::Complete { code: format!("{bindings}{code}"), position: position + shift };
        match self.shared.ask_in_time(&process, question, timeout) {
            Some(Answer::Completed { items, start, end }) if start >= shift && end >= start => {
                completions::completions(items, start, end, shift)
            }
            _ => nothing,
        }
    }

    /// What is known of the name at a place of the code, or nothing within the time.
    pub fn inspect(&self, code: &str, position: usize, timeout: Duration) -> Option<MimeBundle> {
        let end = completions::name_end(code, position)?;
        let (process, scope, variables) = self.idle_process()?;
        let code = commands::blanked(&code[..end], end);
        let code = format!("{}{code}", completions::bindings(&code, &scope, &variables));
        match self.shared.ask_in_time(&process, Ask::Inspect { code }, timeout) {
            Some(Answer::Inspected { plain, html }) if !plain.is_empty() => {
                let (plain, html) = (completions::without_crate(&plain), completions::without_crate(&html));
                Some(MimeBundle::text(plain).with("text/html", html))
            }
            _ => None,
        }
    }

    /// The `let` variables that cells keep, by name.
    pub fn variables(&self) -> Vec<Variable> {
        locked(&self.shared.state).variables.clone()
    }

    /// Stops the cell if it does not run in the worker yet; nothing is lost. `false` if there is nothing
    /// of that kind to stop: what runs in the worker only the worker can stop. Returns at once.
    pub fn interrupt_compile(&self) -> bool {
        let state = locked(&self.shared.state);
        match (&state.interrupt_tx, state.phase) {
            (Some(interrupt_tx), Phase::Compiling) => {
                // Full: the interrupt before this one is not dealt with yet.
                let _ = interrupt_tx.try_send(());
                true
            }
            _ => false,
        }
    }

    /// The worker died or was replaced: variables are gone. Returns their names, to be told. In the
    /// background evcxr is made to forget them, unless it knows from a `load_and_run`.
    pub fn worker_died(&self) -> Vec<String> {
        let (process, names) = {
            let mut state = locked(&self.shared.state);
            let untold = std::mem::take(&mut state.died_with_worker);
            let Slot::Ready(process) = &state.slot else { return untold };
            let process = process.clone();
            if state.phase == Phase::Running || state.variables.is_empty() {
                return untold;
            }
            (process, std::mem::take(&mut state.variables).into_iter().map(|it| it.name).collect())
        };
        // The answer says what is known already.
        drop(process.ask(Ask::Forget));
        names
    }

    /// Kills the cells process, and returns when it is gone. The next cell starts a new one, and is told
    /// which variables are lost.
    pub fn kill(&self) {
        let process = match &locked(&self.shared.state).slot {
            Slot::Ready(process) => process.clone(),
            _ => return,
        };
        process.kill();
        process.wait_for_end();
    }

    /// Kills the process, also one that is starting, and starts none any more. Returns when all is gone.
    pub fn close(&self) {
        let starting = {
            let mut state = locked(&self.shared.state);
            state.is_closed = true;
            state.starting.clone()
        };
        if let Some(process) = starting {
            process.kill();
            process.wait_for_end();
        }
        let state = locked(&self.shared.state);
        let is_starting = |it: &mut State| matches!(it.slot, Slot::Starting);
        let waited = self.shared.changed.wait_timeout_while(state, CLOSE, is_starting);
        drop(waited.unwrap_or_else(|it| it.into_inner()));
        self.kill();
    }

    /// Starts over with no variables and definitions, on purpose: nothing is told.
    pub fn reset(&self) {
        let mut state = locked(&self.shared.state);
        if let Slot::Ready(process) = std::mem::take(&mut state.slot) {
            process.kill();
        }
        state.variables.clear();
        state.notices.clear();
    }

    /// The cells process, for whoever counts memory.
    pub fn child(&self) -> Option<u32> {
        match &locked(&self.shared.state).slot {
            Slot::Ready(process) if process.is_alive() => Some(process.pid()),
            _ => None,
        }
    }

    /// The process if it has nothing else to do. A first question starts it, for the next one.
    fn idle_process(&self) -> Option<(Arc<Process>, Arc<Scope>, Vec<String>)> {
        let may_start = {
            let state = locked(&self.shared.state);
            match &state.slot {
                Slot::Ready(process) if process.is_alive() => {
                    let variables = state.variables.iter().map(|it| it.name.clone()).collect();
                    let idle = state.phase == Phase::Idle && state.abandoned.is_none();
                    return idle.then(|| (process.clone(), state.scope.clone(), variables));
                }
                // What failed once is tried again by a cell, which can say why it fails.
                Slot::Failed(_) => false,
                _ => true,
            }
        };
        if may_start {
            self.shared.begin();
        }
        None
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Starts a process unless there is one.
    fn begin(self: &Arc<Shared>) {
        let mut state = locked(&self.state);
        if state.is_closed {
            return;
        }
        match &state.slot {
            Slot::Starting => return,
            Slot::Ready(process) if process.is_alive() && process.has_directory() => return,
            Slot::Ready(process) => {
                let because = if process.is_alive() {
                    process.kill();
                    "the directory of the process that compiled cells was removed".to_owned()
                } else {
                    format!("the process that compiled cells {}", process.end())
                };
                state.lose_all(&because);
            }
            Slot::Empty | Slot::Failed(_) => {}
        }
        state.slot = Slot::Starting;
        state.abandoned = None;
        let shared = self.clone();
        let start = move || {
            let slot = match shared.start() {
                Ok(process) => Slot::Ready(process),
                Err(message) => Slot::Failed(message),
            };
            let mut state = locked(&shared.state);
            state.slot = slot;
            let started = state.starting.take();
            drop(state);
            drop(started);
            shared.changed.notify_all();
        };
        thread::Builder::new().name("cells-start".into()).spawn(start).expect("a thread can be started");
    }

    fn start(self: &Arc<Shared>) -> Result<Arc<Process>, String> {
        let process =
            Process::spawn(&self.config, self.clone()).map_err(|it| format!("it cannot be started: {it}"))?;
        let mut prelude = self.config.prelude.clone();
        if !self.config.generation.is_empty() {
            prelude = format!("{prelude}\n{}", Scope::placeholder(&self.config.generation));
        }
        {
            let mut state = locked(&self.state);
            if state.is_closed {
                drop(state);
                process.kill();
                process.wait_for_end();
                return Err("the session ends".to_owned());
            }
            state.starting = Some(process.clone());
        }
        let (_, answer_rx) = process.ask(process.start_message(&self.config, prelude));
        let started = Instant::now();
        loop {
            match answer_rx.recv_timeout(TICK) {
                Ok(Answer::Started) => return Ok(process),
                Ok(Answer::Failed { message }) => return Err(message),
                Ok(_) => return Err("it answered out of turn".to_owned()),
                Err(RecvTimeoutError::Timeout) if started.elapsed() < START => process.resume(),
                Err(RecvTimeoutError::Timeout) => {
                    process.kill();
                    return Err(format!("it was not ready after {} s", START.as_secs()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the process that compiles cells {}", process.end()));
                }
            }
        }
    }

    /// Waits for a process to be ready.
    fn ready(
        self: &Arc<Shared>,
        interrupt_rx: &Receiver<()>,
        notice: &dyn Fn(&Notice),
    ) -> Result<Arc<Process>, CellsError> {
        {
            let mut state = locked(&self.state);
            if matches!(state.slot, Slot::Failed(_)) {
                state.slot = Slot::Empty;
            }
        }
        self.wait_for_abandoned(interrupt_rx, notice)?;
        self.begin();
        let mut told = false;
        let mut state = locked(&self.state);
        loop {
            match &state.slot {
                Slot::Ready(process) => return Ok(process.clone()),
                Slot::Failed(message) => return Err(CellsError::NotStarted { message: message.clone() }),
                Slot::Empty => return Err(CellsError::Interrupted),
                Slot::Starting if interrupt_rx.try_recv().is_ok() => return Err(CellsError::Interrupted),
                Slot::Starting => {}
            }
            if !told {
                told = true;
                drop(state);
                notice(&Notice::Progress("starting evcxr".to_owned()));
                state = locked(&self.state);
                continue;
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(50))
                .unwrap_or_else(|it| it.into_inner())
                .0;
        }
    }

    /// Waits until evcxr has done with a cell that was interrupted. It may be in rust-analyzer, which nothing can
    /// stop: then the process goes, when somebody interrupts again or has waited long.
    fn wait_for_abandoned(
        self: &Arc<Shared>,
        interrupt_rx: &Receiver<()>,
        notice: &dyn Fn(&Notice),
    ) -> Result<(), CellsError> {
        let mut told = false;
        loop {
            let (process, since) = match &*locked(&self.state) {
                State { slot: Slot::Ready(process), abandoned: Some((_, since)), .. }
                    if process.is_alive() =>
                {
                    (process.clone(), *since)
                }
                _ => return Ok(()),
            };
            process.resume();
            if !told {
                told = true;
                let text = "waiting for evcxr, which is still at the cell that was interrupted; interrupt again \
                            to start it anew";
                notice(&Notice::Progress(text.to_owned()));
            }
            let is_interrupted = interrupt_rx.recv_timeout(TICK).is_ok();
            if is_interrupted || since.elapsed() > GIVE_UP {
                process.kill();
                process.wait_for_end();
            }
            if is_interrupted {
                return Err(CellsError::Interrupted);
            }
        }
    }

    fn evaluate(
        self: &Arc<Shared>,
        cell: CellCode<'_>,
        interrupt_rx: &Receiver<()>,
        notice: &dyn Fn(&Notice),
    ) -> Result<CellsReply, CellsError> {
        let process = self.ready(interrupt_rx, notice)?;
        let scope = locked(&self.state).scope.module.clone();
        let progress_rx = process.watch_progress();
        let (id, answer_rx) = process.ask(Ask::Evaluate { code: cell.code.to_owned(), scope });
        let mut progress_rx = Some(&progress_rx);
        let no_progress = never();
        let answer = loop {
            select! {
                recv(answer_rx) -> answer => break answer,
                recv(interrupt_rx) -> _ => return self.interrupt(&process, id, answer_rx),
                recv(progress_rx.unwrap_or(&no_progress)) -> line => match line {
                    Ok(line) => notice(&Notice::Progress(line)),
                    Err(_) => progress_rx = None,
                },
                default(TICK) => process.resume_all(),
            }
        };
        let Ok(answer) = answer else {
            self.wait_while_running();
            return Err(CellsError::Crashed { description: process.end() });
        };
        self.conclude(answer, cell)
    }

    /// Stops an evaluation that is not running yet. evcxr may still be busy with it when this returns.
    fn interrupt(
        self: &Arc<Shared>,
        process: &Arc<Process>,
        id: u64,
        answer_rx: Receiver<Answer>,
    ) -> Result<CellsReply, CellsError> {
        locked(&self.state).abandoned = Some((id, Instant::now()));
        process.tell(Ask::Cancel { evaluation: id });
        let (stopped_tx, stopped_rx) = bounded(1);
        let (shared, process) = (self.clone(), process.clone());
        // evcxr tries again after an error, so one kill may not be enough.
        let stop = move || {
            loop {
                process.kill_builds();
                select! {
                    recv(answer_rx) -> answer => {
                        if let Ok(answer) = answer {
                            shared.absorb(answer);
                        }
                        break;
                    }
                    default(Duration::from_millis(30)) => {}
                }
            }
            let _ = stopped_tx.send(());
        };
        thread::Builder::new().name("cells-stop".into()).spawn(stop).expect("a thread can be started");
        let _ = stopped_rx.recv_timeout(STOP_GRACE);
        Err(CellsError::Interrupted)
    }

    fn conclude(&self, answer: Answer, cell: CellCode<'_>) -> Result<CellsReply, CellsError> {
        match self.absorb(answer) {
            Some(Outcome::Done { content, phases }) => {
                tracing::debug!(target: "cells", ?phases);
                let mut bundle = MimeBundle::default();
                for (mime, text) in content {
                    let text = if mime == "text/plain" { text.trim_end().to_owned() } else { text };
                    bundle = bundle.with(&mime, text);
                }
                Ok(CellsReply { content: (!bundle.data.is_empty()).then_some(bundle) })
            }
            Some(Outcome::Errors { errors }) => {
                let (diagnostics, sources) = diagnostics::diagnostics(&errors, cell);
                Err(CellsError::Compile { diagnostics, sources: Box::new(sources) })
            }
            Some(Outcome::Refused { message, hint }) => Err(CellsError::Refused { message, hint }),
            Some(Outcome::Compiler { output, is_spoilt }) => Err(CellsError::Compiler { output, is_spoilt }),
            Some(Outcome::Cancelled) => Err(CellsError::Interrupted),
            Some(Outcome::Terminated) => Err(CellsError::WorkerDied),
            None => Err(CellsError::NotStarted { message: "it answered out of turn".to_owned() }),
        }
    }

    /// Takes over what an answer says of the variables.
    fn absorb(&self, answer: Answer) -> Option<Outcome> {
        let Answer::Evaluated { outcome, variables, lost } = answer else { return None };
        let mut state = locked(&self.state);
        if matches!(outcome, Outcome::Terminated) {
            state.died_with_worker =
                std::mem::take(&mut state.variables).into_iter().map(|it| it.name).collect();
        }
        state.variables = variables;
        state
            .notices
            .extend(lost.into_iter().map(|Lost { variables, because }| Notice::Lost { variables, because }));
        Some(outcome)
    }

    /// The worker must be done before the cell is over, even if nobody is left to tell.
    fn wait_while_running(&self) {
        let mut state = locked(&self.state);
        while state.phase == Phase::Running {
            state = self.changed.wait(state).unwrap_or_else(|it| it.into_inner());
        }
    }
}

impl Shared {
    /// Asks until there is an answer: rust-analyzer may still be at a question that nobody waits for any more.
    /// If it is the same question, which people ask again, its answer is taken.
    fn ask_in_time(&self, process: &Process, question: Ask, timeout: Duration) -> Option<Answer> {
        let deadline = Instant::now() + timeout;
        let late =
            locked(&self.late).take().filter(|(it, _)| *it == question).map(|(_, answer_rx)| answer_rx);
        let mut answer_rx = late.unwrap_or_else(|| process.ask(question.clone()).1);
        loop {
            match answer_rx.recv_deadline(deadline) {
                Ok(Answer::Busy) if Instant::now() + BUSY_PAUSE < deadline => {
                    thread::sleep(BUSY_PAUSE);
                    answer_rx = process.ask(question.clone()).1;
                }
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    *locked(&self.late) = Some((question, answer_rx));
                    return None;
                }
            }
        }
    }
}

impl Relay for Shared {
    fn load_and_run(&self, _process: &Process, request: &LoadAndRun) -> Ran {
        {
            let mut state = locked(&self.state);
            if state.abandoned.is_some() {
                return Ran { control_lines: vec![PANIC_NOTIFICATION.to_owned()], died: false };
            }
            if state.phase == Phase::Compiling {
                state.phase = Phase::Running;
                state.has_run = true;
            }
        }
        let reply = self.host.load_and_run(request.library.as_ref(), &request.function);
        let mut state = locked(&self.state);
        if state.phase == Phase::Running {
            state.phase = Phase::Compiling;
        }
        self.changed.notify_all();
        Ran { control_lines: reply.control_lines, died: reply.died }
    }

    fn bridge_connected(&self) {
        self.host.forget();
    }

    fn answered(&self, _process: &Process, id: u64) {
        let mut state = locked(&self.state);
        if state.abandoned.is_some_and(|(abandoned, _)| abandoned == id) {
            state.abandoned = None;
        }
    }
}

impl State {
    fn lose_all(&mut self, because: &str) {
        let variables = std::mem::take(&mut self.variables).into_iter().map(|it| it.name).collect();
        self.lose(variables, because);
    }

    fn lose(&mut self, variables: Vec<String>, because: &str) {
        if !variables.is_empty() {
            self.notices.push(Notice::Lost { variables, because: because.to_owned() });
        }
    }
}

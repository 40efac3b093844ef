//! Executing cells: the queue, the executor thread, and what follows an error.
//!
//! Only executions wait for each other; all other requests are answered beside them. When a cell fails, the
//! executions that the frontend had already sent must not run ("run all" stops there), but the next one it
//! sends must. Frames that lie in the socket when the error comes were sent before the frontend could know of
//! it, so they are read first and count as queued.
//!
//! Guiding rule: an execution in the queue always ends with a reply and `idle`: run, aborted, or cut short
//! by a panic or the shutdown.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use jupyter_protocol::{ExecuteInput, ExecutionCount};

use super::Error;
use super::assistant::STACK;
use super::content::{Content, ExecuteReply, error_output};
use super::history::{self, Entry};
use super::io::{Event, Kernel};
use super::outputs::{CellOutput, Events, Leftovers};
use super::request::Execute;
use super::wire::Origin;
use crate::engine::{Cell, CellError, Engine, Outcome};

/// The io thread's side.
pub struct Executions {
    queue: VecDeque<(Arc<Origin>, Execute)>,
    running: Option<Running>,
    /// Number of the last stored cell.
    pub count: u64,
    /// To the executor; dropping it ends that thread once its cell is done.
    work: Sender<Work>,
}

struct Running {
    origin: Arc<Origin>,
    request: Execute,
    execution_count: u64,
}

/// A cell for the executor.
struct Work {
    cell: Cell,
    output: Arc<CellOutput>,
    /// The line for the history file; `None` if the cell is not stored.
    entry: Option<Entry>,
}

/// How the executor's cell ended. Sent after all that the cell had sent itself.
pub struct Executed {
    outcome: Outcome,
    leftovers: Leftovers,
}

impl Executions {
    /// Starts the executor.
    pub fn start(
        engine: Arc<dyn Engine>,
        events: Events,
        history: Option<PathBuf>,
    ) -> Result<Executions, Error> {
        let (work, cells) = crossbeam_channel::unbounded();
        // Executor thread: io -> `work` -> it -> io, by `Event::Executed`; a cell's outputs go the same way
        // before it. io hands it a cell only when it is free, so `work` never holds more than one.
        std::thread::Builder::new()
            .name("executor".into())
            .stack_size(STACK)
            .spawn(move || execute(engine.as_ref(), &cells, &events, history.as_ref()))
            .map_err(Error::System)?;
        Ok(Executions { queue: VecDeque::new(), running: None, count: 0, work })
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

fn execute(engine: &dyn Engine, cells: &Receiver<Work>, events: &Events, file: Option<&PathBuf>) {
    for Work { cell, output, entry } in cells {
        if let (Some(file), Some(entry)) = (file, &entry) {
            history::append(file, entry);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| engine.execute(&cell, output.clone())));
        let outcome = outcome.unwrap_or_else(|panic| Outcome::Failure(panic_error(panic.as_ref())));
        let leftovers = output.end();
        events.send(Event::Executed(Executed { outcome, leftovers }));
    }
}

/// A panic on our side of the fence, as an error for the frontend. User code panics elsewhere.
pub fn panic_error(panic: &(dyn Any + Send)) -> CellError {
    let message = (panic.downcast_ref::<String>().map(String::as_str))
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let value = format!("Brooklet itself panicked, which is a bug in it: {message}");
    CellError { name: "InternalError".into(), traceback: vec![value.clone()], value }
}

impl Kernel {
    /// Puts a cell in line.
    pub(super) fn enqueue(&mut self, origin: Arc<Origin>, request: Execute) {
        self.executions.queue.push_back((origin, request));
        self.execute_next();
    }

    /// Starts the first cell in line, if none is running.
    fn execute_next(&mut self) {
        if self.executions.is_running() {
            return;
        }
        let Some((origin, request)) = self.executions.queue.pop_front() else { return };
        self.busy(&origin);
        let stored = request.stored();
        self.executions.count += u64::from(stored);
        let execution_count = self.executions.count;
        if !request.silent {
            let number = ExecutionCount(usize::try_from(execution_count).unwrap_or(usize::MAX));
            let input = ExecuteInput { code: request.code.clone(), execution_count: number };
            self.publish(Some(&origin), Content::of(input));
        }
        let entry = stored.then(|| self.history.add(execution_count, &request.code));
        let cell = Cell {
            code: request.code.clone(),
            id: request.cell_id.clone(),
            execution_count,
            user_expressions: request.expressions(),
        };
        let output = Arc::new(CellOutput::new(
            origin.clone(),
            self.events.clone(),
            execution_count,
            request.silent,
            request.allow_stdin,
        ));
        self.executions.running = Some(Running { origin, request, execution_count });
        if self.executions.work.send(Work { cell, output, entry }).is_err() {
            tracing::error!("the executor has ended");
        }
    }

    /// Replies for the cell that ended, and goes on with the next, or aborts them.
    pub(super) fn executed(&mut self, executed: Executed) {
        self.settle_interrupts();
        let Some(running) = &self.executions.running else { return };
        let (origin, execution_count) = (running.origin.clone(), running.execution_count);
        let (silent, stored) = (running.request.silent, running.request.stored());
        let stop = running.request.stops_on_error();
        let Executed { outcome, leftovers: Leftovers { pages, result } } = executed;
        if let (true, Some(result)) = (stored, result) {
            self.history.set_output(execution_count, result);
        }
        self.cancel_questions(Some(&origin), "the cell that asks has ended");
        let (reply, failed) = match &outcome {
            Outcome::Success { user_expressions } => {
                (ExecuteReply::ok(execution_count, &pages, user_expressions), false)
            }
            Outcome::Failure(error) => {
                if !silent {
                    self.publish(Some(&origin), Content::of(error_output(error)));
                }
                (ExecuteReply::error(execution_count, &pages, error), true)
            }
        };
        let abort = failed && stop;
        if abort {
            // What was sent before the reply is in line and is aborted; what a client sends once it has the
            // reply is not. Still marked as running, so that nothing read here starts.
            self.read_shell();
        }
        self.finish(&origin, Some(Content::new("execute_reply", &reply)));
        if abort {
            self.abort_queue();
        }
        self.executions.running = None;
        self.execute_next();
    }

    /// Answers all executions in line without running them.
    pub(super) fn abort_queue(&mut self) {
        while let Some((origin, _)) = self.executions.queue.pop_front() {
            self.busy(&origin);
            let reply = ExecuteReply::aborted(self.executions.count);
            self.finish(&origin, Some(Content::new("execute_reply", &reply)));
        }
    }
}

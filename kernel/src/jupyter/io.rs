//! The io thread: the one loop that everything passes through.
//!
//! It owns the sockets and all of the protocol's state, so there is nothing to lock and the order of messages
//! is the order of its turns. It must never wait for anything but [`Sockets::wait`]: a frontend gives a kernel
//! 3 s for its first answer and 1 s for its heartbeat's. So it does not call the engine, nor read files, nor
//! send into its own channel.
//!
//! Guiding rule: to see what can wake the kernel, read [`Event`].

use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use jupyter_protocol::{IoPubWelcome, Status};

use super::assistant::Assistant;
use super::connection::{Connection, Ports};
use super::content::Content;
use super::execution::{Executed, Executions};
use super::history::History;
use super::outputs::{Events, Streams};
use super::sockets::{Channel, Sockets};
use super::stdin::{Ask, Questions};
use super::wire::{Incoming, Key, Origin, Session};
use super::{Error, Options};
use crate::engine::{Engine, Stream};
use crate::signals;

/// Events that may wait for the io thread before their senders do.
const BACKLOG: usize = 1024;
/// Messages taken from one place before the others get their turn.
const TURN: usize = 100;
/// How often to see whether the process that started us is still there.
const PARENT_CHECK: Duration = Duration::from_secs(1);
/// How long the engine may take to end. A manager that waits in vain kills us after 2.5 s.
const ENGINE_END: Duration = Duration::from_millis(1500);
/// How long, after that, the running cell may take to notice.
const CELL_END: Duration = Duration::from_millis(300);

/// Everything that can wake the kernel.
pub enum Event {
    /// A frontend asks, on shell or control.
    Request(Incoming),
    /// A frontend answers, on stdin.
    InputReply(Incoming),
    /// A frontend has begun to listen on iopub.
    Subscribed(Vec<u8>),
    /// A cell printed.
    Stream(Arc<Origin>, Stream, String),
    /// A cell shows something.
    Output(Arc<Origin>, Content),
    /// A cell wants a line from the person at the frontend.
    Ask(Ask),
    /// The executor's cell has ended.
    Executed(Executed),
    /// The assistant answers the question of this number.
    Answered(u64, Content),
    /// The engine has taken an interrupt, asked for by this request.
    Interrupted(Arc<Origin>),
    /// The system asks this process to end, by this signal.
    Signal(i32),
    /// The engine has shut down.
    EngineEnded,
}

/// The state of the protocol. Owned by the io thread.
pub struct Kernel {
    pub(super) sockets: Sockets,
    pub(super) session: Session,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) banner: String,
    pub(super) ports: Ports,
    /// For the threads that have something for us. Never used by this one.
    pub(super) events: Events,
    received: Receiver<Event>,
    streams: Streams,
    pub(super) executions: Executions,
    pub(super) assistant: Assistant,
    pub(super) questions: Questions,
    pub(super) history: History,
    /// The process that started us, if we are to end with it.
    parent: Option<u32>,
    /// Set by `shutdown_request`, by a signal, and when the parent is gone: the present turn is the last.
    pub(super) ending: bool,
    /// Interrupts that the engine is taking now; their replies are due before the end of the cell is told.
    pub(super) interrupting: Vec<Arc<Origin>>,
}

/// Whether a kernel manager started us, which says so in the environment.
pub fn has_a_manager() -> bool {
    std::env::var_os("JPY_PARENT_PID").is_some_and(|parent| !parent.is_empty() && parent != "0")
}

impl Kernel {
    /// Binds the sockets and starts the threads; the connection file then holds the ports.
    pub(super) fn bind(file: &Path, engine: Arc<dyn Engine>, options: Options) -> Result<Kernel, Error> {
        let mut connection = Connection::read(file)?;
        let asked = connection.ports;
        let sockets = Sockets::bind(&mut connection)?;
        if connection.ports != asked {
            connection.rewrite()?;
        }
        let (sender, received) = crossbeam_channel::bounded(BACKLOG);
        let events = Events { sender, waker: sockets.waker() };
        if let Some(signals) = options.signals {
            // Signals thread: it -> io. What it sends to a kernel that has ended is for nobody.
            let events = events.clone();
            signals.tell(move |signal| events.send(Event::Signal(signal))).map_err(Error::System)?;
        }
        Ok(Kernel {
            interrupting: Vec::new(),
            session: Session::new(Key::new(&connection.key)),
            banner: engine.banner(),
            ports: connection.ports,
            streams: Streams::default(),
            history: History::load(options.history.as_deref()),
            executions: Executions::start(engine.clone(), events.clone(), options.history)?,
            assistant: Assistant::start(engine.clone(), events.clone())?,
            questions: Questions::default(),
            parent: options.end_with_parent.then(parent_id),
            ending: false,
            sockets,
            engine,
            events,
            received,
        })
    }

    /// Serves until a frontend or a signal asks for the end.
    pub(super) fn run(mut self) {
        self.welcome_all();
        self.publish(None, Content::of(Status::starting()));
        while !self.ending {
            self.sockets.wait(self.timeout());
            self.turn();
        }
        self.end();
    }

    /// Handles what has arrived, the urgent first: who listens, then control, then outputs, then the rest.
    fn turn(&mut self) {
        self.welcome_all();
        self.read(Channel::Control, TURN);
        for event in self.received.try_iter().take(TURN).collect::<Vec<_>>() {
            self.handle(event);
        }
        self.read(Channel::Stdin, TURN);
        self.read(Channel::Shell, TURN);
        if self.streams.due().is_some_and(|due| due <= Instant::now()) {
            self.flush_streams();
        }
        self.give_up_on_questions();
        if self.parent.is_some_and(|parent| parent != parent_id()) {
            tracing::warn!("the process that started this kernel is gone");
            self.ending = true;
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request(incoming) => self.request(incoming),
            Event::InputReply(incoming) => self.input_reply(&incoming),
            Event::Subscribed(topic) => self.welcome(&topic),
            Event::Stream(origin, stream, text) => self.streams.push(origin, stream, text),
            Event::Output(origin, content) => self.publish(Some(&origin), content),
            Event::Ask(ask) => self.ask(ask),
            Event::Executed(executed) => self.executed(executed),
            Event::Answered(id, answer) => self.answered(id, answer),
            Event::Interrupted(origin) => self.interrupted(&origin),
            // Frontends are not told of a shutdown: a manager that did not ask for it starts another kernel.
            Event::Signal(signal) => {
                tracing::info!(signal = signals::name(signal), "ending");
                self.ending = true;
            }
            Event::EngineEnded => {}
        }
    }

    /// Welcomes frontends that have begun to listen.
    fn welcome_all(&mut self) {
        while let Some(topic) = self.sockets.subscription() {
            self.handle(Event::Subscribed(topic));
        }
    }

    /// Handles everything that lies in the shell socket.
    pub(super) fn read_shell(&mut self) {
        self.read(Channel::Shell, usize::MAX);
    }

    fn read(&mut self, channel: Channel, limit: usize) {
        for _ in 0..limit {
            // What follows a shutdown request is for the kernel that comes after us.
            let Some(frames) = (!self.ending).then(|| self.sockets.receive(channel)).flatten() else {
                return;
            };
            match self.session.decode(channel, frames) {
                Ok(incoming) if channel == Channel::Stdin => self.handle(Event::InputReply(incoming)),
                Ok(incoming) => self.handle(Event::Request(incoming)),
                Err(reason) => tracing::warn!(?channel, reason, "a message was dropped"),
            }
        }
    }

    /// How long nothing needs to be done if nobody comes.
    fn timeout(&self) -> Duration {
        if !self.received.is_empty() {
            return Duration::ZERO;
        }
        let due = [self.streams.due(), self.assistant.due()].into_iter().flatten().min();
        let rest = if self.parent.is_some() { PARENT_CHECK } else { Duration::from_secs(60) };
        due.map_or(rest, |due| due.saturating_duration_since(Instant::now()).min(rest))
    }

    /// A frontend learns from this that it will miss nothing from now on.
    fn welcome(&self, topic: &[u8]) {
        if let Ok(topic) = std::str::from_utf8(topic) {
            let content = Content::of(IoPubWelcome::new(topic.to_owned()));
            self.sockets.publish(self.session.welcome(topic, content));
        }
    }

    /// Sends to all frontends, after everything that was printed before.
    pub(super) fn publish(&mut self, origin: Option<&Origin>, content: Content) {
        self.flush_streams();
        self.sockets.publish(self.session.broadcast(origin, content));
    }

    pub(super) fn flush_streams(&mut self) {
        for chunk in self.streams.take() {
            self.sockets.publish(self.session.broadcast(Some(&chunk.origin), chunk.content()));
        }
    }

    /// Begins a request.
    pub(super) fn busy(&mut self, origin: &Origin) {
        self.publish(Some(origin), Content::of(Status::busy()));
    }

    /// Ends a request: outputs that still wait, the reply if it has one, `idle`.
    pub(super) fn finish(&mut self, origin: &Origin, reply: Option<Content>) {
        self.flush_streams();
        if let Some(reply) = reply {
            let (_, frames) = self.session.reply(origin, reply);
            self.sockets.send(origin.channel, frames);
        }
        self.publish(Some(origin), Content::of(Status::idle()));
    }

    /// Ends the engine, then everything else. The reply to the shutdown request is out already.
    fn end(mut self) {
        self.abort_queue();
        self.cancel_questions(None, "the kernel is shutting down");
        // Shutdown thread: the engine may still be printing to us while it ends.
        let (engine, events) = (self.engine.clone(), self.events.clone());
        let shutdown = move || {
            if catch_unwind(AssertUnwindSafe(|| engine.shutdown())).is_err() {
                tracing::error!("the engine panicked while it was shut down");
            }
            events.send(Event::EngineEnded);
        };
        let mut ended = false;
        if let Err(error) = std::thread::Builder::new().name("shutdown".into()).spawn(shutdown) {
            tracing::error!(%error, "the engine was not shut down");
            ended = true;
        }
        // The cell that runs gets its last words, its reply and its `idle`, if it hurries.
        let mut deadline = Instant::now() + ENGINE_END;
        while !ended || self.executions.is_running() {
            match self.received.recv_deadline(deadline) {
                Ok(Event::EngineEnded) => {
                    ended = true;
                    deadline = deadline.min(Instant::now() + CELL_END);
                }
                // Dropping the question ends the wait for its answer.
                Ok(Event::Ask(_)) => {}
                Ok(event) => self.handle(event),
                Err(_) => {
                    tracing::warn!(engine_ended = ended, "not all ended in time");
                    break;
                }
            }
        }
        self.flush_streams();
        self.sockets.close();
    }
}

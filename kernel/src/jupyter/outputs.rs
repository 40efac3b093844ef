//! What a cell shows: from any thread of the engine to the io thread, and streams in handfuls.
//!
//! An output belongs to the cell that made it, also when it comes after that cell's `idle`; so each cell has
//! an [`Output`] of its own that carries its origin. Servers allow about 1000 messages a second, which a
//! printing loop exceeds in a blink; so stream text waits up to 50 ms for company. Guiding rule: only text
//! waits. Anything else first sends what was printed before it, so the order on the screen is the order in
//! the program.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brooklet_graph::wire::MimeBundle;
use crossbeam_channel::Sender;
use jupyter_protocol::{ClearOutput, StreamContent};

use super::content::{Content, Display, ExecuteResult};
use super::io::Event;
use super::sockets::Waker;
use super::stdin::Ask;
use super::wire::Origin;
use crate::engine::{Output, Stream};

/// How long text waits for more.
const TICK: Duration = Duration::from_millis(50);
/// Text beyond this does not wait.
const FULL: usize = 1 << 20;
/// Changes between stdout and stderr that are kept in order within one tick.
const CHANGES: usize = 50;

/// The way to the io thread, for all other threads.
///
/// Bounded, so that a cell printing in a loop slows itself down instead of filling memory; hence the io
/// thread itself must never send here, nor call into the engine. Order is kept. Sending to a kernel that has
/// ended does nothing.
#[derive(Clone)]
pub struct Events {
    pub sender: Sender<Event>,
    pub waker: Waker,
}

impl Events {
    pub fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            self.waker.wake();
        }
    }
}

/// The outputs of one cell.
pub struct CellOutput {
    origin: Arc<Origin>,
    events: Events,
    execution_count: u64,
    silent: bool,
    allow_stdin: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Text for the pager, which travels in the reply.
    pages: Vec<String>,
    /// The result as plain text, for the history; also says that there was one.
    result: Option<String>,
    ended: bool,
}

/// What a cell leaves for its reply.
pub struct Leftovers {
    pub pages: Vec<String>,
    pub result: Option<String>,
}

impl CellOutput {
    pub fn new(
        origin: Arc<Origin>,
        events: Events,
        execution_count: u64,
        silent: bool,
        allow_stdin: bool,
    ) -> CellOutput {
        CellOutput { origin, events, execution_count, silent, allow_stdin, state: Mutex::default() }
    }

    /// Ends the cell: from now on it has no result, no pager and no one to ask. Other output may follow.
    pub fn end(&self) -> Leftovers {
        let mut state = self.state();
        state.ended = true;
        Leftovers { pages: mem::take(&mut state.pages), result: state.result.take() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, content: Content) {
        self.events.send(Event::Output(self.origin.clone(), content));
    }
}

impl Output for CellOutput {
    fn stream(&self, stream: Stream, text: &str) {
        if !text.is_empty() {
            self.events.send(Event::Stream(self.origin.clone(), stream, text.to_owned()));
        }
    }

    fn display(&self, bundle: &MimeBundle, display_id: Option<&str>) {
        self.publish(Content::new("display_data", &Display::new(bundle, display_id)));
    }

    fn update(&self, bundle: &MimeBundle, display_id: &str) {
        self.publish(Content::new("update_display_data", &Display::new(bundle, Some(display_id))));
    }

    fn result(&self, bundle: &MimeBundle) {
        {
            let mut state = self.state();
            if state.ended || state.result.is_some() {
                return tracing::warn!("a cell has one result, while it runs; another was dropped");
            }
            state.result = Some(bundle.plain().to_owned());
        }
        if !self.silent {
            self.publish(Content::new("execute_result", &ExecuteResult::new(self.execution_count, bundle)));
        }
    }

    fn clear(&self, wait: bool) {
        self.publish(Content::of(ClearOutput { wait }));
    }

    fn page(&self, text: &str) {
        self.state().pages.push(text.to_owned());
    }

    fn input(&self, prompt: &str, password: bool) -> Result<String, String> {
        if !self.allow_stdin {
            return Err("this frontend does not take input".into());
        }
        if self.state().ended {
            return Err("the cell that asks has ended".into());
        }
        let (answer, answered) = crossbeam_channel::bounded(1);
        let origin = self.origin.clone();
        self.events.send(Event::Ask(Ask { origin, prompt: prompt.to_owned(), password, answer }));
        answered.recv().unwrap_or_else(|_| Err("the kernel is shutting down".into()))
    }
}

/// Stream text that waits for more.
#[derive(Default)]
pub struct Streams {
    chunks: Vec<Chunk>,
    length: usize,
    due: Option<Instant>,
}

/// Text of one stream of one cell.
pub struct Chunk {
    pub origin: Arc<Origin>,
    stream: Stream,
    text: String,
}

impl Chunk {
    pub fn content(&self) -> Content {
        Content::of(match self.stream {
            Stream::Stdout => StreamContent::stdout(&self.text),
            Stream::Stderr => StreamContent::stderr(&self.text),
        })
    }
}

impl Streams {
    /// Adds text behind what waits already. The order between stdout and stderr is kept, unless they
    /// take turns so often that each line would become a message.
    pub fn push(&mut self, origin: Arc<Origin>, stream: Stream, text: String) {
        self.length += text.len();
        self.due.get_or_insert_with(|| Instant::now() + TICK);
        let same = |chunk: &&mut Chunk| chunk.stream == stream && Arc::ptr_eq(&chunk.origin, &origin);
        let reach = if self.chunks.len() < CHANGES { 1 } else { self.chunks.len() };
        match self.chunks.iter_mut().rev().take(reach).find(same) {
            Some(chunk) => chunk.text.push_str(&text),
            None => self.chunks.push(Chunk { origin, stream, text }),
        }
    }

    /// When the text must go out, if there is any.
    pub fn due(&self) -> Option<Instant> {
        if self.length >= FULL { Some(Instant::now()) } else { self.due }
    }

    /// Takes all text, in order.
    pub fn take(&mut self) -> Vec<Chunk> {
        mem::take(self).chunks
    }
}

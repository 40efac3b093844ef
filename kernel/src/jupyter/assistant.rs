//! Questions about code: completion, inspection, completeness; and usage, which reads files.
//!
//! They must be answered while a cell runs, each within a second, though the engine behind them may be slow.
//! So a thread of their own asks the engine, newest question first, because while someone types only the
//! newest matters. The io thread watches the clock and gives up on a question in time: it sends an answer that
//! says nothing, and what the engine says later is dropped. Guiding rule: every question gets one answer.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brooklet_graph::wire::MimeBundle;
use jupyter_protocol::{CompleteReply, IsCompleteReply};
use serde_json::{Map, Value as Json, json};

use super::Error;
use super::content::Content;
use super::execution::panic_error;
use super::io::{Event, Kernel};
use super::outputs::Events;
use super::request::{self, code_points};
use super::usage::Meter;
use super::wire::Origin;
use crate::engine::{Completeness, Completions, Engine};

/// When we stop waiting for the engine, a little before the frontend stops waiting for us.
const PATIENCE: Duration = Duration::from_millis(900);
/// Parsers recurse; a deeply nested cell must not overflow the stack and take the kernel with it.
pub const STACK: usize = 64 << 20;

/// A question, its offsets already in bytes.
#[derive(Debug)]
pub enum Question {
    Complete(request::Complete),
    Inspect(request::Inspect),
    IsComplete(request::IsComplete),
    Usage,
}

impl Question {
    /// Asks the engine.
    fn answer(&self, engine: &dyn Engine, meter: &mut Meter) -> Content {
        match self {
            Question::Complete(request) => {
                complete_reply(&request.code, &engine.complete(&request.code, request.position()))
            }
            Question::Inspect(request) => {
                inspect_reply(engine.inspect(&request.code, request.position(), request.detail()).as_ref())
            }
            Question::IsComplete(request) => Content::of(match engine.completeness(&request.code) {
                Completeness::Complete => IsCompleteReply::complete(),
                Completeness::Incomplete { indent } => IsCompleteReply::incomplete(indent),
                Completeness::Invalid => IsCompleteReply::invalid(),
            }),
            Question::Usage => meter.answer(&engine.children()),
        }
    }

    fn reply_kind(&self) -> &'static str {
        match self {
            Question::Complete(_) => "complete_reply",
            Question::Inspect(_) => "inspect_reply",
            Question::IsComplete(_) => "is_complete_reply",
            Question::Usage => "usage_reply",
        }
    }

    /// What to say when the engine takes too long.
    fn no_answer(&self) -> Content {
        match self {
            Question::Complete(request) => {
                let start = request.position();
                complete_reply(&request.code, &Completions { start, end: start, items: Vec::new() })
            }
            Question::Inspect(_) => inspect_reply(None),
            Question::IsComplete(_) => Content::of(IsCompleteReply::unknown()),
            Question::Usage => Meter::default().answer(&[]),
        }
    }
}

/// `complete_reply`; the types are an extension that JupyterLab shows as icons and signatures.
fn complete_reply(code: &str, completions: &Completions) -> Content {
    let start = code_points(code, completions.start);
    let end = code_points(code, completions.end).max(start);
    let typed = |item: &crate::engine::Completion| {
        json!({
            "text": item.text, "type": item.kind, "signature": item.signature, "start": start, "end": end,
        })
    };
    let types: Vec<Json> = completions.items.iter().map(typed).collect();
    Content::of(CompleteReply {
        matches: completions.items.iter().map(|item| item.text.clone()).collect(),
        cursor_start: start,
        cursor_end: end,
        metadata: Map::from_iter([("_jupyter_types_experimental".to_owned(), types.into())]),
        ..CompleteReply::default()
    })
}

fn inspect_reply(bundle: Option<&MimeBundle>) -> Content {
    let (found, data) = bundle.map_or_else(|| (false, json!({})), |bundle| (true, json!(bundle.data)));
    Content::new("inspect_reply", &json!({ "status": "ok", "found": found, "data": data, "metadata": {} }))
}

/// The io thread's side: questions that still need an answer.
pub struct Assistant {
    desk: Arc<Desk>,
    next: u64,
    asked: BTreeMap<u64, Asked>,
}

struct Asked {
    origin: Arc<Origin>,
    question: Arc<Question>,
    due: Instant,
}

/// Where the two threads meet.
#[derive(Default)]
struct Desk {
    stack: Mutex<Stack>,
    changed: Condvar,
}

#[derive(Default)]
struct Stack {
    /// The newest question is last.
    open: Vec<(u64, Arc<Question>)>,
    closed: bool,
}

impl Assistant {
    /// Starts the thread. It ends after the question it is at when the `Assistant` is dropped; nobody waits for
    /// that, as the engine may not come back.
    pub fn start(engine: Arc<dyn Engine>, events: Events) -> Result<Assistant, Error> {
        let desk = Arc::<Desk>::default();
        let shared = desk.clone();
        // Assistant thread: io -> desk -> it -> io, by `Event::Answered`.
        std::thread::Builder::new()
            .name("assistant".into())
            .stack_size(STACK)
            .spawn(move || shared.serve(engine.as_ref(), &events))
            .map_err(Error::System)?;
        Ok(Assistant { desk, next: 0, asked: BTreeMap::new() })
    }

    pub fn ask(&mut self, origin: Arc<Origin>, question: Question) {
        let id = self.next;
        self.next += 1;
        let question = Arc::new(question);
        let due = Instant::now() + PATIENCE;
        self.asked.insert(id, Asked { origin, question: question.clone(), due });
        self.desk.lock().open.push((id, question));
        self.desk.changed.notify_one();
    }

    /// When we give up on the oldest question.
    pub fn due(&self) -> Option<Instant> {
        self.asked.values().next().map(|asked| asked.due)
    }
}

impl Drop for Assistant {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.changed.notify_one();
    }
}

impl Desk {
    fn lock(&self) -> std::sync::MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, engine: &dyn Engine, events: &Events) {
        let mut meter = Meter::default();
        loop {
            let stack = self.lock();
            let idle = |stack: &mut Stack| stack.open.is_empty() && !stack.closed;
            let mut stack = self.changed.wait_while(stack, idle).unwrap_or_else(PoisonError::into_inner);
            if stack.closed {
                return;
            }
            let Some((id, question)) = stack.open.pop() else { continue };
            drop(stack);
            let answer = catch_unwind(AssertUnwindSafe(|| question.answer(engine, &mut meter)));
            let answer = answer.unwrap_or_else(|panic| {
                Content::failure(question.reply_kind(), &panic_error(panic.as_ref()))
            });
            events.send(Event::Answered(id, answer));
        }
    }
}

impl Kernel {
    /// Sends the engine's answer, unless we gave up on it.
    pub(super) fn answered(&mut self, id: u64, answer: Content) {
        if let Some(asked) = self.assistant.asked.remove(&id) {
            self.finish(&asked.origin, Some(answer));
        }
    }

    /// Sends answers that say nothing to questions that have waited too long.
    pub(super) fn give_up_on_questions(&mut self) {
        let now = Instant::now();
        while let Some(asked) = self.assistant.asked.first_entry()
            && asked.get().due <= now
        {
            let (id, asked) = asked.remove_entry();
            self.assistant.desk.lock().open.retain(|(open, ..)| *open != id);
            tracing::debug!(kind = asked.origin.kind, "no answer in time");
            self.finish(&asked.origin, Some(asked.question.no_answer()));
        }
    }
}

//! Asking the person at the frontend for a line.
//!
//! The one place where the kernel asks and the frontend answers. A cell waits on its own thread; the io
//! thread keeps the questions in a line and only one of them is out. An answer can be stale: typed into a
//! prompt that an interrupt has taken away, or sent by another frontend. Guiding rule: a waiting cell always
//! gets an end to its wait: an answer, an interrupt, or the shutdown.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::Sender;
use jupyter_protocol::InputRequest;

use super::content::Content;
use super::io::Kernel;
use super::request;
use super::sockets::Channel;
use super::wire::{Incoming, Origin};

/// What a frontend sends for Ctrl-D.
const END_OF_INPUT: &str = "\u{4}";

/// A question of a cell.
pub struct Ask {
    pub origin: Arc<Origin>,
    pub prompt: String,
    pub password: bool,
    /// Where the cell waits. Dropping it ends the wait too.
    pub answer: Sender<Result<String, String>>,
}

/// Questions without an answer, in the order in which they were asked.
#[derive(Default)]
pub struct Questions {
    waiting: VecDeque<Ask>,
    /// `msg_id` of the `input_request` for the first of them.
    sent: Option<String>,
}

impl Kernel {
    /// Puts a question in line.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.questions.waiting.push_back(ask);
        self.send_question();
    }

    /// Sends the first question, if none is out.
    fn send_question(&mut self) {
        if self.questions.sent.is_some() || self.questions.waiting.is_empty() {
            return;
        }
        // What was printed before the question must be on the screen when it appears.
        self.flush_streams();
        // Whatever lies there was typed before the question was asked. It is read all the same: once its
        // signature is known, nobody can send it again as an answer to this one.
        while let Some(frames) = self.sockets.receive(Channel::Stdin) {
            let _ = self.session.decode(Channel::Stdin, frames);
            tracing::debug!("discarding an answer to no question");
        }
        let Some(ask) = self.questions.waiting.front() else { return };
        let content = Content::of(InputRequest { prompt: ask.prompt.clone(), password: ask.password });
        let (id, frames) = self.session.reply(&ask.origin, content);
        self.questions.sent = Some(id);
        self.sockets.send(Channel::Stdin, frames);
    }

    /// Hands an `input_reply` to the cell that waits for it.
    pub(super) fn input_reply(&mut self, incoming: &Incoming) {
        let (Some(ask), Some(sent)) = (self.questions.waiting.front(), &self.questions.sent) else {
            return tracing::debug!("discarding an answer to no question");
        };
        // Some clients, jupyter_client among them, leave the parent header empty.
        let expected = [sent.as_str(), ask.origin.message_id.as_str(), ""];
        if incoming.origin.identities != ask.origin.identities
            || !expected.contains(&incoming.parent_id.as_str())
        {
            return tracing::debug!("discarding an answer to another question");
        }
        if incoming.origin.kind != "input_reply" {
            return tracing::warn!(kind = incoming.origin.kind, "unexpected message on stdin");
        }
        let answer = match serde_json::from_slice::<request::InputReply>(&incoming.content) {
            Ok(reply) if reply.value == END_OF_INPUT => Err("end of input".into()),
            Ok(reply) => Ok(reply.value),
            Err(error) => Err(format!("the frontend's answer cannot be read: {error}")),
        };
        self.questions.sent = None;
        if let Some(ask) = self.questions.waiting.pop_front() {
            let _ = ask.answer.send(answer);
        }
        self.send_question();
    }

    /// Ends the wait of one cell, or with `None` of all.
    pub(super) fn cancel_questions(&mut self, origin: Option<&Arc<Origin>>, reason: &str) {
        let first = self.questions.waiting.front().map(|ask| Arc::as_ptr(&ask.origin));
        self.questions.waiting.retain(|ask| {
            let cancelled = origin.is_none_or(|origin| Arc::ptr_eq(origin, &ask.origin));
            if cancelled {
                let _ = ask.answer.send(Err(reason.to_owned()));
            }
            !cancelled
        });
        // If the first question is gone, so is its prompt: the next one takes its place.
        if first != self.questions.waiting.front().map(|ask| Arc::as_ptr(&ask.origin)) {
            self.questions.sent = None;
            self.send_question();
        }
    }
}

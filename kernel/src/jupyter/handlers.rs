//! What each request means, one arm each.
//!
//! Shell and control take the same requests and differ only in who is served first. Whatever can be said at
//! once is said here; executions go to the queue, questions about code to the assistant. Guiding rule: a
//! request that we do not know, or cannot read, gets an error for a reply and never silence, since a
//! frontend that waits for a reply waits for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jupyter_protocol::{
    CodeMirrorMode, HelpLink, InterruptReply, KernelInfoReply, LanguageInfo, ReplyStatus, ShutdownReply,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::assistant::Question;
use super::comm;
use super::content::{Content, ExecuteReply, PROTOCOL_VERSION, reply_kind};
use super::io::{Event, Kernel};
use super::request;
use super::wire::{Incoming, Origin};
use crate::engine::CellError;

/// What happens with a request.
enum Answer {
    Now(Content),
    /// The assistant finds out; reply and `idle` follow.
    Later(Question),
    /// The message asks for nothing.
    Nothing,
    /// Reply and `idle` come when an event says so.
    ByEvent,
}

impl Kernel {
    /// Acts on a message from shell or control.
    pub(super) fn request(&mut self, incoming: Incoming) {
        let Incoming { origin, metadata, content, .. } = incoming;
        let origin = Arc::new(origin);
        tracing::debug!(kind = origin.kind, channel = ?origin.channel, "request");
        if origin.kind == "execute_request"
            && let Ok(mut request) = serde_json::from_slice::<request::Execute>(&content)
        {
            request.cell_id = request::cell_id(&metadata);
            // Its `busy` comes when it runs.
            return self.enqueue(origin, request);
        }
        self.busy(&origin);
        match self.answer(&origin, &content) {
            Ok(Answer::Now(reply)) => self.finish(&origin, Some(reply)),
            Ok(Answer::Later(question)) => self.assistant.ask(origin, question),
            Ok(Answer::Nothing) => self.finish(&origin, None),
            Ok(Answer::ByEvent) => {}
            Err(error) => self.refuse(&origin, error),
        }
    }

    fn answer(&mut self, origin: &Arc<Origin>, content: &[u8]) -> Result<Answer, CellError> {
        Ok(match origin.kind.as_str() {
            "kernel_info_request" => Answer::Now(kernel_info(&self.banner)),
            "complete_request" => Answer::Later(Question::Complete(parse(content)?)),
            "inspect_request" => Answer::Later(Question::Inspect(parse(content)?)),
            "is_complete_request" => Answer::Later(Question::IsComplete(parse(content)?)),
            "history_request" => Answer::Now(self.history.answer(&parse(content)?)),
            "comm_info_request" => Answer::Now(comm::info()),
            "comm_open" => {
                self.publish(Some(origin), comm::open(&parse(content)?));
                Answer::Nothing
            }
            "comm_msg" | "comm_close" => Answer::Nothing,
            "interrupt_request" if self.interrupt(origin) => Answer::ByEvent,
            "interrupt_request" => Answer::Now(Content::of(InterruptReply::new())),
            "shutdown_request" => {
                // Not refused for an unreadable content: who asks for the end gets it.
                let request::Shutdown { restart } = parse(content).unwrap_or_default();
                self.ending = true;
                let reply = Content::of(ShutdownReply { restart, status: ReplyStatus::Ok, error: None });
                // The other frontends of this kernel learn of it here.
                self.publish(Some(origin), reply.clone());
                Answer::Now(reply)
            }
            "usage_request" => Answer::Later(Question::Usage),
            "connect_request" => {
                let ports = &self.ports;
                Answer::Now(Content::new(
                    "connect_reply",
                    &json!({
                        "status": "ok", "shell_port": ports.shell, "control_port": ports.control,
                        "stdin_port": ports.stdin, "iopub_port": ports.iopub, "hb_port": ports.heartbeat,
                    }),
                ))
            }
            // Here only if its content could not be read.
            "execute_request" => return parse::<request::Execute>(content).map(|_| Answer::Nothing),
            unknown => {
                let value = format!("this kernel does not know `{unknown}`");
                return Err(CellError {
                    name: "UnknownMessage".into(),
                    traceback: vec![value.clone()],
                    value,
                });
            }
        })
    }

    /// Replies with an error, if the message is one that has a reply.
    fn refuse(&mut self, origin: &Origin, error: CellError) {
        tracing::warn!(kind = origin.kind, error = error.value, "a message was refused");
        let reply = reply_kind(&origin.kind).map(|kind| match kind.as_str() {
            "execute_reply" => {
                let count = self.executions.count;
                Content::new(kind, &ExecuteReply::error(count, &[], &error))
            }
            _ => Content::failure(kind, &error),
        });
        self.finish(origin, reply);
    }

    /// Stops the running cell; frontends also ask when there is none, as before each shutdown. Whether the
    /// reply comes later: it says that the interrupt is in force.
    fn interrupt(&mut self, origin: &Arc<Origin>) -> bool {
        if !self.executions.is_running() {
            return false;
        }
        // Interrupt thread: io never calls into the engine, which may be printing to us at this moment.
        let waiting = origin.clone();
        let (engine, events, origin) = (self.engine.clone(), self.events.clone(), origin.clone());
        let call = move || {
            if catch_unwind(AssertUnwindSafe(|| engine.interrupt())).is_err() {
                tracing::error!("the engine panicked while it was interrupted");
            }
            events.send(Event::Interrupted(origin));
        };
        if let Err(error) = std::thread::Builder::new().name("interrupt".into()).spawn(call) {
            tracing::error!(%error, "the interrupt was not passed on");
            self.cancel_questions(None, "interrupted");
            return false;
        }
        self.interrupting.push(waiting);
        true
    }

    /// Replies that an interrupt is in force; only then a cell that waits for input is told.
    pub(super) fn interrupted(&mut self, origin: &Origin) {
        let before = self.interrupting.len();
        self.interrupting.retain(|it| !std::ptr::eq(&**it, origin));
        if self.interrupting.len() < before {
            self.finish(origin, Some(Content::of(InterruptReply::new())));
            self.cancel_questions(None, "interrupted");
        }
    }

    /// A cell that has ended shows that its interrupts were in force.
    pub(super) fn settle_interrupts(&mut self) {
        for origin in std::mem::take(&mut self.interrupting) {
            self.finish(&origin, Some(Content::of(InterruptReply::new())));
        }
    }
}

fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T, CellError> {
    serde_json::from_slice(content).map_err(|error| {
        let value = format!("the content of the message cannot be read: {error}");
        CellError { name: "MalformedMessage".into(), traceback: vec![value.clone()], value }
    })
}

/// `kernel_info_reply`. Constant, so that it is there within milliseconds of the start of the process.
fn kernel_info(banner: &str) -> Content {
    /// `jupyter-protocol` has all but the newest field.
    #[derive(Serialize)]
    struct Reply {
        #[serde(flatten)]
        info: KernelInfoReply,
        supported_features: [&'static str; 1],
    }
    let link = |text: &str, url: &str| HelpLink { text: text.into(), url: url.into() };
    let info = KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: PROTOCOL_VERSION.into(),
        implementation: "brooklet".into(),
        implementation_version: env!("CARGO_PKG_VERSION").into(),
        language_info: LanguageInfo {
            name: "rust".into(),
            version: env!("CARGO_PKG_RUST_VERSION").into(),
            mimetype: Some("text/x-rustsrc".into()),
            file_extension: Some(".rs".into()),
            pygments_lexer: Some("rust".into()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".into())),
            nbconvert_exporter: Some("script".into()),
        },
        banner: banner.to_owned(),
        help_links: vec![
            link("The Rust Standard Library", "https://doc.rust-lang.org/std/"),
            link("Polars", "https://docs.rs/polars/latest/polars/"),
        ],
        debugger: false,
        error: None,
    };
    Content::new("kernel_info_reply", &Reply { info, supported_features: ["iopub_welcome"] })
}

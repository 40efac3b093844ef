//! A kernel in a thread, and a frontend that takes nothing for granted.
//!
//! Of every message the frontend checks: signature, one session for the whole kernel, an id never seen
//! before, the parent header byte for byte. When it is dropped it complains about messages that the test did
//! not read, so a test states everything that its frontend is told. `FRONTEND_TRACE=1` prints them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::toy::{Shared, Toy};
use crate::jupyter::Options;
use crate::jupyter::connection::Connection;
use crate::jupyter::io::{Event, Kernel};
use crate::jupyter::outputs::Events;
use crate::jupyter::sockets::Channel;
use crate::jupyter::sockets::client::{Client, Subscriber};
use crate::jupyter::wire::{DELIMITER, Key};

/// How long to wait for a message that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A kernel with a toy for its engine.
pub struct TestKernel {
    pub toy: Arc<Toy>,
    pub file: PathBuf,
    pub directory: Arc<tempfile::TempDir>,
    events: Events,
    thread: Option<JoinHandle<()>>,
}

impl TestKernel {
    /// A kernel on unix sockets.
    pub fn start() -> TestKernel {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let ip = directory.path().join("socket").to_str().unwrap().to_owned();
        TestKernel::start_in(directory, &json!({ "transport": "ipc", "ip": ip, "key": "a secret" }))
    }

    /// A kernel on ports of its own choice.
    pub fn start_tcp() -> TestKernel {
        let file = json!({ "transport": "tcp", "ip": "127.0.0.1", "key": "a secret", "shell_port": 0 });
        TestKernel::start_in(Arc::new(tempfile::tempdir().unwrap()), &file)
    }

    pub fn start_in(directory: Arc<tempfile::TempDir>, connection: &Json) -> TestKernel {
        let file = directory.path().join("connection.json");
        std::fs::write(&file, connection.to_string()).unwrap();
        TestKernel::start_from(directory)
    }

    /// A kernel for a connection file that is there already.
    pub fn start_from(directory: Arc<tempfile::TempDir>) -> TestKernel {
        let file = directory.path().join("connection.json");
        let toy = Arc::<Toy>::default();
        let history = Some(directory.path().join("cache/history.jsonl"));
        let options = Options { history, end_with_parent: false, signals: None };
        let kernel = Kernel::bind(&file, Arc::new(Shared(toy.clone())), options).unwrap();
        let events = kernel.events.clone();
        let thread = Some(std::thread::spawn(move || kernel.run()));
        TestKernel { toy, file, directory, events, thread }
    }

    pub fn connection(&self) -> Connection {
        Connection::read(&self.file).unwrap()
    }

    pub fn frontend(&self) -> Frontend {
        Frontend::connect(&self.connection())
    }

    /// Does what the signals thread does. A real signal would reach the kernels of all other tests too.
    pub fn signal(&self, signal: i32) {
        self.events.send(Event::Signal(signal));
    }

    /// The files in the kernel's directory that are sockets.
    pub fn socket_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap());
        entries.filter(|it| it.file_type().unwrap().is_socket()).map(|it| it.path()).collect()
    }

    /// Waits for the end that a frontend has asked for.
    #[track_caller]
    pub fn join(&mut self) {
        self.thread.take().expect("joined once").join().unwrap();
    }
}

impl Drop for TestKernel {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let frontend = self.frontend();
            frontend.send(Channel::Control, "shutdown_request", &json!({ "restart": false }));
            frontend.ignore_the_rest();
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    channel: Channel,
    header: Vec<u8>,
}

/// A message that was received and found to be in order.
#[derive(Debug)]
pub struct Message {
    pub kind: String,
    pub header: Json,
    pub content: Json,
    /// As bytes: what was sent must come back unchanged.
    parent: Vec<u8>,
    /// The frames in front of the delimiter.
    pub prefix: Vec<Vec<u8>>,
}

pub struct Frontend {
    pub session: String,
    client: Client,
    key: Key,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    kernel_session: Option<String>,
    seen: BTreeSet<String>,
    sent: usize,
    /// The kernel has ended or the test is not interested any more.
    done: bool,
}

impl Frontend {
    /// Connects, and waits for the welcome: from then on nothing is missed.
    #[track_caller]
    pub fn connect(connection: &Connection) -> Frontend {
        let session = uuid::Uuid::new_v4().to_string();
        let client = Client::connect(connection, &session);
        let frontend =
            Frontend { session, client, key: Key::new(&connection.key), state: RefCell::default() };
        loop {
            let message = frontend.any_iopub().expect("a welcome");
            assert_eq!(message.parent_session(), "", "before the welcome nothing is for us");
            match message.kind.as_str() {
                "iopub_welcome" => {
                    assert_eq!(message.content, json!({ "subscription": "" }));
                    assert_eq!(message.prefix, [b""]);
                    return frontend;
                }
                "status" => assert_eq!(message.content["execution_state"], "starting"),
                other => panic!("{other} before the welcome"),
            }
        }
    }

    /// Another subscriber of the same frontend.
    pub fn subscribe(&self, kernel: &TestKernel, topic: &str) -> Subscriber {
        self.client.subscribe(&kernel.connection(), topic)
    }

    pub fn ping(&self, frames: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        self.client.ping(frames, PATIENCE)
    }

    pub fn execute(&self, code: &str) -> Sent {
        self.request("execute_request", &json!({ "code": code, "allow_stdin": true }))
    }

    /// Sends on shell.
    pub fn request(&self, kind: &str, content: &Json) -> Sent {
        self.send(Channel::Shell, kind, content)
    }

    pub fn send(&self, channel: Channel, kind: &str, content: &Json) -> Sent {
        self.send_raw(channel, kind, content.to_string().as_bytes(), b"{}")
    }

    /// Sends a content that may be no JSON, with any parent header.
    pub fn send_raw(&self, channel: Channel, kind: &str, content: &[u8], parent: &[u8]) -> Sent {
        let number = {
            let mut state = self.state.borrow_mut();
            state.sent += 1;
            state.sent
        };
        let id = format!("{}-{number}", self.session);
        // Unusual spaces, unknown keys, numbers that a parser might print otherwise.
        let header = format!(
            "{{ \"msg_id\":\"{id}\",\"msg_type\": \"{kind}\", \"session\":\"{}\", \"username\":\"é\\u00e9\",\
             \"version\":\"5.4\",  \"date\": \"2026-01-01T00:00:00.000000Z\", \"subshell_id\": null,\
             \"zebra\": {{\"b\": 1.0, \"a\": [1e3, 12345678901234567890]}} }}",
            self.session
        );
        let body =
            vec![header.into_bytes(), parent.to_vec(), b"{\"cellId\":\"1\"}".to_vec(), content.to_vec()];
        let sent = Sent { channel, header: body[0].clone() };
        let signature = self.key.sign(&body);
        self.send_frames(channel, [vec![DELIMITER.to_vec(), signature], body].concat());
        sent
    }

    pub fn send_frames(&self, channel: Channel, frames: Vec<Vec<u8>>) {
        self.client.send(channel, frames);
    }

    /// The next message on a channel, which must be the answer to `sent`.
    #[track_caller]
    pub fn reply(&self, sent: &Sent, kind: &str) -> Json {
        let message = self.receive(sent.channel).unwrap_or_else(|| panic!("no {kind} in time"));
        assert_eq!(message.kind, kind, "{:#}", message.content);
        assert!(message.parent == sent.header, "the parent header must come back as it was sent");
        message.content
    }

    /// Whether a message is there on a channel, without waiting for one.
    pub fn nothing_on(&self, channel: Channel) -> bool {
        self.client.receive(channel, Duration::ZERO).is_none()
    }

    #[track_caller]
    pub fn receive(&self, channel: Channel) -> Option<Message> {
        let message = self.check(self.client.receive(channel, PATIENCE)?);
        assert!(message.prefix.is_empty(), "the router takes the identity off");
        Some(message)
    }

    /// The next message on iopub that belongs to us; what belongs to other frontends is passed over.
    #[track_caller]
    pub fn iopub(&self, sent: &Sent) -> Message {
        self.iopub_of(&[sent])
    }

    /// The next message on iopub, which must belong to one of these requests.
    #[track_caller]
    pub fn iopub_of(&self, requests: &[&Sent]) -> Message {
        let place = Location::caller();
        loop {
            let Some(message) = self.any_iopub() else { panic!("nothing on iopub in time, for {place}") };
            if message.parent_session() == self.session {
                let expected = requests.iter().any(|sent| message.parent == sent.header);
                assert!(expected, "for another request, at {place}: {message:#?}");
                return message;
            }
        }
    }

    /// A message on iopub of a given type.
    #[track_caller]
    pub fn expect(&self, sent: &Sent, kind: &str) -> Json {
        let message = self.iopub(sent);
        assert_eq!(message.kind, kind, "{:#}", message.content);
        message.content
    }

    #[track_caller]
    pub fn busy(&self, sent: &Sent) {
        assert_eq!(self.expect(sent, "status"), json!({ "execution_state": "busy" }));
    }

    #[track_caller]
    pub fn idle(&self, sent: &Sent) {
        assert_eq!(self.expect(sent, "status"), json!({ "execution_state": "idle" }));
    }

    /// `busy` and the echo of the code: the cell has begun.
    #[track_caller]
    pub fn begins(&self, sent: &Sent, code: &str, execution_count: u64) {
        self.busy(sent);
        let input = json!({ "code": code, "execution_count": execution_count });
        assert_eq!(self.expect(sent, "execute_input"), input);
    }

    #[track_caller]
    pub fn stream(&self, sent: &Sent, name: &str, text: &str) {
        assert_eq!(self.expect(sent, "stream"), json!({ "name": name, "text": text }));
    }

    /// A cell that does nothing else than say `ok`.
    #[track_caller]
    pub fn ends_well(&self, sent: &Sent, execution_count: u64) {
        let reply = json!({
            "status": "ok", "execution_count": execution_count, "payload": [], "user_expressions": {},
        });
        assert_eq!(self.reply(sent, "execute_reply"), reply);
        self.idle(sent);
    }

    /// A request with `busy`, reply and `idle`, and nothing between.
    #[track_caller]
    pub fn ask(&self, kind: &str, content: &Json) -> Json {
        self.ask_on(Channel::Shell, kind, content)
    }

    #[track_caller]
    pub fn ask_on(&self, channel: Channel, kind: &str, content: &Json) -> Json {
        let sent = self.send(channel, kind, content);
        self.busy(&sent);
        let reply = self.reply(&sent, &kind.replace("_request", "_reply"));
        self.idle(&sent);
        reply
    }

    /// The session in the kernel's headers.
    pub fn kernel_session(&self) -> String {
        self.state.borrow().kernel_session.clone().expect("a message was received")
    }

    /// For tests that end in the middle of a conversation.
    pub fn ignore_the_rest(&self) {
        self.state.borrow_mut().done = true;
    }

    /// After the kernel's end: everything it said must have been read.
    #[track_caller]
    pub fn nothing_unread(&self) {
        self.ignore_the_rest();
        while let Some(frames) = self.client.receive_iopub(Duration::ZERO) {
            let message = self.check(frames);
            assert_ne!(message.parent_session(), self.session, "unread on iopub: {message:#?}");
        }
        for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
            assert!(self.nothing_on(channel), "unread on {channel:?}");
        }
    }

    #[track_caller]
    fn any_iopub(&self) -> Option<Message> {
        let message = self.check(self.client.receive_iopub(PATIENCE)?);
        assert_eq!(message.prefix.len(), 1, "one topic");
        if message.kind != "iopub_welcome" {
            let topic = format!("kernel.{}.{}", self.kernel_session(), message.kind);
            assert_eq!(message.prefix, [topic.as_bytes()]);
        }
        Some(message)
    }

    /// What holds for every message.
    #[track_caller]
    fn check(&self, mut frames: Vec<Vec<u8>>) -> Message {
        let delimiter = frames.iter().position(|frame| frame == DELIMITER).expect("a delimiter");
        let body = frames.split_off(delimiter);
        assert_eq!(body.len(), 6, "delimiter, signature, four frames, no buffers");
        assert!(self.key.verify(&body[2..], &body[1]), "the signature must hold");
        let json = |index: usize| serde_json::from_slice::<Json>(&body[index]).expect("JSON");
        let (header, content) = (json(2), json(5));
        if std::env::var_os("FRONTEND_TRACE").is_some() {
            eprintln!("{} {content}", header["msg_type"]);
        }
        assert_eq!(json(4), json!({}), "metadata");
        assert_eq!(header["version"], "5.5");
        let date = header["date"].as_str().expect("a date");
        assert!(date.ends_with('Z') && date.len() <= "2026-01-01T00:00:00.000000Z".len(), "{date}");
        let mut state = self.state.borrow_mut();
        let session = header["session"].as_str().expect("a session").to_owned();
        assert_ne!(session, self.session, "the kernel has a session of its own");
        assert_eq!(*state.kernel_session.get_or_insert_with(|| session.clone()), session);
        let id = header["msg_id"].as_str().expect("an id").to_owned();
        assert!(state.seen.insert(id), "ids are never used twice");
        let kind = header["msg_type"].as_str().expect("a type").to_owned();
        Message { kind, header, content, parent: body[3].clone(), prefix: frames }
    }
}

impl Message {
    fn parent_session(&self) -> String {
        let parent: Json = serde_json::from_slice(&self.parent).expect("JSON");
        parent["session"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Frontend {
    /// Asks one more question: all that the kernel had said before must have been read.
    fn drop(&mut self) {
        if std::thread::panicking() || self.state.borrow().done {
            return;
        }
        let last = self.send(Channel::Control, "kernel_info_request", &json!({}));
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the kernel did not answer the last question");
            let Some(message) = self.any_iopub() else { panic!("the kernel has gone quiet") };
            if message.parent_session() == self.session {
                assert!(message.parent == last.header, "unread on iopub: {message:#?}");
                if message.content["execution_state"] == "idle" {
                    break;
                }
            }
        }
        self.reply(&last, "kernel_info_reply");
        for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
            assert!(self.nothing_on(channel), "unread on {channel:?}");
        }
    }
}

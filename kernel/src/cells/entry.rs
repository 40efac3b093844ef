//! `brooklet cells`: the process that holds evcxr.
//!
//! Two threads. The reader takes requests from the kernel at any time and answers what cannot wait; the
//! evaluator owns evcxr's context, which allows one thing at a time. evcxr prints where it likes; the
//! kernel reads that as progress. When the kernel hangs up, this process group is gone at once.

use std::io::{self, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::evaluator::{Evaluator, guard};
use super::protocol::{self, Answer, Ask, Hello, Reply, Request, Role, SOCKET, VERSION};
use crate::os;

/// How long nothing must have been asked before rust-analyzer prepares itself, which cannot be stopped once
/// begun.
const QUIET: Duration = Duration::from_secs(2);

/// rust-analyzer recurses deeply over unfinished code.
const STACK: usize = 512 << 20;

/// Runs the cells process until the kernel hangs up.
pub fn main() -> ExitCode {
    os::ignore_sigint();
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        eprintln!("`brooklet cells` is started by the kernel, not by hand");
        return ExitCode::from(2);
    };
    match serve(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the connection to the kernel broke: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the two threads share.
struct Shared {
    to_kernel: Mutex<UnixStream>,
    /// Requests that wait for the evaluator or that it works on.
    pending: AtomicUsize,
    /// The evaluation that must not start anything new. Ids only grow.
    cancelled: AtomicU64,
}

impl Shared {
    fn reply(&self, id: u64, body: Answer) {
        let mut to_kernel = self.to_kernel.lock().unwrap_or_else(|it| it.into_inner());
        // If the kernel is gone, so is this process in a moment.
        let _ = protocol::send(&mut *to_kernel, &Reply { id, body });
    }
}

fn serve(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    os::die_with_group_on_hangup(stream.as_raw_fd());
    protocol::send(&mut stream, &Hello { version: VERSION, role: Role::Cells })?;
    let mut from_kernel = BufReader::new(stream.try_clone()?);
    let shared = Arc::new(Shared {
        to_kernel: Mutex::new(stream),
        pending: AtomicUsize::new(0),
        cancelled: AtomicU64::new(0),
    });
    let (requests_tx, requests_rx) = unbounded();
    let evaluator = thread::Builder::new().name("evaluator".into()).stack_size(STACK);
    evaluator.spawn({
        let (shared, socket) = (shared.clone(), socket.to_owned());
        move || evaluate_all(&socket, &shared, &requests_rx)
    })?;
    while let Some(request) = protocol::receive::<Request>(&mut from_kernel)? {
        take(request, &shared, &requests_tx);
    }
    Ok(())
}

fn take(request: Request, shared: &Shared, requests_tx: &Sender<Request>) {
    match request.body {
        Ask::Cancel { evaluation } => {
            shared.cancelled.fetch_max(evaluation, Ordering::SeqCst);
        }
        Ask::Complete { .. } | Ask::Inspect { .. } if shared.pending.load(Ordering::SeqCst) > 0 => {
            shared.reply(request.id, Answer::Busy);
        }
        _ => {
            shared.pending.fetch_add(1, Ordering::SeqCst);
            // The evaluator ends only with the process.
            let _ = requests_tx.send(request);
        }
    }
}

fn evaluate_all(socket: &Path, shared: &Shared, requests_rx: &Receiver<Request>) {
    let mut evaluator: Option<Evaluator> = None;
    loop {
        let Request { id, body } = match requests_rx.recv_timeout(QUIET) {
            Ok(request) => request,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // Pending in the meantime: a question gets no answer rather than a late one.
                shared.pending.fetch_add(1, Ordering::SeqCst);
                evaluator.as_mut().map(Evaluator::prepare);
                shared.pending.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
        };
        let answer = match (body, &mut evaluator) {
            (Ask::Start(start), _) => match guard(|| Evaluator::start(start, socket)).and_then(|it| it) {
                Ok(started) => {
                    evaluator = Some(started);
                    Answer::Started
                }
                Err(message) => Answer::Failed { message },
            },
            (_, None) => Answer::Failed { message: "not started".to_owned() },
            (Ask::Evaluate { code, scope }, Some(it)) => {
                it.answer(|it| it.evaluate(&code, &scope, &|| shared.cancelled.load(Ordering::SeqCst) >= id))
            }
            (Ask::Forget, Some(it)) => it.answer(Evaluator::forget_replaced),
            (Ask::Complete { code, position }, Some(it)) => it.complete(&code, position),
            (Ask::Inspect { code }, Some(it)) => it.inspect(&code),
            (Ask::Cancel { .. }, Some(_)) => Answer::Busy,
        };
        // Before the reply: whoever gets it may ask again at once.
        shared.pending.fetch_sub(1, Ordering::SeqCst);
        shared.reply(id, answer);
    }
}

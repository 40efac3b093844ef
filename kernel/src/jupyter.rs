//! The kernel as Jupyter sees it: five sockets, and an answer to everything that is asked on them.
//!
//! Frontends forgive little: a reply without its `idle`, or an output in front of its `busy`, leaves a
//! cell marked as running for ever. So one thread owns all sockets and all of the protocol's state, and
//! everything slow happens on other threads that talk to it through one channel of `Event`s:
//!
//! - **io** (the thread that calls [`serve`]): shell, control, stdin and iopub. Never waits for the engine.
//! - **executor**: runs cells, one at a time, in the order in which they came.
//! - **assistant**: completes, inspects, judges completeness, also while a cell runs.
//! - **heartbeat**: echoes bytes on a socket of its own, so that a busy kernel still looks alive.
//! - **signals**: waits for SIGTERM and SIGHUP, which end the kernel as a shutdown request does.
//! - **interrupt**, **shutdown**: live for one call into the engine, which may be printing to io meanwhile.
//!
//! Guiding rule: for each request `busy`, outputs, reply, `idle`, in this order and whatever happens.

// The loop, and what it does with each kind of request.
mod handlers;
mod io;

mod assistant;
mod comm;
mod execution;
mod history;
mod outputs;
mod stdin;
mod usage;

// Messages, from what they say down to the bytes.
mod content;
mod request;
mod wire;

mod connection;
mod kernelspec;
mod socket_file;
mod sockets;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use kernelspec::kernelspec;

use crate::build::cache::cache_directory;
use crate::engine::Engine;
use crate::signals::Caught;

/// Serves the frontends of a connection file until one of them, or a signal, asks for the end.
///
/// When it returns, the engine has been shut down and the ports can be bound again.
///
/// # Errors
/// If the connection file cannot be used or its ports cannot be bound. The engine is as it was.
pub fn serve(connection_file: &Path, engine: Arc<dyn Engine>, signals: Option<Caught>) -> Result<(), Error> {
    let history = Some(cache_directory().join("history.jsonl"));
    let options = Options { history, end_with_parent: io::has_a_manager(), signals };
    io::Kernel::bind(connection_file, engine, options)?.run();
    Ok(())
}

/// What tests want otherwise than users.
struct Options {
    /// Where inputs are kept for later sessions; `None` keeps them in memory alone.
    history: Option<PathBuf>,
    /// End when the process that started the kernel is gone, as after a `kill -9` of the server.
    end_with_parent: bool,
    /// End at these as at a shutdown request.
    signals: Option<Caught>,
}

/// Why the kernel cannot serve.
#[derive(Debug)]
pub enum Error {
    /// The connection file cannot be read, understood or rewritten.
    ConnectionFile { path: PathBuf, message: String },
    /// The connection file asks for something that this kernel does not do.
    Unsupported(String),
    /// A socket cannot be set up.
    Socket { endpoint: String, message: String },
    /// The system refuses a thread or a pair of streams.
    System(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::ConnectionFile { path, message } => {
                write!(f, "connection file `{}`: {message}", path.display())
            }
            Error::Unsupported(message) => f.write_str(message),
            Error::Socket { endpoint, message } => write!(f, "cannot bind `{endpoint}`: {message}"),
            Error::System(error) => write!(f, "cannot start the kernel's threads: {error}"),
        }
    }
}

impl std::error::Error for Error {}

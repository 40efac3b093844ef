//! The kernel's side of the worker: the process that owns every value and runs user code.
//!
//! The worker may die at any time, in any way; that is normal, and every call says so with a [`Death`]
//! that tells what happened. What the dying process printed is not lost, because the kernel holds the
//! other ends of its pipes.

pub mod client;
mod death;
mod done;
pub mod entry;
mod environment;
mod kept;
mod output;

pub use client::{CellReply, Listener, Worker};
pub use death::Death;
pub use done::{Done, Facts};

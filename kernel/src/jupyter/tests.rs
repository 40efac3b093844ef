//! Conversations between a fake frontend and the kernel, over real sockets.
//!
//! The engine is a toy, so nothing here compiles Rust. The frontend insists on order and complains about
//! messages that nobody read. Nothing sleeps: a test waits for the message that says what it waits for.

mod frontend;
mod toy;

mod asking;
mod connecting;
mod ending;
mod executing;
mod outputs;
mod remembering;
mod requesting;
mod stdin;

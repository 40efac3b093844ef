//! Brooklet's graph, as plain data: sources, specs, diagnostics, the graph, its picture, and the messages
//! that carry them between processes.
//!
//! Nothing here starts a process, reads a file or knows polars. With the feature `parse` the crate also
//! turns source text into specs, shims and rewritten cells. Functions that read what a user wrote cannot
//! fail: they answer with what they understood and with diagnostics for the rest.

pub mod diagnostic;
pub mod graph;
pub mod html;
pub mod key;
pub mod literal;
mod parallel;
#[cfg(feature = "parse")]
pub mod parse;
pub mod picture;
pub mod source;
pub mod spec;
pub mod wire;

//! Brooklet: dataflows of ordinary Rust functions.
//!
//! A public function is a node, its parameter names are its edges. This crate holds everything that
//! touches values: the glue between functions and the graph, the [`driver`] that plans, runs and reuses,
//! the decoding of literals, and how values are shown. In a notebook it lives in the image, one copy for
//! all generations; a program uses the same [`driver`] as a library.
//!
//! It knows nothing of Jupyter, of compilers or of source text: the graph comes from outside, as data.

pub mod cell;
pub mod content;
pub mod driver;
pub mod executor;
pub mod foreign;
pub mod glue;
pub mod hold;
pub mod literal;
pub mod loader;
pub mod panics;
pub mod prelude;
pub mod program;
pub mod recorder;
pub mod serve;
pub mod show;
pub mod store;
pub mod storing;
pub mod value;
pub mod version;

pub use brooklet_graph as graph;
pub use brooklet_macros::flow;
pub use polars;

pub use driver::{Driver, Request};
pub use program::{Builder, Flow, FlowError, ResultError, Results, RunError};

// The derive macros of transform files and cells name these crates.
pub use chrono;

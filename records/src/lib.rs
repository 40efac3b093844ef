//! Records of runs: one line of JSON for each, and beside them the sources and graphs that they speak of.
//!
//! Kernel and programs write the same record; `docs/runs.md` describes it for whoever reads it with other tools. A
//! record is never changed. It tells enough to run the same again, or to say what is missing for that.

mod book;
mod git;
mod record;

pub use book::{Book, hash};
pub use git::git_state;
pub use record::{By, Git, Given, Node, Outcome, Record, Source, State, stamp};

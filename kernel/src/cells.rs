//! Rust cells: evcxr in a process of its own, and the kernel's side of it.
//!
//! evcxr compiles a cell, works out the types of its variables with rust-analyzer, and wants a child that
//! runs the result. Three processes of this executable share that work: CELLS (`entry`) holds evcxr, its
//! child is a bridge (`bridge`) that runs nothing, and the kernel (`client`) passes what the bridge asks for
//! to the worker, where the values are. rust-analyzer can hang, panic or take all memory without harm to
//! the kernel or to a value; what is lost then is evcxr's knowledge of the `let` variables, and it is said.
//!
//! Guiding rule: evcxr must never believe something about the worker that is not so. Whatever breaks that
//! (a death, a kill, a type that changed) ends in evcxr forgetting, never in a cell reading a wrong value.

pub mod bridge;
pub mod client;
mod commands;
mod completions;
mod diagnostics;
pub mod entry;
mod evaluator;
mod process;
mod protocol;
mod redefined;
mod scope;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use brooklet_graph::diagnostic::{self, Diagnostic};
use brooklet_graph::source::Sources;
use brooklet_graph::wire::MimeBundle;

pub use client::Cells;
pub use evaluator::run_as_evcxr_child;

use crate::engine::CellError;

/// What a cells process must know. Nothing here may change while one runs.
#[derive(Clone, Debug, Default)]
pub struct CellsConfig {
    /// This executable; `brooklet cells` and `brooklet bridge` are started from it.
    pub executable: PathBuf,
    /// Where relative paths of `:dep` and `!shell` lines count from: the notebook's directory.
    pub directory: PathBuf,
    /// RUSTFLAGS by which cells link against the image. Empty: cells are ordinary crates.
    pub rustflags: String,
    /// Crates that cells may `use` without `:dep`, `brooklet` and `polars` first.
    pub externs: Vec<String>,
    /// The same crates as cargo dependencies, name and TOML value: what rust-analyzer reads. Cargo never
    /// builds them.
    pub sources: Vec<(String, String)>,
    /// The lock file by which the image was built.
    pub lockfile: Option<PathBuf>,
    /// Rust that every cell starts from, `use brooklet::prelude::*;`.
    pub prelude: String,
    /// Name of the crate of a generation (`CellScope::crate_name`); its public names are imported into
    /// every cell. Empty: cells know no transforms.
    pub generation: String,
    /// Rust that names a type of the largest crate: rust-analyzer infers it once in the background, so
    /// that no cell has to wait for it. `df!("a" => [1])?` for polars.
    pub rehearsal: String,
}

/// What the kernel does for evcxr's child. Called from a thread of its own, one call at a time.
pub trait Host: Send + Sync {
    /// Runs one function of a cell's library in the worker; returns when the cell has ended and all that
    /// it printed has been read.
    fn load_and_run(&self, library: &Path, function: &str) -> HostReply;
    /// Drops the variables that cells keep in the worker: evcxr has forgotten them. Does nothing if there
    /// is no worker.
    fn forget(&self);
}

/// How the worker got on with a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostReply {
    /// Lines that evcxr's generated code printed for evcxr (`EVCXR_PANIC_NOTIFICATION`, ..).
    pub control_lines: Vec<String>,
    /// The worker is gone, and every variable with it.
    pub died: bool,
}

/// One cell to evaluate.
#[derive(Clone, Copy, Debug)]
pub struct CellCode<'a> {
    /// What is compiled: the cell after `parse::cell::rewrite`.
    pub code: &'a str,
    /// What the user wrote, line for line the same but for what the rewriting put in.
    pub original: &'a str,
    /// How messages call it, `cell [3]`.
    pub name: &'a str,
}

/// What evcxr itself has to show; empty for Rust, which shows through the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellsReply {
    /// The answer of a `:command`.
    pub content: Option<MimeBundle>,
}

/// Something to tell while a cell is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What takes time: `Compiling regex v1.11.1`. Each replaces the one before.
    Progress(String),
    /// Variables that are gone.
    Lost { variables: Vec<String>, because: String },
}

impl Notice {
    /// The notice as a sentence.
    pub fn text(&self) -> String {
        match self {
            Notice::Progress(text) => text.clone(),
            Notice::Lost { variables, because } => {
                let names = variables.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
                let (noun, verb) =
                    if variables.len() == 1 { ("variable", "is") } else { ("variables", "are") };
                format!("the {noun} {names} {verb} lost: {because}")
            }
        }
    }
}

/// Why a cell was not evaluated. A panic or a `?` error is not among these: the worker tells those.
#[derive(Clone, Debug)]
pub enum CellsError {
    /// It does not compile. The spans point into the cell as the user wrote it.
    Compile { diagnostics: Vec<Diagnostic>, sources: Box<Sources> },
    /// evcxr refused it, in its own words.
    Refused { message: String, hint: Option<String> },
    /// rustc or its linker could not do its work (killed, out of memory or disk); nothing has changed.
    Compiler { output: String, is_spoilt: bool },
    /// Interrupted before it ran: nothing has changed.
    Interrupted,
    /// The worker died while the cell ran; `Host::load_and_run` said so first.
    WorkerDied,
    /// The cells process ended in the middle. The next cell starts a new one.
    Crashed { description: String },
    /// The cells process does not start; nothing was tried.
    NotStarted { message: String },
}

impl CellsError {
    /// The fields of Jupyter's `error` message.
    pub fn to_cell_error(&self) -> CellError {
        let plain = |name: &str, value: String, hint: Option<&str>| {
            let mut traceback = vec![format!("\x1b[1;31merror\x1b[0m: {value}")];
            traceback.extend(hint.map(|it| format!("\x1b[36mhint\x1b[0m: {it}")));
            let value = value.lines().next().unwrap_or_default().to_owned();
            CellError { name: name.to_owned(), value, traceback }
        };
        match self {
            CellsError::Compile { diagnostics, sources } => {
                let first = diagnostics.first();
                CellError {
                    name: first.map_or("CompileError", |it| it.code.as_str()).to_owned(),
                    value: first.map_or("the cell does not compile", |it| it.message.as_str()).to_owned(),
                    traceback: diagnostics
                        .iter()
                        .map(|it| diagnostic::render(std::slice::from_ref(it), sources, true))
                        .collect(),
                }
            }
            CellsError::Refused { message, hint } => plain("CellError", message.clone(), hint.as_deref()),
            CellsError::Compiler { output, .. } => {
                let hint = "see that there is memory and room on the disk, and execute the cell again";
                let message = "the compiler of the cell was killed, or could not do its work";
                let text = format!("{message}\n{}", output.trim());
                plain("BuildError", text.trim_end().to_owned(), Some(hint))
            }
            CellsError::Interrupted => {
                plain("Interrupted", "interrupted before the cell ran; nothing has changed".to_owned(), None)
            }
            CellsError::WorkerDied => {
                plain("WorkerDied", "the worker died while the cell ran".to_owned(), None)
            }
            CellsError::Crashed { description } => plain(
                "CellsCrashed",
                format!("the process that compiles cells {description}"),
                Some("the next Rust cell starts a new one; nodes and their values are not affected"),
            ),
            CellsError::NotStarted { message } => plain(
                "CellsNotStarted",
                format!("Rust cells are not available: {message}"),
                Some(match message.contains("os error 28") {
                    true => "make room on the disk, and execute the cell again",
                    false => "`brooklet doctor` checks what they need",
                }),
            ),
        }
    }
}

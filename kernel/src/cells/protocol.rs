//! What kernel, cells process and bridge say to each other: JSON, one message a line, over a Unix socket.
//!
//! The kernel listens in a directory that only this user can enter; the cells process and each bridge
//! connect to it and say `Hello` first. Prints of evcxr, cargo and rust-analyzer go to fds 1 and 2, so they
//! can never mix with this.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Both ends come from the same executable; a difference means that it was replaced while running.
pub const VERSION: u32 = 1;

/// The socket's path, for the cells process and, through it, for the bridge.
pub const SOCKET: &str = "BROOKLET_CELLS_SOCKET";

/// In the socket's directory: exists once the bridge must pass on what evcxr wants run. Before that evcxr
/// only tries itself out, and nothing needs to run.
pub const CONNECTED: &str = "connected";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Cells,
    Bridge,
}

/// The first line of every connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    pub role: Role,
}

/// From the kernel to the cells process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub id: u64,
    pub body: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Always the first request. Answer: `Started` or `Failed`.
    Start(Start),
    /// `scope` is the module of the generation, see `scope`. Answer: `Evaluated`.
    Evaluate { code: String, scope: String },
    /// The worker is new: forget the variables. Answer: `Evaluated`.
    Forget,
    /// Answer: `Completed`, or `Busy` at once.
    Complete { code: String, position: usize },
    /// `code` ends with the name asked for. Answer: `Inspected`, or `Busy` at once.
    Inspect { code: String },
    /// Stop what the request `evaluation` does before it starts something new. No answer.
    Cancel { evaluation: u64 },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The working directory for commands of cells.
    pub directory: String,
    /// Where the crate for rust-analyzer is made.
    pub sources_directory: String,
    pub rustflags: String,
    pub externs: Vec<String>,
    pub sources: Vec<(String, String)>,
    pub lockfile: Option<String>,
    pub prelude: String,
    pub rehearsal: String,
}

/// From the cells process to the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    pub id: u64,
    pub body: Answer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Started,
    Failed {
        message: String,
    },
    Evaluated {
        outcome: Outcome,
        variables: Vec<Variable>,
        lost: Vec<Lost>,
    },
    Completed {
        items: Vec<Item>,
        start: usize,
        end: usize,
    },
    /// Both empty: nothing is known.
    Inspected {
        plain: String,
        html: String,
    },
    Busy,
}

/// How an evaluation ended, as evcxr sees it: a panic is `Done`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done {
        content: BTreeMap<String, String>,
        phases: Vec<(String, u64)>,
    },
    Errors {
        errors: Vec<CompileError>,
    },
    Refused {
        message: String,
        hint: Option<String>,
    },
    /// The compiler could not do its work, twice; says nothing of the code.
    Compiler {
        output: String,
        /// It stumbled over what it had written itself: nothing can be built there any more.
        is_spoilt: bool,
    },
    Cancelled,
    /// The bridge ended, because the worker did.
    Terminated,
}

/// A `let` variable that cells keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    /// As rust-analyzer writes the type.
    pub ty: String,
}

/// Variables that evcxr was made to forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub variables: Vec<String>,
    pub because: String,
}

/// One error of rustc in the cell as it was compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileError {
    pub code: String,
    pub message: String,
    pub spans: Vec<CodeSpan>,
    pub help: Vec<String>,
    /// Whether any part of it is in what the user wrote, in this cell or an earlier one.
    pub is_from_user: bool,
}

/// A place in the compiled cell; lines and columns count from 1, columns count characters, ends exclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSpan {
    pub start_line: usize,
    pub start_column: usize,
    pub end_line: usize,
    pub end_column: usize,
    pub label: String,
    pub is_primary: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub code: String,
    pub kind: String,
    pub label: String,
}

/// From the bridge to the kernel: evcxr's `LOAD_AND_RUN`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadAndRun {
    pub library: String,
    pub function: String,
}

/// From the kernel to the bridge.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ran {
    pub control_lines: Vec<String>,
    pub died: bool,
}

/// Writes one message.
///
/// # Errors
/// As the writer gives them.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// As the reader gives them, and if the line is not the expected message.
pub fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

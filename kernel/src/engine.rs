//! The seam between a frontend and what executes cells.
//!
//! Two frontends exist: the Jupyter sockets (`jupyter`) and the headless notebook runner
//! (`command_line::run`). Neither knows of graphs or Rust; the session behind [`Engine`] knows neither
//! sockets nor notebooks. A toy engine stands in for the session in protocol tests.

use std::sync::Arc;

use brooklet_graph::wire::MimeBundle;

/// One cell to execute.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub code: String,
    /// What the frontend calls the cell; empty if it does not say.
    pub id: String,
    /// The number shown beside the cell.
    pub execution_count: u64,
    /// Names to evaluate after success: name -> expression.
    pub user_expressions: Vec<(String, String)>,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Per user expression its value, or why there is none.
    Success {
        user_expressions: Vec<(String, Result<MimeBundle, CellError>)>,
    },
    Failure(CellError),
}

impl Outcome {
    /// Success with no user expressions.
    #[cfg(test)]
    pub fn success() -> Outcome {
        Outcome::Success { user_expressions: Vec::new() }
    }
}

/// The fields of Jupyter's `error` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellError {
    /// Short name: a diagnostic's or rustc's code, `Panic`, `Interrupted`.
    pub name: String,
    /// One line.
    pub value: String,
    /// ANSI text, one entry a line or a block.
    pub traceback: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Where a running cell's output goes. May be used from any thread, also after the cell ended (late
/// output belongs to the cell that it was made for).
pub trait Output: Send + Sync {
    fn stream(&self, stream: Stream, text: &str);
    /// Shows a bundle below the cell. With an id it can be replaced by `update`.
    fn display(&self, bundle: &MimeBundle, display_id: Option<&str>);
    /// Replaces what was displayed under the id, in whatever cell that is.
    fn update(&self, bundle: &MimeBundle, display_id: &str);
    /// The cell's value; at most one a cell.
    fn result(&self, bundle: &MimeBundle);
    fn clear(&self, wait: bool);
    /// Text for the frontend's pager (help).
    fn page(&self, text: &str);
    /// Asks the person at the frontend for a line.
    ///
    /// # Errors
    /// If the frontend cannot ask, or the wait was interrupted.
    fn input(&self, prompt: &str, password: bool) -> Result<String, String>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    pub items: Vec<Completion>,
    /// Byte range of the text that an item replaces.
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
    /// What Jupyter calls the type: `magic`, `node`, `input`, `function`, `struct`, `keyword`, ...
    pub kind: String,
    /// Signature or type, may be empty.
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// More is to come; the frontend indents the next line so.
    Incomplete {
        indent: String,
    },
    Invalid,
}

/// Executes cells and answers questions about code.
///
/// `execute` is called from one thread, one cell at a time. All other methods may be called from other
/// threads at any time, also while a cell runs, and answer within a second.
pub trait Engine: Send + Sync {
    fn execute(&self, cell: &Cell, output: Arc<dyn Output>) -> Outcome;
    /// `position` is a byte offset at a character boundary.
    fn complete(&self, code: &str, position: usize) -> Completions;
    /// What is known of the name at the byte offset; `detail` 1 also shows the source.
    fn inspect(&self, code: &str, position: usize, detail: u8) -> Option<MimeBundle>;
    fn completeness(&self, code: &str) -> Completeness;
    /// Stops the running cell: see `session::interrupts`. No effect when idle. Returns at once.
    fn interrupt(&self);
    /// Ends all children. Nothing is executed afterwards.
    fn shutdown(&self);
    /// Process ids of the children, for `usage_request`.
    fn children(&self) -> Vec<u32>;
    /// The text of `kernel_info`'s banner.
    fn banner(&self) -> String;
}

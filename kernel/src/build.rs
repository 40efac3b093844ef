//! Everything that is compiled: the image once, a generation at each save.

pub mod cache;
mod cargo_progress;
pub mod generation;
pub mod image;
pub mod mirror;
pub mod package;

use std::time::Duration;

/// What a long build is doing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being compiled, `polars-core, polars-plan`; or a sentence.
    pub what: String,
    pub done: u32,
    /// 0 while it is not known.
    pub total: u32,
    pub elapsed: Duration,
}

/// A build that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// One line.
    pub message: String,
    /// What the tool printed, may be empty; ANSI.
    pub output: String,
    pub hint: Option<String>,
}

impl BuildError {
    pub fn new(message: impl Into<String>) -> BuildError {
        BuildError { message: message.into(), output: String::new(), hint: None }
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.output.is_empty() {
            write!(f, "\n{}", self.output)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

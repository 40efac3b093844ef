//! What a run gives to a program: values by name, or one frame; and what stood in the way.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use brooklet_graph::diagnostic::{self, Diagnostic};
use brooklet_graph::source::Sources;
use brooklet_graph::wire::Failure;
use polars::prelude::DataFrame;

use crate::show;
use crate::value::Value;

/// The values of the targets, in the order asked for.
#[derive(Clone, Debug)]
pub struct Results {
    values: Vec<(String, Value)>,
    /// Frames that are not as their schema declares, in words.
    pub warnings: Vec<String>,
    /// Given inputs that no node takes.
    pub unused_inputs: Vec<String>,
}

impl Results {
    pub(super) fn new(
        values: Vec<(String, Value)>,
        warnings: Vec<(String, String)>,
        unused_inputs: Vec<String>,
    ) -> Results {
        Results { values, warnings: warnings.into_iter().map(|it| it.1).collect(), unused_inputs }
    }

    /// The value of one target.
    ///
    /// # Errors
    /// If it was not asked for, or holds another type.
    pub fn get<T: Any>(&self, name: &str) -> Result<&T, ResultError> {
        let value = self.value(name)?;
        value.get().ok_or_else(|| {
            let asked = crate::value::short_type_name(std::any::type_name::<T>());
            ResultError(format!("`{name}` holds a `{}`, not a `{asked}`", value.type_name()))
        })
    }

    /// The value of one target, whatever its type.
    ///
    /// # Errors
    /// If it was not asked for.
    pub fn value(&self, name: &str) -> Result<&Value, ResultError> {
        let found = self.values.iter().find(|it| it.0 == name);
        found.map(|it| &it.1).ok_or_else(|| ResultError(format!("`{name}` was not among the targets")))
    }

    /// One column for each target, named by it; scalars repeat. A single frame is itself.
    ///
    /// # Errors
    /// If a value is no column, or the columns are not of one length.
    pub fn frame(&self) -> Result<DataFrame, ResultError> {
        if let [(_, value)] = self.values.as_slice()
            && let Some(frame) = value.get::<DataFrame>()
        {
            return Ok(frame.clone());
        }
        show::frame_of(&self.values).map_err(ResultError)
    }

    /// All values by name.
    pub fn map(&self) -> BTreeMap<&str, &Value> {
        self.values.iter().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// All values as one JSON object, exact.
    ///
    /// # Errors
    /// Names the value that has no JSON form.
    pub fn json(&self) -> Result<serde_json::Value, ResultError> {
        let bundle = show::json(&self.values).map_err(ResultError)?;
        Ok(bundle.data.get("application/json").cloned().unwrap_or_default())
    }
}

/// A value cannot be had in the way asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultError(String);

impl fmt::Display for ResultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ResultError {}

/// Why a run gave nothing: all problems at once.
#[derive(Clone, Debug)]
pub struct RunError {
    /// Found before anything ran.
    pub diagnostics: Vec<Diagnostic>,
    /// Literals that cannot be read, and nodes that failed.
    pub failures: Vec<Failure>,
    /// Stopped by its flag.
    pub interrupted: bool,
    sources: Sources,
}

impl RunError {
    pub(super) fn refused(diagnostics: Vec<Diagnostic>, sources: Sources) -> RunError {
        RunError { diagnostics, failures: Vec::new(), interrupted: false, sources }
    }

    pub(super) fn failed(failures: Vec<Failure>, interrupted: bool) -> RunError {
        RunError { diagnostics: Vec::new(), failures, interrupted, sources: Sources::default() }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        if !self.diagnostics.is_empty() {
            parts.push(
                diagnostic::render(&super::without_magics(&self.diagnostics), &self.sources, false)
                    .trim_end()
                    .to_owned(),
            );
        }
        parts.extend(self.failures.iter().map(told));
        if self.interrupted {
            parts.push("the run was interrupted".to_owned());
        }
        f.write_str(&parts.join("\n"))
    }
}

impl std::error::Error for RunError {}

fn told(failure: &Failure) -> String {
    let mut text = match failure.message.contains(&format!("`{}`", failure.node)) || failure.node.is_empty() {
        true => format!("{}: {}", failure.kind, failure.message),
        false => format!("{}: `{}`: {}", failure.kind, failure.node, failure.message),
    };
    let word = if failure.kind == "Panic" { "at" } else { "caused by" };
    for it in &failure.chain {
        text.push_str(&format!("\n  {word}: {it}"));
    }
    if let Some(hint) = failure.hint.as_ref().filter(|it| !it.contains("`%")) {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

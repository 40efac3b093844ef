//! The graph: which node needs which, as plain data.
//!
//! A [`Graph`] is what every other part speaks about: the driver plans with it, the picture draws it, the
//! kernel's magics list it. It holds no values and no code. It is always acyclic and complete: `build`
//! leaves out whatever a diagnostic was raised for.

mod build;
mod diff;
mod topology;
mod walk;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use build::build;
pub use diff::{Change, diff};
pub use walk::{check_targets, similar};

use crate::source::Span;

/// A name or a `k=v` map as the user wrote it: raw literal text by key.
pub type Literals = BTreeMap<String, String>;

/// All nodes in topological order; ties keep the order of declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    pub nodes: IndexMap<String, Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub kind: NodeKind,
    /// What the node holds, as written: `Series` for a function that returns `PolarsResult<Series>`,
    /// the consumers' type without `&` and `Option` for an input. For people only.
    pub ty: String,
    /// Display path of the file; empty for an input.
    pub file: String,
    /// 1-based line of the function's name; 0 for an input.
    pub line: u32,
    pub doc: String,
    pub tags: BTreeMap<String, Vec<String>>,
    /// In the order of the parameters.
    pub dependencies: Vec<Dependency>,
    /// Code fingerprint (hex); empty for an input.
    pub fingerprint: String,
    /// The key of the generation's table of functions; empty for an input.
    pub function: String,
    /// The function's name, or for an input its first consumer's parameter.
    pub span: Span,
    /// The return type; for an input the consumer's parameter type.
    pub type_span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    Transform,
    /// A value that the caller supplies.
    Input,
}

/// One edge: parameter `parameter` of the node takes the value of node `name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// Position of the parameter in the function.
    pub parameter: usize,
    pub optional: bool,
    /// The parameter's type as written.
    pub ty: String,
    /// The parameter's name.
    pub span: Span,
}

#[cfg(all(test, feature = "parse"))]
mod tests;

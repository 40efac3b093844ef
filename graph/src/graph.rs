//! The graph: which node needs which, as plain data.
//!
//! A [`Graph`] is what every other part speaks about: the driver plans with it, the picture draws it, the
//! kernel's magics list it. It holds no values and no code. It is always acyclic and complete: `build`
//! leaves out whatever a diagnostic was raised for.

mod build;
mod condition;
mod diff;
mod expand;
mod mismatch;
mod topology;
mod walk;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use build::{Options, build};
pub use condition::{consulted_keys, possible_nodes};
pub use diff::{Change, diff};
pub use mismatch::edge_mismatches;
pub use walk::{TagFilter, check_targets, similar};

use crate::source::Span;
pub use crate::spec::{Behaviour, Caching, SchemaColumn, StoredAs};
pub(crate) use build::held_type;

/// A name or a `k=v` map as the user wrote it: raw literal text by key.
pub type Literals = BTreeMap<String, String>;

/// All nodes in topological order; ties keep the order of declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    pub nodes: IndexMap<String, Node>,
    /// Nodes that no variant makes under the present configuration, and what to say of each.
    #[serde(default)]
    pub absent: BTreeMap<String, Absent>,
}

/// A node whose variants all want another configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    pub message: String,
    pub hint: String,
    /// The variants, each with what it wants.
    pub variants: Vec<(Span, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Literals that attributes feed into parameters.
    pub fixed: Vec<Fixed>,
    /// For a part: what of its one dependency it is.
    pub part: Option<PartOf>,
    /// The columns that the frame is declared to have.
    pub schema: Vec<SchemaColumn>,
    /// What becomes of its results.
    #[serde(default, skip_serializing_if = "Caching::is_usual")]
    pub caching: Caching,
    /// Code fingerprint (hex); empty for an input.
    pub fingerprint: String,
    /// The key of the generation's table of functions; empty for an input, and for a column.
    pub function: String,
    /// The path of the function that the node comes from; empty for an input.
    pub origin: String,
    /// The function's name, or for an input its first consumer's parameter.
    pub span: Span,
    /// The return type; for an input the consumer's parameter type.
    pub type_span: Span,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    #[default]
    Transform,
    /// A value that the caller supplies.
    Input,
}

/// One edge: parameter `parameter` of the node takes the value of node `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// Position of the parameter in the function.
    pub parameter: usize,
    /// Where in the parameter it goes.
    pub place: Place,
    /// Whether the function runs without it.
    pub optional: bool,
    /// The literal that stands for it where nothing provides it.
    pub default: Option<String>,
    /// Where that stands.
    pub default_span: Span,
    /// The parameter's type as written.
    pub ty: String,
    /// The parameter's name, or the place in an attribute that names the node.
    pub span: Span,
}

/// Where in a parameter a value goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    #[default]
    Whole,
    /// One of several, by position.
    Item(usize),
    /// One of several, by name; the position keeps the order of writing.
    Entry(usize, String),
}

/// A literal that an attribute feeds into a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    pub parameter: usize,
    /// The parameter's name.
    pub name: String,
    pub place: Place,
    pub literal: String,
    pub span: Span,
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartOf {
    /// A column of a frame; `fill` stands for one that is missing.
    Column { column: String, fill: Option<String> },
    /// A field or a tuple's item; the function of the part's name in the generation takes it out.
    Field(String),
}

#[cfg(all(test, feature = "parse"))]
mod tests;

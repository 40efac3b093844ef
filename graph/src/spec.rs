//! The plain description of transforms, read from source before anything is compiled.
//!
//! Specs know names, arity and places. They never know types: `output` and `ty` are source text for
//! display, and only rustc decides whether an edge fits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::source::Span;

/// What one file contributes to the graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Path of the file's module inside the generated crate, `["marketing"]`.
    pub module: Vec<String>,
    pub functions: Vec<FnSpec>,
}

/// One `pub fn`: the user's unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FnSpec {
    /// The node's name.
    pub name: String,
    /// Where the function stands in the generated crate, `marketing::avg_3wk_spend`. Unique; the key of
    /// the generation's table of functions.
    pub path: String,
    pub params: Vec<ParamSpec>,
    /// The return type as written, whitespace normalised, `()` if absent.
    pub output: String,
    pub is_async: bool,
    /// `#[cfg(..)]` attributes as written; the shim repeats them.
    pub cfg: Vec<String>,
    /// The doc comment, lines joined by `\n`, without the one leading space.
    pub doc: String,
    pub tags: BTreeMap<String, Vec<String>>,
    /// Hash of the function's normalised tokens and of everything it may reach (hex). See `parse::fingerprint`.
    pub fingerprint: String,
    /// The function's name.
    pub name_span: Span,
    /// The return type, or the place where it would stand.
    pub output_span: Span,
    /// The whole item with its docs and attributes.
    pub span: Span,
}

/// One parameter: one edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamSpec {
    /// The name of the node or input it is fed from (no leading `_`, no `r#`).
    pub name: String,
    /// The type as written, whitespace normalised.
    pub ty: String,
    /// `Option<..>`: absent becomes `None`.
    pub optional: bool,
    pub name_span: Span,
    pub ty_span: Span,
}

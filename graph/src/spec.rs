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
    /// Nothing in it is borrowed, as far as the files tell.
    #[serde(default)]
    pub output_is_owned: bool,
    pub is_async: bool,
    /// `#[cfg(..)]` attributes as written; the shim repeats them.
    pub cfg: Vec<String>,
    /// The doc comment, lines joined by `\n`, without the one leading space.
    pub doc: String,
    pub tags: BTreeMap<String, Vec<String>>,
    /// What its attributes say about the nodes that it makes.
    pub shape: Shape,
    /// Hash of the function's normalised tokens and of everything it may reach (hex). See `parse::fingerprint`.
    pub fingerprint: String,
    /// The line of the function's name, counted from 1.
    pub line: u32,
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

/// A literal as a magic would have it, and where it stands. See `brooklet::literal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Literal {
    pub raw: String,
    pub span: Span,
}

/// What the attributes of a function say about the nodes that it makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// `#[config(..)]`: all must hold for the function to be there.
    pub conditions: Vec<Condition>,
    /// Where the conditions stand.
    pub conditions_span: Option<Span>,
    /// `#[defaults(..)]`: by position of the parameter.
    pub defaults: BTreeMap<usize, Literal>,
    /// `#[inject(..)]`: by position of the parameter.
    pub inject: BTreeMap<usize, Argument>,
    /// `#[parameterize(..)]`: one node each, in place of the function's own.
    pub entries: Option<Vec<Entry>>,
    /// `#[extract_columns]`, `#[extract_fields]`, `#[unpack]`.
    pub parts: Option<Parts>,
    /// `#[tag_outputs(..)]`: by node.
    pub tag_outputs: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// `#[schema(..)]`: the columns of the frame.
    pub schema: Vec<SchemaColumn>,
    /// `#[cache(..)]`
    #[serde(default)]
    pub caching: Caching,
}

/// What becomes of the results of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caching {
    pub behaviour: Behaviour,
    /// How the value is written to the disk, where it is not as usual.
    pub format: Option<StoredAs>,
    /// Parameters whose values name files: what is in those counts as well as their names.
    pub files: Vec<usize>,
}

impl Caching {
    pub fn is_usual(&self) -> bool {
        *self == Caching::default()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// A result that has the same key is reused.
    #[default]
    Reuse,
    /// It runs each time; if its value is the same, what takes it is reused.
    Recompute,
    /// It runs each time, nothing of it is kept, and all that takes it runs too.
    Disable,
    /// It runs where its value is taken, and its value counts for nothing in the keys of what takes it.
    Ignore,
}

impl Behaviour {
    /// The word for it in `#[cache(..)]`.
    pub fn word(self) -> &'static str {
        match self {
            Behaviour::Reuse => "",
            Behaviour::Recompute => "recompute",
            Behaviour::Disable => "disable",
            Behaviour::Ignore => "ignore",
        }
    }
}

/// File formats for the frames of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredAs {
    Arrow,
    Parquet,
}

/// One entry of `#[parameterize]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub node: String,
    pub span: Span,
    /// In place of the function's own documentation.
    pub doc: Option<String>,
    /// By position of the parameter.
    pub arguments: BTreeMap<usize, Argument>,
    /// `extract_columns(..)` of this entry alone.
    pub parts: Option<Parts>,
}

/// What is fed into a parameter in place of the node of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    Source { node: String, span: Span },
    Value(Literal),
    List(Vec<Argument>),
    Map(Vec<(String, Argument)>),
}

impl Argument {
    /// Several values go into one parameter.
    pub fn is_group(&self) -> bool {
        matches!(self, Argument::List(_) | Argument::Map(_))
    }
}

/// Nodes that are parts of what the function returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parts {
    /// Columns of a frame. `fill` stands for one that is missing.
    Columns { parts: Vec<Part>, fill: Option<Literal> },
    /// Fields of a struct; empty until the struct's own are known, if none are named.
    Fields { parts: Vec<Part>, all: bool, span: Span },
    /// Items of a tuple, from the first on.
    Items { parts: Vec<Part> },
}

impl Parts {
    pub fn parts(&self) -> &[Part] {
        match self {
            Parts::Columns { parts, .. } | Parts::Fields { parts, .. } | Parts::Items { parts } => parts,
        }
    }
}

/// One part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The column, the field, or the item's number.
    pub of: String,
    pub node: String,
    pub doc: Option<String>,
    /// The field's type as written, where known.
    pub ty: Option<String>,
    pub span: Span,
}

/// A column that a frame is declared to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaColumn {
    pub name: String,
    /// As written, `i64`.
    pub ty: String,
}

/// When a variant is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The key's value is one of these; with `not`, none of these, or absent.
    Is {
        key: String,
        one_of: Vec<Literal>,
        not: bool,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// No other variant of the node is there.
    Otherwise,
}

impl FnSpec {
    /// The key of the shim that takes groups in these parameters; without groups the function's own path.
    pub fn shim_path(&self, groups: &[usize]) -> String {
        let numbers: Vec<String> = groups.iter().map(usize::to_string).collect();
        if numbers.is_empty() { self.path.clone() } else { format!("{}[{}]", self.path, numbers.join(",")) }
    }

    /// The key of the shim that takes a part out of what the function returns.
    pub fn part_path(&self, part: &str) -> String {
        format!("{}.{part}", self.path)
    }

    /// Which parameters take groups: one list for each shim that is needed.
    pub fn group_sets(&self) -> Vec<Vec<usize>> {
        let of = |entry: &BTreeMap<usize, Argument>| -> Vec<usize> {
            let own = self.shape.inject.iter().filter(|it| !entry.contains_key(it.0));
            let mut groups: Vec<usize> =
                own.chain(entry).filter(|it| it.1.is_group()).map(|it| *it.0).collect();
            groups.sort_unstable();
            groups
        };
        let mut sets = match &self.shape.entries {
            Some(entries) => entries.iter().map(|it| of(&it.arguments)).collect(),
            None => vec![of(&BTreeMap::new())],
        };
        sets.sort();
        sets.dedup();
        sets
    }
}

//! Source files and places in them.
//!
//! Everything that can be wrong in a transform file is told with a [`Span`]. Spans are byte ranges, as
//! syn and rustc give them; lines and columns are worked out only when something is shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Index of a file in [`Sources`].
pub type FileId = u32;

/// One transform file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path as the user would write it: relative to the notebook where possible.
    pub path: String,
    /// The absolute path, for `#[path]` in the generated crate and for links.
    pub absolute: String,
    /// The whole text.
    pub text: String,
}

/// A byte range in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

/// A place for people: both numbers count from 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    pub line: u32,
    pub column: u32,
}

/// The files of one revision, in the order in which they were watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    pub files: Vec<SourceFile>,
    /// Files whose functions are no nodes: modules of a package that transform files may use.
    #[serde(default)]
    pub helpers: BTreeSet<FileId>,
    /// The `#[cfg(..)]` of a file's module and of those around it: what is in it is there only then.
    #[serde(default)]
    pub cfgs: BTreeMap<FileId, Vec<String>>,
    /// The Cargo package that some of the files belong to.
    #[serde(default)]
    pub package: Option<PackageRoot>,
}

/// A Cargo package's tree of modules, as far as its crate root declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRoot {
    pub name: String,
    /// The directory of the crate root: where its `mod name;` are looked for.
    pub directory: String,
    pub declarations: Vec<ModuleDeclaration>,
    /// The files that the tree reaches.
    pub files: BTreeSet<FileId>,
}

/// `mod name;` as a file declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleDeclaration {
    pub name: String,
    /// The attributes as written, `#[macro_use]`; no docs.
    pub attributes: Vec<String>,
    /// The value of `#[path = ".."]`.
    pub path: Option<String>,
    pub is_public: bool,
    /// Those of the attributes that are `#[cfg(..)]`.
    pub cfg: Vec<String>,
    /// What an inline module declares.
    pub inner: Option<Vec<ModuleDeclaration>>,
}

impl Sources {
    /// The file that a span points into.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id as usize)
    }

    /// Adds a file and returns its index.
    pub fn push(&mut self, file: SourceFile) -> FileId {
        self.files.push(file);
        (self.files.len() - 1) as FileId
    }

    /// Where a span starts. A span outside its file gives the file's last place.
    pub fn line_column(&self, span: Span) -> LineColumn {
        let Some(file) = self.file(span.file) else { return LineColumn { line: 1, column: 1 } };
        let mut end = (span.start as usize).min(file.text.len());
        while !file.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &file.text[..end];
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        LineColumn {
            line: before.bytes().filter(|it| *it == b'\n').count() as u32 + 1,
            column: before[line_start..].chars().count() as u32 + 1,
        }
    }

    /// The text of a span, empty where the span does not fit its file.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or_default()
    }
}

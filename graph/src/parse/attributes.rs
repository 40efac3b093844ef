//! What the attributes of a function mean.
//!
//! This is the one place that gives attributes a meaning: everything else sees [`Attributes`], plain data,
//! so the order of attributes can never matter. A name of ours that has no meaning yet is refused, and never
//! ignored: the graph would be another one than the user asked for.

mod meta;
pub(crate) mod shape;

use super::items::Item;
use super::lex::Kind;
use super::tokens::{Lexed, Range, plain};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Names that the prelude exports as attribute macros.
pub(crate) const OURS: [&str; 24] = [
    "cache",
    "check",
    "check_output",
    "check_schema",
    "config",
    "defaults",
    "extract_columns",
    "extract_fields",
    "inject",
    "load",
    "loader",
    "mutate",
    "node",
    "parameterize",
    "pipe_input",
    "pipe_output",
    "save",
    "saver",
    "schema",
    "subdag",
    "tag",
    "tag_outputs",
    "unpack",
    "with_columns",
];

/// Those that have a meaning.
pub(crate) const UNDERSTOOD: [&str; 12] = [
    "cache",
    "config",
    "defaults",
    "extract_columns",
    "extract_fields",
    "inject",
    "node",
    "parameterize",
    "schema",
    "tag",
    "tag_outputs",
    "unpack",
];

/// One of our attributes on a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub name: String,
    pub span: Span,
    /// What stands between its brackets, if it has any.
    pub arguments: Option<Range>,
    /// Nothing but its name.
    pub is_bare: bool,
}

/// What the attributes of one function say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `#[cfg(..)]` as written.
    pub cfg: Vec<String>,
    pub doc: String,
    /// Compiled only for tests: no node.
    pub test: bool,
    /// `#[node(skip)]`: no node.
    pub skip: bool,
    /// Ours, for [`shape::read`].
    pub own: Vec<Own>,
}

impl Attributes {
    /// Of what is no node: nothing that was written for us is passed over. `skip` says no more than is so.
    pub fn refuse_own(&self, lexed: &Lexed<'_>, problems: &mut Vec<Diagnostic>) {
        for own in self.own.iter() {
            if self.skip && own.name == "node" {
                let pieces = own.arguments.map(|it| meta::pieces(lexed, it)).unwrap_or_default();
                if let Some(odd) =
                    pieces.iter().find(|it| !(lexed.is(it.start, "skip") && it.end == it.start + 1))
                {
                    problems.push(
                        Diagnostic::error(
                            "attribute-syntax",
                            "`#[node]`: with `skip` nothing else means anything",
                        )
                        .at(lexed.span(*odd), "")
                        .hint("write it as `#[node(skip)]`"),
                    );
                }
                continue;
            }
            let message = format!("`#[{}]` stands on something that is no node", own.name);
            problems.push(
                Diagnostic::error("misplaced-attribute", message).at(own.span, "").hint(
                    "nodes are the `pub fn`s at the top of a file: make it one, or remove the attribute",
                ),
            );
        }
    }
}

/// Reads the attributes of an item.
pub(crate) fn read(lexed: &Lexed<'_>, item: &Item, problems: &mut Vec<Diagnostic>) -> Attributes {
    let mut attributes = Attributes::default();
    let mut doc: Vec<String> = Vec::new();
    for range in &item.attributes {
        if lexed.kind(range.start) == Some(Kind::DocOuter) {
            doc.extend(comment_lines(lexed.text(range.start)));
            continue;
        }
        let name = name(lexed, *range);
        match lexed.ident(name).map(plain) {
            Some("doc") if lexed.is_punct(name + 1, b'=') && name == range.start + 2 => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(lexed.text(name + 2)) {
                    doc.extend(text.value().lines().map(without_leading_space));
                }
            }
            Some("cfg") => {
                let span = lexed.span(*range);
                let text = lexed.text.get(span.start as usize..span.end as usize).unwrap_or_default();
                attributes.cfg.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
                attributes.test |= requires_test(lexed, name + 1);
            }
            Some("test" | "bench") => attributes.test = true,
            Some("cfg_attr") => {
                let hidden = (name + 1..range.end).find(|it| {
                    is_ours(lexed, *it) && !lexed.is_punct(it + 1, b'=') && after_comma(lexed, *it)
                });
                if let Some(index) = hidden {
                    let message = format!("`{}` inside `cfg_attr` is not supported yet", lexed.text(index));
                    problems.push(
                        Diagnostic::error("not-yet-supported", message)
                            .at(lexed.span(Range::new(index, index + 1)), "")
                            .hint("write two functions, each with a `#[cfg(..)]`"),
                    );
                }
            }
            Some(word) if is_ours(lexed, name) && UNDERSTOOD.contains(&word) => {
                let group = lexed.group(name + 1, b'(').filter(|it| it + 2 == range.end);
                let arguments = group.map(|close| Range::new(name + 2, close));
                let is_skip = |it: &Range| lexed.is(it.start, "skip") && it.end == it.start + 1;
                attributes.skip |=
                    word == "node" && arguments.is_some_and(|it| meta::pieces(lexed, it).iter().any(is_skip));
                let is_bare = name + 2 == range.end;
                let span = lexed.span(*range);
                attributes.own.push(Own { name: word.to_owned(), span, arguments, is_bare });
            }
            Some(_) if is_ours(lexed, name) => {
                let message = format!("`#[{}]` is not supported yet", lexed.text(name));
                problems.push(
                    Diagnostic::error("not-yet-supported", message)
                        .at(lexed.span(*range), "")
                        .hint("this version of Brooklet gives it no meaning; remove it"),
                );
            }
            _ => {}
        }
    }
    attributes.doc = doc.join("\n");
    attributes
}

/// The index behind one of our attributes that begins here: what it says is in the graph, and no code.
pub(crate) fn own_at(lexed: &Lexed<'_>, index: usize) -> Option<usize> {
    if !lexed.is_punct(index, b'#') {
        return None;
    }
    let close = lexed.group(index + 1, b'[')?;
    is_ours(lexed, name(lexed, Range::new(index, close + 1))).then_some(close + 1)
}

/// What one of our attributes says: its arguments with all that follows them.
pub(crate) fn own_arguments(lexed: &Lexed<'_>, attribute: Range) -> Option<Range> {
    own_at(lexed, attribute.start)?;
    let open = name(lexed, attribute) + 1;
    lexed.group(open, b'(').map(|_| Range::new(open, attribute.end))
}

/// Whether an item exists only in tests.
pub(crate) fn is_test(lexed: &Lexed<'_>, item: &Item) -> bool {
    item.attributes.iter().any(|range| {
        let name = name(lexed, *range);
        match lexed.ident(name) {
            Some("cfg") => requires_test(lexed, name + 1),
            Some("test" | "bench") => true,
            _ => false,
        }
    })
}

/// The token of an attribute's name: the last segment of its path.
fn name(lexed: &Lexed<'_>, range: Range) -> usize {
    let mut at = range.start + 2;
    while lexed.is_joint(at + 1, b':', b':') && lexed.ident(at + 3).is_some() && at + 3 < range.end {
        at += 3;
    }
    at
}

/// `node`, `brooklet::node`, `brooklet::prelude::node`; another crate's `clap::config` is not ours.
fn is_ours(lexed: &Lexed<'_>, name: usize) -> bool {
    if !lexed.ident(name).is_some_and(|it| OURS.contains(&plain(it))) {
        return false;
    }
    let mut first = name;
    while first >= 3 && lexed.is_joint(first - 2, b':', b':') && lexed.ident(first - 3).is_some() {
        first -= 3;
    }
    first == name || matches!(lexed.ident(first), Some("brooklet" | "brooklet_macros"))
}

fn after_comma(lexed: &Lexed<'_>, index: usize) -> bool {
    let mut first = index;
    while first >= 3 && lexed.is_joint(first - 2, b':', b':') {
        first -= 3;
    }
    lexed.is_punct(first - 1, b',')
}

/// `(test)` or `(all(.., test, ..))`: never there outside tests.
fn requires_test(lexed: &Lexed<'_>, open: usize) -> bool {
    let Some(close) = lexed.group(open, b'(') else { return false };
    lexed.split_at_commas(Range::new(open + 1, close)).iter().any(|it| {
        (lexed.is(it.start, "test") && it.end == it.start + 1)
            || (lexed.is(it.start, "all") && requires_test(lexed, it.start + 1))
    })
}

fn without_leading_space(line: &str) -> String {
    line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
}

/// The lines of a `///` or `/** */` comment.
fn comment_lines(comment: &str) -> Vec<String> {
    if let Some(line) = comment.strip_prefix("///") {
        return vec![without_leading_space(line)];
    }
    let inner = comment.strip_prefix("/**").and_then(|it| it.strip_suffix("*/")).unwrap_or_default();
    let line = |it: &str| {
        let trimmed = it.trim_start();
        without_leading_space(trimmed.strip_prefix('*').unwrap_or(trimmed))
    };
    let mut lines: Vec<String> = inner.lines().map(line).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    while lines.first().is_some_and(String::is_empty) {
        lines.remove(0);
    }
    lines
}

#[cfg(test)]
mod tests;

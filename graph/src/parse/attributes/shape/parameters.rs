//! `#[defaults]`, `#[inject]`, `#[parameterize]`: what goes into parameters.

use super::super::Own;
use super::super::meta::{Body, Expr, Mistake, expr, pieces};
use super::{Reader, text};
use crate::diagnostic::Diagnostic;
use crate::graph::similar;
use crate::parse::tokens::{Range, plain};
use crate::source::Span;
use crate::spec::{Argument, Entry};

impl Reader<'_, '_> {
    /// The position of a parameter, or that there is none.
    pub(super) fn parameter(&mut self, attribute: &str, name: &str, span: Span) -> Option<usize> {
        let found = self.params.iter().position(|it| it.name == name);
        if found.is_none() {
            let mut diagnostic = Diagnostic::error(
                "unknown-parameter",
                format!("`#[{attribute}]` names `{name}`, which is no parameter"),
            )
            .at(span, "");
            let near = similar(name, self.params.iter().map(|it| it.name.as_str()));
            let all: Vec<String> = self.params.iter().map(|it| format!("`{}`", it.name)).collect();
            diagnostic = match near.first() {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None if all.is_empty() => diagnostic.hint("the function has no parameters"),
                None => diagnostic.hint(format!("its parameters are {}", all.join(", "))),
            };
            self.problems.push(diagnostic);
        }
        found
    }

    pub(super) fn defaults(&mut self, own: &Own) -> Result<(), Mistake> {
        for meta in self.metas(own)? {
            match (&meta.name, &meta.body) {
                (Some((name, span)), Body::Is(value)) => {
                    let literal = value.literal().ok_or_else(|| {
                        Mistake::new(value.span(), "a default is a literal: a number, a string, a list")
                    })?;
                    if let Some(parameter) = self.parameter("defaults", name, *span) {
                        self.once(parameter, "defaults", *span);
                        self.read.shape.defaults.insert(parameter, literal);
                    }
                }
                _ => return Err(Mistake::new(meta.span, "expected `parameter = literal`")),
            }
        }
        Ok(())
    }

    fn once(&mut self, parameter: usize, attribute: &str, span: Span) {
        let shape = &self.read.shape;
        let there = match attribute {
            "defaults" => shape.defaults.contains_key(&parameter),
            _ => shape.inject.contains_key(&parameter),
        };
        if there {
            self.twice(&format!("`{}`", self.params[parameter].name), attribute, span);
        }
    }

    pub(super) fn twice(&mut self, what: &str, attribute: &str, span: Span) {
        self.problems.push(
            Diagnostic::error("repeated-attribute", format!("{what} stands twice in `#[{attribute}]`"))
                .at(span, "")
                .hint("leave one of them out"),
        );
    }

    pub(super) fn inject(&mut self, own: &Own) -> Result<(), Mistake> {
        for meta in self.metas(own)? {
            let (Some((name, span)), Body::Is(value)) = (&meta.name, &meta.body) else {
                return Err(Mistake::new(
                    meta.span,
                    "expected `parameter = [..]`, `{..}`, `source(..)` or `value(..)`",
                ));
            };
            let argument = self.argument(value, Bare::InGroups)?;
            if let Some(parameter) = self.parameter("inject", name, *span) {
                self.once(parameter, "inject", *span);
                self.read.shape.inject.insert(parameter, argument);
            }
        }
        Ok(())
    }

    fn argument(&mut self, value: &Expr, bare: Bare) -> Result<Argument, Mistake> {
        let inside = if bare == Bare::Never { Bare::Never } else { Bare::Everywhere };
        Ok(match value {
            Expr::Call(name, span, inner) => match (name.as_str(), &**inner) {
                ("value", it) => Argument::Value(it.literal().ok_or_else(|| {
                    Mistake::new(it.span(), "`value(..)` takes a literal; a node is `source(..)`")
                })?),
                ("source", Expr::Name(node, _)) => {
                    Argument::Source { node: node.clone(), span: inner.span() }
                }
                ("source", Expr::Literal(it)) if text(it).is_some() => {
                    Argument::Source { node: text(it).unwrap_or_default(), span: it.span }
                }
                ("source", other) => {
                    return Err(Mistake::new(other.span(), "`source(..)` takes the name of a node"));
                }
                ("group", other @ (Expr::List(..) | Expr::Map(..))) => self.group(other, inside)?,
                _ => {
                    let message = format!("there is no `{name}(..)`: write `value(..)` or `source(..)`");
                    return Err(Mistake::new(*span, message));
                }
            },
            Expr::List(..) | Expr::Map(..) => self.group(value, inside)?,
            Expr::Name(node, span) if bare == Bare::Everywhere => {
                Argument::Source { node: node.clone(), span: *span }
            }
            Expr::Literal(it) if bare == Bare::Everywhere => Argument::Value(it.clone()),
            Expr::Name(node, span) => {
                let message = format!(
                    "say what `{node}` is: `source({node})` for a node, `value(\"{node}\")` for text"
                );
                return Err(Mistake::new(*span, message));
            }
            Expr::Literal(it) => {
                return Err(Mistake::new(it.span, format!("write a literal as `value({})`", it.raw)));
            }
        })
    }

    fn group(&mut self, value: &Expr, bare: Bare) -> Result<Argument, Mistake> {
        match value {
            Expr::List(items, _) => {
                items.iter().map(|it| self.member(it, bare)).collect::<Result<_, _>>().map(Argument::List)
            }
            Expr::Map(entries, _) => entries
                .iter()
                .map(|(key, it)| Ok((key.clone(), self.member(it, bare)?)))
                .collect::<Result<_, _>>()
                .map(Argument::Map),
            other => Err(Mistake::new(other.span(), "expected `[..]` or `{..}`")),
        }
    }

    fn member(&mut self, value: &Expr, bare: Bare) -> Result<Argument, Mistake> {
        match self.argument(value, bare)? {
            it if it.is_group() => Err(Mistake::new(value.span(), "a group in a group is not understood")),
            it => Ok(it),
        }
    }

    pub(super) fn parameterize(&mut self, own: &Own) -> Result<(), Mistake> {
        let mut entries: Vec<Entry> = Vec::new();
        for piece in pieces(self.lexed, self.arguments(own)?) {
            let entry = self.entry(piece)?;
            if let Some(entry) = entry {
                if entries.iter().any(|it| it.node == entry.node) {
                    self.twice(&format!("`{}`", entry.node), "parameterize", entry.span);
                }
                entries.push(entry);
            }
        }
        self.read.shape.entries = Some(entries);
        Ok(())
    }

    fn entry(&mut self, piece: Range) -> Result<Option<Entry>, Mistake> {
        let lexed = self.lexed;
        let whole = lexed.span(piece);
        let open = piece.start + 1;
        let close = lexed.group(open, b'(').filter(|it| it + 1 == piece.end);
        let (Some(name), Some(close)) = (lexed.ident(piece.start), close) else {
            return Err(Mistake::new(whole, "expected `node(parameter = value(..))`"));
        };
        let span = lexed.span(Range::new(piece.start, open));
        let mut entry = Entry { node: plain(name).to_owned(), span, ..Entry::default() };
        for inner in pieces(lexed, Range::new(open + 1, close)) {
            let word = lexed.ident(inner.start).map(plain);
            let end = lexed.group(inner.start + 1, b'(').filter(|it| it + 1 == inner.end);
            if word == Some("extract_columns")
                && let Some(end) = end
            {
                if entry.parts.is_some() {
                    self.twice("`extract_columns`", "parameterize", lexed.span(inner));
                }
                entry.parts = Some(self.columns(Range::new(inner.start + 2, end))?);
                continue;
            }
            let Some(word) = word.filter(|_| lexed.is_punct(inner.start + 1, b'=')) else {
                return Err(Mistake::new(
                    lexed.span(inner),
                    "expected `parameter = value(..)` or `= source(..)`",
                ));
            };
            let value = expr(lexed, Range::new(inner.start + 2, inner.end))?;
            let is_doc = word == "doc" && self.params.iter().all(|it| it.name != "doc");
            if is_doc {
                if entry.doc.is_some() {
                    self.twice("`doc`", "parameterize", lexed.span(inner));
                }
                let doc = match &value {
                    Expr::Literal(it) => text(it),
                    _ => None,
                };
                entry.doc = Some(doc.ok_or_else(|| Mistake::new(value.span(), "a doc is a string"))?);
                continue;
            }
            let argument = self.argument(&value, Bare::Never)?;
            let span = lexed.span(Range::new(inner.start, inner.start + 1));
            if let Some(parameter) = self.parameter("parameterize", word, span)
                && entry.arguments.insert(parameter, argument).is_some()
            {
                self.twice(&format!("`{word}`"), "parameterize", span);
            }
        }
        Ok(Some(entry))
    }
}

/// Where a name or a literal may stand without `source(..)` or `value(..)`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    Never,
    /// Inside `[..]` and `{..}`.
    InGroups,
    Everywhere,
}

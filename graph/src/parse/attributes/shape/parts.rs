//! `#[extract_columns]`, `#[extract_fields]`, `#[unpack]`: nodes that are parts of a value.

use std::collections::BTreeSet;

use super::super::Own;
use super::super::meta::{Mistake, literal, pieces, text_of};
use super::Reader;
use crate::diagnostic::Diagnostic;
use crate::parse::lex::Kind;
use crate::parse::tokens::{Range, plain};
use crate::source::Span;
use crate::spec::{Literal, Part, Parts};

impl Reader<'_, '_> {
    pub(super) fn parts(
        &mut self,
        own: &Own,
        read: impl FnOnce(&mut Self, Range) -> Result<Parts, Mistake>,
    ) -> Result<(), Mistake> {
        if let Some((first, span)) = &self.parts {
            self.problems.push(
                Diagnostic::error(
                    "conflicting-attributes",
                    format!("`#[{}]` and `#[{first}]` both take the value apart", own.name),
                )
                .at(own.span, "")
                .at(*span, "the first one")
                .hint("take it apart in one way, and a part of it in a function of its own"),
            );
            return Ok(());
        }
        self.parts = Some((own.name.clone(), own.span));
        let range = match (own.arguments, own.name.as_str()) {
            (None, "extract_fields") => Range::new(0, 0),
            _ => self
                .arguments(own)
                .or_else(|it| if own.name == "extract_fields" { Ok(Range::new(0, 0)) } else { Err(it) })?,
        };
        let parts = read(self, range)?;
        self.read.shape.parts = Some(parts);
        Ok(())
    }

    /// `spend`, `"odd name" as odd`, `spend("doc")`; what is behind the name.
    fn part(&mut self, piece: Range) -> Result<Part, Mistake> {
        let lexed = self.lexed;
        let span = lexed.span(piece);
        let at = piece.start;
        let of = match lexed.kind(at) {
            Some(Kind::Ident) => plain(lexed.text(at)).to_owned(),
            Some(Kind::Text) => text_of(lexed, at)?,
            _ => return Err(Mistake::new(span, "expected a name")),
        };
        let mut part = Part { node: of.clone(), of, span, ..Part::default() };
        let mut next = at + 1;
        if lexed.is(next, "as") {
            let name = lexed.ident(next + 1).filter(|_| next + 1 < piece.end);
            part.node = name
                .map(|it| plain(it).to_owned())
                .ok_or_else(|| Mistake::new(span, "a name is missing behind `as`"))?;
            next += 2;
        }
        if let Some(close) = lexed.group(next, b'(').filter(|_| next < piece.end) {
            if next + 2 != close {
                return Err(Mistake::new(lexed.span(Range::new(next, close + 1)), "a doc is one string"));
            }
            part.doc = Some(text_of(lexed, next + 1)?);
            next = close + 1;
        }
        if next != piece.end {
            let odd = lexed.span(Range::new(next, piece.end));
            return Err(Mistake::new(odd, "expected `name`, `name as other` or `name(\"doc\")`"));
        }
        if self.is_node_name(&part.node, span) { Ok(part) } else { Ok(Part { node: String::new(), ..part }) }
    }

    pub(super) fn columns(&mut self, range: Range) -> Result<Parts, Mistake> {
        let lexed = self.lexed;
        let (mut parts, mut fill): (Vec<Part>, Option<Literal>) = (Vec::new(), None);
        for piece in pieces(lexed, range) {
            if lexed.is(piece.start, "fill_with") && lexed.is_punct(piece.start + 1, b'=') {
                fill = Some(literal(lexed, Range::new(piece.start + 2, piece.end))?);
            } else {
                parts.push(self.part(piece)?);
            }
        }
        if parts.is_empty() {
            return Err(Mistake::new(lexed.span(range), "no column is named"));
        }
        self.distinct(&mut parts, "extract_columns");
        Ok(Parts::Columns { parts, fill })
    }

    pub(super) fn fields(&mut self, range: Range, span: Span) -> Result<Parts, Mistake> {
        let mut parts =
            pieces(self.lexed, range).into_iter().map(|it| self.part(it)).collect::<Result<Vec<_>, _>>()?;
        let is_field =
            |it: &Part| syn::parse_str::<syn::Ident>(&it.of).is_ok_and(|ident| ident == it.of.as_str());
        if let Some(odd) = parts.iter().find(|it| !is_field(it)) {
            return Err(Mistake::new(odd.span, format!("`{}` can be no field", odd.of)));
        }
        self.distinct(&mut parts, "extract_fields");
        Ok(Parts::Fields { all: parts.is_empty(), parts, span })
    }

    pub(super) fn unpack(&mut self, range: Range, span: Span) -> Result<Parts, Mistake> {
        let pieces = pieces(self.lexed, range);
        let mut parts = Vec::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            // `_` leaves an item out.
            if !(self.lexed.is(piece.start, "_") && piece.end == piece.start + 1) {
                parts.push(Part { of: number.to_string(), ..self.part(piece)? });
            }
        }
        if parts.is_empty() {
            return Err(Mistake::new(span, "no part is named"));
        }
        self.distinct(&mut parts, "unpack");
        let asked = parts.last().and_then(|it| it.of.parse::<usize>().ok()).map_or(0, |it| it + 1);
        let held = crate::graph::held_type(self.output);
        if let Some(arity) = tuple_arity(held).filter(|it| asked > *it) {
            self.problems.push(
                Diagnostic::error(
                    "too-many-parts",
                    format!("{asked} parts are named, and `{held}` has {arity}"),
                )
                .at(span, "")
                .hint("name as many as it has, or fewer"),
            );
            parts.retain(|it| it.of.parse::<usize>().is_ok_and(|it| it < arity));
        }
        Ok(Parts::Items { parts })
    }

    fn distinct(&mut self, parts: &mut Vec<Part>, attribute: &str) {
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        for part in parts.drain(..).filter(|it| !it.node.is_empty()) {
            if seen.insert(part.node.clone()) {
                kept.push(part);
            } else {
                self.twice(&format!("`{}`", part.node), attribute, part.span);
            }
        }
        *parts = kept;
    }
}

/// How many items a tuple has, as far as it is written as one.
fn tuple_arity(ty: &str) -> Option<usize> {
    match syn::parse_str::<syn::Type>(ty).ok()? {
        syn::Type::Tuple(it) => Some(it.elems.len()),
        _ => None,
    }
}

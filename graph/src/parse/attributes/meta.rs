//! The arguments of an attribute as a small tree, with places: `name`, `name = value`, `name(..)`.
//!
//! It is read from the file's own tokens, so that every mistake points at its word. Literals become the text
//! that a magic would have: what they mean is decided where the type of their consumer is known.

use crate::diagnostic::Diagnostic;
use crate::parse::lex::Kind;
use crate::parse::tokens::{Lexed, Range, plain};
use crate::source::Span;
use crate::spec::Literal;

/// Brackets in the brackets of an attribute, at most: conditions are sent as JSON, whose reader ends at 128 levels,
/// and each of ours makes two.
pub(super) const MAX_DEPTH: usize = 32;

/// One argument.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    /// `None` where a value stands alone.
    pub name: Option<(String, Span)>,
    pub body: Body,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// `skip`
    Flag,
    /// `name = value`, or a value alone.
    Is(Expr),
    /// `name(..)`
    Holds(Vec<Meta>),
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Literal(Literal),
    /// `orders`
    Name(String, Span),
    /// `value(3)`, `source(orders)`
    Call(String, Span, Box<Expr>),
    /// `[a, value(1)]`
    List(Vec<Expr>, Span),
    /// `{us = a, uk = value(2)}`
    Map(Vec<(String, Expr)>, Span),
}

impl Expr {
    /// The literal that this is: also a list or a map of nothing but literals.
    pub fn literal(&self) -> Option<Literal> {
        match self {
            Expr::Literal(it) => Some(it.clone()),
            Expr::List(items, span) => {
                let raws: Option<Vec<String>> = items.iter().map(|it| Some(it.literal()?.raw)).collect();
                Some(Literal { raw: format!("[{}]", raws?.join(", ")), span: *span })
            }
            Expr::Map(entries, span) => {
                let raw =
                    |(key, it): &(String, Expr)| Some(format!("{} = {}", quoted(key), it.literal()?.raw));
                let raws: Option<Vec<String>> = entries.iter().map(raw).collect();
                Some(Literal { raw: format!("{{{}}}", raws?.join(", ")), span: *span })
            }
            Expr::Name(..) | Expr::Call(..) => None,
        }
    }

    pub fn span(&self) -> Span {
        match self {
            Expr::Literal(it) => it.span,
            Expr::Name(_, span) | Expr::Call(_, span, _) | Expr::List(_, span) | Expr::Map(_, span) => *span,
        }
    }
}

/// What is wrong with an argument, and where.
pub(super) struct Mistake {
    pub span: Span,
    pub message: String,
}

impl Mistake {
    pub fn new(span: Span, message: impl Into<String>) -> Mistake {
        Mistake { span, message: message.into() }
    }

    pub fn diagnostic(self, attribute: &str) -> Diagnostic {
        Diagnostic::error("attribute-syntax", format!("`#[{attribute}]`: {}", self.message)).at(self.span, "")
    }
}

/// The first bracket among the arguments that is nested too deeply.
pub(super) fn too_deep(lexed: &Lexed<'_>, range: Range) -> Option<usize> {
    let mut depth = 0;
    (range.start..range.end).find(|it| {
        match lexed.kind(*it) {
            Some(Kind::Open(_)) => depth += 1,
            Some(Kind::Close(_)) => depth -= 1,
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

/// Reads the arguments between two brackets.
pub(super) fn metas(lexed: &Lexed<'_>, range: Range) -> Result<Vec<Meta>, Mistake> {
    pieces(lexed, range).into_iter().map(|it| meta(lexed, it)).collect()
}

/// The pieces between commas; `<` is no bracket here.
pub(super) fn pieces(lexed: &Lexed<'_>, range: Range) -> Vec<Range> {
    let mut pieces = Vec::new();
    let (mut start, mut index) = (range.start, range.start);
    while index < range.end {
        if lexed.is_punct(index, b',') {
            pieces.push(Range::new(start, index));
            start = index + 1;
        }
        index = lexed.skip(index);
    }
    if start < range.end {
        pieces.push(Range::new(start, range.end));
    }
    pieces
}

fn meta(lexed: &Lexed<'_>, range: Range) -> Result<Meta, Mistake> {
    let span = lexed.span(range);
    if range.start == range.end {
        return Err(Mistake::new(span, "something is missing between two commas"));
    }
    let name = lexed
        .ident(range.start)
        .map(|it| (plain(it).to_owned(), lexed.span(Range::new(range.start, range.start + 1))));
    let Some(name) = name else {
        return Ok(Meta { name: None, body: Body::Is(expr(lexed, range)?), span });
    };
    let next = range.start + 1;
    if next == range.end {
        return Ok(Meta { name: Some(name), body: Body::Flag, span });
    }
    if lexed.is_punct(next, b'=') {
        let body = Body::Is(expr(lexed, Range::new(next + 1, range.end))?);
        return Ok(Meta { name: Some(name), body, span });
    }
    match lexed.group(next, b'(') {
        Some(close) if close + 1 == range.end => {
            let body = Body::Holds(metas(lexed, Range::new(next + 1, close))?);
            Ok(Meta { name: Some(name), body, span })
        }
        _ => Err(Mistake::new(
            lexed.span(Range::new(next, next + 1)),
            format!("expected `=`, `(` or `,` behind `{}`", name.0),
        )),
    }
}

/// Reads one value.
pub(super) fn expr(lexed: &Lexed<'_>, range: Range) -> Result<Expr, Mistake> {
    let span = lexed.span(range);
    let start = range.start;
    if range.start >= range.end {
        return Err(Mistake::new(span, "a value is missing"));
    }
    let whole = |close: usize| close + 1 == range.end;
    if let Some(close) = lexed.group(start, b'[').filter(|it| whole(*it)) {
        let items = pieces(lexed, Range::new(start + 1, close));
        let items: Result<Vec<Expr>, Mistake> = items.into_iter().map(|it| expr(lexed, it)).collect();
        return items.map(|items| Expr::List(items, span));
    }
    if let Some(close) = lexed.group(start, b'{').filter(|it| whole(*it)) {
        return map(lexed, Range::new(start + 1, close), span);
    }
    let name = lexed.ident(start).filter(|it| !matches!(*it, "true" | "false" | "null"));
    if let Some(name) = name {
        let name = plain(name).to_owned();
        if start + 1 == range.end {
            return Ok(Expr::Name(name, span));
        }
        if let Some(close) = lexed.group(start + 1, b'(').filter(|it| whole(*it)) {
            let inner = expr(lexed, Range::new(start + 2, close))?;
            return Ok(Expr::Call(name, span, Box::new(inner)));
        }
        return Err(Mistake::new(span, "expected a value, a name, `value(..)` or `source(..)`"));
    }
    literal(lexed, range).map(Expr::Literal)
}

fn map(lexed: &Lexed<'_>, range: Range, span: Span) -> Result<Expr, Mistake> {
    let mut entries: Vec<(String, Expr)> = Vec::new();
    for piece in pieces(lexed, range) {
        let key = match lexed.kind(piece.start) {
            Some(Kind::Ident) => plain(lexed.text(piece.start)).to_owned(),
            Some(Kind::Text) => text_of(lexed, piece.start)?,
            _ => return Err(Mistake::new(lexed.span(piece), "expected `name = value`")),
        };
        if !lexed.is_punct(piece.start + 1, b'=') && !lexed.is_punct(piece.start + 1, b':') {
            return Err(Mistake::new(lexed.span(piece), "expected `name = value`"));
        }
        if entries.iter().any(|it| it.0 == key) {
            return Err(Mistake::new(lexed.span(piece), format!("`{key}` stands here twice")));
        }
        entries.push((key, expr(lexed, Range::new(piece.start + 2, piece.end))?));
    }
    Ok(Expr::Map(entries, span))
}

/// A Rust literal as the text that a magic would have.
pub(super) fn literal(lexed: &Lexed<'_>, range: Range) -> Result<Literal, Mistake> {
    let span = lexed.span(range);
    let is_negative = lexed.is_punct(range.start, b'-');
    let at = if is_negative { range.start + 1 } else { range.start };
    let bad = |message: &str| Err(Mistake::new(span, message.to_owned()));
    if at + 1 != range.end {
        return bad("expected one literal: a number, a string, a list");
    }
    if let Some(word @ ("true" | "false" | "null")) = lexed.ident(at).filter(|_| !is_negative) {
        return Ok(Literal { raw: word.to_owned(), span });
    }
    let text = lexed.text(at);
    let raw = match syn::parse_str::<syn::Lit>(text) {
        Ok(syn::Lit::Str(it)) if !is_negative => quoted(&it.value()),
        Ok(syn::Lit::Char(it)) if !is_negative => quoted(&it.value().to_string()),
        Ok(syn::Lit::Int(it)) if it.suffix().is_empty() => it.token().to_string(),
        Ok(syn::Lit::Float(it)) if it.suffix().is_empty() => {
            let text = it.to_string();
            if text.ends_with('.') { format!("{text}0") } else { text }
        }
        Ok(syn::Lit::Int(_) | syn::Lit::Float(_)) => {
            return bad("a number has no suffix here: its type is that of its parameter");
        }
        _ => return bad("expected a number, a string, `true`, `false`, `null` or a list of them"),
    };
    Ok(Literal { raw: if is_negative { format!("-{raw}") } else { raw }, span })
}

/// A string as TOML writes it, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut raw = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => raw.push_str("\\\""),
            '\\' => raw.push_str("\\\\"),
            '\n' => raw.push_str("\\n"),
            '\r' => raw.push_str("\\r"),
            '\t' => raw.push_str("\\t"),
            c if c.is_control() => raw.push_str(&format!("\\u{:04X}", c as u32)),
            c => raw.push(c),
        }
    }
    raw.push('"');
    raw
}

/// The value of a string token.
pub(super) fn text_of(lexed: &Lexed<'_>, index: usize) -> Result<String, Mistake> {
    syn::parse_str::<syn::LitStr>(lexed.text(index))
        .map(|it| it.value())
        .map_err(|_| Mistake::new(lexed.span(Range::new(index, index + 1)), "expected a string"))
}

//! Signatures of the simplest form, read from the tokens as they are: `fn name(a: &T, b: Vec<U>) -> V`.
//!
//! Most functions are of this form, and building syn's tree for each costs more than all the rest of reading
//! a file. Guiding rule: what is not surely of this form is left to syn, and so is every word of criticism.

use super::super::tokens::{Lexed, Range, is_keyword};

/// A parameter by the token of its name and those of its type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub name: usize,
    pub ty: Range,
    pub optional: bool,
}

/// The parameters, and the type behind the arrow if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Simple {
    pub params: Vec<Param>,
    pub output: Option<Range>,
}

/// Types in types; deeper ones are left to syn.
const MAX_DEPTH: usize = 16;

/// Reads a signature, `fn` to the last token before the body. `None` says nothing against it.
pub(super) fn read(lexed: &Lexed<'_>, head: Range) -> Option<Simple> {
    let cursor = Cursor { lexed, end: head.end };
    if !lexed.is(head.start, "fn") {
        return None;
    }
    cursor.name(head.start + 1)?;
    let open = head.start + 2;
    let close = lexed.group(open, b'(')?;
    let inside = Cursor { lexed, end: close };
    let mut params = Vec::new();
    let mut at = open + 1;
    while at < close {
        inside.name(at)?;
        if !lexed.is_punct(at + 1, b':') || lexed.is_joint(at + 1, b':', b':') {
            return None;
        }
        let end = inside.ty(at + 2, true, 0)?;
        params.push(Param { name: at, ty: Range::new(at + 2, end), optional: inside.is_option(at + 2, end) });
        at = inside.behind_comma(end, close)?;
    }
    let arrow = close + 1;
    if arrow == head.end {
        return Some(Simple { params, output: None });
    }
    if !lexed.is_joint(arrow, b'-', b'>') {
        return None;
    }
    // What is returned by reference may be borrowed from a parameter.
    let end = cursor.ty(arrow + 2, false, 0)?;
    (end == head.end).then(|| Simple { params, output: Some(Range::new(arrow + 2, end)) })
}

/// Each method gives the index behind what it read.
struct Cursor<'a> {
    lexed: &'a Lexed<'a>,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn ident(&self, at: usize) -> Option<&'a str> {
        self.lexed.ident(at).filter(|it| at < self.end && !it.starts_with("r#"))
    }

    fn name(&self, at: usize) -> Option<usize> {
        self.ident(at).filter(|it| !is_keyword(it) && !is_reserved(it)).map(|_| at + 1)
    }

    fn behind_comma(&self, at: usize, close: usize) -> Option<usize> {
        if at == close {
            return Some(at);
        }
        self.lexed.is_punct(at, b',').then_some(at + 1)
    }

    fn ty(&self, at: usize, allow_references: bool, depth: usize) -> Option<usize> {
        let lexed = self.lexed;
        if depth == MAX_DEPTH || at >= self.end {
            return None;
        }
        if lexed.is_punct(at, b'&') {
            return if allow_references { self.ty(at + 1, true, depth + 1) } else { None };
        }
        if let Some(close) = lexed.group(at, b'[') {
            return (self.ty(at + 1, allow_references, depth + 1)? == close).then_some(close + 1);
        }
        if let Some(close) = lexed.group(at, b'(') {
            let mut items = 0;
            let mut inside = at + 1;
            while inside < close {
                inside = self.behind_comma(self.ty(inside, allow_references, depth + 1)?, close)?;
                items += 1;
            }
            // One type in brackets is no tuple.
            return (items != 1).then_some(close + 1);
        }
        self.path(at, allow_references, depth)
    }

    fn path(&self, mut at: usize, allow_references: bool, depth: usize) -> Option<usize> {
        let lexed = self.lexed;
        let is_root = |it: usize| lexed.is(it, "crate") || lexed.is(it, "super");
        let mut is_first = true;
        loop {
            // Markers of a fan-out are syn's to refuse.
            let is_marker = self.ident(at).is_some_and(|it| it == "Parallel" || it == "Collect");
            if is_marker || !((is_first && is_root(at)) || self.name(at).is_some()) {
                return None;
            }
            at += 1;
            if !lexed.is_joint(at, b':', b':') {
                break;
            }
            at += 2;
            is_first = false;
        }
        if at >= self.end || !lexed.is_punct(at, b'<') {
            return Some(at);
        }
        at += 1;
        loop {
            at = self.ty(at, allow_references, depth + 1)?;
            if lexed.is_punct(at, b',') {
                at += 1;
            } else if !lexed.is_punct(at, b'>') {
                return None;
            }
            if lexed.is_punct(at, b'>') {
                return (at < self.end).then_some(at + 1);
            }
        }
    }

    /// `Option<..>`, also written with its path.
    fn is_option(&self, start: usize, end: usize) -> bool {
        let head = (start..end).take_while(|it| !self.lexed.is_punct(*it, b'<')).last();
        let is_path = self.lexed.ident(start).is_some();
        is_path && head.is_some_and(|it| self.lexed.is(it, "Option") && it + 1 < end)
    }
}

/// Words that are kept for later, beside the keywords.
fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "abstract"
            | "become"
            | "box"
            | "do"
            | "final"
            | "gen"
            | "macro"
            | "override"
            | "priv"
            | "try"
            | "typeof"
            | "unsized"
            | "virtual"
            | "yield"
    )
}

//! One lexed file, and the small questions that its readers ask about tokens.

use super::lex::{Kind, Token};
use crate::source::{FileId, Span};

/// A file's text with its tokens.
pub(crate) struct Lexed<'a> {
    pub file: FileId,
    pub text: &'a str,
    pub tokens: Vec<Token>,
}

/// A range of token indices, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Range {
    pub start: usize,
    pub end: usize,
}

impl Range {
    pub fn new(start: usize, end: usize) -> Range {
        Range { start, end: end.max(start) }
    }
}

impl<'a> Lexed<'a> {
    pub fn kind(&self, index: usize) -> Option<Kind> {
        self.tokens.get(index).map(|it| it.kind)
    }

    pub fn text(&self, index: usize) -> &'a str {
        let token = self.tokens.get(index);
        token.and_then(|it| self.text.get(it.start as usize..it.end as usize)).unwrap_or_default()
    }

    /// The identifier at an index.
    pub fn ident(&self, index: usize) -> Option<&'a str> {
        (self.kind(index)? == Kind::Ident).then(|| self.text(index))
    }

    pub fn is(&self, index: usize, word: &str) -> bool {
        self.ident(index) == Some(word)
    }

    pub fn is_punct(&self, index: usize, byte: u8) -> bool {
        self.kind(index) == Some(Kind::Punct(byte))
    }

    /// Two punctuation characters without a gap.
    pub fn is_joint(&self, index: usize, first: u8, second: u8) -> bool {
        self.is_punct(index, first)
            && self.tokens.get(index).is_some_and(|it| it.joint)
            && self.is_punct(index + 1, second)
    }

    /// The index of the closing partner if a bracket of this kind opens here.
    pub fn group(&self, index: usize, open: u8) -> Option<usize> {
        (self.kind(index)? == Kind::Open(open)).then(|| self.tokens[index].pair as usize)
    }

    /// The index behind a token, or behind its whole group if it opens one.
    pub fn skip(&self, index: usize) -> usize {
        match self.kind(index) {
            Some(Kind::Open(_)) => self.tokens[index].pair as usize + 1,
            _ => index + 1,
        }
    }

    /// The place of a range of tokens; of an empty one the place where it would stand.
    pub fn span(&self, range: Range) -> Span {
        let at = |index: usize| self.tokens.get(index);
        let last = self.tokens.last().map_or(0, |it| it.end);
        if range.start >= range.end {
            let start = range.start.checked_sub(1).and_then(at).map_or(0, |it| it.end);
            return Span { file: self.file, start, end: start };
        }
        Span {
            file: self.file,
            start: at(range.start).map_or(last, |it| it.start),
            end: at(range.end - 1).map_or(last, |it| it.end),
        }
    }

    /// The pieces of a range between its commas; commas inside brackets and `<…>` do not count.
    pub fn split_at_commas(&self, range: Range) -> Vec<Range> {
        let mut pieces = Vec::new();
        let (mut start, mut index, mut angles) = (range.start, range.start, 0usize);
        while index < range.end {
            match self.kind(index) {
                Some(Kind::Punct(b'<')) => angles += 1,
                Some(Kind::Punct(b'>')) if !self.is_arrow(index) => angles = angles.saturating_sub(1),
                Some(Kind::Punct(b',')) if angles == 0 => {
                    pieces.push(Range::new(start, index));
                    start = index + 1;
                }
                _ => {}
            }
            index = self.skip(index);
        }
        if start < range.end {
            pieces.push(Range::new(start, range.end));
        }
        pieces
    }

    /// Whether the `>` at an index is the end of `->` or `=>`.
    pub fn is_arrow(&self, index: usize) -> bool {
        index.checked_sub(1).is_some_and(|it| self.is_joint(it, b'-', b'>') || self.is_joint(it, b'=', b'>'))
    }

    /// The tokens with the spacing that rustfmt would give a type: what people read.
    pub fn spaced(&self, range: Range) -> String {
        let mut text = String::new();
        let mut previous: Option<Kind> = None;
        for index in range.start..range.end {
            let Some(kind) = self.kind(index) else { break };
            if matches!(kind, Kind::DocOuter | Kind::DocInner) {
                continue;
            }
            let closes = |it: usize| match self.kind(it) {
                Some(Kind::Close(_)) => true,
                Some(Kind::Punct(b'>')) => !self.is_arrow(it),
                _ => false,
            };
            // A trailing comma is dropped unless it makes a tuple of one.
            let single = self.kind(index + 1) == Some(Kind::Close(b')'))
                && self.split_at_commas(Range::new(self.tokens[index + 1].pair as usize + 1, index)).len()
                    == 1;
            if kind == Kind::Punct(b',') && closes(index + 1) && !single && index + 1 < range.end {
                continue;
            }
            let word = |it: Kind| matches!(it, Kind::Ident | Kind::Lifetime | Kind::Literal | Kind::Text);
            let gap = match (previous, kind) {
                (None, _) => false,
                (Some(a), b) if word(a) && word(b) => true,
                (Some(Kind::Punct(b',' | b';' | b'+')), _) => !matches!(kind, Kind::Close(_)),
                (Some(_), Kind::Punct(b'+')) => true,
                (Some(Kind::Punct(b'=')), _) => !self.is_punct(index, b'>'),
                (Some(_), Kind::Punct(b'=')) => true,
                (Some(_), Kind::Punct(b'-')) => self.is_joint(index, b'-', b'>'),
                (Some(Kind::Punct(b'>')), _) => word(kind) || self.is_arrow(index - 1),
                (Some(Kind::Punct(b':')), _) => {
                    let in_path = index >= 2 && self.is_joint(index - 2, b':', b':');
                    !self.is_punct(index, b':') && !in_path
                }
                (Some(Kind::Lifetime), Kind::Open(_)) => true,
                (Some(Kind::Ident), Kind::Punct(b'&')) => true,
                (Some(Kind::Ident), Kind::Open(b'[')) => true,
                (Some(Kind::Ident), Kind::Open(b'(')) => {
                    self.is(index - 1, "dyn") || self.is(index - 1, "impl")
                }
                _ => false,
            };
            if gap {
                text.push(' ');
            }
            text.push_str(self.text(index));
            previous = Some(kind);
        }
        text
    }
}

/// A name without `r#`.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Words that no item can be named by.
pub(crate) fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "as" | "async"
            | "await"
            | "break"
            | "const"
            | "continue"
            | "crate"
            | "dyn"
            | "else"
            | "enum"
            | "extern"
            | "false"
            | "fn"
            | "for"
            | "if"
            | "impl"
            | "in"
            | "let"
            | "loop"
            | "match"
            | "mod"
            | "move"
            | "mut"
            | "pub"
            | "ref"
            | "return"
            | "self"
            | "Self"
            | "static"
            | "struct"
            | "super"
            | "trait"
            | "true"
            | "type"
            | "unsafe"
            | "use"
            | "where"
            | "while"
            | "_"
    )
}

/// Types that are always in scope, and which a parameter may shadow without meaning to.
pub(crate) fn is_primitive(word: &str) -> bool {
    matches!(
        word,
        "bool"
            | "char"
            | "str"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "i128"
            | "isize"
            | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "u128"
            | "usize"
            | "f16"
            | "f32"
            | "f64"
            | "f128"
    )
}

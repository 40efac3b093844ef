//! The type key: a hash of everything in the files that could change the layout or meaning of a type.
//!
//! Values survive a reload only if the types that they were made with are the same, and TypeId is blind to
//! much: a changed field, an alias, an array's length from a const, a trait that gained a method. What is
//! *not* hashed is therefore the short list: bodies of plain functions. A body counts as well if it is
//! `const`, holds items, or calls macros that could expand to items; if the function's type shows it (an
//! `impl Trait` in its signature); or if an attribute of another crate could read it.
//!
//! Guiding rule: a value dropped needlessly is computed again; one kept wrongly is memory misread.

use blake3::Hasher;

use super::facts::{Known, has_strange_attribute, holds_item_macros, holds_items};
use super::items::{Item, ItemKind, Level};
use super::lex::Kind;
use super::tokens::{Lexed, Range};
use super::{Included, attributes};

/// One file's part of the key, and the part that counts only if some function returns `impl Trait`.
pub(crate) struct Part {
    digest: blake3::Hash,
    futures: blake3::Hash,
    has_impl_trait: bool,
    has_includes: bool,
}

/// Hashes one file.
pub(crate) fn part(lexed: &Lexed<'_>, level: &Level, module: &[String], known: &Known) -> Part {
    let mut hasher = Typed {
        lexed,
        known,
        encoding: Vec::new(),
        futures: Vec::new(),
        has_impl_trait: false,
        has_includes: false,
    };
    for segment in module {
        hasher.bytes(b'm', segment.as_bytes());
    }
    hasher.level(&level.items, Range::new(0, lexed.tokens.len()));
    Part {
        digest: blake3::hash(&hasher.encoding),
        futures: blake3::hash(&hasher.futures),
        has_impl_trait: hasher.has_impl_trait,
        has_includes: hasher.has_includes,
    }
}

/// The key of all files together.
pub(crate) fn key<'a>(parts: impl Iterator<Item = &'a Part> + Clone, included: &Included) -> String {
    let mut hasher = Hasher::new();
    hasher.update(b"brooklet type key 1");
    // The type of an `impl Trait` may hold the future of any async function, whose layout is its body's.
    let futures = parts.clone().any(|it| it.has_impl_trait);
    for part in parts.clone() {
        hasher.update(part.digest.as_bytes());
        if futures {
            hasher.update(part.futures.as_bytes());
        }
    }
    if parts.clone().any(|it| it.has_includes) {
        for (path, contents) in included.iter().filter(|it| it.0.ends_with(".rs")) {
            hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
            hasher.update(blake3::hash(contents).as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

struct Typed<'a> {
    lexed: &'a Lexed<'a>,
    known: &'a Known,
    /// What is hashed: gathered first, because a hasher is slow with small pieces.
    encoding: Vec<u8>,
    futures: Vec<u8>,
    has_impl_trait: bool,
    has_includes: bool,
}

impl Typed<'_> {
    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.encoding.push(kind);
        self.encoding.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.encoding.extend_from_slice(bytes);
    }

    /// All tokens of a range, docs only where something may read them.
    fn tokens(&mut self, range: Range, keep_docs: bool) {
        self.tokens_of(range, keep_docs, false);
    }

    /// As `tokens`; `of_node` for the head of a function, where our attributes are no code.
    fn tokens_of(&mut self, range: Range, keep_docs: bool, of_node: bool) {
        let mut index = range.start;
        while index < range.end {
            let doc = match self.lexed.kind(index) {
                Some(Kind::DocOuter | Kind::DocInner) => Some(index + 1),
                Some(Kind::Punct(b'#')) if self.lexed.is(index + 2, "doc") => {
                    self.lexed.group(index + 1, b'[').map(|it| it + 1)
                }
                _ => None,
            };
            let own = || attributes::own_at(self.lexed, index).filter(|_| of_node);
            match doc.filter(|_| !keep_docs).or_else(own) {
                Some(end) => index = end,
                None => {
                    let text = self.lexed.text(index);
                    self.bytes(b't', text.as_bytes());
                    let include = text == "include" && self.lexed.is_punct(index + 1, b'!');
                    self.has_includes |= include;
                    index += 1;
                }
            }
        }
    }

    /// Items with whatever stands between them.
    fn level(&mut self, items: &[Item], range: Range) {
        let mut read = range.start;
        for item in items {
            self.tokens(Range::new(read, item.range.start), false);
            self.item(item);
            read = item.range.end;
        }
        self.tokens(Range::new(read, range.end), false);
    }

    fn item(&mut self, item: &Item) {
        if attributes::is_test(self.lexed, item) {
            return;
        }
        let strange = has_strange_attribute(self.lexed, item);
        let Some((open, close)) = item.body else {
            self.has_includes |= item.kind == ItemKind::Mod;
            return self.tokens(item.range, strange);
        };
        match item.kind {
            ItemKind::Fn if !strange => {
                self.tokens_of(Range::new(item.range.start, open), false, true);
                let body = Range::new(open + 1, close);
                let head = Range::new(item.head, open);
                let word =
                    |range: Range, word: &str| (range.start..range.end).any(|it| self.lexed.is(it, word));
                let returns_impl = word(head, "impl");
                let counts = returns_impl
                    || word(head, "const")
                    || holds_items(self.lexed, body)
                    || holds_item_macros(self.lexed, body, self.known);
                let is_async = word(head, "async");
                self.has_impl_trait |= returns_impl;
                if counts {
                    self.tokens(Range::new(open, item.range.end), true);
                } else if is_async {
                    std::mem::swap(&mut self.encoding, &mut self.futures);
                    self.tokens(Range::new(open, item.range.end), true);
                    std::mem::swap(&mut self.encoding, &mut self.futures);
                }
            }
            ItemKind::Mod | ItemKind::Impl | ItemKind::Trait if !strange => {
                self.tokens(Range::new(item.range.start, open + 1), false);
                self.level(&item.items, Range::new(open + 1, close));
                self.tokens(Range::new(close, item.range.end), false);
            }
            ItemKind::MacroRules | ItemKind::MacroCall => self.tokens(item.range, true),
            _ => self.tokens(item.range, strange),
        }
    }
}

#[cfg(test)]
mod tests;

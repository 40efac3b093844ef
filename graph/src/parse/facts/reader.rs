//! Feeds tokens into a digest and gathers what they mention, in one pass over them.
//!
//! A digest must be the same for code that means the same (layout, comments, trailing commas, names of
//! parameters) and must differ for all other code. So everything is written with its kind and its length,
//! and what is left out or renumbered is only what surely means nothing where it stands.

use super::{
    Ambient, Digest, Fact, How, Include, Known, Role, Title, captures, holds_items, is_colon, string_value,
};
use crate::parse::attributes::own_at;
use crate::parse::items::Item;
use crate::parse::lex::Kind;
use crate::parse::tokens::{Lexed, Range, is_keyword, is_primitive, plain};

/// A name that a parameter binds, as written, with the number that replaces it, if one does.
type Param<'a> = (&'a str, Option<usize>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    /// Inside the arguments of a macro that evaluates them in place.
    KnownMacro,
    /// Inside the arguments of a macro that could do anything with them.
    UnknownMacro,
}

/// Feeds tokens into a hash and gathers what they mention.
pub(super) struct Reader<'a, 'b> {
    lexed: &'b Lexed<'a>,
    known: &'b Known,
    /// What is hashed: gathered first, because a hasher is slow with small pieces.
    encoding: Vec<u8>,
    mentions: Vec<(&'a str, How)>,
    pub includes: Vec<Include>,
    pub global: bool,
    keep_docs: bool,
    /// What is mentioned is known already.
    pub is_digest_only: bool,
}

impl<'a, 'b> Reader<'a, 'b> {
    pub fn new(lexed: &'b Lexed<'a>, known: &'b Known, keep_docs: bool) -> Reader<'a, 'b> {
        Reader {
            lexed,
            known,
            encoding: Vec::with_capacity(1024),
            mentions: Vec::new(),
            includes: Vec::new(),
            global: false,
            keep_docs,
            is_digest_only: false,
        }
    }

    /// The digest of all that was read.
    pub fn digest(&self) -> Digest {
        *blake3::hash(&self.encoding).as_bytes()
    }

    pub fn fact(mut self, names: Vec<(&'a str, Role)>, scope: Option<usize>) -> Fact<&'a str> {
        self.mentions.sort_unstable();
        self.mentions.dedup();
        let digest = self.digest();
        Fact {
            names,
            is_trait: false,
            is_module: false,
            mentions: self.mentions,
            digest,
            scope,
            ambient: Ambient::No,
            global: self.global,
            includes: self.includes,
            node: None,
            name_start: 0,
            title: Title::default(),
        }
    }

    /// Every piece is written with its kind and length, so that no two sequences of pieces look the same.
    fn piece(&mut self, kind: u8, bytes: &[u8]) {
        self.encoding.push(kind);
        self.encoding.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.encoding.extend_from_slice(bytes);
    }

    pub fn frame(&mut self, name: &[u8]) {
        self.piece(b'F', name);
    }

    /// Where an item stands: the names in it are resolved from there.
    pub fn path(&mut self, path: &[String]) {
        self.piece(b'F', b"path");
        for segment in path {
            self.word(segment);
        }
    }

    pub fn word(&mut self, word: &str) {
        self.piece(b'i', word.as_bytes());
    }

    pub fn mention(&mut self, word: &'a str, how: How) {
        let word = plain(word);
        if !self.is_digest_only && !is_keyword(word) {
            self.mentions.push((word, how));
        }
    }

    /// A function: as a node its name is left out and its parameters are numbered.
    pub fn function(&mut self, item: &Item, as_node: bool) {
        let lexed = self.lexed;
        let (open, close) = item.body.unwrap_or((item.range.end, item.range.end.saturating_sub(1)));
        let head_end = open.min(item.range.end);
        let group = (item.head..head_end).find(|it| {
            let behind_generics = self.balanced(item.head, *it);
            behind_generics && lexed.kind(*it) == Some(Kind::Open(b'('))
        });
        let pieces = group.and_then(|it| lexed.group(it, b'(').map(|end| Range::new(it + 1, end)));
        // A comma behind the last parameter means nothing.
        let behind_comma = pieces.map(|it| it.end).filter(|it| lexed.is_punct(it - 1, b','));
        let pieces = pieces.map_or_else(Vec::new, |it| lexed.split_at_commas(it));
        let body = Range::new(open.min(item.range.end), item.range.end);
        let holds_items = holds_items(lexed, Range::new(open + 1, close));
        // Names bound by the parameters, and the token at which each is bound.
        let mut bound: Vec<(&str, usize)> = Vec::new();
        for piece in &pieces {
            let colon = (piece.start..piece.end).find(|it| is_colon(lexed, *it)).unwrap_or(piece.end);
            let words =
                (piece.start..colon).filter(|it| lexed.ident(*it).is_some_and(|word| !is_keyword(word)));
            bound.extend(words.map(|it| (lexed.text(it), it)));
        }
        let number = |(position, (name, _)): (usize, &(&'a str, usize))| {
            let safe = as_node && !holds_items && !is_primitive(name) && self.can_be_numbered(name, body);
            (*name, safe.then_some(position))
        };
        let mut params: Vec<(&str, Option<usize>)> = bound.iter().enumerate().map(number).collect();
        let mut index = item.range.start;
        while index < head_end {
            if let Some(end) = self.doc_attribute(index).filter(|_| !self.keep_docs) {
                index = end;
                continue;
            }
            // What ours say is in the graph: a default that changes is another value, not another code.
            if let Some(end) = own_at(lexed, index) {
                index = end;
                continue;
            }
            let binding = bound.iter().position(|it| it.1 == index).and_then(|it| params[it].1);
            if let Some(number) = binding {
                self.piece(b'p', &(number as u32).to_le_bytes());
            } else if as_node && Some(index) == item.name {
                self.piece(b'n', b"");
            } else if Some(index) == item.name || bound.iter().any(|it| it.1 == index) {
                self.word(lexed.text(index));
            } else if !self.is_trailing_comma(index) && Some(index + 1) != behind_comma {
                self.token(index, &[], Place::Code);
            }
            index += 1;
        }
        if holds_items {
            // Parameters are not in scope inside nested items, so their names may mean anything.
            params.clear();
            let words = |word: &str| (open..close).any(|it| lexed.is(it, word));
            // An impl counts wherever it stands.
            self.global |= words("impl") || words("macro_export");
        }
        self.read_with(body, &params);
    }

    /// Whether no `<` is open between two tokens.
    fn balanced(&self, start: usize, end: usize) -> bool {
        let mut angles = 0i32;
        for index in start..end {
            match self.lexed.kind(index) {
                Some(Kind::Punct(b'<')) => angles += 1,
                Some(Kind::Punct(b'>')) if !self.lexed.is_arrow(index) => angles -= 1,
                _ => {}
            }
        }
        angles == 0
    }

    /// The index behind a doc comment or `#[doc ..]` that begins here.
    fn doc_attribute(&self, index: usize) -> Option<usize> {
        match self.lexed.kind(index)? {
            Kind::DocOuter | Kind::DocInner => Some(index + 1),
            Kind::Punct(b'#') => {
                let open = if self.lexed.is_punct(index + 1, b'!') { index + 2 } else { index + 1 };
                let close = self.lexed.group(open, b'[')?;
                self.lexed.is(open + 1, "doc").then_some(close + 1)
            }
            _ => None,
        }
    }

    /// A parameter may be numbered if every place of its name in the body surely is the variable, or surely is
    /// not. Where that is unclear the name itself counts, and renaming costs one rerun.
    fn can_be_numbered(&self, name: &str, body: Range) -> bool {
        let lexed = self.lexed;
        let body_open = body.start;
        let mut index = body.start;
        let mut unknown_until = 0;
        while index < body.end {
            if let Some((end, false)) = self.macro_arguments(index) {
                unknown_until = unknown_until.max(end);
            }
            match lexed.kind(index) {
                Some(Kind::Ident) if plain(lexed.text(index)) == plain(name) => {
                    let previous = index.checked_sub(1).and_then(|it| lexed.kind(it));
                    let next = lexed.kind(index + 1);
                    let begins = matches!(previous, Some(Kind::Open(b'{') | Kind::Punct(b',')));
                    let ends = matches!(next, Some(Kind::Close(b'}') | Kind::Punct(b',')));
                    // `S { name }`, but not the body `{ name }` itself.
                    let shorthand = begins && ends && self.in_braces(index, body_open);
                    if shorthand || is_colon(lexed, index + 1) || index < unknown_until {
                        return false;
                    }
                }
                Some(Kind::Text) if captures(lexed.text(index)).any(|it| it == plain(name)) => return false,
                _ => {}
            }
            index += 1;
        }
        true
    }

    /// Whether the innermost bracket around a token is a brace other than the body's own with nothing else
    /// in it that a struct could hold.
    fn in_braces(&self, index: usize, body_open: usize) -> bool {
        let mut at = index;
        while at > body_open {
            at -= 1;
            match self.lexed.kind(at) {
                Some(Kind::Close(_)) => at = self.lexed.tokens[at].pair as usize,
                Some(Kind::Open(b'{')) => return at != body_open,
                Some(Kind::Open(_)) => return false,
                _ => {}
            }
        }
        false
    }

    /// If a macro is named here: the index behind its arguments, and whether it is a known one.
    fn macro_arguments(&self, index: usize) -> Option<(usize, bool)> {
        if !self.lexed.is_punct(index + 1, b'!') || self.lexed.is_joint(index + 1, b'!', b'=') {
            return None;
        }
        let name = self.lexed.ident(index)?;
        let open = if self.lexed.ident(index + 2).is_some() { index + 3 } else { index + 2 };
        match self.lexed.kind(open) {
            Some(Kind::Open(_)) => {
                Some((self.lexed.tokens[open].pair as usize + 1, self.known.macro_is_known(name)))
            }
            _ => None,
        }
    }

    pub fn read(&mut self, range: Range) {
        self.read_with(range, &[]);
    }

    fn read_with(&mut self, range: Range, params: &[Param<'_>]) {
        let mut index = range.start;
        let mut unknown_until = 0;
        let mut known_until = 0;
        while index < range.end {
            match self.macro_arguments(index) {
                Some((end, true)) => known_until = known_until.max(end),
                Some((end, false)) => unknown_until = unknown_until.max(end),
                None => {}
            }
            let place = if index < unknown_until {
                Place::UnknownMacro
            } else if index < known_until {
                Place::KnownMacro
            } else {
                Place::Code
            };
            let keeps = self.keep_docs || place == Place::UnknownMacro;
            if let Some(end) = self.doc_attribute(index).filter(|_| !keeps) {
                index = end;
                continue;
            }
            if place != Place::Code || !self.is_trailing_comma(index) {
                self.token(index, params, place);
            }
            index += 1;
        }
    }

    /// A comma before a closing bracket, where it means nothing: rustfmt adds and removes it.
    fn is_trailing_comma(&self, index: usize) -> bool {
        if !self.lexed.is_punct(index, b',') {
            return false;
        }
        match self.lexed.kind(index + 1) {
            Some(Kind::Close(b']' | b'}')) => true,
            Some(Kind::Close(b')')) => {
                let open = self.lexed.tokens[index + 1].pair as usize;
                // `f(a,)` is a call; `(a,)` is a tuple of one.
                let called = open >= 1 && self.lexed.ident(open - 1).is_some_and(|it| !is_keyword(it));
                called || self.lexed.split_at_commas(Range::new(open + 1, index)).len() > 1
            }
            _ => false,
        }
    }

    fn token(&mut self, index: usize, params: &[Param<'_>], place: Place) {
        let lexed = self.lexed;
        let Some(token) = lexed.tokens.get(index).copied() else { return };
        let text = lexed.text(index);
        match token.kind {
            Kind::Ident => self.ident(index, text, params, place),
            Kind::Lifetime => self.piece(b'l', text.as_bytes()),
            Kind::Text => {
                self.piece(b's', text.as_bytes());
                for name in captures(text) {
                    let parameter = params.iter().any(|it| plain(it.0) == name);
                    let how = if parameter && place == Place::KnownMacro { How::Parameter } else { How::Any };
                    self.mention(name, how);
                }
            }
            Kind::Literal => self.piece(b's', text.as_bytes()),
            Kind::Punct(byte) => {
                let next = match lexed.kind(index + 1) {
                    Some(Kind::Punct(next)) if token.joint => next,
                    _ => 0,
                };
                // Only where two characters make one operator does the gap between them mean anything.
                let joined = matches!(
                    (byte, next),
                    (b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'&' | b'|', b'=')
                        | (b'=' | b'-', b'>')
                        | (b'&', b'&')
                        | (b'|', b'|')
                        | (b'<', b'<' | b'-')
                        | (b'>', b'>')
                        | (b'.', b'.')
                        | (b':', b':')
                );
                self.piece(if joined { b'j' } else { b'c' }, &[byte]);
            }
            Kind::Open(byte) | Kind::Close(byte) => self.piece(b'b', &[byte]),
            Kind::DocOuter | Kind::DocInner => self.piece(b'd', text.as_bytes()),
        }
    }

    fn ident(&mut self, index: usize, text: &'a str, params: &[Param<'_>], place: Place) {
        let lexed = self.lexed;
        let behind = |first, second| index >= 2 && lexed.is_joint(index - 2, first, second);
        let member = index >= 1 && lexed.is_punct(index - 1, b'.') && !behind(b'.', b'.');
        let in_path = behind(b':', b':') || lexed.is_joint(index + 1, b':', b':');
        let is_macro = self.macro_arguments(index).is_some();
        if is_macro {
            self.positional(index, text);
            self.included(index, text);
        }
        let unknown = place == Place::UnknownMacro;
        let param = params.iter().find(|it| plain(it.0) == plain(text));
        match param {
            Some((_, number)) if !member && !in_path && !is_macro => {
                match number {
                    Some(number) if !unknown => self.piece(b'p', &(*number as u32).to_le_bytes()),
                    _ => self.word(text),
                }
                self.mention(text, if unknown { How::Any } else { How::Parameter });
            }
            _ => {
                self.word(text);
                // A name before a single `:` is a field or a new variable: no item stands there.
                if unknown || !is_colon(lexed, index + 1) {
                    self.mention(text, if member { How::Member } else { How::Any });
                }
            }
        }
    }

    /// `line!()` and its kin give another value when the code moves.
    fn positional(&mut self, index: usize, name: &str) {
        if matches!(name, "line" | "column" | "file" | "module_path") {
            let start = self.lexed.tokens[index].start as usize;
            let before = self.lexed.text.get(..start).unwrap_or_default();
            let line = before.bytes().filter(|it| *it == b'\n').count() as u32;
            let column = start - before.rfind('\n').map_or(0, |it| it + 1);
            self.piece(b'@', &line.to_le_bytes());
            self.piece(b'@', &(column as u32).to_le_bytes());
        }
    }

    fn included(&mut self, index: usize, name: &str) {
        if !matches!(name, "include" | "include_str" | "include_bytes") {
            return;
        }
        let literal = string_value(self.lexed.text(index + 3));
        let alone = matches!(self.lexed.kind(index + 4), Some(Kind::Close(_)) | Some(Kind::Punct(b',')));
        self.includes.push(match literal.filter(|_| alone) {
            Some(path) => Include::Paths(vec![path]),
            None => Include::Unknown,
        });
    }
}

//! Rust's tokens as plain data: kind, place, and for brackets the partner.
//!
//! proc-macro2's tokens are trees bound to one thread, and asking each for its byte range costs more than
//! lexing it. Fingerprints need every token of every file at every save, on all threads, so the files are
//! cut here; only signatures and cells go on to syn. A test compares the two lexers.

use super::nesting::MAX_DEPTH;

/// One token: bytes `start..end` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
    /// For brackets the index of the partner, else 0.
    pub pair: u32,
    /// For punctuation: another punctuation character follows at once.
    pub joint: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Also keywords and `r#raw`.
    Ident,
    Lifetime,
    /// A string that `format!` could take: plain or raw.
    Text,
    /// Every other literal.
    Literal,
    Punct(u8),
    Open(u8),
    Close(u8),
    /// `///` or `/** */`.
    DocOuter,
    /// `//!` or `/*! */`.
    DocInner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    pub start: usize,
    pub end: usize,
    pub message: String,
    /// More text could mend it: something is open at the end.
    pub open: bool,
    /// How many brackets were open.
    pub depth: usize,
}

/// Cuts a text into tokens.
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, LexError> {
    Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        tokens: Vec::with_capacity(text.len() / 4),
        open: Vec::new(),
    }
    .run()
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    open: Vec<u32>,
}

fn is_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_continue(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>, LexError> {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        while let Some(byte) = self.peek(0) {
            self.token(byte)?;
        }
        if let Some(open) = self.open.last() {
            let open = self.tokens[*open as usize];
            return Err(self.error(
                open.start as usize,
                open.end as usize,
                "this bracket is never closed".to_owned(),
            ));
        }
        Ok(self.tokens)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    /// The character at an offset from here; `None` at the end or inside a character.
    fn char_at(&self, at: usize) -> Option<char> {
        self.text.get(at..).and_then(|it| it.chars().next())
    }

    fn error(&self, start: usize, end: usize, message: String) -> LexError {
        let open = message.contains("never");
        LexError { start, end: end.min(self.text.len()), message, open, depth: self.open.len() }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32, pair: 0, joint: false });
    }

    fn token(&mut self, byte: u8) -> Result<(), LexError> {
        let start = self.at;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
            b'/' if self.peek(1) == Some(b'/') => self.line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.block_comment()?,
            b'(' | b'[' | b'{' => {
                // Nothing that recurses over tokens may exhaust its stack.
                if self.open.len() >= MAX_DEPTH {
                    return Err(self.error(start, start + 1, "brackets are nested too deeply".to_owned()));
                }
                self.at += 1;
                self.open.push(self.tokens.len() as u32);
                self.push(Kind::Open(byte), start);
            }
            b')' | b']' | b'}' => self.close(byte)?,
            b'"' => {
                self.at += 1;
                self.string(start)?;
                self.push(Kind::Text, start);
            }
            b'\'' => self.quote()?,
            b'0'..=b'9' => self.number(),
            b'~' | b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'-' | b'=' | b'+' | b'|'
            | b';' | b':' | b',' | b'<' | b'.' | b'>' | b'/' | b'?' => {
                self.at += 1;
                self.push(Kind::Punct(byte), start);
                let joint = match self.peek(0) {
                    Some(b'/') => !matches!(self.peek(1), Some(b'/' | b'*')),
                    Some(next) => b"~!@#$%^&*-=+|;:,<.>?".contains(&next),
                    None => false,
                };
                if let Some(last) = self.tokens.last_mut() {
                    last.joint = joint;
                }
            }
            _ => self.word()?,
        }
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<(), LexError> {
        let start = self.at;
        let Some(open) = self.open.pop() else {
            return Err(self.error(
                start,
                start + 1,
                "nothing is open that this bracket could close".to_owned(),
            ));
        };
        let opened = self.tokens[open as usize];
        let fits = matches!(
            (opened.kind, byte),
            (Kind::Open(b'('), b')') | (Kind::Open(b'['), b']') | (Kind::Open(b'{'), b'}')
        );
        if !fits {
            let message = format!(
                "this `{}` is closed by `{}`",
                self.text.get(opened.start as usize..opened.end as usize).unwrap_or_default(),
                byte as char
            );
            return Err(self.error(opened.start as usize, opened.end as usize, message));
        }
        self.at += 1;
        let index = self.tokens.len() as u32;
        self.push(Kind::Close(byte), start);
        self.tokens[open as usize].pair = index;
        self.tokens[index as usize].pair = open;
        Ok(())
    }

    fn line_comment(&mut self) {
        let start = self.at;
        let rest = &self.bytes[start..];
        self.at += rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len());
        if rest.starts_with(b"//!") {
            self.push(Kind::DocInner, start);
        } else if rest.starts_with(b"///") && !rest.starts_with(b"////") {
            self.push(Kind::DocOuter, start);
        }
    }

    fn block_comment(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => {
                    return Err(self.error(start, start + 2, "this comment never ends".to_owned()));
                }
            }
        }
        let comment = &self.bytes[start..self.at];
        if comment.starts_with(b"/*!") {
            self.push(Kind::DocInner, start);
        } else if comment.starts_with(b"/**") && !comment.starts_with(b"/***") && comment.len() > 4 {
            self.push(Kind::DocOuter, start);
        }
        Ok(())
    }

    /// The rest of a string after its opening quote, with escapes.
    fn string(&mut self, start: usize) -> Result<(), LexError> {
        loop {
            match self.peek(0) {
                Some(b'\\') => self.at += 2,
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(_) => self.at += 1,
                None => return Err(self.error(start, start + 1, "this string never ends".to_owned())),
            }
        }
        self.suffix();
        Ok(())
    }

    /// The rest of a raw string, at its first `#` or quote.
    fn raw_string(&mut self, start: usize) -> Result<(), LexError> {
        let hashes = self.bytes[self.at..].iter().take_while(|it| **it == b'#').count();
        self.at += hashes + 1;
        loop {
            match self.peek(0) {
                Some(b'"') => {
                    let rest = &self.bytes[self.at + 1..];
                    self.at += 1;
                    if rest.len() >= hashes && rest[..hashes].iter().all(|it| *it == b'#') {
                        self.at += hashes;
                        break;
                    }
                }
                Some(_) => self.at += 1,
                None => return Err(self.error(start, start + 1, "this string never ends".to_owned())),
            }
        }
        self.suffix();
        Ok(())
    }

    fn suffix(&mut self) {
        if self.char_at(self.at).is_some_and(is_start) {
            self.continue_word();
        }
    }

    fn continue_word(&mut self) {
        while let Some(c) = self.char_at(self.at).filter(|it| is_continue(*it)) {
            self.at += c.len_utf8();
        }
    }

    /// A lifetime or a character.
    fn quote(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let Some(first) = self.char_at(start + 1) else {
            return Err(self.error(start, start + 1, "this quote has no partner".to_owned()));
        };
        let after = start + 1 + first.len_utf8();
        if first != '\\' && self.bytes.get(after) != Some(&b'\'') && is_start(first) {
            self.at = after;
            self.continue_word();
            let raw = self.bytes[start..self.at] == *b"'r" && self.peek(0) == Some(b'#');
            if raw && self.char_at(self.at + 1).is_some_and(is_start) {
                self.at += 1;
                self.continue_word();
            }
            self.push(Kind::Lifetime, start);
            return Ok(());
        }
        self.character(start)
    }

    /// A character or byte literal; `at` stands on the opening quote.
    fn character(&mut self, start: usize) -> Result<(), LexError> {
        self.at += 1;
        if self.peek(0) == Some(b'\\') {
            self.at += 2;
        }
        // The closing quote of any character that exists is near: `'\u{10ffff}'`.
        let near = self.bytes[self.at.min(self.bytes.len())..].iter().take(16);
        let closing = near.take_while(|it| **it != b'\n').enumerate().find(|(_, it)| **it == b'\'');
        let Some((offset, _)) = closing else {
            return Err(self.error(start, start + 1, "this quote has no partner".to_owned()));
        };
        // `'''` is an error that rustc explains; here it must only not be an empty step.
        self.at += offset + 1;
        if offset == 0 && self.at == start + 2 && self.peek(0) == Some(b'\'') {
            self.at += 1;
        }
        self.suffix();
        self.push(Kind::Literal, start);
        Ok(())
    }

    fn number(&mut self) {
        let start = self.at;
        let decimal = !(self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'o' | b'b')));
        self.digits(start, decimal);
        let next_is_field = |c: char| c == '.' || is_start(c);
        let whole = self.bytes[start..self.at].iter().all(|it| matches!(it, b'0'..=b'9' | b'_'));
        if self.peek(0) == Some(b'.') && whole && !self.char_at(self.at + 1).is_some_and(next_is_field) {
            self.at += 1;
            self.digits(start, decimal);
        }
        self.push(Kind::Literal, start);
    }

    fn digits(&mut self, start: usize, decimal: bool) {
        while let Some(c) = self.char_at(self.at).filter(|it| is_continue(*it)) {
            self.at += c.len_utf8();
            let exponent = decimal
                && matches!(c, 'e' | 'E')
                && matches!(self.peek(0), Some(b'+' | b'-'))
                && self.peek(1).is_some_and(|it| it.is_ascii_digit())
                && self.bytes[start..self.at - 1].iter().all(|it| matches!(it, b'0'..=b'9' | b'_' | b'.'));
            if exponent {
                self.at += 1;
            }
        }
    }

    /// An identifier, or a literal with a prefix (`b"…"`, `r#"…"#`, `c"…"`, `b'…'`).
    fn word(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let Some(first) = self.char_at(start).filter(|it| is_start(*it)) else {
            let c = self.char_at(start);
            self.at += c.map_or(1, char::len_utf8);
            if c.is_some_and(char::is_whitespace) {
                return Ok(());
            }
            let shown = c.map_or_else(|| "?".to_owned(), String::from);
            return Err(self.error(start, self.at, format!("`{shown}` begins nothing in Rust")));
        };
        self.at += first.len_utf8();
        self.continue_word();
        let word = &self.text[start..self.at];
        let raw = |it: &Lexer<'_>| {
            let hashes = it.bytes[it.at..].iter().take_while(|b| **b == b'#').count();
            it.bytes.get(it.at + hashes) == Some(&b'"')
        };
        match word {
            "r" if raw(self) => {
                self.raw_string(start)?;
                self.push(Kind::Text, start);
            }
            "br" | "cr" if raw(self) => {
                self.raw_string(start)?;
                self.push(Kind::Literal, start);
            }
            "b" | "c" if self.peek(0) == Some(b'"') => {
                self.at += 1;
                self.string(start)?;
                self.push(Kind::Literal, start);
            }
            "b" if self.peek(0) == Some(b'\'') => self.character(start)?,
            "r" if self.peek(0) == Some(b'#') && self.char_at(self.at + 1).is_some_and(is_start) => {
                self.at += 1;
                self.continue_word();
                self.push(Kind::Ident, start);
            }
            _ => self.push(Kind::Ident, start),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, TokenStream, TokenTree};
    use proptest::prelude::*;

    use super::*;

    fn texts(source: &str) -> Vec<String> {
        let tokens = lex(source).unwrap_or_else(|error| panic!("{source}: {error:?}"));
        let not_doc = |it: &&Token| !matches!(it.kind, Kind::DocOuter | Kind::DocInner);
        tokens
            .iter()
            .filter(not_doc)
            .map(|it| source[it.start as usize..it.end as usize].to_owned())
            .collect()
    }

    /// The tokens as proc-macro2 sees them; it splits a lifetime in two, so they are put together again.
    fn reference(stream: TokenStream, into: &mut Vec<String>) {
        for tree in stream {
            match tree {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    into.push(open.to_owned());
                    reference(group.stream(), into);
                    into.push(close.to_owned());
                }
                TokenTree::Ident(ident) => match into.last_mut() {
                    Some(last) if last == "'" => last.push_str(&ident.to_string()),
                    _ => into.push(ident.to_string()),
                },
                other => into.push(other.to_string()),
            }
        }
    }

    #[test]
    fn cuts_as_proc_macro2_does() {
        let source = r####"
            #![allow(x)] fn f<'a>(x: &'a str, r#type: u8) -> Vec<[u8; 3]> { 'l: loop { break 'l; } }
            const A: f64 = 1.5e-3 + 1e5 + 2. + 0x1e+1 + 1_000.0_f64 + 3.max(2) as f64; 0..=5; x.0.clone();
            let s = ("a\"b", r"c", r#"d"e"#, b"f", br#"g"#, b'h', 'i', '\'', '\u{1F600}', 'é', "ü");
            a >>= b && c || d != e..f; x /* c /* d */ */ / y // end
        "####;
        let mut expected = Vec::new();
        reference(source.parse().expect("proc-macro2 reads it"), &mut expected);
        let own: Vec<String> = texts(source);
        let expected: Vec<String> = expected.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(own, expected);
    }

    #[test]
    fn docs_are_tokens_and_comments_are_not() {
        let kinds = |text: &str| lex(text).map(|it| it.iter().map(|it| it.kind).collect::<Vec<_>>());
        assert_eq!(kinds("/// a\n//! b\n/** c */ /*! d */"), {
            Ok(vec![Kind::DocOuter, Kind::DocInner, Kind::DocOuter, Kind::DocInner])
        });
        assert_eq!(kinds("// a\n//// b\n/* c */ /**/ /*** d */"), Ok(vec![]));
    }

    #[test]
    fn says_what_is_open() {
        let message = |text: &str| lex(text).map_err(|it| (it.start, it.message)).err();
        assert_eq!(message("fn f() { ("), Some((9, "this bracket is never closed".to_owned())));
        assert_eq!(message("fn f( }"), Some((4, "this `(` is closed by `}`".to_owned())));
        assert_eq!(message("a )"), Some((2, "nothing is open that this bracket could close".to_owned())));
        assert_eq!(message("\"abc"), Some((0, "this string never ends".to_owned())));
        assert_eq!(message("x /* "), Some((2, "this comment never ends".to_owned())));
        assert_eq!(message("a ` b").map(|it| it.0), Some(2));
        assert_eq!(
            message(&"(".repeat(5000)).map(|it| it.1),
            Some("brackets are nested too deeply".to_owned())
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics_and_never_overlaps(text in "\\PC*|[a-z'\"#\\\\/*(){}\\[\\]rbc0-9.e+ \n-]{0,60}") {
            if let Ok(tokens) = lex(&text) {
                for pair in tokens.windows(2) {
                    prop_assert!(pair[0].end <= pair[1].start);
                }
                for token in &tokens {
                    prop_assert!(text.get(token.start as usize..token.end as usize).is_some());
                }
            }
        }

        /// Whatever proc-macro2 reads, we read in the same way.
        #[test]
        fn agrees_with_proc_macro2(text in "([a-z_]{1,3}|r#a|'a|'a'|b'x'|\"s\"|r#\"t\"#|1|2\\.|1\\.5|1e3|1e-3|0x1e|[-+*/=<>!&|:;,.?@$#^%~]|\\(\\)|\\{\\}| ){0,20}") {
            if let Ok(stream) = text.parse::<TokenStream>() {
                let mut expected = Vec::new();
                reference(stream, &mut expected);
                if !text.contains("//") && !text.contains("/*") {
                    prop_assert_eq!(texts(&text), expected);
                }
            }
        }
    }
}

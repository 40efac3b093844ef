//! How deeply the brackets of a Rust text are nested, found before anything reads the text by recursion.
//!
//! The lexer counts brackets as well, but it ends at its first mistake, and what cannot be read goes on to
//! compilers, which recurse over brackets or take minutes to say that so many are open. So this goes once over
//! any text, whatever else is wrong with it. Brackets in strings, characters and comments do not count.

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};

/// Brackets in brackets, at most.
pub const MAX_DEPTH: usize = 200;

/// The byte of the first bracket that is nested more than [`MAX_DEPTH`] deep.
pub fn too_deep(text: &str) -> Option<usize> {
    deeper_than(text, MAX_DEPTH)
}

/// What is wrong with a file that is nested too deeply.
pub fn diagnostic(file: FileId, text: &str) -> Option<Diagnostic> {
    let at = too_deep(text)? as u32;
    let message = format!("brackets are nested more than {MAX_DEPTH} deep");
    Some(
        Diagnostic::error("nested-too-deeply", message)
            .at(Span { file, start: at, end: at + 1 }, "this one is too much")
            .hint("name the inner parts with `let`, or keep data of this depth in a file that a node reads"),
    )
}

fn deeper_than(text: &str, limit: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'(' | b'[' | b'{' if depth == limit => return Some(at),
            b'(' | b'[' | b'{' => {
                depth += 1;
                at + 1
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => behind_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => behind_comment(bytes, at),
            b'"' => match raw_hashes(bytes, at) {
                Some(hashes) => behind_raw_string(bytes, at, hashes),
                None => behind_string(bytes, at),
            },
            b'\'' => behind_quote(text, at),
            _ => at + 1,
        };
    }
    None
}

fn behind_line(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|it| *it == b'\n').map_or(bytes.len(), |it| at + it)
}

fn behind_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            (Some(_), _) => at += 1,
            (None, _) => return at,
        }
    }
}

fn behind_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return at,
        }
    }
}

/// The number of `#` before the quote of a raw string; `None` if the quote opens another kind of string.
fn raw_hashes(bytes: &[u8], quote: usize) -> Option<usize> {
    let hashes = bytes[..quote].iter().rev().take_while(|it| **it == b'#').count();
    let before = bytes[..quote - hashes].strip_suffix(b"r")?;
    let before = before.strip_suffix(b"b").or_else(|| before.strip_suffix(b"c")).unwrap_or(before);
    // Behind a letter, a quote or a `#` the `r` is the end of a word, of a lifetime or of a string's suffix.
    let is_word = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'\'' | b'"' | b'#' | 0x80..);
    before.last().is_none_or(|it| !is_word(it)).then_some(hashes)
}

fn behind_raw_string(bytes: &[u8], quote: usize, hashes: usize) -> usize {
    let mut at = quote + 1;
    while let Some(next) = bytes[at..].iter().position(|it| *it == b'"') {
        at += next + 1;
        let closing = bytes[at..].iter().take(hashes).take_while(|it| **it == b'#').count();
        at += closing;
        if closing == hashes {
            return at;
        }
    }
    bytes.len()
}

/// Behind a character, or into a lifetime, or behind a quote that is neither.
fn behind_quote(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let Some(first) = text.get(at + 1..).and_then(|it| it.chars().next()) else { return at + 1 };
    let after = at + 1 + first.len_utf8();
    if first != '\\' && bytes.get(after) != Some(&b'\'') && (first == '_' || first.is_alphabetic()) {
        return after;
    }
    let start = if first == '\\' { at + 3 } else { at + 1 };
    // The closing quote of any character that exists is near: `'\u{10ffff}'`.
    let near = bytes[start.min(bytes.len())..].iter().take(16);
    let closing = near.take_while(|it| **it != b'\n').position(|it| *it == b'\'');
    match closing {
        // `'''`
        Some(0) if first == '\'' && bytes.get(at + 2) == Some(&b'\'') => at + 3,
        Some(offset) => start + offset + 1,
        None => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::super::lex::{Kind, lex};
    use super::*;

    const DEEP: usize = 50_000;

    /// How deep a text is by its tokens.
    fn depth_of_tokens(text: &str) -> Option<usize> {
        let (mut depth, mut deepest) = (0usize, 0);
        for token in lex(text).ok()? {
            match token.kind {
                Kind::Open(_) => depth += 1,
                Kind::Close(_) => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        Some(deepest)
    }

    fn depth(text: &str) -> usize {
        (0..).find(|it| deeper_than(text, *it).is_none()).expect("texts end")
    }

    #[test]
    fn a_text_of_any_bracket_is_judged_at_once() {
        let began = Instant::now();
        for open in ["(", "[", "{", "f(", "vec![", "a={", "/* c */(\"(\", ", "`("] {
            let text = open.repeat(DEEP);
            let bracket = open.rfind(['(', '[', '{']).expect("one bracket");
            let bracket = if open.ends_with(' ') { open.find('(').expect("one") } else { bracket };
            assert_eq!(too_deep(&text), Some(MAX_DEPTH * open.len() + bracket), "{open}");
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_cannot_be_read_otherwise_is_judged_too() {
        let deep = "(".repeat(DEEP);
        for before in ["`", "( ]", "let x = 'abc", "\\", "0x", "}}}"] {
            assert!(too_deep(&format!("{before} {deep}")).is_some(), "{before}");
        }
    }

    #[test]
    fn brackets_in_strings_characters_and_comments_do_not_count() {
        let many = "(".repeat(DEEP);
        for text in [
            format!("\"{many}\""),
            format!("r\"{many}\""),
            format!("br##\"{many}\"# \"##"),
            format!("// {many}"),
            format!("/* /* {many} */ {many} */"),
            "'('".repeat(DEEP),
            "b'['; '\\''; ".repeat(DEEP),
            "f::<'a>(\"\\\"(\")".repeat(DEEP),
            "()[]{}".repeat(DEEP),
        ] {
            assert_eq!(too_deep(&text), None, "{}", &text[..20]);
        }
    }

    #[test]
    fn the_deepest_that_is_allowed_is_allowed() {
        let text = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(too_deep(&text(MAX_DEPTH)), None);
        assert_eq!(too_deep(&text(MAX_DEPTH + 1)), Some(MAX_DEPTH));
        assert!(lex(&text(MAX_DEPTH)).is_ok() && lex(&text(MAX_DEPTH + 1)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        /// Whatever the lexer reads is as deep here as there.
        #[test]
        fn agrees_with_the_lexer(text in "([a-z]{1,2} | r#a |'a |'\\('|'\\\\''|b'\\['|\"\\(\"|\"\\\\\"\\{\"|r\"\\[\\\\\"|r#\"\\(\"\\(\"#|br\"\\{\"|//\\(\n|/\\*\\(/\\*\\(\\*/\\*/|1|[-+*=<>!&|:;,.?@$^%~] |\\(|\\)|\\[|\\]|\\{|\\}| |\n){0,30}") {
            if let Some(expected) = depth_of_tokens(&text) {
                prop_assert_eq!(depth(&text), expected);
            }
        }

        #[test]
        fn never_panics(text in "\\PC*|[a-z'\"#\\\\/*(){}\\[\\]rbc0-9.e+ é\n-]{0,60}") {
            let _ = deeper_than(&text, 2);
        }
    }
}

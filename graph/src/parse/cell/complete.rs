//! Whether a cell is finished, and what stands under the cursor.
//!
//! Both look at code in the middle of being typed, so they go by brackets and characters first, and ask syn
//! only about what is balanced.

use serde::{Deserialize, Serialize};

use super::{bare_names, on_big_stack};
use crate::parse::lex::lex;
use crate::parse::tokens::Lexed;

/// Whether a frontend should send the cell or ask for another line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completeness {
    Complete,
    /// The next line begins with `indent`.
    Incomplete {
        indent: String,
    },
    Invalid,
}

/// Judges a cell with its magics: lines of magics are complete, `%%transform` is as complete as its Rust.
pub fn completeness(code: &str) -> Completeness {
    let first = code.lines().find(|it| !it.trim().is_empty()).unwrap_or_default().trim_start();
    if first.starts_with("%%") {
        let transform = first.split_whitespace().next() == Some("%%transform");
        let rest = code.trim_start().split_once('\n').map_or("", |it| it.1);
        return if transform { rust(rest, true) } else { Completeness::Complete };
    }
    let is_magic = |line: &str| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with('%') || line.starts_with(':')
    };
    let mut rest = code;
    while let Some(line) = rest.lines().next().filter(|it| is_magic(it)) {
        rest = rest.get(line.len()..).unwrap_or_default();
        rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    }
    rust(rest, false)
}

fn rust(code: &str, items: bool) -> Completeness {
    let indent = |depth: usize| Completeness::Incomplete { indent: "    ".repeat(depth) };
    let tokens = match lex(code) {
        Ok(tokens) => tokens,
        Err(error) if error.open => return indent(error.depth),
        Err(_) => return Completeness::Invalid,
    };
    let lexed = Lexed { file: 0, text: code, tokens };
    if bare_names(&lexed).is_some() {
        return Completeness::Complete;
    }
    let judged = on_big_stack(&lexed, || {
        let error = if items {
            syn::parse_str::<syn::File>(code).err()
        } else {
            syn::parse::Parser::parse_str(syn::Block::parse_within, code).err()
        };
        let Some(error) = error else { return Some(Completeness::Complete) };
        // At the end of the text an error has no place of its own; at the end of a bracket it has.
        let at_end =
            error.to_string().starts_with("unexpected end of input") && error.span().byte_range().end == 0;
        Some(if at_end { indent(1) } else { Completeness::Invalid })
    });
    judged.unwrap_or(Completeness::Complete)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The identifier that a byte is in or directly behind: its start and end.
pub fn identifier_at(code: &str, byte: usize) -> Option<(usize, usize)> {
    let mut byte = byte.min(code.len());
    while !code.is_char_boundary(byte) {
        byte -= 1;
    }
    let start =
        code[..byte].char_indices().rev().take_while(|it| is_word(it.1)).last().map_or(byte, |it| it.0);
    let end = code[byte..].char_indices().find(|it| !is_word(it.1)).map_or(code.len(), |it| byte + it.0);
    let begins = code[start..end].chars().next()?;
    (!begins.is_numeric()).then_some((start, end))
}

/// What kind of name can stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// A name on its own: nodes can stand here.
    Free,
    /// Behind a `.`.
    Member,
    /// Behind `::`.
    Path,
}

/// What kind of name the one under the cursor is.
pub fn position_at(code: &str, byte: usize) -> Position {
    let mut byte = byte.min(code.len());
    while !code.is_char_boundary(byte) {
        byte -= 1;
    }
    let start = identifier_at(code, byte).map_or(byte, |it| it.0);
    let before = code[..start].trim_end();
    if before.ends_with("::") {
        Position::Path
    } else if before.ends_with('.') && !before.ends_with("..") {
        Position::Member
    } else {
        Position::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incomplete(indent: &str) -> Completeness {
        Completeness::Incomplete { indent: indent.to_owned() }
    }

    #[test]
    fn finished_cells() {
        for code in [
            "",
            "1 + 1",
            "let x = 1;",
            "let x = { 1 };\nx",
            "spend, spend_mean",
            "(spend,)",
            "fn f() {}",
            "%run a\n%dag\n",
            "%watch x.rs\nspend.mean()",
            ":dep rand\nlet x = 1;",
            "%%time\nfoo(",
            "// only this",
            "println!(\"{}\", 1)",
            "%%transform a\npub fn f() -> i64 { 1 }",
        ] {
            assert_eq!(completeness(code), Completeness::Complete, "{code}");
        }
    }

    #[test]
    fn unfinished_cells() {
        for (code, indent) in [
            ("fn f() {", "    "),
            ("let x = vec![(", "        "),
            ("let x = ", "    "),
            ("spend.", "    "),
            ("a +", "    "),
            ("fn f()", "    "),
            ("#[derive(Debug)]", "    "),
            ("let s = \"abc", ""),
            ("/* abc", ""),
            ("%input a=1\nif x {", "    "),
            ("%%transform a\npub fn f() -> i64 {", "    "),
        ] {
            assert_eq!(completeness(code), incomplete(indent), "{code}");
        }
    }

    #[test]
    fn cells_that_no_line_can_mend() {
        for code in ["}", "let x = 1 }", "foo(]", "f(1 +)", "let let = 3;", "%%transform a\nlet x = 1;"] {
            assert_eq!(completeness(code), Completeness::Invalid, "{code}");
        }
    }

    #[test]
    fn cells_that_are_nested_too_deeply_are_judged_without_asking_for_more() {
        for open in ["(", "[", "{", "f([", "{ (", "-(", "%%transform a\n("] {
            let (first, rest) = open.split_at(open.len() - 1);
            let code = format!("{first}{}", rest.repeat(50_000));
            assert_eq!(completeness(&code), Completeness::Invalid, "{open}");
        }
    }

    #[test]
    fn the_identifier_under_the_cursor() {
        let code = "let größe = spend.mean();";
        let at = |byte| identifier_at(code, byte).map(|it| &code[it.0..it.1]);
        assert_eq!(at(0), Some("let"));
        assert_eq!(at(6), Some("größe"));
        let spend = code.find("spend").expect("it is there");
        assert_eq!(at(spend), Some("spend"));
        assert_eq!(at(spend + 5), Some("spend"));
        assert_eq!(at(code.len()), None);
        assert_eq!(at(9_999), None);
        assert_eq!(identifier_at("12", 1), None);
        assert_eq!(identifier_at("", 0), None);
        assert_eq!(position_at(code, spend + 8), Position::Member);
        assert_eq!(position_at(code, spend + 2), Position::Free);
        assert_eq!(position_at("a::b", 4), Position::Path);
        assert_eq!(position_at("0..spend", 8), Position::Free);
    }
}

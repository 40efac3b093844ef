//! The compile key: a hash of everything that the compiler turns into code.
//!
//! A library serves every content with the same key. Left out are the arguments of our attributes, which are
//! data of the graph (so that another default compiles nothing), and comments; but not where tokens stand,
//! since panics and messages tell lines and columns.

use blake3::Hasher;

use super::facts::has_strange_attribute;
use super::items::{ItemKind, Level};
use super::lex::Kind;
use super::tokens::Lexed;
use super::{Included, attributes};

/// The key of all files together, from the part of each.
pub(super) fn key<'a>(parts: impl Iterator<Item = &'a blake3::Hash>, included: &Included) -> String {
    let mut hasher = Hasher::new();
    hasher.update(b"brooklet compile key 1");
    for part in parts {
        hasher.update(part.as_bytes());
    }
    for (path, contents) in included {
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
        hasher.update(blake3::hash(contents).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// One file's part of the key.
pub(super) fn part(lexed: &Lexed<'_>, level: &Level) -> blake3::Hash {
    // What could not be cut into tokens is not known to be comments.
    if lexed.tokens.is_empty() {
        return blake3::hash(lexed.text.as_bytes());
    }
    // Macros and derives of other crates may read docs.
    let is_macro = |kind| matches!(kind, ItemKind::MacroCall | ItemKind::MacroRules | ItemKind::Mod);
    let keep_docs = level.items.iter().any(|it| is_macro(it.kind) || has_strange_attribute(lexed, it));
    // Small pieces are gathered first: a hasher is slow with them.
    let mut buffer: Vec<u8> = Vec::with_capacity(lexed.text.len() * 2);
    let (mut line, mut line_start, mut read) = (0u32, 0usize, 0usize);
    let mut index = 0;
    while index < lexed.tokens.len() {
        let token = &lexed.tokens[index];
        let is_doc = matches!(token.kind, Kind::DocOuter | Kind::DocInner) && !keep_docs;
        if let Some(end) = attributes::own_at(lexed, index) {
            index = end;
            continue;
        }
        if !is_doc {
            let start = token.start as usize;
            for (at, byte) in lexed.text.as_bytes()[read..start].iter().enumerate() {
                if *byte == b'\n' {
                    line += 1;
                    line_start = read + at + 1;
                }
            }
            read = start;
            buffer.extend_from_slice(&line.to_le_bytes());
            buffer.extend_from_slice(&((start - line_start) as u32).to_le_bytes());
            buffer.extend_from_slice(&(token.end - token.start).to_le_bytes());
            buffer.extend_from_slice(lexed.text(index).as_bytes());
        }
        index += 1;
    }
    blake3::hash(&buffer)
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;
    use crate::source::{SourceFile, Sources};

    fn key(text: &str) -> String {
        let mut sources = Sources::default();
        sources.push(SourceFile { path: "t.rs".into(), absolute: "/t.rs".into(), text: text.into() });
        parse(&sources, &[vec!["t".into()]]).compile_key
    }

    #[test]
    fn comments_docs_and_our_attributes_compile_nothing() {
        let text = "/// Doc.\n#[defaults(n = 1)]\npub fn a(n: i64) -> i64 { n } // why\n";
        let same = [
            "/// Other.\n#[defaults(n = 1)]\npub fn a(n: i64) -> i64 { n } // why\n",
            "/// Doc.\n#[defaults(n = 12)]\npub fn a(n: i64) -> i64 { n } // why not\n",
        ];
        for other in same {
            assert_eq!(key(other), key(text), "{other}");
        }
    }

    #[test]
    fn code_and_its_lines_count() {
        let text = "pub fn a(n: i64) -> i64 { n }\n";
        for other in [
            "pub fn a(n: i64) -> i64 { n + 1 }\n",
            "\npub fn a(n: i64) -> i64 { n }\n",
            "pub fn a(n: i64) -> i64 {  n }\n",
        ] {
            assert_ne!(key(other), key(text), "{other}");
        }
        let derived = |doc: &str| key(&format!("/// {doc}\n#[derive(clap::Parser)]\npub struct S;\n"));
        assert_ne!(derived("a"), derived("b"));
    }
}

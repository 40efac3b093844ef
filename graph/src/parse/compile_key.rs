//! The compile key: a hash of everything that the compiler turns into code.
//!
//! A library serves every content with the same key. Left out are comments and, on functions at the top, docs and
//! the arguments of our attributes, which are data of the graph (so that another default compiles nothing); but
//! not where tokens stand, since panics and messages tell lines and columns.

use blake3::Hasher;

use super::facts::has_strange_attribute;
use super::items::{ItemKind, Level};
use super::lex::Kind;
use super::tokens::{Lexed, Range};
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
    let left_out = left_out(lexed, level);
    let mut left_out = left_out.iter().peekable();
    // Small pieces are gathered first: a hasher is slow with them.
    let mut buffer: Vec<u8> = Vec::with_capacity(lexed.text.len() * 2);
    let (mut line, mut line_start, mut read) = (0u32, 0usize, 0usize);
    let mut index = 0;
    while index < lexed.tokens.len() {
        if let Some(range) = left_out.next_if(|it| it.start <= index) {
            index = range.end.max(index);
            continue;
        }
        let token = &lexed.tokens[index];
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
        index += 1;
    }
    blake3::hash(&buffer)
}

/// What is surely no code, in the order of the file: docs of the functions at the top, and what our attributes on
/// them say. Anywhere else a derive or a macro may read either.
fn left_out(lexed: &Lexed<'_>, level: &Level) -> Vec<Range> {
    let mut left_out = Vec::new();
    for item in level.items.iter().filter(|it| it.kind == ItemKind::Fn) {
        let is_cfg_attr = |it: &Range| lexed.is(it.start + 2, "cfg_attr");
        let keep_docs = has_strange_attribute(lexed, item) || item.attributes.iter().any(is_cfg_attr);
        for attribute in &item.attributes {
            if lexed.kind(attribute.start) == Some(Kind::DocOuter) {
                left_out.extend((!keep_docs).then_some(*attribute));
            } else {
                // That the attribute is there counts: without its import it does not compile.
                left_out.extend(attributes::own_arguments(lexed, *attribute));
            }
        }
    }
    left_out
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
        let differ =
            |form: &dyn Fn(&str) -> String| assert_ne!(key(&form("a")), key(&form("b")), "{}", form("a"));
        differ(&|it| format!("/// {it}\n#[derive(clap::Parser)]\npub struct S;\n"));
        differ(&|it| format!("/// {it}\n#[cfg_attr(all(), derive(clap::Parser))]\npub struct S;\n"));
        differ(&|it| format!("pub const HELP: &str = text! {{ /// {it}\n}};"));
        differ(&|it| {
            format!("#[derive(confique::Config)] pub struct C {{ #[config(default = {it:?})] pub p: u16 }}")
        });
        differ(&|it| format!("pub fn a() -> i64 {{ limit!(#[cache({it})]) }}"));
        differ(&|it| {
            if it == "a" { "// tag\npub fn a() {}".into() } else { "#[tag(x = \"y\")]\npub fn a() {}".into() }
        });
    }
}

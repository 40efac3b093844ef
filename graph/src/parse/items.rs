//! A file's tokens cut into items, without reading what is in them.
//!
//! Item heads are regular enough to be told apart by their first words, and every item ends at a `;` or at
//! a brace. So a broken body spoils nothing, and a broken item costs only itself: after an error the search
//! goes on behind the next `;` or brace.

use super::lex::Kind;
use super::tokens::{Lexed, Range};
use crate::diagnostic::Diagnostic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Fn,
    /// Struct, enum, union, type alias.
    Type,
    Trait,
    /// Const and static.
    Value,
    Use,
    Mod,
    Impl,
    MacroRules,
    MacroCall,
    /// `extern crate`, `extern "C" { .. }`.
    Extern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Private,
    /// `pub(crate)`, `pub(super)`, ...
    Restricted,
    Public,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub kind: ItemKind,
    pub visibility: Visibility,
    /// Outer attributes, each `#[..]` or one doc comment.
    pub attributes: Vec<Range>,
    /// The first token behind attributes and visibility.
    pub head: usize,
    /// The token of the name; for a macro call of the macro's last path segment. `None` for impls and uses.
    pub name: Option<usize>,
    /// The braces of a fn, mod, impl or trait: indices of `{` and `}`.
    pub body: Option<(usize, usize)>,
    /// The whole item with attributes.
    pub range: Range,
    /// Attributes inside a body, `#![..]` and `//!` (mod).
    pub inner_attributes: Vec<Range>,
    /// Items of a mod, impl or trait.
    pub items: Vec<Item>,
}

/// What stands at one level.
#[derive(Default)]
pub(crate) struct Level {
    pub inner_attributes: Vec<Range>,
    pub items: Vec<Item>,
}

/// Cuts a range of tokens into items; problems are added to `problems`.
pub(crate) fn split(lexed: &Lexed<'_>, range: Range, problems: &mut Vec<Diagnostic>) -> Level {
    let mut level = Level::default();
    let mut index = range.start;
    while index < range.end {
        if let Some(end) = inner_attribute(lexed, index) {
            level.inner_attributes.push(Range::new(index, end));
            index = end;
        } else if lexed.is_punct(index, b';') {
            index += 1;
        } else {
            let (item, next) = item(lexed, index, range.end, problems);
            level.items.extend(item);
            index = next.max(index + 1);
        }
    }
    level
}

fn inner_attribute(lexed: &Lexed<'_>, index: usize) -> Option<usize> {
    if lexed.kind(index) == Some(Kind::DocInner) {
        return Some(index + 1);
    }
    let bracket = lexed.is_punct(index, b'#') && lexed.is_punct(index + 1, b'!');
    bracket.then(|| lexed.group(index + 2, b'[')).flatten().map(|it| it + 1)
}

fn outer_attribute(lexed: &Lexed<'_>, index: usize) -> Option<usize> {
    if lexed.kind(index) == Some(Kind::DocOuter) {
        return Some(index + 1);
    }
    lexed.is_punct(index, b'#').then(|| lexed.group(index + 1, b'[')).flatten().map(|it| it + 1)
}

/// One item, or nothing and the place to go on.
fn item(
    lexed: &Lexed<'_>,
    start: usize,
    end: usize,
    problems: &mut Vec<Diagnostic>,
) -> (Option<Item>, usize) {
    let mut index = start;
    let mut attributes = Vec::new();
    while let Some(next) = outer_attribute(lexed, index).filter(|it| *it <= end) {
        attributes.push(Range::new(index, next));
        index = next;
    }
    let mut visibility = Visibility::Private;
    if lexed.is(index, "pub") {
        visibility = Visibility::Public;
        index += 1;
        if let Some(close) = lexed.group(index, b'(') {
            visibility = Visibility::Restricted;
            index = close + 1;
        }
    }
    if lexed.is(index, "default") && lexed.kind(index + 1) == Some(Kind::Ident) {
        index += 1;
    }
    let head = index;
    let Some(shape) = shape(lexed, head) else {
        problems.push(expected_item(lexed, head, end, index > start));
        return (None, recover(lexed, head, end));
    };
    let Some((body, stop)) = extent(lexed, head, end, &shape) else {
        let message = "this item has no end";
        let span = lexed.span(Range::new(head, head + 1));
        problems
            .push(Diagnostic::error("parse-error", message).at(span, "it needs a `;` or a body in braces"));
        return (None, end);
    };
    let mut item = Item {
        kind: shape.kind,
        visibility,
        attributes,
        head,
        name: shape.name,
        body,
        range: Range::new(start, stop),
        inner_attributes: Vec::new(),
        items: Vec::new(),
    };
    if let (ItemKind::Mod | ItemKind::Impl | ItemKind::Trait, Some((open, close))) = (item.kind, body) {
        let level = split(lexed, Range::new(open + 1, close), problems);
        item.inner_attributes = level.inner_attributes;
        item.items = level.items;
    }
    (Some(item), stop)
}

fn expected_item(lexed: &Lexed<'_>, index: usize, end: usize, behind_attributes: bool) -> Diagnostic {
    if index >= end {
        let message = "an attribute, a doc comment or `pub` stands before nothing";
        let span = lexed.span(Range::new(index.saturating_sub(1), index));
        return Diagnostic::error("parse-error", message).at(span, "an item must follow");
    }
    let found = lexed.text(index);
    let message = format!("expected an item, found `{found}`");
    let mut diagnostic =
        Diagnostic::error("parse-error", message).at(lexed.span(Range::new(index, index + 1)), "");
    if !behind_attributes {
        diagnostic =
            diagnostic.hint("a transform file holds items: `pub fn`, `fn`, `use`, `const`, `struct`, ..");
    }
    diagnostic
}

/// Behind the next `;` or brace, or before the next word that surely begins an item.
fn recover(lexed: &Lexed<'_>, start: usize, end: usize) -> usize {
    let mut index = start;
    while index < end {
        let begins =
            matches!(lexed.ident(index), Some("pub" | "fn" | "use" | "struct" | "enum" | "impl" | "mod"));
        if index > start && (begins || outer_attribute(lexed, index).is_some()) {
            return index;
        }
        let stops = lexed.is_punct(index, b';') || lexed.kind(index) == Some(Kind::Open(b'{'));
        index = lexed.skip(index);
        if stops {
            break;
        }
    }
    index
}

struct Shape {
    kind: ItemKind,
    name: Option<usize>,
    ends: Ends,
}

/// How an item ends.
enum Ends {
    /// At `;`, whatever groups come before.
    Semicolon,
    /// At the first brace, or at a `;` before it.
    Brace,
    /// Behind the group that opens at this index, and a `;` unless the group is a brace.
    Group(usize),
}

fn shape(lexed: &Lexed<'_>, head: usize) -> Option<Shape> {
    let make = |kind, name, ends| Some(Shape { kind, name, ends });
    let named = |kind, at: usize, ends| lexed.ident(at).and_then(|_| make(kind, Some(at), ends));
    let word = lexed.ident(head)?;
    let next = lexed.ident(head + 1);
    match word {
        "fn" => named(ItemKind::Fn, head + 1, Ends::Brace),
        "const" | "async" | "unsafe" | "extern" | "safe" | "gen" if qualifiers(lexed, head).is_some() => {
            let at = qualifiers(lexed, head)?;
            match lexed.ident(at)? {
                "fn" => named(ItemKind::Fn, at + 1, Ends::Brace),
                "impl" => make(ItemKind::Impl, None, Ends::Brace),
                "trait" | "auto" => named(ItemKind::Trait, at + 1, Ends::Brace),
                "mod" => named(ItemKind::Mod, at + 1, Ends::Brace),
                "crate" => make(ItemKind::Extern, None, Ends::Semicolon),
                _ => None,
            }
        }
        "extern" | "unsafe" => make(ItemKind::Extern, None, Ends::Brace),
        "const" => named(ItemKind::Value, head + 1, Ends::Semicolon),
        "static" if next == Some("mut") => named(ItemKind::Value, head + 2, Ends::Semicolon),
        "static" => named(ItemKind::Value, head + 1, Ends::Semicolon),
        "type" => named(ItemKind::Type, head + 1, Ends::Semicolon),
        "struct" | "enum" => named(ItemKind::Type, head + 1, Ends::Brace),
        "union" if next.is_some() => named(ItemKind::Type, head + 1, Ends::Brace),
        "auto" if next == Some("trait") => named(ItemKind::Trait, head + 2, Ends::Brace),
        "trait" => named(ItemKind::Trait, head + 1, Ends::Brace),
        "impl" => make(ItemKind::Impl, None, Ends::Brace),
        "mod" => named(ItemKind::Mod, head + 1, Ends::Brace),
        "use" => make(ItemKind::Use, None, Ends::Semicolon),
        "macro_rules" if lexed.is_punct(head + 1, b'!') => {
            named(ItemKind::MacroRules, head + 2, Ends::Group(head + 3))
        }
        _ => {
            let mut at = head;
            while lexed.is_joint(at + 1, b':', b':') && lexed.ident(at + 3).is_some() {
                at += 3;
            }
            let call = lexed.is_punct(at + 1, b'!') && matches!(lexed.kind(at + 2), Some(Kind::Open(_)));
            if call { make(ItemKind::MacroCall, Some(at), Ends::Group(at + 2)) } else { None }
        }
    }
}

/// The index of the keyword behind `const async unsafe extern "C"`, if one of the words that may stand
/// there follows.
fn qualifiers(lexed: &Lexed<'_>, head: usize) -> Option<usize> {
    let mut at = head;
    while matches!(lexed.ident(at), Some("const" | "async" | "unsafe" | "extern" | "safe" | "gen")) {
        let is_extern = lexed.is(at, "extern");
        at += 1;
        if is_extern && matches!(lexed.kind(at), Some(Kind::Text)) {
            at += 1;
        }
    }
    matches!(lexed.ident(at), Some("fn" | "impl" | "trait" | "auto" | "mod" | "crate")).then_some(at)
}

/// The item's body braces and the index behind the item.
fn extent(
    lexed: &Lexed<'_>,
    head: usize,
    end: usize,
    shape: &Shape,
) -> Option<(Option<(usize, usize)>, usize)> {
    if let Ends::Group(open) = shape.ends {
        let Some(Kind::Open(bracket)) = lexed.kind(open) else { return None };
        let close = lexed.tokens[open].pair as usize;
        if bracket == b'{' {
            return Some((Some((open, close)), close + 1));
        }
        return lexed.is_punct(close + 1, b';').then_some((Some((open, close)), close + 2));
    }
    let mut index = head;
    let mut angles = 0i32;
    while index < end {
        match lexed.kind(index)? {
            Kind::Punct(b';') => return Some((None, index + 1)),
            Kind::Punct(b'<') => angles += 1,
            Kind::Punct(b'>') if !lexed.is_arrow(index) => angles -= 1,
            Kind::Open(b'{') if matches!(shape.ends, Ends::Brace) && angles <= 0 => {
                let close = lexed.tokens[index].pair as usize;
                return Some((Some((index, close)), close + 1));
            }
            _ => {}
        }
        index = lexed.skip(index);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::lex::lex;
    use super::*;

    fn outline(text: &str) -> (Vec<String>, Vec<String>) {
        let lexed = Lexed { file: 0, text, tokens: lex(text).expect("lexes") };
        let mut problems = Vec::new();
        let all = Range::new(0, lexed.tokens.len());
        let level = split(&lexed, all, &mut problems);
        let show = |it: &Item| {
            let name = it.name.map_or("-", |name| lexed.text(name));
            format!("{:?} {name} {}", it.kind, it.items.len())
        };
        (level.items.iter().map(show).collect(), problems.into_iter().map(|it| it.message).collect())
    }

    #[test]
    fn every_kind_of_item() {
        let (items, problems) = outline(
            r#"
            #![allow(x)]
            use a::{b, c as d}; pub(crate) use e::*; extern crate z;
            /// Doc.
            #[derive(Clone)] pub struct S<const N: usize = { 3 }> where [(); N]: Sized { a: u8 }
            struct T(u8, u8); struct U; enum E { A, B } union V { a: u8 } type W<X> = Vec<X>;
            const A: usize = { 1; 2 }; static mut B: u8 = 0; const _: () = {};
            const fn c() {} pub const unsafe extern "C" fn d() {} async fn e() {} extern "C" { fn f(); }
            unsafe impl Send for S<{ 1 + 1 }> {} impl<T: Fn() -> u8> Tr for T { fn g() {} const H: u8 = 1; }
            pub trait Tr { fn h(); fn i() {} type J; } unsafe trait K {} mod m { fn n() {} } mod out;
            macro_rules! o { () => {}; } thread_local! { static P: u8 = 0 } a::q!(x); fn r() -> [u8; { 1 }] { [0] }
            ;
            "#,
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            items.join(", "),
            "Use - 0, Use - 0, Extern - 0, Type S 0, Type T 0, Type U 0, Type E 0, Type V 0, Type W 0, Value A 0, \
             Value B 0, Value _ 0, Fn c 0, Fn d 0, Fn e 0, Extern - 0, Impl - 0, Impl - 2, Trait Tr 3, Trait K 0, \
             Mod m 1, Mod out 0, MacroRules o 0, MacroCall thread_local 0, MacroCall q 0, Fn r 0"
        );
    }

    #[test]
    fn goes_on_behind_an_error() {
        let (items, problems) = outline("fn a() {} let x = 1; fn b() {} 3 + 4 pub fn c() {} #[x]");
        assert_eq!(items, ["Fn a 0", "Fn b 0", "Fn c 0"]);
        assert_eq!(
            problems,
            [
                "expected an item, found `let`",
                "expected an item, found `3`",
                "an attribute, a doc comment or `pub` stands before nothing"
            ]
        );
        assert_eq!(outline("pub fn a(x: u8)").1, ["this item has no end"]);
    }
}

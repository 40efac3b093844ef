//! Types that a cell defines again, and the variables that must not survive that.
//!
//! evcxr keeps variables as `Any`, and a type's id does not change with the types of its fields: a kept
//! `Point { x: u8 }` would be read as the new `Point { x: String }`. So before such a cell runs, variables
//! that could hold the old type are dropped. Items are found by their keywords, since this must work on
//! whatever evcxr accepts.
//!
//! Guiding rule: a variable dropped needlessly is made again; one kept wrongly is memory misread.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::Variable;

/// Items of cells by name that can decide the layout or meaning of a type, as normalised text. Functions
/// cannot, unless they are `const`.
pub type Items = BTreeMap<String, String>;

const KEYWORDS: [&str; 8] = ["struct", "enum", "union", "type", "trait", "const", "static", "mod"];

/// The items of a cell.
pub fn items(code: &str) -> Items {
    let tokens = tokens(code);
    let mut items = Items::new();
    let mut index = 0;
    while index < tokens.len() {
        let next = |by: usize| tokens.get(index + by).copied().unwrap_or_default();
        let name = match tokens[index] {
            "impl" => Some(format!("impl {}", tokens[index + 1..end(&tokens, index, true)].join(" "))),
            "macro_rules" if next(1) == "!" => Some(next(2).to_owned()),
            "const" if ["fn", "unsafe", "async", "extern"].contains(&next(1)) => {
                let fn_at = (1..4).find(|it| next(*it) == "fn");
                fn_at.map(|it| next(it + 1).to_owned())
            }
            keyword if KEYWORDS.contains(&keyword) && next(1).starts_with(is_word) => {
                let skipped = usize::from(next(1) == "mut");
                Some(next(1 + skipped).to_owned())
            }
            _ => None,
        };
        let Some(name) = name else {
            index += 1;
            continue;
        };
        let end = end(&tokens, index, false);
        let text = items.entry(name).or_default();
        text.push_str(&tokens[index..end].join(" "));
        text.push('\n');
        index = end.max(index + 1);
    }
    items
}

/// The variables that could hold something whose type `new` makes another one than `old` did.
pub fn victims(old: &Items, new: &Items, variables: &[Variable]) -> Vec<String> {
    let mut changed: BTreeSet<&str> = BTreeSet::new();
    for (name, text) in new {
        if old.get(name).is_some_and(|it| it != text) {
            changed.insert(name);
            // What a type's impl says of its associated types is part of all types named there.
            if name.starts_with("impl ") {
                changed.extend(words(name));
            }
        }
    }
    // Whatever is defined by something that changed has changed.
    loop {
        let more: Vec<&str> = old
            .iter()
            .chain(new)
            .filter(|(name, text)| {
                !changed.contains(name.as_str()) && words(text).any(|it| changed.contains(it))
            })
            .flat_map(|(name, _)| words(name).chain([name.as_str()]))
            .filter(|it| !changed.contains(it))
            .collect();
        if more.is_empty() {
            break;
        }
        changed.extend(more);
    }
    variables
        .iter()
        .filter(|it| words(&it.ty).any(|word| changed.contains(word)))
        .map(|it| it.name.clone())
        .collect()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    const NOISE: [&str; 5] = ["impl", "for", "where", "dyn", "mut"];
    text.split(|c| !is_word(c)).filter(|it| !it.is_empty() && !NOISE.contains(it))
}

/// The end of the item that begins at a token: behind its `;`, or behind its first `{..}`; or where its
/// head ends, before that.
fn end(tokens: &[&str], start: usize, of_head: bool) -> usize {
    // A constant goes on behind a block: `const A: T = T { .. };`
    let has_value =
        ["const", "static", "type"].contains(&tokens[start]) && tokens.get(start + 1) != Some(&"fn");
    let mut depth = 0_usize;
    let mut in_braces = false;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match *token {
            "{" if of_head && depth == 0 => return index,
            "{" | "(" | "[" => {
                in_braces |= *token == "{" && depth == 0;
                depth += 1;
            }
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && in_braces && *token == "}" && !has_value {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return if of_head { index } else { index + 1 },
            _ => {}
        }
    }
    tokens.len()
}

/// Words, literals and single punctuation characters; comments are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |it| it + 2),
            '"' => quoted(rest),
            'r' | 'b' | 'c' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            '\'' => character(rest),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let is_comment = token.starts_with("//") || token.starts_with("/*");
        if !is_comment && !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

/// Length of a string literal.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return index + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Length of `r"..."`, `br#"..."#` and the like.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = text.find(['"', '#'])?;
    if !["r", "br", "cr"].contains(&&text[..prefix]) {
        return None;
    }
    let hashes = text[prefix..].find(|c| c != '#')?;
    let opened = text[prefix + hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(opened.find(&closing).map_or(text.len(), |it| prefix + hashes + 1 + it + closing.len()))
}

/// Length of a character literal or of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((index, escaped))) => {
            let after = index + escaped.len_utf8();
            text[after..].find('\'').map_or(1, |it| after + it + 1)
        }
        (Some(_), Some((index, '\''))) => index + 1,
        _ => text[1..].find(|c| !is_word(c)).map_or(text.len(), |it| it + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(before: &str, now: &str) -> Vec<String> {
        let variables: Vec<Variable> = ["P", "Vec<Q>", "i64", "[u8; 3]", "Box<dyn T>", "Wide<P2>"]
            .map(|ty| Variable { name: format!("of {ty}"), ty: ty.to_owned() })
            .into();
        victims(&items(before), &items(now), &variables)
    }

    #[test]
    fn a_changed_field_drops_variables_of_the_type() {
        assert_eq!(lost("struct P { x: u8 }", "struct P { x: String }"), ["of P"]);
        assert_eq!(lost("#[derive(Debug)] struct P(u8);", "let a = 1; struct P(u16);"), ["of P"]);
        assert_eq!(lost("enum Q { A }", "enum Q { A, B }"), ["of Vec<Q>"]);
    }

    #[test]
    fn the_same_again_drops_nothing() {
        assert_eq!(lost("struct P { x: u8 }", "// again\nstruct P {\n  x: u8\n}\nlet y = 1;"), [""; 0]);
        assert_eq!(lost("struct R { x: u8 }", "struct P { x: u8 }"), [""; 0]);
        assert_eq!(lost("fn f() -> P { P(1) }", "fn f() -> P { P(2) }"), [""; 0]);
    }

    #[test]
    fn what_a_type_is_made_of_counts() {
        let before = "struct Inner(u8); struct P { inner: Inner }";
        assert_eq!(lost(before, "struct Inner(u64);"), ["of P"]);
        assert_eq!(lost("type A = u8; struct P(A);", "type A = String;"), ["of P"]);
        assert_eq!(lost("const N: usize = 2; struct P([u8; N]);", "const N: usize = 3;"), ["of P"]);
        assert_eq!(
            lost("const fn n() -> usize { 2 } struct P([u8; n()]);", "const fn n() -> usize { 3 }"),
            ["of P"]
        );
        assert_eq!(
            lost("trait T { fn a(&self); }", "trait T { fn b(&self); fn a(&self); }"),
            ["of Box<dyn T>"]
        );
        let before = "struct P; impl T for P { type A = u8; } struct Wide<X: T>(X::A); struct P2;";
        assert_eq!(
            lost(before, "impl T for P { type A = String; }"),
            ["of P", "of Box<dyn T>", "of Wide<P2>"]
        );
        assert_eq!(lost("macro_rules! m { () => { struct P(u8); } }", "struct P(u16);"), [""; 0]);
    }

    #[test]
    fn text_is_no_code() {
        assert_eq!(
            items("let a = \"struct P { x: u8 }\"; // enum Q {}\n/* union U */ r#\"type A = \"#;").len(),
            0
        );
        assert_eq!(
            items("let c = '{'; struct P; let l: &'static str = \"\\\"}\";").keys().collect::<Vec<_>>(),
            ["P"]
        );
        assert_eq!(items("const A: P = P { x: '\\'' }; static mut B: u8 = 1;").len(), 2);
        for odd in ["'", "\"", "r#\"", "/*", "struct", "impl", "const fn", "macro_rules!", "'\\", "ä'ö'"] {
            items(odd);
        }
    }
}

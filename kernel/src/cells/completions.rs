//! Between a frontend's question about unfinished code and rust-analyzer's answer.
//!
//! A cell that is being typed does not parse, so it cannot be rewritten as a finished cell is. Instead each
//! node that it names is bound in front of it, on the first line, and places are moved by that much.

use super::protocol::Item;
use super::scope::Scope;
use crate::engine::{Completion, Completions};

/// `let` bindings of the nodes that the code names, on one line; empty if there are none.
pub fn bindings(code: &str, scope: &Scope, variables: &[String]) -> String {
    let mut text = String::new();
    if code.trim_start().starts_with([':', '!']) {
        return text;
    }
    let mut bound: Vec<&str> = Vec::new();
    for (start, word) in words(code) {
        // A name before a bracket is a function: the prelude of polars has `sum`, `mean`, `first`, ..
        if bound.contains(&word) || code[start + word.len()..].starts_with('(') {
            continue;
        }
        if let Some(expression) = scope.bindings.get(word)
            && !variables.iter().any(|it| it == word)
        {
            bound.push(word);
            text.push_str(&format!("let {word} = {expression}; "));
        }
    }
    text
}

/// The words of a text with their places; numbers are words too, which are no nodes.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    code.split(move |c| !is_word(c))
        .filter(|it| !it.is_empty())
        .map(move |it| (it.as_ptr() as usize - code.as_ptr() as usize, it))
}

/// The end of the name that the position is in or behind, `None` if there is no name.
///
/// With an opening bracket behind it, which rust-analyzer needs to see that a method is meant.
pub fn name_end(code: &str, position: usize) -> Option<usize> {
    let position = floor(code, position);
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let after = code[position..].find(|c| !is_word(c)).map_or(code.len(), |it| position + it);
    if !code[..after].chars().next_back().is_some_and(is_word) {
        return None;
    }
    Some(if code[after..].starts_with('(') { after + 1 } else { after })
}

/// The nearest character boundary at or before the position.
pub fn floor(code: &str, position: usize) -> usize {
    let mut position = position.min(code.len());
    while !code.is_char_boundary(position) {
        position -= 1;
    }
    position
}

/// The answer for code that stood `shift` bytes further to the right; sorted by text, each once.
pub fn completions(items: Vec<Item>, start: usize, end: usize, shift: usize) -> Completions {
    let mut items: Vec<Completion> = items
        .into_iter()
        .map(|Item { code, kind, label }| Completion {
            text: short(&code).to_owned(),
            kind,
            signature: label,
        })
        .collect();
    items.sort_by(|a, b| (&a.text, &a.signature).cmp(&(&b.text, &b.signature)));
    items.dedup_by(|a, b| a.text == b.text);
    Completions { items, start: start.saturating_sub(shift), end: end.saturating_sub(shift) }
}

/// Without the name of the crate that evcxr makes of all cells, which says nothing to the user.
pub fn without_crate(text: &str) -> String {
    let mut without = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("ctx::") {
        let (before, after) = rest.split_at(at);
        without.push_str(before);
        let is_whole = !without.ends_with(|c: char| c == '_' || c == ':' || c.is_alphanumeric());
        without.push_str(if is_whole { "" } else { "ctx::" });
        rest = &after["ctx::".len()..];
    }
    without.push_str(rest);
    without
}

/// rust-analyzer fills in the names of arguments, `max(other)`; they would only have to be deleted.
fn short(code: &str) -> &str {
    match code.find('(') {
        Some(bracket) if bracket > 0 && code.ends_with([')', ';']) => &code[..bracket],
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        let bindings = ["spend", "mean"].map(|it| (it.to_owned(), format!("bound!({it})")));
        Scope { module: String::new(), bindings: bindings.into_iter().collect() }
    }

    #[test]
    fn named_nodes_are_bound_once_unless_a_variable_hides_them_or_they_are_called() {
        assert_eq!(bindings("spend.max() + spend.", &scope(), &[]), "let spend = bound!(spend); ");
        assert_eq!(bindings("mean(spend).", &scope(), &["spend".to_owned()]), "");
        assert_eq!(bindings(":dep spend", &scope(), &[]), "");
    }

    #[test]
    fn a_name_is_found_from_anywhere_in_it() {
        assert_eq!(name_end("größe.abs()", 2), Some(7));
        assert_eq!(name_end("größe.abs()", 9), Some(12));
        assert_eq!(name_end("größe.abs()", 7), Some(7));
        assert_eq!(name_end("a + ", 4), None);
        assert_eq!(name_end("ä", 1), Some(2));
        assert_eq!(name_end("", 7), None);
    }

    #[test]
    fn the_crate_of_cells_is_not_named() {
        let shown = without_crate("ctx::transforms::shop\n\npub struct Split(ctx::A, my_ctx::B, a::ctx::C)");
        assert_eq!(shown, "transforms::shop\n\npub struct Split(A, my_ctx::B, a::ctx::C)");
    }

    #[test]
    fn places_are_moved_back_and_arguments_left_out() {
        let item = |code: &str| Item { code: code.into(), kind: "function".into(), label: "fn".into() };
        let answer = completions(vec![item("max(other)"), item("abs()"), item("max(b)")], 30, 32, 28);
        assert_eq!(answer.items.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["abs", "max"]);
        assert_eq!((answer.start, answer.end), (2, 4));
    }
}

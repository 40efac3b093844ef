//! Completion: magics and nodes from what the session knows, Rust from evcxr where it has time.
//!
//! Magics and nodes are always answered, also while a cell runs: they come from memory and take no time.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brooklet_graph::graph::{Graph, Node, NodeKind};
use brooklet_graph::parse::nesting;

use super::Shared;
use super::context::{self, Context};
use super::help;
use super::magics::{Arguments, Kind, MAGICS, Magic};
use crate::engine::{Completion, Completions};

/// A frontend waits for a second at most.
const RUST_TIME: Duration = Duration::from_millis(800);

pub fn complete(shared: &Arc<Shared>, code: &str, position: usize) -> Completions {
    let revision = shared.newest();
    let empty = Graph::default();
    let graph = revision.as_ref().map_or(&empty, |it| &it.graph);
    match context::at(code, position) {
        Context::Code { start } => in_code(shared, graph, code, position, start),
        in_magic => of_magic(&in_magic, graph, &shared.base, code),
    }
}

/// What can stand at a place of a magic.
fn of_magic(context: &Context, graph: &Graph, base: &Path, code: &str) -> Completions {
    let (place, mut items) = match context {
        Context::MagicName { place } => (place, magic_names()),
        Context::Option { magic, place } => (place, option_names(magic.0)),
        Context::Choice { words, place } => (place, words.iter().map(|it| item(it, "value", "")).collect()),
        Context::Node { place, .. } => (place, nodes(graph, |_| true)),
        Context::Key { magic, place } => (place, keys(magic.0, graph)),
        Context::File { place, is_rust } => {
            let items = files(base, &code[place.clone()], *is_rust);
            return Completions { items, start: place.start, end: place.end };
        }
        Context::Topic { place } => (place, help::topics().map(|it| item(it, "topic", "")).collect()),
        Context::Nothing | Context::Code { .. } => return Completions::default(),
    };
    let prefix = &code[place.clone()];
    items.retain(|it: &Completion| it.text.starts_with(prefix));
    items.dedup_by(|a, b| a.text == b.text);
    Completions { items, start: place.start, end: place.end }
}

fn item(text: &str, kind: &str, signature: &str) -> Completion {
    Completion { text: text.to_owned(), kind: kind.to_owned(), signature: signature.to_owned() }
}

fn magic_names() -> Vec<Completion> {
    let mut items: Vec<Completion> = MAGICS.iter().map(|it| item(&it.title(), "magic", it.summary)).collect();
    items.sort_by(|a, b| (a.text.starts_with("%%"), &a.text).cmp(&(b.text.starts_with("%%"), &b.text)));
    items
}

fn option_names(magic: &Magic) -> Vec<Completion> {
    magic.options.iter().map(|it| item(it.name, "option", it.summary)).collect()
}

fn nodes(graph: &Graph, is_wanted: impl Fn(&Node) -> bool) -> Vec<Completion> {
    let mut items: Vec<Completion> = graph
        .nodes
        .values()
        .filter(|it| is_wanted(it))
        .map(|it| item(&it.name, if it.kind == NodeKind::Input { "input" } else { "node" }, &it.ty))
        .collect();
    items.sort_by(|a, b| a.text.cmp(&b.text));
    items
}

/// Names before a `=`: what may be overridden for `--override`, which comes after targets; else inputs.
fn keys(magic: &Magic, graph: &Graph) -> Vec<Completion> {
    let any = !matches!(magic.arguments, Arguments::Pairs);
    let mut items = nodes(graph, |it| any || it.kind == NodeKind::Input);
    items.iter_mut().for_each(|it| it.text.push('='));
    items
}

/// Directories, and the files that the place takes, that go on from what is typed.
fn files(base: &Path, typed: &str, is_rust: bool) -> Vec<Completion> {
    let (directory, prefix) = typed.rfind('/').map_or(("", typed), |it| typed.split_at(it + 1));
    let listed = if directory.is_empty() { base.to_owned() } else { base.join(directory) };
    let mut items = Vec::new();
    for entry in fs::read_dir(listed).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(prefix) || (name.starts_with('.') && !prefix.starts_with('.')) {
            continue;
        }
        if entry.path().is_dir() {
            items.push(item(&format!("{directory}{name}/"), "directory", ""));
        } else if !is_rust || name.ends_with(".rs") {
            items.push(item(&format!("{directory}{name}"), "file", ""));
        }
    }
    items.sort_by(|a, b| a.text.cmp(&b.text));
    items
}

/// Nodes first, then what evcxr knows.
fn in_code(shared: &Arc<Shared>, graph: &Graph, code: &str, position: usize, start: usize) -> Completions {
    let name = context::name_at(code, position);
    let typed_start = name.start.max(start).min(position);
    let prefix = &code[typed_start..position];
    let is_member = code[..typed_start].ends_with('.') || code[..typed_start].ends_with("::");
    let mut completions = Completions { items: Vec::new(), start: typed_start, end: position };
    if !is_member {
        completions.items = nodes(graph, |it| it.name.starts_with(prefix));
        if prefix.is_empty() {
            completions.items.truncate(200);
        }
    }
    let body = &code[start..];
    // A `%%transform` cell is a module, which evcxr does not know of.
    let is_module = code[..start].trim_start().starts_with("%%transform");
    let has_code = is_member || !prefix.is_empty();
    // What is nested too deeply would keep rust-analyzer busy for longer than anybody waits.
    if is_module || !has_code || nesting::too_deep(body).is_some() {
        return completions;
    }
    let Some(cells) = shared.cells_at_hand() else { return completions };
    // Where nodes can be offered already, nobody should wait long for more.
    let time = if completions.items.is_empty() { RUST_TIME } else { RUST_TIME / 3 };
    let rust = cells.complete(body, position - start, time);
    if rust.items.is_empty() {
        return completions;
    }
    merge(&mut completions, rust, start, code);
    completions
}

/// Adds Rust's completions to those of nodes. Both replace the same text, or Rust's alone are taken.
fn merge(completions: &mut Completions, rust: Completions, shift: usize, code: &str) {
    let (start, end) = (rust.start + shift, rust.end + shift);
    if completions.items.is_empty() {
        *completions = Completions { items: rust.items, start, end };
        return;
    }
    // Rust's may begin elsewhere: then the text between is put before them.
    let between = code.get(completions.start..start).unwrap_or_default();
    for mut it in rust.items {
        if start >= completions.start && !completions.items.iter().any(|known| known.text == it.text) {
            it.text = format!("{between}{}", it.text);
            completions.items.push(it);
        }
    }
}

/// All kinds of magics that go by a name, for inspection.
pub fn magics_named(word: &str) -> Vec<&'static Magic> {
    let kind = if word.starts_with("%%") { Kind::Cell } else { Kind::Line };
    let name = word.trim_start_matches('%');
    MAGICS.iter().filter(|it| it.name == name && it.kind == kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{graph, node};

    fn texts(code: &str) -> Vec<String> {
        let graph = graph(vec![node("spend", &[]), node("signups", &[]), node("spend_mean", &["spend"])]);
        let context = context::at(code, code.len());
        of_magic(&context, &graph, Path::new("/nowhere"), code).items.into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn magics_come_before_cell_magics() {
        let all = texts("%");
        assert!(all.contains(&"%run".to_owned()) && all.last() == Some(&"%%transform".to_owned()), "{all:?}");
        assert_eq!(texts("%un"), ["%unwatch"]);
    }

    #[test]
    fn nodes_options_and_their_words_are_offered() {
        assert_eq!(texts("%run sp"), ["spend", "spend_mean"]);
        assert_eq!(
            texts("%run spend --"),
            ["--as", "--rows", "--input", "--override", "--recompute", "--all"]
        );
        assert_eq!(texts("%run spend --as "), ["frame", "dict", "json"]);
        assert_eq!(texts("%run spend --as=j"), ["json"]);
        assert_eq!(texts("%input s"), ["signups=", "spend="]);
        assert_eq!(texts("%run x --override s"), ["signups=", "spend=", "spend_mean="]);
        assert_eq!(texts("%help li"), ["live", "literals"]);
    }

    #[test]
    fn files_are_listed_below_the_notebook() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("transforms")).unwrap();
        for name in ["transforms/a.rs", "transforms/b.rs", "transforms/notes.txt", "top.rs", ".hidden.rs"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let list = |typed: &str, is_rust| -> Vec<String> {
            files(directory.path(), typed, is_rust).into_iter().map(|it| it.text).collect()
        };
        assert_eq!(list("t", true), ["top.rs", "transforms/"]);
        assert_eq!(list("transforms/", true), ["transforms/a.rs", "transforms/b.rs"]);
        assert_eq!(list("transforms/n", false), ["transforms/notes.txt"]);
    }

    #[test]
    fn rusts_items_follow_the_nodes() {
        let items = |names: &[&str]| names.iter().map(|it| item(it, "", "")).collect();
        let mut all = Completions { items: items(&["spend"]), start: 4, end: 6 };
        merge(&mut all, Completions { items: items(&["spend", "spawn"]), start: 1, end: 3 }, 3, "%t\nasp");
        let texts: Vec<&str> = all.items.iter().map(|it| it.text.as_str()).collect();
        assert_eq!((texts, all.start, all.end), (vec!["spend", "spawn"], 4, 6));
    }
}

//! Inspection (Shift-Tab): what is known of the name at the cursor.

use std::sync::Arc;
use std::time::Duration;

use brooklet_graph::graph::{Node, NodeKind};
use brooklet_graph::parse::nesting;
use brooklet_graph::wire::MimeBundle;

use super::Shared;
use super::complete::magics_named;
use super::context::{self, Context};
use super::help;
use super::link::is_fresh;
use super::nodes::{source_html, source_of};
use super::text;
use crate::reload::Revision;

/// A frontend waits for a second at most.
const RUST_TIME: Duration = Duration::from_millis(800);

pub fn inspect(shared: &Arc<Shared>, code: &str, position: usize, detail: u8) -> Option<MimeBundle> {
    let word = &code[context::name_at(code, position)];
    if word.starts_with('%') {
        let pages: Vec<String> = magics_named(word).into_iter().map(help::of_magic).collect();
        return (!pages.is_empty()).then(|| MimeBundle::text(pages.join("\n")));
    }
    let context = context::at(code, position);
    if word.starts_with('-')
        && let Some(page) = option(code, position, word)
    {
        return Some(MimeBundle::text(page));
    }
    let is_shadowed = matches!(context, Context::Code { .. })
        && super::locked(&shared.cells)
            .as_ref()
            .is_some_and(|it| it.variables().iter().any(|it| it.name == word));
    if !is_shadowed
        && let Some(revision) = shared.newest()
        && let Some(node) = revision.graph.nodes.get(word)
    {
        return Some(of_node(shared, &revision, node, detail));
    }
    match context {
        Context::Code { start }
            if !code[..start].trim_start().starts_with("%%transform")
                && nesting::too_deep(&code[start..]).is_none() =>
        {
            let cells = shared.cells_at_hand()?;
            cells.inspect(&code[start..], position.saturating_sub(start), RUST_TIME)
        }
        _ => None,
    }
}

/// The summary of an option of the magic in whose line the cursor stands.
fn option(code: &str, position: usize, word: &str) -> Option<String> {
    let (lines, _) = super::grammar::cut(code);
    let line = lines.iter().find(|it| it.place.start <= position && position <= it.place.end)?;
    let name = code[line.place.clone()].split_whitespace().next()?;
    let magic = magics_named(name).first().copied()?;
    let option = magic.option(word)?;
    Some(format!("{} {}\n{}", magic.title(), option.form(), option.summary))
}

fn of_node(shared: &Shared, revision: &Revision, node: &Node, detail: u8) -> MimeBundle {
    let (value, ty) = {
        let knowledge = shared.knowledge();
        let value = knowledge.mirror.nodes.get(&node.name).map(|seen| {
            let time =
                seen.milliseconds.map(|it| format!(", took {}", text::duration(it))).unwrap_or_default();
            let word =
                if is_fresh(&seen.state) { String::new() } else { format!(" ({})", seen.state.word()) };
            format!("{}{word}{time}", seen.summary.shape)
        });
        let literal = knowledge.inputs.get(&node.name).or(knowledge.config.get(&node.name)).cloned();
        (value.filter(|it| !it.is_empty()).or(literal), knowledge.types.get(&node.name).cloned())
    };
    let source = if detail > 0 { source_of(revision, node) } else { None };
    let text =
        describe(node, ty.as_deref(), value.as_deref(), &revision.graph.dependents(&node.name), source);
    let html = source.map(|it| {
        let above =
            describe(node, ty.as_deref(), value.as_deref(), &revision.graph.dependents(&node.name), None);
        let place = format!("{}:{}", node.file, node.line);
        format!("<pre>{}</pre>{}", brooklet_graph::html::escape(&above), source_html(&place, it))
    });
    let bundle = MimeBundle::text(text);
    match html {
        Some(html) => bundle.with("text/html", html),
        None => bundle,
    }
}

/// All that can be told of a node in text.
fn describe(
    node: &Node,
    ty: Option<&str>,
    value: Option<&str>,
    takers: &[String],
    source: Option<&str>,
) -> String {
    let kind = if node.kind == NodeKind::Input { "input" } else { "node" };
    let ty = ty.filter(|it| !it.is_empty()).unwrap_or(&node.ty);
    let mut text = format!("{kind} {}: {ty}", node.name);
    if !node.doc.is_empty() {
        text = format!("{text}\n{}", node.doc);
    }
    if let Some(value) = value {
        text = format!("{text}\n\nvalue: {value}");
    } else {
        text = format!("{text}\n\nvalue: none yet");
    }
    if !node.file.is_empty() {
        text = format!("{text}\nplace: {}:{}", node.file, node.line);
    }
    if !node.dependencies.is_empty() {
        let needs: Vec<String> =
            node.dependencies.iter().map(|it| format!("{}: {}", it.name, it.ty)).collect();
        text = format!("{text}\ntakes: {}", needs.join(", "));
    }
    if !takers.is_empty() {
        text = format!("{text}\ntaken by: {}", takers.join(", "));
    }
    match source {
        Some(source) => format!("{text}\n\n{source}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::node;

    #[test]
    fn a_node_is_told_with_type_documentation_value_and_place() {
        let mut total = node("total", &["spend"]);
        total.doc = "All of it.".to_owned();
        let text = describe(&total, Some("f64"), Some("12.5, took 0.1 ms"), &["report".to_owned()], None);
        assert_eq!(
            text,
            "node total: f64\nAll of it.\n\nvalue: 12.5, took 0.1 ms\nplace: t.rs:3\ntakes: spend: &Series\ntaken by: report"
        );
    }

    #[test]
    fn an_input_without_a_value_says_so() {
        assert_eq!(
            describe(&node("spend", &[]), None, None, &[], None),
            "input spend: Series\n\nvalue: none yet"
        );
    }

    #[test]
    fn options_are_told_for_the_magic_they_stand_in() {
        let code = "%input a=1\n%dag --hide-inputs";
        assert_eq!(
            option(code, code.len(), "--hide-inputs").unwrap(),
            "%dag --hide-inputs\nleaves inputs out"
        );
        assert_eq!(option(code, 2, "--hide-inputs"), None);
    }
}

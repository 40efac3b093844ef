//! Edges whose types do not fit, in our words: at the consumer's parameter, with the producer as second place.

use super::Graph;
use crate::diagnostic::Diagnostic;
use crate::wire::EdgeMismatch;

/// One diagnostic for each mismatch.
pub fn edge_mismatches(mismatches: &[EdgeMismatch], graph: &Graph) -> Vec<Diagnostic> {
    mismatches.iter().map(|it| edge_mismatch(it, graph)).collect()
}

fn edge_mismatch(mismatch: &EdgeMismatch, graph: &Graph) -> Diagnostic {
    let EdgeMismatch { from, to, parameter, expected, found, other_consumer, is_group, in_cache } = mismatch;
    let place = |node: &str, parameter: usize| {
        let node = graph.nodes.get(node)?;
        let of_parameter = || node.dependencies.iter().filter(|it| it.parameter == parameter);
        of_parameter().find(|it| it.name == *from).or(of_parameter().next()).map(|it| it.span)
    };
    if *in_cache {
        let is_output = from == to;
        let message = match is_output {
            true => {
                format!("`#[cache(format = ..)]`: `{to}` is a `{found}`, and only frames have a file format")
            }
            false => format!("`#[cache(file(..))]`: `{from}` is a `{found}`, which names no file"),
        };
        let node = graph.nodes.get(to);
        let span = if is_output { node.map(|it| it.type_span) } else { place(to, *parameter) };
        let mut diagnostic = Diagnostic::error("cache-type-mismatch", message);
        if let Some(span) = span.or(node.map(|it| it.span)) {
            diagnostic = diagnostic.at(span, "");
        }
        return diagnostic.hint(match is_output {
            true => "leave the format out: other values are written as MessagePack",
            false => {
                "files are named by `&Path`, `PathBuf`, `&str` and `String`, and by options and lists of them"
            }
        });
    }
    if let Some((other, other_parameter)) = other_consumer {
        let message =
            format!("input `{from}` is taken as `{expected}` by `{to}` and as `{found}` by `{other}`");
        let mut diagnostic = Diagnostic::error("edge-type-mismatch", message);
        if let Some(span) = place(to, *parameter) {
            diagnostic = diagnostic.at(span, format!("`{to}` takes `{expected}`"));
        }
        if let Some(span) = place(other, *other_parameter) {
            diagnostic = diagnostic.at(span, format!("`{other}` takes `{found}`"));
        }
        return diagnostic.hint("an input has one type: take the same type in both, or name two inputs");
    }
    if *is_group {
        let message = format!("`{to}` takes `{expected}`, and `#[inject]` gives it {found}");
        let mut diagnostic = Diagnostic::error("edge-type-mismatch", message);
        let node = graph.nodes.get(to);
        let fixed =
            node.and_then(|it| it.fixed.iter().find(|it| it.parameter == *parameter)).map(|it| it.span);
        if let Some(span) = place(to, *parameter).or(fixed).or(node.map(|it| it.span)) {
            diagnostic = diagnostic.at(span, "");
        }
        return diagnostic
            .hint("`[a, b]` is a list, for `&[T]` and `Vec<T>`; `{x = a, y = b}` is for a map of `String`s");
    }
    let message = format!("edge {from} → {to}: expected `{expected}`, found `{found}`");
    let mut diagnostic = Diagnostic::error("edge-type-mismatch", message);
    if let Some(span) = place(to, *parameter) {
        diagnostic = diagnostic.at(span, format!("`{to}` expects `{expected}`"));
    }
    if let Some(producer) = graph.nodes.get(from) {
        diagnostic = diagnostic.at(producer.type_span, format!("`{from}` returns `{found}`"));
    }
    diagnostic.hint(format!(
        "change the parameter of `{to}` or the return type of `{from}`, or convert in a node between them"
    ))
}

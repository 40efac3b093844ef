//! What changed between two graphs, as text: names first, then the lines of each changed function.

use std::fmt::Write as _;

use brooklet_graph::graph::{Change, Graph};

use super::text;

/// One side of a comparison.
pub struct Side<'a> {
    pub graph: &'a Graph,
    /// The source text of a node's function.
    pub source: &'a dyn Fn(&str) -> Option<String>,
}

/// How many lines around a change are shown.
const CONTEXT: usize = 2;
/// Longer functions are not compared line by line: the table grows with the product of both lengths.
const LONGEST: usize = 600;

/// The whole answer of `%diff`; `against` reads after "against".
pub fn describe(change: &Change, old: &Side<'_>, new: &Side<'_>, against: &str) -> String {
    if change.added.is_empty()
        && change.changed.is_empty()
        && change.removed.is_empty()
        && change.docs_only.is_empty()
    {
        return format!("no node differs from {against}");
    }
    let mut text = format!("against {against}: {}", summary(change));
    let place = |graph: &Graph, name: &str| match graph.nodes.get(name) {
        Some(node) if !node.file.is_empty() => format!("{}:{}", node.file, node.line),
        _ => "input".to_owned(),
    };
    let all = [&change.added, &change.changed, &change.removed, &change.docs_only];
    let width = all.iter().copied().flatten().map(|it| it.chars().count()).max().unwrap_or(0);
    for name in &change.added {
        let _ = write!(text, "\n+ {name:width$}  {}", place(new.graph, name));
    }
    for name in &change.changed {
        let _ = write!(text, "\n~ {name:width$}  {}", place(new.graph, name));
        let lines = match ((old.source)(name), (new.source)(name)) {
            (Some(before), Some(after)) if before != after => line_diff(&before, &after),
            (Some(_), Some(_)) => {
                text.push_str("  (its own text is the same: something that it reaches changed)");
                continue;
            }
            _ => continue,
        };
        for line in lines {
            let _ = write!(text, "\n    {line}");
        }
    }
    for name in &change.removed {
        let _ = write!(text, "\n- {name:width$}  {}", place(old.graph, name));
    }
    for name in &change.docs_only {
        let _ = write!(text, "\n. {name:width$}  {}  (documentation only)", place(new.graph, name));
    }
    text
}

/// `1 added, 2 changed`, or `nothing changed`.
pub fn summary(change: &Change) -> String {
    let parts = [
        (change.added.len(), "added"),
        (change.changed.len(), "changed"),
        (change.removed.len(), "removed"),
        (change.docs_only.len(), "with new documentation"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|it| it.0 > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
}

/// The lines of two texts, `- ` removed, `+ ` added, with some context.
pub fn line_diff(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len() > LONGEST || new.len() > LONGEST {
        return vec![format!("({} lines became {})", old.len(), new.len())];
    }
    let marked = mark(&old, &new);
    let is_near_change = |at: usize| {
        let range = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(marked.len());
        marked[range].iter().any(|it| it.0 != ' ')
    };
    let mut lines = Vec::new();
    let mut is_cut = false;
    for (at, (mark, line)) in marked.iter().enumerate() {
        if is_near_change(at) {
            lines.push(format!("{mark} {line}").trim_end().to_owned());
            is_cut = false;
        } else if !is_cut {
            lines.push("  …".to_owned());
            is_cut = true;
        }
    }
    lines
}

/// Each line of both texts with `-`, `+` or a space, by their longest common subsequence.
fn mark<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    // common[i][j]: length of the longest common subsequence of old[i..] and new[j..].
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut marked = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            marked.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            marked.push(('-', old[i]));
            i += 1;
        } else {
            marked.push(('+', new[j]));
            j += 1;
        }
    }
    marked
}

/// `added `a`; changed `b` and `c``, for the line below a freshly drawn graph.
pub fn sentence(change: &Change) -> String {
    let parts = [("added", &change.added), ("changed", &change.changed), ("removed", &change.removed)];
    let parts: Vec<String> = parts
        .iter()
        .filter(|it| !it.1.is_empty())
        .map(|(what, names)| format!("{what} {}", text::list(names)))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(added: &[&str], changed: &[&str], removed: &[&str]) -> Change {
        let names = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        Change { added: names(added), changed: names(changed), removed: names(removed), ..Change::default() }
    }

    #[test]
    fn names_come_with_marks_and_changed_functions_with_their_lines() {
        let old = |name: &str| (name == "b").then(|| "fn b() {\n    1\n}".to_owned());
        let new = |name: &str| (name == "b").then(|| "fn b() {\n    2\n}".to_owned());
        let graph = Graph::default();
        let text = describe(
            &change(&["a"], &["b"], &["long_name"]),
            &Side { graph: &graph, source: &old },
            &Side { graph: &graph, source: &new },
            "the last run",
        );
        assert_eq!(
            text,
            "against the last run: 1 added, 1 changed, 1 removed\n\
             + a          input\n\
             ~ b          input\n\
             \x20     fn b() {\n    -     1\n    +     2\n      }\n\
             - long_name  input"
        );
    }

    #[test]
    fn a_change_elsewhere_is_said_to_be_elsewhere() {
        let same = |_: &str| Some("fn b() {}".to_owned());
        let graph = Graph::default();
        let side = Side { graph: &graph, source: &same };
        let text = describe(&change(&[], &["b"], &[]), &side, &side, "HEAD");
        assert!(text.ends_with("(its own text is the same: something that it reaches changed)"), "{text}");
        assert_eq!(describe(&change(&[], &[], &[]), &side, &side, "HEAD"), "no node differs from HEAD");
    }

    #[test]
    fn distant_lines_are_cut() {
        let old: Vec<String> = (0..20).map(|it| it.to_string()).collect();
        let new = old.join("\n").replace("\n10\n", "\nten\n");
        assert_eq!(
            line_diff(&old.join("\n"), &new),
            ["  …", "  8", "  9", "- 10", "+ ten", "  11", "  12", "  …"]
        );
    }

    #[test]
    fn a_change_reads_as_a_sentence() {
        assert_eq!(sentence(&change(&["a"], &["b", "c"], &[])), "added `a`; changed `b` and `c`");
    }
}

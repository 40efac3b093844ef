//! The picture as text: what each target needs, below it.
//!
//! Every node is opened once; where it occurs again it stands as a reference. Without targets the roots are
//! the nodes that nothing needs. Very deep graphs are cut into several trees, as their indentation alone
//! would fill megabytes.

use super::view::{Edit, Kind, State, View, ViewNode};
use super::words;

/// Below this depth a node becomes a root of its own, further down.
const DEPTH: usize = 24;
/// A longer text is cut: nobody reads it, and frontends become slow.
const LINES: usize = 1000;

/// Draws the view as a tree of lines.
pub fn text(view: &View) -> String {
    let mut tree = Tree {
        view,
        needs: vec![Vec::new(); view.nodes.len()],
        is_open: vec![false; view.nodes.len()],
        roots: roots(view).into_iter().rev().collect(),
        lines: Vec::new(),
    };
    for edge in &view.edges {
        tree.needs[edge.to].push((edge.from, edge.optional));
    }
    if !view.notice.is_empty() {
        tree.lines.push(view.notice.clone());
    }
    if view.nodes.is_empty() {
        tree.lines.push("Nothing to draw: no node is selected.".to_owned());
    }
    while let Some(root) = tree.roots.pop() {
        // A root deferred for its depth may have been opened elsewhere meanwhile.
        if !tree.is_open[root] {
            tree.grow(root);
        }
        if tree.lines.len() > LINES {
            break;
        }
    }
    if tree.lines.len() > LINES {
        tree.lines.truncate(LINES);
        tree.lines.push("… the rest is left out".to_owned());
    }
    if !view.removed.is_empty() {
        tree.lines.push(format!("removed: {}", view.removed.join(", ")));
    }
    let mut out = tree.lines.join("\n");
    out.push('\n');
    out
}

/// Where the trees begin: the targets; else what nothing in the view needs.
fn roots(view: &View) -> Vec<usize> {
    let mut is_needed = vec![false; view.nodes.len()];
    for edge in &view.edges {
        is_needed[edge.from] = true;
    }
    let all = 0..view.nodes.len();
    let mut roots: Vec<usize> = all.clone().filter(|&it| view.nodes[it].is_target).collect();
    // What lies downstream of a target is drawn too if it was asked for.
    roots.extend(all.clone().filter(|&it| !is_needed[it] && !view.nodes[it].is_target));
    if roots.is_empty() {
        // Only collapsed files that need each other.
        roots.extend(all);
    }
    roots
}

struct Tree<'a> {
    view: &'a View,
    needs: Vec<Vec<(usize, bool)>>,
    is_open: Vec<bool>,
    /// Still to be drawn, the next one last.
    roots: Vec<usize>,
    lines: Vec<String>,
}

/// A line that is still to be written.
struct Branch {
    node: usize,
    /// What stands left of the node's own branch.
    indent: String,
    depth: usize,
    is_last: bool,
    is_optional: bool,
}

impl Tree<'_> {
    fn grow(&mut self, root: usize) {
        let mut deferred = Vec::new();
        let first = Branch { node: root, indent: String::new(), depth: 0, is_last: true, is_optional: false };
        let mut stack = vec![first];
        while let Some(branch) = stack.pop() {
            if self.lines.len() > LINES {
                return;
            }
            let (joint, below) = match (branch.depth, branch.is_last) {
                (0, _) => ("", ""),
                (_, true) => ("└─ ", "   "),
                (_, false) => ("├─ ", "│  "),
            };
            let indent = format!("{}{below}", branch.indent);
            let has_needs = !self.needs[branch.node].is_empty();
            let is_deep = has_needs && branch.depth == DEPTH;
            let mark = match () {
                () if self.is_open[branch.node] && has_needs => "  (above)",
                () if is_deep => "  (below)",
                () => "",
            };
            let optional = if branch.is_optional { "?" } else { "" };
            let mut label = label(&self.view.nodes[branch.node], optional, mark);
            let columns = &self.view.nodes[branch.node].columns;
            if self.view.schema && !columns.is_empty() {
                let columns: Vec<String> =
                    columns.iter().map(|it| format!("{}: {}", it.name, it.ty)).collect();
                label = format!("{label}  [{}]", columns.join(", "));
            }
            self.lines.push(format!("{}{joint}{label}", branch.indent));
            if self.is_open[branch.node] {
                continue;
            }
            if is_deep {
                deferred.push(branch.node);
                continue;
            }
            self.is_open[branch.node] = true;
            let needs = self.needs[branch.node].iter().enumerate().rev();
            let last = self.needs[branch.node].len().saturating_sub(1);
            for (index, &(node, is_optional)) in needs {
                let depth = branch.depth + 1;
                stack.push(Branch {
                    node,
                    indent: indent.clone(),
                    depth,
                    is_last: index == last,
                    is_optional,
                });
            }
        }
        self.roots.extend(deferred.into_iter().rev());
    }
}

/// `✓ spend_mean: f64 = 26.67  1.2 ms`.
fn label(node: &ViewNode, optional: &str, mark: &str) -> String {
    let mut text = format!("{} {}{optional}", sign(node), node.name);
    if !node.ty.is_empty() {
        text += &format!(": {}", node.ty);
    }
    if !node.shape.is_empty() {
        text += &format!(" = {}", node.shape.replace('\n', " "));
    }
    match &node.state {
        State::Done { milliseconds, .. } => text += &format!("  {}", words::time(*milliseconds)),
        State::Failed { message } => {
            text += &format!("  failed: {}", message.lines().next().unwrap_or_default());
        }
        State::Stale | State::Skipped | State::Running => text += &format!("  {}", node.state.word()),
        _ => {}
    }
    text += match node.change {
        Edit::None => "",
        Edit::Added => "  [added]",
        Edit::Changed => "  [changed]",
    };
    text + mark
}

fn sign(node: &ViewNode) -> char {
    match (&node.state, node.kind) {
        (State::Idle, Kind::Input) => '◇',
        (State::Idle, Kind::File) => '▤',
        (State::Idle, Kind::Transform) => '○',
        (State::Waiting, _) => '◌',
        (State::Running, _) => '▶',
        (State::Done { changed: true, .. }, _) => '✓',
        (State::Done { changed: false, .. }, _) => '≈',
        (State::Reused, _) => '=',
        (State::Taken, _) => '◆',
        (State::Failed { .. }, _) => '✗',
        (State::Skipped, _) => '⊘',
        (State::Stale, _) => '~',
    }
}

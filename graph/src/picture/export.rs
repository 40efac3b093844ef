//! The picture for other tools: Graphviz and Mermaid.
//!
//! Both get the structure, the files as clusters and the states as styles, and lay it out themselves. Ids
//! are numbers of our own: a node's name may be a keyword there (`graph`, `end`).

use std::fmt::Write;

use super::view::{Kind, Orientation, State, View, ViewNode};

/// The view in Graphviz' language.
pub fn dot(view: &View) -> String {
    let rankdir = if view.orientation == Orientation::Tb { "TB" } else { "LR" };
    let mut out = format!(
        "digraph brooklet {{\n  rankdir={rankdir};\n  node [shape=box, style=\"rounded,filled\", \
         fillcolor=white, fontname=\"Helvetica\"];\n  edge [color=\"#8a929c\", arrowsize=0.7];\n"
    );
    for (file, nodes) in clusters(view).iter().enumerate() {
        let indent = match nodes.0 {
            "" => "  ",
            path => {
                let _ = write!(
                    out,
                    "  subgraph cluster_{file} {{\n    label={}; style=rounded; color=\"#c9cfd6\";\n",
                    dot_text(path)
                );
                "    "
            }
        };
        for &index in &nodes.1 {
            let _ = writeln!(out, "{indent}n{index} [{}];", dot_node(&view.nodes[index]));
        }
        if !nodes.0.is_empty() {
            out += "  }\n";
        }
    }
    for edge in &view.edges {
        let style = if edge.optional { " [style=dashed]" } else { "" };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out + "}\n"
}

fn dot_node(node: &ViewNode) -> String {
    let mut text = node.name.clone();
    for part in [&node.ty, &node.shape] {
        if !part.is_empty() {
            text += &format!("\n{part}");
        }
    }
    let mut attributes = format!("label={}", dot_text(&text));
    if node.kind == Kind::Input {
        attributes += ", style=\"rounded,filled,dashed\"";
    }
    if node.kind == Kind::File {
        attributes += ", shape=folder, style=filled";
    }
    if let Some(color) = color(&node.state) {
        attributes += &format!(", color=\"{color}\"");
    }
    if node.is_target {
        attributes += ", peripheries=2";
    }
    attributes
}

fn dot_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The view in Mermaid's language.
pub fn mermaid(view: &View) -> String {
    let direction = if view.orientation == Orientation::Tb { "TB" } else { "LR" };
    let mut out = format!("flowchart {direction}\n");
    for (file, nodes) in clusters(view).iter().enumerate() {
        let is_cluster = !nodes.0.is_empty();
        if is_cluster {
            let _ = writeln!(out, "  subgraph f{file}[\"{}\"]", mermaid_text(nodes.0));
        }
        let indent = if is_cluster { "    " } else { "  " };
        for &index in &nodes.1 {
            let node = &view.nodes[index];
            let mut text = mermaid_text(&node.name);
            for part in [&node.ty, &node.shape] {
                if !part.is_empty() {
                    text += &format!("<br/>{}", mermaid_text(part));
                }
            }
            let (open, close) = match node.kind {
                Kind::Transform => ("(", ")"),
                Kind::Input => ("([", "])"),
                Kind::File => ("[[", "]]"),
            };
            let _ = writeln!(out, "{indent}n{index}{open}\"{text}\"{close}");
        }
        if is_cluster {
            out += "  end\n";
        }
    }
    for edge in &view.edges {
        let arrow = if edge.optional { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    for (index, node) in view.nodes.iter().enumerate() {
        let mut style = Vec::new();
        if let Some(color) = color(&node.state) {
            style.push(format!("stroke:{color}"));
        }
        if node.kind == Kind::Input {
            style.push("stroke-dasharray:4 3".to_owned());
        }
        if node.is_target {
            style.push("stroke-width:3px".to_owned());
        }
        if !style.is_empty() {
            let _ = writeln!(out, "  style n{index} {}", style.join(","));
        }
    }
    out
}

/// Mermaid reads html in labels and has its own escapes for what would end them.
fn mermaid_text(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '"' => safe += "#quot;",
            '#' => safe += "#35;",
            '&' => safe += "#amp;",
            '<' => safe += "#lt;",
            '>' => safe += "#gt;",
            '`' => safe += "#96;",
            '\n' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Nodes by file in order of first appearance; the empty path is that of inputs.
fn clusters(view: &View) -> Vec<(&str, Vec<usize>)> {
    let mut clusters: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, node) in view.nodes.iter().enumerate() {
        // One file needs no frame around everything, and a collapsed file is its own.
        let is_framed = view.files().len() > 1 && node.kind != Kind::File;
        let file = if is_framed { node.file.as_str() } else { "" };
        match clusters.iter_mut().find(|it| it.0 == file) {
            Some(cluster) => cluster.1.push(index),
            None => clusters.push((file, vec![index])),
        }
    }
    clusters
}

fn color(state: &State) -> Option<&'static str> {
    match state {
        State::Idle | State::Waiting | State::Skipped => None,
        State::Running => Some("#0b69d3"),
        State::Done { .. } | State::Reused => Some("#23843f"),
        State::Taken => Some("#6d55c9"),
        State::Failed { .. } => Some("#c9302c"),
        State::Stale => Some("#b7791f"),
    }
}

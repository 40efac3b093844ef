//! What the pictures say in words: times, counts, tooltips.

use super::view::{Edit, Kind, State, View, ViewNode};

/// A time in at most six characters.
pub(super) fn time(milliseconds: f64) -> String {
    let seconds = milliseconds / 1000.0;
    match milliseconds {
        it if !it.is_finite() || it < 0.0 => String::new(),
        it if it < 0.95 => format!("{:.0} µs", (it * 1000.0).max(1.0)),
        it if it < 9.95 => format!("{it:.1} ms"),
        it if it < 999.5 => format!("{it:.0} ms"),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        _ if seconds < 99.5 => format!("{seconds:.0} s"),
        _ if seconds < 5970.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

/// How many nodes are in each state that occurs, in the order of a run's interest.
pub(super) fn counts(view: &View) -> Vec<(&State, usize)> {
    const ORDER: [&str; 10] =
        ["failed", "running", "waiting", "done", "unchanged", "reused", "given", "skipped", "stale", "idle"];
    let of_word = |word: &&str| {
        let mut states = view.nodes.iter().map(|it| &it.state).filter(|it| it.word() == *word);
        states.next().map(|first| (first, 1 + states.count()))
    };
    ORDER.iter().filter_map(of_word).collect()
}

/// "12 nodes, 3 inputs, 14 edges", and the file if there is only one.
pub(super) fn facts(view: &View) -> String {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let inputs = view.nodes.iter().filter(|it| it.kind == Kind::Input).count();
    let mut parts = vec![plural(view.nodes.len() - inputs, "node")];
    if inputs > 0 {
        parts.push(plural(inputs, "input"));
    }
    parts.push(plural(view.edges.len(), "edge"));
    if let [file] = view.files()[..] {
        parts.push(file.to_owned());
    }
    parts.join(" · ")
}

pub(super) fn title(view: &View) -> String {
    match view.files()[..] {
        [] => "Dataflow".to_owned(),
        [file] => format!("Dataflow of {file}"),
        [first, ref rest @ ..] => format!("Dataflow of {first} and {} more", rest.len()),
    }
}

/// The picture for those who do not see it.
pub(super) fn description(view: &View) -> String {
    let mut text = format!("{}.", facts(view).replace(" · ", ", "));
    let targets: Vec<&str> = view.nodes.iter().filter(|it| it.is_target).map(|it| it.name.as_str()).collect();
    if !targets.is_empty() {
        text += &format!(" Targets: {}.", targets.join(", "));
    }
    let counts: Vec<String> = counts(view).iter().map(|it| format!("{} {}", it.1, it.0.word())).collect();
    text += &format!(" {}.", counts.join(", "));
    for node in &view.nodes {
        if let State::Failed { message } = &node.state {
            text += &format!(" {} failed: {message}.", node.name);
        }
    }
    text
}

/// What the mouse is told about a node. Shorter in large pictures, where it would be most of the html: there
/// it leaves out what the box says already.
pub(super) fn tooltip(node: &ViewNode, is_large: bool) -> String {
    let mut lines = vec![match node.ty.as_str() {
        _ if is_large && node.name.len() + node.ty.len() < 36 => String::new(),
        "" => node.name.clone(),
        ty => format!("{}: {ty}", node.name),
    }];
    let mut state = match &node.state {
        State::Idle => String::new(),
        State::Done { .. } | State::Reused | State::Taken if is_large => String::new(),
        State::Done { milliseconds, .. } => format!("{} in {}", node.state.word(), time(*milliseconds)),
        State::Failed { message } => format!("failed: {message}"),
        other => other.word().to_owned(),
    };
    if !node.shape.is_empty() && !is_large {
        state = if state.is_empty() { node.shape.clone() } else { format!("{} — {state}", node.shape) };
    }
    lines.push(state);
    lines.push(match node.change {
        Edit::None => String::new(),
        Edit::Added => "added by the last change".to_owned(),
        Edit::Changed => "changed by the last change".to_owned(),
    });
    let doc = if is_large { node.doc.lines().next().unwrap_or_default() } else { &node.doc };
    lines.push(shorten(doc.trim(), if is_large { 80 } else { 400 }));
    if node.kind == Kind::File {
        let names: Vec<&str> = node.members.iter().map(|it| it.name.as_str()).collect();
        lines.push(shorten(&names.join(", "), 400));
    }
    lines.push(match (node.file.as_str(), node.line) {
        ("", _) if node.kind == Kind::Input => "input".to_owned(),
        ("", _) => String::new(),
        (file, 0) => file.to_owned(),
        (file, line) => format!("{file}:{line}"),
    });
    lines.retain(|it| !it.is_empty());
    lines.join("\n")
}

fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_short_at_every_size() {
        let times =
            [0.0, 0.4, 0.95, 1.23, 9.94, 9.96, 12.3, 999.4, 999.6, 61_000.0, 600_000.0, 1e8, f64::NAN];
        let texts: Vec<String> = times.iter().map(|it| time(*it)).collect();
        assert_eq!(
            texts,
            [
                "1 µs", "400 µs", "0.9 ms", "1.2 ms", "9.9 ms", "10 ms", "12 ms", "999 ms", "1.0 s", "61 s",
                "10 min", "28 h", ""
            ]
        );
    }
}

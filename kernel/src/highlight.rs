//! Colours for code in the page: words, strings, numbers, comments, and the magics on top of a cell.
//!
//! A scanner, not a parser: it never fails, and text comes out as it went in, only escaped and wrapped.

use brooklet_graph::html::escape;

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
    "self", "Self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
];

/// A notebook cell: line magics, then Rust.
pub fn cell(source: &str) -> String {
    let mut html = String::new();
    let mut rest = source;
    while let Some(end) = line_end(rest) {
        let (line, after) = rest.split_at(end);
        let trimmed = line.trim_start();
        let is_magic = trimmed.starts_with(['%', ':', '!']) && !trimmed.starts_with("::");
        if !is_magic && !trimmed.trim().is_empty() {
            break;
        }
        html.push_str(&if is_magic { magic(line) } else { escape(line) });
        rest = after;
    }
    html + &rust(rest)
}

/// Rust code.
pub fn rust(source: &str) -> String {
    let mut html = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, class) = token(rest, first);
        let (text, after) = rest.split_at(length);
        html.push_str(&if class.is_empty() { escape(text) } else { span(class, text) });
        rest = after;
    }
    html
}

/// `%name` in one colour, options in another.
fn magic(line: &str) -> String {
    let name_end = line.len() - line.trim_start_matches([' ', '\t']).len();
    let name_end = line[name_end..].find(char::is_whitespace).map_or(line.len(), |it| it + name_end);
    let (name, arguments) = line.split_at(name_end);
    let words = arguments
        .split_inclusive(' ')
        .map(|word| if word.starts_with("--") { span("k", word) } else { escape(word) });
    span("m", name) + &words.collect::<String>()
}

fn line_end(text: &str) -> Option<usize> {
    (!text.is_empty()).then(|| text.find('\n').map_or(text.len(), |it| it + 1))
}

/// The length in bytes of the token at the start, and its class.
fn token(rest: &str, first: char) -> (usize, &'static str) {
    let run = |inside: fn(char) -> bool| rest.find(|it| !inside(it)).unwrap_or(rest.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), "c");
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |it| it + 2), "c");
    }
    if let Some(length) = raw_string(rest) {
        return (length, "s");
    }
    match first {
        '"' => (quoted(rest, '"'), "s"),
        '\'' if is_char(rest) => (quoted(rest, '\''), "s"),
        '0'..='9' => (run(|it| it.is_alphanumeric() || it == '_'), "n"),
        it if it.is_alphabetic() || it == '_' => {
            let length = run(|it| it.is_alphanumeric() || it == '_');
            let word = &rest[..length];
            let class = if KEYWORDS.contains(&word) {
                "k"
            } else if rest[length..].starts_with('!') && !rest[length..].starts_with("!=") {
                "m"
            } else if word.starts_with(char::is_uppercase) {
                "t"
            } else {
                ""
            };
            (length, class)
        }
        '#' if rest.starts_with("#[") => (rest.find(']').map_or(rest.len(), |it| it + 1), "m"),
        other => (other.len_utf8(), ""),
    }
}

/// Whether a quote starts a character and not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, it) in rest.char_indices().skip(1) {
        if it == quote && !escaped {
            return index + 1;
        }
        escaped = it == '\\' && !escaped;
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - inside.len();
    Some(inside.find(&end).map_or(rest.len(), |it| start + it + end.len()))
}

fn span(class: &str, text: &str) -> String {
    format!("<span class=\"h-{class}\">{}</span>", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magics_are_marked_only_above_the_code() {
        assert_eq!(
            cell("%run a --as json\nx % y"),
            "<span class=\"h-m\">%run</span> a <span class=\"h-k\">--as </span>json\nx % y"
        );
    }

    #[test]
    fn no_text_is_lost_whatever_it_is() {
        for source in
            ["let s = \"a\\\"b\"; // <c>", "'a 'b' r#\"x\"# /* open", "\"open \\", "é % ::x\n\n%run", "#[a"]
        {
            let html = rust(source);
            let mut text = String::new();
            let mut inside = false;
            for it in html.chars() {
                match it {
                    '<' => inside = true,
                    '>' => inside = false,
                    it if !inside => text.push(it),
                    _ => {}
                }
            }
            let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
            let text = entities.iter().fold(text, |text, (entity, it)| text.replace(entity, it));
            assert_eq!(text, source);
        }
    }

    #[test]
    fn words_strings_and_numbers_have_classes() {
        let html = rust("let x: Vec<f64> = vec![1.5, \"a\"];");
        for part in ["h-k\">let", "h-t\">Vec", "h-m\">vec", "h-n\">1", "h-s\">&quot;a&quot;"] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}

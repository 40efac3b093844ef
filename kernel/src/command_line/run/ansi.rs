//! ANSI colour codes, as compilers write them: taken out, or turned into HTML.
//!
//! Only what `rustc`, `ariadne` and our own messages use is understood: styles (`ESC [ .. m`) and a
//! carriage return, which starts the line again. Every other escape is dropped.

use brooklet_graph::html::escape;
use std::fmt::Write;

/// The text without its escapes.
pub fn strip(text: &str) -> String {
    pieces(text).into_iter().map(|(_, text)| text).collect()
}

/// The text as HTML: escaped, styles as `<span class="a-..">`, overwritten parts of lines left out.
pub fn to_html(text: &str) -> String {
    let mut html = String::new();
    for (style, text) in pieces(&overwritten(text)) {
        let classes = style.classes();
        let text = escape(&text);
        // Writing into a String cannot fail.
        let _ = if classes.is_empty() {
            write!(html, "{text}")
        } else {
            write!(html, "<span class=\"{classes}\">{text}</span>")
        };
    }
    html
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Style {
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    /// 0-7 as in code 30-37, 8-15 as in 90-97.
    colour: Option<u8>,
}

impl Style {
    fn classes(&self) -> String {
        let mut classes = Vec::new();
        for (set, name) in
            [(self.bold, "a-b"), (self.dim, "a-d"), (self.italic, "a-i"), (self.underline, "a-u")]
        {
            if set {
                classes.push(name.to_owned());
            }
        }
        classes.extend(self.colour.map(|it| format!("a-{}", it % 8)));
        classes.join(" ")
    }

    fn apply(&mut self, codes: &str) {
        let codes: Vec<u8> = codes.split(';').map(|it| it.parse().unwrap_or(0)).collect();
        let mut at = 0;
        while at < codes.len() {
            match codes[at] {
                0 => *self = Style::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                it @ 30..=37 => self.colour = Some(it - 30),
                39 => self.colour = None,
                it @ 90..=97 => self.colour = Some(it - 90 + 8),
                // 38;5;N and 48;5;N: the 16 named ones, and ariadne's few of the big palette.
                kind @ (38 | 48) if codes.get(at + 1) == Some(&5) => {
                    if let (38, Some(colour)) = (kind, codes.get(at + 2)) {
                        self.colour = near(*colour);
                    }
                    at += 2;
                }
                38 | 48 => at += 4,
                _ => {}
            }
            at += 1;
        }
    }
}

/// The named colour nearest to one of the 256; greys are no colour.
fn near(colour: u8) -> Option<u8> {
    match colour {
        0..=15 => Some(colour),
        16..=231 => {
            let part = |of: u8| u8::from((colour - 16) / of % 6 >= 3);
            let named = part(36) | part(6) << 1 | part(1) << 2;
            (named != 7 && named != 0).then_some(named)
        }
        _ => None,
    }
}

fn pieces(text: &str) -> Vec<(Style, String)> {
    let mut pieces = vec![(Style::default(), String::new())];
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (plain, escape) = rest.split_at(at);
        if let Some(last) = pieces.last_mut() {
            last.1.push_str(plain);
        }
        let Some(body) = escape[1..].strip_prefix('[') else {
            rest = &escape[1..];
            continue;
        };
        let Some(end) = body.find(|it: char| ('\x40'..='\x7e').contains(&it)) else {
            rest = "";
            break;
        };
        if body[end..].starts_with('m') {
            let mut style = pieces.last().map(|it| it.0.clone()).unwrap_or_default();
            style.apply(&body[..end]);
            pieces.push((style, String::new()));
        }
        rest = &body[end + 1..];
    }
    if let Some(last) = pieces.last_mut() {
        last.1.push_str(rest);
    }
    pieces.retain(|(_, text)| !text.is_empty());
    pieces
}

/// What a terminal would show of lines that were written over (`\r` progress).
fn overwritten(text: &str) -> String {
    let line = |line: &str| {
        let (body, end) = match line.strip_suffix('\n') {
            Some(body) => (body.strip_suffix('\r').unwrap_or(body), "\n"),
            None => (line, ""),
        };
        format!("{}{end}", body.rsplit('\r').find(|it| !it.is_empty()).unwrap_or(""))
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out() {
        assert_eq!(strip("\x1b[1m\x1b[38;5;9merror\x1b[0m: no\x1b[K"), "error: no");
        assert_eq!(strip("cut \x1b[1"), "cut ");
    }

    #[test]
    fn styles_become_spans_and_text_is_escaped() {
        assert_eq!(to_html("a<b \x1b[1;31mred\x1b[0m"), "a&lt;b <span class=\"a-b a-1\">red</span>");
        assert_eq!(to_html("\x1b[38;5;9mx\x1b[39m y"), "<span class=\"a-1\">x</span> y");
        assert_eq!(to_html("\x1b[38;2;1;2;3mx"), "x");
    }

    #[test]
    fn only_the_last_state_of_an_overwritten_line_is_shown() {
        assert_eq!(to_html("1%\r50%\r100%\ndone\r\n"), "100%\ndone\n");
    }
}

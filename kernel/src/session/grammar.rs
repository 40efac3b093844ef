//! What a cell says: magics at the top, then code.
//!
//! A cell is read in two steps. First it is cut into line magics (top of the cell, one per line, a line
//! goes on where a bracket is open or after a `\`), and the rest; or into a `%%` magic and its body. Then
//! each magic's words are held against its declaration in `magics`. A mistake is one `UsageError` that
//! points at the word and shows the accepted form; nothing of the cell runs then.

mod call;
#[cfg(test)]
mod tests;

use std::ops::Range;

use brooklet_graph::parse::nesting;

use super::magics::{Kind, MAGICS};
use super::words;

pub use call::{Call, call};

/// `%time` in `%time`, at most: each takes what follows it as a cell of its own.
pub const MAX_TIMES: usize = 16;

/// A whole cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub magics: Vec<Call>,
    /// What follows the magics; for a `%%` magic all that follows its line.
    pub body: String,
    /// Where the body starts in the cell.
    pub body_start: usize,
}

/// A magic that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    pub message: String,
    /// The line with the mistake, and the place in it.
    pub line: String,
    pub place: Range<usize>,
    /// The accepted form, empty where there is none.
    pub usage: String,
    pub hint: Option<String>,
}

/// A magic's line before its words are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// Where it stands in the cell, without the newline.
    pub place: Range<usize>,
}

/// Cuts the magics off the top of a cell: their lines, and where the body starts.
pub fn cut(code: &str) -> (Vec<RawLine>, usize) {
    let mut lines = Vec::new();
    let mut body_start = 0;
    let mut at = 0;
    while at < code.len() {
        let end = line_end(code, at);
        let line = code[at..end].trim();
        if line.starts_with('%') {
            let start = at + (code[at..end].len() - code[at..end].trim_start().len());
            let end = magic_end(code, start);
            lines.push(RawLine { place: start..end });
            at = (end + 1).min(code.len());
            body_start = at;
            if code[start..].starts_with("%%") {
                break;
            }
        } else if line.is_empty() || line.starts_with("//") {
            at = (end + 1).min(code.len());
        } else {
            break;
        }
    }
    (lines, body_start)
}

fn line_end(code: &str, at: usize) -> usize {
    code[at..].find('\n').map_or(code.len(), |it| at + it)
}

/// A magic goes on over line ends while a bracket is open, and after a `\`; if a bracket is never
/// closed it ends with its first line, where the mistake is shown. One that is nested too deeply ends where it
/// has become so, which is told before anything else.
fn magic_end(code: &str, start: usize) -> usize {
    let first = line_end(code, start);
    let mut scanner = words::Scanner::default();
    let (mut read, mut end) = (start, first);
    loop {
        for (at, c) in code[read..end].char_indices() {
            scanner.take(read + at, c);
        }
        let is_open = scanner.in_bracket();
        let goes_on = is_open || code[start..end].trim_end_matches([' ', '\t', '\r']).ends_with('\\');
        if !goes_on || scanner.depth() > nesting::MAX_DEPTH {
            return end;
        }
        if end == code.len() {
            return if is_open { first } else { end };
        }
        (read, end) = (end, line_end(code, end + 1));
    }
}

/// Whether the cell's last magic waits for a bracket to be closed, or for the line behind a `\`.
pub fn is_open(code: &str) -> bool {
    let (lines, body_start) = cut(code);
    let Some(last) = lines.last() else { return false };
    // A bracket that is never closed ends its magic with the first line; what follows it then belongs to it.
    let text = &code[last.place.start..];
    let first = &code[last.place.start..line_end(code, last.place.start)];
    let waits = |text: &str| {
        let is_open = matches!(words::split(text), Err(it) if !matches!(it.opener, '"' | '\''));
        // More lines would not mend what is nested too deeply.
        is_open && words::too_deep(text).is_none()
    };
    let goes_on =
        code[body_start..].trim().is_empty() && text.trim_end_matches([' ', '\t', '\r']).ends_with('\\');
    let takes_code = first.starts_with("%%") || first.starts_with("%time");
    !takes_code && (goes_on || (waits(first) && waits(text)))
}

/// Reads a cell.
///
/// # Errors
/// The first magic that cannot be understood.
pub fn parse(code: &str) -> Result<Cell, UsageError> {
    check_times(code)?;
    let (lines, body_start) = cut(code);
    let mut magics = Vec::new();
    for line in &lines {
        magics.push(call(&code[line.place.clone()])?);
    }
    if let Some(second) = magics.iter().position(|it| it.magic.kind == Kind::Cell)
        && second > 0
    {
        return Err(UsageError {
            message: format!("`{}` must be the first line of its cell", magics[second].magic.title()),
            place: 0..magics[second].magic.title().len(),
            line: magics[second].line.clone(),
            usage: magics[second].magic.usage(),
            hint: Some("put it into a cell of its own".to_owned()),
        });
    }
    let body = &code[body_start..];
    if magics.first().is_none_or(|it| it.magic.kind == Kind::Line) {
        check_body(body)?;
    }
    Ok(Cell { magics, body: body.to_owned(), body_start })
}

/// What is timed may be timed again in parts, and each part is executed inside the other.
fn check_times(code: &str) -> Result<(), UsageError> {
    let is_time = |it: &&str| matches!(*it, "%time" | "%%time");
    let (mut around, mut longest) = (0, 0);
    for line in code.lines().map(str::trim_start).filter(|it| it.starts_with('%')) {
        let times = line.split_whitespace().take_while(is_time).count();
        // Alone in its line it times all that follows, else only its line.
        match line.split_whitespace().nth(times) {
            None => around += times,
            Some(_) => longest = longest.max(times),
        }
        if around + longest > MAX_TIMES {
            return Err(UsageError {
                message: format!("a cell can be timed at most {MAX_TIMES} times over"),
                place: 0..line.find(char::is_whitespace).unwrap_or(line.len()),
                line: excerpt(line, 0).0,
                usage: String::new(),
                hint: Some("one `%time` times all that follows it".to_owned()),
            });
        }
    }
    Ok(())
}

/// The text around a place, with the place in it: what is nested too deeply makes long lines.
pub fn excerpt(text: &str, at: usize) -> (String, usize) {
    const BEFORE: usize = 40;
    const BEHIND: usize = 20;
    let line_start = text[..at].rfind('\n').map_or(0, |it| it + 1);
    let behind = line_end(text, at);
    let first = text[line_start..at].char_indices().rev().nth(BEFORE - 1);
    let start = first.map_or(line_start, |it| line_start + it.0);
    let end = text[at..behind].char_indices().nth(BEHIND).map_or(behind, |it| at + it.0);
    let (left, right) = (if start > line_start { "…" } else { "" }, if end < behind { "…" } else { "" });
    (format!("{left}{}{right}", &text[start..end]), left.len() + at - start)
}

/// A known magic below code would be read as the remainder operator.
fn check_body(body: &str) -> Result<(), UsageError> {
    for line in body.lines() {
        let Some(rest) = line.strip_prefix('%') else { continue };
        let name: String =
            rest.trim_start_matches('%').chars().take_while(|it| it.is_alphanumeric()).collect();
        if MAGICS.iter().any(|it| it.name == name) {
            return Err(UsageError {
                message: format!("`%{name}` stands below code; magics stand at the top of a cell"),
                line: line.to_owned(),
                place: 0..name.len() + 1,
                usage: String::new(),
                hint: Some(format!("move it up, or write `% {name}` for the remainder operator")),
            });
        }
    }
    Ok(())
}

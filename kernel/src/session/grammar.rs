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

use super::magics::{Kind, MAGICS};
use super::words;

pub use call::{Call, call};

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
/// closed it ends with its first line, where the mistake is shown.
fn magic_end(code: &str, start: usize) -> usize {
    let first = line_end(code, start);
    let mut end = first;
    loop {
        let text = &code[start..end];
        let is_open = matches!(words::split(text), Err(it) if !matches!(it.opener, '"' | '\''));
        if !is_open && !text.trim_end_matches([' ', '\t', '\r']).ends_with('\\') {
            return end;
        }
        if end == code.len() {
            return if is_open { first } else { end };
        }
        end = line_end(code, end + 1);
    }
}

/// Whether the cell's last magic waits for a bracket to be closed, or for the line behind a `\`.
pub fn is_open(code: &str) -> bool {
    let (lines, body_start) = cut(code);
    let Some(last) = lines.last() else { return false };
    // A bracket that is never closed ends its magic with the first line; what follows it then belongs to it.
    let text = &code[last.place.start..];
    let first = &code[last.place.start..line_end(code, last.place.start)];
    let waits = |text: &str| matches!(words::split(text), Err(it) if !matches!(it.opener, '"' | '\''));
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

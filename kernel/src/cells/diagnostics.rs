//! rustc's errors in a cell, told at the user's own text.
//!
//! What is compiled is the user's cell with bindings and a `show` put in, on the same lines. Nothing is ever
//! taken out, so each line of the user's is found again in the compiled line: as the way to read it with the
//! fewest insertions. A place that lies in an insertion is not the user's and is left out.

use brooklet_graph::diagnostic::{Diagnostic, Label, Severity};
use brooklet_graph::source::{SourceFile, Sources, Span};

use super::CellCode;
use super::protocol::{CodeSpan, CompileError};

/// Longer lines are not searched: no one writes them by hand.
const MAX_CELLS: usize = 4_000_000;

/// The errors as diagnostics over the cell as the user wrote it, in the order of their places.
pub fn diagnostics(errors: &[CompileError], cell: CellCode<'_>) -> (Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    sources.push(SourceFile {
        path: cell.name.to_owned(),
        absolute: String::new(),
        text: cell.original.to_owned(),
    });
    let lines = LineMap::new(cell.code, cell.original);
    let mut diagnostics: Vec<Diagnostic> = errors.iter().map(|it| diagnostic(it, &lines)).collect();
    diagnostics.sort_by_key(|it| it.labels.first().map_or(u32::MAX, |label| label.span.start));
    diagnostics.dedup();
    (diagnostics, sources)
}

fn diagnostic(error: &CompileError, lines: &LineMap) -> Diagnostic {
    let mut labels: Vec<(bool, Label)> = Vec::new();
    for span in &error.spans {
        let Some((start, end)) = lines.original(span) else { continue };
        let text = span.label.trim();
        // Where rustc gave no label, evcxr repeats the message.
        let text = if text == format!("error: {}", error.message) { "" } else { text };
        let label = Label { span: Span { file: 0, start, end }, text: text.to_owned() };
        if !labels.iter().any(|(_, it)| *it == label) {
            labels.push((span.is_primary, label));
        }
    }
    labels.sort_by_key(|(is_primary, _)| !is_primary);
    let mut hints = error.help.clone();
    if labels.is_empty() && !error.is_from_user {
        hints.push(
            "this is in code that is generated around the cell; `:last_error_json` shows all of it".into(),
        );
    }
    Diagnostic {
        code: if error.code.is_empty() { "CompileError".to_owned() } else { error.code.clone() },
        severity: Severity::Error,
        message: error.message.clone(),
        labels: labels.into_iter().map(|(_, label)| label).collect(),
        hints,
    }
}

/// From places in the compiled cell to byte offsets in the user's.
struct LineMap {
    lines: Vec<Line>,
}

/// One line: for each character of the compiled line the byte range of the user's character, if it is the
/// user's.
struct Line {
    characters: Vec<Option<(u32, u32)>>,
}

impl LineMap {
    fn new(code: &str, original: &str) -> LineMap {
        let mut lines = Vec::new();
        let mut originals = original.split('\n');
        let mut offset = 0;
        for code_line in code.split('\n') {
            let original_line = originals.next();
            lines.push(Line::new(code_line, original_line.unwrap_or_default(), offset));
            offset += original_line.map_or(0, |it| it.len() + 1);
        }
        LineMap { lines }
    }

    /// The user's bytes that a place covers: from the first to the last character of the user's in it. A
    /// place between two characters of the user's covers nothing, but stands somewhere.
    fn original(&self, span: &CodeSpan) -> Option<(u32, u32)> {
        let (first, last) = (span.start_line.checked_sub(1)?, span.end_line.checked_sub(1)?);
        let mut range: Option<(u32, u32)> = None;
        for index in first..=last {
            let line = self.lines.get(index)?;
            let start = if index == first { span.start_column.checked_sub(1)? } else { 0 };
            let end = if index == last { span.end_column.checked_sub(1)? } else { line.characters.len() };
            let end = end.min(line.characters.len());
            for &(start, end) in line.characters.get(start.min(end)..end)?.iter().flatten() {
                range = Some((range.map_or(start, |it| it.0), end));
            }
        }
        if range.is_none() && first == last && span.start_column == span.end_column {
            let characters = &self.lines.get(first)?.characters;
            let at = span.start_column.checked_sub(1)?;
            let after = characters.get(at).copied().flatten().map(|it| it.0);
            let before =
                at.checked_sub(1).and_then(|it| characters.get(it).copied().flatten()).map(|it| it.1);
            range = before.or(after).map(|it| (it, it));
        }
        range
    }
}

impl Line {
    fn new(code: &str, original: &str, offset: usize) -> Line {
        let code: Vec<char> = code.chars().collect();
        let bytes: Vec<(u32, u32)> = original
            .char_indices()
            .map(|(at, c)| ((offset + at) as u32, (offset + at + c.len_utf8()) as u32))
            .collect();
        let original: Vec<char> = original.chars().collect();
        let places = align(&original, &code);
        Line { characters: places.into_iter().map(|it| it.map(|index| bytes[index])).collect() }
    }
}

/// For each character of `code` the character of `original` that it is, with the fewest insertions; where
/// there is a choice, as late as possible, because bindings come first. All `None` if `original` is not
/// part of `code`.
fn align(original: &[char], code: &[char]) -> Vec<Option<usize>> {
    if original == code {
        return (0..code.len()).map(Some).collect();
    }
    let mut places = vec![None; code.len()];
    let (height, width) = (original.len() + 1, code.len() + 1);
    if original.is_empty() || height * width > MAX_CELLS {
        return places;
    }
    const NEVER: u32 = u32::MAX / 2;
    // blocks[i][j]: runs of the user's characters needed to place the first i of them in the first j of
    // `code`; `open` if the run reaches up to j, `any` in any case.
    let mut open = vec![NEVER; height * width];
    let mut any = vec![NEVER; height * width];
    any[..width].fill(0);
    for i in 1..height {
        for j in 1..width {
            let (here, left, before) = (i * width + j, i * width + j - 1, (i - 1) * width + j - 1);
            if original[i - 1] == code[j - 1] {
                open[here] = open[before].min(any[before] + 1);
            }
            any[here] = any[left].min(open[here]);
        }
    }
    let (mut i, mut j) = (height - 1, width - 1);
    if any[i * width + j] >= NEVER {
        return places;
    }
    let mut in_run = false;
    while i > 0 {
        let (here, before) = (i * width + j, (i - 1) * width + j - 1);
        if !in_run && any[here] < open[here] {
            j -= 1;
            continue;
        }
        places[j - 1] = Some(i - 1);
        in_run = open[here] == open[before];
        i -= 1;
        j -= 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = "let x = spend.max();\nspend.mean(1)";
    const CODE: &str = "let x = { let spend = bind!(p1_0, g::spend); spend.max() };\n\
                        { let spend = bind!(p1_0, g::spend); show!(spend.mean(1)); }";

    fn place(line: usize, text: &str) -> CodeSpan {
        let code_line = CODE.lines().nth(line - 1).unwrap();
        let at = code_line.rfind(text).unwrap();
        let start_column = code_line[..at].chars().count() + 1;
        let end_column = start_column + text.chars().count();
        CodeSpan { start_line: line, start_column, end_line: line, end_column, ..CodeSpan::default() }
    }

    fn original(span: &CodeSpan) -> Option<&'static str> {
        LineMap::new(CODE, ORIGINAL)
            .original(span)
            .map(|(start, end)| &ORIGINAL[start as usize..end as usize])
    }

    #[test]
    fn places_in_the_users_text_are_found_again() {
        assert_eq!(original(&place(1, "max")), Some("max"));
        assert_eq!(original(&place(1, "spend.max()")), Some("spend.max()"));
        assert_eq!(original(&place(2, "mean(1)")), Some("mean(1)"));
        assert_eq!(original(&place(2, "spend.mean(1)); }")), Some("spend.mean(1)"));
        assert_eq!(original(&place(1, "let x")), Some("let x"));
    }

    #[test]
    fn places_in_insertions_are_nobodys() {
        assert_eq!(original(&place(2, "bind!(p1_0")), None);
        assert_eq!(original(&place(2, "show!")), None);
    }

    #[test]
    fn a_place_may_run_over_lines() {
        let span =
            CodeSpan { start_line: 1, start_column: 5, end_line: 2, end_column: 200, ..CodeSpan::default() };
        assert_eq!(original(&span), Some("x = spend.max();\nspend.mean(1)"));
    }

    #[test]
    fn places_outside_are_nobodys() {
        for (line, column) in [(0, 1), (1, 0), (3, 1), (9, 9)] {
            let (start_line, start_column) = (line, column);
            let span = CodeSpan {
                start_line,
                start_column,
                end_line: line,
                end_column: column + 1,
                ..CodeSpan::default()
            };
            assert_eq!(original(&span), None, "{line}:{column}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let map = LineMap::new("show!(größe + ä);", "größe + ä");
        let span =
            CodeSpan { start_line: 1, start_column: 15, end_line: 1, end_column: 16, ..CodeSpan::default() };
        let (start, end) = map.original(&span).unwrap();
        assert_eq!(&"größe + ä"[start as usize..end as usize], "ä");
    }

    #[test]
    fn the_primary_place_comes_first_and_repeated_messages_are_dropped() {
        let mut label = place(1, "spend.max()");
        label.label = "error: mismatched types".into();
        let mut primary = place(2, "mean");
        (primary.label, primary.is_primary) = ("expected `i32`".into(), true);
        let error = CompileError {
            code: "E0308".into(),
            message: "mismatched types".into(),
            spans: vec![label, primary],
            help: vec!["try this".into()],
            is_from_user: true,
        };
        let cell = CellCode { code: CODE, original: ORIGINAL, name: "cell [1]" };
        let (found, sources) = diagnostics(&[error.clone(), error], cell);
        assert_eq!(found.len(), 1);
        let labels: Vec<_> =
            found[0].labels.iter().map(|it| (sources.text(it.span), it.text.as_str())).collect();
        assert_eq!(labels, [("mean", "expected `i32`"), ("spend.max()", "")]);
        assert_eq!(found[0].hints, ["try this"]);
    }

    #[test]
    fn text_that_was_replaced_has_no_places() {
        assert_eq!(LineMap::new("something else", "spend").original(&place(1, "let")), None);
    }
}

//! A problem in a transform file or in the graph, as data, and its renderings.
//!
//! One diagnostic has a stable code, one terse message that is enough alone, labelled places, and hints.
//! Diagnostics are collected, never thrown: an answer holds all problems at once, sorted.

use std::collections::BTreeMap;
use std::ops::Range;

use ariadne::{Cache, Color, Config, IndexType, LabelAttach, Report, ReportKind, Source};
use serde::{Deserialize, Serialize};

use crate::source::{FileId, Sources, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable kebab-case name, `duplicate-node`.
    pub code: String,
    pub severity: Severity,
    pub message: String,
    /// The first one is the primary place. Empty where there is no place (an unknown target).
    pub labels: Vec<Label>,
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub span: Span,
    /// May be empty.
    pub text: String,
}

impl Diagnostic {
    pub fn error(code: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code: code.to_owned(),
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            hints: Vec::new(),
        }
    }

    pub fn warning(code: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Adds a place; the first one added is the primary place.
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hints.push(hint.into());
        self
    }
}

/// Sorts by place, then code, and drops repetitions, so that the same sources always read the same.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let place = |it: &Diagnostic| it.labels.first().map(|label| label.span);
        (a.severity, place(a), &a.code, &a.message).cmp(&(b.severity, place(b), &b.code, &b.message))
    });
    diagnostics.dedup();
}

/// Renders diagnostics as a terminal or a notebook's traceback shows them; `colour` adds ANSI codes.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    diagnostics.iter().map(|it| render_one(it, sources, colour)).collect::<Vec<_>>().join("\n")
}

/// The first line, then the places, then the hints. The first line is ours, because it must be enough alone
/// and the same everywhere; ariadne draws the places.
fn render_one(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let kind = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let title = format!("{kind}[{}]", diagnostic.code);
    let paint = |text: &str, code: &str| match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let title_colour = if diagnostic.severity == Severity::Error { "1;31" } else { "1;33" };
    let mut text = format!("{}: {}\n", paint(&title, title_colour), diagnostic.message);
    text.push_str(&places(diagnostic, sources, colour));
    for hint in &diagnostic.hints {
        text.push_str(&format!("{}: {hint}\n", paint("hint", "1;36")));
    }
    text
}

type Place = (FileId, Range<usize>);

/// The excerpts of the sources with their labels.
fn places(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let labels: Vec<(Place, &Label)> =
        diagnostic.labels.iter().filter_map(|it| Some((inside(it.span, sources)?, it))).collect();
    let Some((primary, first)) = labels.first().cloned() else { return String::new() };
    // One excerpt for each file, in the order in which the files are first named; ariadne would begin a new
    // one at every label that stands above the one before.
    let mut files: Vec<FileId> = Vec::new();
    for (place, _) in &labels {
        if !files.contains(&place.0) {
            files.push(place.0);
        }
    }
    let mut ordered = labels;
    ordered.sort_by_key(|(place, label)| {
        (files.iter().position(|it| *it == place.0), sources.line_column(label.span).line)
    });
    let config = Config::default()
        .with_color(colour)
        .with_index_type(IndexType::Char)
        .with_label_attach(LabelAttach::Start);
    let mut report = Report::build(ReportKind::Error, primary).with_config(config);
    for (order, (place, label)) in ordered.into_iter().enumerate() {
        let tint = match (std::ptr::eq(label, first), diagnostic.severity) {
            (true, Severity::Error) => Color::Red,
            (true, Severity::Warning) => Color::Yellow,
            _ => Color::Cyan,
        };
        let mut drawn = ariadne::Label::new(place).with_order(order as i32);
        if colour {
            drawn = drawn.with_color(tint);
        }
        if !label.text.is_empty() {
            drawn = drawn.with_message(&label.text);
        }
        report.add_label(drawn);
    }
    let mut bytes = Vec::new();
    if report.finish().write(Texts::new(sources), &mut bytes).is_err() {
        return String::new();
    }
    // ariadne's own first line says less than ours.
    let drawn = String::from_utf8_lossy(&bytes);
    let drawn = drawn.split_once('\n').map_or("", |it| it.1);
    drawn.lines().map(|it| format!("{}\n", join_colours(it.trim_end()))).collect()
}

/// ariadne colours each character by itself; a run of one colour needs one code, which is a tenth of the text.
fn join_colours(line: &str) -> String {
    let mut joined = String::with_capacity(line.len());
    let (mut wanted, mut written) = (String::new(), String::new());
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let code = rest.strip_prefix("\x1b[").and_then(|it| it.split_once('m'));
        if let Some((code, after)) = code {
            if code == "0" {
                wanted.clear();
            } else {
                wanted = code.to_owned();
            }
            rest = after;
            continue;
        }
        if wanted != written {
            if !written.is_empty() {
                joined.push_str("\x1b[0m");
            }
            if !wanted.is_empty() {
                joined.push_str(&format!("\x1b[{wanted}m"));
            }
            written.clone_from(&wanted);
        }
        joined.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    if !written.is_empty() {
        joined.push_str("\x1b[0m");
    }
    joined
}

/// A span as ariadne may have it: in characters (its bytes go wrong in files other than the first), inside
/// its file, not backwards.
fn inside(span: Span, sources: &Sources) -> Option<Place> {
    let text = &sources.file(span.file)?.text;
    let characters = |at: u32| {
        let mut at = (at as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text[..at].chars().count()
    };
    let start = characters(span.start);
    Some((span.file, start..characters(span.end).max(start)))
}

/// The texts of the sources as ariadne asks for them; read when asked.
struct Texts<'a> {
    sources: &'a Sources,
    read: BTreeMap<FileId, Source<&'a str>>,
}

impl<'a> Texts<'a> {
    fn new(sources: &'a Sources) -> Texts<'a> {
        Texts { sources, read: BTreeMap::new() }
    }
}

impl<'a> Cache<FileId> for Texts<'a> {
    type Storage = &'a str;

    fn fetch(&mut self, id: &FileId) -> Result<&Source<&'a str>, impl std::fmt::Debug> {
        let Some(file) = self.sources.file(*id) else { return Err("no such file") };
        Ok(self.read.entry(*id).or_insert_with(|| Source::from(file.text.as_str())))
    }

    fn display<'b>(&self, id: &'b FileId) -> Option<impl std::fmt::Display + 'b> {
        Some(self.sources.file(*id)?.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    fn sources(texts: &[(&str, &str)]) -> Sources {
        let mut sources = Sources::default();
        for (path, text) in texts {
            let absolute = format!("/{path}");
            sources.push(SourceFile { path: (*path).to_owned(), absolute, text: (*text).to_owned() });
        }
        sources
    }

    fn span(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    #[test]
    fn labels_in_two_files() {
        let sources = sources(&[
            (
                "transforms/revenue.rs",
                "\n\npub fn revenue(orders: LazyFrame, fx: f64) -> LazyFrame {\n    orders\n}\n",
            ),
            ("transforms/orders.rs", "pub fn orders(path: &str) -> DataFrame {\n}\n"),
        ]);
        let diagnostic = Diagnostic::error(
            "edge-type-mismatch",
            "`revenue` needs `orders` as `LazyFrame`, but `orders` returns `DataFrame`",
        )
        .at(span(0, 17, 23), "expected because of this parameter")
        .at(span(1, 29, 38), "`orders` returns this")
        .hint("take `orders: DataFrame` and call `.lazy()`");
        insta::assert_snapshot!(render(&[diagnostic], &sources, false), @"
        error[edge-type-mismatch]: `revenue` needs `orders` as `LazyFrame`, but `orders` returns `DataFrame`
           ╭─[ transforms/revenue.rs:3:16 ]
           │
         3 │ pub fn revenue(orders: LazyFrame, fx: f64) -> LazyFrame {
           │                ┬─────
           │                ╰─────── expected because of this parameter
           │
           ├─[ transforms/orders.rs:1:30 ]
           │
         1 │ pub fn orders(path: &str) -> DataFrame {
           │                              ┬────────
           │                              ╰────────── `orders` returns this
        ───╯
        hint: take `orders: DataFrame` and call `.lazy()`
        ");
    }

    #[test]
    fn without_a_place() {
        let diagnostic =
            Diagnostic::error("unknown-target", "there is no node `spnd`").hint("did you mean `spend`?");
        let text = render(std::slice::from_ref(&diagnostic), &Sources::default(), false);
        assert_eq!(text, "error[unknown-target]: there is no node `spnd`\nhint: did you mean `spend`?\n");
        let coloured = render(&[diagnostic], &Sources::default(), true);
        assert!(coloured.starts_with("\x1b[1;31merror[unknown-target]\x1b[0m: there"));
    }

    #[test]
    fn plain_text_holds_no_escapes() {
        let sources = sources(&[("a.rs", "pub fn f() {}\n")]);
        let diagnostic = Diagnostic::warning("unused-input", "x").at(span(0, 0, 3), "here");
        assert!(!render(std::slice::from_ref(&diagnostic), &sources, false).contains('\x1b'));
        assert!(render(&[diagnostic], &sources, true).contains('\x1b'));
    }

    #[test]
    fn a_run_of_one_colour_is_one_code() {
        let line = "\x1b[31ma\x1b[0m\x1b[31mb\x1b[0m c\x1b[36md\x1b[0m";
        assert_eq!(join_colours(line), "\x1b[31mab\x1b[0m c\x1b[36md\x1b[0m");
    }

    #[test]
    fn spans_outside_never_panic() {
        let sources = sources(&[("a.rs", "é\tü\n\nx"), ("empty.rs", "")]);
        for (file, start, end) in [
            (0, 1, 2),
            (0, 0, 900),
            (0, 900, 901),
            (0, 5, 2),
            (1, 0, 0),
            (1, 3, 9),
            (7, 0, 1),
            (0, 7, 8),
            (0, 3, 8),
        ] {
            let diagnostic =
                Diagnostic::error("x", "y").at(span(file, start, end), "z").at(span(0, 0, 1), "");
            assert!(render(&[diagnostic], &sources, false).starts_with("error[x]: y\n"));
        }
    }

    #[test]
    fn sorting_is_by_place_and_drops_repetitions() {
        let one = Diagnostic::error("b", "m").at(span(0, 5, 6), "");
        let two = Diagnostic::error("a", "m").at(span(0, 9, 10), "");
        let three = Diagnostic::warning("a", "m").at(span(0, 1, 2), "");
        let mut all = vec![three.clone(), two.clone(), one.clone(), two.clone()];
        sort(&mut all);
        assert_eq!(all, [one, two, three]);
    }
}

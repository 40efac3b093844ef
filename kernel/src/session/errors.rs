//! Everything that can make a cell fail, as the one error message that the frontend shows.
//!
//! A notebook shows `traceback` alone, a runner logs `name: value`, so each must be enough by itself. The
//! first line of a traceback says what is wrong; places, causes and hints follow it.

use std::fmt::Write as _;
use std::ops::Range;

use brooklet_graph::diagnostic::{self, Diagnostic, Severity};
use brooklet_graph::graph::Graph;
use brooklet_graph::parse::nesting;
use brooklet_graph::source::Sources;
use brooklet_graph::wire::Failure;

use super::grammar::{UsageError, excerpt};
use super::text::{self, BLUE, BOLD, CYAN, DIM, RED, RESET};
use crate::build::BuildError;
use crate::build::generation::Message;
use crate::engine::CellError;
use crate::worker::Death;

/// The short form of most results within a session.
pub type Result<T> = std::result::Result<T, CellError>;

/// An error in our own words.
pub fn plain(name: &str, message: impl Into<String>) -> CellError {
    let message = message.into();
    let first = message.lines().next().unwrap_or_default().to_owned();
    CellError { traceback: headed(name, &message, &[]), name: name.to_owned(), value: first }
}

/// An error in our own words with what the user can do next.
pub fn hinted(name: &str, message: impl Into<String>, hint: &str) -> CellError {
    let message = message.into();
    let first = message.lines().next().unwrap_or_default().to_owned();
    CellError { traceback: headed(name, &message, &[hint.to_owned()]), name: name.to_owned(), value: first }
}

fn headed(name: &str, message: &str, hints: &[String]) -> Vec<String> {
    let mut lines = message.lines();
    let mut traceback =
        vec![format!("{RED}{name}{RESET}{BOLD}: {}{RESET}", lines.next().unwrap_or_default())];
    traceback.extend(lines.map(str::to_owned));
    traceback.extend(hints.iter().map(|it| hint_line(it)));
    traceback
}

fn hint_line(hint: &str) -> String {
    format!("{CYAN}hint:{RESET} {hint}")
}

/// A magic that cannot be understood.
pub fn usage(error: &UsageError) -> CellError {
    let mut traceback = vec![format!("{RED}UsageError{RESET}{BOLD}: {}{RESET}", error.message)];
    traceback.extend(marked(&error.line, &error.place));
    if !error.usage.is_empty() {
        traceback.push(format!("{CYAN}usage:{RESET} {}", error.usage));
    }
    traceback.extend(error.hint.iter().map(|it| hint_line(it)));
    CellError { name: "UsageError".to_owned(), value: error.message.clone(), traceback }
}

/// The line that holds the place, with marks under it.
pub fn marked(text: &str, place: &Range<usize>) -> Vec<String> {
    let start = place.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |it| it + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |it| start + it);
    let line = &text[line_start..line_end];
    let before = text[line_start..start].chars().count();
    let marks = text[start..place.end.clamp(start, line_end)].chars().count().max(1);
    let bar = format!("{BLUE}  |{RESET}");
    vec![format!("{bar} {line}"), format!("{bar} {}{RED}{}{RESET}", " ".repeat(before), "^".repeat(marks))]
}

/// Problems of the graph and of the compiler in one answer: first what is wrong with the graph.
///
/// `None` if nothing is an error.
pub fn problems(diagnostics: &[Diagnostic], sources: &Sources, messages: &[Message]) -> Option<CellError> {
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    let compile_errors: Vec<&Message> = messages.iter().filter(|it| it.is_error).collect();
    let mut traceback = Vec::new();
    for one in &errors {
        traceback.push(trimmed(&diagnostic::render(std::slice::from_ref(*one), sources, true)));
    }
    traceback.extend(compile_errors.iter().map(|it| trimmed(&it.rendered)));
    let (name, value) = match (errors.first(), compile_errors.first()) {
        (Some(first), _) => (first.code.clone(), place_of(first, sources) + &first.message),
        (None, Some(first)) => {
            let place = first.place.as_ref().map(|(file, line)| format!("{}:{line}: ", file.display()));
            let name = if first.code.is_empty() { "CompileError" } else { &first.code };
            (name.to_owned(), place.unwrap_or_default() + &first.message)
        }
        (None, None) => return None,
    };
    let more = errors.len() + compile_errors.len() - 1;
    let value = if more > 0 { format!("{value} (and {})", text::count(more, "more problem")) } else { value };
    Some(CellError { name, value: value.replace('\n', " "), traceback })
}

fn place_of(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let Some(label) = diagnostic.labels.first() else { return String::new() };
    let Some(file) = sources.file(label.span.file) else { return String::new() };
    format!("{}:{}: ", file.path, sources.line_column(label.span).line)
}

fn trimmed(text: &str) -> String {
    text.trim_end().to_owned()
}

/// What failed in a run: each with its place, causes and hint.
pub fn failures(failures: &[Failure], graph: &Graph, sources: &Sources) -> CellError {
    let mut traceback = Vec::new();
    for (position, failure) in failures.iter().enumerate() {
        if position > 0 {
            traceback.push(String::new());
        }
        match bad_literal(failure, graph) {
            Some(it) => traceback.push(trimmed(&diagnostic::render(&[it], sources, true))),
            None => traceback.extend(failure_lines(failure, graph)),
        }
    }
    let Some(first) = failures.first() else { return plain("Error", "the run failed and did not say why") };
    let place = bad_literal(first, graph).map(|it| place_of(&it, sources)).unwrap_or_default();
    let mut value = place + &first_line(first);
    if failures.len() > 1 {
        value = format!("{value} (and {})", text::count(failures.len() - 1, "more problem"));
    }
    CellError { name: first.kind.clone(), value, traceback }
}

/// A literal that cannot be read is told at the parameters that say what it must be.
fn bad_literal(failure: &Failure, graph: &Graph) -> Option<Diagnostic> {
    const PLACES: usize = 3;
    if failure.kind != "bad-literal" {
        return None;
    }
    let mut diagnostic = Diagnostic::error(&failure.kind, failure.message.clone());
    match failure.place {
        Some(span) => diagnostic = diagnostic.at(span, "this literal"),
        None => {
            for (node, it) in graph.consumers(&failure.node).take(PLACES) {
                diagnostic = diagnostic.at(it.span, format!("`{}` takes it as `{}`", node.name, it.ty));
            }
        }
    }
    diagnostic.hints.extend(failure.hint.clone());
    Some(diagnostic)
}

fn first_line(failure: &Failure) -> String {
    let message = failure.message.lines().next().unwrap_or_default();
    if failure.node.is_empty() || message.contains(&format!("`{}`", failure.node)) {
        message.to_owned()
    } else {
        format!("`{}`: {message}", failure.node)
    }
}

fn failure_lines(failure: &Failure, graph: &Graph) -> Vec<String> {
    let mut lines = vec![format!("{RED}{}{RESET}{BOLD}: {}{RESET}", failure.kind, first_line(failure))];
    lines.extend(failure.message.lines().skip(1).map(str::to_owned));
    if let Some(node) = graph.nodes.get(&failure.node)
        && !node.file.is_empty()
    {
        lines.push(format!("{BLUE} -->{RESET} {}:{} {DIM}in `{}`{RESET}", node.file, node.line, node.name));
    }
    let word = if failure.kind == "Panic" { "at" } else { "caused by" };
    lines.extend(failure.chain.iter().map(|it| format!("  {DIM}{word}:{RESET} {it}")));
    lines.extend(failure.hint.iter().map(|it| hint_line(it)));
    lines
}

/// The worker died while it was needed. `work` reads after "while"; it is told where no step is known.
pub fn worker_died(death: &Death, running: &[String], work: &str, lost: &[String]) -> CellError {
    let during = if !death.doing.is_empty() {
        format!(" while {}", death.doing)
    } else if running.is_empty() {
        format!(" while {work}")
    } else {
        format!(" while {} {} running", text::list(running), if running.len() == 1 { "was" } else { "were" })
    };
    dead(format!("the worker {}{during}", death.description), &death.last_words, &after_death(lost))
}

/// The worker did not come to its first word.
pub fn worker_not_started(death: &Death) -> CellError {
    let message = format!("the worker {} while it was started", death.description);
    dead(message, &death.last_words, "`brooklet doctor` checks the image; the next cell tries again")
}

fn dead(message: String, last_words: &str, hint: &str) -> CellError {
    let mut traceback = vec![format!("{RED}WorkerDied{RESET}{BOLD}: {message}{RESET}")];
    if !last_words.trim().is_empty() {
        traceback.push(format!("{DIM}its last words:{RESET}"));
        let lines: Vec<&str> = last_words.trim().lines().collect();
        traceback.extend(lines[lines.len().saturating_sub(12)..].iter().map(|it| format!("  {it}")));
    }
    traceback.push(hint_line(hint));
    CellError { name: "WorkerDied".to_owned(), value: message, traceback }
}

/// What is lost with a worker, and that all goes on.
pub fn after_death(lost: &[String]) -> String {
    let mut hint = String::from(
        "a new worker starts with the next cell, finds what is stored and computes the rest again by need",
    );
    if !lost.is_empty() {
        let _ = write!(hint, "; lost with the old one: {}", text::list(lost));
    }
    hint
}

/// Code that is nested so deeply that neither rustc nor rust-analyzer would come to an end with it.
pub fn nested_too_deeply(code: &str) -> Option<CellError> {
    const NAME: &str = "NestedTooDeeply";
    let at = nesting::too_deep(code)?;
    let before = &code[..at];
    let line = before.bytes().filter(|it| *it == b'\n').count() + 1;
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    let depth = nesting::MAX_DEPTH;
    let message =
        format!("brackets are nested more than {depth} deep at line {line}, column {column} of the code");
    let mut traceback = headed(NAME, &message, &[]);
    let (shown, at) = excerpt(code, at);
    traceback.extend(marked(&shown, &(at..at + 1)));
    traceback.push(hint_line("name the inner parts with `let`, or keep data of this depth in a file"));
    Some(CellError { name: NAME.to_owned(), value: message, traceback })
}

/// The user stopped the cell.
/// The name of what is no error but somebody's wish.
pub const INTERRUPTED: &str = "Interrupted";

pub fn interrupted(what: &str) -> CellError {
    plain("Interrupted", what)
}

/// The user stopped the cell, and the worker had to go for it.
pub fn killed(running: &[String], lost: &[String]) -> CellError {
    let what = if running.is_empty() {
        "the running code was stopped by ending its process".to_owned()
    } else {
        format!("{} did not stop and was ended with the worker", text::list(running))
    };
    hinted("Interrupted", what, &after_death(lost))
}

/// A build that did not come to its end.
pub fn build(error: &BuildError) -> CellError {
    let mut cell_error = plain("BuildError", &error.message);
    if !error.output.trim().is_empty() {
        cell_error.traceback.push(trimmed(&error.output));
    }
    cell_error.traceback.extend(error.hint.iter().map(|it| hint_line(it)));
    cell_error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::grammar;

    /// The traceback as one text without colours.
    fn read(error: &CellError) -> String {
        let text = error.traceback.join("\n");
        let mut plain = String::new();
        let mut rest = &*text;
        while let Some(start) = rest.find('\x1b') {
            plain.push_str(&rest[..start]);
            rest = rest[start..].split_once('m').map_or("", |it| it.1);
        }
        plain + rest
    }

    #[test]
    fn a_usage_error_points_at_the_word_and_shows_the_form() {
        let error = usage(&grammar::parse("%source a b").unwrap_err());
        assert_eq!(error.name, "UsageError");
        assert_eq!(
            read(&error),
            "UsageError: %source takes one argument, but got `b` too\n  | %source a b\n  |           ^\nusage: %source NODE"
        );
    }

    #[test]
    fn a_place_on_a_continued_line_shows_that_line() {
        let error = usage(&grammar::parse("%input a=[1,\n 2] b").unwrap_err());
        assert!(read(&error).contains("  |  2] b\n  |     ^\n"), "{}", read(&error));
    }

    #[test]
    fn code_that_is_nested_too_deeply_is_shown_around_the_place() {
        for open in ["(", "[", "{"] {
            let code = format!("let a = 1;\nlet b = {}", open.repeat(50_000));
            let error = nested_too_deeply(&code).expect("it is too deep");
            assert_eq!(
                error.value,
                "brackets are nested more than 200 deep at line 2, column 209 of the code"
            );
            let brackets = open.repeat(60);
            let marks = format!("  | …{brackets}…\n  | {}^\nhint: ", " ".repeat(41));
            assert!(read(&error).contains(&marks), "{}", read(&error));
        }
        assert_eq!(nested_too_deeply("f(\"(((\")"), None);
    }

    #[test]
    fn a_failure_shows_node_causes_and_hint() {
        let failure = Failure {
            kind: "Error".into(),
            node: "total".into(),
            message: "cannot open".into(),
            chain: vec!["no such file".into()],
            hint: Some("check the path".into()),
            place: None,
        };
        let error = failures(&[failure], &Graph::default(), &Sources::default());
        assert_eq!((&*error.name, &*error.value), ("Error", "`total`: cannot open"));
        assert_eq!(
            read(&error),
            "Error: `total`: cannot open\n  caused by: no such file\nhint: check the path"
        );
    }

    #[test]
    fn several_failures_are_counted_in_the_value() {
        let failure = |node: &str| Failure {
            kind: "missing-input".into(),
            node: node.into(),
            message: format!("input `{node}` has no value"),
            chain: vec![],
            hint: None,
            place: None,
        };
        let error =
            failures(&[failure("a"), failure("b"), failure("c")], &Graph::default(), &Sources::default());
        assert_eq!(error.value, "input `a` has no value (and 2 more problems)");
    }

    #[test]
    fn a_death_names_what_ran_and_what_is_lost() {
        let mut death = Death { description: "was killed by signal 6 (SIGABRT)".into(), ..Death::default() };
        let error = worker_died(&death, &["fit".into()], "", &["x".into()]);
        assert_eq!(error.value, "the worker was killed by signal 6 (SIGABRT) while `fit` was running");
        assert!(read(&error).ends_with("lost with the old one: `x`"));
        death.doing = "`tree` (`Tree`) was shown".into();
        let error = worker_died(&death, &[], "it computed `tree`", &[]);
        assert_eq!(
            error.value,
            "the worker was killed by signal 6 (SIGABRT) while `tree` (`Tree`) was shown"
        );
    }
}

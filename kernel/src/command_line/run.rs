//! `brooklet run`: executes a notebook with no Jupyter at all.
//!
//! It is the second frontend beside the Jupyter sockets and uses the same [`Engine`], so what it shows is
//! what a notebook shows. Everything is printed as it comes; at the end there is the executed notebook and
//! one HTML page, also when a cell failed, because then they are wanted most.

mod ansi;
mod notebook;
mod page;
mod recorder;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{SecondsFormat, Utc};

use crate::engine::{Cell, CellError, Engine, Outcome};
use notebook::{CellKind, Notebook};
use recorder::Recorder;

/// What to run, and where the results go.
pub struct Options {
    pub notebook: PathBuf,
    /// `target/<stem>` under the current directory where not given.
    pub output_directory: Option<PathBuf>,
    /// Goes on after a cell that failed.
    pub allow_errors: bool,
}

/// Runs the notebook; `start` makes the engine, once the notebook is known to be readable.
pub fn run(options: &Options, start: impl FnOnce() -> Result<Arc<dyn Engine>, String>) -> ExitCode {
    match try_run(options, start) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all cells did what they should.
fn try_run(
    options: &Options,
    start: impl FnOnce() -> Result<Arc<dyn Engine>, String>,
) -> Result<bool, String> {
    let mut notebook = Notebook::read(&options.notebook)?;
    let path = std::path::absolute(&options.notebook).map_err(|error| error.to_string())?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let output_directory =
        options.output_directory.clone().unwrap_or_else(|| Path::new("target").join(&stem));
    let output_directory = std::path::absolute(output_directory).map_err(|error| error.to_string())?;
    // Paths in a notebook are relative to it, as they are under Jupyter.
    if let Some(directory) = path.parent() {
        std::env::set_current_dir(directory)
            .map_err(|error| format!("cannot enter {}: {error}", directory.display()))?;
    }

    let engine = start()?;
    let failures = execute(&mut notebook, engine.as_ref(), options.allow_errors);
    engine.shutdown();

    notebook.set_language(kernelspec_metadata(), language());
    let file_name = path.file_name().unwrap_or_default();
    let executed = output_directory.join(file_name);
    let html = output_directory.join(format!("{stem}.html"));
    std::fs::create_dir_all(&output_directory)
        .map_err(|error| format!("cannot make {}: {error}", output_directory.display()))?;
    write(&executed, &notebook.text())?;
    write(&html, &page::render(&notebook, &stem))?;
    println!("\nwrote {}\n      {}", executed.display(), html.display());

    for it in &failures {
        eprintln!("{}: cell {} failed: {}", options.notebook.display(), it.heading, it.problem);
    }
    Ok(failures.is_empty() || options.allow_errors)
}

struct CellFailure {
    heading: String,
    problem: String,
}

fn execute(notebook: &mut Notebook, engine: &dyn Engine, allow_errors: bool) -> Vec<CellFailure> {
    notebook.clear();
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let recorder = Recorder::new(notebook.len(), colour);
    let mut failures = Vec::new();
    let mut executed = Vec::new();
    for cell in 0..notebook.len() {
        let code = notebook.source(cell);
        if notebook.kind(cell) != CellKind::Code || code.trim().is_empty() {
            continue;
        }
        let execution_count = executed.len() as u64 + 1;
        let heading = format!("[{execution_count}] {}", first_line(&code));
        recorder.heading(&heading);
        let started = now();
        let request = Cell { code, execution_count, ..Cell::default() };
        let outcome = engine.execute(&request, recorder.cell(cell));
        notebook.set_times(cell, &started, &now());
        executed.push(cell);
        let Outcome::Failure(error) = outcome else {
            recorder.end(cell, None);
            continue;
        };
        recorder.end(cell, Some(&error));
        if !notebook.has_tag(cell, "raises-exception") {
            failures.push(CellFailure { heading, problem: one_line(&error) });
            if !allow_errors {
                break;
            }
        }
    }
    // Collected at the end, because any cell may have replaced a display of an earlier one.
    for (index, cell) in executed.into_iter().enumerate() {
        let execution_count = index as u64 + 1;
        notebook.set_results(cell, Some(execution_count), recorder.outputs(cell, execution_count));
    }
    failures
}

/// What names a cell: its first line that is not empty.
fn first_line(code: &str) -> String {
    const LONGEST: usize = 100;
    let line = code.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn one_line(error: &CellError) -> String {
    format!("{}: {}", error.name, error.value.lines().next().unwrap_or_default())
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn kernelspec_metadata() -> serde_json::Value {
    use crate::command_line::kernelspec::{DISPLAY_NAME, NAME};
    serde_json::json!({"name": NAME, "display_name": DISPLAY_NAME, "language": "rust"})
}

fn language() -> serde_json::Value {
    serde_json::json!({
        "name": "rust", "file_extension": ".rs", "mimetype": "text/x-rustsrc", "codemirror_mode": "rust",
        "pygments_lexer": "rust", "nbconvert_exporter": "script",
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Completeness, Completions, Output, Stream};
    use brooklet_graph::wire::MimeBundle;
    use serde_json::json;

    /// A toy engine: `fail` fails, anything else prints itself and gives its length.
    struct Toy;

    impl Engine for Toy {
        fn execute(&self, cell: &Cell, output: Arc<dyn Output>) -> Outcome {
            output.stream(Stream::Stdout, &cell.code);
            if cell.code == "fail" {
                let traceback = vec!["boom at line 1".to_owned()];
                return Outcome::Failure(CellError { name: "Panic".into(), value: "boom".into(), traceback });
            }
            output.result(&MimeBundle::text(cell.code.len().to_string()));
            Outcome::success()
        }
        fn complete(&self, _: &str, _: usize) -> Completions {
            Completions::default()
        }
        fn inspect(&self, _: &str, _: usize, _: u8) -> Option<MimeBundle> {
            None
        }
        fn completeness(&self, _: &str) -> Completeness {
            Completeness::Complete
        }
        fn interrupt(&self) {}
        fn shutdown(&self) {}
        fn children(&self) -> Vec<u32> {
            Vec::new()
        }
        fn banner(&self) -> String {
            String::new()
        }
    }

    fn notebook(cells: &[(&str, &[&str])]) -> Notebook {
        let cells: Vec<_> = cells
            .iter()
            .map(|(code, tags)| {
                json!({"cell_type": "code", "metadata": {"tags": tags}, "source": code, "outputs": [],
                       "execution_count": null})
            })
            .collect();
        let document = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells});
        Notebook::parse(&document.to_string()).unwrap()
    }

    fn counts(notebook: &Notebook) -> Vec<Option<u64>> {
        (0..notebook.len()).map(|it| notebook.execution_count(it)).collect()
    }

    #[test]
    fn cells_are_counted_and_empty_ones_are_left_out() {
        let mut notebook = notebook(&[("ab", &[]), ("  ", &[]), ("abc", &[])]);
        assert!(execute(&mut notebook, &Toy, false).is_empty());
        assert_eq!(counts(&notebook), [Some(1), None, Some(2)]);
        assert_eq!(notebook.outputs(2)[1]["data"]["text/plain"], "3");
    }

    #[test]
    fn a_failed_cell_is_named_and_ends_the_run() {
        let mut notebook = notebook(&[("ab", &[]), ("fail", &[]), ("abc", &[])]);
        let failures = execute(&mut notebook, &Toy, false);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].heading.as_str(), failures[0].problem.as_str()), ("[2] fail", "Panic: boom"));
        assert_eq!(counts(&notebook), [Some(1), Some(2), None]);
        assert_eq!(notebook.outputs(1)[1]["ename"], "Panic");
    }

    #[test]
    fn expected_errors_and_allowed_errors_do_not_end_the_run() {
        let mut tagged = notebook(&[("fail", &["raises-exception"]), ("abc", &[])]);
        assert!(execute(&mut tagged, &Toy, false).is_empty());
        assert_eq!(counts(&tagged), [Some(1), Some(2)]);
        let mut allowed = notebook(&[("fail", &[]), ("abc", &[])]);
        assert_eq!(execute(&mut allowed, &Toy, true).len(), 1);
        assert_eq!(counts(&allowed), [Some(1), Some(2)]);
    }

    #[test]
    fn a_long_first_line_is_cut() {
        assert_eq!(first_line("\n  %run a  \nb"), "%run a");
        assert_eq!(first_line(&"é".repeat(200)).chars().count(), 100);
    }
}

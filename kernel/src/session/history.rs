//! `%why` and `%diff`: what happened to a node, and what changed since.

use std::path::Path;
use std::process::{Command, Stdio};

use brooklet_graph::graph::{self, Graph, diff};
use brooklet_graph::parse::{self, Code, CodeComparison, Parsed};
use brooklet_graph::picture::Selection;
use brooklet_graph::source::{SourceFile, Sources};
use brooklet_graph::wire::MimeBundle;

use super::difference::{self, Side};
use super::display::{draw, fresh_id};
use super::errors::{self, Result};
use super::grammar::Call;
use super::nodes;
use super::{Execution, changes};
use crate::reload::Revision;

impl Execution<'_> {
    /// `%why NODE`
    pub(super) fn why(&self, call: &Call) -> Result<()> {
        let revision = self.revision()?;
        let node = self.node(&revision, &call.texts()[0])?;
        let why = self.shared.ask(&revision, "it was asked why", |worker| worker.why(&node.name))?;
        let text = why.text(|before, now| self.code_change(&revision, &node.origin, before, now));
        self.show(text, None);
        Ok(())
    }

    /// What of a function's code is another in the run that had code of one fingerprint than in that of another.
    fn code_change(&self, revision: &Revision, function: &str, before: &str, now: &str) -> String {
        let recorder = &self.shared.recorder;
        recorder.settle();
        let of_run = |fingerprint: &str| {
            let record = recorder.book.with_code(fingerprint)?;
            changes::OldCode::of(&record, &recorder.book)
        };
        // The files may be others again since it ran; without records they are the best there is.
        let (old, new) = (of_run(before), of_run(now));
        let present = Code { sources: &revision.sources, modules: &revision.modules };
        let new = new.as_ref().map_or(present, changes::OldCode::code);
        match old {
            Some(old) => {
                let comparison = CodeComparison::new(&old.code(), &new);
                changes::told(&comparison, function, &|it| self.shared.shown_path(it))
            }
            None => "its code changed".to_owned(),
        }
    }

    /// `%diff [GIT-REF]`
    pub(super) fn diff(&self, call: &Call) -> Result<()> {
        let revision = self.revision()?;
        let reference = call.texts().into_iter().next();
        let (old, against) = match reference {
            Some(reference) => {
                let old = at_commit(&revision, &self.shared.base, &reference)
                    .map_err(|it| errors::usage(&call.error(it)))?;
                (old, format!("`{reference}`"))
            }
            None => {
                let last = self.shared.knowledge().last_run.as_ref().map(|it| it.revision.clone());
                let Some(last) = last else {
                    let message = "nothing has run yet, so there is nothing to compare with";
                    return Err(errors::hinted(
                        "NoRun",
                        message,
                        "`%diff HEAD` compares with the last commit",
                    ));
                };
                (Old::of(&last), "the last run".to_owned())
            }
        };
        let change = diff(&old.graph, &revision.graph);
        let old_source = |name: &str| old.source(name);
        let new_source = |name: &str| nodes::source_by_name(&revision, name);
        let plain = difference::describe(
            &change,
            &Side { graph: &old.graph, source: &old_source },
            &Side { graph: &revision.graph, source: &new_source },
            &against,
        );
        let mut view = self.view(&revision, &Selection::default());
        view.mark_change(&change);
        let id = fresh_id("dag");
        let picture = draw(&view, &id);
        let html = picture.data.get("text/html").and_then(|it| it.as_str()).unwrap_or_default();
        let html = format!("<pre>{}</pre>{html}", brooklet_graph::html::escape(&plain));
        self.output.display(&MimeBundle::text(plain).with("text/html", html), Some(&id));
        Ok(())
    }
}

/// The other side of a comparison.
struct Old {
    sources: Sources,
    parsed: Parsed,
    graph: Graph,
}

impl Old {
    fn of(revision: &Revision) -> Old {
        Old {
            sources: revision.sources.clone(),
            parsed: revision.parsed.clone(),
            graph: revision.graph.clone(),
        }
    }

    fn source(&self, name: &str) -> Option<String> {
        let node = self.graph.nodes.get(name)?;
        let mut functions = self.parsed.files.iter().flat_map(|it| &it.functions);
        let function = functions.find(|it| !node.origin.is_empty() && it.path == node.origin)?;
        Some(self.sources.text(function.span).to_owned())
    }
}

/// The watched files as a commit holds them. A file that the commit does not have is empty there.
fn at_commit(revision: &Revision, base: &Path, reference: &str) -> std::result::Result<Old, String> {
    let commit = git(base, &["rev-parse", "--verify", "--quiet", &format!("{reference}^{{commit}}")]);
    if commit.is_err() {
        return Err(match git(base, &["rev-parse", "--git-dir"]) {
            Ok(_) => format!("`{reference}` is not a commit, branch or tag of this repository"),
            Err(error) => format!("git cannot be asked here: {}", error.lines().next().unwrap_or_default()),
        });
    }
    let Sources { helpers, package, .. } = revision.sources.clone();
    let mut sources = Sources { helpers, package, ..Sources::default() };
    for file in &revision.sources.files {
        let path = Path::new(&file.absolute);
        let directory = path.parent().unwrap_or(base);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = git(directory, &["show", &format!("{reference}:./{name}")]).unwrap_or_default();
        sources.push(SourceFile { text, ..file.clone() });
    }
    let parsed = parse::parse(&sources, &revision.modules);
    // What is wrong with an old graph is no concern of now: a node that was in error is one that was not there.
    let (graph, _) = graph::build(&parsed.files, &sources, &revision.options);
    Ok(Old { sources, parsed, graph })
}

fn git(directory: &Path, arguments: &[&str]) -> std::result::Result<String, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

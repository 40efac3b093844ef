//! Cells of Rust and of bare names.
//!
//! The names of nodes in a cell are bound to their values by `parse::cell`; the nodes are computed first, so
//! that the cell itself only reads. evcxr compiles the cell in its own process, the worker runs it.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Node, NodeKind, PartOf, Place};
use brooklet_graph::parse::cell::{self, Binding, CellPlan, CellScope, Completeness};
use brooklet_graph::spec::FnSpec;
use brooklet_graph::wire::{Failure, MimeBundle, Show};

use super::display::fresh_id;
use super::errors::{self, Result};
use super::interrupts::Phase;
use super::link::CellHost;
use super::live::Shows;
use super::run::Request;
use super::text;
use super::{Execution, Shared, locked};
use crate::build::image::{Image, Toolchain};
use crate::cells::{CellCode, Cells, CellsConfig, CellsError, Notice};
use crate::engine::{CellError, Output, Stream};
use crate::reload::{self, Revision};
use crate::worker::Death;

/// What every cell starts from. Naming the image makes the compiler take polars and everything else from it;
/// rust-analyzer reads sources instead, so for it there is no such crate.
const PRELUDE: &str = "\
    mod image { #[cfg(brooklet_image)] extern crate brooklet_image as _; }\n\
    use brooklet::prelude::*;\n";
/// What evcxr's code prints for evcxr when a `?` ends a cell.
const USER_ERROR: &str = "EVCXR_ERROR_OCCURRED";
/// Before this nobody needs to be told that the compiler is at work.
const QUIET: Duration = Duration::from_secs(2);

impl Execution<'_> {
    /// What follows the magics of a cell.
    pub(super) fn code(&self, body: &str) -> Result<()> {
        // Also a cell of magics alone may end in blank lines; only a cell of code looks at the files.
        if body.trim().is_empty() {
            return Ok(());
        }
        if let Some(error) = errors::nested_too_deeply(body) {
            return Err(error);
        }
        let revision = self.revision()?;
        let (commands, code) = split_commands(body);
        let variables: Vec<String> = match &*locked(&self.shared.cells) {
            Some(cells) => cells.variables().into_iter().map(|it| it.name).collect(),
            None => Vec::new(),
        };
        if matches!(cell::completeness(code), Completeness::Incomplete { .. }) {
            return Err(unfinished(code));
        }
        match cell::rewrite(code, &scope(&revision), &variables) {
            CellPlan::Nothing if commands.is_empty() => Ok(()),
            CellPlan::Nothing => self.evaluate(&revision, commands, body),
            CellPlan::Bare { names } => {
                if !commands.is_empty() {
                    self.evaluate(&revision, commands, commands)?;
                }
                self.show_values(&revision, names)
            }
            CellPlan::Rust { code, uses, shadowed } => {
                if !shadowed.is_empty() {
                    let line = format!(
                        "note: {} here is the variable, which hides the node of that name\n",
                        text::list(&shadowed)
                    );
                    self.output.stream(Stream::Stderr, &line);
                }
                // evcxr takes seconds to start; nodes can be computed meanwhile.
                if let Some(cells) = self.shared.cells_at_hand() {
                    cells.warm_up();
                }
                let code = format!("{commands}{code}");
                let request = Request { targets: uses, show: Show::Nothing, ..Request::default() };
                let end = self.shared.once_or_again(|| {
                    if !request.targets.is_empty() {
                        self.run_nodes(&revision, &request)?;
                    }
                    self.evaluate_once(&revision, &code, body)
                })?;
                end.map_err(|death| self.shared.died(&death, "the cell ran"))?;
                if !request.targets.is_empty() {
                    self.keep_display(&revision, Shows::Cell(request.targets), None);
                }
                Ok(())
            }
        }
    }

    fn evaluate(&self, revision: &Arc<Revision>, code: &str, original: &str) -> Result<()> {
        let end = self.evaluate_once(revision, code, original)?;
        end.map_err(|death| self.shared.died(&death, "the cell ran"))
    }

    /// Has evcxr compile a cell and the worker run it. The inner error is a worker that died before it was done.
    fn evaluate_once(
        &self,
        revision: &Arc<Revision>,
        code: &str,
        original: &str,
    ) -> Result<std::result::Result<(), Death>> {
        self.shared.commit(revision)?;
        let cells = self.shared.cells_ready()?;
        {
            let mut link = self.shared.link();
            link.cell_reply = None;
            link.cell_began = None;
        }
        let progress = ProgressLine::new(self.shared, self.output.clone());
        let phase = self.shared.enter(Phase::CompilingCell)?;
        let name = format!("cell [{}]", self.count);
        let reply = cells.evaluate(CellCode { code, original, name: &name }, &|notice| match notice {
            Notice::Progress(text) => progress.say(text),
            Notice::Lost { .. } => self.output.stream(Stream::Stderr, &format!("note: {}\n", notice.text())),
        });
        drop(phase);
        drop(progress);
        let in_worker = self.shared.link().cell_reply.take();
        let last_words = self.shared.screen.take_held();
        if let Some(Ok(reply)) = &in_worker
            && reply.control_lines.iter().any(|it| it == USER_ERROR)
        {
            // The worker knows the error with its sources, unless its type tells none.
            return Err(match reply.failure.clone() {
                Some(failure) => errors::failures(&[failure], &revision.graph, &revision.sources),
                None => question_mark(&last_words),
            });
        }
        self.shared.screen.stream(Stream::Stderr, &last_words);
        match (reply, in_worker) {
            (_, Some(Err(death))) => Ok(Err(death)),
            // It was gone when the cell was compiled.
            (Err(CellsError::WorkerDied), _) => {
                let worker = self.shared.link().worker.clone();
                Ok(Err(worker.map(|it| it.death()).unwrap_or_default()))
            }
            (Err(error), _) => Err(error.to_cell_error()),
            (Ok(_), Some(Ok(reply))) if reply.failure.is_some() => {
                let failures: Vec<_> = reply.failure.into_iter().map(in_cell).collect();
                Err(errors::failures(&failures, &revision.graph, &revision.sources))
            }
            (Ok(reply), _) => {
                if let Some(content) = reply.content {
                    self.output.result(&content);
                }
                Ok(Ok(()))
            }
        }
    }
}

impl Shared {
    /// The handle on Rust cells. Nothing is started by this.
    pub fn cells_ready(self: &Arc<Self>) -> Result<Arc<Cells>> {
        if let Some(cells) = &*locked(&self.cells) {
            return Ok(cells.clone());
        }
        let image = {
            let _phase = self.enter(Phase::Compiling)?;
            let package = self.knowledge().revision.as_ref().and_then(|it| it.package.clone());
            self.image.get(package.as_ref()).map_err(|it| errors::build(&it))?
        };
        match image {
            Some(image) => Ok(self.make_cells(&image)),
            None => Err(errors::interrupted(
                "the image goes on building; a cell that needs it waits for it again",
            )),
        }
    }

    /// The handle on Rust cells for questions, which must not wait for an image.
    pub fn cells_at_hand(self: &Arc<Self>) -> Option<Arc<Cells>> {
        let cells = locked(&self.cells).clone();
        let package = self.newest().and_then(|it| it.package.clone());
        cells.or_else(|| self.image.ready(package.as_ref()).map(|it| self.make_cells(&it)))
    }

    fn make_cells(self: &Arc<Self>, image: &Image) -> Arc<Cells> {
        let revision = self.knowledge().revision.clone();
        let mut slot = locked(&self.cells);
        let cells = slot.get_or_insert_with(|| {
            let config = self.cells_config(image);
            Arc::new(Cells::new(config, Arc::new(CellHost(Arc::downgrade(self)))))
        });
        let cells = cells.clone();
        drop(slot);
        if let Some(revision) = revision {
            set_scope(&cells, &revision);
        }
        cells
    }

    fn cells_config(&self, image: &Image) -> CellsConfig {
        self.add_rust_src();
        let externs = image.externs.iter().map(|it| it.0.clone());
        CellsConfig {
            executable: crate::executable::path().unwrap_or_default(),
            directory: self.base.clone(),
            rustflags: image.cell_rustflags(&self.reloader.generation_directory()),
            externs: externs.filter(|it| it != crate::build::image::CRATE).collect(),
            sources: image_sources(image),
            lockfile: Some(image.lockfile.clone()),
            prelude: PRELUDE.to_owned(),
            generation: reload::CRATE.to_owned(),
            rehearsal: "df!(\"a\" => [1])?".to_owned(),
        }
    }

    /// Has the standard library's sources installed if need be. That may wait for the network, so nobody waits for
    /// it longer than for a moment, nor after an interrupt.
    fn add_rust_src(&self) {
        const MOMENT: Duration = Duration::from_secs(60);
        let (added_tx, added_rx) = crossbeam_channel::bounded(1);
        let add = move || {
            let _ = added_tx.send(Toolchain::find().and_then(|it| it.add_rust_src()));
        };
        if thread::Builder::new().name("rust-src".into()).spawn(add).is_err() {
            return;
        }
        let started = Instant::now();
        while !self.interrupts.is_pressed() && started.elapsed() < MOMENT {
            match added_rx.recv_timeout(Duration::from_millis(200)) {
                Ok(Err(error)) => self.screen.stream(Stream::Stderr, &format!("warning: {error}\n")),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => continue,
                Ok(Ok(())) | Err(_) => {}
            }
            return;
        }
    }

    /// Tells cells of a revision that was committed.
    pub fn tell_cells(&self, revision: &Revision) {
        if let Some(cells) = &*locked(&self.cells) {
            set_scope(cells, revision);
        }
    }

    /// The variables that died with the worker; evcxr is made to forget them.
    pub fn cells_lost(&self) -> Vec<String> {
        let cells = locked(&self.cells).clone();
        cells.map(|it| it.worker_died()).unwrap_or_default()
    }
}

fn set_scope(cells: &Cells, revision: &Revision) {
    // Without a library there is no crate that cells could name.
    if !revision.library.as_os_str().is_empty() {
        cells.set_scope(&scope(revision), &revision.sources, &revision.modules);
    }
}

/// The crates of the image as cargo dependencies: what rust-analyzer reads to infer types.
fn image_sources(image: &Image) -> Vec<(String, String)> {
    let manifest = std::fs::read_to_string(image.source.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let polars = manifest
        .get("workspace")
        .and_then(|it| it.get("dependencies"))
        .and_then(|it| it.get("polars"))
        .map_or_else(|| "\"*\"".to_owned(), toml::Value::to_string);
    let path = toml::Value::String(image.source.to_string_lossy().into_owned());
    let own = [("brooklet".to_owned(), format!("{{ path = {path} }}")), ("polars".to_owned(), polars)];
    own.into_iter().chain(image.package_sources.iter().cloned()).collect()
}

/// A cell that stops in the middle. rustc would blame what is generated behind it.
fn unfinished(code: &str) -> CellError {
    let last = code.trim_end().lines().last().unwrap_or_default();
    let mut error = errors::plain("UnfinishedCell", "the cell ends in the middle of something");
    error.traceback.extend(errors::marked(last, &(last.len()..last.len())));
    error
}

/// A `?` ended the cell. evcxr's code has printed the error, and that was the last thing that was printed.
fn question_mark(printed: &str) -> CellError {
    let message = if printed.trim().is_empty() { "a `?` ended the cell" } else { printed.trim() };
    errors::plain("Error", message)
}

/// A place in evcxr's generated crate says nothing to the user.
fn in_cell(mut failure: Failure) -> Failure {
    failure.chain.retain(|it| !it.starts_with("src/lib.rs:"));
    failure
}

/// How each node's type is known to a cell: by the function that makes it, or by one that takes it.
pub fn scope(revision: &Revision) -> CellScope {
    let functions = || revision.parsed.files.iter().flat_map(|it| &it.functions);
    let mut scope = CellScope { crate_name: reload::CRATE.to_owned(), ..CellScope::default() };
    let find = |node: &Node| functions().find(|it| it.path == node.origin);
    for node in revision.graph.nodes.values() {
        let binding = match (node.kind, &node.part) {
            (NodeKind::Transform, Some(PartOf::Column { .. })) => Some(Binding::Column),
            (NodeKind::Transform, Some(PartOf::Field(field))) => find(node).map(|it| Binding::Part {
                path: it.path.clone(),
                arity: it.params.len(),
                is_async: it.is_async,
                field: field.clone(),
            }),
            (NodeKind::Transform, None) => find(node).map(|it| Binding::Function {
                path: it.path.clone(),
                arity: it.params.len(),
                is_async: it.is_async,
            }),
            (NodeKind::Input, _) => input_binding(revision, node, &find),
        };
        if let Some(binding) = binding {
            scope.nodes.insert(node.name.clone(), binding);
        }
    }
    scope
}

/// An input is known by a parameter that takes it, best one that takes it alone.
fn input_binding<'a>(
    revision: &Revision,
    input: &Node,
    find: &dyn Fn(&Node) -> Option<&'a FnSpec>,
) -> Option<Binding> {
    let mut members = None;
    for (consumer, dependency) in revision.graph.consumers(&input.name) {
        // A part of a configured value has no parameter.
        let Some(function) = find(consumer).filter(|_| consumer.part.is_none()) else { continue };
        let (consumer_path, arity, parameter) =
            (function.path.clone(), function.params.len(), dependency.parameter);
        if dependency.place == Place::Whole {
            return Some(Binding::Input { consumer_path, arity, parameter });
        }
        members.get_or_insert(Binding::Member { consumer_path, arity, parameter });
    }
    members
}

/// Parts the lines at the top that start with `:` from the rest. Line ends stay with the first part, so
/// that the two together are the cell again.
fn split_commands(body: &str) -> (&str, &str) {
    let mut end = 0;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        at += line.len();
        let text = line.trim_start();
        if text.starts_with(':') && !text.starts_with("::") {
            end = at;
        } else if !text.trim().is_empty() {
            break;
        }
    }
    body.split_at(end)
}

/// One line that tells what the compiler does, if that takes long.
struct ProgressLine {
    shared: Arc<Shared>,
    output: Arc<dyn Output>,
    id: String,
    started: Instant,
    state: Arc<(Mutex<Progress>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Progress {
    /// What evcxr said last; empty if it has not.
    line: String,
    is_shown: bool,
    is_over: bool,
}

impl ProgressLine {
    fn new(shared: &Arc<Shared>, output: Arc<dyn Output>) -> ProgressLine {
        let (id, started) = (fresh_id("progress"), Instant::now());
        let state = Arc::new((Mutex::new(Progress::default()), Condvar::new()));
        let thread = {
            let (state, output, id) = (state.clone(), output.clone(), id.clone());
            let shared = shared.clone();
            let keep_telling =
                move || tell(&state, &*output, &id, started, &|| shared.link().cell_began.is_some());
            thread::Builder::new().name("progress".into()).spawn(keep_telling).ok()
        };
        ProgressLine { shared: shared.clone(), output, id, started, state, thread }
    }

    fn say(&self, line: &str) {
        locked(&self.state.0).line = line.to_owned();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        locked(&self.state.0).is_over = true;
        self.state.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if locked(&self.state.0).is_shown {
            let ended = self.shared.link().cell_began.unwrap_or_else(Instant::now);
            let took = text::duration((ended - self.started).as_secs_f64() * 1_000.0);
            self.output.update(&muted(&format!("compiled in {took}")), &self.id);
        }
    }
}

/// Waits until there is something to tell, then tells it every second until the cell runs.
fn tell(
    state: &(Mutex<Progress>, Condvar),
    output: &dyn Output,
    id: &str,
    started: Instant,
    has_begun: &dyn Fn() -> bool,
) {
    let mut wait = QUIET;
    loop {
        let waited = state.1.wait_timeout_while(locked(&state.0), wait, |it| !it.is_over);
        let mut progress = waited.unwrap_or_else(|it| it.into_inner()).0;
        if progress.is_over || has_begun() {
            return;
        }
        let seconds = started.elapsed().as_secs();
        let line = match &*progress.line {
            "" if seconds < 5 => "compiling the cell",
            "" => "rust-analyzer works out the types; the first time it reads all of polars",
            line => line,
        };
        let bundle = muted(&format!("{line} ({seconds} s)"));
        let was_shown = std::mem::replace(&mut progress.is_shown, true);
        drop(progress);
        if was_shown {
            output.update(&bundle, id);
        } else {
            output.display(&bundle, Some(id));
        }
        wait = Duration::from_secs(1);
    }
}

fn muted(line: &str) -> MimeBundle {
    let html = format!("<div style=\"opacity:.75\">{}</div>", brooklet_graph::html::escape(line));
    MimeBundle::text(line).with("text/html", html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_panic_in_generated_code_is_left_out() {
        let chain = vec!["src/lib.rs:140:17".to_owned(), "transforms/a.rs:3:1".to_owned()];
        let failure = Failure {
            kind: "Panic".into(),
            node: String::new(),
            message: "x".into(),
            chain,
            hint: None,
            place: None,
        };
        assert_eq!(in_cell(failure).chain, ["transforms/a.rs:3:1"]);
    }

    #[test]
    fn an_unfinished_cell_is_marked_at_its_end() {
        let error = unfinished("let a = 1;\nlet b = a +\n");
        assert_eq!(error.name, "UnfinishedCell");
        assert!(error.traceback[1].ends_with(" let b = a +"), "{:?}", error.traceback);
    }

    #[test]
    fn commands_stand_above_the_code() {
        assert_eq!(
            split_commands(":dep a = \"1\"\n\n:vars\nlet x = 1;"),
            (":dep a = \"1\"\n\n:vars\n", "let x = 1;")
        );
        assert_eq!(split_commands("let x = 1;\n:vars"), ("", "let x = 1;\n:vars"));
        assert_eq!(split_commands("::std::process::id()"), ("", "::std::process::id()"));
        assert_eq!(split_commands(":vars"), (":vars", ""));
    }
}

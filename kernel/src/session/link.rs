//! The session's side of the worker: starts it when it is needed, commits revisions to it, hears it.
//!
//! The worker may be gone at any moment, and nothing is done about that until somebody needs it again:
//! then a new one is started and the revision in force is committed to it. What the old one held is
//! computed again by need, because a new driver knows no value. A request for which no code of the user's had
//! begun to run when it went is made once more, to the new one; all that is told then is a note.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use brooklet_graph::graph::{diff, edge_mismatches};
use brooklet_graph::picture::State as NodeState;
use brooklet_graph::wire::{Event, MimeBundle, Refusal};

use super::errors::{self, Result};
use super::interrupts::{InPhase, Phase};
use super::{Shared, locked};
use crate::build::package::PackageSpec;
use crate::cells::{Host, HostReply};
use crate::engine::Stream;
use crate::reload::{Problems, Revision};
use crate::worker::{CellReply, Death, Listener, Worker};

/// The format of the message by which code clears what it has shown: `{"wait": bool}`.
const CLEAR_OUTPUT: &str = "application/vnd.brooklet.clear-output+json";

/// A worker and what was committed to it.
#[derive(Default)]
pub struct Link {
    pub worker: Option<Arc<Worker>>,
    /// The key of the image that the worker loaded.
    image: String,
    /// The revision in force there.
    pub committed: Option<Arc<Revision>>,
    /// How the last cell's code ended in the worker; taken by the cell that waits for it.
    pub cell_reply: Option<std::result::Result<CellReply, Death>>,
    /// When the last cell was compiled and began to run.
    pub cell_began: Option<Instant>,
}

impl Link {
    /// Whether a worker lives that loaded the image of this key.
    pub fn is_running_on(&self, image: &str) -> bool {
        self.image == image && self.worker.as_ref().is_some_and(|it| it.is_alive())
    }
}

/// Beside the notebook: what outlives the kernel.
pub const STORE: &str = ".brooklet";

impl Shared {
    /// The revision of the watched files as they are now.
    pub fn revision(&self) -> Result<Arc<Revision>> {
        let phase = self.enter(Phase::Compiling)?;
        let current = self.reloader.current();
        drop(phase);
        current.map_err(|problems| self.problems(&problems))
    }

    /// What is wrong with the watched files, as an error of the cell.
    pub fn problems(&self, problems: &Problems) -> crate::engine::CellError {
        if problems.interrupted {
            return errors::interrupted("the compiler was stopped; all values are kept");
        }
        let graph_problems = errors::problems(&problems.diagnostics, &problems.sources, &problems.compiler);
        match (graph_problems, &problems.build) {
            (None, Some(build)) => errors::build(build),
            (Some(mut error), Some(build)) => {
                error.traceback.extend(errors::build(build).traceback);
                error
            }
            (Some(error), None) => error,
            (None, None) => errors::plain("CompileError", "the watched files do not compile"),
        }
    }

    /// The cell does something else now; fails if it was interrupted before.
    pub fn enter(&self, phase: Phase) -> Result<InPhase> {
        self.interrupts.enter(phase).map_err(|_| errors::interrupted("stopped between two steps"))
    }

    /// A worker that lives, on the image that holds the package's dependencies.
    fn worker(self: &Arc<Self>, package: Option<&Arc<PackageSpec>>) -> Result<Arc<Worker>> {
        let image = {
            let _phase = self.enter(Phase::Compiling)?;
            self.image.get(package).map_err(|it| errors::build(&it))?
        };
        let Some(image) = image else {
            return Err(errors::interrupted(
                "the image goes on building; a cell that needs it waits for it again",
            ));
        };
        let (running, is_other) = {
            let link = self.link();
            let is_other = !link.image.is_empty() && link.image != image.key;
            (link.worker.clone().filter(|it| it.is_alive()), is_other)
        };
        match running {
            // Cells are built against an image as well, whatever became of its worker.
            _ if is_other => self.leave_image(),
            Some(worker) => return Ok(worker),
            None => {}
        }
        let old = self.link().worker.clone();
        if let Some(old) = old {
            self.say_lost(&old.death(), "since the last cell");
        }
        let listener: Arc<dyn Listener> = Arc::new(Ears(Arc::downgrade(self)));
        let phase = self.enter(Phase::Working)?;
        let is_stopped = || self.interrupts.is_pressed();
        let start = || Worker::start(&image, &self.base, listener.clone(), &is_stopped);
        let started = match start() {
            Err(death) if !is_stopped() => {
                let line = format!(
                    "note: the worker {} before it began; it is started once more\n",
                    death.description
                );
                self.screen.stream(Stream::Stderr, &line);
                start()
            }
            started => started,
        };
        drop(phase);
        let worker = Arc::new(started.map_err(|death| match self.interrupts.is_pressed() {
            true => errors::interrupted("stopped while the worker was started"),
            false => errors::worker_not_started(&death),
        })?);
        worker.keep_results(&self.base.join(STORE), &image.key);
        let mut link = self.link();
        link.worker = Some(worker.clone());
        link.image = image.key.clone();
        link.committed = None;
        Ok(worker)
    }

    /// Notes that a worker is gone that nothing had been asked of yet, and forgets it.
    fn say_lost(&self, death: &Death, when: &str) {
        let lost = self.lose_worker();
        let during = if death.doing.is_empty() { String::new() } else { format!(" while {}", death.doing) };
        let line = format!(
            "note: the worker {}{during} {when}; {}\n",
            death.description,
            errors::after_death(&lost)
        );
        self.screen.stream(Stream::Stderr, &line);
    }

    /// Whether what was asked of a worker that died can be asked again of a new one: it had not begun, and nobody
    /// wanted it to end. Says so then.
    fn can_begin_again(&self, death: &Death) -> bool {
        let can = !death.had_begun && !self.interrupts.is_pressed();
        if can {
            self.say_lost(death, "before it began");
        }
        can
    }

    /// Asks a worker in which the revision is in force. `work` is what it does meanwhile, as in "while it ..".
    pub fn ask<T>(
        self: &Arc<Self>,
        revision: &Arc<Revision>,
        work: &str,
        ask: impl Fn(&Worker) -> std::result::Result<T, Death>,
    ) -> Result<T> {
        let answer = self.once_or_again(|| {
            let worker = self.commit(revision)?;
            let _phase = self.enter(Phase::Running)?;
            Ok(ask(&worker))
        })?;
        answer.map_err(|death| self.died(&death, work))
    }

    /// Has something done by the worker; once more if a worker dies that had not begun.
    pub fn once_or_again<T>(
        &self,
        once: impl Fn() -> Result<std::result::Result<T, Death>>,
    ) -> Result<std::result::Result<T, Death>> {
        match once()? {
            Err(death) if self.can_begin_again(&death) => once(),
            done => Ok(done),
        }
    }

    /// Ends worker and cells, because other dependencies mean another image: types of the two are not the same.
    fn leave_image(&self) {
        let cells = locked(&self.cells).take();
        let variables = cells.as_ref().map(|it| it.variables()).unwrap_or_default();
        if let Some(cells) = cells {
            cells.kill();
        }
        self.forget_worker();
        let mut line =
            "note: the dependencies are others now, so a new worker starts and computes again what is needed"
                .to_owned();
        if !variables.is_empty() {
            let names: Vec<String> = variables.into_iter().map(|it| it.name).collect();
            line = format!("{line}; lost with the old one: {}", super::text::list(&names));
        }
        self.screen.stream(Stream::Stderr, &format!("{line}\n"));
    }

    /// Forgets a worker that died; what nobody can find again: variables of cells, and values that no disk can keep.
    fn lose_worker(&self) -> Vec<String> {
        let values: Vec<String> = {
            let knowledge = self.knowledge();
            let has_value =
                |name: &&String| knowledge.mirror.nodes.get(*name).is_some_and(|it| is_fresh(&it.state));
            knowledge.only_in_memory.iter().filter(has_value).cloned().collect()
        };
        self.forget_worker();
        let mut lost = self.cells_lost();
        lost.extend(values);
        lost
    }

    /// Before a worker is ended that nothing is asked of: what it computed last may not be on the disk yet.
    pub fn settle_results(&self) {
        if !matches!(self.interrupts.phase(), Phase::Idle | Phase::Working) {
            return;
        }
        let worker = self.link().worker.clone().filter(|it| it.is_alive());
        if let Some(worker) = worker {
            worker.settle();
        }
    }

    /// Drops what is left of a worker: its values are gone. False if there was none.
    pub fn forget_worker(&self) -> bool {
        let old = {
            let mut link = self.link();
            link.committed = None;
            link.worker.take()
        };
        if old.is_some() {
            self.knowledge().mirror.all_stale();
        }
        // Dropped outside the lock: this kills the process and waits for it.
        old.is_some()
    }

    /// A worker in which the revision is in force.
    pub fn commit(self: &Arc<Self>, revision: &Arc<Revision>) -> Result<Arc<Worker>> {
        let committed = self.once_or_again(|| self.commit_once(revision))?;
        committed.map_err(|death| self.died(&death, "the graph was committed"))
    }

    fn commit_once(
        self: &Arc<Self>,
        revision: &Arc<Revision>,
    ) -> Result<std::result::Result<Arc<Worker>, Death>> {
        let worker = self.worker(revision.package.as_ref())?;
        let committed = self.link().committed.clone();
        if committed.as_ref().is_some_and(|it| it.number == revision.number) {
            return Ok(Ok(worker));
        }
        let phase = self.enter(Phase::Running)?;
        let answer =
            worker.commit(revision.generation, &revision.library, &revision.type_key, &revision.graph);
        drop(phase);
        let answer = match answer {
            Ok(answer) => answer,
            Err(death) => return Ok(Err(death)),
        };
        match answer {
            Ok(accepted) => {
                // Cells go on to name the last generation's types where there is no other.
                if !revision.library.as_os_str().is_empty() {
                    self.reloader.publish(revision).map_err(|it| errors::build(&it))?;
                }
                self.tell_cells(revision);
                let mut knowledge = self.knowledge();
                if let Some(old) = knowledge.revision.replace(revision.clone()) {
                    let change = diff(&old.graph, &revision.graph);
                    knowledge.mirror.change(&change, &revision.graph);
                }
                knowledge.mirror.stale(&accepted.dropped, &revision.graph);
                knowledge.types = accepted.types;
                knowledge.only_in_memory = accepted.only_in_memory;
                drop(knowledge);
                self.link().committed = Some(revision.clone());
                Ok(Ok(worker))
            }
            Err(Refusal::Load { message }) => Err(errors::plain("LoadError", message)),
            Err(Refusal::Edges { mismatches }) => {
                let diagnostics = edge_mismatches(&mismatches, &revision.graph);
                errors::problems(&diagnostics, &revision.sources, &[])
                    .map_or_else(|| Err(errors::plain("LoadError", "the worker refused the graph")), Err)
            }
        }
    }

    /// The worker died while it was needed: tells it once, and forgets what died with it. `work` says for
    /// what it was needed, as in "while `total` was computed".
    pub fn died(&self, death: &Death, work: &str) -> crate::engine::CellError {
        let running = self.knowledge().mirror.running();
        let lost = self.lose_worker();
        if self.interrupts.is_pressed() {
            return errors::killed(&running, &lost);
        }
        errors::worker_died(death, &running, work, &lost)
    }
}

/// Hears the worker for the session.
struct Ears(std::sync::Weak<Shared>);

impl Listener for Ears {
    fn event(&self, _request: u64, event: Event) {
        let Some(shared) = self.0.upgrade() else { return };
        if let Event::DidWarn { message, .. } = &event {
            shared.screen.stream(Stream::Stderr, &format!("warning: {message}\n"));
        }
        shared.knowledge().mirror.apply(&event);
        let painter = shared.painter();
        if let Some(painter) = &*painter {
            painter.apply(&event);
        }
        drop(painter);
        shared.tally().apply(&event);
        shared.record().note(&event);
    }

    fn display(&self, bundle: MimeBundle) {
        let Some(output) = self.0.upgrade().and_then(|it| it.screen.output()) else { return };
        match bundle.data.get(CLEAR_OUTPUT) {
            Some(clear) => output.clear(clear.get("wait").and_then(|it| it.as_bool()).unwrap_or_default()),
            None => output.display(&bundle, None),
        }
    }

    fn value(&self, _request: u64, bundle: MimeBundle) {
        if let Some(output) = self.0.upgrade().and_then(|it| it.screen.output()) {
            output.result(&bundle);
        }
    }

    fn output(&self, stream: Stream, text: &str) {
        let Some(shared) = self.0.upgrade() else { return };
        if stream == Stream::Stderr && shared.interrupts.phase() == Phase::RunningCell {
            shared.screen.hold(text);
        } else {
            shared.screen.stream(stream, text);
        }
    }

    fn ask(&self, prompt: &str, password: bool) -> std::result::Result<String, String> {
        match self.0.upgrade().and_then(|it| it.screen.output()) {
            Some(output) => output.input(prompt, password),
            None => Err("no cell is running".to_owned()),
        }
    }
}

/// Runs what cells compiled; called from the thread that serves evcxr's child.
pub struct CellHost(pub std::sync::Weak<Shared>);

impl Host for CellHost {
    fn load_and_run(&self, library: &Path, function: &str) -> HostReply {
        let died = HostReply { control_lines: Vec::new(), died: true };
        let Some(shared) = self.0.upgrade() else { return died };
        // The worker was started before the cell was compiled; if it is gone since, so are the variables, and
        // whoever waits for the cell decides whether to begin again.
        let Some(worker) = shared.link().worker.clone() else { return died };
        // evcxr believes that it runs, so it must, however often the user has pressed.
        let _phase = shared.interrupts.enter_anyway(Phase::RunningCell);
        shared.link().cell_began = Some(Instant::now());
        let reply = worker.cell(library, function);
        let answer = match &reply {
            Ok(reply) => HostReply { control_lines: reply.control_lines.clone(), died: false },
            Err(_) => died,
        };
        shared.link().cell_reply = Some(reply);
        answer
    }

    fn forget(&self) {
        if let Some(worker) = self.0.upgrade().and_then(|it| it.link().worker.clone()) {
            worker.forget_cells();
        }
    }
}

/// Whether a node's value is at hand and up to date, as far as the session knows.
pub fn is_fresh(state: &NodeState) -> bool {
    matches!(state, NodeState::Done { .. } | NodeState::Reused | NodeState::Taken)
}

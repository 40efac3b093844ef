//! Displays that follow the files: marked at once when a save makes them stale, and with `%live on` run again.
//!
//! What a cell has shown stays on the screen while the files change under it. So it is remembered what each shows, and
//! of which code and inputs; a thread of its own compares that with every content that was compiled. It holds the
//! session's turn while it runs nodes, and gives it up as soon as a cell wants it or another save comes: between two
//! steps, like any interrupt. What it runs is a run like any other, with its pictures and its record; only that nothing
//! is printed and nothing new appears: displays are updated where they are.

mod mark;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Graph, Literals, diff};
use brooklet_graph::picture::Selection;
use brooklet_graph::wire::MimeBundle;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::display::draw;
use super::errors::{self, Result};
use super::grammar::Call;
use super::interrupts::Phase;
use super::run::Request;
use super::{Execution, Shared, locked, text};
use crate::engine::{Output, Stream};
use crate::reload::Revision;
pub use mark::Mark;

/// Saves that follow each other within this are one.
const QUIET: Duration = Duration::from_millis(250);
/// Nodes with this tag are run by cells alone.
const EXPENSIVE: &str = "expensive";

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A file was saved; it is not compiled yet.
    Saved,
    /// A content was compiled, or a cell has ended.
    Ready,
}

/// All displays that follow the files.
pub struct Live {
    state: Mutex<State>,
    wake: Sender<Wake>,
}

#[derive(Default)]
struct State {
    is_on: bool,
    displays: Vec<Display>,
    /// Numbers displays.
    count: u64,
    /// Cells that want their turn.
    waiting: usize,
    run: Option<Run>,
    last: Option<Last>,
}

/// A live run that goes on.
#[derive(Default)]
struct Run {
    is_cancelled: bool,
}

/// What the last live run did.
#[derive(Clone)]
struct Last {
    ended: Instant,
    took: Duration,
    displays: usize,
    nodes: usize,
    failed: usize,
}

/// Something that a cell has shown.
#[derive(Clone)]
pub struct Display {
    number: u64,
    /// Which cell it belongs to: one that is executed again shows anew.
    cell: String,
    /// The number beside the cell.
    count: u64,
    output: Arc<dyn Output>,
    shows: Shows,
    /// What stands below the cell, by display id; of a Rust cell nothing that could be updated.
    shown: Option<(String, MimeBundle)>,
    /// What it was made of.
    revision: Arc<Revision>,
    literals: Literals,
    mark: Mark,
    /// The display of a mark that stands by itself.
    note: Option<String>,
}

/// What a display is made of.
#[derive(Clone)]
pub enum Shows {
    Nodes(Request),
    Picture(Selection),
    /// The nodes that a Rust cell names; it is never run by itself.
    Cell(Vec<String>),
}

impl Shows {
    /// The nodes that it needs, in one graph.
    fn needed(&self, graph: &Graph) -> BTreeSet<String> {
        let targets = match self {
            Shows::Nodes(request) => &request.targets,
            Shows::Picture(selection) => &selection.targets,
            Shows::Cell(uses) => uses,
        };
        if targets.is_empty() {
            return graph.nodes.keys().cloned().collect();
        }
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        graph.upstream_of(&targets).into_iter().collect()
    }

    /// Values for this display alone.
    fn own_inputs(&self) -> Literals {
        match self {
            Shows::Nodes(request) => request.inputs.clone(),
            Shows::Picture(_) | Shows::Cell(_) => Literals::new(),
        }
    }
}

impl Live {
    pub fn new(wake: Sender<Wake>) -> Live {
        Live { state: Mutex::default(), wake }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub fn wake(&self, why: Wake) {
        let _ = self.wake.send(why);
    }

    /// What a cell showed when it was executed before is gone.
    pub fn forget_cell(&self, cell: &str) {
        self.state().displays.retain(|it| it.cell != cell);
    }

    /// Whether a live run is to end before its next step: somebody else wants the turn, or the files changed.
    fn is_cancelled(&self) -> bool {
        let state = self.state();
        state.waiting > 0 || state.run.as_ref().is_none_or(|it| it.is_cancelled)
    }

    fn with(&self, number: u64, change: impl FnOnce(&mut Display)) {
        if let Some(display) = self.state().displays.iter_mut().find(|it| it.number == number) {
            change(display);
        }
    }
}

/// Starts the thread; it ends when `Live` is dropped.
pub fn start(shared: &Arc<Shared>, woken: Receiver<Wake>) {
    let shared = Arc::downgrade(shared);
    let _ = thread::Builder::new().name("live".into()).spawn(move || follow(&shared, &woken));
}

fn follow(shared: &Weak<Shared>, woken: &Receiver<Wake>) {
    // Since the displays were looked at last.
    let mut save: Option<Instant> = None;
    let mut is_ready = false;
    loop {
        let quiet = save.map_or(Duration::ZERO, |it| QUIET.saturating_sub(it.elapsed()));
        let wake = match is_ready {
            true => woken.recv_timeout(quiet),
            false => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match wake {
            Ok(Wake::Saved) => save = Some(Instant::now()),
            Ok(Wake::Ready) => is_ready = true,
            Err(RecvTimeoutError::Timeout) => {
                is_ready = false;
                let Some(shared) = shared.upgrade() else { return };
                shared.follow_files(save.take().is_some());
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Shared {
    /// A file was saved. A live run of what it held before is of no use any more.
    pub fn saved(&self) {
        let is_running = {
            let mut state = self.live.state();
            state.run.as_mut().map(|it| it.is_cancelled = true).is_some()
        };
        if is_running {
            self.stop_live_run();
        }
        // What a cell writes itself, its reader knows of; its end wakes us.
        if is_running || self.interrupts.phase() == Phase::Idle {
            self.live.wake(Wake::Saved);
        }
    }

    /// Waits for a cell's turn; a live run gives way.
    pub fn take_turn(&self) -> MutexGuard<'_, ()> {
        let is_running = {
            let mut state = self.live.state();
            state.waiting += 1;
            state.run.is_some()
        };
        if is_running {
            self.stop_live_run();
        }
        let turn = locked(&self.turn);
        self.live.state().waiting -= 1;
        turn
    }

    fn stop_live_run(&self) {
        let worker = self.link().worker.clone();
        if let Some(worker) = worker {
            worker.interrupt();
        }
    }

    /// Compares all displays with the newest content of the files. Without live mode only a save marks them: what a cell
    /// changes, a transform or an input, is told by that cell.
    fn follow_files(self: &Arc<Self>, was_saved: bool) {
        let Some(outcome) = self.reloader.outcome() else { return };
        let is_on = self.live.state().is_on;
        if !is_on && !was_saved {
            return;
        }
        let displays = self.live.state().displays.clone();
        match outcome {
            Ok(revision) => {
                let mut stale = Vec::new();
                for display in &displays {
                    let mark = match self.what_changed(display, &revision) {
                        None => Mark::None,
                        Some(_) if is_on && !matches!(display.shows, Shows::Cell(_)) => {
                            stale.push(display.number);
                            continue;
                        }
                        Some(what) => Mark::Stale(what),
                    };
                    self.set_mark(display.number, mark);
                }
                if !stale.is_empty() {
                    self.run_again(&stale);
                }
            }
            // Without live mode the next cell tells it.
            Err(problems) if is_on && !problems.interrupted => {
                let what = self.problems(&problems).value;
                for display in &displays {
                    self.set_mark(display.number, Mark::Failed(what.clone()));
                }
            }
            Err(_) => {}
        }
    }

    /// What a display needs and is another now, in words.
    fn what_changed(&self, display: &Display, revision: &Revision) -> Option<String> {
        let graphs = [&display.revision.graph, &revision.graph];
        let needed: BTreeSet<String> = graphs.iter().flat_map(|it| display.shows.needed(it)).collect();
        let change = diff(graphs[0], graphs[1]);
        let nodes = change.changed.iter().chain(&change.added).chain(&change.removed);
        let mut names: Vec<String> = nodes.filter(|it| needed.contains(*it)).cloned().collect();
        if !matches!(display.shows, Shows::Picture(_)) {
            let now = self.given_now(&display.shows);
            let all: BTreeSet<&String> = now.keys().chain(display.literals.keys()).collect();
            let other = all.into_iter().filter(|it| now.get(*it) != display.literals.get(*it));
            names.extend(other.filter(|it| needed.contains(*it)).cloned());
        }
        (!names.is_empty()).then(|| format!("{} changed", text::list(&names)))
    }

    /// Configuration and inputs as they are for a display now.
    fn given_now(&self, shows: &Shows) -> Literals {
        let knowledge = self.knowledge();
        let mut all = knowledge.config.clone();
        all.extend(knowledge.inputs.clone());
        all.extend(shows.own_inputs());
        all
    }

    fn set_mark(&self, number: u64, mark: Mark) {
        let mut update = None;
        self.live.with(number, |display| {
            if display.mark != mark {
                display.mark = mark;
                if display.shown.is_none() && display.note.is_none() {
                    let id = super::display::fresh_id("note");
                    display.note = Some(id.clone());
                    update = Some((display.clone(), true));
                } else {
                    update = Some((display.clone(), false));
                }
            }
        });
        let Some((display, is_new)) = update else { return };
        match (&display.shown, &display.note) {
            (Some((id, bundle)), _) => display.output.update(&mark::marked(bundle, &display.mark), id),
            (None, Some(id)) if is_new => display.output.display(&mark::alone(&display.mark), Some(id)),
            (None, Some(id)) => display.output.update(&mark::alone(&display.mark), id),
            (None, None) => {}
        }
    }

    /// Runs displays again, one after the other.
    fn run_again(self: &Arc<Self>, numbers: &[u64]) {
        let _turn = locked(&self.turn);
        {
            let mut state = self.live.state();
            if state.waiting > 0 {
                // The cell may change more; its end wakes us.
                return;
            }
            state.run = Some(Run::default());
        }
        let started = Instant::now();
        let (mut displays, mut nodes, mut failed) = (0, 0, 0);
        for number in numbers {
            let display = self.live.state().displays.iter().find(|it| it.number == *number).cloned();
            let Some(display) = display.filter(|_| !self.live.is_cancelled()) else { continue };
            match self.show_again(&display) {
                Ok(ran) => {
                    displays += 1;
                    nodes += ran;
                }
                Err(error) if error.name == errors::INTERRUPTED => {
                    self.set_mark(*number, Mark::Stale("the files changed".to_owned()));
                }
                Err(error) => {
                    displays += 1;
                    failed += 1;
                    self.set_mark(*number, Mark::Failed(error.value));
                }
            }
        }
        let mut state = self.live.state();
        let is_cancelled = state.run.take().is_some_and(|it| it.is_cancelled);
        if displays > 0 {
            let took = started.elapsed();
            state.last = Some(Last { ended: Instant::now(), took, displays, nodes, failed });
        }
        drop(state);
        if is_cancelled {
            self.live.wake(Wake::Ready);
        }
    }

    /// Runs one display again and updates it; how many nodes ran.
    fn show_again(self: &Arc<Self>, display: &Display) -> Result<usize> {
        let phase = self.interrupts.begin();
        let quiet: Arc<dyn Output> = Arc::new(Quiet { inner: display.output.clone() });
        let before = self.screen.lend(quiet.clone());
        let execution =
            Execution { shared: self, output: quiet, count: display.count, cell: display.cell.clone() };
        let done = self.revision().and_then(|revision| execution.again(display, &revision));
        self.screen.give_back(before);
        drop(phase);
        done
    }
}

impl Execution<'_> {
    /// `%live [on|off]`
    pub(super) fn live(&self, call: &Call) -> Result<()> {
        let live = &self.shared.live;
        match call.texts().first().map(String::as_str) {
            None => {}
            Some(word) => {
                live.state().is_on = word == "on";
                live.wake(Wake::Ready);
            }
        }
        let state = live.state();
        let mut lines = vec![match state.is_on {
            true => "live mode is on: a save is enough".to_owned(),
            false => "live mode is off: a save marks what it makes stale".to_owned(),
        }];
        let cells = |is_meant: &dyn Fn(&Display) -> bool| -> Vec<String> {
            let numbers: BTreeSet<u64> =
                state.displays.iter().filter(|it| is_meant(it)).map(|it| it.count).collect();
            numbers.iter().map(u64::to_string).collect()
        };
        let follows = cells(&|it| !matches!(it.shows, Shows::Cell(_)));
        if !follows.is_empty() {
            lines.push(format!("displays of cells {}", follows.join(", ")));
        }
        let stale = cells(&|it| it.mark != Mark::None);
        if !stale.is_empty() {
            lines.push(format!("not up to date: cells {}", stale.join(", ")));
        }
        if let Some(last) = &state.last {
            let failed = if last.failed > 0 { format!(", {} failed", last.failed) } else { String::new() };
            lines.push(format!(
                "last live run {} ago: {} of {} in {}{failed}",
                text::duration(last.ended.elapsed().as_secs_f64() * 1e3),
                text::count(last.displays, "display"),
                text::count(last.nodes, "computed node"),
                text::duration(last.took.as_secs_f64() * 1e3),
            ));
        }
        drop(state);
        self.show(lines.join("\n"), None);
        Ok(())
    }

    /// Has what the cell shows follow the files from now on.
    pub(super) fn keep_display(
        &self,
        revision: &Arc<Revision>,
        shows: Shows,
        shown: Option<(String, MimeBundle)>,
    ) {
        let literals = self.shared.given_now(&shows);
        let mut state = self.shared.live.state();
        state.count += 1;
        let number = state.count;
        state.displays.push(Display {
            number,
            cell: self.cell.clone(),
            count: self.count,
            output: self.output.clone(),
            shows,
            shown,
            revision: revision.clone(),
            literals,
            mark: Mark::None,
            note: None,
        });
    }

    /// Makes a display anew, where it is; how many nodes ran.
    fn again(&self, display: &Display, revision: &Arc<Revision>) -> Result<usize> {
        let Some((id, _)) = &display.shown else { return Ok(0) };
        let literals = self.shared.given_now(&display.shows);
        let (bundle, ran) = match &display.shows {
            Shows::Cell(_) => return Ok(0),
            Shows::Picture(selection) => (draw(&self.view(revision, selection), id), 0),
            Shows::Nodes(request) => {
                if let Some(expensive) = self.expensive(display, revision) {
                    let what = format!("{expensive} is tagged `{EXPENSIVE}`: run the cell to compute it");
                    self.shared.set_mark(display.number, Mark::Stale(what));
                    return Ok(0);
                }
                let bundle = self.run_nodes(revision, &Request { is_again: true, ..request.clone() })?;
                (bundle, self.shared.tally().ran())
            }
        };
        display.output.update(&bundle, id);
        self.shared.live.with(display.number, |it| {
            it.shown = Some((id.clone(), bundle));
            it.revision = revision.clone();
            it.literals = literals;
            it.mark = Mark::None;
        });
        Ok(ran)
    }

    /// A node that would have to run, as far as the graphs tell, and that only a cell may run.
    fn expensive(&self, display: &Display, revision: &Revision) -> Option<String> {
        let needed = display.shows.needed(&revision.graph);
        let change = diff(&display.revision.graph, &revision.graph);
        let now = self.shared.given_now(&display.shows);
        let mut stale: BTreeSet<&str> =
            change.changed.iter().chain(&change.added).map(String::as_str).collect();
        stale.extend(now.keys().filter(|it| now.get(*it) != display.literals.get(*it)).map(String::as_str));
        for node in revision.graph.nodes.values() {
            if node.dependencies.iter().any(|it| stale.contains(&*it.name)) {
                stale.insert(&node.name);
            }
        }
        let is_expensive = |it: &&brooklet_graph::graph::Node| {
            let tag = it.tags.get(EXPENSIVE);
            needed.contains(&it.name)
                && stale.contains(&*it.name)
                && tag.is_some_and(|it| it.iter().any(|it| it == "true"))
        };
        revision.graph.nodes.values().find(is_expensive).map(|it| format!("`{}`", it.name))
    }
}

/// Lets through what updates a display, and nothing that would appear anew.
struct Quiet {
    inner: Arc<dyn Output>,
}

impl Output for Quiet {
    fn stream(&self, _: Stream, _: &str) {}
    fn display(&self, _: &MimeBundle, _: Option<&str>) {}
    fn update(&self, bundle: &MimeBundle, display_id: &str) {
        self.inner.update(bundle, display_id);
    }
    fn result(&self, _: &MimeBundle) {}
    fn clear(&self, _: bool) {}
    fn page(&self, _: &str) {}
    fn input(&self, _: &str, _: bool) -> std::result::Result<String, String> {
        Err("a live run has nobody to ask: execute the cell".to_owned())
    }
}

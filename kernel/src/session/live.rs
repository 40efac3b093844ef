//! Displays that follow the files: marked at once when a save makes them stale, and with `%live on` run again.
//!
//! What a cell has shown stays on the screen while the files change under it. So it is remembered what each shows, and
//! of which code and inputs; a thread of its own compares that with every content that was compiled. What a cell changes
//! itself (a transform, the configuration, an input) is told by that cell, and marks nothing.
//!
//! A live run is a run like any other, with its pictures and its record; only that nothing is printed and nothing new
//! appears. It holds the session's turn. This is quite tricky, because a cell may want the turn, a save may come or the
//! user may interrupt at any moment, and a worker forgets an interrupt when a run begins: so whoever wants a live run
//! to end asks again and again until it has ended, under the lock that its end takes, so that no cell is hit. A live run
//! starts no worker and builds no image: what that costs is for cells to tell.

mod again;
mod mark;

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Graph, Literals, diff};
use brooklet_graph::picture::Selection;
use brooklet_graph::wire::MimeBundle;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::display::fresh_id;
use super::errors::Result;
use super::grammar::Call;
use super::run::Request;
use super::{Execution, Shared, locked, text};
use crate::engine::{Output, Stream};
use crate::reload::Revision;
pub use mark::Mark;

/// Saves that follow each other within this are one.
const QUIET: Duration = Duration::from_millis(250);
/// A live run that is to end is asked so often.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// A cell that waits for its turn says so after this.
const TELL_AFTER: Duration = Duration::from_millis(600);
/// So many displays follow the files, the newest.
const MOST: usize = 100;
/// As other threads that execute.
const STACK: usize = 64 << 20;

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
    /// A live run has ended, or a cell gives up waiting.
    changed: Condvar,
    wake: Sender<Wake>,
}

#[derive(Default)]
struct State {
    is_on: bool,
    is_closed: bool,
    displays: Vec<Display>,
    /// Numbers displays and runs.
    count: u64,
    /// Cells that want their turn.
    waiting: usize,
    /// The cell that waits was interrupted.
    has_given_up: bool,
    /// Inputs and configuration are those of another run for a moment.
    paused: usize,
    run: Option<Run>,
    last: Option<Last>,
    /// What happened in live runs and must be told by the next cell.
    owed: Vec<String>,
}

/// A live run that goes on.
struct Run {
    number: u64,
    is_cancelled: bool,
    /// Somebody asks it to end.
    is_asked: bool,
    /// How often the user interrupted it.
    presses: u32,
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
    shown: Option<(String, Arc<MimeBundle>)>,
    /// What it was made of.
    revision: Arc<Revision>,
    literals: Literals,
    /// The last revision that is no news to its reader.
    seen: Arc<Revision>,
    /// What was tried in vain to make it anew of.
    tried: Option<(u64, Literals)>,
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
        let is_whole = match self {
            Shows::Picture(it) => it.down.is_some() || it.around.is_some() || it.path.is_some(),
            Shows::Nodes(_) | Shows::Cell(_) => false,
        };
        if targets.is_empty() || is_whole {
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
        Live { state: Mutex::default(), changed: Condvar::new(), wake }
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

    /// What happened in live runs since the last cell and is not seen in a display.
    pub fn take_owed(&self) -> Vec<String> {
        std::mem::take(&mut self.state().owed)
    }

    /// The session ends: nothing is updated any more.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        if let Some(run) = &mut state.run {
            run.is_cancelled = true;
        }
    }

    /// Nothing is compared until the guard is dropped.
    pub fn pause(&self) -> Paused<'_> {
        self.state().paused += 1;
        Paused(self)
    }

    /// A cell has changed the graph itself: that is no news.
    pub fn acknowledge(&self, revision: &Arc<Revision>) {
        for display in self.state().displays.iter_mut().filter(|it| it.mark == Mark::None) {
            display.seen = revision.clone();
        }
    }

    /// Whether a live run is to end before its next step: somebody else wants the turn, or the files changed.
    fn is_cancelled(&self) -> bool {
        let state = self.state();
        state.waiting > 0 || state.is_closed || state.run.as_ref().is_none_or(|it| it.is_cancelled)
    }

    fn with(&self, number: u64, change: impl FnOnce(&mut Display)) {
        if let Some(display) = self.state().displays.iter_mut().find(|it| it.number == number) {
            change(display);
        }
    }

    fn display(&self, number: u64) -> Option<Display> {
        self.state().displays.iter().find(|it| it.number == number).cloned()
    }
}

/// Holds comparisons off.
pub struct Paused<'a>(&'a Live);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.state().paused -= 1;
        self.0.wake(Wake::Ready);
    }
}

/// Starts the thread; it ends when `Live` is dropped.
pub fn start(shared: &Arc<Shared>, woken: Receiver<Wake>) {
    let shared = Arc::downgrade(shared);
    let follow = move || follow(&shared, &woken);
    let _ = thread::Builder::new().name("live".into()).stack_size(STACK).spawn(follow);
}

fn follow(shared: &Weak<Shared>, woken: &Receiver<Wake>) {
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
                (is_ready, save) = (false, None);
                let Some(shared) = shared.upgrade() else { return };
                // A panic of ours must not end what goes on beside the cells.
                let done = catch_unwind(AssertUnwindSafe(|| shared.follow_files()));
                if let Err(panic) = done {
                    shared.live.state().owed.push(words(&*panic));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("a live run ended by a fault of Brooklet itself: {message}")
}

impl Shared {
    /// The content of the files has changed. A live run of what it was before is of no use any more.
    pub fn saved(self: &Arc<Self>) {
        {
            let mut state = self.live.state();
            if let Some(run) = &mut state.run {
                run.is_cancelled = true;
                self.ask_to_end(&mut state);
            }
        }
        self.live.wake(Wake::Saved);
    }

    /// Waits for a cell's turn; a live run gives way. `None` if the user gave up waiting.
    pub fn take_turn(self: &Arc<Self>, output: &dyn Output) -> Option<MutexGuard<'_, ()>> {
        let mut state = self.live.state();
        state.waiting += 1;
        state.has_given_up = false;
        let mut was_told = false;
        while state.run.is_some() && !state.has_given_up {
            self.ask_to_end(&mut state);
            let waited = self.live.changed.wait_timeout(state, TELL_AFTER);
            let timeout;
            (state, timeout) = waited.unwrap_or_else(|it| it.into_inner());
            if timeout.timed_out() && state.run.is_some() && !std::mem::replace(&mut was_told, true) {
                let line = "note: a step of a live run is still under way; interrupt to give up, and once more to kill \
                            the worker\n";
                output.stream(Stream::Stderr, line);
            }
        }
        if std::mem::take(&mut state.has_given_up) {
            state.waiting -= 1;
            return None;
        }
        drop(state);
        let turn = locked(&self.turn);
        self.live.state().waiting -= 1;
        Some(turn)
    }

    /// The user interrupts; whether that is about a live run.
    pub fn interrupt_live_run(self: &Arc<Self>) -> bool {
        let presses = {
            let mut state = self.live.state();
            state.has_given_up = state.waiting > 0;
            let Some(run) = &mut state.run else {
                state.has_given_up = false;
                return false;
            };
            run.is_cancelled = true;
            run.presses += 1;
            let presses = run.presses;
            self.ask_to_end(&mut state);
            presses
        };
        self.live.changed.notify_all();
        if presses > 1 {
            self.kill_worker();
        }
        true
    }

    /// Asks the worker to stop, until the live run has ended.
    fn ask_to_end(self: &Arc<Self>, state: &mut State) {
        let Some(run) = state.run.as_mut().filter(|it| !it.is_asked) else { return };
        run.is_asked = true;
        let (shared, number) = (self.clone(), run.number);
        let ask = move || {
            let mut state = shared.live.state();
            // The lock is held meanwhile: the turn is not given up before the run's end is noted.
            while state.run.as_ref().is_some_and(|it| it.number == number) {
                let worker = shared.link().worker.clone();
                if let Some(worker) = worker {
                    worker.interrupt();
                }
                let waited = shared.live.changed.wait_timeout(state, ASK_EVERY);
                state = waited.unwrap_or_else(|it| it.into_inner()).0;
            }
        };
        let _ = thread::Builder::new().name("live-end".into()).spawn(ask);
    }

    /// Compares all displays with the newest content of the files.
    fn follow_files(self: &Arc<Self>) {
        let (is_on, displays) = {
            let state = self.live.state();
            if state.is_closed || state.paused > 0 || state.displays.is_empty() {
                return;
            }
            (state.is_on, state.displays.clone())
        };
        let Some(outcome) = self.reloader.outcome() else { return };
        match outcome {
            Ok(revision) if is_on => self.follow_live(&revision, &displays),
            Ok(revision) => {
                for display in &displays {
                    let names = changed_nodes(&display.shows, &display.seen.graph, &revision.graph);
                    self.set_mark(display.number, stale_if(&names));
                }
            }
            // Without live mode the next cell tells it.
            Err(problems) if is_on && !problems.interrupted => {
                let what = self.tidied(self.problems(&problems)).value;
                for display in &displays {
                    self.set_mark(display.number, Mark::Failed(what.clone()));
                }
            }
            Err(_) => {}
        }
    }

    fn follow_live(self: &Arc<Self>, revision: &Arc<Revision>, displays: &[Display]) {
        let mut stale = Vec::new();
        for display in displays {
            let names = self.changed_since(display, revision);
            let is_cell = matches!(display.shows, Shows::Cell(_));
            let was_tried = display
                .tried
                .as_ref()
                .is_some_and(|it| *it == (revision.number, self.given_now(&display.shows)));
            match names.is_empty() || is_cell {
                true => self.set_mark(display.number, stale_if(&names)),
                false if was_tried => {}
                false => stale.push(display.number),
            }
        }
        if !stale.is_empty() {
            self.run_again(&stale);
        }
    }

    /// What a display needs and is another now.
    fn changed_since(&self, display: &Display, revision: &Revision) -> Vec<String> {
        let mut names = changed_nodes(&display.shows, &display.revision.graph, &revision.graph);
        if !matches!(display.shows, Shows::Picture(_)) {
            let now = self.given_now(&display.shows);
            let needed = display.shows.needed(&revision.graph);
            let all: BTreeSet<&String> = now.keys().chain(display.literals.keys()).collect();
            let other = all.into_iter().filter(|it| now.get(*it) != display.literals.get(*it));
            names.extend(other.filter(|it| needed.contains(*it)).cloned());
        }
        names
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
        {
            let mut state = self.live.state();
            if state.is_closed {
                return;
            }
            let display = state.displays.iter_mut().find(|it| it.number == number);
            if let Some(display) = display.filter(|it| it.mark != mark) {
                display.mark = mark;
                let is_new = display.shown.is_none() && display.note.is_none();
                if is_new {
                    display.note = Some(fresh_id("note"));
                }
                update = Some((display.clone(), is_new));
            }
        }
        let Some((display, is_new)) = update else { return };
        match (&display.shown, &display.note) {
            (Some((id, bundle)), _) => display.output.update(&mark::marked(bundle, &display.mark), id),
            (None, Some(id)) if is_new => display.output.display(&mark::alone(&display.mark), Some(id)),
            (None, Some(id)) => display.output.update(&mark::alone(&display.mark), id),
            (None, None) => {}
        }
    }

    fn mark_stale(&self, numbers: &[u64], revision: &Revision) {
        for display in numbers.iter().filter_map(|it| self.live.display(*it)) {
            let names = self.changed_since(&display, revision);
            if !names.is_empty() && display.mark == Mark::None {
                self.set_mark(display.number, stale_if(&names));
            }
        }
    }
}

/// Nodes that a display needs and that are another in another graph.
fn changed_nodes(shows: &Shows, before: &Graph, now: &Graph) -> Vec<String> {
    let needed: BTreeSet<String> = [before, now].into_iter().flat_map(|it| shows.needed(it)).collect();
    let change = diff(before, now);
    let nodes = change.changed.iter().chain(&change.added).chain(&change.removed);
    nodes.filter(|it| needed.contains(*it)).cloned().collect()
}

fn stale_if(names: &[String]) -> Mark {
    if names.is_empty() { Mark::None } else { Mark::Stale(format!("{} changed", text::list(names))) }
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
        let more = (state.displays.len() + 1).saturating_sub(MOST);
        state.displays.drain(..more);
        state.displays.push(Display {
            number,
            cell: self.cell.clone(),
            count: self.count,
            output: self.output.clone(),
            shows,
            shown: shown.map(|(id, bundle)| (id, Arc::new(bundle))),
            revision: revision.clone(),
            literals,
            seen: revision.clone(),
            tried: None,
            mark: Mark::None,
            note: None,
        });
    }
}

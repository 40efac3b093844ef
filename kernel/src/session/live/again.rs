//! A live run: the displays that are stale are made anew, one after the other, where they stand.

use std::sync::{Arc, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Graph, Literals, Node};
use brooklet_graph::wire::MimeBundle;

use super::super::display::draw;
use super::super::errors::{self, Result};
use super::super::run::Request;
use super::super::screen::Screen;
use super::super::{Execution, Shared, locked, text};
use super::{Display, Last, Live, Mark, Run, Shows, State, Wake};
use crate::engine::{CellError, Output, Stream};
use crate::reload::Revision;

/// Nodes with this tag are run by cells alone.
const EXPENSIVE: &str = "expensive";
/// After this a display that waits to be made anew is marked as stale.
const PATIENCE: Duration = Duration::from_millis(300);
/// The name of the error of a run that was not to compute something.
const HELD: &str = "Held";

/// A live run, until it is dropped.
struct Running<'a>(&'a Live);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().run = None;
        self.0.changed.notify_all();
    }
}

/// The screen while it shows nothing of a live run.
struct Lent<'a> {
    screen: &'a Screen,
    before: Option<Arc<dyn Output>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.screen.give_back(self.before.take());
    }
}

impl Shared {
    /// Whether a run of the revision would start no worker and build no image.
    fn is_at_hand(&self, revision: &Revision) -> bool {
        let Some(image) = self.image.ready(revision.package.as_ref()) else { return false };
        self.link().is_running_on(&image.key)
    }

    /// Runs displays again, one after the other.
    pub(super) fn run_again(self: &Arc<Self>, numbers: &[u64]) {
        let Some(Ok(revision)) = self.reloader.outcome() else { return };
        if !self.is_at_hand(&revision) {
            return self.mark_stale(numbers, &revision);
        }
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(it)) => it.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.mark_stale(numbers, &revision);
                locked(&self.turn)
            }
        };
        let Some(Ok(revision)) = self.reloader.outcome() else { return };
        let run = {
            let mut state = self.live.state();
            // The cell that waits may change more; its end wakes us.
            if state.waiting > 0 || state.is_closed || state.paused > 0 || !state.is_on {
                return;
            }
            state.count += 1;
            let number = state.count;
            state.run = Some(Run { number, is_cancelled: false, is_asked: false, presses: 0 });
            number
        };
        let running = Running(&self.live);
        self.mark_if_slow(run, numbers, &revision);
        let started = Instant::now();
        let (mut displays, mut nodes, mut failed) = (0, 0, 0);
        let _ = self.mend_directory();
        for number in numbers {
            let Some(display) = self.live.display(*number).filter(|_| !self.live.is_cancelled()) else {
                break;
            };
            match self.show_again(&display, &revision) {
                Ok(None) => {}
                Ok(Some(ran)) => {
                    displays += 1;
                    nodes += ran;
                }
                Err(error) if error.name == errors::INTERRUPTED && !self.was_killed(run) => {
                    if self.is_pressed(run) {
                        self.note_tried(&display, &revision);
                        self.set_mark(*number, Mark::Stale("the live run was interrupted".to_owned()));
                    }
                    break;
                }
                Err(error) => {
                    displays += 1;
                    failed += 1;
                    self.note_tried(&display, &revision);
                    self.tell_later(&error);
                    self.set_mark(*number, Mark::Failed(self.tidied(error).value));
                }
            }
        }
        self.draw_again(&revision);
        let is_cancelled = self.live.is_cancelled() && !self.is_pressed(run);
        self.mark_stale(numbers, &revision);
        drop(running);
        if displays > 0 {
            let took = started.elapsed();
            self.live.state().last = Some(Last { ended: Instant::now(), took, displays, nodes, failed });
        }
        if is_cancelled {
            self.live.wake(Wake::Ready);
        }
    }

    fn is_pressed(&self, run: u64) -> bool {
        self.live.state().run.as_ref().is_some_and(|it| it.number == run && it.presses > 0)
    }

    fn was_killed(&self, run: u64) -> bool {
        self.live.state().run.as_ref().is_some_and(|it| it.number == run && it.presses > 1)
    }

    /// Marks displays as stale that are not made anew within a moment.
    fn mark_if_slow(self: &Arc<Self>, run: u64, numbers: &[u64], revision: &Arc<Revision>) {
        let (shared, numbers, revision) = (self.clone(), numbers.to_vec(), revision.clone());
        let mark = move || {
            let is_going_on = |it: &mut State| it.run.as_ref().is_some_and(|it| it.number == run);
            let state = shared.live.state();
            let waited = shared.live.changed.wait_timeout_while(state, PATIENCE, is_going_on);
            let (mut state, _) = waited.unwrap_or_else(|it| it.into_inner());
            if is_going_on(&mut state) {
                drop(state);
                shared.mark_stale(&numbers, &revision);
            }
        };
        let _ = thread::Builder::new().name("live-marks".into()).spawn(mark);
    }

    fn note_tried(&self, display: &Display, revision: &Revision) {
        let tried = (revision.number, self.given_now(&display.shows));
        self.live.with(display.number, |it| it.tried = Some(tried));
    }

    /// A worker that died took more with it than a display can tell.
    fn tell_later(&self, error: &CellError) {
        if matches!(error.name.as_str(), "WorkerDied" | errors::INTERRUPTED) {
            let text = format!("in a live run: {}\n{}", error.value, error.traceback.join("\n"));
            self.live.state().owed.push(text);
        }
    }

    /// Runs one display again and updates it; how many nodes ran, or nothing if it was not made anew.
    fn show_again(self: &Arc<Self>, display: &Display, revision: &Arc<Revision>) -> Result<Option<usize>> {
        let Shows::Nodes(request) = &display.shows else { return Ok(None) };
        let Some((id, _)) = &display.shown else { return Ok(None) };
        let literals = self.given_now(&display.shows);
        let held = expensive(&revision.graph, &display.shows);
        let request = Request { is_again: true, hold: held.clone(), ..request.clone() };
        let quiet: Arc<dyn Output> = Arc::new(Quiet { inner: display.output.clone() });
        let phase = self.interrupts.begin();
        let lent = Lent { screen: &self.screen, before: self.screen.lend(quiet.clone()) };
        let execution =
            Execution { shared: self, output: quiet, count: display.count, cell: display.cell.clone() };
        let done = execution.run_nodes(revision, &request);
        drop(lent);
        drop(phase);
        let bundle = match done {
            Err(error) if error.name == HELD => {
                let what =
                    format!("{} is tagged `{EXPENSIVE}`: run the cell to compute it", text::list(&held));
                self.note_tried(display, revision);
                self.set_mark(display.number, Mark::Stale(what));
                return Ok(None);
            }
            done => Arc::new(done?),
        };
        self.put(display.number, id, bundle, revision, Some(literals));
        Ok(Some(self.tally().ran()))
    }

    /// Shows what was made anew.
    fn put(
        &self,
        number: u64,
        id: &str,
        bundle: Arc<MimeBundle>,
        revision: &Arc<Revision>,
        literals: Option<Literals>,
    ) {
        let mut output = None;
        self.live.with(number, |it| {
            let is_news = it.mark != Mark::None || it.shown.as_ref().is_none_or(|it| *it.1 != *bundle);
            output = is_news.then(|| it.output.clone());
            it.shown = Some((id.to_owned(), bundle.clone()));
            it.revision = revision.clone();
            it.seen = revision.clone();
            it.tried = None;
            it.mark = Mark::None;
            if let Some(literals) = literals {
                it.literals = literals;
            }
        });
        if let Some(output) = output.filter(|_| !self.live.state().is_closed) {
            output.update(&bundle, id);
        }
    }

    /// Draws all pictures with the states as they are now.
    fn draw_again(self: &Arc<Self>, revision: &Arc<Revision>) {
        let displays = self.live.state().displays.clone();
        for display in displays {
            let (Shows::Picture(selection), Some((id, _))) = (&display.shows, &display.shown) else {
                continue;
            };
            let gone: Vec<String> = selection
                .targets
                .iter()
                .filter(|it| !revision.graph.nodes.contains_key(*it))
                .cloned()
                .collect();
            if !gone.is_empty() {
                self.set_mark(display.number, Mark::Failed(format!("{} is gone", text::list(&gone))));
                continue;
            }
            let execution = Execution {
                shared: self,
                output: display.output.clone(),
                count: display.count,
                cell: display.cell.clone(),
            };
            let bundle = Arc::new(draw(&execution.view(revision, selection), id));
            self.put(display.number, id, bundle, revision, None);
        }
    }
}

/// The nodes that a display needs and that cells alone may compute.
fn expensive(graph: &Graph, shows: &Shows) -> Vec<String> {
    let needed = shows.needed(graph);
    let is_expensive = |it: &&Node| {
        needed.contains(&it.name) && it.tags.get(EXPENSIVE).is_some_and(|it| it.iter().any(|it| it == "true"))
    };
    graph.nodes.values().filter(is_expensive).map(|it| it.name.clone()).collect()
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

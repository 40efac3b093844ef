//! What an interrupt stops, which depends on what the running cell is doing.
//!
//! Rules: while compiling, the compiler is killed and nothing is lost; while user code runs, the
//! first interrupt asks the driver to stop before the next step, the second kills the worker, and if
//! nobody presses twice ten seconds do. An interrupt that arrives between two phases is kept and
//! answered by the next one. When nothing runs an interrupt means nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::Shared;
use crate::engine::Stream;

/// How long user code may go on after the first interrupt.
const PATIENCE: Duration = Duration::from_secs(10);
/// After this the user is told what the interrupt waits for.
const TELL_AFTER: Duration = Duration::from_millis(600);

/// What the running cell is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// No cell runs.
    #[default]
    Idle,
    /// The kernel's own work, which is short.
    Working,
    /// The generation or the image is compiled.
    Compiling,
    /// A Rust cell is compiled.
    CompilingCell,
    /// The worker runs nodes.
    Running,
    /// The worker runs a Rust cell.
    RunningCell,
}

/// What is to be done about an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Nothing,
    KillCompiler,
    KillCellCompiler,
    /// Ask the worker; kill it if the cell still runs after `PATIENCE`.
    AskWorker {
        cell: u64,
    },
    KillWorker,
}

#[derive(Default)]
pub struct Interrupts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Counts cells, so that a late timer does not hit the next one.
    cell: u64,
    presses: u32,
    /// The session ends: nothing new begins.
    is_closed: bool,
}

/// The cell was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// A phase, until it is dropped.
pub struct InPhase {
    interrupts: Arc<Interrupts>,
    before: Phase,
}

impl Drop for InPhase {
    fn drop(&mut self) {
        let mut state = self.interrupts.state();
        state.phase = self.before;
        if self.before == Phase::Idle {
            state.presses = 0;
        }
        drop(state);
        self.interrupts.changed.notify_all();
    }
}

impl Interrupts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// A cell starts.
    pub fn begin(self: &Arc<Self>) -> InPhase {
        let mut state = self.state();
        state.cell += 1;
        state.presses = 0;
        state.phase = Phase::Working;
        InPhase { interrupts: self.clone(), before: Phase::Idle }
    }

    /// The cell does something else until the guard is dropped.
    pub fn enter(self: &Arc<Self>, phase: Phase) -> Result<InPhase, Stop> {
        let mut state = self.state();
        if state.presses > 0 || state.is_closed {
            return Err(Stop);
        }
        let before = std::mem::replace(&mut state.phase, phase);
        Ok(InPhase { interrupts: self.clone(), before })
    }

    /// The same for what can no longer be stopped here.
    pub fn enter_anyway(self: &Arc<Self>, phase: Phase) -> InPhase {
        let before = std::mem::replace(&mut self.state().phase, phase);
        InPhase { interrupts: self.clone(), before }
    }

    /// The session ends: no cell enters another phase.
    pub fn close(&self) {
        self.state().is_closed = true;
    }

    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Whether the present cell was interrupted.
    pub fn is_pressed(&self) -> bool {
        self.state().presses > 0
    }

    /// The user interrupts: what is to be done.
    pub fn press(&self) -> Action {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            return Action::Nothing;
        }
        state.presses += 1;
        match state.phase {
            Phase::Idle | Phase::Working => Action::Nothing,
            Phase::Compiling => Action::KillCompiler,
            Phase::CompilingCell => Action::KillCellCompiler,
            Phase::Running | Phase::RunningCell if state.presses == 1 => {
                Action::AskWorker { cell: state.cell }
            }
            Phase::Running | Phase::RunningCell => Action::KillWorker,
        }
    }

    /// Waits for user code of the given cell to end. False if it still runs after the time.
    pub fn ends_within(&self, cell: u64, limit: Duration) -> bool {
        let is_running =
            |it: &mut State| it.cell == cell && matches!(it.phase, Phase::Running | Phase::RunningCell);
        let waited = self.changed.wait_timeout_while(self.state(), limit, is_running);
        !waited.unwrap_or_else(|it| it.into_inner()).1.timed_out()
    }
}

impl Shared {
    /// Kills the worker; whoever waits for it is told of its death.
    pub fn kill_worker(&self) {
        let worker = self.link().worker.clone();
        if let Some(worker) = worker {
            worker.kill();
        }
    }

    /// The first interrupt while user code runs. Returns at once. If the code goes on for too long, nobody
    /// may be there to press again.
    pub fn ask_worker_to_stop(self: &Arc<Self>, cell: u64) {
        let worker = self.link().worker.clone();
        if let Some(worker) = worker {
            worker.interrupt();
        }
        let shared = self.clone();
        let wait = move || {
            if shared.interrupts.ends_within(cell, TELL_AFTER) {
                return;
            }
            let what = match shared.interrupts.phase() {
                Phase::RunningCell => "the running cell cannot be stopped between two steps".to_owned(),
                _ => match super::text::list(&shared.knowledge().mirror.running()) {
                    running if running.is_empty() => "waiting for the running step to end".to_owned(),
                    running => format!("waiting for {running} to end"),
                },
            };
            let seconds = PATIENCE.as_secs();
            let line = format!(
                "{what}; interrupt again to kill the worker now, or it is killed after {seconds} s\n"
            );
            shared.screen.stream(Stream::Stderr, &line);
            if !shared.interrupts.ends_within(cell, PATIENCE) {
                shared.kill_worker();
            }
        };
        let _ = thread::Builder::new().name("patience".into()).spawn(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupts() -> Arc<Interrupts> {
        Arc::default()
    }

    #[test]
    fn when_nothing_runs_an_interrupt_means_nothing() {
        let interrupts = interrupts();
        assert_eq!(interrupts.press(), Action::Nothing);
        let _cell = interrupts.begin();
        assert!(interrupts.enter(Phase::Compiling).is_ok());
    }

    #[test]
    fn while_compiling_the_compiler_is_killed() {
        let interrupts = interrupts();
        let _cell = interrupts.begin();
        let _phase = interrupts.enter(Phase::Compiling).ok().unwrap();
        assert_eq!(interrupts.press(), Action::KillCompiler);
    }

    #[test]
    fn while_running_the_second_interrupt_kills_the_worker() {
        let interrupts = interrupts();
        let _cell = interrupts.begin();
        let _phase = interrupts.enter(Phase::Running).ok().unwrap();
        assert_eq!(interrupts.press(), Action::AskWorker { cell: 1 });
        assert_eq!(interrupts.press(), Action::KillWorker);
    }

    #[test]
    fn an_interrupt_between_phases_is_answered_by_the_next_one() {
        let interrupts = interrupts();
        let cell = interrupts.begin();
        assert_eq!(interrupts.press(), Action::Nothing);
        assert!(interrupts.enter(Phase::Running).is_err());
        drop(cell);
        let _next = interrupts.begin();
        assert!(interrupts.enter(Phase::Running).is_ok());
    }

    #[test]
    fn when_the_session_ends_nothing_new_begins() {
        let interrupts = interrupts();
        let _cell = interrupts.begin();
        interrupts.close();
        assert!(interrupts.enter(Phase::Running).is_err());
    }

    #[test]
    fn patience_ends_with_the_cell_and_does_not_hit_the_next_one() {
        let interrupts = interrupts();
        let cell = interrupts.begin();
        let phase = interrupts.enter(Phase::Running).ok().unwrap();
        interrupts.press();
        assert!(!interrupts.ends_within(1, Duration::from_millis(5)));
        drop(phase);
        assert!(interrupts.ends_within(1, Duration::from_secs(5)));
        drop(cell);
        let _next = interrupts.begin();
        let _phase = interrupts.enter(Phase::Running);
        assert!(interrupts.ends_within(1, Duration::from_secs(5)));
    }
}

//! `%time` and `%restart`.

use std::time::Instant;

use brooklet_graph::picture::State;

use super::Execution;
use super::display::Mirror;
use super::errors::{self, Result};
use super::locked;
use super::run::LastRun;
use super::text::{self, Table};
use crate::engine::Stream;

/// Milliseconds of hashing that somebody may wonder about.
const WORTH_TELLING: f64 = 10.0;
/// So many of the slowest nodes are listed.
const ROWS: usize = 100;

impl Execution<'_> {
    /// Does something and says how long it took, also if it failed.
    pub(super) fn timed(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let runs_before = self.shared.knowledge().last_run.as_ref().map(|it| it.started);
        let started = Instant::now();
        let done = work();
        let took = text::duration(started.elapsed().as_secs_f64() * 1_000.0);
        let last_run = self.shared.knowledge().last_run.clone();
        let line = match last_run.filter(|it| Some(it.started) != runs_before) {
            Some(run) => format!("took {took}; {}\n", summary(&run)),
            None => format!("took {took}\n"),
        };
        self.output.stream(Stream::Stdout, &line);
        done
    }

    /// `%time` alone: the last run node by node.
    pub(super) fn last_times(&self) -> Result<()> {
        let Some(run) = self.shared.knowledge().last_run.clone() else {
            return Err(errors::hinted("NoRun", "nothing has run yet", "`%time %run NODE` runs and times"));
        };
        let caption = format!("last run ({}): {}", text::list(&run.targets), summary(&run));
        let table = table(&run).cut(ROWS);
        self.show(format!("{caption}\n{}", table.plain()), Some(table.html(&caption)));
        Ok(())
    }

    /// `%restart`
    pub(super) fn restart(&self) -> Result<()> {
        let cells = locked(&self.shared.cells).clone();
        if let Some(cells) = cells {
            cells.reset();
        }
        self.shared.settle_results();
        self.shared.forget_worker();
        let mut knowledge = self.shared.knowledge();
        knowledge.mirror = Mirror::default();
        knowledge.last_run = None;
        drop(knowledge);
        let watched = self.shared.watched();
        let kept = if watched.is_empty() {
            String::new()
        } else {
            format!("; still watching {}", watched.join(", "))
        };
        self.show(
            format!(
                "restarted: all variables are gone, values are found in the store or computed again{kept}"
            ),
            None,
        );
        Ok(())
    }
}

/// `computed 3 of 12 nodes in 45 ms`.
fn summary(run: &LastRun) -> String {
    let wall = text::duration(run.wall.as_secs_f64() * 1_000.0);
    let computed =
        format!("computed {} of {} in {wall}", run.tally.ran(), text::count(run.tally.nodes.len(), "node"));
    if run.tally.hashing < WORTH_TELLING {
        return computed;
    }
    format!("{computed}, {} of it to tell values from others", text::duration(run.tally.hashing))
}

/// The slowest first; then the others in the order in which they ended.
fn table(run: &LastRun) -> Table {
    let mut nodes = run.tally.nodes.clone();
    let time = |state: &State| match state {
        State::Done { milliseconds, .. } => *milliseconds,
        _ => -1.0,
    };
    nodes.sort_by(|a, b| time(&b.1).total_cmp(&time(&a.1)));
    let mut table = Table::new(&["node", ">time", "state"]);
    for (name, state) in nodes {
        let shown = if time(&state) < 0.0 { String::new() } else { text::duration(time(&state)) };
        table.row(vec![name, shown, state.word().to_owned()]);
    }
    table
}

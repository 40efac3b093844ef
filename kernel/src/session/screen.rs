//! The output of the present cell, for everything that does not know which cell that is.
//!
//! The worker's prints, the progress of a build and late events all arrive on other threads. They belong to
//! the cell that runs, or to the last one that ran.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::wire::MimeBundle;

use super::display::fresh_id;
use super::text;
use crate::build::Progress;
use crate::engine::{Output, Stream};

#[derive(Default)]
pub struct Screen {
    state: Mutex<State>,
    held: Mutex<Held>,
}

/// Text for stderr that may turn out to be the cell's error.
#[derive(Default)]
struct Held {
    text: String,
    /// Whether a thread is on its way to let it go.
    is_awaited: bool,
}

/// How long text is held: an error is the last thing that a cell prints, so it ends well within this.
const HOLD: Duration = Duration::from_millis(120);
/// More than this is no error's message.
const HELD_AT_MOST: usize = 8_000;

#[derive(Default)]
struct State {
    output: Option<Arc<dyn Output>>,
    /// Counts cells.
    cell: u64,
    is_running: bool,
    progress: Option<Shown>,
}

/// The line that tells how far a build is.
struct Shown {
    id: String,
    cell: u64,
    at: Instant,
}

/// At most two lines of progress a second: they say the same for a long time.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

impl Screen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// A cell starts.
    pub fn begin(&self, output: Arc<dyn Output>) {
        let mut state = self.state();
        state.output = Some(output);
        state.cell += 1;
        state.is_running = true;
        state.progress = None;
    }

    /// The cell ended; what still comes is its own.
    pub fn end(&self) {
        self.state().is_running = false;
    }

    /// Has output go elsewhere for a while; where it went.
    pub fn lend(&self, output: Arc<dyn Output>) -> Option<Arc<dyn Output>> {
        self.state().output.replace(output)
    }

    pub fn give_back(&self, output: Option<Arc<dyn Output>>) {
        self.state().output = output;
    }

    /// Where output goes now; `None` before the first cell.
    pub fn output(&self) -> Option<Arc<dyn Output>> {
        self.state().output.clone()
    }

    pub fn stream(&self, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(output) = self.output() {
            output.stream(stream, text);
        }
    }

    /// As `stream` to stderr, a moment later: what a cell prints last may be its error, told otherwise then.
    pub fn hold(self: &Arc<Self>, text: &str) {
        let mut held = self.held.lock().unwrap_or_else(|it| it.into_inner());
        held.text.push_str(text);
        let is_first = !std::mem::replace(&mut held.is_awaited, true);
        let is_much = held.text.len() > HELD_AT_MOST;
        drop(held);
        if is_much {
            let text = self.take_held();
            self.stream(Stream::Stderr, &text);
        }
        if is_first {
            let screen = self.clone();
            let release = move || {
                thread::sleep(HOLD);
                screen.held.lock().unwrap_or_else(|it| it.into_inner()).is_awaited = false;
                let text = screen.take_held();
                screen.stream(Stream::Stderr, &text);
            };
            let _ = thread::Builder::new().name("stderr-hold".into()).spawn(release);
        }
    }

    /// Takes back what is held.
    pub fn take_held(&self) -> String {
        std::mem::take(&mut self.held.lock().unwrap_or_else(|it| it.into_inner()).text)
    }

    /// Shows how far a build is, in one line that is replaced. Nothing is shown while no cell waits.
    pub fn progress(&self, progress: &Progress) {
        let line = progress_line(progress);
        let (output, id, is_new) = {
            let mut state = self.state();
            let cell = state.cell;
            let Some(output) = state.output.clone().filter(|_| state.is_running) else { return };
            match &mut state.progress {
                Some(shown) if shown.cell == cell => {
                    if shown.at.elapsed() < PROGRESS_INTERVAL {
                        return;
                    }
                    shown.at = Instant::now();
                    (output, shown.id.clone(), false)
                }
                _ => {
                    let id = fresh_id("progress");
                    state.progress = Some(Shown { id: id.clone(), cell, at: Instant::now() });
                    (output, id, true)
                }
            }
        };
        show_line(&*output, &line, &id, is_new);
    }

    /// Replaces the line of progress, if there is one, by how it ended.
    pub fn progress_ends(&self, line: &str) {
        let shown = {
            let mut state = self.state();
            let output = state.output.clone();
            state.progress.take().zip(output)
        };
        if let Some((shown, output)) = shown {
            show_line(&*output, line, &shown.id, false);
        }
    }
}

fn show_line(output: &dyn Output, line: &str, id: &str, is_new: bool) {
    let html = format!(
        "<div class=\"brooklet-progress\" style=\"opacity:.75\">{}</div>",
        brooklet_graph::html::escape(line)
    );
    let bundle = MimeBundle::text(line).with("text/html", html);
    if is_new {
        output.display(&bundle, Some(id));
    } else {
        output.update(&bundle, id);
    }
}

/// `building the image: 34 of 210 crates, 1 min 5 s: polars-core`.
fn progress_line(progress: &Progress) -> String {
    let elapsed = text::duration(progress.elapsed.as_secs_f64() * 1_000.0);
    let elapsed = if progress.elapsed < Duration::from_secs(60) {
        format!("{} s", progress.elapsed.as_secs())
    } else {
        elapsed
    };
    if progress.total == 0 {
        format!("building the image ({elapsed}): {}", progress.what)
    } else {
        format!(
            "building the image: {} of {} crates, {elapsed}: {}",
            progress.done, progress.total, progress.what
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::Recorder;

    #[test]
    fn progress_is_one_line_that_is_replaced_and_ends() {
        let screen = Screen::default();
        let progress =
            Progress { what: "polars-core".into(), done: 34, total: 210, elapsed: Duration::from_secs(65) };
        screen.progress(&progress);
        let output = Arc::new(Recorder::default());
        screen.begin(output.clone());
        screen.progress(&progress);
        assert_eq!(output.last().plain(), "building the image: 34 of 210 crates, 1 min 5 s: polars-core");
        screen.progress(&progress);
        screen.progress_ends("the image is built");
        assert_eq!(output.kinds(), ["display", "update"]);
        screen.progress_ends("nothing more");
        assert_eq!(output.kinds().len(), 2);
    }

    #[test]
    fn held_text_is_taken_back_or_let_go_in_a_moment() {
        let screen = Arc::new(Screen::default());
        let output = Arc::new(Recorder::default());
        screen.begin(output.clone());
        screen.hold("the error");
        assert_eq!(screen.take_held(), "the error");
        screen.hold("a print");
        output.wait_for(1);
        assert_eq!((output.kinds(), output.last().plain()), (vec!["stderr"], "a print"));
    }

    #[test]
    fn between_cells_nobody_is_told_of_progress() {
        let screen = Screen::default();
        let output = Arc::new(Recorder::default());
        screen.begin(output.clone());
        screen.end();
        screen.progress(&Progress { what: String::new(), done: 0, total: 0, elapsed: Duration::ZERO });
        assert_eq!(output.kinds(), [] as [&str; 0]);
        screen.stream(Stream::Stdout, "late");
        assert_eq!(output.kinds(), ["stdout"]);
    }
}

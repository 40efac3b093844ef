//! What the cells of a notebook put out: printed as it comes, kept as the notebook will store it.
//!
//! The hard part is displays with an id. Any later cell, and late output of a cell that has ended, may
//! replace one, wherever it stands; the notebook must hold its last state, and a terminal, which cannot
//! take back a line, should show a picture once and not at each of its steps.
//!
//! Guiding rule: streams and one-off displays are printed at once; what may still change is printed when
//! its cell ends.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brooklet_graph::wire::MimeBundle;
use serde_json::{Value, json};

use crate::command_line::run::ansi;
use crate::engine::{CellError, Output, Stream};

/// How the ids of displays begin that show the progress of a build.
const PROGRESS: &str = "brooklet-progress-";
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The outputs of all cells of one run.
pub struct Recorder {
    state: Mutex<State>,
    /// Whether the terminal understands colours.
    colour: bool,
}

#[derive(Default)]
struct State {
    cells: Vec<Vec<Recorded>>,
    /// The cell that is running. Late output of other cells is kept with them and not printed.
    running: Option<usize>,
    /// Whether the last text printed ended its line.
    line_open: bool,
    /// Cells whose outputs go away when the next one comes (`clear_output(wait)`).
    clear_next: Vec<usize>,
    /// When a line of progress was printed last.
    progress: Option<Instant>,
}

struct Recorded {
    display_id: Option<String>,
    kind: Kind,
}

enum Kind {
    Stream(Stream, String),
    Display(MimeBundle),
    Result(MimeBundle),
    Error(CellError),
}

impl Recorder {
    pub fn new(cells: usize, colour: bool) -> Arc<Recorder> {
        let state = State { cells: (0..cells).map(|_| Vec::new()).collect(), ..State::default() };
        Arc::new(Recorder { state: Mutex::new(state), colour })
    }

    /// Prints how far a long build is, now and then: a display that is replaced is printed when it is final,
    /// which may be many minutes away.
    fn progress(&self, bundle: &MimeBundle, display_id: &str) {
        if !display_id.starts_with(PROGRESS) {
            return;
        }
        let mut state = self.lock();
        if state.progress.is_none_or(|it| it.elapsed() >= PROGRESS_INTERVAL) {
            state.progress = Some(Instant::now());
            drop(state);
            eprintln!("{}", bundle.plain());
        }
    }

    /// The output of one cell; may outlive the cell's run.
    pub fn cell(self: &Arc<Recorder>, cell: usize) -> Arc<dyn Output> {
        self.lock().running = Some(cell);
        Arc::new(CellOutput { recorder: Arc::clone(self), cell })
    }

    /// Ends the running cell: prints what waited for its last state, then the error if there is one.
    pub fn end(&self, cell: usize, error: Option<&CellError>) {
        let mut state = self.lock();
        if let Some(error) = error {
            state.cells[cell].push(Recorded { display_id: None, kind: Kind::Error(error.clone()) });
        }
        let texts: Vec<String> = state.cells[cell]
            .iter()
            .filter_map(|it| match (&it.kind, &it.display_id) {
                (Kind::Result(bundle), _) | (Kind::Display(bundle), Some(_)) => {
                    Some(bundle.plain().to_owned())
                }
                (Kind::Error(error), _) => Some(error.traceback.join("\n")),
                _ => None,
            })
            .collect();
        for text in texts {
            self.print_block(&mut state, &text);
        }
        state.running = None;
    }

    /// A cell's outputs in nbformat's form.
    pub fn outputs(&self, cell: usize, execution_count: u64) -> Vec<Value> {
        self.lock().cells[cell].iter().map(|it| it.kind.to_json(execution_count)).collect()
    }

    /// A line of the runner itself, such as a cell's heading.
    pub fn heading(&self, text: &str) {
        let mut state = self.lock();
        let text = if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() };
        self.print_block(&mut state, &text);
    }

    fn add(&self, cell: usize, display_id: Option<&str>, kind: Kind) {
        let mut state = self.lock();
        state.clear_if_due(cell);
        let at_once = display_id.is_none() && state.running == Some(cell);
        match &kind {
            Kind::Stream(stream, text) if at_once => self.print_stream(&mut state, *stream, text),
            Kind::Display(bundle) if at_once => self.print_block(&mut state, bundle.plain()),
            _ => {}
        }
        if let (Some(id), Kind::Display(bundle)) = (display_id, &kind) {
            state.replace(id, bundle);
        }
        let outputs = &mut state.cells[cell];
        if let (Kind::Stream(stream, text), Some(Recorded { kind: Kind::Stream(last, kept), .. })) =
            (&kind, outputs.last_mut())
            && last == stream
        {
            kept.push_str(text);
            return;
        }
        outputs.push(Recorded { display_id: display_id.map(str::to_owned), kind });
    }

    fn print_stream(&self, state: &mut State, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        let shown = self.for_terminal(text);
        // A reader that has gone away (`| head`) is no reason to stop executing the notebook.
        let _ = match stream {
            Stream::Stdout => print_to(std::io::stdout(), &shown),
            Stream::Stderr => print_to(std::io::stderr(), &shown),
        };
        state.line_open = !text.ends_with('\n');
    }

    /// Prints a text on lines of its own.
    fn print_block(&self, state: &mut State, text: &str) {
        let start = if std::mem::take(&mut state.line_open) { "\n" } else { "" };
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let _ = print_to(std::io::stdout(), &format!("{start}{}{end}", self.for_terminal(text)));
    }

    fn for_terminal(&self, text: &str) -> String {
        if self.colour { text.to_owned() } else { ansi::strip(text) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts the bundle wherever the id is shown, in whatever cell that is.
    fn replace(&mut self, display_id: &str, bundle: &MimeBundle) {
        for recorded in self.cells.iter_mut().flatten() {
            if recorded.display_id.as_deref() == Some(display_id) {
                recorded.kind = Kind::Display(bundle.clone());
            }
        }
    }

    fn clear_if_due(&mut self, cell: usize) {
        let before = self.clear_next.len();
        self.clear_next.retain(|it| *it != cell);
        if self.clear_next.len() != before {
            self.cells[cell].clear();
        }
    }
}

impl Kind {
    fn to_json(&self, execution_count: u64) -> Value {
        match self {
            Kind::Stream(stream, text) => {
                let name = if *stream == Stream::Stdout { "stdout" } else { "stderr" };
                json!({"output_type": "stream", "name": name, "text": text})
            }
            Kind::Display(bundle) => {
                json!({"output_type": "display_data", "data": bundle.data, "metadata": {}})
            }
            Kind::Result(bundle) => json!({
                "output_type": "execute_result", "data": bundle.data, "metadata": {},
                "execution_count": execution_count,
            }),
            Kind::Error(error) => json!({
                "output_type": "error", "ename": error.name, "evalue": error.value, "traceback": error.traceback,
            }),
        }
    }
}

struct CellOutput {
    recorder: Arc<Recorder>,
    cell: usize,
}

impl Output for CellOutput {
    fn stream(&self, stream: Stream, text: &str) {
        self.recorder.add(self.cell, None, Kind::Stream(stream, text.to_owned()));
    }

    fn display(&self, bundle: &MimeBundle, display_id: Option<&str>) {
        self.recorder.progress(bundle, display_id.unwrap_or_default());
        self.recorder.add(self.cell, display_id, Kind::Display(bundle.clone()));
    }

    fn update(&self, bundle: &MimeBundle, display_id: &str) {
        self.recorder.progress(bundle, display_id);
        self.recorder.lock().replace(display_id, bundle);
    }

    fn result(&self, bundle: &MimeBundle) {
        self.recorder.add(self.cell, None, Kind::Result(bundle.clone()));
    }

    fn clear(&self, wait: bool) {
        let mut state = self.recorder.lock();
        if wait {
            state.clear_next.push(self.cell);
        } else {
            state.cells[self.cell].clear();
        }
    }

    /// The pager of a terminal run is the terminal.
    fn page(&self, text: &str) {
        self.display(&MimeBundle::text(text), None);
    }

    fn input(&self, _prompt: &str, _password: bool) -> Result<String, String> {
        Err("nobody can answer: the notebook runs without a person at the keyboard".to_owned())
    }
}

fn print_to(mut to: impl Write, text: &str) -> std::io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(recorder: &Recorder, cell: usize) -> Vec<String> {
        recorder
            .outputs(cell, 1)
            .iter()
            .map(|it| match it["output_type"].as_str().unwrap() {
                "stream" => format!("{}: {}", it["name"].as_str().unwrap(), it["text"].as_str().unwrap()),
                "error" => format!("error: {}", it["evalue"].as_str().unwrap()),
                other => format!("{other}: {}", it["data"]["text/plain"].as_str().unwrap()),
            })
            .collect()
    }

    #[test]
    fn streams_of_one_kind_are_merged_and_keep_their_place_among_others() {
        let recorder = Recorder::new(1, false);
        let output = recorder.cell(0);
        output.stream(Stream::Stdout, "a");
        output.stream(Stream::Stdout, "b\n");
        output.stream(Stream::Stderr, "c\n");
        output.stream(Stream::Stdout, "d\n");
        assert_eq!(texts(&recorder, 0), ["stdout: ab\n", "stderr: c\n", "stdout: d\n"]);
    }

    #[test]
    fn an_update_replaces_the_display_in_every_cell_also_after_its_end() {
        let recorder = Recorder::new(2, false);
        let (first, second) = (recorder.cell(0), recorder.cell(1));
        first.display(&MimeBundle::text("old"), Some("x"));
        second.display(&MimeBundle::text("other"), Some("y"));
        second.update(&MimeBundle::text("new"), "x");
        second.update(&MimeBundle::text("nowhere"), "z");
        assert_eq!(texts(&recorder, 0), ["display_data: new"]);
        second.display(&MimeBundle::text("again"), Some("x"));
        assert_eq!(texts(&recorder, 0), ["display_data: again"]);
        assert_eq!(texts(&recorder, 1), ["display_data: other", "display_data: again"]);
    }

    #[test]
    fn clearing_with_wait_keeps_the_old_outputs_until_a_new_one_comes() {
        let recorder = Recorder::new(1, false);
        let output = recorder.cell(0);
        output.result(&MimeBundle::text("one"));
        output.clear(true);
        assert_eq!(texts(&recorder, 0), ["execute_result: one"]);
        output.stream(Stream::Stdout, "two");
        assert_eq!(texts(&recorder, 0), ["stdout: two"]);
        output.clear(false);
        assert!(texts(&recorder, 0).is_empty());
    }

    #[test]
    fn an_error_is_the_last_output_of_its_cell() {
        let recorder = Recorder::new(1, false);
        recorder.cell(0).stream(Stream::Stdout, "half");
        let error = CellError { name: "Panic".into(), value: "boom".into(), traceback: vec!["boom".into()] };
        recorder.end(0, Some(&error));
        assert_eq!(texts(&recorder, 0), ["stdout: half", "error: boom"]);
    }
}

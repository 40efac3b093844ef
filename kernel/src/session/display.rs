//! The live picture of a run, and what the session remembers of each node.
//!
//! Events arrive by the thousand; a frontend wants ten pictures a second at most, and must get the last
//! one always. So events only change a [`View`]; a thread of its own draws it when the time has come, and
//! `finish` draws the end. A run that ends before the first picture was due shows one picture in all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use brooklet_graph::graph::{Change, Graph};
use brooklet_graph::picture::{self, Arrangement, Places, State, View};
use brooklet_graph::wire::{Event, MimeBundle, Summary};

use crate::engine::Output;

/// At most ten pictures a second.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many arrangements are remembered: of `%run`, `%dag` and a few more.
const ARRANGEMENTS: usize = 4;

/// A picture in both forms.
pub fn draw(view: &View, id: &str) -> MimeBundle {
    draw_in_place(view, &arrangement_of(view), id)
}

/// The arrangement of a view, which is the one of before as long as the graph has the same nodes and edges: an edit
/// inside a function moves nothing, and to arrange a thousand nodes takes longer than to run them.
fn arrangement_of(view: &View) -> Arc<Arrangement> {
    static RECENT: Mutex<VecDeque<Arc<Arrangement>>> = Mutex::new(VecDeque::new());
    let recent = || RECENT.lock().unwrap_or_else(|it| it.into_inner());
    let known = recent().iter().find(|it| it.fits(view)).cloned();
    known.unwrap_or_else(|| {
        // Not under the lock: it takes a while, and another picture may be drawn meanwhile.
        let arrangement = Arc::new(Arrangement::of(view));
        let mut recent = recent();
        recent.push_front(arrangement.clone());
        recent.truncate(ARRANGEMENTS);
        arrangement
    })
}

/// A picture of a view that was laid out before.
fn draw_in_place(view: &View, arrangement: &Arrangement, id: &str) -> MimeBundle {
    let prefix = format!("g{}", id.get(id.len().saturating_sub(8)..).unwrap_or_default());
    let html = picture::svg_in_place(view, arrangement, &prefix);
    MimeBundle::text(picture::text(view).trim_end()).with("text/html", html)
}

/// An id that no other picture has.
pub fn fresh_id(kind: &str) -> String {
    format!("brooklet-{kind}-{}", uuid::Uuid::new_v4().simple())
}

/// What the session knows of the values in the worker, node by node.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    pub nodes: BTreeMap<String, Seen>,
}

/// How a node stood last.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub state: State,
    pub summary: Summary,
    /// How long its last run took.
    pub milliseconds: Option<f64>,
}

impl Seen {
    /// A value that was there is one of before; what had none is as if it never ran.
    fn grow_stale(&mut self) {
        self.state = match self.state {
            State::Done { .. } | State::Reused | State::Taken | State::Stale => State::Stale,
            _ => State::Idle,
        };
    }
}

impl Mirror {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::WillPlan { .. } | Event::DidWarn { .. } => {}
            Event::WillRun { node } => self.seen(node).state = State::Running,
            Event::DidRun { node, milliseconds, changed, summary, .. } => {
                let seen = self.seen(node);
                seen.state = State::Done { milliseconds: *milliseconds, changed: *changed };
                seen.milliseconds = Some(*milliseconds);
                seen.summary = summary.clone();
            }
            Event::DidReuse { node, summary } => {
                let seen = self.seen(node);
                seen.state = State::Reused;
                seen.summary = summary.clone();
            }
            Event::DidTake { node, summary } => {
                let seen = self.seen(node);
                seen.state = State::Taken;
                seen.summary = summary.clone();
            }
            Event::DidFail { node, failure } => {
                let seen = self.seen(node);
                seen.state = State::Failed { message: failure.message.clone() };
                seen.summary.shape.clear();
            }
            Event::DidSkip { node, .. } => {
                let seen = self.seen(node);
                seen.state = State::Skipped;
                seen.summary.shape.clear();
            }
        }
    }

    fn seen(&mut self, node: &str) -> &mut Seen {
        self.nodes.entry(node.to_owned()).or_default()
    }

    /// The nodes that are running now, as far as the worker told.
    pub fn running(&self) -> Vec<String> {
        self.nodes.iter().filter(|it| it.1.state == State::Running).map(|it| it.0.clone()).collect()
    }

    /// A run is over, so nothing runs, whatever was told of it.
    pub fn none_running(&mut self) {
        for seen in self.nodes.values_mut().filter(|it| it.state == State::Running) {
            seen.state = State::Skipped;
        }
    }

    /// Marks what a change of the code made stale, and forgets what is gone.
    pub fn change(&mut self, change: &Change, new: &Graph) {
        for name in change.removed.iter().chain(&change.added) {
            self.nodes.remove(name);
        }
        self.stale(&change.changed, new);
    }

    /// Marks the nodes and all downstream of them as stale, where they have a value.
    pub fn stale(&mut self, names: &[String], graph: &Graph) {
        let mut stale: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        // The graph's order is topological, so one pass finds all that is downstream.
        for node in graph.nodes.values() {
            if node.dependencies.iter().any(|it| stale.contains(&*it.name)) {
                stale.insert(&node.name);
            }
        }
        for name in stale {
            if let Some(seen) = self.nodes.get_mut(name) {
                seen.grow_stale();
            }
        }
    }

    /// Every value is gone with the worker that held it.
    pub fn all_stale(&mut self) {
        self.nodes.values_mut().for_each(Seen::grow_stale);
    }

    /// Puts the states into a picture.
    pub fn paint(&self, view: &mut View) {
        view.set_all(|name| self.nodes.get(name).map(|it| (it.state.clone(), Some(&it.summary))));
    }
}

/// When the next picture is due.
#[derive(Clone, Debug)]
struct Throttle {
    interval: Duration,
    /// The earliest time for the next picture.
    due: Instant,
    is_dirty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Now,
    In(Duration),
    /// Nothing new to draw.
    Never,
}

impl Throttle {
    fn new(now: Instant, delay: Duration) -> Throttle {
        Throttle { interval: INTERVAL, due: now + delay, is_dirty: true }
    }

    fn ask(&self, now: Instant) -> Due {
        match (self.is_dirty, self.due.checked_duration_since(now)) {
            (false, _) => Due::Never,
            (true, None | Some(Duration::ZERO)) => Due::Now,
            (true, Some(wait)) => Due::In(wait),
        }
    }

    /// A picture was made and took a while: a slow one must not use up all the time there is.
    fn drawn(&mut self, now: Instant, took: Duration) {
        self.is_dirty = false;
        self.due = now + self.interval.max(took * 3);
    }
}

struct Canvas {
    view: View,
    places: Places,
    /// Made for the first picture: states change, places do not.
    arrangement: Option<Arc<Arrangement>>,
    throttle: Throttle,
    is_shown: bool,
    is_finished: bool,
}

/// Shows a picture below the cell and keeps it up to date.
pub struct Painter {
    id: String,
    output: Arc<dyn Output>,
    canvas: Arc<(Mutex<Canvas>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

/// What stands below the cell when all is done.
pub enum End {
    /// The picture in its last state.
    Picture,
    /// One line of text in place of the picture, if it was shown at all.
    Line(String),
}

fn locked(canvas: &Mutex<Canvas>) -> MutexGuard<'_, Canvas> {
    canvas.lock().unwrap_or_else(|it| it.into_inner())
}

impl Painter {
    /// Starts a picture that is shown first when `delay` has passed; `is_shown` if one stands there already.
    pub fn start(
        view: View,
        output: Arc<dyn Output>,
        delay: Duration,
        id: String,
        is_shown: bool,
    ) -> Painter {
        let canvas = Canvas {
            places: view.places(),
            view,
            arrangement: None,
            throttle: Throttle::new(Instant::now(), delay),
            is_shown,
            is_finished: false,
        };
        let canvas = Arc::new((Mutex::new(canvas), Condvar::new()));
        let thread = {
            let (canvas, output, id) = (canvas.clone(), output.clone(), id.clone());
            thread::Builder::new().name("painter".into()).spawn(move || paint(&canvas, &*output, &id)).ok()
        };
        Painter { id, output, canvas, thread }
    }

    /// Brings the picture up to date; it is drawn soon.
    pub fn apply(&self, event: &Event) {
        let mut canvas = locked(&self.canvas.0);
        {
            let Canvas { view, places, .. } = &mut *canvas;
            view.apply(places, event);
        }
        if !canvas.throttle.is_dirty {
            canvas.throttle.is_dirty = true;
            self.canvas.1.notify_all();
        }
    }

    /// Draws the end. Nothing is drawn afterwards.
    pub fn finish(mut self, end: End, change: impl FnOnce(&mut View)) {
        self.stop();
        let mut canvas = locked(&self.canvas.0);
        let drawn = (canvas.is_shown && !canvas.throttle.is_dirty).then(|| canvas.view.clone());
        change(&mut canvas.view);
        if matches!(end, End::Picture) && drawn.as_ref() == Some(&canvas.view) {
            // The last state is what is shown already.
            return;
        }
        let bundle = match end {
            End::Picture => match &canvas.arrangement {
                Some(arrangement) => draw_in_place(&canvas.view, arrangement, &self.id),
                None => draw(&canvas.view, &self.id),
            },
            End::Line(_) if !canvas.is_shown => return,
            End::Line(line) => {
                let html =
                    format!("<div class=\"brooklet-note\">{}</div>", brooklet_graph::html::escape(&line));
                MimeBundle::text(line).with("text/html", html)
            }
        };
        if canvas.is_shown {
            self.output.update(&bundle, &self.id);
        } else {
            self.output.display(&bundle, Some(&self.id));
        }
    }

    fn stop(&mut self) {
        locked(&self.canvas.0).is_finished = true;
        self.canvas.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The painter's thread: sleeps until a picture is due, draws it outside the lock.
fn paint(shared: &(Mutex<Canvas>, Condvar), output: &dyn Output, id: &str) {
    let mut canvas = locked(&shared.0);
    while !canvas.is_finished {
        match canvas.throttle.ask(Instant::now()) {
            Due::Never => canvas = shared.1.wait(canvas).unwrap_or_else(|it| it.into_inner()),
            Due::In(wait) => {
                canvas = shared.1.wait_timeout(canvas, wait).unwrap_or_else(|it| it.into_inner()).0;
            }
            Due::Now => {
                let view = canvas.view.clone();
                let arrangement = canvas.arrangement.clone();
                let was_shown = std::mem::replace(&mut canvas.is_shown, true);
                canvas.throttle.is_dirty = false;
                drop(canvas);
                let started = Instant::now();
                let arrangement = arrangement.unwrap_or_else(|| arrangement_of(&view));
                let bundle = draw_in_place(&view, &arrangement, id);
                if was_shown {
                    output.update(&bundle, id);
                } else {
                    output.display(&bundle, Some(id));
                }
                canvas = locked(&shared.0);
                canvas.arrangement = Some(arrangement);
                let is_dirty = canvas.throttle.is_dirty;
                canvas.throttle.drawn(Instant::now(), started.elapsed());
                canvas.throttle.is_dirty = is_dirty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::Recorder;

    #[test]
    fn pictures_are_a_tenth_of_a_second_apart_and_slow_ones_further() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut throttle = Throttle::new(start, Duration::from_millis(40));
        assert_eq!(throttle.ask(at(0)), Due::In(Duration::from_millis(40)));
        assert_eq!(throttle.ask(at(40)), Due::Now);
        throttle.drawn(at(41), Duration::from_millis(1));
        assert_eq!(throttle.ask(at(42)), Due::Never);
        throttle.is_dirty = true;
        assert_eq!(throttle.ask(at(42)), Due::In(Duration::from_millis(99)));
        assert_eq!(throttle.ask(at(141)), Due::Now);
        throttle.drawn(at(241), Duration::from_millis(100));
        throttle.is_dirty = true;
        assert_eq!(throttle.ask(at(241)), Due::In(Duration::from_millis(300)));
    }

    fn view() -> View {
        View { nodes: vec![picture::ViewNode { name: "a".into(), ..Default::default() }], ..View::default() }
    }

    fn ran() -> Event {
        Event::DidRun {
            node: "a".into(),
            milliseconds: 1.0,
            hashing: 0.0,
            changed: true,
            summary: Summary::default(),
        }
    }

    #[test]
    fn a_quick_run_shows_one_picture() {
        let output = Arc::new(Recorder::default());
        let painter = Painter::start(view(), output.clone(), Duration::from_secs(60), fresh_id("dag"), false);
        painter.apply(&Event::WillRun { node: "a".into() });
        painter.apply(&ran());
        painter.finish(End::Picture, |_| {});
        assert_eq!(output.kinds(), ["display"]);
    }

    #[test]
    fn a_slow_run_is_updated_and_ends_with_its_last_state() {
        let output = Arc::new(Recorder::default());
        let painter = Painter::start(view(), output.clone(), Duration::ZERO, fresh_id("dag"), false);
        output.wait_for(1);
        for _ in 0..100 {
            painter.apply(&Event::WillRun { node: "a".into() });
        }
        output.wait_for(2);
        painter.apply(&ran());
        painter.finish(End::Picture, |_| {});
        assert_eq!(output.kinds(), ["display", "update", "update"]);
        assert!(output.last().plain().contains('a'));
    }

    #[test]
    fn a_line_takes_the_place_of_a_shown_picture_only() {
        let output = Arc::new(Recorder::default());
        Painter::start(view(), output.clone(), Duration::from_secs(60), fresh_id("dag"), false)
            .finish(End::Line("x".into()), |_| {});
        assert_eq!(output.kinds(), [] as [&str; 0]);
        let painter = Painter::start(view(), output.clone(), Duration::ZERO, fresh_id("dag"), false);
        output.wait_for(1);
        painter.finish(End::Line("computed 1 node".into()), |_| {});
        assert_eq!(output.kinds(), ["display", "update"]);
        assert_eq!(output.last().plain(), "computed 1 node");
    }

    #[test]
    fn staleness_goes_downstream_and_only_to_what_has_a_value() {
        let node = |name: &str, needs: &[&str]| crate::session::testing::node(name, needs);
        let graph =
            crate::session::testing::graph(vec![node("a", &[]), node("b", &["a"]), node("c", &["b"])]);
        let mut mirror = Mirror::default();
        for name in ["a", "b"] {
            mirror.apply(&Event::DidReuse { node: name.into(), summary: Summary::default() });
        }
        mirror.apply(&Event::DidSkip { node: "c".into(), because: String::new() });
        let change = Change { changed: vec!["a".into()], ..Change::default() };
        mirror.change(&change, &graph);
        let states: Vec<&str> = ["a", "b", "c"].map(|it| mirror.nodes[it].state.word()).to_vec();
        assert_eq!(states, ["stale", "stale", "idle"]);
    }
}

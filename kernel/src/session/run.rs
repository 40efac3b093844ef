//! `%run`, bare names, and every other run of nodes.
//!
//! What must run is decided in the worker, which alone knows the values. The kernel's part: see that the
//! names exist, commit the newest revision, show the picture while it runs, and tell the end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use brooklet_graph::graph::{Literals, NodeKind, check_targets, diff};
use brooklet_graph::picture::{Selection, State, View};
use brooklet_graph::wire::{self, Event, MimeBundle, Outcome, Recompute, Show};
use brooklet_records::{self as records, Given, Record};

use super::Execution;
use super::display::{End, Painter, fresh_id};
use super::errors::{self, Result};
use super::grammar::{Call, UsageError};
use super::interrupts::Phase;
use super::live::Shows;
use super::records::Finished;
use super::text;
use crate::engine::Stream;
use crate::reload::Revision;
use crate::worker::{Death, Done, Facts};

/// The picture of `%run`: a run that is over sooner shows one picture only.
const PICTURE_AFTER: Duration = Duration::from_millis(40);
/// A bare name or a Rust cell shows the picture only if somebody would wonder what goes on.
const PICTURE_IF_SLOW: Duration = Duration::from_millis(300);

/// So many rows `%head` shows unless told otherwise.
const HEAD: usize = 10;

/// What a worker answered, or how it ended.
type Answer = std::result::Result<Done, Death>;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub targets: Vec<String>,
    pub show: Show,
    /// For this run only; they win over those of `%input` and `%config`.
    pub inputs: Literals,
    pub overrides: Literals,
    /// What is computed again though its result is kept.
    pub recompute: Recompute,
    /// Whether the picture is wanted however quick the run is.
    pub picture: bool,
    /// The display of its picture.
    pub picture_id: String,
    /// It was shown before and is made anew where it stands.
    pub is_again: bool,
    /// Nodes that it must not compute.
    pub hold: Vec<String>,
}

/// The last run, for `%time` and `%diff`.
#[derive(Clone, Debug)]
pub struct LastRun {
    pub revision: Arc<Revision>,
    pub targets: Vec<String>,
    pub started: Instant,
    pub wall: Duration,
    pub tally: Tally,
}

/// What a run did, node by node, in the order in which it ended.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub nodes: Vec<(String, State)>,
    /// Milliseconds that went into telling values from others.
    pub hashing: f64,
}

impl Tally {
    pub fn apply(&mut self, event: &Event) {
        let (node, state) = match event {
            Event::WillPlan { .. } | Event::WillRun { .. } | Event::DidWarn { .. } => return,
            Event::DidRun { node, milliseconds, hashing, changed, .. } => {
                self.hashing += hashing;
                (node, State::Done { milliseconds: *milliseconds, changed: *changed })
            }
            Event::DidReuse { node, .. } => (node, State::Reused),
            Event::DidTake { node, .. } => (node, State::Taken),
            Event::DidFail { node, failure } => (node, State::Failed { message: failure.message.clone() }),
            Event::DidSkip { node, .. } => (node, State::Skipped),
        };
        // What was known and is computed after all counts as computed.
        let again = self.nodes.iter_mut().find(|it| it.1 == State::Reused && it.0 == *node);
        match again {
            Some(known) => known.1 = state,
            None => self.nodes.push((node.clone(), state)),
        }
    }

    /// How many nodes were computed.
    pub fn ran(&self) -> usize {
        self.nodes.iter().filter(|it| matches!(it.1, State::Done { .. })).count()
    }

    fn line(&self, wall: Duration) -> String {
        let took = text::duration(wall.as_secs_f64() * 1_000.0);
        format!("computed {} in {took}", text::count(self.ran(), "node"))
    }
}

/// The run that a magic asks for: its targets, with the values for this run.
fn asked(call: &Call, show: Show) -> Result<Request> {
    let usage = |it: UsageError| errors::usage(&it);
    let inputs = call.option_pairs("--input").map_err(usage)?.into_iter().collect();
    let overrides = call.option_pairs("--override").map_err(usage)?.into_iter().collect();
    Ok(Request { targets: call.texts(), show, inputs, overrides, ..Request::default() })
}

impl Execution<'_> {
    /// `%run TARGET…`
    pub(super) fn run(&self, call: &Call) -> Result<()> {
        let usage = |it: UsageError| errors::usage(&it);
        let show = match (call.value("--as").as_deref(), call.number("--rows")) {
            (Some(_), Some(_)) => {
                return Err(usage(call.error("`--rows` is about tables as they are shown without `--as`")));
            }
            (Some("frame"), None) => Show::Frame,
            (Some("dict"), None) => Show::Dict,
            (Some(_), None) => Show::Json,
            (None, Some(rows)) => Show::Rows { rows },
            (None, None) => Show::Auto,
        };
        let revision = self.revision()?;
        // For machines: one bundle and nothing beside it, unless it takes long.
        let picture = show != Show::Json;
        let recompute = match (call.flag("--all"), call.values("--recompute")) {
            (true, _) => Recompute::All,
            (false, nodes) if nodes.is_empty() && call.option("--recompute").is_some() => {
                let message = "`--recompute` needs names of nodes; `--all` computes everything again";
                return Err(usage(call.error(message)));
            }
            (false, nodes) if nodes.is_empty() => Recompute::Nothing,
            (false, nodes) => Recompute::Nodes(nodes),
        };
        let request = Request { recompute, picture, picture_id: fresh_id("dag"), ..asked(call, show)? };
        self.run_and_show(&revision, request)
    }

    /// `%head NODE [N]`
    pub(super) fn head(&self, call: &Call) -> Result<()> {
        let rows = call.texts().get(1).and_then(|it| it.parse().ok()).unwrap_or(HEAD);
        let mut request = asked(call, Show::Head { rows })?;
        request.targets.truncate(1);
        self.run_and_show(&self.revision()?, request)
    }

    /// `%describe NODE…`
    pub(super) fn describe(&self, call: &Call) -> Result<()> {
        self.run_and_show(&self.revision()?, asked(call, Show::Describe)?)
    }

    /// A cell of bare names: the values, nothing compiled.
    pub(super) fn show_values(&self, revision: &Arc<Revision>, names: Vec<String>) -> Result<()> {
        self.run_and_show(revision, Request { targets: names, ..Request::default() })
    }

    /// Runs nodes and shows what they give, which follows the files from now on.
    fn run_and_show(&self, revision: &Arc<Revision>, request: Request) -> Result<()> {
        let bundle = self.run_nodes(revision, &request)?;
        let id = fresh_id("value");
        self.output.display(&bundle, Some(&id));
        // What was to be computed again was, once.
        let request = Request { recompute: Recompute::Nothing, ..request };
        self.keep_display(revision, Shows::Nodes(request), Some((id, bundle)));
        Ok(())
    }

    /// One node's value as a bundle.
    pub(super) fn value_of(&self, name: &str) -> Result<MimeBundle> {
        let revision = self.revision()?;
        self.run_nodes(&revision, &Request { targets: vec![name.to_owned()], ..Request::default() })
    }

    /// Inputs and configuration together with those of one run.
    pub(super) fn literals(&self, extra: &Literals) -> Literals {
        let knowledge = self.shared.knowledge();
        let mut all = knowledge.config.clone();
        all.extend(knowledge.inputs.clone());
        all.extend(extra.clone());
        all
    }

    /// Runs nodes and gives what they show; the bundle is empty for `Show::Nothing`.
    pub(super) fn run_nodes(&self, revision: &Arc<Revision>, request: &Request) -> Result<MimeBundle> {
        let asked = Instant::now();
        let inputs = self.literals(&request.inputs);
        self.check_request(revision, request, &inputs)?;
        // Before the picture: what cannot be committed shows none.
        self.shared.commit(revision)?;
        let started = Instant::now();
        *self.shared.tally() = Tally::default();
        self.shared.recorder.begin();
        *self.shared.record() = self.new_record(revision, request, &inputs);
        let delay = if request.picture { PICTURE_AFTER } else { PICTURE_IF_SLOW };
        let view = self.run_view(revision, &request.targets);
        tracing::debug!(target: "run", view = ?started.elapsed());
        let id = match request.picture_id.as_str() {
            "" => fresh_id("dag"),
            id => id.to_owned(),
        };
        // Made anew it has a picture if one stands there.
        let has_picture = request.picture || !request.is_again;
        *self.shared.painter() =
            has_picture.then(|| Painter::start(view, self.output.clone(), delay, id, request.is_again));
        let mut answer = self.shared.once_or_again(|| {
            let worker = self.shared.commit(revision)?;
            let _phase = self.shared.enter(Phase::Running)?;
            Ok(worker.run(wire::Run {
                request: 0,
                targets: request.targets.clone(),
                show: request.show,
                inputs: inputs.clone(),
                overrides: request.overrides.clone(),
                recompute: request.recompute.clone(),
                hold: request.hold.clone(),
            }))
        });
        if matches!(answer, Ok(Ok(_))) {
            self.shared.knowledge().mirror.none_running();
        }
        let wall = started.elapsed();
        tracing::debug!(target: "run", before = ?(started - asked), ?wall);
        let tally = self.shared.tally().clone();
        let painter = self.shared.painter().take();
        let is_good = matches!(&answer, Ok(Ok(Done { outcome: Outcome::Shown { .. }, .. })));
        let end = if request.picture || !is_good { End::Picture } else { End::Line(tally.line(wall)) };
        let death = answer.as_ref().ok().and_then(|it| it.as_ref().err());
        let death = death.map(|it| format!("the worker {}", it.description));
        if let Some(painter) = painter
            && (request.picture || answer.is_ok())
        {
            painter.finish(end, |view| settle(view, death.as_deref()));
        }
        tracing::debug!(target: "run", picture = ?(started.elapsed() - wall));
        let run =
            LastRun { revision: revision.clone(), targets: request.targets.clone(), started, wall, tally };
        if !request.is_again {
            self.shared.knowledge().last_run = Some(run);
        }
        let facts = match &mut answer {
            Ok(Ok(done)) => done.facts.take(),
            _ => None,
        };
        self.keep_record(revision, &answer, facts, wall);
        let result = match answer {
            Err(error) => Err(error),
            Ok(Ok(Done { outcome: Outcome::Shown { bundle }, unused_inputs, .. })) => {
                self.warn_unused(request, &unused_inputs);
                Ok(bundle)
            }
            Ok(Ok(Done { outcome: Outcome::Failed { failures }, .. })) => {
                Err(errors::failures(&failures, &revision.graph, &revision.sources))
            }
            Ok(Ok(Done { outcome: Outcome::Interrupted, .. })) => {
                let ran = self.shared.tally().ran();
                let kept = format!(
                    "stopped between two steps; {} had been computed and kept",
                    text::count(ran, "node")
                );
                Err(errors::interrupted(&kept))
            }
            Ok(Err(death)) => {
                let work = format!("it computed {}", text::list(&request.targets));
                Err(self.shared.died(&death, &work))
            }
        };
        // After the end was told: what was given for this run alone leaves nodes without their state.
        self.forget_given(revision, request);
        result
    }

    /// The record of a run that begins.
    fn new_record(&self, revision: &Revision, request: &Request, inputs: &Literals) -> Record {
        let targets: Vec<&str> = request.targets.iter().map(String::as_str).collect();
        let needed = revision.graph.upstream_of(&targets);
        let given = |literal: &String| Given { literal: Some(literal.clone()), version: None };
        let config = self.shared.knowledge().config.clone();
        let is_asked = |it: &String| needed.contains(it) || request.targets.contains(it);
        let is_input = |it: &(&String, &String)| is_asked(it.0) && !config.contains_key(it.0);
        let mut record = Record::begin(SystemTime::now());
        record.targets.clone_from(&request.targets);
        record.inputs = inputs.iter().filter(is_input).map(|it| (it.0.clone(), given(it.1))).collect();
        record.overrides = request.overrides.iter().map(|it| (it.0.clone(), given(it.1))).collect();
        record.by.kind = if request.is_again { "live" } else { "notebook" }.to_owned();
        record.config = config;
        record.recompute = request.recompute.clone();
        record
    }

    /// Has the record of a run written, and says once if that cannot be.
    fn keep_record(
        &self,
        revision: &Arc<Revision>,
        answer: &Result<Answer>,
        facts: Option<Facts>,
        wall: Duration,
    ) {
        let mut record = std::mem::take(&mut *self.shared.record());
        let is_live = record.by.kind == "live";
        record.milliseconds = (wall.as_secs_f64() * 1e6).round() / 1e3;
        record.outcome = match answer {
            // It did not begin.
            Err(_) => return,
            Ok(Ok(done)) => match done.outcome {
                Outcome::Shown { .. } => records::Outcome::Done,
                Outcome::Failed { .. } => records::Outcome::Failed,
                Outcome::Interrupted => records::Outcome::Interrupted,
            },
            Ok(Err(death)) => {
                record.problems.push(format!("the worker {}", death.description));
                records::Outcome::Died
            }
        };
        self.shared.recorder.hand_over(Finished { record, revision: revision.clone(), facts });
        if !is_live && let Some(problem) = self.shared.recorder.take_problem() {
            let line = format!("warning: runs are not recorded in .brooklet: {problem}\n");
            self.output.stream(Stream::Stderr, &line);
        }
    }

    /// What was computed from values of this run alone is not what the graph holds now.
    fn forget_given(&self, revision: &Revision, request: &Request) {
        let given: Vec<String> = request.inputs.keys().chain(request.overrides.keys()).cloned().collect();
        if !given.is_empty() {
            self.shared.knowledge().mirror.stale(&given, &revision.graph);
        }
    }

    /// What can be told without the worker: unknown names and missing inputs, all at once.
    fn check_request(&self, revision: &Revision, request: &Request, inputs: &Literals) -> Result<()> {
        let mut diagnostics =
            check_targets(&revision.graph, &request.targets, &names(inputs), &names(&request.overrides));
        diagnostics.extend(given_nodes(revision, &request.inputs));
        diagnostics.extend(configured(&self.shared.knowledge().config, &request.inputs));
        if let Recompute::Nodes(nodes) = &request.recompute {
            for name in nodes {
                if self.node(revision, name)?.kind == NodeKind::Input {
                    let message = format!("`{name}` is an input: nothing computes it");
                    return Err(errors::hinted("UsageError", message, "`--recompute` names transforms"));
                }
            }
            let targets: Vec<&str> = request.targets.iter().map(String::as_str).collect();
            let needed = revision.graph.upstream_of(&targets);
            let idle = |it: &&String| !needed.contains(it) || request.overrides.contains_key(*it);
            let idle: Vec<String> = nodes.iter().filter(idle).cloned().collect();
            if !idle.is_empty() {
                let line = format!("warning: this run does not compute {}\n", text::list(&idle));
                self.output.stream(Stream::Stderr, &line);
            }
        }
        match errors::problems(&diagnostics, &revision.sources, &[]) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The part of the graph that a run needs, with what changed since the last run marked.
    fn run_view(&self, revision: &Arc<Revision>, targets: &[String]) -> View {
        let selection = Selection { targets: targets.to_vec(), ..Selection::default() };
        let mut view = self.view(revision, &selection);
        // What an earlier run computed is kept, and not computed, as far as this one is concerned.
        for node in &mut view.nodes {
            if matches!(node.state, State::Done { .. }) {
                node.state = State::Reused;
            }
        }
        let before = self.shared.knowledge().last_run.as_ref().map(|it| it.revision.clone());
        if let Some(before) = before.filter(|it| it.number != revision.number) {
            view.mark_change(&diff(&before.graph, &revision.graph));
            // What went is news for `%diff`; below a run it would say nothing about the run.
            view.removed.clear();
        }
        view
    }

    /// Inputs given for this run that nothing takes. Those of `%input` may be meant for other runs.
    fn warn_unused(&self, request: &Request, unused: &[String]) {
        let unused: Vec<String> =
            unused.iter().filter(|it| request.inputs.contains_key(*it)).cloned().collect();
        if !unused.is_empty() {
            let line = format!("warning: nothing takes {}\n", text::list(&unused));
            self.output.stream(Stream::Stderr, &line);
        }
    }
}

/// The names that values are given for.
pub fn names(literals: &Literals) -> BTreeSet<String> {
    literals.keys().cloned().collect()
}

/// Inputs of this run that are configured: a name is one or the other.
pub fn configured(config: &Literals, inputs: &Literals) -> Vec<brooklet_graph::diagnostic::Diagnostic> {
    let both = inputs.keys().filter(|it| config.contains_key(*it));
    both.map(|name| {
        brooklet_graph::diagnostic::Diagnostic::error(
            "input-is-configured",
            format!("`{name}` is configured, so it cannot be an input of this run as well"),
        )
        .hint(format!("take it back with `%config {name}=`, or configure the other value"))
    })
    .collect()
}

/// Inputs of this run that are names of transforms.
pub fn given_nodes(revision: &Revision, inputs: &Literals) -> Vec<brooklet_graph::diagnostic::Diagnostic> {
    let is_transform =
        |name: &&String| revision.graph.nodes.get(*name).is_some_and(|it| it.kind == NodeKind::Transform);
    let names = inputs.keys().filter(is_transform);
    names
        .map(|name| {
            let message = format!("`{name}` is computed by a transform and cannot be given as an input");
            brooklet_graph::diagnostic::Diagnostic::error("input-is-computed", message)
                .hint(format!("`--override {name}=…` takes its place for one run"))
        })
        .collect()
}

/// A picture that will not change any more must not say that something runs.
fn settle(view: &mut View, death: Option<&str>) {
    for node in &mut view.nodes {
        match (&node.state, death) {
            (State::Running, Some(death)) => node.state = State::Failed { message: death.to_owned() },
            (State::Waiting | State::Running, _) => node.state = State::Skipped,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brooklet_graph::picture::ViewNode;
    use brooklet_graph::wire::Summary;

    #[test]
    fn a_tally_counts_what_was_computed() {
        let mut tally = Tally::default();
        let summary = Summary::default();
        tally.apply(&Event::WillRun { node: "a".into() });
        tally.apply(&Event::DidRun {
            node: "a".into(),
            milliseconds: 2.0,
            hashing: 1.0,
            changed: true,
            summary: summary.clone(),
        });
        tally.apply(&Event::DidReuse { node: "b".into(), summary });
        assert_eq!((tally.nodes.len(), tally.ran(), tally.hashing), (2, 1, 1.0));
        assert_eq!(tally.line(Duration::from_millis(12)), "computed 1 node in 12 ms");
    }

    #[test]
    fn nothing_waits_in_a_settled_picture() {
        let node = |name: &str, state| ViewNode { name: name.to_owned(), state, ..ViewNode::default() };
        let nodes = vec![node("a", State::Running), node("b", State::Waiting), node("c", State::Reused)];
        let mut view = View { nodes, ..View::default() };
        settle(&mut view, Some("the worker died"));
        let words: Vec<&str> = view.nodes.iter().map(|it| it.state.word()).collect();
        assert_eq!(words, ["failed", "skipped", "reused"]);
    }
}

//! Runs planned steps: one call, caught and timed, here or on a thread of the pool.
//!
//! It knows nothing of the graph's meaning. What makes it delicate is cost: a step may be one addition, so a
//! step takes no lock and no thread switch unless there is something to run beside it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::wire::{Failure, Summary};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::driver::Column;
use crate::foreign;
use crate::glue::{Argument, Error, Outcome, Shim, Slots};
use crate::hold;
use crate::panics;
use crate::value::{Ops, Value};
use crate::version::Version;

/// One call to make.
pub struct Step {
    /// Which node this is, for the caller.
    pub index: usize,
    pub work: Work,
    pub arguments: Vec<Argument>,
    pub output: &'static Ops,
    /// The data version of the result if it has none of its own.
    pub derived_version: Version,
    pub names: Arc<StepNames>,
}

/// What a step does.
#[derive(Clone)]
pub enum Work {
    /// Calls a function of the user's.
    Call(Shim),
    /// Takes a column out of the one argument.
    Column(Arc<Column>),
}

impl Work {
    fn run(&self, arguments: &[Argument], node: &str) -> Outcome {
        match (self, arguments) {
            (Work::Call(shim), _) => shim(&Slots::new(arguments)),
            (Work::Column(column), [Argument::One(Some(frame))]) => column.take(frame, node),
            (Work::Column(_), _) => Err(Error::Missing { parameter: 0 }),
        }
    }
}

/// Names for messages, shared with the committed graph.
#[derive(Debug, Default)]
pub struct StepNames {
    pub node: String,
    /// By parameter: the node or input that feeds it.
    pub parameters: Vec<String>,
    /// By value that goes in: the node or input, or the parameter of a literal.
    pub feeds: Vec<String>,
    /// The path of the function that the node comes from.
    pub function: String,
    /// What of the code counts, as the reader of the sources has it.
    pub fingerprint: String,
}

/// What came of a step.
pub struct StepResult {
    pub index: usize,
    /// The node's own time.
    pub milliseconds: f64,
    /// What it took on top of that to tell its value from others.
    pub hashing: f64,
    pub outcome: Result<Computed, Failure>,
}

/// A value with what is known of it.
#[derive(Clone)]
pub struct Computed {
    pub value: Value,
    pub version: Version,
    pub summary: Summary,
    /// Files that are still to be read, by whoever collects a plan, each with the version that it had.
    pub reads: Arc<[(String, Version)]>,
}

impl Computed {
    /// Hashes and sums up a value. User types may fail at it, so this counts as part of the step.
    pub fn new(value: Value, derived_version: Version) -> Computed {
        let version = value.version().unwrap_or(derived_version);
        let summary = value.summary();
        Computed { value, version, summary, reads: Arc::default() }
    }
}

/// Runs one step on this thread.
pub fn run(step: Step) -> StepResult {
    let start = Instant::now();
    foreign::take_fault();
    let mut computed = None;
    let outcome = panics::catch(|| {
        let data = step.work.run(&step.arguments, &step.names.node)?;
        computed = Some(start.elapsed());
        let value = Value::from_data(data, step.output);
        value.belongs_to(&step.names.node);
        Ok(Computed::new(value, step.derived_version))
    });
    // Timed before arguments are dropped: freeing a large frame is not the node's work.
    let whole = start.elapsed();
    let own = computed.unwrap_or(whole);
    let outcome = match outcome {
        Ok(Ok(computed)) => Ok(computed),
        Ok(Err(error)) => Err(failure(error, &step.names)),
        Err(panic) => Err(Failure {
            kind: "Panic".to_owned(),
            node: step.names.node.clone(),
            message: match foreign::take_fault() {
                Some(fault) => format!("{} (while {fault})", panic.message),
                None => panic.message,
            },
            chain: if panic.place.is_empty() { Vec::new() } else { vec![panic.place] },
            hint: None,
            place: None,
        }),
    };
    let milliseconds = |it: Duration| it.as_secs_f64() * 1e3;
    StepResult {
        index: step.index,
        milliseconds: milliseconds(own),
        hashing: milliseconds(whole.saturating_sub(own)),
        outcome,
    }
}

fn failure(error: Error, names: &StepNames) -> Failure {
    let parameter = |at: usize| names.parameters.get(at).map_or("?", String::as_str);
    let (kind, message, chain) = match error {
        Error::Failed { message, chain } => ("Error", message, chain),
        Error::Missing { parameter: at } => {
            ("missing-input", format!("`{}` has no value", parameter(at)), Vec::new())
        }
        Error::WrongType { parameter: at, expected, found } => (
            "TypeMismatch",
            format!("`{}` needs `{expected}`, but `{}` is `{found}`", names.node, parameter(at)),
            Vec::new(),
        ),
        Error::Described => ("Error", "the shim described itself instead of running".to_owned(), Vec::new()),
    };
    Failure { kind: kind.to_owned(), node: names.node.clone(), message, chain, hint: None, place: None }
}

/// Threads for steps that are ready at the same time. Started when first needed; dropping the pool ends
/// them after the steps that they run.
pub struct Pool {
    steps: Sender<Step>,
    results: Receiver<StepResult>,
    threads: usize,
}

impl Pool {
    /// # Panics
    /// If the system cannot start a single thread.
    pub fn new() -> Pool {
        let (steps, steps_rx) = unbounded::<Step>();
        let (results_tx, results) = unbounded();
        let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
        let mut started = 0;
        for number in 0..threads {
            let (steps_rx, results_tx) = (steps_rx.clone(), results_tx.clone());
            let work = move || {
                hold::guard_this_thread();
                for step in steps_rx {
                    if results_tx.send(run(step)).is_err() {
                        return;
                    }
                }
            };
            let spawned = thread::Builder::new()
                .name(format!("brooklet-step-{number}"))
                .stack_size(foreign::STACK)
                .spawn(work);
            started += usize::from(spawned.is_ok());
        }
        assert!(started > 0, "no thread could be started for running steps");
        Pool { steps, results, threads: started }
    }

    /// How many steps can run at the same time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Hands a step to the next free thread.
    pub fn submit(&self, step: Step) {
        // The threads hold the other end as long as `self` lives.
        let _ = self.steps.send(step);
    }

    /// Waits for any submitted step.
    pub fn wait(&self) -> Option<StepResult> {
        self.results.recv().ok()
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool::new()
    }
}

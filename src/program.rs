//! A dataflow compiled into a program, and the driver that runs it.
//!
//! [`flow!`](crate::flow!) turns modules of transforms into a [`Flow`]; a [`Builder`] gives it its configuration
//! and makes a [`Driver`]. What the notebook's kernel asks of its worker, a program asks of the same driver:
//!
//! ```text
//! mod transforms { pub mod marketing; }
//!
//! let mut driver = Driver::builder(flow!(transforms::marketing)).config("region", "us").build()?;
//! let results = driver.run(&Request::of(["spend_mean"]).input("spend", spend))?;
//! let mean: f64 = *results.get("spend_mean")?;
//! ```

mod records;
mod results;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brooklet_graph::diagnostic::{self, Diagnostic, Severity};
use brooklet_graph::graph::{self, Literals, Node, Options, TagFilter, edge_mismatches};
use brooklet_graph::source::{SourceFile, Sources};
use brooklet_graph::spec::FileSpec;
use brooklet_graph::wire::{Event, Failure, Recompute};

pub use results::{ResultError, Results, RunError};

use crate::driver::{CommitError, Driver, GivenValue, Request};
use crate::glue::Table;
use crate::recorder::Recorder;
use crate::version::Version;
use records::Running;

/// Transform files of a program: what they say, and the functions themselves.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The specs as JSON.
    specs: &'static str,
    /// Display path and text of each file.
    sources: &'static [(&'static str, &'static str)],
    type_key: &'static str,
    functions: fn() -> Table,
}

impl Flow {
    /// Called by what `flow!` generates.
    #[doc(hidden)]
    pub const fn new(
        specs: &'static str,
        sources: &'static [(&'static str, &'static str)],
        type_key: &'static str,
        functions: fn() -> Table,
    ) -> Flow {
        Flow { specs, sources, type_key, functions }
    }

    fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        for (path, text) in self.sources {
            sources.push(SourceFile {
                path: (*path).to_owned(),
                absolute: (*path).to_owned(),
                text: (*text).to_owned(),
            });
        }
        sources
    }
}

/// A value that can be configured: its literal is what a magic would have.
pub trait IntoLiteral {
    fn into_literal(self) -> String;
}

impl IntoLiteral for &str {
    fn into_literal(self) -> String {
        toml::Value::String(self.to_owned()).to_string()
    }
}

impl IntoLiteral for String {
    fn into_literal(self) -> String {
        self.as_str().into_literal()
    }
}

macro_rules! literals {
    ($($ty:ty),*) => {$(
        impl IntoLiteral for $ty {
            fn into_literal(self) -> String {
                format!("{self:?}")
            }
        }
    )*};
}

literals!(bool, i8, i16, i32, i64, u8, u16, u32, u64, usize, f32, f64);

impl<T: IntoLiteral> IntoLiteral for Vec<T> {
    fn into_literal(self) -> String {
        format!("[{}]", self.into_iter().map(T::into_literal).collect::<Vec<_>>().join(", "))
    }
}

/// Makes a [`Driver`] of a [`Flow`].
#[derive(Clone, Debug)]
pub struct Builder {
    flow: Flow,
    options: Options,
    base: PathBuf,
    store: Option<PathBuf>,
    records: Option<PathBuf>,
}

impl Builder {
    /// Configures a key: it chooses variants, replaces the node of its name, and is an input.
    pub fn config(self, key: &str, value: impl IntoLiteral) -> Builder {
        self.config_literal(key, &value.into_literal())
    }

    /// As [`config`](Builder::config), from text as a person writes it: `us`, `3`, `[1, 2]`.
    pub fn config_literal(mut self, key: &str, literal: &str) -> Builder {
        self.options.config.insert(key.to_owned(), literal.to_owned());
        self
    }

    /// Lets a node of a later module take the place of one of the same name.
    pub fn allow_overrides(mut self) -> Builder {
        self.options.allow_overrides = true;
        self
    }

    /// What relative paths in literals are relative to; the current directory if it is not said.
    pub fn base(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.base = directory.into();
        self
    }

    /// Keeps results in this directory too, so that the next run of this very program finds them. Another build of it
    /// does not: what it was compiled with is not known from outside.
    pub fn cache_dir(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.store = Some(directory.into());
        self
    }

    /// Adds a record of each run to this `.brooklet` directory, as notebooks do: `docs/runs.md` says what it holds.
    pub fn record_runs(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.records = Some(directory.into());
        self
    }

    /// Builds the graph and compares all edges.
    ///
    /// # Errors
    /// Everything that is wrong with the graph under this configuration.
    pub fn build(self) -> Result<Driver, FlowError> {
        let sources = self.flow.sources();
        let files: Vec<Arc<FileSpec>> = serde_json::from_str(self.flow.specs).map_err(|error| FlowError {
            diagnostics: vec![Diagnostic::error(
                "parse-error",
                format!("flow! wrote specs that cannot be read: {error}"),
            )],
            sources: Sources::default(),
        })?;
        let (graph, mut diagnostics) = graph::build(&files, &sources, &self.options);
        diagnostics.retain(|it| it.severity == Severity::Error);
        if !diagnostics.is_empty() {
            return Err(FlowError { diagnostics, sources });
        }
        let mut driver = Driver::new();
        driver.set_base(self.base);
        driver.set_config(self.options.config);
        driver.set_sources(sources.clone());
        if let Some(directory) = &self.store {
            let opened = own_hash().and_then(|it| driver.open_store(directory, &it));
            if let Err(error) = opened {
                let message = format!("results are kept in memory alone: {}: {error}", directory.display());
                driver.store().warn(message);
            }
        }
        let table = (self.flow.functions)();
        match driver.commit(graph.clone(), &table.functions, self.flow.type_key) {
            Ok(_) => {
                if let Some(directory) = &self.records {
                    let modules: Vec<String> = files.iter().map(|it| it.module.join("::")).collect();
                    match Recorder::new(directory, &sources, &modules, driver.graph()) {
                        Ok(recorder) => driver.set_recorder(recorder),
                        Err(error) => driver.store().warn(not_recorded(directory, &error)),
                    }
                }
                Ok(driver)
            }
            Err(CommitError::Edges(mismatches)) => {
                Err(FlowError { diagnostics: edge_mismatches(&mismatches, &graph), sources })
            }
            Err(CommitError::MissingFunctions(names)) => {
                // A `#[cfg(..)]` that is off leaves a function out which the text has.
                let message = format!("no function makes {}: is it behind a `#[cfg(..)]`?", names.join(", "));
                Err(FlowError { diagnostics: vec![Diagnostic::error("missing-function", message)], sources })
            }
        }
    }
}

/// What this program was compiled with: its own bytes.
fn own_hash() -> std::io::Result<String> {
    Ok(Version::of_bytes(&std::fs::read(std::env::current_exe()?)?).hex())
}

fn not_recorded(directory: &Path, error: &std::io::Error) -> String {
    format!("runs are not recorded in {}: {error}", directory.display())
}

/// Why a flow makes no driver: all that is wrong with its graph.
#[derive(Clone, Debug)]
pub struct FlowError {
    pub diagnostics: Vec<Diagnostic>,
    sources: Sources,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(diagnostic::render(&without_magics(&self.diagnostics), &self.sources, false).trim_end())
    }
}

impl std::error::Error for FlowError {}

/// A program has no magics to be hinted at.
fn without_magics(diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut diagnostics = diagnostics.to_vec();
    diagnostics.iter_mut().for_each(|it| it.hints.retain(|hint| !hint.contains("`%")));
    diagnostics
}

impl Driver {
    /// Begins a driver for the transforms of a program.
    pub fn builder(flow: Flow) -> Builder {
        Builder { flow, options: Options::default(), base: PathBuf::from("."), store: None, records: None }
    }

    /// Runs what the targets need and have no value for.
    ///
    /// # Errors
    /// Everything that stands in the way, before anything runs; or all nodes that failed.
    pub fn run(&mut self, request: &Request) -> Result<Results, RunError> {
        self.run_observed(request, &mut |_| {})
    }

    /// As [`run`](Driver::run), telling of every step as it happens.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_observed(
        &mut self,
        request: &Request,
        events: &mut dyn FnMut(Event),
    ) -> Result<Results, RunError> {
        self.validate(request)?;
        let request = self.with_config(request);
        let report = match self.recorder().cloned() {
            None => self.execute(&request, events),
            Some(recorder) => {
                let mut running = Running::begin(self.config(), &request);
                let mut report = self.execute(&request, &mut |event| {
                    running.note(&event);
                    events(event);
                });
                if let Err(error) =
                    recorder.add(running.end(self.graph(), &report, |it| self.stored_bytes(it)))
                {
                    report.warnings.push((String::new(), format!("the run is not recorded: {error}")));
                }
                report
            }
        };
        if report.interrupted || !report.failures.is_empty() {
            return Err(RunError::failed(report.failures, report.interrupted));
        }
        // What is configured may be read by conditions alone.
        let unused = report.unused_inputs.into_iter().filter(|it| !self.config().contains_key(it)).collect();
        Ok(Results::new(report.values, report.warnings, unused))
    }

    /// Says everything that a run would find wrong before its first step; runs nothing.
    ///
    /// # Errors
    /// All of it at once.
    pub fn validate(&mut self, request: &Request) -> Result<(), RunError> {
        let request = self.with_config(request);
        let names = |it: &Literals| -> BTreeSet<String> { it.keys().cloned().collect() };
        let (mut inputs, mut overrides) = (names(&request.inputs), names(&request.overrides));
        inputs.extend(request.values.keys().cloned());
        overrides.extend(request.value_overrides.keys().cloned());
        let mut diagnostics = graph::check_targets(self.graph(), &request.targets, &inputs, &overrides);
        diagnostics.extend(self.wrongly_given(&request));
        if !diagnostics.is_empty() {
            return Err(RunError::refused(diagnostics, self.sources().clone()));
        }
        let failures: Vec<Failure> = self.check(&request);
        if failures.is_empty() { Ok(()) } else { Err(RunError::failed(failures, false)) }
    }

    /// Inputs of a run that are configured, or that a transform computes.
    fn wrongly_given(&self, request: &Request) -> Vec<Diagnostic> {
        let is_own = |(key, value): &(&String, &String)| self.config().get(*key) != Some(*value);
        let given = || request.inputs.iter().filter(is_own).map(|it| it.0).chain(request.values.keys());
        let configured = given().filter(|it| self.config().contains_key(*it)).map(|name| {
            let message = format!("`{name}` is configured, so it cannot be an input of a run as well");
            Diagnostic::error("input-is-configured", message)
        });
        let is_computed = |name: &&String| {
            self.graph().nodes.get(*name).is_some_and(|it| it.kind == graph::NodeKind::Transform)
        };
        let computed = given().filter(is_computed).map(|name| {
            let message = format!("`{name}` is computed by a transform, so it is no input");
            Diagnostic::error("input-is-computed", message).hint("`override_with` takes its place")
        });
        configured.chain(computed).collect()
    }

    /// The request with the configuration among its inputs.
    fn with_config(&self, request: &Request) -> Request {
        let mut request = request.clone();
        for (key, value) in self.config() {
            if !request.values.contains_key(key) {
                request.inputs.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        request
    }

    /// The nodes that a node needs, itself included, in the order of the graph.
    pub fn upstream_of(&self, names: &[&str]) -> Vec<String> {
        self.graph().upstream_of(names)
    }

    /// The nodes that need a node, itself included, in the order of the graph.
    pub fn downstream_of(&self, names: &[&str]) -> Vec<String> {
        self.graph().downstream_of(names)
    }

    /// All nodes on any way from one node to another, both included; nothing if there is no way.
    pub fn path_between(&self, from: &str, to: &str) -> Vec<String> {
        self.graph().path_between(from, to)
    }

    /// The nodes and inputs that have every one of the tags; all of them for an empty filter.
    ///
    /// # Errors
    /// If a tag is to have one of no values.
    pub fn nodes(&self, filter: &TagFilter) -> Result<Vec<&Node>, String> {
        self.graph().with_tags(filter)
    }
}

impl Request {
    /// Asks for some nodes.
    pub fn of<'a>(targets: impl IntoIterator<Item = &'a str>) -> Request {
        Request { targets: targets.into_iter().map(str::to_owned).collect(), ..Request::default() }
    }

    /// A value for an input, of the type that its consumers take.
    pub fn input<T: Any + Send + Sync>(mut self, name: &str, value: T) -> Request {
        self.values.insert(name.to_owned(), GivenValue::new(value));
        self
    }

    /// As [`input`](Request::input), from text as a person writes it; read as the type that its consumers take.
    pub fn input_literal(mut self, name: &str, literal: &str) -> Request {
        self.inputs.insert(name.to_owned(), literal.to_owned());
        self
    }

    /// A value in the place of what the node would compute; what only it needs is neither run nor required.
    pub fn override_with<T: Any + Send + Sync>(mut self, name: &str, value: T) -> Request {
        self.value_overrides.insert(name.to_owned(), GivenValue::new(value));
        self
    }

    /// Computes a node again though its result is kept.
    pub fn recompute(mut self, name: &str) -> Request {
        match &mut self.recompute {
            Recompute::Nodes(nodes) => nodes.push(name.to_owned()),
            Recompute::Nothing => self.recompute = Recompute::Nodes(vec![name.to_owned()]),
            Recompute::All => {}
        }
        self
    }

    /// Computes all that the targets need again.
    pub fn recompute_all(mut self) -> Request {
        self.recompute = Recompute::All;
        self
    }

    /// As [`override_with`](Request::override_with), from text.
    pub fn override_literal(mut self, name: &str, literal: &str) -> Request {
        self.overrides.insert(name.to_owned(), literal.to_owned());
        self
    }
}

//! evcxr and rust-analyzer, as the cells process uses them. The only file that names evcxr.
//!
//! evcxr is given two views of the image. cargo sees no dependency at all, because RUSTFLAGS name the
//! image's libraries; rust-analyzer, which runs without these flags, sees a crate whose real dependencies
//! stand under `cfg(not(brooklet_image))`. Indexing them takes long, so it comes when nobody waits, or when a
//! cell needs it.
//!
//! Both panic on code that they do not expect, so nothing here is called but through `guard`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, thread};

use evcxr::{CommandContext, CompilationError, Error, EvalContext, EvalContextOutputs, EvalOutputs};

use super::commands::{self, Commands};
use super::protocol::{Answer, CONNECTED, CodeSpan, CompileError, Item, Lost, Outcome, Start, Variable};
use super::scope::ANALYSIS;
use super::{bridge, redefined};
use crate::os;

/// Name of the crate that rust-analyzer reads the image's sources through.
const SOURCES: &str = "brooklet_sources";

/// Module of every cell for types that variables still have, but the transforms no longer.
const GONE: &str = "brooklet_gone";

/// What the rewriting of cells puts in, for rust-analyzer until it knows the image: types of the standard
/// library can then be worked out without it.
const STAND_INS: &str = "\
#[cfg(not(brooklet_image))]
pub mod brooklet {
    pub use crate::{raise, show};
    pub mod cell { pub fn began() {} pub fn ended() {} }
}
#[cfg(not(brooklet_image))]
#[macro_export]
macro_rules! raise { ($result:expr) => { $result } }
#[cfg(not(brooklet_image))]
#[macro_export]
macro_rules! show { ($value:expr) => { { let _ = &$value; } } }
";

/// What cargo prints of a compiler that could not do its work.
const FAILED: [&str; 3] = ["signal:", "annot allocate", "could not compile"];
/// What it prints when it cannot write its files, or finds them cut off. No word that stands in what it says of a
/// `:dep` that cannot be had.
const SPOILT: [&str; 3] = ["failed to parse lock file", "failed to write", "No space left"];

/// What cargo printed when it failed without an error of the code: the compiler was killed, or could not work.
fn compiler_failed(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, printed) = text.split_once("no parsable errors were found")?;
    // `:dep` of what cannot be had, or a manifest that is wrong, has words of its own.
    let mut known = FAILED.iter().chain(&SPOILT);
    known.any(|it| printed.contains(it)).then(|| {
        let lines = printed.lines().skip(1).filter(|it| {
            let it = it.trim();
            !it.is_empty() && !it.starts_with("STD") && !it.starts_with("Compiling ")
        });
        lines.take(8).collect::<Vec<_>>().join("\n")
    })
}

/// evcxr starts this executable again, as its child and as a wrapper of rustc, and tells them by
/// environment variables. Must come before anything else in `main`.
pub fn run_as_evcxr_child() -> Option<ExitCode> {
    let is_child = std::env::var_os("EVCXR_IS_RUNTIME").is_some();
    if is_child && std::env::args_os().nth(1).is_some_and(|it| it == "bridge") {
        return Some(bridge::main());
    }
    // Does not return where evcxr asks for it (`:cache`, dylib mode).
    evcxr::runtime_hook();
    None
}

/// Runs code of evcxr and rust-analyzer, which panic on code that they do not expect.
pub fn guard<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic");
        format!("evcxr or rust-analyzer failed on this code: {message}")
    })
}

/// What every cell holds behind the user's text, as items that replace those of the same name.
#[derive(Clone, Default, PartialEq)]
struct Scope {
    /// The module of the generation, see `scope`.
    module: String,
    /// What stands in [`GONE`].
    gone: String,
}

impl Scope {
    fn text(&self) -> String {
        format!("{}\npub mod {GONE} {{ {} }}\n", self.module, self.gone)
    }
}

/// evcxr and what it has been told.
pub struct Evaluator {
    context: CommandContext,
    start: Start,
    /// evcxr's crate.
    directory: PathBuf,
    /// What evcxr's state holds of the transforms.
    scope: Scope,
    /// evcxr's manifest when rust-analyzer was shown the image's sources. It forgets them when evcxr's
    /// manifest changes.
    indexed: Option<Vec<u8>>,
    /// Whether rust-analyzer has completed a plain name since, which takes it long the first time.
    rehearsed: bool,
    /// Counts changes of the manifest that are only for rust-analyzer to see.
    touched: u32,
    /// By `:opt`.
    opt_level: String,
    /// Items of the cells so far that types depend on.
    items: redefined::Items,
    /// What the running request made evcxr forget.
    lost: Vec<Lost>,
}

impl Evaluator {
    pub fn start(start: Start, socket: &Path) -> Result<Evaluator, String> {
        // The working directory until now is the socket's, so that no `evcxr.toml` of the user's counts
        // that names a directory which two kernels would share.
        let mut command = Command::new(std::env::current_exe().map_err(|it| it.to_string())?);
        command.arg("bridge");
        os::die_with_thread(&mut command);
        let (mut context, outputs) =
            EvalContext::with_subprocess_command(command).map_err(|it| it.to_string())?;
        drain(outputs);
        std::env::set_current_dir(&start.directory).map_err(|it| format!("{}: {it}", start.directory))?;
        let mut state = context.state();
        if !start.rustflags.is_empty() {
            state.set_build_env("RUSTFLAGS", &start.rustflags);
        }
        context.eval_with_state("", state).map_err(|it| it.to_string())?;
        let directory = std::env::var_os("EVCXR_TMPDIR").map(PathBuf::from).unwrap_or_default();
        let mut evaluator = Evaluator {
            context: CommandContext::with_eval_context(context),
            start,
            directory,
            scope: Scope::default(),
            indexed: None,
            rehearsed: false,
            touched: 0,
            opt_level: "0".to_owned(),
            items: redefined::Items::new(),
            lost: Vec::new(),
        };
        // Before the bridge is connected: none of this needs the worker.
        evaluator.set_up().map_err(|it| it.to_string())?;
        fs::write(socket.with_file_name(CONNECTED), "").map_err(|it| it.to_string())?;
        Ok(evaluator)
    }

    /// Brings an empty context to where every cell starts from. The `?` makes evcxr accept `?` from now on;
    /// otherwise the first cell that has one would be compiled twice.
    fn set_up(&mut self) -> Result<(), Error> {
        let mut code = String::new();
        if !self.start.sources.is_empty() {
            // cargo looks at a new dependency as a whole, all platforms included, which would download
            // crates that nobody needs. So it is shown an empty crate, and `index` fills it.
            self.write_sources("", STAND_INS)?;
            code = format!(
                ":dep {SOURCES} = {{ path = {:?} }}\n\
                 mod {ANALYSIS} {{ #[cfg(not(brooklet_image))] pub use {SOURCES}::*; }}\nuse {ANALYSIS}::*;\n",
                self.start.sources_directory
            );
        }
        code.push_str(&self.start.prelude);
        code.push_str(&format!("\npub mod {GONE} {{}}\nuse {GONE}::*;"));
        code.push_str("\n::std::result::Result::Ok::<(), ::std::fmt::Error>(())?;\n");
        self.scope = Scope::default();
        self.context.execute(&code).map(drop)
    }

    fn write_sources(&self, dependencies: &str, code: &str) -> io::Result<()> {
        let directory = Path::new(&self.start.sources_directory);
        fs::create_dir_all(directory.join("src"))?;
        fs::write(
            directory.join("src/lib.rs"),
            format!("//! What rust-analyzer knows of the image.\n{code}"),
        )?;
        fs::write(
            directory.join("Cargo.toml"),
            format!(
                "[package]\nname = \"{SOURCES}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{dependencies}"
            ),
        )
    }

    fn manifest(&self) -> Vec<u8> {
        fs::read(self.directory.join("Cargo.toml")).unwrap_or_default()
    }

    /// What can be done while nobody waits, so that nobody has to wait for it later.
    pub fn prepare(&mut self) {
        if self.indexed.is_none() {
            self.index();
        } else if !self.rehearsed {
            self.rehearsed = true;
            let _ = guard(|| self.context.completions("rehearsal", "rehearsal".len()));
        }
    }

    /// Shows rust-analyzer the image's sources and has it infer one of their types: the slow part.
    ///
    /// It reads them once. Then they are taken away again, because cargo would spend 0.4 s at every cell to
    /// find out that it has nothing to build from them.
    fn index(&mut self) {
        if self.start.sources.is_empty() || self.indexed.is_some() {
            return;
        }
        if let Err(error) = self.try_index() {
            eprintln!("rust-analyzer does not know the image's types: {error}");
        }
        self.indexed = Some(self.manifest());
        self.rehearsed = false;
    }

    fn try_index(&mut self) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let mut dependencies = "\n[target.'cfg(not(brooklet_image))'.dependencies]\n".to_owned();
        let mut code = String::new();
        for (name, value) in &self.start.sources {
            dependencies.push_str(&format!("{name} = {value}\n"));
            code.push_str(&format!("#[cfg(not(brooklet_image))] pub use {};\n", name.replace('-', "_")));
        }
        self.write_sources(&dependencies, &code).map_err(failed)?;
        let lockfile = self.directory.join("Cargo.lock");
        let own_lock = fs::read(&lockfile).map_err(failed)?;
        if let Some(image_lock) = &self.start.lockfile {
            // The versions that the image was built from.
            fs::copy(image_lock, &lockfile).map_err(failed)?;
        }
        // rust-analyzer reads manifests again when evcxr's own one has changed, be it by a comment.
        self.touched += 1;
        let touch = format!(":opt {} # {}", self.opt_level, self.touched);
        let code = format!("let rehearsal = {{ {} }}; rehearsal.", self.start.rehearsal);
        let known = guard(|| {
            self.context.execute(&touch)?;
            self.context.completions(&code, code.len()).map_err(Error::from)
        });
        self.write_sources("", STAND_INS).map_err(failed)?;
        fs::write(&lockfile, own_lock).map_err(failed)?;
        match known?.map_err(|it| it.to_string())?.completions.is_empty() {
            true => Err("it finds none".to_owned()),
            false => Ok(()),
        }
    }

    pub fn answer(&mut self, run: impl FnOnce(&mut Evaluator) -> Outcome) -> Answer {
        self.lost.clear();
        let outcome = guard(|| run(self)).unwrap_or_else(refused);
        Answer::Evaluated { outcome, variables: self.variables(), lost: std::mem::take(&mut self.lost) }
    }

    pub fn evaluate(&mut self, code: &str, scope: &str, is_cancelled: &dyn Fn() -> bool) -> Outcome {
        let commands = commands::read(code, &self.start.externs);
        if let Some(it) = commands.refused {
            return Outcome::Refused { message: it.message, hint: Some(it.hint) };
        }
        if commands.restart {
            self.forget("`:restart` forgets variables");
        }
        if commands.clear
            && let Err(error) = self.clear("`:clear` forgets everything")
        {
            return self.outcome(Err(error), &self.scope.clone(), is_cancelled);
        }
        if let Some(level) = &commands.opt_level {
            self.opt_level = level.clone();
        }
        let scope = Scope { module: scope.to_owned(), gone: String::new() };
        // Commands alone compile nothing, and must not begin to.
        let mut scope = if commands.has_code { scope } else { self.scope.clone() };
        // Behind the user's text, so that its lines keep their numbers.
        let with_scope = format!("{}\n{}", commands.rest, scope.text());
        let code = if scope == self.scope { &commands.rest } else { &with_scope };
        let items = redefined::items(&commands.rest);
        let victims = redefined::victims(&self.items, &items, &self.variables());
        if !victims.is_empty()
            && let Err(error) = self.drop_variables(victims)
        {
            return self.outcome(Err(error), &scope, is_cancelled);
        }
        if is_cancelled() {
            return Outcome::Cancelled;
        }
        let mut result = self.execute_online_if_needed(code, is_cancelled);
        if self.indexed.is_none() && code.contains("let") && may_be_ignorance(&result) && !is_cancelled() {
            self.index();
            result = self.context.execute(code);
        }
        if commands.touches_manifest
            || (result.is_ok() && self.indexed.as_ref().is_some_and(|it| *it != self.manifest()))
        {
            self.indexed = None;
        }
        if let Some(types) = gone_types(&result)
            && !self.variables().is_empty()
            && !is_cancelled()
        {
            result = self.execute_without(types, &commands.rest, &mut scope);
        }
        if result.is_ok() {
            self.items.extend(items);
        }
        let mut outcome = self.outcome(result, &scope, is_cancelled);
        unguard(&mut outcome, &commands);
        outcome
    }

    /// Executes a cell while variables have types that the transforms no longer have. With anything else of
    /// that name evcxr finds that they have changed, and forgets them.
    fn execute_without(
        &mut self,
        types: BTreeSet<String>,
        code: &str,
        scope: &mut Scope,
    ) -> Result<EvalOutputs, Error> {
        scope.gone = types.iter().map(|it| format!("pub struct {it};")).collect();
        let result = self.context.execute(&format!("{code}\n{}", scope.text()));
        if gone_types(&result).is_none() {
            return result;
        }
        scope.gone.clear();
        self.clear("a type among them is no longer in the transforms")?;
        self.context.execute(&format!("{code}\n{}", scope.text()))
    }

    /// Drops variables in the worker, while their types still mean what they meant.
    fn drop_variables(&mut self, variables: Vec<String>) -> Result<(), Error> {
        self.context.execute(&format!("let _ = ::std::mem::drop(({},));", variables.join(", ")))?;
        self.lost.push(Lost { variables, because: "the cell defines their type anew".to_owned() });
        Ok(())
    }

    fn outcome(
        &mut self,
        result: Result<EvalOutputs, Error>,
        scope: &Scope,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Outcome {
        match result {
            Ok(outputs) => {
                self.scope = scope.clone();
                done(outputs)
            }
            _ if is_cancelled() => Outcome::Cancelled,
            Err(Error::CompilationErrors(errors)) => {
                let mut errors: Vec<CompileError> =
                    errors.iter().filter(|it| it.level() == "error").map(compile_error).collect();
                if errors.is_empty() {
                    errors.push(CompileError {
                        message: "the cell does not compile".into(),
                        ..Default::default()
                    });
                }
                Outcome::Errors { errors }
            }
            Err(Error::SubprocessTerminated(_)) => Outcome::Terminated,
            Err(error) => match compiler_failed(&error) {
                Some(output) => {
                    let is_spoilt = SPOILT.iter().any(|it| output.contains(it));
                    Outcome::Compiler { output, is_spoilt }
                }
                None => refused(error.to_string()),
            },
        }
    }

    /// Works without the network as long as cargo can, since a look at the registry costs seconds.
    fn execute_online_if_needed(
        &mut self,
        code: &str,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<EvalOutputs, Error> {
        let mut result = self.context.execute(code);
        // A compiler that somebody killed is started again once; nothing of the cell has run.
        if result.as_ref().is_err_and(|it| compiler_failed(it).is_some()) && !is_cancelled() {
            result = self.context.execute(code);
        }
        let wants_network = match &result {
            Err(Error::Message(message)) => message.contains("offline"),
            Err(Error::CompilationErrors(errors)) => errors.iter().any(|it| it.message().contains("offline")),
            _ => false,
        };
        if !wants_network || is_cancelled() {
            return result;
        }
        self.context.execute(":offline 0")?;
        let result = self.context.execute(code);
        self.context.execute(":offline 1")?;
        result
    }

    /// Forgets the variables of a worker that was replaced.
    pub fn forget_replaced(&mut self) -> Outcome {
        self.forget("the worker was replaced");
        done(EvalOutputs::new())
    }

    /// Forgets the variables, because the worker no longer has them. evcxr does so when its child ends, but
    /// notices that only when it has something to run: so something is run.
    fn forget(&mut self, because: &str) {
        let variables = names(self.variables());
        {
            let handle = self.context.process_handle();
            let mut child = handle.lock().unwrap_or_else(|it| it.into_inner());
            let _ = child.kill();
            let _ = child.wait();
        }
        let ended = guard(|| self.context.execute("();"));
        if !matches!(ended, Ok(Err(Error::SubprocessTerminated(_)))) {
            // It did not even compile: a variable's type is gone. `clear` needs no compiler.
            let _ = guard(|| self.clear(because));
        } else if !variables.is_empty() {
            self.lost.push(Lost { variables, because: because.to_owned() });
        }
    }

    /// Forgets variables and definitions, and starts the child anew.
    fn clear(&mut self, because: &str) -> Result<(), Error> {
        let variables = names(self.variables());
        self.context.execute(":clear")?;
        self.items.clear();
        if !variables.is_empty() {
            self.lost.push(Lost { variables, because: because.to_owned() });
        }
        self.set_up()
    }

    fn variables(&self) -> Vec<Variable> {
        let mut variables: Vec<Variable> = self
            .context
            .variables_and_types()
            .map(|(name, ty)| Variable { name: name.to_owned(), ty: ty.to_owned() })
            .collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        variables
    }

    pub fn complete(&mut self, code: &str, position: usize) -> Answer {
        self.index();
        match guard(|| self.context.completions(code, position)) {
            Ok(Ok(found)) => Answer::Completed {
                items: found
                    .completions
                    .into_iter()
                    .map(|it| Item { code: it.code, kind: it.kind.to_owned(), label: it.label })
                    .collect(),
                start: found.start_offset,
                end: found.end_offset,
            },
            _ => Answer::Completed { items: Vec::new(), start: position, end: position },
        }
    }

    pub fn inspect(&mut self, code: &str) -> Answer {
        self.index();
        let (plain, html) = match guard(|| self.context.hover_at(code, code.len())) {
            Ok(Ok(found)) if found.0 != "No documentation found" => found,
            _ => Default::default(),
        };
        Answer::Inspected { plain, html }
    }
}

/// evcxr waits until what its child printed has been taken. The bridge prints nothing of its own; what
/// comes is for the log.
fn drain(outputs: EvalContextOutputs) {
    for receiver in [outputs.stdout, outputs.stderr] {
        let read = move || receiver.iter().for_each(|line| eprintln!("{line}"));
        thread::Builder::new().name("drain".into()).spawn(read).expect("a thread can be started");
    }
}

fn done(outputs: EvalOutputs) -> Outcome {
    let phases = outputs.phases.iter().map(|it| (it.name.clone(), it.duration.as_millis() as u64)).collect();
    Outcome::Done { content: outputs.content_by_mime_type.into_iter().collect::<BTreeMap<_, _>>(), phases }
}

fn refused(message: impl Into<String>) -> Outcome {
    Outcome::Refused { message: message.into(), hint: None }
}

fn names(variables: Vec<Variable>) -> Vec<String> {
    variables.into_iter().map(|it| it.name).collect()
}

/// Whether rust-analyzer may have guessed the type of a variable, or given up, because it does not know the
/// image yet.
fn may_be_ignorance(result: &Result<EvalOutputs, Error>) -> bool {
    match result {
        Err(Error::CompilationErrors(errors)) => !errors.iter().any(CompilationError::is_from_user_code),
        Err(Error::Message(_)) => true,
        _ => false,
    }
}

/// Moves places back that a guard has moved.
fn unguard(outcome: &mut Outcome, commands: &Commands) {
    let (Outcome::Errors { errors }, Some(line)) = (outcome, commands.guarded_line) else { return };
    let unguarded = |column: usize| column.saturating_sub(commands::GUARD.len()).max(1);
    for span in errors.iter_mut().flat_map(|it| &mut it.spans) {
        if span.start_line == line {
            span.start_column = unguarded(span.start_column);
        }
        if span.end_line == line {
            span.end_column = unguarded(span.end_column);
        }
    }
}

/// Types of kept variables that do not exist: if nothing but evcxr's own lines fails, for want of them.
/// Empty if it cannot be told how they are called.
fn gone_types(result: &Result<EvalOutputs, Error>) -> Option<BTreeSet<String>> {
    let Err(Error::CompilationErrors(errors)) = result else { return None };
    let mut types = BTreeSet::new();
    let mut is_plain = true;
    for error in errors.iter().filter(|it| it.level() == "error") {
        match error.code() {
            _ if error.is_from_user_code() => return None,
            Some("E0412" | "E0425" | "E0432" | "E0433" | "E0603" | "E0107") => {}
            _ => return None,
        }
        match error.message().strip_prefix("cannot find type `").and_then(|it| it.split_once('`')) {
            Some((name, _)) => _ = types.insert(name.to_owned()),
            None => is_plain = false,
        }
    }
    (!errors.is_empty()).then_some(if is_plain { types } else { BTreeSet::new() })
}

fn compile_error(error: &CompilationError) -> CompileError {
    let spans = error
        .spanned_messages()
        .iter()
        .filter_map(|message| {
            let span = message.span?;
            Some(CodeSpan {
                start_line: span.start_line,
                start_column: span.start_column,
                end_line: span.end_line,
                end_column: span.end_column,
                label: message.label.clone(),
                is_primary: message.is_primary,
            })
        })
        .collect();
    let mut help = error.help();
    help.extend(error.evcxr_extra_hint().map(str::to_owned));
    CompileError {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.message(),
        spans,
        help,
        is_from_user: error.is_from_user_code(),
    }
}

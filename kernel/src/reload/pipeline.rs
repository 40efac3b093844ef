//! The thread that turns one content of the watched files into a revision or its problems.
//!
//! Reading, parsing and building the graph take milliseconds; then rustc runs. Everything about one content
//! is told in one answer: what the graph has to say and what the compiler says. Where our parser fails on a
//! file, rustc fails on it as well and words it better, so its words are shown.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use brooklet_graph::diagnostic::{self, Diagnostic, Severity};
use brooklet_graph::graph;
use brooklet_graph::parse::{self, Parsed, shim};
use crossbeam_channel::Receiver;

use super::files::Snapshot;
use super::{CRATE, Problems, Revision, Shared};
use crate::build::BuildError;
use crate::build::generation::{self, Failed, Message, Request};

/// How many type keys keep their incremental directory: going back and forth between two shapes of a type
/// stays fast.
const INCREMENTAL_DIRECTORIES: usize = 3;
/// How many libraries are remembered by content, so that undoing an edit compiles nothing.
const REMEMBERED: usize = 8;

pub struct Pipeline {
    shared: Arc<Shared>,
    next_generation: std::cell::Cell<u64>,
    next_revision: std::cell::Cell<u64>,
    incremental: std::cell::RefCell<VecDeque<String>>,
    built: std::cell::RefCell<VecDeque<(String, Built)>>,
}

/// A compiled content.
#[derive(Clone)]
struct Built {
    generation: u64,
    library: PathBuf,
}

impl Pipeline {
    pub fn new(shared: Arc<Shared>) -> Pipeline {
        Pipeline {
            shared,
            next_generation: std::cell::Cell::new(1),
            next_revision: std::cell::Cell::new(1),
            incremental: std::cell::RefCell::default(),
            built: std::cell::RefCell::default(),
        }
    }

    /// Works until the sender of wakes is closed.
    pub fn run(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            // Several wakes for one content are one.
            while woken.try_recv().is_ok() {}
            let (snapshot, parsed) = self.parse();
            {
                let mut state = self.shared.state();
                if state.candidate.as_ref().is_some_and(|it| it.0 == snapshot.hash) {
                    drop(state);
                    self.shared.processed.notify_all();
                    continue;
                }
                state.working = Some(snapshot.hash.clone());
            }
            let hash = snapshot.hash.clone();
            let result = self.process(snapshot, parsed).map(Arc::new);
            let mut state = self.shared.state();
            state.working = None;
            // A killed compiler says nothing about the content: whoever asks again compiles again.
            if !matches!(&result, Err(problems) if problems.interrupted) {
                if let Ok(revision) = &result {
                    state.committed = Some(revision.clone());
                }
                state.candidate = Some((hash, result));
            }
            drop(state);
            self.shared.processed.notify_all();
        }
    }

    /// Reads and parses the files. Which other files they include is known only after parsing; when that has
    /// changed, they are read as well and all is parsed once more.
    fn parse(&self) -> (Snapshot, Parsed) {
        let snapshot = self.shared.snapshot();
        let parsed = parse::parse_with(&snapshot.sources, &snapshot.modules, &snapshot.included);
        if parsed.includes.iter().eq(snapshot.included.keys()) {
            return (snapshot, parsed);
        }
        self.shared.state().includes.clone_from(&parsed.includes);
        let snapshot = self.shared.snapshot();
        let parsed = parse::parse_with(&snapshot.sources, &snapshot.modules, &snapshot.included);
        (snapshot, parsed)
    }

    fn process(&self, snapshot: Snapshot, parsed: Parsed) -> Result<Revision, Problems> {
        let Snapshot { hash, sources, modules, mut diagnostics, allow_overrides, .. } = snapshot;
        // With a file that cannot be read, all that the compiler has to say would follow from that.
        let is_readable = diagnostics.is_empty();
        diagnostics.extend(parsed.diagnostics.iter().cloned());
        let (graph, graph_diagnostics) = graph::build(&parsed.files, &sources, allow_overrides);
        diagnostics.extend(graph_diagnostics);
        let has_functions = parsed.files.iter().any(|file| !file.functions.is_empty());
        let has_text = sources.files.iter().any(|file| !file.text.trim().is_empty());
        let mut compiler = Vec::new();
        let mut built = Built { generation: 0, library: PathBuf::new() };
        let mut interrupted = false;
        let mut failed = None;
        if is_readable && (has_functions || has_text) {
            let shims = shim::generate(&parsed, &sources, &modules, CRATE);
            match self.compile(&hash, &parsed.type_key, &shims.text) {
                Ok(done) => built = done,
                Err(Failed::Messages(messages)) => {
                    let mut of_shims = Vec::new();
                    for message in messages {
                        match self.own_words(&message, &shims) {
                            Some(diagnostic) => of_shims.push(diagnostic),
                            None => compiler.push(message),
                        }
                    }
                    // Two functions of one name are told once, in our words; and what is wrong with shims
                    // follows from what is wrong with the files, if anything is.
                    if diagnostics.iter().any(|it| it.code == "duplicate-node") {
                        compiler.retain(|it| it.code != "E0428");
                    }
                    let is_wrong = diagnostics.iter().any(|it| it.severity == Severity::Error);
                    if !is_wrong && !compiler.iter().any(|it| it.is_error) {
                        diagnostics.extend(of_shims);
                    }
                }
                Err(Failed::Killed) => interrupted = true,
                Err(Failed::Compiler(error)) => failed = Some(error),
            }
        }
        if compiler.iter().any(|it| it.is_error) {
            diagnostics.retain(|it| it.code != "parse-error");
        }
        diagnostic::sort(&mut diagnostics);
        let is_wrong = diagnostics.iter().any(|it| it.severity == Severity::Error);
        if is_wrong || !compiler.is_empty() || interrupted || failed.is_some() {
            return Err(Problems {
                sources,
                diagnostics,
                compiler,
                interrupted,
                build: failed.map(Box::new),
            });
        }
        let number = self.next_revision.get();
        self.next_revision.set(number + 1);
        Ok(Revision {
            number,
            modules,
            type_key: parsed.type_key.clone(),
            parsed,
            graph,
            sources,
            warnings: diagnostics,
            generation: built.generation,
            library: built.library,
        })
    }

    fn compile(&self, hash: &str, type_key: &str, root_text: &str) -> Result<Built, Failed> {
        if let Some((_, built)) = self.built.borrow().iter().find(|it| it.0 == hash) {
            return Ok(built.clone());
        }
        let image = (self.shared.image)().map_err(Failed::Compiler)?;
        let directory = self.shared.session_directory.join("generations");
        let root = directory.join("lib.rs");
        let failed = |error: std::io::Error| {
            Failed::Compiler(BuildError::new(format!("cannot write {}: {error}", directory.display())))
        };
        fs::create_dir_all(directory.join(generation::BUILT)).map_err(failed)?;
        fs::write(&root, root_text).map_err(failed)?;
        let number = self.next_generation.get();
        self.next_generation.set(number + 1);
        let library = self.shared.compiler.compile(
            &image,
            &Request {
                crate_name: CRATE,
                root,
                number,
                type_key: type_key.to_owned(),
                out_directory: directory.clone(),
                incremental_directory: self.incremental_directory(type_key),
                base: self.shared.base.clone(),
            },
        )?;
        let built = Built { generation: number, library };
        let mut all = self.built.borrow_mut();
        all.push_front((hash.to_owned(), built.clone()));
        all.truncate(REMEMBERED);
        Ok(built)
    }

    fn incremental_directory(&self, type_key: &str) -> PathBuf {
        let all = self.shared.session_directory.join("incremental");
        let name = type_key[..type_key.len().min(16)].to_owned();
        let mut recent = self.incremental.borrow_mut();
        recent.retain(|it| *it != name);
        recent.push_front(name.clone());
        let kept = INCREMENTAL_DIRECTORIES.min(recent.len());
        for old in recent.drain(kept..) {
            let _ = fs::remove_dir_all(all.join(old));
        }
        all.join(name)
    }

    /// rustc's message about a generated line, told at the user's line it was generated for.
    fn own_words(&self, message: &Message, shims: &shim::Shims) -> Option<Diagnostic> {
        let (file, line) = message.place.as_ref()?;
        let root = self.shared.session_directory.join("generations").join("lib.rs");
        if *file != root && root.strip_prefix(&self.shared.base).ok() != Some(file) {
            return None;
        }
        let span = shims.provenance(*line as usize)?.span;
        let code = if message.code.is_empty() { "generated-code" } else { &message.code };
        let diagnostic = if message.is_error {
            Diagnostic::error(code, message.message.clone())
        } else {
            Diagnostic::warning(code, message.message.clone())
        };
        Some(diagnostic.at(span, "because of this"))
    }
}

//! The thread that turns one content of the watched files into a revision or its problems.
//!
//! Reading, parsing and building the graph take milliseconds; then rustc runs. Everything about one content
//! is told in one answer: what the graph has to say and what the compiler says. Where our parser fails on a
//! file, rustc fails on it as well and words it better, so its words are shown.
//!
//! What is hashed is what is compiled: rustc reads a copy of the snapshot. Files that it found beside the copy
//! (an `include_str!` whose path a macro makes) are part of the next snapshot, and this one counts for nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use brooklet_graph::diagnostic::{self, Diagnostic, Severity};
use brooklet_graph::graph;
use brooklet_graph::key::Key;
use brooklet_graph::parse::{self, Parsed, shim};
use brooklet_graph::source::{Sources, Span};
use crossbeam_channel::Receiver;

use super::files::Snapshot;
use super::reading;
use super::{CRATE, News, Problems, Revision, Shared};
use crate::build::BuildError;
use crate::build::generation::{self, Compiled, Failed, Message, Request};
use crate::build::mirror::Mirror;
use crate::build::package::PackageSpec;

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
    package: std::cell::RefCell<Option<Arc<PackageSpec>>>,
    read: std::cell::RefCell<parse::Cache>,
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
            package: std::cell::RefCell::default(),
            read: std::cell::RefCell::default(),
        }
    }

    /// Works until the sender of wakes is closed.
    pub fn run(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            // Several wakes for one content are one.
            while woken.try_recv().is_ok() {}
            let started = Instant::now();
            let (snapshot, parsed) = self.parse();
            let read = started.elapsed();
            {
                let mut state = self.shared.state();
                if state.candidate.as_ref().is_some_and(|it| it.0 == snapshot.hash) {
                    drop(state);
                    self.shared.processed.notify_all();
                    self.shared.tell(News::Processed);
                    continue;
                }
                state.working = Some(snapshot.hash.clone());
                self.shared.compiler.begin();
            }
            let hash = snapshot.hash.clone();
            let result = self.process(snapshot, parsed).map(Arc::new);
            tracing::debug!(target: "reload", ?read, in_all = ?started.elapsed(), "one content");
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
            self.shared.tell(News::Processed);
        }
    }

    /// Reads and parses the files. Which other files they include is known only after parsing; when that has
    /// changed, they are read as well and all is parsed once more.
    fn parse(&self) -> (Snapshot, Parsed) {
        let snapshot = self.shared.snapshot();
        let read = |it: &Snapshot| {
            parse::parse_cached(&mut self.read.borrow_mut(), &it.sources, &it.modules, &it.included)
        };
        let parsed = read(&snapshot);
        if self.shared.state().includes == parsed.includes {
            return (snapshot, parsed);
        }
        self.shared.state().includes.clone_from(&parsed.includes);
        let snapshot = self.shared.snapshot();
        let parsed = read(&snapshot);
        (snapshot, parsed)
    }

    fn process(&self, snapshot: Snapshot, parsed: Parsed) -> Result<Revision, Problems> {
        let Snapshot { sources, modules, included, mut diagnostics, options, package, .. } = snapshot;
        // With a file that cannot be read, all that the compiler has to say would follow from that.
        let is_readable = diagnostics.is_empty();
        diagnostics.extend(parsed.diagnostics.iter().cloned());
        let started = Instant::now();
        let (graph, graph_diagnostics) = graph::build(&parsed.files, &sources, &options);
        let of_graph = started.elapsed();
        diagnostics.extend(graph_diagnostics);
        let has_functions = parsed.files.iter().any(|file| !file.functions.is_empty());
        let has_text = sources.files.iter().any(|file| !file.text.trim().is_empty());
        let mut compiler = Vec::new();
        let mut built = Built { generation: 0, library: PathBuf::new() };
        let mut interrupted = false;
        let mut failed = None;
        let package = match package.map(|it| self.package(&it)).transpose() {
            Ok(package) => package,
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        if is_readable && failed.is_none() && (has_functions || has_text) {
            let mirror = self.mirror();
            let root = mirror.root().to_string_lossy().into_owned();
            let shims = shim::generate(&parsed, &sources, &modules, CRATE, &root);
            let of_shims = started.elapsed() - of_graph;
            let compiled = self.compile(&parsed, &shims.text, &sources, &included, package.as_ref());
            let of_rustc = started.elapsed() - of_graph - of_shims;
            tracing::debug!(target: "reload", graph = ?of_graph, shims = ?of_shims, rustc = ?of_rustc);
            match compiled {
                Ok(done) => built = done,
                Err(Failed::Messages(messages)) => {
                    let mut of_shims = Vec::new();
                    for message in messages {
                        match self.own_words(&message, &shims) {
                            Some(diagnostic) => of_shims.push(diagnostic),
                            None => {
                                diagnostics.extend(root_item(&message, &sources, &self.shared.base));
                                compiler.push(message);
                            }
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
            options,
            graph,
            sources,
            warnings: diagnostics,
            package,
            generation: built.generation,
            library: built.library,
        })
    }

    /// What the image must hold for the package; asked of cargo once for each state of its manifests.
    fn package(&self, directory: &std::path::Path) -> Result<Arc<PackageSpec>, BuildError> {
        let key = PackageSpec::key_of(directory);
        let mut known = self.package.borrow_mut();
        if let Some(known) = known.as_ref().filter(|it| it.key == key) {
            return Ok(known.clone());
        }
        let read = Arc::new(PackageSpec::read(directory)?);
        *known = Some(read.clone());
        Ok(read)
    }

    /// The library of some code. What is compiled to the same code has the same one: a comment, another default
    /// or another configuration compile nothing.
    fn compile(
        &self,
        parsed: &Parsed,
        root_text: &str,
        sources: &Sources,
        included: &parse::Included,
        package: Option<&Arc<PackageSpec>>,
    ) -> Result<Built, Failed> {
        let type_key = &parsed.type_key;
        let package_key = package.map_or("", |it| it.key.as_str());
        let parts = [&parsed.compile_key, type_key, package_key, root_text];
        let key = parts.iter().fold(Key::new("library 1"), |key, it| key.text(it)).finish_hex();
        self.built.borrow_mut().retain(|it| it.1.library.exists());
        if let Some((_, built)) = self.built.borrow().iter().find(|it| it.0 == key) {
            return Ok(built.clone());
        }
        let image = (self.shared.image)(package).map_err(Failed::Compiler)?;
        let directory = self.shared.session_directory.join("generations");
        let root = directory.join("lib.rs");
        let failed = |error: std::io::Error| {
            Failed::Compiler(BuildError {
                message: format!("cannot write {}: {error}", directory.display()),
                output: String::new(),
                hint: Some("see that there is room on the disk; the next cell tries again".to_owned()),
            })
        };
        fs::create_dir_all(directory.join(generation::BUILT)).map_err(failed)?;
        fs::write(&root, root_text).map_err(failed)?;
        let mirror = self.mirror();
        let copied = copied(sources, included);
        mirror.write(&copied, &self.roots(sources)).map_err(failed)?;
        let before = states(included);
        let number = self.next_generation.get();
        self.next_generation.set(number + 1);
        let Compiled { result, read_outside } = self.shared.compiler.compile(
            &image,
            &Request {
                crate_name: CRATE,
                root,
                number,
                type_key: type_key.clone(),
                out_directory: directory.clone(),
                incremental_directory: self.incremental_directory(&image.key, type_key),
                base: self.shared.base.clone(),
                mirror,
                edition: package.map_or_else(|| "2024".to_owned(), |it| it.edition.clone()),
                features: package.map_or_else(Vec::new, |it| it.features.clone()),
                environment: package.map_or_else(Vec::new, |it| it.environment.clone()),
            },
            &self.shared.note,
        );
        if self.has_found(read_outside, included, &before) {
            return Err(Failed::Killed);
        }
        let built = Built { generation: number, library: result? };
        let mut all = self.built.borrow_mut();
        all.push_front((key, built.clone()));
        all.truncate(REMEMBERED);
        Ok(built)
    }

    /// Whether rustc read files of the user's that were not part of the snapshot, or were others by then. They are
    /// part of the next one, which is asked for; this one counts for nothing.
    fn has_found(
        &self,
        read_outside: BTreeSet<PathBuf>,
        included: &parse::Included,
        before: &BTreeMap<&str, FileState>,
    ) -> bool {
        let found = self.shared.state().found.clone();
        let is_part = |it: &PathBuf| match it.to_str().and_then(|it| included.get_key_value(it)) {
            // What is named absolutely is read where it is, also if there is a copy.
            Some((path, bytes)) => {
                before.get(path.as_str()) == state_of(it).as_ref()
                    && reading::read_file(it, u64::MAX - 1).is_ok_and(|it| it == *bytes)
            }
            // It was asked for before, and is nothing that we can read.
            None => found.contains(it),
        };
        if read_outside.iter().all(is_part) {
            return false;
        }
        self.shared.state().found = read_outside;
        self.shared.wake();
        true
    }

    /// The copy of the user's files that rustc reads. Always in the same place: rustc compiles everything anew when
    /// names of files change.
    fn mirror(&self) -> Mirror {
        Mirror::new(self.shared.session_directory.join("generations").join("sources"))
    }

    /// Directories in which code may include what stands beside it.
    fn roots<'a>(&'a self, sources: &'a Sources) -> Vec<&'a Path> {
        let files = sources.files.iter().filter_map(|it| Path::new(&it.absolute).parent());
        files.chain([&*self.shared.base]).collect()
    }

    fn incremental_directory(&self, image_key: &str, type_key: &str) -> PathBuf {
        let all = self.shared.session_directory.join("incremental");
        let name =
            format!("{}-{}", &image_key[..image_key.len().min(8)], &type_key[..type_key.len().min(16)]);
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

/// Every file of a snapshot that there is, with what it held.
fn copied<'a>(sources: &'a Sources, included: &'a parse::Included) -> Vec<(&'a Path, &'a [u8])> {
    let included = included.iter().map(|(path, bytes)| (Path::new(path), &bytes[..]));
    // Last come the watched ones: they are included by `mod` as well.
    let watched = sources.files.iter().map(|it| (Path::new(&it.absolute), it.text.as_bytes()));
    included.chain(watched).collect()
}

/// When files were changed last, as exactly as the system knows.
fn states(included: &parse::Included) -> BTreeMap<&str, FileState> {
    included.keys().filter_map(|it| Some((it.as_str(), state_of(Path::new(it))?))).collect()
}

type FileState = (u64, i64, i64, i64, i64);

fn state_of(path: &Path) -> Option<FileState> {
    let it = fs::metadata(path).ok()?;
    Some((it.ino(), it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()))
}

/// An item of the package's crate root is missed, which is no part of a generation: said beside rustc's message.
fn root_item(message: &Message, sources: &Sources, base: &std::path::Path) -> Option<Diagnostic> {
    let is_missing = ["in the root", "in the crate root"].iter().any(|it| message.rendered.contains(it));
    if sources.package.is_none() || !message.is_error || !is_missing {
        return None;
    }
    let (file, line) = message.place.as_ref()?;
    let absolute = base.join(file);
    let id = sources.files.iter().position(|it| std::path::Path::new(&it.absolute) == absolute)?;
    let text = &sources.files[id].text;
    let start: usize =
        text.split_inclusive('\n').take((*line as usize).saturating_sub(1)).map(str::len).sum();
    let end = text[start..].find('\n').map_or(text.len(), |it| start + it);
    let span = Span { file: id as u32, start: start as u32, end: end as u32 };
    Some(
        Diagnostic::error("crate-root-item", "items of the crate root are no part of a generation")
            .at(span, "only modules are")
            .hint("move the item into a module of its own and name it there, `crate::module::Item`"),
    )
}

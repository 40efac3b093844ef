//! Source text to specs: what every transform file contributes, before anything is compiled.
//!
//! The text of a half-edited file arrives here at every save, so nothing may fail or panic: what cannot be
//! understood becomes a diagnostic, and the other functions and files still count. Signatures are read by
//! syn; bodies stay tokens, because reading them costs ten times as much and only rustc understands them.
//!
//! Guiding rule: never reject what rustc accepts, unless it can be no node; never ignore what the user
//! wrote for us.

pub mod cell;
pub mod shim;

mod attributes;
mod facts;
mod fingerprint;
mod items;
mod lex;
mod signature;
mod tokens;
mod type_key;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::diagnostic::{Diagnostic, sort};
use crate::source::{FileId, Sources, Span};
use crate::spec::{FileSpec, FnSpec};
use facts::{Facts, Known};
use items::{Item, ItemKind, Visibility};
use tokens::{Lexed, Range};

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// One per file of the sources, in their order.
    pub files: Vec<FileSpec>,
    /// All problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// Hash (hex) of everything that may change a type: see `type_key`.
    pub type_key: String,
    /// Absolute paths of other files whose contents the sources include (`include_str!`, `mod name;`), sorted.
    /// Their contents belong into the [`Included`] of [`parse_with`].
    pub includes: Vec<String>,
}

/// Contents of files that rustc reads beside the sources, by absolute path.
pub type Included = BTreeMap<String, Vec<u8>>;

/// Reads the sources. `modules[i]` is the path of file `i`'s module in the generated crate.
pub fn parse(sources: &Sources, modules: &[Vec<String>]) -> Parsed {
    parse_with(sources, modules, &Included::new())
}

/// Reads the sources together with the contents of other files that they include.
pub fn parse_with(sources: &Sources, modules: &[Vec<String>], included: &Included) -> Parsed {
    let nothing = Vec::new();
    let module = |file: usize| modules.get(file).unwrap_or(&nothing);
    // Two passes, because what a macro's name means is known only when all files are cut.
    let cut = in_parallel(sources.files.len(), |file| Cut::new(file, &sources.files[file].text));
    let redefined = cut.iter().flat_map(|it| it.redefined.iter().cloned()).collect();
    let known = Known::without(redefined);
    let read = in_parallel(cut.len(), |file| Read::new(&cut[file], module(file), &known));

    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    let mut facts = Vec::new();
    let mut parts = Vec::new();
    let mut includes = BTreeSet::new();
    for ((file, read), cut) in read.into_iter().enumerate().zip(&cut) {
        diagnostics.extend(cut.problems.iter().cloned());
        diagnostics.extend(read.problems);
        files.push(FileSpec { module: module(file).clone(), functions: read.functions });
        let absolute = &sources.files[file].absolute;
        let directory = absolute.rfind('/').map_or("", |it| &absolute[..it]).to_owned();
        facts.push(fingerprint::FileFacts { facts: read.facts, directory });
        parts.push(read.type_part);
    }
    forget_known_files(&mut facts, sources);
    for file in &facts {
        for include in file.facts.facts.iter().flat_map(|it| &it.includes) {
            if let facts::Include::Paths(paths) = include {
                includes.extend(paths.iter().map(|it| fingerprint::resolve(&file.directory, it)));
            }
        }
    }
    let fingerprints = fingerprint::fingerprints(&facts, included);
    for (file, fingerprints) in files.iter_mut().zip(fingerprints) {
        for function in &mut file.functions {
            if let Some(fingerprint) = fingerprints.get(&function.name_span.start) {
                function.fingerprint.clone_from(fingerprint);
            }
        }
    }
    sort(&mut diagnostics);
    let type_key = type_key::key(&parts, included);
    Parsed { files, diagnostics, type_key, includes: includes.into_iter().collect() }
}

/// `mod name;` of a file that is among the sources needs no guess about its contents.
fn forget_known_files(files: &mut [fingerprint::FileFacts<'_>], sources: &Sources) {
    let known: BTreeSet<&str> = sources.files.iter().map(|it| it.absolute.as_str()).collect();
    for file in files {
        for fact in file.facts.facts.iter_mut().filter(|it| it.is_module) {
            let is_known = fact.includes.iter().any(|include| match include {
                facts::Include::Paths(paths) => {
                    paths.iter().any(|it| known.contains(fingerprint::resolve(&file.directory, it).as_str()))
                }
                facts::Include::Unknown => false,
            });
            if is_known {
                fact.includes.clear();
                fact.global = false;
            }
        }
    }
}

/// A file cut into items.
struct Cut<'a> {
    lexed: Lexed<'a>,
    level: items::Level,
    redefined: BTreeSet<String>,
    problems: Vec<Diagnostic>,
}

impl<'a> Cut<'a> {
    fn new(file: usize, text: &'a str) -> Cut<'a> {
        let file = file as FileId;
        let mut problems = Vec::new();
        let tokens = lex::lex(text).unwrap_or_else(|error| {
            let span = Span { file, start: error.start as u32, end: error.end as u32 };
            problems.push(Diagnostic::error("parse-error", error.message).at(span, ""));
            Vec::new()
        });
        let lexed = Lexed { file, text, tokens };
        let all = Range::new(0, lexed.tokens.len());
        let level = items::split(&lexed, all, &mut problems);
        let redefined = facts::redefined_macros(&lexed);
        Cut { lexed, level, redefined, problems }
    }
}

/// What a file says, in the light of the others.
struct Read<'a> {
    functions: Vec<FnSpec>,
    facts: Facts<'a>,
    type_part: type_key::Part,
    problems: Vec<Diagnostic>,
}

impl<'a> Read<'a> {
    fn new(cut: &Cut<'a>, module: &[String], known: &Known) -> Read<'a> {
        let lexed = &cut.lexed;
        let mut problems = Vec::new();
        let around = signature::Surroundings {
            private: signature::private_names(lexed, &cut.level.items),
            module: module.to_vec(),
        };
        let mut functions = Vec::new();
        for item in &cut.level.items {
            match item.kind {
                ItemKind::Fn => {
                    let attributes = attributes::read(lexed, item, &mut problems);
                    if item.visibility == Visibility::Public && !attributes.test {
                        functions.extend(signature::read(lexed, item, attributes, &around, &mut problems));
                    }
                }
                ItemKind::Mod => nested(lexed, item, &mut problems),
                _ => {}
            }
        }
        // syn's spans live in a table of the thread, which would only grow.
        proc_macro2::extra::invalidate_current_thread_spans();
        Read {
            functions,
            facts: facts::gather(lexed, &cut.level, module, known),
            type_part: type_key::part(lexed, &cut.level, module, known),
            problems,
        }
    }
}

/// Functions in inline modules are no nodes: a module is how a file keeps helpers apart. A `pub fn` in a
/// `pub mod` may be a mistake, so it is told.
fn nested(lexed: &Lexed<'_>, module: &Item, problems: &mut Vec<Diagnostic>) {
    if attributes::is_test(lexed, module) {
        return;
    }
    for item in &module.items {
        match item.kind {
            ItemKind::Fn => {
                attributes::read(lexed, item, problems);
                let public = (module.visibility, item.visibility) == (Visibility::Public, Visibility::Public);
                if let (true, Some(name), Some(module)) = (public, item.name, module.name) {
                    let (function, module) = (lexed.text(name), lexed.text(module));
                    let message = format!("`{function}` in `mod {module}` is no node");
                    problems.push(
                        Diagnostic::warning("nested-fn", message)
                            .at(
                                lexed.span(Range::new(name, name + 1)),
                                "only functions at the top of a file are nodes",
                            )
                            .hint(format!(
                                "move it out of `{module}`, or drop a `pub` to say that it is a helper"
                            )),
                    );
                }
            }
            ItemKind::Mod => nested(lexed, item, problems),
            _ => {}
        }
    }
}

/// Stack of the parsing threads: syn recurses over types. Untouched pages cost nothing.
const STACK: usize = 64 << 20;

/// Calls `work` for every index, on all cores, and gives the answers in order.
fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let run = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            own.push((index, work(index)));
        }
        done.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    };
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..threads {
            let thread = std::thread::Builder::new().name("parse".to_owned()).stack_size(STACK);
            started += usize::from(thread.spawn_scoped(scope, run).is_ok());
        }
        // A system without room for threads still gets its answer.
        if started == 0 {
            run();
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

#[cfg(test)]
mod tests;

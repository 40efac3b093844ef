//! Source text to specs: what every transform file contributes, before anything is compiled.
//!
//! The text of a half-edited file arrives here at every save, so nothing may fail or panic: what cannot be
//! understood becomes a diagnostic, and the other functions and files still count. Signatures are read by
//! syn; bodies stay tokens, because reading them costs ten times as much and only rustc understands them.
//!
//! Guiding rule: never reject what rustc accepts, unless it can be no node; never ignore what the user
//! wrote for us.

pub mod cell;
pub mod modules;
pub mod nesting;
pub mod shim;

mod attributes;
mod compile_key;
mod facts;
mod fields;
mod fingerprint;
mod items;
mod lex;
mod signature;
mod tokens;
mod type_key;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, sort};
use crate::parallel::in_parallel;
use crate::source::{FileId, SourceFile, Sources, Span};
use crate::spec::{FileSpec, FnSpec};
use facts::Known;
pub use fingerprint::explain::{Code, CodeChange, CodeComparison, Part, Turn};
use items::{Item, ItemKind, Visibility};
use tokens::{Lexed, Range};

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// One per file of the sources, in their order.
    pub files: Vec<Arc<FileSpec>>,
    /// All problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// Hash (hex) of everything that may change a type: see `type_key`.
    pub type_key: String,
    /// Hash (hex) of everything that the compiler turns into code, with its lines: see `compile_key`.
    pub compile_key: String,
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
    parse_cached(&mut Cache::default(), sources, modules, included)
}

/// What was read of each file last: a save changes one, and the others need not be read again.
#[derive(Default)]
pub struct Cache {
    files: Vec<Arc<ReadFile>>,
    /// What became of each, with the fingerprints of its functions.
    specs: Vec<(Arc<FileSpec>, fingerprint::OfFile)>,
    /// Macros that some file defines or imports anew; another set is another reading of all files.
    redefined: BTreeSet<String>,
    /// Types of all files that hold something borrowed.
    borrowing: BTreeSet<String>,
}

/// All that is kept of one file.
struct ReadFile {
    text: Arc<str>,
    module: Vec<String>,
    is_helper: bool,
    cfg: Vec<String>,
    redefined: BTreeSet<String>,
    functions: Vec<FnSpec>,
    problems: Vec<Diagnostic>,
    facts: Arc<facts::Facts>,
    structs: Vec<fields::Struct>,
    /// Types that hold something borrowed.
    borrowing: BTreeSet<String>,
    type_part: type_key::Part,
    compile_part: blake3::Hash,
}

/// As [`parse_with`], reading again only what is not as the cache has it.
pub fn parse_cached(
    cache: &mut Cache,
    sources: &Sources,
    modules: &[Vec<String>],
    included: &Included,
) -> Parsed {
    let (read, changed) = read_files(cache, sources, modules);
    let mut diagnostics = Vec::new();
    let mut includes = BTreeSet::new();
    let facts = facts_of(&read, sources);
    for (read, facts) in read.iter().zip(&facts) {
        diagnostics.extend(read.problems.iter().cloned());
        for (_, fact) in read.facts.iter().enumerate().filter(|it| !facts.known_modules.contains(&it.0)) {
            for include in &fact.includes {
                if let facts::Include::Paths(paths) = include {
                    includes.extend(paths.iter().map(|it| fingerprint::resolve(&facts.directory, it)));
                }
            }
        }
    }
    let structs: Vec<&[fields::Struct]> = read.iter().map(|it| it.structs.as_slice()).collect();
    let mut borrowing: BTreeSet<String> = read.iter().flat_map(|it| &it.borrowing).cloned().collect();
    types::with_other_names(&mut borrowing);
    let same_borrowing = borrowing == cache.borrowing;
    let before = std::mem::take(&mut cache.specs);
    let mut files: Vec<Arc<FileSpec>> = Vec::with_capacity(read.len());
    for (file, fingerprints) in fingerprint::fingerprints(&facts, included).into_iter().enumerate() {
        // A file that was not read again is what it was, unless what it reaches has changed.
        let kept =
            before.get(file).filter(|it| same_borrowing && !changed.contains(&file) && it.1 == fingerprints);
        let spec = match kept {
            Some((spec, _)) if !fields::has_fields(spec) => spec.clone(),
            _ => {
                let mut spec =
                    FileSpec { module: read[file].module.clone(), functions: read[file].functions.clone() };
                let mut digests = fingerprints.iter();
                for function in &mut spec.functions {
                    function.output_is_owned = types::is_owned(&function.output, &borrowing);
                    if let Some((_, digest)) = digests.find(|it| it.0 == function.name_span.start) {
                        function.fingerprint = blake3::Hash::from_bytes(*digest).to_hex().to_string();
                    }
                }
                fields::resolve(&mut spec, file, &structs, &mut diagnostics);
                Arc::new(spec)
            }
        };
        cache.specs.push((spec.clone(), fingerprints));
        files.push(spec);
    }
    cache.borrowing = borrowing;
    sort(&mut diagnostics);
    let type_key = type_key::key(read.iter().map(|it| &it.type_part), included);
    let compile_key = compile_key::key(read.iter().map(|it| &it.compile_part), included);
    Parsed { files, diagnostics, type_key, compile_key, includes: includes.into_iter().collect() }
}

/// Each file's part in the fingerprints.
fn facts_of(read: &[Arc<ReadFile>], sources: &Sources) -> Vec<fingerprint::FileFacts> {
    let known: BTreeSet<&str> = sources.files.iter().map(|it| it.absolute.as_str()).collect();
    let of_file = |(read, source): (&Arc<ReadFile>, &SourceFile)| {
        let absolute = &source.absolute;
        let directory = absolute.rfind('/').map_or("", |it| &absolute[..it]).to_owned();
        let known_modules = known_modules(&read.facts, &directory, &known);
        let (text, facts) = (read.text.clone(), read.facts.clone());
        fingerprint::FileFacts { text, facts, directory, known_modules }
    };
    read.iter().zip(&sources.files).map(of_file).collect()
}

/// Reads what the cache does not have as it is now, and keeps it there; which files those were.
fn read_files(
    cache: &mut Cache,
    sources: &Sources,
    modules: &[Vec<String>],
) -> (Vec<Arc<ReadFile>>, BTreeSet<usize>) {
    let nothing = Vec::new();
    let module = |file: usize| modules.get(file).unwrap_or(&nothing);
    let is_helper = |file: usize| sources.helpers.contains(&(file as FileId));
    let cfg = |file: usize| sources.cfgs.get(&(file as FileId)).unwrap_or(&nothing).as_slice();
    let kept = |file: usize| {
        let kept = cache.files.get(file)?;
        let is_same = *kept.text == *sources.files[file].text
            && kept.module == *module(file)
            && kept.is_helper == is_helper(file)
            && kept.cfg == cfg(file);
        is_same.then(|| kept.clone())
    };
    let mut read: Vec<Option<Arc<ReadFile>>> = (0..sources.files.len()).map(kept).collect();
    let cut = |file: usize| Cut::new(file, &sources.files[file].text);
    let missing: Vec<usize> = (0..read.len()).filter(|it| read[*it].is_none()).collect();
    // Two passes, because what a macro's name means is known only when all files are cut.
    let cuts = in_parallel(missing.len(), |it| cut(missing[it]));
    let of_kept = read.iter().flatten().map(|it| &it.redefined);
    let redefined: BTreeSet<String> =
        of_kept.chain(cuts.iter().map(|it| &it.redefined)).flatten().cloned().collect();
    let again = match redefined == cache.redefined {
        true => missing.clone(),
        false => (0..read.len()).collect(),
    };
    let known = Known::without(redefined.clone());
    let fresh = in_parallel(again.len(), |it| {
        let file = again[it];
        let read = |it: &Cut<'_>| ReadFile::new(it, module(file), &known, is_helper(file), cfg(file));
        Arc::new(missing.binary_search(&file).map_or_else(|_| read(&cut(file)), |it| read(&cuts[it])))
    });
    for (file, fresh) in again.iter().zip(fresh) {
        read[*file] = Some(fresh);
    }
    let read: Vec<Arc<ReadFile>> = read.into_iter().flatten().collect();
    cache.files.clone_from(&read);
    cache.redefined = redefined;
    (read, again.into_iter().collect())
}

/// The `mod name;` of files that are among the sources: they need no guess about their contents.
fn known_modules(facts: &facts::Facts, directory: &str, known: &BTreeSet<&str>) -> BTreeSet<usize> {
    let is_known = |include: &facts::Include| match include {
        facts::Include::Paths(paths) => {
            paths.iter().any(|it| known.contains(fingerprint::resolve(directory, it).as_str()))
        }
        facts::Include::Unknown => false,
    };
    let modules = facts.iter().enumerate().filter(|it| it.1.is_module);
    modules.filter(|it| it.1.includes.iter().any(is_known)).map(|it| it.0).collect()
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
            let mistake = || Diagnostic::error("parse-error", error.message).at(span, "");
            problems.push(nesting::diagnostic(file, text).unwrap_or_else(mistake));
            Vec::new()
        });
        let lexed = Lexed { file, text, tokens };
        let all = Range::new(0, lexed.tokens.len());
        let level = items::split(&lexed, all, &mut problems);
        let redefined = facts::redefined_macros(&lexed);
        Cut { lexed, level, redefined, problems }
    }
}

impl ReadFile {
    /// What a file says, in the light of the others.
    fn new(cut: &Cut<'_>, module: &[String], known: &Known, is_helper: bool, cfg: &[String]) -> ReadFile {
        let lexed = &cut.lexed;
        let mut problems = cut.problems.clone();
        let around = signature::Surroundings {
            private: signature::private_names(lexed, &cut.level.items),
            module: module.to_vec(),
            lines: signature::Lines::new(lexed.text),
        };
        let mut functions = Vec::new();
        for item in cut.level.items.iter().filter(|_| !is_helper) {
            match item.kind {
                ItemKind::Fn => {
                    let mut attributes = attributes::read(lexed, item, &mut problems);
                    attributes.cfg.splice(0..0, cfg.iter().cloned());
                    if item.visibility != Visibility::Public || attributes.test || attributes.skip {
                        attributes.refuse_own(lexed, &mut problems);
                    }
                    if item.visibility == Visibility::Public && !attributes.test && !attributes.skip {
                        functions.extend(signature::read(lexed, item, attributes, &around, &mut problems));
                    }
                }
                ItemKind::Mod => nested(lexed, item, &mut problems),
                _ => no_node(lexed, item, &mut problems),
            }
        }
        // syn's spans live in a table of the thread, which would only grow.
        proc_macro2::extra::invalidate_current_thread_spans();
        ReadFile {
            text: lexed.text.into(),
            module: module.to_vec(),
            is_helper,
            cfg: cfg.to_vec(),
            redefined: cut.redefined.clone(),
            functions,
            problems,
            facts: Arc::new(facts::gather(lexed, &cut.level, module, known)),
            structs: fields::structs(lexed, &cut.level),
            borrowing: types::borrowing(lexed, &cut.level),
            type_part: type_key::part(lexed, &cut.level, module, known),
            compile_part: compile_key::part(lexed, &cut.level),
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
                attributes::read(lexed, item, problems).refuse_own(lexed, problems);
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
            _ => no_node(lexed, item, problems),
        }
    }
}

/// Attributes of ours on items that make no nodes.
fn no_node(lexed: &Lexed<'_>, item: &Item, problems: &mut Vec<Diagnostic>) {
    attributes::read(lexed, item, problems).refuse_own(lexed, problems);
    for member in &item.items {
        attributes::read(lexed, member, problems).refuse_own(lexed, problems);
    }
}

#[cfg(test)]
mod tests;

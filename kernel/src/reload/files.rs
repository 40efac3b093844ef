//! Which files are watched, and what they hold.
//!
//! What is true is what reading gives, never an event. What cannot be read is told as a diagnostic, and the rest
//! goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use brooklet_graph::diagnostic::Diagnostic;
use brooklet_graph::graph::{Literals, Options};
use brooklet_graph::key::Key;
use brooklet_graph::parse::{Included, nesting};
use brooklet_graph::source::{FileId, PackageRoot, SourceFile, Sources, Span};

use super::package::{self, Package};
use super::reading::{INCLUDED_LIMIT, SOURCE_LIMIT, Unread, irregular, megabytes, read_file};
use super::walk::{BOUNDS, rust_files};
use crate::build::package::PackageSpec;

/// What `%watch` named, in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchSet {
    entries: Vec<Entry>,
    pub allow_overrides: bool,
    /// Raw literals by key; they choose variants, so another configuration is another revision.
    pub config: Literals,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// As the user wrote it.
    given: String,
    path: PathBuf,
    is_directory: bool,
    /// The directory of the package that it belongs to, or is.
    package: Option<PathBuf>,
}

/// The watched files as they are at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Hash of paths and contents, also of what is wrong with reading them.
    pub hash: String,
    pub sources: Sources,
    /// Module path of each file.
    pub modules: Vec<Vec<String>>,
    /// What other files hold that the sources include (`include_str!`, `mod name;`), by absolute path, if they are
    /// there.
    pub included: Included,
    pub diagnostics: Vec<Diagnostic>,
    pub options: Options,
    /// The directory of the package that some of the files belong to.
    pub package: Option<PathBuf>,
}

impl WatchSet {
    /// Adds a path; one that is watched already moves nothing.
    pub fn add(&mut self, given: &str, base: &Path) -> Result<(), String> {
        let path = absolute(given, base);
        let Ok(metadata) = fs::metadata(&path) else {
            return Err(format!("there is no `{given}` (looked in {})", base.display()));
        };
        let is_directory = metadata.is_dir();
        if let Some(kind) = irregular(metadata.file_type()).filter(|_| !is_directory) {
            return Err(format!("`{given}` is {kind}; only regular files and directories can be watched"));
        }
        if !is_directory && path.extension().is_none_or(|it| it != "rs") {
            return Err(format!("`{given}` is not a Rust file: transforms are `pub fn`s in `.rs` files"));
        }
        let is_package = is_directory && package::is_package(&path);
        let files: Vec<PathBuf> = match (is_directory, is_package) {
            (_, true) => Package::read(&path).modules.into_iter().map(|it| it.file).collect(),
            (true, false) => {
                let (files, problem) = rust_files(&path, &BOUNDS);
                if let Some(problem) = problem {
                    return Err(format!("`{given}` {problem}; {NARROWER}"));
                }
                files
            }
            (false, false) => vec![path.clone()],
        };
        if files.is_empty() && !is_package {
            return Err(format!("`{given}` holds no `.rs` files"));
        }
        for file in &files {
            refuse_unfit(file, base)?;
        }
        let package = if is_package { Some(path.clone()) } else { package::owner(&path) };
        if package.as_ref().is_some_and(|it| package::is_crate_root(&path, it)) {
            return Err(format!(
                "`{given}` is the crate root of its package, which is no part of a generation; watch its modules, or the \
                 package as a whole"
            ));
        }
        if let (Some(one), Some(other)) = (self.package(), &package)
            && one != other
        {
            return Err(format!(
                "`{given}` belongs to the package in {}, and files of the one in {} are watched; one image holds the \
                 dependencies of one package",
                shown(other, base),
                shown(one, base)
            ));
        }
        if !self.entries.iter().any(|it| it.path == path) {
            self.entries.push(Entry { given: given.to_owned(), path, is_directory, package });
        }
        Ok(())
    }

    fn package(&self) -> Option<&Path> {
        self.entries.iter().find_map(|it| it.package.as_deref())
    }

    /// Removes paths; all if none is named.
    pub fn remove(&mut self, given: &[String], base: &Path) -> Result<Vec<String>, String> {
        if given.is_empty() {
            return Ok(std::mem::take(&mut self.entries).into_iter().map(|it| it.given).collect());
        }
        let mut removed = Vec::new();
        for name in given {
            let path = absolute(name, base);
            let Some(index) = self.entries.iter().position(|it| it.path == path || it.given == *name) else {
                let watched = self.given().join(", ");
                let watched = if watched.is_empty() { "nothing is".to_owned() } else { watched };
                return Err(format!("`{name}` is not watched; watched: {watched}"));
            };
            removed.push(self.entries.remove(index).given);
        }
        Ok(removed)
    }

    /// The directories that hold what is watched, and whether all below each counts.
    pub fn directories(&self) -> BTreeSet<(PathBuf, bool)> {
        let mut wanted = BTreeSet::new();
        for entry in &self.entries {
            let directory = if entry.is_directory { Some(entry.path.as_path()) } else { entry.path.parent() };
            wanted.extend(directory.map(|it| (it.to_owned(), entry.is_directory)));
            // Its manifest and its other modules count as well.
            wanted.extend(entry.package.clone().map(|it| (it.join("src"), true)).filter(|it| it.0.is_dir()));
            wanted.extend(entry.package.clone().map(|it| (it, false)));
        }
        wanted
    }

    pub fn given(&self) -> Vec<String> {
        self.entries.iter().map(|it| it.given.clone()).collect()
    }
}

/// Reads all watched files, and the other files that they are known to include. What cannot be read becomes
/// a diagnostic, and the file counts as empty; of an included file rustc will say that it is missing.
pub fn read(watch_set: &WatchSet, includes: &[String], base: &Path) -> Snapshot {
    let options = Options { allow_overrides: watch_set.allow_overrides, config: watch_set.config.clone() };
    let mut snapshot = Snapshot { options, ..Snapshot::default() };
    let mut taken = BTreeMap::new();
    let mut key = Key::new("snapshot 1");
    key.add(&[u8::from(watch_set.allow_overrides)]);
    key.add(&watch_set.config.len().to_le_bytes());
    for (name, value) in &watch_set.config {
        key.add(name.as_bytes());
        key.add(value.as_bytes());
    }
    let package = watch_set.package().map(Package::read);
    if let Some(package) = &package {
        key.add(PackageSpec::key_of(&package.directory).as_bytes());
        key.add(&serde_json::to_vec(&package.declarations).unwrap_or_default());
        snapshot.package = Some(package.directory.clone());
        snapshot.sources.package = Some(root_of(package));
    }
    let files = watched_files(watch_set, package.as_ref(), &mut snapshot.diagnostics);
    for WatchedFile { path, module, role, cfg } in files {
        let shown = shown(&path, base);
        let mut module = module;
        // Two files of one name in different directories: the later one is told apart by its directory.
        if taken.contains_key(&module) && role == Role::Alone {
            let parent = path.parent().and_then(Path::file_name).map(|it| it.to_string_lossy().into_owned());
            let last = module.pop().unwrap_or_default();
            module.push(identifier(&format!("{}_{last}", parent.unwrap_or_default())));
        }
        let file = snapshot.sources.files.len() as FileId;
        let place = Span { file, start: 0, end: 0 };
        let problem = |code: &str, message: String, hint: &str| {
            Diagnostic::error(code, message).at(place, "").hint(hint.to_owned())
        };
        let text = match read_file(&path, SOURCE_LIMIT) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    // The parser says so too, but to the compiler such a file must not even be given.
                    snapshot.diagnostics.extend(nesting::diagnostic(file, &text));
                    text
                }
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let line = error.as_bytes()[..at].iter().filter(|it| **it == b'\n').count() + 1;
                    snapshot.diagnostics.push(problem(
                        "not-utf8",
                        format!("`{shown}` is not UTF-8: line {line} holds a byte that is no character"),
                        "save the file as UTF-8",
                    ));
                    key.add(error.as_bytes());
                    String::new()
                }
            },
            Err(Unread::TooLarge(size)) => {
                snapshot.diagnostics.push(problem("file-too-large", too_large(&shown, size), AS_AN_INPUT));
                String::new()
            }
            Err(error) => {
                snapshot.diagnostics.push(problem(
                    "unreadable-file",
                    format!("`{shown}` is watched and cannot be read: {error}"),
                    "put the file back, or `%unwatch` it",
                ));
                String::new()
            }
        };
        // Of modules behind `#[cfg(..)]` one is there, whichever it is.
        let other = taken.insert(module.clone(), shown.clone());
        if let Some(other) = other.filter(|_| cfg.is_empty()) {
            snapshot.diagnostics.push(problem(
                "duplicate-module",
                format!("`{shown}` and `{other}` would both be module `{}`", module.join("::")),
                "rename one of the files",
            ));
        }
        match role {
            Role::Undeclared => snapshot.diagnostics.push(problem(
                "undeclared-module",
                format!("`{shown}` is no module of its package: nothing declares it"),
                "declare it where its siblings are, `pub mod name;`",
            )),
            Role::Unreachable => snapshot.diagnostics.push(problem(
                "private-module",
                format!("the module `{}` is private, so its functions cannot be called", module.join("::")),
                "declare it and the modules around it with `pub mod`",
            )),
            Role::Alone | Role::Member | Role::Helper => {}
        }
        if role == Role::Helper {
            snapshot.sources.helpers.insert(file);
        }
        if let (Some(root), true) = (&mut snapshot.sources.package, role != Role::Alone) {
            root.files.insert(file);
        }
        for names in [&module, &cfg] {
            key.add(&names.len().to_le_bytes());
            names.iter().for_each(|it| key.add(it.as_bytes()));
        }
        key.add(&[role as u8]);
        key.add(shown.as_bytes());
        key.add(text.as_bytes());
        if !cfg.is_empty() {
            snapshot.sources.cfgs.insert(file, cfg);
        }
        snapshot.modules.push(module);
        let absolute = path.to_string_lossy().into_owned();
        snapshot.sources.push(SourceFile { path: shown, absolute, text });
    }
    for path in includes {
        let bytes = read_included(Path::new(path), base, &mut snapshot.diagnostics);
        key.add(path.as_bytes());
        key.add(&[u8::from(bytes.is_some())]);
        if let Some(bytes) = bytes {
            key.add(&bytes);
            snapshot.included.insert(path.clone(), bytes);
        }
    }
    for diagnostic in &snapshot.diagnostics {
        key.add(diagnostic.message.as_bytes());
    }
    snapshot.hash = key.finish_hex();
    snapshot
}

/// What a user does about a directory that holds too much.
const NARROWER: &str = "watch a directory further down, or name the files";
/// What a user does about a source file that holds too much.
const AS_AN_INPUT: &str = "keep data in a file of its own, and take it as an input or by `include_str!`";

/// Whether a file can be watched as it is now. One that cannot be looked at is told when it is read.
fn refuse_unfit(file: &Path, base: &Path) -> Result<(), String> {
    let Ok(metadata) = fs::metadata(file) else { return Ok(()) };
    let shown = shown(file, base);
    if let Some(kind) = irregular(metadata.file_type()) {
        return Err(format!("`{shown}` is {kind}; only regular files can be watched"));
    }
    match metadata.len() {
        size if size > SOURCE_LIMIT => Err(format!("{}: {AS_AN_INPUT}", too_large(&shown, size))),
        _ => Ok(()),
    }
}

fn too_large(shown: &str, size: u64) -> String {
    format!("`{shown}` holds {}, and a watched file may hold {}", megabytes(size), megabytes(SOURCE_LIMIT))
}

/// What a file holds that sources include. Whether it is there, rustc says; but what would keep rustc waiting is
/// told here.
fn read_included(path: &Path, base: &Path, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let shown = shown(path, base);
    let bytes = match read_file(path, INCLUDED_LIMIT) {
        Ok(bytes) => bytes,
        Err(Unread::TooLarge(size)) => {
            let (size, limit) = (megabytes(size), megabytes(INCLUDED_LIMIT));
            let message = format!("`{shown}` is included and holds {size}; it may hold {limit}");
            diagnostics.push(Diagnostic::error("file-too-large", message).hint(AS_AN_INPUT));
            return None;
        }
        Err(error @ Unread::Irregular(_)) if !path.is_dir() => {
            let message = format!("`{shown}` is included and cannot be read: {error}");
            let hint = "include a regular file, or read it when the node runs";
            diagnostics.push(Diagnostic::error("unreadable-file", message).hint(hint));
            return None;
        }
        Err(_) => return None,
    };
    let code = str::from_utf8(&bytes).ok().filter(|_| path.extension().is_some_and(|it| it == "rs"));
    if let Some(at) = code.and_then(nesting::too_deep) {
        let line = bytes[..at].iter().filter(|it| **it == b'\n').count() + 1;
        let depth = nesting::MAX_DEPTH;
        let message =
            format!("`{shown}`, which is included, nests brackets more than {depth} deep in line {line}");
        diagnostics.push(Diagnostic::error("nested-too-deeply", message));
    }
    Some(bytes)
}

/// What a file is to the generated crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A module of its own at the top.
    Alone,
    /// A module of the package, with nodes.
    Member,
    /// A module of the package that other modules may use.
    Helper,
    /// Watched and in the package's sources, but in no `mod`.
    Undeclared,
    /// Watched and declared, but private.
    Unreachable,
}

struct WatchedFile {
    path: PathBuf,
    module: Vec<String>,
    role: Role,
    cfg: Vec<String>,
}

fn root_of(package: &Package) -> PackageRoot {
    PackageRoot {
        name: package.directory.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        directory: package.source_directory.to_string_lossy().into_owned(),
        declarations: package.declarations.clone(),
        files: BTreeSet::new(),
    }
}

/// All files of the generated crate, each once: those that were named, then what else is in their package.
fn watched_files(
    watch_set: &WatchSet,
    package: Option<&Package>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<WatchedFile> {
    let mut files: Vec<WatchedFile> = Vec::new();
    let mut seen = BTreeSet::new();
    let tree = || package.into_iter().flat_map(|it| &it.modules);
    for entry in &watch_set.entries {
        let is_whole = entry.is_directory && entry.package.as_ref() == Some(&entry.path);
        if let Some(package) = package.filter(|_| is_whole) {
            for it in package.modules.iter().filter(|it| it.is_reachable && package.is_flow(it)) {
                if seen.insert(it.file.clone()) {
                    files.push(WatchedFile {
                        path: it.file.clone(),
                        module: it.path.clone(),
                        role: Role::Member,
                        cfg: it.cfg.clone(),
                    });
                }
            }
            continue;
        }
        let (named, problem) = files_of(entry);
        if let Some(problem) = problem {
            let message = format!("`{}` {problem}", entry.given);
            diagnostics.push(Diagnostic::error("too-many-files", message).hint(NARROWER));
        }
        for (path, module) in named {
            let is_root = |it: &Package| package::is_crate_root(&path, &it.directory);
            if package.is_some_and(is_root) || !seen.insert(path.clone()) {
                continue;
            }
            let declared = tree().find(|it| it.file == path);
            let (module, role) = match declared {
                _ if entry.package.is_none() => (module, Role::Alone),
                Some(it) if it.is_reachable => (it.path.clone(), Role::Member),
                Some(it) => (it.path.clone(), Role::Unreachable),
                None => (module, Role::Undeclared),
            };
            let cfg = declared.map(|it| it.cfg.clone()).unwrap_or_default();
            files.push(WatchedFile { path, module, role, cfg });
        }
    }
    for it in tree().filter(|it| !seen.contains(&it.file)) {
        let (path, module, cfg) = (it.file.clone(), it.path.clone(), it.cfg.clone());
        files.push(WatchedFile { path, module, role: Role::Helper, cfg });
    }
    files
}

/// The files of one entry with their module paths, and whether there are more of them than are read.
fn files_of(entry: &Entry) -> (Vec<(PathBuf, Vec<String>)>, Option<String>) {
    if !entry.is_directory {
        return (vec![(entry.path.clone(), vec![identifier(&stem(&entry.path))])], None);
    }
    let modules = |path: &PathBuf| {
        let relative = path.strip_prefix(&entry.path).unwrap_or(path);
        let mut module: Vec<String> = relative
            .parent()
            .into_iter()
            .flat_map(Path::components)
            .map(|it| identifier(&it.as_os_str().to_string_lossy()))
            .collect();
        module.push(identifier(&stem(path)));
        module
    };
    let (files, problem) = rust_files(&entry.path, &BOUNDS);
    (files.into_iter().map(|path| (path.clone(), modules(&path))).collect(), problem)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file name as a Rust identifier.
fn identifier(name: &str) -> String {
    let mut text: String =
        name.chars().map(|it| if it.is_alphanumeric() || it == '_' { it } else { '_' }).collect();
    let is_keyword =
        ["crate", "self", "super", "shims", "everything", "brooklet_package"].contains(&text.as_str());
    if text.is_empty() || text.starts_with(|it: char| it.is_numeric()) || is_keyword {
        text.insert(0, 'm');
    }
    text
}

/// The path without `.` and `..`, also if there is no such file (any more).
fn absolute(given: &str, base: &Path) -> PathBuf {
    let given = match given.strip_prefix("~/").zip(std::env::var_os("HOME")) {
        Some((rest, home)) => Path::new(&home).join(rest),
        None => PathBuf::from(given),
    };
    let mut path = PathBuf::new();
    for component in base.join(given).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path
}

fn shown(path: &Path, base: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;

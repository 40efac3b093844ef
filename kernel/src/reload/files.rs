//! Which files are watched, what they hold, and when to look again.
//!
//! Editors save in many ways: in place, by rename over the old file, by delete and create, half at a time.
//! So events only say "look again"; what is true is what reading gives. Directories are watched rather than
//! files, since a watch on a file does not survive a rename over it.
//!
//! Anything may stand where a file is expected: a pipe that nobody writes to, a link that leads back, a home
//! directory. So no look waits for another process, and each has its bounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::diagnostic::Diagnostic;
use brooklet_graph::graph::{Literals, Options};
use brooklet_graph::parse::{Included, nesting};
use brooklet_graph::source::{FileId, PackageRoot, SourceFile, Sources, Span};
use crossbeam_channel::{RecvTimeoutError, unbounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::package::{self, Package};
use crate::build::package::PackageSpec;

/// After this much quiet a save is taken to be finished.
const QUIET: Duration = Duration::from_millis(12);
/// Under steady changes we look again at the latest after this.
const AT_LATEST: Duration = Duration::from_millis(300);

/// Bytes of one source file, at most: all of them are read at every look.
const SOURCE_LIMIT: u64 = 5_000_000;
/// Bytes of a file that sources include, at most.
const INCLUDED_LIMIT: u64 = 1_000_000_000;
/// How far a watched directory is walked.
const BOUNDS: Bounds = Bounds { files: 5_000, entries: 100_000, depth: 32 };

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
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(watch_set.allow_overrides)]);
    for (key, value) in &watch_set.config {
        hasher.update(format!("{key:?}={value:?};").as_bytes());
    }
    let package = watch_set.package().map(Package::read);
    if let Some(package) = &package {
        hasher.update(PackageSpec::key_of(&package.directory).as_bytes());
        hasher.update(format!("{:?}", package.declarations).as_bytes());
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
                    hasher.update(&blake3::hash(error.as_bytes()).as_bytes()[..]);
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
        hasher.update(format!("{:?} {module:?} {cfg:?}", role as u8).as_bytes());
        if !cfg.is_empty() {
            snapshot.sources.cfgs.insert(file, cfg);
        }
        hasher.update(&(shown.len() as u64).to_le_bytes());
        hasher.update(shown.as_bytes());
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        snapshot.modules.push(module);
        let absolute = path.to_string_lossy().into_owned();
        snapshot.sources.push(SourceFile { path: shown, absolute, text });
    }
    for path in includes {
        let bytes = read_included(Path::new(path), base, &mut snapshot.diagnostics);
        hasher.update(path.as_bytes()).update(&[0, u8::from(bytes.is_some())]);
        if let Some(bytes) = bytes {
            hasher.update(blake3::hash(&bytes).as_bytes());
            snapshot.included.insert(path.clone(), bytes);
        }
    }
    for diagnostic in &snapshot.diagnostics {
        hasher.update(diagnostic.message.as_bytes());
    }
    snapshot.hash = hasher.finalize().to_hex().to_string();
    snapshot
}

/// What a user does about a directory that holds too much.
const NARROWER: &str = "watch a directory further down, or name the files";
/// What a user does about a source file that holds too much.
const AS_AN_INPUT: &str = "keep data in a file of its own, and take it as an input or by `include_str!`";

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    Failed(io::Error),
    /// What it is in place of a regular file.
    Irregular(&'static str),
    /// Its size in bytes, as far as it was looked at.
    TooLarge(u64),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Failed(error) => error.fmt(f),
            Unread::Irregular(kind) => write!(f, "it is {kind}, no regular file"),
            Unread::TooLarge(size) => write!(f, "it holds {}", megabytes(*size)),
        }
    }
}

/// Reads a regular file of a limited size. Never waits for another process, as opening a pipe would.
///
/// # Errors
/// If it cannot be read, or is no such file.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    // What is opened is looked at, since what a path names may be another thing a moment later.
    let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Ok(file) => file,
        // A socket cannot even be opened.
        Err(error) => {
            let kind = fs::metadata(path).ok().and_then(|it| irregular(it.file_type()));
            return Err(kind.map_or(Unread::Failed(error), Unread::Irregular));
        }
    };
    let metadata = file.metadata().map_err(Unread::Failed)?;
    if let Some(kind) = irregular(metadata.file_type()) {
        return Err(Unread::Irregular(kind));
    }
    if metadata.len() > limit {
        return Err(Unread::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // It may be growing.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    let size = bytes.len() as u64;
    if size > limit { Err(Unread::TooLarge(size)) } else { Ok(bytes) }
}

/// The text of a file that a package may have as a module; `None` if there is no such file. One that cannot be
/// read has no text: it is told when it is read as a module.
pub(super) fn module_text(path: &Path) -> Option<String> {
    match read_file(path, SOURCE_LIMIT) {
        Ok(bytes) => Some(String::from_utf8(bytes).unwrap_or_default()),
        Err(Unread::Failed(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) if path.is_dir() => None,
        Err(_) => Some(String::new()),
    }
}

/// What a file is if it is no regular one.
fn irregular(kind: fs::FileType) -> Option<&'static str> {
    match kind {
        it if it.is_file() => None,
        it if it.is_dir() => Some("a directory"),
        it if it.is_fifo() => Some("a named pipe"),
        it if it.is_socket() => Some("a socket"),
        it if it.is_char_device() || it.is_block_device() => Some("a device"),
        _ => Some("something else"),
    }
}

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

fn megabytes(size: u64) -> String {
    format!("{:.1} MB", size as f64 / 1e6)
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

/// How much a walk takes in before it gives up.
struct Bounds {
    /// Transform files.
    files: usize,
    /// Whatever stands in the directories.
    entries: usize,
    /// Directories in directories.
    depth: usize,
}

/// All transform files below a directory, sorted, and what is wrong if there is more than the bounds allow.
/// `mod.rs` only declares modules for production builds.
///
/// A link is followed to what was not reached yet. That waits until all else was seen, so that a file goes by its
/// own name where it has one.
fn rust_files(directory: &Path, bounds: &Bounds) -> (Vec<PathBuf>, Option<String>) {
    let mut found = Vec::new();
    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut entries = 0;
    let mut directories = vec![(directory.to_owned(), 0)];
    let mut links: VecDeque<(PathBuf, usize)> = VecDeque::new();
    let mut problem = None;
    while let Some((path, depth)) = directories.pop().or_else(|| links.pop_front()) {
        let metadata = fs::metadata(&path).ok();
        if metadata.as_ref().is_some_and(|it| !seen.insert(inode(it))) {
            continue;
        }
        if metadata.is_none_or(|it| !it.is_dir()) {
            // The end of a link, also of one that leads nowhere: reading it says so.
            found.extend(is_transform_file(&path).then_some(path));
            continue;
        }
        if depth > bounds.depth {
            problem = Some(format!("has directories more than {} deep", bounds.depth));
            continue;
        }
        let Ok(listed) = fs::read_dir(&path) else { continue };
        let mut listed: Vec<fs::DirEntry> = listed.flatten().take(bounds.entries + 1 - entries).collect();
        listed.sort_by_key(fs::DirEntry::file_name);
        entries += listed.len();
        for entry in listed {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == "target" {
                continue;
            }
            let inner = entry.path();
            match entry.file_type() {
                Ok(it) if it.is_symlink() => links.push_back((inner, depth + 1)),
                Ok(it) if it.is_dir() => directories.push((inner, depth + 1)),
                _ if is_transform_file(&inner) => {
                    seen.extend(entry.metadata().ok().as_ref().map(inode));
                    found.push(inner);
                }
                _ => {}
            }
        }
        if found.len() > bounds.files || entries > bounds.entries {
            let (count, what) = match found.len() > bounds.files {
                true => (bounds.files, "Rust files"),
                false => (bounds.entries, "files and directories"),
            };
            problem = Some(format!("holds more than {count} {what}"));
            break;
        }
    }
    found.sort();
    (found, problem)
}

fn is_transform_file(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "rs") && path.file_name().is_some_and(|it| it != "mod.rs")
}

/// What a file is the same by, whatever it is called.
fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
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

/// Wakes the pipeline when something below a watched directory changed.
pub struct Watcher {
    /// `None` where the system has no more watches to give: then only executing looks at the files.
    inner: Mutex<Option<Following>>,
}

struct Following {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
}

impl Watcher {
    /// Calls `saved` once after each burst of changes, for as long as it answers `true`.
    pub fn new(saved: impl Fn() -> bool + Send + 'static) -> Watcher {
        let (events_tx, events_rx) = unbounded::<()>();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|it| !it.kind.is_access()) {
                let _ = events_tx.send(());
            }
        });
        let debounce = move || {
            while events_rx.recv().is_ok() {
                let first = Instant::now();
                while first.elapsed() < AT_LATEST {
                    match events_rx.recv_timeout(QUIET) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                if !saved() {
                    return;
                }
            }
        };
        // Ends when the watcher, which holds the sender of events, is dropped.
        thread::Builder::new().name("watch".into()).spawn(debounce).expect("a thread can be started");
        let inner = match watcher {
            Ok(watcher) => Some(Following { watcher, directories: BTreeSet::new() }),
            Err(error) => {
                tracing::warn!("files are looked at only when a cell is executed: {error}");
                None
            }
        };
        Watcher { inner: Mutex::new(inner) }
    }

    /// Watches exactly what the set names.
    pub fn follow(&self, watch_set: &WatchSet) {
        let mut inner = self.inner.lock().unwrap_or_else(|it| it.into_inner());
        let Some(following) = &mut *inner else { return };
        let mut wanted = BTreeSet::new();
        for entry in &watch_set.entries {
            let directory = if entry.is_directory { Some(entry.path.as_path()) } else { entry.path.parent() };
            wanted.extend(directory.map(|it| (it.to_owned(), entry.is_directory)));
            // Its manifest and its other modules count as well.
            wanted.extend(entry.package.clone().map(|it| (it.join("src"), true)).filter(|it| it.0.is_dir()));
            wanted.extend(entry.package.clone().map(|it| (it, false)));
        }
        let wanted_paths: BTreeSet<PathBuf> = wanted.iter().map(|it| it.0.clone()).collect();
        let old: Vec<PathBuf> = following.directories.difference(&wanted_paths).cloned().collect();
        for directory in old {
            let _ = following.watcher.unwatch(&directory);
        }
        for (directory, recursive) in wanted {
            let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            if let Err(error) = following.watcher.watch(&directory, mode) {
                tracing::warn!("{} is looked at only when a cell is executed: {error}", directory.display());
            }
        }
        following.directories = wanted_paths;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory_with;

    #[test]
    fn files_and_directories_give_modules_in_the_order_of_watching() {
        let directory = directory_with(&[
            ("b.rs", ""),
            ("flows/a.rs", ""),
            ("flows/sub/2d.rs", ""),
            ("flows/mod.rs", ""),
        ]);
        let mut watch_set = WatchSet::default();
        watch_set.add("b.rs", directory.path()).expect("a file");
        watch_set.add("./flows", directory.path()).expect("a directory");
        watch_set.add("flows/a.rs", directory.path()).expect("a file that is watched already");
        let snapshot = read(&watch_set, &[], directory.path());
        let paths: Vec<&str> = snapshot.sources.files.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["b.rs", "flows/a.rs", "flows/sub/2d.rs"]);
        assert_eq!(snapshot.modules, [vec!["b"], vec!["a"], vec!["sub", "m2d"]]);
    }

    #[test]
    fn a_file_of_a_package_brings_the_modules_that_it_may_use() {
        let directory = directory_with(&[
            ("shop/Cargo.toml", "[package]\nname = \"shop\""),
            ("shop/src/lib.rs", "pub mod transforms; mod types;"),
            ("shop/src/types.rs", ""),
            ("shop/src/transforms/mod.rs", "pub mod a; mod hidden;"),
            ("shop/src/transforms/a.rs", ""),
            ("shop/src/transforms/hidden.rs", ""),
            ("shop/src/transforms/loose.rs", ""),
            ("b.rs", ""),
        ]);
        let mut watch_set = WatchSet::default();
        watch_set.add("b.rs", directory.path()).expect("a file");
        watch_set.add("shop/src/transforms/a.rs", directory.path()).expect("a file of a package");
        let snapshot = read(&watch_set, &[], directory.path());
        let modules: Vec<String> = snapshot.modules.iter().map(|it| it.join("::")).collect();
        assert_eq!(modules, ["b", "transforms::a", "transforms", "transforms::hidden", "types"]);
        assert_eq!(snapshot.sources.helpers, BTreeSet::from([2, 3, 4]));
        assert_eq!(snapshot.package.as_deref(), Some(&*directory.path().join("shop")));
        assert_eq!(snapshot.diagnostics, []);
        let before = snapshot.hash;
        fs::write(directory.path().join("shop/Cargo.toml"), "[package]\nname = \"shop\"\n").expect("edited");
        assert_ne!(read(&watch_set, &[], directory.path()).hash, before);
        for (file, code) in [("loose.rs", "undeclared-module"), ("hidden.rs", "private-module")] {
            let mut watch_set = WatchSet::default();
            watch_set.add(&format!("shop/src/transforms/{file}"), directory.path()).expect("a file");
            let codes: Vec<String> =
                read(&watch_set, &[], directory.path()).diagnostics.into_iter().map(|it| it.code).collect();
            assert_eq!(codes, [code]);
        }
        let mut whole = WatchSet::default();
        whole.add("shop", directory.path()).expect("a package");
        let snapshot = read(&whole, &[], directory.path());
        let nodes = (0..snapshot.modules.len() as u32).filter(|it| !snapshot.sources.helpers.contains(it));
        let nodes: Vec<String> = nodes.map(|it| snapshot.modules[it as usize].join("::")).collect();
        assert_eq!(nodes, ["transforms::a", "types"]);
        let mut sources = WatchSet::default();
        sources.add("shop/src", directory.path()).expect("its sources");
        let codes: Vec<String> =
            read(&sources, &[], directory.path()).diagnostics.into_iter().map(|it| it.code).collect();
        assert_eq!(codes, ["private-module", "undeclared-module"]);
        let refused = WatchSet::default().add("shop/src/lib.rs", directory.path()).unwrap_err();
        assert!(refused.contains("is the crate root of its package"), "{refused}");
    }

    #[test]
    fn a_path_that_is_not_there_or_not_rust_is_refused() {
        let directory = directory_with(&[("a.txt", ""), ("empty/x.txt", "")]);
        let mut watch_set = WatchSet::default();
        let refused =
            |watch_set: &mut WatchSet, path: &str| watch_set.add(path, directory.path()).unwrap_err();
        assert!(refused(&mut watch_set, "b.rs").starts_with("there is no `b.rs`"));
        assert!(refused(&mut watch_set, "a.txt").contains("is not a Rust file"));
        assert!(refused(&mut watch_set, "empty").contains("holds no `.rs` files"));
        assert_eq!(watch_set, WatchSet::default());
    }

    #[test]
    fn the_hash_follows_content_and_nothing_else() {
        let directory = directory_with(&[("a.rs", "pub fn a() {}")]);
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("a file");
        let first = read(&watch_set, &[], directory.path());
        fs::write(directory.path().join("a.rs"), "pub fn a() {}").expect("the same again");
        assert_eq!(read(&watch_set, &[], directory.path()).hash, first.hash);
        fs::write(directory.path().join("a.rs"), "pub fn b() {}").expect("another");
        assert_ne!(read(&watch_set, &[], directory.path()).hash, first.hash);
    }

    #[test]
    fn a_deleted_file_and_a_bad_byte_are_told_and_change_the_hash() {
        let directory = directory_with(&[("a.rs", "x"), ("b.rs", "y")]);
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("a file");
        watch_set.add("b.rs", directory.path()).expect("a file");
        let before = read(&watch_set, &[], directory.path()).hash;
        fs::remove_file(directory.path().join("a.rs")).expect("removed");
        fs::write(directory.path().join("b.rs"), b"ok\n\xff").expect("bytes");
        let snapshot = read(&watch_set, &[], directory.path());
        let codes: Vec<&str> = snapshot.diagnostics.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["unreadable-file", "not-utf8"]);
        assert!(snapshot.diagnostics[1].message.contains("line 2"));
        assert_ne!(snapshot.hash, before);
    }

    fn codes(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.diagnostics.iter().map(|it| it.code.as_str()).collect()
    }

    fn make_pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
        assert!(made.success());
    }

    #[test]
    fn links_are_followed_once_and_a_file_goes_by_its_own_name() {
        let directory = directory_with(&[("flows/z/a.rs", ""), ("outside/b.rs", ""), ("c.rs", "")]);
        let link = |to: &str, name: &str| {
            let to = directory.path().join(to);
            std::os::unix::fs::symlink(to, directory.path().join("flows").join(name)).expect("a link");
        };
        // Each of these alone leads to itself for ever, and both together twice as often at every step.
        link("flows", "one");
        link("flows", "two");
        link("flows/z", "first");
        link("flows/z/a.rs", "again.rs");
        link("outside", "outside");
        link("outside/b.rs", "z/b.rs");
        link("c.rs", "c.rs");
        link("nowhere", "nowhere.rs");
        link("flows/three", "three");
        let mut watch_set = WatchSet::default();
        watch_set.add("flows", directory.path()).expect("a directory");
        let snapshot = read(&watch_set, &[], directory.path());
        let paths: Vec<&str> = snapshot.sources.files.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["flows/c.rs", "flows/nowhere.rs", "flows/outside/b.rs", "flows/z/a.rs"]);
        assert_eq!(codes(&snapshot), ["unreadable-file"]);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_name_and_told_when_a_file_becomes_it() {
        let directory = directory_with(&[("a.rs", "pub fn a() {}"), ("flows/b.rs", "")]);
        let base = directory.path();
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", base).expect("a file");
        watch_set.add("flows", base).expect("a directory");
        for file in ["a.rs", "flows/b.rs", "flows/new.rs"] {
            let _ = fs::remove_file(base.join(file));
            make_pipe(&base.join(file));
        }
        let _socket = std::os::unix::net::UnixListener::bind(base.join("socket.rs")).expect("a socket");
        let snapshot = read(&watch_set, &[], base);
        assert_eq!(codes(&snapshot), ["unreadable-file"; 3]);
        assert_eq!(
            snapshot.diagnostics[0].message,
            "`a.rs` is watched and cannot be read: it is a named pipe, no regular file"
        );
        assert!(snapshot.sources.files.iter().all(|it| it.text.is_empty()));
        let refused = |path: &str| WatchSet::default().add(path, base).expect_err(path);
        assert_eq!(
            refused("a.rs"),
            "`a.rs` is a named pipe; only regular files and directories can be watched"
        );
        assert_eq!(refused("flows"), "`flows/b.rs` is a named pipe; only regular files can be watched");
        assert!(refused("socket.rs").starts_with("`socket.rs` is a socket;"));
        assert!(refused("/dev/null").starts_with("`/dev/null` is a device;"));
        let unread = |path: &Path| read_file(path, SOURCE_LIMIT).expect_err("not read").to_string();
        assert_eq!(unread(&base.join("socket.rs")), "it is a socket, no regular file");
        assert_eq!(unread(base), "it is a directory, no regular file");
    }

    #[test]
    fn what_is_included_may_be_large_but_must_be_regular() {
        let directory = directory_with(&[
            ("a.rs", ""),
            ("data.txt", "x".repeat(6_000_000).as_str()),
            ("deep.rs", "(".repeat(50_000).as_str()),
            ("deep.txt", "(".repeat(50_000).as_str()),
        ]);
        make_pipe(&directory.path().join("pipe.txt"));
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("a file");
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let names = ["data.txt", "deep.rs", "deep.txt", "pipe.txt", "missing.txt", ""].map(path);
        let snapshot = read(&watch_set, &names, directory.path());
        let told: Vec<&str> = snapshot.diagnostics.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "`deep.rs`, which is included, nests brackets more than 200 deep in line 1",
                "`pipe.txt` is included and cannot be read: it is a named pipe, no regular file",
            ]
        );
        let size = |it: &String| snapshot.included.get(it).map(Vec::len);
        let sizes: Vec<_> = names.iter().map(size).collect();
        assert_eq!(sizes, [Some(6_000_000), Some(50_000), Some(50_000), None, None, None]);
    }

    #[test]
    fn a_source_file_may_hold_five_megabytes() {
        let text = |size: usize| format!("//{}", "x".repeat(size - 2));
        let (fits, large) = (text(5_000_000), text(6_000_000));
        let directory = directory_with(&[("a.rs", fits.as_str()), ("flows/b.rs", large.as_str())]);
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("as much as is allowed");
        for path in ["flows", "flows/b.rs"] {
            let refused = watch_set.add(path, directory.path()).expect_err(path);
            let expected =
                "`flows/b.rs` holds 6.0 MB, and a watched file may hold 5.0 MB: keep data in a file";
            assert!(refused.starts_with(expected), "{refused}");
        }
        let before = read(&watch_set, &[], directory.path());
        assert_eq!(codes(&before), [""; 0]);
        fs::write(directory.path().join("a.rs"), text(5_000_001)).expect("grown");
        let snapshot = read(&watch_set, &[], directory.path());
        assert_eq!(codes(&snapshot), ["file-too-large"]);
        assert_eq!(snapshot.sources.files[0].text, "");
        assert_ne!(snapshot.hash, before.hash);
    }

    #[test]
    fn a_walk_has_an_end() {
        let many =
            |bounds: &Bounds, files: &[(&str, &str)]| rust_files(directory_with(files).path(), bounds).1;
        let files = [("a/b/c.rs", ""), ("a/d.rs", ""), ("e.txt", "")];
        let bounds = |files, entries, depth| Bounds { files, entries, depth };
        assert_eq!(many(&bounds(2, 5, 2), &files), None);
        assert_eq!(many(&bounds(1, 5, 2), &files).as_deref(), Some("holds more than 1 Rust files"));
        assert_eq!(
            many(&bounds(2, 4, 2), &files).as_deref(),
            Some("holds more than 4 files and directories")
        );
        assert_eq!(many(&bounds(2, 5, 1), &files).as_deref(), Some("has directories more than 1 deep"));
        let deep = format!("flows/{}a.rs", "d/".repeat(BOUNDS.depth + 1));
        let directory = directory_with(&[("flows/a.rs", "")]);
        let mut watch_set = WatchSet::default();
        watch_set.add("flows", directory.path()).expect("a directory");
        fs::create_dir_all(directory.path().join(&deep).parent().expect("it has one")).expect("directories");
        fs::write(directory.path().join(&deep), "").expect("a file");
        let snapshot = read(&watch_set, &[], directory.path());
        assert_eq!(codes(&snapshot), ["too-many-files"]);
        assert_eq!(snapshot.diagnostics[0].message, "`flows` has directories more than 32 deep");
        let refused = WatchSet::default().add("flows", directory.path()).unwrap_err();
        assert!(refused.starts_with("`flows` has directories more than 32 deep; watch"), "{refused}");
    }

    #[test]
    fn a_file_that_is_nested_too_deeply_is_told_before_the_compiler_sees_it() {
        for open in ["(", "[", "{"] {
            let text = format!("pub fn a() {{\n{}", open.repeat(50_000));
            let directory = directory_with(&[("a.rs", text.as_str())]);
            let mut watch_set = WatchSet::default();
            watch_set.add("a.rs", directory.path()).expect("a file");
            let snapshot = read(&watch_set, &[], directory.path());
            assert_eq!(codes(&snapshot), ["nested-too-deeply"]);
            let parsed = brooklet_graph::parse::parse(&snapshot.sources, &snapshot.modules);
            // The same, so that it is told once.
            assert_eq!(parsed.diagnostics, snapshot.diagnostics);
            let place = snapshot.sources.line_column(snapshot.diagnostics[0].labels[0].span);
            assert_eq!((place.line, place.column), (2, 200));
        }
    }

    #[test]
    fn a_module_that_is_no_regular_file_is_told_as_one() {
        let directory = directory_with(&[
            ("shop/Cargo.toml", "[package]\nname = \"shop\""),
            ("shop/src/lib.rs", "pub mod a; pub mod b; pub mod gone;"),
            ("shop/src/b.rs", ""),
        ]);
        make_pipe(&directory.path().join("shop/src/a.rs"));
        let mut watch_set = WatchSet::default();
        watch_set.add("shop/src/b.rs", directory.path()).expect("a file");
        let snapshot = read(&watch_set, &[], directory.path());
        assert_eq!(codes(&snapshot), ["unreadable-file"]);
        assert!(snapshot.diagnostics[0].message.starts_with("`shop/src/a.rs` is watched"));
        let refused = WatchSet::default().add("shop", directory.path()).unwrap_err();
        assert!(refused.starts_with("`shop/src/a.rs` is a named pipe"), "{refused}");
    }

    #[test]
    fn two_files_of_one_name_get_two_modules() {
        let directory = directory_with(&[("x/a.rs", ""), ("y/a.rs", "")]);
        let mut watch_set = WatchSet::default();
        watch_set.add("x/a.rs", directory.path()).expect("a file");
        watch_set.add("y/a.rs", directory.path()).expect("a file");
        assert_eq!(read(&watch_set, &[], directory.path()).modules, [vec!["a"], vec!["y_a"]]);
    }

    #[test]
    fn a_save_by_rename_wakes_once() {
        let directory = directory_with(&[("a.rs", "1")]);
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("a file");
        let (wake, woken) = unbounded();
        let watcher = Watcher::new(move || wake.send(()).is_ok());
        watcher.follow(&watch_set);
        fs::write(directory.path().join(".a.rs.swp"), "2").expect("written");
        fs::rename(directory.path().join(".a.rs.swp"), directory.path().join("a.rs")).expect("renamed");
        woken.recv_timeout(Duration::from_secs(20)).expect("a wake");
        assert_eq!(read(&watch_set, &[], directory.path()).sources.files[0].text, "2");
    }
}

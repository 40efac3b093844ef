//! Which files are watched, what they hold, and when to look again.
//!
//! Editors save in many ways: in place, by rename over the old file, by delete and create, half at a time.
//! So events only say "look again"; what is true is what reading gives. Directories are watched rather than
//! files, since a watch on a file does not survive a rename over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use brooklet_graph::diagnostic::Diagnostic;
use brooklet_graph::graph::{Literals, Options};
use brooklet_graph::parse::Included;
use brooklet_graph::source::{FileId, PackageRoot, SourceFile, Sources, Span};
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::package::{self, Package};
use crate::build::package::PackageSpec;

/// After this much quiet a save is taken to be finished.
const QUIET: Duration = Duration::from_millis(12);
/// Under steady changes we look again at the latest after this.
const AT_LATEST: Duration = Duration::from_millis(300);

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
    /// What other files hold that the sources include (`include_str!`, `mod name;`), by absolute path.
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
        if !is_directory && path.extension().is_none_or(|it| it != "rs") {
            return Err(format!("`{given}` is not a Rust file: transforms are `pub fn`s in `.rs` files"));
        }
        if is_directory && rust_files(&path).is_empty() {
            return Err(format!("`{given}` holds no `.rs` files"));
        }
        let is_package = is_directory && package::is_package(&path);
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
    for WatchedFile { path, module, role, cfg } in watched_files(watch_set, package.as_ref()) {
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
        let text = match fs::read(&path) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
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
        let bytes = fs::read(path).unwrap_or_default();
        hasher.update(path.as_bytes());
        hasher.update(blake3::hash(&bytes).as_bytes());
        snapshot.included.insert(path.clone(), bytes);
    }
    for diagnostic in &snapshot.diagnostics {
        hasher.update(diagnostic.message.as_bytes());
    }
    snapshot.hash = hasher.finalize().to_hex().to_string();
    snapshot
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
fn watched_files(watch_set: &WatchSet, package: Option<&Package>) -> Vec<WatchedFile> {
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
        for (path, module) in files_of(entry) {
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

/// The files of one entry with their module paths.
fn files_of(entry: &Entry) -> Vec<(PathBuf, Vec<String>)> {
    if !entry.is_directory {
        return vec![(entry.path.clone(), vec![identifier(&stem(&entry.path))])];
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
    rust_files(&entry.path).into_iter().map(|path| (path.clone(), modules(&path))).collect()
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

/// All transform files below a directory, sorted. `mod.rs` only declares modules for production builds.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if name.ends_with(".rs") && name != "mod.rs" {
            found.push(path);
        }
    }
    found
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
    /// Sends one wake after each burst of changes.
    pub fn new(wake: Sender<()>) -> Watcher {
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
                if wake.send(()).is_err() {
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
        let watcher = Watcher::new(wake);
        watcher.follow(&watch_set);
        fs::write(directory.path().join(".a.rs.swp"), "2").expect("written");
        fs::rename(directory.path().join(".a.rs.swp"), directory.path().join("a.rs")).expect("renamed");
        woken.recv_timeout(Duration::from_secs(20)).expect("a wake");
        assert_eq!(read(&watch_set, &[], directory.path()).sources.files[0].text, "2");
    }
}

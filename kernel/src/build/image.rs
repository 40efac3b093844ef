//! The image: one Rust dylib that holds brooklet, polars and every other crate that transforms use.
//!
//! It is built by cargo with `-C prefer-dynamic`, so that it shares the standard library with everything
//! that is loaded beside it. It is never used from cargo's target directory, where the next
//! `cargo build --workspace` would replace it by a variant with its own standard library: after the build the
//! library and the metadata of all its dependencies are copied into a directory named by a key of all that
//! went into it. A directory that holds `image.json` is complete; it is written last, by a rename.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::cache::cache_directory;
use super::package::{self, PackageSpec};
use super::{BuildError, Progress, cargo_progress};
use crate::{guard, lease, os};

/// The crate that generations and cells link against.
pub const CRATE: &str = "brooklet_image";
/// How many images are kept.
const IMAGES: usize = 8;
/// The file in an image's directory that is locked by all who use the image.
const IN_USE: &str = "lock";
/// Between two tries to get at a build that another kernel does.
const BUILD_PAUSE: Duration = Duration::from_millis(200);
/// Between two reports that it is waited for.
const BUILD_REPORT: Duration = Duration::from_millis(500);
/// What stands before rustc, below the source tree, for cargo's `rustc-wrapper`. A package's image is built outside of
/// the tree, where cargo does not find the tree's configuration.
const WRAPPER: &str = "kernel/pins/rustc";
/// Crates of the image that generated code and users name directly.
const NAMED: [&str; 4] = ["brooklet", "polars", "serde", "chrono"];

/// A built image and everything that a compiler needs to link against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Hash of toolchain, lock file, profile and sources.
    pub key: String,
    pub directory: PathBuf,
    /// The dylib.
    pub library: PathBuf,
    /// The compiler itself, not rustup's proxy, which costs 30 ms a call.
    pub rustc: PathBuf,
    /// `--extern` crates by name.
    pub externs: Vec<(String, PathBuf)>,
    /// Metadata of all crates in the image, for `-L dependency=`.
    pub dependencies: PathBuf,
    /// Where the shared standard library is.
    pub std_directory: PathBuf,
    /// The workspace that the image was built from.
    pub source: PathBuf,
    pub lockfile: PathBuf,
    /// The crates of a user's package as cargo dependencies, name and TOML value.
    #[serde(default)]
    pub package_sources: Vec<(String, String)>,
}

/// The toolchain, asked once a process.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub rustc: PathBuf,
    pub sysroot: PathBuf,
    /// `rustc -vV`.
    pub version: String,
    pub host: String,
}

impl Toolchain {
    /// Asks `rustc` on the path (or `RUSTC`).
    ///
    /// # Errors
    /// If there is none or it does not answer.
    pub fn find() -> Result<Toolchain, BuildError> {
        static FOUND: std::sync::OnceLock<Toolchain> = std::sync::OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |arguments: &[&str]| {
            let output = Command::new(&rustc).args(arguments).stdin(Stdio::null()).output();
            match output {
                Ok(output) if output.status.success() => {
                    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
                }
                Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        let no_rustc = |output: String| BuildError {
            message: "rustc does not answer".to_owned(),
            output,
            hint: Some("install Rust 1.95 or later (rustup) and see that `rustc` is on the PATH".to_owned()),
        };
        let version = ask(&["-vV"]).map_err(no_rustc)?;
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"]).map_err(no_rustc)?);
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        let direct = sysroot.join("bin").join("rustc");
        let rustc = if os::is_executable(&direct) { direct } else { PathBuf::from(&rustc) };
        Ok(FOUND.get_or_init(|| Toolchain { rustc, sysroot, version, host }).clone())
    }

    /// Installs the standard library's sources by rustup, if they are not there: rust-analyzer needs them to
    /// work out the types of `let` in cells.
    ///
    /// # Errors
    /// If there is no rustup, or it cannot get them.
    pub fn add_rust_src(&self) -> Result<(), BuildError> {
        if self.sysroot.join("lib/rustlib/src/rust/library").is_dir() {
            return Ok(());
        }
        let failed = |output: String| BuildError {
            message: "the sources of the standard library (rust-src) are missing".to_owned(),
            output,
            hint: Some(
                "`rustup component add rust-src`; without it a `let` in a cell needs its type".to_owned(),
            ),
        };
        let added = Command::new("rustup")
            .args(["component", "add", "rust-src"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if added.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&added.stderr).trim().to_owned()))
    }

    /// Where the target's shared standard library is.
    pub fn std_directory(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("lib")
    }
}

/// The workspace that this executable was built from.
pub fn source_directory() -> PathBuf {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR"));
    kernel.parent().unwrap_or(kernel).to_owned()
}

/// Where cargo builds: the same directory as for this executable, so that nothing is compiled twice.
pub fn target_directory() -> PathBuf {
    if let Some(directory) = std::env::var_os("CARGO_TARGET_DIR") {
        return directory.into();
    }
    let beside_executable = std::env::current_exe().ok().and_then(|exe| {
        let target = exe.parent()?.parent()?.to_owned();
        target.join("CACHEDIR.TAG").exists().then_some(target)
    });
    beside_executable.unwrap_or_else(|| cache_directory().join("target"))
}

impl Image {
    /// The image of this source tree and toolchain, if it is built; with a package's dependencies, if one is given.
    ///
    /// # Errors
    /// If the toolchain or the source tree is missing.
    pub fn find(package: Option<&PackageSpec>) -> Result<Option<Image>, BuildError> {
        let key = key(package)?;
        let directory = directory_of(&key);
        // Before it is looked at: what is held is not pruned.
        hold(&directory);
        let found = read_manifest(&directory)
            .filter(|image| image.key == key && image.library.exists() && image.rustc.exists());
        // What is used last is pruned last.
        if let Some(image) = &found
            && let Ok(manifest) = File::open(image.directory.join("image.json"))
        {
            let _ = manifest.set_modified(std::time::SystemTime::now());
        }
        // The same sources in another checkout have the same image; that checkout may be gone by now.
        Ok(found.map(|image| Image { source: source_directory(), ..image }))
    }

    /// Builds the image unless it is built. `note` is told what a build costs before it starts.
    ///
    /// # Errors
    /// As cargo fails; its output is in the error.
    pub fn ensure(
        package: Option<&PackageSpec>,
        note: &dyn Fn(&str),
        report: &dyn Fn(&Progress),
    ) -> Result<Image, BuildError> {
        if let Some(image) = Image::find(package)? {
            return Ok(image);
        }
        // Two kernels that start together build once: the second waits here and then finds it.
        let images = cache_directory().join("images");
        let lock = images.join("lock");
        let failed = |error: io::Error| BuildError::new(format!("cannot write {}: {error}", lock.display()));
        lease::private_directory(&images).map_err(failed)?;
        let lock_file = File::create(&lock).map_err(failed)?;
        wait_for_build(&lock_file, report).map_err(failed)?;
        if let Some(image) = Image::find(package)? {
            return Ok(image);
        }
        match package {
            Some(package) => {
                note(&package.cost(&our_manifest()?));
                Crate::of_package(package)?.build(Some(package), report)
            }
            None => Crate::plain()?.build(None, report),
        }
    }

    /// RUSTFLAGS by which evcxr's cells link against the image and find the current generation.
    pub fn cell_rustflags(&self, generation_directory: &Path) -> String {
        let mut flags = vec![
            "--cfg brooklet_image --check-cfg=cfg(brooklet_image)".to_owned(),
            "-Cprefer-dynamic".to_owned(),
            format!("-Ldependency={}", self.dependencies.display()),
            // A generation names the image as its dependency, and those are looked up by search path only.
            format!("-Ldependency={}", self.directory.display()),
            format!("-Lcrate={}", generation_directory.display()),
        ];
        flags.extend(self.externs.iter().map(|(name, path)| format!("--extern={name}={}", path.display())));
        flags.join(" ")
    }
}

/// Waits until no other kernel builds an image, and says so meanwhile.
fn wait_for_build(lock: &File, report: &dyn Fn(&Progress)) -> io::Result<()> {
    let started = Instant::now();
    let mut reported: Option<Instant> = None;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if reported.is_none_or(|it| it.elapsed() >= BUILD_REPORT) {
            reported = Some(Instant::now());
            report(&Progress {
                what: "waiting for another kernel, which builds the image".to_owned(),
                done: 0,
                total: 0,
                elapsed: started.elapsed(),
            });
        }
        thread::sleep(BUILD_PAUSE);
    }
}

/// Locks on the directories of images that this process uses, which last as long as it does.
static HELD: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());

/// Keeps an image from being pruned while this process lives. Where that fails nobody can prune either: for
/// that the same file must be writable.
fn hold(directory: &Path) {
    let path = directory.join(IN_USE);
    let mut held = HELD.lock().unwrap_or_else(|it| it.into_inner());
    // An image that was removed and built again has another file.
    if held.get(directory).is_some_and(|it| lease::is_at(it, &path)) {
        return;
    }
    if let Ok(lock) = open_lock(&path)
        && lock.lock_shared().is_ok()
    {
        held.insert(directory.to_owned(), lock);
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn directory_of(key: &str) -> PathBuf {
    cache_directory().join("images").join(&key[..key.len().min(16)])
}

fn read_manifest(directory: &Path) -> Option<Image> {
    serde_json::from_slice(&fs::read(directory.join("image.json")).ok()?).ok()
}

/// Hash of all that goes into the image.
fn key(package: Option<&PackageSpec>) -> Result<String, BuildError> {
    let source = source_directory();
    let mut hasher = blake3::Hasher::new();
    hasher.update(package.map_or("", |it| it.key.as_str()).as_bytes());
    hasher.update(Toolchain::find()?.version.as_bytes());
    let mut files = vec![source.join("Cargo.toml"), source.join("Cargo.lock"), source.join(WRAPPER)];
    for member in [".", "digest", "graph", "macros", "records", "kernel/image"] {
        files.push(source.join(member).join("Cargo.toml"));
        collect_sources(&source.join(member).join("src"), &mut files);
    }
    for file in files {
        let text = fs::read(&file).map_err(|error| BuildError {
            message: format!("cannot read {}: {error}", file.display()),
            output: String::new(),
            hint: Some(
                "the image is built from Brooklet's source tree, which must stay where it was".to_owned(),
            ),
        })?;
        hasher.update(file.strip_prefix(&source).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

pub(super) fn collect_sources(directory: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect_sources(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push(path);
        }
    }
}

fn our_manifest() -> Result<toml::Table, BuildError> {
    let manifest = source_directory().join("Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .map_err(|error| BuildError::new(format!("cannot read {}: {error}", manifest.display())))?;
    toml::from_str(&text).map_err(|error| BuildError::new(format!("{}: {error}", manifest.display())))
}

/// The crate that is built as an image.
struct Crate {
    key: String,
    /// As rustc knows it. Images of different packages have different names, since cargo keeps a dylib under
    /// its name alone and would take one for another.
    name: String,
    directory: PathBuf,
}

impl Crate {
    fn plain() -> Result<Crate, BuildError> {
        let directory = source_directory().join("kernel").join("image");
        Ok(Crate { key: key(None)?, name: CRATE.to_owned(), directory })
    }

    /// Writes the image crate of a package.
    fn of_package(package: &PackageSpec) -> Result<Crate, BuildError> {
        let source = source_directory();
        let key = key(Some(package))?;
        let short: String = key.chars().take(8).collect();
        let name = format!("{CRATE}_{}_{short}", package.name.replace('-', "_"));
        let packages = cache_directory().join("packages");
        let directory = packages.join(format!("{}-{short}", package.name));
        let failed =
            |error: std::io::Error| BuildError::new(format!("cannot write {}: {error}", directory.display()));
        lease::private_directory(&packages).map_err(failed)?;
        fs::create_dir_all(directory.join("src")).map_err(failed)?;
        let manifest = package.manifest(&name.replace('_', "-"), &source, &our_manifest()?);
        fs::write(directory.join("Cargo.toml"), manifest.to_string()).map_err(failed)?;
        // Versions that are not ours are added by cargo.
        fs::copy(source.join("Cargo.lock"), directory.join("Cargo.lock")).map_err(failed)?;
        let mut code = fs::read_to_string(source.join("kernel/image/src/lib.rs")).map_err(failed)?;
        for dependency in &package.dependencies {
            match &dependency.target {
                Some(target) if target.starts_with("cfg(") => code.push_str(&format!("#[{target}]\n")),
                Some(_) => continue, // for one named machine; its code can name the crate all the same
                None => {}
            }
            code.push_str(&format!("extern crate {} as _;\n", dependency.name.replace('-', "_")));
        }
        fs::write(directory.join("src/lib.rs"), code).map_err(failed)?;
        Ok(Crate { key, name, directory })
    }

    fn build(self, package: Option<&PackageSpec>, report: &dyn Fn(&Progress)) -> Result<Image, BuildError> {
        let started = Instant::now();
        let toolchain = Toolchain::find()?;
        let messages = self.compile(started, report)?;
        report(&Progress {
            what: "copying the image".to_owned(),
            done: 0,
            total: 0,
            elapsed: started.elapsed(),
        });
        let named = match package {
            Some(_) => self.named(&toolchain.host)?,
            None => Vec::new(),
        };
        let package_sources =
            package.into_iter().flat_map(|it| &it.dependencies).filter(|it| it.target.is_none());
        let package_sources = package_sources
            .filter(|it| it.package != "polars")
            .map(|it| (it.name.clone(), toml::Value::Table(it.value.clone()).to_string()))
            .collect();
        self.install(&toolchain, &messages, &named, package_sources)
    }

    /// The crates that the package's code may name, each with cargo's id of it.
    fn named(&self, host: &str) -> Result<Vec<(String, String)>, BuildError> {
        let metadata =
            package::cargo_metadata(&self.directory.join("Cargo.toml"), &["--filter-platform", host])?;
        let root = metadata["resolve"]["root"].clone();
        let nodes = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
        let dependencies =
            nodes.filter(|it| it["id"] == root).flat_map(|it| it["deps"].as_array().into_iter().flatten());
        let text = |it: &Json| it.as_str().unwrap_or_default().to_owned();
        Ok(dependencies.map(|it| (text(&it["name"]), text(&it["pkg"]))).collect())
    }

    /// Has cargo build the crate; what it says of its artifacts.
    fn compile(&self, started: Instant, report: &dyn Fn(&Progress)) -> Result<Vec<Json>, BuildError> {
        let no_cargo = |error: std::io::Error| BuildError {
            message: format!("cargo cannot be started: {error}"),
            output: String::new(),
            hint: Some("see that `cargo` is on the PATH".to_owned()),
        };
        let mut cargo =
            guard::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).map_err(no_cargo)?;
        cargo
            .current_dir(&self.directory)
            .args(["rustc", "--release", "--lib"])
            .args(["--message-format=json-render-diagnostics", "--", "-C", "prefer-dynamic"])
            .env("CARGO_TARGET_DIR", target_directory())
            .envs(cargo_progress::ENVIRONMENT)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if std::env::var_os("RUSTC_WRAPPER").is_none() {
            cargo.env("RUSTC_WRAPPER", source_directory().join(WRAPPER));
        }
        // What `cargo run` and `cargo test` set for their programs must not reach build scripts, or they run again.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
            if foreign.iter().any(|it| text.starts_with(it))
                || text == "LD_LIBRARY_PATH"
                || text == "RUSTFLAGS"
            {
                cargo.env_remove(name);
            }
        }
        let mut child = cargo.spawn().map_err(no_cargo)?;
        // While this end of the pipe is open, the guard lets cargo run; `wait` would close it too early.
        let _alive = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let messages = thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str::<Json>(&line).ok())
                .collect::<Vec<Json>>()
        });
        let log = cargo_progress::read(stderr, started, report);
        let messages = messages.join().unwrap_or_default();
        let status = child.wait().map_err(|error| BuildError::new(error.to_string()))?;
        if !status.success() {
            let tail: Vec<&str> = log.lines().filter(|line| !line.starts_with("Compiling ")).collect();
            return Err(BuildError {
                message: format!("the image does not build ({status})"),
                output: tail[tail.len().saturating_sub(60)..].join("\n"),
                hint: Some("`brooklet doctor` checks what a build needs".to_owned()),
            });
        }
        Ok(messages)
    }

    /// Copies what cargo reported into the image's own directory and writes the manifest last.
    fn install(
        self,
        toolchain: &Toolchain,
        messages: &[Json],
        package: &[(String, String)],
        package_sources: Vec<(String, String)>,
    ) -> Result<Image, BuildError> {
        let Crate { key, name: crate_name, directory: built_in } = self;
        let source = source_directory();
        let directory = directory_of(&key);
        let dependencies = directory.join("dependencies");
        let failed = |what: &Path, error: std::io::Error| {
            BuildError::new(format!("cannot write {}: {error}", what.display()))
        };
        fs::create_dir_all(&dependencies).map_err(|error| failed(&dependencies, error))?;
        let artifacts = artifacts(messages);
        let mut copied = BTreeMap::new();
        for file in artifacts.iter().flat_map(|it| &it.files) {
            let target = if file.file_name().is_some_and(|it| it == format!("lib{crate_name}.so").as_str()) {
                directory.join(file.file_name().unwrap_or_default())
            } else {
                dependencies.join(file.file_name().unwrap_or_default())
            };
            keep(file, &target).map_err(|error| failed(&target, error))?;
            copied.insert(file.clone(), target);
        }
        let find = |is_it: &dyn Fn(&Artifact) -> bool, extension: &str, name: &str| {
            artifacts
                .iter()
                .filter(|it| is_it(it))
                .flat_map(|it| &it.files)
                .find(|file| file.extension().is_some_and(|it| it == extension))
                .and_then(|file| copied.get(file))
                .cloned()
                .ok_or_else(|| BuildError::new(format!("cargo reported no .{extension} of `{name}`")))
        };
        let library = find(&|it| it.name == crate_name, "so", &crate_name)?;
        let mut externs = vec![(CRATE.to_owned(), library.clone())];
        // Brooklet and polars are ours; of the others a package may have a release of its own.
        let is_ours = |name: &str| matches!(name, "brooklet" | "polars");
        for name in NAMED.into_iter().filter(|it| is_ours(it) || !package.iter().any(|own| own.0 == *it)) {
            externs.push((name.to_owned(), find(&|it| it.name == name, "rmeta", name)?));
        }
        for (name, id) in package.iter().filter(|it| !is_ours(&it.0)) {
            let is_it = |it: &Artifact| it.package == *id;
            externs.push((name.clone(), find(&is_it, "rmeta", name).or_else(|_| find(&is_it, "so", name))?));
        }
        let lockfile = directory.join("Cargo.lock");
        let locked = if package.is_empty() { &source } else { &built_in };
        fs::copy(locked.join("Cargo.lock"), &lockfile).map_err(|error| failed(&lockfile, error))?;
        let image = Image {
            key,
            library,
            rustc: toolchain.rustc.clone(),
            externs,
            dependencies,
            std_directory: toolchain.std_directory(),
            source,
            lockfile,
            package_sources,
            directory: directory.clone(),
        };
        let manifest = directory.join("image.json");
        let temporary = directory.join("image.json.part");
        let text = serde_json::to_vec_pretty(&image).map_err(|error| BuildError::new(error.to_string()))?;
        fs::write(&temporary, text).map_err(|error| failed(&temporary, error))?;
        fs::rename(&temporary, &manifest).map_err(|error| failed(&manifest, error))?;
        hold(&directory);
        prune(&directory);
        Ok(image)
    }
}

/// Metadata is linked where the file system allows it (the compiler replaces such files, it never writes into
/// them); libraries are copied, because linkers do write into them.
fn keep(file: &Path, target: &Path) -> std::io::Result<()> {
    let _ = fs::remove_file(target);
    if file.extension().is_some_and(|it| it == "rmeta") && fs::hard_link(file, target).is_ok() {
        return Ok(());
    }
    fs::copy(file, target).map(drop)
}

/// Removes all but the newest images, for each is half a gigabyte, and those that a running kernel uses.
fn prune(newest: &Path) {
    let Some(entries) = newest.parent().and_then(|it| fs::read_dir(it).ok()) else { return };
    let mut images: Vec<_> = entries
        .flatten()
        .filter(|it| it.path().is_dir())
        .filter_map(|it| Some((fs::metadata(it.path().join("image.json")).ok()?.modified().ok()?, it.path())))
        .collect();
    images.sort();
    for (_, old) in images.iter().rev().skip(IMAGES) {
        // Held until it is removed: who begins to use it meanwhile waits, and then finds nothing.
        let Ok(lock) = open_lock(&old.join(IN_USE)) else { continue };
        if lock.try_lock().is_ok() {
            // First what makes it an image, since the lock file goes before the rest may be gone.
            let _ = fs::remove_file(old.join("image.json"));
            let _ = fs::remove_dir_all(old);
        }
    }
}

/// Files of one crate that have to be kept.
struct Artifact {
    /// As rustc knows the crate.
    name: String,
    /// cargo's id of its package.
    package: String,
    files: Vec<PathBuf>,
}

/// What has to be kept of cargo's artifacts: metadata of libraries, proc-macro libraries, and the dylib.
/// Libraries that only build scripts and proc macros use are not optimised, as all that is in the image is; they
/// may bear the name of a crate that is in the image as well.
fn artifacts(messages: &[Json]) -> Vec<Artifact> {
    let mut found = Vec::new();
    for message in messages.iter().filter(|it| it["reason"] == "compiler-artifact") {
        let is = |kind: &str| {
            message["target"]["kind"].as_array().is_some_and(|all| all.iter().any(|it| it == kind))
        };
        let is_foreign = !is("proc-macro") && message["profile"]["opt_level"] == "0";
        if is("custom-build") || is("bin") || is_foreign {
            continue;
        }
        let wanted: &[&str] = if is("proc-macro") || is("dylib") { &["so"] } else { &["rmeta"] };
        let files = message["filenames"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let is_wanted =
            |it: &PathBuf| it.extension().is_some_and(|it| wanted.iter().any(|wanted| it == *wanted));
        found.push(Artifact {
            name: message["target"]["name"].as_str().unwrap_or_default().replace('-', "_"),
            package: message["package_id"].as_str().unwrap_or_default().to_owned(),
            files: files.map(PathBuf::from).filter(is_wanted).collect(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::SystemTime;

    use super::*;

    /// Images so many days old, the newest first.
    fn images(parent: &Path, count: u64) -> Vec<PathBuf> {
        let image = |age: u64| {
            let directory = parent.join(format!("image-{age}"));
            fs::create_dir(&directory).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age * 24 * 60 * 60);
            File::create(directory.join("image.json")).unwrap().set_modified(then).unwrap();
            directory
        };
        (0..count).map(image).collect()
    }

    #[test]
    fn old_images_are_pruned_unless_they_are_in_use() {
        let parent = tempfile::tempdir().unwrap();
        let images = images(parent.path(), IMAGES as u64 + 3);
        hold(&images[IMAGES + 1]);
        prune(&images[0]);
        let kept: Vec<bool> = images[IMAGES..].iter().map(|it| it.exists()).collect();
        assert_eq!(kept, [false, true, false]);
        assert!(images[..IMAGES].iter().all(|it| it.exists()));
    }

    #[test]
    fn an_image_that_was_built_again_is_held_again() {
        let parent = tempfile::tempdir().unwrap();
        let image = images(parent.path(), 1).remove(0);
        hold(&image);
        fs::remove_dir_all(&image).unwrap();
        fs::create_dir(&image).unwrap();
        hold(&image);
        assert!(open_lock(&image.join(IN_USE)).unwrap().try_lock().is_err());
    }

    #[test]
    fn a_build_of_another_kernel_is_waited_for_and_the_wait_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let other = RefCell::new(Some(File::create(&path).unwrap()));
        other.borrow().as_ref().unwrap().lock().unwrap();
        let told = RefCell::new(Vec::new());
        // The other one is done as soon as somebody was told.
        let report = |progress: &Progress| {
            told.borrow_mut().push(progress.what.clone());
            other.borrow_mut().take();
        };
        wait_for_build(&File::create(&path).unwrap(), &report).unwrap();
        assert_eq!(*told.borrow(), ["waiting for another kernel, which builds the image"]);

        told.borrow_mut().clear();
        wait_for_build(&File::create(&path).unwrap(), &report).unwrap();
        assert!(told.borrow().is_empty());
    }
}

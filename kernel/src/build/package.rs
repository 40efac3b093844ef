//! What a user's Cargo package adds to the image: its dependencies, its features, its edition.
//!
//! cargo itself reads the package's manifest (`cargo metadata`), so that workspaces, renames and optional
//! dependencies mean what they mean everywhere. The image of a package is a crate of its own that names
//! brooklet, polars and those dependencies; it is built with the same profile, in the same target directory
//! and from the same versions as the plain image, so that of polars nothing is compiled twice unless the
//! package asks for other features of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::BuildError;

/// The release of polars that brooklet is written for.
const POLARS: &str = "0.55";

/// A package's part of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackageSpec {
    /// Hash of the manifests, the lock file and the sources of path dependencies.
    pub key: String,
    pub name: String,
    pub edition: String,
    /// What `env!` finds: cargo's variables about the package.
    pub environment: Vec<(String, String)>,
    /// The package's features that are on: the default ones.
    pub features: Vec<String>,
    pub dependencies: Vec<Dependency>,
}

/// One dependency as the image's manifest has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// How the user's code calls the crate.
    pub name: String,
    pub package: String,
    /// The value in the manifest.
    pub value: toml::Table,
    /// `cfg(unix)`, where it is for some targets only.
    pub target: Option<String>,
}

impl PackageSpec {
    /// Hash of all that the answer of `read` depends on.
    pub fn key_of(directory: &Path) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut seen = BTreeSet::new();
        hash_package(directory, &mut seen, false, &mut hasher);
        hasher.finalize().to_hex().to_string()
    }

    /// Asks cargo about a package.
    ///
    /// # Errors
    /// As cargo words them; or if the package needs another polars.
    pub fn read(directory: &Path) -> Result<PackageSpec, BuildError> {
        let manifest = directory.join("Cargo.toml");
        let metadata = cargo_metadata(&manifest, &["--no-deps"])?;
        let package = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|it| it["manifest_path"].as_str().map(Path::new) == Some(&*manifest))
            .ok_or_else(|| BuildError::new(format!("{} is no package", manifest.display())))?;
        let text = |it: &Json| it.as_str().unwrap_or_default().to_owned();
        let features = features(&package["features"]);
        let locked = locked_versions(directory);
        let mut dependencies = Vec::new();
        for json in package["dependencies"].as_array().into_iter().flatten() {
            let name = text(&json["name"]);
            if json["kind"].is_string() || name == "brooklet" {
                continue; // for tests and build scripts; or ours
            }
            let key = json["rename"].as_str().unwrap_or(&name).to_owned();
            if json["optional"] == true && !features.dependencies.contains(&key) {
                continue;
            }
            let version = text(&json["req"]);
            if name == "polars" && !version.trim_start_matches(['^', '=', '~']).starts_with(POLARS) {
                return Err(BuildError {
                    message: format!(
                        "`{}` depends on polars {version}, and Brooklet on {POLARS}",
                        text(&package["name"])
                    ),
                    output: String::new(),
                    hint: Some(format!(
                        "values are shared, so it must be one release: write `polars = \"{POLARS}\"`"
                    )),
                });
            }
            let extra = features.of_dependencies.get(&key).cloned().unwrap_or_default();
            dependencies.push(Dependency {
                value: value(json, &name, &key, locked.get(&name), extra),
                package: name,
                name: key,
                target: json["target"].as_str().map(str::to_owned),
            });
        }
        Ok(PackageSpec {
            key: PackageSpec::key_of(directory),
            name: text(&package["name"]),
            edition: text(&package["edition"]),
            environment: environment(directory, &text(&package["name"]), &text(&package["version"])),
            features: features.on.into_iter().collect(),
            dependencies,
        })
    }

    /// The image crate's manifest. `ours` is the manifest of Brooklet's workspace in `source`.
    pub fn manifest(&self, crate_name: &str, source: &Path, ours: &toml::Table) -> toml::Table {
        let table = |pairs: &[(&str, toml::Value)]| -> toml::Table {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let text = |it: &str| toml::Value::String(it.to_owned());
        let mut dependencies = toml::Table::new();
        let mut targets: BTreeMap<String, toml::Table> = BTreeMap::new();
        for it in &self.dependencies {
            match &it.target {
                Some(target) => targets.entry(target.clone()).or_default(),
                None => &mut dependencies,
            }
            .insert(it.name.clone(), it.value.clone().into());
        }
        dependencies
            .insert("brooklet".to_owned(), table(&[("path", text(&source.to_string_lossy()))]).into());
        let polars = ours_of(ours, &["workspace", "dependencies", "polars"]);
        let asked = dependencies.get("polars").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        dependencies.insert("polars".to_owned(), both(&polars, &asked).into());
        let targets =
            targets.into_iter().map(|(target, all)| (target, table(&[("dependencies", all.into())]).into()));
        table(&[
            (
                "package",
                table(&[("name", text(crate_name)), ("version", text("0.0.0")), ("edition", text("2024"))])
                    .into(),
            ),
            ("lib", table(&[("crate-type", toml::Value::Array(vec![text("dylib")]))]).into()),
            ("dependencies", dependencies.into()),
            ("target", toml::Table::from_iter(targets).into()),
            ("workspace", table(&[("resolver", text("1"))]).into()),
            ("profile", table(&[("release", ours_of(ours, &["profile", "release"]).into())]).into()),
        ])
    }

    /// What a first build costs beyond the crates that the package adds; empty if nothing.
    pub fn cost(&self, ours: &toml::Table) -> String {
        let polars = ours_of(ours, &["workspace", "dependencies", "polars"]);
        let asked = self.dependencies.iter().find(|it| it.package == "polars");
        match asked {
            Some(it) if both(&polars, &it.value) != polars => format!(
                "`{}` asks for other features of polars, which is compiled anew: about ten minutes on two cores, once",
                self.name
            ),
            _ => format!(
                "the image for `{}` adds {} crates and what they need",
                self.name,
                self.dependencies.len()
            ),
        }
    }
}

fn environment(directory: &Path, name: &str, version: &str) -> Vec<(String, String)> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = plain.split('.');
    let mut number = || numbers.next().unwrap_or_default().to_owned();
    let pairs = [
        ("CARGO_MANIFEST_DIR", directory.to_string_lossy().into_owned()),
        ("CARGO_PKG_NAME", name.to_owned()),
        ("CARGO_CRATE_NAME", name.replace('-', "_")),
        ("CARGO_PKG_VERSION", version.to_owned()),
        ("CARGO_PKG_VERSION_MAJOR", number()),
        ("CARGO_PKG_VERSION_MINOR", number()),
        ("CARGO_PKG_VERSION_PATCH", number()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs `cargo metadata`.
///
/// # Errors
/// If cargo is not there or does not understand the manifest.
pub fn cargo_metadata(manifest: &Path, arguments: &[&str]) -> Result<Json, BuildError> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| BuildError::new(format!("cargo cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(BuildError {
            message: format!("cargo does not understand {}", manifest.display()),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            hint: None,
        });
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| BuildError::new(format!("cargo metadata: {error}")))
}

fn ours_of(manifest: &toml::Table, path: &[&str]) -> toml::Table {
    let mut at = toml::Value::Table(manifest.clone());
    for name in path {
        at = at.get(name).cloned().unwrap_or(toml::Value::Table(toml::Table::new()));
    }
    at.as_table().cloned().unwrap_or_default()
}

/// Our polars with the features that the user asks for as well.
fn both(ours: &toml::Table, asked: &toml::Table) -> toml::Table {
    let features = |of: &toml::Table| -> Vec<toml::Value> {
        of.get("features").and_then(toml::Value::as_array).cloned().unwrap_or_default()
    };
    let mut both = ours.clone();
    let mut all = features(ours);
    for feature in features(asked) {
        if !all.contains(&feature) {
            all.push(feature);
        }
    }
    both.insert("features".to_owned(), all.into());
    // Our features are those of every day: what `default` means beyond them is rarely what a package needs, and
    // costs ten minutes. Who writes `polars = "0.55"` gets ours.
    both
}

/// A dependency as a manifest has it.
fn value(
    json: &Json,
    name: &str,
    key: &str,
    locked: Option<&String>,
    extra: BTreeSet<String>,
) -> toml::Table {
    let mut value = toml::Table::new();
    let mut set = |name: &str, it: toml::Value| drop(value.insert(name.to_owned(), it));
    if key != name {
        set("package", name.into());
    }
    let source = json["source"].as_str().unwrap_or_default();
    if let Some(path) = json["path"].as_str() {
        set("path", path.into());
    } else if let Some(git) = source.strip_prefix("git+") {
        let (url, query) = git.split_once('?').unwrap_or((git, ""));
        set("git", url.split('#').next().unwrap_or(url).into());
        match (locked, query.split('#').next().and_then(|it| it.split_once('='))) {
            (Some(commit), _) => set("rev", commit.as_str().into()),
            (None, Some((kind, value))) => set(kind, value.into()),
            (None, None) => {}
        }
    } else {
        let written = json["req"].as_str().unwrap_or("*");
        set("version", locked.map_or_else(|| written.to_owned(), |it| format!("={it}")).into());
        if let Some(registry) = json["registry"].as_str() {
            set("registry-index", registry.into());
        }
    }
    let features =
        json["features"].as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned);
    let features: BTreeSet<String> = features.chain(extra).collect();
    if !features.is_empty() {
        set("features", features.into_iter().map(toml::Value::from).collect::<Vec<_>>().into());
    }
    if json["uses_default_features"] == false {
        set("default-features", false.into());
    }
    value
}

#[derive(Default)]
struct Features {
    on: BTreeSet<String>,
    /// Optional dependencies that are on.
    dependencies: BTreeSet<String>,
    of_dependencies: BTreeMap<String, BTreeSet<String>>,
}

/// What `default` turns on, as cargo defines it.
fn features(json: &Json) -> Features {
    let mut features = Features::default();
    let mut open = vec!["default".to_owned()];
    while let Some(name) = open.pop() {
        if let Some(dependency) = name.strip_prefix("dep:") {
            features.dependencies.insert(dependency.to_owned());
        } else if let Some((dependency, feature)) = name.split_once('/') {
            let plain = dependency.trim_end_matches('?');
            if plain == dependency {
                features.dependencies.insert(plain.to_owned());
            }
            features.of_dependencies.entry(plain.to_owned()).or_default().insert(feature.to_owned());
        } else if let Some(others) = json[&name].as_array()
            && features.on.insert(name)
        {
            open.extend(others.iter().filter_map(Json::as_str).map(str::to_owned));
        }
    }
    features
}

/// Versions, or commits, by name of what the user's lock file holds once, and ours not at all: those are kept.
fn locked_versions(directory: &Path) -> BTreeMap<String, String> {
    // Of a git dependency the commit is what is locked.
    let version = |it: &toml::Value| {
        let text = |name: &str| it.get(name).and_then(|it| it.as_str());
        let commit = text("source").filter(|it| it.starts_with("git+")).and_then(|it| it.split_once('#'));
        commit.map(|it| it.1).or(text("version")).map(str::to_owned)
    };
    let read = |file: PathBuf| -> Option<Vec<(String, String)>> {
        let lock: toml::Table = toml::from_str(&fs::read_to_string(file).ok()?).ok()?;
        let name = |it: &toml::Value| it.get("name").and_then(|it| it.as_str()).map(str::to_owned);
        let packages = lock.get("package")?.as_array()?;
        Some(packages.iter().filter_map(|it| Some((name(it)?, version(it)?))).collect())
    };
    let ours: BTreeSet<String> = read(super::image::source_directory().join("Cargo.lock"))
        .into_iter()
        .flatten()
        .map(|it| it.0)
        .collect();
    let theirs = directory.ancestors().find_map(|it| read(it.join("Cargo.lock"))).unwrap_or_default();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version) in theirs.into_iter().filter(|it| !ours.contains(&it.0)) {
        found.entry(name).or_default().push(version);
    }
    found.into_iter().filter(|it| it.1.len() == 1).map(|(name, mut all)| (name, all.remove(0))).collect()
}

/// The manifests and lock files that say how a package is built; of path dependencies the sources too.
fn hash_package(
    directory: &Path,
    seen: &mut BTreeSet<PathBuf>,
    with_sources: bool,
    hasher: &mut blake3::Hasher,
) {
    if !seen.insert(directory.to_owned()) {
        return;
    }
    let mut paths = Vec::new();
    for above in directory.ancestors() {
        for name in ["Cargo.toml", "Cargo.lock"] {
            let Ok(text) = fs::read_to_string(above.join(name)) else { continue };
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
            if name == "Cargo.toml" {
                let table: toml::Table = toml::from_str(&text).unwrap_or_default();
                paths_in(&toml::Value::Table(table), above, &mut paths);
            }
        }
    }
    if with_sources {
        hash_files(directory, hasher);
    }
    for path in paths {
        // Brooklet's own sources are in the key of every image already.
        if path != super::image::source_directory() {
            hash_package(&path, seen, true, hasher);
        }
    }
}

/// All files below a directory: a build script, an included table and a header count like sources. Of a large file
/// its length and time stand for it.
fn hash_files(directory: &Path, hasher: &mut blake3::Hasher) {
    const LARGE: u64 = 1 << 20;
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        let Ok(metadata) = fs::metadata(&path) else { continue };
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        if metadata.is_dir() {
            hash_files(&path, hasher);
        } else if metadata.len() > LARGE {
            hasher.update(&metadata.len().to_le_bytes());
            hasher.update(&metadata.mtime().to_le_bytes()).update(&metadata.mtime_nsec().to_le_bytes());
        } else {
            hasher.update(blake3::hash(&fs::read(&path).unwrap_or_default()).as_bytes());
        }
    }
}

/// Directories that dependencies of a manifest name.
fn paths_in(value: &toml::Value, directory: &Path, into: &mut Vec<PathBuf>) {
    let Some(table) = value.as_table() else { return };
    for (name, value) in table {
        match value.as_str() {
            Some(path) if name == "path" && directory.join(path).join("Cargo.toml").is_file() => {
                into.extend(fs::canonicalize(directory.join(path)));
            }
            _ => paths_in(value, directory, into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory_with;

    const MANIFEST: &str = r#"
        [package]
        name = "shop"
        version = "0.1.0"
        edition = "2021"
        [features]
        default = ["fast", "dep:rand"]
        fast = ["smallvec/union"]
        slow = []
        [dependencies]
        brooklet = "0.1"
        polars = { version = "0.55", features = ["lazy", "asof_join"] }
        rand = { version = "0.8", optional = true }
        heavy = { version = "1", optional = true }
        small = { package = "smallvec", version = "1", default-features = false }
        smallvec = "1"
        util = { path = "util" }
        [target.'cfg(unix)'.dependencies]
        nix = "0.29"
        [dev-dependencies]
        insta = "1"
    "#;

    fn shop(manifest: &str) -> tempfile::TempDir {
        directory_with(&[
            ("Cargo.toml", manifest),
            ("src/lib.rs", ""),
            ("util/Cargo.toml", "[package]\nname = \"util\"\nversion = \"0.1.0\"\n"),
            ("util/src/lib.rs", ""),
        ])
    }

    #[test]
    fn a_package_brings_what_its_default_features_turn_on() {
        let directory = shop(MANIFEST);
        let spec = PackageSpec::read(directory.path()).expect("cargo reads it");
        assert_eq!((&*spec.name, &*spec.edition), ("shop", "2021"));
        assert_eq!(spec.features, ["default", "fast"]);
        let mut names: Vec<&str> = spec.dependencies.iter().map(|it| &*it.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["nix", "polars", "rand", "small", "smallvec", "util"]);
        let ours: toml::Table = toml::from_str(
            "[workspace.dependencies]\npolars = { version = \"0.55\", features = [\"lazy\"], default-features = false }\n\
             [profile.release]\nopt-level = 1\n",
        )
        .unwrap();
        let manifest = spec.manifest("brooklet-image-x", Path::new("/b"), &ours);
        let at = |path: &[&str]| ours_of(&manifest, path);
        assert_eq!(at(&["dependencies", "small"]).get("package"), Some(&"smallvec".into()));
        assert_eq!(at(&["dependencies", "small"]).get("default-features"), Some(&false.into()));
        assert_eq!(at(&["dependencies", "smallvec"])["features"].to_string(), "[\"union\"]");
        assert_eq!(at(&["dependencies", "polars"])["features"].to_string(), "[\"lazy\", \"asof_join\"]");
        assert_eq!(at(&["dependencies", "brooklet"])["path"], "/b".into());
        assert_eq!(at(&["target", "cfg(unix)", "dependencies", "nix"])["version"], "^0.29".into());
        assert!(at(&["dependencies", "util"])["path"].as_str().unwrap().ends_with("/util"));
        assert_eq!(at(&["profile", "release"])["opt-level"], 1.into());
        assert!(spec.cost(&ours).contains("compiled anew"), "{}", spec.cost(&ours));
    }

    #[test]
    fn another_polars_and_a_broken_manifest_are_told() {
        let other =
            shop("[package]\nname = \"shop\"\nversion = \"0.1.0\"\n[dependencies]\npolars = \"0.50\"\n");
        let error = PackageSpec::read(other.path()).unwrap_err();
        assert_eq!(error.message, "`shop` depends on polars ^0.50, and Brooklet on 0.55");
        let broken = shop("[package]\nname = \n");
        let error = PackageSpec::read(broken.path()).unwrap_err();
        assert!(error.message.starts_with("cargo does not understand"), "{error}");
        assert!(error.output.contains("Cargo.toml"), "{error}");
    }

    #[test]
    fn the_key_follows_manifests_and_the_sources_of_path_dependencies() {
        let directory = shop(MANIFEST);
        let key = || PackageSpec::key_of(directory.path());
        let first = key();
        fs::write(directory.path().join("src/lib.rs"), "pub mod a;").expect("written");
        assert_eq!(key(), first);
        fs::write(directory.path().join("util/src/lib.rs"), "pub fn a() {}").expect("written");
        let second = key();
        assert_ne!(second, first);
        fs::write(directory.path().join("Cargo.toml"), format!("{MANIFEST}\n")).expect("written");
        assert_ne!(key(), second);
    }
}

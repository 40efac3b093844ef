//! Tests written in Python, because that is where Jupyter's clients are. One Rust test for each file.
//!
//! They run in a virtual environment in the user's cache, made on first need from
//! `tests/python/requirements.txt` and made anew when that file or the interpreter changes. The image is
//! built before the first of them, so that no test's patience has to cover a long build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_brooklet");

#[test]
fn acceptance() {
    run("test_acceptance.py", &[]);
}

#[test]
fn cells() {
    run("test_cells.py", &[]);
}

#[test]
fn faults() {
    run("test_faults.py", &[]);
}

#[test]
fn generation_safety() {
    run("test_generation_safety.py", &[]);
}

#[test]
fn hardening() {
    run("test_hardening.py", &[]);
}

#[test]
fn jupyter_kernel_test() {
    run("test_protocol_suite.py", &[]);
}

#[test]
fn language() {
    run("test_language.py", &[]);
}

#[test]
fn live() {
    run("test_live.py", &[]);
}

#[test]
fn package() {
    run("test_package.py", &[]);
}

#[test]
fn reload() {
    run("test_reload.py", &[]);
}

#[test]
fn runs() {
    run("test_runs.py", &[]);
}

#[test]
fn saves() {
    run("test_saves.py", &[]);
}

#[test]
fn store() {
    run("test_store.py", &[]);
}

#[test]
fn stress() {
    run("test_stress.py", &[]);
}

#[test]
fn tables() {
    run("test_tables.py", &[]);
}

#[test]
fn tools() {
    run("test_tools.py", &[]);
}

#[test]
fn every_python_file_is_run() {
    let source = include_str!("python.rs").to_owned() + include_str!("browser.rs");
    for entry in fs::read_dir(repository().join("tests/python")).expect("tests/python can be listed") {
        let name =
            entry.expect("tests/python can be listed").file_name().into_string().expect("names are UTF-8");
        if name.starts_with("test_") {
            assert!(source.contains(&format!("\"{name}\"")), "no test runs tests/python/{name}");
        }
    }
}

/// Runs pytest on a file of `tests/python`; its output is printed as it comes.
pub fn run(file: &str, environment: &[(&str, &Path)]) {
    // One at a time: they measure patience in seconds, and two compilers at once would double every one.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let python = prepared();
    let status = Command::new(python)
        .args(["-m", "pytest", file])
        .current_dir(repository().join("tests/python"))
        .env("BROOKLET", EXECUTABLE)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .status()
        .expect("python can be started");
    assert!(status.success(), "tests/python/{file} failed ({status}); its report stands above");
}

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the kernel's package is in the repository")
        .to_owned()
}

/// The environment's interpreter, with the image built.
fn prepared() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let python = environment();
        build_image();
        python
    })
}

/// Makes the virtual environment unless there is one of these requirements.
fn environment() -> PathBuf {
    let cache = cache_directory();
    fs::create_dir_all(&cache).expect("the cache can be written");
    let lock = File::create(cache.join("test-venv.lock")).expect("the cache can be written");
    lock.lock().expect("the lock can be had");
    let directory = cache.join("test-venv");
    let python = directory.join("bin").join("python");
    let requirements = repository().join("tests/python/requirements.txt");
    let stamp = stamp(&requirements);
    let stamp_file = directory.join("brooklet-stamp");
    if fs::read_to_string(&stamp_file).is_ok_and(|it| it == stamp) {
        return python;
    }
    eprintln!("making {} for the Python tests (once)", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("the old environment can be removed");
    }
    must(Command::new("python3").args(["-m", "venv"]).arg(&directory), "install Python 3 with venv");
    must(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
        "see that the Python package index can be reached",
    );
    // Written last: an environment without a stamp is one whose making was interrupted.
    fs::write(stamp_file, stamp).expect("the cache can be written");
    python
}

/// What the environment was made from.
fn stamp(requirements: &Path) -> String {
    let version = Command::new("python3").arg("--version").output().expect("Python 3 is installed");
    String::from_utf8_lossy(&version.stdout).into_owned()
        + &fs::read_to_string(requirements).expect("the requirements can be read")
}

/// Runs a notebook that needs the image, which builds it and shows how far it is.
fn build_image() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    fs::write(directory.path().join("flow.rs"), "pub fn ready() -> bool { true }\n")
        .expect("it can be written");
    let cell = r#"{"cell_type": "code", "execution_count": null, "metadata": {}, "outputs": [],
                   "source": "%watch flow.rs\n%run ready"}"#;
    let notebook = format!(r#"{{"cells": [{cell}], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 4}}"#);
    fs::write(directory.path().join("image.ipynb"), notebook).expect("it can be written");
    must(
        Command::new(EXECUTABLE).args(["run", "image.ipynb"]).current_dir(directory.path()),
        "its output stands above",
    );
}

fn must(command: &mut Command, hint: &str) {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status();
    let well = status.as_ref().is_ok_and(|it| it.success());
    assert!(well, "{name} failed ({status:?}); {hint}");
}

fn cache_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|it| it.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("brooklet")
}

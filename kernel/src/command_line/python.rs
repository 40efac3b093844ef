//! Python tools: finding them, and a virtual environment of our own where they are missing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::cache::cache_directory;

/// JupyterLab's major version that the kernel is tested with.
const JUPYTERLAB: &str = "jupyterlab>=4,<5";

/// A JupyterLab to start.
pub struct JupyterLab {
    pub program: PathBuf,
    /// Where its environment keeps data, if the environment is ours.
    pub prefix: Option<PathBuf>,
}

/// The first line that a command prints, if it succeeds.
pub fn first_line_of(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The JupyterLab on the path, with its version.
pub fn jupyter_on_path() -> Option<String> {
    first_line_of("jupyter", &["lab", "--version"])
}

/// Where our own environment is, made or not.
pub fn own_environment() -> PathBuf {
    cache_directory().join("venv")
}

pub fn own_jupyter() -> Option<PathBuf> {
    let program = own_environment().join("bin").join("jupyter-lab");
    first_line_of(&program, &["--version"]).map(|_| program)
}

/// The JupyterLab on the path, else our own, installed now if need be.
///
/// # Errors
/// A sentence and what to do, if Python or the network is missing.
pub fn jupyter_lab() -> Result<JupyterLab, String> {
    if jupyter_on_path().is_some() {
        return Ok(JupyterLab { program: "jupyter-lab".into(), prefix: None });
    }
    let prefix = own_environment();
    if let Some(program) = own_jupyter() {
        return Ok(JupyterLab { program, prefix: Some(prefix) });
    }
    eprintln!("JupyterLab is not installed; installing it into {} (once)", prefix.display());
    make_environment(&prefix)?;
    let program =
        own_jupyter().ok_or_else(|| format!("JupyterLab does not start from {}", prefix.display()))?;
    Ok(JupyterLab { program, prefix: Some(prefix) })
}

fn make_environment(prefix: &Path) -> Result<(), String> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(prefix);
    check(venv, "install Python 3 with its venv module (on Debian: apt-get install python3-venv)")?;
    let mut pip = Command::new(prefix.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", JUPYTERLAB]);
    check(pip, "see that the Python package index can be reached, or install JupyterLab yourself")
}

fn check(mut command: Command, hint: &str) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed ({status})\nhint: {hint}")),
        Err(error) => Err(format!("{name} cannot be started: {error}\nhint: {hint}")),
    }
}

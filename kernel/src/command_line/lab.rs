//! `brooklet lab`: JupyterLab with this kernel, with nothing to set up.
//!
//! The kernel is registered where only the JupyterLab that we start looks, so that trying Brooklet leaves
//! no trace in the user's own Jupyter.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::build::cache::checked_cache_directory;
use crate::command_line::kernelspec::{self, Place};
use crate::command_line::python;

/// Starts JupyterLab on a directory and waits for its end.
pub fn lab(directory: Option<PathBuf>, arguments: &[OsString]) -> ExitCode {
    match try_lab(directory, arguments) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn try_lab(directory: Option<PathBuf>, arguments: &[OsString]) -> Result<ExitCode, String> {
    let directory = match directory {
        Some(directory) => directory,
        None if PathBuf::from("notebooks").is_dir() => PathBuf::from("notebooks"),
        None => PathBuf::from("."),
    };
    if !directory.is_dir() {
        return Err(format!("there is no directory {}", directory.display()));
    }
    let cache = checked_cache_directory().map_err(|error| error.to_string())?;
    let lab = python::jupyter_lab()?;
    let mut command = Command::new(&lab.program);
    match lab.prefix {
        Some(prefix) => {
            kernelspec::install(&Place::Prefix(prefix))?;
        }
        None => {
            let prefix = cache.join("lab");
            kernelspec::install(&Place::Prefix(prefix.clone()))?;
            let mut path = prefix.join("share").join("jupyter").into_os_string();
            if let Some(others) = std::env::var_os("JUPYTER_PATH") {
                path.push(":");
                path.push(others);
            }
            command.env("JUPYTER_PATH", path);
        }
    }
    command.current_dir(&directory);
    if crate::os::is_root() {
        // JupyterLab refuses root unless told; containers often have no other user.
        command.arg("--allow-root");
    }
    let status = command
        .args(arguments)
        .status()
        .map_err(|error| format!("{} cannot be started: {error}", lab.program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

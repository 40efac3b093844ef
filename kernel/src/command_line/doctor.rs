//! `brooklet doctor`: checks what the kernel needs, and says how to mend what is missing.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::build::cache::checked_cache_directory;
use crate::build::image::{Image, Toolchain, source_directory};
use crate::command_line::kernelspec::{self, Place};
use crate::command_line::python;

/// The first Rust that compiles what the kernel generates.
const OLDEST_RUST: (u32, u32) = (1, 95);

enum State {
    Good,
    /// Something that is wanted only for a part, or that mends itself.
    Warning,
    Bad,
}

struct Check {
    name: &'static str,
    state: State,
    found: String,
    /// How to mend it; empty where all is well.
    mend: String,
}

/// Prints one line for each check; fails if one of them did.
pub fn doctor() -> ExitCode {
    let mut checks = vec![rust(), rust_src(), linker(), cplusplus()];
    let cache = cache();
    // Nothing is read or started from a directory that may be somebody else's.
    let is_usable = !matches!(cache.state, State::Bad);
    checks.push(cache);
    if is_usable {
        checks.push(image());
    }
    checks.push(python_check());
    if is_usable {
        checks.push(jupyter());
    }
    checks.push(registered());
    for check in &checks {
        let state = match check.state {
            State::Good => "ok  ",
            State::Warning => "warn",
            State::Bad => "FAIL",
        };
        println!("{state}  {:<14} {}", check.name, check.found);
        if !check.mend.is_empty() {
            println!("      {:<14} mend: {}", "", check.mend);
        }
    }
    if checks.iter().any(|it| matches!(it.state, State::Bad)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Check {
        Check { name, state: State::Good, found: found.into(), mend: String::new() }
    }

    fn warning(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Check {
        Check { name, state: State::Warning, found: found.into(), mend: mend.into() }
    }

    fn bad(name: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Check {
        Check { name, state: State::Bad, found: found.into(), mend: mend.into() }
    }
}

fn rust() -> Check {
    let name = "Rust";
    let mend = format!("install Rust {}.{} or later with rustup", OLDEST_RUST.0, OLDEST_RUST.1);
    let Ok(toolchain) = Toolchain::find() else { return Check::bad(name, "rustc does not answer", mend) };
    let line = toolchain.version.lines().next().unwrap_or_default();
    match version_numbers(line) {
        Some(version) if version >= OLDEST_RUST => match python::first_line_of("cargo", &["--version"]) {
            Some(cargo) => Check::good(name, format!("{line}; {cargo}")),
            None => Check::bad(name, format!("{line}, but cargo does not answer"), mend),
        },
        _ => Check::bad(name, format!("{line} is too old"), mend),
    }
}

/// `rustc 1.95.0 (..)` as (1, 95).
fn version_numbers(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn rust_src() -> Check {
    let name = "rust-src";
    let mend =
        "rustup component add rust-src (without it, types and completions of Rust cells are not known)";
    match Toolchain::find() {
        Ok(toolchain) if toolchain.sysroot.join("lib/rustlib/src/rust/library/std").is_dir() => {
            Check::good(name, "the standard library's sources are there")
        }
        Ok(toolchain) => Check::bad(name, format!("not in {}", toolchain.sysroot.display()), mend),
        Err(_) => Check::bad(name, "no toolchain to look in", mend),
    }
}

fn linker() -> Check {
    let name = "linker";
    let mend = "install a C compiler and linker (on Debian: apt-get install build-essential)";
    match compiles("cc", "c", "int main(void) { return 0; }\n") {
        Ok(version) => Check::good(name, version),
        Err(problem) => Check::bad(name, problem, mend),
    }
}

fn cplusplus() -> Check {
    let name = "C++ compiler";
    let mend = "install a C++ compiler (on Debian: apt-get install g++); building the kernel itself needs it";
    match compiles("c++", "c++", "#include <string>\nint main() { return std::string().size(); }\n") {
        Ok(version) => Check::good(name, version),
        // Whoever reads this has an executable already, so nothing fails for the lack of it now.
        Err(problem) => Check::warning(name, problem, mend),
    }
}

/// Compiles and links a program; the compiler's name and version if it can.
fn compiles(compiler: &str, language: &str, program: &str) -> Result<String, String> {
    use std::io::Write;
    let version =
        python::first_line_of(compiler, &["--version"]).ok_or_else(|| format!("there is no `{compiler}`"))?;
    let directory = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let mut child = Command::new(compiler)
        .args(["-x", language, "-", "-o"])
        .arg(directory.path().join("a.out"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{compiler}` cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A compiler that ends early says why on stderr.
        let _ = stdin.write_all(program.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(version);
    }
    let problem = String::from_utf8_lossy(&output.stderr);
    Err(format!("{version} cannot link a program: {}", problem.lines().last().unwrap_or_default()))
}

fn cache() -> Check {
    let name = "cache";
    match checked_cache_directory() {
        Ok(directory) => Check::good(name, directory.display().to_string()),
        Err(error) => Check::bad(name, error.message, error.hint.unwrap_or_default()),
    }
}

fn image() -> Check {
    let name = "image";
    match Image::find(None) {
        Ok(Some(image)) => Check::good(name, format!("built, {}", image.directory.display())),
        Ok(None) => Check::warning(
            name,
            "not built yet",
            "nothing to do: the first cell that needs it builds it and shows the progress",
        ),
        Err(error) => Check::bad(
            name,
            error.message,
            format!("keep Brooklet's sources at {}, or build it anew", source_directory().display()),
        ),
    }
}

fn python_check() -> Check {
    let name = "Python";
    let mend = "install Python 3.9 or later with venv (on Debian: apt-get install python3-venv); only JupyterLab needs it";
    let Some(version) = python::first_line_of("python3", &["--version"]) else {
        return Check::warning(name, "there is no python3", mend);
    };
    match python::first_line_of("python3", &["-c", "import venv, ensurepip"]) {
        Some(_) => Check::good(name, version),
        None => Check::warning(name, format!("{version} without venv"), mend),
    }
}

fn jupyter() -> Check {
    let name = "JupyterLab";
    if let Some(version) = python::jupyter_on_path() {
        return Check::good(name, format!("{version}, on the path"));
    }
    match python::own_jupyter() {
        Some(program) => Check::good(name, program.display().to_string()),
        None => Check::warning(
            name,
            "not installed",
            "`brooklet lab` installs its own; `brooklet run` needs none",
        ),
    }
}

fn registered() -> Check {
    let name = "kernelspec";
    let mend =
        "`brooklet install` registers the kernel for your own Jupyter; `brooklet lab` needs no registration";
    let directory = match Place::User.directory() {
        Ok(directory) => directory,
        Err(problem) => return Check::warning(name, problem, mend),
    };
    let this = std::env::current_exe().ok();
    match kernelspec::installed_executable(&directory) {
        None => Check::warning(name, "not registered for this user", mend),
        Some(executable) if !Path::new(&executable).exists() => {
            Check::bad(name, format!("{} is gone", executable.display()), "`brooklet install` again")
        }
        Some(executable) if Some(&executable) != this.as_ref() => Check::warning(
            name,
            format!("starts another executable, {}", executable.display()),
            "`brooklet install` registers this one",
        ),
        Some(_) => Check::good(name, directory.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_numbers("rustc 1.95.0 (abc 2026-04-14)"), Some((1, 95)));
        assert!(version_numbers("rustc 1.100.1-nightly").unwrap() > OLDEST_RUST);
        assert_eq!(version_numbers("gibberish"), None);
    }

    #[test]
    fn a_compiler_that_is_absent_or_fails_says_so() {
        assert!(compiles("no-such-compiler", "c", "").unwrap_err().contains("there is no"));
        assert!(compiles("cc", "c", "int main(void) { return missing(); }").is_err());
        assert!(compiles("cc", "c", "int main(void) { return 0; }").is_ok());
    }
}

//! The command line: what `brooklet` can be asked to do.
//!
//! Two kinds of commands share one executable. People call `lab`, `run`, `install`, `uninstall` and
//! `doctor`; Jupyter calls `kernel`; the kernel calls `worker`, `cells` and `bridge` for its children.

mod doctor;
mod kernelspec;
mod lab;
mod python;
mod run;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::build::cache::checked_cache_directory;
use crate::engine::Engine;
use crate::session::{Options, Session};
use crate::signals::{Caught, SIGHUP, SIGTERM};
use crate::{cells, jupyter, os, worker};
use kernelspec::Place;

/// A Jupyter kernel for Rust dataflows.
#[derive(Parser)]
#[command(name = "brooklet", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start JupyterLab with this kernel (installed into a cache if it is absent)
    Lab {
        /// Directory to open [default: notebooks, if there is one]
        directory: Option<PathBuf>,
        /// Arguments for JupyterLab, after `--`
        #[arg(last = true)]
        jupyter: Vec<OsString>,
    },
    /// Execute a notebook without Jupyter; write the executed notebook and an HTML page
    Run {
        notebook: PathBuf,
        /// Where the results go [default: target/<name of the notebook>]
        #[arg(long, value_name = "DIR")]
        output_dir: Option<PathBuf>,
        /// Go on after a cell that fails, and count the run as a success
        #[arg(long)]
        allow_errors: bool,
    },
    /// Register the kernel with Jupyter
    Install(Where),
    /// Remove the registration
    Uninstall(Where),
    /// Check what the kernel needs, and say how to mend what is missing
    Doctor,
    /// Serve a Jupyter frontend (Jupyter starts this itself)
    Kernel {
        #[arg(long, value_name = "FILE")]
        connection_file: PathBuf,
    },
    /// The process that owns the values (the kernel starts it)
    #[command(hide = true)]
    Worker { image: PathBuf },
    /// The process that compiles Rust cells (the kernel starts it)
    #[command(hide = true)]
    Cells,
    /// What evcxr takes for its child; `main` has seen to it where evcxr really is the parent
    #[command(hide = true)]
    Bridge,
}

/// Where a kernelspec is.
#[derive(Args)]
#[group(multiple = false)]
struct Where {
    /// In the user's Jupyter directory (the default)
    #[arg(long)]
    user: bool,
    /// In DIR/share/jupyter, for example of a virtual environment
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let command = Arguments::parse().command;
    log(if matches!(command, Command::Kernel { .. }) { "warn" } else { "off" });
    match command {
        Command::Lab { directory, jupyter } => lab::lab(directory, &jupyter),
        Command::Run { notebook, output_dir, allow_errors } => {
            let options = run::Options { notebook, output_directory: output_dir, allow_errors };
            run::run(&options, || session(false))
        }
        Command::Install(place) => report(kernelspec::install(&place.into()).map(|directory| {
            format!("registered the kernel `{}` in {}", kernelspec::NAME, directory.display())
        })),
        Command::Uninstall(place) => {
            report(kernelspec::uninstall(&place.into()).map(|removed| match removed {
                Some(directory) => format!("removed {}", directory.display()),
                None => "there was nothing to remove".to_owned(),
            }))
        }
        Command::Doctor => doctor::doctor(),
        Command::Kernel { connection_file } => kernel(&connection_file),
        Command::Worker { image } => worker::entry::main(&image),
        Command::Cells => cells::entry::main(),
        Command::Bridge => {
            eprintln!("error: `brooklet bridge` is started by evcxr, not by hand");
            ExitCode::from(2)
        }
    }
}

/// What goes wrong unseen is told on stderr, which for a kernel is the log of the Jupyter server. `BROOKLET_LOG` says
/// what else is of interest, such as `reload=debug`.
fn log(otherwise: &str) {
    let filter = EnvFilter::try_from_env("BROOKLET_LOG").unwrap_or_else(|_| EnvFilter::new(otherwise));
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(on_terminal)
        .with_writer(std::io::stderr)
        .init();
}

/// The engine behind both frontends, for the notebook in the current directory.
fn session(follow: bool) -> Result<Arc<dyn Engine>, String> {
    checked_cache_directory().map_err(|error| error.to_string())?;
    let directory =
        std::env::current_dir().map_err(|error| format!("there is no current directory: {error}"))?;
    Session::start(Options { directory, follow })
        .map_err(|error| format!("the session cannot start: {error}"))
}

fn kernel(connection_file: &Path) -> ExitCode {
    os::ignore_sigint();
    let served = || {
        // Before the session makes its directory, which from then on must not be left behind.
        let signals = Caught::new(&[SIGTERM, SIGHUP])
            .map_err(|error| format!("the kernel cannot catch signals: {error}"))?;
        let engine = session(true)?;
        jupyter::serve(connection_file, engine.clone(), Some(signals)).map_err(|error| {
            engine.shutdown();
            error.to_string()
        })
    };
    match served() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

impl From<Where> for Place {
    fn from(it: Where) -> Place {
        it.prefix.map_or(Place::User, Place::Prefix)
    }
}

fn report(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_jupyters() {
        let arguments = Arguments::parse_from(["brooklet", "lab", "here", "--", "--no-browser"]);
        let Command::Lab { directory, jupyter } = arguments.command else { panic!("not `lab`") };
        assert_eq!((directory, jupyter), (Some("here".into()), vec!["--no-browser".into()]));
    }
}

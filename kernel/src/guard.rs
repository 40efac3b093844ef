//! `brooklet guard COMMAND…`: runs a command that must not outlive the kernel.
//!
//! cargo starts compilers, which start linkers. When the kernel is killed, nobody is left to end them, and the
//! signal that a child can ask for reaches the child alone. So the guard leads a process group that holds
//! them all, holds a pipe from the kernel, and kills the group when the pipe ends.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

use crate::{executable, os};

const NAME: &str = "guard";

/// A command that runs `program` under guard. Its stdin must be piped and kept open until it has ended.
///
/// # Errors
/// If this executable cannot be found.
pub fn command(program: OsString) -> std::io::Result<Command> {
    let mut command = Command::new(executable::path()?);
    command.arg(NAME).arg(program).stdin(Stdio::piped());
    os::lead_group(&mut command);
    Ok(command)
}

/// Is the guard, if the command line says so.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != NAME {
        return None;
    }
    let program = arguments.next()?;
    os::ignore_sigint();
    os::die_with_group_on_hangup(0);
    let status = Command::new(&program).args(arguments).stdin(Stdio::null()).status();
    Some(match status {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("{} cannot be started: {error}", program.to_string_lossy());
            ExitCode::from(127)
        }
    })
}

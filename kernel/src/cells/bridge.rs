//! `brooklet bridge`: the child in which evcxr believes its cells run.
//!
//! It runs nothing. It passes each `LOAD_AND_RUN` on to the kernel, which has the worker do it, and tells
//! evcxr how that ended: the control lines that the cell's code printed, then the line of completion. When
//! the worker died it dies too, which is how evcxr learns that the variables are gone.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::protocol::{self, CONNECTED, Hello, LoadAndRun, Ran, Role, SOCKET, VERSION};
use crate::os;

/// What evcxr waits for after `LOAD_AND_RUN`.
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// Runs the bridge until evcxr closes its standard input.
pub fn main() -> ExitCode {
    os::ignore_sigint();
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else {
        eprintln!("`brooklet bridge` is started by evcxr, not by hand");
        return ExitCode::from(2);
    };
    match relay(&socket, io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("the bridge to the kernel broke: {error}");
            ExitCode::FAILURE
        }
    }
}

fn relay(socket: &Path, from_evcxr: impl BufRead, to_evcxr: &mut impl Write) -> io::Result<ExitCode> {
    let mut kernel: Option<(BufReader<UnixStream>, UnixStream)> = None;
    for line in from_evcxr.lines() {
        let request = load_and_run(&line?)?;
        // While evcxr only tries itself out, on a cell `42`, there is nobody to run it, and no need to.
        if kernel.is_none() && socket.with_file_name(CONNECTED).exists() {
            let mut stream = UnixStream::connect(socket)?;
            protocol::send(&mut stream, &Hello { version: VERSION, role: Role::Bridge })?;
            kernel = Some((BufReader::new(stream.try_clone()?), stream));
        }
        if let Some((from_kernel, to_kernel)) = &mut kernel {
            protocol::send(to_kernel, &request)?;
            let Some(ran) = protocol::receive::<Ran>(from_kernel)? else { return Ok(ExitCode::FAILURE) };
            if ran.died {
                return Ok(ExitCode::FAILURE);
            }
            for control_line in ran.control_lines {
                writeln!(to_evcxr, "{control_line}")?;
            }
        }
        writeln!(to_evcxr, "{COMPLETE}")?;
        to_evcxr.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `LOAD_AND_RUN <library> <function>`; the library's path may hold spaces, the function may not.
fn load_and_run(line: &str) -> io::Result<LoadAndRun> {
    line.strip_prefix("LOAD_AND_RUN ")
        .and_then(|rest| rest.rsplit_once(' '))
        .map(|(library, function)| LoadAndRun { library: library.to_owned(), function: function.to_owned() })
        .ok_or_else(|| io::Error::other(format!("evcxr sent what this version does not know: {line}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_path_may_hold_spaces() {
        let request = load_and_run("LOAD_AND_RUN /tmp/a b/libcode_1.so run_user_code_0").unwrap();
        assert_eq!(request.library, "/tmp/a b/libcode_1.so");
        assert_eq!(request.function, "run_user_code_0");
        assert!(load_and_run("SOMETHING_ELSE").is_err());
    }

    #[test]
    fn before_the_kernel_is_asked_for_every_cell_completes_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut said = Vec::new();
        let asked = "LOAD_AND_RUN /nowhere/libcode_1.so run_user_code_0\n".as_bytes();
        relay(&directory.path().join("socket"), asked, &mut said).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "EVCXR_EXECUTION_COMPLETE\n");
    }

    #[test]
    fn the_dead_worker_ends_the_bridge_without_a_completion() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        std::fs::write(directory.path().join(CONNECTED), "").unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let kernel = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut from = BufReader::new(stream.try_clone().unwrap());
            let mut to = stream;
            let hello: Hello = protocol::receive(&mut from).unwrap().unwrap();
            assert_eq!(hello.role, Role::Bridge);
            let _: LoadAndRun = protocol::receive(&mut from).unwrap().unwrap();
            let control_lines = vec!["EVCXR_PANIC_NOTIFICATION".to_owned()];
            protocol::send(&mut to, &Ran { control_lines, died: false }).unwrap();
            let _: LoadAndRun = protocol::receive(&mut from).unwrap().unwrap();
            protocol::send(&mut to, &Ran { control_lines: Vec::new(), died: true }).unwrap();
        });
        let mut said = Vec::new();
        let asked = "LOAD_AND_RUN /a.so one\nLOAD_AND_RUN /b.so two\nLOAD_AND_RUN /c.so three\n".as_bytes();
        relay(&socket, asked, &mut said).unwrap();
        kernel.join().unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), "EVCXR_PANIC_NOTIFICATION\nEVCXR_EXECUTION_COMPLETE\n");
    }
}

//! What the standard library does not offer of Unix, and all `unsafe` of this crate.
//!
//! Children are started so that none outlives the kernel: each leads a process group of its own, which is
//! killed whole, and each notices by itself when the kernel is gone, also after `kill -9`.
#![allow(unsafe_code, reason = "the one file of this crate that calls the system directly")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Makes the child lead a new process group, so that `kill_group` reaches all that it starts.
pub fn lead_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Makes the system kill the child when the thread that starts it ends.
///
/// Only for children whose starting thread waits for them: the signal follows the thread, not the process.
pub fn die_with_thread(command: &mut Command) -> &mut Command {
    let parent = std::process::id();
    // SAFETY: the closure runs between fork and exec and makes only async-signal-safe calls.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the request was in force.
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        })
    }
}

/// Hands an open file to the child under a fixed number.
pub fn pass_fd(command: &mut Command, fd: OwnedFd, number: RawFd) -> &mut Command {
    // SAFETY: dup2 and fcntl are async-signal-safe; the closure owns `fd`, which stays open until then.
    unsafe {
        command.pre_exec(move || {
            if fd.as_raw_fd() == number {
                if libc::fcntl(number, libc::F_SETFD, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
            } else if libc::dup2(fd.as_raw_fd(), number) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        })
    }
}

/// Takes over a file that the parent passed with `pass_fd`; it is not inherited further.
///
/// # Errors
/// If no file is open under the number.
pub fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on any number is harmless; it fails on numbers that are not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number is open, and by agreement with the parent nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Kills a process group at once. A group that is gone already is no error.
pub fn kill_group(leader: u32) {
    // 0 and 1 would mean our own group and everybody.
    if leader > 1 {
        // SAFETY: kill has no effect on memory.
        unsafe { libc::kill(-(leader as i32), libc::SIGKILL) };
    }
}

/// Kills one process at once.
pub fn kill_process(pid: u32) {
    if pid > 1 {
        // SAFETY: kill has no effect on memory.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
}

/// Kills this process's whole group, this process included, when the other end of the socket or pipe
/// hangs up. This is how children die with a kernel that was killed.
pub fn die_with_group_on_hangup(fd: RawFd) {
    let watch = move || {
        let mut poll = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
        loop {
            // SAFETY: one valid pollfd; -1 waits for ever.
            let ready = unsafe { libc::poll(&mut poll, 1, -1) };
            if ready > 0
                && poll.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
            {
                // SAFETY: 0 is the own group, which this process leads.
                unsafe {
                    libc::kill(0, libc::SIGKILL);
                    libc::_exit(0);
                }
            }
        }
    };
    // Without this thread the process would outlive its kernel: better not to start at all.
    thread::Builder::new().name("hangup".into()).spawn(watch).expect("a thread can be started");
}

/// Puts SIGINT back to being ignored: the kernel is interrupted by message, and a Ctrl-C in the terminal
/// of JupyterLab would otherwise reach every child.
pub fn ignore_sigint() {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

/// Loads a library and calls the worker's entry in it with the number of the protocol's file.
///
/// # Errors
/// The loader's message, if the library or the function cannot be had.
pub fn call_worker_entry(library: &Path, fd: RawFd) -> Result<i32, String> {
    // SAFETY: the image exports exactly this function with this signature; nothing that belongs to a
    // standard library crosses (both sides have their own). The library is never unloaded.
    unsafe {
        let library = libloading::Library::new(library).map_err(|error| error.to_string())?;
        let entry = library
            .get::<extern "C" fn(i32) -> i32>(b"brooklet_worker\0")
            .map_err(|error| error.to_string())?;
        let code = entry(fd);
        std::mem::forget(library);
        Ok(code)
    }
}

/// Whether the file can be executed by this user.
pub fn is_executable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a valid C string.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() == 0 }
}

//! What the standard library does not offer of Unix, and all `unsafe` of this crate.
//!
//! Children are started so that none outlives the kernel: each leads a process group of its own, which is
//! killed whole, and each notices by itself when the kernel is gone, also after `kill -9`.
#![allow(unsafe_code, reason = "the one file of this crate that calls the system directly")]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Makes the child lead a new process group, so that `kill_group` reaches all that it starts, and keeps
/// from it every descriptor of this process. What it shall have is passed by `pass_fd` after this.
pub fn lead_group(command: &mut Command) -> &mut Command {
    inherit_nothing(command).process_group(0)
}

/// Where the slow way to close descriptors stops. The lowest free number is always taken, so that a process
/// with fewer open at once has none above.
const DESCRIPTORS: RawFd = 16_384;

/// Closes all descriptors but the three standard ones when the child begins to run its program: libraries open
/// some that are inherited, and a child that keeps them keeps what they stand for alive.
fn inherit_nothing(command: &mut Command) -> &mut Command {
    // They may name descriptors of a job server, which are closed as all others.
    for name in ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"] {
        command.env_remove(name);
    }
    // SAFETY: the closure runs between fork and exec and makes only async-signal-safe calls. It closes nothing
    // before exec, so that by then the standard library's own descriptors still work.
    unsafe {
        command.pre_exec(|| {
            let (first, last): (libc::c_uint, libc::c_uint) = (3, libc::c_uint::MAX);
            if libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) == 0 {
                return Ok(());
            }
            // Linux before 5.11, or a container that forbids the call.
            for fd in 3..DESCRIPTORS {
                let flags = libc::fcntl(fd, libc::F_GETFD);
                if flags >= 0 && libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        })
    }
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

/// Lets a child's whole group go on if a signal has stopped the child; whether there was need.
pub fn resume_if_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold anything; a debugger's stop has another letter.
    let is_stopped = stat.rsplit_once(')').is_some_and(|it| it.1.trim_start().starts_with('T'));
    if is_stopped && pid > 1 {
        // SAFETY: kill has no effect on memory. The group is that of the child if it leads one.
        unsafe {
            libc::kill(-(pid as i32), libc::SIGCONT);
            libc::kill(pid as i32, libc::SIGCONT);
        }
    }
    is_stopped
}

/// Waits until a child has ended, and leaves it to be reaped.
pub fn wait_for_exit(pid: u32) {
    loop {
        // SAFETY: an all-zero `siginfo_t` is valid, and waitid writes nothing else.
        let result = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT)
        };
        if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Waits until there is something to read, or the writers of `end` are gone: whether the first, whether the
/// second.
pub fn wait_readable(from: BorrowedFd<'_>, end: BorrowedFd<'_>) -> (bool, bool) {
    let poll = |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [poll(from), poll(end)];
    // SAFETY: two valid pollfds; -1 waits for ever.
    let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
    if ready < 0 { (false, false) } else { (both[0].revents != 0, both[1].revents != 0) }
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

/// Whether this process ignores the signal, which children inherit.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is plain data for which all zeros are valid; with no new action the call only fills
    // it in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Loads a library and calls the worker's entry in it with the number of the protocol's file.
///
/// # Errors
/// The loader's message, if the library or the function cannot be had.
pub fn call_worker_entry(library: &Path, fd: RawFd) -> Result<i32, String> {
    // SAFETY: the image exports exactly this function with this signature; nothing that belongs to a
    // standard library crosses (both sides have their own). The library is never unloaded.
    unsafe {
        let library = libloading::Library::new(library).map_err(loaders_words)?;
        let entry = library.get::<extern "C" fn(i32) -> i32>(b"brooklet_worker\0").map_err(loaders_words)?;
        let code = entry(fd);
        std::mem::forget(library);
        Ok(code)
    }
}

/// What the system's loader says, which the error itself keeps to its source.
fn loaders_words(error: libloading::Error) -> String {
    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether the file can be executed by this user.
pub fn is_executable(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a valid C string.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    user() == 0
}

/// The user whose rights this process has.
pub fn user() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// The user's home directory as the system knows it, whatever the environment says.
pub fn home_directory() -> Option<PathBuf> {
    let mut buffer: Vec<libc::c_char> = vec![0; 16_384];
    // SAFETY: a `passwd` holds numbers and pointers, for which zero is a value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: all pointers are valid during the call, and the length is the buffer's.
    let code = unsafe { libc::getpwuid_r(user(), &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    if code != 0 || found.is_null() || entry.pw_dir.is_null() {
        return None;
    }
    // SAFETY: of an entry that was found the directory is a C string in `buffer`, which lives until the end.
    let home = unsafe { CStr::from_ptr(entry.pw_dir) };
    Some(PathBuf::from(OsStr::from_bytes(home.to_bytes())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// The descriptors that a shell has which is started so.
    fn descriptors(prepare: impl FnOnce(&mut Command)) -> Vec<RawFd> {
        let mut command = Command::new("sh");
        // The pattern is expanded before the loop: what the shell opens for that is closed again by then.
        command.args(["-c", r#"for fd in /proc/$$/fd/*; do [ -e "$fd" ] && echo "${fd##*/}"; done; true"#]);
        prepare(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut numbers: Vec<RawFd> =
            String::from_utf8(output.stdout).unwrap().lines().map(|it| it.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn a_child_has_the_standard_descriptors_and_what_it_is_passed_and_no_others() {
        let (inherited, other) = UnixStream::pair().unwrap();
        // SAFETY: fcntl with F_SETFD changes whether the descriptor is inherited, and nothing else.
        assert_eq!(unsafe { libc::fcntl(inherited.as_raw_fd(), libc::F_SETFD, 0) }, 0);
        assert!(descriptors(|_| {}).contains(&inherited.as_raw_fd()));

        let alone = descriptors(|command| {
            lead_group(command);
        });
        assert_eq!(alone, [0, 1, 2]);
        let passed = descriptors(|command| {
            lead_group(command);
            pass_fd(command, other.into(), 200);
        });
        assert_eq!(passed, [0, 1, 2, 200]);
    }

    #[test]
    fn the_home_directory_is_known_without_the_environment() {
        let output =
            Command::new("sh").args(["-c", "getent passwd $(id -u) | cut -d: -f6"]).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        let found = home_directory().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        assert_eq!(found, expected.trim());
    }
}

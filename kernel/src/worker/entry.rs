//! `brooklet worker`: loads the image and hands over to it.
//!
//! This executable has a standard library of its own, the image another one. No panic, allocation, handle
//! or hook may cross, so nothing but a file number is handed over, and all else happens in the image.

use std::os::fd::IntoRawFd;
use std::path::Path;
use std::process::ExitCode;

use crate::os;

/// The file number of the protocol's socket, by agreement with `client`.
pub const PROTOCOL_FD: i32 = 3;

/// Runs the worker to its end.
pub fn main(image_library: &Path) -> ExitCode {
    os::ignore_sigint();
    let fd = match os::take_fd(PROTOCOL_FD) {
        Ok(fd) => fd.into_raw_fd(),
        Err(_) => {
            eprintln!("`brooklet worker` is started by the kernel, not by hand");
            return ExitCode::from(2);
        }
    };
    os::die_with_group_on_hangup(fd);
    match os::call_worker_entry(image_library, fd) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(message) => {
            eprintln!("the image does not load: {message}");
            ExitCode::from(3)
        }
    }
}

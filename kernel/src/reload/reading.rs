//! Reads files that anybody may have put there.
//!
//! Anything may stand where a file is expected: a pipe that nobody writes to, a device, a file that grows. So no look
//! waits for another process, and each has its bounds.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of one source file, at most: all of them are read at every look.
pub const SOURCE_LIMIT: u64 = 5_000_000;
/// Bytes of a file that sources include, at most.
pub const INCLUDED_LIMIT: u64 = 1_000_000_000;

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    Failed(io::Error),
    /// What it is in place of a regular file.
    Irregular(&'static str),
    /// Its size in bytes, as far as it was looked at.
    TooLarge(u64),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Failed(error) => error.fmt(f),
            Unread::Irregular(kind) => write!(f, "it is {kind}, no regular file"),
            Unread::TooLarge(size) => write!(f, "it holds {}", megabytes(*size)),
        }
    }
}

/// Reads a regular file of a limited size. Never waits for another process, as opening a pipe would.
///
/// # Errors
/// If it cannot be read, or is no such file.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    // What is opened is looked at, since what a path names may be another thing a moment later.
    let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Ok(file) => file,
        // A socket cannot even be opened.
        Err(error) => {
            let kind = fs::metadata(path).ok().and_then(|it| irregular(it.file_type()));
            return Err(kind.map_or(Unread::Failed(error), Unread::Irregular));
        }
    };
    let metadata = file.metadata().map_err(Unread::Failed)?;
    if let Some(kind) = irregular(metadata.file_type()) {
        return Err(Unread::Irregular(kind));
    }
    if metadata.len() > limit {
        return Err(Unread::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // It may be growing.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Unread::Failed)?;
    let size = bytes.len() as u64;
    if size > limit { Err(Unread::TooLarge(size)) } else { Ok(bytes) }
}

/// The text of a file that a package may have as a module; `None` if there is no such file. One that cannot be
/// read has no text: it is told when it is read as a module.
pub fn module_text(path: &Path) -> Option<String> {
    match read_file(path, SOURCE_LIMIT) {
        Ok(bytes) => Some(String::from_utf8(bytes).unwrap_or_default()),
        Err(Unread::Failed(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) if path.is_dir() => None,
        Err(_) => Some(String::new()),
    }
}

/// What a file is if it is no regular one.
pub fn irregular(kind: fs::FileType) -> Option<&'static str> {
    match kind {
        it if it.is_file() => None,
        it if it.is_dir() => Some("a directory"),
        it if it.is_fifo() => Some("a named pipe"),
        it if it.is_socket() => Some("a socket"),
        it if it.is_char_device() || it.is_block_device() => Some("a device"),
        _ => Some("something else"),
    }
}

/// A size for people.
pub fn megabytes(size: u64) -> String {
    format!("{:.1} MB", size as f64 / 1e6)
}

//! The file of this executable, for starting it again in other parts.
//!
//! A build or an update replaces the file while kernels run; from then on the system calls its path
//! "deleted", and no worker could be started again. So a session gives the file a second name first, which
//! stays for as long as the session does, with what it was when the kernel started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static KEPT: OnceLock<PathBuf> = OnceLock::new();

/// Keeps the executable under a second name in the directory.
///
/// # Errors
/// If the executable cannot be found, linked or copied.
pub fn keep_in(directory: &Path) -> io::Result<()> {
    let path = directory.join("brooklet");
    let own = std::env::current_exe()?;
    if fs::hard_link(&own, &path).is_err() {
        fs::copy(&own, &path)?;
    }
    // A second session of one process has the first one's name already.
    let _ = KEPT.set(path);
    Ok(())
}

/// The executable's path: the kept name, if there is one.
///
/// # Errors
/// If it cannot be found.
pub fn path() -> io::Result<PathBuf> {
    match KEPT.get() {
        Some(kept) => Ok(kept.clone()),
        None => std::env::current_exe(),
    }
}

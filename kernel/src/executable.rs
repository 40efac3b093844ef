//! The file of this executable, for starting it again in other parts.
//!
//! A build or an update replaces the file while kernels run; from then on the system calls its path
//! "deleted", and no worker could be started again. So a session gives the file a second name first, which
//! stays for as long as the session does, with what it was when the kernel started. If that name goes too, it
//! is made again from what runs.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::lease::Lease;

/// The second name.
const NAME: &str = "brooklet";
/// What this process runs, whatever became of its file.
const RUNNING: &str = "/proc/self/exe";

/// Whose directory holds the second name.
static KEEPER: Mutex<Weak<Lease>> = Mutex::new(Weak::new());

fn keeper() -> MutexGuard<'static, Weak<Lease>> {
    KEEPER.lock().unwrap_or_else(|it| it.into_inner())
}

/// Keeps the executable under a second name in the directory, and makes both again if they are gone.
///
/// # Errors
/// If the executable cannot be linked or copied.
pub fn keep_in(lease: &Arc<Lease>) -> io::Result<()> {
    // Held meanwhile, so that no two threads make the name.
    let mut keeper = keeper();
    kept_in(lease)?;
    // A second session of one process has the first one's name already.
    if !keeper.upgrade().is_some_and(|it| it.is_there()) {
        *keeper = Arc::downgrade(lease);
    }
    Ok(())
}

/// The executable's path: the kept name, if there is one.
///
/// # Errors
/// If it cannot be found, or is gone and cannot be made again.
pub fn path() -> io::Result<PathBuf> {
    let keeper = keeper();
    match keeper.upgrade() {
        Some(lease) => kept_in(&lease),
        None => std::env::current_exe(),
    }
}

fn kept_in(lease: &Lease) -> io::Result<PathBuf> {
    lease.ensure()?;
    let path = lease.path().join(NAME);
    if path.exists() {
        return Ok(path);
    }
    if std::env::current_exe().and_then(|own| fs::hard_link(own, &path)).is_err() {
        // By a rename, because half an executable must not bear the name.
        let part = lease.path().join(format!("{NAME}.part"));
        fs::copy(RUNNING, &part)?;
        fs::rename(&part, &path)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_executable_that_is_gone_is_made_again_with_its_directory() {
        // Beside the executable a link can be made, and nothing large is copied.
        let own = std::env::current_exe().unwrap();
        let parent = tempfile::tempdir_in(own.parent().unwrap()).unwrap();
        let lease = Lease::take(parent.path(), "").unwrap();
        let path = kept_in(&lease).unwrap();
        assert!(crate::os::is_executable(&path));
        let size = fs::metadata(&path).unwrap().len();

        fs::remove_file(&path).unwrap();
        assert_eq!(kept_in(&lease).unwrap(), path);
        fs::remove_dir_all(lease.path()).unwrap();
        assert_eq!(kept_in(&lease).unwrap(), path);
        assert_eq!(fs::metadata(&path).unwrap().len(), size);
        assert!(lease.is_there() && crate::os::is_executable(&path));
    }
}

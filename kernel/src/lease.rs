//! A directory of this process's own, held by a lock.
//!
//! What a killed kernel leaves behind must be removed by a later one, and what a living one uses must stay.
//! A process id does not tell the two apart: a kernel in another container, or on another host with the same
//! home, lives though nobody here knows its id. A lock does, and the system lets go of it however a process
//! ends. Who sweeps removes what can be locked.
//!
//! Guiding rule: a lock file bears its name only while it is held or its process is dead. It is made and
//! locked under another name, so a directory that is just being made has no lock file yet, and what has none
//! is left alone for a day. So makers need not wait for sweepers, and nothing is shared in the parent.
//!
//! Here as well: directories that are nobody else's to read.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use crate::os;

/// The lock file in the directory.
const LOCK: &str = "lock";
/// What it is called until it is held.
const UNHELD: &str = "lock.new";
/// So long a directory may be without a lock file. Making one takes a moment; clocks of two hosts differ.
const UNLOCKED: Duration = Duration::from_secs(24 * 60 * 60);
/// The user's own, and nobody else's.
const PRIVATE: u32 = 0o700;

/// A fresh directory that no other process of this user sweeps; removed when this is dropped.
pub struct Lease {
    /// Before the lock, because fields are dropped in this order: it is removed while the lock is held.
    directory: TempDir,
    /// `None` once the lease has ended. Never inherited: a child that outlived this process would hold it.
    lock: Mutex<Option<File>>,
}

impl Lease {
    /// Makes a directory in `parent`, with a name that begins with `prefix` and that none had before.
    ///
    /// # Errors
    /// If it cannot be made, or the file system knows no locks.
    pub fn take(parent: &Path, prefix: &str) -> io::Result<Lease> {
        let directory = tempfile::Builder::new()
            // The process id is for people who look.
            .prefix(&format!("{prefix}{}-", std::process::id()))
            .permissions(Permissions::from_mode(PRIVATE))
            .tempdir_in(parent)?;
        let lock = held_lock(directory.path())?;
        Ok(Lease { directory, lock: Mutex::new(Some(lock)) })
    }

    /// The directory, there or not.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whether the directory is still there, and still held.
    pub fn is_there(&self) -> bool {
        self.lock().as_ref().is_some_and(|it| is_at(it, &self.path().join(LOCK)))
    }

    /// Makes the directory and its lock again if they are gone; nothing of what was in it.
    ///
    /// # Errors
    /// If they cannot be made, or the lease has ended.
    pub fn ensure(&self) -> io::Result<()> {
        let mut lock = self.lock();
        match &*lock {
            None => return Err(io::Error::other(format!("{} was given back", self.path().display()))),
            Some(held) if is_at(held, &self.path().join(LOCK)) => return Ok(()),
            Some(_) => {}
        }
        make(self.path())?;
        if !is_own(self.path()) {
            return Err(refused(self.path(), "is not a directory of this user's"));
        }
        // Who found it gone may have made it with the modes of other directories.
        close_to_others(self.path())?;
        *lock = Some(held_lock(self.path())?);
        Ok(())
    }

    /// Removes the directory now; from then on nothing makes it again.
    pub fn end(&self) {
        let held = self.lock().take();
        // Something that was killed a moment ago may still have made a file behind the walk.
        for _ in 0..20 {
            match fs::remove_dir_all(self.path()) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => break,
            }
        }
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// Removes what dead processes of this user left in `parent` under names that begin with `prefix`.
pub fn sweep(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) && is_own(&entry.path()) {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(directory: &Path) {
    let path = directory.join(LOCK);
    // Writable, because network file systems want that of a file that is locked for one alone.
    let opened =
        File::options().read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
    match opened {
        // A file that lost its name was somebody else's to sweep, or its directory was made again.
        Ok(lock) if lock.try_lock().is_ok() && is_at(&lock, &path) => {
            let _ = fs::remove_dir_all(directory);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_old(directory) => {
            let _ = fs::remove_dir_all(directory);
        }
        _ => {}
    }
}

/// Makes the lock file of a directory; it has its name only when it is held.
fn held_lock(directory: &Path) -> io::Result<File> {
    let (unheld, path) = (directory.join(UNHELD), directory.join(LOCK));
    let make = || -> io::Result<File> {
        let _ = fs::remove_file(&unheld);
        let lock = File::options().read(true).write(true).create_new(true).mode(0o600).open(&unheld)?;
        lock.lock()?;
        fs::rename(&unheld, &path)?;
        Ok(lock)
    };
    make().map_err(|error| told(&path, "cannot be locked", &error))
}

/// Whether an open file is the one under the path.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(path)) => (file.dev(), file.ino()) == (path.dev(), path.ino()),
        _ => false,
    }
}

fn is_old(directory: &Path) -> bool {
    let modified = fs::symlink_metadata(directory).and_then(|it| it.modified()).ok();
    modified.and_then(|it| it.elapsed().ok()).is_some_and(|it| it > UNLOCKED)
}

/// Whether it is a directory of this user's, and no link to one.
fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == os::user())
}

/// Makes a directory, and what it is in, for this user alone, whatever the umask.
///
/// One that is there already and is this user's becomes so; of somebody else's, as root may use it, the mode is
/// left as it is.
///
/// # Errors
/// If it cannot be made.
pub fn private_directory(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(PRIVATE).create(path);
    made.map_err(|error| told(path, "cannot be made", &error))?;
    if fs::metadata(path)?.uid() == os::user() { close_to_others(path) } else { Ok(()) }
}

/// Makes a directory of this user's own where others may write as well, as in the shared temporary folder.
///
/// # Errors
/// If it cannot be made, or if what is there could be another user's doing.
pub fn make_own(path: &Path) -> io::Result<()> {
    make(path)?;
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(refused(path, "is not a directory"));
    }
    if metadata.uid() != os::user() {
        return Err(refused(path, "belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refused(path, "can be written by other users"));
    }
    close_to_others(path)
}

/// Makes a directory unless something is there.
fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(told(path, "cannot be made", &error))
        }
        _ => Ok(()),
    }
}

fn close_to_others(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o077 == 0 {
        return Ok(());
    }
    let closed = fs::set_permissions(path, Permissions::from_mode(PRIVATE));
    closed.map_err(|error| told(path, "cannot be closed to other users", &error))
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

fn told(path: &Path, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};
    use std::time::SystemTime;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A directory without a lock file, so many days old.
    fn unlocked(parent: &Path, name: &str, days: u64) -> std::path::PathBuf {
        let directory = parent.join(name);
        fs::create_dir(&directory).unwrap();
        let then = SystemTime::now() - UNLOCKED * u32::try_from(days).unwrap();
        File::open(&directory).unwrap().set_modified(then).unwrap();
        directory
    }

    #[test]
    fn a_living_lease_is_not_swept_also_when_its_process_id_is_unknown() {
        let parent = tempfile::tempdir().unwrap();
        let lease = Lease::take(parent.path(), "x-4294967295-").unwrap();
        assert_eq!(mode(lease.path()), PRIVATE);
        sweep(parent.path(), "x-");
        sweep(parent.path(), "");
        assert!(lease.is_there());
    }

    #[test]
    fn a_dead_lease_is_swept_also_when_its_process_id_is_in_use() {
        let parent = tempfile::tempdir().unwrap();
        let lease = Lease::take(parent.path(), "x-").unwrap();
        fs::write(lease.path().join("left"), "").unwrap();
        // What the system does when a process ends.
        *lease.lock() = None;
        sweep(parent.path(), "y-");
        assert!(lease.path().exists());
        sweep(parent.path(), "x-");
        assert!(!lease.path().exists());
    }

    #[test]
    fn a_directory_without_a_lock_file_is_swept_after_a_day() {
        let parent = tempfile::tempdir().unwrap();
        let (old, young) = (unlocked(parent.path(), "x-old", 2), unlocked(parent.path(), "x-young", 0));
        let other = unlocked(parent.path(), "other", 2);
        let file = parent.path().join("x-file");
        fs::write(&file, "").unwrap();
        sweep(parent.path(), "x-");
        assert!(!old.exists() && young.exists() && other.exists() && file.exists());
    }

    #[test]
    fn a_link_to_a_directory_is_not_swept() {
        let (parent, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = unlocked(elsewhere.path(), "target", 2);
        fs::write(target.join(LOCK), "").unwrap();
        symlink(&target, parent.path().join("x-link")).unwrap();
        sweep(parent.path(), "x-");
        assert!(target.join(LOCK).exists());
    }

    #[test]
    fn a_lease_that_is_gone_is_made_again_and_held_again() {
        let parent = tempfile::tempdir().unwrap();
        let lease = Lease::take(parent.path(), "x-").unwrap();
        fs::remove_dir_all(lease.path()).unwrap();
        assert!(!lease.is_there());
        lease.ensure().unwrap();
        assert!(lease.is_there());
        assert_eq!(mode(lease.path()), PRIVATE);
        sweep(parent.path(), "x-");
        assert!(lease.is_there());
    }

    #[test]
    fn a_lost_lock_file_is_made_again_beside_what_is_there() {
        let parent = tempfile::tempdir().unwrap();
        let lease = Lease::take(parent.path(), "x-").unwrap();
        fs::write(lease.path().join("kept"), "").unwrap();
        fs::remove_file(lease.path().join(LOCK)).unwrap();
        set_mode(lease.path(), 0o775);
        assert!(!lease.is_there());
        lease.ensure().unwrap();
        assert!(lease.is_there() && lease.path().join("kept").exists());
        assert_eq!(mode(lease.path()), PRIVATE);
    }

    #[test]
    fn a_lease_that_ended_is_not_made_again() {
        let parent = tempfile::tempdir().unwrap();
        let lease = Lease::take(parent.path(), "x-").unwrap();
        lease.end();
        assert!(!lease.path().exists());
        assert!(lease.ensure().unwrap_err().to_string().contains("was given back"));
        assert!(!lease.path().exists());
    }

    #[test]
    fn a_dropped_lease_removes_its_directory() {
        let parent = tempfile::tempdir().unwrap();
        let path = Lease::take(parent.path(), "x-").unwrap().path().to_owned();
        assert!(!path.exists());
    }

    #[test]
    fn private_directories_are_closed_to_others_also_when_they_are_there_already() {
        let parent = tempfile::tempdir().unwrap();
        let (fresh, open) = (parent.path().join("fresh").join("inner"), parent.path().join("open"));
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o775);
        for directory in [&fresh, &open] {
            private_directory(directory).unwrap();
            assert_eq!(mode(directory), PRIVATE);
        }
    }

    #[test]
    fn what_could_be_another_users_doing_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let why = |name: &str| make_own(&at(name)).unwrap_err().to_string();
        make_own(&at("own")).unwrap();
        make_own(&at("own")).unwrap();
        assert_eq!(mode(&at("own")), PRIVATE);

        symlink(at("own"), at("link")).unwrap();
        assert!(why("link").ends_with("is not a directory"));
        fs::create_dir(at("open")).unwrap();
        set_mode(&at("open"), 0o777);
        assert!(why("open").ends_with("can be written by other users"));
        assert_eq!(mode(&at("open")), 0o777);
        fs::create_dir(at("foreign")).unwrap();
        // Only root may give a directory away.
        if chown(at("foreign"), Some(os::user() + 1), None).is_ok() {
            assert!(why("foreign").ends_with("belongs to another user"));
        }
    }
}

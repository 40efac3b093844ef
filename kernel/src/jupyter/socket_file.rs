//! The file of an ipc socket: for its owner alone, of one kernel at a time, gone when that kernel ends.
//!
//! zmq knows nothing of this. It removes whatever has the name that it binds, so a second kernel would take
//! over the sockets of a living one, silently; the file's permissions follow the umask, though they are all
//! that protects a session without a key; and the file stays behind.
//!
//! Guiding rule: a socket behind which a process lives is never touched, nor is a file of another kind.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What fits into a socket's address, without the NUL at its end.
const LONGEST: usize = 107;

/// The file of a socket that this process has bound. Dropping it removes the file.
///
/// To be dropped before the socket is closed: while the socket is open, no other file can have its number.
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is: another kernel may have put its own there meanwhile.
    identity: (u64, u64),
}

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
enum Occupant {
    Nobody,
    /// The socket of a process that has ended.
    Dead,
    Living,
    NotASocket,
}

impl SocketFile {
    /// Makes the file of a socket, which `bind` binds to the path that it is given.
    ///
    /// The path that `bind` gets is in a directory that only we may enter, so nobody connects before the
    /// permissions are right; then the file is moved to its place. A living socket may belong to the kernel
    /// that we replace, so it gets some time to go away.
    ///
    /// # Errors
    /// Says why the file cannot be had.
    pub fn make(
        path: &Path,
        patience: Duration,
        bind: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<SocketFile, String> {
        if path.as_os_str().as_bytes().len() > LONGEST {
            return Err(format!("the path of a socket has at most {LONGEST} bytes, and this one has more"));
        }
        let give_up = Instant::now() + patience;
        loop {
            match occupant(path) {
                Occupant::Nobody | Occupant::Dead => break,
                Occupant::NotASocket => return Err("a file that is no socket is in the way".into()),
                Occupant::Living if Instant::now() >= give_up => {
                    return Err("another kernel listens there; end it, or start this one with a connection \
                                file of its own"
                        .into());
                }
                Occupant::Living => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let told = |error: io::Error| error.to_string();
        // The short names are for the limit of addresses.
        let private = tempfile::Builder::new()
            .prefix(".")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(told)?;
        let made = private.path().join("s");
        bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600)).map_err(told)?;
        let identity = identity(&made).map_err(told)?;
        fs::rename(&made, path).map_err(told)?;
        Ok(SocketFile { path: path.to_owned(), identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|it| it == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a socket was left behind");
        }
    }
}

/// Tells a living socket from what a killed kernel left, without disturbing it.
fn occupant(path: &Path) -> Occupant {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Occupant::Nobody };
    if !metadata.file_type().is_socket() {
        return Occupant::NotASocket;
    }
    // A datagram socket cannot connect to a stream socket. But the system looks first whether anybody is
    // there, and it never waits, as it would with a stream socket before a listener that is stopped.
    match UnixDatagram::unbound().and_then(|socket| socket.connect(path)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Occupant::Dead,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Occupant::Nobody,
        _ => Occupant::Living,
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn make(path: &Path) -> Result<(SocketFile, UnixListener), String> {
        let mut listener = None;
        let file = SocketFile::make(path, Duration::ZERO, |place| {
            listener = Some(UnixListener::bind(place).map_err(|error| error.to_string())?);
            Ok(())
        })?;
        Ok((file, listener.expect("bound")))
    }

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(directory).unwrap().map(name).collect()
    }

    #[test]
    fn a_socket_is_its_owners_and_goes_with_its_kernel() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (file, listener) = make(&path).unwrap();
        assert_eq!(names(directory.path()), ["socket"]);
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(UnixStream::connect(&path).unwrap());
        drop(file);
        assert!(names(directory.path()).is_empty());
        drop(listener);
    }

    #[test]
    fn a_living_socket_is_refused_and_a_dead_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let living = UnixListener::bind(&path).unwrap();
        assert_eq!(occupant(&path), Occupant::Living);
        let refused = make(&path).map(drop).unwrap_err();
        assert!(refused.starts_with("another kernel listens there"), "{refused}");
        assert_eq!(names(directory.path()), ["socket"]);
        drop(UnixStream::connect(&path).unwrap());
        drop(living);
        assert_eq!(occupant(&path), Occupant::Dead);
        let (_file, _listener) = make(&path).unwrap();
        drop(UnixStream::connect(&path).unwrap());
    }

    #[test]
    fn the_socket_of_a_kernel_that_came_after_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (first, _listener) = make(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let (_second, _other_listener) = make(&path).unwrap();
        drop(first);
        drop(UnixStream::connect(&path).unwrap());
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let directory = crate::testing::directory_with(&[("socket", "precious")]);
        let path = directory.path().join("socket");
        assert!(make(&path).map(drop).unwrap_err().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let long = directory.path().join("x".repeat(LONGEST));
        assert!(make(&long).map(drop).unwrap_err().contains("107 bytes"));
        assert_eq!(names(directory.path()), ["socket"]);
    }
}

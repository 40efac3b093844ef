//! What git says of a directory.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Git;

/// So long git may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The commit that a directory stands at, and whether anything differs from it; `None` outside of repositories.
pub fn git_state(directory: &Path) -> Option<Git> {
    let ask = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // It must not write the index while somebody commits.
        git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(directory).args(arguments);
        git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = git.spawn().ok()?;
        let mut stdout = child.stdout.take()?;
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.read_to_end(&mut text);
            let _ = send.send(read.map(|_| text));
        });
        // Who has a repository that takes longer has no use for waiting.
        let text = receive.recv_timeout(PATIENCE);
        if text.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().ok()?;
        let text = text.ok()?.ok()?;
        status.success().then(|| String::from_utf8_lossy(&text).into_owned())
    };
    let commit = ask(&["rev-parse", "HEAD"])?.trim().to_owned();
    let dirty = ask(&["status", "--porcelain", "--untracked-files=normal"]).is_none_or(|it| !it.is_empty());
    Some(Git { commit, dirty })
}

//! What git says of a directory.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Git;

/// The commit that a directory stands at, and whether anything differs from it; `None` outside of repositories.
pub fn git_state(directory: &Path) -> Option<Git> {
    let ask = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // It must not write the index while somebody commits.
        git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(directory).args(arguments);
        let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let commit = ask(&["rev-parse", "HEAD"])?.trim().to_owned();
    let dirty = ask(&["status", "--porcelain", "--untracked-files=normal"]).is_none_or(|it| !it.is_empty());
    Some(Git { commit, dirty })
}

//! Finds the transform files below a directory, whatever links lead where.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How far a watched directory is walked.
pub const BOUNDS: Bounds = Bounds { files: 5_000, entries: 100_000, depth: 32 };

/// How much a walk takes in before it gives up.
pub struct Bounds {
    /// Transform files.
    pub files: usize,
    /// Whatever stands in the directories.
    pub entries: usize,
    /// Directories in directories.
    pub depth: usize,
}

/// All transform files below a directory, sorted, and what is wrong if there is more than the bounds allow.
/// `mod.rs` only declares modules for production builds.
///
/// A link is followed to what was not reached yet. That waits until all else was seen, so that a file goes by its
/// own name where it has one.
pub fn rust_files(directory: &Path, bounds: &Bounds) -> (Vec<PathBuf>, Option<String>) {
    let mut found = Vec::new();
    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut entries = 0;
    let mut directories = vec![(directory.to_owned(), 0)];
    let mut links: VecDeque<(PathBuf, usize)> = VecDeque::new();
    let mut problem = None;
    while let Some((path, depth)) = directories.pop().or_else(|| links.pop_front()) {
        let metadata = fs::metadata(&path).ok();
        if metadata.as_ref().is_some_and(|it| !seen.insert(inode(it))) {
            continue;
        }
        if metadata.is_none_or(|it| !it.is_dir()) {
            // The end of a link, also of one that leads nowhere: reading it says so.
            found.extend(is_transform_file(&path).then_some(path));
            continue;
        }
        if depth > bounds.depth {
            problem = Some(format!("has directories more than {} deep", bounds.depth));
            continue;
        }
        let Ok(listed) = fs::read_dir(&path) else { continue };
        let mut listed: Vec<fs::DirEntry> = listed.flatten().take(bounds.entries + 1 - entries).collect();
        listed.sort_by_key(fs::DirEntry::file_name);
        entries += listed.len();
        for entry in listed {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(b".") || name == "target" {
                continue;
            }
            let inner = entry.path();
            match entry.file_type() {
                Ok(it) if it.is_symlink() => links.push_back((inner, depth + 1)),
                Ok(it) if it.is_dir() => directories.push((inner, depth + 1)),
                _ if is_transform_file(&inner) => {
                    seen.extend(entry.metadata().ok().as_ref().map(inode));
                    found.push(inner);
                }
                _ => {}
            }
        }
        if found.len() > bounds.files || entries > bounds.entries {
            let (count, what) = match found.len() > bounds.files {
                true => (bounds.files, "Rust files"),
                false => (bounds.entries, "files and directories"),
            };
            problem = Some(format!("holds more than {count} {what}"));
            break;
        }
    }
    found.sort();
    (found, problem)
}

fn is_transform_file(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "rs") && path.file_name().is_some_and(|it| it != "mod.rs")
}

/// What a file is the same by, whatever it is called.
fn inode(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

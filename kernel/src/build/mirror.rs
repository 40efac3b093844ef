//! The private copy of the files that are compiled.
//!
//! A file may be saved again between our reading it and rustc's, and a library that was made of one content must
//! never be filed under the hash of another. So rustc reads a copy of exactly what was read before, in a tree
//! that repeats the absolute paths below a root of its own; the root is cut off again in messages and panics.
//! What no copy was made of, because no syntax shows that it is included, is a link to the user's file: rustc
//! finds it, its dependency list tells, and it is copied from then on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A tree of copies below a root.
#[derive(Clone, Debug)]
pub struct Mirror {
    root: PathBuf,
}

/// What a directory of the copy holds under one name.
enum Entry<'a> {
    File(&'a [u8]),
    Directory(Directory<'a>),
    /// The user's own.
    Link(PathBuf),
}

type Directory<'a> = BTreeMap<OsString, Entry<'a>>;

impl Mirror {
    pub fn new(root: PathBuf) -> Mirror {
        Mirror { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the copy of an absolute path is.
    pub fn copy_of(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whose copy a path is; any other path is itself.
    pub fn original(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => path.to_owned(),
        }
    }

    /// Makes the tree hold these files, by absolute path, and nothing else; in their directories below one of
    /// `roots` also links to what stands beside them.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn write(&self, files: &[(&Path, &[u8])], roots: &[&Path]) -> io::Result<()> {
        let mut tree = Directory::new();
        for (path, bytes) in files {
            add(&mut tree, path, bytes);
        }
        link_siblings(&mut tree, Path::new("/"), roots);
        fs::create_dir_all(&self.root)?;
        synchronise(&self.root, &tree)
    }
}

fn add<'a>(tree: &mut Directory<'a>, path: &Path, bytes: &'a [u8]) {
    let Some(name) = path.file_name() else { return };
    let mut directory = tree;
    for part in path.parent().into_iter().flat_map(Path::components).skip(1) {
        let entry = directory
            .entry(part.as_os_str().to_owned())
            .or_insert_with(|| Entry::Directory(Directory::new()));
        match entry {
            Entry::Directory(inner) => directory = inner,
            // A file cannot be a directory too: rustc will say that it is missing.
            Entry::File(_) | Entry::Link(_) => return,
        }
    }
    directory.insert(name.to_owned(), Entry::File(bytes));
}

fn link_siblings(tree: &mut Directory<'_>, at: &Path, roots: &[&Path]) {
    for (name, entry) in tree.iter_mut() {
        if let Entry::Directory(inner) = entry {
            link_siblings(inner, &at.join(name), roots);
        }
    }
    if roots.iter().any(|it| at.starts_with(it)) {
        for sibling in fs::read_dir(at).into_iter().flatten().flatten() {
            tree.entry(sibling.file_name()).or_insert_with(|| Entry::Link(sibling.path()));
        }
    }
}

/// Writes what differs, and removes what does not belong.
fn synchronise(directory: &Path, tree: &Directory<'_>) -> io::Result<()> {
    for found in fs::read_dir(directory)? {
        let found = found?;
        let kind = found.file_type()?;
        let stays = match tree.get(&found.file_name()) {
            Some(Entry::File(_)) => kind.is_file(),
            Some(Entry::Directory(_)) => kind.is_dir(),
            Some(Entry::Link(to)) => kind.is_symlink() && fs::read_link(found.path())? == *to,
            None => false,
        };
        match (stays, kind.is_dir()) {
            (true, _) => {}
            (false, true) => fs::remove_dir_all(found.path())?,
            (false, false) => fs::remove_file(found.path())?,
        }
    }
    for (name, entry) in tree {
        let path = directory.join(name);
        match entry {
            Entry::File(bytes) => {
                if fs::read(&path).ok().as_deref() != Some(*bytes) {
                    fs::write(&path, bytes)?;
                }
            }
            Entry::Directory(inner) => {
                if !path.is_dir() {
                    fs::create_dir(&path)?;
                }
                synchronise(&path, inner)?;
            }
            Entry::Link(to) => {
                if !path.is_symlink() {
                    symlink(to, &path)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_holds_what_was_read_and_links_to_the_rest() {
        let user = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let (a, b) = (user.path().join("a.rs"), user.path().join("sub/b.rs"));
        fs::create_dir(user.path().join("sub")).unwrap();
        fs::write(&a, "saved again").unwrap();
        fs::write(user.path().join("data.txt"), "data").unwrap();
        let mirror = Mirror::new(own.path().join("sources"));
        mirror.write(&[(&a, b"as read"), (&b, b"b")], &[user.path()]).unwrap();
        assert_eq!(fs::read(mirror.copy_of(&a)).unwrap(), b"as read");
        assert_eq!(fs::read(mirror.copy_of(&b)).unwrap(), b"b");
        assert_eq!(fs::read(mirror.copy_of(&user.path().join("data.txt"))).unwrap(), b"data");
        assert_eq!(mirror.original(&mirror.copy_of(&b)), b);

        // `data.txt` is known from now on, and `sub` has gone.
        let data = user.path().join("data.txt");
        mirror.write(&[(&a, b"2"), (&data, b"old")], &[]).unwrap();
        assert_eq!(fs::read(mirror.copy_of(&a)).unwrap(), b"2");
        assert_eq!(fs::read(mirror.copy_of(&data)).unwrap(), b"old");
        assert_eq!(fs::read(&data).unwrap(), b"data");
        assert!(!mirror.copy_of(&b).exists());
    }
}

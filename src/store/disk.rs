//! The directory that outlives the process: a ledger of results, and files of values named by their hash.
//!
//! ```text
//! .brooklet/.gitignore             *
//! .brooklet/store-1/ledger         one line a result, see `entry`
//! .brooklet/store-1/values/3f….arrow
//! ```
//!
//! Several kernels and programs may use one directory at once, and any of them may be killed at any moment. So there
//! is nothing to be left half done: a file is written under another name, made read-only and renamed, never written
//! again, and removed by unlinking it; the ledger is only added to, by one write at a time, or replaced by a rename. Who
//! reads checks a line by its hash and a file by its name; what is wrong is a miss, told once, and is written anew.
//! No lock is held, and none can be left.
//!
//! Why no database: what this needs of one is a map that a crash cannot harm and that several processes share. Embedded
//! stores either belong to one process (redb, fjall) or do not check what they read (SQLite, LMDB), and here each
//! value is checked anyway. cacache has the files, but no listing that costs nothing when nothing is there, which is what
//! a run of 5,000 small nodes asks for.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry::{Entry, FileOf};
use crate::version::Version;
use brooklet_digest::Digest;

/// Changes with the form of what is written: another one is another directory.
const STAMP: &str = "store-1";
/// The ledger is written anew when it is so long and most of it is of no use.
const COMPACT: u64 = 16 << 20;
/// So many results without a value are remembered.
const LIGHT: usize = 50_000;
/// Names of files that are being written begin so.
const TEMPORARY: &str = ".new-";

/// One directory as this process sees it.
pub struct Disk {
    directory: PathBuf,
    pub files: Files,
    /// What the ledger holds, as far as it was read, each with the number of its line: the last line of a key counts.
    known: HashMap<Version, (u64, Entry)>,
    /// By node: the key of its last result.
    last: HashMap<String, Version>,
    lines: u64,
    /// Lines without a value since old ones were forgotten.
    light: usize,
    ledger: Option<Reader>,
    /// Lines that were not as written, so far.
    pub damaged: usize,
}

/// How far the ledger was read.
struct Reader {
    file: File,
    inode: u64,
    /// Up to the end of a line.
    position: u64,
}

impl Disk {
    /// Opens or makes the store below a `.brooklet` directory.
    ///
    /// # Errors
    /// As the system says: no right to write there, no room.
    pub fn open(directory: &Path) -> io::Result<Disk> {
        fs::create_dir_all(directory)?;
        // What is computed is nobody's source.
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        let directory = directory.join(STAMP);
        fs::create_dir_all(directory.join("values"))?;
        let files = Files { ledger: directory.join("ledger"), directory: directory.join("values") };
        let mut disk = Disk {
            directory,
            files,
            known: HashMap::new(),
            last: HashMap::new(),
            lines: 0,
            light: 0,
            ledger: None,
            damaged: 0,
        };
        disk.files.append("")?;
        disk.refresh();
        disk.compact();
        Ok(disk)
    }

    pub fn get(&self, key: &Version) -> Option<&Entry> {
        self.known.get(key).map(|it| &it.1)
    }

    /// The last result of a node of that name.
    pub fn last_of(&self, node: &str) -> Option<&Entry> {
        self.get(self.last.get(node)?)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.known.values().map(|it| &it.1)
    }

    /// Reads what was added to the ledger since the last time, by whomever.
    pub fn refresh(&mut self) {
        let Ok(metadata) = fs::metadata(&self.files.ledger) else { return };
        if self.ledger.as_ref().is_none_or(|it| it.inode != metadata.ino()) {
            // Replaced by a shorter one, or not read yet: what it no longer holds is gone.
            let Ok(file) = File::open(&self.files.ledger) else { return };
            let Ok(inode) = file.metadata().map(|it| it.ino()) else { return };
            self.known.clear();
            self.last.clear();
            self.ledger = Some(Reader { file, inode, position: 0 });
        }
        let Some(reader) = &mut self.ledger else { return };
        if metadata.len() <= reader.position {
            return;
        }
        let mut added = Vec::new();
        if reader.file.seek(SeekFrom::Start(reader.position)).is_err()
            || reader.file.read_to_end(&mut added).is_err()
        {
            return;
        }
        // A line without its end may be one that is being written.
        let whole = added.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        reader.position += whole as u64;
        for line in added[..whole].split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
            match Entry::read(line) {
                Some(entry) => self.learn(entry),
                None => self.damaged += 1,
            }
        }
    }

    /// So many bytes were just added by this process. If nobody else added any, they need not be read.
    pub fn skip(&mut self, bytes: u64) {
        if let Some(reader) = &mut self.ledger
            && fs::metadata(&self.files.ledger)
                .is_ok_and(|it| it.ino() == reader.inode && it.len() == reader.position + bytes)
        {
            reader.position += bytes;
        }
    }

    /// Knows an entry that stands in the ledger. There may be too many results without a value; then the older half of
    /// them is forgotten, which makes them misses.
    pub fn learn(&mut self, entry: Entry) {
        self.lines += 1;
        self.light += usize::from(entry.file.is_none());
        match self.last.get_mut(&entry.node) {
            Some(last) => *last = entry.key,
            None => drop(self.last.insert(entry.node.clone(), entry.key)),
        }
        self.known.insert(entry.key, (self.lines, entry));
        if self.light > 2 * LIGHT {
            self.forget_old_lines();
        }
    }

    /// Forgets all but the newest results without a value.
    fn forget_old_lines(&mut self) {
        let mut light: Vec<u64> =
            self.known.values().filter(|it| it.1.file.is_none()).map(|it| it.0).collect();
        light.sort_unstable();
        let oldest = light.len().checked_sub(LIGHT).map_or(0, |it| light[it]);
        self.known.retain(|_, it| it.1.file.is_some() || it.0 >= oldest);
        self.light = light.len().min(LIGHT);
    }

    /// Knows that the value of a key is not there, though its version is.
    pub fn lose(&mut self, key: &Version) {
        if let Some((_, entry)) = self.known.get_mut(key) {
            entry.file = None;
        }
    }

    /// Writes the ledger anew without what was said again or lost its value. Lines that others add meanwhile are lost,
    /// which makes them misses.
    fn compact(&mut self) {
        let Some(reader) = &self.ledger else { return };
        if reader.position < COMPACT {
            return;
        }
        let position = reader.position;
        self.forget_old_lines();
        let is_there = |it: &&(u64, Entry)| it.1.file.is_none_or(|file| self.files.path_of(&file).exists());
        let mut kept: Vec<&(u64, Entry)> = self.known.values().filter(is_there).collect();
        kept.sort_by_key(|it| it.0);
        let lines: String = kept.iter().map(|it| it.1.line()).collect();
        if (lines.len() as u64) < position / 4 * 3 {
            let replace = || -> io::Result<()> {
                let mut new = tempfile::NamedTempFile::new_in(&self.directory)?;
                new.write_all(lines.as_bytes())?;
                new.persist(&self.files.ledger).map_err(|it| it.error)?;
                Ok(())
            };
            if replace().is_ok() {
                self.refresh();
            }
        }
    }

    /// Forgets results of nodes, or all of them; how many.
    ///
    /// # Errors
    /// As the system says.
    pub fn clear(&mut self, is_meant: impl Fn(&Entry) -> bool) -> io::Result<usize> {
        self.refresh();
        let mut all: Vec<&(u64, Entry)> = self.known.values().collect();
        all.sort_by_key(|it| it.0);
        let (gone, kept): (Vec<Entry>, Vec<Entry>) =
            all.into_iter().map(|it| it.1.clone()).partition(is_meant);
        let lines: String = kept.iter().map(Entry::line).collect();
        let mut new = tempfile::NamedTempFile::new_in(&self.directory)?;
        new.write_all(lines.as_bytes())?;
        new.persist(&self.files.ledger).map_err(|it| it.error)?;
        let used: std::collections::HashSet<Version> =
            kept.iter().filter_map(|it| it.file.map(|file| file.hash)).collect();
        for file in gone.iter().filter_map(|it| it.file).filter(|it| !used.contains(&it.hash)) {
            self.files.remove(&file);
        }
        self.refresh();
        Ok(gone.len())
    }
}

fn altered() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not as it was written")
}

/// The files, for who writes them while others look up keys.
#[derive(Clone)]
pub struct Files {
    ledger: PathBuf,
    /// Of values.
    directory: PathBuf,
}

impl Files {
    /// Adds lines to the ledger.
    ///
    /// # Errors
    /// As the system says; part of the last line may have been written, which counts for nothing.
    pub fn append(&self, lines: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.ledger)?;
        // After half a line, which somebody was killed in, ours would be lost with it.
        if lines.is_empty() { Ok(()) } else { file.write_all(format!("\n{lines}").as_bytes()) }
    }

    /// Where a file is.
    pub fn path_of(&self, file: &FileOf) -> PathBuf {
        self.directory.join(format!("{}.{}", file.hash.hex(), file.format.extension()))
    }

    /// Writes a file of values, unless one is there that is as its name says.
    ///
    /// # Errors
    /// As the system says; nothing is there then.
    pub fn write(&self, file: &FileOf, bytes: &[u8]) -> io::Result<()> {
        let path = self.path_of(file);
        if fs::metadata(&path).is_ok_and(|it| it.len() == file.bytes) && self.read(file).is_ok() {
            return Ok(());
        }
        let mut temporary = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.directory)?;
        temporary.write_all(bytes)?;
        temporary.as_file().set_permissions(Permissions::from_mode(0o444))?;
        temporary.persist(path).map_err(|it| it.error)?;
        Ok(())
    }

    /// Reads a file of values whole; what is not as its name says is removed.
    ///
    /// # Errors
    /// If it is not there (evicted: `NotFound`), or is not what was written.
    pub fn read(&self, file: &FileOf) -> io::Result<Vec<u8>> {
        let path = self.path_of(file);
        let mut opened = File::open(&path)?;
        let mut bytes = Vec::with_capacity(usize::try_from(file.bytes).unwrap_or(0).min(1 << 32) + 1);
        opened.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != file.bytes || Version::of_bytes(&bytes) != file.hash {
            let _ = fs::remove_file(&path);
            return Err(altered());
        }
        // What is used last is evicted last.
        let _ = opened.set_modified(SystemTime::now());
        Ok(bytes)
    }

    /// Looks through a file of values, which is as its name says then, and gives it to be read; what is not is removed.
    ///
    /// # Errors
    /// As `read`.
    pub fn verified(&self, file: &FileOf) -> io::Result<File> {
        let path = self.path_of(file);
        let mut opened = File::open(&path)?;
        let (mut digest, mut buffer) = (Digest::new(), vec![0; 1 << 20]);
        loop {
            let count = opened.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
        }
        if Version(digest.finish()) != file.hash {
            let _ = fs::remove_file(&path);
            return Err(altered());
        }
        let _ = opened.set_modified(SystemTime::now());
        opened.rewind()?;
        Ok(opened)
    }

    /// Removes a file whose content is not the value that was stored.
    pub fn remove(&self, file: &FileOf) {
        let _ = fs::remove_file(self.path_of(file));
    }

    /// All files of values: path, bytes, when last used.
    fn list(&self) -> Vec<(PathBuf, u64, SystemTime)> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries
            .filter_map(|it| {
                let metadata = it.metadata().ok()?;
                Some((it.path(), metadata.len(), metadata.modified().ok()?))
            })
            .collect()
    }

    /// The bytes of all files of values.
    pub fn bytes(&self) -> u64 {
        self.list().iter().map(|it| it.1).sum()
    }

    /// Removes what was not used for longest, until the rest is within the budget; what was left behind by somebody
    /// who was killed, too.
    pub fn evict(&self, budget: u64) {
        let mut files = self.list();
        let mut total: u64 = files.iter().map(|it| it.1).sum();
        files.sort_by_key(|it| it.2);
        let is_old = |it: &SystemTime| it.elapsed().is_ok_and(|it| it.as_secs() > 3600);
        for (path, bytes, used) in files {
            let is_temporary = path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(TEMPORARY));
            if (is_temporary && is_old(&used)) || (!is_temporary && total > budget) {
                let _ = fs::remove_file(&path);
                total = total.saturating_sub(bytes);
            }
        }
    }
}

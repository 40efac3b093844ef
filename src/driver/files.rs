//! Files by their content: what an input was read from, and what a parameter names.
//!
//! A file is looked at first and read only if it looks otherwise than last time. A file system tells time in ticks, so
//! what was written within the tick of the reading could look the same and be another: a look counts only if the
//! last write lay well before it.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use brooklet_digest::Digest;

use crate::value::Value;
use crate::version::{Encoder, Version};

/// Coarser than the ticks of any file system in use, those of a network included.
const TICK: Duration = Duration::from_secs(2);
/// A larger file is known by its looks: reading it would take longer than most nodes.
const LARGE: u64 = 1 << 30;
/// A directory may hold so many files.
const MOST: usize = 10_000;
/// The directory of results and records.
const OWN: &str = ".brooklet";

/// What changes when a file is written: device, inode, length, times of content and of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look([i64; 7]);

impl Look {
    /// `None` if there is no such file, or it cannot be looked at.
    pub fn at(path: &Path) -> Option<Look> {
        Some(Look::of(&fs::metadata(path).ok()?))
    }

    fn of(it: &fs::Metadata) -> Look {
        Look([
            it.dev() as i64,
            it.ino() as i64,
            it.size() as i64,
            it.mtime(),
            it.mtime_nsec(),
            it.ctime(),
            it.ctime_nsec(),
        ])
    }

    /// Whether what looks like this now is what was read at a moment.
    pub fn is_settled(&self, read: SystemTime) -> bool {
        let seconds = self.0[3].max(self.0[5]);
        let Ok(seconds) = u64::try_from(seconds) else { return true };
        read.duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).is_ok_and(|it| it > TICK)
    }

    fn encode(&self, encoder: &mut Encoder) {
        self.0.iter().for_each(|it| encoder.bytes(&it.to_le_bytes()));
    }
}

/// Versions of files, remembered by their looks.
#[derive(Default)]
pub(super) struct Files {
    known: HashMap<PathBuf, (Look, Version)>,
    /// What the present run asked for, by the path as it was written.
    pub asked: BTreeMap<String, Version>,
}

impl Files {
    /// The version of what a path names: a file, a directory with all that is in it, or what a pattern (`data/*.csv`)
    /// matches. `None` if there is nothing: what is elsewhere (`s3://…`) may change unseen.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn version(&mut self, base: &Path, path: &Path) -> Result<Option<Version>, String> {
        let shown = path.to_string_lossy().into_owned();
        if shown.is_empty() {
            return Err("an empty path names no file".to_owned());
        }
        let mut encoder = Encoder::new();
        let failed = |error: io::Error| format!("`{shown}`: {error}");
        let is_there = self.add(&base.join(path), &mut encoder, &mut 0).map_err(failed)?;
        if !is_there && !self.add_matches(base, &shown, &mut encoder).map_err(failed)? {
            return Ok(None);
        }
        let version = encoder.finish().ok_or("it cannot be seen")?;
        self.asked.insert(shown, version);
        Ok(Some(version))
    }

    /// Adds all that a pattern matches, with the names; false if it is none or matches nothing.
    fn add_matches(&mut self, base: &Path, pattern: &str, encoder: &mut Encoder) -> io::Result<bool> {
        if !pattern.contains(['*', '?', '[']) {
            return Ok(false);
        }
        let whole = base.join(pattern).to_string_lossy().into_owned();
        let matches = glob::glob(&whole).map_err(io::Error::other)?;
        let paths = matches.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
        encoder.text("pattern");
        encoder.length(paths.len());
        let mut count = 0;
        for path in &paths {
            encoder.text(&path.to_string_lossy());
            self.add(path, encoder, &mut count)?;
        }
        Ok(!paths.is_empty())
    }

    /// Adds what is at a path; false if there is nothing.
    fn add(&mut self, path: &Path, encoder: &mut Encoder, count: &mut usize) -> io::Result<bool> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        *count += 1;
        if *count > MOST {
            return Err(io::Error::other(format!("there are more than {MOST} files")));
        }
        if metadata.is_dir() {
            let mut names =
                fs::read_dir(path)?.map(|it| it.map(|it| it.file_name())).collect::<io::Result<Vec<_>>>()?;
            // What we write ourselves is nobody's data.
            names.retain(|it| it != OWN);
            names.sort();
            encoder.text("directory");
            encoder.length(names.len());
            for name in names {
                encoder.bytes(&(name.len() as u64).to_le_bytes());
                encoder.bytes(name.as_encoded_bytes());
                if !self.add(&path.join(name), encoder, count)? {
                    encoder.text("nothing");
                }
            }
            return Ok(true);
        }
        if !metadata.is_file() {
            return Err(io::Error::other("it is neither a file nor a directory"));
        }
        let look = Look::of(&metadata);
        if metadata.len() > LARGE {
            encoder.text("large");
            look.encode(encoder);
            return Ok(true);
        }
        encoder.text("file");
        encoder.bytes(&self.content(path, look)?.0);
        Ok(true)
    }

    fn content(&mut self, path: &Path, look: Look) -> io::Result<Version> {
        if let Some((before, version)) = self.known.get(path)
            && *before == look
        {
            return Ok(*version);
        }
        let moment = SystemTime::now();
        let mut file = File::open(path)?;
        let (mut digest, mut buffer) = (Digest::new(), vec![0; 1 << 18]);
        let mut length = 0;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            length += count as u64;
            digest.update(&buffer[..count]);
        }
        digest.update(&u64::to_le_bytes(length));
        let version = Version(digest.finish());
        if look.is_settled(moment) && Look::at(path) == Some(look) {
            self.known.insert(path.to_owned(), (look, version));
        } else {
            self.known.remove(path);
        }
        Ok(version)
    }
}

/// Whether values of a type name files.
pub(super) fn can_name(ty: TypeId) -> bool {
    [
        TypeId::of::<PathBuf>(),
        TypeId::of::<String>(),
        TypeId::of::<&'static str>(),
        TypeId::of::<Option<PathBuf>>(),
        TypeId::of::<Option<String>>(),
        TypeId::of::<Vec<PathBuf>>(),
        TypeId::of::<Vec<String>>(),
    ]
    .contains(&ty)
}

/// The paths that a value names: `None` if it is nothing of the kind.
pub(super) fn paths_of(value: &Value) -> Option<Vec<PathBuf>> {
    if let Some(it) = value.get::<PathBuf>() {
        return Some(vec![it.clone()]);
    }
    if let Some(it) = value.get::<String>() {
        return Some(vec![it.into()]);
    }
    if let Some(it) = value.get::<&'static str>() {
        return Some(vec![it.into()]);
    }
    if let Some(it) = value.get::<Option<PathBuf>>() {
        return Some(it.iter().cloned().collect());
    }
    if let Some(it) = value.get::<Option<String>>() {
        return Some(it.iter().map(PathBuf::from).collect());
    }
    if let Some(it) = value.get::<Vec<PathBuf>>() {
        return Some(it.clone());
    }
    value.get::<Vec<String>>().map(|it| it.iter().map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_content_and_a_directory_all_that_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let mut files = Files::default();
        let mut version = |path: &str| files.version(base, Path::new(path)).unwrap();
        assert_eq!(version("a.csv"), None);
        fs::write(base.join("a.csv"), "1").unwrap();
        let one = version("a.csv");
        // Of the same length, within the same tick.
        fs::write(base.join("a.csv"), "2").unwrap();
        let two = version("a.csv");
        fs::write(base.join("a.csv"), "1").unwrap();
        assert_eq!(version("a.csv"), one);
        assert!(one.is_some() && one != two);
        fs::create_dir_all(base.join("parts/.brooklet")).unwrap();
        let empty = version("parts");
        fs::write(base.join("parts/.brooklet/x"), "1").unwrap();
        assert_eq!(version("parts"), empty);
        fs::write(base.join("parts/x"), "1").unwrap();
        let with = version("parts");
        fs::rename(base.join("parts/x"), base.join("parts/y")).unwrap();
        let renamed = version("parts");
        assert!(empty.is_some() && empty != with && with != renamed && renamed != empty);
        assert_eq!(files.asked.keys().collect::<Vec<_>>(), ["a.csv", "parts"]);
        assert!(files.version(base, Path::new("")).is_err());
    }

    #[test]
    fn a_pattern_is_all_that_it_matches() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let mut files = Files::default();
        let mut version = |path: &str| files.version(base, Path::new(path)).unwrap();
        assert_eq!(version("*.csv"), None);
        fs::write(base.join("a.csv"), "1").unwrap();
        let one = version("*.csv");
        fs::write(base.join("b.csv"), "1").unwrap();
        let two = version("*.csv");
        fs::write(base.join("b.txt"), "1").unwrap();
        assert_eq!(version("*.csv"), two);
        fs::write(base.join("b.csv"), "2").unwrap();
        assert!(one.is_some() && one != two && version("*.csv") != two);
    }

    #[test]
    fn what_looks_as_it_did_is_not_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "1").unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        let look = Look::at(&path).unwrap();
        assert!(!look.is_settled(SystemTime::now()));
        assert!(look.is_settled(SystemTime::now() + Duration::from_secs(60)));
        assert!(!look.is_settled(old));
        assert!(Look::at(&directory.path().join("b")).is_none());
    }
}

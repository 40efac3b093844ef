//! The directory of all records, `.brooklet/runs`.
//!
//! ```text
//! runs.jsonl            one line a run, the newest last
//! runs-2026…Z.jsonl     older ones
//! sources/HASH.rs       transform files as they were
//! graphs/HASH.json      shapes of graphs: nodes, and what each takes
//! ```
//!
//! Several processes may add at once. A line is added by one write; texts are written under another name and renamed,
//! and named by their hash. Whoever is killed leaves half a line at most, which is passed over.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use brooklet_graph::graph::{Graph, Node};
use serde_json::{Value as Json, json};

use crate::{Record, stamp};

/// A file of lines that has grown so long is set aside.
const LONG: u64 = 16 << 20;
/// So many files of lines are kept.
const KEPT: usize = 64;
/// So many of them are looked through for code.
const RECENT: usize = 3;

/// The hash that texts are named by: XXH3 of 128 bits, in hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    brooklet_digest::hash(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

/// All records of one directory.
#[derive(Clone, Debug)]
pub struct Book {
    directory: PathBuf,
}

impl Book {
    /// The book in a `.brooklet` directory, which need not be there yet.
    pub fn at(directory: &Path) -> Book {
        Book { directory: directory.join("runs") }
    }

    /// Keeps a transform file; its hash.
    ///
    /// # Errors
    /// As the system says.
    pub fn keep_source(&self, text: &str) -> io::Result<String> {
        self.keep("sources", "rs", text.as_bytes())
    }

    /// Keeps the shape of a graph, which most edits leave as it is; its hash.
    ///
    /// # Errors
    /// As the system says.
    pub fn keep_graph(&self, graph: &Graph) -> io::Result<String> {
        let node = |it: &Node| {
            let takes = |optional| -> Vec<&String> {
                let all = it.dependencies.iter().filter(|it| it.optional == optional);
                all.map(|it| &it.name).collect()
            };
            json!({"name": it.name, "kind": it.kind, "type": it.ty, "file": it.file,
                   "required": takes(false), "optional": takes(true)})
        };
        let nodes: Vec<Json> = graph.nodes.values().map(node).collect();
        self.keep("graphs", "json", &serde_json::to_vec(&nodes)?)
    }

    fn keep(&self, kind: &str, extension: &str, bytes: &[u8]) -> io::Result<String> {
        self.make()?;
        let hash = hash(bytes);
        let directory = self.directory.join(kind);
        let path = directory.join(format!("{hash}.{extension}"));
        // What is there is as long as what it should be, or half of it: no name is given before all is written.
        if fs::metadata(&path).is_ok_and(|it| it.len() == bytes.len() as u64) {
            return Ok(hash);
        }
        fs::create_dir_all(&directory)?;
        let mut temporary = tempfile::Builder::new().prefix(".new-").tempfile_in(&directory)?;
        temporary.write_all(bytes)?;
        temporary.persist(path).map_err(|it| it.error)?;
        Ok(hash)
    }

    /// A transform file as it was; `None` if it is not there or not what it was.
    pub fn source(&self, hash: &str) -> Option<String> {
        String::from_utf8(self.read("sources", "rs", hash)?).ok()
    }

    fn read(&self, kind: &str, extension: &str, hash: &str) -> Option<Vec<u8>> {
        if !hash.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = fs::read(self.directory.join(kind).join(format!("{hash}.{extension}"))).ok()?;
        (self::hash(&bytes) == hash).then_some(bytes)
    }

    /// Makes the directory, with what keeps git from all of `.brooklet`.
    fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let ignore = self.directory.with_file_name(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        Ok(())
    }

    /// Adds a record.
    ///
    /// # Errors
    /// As the system says.
    pub fn add(&self, record: &Record) -> io::Result<()> {
        self.make()?;
        self.set_aside()?;
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let path = self.directory.join("runs.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        // Behind half a line, which somebody was killed in, ours would be lost with it.
        let length = file.metadata()?.len();
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, b'\n');
            }
        }
        file.write_all(&line)
    }

    /// Gives a file that has grown long another name, and removes the oldest of those.
    fn set_aside(&self) -> io::Result<()> {
        let path = self.directory.join("runs.jsonl");
        let is_long = || fs::metadata(&path).is_ok_and(|it| it.len() >= LONG);
        if !is_long() {
            return Ok(());
        }
        // Of several that find it long one is to do it.
        let lock = File::create(self.directory.join(".lock"))?;
        lock.lock()?;
        if is_long() {
            let moment = stamp(SystemTime::now()).replace(':', "-");
            fs::rename(&path, self.directory.join(format!("runs-{moment}.jsonl")))?;
            for old in self.files().into_iter().skip(KEPT) {
                fs::remove_file(old)?;
            }
        }
        Ok(())
    }

    /// Forgets all runs.
    ///
    /// # Errors
    /// As the system says.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The files of lines, the newest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut aside: Vec<PathBuf> = entries
            .map(|it| it.path())
            .filter(|it| {
                let name = it.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("runs-") && name.ends_with(".jsonl")
            })
            .collect();
        aside.sort();
        let mut files = vec![self.directory.join("runs.jsonl")];
        files.extend(aside.into_iter().rev());
        files
    }

    /// The records whose line is of interest, the newest first, as long as `more` wants them.
    fn search(&self, most: usize, is_meant: impl Fn(&[u8]) -> bool, mut more: impl FnMut(Record) -> bool) {
        let mut seen = BTreeSet::new();
        for path in self.files().into_iter().take(most) {
            let Ok(bytes) = fs::read(path) else { continue };
            for line in bytes.rsplit(|it| *it == b'\n').filter(|it| !it.is_empty() && is_meant(it)) {
                let Ok(record) = serde_json::from_slice::<Record>(line) else { continue };
                // Whatever copied a file: a run is one run.
                if seen.insert(record.id.clone()) && !more(record) {
                    return;
                }
            }
        }
    }

    /// The newest records, the newest first.
    pub fn newest(&self, count: usize) -> Vec<Record> {
        let mut newest = Vec::new();
        if count > 0 {
            self.search(
                usize::MAX,
                |_| true,
                |it| {
                    newest.push(it);
                    newest.len() < count
                },
            );
        }
        newest
    }

    /// The runs whose id begins so, the newest first.
    pub fn find(&self, id: &str) -> Vec<Record> {
        let start = format!("{{\"id\":\"{id}");
        let mut found = Vec::new();
        self.search(
            usize::MAX,
            |line| line.starts_with(start.as_bytes()),
            |it| {
                found.push(it);
                true
            },
        );
        found
    }

    /// The newest run in which some node had code of this fingerprint.
    pub fn with_code(&self, fingerprint: &str) -> Option<Record> {
        let code: String = fingerprint.chars().take(32).collect();
        let part = format!("\"code\":\"{code}\"");
        let mut found = None;
        self.search(
            RECENT,
            |line| contains(line, part.as_bytes()),
            |it| {
                found = Some(it);
                false
            },
        );
        found
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    // The fingerprint is rare; its first digits are soon found to be others.
    text.windows(part.len()).any(|it| it == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Node as RanNode, State};

    fn record(id: &str) -> Record {
        let node =
            RanNode { node: "a".into(), state: State::Ran, code: format!("{id:0>32}"), ..RanNode::default() };
        Record { id: id.to_owned(), nodes: vec![node], ..Record::default() }
    }

    fn ids(records: &[Record]) -> Vec<&str> {
        records.iter().map(|it| it.id.as_str()).collect()
    }

    #[test]
    fn records_are_found_by_age_by_id_and_by_code() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::at(directory.path());
        assert!(book.newest(3).is_empty());
        for id in ["aa01", "ab02", "ac03"] {
            book.add(&record(id)).unwrap();
        }
        assert_eq!(ids(&book.newest(2)), ["ac03", "ab02"]);
        assert_eq!(ids(&book.find("a")), ["ac03", "ab02", "aa01"]);
        assert_eq!(ids(&book.find("ab")), ["ab02"]);
        assert_eq!(book.with_code(&format!("{:0>32}ffff", "ab02")).map(|it| it.id), Some("ab02".to_owned()));
        assert_eq!(fs::read_to_string(directory.path().join(".gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn half_a_line_costs_that_line_alone() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::at(directory.path());
        book.add(&record("aa01")).unwrap();
        let path = directory.path().join("runs/runs.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"id\":\"ab02\",\"nod").unwrap();
        book.add(&record("ac03")).unwrap();
        assert_eq!(ids(&book.newest(9)), ["ac03", "aa01"]);
    }

    #[test]
    fn a_long_file_is_set_aside_and_still_read() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::at(directory.path());
        book.add(&record("aa01")).unwrap();
        let path = directory.path().join("runs/runs.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&vec![b'\n'; LONG as usize]).unwrap();
        book.add(&record("ab02")).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1000);
        assert_eq!(ids(&book.newest(9)), ["ab02", "aa01"]);
        // Twice the same file is not twice the same run.
        fs::copy(&path, directory.path().join("runs/runs-2000.jsonl")).unwrap();
        assert_eq!(ids(&book.newest(9)), ["ab02", "aa01"]);
        assert_eq!(ids(&book.find("ab02")), ["ab02"]);
    }

    #[test]
    fn texts_are_kept_once_and_what_was_altered_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::at(directory.path());
        let hash = book.keep_source("pub fn a() {}").unwrap();
        assert_eq!(book.keep_source("pub fn a() {}").unwrap(), hash);
        assert_eq!(book.source(&hash).as_deref(), Some("pub fn a() {}"));
        fs::write(directory.path().join(format!("runs/sources/{hash}.rs")), "pub fn b() {}").unwrap();
        assert_eq!(book.source(&hash), None);
        assert_eq!(book.source("../../x"), None);
        let graph = Graph::default();
        let hash = book.keep_graph(&graph).unwrap();
        let text = fs::read_to_string(directory.path().join(format!("runs/graphs/{hash}.json"))).unwrap();
        assert_eq!(text, "[]");
        book.clear().unwrap();
        book.clear().unwrap();
        assert!(!directory.path().join("runs").exists());
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_more_is_passed_over() {
        let whole = Record { milliseconds: 0.1 + 0.2, ..record("aa01") };
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), whole);
        let later = text.replace("{\"id\"", "{\"weather\":\"fine\",\"id\"");
        assert_eq!(serde_json::from_str::<Record>(&later).unwrap(), whole);
    }
}

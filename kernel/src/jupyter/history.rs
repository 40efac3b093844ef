//! What was typed, in this session and in earlier ones.
//!
//! Consoles ask for it when they start, and JupyterLab's inline completer searches it while one types, so
//! it is kept in memory. For later sessions each input is also appended to a file of JSON lines in the
//! user's cache. That file is shared by all kernels, written by anyone and never locked: a line that cannot
//! be read is passed over, and each append opens it afresh so that a kernel which shortens it takes
//! nothing from the others.
//!
//! Guiding rule: history is a convenience. Trouble with the file is a log line, never an error of a cell.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::content::Content;
use super::request;

/// Inputs of earlier sessions that are read at start.
const REMEMBERED: usize = 5_000;
/// The file is shortened to [`REMEMBERED`] inputs when it has grown beyond this many bytes.
const FILE_LIMIT: u64 = 4 << 20;
/// Longer inputs are kept for the session only.
const LINE_LIMIT: usize = 64 << 10;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1 over all sessions of the file.
    pub session: i64,
    /// The execution count.
    pub line: i64,
    pub input: String,
    /// The result as plain text; of this session only.
    #[serde(skip)]
    pub output: Option<String>,
}

/// All inputs that can be asked for, oldest first.
pub struct History {
    entries: Vec<Entry>,
    session: i64,
}

impl History {
    /// The history of earlier sessions, and a new session.
    pub fn load(file: Option<&Path>) -> History {
        let entries = file.map(read).unwrap_or_default();
        let session = entries.iter().map(|entry| entry.session).max().unwrap_or(0) + 1;
        History { entries, session }
    }

    /// Notes an input before it runs, and gives it back for the file.
    pub fn add(&mut self, line: u64, input: &str) -> Entry {
        let line = i64::try_from(line).unwrap_or(i64::MAX);
        let entry = Entry { session: self.session, line, input: input.to_owned(), output: None };
        self.entries.push(entry.clone());
        entry
    }

    /// Notes the result of an input of this session.
    pub fn set_output(&mut self, line: u64, output: String) {
        let own = |entry: &&mut Entry| entry.session == self.session && entry.line.unsigned_abs() == line;
        if let Some(entry) = self.entries.iter_mut().rev().find(own) {
            entry.output = Some(output);
        }
    }

    /// `history_reply`.
    pub fn answer(&self, request: &request::History) -> Content {
        let found = match request.hist_access_type.as_str() {
            "range" => self.range(request.session, request.start.unwrap_or(1), request.stop),
            "search" => self.search(request.pattern.as_deref().unwrap_or("*"), request.unique, request.n),
            _ => last(self.entries.iter().collect(), request.n),
        };
        let line = |entry: &&Entry| match request.output {
            true => json!([entry.session, entry.line, [entry.input, entry.output]]),
            false => json!([entry.session, entry.line, entry.input]),
        };
        let history: Vec<Json> = found.iter().map(line).collect();
        Content::new("history_reply", &json!({ "status": "ok", "history": history }))
    }

    /// Lines `start..stop` of a session. Negative numbers count from the end, as in Python.
    fn range(&self, session: i64, start: i64, stop: Option<i64>) -> Vec<&Entry> {
        let session = if session <= 0 { self.session.saturating_add(session) } else { session };
        let of_session = || self.entries.iter().filter(|entry| entry.session == session);
        let end = of_session().map(|entry| entry.line).max().unwrap_or(0).saturating_add(1);
        let from_end = |line: i64| if line < 0 { line.saturating_add(end) } else { line };
        let stop = stop.filter(|stop| *stop != 0).map_or(end, from_end);
        of_session().filter(|entry| (from_end(start)..stop).contains(&entry.line)).collect()
    }

    /// Inputs that a glob matches; with `unique` only the last of equal ones.
    fn search(&self, pattern: &str, unique: bool, n: Option<i64>) -> Vec<&Entry> {
        let pattern = Glob::new(pattern);
        let mut seen = std::collections::BTreeSet::new();
        let mut found: Vec<&Entry> = (self.entries.iter().rev())
            .filter(|entry| pattern.matches(&entry.input))
            .filter(|entry| !unique || seen.insert(entry.input.as_str()))
            .collect();
        found.reverse();
        last(found, n)
    }
}

/// The last `n` of them; all if `n` is not given or makes no sense.
fn last(mut entries: Vec<&Entry>, n: Option<i64>) -> Vec<&Entry> {
    if let Some(n) = n.and_then(|n| usize::try_from(n).ok()) {
        entries.drain(..entries.len().saturating_sub(n));
    }
    entries
}

/// Appends an input to the file. Called by the executor, so that a slow disk never delays an answer.
pub fn append(file: &Path, entry: &Entry) {
    if entry.input.len() > LINE_LIMIT {
        return;
    }
    let line = || -> io::Result<()> {
        // One write: lines of several kernels do not mix.
        let line = serde_json::to_string(entry)? + "\n";
        options().append(true).open(file)?.write_all(line.as_bytes())
    };
    if let Err(error) = line() {
        tracing::warn!(%error, file = %file.display(), "the history was not written");
    }
}

/// The last inputs of the file, which is shortened if it has grown too large, and made if it is not there.
fn read(file: &Path) -> Vec<Entry> {
    if let Some(directory) = file.parent()
        && let Err(error) = fs::create_dir_all(directory)
    {
        tracing::warn!(%error, directory = %directory.display(), "no place for the history");
    }
    // Bytes, as a torn line may not be UTF-8.
    let bytes = fs::read(file).unwrap_or_default();
    let mut entries: Vec<Entry> =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    entries.drain(..entries.len().saturating_sub(REMEMBERED));
    if bytes.len() as u64 > FILE_LIMIT
        && let Err(error) = shorten(file, &entries)
    {
        tracing::warn!(%error, file = %file.display(), "the history was not shortened");
    }
    entries
}

fn shorten(file: &Path, entries: &[Entry]) -> io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
    // Long inputs make a large file of few lines; keep what fits into half of it.
    let mut room = FILE_LIMIT / 2;
    let mut lines = Vec::new();
    for entry in entries.iter().rev() {
        let line = serde_json::to_string(entry)? + "\n";
        let Some(rest) = room.checked_sub(line.len() as u64) else { break };
        room = rest;
        lines.push(line);
    }
    lines.reverse();
    temporary.write_all(lines.concat().as_bytes())?;
    temporary.persist(file).map(drop).map_err(|failure| failure.error)
}

/// Inputs may hold secrets: the file is for its owner only.
fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

/// A pattern of `*`, `?`, `[abc]`, `[a-c]`, `[!abc]` and `[^abc]` that must match the whole text.
pub struct Glob(Vec<Part>);

enum Part {
    /// `*`: any characters, also none and also line ends.
    Any,
    /// `?`: one character.
    One,
    Exactly(char),
    /// Ranges; whether a character in one of them is wanted.
    Class(Vec<(char, char)>, bool),
}

impl Glob {
    pub fn new(pattern: &str) -> Glob {
        let pattern: Vec<char> = pattern.chars().collect();
        let mut parts = Vec::new();
        let mut rest = pattern.as_slice();
        while let [first, after @ ..] = rest {
            rest = after;
            parts.push(match first {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => match class(after) {
                    Some((class, after)) => {
                        rest = after;
                        class
                    }
                    None => Part::Exactly('['),
                },
                other => Part::Exactly(*other),
            });
        }
        Glob(parts)
    }

    /// At worst text times pattern steps, never more: only the last `*` is ever tried again.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut retry = None;
        loop {
            match (self.0.get(part), text.get(at)) {
                (Some(Part::Any), _) => {
                    retry = Some((part + 1, at));
                    part += 1;
                    continue;
                }
                (Some(wanted), Some(character)) if wanted.takes(*character) => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            match retry {
                Some((after, from)) if from < text.len() => {
                    (part, at) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            }
        }
    }
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Part::Any | Part::One => true,
            Part::Exactly(wanted) => *wanted == character,
            Part::Class(ranges, wanted) => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) == *wanted
            }
        }
    }
}

/// The class behind a `[` and what follows it; `None` if it is never closed.
fn class(pattern: &[char]) -> Option<(Part, &[char])> {
    let (wanted, pattern) = match pattern {
        ['!' | '^', after @ ..] => (false, after),
        _ => (true, pattern),
    };
    // A `]` in the first place stands for itself.
    let end = pattern.iter().skip(1).position(|character| *character == ']')? + 1;
    let (mut members, after) = (&pattern[..end], &pattern[end + 1..]);
    let mut ranges = Vec::new();
    loop {
        members = match members {
            [] => break,
            [low, '-', high, rest @ ..] => {
                ranges.push((*low, *high));
                rest
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                rest
            }
        };
    }
    Some((Part::Class(ranges, wanted), after))
}

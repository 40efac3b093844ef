//! Compiles one generation: the user's files and their shims, as a dylib against the image.
//!
//! A reload is this one rustc call, so everything here serves its speed: no cargo, no rustup proxy, no
//! debug information, incremental, and only the user's own lines are compiled. rustc reads a copy of the user's
//! files (`mirror`) under names that it maps back, so its messages point at the user's lines.
//!
//! rustc says what is wrong with the code at a place in the code. What it says without a place (a linker that was
//! killed, a disk that is full) is no property of the code: it is told as a failure of the compiler, of which
//! nothing is remembered.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use serde::Deserialize;

use super::BuildError;
use super::image::Image;
use super::mirror::Mirror;
use crate::os;

/// Where rustc writes, below the directory of libraries. The compiler must see the same names each time, or it
/// compiles most of the crate anew; so a library gets its own name after it is built. Its `soname` is that name
/// from the start: by it a cell's library finds the generation it was compiled against.
pub const BUILT: &str = "built";

/// What is compiled.
#[derive(Clone, Debug)]
pub struct Request {
    pub crate_name: &'static str,
    /// The generated `lib.rs`.
    pub root: PathBuf,
    /// Number of the generation: part of the file name, never used twice by one kernel.
    pub number: u64,
    /// Hash of all that may change a type; part of the crate's identity, so that a type that may have
    /// changed is another type to the compiler as well.
    pub type_key: String,
    pub out_directory: PathBuf,
    pub incremental_directory: PathBuf,
    /// Prefix that is cut off paths in messages and panics.
    pub base: PathBuf,
    /// The copy of the user's files that is compiled.
    pub mirror: Mirror,
    /// The edition of the user's package.
    pub edition: String,
    /// The features of the user's package that are on.
    pub features: Vec<String>,
    /// What `env!` finds of cargo's variables: those of the user's package, and never ours.
    pub environment: Vec<(String, String)>,
}

impl Request {
    /// Text without the places of copies.
    fn in_the_users_words(&self, text: &str) -> String {
        let root = self.mirror.root().display().to_string();
        if !text.contains(&root) {
            return text.to_owned();
        }
        let base = format!("{}/", self.mirror.copy_of(&self.base).display());
        text.replace(&base, "").replace(&root, "")
    }
}

/// One message of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `E0308`, a lint's name, or empty.
    pub code: String,
    pub is_error: bool,
    pub message: String,
    /// As rustc shows it, in colour.
    pub rendered: String,
    /// File and line of the primary place.
    pub place: Option<(PathBuf, u32)>,
}

#[derive(Clone, Debug)]
pub enum Failed {
    /// The user's code, or ours, does not compile.
    Messages(Vec<Message>),
    /// Nothing came of it, and it says nothing of the code: killed by `Compiler::kill`, or to be compiled anew.
    Killed,
    /// The compiler itself could not do its work.
    Compiler(BuildError),
}

/// What came of a compilation, and which files it read.
#[derive(Debug)]
pub struct Compiled {
    pub result: Result<PathBuf, Failed>,
    /// Files of the user's that were read: by absolute path, or through a link in the copy.
    pub read_outside: BTreeSet<PathBuf>,
}

/// Runs rustc, one at a time, and can be told to stop it from another thread.
#[derive(Debug, Default)]
pub struct Compiler {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Process id of the running rustc.
    running: Option<u32>,
    /// What is being compiled is no longer wanted.
    is_stopped: bool,
    /// Nothing will be wanted any more.
    is_closed: bool,
}

impl Compiler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Takes back a `kill` that was meant for the content before.
    pub fn begin(&self) {
        let mut state = self.state();
        state.is_stopped = state.is_closed;
    }

    /// Kills the running compiler, and every one that would start.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.kill();
    }

    /// Kills the running compiler and its linker; one that was about to start does not. `compile` then answers
    /// `Killed`.
    pub fn kill(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        if let Some(pid) = state.running {
            os::kill_group(pid);
        }
    }

    /// Compiles one generation. A rustc that somebody else killed is started again once, which `note` is told.
    pub fn compile(&self, image: &Image, request: &Request, note: &dyn Fn(&str)) -> Compiled {
        let mut ended = self.run(image, request);
        if let Ok(Ended::ByItself { status, .. }) = &ended
            && let Some(signal) = status.signal()
        {
            note(&format!("rustc was killed by signal {signal}; it is started once more"));
            ended = self.run(image, request);
        }
        let (status, mut messages, other) = match ended {
            Ok(Ended::ByItself { status, messages, other }) => (status, messages, other),
            Ok(Ended::Stopped) => {
                return Compiled { result: Err(Failed::Killed), read_outside: BTreeSet::new() };
            }
            Err(error) => {
                return Compiled { result: Err(Failed::Compiler(error)), read_outside: BTreeSet::new() };
            }
        };
        // rustc maps the places of what it says, and not what it quotes.
        for message in &mut messages {
            message.message = request.in_the_users_words(&message.message);
            message.rendered = request.in_the_users_words(&message.rendered);
        }
        let read_outside = read_outside(request).unwrap_or_default();
        let result = if status.success() { keep(request) } else { Err(failure(status, messages, other)) };
        if matches!(result, Err(Failed::Compiler(_))) {
            // What a compiler that could not go on has left there is not to be built upon.
            let _ = std::fs::remove_dir_all(&request.incremental_directory);
        }
        Compiled { result, read_outside }
    }

    fn run(&self, image: &Image, request: &Request) -> Result<Ended, BuildError> {
        let mut rustc = command(image, request);
        os::lead_group(&mut rustc);
        os::die_with_thread(&mut rustc);
        let _ = std::fs::remove_file(dependency_list(request));
        let mut child = {
            let mut state = self.state();
            if state.is_stopped {
                return Ok(Ended::Stopped);
            }
            let child = rustc.spawn().map_err(|error| {
                BuildError::new(format!("{} cannot be started: {error}", image.rustc.display()))
            })?;
            state.running = Some(child.id());
            child
        };
        let (messages, other) = listen(&mut child);
        // Forgotten before it is reaped: its number is free for others from then on.
        let mut state = self.state();
        state.running = None;
        let is_stopped = state.is_stopped;
        let status = child.wait().map_err(|error| BuildError::new(error.to_string()))?;
        drop(state);
        Ok(if is_stopped && !status.success() {
            Ended::Stopped
        } else {
            Ended::ByItself { status, messages, other }
        })
    }
}

/// How a rustc ended.
enum Ended {
    ByItself {
        status: std::process::ExitStatus,
        messages: Vec<Message>,
        other: String,
    },
    /// By `Compiler::kill`.
    Stopped,
}

/// Reads what rustc says until it has said all.
fn listen(child: &mut Child) -> (Vec<Message>, String) {
    let stderr = child.stderr.take().expect("stderr is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let drain = thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stdout).read_to_string(&mut text);
    });
    let read = read_messages(stderr);
    let _ = drain.join();
    read
}

/// Gives the library its own name.
fn keep(request: &Request) -> Result<PathBuf, Failed> {
    let built = request.out_directory.join(BUILT).join(format!("lib{}.so", request.crate_name));
    let library = request.out_directory.join(library_name(request));
    match std::fs::rename(&built, &library) {
        Ok(()) => Ok(library),
        Err(error) => {
            let message = format!("{} cannot be kept: {error}", built.display());
            Err(Failed::Compiler(BuildError::new(message)))
        }
    }
}

fn failure(status: std::process::ExitStatus, messages: Vec<Message>, mut other: String) -> Failed {
    if messages.iter().any(|it| it.is_error && it.place.is_some()) {
        return Failed::Messages(messages);
    }
    let first =
        messages.iter().find(|it| it.is_error).map(|it| it.message.lines().next().unwrap_or_default());
    let message = match (first, status.signal()) {
        (Some(first), _) => format!("the compiler could not do its work: {first}"),
        (None, Some(signal)) => format!("rustc was killed by signal {signal}"),
        (None, None) => format!("rustc stopped without saying why ({status})"),
    };
    for message in &messages {
        other.push_str(&message.rendered);
    }
    let hint = "see that there is memory and room on the disk; the next cell that needs it compiles again";
    Failed::Compiler(BuildError { message, output: other, hint: Some(hint.to_owned()) })
}

fn library_name(request: &Request) -> String {
    format!("lib{}-{}.so", request.crate_name, request.number)
}

/// Where rustc lists what it read.
fn dependency_list(request: &Request) -> PathBuf {
    request.out_directory.join(BUILT).join(format!("{}.d", request.crate_name))
}

/// What rustc read and no copy was made of, by the user's own paths. `None` if it got too early to its end.
fn read_outside(request: &Request) -> Option<BTreeSet<PathBuf>> {
    let text = std::fs::read_to_string(dependency_list(request)).ok()?;
    // Behind the rule of the library stands an empty rule for each file.
    let rules = text.lines().filter(|it| !it.starts_with('#'));
    let files = rules.filter_map(|it| it.strip_suffix(':')).map(|it| it.replace("\\ ", " "));
    // Through a link one gets to the user's own.
    let root = request.mirror.root().canonicalize().ok()?;
    let is_copy = |it: &Path| it.canonicalize().is_ok_and(|it| it.starts_with(&root));
    let outside = files
        .map(|it| request.base.join(it))
        .filter(|it| *it != request.root && !is_copy(it))
        .map(|it| normal(&request.mirror.original(&it)));
    Some(outside.collect())
}

/// The path without `.` and `..`, as includes are named.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => drop(normal.pop()),
            std::path::Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn command(image: &Image, request: &Request) -> Command {
    let name = library_name(request);
    let mirror = request.mirror.root();
    let mut rustc = Command::new(&image.rustc);
    rustc
        .args(["--crate-name", request.crate_name, "--edition", &request.edition, "--crate-type", "dylib"])
        .args(["--error-format=json", "--json=diagnostic-rendered-ansi", "--emit=link,dep-info"])
        .args(["-C", "prefer-dynamic", "-C", "opt-level=0", "-C", "debuginfo=0", "-C", "codegen-units=16"])
        .arg("-C")
        .arg(format!("metadata={}", request.type_key))
        .arg("-C")
        .arg(format!("link-arg=-Wl,-soname,{name}"))
        .arg("-C")
        .arg(format!("incremental={}", request.incremental_directory.display()))
        .arg("--out-dir")
        .arg(request.out_directory.join(BUILT))
        // Of those that fit the last counts: a file of the notebook's is named from there, others absolutely.
        .arg(format!("--remap-path-prefix={}=/", mirror.display()))
        .arg(format!("--remap-path-prefix={}/=", request.base.display()))
        .arg(format!("--remap-path-prefix={}/=", request.mirror.copy_of(&request.base).display()))
        .arg("-L")
        .arg(format!("dependency={}", image.dependencies.display()))
        .args(["--cap-lints", "warn", "--cfg", "brooklet_image"])
        .arg(&request.root)
        .current_dir(&request.base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|it| text.starts_with(it))
        {
            rustc.env_remove(name);
        }
    }
    rustc.envs(request.environment.iter().map(|(name, value)| (name, value)));
    for feature in &request.features {
        rustc.arg("--cfg").arg(format!("feature={feature:?}"));
    }
    for (name, path) in &image.externs {
        rustc.arg("--extern").arg(format!("{name}={}", path.display()));
    }
    rustc
}

#[derive(Deserialize)]
struct Json {
    message: String,
    code: Option<JsonCode>,
    level: String,
    rendered: Option<String>,
    #[serde(default)]
    spans: Vec<JsonSpan>,
}

#[derive(Deserialize)]
struct JsonCode {
    code: String,
}

#[derive(Deserialize)]
struct JsonSpan {
    file_name: String,
    line_start: u32,
    is_primary: bool,
}

/// Splits rustc's stderr into its messages and whatever else was printed there.
fn read_messages(stderr: impl Read) -> (Vec<Message>, String) {
    let mut messages = Vec::new();
    let mut other = String::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        match serde_json::from_str::<Json>(&text) {
            Ok(json) => messages.extend(message(json)),
            Err(_) => other.push_str(&text),
        }
        line.clear();
    }
    (messages, other)
}

/// `None` for rustc's closing words ("aborting due to 2 previous errors", "for more information about").
fn message(json: Json) -> Option<Message> {
    let is_error = json.level.starts_with("error");
    if !(is_error || json.level == "warning")
        || (json.spans.is_empty() && json.message.contains("aborting due to"))
    {
        return None;
    }
    // "2 warnings emitted" has no place and no code.
    if !is_error && json.spans.is_empty() && json.code.is_none() {
        return None;
    }
    let place = json.spans.iter().find(|it| it.is_primary).or(json.spans.first());
    Some(Message {
        code: json.code.map(|it| it.code).unwrap_or_default(),
        is_error,
        rendered: json.rendered.unwrap_or_else(|| json.message.clone()),
        place: place.map(|it| (Path::new(&it.file_name).to_owned(), it.line_start)),
        message: json.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_from_other_output_and_closing_words_dropped() {
        let stderr = concat!(
            r#"{"message":"mismatched types","code":{"code":"E0308"},"level":"error","rendered":"R","spans":[{"file_name":"a.rs","line_start":3,"is_primary":true}]}"#,
            "\nlinker says hello\n",
            r#"{"message":"aborting due to 1 previous error","code":null,"level":"error","rendered":"x","spans":[]}"#,
            "\n",
            r#"{"message":"1 warning emitted","code":null,"level":"warning","rendered":"x","spans":[]}"#,
            "\n",
        );
        let (messages, other) = read_messages(stderr.as_bytes());
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].code, "E0308");
        assert_eq!(messages[0].place, Some((PathBuf::from("a.rs"), 3)));
        assert_eq!(other, "linker says hello\n");
    }

    #[test]
    fn an_error_without_a_place_is_a_failure_of_the_compiler() {
        let stderr =
            r#"{"message":"linking with `cc` failed","code":null,"level":"error","rendered":"R","spans":[]}"#;
        let (messages, _) = read_messages(stderr.as_bytes());
        assert_eq!(messages.len(), 1);
        let status = std::process::ExitStatus::from_raw(256);
        let Failed::Compiler(error) = failure(status, messages, String::new()) else {
            panic!("it is told as an error of the code");
        };
        assert!(error.message.ends_with("linking with `cc` failed"), "{}", error.message);
        let killed = failure(std::process::ExitStatus::from_raw(9), Vec::new(), String::new());
        assert!(matches!(killed, Failed::Compiler(it) if it.message == "rustc was killed by signal 9"));
    }
}

//! Compiles one generation: the user's files and their shims, as a dylib against the image.
//!
//! A reload is this one rustc call, so everything here serves its speed: no cargo, no rustup proxy, no
//! debug information, incremental, and only the user's own lines are compiled. rustc reads the user's
//! files itself (`#[path]`), so its messages already point at the user's lines.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use serde::Deserialize;

use super::BuildError;
use super::image::Image;
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
    /// The edition of the user's package.
    pub edition: String,
    /// The features of the user's package that are on.
    pub features: Vec<String>,
    /// What `env!` finds of cargo's variables: those of the user's package, and never ours.
    pub environment: Vec<(String, String)>,
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
    /// Killed by `Compiler::kill`.
    Killed,
    /// The compiler itself could not do its work.
    Compiler(BuildError),
}

/// Runs rustc, one at a time, and can be told to stop it from another thread.
#[derive(Debug, Default)]
pub struct Compiler {
    /// Process id of the running rustc, 0 if none.
    running: AtomicU32,
    killed: AtomicBool,
}

impl Compiler {
    /// Kills the running compiler and its linker. `compile` then answers `Killed`.
    pub fn kill(&self) {
        let pid = self.running.load(Ordering::SeqCst);
        if pid != 0 {
            self.killed.store(true, Ordering::SeqCst);
            os::kill_group(pid);
        }
    }

    /// Compiles one generation and answers with its library.
    pub fn compile(&self, image: &Image, request: &Request) -> Result<PathBuf, Failed> {
        let name = format!("lib{}-{}.so", request.crate_name, request.number);
        let mut rustc = command(image, request, &name);
        os::lead_group(&mut rustc);
        os::die_with_thread(&mut rustc);
        self.killed.store(false, Ordering::SeqCst);
        let mut child = rustc.spawn().map_err(|error| {
            Failed::Compiler(BuildError::new(format!("{} cannot be started: {error}", image.rustc.display())))
        })?;
        self.running.store(child.id(), Ordering::SeqCst);
        let stderr = child.stderr.take().expect("stderr is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let drain = thread::spawn(move || {
            let mut text = String::new();
            let _ = BufReader::new(stdout).read_to_string(&mut text);
        });
        let (messages, other) = read_messages(stderr);
        let _ = drain.join();
        let status = child.wait();
        self.running.store(0, Ordering::SeqCst);
        let status = status.map_err(|error| Failed::Compiler(BuildError::new(error.to_string())))?;
        if self.killed.swap(false, Ordering::SeqCst) && !status.success() {
            return Err(Failed::Killed);
        }
        if status.success() {
            let built = request.out_directory.join(BUILT).join(format!("lib{}.so", request.crate_name));
            let library = request.out_directory.join(name);
            return match std::fs::rename(&built, &library) {
                Ok(()) => Ok(library),
                Err(error) => {
                    let message = format!("{} cannot be kept: {error}", built.display());
                    Err(Failed::Compiler(BuildError::new(message)))
                }
            };
        }
        if messages.iter().any(|it| it.is_error) {
            return Err(Failed::Messages(messages));
        }
        Err(Failed::Compiler(BuildError {
            message: format!("rustc stopped without saying why ({status})"),
            output: other,
            hint: None,
        }))
    }
}

fn command(image: &Image, request: &Request, name: &str) -> Command {
    let mut rustc = Command::new(&image.rustc);
    rustc
        .args(["--crate-name", request.crate_name, "--edition", &request.edition, "--crate-type", "dylib"])
        .args(["--error-format=json", "--json=diagnostic-rendered-ansi", "--emit=link"])
        .args(["-C", "prefer-dynamic", "-C", "opt-level=0", "-C", "debuginfo=0", "-C", "codegen-units=16"])
        .arg("-C")
        .arg(format!("metadata={}", request.type_key))
        .arg("-C")
        .arg(format!("link-arg=-Wl,-soname,{name}"))
        .arg("-C")
        .arg(format!("incremental={}", request.incremental_directory.display()))
        .arg("--out-dir")
        .arg(request.out_directory.join(BUILT))
        .arg(format!("--remap-path-prefix={}/=", request.base.display()))
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
    fn an_error_without_a_place_is_kept() {
        let stderr =
            r#"{"message":"linking with `cc` failed","code":null,"level":"error","rendered":"R","spans":[]}"#;
        assert_eq!(read_messages(stderr.as_bytes()).0.len(), 1);
    }
}

//! One cells process as the kernel holds it: its directory, its socket, its end.
//!
//! The process leads a group with evcxr's child and all compilers in it; the group is killed whole. Threads:
//! one accepts connections, one reads the process's answers, one serves each bridge, two read what is
//! printed. All of them end with the process, and none keeps it alive.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::CellsConfig;
use super::protocol::{
    self, Answer, Ask, Hello, LoadAndRun, Ran, Reply, Request, Role, SOCKET, Start, VERSION,
};
use crate::lease::{self, Lease};
use crate::os;

/// By this the directories of cells processes are known, in a folder that others use as well.
const PREFIX: &str = "brooklet-cells-";
/// How long a process may take from exec to its first word. Nothing slow happens before.
const FIRST_WORD: Duration = Duration::from_secs(20);
/// How long the process may take to take a message.
const WRITE: Duration = Duration::from_secs(5);
/// How long a killed process may take to be gone.
const END_GRACE: Duration = Duration::from_secs(2);
/// Lines kept of what the process printed last.
const LAST_WORDS: usize = 30;

/// What evcxr's child asks of the kernel, through this process. Called from the bridge's thread.
pub trait Relay: Send + Sync {
    fn load_and_run(&self, process: &Process, request: &LoadAndRun) -> Ran;
    /// evcxr has a new child: whatever the worker holds of variables is not known to it.
    fn bridge_connected(&self);
    /// An answer has come; before it is passed on.
    fn answered(&self, process: &Process, id: u64);
}

pub struct Process {
    pid: u32,
    child: Mutex<Child>,
    to_cells: Mutex<Option<UnixStream>>,
    waiting: Mutex<BTreeMap<u64, Sender<Answer>>>,
    next_id: AtomicU64,
    /// Cleared by the reader when the process has hung up.
    alive: AtomicBool,
    /// Set when this kernel asked for the end.
    wanted: AtomicBool,
    /// Where lines about progress go while somebody waits.
    progress: Mutex<Option<Sender<String>>>,
    last_words: Mutex<VecDeque<String>>,
    /// Removed with all that evcxr built when the last user of this struct is gone. Libraries that the
    /// worker has loaded stay usable.
    directory: Lease,
    /// The listening socket once more. Shut down, it wakes the thread that accepts, also if its path is gone.
    listening: UnixStream,
}

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|it| it.into_inner())
}

impl Process {
    /// Starts a process and waits until it says hello.
    ///
    /// # Errors
    /// If it cannot be started or says nothing.
    pub fn spawn(config: &CellsConfig, relay: Arc<dyn Relay>) -> io::Result<Arc<Process>> {
        let directory = fresh_directory()?;
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket)?;
        let listening = UnixStream::from(OwnedFd::from(listener.try_clone()?));
        fs::create_dir(directory.path().join("evcxr"))?;
        fs::write(directory.path().join("evcxr.toml"), EVCXR_CONFIG)?;
        let mut command = Command::new(&config.executable);
        command
            .arg("cells")
            .current_dir(directory.path())
            .env(SOCKET, &socket)
            .env("EVCXR_TMPDIR", directory.path().join("evcxr"))
            .env("EVCXR_CONFIG_DIR", directory.path())
            // Would win over the flags by which cells find the image.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        os::lead_group(&mut command);
        let mut child = command.spawn()?;
        let pid = child.id();
        let printed: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|it| Box::new(it) as _),
            child.stderr.take().map(|it| Box::new(it) as _),
        ];
        let process = Arc::new(Process {
            pid,
            child: Mutex::new(child),
            to_cells: Mutex::new(None),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            alive: AtomicBool::new(true),
            wanted: AtomicBool::new(false),
            progress: Mutex::new(None),
            last_words: Mutex::default(),
            directory,
            listening,
        });
        for from in printed.into_iter().flatten() {
            let process = process.clone();
            spawn_thread("cells-output", move || process.read_output(from));
        }
        let (connected_tx, connected_rx) = bounded(1);
        spawn_thread("cells-accept", {
            let process = process.clone();
            move || process.accept(&listener, &relay, &connected_tx)
        });
        if connected_rx.recv_timeout(FIRST_WORD).is_err() {
            process.kill();
            process.hung_up();
            return Err(io::Error::other(format!("it says nothing{}", process.last_words())));
        }
        Ok(process)
    }

    /// What the process must be told first.
    pub fn start_message(&self, config: &CellsConfig, prelude: String) -> Ask {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Ask::Start(Start {
            directory: text(&config.directory),
            sources_directory: text(&self.directory.path().join("sources")),
            rustflags: config.rustflags.clone(),
            externs: config.externs.clone(),
            sources: config.sources.clone(),
            lockfile: config.lockfile.as_deref().map(text),
            prelude,
            rehearsal: config.rehearsal.clone(),
        })
    }

    /// Sends a request. The receiver gets one answer, or is disconnected when the process ends.
    pub fn ask(&self, body: Ask) -> (u64, Receiver<Answer>) {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (answer_tx, answer_rx) = bounded(1);
        locked(&self.waiting).insert(id, answer_tx);
        let sent = match &mut *locked(&self.to_cells) {
            Some(to_cells) => protocol::send(to_cells, &Request { id, body }).is_ok(),
            None => false,
        };
        if !sent {
            // Half a message may be under way: there is no going on.
            os::kill_group(self.pid);
        }
        if !sent || !self.is_alive() {
            locked(&self.waiting).remove(&id);
        }
        (id, answer_rx)
    }

    /// Says something that has no answer.
    pub fn tell(&self, body: Ask) {
        if let Some(to_cells) = &mut *locked(&self.to_cells) {
            let _ = protocol::send(to_cells, &Request { id: 0, body });
        }
    }

    /// From now on lines about progress go here.
    pub fn watch_progress(&self) -> Receiver<String> {
        let (progress_tx, progress_rx) = unbounded();
        *locked(&self.progress) = Some(progress_tx);
        progress_rx
    }

    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Whether the process still has its directory, without which no cell compiles.
    pub fn has_directory(&self) -> bool {
        self.directory.is_there()
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process and all that it started. Waiting requests are disconnected.
    pub fn kill(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        os::kill_group(self.pid);
    }

    /// Lets the process go on if a signal has stopped it.
    pub fn resume(&self) {
        if self.is_alive() && os::resume_if_stopped(self.pid) {
            tracing::warn!("the process that compiles cells was stopped by a signal; it goes on");
        }
    }

    /// The same for all that it has started: evcxr's child and compilers.
    pub fn resume_all(&self) {
        self.resume();
        if self.is_alive() {
            for pid in with_descendants(&process_table(), vec![self.pid]) {
                os::resume_if_stopped(pid);
            }
        }
    }

    /// Waits until a killed process is reaped; not for ever, since the system may be slow to end it.
    pub fn wait_for_end(&self) {
        let deadline = Instant::now() + END_GRACE;
        while self.is_alive() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills the compilers that evcxr runs to build a cell, and nothing else: not its child, and not the
    /// `cargo metadata` of rust-analyzer, which would go on without any dependency.
    pub fn kill_builds(&self) {
        let processes = process_table();
        let is_build = |pid: &u32| is_build(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        let builds = children(&processes, self.pid).filter(is_build).collect();
        for pid in with_descendants(&processes, builds) {
            os::kill_process(pid);
        }
    }

    /// How the process ended, to follow "the process that compiles cells ..".
    pub fn end(&self) -> String {
        let status = locked(&self.child).wait().ok();
        let how = match status.and_then(|it| it.signal().map(|signal| (signal, it))) {
            _ if self.wanted.load(Ordering::SeqCst) => "was stopped".to_owned(),
            Some((signal, _)) => format!("was killed by signal {signal}"),
            None => match status.and_then(|it| it.code()) {
                Some(code) => format!("ended by itself with exit code {code}"),
                None => "is gone".to_owned(),
            },
        };
        if self.wanted.load(Ordering::SeqCst) { how } else { format!("{how}{}", self.last_words()) }
    }

    fn last_words(&self) -> String {
        let lines: Vec<String> = locked(&self.last_words).iter().cloned().collect();
        if lines.is_empty() { String::new() } else { format!("; it last printed:\n{}", lines.join("\n")) }
    }

    fn read_output(&self, from: impl Read) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if let Some(progress) = progress_line(&text) {
                if let Some(progress_tx) = &*locked(&self.progress) {
                    let _ = progress_tx.send(progress.to_owned());
                }
                continue;
            }
            tracing::debug!(target: "cells", "{text}");
            let mut last_words = locked(&self.last_words);
            last_words.push_back(text);
            if last_words.len() > LAST_WORDS {
                last_words.pop_front();
            }
        }
    }

    fn accept(
        self: Arc<Process>,
        listener: &UnixListener,
        relay: &Arc<dyn Relay>,
        connected_tx: &Sender<()>,
    ) {
        while let Ok((stream, _)) = listener.accept() {
            if !self.is_alive() {
                return;
            }
            let Ok(mut from) = stream.try_clone().map(BufReader::new) else { continue };
            match protocol::receive::<Hello>(&mut from) {
                Ok(Some(Hello { version: VERSION, role: Role::Cells })) => {
                    // Whoever writes must not wait for a process that does not read.
                    let _ = stream.set_write_timeout(Some(WRITE));
                    *locked(&self.to_cells) = Some(stream);
                    let (process, relay) = (self.clone(), relay.clone());
                    spawn_thread("cells-reader", move || process.read_answers(from, &*relay));
                    let _ = connected_tx.send(());
                }
                Ok(Some(Hello { version: VERSION, role: Role::Bridge })) => {
                    let (process, relay) = (self.clone(), relay.clone());
                    spawn_thread("cells-bridge", move || process.serve_bridge(from, stream, &*relay));
                }
                _ => tracing::warn!("an unknown process connected to the socket of cells"),
            }
        }
    }

    fn read_answers(&self, mut from: BufReader<UnixStream>, relay: &dyn Relay) {
        while let Ok(Some(Reply { id, body })) = protocol::receive::<Reply>(&mut from) {
            relay.answered(self, id);
            if let Some(answer_tx) = locked(&self.waiting).remove(&id) {
                let _ = answer_tx.send(body);
            }
        }
        self.hung_up();
    }

    fn serve_bridge(&self, mut from: BufReader<UnixStream>, mut to: UnixStream, relay: &dyn Relay) {
        relay.bridge_connected();
        while let Ok(Some(request)) = protocol::receive::<LoadAndRun>(&mut from) {
            let ran = relay.load_and_run(self, &request);
            if protocol::send(&mut to, &ran).is_err() {
                break;
            }
        }
    }

    fn hung_up(&self) {
        os::kill_group(self.pid);
        let _ = locked(&self.child).wait();
        // Nothing is read from there any more; libraries that the worker has loaded stay usable. Not left to the last
        // user of this struct, which may be a thread that the kernel's end does not wait for.
        self.directory.end();
        self.alive.store(false, Ordering::SeqCst);
        *locked(&self.to_cells) = None;
        // Wakes all who wait for an answer, and the thread that accepts.
        locked(&self.waiting).clear();
        let _ = self.listening.shutdown(Shutdown::Both);
        let _ = UnixStream::connect(self.directory.path().join("socket"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        os::kill_group(self.pid);
        let _ = locked(&self.child).wait();
    }
}

/// evcxr reads this where it starts. Level 0, because a cell links against code that is optimised already;
/// no network, because what is not on this machine is asked for by name, with `:dep`.
const EVCXR_CONFIG: &str = "[evcxr]\nopt_level = \"0\"\noffline_mode = true\npreserve_vars_on_panic = true\n";

fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread can be started");
}

/// A directory that no process has had before: a library loaded from a path that was used already would be
/// the old library.
fn fresh_directory() -> io::Result<Lease> {
    // A socket's path may have about 100 bytes.
    let temporary = std::env::temp_dir();
    let parent = if temporary.as_os_str().len() < 60 { temporary } else { PathBuf::from("/tmp") };
    lease::sweep(&parent, PREFIX);
    Lease::take(&parent, PREFIX)
}

fn children(processes: &[(u32, u32)], parent: u32) -> impl Iterator<Item = u32> {
    processes.iter().filter(move |it| it.1 == parent).map(|it| it.0)
}

/// Processes with all that they have started.
fn with_descendants(processes: &[(u32, u32)], mut found: Vec<u32>) -> Vec<u32> {
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(children(processes, parent));
        next += 1;
    }
    found
}

/// Every process of the system with its parent.
fn process_table() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent_in_stat(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// `pid (name) state parent ..`; the name may hold anything, brackets and spaces too.
fn parent_in_stat(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a command line is one by which evcxr compiles a cell.
fn is_build(cmdline: &[u8]) -> bool {
    let mut words = cmdline.split(|it| *it == 0);
    words.any(|it| it == b"build" || it == b"check")
}

/// What cargo does that takes time; other lines are for the log.
fn progress_line(line: &str) -> Option<&str> {
    let line = line.trim();
    ["Compiling ", "Downloading ", "Downloaded ", "Updating "]
        .iter()
        .any(|it| line.starts_with(it))
        .then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_whatever_the_process_is_called() {
        assert_eq!(parent_in_stat("12 (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent_in_stat("nonsense"), None);
        let own = process_table().into_iter().find(|(pid, _)| *pid == std::process::id()).unwrap();
        assert!(own.1 > 0);
    }

    #[test]
    fn descendants_are_found_however_deep() {
        let processes = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 4)];
        assert_eq!(with_descendants(&processes, vec![2]), [2, 3, 4, 6]);
        assert!(with_descendants(&processes, Vec::new()).is_empty());
    }

    #[test]
    fn only_builds_are_killed() {
        assert!(is_build(b"/bin/cargo\0--offline\0build\0--target\0x\0"));
        assert!(is_build(b"/bin/cargo\0check\0"));
        assert!(!is_build(b"/bin/cargo\0metadata\0--offline\0"));
        assert!(!is_build(b"/bin/brooklet\0bridge\0"));
    }

    #[test]
    fn progress_is_told_from_other_lines() {
        assert_eq!(progress_line("   Compiling regex v1.11.1"), Some("Compiling regex v1.11.1"));
        assert_eq!(progress_line("thread 'main' panicked"), None);
    }

    #[test]
    fn a_listener_whose_path_is_gone_is_woken_by_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let listening = UnixStream::from(OwnedFd::from(listener.try_clone().unwrap()));
        let (done_tx, done_rx) = bounded(1);
        let accept = move || {
            let _ = done_tx.send(listener.accept().is_err());
        };
        let accepting = thread::spawn(accept);
        drop(directory);
        listening.shutdown(Shutdown::Both).unwrap();
        assert_eq!(done_rx.recv_timeout(FIRST_WORD), Ok(true));
        accepting.join().unwrap();
    }
}

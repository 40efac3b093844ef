//! Says when to look again.
//!
//! Editors save in many ways: in place, by rename over the old file, by delete and create, half at a time. So events
//! only say that something happened. Directories are watched rather than files, since a watch on a file does not
//! survive a rename over it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, unbounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::files::WatchSet;

/// After this much quiet a save is taken to be finished.
const QUIET: Duration = Duration::from_millis(12);
/// Under steady changes we look again at the latest after this.
const AT_LATEST: Duration = Duration::from_millis(300);

/// Wakes the pipeline when something below a watched directory changed.
pub struct Watcher {
    /// `None` where the system has no more watches to give: then only executing looks at the files.
    inner: Mutex<Option<Following>>,
}

struct Following {
    watcher: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
}

impl Watcher {
    /// Calls `saved` once after each burst of changes, for as long as it answers `true`.
    pub fn new(saved: impl Fn() -> bool + Send + 'static) -> Watcher {
        let (events_tx, events_rx) = unbounded::<()>();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|it| !it.kind.is_access()) {
                let _ = events_tx.send(());
            }
        });
        let debounce = move || {
            while events_rx.recv().is_ok() {
                let first = Instant::now();
                while first.elapsed() < AT_LATEST {
                    match events_rx.recv_timeout(QUIET) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Timeout) => break,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
                if !saved() {
                    return;
                }
            }
        };
        // Ends when the watcher, which holds the sender of events, is dropped.
        thread::Builder::new().name("watch".into()).spawn(debounce).expect("a thread can be started");
        let inner = match watcher {
            Ok(watcher) => Some(Following { watcher, directories: BTreeSet::new() }),
            Err(error) => {
                tracing::warn!("files are looked at only when a cell is executed: {error}");
                None
            }
        };
        Watcher { inner: Mutex::new(inner) }
    }

    /// Watches exactly what the set names.
    pub fn follow(&self, watch_set: &WatchSet) {
        let mut inner = self.inner.lock().unwrap_or_else(|it| it.into_inner());
        let Some(following) = &mut *inner else { return };
        let wanted = watch_set.directories();
        let wanted_paths: BTreeSet<PathBuf> = wanted.iter().map(|it| it.0.clone()).collect();
        let old: Vec<PathBuf> = following.directories.difference(&wanted_paths).cloned().collect();
        for directory in old {
            let _ = following.watcher.unwatch(&directory);
        }
        for (directory, recursive) in wanted {
            let mode = if recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            if let Err(error) = following.watcher.watch(&directory, mode) {
                tracing::warn!("{} is looked at only when a cell is executed: {error}", directory.display());
            }
        }
        following.directories = wanted_paths;
    }
}

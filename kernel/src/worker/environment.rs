//! How the worker's process is set: its allocator, and polars.
//!
//! What the person who started the kernel says in the environment wins.

use std::ffi::OsString;

/// Columns come and go, and a fresh page costs more than the arithmetic on it. So freed pages are kept for ten seconds,
/// large ones too, and then left to the system, which takes them when it needs them (`MADV_FREE`); that goes on while
/// nothing runs. Few arenas, so that what one thread frees another one uses.
const ALLOCATOR: &str =
    "oversize_threshold:0,narenas:2,dirty_decay_ms:10000,muzzy_decay_ms:-1,background_thread:true";

/// Variables of the worker's environment.
pub fn settings() -> Vec<(&'static str, OsString)> {
    // `collect()` does what it does in Python: the streaming engine where it can.
    [("MALLOC_CONF", ALLOCATOR), ("POLARS_AUTO_STREAMING", "1")]
        .into_iter()
        .map(|(name, ours)| (name, std::env::var_os(name).unwrap_or_else(|| ours.into())))
        .collect()
}

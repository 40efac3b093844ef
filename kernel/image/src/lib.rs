//! The image: the one dylib that holds brooklet, polars and the standard library for all that is loaded.
//!
//! Generations and cells are linked against it and hold only the user's own code. The worker's executable has
//! a standard library of its own, so nothing of Rust's crosses between the two but this one `extern "C"`
//! function. No panic may leave it.

pub use brooklet;
pub use polars;

/// Serves the kernel at the other end of the socket until it shuts the worker down; the exit code.
// SAFETY: the executable looks the name up in this library alone, by its handle.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn brooklet_worker(fd: i32) -> i32 {
    std::panic::catch_unwind(|| brooklet::serve::serve(fd)).unwrap_or(101)
}

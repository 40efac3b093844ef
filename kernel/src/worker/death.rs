//! How a worker ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The worker's exit code for a link that does not take what it writes.
const LINK_LOST: i32 = 74;

/// The end of a worker, as it is told to the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Death {
    /// `was killed by signal 6 (SIGABRT)`; reads after "the worker".
    pub description: String,
    /// The last that it printed to stderr, where the runtime says why.
    pub last_words: String,
    /// Code of the user's had begun to run for the call.
    pub had_begun: bool,
    /// What code of the user's ran that is no step; reads after "while". May be empty.
    pub doing: String,
}

impl Death {
    /// A death of which nothing else is known.
    pub fn of(description: String) -> Death {
        Death { description, ..Death::default() }
    }
}

/// What the system says of the end; `wanted` by this kernel. Reads after "the worker".
pub fn describe(status: Option<ExitStatus>, wanted: bool) -> String {
    let Some(status) = status else { return "is gone".to_owned() };
    match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) if wanted => "was stopped".to_owned(),
        (Some(signal), _) => format!("was killed by signal {signal} ({})", signal_name(signal)),
        (None, Some(LINK_LOST)) => {
            "could not write to its link to the kernel (did code close its descriptors?) and ended".to_owned()
        }
        (None, Some(code)) => format!("ended by itself with exit code {code}"),
        (None, None) => "is gone".to_owned(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT: `abort()`, a failed allocation or a stack overflow",
        libc::SIGSEGV => "SIGSEGV: memory that is not its own, or a stack overflow",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL: `kill -9`, or the system was out of memory",
        libc::SIGTERM => "SIGTERM",
        _ => "see `man 7 signal`",
    }
}

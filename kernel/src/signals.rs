//! Signals that ask this process to end.
//!
//! By default they end it at once, with the session's directory left on the disk and sockets beside the
//! connection file. So they are caught, and told to whoever can end everything in order. A signal that comes
//! while nobody listens yet is kept.
//!
//! Guiding rule: nothing is done in the handler. The process ends by the same way as without a signal.

use std::io;

use signal_hook::iterator::Signals;

pub use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::os;

/// Signals that are caught from now on.
pub struct Caught(Signals);

impl Caught {
    /// Catches the signals, except SIGHUP where who started us has had it ignored, as `nohup` does.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn new(signals: &[i32]) -> io::Result<Caught> {
        let wanted = signals.iter().filter(|signal| **signal != SIGHUP || !os::is_ignored(SIGHUP));
        Signals::new(wanted).map(Caught)
    }

    /// Tells each signal, from a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// If the system refuses the thread.
    pub fn tell(self, mut tell: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
        let Caught(mut signals) = self;
        let listen = move || signals.forever().for_each(&mut tell);
        std::thread::Builder::new().name("signals".into()).spawn(listen).map(drop)
    }
}

/// What people call a signal.
pub fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

/// What a process returns that a signal has ended, by the custom of shells.
pub fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_signal_is_told_also_if_it_came_before_anybody_listened() {
        // Not one of those that end the tests if they come at another moment.
        let signal = signal_hook::consts::SIGWINCH;
        let caught = Caught::new(&[signal]).unwrap();
        signal_hook::low_level::raise(signal).unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        caught.tell(move |signal| sender.send(signal).unwrap_or_default()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(signal));
    }

    #[test]
    fn signals_have_the_names_and_the_exit_codes_that_shells_know() {
        assert_eq!((name(SIGTERM), exit_code(SIGTERM)), ("SIGTERM", 143));
        assert_eq!((name(SIGHUP), exit_code(SIGHUP)), ("SIGHUP", 129));
    }
}

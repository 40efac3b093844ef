//! Lets the store finish before the process dies of a fault in user code.
//!
//! A node that reads through a null pointer ends the process a few microseconds after the node before it was computed,
//! and that value may not be on the disk yet. So a thread that faults waits, two seconds at most, until the writing
//! thread has nothing left to do; then the fault takes its course. The heap may be damaged by then: what is written is
//! checked when it is read.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

/// How long a fault waits.
const PATIENCE_MILLISECONDS: u32 = 2_000;
/// The signals of faults, and of `abort`.
const FAULTS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT];

/// What is still to be written.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// The thread that writes: its own faults wait for nothing.
static WRITER: AtomicI32 = AtomicI32::new(0);
/// Faults are held in this process.
static IS_HELD: AtomicBool = AtomicBool::new(false);

pub fn more() {
    PENDING.fetch_add(1, Ordering::SeqCst);
}

pub fn less() {
    PENDING.fetch_sub(1, Ordering::SeqCst);
}

#[allow(unsafe_code)]
pub fn this_thread_writes() {
    // SAFETY: plain calls of the system. Whoever computes comes first; if that is refused, nothing is lost.
    unsafe {
        WRITER.store(libc::gettid(), Ordering::SeqCst);
        libc::setpriority(libc::PRIO_PROCESS, libc::gettid().cast_unsigned(), 5);
    }
}

/// Waits until nothing is pending. Safe in a signal handler: it takes no lock and no memory.
#[allow(unsafe_code)]
extern "C" fn wait() {
    // SAFETY: `gettid` and `nanosleep` may be called in a handler.
    unsafe {
        if libc::gettid() == WRITER.load(Ordering::SeqCst) {
            return;
        }
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let mut waited = 0;
        while PENDING.load(Ordering::SeqCst) > 0 && waited < PATIENCE_MILLISECONDS {
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
            waited += 1;
        }
    }
}

/// What was done with each signal before.
static mut BEFORE: [Option<libc::sigaction>; FAULTS.len()] = [None; FAULTS.len()];

#[allow(unsafe_code)]
extern "C" fn fault(signal: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    wait();
    let Some(at) = FAULTS.iter().position(|it| *it == signal) else { return };
    // SAFETY: written once, before the handler was set. Back in the faulting instruction, or in `abort`, the signal
    // comes again and takes its course.
    unsafe {
        let before = &raw const BEFORE[at];
        if let Some(before) = &*before {
            libc::sigaction(signal, before, std::ptr::null_mut());
        }
    }
}

/// What a handler needs, and what it calls.
const STACK: usize = 64 << 10;

/// Gives this thread a stack for handlers, so that an overflow of its own can wait as well. std does that for the
/// executable's threads only, and the image has a std of its own. For the life of the process.
#[allow(unsafe_code)]
pub fn guard_this_thread() {
    if !IS_HELD.load(Ordering::SeqCst) {
        return;
    }
    let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
    // SAFETY: the memory is this thread's and is never freed.
    unsafe {
        let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
    }
}

/// Has faults and the end of this process wait for what is being written, from now on. For a worker: a program's
/// signals are its own.
#[allow(unsafe_code)]
pub fn hold_faults() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        IS_HELD.store(true, Ordering::SeqCst);
        guard_this_thread();
        // SAFETY: the handler does what is allowed in one, on a stack of its own where the thread has one.
        unsafe {
            for (at, signal) in FAULTS.into_iter().enumerate() {
                let mut before: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(signal, std::ptr::null(), &raw mut before) != 0 {
                    continue;
                }
                BEFORE[at] = Some(before);
                let mut ours: libc::sigaction = std::mem::zeroed();
                ours.sa_sigaction = fault as *const () as usize;
                ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&raw mut ours.sa_mask);
                libc::sigaction(signal, &raw const ours, std::ptr::null_mut());
            }
            libc::atexit(wait);
            // A limit on the size of files is an error of `write`, and no end of the process.
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        }
    });
}

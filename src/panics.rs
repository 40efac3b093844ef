//! Panics of user code: caught, with their message and place, and not printed.
//!
//! The hook is the only place that knows where a panic happened, and it runs before unwinding starts. So one
//! hook is installed for the whole process; on a thread that captures it keeps the report for whoever
//! catches, elsewhere it does what was done before. Installed and used on this side of the image only: a
//! panic must not cross into the executable, which has another standard library.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    pub message: String,
    /// `file:line:column`, empty if unknown.
    pub place: String,
}

thread_local! {
    static CAPTURING: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// The last panic of a thread that did not capture: polars runs closures of users on threads of its own, and
/// passes on the payload but not the place.
static ELSEWHERE: Mutex<Option<Panic>> = Mutex::new(None);

/// Runs user code and catches its panic.
///
/// # Errors
/// The panic, if there was one.
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Panic> {
    install();
    let before = CAPTURING.replace(true);
    // What the code leaves half-done is its own: the caller drops the values that it could see.
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    let here = LAST.take();
    let result = result.map_err(|payload| {
        let report = here.unwrap_or_else(|| from_payload(&*payload));
        // The payload is the user's as well, and may panic when it is dropped; what comes of that is left alone.
        if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
        report
    });
    LAST.take();
    CAPTURING.set(before);
    result
}

/// The panic that was caught by someone else on this thread while `run` was running, with `run`'s result.
pub fn watch<T>(run: impl FnOnce() -> T) -> (T, Option<Panic>) {
    install();
    let before = CAPTURING.replace(true);
    LAST.take();
    let result = run();
    CAPTURING.set(before);
    (result, LAST.take())
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let report = Panic { message: message(info.payload()), place: place(info) };
            if CAPTURING.get() {
                LAST.set(Some(report));
            } else {
                *ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
                before(info);
            }
        }));
    });
}

/// A panic that came from another thread: its place is known if it was the last one there.
fn from_payload(payload: &(dyn Any + Send)) -> Panic {
    let message = message(payload);
    let elsewhere = ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match elsewhere {
        Some(report) if report.message == message => report,
        _ => Panic { message, place: String::new() },
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_place_are_kept() {
        let panic = catch(|| panic!("no {}", 1)).unwrap_err();
        assert_eq!(panic.message, "no 1");
        assert!(panic.place.contains("panics.rs:"), "{}", panic.place);
        assert_eq!(catch(|| 1), Ok(1));
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_is_one_panic() {
        struct Payload;
        impl Drop for Payload {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let panic = catch(|| panic::panic_any(Payload)).unwrap_err();
        assert_eq!(panic.message, "a panic without a message");
        assert_eq!(catch(|| 1), Ok(1));
    }

    #[test]
    fn a_panic_on_another_thread_keeps_its_place() {
        let panic = catch(|| {
            let thread = std::thread::spawn(|| assert_eq!("here", "there", "over there"));
            if let Err(payload) = thread.join() {
                panic::resume_unwind(payload);
            }
        })
        .unwrap_err();
        assert!(panic.message.contains("over there"));
        assert!(panic.place.contains("panics.rs:"), "{}", panic.place);
    }
}

//! Code of the user's that is no step: what `Drop`, `Debug`, `Serialize`, `Deserialize`, `Clone` and the like do when a
//! value is let go, shown, compared or read.
//!
//! It can do whatever a step can. So a panic in it says what was done, with which node and type; what would end the
//! process with it is announced first, so that whoever sees the end knows the cause; and values of user types are
//! dropped on a thread of their own, where a `Drop` that never ends holds up nobody. Guiding rule: none of it runs
//! under a lock of ours, nor where a panic would go through our own code.

use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Sender, unbounded};

use crate::panics;

/// User code may recurse; a notebook's main thread has 8 MB, tests have 2.
pub const STACK: usize = 16 << 20;

/// Which code of the user's runs.
#[derive(Clone, Copy, Debug)]
pub struct Doing<'a> {
    /// Reads after "while .. was".
    pub done: &'a str,
    /// May be empty.
    pub node: &'a str,
    /// The type's short name.
    pub ty: &'a str,
}

impl Doing<'_> {
    /// ``` `model` (`Tree`) was shown ```
    pub fn sentence(&self) -> String {
        match self.node {
            "" => format!("a value of `{}` was {}", self.ty, self.done),
            node => format!("`{node}` (`{}`) was {}", self.ty, self.done),
        }
    }
}

/// Hears of foreign code: what is announced, and what went wrong on the thread that drops values.
pub trait Observer: Send + Sync {
    /// Foreign code begins in a lane, or, if `what` is empty, has ended.
    fn doing(&self, lane: &str, what: &str);
    /// A value could not be dropped.
    fn warn(&self, node: &str, message: &str);
}

struct Hooks {
    observer: &'static dyn Observer,
    /// Takes values to the thread that drops them.
    bin: Sender<Unwanted>,
}

/// A value that nobody owns any more.
struct Unwanted {
    data: Arc<dyn Any + Send + Sync>,
    /// Short.
    ty: String,
    node: String,
}

static HOOKS: Mutex<Option<Hooks>> = Mutex::new(None);

thread_local! {
    /// What ran when foreign code on this thread panicked.
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn observer() -> Option<&'static dyn Observer> {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|it| it.observer)
}

/// Gives values of user types to a thread of their own from now on, for the life of the process.
pub fn observe(observer: &'static dyn Observer) -> std::io::Result<()> {
    let (bin, values) = unbounded::<Unwanted>();
    let drop_all = move || {
        for Unwanted { data, ty, node } in values {
            let doing = Doing { done: "dropped", node: &node, ty: &ty };
            observer.doing("drop", &doing.sentence());
            if let Err(panic) = panics::catch(|| drop(data)) {
                let message =
                    format!("a panic while {}: {} ({})", doing.sentence(), panic.message, panic.place);
                observer.warn(&node, &message);
            }
            observer.doing("drop", "");
        }
    };
    thread::Builder::new().name("brooklet-drop".to_owned()).stack_size(STACK).spawn(drop_all)?;
    *HOOKS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Hooks { observer, bin });
    Ok(())
}

/// Lets the last owner's pointer to a value of a user's type go.
pub(crate) fn let_go(data: Arc<dyn Any + Send + Sync>, ty: String, node: String) {
    let bin = HOOKS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|it| it.bin.clone());
    match bin {
        Some(bin) => {
            // If the thread has ended, nothing may be dropped any more; the memory is the price.
            if let Err(unsent) = bin.send(Unwanted { data, ty, node }) {
                std::mem::forget(unsent);
            }
        }
        // A program: where it stands, but not through our own code.
        None => {
            if let Err(panic) = panics::catch(|| drop(data)) {
                eprintln!("warning: a value of `{ty}` panicked when it was dropped: {}", panic.message);
            }
        }
    }
}

/// Runs foreign code on this thread; a panic goes on, and [`take_fault`] then says where it came from.
pub fn run<T>(doing: &Doing<'_>, run: impl FnOnce() -> T) -> T {
    run_in("run", doing, run)
}

/// As [`run`], announced in a lane of its own: on a thread beside the one that runs nodes and cells.
pub fn run_in<T>(lane: &str, doing: &Doing<'_>, run: impl FnOnce() -> T) -> T {
    struct Announced<'a> {
        lane: &'a str,
        doing: &'a Doing<'a>,
        observer: Option<&'static dyn Observer>,
    }
    impl Drop for Announced<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                FAULT.set(Some(self.doing.sentence()));
            }
            if let Some(observer) = self.observer {
                observer.doing(self.lane, "");
            }
        }
    }
    let announced = Announced { lane, doing, observer: observer() };
    if let Some(observer) = announced.observer {
        observer.doing(lane, &doing.sentence());
    }
    run()
}

/// The foreign code that panicked on this thread since the last call, as it reads after "while".
pub fn take_fault() -> Option<String> {
    FAULT.take()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::value::Value;

    #[test]
    fn a_panic_says_what_was_done_with_which_node_and_type() {
        let doing = Doing { done: "shown", node: "model", ty: "Tree" };
        assert!(panics::catch(|| run(&doing, || panic!("no"))).is_err());
        assert_eq!(take_fault().as_deref(), Some("`model` (`Tree`) was shown"));
        assert_eq!(take_fault(), None);
        assert_eq!(run(&doing, || 1), 1);
        assert_eq!(take_fault(), None);
    }

    #[test]
    fn a_drop_that_panics_reaches_nobody() {
        struct Guard(Arc<AtomicBool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
                panic!("not again");
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let value = Value::new(Guard(dropped.clone()));
        let clone = value.clone();
        drop(value);
        assert!(!dropped.load(Ordering::SeqCst));
        drop(clone);
        assert!(dropped.load(Ordering::SeqCst));
    }
}

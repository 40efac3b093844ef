//! Work on all cores, in the order in which it was asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Stack of each thread: where signatures are read, syn recurses over types. Untouched pages cost nothing.
const STACK: usize = 64 << 20;

/// Calls `work` for every index, on all cores, and gives the answers in order.
pub(crate) fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    let run = || {
        let mut own = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            own.push((index, work(index)));
        }
        done.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
    };
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..threads {
            let thread = std::thread::Builder::new().name("graph".to_owned()).stack_size(STACK);
            started += usize::from(thread.spawn_scoped(scope, run).is_ok());
        }
        // A system without room for threads still gets its answer.
        if started == 0 {
            run();
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

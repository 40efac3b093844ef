//! The `brooklet` executable.
//!
//! One executable plays every part: the command line, the kernel, the worker, the cells process, evcxr's
//! child and its compiler wrapper. Which part is decided here, before anything else runs, because evcxr
//! starts this executable again with nothing but environment variables to tell it apart.

mod build;
mod cells;
mod command_line;
mod engine;
mod executable;
mod guard;
mod highlight;
mod jupyter;
mod lease;
mod os;
mod reload;
mod session;
mod signals;
#[cfg(test)]
mod testing;
mod worker;

use std::process::ExitCode;

/// Takes the place of `malloc` in the whole process, so that all that the worker loads uses it too. How it is set for
/// the worker is said where the worker is started.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if let Some(code) = cells::run_as_evcxr_child().or_else(guard::run_if_asked) {
        return code;
    }
    command_line::main()
}

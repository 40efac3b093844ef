//! What the generated shims call: from a function's own types to untyped values and back.
//!
//! A shim names no type. It takes the function item and asks for the type of each parameter and of the
//! return value as a value ([`Ty`]); which conversion applies is then chosen by method resolution, which
//! prefers the implementation behind the most references ("autoref specialisation"). rustc thus decides
//! everything that syntax cannot see: aliases, re-exports, renamed `Option`s.
//!
//! Guiding rule: shims are compiled at every save, so they hold calls and nothing else. What depends on a
//! type alone is here, compiled once in the image.

mod arg;
#[doc(hidden)]
pub mod common;
mod edge;
mod export;
mod group;
mod part;
mod probe;
pub mod registry;
mod ret;
mod table;
mod types;

pub use arg::{Arg, TakeByValue};
pub use edge::{Fits, fits};
pub use group::Group;
pub use part::{part_type, project};
pub use pollster::block_on;
pub use probe::{ProbeData, ProbeLiteral, ProbeShow, ProbeStore};
pub use ret::{Failed, NodeValue, Return};
pub use table::{Argument, Error, Function, GroupKind, Outcome, ParamInfo, Shim, Slots, Table, TypeInfo};
pub use types::*;

pub use crate::{probe_input, probe_output, probe_store};

/// An address inside this copy of the library. A generation that carries its own copy has another one.
pub fn copy_mark() -> usize {
    static MARK: u8 = 0;
    std::ptr::from_ref(&MARK) as usize
}

#[cfg(test)]
mod tests;

//! The whole system from outside: the executable as users, Jupyter and a browser meet it.
//!
//! `architecture` reads the sources; the others start real processes. What they need beyond Rust they
//! install by themselves into the user's cache, and a test that cannot have what it needs says so by name.

mod architecture;
mod browser;
mod python;

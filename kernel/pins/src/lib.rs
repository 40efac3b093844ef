//! Brooklet.

//! Edges as compile-time assertions: what a program has in place of the comparison at commit.
//!
//! `flow!` emits one for each edge that no configuration can alter. The message is ours, and names the edge. What
//! is accepted here is what [`Arg`](super::Arg) accepts, in a form that needs no choice between implementations.

use super::types::Ty;

/// A parameter of type `Self` that can be fed by a node that holds `Found`.
#[diagnostic::on_unimplemented(
    message = "edge {Edge}: the parameter does not take a `{Found}`",
    label = "the node holds `{Found}`",
    note = "change the parameter or what the node returns, or convert in a node between them"
)]
pub trait Fits<Found: ?Sized, Edge> {}

impl<T, E> Fits<T, E> for Ty<T> {}
impl<T: ?Sized, E> Fits<T, E> for Ty<&T> {}
impl<T, E> Fits<T, E> for Ty<Option<T>> {}
impl<T: ?Sized, E> Fits<T, E> for Ty<Option<&T>> {}
impl<T, E> Fits<Option<T>, E> for Ty<Option<&T>> {}
impl<T, E> Fits<Vec<T>, E> for Ty<&[T]> {}
impl<T, E> Fits<Vec<T>, E> for Ty<Option<&[T]>> {}
impl<E> Fits<String, E> for Ty<&str> {}
impl<E> Fits<String, E> for Ty<Option<&str>> {}
impl<E> Fits<Option<String>, E> for Ty<Option<&str>> {}
impl<T, E> Fits<Option<Vec<T>>, E> for Ty<Option<&[T]>> {}
impl<E> Fits<polars::prelude::DataFrame, E> for Ty<polars::prelude::LazyFrame> {}
impl<E> Fits<polars::prelude::DataFrame, E> for Ty<Option<polars::prelude::LazyFrame>> {}

/// Asserts an edge.
pub const fn fits<Edge, Found, Param>(_: Ty<Found>, _: Ty<Param>)
where
    Ty<Param>: Fits<Found, Edge>,
{
}

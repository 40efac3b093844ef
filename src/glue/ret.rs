//! From what a function returns to what its node holds.
//!
//! Call as `(&&&&&r2(f)).ret(slots)`. A `Result` is taken apart here: its error becomes text with all its
//! sources, as much as its type can tell.

use std::error::Error as StdError;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

use super::table::{Error, Outcome, Slots, TypeInfo};
use super::types::Ty;

/// The return type of a function.
pub trait Return {
    type Returned;
    fn ret(&self, slots: &Slots<'_>) -> Self::Returned;
}

/// What a node can hold.
#[diagnostic::on_unimplemented(
    message = "a node cannot hold `{Self}`: it is not `Send + Sync + 'static`",
    note = "values are shared between threads and kept between runs"
)]
pub trait NodeValue: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> NodeValue for T {}

/// A function's return: plain, or a `Result` whose error is told in one of several ways.
pub struct Returned<T, How>(PhantomData<fn() -> (T, How)>);

impl<T, How> Returned<T, How> {
    pub fn ty(&self) -> Ty<T> {
        Ty::new()
    }
}

/// `T`
pub struct Plain;
/// `Result<T, E>` with an error that is a `Failed`.
pub struct Fallible<E>(PhantomData<fn() -> E>);

impl<T: 'static> Returned<T, Plain> {
    pub fn finish(self, returned: T) -> Outcome
    where
        T: NodeValue,
    {
        Ok(Arc::new(returned))
    }
}

impl<T: 'static, E> Returned<T, Fallible<E>> {
    pub fn finish<R>(self, returned: Result<T, R>) -> Outcome
    where
        T: NodeValue,
        E: Failed<R>,
    {
        match returned {
            Ok(it) => Ok(Arc::new(it)),
            Err(error) => Err(E::failed(&error)),
        }
    }
}

/// One way of telling an error.
pub trait Failed<E> {
    fn failed(error: &E) -> Error;
}

/// `E: std::error::Error`: message and sources.
pub struct Sources;
/// `Box<dyn Error ..>`: the same, for a box does not implement the trait.
pub struct BoxedSources;
/// `E: Display`: the message; the alternate form, where error libraries put the sources.
pub struct Shown;
/// Nothing is known of the error but its type.
pub struct Silent;

impl<E: StdError> Failed<E> for Sources {
    fn failed(error: &E) -> Error {
        tell(error.to_string(), error.source())
    }
}

impl<E: AsRef<dyn StdError + 'static>> Failed<E> for BoxedSources {
    fn failed(error: &E) -> Error {
        let error: &(dyn StdError + 'static) = error.as_ref();
        tell(error.to_string(), error.source())
    }
}

impl<E: Display> Failed<E> for Shown {
    fn failed(error: &E) -> Error {
        tell(format!("{error:#}"), None)
    }
}

impl<E> Failed<E> for Silent {
    fn failed(_: &E) -> Error {
        tell(
            format!("an error of type `{}`", crate::value::short_type_name(std::any::type_name::<E>())),
            None,
        )
    }
}

fn tell(message: String, mut source: Option<&(dyn StdError + 'static)>) -> Error {
    let mut chain = Vec::new();
    while let Some(error) = source {
        chain.push(error.to_string());
        source = error.source();
    }
    Error::Failed { message, chain }
}

macro_rules! returned {
    ([$($generics:tt)*] $receiver:ty => $how:ty) => {
        impl<T: 'static, $($generics)*> Return for $receiver {
            type Returned = Returned<T, $how>;
            fn ret(&self, slots: &Slots<'_>) -> Self::Returned {
                slots.describe_output(TypeInfo::of::<T>);
                Returned(PhantomData)
            }
        }
    };
}

returned!([] &&&&Ty<Result<T, Box<dyn StdError>>> => Fallible<BoxedSources>);
returned!([] &&&&Ty<Result<T, Box<dyn StdError + Send>>> => Fallible<BoxedSendSources>);
returned!([] &&&&Ty<Result<T, Box<dyn StdError + Send + Sync>>> => Fallible<BoxedSyncSources>);
returned!([E: StdError] &&&Ty<Result<T, E>> => Fallible<Sources>);
returned!([E: Display] &&Ty<Result<T, E>> => Fallible<Shown>);
returned!([E] &Ty<Result<T, E>> => Fallible<Silent>);
returned!([] Ty<T> => Plain);

/// As [`BoxedSources`].
pub struct BoxedSendSources;
/// As [`BoxedSources`].
pub struct BoxedSyncSources;

impl Failed<Box<dyn StdError + Send>> for BoxedSendSources {
    fn failed(error: &Box<dyn StdError + Send>) -> Error {
        tell(error.to_string(), error.source())
    }
}

impl Failed<Box<dyn StdError + Send + Sync>> for BoxedSyncSources {
    fn failed(error: &Box<dyn StdError + Send + Sync>) -> Error {
        tell(error.to_string(), error.source())
    }
}

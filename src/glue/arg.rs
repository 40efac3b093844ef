//! From a stored value to what a parameter takes.
//!
//! Call as `(&&&&p2_0(f)).arg(slots, 0)`: the implementation behind the most `&` that fits the type wins.
//! What it returns remembers the slot; `take()` gives the parameter itself, once the shim is ready to call.

use std::any::Any;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use polars::prelude::{DataFrame, IntoLazy, LazyFrame};

use super::table::{Error, Slots, TypeInfo};
use super::types::Ty;
use crate::value::Value;

/// The type of a parameter.
pub trait Arg<'v> {
    type Taken;
    fn arg(&self, slots: &Slots<'v>, index: usize) -> Self::Taken;
}

/// A parameter that can be taken by value: anything that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "a parameter takes `{Self}` by value, but `{Self}` is not `Clone`",
    label = "take a reference: `&{Self}`",
    note = "several nodes may need the value, so each gets a reference or a clone"
)]
pub trait TakeByValue: Sized {
    fn cloned(&self) -> Self;
}

impl<T: Clone> TakeByValue for T {
    fn cloned(&self) -> T {
        self.clone()
    }
}

/// A slot, and the type that a parameter is fed from.
pub struct Slot<'v, Base: ?Sized, How> {
    value: Option<&'v Value>,
    index: usize,
    base: Ty<Base>,
    how: PhantomData<fn() -> How>,
}

impl<'v, Base: ?Sized, How> Slot<'v, Base, How> {
    fn new(slots: &Slots<'v>, index: usize) -> Self {
        Slot { value: slots.get(index), index, base: Ty::new(), how: PhantomData }
    }

    /// The type that a literal for this parameter has.
    pub fn ty(&self) -> Ty<Base> {
        self.base
    }

    pub fn index(&self) -> usize {
        self.index
    }

    fn required(&self) -> Result<&'v Value, Error> {
        self.value.ok_or(Error::Missing { parameter: self.index })
    }

    fn wrong_type(&self, expected: TypeInfo, found: &Value) -> Error {
        Error::WrongType { parameter: self.index, expected: expected.short(), found: found.type_name() }
    }
}

/// `&T`
pub struct ByReference;
/// `T`
pub struct ByValue;
/// `Option<&T>`
pub struct MaybeReference;
/// `Option<T>`
pub struct MaybeValue;

macro_rules! arg {
    ([$($generics:tt)*] $receiver:ty => $base:ty, $how:ty, optional $optional:literal, accepts $($accepts:ty),*) => {
        impl<'v, $($generics)*> Arg<'v> for $receiver {
            type Taken = Slot<'v, $base, $how>;
            fn arg(&self, slots: &Slots<'v>, index: usize) -> Self::Taken {
                slots.describe_param(&[$(TypeInfo::of::<$accepts>),*], $optional);
                Slot::new(slots, index)
            }
        }
    };
}

arg!([T: 'static] &&&Ty<Option<&'v T>> => T, MaybeReference, optional true, accepts T, Option<T>);
arg!([] &&&Ty<Option<&'v str>> => String, MaybeText, optional true, accepts String, &'static str, Option<String>);
arg!([] &&&Ty<Option<&'v Path>> => PathBuf, MaybeFile, optional true, accepts PathBuf, Option<PathBuf>);
arg!([T: 'static] &&&Ty<Option<&'v [T]>> => Vec<T>, MaybeSlice, optional true, accepts Vec<T>, Option<Vec<T>>);
arg!([] &&&Ty<Option<LazyFrame>> => LazyFrame, MaybeLazy, optional true, accepts LazyFrame, DataFrame);
arg!([] &&&Ty<&'v str> => String, Text, optional false, accepts String, &'static str);
arg!([] &&&Ty<&'v Path> => PathBuf, File, optional false, accepts PathBuf);
arg!([T: 'static] &&&Ty<&'v [T]> => Vec<T>, Slice, optional false, accepts Vec<T>);
arg!([] &&&Ty<LazyFrame> => LazyFrame, Lazy, optional false, accepts LazyFrame, DataFrame);
arg!([T: 'static] &&Ty<Option<T>> => T, MaybeValue, optional true, accepts T, Option<T>);
arg!([T: 'static] &Ty<&'v T> => T, ByReference, optional false, accepts T);
arg!([T: 'static] Ty<T> => T, ByValue, optional false, accepts T);

/// `&str` from a `String`.
pub struct Text;
/// `Option<&str>`
pub struct MaybeText;
/// `&Path` from a `PathBuf`.
pub struct File;
/// `Option<&Path>`
pub struct MaybeFile;
/// `&[T]` from a `Vec<T>`.
pub struct Slice;
/// `Option<&[T]>`
pub struct MaybeSlice;
/// `LazyFrame`, also from a `DataFrame`.
pub struct Lazy;
/// `Option<LazyFrame>`
pub struct MaybeLazy;

impl<'v, T: Any> Slot<'v, T, ByReference> {
    pub fn take(&self) -> Result<&'v T, Error> {
        let value = self.required()?;
        value.get().ok_or_else(|| self.wrong_type(TypeInfo::of::<T>(), value))
    }
}

impl<T: Any> Slot<'_, T, ByValue> {
    pub fn take(&self) -> Result<T, Error>
    where
        T: TakeByValue,
    {
        let value = self.required()?;
        value.get().map(T::cloned).ok_or_else(|| self.wrong_type(TypeInfo::of::<T>(), value))
    }
}

impl<'v, T: Any> Slot<'v, T, MaybeReference> {
    pub fn take(&self) -> Result<Option<&'v T>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        match value.get::<T>() {
            Some(it) => Ok(Some(it)),
            None => match value.get::<Option<T>>() {
                Some(it) => Ok(it.as_ref()),
                None => Err(self.wrong_type(TypeInfo::of::<T>(), value)),
            },
        }
    }
}

impl<T: Any> Slot<'_, T, MaybeValue> {
    pub fn take(&self) -> Result<Option<T>, Error>
    where
        T: TakeByValue,
    {
        let by_reference = Slot { value: self.value, index: self.index, base: self.base, how: PhantomData };
        Ok(Slot::<T, MaybeReference>::take(&by_reference)?.map(T::cloned))
    }
}

fn text(value: &Value) -> Option<&str> {
    value.get::<String>().map(String::as_str).or_else(|| value.get::<&'static str>().copied())
}

impl<'v> Slot<'v, String, Text> {
    pub fn take(&self) -> Result<&'v str, Error> {
        let value = self.required()?;
        text(value).ok_or_else(|| self.wrong_type(TypeInfo::of::<String>(), value))
    }
}

impl<'v> Slot<'v, String, MaybeText> {
    pub fn take(&self) -> Result<Option<&'v str>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        if let Some(maybe) = value.get::<Option<String>>() {
            return Ok(maybe.as_deref());
        }
        text(value).map(Some).ok_or_else(|| self.wrong_type(TypeInfo::of::<String>(), value))
    }
}

impl<'v> Slot<'v, PathBuf, File> {
    pub fn take(&self) -> Result<&'v Path, Error> {
        let value = self.required()?;
        match value.get::<PathBuf>() {
            Some(it) => Ok(it),
            None => Err(self.wrong_type(TypeInfo::of::<PathBuf>(), value)),
        }
    }
}

impl<'v> Slot<'v, PathBuf, MaybeFile> {
    pub fn take(&self) -> Result<Option<&'v Path>, Error> {
        let by_reference = Slot { value: self.value, index: self.index, base: self.base, how: PhantomData };
        Ok(Slot::<PathBuf, MaybeReference>::take(&by_reference)?.map(PathBuf::as_path))
    }
}

impl<'v, T: Any> Slot<'v, Vec<T>, Slice> {
    pub fn take(&self) -> Result<&'v [T], Error> {
        let value = self.required()?;
        match value.get::<Vec<T>>() {
            Some(it) => Ok(it),
            None => Err(self.wrong_type(TypeInfo::of::<Vec<T>>(), value)),
        }
    }
}

impl<'v, T: Any> Slot<'v, Vec<T>, MaybeSlice> {
    pub fn take(&self) -> Result<Option<&'v [T]>, Error> {
        let by_reference = Slot { value: self.value, index: self.index, base: self.base, how: PhantomData };
        Ok(Slot::<Vec<T>, MaybeReference>::take(&by_reference)?.map(Vec::as_slice))
    }
}

fn lazy(value: &Value) -> Option<LazyFrame> {
    value.get::<LazyFrame>().cloned().or_else(|| Some(value.get::<DataFrame>()?.clone().lazy()))
}

impl Slot<'_, LazyFrame, Lazy> {
    pub fn take(&self) -> Result<LazyFrame, Error> {
        let value = self.required()?;
        lazy(value).ok_or_else(|| self.wrong_type(TypeInfo::of::<LazyFrame>(), value))
    }
}

impl Slot<'_, LazyFrame, MaybeLazy> {
    pub fn take(&self) -> Result<Option<LazyFrame>, Error> {
        let Some(value) = self.value else { return Ok(None) };
        lazy(value).map(Some).ok_or_else(|| self.wrong_type(TypeInfo::of::<LazyFrame>(), value))
    }
}

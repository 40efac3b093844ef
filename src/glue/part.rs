//! Parts of a value: a field of a struct, an item of a tuple.
//!
//! The shim names the field and nothing else; whose field it is, the function's return type says.

use std::any::Any;
use std::sync::Arc;

use super::ret::NodeValue;
use super::table::{Error, Outcome, Slots, TypeInfo};
use super::types::Ty;

/// A part that a node can be made of: anything that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "a node of its own needs a clone of the part, but `{Self}` is not `Clone`",
    label = "leave this part out, or derive `Clone` for `{Self}`"
)]
pub trait TakenApart: Sized {
    fn part(&self) -> Self;
}

impl<T: Clone> TakenApart for T {
    fn part(&self) -> T {
        self.clone()
    }
}

/// A way from a value to a part of it.
pub struct Projected<T, U> {
    get: fn(&T) -> &U,
}

impl<T, U> Projected<T, U> {
    pub fn ty(&self) -> Ty<U> {
        Ty::new()
    }
}

/// Says which type has the part, and which the part has.
pub fn project<T: 'static, U: 'static>(slots: &Slots<'_>, _: Ty<T>, get: fn(&T) -> &U) -> Projected<T, U> {
    slots.describe_param(&[TypeInfo::of::<T>], false);
    slots.describe_output(TypeInfo::of::<U>);
    Projected { get }
}

/// The type of a part, for cells.
pub fn part_type<T, U>(_: Ty<T>, _: fn(&T) -> &U) -> Ty<U> {
    Ty::new()
}

impl<T: Any, U: 'static> Projected<T, U> {
    /// A clone of the part: it is a node's value, and lives on its own.
    ///
    /// # Errors
    /// If the slot holds another type.
    pub fn take(self, slots: &Slots<'_>) -> Outcome
    where
        U: TakenApart + NodeValue,
    {
        let value = slots.get(0).ok_or(Error::Missing { parameter: 0 })?;
        match value.get::<T>() {
            Some(it) => Ok(Arc::new((self.get)(it).part())),
            None => Err(Error::WrongType {
                parameter: 0,
                expected: TypeInfo::of::<T>().short(),
                found: value.type_name(),
            }),
        }
    }
}

//! From several stored values to one parameter: lists and maps of nodes, as `#[inject]` names them.
//!
//! Call as `(&&&&p2_0(f)).group(slots, 0)`. `gather()` clones the members into a collection that lives as long as
//! the call; `pass()` lends or gives it to the function, as its parameter asks.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

use super::arg::TakeByValue;
use super::table::{Error, GroupKind, Slots, TypeInfo};
use super::types::Ty;
use crate::value::Value;

/// The type of a parameter that a group feeds.
pub trait Group<'v> {
    type Grouped;
    fn group(&self, slots: &Slots<'v>, index: usize) -> Self::Grouped;
}

/// A group's members, and the types of one member and of the whole parameter.
pub struct GroupSlot<'v, Item, Whole: ?Sized, How> {
    members: &'v [(String, Value)],
    index: usize,
    item: Ty<Item>,
    whole: PhantomData<fn() -> Box<Whole>>,
    how: PhantomData<fn() -> How>,
}

impl<'v, Item, Whole: ?Sized, How> GroupSlot<'v, Item, Whole, How> {
    fn new(slots: &Slots<'v>, index: usize) -> Self {
        GroupSlot {
            members: slots.group(index),
            index,
            item: Ty::new(),
            whole: PhantomData,
            how: PhantomData,
        }
    }

    /// The type that a literal in the group has.
    pub fn ty(&self) -> Ty<Item> {
        self.item
    }
}

/// `&[T]`, `&Vec<T>`
pub struct LentList;
/// `Vec<T>`
pub struct GivenList;
/// `&HashMap<String, T>`, `&BTreeMap<String, T>`
pub struct LentMap<M>(PhantomData<fn() -> M>);
/// `HashMap<String, T>`, `BTreeMap<String, T>`
pub struct GivenMap<M>(PhantomData<fn() -> M>);
/// Nothing that a group could feed.
pub struct NoGroup;

macro_rules! group {
    ($receiver:ty => $whole:ty, $how:ty, $kind:ident) => {
        impl<'v, T: 'static> Group<'v> for $receiver {
            type Grouped = GroupSlot<'v, T, $whole, $how>;
            fn group(&self, slots: &Slots<'v>, index: usize) -> Self::Grouped {
                slots.describe_group(TypeInfo::of::<T>, TypeInfo::of::<$whole>, GroupKind::$kind);
                GroupSlot::new(slots, index)
            }
        }
    };
}

group!(&&&Ty<&'v [T]> => Vec<T>, LentList, List);
group!(&&&Ty<&'v Vec<T>> => Vec<T>, LentList, List);
group!(&&&Ty<Vec<T>> => Vec<T>, GivenList, List);
group!(&&&Ty<&'v HashMap<String, T>> => HashMap<String, T>, LentMap<HashMap<String, T>>, Map);
group!(&&&Ty<HashMap<String, T>> => HashMap<String, T>, GivenMap<HashMap<String, T>>, Map);
group!(&&&Ty<&'v BTreeMap<String, T>> => BTreeMap<String, T>, LentMap<BTreeMap<String, T>>, Map);
group!(&&&Ty<BTreeMap<String, T>> => BTreeMap<String, T>, GivenMap<BTreeMap<String, T>>, Map);

impl<'v, T> Group<'v> for Ty<T> {
    type Grouped = GroupSlot<'v, T, T, NoGroup>;
    fn group(&self, slots: &Slots<'v>, index: usize) -> Self::Grouped {
        GroupSlot::new(slots, index)
    }
}

/// What a group can feed.
#[diagnostic::on_unimplemented(
    message = "a group of nodes cannot feed a parameter of type `{Self}`",
    label = "take `&[T]`, `Vec<T>`, `HashMap<String, T>` or `BTreeMap<String, T>`"
)]
pub trait FedByGroup {}

impl<T: TakeByValue + Any, Whole: ?Sized, How> GroupSlot<'_, T, Whole, How> {
    fn members(&self) -> Result<Vec<(String, T)>, Error> {
        let one = |(key, value): &(String, Value)| match value.get::<T>() {
            Some(it) => Ok((key.clone(), it.cloned())),
            None => Err(Error::WrongType {
                parameter: self.index,
                expected: TypeInfo::of::<T>().short(),
                found: value.type_name(),
            }),
        };
        self.members.iter().map(one).collect()
    }
}

impl<T: TakeByValue + Any> GroupSlot<'_, T, Vec<T>, LentList> {
    pub fn gather(&self) -> Result<Vec<T>, Error> {
        Ok(self.members()?.into_iter().map(|it| it.1).collect())
    }

    pub fn pass<'g>(&self, gathered: &'g Vec<T>) -> &'g Vec<T> {
        gathered
    }
}

impl<T: TakeByValue + Any> GroupSlot<'_, T, Vec<T>, GivenList> {
    pub fn gather(&self) -> Result<Vec<T>, Error> {
        Ok(self.members()?.into_iter().map(|it| it.1).collect())
    }

    pub fn pass(&self, gathered: &[T]) -> Vec<T> {
        gathered.iter().map(T::cloned).collect()
    }
}

impl<T: TakeByValue + Any, M: FromIterator<(String, T)>> GroupSlot<'_, T, M, LentMap<M>> {
    pub fn gather(&self) -> Result<M, Error> {
        Ok(self.members()?.into_iter().collect())
    }

    pub fn pass<'g>(&self, gathered: &'g M) -> &'g M {
        gathered
    }
}

impl<T: TakeByValue + Any, M: FromIterator<(String, T)> + Clone> GroupSlot<'_, T, M, GivenMap<M>> {
    pub fn gather(&self) -> Result<M, Error> {
        Ok(self.members()?.into_iter().collect())
    }

    pub fn pass(&self, gathered: &M) -> M {
        gathered.clone()
    }
}

impl<T> GroupSlot<'_, T, T, NoGroup> {
    pub fn gather(&self) -> Result<T, Error>
    where
        T: FedByGroup,
    {
        Err(Error::Missing { parameter: self.index })
    }

    pub fn pass(&self, gathered: T) -> T {
        gathered
    }
}

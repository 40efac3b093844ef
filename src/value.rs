//! One value of a node, without its type.
//!
//! Values outlive the generation that made them, are shared between threads and are handed to functions
//! that were compiled separately. So a [`Value`] is a counted pointer and a table of what can be done with
//! its type. The table comes from the image for types that the image knows, and from the shim that made
//! the value for all others; libraries are never unloaded, so both stay valid.
//!
//! What is done with a value of a user's type is code of the user's, also outside a step: it may panic, loop or end
//! the process, in its `Drop` too. So all of it goes through [`crate::foreign`], and the last owner of a value does
//! not drop it where it stands.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, OnceLock};

use brooklet_graph::wire::{MimeBundle, Summary};
use serde_json::Value as Json;

use crate::foreign::{self, Doing};
use crate::glue::registry;
use crate::literal::{Literal, LiteralContext};
use crate::storing::Storing;
use crate::version::{Encoder, Version};

/// The untyped pointer inside a [`Value`].
pub type Data = Arc<dyn Any + Send + Sync>;

/// Decodes a literal into a value of one type; the error says what is wrong with the literal.
pub type Decode = fn(&Literal, &LiteralContext<'_>) -> Result<Data, String>;

/// A value as one column of a frame.
pub struct ColumnView {
    pub series: polars::prelude::Series,
    /// Repeated as often as the other columns need.
    pub is_scalar: bool,
}

/// Writes a value's content, for its data version.
pub type Encode = fn(&dyn Any, &mut Encoder);
/// A value's JSON, or why it has none.
pub type ToJson = fn(&dyn Any) -> Result<Json, String>;
/// A value as a frontend shows it, given the name of its node.
pub type ToBundle = fn(&dyn Any, &str) -> MimeBundle;
/// A value as a column of the given name, if it can be one.
pub type ToColumn = fn(&dyn Any, &str) -> Option<ColumnView>;

/// What can be done with values of one type. What is absent was not implemented by the type.
#[derive(Clone, Copy)]
pub struct Ops {
    pub type_id: TypeId,
    /// rustc's name of the type, with all paths.
    pub name: &'static str,
    /// The type is known to the image, so that values survive a change of the user's types.
    pub from_image: bool,
    /// Writes the content; absent for opaque types, whose data version is derived from the cache key.
    pub encode: Option<Encode>,
    pub json: Option<ToJson>,
    pub render: Option<ToBundle>,
    pub column: Option<ToColumn>,
    /// One short line: a shape or a scalar's value.
    pub shape: Option<fn(&dyn Any) -> String>,
    pub decode: Option<Decode>,
    /// How values are written to the disk and read; absent for types that stay in memory.
    pub storing: Option<Storing>,
}

impl Ops {
    /// A type of which nothing but its name is known.
    pub fn opaque(type_id: TypeId, name: &'static str) -> Ops {
        Ops {
            type_id,
            name,
            from_image: false,
            encode: None,
            json: None,
            render: None,
            column: None,
            shape: None,
            decode: None,
            storing: None,
        }
    }
}

/// A value of a node. Cloning counts, it does not copy.
#[derive(Clone)]
pub struct Value {
    owned: Arc<Owned>,
}

/// What the clones of a value own together.
struct Owned {
    data: Data,
    ops: &'static Ops,
    /// The node that it was computed for, if that is known.
    node: OnceLock<String>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if !self.ops.from_image {
            let data = std::mem::replace(&mut self.data, nothing());
            let node = self.node.take().unwrap_or_default();
            foreign::let_go(data, short_type_name(self.ops.name), node);
        }
    }
}

/// Stands where a value was taken out.
fn nothing() -> Data {
    static NOTHING: OnceLock<Data> = OnceLock::new();
    NOTHING.get_or_init(|| Arc::new(())).clone()
}

impl Value {
    /// Holds a value of a type that the image knows; other types are opaque.
    pub fn new<T: Any + Send + Sync>(value: T) -> Value {
        let ops = registry::find(TypeId::of::<T>())
            .unwrap_or_else(|| registry::opaque(TypeId::of::<T>(), std::any::type_name::<T>()));
        Value::from_data(Arc::new(value), ops)
    }

    /// Joins a pointer and the operations of what it points to.
    pub fn from_data(data: Data, ops: &'static Ops) -> Value {
        debug_assert_eq!((*data).type_id(), ops.type_id);
        Value { owned: Arc::new(Owned { data, ops, node: OnceLock::new() }) }
    }

    /// Says for which node it was computed, so that its faults can be told of that node; the first one counts.
    pub fn belongs_to(&self, node: &str) {
        if !self.ops().from_image {
            let _ = self.owned.node.set(node.to_owned());
        }
    }

    pub fn ops(&self) -> &'static Ops {
        self.owned.ops
    }

    pub fn type_id(&self) -> TypeId {
        self.ops().type_id
    }

    pub fn get<T: Any>(&self) -> Option<&T> {
        self.owned.data.downcast_ref()
    }

    pub fn data(&self) -> &Data {
        &self.owned.data
    }

    fn any(&self) -> &dyn Any {
        &*self.owned.data
    }

    /// Does something with the value that may be code of the user's.
    fn foreign<T>(&self, done: &'static str, run: impl FnOnce(&dyn Any) -> T) -> T {
        self.foreign_in("run", done, run)
    }

    /// As `foreign`, on a thread that is not the one of the lane `run`.
    pub(crate) fn foreign_in<T>(&self, lane: &str, done: &'static str, run: impl FnOnce(&dyn Any) -> T) -> T {
        if self.ops().from_image {
            return run(self.any());
        }
        let node = self.owned.node.get().map_or("", String::as_str);
        foreign::run_in(lane, &Doing { done, node, ty: &self.type_name() }, || run(self.any()))
    }

    /// Hash of the content; `None` if it cannot be seen.
    pub fn version(&self) -> Option<Version> {
        let encode = self.ops().encode?;
        let mut encoder = Encoder::new();
        self.foreign("compared", |it| encode(it, &mut encoder));
        encoder.finish()
    }

    pub fn json(&self) -> Result<Json, String> {
        match self.ops().json {
            Some(json) => self.foreign("written as JSON", json),
            None => Err(format!("`{}` has no JSON form; derive `serde::Serialize`", self.type_name())),
        }
    }

    /// The value as a frontend shows it. `node` stands in the caption; may be empty.
    pub fn render(&self, node: &str) -> MimeBundle {
        match self.ops().render {
            Some(render) => self.foreign("shown", |it| render(it, node)),
            None => crate::show::type_name_only(&self.type_name(), node),
        }
    }

    /// The value as one column, if it is a series, a list of scalars or a scalar.
    pub fn column(&self, name: &str) -> Option<ColumnView> {
        self.ops().column.and_then(|column| self.foreign("shown", |it| column(it, name)))
    }

    /// The type's name without paths.
    pub fn type_name(&self) -> String {
        short_type_name(self.ops().name)
    }

    pub fn summary(&self) -> Summary {
        Summary {
            ty: self.type_name(),
            shape: self.ops().shape.map_or_else(String::new, |shape| self.foreign("summed up", shape)),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("type", &self.ops().name).finish_non_exhaustive()
    }
}

/// `alloc::vec::Vec<polars_core::frame::DataFrame>` as `Vec<DataFrame>`.
pub fn short_type_name(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut segment = 0; // where the path segment that is being read starts in `short`
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            short.truncate(segment);
        } else {
            short.push(c);
            if !(c.is_alphanumeric() || c == '_' || c == '{' || c == '}' || c == '#') {
                segment = short.len();
            }
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_lose_their_paths() {
        for (long, short) in [
            ("f64", "f64"),
            ("alloc::vec::Vec<polars_core::frame::DataFrame>", "Vec<DataFrame>"),
            ("(alloc::string::String, core::option::Option<i64>)", "(String, Option<i64>)"),
            ("&str", "&str"),
            ("[f64; 3]", "[f64; 3]"),
            ("generation_3::model::Split", "Split"),
        ] {
            assert_eq!(short_type_name(long), short);
        }
    }
}

//! What a type of the user's can do: found out per type, where syntax does not recognise it.
//!
//! Probes cost rustc time, so the generator emits them only for types that the image cannot know.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table::Slots;
use super::types::Ty;
use crate::content::Content;
use crate::show::Render;
use crate::storing::Storing;

/// Probes what a node holds: how it is shown, hashed and written as JSON.
#[macro_export]
macro_rules! probe_output {
    ($slots:expr, $returned:expr) => {
        let ty = $returned.ty();
        (&&&ty).probe_show($slots);
        (&&&ty).probe_data($slots);
    };
}

/// Probes whether what a node holds can be written to the disk. Only for types without a borrowed part: a type that
/// is deserialised from one lifetime alone would not compile here.
#[macro_export]
macro_rules! probe_store {
    ($slots:expr, $returned:expr) => {
        let ty = $returned.ty();
        (&&ty).probe_store($slots);
    };
}

/// Probes whether a parameter's type can be read from a literal.
#[macro_export]
macro_rules! probe_input {
    ($slots:expr, $index:expr, $slot:expr) => {
        let ty = $slot.ty();
        (&&ty).probe_literal($slots, $index);
    };
}

/// [`Render`], else `Debug`, else nothing.
pub trait ProbeShow {
    fn probe_show(&self, slots: &Slots<'_>);
}

impl<T: Render + 'static> ProbeShow for &&Ty<T> {
    fn probe_show(&self, slots: &Slots<'_>) {
        slots.describe(|it| it.render = Some(render::<T>));
    }
}

impl<T: Debug + 'static> ProbeShow for &Ty<T> {
    fn probe_show(&self, slots: &Slots<'_>) {
        slots.describe(|it| it.render = Some(debug::<T>));
    }
}

impl<T> ProbeShow for Ty<T> {
    fn probe_show(&self, _: &Slots<'_>) {}
}

/// [`Content`] (hash and JSON), else `Serialize` (JSON), else nothing. The hash never comes from
/// `Serialize`: it may leave out fields.
pub trait ProbeData {
    fn probe_data(&self, slots: &Slots<'_>);
}

impl<T: Content + 'static> ProbeData for &&Ty<T> {
    fn probe_data(&self, slots: &Slots<'_>) {
        slots.describe(|it| {
            it.encode = Some(super::registry::encode::<T>);
            it.json = Some(super::registry::json::<T>);
        });
    }
}

impl<T: Serialize + 'static> ProbeData for &Ty<T> {
    fn probe_data(&self, slots: &Slots<'_>) {
        slots.describe(|it| it.json = Some(serialize::<T>));
    }
}

impl<T> ProbeData for Ty<T> {
    fn probe_data(&self, _: &Slots<'_>) {}
}

/// `Serialize + DeserializeOwned + PartialEq`, else nothing.
pub trait ProbeStore {
    fn probe_store(&self, slots: &Slots<'_>);
}

impl<T: Serialize + DeserializeOwned + PartialEq + Send + Sync + 'static> ProbeStore for &Ty<T> {
    fn probe_store(&self, slots: &Slots<'_>) {
        slots.describe(|it| it.storing = Some(Storing::compared::<T>()));
    }
}

impl<T> ProbeStore for Ty<T> {
    fn probe_store(&self, _: &Slots<'_>) {}
}

/// `DeserializeOwned`, else nothing.
pub trait ProbeLiteral {
    fn probe_literal(&self, slots: &Slots<'_>, index: usize);
}

impl<T: DeserializeOwned + Send + Sync + 'static> ProbeLiteral for &Ty<T> {
    fn probe_literal(&self, slots: &Slots<'_>, index: usize) {
        slots.describe_literal(index, |literal, _| {
            let value: T = literal.deserialize()?;
            Ok(Arc::new(value))
        });
    }
}

impl<T> ProbeLiteral for Ty<T> {
    fn probe_literal(&self, _: &Slots<'_>, _: usize) {}
}

fn render<T: Render + 'static>(value: &dyn Any, _: &str) -> brooklet_graph::wire::MimeBundle {
    value.downcast_ref::<T>().map(Render::render).unwrap_or_default()
}

fn debug<T: Debug + 'static>(value: &dyn Any, node: &str) -> brooklet_graph::wire::MimeBundle {
    value.downcast_ref::<T>().map(|it| crate::show::debug(it, node)).unwrap_or_default()
}

fn serialize<T: Serialize + 'static>(value: &dyn Any) -> Result<serde_json::Value, String> {
    let value = value.downcast_ref::<T>().ok_or("not the type that was probed")?;
    let mut text = Limited(Vec::new());
    serde_json::to_writer(&mut text, value).map_err(|it| it.to_string())?;
    serde_json::from_slice(&text.0).map_err(|it| it.to_string())
}

/// JSON as it is written, up to a limit: a value may be written for ever.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        const LIMIT: usize = 256 << 20;
        if self.0.len() + bytes.len() > LIMIT {
            return Err(std::io::Error::other(format!("its JSON is longer than {} MB", LIMIT >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

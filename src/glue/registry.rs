//! The operations of every type that the image knows, by `TypeId`.
//!
//! This is what keeps shims small: hashing, JSON, display, columns and literals of std's and polars' types
//! are compiled here, once.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::{Column, DataFrame, Expr, LazyFrame, Series};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::content::Content;
use crate::literal;
use crate::show::{self, Render};
use crate::storing::Storing;
use crate::value::Ops;
use crate::version::Encoder;

type Registry = HashMap<TypeId, &'static Ops>;

/// The operations of a type of std or polars.
pub fn find(type_id: TypeId) -> Option<&'static Ops> {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(build).get(&type_id).copied()
}

/// The operations of a type of which only the name is known; one table a type.
pub fn opaque(type_id: TypeId, name: &'static str) -> &'static Ops {
    static OPAQUE: Mutex<Option<Registry>> = Mutex::new(None);
    let mut opaque = OPAQUE.lock().unwrap_or_else(PoisonError::into_inner);
    opaque
        .get_or_insert_default()
        .entry(type_id)
        .or_insert_with(|| Box::leak(Box::new(Ops::opaque(type_id, name))))
}

fn build() -> Registry {
    let mut registry = Registry::new();
    let mut add = |ops: Ops| {
        registry.insert(ops.type_id, Box::leak(Box::new(ops)) as &Ops);
    };

    macro_rules! scalars {
        ($($scalar:ty)*) => {$(
            add(with_column(scalar::<$scalar>()));
            add(with_column(scalar::<Option<$scalar>>()));
            add(with_column(list::<$scalar>()));
            add(with_column(list::<Option<$scalar>>()));
            add(list::<Vec<$scalar>>());
            add(scalar::<Option<Vec<$scalar>>>());
        )*};
    }
    scalars! {
        bool char i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 String NaiveDate NaiveDateTime
    }
    add(scalar::<PathBuf>());
    add(scalar::<Option<PathBuf>>());
    add(list::<PathBuf>());
    add(scalar_without_literal::<&'static str>());
    add(scalar::<()>());
    add(scalar::<Option<Option<f64>>>());

    add(Ops {
        shape: Some(|it| it.downcast_ref::<Series>().map_or_else(String::new, show::series_shape)),
        column: Some(|it, name| Some(show::column_of_series(it.downcast_ref()?, name))),
        decode: Some(literal::series),
        storing: Some(Storing::framed::<Series>()),
        ..content_and_render::<Series>()
    });
    add(Ops {
        shape: Some(|it| {
            it.downcast_ref::<Column>()
                .map_or_else(String::new, |it| show::series_shape(it.as_materialized_series()))
        }),
        column: Some(|it, name| {
            Some(show::column_of_series(it.downcast_ref::<Column>()?.as_materialized_series(), name))
        }),
        decode: Some(literal::column),
        storing: Some(Storing::framed::<Column>()),
        ..content_and_render::<Column>()
    });
    add(Ops {
        shape: Some(|it| it.downcast_ref::<DataFrame>().map_or_else(String::new, show::frame_shape)),
        decode: Some(literal::frame),
        storing: Some(Storing::framed::<DataFrame>()),
        ..content_and_render::<DataFrame>()
    });
    add(Ops {
        shape: Some(|it| it.downcast_ref::<LazyFrame>().map_or_else(String::new, show::lazy_shape)),
        decode: Some(literal::lazy_frame),
        ..render_only::<LazyFrame>()
    });
    add(render_only::<Expr>());
    add(content_and_render::<Vec<Series>>());
    add(content_and_render::<Vec<DataFrame>>());
    add(content_and_render::<Option<Series>>());
    add(content_and_render::<Option<DataFrame>>());
    add(render_only::<Vec<LazyFrame>>());
    add(render_only::<Vec<Expr>>());
    registry
}

fn known<T: 'static>() -> Ops {
    Ops { from_image: true, ..Ops::opaque(TypeId::of::<T>(), std::any::type_name::<T>()) }
}

fn scalar<T: Content + Debug + Serialize + DeserializeOwned + Send + Sync + 'static>() -> Ops {
    Ops {
        decode: Some(literal::scalar::<T>),
        storing: Some(Storing::serde::<T>()),
        ..scalar_without_literal::<T>()
    }
}

fn scalar_without_literal<T: Content + Debug + 'static>() -> Ops {
    Ops {
        encode: Some(encode::<T>),
        json: Some(json::<T>),
        render: Some(|it, node| it.downcast_ref::<T>().map(|it| show::scalar(it, node)).unwrap_or_default()),
        shape: Some(|it| it.downcast_ref::<T>().map_or_else(String::new, show::scalar_shape)),
        ..known::<T>()
    }
}

fn list<T: Content + Debug + Serialize + DeserializeOwned + Send + Sync + 'static>() -> Ops {
    Ops {
        encode: Some(encode::<Vec<T>>),
        json: Some(json::<Vec<T>>),
        render: Some(|it, node| {
            it.downcast_ref::<Vec<T>>().map(|it| show::debug(it, node)).unwrap_or_default()
        }),
        shape: Some(|it| {
            it.downcast_ref::<Vec<T>>().map_or_else(String::new, |it| show::count(it.len(), "item"))
        }),
        decode: Some(literal::scalar::<Vec<T>>),
        storing: Some(Storing::serde::<Vec<T>>()),
        ..known::<Vec<T>>()
    }
}

/// Lets values stand in a frame beside series.
fn with_column(ops: Ops) -> Ops {
    Ops { column: Some(show::column_of_any), ..ops }
}

fn content_and_render<T: Content + Render + 'static>() -> Ops {
    Ops { encode: Some(encode::<T>), json: Some(json::<T>), ..render_only::<T>() }
}

fn render_only<T: Render + 'static>() -> Ops {
    Ops {
        render: Some(|it, node| it.downcast_ref::<T>().map(|it| it.render_node(node)).unwrap_or_default()),
        ..known::<T>()
    }
}

pub(super) fn encode<T: Content + 'static>(value: &dyn Any, encoder: &mut Encoder) {
    if let Some(value) = value.downcast_ref::<T>() {
        value.encode(encoder);
    }
}

pub(super) fn json<T: Content + 'static>(value: &dyn Any) -> Result<Json, String> {
    Ok(value.downcast_ref::<T>().ok_or("not the type of its table")?.json())
}

//! The content of std and polars values: how it is encoded for the data version, and its JSON.
//!
//! Both look through containers, so `Vec<Option<(String, f64)>>` works without a type of ours.
//!
//! | Rust | JSON |
//! |---|---|
//! | integers | exact numbers; beyond 64 bits a string |
//! | floats | shortest text that reads back the same; `"NaN"`, `"inf"`, `"-inf"` |
//! | `Option::None`, null | `null` |
//! | dates, times, durations | ISO 8601 strings |
//! | series, lists, sets, tuples | arrays |
//! | frames, maps | objects; a frame is column → array |
//! | binary | a string of hex digits |
//! | `()` | `null` |

mod columns;
mod footprint;

mod frame;
mod memory;
#[cfg(test)]
mod properties;

pub use footprint::Footprint;
pub use frame::columns_of;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use serde_json::{Map, Value as Json};

use crate::version::{Encoder, Version};

/// A value with a version and a JSON form: what std and polars have, and any type that says how.
pub trait Content {
    /// Writes the whole content, starting with a tag; see [`crate::version`] for the rules.
    fn encode(&self, encoder: &mut Encoder);
    fn json(&self) -> Json;
}

/// Tags are part of what reaches disk: never reuse or renumber one.
mod tag {
    pub const UNIT: u8 = 0;
    pub const NONE: u8 = 1;
    pub const SOME: u8 = 2;
    pub const BOOL: u8 = 3;
    pub const SIGNED: u8 = 4;
    pub const UNSIGNED: u8 = 5;
    pub const F32: u8 = 6;
    pub const F64: u8 = 7;
    pub const CHAR: u8 = 8;
    pub const TEXT: u8 = 9;
    pub const LIST: u8 = 10;
    pub const TUPLE: u8 = 11;
    pub const MAP: u8 = 12;
    pub const SET: u8 = 13;
    pub const DATE: u8 = 14;
    pub const DATETIME: u8 = 15;
    pub const SERIES: u8 = 16;
    pub const FRAME: u8 = 17;
    pub const PATH: u8 = 18;
}

macro_rules! integers {
    ($tag:expr, $($int:ty)*) => {$(
        impl Content for $int {
            fn encode(&self, encoder: &mut Encoder) {
                // The width is told, so that `1i32` and `1i64` differ: their types do.
                encoder.bytes(&[$tag, size_of::<$int>() as u8]);
                encoder.bytes(&self.to_le_bytes());
            }
            fn json(&self) -> Json {
                integer_json(i128::try_from(*self).ok(), self)
            }
        }
    )*};
}

integers!(tag::SIGNED, i8 i16 i32 i64 i128 isize);
integers!(tag::UNSIGNED, u8 u16 u32 u64 u128 usize);

fn integer_json(value: Option<i128>, text: &dyn std::fmt::Display) -> Json {
    let Some(value) = value else { return Json::String(text.to_string()) };
    if let Ok(value) = i64::try_from(value) {
        value.into()
    } else if let Ok(value) = u64::try_from(value) {
        value.into()
    } else {
        Json::String(text.to_string())
    }
}

pub(crate) fn f64_json(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "inf".into(),
        None => "-inf".into(),
    }
}

/// An `f32` by its own shortest digits, not by those of the `f64` that it becomes.
pub(crate) fn f32_json(value: f32) -> Json {
    f64_json(value.to_string().parse().unwrap_or(f64::from(value)))
}

impl Content for f64 {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::F64);
        encoder.f64(*self);
    }
    fn json(&self) -> Json {
        f64_json(*self)
    }
}

impl Content for f32 {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::F32);
        encoder.f32(*self);
    }
    fn json(&self) -> Json {
        f32_json(*self)
    }
}

impl Content for bool {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(&[tag::BOOL, u8::from(*self)]);
    }
    fn json(&self) -> Json {
        (*self).into()
    }
}

impl Content for char {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::CHAR);
        encoder.bytes(&u32::from(*self).to_le_bytes());
    }
    fn json(&self) -> Json {
        self.to_string().into()
    }
}

impl Content for str {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::TEXT);
        encoder.text(self);
    }
    fn json(&self) -> Json {
        self.into()
    }
}

impl Content for String {
    fn encode(&self, encoder: &mut Encoder) {
        self.as_str().encode(encoder);
    }
    fn json(&self) -> Json {
        self.as_str().into()
    }
}

impl Content for PathBuf {
    fn encode(&self, encoder: &mut Encoder) {
        let bytes = self.as_os_str().as_encoded_bytes();
        encoder.tag(tag::PATH);
        encoder.length(bytes.len());
        encoder.bytes(bytes);
    }
    fn json(&self) -> Json {
        self.to_string_lossy().into()
    }
}

impl Content for () {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::UNIT);
    }
    fn json(&self) -> Json {
        Json::Null
    }
}

impl Content for NaiveDate {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::DATE);
        encoder.bytes(&self.num_days_from_ce().to_le_bytes());
    }
    fn json(&self) -> Json {
        self.to_string().into()
    }
}

impl Content for NaiveDateTime {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::DATETIME);
        encoder.bytes(&self.date().num_days_from_ce().to_le_bytes());
        encoder.bytes(&self.time().num_seconds_from_midnight().to_le_bytes());
        encoder.bytes(&self.time().nanosecond().to_le_bytes());
    }
    fn json(&self) -> Json {
        format!("{self:?}").into() // chrono's `Debug` is ISO 8601
    }
}

macro_rules! transparent {
    ($([$($generics:tt)*] $pointer:ty),*) => {$(
        impl<$($generics)*> Content for $pointer {
            fn encode(&self, encoder: &mut Encoder) {
                (**self).encode(encoder);
            }
            fn json(&self) -> Json {
                (**self).json()
            }
        }
    )*};
}

transparent!([T: Content + ?Sized] &T, [T: Content + ?Sized] Box<T>, [T: Content + ?Sized] Arc<T>);

impl<T: Content> Content for Option<T> {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            None => encoder.tag(tag::NONE),
            Some(it) => {
                encoder.tag(tag::SOME);
                it.encode(encoder);
            }
        }
    }
    fn json(&self) -> Json {
        self.as_ref().map_or(Json::Null, Content::json)
    }
}

impl<T: Content> Content for [T] {
    fn encode(&self, encoder: &mut Encoder) {
        encoder.tag(tag::LIST);
        encoder.length(self.len());
        for it in self {
            it.encode(encoder);
        }
    }
    fn json(&self) -> Json {
        self.iter().map(Content::json).collect()
    }
}

impl<T: Content> Content for Vec<T> {
    fn encode(&self, encoder: &mut Encoder) {
        self.as_slice().encode(encoder);
    }
    fn json(&self) -> Json {
        self.as_slice().json()
    }
}

impl<T: Content, const N: usize> Content for [T; N] {
    fn encode(&self, encoder: &mut Encoder) {
        self.as_slice().encode(encoder);
    }
    fn json(&self) -> Json {
        self.as_slice().json()
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)*) => {$(
        #[allow(non_snake_case)]
        impl<$($name: Content),+> Content for ($($name,)+) {
            fn encode(&self, encoder: &mut Encoder) {
                let ($($name,)+) = self;
                encoder.tag(tag::TUPLE);
                encoder.length([$(stringify!($name)),+].len());
                $($name.encode(encoder);)+
            }
            fn json(&self) -> Json {
                let ($($name,)+) = self;
                Json::Array(vec![$($name.json()),+])
            }
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

/// A key of a JSON object.
fn key_text(key: &impl Content) -> String {
    match key.json() {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

impl<K: Content, V: Content> Content for BTreeMap<K, V> {
    fn encode(&self, encoder: &mut Encoder) {
        encode_sorted(tag::MAP, self.iter(), self.len(), encoder);
    }
    fn json(&self) -> Json {
        self.iter().map(|(key, value)| (key_text(key), value.json())).collect::<Map<_, _>>().into()
    }
}

impl<K: Content, V: Content, S: BuildHasher> Content for HashMap<K, V, S> {
    fn encode(&self, encoder: &mut Encoder) {
        encode_sorted(tag::MAP, self.iter(), self.len(), encoder);
    }
    fn json(&self) -> Json {
        let sorted: BTreeMap<_, _> = self.iter().map(|(key, value)| (key_text(key), value.json())).collect();
        sorted.into_iter().collect::<Map<_, _>>().into()
    }
}

impl<T: Content> Content for BTreeSet<T> {
    fn encode(&self, encoder: &mut Encoder) {
        encode_sorted(tag::SET, self.iter().map(|it| (it, ())), self.len(), encoder);
    }
    fn json(&self) -> Json {
        self.iter().map(Content::json).collect()
    }
}

impl<T: Content, S: BuildHasher> Content for HashSet<T, S> {
    fn encode(&self, encoder: &mut Encoder) {
        encode_sorted(tag::SET, self.iter().map(|it| (it, ())), self.len(), encoder);
    }
    fn json(&self) -> Json {
        let sorted: BTreeMap<_, _> = self.iter().map(|it| (key_text(it), it.json())).collect();
        sorted.into_values().collect()
    }
}

/// A map's entries by the hash of their keys: an order that no hasher's seed and no `Ord` can change.
fn encode_sorted<K: Content, V: Content>(
    tag: u8,
    entries: impl Iterator<Item = (K, V)>,
    length: usize,
    encoder: &mut Encoder,
) {
    let mut entries: Vec<(Option<Version>, V)> = entries.map(|(key, value)| (version(&key), value)).collect();
    entries.sort_by_key(|(key, _)| *key);
    encoder.tag(tag);
    encoder.length(length);
    for (key, value) in entries {
        match key {
            Some(key) => encoder.bytes(&key.0),
            None => encoder.opaque(),
        }
        value.encode(encoder);
    }
}

/// The data version of one value; `None` if part of it cannot be seen.
pub fn version(value: &(impl Content + ?Sized)) -> Option<Version> {
    let mut encoder = Encoder::new();
    value.encode(&mut encoder);
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_never_changes_between_releases() {
        let of_bytes = |bytes: &[u8]| Some(Version::of_bytes(bytes));
        assert_eq!(version(&42i64), of_bytes(&[4, 8, 42, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(version("ab"), of_bytes(&[9, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']));
    }

    #[test]
    fn equal_text_of_another_shape_has_another_version() {
        assert_ne!(version(&1i64), version(&1u64));
        assert_ne!(version(&1i64), version(&1i32));
        assert_ne!(version(&vec!["ab", "c"]), version(&vec!["a", "bc"]));
        assert_ne!(version(&(1u8, 2u8)), version(&vec![1u8, 2u8]));
        assert_ne!(version(&Some(())), version(&()));
        assert_ne!(version(&0.0), version(&-0.0));
    }

    #[test]
    fn floats_count_by_their_bits() {
        assert_eq!(version(&f64::NAN), version(&f64::NAN));
        assert_ne!(version(&f64::NAN), version(&-f64::NAN));
        assert_ne!(version(&f64::NAN), version(&f64::from_bits(0x7ff8_0000_0000_0001)));
        assert_ne!(version(&0.1), version(&0.1f64.next_up()));
        let second = NaiveDate::from_ymd_opt(2024, 2, 29).unwrap().and_hms_opt(0, 0, 0).unwrap();
        assert_ne!(version(&second), version(&(second + chrono::TimeDelta::nanoseconds(1))));
    }

    #[test]
    fn a_hash_map_is_independent_of_its_seed() {
        let entries = (0..100).map(|it| (it.to_string(), it));
        let one: HashMap<_, _> = entries.clone().collect();
        let other: HashMap<_, _> = entries.clone().rev().collect();
        let sorted: BTreeMap<_, _> = entries.collect();
        assert_eq!(version(&one), version(&other));
        assert_eq!(version(&one), version(&sorted));
    }

    #[test]
    fn json_is_exact() {
        assert_eq!(i64::MAX.json().to_string(), "9223372036854775807");
        assert_eq!(u64::MAX.json().to_string(), "18446744073709551615");
        assert_eq!(i128::MAX.json(), Json::String(i128::MAX.to_string()));
        assert_eq!(0.1f32.json().to_string(), "0.1");
        assert_eq!(13.333333333333334.json().to_string(), "13.333333333333334");
        assert_eq!([f64::NAN, f64::INFINITY, -f64::INFINITY].json().to_string(), r#"["NaN","inf","-inf"]"#);
        assert_eq!(Some(vec![(1, "a")]).json().to_string(), r#"[[1,"a"]]"#);
    }
}

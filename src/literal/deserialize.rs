//! serde's view of a literal.
//!
//! As a whole, a literal is whatever is asked of it: text if a string is asked for, else its TOML value.
//! Inside lists and tables the value's own kind counts.

use serde::de::value::{Error, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{Item, Literal};

/// The whole literal.
pub(super) struct Whole<'a>(pub &'a Literal);

impl<'de> Deserializer<'de> for Whole<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.item {
            Some(item) => Part(item).deserialize_any(visitor),
            None => visitor.visit_str(&self.0.raw),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.item {
            // Dates of other spellings (a space for the `T`) reach chrono in the one that it reads.
            Some(Item::DateTime(moment)) if wants_moment::<V>() => visitor.visit_str(&format!("{moment:?}")),
            Some(Item::Date(day)) if wants_moment::<V>() => visitor.visit_str(&format!("{day}T00:00:00")),
            _ => visitor.visit_str(self.0.text()),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0.text())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0.text())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0.text())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        number(&self.0.item, visitor, self.0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        number(&self.0.item, visitor, self.0)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_unit() } else { self.deserialize_any(visitor) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0.item {
            Some(item @ Item::Table(_)) => Part(item).deserialize_enum(name, variants, visitor),
            _ => visitor.visit_enum(StrDeserializer::<Error>::new(self.0.text())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 bytes byte_buf unit_struct seq tuple tuple_struct map struct
        ignored_any
    }
}

/// Whether chrono's reader of `NaiveDateTime` is asking. serde gives no other way to know.
fn wants_moment<V>() -> bool {
    std::any::type_name::<V>().contains("NaiveDateTime")
}

/// A float is asked for: any number will do, in full width.
fn number<'de, V: Visitor<'de>>(item: &Option<Item>, visitor: V, whole: &Literal) -> Result<V::Value, Error> {
    match item {
        Some(item) => float(item, visitor),
        None => visitor.visit_str(&whole.raw),
    }
}

fn float<'de, V: Visitor<'de>>(item: &Item, visitor: V) -> Result<V::Value, Error> {
    match item {
        Item::Integer(value) => visitor.visit_f64(*value as f64),
        other => Part(other).deserialize_any(visitor),
    }
}

/// One value inside a literal.
#[derive(Clone, Copy)]
struct Part<'a>(&'a Item);

impl<'de> IntoDeserializer<'de, Error> for Part<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Item::Null => visitor.visit_unit(),
            Item::Bool(value) => visitor.visit_bool(*value),
            Item::Integer(value) => {
                if let Ok(value) = i64::try_from(*value) {
                    visitor.visit_i64(value)
                } else if let Ok(value) = u64::try_from(*value) {
                    visitor.visit_u64(value)
                } else {
                    visitor.visit_i128(*value)
                }
            }
            Item::Float(value) => visitor.visit_f64(*value),
            Item::String(text) => visitor.visit_str(text),
            Item::Date(day) if wants_moment::<V>() => visitor.visit_str(&format!("{day}T00:00:00")),
            Item::Date(day) => visitor.visit_str(&day.to_string()),
            Item::DateTime(moment) => visitor.visit_str(&format!("{moment:?}")),
            Item::List(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Part));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Item::Table(entries) => {
                let entries = entries.iter().map(|(key, item)| (key.as_str(), Part(item)));
                let mut entries = MapDeserializer::new(entries);
                let value = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Item::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        float(self.0, visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        float(self.0, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Item::String(text) => visitor.visit_enum(StrDeserializer::<Error>::new(text)),
            Item::Table(entries) if entries.len() == 1 => visitor.visit_enum(VariantOf(&entries[0])),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// `{Variant = content}`
struct VariantOf<'a>(&'a (String, Item));

impl<'de> serde::de::EnumAccess<'de> for VariantOf<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: serde::de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = StrDeserializer::<Error>::new(&self.0.0);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> serde::de::VariantAccess<'de> for VariantOf<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        serde::Deserialize::deserialize(Part(&self.0.1))
    }

    fn newtype_variant_seed<T: serde::de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(Part(&self.0.1))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        Part(&self.0.1).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        Part(&self.0.1).deserialize_any(visitor)
    }
}

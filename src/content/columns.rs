//! The content of a series as Arrow holds it, hashed by whole buffers.
//!
//! What shows: the dtype with all its parameters, names of fields, the order and number of values, which are null,
//! and every bit of those that are not. What does not: chunks, slices and offsets, what lies below a null (also a
//! null further out: the fields of a null struct, the items of a null list), how often a string is stored, and which
//! code a category has in this process.
//!
//! | value | counts as |
//! |---|---|
//! | `0.0` and `-0.0` | different: `1.0 / x` tells them apart |
//! | NaN and NaN of other bits | different: `to_bits` tells them apart, and to look for them would cost as much as all else |
//! | category and enum | their text; an enum's dtype is also the list of its texts, whose order sorts it |
//! | an object, or whatever Arrow type comes with a later release | unknown: the version is derived from the key |
//!
//! A value that counts as another one needlessly runs a node again; one that counts as the same would be a lie.

use brooklet_digest::{BitDigest, Bits, Digest, Hash, StringDigest};
use polars::prelude::{ArrowDataType, CategoricalMapping, DataType, Series, TimeUnit};
use polars_arrow::array::{
    Array, BinaryViewArrayGeneric, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray, StructArray,
    ViewType,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{PhysicalType, PrimitiveType, TimeUnit as ArrowUnit};
use polars_arrow::types::NativeType;

use crate::version::{Encoder, Version};

/// Something whose content cannot be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opaque;

/// Part of what reaches disk: never reuse or renumber one.
mod tag {
    pub const CATEGORICAL: u8 = 1;
    pub const ENUM: u8 = 2;
    pub const LIST: u8 = 3;
    pub const ARRAY: u8 = 4;
    pub const STRUCT: u8 = 5;
    pub const PLAIN: u8 = 6;
    pub const DATETIME: u8 = 7;
    pub const DURATION: u8 = 8;
    pub const DECIMAL: u8 = 9;
    pub const ALL_VALID: u8 = 10;
    pub const SOME_NULL: u8 = 11;
}

/// The version of a series by its name and content; `None` if the content cannot be seen.
pub fn version(series: &Series) -> Option<Version> {
    let mut encoder = Encoder::new();
    encoder.text(series.name());
    encode(series, &mut encoder).ok()?;
    encoder.finish()
}

/// Writes dtype, length and values.
fn encode(series: &Series, encoder: &mut Encoder) -> Result<(), Opaque> {
    encode_dtype(series.dtype(), encoder)?;
    encoder.length(series.len());
    let chunks = series.chunks().iter().map(|it| Chunk::new(it.clone(), None)).collect();
    values(series.dtype(), chunks, encoder)
}

/// The dtype by its structure; text is used for names alone.
fn encode_dtype(dtype: &DataType, encoder: &mut Encoder) -> Result<(), Opaque> {
    match dtype {
        DataType::Categorical(categories, _) => {
            encoder.tag(tag::CATEGORICAL);
            encoder.text(categories.name());
            encoder.text(categories.namespace());
            encoder.text(categories.physical().as_str());
        }
        DataType::Enum(categories, _) => {
            encoder.tag(tag::ENUM);
            encoder.length(categories.categories().len());
            for text in categories.categories().values_iter() {
                encoder.text(text);
            }
        }
        DataType::List(inner) => {
            encoder.tag(tag::LIST);
            encode_dtype(inner, encoder)?;
        }
        DataType::Struct(fields) => {
            encoder.tag(tag::STRUCT);
            encoder.length(fields.len());
            for field in fields {
                encoder.text(field.name());
                encode_dtype(field.dtype(), encoder)?;
            }
        }
        DataType::Datetime(unit, zone) => {
            encoder.bytes(&[tag::DATETIME, of_unit(*unit), u8::from(zone.is_some())]);
            encoder.text(zone.as_ref().map_or("", |it| it.as_str()));
        }
        DataType::Duration(unit) => encoder.bytes(&[tag::DURATION, of_unit(*unit)]),
        other => encode_arrow(other, encoder)?,
    }
    Ok(())
}

fn of_unit(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Nanoseconds => 9,
        TimeUnit::Microseconds => 6,
        TimeUnit::Milliseconds => 3,
    }
}

/// All dtypes without parameters of polars' own, by what Arrow calls them.
fn encode_arrow(dtype: &DataType, encoder: &mut Encoder) -> Result<(), Opaque> {
    if dtype.is_object() {
        return Err(Opaque);
    }
    let arrow = dtype.try_to_arrow(polars::prelude::CompatLevel::newest()).map_err(|_| Opaque)?;
    let plain = match &arrow {
        ArrowDataType::FixedSizeList(_, width) => {
            encoder.tag(tag::ARRAY);
            encoder.length(*width);
            return encode_dtype(dtype.inner_dtype().ok_or(Opaque)?, encoder);
        }
        ArrowDataType::Decimal(precision, scale) => {
            encoder.tag(tag::DECIMAL);
            encoder.length(*precision);
            encoder.length(*scale);
            return Ok(());
        }
        ArrowDataType::Null => 0,
        ArrowDataType::Boolean => 1,
        ArrowDataType::Int8 => 2,
        ArrowDataType::Int16 => 3,
        ArrowDataType::Int32 => 4,
        ArrowDataType::Int64 => 5,
        ArrowDataType::Int128 => 6,
        ArrowDataType::UInt8 => 7,
        ArrowDataType::UInt16 => 8,
        ArrowDataType::UInt32 => 9,
        ArrowDataType::UInt64 => 10,
        ArrowDataType::UInt128 => 11,
        ArrowDataType::Float16 => 12,
        ArrowDataType::Float32 => 13,
        ArrowDataType::Float64 => 14,
        ArrowDataType::Date32 => 15,
        ArrowDataType::Time64(ArrowUnit::Nanosecond) => 16,
        ArrowDataType::BinaryView => 17,
        ArrowDataType::Utf8View => 18,
        ArrowDataType::LargeBinary => 19,
        _ => return Err(Opaque),
    };
    encoder.bytes(&[tag::PLAIN, plain]);
    Ok(())
}

/// A piece of a column, and which of its values count: they are valid, and so is all around them.
struct Chunk {
    array: Box<dyn Array>,
    valid: Option<Bitmap>,
}

impl Chunk {
    fn new(array: Box<dyn Array>, around: Option<&Bitmap>) -> Chunk {
        let valid = match (array.validity(), around) {
            (Some(own), Some(around)) => Some(own & around),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        Chunk { array, valid: valid.filter(|it| it.unset_bits() > 0) }
    }

    fn array<T: 'static>(&self) -> Result<&T, Opaque> {
        self.array.as_any().downcast_ref().ok_or(Opaque)
    }

    fn bits(&self) -> Option<Bits<'_>> {
        self.valid.as_ref().map(bits)
    }
}

fn bits(bitmap: &Bitmap) -> Bits<'_> {
    let (bytes, offset, length) = bitmap.as_slice();
    Bits { bytes, offset, length }
}

fn values(dtype: &DataType, chunks: Vec<Chunk>, encoder: &mut Encoder) -> Result<(), Opaque> {
    validity(&chunks, encoder);
    match dtype {
        DataType::Categorical(_, mapping) | DataType::Enum(_, mapping) => {
            return categories(mapping, &chunks, encoder);
        }
        DataType::Struct(fields) => {
            for (at, field) in fields.iter().enumerate() {
                let of_field = |it: &Chunk| {
                    let array = it.array::<StructArray>()?;
                    let inner = array.values().get(at).ok_or(Opaque)?;
                    Ok(Chunk::new(inner.clone(), it.valid.as_ref()))
                };
                let inner = chunks.iter().map(of_field).collect::<Result<_, Opaque>>()?;
                values(field.dtype(), inner, encoder)?;
            }
            return Ok(());
        }
        _ => {}
    }
    let Some(physical) = chunks.first().map(|it| it.array.dtype().to_physical_type()) else { return Ok(()) };
    match physical {
        PhysicalType::Null => {}
        PhysicalType::Boolean => {
            let mut digest = BitDigest::new();
            for chunk in &chunks {
                digest.update(bits(chunk.array::<BooleanArray>()?.values()), chunk.bits());
            }
            encoder.bytes(&digest.finish());
        }
        PhysicalType::Primitive(primitive) => encoder.bytes(&numbers(primitive, &chunks)?),
        PhysicalType::Utf8View => strings::<str>(&chunks, encoder)?,
        PhysicalType::BinaryView => strings::<[u8]>(&chunks, encoder)?,
        PhysicalType::LargeList => return lists(dtype.inner_dtype().ok_or(Opaque)?, &chunks, encoder),
        PhysicalType::FixedSizeList => return arrays(dtype.inner_dtype().ok_or(Opaque)?, &chunks, encoder),
        _ => return Err(Opaque),
    }
    Ok(())
}

fn strings<T: ViewType + ?Sized>(chunks: &[Chunk], encoder: &mut Encoder) -> Result<(), Opaque> {
    let mut digest = StringDigest::new();
    for chunk in chunks {
        let array = chunk.array::<BinaryViewArrayGeneric<T>>()?;
        let buffers: Vec<&[u8]> = array.data_buffers().iter().map(|it| it.as_slice()).collect();
        digest.update(bytemuck::cast_slice(array.views()), &buffers, chunk.bits());
    }
    let (lengths, bytes) = digest.finish();
    encoder.bytes(&lengths);
    encoder.bytes(&bytes);
    Ok(())
}

fn validity(chunks: &[Chunk], encoder: &mut Encoder) {
    if chunks.iter().all(|it| it.valid.is_none()) {
        encoder.tag(tag::ALL_VALID);
        return;
    }
    encoder.tag(tag::SOME_NULL);
    let mut digest = BitDigest::new();
    for chunk in chunks {
        match chunk.bits() {
            Some(valid) => digest.update(valid, None),
            None => digest.repeat(true, chunk.array.len()),
        }
    }
    encoder.bytes(&digest.finish());
}

fn numbers(primitive: PrimitiveType, chunks: &[Chunk]) -> Result<Hash, Opaque> {
    macro_rules! of {
        ($($name:ident => $type:ty),* $(,)?) => {
            match primitive {
                $(PrimitiveType::$name => numbers_of::<$type, { size_of::<$type>() }>(chunks),)*
                _ => Err(Opaque),
            }
        };
    }
    of!(
        Int8 => i8, Int16 => i16, Int32 => i32, Int64 => i64, Int128 => i128,
        UInt8 => u8, UInt16 => u16, UInt32 => u32, UInt64 => u64, UInt128 => u128,
        Float16 => polars::prelude::pf16, Float32 => f32, Float64 => f64,
    )
}

fn numbers_of<T: NativeType, const N: usize>(chunks: &[Chunk]) -> Result<Hash, Opaque> {
    let mut digest = Digest::new();
    for chunk in chunks {
        let bytes: &[u8] = bytemuck::cast_slice(chunk.array::<PrimitiveArray<T>>()?.values().as_slice());
        match chunk.bits() {
            Some(valid) => digest.update_valid(bytes.as_chunks::<N>().0, valid),
            None => digest.update(bytes),
        }
    }
    Ok(digest.finish())
}

/// Each value by a number that its text gets where it comes first, and the texts in that order: neither depends on
/// what else this process has seen.
fn categories(mapping: &CategoricalMapping, chunks: &[Chunk], encoder: &mut Encoder) -> Result<(), Opaque> {
    const UNSEEN: u32 = u32::MAX;
    let mut numbers: Vec<u32> = Vec::new();
    let mut seen: Vec<u32> = Vec::new();
    let mut digest = Digest::new();
    for chunk in chunks {
        let mut codes = match chunk.array.dtype().to_physical_type() {
            PhysicalType::Primitive(PrimitiveType::UInt8) => codes_of::<u8>(chunk)?,
            PhysicalType::Primitive(PrimitiveType::UInt16) => codes_of::<u16>(chunk)?,
            PhysicalType::Primitive(PrimitiveType::UInt32) => codes_of::<u32>(chunk)?,
            _ => return Err(Opaque),
        };
        for (row, code) in codes.iter_mut().enumerate() {
            if chunk.valid.as_ref().is_some_and(|it| !it.get_bit(row)) {
                *code = UNSEEN;
                continue;
            }
            let at = *code as usize;
            if numbers.len() <= at {
                numbers.resize(at + 1, UNSEEN);
            }
            if numbers[at] == UNSEEN {
                numbers[at] = seen.len() as u32;
                seen.push(*code);
            }
            *code = numbers[at];
        }
        digest.update(bytemuck::cast_slice(&codes));
    }
    encoder.bytes(&digest.finish());
    encoder.length(seen.len());
    for code in seen {
        encoder.text(mapping.cat_to_str(code).ok_or(Opaque)?);
    }
    Ok(())
}

fn codes_of<T: NativeType + Into<u32>>(chunk: &Chunk) -> Result<Vec<u32>, Opaque> {
    Ok(chunk.array::<PrimitiveArray<T>>()?.values().iter().map(|it| (*it).into()).collect())
}

/// The lengths, then the items of all lists that count as one column.
fn lists(inner: &DataType, chunks: &[Chunk], encoder: &mut Encoder) -> Result<(), Opaque> {
    let mut lengths = Digest::new();
    let mut items = Vec::new();
    for chunk in chunks {
        let array = chunk.array::<ListArray<i64>>()?;
        let offsets = array.offsets().buffer().as_slice();
        let mut of_rows: Vec<u64> = Vec::with_capacity(array.len());
        // Where the items begin that follow each other without a gap.
        let mut start = offsets.first().copied().unwrap_or_default();
        let mut take = |start: i64, end: i64| {
            if end > start {
                let piece = array.values().sliced(start as usize, (end - start) as usize);
                items.push(Chunk::new(piece, None));
            }
        };
        for (row, pair) in offsets.windows(2).enumerate() {
            let (first, last) = (pair[0], pair[1]);
            let is_null = chunk.valid.as_ref().is_some_and(|it| !it.get_bit(row));
            if is_null && last > first {
                take(start, first);
                start = last;
            }
            of_rows.push(if is_null { 0 } else { (last - first) as u64 });
        }
        take(start, offsets.last().copied().unwrap_or_default());
        lengths.update(bytemuck::cast_slice(&of_rows));
    }
    encoder.bytes(&lengths.finish());
    nested(inner, items, encoder)
}

/// The items of all arrays that count as one column.
fn arrays(inner: &DataType, chunks: &[Chunk], encoder: &mut Encoder) -> Result<(), Opaque> {
    let mut items = Vec::new();
    for chunk in chunks {
        let array = chunk.array::<FixedSizeListArray>()?;
        let width = array.size();
        let mut start = 0;
        let mut take = |start: usize, end: usize| {
            if end > start {
                let piece = array.values().sliced(start * width, (end - start) * width);
                items.push(Chunk::new(piece, None));
            }
        };
        if let Some(valid) = &chunk.valid {
            for row in 0..array.len() {
                if !valid.get_bit(row) {
                    take(start, row);
                    start = row + 1;
                }
            }
        }
        take(start, array.len());
    }
    nested(inner, items, encoder)
}

fn nested(inner: &DataType, items: Vec<Chunk>, encoder: &mut Encoder) -> Result<(), Opaque> {
    encoder.length(items.iter().map(|it| it.array.len()).sum());
    values(inner, items, encoder)
}

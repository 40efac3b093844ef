//! Columns as plain Rust values, their generator, and their layout as Arrow.

use polars::prelude::*;
use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, ListArray, NullArray, PrimitiveArray, StructArray, Utf8ViewArray,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::types::NativeType;

/// A dtype by what makes it another one. Categories are told by names and texts, not by the mapping of the process.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Neither nested nor of categories.
    Flat(DataType),
    Category(String, CategoricalPhysical),
    Enum(Vec<String>),
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    /// A number, a truth or a moment, in the low bits.
    Bits(u64),
    Text(String),
    Bytes(Vec<u8>),
    Items(Vec<Value>),
    Fields(Vec<Value>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    pub kind: Kind,
    pub rows: Vec<Value>,
}

/// All dtypes that hold no others.
fn leaves(seed: u64) -> Vec<Kind> {
    use polars::prelude::DataType::*;
    use polars::prelude::TimeUnit::*;
    let zone = TimeZone::opt_try_new(Some("Europe/Paris")).unwrap();
    let numbers = [Null, Boolean, Int8, Int16, Int32, Int64, UInt32, UInt64, Float32, Float64];
    let moments =
        [Date, Time, Datetime(Nanoseconds, None), Datetime(Milliseconds, None), Datetime(Microseconds, zone)];
    let others = [Duration(Nanoseconds), Duration(Microseconds), Duration(Milliseconds), String, Binary];
    let physicals = [CategoricalPhysical::U8, CategoricalPhysical::U16, CategoricalPhysical::U32];
    let categories = physicals.map(|it| Kind::Category(format!("categories {seed}"), it));
    let texts = ["low", "middle", "high", "higher than all others"].map(|it| it.to_owned());
    let flat = numbers.into_iter().chain(moments).chain(others).map(Kind::Flat);
    flat.chain(categories).chain([Kind::Enum(texts.into())]).collect()
}

impl Kind {
    /// One after the other, so that none is left to chance.
    pub fn random(seed: u64, random: &mut Random) -> Kind {
        let leaves = leaves(seed);
        let at = seed as usize;
        let leaf = leaves[at % leaves.len()].clone();
        // Without the features `dtype-u8` and `dtype-u16` polars cannot take short codes out of a struct.
        let fits_struct = |it: &Kind| !it.has_short_codes();
        let fitting: Vec<Kind> = leaves.iter().filter(|it| fits_struct(it)).cloned().collect();
        let other = random.pick(&fitting).clone();
        let list = |kind| Kind::List(Box::new(kind));
        let pair = |kind| Kind::Struct(vec![("a".into(), kind), ("b".into(), other.clone())]);
        match at / leaves.len() % 7 {
            2 | 4.. if !fits_struct(&leaf) => list(list(leaf)),
            0 => leaf,
            1 => list(leaf),
            2 => pair(leaf),
            3 => list(list(leaf)),
            4 => list(pair(leaf)),
            5 => pair(list(leaf)),
            _ => pair(pair(leaf)),
        }
    }

    /// Whether it is, or is a list of, categories whose codes are shorter than 32 bits.
    pub fn has_short_codes(&self) -> bool {
        match self {
            Kind::Enum(_) => true,
            Kind::Category(_, physical) => *physical != CategoricalPhysical::U32,
            Kind::List(inner) => inner.has_short_codes(),
            Kind::Struct(fields) => fields.iter().any(|it| it.1.has_short_codes()),
            Kind::Flat(_) => false,
        }
    }

    pub fn dtype(&self) -> DataType {
        match self {
            Kind::Flat(dtype) => dtype.clone(),
            Kind::Category(name, physical) => {
                DataType::from_categories(Categories::new(name.as_str().into(), "".into(), *physical))
            }
            Kind::Enum(texts) => {
                let texts = texts.iter().map(String::as_str);
                DataType::from_frozen_categories(FrozenCategories::new(texts).unwrap())
            }
            Kind::List(inner) => DataType::List(Box::new(inner.dtype())),
            Kind::Struct(fields) => {
                let field = |it: &(String, Kind)| Field::new(it.0.as_str().into(), it.1.dtype());
                DataType::Struct(fields.iter().map(field).collect())
            }
        }
    }

    pub fn rows(&self, count: usize, random: &mut Random) -> Vec<Value> {
        (0..count).map(|_| self.nullable(random)).collect()
    }

    pub fn nullable(&self, random: &mut Random) -> Value {
        if random.one_in(5) { Value::Null } else { self.value(random) }
    }

    /// A value that is not null itself.
    pub fn value(&self, random: &mut Random) -> Value {
        let length = random.below(20);
        match self {
            Kind::Flat(DataType::Null) => Value::Null,
            Kind::Flat(DataType::Float32) => Value::Bits((random.float() as f32).to_bits().into()),
            Kind::Flat(DataType::Float64) => Value::Bits(random.float().to_bits()),
            Kind::Flat(DataType::Time) => Value::Bits(random.bits() % 86_400_000_000_000),
            Kind::Flat(DataType::String) => {
                Value::Text((0..length).map(|_| *random.pick(&['a', 'b', 'ß', '√'])).collect())
            }
            Kind::Flat(DataType::Binary) => Value::Bytes((0..length).map(|_| random.bits() as u8).collect()),
            Kind::Flat(dtype) => Value::Bits(random.bits() & mask(dtype)),
            Kind::Category(..) => Value::Text(random.category()),
            Kind::Enum(texts) => Value::Text(random.pick(texts).clone()),
            Kind::List(inner) => Value::Items(inner.rows(length / 5, random)),
            Kind::Struct(fields) => Value::Fields(fields.iter().map(|it| it.1.nullable(random)).collect()),
        }
    }

    /// A dtype that holds the same, or nearly so.
    pub fn neighbour(&self, random: &mut Random) -> Option<Kind> {
        let all = match self {
            Kind::Flat(dtype) => {
                let texts = Kind::Category("texts".into(), CategoricalPhysical::U32);
                let is_text = *dtype == DataType::String;
                neighbours_of(dtype).into_iter().map(Kind::Flat).chain(is_text.then_some(texts)).collect()
            }
            Kind::Category(name, physical) => {
                let other = match physical {
                    CategoricalPhysical::U8 | CategoricalPhysical::U32 => CategoricalPhysical::U16,
                    CategoricalPhysical::U16 => CategoricalPhysical::U32,
                };
                let renamed = Kind::Category(format!("{name}x"), *physical);
                vec![renamed, Kind::Category(name.clone(), other), Kind::Flat(DataType::String)]
            }
            Kind::Enum(texts) => {
                let (mut turned, mut longer) = (texts.clone(), texts.clone());
                turned.rotate_left(1);
                longer.push("none of them".into());
                vec![Kind::Enum(turned), Kind::Enum(longer), Kind::Flat(DataType::String)]
            }
            Kind::List(_) | Kind::Struct(_) => vec![],
        };
        if all.is_empty() { None } else { Some(random.pick(&all).clone()) }
    }
}

fn neighbours_of(dtype: &DataType) -> Vec<DataType> {
    use polars::prelude::DataType::*;
    let other_unit = |unit: &TimeUnit| match unit {
        TimeUnit::Nanoseconds => TimeUnit::Microseconds,
        TimeUnit::Microseconds => TimeUnit::Milliseconds,
        TimeUnit::Milliseconds => TimeUnit::Nanoseconds,
    };
    match dtype {
        Null => vec![Boolean],
        Boolean => vec![Int8],
        Int8 => vec![Int16],
        Int16 => vec![Int32],
        Int32 => vec![Int64, UInt32, Date],
        Int64 => vec![UInt64, Duration(TimeUnit::Nanoseconds)],
        UInt32 => vec![UInt64],
        UInt64 | Float64 | Time => vec![Int64],
        Float32 => vec![Float64],
        Date => vec![Int32],
        String => vec![Binary],
        Datetime(unit, zone) => {
            let elsewhere = TimeZone::opt_try_new(Some("Asia/Tokyo")).unwrap();
            vec![Datetime(other_unit(unit), zone.clone()), Datetime(*unit, elsewhere), Duration(*unit)]
        }
        Duration(unit) => vec![Duration(other_unit(unit))],
        _ => vec![],
    }
}

fn width(dtype: &DataType) -> u32 {
    match dtype {
        DataType::Boolean => 1,
        DataType::Int8 => 8,
        DataType::Int16 => 16,
        DataType::Int32 | DataType::UInt32 | DataType::Float32 | DataType::Date => 32,
        _ => 64,
    }
}

/// The bits that a number may have.
fn mask(dtype: &DataType) -> u64 {
    u64::MAX >> (64 - width(dtype))
}

impl Value {
    fn bits(&self) -> u64 {
        if let Value::Bits(bits) = self { *bits } else { 0 }
    }

    fn text(&self) -> &str {
        if let Value::Text(text) = self { text } else { "" }
    }

    fn bytes(&self) -> &[u8] {
        if let Value::Bytes(bytes) = self { bytes } else { &[] }
    }

    pub fn items(&mut self) -> Option<&mut Vec<Value>> {
        if let Value::Items(items) = self { Some(items) } else { None }
    }

    pub fn fields(&mut self) -> Option<&mut Vec<Value>> {
        if let Value::Fields(fields) = self { Some(fields) } else { None }
    }

    /// The same value in a neighbour of its dtype.
    pub fn convert(&mut self, from: &Kind, to: &Kind) {
        use DataType::{Binary, Float32, Int8, Int16, Int32};
        let (Kind::Flat(from), Kind::Flat(to)) = (from, to) else { return };
        let converted = match (&*self, from, to) {
            (Value::Bits(bits), Float32, _) => Value::Bits(f64::from(f32::from_bits(*bits as u32)).to_bits()),
            (Value::Bits(bits), Int8 | Int16 | Int32, _) => {
                let unused = 64 - width(from);
                Value::Bits((((*bits << unused) as i64) >> unused) as u64 & mask(to))
            }
            (Value::Text(text), _, Binary) => Value::Bytes(text.clone().into_bytes()),
            _ => return,
        };
        *self = converted;
    }
}

impl Model {
    pub fn random(seed: u64, random: &mut Random) -> Model {
        let kind = Kind::random(seed, random);
        let count = random.below(9);
        Model { name: "column".into(), rows: kind.rows(count, random), kind }
    }

    /// The same column with other rows.
    pub fn of(&self, rows: Vec<Value>) -> Model {
        Model { name: self.name.clone(), kind: self.kind.clone(), rows }
    }

    /// The whole column, a field of it, or the items of its lists as one column, at a random depth.
    pub fn any_column(&mut self, random: &mut Random) -> (&mut Kind, Vec<&mut Value>) {
        descend(&mut self.kind, self.rows.iter_mut().collect(), random)
    }
}

fn descend<'a>(
    kind: &'a mut Kind,
    column: Vec<&'a mut Value>,
    random: &mut Random,
) -> (&'a mut Kind, Vec<&'a mut Value>) {
    if random.one_in(3) {
        return (kind, column);
    }
    match kind {
        Kind::List(inner) => {
            let items = column.into_iter().filter_map(Value::items).flatten().collect();
            descend(inner, items, random)
        }
        Kind::Struct(fields) => {
            let at = random.below(fields.len());
            let of_field = column.into_iter().filter_map(Value::fields).map(|it| &mut it[at]).collect();
            descend(&mut fields[at].1, of_field, random)
        }
        _ => (kind, column),
    }
}

/// The series of a model; with other values below nulls and around slices, if there are random numbers for them.
pub fn series(model: &Model, garbage: Option<&mut Random>) -> Series {
    let dtype = model.kind.dtype();
    let chunk = array(&model.kind, &dtype, &model.rows, garbage);
    Series::from_chunk_and_dtype(model.name.as_str().into(), chunk, &dtype).unwrap()
}

fn array(kind: &Kind, dtype: &DataType, rows: &[Value], garbage: Option<&mut Random>) -> Box<dyn Array> {
    let Some(random) = garbage else { return whole_array(kind, dtype, rows, None) };
    let (before, after) = (random.below(3), random.below(3));
    let mut longer = kind.rows(before, random);
    longer.extend_from_slice(rows);
    longer.extend(kind.rows(after, random));
    whole_array(kind, dtype, &longer, Some(random)).sliced(before, rows.len())
}

fn whole_array(
    kind: &Kind,
    dtype: &DataType,
    rows: &[Value],
    mut garbage: Option<&mut Random>,
) -> Box<dyn Array> {
    let valid = valid(rows);
    let validity = (garbage.is_some() || valid.unset_bits() > 0).then_some(valid);
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        let value = match (row, garbage.as_deref_mut()) {
            (Value::Null, Some(random)) => kind.value(random),
            _ => row.clone(),
        };
        stored.push(match (value, dtype) {
            (Value::Text(text), DataType::Categorical(_, mapping) | DataType::Enum(_, mapping)) => {
                Value::Bits(mapping.insert_cat(&text).unwrap().into())
            }
            (value, _) => value,
        });
    }
    let physical = dtype.to_physical();
    let arrow = physical.to_arrow(CompatLevel::newest());
    match (kind, dtype) {
        (Kind::List(inner), DataType::List(of_items)) => {
            let (mut items, mut offsets) = (Vec::new(), vec![0i64]);
            for value in &mut stored {
                items.append(value.items().unwrap_or(&mut Vec::new()));
                offsets.push(items.len() as i64);
            }
            let items = array(inner, of_items, &items, garbage);
            Box::new(ListArray::<i64>::new(arrow, offsets.try_into().unwrap(), items, validity))
        }
        (Kind::Struct(fields), DataType::Struct(of_fields)) => {
            let mut arrays = Vec::new();
            for (at, (field, of_field)) in fields.iter().zip(of_fields).enumerate() {
                let value = |it: &mut Value| it.fields().map_or(Value::Null, |it| it[at].clone());
                let column: Vec<Value> = stored.iter_mut().map(value).collect();
                arrays.push(array(&field.1, of_field.dtype(), &column, garbage.as_deref_mut()));
            }
            Box::new(StructArray::new(arrow, rows.len(), arrays, validity))
        }
        _ => flat_array(&physical, arrow, &stored, validity),
    }
}

fn flat_array(
    physical: &DataType,
    arrow: ArrowDataType,
    stored: &[Value],
    validity: Option<Bitmap>,
) -> Box<dyn Array> {
    match physical {
        DataType::Null => Box::new(NullArray::new(arrow, stored.len())),
        DataType::Boolean => {
            let bits: Bitmap = stored.iter().map(|it| it.bits() == 1).collect();
            Box::new(BooleanArray::new(arrow, bits, validity))
        }
        DataType::Int8 => numbers(arrow, stored, validity, |it| it as i8),
        DataType::Int16 => numbers(arrow, stored, validity, |it| it as i16),
        DataType::Int32 => numbers(arrow, stored, validity, |it| it as i32),
        DataType::Int64 => numbers(arrow, stored, validity, |it| it as i64),
        DataType::UInt8 => numbers(arrow, stored, validity, |it| it as u8),
        DataType::UInt16 => numbers(arrow, stored, validity, |it| it as u16),
        DataType::UInt32 => numbers(arrow, stored, validity, |it| it as u32),
        DataType::UInt64 => numbers(arrow, stored, validity, |it| it),
        DataType::Float32 => numbers(arrow, stored, validity, |it| f32::from_bits(it as u32)),
        DataType::Float64 => numbers(arrow, stored, validity, f64::from_bits),
        DataType::String => {
            let texts: Vec<&str> = stored.iter().map(Value::text).collect();
            Box::new(Utf8ViewArray::from_slice_values::<&str, _>(texts).with_validity(validity))
        }
        DataType::Binary => {
            let bytes: Vec<&[u8]> = stored.iter().map(Value::bytes).collect();
            Box::new(BinaryViewArray::from_slice_values::<&[u8], _>(bytes).with_validity(validity))
        }
        other => panic!("{other:?} holds others"),
    }
}

fn numbers<T: NativeType>(
    arrow: ArrowDataType,
    stored: &[Value],
    validity: Option<Bitmap>,
    number: fn(u64) -> T,
) -> Box<dyn Array> {
    let numbers: Vec<T> = stored.iter().map(|it| number(it.bits())).collect();
    Box::new(PrimitiveArray::<T>::new(arrow, numbers.into(), validity))
}

pub fn valid(rows: &[Value]) -> Bitmap {
    rows.iter().map(|it| *it != Value::Null).collect()
}

/// Random numbers (splitmix64) that are the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// No NaN but the usual one, because a cast may change the bits of others.
    fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => 0.0,
            1 => -0.0,
            2 => f64::INFINITY,
            3 => f64::NAN,
            _ => self.bits() as i64 as f64 * 1e-6,
        }
    }

    /// One of so few texts that a mapping of eight bits holds them, some too long for a view.
    pub fn category(&mut self) -> String {
        let number = self.below(20);
        format!("{}{number}", "category ".repeat(number % 3))
    }
}

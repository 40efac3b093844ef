//! The promise of versions, tried on columns of every dtype and of its lists and structs, nested twice.
//!
//! A column is a [`Model`] of plain Rust values, so that polars is never asked whether two columns are equal, and it
//! is laid out as Arrow here, down to what lies below nulls. All is drawn from a seed, which a failure tells.
//!
//! Guiding rule: a model that differs in one place has another version, and a model has one version however its
//! series was made.

mod changes;
mod model;

use std::io::Cursor;

use polars::prelude::*;

use self::changes::CHANGES;
use self::model::{Kind, Model, Random, Value, series, valid};
use super::version;
use crate::storing::Storing;
use crate::version::Version;

/// Seeds of one test stay away from those of another: they name the categories, which are the process's own.
const FAR: u64 = 1 << 32;

#[test]
fn columns_that_differ_in_one_place_never_share_a_version() {
    let mut applied = [0; CHANGES.len()];
    for seed in 0..15_000 {
        let random = &mut Random(seed);
        let model = Model::random(seed, random);
        let (which, changed) = loop {
            let which = random.below(CHANGES.len());
            let (_, change) = CHANGES[which];
            let mut changed = model.clone();
            if change(&mut changed, random) {
                break (which, changed);
            }
        };
        let _told = Told { seed, what: CHANGES[which].0, kind: &model.kind };
        assert_ne!(model, changed, "nothing was changed");
        applied[which] += 1;
        let one = version_of(series(&model, Some(&mut *random)));
        let other = version_of(series(&changed, Some(&mut *random)));
        assert_ne!(one, other, "{model:?} and {changed:?} share a version");
    }
    for (count, (what, _)) in applied.iter().zip(CHANGES) {
        assert!(*count > 100, "{what} was changed {count} times only");
    }
}

#[test]
fn a_column_has_one_version_however_it_was_made() {
    for seed in FAR..FAR + 1_200 {
        let random = &mut Random(seed);
        let model = Model::random(seed, random);
        let expected = version_of(series(&model, None));
        for (what, make) in WAYS {
            let _told = Told { seed, what, kind: &model.kind };
            // What polars cannot compute without the features `dtype-u8` and `dtype-u16`.
            if model.kind.has_short_codes()
                && !matches!(what, "over other values" | "masked" | "in pieces" | "sliced")
            {
                continue;
            }
            // No dtype of the round before is left, so categories get their codes in another order.
            let dtype = model.kind.dtype();
            fill_mappings(&dtype, random);
            assert_eq!(version_of(make(&model, random)), expected, "{model:?}");
        }
    }
}

#[test]
fn a_column_is_read_from_the_store_as_it_was_written() {
    let storing = Storing::framed::<DataFrame>();
    for seed in 3 * FAR..3 * FAR + 600 {
        let random = &mut Random(seed);
        let model = Model::random(seed, random);
        let _told = Told { seed, what: "stored", kind: &model.kind };
        if model.kind.has_short_codes() {
            continue;
        }
        let frame = DataFrame::new_infer_height(vec![column(series(&model, Some(random)))]).unwrap();
        let bytes = (storing.save)(&frame).unwrap();
        let read = (storing.load)(&bytes).unwrap();
        let read = read.downcast_ref::<DataFrame>().unwrap();
        assert_eq!(version(read), version(&frame), "{model:?}");
        assert_eq!(read.schema(), frame.schema());
    }
}

#[test]
fn categories_count_by_their_text_in_whatever_order_they_came() {
    let text = |it: &str| Value::Text(it.into());
    let model = Model {
        name: "column".into(),
        kind: Kind::Category("in an order of their own".into(), CategoricalPhysical::U32),
        rows: vec![text("one"), text("two"), Value::Null, text("one")],
    };
    let codes = |it: &Series| it.to_physical_repr().u32().unwrap().to_vec();
    let before = series(&model, None);
    let (codes_before, expected) = (codes(&before), version(&before));
    drop(before);
    let dtype = model.kind.dtype();
    let DataType::Categorical(_, mapping) = &dtype else { panic!("{dtype:?} is no categorical") };
    mapping.insert_cat("two").unwrap();
    let after = series(&model, None);
    assert_ne!(codes(&after), codes_before);
    assert_eq!(version(&after), expected);
}

#[test]
fn a_float_in_a_struct_counts_by_its_bits() {
    let frame = |value: f64| {
        let field = Series::new("x".into(), [value, 2.5]);
        let column = StructChunked::from_series("s".into(), 2, [field].iter()).unwrap().into_series();
        DataFrame::new_infer_height(vec![column.into()]).unwrap()
    };
    assert_eq!(version(&frame(1.0000000001)), version(&frame(1.0000000001)));
    assert_ne!(version(&frame(1.0000000001)), version(&frame(1.0000000002)));
}

#[test]
fn what_cannot_be_seen_has_no_version() {
    let field = Series::new("x".into(), [1i64, 2]);
    let rows = StructChunked::from_series("s".into(), 2, [field.clone()].iter()).unwrap();
    let encoded = rows.get_row_encoded(SortOptions::default()).unwrap().into_series();
    assert_eq!(encoded.dtype(), &DataType::BinaryOffset);
    assert_eq!(version(&encoded), None);
    let frame = DataFrame::new_infer_height(vec![field.into(), encoded.into()]).unwrap();
    assert_eq!(version(&frame), None);
}

/// The series as a column. polars would make a scalar of one value, which it cannot do for every category inside of
/// a list.
fn column(series: Series) -> Column {
    Column::Series(series.into())
}

/// The version of a frame that holds the series and another one.
fn version_of(series: Series) -> Version {
    let beside = Column::new("beside".into(), vec![7i32; series.len()]);
    let frame = DataFrame::new_infer_height(vec![column(series), beside]).unwrap();
    version(&frame).expect("each of these dtypes can be seen")
}

/// Says at a panic, be it one of polars, what was tried.
struct Told<'a> {
    seed: u64,
    what: &'a str,
    kind: &'a Kind,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, {}, of {:?}", self.seed, self.what, self.kind);
        }
    }
}

/// Gives codes to the texts of all categories inside, in a random order.
fn fill_mappings(dtype: &DataType, random: &mut Random) {
    match dtype {
        DataType::Categorical(_, mapping) => {
            for _ in 0..10 {
                mapping.insert_cat(&random.category()).unwrap();
            }
        }
        DataType::List(inner) => fill_mappings(inner, random),
        DataType::Struct(fields) => fields.iter().for_each(|it| fill_mappings(it.dtype(), random)),
        _ => {}
    }
}

/// Makes the series of a model.
type Way = fn(&Model, &mut Random) -> Series;

const WAYS: [(&str, Way); 11] = [
    ("over other values", |model, random| series(model, Some(random))),
    ("masked", masked),
    ("in pieces", in_pieces),
    ("of pieces made one", of_pieces_made_one),
    ("sliced", sliced),
    ("filtered", filtered),
    ("taken", taken),
    ("chosen from two", chosen_from_two),
    ("cast there and back", cast_there_and_back),
    ("renamed there and back", renamed_there_and_back),
    ("written and read", written_and_read),
];

fn masked(model: &Model, random: &mut Random) -> Series {
    let fill = |it: &Value| if *it == Value::Null { model.kind.value(random) } else { it.clone() };
    let filled = model.rows.iter().map(fill).collect();
    series(&model.of(filled), None).with_validity(Some(valid(&model.rows)))
}

fn in_pieces(model: &Model, random: &mut Random) -> Series {
    let rows = &model.rows;
    let mut at = random.below(rows.len() + 1);
    let mut whole = series(&model.of(rows[..at].to_vec()), Some(&mut *random));
    while at < rows.len() {
        let end = at + 1 + random.below(rows.len() - at);
        let piece = series(&model.of(rows[at..end].to_vec()), Some(&mut *random));
        whole.append(&piece).unwrap();
        at = end;
    }
    whole
}

fn of_pieces_made_one(model: &Model, random: &mut Random) -> Series {
    let mut pieces = in_pieces(model, random);
    pieces.shrink_to_fit();
    pieces.rechunk()
}

fn sliced(model: &Model, random: &mut Random) -> Series {
    let (before, after) = (random.below(4), random.below(4));
    let mut rows = model.kind.rows(before, random);
    rows.extend_from_slice(&model.rows);
    rows.extend(model.kind.rows(after, random));
    series(&model.of(rows), None).slice(before as i64, model.rows.len())
}

/// Also all-true, when nothing is put between the rows.
fn filtered(model: &Model, random: &mut Random) -> Series {
    let (mut rows, mut mask) = (Vec::new(), Vec::new());
    let is_mixed = random.one_in(2);
    for row in &model.rows {
        while is_mixed && random.one_in(3) {
            rows.push(model.kind.nullable(random));
            mask.push(false);
        }
        rows.push(row.clone());
        mask.push(true);
    }
    let mask: BooleanChunked = mask.into_iter().collect();
    series(&model.of(rows), Some(random)).filter(&mask).unwrap()
}

/// All rows, brought back into order.
fn taken(model: &Model, random: &mut Random) -> Series {
    let mut order: Vec<usize> = (0..model.rows.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    let rows = order.iter().map(|it| model.rows[*it].clone()).collect();
    let mut back: Vec<IdxSize> = vec![0; order.len()];
    for (at, row) in order.iter().enumerate() {
        back[*row] = at as IdxSize;
    }
    series(&model.of(rows), Some(random)).take(&IdxCa::from_vec("".into(), back)).unwrap()
}

fn chosen_from_two(model: &Model, random: &mut Random) -> Series {
    let choice: Vec<bool> = model.rows.iter().map(|_| random.one_in(2)).collect();
    let mut side = |side: bool| {
        let mut rows = model.rows.clone();
        for (row, chosen) in rows.iter_mut().zip(&choice) {
            if *chosen != side {
                *row = model.kind.nullable(random);
            }
        }
        series(&model.of(rows), Some(&mut *random))
    };
    let (one, other) = (side(true), side(false));
    let mask: BooleanChunked = choice.iter().copied().collect();
    one.zip_with(&mask, &other).unwrap()
}

fn cast_there_and_back(model: &Model, random: &mut Random) -> Series {
    let column = series(model, Some(&mut *random));
    let there = detour(column.dtype(), random);
    column.cast(&there).unwrap().cast(column.dtype()).unwrap()
}

/// A dtype that holds all values of another.
fn detour(dtype: &DataType, random: &mut Random) -> DataType {
    match dtype {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
        DataType::UInt32 => DataType::UInt64,
        DataType::Float32 => DataType::Float64,
        DataType::Date => DataType::Int32,
        DataType::Time | DataType::Datetime(..) | DataType::Duration(_) => DataType::Int64,
        DataType::String if random.one_in(2) => DataType::Binary,
        DataType::String => {
            DataType::from_categories(Categories::random("".into(), CategoricalPhysical::U32))
        }
        DataType::Categorical(..) | DataType::Enum(..) => DataType::String,
        DataType::List(inner) => DataType::List(Box::new(detour(inner, random))),
        DataType::Struct(fields) => {
            let field = |it: &Field| Field::new(it.name().clone(), detour(it.dtype(), random));
            DataType::Struct(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

fn renamed_there_and_back(model: &Model, random: &mut Random) -> Series {
    let mut column = series(model, Some(random));
    column.rename("other".into());
    column.rename(model.name.as_str().into());
    column
}

fn written_and_read(model: &Model, random: &mut Random) -> Series {
    let written = series(model, Some(random));
    let length = written.len();
    let mut twice = written.clone();
    twice.append(&written).unwrap();
    // Two of each, since what is read is a scalar where it is one value: see `column`.
    let mut frame = DataFrame::new_infer_height(vec![column(twice.rechunk())]).unwrap();
    let mut file = Cursor::new(Vec::<u8>::new());
    IpcWriter::new(&mut file).finish(&mut frame).unwrap();
    file.set_position(0);
    let frame = IpcReader::new(file).finish().unwrap();
    frame.columns()[0].as_materialized_series().slice(0, length)
}

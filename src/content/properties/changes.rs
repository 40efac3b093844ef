//! One place of a model, changed: what a version must show.

use polars::prelude::DataType;

use super::model::{Kind, Model, Random, Value};

/// Changes one place of a model, if it has such a place.
pub type Change = fn(&mut Model, &mut Random) -> bool;

pub const CHANGES: [(&str, Change); 9] = [
    ("a value", a_value),
    ("a null", a_null),
    ("the order of rows", the_order_of_rows),
    ("a boundary of lists", a_boundary),
    ("the number of rows", the_number_of_rows),
    ("the name", the_name),
    ("the name of a field", the_name_of_a_field),
    ("the order of fields", the_order_of_fields),
    ("a dtype", a_dtype),
];

/// One ulp, tick or truth, one character, one bit of bytes, another category.
fn a_value(model: &mut Model, random: &mut Random) -> bool {
    let (kind, column) = model.any_column(random);
    let mut present: Vec<&mut Value> = column.into_iter().filter(|it| **it != Value::Null).collect();
    if present.is_empty() {
        return false;
    }
    let at = random.below(present.len());
    match (present.swap_remove(at), &*kind) {
        (Value::Bits(bits), _) => *bits ^= 1,
        (Value::Text(text), Kind::Enum(texts)) => {
            let at = texts.iter().position(|it| it.as_str() == text.as_str()).unwrap();
            *text = texts[(at + 1) % texts.len()].clone();
        }
        (Value::Text(text), _) => {
            if random.one_in(2) {
                text.pop();
            }
            text.push('z');
        }
        (Value::Bytes(bytes), _) => {
            let at = random.below(bytes.len() + 1);
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 1u8 << random.below(8),
                None => bytes.push(0),
            }
        }
        _ => return false,
    }
    true
}

fn a_null(model: &mut Model, random: &mut Random) -> bool {
    let (kind, mut column) = model.any_column(random);
    if column.is_empty() || *kind == Kind::Flat(DataType::Null) {
        return false;
    }
    let at = random.below(column.len());
    let place = &mut *column[at];
    *place = if *place == Value::Null { kind.value(random) } else { Value::Null };
    true
}

fn the_order_of_rows(model: &mut Model, random: &mut Random) -> bool {
    let (_, mut column) = model.any_column(random);
    let Some((one, other)) = neighbours(&mut column, random) else { return false };
    std::mem::swap(one, other);
    *one != *other
}

fn a_boundary(model: &mut Model, random: &mut Random) -> bool {
    let (_, column) = model.any_column(random);
    let mut lists: Vec<&mut Vec<Value>> = column.into_iter().filter_map(Value::items).collect();
    let Some((one, other)) = neighbours(&mut lists, random) else { return false };
    if let Some(item) = one.pop() {
        other.insert(0, item);
        true
    } else if other.is_empty() {
        false
    } else {
        one.push(other.remove(0));
        true
    }
}

fn neighbours<'a, T>(column: &'a mut [&mut T], random: &mut Random) -> Option<(&'a mut T, &'a mut T)> {
    if column.len() < 2 {
        return None;
    }
    let at = random.below(column.len() - 1);
    let [one, other] = &mut column[at..at + 2] else { return None };
    Some((&mut **one, &mut **other))
}

fn the_number_of_rows(model: &mut Model, random: &mut Random) -> bool {
    if random.one_in(2) && model.rows.pop().is_some() {
        return true;
    }
    let row = model.kind.nullable(random);
    model.rows.push(row);
    true
}

fn the_name(model: &mut Model, _: &mut Random) -> bool {
    model.name.push('x');
    true
}

fn the_name_of_a_field(model: &mut Model, random: &mut Random) -> bool {
    let (kind, _) = model.any_column(random);
    let Kind::Struct(fields) = kind else { return false };
    let at = random.below(fields.len());
    fields[at].0.push('x');
    true
}

fn the_order_of_fields(model: &mut Model, random: &mut Random) -> bool {
    let (kind, column) = model.any_column(random);
    let Kind::Struct(fields) = kind else { return false };
    fields.swap(0, 1);
    column.into_iter().filter_map(Value::fields).for_each(|it| it.swap(0, 1));
    true
}

fn a_dtype(model: &mut Model, random: &mut Random) -> bool {
    let (kind, column) = model.any_column(random);
    let Some(other) = kind.neighbour(random) else { return false };
    for value in column {
        value.convert(kind, &other);
    }
    *kind = other;
    true
}

//! Literals: what a person writes after `=` in a magic, and how it becomes a value.
//!
//! A literal is kept as raw text until the type of a consuming parameter says how to read it: `3` is a
//! number for `i64` and text for `String`; `data/x.csv` is text or a whole frame. Each literal is also read
//! as a TOML value, with `null` added; what is no TOML is a string.
//!
//! Guiding rule: exact or refused. A number that does not fit is an error, never rounded or wrapped.

mod deserialize;
mod files;
mod series;

use std::any::TypeId;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brooklet_graph::wire::Failure;
use chrono::{NaiveDate, NaiveDateTime};
use polars::prelude::Column;
use serde::de::DeserializeOwned;

use brooklet_graph::literal as parse;
pub use brooklet_graph::literal::Item;

use crate::glue::TypeInfo;
use crate::value::{Data, Decode, Value};

/// One literal: its raw text, and its TOML value if it is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    raw: String,
    item: Option<Item>,
}

/// What decoding may need besides the literal.
pub struct LiteralContext<'a> {
    /// The input; a series decoded for it gets this name.
    pub name: &'a str,
    /// What relative paths are relative to.
    pub base: &'a Path,
    /// Files that were read on the way, for noticing when they change.
    pub files: RefCell<Vec<PathBuf>>,
}

impl<'a> LiteralContext<'a> {
    pub fn new(name: &'a str, base: &'a Path) -> LiteralContext<'a> {
        LiteralContext { name, base, files: RefCell::default() }
    }
}

impl Literal {
    pub fn new(raw: &str) -> Literal {
        let raw = raw.trim();
        Literal { raw: raw.to_owned(), item: parse::parse(raw) }
    }

    /// The text of a string: as written, or what a quoted TOML string means.
    pub fn text(&self) -> &str {
        match &self.item {
            Some(Item::String(text)) => text,
            _ => &self.raw,
        }
    }

    pub fn is_null(&self) -> bool {
        self.item == Some(Item::Null)
    }

    /// Reads the literal as any type that serde can read.
    ///
    /// # Errors
    /// As serde words them.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, String> {
        T::deserialize(deserialize::Whole(self)).map_err(|it| it.to_string())
    }

    /// What the literal is, for messages.
    fn kind(&self) -> &'static str {
        match &self.item {
            None => parse::moment(&self.raw).unwrap_or("text"),
            Some(Item::String(_)) => "text",
            Some(Item::Null) => "null",
            Some(Item::Bool(_)) => "a bool",
            Some(Item::Integer(_)) => "a whole number",
            Some(Item::Float(_)) => "a number",
            Some(Item::Date(_)) => "a date",
            Some(Item::DateTime(_)) => "a date and time",
            Some(Item::List(_)) => "a list",
            Some(Item::Table(_)) => "a table",
        }
    }
}

/// Decodes a literal for a type. `decode` is the type's own way, where there is one.
///
/// # Errors
/// `bad-literal`, naming the input and the expected type.
pub fn decode(
    raw: &str,
    ty: TypeInfo,
    decode: Option<Decode>,
    context: &LiteralContext<'_>,
) -> Result<Value, Failure> {
    let literal = Literal::new(raw);
    let known = crate::glue::registry::find(ty.id);
    let decode = known.and_then(|it| it.decode).or(decode);
    let result = match decode {
        Some(decode) => decode(&literal, context),
        None => Err(format!("`{}` cannot be read from a literal", ty.short())),
    };
    match result {
        Ok(data) => {
            let ops = known.unwrap_or_else(|| crate::glue::registry::opaque(ty.id, ty.name));
            Ok(Value::from_data(data, ops))
        }
        // Deeper than it is read it is text, of which the type's own message would speak.
        Err(_) if parse::too_deep(raw).is_some() => {
            let problem = format!("its lists and tables are nested more than {} deep", parse::MAX_DEPTH);
            Err(bad_literal(&literal, ty, decode.is_some(), problem, context.name))
        }
        Err(problem) => Err(match context.files.borrow().last() {
            Some(_) => unreadable_file(&literal, problem, context.name),
            None => bad_literal(&literal, ty, decode.is_some(), problem, context.name),
        }),
    }
}

fn bad_literal(literal: &Literal, ty: TypeInfo, readable: bool, problem: String, name: &str) -> Failure {
    let expected = ty.short();
    let mut shown: String = literal.raw.chars().take(60).collect();
    if shown.len() < literal.raw.len() {
        shown.push('…');
    }
    Failure {
        kind: "bad-literal".to_owned(),
        node: name.to_owned(),
        message: format!("`{name}` needs `{expected}`, but `{shown}` is {}: {problem}", literal.kind()),
        chain: Vec::new(),
        hint: Some(hint(name, &expected, ty.id, readable)),
        place: None,
    }
}

/// The literal is what it should be, a file's name; the file is not.
fn unreadable_file(literal: &Literal, problem: String, name: &str) -> Failure {
    Failure {
        kind: "bad-literal".to_owned(),
        node: name.to_owned(),
        message: format!("`{name}` cannot be read from `{}`: {problem}", literal.text()),
        chain: Vec::new(),
        hint: Some(format!(
            "mend the file, or name another: `{name}=…`; paths count from the notebook's directory"
        )),
        place: None,
    }
}

fn hint(name: &str, expected: &str, id: TypeId, readable: bool) -> String {
    let example = match expected {
        _ if !readable => {
            return format!(
                "let a function return `{name}`, or derive `serde::Deserialize` for `{expected}`"
            );
        }
        "bool" => "true",
        "f64" | "f32" => "0.5",
        "String" => "text",
        "Series" | "Column" => "[1, 2, null]",
        "DataFrame" | "LazyFrame" => "data/file.csv",
        "char" => "'a'",
        _ if id == TypeId::of::<NaiveDate>() => "2024-01-31",
        _ if id == TypeId::of::<NaiveDateTime>() => "2024-01-31T12:00:00",
        _ if expected.starts_with(['i', 'u']) && expected[1..].parse::<u8>().is_ok() => "3",
        "isize" | "usize" => "3",
        _ if expected.starts_with("Vec<") => "[..]",
        _ => return format!("give `{name}` a value of type `{expected}`; TOML values are understood"),
    };
    format!("write for example `{name}={example}`")
}

/// A literal as what it is written as, for a name whose type nobody tells.
pub(crate) fn plain(raw: &str, name: &str) -> Option<Value> {
    let literal = Literal::new(raw);
    Some(match &literal.item {
        None => Value::new(literal.raw),
        Some(Item::String(text)) => Value::new(text.clone()),
        Some(Item::Bool(it)) => Value::new(*it),
        Some(Item::Integer(it)) => Value::new(i64::try_from(*it).ok()?),
        Some(Item::Float(it)) => Value::new(*it),
        Some(Item::Date(it)) => Value::new(*it),
        Some(Item::DateTime(it)) => Value::new(*it),
        Some(Item::List(_)) => Value::new(series_of(&literal, name).ok()?),
        Some(Item::Null | Item::Table(_)) => return None,
    })
}

/// A list as a series.
pub(crate) fn series_of(literal: &Literal, name: &str) -> Result<polars::prelude::Series, String> {
    series::from_literal(literal, name)
}

/// Any type that serde can read.
pub(crate) fn scalar<T: DeserializeOwned + Send + Sync + 'static>(
    literal: &Literal,
    _: &LiteralContext<'_>,
) -> Result<Data, String> {
    Ok(Arc::new(literal.deserialize::<T>()?))
}

pub(crate) use files::{frame, lazy_frame};

pub(crate) fn series(literal: &Literal, context: &LiteralContext<'_>) -> Result<Data, String> {
    Ok(Arc::new(series::from_literal(literal, context.name)?))
}

pub(crate) fn column(literal: &Literal, context: &LiteralContext<'_>) -> Result<Data, String> {
    Ok(Arc::new(Column::from(series::from_literal(literal, context.name)?)))
}

#[cfg(test)]
mod tests;

//! Columns as nodes, and frames held against their declared columns: what the driver itself knows of frames.

use std::sync::Arc;

use brooklet_graph::graph::SchemaColumn;
use polars::prelude::*;

use crate::glue::{Error, Outcome};
use crate::literal::{Literal, series_of};
use crate::value::Value;

/// One column of a frame, with what stands for it if it is missing.
pub struct Column {
    name: String,
    fill: Option<String>,
}

impl Column {
    pub(super) fn new(name: &str, fill: Option<&str>) -> Column {
        Column { name: name.to_owned(), fill: fill.map(str::to_owned) }
    }

    /// Takes the column out of a `DataFrame` or a `LazyFrame`; of the latter it collects this column alone.
    pub(crate) fn take(&self, frame: &Value, node: &str) -> Outcome {
        let failed = |error: PolarsError| Error::Failed { message: error.to_string(), chain: Vec::new() };
        let series = if let Some(frame) = frame.get::<DataFrame>() {
            match frame.column(&self.name) {
                Ok(column) => column.as_materialized_series().clone(),
                Err(_) => self.missing(frame.schema(), frame.height())?,
            }
        } else if let Some(lazy) = frame.get::<LazyFrame>() {
            let schema = lazy.clone().collect_schema().map_err(failed)?;
            if schema.contains(&self.name) {
                let frame = lazy.clone().select([col(self.name.as_str())]).collect().map_err(failed)?;
                frame.column(&self.name).map_err(failed)?.as_materialized_series().clone()
            } else {
                let rows = lazy.clone().select([len()]).collect().map_err(failed)?;
                let rows =
                    rows.columns()[0].get(0).and_then(|it| it.try_extract::<usize>()).map_err(failed)?;
                self.missing(&schema, rows)?
            }
        } else {
            return Err(Error::WrongType {
                parameter: 0,
                expected: "DataFrame".to_owned(),
                found: frame.type_name(),
            });
        };
        Ok(Arc::new(series.with_name(node.into())))
    }

    fn missing(&self, schema: &Schema, rows: usize) -> Result<Series, Error> {
        let Some(fill) = &self.fill else {
            let names: Vec<String> = schema.iter_names().map(|it| format!("`{it}`")).collect();
            let there = if names.is_empty() { "no columns".to_owned() } else { names.join(", ") };
            return Err(Error::Failed {
                message: format!("there is no column `{}`; the frame has {there}", self.name),
                chain: Vec::new(),
            });
        };
        let one = series_of(&Literal::new(&format!("[{fill}]")), &self.name).map_err(|message| {
            Error::Failed { message: format!("fill_with = {fill}: {message}"), chain: Vec::new() }
        })?;
        Ok(one.new_from_index(0, rows))
    }
}

/// How a frame differs from its declared columns; `None` if it does not. Columns beyond them are no difference.
pub(super) fn schema_difference(value: &Value, declared: &[SchemaColumn]) -> Option<String> {
    let schema = match (value.get::<DataFrame>(), value.get::<LazyFrame>()) {
        (Some(frame), _) => frame.schema().clone(),
        (_, Some(lazy)) => lazy.clone().collect_schema().ok()?,
        _ => return Some(format!("a schema is declared, and the value is a `{}`", value.type_name())),
    };
    let differences: Vec<String> = declared
        .iter()
        .filter_map(|it| match schema.get(&it.name) {
            None => Some(format!("column `{}` is missing", it.name)),
            Some(found) if !fits(found, &it.ty) => {
                Some(format!("column `{}` is `{}`, declared as `{}`", it.name, name_of(found), it.ty))
            }
            Some(_) => None,
        })
        .collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

fn fits(found: &DataType, declared: &str) -> bool {
    name_of(found) == declared
}

/// A column's type in the words of `#[schema]`.
fn name_of(ty: &DataType) -> String {
    match ty {
        DataType::Boolean => "bool".to_owned(),
        DataType::String => "str".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Time => "time".to_owned(),
        DataType::Datetime(..) => "datetime".to_owned(),
        DataType::Duration(_) => "duration".to_owned(),
        DataType::Categorical(..) => "cat".to_owned(),
        DataType::List(inner) => format!("list<{}>", name_of(inner)),
        other => other.to_string(),
    }
}

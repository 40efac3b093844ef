//! Frames from files, by extension, and from tables written out.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use polars::prelude::*;

use super::{Item, Literal, LiteralContext, series};
use crate::value::Data;

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Parquet,
    Ipc,
    Json,
    JsonLines,
}

const EXTENSIONS: &str = "csv, parquet, ipc, arrow, feather, json, ndjson, jsonl";

fn format(path: &str) -> Option<Format> {
    let extension = path.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match extension.as_str() {
        "csv" => Format::Csv,
        "parquet" | "pq" => Format::Parquet,
        "ipc" | "arrow" | "feather" => Format::Ipc,
        "json" => Format::Json,
        "ndjson" | "jsonl" => Format::JsonLines,
        _ => return None,
    })
}

/// A `DataFrame`, read now.
pub(crate) fn frame(literal: &Literal, context: &LiteralContext<'_>) -> Result<Data, String> {
    if let Some(Item::Table(columns)) = &literal.item {
        return Ok(Arc::new(from_table(columns)?));
    }
    let (path, format) = path(literal, context)?;
    let frame = read(&path, format).map_err(|it| it.to_string())?;
    Ok(Arc::new(frame))
}

/// A `LazyFrame` over a file. What can be scanned is not read.
pub(crate) fn lazy_frame(literal: &Literal, context: &LiteralContext<'_>) -> Result<Data, String> {
    if let Some(Item::Table(columns)) = &literal.item {
        return Ok(Arc::new(from_table(columns)?.lazy()));
    }
    let (path, format) = path(literal, context)?;
    let frame = scan(&path, format).map_err(|it| it.to_string())?;
    Ok(Arc::new(frame))
}

fn path(literal: &Literal, context: &LiteralContext<'_>) -> Result<(PathBuf, Format), String> {
    let text = match &literal.item {
        None | Some(Item::String(_)) => literal.text(),
        _ => return Err(format!("a frame is read from a file ({EXTENSIONS}) or written as {{a = [1, 2]}}")),
    };
    let format = format(text).ok_or_else(|| format!("its format is told by the extension: {EXTENSIONS}"))?;
    let path = context.base.join(text);
    context.files.borrow_mut().push(path.clone());
    match path.try_exists() {
        Ok(true) => Ok((path, format)),
        Ok(false) => Err(format!("there is no file {}", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn read(path: &std::path::Path, format: Format) -> PolarsResult<DataFrame> {
    let file = || File::open(path).map_err(PolarsError::from);
    match format {
        Format::Csv => CsvReadOptions::default()
            .map_parse_options(|it| it.with_try_parse_dates(true))
            .try_into_reader_with_file_path(Some(path.to_owned()))?
            .finish(),
        Format::Parquet => ParquetReader::new(file()?).finish(),
        Format::Ipc => IpcReader::new(file()?).finish(),
        Format::Json => JsonReader::new(file()?).finish(),
        Format::JsonLines => JsonReader::new(file()?).with_json_format(JsonFormat::JsonLines).finish(),
    }
}

fn scan(path: &std::path::Path, format: Format) -> PolarsResult<LazyFrame> {
    let place = PlRefPath::try_from_path(path)?;
    match format {
        Format::Csv => LazyCsvReader::new(place).with_try_parse_dates(true).finish(),
        Format::Parquet => LazyFrame::scan_parquet(place, ScanArgsParquet::default()),
        Format::Ipc => LazyFrame::scan_ipc(place, IpcScanOptions::default(), UnifiedScanArgs::default()),
        Format::JsonLines => LazyJsonLineReader::new(place).finish(),
        Format::Json => Ok(read(path, format)?.lazy()),
    }
}

fn from_table(columns: &[(String, Item)]) -> Result<DataFrame, String> {
    let columns = columns
        .iter()
        .map(|(name, item)| match item {
            Item::List(items) => Ok(series::from_items(name, items)?.into()),
            _ => Err(format!("column `{name}` must be a list")),
        })
        .collect::<Result<Vec<Column>, String>>()?;
    DataFrame::new_infer_height(columns).map_err(|it| it.to_string())
}

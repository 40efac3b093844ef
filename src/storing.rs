//! Values as bytes and back.
//!
//! Nothing is believed: what was written is read back once and must be the same value, by its version where the type
//! has one and by `PartialEq` otherwise; a type for which that fails stays in memory. Serde alone says nothing:
//! `#[serde(skip)]`, defaults and serialisers of the user's own may lose what they like.

use std::any::Any;
use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

use polars::io::mmap::MmapBytesReader;
use polars::prelude::{
    Column, CompatLevel, DataFrame, IntoColumn, IpcReader, IpcWriter, ParquetReader, ParquetWriter,
    SerReader, SerWriter, Series,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Frames and series: the file format of Arrow, which other programs read.
    Arrow,
    /// Everything that serde knows: MessagePack with the names of fields.
    Msgpack,
    /// Frames whose node asks for it: smaller, and not all of what a frame can be.
    Parquet,
}

impl Format {
    /// The ending of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Arrow => "arrow",
            Format::Msgpack => "msgpack",
            Format::Parquet => "parquet",
        }
    }
}

/// What is read, without its type.
pub type Read = Arc<dyn Any + Send + Sync>;

/// How values of one type are written and read.
#[derive(Clone, Copy)]
pub struct Storing {
    pub format: Format,
    pub save: Save,
    pub load: Load,
    /// Whether two values are equal; absent where the version says it.
    pub equal: Option<Equal>,
    /// How it is read from a file without having all of it in memory twice, if it can be.
    pub load_file: Option<LoadFile>,
    /// How it is written and read as Parquet, if it can be.
    pub parquet: Option<Coding>,
}

pub type Save = fn(&dyn Any) -> Result<Vec<u8>, String>;
pub type Load = fn(&[u8]) -> Result<Read, String>;
pub type LoadFile = fn(File) -> Result<Read, String>;

/// Another file format of a type.
#[derive(Clone, Copy)]
pub struct Coding {
    save: Save,
    load: Load,
}

/// Whether two values of one type are equal.
pub type Equal = fn(&dyn Any, &dyn Any) -> bool;

/// Written values may be so large: a `Serialize` may write for ever.
const LIMIT: usize = 4 << 30;

impl Storing {
    /// By serde, for types that have a version.
    pub fn serde<T: Serialize + DeserializeOwned + Send + Sync + 'static>() -> Storing {
        Storing {
            format: Format::Msgpack,
            save: save::<T>,
            load: load::<T>,
            equal: None,
            load_file: None,
            parquet: None,
        }
    }

    /// By serde, for types that are compared.
    pub fn compared<T>() -> Storing
    where
        T: Serialize + DeserializeOwned + PartialEq + Send + Sync + 'static,
    {
        Storing { equal: Some(equal::<T>), ..Storing::serde::<T>() }
    }

    /// As Arrow, for what is a frame in some way.
    pub fn framed<T: Framed>() -> Storing {
        Storing {
            format: Format::Arrow,
            save: |it| save_frame(it.downcast_ref::<T>().ok_or("another type")?.to_frame()?),
            load: |bytes| Ok(Arc::new(T::of_frame(load_frame(bytes)?)?)),
            equal: None,
            load_file: Some(|file| Ok(Arc::new(T::of_frame(read_frame(file)?)?))),
            parquet: Some(Coding {
                save: |it| save_parquet(it.downcast_ref::<T>().ok_or("another type")?.to_frame()?),
                load: |bytes| Ok(Arc::new(T::of_frame(load_parquet(bytes)?)?)),
            }),
        }
    }

    /// The same type in another file format; `None` if it has none.
    pub fn in_format(self, format: Format) -> Option<Storing> {
        match format {
            _ if format == self.format => Some(self),
            Format::Parquet => self.parquet.map(|it| Storing {
                format,
                save: it.save,
                load: it.load,
                load_file: None,
                ..self
            }),
            Format::Arrow | Format::Msgpack => None,
        }
    }
}

fn save<T: Serialize + 'static>(value: &dyn Any) -> Result<Vec<u8>, String> {
    let value = value.downcast_ref::<T>().ok_or("another type")?;
    let mut bytes = Limited(Vec::new());
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value.serialize(&mut serializer).map_err(|it| it.to_string())?;
    Ok(bytes.0)
}

fn load<T: DeserializeOwned + Send + Sync + 'static>(bytes: &[u8]) -> Result<Read, String> {
    let value: T = rmp_serde::from_slice(bytes).map_err(|it| it.to_string())?;
    Ok(Arc::new(value))
}

fn equal<T: PartialEq + 'static>(one: &dyn Any, other: &dyn Any) -> bool {
    matches!((one.downcast_ref::<T>(), other.downcast_ref::<T>()), (Some(one), Some(other)) if one == other)
}

/// A type that is a frame for the disk.
pub trait Framed: Sized + Send + Sync + 'static {
    fn to_frame(&self) -> Result<DataFrame, String>;
    fn of_frame(frame: DataFrame) -> Result<Self, String>;
}

impl Framed for DataFrame {
    fn to_frame(&self) -> Result<DataFrame, String> {
        Ok(self.clone())
    }
    fn of_frame(frame: DataFrame) -> Result<DataFrame, String> {
        Ok(frame)
    }
}

impl Framed for Series {
    fn to_frame(&self) -> Result<DataFrame, String> {
        DataFrame::new(self.len(), vec![self.clone().into_column()]).map_err(|it| it.to_string())
    }
    fn of_frame(frame: DataFrame) -> Result<Series, String> {
        Ok(Column::of_frame(frame)?.take_materialized_series())
    }
}

impl Framed for Column {
    fn to_frame(&self) -> Result<DataFrame, String> {
        DataFrame::new(self.len(), vec![self.clone()]).map_err(|it| it.to_string())
    }
    fn of_frame(frame: DataFrame) -> Result<Column, String> {
        frame.into_columns().into_iter().next().ok_or_else(|| "a file without its column".to_owned())
    }
}

fn save_frame(mut frame: DataFrame) -> Result<Vec<u8>, String> {
    let write = |frame: &mut DataFrame| {
        let mut bytes = Vec::with_capacity(frame.estimated_size() + 4096);
        let writer = &mut IpcWriter::new(&mut bytes).with_compat_level(CompatLevel::newest());
        writer.finish(frame).map(|()| bytes)
    };
    // A file has one dictionary for a column of categories, and chunks may each have their own.
    write(&mut frame).or_else(|_| write(frame.rechunk_mut_par())).map_err(|it| it.to_string())
}

fn load_frame(bytes: &[u8]) -> Result<DataFrame, String> {
    read_frame(Cursor::new(bytes))
}

/// A file is read, never mapped: one that somebody cuts short later would end the process.
fn read_frame(from: impl MmapBytesReader) -> Result<DataFrame, String> {
    IpcReader::new(from).finish().map_err(|it| it.to_string())
}

fn save_parquet(mut frame: DataFrame) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).map_err(|it| it.to_string())?;
    Ok(bytes)
}

fn load_parquet(bytes: &[u8]) -> Result<DataFrame, String> {
    ParquetReader::new(Cursor::new(bytes)).finish().map_err(|it| it.to_string())
}

/// Bytes up to a limit.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LIMIT {
            return Err(std::io::Error::other("it does not end"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;
    use crate::content::version;

    #[test]
    fn categories_in_several_chunks_come_back() {
        let categories =
            DataType::from_categories(Categories::new("c".into(), "s".into(), CategoricalPhysical::U32));
        let part = |texts: [&str; 2]| {
            let series = Series::new("n".into(), texts).cast(&categories).unwrap();
            let lists = series.implode().unwrap().with_name("l".into()).into_series();
            (series.into_frame(), lists.into_frame())
        };
        let (mut flat, mut nested) = part(["a", "b"]);
        let (more, nested_more) = part(["c", "a"]);
        flat.vstack_mut(&more).unwrap();
        nested.vstack_mut(&nested_more).unwrap();
        for frame in [flat, nested] {
            assert_eq!(frame.first_col_n_chunks(), 2);
            for (save, load) in [
                (save_frame as fn(DataFrame) -> _, load_frame as fn(&[u8]) -> _),
                (save_parquet, load_parquet),
            ] {
                let back: DataFrame = load(&save(frame.clone()).unwrap()).unwrap();
                assert_eq!(version(&back), version(&frame), "{back}");
            }
        }
    }
}

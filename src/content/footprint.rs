//! What a value takes of the memory: its buffers, each with its address, so that what values share counts once.

use std::any::Any;

use polars::prelude::{Column, DataFrame, Series};
use polars_arrow::array::{
    Array, BinaryViewArray, BooleanArray, FixedSizeListArray, ListArray, PrimitiveArray, StructArray,
    Utf8ViewArray,
};
use polars_arrow::bitmap::Bitmap;

/// Buffers of a value: address and bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    pub buffers: Vec<(usize, usize)>,
}

impl Footprint {
    /// The footprint of a value of a type that the image knows. What it does not look into counts as nothing: a list of
    /// numbers is small beside a frame.
    pub fn of(value: &dyn Any) -> Footprint {
        let mut footprint = Footprint::default();
        if let Some(frame) = value.downcast_ref::<DataFrame>() {
            footprint.frame(frame);
        } else if let Some(series) = value.downcast_ref::<Series>() {
            footprint.series(series);
        } else if let Some(column) = value.downcast_ref::<Column>() {
            footprint.series(column.as_materialized_series());
        } else if let Some(all) = value.downcast_ref::<Vec<DataFrame>>() {
            all.iter().for_each(|it| footprint.frame(it));
        } else if let Some(all) = value.downcast_ref::<Vec<Series>>() {
            all.iter().for_each(|it| footprint.series(it));
        } else if let Some(numbers) = value.downcast_ref::<Vec<f64>>() {
            footprint.add(numbers.as_ptr(), size_of_val(numbers.as_slice()));
        } else if let Some(text) = value.downcast_ref::<String>() {
            footprint.add(text.as_ptr(), text.len());
        }
        footprint
    }

    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|it| it.1).sum()
    }

    fn add<T>(&mut self, at: *const T, bytes: usize) {
        if bytes > 0 {
            self.buffers.push((at as usize, bytes));
        }
    }

    fn frame(&mut self, frame: &DataFrame) {
        frame.columns().iter().for_each(|it| self.series(it.as_materialized_series()));
    }

    fn series(&mut self, series: &Series) {
        series.chunks().iter().for_each(|it| self.array(&**it));
    }

    fn bitmap(&mut self, bitmap: &Bitmap) {
        let bytes = bitmap.as_slice().0;
        self.add(bytes.as_ptr(), bytes.len());
    }

    fn array(&mut self, array: &dyn Array) {
        if let Some(validity) = array.validity() {
            self.bitmap(validity);
        }
        let any = array.as_any();
        macro_rules! primitive {
            ($($number:ty)*) => {$(
                if let Some(array) = any.downcast_ref::<PrimitiveArray<$number>>() {
                    let values = array.values().as_slice();
                    return self.add(values.as_ptr(), size_of_val(values));
                }
            )*};
        }
        primitive!(f64 i64 i32 u32 f32 u64 i8 i16 u8 u16 i128);
        macro_rules! views {
            ($($kind:ty)*) => {$(
                if let Some(array) = any.downcast_ref::<$kind>() {
                    self.add(array.views().as_ptr(), size_of_val(array.views().as_slice()));
                    for buffer in array.data_buffers().iter() {
                        self.add(buffer.as_ptr(), buffer.len());
                    }
                    return;
                }
            )*};
        }
        views!(Utf8ViewArray BinaryViewArray);
        if let Some(array) = any.downcast_ref::<BooleanArray>() {
            self.bitmap(array.values());
        } else if let Some(array) = any.downcast_ref::<ListArray<i64>>() {
            let offsets = array.offsets().buffer();
            self.add(offsets.as_ptr(), size_of_val(offsets.as_slice()));
            self.array(&**array.values());
        } else if let Some(array) = any.downcast_ref::<FixedSizeListArray>() {
            self.array(&**array.values());
        } else if let Some(array) = any.downcast_ref::<StructArray>() {
            array.values().iter().for_each(|it| self.array(&**it));
        }
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    #[test]
    fn a_frame_takes_what_its_buffers_take() {
        let frame = df!("a" => [1i64, 2, 3], "b" => [Some(1.0f64), None, Some(2.0)]).unwrap();
        assert_eq!(Footprint::of(&frame).bytes(), 24 + 24 + 1);
        let text = Series::new("t".into(), ["short", "one that is too long for a view"]);
        assert_eq!(Footprint::of(&text).bytes(), 2 * 16 + 31);
        assert_eq!(Footprint::of(&1i64).bytes(), 0);
    }

    #[test]
    fn clones_and_frames_with_one_more_column_share_their_buffers() {
        let frame = df!("a" => [1i64, 2, 3]).unwrap();
        let mut more = frame.clone();
        more.with_column(Column::new("b".into(), [1i64, 2, 3])).unwrap();
        let (one, two) = (Footprint::of(&frame), Footprint::of(&more));
        assert_eq!(one.buffers[0], two.buffers[0]);
        assert_eq!(two.bytes(), 48);
    }
}

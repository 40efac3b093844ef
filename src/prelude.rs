//! What transform files and cells use: `use brooklet::prelude::*;`

pub use brooklet_graph::wire::MimeBundle;
pub use brooklet_macros::{
    cache, check, check_output, check_schema, config, defaults, extract_columns, extract_fields, inject,
    load, loader, mutate, node, parameterize, pipe_input, pipe_output, save, saver, schema, subdag, tag,
    tag_outputs, unpack, with_columns,
};
pub use chrono::{NaiveDate, NaiveDateTime};
pub use polars;
pub use polars::prelude::*;

pub use crate::cell::{clear_output, display, input, password};
pub use crate::show::{Render, html};

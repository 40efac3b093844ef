//! Values as people see them: HTML and plain text.
//!
//! The HTML stands in JupyterLab, VS Code, exported pages and after sanitisers that drop `<style>`: colours
//! come from the frontend's theme with fallbacks, and what carries meaning (alignment, emphasis) also stands
//! inline. Everything that comes from a value is escaped. Plain text is always there too.

mod cell;
mod combine;
mod describe;
mod distribution;
mod frame;
mod html;
mod lazy;
mod numbers;
mod scalar;

use std::any::Any;
use std::fmt::Debug;

use brooklet_graph::wire::MimeBundle;
use polars::prelude::*;

pub use combine::{combine, frame_of, json};
pub use numbers::numbers;
pub use scalar::{debug, scalar, scalar_shape, type_name_only};

use crate::value::{ColumnView, Value};

/// A type that says how it is shown. Implement it to show a type of yours in a notebook.
pub trait Render {
    /// All formats; must hold `text/plain`.
    fn render(&self) -> MimeBundle;

    /// The same, where the node that holds the value is known and may stand in a caption.
    fn render_node(&self, node: &str) -> MimeBundle {
        let _ = node;
        self.render()
    }
}

impl Render for MimeBundle {
    fn render(&self) -> MimeBundle {
        self.clone()
    }
}

macro_rules! rendered {
    ($($type:ty => $show:expr),* $(,)?) => {$(
        impl Render for $type {
            fn render(&self) -> MimeBundle {
                self.render_node("")
            }
            fn render_node(&self, node: &str) -> MimeBundle {
                $show(self, node)
            }
        }
    )*};
}

rendered! {
    DataFrame => frame::frame,
    Series => frame::series,
    Column => |it: &Column, node: &str| frame::series(it.as_materialized_series(), node),
    LazyFrame => lazy::lazy,
    Expr => |it: &Expr, node: &str| scalar::text_block(&it.to_string(), "Expr", node),
    Vec<DataFrame> => |it: &Vec<DataFrame>, _: &str| combine::list_of(it),
    Vec<Series> => |it: &Vec<Series>, _: &str| combine::list_of(it),
    Vec<LazyFrame> => |it: &Vec<LazyFrame>, _: &str| combine::list_of(it),
    Vec<Expr> => |it: &Vec<Expr>, node: &str| scalar::debug(it, node),
    Option<DataFrame> => combine::maybe,
    Option<Series> => combine::maybe,
    String => |it: &String, node: &str| scalar(it, node),
    () => |_: &(), _: &str| MimeBundle::default(),
}

impl Render for str {
    fn render(&self) -> MimeBundle {
        scalar(&self.to_owned(), "")
    }
}

/// The value of an `Ok`: polars' methods return results, and their last `?` is easily left out.
impl<T: Render, E: Debug> Render for Result<T, E> {
    fn render(&self) -> MimeBundle {
        match self {
            Ok(value) => value.render(),
            Err(error) => scalar::text_block(&format!("Err({})", debug_text(error)), "Result", ""),
        }
    }
}

impl<T: Render + ?Sized> Render for &T {
    fn render(&self) -> MimeBundle {
        (**self).render()
    }
    fn render_node(&self, node: &str) -> MimeBundle {
        (**self).render_node(node)
    }
}

impl<T: Render + ?Sized> Render for Box<T> {
    fn render(&self) -> MimeBundle {
        (**self).render()
    }
    fn render_node(&self, node: &str) -> MimeBundle {
        (**self).render_node(node)
    }
}

impl<T: Render + ?Sized> Render for std::sync::Arc<T> {
    fn render(&self) -> MimeBundle {
        (**self).render()
    }
    fn render_node(&self, node: &str) -> MimeBundle {
        (**self).render_node(node)
    }
}

/// A bundle of HTML, for `display(&html("<b>..</b>"))`. Trusted as it is.
pub fn html(text: impl Into<String>) -> MimeBundle {
    let text = text.into();
    MimeBundle::text(html::strip_tags(&text)).with("text/html", text)
}

/// `1,000 × 5`
pub fn frame_shape(frame: &DataFrame) -> String {
    format!("{} × {}", html::grouped(frame.height()), frame.width())
}

/// `6 × i64`
pub fn series_shape(series: &Series) -> String {
    format!("{} × {}", html::grouped(series.len()), series.dtype())
}

/// `5 columns`; nothing is collected.
pub fn lazy_shape(frame: &LazyFrame) -> String {
    match frame.clone().collect_schema() {
        Ok(schema) => count(schema.len(), "column"),
        Err(_) => String::new(),
    }
}

/// `1 item`, `2 items`
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", html::grouped(number), if number == 1 { "" } else { "s" })
}

/// A series as a column of a frame with several nodes.
pub fn column_of_series(series: &Series, name: &str) -> ColumnView {
    ColumnView { series: series.clone().with_name(name.into()), is_scalar: false }
}

/// A scalar or a list of scalars of std as a column.
pub fn column_of_any(value: &dyn Any, name: &str) -> Option<ColumnView> {
    combine::column_of_any(value, name)
}

/// What a node shows when asked for alone.
pub fn one(value: &Value, node: &str) -> MimeBundle {
    value.render(node)
}

/// How long a value in `Debug` form may be to stand on one line.
const ONE_LINE: usize = 100;
/// What a `Debug` writes beyond this is not shown anyway.
const DEBUG_LIMIT: usize = 1 << 20;

/// `{:?}` where that fits a line, else `{:#?}`, cut where it gets out of hand.
pub(crate) fn debug_text(value: &(impl Debug + ?Sized)) -> String {
    // Longer than any line by its bytes.
    let line = limited(format_args!("{value:?}"), ONE_LINE * 4 + 4);
    if line.chars().count() <= ONE_LINE && !line.contains('\n') {
        return line;
    }
    html::shortened(&limited(format_args!("{value:#?}"), DEBUG_LIMIT), 100_000)
}

/// Formatted text up to about a number of bytes. Where more comes, the formatting is told to end: a value may write
/// for ever.
fn limited(text: std::fmt::Arguments<'_>, limit: usize) -> String {
    struct Limited {
        text: String,
        limit: usize,
    }
    impl std::fmt::Write for Limited {
        fn write_str(&mut self, part: &str) -> std::fmt::Result {
            if self.text.len() >= self.limit {
                return Err(std::fmt::Error);
            }
            let end = part.floor_char_boundary(self.limit - self.text.len());
            self.text.push_str(&part[..end]);
            if end < part.len() { Err(std::fmt::Error) } else { Ok(()) }
        }
    }
    let mut limited = Limited { text: String::new(), limit };
    let result = std::fmt::Write::write_fmt(&mut limited, text);
    if result.is_err() && limited.text.len() + 4 < limit {
        limited.text.push_str("… (its `Debug` gave an error)");
    }
    limited.text
}

#[cfg(test)]
mod tests;

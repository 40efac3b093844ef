//! Values that are not tables: scalars, anything with `Debug`, and what has neither.

use std::any::Any;
use std::fmt::Debug;

use brooklet_graph::wire::MimeBundle;

use super::debug_text;
use super::html::{caption, escape, page, shortened};
use crate::value::short_type_name;

/// A scalar of std or an option of one. `()` shows nothing.
pub fn scalar<T: Debug + 'static>(value: &T, node: &str) -> MimeBundle {
    let any: &dyn Any = value;
    if any.is::<()>() {
        return MimeBundle::default();
    }
    // Text of several lines is written to be read: no quotes, no `\n`.
    let text = match text_of(any) {
        Some(text) if text.contains('\n') => text.to_owned(),
        _ => format!("{value:?}"),
    };
    text_block(&text, &short_type_name(std::any::type_name::<T>()), node)
}

fn text_of(value: &dyn Any) -> Option<&str> {
    value
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| value.downcast_ref::<&'static str>().copied())
}

/// The scalar in at most a few characters, for a node in the picture.
pub fn scalar_shape<T: Debug + 'static>(value: &T) -> String {
    let any: &dyn Any = value;
    match any.downcast_ref::<f64>() {
        Some(value) if value.is_finite() && *value != 0.0 && (1e-3..1e12).contains(&value.abs()) => {
            let short = format!("{value:.4}");
            short.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ if any.is::<()>() => String::new(),
        _ => shortened(&format!("{value:?}"), 24),
    }
}

/// `{:#?}` of any value.
pub fn debug<T: Debug + ?Sized>(value: &T, node: &str) -> MimeBundle {
    text_block(&debug_text(value), &short_type_name(std::any::type_name::<T>()), node)
}

/// A value of which only the type can be told.
pub fn type_name_only(name: &str, node: &str) -> MimeBundle {
    let text = format!("<{name}>");
    let html = page(&format!(
        "<pre class=\"bk-text bk-none\">{}</pre>{}",
        escape(&text),
        caption(&["derive `Debug` to see more", node])
    ));
    MimeBundle::text(text).with("text/html", html)
}

/// Text in the notebook's code font with a caption.
pub(super) fn text_block(text: &str, ty: &str, node: &str) -> MimeBundle {
    let html = page(&format!(
        "<pre class=\"bk-text\">{}</pre>{}",
        escape(text),
        if node.is_empty() { String::new() } else { caption(&[ty, node]) }
    ));
    MimeBundle::text(text).with("text/html", html)
}

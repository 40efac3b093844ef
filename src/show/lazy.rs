//! Lazy frames: schema and plan. Showing one never runs it.

use std::fmt::Write as _;

use brooklet_graph::wire::MimeBundle;
use polars::prelude::*;

use super::count;
use super::html::{caption, escape, page, shortened};

const PLAN: usize = 20_000;
const COLUMNS: usize = 200;

pub(super) fn lazy(frame: &LazyFrame, node: &str) -> MimeBundle {
    let plan = frame.describe_optimized_plan().or_else(|_| frame.describe_plan());
    let plan = shortened(&plan.unwrap_or_else(|error| format!("no plan: {error}")), PLAN);
    match frame.clone().collect_schema() {
        Err(error) => {
            let text = format!("LazyFrame, not collected; its plan does not hold: {error}\n\n{plan}");
            let html = page(&format!(
                "<pre class=\"bk-text\">{}</pre>{}",
                escape(&text),
                caption(&["LazyFrame", "not collected", node])
            ));
            MimeBundle::text(text).with("text/html", html)
        }
        Ok(schema) => {
            let size = count(schema.len(), "column");
            let mut text = format!("LazyFrame, {size}, not collected\n");
            let mut rows = String::new();
            for (name, dtype) in schema.iter().take(COLUMNS) {
                let _ = writeln!(text, "  {name}: {dtype}");
                let _ = write!(
                    rows,
                    "<tr><td style=\"text-align:left\">{}</td><td class=\"bk-type\" \
                     style=\"text-align:left\">{}</td></tr>",
                    escape(name),
                    escape(&dtype.to_string())
                );
            }
            let _ = write!(text, "\nplan:\n{plan}");
            let html = page(&format!(
                "<table class=\"bk-table\" style=\"border-collapse:collapse\"><tbody>{rows}</tbody></table>{}\
                 <details><summary>optimised plan</summary><pre class=\"bk-text\">{}</pre></details>",
                caption(&["LazyFrame", &size, "not collected", node]),
                escape(&plan)
            ));
            MimeBundle::text(text).with("text/html", html)
        }
    }
}

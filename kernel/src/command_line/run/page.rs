//! The executed notebook as one HTML file that needs nothing else: no scripts, no fonts, no network.
//!
//! Results are shown as the notebook shows them, `text/html` first. Tables and pictures take their
//! colours from JupyterLab's `--jp-*` properties, so the page defines those, for light and for dark.
//!
//! Guiding rule: opening a page runs nothing. Markdown may hold any HTML, so what becomes of it is sanitized;
//! what cells put out was made by code that ran here anyway, and is shown as it is.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::command_line::run::ansi;
use crate::command_line::run::notebook::{CellKind, Notebook, joined};
use crate::highlight;
use brooklet_graph::html::escape;

const STYLE: &str = include_str!("page.css");

/// The page for an executed notebook; `title` is used where the notebook has no heading.
pub fn render(notebook: &Notebook, title: &str) -> String {
    let mut headings = Vec::new();
    let mut body = String::new();
    for cell in 0..notebook.len() {
        match notebook.kind(cell) {
            CellKind::Markdown => body.push_str(&markdown(&notebook.source(cell), &mut headings)),
            CellKind::Raw => {}
            CellKind::Code => body.push_str(&code_cell(notebook, cell)),
        }
    }
    let title = headings.iter().find(|it| it.level == 1).map_or(title, |it| &it.text);
    let contents = contents(&headings);
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"brooklet {}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{contents}<main>\n{body}</main>\n\
         </body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

struct Heading {
    level: usize,
    text: String,
    anchor: String,
}

/// A list of the sections, for pages long enough to need one.
fn contents(headings: &[Heading]) -> String {
    let sections: Vec<&Heading> = headings.iter().filter(|it| it.level <= 3).collect();
    if sections.len() < 3 {
        return String::new();
    }
    let mut html = String::from("<nav aria-label=\"Contents\"><ol>\n");
    for it in sections {
        let _ = writeln!(
            html,
            "<li class=\"level-{}\"><a href=\"#{}\">{}</a></li>",
            it.level,
            it.anchor,
            escape(&it.text)
        );
    }
    html.push_str("</ol></nav>\n");
    html
}

fn markdown(source: &str, headings: &mut Vec<Heading>) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut events: Vec<Event<'_>> = Parser::new_ext(source, options).collect();
    let mut open: Option<(usize, String)> = None;
    let mut inside_code = false;
    for (index, event) in events.clone().into_iter().enumerate() {
        match event {
            Event::Start(Tag::Heading { .. }) => open = Some((index, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut open {
                    heading.push_str(&text);
                }
                if inside_code {
                    events[index] = Event::Html(CowStr::from(highlight::rust(&text)));
                }
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                inside_code =
                    matches!(kind, pulldown_cmark::CodeBlockKind::Fenced(it) if it.starts_with("rust"));
            }
            Event::End(TagEnd::CodeBlock) => inside_code = false,
            Event::End(TagEnd::Heading(level)) => {
                let Some((start, text)) = open.take() else { continue };
                let anchor = anchor(&text, headings);
                if let Event::Start(Tag::Heading { id, .. }) = &mut events[start] {
                    *id = Some(CowStr::from(anchor.clone()));
                }
                headings.push(Heading { level: number(level), text, anchor });
            }
            _ => {}
        }
    }
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    format!("<section class=\"prose\">\n{}</section>\n", sanitized(&html))
}

/// HTML in which nothing runs: no scripts, no handlers, no addresses that are code, no styles for the page.
///
/// It is read as a browser reads it and written anew, so it cannot close elements of the page around it either.
fn sanitized(html: &str) -> String {
    const CODE: [&str; 6] = ["h-k", "h-s", "h-n", "h-c", "h-m", "h-t"];
    const STYLES: [&str; 12] = [
        "background-color",
        "color",
        "font-size",
        "font-style",
        "font-weight",
        "height",
        "margin-left",
        "max-width",
        "text-align",
        "text-decoration",
        "vertical-align",
        "width",
    ];
    ammonia::Builder::default()
        .add_tags(&["input", "tfoot"])
        // For lists of tasks. A field to type into would look like a question of the page's.
        .add_tag_attributes("input", &["type", "checked", "disabled"])
        .set_tag_attribute_value("input", "type", "checkbox")
        .add_tag_attributes("a", &["name"])
        .add_tag_attributes("details", &["open"])
        // Anchors of headings, and those that people set by hand.
        .add_generic_attributes(&["id", "style"])
        .filter_style_properties(HashSet::from(STYLES))
        .add_allowed_classes("span", &CODE)
        .add_url_schemes(&["data"])
        .attribute_filter(only_images_as_data)
        .clean(html)
        .to_string()
}

/// Takes `data:` addresses away, except from images: elsewhere they may be whole pages.
fn only_images_as_data<'u>(element: &str, attribute: &str, value: &'u str) -> Option<Cow<'u, str>> {
    const IMAGE: &str = "data:image/";
    // As browsers read an address: blanks and control characters do not count, neither does case.
    let counts = |it: &char| !it.is_ascii_whitespace() && !it.is_ascii_control();
    let start: String = value.chars().filter(counts).take(IMAGE.len()).collect();
    let start = start.to_ascii_lowercase();
    let is_text = !matches!(attribute, "href" | "src" | "cite");
    let is_image = (element, attribute) == ("img", "src") && start == IMAGE;
    (is_text || is_image || !start.starts_with("data:")).then_some(Cow::Borrowed(value))
}

fn number(level: HeadingLevel) -> usize {
    level as usize
}

fn anchor(text: &str, taken: &[Heading]) -> String {
    let words = text.to_lowercase();
    let words = words.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    let base = words.collect::<Vec<_>>().join("-");
    let base = if base.is_empty() { "section".to_owned() } else { base };
    let same =
        taken.iter().filter(|it| it.anchor == base || it.anchor.starts_with(&format!("{base}."))).count();
    if same == 0 { base } else { format!("{base}.{same}") }
}

fn code_cell(notebook: &Notebook, cell: usize) -> String {
    let source = notebook.source(cell);
    if source.trim().is_empty() {
        return String::new();
    }
    let count = notebook.execution_count(cell).map_or(String::new(), |it| it.to_string());
    let mut html = format!(
        "<section class=\"cell\">\n<div class=\"input\"><span class=\"count\">{count}</span><pre><code>{}</code></pre></div>\n",
        highlight::cell(&source)
    );
    for output in notebook.outputs(cell) {
        html.push_str(&show(output));
    }
    html.push_str("</section>\n");
    html
}

fn show(output: &Value) -> String {
    let field = |name: &str| output.get(name);
    match field("output_type").and_then(Value::as_str) {
        Some("stream") => {
            let name = field("name").and_then(Value::as_str).unwrap_or("stdout");
            let text = ansi::to_html(&joined(field("text")));
            format!("<pre class=\"output {}\">{text}</pre>\n", escape(name))
        }
        Some("error") => {
            let lines = field("traceback").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let text = lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
            let text = if text.is_empty() { joined(field("evalue")) } else { text };
            format!("<pre class=\"output error\">{}</pre>\n", ansi::to_html(&text))
        }
        _ => field("data").map_or(String::new(), bundle),
    }
}

/// The richest format that a page without scripts can show.
fn bundle(data: &Value) -> String {
    let text = |mime: &str| data.get(mime).map(|it| joined(Some(it)));
    let image = |mime: &str| {
        text(mime).map(|it| {
            let bytes: String = it.split_whitespace().collect();
            format!("<img alt=\"\" src=\"data:{mime};base64,{}\">", escape(&bytes))
        })
    };
    let shown = text("text/html")
        .or_else(|| text("image/svg+xml"))
        .or_else(|| image("image/png"))
        .or_else(|| image("image/jpeg"))
        .or_else(|| text("text/markdown").map(|it| markdown(&it, &mut Vec::new())))
        .or_else(|| text("text/plain").map(|it| format!("<pre>{}</pre>", ansi::to_html(&it))));
    shown.map_or(String::new(), |it| format!("<div class=\"output rich jp-RenderedHTMLCommon\">{it}</div>\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(cells: Value) -> String {
        let document = json!({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells});
        render(&Notebook::parse(&document.to_string()).unwrap(), "name")
    }

    #[test]
    fn a_page_has_the_text_the_code_and_the_richest_form_of_results() {
        let html = page(json!([
            {"cell_type": "markdown", "metadata": {}, "source": "# A <b>tour</b>\n\nSee `x`."},
            {"cell_type": "code", "metadata": {}, "source": "%run a < b", "execution_count": 7, "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["1 < 2\n"]},
                {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "plain", "text/html": "<i>rich</i>"}},
                {"output_type": "execute_result", "metadata": {}, "execution_count": 7, "data": {"text/plain": "a & b"}},
                {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\u{1b}[31mbad\u{1b}[0m"]}]}
        ]));
        assert!(html.contains("<title>A tour</title>"), "{html}");
        for part in [
            "<code>x</code>",
            ">7</span>",
            "1 &lt; 2",
            "<i>rich</i>",
            "a &amp; b",
            "<span class=\"a-1\">bad</span>",
        ] {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
        assert!(!html.contains(">plain<") && !html.contains("<script") && !html.contains("<nav"));
    }

    #[test]
    fn sections_are_listed_and_equal_headings_get_different_anchors() {
        let html =
            page(json!([{"cell_type": "markdown", "metadata": {}, "source": "# T\n## Run\n## Run\n"}]));
        for part in ["<nav", "href=\"#run\"", "href=\"#run.1\"", "<h2 id=\"run.1\">"] {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
    }

    fn prose(markdown: &str) -> String {
        super::markdown(markdown, &mut Vec::new())
    }

    #[test]
    fn nothing_in_markdown_runs() {
        let html = prose(
            "Text <script>alert(1)</script> goes on\n\n<script>\nalert(2)\n</script>\n\n\
             <img src=\"x.png\" onerror=\"alert(3)\"> <b onclick=alert(4)>bold</b>\n\n\
             [a](javascript:alert(5)) <a href=\"JaVa\tScript:alert(6)\">b</a>\n\n\
             <a href=\" javascript:alert(7)\">c</a> <a href=\"data:text/html,alert(8)\">d</a>\n\n\
             <a href=\"&#106;avascript:alert(9)\">e</a> <img src=\"DATA:text/html,alert(10)\">\n\n\
             <iframe src=\"javascript:alert(11)\"></iframe>\n\n\
             <svg onload=alert(12)><script>alert(13)</script></svg>\n\n\
             <style>body { display: none }</style>\n\n\
             <form action=\"javascript:alert(14)\"><button>f</button></form>\n\n\
             <meta http-equiv=\"refresh\" content=\"0;url=javascript:alert(15)\">\n\n\
             <object data=\"javascript:alert(16)\"></object> <input type=\"password\">\n\n\
             <math><mtext><img src onerror=alert(17)></mtext></math>\n\n\
             ```rust\n\"</code><script>alert(18)</script>\"\n```\n",
        );
        let text = ["&lt;/code&gt;&lt;script&gt;alert(18)&lt;/script&gt;", "<p>Text ", "bold"];
        for part in text {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
        let without_code = html.replace(text[0], "");
        for part in [
            "<script",
            "onerror",
            "onclick",
            "onload",
            "javascript",
            "data:",
            "alert(5",
            "<iframe",
            "<svg",
            "<style",
            "<form",
            "<meta",
            "<object",
            "password",
        ] {
            assert!(!without_code.to_lowercase().contains(part), "{part} is in\n{html}");
        }
        assert!(!prose("</section></main><h1>").contains("</main>"), "the page around it is out of reach");
    }

    #[test]
    fn what_formats_text_is_kept() {
        let html = prose(
            "## A *title*\n\nSome **bold** `code`, ~~gone~~, [a link](other.ipynb \"there\"), \
             <https://example.org>, [mail](mailto:a@example.org), [below](#here).\n\n\
             ![a plot](plot.png) ![inline](data:image/png;base64,iVBORw0KGgo=)\n\n\
             | left | right |\n|:--|--:|\n| 1 | 2 |\n\n- [ ] open\n- [x] done\n\n3. third\n\n> quoted\n\n\
             $a < b$ and $$\\sum_{i=1}^n x_i & y$$\n\n\
             <details open><summary>more</summary>x<sub>1</sub><br>\
             <span style=\"color: red; position: fixed\">red</span></details>\n\n\
             <a name=\"here\"></a>\n\n---\n\n```rust\nlet x = \"a\";\n```\n",
        );
        for part in [
            "<h2 id=\"a-title\">A <em>title</em></h2>",
            "<strong>bold</strong>",
            "<code>code</code>",
            "<del>gone</del>",
            "href=\"other.ipynb\"",
            "title=\"there\"",
            "href=\"https://example.org\"",
            "href=\"mailto:a@example.org\"",
            "href=\"#here\"",
            "<img src=\"plot.png\" alt=\"a plot\">",
            "src=\"data:image/png;base64,iVBORw0KGgo=\"",
            "<table>",
            "text-align:",
            "type=\"checkbox\"",
            "checked=\"\"",
            "disabled=\"\"",
            "<ol start=\"3\">",
            "<blockquote>",
            "$a &lt; b$",
            "\\sum_{i=1}^n x_i &amp; y",
            "<details open=\"\"><summary>more</summary>",
            "<sub>1</sub><br>",
            "color:",
            "<a name=\"here\"",
            "<hr>",
            "<span class=\"h-k\">let</span>",
            "<span class=\"h-s\">\"a\"</span>",
        ] {
            assert!(html.contains(part), "{part} is not in\n{html}");
        }
        assert!(!html.contains("position"), "{html}");
    }
}

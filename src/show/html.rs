//! Pieces of HTML and of text that all views share.

use std::fmt::Write as _;

pub(super) use brooklet_graph::html::escape;

/// A rough plain form of HTML.
pub(super) fn strip_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for it in html.chars() {
        match it {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => text.push(it),
            _ => {}
        }
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 kB`
pub(super) fn bytes(number: usize) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            let digits = usize::from(value < 9.95 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Cuts after so many characters and says so with `…`.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The style sheet, once per output: a cell may be copied out of its notebook, so each output has its own.
pub(super) const STYLE: &str = "<style>\
.brooklet{--bk-ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,#24292f));\
--bk-soft:var(--jp-content-font-color2,var(--vscode-descriptionForeground,#6a737d));\
--bk-faint:var(--jp-border-color3,var(--vscode-editorWidget-border,#eaeef2));\
--bk-ground:var(--jp-layout-color0,var(--vscode-editor-background,#fff));\
--bk-hover:var(--jp-layout-color2,var(--vscode-list-hoverBackground,#f3f5f7));\
--bk-accent:var(--jp-brand-color2,var(--vscode-charts-blue,#8ab4e8));\
--bk-mono:var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,Menlo,Consolas,monospace));\
color:var(--bk-ink);font-size:13px;line-height:1.45}\
.brooklet .bk-scroll{overflow-x:auto;max-width:100%}\
.brooklet table.bk-table{border-collapse:collapse;border:0;margin:0;font-size:13px;\
font-variant-numeric:tabular-nums;white-space:nowrap;table-layout:auto;width:auto}\
.brooklet table.bk-table th,.brooklet table.bk-table td{border:0;padding:3px 14px 3px 0;\
background:transparent;color:inherit;vertical-align:top;max-width:none;white-space:nowrap}\
.brooklet table.bk-table thead{border:0}\
.brooklet table.bk-table th{font-weight:600;padding-bottom:4px;vertical-align:bottom}\
.brooklet table.bk-table tbody tr,.brooklet table.bk-table tbody tr:nth-child(n){background:transparent;\
border-bottom:1px solid var(--bk-faint)}\
.brooklet table.bk-table tbody tr:hover{background:var(--bk-hover)}\
.brooklet .bk-type{font-weight:400;font-size:11px;color:var(--bk-soft);font-family:var(--bk-mono)}\
.brooklet .bk-bar{height:2px;min-width:2.5em;margin-top:3px;background:var(--bk-faint);border-radius:1px}\
.brooklet .bk-bar div{height:2px;background:var(--bk-accent);border-radius:1px}\
.brooklet .bk-dist{height:16px;margin-top:4px;font-size:11px;line-height:16px;font-weight:400;color:var(--bk-soft)}\
.brooklet .bk-dist svg{display:block}\
.brooklet .bk-dist path{fill:var(--bk-accent)}\
.brooklet .bk-tall th{position:sticky;top:0;background:var(--bk-ground)!important}\
.brooklet .bk-none{color:var(--bk-soft);font-style:italic;opacity:.75}\
.brooklet .bk-gap td{color:var(--bk-soft)}\
.brooklet .bk-caption{color:var(--bk-soft);font-size:12px;margin-top:6px}\
.brooklet pre.bk-text{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-family:var(--bk-mono);\
font-size:13px;background:transparent;color:inherit}\
.brooklet details{margin-top:4px;color:var(--bk-soft);font-size:12px}\
.brooklet dl.bk-dict{margin:0;display:grid;grid-template-columns:max-content 1fr;gap:10px 18px;align-items:start}\
.brooklet dl.bk-dict dt{font-weight:600;grid-column:1}\
.brooklet dl.bk-dict dd{margin:0;grid-column:2;min-width:0}\
</style>";

/// One output: style and body.
pub(super) fn page(body: &str) -> String {
    format!("<div class=\"brooklet\">{STYLE}{body}</div>")
}

/// The line below a value: what it is, how large, whose.
pub(super) fn caption(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts.iter().filter(|it| !it.is_empty()) {
        if !text.is_empty() {
            text.push_str(" · ");
        }
        let _ = write!(text, "{}", escape(part));
    }
    format!("<div class=\"bk-caption\" style=\"color:var(--jp-content-font-color2,#6a737d)\">{text}</div>")
}

//! The picture's style rules.
//!
//! Colours are the frontend's: JupyterLab's variables first, then those of VS Code, then our own for plain
//! pages, light or dark as the system asks. Everything that says something by colour says it by shape too.

use super::{META, NAME};

/// Mid tones that hold on white and on black, in an order that keeps neighbours apart. None is one of the
/// colours of a state.
const FILES: [&str; 8] =
    ["#4c78a8", "#c98a2b", "#2f9e8f", "#b0709f", "#7b6fd0", "#8c9a2f", "#a0714f", "#5f8296"];

/// The colour of a file by its number; more files than colours share them.
pub(super) fn file_color(file: usize) -> &'static str {
    FILES[file % FILES.len()]
}

/// Name of our variable, JupyterLab's, VS Code's, and the plain light and dark values.
const COLORS: [(&str, &str, &str, &str, &str); 11] = [
    ("bg", "jp-layout-color1", "vscode-editor-background", "#fff", "#1c1f24"),
    ("fg", "jp-content-font-color1", "vscode-editor-foreground", "#1f2328", "#e6e9ee"),
    ("fg2", "jp-content-font-color2", "vscode-descriptionForeground", "#5b6470", "#9aa3ae"),
    ("fg3", "jp-content-font-color3", "vscode-disabledForeground", "#8a929c", "#6f7883"),
    ("line", "jp-border-color1", "vscode-editorWidget-border", "#c9cfd6", "#454c56"),
    ("wire", "jp-layout-color4", "vscode-editorLineNumber-foreground", "#8a929c", "#7a838e"),
    ("brand", "jp-brand-color1", "vscode-charts-blue", "#0b69d3", "#5aa2f5"),
    ("ok", "jp-success-color1", "vscode-charts-green", "#23843f", "#4cb868"),
    ("warn", "jp-warn-color1", "vscode-charts-orange", "#b7791f", "#d9a13b"),
    ("err", "jp-error-color1", "vscode-charts-red", "#c9302c", "#f0655d"),
    ("info", "jp-info-color1", "vscode-charts-purple", "#6d55c9", "#a391f0"),
];

/// The rules that do not depend on the graph, scoped to one picture.
pub(super) fn rules(id: &str) -> String {
    let mut out = String::new();
    let plain = |pick: fn(&(&str, &str, &str, &str, &'static str)) -> String| {
        COLORS.iter().map(pick).collect::<String>()
    };
    let light = plain(|it| format!("--l-{}:{};", it.0, it.3));
    let dark = plain(|it| format!("--l-{}:{};", it.0, it.4));
    let ours = plain(|it| format!("--b-{0}:var(--{1},var(--{2},var(--l-{0})));", it.0, it.1, it.2));
    out += &format!("#{id}{{{light}}}@media(prefers-color-scheme:dark){{#{id}{{{dark}}}}}\n");
    out += &format!(
        "#{id}{{{ours}--b-code:var(--jp-code-font-family,var(--vscode-editor-font-family,\
         ui-monospace,Menlo,Consolas,monospace));--b-ui:var(--jp-ui-font-family,var(--vscode-font-family,\
         system-ui,-apple-system,\"Segoe UI\",Helvetica,Arial,sans-serif));color:var(--b-fg);\
         font:11px/1.4 var(--b-ui);margin:4px 0}}\n"
    );
    for (selector, body) in RULES {
        // A rule may have several selectors; each is scoped.
        let scoped: Vec<String> = selector.split(',').map(|it| format!("#{id} {it}")).collect();
        out += &format!("{}{{{body}}}", scoped.join(","));
    }
    out += &format!("#{id} .a{{font-size:{NAME}px}}#{id} .b,#{id} .c,#{id} .t{{font-size:{META}px}}\n");
    // Tints are an extra: without `color-mix` a state is still told by glyph and border.
    out += "@supports(color:color-mix(in srgb,red,blue)){";
    for (state, color) in
        [("done", "ok"), ("unchanged", "ok"), ("reused", "ok"), ("given", "info"), ("stale", "warn")]
    {
        out +=
            &format!("#{id} .{state}>.box{{stroke:color-mix(in srgb,var(--b-{color}) 45%,var(--b-line))}}");
    }
    out += &format!(
        "#{id} .failed>.box{{fill:color-mix(in srgb,var(--b-err) 8%,var(--b-bg))}}\
         #{id} .running>.box{{fill:color-mix(in srgb,var(--b-brand) 7%,var(--b-bg))}}}}\n"
    );
    out += &format!(
        "@media(prefers-reduced-motion:no-preference){{\
         #{id} .running>.box,#{id} .flow{{animation:{id}-flow 1s linear infinite}}\
         #{id} .spin{{animation:{id}-spin 1.1s linear infinite}}\
         #{id} .n,#{id} .e{{transition:opacity .12s}}}}\
         @keyframes {id}-flow{{to{{stroke-dashoffset:-20}}}}\
         @keyframes {id}-spin{{to{{transform:rotate(360deg)}}}}\n"
    );
    out
}

const RULES: &[(&str, &str)] = &[
    (".scroll", "overflow:auto;max-height:80vh"),
    (".dag", "display:block;width:100%;height:auto;overflow:visible;pointer-events:none"),
    (".dag text", "white-space:pre"),
    (".notice", "border-left:3px solid var(--b-warn);padding:2px 8px;margin:0 0 8px;color:var(--b-fg)"),
    (".empty", "color:var(--b-fg2);padding:4px 0"),
    (".hull rect", "fill:var(--b-file);fill-opacity:.06;stroke:var(--b-file);stroke-opacity:.4"),
    (".hull text", "font:11px var(--b-code);fill:var(--b-fg2)"),
    (".e", "fill:none;stroke:var(--b-wire);stroke-width:1.25;stroke-linecap:round;stroke-linejoin:round"),
    (".opt", "stroke-dasharray:1 4"),
    (".foot .opt", "stroke:var(--b-wire);stroke-width:1.25;stroke-linecap:round"),
    (".flow", "stroke:var(--b-brand);stroke-width:1.5;stroke-dasharray:6 4"),
    (".hot", "stroke:var(--b-brand);stroke-width:1.5"),
    (".n", "pointer-events:auto"),
    (".link", "cursor:pointer"),
    (".box", "fill:var(--b-bg);stroke:var(--b-line)"),
    (".in>.box", "stroke-dasharray:4 3"),
    (".n:hover>.box", "stroke:var(--b-brand)"),
    (".ring", "fill:none;stroke:var(--b-brand);stroke-width:1.5"),
    (".stripe", "fill:var(--b-file)"),
    (".rule", "stroke:var(--b-line)"),
    (".a", "font-family:var(--b-ui);fill:var(--b-fg)"),
    (".b,.c,.t", "font-family:var(--b-code);fill:var(--b-fg2)"),
    // Places that are the same in every box stand here and not in every box.
    (".n>.a", "transform:translate(28px,20px)"),
    (".n>.b", "transform:translate(28px,36px)"),
    (".n>.s", "transform:translate(15px,24px)"),
    (".in>.a", "transform:translate(26px,20px)"),
    (".in>.s", "transform:translate(14px,16px)"),
    (".t", "text-anchor:end"),
    (".idle>.s,.waiting>.s,.skipped>.s", "color:var(--b-fg3)"),
    (".done>.s,.unchanged>.s,.reused>.s", "color:var(--b-ok)"),
    (".running>.s", "color:var(--b-brand)"),
    (".given>.s", "color:var(--b-info)"),
    (".failed>.s", "color:var(--b-err)"),
    (".stale>.s", "color:var(--b-warn)"),
    (".waiting>.a", "fill:var(--b-fg2)"),
    (".skipped", "opacity:.6"),
    (".running>.box", "stroke:var(--b-brand);stroke-width:1.5;stroke-dasharray:6 4"),
    (".failed>.box", "stroke:var(--b-err);stroke-width:1.5"),
    (".failed>.b", "fill:var(--b-err)"),
    (".stale>.b", "font-style:italic"),
    (".new", "color:var(--b-ok)"),
    (".mod", "color:var(--b-warn)"),
    (
        ".foot",
        "display:flex;flex-wrap:wrap;gap:2px 14px;align-items:center;color:var(--b-fg2);padding:6px 8px 2px",
    ),
    (".foot>span", "display:inline-flex;align-items:center;gap:5px;white-space:nowrap"),
    (".foot svg", "width:14px;height:14px;display:block;overflow:visible"),
    (".foot i", "width:3px;height:12px;border-radius:2px;background:var(--b-file)"),
    (".foot .rest", "margin-left:auto"),
];

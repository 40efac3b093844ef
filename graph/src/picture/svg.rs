//! The picture as html: an inline `<svg>` with its style, and a line of facts below it.
//!
//! Inline, because an image file would know neither the frontend's theme nor the mouse. Without scripts,
//! because most places that show notebooks remove them: hover and animation are style rules, and a click is
//! JupyterLab's own command linker. All ids begin with the caller's prefix and all rules are scoped by it,
//! as a page holds many pictures. Nothing here decides where anything stands.

mod footer;
mod glyph;
mod hover;
mod node;
mod style;

use super::arrange::Arrangement;
use super::measure::{Font, META, NAME, cut_end};
use super::route::{Route, num};
use super::view::{State, View};
use super::words;
use crate::html::escape;

/// A picture too wide for the page shrinks to this part of its size, and beyond that is scrolled.
const LEAST: f64 = 0.66;
/// So many columns of a frame are listed in its box.
pub(super) const COLUMNS: usize = 10;

/// Draws the view: `<div class="brooklet-dag"><style/><svg/></div>`.
///
/// The prefix makes ids unique in a page; it should be short, begin with a letter and hold only letters,
/// digits, `-` and `_`. Anything else in it is dropped.
pub fn svg(view: &View, prefix: &str) -> String {
    svg_in_place(view, &Arrangement::of(view), prefix)
}

/// Draws the view into an arrangement made earlier, so that states change and places do not, and a run is
/// drawn without laying the graph out again. An arrangement of another graph is not used.
pub fn svg_in_place(view: &View, arrangement: &Arrangement, prefix: &str) -> String {
    if !arrangement.fits(view) {
        return svg_in_place(view, &Arrangement::of(view), prefix);
    }
    let mut id: String =
        prefix.chars().filter(|it| it.is_ascii_alphanumeric() || "-_".contains(*it)).collect();
    if !id.starts_with(|it: char| it.is_ascii_alphabetic()) {
        id.insert(0, 'b');
    }
    Picture { view, arrangement, id: &id, hover: hover::Hover::of(view) }.draw()
}

/// All that the parts of the emitter share.
struct Picture<'a> {
    view: &'a View,
    arrangement: &'a Arrangement,
    id: &'a str,
    hover: hover::Hover,
}

impl Picture<'_> {
    fn draw(&self) -> String {
        let id = self.id;
        let mut out = String::with_capacity(8192 + 600 * self.view.nodes.len());
        out += &format!("<div class=\"brooklet-dag\" id=\"{id}\"><style>");
        out += &style::rules(id);
        out += &self.hover.rules(id);
        out += "</style>";
        if !self.view.notice.is_empty() {
            out += &format!("<div class=\"notice\">{}</div>", escape(&self.view.notice));
        }
        if self.view.nodes.is_empty() {
            out += "<div class=\"empty\">Nothing to draw: no node is selected.</div>";
        } else {
            self.canvas(&mut out);
        }
        self.footer(&mut out);
        out += "</div>\n";
        out
    }

    fn canvas(&self, out: &mut String) {
        let id = self.id;
        // Half a pixel: hairlines then fall on pixels, not between them.
        let (width, height) = (self.arrangement.width + 1.0, self.arrangement.height + 1.0);
        *out += &format!(
            "<div class=\"scroll\"><svg class=\"dag jp-mod-unconfined\" xmlns=\"http://www.w3.org/2000/svg\" \
             role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"-.5 -.5 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" style=\"max-width:{w}px;min-width:{least}px\">\n\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{desc}</desc>\n",
            w = num(width),
            h = num(height),
            least = num((width * LEAST).floor()),
            title = escape(&words::title(self.view)),
            desc = escape(&words::description(self.view)),
        );
        self.definitions(out);
        self.hulls(out);
        self.wires(out);
        self.nodes(out);
        *out += "</svg></div>\n";
    }

    /// What is drawn many times: the signs of the states that occur, and the stripe of a file.
    fn definitions(&self, out: &mut String) {
        let mut done: Vec<&str> = Vec::new();
        *out += "<defs>";
        for node in &self.view.nodes {
            let word = node.state.word();
            if !done.contains(&word) {
                done.push(word);
                *out += &format!("<g id=\"{}-{word}\">{}</g>", self.id, glyph::of(&node.state));
            }
        }
        if self.arrangement.has_stripes {
            *out += &format!(
                "<rect id=\"{}-stripe\" x=\"-1\" y=\"12\" width=\"3\" height=\"24\" rx=\"1.5\"/>",
                self.id
            );
        }
        *out += "</defs>\n";
    }

    fn hulls(&self, out: &mut String) {
        let files = self.view.files();
        for hull in &self.arrangement.hulls {
            let rect = &hull.rect;
            let label = cut_end(files[hull.file], rect.width - 32.0, Font::Meta);
            *out += &format!(
                "<g class=\"hull\" style=\"--b-file:{color}\"><rect x=\"{x}\" y=\"{y}\" width=\"{w}\" \
                 height=\"{h}\" rx=\"12\"/><text x=\"{tx}\" y=\"{ty}\">{label}</text></g>\n",
                color = style::file_color(hull.file),
                x = num(rect.x),
                y = num(rect.y),
                w = num(rect.width),
                h = num(rect.height),
                tx = num(rect.x + 16.0),
                ty = num(rect.y + 19.0),
                label = escape(&label),
            );
        }
    }

    fn wires(&self, out: &mut String) {
        for (index, (edge, route)) in self.view.edges.iter().zip(&self.arrangement.routes).enumerate() {
            let mut class = String::from("e");
            if edge.optional {
                class += " opt";
            }
            if matches!(self.view.nodes[edge.to].state, State::Running) {
                class += " flow";
            }
            class += &self.hover.of_edge(index);
            // A dashed line would break its own head, so the head is then a path apart.
            let Route { line, head, tip, alone } = route;
            if edge.optional || class.contains(" flow") {
                let hot = if class.contains(" flow") { " hot" } else { "" };
                let rest = self.hover.of_edge(index);
                *out += &format!(
                    "<path class=\"{class}\" d=\"{line}\"/><path class=\"e{hot}{rest}\" d=\"{alone}{head}\"/>\n"
                );
            } else {
                *out += &format!("<path class=\"{class}\" d=\"{line}{tip}{head}\"/>\n");
            }
        }
    }

    /// All boxes, those of one file together: one link opens it for all.
    fn nodes(&self, out: &mut String) {
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        for (index, node) in self.view.nodes.iter().enumerate() {
            match groups.iter_mut().find(|it| it.0 == node.file) {
                Some(group) => group.1.push(index),
                None => groups.push((&node.file, vec![index])),
            }
        }
        let files = self.view.files();
        for (file, members) in groups {
            let open = &self.view.nodes[members[0]].open;
            *out += "<g";
            if !open.is_empty() {
                let arguments = serde_json::json!({ "path": open }).to_string();
                *out += &format!(
                    " class=\"link\" data-commandlinker-command=\"docmanager:open\" data-commandlinker-args=\"{}\"",
                    escape(&arguments)
                );
            }
            if let Some(file) = files.iter().position(|it| *it == file) {
                *out += &format!(" style=\"--b-file:{}\"", style::file_color(file));
            }
            *out += ">\n";
            for index in members {
                self.node(index, out);
            }
            *out += "</g>\n";
        }
    }
}

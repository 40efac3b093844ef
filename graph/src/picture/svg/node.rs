//! One box: outline, sign, name, and a line about its value.

use super::super::measure::{Font, cut_end, cut_middle, width};
use super::super::route::num;
use super::super::view::{Edit, Kind, State, ViewNode};
use super::super::words;
use super::{COLUMNS, Picture, escape, glyph, hover};

impl Picture<'_> {
    pub(super) fn node(&self, index: usize, out: &mut String) {
        let node = &self.view.nodes[index];
        let rect = &self.arrangement.boxes[index];
        let (width, height) = (num(rect.width), num(rect.height));
        let kind = match node.kind {
            Kind::Input => " in",
            Kind::Transform | Kind::File => "",
        };
        *out += &format!(
            "<g class=\"n {state}{kind}{hover}\" data-node=\"{name}\" transform=\"translate({x} {y})\"><title>{title}</title>",
            state = node.state.word(),
            hover = self.hover.of_node(index),
            name = escape(&node.name),
            x = num(rect.x),
            y = num(rect.y),
            title = escape(&words::tooltip(node, self.view.nodes.len() > hover::FULL)),
        );
        // An input is a pill, a transform a card, a file a stack of cards.
        let round = if node.kind == Kind::Input { 16 } else { 8 };
        if node.is_target {
            *out += &format!(
                "<rect class=\"ring\" x=\"-3.5\" y=\"-3.5\" width=\"{}\" height=\"{}\" rx=\"{}\"/>",
                num(rect.width + 7.0),
                num(rect.height + 7.0),
                f64::from(round) + 3.5
            );
        }
        if node.kind == Kind::File {
            *out += &format!(
                "<rect class=\"box\" x=\"4\" y=\"4\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
            );
        }
        *out += &format!("<rect class=\"box\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>");
        if self.arrangement.has_stripes && !node.file.is_empty() {
            *out += &format!("<use class=\"stripe\" href=\"#{}-stripe\"/>", self.id);
        }
        match node.kind {
            Kind::Input => self.pill(node, rect.width, out),
            Kind::Transform | Kind::File => self.card(node, rect.width, out),
        }
        self.badge(node, rect.width, out);
        *out += "</g>\n";
    }

    /// One line: the name, and at the end the value or the type.
    fn pill(&self, node: &ViewNode, wide: f64, out: &mut String) {
        self.sign(node, out);
        let about = if node.shape.is_empty() { &node.ty } else { &node.shape };
        let room = wide - 26.0 - 12.0;
        // The name comes first; the rest takes what is left, or nothing.
        let name = cut_middle(&node.name, room, Font::Name);
        let left = room - width(&name, Font::Name) - 8.0;
        let about = match left {
            _ if left < 24.0 => String::new(),
            // The end of a path says more than its middle.
            _ if about.contains('/') => cut_middle(about, left, Font::Meta),
            _ => cut_end(about, left, Font::Meta),
        };
        *out += &format!("<text class=\"a\">{}</text>", escape(&name));
        if !about.is_empty() {
            *out +=
                &format!("<text class=\"t\" x=\"{}\" y=\"20\">{}</text>", num(wide - 12.0), escape(&about));
        }
    }

    /// The name; below it type and value, or the error, and the time.
    fn card(&self, node: &ViewNode, wide: f64, out: &mut String) {
        self.sign(node, out);
        let name = cut_middle(&node.name, wide - 28.0 - 8.0, Font::Name);
        *out += &format!("<text class=\"a\">{}</text>", escape(&name));
        let time = match node.state {
            State::Done { milliseconds, .. } => words::time(milliseconds),
            _ => String::new(),
        };
        let time_width = if time.is_empty() { 0.0 } else { width(&time, Font::Meta) + 8.0 };
        let about = about(node, wide - 28.0 - 10.0 - time_width);
        *out += &format!("<text class=\"b\">{}</text>", escape(&about));
        if !time.is_empty() {
            *out += &format!("<text class=\"t\" x=\"{}\" y=\"36\">{time}</text>", num(wide - 10.0));
        }
        if self.view.schema && !node.columns.is_empty() {
            columns(node, wide, out);
        }
    }

    fn sign(&self, node: &ViewNode, out: &mut String) {
        // The turning sign cannot come through `<use>`: style rules do not reach into it everywhere.
        *out += &match node.state {
            State::Running => {
                format!("<g class=\"s\">{}</g>", glyph::running())
            }
            _ => {
                format!("<use class=\"s\" href=\"#{}-{}\"/>", self.id, node.state.word())
            }
        };
    }

    fn badge(&self, node: &ViewNode, wide: f64, out: &mut String) {
        let (class, sign) = match node.change {
            Edit::None => return,
            Edit::Added => ("new", glyph::added()),
            Edit::Changed => ("mod", glyph::changed()),
        };
        *out += &format!(
            "<g class=\"{class}\" transform=\"translate({} 3)\"><circle r=\"8\" fill=\"currentColor\" \
             style=\"stroke:var(--b-bg)\" stroke-width=\"2\"/>{sign}</g>",
            num(wide - 5.0)
        );
    }
}

/// Type and value in the room there is: both, else the value, which is news, else the type.
fn about(node: &ViewNode, room: f64) -> String {
    if let State::Failed { message } = &node.state {
        let line = message.lines().next().unwrap_or_default();
        return cut_end(line, room, Font::Meta);
    }
    let both = format!("{} · {}", node.ty, node.shape);
    let text = match (node.ty.is_empty(), node.shape.is_empty()) {
        (_, true) => &node.ty,
        (true, false) => &node.shape,
        (false, false) if width(&both, Font::Meta) <= room => &both,
        (false, false) => &node.shape,
    };
    cut_end(text, room, Font::Meta)
}

fn columns(node: &ViewNode, wide: f64, out: &mut String) {
    *out += &format!("<path class=\"rule\" d=\"M0 48H{}\"/>", num(wide));
    let shown = node.columns.len().min(COLUMNS);
    for (index, column) in node.columns[..shown].iter().enumerate() {
        let y = 64 + 16 * index;
        let ty = cut_end(&column.ty, wide / 2.0 - 24.0, Font::Meta);
        let name = cut_middle(&column.name, wide - 40.0 - width(&ty, Font::Meta), Font::Meta);
        *out += &format!(
            "<text class=\"c\" x=\"16\" y=\"{y}\">{}</text><text class=\"t\" x=\"{}\" y=\"{y}\">{}</text>",
            escape(&name),
            num(wide - 12.0),
            escape(&ty)
        );
    }
    if node.columns.len() > shown {
        let y = 64 + 16 * shown;
        *out += &format!("<text class=\"c\" x=\"16\" y=\"{y}\">… {} more</text>", node.columns.len() - shown);
    }
}

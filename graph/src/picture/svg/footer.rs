//! The line below the picture: what its signs mean, by counting them.

use super::super::view::{Edit, Kind};
use super::super::words;
use super::{Picture, escape, glyph, style};

impl Picture<'_> {
    pub(super) fn footer(&self, out: &mut String) {
        // As wide as the picture, so that its end stands under the picture's end.
        let wide = (self.arrangement.width - 16.0).max(480.0);
        *out += &format!("<div class=\"foot\" style=\"max-width:{wide:.0}px\">");
        let mut counted = words::counts(self.view);
        // Nothing has run: a legend of one empty circle tells nothing.
        if counted.iter().all(|it| it.0.word() == "idle") {
            counted.clear();
        }
        for (state, count) in counted {
            // The class stands on the parent, as the rules expect it.
            *out += &format!(
                "<span><svg class=\"{word}\" viewBox=\"-7 -7 14 14\" aria-hidden=\"true\"><g class=\"s\">{sign}</g></svg>{count} {word}</span>",
                word = state.word(),
                sign = glyph::of(state),
            );
        }
        self.badges(out);
        if self.arrangement.has_stripes {
            for (file, path) in self.view.files().iter().enumerate().take(8) {
                let color = style::file_color(file);
                *out += &format!("<span><i style=\"--b-file:{color}\"></i>{}</span>", escape(path));
            }
        }
        *out += &format!("<span class=\"rest\">{}</span></div>", escape(&words::facts(self.view)));
    }

    fn badges(&self, out: &mut String) {
        for (badge, class, sign, word) in [
            (Edit::Added, "new", glyph::added(), "added"),
            (Edit::Changed, "mod", glyph::changed(), "changed"),
        ] {
            let count = self.view.nodes.iter().filter(|it| it.change == badge).count();
            if count > 0 {
                *out += &format!(
                    "<span><svg class=\"{class}\" viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><circle r=\"8\" \
                     fill=\"currentColor\"/>{sign}</svg>{count} {word}</span>"
                );
            }
        }
        if !self.view.removed.is_empty() {
            let names: Vec<&str> = self.view.removed.iter().map(String::as_str).take(6).collect();
            let more = if self.view.removed.len() > 6 { ", …" } else { "" };
            *out += &format!("<span>− removed: {}{more}</span>", escape(&names.join(", ")));
        }
        let targets = self.view.nodes.iter().filter(|it| it.is_target).count();
        if targets > 0 {
            *out += &format!(
                "<span><svg viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><rect class=\"ring\" x=\"-7\" y=\"-5\" width=\"14\" \
                 height=\"10\" rx=\"4\"/></svg>{targets} target{}</span>",
                if targets == 1 { "" } else { "s" }
            );
        }
        if self.view.nodes.iter().any(|it| it.kind == Kind::Input)
            && self.view.edges.iter().any(|it| it.optional)
        {
            *out += "<span><svg viewBox=\"-8 -8 16 16\" aria-hidden=\"true\"><path class=\"opt\" d=\"M-8 0H8\"/></svg>optional</span>";
        }
    }
}

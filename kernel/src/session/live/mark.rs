//! What tells on the screen that a display is not of the present files: a line above what it showed last, which pales.

use brooklet_graph::html::escape;
use brooklet_graph::wire::MimeBundle;
use serde_json::Value as Json;

/// How a display stands to the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    #[default]
    None,
    /// What changed since.
    Stale(String),
    /// Why it could not be made anew.
    Failed(String),
}

impl Mark {
    fn words(&self) -> Option<(&'static str, &str, &'static str)> {
        match self {
            Mark::None => None,
            Mark::Stale(what) => Some(("stale", what, "var(--jp-warn-color1,#b7791f)")),
            Mark::Failed(what) => {
                Some(("failed, this is the last value", what, "var(--jp-error-color1,#c9302c)"))
            }
        }
    }

    fn html(&self) -> String {
        let Some((word, what, colour)) = self.words() else { return String::new() };
        // Inline, so that it stays readable after a frontend's sanitiser.
        format!(
            "<div class=\"brooklet-mark\" style=\"border-left:3px solid {colour};padding:2px 8px;margin:0 0 6px;\
             font-size:12px;color:var(--jp-content-font-color1,inherit)\"><b style=\"color:{colour}\">{word}</b>: {}</div>",
            coded(first_line(what))
        )
    }
}

/// Text as HTML, with what stands in backticks as code.
fn coded(text: &str) -> String {
    let pieces: Vec<String> = escape(text).split('`').map(str::to_owned).collect();
    // Without its pair a backtick is one.
    if pieces.len().is_multiple_of(2) {
        return pieces.join("`");
    }
    let code = |(at, it): (usize, &String)| {
        if !at.is_multiple_of(2) { format!("<code>{it}</code>") } else { it.clone() }
    };
    pieces.iter().enumerate().map(code).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What is shown in place of a bundle.
pub fn marked(bundle: &MimeBundle, mark: &Mark) -> MimeBundle {
    let Some((word, what, _)) = mark.words() else { return bundle.clone() };
    let plain = format!("[{word}: {}]\n{}", first_line(what), bundle.plain());
    let of = |mime: &str| bundle.data.get(mime).and_then(Json::as_str);
    let image = |mime: &str, data: &str| {
        format!("<img src=\"data:{mime};base64,{}\">", escape(data).replace(['\n', ' '], ""))
    };
    let inner = of("text/html")
        .map(str::to_owned)
        .or_else(|| of("image/png").map(|it| image("image/png", it)))
        .or_else(|| of("image/jpeg").map(|it| image("image/jpeg", it)))
        .or_else(|| of("image/svg+xml").map(str::to_owned))
        .unwrap_or_else(|| format!("<pre>{}</pre>", escape(bundle.plain())));
    let html = format!("{}<div style=\"opacity:.5\">{inner}</div>", mark.html());
    MimeBundle::text(plain).with("text/html", html)
}

/// A mark that stands by itself below a cell; empty where there is nothing to tell.
pub fn alone(mark: &Mark) -> MimeBundle {
    let plain =
        mark.words().map_or_else(String::new, |(word, what, _)| format!("[{word}: {}]", first_line(what)));
    MimeBundle::text(plain).with("text/html", mark.html())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_above_what_it_is_about_and_goes_without_a_trace() {
        let value = MimeBundle::text("1").with("text/html", "<b>1</b>");
        assert_eq!(marked(&value, &Mark::None), value);
        let stale = marked(&value, &Mark::Stale("`a<b` changed".to_owned()));
        assert_eq!(stale.plain(), "[stale: `a<b` changed]\n1");
        let html = stale.data["text/html"].as_str().unwrap();
        assert!(html.contains("<code>a&lt;b</code> changed") && html.ends_with("<b>1</b></div>"), "{html}");
        let failed = marked(&MimeBundle::text("1 < 2"), &Mark::Failed("no\nmore".to_owned()));
        assert_eq!(failed.plain(), "[failed, this is the last value: no]\n1 < 2");
        assert!(failed.data["text/html"].as_str().unwrap().contains("<pre>1 &lt; 2</pre>"));
        assert_eq!(alone(&Mark::None).plain(), "");
    }

    #[test]
    fn an_image_stays_an_image() {
        let image = MimeBundle::text("plot").with("image/png", "iVBO\nRw0");
        let html = marked(&image, &Mark::Stale("x".to_owned())).data["text/html"].to_string();
        assert!(html.contains("data:image/png;base64,iVBORw0"), "{html}");
    }
}

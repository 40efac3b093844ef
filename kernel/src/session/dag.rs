//! `%dag`: the graph as a picture, as text for other tools, or as a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use brooklet_graph::diagnostic::Diagnostic;
use brooklet_graph::graph::{Graph, NodeKind};
use brooklet_graph::picture::{self, Orientation, Selection, State, View};
use brooklet_graph::source::SourceFile;
use brooklet_graph::wire::{MimeBundle, Summary};

use super::Execution;
use super::display::{draw, fresh_id};
use super::errors::{self, Result};
use super::grammar::Call;
use super::live::Shows;
use super::text;
use crate::reload::Revision;

/// The longest literal that a box shows.
const LITERAL: usize = 16;

/// What a picture can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Svg,
    Html,
    Dot,
    Mermaid,
    Json,
    Text,
}

impl Format {
    fn of_option(name: &str) -> Format {
        match name {
            "dot" => Format::Dot,
            "mermaid" => Format::Mermaid,
            _ => Format::Json,
        }
    }

    /// By a file's extension.
    fn of_file(path: &Path) -> Option<Format> {
        Some(match path.extension()?.to_string_lossy().to_ascii_lowercase().as_str() {
            "svg" => Format::Svg,
            "html" | "htm" => Format::Html,
            "dot" | "gv" => Format::Dot,
            "mmd" | "mermaid" | "md" => Format::Mermaid,
            "json" => Format::Json,
            "txt" => Format::Text,
            _ => return None,
        })
    }
}

impl Execution<'_> {
    /// `%dag [TARGET…] …`
    pub(super) fn dag(&self, call: &Call) -> Result<()> {
        let selection = selection(call)?;
        let file = call.value("-o");
        let format = call.value("--as").map(|it| Format::of_option(&it));
        let file_format = match &file {
            Some(file) => Some(format.or_else(|| Format::of_file(Path::new(file))).ok_or_else(|| {
                errors::hinted(
                    "UsageError",
                    format!("`{file}` does not say by its extension what to write"),
                    "svg, html, dot, mmd, json and txt are known; or say `--as json`, `dot` or `mermaid`",
                )
            })?),
            None => None,
        };
        let revision = self.revision()?;
        check_names(call, &selection, &revision.graph)?;
        if revision.graph.nodes.is_empty() {
            return Err(self.nothing_watched());
        }
        let view = self.view(&revision, &selection);
        if let (Some(file), Some(format)) = (file, file_format) {
            let path = self.shared.base.join(&file);
            fs::write(&path, written(&view, &revision.graph, format)).map_err(|error| {
                errors::plain("FileError", format!("cannot write {}: {error}", path.display()))
            })?;
            self.show(format!("wrote {} to {file}", text::count(view.nodes.len(), "node")), None);
            return Ok(());
        }
        match format {
            None => {
                let id = fresh_id("dag");
                let bundle = draw(&view, &id);
                self.output.display(&bundle, Some(&id));
                self.keep_display(&revision, Shows::Picture(selection), Some((id, bundle)));
            }
            Some(Format::Json) => {
                let json = picture::json_of(&revision.graph, &view);
                let plain = serde_json::to_string_pretty(&json).unwrap_or_default();
                self.output.display(&MimeBundle::text(plain).with("application/json", json), None);
            }
            Some(Format::Mermaid) => {
                let text = picture::mermaid(&view);
                self.output.display(&MimeBundle::text(text.clone()).with("text/vnd.mermaid", text), None);
            }
            Some(_) => self.show(picture::dot(&view), None),
        }
        Ok(())
    }

    /// A picture of a part of the graph, with the states that the session knows of.
    pub(super) fn view(&self, revision: &Arc<Revision>, selection: &Selection) -> View {
        let mut view = View::of(&revision.graph, selection);
        let root = frontend_root(&self.shared.base);
        view.locate(&revision.sources, |file| open_path(file, root.as_deref()));
        for node in view.nodes.iter_mut().filter(|it| !it.file.is_empty()) {
            node.file = self.shared.shown_path(&node.file);
        }
        let knowledge = self.shared.knowledge();
        knowledge.mirror.paint(&mut view);
        // What no run has taken yet is given all the same.
        let mut given = BTreeMap::new();
        for node in revision.graph.nodes.values().filter(|it| it.kind == NodeKind::Input) {
            let Some(literal) = knowledge.given(&node.name) else { continue };
            if knowledge.mirror.nodes.get(&node.name).is_none_or(|it| it.state == State::Idle) {
                let shape = if literal.len() <= LITERAL { literal.to_owned() } else { String::new() };
                given.insert(&*node.name, Summary { shape, ..Summary::default() });
            }
        }
        view.set_all(|name| given.get(name).map(|it| (State::Taken, Some(it))));
        view
    }

    pub(super) fn nothing_watched(&self) -> crate::engine::CellError {
        let watched = self.shared.watched();
        if watched.is_empty() {
            errors::hinted("NothingWatched", "no transform files are watched", "%watch FILE.rs")
        } else {
            errors::hinted(
                "NoNodes",
                format!("{} holds no node", watched.join(", ")),
                "each `pub fn` of a watched file is a node",
            )
        }
    }
}

fn selection(call: &Call) -> Result<Selection> {
    if call.flag("--lr") && call.flag("--tb") {
        return Err(errors::usage(&call.error("`--lr` and `--tb` exclude each other")));
    }
    if call.flag("--hops") && !call.flag("--around") {
        return Err(errors::usage(
            &call.error("`--hops` says how far `--around NODE` reaches, which is missing"),
        ));
    }
    if (call.flag("--up") || call.flag("--down")) && call.words.is_empty() {
        return Err(errors::usage(&call.error("`--up` and `--down` count from targets, and none is named")));
    }
    let path = call.values("--path");
    Ok(Selection {
        targets: call.texts(),
        up: call.number("--up"),
        down: call.number("--down"),
        around: call.value("--around").map(|it| (it, call.number("--hops").unwrap_or(1))),
        path: path.first().cloned().zip(path.get(1).cloned()),
        hide_inputs: call.flag("--hide-inputs"),
        collapse: call.values("--collapse"),
        schema: call.flag("--schema"),
        orientation: match (call.flag("--lr"), call.flag("--tb")) {
            (true, _) => Orientation::Lr,
            (_, true) => Orientation::Tb,
            _ => Orientation::Auto,
        },
    })
}

/// Every name of the selection must exist: a picture that silently leaves something out misleads.
fn check_names(call: &Call, selection: &Selection, graph: &Graph) -> Result<()> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let around = selection.around.iter().map(|it| &it.0);
    let path = selection.path.iter().flat_map(|it| [&it.0, &it.1]);
    for name in selection.targets.iter().chain(around).chain(path) {
        if !graph.nodes.contains_key(name) {
            let near = text::did_you_mean(name, graph.nodes.keys().map(String::as_str));
            diagnostics.push(Diagnostic::error("unknown-target", format!("there is no node `{name}`{near}")));
        }
    }
    let files: Vec<&str> = graph.nodes.values().map(|it| it.file.as_str()).collect();
    for file in &selection.collapse {
        if !files
            .iter()
            .any(|it| it == file || Path::new(it).file_name().is_some_and(|it| it == file.as_str()))
        {
            let near = text::did_you_mean(file, files.iter().copied());
            diagnostics.push(Diagnostic::error("unknown-file", format!("no node is in `{file}`{near}")));
        }
    }
    match errors::problems(&diagnostics, &Default::default(), &[]) {
        Some(mut error) => {
            error.traceback.push(format!("  in: {}", call.line));
            Err(error)
        }
        None => Ok(()),
    }
}

fn written(view: &View, graph: &Graph, format: Format) -> String {
    match format {
        Format::Svg => svg_alone(&picture::svg(view, "graph")),
        Format::Html => format!(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Graph</title>\n{}\n",
            picture::svg(view, "graph")
        ),
        Format::Dot => picture::dot(view),
        Format::Mermaid => picture::mermaid(view),
        Format::Json => serde_json::to_string_pretty(&picture::json_of(graph, view)).unwrap_or_default(),
        Format::Text => picture::text(view) + "\n",
    }
}

/// The `<svg>` of a picture as a document of its own: with a namespace, and with its style inside.
fn svg_alone(html: &str) -> String {
    let between = |open: &str, close: &str| {
        let start = html.find(open)?;
        let end = html[start..].find(close)? + start + close.len();
        Some(&html[start..end])
    };
    let (Some(svg), style) = (between("<svg", "</svg>"), between("<style", "</style>").unwrap_or_default())
    else {
        return html.to_owned();
    };
    let head_end = svg.find('>').map_or(0, |it| it + 1);
    let (head, body) = svg.split_at(head_end);
    let namespace = " xmlns=\"http://www.w3.org/2000/svg\"";
    let head = if head.contains("xmlns=") {
        head.to_owned()
    } else {
        head.replacen("<svg", &format!("<svg{namespace}"), 1)
    };
    let style = if body.contains("<style") { "" } else { style };
    format!("{head}{style}{body}\n")
}

/// The directory that a frontend's file paths count from, if it can be told.
///
/// `brooklet lab` says it. Other servers do not, but they start kernels themselves, so their own working
/// directory is a good guess where the notebook lies below it.
fn frontend_root(base: &Path) -> Option<std::path::PathBuf> {
    if let Some(root) = std::env::var_os("BROOKLET_LAB_ROOT") {
        return Some(root.into());
    }
    let parent = std::os::unix::process::parent_id();
    let root = fs::read_link(format!("/proc/{parent}/cwd")).ok()?;
    base.starts_with(&root).then_some(root)
}

fn open_path(file: &SourceFile, root: Option<&Path>) -> Option<String> {
    let path = Path::new(&file.absolute).strip_prefix(root?).ok()?;
    Some(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{grammar, testing};

    fn dag(line: &str) -> Call {
        grammar::parse(line).unwrap().magics.remove(0)
    }

    #[test]
    fn options_become_a_selection() {
        let selection = selection(&dag("%dag a --up 2 --around b --path c d --tb --hide-inputs")).unwrap();
        assert_eq!(selection.targets, ["a"]);
        assert_eq!((selection.up, selection.around), (Some(2), Some(("b".to_owned(), 1))));
        assert_eq!(selection.path, Some(("c".to_owned(), "d".to_owned())));
        assert_eq!((selection.orientation, selection.hide_inputs), (Orientation::Tb, true));
    }

    #[test]
    fn options_that_exclude_or_need_each_other_are_refused() {
        for line in ["%dag --lr --tb", "%dag --hops 2", "%dag --up 1"] {
            assert_eq!(selection(&dag(line)).unwrap_err().name, "UsageError", "{line}");
        }
    }

    #[test]
    fn names_that_are_not_there_are_all_named() {
        let graph = testing::graph(vec![testing::node("spend", &[]), testing::node("total", &["spend"])]);
        let call = dag("%dag spned --path total nothing --collapse u.rs");
        let error = check_names(&call, &selection(&call).unwrap(), &graph).unwrap_err();
        assert_eq!(error.name, "unknown-target");
        assert!(
            error.value.contains("did you mean `spend`?") && error.value.contains("2 more"),
            "{}",
            error.value
        );
    }

    #[test]
    fn formats_go_by_extension() {
        assert_eq!(Format::of_file(Path::new("a/b.SVG")), Some(Format::Svg));
        assert_eq!(Format::of_file(Path::new("g.mmd")), Some(Format::Mermaid));
        assert_eq!(Format::of_file(Path::new("g.doc")), None);
    }

    #[test]
    fn a_written_svg_stands_alone() {
        let html = "<div class=\"brooklet-dag\"><style>.a{}</style><svg viewBox=\"0 0 1 1\"><g/></svg></div>";
        assert_eq!(
            svg_alone(html),
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"><style>.a{}</style><g/></svg>\n"
        );
    }
}

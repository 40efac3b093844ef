//! What a file of a package says of modules: which it declares, and which of them a `flow!` names.
//!
//! The tree below a crate root is followed as rustc follows it. Reading files is the caller's: here is only what
//! their text says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::attributes;
use super::items::{self, Item, ItemKind, Visibility};
use super::lex;
use super::lex::Kind;
use super::tokens::{Lexed, Range, plain};
use crate::source::ModuleDeclaration;

/// Modules in modules, at most: a `#[path]` may lead back.
const DEPTH: usize = 32;

/// One file of a tree of modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    pub file: PathBuf,
    pub path: Vec<String>,
    /// Whether its functions can be called from outside of the package.
    pub is_reachable: bool,
    /// The `#[cfg(..)]` of the module and of those around it.
    pub cfg: Vec<String>,
}

/// All files below a crate root that stands in `directory`, a module before those in it. `read` gives the text
/// of a file, `None` if there is no such file.
pub fn tree(
    directory: &Path,
    declarations: &[ModuleDeclaration],
    read: &dyn Fn(&Path) -> Option<String>,
) -> Vec<ModuleFile> {
    let mut walk = Walk { read, seen: BTreeSet::new(), found: Vec::new() };
    for declaration in declarations {
        // What the root declares can be declared `pub` in a generation.
        let root = Around { path: &[], is_reachable: true, cfg: &[] };
        walk.follow(declaration, directory, directory, &root);
    }
    walk.found
}

struct Walk<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    seen: BTreeSet<PathBuf>,
    found: Vec<ModuleFile>,
}

/// The module that a declaration stands in.
struct Around<'a> {
    path: &'a [String],
    is_reachable: bool,
    cfg: &'a [String],
}

impl Walk<'_> {
    /// `beside` is what a `#[path]` is relative to, `below` where `mod name;` is looked for.
    fn follow(&mut self, declaration: &ModuleDeclaration, beside: &Path, below: &Path, around: &Around<'_>) {
        if around.path.len() >= DEPTH {
            return;
        }
        let name = &declaration.name;
        let path: Vec<String> = around.path.iter().cloned().chain([name.clone()]).collect();
        let cfg: Vec<String> = around.cfg.iter().chain(&declaration.cfg).cloned().collect();
        if let Some(inner) = &declaration.inner {
            let directory = match &declaration.path {
                Some(path) => beside.join(path),
                None => below.join(name),
            };
            for it in inner {
                // An inline module of the root is declared anew, `pub` like the root's own.
                let is_reachable = around.is_reachable && (around.path.is_empty() || it.is_public);
                let around = Around { path: &path, is_reachable, cfg: &cfg };
                self.follow(it, &directory, &directory, &around);
            }
            return;
        }
        let (candidates, children) = match &declaration.path {
            // Such a file counts as a `mod.rs`: its own modules are beside it.
            Some(path) => {
                let file = beside.join(path);
                let directory = file.parent().unwrap_or(beside).to_owned();
                (vec![file], directory)
            }
            None => {
                let directory = below.join(name);
                (vec![below.join(format!("{name}.rs")), directory.join("mod.rs")], directory)
            }
        };
        let found = candidates.into_iter().find_map(|it| Some(((self.read)(&it)?, it)));
        let Some((text, file)) = found.filter(|it| self.seen.insert(it.1.clone())) else { return };
        let directory = file.parent().unwrap_or(below).to_owned();
        let is_reachable = around.is_reachable;
        self.found.push(ModuleFile { file, path: path.clone(), is_reachable, cfg: cfg.clone() });
        for inner in declared(&text) {
            let around = Around { path: &path, is_reachable: is_reachable && inner.is_public, cfg: &cfg };
            self.follow(&inner, &directory, &children, &around);
        }
    }
}

/// The modules that a file declares, in its order: those in files of their own, and inline ones that hold such.
/// Those for tests are left out.
pub fn declared(text: &str) -> Vec<ModuleDeclaration> {
    let Some(lexed) = lexed(text) else { return Vec::new() };
    let level = items::split(&lexed, Range::new(0, lexed.tokens.len()), &mut Vec::new());
    of_items(&lexed, &level.items)
}

fn of_items(lexed: &Lexed<'_>, items: &[Item]) -> Vec<ModuleDeclaration> {
    let modules = items.iter().filter(|it| it.kind == ItemKind::Mod && !attributes::is_test(lexed, it));
    let declared = modules.filter_map(|it| declaration(lexed, it));
    declared.filter(|it| it.inner.as_ref().is_none_or(|it| !it.is_empty())).collect()
}

fn declaration(lexed: &Lexed<'_>, item: &Item) -> Option<ModuleDeclaration> {
    let mut declaration = ModuleDeclaration {
        name: plain(lexed.text(item.name?)).to_owned(),
        is_public: item.visibility == Visibility::Public,
        inner: item.body.map(|_| of_items(lexed, &item.items)),
        ..ModuleDeclaration::default()
    };
    for attribute in item.attributes.iter().filter(|it| lexed.kind(it.start) != Some(Kind::DocOuter)) {
        if lexed.is(attribute.start + 2, "path") && lexed.is_punct(attribute.start + 3, b'=') {
            let value = syn::parse_str::<syn::LitStr>(lexed.text(attribute.start + 4));
            declaration.path = value.ok().map(|it| it.value());
        }
        let span = lexed.span(*attribute);
        let text = lexed.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if lexed.is(attribute.start + 2, "cfg") {
            declaration.cfg.push(text.clone());
        }
        declaration.attributes.push(text);
    }
    Some(declaration)
}

/// The modules that the `flow!` calls of a file name, `flow!(transforms::{a, b})` as `[transforms, a]` and
/// `[transforms, b]`; `None` if there is no such call.
pub fn of_flow(text: &str) -> Option<Vec<Vec<String>>> {
    let lexed = lexed(text)?;
    let mut modules: Option<Vec<Vec<String>>> = None;
    for index in 0..lexed.tokens.len() {
        let is_call = lexed.is(index, "flow") && lexed.is_punct(index + 1, b'!');
        let Some(Kind::Open(_)) = lexed.kind(index + 2).filter(|_| is_call) else { continue };
        let close = lexed.tokens[index + 2].pair as usize;
        let found = modules.get_or_insert_default();
        for tree in lexed.split_at_commas(Range::new(index + 3, close)) {
            use_tree(&lexed, tree, &mut Vec::new(), found);
        }
    }
    modules
}

/// The modules that the arguments of a `flow!` name.
pub fn of_flow_arguments(arguments: &str) -> Vec<Vec<String>> {
    of_flow(&format!("flow!({arguments})")).unwrap_or_default()
}

fn use_tree(lexed: &Lexed<'_>, range: Range, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let depth = before.len();
    let mut index = range.start;
    while index < range.end {
        if let Some(close) = lexed.group(index, b'{') {
            for tree in lexed.split_at_commas(Range::new(index + 1, close)) {
                use_tree(lexed, tree, before, found);
            }
            before.truncate(depth);
            return;
        }
        // Paths of the call are relative to the crate root, and `self` in braces is what stands before them.
        let name = lexed.ident(index).map(plain).filter(|it| !matches!(*it, "crate" | "self"));
        before.extend(name.map(str::to_owned));
        index += 1;
    }
    if !before.is_empty() {
        found.push(before.clone());
    }
    before.truncate(depth);
}

fn lexed(text: &str) -> Option<Lexed<'_>> {
    Some(Lexed { file: 0, text, tokens: lex::lex(text).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_modules_keep_their_attributes() {
        let text = "//! Root.\n/// Doc.\npub mod a;\n#[macro_use]\nmod b;\n#[path = \"other/c.rs\"] pub(crate) mod c;\n\
                    #[cfg(test)] mod tests;\nmod inline { pub mod d; fn x() {} }\nmod bare { fn y() {} }\npub mod r#type;";
        let shown: Vec<String> = declared(text)
            .iter()
            .map(|it| {
                let public = if it.is_public { "pub " } else { "" };
                let inner = it.inner.as_ref().map_or(0, Vec::len);
                format!("{public}{} {:?} {:?} {inner}", it.name, it.attributes, it.path)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "pub a [] None 0",
                "b [\"#[macro_use]\"] None 0",
                "c [\"#[path = \\\"other/c.rs\\\"]\"] Some(\"other/c.rs\") 0",
                "inline [] None 1",
                "pub type [] None 0"
            ]
        );
    }

    #[test]
    fn a_tree_is_followed_as_rustc_does() {
        let files = [
            ("/p/types.rs", "mod inner;"),
            ("/p/types/inner.rs", ""),
            ("/p/transforms/mod.rs", "pub mod a; mod b; #[path = \"elsewhere.rs\"] pub mod c;"),
            ("/p/transforms/a.rs", ""),
            ("/p/transforms/b.rs", ""),
            ("/p/transforms/elsewhere.rs", "pub mod beside;"),
            ("/p/transforms/beside.rs", ""),
            ("/p/flows/d.rs", ""),
            ("/p/forgotten.rs", ""),
        ];
        let read = |path: &Path| files.iter().find(|it| Path::new(it.0) == path).map(|it| it.1.to_owned());
        let root = declared("mod types; pub mod transforms; mod flows { mod d; } mod missing;");
        let shown: Vec<String> = tree(Path::new("/p"), &root, &read)
            .iter()
            .map(|it| format!("{} {} {}", it.path.join("::"), it.file.display(), it.is_reachable))
            .collect();
        assert_eq!(
            shown,
            [
                "types /p/types.rs true",
                "types::inner /p/types/inner.rs false",
                "transforms /p/transforms/mod.rs true",
                "transforms::a /p/transforms/a.rs true",
                "transforms::b /p/transforms/b.rs false",
                "transforms::c /p/transforms/elsewhere.rs true",
                "transforms::c::beside /p/transforms/beside.rs true",
                "flows::d /p/flows/d.rs true",
            ]
        );
    }

    #[test]
    fn a_flow_names_modules_as_a_use_does() {
        let named = |text: &str| {
            of_flow(text).map(|all| all.iter().map(|it| it.join("::")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            named("brooklet::flow!(transforms::{a, deep::{b, c}}, crate::other);").as_deref(),
            Some("transforms::a transforms::deep::b transforms::deep::c other")
        );
        assert_eq!(named("fn main() { let f = flow!(x::{self, y}); }").as_deref(), Some("x x::y"));
        assert_eq!(named("fn flow() {}"), None);
    }
}

//! The Cargo package that a watched file belongs to: its manifest, and the tree of modules below its root.
//!
//! The root itself (`lib.rs`, `main.rs`) is not compiled into a generation, only the modules that it declares:
//! a program's `main`, its `flow!` and its tests have no place there. So `crate::types::T` and `super::T`
//! mean in a generation what they mean in the package, and an item of the root is not to be had.
//!
//! Everything here is read anew at each look, as the watched files are: what counts is what stands on the disk.

use std::path::{Path, PathBuf};

use brooklet_graph::parse::modules::{self, ModuleFile};
use brooklet_graph::source::ModuleDeclaration;

use super::reading::module_text;

/// One package as it is now.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Where its `Cargo.toml` is.
    pub directory: PathBuf,
    /// Where its crate root is.
    pub source_directory: PathBuf,
    /// What the root declares.
    pub declarations: Vec<ModuleDeclaration>,
    /// All files of the tree, a module before those in it.
    pub modules: Vec<ModuleFile>,
    /// Modules that hold nodes, as the root's `flow!` names them; `None` where there is no `flow!`.
    pub flow: Option<Vec<Vec<String>>>,
}

/// The directory of the package in whose sources a file or directory lies.
pub fn owner(path: &Path) -> Option<PathBuf> {
    let above = path.ancestors().skip(1);
    let directory = above.into_iter().find(|it| is_package(it))?;
    let source = crate_root(directory)?.parent()?.to_owned();
    path.starts_with(source).then(|| directory.to_owned())
}

/// Whether the directory's `Cargo.toml` is that of a package and not of a workspace alone.
pub fn is_package(directory: &Path) -> bool {
    manifest(directory).is_some_and(|it| it.contains_key("package"))
}

/// Whether a file is the crate root of a library or a program: no module, and so no part of a generation.
pub fn is_crate_root(file: &Path, package: &Path) -> bool {
    let source = crate_root(package);
    let beside = source.as_ref().and_then(|it| it.parent());
    let is_program = beside.is_some_and(|it| file == it.join("main.rs") || file.starts_with(it.join("bin")));
    is_program || source.as_deref() == Some(file)
}

fn manifest(directory: &Path) -> Option<toml::Table> {
    toml::from_str(&module_text(&directory.join("Cargo.toml"))?).ok()
}

/// The library's root, else the program's.
fn crate_root(directory: &Path) -> Option<PathBuf> {
    let manifest = manifest(directory)?;
    let named = manifest.get("lib").and_then(|it| it.get("path")).and_then(|it| it.as_str());
    let candidates = named.into_iter().chain(["src/lib.rs", "src/main.rs"]);
    candidates.map(|it| directory.join(it)).find(|it| it.is_file())
}

impl Package {
    /// Reads the package's tree. What cannot be read is left out; rustc says what is missing.
    pub fn read(directory: &Path) -> Package {
        let mut package = Package { directory: directory.to_owned(), ..Package::default() };
        let Some(root) = crate_root(directory) else { return package };
        let text = module_text(&root).unwrap_or_default();
        package.source_directory = root.parent().unwrap_or(directory).to_owned();
        package.declarations = modules::declared(&text);
        // A library's flow may also stand in the program beside it.
        package.flow = modules::of_flow(&text).or_else(|| {
            modules::of_flow(&module_text(&package.source_directory.join("main.rs")).unwrap_or_default())
        });
        package.modules = modules::tree(&package.source_directory, &package.declarations, &module_text);
        package
    }

    /// Whether the package as a whole says that this module holds nodes.
    ///
    /// Without a `flow!` all of them do, but for those that are there to declare others.
    pub fn is_flow(&self, module: &ModuleFile) -> bool {
        match &self.flow {
            Some(named) => named.contains(&module.path),
            None => module.file.file_name().is_none_or(|it| it != "mod.rs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory_with;

    #[test]
    fn nodes_are_where_the_flow_says() {
        let flow = "mod types; mod transforms { pub mod a; } fn main() { brooklet::flow!(transforms::a); }";
        let directory = directory_with(&[
            ("Cargo.toml", "[package]\nname = \"shop\""),
            ("src/main.rs", flow),
            ("src/types.rs", ""),
            ("src/transforms/a.rs", ""),
        ]);
        let package = Package::read(directory.path());
        let found: Vec<(String, bool)> =
            package.modules.iter().map(|it| (it.path.join("::"), package.is_flow(it))).collect();
        assert_eq!(found, [("types".to_owned(), false), ("transforms::a".to_owned(), true)]);
    }

    #[test]
    fn a_file_belongs_to_the_package_whose_sources_it_lies_in() {
        let directory = directory_with(&[
            ("Cargo.toml", "[package]\nname = \"shop\""),
            ("src/main.rs", "mod a;"),
            ("src/a.rs", ""),
            ("notebooks/transforms/b.rs", ""),
            ("all/Cargo.toml", "[workspace]"),
            ("all/c.rs", ""),
        ]);
        let path = |name: &str| directory.path().join(name);
        assert_eq!(owner(&path("src/a.rs")).as_deref(), Some(directory.path()));
        assert_eq!(owner(&path("src")).as_deref(), Some(directory.path()));
        assert_eq!(owner(&path("notebooks/transforms/b.rs")), None);
        assert_eq!(owner(&path("all/c.rs")), None);
        assert!(is_package(directory.path()) && !is_package(&path("all")));
    }
}

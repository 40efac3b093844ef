//! The transforms as a cell sees them: a module for the compiler and for rust-analyzer.
//!
//! rustc takes the generation from its library. rust-analyzer cannot read a library, and it reads the
//! sources of other crates only when a manifest changes, which costs seconds. But a cell's own text it
//! always has. So the text of the transform files stands in the cell itself, where `cfg` hides it from
//! rustc: types of nodes are known at once after every save, and nothing is compiled twice.

use std::collections::BTreeMap;
use std::fmt::Write;

use brooklet_graph::parse::cell::CellScope;
use brooklet_graph::source::Sources;

/// Module of every cell that holds the image's crates for rust-analyzer, and nothing for rustc.
pub const ANALYSIS: &str = "brooklet_analysis";

/// What cells know of the transforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The item that every cell holds; empty until the first generation.
    pub module: String,
    /// Name of a node to the expression that is its value in a cell.
    pub bindings: BTreeMap<String, String>,
}

impl Scope {
    /// The scope of a committed generation. `modules[i]` is the path of file `i`'s module.
    pub fn of(cell_scope: &CellScope, sources: &Sources, modules: &[Vec<String>]) -> Scope {
        let crate_name = &cell_scope.crate_name;
        let mut tree = Module::default();
        for (file, path) in sources.files.iter().zip(modules) {
            let mut module = &mut tree;
            for name in path {
                module = module.children.entry(name.clone()).or_default();
            }
            module.text = file.text.trim_start_matches('\u{feff}').to_owned();
        }
        let mut module = format!(
            "pub mod {crate_name} {{\n\
             #[cfg(brooklet_image)] extern crate {crate_name} as it;\n\
             #[cfg(brooklet_image)] pub use self::it::*;\n"
        );
        for (name, child) in &tree.children {
            let _ = write!(module, "#[cfg(not(brooklet_image))] ");
            child.write(name, &mut module);
        }
        let _ = writeln!(module, "#[cfg(not(brooklet_image))] pub mod everything {{");
        for path in modules {
            let _ = writeln!(module, "pub use super::{}::*;", path.join("::"));
        }
        module.push_str("}\n}\n");
        let bindings = cell_scope
            .nodes
            .iter()
            .map(|(name, it)| (name.clone(), it.expression(crate_name, name)))
            .collect();
        Scope { module, bindings }
    }

    /// What cells hold before there is a generation, so that its names can be imported once and for all.
    pub fn placeholder(crate_name: &str) -> String {
        format!("pub mod {crate_name} {{ pub mod everything {{}} }}\nuse {crate_name}::everything::*;\n")
    }
}

#[derive(Default)]
struct Module {
    text: String,
    children: BTreeMap<String, Module>,
}

impl Module {
    fn write(&self, name: &str, to: &mut String) {
        // The import is last, because a file may begin with inner attributes and docs.
        let _ = writeln!(to, "pub mod {name} {{\n{}\nuse crate::{ANALYSIS}::*;", self.text);
        for (name, child) in &self.children {
            child.write(name, to);
        }
        to.push_str("}\n");
    }
}

#[cfg(test)]
mod tests {
    use brooklet_graph::parse::cell::Binding;

    use super::*;
    use brooklet_graph::source::SourceFile;

    #[test]
    fn files_stand_in_their_modules_hidden_from_rustc() {
        let mut sources = Sources::default();
        for (path, text) in [("a.rs", "//! Docs.\npub fn one() -> i64 { 1 }"), ("b/c.rs", "pub struct S;\n")]
        {
            sources.push(SourceFile { path: path.into(), absolute: path.into(), text: text.into() });
        }
        let nodes =
            [("one".to_owned(), Binding::Function { path: "a::one".into(), arity: 0, is_async: false })];
        let cell_scope = CellScope { nodes: nodes.into_iter().collect(), crate_name: "generation".into() };
        let scope = Scope::of(&cell_scope, &sources, &[vec!["a".into()], vec!["b".into(), "c".into()]]);
        assert_eq!(
            scope.module,
            "pub mod generation {\n\
             #[cfg(brooklet_image)] extern crate generation as it;\n\
             #[cfg(brooklet_image)] pub use self::it::*;\n\
             #[cfg(not(brooklet_image))] pub mod a {\n\
             //! Docs.\n\
             pub fn one() -> i64 { 1 }\n\
             use crate::brooklet_analysis::*;\n\
             }\n\
             #[cfg(not(brooklet_image))] pub mod b {\n\n\
             use crate::brooklet_analysis::*;\n\
             pub mod c {\n\
             pub struct S;\n\n\
             use crate::brooklet_analysis::*;\n\
             }\n\
             }\n\
             #[cfg(not(brooklet_image))] pub mod everything {\n\
             pub use super::a::*;\n\
             pub use super::b::c::*;\n\
             }\n\
             }\n"
        );
        assert_eq!(scope.bindings["one"], "brooklet::bind_node!(r0, generation::a::one, \"one\")");
    }
}

//! `flow!`: the transform files of a program as a `Flow`.
//!
//! The files are modules of the program like any other. What they say is read from their text by the one parser
//! that the notebook has, and the shims that call them come from the one generator; so a program and a notebook
//! cannot mean different things by the same file.

use std::path::{Path, PathBuf};

use brooklet_graph::diagnostic::{self, Severity};
use brooklet_graph::graph::{self, Options};
use brooklet_graph::parse::{self, modules, shim};
use brooklet_graph::source::{SourceFile, Sources};

/// The expression that the call becomes, or what is wrong. `call_site` is the file of the call, where it is known.
pub fn expand(
    arguments: &str,
    manifest_directory: &Path,
    call_site: Option<PathBuf>,
) -> Result<String, String> {
    let wanted = modules::of_flow_arguments(arguments);
    if wanted.is_empty() {
        return Err(
            "flow! names the modules of transforms: `flow!(transforms::{marketing, channels})`".to_owned()
        );
    }
    let mut sources = Sources::default();
    let mut paths = Vec::new();
    for (file, module) in files(&wanted, manifest_directory, call_site)? {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let shown = file.strip_prefix(manifest_directory).unwrap_or(&file).display().to_string();
        sources.push(SourceFile { path: shown, absolute: file.display().to_string(), text });
        paths.push(module);
    }
    let parsed = parse::parse(&sources, &paths);
    let mut problems = parsed.diagnostics.clone();
    // With variants the graph is known only with the configuration, at run time.
    let has_variants =
        parsed.files.iter().flat_map(|it| &it.functions).any(|it| !it.shape.conditions.is_empty());
    let (graph, of_graph) =
        graph::build(&parsed.files, &sources, &Options { allow_overrides: true, ..Options::default() });
    if !has_variants {
        problems.extend(of_graph);
    }
    problems.retain(|it| it.severity == Severity::Error);
    if !problems.is_empty() {
        diagnostic::sort(&mut problems);
        return Err(format!(
            "these transforms make no graph\n{}",
            diagnostic::render(&problems, &sources, false)
        ));
    }
    let specs = serde_json::to_string(&parsed.files).map_err(|error| error.to_string())?;
    let mut code = String::from("{\n#[allow(warnings, clippy::all)]\n");
    code.push_str(&shim::generate_for_program(&parsed, &graph));
    code.push_str("::brooklet::Flow::new(");
    code.push_str(&format!("{specs:?}, &["));
    for file in &sources.files {
        // Named here so that cargo builds anew when the file changes.
        code.push_str(&format!("({:?}, include_str!({:?})),", file.path, file.absolute));
    }
    code.push_str(&format!("], {:?}, shims::functions)\n}}", parsed.type_key));
    Ok(code)
}

/// The files of the named modules. The crate root may be the file of the call, or one of the places that cargo
/// knows.
fn files(
    wanted: &[Vec<String>],
    directory: &Path,
    call_site: Option<PathBuf>,
) -> Result<Vec<(PathBuf, Vec<String>)>, String> {
    let binary = std::env::var("CARGO_BIN_NAME").unwrap_or_default();
    let crate_name = std::env::var("CARGO_CRATE_NAME").unwrap_or_default();
    let named = [
        format!("src/bin/{binary}.rs"),
        format!("examples/{crate_name}.rs"),
        format!("tests/{crate_name}.rs"),
    ];
    let usual = ["src/lib.rs", "src/main.rs"].map(str::to_owned);
    let roots = call_site.into_iter().chain(named.into_iter().chain(usual).map(|it| directory.join(it)));
    let mut looked = Vec::new();
    for root in roots {
        let root = if root.is_absolute() { root } else { directory.join(root) };
        let Ok(text) = std::fs::read_to_string(&root) else { continue };
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let below = root.parent().unwrap_or(directory);
        let tree = modules::tree(below, &modules::declared(&text), &read);
        let find = |module: &Vec<String>| {
            tree.iter().find(|it| it.path == *module).map(|it| (it.file.clone(), module.clone()))
        };
        if let Some(found) = wanted.iter().map(find).collect() {
            return Ok(found);
        }
        let missing = wanted.iter().filter(|it| find(it).is_none()).map(|it| format!("`{}`", it.join("::")));
        looked.push(format!(
            "{} does not declare {}",
            root.display(),
            missing.collect::<Vec<_>>().join(", ")
        ));
    }
    looked.dedup();
    Err(format!(
        "modules of flow! are named from the crate root, and are files of their own; {}",
        looked.join("; ")
    ))
}

//! The pages of `docs/diagnostics`: each code has one, and each example says what is true.
//!
//! On a page, what stands under "Example" brings the problem about, and what stands under "Mend" does not. A
//! `rust` block is a watched file, a `magics` block a run of some targets. Codes that only rustc or a value
//! can bring about are left to the notebook tests; their examples must at least be graphs without fault.

#![cfg(feature = "parse")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use brooklet_graph::graph::{Literals, Options, build, check_targets};
use brooklet_graph::parse;
use brooklet_graph::source::{SourceFile, Sources};

/// Raised where a magic is read, or when types and values are known.
const BY_NOTEBOOK: [&str; 7] = [
    "bad-literal",
    "cache-type-mismatch",
    "edge-type-mismatch",
    "input-is-computed",
    "input-is-configured",
    "unknown-file",
    "unused-input",
];
/// Raised where files are looked for, or a program is compiled; a page's files are in no directory and no crate.
const BY_RELOAD: [&str; 9] = [
    "crate-root-item",
    "duplicate-module",
    "file-too-large",
    "missing-function",
    "not-utf8",
    "private-module",
    "too-many-files",
    "undeclared-module",
    "unreadable-file",
];

#[test]
fn every_code_has_a_page_and_the_overview_names_it() {
    let overview = fs::read_to_string(pages().join("README.md")).expect("the overview can be read");
    let pages: BTreeSet<String> = all_pages().into_keys().collect();
    for code in codes_in_source() {
        assert!(pages.contains(&code), "docs/diagnostics/{code}.md is missing");
    }
    for page in pages {
        assert!(overview.contains(&format!("]({page}.md)")), "docs/diagnostics/README.md lacks {page}");
    }
}

#[test]
fn the_examples_bring_the_problem_about_and_the_mended_ones_do_not() {
    for (code, text) in all_pages() {
        if BY_RELOAD.contains(&code.as_str()) {
            continue;
        }
        let mut files = BTreeMap::new();
        let example = problems(section(&text, "Example"), &mut files);
        let expected = if BY_NOTEBOOK.contains(&code.as_str()) { vec![] } else { vec![code.clone()] };
        assert_eq!(example, expected, "the example of {code}");
        let mended = problems(section(&text, "Mend"), &mut files);
        assert!(mended.is_empty(), "the mended example of {code} has {mended:?}");
    }
}

/// The codes that some files and runs bring about, each once.
fn problems(section: &str, files: &mut BTreeMap<String, String>) -> Vec<String> {
    let blocks = blocks(section);
    for (_, text) in blocks.iter().filter(|it| it.0 == "rust") {
        let name =
            text.lines().next().and_then(|it| it.strip_prefix("// file: ")).expect("a block names its file");
        files.insert(name.to_owned(), text.clone());
    }
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for (name, text) in &*files {
        let absolute = format!("/watched/{name}");
        sources.push(SourceFile { path: name.clone(), absolute, text: text.clone() });
        modules.push(vec![name.trim_end_matches(".rs").to_owned()]);
    }
    let parsed = parse::parse(&sources, &modules);
    let magics = || blocks.iter().filter(|it| it.0 == "magics").flat_map(|it| it.1.lines());
    let configured = magics().filter_map(|it| it.trim().strip_prefix("%config "));
    let config: Literals = configured
        .flat_map(str::split_whitespace)
        .filter_map(|it| it.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let given: Vec<String> = config.keys().cloned().collect();
    let (graph, mut diagnostics) =
        build(&parsed.files, &sources, &Options { allow_overrides: false, config });
    diagnostics.extend(parsed.diagnostics);
    for line in magics() {
        let [targets, mut inputs, overrides] = run(line);
        inputs.extend(given.iter().cloned());
        let targets: Vec<String> = targets.into_iter().collect();
        diagnostics.extend(check_targets(&graph, &targets, &inputs, &overrides));
    }
    let codes: BTreeSet<String> = diagnostics.into_iter().map(|it| it.code).collect();
    codes.into_iter().collect()
}

/// `%run TARGET… --input k=v … --override k=v …` as names: targets, inputs, overrides. Other magics: none.
fn run(line: &str) -> [BTreeSet<String>; 3] {
    let mut names = [const { BTreeSet::new() }; 3];
    let Some(words) = line.trim().strip_prefix("%run ") else { return names };
    let mut kind = 0;
    for word in words.split_whitespace() {
        match word {
            "--input" => kind = 1,
            "--override" => kind = 2,
            _ => {
                let name = word.split_once('=').map_or(word, |it| it.0);
                names[kind].insert(name.to_owned());
                kind = 0;
            }
        }
    }
    names
}

/// What stands below a heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `## {heading}`"));
    rest.split_once("\n## ").map_or(rest, |it| it.0)
}

/// Fenced blocks: language and text.
fn blocks(section: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut is_open = false;
    for line in section.lines() {
        match line.strip_prefix("```") {
            Some(language) => {
                if !is_open {
                    blocks.push((language.to_owned(), String::new()));
                }
                is_open = !is_open;
            }
            None if is_open => {
                let (_, text) = blocks.last_mut().expect("a block was opened");
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

fn all_pages() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(pages()).expect("the pages can be listed").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(code) = name.strip_suffix(".md").filter(|it| *it != "README") {
            found.insert(code.to_owned(), fs::read_to_string(entry.path()).expect("a page can be read"));
        }
    }
    found
}

/// Codes in `Diagnostic::error("..` and `Diagnostic::warning("..`, in all sources but tests.
fn codes_in_source() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let mut directories = vec![root().join("graph/src"), root().join("kernel/src"), root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("sources can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                for part in text.split("Diagnostic::").skip(1) {
                    let call = part.strip_prefix("error(").or_else(|| part.strip_prefix("warning("));
                    let code = call.and_then(|it| it.trim_start().strip_prefix('"'));
                    codes.extend(code.and_then(|it| it.split('"').next()).map(str::to_owned));
                }
            }
        }
    }
    codes
}

fn pages() -> PathBuf {
    root().join("docs/diagnostics")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

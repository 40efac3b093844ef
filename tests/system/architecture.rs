//! Holds the sources to the boundaries of `ARCHITECTURE.md` and to the house rules.
//!
//! Each rule is about what must be absent, so the sources are read as text, with comments and string
//! literals taken out where they could be mistaken for code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::python::repository;

/// A source file: path from the repository's root, the text, and the text without comments and strings.
struct Source {
    path: String,
    text: String,
    code: String,
}

#[test]
fn each_wrapped_crate_is_named_in_one_file() {
    // `layout` is also an everyday word, so its modules are looked for.
    let wrapped: [(&str, &[&str]); 8] = [
        ("zmq", &["zmq::"]),
        ("evcxr", &["evcxr::"]),
        ("petgraph", &["petgraph::"]),
        (
            "layout",
            &[
                "layout::core::",
                "layout::std_shapes::",
                "layout::topo::",
                "layout::adt::",
                "layout::backends::",
            ],
        ),
        ("libloading", &["libloading::"]),
        ("signal-hook", &["signal_hook::"]),
        ("twox-hash", &["twox_hash::"]),
        ("ammonia", &["ammonia::"]),
    ];
    let sources = sources();
    let mut problems = Vec::new();
    for (name, paths) in wrapped {
        let files: Vec<&str> = sources
            .iter()
            .filter(|it| paths.iter().any(|path| names_path(&it.code, path)))
            .map(|it| it.path.as_str())
            .collect();
        if files.len() != 1 {
            problems.push(format!("`{name}` is named in {files:?}, must be in one file"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn unsafe_is_only_where_it_is_allowed() {
    let allowed = ["kernel/src/os.rs", "src/loader.rs", "src/hold.rs", "src/glue/export.rs", "src/serve.rs"];
    let found: Vec<String> = sources()
        .iter()
        .filter(|it| !it.path.starts_with("kernel/image/") && !allowed.contains(&it.path.as_str()))
        .filter(|it| words(&it.code).any(|word| word == "unsafe"))
        .map(|it| it.path.clone())
        .collect();
    assert!(found.is_empty(), "`unsafe` stands in {found:?}");
}

#[test]
fn generated_shims_hold_no_unsafe() {
    let sources = sources();
    let generator =
        sources.iter().find(|it| it.path == "graph/src/parse/shim.rs").expect("the generator exists");
    let text: String = generator.text.lines().filter(|it| !it.trim_start().starts_with("//")).collect();
    assert!(!text.contains("unsafe"), "the generator writes `unsafe`");
}

#[test]
fn graph_and_kernel_do_not_depend_on_polars() {
    for (manifest, forbidden) in [
        ("digest/Cargo.toml", &["polars", "polars-arrow", "brooklet", "brooklet-graph"][..]),
        ("graph/Cargo.toml", &["polars", "brooklet", "notify", "zmq", "evcxr"][..]),
        ("kernel/Cargo.toml", &["polars", "brooklet", "brooklet-image"][..]),
        ("macros/Cargo.toml", &["polars", "brooklet"][..]),
    ] {
        let dependencies = table(manifest, "dependencies");
        let found: Vec<_> = forbidden.iter().filter(|it| dependencies.contains_key(**it)).collect();
        assert!(found.is_empty(), "{manifest} depends on {found:?}");
    }
}

#[test]
fn every_dependency_comes_from_the_workspace() {
    let mut problems = Vec::new();
    for manifest in [
        "Cargo.toml",
        "graph/Cargo.toml",
        "macros/Cargo.toml",
        "kernel/Cargo.toml",
        "kernel/image/Cargo.toml",
    ] {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table(manifest, section) {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    problems.push(format!("{manifest}: {section}: {name}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "not from the workspace:\n{}", problems.join("\n"));
}

#[test]
fn the_library_knows_nothing_of_jupyter() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|it| it.path.starts_with("src/") || it.path.starts_with("graph/"))
        .filter(|it| words(&it.code).any(|word| word.to_lowercase().contains("jupyter")))
        .map(|it| it.path.clone())
        .collect();
    assert!(found.is_empty(), "Jupyter is named in the code of {found:?}");
}

#[test]
fn nothing_is_left_for_later() {
    let mut problems = Vec::new();
    for source in sources() {
        // This file has to name what it looks for.
        if source.path.ends_with("system/architecture.rs") {
            continue;
        }
        for mark in ["TODO", "FIXME", "XXX", "HACK"] {
            if source.text.contains(mark) {
                problems.push(format!("{}: {mark}", source.path));
            }
        }
        for mark in ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"] {
            if source.code.contains(mark) {
                problems.push(format!("{}: {mark}", source.path));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    const LONGEST: usize = 700;
    let mut problems = Vec::new();
    for source in sources() {
        // A file of tests is explained by the one that it tests.
        if !source.text.starts_with("//!") && !source.path.ends_with("/tests.rs") {
            problems.push(format!("{} does not begin with `//!`", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LONGEST {
            problems.push(format!("{} has {lines} lines", source.path));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = repository();
    let mut sources = Vec::new();
    for directory in ["src", "digest", "graph", "macros", "kernel", "tests", "benches", "notebooks"] {
        collect(&root, &root.join(directory), &mut sources);
    }
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

fn collect(root: &Path, directory: &Path, into: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(root, &path, into);
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("sources can be read");
            let relative = path.strip_prefix(root).expect("it is below the root");
            let code = without_comments_and_strings(&text);
            into.push(Source { path: relative.to_string_lossy().into_owned(), text, code });
        }
    }
}

fn table(manifest: &str, section: &str) -> BTreeMap<String, toml::Value> {
    let text = fs::read_to_string(repository().join(manifest)).expect("manifests can be read");
    let manifest: toml::Table = text.parse().expect("manifests are TOML");
    let section = manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    section.into_iter().collect()
}

/// Whether a path from the root is named: not as a part of a longer path or word.
fn names_path(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !before.is_alphanumeric() && before != '_' && (before != ':' || code[..at].ends_with(" ::"))
    })
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|it: char| !it.is_alphanumeric() && it != '_').filter(|it| !it.is_empty())
}

/// Code with comments and the insides of string and character literals left out.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |it| it + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            // A word is taken whole, so that an `r` within one does not start a raw string.
            let word = rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len());
            let length = word.max(first.len_utf8());
            code.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map_or(rest.len(), |at| rest.len() - inside.len() + at + end.len()))
}

fn is_character(rest: &str) -> bool {
    let mut inside = rest.chars().skip(1);
    match inside.next() {
        Some('\\') => true,
        Some(_) => inside.next() == Some('\''),
        None => false,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, it) in rest.char_indices().skip(1) {
        if it == quote && !escaped {
            return at + 1;
        }
        escaped = it == '\\' && !escaped;
    }
    rest.len()
}

#[test]
fn comments_and_strings_are_taken_out() {
    let text = "let a = \"zmq::x\"; // zmq::y\nlet b = r#\"\"unsafe\"\"#; let c = 'x'; fn f<'a>() {} bar\"q\" zmq::z";
    let code = without_comments_and_strings(text);
    assert!(!code.contains("zmq::x") && !code.contains("zmq::y") && !code.contains("unsafe"), "{code}");
    assert!(code.contains("fn f<'a>() {}") && code.contains("zmq::z"), "{code}");
    assert!(names_path("use zmq::Socket;", "zmq::") && !names_path("use crate::zmq::X; my_zmq::y", "zmq::"));
}

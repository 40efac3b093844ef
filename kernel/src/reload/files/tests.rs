use std::time::Duration;

use crossbeam_channel::unbounded;

use super::super::walk::Bounds;
use super::super::watcher::Watcher;
use super::*;
use crate::testing::directory_with;

#[test]
fn files_and_directories_give_modules_in_the_order_of_watching() {
    let directory =
        directory_with(&[("b.rs", ""), ("flows/a.rs", ""), ("flows/sub/2d.rs", ""), ("flows/mod.rs", "")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("b.rs", directory.path()).expect("a file");
    watch_set.add("./flows", directory.path()).expect("a directory");
    watch_set.add("flows/a.rs", directory.path()).expect("a file that is watched already");
    let snapshot = read(&watch_set, &[], directory.path());
    let paths: Vec<&str> = snapshot.sources.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["b.rs", "flows/a.rs", "flows/sub/2d.rs"]);
    assert_eq!(snapshot.modules, [vec!["b"], vec!["a"], vec!["sub", "m2d"]]);
}

#[test]
fn a_file_of_a_package_brings_the_modules_that_it_may_use() {
    let directory = directory_with(&[
        ("shop/Cargo.toml", "[package]\nname = \"shop\""),
        ("shop/src/lib.rs", "pub mod transforms; mod types;"),
        ("shop/src/types.rs", ""),
        ("shop/src/transforms/mod.rs", "pub mod a; mod hidden;"),
        ("shop/src/transforms/a.rs", ""),
        ("shop/src/transforms/hidden.rs", ""),
        ("shop/src/transforms/loose.rs", ""),
        ("b.rs", ""),
    ]);
    let mut watch_set = WatchSet::default();
    watch_set.add("b.rs", directory.path()).expect("a file");
    watch_set.add("shop/src/transforms/a.rs", directory.path()).expect("a file of a package");
    let snapshot = read(&watch_set, &[], directory.path());
    let modules: Vec<String> = snapshot.modules.iter().map(|it| it.join("::")).collect();
    assert_eq!(modules, ["b", "transforms::a", "transforms", "transforms::hidden", "types"]);
    assert_eq!(snapshot.sources.helpers, BTreeSet::from([2, 3, 4]));
    assert_eq!(snapshot.package.as_deref(), Some(&*directory.path().join("shop")));
    assert_eq!(snapshot.diagnostics, []);
    let before = snapshot.hash;
    fs::write(directory.path().join("shop/Cargo.toml"), "[package]\nname = \"shop\"\n").expect("edited");
    assert_ne!(read(&watch_set, &[], directory.path()).hash, before);
    for (file, code) in [("loose.rs", "undeclared-module"), ("hidden.rs", "private-module")] {
        let mut watch_set = WatchSet::default();
        watch_set.add(&format!("shop/src/transforms/{file}"), directory.path()).expect("a file");
        let codes: Vec<String> =
            read(&watch_set, &[], directory.path()).diagnostics.into_iter().map(|it| it.code).collect();
        assert_eq!(codes, [code]);
    }
    let mut whole = WatchSet::default();
    whole.add("shop", directory.path()).expect("a package");
    let snapshot = read(&whole, &[], directory.path());
    let nodes = (0..snapshot.modules.len() as u32).filter(|it| !snapshot.sources.helpers.contains(it));
    let nodes: Vec<String> = nodes.map(|it| snapshot.modules[it as usize].join("::")).collect();
    assert_eq!(nodes, ["transforms::a", "types"]);
    let mut sources = WatchSet::default();
    sources.add("shop/src", directory.path()).expect("its sources");
    let codes: Vec<String> =
        read(&sources, &[], directory.path()).diagnostics.into_iter().map(|it| it.code).collect();
    assert_eq!(codes, ["private-module", "undeclared-module"]);
    let refused = WatchSet::default().add("shop/src/lib.rs", directory.path()).unwrap_err();
    assert!(refused.contains("is the crate root of its package"), "{refused}");
}

#[test]
fn a_path_that_is_not_there_or_not_rust_is_refused() {
    let directory = directory_with(&[("a.txt", ""), ("empty/x.txt", "")]);
    let mut watch_set = WatchSet::default();
    let refused = |watch_set: &mut WatchSet, path: &str| watch_set.add(path, directory.path()).unwrap_err();
    assert!(refused(&mut watch_set, "b.rs").starts_with("there is no `b.rs`"));
    assert!(refused(&mut watch_set, "a.txt").contains("is not a Rust file"));
    assert!(refused(&mut watch_set, "empty").contains("holds no `.rs` files"));
    assert_eq!(watch_set, WatchSet::default());
}

#[test]
fn the_hash_follows_content_and_nothing_else() {
    let directory = directory_with(&[("a.rs", "pub fn a() {}")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", directory.path()).expect("a file");
    let first = read(&watch_set, &[], directory.path());
    fs::write(directory.path().join("a.rs"), "pub fn a() {}").expect("the same again");
    assert_eq!(read(&watch_set, &[], directory.path()).hash, first.hash);
    fs::write(directory.path().join("a.rs"), "pub fn b() {}").expect("another");
    assert_ne!(read(&watch_set, &[], directory.path()).hash, first.hash);
}

#[test]
fn a_deleted_file_and_a_bad_byte_are_told_and_change_the_hash() {
    let directory = directory_with(&[("a.rs", "x"), ("b.rs", "y")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", directory.path()).expect("a file");
    watch_set.add("b.rs", directory.path()).expect("a file");
    let before = read(&watch_set, &[], directory.path()).hash;
    fs::remove_file(directory.path().join("a.rs")).expect("removed");
    fs::write(directory.path().join("b.rs"), b"ok\n\xff").expect("bytes");
    let snapshot = read(&watch_set, &[], directory.path());
    let codes: Vec<&str> = snapshot.diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["unreadable-file", "not-utf8"]);
    assert!(snapshot.diagnostics[1].message.contains("line 2"));
    assert_ne!(snapshot.hash, before);
}

fn codes(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.diagnostics.iter().map(|it| it.code.as_str()).collect()
}

fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

#[test]
fn links_are_followed_once_and_a_file_goes_by_its_own_name() {
    let directory = directory_with(&[("flows/z/a.rs", ""), ("outside/b.rs", ""), ("c.rs", "")]);
    let link = |to: &str, name: &str| {
        let to = directory.path().join(to);
        std::os::unix::fs::symlink(to, directory.path().join("flows").join(name)).expect("a link");
    };
    // Each of these alone leads to itself for ever, and both together twice as often at every step.
    link("flows", "one");
    link("flows", "two");
    link("flows/z", "first");
    link("flows/z/a.rs", "again.rs");
    link("outside", "outside");
    link("outside/b.rs", "z/b.rs");
    link("c.rs", "c.rs");
    link("nowhere", "nowhere.rs");
    link("flows/three", "three");
    let mut watch_set = WatchSet::default();
    watch_set.add("flows", directory.path()).expect("a directory");
    let snapshot = read(&watch_set, &[], directory.path());
    let paths: Vec<&str> = snapshot.sources.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["flows/c.rs", "flows/nowhere.rs", "flows/outside/b.rs", "flows/z/a.rs"]);
    assert_eq!(codes(&snapshot), ["unreadable-file"]);
}

#[test]
fn what_is_no_regular_file_is_refused_by_name_and_told_when_a_file_becomes_it() {
    let directory = directory_with(&[("a.rs", "pub fn a() {}"), ("flows/b.rs", "")]);
    let base = directory.path();
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", base).expect("a file");
    watch_set.add("flows", base).expect("a directory");
    for file in ["a.rs", "flows/b.rs", "flows/new.rs"] {
        let _ = fs::remove_file(base.join(file));
        make_pipe(&base.join(file));
    }
    let _socket = std::os::unix::net::UnixListener::bind(base.join("socket.rs")).expect("a socket");
    let snapshot = read(&watch_set, &[], base);
    assert_eq!(codes(&snapshot), ["unreadable-file"; 3]);
    assert_eq!(
        snapshot.diagnostics[0].message,
        "`a.rs` is watched and cannot be read: it is a named pipe, no regular file"
    );
    assert!(snapshot.sources.files.iter().all(|it| it.text.is_empty()));
    let refused = |path: &str| WatchSet::default().add(path, base).expect_err(path);
    assert_eq!(refused("a.rs"), "`a.rs` is a named pipe; only regular files and directories can be watched");
    assert_eq!(refused("flows"), "`flows/b.rs` is a named pipe; only regular files can be watched");
    assert!(refused("socket.rs").starts_with("`socket.rs` is a socket;"));
    assert!(refused("/dev/null").starts_with("`/dev/null` is a device;"));
    let unread = |path: &Path| read_file(path, SOURCE_LIMIT).expect_err("not read").to_string();
    assert_eq!(unread(&base.join("socket.rs")), "it is a socket, no regular file");
    assert_eq!(unread(base), "it is a directory, no regular file");
}

#[test]
fn what_is_included_may_be_large_but_must_be_regular() {
    let directory = directory_with(&[
        ("a.rs", ""),
        ("data.txt", "x".repeat(6_000_000).as_str()),
        ("deep.rs", "(".repeat(50_000).as_str()),
        ("deep.txt", "(".repeat(50_000).as_str()),
    ]);
    make_pipe(&directory.path().join("pipe.txt"));
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", directory.path()).expect("a file");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let names = ["data.txt", "deep.rs", "deep.txt", "pipe.txt", "missing.txt", ""].map(path);
    let snapshot = read(&watch_set, &names, directory.path());
    let told: Vec<&str> = snapshot.diagnostics.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "`deep.rs`, which is included, nests brackets more than 200 deep in line 1",
            "`pipe.txt` is included and cannot be read: it is a named pipe, no regular file",
        ]
    );
    let size = |it: &String| snapshot.included.get(it).map(Vec::len);
    let sizes: Vec<_> = names.iter().map(size).collect();
    assert_eq!(sizes, [Some(6_000_000), Some(50_000), Some(50_000), None, None, None]);
}

#[test]
fn a_source_file_may_hold_five_megabytes() {
    let text = |size: usize| format!("//{}", "x".repeat(size - 2));
    let (fits, large) = (text(5_000_000), text(6_000_000));
    let directory = directory_with(&[("a.rs", fits.as_str()), ("flows/b.rs", large.as_str())]);
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", directory.path()).expect("as much as is allowed");
    for path in ["flows", "flows/b.rs"] {
        let refused = watch_set.add(path, directory.path()).expect_err(path);
        let expected = "`flows/b.rs` holds 6.0 MB, and a watched file may hold 5.0 MB: keep data in a file";
        assert!(refused.starts_with(expected), "{refused}");
    }
    let before = read(&watch_set, &[], directory.path());
    assert_eq!(codes(&before), [""; 0]);
    fs::write(directory.path().join("a.rs"), text(5_000_001)).expect("grown");
    let snapshot = read(&watch_set, &[], directory.path());
    assert_eq!(codes(&snapshot), ["file-too-large"]);
    assert_eq!(snapshot.sources.files[0].text, "");
    assert_ne!(snapshot.hash, before.hash);
}

#[test]
fn a_walk_has_an_end() {
    let many = |bounds: &Bounds, files: &[(&str, &str)]| rust_files(directory_with(files).path(), bounds).1;
    let files = [("a/b/c.rs", ""), ("a/d.rs", ""), ("e.txt", "")];
    let bounds = |files, entries, depth| Bounds { files, entries, depth };
    assert_eq!(many(&bounds(2, 5, 2), &files), None);
    assert_eq!(many(&bounds(1, 5, 2), &files).as_deref(), Some("holds more than 1 Rust files"));
    assert_eq!(many(&bounds(2, 4, 2), &files).as_deref(), Some("holds more than 4 files and directories"));
    assert_eq!(many(&bounds(2, 5, 1), &files).as_deref(), Some("has directories more than 1 deep"));
    let deep = format!("flows/{}a.rs", "d/".repeat(BOUNDS.depth + 1));
    let directory = directory_with(&[("flows/a.rs", "")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("flows", directory.path()).expect("a directory");
    fs::create_dir_all(directory.path().join(&deep).parent().expect("it has one")).expect("directories");
    fs::write(directory.path().join(&deep), "").expect("a file");
    let snapshot = read(&watch_set, &[], directory.path());
    assert_eq!(codes(&snapshot), ["too-many-files"]);
    assert_eq!(snapshot.diagnostics[0].message, "`flows` has directories more than 32 deep");
    let refused = WatchSet::default().add("flows", directory.path()).unwrap_err();
    assert!(refused.starts_with("`flows` has directories more than 32 deep; watch"), "{refused}");
}

#[test]
fn a_file_that_is_nested_too_deeply_is_told_before_the_compiler_sees_it() {
    for open in ["(", "[", "{"] {
        let text = format!("pub fn a() {{\n{}", open.repeat(50_000));
        let directory = directory_with(&[("a.rs", text.as_str())]);
        let mut watch_set = WatchSet::default();
        watch_set.add("a.rs", directory.path()).expect("a file");
        let snapshot = read(&watch_set, &[], directory.path());
        assert_eq!(codes(&snapshot), ["nested-too-deeply"]);
        let parsed = brooklet_graph::parse::parse(&snapshot.sources, &snapshot.modules);
        // The same, so that it is told once.
        assert_eq!(parsed.diagnostics, snapshot.diagnostics);
        let place = snapshot.sources.line_column(snapshot.diagnostics[0].labels[0].span);
        assert_eq!((place.line, place.column), (2, 200));
    }
}

#[test]
fn a_module_that_is_no_regular_file_is_told_as_one() {
    let directory = directory_with(&[
        ("shop/Cargo.toml", "[package]\nname = \"shop\""),
        ("shop/src/lib.rs", "pub mod a; pub mod b; pub mod gone;"),
        ("shop/src/b.rs", ""),
    ]);
    make_pipe(&directory.path().join("shop/src/a.rs"));
    let mut watch_set = WatchSet::default();
    watch_set.add("shop/src/b.rs", directory.path()).expect("a file");
    let snapshot = read(&watch_set, &[], directory.path());
    assert_eq!(codes(&snapshot), ["unreadable-file"]);
    assert!(snapshot.diagnostics[0].message.starts_with("`shop/src/a.rs` is watched"));
    let refused = WatchSet::default().add("shop", directory.path()).unwrap_err();
    assert!(refused.starts_with("`shop/src/a.rs` is a named pipe"), "{refused}");
}

#[test]
fn two_files_of_one_name_get_two_modules() {
    let directory = directory_with(&[("x/a.rs", ""), ("y/a.rs", "")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("x/a.rs", directory.path()).expect("a file");
    watch_set.add("y/a.rs", directory.path()).expect("a file");
    assert_eq!(read(&watch_set, &[], directory.path()).modules, [vec!["a"], vec!["y_a"]]);
}

#[test]
fn a_save_by_rename_wakes_once() {
    let directory = directory_with(&[("a.rs", "1")]);
    let mut watch_set = WatchSet::default();
    watch_set.add("a.rs", directory.path()).expect("a file");
    let (wake, woken) = unbounded();
    let watcher = Watcher::new(move || wake.send(()).is_ok());
    watcher.follow(&watch_set);
    fs::write(directory.path().join(".a.rs.swp"), "2").expect("written");
    fs::rename(directory.path().join(".a.rs.swp"), directory.path().join("a.rs")).expect("renamed");
    woken.recv_timeout(Duration::from_secs(20)).expect("a wake");
    assert_eq!(read(&watch_set, &[], directory.path()).sources.files[0].text, "2");
}

//! JupyterLab in a headless Chromium: what a person sees when running the tour.
//!
//! Chromium is used where it is found, and installed where this process may (Debian, as root). Elsewhere the
//! test is reported as not run, by name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::python::{repository, run};

#[test]
fn jupyterlab_shows_the_tour() {
    let Some(chromium) = chromium() else {
        eprintln!(
            "NOT RUN: jupyterlab_shows_the_tour (there is no Chromium, and it cannot be installed here)"
        );
        return;
    };
    let screenshots = repository().join("target").join("screenshots");
    run("test_browser.py", &[("CHROMIUM", &chromium), ("SCREENSHOTS", &screenshots)]);
}

fn chromium() -> Option<PathBuf> {
    if let Some(path) = find() {
        return Some(path);
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command.status().is_ok_and(|it| it.success())
    };
    // Without the rights to install, apt-get fails at once.
    if apt(&["-q", "update"]) {
        apt(&["-q", "install", "-y", "chromium"]);
    }
    find()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|it: &PathBuf| Path::is_file(it))
}

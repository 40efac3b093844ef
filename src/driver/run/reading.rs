//! Files that nodes read: looked at before a node runs, and once more when it has.

use std::path::Path;
use std::sync::Arc;

use brooklet_graph::wire::Event;

use super::Running;
use crate::driver::files;
use crate::version::Version;

impl Running<'_> {
    /// Notes what the files hold that a node's parameters name. False if first a value has to be computed that says which.
    pub(super) fn look_at_files(&mut self, index: usize) -> Result<bool, String> {
        let node = &self.driver.committed.nodes[index];
        let naming: Vec<usize> = (0..node.feeds.len()).filter(|it| node.feeds[*it].names_files).collect();
        let from: Vec<usize> = naming.iter().filter_map(|it| node.feeds[*it].from).collect();
        let missing: Vec<usize> = from.into_iter().filter(|it| !self.obtain(*it)).collect();
        if !missing.is_empty() {
            self.wait_for(index, missing);
            return Ok(false);
        }
        let mut found = Vec::new();
        for at in naming {
            let Some(value) = self.fed(index, at).map(|it| it.value.clone()) else { continue };
            let name = self.driver.committed.nodes[index].names.feeds[at].clone();
            let paths = files::paths_of(&value).ok_or_else(|| {
                format!("`#[cache(file(..))]`: `{name}` is a `{}`, which names no files", value.type_name())
            })?;
            for path in paths {
                let shown = path.to_string_lossy().into_owned();
                match self.driver.files.version(&self.driver.base, &path)? {
                    Some(version) => found.push((shown, version)),
                    None => drop(self.unseen.insert(index, shown)),
                }
            }
        }
        self.files.insert(index, found.into());
        Ok(true)
    }

    /// The files that a node may have read: those that its parameters name, and those that plans still read which it
    /// takes.
    pub(super) fn files_of(&self, index: usize) -> Arc<[(String, Version)]> {
        let own = self.files.get(&index);
        let feeds = 0..self.driver.committed.nodes[index].feeds.len();
        let reads = feeds.filter_map(|at| self.fed(index, at)).flat_map(|it| it.reads.iter().cloned());
        let mut all: Vec<(String, Version)> = reads.collect();
        if all.is_empty() {
            return own.cloned().unwrap_or_default();
        }
        all.extend(own.iter().flat_map(|it| it.iter().cloned()));
        all.into()
    }

    /// Whether files are what they were.
    pub(super) fn stayed(&mut self, files: &[(String, Version)]) -> bool {
        let driver = &mut *self.driver;
        files.iter().all(|(path, version)| {
            driver.files.version(&driver.base, Path::new(path)).is_ok_and(|it| it == Some(*version))
        })
    }

    pub(super) fn warn(&mut self, index: usize, message: String) {
        let node = self.name(index);
        self.report.warnings.push((node.clone(), message.clone()));
        (self.events)(Event::DidWarn { node, message });
    }
}

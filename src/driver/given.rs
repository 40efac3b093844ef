//! Values that the caller gives: inputs, and overrides in the place of nodes.
//!
//! Literals are decoded when a run needs them, by the type that their consumers take. A file may change
//! between two runs, so a decoded file counts only as long as the file looks the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brooklet_graph::graph::{Literals, NodeKind};
use brooklet_graph::wire::Failure;

use super::Driver;
use super::Request;
use crate::executor::Computed;
use crate::glue::TypeInfo;
use crate::literal::{self, LiteralContext};
use crate::value::Decode;
use crate::version::Version;

/// A decoded literal.
pub(super) struct Given {
    raw: String,
    ty: TypeInfo,
    files: Vec<(PathBuf, Option<Stamp>)>,
    pub computed: Arc<Computed>,
}

/// What changes when a file is written: device, inode, length, times of content and of status.
type Stamp = [i64; 7];

fn stamp(path: &Path) -> Option<Stamp> {
    let it = fs::metadata(path).ok()?;
    Some([
        it.dev() as i64,
        it.ino() as i64,
        it.size() as i64,
        it.mtime(),
        it.mtime_nsec(),
        it.ctime(),
        it.ctime_nsec(),
    ])
}

/// What a request needs, or everything that is wrong with it.
pub(super) struct Prepared {
    /// Targets in the order asked for, without repetitions.
    pub targets: Vec<usize>,
    /// By node: whether a target needs it.
    pub needed: Vec<bool>,
    /// By node: the given value.
    pub given: Vec<Option<Arc<Computed>>>,
    pub failures: Vec<Failure>,
    pub unused_inputs: Vec<String>,
}

impl Driver {
    /// Says what a run would find wrong before its first step; runs nothing.
    pub fn check(&mut self, request: &Request) -> Vec<Failure> {
        self.prepare(request).failures
    }

    pub(super) fn prepare(&mut self, request: &Request) -> Prepared {
        let count = self.committed.nodes.len();
        let mut failures = Vec::new();
        let mut targets = Vec::new();
        for name in &request.targets {
            match self.committed.find(name) {
                Some(index) if targets.contains(&index) => {}
                Some(index) => targets.push(index),
                None => failures.push(problem("UnknownTarget", name, format!("there is no node `{name}`"))),
            }
        }
        let mut literals: Vec<Option<&str>> = vec![None; count];
        let unused_inputs = self.place(&request.inputs, &request.overrides, &mut literals, &mut failures);
        let needed = self.needed(&targets, &literals);
        let mut given = vec![None; count];
        for index in (0..count).filter(|it| needed[*it]) {
            match literals[index] {
                Some(raw) => match self.decode(index, raw) {
                    Ok(computed) => given[index] = Some(computed),
                    Err(failure) => failures.push(failure),
                },
                None if self.committed.nodes[index].function.is_none() => {
                    failures.extend(self.missing(index, &needed, targets.contains(&index)));
                }
                None => {}
            }
        }
        Prepared { targets, needed, given, failures, unused_inputs }
    }

    fn is_absence(&self, input: &str, raw: &str) -> bool {
        let consumers = || self.committed.graph.nodes.values().flat_map(|it| &it.dependencies);
        raw.trim() == "null" && consumers().filter(|it| it.name == input).all(|it| it.optional)
    }

    /// Puts raw literals to their nodes; the names of inputs that no node takes.
    fn place<'a>(
        &self,
        inputs: &'a Literals,
        overrides: &'a Literals,
        literals: &mut [Option<&'a str>],
        failures: &mut Vec<Failure>,
    ) -> Vec<String> {
        let mut unused = Vec::new();
        for (name, raw) in inputs {
            match self.committed.graph.nodes.get_full(name) {
                // `null` for a parameter that may be absent makes it absent.
                Some((_, _, node)) if node.kind == NodeKind::Input && self.is_absence(name, raw) => {}
                Some((index, _, node)) if node.kind == NodeKind::Input => literals[index] = Some(raw),
                _ => unused.push(name.clone()),
            }
        }
        for (name, raw) in overrides {
            match self.committed.find(name) {
                Some(index) => literals[index] = Some(raw),
                None => failures.push(problem(
                    "UnknownTarget",
                    name,
                    format!("there is no node `{name}` to override"),
                )),
            }
        }
        unused
    }

    /// What the targets need; nothing above a given value is.
    fn needed(&self, targets: &[usize], literals: &[Option<&str>]) -> Vec<bool> {
        let mut needed = vec![false; self.committed.nodes.len()];
        for target in targets {
            needed[*target] = true;
        }
        // Dependencies stand before their dependents, so one pass backwards reaches all of them.
        for index in (0..needed.len()).rev() {
            if needed[index] && literals[index].is_none() {
                for feed in &self.committed.nodes[index].feeds {
                    needed[feed.index] = true;
                }
            }
        }
        needed
    }

    /// An input without a value is a fault if something needs it.
    fn missing(&self, input: usize, needed: &[bool], is_target: bool) -> Option<Failure> {
        let consumers: Vec<String> = self.committed.nodes[input]
            .dependents
            .iter()
            .filter(|it| needed[**it])
            .filter(|it| {
                self.committed.nodes[**it].feeds.iter().any(|feed| feed.index == input && !feed.optional)
            })
            .map(|it| format!("`{}`", self.committed.name(*it)))
            .collect();
        let name = self.committed.name(input);
        let message = match consumers.as_slice() {
            [] if is_target => format!("`{name}` has no value"),
            [] => return None,
            some => format!("`{name}` has no value; needed by {}", some.join(", ")),
        };
        let example = self.committed.nodes[input].holds.map_or_else(String::new, |(ty, _)| ty.short());
        let hint = format!("give it one: `%input {name}=..` (a `{example}`)");
        Some(Failure { hint: Some(hint), ..problem("MissingInput", name, message) })
    }

    fn decode(&mut self, index: usize, raw: &str) -> Result<Arc<Computed>, Failure> {
        let name = self.committed.name(index).to_owned();
        let Some((ty, decode)) = self.committed.nodes[index].holds else {
            return Err(problem(
                "BadLiteral",
                &name,
                format!("no node takes `{name}`, so its type is not known"),
            ));
        };
        if let Some(given) = self.given.get(&name)
            && given.raw == raw
            && given.ty.id == ty.id
            && given.files.iter().all(|(path, before)| before.is_some() && stamp(path) == *before)
        {
            return Ok(given.computed.clone());
        }
        let given = read(&name, raw, ty, decode, &self.base)?;
        let computed = given.computed.clone();
        self.given.insert(name, given);
        Ok(computed)
    }
}

fn read(name: &str, raw: &str, ty: TypeInfo, decode: Option<Decode>, base: &Path) -> Result<Given, Failure> {
    let context = LiteralContext::new(name, base);
    let value = crate::panics::catch(|| literal::decode(raw, ty, decode, &context))
        .unwrap_or_else(|panic| Err(problem("BadLiteral", name, panic.message)))?;
    let files: Vec<_> = context.files.into_inner().into_iter().map(|it| (stamp(&it), it)).collect();
    // What cannot be hashed (a lazy frame, a type of the user) is known by how it was written.
    let derived = Version::of_bytes(format!("{}\0{raw}\0{}\0{files:?}", ty.name, base.display()).as_bytes());
    let computed = Arc::new(Computed::new(value, derived));
    let files = files.into_iter().map(|(stamp, path)| (path, stamp)).collect();
    Ok(Given { raw: raw.to_owned(), ty, files, computed })
}

fn problem(kind: &str, node: &str, message: String) -> Failure {
    Failure { kind: kind.to_owned(), node: node.to_owned(), message, chain: Vec::new(), hint: None }
}

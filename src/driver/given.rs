//! Values that the caller gives: inputs, and overrides in the place of nodes.
//!
//! Literals are decoded when a run needs them, by the type that their consumers take. A file may change
//! between two runs, so a decoded file counts only as long as the file looks the same.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use brooklet_graph::graph::{Behaviour, Literals, NodeKind};
use brooklet_graph::wire::{Failure, Recompute};

use super::Request;
use super::commit::Ready;
use super::files::{Files, Look};
use super::{Driver, unique};
use crate::executor::Computed;
use crate::foreign::{self, Doing};
use crate::glue::TypeInfo;
use crate::literal::{self, LiteralContext};
use crate::panics::{self, Panic};
use crate::value::{Decode, Value};
use crate::version::{Encoder, Version};

/// A decoded literal.
pub(super) struct Given {
    raw: String,
    ty: TypeInfo,
    /// Files that it was read from, as they looked; `None` where that cannot tell another content.
    files: Vec<(PathBuf, Option<Look>)>,
    pub computed: Arc<Computed>,
}

/// By node and feed.
pub(super) type WrittenValues = HashMap<(usize, usize), Arc<Computed>>;

/// Something that was asked for.
#[derive(Clone)]
pub(super) enum Target {
    Node(usize),
    /// A given value that no node takes: it is what it is.
    Plain(String, Value),
}

/// What a request needs, or everything that is wrong with it.
#[derive(Clone)]
pub(super) struct Prepared {
    /// In the order asked for, without repetitions.
    pub targets: Vec<Target>,
    /// By node: whether a target needs it.
    pub needed: Vec<bool>,
    /// By node: whether it runs though its result is kept.
    pub again: Vec<bool>,
    /// By node: the given value.
    pub given: Vec<Option<Arc<Computed>>>,
    /// Literals of attributes that go into the needed nodes.
    pub written: WrittenValues,
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
        let mut asked = Vec::new();
        for name in &request.targets {
            match (self.committed.find(name), self.plain(name, request)) {
                (Some(index), _) if asked.contains(&index) => {}
                (Some(index), _) => {
                    asked.push(index);
                    targets.push(Target::Node(index));
                }
                (None, Some(value)) => targets.push(Target::Plain(name.clone(), value)),
                (None, None) => {
                    let absent = self.committed.graph.absent.get(name).map(|it| it.message.clone());
                    let message = absent.unwrap_or_else(|| format!("there is no node `{name}`"));
                    failures.push(problem("unknown-target", name, message));
                }
            }
        }
        let mut literals: Vec<Option<&str>> = vec![None; count];
        let mut unused_inputs = self.place(&request.inputs, &request.overrides, &mut literals, &mut failures);
        unused_inputs.retain(|it| !request.targets.contains(it));
        let values = self.place_values(request, &mut failures, &mut unused_inputs);
        let is_given = |index: usize| literals[index].is_some() || values.contains_key(&index);
        let nulls: HashSet<usize> = request
            .inputs
            .iter()
            .filter(|(name, raw)| self.is_absence(name, raw))
            .filter_map(|(name, _)| self.committed.find(name))
            .collect();
        let is_none = |index: usize| nulls.contains(&index);
        let needed = self.needed(&asked, &is_given);
        let again = self.again(&request.recompute, &mut failures);
        let mut given = vec![None; count];
        let mut written = WrittenValues::new();
        for index in (0..count).filter(|it| needed[*it]) {
            if let Some(value) = values.get(&index) {
                given[index] = Some(value.clone());
                continue;
            }
            match literals[index] {
                Some(raw) => match self.decode(index, raw) {
                    Ok(computed) => given[index] = Some(computed),
                    Err(failure) => failures.push(failure),
                },
                None if self.committed.nodes[index].call.is_none() => {
                    failures.extend(self.missing(index, &needed, asked.contains(&index)));
                }
                None => self.read_written(index, &is_given, &is_none, &mut written, &mut failures),
            }
        }
        Prepared { targets, needed, again, given, written, failures, unused_inputs }
    }

    /// A given value that is no node's, as what it is written as.
    fn plain(&self, name: &str, request: &Request) -> Option<Value> {
        if let Some(given) = request.values.get(name) {
            return Some(given.value.clone());
        }
        let raw = request.inputs.get(name)?;
        literal::plain(raw, name)
    }

    /// Decodes the literals that attributes feed into a node, but for defaults that something stands before.
    fn read_written(
        &mut self,
        index: usize,
        is_given: &dyn Fn(usize) -> bool,
        is_none: &dyn Fn(usize) -> bool,
        into: &mut WrittenValues,
        failures: &mut Vec<Failure>,
    ) {
        for at in 0..self.committed.nodes[index].feeds.len() {
            let feed = &self.committed.nodes[index].feeds[at];
            let Some(written) = feed.literal.clone() else { continue };
            let is_provided = |it: usize| self.committed.nodes[it].call.is_some() || is_given(it);
            if feed.from.is_some_and(is_provided) {
                continue;
            }
            // `null` for an `Option` is a value like any other: none.
            if feed.takes_none && feed.from.is_some_and(is_none) {
                continue;
            }
            let node = self.committed.name(index).to_owned();
            // What a literal becomes may bear the parameter's name: a series does.
            let slot = format!("{node}\0{at}\0{}", written.parameter);
            match self.decoded(&slot, &written.parameter, &written.raw, written.ty, written.decode) {
                Ok(computed) => drop(into.insert((index, at), computed)),
                Err(failure) => {
                    let message = format!("in an attribute of `{node}`: {}", failure.message);
                    failures.push(Failure { node, message, place: Some(written.span), ..failure });
                }
            }
        }
    }

    /// Puts values of a program to their nodes.
    fn place_values(
        &self,
        request: &Request,
        failures: &mut Vec<Failure>,
        unused: &mut Vec<String>,
    ) -> HashMap<usize, Arc<Computed>> {
        let mut placed = HashMap::new();
        let all = request
            .values
            .iter()
            .map(|it| (it, true))
            .chain(request.value_overrides.iter().map(|it| (it, false)));
        for ((name, given), is_input) in all {
            let node = self.committed.graph.nodes.get_full(name);
            let index = match node {
                Some((index, _, node)) if !is_input || node.kind == NodeKind::Input => index,
                _ if is_input => {
                    if !request.targets.contains(name) || node.is_some() {
                        unused.push(name.clone());
                    }
                    continue;
                }
                _ => {
                    failures.push(problem(
                        "unknown-target",
                        name,
                        format!("there is no node `{name}` to override"),
                    ));
                    continue;
                }
            };
            let expected = self.committed.nodes[index].holds.map(|it| it.0);
            if let Some(expected) = expected.filter(|it| it.id != given.value.type_id()) {
                let found = given.value.type_name();
                let message = format!("`{name}` needs `{}`, but `{found}` was given", expected.short());
                failures.push(problem("bad-literal", name, message));
                continue;
            }
            placed.insert(index, Arc::new(given.computed()));
        }
        placed
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
                    "unknown-target",
                    name,
                    format!("there is no node `{name}` to override"),
                )),
            }
        }
        unused
    }

    /// By node: whether it is computed again, by its attribute or on demand.
    fn again(&self, recompute: &Recompute, failures: &mut Vec<Failure>) -> Vec<bool> {
        let is_always = |it: &Ready| it.caching.behaviour == Behaviour::Recompute;
        let mut again: Vec<bool> =
            self.committed.nodes.iter().map(|it| *recompute == Recompute::All || is_always(it)).collect();
        if let Recompute::Nodes(nodes) = recompute {
            for name in nodes {
                match self.committed.find(name) {
                    Some(index) => again[index] = true,
                    None => {
                        let message = format!("there is no node `{name}` to compute again");
                        failures.push(problem("unknown-target", name, message));
                    }
                }
            }
        }
        again
    }

    /// What the targets need; nothing above a given value is.
    fn needed(&self, targets: &[usize], is_given: &dyn Fn(usize) -> bool) -> Vec<bool> {
        let mut needed = vec![false; self.committed.nodes.len()];
        for target in targets {
            needed[*target] = true;
        }
        // Dependencies stand before their dependents, so one pass backwards reaches all of them.
        for index in (0..needed.len()).rev() {
            if needed[index] && !is_given(index) {
                for from in self.committed.nodes[index].feeds.iter().filter_map(|it| it.from) {
                    needed[from] = true;
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
                self.committed.nodes[**it].feeds.iter().any(|feed| feed.from == Some(input) && !feed.optional)
            })
            .map(|it| format!("`{}`", self.committed.name(*it)))
            .collect();
        let name = self.committed.name(input);
        if let Some(absent) =
            self.committed.graph.absent.get(name).filter(|_| !consumers.is_empty() || is_target)
        {
            let hint = Some(absent.hint.clone());
            return Some(Failure { hint, ..problem("no-variant", name, absent.message.clone()) });
        }
        let message = match consumers.as_slice() {
            [] if is_target => format!("`{name}` has no value"),
            [] => return None,
            some => format!("`{name}` has no value; needed by {}", some.join(", ")),
        };
        let example = self.committed.nodes[input].holds.map_or_else(String::new, |(ty, _)| ty.short());
        let hint = format!("give it one: `%input {name}=..` (a `{example}`)");
        Some(Failure { hint: Some(hint), ..problem("missing-input", name, message) })
    }

    fn decode(&mut self, index: usize, raw: &str) -> Result<Arc<Computed>, Failure> {
        let name = self.committed.name(index).to_owned();
        let Some((ty, decode)) = self.committed.nodes[index].holds else {
            return Err(problem(
                "bad-literal",
                &name,
                format!("no node takes `{name}`, so its type is not known"),
            ));
        };
        self.decoded(&name, &name, raw, ty, decode)
    }

    /// A literal as a value; `slot` is where it stays as long as it and the files that it names are the same.
    fn decoded(
        &mut self,
        slot: &str,
        name: &str,
        raw: &str,
        ty: TypeInfo,
        decode: Option<Decode>,
    ) -> Result<Arc<Computed>, Failure> {
        if let Some(given) = self.given.get(slot)
            && given.raw == raw
            && given.ty.id == ty.id
            && given.files.iter().all(|(path, before)| before.is_some() && Look::at(path) == *before)
        {
            return Ok(given.computed.clone());
        }
        let given = read(name, raw, ty, decode, &self.base, &mut self.files)?;
        let computed = given.computed.clone();
        self.given.insert(slot.to_owned(), given);
        Ok(computed)
    }
}

fn read(
    name: &str,
    raw: &str,
    ty: TypeInfo,
    decode: Option<Decode>,
    base: &Path,
    files: &mut Files,
) -> Result<Given, Failure> {
    let moment = SystemTime::now();
    let context = LiteralContext::new(name, base);
    let short = ty.short();
    let doing = Doing { done: "read from its literal", node: name, ty: &short };
    let panicked = |panic: Panic, during: &str| {
        let chain = if panic.place.is_empty() { Vec::new() } else { vec![panic.place] };
        Failure { chain, ..problem("Panic", name, format!("{} (while {during})", panic.message)) }
    };
    let value = panics::catch(|| foreign::run(&doing, || literal::decode(raw, ty, decode, &context)));
    let value = value.unwrap_or_else(|panic| {
        Err(panicked(panic, &foreign::take_fault().unwrap_or_else(|| doing.sentence())))
    })?;
    value.belongs_to(name);
    let paths = context.files.into_inner();
    let mut reads: Arc<[(String, Version)]> = Arc::default();
    // What cannot be hashed (a lazy frame, a type of the user) is known by how it was written, and what is there.
    let derived = match value.ops().encode {
        Some(_) => Version::of_bytes(raw.as_bytes()),
        None => {
            let version = |it: &PathBuf| Ok((it.to_string_lossy().into_owned(), files.version(base, it)?));
            let seen: Result<Vec<_>, String> = paths.iter().map(version).collect();
            let seen = seen.map_err(|it| problem("bad-literal", name, it))?;
            let derived = written_version(raw, ty, base, &seen);
            reads = seen.into_iter().filter_map(|(path, version)| Some((path, version?))).collect();
            derived
        }
    };
    let computed = panics::catch(|| Arc::new(Computed { reads, ..Computed::new(value, derived) }));
    let computed = computed.map_err(|panic| panicked(panic, &foreign::take_fault().unwrap_or_default()))?;
    let look = |it: &PathBuf| Look::at(it).filter(|it| it.is_settled(moment));
    let files = paths.into_iter().map(|it| (it.clone(), look(&it))).collect();
    Ok(Given { raw: raw.to_owned(), ty, files, computed })
}

/// The version of what has none of its own: where and how it was written, and the content of the files. What cannot
/// be seen is another thing each time.
fn written_version(raw: &str, ty: TypeInfo, base: &Path, files: &[(String, Option<Version>)]) -> Version {
    let mut encoder = Encoder::new();
    encoder.text(ty.name);
    encoder.text(raw);
    encoder.text(&base.to_string_lossy());
    for (path, version) in files {
        encoder.text(path);
        encoder.bytes(&version.unwrap_or_else(unique).0);
    }
    encoder.finish().unwrap_or_else(unique)
}

fn problem(kind: &str, node: &str, message: String) -> Failure {
    Failure {
        kind: kind.to_owned(),
        node: node.to_owned(),
        message,
        chain: Vec::new(),
        hint: None,
        place: None,
    }
}

//! The code fingerprint of every node: a hash of all code that can change what the node computes.
//!
//! No syntax can tell exactly what a function reaches, so reach goes by name, over all files: each name that
//! reachable code mentions leads to every item of that name, in any namespace; a type or trait leads to every
//! impl whose header names it; a method's name leads to every impl and trait that has it. What works without
//! being named counts for all that stands beside it: glob imports, imported traits, inner attributes, included
//! files; and macro calls between items, whose products nobody sees, count everywhere.
//!
//! Guiding rule: too much costs a rerun, too little is a lie. What no syntax can see (clocks, `env!`, statics
//! with state) is listed in the limits.

pub(crate) mod explain;
mod knots;

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::facts::{Ambient, Digest, Facts, How, Include, Role, Word};
use super::lex::lex;
use super::tokens::{Lexed, is_keyword, plain};
use super::{Included, lex::Kind};
use knots::Knots;

/// Changes whenever the encoding does, so that fingerprints of different encodings never meet.
const DOMAIN: &[u8] = b"brooklet code fingerprint 2";

/// One file's part in the fingerprints.
pub(crate) struct FileFacts {
    /// The text that the facts' words are places in.
    pub text: Arc<str>,
    pub facts: Arc<Facts>,
    /// The directory that included paths are relative to.
    pub directory: String,
    /// By fact: `mod name;` of a file that is among the sources, whose contents need no guess.
    pub known_modules: BTreeSet<usize>,
}

/// The fingerprints of one file's nodes, each with the place of its function's name.
pub(crate) type OfFile = Vec<(u32, Digest)>;

/// The fingerprints of each file's nodes, with the places of the functions' names, in their order.
pub(crate) fn fingerprints(files: &[FileFacts], included: &Included) -> Vec<OfFile> {
    let linked = Linked::new(files, included);
    let knots = knots::knots(&linked.edges);
    let reach = linked.reach(&knots);
    let mut globals = Sum::default();
    for index in &linked.globals {
        globals.add(&reach[knots.of[*index as usize] as usize]);
    }
    let mut answer: Vec<OfFile> = files.iter().map(|_| Vec::new()).collect();
    let mut seen = vec![u32::MAX; linked.edges.len()];
    for (round, (file, fact)) in linked.nodes.iter().enumerate() {
        let index = linked.offsets[*file] + fact;
        let it = &files[*file].facts[*fact];
        let Some(own) = it.node else { continue };
        let fingerprint = match knots.is_knot[knots.of[index] as usize] {
            false => linked.fingerprint(index, &own, &knots, &reach, &globals),
            true => linked.fingerprint_in_knot(index, &own, &mut seen, round as u32),
        };
        answer[*file].push((it.name_start, fingerprint));
    }
    answer
}

/// A digest of a set of digests: their sum. The members are hashes, so that sums of two different sets meet no
/// more often than hashes do, and a sum needs no order.
#[derive(Clone, Copy, Default)]
struct Sum([u64; 4]);

impl Sum {
    fn add(&mut self, digest: &Digest) {
        for (limb, bytes) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *limb = limb.wrapping_add(u64::from_le_bytes(word));
        }
    }

    fn bytes(&self) -> Digest {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

/// The absolute path of an included file.
pub(crate) fn resolve(directory: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{directory}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// All facts of all files with the edges between them. Behind the facts stand the names that they mention, each
/// with edges to what it leads to: many facts mention the same.
struct Linked {
    /// Where each file's facts begin.
    offsets: Vec<usize>,
    /// Of the facts; names have none.
    digests: Vec<Digest>,
    edges: Vec<Vec<u32>>,
    /// What counts for every node.
    globals: Vec<u32>,
    /// File and fact of each node.
    nodes: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Named {
    entries: Vec<(u32, Role)>,
    has_function: bool,
    has_item: bool,
    has_trait: bool,
}

/// Only asked by name, never gone through, so its order does not matter.
type Names<'a> = FxHashMap<&'a str, Named>;

impl Linked {
    fn new(files: &[FileFacts], included: &Included) -> Linked {
        let mut offsets = Vec::new();
        let mut total = 0;
        for file in files {
            offsets.push(total);
            total += file.facts.len();
        }
        let mut names = Names::default();
        let all =
            || files.iter().enumerate().flat_map(|(file, it)| it.facts.iter().map(move |fact| (file, fact)));
        for (index, (file, fact)) in all().enumerate() {
            for (name, role) in &fact.names {
                let named = names.entry(name.in_text(&files[file].text)).or_default();
                named.entries.push((index as u32, *role));
                named.has_function |= *role == Role::Function;
                named.has_item |= *role == Role::Item;
                named.has_trait |= *role == Role::Item && fact.is_trait;
            }
        }
        let mut linked = Linked {
            digests: Vec::with_capacity(total),
            edges: vec![Vec::new(); total],
            globals: Vec::new(),
            nodes: Vec::new(),
            offsets,
        };
        let mut mentioned: FxHashMap<(&str, How), Option<u32>> = FxHashMap::default();
        // The same by the words of one file, which are numbers.
        let mut mentioned_in_file: FxHashMap<(Word, How), Option<u32>> = FxHashMap::default();
        let mut file_start = 0;
        let mut current = 0;
        let mut position = 0;
        for (index, (file, fact)) in all().enumerate() {
            if file != current {
                (current, file_start) = (file, index);
                mentioned_in_file.clear();
            }
            position = if index == file_start { 0 } else { position + 1 };
            let text = &*files[file].text;
            let is_known_module = files[file].known_modules.contains(&position);
            let mut targets: Vec<u32> = Vec::with_capacity(fact.mentions.len());
            for (word, how) in &fact.mentions {
                let target = mentioned_in_file.entry((*word, *how)).or_insert_with(|| {
                    let name = word.in_text(text);
                    *mentioned.entry((name, *how)).or_insert_with(|| {
                        let mut leads_to = Vec::new();
                        reach(&names, name, *how, &mut leads_to);
                        if leads_to.is_empty() {
                            return None;
                        }
                        linked.edges.push(leads_to);
                        Some(linked.edges.len() as u32 - 1)
                    })
                });
                targets.extend(*target);
            }
            let includes = if is_known_module { &[][..] } else { &fact.includes };
            let (digest, words) = with_includes(fact.digest, includes, &files[file].directory, included);
            for word in &words {
                reach(&names, word, How::Any, &mut targets);
            }
            if let Some(scope) = fact.scope {
                targets.push((file_start + scope) as u32);
                if counts_for_scope(&names, &fact.ambient, text) {
                    linked.edges[file_start + scope].push(index as u32);
                }
            }
            // Edges of an ambient `use` may have been added to its scope already.
            targets.append(&mut linked.edges[index]);
            targets.sort_unstable();
            targets.dedup();
            linked.edges[index] = targets;
            linked.digests.push(digest);
            if fact.global && !is_known_module {
                linked.globals.push(index as u32);
            }
            if fact.node.is_some() {
                linked.nodes.push((file, position));
            }
        }
        linked
    }

    /// By knot: a digest of its members and of all that they reach.
    fn reach(&self, knots: &Knots) -> Vec<Digest> {
        let mut reach: Vec<Digest> = Vec::with_capacity(knots.members.len());
        let mut children: Vec<u32> = Vec::new();
        for (knot, members) in knots.members.iter().enumerate() {
            let (mut own, mut below) = (Sum::default(), Sum::default());
            children.clear();
            for member in members {
                let member = *member as usize;
                if let Some(digest) = self.digests.get(member) {
                    own.add(digest);
                }
                children.extend(self.edges[member].iter().map(|it| knots.of[*it as usize]));
            }
            children.sort_unstable();
            children.dedup();
            // What a knot reaches comes before it.
            for child in children.iter().filter(|it| **it as usize != knot) {
                below.add(&reach[*child as usize]);
            }
            reach.push(digest_of(&[&own.bytes(), &below.bytes()]));
        }
        reach
    }

    /// Of a node that does not reach itself: its own digest, and all that it reaches.
    fn fingerprint(
        &self,
        root: usize,
        own: &Digest,
        knots: &Knots,
        reach: &[Digest],
        globals: &Sum,
    ) -> Digest {
        let mut children: Vec<u32> = self.edges[root].iter().map(|it| knots.of[*it as usize]).collect();
        children.sort_unstable();
        children.dedup();
        let mut below = Sum::default();
        for child in children {
            below.add(&reach[child as usize]);
        }
        digest_of(&[DOMAIN, own, &below.bytes(), &globals.bytes()])
    }

    /// Of a node in a knot: what its knot reaches would hold its own name, so the walk is done for it alone.
    fn fingerprint_in_knot(&self, root: usize, own: &Digest, seen: &mut [u32], round: u32) -> Digest {
        let mut stack: Vec<u32> = self.globals.clone();
        stack.extend(&self.edges[root]);
        let mut reached = Sum::default();
        let mut reaches_itself = false;
        while let Some(index) = stack.pop() {
            let index = index as usize;
            if std::mem::replace(&mut seen[index], round) == round {
                continue;
            }
            if index == root {
                reaches_itself = true;
                continue;
            }
            if let Some(digest) = self.digests.get(index) {
                reached.add(digest);
            }
            stack.extend(&self.edges[index]);
        }
        digest_of(&[DOMAIN, b"knot", own, &[u8::from(reaches_itself)], &reached.bytes()])
    }
}

fn digest_of(parts: &[&[u8]]) -> Digest {
    // Small pieces are gathered first: a hasher is slow with them.
    let mut buffer = [0; 192];
    let mut length = 0;
    for part in parts {
        buffer[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    *blake3::hash(&buffer[..length]).as_bytes()
}

/// What a mention of a name leads to.
fn reach(names: &Names<'_>, name: &str, how: How, targets: &mut Vec<u32>) {
    let Some(named) = names.get(name) else { return };
    for (index, role) in &named.entries {
        let leads = match (role, how) {
            (Role::Member, How::Parameter) => false,
            (Role::Member, _) => true,
            (_, How::Member) => false,
            (Role::Function, How::Parameter) => false,
            // An imported function is hidden by a parameter as well as a local one.
            (Role::Use, How::Parameter) => !named.has_function || named.has_item,
            // Foreign types are everywhere; their impls here are reached by trait and by method.
            (Role::Header, _) => named.has_item || named.entries.iter().any(|it| it.1 == Role::Use),
            (Role::Function | Role::Item | Role::Use, _) => true,
        };
        if leads {
            targets.push(*index);
        }
    }
}

/// Names from std that are no traits and are imported everywhere.
const STD_TYPES: [&str; 26] = [
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "Cell",
    "Cow",
    "Duration",
    "HashMap",
    "HashSet",
    "Instant",
    "LazyLock",
    "Mutex",
    "NonZeroU32",
    "NonZeroUsize",
    "OnceLock",
    "Ordering",
    "Path",
    "PathBuf",
    "PhantomData",
    "Rc",
    "RefCell",
    "RwLock",
    "String",
    "SystemTime",
    "Vec",
    "VecDeque",
];

/// Whether an import changes the meaning of code that does not name it: a glob, or a trait, which any method
/// call may mean.
fn counts_for_scope(names: &Names<'_>, ambient: &Ambient<Word>, text: &str) -> bool {
    match ambient {
        Ambient::No => false,
        Ambient::Always => true,
        Ambient::IfTrait { original, from_std } => match names.get(original.in_text(text)) {
            Some(named) if named.has_trait => true,
            Some(named) if named.has_item || named.has_function => false,
            _ => {
                let original = original.in_text(text);
                let upper = original.starts_with(char::is_uppercase);
                upper && !(*from_std && STD_TYPES.contains(&original))
            }
        },
    }
}

/// A digest that covers included files too, and the words of those that are Rust.
fn with_includes(
    digest: Digest,
    includes: &[Include],
    directory: &str,
    included: &Included,
) -> (Digest, Vec<String>) {
    if includes.is_empty() {
        return (digest, Vec::new());
    }
    let mut hasher = blake3::Hasher::new();
    let mut words = BTreeSet::new();
    hasher.update(&digest);
    let mut add = |path: &str, contents: Option<&Vec<u8>>| {
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
        match contents {
            Some(contents) => {
                hasher.update(&(contents.len() as u64).to_le_bytes()).update(contents);
                if path.ends_with(".rs") {
                    words.extend(words_of(contents));
                }
            }
            None => {
                hasher.update(b"not read");
            }
        }
    };
    for include in includes {
        match include {
            Include::Paths(paths) => {
                for path in paths {
                    add(path, included.get(&resolve(directory, path)));
                }
            }
            Include::Unknown => included.iter().for_each(|(path, contents)| add(path, Some(contents))),
        }
    }
    // Included Rust may include more, so with it everything counts that rustc read.
    if !words.is_empty() {
        for (path, contents) in included {
            hasher.update(&(path.len() as u64).to_le_bytes()).update(path.as_bytes());
            hasher.update(blake3::hash(contents).as_bytes());
        }
    }
    (*hasher.finalize().as_bytes(), words.into_iter().collect())
}

fn words_of(contents: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(contents);
    let Ok(tokens) = lex(&text) else { return BTreeSet::new() };
    let lexed = Lexed { file: 0, text: &text, tokens };
    let idents = (0..lexed.tokens.len()).filter(|it| lexed.kind(*it) == Some(Kind::Ident));
    idents.map(|it| plain(lexed.text(it)).to_owned()).filter(|it| !is_keyword(it)).collect()
}

#[cfg(test)]
mod tests;

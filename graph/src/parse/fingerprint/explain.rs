//! What changed between two readings of a function and of all that it reaches: the answer to "why did it run".
//!
//! Fingerprints say that something is another, and nothing more. Here both readings are gone through once again, along
//! the same edges, and what only one of them reaches is named with its place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{FileFacts, Linked};
use crate::parse::facts::{Digest, TitleKind};
use crate::parse::{Cache, Included, facts_of, read_files};
use crate::source::{FileId, Sources, Span};

/// All code of one moment.
pub struct Code<'a> {
    pub sources: &'a Sources,
    pub modules: &'a [Vec<String>],
}

/// One difference in what a function reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChange {
    pub part: Part,
    pub turn: Turn,
    /// As the source has it: `rolling_mean`, `impl Scale for Spend`; empty for the function itself.
    pub name: String,
    /// Where it stands, or stood.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// What the function names itself, by which it reaches this; empty if it names it itself.
    pub through: String,
}

/// What kind of code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The function itself.
    Own,
    Function,
    Type,
    Trait,
    /// A const or a static.
    Value,
    Macro,
    Impl,
    Import,
    /// What stands around items: attributes of a file or a module, and what it includes.
    Surroundings,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Changed,
    Added,
    Removed,
}

/// Two moments, each read once for questions about many functions.
pub struct CodeComparison {
    before: Reading,
    now: Reading,
}

impl CodeComparison {
    pub fn new(before: &Code<'_>, now: &Code<'_>) -> CodeComparison {
        CodeComparison { before: Reading::new(before), now: Reading::new(now) }
    }

    /// What differs in the code of a function, itself first, then near before far. Additions and removals are named
    /// only if nothing else differs: with a function that is written anew they say nothing. Empty if the function is not
    /// in both, or nothing that the sources hold differs: then it is a file that they include.
    pub fn changes(&self, function: &str) -> Vec<CodeChange> {
        match (self.before.reach(function), self.now.reach(function)) {
            (Some(old), Some(new)) => differences(&self.before, &old, &self.now, &new),
            _ => Vec::new(),
        }
    }
}

fn differences(before: &Reading, old: &Reach, now: &Reading, new: &Reach) -> Vec<CodeChange> {
    let mut changes = Vec::new();
    if old.own != new.own {
        let at = &now.titles[new.root];
        changes.push(CodeChange {
            part: Part::Own,
            turn: Turn::Changed,
            name: String::new(),
            file: at.file.clone(),
            line: at.line,
            through: String::new(),
        });
    }
    let in_old: BTreeSet<Digest> = old.reached.iter().map(|it| before.linked.digests[it.0]).collect();
    let in_new: BTreeSet<Digest> = new.reached.iter().map(|it| now.linked.digests[it.0]).collect();
    let names = |reading: &Reading, reach: &Reach| -> BTreeSet<(u8, String)> {
        reach.reached.iter().map(|it| reading.titles[it.0].identity()).collect()
    };
    let (old_names, new_names) = (names(before, old), names(now, new));
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for reached in &new.reached {
        let title = &now.titles[reached.0];
        if in_old.contains(&now.linked.digests[reached.0]) {
            continue;
        }
        match old_names.contains(&title.identity()) {
            true => changes.push(now.change(*reached, Turn::Changed)),
            false => added.push(now.change(*reached, Turn::Added)),
        }
    }
    for reached in &old.reached {
        let is_there = in_new.contains(&before.linked.digests[reached.0])
            || new_names.contains(&before.titles[reached.0].identity());
        if !is_there {
            removed.push(before.change(*reached, Turn::Removed));
        }
    }
    // An import follows what it imports.
    if changes.iter().any(|it| it.part != Part::Import) {
        changes.retain(|it| it.part != Part::Import);
    }
    if changes.is_empty() {
        changes.append(&mut added);
        changes.append(&mut removed);
    }
    changes
}

/// One reading of all code.
struct Reading {
    /// By file.
    modules: Vec<String>,
    facts: Vec<FileFacts>,
    linked: Linked,
    /// By fact.
    titles: Vec<Named>,
}

struct Named {
    part: Part,
    name: String,
    file: String,
    line: u32,
}

impl Named {
    /// By this it is taken for the same in another reading.
    fn identity(&self) -> (u8, String) {
        (self.part as u8, self.name.clone())
    }
}

/// What one function reaches.
struct Reach {
    root: usize,
    own: Digest,
    /// Facts in the order of their distance, each with the fact that the function names itself.
    reached: Vec<(usize, usize)>,
}

impl Reading {
    fn new(code: &Code<'_>) -> Reading {
        let (read, _) = read_files(&mut Cache::default(), code.sources, code.modules);
        let facts = facts_of(&read, code.sources);
        let linked = Linked::new(&facts, &Included::new());
        let mut titles = Vec::new();
        for (file, of_file) in facts.iter().enumerate() {
            let path = code.sources.files[file].path.clone();
            for fact in of_file.facts.iter() {
                let title = fact.title;
                let span = Span { file: file as FileId, start: title.start, end: title.end };
                let words = of_file.text.get(title.start as usize..title.end as usize).unwrap_or_default();
                titles.push(Named {
                    part: part(title.kind),
                    name: words.split_whitespace().collect::<Vec<_>>().join(" "),
                    file: path.clone(),
                    line: code.sources.line_column(span).line,
                });
            }
        }
        let modules = code.modules.iter().map(|it| it.join("::")).collect();
        Reading { modules, facts, linked, titles }
    }

    /// The function of that path and all that it reaches.
    fn reach(&self, function: &str) -> Option<Reach> {
        let (module, name) = function.rsplit_once("::").unwrap_or(("", function));
        let is_it = |(file, position): &&(usize, usize)| {
            let fact = &self.facts[*file].facts[*position];
            let title = &self.titles[self.linked.offsets[*file] + position];
            fact.node.is_some() && title.name == name && self.modules[*file] == module
        };
        let (file, position) = self.linked.nodes.iter().find(is_it)?;
        let root = self.linked.offsets[*file] + position;
        let own = self.facts[*file].facts[*position].node?;
        // Breadth first, so that the shortest way is the one that is told.
        let mut first_hop: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue: VecDeque<(usize, usize)> = VecDeque::new();
        for at in self.linked.edges[root].iter().chain(&self.linked.globals) {
            queue.push_back((*at as usize, usize::MAX));
        }
        let mut reached = Vec::new();
        while let Some((at, from)) = queue.pop_front() {
            if at == root || first_hop.contains_key(&at) {
                continue;
            }
            // Names stand between facts; what the function names itself is reached through nothing.
            let is_fact = at < self.titles.len();
            let hop = if from == usize::MAX && is_fact { at } else { from };
            first_hop.insert(at, hop);
            if is_fact {
                reached.push((at, hop));
            }
            queue.extend(self.linked.edges[at].iter().map(|it| (*it as usize, hop)));
        }
        Some(Reach { root, own, reached })
    }

    fn change(&self, (fact, hop): (usize, usize), turn: Turn) -> CodeChange {
        let title = &self.titles[fact];
        let through = if hop == fact { String::new() } else { self.titles[hop].name.clone() };
        CodeChange {
            part: title.part,
            turn,
            name: title.name.clone(),
            file: title.file.clone(),
            line: title.line,
            through,
        }
    }
}

fn part(kind: TitleKind) -> Part {
    match kind {
        TitleKind::Surroundings => Part::Surroundings,
        TitleKind::Function => Part::Function,
        TitleKind::Type => Part::Type,
        TitleKind::Trait => Part::Trait,
        TitleKind::Value => Part::Value,
        TitleKind::Macro => Part::Macro,
        TitleKind::Impl => Part::Impl,
        TitleKind::Import => Part::Import,
        TitleKind::Module | TitleKind::Other => Part::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    fn code(text: &str) -> (Sources, Vec<Vec<String>>) {
        let mut sources = Sources::default();
        let (path, text) = ("a.rs".to_owned(), text.to_owned());
        sources.push(SourceFile { absolute: format!("/t/{path}"), path, text });
        (sources, vec![vec!["a".to_owned()]])
    }

    /// What differs for `f`, as `turn part name:line through`.
    fn told(before: &str, now: &str) -> Vec<String> {
        let (before, now) = (code(before), code(now));
        let (before, now) =
            (Code { sources: &before.0, modules: &before.1 }, Code { sources: &now.0, modules: &now.1 });
        let changes = CodeComparison::new(&before, &now).changes("a::f");
        let line = |it: &CodeChange| {
            let text = format!("{:?} {:?} {}:{} {}", it.turn, it.part, it.name, it.line, it.through);
            text.trim_end().to_owned()
        };
        changes.iter().map(line).collect()
    }

    const ALL: &str = "\
const WINDOW: usize = 3;
struct Mean { sum: f64 }
trait Scale { fn scale(&self) -> f64; }
impl Scale for Mean { fn scale(&self) -> f64 { self.sum } }
fn deep() -> f64 { 1.0 }
fn rolling_mean() -> f64 { deep() + WINDOW as f64 }
fn unused() -> f64 { 2.0 }
pub fn f(g: f64) -> f64 { rolling_mean() + Mean { sum: g }.scale() }
pub fn g() -> f64 { unused() }
";

    #[test]
    fn each_kind_of_code_is_named_with_its_place() {
        for (from, to, says) in [
            ("= 3;", "= 4;", "Changed Value WINDOW:1 rolling_mean"),
            ("sum: f64 }\ntrait", "sum: f64, n: u8 }\ntrait", "Changed Type Mean:2"),
            ("{ self.sum }", "{ -self.sum }", "Changed Impl impl Scale for Mean:4"),
            ("{ 1.0 }", "{ 1.5 }", "Changed Function deep:5 rolling_mean"),
            ("deep() +", "deep() -", "Changed Function rolling_mean:6"),
            ("rolling_mean() + Mean", "rolling_mean() - Mean", "Changed Own :8"),
        ] {
            assert!(ALL.contains(from), "{from}");
            assert_eq!(told(ALL, &ALL.replace(from, to)), [says], "{from}");
        }
    }

    #[test]
    fn what_is_not_reached_is_not_named() {
        assert_eq!(told(ALL, &ALL.replace("{ 2.0 }", "{ 3.0 }")), [""; 0]);
        assert_eq!(told(ALL, &ALL.replace("fn deep()", "\n// moved\nfn deep()")), [""; 0]);
    }

    #[test]
    fn several_are_told_near_before_far_and_a_rewrite_tells_no_additions() {
        let both = ALL.replace("{ 1.0 }", "{ 1.5 }").replace("deep() +", "deep() -");
        assert_eq!(
            told(ALL, &both),
            ["Changed Function rolling_mean:6", "Changed Function deep:5 rolling_mean"]
        );
        let rewritten = ALL
            .replace("rolling_mean() + Mean", "fresh() + Mean")
            .replace("fn unused", "fn fresh() -> f64 { 9.0 }\nfn unused");
        assert_eq!(told(ALL, &rewritten), ["Changed Own :9"]);
        let implemented =
            ALL.replace("fn unused", "impl Scale for u8 { fn scale(&self) -> f64 { 0.0 } }\nfn unused");
        assert_eq!(told(ALL, &implemented), ["Added Impl impl Scale for u8:7"]);
        assert_eq!(told(&implemented, ALL), ["Removed Impl impl Scale for u8:7"]);
    }
}

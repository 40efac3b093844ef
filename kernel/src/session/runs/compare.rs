//! Two runs side by side: what went in, what was another, and what came out.

use std::collections::{BTreeMap, BTreeSet};

use brooklet_graph::html::escape;
use brooklet_graph::parse::CodeComparison;
use brooklet_records::{Book, Git, Given, Node, Record, State};
use serde_json::Value as Json;

use super::super::changes::{self, OldCode};
use super::super::text::{self, Table};
use super::shortened;

/// How two runs differ.
pub struct Difference {
    title: String,
    /// What differed, as kind and sentence.
    lines: Vec<(String, String)>,
    numbers: Table,
}

impl Difference {
    pub fn plain(&self) -> String {
        let width = self.lines.iter().map(|it| it.0.chars().count()).max().unwrap_or_default();
        let mut text = format!("{}\n", self.title);
        for (kind, line) in &self.lines {
            text.push_str(&format!("  {kind:width$}  {line}\n"));
        }
        if !self.numbers.is_empty() {
            text.push_str(&format!("\n{}\n", self.numbers.plain()));
        }
        text.trim_end().to_owned()
    }

    pub fn html(&self) -> String {
        let mut table = Table::new(&["", ""]);
        for (kind, line) in &self.lines {
            table.row(vec![kind.clone(), line.clone()]);
        }
        let lines = if table.is_empty() { String::new() } else { table.html("") };
        let numbers = if self.numbers.is_empty() { String::new() } else { self.numbers.html("") };
        format!("<p>{}</p>{lines}{numbers}", escape(&self.title))
    }
}

/// Compares two runs. `shown` says how a path is shown.
pub fn compare(a: &Record, b: &Record, book: &Book, shown: &dyn Fn(&str) -> String) -> Difference {
    let mut lines = Vec::new();
    let mut add = |kind: &str, line: String| lines.push((kind.to_owned(), line));
    if a.targets != b.targets {
        add("targets", format!("{} → {}", a.targets.join(" "), b.targets.join(" ")));
    }
    if a.outcome != b.outcome {
        add("outcome", format!("{} → {}", a.outcome.word(), b.outcome.word()));
    }
    for (key, old, new) in pairs(&a.config, &b.config) {
        add("config", format!("{key}: {} → {}", literal(old), literal(new)));
    }
    for (kind, old, new) in [("input", &a.inputs, &b.inputs), ("override", &a.overrides, &b.overrides)] {
        for (name, old, new) in pairs(old, new) {
            add(kind, given(name, old, new));
        }
    }
    for (path, old, new) in pairs(&a.files, &b.files) {
        add(
            "file",
            match (old, new) {
                (Some(_), Some(_)) => format!("{path} held something else"),
                (None, _) => format!("{path} was read only in {}", b.id),
                _ => format!("{path} was read only in {}", a.id),
            },
        );
    }
    code(a, b, book, shown, &mut add);
    let git = |it: &Option<Git>| match it {
        None => "no repository".to_owned(),
        Some(it) => {
            let commit: String = it.commit.chars().take(12).collect();
            format!("{commit}{}", if it.dirty { " and more" } else { "" })
        }
    };
    for (kind, old, new) in [
        ("git", git(&a.git), git(&b.git)),
        ("lock file", a.lock.clone(), b.lock.clone()),
        ("toolchain", a.toolchain.clone(), b.toolchain.clone()),
        ("Brooklet", a.brooklet.clone(), b.brooklet.clone()),
        ("by", a.by.kind.clone(), b.by.kind.clone()),
    ] {
        if old != new {
            add(kind, format!("{old} → {new}"));
        }
    }
    values(a, b, &mut add);
    let title = match lines.is_empty() {
        true => format!("runs {} and {}: the same went in, and the same came out", a.id, b.id),
        false => format!("runs {} → {}", a.id, b.id),
    };
    Difference { title, lines, numbers: numbers(a, b) }
}

type Pair<'a, T> = (&'a String, Option<&'a T>, Option<&'a T>);

/// By key what is not the same in both.
fn pairs<'a, T: PartialEq>(a: &'a BTreeMap<String, T>, b: &'a BTreeMap<String, T>) -> Vec<Pair<'a, T>> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let all = keys.into_iter().map(|it| (it, a.get(it), b.get(it)));
    all.filter(|it| it.1 != it.2).collect()
}

fn literal(text: Option<&String>) -> String {
    text.map_or_else(|| "not set".to_owned(), |it| shortened(it))
}

fn given(name: &str, old: Option<&Given>, new: Option<&Given>) -> String {
    let written = |it: Option<&Given>| match it.map(|it| it.literal.as_ref()) {
        None => "not given".to_owned(),
        Some(None) => "a value".to_owned(),
        Some(Some(literal)) => shortened(literal),
    };
    let (before, now) = (written(old), written(new));
    let version = |it: Option<&Given>| it.and_then(|it| it.version.clone());
    match (version(old), version(new)) {
        _ if before != now => format!("{name}: {before} → {now}"),
        (Some(old), Some(new)) if old != new => format!("{name}: {before} held other data"),
        _ => format!("{name}: {before}, taken by only one of them"),
    }
}

/// Nodes whose code is another, and what of it.
fn code(
    a: &Record,
    b: &Record,
    book: &Book,
    shown: &dyn Fn(&str) -> String,
    add: &mut dyn FnMut(&str, String),
) {
    let only = |one: &Record, other: &Record| -> Vec<String> {
        let alone = one.nodes.iter().filter(|it| other.node(&it.node).is_none());
        alone.map(|it| it.node.clone()).collect()
    };
    for (nodes, id) in [(only(a, b), &a.id), (only(b, a), &b.id)] {
        if !nodes.is_empty() {
            add("nodes", format!("only in {id}: {}", text::list(&nodes)));
        }
    }
    let is_other = |it: &&Node| a.node(&it.node).is_some_and(|was| was.code != it.code);
    let other: Vec<&Node> = b.nodes.iter().filter(is_other).collect();
    if other.is_empty() {
        return;
    }
    let names: Vec<String> = other.iter().map(|it| it.node.clone()).collect();
    let (Some(old), Some(new)) = (OldCode::of(a, book), OldCode::of(b, book)) else {
        return add("code", format!("{}: its code changed", text::list(&names)));
    };
    let graph = new.graph(b);
    let function = |it: &String| graph.nodes.get(it).map_or(String::new(), |it| it.origin.clone());
    let nodes: Vec<(String, String)> = names.into_iter().map(|it| (it.clone(), function(&it))).collect();
    let comparison = CodeComparison::new(&old.code(), &new.code());
    for line in changes::told_of_many(&comparison, &nodes, shown) {
        add("code", line);
    }
}

/// Which nodes came to other values.
fn values(a: &Record, b: &Record, add: &mut dyn FnMut(&str, String)) {
    let (mut other, mut same) = (Vec::new(), 0);
    for now in &b.nodes {
        let versions = (a.node(&now.node).and_then(|it| it.version.as_ref()), now.version.as_ref());
        match versions {
            (Some(old), Some(new)) if old == new => same += 1,
            (Some(_), Some(_)) => other.push(now.node.clone()),
            _ => {}
        }
    }
    if !other.is_empty() {
        let rest =
            if same > 0 { format!("; {} the same", text::count(same, "value")) } else { String::new() };
        add("values", format!("{} came out otherwise{rest}", text::list(&other)));
    }
}

/// The results of both in numbers; those that are the same too, since it is them that one looks for.
fn numbers(a: &Record, b: &Record) -> Table {
    let mut table = Table::new(&["result", &format!(">{}", a.id), &format!(">{}", b.id), ">difference"]);
    for (target, new) in &b.results {
        let Some(old) = a.results.get(target) else { continue };
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (before, now) = (old.get(name), new.get(name));
            let shown = |it: Option<&Json>| it.map_or_else(|| "–".to_owned(), number);
            let label = if name == "value" { target.clone() } else { format!("{target}.{name}") };
            let difference = match (before.and_then(Json::as_f64), now.and_then(Json::as_f64)) {
                (Some(before), Some(now)) if before != now => difference(before, now),
                _ if before != now => "other".to_owned(),
                _ => String::new(),
            };
            table.row(vec![label, shown(before), shown(now), difference]);
        }
    }
    table
}

fn number(value: &Json) -> String {
    match value {
        Json::String(text) => shortened(text),
        other => other.to_string(),
    }
}

/// `+1.77 (+6.2 %)`
fn difference(before: f64, now: f64) -> String {
    let by = now - before;
    // As many digits as tell something: the numbers themselves stand beside it.
    let digits = (3.0 - by.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    let share = if before == 0.0 { String::new() } else { format!(" ({:+.1} %)", by / before.abs() * 100.0) };
    let text = format!("{by:+.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{share}")
}

/// Whether a run that was repeated came to the same, in one line.
pub fn outcome_of_repeat(then: &Record, now: &Record) -> String {
    let id = &then.id;
    let (mut other_data, mut other_values, mut same) = (Vec::new(), Vec::new(), 0);
    for was in &then.nodes {
        let Some(is) = now.node(&was.node) else { continue };
        match (&was.version, &is.version) {
            (Some(old), Some(new)) if old == new => same += 1,
            (Some(_), Some(_)) if was.code.is_empty() => other_data.push(was.node.clone()),
            (Some(_), Some(_)) => other_values.push(was.node.clone()),
            _ => {}
        }
    }
    let files: Vec<String> = pairs(&then.files, &now.files).into_iter().map(|it| it.0.clone()).collect();
    let mut surroundings = Vec::new();
    for (what, old, new) in [
        ("the lock file", &then.lock, &now.lock),
        ("the toolchain", &then.toolchain, &now.toolchain),
        ("Brooklet", &then.brooklet, &now.brooklet),
    ] {
        if old != new && !old.is_empty() {
            surroundings.push(what);
        }
    }
    let aside = match surroundings.as_slice() {
        [] => String::new(),
        some => format!("; {} not as then", some.join(", ")),
    };
    if !other_data.is_empty() || !files.is_empty() {
        other_data.extend(files);
        return format!(
            "note: not the same as {id}: {} held other data then{aside}",
            text::list(&other_data)
        );
    }
    if !other_values.is_empty() {
        let values = text::list(&other_values);
        return format!(
            "note: not the same as {id}: {values} came out otherwise, of the same code and the same data{aside}"
        );
    }
    let reused = now.nodes.iter().filter(|it| it.state == State::Reused).count();
    let how = match (now.ran(), reused) {
        (_, 0) => String::new(),
        (0, _) => ", all of them found and none computed again".to_owned(),
        (ran, _) => format!(", {ran} of them computed again"),
    };
    format!("the same as {id}: {}{how}{aside}", text::count(same, "value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brooklet_graph::wire::Numbers;

    fn record(id: &str, version: &str, mean: f64) -> Record {
        let node =
            Node { node: "avg".into(), code: "c0".into(), version: Some(version.into()), ..Node::default() };
        let numbers = Numbers::from([("mean".to_owned(), mean.into()), ("rows".to_owned(), 3.into())]);
        let mut record = Record { id: id.into(), nodes: vec![node], ..Record::default() };
        record.results.insert("avg".into(), numbers);
        record
    }

    #[test]
    fn what_differs_is_told_and_numbers_stand_side_by_side() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::at(directory.path());
        let (mut a, mut b) = (record("aa", "v1", 28.0), record("bb", "v2", 29.5));
        a.config.insert("region".into(), "us".into());
        b.config.insert("region".into(), "uk".into());
        let given = |literal: &str, version: &str| Given {
            literal: Some(literal.to_owned()),
            version: Some(version.to_owned()),
        };
        a.inputs.insert("sales".into(), given("s.csv", "1"));
        b.inputs.insert("sales".into(), given("s.csv", "2"));
        let plain = compare(&a, &b, &book, &str::to_owned).plain();
        assert_eq!(
            plain,
            "runs aa → bb\n  config  region: us → uk\n  input   sales: s.csv held other data\n  values  `avg` came out \
             otherwise\n\nresult      aa    bb     difference\navg.mean  28.0  29.5  +1.5 (+5.4 %)\navg.rows     3     3"
        );
        let same = compare(&a, &Record { id: "cc".into(), ..a.clone() }, &book, &str::to_owned).plain();
        assert!(same.starts_with("runs aa and cc: the same went in, and the same came out"), "{same}");
    }

    #[test]
    fn differences_have_the_digits_that_tell_something() {
        assert_eq!(difference(28.0, 29.5), "+1.5 (+5.4 %)");
        assert_eq!(difference(0.0, 1e-9), "+0.000000001");
        assert_eq!(difference(1e9, 1e9 - 1.0), "-1 (-0.0 %)");
        assert_eq!(difference(100.0, 300.0), "+200 (+200.0 %)");
    }

    #[test]
    fn a_repeated_run_is_the_same_or_says_what_is_not() {
        let then = record("aa", "v1", 1.0);
        assert_eq!(outcome_of_repeat(&then, &record("bb", "v1", 1.0)), "the same as aa: 1 value");
        let other = outcome_of_repeat(&then, &record("bb", "v2", 1.0));
        assert_eq!(
            other,
            "note: not the same as aa: `avg` came out otherwise, of the same code and the same data"
        );
        let mut data = record("bb", "v2", 1.0);
        data.nodes[0].code.clear();
        let mut given = then.clone();
        given.nodes[0].code.clear();
        assert_eq!(outcome_of_repeat(&given, &data), "note: not the same as aa: `avg` held other data then");
    }
}

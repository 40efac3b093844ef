//! `%runs`: what was run, how two runs differ, and one of them once more.

mod compare;

use std::collections::{BTreeMap, BTreeSet};

use brooklet_graph::graph::Literals;
use brooklet_graph::parse::{Code, CodeComparison};
use brooklet_graph::picture::{Selection, State as NodeState, View};
use brooklet_graph::wire::{MimeBundle, Recompute, Summary};
use brooklet_records::{Given, Record, State};

use super::changes::{self, OldCode};
use super::display::{draw, fresh_id};
use super::errors::{self, Result};
use super::grammar::Call;
use super::run::Request;
use super::text::{self, Table};
use super::{Execution, Shared};
use crate::engine::Stream;
use crate::reload::Revision;

/// So many runs are listed if no number is given.
const LISTED: usize = 20;
/// So many nodes of a run are listed.
const ROWS: usize = 200;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    List(usize),
    Show(String),
    Diff(String, String),
    /// With everything computed again, or what is kept reused.
    Repeat(String, bool),
    Clear,
}

impl Execution<'_> {
    /// `%runs [N | show [ID] | diff [A [B]] | repeat ID [--all] | clear]`
    pub(super) fn runs(&self, call: &Call) -> Result<()> {
        let order = order(&call.rest).map_err(|it| errors::usage(&call.error(it)))?;
        if !self.shared.recorder.settle() {
            self.output.stream(Stream::Stderr, "note: a record is still being written\n");
        }
        match order {
            Order::List(count) => self.list_runs(count),
            Order::Clear => {
                let cleared = self.shared.recorder.book.clear();
                cleared
                    .map_err(|it| errors::plain("FileError", format!("runs cannot be forgotten: {it}")))?;
            }
            Order::Show(id) => {
                let record = self.shared.record_of(&id)?;
                self.show_run(&record);
            }
            Order::Diff(a, b) => {
                let (a, b) = (self.shared.record_of(&a)?, self.shared.record_of(&b)?);
                let shown = |it: &str| self.shared.shown_path(it);
                let difference = compare::compare(&a, &b, &self.shared.recorder.book, &shown);
                self.show(difference.plain(), Some(difference.html()));
            }
            Order::Repeat(id, all) => {
                let record = self.shared.record_of(&id)?;
                return self.repeat(&record, all);
            }
        }
        Ok(())
    }

    fn list_runs(&self, count: usize) {
        let records = self.shared.recorder.book.newest(count);
        if records.is_empty() {
            return self.show("nothing was run here yet", None);
        }
        let mut table = Table::new(&["run", "began", "by", "targets", "outcome", ">ran", ">took"]);
        for record in records {
            let by = if record.by.name.is_empty() { &record.by.kind } else { &record.by.name };
            table.row(vec![
                record.id.clone(),
                record.local_time(),
                by.clone(),
                shortened(&record.targets.join(" ")),
                record.outcome.word().to_owned(),
                format!("{} of {}", record.ran(), record.nodes.len()),
                text::duration(record.milliseconds),
            ]);
        }
        self.show(table.plain(), Some(table.html("")));
    }

    fn show_run(&self, record: &Record) {
        let mut head = Table::new(&["run", &record.id]);
        for (name, value) in facts(record) {
            head.row(vec![name, value]);
        }
        let mut nodes = Table::new(&["node", "state", ">took", "value", "version"]);
        for node in &record.nodes {
            let version = node.version.as_deref().unwrap_or_default();
            nodes.row(vec![
                node.node.clone(),
                node.state.word().to_owned(),
                node.milliseconds.map_or_else(String::new, text::duration),
                node.shape.clone(),
                version.chars().take(8).collect(),
            ]);
        }
        let nodes = nodes.cut(ROWS);
        let picture = self.picture_of(record);
        let drawn = |kind: &str| picture.as_ref().and_then(|it| it.data.get(kind)?.as_str()).unwrap_or("");
        let plain = format!("{}\n\n{}\n\n{}", head.plain(), nodes.plain(), drawn("text/plain"));
        let html = format!("{}{}{}", drawn("text/html"), head.html(""), nodes.html(""));
        self.show(plain.trim_end(), Some(html));
    }

    /// The part of the graph that was run, as it was.
    fn picture_of(&self, record: &Record) -> Option<MimeBundle> {
        let graph = OldCode::of(record, &self.shared.recorder.book)?.graph(record);
        let selection = Selection { targets: record.targets.clone(), ..Selection::default() };
        let mut view = View::of(&graph, &selection);
        for node in view.nodes.iter_mut().filter(|it| !it.file.is_empty()) {
            node.file = self.shared.shown_path(&node.file);
        }
        let seen: BTreeMap<&str, (NodeState, Summary)> = record
            .nodes
            .iter()
            .map(|it| {
                let milliseconds = it.milliseconds.unwrap_or_default();
                let state = match it.state {
                    State::Ran => NodeState::Done { milliseconds, changed: true },
                    State::Unchanged => NodeState::Done { milliseconds, changed: false },
                    State::Reused => NodeState::Reused,
                    State::Given => NodeState::Taken,
                    State::Failed => {
                        let prefix = format!("{}: ", it.node);
                        let message = record.problems.iter().find_map(|it| it.strip_prefix(&prefix));
                        NodeState::Failed { message: message.unwrap_or_default().to_owned() }
                    }
                    State::Skipped => NodeState::Skipped,
                };
                (it.node.as_str(), (state, Summary { shape: it.shape.clone(), ..Summary::default() }))
            })
            .collect();
        view.set_all(|name| seen.get(name).map(|(state, summary)| (state.clone(), Some(summary))));
        Some(draw(&view, &fresh_id("run")))
    }

    /// Runs what was run, of the same configuration and inputs, and says whether the same came of it. What this notebook
    /// configured and gave is as before afterwards.
    fn repeat(&self, record: &Record, all: bool) -> Result<()> {
        let missing = not_on_record(record);
        if !missing.is_empty() {
            return Err(cannot_repeat(record, missing));
        }
        // What a display is compared with is not what the notebook has set meanwhile.
        let _paused = self.shared.live.pause();
        let (config, inputs) = {
            let mut knowledge = self.shared.knowledge();
            let config = std::mem::replace(&mut knowledge.config, record.config.clone());
            (config, std::mem::replace(&mut knowledge.inputs, literals(&record.inputs)))
        };
        self.shared.reloader.configure(record.config.clone());
        let done = self.repeat_as_configured(record, all);
        {
            let mut knowledge = self.shared.knowledge();
            // What came of other values is not what the graph holds now.
            let of_run = literals(&record.inputs).into_iter().chain(record.config.clone());
            let of_run: Literals = of_run.chain(literals(&record.overrides)).collect();
            let of_notebook: Literals =
                inputs.iter().chain(&config).map(|(k, v)| (k.clone(), v.clone())).collect();
            let names: BTreeSet<&String> = of_run.keys().chain(of_notebook.keys()).collect();
            let other = names.into_iter().filter(|it| of_run.get(*it) != of_notebook.get(*it));
            let other: Vec<String> = other.cloned().collect();
            if let Some(revision) = knowledge.revision.clone() {
                knowledge.mirror.stale(&other, &revision.graph);
            }
            knowledge.config.clone_from(&config);
            knowledge.inputs = inputs;
        }
        self.shared.reloader.configure(config);
        done
    }

    fn repeat_as_configured(&self, record: &Record, all: bool) -> Result<()> {
        let revision = self.revision()?;
        let missing = self.other_code(record, &revision);
        if !missing.is_empty() {
            return Err(cannot_repeat(record, missing));
        }
        let request = Request {
            targets: record.targets.clone(),
            overrides: literals(&record.overrides),
            recompute: if all { Recompute::All } else { record.recompute.clone() },
            picture: true,
            ..Request::default()
        };
        let bundle = self.run_nodes(&revision, &request)?;
        self.output.display(&bundle, Some(&fresh_id("value")));
        let line = match (self.shared.recorder.settle(), self.shared.recorder.last()) {
            (true, Some(again)) => compare::outcome_of_repeat(record, &again),
            _ => "note: its record is still being written: `%runs diff` compares them then".to_owned(),
        };
        self.output.stream(Stream::Stderr, &format!("{line}\n"));
        Ok(())
    }

    /// What of the code is another than it was.
    fn other_code(&self, record: &Record, revision: &Revision) -> Vec<String> {
        let (mut gone, mut other) = (Vec::new(), Vec::new());
        for was in record.nodes.iter().filter(|it| !it.code.is_empty()) {
            match revision.graph.nodes.get(&was.node) {
                None => gone.push(was.node.clone()),
                Some(node) if !node.fingerprint.starts_with(&was.code) => {
                    other.push((was.node.clone(), node.origin.clone()));
                }
                Some(_) => {}
            }
        }
        let mut told = Vec::new();
        if !gone.is_empty() {
            told.push(format!("{}: not there any more", text::list(&gone)));
        }
        if !other.is_empty() {
            let now = Code { sources: &revision.sources, modules: &revision.modules };
            match OldCode::of(record, &self.shared.recorder.book) {
                Some(old) => {
                    let comparison = CodeComparison::new(&old.code(), &now);
                    let shown = |it: &str| self.shared.shown_path(it);
                    told.extend(changes::told_of_many(&comparison, &other, &shown));
                }
                None => {
                    let names: Vec<String> = other.into_iter().map(|it| it.0).collect();
                    told.push(format!("{}: its code changed", text::list(&names)));
                }
            }
        }
        told
    }
}

impl Shared {
    /// The run that is meant: by the beginning of its id, `last`, or `last~2` for the second before the last.
    fn record_of(&self, id: &str) -> Result<Record> {
        let book = &self.recorder.book;
        let none = |message: String| Err(errors::hinted("NoRun", message, "`%runs` lists them"));
        if let Some(back) = id.strip_prefix("last") {
            let back = match back.strip_prefix('~') {
                Some(number) => number.parse::<usize>().ok(),
                None => back.is_empty().then_some(0),
            };
            let Some(back) = back else { return none(format!("`{id}` names no run")) };
            let found = book.newest(back.saturating_add(1));
            return match found.into_iter().nth(back) {
                Some(record) => Ok(record),
                None => none(format!("there are not so many runs that `{id}` is one")),
            };
        }
        if id.is_empty() || !id.bytes().all(|it| it.is_ascii_hexdigit()) {
            return none(format!("`{id}` names no run: it is the beginning of an id, `last` or `last~1`"));
        }
        let mut found = book.find(&id.to_ascii_lowercase());
        match found.len() {
            0 => none(format!("there is no run `{id}`")),
            1 => Ok(found.remove(0)),
            _ => {
                let ids: Vec<String> = found.into_iter().map(|it| it.id).collect();
                none(format!("`{id}` may be any of {}", text::list(&ids)))
            }
        }
    }
}

fn order(rest: &str) -> std::result::Result<Order, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let owned = |it: &&str| (*it).to_owned();
    let last = || "last".to_owned();
    match words.as_slice() {
        [] => Ok(Order::List(LISTED)),
        ["show"] => Ok(Order::Show(last())),
        ["show", id] => Ok(Order::Show(owned(id))),
        ["diff"] => Ok(Order::Diff("last~1".to_owned(), last())),
        ["diff", a] => Ok(Order::Diff(owned(a), last())),
        ["diff", a, b] => Ok(Order::Diff(owned(a), owned(b))),
        ["repeat"] => Err("`repeat` needs to know which run: `%runs` lists them".to_owned()),
        ["repeat", id] => Ok(Order::Repeat(owned(id), false)),
        ["repeat", id, "--all"] | ["repeat", "--all", id] => Ok(Order::Repeat(owned(id), true)),
        ["clear"] => Ok(Order::Clear),
        ["show" | "repeat", ..] => Err(format!("`{}` takes one run", words[0])),
        ["diff", ..] => Err("`diff` takes two runs".to_owned()),
        ["clear", ..] => Err("`clear` forgets all runs, and takes no names".to_owned()),
        [number] if number.parse::<usize>().is_ok_and(|it| it > 0) => {
            Ok(Order::List(number.parse().unwrap_or(LISTED)))
        }
        [word, ..] => {
            let near = text::did_you_mean(word, ["show", "diff", "repeat", "clear"]);
            Err(format!("`{word}` is nothing that can be done with runs{near}"))
        }
    }
}

fn literals(given: &BTreeMap<String, Given>) -> Literals {
    given.iter().filter_map(|(name, it)| Some((name.clone(), it.literal.clone()?))).collect()
}

/// What a record does not hold, without which it cannot be run again.
fn not_on_record(record: &Record) -> Vec<String> {
    let given = record.inputs.iter().chain(&record.overrides);
    given
        .filter(|it| it.1.literal.is_none())
        .map(|(name, _)| format!("`{name}` was given by a program as a value, which no record holds"))
        .collect()
}

fn cannot_repeat(record: &Record, missing: Vec<String>) -> crate::engine::CellError {
    let hint = match &record.git {
        Some(git) if !git.dirty => format!("`git checkout {}` has the files as they were", git.commit),
        _ => "the files as they were are in .brooklet/runs/sources: the record names them".to_owned(),
    };
    let mut error = errors::hinted("CannotRepeat", format!("run {} cannot be repeated", record.id), &hint);
    error.traceback.splice(1..1, missing.into_iter().map(|it| format!("  {it}")));
    error
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// All of a record that is one line each.
fn facts(record: &Record) -> Vec<(String, String)> {
    let mut facts = vec![
        ("began".to_owned(), record.local_time()),
        ("by".to_owned(), format!("{} {}", record.by.kind, record.by.name).trim().to_owned()),
        ("outcome".to_owned(), record.outcome.word().to_owned()),
        ("took".to_owned(), text::duration(record.milliseconds)),
        ("targets".to_owned(), record.targets.join(" ")),
    ];
    facts.extend(record.problems.iter().map(|it| ("problem".to_owned(), it.clone())));
    facts.extend(record.config.iter().map(|(key, it)| (format!("config {key}"), shortened(it))));
    let value = |it: &Given| it.literal.as_deref().map_or_else(|| "a value".to_owned(), shortened);
    facts.extend(record.inputs.iter().map(|(name, it)| (format!("input {name}"), value(it))));
    facts.extend(record.overrides.iter().map(|(name, it)| (format!("override {name}"), value(it))));
    facts.extend(record.files.iter().map(|(path, it)| (format!("file {path}"), it.clone())));
    for (node, numbers) in &record.results {
        let number = |(name, it): (&String, &serde_json::Value)| format!("{name} {it}");
        facts.push((format!("result {node}"), numbers.iter().map(number).collect::<Vec<_>>().join(", ")));
    }
    if let Some(git) = &record.git {
        let dirty = if git.dirty { ", and something differed from it" } else { "" };
        let commit: String = git.commit.chars().take(12).collect();
        facts.push(("git".to_owned(), format!("{commit}{dirty}")));
    }
    facts.push(("lock file".to_owned(), record.lock.clone()));
    facts.push(("toolchain".to_owned(), format!("{}, Brooklet {}", record.toolchain, record.brooklet)));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_mistakes_told() {
        let id = |it: &str| it.to_owned();
        assert_eq!(order(""), Ok(Order::List(20)));
        assert_eq!(order("5"), Ok(Order::List(5)));
        assert_eq!(order("show"), Ok(Order::Show(id("last"))));
        assert_eq!(order("diff 3fa"), Ok(Order::Diff(id("3fa"), id("last"))));
        assert_eq!(order("repeat last~2"), Ok(Order::Repeat(id("last~2"), false)));
        assert_eq!(order("repeat 3fa --all"), Ok(Order::Repeat(id("3fa"), true)));
        for (wrong, says) in [
            ("shwo 1", "did you mean `show`"),
            ("0", "nothing that can be done"),
            ("repeat", "needs to know which run"),
            ("diff a b c", "takes two runs"),
            ("clear a", "forgets all runs"),
        ] {
            let message = order(wrong).expect_err(wrong);
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn what_no_record_holds_is_named() {
        let mut record = Record::default();
        record.inputs.insert("spend".into(), Given::default());
        record.overrides.insert("fx".into(), Given { literal: Some("1".into()), version: None });
        assert_eq!(
            not_on_record(&record),
            ["`spend` was given by a program as a value, which no record holds"]
        );
    }
}

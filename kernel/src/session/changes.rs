//! What of a node's code changed, in words: for `%why` and `%runs diff`.

use brooklet_graph::graph::{self, Graph, Options};
use brooklet_graph::parse::{self, Code, CodeChange, CodeComparison, Part, Turn};
use brooklet_graph::source::{SourceFile, Sources};
use brooklet_records::{Book, Record};

use super::text;

/// So many changes are told one by one.
const SHOWN: usize = 3;
/// So many causes of changes are listed.
const LISTED: usize = 20;

/// Transform files of a record, as far as they are kept.
pub struct OldCode {
    sources: Sources,
    modules: Vec<Vec<String>>,
}

impl OldCode {
    /// `None` if a file of it is gone.
    pub fn of(record: &Record, book: &Book) -> Option<OldCode> {
        let (mut sources, mut modules) = (Sources::default(), Vec::new());
        for source in &record.sources {
            let text = book.source(&source.hash)?;
            let absolute = source.path.clone();
            sources.push(SourceFile { path: source.path.clone(), absolute, text });
            modules.push(module(&source.module));
        }
        Some(OldCode { sources, modules })
    }

    /// The graph under the configuration of the record. What was in error is not in it.
    pub fn graph(&self, record: &Record) -> Graph {
        let parsed = parse::parse(&self.sources, &self.modules);
        let options = Options { config: record.config.clone(), allow_overrides: true };
        graph::build(&parsed.files, &self.sources, &options).0
    }

    pub fn code(&self) -> Code<'_> {
        Code { sources: &self.sources, modules: &self.modules }
    }
}

fn module(path: &str) -> Vec<String> {
    path.split("::").filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// `its own code changed (marketing.rs:12)`, `` `rolling_mean` changed (marketing.rs:31), which it calls ``. `shown`
/// says how a path is shown.
pub fn told(comparison: &CodeComparison, function: &str, shown: &dyn Fn(&str) -> String) -> String {
    let changes = comparison.changes(function);
    let mut clauses: Vec<String> = changes.iter().take(SHOWN).map(|it| clause(it, shown)).collect();
    if let Some(more) = changes.len().checked_sub(SHOWN).filter(|it| *it > 0) {
        clauses.push(format!("{} more", text::count(more, "part")));
    }
    if clauses.is_empty() { "its code changed".to_owned() } else { clauses.join("; ") }
}

/// The same of many nodes: each sentence once, with all nodes of which it is true. `nodes` are names with functions.
pub fn told_of_many(
    comparison: &CodeComparison,
    nodes: &[(String, String)],
    shown: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let mut by_cause: Vec<(String, Vec<String>)> = Vec::new();
    for (name, function) in nodes {
        let cause = told(comparison, function, shown);
        match by_cause.iter_mut().find(|it| it.0 == cause) {
            Some((_, names)) => names.push(name.clone()),
            None => by_cause.push((cause, vec![name.clone()])),
        }
    }
    let more = by_cause.len().saturating_sub(LISTED);
    let mut lines: Vec<String> = by_cause
        .iter()
        .take(LISTED)
        .map(|(cause, names)| format!("{}: {cause}", text::list(names)))
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more of other causes"));
    }
    lines
}

fn clause(change: &CodeChange, shown: &dyn Fn(&str) -> String) -> String {
    let place = format!("{}:{}", shown(&change.file), change.line);
    let what = match change.part {
        Part::Own => return format!("its own code changed ({place})"),
        Part::Surroundings => return format!("what stands around it changed ({})", shown(&change.file)),
        Part::Import => format!("the import of `{}`", change.name),
        Part::Type => format!("the type `{}`", change.name),
        Part::Trait => format!("the trait `{}`", change.name),
        Part::Macro => format!("the macro `{}!`", change.name),
        Part::Function | Part::Value | Part::Impl | Part::Other => format!("`{}`", change.name),
    };
    let turn = match change.turn {
        Turn::Changed => "changed",
        Turn::Added => "is new",
        Turn::Removed => "is gone",
    };
    let verb = if matches!(change.part, Part::Function) { "calls" } else { "uses" };
    let how = match change.through.as_str() {
        "" => format!("which it {verb}"),
        through => format!("which it reaches by `{through}`"),
    };
    format!("{what} {turn} ({place}), {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> OldCode {
        let mut sources = Sources::default();
        let path = "t/marketing.rs".to_owned();
        sources.push(SourceFile { absolute: path.clone(), path, text: text.to_owned() });
        OldCode { sources, modules: vec![vec!["marketing".to_owned()]] }
    }

    #[test]
    fn each_change_is_a_clause_with_its_place() {
        let before = "const WEEKS: u8 = 3;\nfn mean() -> u8 { WEEKS }\nstruct Spend(u8);\npub fn avg() -> u8 { mean() }\n";
        let say = |now: &str| {
            let comparison = CodeComparison::new(&code(before).code(), &code(now).code());
            told(&comparison, "marketing::avg", &|it| it.replace("t/", ""))
        };
        let own = before.replace("{ mean() }", "{ mean() + 1 }");
        assert_eq!(say(&own), "its own code changed (marketing.rs:4)");
        let helper = before.replace("{ WEEKS }", "{ WEEKS + 1 }");
        assert_eq!(say(&helper), "`mean` changed (marketing.rs:2), which it calls");
        let deep = before.replace("= 3", "= 4");
        assert_eq!(say(&deep), "`WEEKS` changed (marketing.rs:1), which it reaches by `mean`");
        assert_eq!(say(before), "its code changed");
    }
}

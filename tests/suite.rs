//! Runs the literate cases of `tests/suite`: files, edits and runs told in Markdown, checked to the event.
//!
//! The parser, the graph and the driver are the real ones. Only the transforms are stood in for: nothing is
//! compiled, each transform is a shim that returns what the case's script says, and a transform that runs
//! without a script is a fault of the case. So a case asserts *what ran*, and takes milliseconds.
//!
//! The form of a case is described in `tests/suite/README.md`.
#![expect(clippy::needless_borrow, reason = "the borrows choose between traits, as in generated shims")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use brooklet::driver::{Driver, Request};
use brooklet::glue::*;
use brooklet_graph::diagnostic::{Diagnostic, Severity};
use brooklet_graph::graph::{self, Graph, Literals, NodeKind, Options};
use brooklet_graph::parse;
use brooklet_graph::source::{SourceFile, Sources};
use brooklet_graph::wire::Event;

#[test]
fn suite() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let mut files = Vec::new();
    find(&directory, &mut files);
    assert!(files.len() >= 20, "only {} cases were found", files.len());
    let update = std::env::var_os("BROOKLET_UPDATE").is_some();
    let mut problems = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("cases can be read");
        let name = file.strip_prefix(&directory).unwrap_or(file).display();
        match run_case(&text) {
            Ok(actual) if actual == text => {}
            Ok(actual) if update => fs::write(file, actual).expect("cases can be written"),
            Ok(actual) => problems.push(format!("{name}:\n{}", first_difference(&text, &actual))),
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    println!("{} cases", files.len());
    assert!(problems.is_empty(), "\n{}", problems.join("\n\n"));
}

fn find(directory: &Path, into: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).expect("the suite can be listed").flatten().map(|it| it.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find(&path, into);
        } else if path.extension().is_some_and(|it| it == "md") && !path.ends_with("README.md") {
            into.push(path);
        }
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    let pairs = expected.lines().zip(actual.lines()).enumerate();
    let line = pairs.into_iter().find(|(_, (a, b))| a != b).map_or(0, |(line, _)| line);
    let from =
        |text: &str| text.lines().skip(line).take(8).map(|it| format!("    {it}\n")).collect::<String>();
    format!("  line {}: the case says\n{}  but what happened is\n{}", line + 1, from(expected), from(actual))
}

/// Plays a case; the text as it would be if it said exactly what happened.
fn run_case(text: &str) -> Result<String, String> {
    let mut case = Case::default();
    let mut actual = String::new();
    let mut lines = text.lines().enumerate();
    let mut heading = String::new();
    while let Some((number, line)) = lines.next() {
        actual.push_str(line);
        actual.push('\n');
        if let Some(name) = line.strip_prefix('`').and_then(|it| it.strip_suffix("`, deleted.")) {
            case.files.retain(|(it, _)| it != name);
            case.reload();
        }
        let Some(kind) = line.strip_prefix("```") else {
            if !line.trim().is_empty() {
                line.clone_into(&mut heading);
            }
            continue;
        };
        let mut body = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => body.extend([line, "\n"]),
                None => return Err(format!("line {}: the block does not end", number + 1)),
            }
        }
        let block = case.block(kind, &heading, &body).map_err(|it| format!("line {}: {it}", number + 1))?;
        actual.push_str(&block);
        actual.push_str("```\n");
    }
    case.everything_was_said().map(|()| actual)
}

#[derive(Default)]
struct Case {
    /// In the order of their first appearance.
    files: Vec<(String, String)>,
    sources: Sources,
    graph: Graph,
    config: Literals,
    /// The shims of the graph in force, by number.
    functions: Vec<String>,
    /// The graph before the last file was written.
    before: Graph,
    driver: Driver,
    /// What no block has told yet.
    diagnostics: Vec<Diagnostic>,
    events: Vec<String>,
    values: Vec<String>,
}

impl Case {
    /// What the block should say.
    fn block(&mut self, kind: &str, heading: &str, body: &str) -> Result<String, String> {
        match kind {
            "rust" => {
                let name = heading.split('`').nth(1).ok_or("no line above names the file")?;
                match self.files.iter_mut().find(|(it, _)| it == name) {
                    Some((_, text)) => body.clone_into(text),
                    None => self.files.push((name.to_owned(), body.to_owned())),
                }
                self.reload();
                Ok(body.to_owned())
            }
            "config" => {
                self.everything_was_said()?;
                for pair in body.split([';', '\n']).map(str::trim).filter(|it| !it.is_empty()) {
                    let (key, value) =
                        pair.split_once('=').ok_or_else(|| format!("`{pair}` is no `key = value`"))?;
                    self.config.insert(key.trim().to_owned(), value.trim().to_owned());
                }
                self.config.retain(|_, value| !value.is_empty());
                self.reload();
                Ok(body.to_owned())
            }
            "run" => {
                self.everything_was_said()?;
                self.run(body)?;
                Ok(body.to_owned())
            }
            "graph" => Ok(self.graph.nodes.values().map(node_line).collect()),
            "changes" => {
                let change = graph::diff(&self.before, &self.graph);
                let kinds = [
                    ("added", change.added),
                    ("changed", change.changed),
                    ("removed", change.removed),
                    ("docs", change.docs_only),
                ];
                Ok(kinds
                    .iter()
                    .flat_map(|(kind, names)| names.iter().map(move |it| format!("{kind} {it}\n")))
                    .collect())
            }
            "diagnostics" => {
                let diagnostics = std::mem::take(&mut self.diagnostics);
                Ok(diagnostics.iter().map(|it| diagnostic_lines(it, &self.sources)).collect())
            }
            "events" => Ok(std::mem::take(&mut self.events).concat()),
            "values" => Ok(std::mem::take(&mut self.values).concat()),
            other => Err(format!("there are no blocks of kind `{other}`")),
        }
    }

    /// Problems may not be passed over in silence.
    fn everything_was_said(&self) -> Result<(), String> {
        match self.diagnostics.first() {
            Some(it) => Err(format!("no block tells of this:\n{}", diagnostic_lines(it, &self.sources))),
            None => Ok(()),
        }
    }

    fn reload(&mut self) {
        let options = Options { config: self.config.clone(), ..Options::default() };
        let mut sources = Sources::default();
        let mut modules = Vec::new();
        for (name, text) in &self.files {
            sources.push(SourceFile {
                path: name.clone(),
                absolute: format!("/case/{name}"),
                text: text.clone(),
            });
            modules.push(vec![name.trim_end_matches(".rs").to_owned()]);
        }
        let parsed = parse::parse(&sources, &modules);
        let (graph, mut diagnostics) = graph::build(&parsed.files, &sources, &options);
        diagnostics.extend(parsed.diagnostics);
        brooklet_graph::diagnostic::sort(&mut diagnostics);
        self.sources = sources;
        self.diagnostics = diagnostics;
        if self.diagnostics.iter().all(|it| it.severity != Severity::Error) {
            let mut table = Table::new();
            let mut seen = Vec::new();
            for node in graph.nodes.values().filter(|it| it.kind == NodeKind::Transform) {
                // Nodes of one function have one shim, and so one answer.
                if !seen.contains(&node.function) {
                    let params = node.dependencies.iter().map(|it| it.parameter);
                    let params = params.chain(node.fixed.iter().map(|it| it.parameter)).max();
                    let arity = params.map_or(0, |it| it + 1);
                    // The table lives as long as the process in earnest, and so it does here.
                    table.add(node.function.clone().leak(), arity, shim(seen.len(), arity));
                    seen.push(node.function.clone());
                }
            }
            self.functions = seen;
            let committed = self.driver.commit(graph.clone(), &table.functions, &parsed.type_key);
            committed.expect("all functions are there, and all are of i64");
        }
        self.before = std::mem::replace(&mut self.graph, graph);
    }

    fn run(&mut self, body: &str) -> Result<(), String> {
        let (first, script) = body.split_once('\n').unwrap_or((body, ""));
        let mut request = request(first)?;
        for (key, value) in &self.config {
            request.inputs.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let names = |literals: &Literals| literals.keys().cloned().collect();
        let problems = graph::check_targets(
            &self.graph,
            &request.targets,
            &names(&request.inputs),
            &names(&request.overrides),
        );
        if !problems.is_empty() {
            self.diagnostics = problems;
            return Ok(());
        }
        let mut answers: Vec<Option<Answer>> = vec![None; self.functions.len()];
        for (name, answer) in read_script(script)? {
            let function = self.graph.nodes.get(&name).map(|it| it.function.as_str());
            let index = function.and_then(|it| self.functions.iter().position(|other| other == it));
            let index =
                index.ok_or_else(|| format!("the script speaks of `{name}`, which is no transform"))?;
            answers[index] = Some(answer);
        }
        set_script(answers);
        self.events.clear();
        let events = &mut self.events;
        let report = self.driver.execute(&request, &mut |event| events.extend(event_line(&event)));
        // Steps that do not need each other run in any order.
        self.events.sort_by(|a, b| node_of(a).cmp(node_of(b)));
        self.values = report
            .values
            .iter()
            .map(|(name, value)| format!("{name} = {}\n", value.get::<i64>().expect("all values are i64")))
            .collect();
        let unscripted = self.functions.iter().enumerate().find(|(index, _)| ran_unscripted(*index));
        unscripted.map_or(Ok(()), |(_, name)| Err(format!("`{name}` ran, and the script does not say so")))
    }
}

/// `want report; a = 1; override b = 2`
fn request(line: &str) -> Result<Request, String> {
    let mut parts = line.split(';').map(str::trim);
    let targets = parts.next().and_then(|it| it.strip_prefix("want ")).ok_or("a run begins with `want`")?;
    let mut request =
        Request { targets: targets.split_whitespace().map(str::to_owned).collect(), ..Request::default() };
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no `name = value`"))?;
        let (literals, name) = match name.trim().strip_prefix("override ") {
            Some(name) => (&mut request.overrides, name),
            None => (&mut request.inputs, name.trim()),
        };
        literals.insert(name.to_owned(), value.trim().to_owned());
    }
    Ok(request)
}

type Answer = Result<i64, String>;

/// `total returns 2; report fails "no"`
fn read_script(text: &str) -> Result<BTreeMap<String, Answer>, String> {
    let mut answers = BTreeMap::new();
    for part in text.split([';', '\n']).map(str::trim).filter(|it| !it.is_empty()) {
        let answer = if let Some((name, value)) = part.split_once(" returns ") {
            (name, Ok(value.parse().map_err(|_| format!("`{value}` is no i64"))?))
        } else if let Some((name, message)) = part.split_once(" fails ") {
            (name, Err(message.trim_matches('"').to_owned()))
        } else {
            return Err(format!("`{part}` neither returns nor fails"));
        };
        answers.insert(answer.0.to_owned(), answer.1);
    }
    Ok(answers)
}

fn node_line(node: &graph::Node) -> String {
    if node.kind == NodeKind::Input {
        return format!("{}: {}\n", node.name, node.ty);
    }
    let mut takes: Vec<(usize, &graph::Place, String)> = Vec::new();
    for it in &node.dependencies {
        let default = it.default.as_ref().map_or(String::new(), |it| format!(" = {it}"));
        let mark = if it.optional { "?" } else { "" };
        takes.push((it.parameter, &it.place, format!("{}{mark}{default}", it.name)));
    }
    takes.extend(
        node.fixed.iter().map(|it| (it.parameter, &it.place, format!("{} = {}", it.name, it.literal))),
    );
    takes.sort();
    let takes: Vec<String> = takes.into_iter().map(|it| it.2).collect();
    let part = match &node.part {
        Some(graph::PartOf::Column { column, .. }) => format!("[{column:?}]"),
        Some(graph::PartOf::Field(field)) => format!(".{field}"),
        None => String::new(),
    };
    format!("{}({}){part} -> {}\n", node.name, takes.join(", "), node.ty)
}

fn diagnostic_lines(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
    let place = diagnostic.labels.first().map_or(String::new(), |label| {
        let place = sources.line_column(label.span);
        let file = sources.file(label.span.file).map_or("", |it| it.path.as_str());
        format!("{file}:{}:{} ", place.line, place.column)
    });
    let mut text = format!("{severity}[{}] {place}{}\n", diagnostic.code, diagnostic.message);
    for hint in &diagnostic.hints {
        text.extend(["hint: ", hint, "\n"]);
    }
    text
}

fn event_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::DidRun { node, changed: true, .. } => format!("DidRun {node}\n"),
        Event::DidRun { node, changed: false, .. } => format!("DidRun {node} (unchanged)\n"),
        Event::DidReuse { node, .. } => format!("DidReuse {node}\n"),
        Event::DidTake { node, .. } => format!("DidTake {node}\n"),
        Event::DidFail { node, failure } => format!("DidFail {node}: {}\n", failure.message),
        Event::DidSkip { node, .. } => format!("DidSkip {node}\n"),
        Event::DidWarn { message, .. } => format!("DidWarn {message}\n"),
        Event::WillPlan { .. } | Event::WillRun { .. } => return None,
    })
}

/// Events are told by node, not by time.
fn node_of(line: &str) -> &str {
    line.split([' ', '\n', ':']).nth(1).unwrap_or_default()
}

// The scripted transforms. A shim is a plain function and can hold nothing, so the script is found by the
// number that is compiled into it.

static SCRIPT: Mutex<Vec<(Option<Answer>, bool)>> = Mutex::new(Vec::new());

fn set_script(answers: Vec<Option<Answer>>) {
    *SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) =
        answers.into_iter().map(|it| (it, false)).collect();
}

fn called(index: usize) -> Answer {
    let mut script = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner);
    let (answer, ran) = &mut script[index];
    *ran = true;
    answer.clone().unwrap_or_else(|| Err("not scripted".to_owned()))
}

fn ran_unscripted(index: usize) -> bool {
    let script = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner);
    script[index] == (None, true)
}

fn f0<const I: usize>() -> Answer {
    called(I)
}

fn f1<const I: usize>(_: Option<i64>) -> Answer {
    called(I)
}

fn f2<const I: usize>(_: Option<i64>, _: Option<i64>) -> Answer {
    called(I)
}

fn f3<const I: usize>(_: Option<i64>, _: Option<i64>, _: Option<i64>) -> Answer {
    called(I)
}

fn s0<const I: usize>(s: &Slots<'_>) -> Outcome {
    let f = f0::<I>;
    let r = (&&&&&r0(f)).ret(s);
    s.ready()?;
    r.finish(f())
}

fn s1<const I: usize>(s: &Slots<'_>) -> Outcome {
    let f = f1::<I>;
    let a0 = (&&&&p1_0(f)).arg(s, 0);
    let r = (&&&&&r1(f)).ret(s);
    s.ready()?;
    r.finish(f(a0.take()?))
}

fn s2<const I: usize>(s: &Slots<'_>) -> Outcome {
    let f = f2::<I>;
    let a0 = (&&&&p2_0(f)).arg(s, 0);
    let a1 = (&&&&p2_1(f)).arg(s, 1);
    let r = (&&&&&r2(f)).ret(s);
    s.ready()?;
    r.finish(f(a0.take()?, a1.take()?))
}

fn s3<const I: usize>(s: &Slots<'_>) -> Outcome {
    let f = f3::<I>;
    let a0 = (&&&&p3_0(f)).arg(s, 0);
    let a1 = (&&&&p3_1(f)).arg(s, 1);
    let a2 = (&&&&p3_2(f)).arg(s, 2);
    let r = (&&&&&r3(f)).ret(s);
    s.ready()?;
    r.finish(f(a0.take()?, a1.take()?, a2.take()?))
}

macro_rules! by_index {
    ($shim:ident) => {
        [$shim::<0>, $shim::<1>, $shim::<2>, $shim::<3>, $shim::<4>, $shim::<5>, $shim::<6>, $shim::<7>]
    };
}

fn shim(index: usize, arity: usize) -> Shim {
    let shims: [[Shim; 8]; 4] = [by_index!(s0), by_index!(s1), by_index!(s2), by_index!(s3)];
    shims[arity][index]
}

//! An engine whose language is a list of words, for testing all that is around an engine.
//!
//! A cell is executed line by line: `print X`, `echo X` (the result), `fail NAME X`, and so on, as in
//! [`Engine::execute`] below. `wait` stands for a long computation: it ends when the test says so, or with an
//! interrupt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use brooklet_graph::wire::MimeBundle;
use serde_json::json;

use crate::engine::{
    Cell, CellError, Completeness, Completion, Completions, Engine, Outcome, Output, Stream,
};

#[derive(Default)]
pub struct Toy {
    gate: Mutex<Gate>,
    changed: Condvar,
    pub interrupts: AtomicUsize,
    pub shutdowns: AtomicUsize,
    /// Cells that were executed.
    pub executed: Mutex<Vec<Cell>>,
}

#[derive(Default)]
struct Gate {
    /// How often a `wait` may go on.
    open: usize,
    /// Those that are waiting.
    waiting: usize,
    interrupted: bool,
    shut: bool,
}

impl Toy {
    /// Lets one `wait`, now or later, go on.
    pub fn open(&self) {
        self.gate.lock().unwrap().open += 1;
        self.changed.notify_all();
    }

    /// Waits until something waits.
    pub fn until_it_waits(&self) {
        drop(self.changed.wait_while(self.gate.lock().unwrap(), |gate| gate.waiting == 0).unwrap());
    }

    /// Whether the wait ended as it should.
    fn wait(&self) -> bool {
        let mut gate = self.gate.lock().unwrap();
        gate.waiting += 1;
        self.changed.notify_all();
        let closed = |gate: &mut Gate| gate.open == 0 && !gate.interrupted && !gate.shut;
        let mut gate = self.changed.wait_while(gate, closed).unwrap();
        gate.waiting -= 1;
        if gate.open > 0 {
            gate.open -= 1;
            return true;
        }
        gate.interrupted = false;
        false
    }

    fn line(self: &Arc<Self>, line: &str, cell: &Cell, output: &Arc<dyn Output>) -> Result<(), CellError> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = rest.replace("\\n", "\n").replace("\\r", "\r");
        match word {
            "" => {}
            "print" => output.stream(Stream::Stdout, &format!("{text}\n")),
            "put" => output.stream(Stream::Stdout, &text),
            "warn" => output.stream(Stream::Stderr, &format!("{text}\n")),
            "repeat" => {
                let (times, text) = text.split_once(' ').unwrap();
                (0..times.parse().unwrap()).for_each(|_| output.stream(Stream::Stdout, text));
            }
            "flood" => {
                while !self.gate.lock().unwrap().interrupted {
                    output.stream(Stream::Stdout, &text);
                }
                self.wait();
                return Err(error("Interrupted", "the cell was interrupted"));
            }
            "echo" => output.result(&MimeBundle::text(text)),
            "show" => output.display(&html(&text), None),
            "place" => {
                let (id, text) = text.split_once(' ').unwrap();
                output.display(&html(text), Some(id));
            }
            "update" => {
                let (id, text) = text.split_once(' ').unwrap();
                output.update(&html(text), id);
            }
            "clear" => output.clear(text == "wait"),
            "page" => output.page(&text),
            "fail" => {
                let (name, message) = text.split_once(' ').unwrap();
                return Err(error(name, message));
            }
            "panic" => panic!("{text}"),
            "wait" if !self.wait() => return Err(error("Interrupted", "the cell was interrupted")),
            "wait" => {}
            "ask" | "secret" => match output.input(&text, word == "secret") {
                Ok(answer) => output.stream(Stream::Stdout, &format!("<{answer}>\n")),
                Err(reason) => return Err(error("NoInput", &reason)),
            },
            "later" => {
                let (toy, output) = (self.clone(), output.clone());
                std::thread::spawn(move || {
                    toy.wait();
                    output.result(&MimeBundle::text("too late for a result"));
                    let refused = output.input("?", false).unwrap_err();
                    output.stream(Stream::Stdout, &format!("{text}, {refused}\n"));
                });
            }
            "count" => output.result(&MimeBundle::text(cell.execution_count.to_string())),
            unknown => return Err(error("Unknown", unknown)),
        }
        Ok(())
    }
}

fn html(text: &str) -> MimeBundle {
    MimeBundle::text(text).with("text/html", format!("<b>{text}</b>")).with("application/json", json!([text]))
}

fn error(name: &str, message: &str) -> CellError {
    let traceback = vec![format!("\u{1b}[31m{name}\u{1b}[0m"), message.to_owned()];
    CellError { name: name.to_owned(), value: message.to_owned(), traceback }
}

/// The toy as an engine; `later` needs it shared.
pub struct Shared(pub Arc<Toy>);

impl Engine for Shared {
    fn execute(&self, cell: &Cell, output: Arc<dyn Output>) -> Outcome {
        self.0.executed.lock().unwrap().push(cell.clone());
        for line in cell.code.lines() {
            if let Err(error) = self.0.line(line, cell, &output) {
                return Outcome::Failure(error);
            }
        }
        let value = |(name, expression): &(String, String)| {
            let value = match expression.strip_prefix("bad ") {
                Some(message) => Err(error("Bad", message)),
                None => Ok(MimeBundle::text(expression.to_uppercase())),
            };
            (name.clone(), value)
        };
        Outcome::Success { user_expressions: cell.user_expressions.iter().map(value).collect() }
    }

    /// Completes the word before the cursor by `_one` and `_two`.
    fn complete(&self, code: &str, position: usize) -> Completions {
        let word = code[..position].rsplit(' ').next().unwrap_or_default();
        match word {
            "slow" => drop(self.0.wait()),
            "panic" => panic!("{word}"),
            _ => {}
        }
        let item = |end: &str| Completion {
            text: format!("{word}_{end}"),
            kind: "function".into(),
            signature: "()".into(),
        };
        Completions { items: vec![item("one"), item("two")], start: position - word.len(), end: position }
    }

    /// Knows what is between the last space and the cursor, unless it is nothing.
    fn inspect(&self, code: &str, position: usize, detail: u8) -> Option<MimeBundle> {
        let word = code[..position].rsplit(' ').next().unwrap_or_default();
        (!word.is_empty()).then(|| MimeBundle::text(format!("{word} in detail {detail}")))
    }

    fn completeness(&self, code: &str) -> Completeness {
        match code.chars().last() {
            Some('{') => Completeness::Incomplete { indent: "    ".into() },
            Some('}') => Completeness::Invalid,
            _ => Completeness::Complete,
        }
    }

    fn interrupt(&self) {
        self.0.interrupts.fetch_add(1, Ordering::SeqCst);
        self.0.gate.lock().unwrap().interrupted = true;
        self.0.changed.notify_all();
    }

    fn shutdown(&self) {
        self.0.shutdowns.fetch_add(1, Ordering::SeqCst);
        self.0.gate.lock().unwrap().shut = true;
        self.0.changed.notify_all();
    }

    fn children(&self) -> Vec<u32> {
        vec![1]
    }

    fn banner(&self) -> String {
        "a toy".into()
    }
}

//! What the kernel and the worker say to each other.
//!
//! The two processes share no memory and no standard library, so only plain data crosses: values are
//! hashed and rendered on the worker's side first. Each message is one JSON document behind a 4-byte
//! little-endian length. The first message each way is `Hello`; it stays first in every version.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::graph::{Graph, Literals};
use crate::source::Span;

/// Kernel and worker refuse each other unless they agree in this number.
pub const VERSION: u32 = 5;

/// A message may hold so many bytes. What is longer is no message but a damaged link.
pub const LONGEST: u32 = 512 << 20;

/// One result in several formats, richest chosen by the frontend; always holds `text/plain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MimeBundle {
    pub data: BTreeMap<String, Json>,
}

impl MimeBundle {
    /// A bundle of plain text alone.
    pub fn text(text: impl Into<String>) -> MimeBundle {
        MimeBundle::default().with("text/plain", Json::String(text.into()))
    }

    /// Adds or replaces one format.
    pub fn with(mut self, mime: &str, value: impl Into<Json>) -> MimeBundle {
        self.data.insert(mime.to_owned(), value.into());
        self
    }

    /// The plain text of the bundle.
    pub fn plain(&self) -> &str {
        self.data.get("text/plain").and_then(Json::as_str).unwrap_or_default()
    }
}

/// How the values of a run are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// One target shows itself; several of equal length make a frame; else a dict.
    #[default]
    Auto,
    Frame,
    Dict,
    Json,
    /// Tables with so many rows of both ends.
    Rows {
        rows: usize,
    },
    /// The first rows; of a plan too.
    Head {
        rows: usize,
    },
    /// What the columns hold.
    Describe,
    /// Compute only: a Rust cell is about to use the values.
    Nothing,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    Hello {
        version: u32,
    },
    /// Loads a generation and makes `graph` the graph in force if every edge fits. Answer: `Committed`
    /// or `Refused`. Without a library (`library` empty) the graph has no transforms.
    Commit {
        generation: u64,
        library: String,
        /// Hash of all that may change a type (see `parse::Parsed::type_key`). When it differs from the last committed one,
        /// every value whose type is not from the image is dropped.
        type_key: String,
        graph: Graph,
    },
    /// Runs what the targets need. Answers: `Event`s, then one `Done` and one `Facts`.
    Run(Run),
    /// Says what `Run` would find wrong, and runs nothing. Answer: `Checked`.
    Check {
        request: u64,
        targets: Vec<String>,
        inputs: Literals,
        overrides: Literals,
    },
    /// Why a node ran or was reused last. Answer: `Why`.
    Why {
        request: u64,
        node: String,
    },
    /// Runs one function of a cell's library on the thread of cells. Answer: `CellDone`.
    Cell {
        request: u64,
        library: String,
        function: String,
        /// By this the user's own output is told from what evcxr's generated code prints around it.
        nonce: u64,
    },
    /// What the person at the frontend typed, or why there is no answer.
    Answer {
        text: Result<String, String>,
    },
    /// Keeps results in a directory too, from now on. What goes wrong is told with the next run.
    Store {
        directory: String,
        /// What the code is compiled with.
        identity: String,
    },
    /// Says what is kept, after doing something to it. Answer: `Cache`.
    Cache {
        request: u64,
        order: CacheOrder,
    },
    /// Drops the variables that cells keep.
    ForgetCells,
    /// Asks for a sign of life. Answer, at once: `Pong`.
    Ping,
    /// Sets the flag that is looked at between steps. Answer, at once: `InterruptNoted`.
    Interrupt,
    /// Ends the process after the running step.
    Shutdown,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    pub request: u64,
    pub targets: Vec<String>,
    pub show: Show,
    /// Raw literals, decoded by the type of the consuming parameter.
    pub inputs: Literals,
    /// Raw literals that take the place of nodes.
    pub overrides: Literals,
    pub recompute: Recompute,
    /// Nodes that this run must not compute; what needs one that it would have to compute cannot be had.
    #[serde(default)]
    pub hold: Vec<String>,
}

/// What a run computes again though its results are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recompute {
    #[default]
    Nothing,
    Nodes(Vec<String>),
    All,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    Hello {
        version: u32,
    },
    Committed {
        generation: u64,
        /// rustc's name of what each node holds (functions and inputs), short form.
        types: BTreeMap<String, String>,
        /// Nodes whose kept values were dropped because user types may have changed.
        dropped: Vec<String>,
        /// Nodes whose values no disk can keep: with the worker they are gone.
        only_in_memory: Vec<String>,
    },
    Refused {
        generation: u64,
        problem: Refusal,
    },
    Event {
        request: u64,
        event: Event,
    },
    Done {
        request: u64,
        outcome: Outcome,
        unused_inputs: Vec<String>,
    },
    /// After `Done`, when nobody waits any more: what the run leaves for its record.
    Facts {
        request: u64,
        facts: RunFacts,
    },
    Checked {
        request: u64,
        problems: Vec<Failure>,
    },
    Why {
        request: u64,
        answer: Why,
    },
    Cache {
        request: u64,
        answer: Result<CacheReport, String>,
    },
    /// The code of a cell is about to run.
    CellBegan {
        request: u64,
    },
    /// Code of the user's that is no step is about to run in a lane (`run`, `drop`), or, if `what` is empty, has
    /// ended: should the process end with it, the end has a cause. `what` reads after "while".
    Doing {
        lane: String,
        what: String,
    },
    Pong,
    /// Something that code of a cell or a transform wants shown now.
    Display {
        bundle: MimeBundle,
    },
    /// Code waits for a line from the person at the frontend. Answer: `ToWorker::Answer`.
    Ask {
        prompt: String,
        password: bool,
    },
    /// The value of the cell's last expression.
    CellValue {
        request: u64,
        bundle: MimeBundle,
    },
    CellDone {
        request: u64,
        failure: Option<Failure>,
    },
    /// No step starts from here on.
    InterruptNoted,
}

/// What is done to the results that are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheOrder {
    Nothing,
    /// Forgets the results of these nodes, in memory and on the disk; of all for none.
    Clear {
        nodes: Vec<String>,
    },
    /// Keeps their values in memory whatever they take.
    Pin {
        nodes: Vec<String>,
    },
    Unpin {
        nodes: Vec<String>,
    },
    /// What values may take, in bytes.
    Limit {
        memory: Option<u64>,
        disk: Option<u64>,
    },
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheReport {
    /// Nodes of the present graph that have a result, in its order.
    pub nodes: Vec<KeptNode>,
    /// Values in memory, of all graphs.
    pub values: u64,
    /// Bytes in memory; what values share counts once.
    pub memory: u64,
    pub memory_budget: u64,
    /// Bytes on the disk; `None` without a store there.
    pub disk: Option<u64>,
    pub disk_budget: u64,
    pub results_on_disk: u64,
    pub hits_in_memory: u64,
    pub hits_on_disk: u64,
}

/// Where the value of one node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptNode {
    pub node: String,
    /// Bytes in memory.
    pub memory: Option<u64>,
    /// Bytes on the disk.
    pub disk: Option<u64>,
    /// What it took to compute.
    pub milliseconds: Option<f64>,
    pub is_pinned: bool,
    /// Why its value is not written to the disk; empty if its type is no hindrance.
    pub only_in_memory: String,
}

/// What a run leaves for its record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The data version of each node that has a value.
    pub versions: BTreeMap<String, String>,
    /// The results in numbers, by target: a scalar itself, of columns their mean and so on.
    pub numbers: BTreeMap<String, Numbers>,
    /// Files that were read for inputs and for parameters that name files, each with the version of its content.
    pub files: BTreeMap<String, String>,
}

/// Named numbers of one value, exact as in `--as json`.
pub type Numbers = BTreeMap<String, Json>;

/// Why a node ran or was reused, in pieces of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub before: String,
    pub changes: Vec<Change>,
    pub after: String,
}

/// One part of a node's key that is another than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The code, by its fingerprints: of what in it, only who has the sources can say.
    Code { before: String, now: String },
    /// Anything else, in words.
    Said(String),
}

impl Why {
    /// All of it in words that need no list of changes.
    pub fn said(text: impl Into<String>) -> Why {
        Why { before: text.into(), ..Why::default() }
    }

    /// The sentence; `code` says what of the code changed between two fingerprints.
    pub fn text(&self, code: impl Fn(&str, &str) -> String) -> String {
        let clauses: Vec<String> = self
            .changes
            .iter()
            .map(|it| match it {
                Change::Code { before, now } => code(before, now),
                Change::Said(text) => text.clone(),
            })
            .collect();
        let list = match clauses.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            // Clauses with commas of their own end more clearly so.
            all if all.iter().any(|it| it.contains(", ")) => all.join("; "),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        };
        format!("{}{list}{}", self.before, self.after)
    }
}

/// Why a generation cannot take over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The library does not load; the loader's message.
    Load { message: String },
    /// Types of edges do not fit, all of them.
    Edges { mismatches: Vec<EdgeMismatch> },
}

/// Parameter `parameter` of `to` cannot take what `from` holds. For an input, `from` is the input and
/// `found` is what another consumer takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeMismatch {
    pub from: String,
    pub to: String,
    pub parameter: usize,
    pub expected: String,
    pub found: String,
    /// For inputs whose consumers disagree: the other consumer and its parameter.
    pub other_consumer: Option<(String, usize)>,
    /// A list where a map is taken, or a map where a list is: `found` is what was given, in words.
    #[serde(default)]
    pub is_group: bool,
    /// What `#[cache]` says of `to` does not fit: of its parameter `from`, or of its own value if that is `from`.
    #[serde(default)]
    pub in_cache: bool,
}

/// Something the driver did. Reuse is asserted on these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Event {
    /// The plan: every node that the targets need, in order.
    WillPlan {
        nodes: Vec<String>,
    },
    WillRun {
        node: String,
    },
    /// `changed` is false where the new value equals the old one: dependents are not stale.
    DidRun {
        node: String,
        /// The node's own time.
        milliseconds: f64,
        /// What it took on top of that to tell its value from others.
        #[serde(default)]
        hashing: f64,
        changed: bool,
        summary: Summary,
    },
    DidReuse {
        node: String,
        summary: Summary,
    },
    /// A given value: an input or an override.
    DidTake {
        node: String,
        summary: Summary,
    },
    /// The value is not as its schema declares it.
    DidWarn {
        node: String,
        message: String,
    },
    DidFail {
        node: String,
        failure: Failure,
    },
    /// Not run because a node upstream failed or the run was interrupted.
    DidSkip {
        node: String,
        because: String,
    },
}

/// One line about a value: what a node of the picture shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Short type name, `Series`.
    pub ty: String,
    /// `1 000 × 5`, `6 × i64`, or a scalar's value; may be empty.
    pub shape: String,
}

/// A fault of user code or input, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// `Panic`, `Error`, `missing-input`, `bad-literal`, `unknown-target`, `Interrupted`, `TypeMismatch`.
    pub kind: String,
    /// The node to blame, or empty.
    pub node: String,
    /// The message, one line where possible.
    pub message: String,
    /// The error's sources, outermost first; for a panic its place `file:line:column`.
    pub chain: Vec<String>,
    pub hint: Option<String>,
    /// Where in the transform files the fault stands, if not in the node's code: a literal of an attribute.
    #[serde(default)]
    pub place: Option<Span>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The shown values, one bundle for the whole run (empty for `Show::Nothing`).
    Shown {
        bundle: MimeBundle,
    },
    /// What failed, all of it; nothing is shown.
    Failed {
        failures: Vec<Failure>,
    },
    Interrupted,
}

/// Writes one message.
///
/// # Errors
/// As the writer gives them; a message over [`LONGEST`] is refused, and nothing is written then.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|it| *it <= LONGEST);
    let Some(length) = length else {
        let megabytes = body.len() >> 20;
        return Err(io::Error::other(format!(
            "it takes {megabytes} MB, and {} MB is the most that can be shown at once",
            LONGEST >> 20
        )));
    };
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// As the reader gives them, and if what comes is not the expected message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other(format!("a message of {length} bytes was announced")));
    }
    // Grown by what comes: memory is not had by announcing it.
    let mut body = Vec::new();
    if from.take(length.into()).read_to_end(&mut body)? < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_nonsense_is_refused_before_memory_is_taken() {
        let mut bytes = Vec::new();
        send(&mut bytes, &ToWorker::Why { request: 7, node: "a".into() }).unwrap();
        let back = receive::<ToWorker>(&mut &bytes[..]).unwrap();
        assert!(matches!(back, Some(ToWorker::Why { request: 7, node }) if node == "a"));
        assert!(receive::<ToWorker>(&mut &b""[..]).unwrap().is_none());
        let error = receive::<ToWorker>(&mut &b"garbage!"[..]).unwrap_err();
        assert!(error.to_string().contains("was announced"), "{error}");
        let cut = receive::<ToWorker>(&mut &bytes[..bytes.len() - 1]).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}

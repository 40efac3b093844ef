//! Contents of the requests that we receive.
//!
//! Clients differ in which fields they send, and `null` often stands for "as usual", so only what has no
//! sensible default is required. `jupyter-protocol`'s request types demand every field; these do not.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

#[derive(Debug, Deserialize)]
pub struct Execute {
    pub code: String,
    #[serde(default, deserialize_with = "nullable")]
    pub silent: bool,
    #[serde(default)]
    store_history: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    user_expressions: Map<String, Json>,
    /// Absent means no: a client that does not know of stdin would leave the cell waiting for ever.
    #[serde(default, deserialize_with = "nullable")]
    pub allow_stdin: bool,
    #[serde(default)]
    stop_on_error: Option<bool>,
    /// From the metadata, where the frontend says it.
    #[serde(skip)]
    pub cell_id: String,
}

/// What the frontend calls the cell that a request comes from; empty if it does not say.
pub fn cell_id(metadata: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(default, rename = "cellId")]
        cell_id: Option<String>,
    }
    let metadata: Metadata = serde_json::from_slice(metadata).unwrap_or_default();
    metadata.cell_id.unwrap_or_default()
}

impl Execute {
    /// Whether the cell gets a number and a place in the history.
    pub fn stored(&self) -> bool {
        self.store_history.unwrap_or(true) && !self.silent
    }

    pub fn stops_on_error(&self) -> bool {
        self.stop_on_error.unwrap_or(true)
    }

    pub fn expressions(&self) -> Vec<(String, String)> {
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.user_expressions.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

#[derive(Debug, Deserialize)]
pub struct Complete {
    pub code: String,
    #[serde(default)]
    cursor_pos: Option<i64>,
}

impl Complete {
    /// The cursor as a byte offset.
    pub fn position(&self) -> usize {
        byte_offset(&self.code, self.cursor_pos)
    }
}

#[derive(Debug, Deserialize)]
pub struct Inspect {
    pub code: String,
    #[serde(default)]
    cursor_pos: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    detail_level: i64,
}

impl Inspect {
    pub fn position(&self) -> usize {
        byte_offset(&self.code, self.cursor_pos)
    }

    pub fn detail(&self) -> u8 {
        u8::from(self.detail_level > 0)
    }
}

#[derive(Debug, Deserialize)]
pub struct IsComplete {
    pub code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct History {
    /// `tail`, `range` or `search`.
    #[serde(deserialize_with = "nullable")]
    pub hist_access_type: String,
    #[serde(deserialize_with = "nullable")]
    pub output: bool,
    /// 0 is the present session, negative numbers count back from it.
    #[serde(deserialize_with = "nullable")]
    pub session: i64,
    pub start: Option<i64>,
    pub stop: Option<i64>,
    pub n: Option<i64>,
    pub pattern: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub unique: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shutdown {
    #[serde(deserialize_with = "nullable")]
    pub restart: bool,
}

#[derive(Debug, Deserialize)]
pub struct CommOpen {
    pub comm_id: String,
    #[serde(default, deserialize_with = "nullable")]
    pub target_name: String,
}

#[derive(Debug, Deserialize)]
pub struct InputReply {
    #[serde(default, deserialize_with = "nullable")]
    pub value: String,
}

/// Code points, as the protocol counts, to bytes, as Rust does. Beyond the end is the end.
pub fn byte_offset(code: &str, code_points: Option<i64>) -> usize {
    let Some(code_points) = code_points else { return code.len() };
    let code_points = usize::try_from(code_points).unwrap_or(0);
    code.char_indices().nth(code_points).map_or(code.len(), |(offset, _)| offset)
}

/// Bytes to code points. An offset inside a character counts as that character's beginning.
pub fn code_points(code: &str, byte_offset: usize) -> usize {
    code[..code.floor_char_boundary(byte_offset)].chars().count()
}

/// Takes `null` for the default.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

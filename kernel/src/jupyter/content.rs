//! Contents of the messages that we send.
//!
//! `jupyter-protocol` has types for most; they are used where they fit. Where they would write a `null` for
//! what the schema calls an object, miss a field, or copy a MIME bundle twice, our own stand here.
//! Guiding rule: every content is complete, so that no frontend needs a default.

use std::borrow::Cow;
use std::collections::BTreeMap;

use brooklet_graph::wire::MimeBundle;
use jupyter_protocol::{ErrorOutput, JupyterMessageContent};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::engine::CellError;

/// Version of the messaging protocol that we speak.
pub const PROTOCOL_VERSION: &str = "5.5";

/// A message's type and its content as JSON.
#[derive(Clone, Debug)]
pub struct Content {
    pub kind: Cow<'static, str>,
    pub body: Vec<u8>,
}

impl Content {
    /// A content that `jupyter-protocol` describes as it should be.
    pub fn of(content: impl Into<JupyterMessageContent>) -> Content {
        let content = content.into();
        Content::new(content.message_type().to_owned(), &content)
    }

    /// One of our own.
    pub fn new(kind: impl Into<Cow<'static, str>>, body: &impl Serialize) -> Content {
        let body = serde_json::to_vec(body).expect("contents are maps with text for keys");
        Content { kind: kind.into(), body }
    }

    /// A reply that says what went wrong.
    pub fn failure(kind: impl Into<Cow<'static, str>>, error: &CellError) -> Content {
        Content::new(kind, &ErrorReply::new(error))
    }
}

/// `execute_request` -> `execute_reply`; `None` for what is no request.
pub fn reply_kind(request: &str) -> Option<String> {
    request.strip_suffix("_request").map(|stem| format!("{stem}_reply"))
}

/// The three fields that every error has, in replies, on iopub and in user expressions.
#[derive(Serialize)]
struct ErrorFields<'a> {
    ename: &'a str,
    evalue: &'a str,
    traceback: &'a [String],
}

impl<'a> ErrorFields<'a> {
    fn new(error: &'a CellError) -> Self {
        ErrorFields { ename: &error.name, evalue: &error.value, traceback: &error.traceback }
    }
}

/// A reply, or a user expression's value, that is an error.
#[derive(Serialize)]
struct ErrorReply<'a> {
    status: &'static str,
    #[serde(flatten)]
    error: ErrorFields<'a>,
}

impl<'a> ErrorReply<'a> {
    fn new(error: &'a CellError) -> Self {
        ErrorReply { status: "error", error: ErrorFields::new(error) }
    }
}

pub fn error_output(error: &CellError) -> ErrorOutput {
    ErrorOutput { ename: error.name.clone(), evalue: error.value.clone(), traceback: error.traceback.clone() }
}

/// `display_data` and `update_display_data`. Their `transient` may be empty, never null.
#[derive(Serialize)]
pub struct Display<'a> {
    data: &'a BTreeMap<String, Json>,
    metadata: Map<String, Json>,
    transient: Map<String, Json>,
}

impl<'a> Display<'a> {
    pub fn new(bundle: &'a MimeBundle, display_id: Option<&str>) -> Self {
        let transient = display_id.map(|id| ("display_id".to_owned(), id.into())).into_iter().collect();
        Display { data: &bundle.data, metadata: Map::new(), transient }
    }
}

/// `execute_result`.
#[derive(Serialize)]
pub struct ExecuteResult<'a> {
    pub execution_count: u64,
    #[serde(flatten)]
    display: Display<'a>,
}

impl<'a> ExecuteResult<'a> {
    pub fn new(execution_count: u64, bundle: &'a MimeBundle) -> Self {
        ExecuteResult { execution_count, display: Display::new(bundle, None) }
    }
}

/// `execute_reply`.
#[derive(Serialize)]
pub struct ExecuteReply<'a> {
    status: &'static str,
    execution_count: u64,
    payload: Vec<Json>,
    user_expressions: Map<String, Json>,
    #[serde(flatten)]
    error: Option<ErrorFields<'a>>,
}

impl<'a> ExecuteReply<'a> {
    pub fn ok(
        execution_count: u64,
        pages: &[String],
        user_expressions: &[(String, Result<MimeBundle, CellError>)],
    ) -> Self {
        let value = |result: &Result<MimeBundle, CellError>| match result {
            Ok(bundle) => json!({ "status": "ok", "data": bundle.data, "metadata": {} }),
            Err(error) => json!(ErrorReply::new(error)),
        };
        ExecuteReply {
            status: "ok",
            execution_count,
            payload: pages.iter().map(|text| page(text)).collect(),
            user_expressions: user_expressions.iter().map(|(name, it)| (name.clone(), value(it))).collect(),
            error: None,
        }
    }

    pub fn error(execution_count: u64, pages: &[String], error: &'a CellError) -> Self {
        let error = Some(ErrorFields::new(error));
        ExecuteReply { status: "error", error, ..ExecuteReply::ok(execution_count, pages, &[]) }
    }

    /// For a cell that was not run because one before it failed.
    pub fn aborted(execution_count: u64) -> Self {
        ExecuteReply { status: "aborted", ..ExecuteReply::ok(execution_count, &[], &[]) }
    }
}

/// Text for the frontend's pager.
fn page(text: &str) -> Json {
    json!({ "source": "page", "data": { "text/plain": text }, "start": 0 })
}

//! Comms: two-way channels between a frontend's widgets and the kernel.
//!
//! This kernel offers no comm target yet, so every comm that a frontend opens is closed at once, and
//! none is ever listed. All three questions still need their answers: JupyterLab asks for the list when it
//! connects, and a widget that is never told of its closing waits for ever.

use jupyter_protocol::{CommClose, CommId, CommInfoReply};
use serde_json::Map;

use super::content::Content;
use super::request;

/// What follows a `comm_open`: nobody here knows the target.
pub fn open(request: &request::CommOpen) -> Content {
    tracing::debug!(target_name = request.target_name, "closing a comm of an unknown target");
    Content::of(CommClose { comm_id: CommId(request.comm_id.clone()), data: Map::new() })
}

/// The open comms of any target: none.
pub fn info() -> Content {
    Content::of(CommInfoReply::default())
}

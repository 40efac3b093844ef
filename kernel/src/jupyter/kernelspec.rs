//! How Jupyter starts the kernel: the contents of `kernel.json`.

use std::path::Path;

use serde_json::{Value as Json, json};

/// The kernelspec for this executable.
///
/// `interrupt_mode` must be `message`: with `signal` Jupyter would send SIGINT to the whole process group,
/// and compilers and workers would die of it. `supported_encryption` is absent because the bundled
/// libzmq has no CURVE.
pub fn kernelspec(exe: &Path) -> Json {
    json!({
        "argv": [exe.to_string_lossy(), "kernel", "--connection-file", "{connection_file}"],
        "display_name": "Rust (Brooklet)",
        "language": "rust",
        "interrupt_mode": "message",
        "kernel_protocol_version": super::content::PROTOCOL_VERSION,
        "env": {},
        "metadata": { "debugger": false },
    })
}

//! The connection file: where to listen, and the key that signs messages.
//!
//! Files come from several generations of managers and from people, so reading is lenient: a port that
//! is missing or 0 is chosen by us and written back, and keys that we do not know survive the rewrite.
//! Guiding rule: what we cannot do (encryption, the registration handshake) is refused in one clear
//! sentence at start, because a kernel that listens elsewhere looks like one that hangs. A field of the wrong
//! type is refused as well: its default may be a session without signatures, or a port open to the host.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::Error;

/// What a connection file says.
#[derive(Debug)]
pub struct Connection {
    path: PathBuf,
    /// The whole file, unknown keys included, for rewriting.
    file: Map<String, Json>,
    pub transport: Transport,
    /// An address, or for ipc the beginning of a path.
    pub ip: String,
    /// Empty: messages are not signed.
    pub key: String,
    pub ports: Ports,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Ipc,
}

/// Port numbers; for ipc they end the socket's file name. 0: still to be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub shell: u32,
    pub control: u32,
    pub stdin: u32,
    pub iopub: u32,
    pub heartbeat: u32,
}

impl Ports {
    /// The ports, as the file calls them.
    fn named(&self) -> [(&'static str, u32); 5] {
        [
            ("shell_port", self.shell),
            ("control_port", self.control),
            ("stdin_port", self.stdin),
            ("iopub_port", self.iopub),
            ("hb_port", self.heartbeat),
        ]
    }

    /// Two of them that cannot both be bound.
    fn shared(&self) -> Option<(&'static str, &'static str)> {
        let named = self.named();
        named.iter().enumerate().find_map(|(index, (other, port))| {
            let (one, _) = named[..index].iter().find(|(_, it)| it == port && *port != 0)?;
            Some((*one, *other))
        })
    }
}

impl Connection {
    /// Reads a connection file.
    pub fn read(path: &Path) -> Result<Connection, Error> {
        let bad = |message: String| Error::ConnectionFile { path: path.to_owned(), message };
        let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let file: Map<String, Json> =
            serde_json::from_str(&text).map_err(|error| bad(format!("not a JSON object: {error}")))?;

        let asks_for = |name: &str| file.get(name).is_some_and(|value| !value.is_null() && value != "");
        if asks_for("registration_port") {
            return Err(Error::Unsupported(
                "the connection file asks for the registration handshake (JEP 66), which this kernel does not \
                 speak; start it with a connection file that holds the five ports"
                    .into(),
            ));
        }
        if asks_for("curve_publickey") || asks_for("curve_secretkey") {
            return Err(Error::Unsupported(
                "the connection file asks for CURVE encryption, which this kernel was built without; unset \
                 `transport_encryption` of the kernel manager, or use `\"transport\": \"ipc\"`"
                    .into(),
            ));
        }
        let text_of = |name: &str| match file.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(bad(format!("`{name}` must be text, and is {}", kind(other)))),
        };
        let transport = match text_of("transport")?.as_deref() {
            None | Some("tcp") => Transport::Tcp,
            Some("ipc") => Transport::Ipc,
            Some(other) => {
                return Err(Error::Unsupported(format!("transport `{other}` is neither tcp nor ipc")));
            }
        };
        // `null` means "as usual" in other fields, and it is usual to sign.
        if file.get("key").is_none_or(Json::is_null) {
            let what = if file.contains_key("key") { "`key` is null" } else { "`key` is missing" };
            return Err(bad(format!("{what}; a session without signatures has an empty text there")));
        }
        let key = text_of("key")?.unwrap_or_default();
        match text_of("signature_scheme")?.as_deref() {
            None | Some("" | "hmac-sha256") => {}
            Some(_) if key.is_empty() => {}
            Some(other) => {
                return Err(Error::Unsupported(format!(
                    "signature scheme `{other}` is not supported; use `hmac-sha256`"
                )));
            }
        }
        let ip = text_of("ip")?.filter(|ip| !ip.is_empty()).unwrap_or_else(|| match transport {
            Transport::Tcp => "127.0.0.1".into(),
            Transport::Ipc => path.with_extension("ipc").to_string_lossy().into_owned(),
        });
        if transport == Transport::Ipc && ip.starts_with(['@', '*']) {
            return Err(Error::Unsupported(format!(
                "the ipc address `{ip}` names no file, so its sockets would be open to every user of this \
                 host; give the beginning of a path"
            )));
        }
        let port = |name: &str| -> Result<u32, Error> {
            match file.get(name) {
                None | Some(Json::Null) => Some(0),
                // The handshake writes ports as strings, and so do some people.
                Some(Json::String(text)) => text.parse().ok(),
                Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
            }
            .filter(|port| transport == Transport::Ipc || *port <= u32::from(u16::MAX))
            .ok_or_else(|| bad(format!("`{name}` is not a port")))
        };
        let ports = Ports {
            shell: port("shell_port")?,
            control: port("control_port")?,
            stdin: port("stdin_port")?,
            iopub: port("iopub_port")?,
            heartbeat: port("hb_port")?,
        };
        if let Some((one, other)) = ports.shared() {
            return Err(bad(format!("`{one}` and `{other}` are the same port")));
        }
        Ok(Connection { path: path.to_owned(), transport, ip, key, ports, file })
    }

    /// The zmq endpoint of a port.
    pub fn endpoint(&self, port: u32) -> String {
        match self.transport {
            Transport::Ipc => format!("ipc://{}", self.socket_file(port).display()),
            // zmq resolves interface names, not host names.
            Transport::Tcp if self.ip == "localhost" => format!("tcp://127.0.0.1:{port}"),
            Transport::Tcp if self.is_ipv6() => {
                format!("tcp://[{}]:{port}", self.ip.trim_matches(['[', ']']))
            }
            Transport::Tcp => format!("tcp://{}:{port}", self.ip),
        }
    }

    /// The file of an ipc socket.
    pub fn socket_file(&self, port: u32) -> PathBuf {
        format!("{}-{port}", self.ip).into()
    }

    pub fn is_ipv6(&self) -> bool {
        self.transport == Transport::Tcp && self.ip.contains(':')
    }

    /// Puts the ports into the file, so that frontends find the ones that we chose.
    ///
    /// The file appears whole or not at all, and only its owner may read the key in it.
    pub fn rewrite(&mut self) -> Result<(), Error> {
        for (name, port) in self.ports.named() {
            self.file.insert(name.into(), port.into());
        }
        self.file.insert("ip".into(), self.ip.clone().into());
        let text = serde_json::to_string_pretty(&self.file).unwrap_or_default();
        let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // `tempfile` creates with mode 0600, which `persist` keeps.
        tempfile::NamedTempFile::new_in(directory)
            .and_then(|mut temporary| {
                temporary.write_all(text.as_bytes())?;
                temporary.persist(&self.path).map_err(|failure| failure.error)
            })
            .map(drop)
            .map_err(|error| Error::ConnectionFile { path: self.path.clone(), message: error.to_string() })
    }
}

/// What a value is, for people.
fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

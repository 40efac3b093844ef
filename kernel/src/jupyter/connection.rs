//! The connection file: where to listen, and the key that signs messages.
//!
//! Files come from several generations of managers and from people, so reading is lenient: a port that
//! is missing or 0 is chosen by us and written back, and keys that we do not know survive the rewrite.
//! Guiding rule: what we cannot do (encryption, the registration handshake) is refused in one clear
//! sentence at start, because a kernel that listens elsewhere looks like one that hangs.

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
        let text_of = |name: &str| file.get(name).and_then(Json::as_str).map(str::to_owned);
        let transport = match text_of("transport").as_deref() {
            None | Some("tcp") => Transport::Tcp,
            Some("ipc") => Transport::Ipc,
            Some(other) => {
                return Err(Error::Unsupported(format!("transport `{other}` is neither tcp nor ipc")));
            }
        };
        let key = text_of("key").unwrap_or_default();
        match text_of("signature_scheme").as_deref() {
            None | Some("" | "hmac-sha256") => {}
            Some(_) if key.is_empty() => {}
            Some(other) => {
                return Err(Error::Unsupported(format!(
                    "signature scheme `{other}` is not supported; use `hmac-sha256`"
                )));
            }
        }
        let ip = text_of("ip").filter(|ip| !ip.is_empty()).unwrap_or_else(|| match transport {
            Transport::Tcp => "127.0.0.1".into(),
            Transport::Ipc => path.with_extension("ipc").to_string_lossy().into_owned(),
        });
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
        Ok(Connection { path: path.to_owned(), transport, ip, key, ports, file })
    }

    /// The zmq endpoint of a port.
    pub fn endpoint(&self, port: u32) -> String {
        match self.transport {
            Transport::Ipc => format!("ipc://{}-{port}", self.ip),
            // zmq resolves interface names, not host names.
            Transport::Tcp if self.ip == "localhost" => format!("tcp://127.0.0.1:{port}"),
            Transport::Tcp if self.is_ipv6() => {
                format!("tcp://[{}]:{port}", self.ip.trim_matches(['[', ']']))
            }
            Transport::Tcp => format!("tcp://{}:{port}", self.ip),
        }
    }

    pub fn is_ipv6(&self) -> bool {
        self.transport == Transport::Tcp && self.ip.contains(':')
    }

    /// Puts the ports into the file, so that frontends find the ones that we chose.
    ///
    /// The file appears whole or not at all, and only its owner may read the key in it.
    pub fn rewrite(&mut self) -> Result<(), Error> {
        let Ports { shell, control, stdin, iopub, heartbeat } = self.ports;
        for (name, port) in [
            ("shell_port", shell),
            ("control_port", control),
            ("stdin_port", stdin),
            ("iopub_port", iopub),
            ("hb_port", heartbeat),
        ] {
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

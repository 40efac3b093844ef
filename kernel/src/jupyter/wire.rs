//! Messages as bytes: framing, signatures, headers.
//!
//! A message is `identities.. <IDS|MSG> signature header parent_header metadata content buffers..`. Two
//! things are easy to get wrong, and frontends punish both silently. The parent header must go back
//! exactly as it came, unknown keys included, so it is kept as bytes and never parsed into a struct and
//! printed again. And the session in our headers is *ours*: JupyterLab drops messages of a kernel that
//! echoes the client's.
//!
//! Guiding rule: signatures are checked on the bytes received and made over the bytes sent, and each is
//! accepted once: who overhears a signed message must not be able to have it executed again.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use jupyter_protocol::Header;
use serde::Deserialize;
use sha2::Sha256;
use uuid::Uuid;

use super::content::{Content, PROTOCOL_VERSION};
use super::sockets::Channel;

pub const DELIMITER: &[u8] = b"<IDS|MSG>";
/// Signatures that are remembered. Jupyter's own sessions remember as many.
pub const REMEMBERED: usize = 1 << 16;
/// Who the headers say is speaking.
const USERNAME: &str = "kernel";

/// Where a request came from, which is where its reply goes and under which its outputs appear.
///
/// Shared by everything that may still produce output for the request, also long after its `idle`.
#[derive(Debug)]
pub struct Origin {
    pub channel: Channel,
    /// Routing frames of the ROUTER socket.
    pub identities: Vec<Vec<u8>>,
    /// The header, byte for byte: the parent header of every answer.
    pub header: Vec<u8>,
    /// Empty if the header has none.
    pub message_id: String,
    /// `execute_request`.
    pub kind: String,
}

/// A message whose signature holds.
#[derive(Debug)]
pub struct Incoming {
    pub origin: Origin,
    /// `msg_id` of the parent header; empty if there is none.
    pub parent_id: String,
    /// JSON, not yet parsed, as the content.
    pub metadata: Vec<u8>,
    /// JSON, not yet parsed: each handler knows best what it needs.
    pub content: Vec<u8>,
}

/// The part of a header that we act on. Everything else is only carried.
#[derive(Deserialize)]
struct HeaderFields {
    #[serde(default)]
    msg_id: Option<String>,
    msg_type: String,
}

#[derive(Default, Deserialize)]
struct ParentFields {
    #[serde(default)]
    msg_id: Option<String>,
}

/// The key of the connection file; without one nothing is signed or checked.
#[derive(Clone)]
pub struct Key(Option<Hmac<Sha256>>);

impl Key {
    pub fn new(key: &str) -> Key {
        if key.is_empty() {
            return Key(None);
        }
        Key(Some(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length")))
    }

    /// The signature frame for the four JSON frames.
    pub fn sign(&self, frames: &[Vec<u8>]) -> Vec<u8> {
        self.digest(frames).map(|mac| hex(&mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Whether a signature frame belongs to the frames; takes the same time wherever they differ.
    pub fn verify(&self, frames: &[Vec<u8>], signature: &[u8]) -> bool {
        match self.digest(frames) {
            None => true,
            Some(mac) => unhex(signature).is_some_and(|signature| mac.verify_slice(&signature).is_ok()),
        }
    }

    pub fn is_signing(&self) -> bool {
        self.0.is_some()
    }

    fn digest(&self, frames: &[Vec<u8>]) -> Option<Hmac<Sha256>> {
        let mut mac = self.0.clone()?;
        frames.iter().for_each(|frame| mac.update(frame));
        Some(mac)
    }
}

/// Signatures of messages that were accepted, the newest of them.
#[derive(Default)]
pub struct Signatures {
    /// As bytes: in hexadecimal the same signature can be written in many ways.
    known: HashSet<[u8; 32]>,
    /// The same, in the order in which they came.
    order: VecDeque<[u8; 32]>,
}

impl Signatures {
    /// Remembers a signature, in place of the oldest if there are too many; whether it was new.
    pub fn remember(&mut self, signature: [u8; 32]) -> bool {
        if !self.known.insert(signature) {
            return false;
        }
        self.order.push_back(signature);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// The voice of this kernel process: its key, its session, its topics.
pub struct Session {
    key: Key,
    /// New for every process, so that frontends notice a restart.
    id: String,
    /// What was accepted on any of the channels: a signature says nothing of the channel it was made for.
    accepted: Signatures,
}

impl Session {
    pub fn new(key: Key) -> Session {
        Session { key, id: Uuid::new_v4().to_string(), accepted: Signatures::default() }
    }

    /// Takes a message apart, and its signature out of use.
    ///
    /// # Errors
    /// Says why the message must be dropped. Nothing may be answered to it: it is not from a frontend.
    pub fn decode(&mut self, channel: Channel, mut frames: Vec<Vec<u8>>) -> Result<Incoming, &'static str> {
        let delimiter = frames.iter().position(|frame| frame == DELIMITER).ok_or("no delimiter")?;
        let mut body = frames.split_off(delimiter).into_iter().skip(1);
        let signature = body.next().ok_or("no signature")?;
        let signed: [Vec<u8>; 4] =
            body.take(4).collect::<Vec<_>>().try_into().map_err(|_| "too few frames")?;
        if !self.key.verify(&signed, &signature) {
            return Err("wrong signature");
        }
        // Only what is signed rightly is remembered, else anyone could make us forget.
        let signature = unhex(&signature).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if self.key.is_signing() && signature.is_none_or(|it| !self.accepted.remember(it)) {
            return Err("a signature that was used before");
        }
        let [header, parent, metadata, content] = signed;
        let fields: HeaderFields = serde_json::from_slice(&header).map_err(|_| "unreadable header")?;
        let parent: ParentFields = serde_json::from_slice(&parent).unwrap_or_default();
        Ok(Incoming {
            parent_id: parent.msg_id.unwrap_or_default(),
            metadata,
            content,
            origin: Origin {
                channel,
                identities: frames,
                header,
                message_id: fields.msg_id.unwrap_or_default(),
                kind: fields.msg_type,
            },
        })
    }

    /// The frames of a message to one frontend, and the message's id.
    pub fn reply(&self, origin: &Origin, content: Content) -> (String, Vec<Vec<u8>>) {
        self.encode(origin.identities.clone(), Some(origin), content)
    }

    /// The frames of a broadcast. Its topic says which kernel and what kind; frontends subscribe to all.
    pub fn broadcast(&self, origin: Option<&Origin>, content: Content) -> Vec<Vec<u8>> {
        let topic = format!("kernel.{}.{}", self.id, content.kind);
        self.encode(vec![topic.into_bytes()], origin, content).1
    }

    /// The frames of the welcome, whose topic is the subscription itself so that it reaches the newcomer.
    pub fn welcome(&self, subscription: &str, content: Content) -> Vec<Vec<u8>> {
        self.encode(vec![subscription.as_bytes().to_vec()], None, content).1
    }

    fn encode(
        &self,
        mut frames: Vec<Vec<u8>>,
        parent: Option<&Origin>,
        content: Content,
    ) -> (String, Vec<Vec<u8>>) {
        // A fresh id each time: jupyter_client refuses a signature that it has seen before.
        let id = Uuid::new_v4().to_string();
        let header = Header {
            msg_id: id.clone(),
            username: USERNAME.into(),
            session: self.id.clone(),
            date: whole_microseconds(SystemTime::now()).into(),
            msg_type: content.kind.into_owned(),
            version: PROTOCOL_VERSION.into(),
        };
        let header = serde_json::to_vec(&header).expect("a header has only text in it");
        let empty = || b"{}".to_vec();
        let parent = parent.map_or_else(empty, |origin| origin.header.clone());
        let body = vec![header, parent, empty(), content.body];
        frames.push(DELIMITER.to_vec());
        frames.push(self.key.sign(&body));
        frames.extend(body);
        (id, frames)
    }
}

/// Python's side reads at most six digits behind the second, and leaves any other date a string.
fn whole_microseconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::new(since.as_secs(), since.subsec_micros() * 1000)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |character: u8| char::from(character).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

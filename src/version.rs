//! The data version of a value: what its content hashes to.
//!
//! Two equal values must have one version in every process, on every machine and in every release, because
//! versions reach disk. So the encoding is written down here and never depends on how a value happens to be
//! stored: not on chunks, not on the garbage below null slots, not on the order of a hash map. Floats count by their
//! bits, so that `0.0` and `-0.0` differ, and one NaN from another: code can tell them apart. Nothing is encoded by
//! the text that is shown of it. Encodings of different kinds start with different tags, and everything of variable
//! length says its length first, so that no two values share an encoding.

use std::fmt;

use brooklet_digest::Digest;

/// 128 bits of hash, see [`brooklet_digest`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub [u8; 16]);

impl Version {
    /// Hashes bytes that are a whole encoding already.
    pub fn of_bytes(bytes: &[u8]) -> Version {
        Version(brooklet_digest::hash(bytes))
    }

    /// 32 hexadecimal digits.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |it: u8| char::from(DIGITS[usize::from(it)]);
        self.0.iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
    }

    /// Reads what [`Version::hex`] writes.
    pub fn from_hex(text: &str) -> Option<Version> {
        let digit = |it: u8| match it {
            b'0'..=b'9' => Some(it - b'0'),
            b'a'..=b'f' => Some(it - b'a' + 10),
            _ => None,
        };
        let mut version = Version([0; 16]);
        let bytes = text.as_bytes();
        if bytes.len() != 32 {
            return None;
        }
        for (byte, pair) in version.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(version)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..6] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Collects the encoding of one value. Small writes are gathered, because a hasher is slow with them.
pub struct Encoder {
    buffer: Vec<u8>,
    hasher: Option<Box<Digest>>,
    is_opaque: bool,
}

const BUFFER: usize = 64 * 1024;

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { buffer: Vec::new(), hasher: None, is_opaque: false }
    }

    /// Part of the value cannot be seen: then the whole has no version of its own.
    pub fn opaque(&mut self) {
        self.is_opaque = true;
    }

    /// The encoding that a value of this kind starts with.
    pub fn tag(&mut self, tag: u8) {
        self.bytes(&[tag]);
    }

    /// Bytes of a length that the reader knows.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush();
            if bytes.len() >= BUFFER {
                self.hasher.get_or_insert_default().update(bytes);
                return;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    pub fn length(&mut self, length: usize) {
        self.bytes(&(length as u64).to_le_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    /// A float by its bits.
    pub fn f64(&mut self, value: f64) {
        self.bytes(&value.to_bits().to_le_bytes());
    }

    pub fn f32(&mut self, value: f32) {
        self.bytes(&value.to_bits().to_le_bytes());
    }

    /// The version, unless part of the value cannot be seen.
    pub fn finish(mut self) -> Option<Version> {
        if self.is_opaque {
            return None;
        }
        Some(match self.hasher {
            None => Version::of_bytes(&self.buffer),
            Some(ref mut hasher) => {
                hasher.update(&self.buffer);
                Version(hasher.finish())
            }
        })
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.hasher.get_or_insert_default().update(&self.buffer);
            self.buffer.clear();
        }
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

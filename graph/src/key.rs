//! Hashes of several parts: what a key, a fingerprint or the hash of a snapshot is made from.
//!
//! Every part says its length first, so that no two lists of parts share an encoding, and no part is what is shown of
//! a value: text that is made for people may say the same of two things.

/// Collects parts. Small ones are gathered first: a hasher is slow with them.
#[derive(Default)]
pub struct Key {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

const BUFFER: usize = 4096;

impl Key {
    /// `domain` tells keys of one kind from all others; a change of what is encoded changes it.
    pub fn new(domain: &str) -> Key {
        Key::default().text(domain)
    }

    /// One part of any length.
    pub fn part(mut self, part: &[u8]) -> Key {
        self.add(part);
        self
    }

    /// As [`Key::part`], where the key is at hand by reference.
    pub fn add(&mut self, part: &[u8]) {
        self.put(&(part.len() as u64).to_le_bytes());
        self.put(part);
    }

    pub fn text(self, text: &str) -> Key {
        self.part(text.as_bytes())
    }

    /// A part that may be absent, which is something else than an empty one.
    pub fn optional(mut self, part: Option<&[u8]>) -> Key {
        self.put(&[u8::from(part.is_some())]);
        match part {
            Some(part) => self.part(part),
            None => self,
        }
    }

    /// 32 bytes of blake3.
    pub fn finish(mut self) -> [u8; 32] {
        *self.hasher.update(&self.buffer).finalize().as_bytes()
    }

    /// The hash in hexadecimal digits.
    pub fn finish_hex(self) -> String {
        blake3::Hash::from_bytes(self.finish()).to_hex().to_string()
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
            if bytes.len() > BUFFER {
                self.hasher.update(bytes);
                return;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let long = "x".repeat(3 * super::BUFFER);
        let all = [
            Key::new("a").text("bc"),
            Key::new("ab").text("c"),
            Key::new("a").text("b").text("c"),
            Key::new("a").text("bc").text(""),
            Key::new("a").optional(Some(b"bc")),
            Key::new("a").optional(Some(b"")),
            Key::new("a").optional(None),
            Key::new("a"),
            Key::new("a").text(&long),
            Key::new("a").text(&long[1..]),
        ];
        let hashes: std::collections::BTreeSet<String> = all.into_iter().map(Key::finish_hex).collect();
        assert_eq!(hashes.len(), 10);
        assert_eq!(Key::new("a").text(&long).finish(), Key::new("a").text(&long).finish());
    }
}

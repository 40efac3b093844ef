//! One line of the ledger: what is known of a result, and where its value is.
//!
//! A line is JSON, a tab, and the hash of the JSON; what does not hash to what it says was torn or altered and counts
//! for nothing. Lines are only ever added, so a reader needs no lock, and several processes may write.

use brooklet_graph::wire::Summary;
use serde::{Deserialize, Serialize};

use crate::storing::Format;
use crate::version::Version;

/// What is known of one result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The key on disk: code, what went in, and what it was compiled with.
    #[serde(with = "hex")]
    pub key: Version,
    /// The data version of the value.
    #[serde(with = "hex")]
    pub version: Version,
    /// The node that it was computed for first; a renamed one has the same key.
    pub node: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub shape: String,
    /// What it took to compute.
    pub milliseconds: f64,
    /// What it was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<Origin>>,
    /// Where the value is; absent where it is sooner computed than read, or cannot be stored.
    pub file: Option<FileOf>,
}

/// What a result was computed from: its key in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The path of the function.
    pub function: String,
    /// What of its code counts, with its module and its type.
    #[serde(with = "hex")]
    pub code: Version,
    /// Its code's fingerprint alone.
    pub fingerprint: String,
    /// The values that went in, in order; `None` where there was none.
    pub values: Vec<(String, Option<Hex>)>,
    /// The files that parameters named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, Hex)>,
}

/// A version in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hex(#[serde(with = "hex")] pub Version);

/// A file of values, named by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOf {
    pub format: Format,
    pub bytes: u64,
    #[serde(with = "hex")]
    pub hash: Version,
}

impl Entry {
    pub fn summary(&self) -> Summary {
        Summary { ty: self.ty.clone(), shape: self.shape.clone() }
    }

    /// The line, with its end.
    pub fn line(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let hash = Version::of_bytes(json.as_bytes()).hex();
        format!("{json}\t{hash}\n")
    }

    /// Reads a line without its end; `None` if it is not as it was written.
    pub fn read(line: &[u8]) -> Option<Entry> {
        let tab = line.iter().rposition(|it| *it == b'\t')?;
        let (json, hash) = (&line[..tab], &line[tab + 1..]);
        if Version::of_bytes(json).hex().as_bytes() != hash {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::version::Version;

    pub fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&version.hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        let text = String::deserialize(deserializer)?;
        Version::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            key: Version([1; 16]),
            version: Version([0xab; 16]),
            node: "spend\t\"mean\"\n".to_owned(),
            ty: "f64".to_owned(),
            shape: "28.3".to_owned(),
            milliseconds: 0.125,
            origin: Some(Box::new(Origin {
                function: "marketing::spend_mean".to_owned(),
                code: Version([3; 16]),
                fingerprint: "00ff".to_owned(),
                values: vec![("spend".to_owned(), Some(Hex(Version([4; 16])))), ("window".to_owned(), None)],
                files: vec![("a.csv".to_owned(), Hex(Version([5; 16])))],
            })),
            file: Some(FileOf { format: Format::Arrow, bytes: 7, hash: Version([9; 16]) }),
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = entry().line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Entry::read(line.trim_end_matches('\n').as_bytes()), Some(entry()));
    }

    #[test]
    fn a_line_with_any_other_byte_counts_for_nothing() {
        let line = entry().line().trim_end_matches('\n').as_bytes().to_vec();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.clone();
                other[at] ^= 1 << bit;
                assert_eq!(Entry::read(&other), None, "byte {at}, bit {bit}");
            }
            assert_eq!(Entry::read(&line[..at]), None);
            assert_eq!(Entry::read(&line[at + 1..]), None);
        }
    }
}

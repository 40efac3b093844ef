//! Hashes of columns at the speed of memory.
//!
//! A crate of its own, because it is compiled at the highest level, which nothing can be that generations share
//! generics with. It knows bytes, bits and strings, and no polars. What goes in is a stream: how it was cut into
//! pieces never shows, so a column of several chunks hashes like one of one.
//!
//! The hash is XXH3 with 128 bits: made to find what differs by accident, at several gigabytes a second, and the
//! same on every machine. It is no defence against somebody who looks for two values with one hash, and need not
//! be: whoever could give such a value to a node could give it any other.

use twox_hash::XxHash3_128;
use twox_hash::xxhash3_128::Hasher;

/// 128 bits.
pub type Hash = [u8; 16];

/// The hash of bytes that are at hand as a whole.
pub fn hash(bytes: &[u8]) -> Hash {
    XxHash3_128::oneshot(bytes).to_le_bytes()
}

/// The hash of a stream of bytes.
#[derive(Default)]
pub struct Digest {
    inner: Hasher,
}

impl Digest {
    pub fn new() -> Digest {
        Digest::default()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }

    pub fn finish(&self) -> Hash {
        self.inner.finish_128().to_le_bytes()
    }

    /// Values of `N` bytes each, in which those that are not valid count as zero.
    pub fn update_valid<const N: usize>(&mut self, values: &[[u8; N]], valid: Bits<'_>) {
        debug_assert_eq!(values.len(), valid.length);
        let mut block = [[0; N]; 64];
        for (at, rows) in values.chunks(64).enumerate() {
            let word = valid.word(at * 64, rows.len());
            if word == low(rows.len()) {
                self.update(rows.as_flattened());
                continue;
            }
            let block = &mut block[..rows.len()];
            block.copy_from_slice(rows);
            let mut nulls = !word & low(rows.len());
            while nulls != 0 {
                block[nulls.trailing_zeros() as usize] = [0; N];
                nulls &= nulls - 1;
            }
            self.update(block.as_flattened());
        }
    }
}

/// `count` ones.
fn low(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// Bits in bytes, the first one at the lowest bit behind `offset`.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    pub bytes: &'a [u8],
    pub offset: usize,
    pub length: usize,
}

impl Bits<'_> {
    /// Up to 64 bits from a place on, in the low bits.
    fn word(&self, at: usize, count: usize) -> u64 {
        let first = self.offset + at;
        let (byte, shift) = (first / 8, first % 8);
        let bytes = &self.bytes[byte..];
        let word = match bytes.first_chunk::<8>() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => {
                let mut eight = [0; 8];
                eight[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(eight)
            }
        };
        let rest = if shift == 0 { 0 } else { u64::from(bytes.get(8).copied().unwrap_or(0)) << (64 - shift) };
        (word >> shift | rest) & low(count)
    }

    fn is_set(&self, at: usize) -> bool {
        let at = self.offset + at;
        self.bytes[at / 8] >> (at % 8) & 1 == 1
    }
}

/// The hash of a stream of bits.
#[derive(Default)]
pub struct BitDigest {
    digest: Digest,
    /// Bits that do not make a word yet.
    pending: u64,
    count: usize,
    buffer: Vec<u8>,
}

impl BitDigest {
    pub fn new() -> BitDigest {
        BitDigest::default()
    }

    /// Bits; those that are not valid count as zero.
    pub fn update(&mut self, bits: Bits<'_>, valid: Option<Bits<'_>>) {
        let mut at = 0;
        while at < bits.length {
            let count = (bits.length - at).min(64);
            let mask = valid.map_or(u64::MAX, |it| it.word(at, count));
            self.push(bits.word(at, count) & mask, count);
            at += count;
        }
    }

    /// The same bit many times.
    pub fn repeat(&mut self, bit: bool, times: usize) {
        let mut left = times;
        while left > 0 {
            let count = left.min(64);
            self.push(if bit { low(count) } else { 0 }, count);
            left -= count;
        }
    }

    fn push(&mut self, word: u64, count: usize) {
        const ENOUGH: usize = 4096;
        self.pending |= word << self.count;
        if self.count + count < 64 {
            self.count += count;
            return;
        }
        self.buffer.extend_from_slice(&self.pending.to_le_bytes());
        let used = 64 - self.count;
        self.pending = if used >= 64 { 0 } else { word >> used };
        self.count = count - used;
        if self.buffer.len() >= ENOUGH {
            self.digest.update(&self.buffer);
            self.buffer.clear();
        }
    }

    pub fn finish(mut self) -> Hash {
        self.buffer.extend_from_slice(&self.pending.to_le_bytes());
        self.buffer.push(self.count as u8);
        self.digest.update(&self.buffer);
        self.digest.finish()
    }
}

/// The hash of a stream of strings: of their lengths, and of their bytes.
#[derive(Default)]
pub struct StringDigest {
    lengths: Digest,
    bytes: Digest,
    buffer: Vec<u8>,
}

/// Strings of at most this length stand in the view itself.
const INLINE: usize = 12;
const BUFFER: usize = 1 << 15;
/// So many views are taken at a time.
const BLOCK: usize = 1 << 10;

impl StringDigest {
    pub fn new() -> StringDigest {
        StringDigest { buffer: vec![0; BUFFER + BLOCK * INLINE], ..StringDigest::default() }
    }

    /// Views of Arrow: the length, then the string itself if it is short; else four bytes of it, the number of a
    /// buffer and the offset in it. Those that are not valid count as empty.
    pub fn update(&mut self, views: &[[u8; 16]], buffers: &[&[u8]], valid: Option<Bits<'_>>) {
        let mut lengths = [[0; 4]; BLOCK];
        let mut filled = 0;
        for (at, block) in views.chunks(BLOCK).enumerate() {
            let lengths = &mut lengths[..block.len()];
            let mut longest = 0;
            for (row, (kept, view)) in lengths.iter_mut().zip(block).enumerate() {
                let mut length = length_of(view);
                if valid.is_some_and(|it| !it.is_set(at * BLOCK + row)) {
                    length = 0;
                }
                longest = longest.max(length);
                *kept = length.to_le_bytes();
            }
            self.lengths.update(lengths.as_flattened());
            if filled > BUFFER {
                self.bytes.update(&self.buffer[..filled]);
                filled = 0;
            }
            if longest as usize <= INLINE {
                // There is room for the whole block. All twelve bytes are written, which takes no loop, and only
                // those that are the string's are kept.
                for (length, view) in lengths.iter().zip(block) {
                    if let Some(place) = self.buffer[filled..].first_chunk_mut::<INLINE>() {
                        *place = inline(view);
                    }
                    filled += u32::from_le_bytes(*length) as usize;
                }
            } else {
                for (length, view) in lengths.iter().zip(block) {
                    let string = string_of(u32::from_le_bytes(*length) as usize, view, buffers);
                    if filled + string.len() > self.buffer.len() {
                        self.bytes.update(&self.buffer[..filled]);
                        filled = 0;
                    }
                    match self.buffer.get_mut(filled..filled + string.len()) {
                        Some(place) => {
                            place.copy_from_slice(string);
                            filled += string.len();
                        }
                        None => self.bytes.update(string),
                    }
                }
            }
        }
        self.bytes.update(&self.buffer[..filled]);
    }

    /// Lengths, then bytes.
    pub fn finish(self) -> (Hash, Hash) {
        (self.lengths.finish(), self.bytes.finish())
    }
}

fn length_of(view: &[u8; 16]) -> u32 {
    let [a, b, c, d, ..] = *view;
    u32::from_le_bytes([a, b, c, d])
}

fn inline(view: &[u8; 16]) -> [u8; INLINE] {
    let [_, _, _, _, text @ ..] = *view;
    text
}

fn string_of<'a>(length: usize, view: &'a [u8; 16], buffers: &[&'a [u8]]) -> &'a [u8] {
    if length <= INLINE {
        return &view[4..4 + length];
    }
    let [_, _, _, _, _, _, _, _, b0, b1, b2, b3, o0, o1, o2, o3] = *view;
    let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
    &buffers[u32::from_le_bytes([b0, b1, b2, b3]) as usize][offset..offset + length]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bits at an offset, with other bits around them.
    fn packed(bits: &[bool], offset: usize) -> Vec<u8> {
        let mut bytes = vec![0xa5; (offset + bits.len()).div_ceil(8) + 1];
        for (at, bit) in bits.iter().enumerate() {
            let at = offset + at;
            bytes[at / 8] = bytes[at / 8] & !(1 << (at % 8)) | u8::from(*bit) << (at % 8);
        }
        bytes
    }

    fn views(strings: &[String]) -> (Vec<[u8; 16]>, Vec<u8>) {
        let (mut views, mut buffer) = (Vec::new(), Vec::new());
        for string in strings {
            let mut view = [0xee; 16];
            view[..4].copy_from_slice(&(string.len() as u32).to_le_bytes());
            if string.len() <= INLINE {
                view[4..4 + string.len()].copy_from_slice(string.as_bytes());
            } else {
                view[8..12].copy_from_slice(&0u32.to_le_bytes());
                view[12..].copy_from_slice(&(buffer.len() as u32).to_le_bytes());
                buffer.extend_from_slice(string.as_bytes());
            }
            views.push(view);
        }
        (views, buffer)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn how_bits_are_cut_and_where_they_lie_does_not_show(
            bits in prop::collection::vec(any::<bool>(), 0..300), cut in 0usize..300, one in 0usize..70, two in 0usize..70,
        ) {
            let cut = cut.min(bits.len());
            let mut whole = BitDigest::new();
            let bytes = packed(&bits, one);
            whole.update(Bits { bytes: &bytes, offset: one, length: bits.len() }, None);
            let mut parts = BitDigest::new();
            for (part, offset) in [(&bits[..cut], two), (&bits[cut..], one)] {
                let bytes = packed(part, offset);
                parts.update(Bits { bytes: &bytes, offset, length: part.len() }, None);
            }
            let mut single = BitDigest::new();
            bits.iter().for_each(|it| single.repeat(*it, 1));
            let whole = whole.finish();
            prop_assert_eq!(whole, parts.finish());
            prop_assert_eq!(whole, single.finish());
        }

        #[test]
        fn what_is_not_valid_counts_as_zero(
            values in prop::collection::vec(any::<(u64, bool)>(), 0..200), offset in 0usize..70,
        ) {
            let bytes: Vec<[u8; 8]> = values.iter().map(|it| it.0.to_le_bytes()).collect();
            let zeroed: Vec<u8> =
                values.iter().flat_map(|it| if it.1 { it.0.to_le_bytes() } else { [0; 8] }).collect();
            let valid: Vec<bool> = values.iter().map(|it| it.1).collect();
            let mask = packed(&valid, offset);
            let mut digest = Digest::new();
            digest.update_valid(&bytes, Bits { bytes: &mask, offset, length: valid.len() });
            prop_assert_eq!(digest.finish(), hash(&zeroed));
        }

        #[test]
        fn strings_are_their_lengths_and_bytes(
            strings in prop::collection::vec("[a-zß]{0,40}", 0..80), cut in 0usize..80,
        ) {
            let mut whole = StringDigest::new();
            let (all, buffer) = views(&strings);
            whole.update(&all, &[&buffer], None);
            let mut parts = StringDigest::new();
            let cut = cut.min(strings.len());
            for part in [&strings[..cut], &strings[cut..]] {
                let (all, buffer) = views(part);
                parts.update(&all, &[&buffer], None);
            }
            let lengths: Vec<u8> = strings.iter().flat_map(|it| (it.len() as u32).to_le_bytes()).collect();
            let expected = (hash(&lengths), hash(strings.concat().as_bytes()));
            prop_assert_eq!(whole.finish(), expected);
            prop_assert_eq!(parts.finish(), expected);
        }
    }

    #[test]
    fn long_strings_go_through_as_they_are() {
        let strings: Vec<String> = [0, 5, BUFFER - 3, 20, 2 * BUFFER, 13].map(|it| "x".repeat(it)).into();
        let (all, buffer) = views(&strings);
        let mut digest = StringDigest::new();
        digest.update(&all, &[&buffer], None);
        assert_eq!(digest.finish().1, hash(strings.concat().as_bytes()));
    }
}

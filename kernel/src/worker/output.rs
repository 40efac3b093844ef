//! Reads what the worker prints.
//!
//! Text goes on as it comes, also without a newline, and whatever bytes it holds. Two kinds of lines are
//! taken out: end marks, by which a call knows that all it printed has arrived, and evcxr's control lines,
//! which a cell's generated code prints among the user's own text. Control lines are recognised only while
//! a cell runs, also behind an unfinished line.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Starts and ends an end mark: `\x1ebrooklet:<request>\x1e\n`.
const MARK: u8 = 0x1e;
const MARK_PREFIX: &str = "brooklet:";

/// What evcxr's generated code prints for evcxr.
const CONTROL: [&str; 5] = [
    "EVCXR_PANIC_NOTIFICATION",
    "EVCXR_ERROR_OCCURRED",
    "EVCXR_VARIABLE_CHANGED_TYPE:",
    "EVCXR_BEGIN_CONTENT ",
    "EVCXR_END_CONTENT",
];

/// Splits one stream of the worker into text, marks and control lines.
#[derive(Debug, Default)]
pub struct Filter {
    /// Bytes that may turn out to be part of a mark, a control line or a character.
    held: Vec<u8>,
    /// Inside `EVCXR_BEGIN_CONTENT <mime>`: the type and the text so far.
    content: Option<(String, String)>,
}

/// One thing in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// All output of the request up to here has been read.
    Mark(u64),
    /// A line for the bridge.
    Control(String),
    /// A rich result printed by a crate that speaks evcxr's convention.
    Content {
        mime: String,
        text: String,
    },
}

impl Filter {
    /// Takes the next bytes; `in_cell` says whether control lines are expected.
    pub fn push(&mut self, bytes: &[u8], in_cell: bool) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let held = std::mem::take(&mut self.held);
        let mut rest: &[u8] = &held;
        let mut text: Vec<u8> = Vec::new();
        while !rest.is_empty() {
            if rest[0] == MARK {
                match mark(rest) {
                    Found::Whole(request, used) => {
                        self.flush(&mut text, &mut pieces);
                        pieces.push(Piece::Mark(request));
                        rest = &rest[used..];
                        continue;
                    }
                    Found::Partly => break,
                    Found::Not => {}
                }
            }
            if in_cell && rest[0] == b'E' {
                match control(rest) {
                    Found::Whole(line, used) => {
                        self.flush(&mut text, &mut pieces);
                        self.control(line, &mut pieces);
                        rest = &rest[used..];
                        continue;
                    }
                    Found::Partly => break,
                    Found::Not => {}
                }
            }
            text.push(rest[0]);
            rest = &rest[1..];
        }
        // An unfinished character at the very end waits for its other bytes.
        let whole = if rest.is_empty() { text.len() - unfinished(&text) } else { text.len() };
        self.held = text.split_off(whole);
        self.held.extend_from_slice(rest);
        self.flush(&mut text, &mut pieces);
        pieces
    }

    /// The end of the stream: what was held back is text.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut held = std::mem::take(&mut self.held);
        self.flush(&mut held, &mut pieces);
        pieces
    }

    fn flush(&mut self, text: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&std::mem::take(text)).into_owned();
        match &mut self.content {
            Some((_, content)) => content.push_str(&text),
            None => pieces.push(Piece::Text(text)),
        }
    }

    fn control(&mut self, line: String, pieces: &mut Vec<Piece>) {
        if let Some(mime) = line.strip_prefix("EVCXR_BEGIN_CONTENT ") {
            self.content = Some((mime.trim().to_owned(), String::new()));
        } else if line.starts_with("EVCXR_END_CONTENT") {
            if let Some((mime, text)) = self.content.take() {
                pieces.push(Piece::Content { mime, text: text.trim_end_matches('\n').to_owned() });
            }
        } else {
            pieces.push(Piece::Control(line));
        }
    }
}

enum Found<T> {
    /// The thing and how many bytes it took.
    Whole(T, usize),
    /// What there is may be its beginning.
    Partly,
    Not,
}

fn mark(bytes: &[u8]) -> Found<u64> {
    let prefix = MARK_PREFIX.as_bytes();
    let body = &bytes[1..];
    if body.len() < prefix.len() {
        return if prefix.starts_with(body) { Found::Partly } else { Found::Not };
    }
    if !body.starts_with(prefix) {
        return Found::Not;
    }
    let digits = &body[prefix.len()..];
    let count = digits.iter().take_while(|it| it.is_ascii_digit()).count();
    if count > 20 {
        return Found::Not;
    }
    match &digits[count..] {
        [] => Found::Partly,
        [MARK] => Found::Partly,
        [MARK, b'\n', ..] => {
            let request = std::str::from_utf8(&digits[..count]).ok().and_then(|it| it.parse().ok());
            request.map_or(Found::Not, |it| Found::Whole(it, 1 + prefix.len() + count + 2))
        }
        _ => Found::Not,
    }
}

fn control(bytes: &[u8]) -> Found<String> {
    for word in CONTROL.map(str::as_bytes) {
        if bytes.len() < word.len() {
            if word.starts_with(bytes) {
                return Found::Partly;
            }
        } else if bytes.starts_with(word) {
            return match bytes.iter().position(|it| *it == b'\n') {
                Some(end) => {
                    Found::Whole(String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned(), end + 1)
                }
                None => Found::Partly,
            };
        }
    }
    Found::Not
}

/// How many bytes at the end are the beginning of a character whose other bytes are still to come.
fn unfinished(text: &[u8]) -> usize {
    for back in 1..=text.len().min(3) {
        let byte = text[text.len() - back];
        let length = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

/// Which end marks have been read; calls wait here for theirs.
#[derive(Debug, Default)]
pub struct Marks {
    seen: Mutex<[Seen; 2]>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    last: u64,
    closed: bool,
}

impl Marks {
    fn update(&self, stream: usize, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap_or_else(|it| it.into_inner())[stream]);
        self.changed.notify_all();
    }

    /// Waits until both streams have shown the mark of the request, or have ended. User code can close or
    /// redirect its own streams, so the wait is bounded.
    pub fn wait(&self, request: u64, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let mut seen = self.seen.lock().unwrap_or_else(|it| it.into_inner());
        while seen.iter().any(|it| it.last < request && !it.closed) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            seen = self.changed.wait_timeout(seen, left).unwrap_or_else(|it| it.into_inner()).0;
        }
    }
}

/// Reads one stream to its end, giving each piece but the marks to `take`.
pub fn read(
    mut from: impl Read,
    stream: usize,
    marks: &Arc<Marks>,
    in_cell: &dyn Fn() -> bool,
    take: &dyn Fn(Piece),
) {
    let mut filter = Filter::default();
    let mut buffer = vec![0; 64 * 1024];
    let give = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Mark(request) => marks.update(stream, |it| it.last = it.last.max(request)),
                other => take(other),
            }
        }
    };
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => give(filter.push(&buffer[..count], in_cell())),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    give(filter.finish());
    marks.update(stream, |it| it.closed = true);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(it: &str) -> Piece {
        Piece::Text(it.to_owned())
    }

    #[test]
    fn text_without_a_newline_passes_at_once() {
        assert_eq!(Filter::default().push(b"50%\r", false), [text("50%\r")]);
    }

    #[test]
    fn a_mark_is_found_behind_an_unfinished_line_and_over_two_reads() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"abc\x1ebrook", false), [text("abc")]);
        assert_eq!(filter.push(b"let:17\x1e\nnext", false), [Piece::Mark(17), text("next")]);
    }

    #[test]
    fn a_lone_mark_byte_is_text() {
        assert_eq!(Filter::default().push(b"\x1ex", false), [text("\x1ex")]);
    }

    #[test]
    fn control_lines_are_taken_out_in_cells_only() {
        let line = b"half EVCXR_PANIC_NOTIFICATION\nEVCXR_VARIABLE_CHANGED_TYPE:x\nE\n";
        assert_eq!(
            Filter::default().push(line, true),
            [
                text("half "),
                Piece::Control("EVCXR_PANIC_NOTIFICATION".to_owned()),
                Piece::Control("EVCXR_VARIABLE_CHANGED_TYPE:x".to_owned()),
                text("E\n")
            ]
        );
        assert_eq!(Filter::default().push(line, false).len(), 1);
    }

    #[test]
    fn content_becomes_one_piece() {
        let pieces =
            Filter::default().push(b"EVCXR_BEGIN_CONTENT text/html\n<b>\n</b>\nEVCXR_END_CONTENT\n", true);
        let text = "<b>\n</b>".to_owned();
        assert_eq!(pieces, [Piece::Content { mime: "text/html".to_owned(), text }]);
    }

    #[test]
    fn a_character_cut_by_a_read_is_put_together_and_bad_bytes_are_replaced() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"a\xc3", false), [text("a")]);
        assert_eq!(filter.push(b"\xa9\xff!", false), [text("é\u{fffd}!")]);
    }

    #[test]
    fn held_bytes_are_not_lost_at_the_end() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"x\x1ebro", false), [text("x")]);
        assert_eq!(filter.finish(), [text("\x1ebro")]);
    }
}

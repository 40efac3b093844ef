//! Reads what the worker prints.
//!
//! Text goes on as it comes, also without a newline, and whatever bytes it holds. Two kinds of lines are
//! taken out: end marks, by which a call knows that all it printed has arrived, and evcxr's control lines,
//! which a cell's generated code prints around the user's own text, and which the user's code may print as well.
//! A cell marks where its own code begins and where it ended, by a number that it cannot know; between the marks
//! a control line is text. What is generated behind them if the code did not come to its end (a panic, a `?`) is
//! the last such line of the cell.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::os;

/// Starts and ends a mark: `\x1ebrooklet:<request>\x1e\n`.
const MARK: u8 = 0x1e;
const MARK_PREFIX: &str = "brooklet";

/// What evcxr's generated code prints for evcxr.
const CONTROL: [&str; 5] = [
    "EVCXR_PANIC_NOTIFICATION",
    "EVCXR_ERROR_OCCURRED",
    "EVCXR_VARIABLE_CHANGED_TYPE:",
    "EVCXR_BEGIN_CONTENT ",
    "EVCXR_END_CONTENT",
];

/// Control lines that follow the code of a cell which did not come to its end.
const PANIC: &str = "EVCXR_PANIC_NOTIFICATION";
const ERROR: &str = "EVCXR_ERROR_OCCURRED";

/// Splits one stream of the worker into text, marks and control lines.
#[derive(Debug, Default)]
pub struct Filter {
    /// Bytes that may turn out to be part of a mark, a control line or a character.
    held: Vec<u8>,
    /// Inside `EVCXR_BEGIN_CONTENT <mime>`: the type and the text so far.
    content: Option<(String, String)>,
    section: Section,
    /// Control lines in the user's own section: the last of each is generated, unless the code came to its end.
    suspects: Vec<String>,
}

/// Whose output it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Generated,
    User,
    /// Behind the end of the user's code: nothing that is generated speaks any more.
    Over,
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
    /// Takes the next bytes; `nonce` is that of the running cell, 0 if none runs.
    pub fn push(&mut self, bytes: &[u8], nonce: u64) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let held = std::mem::take(&mut self.held);
        let mut rest: &[u8] = &held;
        let mut text: Vec<u8> = Vec::new();
        while !rest.is_empty() {
            if rest[0] == MARK {
                match mark(rest) {
                    Found::Whole((kind, number), used) if kind == b':' || (nonce != 0 && number == nonce) => {
                        self.flush(&mut text, &mut pieces);
                        self.mark(kind, number, &mut pieces);
                        rest = &rest[used..];
                        continue;
                    }
                    Found::Partly => break,
                    Found::Whole(..) | Found::Not => {}
                }
            }
            if nonce != 0 && rest[0] == b'E' {
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
        self.end_content(&mut pieces);
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

    /// The end of a request, or a border of the user's own output.
    fn mark(&mut self, kind: u8, number: u64, pieces: &mut Vec<Piece>) {
        match kind {
            b'(' => self.section = Section::User,
            b')' => {
                self.section = Section::Over;
                self.acquit(pieces);
            }
            _ => {
                self.end_content(pieces);
                pieces.extend(self.suspects.drain(..).map(Piece::Control));
                self.section = Section::Generated;
                pieces.push(Piece::Mark(number));
            }
        }
    }

    /// Whoever began content and did not end it has shown none.
    fn end_content(&mut self, pieces: &mut Vec<Piece>) {
        if let Some((mime, text)) = self.content.take() {
            pieces.push(Piece::Text(format!("EVCXR_BEGIN_CONTENT {mime}\n{text}")));
        }
    }

    /// What looked like control lines was the user's text.
    fn acquit(&mut self, pieces: &mut Vec<Piece>) {
        for line in std::mem::take(&mut self.suspects) {
            self.flush(&mut format!("{line}\n").into_bytes(), pieces);
        }
    }

    fn control(&mut self, line: String, pieces: &mut Vec<Piece>) {
        let is_content = line.starts_with("EVCXR_BEGIN_CONTENT ") || line.starts_with("EVCXR_END_CONTENT");
        if self.section != Section::Generated && !is_content {
            // What is generated may stand behind a word that the user's code printed without a newline.
            let suspect = [PANIC, ERROR].into_iter().find(|it| line.ends_with(it));
            match suspect.filter(|_| self.section == Section::User) {
                Some(word) => {
                    self.acquit(pieces);
                    self.flush(&mut line.as_bytes()[..line.len() - word.len()].to_vec(), pieces);
                    self.suspects.push(word.to_owned());
                }
                None => self.flush(&mut format!("{line}\n").into_bytes(), pieces),
            }
            return;
        }
        if let Some(mime) = line.strip_prefix("EVCXR_BEGIN_CONTENT ") {
            self.content = Some((mime.trim().to_owned(), String::new()));
        } else if line.starts_with("EVCXR_END_CONTENT") {
            match self.content.take() {
                Some((mime, text)) => {
                    pieces.push(Piece::Content { mime, text: text.trim_end_matches('\n').to_owned() });
                }
                None => pieces.push(Piece::Text(format!("{line}\n"))),
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

/// `\x1ebrooklet` and one of `:` (the end of a request), `(` and `)`, then a number; in two parts.
fn mark(bytes: &[u8]) -> Found<(u8, u64)> {
    let prefix = MARK_PREFIX.as_bytes();
    let body = &bytes[1..];
    if body.len() < prefix.len() {
        return if prefix.starts_with(body) { Found::Partly } else { Found::Not };
    }
    if !body.starts_with(prefix) {
        return Found::Not;
    }
    let Some(kind) = body.get(prefix.len()) else { return Found::Partly };
    if !b":()".contains(kind) {
        return Found::Not;
    }
    let digits = &body[prefix.len() + 1..];
    let count = digits.iter().take_while(|it| it.is_ascii_digit()).count();
    if count > 20 {
        return Found::Not;
    }
    match &digits[count..] {
        [] => Found::Partly,
        [MARK] => Found::Partly,
        [MARK, b'\n', ..] => {
            let request = std::str::from_utf8(&digits[..count]).ok().and_then(|it| it.parse().ok());
            request.map_or(Found::Not, |it| Found::Whole((*kind, it), 1 + prefix.len() + 1 + count + 2))
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
            // What a mark cuts off was not ended by its printer: text, whoever printed it.
            return match bytes.iter().position(|it| *it == b'\n' || *it == MARK) {
                Some(end) if bytes[end] == MARK => Found::Not,
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

/// Of what comes when the process has ended, at most so much is its own: it was in the pipe already.
const IN_THE_PIPE: usize = 1 << 20;

/// Reads one stream to its end, giving each piece but the marks to `take`. The end of the process, which closes
/// `alive`, is the end of its stream too: whoever else holds the pipe is not heard.
pub fn read(
    mut from: impl Read + AsFd,
    alive: impl AsFd,
    stream: usize,
    marks: &Arc<Marks>,
    nonce: &dyn Fn() -> u64,
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
    let mut left = IN_THE_PIPE;
    loop {
        let (has_data, has_ended) = os::wait_readable(from.as_fd(), alive.as_fd());
        if has_ended && (!has_data || left == 0) {
            break;
        }
        if !has_data {
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                give(filter.push(&buffer[..count], nonce()));
                if has_ended {
                    left = left.saturating_sub(count);
                }
            }
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
        assert_eq!(Filter::default().push(b"50%\r", 0), [text("50%\r")]);
    }

    #[test]
    fn a_mark_is_found_behind_an_unfinished_line_and_over_two_reads() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"abc\x1ebrook", 0), [text("abc")]);
        assert_eq!(filter.push(b"let:17\x1e\nnext", 0), [Piece::Mark(17), text("next")]);
    }

    #[test]
    fn a_lone_mark_byte_is_text() {
        assert_eq!(Filter::default().push(b"\x1ex", 0), [text("\x1ex")]);
    }

    #[test]
    fn control_lines_are_taken_out_in_cells_only() {
        let line = b"half EVCXR_PANIC_NOTIFICATION\nEVCXR_VARIABLE_CHANGED_TYPE:x\nE\n";
        assert_eq!(
            Filter::default().push(line, 1),
            [
                text("half "),
                Piece::Control("EVCXR_PANIC_NOTIFICATION".to_owned()),
                Piece::Control("EVCXR_VARIABLE_CHANGED_TYPE:x".to_owned()),
                text("E\n")
            ]
        );
        assert_eq!(Filter::default().push(line, 0).len(), 1);
    }

    #[test]
    fn in_the_users_own_output_control_lines_are_text() {
        let own = "EVCXR_VARIABLE_CHANGED_TYPE:x\nEVCXR_ERROR_OCCURRED\nEVCXR_PANIC_NOTIFICATION\n";
        let cell = format!(
            "EVCXR_VARIABLE_CHANGED_TYPE:y\n\x1ebrooklet(7\x1e\n{own}\x1ebrooklet)8\x1e\n\x1ebrooklet)7\x1e\n\x1ebrooklet:2\x1e\n"
        );
        let mut printed = String::new();
        let mut controls = Vec::new();
        for piece in Filter::default().push(cell.as_bytes(), 7) {
            match piece {
                Piece::Text(text) => printed.push_str(&text),
                Piece::Control(line) => controls.push(line),
                Piece::Mark(2) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(controls, ["EVCXR_VARIABLE_CHANGED_TYPE:y"]);
        for line in own.lines() {
            assert!(printed.contains(line), "{printed:?}");
        }
        // A mark with another number is text.
        assert!(printed.contains("\x1ebrooklet)8\x1e"), "{printed:?}");
    }

    #[test]
    fn a_cell_that_did_not_come_to_its_end_has_a_control_line_last() {
        let cell = b"\x1ebrooklet(7\x1e\nEVCXR_ERROR_OCCURRED\na\nEVCXR_ERROR_OCCURRED\ndropped\n\x1ebrooklet:2\x1e\n";
        let pieces = Filter::default().push(cell, 7);
        let shown = |it: &Piece| if let Piece::Text(text) = it { text.clone() } else { String::new() };
        let printed: String = pieces.iter().map(shown).collect();
        assert_eq!(printed, "a\nEVCXR_ERROR_OCCURRED\ndropped\n");
        assert_eq!(pieces[pieces.len() - 2..], [Piece::Control(ERROR.to_owned()), Piece::Mark(2)]);
    }

    #[test]
    fn a_control_word_without_a_newline_is_text_and_hides_nothing_behind_it() {
        let cell = b"\x1ebrooklet(7\x1e\nEVCXR_ERROR_OCCURRED\x1ebrooklet)7\x1e\n\x1ebrooklet:2\x1e\n";
        assert_eq!(Filter::default().push(cell, 7), [text("EVCXR_ERROR_OCCURRED"), Piece::Mark(2)]);
        let cell = b"\x1ebrooklet(7\x1e\nEVCXR_ERROR_OCCURREDEVCXR_PANIC_NOTIFICATION\n\x1ebrooklet:2\x1e\n";
        assert_eq!(
            Filter::default().push(cell, 7),
            [text("EVCXR_ERROR_OCCURRED"), Piece::Control(PANIC.to_owned()), Piece::Mark(2)]
        );
    }

    #[test]
    fn what_a_dying_process_began_to_show_is_text() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"EVCXR_BEGIN_CONTENT text/html\n<b>\n", 7), []);
        assert_eq!(filter.finish(), [text("EVCXR_BEGIN_CONTENT text/html\n<b>\n")]);
    }

    #[test]
    fn content_without_an_end_is_text_at_the_end_of_the_request() {
        let mut filter = Filter::default();
        let pieces = filter.push(b"EVCXR_BEGIN_CONTENT text/html\n<b>\n\x1ebrooklet:2\x1e\nlater", 7);
        let begun = text("EVCXR_BEGIN_CONTENT text/html\n<b>\n");
        assert_eq!(pieces, [begun, Piece::Mark(2), text("later")]);
    }

    #[test]
    fn content_becomes_one_piece() {
        let pieces =
            Filter::default().push(b"EVCXR_BEGIN_CONTENT text/html\n<b>\n</b>\nEVCXR_END_CONTENT\n", 1);
        let text = "<b>\n</b>".to_owned();
        assert_eq!(pieces, [Piece::Content { mime: "text/html".to_owned(), text }]);
    }

    #[test]
    fn a_character_cut_by_a_read_is_put_together_and_bad_bytes_are_replaced() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"a\xc3", 0), [text("a")]);
        assert_eq!(filter.push(b"\xa9\xff!", 0), [text("é\u{fffd}!")]);
    }

    #[test]
    fn held_bytes_are_not_lost_at_the_end() {
        let mut filter = Filter::default();
        assert_eq!(filter.push(b"x\x1ebro", 0), [text("x")]);
        assert_eq!(filter.finish(), [text("\x1ebro")]);
    }
}

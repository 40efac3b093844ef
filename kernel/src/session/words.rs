//! The words of a magic line.
//!
//! Words are parted by white space outside brackets and quotes, so that `spend=[10, 20]` and `"my file.rs"`
//! are one word each. Words keep their text raw: what a literal means is decided where its type is known,
//! in the worker. A quote opens a string only where a value may start, so `don't` needs no care.

use std::ops::Range;

use brooklet_graph::literal::MAX_DEPTH as LITERAL_DEPTH;

/// One word and where it stands in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub place: Range<usize>,
}

/// Something that was opened and never closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclosed {
    pub opener: char,
    pub place: usize,
}

/// Goes through a text and knows what is open.
#[derive(Debug, Default)]
pub struct Scanner {
    open: Vec<(char, usize)>,
    quote: Option<(char, usize)>,
    escaped: bool,
    /// The last character that was not white space, within the present word.
    before: Option<char>,
}

impl Scanner {
    /// Takes the next character; says whether it parts words.
    pub fn take(&mut self, at: usize, c: char) -> bool {
        if let Some((mark, _)) = self.quote {
            if self.escaped {
                self.escaped = false;
            } else if c == '\\' && mark == '"' {
                self.escaped = true;
            } else if c == mark {
                self.quote = None;
            }
            self.before = Some(c);
            return false;
        }
        if c.is_whitespace() && self.open.is_empty() {
            self.before = None;
            return true;
        }
        match c {
            '"' | '\'' if matches!(self.before, None | Some('=' | '[' | '{' | '(' | ',' | ':')) => {
                self.quote = Some((c, at));
            }
            '[' | '{' | '(' => self.open.push((c, at)),
            ']' | '}' | ')' if self.open.last().is_some_and(|(opener, _)| closer(*opener) == c) => {
                self.open.pop();
            }
            _ => {}
        }
        if !c.is_whitespace() {
            self.before = Some(c);
        }
        false
    }

    /// How many brackets are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Whether a bracket is open, and not a quote.
    pub fn in_bracket(&self) -> bool {
        self.quote.is_none() && !self.open.is_empty()
    }
}

/// Splits a line into words.
///
/// # Errors
/// If a bracket or a quote is not closed.
pub fn split(line: &str) -> Result<Vec<Word>, Unclosed> {
    let mut words = Vec::new();
    let mut start = None;
    let mut scanner = Scanner::default();
    for (at, c) in line.char_indices() {
        if !scanner.take(at, c) {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            words.push(Word { text: line[start..at].to_owned(), place: start..at });
        }
    }
    if let Some((opener, place)) = scanner.quote.or(scanner.open.first().copied()) {
        return Err(Unclosed { opener, place });
    }
    if let Some(start) = start {
        words.push(Word { text: line[start..].to_owned(), place: start..line.len() });
    }
    Ok(words)
}

/// The place of the first bracket that is nested deeper than literals may be.
pub fn too_deep(line: &str) -> Option<usize> {
    let mut scanner = Scanner::default();
    let mut characters = line.char_indices();
    let is_too_deep = |it: &(usize, char)| {
        scanner.take(it.0, it.1);
        scanner.depth() > LITERAL_DEPTH
    };
    characters.find(is_too_deep).map(|it| it.0)
}

fn closer(opener: char) -> char {
    match opener {
        '[' => ']',
        '{' => '}',
        _ => ')',
    }
}

/// A file name or another plain word without the quotes around it.
pub fn unquote(word: &str) -> String {
    for mark in ['"', '\''] {
        if let Some(inner) = word.strip_prefix(mark).and_then(|it| it.strip_suffix(mark)) {
            return if mark == '"' {
                inner.replace("\\\"", "\"").replace("\\\\", "\\")
            } else {
                inner.to_owned()
            };
        }
    }
    word.to_owned()
}

/// Whether the text can name a node or an input.
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|it| it.is_alphabetic() || it == '_')
        && characters.all(|it| it.is_alphanumeric() || it == '_' || it == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn words_part_at_spaces_outside_brackets_and_quotes() {
        assert_eq!(texts("a  b\tc"), ["a", "b", "c"]);
        assert_eq!(texts("spend=[10, 20] signups=[1,\n 2]"), ["spend=[10, 20]", "signups=[1,\n 2]"]);
        assert_eq!(texts("k=\"a b\" l='c d'"), ["k=\"a b\"", "l='c d'"]);
        assert_eq!(texts("t={ a = \"x ] y\", b = [1, 2] } u"), ["t={ a = \"x ] y\", b = [1, 2] }", "u"]);
        assert_eq!(texts(""), [] as [&str; 0]);
    }

    #[test]
    fn an_apostrophe_within_a_word_is_a_letter() {
        assert_eq!(texts("note=don't x=it's"), ["note=don't", "x=it's"]);
        assert_eq!(texts("a=b\"c d"), ["a=b\"c", "d"]);
    }

    #[test]
    fn escapes_count_in_double_quotes_only() {
        assert_eq!(texts(r#"a="x\" y" b"#), [r#"a="x\" y""#, "b"]);
        assert_eq!(texts(r"a='x\' b"), [r"a='x\'", "b"]);
    }

    #[test]
    fn what_is_not_closed_is_named_with_its_place() {
        assert_eq!(split("a=[1, (2"), Err(Unclosed { opener: '[', place: 2 }));
        assert_eq!(split("a=\"x"), Err(Unclosed { opener: '"', place: 2 }));
        assert_eq!(texts("a) ]"), ["a)", "]"]);
        assert_eq!(split("a=[1) b"), Err(Unclosed { opener: '[', place: 2 }));
    }

    #[test]
    fn brackets_may_be_nested_as_deep_as_literals() {
        let nested = |depth: usize| format!("a={}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(too_deep(&nested(LITERAL_DEPTH)), None);
        assert_eq!(too_deep(&nested(LITERAL_DEPTH + 1)), Some(LITERAL_DEPTH + 2));
        assert_eq!(too_deep(&format!("a=\"{}\"", "[".repeat(500))), None);
        assert_eq!(too_deep(&"a=[1] ".repeat(500)), None);
    }

    #[test]
    fn places_are_bytes_of_the_line() {
        let words = split("é ab").unwrap();
        assert_eq!(words[1].place, 3..5);
    }

    #[test]
    fn quotes_are_taken_off_whole_words() {
        assert_eq!(unquote("\"my file.rs\""), "my file.rs");
        assert_eq!(unquote("'a\\b'"), "a\\b");
        assert_eq!(unquote("a\"b\""), "a\"b\"");
    }
}

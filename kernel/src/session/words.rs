//! The words of a magic line.
//!
//! Words are parted by white space outside brackets and quotes, so that `spend=[10, 20]` and `"my file.rs"`
//! are one word each. Words keep their text raw: what a literal means is decided where its type is known,
//! in the worker. A quote opens a string only where a value may start, so `don't` needs no care.

use std::ops::Range;

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

/// Splits a line into words.
///
/// # Errors
/// If a bracket or a quote is not closed.
pub fn split(line: &str) -> Result<Vec<Word>, Unclosed> {
    let mut words = Vec::new();
    let mut start = None;
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut quote: Option<(char, usize)> = None;
    let mut escaped = false;
    // The last character that was not white space, within the present word.
    let mut before = None;
    for (at, c) in line.char_indices() {
        if let Some((mark, _)) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' && mark == '"' {
                escaped = true;
            } else if c == mark {
                quote = None;
            }
            before = Some(c);
            continue;
        }
        if c.is_whitespace() && open.is_empty() {
            if let Some(start) = start.take() {
                words.push(Word { text: line[start..at].to_owned(), place: start..at });
            }
            before = None;
            continue;
        }
        start.get_or_insert(at);
        match c {
            '"' | '\'' if matches!(before, None | Some('=' | '[' | '{' | '(' | ',' | ':')) => {
                quote = Some((c, at))
            }
            '[' | '{' | '(' => open.push((c, at)),
            ']' | '}' | ')' if open.last().is_some_and(|(opener, _)| closer(*opener) == c) => {
                open.pop();
            }
            _ => {}
        }
        if !c.is_whitespace() {
            before = Some(c);
        }
    }
    if let Some((opener, place)) = quote.or(open.first().copied()) {
        return Err(Unclosed { opener, place });
    }
    if let Some(start) = start {
        words.push(Word { text: line[start..].to_owned(), place: start..line.len() });
    }
    Ok(words)
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

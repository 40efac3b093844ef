//! What stands at the cursor: the one question behind completion and inspection.

use std::ops::Range;

use super::grammar;
use super::magics::{self, Arguments, Kind, Magic, OptValue};
use super::words::{self, Word};

/// The place of the cursor in a cell, and the text before it that a completion would replace.
#[derive(Clone, Debug, PartialEq)]
pub enum Context {
    /// `%ru|`
    MagicName { place: Range<usize> },
    /// `%run --a|`
    Option { magic: Named, place: Range<usize> },
    /// `%run x --as j|`
    Choice { words: &'static [&'static str], place: Range<usize> },
    /// A node or an input: `%run sp|`
    Node { magic: Named, place: Range<usize> },
    /// The name of an input before its `=`: `%input sp|`
    Key { magic: Named, place: Range<usize> },
    /// `%watch tr|`, or the value of an input
    File { place: Range<usize>, is_rust: bool },
    /// `%help r|`
    Topic { place: Range<usize> },
    /// Within a magic, where nothing can be offered.
    Nothing,
    /// Code; where it starts in the cell.
    Code { start: usize },
}

/// A magic compared by its name.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub &'static Magic);

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.0.title() == other.0.title()
    }
}

/// Finds out what stands at a byte offset of a cell.
pub fn at(code: &str, position: usize) -> Context {
    within(code, position, 0)
}

/// The same in what a number of `%time` time.
fn within(code: &str, position: usize, times: usize) -> Context {
    let position = floor(code, position);
    let (lines, body_start) = grammar::cut(code);
    for line in &lines {
        if line.place.contains(&position) || line.place.end == position {
            return in_magic(&code[line.place.start..position], line.place.start, times);
        }
    }
    if position < body_start {
        return Context::Nothing;
    }
    Context::Code { start: body_start }
}

fn floor(code: &str, position: usize) -> usize {
    let mut position = position.min(code.len());
    while !code.is_char_boundary(position) {
        position -= 1;
    }
    position
}

/// `before` is the magic's line up to the cursor, `start` its place in the cell.
fn in_magic(before: &str, start: usize, times: usize) -> Context {
    let Some(name_end) = before.find(char::is_whitespace) else {
        return Context::MagicName { place: start..start + before.len() };
    };
    let kind = if before.starts_with("%%") { Kind::Cell } else { Kind::Line };
    let Some(magic) = magics::find(before[..name_end].trim_start_matches('%'), kind) else {
        return Context::Nothing;
    };
    if matches!(magic.arguments, Arguments::Rest(_)) {
        // `%time %run x`: the rest is a cell of its own.
        if times == grammar::MAX_TIMES {
            return Context::Nothing;
        }
        let inner = before[name_end..].trim_start();
        let inner_start = before.len() - inner.len();
        return shifted(within(inner, inner.len(), times + 1), start + inner_start);
    }
    let blanked = format!("{}{}", " ".repeat(name_end), &before[name_end..]);
    let (words, word) = match words::split(&blanked) {
        Ok(mut words) => {
            let is_open = !blanked.ends_with(char::is_whitespace);
            let word = words.pop_if(|_| is_open);
            (words, word)
        }
        // An open quote at the start of a word is a file name that is being typed.
        Err(open) if matches!(open.opener, '"' | '\'') => {
            let place = open.place + 1..blanked.len();
            let word = Word { text: blanked[place.clone()].to_owned(), place };
            (words::split(&blanked[..open.place]).unwrap_or_default(), Some(word))
        }
        Err(_) => return Context::Nothing,
    };
    let end = before.len();
    let word = word.unwrap_or(Word { text: String::new(), place: end..end });
    let place = start + word.place.start..start + word.place.end;
    if let Some((name, value)) = word.text.split_once('=').filter(|_| word.text.starts_with('-')) {
        let place = place.end - value.len()..place.end;
        return magic.option(name).map_or(Context::Nothing, |it| value_of(it.value, magic, value, place));
    }
    if let Some(value) = awaited(magic, &words) {
        return value_of(value, magic, &word.text, place);
    }
    if word.text.starts_with('-') {
        return Context::Option { magic: Named(magic), place };
    }
    match magic.arguments {
        Arguments::Targets { .. } | Arguments::Node | Arguments::NodeAndNumber => {
            Context::Node { magic: Named(magic), place }
        }
        Arguments::Paths { .. } => Context::File { place, is_rust: true },
        Arguments::Pairs => value_of(OptValue::Pair, magic, &word.text, place),
        Arguments::Choice(words) => Context::Choice { words, place },
        Arguments::OneOptional("TOPIC") => Context::Topic { place },
        _ => Context::Nothing,
    }
}

/// The kind of value that the option before the cursor still waits for.
fn awaited(magic: &Magic, words: &[Word]) -> Option<OptValue> {
    let back = |count: usize| {
        let word = words.len().checked_sub(count).and_then(|it| words.get(it))?;
        magic.option(&word.text).map(|it| it.value)
    };
    match (back(1), back(2)) {
        (Some(OptValue::Flag), _) => None,
        (Some(value), _) => Some(value),
        (None, Some(OptValue::TwoNodes)) => Some(OptValue::TwoNodes),
        _ => None,
    }
}

fn value_of(value: OptValue, magic: &'static Magic, text: &str, place: Range<usize>) -> Context {
    match value {
        OptValue::Node | OptValue::TwoNodes | OptValue::Nodes => Context::Node { magic: Named(magic), place },
        OptValue::OneOf(words) => Context::Choice { words, place },
        OptValue::File => Context::File { place, is_rust: false },
        OptValue::Files => Context::File { place, is_rust: true },
        OptValue::Pair => match text.split_once('=') {
            Some((_, value)) => Context::File { place: place.end - value.len()..place.end, is_rust: false },
            None => Context::Key { magic: Named(magic), place },
        },
        OptValue::Flag | OptValue::Number | OptValue::Tag => Context::Nothing,
    }
}

fn shifted(context: Context, by: usize) -> Context {
    let shift = |it: Range<usize>| it.start + by..it.end + by;
    match context {
        Context::MagicName { place } => Context::MagicName { place: shift(place) },
        Context::Option { magic, place } => Context::Option { magic, place: shift(place) },
        Context::Choice { words, place } => Context::Choice { words, place: shift(place) },
        Context::Node { magic, place } => Context::Node { magic, place: shift(place) },
        Context::Key { magic, place } => Context::Key { magic, place: shift(place) },
        Context::File { place, is_rust } => Context::File { place: shift(place), is_rust },
        Context::Topic { place } => Context::Topic { place: shift(place) },
        Context::Nothing => Context::Nothing,
        Context::Code { start } => Context::Code { start: start + by },
    }
}

/// The name at a place: letters, digits and underscores around it, with the percent signs or dashes before.
pub fn name_at(code: &str, position: usize) -> Range<usize> {
    let position = floor(code, position);
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    let mut start = code[..position]
        .rfind(|it| !is_part(it))
        .map_or(0, |it| it + code[it..].chars().next().map_or(0, char::len_utf8));
    let end = code[position..].find(|it| !is_part(it)).map_or(code.len(), |it| position + it);
    let line_start = code[..start].rfind('\n').map_or(0, |it| it + 1);
    let before = &code[line_start..start];
    let trimmed = before.trim_end_matches(|it: char| it == '-' || is_part(it));
    let is_option = before.ends_with('-') && before[trimmed.len()..].starts_with('-');
    if is_option && (trimmed.is_empty() || trimmed.ends_with(char::is_whitespace)) {
        // `--allow-overrides`: one name with dashes inside.
        start = line_start + trimmed.len();
    } else if before.trim_start().chars().all(|it| it == '%') {
        start = line_start + (before.len() - before.trim_start().len());
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at the `|`, with the text that would be replaced.
    fn at_mark(marked: &str) -> (Context, String) {
        let position = marked.find('|').unwrap();
        let code = marked.replacen('|', "", 1);
        let context = at(&code, position);
        let place = match &context {
            Context::MagicName { place }
            | Context::Option { place, .. }
            | Context::Choice { place, .. }
            | Context::Node { place, .. }
            | Context::Key { place, .. }
            | Context::File { place, .. }
            | Context::Topic { place } => place.clone(),
            Context::Nothing => 0..0,
            Context::Code { start } => *start..position,
        };
        let text = code[place].to_owned();
        (context, text)
    }

    #[track_caller]
    fn check(marked: &str, kind: &str, text: &str) {
        let (context, found) = at_mark(marked);
        let name = format!("{context:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default();
        assert_eq!((name, &*found), (kind, text), "{marked}");
    }

    #[test]
    fn each_place_of_a_magic_has_its_context() {
        check("%ru|", "MagicName", "%ru");
        check("%|", "MagicName", "%");
        check("%input a=1\n%%tr|", "MagicName", "%%tr");
        check("%run sp|", "Node", "sp");
        check("%run a |", "Node", "");
        check("%run a --|", "Option", "--");
        check("%run a --as |", "Choice", "");
        check("%run a --as=j|", "Choice", "j");
        check("%run a --as json s|", "Node", "s");
        check("%run a --input sp|", "Key", "sp");
        check("%run a --input spend=data/s|", "File", "data/s");
        check("%input spend=|", "File", "");
        check("%input sp|end=1", "Key", "sp");
        check("%watch tran|", "File", "tran");
        check("%watch \"my dir/tr|", "File", "my dir/tr");
        check("%watch --allow-overrides a.rs b|", "File", "b");
        check("%dag --path a b|", "Node", "b");
        check("%dag --path a |", "Node", "");
        check("%dag --up 1|", "Nothing", "");
        check("%input x=[1, 2|", "Nothing", "");
        check("%help ru|", "Topic", "ru");
        check("%live o|", "Choice", "o");
        check("%nope a|", "Nothing", "");
        check("%source |", "Node", "");
    }

    #[test]
    fn a_timed_magic_is_a_magic() {
        check("%time %ru|", "MagicName", "%ru");
        check("%time %run sp|", "Node", "sp");
        check("%time spend.m|", "Code", "spend.m");
    }

    #[test]
    fn any_number_of_timed_magics_is_answered() {
        let code = "%time ".repeat(50_000);
        assert_eq!(at(&code, code.len()), Context::Nothing);
        let code = format!("%input a={}", "[".repeat(50_000));
        assert_eq!(at(&code, code.len()), Context::Nothing);
        let code = "(".repeat(50_000);
        assert_eq!(at(&code, code.len()), Context::Code { start: 0 });
        assert_eq!(name_at(&code, 40_000), 40_000..40_000);
    }

    #[test]
    fn below_the_magics_is_code() {
        check("%run a\nlet x = sp|", "Code", "let x = sp");
        check("x % y|", "Code", "x % y");
        check("|", "Code", "");
    }

    #[test]
    fn names_include_the_signs_before_them() {
        let name = |marked: &str| {
            let position = marked.find('|').unwrap();
            let code = marked.replacen('|', "", 1);
            code[name_at(&code, position)].to_owned()
        };
        assert_eq!(name("%ru|n a"), "%run");
        assert_eq!(name("%%trans|form x"), "%%transform");
        assert_eq!(name("%run sp|end"), "spend");
        assert_eq!(name("%watch --allow-over|rides"), "--allow-overrides");
        assert_eq!(name("%dag -|o x"), "-o");
        assert_eq!(name("a - sp|end"), "spend");
        assert_eq!(name("a-sp|end"), "spend");
        assert_eq!(name("x %sp|end"), "spend");
        assert_eq!(name("grö|ße + 1"), "größe");
    }
}

//! One magic line: its words held against the magic's declaration.

use std::ops::Range;

use brooklet_graph::literal;

use super::{UsageError, excerpt};
use crate::session::magics::{self, Arguments, Kind, MAGICS, Magic, Opt, OptValue};
use crate::session::text;
use crate::session::words::{self, Word};

/// One magic with what was given to it.
#[derive(Clone, Debug)]
pub struct Call {
    pub magic: &'static Magic,
    /// Words that belong to no option, quotes kept.
    pub words: Vec<Word>,
    /// Option and its words, in the order given.
    pub options: Vec<(&'static str, Vec<Word>)>,
    /// The text behind the name.
    pub rest: String,
    /// The whole line, for messages.
    pub line: String,
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        (self.magic.title(), &self.words, &self.options)
            == (other.magic.title(), &other.words, &other.options)
    }
}

/// Reads one magic line.
///
/// # Errors
/// If it is not in the form that its declaration says.
pub fn call(line: &str) -> Result<Call, UsageError> {
    let kind = if line.starts_with("%%") { Kind::Cell } else { Kind::Line };
    let percent = if kind == Kind::Cell { 2 } else { 1 };
    let name_end = line[percent..].find(char::is_whitespace).map_or(line.len(), |it| percent + it);
    let name = &line[percent..name_end];
    let Some(magic) = magics::find(name, kind) else {
        return Err(unknown_magic(line, name, kind, 0..name_end));
    };
    let rest = line[name_end..].trim().to_owned();
    let mut call = Call { magic, words: Vec::new(), options: Vec::new(), rest, line: line.to_owned() };
    if matches!(magic.arguments, Arguments::Rest(_)) {
        return Ok(call);
    }
    // Blanked, so that places stay the places of the line; a continuation's `\` is no word.
    let blanked = format!(
        "{}{}",
        " ".repeat(name_end),
        line[name_end..].replace("\\\n", "  ").replace("\\\r\n", "   ")
    );
    if let Some(place) = words::too_deep(&blanked) {
        return Err(nested_too_deeply(magic, line, place));
    }
    let words = words::split(&blanked).map_err(|it| {
        let what = if matches!(it.opener, '"' | '\'') { "quote" } else { "bracket" };
        wrong(magic, line, it.place..it.place + 1, format!("the {what} `{}` is never closed", it.opener))
    })?;
    sort_words(&mut call, words)?;
    check_arguments(&call)?;
    Ok(call)
}

fn unknown_magic(line: &str, name: &str, kind: Kind, place: Range<usize>) -> UsageError {
    let other = if kind == Kind::Cell { Kind::Line } else { Kind::Cell };
    let percent = |kind| if kind == Kind::Cell { "%%" } else { "%" };
    let names = MAGICS.iter().filter(|it| it.kind == kind).map(|it| it.name);
    let (message, hint) = if let Some(magic) = magics::find(name, other) {
        (format!("`{}{name}` is written `{}`", percent(kind), magic.title()), None)
    } else if name.is_empty() {
        ("a magic's name must follow the `%`".to_owned(), Some("`%help` lists the magics".to_owned()))
    } else if let Some(near) = text::nearest(name, names) {
        (format!("there is no magic `{0}{name}`, did you mean `{0}{near}`?", percent(kind)), None)
    } else {
        let hint = "`%help` lists the magics".to_owned();
        (format!("there is no magic `{}{name}`", percent(kind)), Some(hint))
    };
    UsageError { message, line: line.to_owned(), place, usage: String::new(), hint }
}

fn wrong(magic: &Magic, line: &str, place: Range<usize>, message: String) -> UsageError {
    UsageError { message, line: line.to_owned(), place, usage: magic.usage(), hint: None }
}

fn nested_too_deeply(magic: &Magic, line: &str, place: usize) -> UsageError {
    let (shown, at) = excerpt(line, place);
    let depth = literal::MAX_DEPTH;
    let message = format!("the brackets after {} are nested more than {depth} deep", magic.title());
    UsageError {
        message,
        line: shown,
        place: at..at + 1,
        usage: String::new(),
        hint: Some("keep data of this depth in a file that a node reads".to_owned()),
    }
}

/// Parts the words into those of options and the rest.
fn sort_words(call: &mut Call, words: Vec<Word>) -> Result<(), UsageError> {
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if !word.text.starts_with('-') || word.text.len() == 1 {
            call.words.push(word);
            continue;
        }
        let (name, attached) = match word.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&*word.text, None),
        };
        let Some(option) = call.magic.option(name) else { return Err(unknown_option(call, &word, name)) };
        if !option.repeated && call.options.iter().any(|it| it.0 == option.name) {
            return Err(call.wrong(&word.place, format!("`{name}` is given twice")));
        }
        let mut values = Vec::new();
        if let Some(value) = attached {
            let start = word.place.end - value.len();
            values.push(Word { text: value.to_owned(), place: start..word.place.end });
        }
        let wanted = match option.value {
            OptValue::Flag | OptValue::Nodes => 0,
            OptValue::TwoNodes => 2,
            _ => 1,
        };
        if values.len() > wanted && option.value != OptValue::Nodes {
            return Err(call.wrong(&word.place, format!("`{name}` takes no value")));
        }
        while values.len() < wanted {
            match words.next_if(|it| !it.text.starts_with("--")) {
                Some(value) => values.push(value),
                None => {
                    return Err(
                        call.wrong(&word.place, format!("`{name}` lacks its value: `{}`", option.form()))
                    );
                }
            }
        }
        if option.value == OptValue::Files {
            let looks_like_file = |it: &Word| !it.text.starts_with('-') && it.text.contains(['.', '/']);
            while let Some(value) = words.next_if(looks_like_file) {
                values.push(value);
            }
        }
        if option.value == OptValue::Nodes {
            while let Some(value) = words.next_if(|it| !it.text.starts_with('-')) {
                values.push(value);
            }
        }
        check_option(call, option, &values)?;
        call.options.push((option.name, values));
    }
    Ok(())
}

fn unknown_option(call: &Call, word: &Word, name: &str) -> UsageError {
    let title = call.magic.title();
    let message = if call.magic.options.is_empty() {
        format!("{title} has no options, but `{name}` looks like one")
    } else {
        let near = text::did_you_mean(name, call.magic.options.iter().map(|it| it.name));
        format!("`{name}` is not an option of {title}{near}")
    };
    call.wrong(&word.place, message)
}

fn check_option(call: &Call, option: &Opt, values: &[Word]) -> Result<(), UsageError> {
    for value in values {
        let text = &value.text;
        let problem = match option.value {
            OptValue::Number if text.parse::<usize>().is_err() => {
                format!("`{}` takes a whole number, not `{text}`", option.name)
            }
            OptValue::Node | OptValue::TwoNodes | OptValue::Nodes if !words::is_name(text) => {
                format!("`{}` takes the name of a node, not `{text}`", option.name)
            }
            OptValue::OneOf(allowed) if !allowed.contains(&&**text) => {
                let near = text::did_you_mean(text, allowed.iter().copied());
                format!("`{}` takes {}, not `{text}`{near}", option.name, allowed.join(", "))
            }
            OptValue::Pair => {
                pair(call, value)?;
                continue;
            }
            _ => continue,
        };
        return Err(call.wrong(&value.place, problem));
    }
    Ok(())
}

/// Whether the words that belong to no option are as many and of the form that the magic takes.
fn check_arguments(call: &Call) -> Result<(), UsageError> {
    let title = call.magic.title();
    let (least, most, what) = match call.magic.arguments {
        Arguments::Nothing => (0, 0, "no argument"),
        Arguments::Targets { least } => (least, usize::MAX, "the name of a node"),
        Arguments::Node => (1, 1, "the name of a node"),
        Arguments::NodeAndNumber => (1, 2, "the name of a node"),
        Arguments::Paths { least } => (least, usize::MAX, "a file or a directory"),
        Arguments::Pairs => (0, usize::MAX, "k=v"),
        Arguments::OneOptional(what) => (0, 1, what),
        Arguments::One(what) => (1, 1, what),
        Arguments::Choice(_) => (0, 1, ""),
        Arguments::Rest(_) => return Ok(()),
    };
    if call.words.len() < least {
        return Err(call.wrong(&(0..title.len()), format!("{title} needs {what}")));
    }
    if let Some(word) = call.words.get(most) {
        let message = if most == 0 {
            format!("{title} takes no argument, but got `{}`", word.text)
        } else if most == 2 {
            format!("{title} takes a node and a number, but got `{}` too", word.text)
        } else {
            format!("{title} takes one argument, but got `{}` too", word.text)
        };
        return Err(call.wrong(&word.place, message));
    }
    for (at, word) in call.words.iter().enumerate() {
        match call.magic.arguments {
            Arguments::NodeAndNumber if at == 1 && word.text.parse::<usize>().is_err() => {
                let message = format!("{title} takes a whole number of rows, not `{}`", word.text);
                return Err(call.wrong(&word.place, message));
            }
            Arguments::NodeAndNumber if at == 1 => {}
            Arguments::Targets { .. } | Arguments::Node | Arguments::NodeAndNumber
                if !words::is_name(&word.text) =>
            {
                let mut error = call.wrong(&word.place, format!("`{}` is not the name of a node", word.text));
                if word.text.contains('=') && call.magic.option("--input").is_some() {
                    error.hint = Some(format!("give an input as `--input {}`", word.text));
                } else if word.text.contains(',') {
                    error.hint = Some("part names by spaces".to_owned());
                }
                return Err(error);
            }
            Arguments::Pairs => drop(pair(call, word)?),
            Arguments::Choice(allowed) if !allowed.contains(&&*word.text) => {
                return Err(call.wrong(
                    &word.place,
                    format!("{title} takes {}, not `{}`", allowed.join(" or "), word.text),
                ));
            }
            _ => {}
        }
    }
    if call.magic.arguments == Arguments::Pairs {
        call.pairs()?;
    }
    Ok(())
}

/// Splits `k=v`; the value keeps its quotes and may be empty for magics that take a value back so.
fn pair(call: &Call, word: &Word) -> Result<(String, String), UsageError> {
    let is_option = call.magic.arguments != Arguments::Pairs;
    let problem = match word.text.split_once('=') {
        Some((name, value)) if words::is_name(name) && !(is_option && value.is_empty()) => {
            return Ok((name.to_owned(), value.to_owned()));
        }
        Some((name, "")) if words::is_name(name) => format!("`{name}=` lacks its value"),
        Some(("", _)) => format!("`{}` lacks a name before the `=`", word.text),
        Some((name, _)) => format!("`{name}` cannot be the name of an input"),
        None => format!("`{}` is not of the form `k=v`", word.text),
    };
    let mut error = call.wrong(&word.place, problem);
    let behind = call.line.get(word.place.end..).unwrap_or_default().trim_start();
    if behind.starts_with('=') || word.text.starts_with('=') || word.text.ends_with('=') {
        error.hint =
            Some("no spaces around `=`; a value with spaces stands in quotes or brackets".to_owned());
    }
    Err(error)
}

impl Call {
    fn wrong(&self, place: &Range<usize>, message: String) -> UsageError {
        wrong(self.magic, &self.line, place.clone(), message)
    }

    /// An error of this magic as a whole that only became known when it ran.
    pub fn error(&self, message: impl Into<String>) -> UsageError {
        UsageError {
            message: message.into(),
            line: self.line.clone(),
            place: 0..self.magic.title().len(),
            usage: String::new(),
            hint: None,
        }
    }

    /// An error that points at one of the words.
    pub fn error_at(&self, word: &Word, message: impl Into<String>) -> UsageError {
        UsageError { place: word.place.clone(), ..self.error(message) }
    }

    pub fn flag(&self, name: &str) -> bool {
        self.options.iter().any(|it| it.0 == name)
    }

    /// The words of an option that is given at most once.
    pub fn option(&self, name: &str) -> Option<&[Word]> {
        self.options.iter().find(|it| it.0 == name).map(|it| &*it.1)
    }

    /// The one word of an option, without quotes.
    pub fn value(&self, name: &str) -> Option<String> {
        self.option(name).and_then(<[Word]>::first).map(|it| words::unquote(&it.text))
    }

    pub fn number(&self, name: &str) -> Option<usize> {
        self.value(name).and_then(|it| it.parse().ok())
    }

    /// The words that belong to no option, without quotes.
    pub fn texts(&self) -> Vec<String> {
        self.words.iter().map(|it| words::unquote(&it.text)).collect()
    }

    /// The words of all occurrences of an option, without quotes.
    pub fn values(&self, name: &str) -> Vec<String> {
        let words = self.options.iter().filter(|it| it.0 == name).flat_map(|it| &it.1);
        words.map(|it| words::unquote(&it.text)).collect()
    }

    /// The `k=v` words, in order.
    ///
    /// # Errors
    /// If a name stands twice.
    pub fn pairs(&self) -> Result<Vec<(String, String)>, UsageError> {
        self.unique(&self.words)
    }

    /// The `k=v` of a repeated option.
    ///
    /// # Errors
    /// If a name stands twice.
    pub fn option_pairs(&self, name: &str) -> Result<Vec<(String, String)>, UsageError> {
        let words: Vec<Word> =
            self.options.iter().filter(|it| it.0 == name).flat_map(|it| it.1.clone()).collect();
        self.unique(&words)
    }

    fn unique(&self, words: &[Word]) -> Result<Vec<(String, String)>, UsageError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for word in words {
            let (name, value) = pair(self, word)?;
            if pairs.iter().any(|it| it.0 == name) {
                return Err(self.wrong(&word.place, format!("`{name}` is given twice")));
            }
            pairs.push((name, value));
        }
        Ok(pairs)
    }
}

//! The text of a literal as a TOML value: of magics, of attributes, of configuration alike.
//!
//! The structure (lists, tables, `null`) is read here, because TOML has no null and its crate stops at 64
//! bits; strings, floats and dates are left to the `toml` crate. Tables may also be written as JSON objects.

use chrono::{NaiveDate, NaiveDateTime};

/// One value of a literal.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Date(NaiveDate),
    DateTime(NaiveDateTime),
    List(Vec<Item>),
    /// In the order written.
    Table(Vec<(String, Item)>),
}

/// Lists in lists, at most: a literal is data, and its reader must not overflow the stack.
pub const MAX_DEPTH: usize = 64;

/// The byte of the first bracket of a list or table that is nested more than [`MAX_DEPTH`] deep. Brackets in
/// quotes are text, and so are all in what is neither a list nor a table.
pub fn too_deep(text: &str) -> Option<usize> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    // The last character that is not white space: a quote opens a string only where a value or a key begins.
    let mut before = None;
    for (at, it) in text.char_indices() {
        if let Some(mark) = quote {
            if escaped {
                escaped = false;
            } else if it == '\\' && mark == '"' {
                escaped = true;
            } else if it == mark {
                quote = None;
            }
        } else {
            match it {
                '"' | '\'' if matches!(before, Some('[' | '{' | ',' | '=' | ':')) => quote = Some(it),
                '[' | '{' if depth == MAX_DEPTH => return Some(at),
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if !it.is_whitespace() {
            before = Some(it);
        }
    }
    None
}

/// Reads a literal; `None` where the text is not one whole value, and so is a string.
pub fn parse(text: &str) -> Option<Item> {
    let mut reader = Reader { rest: text, depth: 0 };
    let item = reader.item()?;
    reader.skip_space();
    reader.rest.is_empty().then_some(item)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a punctuation mark if it comes next.
    fn eat(&mut self, mark: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn item(&mut self) -> Option<Item> {
        self.skip_space();
        if self.eat('[') {
            return self.nested(Reader::list);
        }
        if self.eat('{') {
            return self.nested(Reader::table);
        }
        leaf(self.token()?)
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Item>) -> Option<Item> {
        self.depth += 1;
        let item = if self.depth <= MAX_DEPTH { read(self) } else { None };
        self.depth -= 1;
        item
    }

    fn list(&mut self) -> Option<Item> {
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.item()?);
            if !self.eat(',') {
                return self.eat(']').then_some(Item::List(items));
            }
        }
        Some(Item::List(items))
    }

    fn table(&mut self) -> Option<Item> {
        let mut entries: Vec<(String, Item)> = Vec::new();
        while !self.eat('}') {
            self.skip_space();
            let key = match self.token()? {
                quoted if quoted.starts_with(['"', '\'']) => match leaf(quoted)? {
                    Item::String(key) => key,
                    _ => return None,
                },
                bare => bare.to_owned(),
            };
            if !(self.eat('=') || self.eat(':')) || entries.iter().any(|(other, _)| *other == key) {
                return None;
            }
            entries.push((key, self.item()?));
            if !self.eat(',') {
                return self.eat('}').then_some(Item::Table(entries));
            }
        }
        Some(Item::Table(entries))
    }

    /// The text of one leaf: a quoted string, or everything up to the next punctuation mark.
    fn token(&mut self) -> Option<&str> {
        let end = match self.rest.chars().next()? {
            quote @ ('"' | '\'') => quoted_length(self.rest, quote)?,
            _ if self.depth == 0 => self.rest.len(),
            _ => self.bare_length(),
        };
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        let token = token.trim_end();
        (!token.is_empty()).then_some(token)
    }

    /// A `:` ends a key of an object, but not a time.
    fn bare_length(&self) -> usize {
        let is_key = self.rest.starts_with(|it: char| it.is_alphabetic() || it == '_');
        self.rest
            .find(|it| matches!(it, ',' | ']' | '}' | '=') || (it == ':' && is_key))
            .unwrap_or(self.rest.len())
    }
}

/// Length of a quoted string with its quotes; `None` if it does not end.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    if let Some(body) = text.strip_prefix(&triple) {
        return Some(body.find(&triple)? + 6);
    }
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if it == '\\' && quote == '"' {
            escaped = true;
        } else if it == quote {
            return Some(at + 1);
        }
    }
    None
}

fn leaf(token: &str) -> Option<Item> {
    match token {
        "null" => return Some(Item::Null),
        "true" => return Some(Item::Bool(true)),
        "false" => return Some(Item::Bool(false)),
        _ => {}
    }
    if let Some(integer) = integer(token) {
        return Some(Item::Integer(integer));
    }
    match toml::from_str::<toml::Table>(&format!("x = {token}")).ok()?.remove("x")? {
        toml::Value::String(text) => Some(Item::String(text)),
        toml::Value::Float(value) => Some(Item::Float(value)),
        toml::Value::Datetime(moment) => date(&moment),
        _ => None,
    }
}

/// TOML's integers, without its limit of 64 bits.
fn integer(token: &str) -> Option<i128> {
    let (sign, digits) = match token.as_bytes() {
        [b'-', ..] => (-1, &token[1..]),
        [b'+', ..] => (1, &token[1..]),
        _ => (1, token),
    };
    let well_placed = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let plain: String = digits.chars().filter(|it| *it != '_').collect();
    if !well_placed || !plain.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let magnitude = match plain.get(..2) {
        Some("0x") => i128::from_str_radix(&plain[2..], 16).ok()?,
        Some("0o") => i128::from_str_radix(&plain[2..], 8).ok()?,
        Some("0b") => i128::from_str_radix(&plain[2..], 2).ok()?,
        // A leading zero is text in TOML: postal codes keep it.
        _ if plain.len() > 1 && plain.starts_with('0') => return None,
        _ => plain.parse().ok()?,
    };
    Some(sign * magnitude)
}

/// Names what a TOML value of time is that has no [`Item`], since polars and chrono have several types for it: a
/// type that reads it from text still can.
pub fn moment(text: &str) -> Option<&'static str> {
    // All of them begin so; toml need not look through a long text that is something else.
    if !text.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    match toml::from_str::<toml::Table>(&format!("x = {text}")).ok()?.get("x")? {
        toml::Value::Datetime(it) if it.offset.is_some() => Some("a date and time in a time zone"),
        toml::Value::Datetime(it) if it.date.is_none() => Some("a time of day"),
        _ => None,
    }
}

fn date(moment: &toml::value::Datetime) -> Option<Item> {
    let date = moment.date?;
    if moment.offset.is_some() {
        return None; // a moment in a time zone has no type here; it stays text
    }
    let day = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())?;
    match moment.time {
        None => Some(Item::Date(day)),
        Some(_) => moment.to_string().parse().ok().map(Item::DateTime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_read_as_deep_as_it_is_allowed_to_be() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_some() && too_deep(&nested(MAX_DEPTH)).is_none());
        assert!(parse(&nested(MAX_DEPTH + 1)).is_none());
        assert_eq!(too_deep(&nested(MAX_DEPTH + 1)), Some(MAX_DEPTH));
    }

    #[test]
    fn a_literal_of_any_depth_is_answered() {
        const DEEP: usize = 50_000;
        for (open, close) in
            [("[", "]"), ("{a=", "}"), ("{a:", "}"), ("[1, [\"[\", ", "]]"), ("{ \"a\": [", "]}")]
        {
            for text in [open.repeat(DEEP), format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP))] {
                assert!(too_deep(&text).is_some_and(|it| it < 2_000), "{open}");
                assert_eq!((parse(&text), moment(&text)), (None, None), "{open}");
            }
        }
        let text = "(".repeat(DEEP);
        assert_eq!((too_deep(&text), parse(&text), moment(&text)), (None, None, None));
    }

    #[test]
    fn brackets_in_text_have_no_depth() {
        let many = "[".repeat(500);
        for text in [format!("\"{many}\""), many.replace('[', "("), format!("[\"{many}\", '{many}']")] {
            assert_eq!(too_deep(&text), None);
        }
        assert_eq!(too_deep(&"[1], ".repeat(500)), None);
        assert!(too_deep(&format!("[it's, {many}]")).is_some());
    }

    #[test]
    fn moments_are_told_from_text() {
        assert_eq!(moment("12:00:00"), Some("a time of day"));
        assert_eq!(moment("2024-01-31T12:00:00Z"), Some("a date and time in a time zone"));
        assert_eq!(moment("noon"), None);
    }
}

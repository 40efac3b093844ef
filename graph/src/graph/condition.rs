//! Whether a variant is there: conditions held against the configuration.
//!
//! Values are compared as they are meant: numbers by value, and a string of a condition with the text of the
//! configured literal, as a `String` parameter would take it. A key that is not configured equals nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Literals;
use crate::literal::{self, Item};
use crate::spec::{Condition, FileSpec, Literal};

/// Whether a condition holds. `otherwise` is about the other variants, so the caller answers it.
pub(super) fn holds(condition: &Condition, config: &Literals, otherwise: bool) -> bool {
    match condition {
        Condition::Is { key, one_of, not } => {
            let is = config.get(key).is_some_and(|it| one_of.iter().any(|wanted| equals(it, wanted)));
            is != *not
        }
        Condition::All(all) => all.iter().all(|it| holds(it, config, otherwise)),
        Condition::Any(any) => any.iter().any(|it| holds(it, config, otherwise)),
        Condition::Not(inner) => !holds(inner, config, otherwise),
        Condition::Otherwise => otherwise,
    }
}

fn equals(configured: &str, wanted: &Literal) -> bool {
    let (have, want) = (literal::parse(configured.trim()), literal::parse(&wanted.raw));
    match (&have, &want) {
        (Some(Item::Integer(a)), Some(Item::Float(b))) | (Some(Item::Float(b)), Some(Item::Integer(a))) => {
            *a as f64 == *b
        }
        (Some(Item::String(a)), Some(Item::String(b))) => a == b,
        (_, Some(Item::String(text))) => configured.trim() == text,
        (have, want) => have.is_some() && have == want,
    }
}

/// The keys that conditions of these files ask for, each once.
pub fn consulted_keys(files: &[Arc<FileSpec>]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for function in files.iter().flat_map(|it| &it.functions) {
        function.shape.conditions.iter().for_each(|it| keys_of(it, &mut keys));
    }
    keys
}

pub(super) fn keys_of(condition: &Condition, keys: &mut BTreeSet<String>) {
    match condition {
        Condition::Is { key, .. } => drop(keys.insert(key.clone())),
        Condition::All(all) | Condition::Any(all) => all.iter().for_each(|it| keys_of(it, keys)),
        Condition::Not(inner) => keys_of(inner, keys),
        Condition::Otherwise => {}
    }
}

/// A condition as people read it: `region = "us"`.
pub(super) fn shown(condition: &Condition) -> String {
    let join = |all: &[Condition], word: &str| all.iter().map(inner).collect::<Vec<_>>().join(word);
    match condition {
        Condition::Is { key, one_of, not } => {
            let values: Vec<&str> = one_of.iter().map(|it| it.raw.as_str()).collect();
            match (values.as_slice(), not) {
                ([one], false) => format!("{key} = {one}"),
                ([one], true) => format!("{key} is not {one}"),
                (some, false) => format!("{key} is one of {}", some.join(", ")),
                (some, true) => format!("{key} is none of {}", some.join(", ")),
            }
        }
        Condition::All(all) => join(all, " and "),
        Condition::Any(any) => join(any, " or "),
        Condition::Not(it) => format!("not {}", inner(it)),
        Condition::Otherwise => "otherwise".to_owned(),
    }
}

fn inner(condition: &Condition) -> String {
    match condition {
        Condition::All(_) | Condition::Any(_) => format!("({})", shown(condition)),
        other => shown(other),
    }
}

/// The values with which a condition on a key may hold, in the order of writing.
pub(super) fn known_values(conditions: &[&Condition], key: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let mut open: Vec<&Condition> = conditions.iter().rev().copied().collect();
    while let Some(condition) = open.pop() {
        match condition {
            Condition::Is { key: other, one_of, not: false } if other == key => {
                for it in one_of {
                    if !values.contains(&it.raw) {
                        values.push(it.raw.clone());
                    }
                }
            }
            Condition::All(all) | Condition::Any(all) => open.extend(all.iter().rev()),
            Condition::Is { .. } | Condition::Not(_) | Condition::Otherwise => {}
        }
    }
    values
}

/// The names of all nodes that the files can make, under whatever configuration.
pub fn possible_nodes(files: &[Arc<FileSpec>]) -> BTreeSet<String> {
    files.iter().flat_map(|it| &it.functions).flat_map(super::expand::names_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(key: &str, values: &[&str], not: bool) -> Condition {
        let one_of =
            values.iter().map(|it| Literal { raw: (*it).to_owned(), ..Literal::default() }).collect();
        Condition::Is { key: key.to_owned(), one_of, not }
    }

    fn config(pairs: &[(&str, &str)]) -> Literals {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_are_compared_as_they_are_meant() {
        let holds = |configured: &str, wanted: &str| {
            super::holds(&is("k", &[wanted], false), &config(&[("k", configured)]), false)
        };
        for (configured, wanted) in [
            ("us", "\"us\""),
            ("\"us\"", "\"us\""),
            ("1", "1"),
            ("1", "1.0"),
            ("1", "\"1\""),
            ("true", "true"),
            ("[1, 2]", "[1,2]"),
        ] {
            assert!(holds(configured, wanted), "{configured} {wanted}");
        }
        for (configured, wanted) in
            [("us", "\"uk\""), ("\"1\"", "1"), ("1", "2"), ("true", "\"false\""), ("null", "0")]
        {
            assert!(!holds(configured, wanted), "{configured} {wanted}");
        }
    }

    #[test]
    fn an_absent_key_matches_only_what_is_not() {
        let none = Literals::new();
        assert!(!holds(&is("k", &["1"], false), &none, false));
        assert!(!holds(&is("k", &["1", "2"], false), &none, false));
        assert!(holds(&is("k", &["1"], true), &none, false));
        let any = Condition::Any(vec![is("k", &["1"], false), is("other", &["2"], true)]);
        assert!(holds(&any, &none, false));
        assert!(!holds(&Condition::Not(Box::new(any.clone())), &none, false));
        assert_eq!(shown(&any), "k = 1 or other is not 2");
        assert_eq!(known_values(&[&any], "k"), ["1"]);
    }
}

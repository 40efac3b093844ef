//! Which types hold something borrowed, as far as the files tell.
//!
//! A value that is to be written to the disk and read again must own all that it holds. rustc cannot be asked without
//! risk: what is deserialised from one lifetime alone, such as a struct with a `&'static str`, is an error where the
//! question is put. So the question is put only where no word of the type's definition borrows.

use std::collections::BTreeSet;

use super::items::{Item, ItemKind, Level};
use super::lex::Kind;
use super::tokens::Lexed;

/// The names of structs, enums and aliases with a reference or a lifetime in them, also those of nested modules.
pub(super) fn borrowing(lexed: &Lexed<'_>, level: &Level) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Vec<&Item> = level.items.iter().collect();
    while let Some(item) = open.pop() {
        open.extend(item.items.iter().filter(|_| item.kind == ItemKind::Mod));
        let Some(name) = item.name.filter(|_| item.kind == ItemKind::Type) else { continue };
        let borrows = |at: usize| matches!(lexed.kind(at), Some(Kind::Lifetime | Kind::Punct(b'&')));
        if (item.head..item.range.end).any(borrows) {
            names.insert(lexed.text(name).to_owned());
        }
    }
    // Another name for one, `use Name as Label`, may be for one of another file: it is resolved when all are read.
    let words = (2..lexed.tokens.len()).filter(|it| lexed.is(it - 1, "as"));
    names.extend(words.map(|it| format!("{} as {}", lexed.text(it - 2), lexed.text(it))));
    names
}

/// Adds the other names of borrowing types.
pub(super) fn with_other_names(names: &mut BTreeSet<String>) {
    loop {
        let renamed = |it: &String| {
            let (name, other) = it.split_once(" as ")?;
            (names.contains(name) && !names.contains(other)).then(|| other.to_owned())
        };
        let more: Vec<String> = names.iter().filter_map(renamed).collect();
        if more.is_empty() {
            return;
        }
        names.extend(more);
    }
}

/// Whether a type, as written, names nothing borrowed.
pub(super) fn is_owned(ty: &str, borrowing: &BTreeSet<String>) -> bool {
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    !ty.contains(['&', '\'']) && !ty.split(|it| !is_word(it)).any(|it| borrowing.contains(it))
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;
    use crate::source::{SourceFile, Sources};

    #[test]
    fn a_type_with_a_borrowed_part_is_not_owned_wherever_it_is_defined() {
        let file = |path: &str, text: &str| SourceFile {
            path: path.to_owned(),
            absolute: format!("/home/ada/{path}"),
            text: text.to_owned(),
        };
        let mut sources = Sources::default();
        sources.push(file(
            "a.rs",
            "use crate::b::*;\npub fn one() -> Name { todo() }\npub fn two() -> Vec<Own> { todo() }\n\
             pub fn three() -> Result<HashMap<String, inner::Tag<'static>>, E> { todo() }\n\
             use crate::b::Name as Label;\npub fn six() -> Label { todo() }\n\
             pub fn four() -> &'static str { todo() }\npub fn five() -> Alias { todo() }\n",
        ));
        sources.push(file(
            "b.rs",
            "pub struct Name { pub text: &'static str }\npub struct Own { pub text: String }\n\
             pub type Alias = &'static [f64];\npub mod inner { pub struct Tag<'a>(pub &'a str); }\n",
        ));
        let parsed = parse(&sources, &[vec!["a".to_owned()], vec!["b".to_owned()]]);
        let owned: Vec<bool> = parsed.files[0].functions.iter().map(|it| it.output_is_owned).collect();
        assert_eq!(owned, [false, true, false, false, false, false]);
    }
}

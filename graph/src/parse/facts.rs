//! What each item of a file is called, what it mentions, and a digest of its tokens.
//!
//! Facts are gathered file by file, on all threads; `fingerprint` then joins them. Two readings of a body
//! have to be told apart: the parameters of a function hide nodes of the same name, so a parameter's name
//! must not lead to that node's code, or every edit would run everything downstream.
//!
//! Guiding rule: a name that might lead to an item does lead there. The exceptions are listed where they are
//! made, each with the reason why it cannot hide an edit.

mod reader;

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::items::{Item, ItemKind};
use super::lex::Kind;
use super::tokens::{Lexed, Range, is_keyword, plain};
use super::{attributes, items};
use reader::Reader;

/// 32 bytes of blake3.
pub(crate) type Digest = [u8; 32];

/// In what way an item can be reached by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Function,
    /// Types, traits, modules, macros, consts, statics.
    Item,
    /// A `use`, by its alias.
    Use,
    /// A method, associated const or type, by the impl or trait that holds it.
    Member,
    /// An impl, by the names in its header.
    Header,
}

/// How a name is mentioned, which decides what it may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum How {
    Any,
    /// Behind a `.`: a field or a method.
    Member,
    /// A function's own parameter: anything but a function.
    Parameter,
}

/// Whether a scope counts an item for all that stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ambient<W> {
    No,
    Always,
    /// A `use` of this name: if it is a trait, every method call may mean it.
    IfTrait {
        original: W,
        from_std: bool,
    },
}

/// A file that the source includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    /// Candidates for the absolute path, relative to the source's directory.
    Paths(Vec<String>),
    /// The path is computed.
    Unknown,
}

/// A word of a file, by its place: facts are kept while the text that they were read from may go. In the facts of
/// one file all words that are the same have the place of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word {
    start: u32,
    end: u32,
}

impl Word {
    /// The place of a word that is a piece of the text.
    fn of(text: &str, word: &str) -> Word {
        let start = (word.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        debug_assert!(start + word.len() <= text.len());
        Word { start: start as u32, end: (start + word.len()) as u32 }
    }

    pub fn in_text(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Fact<W> {
    pub names: Vec<(W, Role)>,
    pub is_trait: bool,
    /// A `mod name;`.
    pub is_module: bool,
    /// Sorted, each once.
    pub mentions: Vec<(W, How)>,
    pub digest: Digest,
    /// The scope that it stands in, by index into the file's facts; a scope's own is its parent.
    pub scope: Option<usize>,
    pub ambient: Ambient<W>,
    /// Counts for every node of all files: what it makes is not visible.
    pub global: bool,
    pub includes: Vec<Include>,
    /// For a `pub fn` at the top: the digest of the node, without its name, parameters numbered.
    pub node: Option<Digest>,
    /// The token of the fn's name, by which its spec is found.
    pub name_start: u32,
    pub title: Title,
}

/// What an item is called, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Title {
    pub kind: TitleKind,
    /// The text that names it: a name, the head of an impl, the last word of an import.
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TitleKind {
    /// What stands around items: attributes of a file or a module.
    #[default]
    Surroundings,
    Function,
    Type,
    Trait,
    Value,
    Macro,
    Impl,
    Import,
    Module,
    Other,
}

impl<'a> Fact<&'a str> {
    fn placed(self, text: &'a str, words: &mut FxHashMap<&'a str, Word>) -> Fact<Word> {
        let mut place = |word: &'a str| *words.entry(word).or_insert_with(|| Word::of(text, word));
        Fact {
            names: self.names.into_iter().map(|it| (place(it.0), it.1)).collect(),
            mentions: self.mentions.into_iter().map(|it| (place(it.0), it.1)).collect(),
            ambient: match self.ambient {
                Ambient::No => Ambient::No,
                Ambient::Always => Ambient::Always,
                Ambient::IfTrait { original, from_std } => {
                    Ambient::IfTrait { original: place(original), from_std }
                }
            },
            is_trait: self.is_trait,
            is_module: self.is_module,
            digest: self.digest,
            scope: self.scope,
            global: self.global,
            includes: self.includes,
            node: self.node,
            name_start: self.name_start,
            title: self.title,
        }
    }
}

/// The facts of one file; the first one is the file's scope.
pub(crate) type Facts = Vec<Fact<Word>>;

/// Macros whose arguments are plain expressions or formats, evaluated in place. Names in the arguments of
/// others may become anything.
const KNOWN_MACROS: [&str; 27] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "df",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "matches",
    "panic",
    "polars_bail",
    "polars_ensure",
    "polars_err",
    "print",
    "println",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
    "write",
    "writeln",
    "line",
    "column",
    "file",
];

/// Derives that do not look at doc comments.
const KNOWN_DERIVES: [&str; 11] = [
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Deserialize",
    "Eq",
    "Hash",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Serialize",
];

/// Attributes that make no items of their own.
const KNOWN_ATTRIBUTES: [&str; 26] = [
    "allow",
    "automatically_derived",
    "cfg",
    "cold",
    "coverage",
    "default",
    "deny",
    "deprecated",
    "derive",
    "diagnostic",
    "doc",
    "expect",
    "forbid",
    "inline",
    "macro_export",
    "macro_use",
    "must_use",
    "non_exhaustive",
    "path",
    "repr",
    "rustfmt",
    "serde",
    "test",
    "track_caller",
    "warn",
    "cfg_attr",
];

/// The macros that keep their meaning: those that no file defines or imports anew.
pub(crate) struct Known {
    redefined: BTreeSet<String>,
}

impl Known {
    pub fn without(redefined: BTreeSet<String>) -> Known {
        Known { redefined }
    }

    pub fn macro_is_known(&self, name: &str) -> bool {
        KNOWN_MACROS.contains(&name) && !self.redefined.contains(name)
    }
}

/// Names of macros that a file defines, and names of known ones that it imports (`use fancy::format;`).
pub(crate) fn redefined_macros(lexed: &Lexed<'_>) -> BTreeSet<String> {
    let mut redefined = BTreeSet::new();
    for index in 0..lexed.tokens.len() {
        let Some(word) = lexed.ident(index) else { continue };
        if word == "macro_rules" && lexed.is_punct(index + 1, b'!') {
            redefined.extend(lexed.ident(index + 2).map(str::to_owned));
        }
        let ends = matches!(lexed.kind(index + 1), Some(Kind::Punct(b';' | b',') | Kind::Close(b'}')));
        if ends && KNOWN_MACROS.contains(&word) && in_use(lexed, index) {
            redefined.insert(word.to_owned());
        }
    }
    redefined
}

/// Whether a token stands in a `use` item: looks back to the last `;` or the file's start.
fn in_use(lexed: &Lexed<'_>, index: usize) -> bool {
    let mut at = index;
    while at > 0 {
        at -= 1;
        if lexed.is(at, "use") {
            return true;
        }
        if lexed.is_punct(at, b';') || matches!(lexed.kind(at), Some(Kind::Open(b'(') | Kind::Close(b')'))) {
            return false;
        }
    }
    false
}

/// Gathers the facts of one file.
pub(crate) fn gather(lexed: &Lexed<'_>, level: &items::Level, module: &[String], known: &Known) -> Facts {
    let mut gatherer = Gatherer { lexed, known, facts: Vec::new() };
    gatherer.level(&level.inner_attributes, &level.items, module, None, &[]);
    // What a file includes counts for every node of the file.
    let mut includes = Vec::new();
    for fact in gatherer.facts.iter_mut().filter(|it| !it.is_module) {
        includes.append(&mut fact.includes);
    }
    if let Some(scope) = gatherer.facts.first_mut() {
        scope.includes = includes;
    }
    let mut words = FxHashMap::default();
    gatherer.facts.into_iter().map(|it| it.placed(lexed.text, &mut words)).collect()
}

struct Gatherer<'a, 'b> {
    lexed: &'b Lexed<'a>,
    known: &'b Known,
    facts: Vec<Fact<&'a str>>,
}

impl<'a> Gatherer<'a, '_> {
    fn level(
        &mut self,
        inner: &[Range],
        items: &[Item],
        path: &[String],
        parent: Option<usize>,
        attributes: &[Range],
    ) {
        let mut reader = Reader::new(self.lexed, self.known, false);
        reader.frame(b"scope");
        reader.path(path);
        for range in attributes.iter().chain(inner) {
            reader.read(*range);
        }
        // `macro_rules!` of one name shadow each other by order, so the order counts where there are two.
        let mut macros: Vec<&str> = Vec::new();
        for item in items.iter().filter(|it| it.kind == ItemKind::MacroRules) {
            macros.extend(item.name.map(|it| self.lexed.text(it)));
        }
        let distinct: BTreeSet<&str> = macros.iter().copied().collect();
        if distinct.len() < macros.len() {
            reader.frame(b"order");
            items.iter().for_each(|it| reader.read(it.range));
        }
        let scope = self.facts.len();
        self.facts.push(reader.fact(Vec::new(), parent));
        for item in items.iter().filter(|it| !attributes::is_test(self.lexed, it)) {
            self.item(item, path, scope, parent.is_none());
        }
    }

    fn item(&mut self, item: &Item, path: &[String], scope: usize, top: bool) {
        let lexed = self.lexed;
        let name = item.name.map(|it| lexed.text(it));
        let named = |role| name.iter().map(|it| (plain(it), role)).collect::<Vec<_>>();
        match item.kind {
            ItemKind::Use => return self.uses(item, path, scope),
            ItemKind::Mod => return self.module(item, path, scope),
            _ => {}
        }
        let strange = has_strange_attribute(lexed, item);
        let derives_inside = item.kind == ItemKind::Fn
            && item.body.is_some_and(|(open, close)| (open..close).any(|it| lexed.is(it, "derive")));
        let keep_docs =
            strange || derives_inside || matches!(item.kind, ItemKind::MacroRules | ItemKind::MacroCall);
        let mut reader = Reader::new(lexed, self.known, keep_docs);
        reader.frame(b"item");
        reader.path(path);
        let mut names = match item.kind {
            ItemKind::Fn => named(Role::Function),
            _ => named(Role::Item),
        };
        match item.kind {
            ItemKind::Fn => reader.function(item, false),
            ItemKind::Impl | ItemKind::Trait => {
                let open = item.body.map_or(item.range.end, |it| it.0);
                if item.kind == ItemKind::Impl {
                    let words = (item.head..open).filter_map(|it| lexed.ident(it));
                    let words: BTreeSet<&str> = words.filter(|it| !is_keyword(it)).map(plain).collect();
                    names.extend(words.into_iter().map(|it| (it, Role::Header)));
                }
                let mut read = item.range.start;
                for member in &item.items {
                    names.extend(member.name.map(|it| (plain(lexed.text(it)), Role::Member)));
                    reader.read(Range::new(read, member.range.start));
                    match member.kind {
                        ItemKind::Fn => reader.function(member, false),
                        _ => reader.read(member.range),
                    }
                    read = member.range.end;
                    // What a macro makes inside an impl has names that nobody sees.
                    reader.global |=
                        member.kind == ItemKind::MacroCall || has_strange_attribute(lexed, member);
                }
                reader.read(Range::new(read, item.range.end));
            }
            _ => reader.read(item.range),
        }
        reader.global |=
            strange || item.kind == ItemKind::MacroCall || item.kind == ItemKind::Extern || name == Some("_");
        let mut fact = reader.fact(names, Some(scope));
        fact.is_trait = item.kind == ItemKind::Trait;
        fact.title = title(lexed, item);
        if item.kind == ItemKind::Fn {
            fact.name_start = item.name.map_or(0, |it| lexed.tokens[it].start);
            if top && item.visibility == items::Visibility::Public {
                let mut reader = Reader::new(lexed, self.known, keep_docs);
                reader.is_digest_only = true;
                reader.frame(b"node");
                reader.path(path);
                reader.function(item, true);
                fact.node = Some(reader.digest());
            }
        }
        self.facts.push(fact);
    }

    fn module(&mut self, item: &Item, path: &[String], scope: usize) {
        let Some(name) = item.name.map(|it| self.lexed.text(it)) else { return };
        if item.body.is_some() {
            let mut inner = path.to_vec();
            inner.push(name.to_owned());
            let attributes: Vec<Range> = item.attributes.clone();
            self.level(&item.inner_attributes, &item.items, &inner, Some(scope), &attributes);
            return;
        }
        // `mod name;`: the contents are in a file of its own, which the caller gives among the included ones.
        let mut reader = Reader::new(self.lexed, self.known, false);
        reader.read(item.range);
        let path_attribute = item.attributes.iter().find(|it| self.lexed.is(it.start + 2, "path"));
        let paths = match path_attribute.and_then(|it| string_value(self.lexed.text(it.start + 4))) {
            Some(path) => vec![path],
            None => vec![format!("{name}.rs"), format!("{name}/mod.rs")],
        };
        reader.includes.push(Include::Paths(paths));
        reader.global = true;
        let mut fact = reader.fact(vec![(name, Role::Item)], Some(scope));
        fact.is_module = true;
        fact.title = title(self.lexed, item);
        self.facts.push(fact);
    }

    /// Each leaf of a `use` is an item of its own, so that another name in the same braces changes nothing.
    fn uses(&mut self, item: &Item, path: &[String], scope: usize) {
        let mut leaves = Vec::new();
        let end = item.range.end.saturating_sub(1);
        use_leaves(self.lexed, Range::new(item.head + 1, end), &[], &mut leaves);
        for leaf in leaves {
            let mut reader = Reader::new(self.lexed, self.known, false);
            reader.frame(b"use");
            reader.path(path);
            for range in &item.attributes {
                reader.read(*range);
            }
            for token in &leaf.tokens {
                reader.word(self.lexed.text(*token));
                reader.mention(self.lexed.text(*token), How::Any);
            }
            let mut ambient = Ambient::Always;
            let mut names = Vec::new();
            match &leaf.alias {
                None => {}
                Some(alias) => {
                    names.push((plain(alias), Role::Use));
                    let from_std = leaf
                        .tokens
                        .iter()
                        .find_map(|it| self.lexed.ident(*it))
                        .is_some_and(|it| matches!(it, "std" | "core" | "alloc"));
                    ambient = if *alias == "_" {
                        Ambient::Always
                    } else {
                        Ambient::IfTrait { original: leaf.original, from_std }
                    };
                }
            }
            reader.word(leaf.alias.unwrap_or("*"));
            let mut fact = reader.fact(names, Some(scope));
            fact.ambient = ambient;
            if let Some(last) = leaf.tokens.last().map(|it| self.lexed.tokens[*it]) {
                fact.title = Title { kind: TitleKind::Import, start: last.start, end: last.end };
            }
            self.facts.push(fact);
        }
    }
}

/// What an item is called: its name, or for an impl all before its brace.
fn title(lexed: &Lexed<'_>, item: &Item) -> Title {
    let kind = match item.kind {
        ItemKind::Fn => TitleKind::Function,
        ItemKind::Type => TitleKind::Type,
        ItemKind::Trait => TitleKind::Trait,
        ItemKind::Value => TitleKind::Value,
        ItemKind::MacroRules => TitleKind::Macro,
        ItemKind::Impl => TitleKind::Impl,
        ItemKind::Mod => TitleKind::Module,
        ItemKind::Use => TitleKind::Import,
        ItemKind::MacroCall | ItemKind::Extern => TitleKind::Other,
    };
    let (first, last) = match (item.kind, item.name, item.body) {
        (ItemKind::Impl, _, Some((open, _))) => (item.head, open.saturating_sub(1)),
        (_, Some(name), _) => (name, name),
        _ => (item.head, item.head),
    };
    match (lexed.tokens.get(first), lexed.tokens.get(last)) {
        (Some(first), Some(last)) => Title { kind, start: first.start, end: last.end },
        _ => Title { kind, ..Title::default() },
    }
}

struct Leaf<'a> {
    /// The tokens of the path, prefix included.
    tokens: Vec<usize>,
    original: &'a str,
    /// `None` for a glob.
    alias: Option<&'a str>,
}

fn use_leaves<'a>(lexed: &Lexed<'a>, range: Range, prefix: &[usize], leaves: &mut Vec<Leaf<'a>>) {
    let mut tokens = prefix.to_vec();
    let mut index = range.start;
    while index < range.end {
        if let Some(close) = lexed.group(index, b'{') {
            for piece in lexed.split_at_commas(Range::new(index + 1, close)) {
                use_leaves(lexed, piece, &tokens, leaves);
            }
            return;
        }
        if lexed.is(index, "as") {
            break;
        }
        tokens.push(index);
        index += 1;
    }
    if tokens.len() == prefix.len() {
        return;
    }
    let glob = tokens.last().is_some_and(|it| lexed.is_punct(*it, b'*'));
    let words: Vec<&str> = tokens.iter().filter_map(|it| lexed.ident(*it)).collect();
    let original = words.iter().rev().find(|it| **it != "self").copied().unwrap_or_default();
    let alias = lexed.ident(index + 1).filter(|_| index < range.end).unwrap_or(original);
    leaves.push(Leaf { original: plain(original), alias: (!glob).then_some(alias), tokens });
}

/// Attributes of other crates may make any item out of this one, and derives may read its docs.
pub(crate) fn has_strange_attribute(lexed: &Lexed<'_>, item: &Item) -> bool {
    item.attributes.iter().filter(|it| lexed.is_punct(it.start, b'#')).any(|range| {
        let name = range.start + 2;
        match lexed.ident(name) {
            Some("derive") => {
                let words: Vec<usize> =
                    (name + 2..range.end).filter(|it| lexed.ident(*it).is_some()).collect();
                let last = |it: &&usize| !lexed.is_joint(**it + 1, b':', b':');
                words.iter().filter(last).any(|it| !KNOWN_DERIVES.contains(&lexed.text(*it)))
            }
            // Ours are inert, also with their path.
            Some("brooklet") => false,
            Some(word) => !KNOWN_ATTRIBUTES.contains(&word) && !attributes::OURS.contains(&word),
            None => true,
        }
    })
}

/// A single `:`.
fn is_colon(lexed: &Lexed<'_>, index: usize) -> bool {
    lexed.is_punct(index, b':')
        && !lexed.is_joint(index, b':', b':')
        && !(index >= 1 && lexed.is_joint(index - 1, b':', b':'))
}

/// Whether a function's body declares items of its own, as far as its words tell.
pub(crate) fn holds_items(lexed: &Lexed<'_>, body: Range) -> bool {
    (body.start..body.end).any(|index| match lexed.ident(index) {
        Some("fn") => lexed.ident(index + 1).is_some(),
        Some("const") => {
            let pointer = index >= 1 && lexed.is_punct(index - 1, b'*');
            !pointer && lexed.kind(index + 1) == Some(Kind::Ident)
        }
        Some(
            "struct" | "enum" | "trait" | "impl" | "mod" | "use" | "static" | "type" | "extern"
            | "macro_rules",
        ) => true,
        Some("union") => lexed.ident(index + 1).is_some(),
        _ => false,
    })
}

/// Whether a body calls macros whose expansion could hold items.
pub(crate) fn holds_item_macros(lexed: &Lexed<'_>, body: Range, known: &Known) -> bool {
    (body.start..body.end).any(|index| {
        lexed.is_punct(index + 1, b'!')
            && !lexed.is_joint(index + 1, b'!', b'=')
            && matches!(lexed.kind(index + 2), Some(Kind::Open(_)))
            && lexed.ident(index).is_some_and(|it| !is_keyword(it) && !known.macro_is_known(it))
    })
}

/// The identifiers that a format string captures: `{name}`, `{name:?}`, and `$` arguments.
pub(crate) fn captures(literal: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let escapes = !literal.starts_with('r');
    let mut doubled = false;
    let after_brace = literal.match_indices('{').filter_map(move |(at, _)| {
        // `{{` is a brace, and `\u{..}` a character.
        let second = std::mem::take(&mut doubled);
        doubled = !second && literal[at + 1..].starts_with('{');
        let character = escapes && literal[..at].ends_with("\\u");
        (!second && !doubled && !character).then_some(at + 1)
    });
    // A width or precision taken from a variable: `{x:width$.precision$}`.
    let before_dollar = literal.match_indices('$').map(move |(at, _)| {
        literal[..at]
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_word(*c))
            .last()
            .map_or(at, |(start, _)| start)
    });
    after_brace.chain(before_dollar).filter_map(move |start| {
        let rest = literal.get(start..)?;
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        word.starts_with(|c: char| c == '_' || c.is_alphabetic()).then_some(word)
    })
}

/// The value of a plain string literal.
fn string_value(literal: &str) -> Option<String> {
    syn::parse_str::<syn::LitStr>(literal).ok().map(|it| it.value())
}

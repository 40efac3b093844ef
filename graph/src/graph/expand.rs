//! Functions to planned nodes: the configuration chooses variants, and attributes make several nodes of one
//! function.
//!
//! It is done on specs alone, so that another configuration is another graph and never another compile: all
//! variants are in the library, and the graph says which are meant.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::{element_type, tuple_items};
use super::condition::{self, holds};
use super::{Absent, Fixed, Literals, PartOf, Place, SchemaColumn, held_type};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use crate::spec::{Argument, Condition, Entry, FileSpec, FnSpec, Literal, Part, Parts};

/// A node before names are matched.
pub(super) struct Planned<'a> {
    pub name: &'a str,
    pub function: &'a FnSpec,
    /// Where the node is named.
    pub span: Span,
    pub doc: Cow<'a, str>,
    pub tags: Cow<'a, Tags>,
    pub ty: &'a str,
    pub needs: Vec<Need<'a>>,
    pub fixed: Vec<Fixed>,
    pub part: Option<PartOf>,
    pub schema: &'a [SchemaColumn],
    /// The key of the shim; empty where the driver itself does the work.
    pub shim: Cow<'a, str>,
}

type Tags = BTreeMap<String, Vec<String>>;

/// One value that a node takes from elsewhere.
pub(super) struct Need<'a> {
    pub name: &'a str,
    pub parameter: usize,
    pub place: Place,
    pub optional: bool,
    pub default: Option<&'a Literal>,
    pub ty: &'a str,
    /// The type of the value, in a group that of its items.
    pub item_ty: &'a str,
    pub span: Span,
    pub ty_span: Span,
}

/// All functions as nodes.
#[derive(Default)]
pub(super) struct Expanded<'a> {
    pub nodes: Vec<Planned<'a>>,
    pub absent: BTreeMap<String, Absent>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Chooses variants and makes nodes. A node that is configured by name is left out: the value replaces it.
pub(super) fn expand<'a>(
    files: &'a [Arc<FileSpec>],
    config: &Literals,
    allow_overrides: bool,
) -> Expanded<'a> {
    let functions: Vec<&FnSpec> = files.iter().flat_map(|it| &it.functions).collect();
    let variants: Vec<Variant<'_>> = functions
        .iter()
        .filter(|it| !it.shape.conditions.is_empty())
        .map(|it| Variant::new(it, config))
        .collect();
    let mut expanded = Expanded { nodes: Vec::with_capacity(functions.len()), ..Expanded::default() };
    // `otherwise` looks at the variants of the same node.
    let is_there = |it: &Variant<'_>| {
        it.matches
            || (it.is_otherwise && !variants.iter().any(|other| other.matches && other.shared(it).is_some()))
    };
    let mut there: Vec<&Variant<'_>> = Vec::new();
    for variant in variants.iter().filter(|it| is_there(it)) {
        let clash = there.iter().find_map(|it| Some((*it, it.shared(variant)?)));
        match clash {
            Some((first, node)) if !allow_overrides || first.file() == variant.file() => {
                // Of two only the first is taken, so that what is ambiguous is told once.
                expanded.diagnostics.push(ambiguous(node, first.function, variant.function, config));
            }
            _ => there.push(variant),
        }
    }
    for name in variants.iter().flat_map(|it| &it.names) {
        if !expanded.absent.contains_key(name) && !there.iter().any(|it| it.names.contains(name)) {
            let of_name = variants.iter().filter(|it| it.names.contains(name)).map(|it| it.function);
            expanded.absent.insert(name.clone(), absent(name, &of_name.collect::<Vec<_>>(), config));
        }
    }
    let is_taken = |function: &FnSpec| there.iter().any(|it| it.function.name_span == function.name_span);
    for function in functions {
        if function.shape.conditions.is_empty() || is_taken(function) {
            nodes_of(function, &mut expanded.nodes);
        }
    }
    expanded.nodes.retain(|it| !config.contains_key(it.name));
    // A function without conditions, or a configured value, makes the node all the same.
    if !expanded.absent.is_empty() {
        for name in expanded.nodes.iter().map(|it| it.name).chain(config.keys().map(String::as_str)) {
            expanded.absent.remove(name);
        }
    }
    expanded
}

/// A function that is there under some configuration.
struct Variant<'a> {
    function: &'a FnSpec,
    /// All nodes that it makes.
    names: BTreeSet<String>,
    matches: bool,
    is_otherwise: bool,
}

impl<'a> Variant<'a> {
    fn new(function: &'a FnSpec, config: &Literals) -> Variant<'a> {
        let all = |otherwise| function.shape.conditions.iter().all(|it| holds(it, config, otherwise));
        let matches = all(false);
        Variant { function, names: names_of(function), matches, is_otherwise: !matches && all(true) }
    }

    /// A node that both make.
    fn shared<'b>(&'b self, other: &'b Variant<'_>) -> Option<&'b str> {
        self.names.intersection(&other.names).next().map(String::as_str)
    }

    fn file(&self) -> FileId {
        self.function.name_span.file
    }
}

/// The names of all nodes that a function makes.
pub(super) fn names_of(function: &FnSpec) -> BTreeSet<String> {
    let mut nodes = Vec::new();
    nodes_of(function, &mut nodes);
    nodes.into_iter().map(|it| it.name.to_owned()).collect()
}

fn conditions(function: &FnSpec) -> String {
    condition::shown(&match function.shape.conditions.as_slice() {
        [one] => one.clone(),
        all => Condition::All(all.to_vec()),
    })
}

fn ambiguous(node: &str, first: &FnSpec, second: &FnSpec, config: &Literals) -> Diagnostic {
    let keys: BTreeSet<String> = [first, second].iter().flat_map(|it| keys(it)).collect();
    Diagnostic::error(
        "ambiguous-variant",
        format!("two variants of `{node}` match {}", setting(&keys, config)),
    )
    .at(second.name_span, conditions(second))
    .at(first.name_span, conditions(first))
    .hint("let one of them say what it does not match, or make it `#[config(otherwise)]`")
}

fn keys(function: &FnSpec) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    function.shape.conditions.iter().for_each(|it| condition::keys_of(it, &mut keys));
    keys
}

/// `region = "fr"`, or that the key is not configured.
fn setting(keys: &BTreeSet<String>, config: &Literals) -> String {
    let one = |key: &String| match config.get(key) {
        Some(raw) if crate::literal::parse(raw.trim()).is_none() => format!("{key} = {raw:?}"),
        Some(raw) => format!("{key} = {}", raw.trim()),
        None => format!("{key} (not configured)"),
    };
    let settings: Vec<String> = keys.iter().map(one).collect();
    if settings.is_empty() { "the configuration".to_owned() } else { settings.join(", ") }
}

fn absent(node: &str, variants: &[&FnSpec], config: &Literals) -> Absent {
    let keys: BTreeSet<String> = variants.iter().flat_map(|it| keys(it)).collect();
    let all: Vec<&Condition> = variants.iter().flat_map(|it| &it.shape.conditions).collect();
    // One key, and values for it: those say it best. Else each variant says what it wants.
    let values = match keys.first() {
        Some(key) if keys.len() == 1 => condition::known_values(&all, key),
        _ => Vec::new(),
    };
    let is_plain = all.iter().all(|it| matches!(it, Condition::Is { not: false, .. }));
    let known = match is_plain && !values.is_empty() {
        true => values.join(", "),
        false => variants.iter().map(|it| format!("`{}`", conditions(it))).collect::<Vec<_>>().join(", "),
    };
    let example = keys.iter().find_map(|key| {
        let value = condition::known_values(&all, key).into_iter().next()?;
        let bare = value.trim_matches('"');
        let is_word = bare.chars().all(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '/'));
        Some(format!("`%config {key}={}`", if is_word { bare } else { &value }))
    });
    let mut hint = example.map_or_else(String::new, |it| format!("choose one: {it}; "));
    hint.push_str("`#[config(otherwise)]` on a variant makes it the one for all other cases");
    Absent {
        message: format!("no variant of `{node}` matches {}; there are {known}", setting(&keys, config)),
        hint,
        variants: variants.iter().map(|it| (it.name_span, conditions(it))).collect(),
    }
}

/// The nodes that one function makes.
fn nodes_of<'a>(function: &'a FnSpec, nodes: &mut Vec<Planned<'a>>) {
    match &function.shape.entries {
        None => nodes_of_entry(function, None, nodes),
        Some(entries) => entries.iter().for_each(|it| nodes_of_entry(function, Some(it), nodes)),
    }
}

fn nodes_of_entry<'a>(function: &'a FnSpec, entry: Option<&'a Entry>, nodes: &mut Vec<Planned<'a>>) {
    let first = nodes.len();
    nodes.push(whole_node(function, entry));
    let own = entry.and_then(|it| it.parts.as_ref());
    let Some(parts) = own.or(function.shape.parts.as_ref()) else { return };
    // Tags are about what the function gives to others, which are the parts.
    let outputs = &function.shape.tag_outputs;
    nodes[first].tags = Cow::Owned(outputs.get(nodes[first].name).cloned().unwrap_or_default());
    for part in parts.parts() {
        nodes.push(part_node(function, entry, parts, part));
    }
}

fn tags_of<'a>(function: &'a FnSpec, node: &str) -> Cow<'a, Tags> {
    match function.shape.tag_outputs.get(node) {
        None => Cow::Borrowed(&function.tags),
        Some(own) => {
            let mut tags = function.tags.clone();
            tags.extend(own.clone());
            Cow::Owned(tags)
        }
    }
}

fn whole_node<'a>(function: &'a FnSpec, entry: Option<&'a Entry>) -> Planned<'a> {
    let (mut needs, mut fixed, mut groups) =
        (Vec::with_capacity(function.params.len()), Vec::new(), Vec::new());
    let of_entry = |it: &usize| entry.and_then(|entry| entry.arguments.get(it));
    for parameter in 0..function.params.len() {
        let default = function.shape.defaults.get(&parameter);
        match of_entry(&parameter).or_else(|| function.shape.inject.get(&parameter)) {
            None => needs.push(own_need(function, parameter, default)),
            Some(it) => {
                if it.is_group() {
                    groups.push(parameter);
                }
                feed(function, parameter, it, Place::Whole, default, &mut needs, &mut fixed);
            }
        }
    }
    let name = entry.map_or(function.name.as_str(), |it| &it.node);
    Planned {
        name,
        function,
        span: entry.map_or(function.name_span, |it| it.span),
        doc: doc(function, entry),
        tags: tags_of(function, name),
        ty: held_type(&function.output),
        needs,
        fixed,
        part: None,
        schema: &function.shape.schema,
        shim: if groups.is_empty() {
            Cow::Borrowed(&function.path)
        } else {
            Cow::Owned(function.shim_path(&groups))
        },
    }
}

fn own_need<'a>(function: &'a FnSpec, parameter: usize, default: Option<&'a Literal>) -> Need<'a> {
    let param = &function.params[parameter];
    Need {
        name: &param.name,
        parameter,
        place: Place::Whole,
        optional: param.optional || default.is_some(),
        default,
        ty: &param.ty,
        item_ty: &param.ty,
        span: param.name_span,
        ty_span: param.ty_span,
    }
}

fn feed<'a>(
    function: &'a FnSpec,
    parameter: usize,
    argument: &'a Argument,
    place: Place,
    default: Option<&'a Literal>,
    needs: &mut Vec<Need<'a>>,
    fixed: &mut Vec<Fixed>,
) {
    let param = &function.params[parameter];
    match argument {
        Argument::Source { node, span } => {
            let is_whole = place == Place::Whole;
            needs.push(Need {
                name: node,
                place,
                optional: is_whole && (param.optional || default.is_some()),
                default: default.filter(|_| is_whole),
                item_ty: if is_whole { &param.ty } else { element_type(&param.ty) },
                span: *span,
                ..own_need(function, parameter, None)
            });
        }
        Argument::Value(it) => {
            let (name, literal) = (param.name.clone(), it.raw.clone());
            fixed.push(Fixed { parameter, name, place, literal, span: it.span });
        }
        Argument::List(items) => {
            for (index, it) in items.iter().enumerate() {
                feed(function, parameter, it, Place::Item(index), default, needs, fixed);
            }
        }
        Argument::Map(entries) => {
            for (index, (key, it)) in entries.iter().enumerate() {
                feed(function, parameter, it, Place::Entry(index, key.clone()), default, needs, fixed);
            }
        }
    }
}

fn part_node<'a>(
    function: &'a FnSpec,
    entry: Option<&'a Entry>,
    parts: &'a Parts,
    part: &'a Part,
) -> Planned<'a> {
    let held = held_type(&function.output);
    let whole = entry.map_or(function.name.as_str(), |it| &it.node);
    let (of, ty, shim) = match parts {
        Parts::Columns { fill, .. } => {
            let fill = fill.as_ref().map(|it| it.raw.clone());
            (PartOf::Column { column: part.of.clone(), fill }, "Series", String::new())
        }
        Parts::Fields { .. } => {
            let ty = part.ty.as_deref().unwrap_or_default();
            (PartOf::Field(part.of.clone()), ty, function.part_path(&part.of))
        }
        Parts::Items { .. } => {
            let ty = part.of.parse::<usize>().ok().and_then(|it| tuple_items(held).get(it).copied());
            (PartOf::Field(part.of.clone()), ty.unwrap_or_default(), function.part_path(&part.of))
        }
    };
    let inherited = || {
        let doc = doc(function, entry);
        let first = doc.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        let what = match parts {
            Parts::Columns { .. } => format!("Column `{}` of `{whole}`", part.of),
            Parts::Fields { .. } => format!("Field `{}` of `{whole}`", part.of),
            Parts::Items { .. } => format!("Part {} of `{whole}`", part.of),
        };
        if first.is_empty() { format!("{what}.") } else { format!("{what}: {first}.") }
    };
    Planned {
        name: &part.node,
        function,
        span: part.span,
        doc: part.doc.as_deref().map_or_else(|| Cow::Owned(inherited()), Cow::Borrowed),
        tags: tags_of(function, &part.node),
        ty,
        needs: vec![Need {
            name: whole,
            parameter: 0,
            place: Place::Whole,
            optional: false,
            default: None,
            ty: held,
            item_ty: held,
            span: part.span,
            ty_span: function.output_span,
        }],
        fixed: Vec::new(),
        part: Some(of),
        schema: &[],
        shim: Cow::Owned(shim),
    }
}

/// The documentation of one entry: its own, or the function's with `{parameter}` and `{output_name}` filled in.
fn doc<'a>(function: &'a FnSpec, entry: Option<&'a Entry>) -> Cow<'a, str> {
    let Some(entry) = entry else { return Cow::Borrowed(&function.doc) };
    let template = entry.doc.as_deref().unwrap_or(&function.doc);
    if !template.contains('{') {
        return Cow::Borrowed(template);
    }
    let mut doc = template.to_owned();
    for (parameter, argument) in &entry.arguments {
        let name = &function.params[*parameter].name;
        doc = doc.replace(&format!("{{{name}}}"), &argument_text(argument));
    }
    Cow::Owned(doc.replace("{output_name}", &entry.node))
}

fn argument_text(argument: &Argument) -> String {
    match argument {
        Argument::Source { node, .. } => node.clone(),
        Argument::Value(it) => it.raw.trim_matches('"').to_owned(),
        Argument::List(items) => items.iter().map(argument_text).collect::<Vec<_>>().join(", "),
        Argument::Map(entries) => entries
            .iter()
            .map(|(key, it)| format!("{key} = {}", argument_text(it)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

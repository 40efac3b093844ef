//! `#[extract_fields]`: which fields a struct has.
//!
//! The struct is looked for by name in the watched files, first in the function's own. One that stands elsewhere
//! cannot be read, so its fields must be named; whether they are there, rustc then says.

use super::items::{Item, ItemKind, Level};
use super::signature::MAX_TOKENS;
use super::tokens::{Lexed, Range, plain};
use syn::spanned::Spanned;

use crate::diagnostic::Diagnostic;
use crate::graph::{held_type, similar};
use crate::source::Span;
use crate::spec::{FileSpec, FnSpec, Part, Parts};

/// A public field: its name and its type as written.
type Field = (String, String);

/// A struct: its name and its public fields.
pub(super) type Struct = (String, Vec<Field>);

/// Whether what a file makes depends on structs, which may stand in other files.
pub(super) fn has_fields(spec: &FileSpec) -> bool {
    spec.functions.iter().any(|it| matches!(it.shape.parts, Some(Parts::Fields { .. })))
}

/// Completes the fields of a file's functions, and tells which are not there. `structs` has those of all files.
pub(super) fn resolve(
    spec: &mut FileSpec,
    file: usize,
    structs: &[&[Struct]],
    problems: &mut Vec<Diagnostic>,
) {
    for function in &mut spec.functions {
        if matches!(function.shape.parts, Some(Parts::Fields { .. })) {
            fields_of(function, file, structs, problems);
            tagged_fields(function, problems);
        }
    }
}

fn fields_of(function: &mut FnSpec, file: usize, structs: &[&[Struct]], problems: &mut Vec<Diagnostic>) {
    let held = held_type(&function.output).to_owned();
    let output_span = function.output_span;
    let Some(Parts::Fields { parts, all, span }) = &mut function.shape.parts else { return };
    let (all, span) = (*all, *span);
    let bare = held.split('<').next().unwrap_or(&held);
    let name = bare.rsplit("::").next().unwrap_or(bare).trim();
    let named = |it: usize| structs[it].iter().filter(|it| it.0 == name).map(|it| &it.1).collect::<Vec<_>>();
    let mut found: Vec<&Vec<Field>> = named(file);
    if found.is_empty() {
        found = (0..structs.len()).flat_map(named).collect();
        found.dedup();
    }
    match (found.as_slice(), all) {
        ([], false) => {}
        ([], true) => problems.push(
            Diagnostic::error("unknown-field", format!("no watched file holds the struct `{name}`"))
                .at(span, "which fields it has is not known")
                .at(output_span, "")
                .hint("name them: `#[extract_fields(train, test)]`"),
        ),
        ([_, _, ..], true) => problems.push(
            Diagnostic::error("unknown-field", format!("more than one struct is called `{name}`"))
                .at(span, "which of them is meant, only the compiler knows")
                .at(output_span, "")
                .hint("name the fields: `#[extract_fields(train, test)]`"),
        ),
        // Named ones of one struct among several: the compiler says whether they are there.
        ([_, _, ..], false) => {}
        ([fields], true) => {
            if fields.is_empty() {
                problems.push(
                    Diagnostic::error("unknown-field", format!("`{name}` has no public field"))
                        .at(span, "a node for each would be none")
                        .hint("write `pub` before the fields that are to be nodes"),
                );
            }
            let part = |(name, ty): &Field| Part {
                of: name.clone(),
                node: name.clone(),
                ty: Some(ty.clone()),
                span,
                ..Part::default()
            };
            *parts = fields.iter().map(part).collect();
        }
        ([fields], false) => {
            for part in parts.iter_mut() {
                match fields.iter().find(|it| it.0 == part.of) {
                    Some(field) => part.ty = Some(field.1.clone()),
                    None => problems.push(unknown(name, &part.of, part.span, fields)),
                }
            }
        }
    }
}

/// `#[tag_outputs]` of a function whose parts are all fields of a struct.
fn tagged_fields(function: &FnSpec, problems: &mut Vec<Diagnostic>) {
    let Some(Parts::Fields { parts, all: true, span }) = &function.shape.parts else { return };
    let made = || parts.iter().map(|it| it.node.as_str()).chain([function.name.as_str()]);
    if parts.is_empty() {
        return; // told already
    }
    for name in function.shape.tag_outputs.keys().filter(|it| made().all(|made| made != it.as_str())) {
        let known: Vec<String> = made().map(|it| format!("`{it}`")).collect();
        let message = format!("`#[tag_outputs]` names `{name}`, which the function does not make");
        problems.push(
            Diagnostic::error("unknown-attribute-key", message)
                .at(*span, "")
                .hint(format!("it makes {}", known.join(", "))),
        );
    }
}

fn unknown(name: &str, field: &str, span: Span, fields: &[Field]) -> Diagnostic {
    let diagnostic =
        Diagnostic::error("unknown-field", format!("`{name}` has no public field `{field}`")).at(span, "");
    let names = || fields.iter().map(|it| it.0.as_str());
    match similar(field, names()).first() {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => {
            let all: Vec<String> = names().map(|it| format!("`{it}`")).collect();
            diagnostic.hint(format!("its public fields are {}", all.join(", ")))
        }
    }
}

/// The structs of a file, those of inline modules too.
pub(super) fn structs(lexed: &Lexed<'_>, level: &Level) -> Vec<Struct> {
    let mut found = Vec::new();
    let mut open: Vec<&Item> = level.items.iter().rev().collect();
    while let Some(item) = open.pop() {
        open.extend(item.items.iter().rev().filter(|_| item.kind == ItemKind::Mod));
        let Some(name) = item.name.filter(|_| item.kind == ItemKind::Type && lexed.is(item.head, "struct"))
        else {
            continue;
        };
        let range = Range::new(item.head, item.range.end);
        // syn recurses over what it reads.
        if range.end - range.start > MAX_TOKENS {
            continue;
        }
        let span = lexed.span(range);
        let text = lexed.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        if let Ok(parsed) = syn::parse_str::<syn::ItemStruct>(text) {
            found.push((lexed.text(name).to_owned(), public_fields(&parsed, lexed, span.start)));
        }
    }
    found
}

/// The types as people read them: `start` is where the parsed text begins in the file.
fn public_fields(item: &syn::ItemStruct, lexed: &Lexed<'_>, start: u32) -> Vec<Field> {
    let is_public = |it: &&syn::Field| matches!(it.vis, syn::Visibility::Public(_));
    let fields = item.fields.iter().filter(is_public);
    fields
        .filter_map(|it| {
            let name = it.ident.as_ref()?.to_string();
            let place = it.ty.span().byte_range();
            let (from, to) = (start + place.start as u32, start + place.end as u32);
            let first = lexed.tokens.partition_point(|it| it.start < from);
            let end = lexed.tokens.partition_point(|it| it.end <= to);
            Some((plain(&name).to_owned(), lexed.spaced(Range::new(first, end))))
        })
        .collect()
}

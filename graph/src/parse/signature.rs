//! The signature of a `pub fn` as a spec, or the reasons why it can be no node.
//!
//! Only what no rustc message could say better is refused here: forms for which no shim can be written, and
//! for which the error would point into generated code. Types are looked at by their syntax alone, so every
//! rule must be sure of what it sees.

mod simple;

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::attributes::{Attributes, shape};
use super::items::{Item, ItemKind, Visibility};
use super::tokens::{Lexed, Range, plain};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::spec::{FnSpec, ParamSpec};

/// The glue has helpers for so many parameters.
pub(crate) const MAX_PARAMETERS: usize = 16;

/// The longest signature that is read, in tokens: syn recurses over what it reads.
pub(crate) const MAX_TOKENS: usize = 4_000;

/// What a signature needs to know about its file.
pub(crate) struct Surroundings {
    /// Names of structs, enums, unions and traits of the file that are not `pub` in any way.
    pub private: BTreeSet<String>,
    pub module: Vec<String>,
    pub lines: Lines,
}

/// Where the lines of a text end: counting them anew for every function would cost more than all the rest.
pub(crate) struct Lines(Vec<u32>);

impl Lines {
    pub fn new(text: &str) -> Lines {
        Lines(text.bytes().enumerate().filter(|it| it.1 == b'\n').map(|it| it.0 as u32).collect())
    }

    /// The line of a byte, counted from 1.
    fn line(&self, byte: u32) -> u32 {
        self.0.partition_point(|end| *end < byte) as u32 + 1
    }
}

/// Reads a function; `None` where it can be no node, and then `problems` says why.
pub(crate) fn read(
    lexed: &Lexed<'_>,
    item: &Item,
    attributes: Attributes,
    around: &Surroundings,
    problems: &mut Vec<Diagnostic>,
) -> Option<FnSpec> {
    let name_token = item.name?;
    let name = lexed.text(name_token);
    let (open, _) = item.body.or_else(|| no_body(lexed, item, problems))?;
    let before = problems.len();
    let head = Range::new(item.head, open);
    let text_span = lexed.span(head);
    if open - item.head > MAX_TOKENS {
        let message = format!("the signature of `{name}` is too long");
        problems.push(Diagnostic::error("parse-error", message).at(text_span, ""));
        return None;
    }
    let reader = Reader { lexed, text_span, name: plain(name).to_owned() };
    let is_private = |it: usize| lexed.ident(it).is_some_and(|word| around.private.contains(word));
    let is_safe = around.private.is_empty() || !(head.start..head.end).any(is_private);
    let signature = match simple::read(lexed, head).filter(|_| is_safe) {
        Some(simple) => reader.simple(&simple),
        None => reader.by_syn(around, problems)?,
    };
    let Signature { params, output, output_span, is_async } = signature;
    if params.len() > MAX_PARAMETERS {
        let message = format!(
            "`{name}` has {} parameters; more than {MAX_PARAMETERS} are not supported yet",
            params.len()
        );
        problems.push(
            Diagnostic::error("not-yet-supported", message)
                .at(lexed.span(Range::new(name_token, name_token + 1)), "")
                .hint("gather some of them in a struct that another node makes"),
        );
    }
    let read = shape::read(lexed, plain(name), &attributes.own, &params, &output, problems);
    if problems.len() > before {
        return None;
    }
    let output_span = output_span.unwrap_or_else(|| lexed.span(Range::new(open, open)));
    let mut path = around.module.clone();
    path.push(name.to_owned());
    Some(FnSpec {
        output_is_owned: false, // known when all files are read
        name: read.name.unwrap_or_else(|| shape::base_name(plain(name))),
        path: path.join("::"),
        params,
        output,
        is_async,
        cfg: attributes.cfg,
        doc: attributes.doc,
        tags: read.tags,
        shape: read.shape,
        fingerprint: String::new(),
        line: around.lines.line(lexed.span(Range::new(name_token, name_token + 1)).start),
        name_span: lexed.span(Range::new(name_token, name_token + 1)),
        output_span,
        span: lexed.span(item.range),
    })
}

fn no_body(lexed: &Lexed<'_>, item: &Item, problems: &mut Vec<Diagnostic>) -> Option<(usize, usize)> {
    let span = lexed.span(Range::new(item.range.end.saturating_sub(1), item.range.end));
    problems
        .push(Diagnostic::error("parse-error", "this function has no body").at(span, "expected `{ .. }`"));
    None
}

/// Names of the types and traits of one level that only the level itself can see.
pub(crate) fn private_names(lexed: &Lexed<'_>, items: &[Item]) -> BTreeSet<String> {
    let is_alias = |it: &Item| lexed.is(it.head, "type");
    items
        .iter()
        .filter(|it| matches!(it.kind, ItemKind::Type | ItemKind::Trait) && !is_alias(it))
        .filter(|it| it.visibility == Visibility::Private)
        .filter_map(|it| it.name.map(|name| lexed.text(name).to_owned()))
        .collect()
}

fn shifted(base: Span, start: usize, end: usize) -> Span {
    let at = |offset: usize| base.start.saturating_add(offset as u32).min(base.end);
    Span { file: base.file, start: at(start), end: at(end) }
}

/// syn's messages begin in lower case already; what they lack is a subject at the end of the text.
fn sentence(message: &str) -> String {
    message.replace("unexpected end of input, ", "the signature ends too early: ")
}

/// What a signature says.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    params: Vec<ParamSpec>,
    output: String,
    /// `None` if no output is written.
    output_span: Option<Span>,
    is_async: bool,
}

struct Reader<'a> {
    lexed: &'a Lexed<'a>,
    text_span: Span,
    name: String,
}

impl Reader<'_> {
    fn simple(&self, simple: &simple::Simple) -> Signature {
        let lexed = self.lexed;
        let param = |it: &simple::Param| ParamSpec {
            name: node_name(lexed.text(it.name)),
            ty: lexed.spaced(it.ty),
            optional: it.optional,
            name_span: lexed.span(Range::new(it.name, it.name + 1)),
            ty_span: lexed.span(it.ty),
        };
        Signature {
            params: simple.params.iter().map(param).collect(),
            output: simple.output.map_or_else(|| "()".to_owned(), |it| lexed.spaced(it)),
            output_span: simple.output.map(|it| lexed.span(it)),
            is_async: false,
        }
    }

    /// Any signature; `None` where it is no Rust.
    fn by_syn(&self, around: &Surroundings, problems: &mut Vec<Diagnostic>) -> Option<Signature> {
        let text_span = self.text_span;
        let text = self.lexed.text.get(text_span.start as usize..text_span.end as usize).unwrap_or_default();
        let signature = match syn::parse_str::<syn::Signature>(text) {
            Ok(signature) => signature,
            Err(error) => {
                let range = error.span().byte_range();
                let span = shifted(text_span, range.start, range.end.max(range.start + 1));
                problems.push(Diagnostic::error("parse-error", sentence(&error.to_string())).at(span, ""));
                return None;
            }
        };
        self.refuse_whole(&signature, problems);
        let mut params = Vec::new();
        for (index, argument) in signature.inputs.iter().enumerate() {
            params.extend(self.parameter(index, argument, problems));
        }
        self.refuse_output(&signature, problems);
        self.refuse_private(&signature, around, problems);
        let (output, output_span) = match &signature.output {
            syn::ReturnType::Type(_, ty) => (self.text_of(ty.span()), Some(self.place(ty.span()))),
            syn::ReturnType::Default => ("()".to_owned(), None),
        };
        Some(Signature { params, output, output_span, is_async: signature.asyncness.is_some() })
    }

    fn place(&self, span: proc_macro2::Span) -> Span {
        let range = span.byte_range();
        shifted(self.text_span, range.start, range.end)
    }

    /// Some code as people read it.
    fn text_of(&self, span: proc_macro2::Span) -> String {
        let place = self.place(span);
        let start = self.lexed.tokens.partition_point(|it| it.start < place.start);
        let end = self.lexed.tokens.partition_point(|it| it.end <= place.end);
        self.lexed.spaced(Range::new(start, end))
    }

    fn refuse_whole(&self, signature: &syn::Signature, problems: &mut Vec<Diagnostic>) {
        let name = &self.name;
        let generics = &signature.generics;
        if generics.type_params().next().is_some() || generics.const_params().next().is_some() {
            problems.push(
                Diagnostic::error(
                    "generic-fn",
                    format!("`{name}` is generic, so it has no one type to run with"),
                )
                .at(self.place(generics.span()), "a node's types must be known")
                .hint("write the types out, or make it private and call it from a `pub fn`"),
            );
        }
        if let Some(unsafety) = &signature.unsafety {
            problems.push(
                Diagnostic::error("unsafe-fn", format!("`{name}` is `unsafe`, so Brooklet cannot call it"))
                    .at(self.place(unsafety.span()), "")
                    .hint("make it private and call it from a safe `pub fn`"),
            );
        }
        if let Some(abi) = &signature.abi {
            problems.push(
                Diagnostic::error(
                    "extern-fn",
                    format!("`{name}` is an `extern` function, which can be no node"),
                )
                .at(self.place(abi.span()), "")
                .hint("call it from a plain `pub fn`"),
            );
        }
    }

    fn parameter(
        &self,
        index: usize,
        argument: &syn::FnArg,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<ParamSpec> {
        let typed = match argument {
            syn::FnArg::Typed(typed) => typed,
            syn::FnArg::Receiver(receiver) => {
                let message = "only methods have a `self` parameter";
                problems.push(Diagnostic::error("parse-error", message).at(self.place(receiver.span()), ""));
                return None;
            }
        };
        for attribute in typed.attrs.iter().filter(|it| !it.path().is_ident("doc") && !is_lint(it)) {
            let message = "attributes on parameters are not supported yet";
            problems
                .push(Diagnostic::error("not-yet-supported", message).at(self.place(attribute.span()), ""));
        }
        self.refuse_type(&typed.ty, problems);
        let ident = match &*typed.pat {
            syn::Pat::Ident(it) if it.by_ref.is_none() && it.subpat.is_none() => &it.ident,
            other => {
                let hint = match other {
                    syn::Pat::Wild(_) => {
                        "give it the name of a node; a leading `_` (`_orders`) marks it as unused"
                    }
                    _ => "take the whole value by one name and take it apart in the body",
                };
                let message =
                    format!("parameter {} of `{}` is a pattern, so it names no node", index + 1, self.name);
                problems.push(
                    Diagnostic::error("pattern-parameter", message)
                        .at(self.place(other.span()), "expected a name")
                        .hint(hint),
                );
                return None;
            }
        };
        Some(ParamSpec {
            name: node_name(&ident.to_string()),
            ty: self.text_of(typed.ty.span()),
            optional: is_option(&typed.ty),
            name_span: self.place(ident.span()),
            ty_span: self.place(typed.ty.span()),
        })
    }

    fn refuse_type(&self, ty: &syn::Type, problems: &mut Vec<Diagnostic>) {
        let mut finder = Finder::default();
        finder.visit_type(ty);
        if let Some(span) = finder.mutable {
            problems.push(
                Diagnostic::error(
                    "mut-parameter",
                    format!("`{}` would change its input in place", self.name),
                )
                .at(self.place(span), "values are shared between nodes")
                .hint("take `&T`, or `T` to get a clone of your own, and return the new value"),
            );
        }
        if let Some(span) = finder.impl_trait {
            problems.push(
                Diagnostic::error(
                    "impl-trait-parameter",
                    format!("`{}` takes an `impl Trait`, which is no one type", self.name),
                )
                .at(self.place(span), "a node's types must be known")
                .hint("name the type"),
            );
        }
        self.refuse_markers(&finder, problems);
    }

    fn refuse_markers(&self, finder: &Finder, problems: &mut Vec<Diagnostic>) {
        for (name, span) in &finder.markers {
            problems.push(
                Diagnostic::error("not-yet-supported", format!("`{name}<T>` is not supported yet"))
                    .at(self.place(*span), "")
                    .hint("take or return a `Vec<T>` and loop over it"),
            );
        }
    }

    fn refuse_output(&self, signature: &syn::Signature, problems: &mut Vec<Diagnostic>) {
        let syn::ReturnType::Type(_, ty) = &signature.output else { return };
        let mut finder = Finder::default();
        finder.visit_type(ty);
        self.refuse_markers(&finder, problems);
        let mut inputs = Finder::default();
        for argument in &signature.inputs {
            inputs.visit_fn_arg(argument);
        }
        let by_name = finder.lifetime;
        // In edition 2024 an `impl Trait` borrows from every parameter that is a reference.
        let by_capture = finder.impl_trait.filter(|_| inputs.references && !finder.precise_capture);
        if let Some(span) = by_name.or(by_capture) {
            let hint = if by_name.is_some() {
                "return a value of its own: `String` for `&str`, `Vec<T>` for `&[T]`, a clone for `&T`"
            } else {
                "name the type, or say that nothing is borrowed: `impl Trait + use<>`"
            };
            problems.push(
                Diagnostic::error(
                    "borrowed-return",
                    format!("`{}` returns something borrowed from a parameter", self.name),
                )
                .at(self.place(span), "a node's value must live on its own")
                .hint(hint),
            );
        }
    }

    fn refuse_private(
        &self,
        signature: &syn::Signature,
        around: &Surroundings,
        problems: &mut Vec<Diagnostic>,
    ) {
        if around.private.is_empty() {
            return;
        }
        let mut names = Names::default();
        names.visit_signature(signature);
        let mut seen = BTreeSet::new();
        for (name, span) in names.found {
            if around.private.contains(&name) && seen.insert(name.clone()) {
                let mut diagnostic = Diagnostic::error(
                    "private-type",
                    format!("make `{name}` pub: `{}` shows it to other nodes", self.name),
                )
                .at(self.place(span), format!("`{name}` is private"));
                diagnostic = diagnostic.hint(format!(
                    "write `pub` before the declaration of `{name}`, or make `{}` private",
                    self.name
                ));
                problems.push(diagnostic);
            }
        }
    }
}

fn is_lint(attribute: &syn::Attribute) -> bool {
    ["allow", "expect", "warn", "deny", "forbid"].iter().any(|it| attribute.path().is_ident(it))
}

/// The node that a parameter is fed from: `_` in front and `r#` are not part of the name.
fn node_name(written: &str) -> String {
    let name = plain(written);
    match name.strip_prefix('_') {
        Some(rest) if rest.starts_with(|c: char| c == '_' || c.is_alphabetic()) => rest.to_owned(),
        _ => name.to_owned(),
    }
}

fn last_segment(path: &syn::Path) -> Option<&syn::PathSegment> {
    path.segments.last()
}

/// `Option<..>`, also written with its path.
fn is_option(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Path(path) if path.qself.is_none() => last_segment(&path.path).is_some_and(|it| {
            it.ident == "Option" && matches!(it.arguments, syn::PathArguments::AngleBracketed(_))
        }),
        syn::Type::Paren(inner) => is_option(&inner.elem),
        syn::Type::Group(inner) => is_option(&inner.elem),
        _ => false,
    }
}

/// Looks through a type for what a node cannot have. Types of functions inside it are left alone: their
/// references are theirs.
#[derive(Default)]
struct Finder {
    mutable: Option<proc_macro2::Span>,
    impl_trait: Option<proc_macro2::Span>,
    precise_capture: bool,
    /// The first reference or lifetime that is not `'static`.
    lifetime: Option<proc_macro2::Span>,
    references: bool,
    markers: Vec<(String, proc_macro2::Span)>,
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_type_reference(&mut self, it: &'ast syn::TypeReference) {
        self.references = true;
        if it.mutability.is_some() {
            self.mutable.get_or_insert(it.span());
        }
        if it.lifetime.is_none() {
            self.lifetime.get_or_insert(it.span());
        }
        visit::visit_type_reference(self, it);
    }

    fn visit_lifetime(&mut self, it: &'ast syn::Lifetime) {
        if it.ident != "static" {
            self.references = true;
            self.lifetime.get_or_insert(it.span());
        }
    }

    fn visit_type_impl_trait(&mut self, it: &'ast syn::TypeImplTrait) {
        self.impl_trait.get_or_insert(it.span());
        let captures = |it: &syn::TypeParamBound| matches!(it, syn::TypeParamBound::PreciseCapture(_));
        self.precise_capture |= it.bounds.iter().any(captures);
        visit::visit_type_impl_trait(self, it);
    }

    fn visit_path_segment(&mut self, it: &'ast syn::PathSegment) {
        let has_arguments = matches!(it.arguments, syn::PathArguments::AngleBracketed(_));
        if has_arguments && (it.ident == "Parallel" || it.ident == "Collect") {
            self.markers.push((it.ident.to_string(), it.span()));
        }
        visit::visit_path_segment(self, it);
    }

    fn visit_trait_bound(&mut self, it: &'ast syn::TraitBound) {
        if it.lifetimes.is_none() {
            visit::visit_trait_bound(self, it);
        }
    }

    fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
}

/// All names of types that stand alone, without a path.
#[derive(Default)]
struct Names {
    found: Vec<(String, proc_macro2::Span)>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, it: &'ast syn::Path) {
        let first = if it.segments.len() == 2 && it.segments[0].ident == "self" { 1 } else { 0 };
        if it.leading_colon.is_none() && it.segments.len() == first + 1 {
            let segment = &it.segments[first];
            self.found.push((segment.ident.to_string(), segment.ident.span()));
        }
        visit::visit_path(self, it);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::lex::lex;

    /// A signature as each of the two readers has it, with what syn's has to say.
    fn both(text: &str) -> (Option<Signature>, Option<Signature>, Vec<Diagnostic>) {
        let lexed = Lexed { file: 0, text, tokens: lex(text).unwrap_or_default() };
        let head = Range::new(0, lexed.tokens.len());
        let reader = Reader { lexed: &lexed, text_span: lexed.span(head), name: "f".to_owned() };
        let around =
            Surroundings { private: BTreeSet::new(), module: vec!["t".to_owned()], lines: Lines::new(text) };
        let mut problems = Vec::new();
        let by_syn = reader.by_syn(&around, &mut problems);
        (simple::read(&lexed, head).map(|it| reader.simple(&it)), by_syn, problems)
    }

    #[test]
    fn usual_signatures_need_no_tree() {
        for text in [
            "fn f()",
            "fn f() -> f64",
            "fn f(_a: &Series, b: Option<&i64>,) -> PolarsResult<Series>",
            "fn f(rows: &[(String, f64)], names: &HashMap<String, Vec<Vec<u8>>>) -> (i64, crate::m::Split)",
            "fn f(a: std::option::Option<f64>, b: Vec<i64,>, c: &&str, d: (), e: &Option<f64>) -> [f64]",
        ] {
            let (simple, by_syn, problems) = both(text);
            assert!(simple.is_some() && problems.is_empty(), "{text}");
            assert_eq!(simple, by_syn, "{text}");
        }
    }

    #[test]
    fn all_others_are_left_to_syn() {
        for text in [
            "async fn f()",
            "fn f<T>(a: T)",
            "fn f(mut a: i64)",
            "fn f(r#type: i64)",
            "fn f(_: i64)",
            "fn f(#[a] a: i64)",
            "fn f(a: &mut i64)",
            "fn f(a: &'static str)",
            "fn f(a: impl Fn(i64) -> i64)",
            "fn f(a: Box<dyn Any>)",
            "fn f(a: fn(i64))",
            "fn f(a: [f64; 3])",
            "fn f(a: (i64))",
            "fn f(a: Parallel<i64>)",
            "fn f(a: <A as B>::C)",
            "fn f(a: a!())",
            "fn f(yield: i64)",
            "fn f(a: i64 b: i64)",
            "fn f(a: Vec<>)",
            "fn f() -> &str",
            "fn f() -> Vec<&str>",
            "fn f() -> !",
            "fn f() -> i64 where i64: Copy",
        ] {
            assert_eq!(both(text).0, None, "{text}");
        }
    }

    /// Types as people write them, and some that nobody should.
    fn types() -> impl Strategy<Value = String> {
        let leaf =
            "f64|i64|str|String|Series|polars::prelude::Series|crate::m::T|self::T|Self|_|\\(\\)|r#a|'a";
        leaf.prop_recursive(3, 12, 3, |inner| {
            let some = proptest::collection::vec(inner.clone(), 0..3);
            prop_oneof![
                ("&|&&|&mut |&'static |dyn |impl |\\*const |fn\\(\\) -> |\\?", inner.clone())
                    .prop_map(|(before, ty)| format!("{before}{ty}")),
                ("Option|std::option::Option|Vec|HashMap|Parallel|Option::|m::Option::T", some.clone(), ",?")
                    .prop_map(|(head, of, comma)| format!("{head}<{}{comma}>", of.join(", "))),
                (some, ",?").prop_map(|(of, comma)| format!("({}{comma})", of.join(", "))),
                inner.clone().prop_map(|ty| format!("[{ty}]")),
                inner.prop_map(|ty| format!("[{ty}; 3]")),
            ]
        })
    }

    fn signatures() -> impl Strategy<Value = String> {
        let name = "a|_b|b|_|mut c|ref d|self|crate|r#d|do|gen|union|Option";
        let parameter =
            (name, ": ?| : |::|", types()).prop_map(|(name, colon, ty)| format!("{name}{colon}{ty}"));
        let parameters = proptest::collection::vec(parameter, 0..3);
        let output = proptest::option::of(types());
        // And one piece too many somewhere.
        let odd =
            ("|,|:|<|>|&|->|=|;|\\+|#|!|/\\* x \\*/|///x\n|where T: Copy", any::<proptest::sample::Index>());
        (parameters, ",?", output, odd).prop_map(|(parameters, comma, output, (odd, at))| {
            let output = output.map_or_else(String::new, |it| format!(" -> {it}"));
            let mut text = format!("fn f({}{comma}){output}", parameters.join(", "));
            let ends: Vec<usize> = text.char_indices().map(|it| it.0).chain([text.len()]).collect();
            text.insert_str(ends[at.index(ends.len())], &odd);
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 5_000, ..ProptestConfig::default() })]

        #[test]
        fn both_readers_agree(text in signatures()) {
            let (simple, by_syn, problems) = both(&text);
            if simple.is_some() {
                prop_assert!(problems.is_empty(), "{text}: {problems:?}");
                prop_assert_eq!(simple, by_syn, "{}", text);
            }
        }
    }
}

//! What the attributes mean: from their arguments to the [`Shape`] of the function's nodes.
//!
//! Each attribute is read on its own, whatever their order. A name that is unknown, a parameter that is not
//! there, a second attribute where one is meant: each is a diagnostic at its word, and the rest is read on.

mod caching;
mod conditions;
mod parameters;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use super::Own;
use super::meta::{Body, Expr, MAX_DEPTH, Meta, Mistake, expr, metas, pieces, text_of, too_deep};
use crate::diagnostic::Diagnostic;
use crate::parse::lex::Kind;
use crate::parse::tokens::{Lexed, Range, plain};
use crate::source::Span;
use crate::spec::{Argument, Condition, Literal, ParamSpec, Parts, SchemaColumn, Shape};

/// Tags whose first segment says something that Brooklet itself will say.
const RESERVED_TAGS: [&str; 8] =
    ["brooklet", "hamilton", "data_quality", "gdpr", "ccpa", "dag", "module", "ray_remote"];

type Tags = BTreeMap<String, Vec<String>>;

/// What a function's attributes say.
pub(crate) struct Read {
    pub shape: Shape,
    pub tags: Tags,
    /// `#[node(name = "..")]`
    pub name: Option<String>,
}

/// Reads the attributes of a function with these parameters. `output` is the return type as written.
pub(crate) fn read(
    lexed: &Lexed<'_>,
    function: &str,
    own: &[Own],
    params: &[ParamSpec],
    output: &str,
    problems: &mut Vec<Diagnostic>,
) -> Read {
    let mut reader = Reader {
        lexed,
        function,
        params,
        output,
        problems,
        read: Read { shape: Shape::default(), tags: Tags::new(), name: None },
        parts: None,
        seen: BTreeMap::new(),
    };
    for it in own {
        reader.attribute(it);
    }
    reader.together();
    reader.read
}

struct Reader<'a, 'b> {
    lexed: &'b Lexed<'a>,
    /// The function's name.
    function: &'b str,
    params: &'b [ParamSpec],
    output: &'b str,
    problems: &'b mut Vec<Diagnostic>,
    read: Read,
    /// The attribute that takes the value apart.
    parts: Option<(String, Span)>,
    seen: BTreeMap<String, Span>,
}

impl Reader<'_, '_> {
    fn attribute(&mut self, own: &Own) {
        let name = own.name.as_str();
        let repeatable = matches!(name, "config" | "tag" | "tag_outputs");
        if let Some(first) = self.seen.insert(name.to_owned(), own.span)
            && !repeatable
        {
            self.problems.push(
                Diagnostic::error("repeated-attribute", format!("`#[{name}]` stands here twice"))
                    .at(own.span, "")
                    .at(first, "the first one")
                    .hint("put all of it into one"),
            );
            return;
        }
        let result = match name {
            _ if own.arguments.is_none() && !own.is_bare => {
                Err(Mistake::new(own.span, "its arguments stand in round brackets"))
            }
            "node" => self.node(own),
            "config" => self.config(own),
            "defaults" => self.defaults(own),
            "parameterize" => self.parameterize(own),
            "inject" => self.inject(own),
            "extract_columns" => self.parts(own, |it, range| it.columns(range)),
            "extract_fields" => self.parts(own, |it, range| it.fields(range, own.span)),
            "unpack" => self.parts(own, |it, range| it.unpack(range, own.span)),
            "tag" => self.tag(own),
            "tag_outputs" => self.tag_outputs(own),
            "schema" => self.schema(own),
            "cache" => self.caching(own),
            _ => Ok(()),
        };
        if let Err(mistake) = result {
            self.problems.push(mistake.diagnostic(name).hint(format!("write it as `{}`", form(name))));
        }
    }

    /// The arguments, or that there must be some.
    fn arguments(&self, own: &Own) -> Result<Range, Mistake> {
        match own.arguments {
            Some(range) if range.start < range.end => match too_deep(self.lexed, range) {
                Some(bracket) => {
                    let message = format!("its arguments are nested more than {MAX_DEPTH} deep");
                    Err(Mistake::new(self.lexed.span(Range::new(bracket, bracket + 1)), message))
                }
                None => Ok(range),
            },
            _ => Err(Mistake::new(own.span, "its arguments are missing")),
        }
    }

    fn metas(&self, own: &Own) -> Result<Vec<Meta>, Mistake> {
        metas(self.lexed, self.arguments(own)?)
    }

    fn node(&mut self, own: &Own) -> Result<(), Mistake> {
        for meta in self.metas(own)? {
            match (meta.name.as_ref().map(|it| it.0.as_str()), &meta.body) {
                (Some("skip"), Body::Flag) => {}
                (Some("name"), Body::Is(Expr::Literal(it))) => {
                    let name = text(it).ok_or_else(|| Mistake::new(it.span, "a name is a string"))?;
                    if self.read.name.is_some() {
                        self.twice("`name`", "node", meta.span);
                    }
                    if self.is_node_name(&name, it.span) {
                        self.read.name = Some(name);
                    }
                }
                (Some("name" | "skip"), _) => {
                    return Err(Mistake::new(meta.span, "expected `name = \"..\"` or `skip`"));
                }
                _ => self.unknown_key("node", &meta, &["name", "skip"]),
            }
        }
        Ok(())
    }

    fn is_node_name(&mut self, name: &str, span: Span) -> bool {
        // syn passes over blanks and comments, and they would stay in the name.
        let is = |text: &str| syn::parse_str::<syn::Ident>(text).is_ok_and(|it| it == text);
        let fits = is(name) || is(&format!("r#{name}"));
        if !fits {
            self.problems.push(
                Diagnostic::error("bad-node-name", format!("`{name}` cannot name a node")).at(span, "").hint(
                    "parameters are fed by name, so it must be one that a parameter can have: `avg_spend`",
                ),
            );
        }
        fits
    }

    fn unknown_key(&mut self, attribute: &str, meta: &Meta, known: &[&str]) {
        let (name, span) = match &meta.name {
            Some((name, span)) => (name.clone(), *span),
            None => ("a value alone".to_owned(), meta.span),
        };
        let message = format!("`#[{attribute}]` has no key `{name}`");
        let known: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
        self.problems.push(
            Diagnostic::error("unknown-attribute-key", message)
                .at(span, "")
                .hint(format!("it knows {}", known.join(", "))),
        );
    }

    fn tag(&mut self, own: &Own) -> Result<(), Mistake> {
        for piece in pieces(self.lexed, self.arguments(own)?) {
            if let Some((name, values, span)) = self.one_tag(piece)? {
                if self.read.tags.contains_key(&name) {
                    self.twice(&format!("`{name}`"), "tag", span);
                }
                self.read.tags.insert(name, values);
            }
        }
        Ok(())
    }

    /// `owner = "ds"`, `team.region = ["us", "uk"]`; `None` where it is reserved, and that was told.
    fn one_tag(&mut self, piece: Range) -> Result<Option<(String, Vec<String>, Span)>, Mistake> {
        let lexed = self.lexed;
        let span = lexed.span(piece);
        let Some(equals) = (piece.start..piece.end).find(|it| lexed.is_punct(*it, b'=')) else {
            return Err(Mistake::new(span, "expected `key = \"value\"`"));
        };
        let is_path = (piece.start..equals).all(|it| match (it - piece.start) % 2 {
            0 => lexed.ident(it).is_some(),
            _ => lexed.is_punct(it, b'.'),
        });
        let key: String = (piece.start..equals).map(|it| plain(lexed.text(it))).collect();
        let key_span = lexed.span(Range::new(piece.start, equals));
        let is_key =
            is_path && !key.is_empty() && key.split('.').all(|it| syn::parse_str::<syn::Ident>(it).is_ok());
        if !is_key {
            return Err(Mistake::new(key_span, "a tag's key is made of names and dots"));
        }
        let value = expr(lexed, Range::new(equals + 1, piece.end))?;
        let bad = || Mistake::new(value.span(), "a tag's value is a string, or a list of different strings");
        let values: Option<Vec<String>> = match &value {
            Expr::List(items, _) => items.iter().map(|it| text(&it.literal()?)).collect(),
            it => it.literal().and_then(|it| text(&it)).map(|it| vec![it]),
        };
        let values = values.filter(|it| !it.is_empty()).ok_or_else(bad)?;
        if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return Err(bad());
        }
        let first = key.split('.').next().unwrap_or_default();
        if RESERVED_TAGS.contains(&first) {
            self.problems.push(
                Diagnostic::error("reserved-tag", format!("tags that begin with `{first}` are reserved"))
                    .at(key_span, "")
                    .hint(format!("choose another first word, `my_{key}`")),
            );
            return Ok(None);
        }
        Ok(Some((key, values, span)))
    }

    fn tag_outputs(&mut self, own: &Own) -> Result<(), Mistake> {
        let lexed = self.lexed;
        for piece in pieces(lexed, self.arguments(own)?) {
            let close = lexed.group(piece.start + 1, b'(').filter(|it| it + 1 == piece.end);
            let (Some(node), Some(close)) = (lexed.ident(piece.start), close) else {
                return Err(Mistake::new(lexed.span(piece), "expected `node(key = \"value\")`"));
            };
            let mut tags = Tags::new();
            for inner in pieces(lexed, Range::new(piece.start + 2, close)) {
                if let Some((name, values, span)) = self.one_tag(inner)? {
                    let known = self.read.shape.tag_outputs.get(plain(node));
                    if tags.contains_key(&name) || known.is_some_and(|it| it.contains_key(&name)) {
                        self.twice(&format!("`{name}` of `{}`", plain(node)), "tag_outputs", span);
                    }
                    tags.insert(name, values);
                }
            }
            self.read.shape.tag_outputs.entry(plain(node).to_owned()).or_default().extend(tags);
        }
        Ok(())
    }

    fn schema(&mut self, own: &Own) -> Result<(), Mistake> {
        let lexed = self.lexed;
        let mut columns: Vec<SchemaColumn> = Vec::new();
        for piece in pieces(lexed, self.arguments(own)?) {
            let name = match lexed.kind(piece.start) {
                Some(Kind::Ident) => plain(lexed.text(piece.start)).to_owned(),
                Some(Kind::Text) => text_of(lexed, piece.start)?,
                _ => return Err(Mistake::new(lexed.span(piece), "expected `column: type`")),
            };
            if !lexed.is_punct(piece.start + 1, b':') || piece.start + 2 >= piece.end {
                return Err(Mistake::new(lexed.span(piece), "expected `column: type`"));
            }
            let ty = lexed.spaced(Range::new(piece.start + 2, piece.end));
            let span = lexed.span(Range::new(piece.start + 2, piece.end));
            if !is_column_type(&ty) {
                let message = format!("`{ty}` is no type of a column: {}", COLUMN_TYPES.join(", "));
                return Err(Mistake::new(span, message));
            }
            if columns.iter().any(|it| it.name == name) {
                self.twice(&format!("`{name}`"), "schema", lexed.span(piece));
            }
            columns.push(SchemaColumn { name, ty });
        }
        self.read.shape.schema = columns;
        Ok(())
    }

    /// What only several attributes together can do wrong.
    fn together(&mut self) {
        let shape = &self.read.shape;
        let mut conflicts: Vec<(String, Span, &str)> = Vec::new();
        // What comes from an input may be absent; a literal and a group never are.
        let always = |it: Option<&Argument>| it.is_some_and(|it| !matches!(it, Argument::Source { .. }));
        let bound = |parameter: &usize| {
            let injected = always(shape.inject.get(parameter));
            shape.entries.as_ref().map_or(injected, |it| {
                !it.is_empty()
                    && it.iter().all(|entry| match entry.arguments.get(parameter) {
                        None => injected,
                        own => always(own),
                    })
            })
        };
        for (parameter, literal) in shape.defaults.iter().filter(|it| bound(it.0)) {
            let message =
                format!("the default of `{}` is never used: it is always fed", self.params[*parameter].name);
            conflicts.push((message, literal.span, "leave the default out"));
        }
        if let (Some(entries), Some((attribute, span))) = (&shape.entries, &self.parts)
            && entries.len() > 1
        {
            let message =
                format!("`#[{attribute}]` would make the same parts for each of {} nodes", entries.len());
            conflicts.push((
                message,
                *span,
                "name the parts in each entry: `node(.., extract_columns(a as a_1))`",
            ));
        }
        if shape.conditions.len() > 1 && shape.conditions.iter().any(|it| matches!(it, Condition::Otherwise))
        {
            let span = shape.conditions_span.unwrap_or_default();
            conflicts.push((
                "`otherwise` stands beside other conditions".to_owned(),
                span,
                "leave them out: it holds where no other variant does",
            ));
        }
        for (message, span, hint) in conflicts {
            self.problems.push(Diagnostic::error("conflicting-attributes", message).at(span, "").hint(hint));
        }
        self.tagged_nodes();
    }

    /// `#[tag_outputs]` must name nodes that the function makes; those of a struct's fields are known later.
    fn tagged_nodes(&mut self) {
        let shape = &self.read.shape;
        let Some(span) = self.seen.get("tag_outputs").copied() else { return };
        let own = self.read.name.clone().unwrap_or_else(|| base_name(self.function));
        let mut nodes: BTreeSet<&str> = BTreeSet::new();
        let mut parts: Vec<&Parts> = shape.parts.iter().collect();
        match &shape.entries {
            None => drop(nodes.insert(&own)),
            Some(entries) => {
                nodes.extend(entries.iter().map(|it| it.node.as_str()));
                parts.extend(entries.iter().filter_map(|it| it.parts.as_ref()));
            }
        }
        if parts.iter().any(|it| matches!(it, Parts::Fields { all: true, .. })) {
            return;
        }
        nodes.extend(parts.into_iter().flat_map(Parts::parts).map(|it| it.node.as_str()));
        for name in shape.tag_outputs.keys().filter(|it| !nodes.contains(it.as_str())) {
            let known: Vec<String> = nodes.iter().map(|it| format!("`{it}`")).collect();
            self.problems.push(
                Diagnostic::error(
                    "unknown-attribute-key",
                    format!("`#[tag_outputs]` names `{name}`, which the function does not make"),
                )
                .at(span, "")
                .hint(format!("it makes {}", known.join(", "))),
            );
        }
    }
}

/// The text of a string literal.
fn text(literal: &Literal) -> Option<String> {
    match crate::literal::parse(&literal.raw) {
        Some(crate::literal::Item::String(text)) => Some(text),
        _ => None,
    }
}

/// What a column can be declared as.
const COLUMN_TYPES: [&str; 18] = [
    "bool", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "f32", "f64", "str", "date",
    "time", "datetime", "duration", "cat",
];

fn is_column_type(ty: &str) -> bool {
    let inner = ty.strip_prefix("list<").and_then(|it| it.strip_suffix('>'));
    inner.map_or_else(|| COLUMN_TYPES.contains(&ty), is_column_type)
}

/// The form of an attribute, for hints.
fn form(name: &str) -> &'static str {
    match name {
        "node" => "#[node(name = \"rate\")]` or `#[node(skip)]",
        "config" => "#[config(when(region = \"us\"))]` or `#[config(otherwise)]",
        "defaults" => "#[defaults(window = 3)]",
        "parameterize" => "#[parameterize(p1(x = value(1)), p2(x = source(base)))]",
        "inject" => "#[inject(nums = [a, value(10), b])]",
        "extract_columns" => "#[extract_columns(spend, signups as n, fill_with = 0)]",
        "extract_fields" => "#[extract_fields]` or `#[extract_fields(train, test)]",
        "unpack" => "#[unpack(train, test)]",
        "cache" => "#[cache(recompute)]`, `disable`, `ignore`, `format = \"parquet\"` or `file(parameter)",
        "tag" => "#[tag(owner = \"ds\")]",
        "tag_outputs" => "#[tag_outputs(spend(owner = \"ds\"))]",
        _ => "#[schema(spend: i64, region: str)]",
    }
}

/// The node's name of a function: without `__suffix`, which tells variants apart.
pub(crate) fn base_name(name: &str) -> String {
    match name.rfind("__") {
        Some(at) if at > 0 && at + 2 < name.len() && !name[..at].chars().all(|it| it == '_') => {
            name[..at].to_owned()
        }
        _ => name.to_owned(),
    }
}

//! `#[cache]`: what becomes of the results of a function's nodes.

use super::super::Own;
use super::super::meta::{Body, Expr, Mistake};
use super::{Reader, text};
use crate::diagnostic::Diagnostic;
use crate::spec::{Behaviour, Caching, StoredAs};

impl Reader<'_, '_> {
    pub(super) fn caching(&mut self, own: &Own) -> Result<(), Mistake> {
        let mut caching = Caching::default();
        for meta in self.metas(own)? {
            let name = meta.name.as_ref().map(|it| it.0.as_str());
            let behaviour = match name {
                Some("recompute") => Some(Behaviour::Recompute),
                Some("disable") => Some(Behaviour::Disable),
                Some("ignore") => Some(Behaviour::Ignore),
                _ => None,
            };
            match (name.unwrap_or_default(), &meta.body, behaviour) {
                (word, Body::Flag, Some(behaviour)) => match caching.behaviour {
                    Behaviour::Reuse => caching.behaviour = behaviour,
                    first if first == behaviour => self.twice(&format!("`{word}`"), "cache", meta.span),
                    first => self.conflict(
                        format!("`{}` and `{word}` cannot both be", first.word()),
                        meta.span,
                        "leave one of them out",
                    ),
                },
                ("format", Body::Is(Expr::Literal(it)), _) => {
                    if caching.format.is_some() {
                        self.twice("`format`", "cache", meta.span);
                    }
                    caching.format = match text(it).as_deref() {
                        Some("arrow") => Some(StoredAs::Arrow),
                        Some("parquet") => Some(StoredAs::Parquet),
                        _ => {
                            let message = "a format is `\"arrow\"` or `\"parquet\"`";
                            return Err(Mistake::new(it.span, message));
                        }
                    };
                }
                ("file", Body::Holds(parameters), _) if !parameters.is_empty() => {
                    for parameter in parameters {
                        let (Some((name, span)), Body::Flag) = (&parameter.name, &parameter.body) else {
                            let message = "`file(..)` takes names of parameters";
                            return Err(Mistake::new(parameter.span, message));
                        };
                        let Some(at) = self.parameter("cache", name, *span) else { continue };
                        if caching.files.contains(&at) {
                            self.twice(&format!("`{name}`"), "cache", *span);
                        } else {
                            caching.files.push(at);
                        }
                    }
                }
                _ => {
                    let message =
                        "expected `recompute`, `disable`, `ignore`, `format = \"..\"` or `file(..)`";
                    return Err(Mistake::new(meta.span, message));
                }
            }
        }
        if matches!(caching.behaviour, Behaviour::Disable | Behaviour::Ignore)
            && (caching.format.is_some() || !caching.files.is_empty())
        {
            let message = format!(
                "with `{}` nothing is kept, so `format` and `file` mean nothing",
                caching.behaviour.word()
            );
            self.conflict(message, own.span, "leave them out");
        }
        caching.files.sort_unstable();
        self.read.shape.caching = caching;
        Ok(())
    }

    fn conflict(&mut self, message: String, span: crate::source::Span, hint: &str) {
        self.problems.push(Diagnostic::error("conflicting-attributes", message).at(span, "").hint(hint));
    }
}

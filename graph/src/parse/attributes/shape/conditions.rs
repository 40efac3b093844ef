//! `#[config(..)]`: when a variant is there.

use super::super::Own;
use super::super::meta::{Body, Expr, Meta, Mistake};
use super::Reader;
use crate::spec::Condition;

impl Reader<'_, '_> {
    pub(super) fn config(&mut self, own: &Own) -> Result<(), Mistake> {
        for meta in self.metas(own)? {
            if let Some(condition) = self.condition(&meta)? {
                self.read.shape.conditions.push(condition);
            }
        }
        self.read.shape.conditions_span.get_or_insert(own.span);
        Ok(())
    }

    /// `None` where the key is unknown, and that was told.
    fn condition(&mut self, meta: &Meta) -> Result<Option<Condition>, Mistake> {
        const KNOWN: [&str; 8] =
            ["when", "when_not", "when_in", "when_not_in", "any", "all", "not", "otherwise"];
        let name = meta.name.as_ref().map(|it| it.0.as_str());
        let Some(name) = name.filter(|it| KNOWN.contains(it)) else {
            self.unknown_key("config", meta, &KNOWN);
            return Ok(None);
        };
        let inner = match (&meta.body, name) {
            (Body::Flag, "otherwise") => return Ok(Some(Condition::Otherwise)),
            (Body::Holds(inner), it) if it != "otherwise" && !inner.is_empty() => inner,
            (_, "otherwise") => return Err(Mistake::new(meta.span, "`otherwise` takes nothing")),
            _ => return Err(Mistake::new(meta.span, format!("expected `{name}(..)`"))),
        };
        if let "when" | "when_not" | "when_in" | "when_not_in" = name {
            let keys = inner.iter().map(|it| comparison(it, name)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Some(one_or(keys, Condition::All)));
        }
        let mut conditions = Vec::new();
        for it in inner {
            conditions.extend(self.condition(it)?);
        }
        if conditions.iter().any(|it| matches!(it, Condition::Otherwise)) {
            return Err(Mistake::new(meta.span, "`otherwise` stands alone: it is about the other variants"));
        }
        Ok(Some(match name {
            "any" => one_or(conditions, Condition::Any),
            "all" => one_or(conditions, Condition::All),
            _ if conditions.len() == 1 => Condition::Not(Box::new(conditions.remove(0))),
            _ => return Err(Mistake::new(meta.span, "`not` takes one condition")),
        }))
    }
}

fn comparison(meta: &Meta, kind: &str) -> Result<Condition, Mistake> {
    let (Some((key, _)), Body::Is(value)) = (&meta.name, &meta.body) else {
        return Err(Mistake::new(meta.span, format!("expected `{kind}(key = literal)`")));
    };
    let literal =
        |it: &Expr| it.literal().ok_or_else(|| Mistake::new(it.span(), "a condition compares with literals"));
    let one_of = match (kind.contains("_in"), value) {
        (false, it) => vec![literal(it)?],
        (true, Expr::List(items, _)) => items.iter().map(literal).collect::<Result<_, _>>()?,
        (true, other) => {
            let raw = literal(other)?.raw;
            return Err(Mistake::new(other.span(), format!("`{kind}` takes a list: `{key} = [{raw}]`")));
        }
    };
    Ok(Condition::Is { key: key.clone(), one_of, not: kind.starts_with("when_not") })
}

fn one_or(mut all: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    if all.len() == 1 { all.remove(0) } else { join(all) }
}

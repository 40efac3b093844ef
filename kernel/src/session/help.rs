//! `%help`: the magics from their declarations, and two pages about what they have in common.

use super::Execution;
use super::errors::{self, Result};
use super::grammar::Call;
use super::magics::{Kind, MAGICS, Magic};
use super::text;

impl Execution<'_> {
    /// `%help [TOPIC]`
    pub(super) fn help(&self, call: &Call) -> Result<()> {
        let topic = call.texts().into_iter().next();
        let Some(text) = page(topic.as_deref()) else {
            let word = topic.unwrap_or_default();
            let near = text::did_you_mean(word.trim_start_matches('%'), topics());
            let error = call.error_at(&call.words[0], format!("there is no help on `{word}`{near}"));
            return Err(errors::usage(&error));
        };
        self.output.page(&text);
        Ok(())
    }
}

/// What `%help` knows, besides itself.
pub fn topics() -> impl Iterator<Item = &'static str> {
    MAGICS.iter().map(|it| it.name).chain(["cells", "literals"])
}

/// The page on a topic, or the overview.
pub fn page(topic: Option<&str>) -> Option<String> {
    match topic.map(|it| it.trim_start_matches('%')) {
        None => Some(overview()),
        Some("cells") => Some(CELLS.to_owned()),
        Some("literals") => Some(LITERALS.to_owned()),
        Some(name) => {
            let pages: Vec<String> = MAGICS.iter().filter(|it| it.name == name).map(of_magic).collect();
            (!pages.is_empty()).then(|| pages.join("\n"))
        }
    }
}

fn overview() -> String {
    let mut page = String::from(
        "Each `pub fn` of a watched file is a node; each parameter is an edge from the node or input of its name.\n\n",
    );
    let width = MAGICS.iter().map(|it| it.title().len()).max().unwrap_or(0);
    for magic in MAGICS {
        page.push_str(&format!("  {:width$}  {}\n", magic.title(), magic.summary));
    }
    page.push_str("\nA cell without magics is Rust, or names of nodes, whose values are shown; `:` lines go to evcxr.\n");
    page.push_str("`%help NAME` explains one magic, `%help cells` the cells, `%help literals` the values.\n");
    page
}

/// All that is declared about a magic.
pub fn of_magic(magic: &Magic) -> String {
    let mut page = format!("{}\n\n{}\n", magic.usage(), magic.summary);
    if !magic.details.is_empty() {
        page.push_str(magic.details);
        page.push('\n');
    }
    let width = magic.options.iter().map(|it| it.form().chars().count()).max().unwrap_or(0);
    for (position, option) in magic.options.iter().enumerate() {
        if position == 0 {
            page.push('\n');
        }
        page.push_str(&format!("  {:width$}  {}\n", option.form(), option.summary));
    }
    if !magic.examples.is_empty() {
        page.push_str("\nexamples:\n");
        for example in magic.examples {
            page.push_str(&format!("  {example}\n"));
        }
        if magic.kind == Kind::Cell {
            page.push_str(
                "  pub fn spend_mean(spend: &Series) -> f64 { spend.mean().unwrap_or(f64::NAN) }\n",
            );
        }
    }
    page
}

const CELLS: &str = "\
Cells
  Magics stand at the top, one a line; what follows is Rust or names of nodes. A magic goes on over line ends while a
  bracket is open, or after a `\\`.
  `name` or `(name, other)` shows the values of nodes. Nothing is compiled.
  In Rust, the name of a node is its value, also in macros, closures and format strings. It is computed if need be.
  `let` variables stay for later cells; one with the name of a node hides the node.
  `:dep regex = \"1\"` adds a crate for Rust cells; other `:` commands of evcxr work as well (`:help`).
  Interrupting stops between two nodes; interrupting again kills the worker, and the next cell starts a new one.
";

const LITERALS: &str = "\
Values in %input, %config, --input and --override
  A value is a TOML value (`1`, `2.5`, `true`, `2024-01-31`, `[1, 2]`, `{ a = 1 }`) or `null`; what is not is a string (`us`).
  A list becomes a Series where the consumer takes one: all integers i64, any float f64; nulls are allowed.
  A path (`data/sales.csv`; csv, parquet, ipc, json, ndjson) becomes a DataFrame or LazyFrame where the consumer takes one.
  Any other type is read from the value if it can be deserialised.
  A value with spaces stands in quotes or brackets. `name=` with nothing behind it takes the value back.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_page_and_the_overview_names_every_magic() {
        let overview = page(None).unwrap();
        for topic in topics() {
            assert!(page(Some(topic)).is_some_and(|it| !it.is_empty()), "{topic}");
        }
        for magic in MAGICS {
            assert!(overview.contains(&format!("  {} ", magic.title())), "{}", magic.title());
        }
        assert_eq!(page(Some("nothing")), None);
        assert_eq!(page(Some("%run")), page(Some("run")));
    }

    #[test]
    fn a_magics_page_has_usage_options_and_examples() {
        let page = page(Some("nodes")).unwrap();
        assert_eq!(
            page,
            "%nodes [--tag k[=v]]… [--as json]\n\nLists the nodes: name, type, place, documentation.\n\n\
             \x20 --tag k[=v]  only nodes with this tag, with this value or one of a list\n\
             \x20 --as json    a list sorted by name, for machines\n\n\
             examples:\n  %nodes\n  %nodes --tag owner=ds --as json\n  %nodes --tag owner --tag region=[us,uk]\n"
        );
    }
}

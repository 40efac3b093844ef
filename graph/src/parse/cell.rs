//! Rust cells: a node's name is its value.
//!
//! Each statement at the top of a cell that names nodes is put into a block with one binding for each node
//! that it uses. So method calls, operators, macros, closures and shadowing follow Rust's own rules, which
//! rewriting the names themselves never would. The user's text stays as it is, and nothing is added but on
//! the lines that it already has: a compiler's line is the user's line.

mod complete;
mod questions;
mod uses;

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;

pub use complete::{Completeness, Position, completeness, identifier_at, position_at};

use super::lex::{Kind, lex};
use super::shim::{raw, raw_words};
use super::tokens::{Lexed, plain};

/// What the names in a cell may stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellScope {
    /// Nodes of the graph in force by name.
    pub nodes: IndexMap<String, Binding>,
    /// The generation's crate.
    pub crate_name: String,
}

/// How the glue learns the type of a node: from the function that makes it, or for an input from one that
/// takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Binding {
    Function {
        path: String,
        arity: usize,
        is_async: bool,
    },
    Input {
        consumer_path: String,
        arity: usize,
        parameter: usize,
    },
    /// An input that is only taken as one of several.
    Member {
        consumer_path: String,
        arity: usize,
        parameter: usize,
    },
    /// A column of a frame.
    Column,
    /// A field or item of what a function returns.
    Part {
        path: String,
        arity: usize,
        is_async: bool,
        field: String,
    },
}

impl Binding {
    /// The expression that gives the node's value in a cell.
    pub fn expression(&self, crate_name: &str, name: &str) -> String {
        match self {
            Binding::Function { path, arity, is_async } => {
                let bind = if *is_async { "bind_future" } else { "bind_node" };
                let path = raw_words(path);
                format!("brooklet::{bind}!(r{arity}, {crate_name}::{path}, {name:?})")
            }
            Binding::Input { consumer_path, arity, parameter } => {
                let path = raw_words(consumer_path);
                format!("brooklet::bind_input!(p{arity}_{parameter}, {crate_name}::{path}, {name:?})")
            }
            Binding::Member { consumer_path, arity, parameter } => {
                let path = raw_words(consumer_path);
                format!("brooklet::bind_member!(p{arity}_{parameter}, {crate_name}::{path}, {name:?})")
            }
            Binding::Column => format!("brooklet::bind_column!({name:?})"),
            Binding::Part { path, arity, is_async, field } => {
                let bind = if *is_async { "bind_future_part" } else { "bind_part" };
                let (path, field) = (raw_words(path), raw(field));
                format!("brooklet::{bind}!(r{arity}, {crate_name}::{path}, {field}, {name:?})")
            }
        }
    }
}

/// What to do with a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CellPlan {
    /// Only names of nodes, as a list or a tuple: their values are shown, nothing is compiled.
    Bare { names: Vec<String> },
    Rust {
        /// The user's text with bindings around it; line numbers are the user's.
        code: String,
        /// Nodes that the cell reads, in order of first use. They must have values before it runs.
        uses: Vec<String>,
        /// Nodes that the cell names but that a variable hides.
        shadowed: Vec<String>,
    },
    /// Blank or comments only.
    Nothing,
}

impl CellScope {
    fn bind(&self, name: &str) -> String {
        match self.nodes.get(name) {
            Some(it) => format!("let {} = {}; ", raw(name), it.expression(&self.crate_name, name)),
            None => String::new(),
        }
    }
}

/// Plans a cell. `variables` are the `let` variables of earlier cells; they hide nodes of the same name.
pub fn rewrite(code: &str, nodes: &CellScope, variables: &[String]) -> CellPlan {
    let unchanged = || CellPlan::Rust { code: code.to_owned(), uses: Vec::new(), shadowed: Vec::new() };
    // A cell that cannot be read goes to the compiler as it is, whose message is the better one.
    let Ok(tokens) = lex(code) else { return unchanged() };
    let lexed = Lexed { file: 0, text: code, tokens };
    if lexed.tokens.iter().all(|it| matches!(it.kind, Kind::DocOuter | Kind::DocInner)) {
        return CellPlan::Nothing;
    }
    if let Some(names) = bare_names(&lexed) {
        let all_nodes = names.iter().all(|it| nodes.nodes.contains_key(it) && !variables.contains(it));
        if all_nodes {
            return CellPlan::Bare { names };
        }
    }
    on_big_stack(&lexed, || {
        let statements = syn::parse::Parser::parse_str(syn::Block::parse_within, code).ok()?;
        let mut rewriter = Rewriter {
            lexed: &lexed,
            nodes,
            hidden: variables.iter().map(|it| plain(it).to_owned()).collect(),
            insertions: Vec::new(),
            uses: IndexSet::new(),
            shadowed: IndexSet::new(),
        };
        for (index, statement) in statements.iter().enumerate() {
            rewriter.statement(statement, index + 1 == statements.len());
            // After the statement's own insertions, because at the same byte these stand inside.
            rewriter.insertions.extend(questions::insertions(statement));
        }
        rewriter.mark_own(&statements);
        Some(rewriter.finish())
    })
    .unwrap_or_else(unchanged)
}

/// More tokens than a person writes in a cell; syn recurses, and one token is at most one level.
const MAX_TOKENS: usize = 20_000;

/// Does work that recurses over a cell's syntax where there is room for it.
fn on_big_stack<T: Send>(lexed: &Lexed<'_>, work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    if lexed.tokens.len() > MAX_TOKENS {
        return None;
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cell".to_owned()).stack_size(256 << 20);
        thread.spawn_scoped(scope, work).ok()?.join().ok()?
    })
}

/// The names of `a`, `a, b`, `(a, b)` and the like.
fn bare_names(lexed: &Lexed<'_>) -> Option<Vec<String>> {
    let docs = |it: &usize| !matches!(lexed.kind(*it), Some(Kind::DocOuter | Kind::DocInner));
    let mut rest: Vec<usize> = (0..lexed.tokens.len()).filter(docs).collect();
    let outer = rest.first().and_then(|it| lexed.group(*it, b'('));
    if outer.is_some() && outer == rest.last().copied() {
        rest.pop();
        rest.remove(0);
    }
    let mut names = Vec::new();
    for (position, index) in rest.iter().enumerate() {
        if position % 2 == 0 {
            names.push(plain(lexed.ident(*index)?).to_owned());
        } else if !lexed.is_punct(*index, b',') {
            return None;
        }
    }
    (!names.is_empty()).then_some(names)
}

struct Rewriter<'a> {
    lexed: &'a Lexed<'a>,
    nodes: &'a CellScope,
    /// Variables of earlier cells and of earlier statements.
    hidden: IndexSet<String>,
    /// Text to put in at a byte, in order of the byte.
    insertions: Vec<(usize, String)>,
    uses: IndexSet<String>,
    shadowed: IndexSet<String>,
}

impl Rewriter<'_> {
    fn statement(&mut self, statement: &syn::Stmt, last: bool) {
        match statement {
            syn::Stmt::Local(local) => self.local(local),
            syn::Stmt::Item(item) => self.item(item),
            syn::Stmt::Expr(expression, semicolon) => {
                let used = self.used(|it| it.expression(expression));
                let range = expression.span().byte_range();
                match semicolon {
                    Some(semicolon) => self.block(range.start, semicolon.span().byte_range().end, &used),
                    None if last => self.show(range, &used),
                    None => self.block(range.start, range.end, &used),
                }
            }
            syn::Stmt::Macro(call) => {
                let used = self.used(|it| it.call(&call.mac));
                let start = call.span().byte_range().start;
                let end = call.mac.delimiter.span().close().byte_range().end;
                let braces = matches!(call.mac.delimiter, syn::MacroDelimiter::Brace(_));
                match &call.semi_token {
                    Some(semicolon) => self.block(start, semicolon.span().byte_range().end, &used),
                    // `thread_local! { .. }` makes items, which must stay at the top.
                    None if braces && used.is_empty() => {}
                    None if last => self.show(start..end, &used),
                    None => self.block(start, end, &used),
                }
            }
        }
    }

    fn local(&mut self, local: &syn::Local) {
        if let Some(init) = &local.init {
            let used = self.used(|it| it.expression(&init.expr));
            let range = init.expr.span().byte_range();
            if !used.is_empty() {
                let binds = self.binds(&used);
                // Before `else` no brace may stand.
                let (open, close) = if init.diverge.is_some() { ("({ ", " })") } else { ("{ ", " }") };
                self.insert(range.start, format!("{open}{binds}"));
                self.insert(range.end, close.to_owned());
            }
            if let Some((_, otherwise)) = &init.diverge {
                let used = self.used(|it| it.expression(otherwise));
                if !used.is_empty() {
                    let binds = self.binds(&used);
                    self.insert(otherwise.span().byte_range().start + 1, format!(" {binds}"));
                }
            }
        }
        self.hidden.extend(uses::bound_by(&local.pat));
    }

    /// Items are left alone; a const or static hides a node as a variable does.
    fn item(&mut self, item: &syn::Item) {
        let name = match item {
            syn::Item::Const(it) => &it.ident,
            syn::Item::Static(it) => &it.ident,
            _ => return,
        };
        self.hidden.insert(plain(&name.to_string()).to_owned());
    }

    /// The nodes that a piece of the cell reads.
    fn used(&mut self, visit: impl FnOnce(&mut uses::Finder<'_>)) -> IndexSet<String> {
        let mut finder = uses::Finder::new(self.lexed, &self.nodes.nodes, &self.hidden);
        visit(&mut finder);
        self.shadowed.extend(finder.shadowed);
        self.uses.extend(finder.used.iter().cloned());
        finder.used
    }

    fn binds(&self, used: &IndexSet<String>) -> String {
        used.iter().map(|it| self.nodes.bind(it)).collect()
    }

    fn insert(&mut self, at: usize, text: String) {
        self.insertions.push((at, text));
    }

    fn block(&mut self, start: usize, end: usize, used: &IndexSet<String>) {
        if !used.is_empty() {
            let binds = self.binds(used);
            self.insert(start, format!("{{ {binds}"));
            self.insert(end, " };".to_owned());
        }
    }

    fn show(&mut self, range: std::ops::Range<usize>, used: &IndexSet<String>) {
        let binds = self.binds(used);
        let (open, close) = if used.is_empty() { ("", "") } else { ("{ ", " };") };
        self.insert(range.start, format!("{open}{binds}brooklet::show!("));
        self.insert(range.end, format!(");{close}"));
    }

    /// Tells the output of the cell's own code from that of what evcxr generates around it. A cell of items alone
    /// prints nothing.
    fn mark_own(&mut self, statements: &[syn::Stmt]) {
        let is_item = |it: &&syn::Stmt| match it {
            syn::Stmt::Item(_) => true,
            syn::Stmt::Macro(call) => {
                call.semi_token.is_none() && matches!(call.mac.delimiter, syn::MacroDelimiter::Brace(_))
            }
            _ => false,
        };
        let mut own = statements.iter().filter(|it| !is_item(it)).map(|it| it.span().byte_range());
        let Some(first) = own.next() else { return };
        let end = own.next_back().unwrap_or_else(|| first.clone()).end;
        // The first of all at its byte, and the last of all at its.
        self.insertions.insert(0, (first.start, "brooklet::cell::began(); ".to_owned()));
        self.insertions.push((end, " brooklet::cell::ended();".to_owned()));
    }

    fn finish(mut self) -> CellPlan {
        let mut code = String::new();
        let mut done = 0;
        self.insertions.sort_by_key(|it| it.0);
        for (at, text) in &self.insertions {
            code.push_str(self.lexed.text.get(done..*at).unwrap_or_default());
            code.push_str(text);
            done = *at;
        }
        code.push_str(self.lexed.text.get(done..).unwrap_or_default());
        CellPlan::Rust {
            code,
            uses: self.uses.into_iter().collect(),
            shadowed: self.shadowed.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests;

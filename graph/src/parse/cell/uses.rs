//! Which nodes a piece of a cell reads.
//!
//! An identifier is a node where it stands for a variable and no variable hides it. Scopes inside the piece
//! (closures, blocks, arms, loops) are followed, because a binding too many would compute a node that nobody
//! asked for. Inside macros there are only tokens: there a name counts unless its neighbours say otherwise.

use indexmap::{IndexMap, IndexSet};
use syn::visit::{self, Visit};

use super::Binding;
use crate::parse::facts::captures;
use crate::parse::lex::Kind;
use crate::parse::tokens::{Lexed, plain};

pub(super) struct Finder<'a> {
    lexed: &'a Lexed<'a>,
    nodes: &'a IndexMap<String, Binding>,
    /// Variables at the top of the cell.
    hidden: &'a IndexSet<String>,
    /// Names bound inside the piece, innermost last.
    scopes: Vec<Vec<String>>,
    pub used: IndexSet<String>,
    /// Nodes that were meant if it were not for a variable at the top.
    pub shadowed: IndexSet<String>,
}

/// The variables that a pattern binds.
pub(super) fn bound_by(pattern: &syn::Pat) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, it: &'ast syn::PatIdent) {
            self.0.push(plain(&it.ident.to_string()).to_owned());
            visit::visit_pat_ident(self, it);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pattern);
    names.0
}

impl<'a> Finder<'a> {
    pub fn new(
        lexed: &'a Lexed<'a>,
        nodes: &'a IndexMap<String, Binding>,
        hidden: &'a IndexSet<String>,
    ) -> Finder<'a> {
        Finder { lexed, nodes, hidden, scopes: Vec::new(), used: IndexSet::new(), shadowed: IndexSet::new() }
    }

    pub fn expression(&mut self, expression: &syn::Expr) {
        self.visit_expr(expression);
    }

    pub fn call(&mut self, call: &syn::Macro) {
        self.visit_macro(call);
    }

    fn name(&mut self, name: &str) {
        let name = plain(name);
        if !self.nodes.contains_key(name) || self.scopes.iter().flatten().any(|it| it == name) {
            return;
        }
        if self.hidden.contains(name) {
            self.shadowed.insert(name.to_owned());
        } else {
            self.used.insert(name.to_owned());
        }
    }

    fn scoped(&mut self, names: Vec<String>, visit: impl FnOnce(&mut Self)) {
        self.scopes.push(names);
        visit(self);
        self.scopes.pop();
    }

    fn bind(&mut self, pattern: &syn::Pat) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.extend(bound_by(pattern));
        }
    }

    /// Names among the tokens of a macro's arguments.
    fn tokens(&mut self, start: usize, end: usize) {
        let lexed = self.lexed;
        let from = lexed.tokens.partition_point(|it| (it.start as usize) < start);
        let to = lexed.tokens.partition_point(|it| (it.end as usize) <= end);
        // `format!("{x}", x = ..)`: arguments by name are the macro's own.
        let assigned = |it: &usize| {
            lexed.is_punct(it + 1, b'=')
                && !lexed.is_joint(it + 1, b'=', b'=')
                && !lexed.is_joint(it + 1, b'=', b'>')
                && matches!(lexed.kind(it.wrapping_sub(1)), Some(Kind::Punct(b',') | Kind::Open(_)))
        };
        let own: Vec<String> = (from..to)
            .filter(assigned)
            .filter_map(|it| lexed.ident(it))
            .map(|it| plain(it).to_owned())
            .collect();
        self.scoped(own, |this| {
            for index in from..to {
                match lexed.kind(index) {
                    Some(Kind::Ident) if is_variable(lexed, index) && !assigned(&index) => {
                        this.name(lexed.text(index));
                    }
                    // A format string is an argument of its own.
                    Some(Kind::Text)
                        if matches!(
                            lexed.kind(index.wrapping_sub(1)),
                            Some(Kind::Punct(b',') | Kind::Open(b'(' | b'[' | b'{'))
                        ) =>
                    {
                        captures(lexed.text(index)).for_each(|it| this.name(it));
                    }
                    _ => {}
                }
            }
        });
    }
}

/// Whether an identifier among a macro's tokens may be a variable, by its neighbours.
fn is_variable(lexed: &Lexed<'_>, index: usize) -> bool {
    let before = |first, second| index >= 2 && lexed.is_joint(index - 2, first, second);
    let member = index >= 1 && lexed.is_punct(index - 1, b'.') && !before(b'.', b'.');
    let in_path = before(b':', b':') || lexed.is_joint(index + 1, b':', b':');
    let field = lexed.is_punct(index + 1, b':');
    let called = lexed.kind(index + 1) == Some(Kind::Open(b'('));
    let is_macro = lexed.is_punct(index + 1, b'!') && !lexed.is_joint(index + 1, b'!', b'=');
    !(member || in_path || field || called || is_macro)
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_path(&mut self, it: &'ast syn::ExprPath) {
        if let (None, Some(ident)) = (&it.qself, it.path.get_ident()) {
            self.name(&ident.to_string());
        }
    }

    fn visit_expr_call(&mut self, it: &'ast syn::ExprCall) {
        // polars' prelude has functions `sum`, `mean`, `first`: what is called is never a node.
        if !matches!(&*it.func, syn::Expr::Path(_)) {
            self.visit_expr(&it.func);
        }
        it.args.iter().for_each(|it| self.visit_expr(it));
    }

    fn visit_expr_closure(&mut self, it: &'ast syn::ExprClosure) {
        let names = it.inputs.iter().flat_map(bound_by).collect();
        self.scoped(names, |this| this.visit_expr(&it.body));
    }

    fn visit_block(&mut self, it: &'ast syn::Block) {
        self.scoped(Vec::new(), |this| visit::visit_block(this, it));
    }

    fn visit_local(&mut self, it: &'ast syn::Local) {
        if let Some(init) = &it.init {
            self.visit_expr(&init.expr);
            if let Some((_, otherwise)) = &init.diverge {
                self.visit_expr(otherwise);
            }
        }
        self.bind(&it.pat);
    }

    /// `if let` and `while let`: what is bound holds to the end of the scope around it.
    fn visit_expr_let(&mut self, it: &'ast syn::ExprLet) {
        self.visit_expr(&it.expr);
        self.bind(&it.pat);
    }

    fn visit_expr_if(&mut self, it: &'ast syn::ExprIf) {
        self.scoped(Vec::new(), |this| {
            this.visit_expr(&it.cond);
            this.visit_block(&it.then_branch);
        });
        if let Some((_, otherwise)) = &it.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, it: &'ast syn::ExprWhile) {
        self.scoped(Vec::new(), |this| {
            this.visit_expr(&it.cond);
            this.visit_block(&it.body);
        });
    }

    fn visit_expr_for_loop(&mut self, it: &'ast syn::ExprForLoop) {
        self.visit_expr(&it.expr);
        self.scoped(bound_by(&it.pat), |this| this.visit_block(&it.body));
    }

    fn visit_arm(&mut self, it: &'ast syn::Arm) {
        self.scoped(bound_by(&it.pat), |this| {
            if let Some((_, guard)) = &it.guard {
                this.visit_expr(guard);
            }
            this.visit_expr(&it.body);
        });
    }

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        let delimiters = it.delimiter.span();
        let start = delimiters.open().byte_range().start;
        let end = delimiters.close().byte_range().end;
        // The brackets themselves belong to it: what stands behind the first one is an argument.
        self.tokens(start, end);
    }

    /// Items inside a block cannot see variables.
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

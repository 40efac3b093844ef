//! The `?` by which a cell may end.
//!
//! evcxr runs the statements of a cell in a closure, so a `?` at their level ends the cell, and its error is
//! the cell's error. Its operand is put into `brooklet::raise!`, which keeps the error with its sources. A `?`
//! inside a closure, an async block or an item ends that, and inside a macro there is no telling.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Text to put in at a byte; at the same byte outer ones first.
pub(super) fn insertions(statement: &syn::Stmt) -> Vec<(usize, String)> {
    let mut questions = Questions(Vec::new());
    questions.visit_stmt(statement);
    questions.0
}

struct Questions(Vec<(usize, String)>);

impl<'ast> Visit<'ast> for Questions {
    fn visit_expr_try(&mut self, it: &'ast syn::ExprTry) {
        let operand = it.expr.span().byte_range();
        self.0.push((operand.start, "brooklet::raise!(".to_owned()));
        self.0.push((operand.end, ")".to_owned()));
        visit::visit_expr_try(self, it);
    }

    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}

    fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}

    fn visit_expr_try_block(&mut self, _: &'ast syn::ExprTryBlock) {}

    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

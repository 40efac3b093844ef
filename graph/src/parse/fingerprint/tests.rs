//! One test for each sentence about fingerprints, and a hunt for edits that change what a node computes but
//! not its fingerprint.

use std::collections::BTreeMap;

use crate::parse::{Included, parse_with};
use crate::source::{SourceFile, Sources};

/// Fingerprints by the function's path.
#[track_caller]
fn of_files(files: &[(&str, &str)], included: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for (name, text) in files {
        let path = format!("{name}.rs");
        sources.push(SourceFile { absolute: format!("/t/{path}"), path, text: (*text).to_owned() });
        modules.push(vec![(*name).to_owned()]);
    }
    let included: Included =
        included.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    let parsed = parse_with(&sources, &modules, &included);
    let errors: Vec<_> = parsed.diagnostics.iter().map(|it| &it.message).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let functions = parsed.files.into_iter().flat_map(|it| it.functions.clone());
    functions.map(|it| (it.path, it.fingerprint)).collect()
}

#[track_caller]
fn of(text: &str) -> String {
    let all = of_files(&[("a", text)], &[]);
    let it = all.get("a::f").unwrap_or_else(|| panic!("no node `f` in {text}")).clone();
    assert_eq!(it.len(), 64);
    it
}

/// Two texts give `f` the same fingerprint.
#[track_caller]
fn same(a: &str, b: &str) {
    assert_eq!(of(a), of(b), "differ:\n{a}\n{b}");
}

#[track_caller]
fn differ(a: &str, b: &str) {
    assert_ne!(of(a), of(b), "the same:\n{a}\n{b}");
}

/// Replacing `from` by `to` in the text changes the fingerprint of `f`.
#[track_caller]
fn edit_counts(text: &str, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    differ(text, &text.replace(from, to));
}

#[track_caller]
fn edit_is_nothing(text: &str, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    same(text, &text.replace(from, to));
}

#[test]
fn docs_comments_and_layout_are_left_out() {
    let text = "/// Doc.\n#[doc = \"x\"]\npub fn f(a: i64) -> i64 { a + 1 }";
    same(text, "pub fn f(a: i64) -> i64 { a + 1 }");
    same(text, "pub fn f(\n    a: i64, // number\n) -> i64 {\n    /* add */ a+1\n}");
    same("pub fn f() -> Vec<i64> { vec(&[1, 2]) }", "pub fn f() -> Vec<i64> { vec(&[\n1,\n2,\n]) }");
    same("pub fn f() -> i64 { g(1, 2) }", "pub fn f() -> i64 { g(\n1,\n2,\n) }");
    same("pub fn f() -> i64 { let x=-1; x }", "pub fn f() -> i64 { let x = -1; x }");
    same("/// A.\nfn g() {}\npub fn f() { g() }", "fn g() {}\npub fn f() { g() }");
    same("//! A.\nfn g() {}\npub fn f() { g() }", "fn g() {}\npub fn f() { g() }");
    same("pub fn f() -> i64 { g(1) }", "pub fn f() -> i64 { g(\n1,\n) }");
    // A tuple of one is not its element.
    differ("pub fn f() -> i64 { g((1,)) }", "pub fn f() -> i64 { g((1)) }");
    differ("pub fn f() -> bool { a & &b }", "pub fn f() -> bool { a && b }");
}

#[test]
fn every_token_of_the_body_and_the_signature_counts() {
    let text = "pub fn f(a: i64, b: i64) -> i64 { a - b * 2 }";
    edit_counts(text, "2", "3");
    edit_counts(text, " - ", " + ");
    edit_counts(text, "a: i64", "a: i32");
    edit_counts(text, "-> i64", "-> i128");
    edit_counts(text, "a - b", "b - a");
    edit_counts(text, "a: i64, b: i64", "b: i64, a: i64");
    edit_counts("pub fn f() -> &'static str { \"a b\" }", "a b", "a  b");
    edit_counts("#[cfg(unix)] pub fn f() {}", "unix", "windows");
    edit_counts("pub fn f() { 'a: loop { break 'a } }", "'a", "'b");
}

#[test]
fn its_own_name_is_left_out() {
    let name = |text: &str, path: &str| of_files(&[("a", text)], &[]).remove(path).expect("a node");
    assert_eq!(name("pub fn f(x: i64) -> i64 { x }", "a::f"), name("pub fn g(x: i64) -> i64 { x }", "a::g"));
    // A field of the same name is not the function's name.
    assert_ne!(name("pub fn f(x: S) -> i64 { x.f }", "a::f"), name("pub fn g(x: S) -> i64 { x.g }", "a::g"));
}

#[test]
fn parameters_are_numbered() {
    same("pub fn f(a: i64, b: i64) -> i64 { a - b }", "pub fn f(x: i64, y: i64) -> i64 { x - y }");
    same(
        "pub fn f(a: i64) -> i64 { if x { a + 1 } else { -a } }",
        "pub fn f(b: i64) -> i64 { if x { b + 1 } else { -b } }",
    );
    same(
        "pub fn f(a: &S) -> i64 { a.iter().map(|x| x + a.len()).sum() }",
        "pub fn f(b: &S) -> i64 { b.iter().map(|x| x + b.len()).sum() }",
    );
    same("pub fn f(_a: i64) -> i64 { 1 }", "pub fn f(b: i64) -> i64 { 1 }");
    same("pub fn f(r#type: i64) -> i64 { r#type }", "pub fn f(b: i64) -> i64 { b }");
    same("pub fn f(a: i64) -> i64 { assert!(a > 0); a }", "pub fn f(b: i64) -> i64 { assert!(b > 0); b }");
    differ("pub fn f(a: i64, b: i64) -> i64 { a - b }", "pub fn f(b: i64, a: i64) -> i64 { a - b }");
}

#[test]
fn renaming_a_parameter_counts_where_its_name_means_more() {
    let rename = |text: &str| differ(text, &text.replace("aa", "bb"));
    rename("pub fn f(aa: &S) -> i64 { aa.aa }");
    rename("pub fn f(aa: i64) -> S { S { aa } }");
    rename("pub fn f(aa: i64) -> S { S { z: 1, aa } }");
    rename("pub fn f(aa: i64) -> S { S { aa: 1 } }");
    rename("pub fn f(aa: i64) -> S { stringify!(aa) }");
    rename("pub fn f(aa: i64) -> S { x.replace(\"{aa}\", \"\") }");
    rename("pub fn f(aa: i64) -> S { aa::new(1) }");
    rename("pub fn f(aa: i64) -> S { S::aa(1) }");
    rename("pub fn f(aa: i64) -> S { fn g() { aa() } g() }");
    rename("pub fn f(aa: i64) -> S { aa!(1) }");
    differ("pub fn f(u8: i64) -> i64 { 300 as u8 as i64 }", "pub fn f(i8: i64) -> i64 { 300 as i8 as i64 }");
    differ("pub fn f(a: i64, b: i64) -> F { |a: i64| a }", "pub fn f(a: i64, b: i64) -> F { |a: i64| b }");
    differ("pub fn f(a: i64) -> F { |a: i64| a }", "pub fn f(b: i64) -> F { |a: i64| b }");
}

#[test]
fn every_item_that_it_reaches_counts() {
    edit_counts("fn g() -> i64 { 1 } pub fn f() -> i64 { g() }", "{ 1 }", "{ 2 }");
    edit_counts("const N: i64 = 1; pub fn f() -> i64 { N }", "= 1", "= 2");
    edit_counts("static N: i64 = 1; pub fn f() -> i64 { N }", "= 1", "= 2");
    edit_counts("type N = i64; pub fn f() -> N { 1 }", "= i64", "= i32");
    edit_counts("pub struct S { a: i64 } pub fn f(s: &S) -> i64 { s.get() }", "a: i64", "a: i32");
    edit_counts("pub enum E { A, B } pub fn f(e: &E) -> i64 { *e as i64 }", "A, B", "B, A");
    edit_counts("fn h() -> i64 { 1 } fn g() -> i64 { h() } pub fn f() -> i64 { g() }", "{ 1 }", "{ 2 }");
    // Public ones too.
    edit_counts("pub fn g() -> i64 { 1 } pub fn f() -> i64 { g() }", "{ 1 }", "{ 2 }");
    // In a module.
    edit_counts("mod m { pub fn g() -> i64 { 1 } } pub fn f() -> i64 { m::g() }", "{ 1 }", "{ 2 }");
    // Passed as a value.
    edit_counts("fn g() -> i64 { 1 } pub fn f() -> i64 { call(g) }", "{ 1 }", "{ 2 }");
    // Itself.
    edit_counts("fn g() { f(); h() } fn h() {} pub fn f() { g() }", "{}", "{ 1; }");
}

#[test]
fn what_it_does_not_reach_does_not_count() {
    edit_is_nothing("fn g() -> i64 { 1 } pub fn f() -> i64 { 3 }", "{ 1 }", "{ 2 }");
    edit_is_nothing("pub struct S { a: i64 } pub fn f() -> i64 { 3 }", "a: i64", "a: i32");
    edit_is_nothing("pub fn f() -> i64 { 3 } #[cfg(test)] mod tests { fn a() {} }", "fn a", "fn b");
    edit_is_nothing("pub fn f() -> i64 { 3 } #[test] fn a() { f(); }", "fn a", "fn b");
    same("pub fn f() -> i64 { 3 }", "pub fn g() -> i64 { 3 } pub fn f() -> i64 { 3 }");
    same("pub fn g() {} pub fn f() -> i64 { 3 }", "pub fn f() -> i64 { 3 } pub fn g() {}");
}

#[test]
fn a_parameter_does_not_lead_to_the_node_that_feeds_it() {
    edit_is_nothing("pub fn a() -> i64 { 1 } pub fn f(a: i64) -> i64 { a + 1 }", "{ 1 }", "{ 2 }");
    edit_is_nothing(
        "pub fn a() -> i64 { 1 } pub fn f(a: i64) -> String { format!(\"{a} {}\", a) }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_is_nothing(
        "pub fn a() -> i64 { 1 } fn g(a: i64) -> i64 { a } pub fn f(x: i64) -> i64 { g(x) }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_is_nothing("pub fn a() -> i64 { 1 } pub fn f(s: &S) -> i64 { s.a }", "{ 1 }", "{ 2 }");
    edit_is_nothing("pub fn a() -> i64 { 1 } pub fn f(b: i64) -> S { S { a: b } }", "{ 1 }", "{ 2 }");
    // But these do call it.
    edit_counts("pub fn a() -> i64 { 1 } pub fn f(a: i64) -> i64 { self::a() }", "{ 1 }", "{ 2 }");
    edit_counts(
        "pub fn a() -> i64 { 1 } pub fn f(a: i64) -> i64 { fn g() -> i64 { a() } g() }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_counts("pub fn a() -> i64 { 1 } pub fn f(a: i64) -> i64 { odd!(a) }", "{ 1 }", "{ 2 }");
}

#[test]
fn reach_is_by_name_over_all_files() {
    let with = |b: &str| {
        let a = "pub fn f() -> i64 { super::b::g() }";
        of_files(&[("a", a), ("b", b)], &[]).remove("a::f").expect("a node")
    };
    assert_ne!(with("pub(super) fn g() -> i64 { 1 }"), with("pub(super) fn g() -> i64 { 2 }"));
    assert_eq!(with("fn h() -> i64 { 1 }"), with("fn h() -> i64 { 2 }"));
    // Any namespace, any module.
    assert_ne!(with("mod m { pub struct g(i64); }"), with("mod m { pub struct g(i32); }"));
    // A name that gains an item.
    assert_ne!(with(""), with("pub(super) fn g() {}"));
}

#[test]
fn names_in_macro_arguments_and_format_strings_count() {
    edit_counts("fn g() -> i64 { 1 } pub fn f() -> S { vec![g()] }", "{ 1 }", "{ 2 }");
    edit_counts("fn g() -> i64 { 1 } pub fn f() -> S { strange!(a g b) }", "{ 1 }", "{ 2 }");
    edit_counts("const G: i64 = 1; pub fn f() -> String { format!(\"{G:>5}\") }", "= 1", "= 2");
    edit_counts("const G: usize = 1; pub fn f() -> String { format!(\"{:.G$}\", 1.0) }", "= 1", "= 2");
    edit_counts("const G: i64 = 1; pub fn f() -> String { format!(r#\"{G}\"#) }", "= 1", "= 2");
    edit_is_nothing("const G: i64 = 1; pub fn f() -> String { format!(\"{{G}}\") }", "= 1", "= 2");
}

#[test]
fn a_use_is_an_item_named_by_its_alias() {
    edit_counts("use super::x::g as h; pub fn f() { h() }", "x::g", "y::g");
    edit_counts("use super::{x::{a, g as h}, z}; pub fn f() { h() }", "x::", "y::");
    edit_is_nothing("use super::{x::{a, g as h}, z}; pub fn f() { h() }", "{a,", "{a, b,");
    edit_is_nothing("use super::x::g; pub fn f() { 1; }", "x::g", "y::g");
    edit_counts("use super::x::g as h; fn g() -> i64 { 1 } pub fn f() { h() }", "{ 1 }", "{ 2 }");
    edit_counts("pub use std::sync::Arc as P; pub fn f(x: P<i64>) -> i64 { *x }", "Arc", "Weak");
    edit_counts(
        "use m::S as T; mod m { pub struct S; } impl Tr for S { fn go() -> i64 { 1 } } pub fn f(x: &T) {}",
        "{ 1 }",
        "{ 2 }",
    );
}

#[test]
fn imports_that_work_without_their_name_count() {
    edit_counts("use super::x::*; pub fn f() { h() }", "x::*", "y::*");
    edit_counts("use super::x::{*, z}; pub fn f() { h() }", "x::", "y::");
    edit_counts("use super::x::Tr as _; pub fn f() { 1.go() }", "x::", "y::");
    // A trait: every method call may mean it.
    edit_counts("use super::x::Tr; pub fn f() { 1.go() }", "x::", "y::");
    edit_counts(
        "use super::m::low; mod m { pub trait low {} } pub fn f() { 1.go() }",
        "super::m::low",
        "super::n::low",
    );
    edit_is_nothing("use std::collections::HashMap; pub fn f() { 1.go() }", "HashMap", "BTreeMap");
    edit_is_nothing(
        "use super::m::S; mod m { pub struct S; } pub fn f() { 1.go() }",
        "super::m::S",
        "super::n::S",
    );
    // The variants that a glob brings.
    edit_counts("use E::*; pub enum E { A, B } pub fn f() -> i64 { A as i64 }", "A, B", "B, A");
    edit_counts("extern crate x; pub fn f() {}", "crate x", "crate y");
}

#[test]
fn a_reached_type_or_trait_reaches_its_impls() {
    edit_counts("pub struct S; impl Drop for S { fn drop(&mut self) { 1; } } pub fn f(s: &S) {}", "1;", "2;");
    edit_counts(
        "trait T { fn t() -> i64; } impl T for i64 { fn t() -> i64 { 1 } } pub fn f() -> i64 { g::<T>() }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_counts(
        "pub struct S; impl<A> Tr<A> for Vec<S> { const X: i64 = 1; } pub fn f(s: &S) {}",
        "= 1",
        "= 2",
    );
    // By the return type of a helper, whose name the node never says.
    edit_counts(
        "struct S; fn g() -> S { S } impl Add for S { fn add() { 1; } } pub fn f() { g() + g() }",
        "1;",
        "2;",
    );
    edit_is_nothing("pub struct S; impl S { fn a() { 1; } } pub fn f() {}", "1;", "2;");
}

#[test]
fn a_method_name_reaches_every_impl_and_trait_that_has_it() {
    edit_counts(
        "impl Ext for Series { fn double(&self) -> i64 { 1 } } pub fn f(s: &Series) { s.double() }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_counts(
        "trait Ext { fn double(&self) -> i64 { 1 } } pub fn f(s: &Series) { s.double() }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_counts(
        "impl Ext for Series { fn double(&self) -> i64 { 1 } } pub fn f(s: &Series) { Ext::double(s) }",
        "{ 1 }",
        "{ 2 }",
    );
    edit_is_nothing(
        "impl Ext for Series { fn double(&self) -> i64 { 1 } } pub fn f(s: &Series) { s.single() }",
        "{ 1 }",
        "{ 2 }",
    );
    // A method does not reach a function of its name.
    edit_is_nothing("pub fn mean() -> i64 { 1 } pub fn f(s: &Series) { s.mean() }", "{ 1 }", "{ 2 }");
}

#[test]
fn reached_macros_count_whole() {
    let text = "macro_rules! m { (a) => { 1 }; (b) => { g() } } fn g() { 5; } pub fn f() -> i64 { m!(a) }";
    edit_counts(text, "{ 1 }", "{ 2 }");
    edit_counts(text, "5", "6");
    // Of two macros with one name the nearer one counts, so their order does.
    differ(
        "macro_rules! m { () => { 1 } } macro_rules! m { () => { 2 } } pub fn f() -> i64 { m!() }",
        "macro_rules! m { () => { 2 } } macro_rules! m { () => { 1 } } pub fn f() -> i64 { m!() }",
    );
    differ(
        "macro_rules! m { () => { 1 } } pub fn f() -> i64 { m!() } macro_rules! m { () => { 2 } }",
        "macro_rules! m { () => { 1 } } macro_rules! m { () => { 2 } } pub fn f() -> i64 { m!() }",
    );
    // A macro of ours that hides a known one may do anything with a parameter.
    edit_counts(
        "macro_rules! vec { ($x:ident) => { $x() } } pub fn a() -> i64 { 1 } pub fn f(a: i64) { vec![a]; }",
        "-> i64 { 1 }",
        "-> i64 { 2 }",
    );
    edit_counts(
        "use odd::format; pub fn a() -> i64 { 1 } pub fn f(a: i64) { format!(a); }",
        "{ 1 }",
        "{ 2 }",
    );
}

#[test]
fn macro_calls_between_items_count_for_every_node() {
    edit_counts("thread_local! { static X: i64 = 1 } pub fn f() {}", "= 1", "= 2");
    edit_counts("fn g() -> i64 { 1 } make!(g); pub fn f() {}", "{ 1 }", "{ 2 }");
    edit_counts("make!(1); pub fn f() {}", "make!(1);", "");
    let with = |b: &str| of_files(&[("a", "pub fn f() {}"), ("b", b)], &[]).remove("a::f").expect("a node");
    assert_ne!(with("make!(1);"), with("make!(2);"));
    // Other things that make items nobody sees.
    edit_counts("#[strange] struct S(i64); pub fn f() {}", "i64", "i32");
    edit_counts("#[derive(strange::Derive)] pub struct S(i64); pub fn f(s: &S) {}", "i64", "i32");
    edit_counts("const _: () = { impl T for i64 { fn a() { 1; } } }; pub fn f() {}", "1;", "2;");
    edit_counts("fn g() { impl T for i64 { fn a() { 1; } } } pub fn f() {}", "1;", "2;");
    edit_counts("struct S; impl S { make!(1); } pub fn f() {}", "make!(1)", "make!(2)");
    // Docs that a macro may read.
    edit_counts("make! { /// a\n struct S; } pub fn f() {}", "/// a", "/// b");
    edit_counts(
        "#[derive(displaydoc::Display)] /** a */ pub struct S; pub fn f(s: &S) {}",
        "/** a */",
        "/** b */",
    );
    edit_is_nothing(
        "#[derive(Clone, Debug)] /** a */ pub struct S; pub fn f(s: &S) {}",
        "/** a */",
        "/** b */",
    );
}

#[test]
fn attributes_of_the_file_count_for_every_node() {
    edit_counts("#![cfg(unix)] pub fn f() {}", "unix", "windows");
    edit_counts("#[cfg(unix)] mod m { pub fn g() {} } pub fn f() { m::g() }", "unix", "windows");
    edit_counts(
        "mod m { #![recursion_limit = \"1\"] pub fn g() {} } pub fn f() { m::g() }",
        "\"1\"",
        "\"2\"",
    );
}

#[test]
fn contents_of_included_files_count_for_every_node_of_the_file() {
    let with =
        |text: &str, included: &[(&str, &str)]| of_files(&[("a", text), ("b", "pub fn h() {}")], included);
    let text = "fn g() -> &'static str { include_str!(\"q.sql\") } pub fn f() {}";
    let (one, two) = (with(text, &[("/t/q.sql", "1")]), with(text, &[("/t/q.sql", "2")]));
    assert_ne!(one["a::f"], two["a::f"]);
    assert_eq!(one["b::h"], two["b::h"]);
    let text = "fn g() -> &'static [u8] { include_bytes!(concat!(env!(\"D\"), \"/x\")) } pub fn f() {}";
    let (one, two) = (with(text, &[("/x", "1")]), with(text, &[("/x", "2")]));
    assert_ne!(one["a::f"], two["a::f"]);
    let text = "fn z() { 1; } include!(\"more.rs\"); pub fn f() {}";
    let (one, two) =
        (with(text, &[("/t/more.rs", "fn x() { z() }")]), with(text, &[("/t/more.rs", "fn y() { z() }")]));
    assert_ne!(one["a::f"], two["a::f"]);
    let edited = text.replace("1;", "2;");
    assert_ne!(one["a::f"], with(&edited, &[("/t/more.rs", "fn x() { z() }")])["a::f"]);
    let text = "mod more; pub fn f() {}";
    let (one, two) = (with(text, &[("/t/more.rs", "1")]), with(text, &[("/t/more/mod.rs", "2")]));
    assert_ne!(one["a::f"], two["a::f"]);
}

#[test]
fn a_module_that_is_a_source_itself_counts_by_its_names() {
    let with = |b: &str| {
        of_files(&[("a", "pub mod b; pub fn f() {}"), ("b", b)], &[]).remove("a::f").expect("a node")
    };
    assert_eq!(with("pub fn h() {}"), with("pub fn h() { 1; }"));
}

#[test]
fn the_place_of_an_item_counts_where_names_are_resolved_by_it() {
    // The same function in another module sees another `N`.
    differ(
        "mod a { pub const N: i64 = 1; pub fn g() -> i64 { N } } mod b { pub const N: i64 = 2; } pub fn f() -> i64 { g() }",
        "mod a { pub const N: i64 = 1; } mod b { pub const N: i64 = 2; pub fn g() -> i64 { N } } pub fn f() -> i64 { g() }",
    );
    let node = "pub fn f() -> i64 { g() }";
    let a = format!("fn g() -> i64 {{ 1 }} {node}");
    let one = of_files(&[("a", &a), ("b", "fn g() -> i64 { 2 }")], &[]);
    let b = format!("fn g() -> i64 {{ 2 }} {node}");
    let two = of_files(&[("a", "fn g() -> i64 { 1 }"), ("b", &b)], &[]);
    assert_ne!(one["a::f"], two["b::f"]);
    // Recursion is not a call of another function of the name.
    let one = of_files(&[("a", "pub fn f(n: i64) -> i64 { f(n) }")], &[]);
    let two = of_files(&[("a", "fn f(n: i64) -> i64 { f(n) } pub fn g(n: i64) -> i64 { f(n) }")], &[]);
    assert_ne!(one["a::f"], two["a::g"]);
}

#[test]
fn code_that_knows_its_line_counts_by_it() {
    differ("pub fn f() -> u32 { line!() }", "\npub fn f() -> u32 { line!() }");
    differ(
        "fn g() -> u32 { column!() } pub fn f() -> u32 { g() }",
        " fn g() -> u32 { column!() } pub fn f() -> u32 { g() }",
    );
    same("pub fn f() -> u32 { 1 }", "\npub fn f() -> u32 { 1 }");
}

#[test]
fn the_order_of_files_is_nothing() {
    let (a, b) = (("a", "pub fn f() { super::b::g() }"), ("b", "pub fn g() { super::a::h() }"));
    assert_eq!(of_files(&[a, b], &[]), of_files(&[b, a], &[]));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A parameter under another name is the same code.
        #[test]
        fn renaming_a_parameter_changes_nothing(name in "[a-z]{2,6}", body in "[0-9+*() ]{0,10}") {
            prop_assume!(!crate::parse::tokens::is_keyword(&name) && !crate::parse::tokens::is_primitive(&name));
            prop_assume!(!["do", "try", "gen", "box", "yield", "final", "macro", "priv", "become", "typeof", "virtual"].contains(&name.as_str()));
            prop_assume!(crate::parse::lex::lex(&body).is_ok());
            let text = |name: &str| format!("pub fn f({name}: i64) -> i64 {{ g({name}, {body}) }}");
            prop_assert_eq!(of(&text(&name)), of(&text("q")));
        }

        /// Comments and blank lines between tokens are nothing.
        #[test]
        fn comments_change_nothing(gaps in proptest::collection::vec("( |\n|/\\* x \\*/|// y\n)", 12)) {
            let tokens = ["pub", "fn", "f", "(", "a", ":", "i64", ")", "{", "a", "}", ""];
            let text: String = tokens.iter().zip(&gaps).map(|(token, gap)| format!("{token} {gap}")).collect();
            prop_assert_eq!(of(&text), of("pub fn f(a: i64) { a }"));
        }
    }
}

//! What keeps a value alive over a reload, and what does not: one test for each way in which a type can
//! change without TypeId noticing.

use crate::parse::{Included, parse_with};
use crate::source::{SourceFile, Sources};

fn key_with(text: &str, included: &[(&str, &str)]) -> String {
    let mut sources = Sources::default();
    sources.push(SourceFile {
        path: "a.rs".to_owned(),
        absolute: "/t/a.rs".to_owned(),
        text: text.to_owned(),
    });
    let included: Included =
        included.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    parse_with(&sources, &[vec!["a".to_owned()]], &included).type_key
}

#[track_caller]
fn changes(text: &str, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    assert_ne!(key_with(text, &[]), key_with(&text.replace(from, to), &[]), "{text}");
}

#[track_caller]
fn keeps(text: &str, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    assert_eq!(key_with(text, &[]), key_with(&text.replace(from, to), &[]), "{text}");
}

#[test]
fn bodies_of_plain_functions_are_left_out() {
    keeps("pub fn f() -> i64 { 1 }", "{ 1 }", "{ 2 + g(3) }");
    keeps("fn f() -> i64 { let x = vec![1]; format!(\"{x:?}\") }", "vec![1]", "vec![2, 3]");
    keeps("struct S; impl S { fn f() -> i64 { 1 } }", "{ 1 }", "{ 2 }");
    keeps("trait T { fn f() -> i64 { 1 } }", "{ 1 }", "{ 2 }");
    keeps("mod m { pub fn f() -> i64 { 1 } }", "{ 1 }", "{ 2 }");
    keeps("pub async fn f() -> i64 { 1 }", "{ 1 }", "{ 2 }");
}

#[test]
fn docs_comments_and_tests_are_left_out() {
    keeps("/// a\npub fn f() {}", "/// a", "// b");
    keeps("pub struct S { /** a */ x: u8 }", "/** a */", "");
    keeps("#[doc = \"a\"] pub struct S;", "\"a\"", "\"b\"");
    keeps("#[cfg(test)] mod tests { struct S; }", "struct S", "struct T(u8)");
}

#[test]
fn everything_else_counts() {
    changes("pub struct S { a: i64 }", "i64", "f64");
    changes("pub enum E { A, B }", "A, B", "B, A");
    changes("type A = i64; pub struct S { a: A }", "= i64", "= f64");
    changes("const N: usize = 1; pub struct S { a: [u8; N] }", "= 1", "= 2");
    changes("use x::T; pub struct S { a: T }", "x::T", "y::T");
    changes("use x::A as T; pub struct S { a: T }", "A as", "B as");
    changes("struct S; impl Tr for S { type A = i64; }", "i64", "f64");
    changes("macro_rules! m { () => { struct S(i64); } } m!();", "i64", "f64");
    changes("make! { S i64 }", "i64", "f64");
    changes("trait T { fn a(&self); }", "fn a(&self);", "fn a(&self); fn b(&self);");
    changes("trait T { fn a(&self) {} }", "fn a(&self) {}", "fn b(&self) {} fn a(&self) {}");
    changes("pub fn f() -> i64 { 1 }", "-> i64", "-> f64");
    changes("pub fn f(a: i64) {}", "i64", "f64");
    changes("#[repr(C)] pub struct S;", "C", "packed");
    changes("static S: i64 = 1;", "1", "2");
    changes("#![cfg(unix)]", "unix", "windows");
    changes("pub mod more;", "more", "other");
}

#[test]
fn bodies_that_types_can_depend_on_count() {
    changes("const fn n() -> usize { 1 } pub struct S([u8; n()]);", "{ 1 }", "{ 2 }");
    changes("pub fn f() -> B { struct S { a: i64 } Box::new(S) }", "i64", "f64");
    changes("pub fn f() -> B { const N: usize = 1; Box::new([0; N]) }", "= 1", "= 2");
    changes("pub fn f() -> B { use x::T; Box::new(T) }", "x::T", "y::T");
    changes("pub fn f() -> B { make!(S i64); Box::new(S) }", "i64", "f64");
    changes("pub fn f() -> B { Box::new(make!(i64)) }", "i64", "f64");
    changes("pub fn f() -> impl Fn() -> i64 { let a = 1i64; move || a }", "1i64", "(1i64, 2)");
    changes("#[strange] pub fn f() { 1; }", "1;", "2;");
    // An `impl Trait` may hold the future of an async function.
    changes("fn g() -> impl Future { h() } async fn h() { let a = 1i64; x(a).await }", "1i64", "(1i64, 2)");
    changes(
        "macro_rules! vec { ($x:ty) => { struct S($x); } } fn f() -> B { vec![i64]; Box::new(S) }",
        "vec![i64]",
        "vec![f64]",
    );
}

#[test]
fn derives_that_read_docs_count_them() {
    changes("#[derive(displaydoc::Display)] /** a */ pub struct S;", "/** a */", "/** b */");
}

#[test]
fn included_code_counts() {
    let text = "include!(\"t.rs\");";
    assert_ne!(key_with(text, &[("/t/t.rs", "1")]), key_with(text, &[("/t/t.rs", "2")]));
    let text = "mod t;";
    assert_ne!(key_with(text, &[("/t/t.rs", "1")]), key_with(text, &[("/t/t.rs", "2")]));
}

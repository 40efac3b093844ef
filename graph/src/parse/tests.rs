//! What a file contributes, and every form that is refused.

use super::*;
use crate::diagnostic::render;
use crate::source::SourceFile;

fn read(texts: &[&str]) -> (Parsed, Sources) {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let name = format!("m{index}");
        let path = format!("{name}.rs");
        sources.push(SourceFile { absolute: format!("/t/{path}"), path, text: (*text).to_owned() });
        modules.push(vec![name]);
    }
    (parse(&sources, &modules), sources)
}

#[track_caller]
fn functions(text: &str) -> (Vec<FnSpec>, Sources) {
    let (mut parsed, sources) = read(&[text]);
    assert!(parsed.diagnostics.is_empty(), "{}", render(&parsed.diagnostics, &sources, false));
    (parsed.files.remove(0).functions.clone(), sources)
}

/// Code, the text of the primary place, and the message of each problem.
fn problems(text: &str) -> Vec<(String, String, String)> {
    let (parsed, sources) = read(&[text]);
    let one = |it: Diagnostic| {
        let place = it.labels.first().map(|it| sources.text(it.span).to_owned());
        (it.code, place.unwrap_or_default(), it.message)
    };
    parsed.diagnostics.into_iter().map(one).collect()
}

#[track_caller]
fn refused(text: &str, code: &str, place: &str) {
    let problems = problems(text);
    let short: Vec<(&str, &str)> = problems.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    assert_eq!(short, [(code, place)], "{text}");
    let functions = &read(&[text]).0.files[0].functions;
    assert!(functions.iter().all(|it| it.name != "f"), "{text}");
}

#[test]
fn a_function_as_a_spec() {
    let (functions, sources) = functions(
        "use brooklet::prelude::*;\n\n/// Rolling mean.\n///\n///   Indented.\n#[cfg(unix)]\n#[doc = \" More.\"]\n\
         pub async fn avg(spend: &Series, _n: Option<&i64>, r#type: HashMap<String,Vec<u8>>) -> PolarsResult<Series> { x }\n\
         fn helper() {}\npub(crate) fn other() {}\npub fn unit() {}",
    );
    assert_eq!(functions.len(), 2);
    let avg = &functions[0];
    assert_eq!((avg.name.as_str(), avg.path.as_str(), avg.is_async), ("avg", "m0::avg", true));
    assert_eq!(avg.doc, "Rolling mean.\n\n  Indented.\nMore.");
    assert_eq!(avg.cfg, ["#[cfg(unix)]"]);
    assert_eq!(avg.output, "PolarsResult<Series>");
    let params: Vec<_> =
        avg.params.iter().map(|it| (it.name.as_str(), it.ty.as_str(), it.optional)).collect();
    assert_eq!(
        params,
        [
            ("spend", "&Series", false),
            ("n", "Option<&i64>", true),
            ("type", "HashMap<String, Vec<u8>>", false)
        ]
    );
    assert_eq!(sources.text(avg.name_span), "avg");
    assert_eq!(sources.text(avg.output_span), "PolarsResult<Series>");
    assert_eq!(sources.text(avg.params[1].name_span), "_n");
    assert_eq!(sources.text(avg.params[1].ty_span), "Option<&i64>");
    assert!(sources.text(avg.span).starts_with("/// Rolling") && sources.text(avg.span).ends_with("{ x }"));
    assert_eq!(functions[1].output, "()");
    let unit = functions[1].output_span;
    assert_eq!((unit.start, &sources.files[0].text[unit.start as usize..][..2]), (unit.end, " {"));
}

#[test]
fn places_count_bytes_whatever_comes_before() {
    let (functions, sources) = functions("// größe 😀\npub fn größe(ä: &Ü, b: i64) -> Ö { x }");
    assert_eq!(sources.text(functions[0].name_span), "größe");
    assert_eq!(sources.text(functions[0].params[0].ty_span), "&Ü");
    assert_eq!(sources.text(functions[0].params[1].name_span), "b");
    assert_eq!(sources.text(functions[0].output_span), "Ö");
}

#[test]
fn raw_names_and_block_docs() {
    let (functions, _) =
        functions("/**\n * One.\n * Two.\n */\npub fn r#match(mut x: i64, __y: i64, _1: u8) -> r#type { x }");
    assert_eq!((functions[0].name.as_str(), functions[0].path.as_str()), ("match", "m0::r#match"));
    assert_eq!(functions[0].doc, "One.\nTwo.");
    let names: Vec<_> = functions[0].params.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["x", "_y", "_1"]);
}

#[test]
fn types_as_people_read_them() {
    let output = |ty: &str| functions(&format!("pub fn f() -> {ty} {{ x }}")).0[0].output.clone();
    for ty in [
        "Box<dyn Fn(&str, f64) -> f64 + Send + 'static>",
        "[u8; 3]",
        "(i64, f64)",
        "(i64,)",
        "&'static str",
        "HashMap<String, Vec<(u8, u8)>>",
        "std::sync::Arc<dyn Any + Send>",
        "fn(i64) -> i64",
        "<Vec<u8> as IntoIterator>::Item",
        "Box<dyn Iterator<Item = u8>>",
        "*const u8",
        "!",
        "Vec<[f64; N]>",
        "&'static [u8]",
    ] {
        assert_eq!(output(ty), ty);
    }
    assert_eq!(output("Result <\n Vec<u8> , // what\n E,\n>"), "Result<Vec<u8>, E>");
}

#[test]
fn tests_are_no_nodes() {
    let (functions, _) = functions(
        "#[cfg(test)] pub fn a<T>() {} #[test] pub fn b() {} #[cfg(all(unix, test))] pub fn c() {}\n\
         #[cfg(test)] mod tests { pub fn d() {} } #[cfg(any(test, unix))] pub fn e() {} #[cfg(not(test))] pub fn g() {}",
    );
    assert_eq!(functions.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["e", "g"]);
}

#[test]
fn what_has_no_one_type() {
    refused("pub fn f<T>(x: T) {}", "generic-fn", "<T>");
    refused("pub fn f<'a, const N: usize>(x: &'a [u8; N]) {}", "generic-fn", "<'a, const N: usize>");
    refused("pub fn f(x: impl Into<f64>) {}", "impl-trait-parameter", "impl Into<f64>");
    refused("pub fn f(x: &Vec<impl Copy>) {}", "impl-trait-parameter", "impl Copy");
    functions("pub fn f<'a>(x: &'a str, y: Box<dyn Fn(&mut u8) -> &u8>) -> i64 { 1 }");
}

#[test]
fn what_cannot_be_called() {
    refused("pub unsafe fn f() {}", "unsafe-fn", "unsafe");
    refused("pub extern \"C\" fn f() {}", "extern-fn", "extern \"C\"");
    refused("pub fn f(x: &mut i64) {}", "mut-parameter", "&mut i64");
    refused("pub fn f(x: Option<&mut i64>) {}", "mut-parameter", "&mut i64");
}

#[test]
fn what_lives_too_short() {
    refused("pub fn f(x: &str) -> &str { x }", "borrowed-return", "&str");
    refused("pub fn f<'a>(x: &'a str) -> Cow<'a, str> { x }", "borrowed-return", "'a");
    refused("pub fn f(x: &str) -> Result<Cow<'_, str>, E> { x }", "borrowed-return", "'_");
    refused("pub fn f(x: &str) -> impl Fn() { x }", "borrowed-return", "impl Fn()");
    functions("pub fn f(x: &str) -> &'static str { x }");
    functions("pub fn f(x: &str) -> Box<dyn Fn(&str) -> &str> { x }");
    functions("pub fn f(x: &str) -> Box<dyn for<'a> Tr<'a>> { x }");
    functions("pub fn f(x: &str) -> impl Fn() + use<> { x }");
    functions("pub fn f(x: f64) -> impl Fn() { x }");
}

#[test]
fn a_file_that_is_nested_too_deeply_is_told_and_counts_as_empty() {
    for open in ["(", "[", "{", "vec![", "` (", "Some(["] {
        let deep = format!("pub fn f() -> f64 {{ {}", open.repeat(50_000));
        let (parsed, sources) = read(&[&deep, "pub fn g() -> f64 { 1.0 }"]);
        let codes: Vec<&str> = parsed.diagnostics.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["nested-too-deeply"], "{open}");
        let place = parsed.diagnostics[0].labels[0].span;
        assert!(["(", "[", "{"].contains(&sources.text(place)), "{open}");
        assert!(parsed.files[0].functions.is_empty(), "{open}");
        assert_eq!(parsed.files[1].functions.len(), 1, "{open}");
        assert_eq!(modules::declared(&deep), [], "{open}");
    }
}

#[test]
fn what_names_no_node() {
    refused("pub fn f((a, b): (u8, u8)) {}", "pattern-parameter", "(a, b)");
    refused("pub fn f(_: u8) {}", "pattern-parameter", "_");
    refused("pub fn f(ref a: u8) {}", "pattern-parameter", "ref a");
    refused("pub fn f(self) {}", "parse-error", "self");
}

#[test]
fn private_types() {
    refused("struct Split; pub fn f(x: &Split) {}", "private-type", "Split");
    refused("enum Split {} pub fn f() -> Vec<self::Split> { x }", "private-type", "Split");
    refused("trait Tr {} pub fn f(x: Box<dyn Tr>) {}", "private-type", "Tr");
    functions(
        "pub struct A; pub(crate) struct B; type C = A; mod m { struct D; } pub fn f(a: A, b: B, c: C, d: D, e: m::A) {}",
    );
    let problems = problems("struct Split; pub fn f(a: Split, b: Split) -> Split { a }");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].2, "make `Split` pub: `f` shows it to other nodes");
}

#[test]
fn attributes_without_a_meaning_yet() {
    let understood = attributes::UNDERSTOOD;
    for name in attributes::OURS.into_iter().filter(|it| !understood.contains(it)) {
        for path in ["", "brooklet::", "brooklet::prelude::"] {
            let attribute = format!("#[{path}{name}(x = 1)]");
            let text = format!("{attribute}\npub fn g() {{}}");
            let found = problems(&text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("not-yet-supported", attribute.as_str()));
        }
    }
    // On helpers and in modules too: nothing of ours is ignored.
    let misplaced = |text: &str| problems(text).into_iter().map(|it| it.0).collect::<Vec<_>>();
    for text in [
        "#[tag(owner = \"ds\")] fn g() {}",
        "mod m { #[defaults(n = 1)] pub fn g(n: u8) {} }",
        "#[schema(a: i64)] pub struct S;",
        "pub struct S; impl S { #[tag(a = \"b\")] pub fn g() {} }",
        "#[tag(a = \"b\")] #[cfg(test)] pub fn g() {}",
    ] {
        assert_eq!(misplaced(text), ["misplaced-attribute"], "{text}");
    }
    functions("#[node(skip)] fn g() {} #[node(skip)] pub fn h() {}");
    assert_eq!(problems("mod m { #[cache(ignore)] pub fn g() {} }").len(), 1);
    assert_eq!(problems("#[cfg_attr(unix, node(skip))] pub fn g() {}").len(), 1);
    functions("#[clap::config] #[inline] #[allow(dead_code)] #[cfg_attr(unix, inline)] pub fn g() {}");
    refused("pub fn f(x: Vec<u8>) -> Parallel<u8> { x }", "not-yet-supported", "Parallel<u8>");
    refused("pub fn f(x: brooklet::Collect<u8>) {}", "not-yet-supported", "Collect<u8>");
    refused("pub fn f(#[cfg(unix)] x: u8) {}", "not-yet-supported", "#[cfg(unix)]");
    let many: String = (0..17).map(|it| format!("x{it}: u8,")).collect();
    refused(&format!("pub fn f({many}) {{}}"), "not-yet-supported", "f");
}

#[test]
fn functions_in_modules_are_helpers() {
    functions("mod helpers { pub fn go() {} } pub mod m { fn a() {} pub(super) fn b() {} }");
    let problems = problems("pub mod m { pub fn go<T>() {} }");
    assert_eq!((problems[0].0.as_str(), problems[0].1.as_str()), ("nested-fn", "go"));
}

#[test]
fn a_broken_file_spoils_no_other() {
    let (parsed, sources) =
        read(&["pub fn a() {", "pub fn b() {}", "pub fn c(x: ) {} pub fn d() {}", "pub fn e( {}"]);
    let names: Vec<Vec<&str>> =
        parsed.files.iter().map(|it| it.functions.iter().map(|it| it.name.as_str()).collect()).collect();
    assert_eq!(names, [vec![], vec!["b"], vec!["d"], vec![]]);
    insta::assert_snapshot!(render(&parsed.diagnostics, &sources, false), @"
        error[parse-error]: this bracket is never closed
           ╭─[ m0.rs:1:12 ]
           │
         1 │ pub fn a() {
        ───╯

        error[parse-error]: the signature ends too early: expected one of: `for`, parentheses, `fn`, `unsafe`, `extern`, identifier, `::`, `<`, `dyn`, square brackets, `*`, `&`, `!`, `impl`, `_`, lifetime
           ╭─[ m2.rs:1:13 ]
           │
         1 │ pub fn c(x: ) {} pub fn d() {}
        ───╯

        error[parse-error]: this bracket is never closed
           ╭─[ m3.rs:1:9 ]
           │
         1 │ pub fn e( {}
        ───╯
        ");
}

#[test]
fn all_faults_of_one_function_at_once() {
    let found = problems("struct S; pub unsafe fn f<T>((a, b): &mut S, c: impl Copy) -> &S { c }");
    let mut codes: Vec<&str> = found.iter().map(|it| it.0.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "borrowed-return",
            "generic-fn",
            "impl-trait-parameter",
            "mut-parameter",
            "pattern-parameter",
            "private-type",
            "unsafe-fn"
        ]
    );
}

#[test]
fn every_refusal_has_a_hint() {
    for text in [
        "pub fn f<T>() {}",
        "pub unsafe fn f() {}",
        "pub extern fn f() {}",
        "pub fn f(x: &mut u8) {}",
        "pub fn f(x: impl Copy) {}",
        "pub fn f(x: &u8) -> &u8 { x }",
        "pub fn f(_: u8) {}",
        "struct S; pub fn f(x: S) {}",
        "#[node(skip)] pub fn f() {}",
        "pub mod m { pub fn f() {} }",
    ] {
        let (parsed, _) = read(&[text]);
        assert!(parsed.diagnostics.iter().all(|it| !it.hints.is_empty()), "{text}");
    }
}

#[test]
fn included_files_are_listed() {
    let (parsed, _) =
        read(&["const Q: &str = include_str!(\"../sql/q.sql\"); mod more; #[path = \"x/y.rs\"] mod other;"]);
    assert_eq!(parsed.includes, ["/sql/q.sql", "/t/more.rs", "/t/more/mod.rs", "/t/x/y.rs"]);
}

#[test]
fn deep_and_long_input_is_no_trouble() {
    read(&[&format!("pub fn f(x: {}u8) {{}}", "&".repeat(3_900))]);
    read(&[&format!("pub fn f(x: {}u8) {{}}", "&".repeat(100_000))]);
    read(&[&format!("pub fn f(x: {}u8{}) {{}}", "Vec<".repeat(900), ">".repeat(900))]);
    read(&[&"(".repeat(100_000)]);
    read(&[&"#[a]".repeat(20_000)]);
    read(&[&"1".repeat(100_000)]);
}

/// Not a limit, but what the time goes to is worth seeing: `cargo test -- --nocapture many_functions`.
#[test]
fn many_functions() {
    let mut sources = Sources::default();
    let mut modules = Vec::new();
    for file in 0..50 {
        let mut text = String::from("use brooklet::prelude::*;\nfn helper(x: f64) -> f64 { x * 2.0 }\n");
        for number in 0..100 {
            let index = file * 100 + number;
            text.push_str(&format!(
                "/// Node {index}.\npub fn n{index}(n{before}: &Series, other: Option<&f64>) -> PolarsResult<Series> {{\n    \
                 let factor = other.copied().unwrap_or(1.0);\n    let scaled = n{before}.cast(&DataType::Float64)?;\n    \
                 let sum: f64 = scaled.f64()?.into_iter().flatten().map(|it| it * factor).sum();\n    \
                 if sum > 0.0 {{\n        println!(\"{{sum}} {{}}\", helper(sum));\n    }}\n    Ok(scaled)\n}}\n",
                before = index + 1
            ));
        }
        sources.push(SourceFile { path: format!("f{file}.rs"), absolute: format!("/t/f{file}.rs"), text });
        modules.push(vec![format!("f{file}")]);
    }
    let start = std::time::Instant::now();
    let parsed = parse(&sources, &modules);
    let parsing = start.elapsed();
    let (graph, diagnostics) =
        crate::graph::build(&parsed.files, &sources, &crate::graph::Options::default());
    println!("parse {parsing:?}, parse and build {:?}", start.elapsed());
    assert_eq!((graph.nodes.len(), diagnostics.len(), parsed.diagnostics.len()), (5002, 0, 0));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in "\\PC{0,80}|(pub |fn |f|\\(|\\)|\\{|\\}|\\[|\\]|<|>|,|:|;|&|'a |mut |impl |struct |use |mod |a|#|!|\\*|::|as |-> |const |\n|///x\n|\"|macro_rules!|= |extern |unsafe |async |trait |self|include_str!\\(\"x\"\\)){0,40}") {
            let (parsed, sources) = read(&[&text, "pub fn other(x: i64) -> i64 { x }"]);
            prop_assert_eq!(parsed.files[1].functions.len(), 1);
            render(&parsed.diagnostics, &sources, false);
            for function in &parsed.files[0].functions {
                prop_assert_eq!(sources.text(function.name_span), function.path.rsplit("::").next().unwrap_or_default());
                prop_assert_eq!(function.fingerprint.len(), 64);
            }
            crate::graph::build(&parsed.files, &sources, &crate::graph::Options::default());
        }
    }
}

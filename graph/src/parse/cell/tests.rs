use super::*;

fn scope() -> CellScope {
    let function = |path: &str, arity| Binding::Function { path: path.to_owned(), arity, is_async: false };
    let mut nodes = IndexMap::new();
    nodes.insert("orders".to_owned(), function("shop::orders", 0));
    nodes.insert("spend_mean".to_owned(), function("marketing::spend_mean", 1));
    let fetched = Binding::Function { path: "model::fetched".to_owned(), arity: 1, is_async: true };
    nodes.insert("fetched".to_owned(), fetched);
    let spend = Binding::Input { consumer_path: "marketing::avg".to_owned(), arity: 2, parameter: 1 };
    nodes.insert("spend".to_owned(), spend);
    nodes.insert("type".to_owned(), function("m::r#type", 0));
    CellScope { nodes, crate_name: "GEN".to_owned() }
}

fn plan(code: &str) -> (String, Vec<String>, Vec<String>) {
    plan_with(code, &[])
}

fn plan_with(code: &str, variables: &[&str]) -> (String, Vec<String>, Vec<String>) {
    let variables: Vec<String> = variables.iter().map(|it| (*it).to_owned()).collect();
    match rewrite(code, &scope(), &variables) {
        CellPlan::Rust { code, uses, shadowed } => (without_marks(&code), uses, shadowed),
        other => panic!("{code}: {other:?}"),
    }
}

/// Without what tells the cell's own output; `the_cells_own_output_is_marked` looks at that.
fn without_marks(code: &str) -> String {
    code.replace("brooklet::cell::began(); ", "").replace(" brooklet::cell::ended();", "")
}

fn uses(code: &str) -> Vec<String> {
    plan(code).1
}

#[test]
fn bare_names_compile_nothing() {
    let bare = |code: &str| match rewrite(code, &scope(), &["x".to_owned(), "fetched".to_owned()]) {
        CellPlan::Bare { names } => names.join(" "),
        other => format!("{other:?}").split_once(' ').map_or(String::new(), |it| it.0.to_owned()),
    };
    assert_eq!(bare("spend"), "spend");
    assert_eq!(bare(" spend, orders // both\n"), "spend orders");
    assert_eq!(bare("(spend, spend_mean,)"), "spend spend_mean");
    assert_eq!(bare("(orders)"), "orders");
    assert_eq!(bare("r#type"), "type");
    assert_eq!(bare("spend;"), "Rust");
    assert_eq!(bare("spend, unknown"), "Rust");
    assert_eq!(bare("fetched"), "Rust");
    assert_eq!(rewrite(" // nothing\n", &scope(), &[]), CellPlan::Nothing);
    assert_eq!(rewrite("", &scope(), &[]), CellPlan::Nothing);
}

#[test]
fn the_last_expression_is_shown() {
    let (code, uses, _) = plan("spend.max::<f64>()?.unwrap_or(0.0) / spend_mean");
    insta::assert_snapshot!(code, @r#"{ let spend = brooklet::bind_input!(p2_1, GEN::marketing::avg, "spend"); let spend_mean = brooklet::bind_node!(r1, GEN::marketing::spend_mean, "spend_mean"); brooklet::show!(brooklet::raise!(spend.max::<f64>())?.unwrap_or(0.0) / spend_mean); };"#);
    assert_eq!(uses, ["spend", "spend_mean"]);
    assert_eq!(plan("1 + 1").0, "brooklet::show!(1 + 1);");
    assert_eq!(plan("vec![1]").0, "brooklet::show!(vec![1]);");
    assert_eq!(plan("1 + 1;").0, "1 + 1;");
}

#[test]
fn the_cells_own_output_is_marked() {
    let marked = |code: &str| match rewrite(code, &scope(), &[]) {
        CellPlan::Rust { code, .. } => code,
        other => panic!("{code}: {other:?}"),
    };
    let (began, ended) = ("brooklet::cell::began();", "brooklet::cell::ended();");
    assert_eq!(marked("1 + 1"), format!("{began} brooklet::show!(1 + 1); {ended}"));
    assert_eq!(marked("f()?;"), format!("{began} brooklet::raise!(f())?; {ended}"));
    assert_eq!(
        marked("use a::b;\n/// Doc.\nfn f() {}\nlet x = 1; // one\nfn g() {}\nf();\nstruct S;\n"),
        format!(
            "use a::b;\n/// Doc.\nfn f() {{}}\n{began} let x = 1; // one\nfn g() {{}}\nf(); {ended}\nstruct S;\n"
        )
    );
    for items in ["fn f() {}", "use a::b;", "thread_local! { static A: u8 = 1; }"] {
        assert_eq!(marked(items), items);
    }
}

#[test]
fn let_is_wrapped_at_its_value() {
    insta::assert_snapshot!(plan("let x = orders.height();").0, @r#"let x = { let orders = brooklet::bind_node!(r0, GEN::shop::orders, "orders"); orders.height() };"#);
    insta::assert_snapshot!(plan("let (mut a, b): (f64, i64) = (spend_mean, 1);").0, @r#"let (mut a, b): (f64, i64) = { let spend_mean = brooklet::bind_node!(r1, GEN::marketing::spend_mean, "spend_mean"); (spend_mean, 1) };"#);
    insta::assert_snapshot!(plan("let Some(x) = orders.first() else { panic!(\"{spend_mean}\") };").0, @r#"let Some(x) = ({ let orders = brooklet::bind_node!(r0, GEN::shop::orders, "orders"); orders.first() }) else { let spend_mean = brooklet::bind_node!(r1, GEN::marketing::spend_mean, "spend_mean");  panic!("{spend_mean}") };"#);
    assert_eq!(plan("let x = 1;").0, "let x = 1;");
}

#[test]
fn a_question_mark_that_can_end_the_cell_keeps_its_error() {
    assert_eq!(plan("a()?.b(c?)?;").0, "brooklet::raise!(brooklet::raise!(a())?.b(brooklet::raise!(c)?))?;");
    assert_eq!(plan("let x: i64 = s.parse()?;").0, "let x: i64 = brooklet::raise!(s.parse())?;");
    assert_eq!(
        plan("let x = orders?;").0,
        "let x = { let orders = brooklet::bind_node!(r0, GEN::shop::orders, \"orders\"); brooklet::raise!(orders)? };"
    );
    assert_eq!(
        plan("for i in f()? { g(i)?; };").0,
        "for i in brooklet::raise!(f())? { brooklet::raise!(g(i))?; };"
    );
    for code in
        ["let f = |x: A| x.b()?;", "async { a()? };", "fn f() -> A { Ok(a()?) }", "println!(\"{}\", a()?);"]
    {
        assert_eq!(plan(code).0, code);
    }
}

#[test]
fn lines_stay_where_they_are() {
    let code = "// comment\nlet a = orders\n    .height();\n\nfor i in 0..a {\n    println!(\"{i} {spend_mean}\");\n}\na + 1 // end\n";
    let (rewritten, uses, _) = plan(code);
    insta::assert_snapshot!(rewritten, @r#"
        // comment
        let a = { let orders = brooklet::bind_node!(r0, GEN::shop::orders, "orders"); orders
            .height() };

        { let spend_mean = brooklet::bind_node!(r1, GEN::marketing::spend_mean, "spend_mean"); for i in 0..a {
            println!("{i} {spend_mean}");
        } };
        brooklet::show!(a + 1); // end
        "#);
    assert_eq!(uses, ["orders", "spend_mean"]);
    assert_eq!(rewritten.lines().count(), code.lines().count());
}

#[test]
fn async_nodes_and_raw_names() {
    insta::assert_snapshot!(plan("let a = (fetched, r#type);").0, @r#"let a = { let fetched = brooklet::bind_future!(r1, GEN::model::fetched, "fetched"); let r#type = brooklet::bind_node!(r0, GEN::m::r#type, "type"); (fetched, r#type) };"#);
}

#[test]
fn what_counts_as_a_node() {
    assert_eq!(uses("df!(\"a\" => spend)?"), ["spend"]);
    assert_eq!(
        uses("println!(\"{orders} {spend_mean:?} {:.spend$}\", 1.0);"),
        ["orders", "spend_mean", "spend"]
    );
    assert_eq!(uses("println!(\"{{orders}} \\u{5e}\");"), Vec::<String>::new());
    assert_eq!(uses("let f = || spend.len();"), ["spend"]);
    assert_eq!(uses("S { a: spend, orders }"), ["spend", "orders"]);
    assert_eq!(uses("let s = &orders[0..spend];"), ["orders", "spend"]);
    assert_eq!(uses("if let Some(x) = spend { x } else { spend_mean }"), ["spend", "spend_mean"]);
    assert_eq!(uses("x = spend_mean;"), ["spend_mean"]);
    assert_eq!(uses("vec![spend_mean; 3].iter().map(|it| it * spend).sum::<f64>()"), ["spend_mean", "spend"]);
    assert_eq!(uses("assert!(0..spend, \"x\");"), ["spend"]);
}

#[test]
fn what_counts_as_no_node() {
    for code in [
        "spend(1)",
        "a.spend + a.orders()",
        "spend::f() + a::spend",
        "let z = S { spend: 1 };",
        "json!({ spend: 1, a: x.orders, b: orders(), c: spend::x });",
        "let f = |spend: f64| spend + 1.0;",
        "let f = |(spend, _)| { spend };",
        "for spend in 0..3 { f(spend); }",
        "match x { Some(spend) if spend > 1 => spend, orders => orders };",
        "if let Some(spend) = x { spend } else { y }",
        "while let Some(orders) = it.next() { g(orders); }",
        "{ let orders = 1; orders };",
        "fn spend() -> f64 { orders }",
        "use a::spend;",
        "format!(\"{spend}\", spend = 3);",
        "spend!(3);",
        "let x = \"{spend}\";",
        "const A: f64 = 1.0;",
    ] {
        assert_eq!(uses(code), Vec::<String>::new(), "{code}");
    }
}

#[test]
fn a_variable_wins_and_the_cell_says_so() {
    let (code, uses, shadowed) = plan("let spend = spend.len();\nlet y = spend + orders;");
    insta::assert_snapshot!(code, @r#"
        let spend = { let spend = brooklet::bind_input!(p2_1, GEN::marketing::avg, "spend"); spend.len() };
        let y = { let orders = brooklet::bind_node!(r0, GEN::shop::orders, "orders"); spend + orders };
        "#);
    assert_eq!((uses, shadowed), (vec!["spend".to_owned(), "orders".to_owned()], vec!["spend".to_owned()]));
    let (code, uses, shadowed) = plan_with("spend", &["spend"]);
    assert_eq!(code, "brooklet::show!(spend);");
    assert_eq!((uses, shadowed), (vec![], vec!["spend".to_owned()]));
}

#[test]
fn what_cannot_be_read_goes_to_the_compiler_as_it_is() {
    for code in ["let x = ;", "spend +", "let y = \"abc", "a b c spend"] {
        assert_eq!(plan(code), (code.to_owned(), vec![], vec![]), "{code}");
    }
    let deep = format!("{}1", "!".repeat(15_000));
    assert!(plan(&deep).0.starts_with("brooklet::show!(!!!"));
    let too_much = "-".repeat(100_000);
    assert_eq!(plan(&too_much).0, too_much);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics_and_keeps_every_line(code in "\\PC{0,60}|([a-z =;(){}|&.,\"!\n]|spend|orders|let |fn ){0,40}") {
            if let CellPlan::Rust { code: rewritten, .. } = rewrite(&code, &scope(), &[]) {
                prop_assert_eq!(rewritten.matches('\n').count(), code.matches('\n').count());
            }
            completeness(&code);
            for at in 0..=code.len() {
                identifier_at(&code, at);
                position_at(&code, at);
            }
        }
    }
}

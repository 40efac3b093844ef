//! Cells and their mistakes.

use std::time::{Duration, Instant};

use super::*;

fn titles(cell: &Cell) -> Vec<String> {
    cell.magics.iter().map(|it| it.magic.title()).collect()
}

/// The message of the mistake in a cell, with what it points at.
#[track_caller]
fn mistake(code: &str) -> (String, String) {
    let error = parse(code).expect_err(code);
    (error.message, error.line[error.place].to_owned())
}

#[test]
fn magics_stand_at_the_top_and_the_rest_is_code() {
    let cell = parse("\n// first\n%input a=1\n\n%run total\nlet x = 1;\nx % 2\n").unwrap();
    assert_eq!(titles(&cell), ["%input", "%run"]);
    assert_eq!(cell.body, "let x = 1;\nx % 2\n");
    assert_eq!(cell.body_start, 33);
}

#[test]
fn comments_before_code_belong_to_the_code() {
    let cell = parse("// note\nlet x = 1;").unwrap();
    assert_eq!((cell.magics.len(), &*cell.body), (0, "// note\nlet x = 1;"));
    let cell = parse("%run a\n// note\nspend").unwrap();
    assert_eq!(cell.body, "// note\nspend");
}

#[test]
fn a_magic_goes_on_while_a_bracket_is_open_or_after_a_backslash() {
    let cell = parse("%input a=[1,\n  2] b=3\n%run \\\n  x \\\n  y\nz").unwrap();
    assert_eq!(cell.magics[0].pairs().unwrap(), [("a".into(), "[1,\n  2]".into()), ("b".into(), "3".into())]);
    assert_eq!(cell.magics[1].texts(), ["x", "y"]);
    assert_eq!(cell.body, "z");
}

#[test]
fn a_cell_magic_takes_the_whole_cell() {
    let cell = parse("%%transform prices --write 'my prices.rs'\n%run is_not_a_magic_here\n").unwrap();
    assert_eq!(titles(&cell), ["%%transform"]);
    assert_eq!(cell.magics[0].texts(), ["prices"]);
    assert_eq!(cell.magics[0].value("--write").unwrap(), "my prices.rs");
    assert_eq!(cell.body, "%run is_not_a_magic_here\n");
    let (message, at) = mistake("%run a\n%%transform x\n");
    assert_eq!((&*message, &*at), ("`%%transform` must be the first line of its cell", "%%transform"));
}

#[test]
fn options_of_run() {
    let cell = parse("%run a b --as json --input x=[1, 2] --override=y=2 --input z=\"q r\"").unwrap();
    let call = &cell.magics[0];
    assert_eq!(call.texts(), ["a", "b"]);
    assert_eq!(call.value("--as").unwrap(), "json");
    assert_eq!(
        call.option_pairs("--input").unwrap(),
        [("x".into(), "[1, 2]".into()), ("z".into(), "\"q r\"".into())]
    );
    assert_eq!(call.option_pairs("--override").unwrap(), [("y".into(), "2".into())]);
}

#[test]
fn options_of_dag() {
    let cell = parse("%dag s --up 2 --path a b --collapse x.rs y.rs t --lr -o 'out dir/g.svg'").unwrap();
    let call = &cell.magics[0];
    assert_eq!(call.texts(), ["s", "t"]);
    assert_eq!(call.number("--up"), Some(2));
    assert_eq!(call.values("--path"), ["a", "b"]);
    assert_eq!(call.values("--collapse"), ["x.rs", "y.rs"]);
    assert!(call.flag("--lr") && !call.flag("--tb"));
    assert_eq!(call.value("-o").unwrap(), "out dir/g.svg");
}

#[test]
fn each_mistake_is_named_and_pointed_at() {
    let cases = [
        ("%rum a", "there is no magic `%rum`, did you mean `%run`?", "%rum"),
        ("%%run a", "`%%run` is written `%run`", "%%run"),
        ("%transform a", "`%transform` is written `%%transform`", "%transform"),
        ("%xyzzy", "there is no magic `%xyzzy`", "%xyzzy"),
        ("% run", "a magic's name must follow the `%`", "%"),
        ("%run", "%run needs the name of a node", "%run"),
        ("%run a --az json", "`--az` is not an option of %run, did you mean `--as`?", "--az"),
        ("%source a --up 3", "%source has no options, but `--up` looks like one", "--up"),
        ("%run a --as xml", "`--as` takes frame, dict, json, not `xml`", "xml"),
        ("%run a --as", "`--as` lacks its value: `--as frame|dict|json`", "--as"),
        ("%run a --as --input x=1", "`--as` lacks its value: `--as frame|dict|json`", "--as"),
        ("%run a --as json --as dict", "`--as` is given twice", "--as"),
        ("%run a x=1", "`x=1` is not the name of a node", "x=1"),
        ("%run a, b", "`a,` is not the name of a node", "a,"),
        ("%run a --input x", "`x` is not of the form `k=v`", "x"),
        ("%run a --input x=", "`x=` lacks its value", "x="),
        ("%run a --input x=1 --input x=2", "`x` is given twice", "x=2"),
        ("%dag --up many", "`--up` takes a whole number, not `many`", "many"),
        ("%dag --up -1", "`--up` takes a whole number, not `-1`", "-1"),
        ("%dag --path a", "`--path` lacks its value: `--path A B`", "--path"),
        ("%dag --lr=yes", "`--lr` takes no value", "--lr=yes"),
        ("%input a=1 b", "`b` is not of the form `k=v`", "b"),
        ("%input a = 1", "`a` is not of the form `k=v`", "a"),
        ("%input a=1 a=2", "`a` is given twice", "a=2"),
        ("%input 1a=1", "`1a` cannot be the name of an input", "1a=1"),
        ("%input =1", "`=1` lacks a name before the `=`", "=1"),
        ("%input a=[1, 2", "the bracket `[` is never closed", "["),
        ("%input a=\"x y", "the quote `\"` is never closed", "\""),
        ("%source", "%source needs the name of a node", "%source"),
        ("%source a b", "%source takes one argument, but got `b` too", "b"),
        ("%head a few", "%head takes a whole number of rows, not `few`", "few"),
        ("%head a 1 2", "%head takes a node and a number, but got `2` too", "2"),
        ("%restart now", "%restart takes no argument, but got `now`", "now"),
        ("%live maybe", "%live takes on or off, not `maybe`", "maybe"),
        ("%%transform", "%%transform needs NAME", "%%transform"),
    ];
    for (code, message, at) in cases {
        if matches!(code, "%run a --input x=1 --input x=2") {
            let error = parse(code).unwrap().magics[0].option_pairs("--input").unwrap_err();
            assert_eq!((&*error.message, &error.line[error.place]), (message, at));
            continue;
        }
        assert_eq!(mistake(code), (message.to_owned(), at.to_owned()), "{code}");
    }
}

#[test]
fn hints_say_what_to_write() {
    let hint = |code: &str| parse(code).unwrap_err().hint.unwrap_or_default();
    assert_eq!(hint("%run a x=1"), "give an input as `--input x=1`");
    assert_eq!(hint("%run a, b"), "part names by spaces");
    assert!(hint("%input a = 1").starts_with("no spaces around `=`"));
    assert_eq!(
        parse("%run").unwrap_err().usage,
        "%run TARGET… [--as frame|dict|json] [--rows N] [--input k=v]… [--override k=v]… [--recompute NODE…] [--all]"
    );
}

#[test]
fn an_unclosed_bracket_does_not_swallow_the_cell() {
    let error = parse("%input a=[1\n%run b\nlet x = 1;").unwrap_err();
    assert_eq!(error.line, "%input a=[1");
}

#[test]
fn a_magic_below_code_is_a_mistake_and_the_operator_is_not() {
    let (message, at) = mistake("spend\n%run x");
    assert_eq!((&*message, &*at), ("`%run` stands below code; magics stand at the top of a cell", "%run"));
    assert!(parse("let a = 7\n% run;").is_ok());
    assert!(parse("let a = 7\n  %run;").is_ok());
}

#[test]
fn an_empty_value_takes_an_input_back() {
    assert_eq!(parse("%input a=").unwrap().magics[0].pairs().unwrap(), [("a".to_owned(), String::new())]);
}

#[test]
fn time_keeps_the_rest_of_its_line() {
    let cell = parse("%time %run a --as json").unwrap();
    assert_eq!(cell.magics[0].rest, "%run a --as json");
}

#[test]
fn nothing_at_all_is_a_cell() {
    assert_eq!(parse("").unwrap(), Cell::default());
    assert_eq!(parse(" \n\n").unwrap().magics.len(), 0);
}

#[test]
fn a_magic_is_open_while_a_bracket_is() {
    for open in ["%input a=[1,", "%input a=[1,\n 2,", "%config x=1\n%input a={b = 1,", "%run a \\"] {
        assert!(is_open(open), "{open}");
    }
    for closed in
        ["%input a=[1]", "%run a\nlet x = [1,", "%input a=\"[", "let x = [", "%%transform a\npub fn a(", ""]
    {
        assert!(!is_open(closed), "{closed}");
    }
}

#[test]
fn a_magic_that_is_nested_too_deeply_is_refused_at_once_and_waits_for_nothing() {
    const DEEP: usize = 50_000;
    let began = Instant::now();
    for (open, close) in [("[", "]"), ("{a:", "}"), ("{a=", "}"), ("(", ")"), ("{a:\n", "}"), ("[\n", "]\n")]
    {
        for magic in ["%config", "%input", "%run x --input"] {
            for text in [open.repeat(DEEP), format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP))] {
                let code = format!("{magic} a={text}");
                let error = parse(&code).expect_err(open);
                let name = magic.split(' ').next().unwrap_or_default();
                assert_eq!(error.message, format!("the brackets after {name} are nested more than 64 deep"));
                assert_eq!(&error.line[error.place], &open[..1], "{magic} {open}");
                assert!(error.line.len() < 120, "{}", error.line);
                assert!(!is_open(&code), "{magic} {open}");
            }
        }
    }
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn many_magics_that_are_never_closed_are_cut_in_one_pass() {
    let began = Instant::now();
    let error = parse(&"%input a=[1\n".repeat(20_000)).unwrap_err();
    assert_eq!(error.message, "the brackets after %input are nested more than 64 deep");
    assert!(parse(&format!("%input a=[1\n{}", "%input b=1\n".repeat(20_000))).is_err());
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_literal_may_stand_on_many_lines() {
    let value = format!("[\n{}]", "  [1, \"]\"],\n".repeat(1_000));
    let cell = parse(&format!("%input a={value} b=2\n1 + 1")).unwrap();
    assert_eq!(cell.magics[0].pairs().unwrap(), [("a".into(), value), ("b".into(), "2".into())]);
    assert_eq!(cell.body, "1 + 1");
}

#[test]
fn what_is_timed_is_timed_so_often_that_it_comes_to_an_end() {
    for code in ["%time ".repeat(50_000), "%%time\n".repeat(50_000), "%time\n%config a=1\n".repeat(50_000)] {
        let (message, _) = mistake(&code);
        assert_eq!(message, "a cell can be timed at most 16 times over");
    }
    assert!(parse(&"%time %run a\n".repeat(100)).is_ok());
    assert!(parse("%%time\n%time\n%time %time 1").is_ok());
}

#[test]
fn an_excerpt_is_as_long_as_one_looks() {
    assert_eq!(excerpt("let é = (1);", 9), ("let é = (1);".to_owned(), 9));
    assert_eq!(excerpt("a\nb(c\nd", 3), ("b(c".to_owned(), 1));
    let long = format!("{}({}", "é".repeat(100), "ü".repeat(100));
    let (shown, at) = excerpt(&long, 200);
    assert_eq!(shown, format!("…{}({}…", "é".repeat(40), "ü".repeat(19)));
    assert_eq!(&shown[at..at + 1], "(");
}

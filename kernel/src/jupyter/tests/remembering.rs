//! `history_request`, and what is kept for later sessions.

use serde_json::{Value as Json, json};

use super::frontend::{Frontend, TestKernel};
use crate::jupyter::history::{Entry, Glob, History, append};

fn run(frontend: &Frontend, codes: &[&str]) {
    for code in codes {
        let cell = frontend.execute(code);
        frontend.busy(&cell);
        let count = frontend.expect(&cell, "execute_input")["execution_count"].as_u64().unwrap();
        if code.starts_with("echo") {
            frontend.expect(&cell, "execute_result");
        }
        frontend.ends_well(&cell, count);
    }
}

#[track_caller]
fn history(frontend: &Frontend, request: &Json) -> Json {
    let reply = frontend.ask("history_request", request);
    assert_eq!(reply["status"], "ok");
    reply["history"].clone()
}

#[test]
fn tail_range_and_search() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    run(&frontend, &["echo 1", "echo 2", "", "echo 1"]);
    let ask = |request: Json| history(&frontend, &request);

    assert_eq!(
        ask(json!({ "hist_access_type": "tail", "n": 2, "raw": true })),
        json!([[1, 3, ""], [1, 4, "echo 1"]])
    );
    assert_eq!(
        ask(json!({ "hist_access_type": "tail", "n": 2, "output": true })),
        json!([[1, 3, ["", null]], [1, 4, ["echo 1", "1"]]])
    );
    // The least that is sent.
    assert_eq!(ask(json!({})).as_array().unwrap().len(), 4);
    assert_eq!(ask(json!({ "hist_access_type": "tail", "n": null })).as_array().unwrap().len(), 4);

    let range = |session: i64, start: i64, stop: Json| {
        ask(json!({ "hist_access_type": "range", "session": session, "start": start, "stop": stop }))
    };
    assert_eq!(range(1, 2, json!(3)), json!([[1, 2, "echo 2"]]));
    assert_eq!(range(0, 3, json!(null)), json!([[1, 3, ""], [1, 4, "echo 1"]]));
    assert_eq!(range(0, -2, json!(-1)), json!([[1, 3, ""]]));
    assert_eq!(range(7, 1, json!(9)), json!([]));
    assert_eq!(range(-1, 1, json!(9)), json!([]));

    let search = |pattern: &str, rest: Json| {
        let mut request = json!({ "hist_access_type": "search", "pattern": pattern });
        request.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        ask(request)
    };
    assert_eq!(search("e?ho [1]*", json!({})), json!([[1, 1, "echo 1"], [1, 4, "echo 1"]]));
    assert_eq!(search("echo*", json!({ "unique": true })), json!([[1, 2, "echo 2"], [1, 4, "echo 1"]]));
    assert_eq!(search("echo*", json!({ "n": 1 })), json!([[1, 4, "echo 1"]]));
    assert_eq!(search("echo", json!({})), json!([]));
}

#[test]
fn later_sessions_remember_inputs() {
    let mut kernel = TestKernel::start();
    run(&kernel.frontend(), &["echo one", ""]);
    let frontend = kernel.frontend();
    frontend.request("shutdown_request", &json!({}));
    frontend.ignore_the_rest();
    kernel.join();
    kernel = TestKernel::start_from(kernel.directory.clone());
    let frontend = kernel.frontend();
    run(&frontend, &["echo two"]);
    assert_eq!(
        history(&frontend, &json!({ "hist_access_type": "tail", "output": true })),
        json!([[1, 1, ["echo one", null]], [1, 2, ["", null]], [2, 1, ["echo two", "two"]]])
    );
    let previous = json!({ "hist_access_type": "range", "session": -1, "start": 1, "stop": 2 });
    assert_eq!(history(&frontend, &previous), json!([[1, 1, "echo one"]]));
}

#[test]
fn the_file_is_bounded_and_forgiving() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.jsonl");
    std::fs::write(&file, b"\xff\xfe torn\n{\"session\":3}\n[]\n").unwrap();
    let entry = |line: i64, input: String| Entry { session: 7, line, input, output: None };
    for line in 0..300 {
        append(&file, &entry(line, "x".repeat(20_000)));
    }
    // Too long to keep.
    append(&file, &entry(999, "y".repeat(100_000)));
    assert!(file.metadata().unwrap().len() > 5_000_000);
    let mut history = History::load(Some(&file));
    assert!(file.metadata().unwrap().len() <= 2 << 20);
    assert_eq!(history.add(1, "next").session, 8);
    // What is kept are the last ones.
    let text = std::fs::read_to_string(&file).unwrap();
    let last: Entry = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last.line, 299);
}

#[test]
fn globs_match_whole_inputs() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("*", "", true),
        ("*", "a\nb", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("?", "é", true),
        ("?", "", false),
        ("[a-c]x", "bx", true),
        ("[a-c]x", "dx", false),
        ("[!a-c]x", "dx", true),
        ("[^a]x", "ax", false),
        ("[]]", "]", true),
        ("[", "[", true),
        ("a[b", "a[b", true),
        // As JupyterLab escapes `f(x[*]?)`.
        ("f(x[[][*]][?])*", "f(x[*]?) + 1", true),
        ("f(x[[][*]][?])*", "f(x[y]?) + 1", false),
        ("*a*b*c*", "xxaxxbxxcxx", true),
        ("[a-]", "-", true),
    ] {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} on {text}");
    }
    // Would take for ever if each star were tried again.
    assert!(!Glob::new(&format!("{}b", "a*".repeat(100))).matches(&"a".repeat(5_000)));
}

//! Completion, inspection, completeness, usage: also while a cell runs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::frontend::TestKernel;
use crate::jupyter::request::{byte_offset, code_points};

#[test]
fn completion_counts_code_points() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    // A crab is four bytes, two UTF-16 units, one code point.
    let content = json!({ "code": "🦀🦀 é日x rest", "cursor_pos": 6 });
    let reply = frontend.ask("complete_request", &content);
    let item =
        |text: &str| json!({ "text": text, "type": "function", "signature": "()", "start": 3, "end": 6 });
    assert_eq!(
        reply,
        json!({
            "status": "ok", "matches": ["é日x_one", "é日x_two"], "cursor_start": 3, "cursor_end": 6,
            "metadata": { "_jupyter_types_experimental": [item("é日x_one"), item("é日x_two")] },
        })
    );
}

#[test]
fn a_cursor_beyond_the_end_is_at_the_end() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for cursor in [json!(99), json!(null)] {
        let reply = frontend.ask("complete_request", &json!({ "code": "ab 🦀", "cursor_pos": cursor }));
        assert_eq!((&reply["cursor_start"], &reply["cursor_end"]), (&json!(3), &json!(4)));
    }
    let reply = frontend.ask("complete_request", &json!({ "code": "ab", "cursor_pos": -1 }));
    assert_eq!(reply["cursor_end"], 0);
}

#[test]
fn inspection_finds_or_says_that_it_does_not() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let content = json!({ "code": "🦀 Vec::new", "cursor_pos": 5, "detail_level": 1 });
    assert_eq!(
        frontend.ask("inspect_request", &content),
        json!({ "status": "ok", "found": true, "data": { "text/plain": "Vec in detail 1" }, "metadata": {} })
    );
    assert_eq!(
        frontend.ask("inspect_request", &json!({ "code": "x ", "cursor_pos": 2 })),
        json!({ "status": "ok", "found": false, "data": {}, "metadata": {} })
    );
}

#[test]
fn completeness_is_complete_incomplete_or_invalid() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let ask = |code: &str| frontend.ask("is_complete_request", &json!({ "code": code }));
    assert_eq!(ask("1"), json!({ "status": "complete", "indent": "" }));
    assert_eq!(ask("fn f() {"), json!({ "status": "incomplete", "indent": "    " }));
    assert_eq!(ask("}"), json!({ "status": "invalid", "indent": "" }));
}

#[test]
fn questions_are_answered_while_a_cell_runs() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("wait");
    frontend.begins(&cell, "wait", 1);
    assert_eq!(frontend.ask("complete_request", &json!({ "code": "a" }))["matches"][0], "a_one");
    assert_eq!(frontend.ask("inspect_request", &json!({ "code": "a" }))["found"], true);
    assert_eq!(frontend.ask("is_complete_request", &json!({ "code": "a" }))["status"], "complete");
    kernel.toy.open();
    frontend.ends_well(&cell, 1);
}

#[test]
fn a_slow_engine_is_not_waited_for() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let start = Instant::now();
    let slow = frontend.request("complete_request", &json!({ "code": "🦀 slow" }));
    frontend.busy(&slow);
    kernel.toy.until_it_waits();
    let stuck = frontend.request("inspect_request", &json!({ "code": "a" }));
    frontend.busy(&stuck);
    let reply = frontend.reply(&slow, "complete_reply");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(
        (&reply["status"], &reply["matches"], &reply["cursor_start"]),
        (&json!("ok"), &json!([]), &json!(6))
    );
    frontend.idle(&slow);
    assert_eq!(frontend.reply(&stuck, "inspect_reply")["found"], false);
    frontend.idle(&stuck);
    // What the engine says now is dropped, and the next question is answered again.
    kernel.toy.open();
    assert_eq!(frontend.ask("complete_request", &json!({ "code": "b" }))["matches"][0], "b_one");
}

#[test]
fn the_newest_question_comes_first() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let slow = frontend.request("complete_request", &json!({ "code": "slow" }));
    frontend.busy(&slow);
    kernel.toy.until_it_waits();
    let older = frontend.request("complete_request", &json!({ "code": "older" }));
    frontend.busy(&older);
    let newer = frontend.request("complete_request", &json!({ "code": "newer" }));
    frontend.busy(&newer);
    // `busy` goes out before the question is laid down; what is answered at once comes after that.
    frontend.ask("kernel_info_request", &json!({}));
    kernel.toy.open();
    for (sent, matched) in [(&slow, "slow_one"), (&newer, "newer_one"), (&older, "older_one")] {
        assert_eq!(frontend.reply(sent, "complete_reply")["matches"][0], matched);
        frontend.idle(sent);
    }
}

#[test]
fn a_panic_in_a_question_is_its_error() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let reply = frontend.ask("complete_request", &json!({ "code": "panic" }));
    assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("InternalError")));
    assert_eq!(frontend.ask("complete_request", &json!({ "code": "b" }))["matches"][0], "b_one");
}

#[test]
fn usage_counts_the_kernel_and_its_children() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for _ in 0..2 {
        let usage = frontend.ask("usage_request", &json!({}));
        assert_eq!(usage["pid"], std::process::id());
        assert!(usage["kernel_memory"].as_u64().unwrap() > 1 << 20);
        assert!(usage["kernel_cpu"].as_f64().unwrap() >= 0.0);
        assert!(usage["cpu_count"].as_u64().unwrap() >= 1);
        let host = usage["host_cpu_percent"].as_f64().unwrap();
        assert!((0.0..=100.0).contains(&host), "{host}");
        let memory = &usage["host_virtual_memory"];
        assert!(memory["total"].as_u64() > memory["used"].as_u64());
        assert!(!usage["hostname"].as_str().unwrap().is_empty());
    }
}

#[test]
fn offsets_are_converted_both_ways() {
    let code = "a🦀é";
    for (points, bytes) in [(0, 0), (1, 1), (2, 5), (3, 7), (4, 7)] {
        assert_eq!(byte_offset(code, Some(points)), bytes);
        assert_eq!(code_points(code, bytes), usize::try_from(points).unwrap().min(3));
    }
    // Inside the crab, and beyond the end.
    assert_eq!((code_points(code, 3), code_points(code, 100)), (1, 3));
    assert_eq!((byte_offset(code, None), byte_offset(code, Some(-5))), (7, 0));
}

//! Asking the person at the frontend.

use serde_json::{Value as Json, json};

use super::frontend::{Frontend, Message, Sent, TestKernel};
use crate::jupyter::sockets::Channel;

/// Reads the question of a running cell.
#[track_caller]
fn question(frontend: &Frontend, prompt: &str, password: bool) -> Message {
    let message = frontend.receive(Channel::Stdin).expect("a question");
    assert_eq!(message.kind, "input_request");
    assert_eq!(message.content, json!({ "prompt": prompt, "password": password }));
    message
}

fn answer(frontend: &Frontend, value: &str, parent: &Json) {
    let content = json!({ "value": value }).to_string();
    frontend.send_raw(Channel::Stdin, "input_reply", content.as_bytes(), parent.to_string().as_bytes());
}

fn begin(frontend: &Frontend, code: &str, count: u64) -> Sent {
    let cell = frontend.execute(code);
    frontend.begins(&cell, code, count);
    cell
}

#[test]
fn a_cell_is_told_what_was_typed() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let code = "print hello\nask name?\nsecret word?";
    let cell = begin(&frontend, code, 1);
    // What was printed before the question is there before it.
    frontend.stream(&cell, "stdout", "hello\n");
    let asked = question(&frontend, "name?", false);
    // JupyterLab sends the question's header, jupyter_client an empty one.
    answer(&frontend, "Ada", &asked.header);
    question(&frontend, "word?", true);
    answer(&frontend, "xyzzy", &json!({}));
    let mut text = String::new();
    while text.lines().count() < 2 {
        text.push_str(frontend.expect(&cell, "stream")["text"].as_str().unwrap());
    }
    assert_eq!(text, "<Ada>\n<xyzzy>\n");
    frontend.ends_well(&cell, 1);
}

#[test]
fn a_frontend_that_takes_no_input_is_not_asked() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.request("execute_request", &json!({ "code": "ask name?", "allow_stdin": false }));
    frontend.begins(&cell, "ask name?", 1);
    assert_eq!(frontend.expect(&cell, "error")["ename"], "NoInput");
    frontend.reply(&cell, "execute_reply");
    frontend.idle(&cell);
    assert!(frontend.nothing_on(Channel::Stdin));
}

#[test]
fn an_interrupt_ends_the_wait() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = begin(&frontend, "ask name?", 1);
    question(&frontend, "name?", false);
    let interrupt = frontend.send(Channel::Control, "interrupt_request", &json!({}));
    frontend.reply(&interrupt, "interrupt_reply");
    frontend.busy(&interrupt);
    frontend.idle(&interrupt);
    assert_eq!(frontend.expect(&cell, "error")["evalue"], "interrupted");
    frontend.reply(&cell, "execute_reply");
    frontend.idle(&cell);
}

#[test]
fn stale_answers_are_discarded() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    // To nothing at all. It may even arrive after the question.
    answer(&frontend, "stale", &json!({ "msg_id": "older" }));
    let cell = begin(&frontend, "ask first?\nask second?", 1);
    let first = question(&frontend, "first?", false);
    // To a question that was never asked, then in time, then twice.
    answer(&frontend, "stale", &json!({ "msg_id": "another" }));
    answer(&frontend, "one", &first.header);
    question(&frontend, "second?", false);
    answer(&frontend, "stale", &first.header);
    answer(&frontend, "two", &json!({}));
    let mut text = String::new();
    while text.lines().count() < 2 {
        text.push_str(frontend.expect(&cell, "stream")["text"].as_str().unwrap());
    }
    assert_eq!(text, "<one>\n<two>\n");
    frontend.ends_well(&cell, 1);
}

#[test]
fn only_the_frontend_that_runs_the_cell_answers() {
    let kernel = TestKernel::start();
    let (frontend, other) = (kernel.frontend(), kernel.frontend());
    let cell = begin(&frontend, "ask name?", 1);
    let asked = question(&frontend, "name?", false);
    answer(&other, "me!", &asked.header);
    // Stdin is read before shell, so when this is answered the kernel has seen the answer.
    other.ask("comm_info_request", &json!({}));
    answer(&frontend, "Ada", &asked.header);
    frontend.stream(&cell, "stdout", "<Ada>\n");
    frontend.ends_well(&cell, 1);
    // The other's conversation was not for us, and ours not for it; the welcome of the second was.
    frontend.ignore_the_rest();
    assert!(other.nothing_on(Channel::Stdin));
}

#[test]
fn the_end_of_input_is_an_error() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = begin(&frontend, "ask name?", 1);
    question(&frontend, "name?", false);
    answer(&frontend, "\u{4}", &json!({}));
    assert_eq!(frontend.expect(&cell, "error")["evalue"], "end of input");
    frontend.reply(&cell, "execute_reply");
    frontend.idle(&cell);
}

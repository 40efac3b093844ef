//! `execute_request`: order, numbers, errors, the queue.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::frontend::TestKernel;
use crate::jupyter::sockets::Channel;

#[test]
fn busy_input_outputs_reply_idle() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let code = "print a\nwarn b\nput c\necho d";
    let cell = frontend.execute(code);
    frontend.begins(&cell, code, 1);
    frontend.stream(&cell, "stdout", "a\n");
    frontend.stream(&cell, "stderr", "b\n");
    frontend.stream(&cell, "stdout", "c");
    assert_eq!(
        frontend.expect(&cell, "execute_result"),
        json!({ "execution_count": 1, "data": { "text/plain": "d" }, "metadata": {}, "transient": {} })
    );
    frontend.ends_well(&cell, 1);
}

#[test]
fn two_frontends_with_a_thousand_cells_lose_nothing() {
    let kernel = TestKernel::start_tcp();
    let connection = kernel.connection();
    let talk = || {
        let frontend = super::frontend::Frontend::connect(&connection);
        for round in 0..500 {
            let code = format!("print {round}\necho {round}");
            let cell = frontend.execute(&code);
            frontend.busy(&cell);
            let count = frontend.expect(&cell, "execute_input")["execution_count"].as_u64().unwrap();
            frontend.stream(&cell, "stdout", &format!("{round}\n"));
            assert_eq!(frontend.expect(&cell, "execute_result")["execution_count"], count);
            frontend.ends_well(&cell, count);
            if round % 50 == 0 {
                frontend.ask_on(Channel::Control, "kernel_info_request", &json!({}));
                frontend.ask("complete_request", &json!({ "code": "a" }));
            }
        }
        frontend.kernel_session()
    };
    let sessions =
        std::thread::scope(|scope| [scope.spawn(talk), scope.spawn(talk)].map(|it| it.join().unwrap()));
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(kernel.toy.executed.lock().unwrap().len(), 1000);
}

#[test]
fn an_error_is_shown_and_replied() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("print before\nfail E0308 mismatched types");
    frontend.begins(&cell, "print before\nfail E0308 mismatched types", 1);
    frontend.stream(&cell, "stdout", "before\n");
    let fields = json!({
        "ename": "E0308", "evalue": "mismatched types",
        "traceback": ["\u{1b}[31mE0308\u{1b}[0m", "mismatched types"],
    });
    assert_eq!(frontend.expect(&cell, "error"), fields);
    let mut reply = frontend.reply(&cell, "execute_reply");
    for (name, value) in [
        ("status", json!("error")),
        ("execution_count", json!(1)),
        ("payload", json!([])),
        ("user_expressions", json!({})),
    ] {
        assert_eq!(reply.as_object_mut().unwrap().remove(name), Some(value));
    }
    assert_eq!(reply, fields);
    frontend.idle(&cell);
}

#[test]
fn a_panic_of_the_engine_is_an_error_of_the_cell() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("panic at the disco");
    frontend.begins(&cell, "panic at the disco", 1);
    assert_eq!(frontend.expect(&cell, "error")["ename"], "InternalError");
    let reply = frontend.reply(&cell, "execute_reply");
    assert_eq!(reply["status"], "error");
    assert!(reply["evalue"].as_str().unwrap().ends_with("at the disco"));
    frontend.idle(&cell);
    let cell = frontend.execute("count");
    frontend.begins(&cell, "count", 2);
    frontend.expect(&cell, "execute_result");
    frontend.ends_well(&cell, 2);
}

#[test]
fn an_error_aborts_what_is_queued_and_only_that() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let failing = frontend.execute("wait\nfail Oh no");
    frontend.begins(&failing, "wait\nfail Oh no", 1);
    let queued: Vec<_> = (0..3).map(|_| frontend.execute("echo never")).collect();
    // Only executions are aborted. This one is answered while the cell runs.
    frontend.ask("comm_info_request", &json!({}));
    kernel.toy.open();
    assert_eq!(frontend.expect(&failing, "error")["ename"], "Oh");
    assert_eq!(frontend.reply(&failing, "execute_reply")["status"], "error");
    frontend.idle(&failing);
    for sent in &queued {
        frontend.busy(sent);
        assert_eq!(
            frontend.reply(sent, "execute_reply"),
            json!({ "status": "aborted", "execution_count": 1, "payload": [], "user_expressions": {} })
        );
        frontend.idle(sent);
    }
    let next = frontend.execute("count");
    frontend.begins(&next, "count", 2);
    frontend.expect(&next, "execute_result");
    frontend.ends_well(&next, 2);
    assert_eq!(kernel.toy.executed.lock().unwrap().len(), 2);
}

#[test]
fn without_stop_on_error_the_queue_goes_on() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let content = json!({ "code": "wait\nfail Oh no", "stop_on_error": false });
    let failing = frontend.request("execute_request", &content);
    frontend.begins(&failing, "wait\nfail Oh no", 1);
    let next = frontend.execute("");
    kernel.toy.open();
    frontend.expect(&failing, "error");
    frontend.reply(&failing, "execute_reply");
    frontend.idle(&failing);
    frontend.begins(&next, "", 2);
    frontend.ends_well(&next, 2);
}

#[test]
fn cells_run_one_at_a_time_in_order() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let first = frontend.execute("wait\nprint one");
    let second = frontend.execute("print two");
    frontend.begins(&first, "wait\nprint one", 1);
    kernel.toy.open();
    frontend.stream(&first, "stdout", "one\n");
    frontend.ends_well(&first, 1);
    frontend.begins(&second, "print two", 2);
    frontend.stream(&second, "stdout", "two\n");
    frontend.ends_well(&second, 2);
}

#[test]
fn a_silent_cell_has_no_number_no_echo_and_no_result() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend
        .request("execute_request", &json!({ "code": "echo 1", "silent": true, "store_history": true }));
    frontend.busy(&cell);
    frontend.ends_well(&cell, 0);
    let failing = frontend.request("execute_request", &json!({ "code": "fail Oh no", "silent": true }));
    frontend.busy(&failing);
    assert_eq!(frontend.reply(&failing, "execute_reply")["ename"], "Oh");
    frontend.idle(&failing);
    let history = frontend.ask("history_request", &json!({ "hist_access_type": "tail", "n": 5 }));
    assert_eq!(history["history"], json!([]));
}

#[test]
fn only_stored_cells_are_counted() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for (store, count) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
        let cell = frontend.request("execute_request", &json!({ "code": "", "store_history": store }));
        frontend.begins(&cell, "", count);
        frontend.ends_well(&cell, count);
    }
    let history = frontend.ask("history_request", &json!({ "hist_access_type": "tail" }));
    assert_eq!(history["history"], json!([[1, 1, ""], [1, 2, ""]]));
}

#[test]
fn missing_and_null_fields_mean_as_usual() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let nulls = json!({
        "code": "", "silent": null, "store_history": null, "user_expressions": null, "allow_stdin": null,
        "stop_on_error": null, "unheard_of": 1,
    });
    for (content, count) in [(json!({ "code": "" }), 1), (nulls, 2)] {
        let cell = frontend.request("execute_request", &content);
        frontend.begins(&cell, "", count);
        frontend.ends_well(&cell, count);
    }
    let executed = kernel.toy.executed.lock().unwrap();
    assert!(executed.iter().all(|cell| cell.user_expressions.is_empty()));
}

#[test]
fn user_expressions_are_values_or_errors() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let expressions = json!({ "z": "abc", "a": "bad day" });
    let cell = frontend.request("execute_request", &json!({ "code": "", "user_expressions": expressions }));
    frontend.begins(&cell, "", 1);
    let reply = frontend.reply(&cell, "execute_reply");
    assert_eq!(
        reply["user_expressions"],
        json!({
            "z": { "status": "ok", "data": { "text/plain": "ABC" }, "metadata": {} },
            "a": {
                "status": "error", "ename": "Bad", "evalue": "day",
                "traceback": ["\u{1b}[31mBad\u{1b}[0m", "day"],
            },
        })
    );
    frontend.idle(&cell);
}

#[test]
fn an_interrupt_stops_the_running_cell() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("wait");
    frontend.begins(&cell, "wait", 1);
    let interrupt = frontend.send(Channel::Control, "interrupt_request", &json!({}));
    assert_eq!(frontend.reply(&interrupt, "interrupt_reply"), json!({ "status": "ok" }));
    frontend.busy(&interrupt);
    frontend.idle(&interrupt);
    assert_eq!(frontend.expect(&cell, "error")["ename"], "Interrupted");
    assert_eq!(frontend.reply(&cell, "execute_reply")["status"], "error");
    frontend.idle(&cell);
    assert_eq!(kernel.toy.interrupts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_cell_that_prints_for_ever_can_be_interrupted() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("flood more\\n");
    frontend.begins(&cell, "flood more\\n", 1);
    assert_eq!(frontend.expect(&cell, "stream")["name"], "stdout");
    let interrupt = frontend.send(Channel::Control, "interrupt_request", &json!({}));
    assert_eq!(frontend.reply(&interrupt, "interrupt_reply"), json!({ "status": "ok" }));
    // Its `busy` and `idle` are somewhere among the output.
    let mut kinds = Vec::new();
    while kinds.last() != Some(&"error".to_owned()) {
        kinds.push(frontend.iopub_of(&[&cell, &interrupt]).kind);
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "status").count(), 2);
    frontend.reply(&cell, "execute_reply");
    frontend.idle(&cell);
}

#[test]
fn an_interrupt_of_an_idle_kernel_does_nothing() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for channel in [Channel::Control, Channel::Shell] {
        assert_eq!(frontend.ask_on(channel, "interrupt_request", &json!({})), json!({ "status": "ok" }));
    }
    assert_eq!(kernel.toy.interrupts.load(Ordering::SeqCst), 0);
    let cell = frontend.execute("wait");
    kernel.toy.open();
    frontend.begins(&cell, "wait", 1);
    frontend.ends_well(&cell, 1);
}

//! What cells show.

use serde_json::json;

use super::frontend::TestKernel;

#[test]
fn displays_carry_their_id_and_are_replaced_by_it() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let code = "show a\nplace id b\nupdate id c";
    let cell = frontend.execute(code);
    frontend.begins(&cell, code, 1);
    let data = |text: &str| json!({ "application/json": [text], "text/html": format!("<b>{text}</b>"), "text/plain": text });
    assert_eq!(
        frontend.expect(&cell, "display_data"),
        json!({ "data": data("a"), "metadata": {}, "transient": {} })
    );
    assert_eq!(
        frontend.expect(&cell, "display_data"),
        json!({ "data": data("b"), "metadata": {}, "transient": { "display_id": "id" } })
    );
    assert_eq!(
        frontend.expect(&cell, "update_display_data"),
        json!({ "data": data("c"), "metadata": {}, "transient": { "display_id": "id" } })
    );
    frontend.ends_well(&cell, 1);
    // From another cell.
    let cell = frontend.execute("update id d");
    frontend.begins(&cell, "update id d", 2);
    assert_eq!(frontend.expect(&cell, "update_display_data")["data"]["text/plain"], "d");
    frontend.ends_well(&cell, 2);
}

#[test]
fn clearing_may_wait() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("clear\nclear wait");
    frontend.begins(&cell, "clear\nclear wait", 1);
    assert_eq!(frontend.expect(&cell, "clear_output"), json!({ "wait": false }));
    assert_eq!(frontend.expect(&cell, "clear_output"), json!({ "wait": true }));
    frontend.ends_well(&cell, 1);
}

#[test]
fn text_for_the_pager_travels_in_the_reply() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("page help");
    frontend.begins(&cell, "page help", 1);
    let reply = frontend.reply(&cell, "execute_reply");
    assert_eq!(reply["payload"], json!([{ "source": "page", "data": { "text/plain": "help" }, "start": 0 }]));
    frontend.idle(&cell);
}

#[test]
fn a_hundred_thousand_prints_are_few_messages() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("repeat 100000 line\\n");
    frontend.begins(&cell, "repeat 100000 line\\n", 1);
    let (mut messages, mut text) = (0, String::new());
    while text.len() < 500_000 {
        let stream = frontend.expect(&cell, "stream");
        assert_eq!(stream["name"], "stdout");
        text.push_str(stream["text"].as_str().unwrap());
        messages += 1;
    }
    assert_eq!(text, "line\n".repeat(100_000));
    // One for each tick of 50 ms; a slow machine prints for some seconds.
    assert!(messages < 200, "{messages} messages");
    frontend.ends_well(&cell, 1);
}

#[test]
fn a_megabyte_on_one_line_arrives_whole() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let line = "é".repeat(1 << 19);
    let code = format!("put {line}");
    let cell = frontend.execute(&code);
    frontend.begins(&cell, &code, 1);
    frontend.stream(&cell, "stdout", &line);
    frontend.ends_well(&cell, 1);
}

#[test]
fn carriage_returns_are_kept_and_no_newline_is_needed() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let code = "put 10%\\r20%\\r\nwait";
    let cell = frontend.execute(code);
    frontend.begins(&cell, code, 1);
    // It comes while the cell runs.
    frontend.stream(&cell, "stdout", "10%\r20%\r");
    kernel.toy.open();
    frontend.ends_well(&cell, 1);
}

#[test]
fn alternating_streams_keep_their_order_within_reason() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let code = "print a\nwarn b\n".repeat(1000);
    let cell = frontend.execute(&code);
    frontend.begins(&cell, &code, 1);
    let (mut messages, mut out, mut err) = (0, 0, 0);
    while out + err < 2000 {
        let stream = frontend.expect(&cell, "stream");
        let lines = stream["text"].as_str().unwrap().lines().count();
        if messages < 10 {
            assert_eq!((stream["name"] == "stdout", lines), (messages % 2 == 0, 1));
        }
        *(if stream["name"] == "stdout" { &mut out } else { &mut err }) += lines;
        messages += 1;
    }
    assert_eq!((out, err), (1000, 1000));
    assert!(messages < 1000, "{messages} messages");
    frontend.ends_well(&cell, 1);
}

#[test]
fn late_output_belongs_to_its_old_cell() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let old = frontend.execute("later after all");
    frontend.begins(&old, "later after all", 1);
    frontend.ends_well(&old, 1);
    let new = frontend.execute("print now");
    frontend.begins(&new, "print now", 2);
    frontend.stream(&new, "stdout", "now\n");
    frontend.ends_well(&new, 2);
    kernel.toy.open();
    frontend.stream(&old, "stdout", "after all, the cell that asks has ended\n");
}

#[test]
fn a_cell_has_one_result() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("echo 1\necho 2");
    frontend.begins(&cell, "echo 1\necho 2", 1);
    assert_eq!(frontend.expect(&cell, "execute_result")["data"]["text/plain"], "1");
    frontend.ends_well(&cell, 1);
}

//! Requests that are unknown or unreadable, and comms.

use serde_json::json;

use super::frontend::TestKernel;
use crate::jupyter::sockets::Channel;

#[test]
fn an_unknown_request_gets_an_error_for_a_reply() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for (channel, kind) in [(Channel::Shell, "foo_request"), (Channel::Control, "debug_request")] {
        let reply = frontend.ask_on(channel, kind, &json!({ "anything": [] }));
        assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("UnknownMessage")));
        assert!(reply["evalue"].as_str().unwrap().contains(kind));
        assert!(reply["traceback"].is_array());
    }
}

#[test]
fn an_unknown_message_that_is_no_request_gets_no_reply() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let sent = frontend.request("gossip", &json!({}));
    frontend.busy(&sent);
    frontend.idle(&sent);
}

#[test]
fn an_unreadable_content_gets_an_error_for_a_reply() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let contents: [&[u8]; 4] = [b"{}", b"[1,", b"null", b"{\"code\": 1}"];
    for content in contents {
        for kind in ["execute", "complete", "inspect", "is_complete"] {
            let sent = frontend.send_raw(Channel::Shell, &format!("{kind}_request"), content, b"{}");
            frontend.busy(&sent);
            let reply = frontend.reply(&sent, &format!("{kind}_reply"));
            assert_eq!((&reply["status"], &reply["ename"]), (&json!("error"), &json!("MalformedMessage")));
            if kind == "execute" {
                assert_eq!((&reply["execution_count"], &reply["user_expressions"]), (&json!(0), &json!({})));
            }
            frontend.idle(&sent);
        }
    }
}

#[test]
fn a_comm_of_an_unknown_target_is_closed() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let open = frontend.request("comm_open", &json!({ "comm_id": "c1", "target_name": "t", "data": {} }));
    frontend.busy(&open);
    assert_eq!(frontend.expect(&open, "comm_close"), json!({ "comm_id": "c1", "data": {} }));
    frontend.idle(&open);
    for kind in ["comm_msg", "comm_close"] {
        let sent = frontend.request(kind, &json!({ "comm_id": "c1", "data": {} }));
        frontend.busy(&sent);
        frontend.idle(&sent);
    }
    let sent = frontend.request("comm_open", &json!({ "data": {} }));
    frontend.busy(&sent);
    frontend.idle(&sent);
    for content in [json!({}), json!({ "target_name": "t" })] {
        assert_eq!(frontend.ask("comm_info_request", &content), json!({ "status": "ok", "comms": {} }));
    }
}

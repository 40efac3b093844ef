//! Shutdown, by request and by signal, and the next kernel on the same ports.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::frontend::{Frontend, Sent, TestKernel};
use crate::jupyter::sockets::Channel;
use crate::signals::{SIGHUP, SIGTERM};

/// Asks for the end and reads what all are told of it.
#[track_caller]
fn shut_down(frontend: &Frontend, channel: Channel, restart: bool) -> Sent {
    let sent = frontend.send(channel, "shutdown_request", &json!({ "restart": restart }));
    let reply = json!({ "status": "ok", "restart": restart });
    assert_eq!(frontend.reply(&sent, "shutdown_reply"), reply);
    frontend.busy(&sent);
    assert_eq!(frontend.expect(&sent, "shutdown_reply"), reply);
    frontend.idle(&sent);
    sent
}

/// Waits for the kernel's end: the engine was shut down once, and all that was said has been heard.
fn has_ended(kernel: &mut TestKernel, frontend: &Frontend) {
    kernel.join();
    frontend.nothing_unread();
    assert_eq!(kernel.toy.shutdowns.load(Ordering::SeqCst), 1);
}

#[test]
fn shutdown_is_answered_on_both_channels() {
    for channel in [Channel::Control, Channel::Shell] {
        let mut kernel = TestKernel::start();
        let frontend = kernel.frontend();
        shut_down(&frontend, channel, false);
        has_ended(&mut kernel, &frontend);
    }
}

#[test]
fn a_restart_binds_the_same_ports() {
    let mut kernel = TestKernel::start_tcp();
    for _ in 0..5 {
        let before = kernel.connection().ports;
        let frontend = kernel.frontend();
        shut_down(&frontend, Channel::Control, true);
        let start = Instant::now();
        kernel.join();
        frontend.nothing_unread();
        // The old frontend is still connected, and keeps the ports busy in its way.
        kernel = TestKernel::start_from(kernel.directory.clone());
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(kernel.connection().ports, before);
        let cell = kernel.frontend().ask("kernel_info_request", &json!({}));
        assert_eq!(cell["status"], "ok");
    }
}

#[test]
fn a_new_process_is_a_new_session() {
    let mut kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let old = frontend.kernel_session();
    shut_down(&frontend, Channel::Control, true);
    kernel.join();
    frontend.nothing_unread();
    kernel = TestKernel::start_from(kernel.directory.clone());
    assert_ne!(kernel.frontend().kernel_session(), old);
}

#[test]
fn shutdown_ends_the_running_cell_and_aborts_the_queue() {
    let mut kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("wait");
    frontend.begins(&cell, "wait", 1);
    let queued = frontend.execute("echo never");
    // Shell in order: when this is answered, the cell is in the queue.
    frontend.ask("comm_info_request", &json!({}));
    let start = Instant::now();
    shut_down(&frontend, Channel::Control, false);
    frontend.busy(&queued);
    assert_eq!(frontend.reply(&queued, "execute_reply")["status"], "aborted");
    frontend.idle(&queued);
    assert_eq!(frontend.expect(&cell, "error")["ename"], "Interrupted");
    assert_eq!(frontend.reply(&cell, "execute_reply")["status"], "error");
    frontend.idle(&cell);
    kernel.join();
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
    frontend.nothing_unread();
}

#[test]
fn shutdown_ends_the_wait_for_input() {
    let mut kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("ask name?");
    frontend.begins(&cell, "ask name?", 1);
    assert_eq!(frontend.receive(Channel::Stdin).unwrap().kind, "input_request");
    shut_down(&frontend, Channel::Control, false);
    assert_eq!(frontend.expect(&cell, "error")["evalue"], "the kernel is shutting down");
    frontend.reply(&cell, "execute_reply");
    frontend.idle(&cell);
    kernel.join();
    frontend.nothing_unread();
}

#[test]
fn a_signal_ends_the_kernel_as_a_shutdown_does() {
    for signal in [SIGTERM, SIGHUP] {
        let mut kernel = TestKernel::start();
        let frontend = kernel.frontend();
        let cell = frontend.execute("wait");
        frontend.begins(&cell, "wait", 1);
        let queued = frontend.execute("echo never");
        // Shell in order: when this is answered, the cell is in the queue.
        frontend.ask("comm_info_request", &json!({}));
        kernel.signal(signal);
        frontend.busy(&queued);
        assert_eq!(frontend.reply(&queued, "execute_reply")["status"], "aborted");
        frontend.idle(&queued);
        assert_eq!(frontend.expect(&cell, "error")["ename"], "Interrupted");
        assert_eq!(frontend.reply(&cell, "execute_reply")["status"], "error");
        frontend.idle(&cell);
        has_ended(&mut kernel, &frontend);
        assert_eq!(kernel.socket_files().len(), 0);
    }
}

#[test]
fn a_signal_during_a_shutdown_changes_nothing() {
    let mut kernel = TestKernel::start();
    let frontend = kernel.frontend();
    shut_down(&frontend, Channel::Control, false);
    kernel.signal(SIGTERM);
    has_ended(&mut kernel, &frontend);
}

#[test]
fn the_sockets_of_ipc_are_their_owners_and_go_with_the_kernel() {
    let mut kernel = TestKernel::start();
    let frontend = kernel.frontend();
    frontend.ask("kernel_info_request", &json!({}));
    let files = kernel.socket_files();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let mode = file.symlink_metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    shut_down(&frontend, Channel::Control, false);
    kernel.join();
    frontend.nothing_unread();
    assert_eq!(kernel.socket_files().len(), 0);
}

#[test]
fn the_kernelspec_asks_for_interrupts_by_message() {
    let spec = crate::jupyter::kernelspec("/opt/brooklet".as_ref());
    assert_eq!(spec["argv"], json!(["/opt/brooklet", "kernel", "--connection-file", "{connection_file}"]));
    assert_eq!(spec["display_name"], "Rust (Brooklet)");
    assert_eq!((&spec["language"], &spec["interrupt_mode"]), (&json!("rust"), &json!("message")));
}

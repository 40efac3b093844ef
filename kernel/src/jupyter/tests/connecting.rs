//! The connection file, the first messages, signatures, the heartbeat.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::frontend::{Frontend, PATIENCE, TestKernel};
use super::toy::Shared;
use crate::jupyter::Error;
use crate::jupyter::connection::{Connection, Ports};
use crate::jupyter::sockets::Channel;
use crate::jupyter::wire::{DELIMITER, Key, REMEMBERED, Signatures};

#[test]
fn kernel_info_comes_on_shell_and_control() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    for channel in [Channel::Shell, Channel::Control] {
        let info = frontend.ask_on(channel, "kernel_info_request", &json!({}));
        assert_eq!(info["status"], "ok");
        assert_eq!(info["protocol_version"], "5.5");
        assert_eq!(info["implementation"], "brooklet");
        assert_eq!(info["banner"], "a toy");
        assert_eq!(info["supported_features"], json!(["iopub_welcome"]));
        assert_eq!(info["debugger"], false);
        let language = &info["language_info"];
        assert_eq!((&language["name"], &language["file_extension"]), (&json!("rust"), &json!(".rs")));
        assert_eq!(language["mimetype"], "text/x-rustsrc");
        assert_eq!(language["pygments_lexer"], "rust");
        assert!(info["help_links"].as_array().unwrap().iter().all(|link| link["url"].is_string()));
    }
}

#[test]
fn kernel_info_comes_while_a_cell_runs() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let cell = frontend.execute("wait");
    frontend.begins(&cell, "wait", 1);
    frontend.ask_on(Channel::Shell, "kernel_info_request", &json!({}));
    frontend.ask_on(Channel::Control, "kernel_info_request", &json!({}));
    kernel.toy.open();
    frontend.ends_well(&cell, 1);
}

#[test]
fn every_subscriber_is_welcomed() {
    let kernel = TestKernel::start();
    // `connect` insists on the welcome.
    let first = kernel.frontend();
    let second = kernel.frontend();
    let narrow = second.subscribe(&kernel, "kernel");
    let welcome = narrow.receive(PATIENCE).expect("a welcome for a topic of its own");
    assert_eq!(welcome[0], b"kernel");
    assert_eq!(welcome[4..], [&b"{}"[..], b"{}", b"{\"subscription\":\"kernel\"}"].map(<[u8]>::to_vec)[..]);
    // Those who listen to everything are told of the second one's too.
    first.ignore_the_rest();
    second.ignore_the_rest();
}

#[test]
fn the_heartbeat_echoes_bytes() {
    let kernel = TestKernel::start_tcp();
    let frontend = kernel.frontend();
    let cell = frontend.execute("wait");
    frontend.begins(&cell, "wait", 1);
    for frames in [&[&b"ping"[..]][..], &[&b""[..], &[0, 255, 7]], &[&b"a"[..], b"", b"b"]] {
        let echo = frontend.ping(frames).expect("an echo");
        assert_eq!(echo, frames);
    }
    kernel.toy.open();
    frontend.ends_well(&cell, 1);
}

#[test]
fn a_message_with_a_wrong_signature_is_dropped() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let header = br#"{"msg_id":"x","msg_type":"execute_request","session":"s"}"#.to_vec();
    let body = [header, b"{}".to_vec(), b"{}".to_vec(), br#"{"code":"echo 1"}"#.to_vec()];
    let good = Key::new("a secret").sign(&body);
    let wrong: [&[u8]; 5] = [b"", b"00", b"zz", &good[..62], &Key::new("another").sign(&body)];
    for signature in wrong {
        let frames = [&[DELIMITER.to_vec(), signature.to_vec()][..], &body].concat();
        frontend.send_frames(Channel::Shell, frames);
    }
    // Nothing came of them, as the frontend sees when the next cell is number one.
    let cell = frontend.execute("count");
    frontend.begins(&cell, "count", 1);
    frontend.expect(&cell, "execute_result");
    frontend.ends_well(&cell, 1);
    assert_eq!(kernel.toy.executed.lock().unwrap().len(), 1);
}

#[test]
fn malformed_frames_are_dropped() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let sign = |body: &[Vec<u8>]| [&[DELIMITER.to_vec(), Key::new("a secret").sign(body)][..], body].concat();
    let empty = || b"{}".to_vec();
    for frames in [
        vec![b"no delimiter".to_vec()],
        vec![DELIMITER.to_vec()],
        vec![DELIMITER.to_vec(), b"signature".to_vec(), empty(), empty(), empty()],
        sign(&[b"no json".to_vec(), empty(), empty(), empty()]),
        sign(&[b"[]".to_vec(), empty(), empty(), empty()]),
        // No type.
        sign(&[empty(), empty(), empty(), empty()]),
        sign(&[vec![0xff, 0xfe], empty(), empty(), empty()]),
    ] {
        for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
            frontend.send_frames(channel, frames.clone());
        }
    }
    frontend.ask("comm_info_request", &json!({}));
}

#[test]
fn without_a_key_nothing_is_signed() {
    let directory = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let ip = directory.path().join("socket");
    let kernel = TestKernel::start_in(directory, &json!({ "transport": "ipc", "ip": ip, "key": "" }));
    let frontend = kernel.frontend();
    assert_eq!(frontend.ask("kernel_info_request", &json!({}))["status"], "ok");
    // Nothing tells a message that is sent again from one that is meant twice.
    let header = br#"{"msg_id":"x","msg_type":"comm_info_request","session":"s"}"#.to_vec();
    let body = [header, b"{}".to_vec(), b"{}".to_vec(), b"{}".to_vec()];
    let frames = [&[DELIMITER.to_vec(), Vec::new()][..], &body].concat();
    for _ in 0..2 {
        frontend.send_frames(Channel::Shell, frames.clone());
        assert_eq!(frontend.receive(Channel::Shell).unwrap().kind, "comm_info_reply");
    }
}

#[test]
fn a_message_that_is_sent_again_is_dropped_on_all_channels() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let header = br#"{"msg_id":"x","msg_type":"execute_request","session":"s"}"#.to_vec();
    let body = [header, b"{}".to_vec(), b"{}".to_vec(), br#"{"code":"count"}"#.to_vec()];
    let signature = Key::new("a secret").sign(&body);
    let frames = |signature: Vec<u8>| [&[DELIMITER.to_vec(), signature][..], &body].concat();
    frontend.send_frames(Channel::Shell, frames(signature.clone()));
    assert_eq!(frontend.receive(Channel::Shell).unwrap().kind, "execute_reply");
    for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
        frontend.send_frames(channel, frames(signature.clone()));
        // The same signature, otherwise written.
        frontend.send_frames(channel, frames(signature.to_ascii_uppercase()));
    }
    // Each channel is read in order: once these are answered, all of the above has been seen.
    frontend.ask_on(Channel::Control, "kernel_info_request", &json!({}));
    let cell = frontend.execute("count");
    frontend.begins(&cell, "count", 2);
    frontend.expect(&cell, "execute_result");
    frontend.ends_well(&cell, 2);
    assert_eq!(kernel.toy.executed.lock().unwrap().len(), 2);
}

#[test]
fn the_memory_for_signatures_is_bounded() {
    let signature = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    let mut signatures = Signatures::default();
    assert!((0..REMEMBERED).all(|number| signatures.remember(signature(number))));
    assert!(!(0..REMEMBERED).any(|number| signatures.remember(signature(number))));
    // One more makes it forget the oldest, and only that.
    assert!(signatures.remember(signature(REMEMBERED)));
    assert!(!(1..=REMEMBERED).any(|number| signatures.remember(signature(number))));
    assert!(signatures.remember(signature(0)));
}

#[test]
fn chosen_ports_are_written_into_the_file() {
    let kernel = TestKernel::start_in(
        std::sync::Arc::new(tempfile::tempdir().unwrap()),
        &json!({ "transport": "tcp", "ip": "localhost", "key": "k", "kernel_name": "kept", "hb_port": 0 }),
    );
    let text = std::fs::read_to_string(&kernel.file).unwrap();
    let file: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(file["kernel_name"], "kept");
    let Ports { shell, control, stdin, iopub, heartbeat } = kernel.connection().ports;
    let mut ports = [shell, control, stdin, iopub, heartbeat];
    ports.sort_unstable();
    assert!(ports[0] > 0 && ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&kernel.file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "the file holds the key");
    let connect = kernel.frontend().ask("connect_request", &json!({}));
    assert_eq!(connect["shell_port"], shell);
    assert_eq!(connect["hb_port"], heartbeat);
}

#[test]
fn what_the_kernel_cannot_do_is_refused_in_words() {
    let read = |file: &Json| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.json");
        let mut file = file.clone();
        if let Some(file) = file.as_object_mut() {
            file.entry("key").or_insert(json!(""));
        }
        std::fs::write(&path, file.to_string()).unwrap();
        Connection::read(&path).map(|connection| connection.ports).map_err(|error| match error {
            Error::ConnectionFile { message, .. } | Error::Unsupported(message) => message,
            other => other.to_string(),
        })
    };
    assert!(read(&json!({ "curve_publickey": "x" })).unwrap_err().contains("CURVE"));
    assert!(read(&json!({ "registration_port": 1 })).unwrap_err().contains("handshake"));
    assert!(read(&json!({ "transport": "udp" })).unwrap_err().contains("`udp`"));
    assert!(read(&json!({ "key": "k", "signature_scheme": "hmac-md5" })).unwrap_err().contains("hmac-md5"));
    assert!(read(&json!({ "shell_port": 70_000 })).unwrap_err().contains("`shell_port`"));
    assert!(read(&json!([])).unwrap_err().contains("not a JSON object"));
    for value in [json!(12345), json!(true), json!(["secret"]), json!({ "key": "secret" })] {
        for name in ["key", "transport", "ip", "signature_scheme"] {
            let refused = read(&json!({ name: value })).unwrap_err();
            assert!(refused.starts_with(&format!("`{name}` must be text, and is ")), "{refused}");
        }
    }
    assert!(read(&json!({ "key": null })).unwrap_err().contains("`key` is null"));
    for port in [json!(-1), json!(1.5), json!(true), json!("x"), json!([5])] {
        assert_eq!(read(&json!({ "hb_port": port })).unwrap_err(), "`hb_port` is not a port");
    }
    let twice = json!({ "shell_port": 5, "stdin_port": 6, "hb_port": "5" });
    assert_eq!(read(&twice).unwrap_err(), "`shell_port` and `hb_port` are the same port");
    assert!(read(&json!({ "transport": "ipc", "ip": "@abstract" })).unwrap_err().contains("names no file"));
    let lenient = json!({ "curve_publickey": null, "shell_port": "5", "iopub_port": null, "hb_port": 7 });
    let ports = Ports { shell: 5, heartbeat: 7, ..Ports::default() };
    assert_eq!(read(&lenient), Ok(ports));
    let directory = tempfile::tempdir().unwrap();
    let unsigned = directory.path().join("file.json");
    std::fs::write(&unsigned, r#"{ "shell_port": 5 }"#).unwrap();
    assert!(Connection::read(&unsigned).unwrap_err().to_string().contains("`key` is missing"));
    let missing = Connection::read("no/such/file.json".as_ref()).unwrap_err().to_string();
    assert!(missing.starts_with("connection file `no/such/file.json`: "), "{missing}");
}

#[test]
fn a_port_in_use_is_reported() {
    let kernel = TestKernel::start_tcp();
    let Error::Socket { endpoint, .. } =
        crate::jupyter::serve(&kernel.file, Arc::new(Shared(kernel.toy.clone())), None).unwrap_err()
    else {
        panic!("the ports are taken");
    };
    assert_eq!(endpoint, kernel.connection().endpoint(kernel.connection().ports.shell));
}

#[test]
fn a_second_kernel_on_the_sockets_of_a_living_one_is_refused() {
    let kernel = TestKernel::start();
    let frontend = kernel.frontend();
    let refused = crate::jupyter::serve(&kernel.file, Arc::new(Shared(kernel.toy.clone())), None);
    let refused = refused.unwrap_err().to_string();
    let endpoint = kernel.connection().endpoint(kernel.connection().ports.shell);
    assert!(refused.starts_with(&format!("cannot bind `{endpoint}`: another kernel listens")), "{refused}");
    // The first one is as it was, for those who are connected and for those who come.
    assert_eq!(frontend.ask("kernel_info_request", &json!({}))["status"], "ok");
    frontend.ignore_the_rest();
    assert_eq!(kernel.frontend().ask("kernel_info_request", &json!({}))["status"], "ok");
    assert_eq!(kernel.socket_files().len(), 5);
}

#[test]
fn what_a_killed_kernel_left_is_replaced() {
    let mut kernel = TestKernel::start();
    let connection = kernel.connection();
    let frontend = kernel.frontend();
    frontend.send(Channel::Control, "shutdown_request", &json!({}));
    frontend.ignore_the_rest();
    kernel.join();
    let Ports { shell, control, stdin, iopub, heartbeat } = connection.ports;
    for port in [shell, control, stdin, iopub, heartbeat] {
        drop(UnixListener::bind(connection.socket_file(port)).unwrap());
    }
    assert_eq!(kernel.socket_files().len(), 5);
    let next = TestKernel::start_from(kernel.directory.clone());
    assert_eq!(next.connection().ports, connection.ports);
    assert_eq!(next.frontend().ask("kernel_info_request", &json!({}))["status"], "ok");
}

#[test]
fn ipv6_addresses_are_put_in_brackets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.json");
    std::fs::write(&path, r#"{ "ip": "::1", "key": "" }"#).unwrap();
    assert_eq!(Connection::read(&path).unwrap().endpoint(5), "tcp://[::1]:5");
}

#[test]
fn the_kernel_survives_a_frontend_that_vanishes() {
    let kernel = TestKernel::start_tcp();
    let gone = kernel.frontend();
    let cell = gone.execute("wait\nprint nobody reads this");
    gone.begins(&cell, "wait\nprint nobody reads this", 1);
    gone.ignore_the_rest();
    drop(gone);
    kernel.toy.open();
    let frontend: Frontend = kernel.frontend();
    let cell = frontend.execute("count");
    frontend.begins(&cell, "count", 2);
    assert_eq!(frontend.expect(&cell, "execute_result")["data"]["text/plain"], "2");
    frontend.ends_well(&cell, 2);
}

#[test]
fn signatures_are_hmac_sha256_of_the_four_frames() {
    // RFC 4231, test case 2, its data cut into frames.
    let key = Key::new("Jefe");
    let frames = ["what do ya ", "want ", "for ", "nothing?"].map(|text| text.as_bytes().to_vec());
    let signature = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(key.sign(&frames), signature);
    assert!(key.verify(&frames, signature));
    assert!(key.verify(&frames, &signature.to_ascii_uppercase()));
    assert!(!key.verify(&frames[..3], signature));
    assert!(Key::new("").verify(&frames, b"anything"));
    assert_eq!(Key::new("").sign(&frames), b"");
}
